//! What real guests do, good and bad: one component, one file for each behaviour, one identifier for each file.
//!
//! It stands for other people's code, so it may do what the house forbids itself. `activate` submits nothing.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a task's log is what it prints")]

mod asks_everything;
mod asks_for_continued;
mod asks_pending;
mod checkpoints;
mod computes;
mod eats_fuel;
mod eats_memory;
mod escapes;
mod exits;
mod fails;
mod fills_a_file;
mod fills_a_folder;
mod floods_log;
mod hides_files;
mod ignores_expiration_awaiting;
mod lists_too_many;
mod moves_between_folders;
mod nothing;
mod opens_too_many;
mod polls_expiration;
mod reads_grant;
mod recurses;
mod remembers;
mod reports_attempt;
mod reports_progress;
mod resubmits;
mod returns_too_much;
mod saves_too_much;
mod shows_its_work;
mod sleeps;
mod spins_bare;
mod spins_calling;
mod stretches_a_file;
mod submits_not_permitted;
mod submits_without_end;
mod succeeds;
mod talks_at_length;
mod tells_its_time;
mod traps;
mod waits_for_its_end;
mod waits_on_first_attempt;
mod work;
mod writes_clock;
mod writes_once;

/// Every behaviour by its identifier, in the world that works in order.
#[idlewild_guest::bundle(sync)]
mod bundle {
    use idlewild_guest::{Output, Task};

    #[handler("test.behaviours.asks-everything")]
    fn asks_everything(task: &Task) -> impl Output {
        crate::asks_everything::run(task)
    }

    #[handler("test.behaviours.asks-for-continued")]
    fn asks_for_continued(task: &Task) -> impl Output {
        crate::asks_for_continued::run(task)
    }

    #[handler("test.behaviours.asks-pending")]
    fn asks_pending(task: &Task) -> impl Output {
        crate::asks_pending::run(task)
    }

    #[handler("test.behaviours.checkpoints")]
    fn checkpoints(task: &Task) -> impl Output {
        crate::checkpoints::run(task)
    }

    #[handler("test.behaviours.computes")]
    fn computes(task: &Task) -> impl Output {
        crate::computes::run(task)
    }

    #[handler("test.behaviours.eats-fuel")]
    fn eats_fuel(task: &Task) -> impl Output {
        crate::eats_fuel::run(task)
    }

    #[handler("test.behaviours.eats-memory")]
    fn eats_memory(task: &Task) -> impl Output {
        crate::eats_memory::run(task)
    }

    #[handler("test.behaviours.escapes")]
    fn escapes(task: &Task) -> impl Output {
        crate::escapes::run(task)
    }

    #[handler("test.behaviours.exits")]
    fn exits(task: &Task) -> impl Output {
        crate::exits::run(task)
    }

    #[handler("test.behaviours.fails")]
    fn fails(task: &Task) -> impl Output {
        crate::fails::run(task)
    }

    #[handler("test.behaviours.fills-a-file")]
    fn fills_a_file(task: &Task) -> impl Output {
        crate::fills_a_file::run(task)
    }

    #[handler("test.behaviours.fills-a-folder")]
    fn fills_a_folder(task: &Task) -> impl Output {
        crate::fills_a_folder::run(task)
    }

    #[handler("test.behaviours.floods-log")]
    fn floods_log(task: &Task) -> impl Output {
        crate::floods_log::run(task)
    }

    #[handler("test.behaviours.hides-files")]
    fn hides_files(task: &Task) -> impl Output {
        crate::hides_files::run(task)
    }

    #[handler("test.behaviours.ignores-expiration-awaiting")]
    fn ignores_expiration_awaiting(task: &Task) -> impl Output {
        crate::ignores_expiration_awaiting::run(task)
    }

    #[handler("test.behaviours.lists-too-many")]
    fn lists_too_many(task: &Task) -> impl Output {
        crate::lists_too_many::run(task)
    }

    #[handler("test.behaviours.moves-between-folders")]
    fn moves_between_folders(task: &Task) -> impl Output {
        crate::moves_between_folders::run(task)
    }

    #[handler("test.behaviours.nothing.*")]
    fn nothing(task: &Task) -> impl Output {
        crate::nothing::run(task)
    }

    #[handler("test.behaviours.opens-too-many")]
    fn opens_too_many(task: &Task) -> impl Output {
        crate::opens_too_many::run(task)
    }

    #[handler("test.behaviours.polls-expiration")]
    fn polls_expiration(task: &Task) -> impl Output {
        crate::polls_expiration::run(task)
    }

    #[handler("test.behaviours.reads-grant")]
    fn reads_grant(task: &Task) -> impl Output {
        crate::reads_grant::run(task)
    }

    #[handler("test.behaviours.recurses")]
    fn recurses(task: &Task) -> impl Output {
        crate::recurses::run(task)
    }

    #[handler("test.behaviours.remembers")]
    fn remembers(task: &Task) -> impl Output {
        crate::remembers::run(task)
    }

    #[handler("test.behaviours.reports-attempt")]
    fn reports_attempt(task: &Task) -> impl Output {
        crate::reports_attempt::run(task)
    }

    #[handler("test.behaviours.reports-progress")]
    fn reports_progress(task: &Task) -> impl Output {
        crate::reports_progress::run(task)
    }

    #[handler("test.behaviours.resubmits")]
    fn resubmits(task: &Task) -> impl Output {
        crate::resubmits::run(task)
    }

    #[handler("test.behaviours.returns-too-much")]
    fn returns_too_much(task: &Task) -> impl Output {
        crate::returns_too_much::run(task)
    }

    #[handler("test.behaviours.saves-too-much")]
    fn saves_too_much(task: &Task) -> impl Output {
        crate::saves_too_much::run(task)
    }

    #[handler("test.behaviours.shows-its-work")]
    fn shows_its_work(task: &Task) -> impl Output {
        crate::shows_its_work::run(task)
    }

    #[handler("test.behaviours.sleeps")]
    fn sleeps(task: &Task) -> impl Output {
        crate::sleeps::run(task)
    }

    #[handler("test.behaviours.spins-bare")]
    fn spins_bare(task: &Task) -> impl Output {
        crate::spins_bare::run(task)
    }

    #[handler("test.behaviours.spins-calling")]
    fn spins_calling(task: &Task) -> impl Output {
        crate::spins_calling::run(task)
    }

    #[handler("test.behaviours.stretches-a-file")]
    fn stretches_a_file(task: &Task) -> impl Output {
        crate::stretches_a_file::run(task)
    }

    #[handler("test.behaviours.submits-not-permitted")]
    fn submits_not_permitted(task: &Task) -> impl Output {
        crate::submits_not_permitted::run(task)
    }

    #[handler("test.behaviours.submits-without-end")]
    fn submits_without_end(task: &Task) -> impl Output {
        crate::submits_without_end::run(task)
    }

    #[handler("test.behaviours.succeeds")]
    fn succeeds(task: &Task) -> impl Output {
        crate::succeeds::run(task)
    }

    #[handler("test.behaviours.talks-at-length")]
    fn talks_at_length(task: &Task) -> impl Output {
        crate::talks_at_length::run(task)
    }

    #[handler("test.behaviours.tells-its-time")]
    fn tells_its_time(task: &Task) -> impl Output {
        crate::tells_its_time::run(task)
    }

    #[handler("test.behaviours.traps")]
    fn traps(task: &Task) -> impl Output {
        crate::traps::run(task)
    }

    #[handler("test.behaviours.waits-for-its-end")]
    fn waits_for_its_end(task: &Task) -> impl Output {
        crate::waits_for_its_end::run(task)
    }

    #[handler("test.behaviours.waits-on-first-attempt")]
    fn waits_on_first_attempt(task: &Task) -> impl Output {
        crate::waits_on_first_attempt::run(task)
    }

    #[handler("test.behaviours.writes-clock")]
    fn writes_clock(task: &Task) -> impl Output {
        crate::writes_clock::run(task)
    }

    #[handler("test.behaviours.writes-once")]
    fn writes_once(task: &Task) -> impl Output {
        crate::writes_once::run(task)
    }
}
