//! What can be typed: commands, options, and their help.

use std::{
    fs,
    io::{self, Read as _},
    path::{self, PathBuf},
};

use anyhow::Context as _;
use clap::{
    Args, Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};

use super::{
    file_arguments::{Build, Inspect, Keys, Sign, Verify},
    new::New,
    schedule::Schedules,
};
use crate::{
    api::wire::{self, FromText, Text},
    daemon::{self, GrantOffer},
    rules::{
        BundleId, Condition, DataProtection, ExpirationReason, Identifier, KindName, Priority, SubmissionStrategy,
        Timestamp,
    },
};

const AFTER_HELP: &str = "\
Commands ask the host that runs on the state folder. When none runs they open the folder themselves for a moment, launch \
nothing, and what they ask for is kept until `idlewild serve` runs.

Dates and times are in UTC.

Exit codes:
  0    done; a host that was asked to stop has stopped
  1    something went wrong, and stderr says what
  2    the command line could not be understood
  3    serve --exit-when-done: not every task succeeded; attach, submit --wait and --attach: the task did not succeed
  130  stopped at once by a second SIGINT; attach, submit --wait and --attach: SIGINT came first, and the task is left as it is
  143  stopped at once by a second SIGTERM";

const GIVEN: &str = "Options of every command";

/// Runs background tasks at the right moment, and tells why one has not run yet.
#[derive(Debug, Parser)]
#[command(name = "idlewild", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) given: Given,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// What every command takes.
#[derive(Debug, Args)]
pub(super) struct Given {
    /// The state folder: what is installed, pending, and has run [default: IDLEWILD_STATE, else the user's state folder]
    #[arg(long, global = true, value_name = "DIR", help_heading = GIVEN)]
    state: Option<PathBuf>,
    /// Print JSON for programs: one object, or one a line for lists and events
    #[arg(long, global = true, help_heading = GIVEN)]
    pub(super) json: bool,
}

impl Given {
    /// Where the host is, as an absolute path.
    pub(super) fn state_folder(&self) -> anyhow::Result<PathBuf> {
        match &self.state {
            Some(state) => path::absolute(state).with_context(|| format!("the state folder {}", state.display())),
            None => daemon::state_folder(),
        }
    }

    /// The option that a hint must repeat to mean the same host.
    pub(super) fn state_option(&self) -> String {
        match &self.state {
            Some(state) => format!(" --state {}", quoted(&state.to_string_lossy())),
            None => String::new(),
        }
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a host, and show what its tasks do
    #[command(after_help = "\
Lines are live on a terminal, plain otherwise. SIGINT and SIGTERM ask running tasks to stop, wait for them, and end with \
exit code 0; a second one stops at once.

Example:
  idlewild serve ./gallery --grant gallery=~/Pictures --grant album=/srv/album --assume idle")]
    Serve(Serve),
    /// Install a bundle, or a new version of it
    #[command(after_help = "\
Example:
  idlewild install ./gallery --grant gallery=~/Pictures --grant album=/srv/album")]
    Install(Install),
    /// Put a new version of an installed bundle in its place
    #[command(after_help = "\
All of it changes or nothing does: if the new version cannot be installed, or its `activate` fails, the old one goes on with all \
that was pending. Running tasks finish on the old version.

Example:
  idlewild upgrade ./gallery")]
    Upgrade(Install),
    /// Go back to the version before this one; a second time, forth again
    #[command(after_help = "Example:\n  idlewild rollback com.example.gallery")]
    Rollback(OfBundle),
    /// Remove a bundle, cancel its requests and expire its tasks
    #[command(after_help = "\
On a terminal it says what will be lost, and asks. Data that was kept is found again when the bundle is installed again; \
uninstalling it once more drops that too.

Example:
  idlewild uninstall com.example.gallery --keep-data")]
    Uninstall(Uninstall),
    /// Let a disabled bundle run again
    #[command(after_help = "Example:\n  idlewild enable com.example.gallery")]
    Enable(OfBundle),
    /// Launch nothing more of a bundle; what is pending waits
    #[command(after_help = "\
What is pending waits, and nothing more is accepted (`unavailable`). Running tasks may finish, unless --now asks them to stop.

Example:
  idlewild disable com.example.gallery --now")]
    Disable(Disable),
    /// List what a bundle asks for and was given, or change it
    #[command(after_help = "\
Running tasks keep what they began with; the next launches have the new.

Example:
  idlewild grants com.example.gallery --grant gallery=~/Pictures --revoke album")]
    Grants(Grants),
    /// List what is installed
    #[command(after_help = "Example:\n  idlewild bundles --json")]
    Bundles,
    /// Tell all that is known of a bundle, or why a file cannot be installed
    #[command(after_help = "\
Nothing is compiled or run, and no host is needed for a file.

Example:
  idlewild inspect ./gallery")]
    Inspect(Inspect),
    /// Build a bundle into one file: compile it where cargo can, and pack it
    #[command(after_help = "\
Where the folder is a crate's and the manifest names what cargo makes there, cargo runs first.

Example:
  idlewild build ./gallery -o gallery.wasm")]
    Build(Build),
    /// Sign a bundle
    #[command(after_help = "\
The signature covers manifest and component. It stands in a packed file, or as idlewild.minisig in a folder.

Example:
  idlewild sign gallery.wasm --key ada.key")]
    Sign(Sign),
    /// Check a bundle's signature
    #[command(after_help = "Example:\n  idlewild verify gallery.wasm --key ada.pub")]
    Verify(Verify),
    /// Make keys, and say whom this host trusts to sign bundles
    #[command(after_help = "Example:\n  idlewild keys trust ada.pub")]
    Keys(Keys),
    /// Ask for a task
    #[command(after_help = "\
A request replaces the one pending for the same identifier. With --wait its output alone goes to stdout, as its task wrote it; \
stderr says why it waits, and SIGINT ends the waiting, not the request.

Examples:
  idlewild submit com.example.gallery.image-count --requires-external-power --in 15m
  idlewild submit com.example.gallery.image-count --wait > count")]
    Submit(Submit),
    /// Watch a running task, which is in the foreground meanwhile
    #[command(after_help = "\
A task that is watched goes first, and stays when others must give way. It is in the background again as soon as nobody watches \
it, however that came about. On a terminal SIGINT asks whether to detach, to cancel the task or to go on; elsewhere it detaches.

Example:
  idlewild attach com.example.gallery.export.holidays")]
    Attach(OfTask),
    /// List what waits, and why
    #[command(after_help = "Example:\n  idlewild pending --limit 20")]
    Pending(Pending),
    /// Cancel what is pending for an identifier
    #[command(after_help = "\
A running task goes on, but is neither tried again nor repeated; continued-processing is asked to stop.

Example:\n  idlewild cancel com.example.gallery.refresh")]
    Cancel(Named),
    /// Launch what is pending of an identifier now, for development
    #[command(after_help = "\
It waits neither for its dates nor for a better moment, but still for what the machine lacks, unless forced.

Example:
  idlewild launch com.example.gallery.image-count --force")]
    Launch(Launch),
    /// Ask what runs of an identifier to stop now, for development
    #[command(after_help = "Example:\n  idlewild expire com.example.gallery.image-count --reason time-limit")]
    Expire(Expire),
    /// Ask for tasks by the calendar, and show when they come
    #[command(after_help = "Example:\n  idlewild schedule list")]
    Schedule(Schedules),
    /// List tasks, newest first
    #[command(after_help = "Example:\n  idlewild tasks --identifier com.example.gallery.refresh")]
    Tasks(Past),
    /// List what changed of bundles and requests, and why, newest first
    #[command(after_help = "\
Tasks are listed by `idlewild tasks`.

Example:
  idlewild history --bundle com.example.gallery")]
    History(Past),
    /// Show everything about one task, its output included
    #[command(after_help = "Example:\n  idlewild task 12")]
    Task(Task),
    /// Print what a task wrote to stdout and stderr
    #[command(after_help = "Examples:\n  idlewild logs com.example.gallery.refresh\n  idlewild logs -f 12")]
    Logs(Logs),
    /// Tell why an identifier's task has not run yet
    #[command(after_help = "Example:\n  idlewild why com.example.gallery.image-count")]
    Why(Named),
    /// Write a project: a Rust crate with a handler, its test and its manifest
    #[command(after_help = "\
On a terminal it asks what no option says.

Example:
  idlewild new notes --work long --requires-network --every 24h")]
    New(New),
    /// Show what the machine is like, or state it by hand
    #[command(after_help = "\
A running host forgets what was stated when it stops; with no host running nothing can be stated.

Example:
  idlewild conditions idle=yes network=auto")]
    Conditions(Conditions),
    /// Compile a component for the host that started this process
    #[command(hide = true)]
    CompileComponent(CompileComponent),
}

#[derive(Debug, Args)]
pub(super) struct CompileComponent {
    /// What the host binds it to
    #[arg(value_name = "BOUND")]
    pub(super) bounds: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Bundles to install first: folders that hold an idlewild.toml, or packed files
    #[arg(value_name = "BUNDLE")]
    pub(super) bundles: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) grants: GrantOptions,
    /// State a condition instead of reading it from the machine: any that `idlewild conditions` lists, each also with no-
    #[arg(long = "assume", value_name = "CONDITION", value_parser = daemon::parse_assumption)]
    pub(super) assumptions: Vec<(Condition, bool)>,
    /// Install a bundle though a newer version of it is installed
    #[arg(long)]
    pub(super) allow_downgrade: bool,
    /// Also when somebody else signed it than what it replaces, or nobody did
    #[arg(long)]
    pub(super) allow_other_signer: bool,
    /// End when nothing runs and nothing waits for anything but a later date
    #[arg(long)]
    pub(super) exit_when_done: bool,
}

#[derive(Debug, Args)]
pub(super) struct Install {
    /// The bundle's folder, its idlewild.toml, or its packed file
    #[arg(value_name = "PATH")]
    pub(super) path: PathBuf,
    /// Install it though a newer version is installed
    #[arg(long)]
    pub(super) allow_downgrade: bool,
    /// Also when somebody else signed it than what it replaces, or nobody did
    #[arg(long)]
    pub(super) allow_other_signer: bool,
    #[command(flatten)]
    pub(super) grants: GrantOptions,
}

#[derive(Debug, Args)]
pub(super) struct OfBundle {
    /// The bundle's id
    #[arg(value_name = "BUNDLE", value_parser = BundleId::parse)]
    pub(super) bundle: BundleId,
}

#[derive(Debug, Args)]
pub(super) struct Disable {
    /// The bundle's id
    #[arg(value_name = "BUNDLE", value_parser = BundleId::parse)]
    pub(super) bundle: BundleId,
    /// Ask what runs of it to stop
    #[arg(long)]
    pub(super) now: bool,
}

#[derive(Debug, Args)]
pub(super) struct Grants {
    /// The bundle's id
    #[arg(value_name = "BUNDLE", value_parser = BundleId::parse)]
    pub(super) bundle: BundleId,
    /// Take back what was given as NAME, an origin by itself; may be given again
    #[arg(long, value_name = "NAME")]
    pub(super) revoke: Vec<String>,
    /// Withdraw this machine from the study: its requests are cancelled, its tasks asked to stop
    #[arg(long, value_name = "STUDY")]
    pub(super) withdraw: Option<String>,
    #[command(flatten)]
    pub(super) grants: GrantOptions,
}

/// What the operator gives of what bundles ask for. Each may be given again.
#[derive(Debug, Args)]
#[command(next_help_heading = "Grants")]
pub(super) struct GrantOptions {
    /// The folder PATH as the NAME it asks for
    #[arg(long = "grant", value_name = "NAME=PATH", value_parser = directory)]
    directories: Vec<GrantOffer>,
    /// Requests to ORIGIN, such as https://photos.example.com, at public addresses
    #[arg(long = "allow", value_name = "ORIGIN", value_parser = |text: &str| GrantOffer::parse_http(text, false))]
    origins: Vec<GrantOffer>,
    /// Requests to ORIGIN, also where its name leads to a private, loopback or link-local address
    #[arg(long = "allow-private", value_name = "ORIGIN", value_parser = |text: &str| GrantOffer::parse_http(text, true))]
    private_origins: Vec<GrantOffer>,
    /// The configuration NAME, which the guest sees as an environment variable
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = GrantOffer::parse_config)]
    config: Vec<GrantOffer>,
    /// The secret NAME from a file, or from credential:CREDENTIAL of the service manager; with
    /// ,header=HEADER,origin=ORIGIN behind it the guest never sees it
    #[arg(long = "secret", value_name = "NAME=FILE", value_parser = secret)]
    secrets: Vec<GrantOffer>,
    /// Enrol this machine in the STUDY its health-research is for
    #[arg(long = "enrol", value_name = "STUDY", value_parser = GrantOffer::parse_study)]
    studies: Vec<GrantOffer>,
}

impl GrantOptions {
    pub(super) fn offers(self) -> Vec<GrantOffer> {
        let GrantOptions { directories, origins, private_origins, config, secrets, studies } = self;
        [directories, origins, private_origins, config, secrets, studies].concat()
    }
}

#[derive(Debug, Args)]
pub(super) struct Uninstall {
    /// The bundle's id
    #[arg(value_name = "BUNDLE", value_parser = BundleId::parse)]
    pub(super) bundle: BundleId,
    /// Let its data and checkpoints wait for it to be installed again
    #[arg(long)]
    pub(super) keep_data: bool,
    /// Do not ask
    #[arg(long, short)]
    pub(super) yes: bool,
}

#[derive(Debug, Args)]
pub(super) struct Submit {
    /// Which handler is to run
    #[arg(value_name = "IDENTIFIER", value_parser = Identifier::parse)]
    pub(super) identifier: Identifier,
    /// What sort of work it is [default: processing when it requires network or power, continued-processing with a title, else
    /// app-refresh]
    #[arg(long, value_parser = PossibleValuesParser::new(KINDS).try_map(|word| KindName::from_text(&word)))]
    kind: Option<KindName>,
    /// Not before so much time has passed, such as 15m or 2h30m
    #[arg(long = "in", value_name = "TIME", value_parser = super::human::parse_length, conflicts_with = "at")]
    later: Option<jiff::SignedDuration>,
    /// Not before this date and time, such as 2026-07-28T09:00:00Z
    #[arg(long, value_name = "RFC3339", value_parser = Timestamp::from_text)]
    at: Option<Timestamp>,
    /// By then wait for no better moment, though still for what the task needs
    #[arg(long, value_name = "RFC3339", value_parser = Timestamp::from_text)]
    by: Option<Timestamp>,
    /// What the handler is given: the text itself, @FILE for a file's content, @- for stdin
    #[arg(long, value_name = "TEXT|@FILE")]
    input: Option<String>,
    /// Only while there is a network
    #[arg(long)]
    requires_network: bool,
    /// Only while the machine does not run on battery
    #[arg(long)]
    requires_external_power: bool,
    /// How far the protection of the data it needs must be lifted, for health-research
    #[arg(long, value_name = "LEVEL", value_parser = DataProtection::from_text)]
    protection: Option<DataProtection>,
    /// What is being done, for continued-processing
    #[arg(long)]
    title: Option<String>,
    /// More about it
    #[arg(long, requires = "title")]
    subtitle: Option<String>,
    /// Fail when continued-processing cannot start at once, instead of queueing
    #[arg(long, requires = "title")]
    now_or_never: bool,
    /// Only after this one has succeeded; may be given again
    #[arg(long = "run-after", value_name = "IDENTIFIER", value_parser = Identifier::parse)]
    run_after: Vec<Identifier>,
    /// Which of the bundle's ready requests of one kind goes first
    #[arg(long, default_value = "normal", value_parser = PossibleValuesParser::new(["low", "normal", "high"]).try_map(|word| Priority::from_text(&word)))]
    priority: Priority,
    /// Ask for the same again every so much time
    #[arg(long, value_name = "TIME", value_parser = super::human::parse_length)]
    every: Option<jiff::SignedDuration>,
    /// How much before it is due again it may already begin
    #[arg(long, value_name = "TIME", value_parser = super::human::parse_length, requires = "every")]
    flex: Option<jiff::SignedDuration>,
    /// How many launches it has when its handler fails, the first included
    #[arg(long, value_name = "NUMBER")]
    attempts: Option<u32>,
    /// The wait before the second launch; each further wait is twice the one before
    #[arg(long, value_name = "TIME", value_parser = super::human::parse_length, default_value = "30s")]
    first_delay: jiff::SignedDuration,
    /// The longest wait between two launches
    #[arg(long, value_name = "TIME", value_parser = super::human::parse_length, default_value = "5h")]
    longest_delay: jiff::SignedDuration,
    /// Let it be held in place while its conditions are gone, instead of being asked to stop
    #[arg(long)]
    may_suspend: bool,
    /// Name this submission: made again under the same name it is not made twice. Give a date by --at: --in asks for another
    /// one each time
    #[arg(long, value_name = "KEY")]
    pub(super) key: Option<String>,
    /// Wait until it has ended, and print its output; exit code 3 when it did not succeed
    #[arg(long)]
    pub(super) wait: bool,
    /// Watch its task until it has ended, as `idlewild attach` does
    #[arg(long, conflicts_with = "wait")]
    pub(super) attach: bool,
}

const KINDS: [&str; 4] = ["app-refresh", "processing", "health-research", "continued-processing"];

impl Submit {
    /// The request as it is sent. Errors: a date beyond all dates, an input that cannot be read.
    pub(super) fn request(&self) -> anyhow::Result<wire::Request> {
        let ms = |span: &jiff::SignedDuration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let mut request = wire::Request::new(self.identifier.clone(), self.kind());
        request.earliest_begin = self.earliest_begin()?.map(Text);
        request.latest_begin = self.by.map(Text);
        request.input = wire::Bytes(self.input()?);
        request.requires_network_connectivity = self.requires_network;
        request.requires_external_power = self.requires_external_power;
        request.protection_of_required_data = self.protection.map(Text);
        request.title.clone_from(&self.title);
        request.subtitle.clone_from(&self.subtitle);
        request.strategy = self.now_or_never.then_some(Text(SubmissionStrategy::Fail));
        request.run_after = self.run_after.iter().cloned().map(Text).collect();
        request.priority = Text(self.priority);
        request.repeat = self
            .every
            .as_ref()
            .map(|every| wire::Repeat { every_ms: ms(every), flex_ms: self.flex.as_ref().map_or(0, ms) });
        request.retry = self.attempts.map(|attempts| wire::Retry {
            attempts,
            first_delay_ms: ms(&self.first_delay),
            longest_delay_ms: ms(&self.longest_delay),
        });
        request.may_suspend = self.may_suspend;
        Ok(request)
    }

    fn kind(&self) -> KindName {
        match self.kind {
            Some(kind) => kind,
            None if self.title.is_some() => KindName::ContinuedProcessing,
            None if self.requires_network || self.requires_external_power => KindName::Processing,
            None => KindName::AppRefresh,
        }
    }

    /// The floor. Errors: it lies beyond all dates.
    fn earliest_begin(&self) -> anyhow::Result<Option<Timestamp>> {
        match self.later {
            Some(later) => Ok(Some(daemon::now().checked_add(later).context("--in reaches beyond all dates")?)),
            None => Ok(self.at),
        }
    }

    fn input(&self) -> anyhow::Result<Vec<u8>> {
        self.input.as_deref().map_or(Ok(Vec::new()), read_input)
    }
}

/// What TEXT, @FILE or @- stands for.
pub(super) fn read_input(text: &str) -> anyhow::Result<Vec<u8>> {
    match text.strip_prefix('@') {
        None => Ok(text.as_bytes().to_vec()),
        Some("-") => {
            let mut input = Vec::new();
            io::stdin().read_to_end(&mut input).context("the input could not be read from stdin")?;
            Ok(input)
        }
        Some(path) => fs::read(path).with_context(|| format!("the input could not be read from {path}")),
    }
}

#[derive(Debug, Args)]
pub(super) struct Pending {
    /// At most so many, oldest first
    #[arg(long, default_value_t = 100, value_parser = limit)]
    pub(super) limit: usize,
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The handler's name
    #[arg(value_name = "IDENTIFIER", value_parser = Identifier::parse)]
    pub(super) identifier: Identifier,
}

#[derive(Debug, Args)]
pub(super) struct Launch {
    /// The handler's name
    #[arg(value_name = "IDENTIFIER", value_parser = Identifier::parse)]
    pub(super) identifier: Identifier,
    /// Whatever the machine is like: its task is not stopped for it either
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Debug, Args)]
pub(super) struct Expire {
    /// The handler's name
    #[arg(value_name = "IDENTIFIER", value_parser = Identifier::parse)]
    pub(super) identifier: Identifier,
    /// What the guest is told
    #[arg(long, default_value = "cancelled", value_parser = ExpirationReason::from_text)]
    pub(super) reason: ExpirationReason,
}

/// Which part of the past to list, newest first.
#[derive(Debug, Args)]
pub(super) struct Past {
    /// Only what concerns this identifier
    #[arg(long, value_parser = Identifier::parse)]
    identifier: Option<Identifier>,
    /// Only what concerns this bundle
    #[arg(long, value_parser = BundleId::parse)]
    bundle: Option<BundleId>,
    /// Only what is older than the one of this number: the last of the page before
    #[arg(long, value_name = "NUMBER")]
    before: Option<u64>,
    /// At most so many
    #[arg(long, default_value_t = 20, value_parser = limit)]
    limit: usize,
}

impl Past {
    /// The address that lists it, below `path`.
    pub(super) fn address(self, path: &str) -> String {
        let Past { identifier, bundle, before, limit } = self;
        let identifier = identifier.map(|identifier| format!("&identifier={identifier}")).unwrap_or_default();
        let bundle = bundle.map(|bundle| format!("&bundle={bundle}")).unwrap_or_default();
        let before = before.map(|before| format!("&before={before}")).unwrap_or_default();
        format!("{path}?limit={limit}{identifier}{bundle}{before}")
    }
}

#[derive(Debug, Args)]
pub(super) struct Task {
    /// Its number
    #[arg(value_name = "TASK")]
    pub(super) task: u64,
}

#[derive(Debug, Args)]
pub(super) struct OfTask {
    /// A task's number, or an identifier for its latest task
    #[arg(value_name = "TASK|IDENTIFIER", value_parser = task_or_identifier)]
    pub(super) of: TaskOrIdentifier,
}

#[derive(Debug, Args)]
pub(super) struct Logs {
    #[command(flatten)]
    pub(super) task: OfTask,
    /// Go on printing until the task has ended
    #[arg(long, short)]
    pub(super) follow: bool,
}

#[derive(Debug, Clone)]
pub(super) enum TaskOrIdentifier {
    Task(u64),
    Identifier(Identifier),
}

#[derive(Debug, Args)]
pub(super) struct Conditions {
    /// State that a condition holds or does not; auto gives it back to the machine's own reading
    #[arg(value_name = "NAME=yes|no|auto", value_parser = statement)]
    pub(super) statements: Vec<(Condition, Option<bool>)>,
}

fn directory(text: &str) -> anyhow::Result<GrantOffer> {
    Ok(GrantOffer::parse_directory(text)?.with_absolute_path()?)
}

fn secret(text: &str) -> anyhow::Result<GrantOffer> {
    Ok(GrantOffer::parse_secret(text)?.with_absolute_path()?)
}

pub(super) fn limit(text: &str) -> Result<usize, String> {
    use crate::api::wire::LIST_LIMIT;
    match text.parse() {
        Ok(limit @ 1..=LIST_LIMIT) => Ok(limit),
        _ => Err(format!("a limit is a number between 1 and {LIST_LIMIT}")),
    }
}

fn task_or_identifier(text: &str) -> Result<TaskOrIdentifier, String> {
    match text.parse() {
        Ok(task) => Ok(TaskOrIdentifier::Task(task)),
        Err(_) => Identifier::from_text(text).map(TaskOrIdentifier::Identifier),
    }
}

fn statement(text: &str) -> Result<(Condition, Option<bool>), String> {
    let (name, value) =
        text.split_once('=').ok_or_else(|| format!("`{text}` says nothing of it: write {text}=yes, no or auto"))?;
    let holds = match value {
        "yes" => Some(true),
        "no" => Some(false),
        "auto" => None,
        _ => return Err(format!("`{value}` is none of yes, no, auto")),
    };
    Ok((Condition::from_text(name)?, holds))
}

/// The text as a shell takes it for one word.
pub(super) fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '=' | ':' | '+' | ',' | '@');
    match !text.is_empty() && text.chars().all(plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn submit(arguments: &[&str]) -> Result<Submit, String> {
        let line = ["idlewild", "submit", "com.example.a.b"].iter().chain(arguments);
        match Arguments::try_parse_from(line).map_err(|error| error.to_string())?.command {
            Command::Submit(submit) => Ok(submit),
            other => panic!("parsed as {other:?}"),
        }
    }

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn kind_follows_from_what_is_required_when_it_is_not_said() {
        assert_eq!(submit(&[]).unwrap().kind(), KindName::AppRefresh);
        assert_eq!(submit(&["--requires-network"]).unwrap().kind(), KindName::Processing);
        assert_eq!(submit(&["--requires-external-power"]).unwrap().kind(), KindName::Processing);
        assert_eq!(submit(&["--kind", "processing"]).unwrap().kind(), KindName::Processing);
    }

    #[test]
    fn what_cannot_be_typed_is_answered_with_what_can() {
        let cases: [(&[&str], &str); 6] = [
            (
                &["--kind", "research"],
                "[possible values: app-refresh, processing, health-research, continued-processing]",
            ),
            (&["--in", "soon"], "`soon` is not a length of time"),
            (&["--at", "noon"], "`noon` is not an RFC 3339 date and time"),
            (&["--in", "1h", "--at", "2026-07-28T09:00:00Z"], "cannot be used with"),
            (&["--run-after", "gallery"], "is not a reverse-DNS name"),
            (&["--priority", "urgent"], "[possible values: low, normal, high]"),
        ];
        for (arguments, message) in cases {
            let error = submit(arguments).unwrap_err();
            assert!(error.contains(message), "{arguments:?}: {error}");
        }
    }

    #[test]
    fn a_statement_names_a_condition_and_what_of_it() {
        assert_eq!(statement("idle=yes").unwrap(), (Condition::Idle, Some(true)));
        assert_eq!(statement("external-power=no").unwrap(), (Condition::ExternalPower, Some(false)));
        assert_eq!(statement("network=auto").unwrap(), (Condition::Network, None));
        assert!(statement("idle").unwrap_err().contains("write idle=yes, no or auto"));
        assert!(statement("idle=maybe").unwrap_err().contains("none of yes, no, auto"));
        assert!(statement("lazy=yes").unwrap_err().contains("network, external-power, idle"));
    }

    #[test]
    fn hints_quote_what_a_shell_would_split() {
        assert_eq!(quoted("/var/lib/idlewild"), "/var/lib/idlewild");
        assert_eq!(quoted("/my state"), "'/my state'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
