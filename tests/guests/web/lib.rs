//! What a guest of WASI 0.2 does with what it was given by name: it fetches, it reads its environment, and it tries what it was
//! not given.

#![allow(clippy::print_stdout, reason = "a task's log is what it prints")]

mod fetch;
mod possessions;

#[idlewild_guest::bundle(sync)]
mod bundle {
    use idlewild_guest::{Output, Task};

    #[handler("test.web.fetches")]
    fn fetches(task: &Task) -> impl Output {
        crate::fetch::each_in_turn(task.input())
    }

    #[handler("test.web.fetches-at-once")]
    fn fetches_at_once(task: &Task) -> impl Output {
        crate::fetch::all_at_once(task.input())
    }

    #[handler("test.web.prints-environment")]
    fn prints_environment(task: &Task) -> impl Output {
        crate::possessions::print_environment(task)
    }

    #[handler("test.web.tells-its-environment")]
    fn tells_its_environment(task: &Task) -> Result<(), String> {
        crate::possessions::tell_environment(task.input())
    }

    #[handler("test.web.titles-itself")]
    fn titles_itself(task: &Task) -> Result<(), String> {
        crate::possessions::title_by_environment(task)
    }

    #[handler("test.web.opens-sockets")]
    fn opens_sockets(task: &Task) -> impl Output {
        crate::possessions::open_sockets(task.input())
    }

    #[handler("test.web.draws-random")]
    fn draws_random(task: &Task) -> impl Output {
        crate::possessions::draw_random(task)
    }
}
