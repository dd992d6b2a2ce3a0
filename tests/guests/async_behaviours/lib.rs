//! The same behaviours in the asynchronous world, one identifier for each: those that wait await, the others are the very same
//! files. A story told of one component is told of both.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a task's log is what it prints")]

#[path = "../src/asks_everything.rs"]
mod asks_everything;
#[path = "../src/asks_for_continued.rs"]
mod asks_for_continued;
#[path = "../src/asks_pending.rs"]
mod asks_pending;
#[path = "../src/checkpoints.rs"]
mod checkpoints;
#[path = "../src/computes.rs"]
mod computes;
#[path = "../src/eats_fuel.rs"]
mod eats_fuel;
#[path = "../src/eats_memory.rs"]
mod eats_memory;
#[path = "../src/escapes.rs"]
mod escapes;
#[path = "../src/exits.rs"]
mod exits;
#[path = "../src/fails.rs"]
mod fails;
#[path = "../src/fills_a_file.rs"]
mod fills_a_file;
#[path = "../src/fills_a_folder.rs"]
mod fills_a_folder;
#[path = "../src/floods_log.rs"]
mod floods_log;
#[path = "../src/hides_files.rs"]
mod hides_files;
mod ignores_expiration_awaiting;
#[path = "../src/lists_too_many.rs"]
mod lists_too_many;
#[path = "../src/moves_between_folders.rs"]
mod moves_between_folders;
#[path = "../src/nothing.rs"]
mod nothing;
#[path = "../src/opens_too_many.rs"]
mod opens_too_many;
#[path = "../src/polls_expiration.rs"]
mod polls_expiration;
#[path = "../src/reads_grant.rs"]
mod reads_grant;
#[path = "../src/recurses.rs"]
mod recurses;
#[path = "../src/remembers.rs"]
mod remembers;
#[path = "../src/reports_attempt.rs"]
mod reports_attempt;
#[path = "../src/reports_progress.rs"]
mod reports_progress;
#[path = "../src/resubmits.rs"]
mod resubmits;
#[path = "../src/returns_too_much.rs"]
mod returns_too_much;
#[path = "../src/saves_too_much.rs"]
mod saves_too_much;
mod shows_its_work;
mod sleeps;
#[path = "../src/spins_bare.rs"]
mod spins_bare;
#[path = "../src/spins_calling.rs"]
mod spins_calling;
#[path = "../src/stretches_a_file.rs"]
mod stretches_a_file;
#[path = "../src/submits_not_permitted.rs"]
mod submits_not_permitted;
#[path = "../src/submits_without_end.rs"]
mod submits_without_end;
#[path = "../src/succeeds.rs"]
mod succeeds;
#[path = "../src/talks_at_length.rs"]
mod talks_at_length;
mod tells_its_time;
#[path = "../src/traps.rs"]
mod traps;
mod waits_for_its_end;
mod waits_on_first_attempt;
#[path = "../src/work.rs"]
mod work;
#[path = "../src/writes_clock.rs"]
mod writes_clock;
#[path = "../src/writes_once.rs"]
mod writes_once;

#[idlewild_guest::bundle]
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
    async fn ignores_expiration_awaiting(task: Task) -> impl Output {
        crate::ignores_expiration_awaiting::run(task).await
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
    async fn shows_its_work(task: Task) -> impl Output {
        crate::shows_its_work::run(task).await
    }

    #[handler("test.behaviours.sleeps")]
    async fn sleeps(task: Task) -> impl Output {
        crate::sleeps::run(task).await
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
    async fn tells_its_time(task: Task) -> impl Output {
        crate::tells_its_time::run(task).await
    }

    #[handler("test.behaviours.traps")]
    fn traps(task: &Task) -> impl Output {
        crate::traps::run(task)
    }

    #[handler("test.behaviours.waits-for-its-end")]
    async fn waits_for_its_end(task: Task) -> impl Output {
        crate::waits_for_its_end::run(task).await
    }

    #[handler("test.behaviours.waits-on-first-attempt")]
    async fn waits_on_first_attempt(task: Task) -> impl Output {
        crate::waits_on_first_attempt::run(task).await
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
