//! Shows what happens in a host: lines that scroll, and below them on a terminal one living line per running task, and per
//! component that is compiled.

use std::{
    collections::HashMap,
    io::{self, IsTerminal, Write},
    path::Path,
    time::Duration,
};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use super::{bundles, conditions::yes_or_no, human, output::legible, requests, tasks};
use crate::{api::wire, rules::BundleId};

/// How often a living line shows its time anew while a task runs.
pub(super) const TICK: Duration = Duration::from_millis(200);

/// From so many bytes on, compiling a component is worth a plain line: what is smaller is there before anybody wonders.
pub(super) const LONG_TO_COMPILE: u64 = 1 << 20;

/// What a host says of itself while it serves; in JSON these stand among the events and are named in the same way.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub(super) enum Notice<'a> {
    /// It has opened its state folder and can be asked.
    Serving { host: &'a wire::About, socket: &'a Path, conditions: &'a [wire::Condition] },
    /// What it was told to install is installed.
    Ready { bundles: &'a [wire::Bundle] },
    /// It was asked to stop.
    Stopping { running: u64, grace_ms: u64 },
    /// Nothing is left to do: so many requests ended in this run, and so many of them without success.
    Done { ended: u64, not_succeeded: u64 },
}

/// Where happenings are shown.
pub(super) struct Display {
    mode: Mode,
    running: HashMap<u64, Running>,
    /// By bundle.
    compiling: HashMap<BundleId, ProgressBar>,
    /// The longest subject so far, so that details stand below each other.
    subject_width: usize,
    /// What a living line with progress shows.
    template: &'static str,
}

/// Of one among many: how far it is.
const FAR: &str = "{spinner} {prefix}  [{bar:24}] {pos}/{len}  {elapsed}  {msg}";
/// Of the one that is watched: how fast it is, too, and how long it may still take.
const FAST: &str = "{spinner} {prefix}  [{bar:24}] {pos}/{len}  {elapsed}, {per_sec}, {eta} left  {msg}";

enum Mode {
    /// One JSON object a line.
    Json,
    Plain,
    Live(MultiProgress),
}

struct Running {
    bar: ProgressBar,
    /// How many tenths of the work were shown in plain lines.
    tenths: u64,
}

/// One line for people.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    verb: String,
    subject: String,
    detail: String,
}

impl Display {
    pub(super) fn new(json: bool) -> Display {
        let mode = match json {
            true => Mode::Json,
            false if io::stdout().is_terminal() => {
                let multi = MultiProgress::with_draw_target(ProgressDrawTarget::stdout());
                if multi.is_hidden() { Mode::Plain } else { Mode::Live(multi) }
            }
            false => Mode::Plain,
        };
        Display { mode, running: HashMap::new(), compiling: HashMap::new(), subject_width: 0, template: FAR }
    }

    /// Shows one task that runs already, and how far it is.
    pub(super) fn of_task(json: bool, task: &wire::Task) -> Display {
        let mut display = Display { template: FAST, ..Display::new(json) };
        let bar = display.begin_bar(task.identifier.to_string());
        let mut tenths = 0;
        if let Some(progress) = &task.progress {
            show_progress(&bar, progress, display.template);
            // What was done before is not how fast it goes now.
            bar.reset_eta();
            tenths = human::percent(progress) / 10;
        }
        if let Some(title) = &task.title {
            bar.set_message(legible(&human::title(title, task.subtitle.as_deref().unwrap_or_default())));
        }
        display.running.insert(task.id, Running { bar, tenths });
        display
    }

    /// How many tasks run, as far as was heard.
    pub(super) fn running(&self) -> u64 {
        self.running.len() as u64
    }

    pub(super) fn notice(&mut self, notice: &Notice) -> io::Result<()> {
        match self.mode {
            Mode::Json => self.json(notice),
            Mode::Plain | Mode::Live(_) => announce(notice).iter().try_for_each(|line| self.print(line)),
        }
    }

    pub(super) fn event(&mut self, event: &wire::Event) -> io::Result<()> {
        let worth_a_line = self.follow(&event.what);
        if let Mode::Json = self.mode {
            return self.json(event);
        }
        match describe(&event.what) {
            Some(line) if worth_a_line => self.line(event, &line),
            _ => Ok(()),
        }
    }

    /// Takes the living lines away.
    pub(super) fn close(&mut self) {
        let running = self.running.drain().map(|(_, running)| running.bar);
        let bars: Vec<_> = running.chain(self.compiling.drain().map(|(_, bar)| bar)).collect();
        bars.iter().for_each(|bar| self.end_bar(bar));
    }

    /// Keeps the living lines as they should be, and says whether a scrolling line is due too.
    fn follow(&mut self, what: &wire::What) -> bool {
        match what {
            wire::What::Launched { identifier, task, .. } => {
                let bar = self.begin_bar(identifier.to_string());
                self.running.insert(*task, Running { bar, tenths: 0 });
            }
            wire::What::Progressed { task, progress, .. } => {
                let Some(running) = self.running.get_mut(task) else { return false };
                show_progress(&running.bar, progress, self.template);
                let tenths = human::percent(progress) / 10;
                let further = tenths > running.tenths;
                running.tenths = tenths;
                // A living line shows it already.
                return further && matches!(self.mode, Mode::Plain);
            }
            wire::What::Titled { task, title, subtitle, .. } => {
                let Some(running) = self.running.get(task) else { return false };
                running.bar.set_message(legible(&human::title(title, subtitle)));
                return matches!(self.mode, Mode::Plain);
            }
            wire::What::Suspended { task, .. } => {
                if let Some(running) = self.running.get(task) {
                    running.bar.set_message("held in place");
                }
            }
            wire::What::Resumed { task, .. } => {
                if let Some(running) = self.running.get(task) {
                    running.bar.set_message("");
                }
            }
            wire::What::Attached { .. } | wire::What::Detached { .. } => {}
            wire::What::Expiring { task, reason, .. } => {
                if let Some(running) = self.running.get(task) {
                    running.bar.set_message(format!("expiring: {reason}"));
                }
            }
            wire::What::Ended { task, .. } => {
                if let Some(running) = self.running.remove(task) {
                    self.end_bar(&running.bar);
                }
            }
            wire::What::Compiling { bundle, version: _, bytes } => {
                let bar = self.begin_bar(bundle.to_string());
                bar.set_message(format!("compiling {}", human::size(*bytes)));
                if let Some(before) = self.compiling.insert(bundle.0.clone(), bar) {
                    self.end_bar(&before);
                }
                // A living line says it already.
                return *bytes >= LONG_TO_COMPILE && matches!(self.mode, Mode::Plain);
            }
            wire::What::Compiled { bundle, .. } | wire::What::NotCompiled { bundle, .. } => {
                if let Some(bar) = self.compiling.remove(&bundle.0) {
                    self.end_bar(&bar);
                }
            }
            wire::What::BundleInstalled { .. }
            | wire::What::BundleRolledBack { .. }
            | wire::What::BundleSigned { .. }
            | wire::What::DataDropped { .. }
            | wire::What::BundleUninstalled { .. }
            | wire::What::BundleEnabled { .. }
            | wire::What::BundleDisabled { .. }
            | wire::What::GrantsChanged { .. }
            | wire::What::Enrolled { .. }
            | wire::What::EnrolmentWithdrawn { .. }
            | wire::What::Submitted { .. }
            | wire::What::Waiting { .. }
            | wire::What::Cancelled { .. }
            | wire::What::ConditionChanged { .. }
            | wire::What::Schedule { .. }
            | wire::What::Missed { .. } => {}
        }
        true
    }

    fn begin_bar(&self, identifier: String) -> ProgressBar {
        let Mode::Live(multi) = &self.mode else { return ProgressBar::hidden() };
        let bar = multi.add(
            ProgressBar::no_length().with_prefix(identifier).with_style(style("{spinner} {prefix}  {elapsed}  {msg}")),
        );
        bar.enable_steady_tick(TICK);
        bar
    }

    fn end_bar(&self, bar: &ProgressBar) {
        bar.finish_and_clear();
        if let Mode::Live(multi) = &self.mode {
            multi.remove(bar);
        }
    }

    fn line(&mut self, event: &wire::Event, line: &Line) -> io::Result<()> {
        let Line { verb, subject, detail } = line;
        let at = match (&event.at, &self.mode) {
            (None, _) => String::new(),
            // On a terminal somebody watches, and knows the day.
            (Some(at), Mode::Live(_)) => at.0.strftime("%H:%M:%SZ").to_string(),
            (Some(at), Mode::Plain | Mode::Json) => human::moment(at),
        };
        self.subject_width = self.subject_width.max(subject.chars().count());
        let text = format!("{at}  {verb:<9}  {subject:<width$}  {detail}", width = self.subject_width);
        self.print(text.trim_end())
    }

    fn json(&mut self, object: &impl Serialize) -> io::Result<()> {
        let mut out = io::stdout().lock();
        serde_json::to_writer(&mut out, object)?;
        out.write_all(b"\n")
    }

    fn print(&mut self, text: &str) -> io::Result<()> {
        match &self.mode {
            // A line that ends as lines do, unlike one padded to the width the terminal has now.
            Mode::Live(multi) => multi.suspend(|| writeln!(io::stdout(), "{}", legible(text))),
            Mode::Plain | Mode::Json => writeln!(io::stdout(), "{}", legible(text)),
        }
    }
}

fn show_progress(bar: &ProgressBar, progress: &wire::Progress, template: &str) {
    let wire::Progress { completed, total } = *progress;
    if total == 0 {
        bar.set_message(completed.to_string());
        return;
    }
    if bar.length() != Some(total) {
        bar.set_style(style(template));
        bar.set_length(total);
    }
    bar.set_position(completed.min(total));
}

pub(super) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates here are well-formed").progress_chars("=> ")
}

/// What people read of a notice.
fn announce(notice: &Notice) -> Vec<String> {
    match notice {
        Notice::Serving { host, socket, conditions } => {
            let wire::About { name, version, profile, state_folder } = host;
            let mut lines = vec![
                format!("{name} {version}, profile {profile}"),
                format!("  state folder    {}", state_folder.display()),
                format!("  socket          {}", socket.display()),
            ];
            let shown = |condition: &wire::Condition| {
                let holds = yes_or_no(condition.holds);
                format!("  {:<14}  {holds:<3}  ({})", condition.condition.to_string(), condition.source)
            };
            lines.extend(conditions.iter().map(shown));
            lines
        }
        Notice::Ready { bundles: [] } => vec!["ready, with no bundle installed".to_owned()],
        Notice::Ready { bundles } => {
            let shown = |bundle: &wire::Bundle| {
                let grants: String = bundle.grants.iter().map(|grant| format!(", {}", human::grant(grant))).collect();
                format!("ready with {} {}{grants}{}", bundle.bundle, bundle.version, bundles::holds_back(bundle))
            };
            bundles.iter().map(shown).collect()
        }
        Notice::Stopping { running: 0, .. } => vec!["stopping".to_owned()],
        Notice::Stopping { running, grace_ms } => {
            let have = if *running == 1 { "has" } else { "have" };
            let tasks = human::plural(*running, "running task");
            vec![format!("stopping: {tasks} {have} {} to finish; once more to stop at once", grace(*grace_ms))]
        }
        Notice::Done { ended: 0, .. } => vec!["done: nothing was to be run".to_owned()],
        Notice::Done { ended, not_succeeded: 0 } => {
            vec![format!("done: {} ended, all with success", human::plural(*ended, "request"))]
        }
        Notice::Done { ended, not_succeeded } => {
            vec![format!("done: {} ended, {not_succeeded} without success", human::plural(*ended, "request"))]
        }
    }
}

/// Whole seconds are said as such: `5 s`.
fn grace(milliseconds: u64) -> String {
    match milliseconds % 1_000 {
        0 => format!("{} s", milliseconds / 1_000),
        _ => human::length(milliseconds * 1_000),
    }
}

/// What people read of an event; nothing when it says nothing to them.
fn describe(what: &wire::What) -> Option<Line> {
    let line = |verb: &str, subject: &dyn ToString, detail: String| {
        Some(Line { verb: verb.to_owned(), subject: subject.to_string(), detail })
    };
    match what {
        wire::What::Compiling { bundle, version, bytes } => {
            line("compiling", bundle, format!("version {version}, {}", human::size(*bytes)))
        }
        // Its installation is told next.
        wire::What::Compiled { .. } => None,
        wire::What::NotCompiled { bundle, version, message } => {
            line("refused", bundle, format!("version {version}: {message}"))
        }
        wire::What::BundleInstalled { bundle, version } => line("installed", bundle, format!("version {version}")),
        wire::What::BundleRolledBack { bundle, version } => line("went back", bundle, format!("to version {version}")),
        wire::What::BundleSigned { bundle, signer } => line("signed", bundle, format!("by {signer}")),
        wire::What::DataDropped { bundle } => line("dropped", bundle, "the data kept of it".to_owned()),
        wire::What::BundleUninstalled { bundle } => line("removed", bundle, String::new()),
        wire::What::BundleEnabled { bundle } => line("enabled", bundle, String::new()),
        wire::What::BundleDisabled { bundle } => line("disabled", bundle, String::new()),
        wire::What::GrantsChanged { bundle, missing } if missing.is_empty() => {
            line("granted", bundle, "all it asks for".to_owned())
        }
        wire::What::GrantsChanged { bundle, missing } => {
            let lacks: Vec<_> = missing.iter().map(|missing| missing.ask.as_str()).collect();
            line("granted", bundle, format!("it still asks {}", lacks.join(", ")))
        }
        wire::What::Enrolled { bundle, study } => line("enrolled", bundle, format!("in the study `{study}`")),
        wire::What::EnrolmentWithdrawn { bundle, study } => {
            line("withdrawn", bundle, format!("from the study `{study}`"))
        }
        wire::What::Submitted { bundle: _, identifier, request, replaced } => {
            let replaced = replaced.map(|earlier| format!(", replaces request {earlier}")).unwrap_or_default();
            line("submitted", identifier, format!("request {request}{replaced}"))
        }
        wire::What::Waiting { reasons, .. } if reasons.is_empty() => None,
        wire::What::Waiting { bundle: _, identifier, request, reasons } => {
            line("waiting", identifier, format!("request {request}: {}", requests::because(reasons)))
        }
        wire::What::Cancelled { bundle: _, identifier, request, cause } => {
            line("cancelled", identifier, format!("request {request}, by {cause}"))
        }
        wire::What::Launched { bundle: _, identifier, request, task, kind, attempt } => {
            line("launched", identifier, format!("task {task}: {kind}, request {request}, attempt {attempt}"))
        }
        wire::What::Progressed { bundle: _, identifier, task, progress } => {
            line("progress", identifier, format!("task {task}: {}", human::progress(progress)))
        }
        wire::What::Titled { bundle: _, identifier, task, title, subtitle } => {
            line("titled", identifier, format!("task {task}: {}", human::title(title, subtitle)))
        }
        wire::What::Suspended { bundle: _, identifier, task } => {
            line("held", identifier, format!("task {task}: what it needs is gone"))
        }
        wire::What::Resumed { bundle: _, identifier, task } => line("resumed", identifier, format!("task {task}")),
        wire::What::Attached { bundle: _, identifier, task, watchers } => {
            line("attached", identifier, format!("task {task} is in the foreground{}", beside(*watchers, 1)))
        }
        wire::What::Detached { bundle: _, identifier, task, watchers: 0 } => {
            line("detached", identifier, format!("task {task} is in the background"))
        }
        wire::What::Detached { bundle: _, identifier, task, watchers } => {
            line("detached", identifier, format!("task {task} is in the foreground{}", beside(*watchers, 0)))
        }
        wire::What::Expiring { bundle: _, identifier, task, reason } => {
            line("expiring", identifier, format!("task {task}: {reason}"))
        }
        wire::What::Ended { bundle: _, identifier, task, outcome, usage, comes_back } => {
            let (verb, why) = match outcome {
                wire::Outcome::Expired { reason, .. } => ("expired".to_owned(), format!("{reason}, ")),
                outcome => (tasks::outcome_name(outcome), String::new()),
            };
            let tail = tasks::outcome_tail(outcome).map(|tail| format!(": {tail}")).unwrap_or_default();
            let back = if *comes_back { " (it comes back)" } else { "" };
            line(&verb, identifier, format!("task {task}: {why}{}{back}{tail}", human::usage(usage)))
        }
        wire::What::ConditionChanged { condition, holds, source } => {
            line("condition", condition, format!("{} ({source})", yes_or_no(*holds)))
        }
        wire::What::Schedule { bundle: _, identifier, schedule, news } => {
            let (verb, detail) = news_of(news);
            line(verb, identifier, format!("schedule {schedule}{detail}"))
        }
        wire::What::Missed { count } => {
            line("missed", &human::plural(*count, "event"), "they came faster than they could be shown".to_owned())
        }
    }
}

/// How many others watch a task, where any do.
fn beside(watchers: u64, own: u64) -> String {
    match watchers.saturating_sub(own) {
        0 => String::new(),
        others => format!(", watched by {others} {}", if own > 0 { "more" } else { "still" }),
    }
}

/// What became of a schedule, as verb and tail of a line.
fn news_of(news: &wire::ScheduleNews) -> (&'static str, String) {
    match news {
        wire::ScheduleNews::Added => ("added", String::new()),
        wire::ScheduleNews::Removed { cause } => ("removed", format!(", by {cause}")),
        wire::ScheduleNews::Enabled => ("enabled", String::new()),
        wire::ScheduleNews::Disabled => ("disabled", String::new()),
        wire::ScheduleNews::Due { occurrence, request } => {
            ("due", format!(" of {}: request {request}", human::moment(occurrence)))
        }
        wire::ScheduleNews::Refused { occurrence, code: _, message } => {
            ("refused", format!(" of {}: {message}", human::moment(occurrence)))
        }
        wire::ScheduleNews::Missed { from, to } if from == to => ("missed", format!(" of {}", human::moment(from))),
        wire::ScheduleNews::Missed { from, to } => {
            ("missed", format!(" from {} to {}", human::moment(from), human::moment(to)))
        }
        wire::ScheduleNews::Restarted { from } => {
            ("restarted", format!(": the clock was set back from after {}", human::moment(from)))
        }
        wire::ScheduleNews::Stopped { message } => ("stopped", format!(": {message}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{ExpirationReason, Happening, Identifier, KindName, Outcome, RequestId, TaskId, Usage, What};

    fn told(what: What) -> Option<(String, String, String)> {
        let event = wire::Event::from(&Happening { at: "2026-07-28T09:00:00Z".parse().unwrap(), what });
        describe(&event.what).map(|Line { verb, subject, detail }| (verb, subject, detail))
    }

    #[test]
    fn the_life_of_a_task_is_told_line_by_line() {
        let bundle = || BundleId::parse("com.example.a").unwrap();
        let identifier = || Identifier::parse("com.example.a.b").unwrap();
        let (request, task) = (RequestId(3), TaskId(7));
        let usage = Usage { fuel: 12_300_000, wall: Duration::from_millis(1_200), peak_memory: 4_718_592 };
        let ended = |outcome, comes_back| What::Ended {
            bundle: bundle(),
            identifier: identifier(),
            task,
            outcome,
            usage,
            comes_back,
        };
        let cases = [
            (
                What::Submitted { bundle: bundle(), identifier: identifier(), request, replaced: Some(RequestId(2)) },
                "submitted",
                "request 3, replaces request 2",
            ),
            (
                What::Launched {
                    bundle: bundle(),
                    identifier: identifier(),
                    request,
                    task,
                    kind: KindName::Processing,
                    attempt: 2,
                },
                "launched",
                "task 7: processing, request 3, attempt 2",
            ),
            (
                ended(Outcome::Succeeded { output: b"40 images".to_vec() }, false),
                "succeeded",
                "task 7: 1.2 s, 12.3 M fuel, 4.5 MiB: 40 images",
            ),
            (
                ended(Outcome::Expired { reason: ExpirationReason::HostStopping, returned: None }, true),
                "expired",
                "task 7: host-stopping, 1.2 s, 12.3 M fuel, 4.5 MiB (it comes back): stopped by force",
            ),
        ];
        for (what, verb, detail) in cases {
            assert_eq!(told(what), Some((verb.to_owned(), "com.example.a.b".to_owned(), detail.to_owned())));
        }
        let ready = What::Waiting { bundle: bundle(), identifier: identifier(), request, reasons: vec![] };
        assert_eq!(told(ready), None);
    }

    #[test]
    fn stopping_says_how_long_tasks_have() {
        let said = |running| announce(&Notice::Stopping { running, grace_ms: 5_000 }).concat();
        assert_eq!(said(0), "stopping");
        assert_eq!(said(1), "stopping: 1 running task has 5 s to finish; once more to stop at once");
        assert_eq!(said(3), "stopping: 3 running tasks have 5 s to finish; once more to stop at once");
    }

    fn plain() -> Display {
        Display {
            mode: Mode::Plain,
            running: HashMap::new(),
            compiling: HashMap::new(),
            subject_width: 0,
            template: FAR,
        }
    }

    #[test]
    fn compiling_is_a_plain_line_or_a_living_one_until_it_is_over() {
        let bundle = || BundleId::parse("com.example.a").unwrap();
        let version = || "1.0.0".to_owned();
        let of_size = |bytes| What::Compiling { bundle: bundle(), version: version(), bytes };
        let compiling = || of_size(20 << 20);
        let not_compiled =
            || What::NotCompiled { bundle: bundle(), version: version(), message: "too much".to_owned() };
        let said = |verb: &str, detail: &str| Some((verb.to_owned(), "com.example.a".to_owned(), detail.to_owned()));
        assert_eq!(told(compiling()), said("compiling", "version 1.0.0, 20.0 MiB"));
        assert_eq!(told(What::Compiled { bundle: bundle(), version: version() }), None);
        assert_eq!(told(not_compiled()), said("refused", "version 1.0.0: too much"));
        let target = || MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        for (mode, is_a_line) in [(Mode::Plain, true), (Mode::Live(target()), false)] {
            let mut display = Display { mode, ..plain() };
            assert_eq!(display.follow(&wire::What::from(&compiling())), is_a_line);
            assert!(!display.follow(&wire::What::from(&of_size(1000))));
            assert_eq!((display.compiling.len(), display.running()), (1, 0));
            assert!(display.follow(&wire::What::from(&not_compiled())));
            assert!(display.compiling.is_empty());
        }
    }

    #[test]
    fn plain_lines_tell_progress_by_tenths() {
        let mut display = plain();
        let identifier = || wire::Text(Identifier::parse("com.example.a.b").unwrap());
        let bundle = || wire::Text(BundleId::parse("com.example.a").unwrap());
        let kind = wire::Text(KindName::Processing);
        display.follow(&wire::What::Launched {
            bundle: bundle(),
            identifier: identifier(),
            request: 1,
            task: 1,
            kind,
            attempt: 1,
        });
        let told: Vec<u64> = (0..=100)
            .filter(|&completed| {
                let progress = wire::Progress { completed, total: 100 };
                display.follow(&wire::What::Progressed {
                    bundle: bundle(),
                    identifier: identifier(),
                    task: 1,
                    progress,
                })
            })
            .collect();
        assert_eq!(told, [10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
    }
}
