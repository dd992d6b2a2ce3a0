//! Every default in one table, and what comes from the environment. The only room that reads the environment.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use etcetera::base_strategy::{BaseStrategy, Xdg};

use crate::{
    conditions::{self, Outlook, Patience},
    rules::{Allowance, ByKind, Policy, Profile, SchedulePolicy},
};

/// A machine with a battery is a device, another one a server. `root` is `/`, or a recorded tree.
pub fn profile_of_machine(root: &Path) -> Profile {
    if conditions::has_battery(root) { Profile::Device } else { Profile::Server }
}

/// One row of the table of defaults, for the documentation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The field of `Settings`.
    pub name: &'static str,
    pub default: &'static str,
    pub unit: &'static str,
    pub meaning: &'static str,
}

/// Defines `Settings`, its defaults and their table from one list.
macro_rules! settings {
    ($($(#[doc = $meaning:literal])+ $name:ident: $type:ty = $convert:ident($default:literal), $unit:literal;)+) => {
        /// What a host allows itself and its guests.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Settings {
            /// Which of the limits below that name a profile are in force.
            pub profile: Profile,
            $($(#[doc = $meaning])+ pub $name: $type,)+
        }

        impl Settings {
            /// Every default, under `profile`.
            pub fn new(profile: Profile) -> Settings {
                Settings { profile, $($name: $convert($default),)+ }
            }

            /// The defaults, as the documentation shows them. The profile's is the machine's.
            pub const TABLE: &'static [Setting] = &[$(Setting {
                name: stringify!($name),
                default: stringify!($default),
                unit: $unit,
                meaning: concat!($($meaning),+).trim_ascii(),
            },)+];
        }
    };
}

settings! {
    /// How many tasks may run at once.
    slots: usize = count(64), "tasks";

    /// How many app-refresh tasks may run at once under the profile `device`.
    device_app_refresh_slots: usize = count(4), "tasks";
    /// How many processing tasks, and how many health-research tasks, may run at once under the profile `device`.
    device_processing_slots: usize = count(2), "tasks";
    /// How many continued-processing tasks may run at once under the profile `device`.
    device_continued_slots: usize = count(3), "tasks";
    /// How many continued-processing tasks may run at once under the profile `server`.
    server_continued_slots: usize = count(16), "tasks";
    /// How many requests for continued-processing one bundle may have pending.
    pending_continued: u64 = count(100), "requests";
    /// The least time between two launches of one bundle while a machine under the profile `device` lives off its battery.
    device_spacing: Duration = minutes(5), "min";
    /// How long the tasks of one bundle may run within a day (UTC) under the profile `device`, continued ones aside.
    device_daily_time: Duration = hours(2), "h";
    /// How much later than its floor a request may be woken for under the profile `device`, so that several share one wake-up.
    device_coalescing: Duration = minutes(1), "min";
    /// How long ready work may be passed over in favour of other work.
    starvation: Duration = minutes(30), "min";
    /// How many app-refresh requests one bundle may have pending under the profile `device`.
    device_pending_app_refresh: u64 = count(1), "requests";
    /// How many processing requests one bundle may have pending under the profile `device`.
    device_pending_processing: u64 = count(10), "requests";
    /// How many app-refresh requests one bundle may have pending under the profile `server`.
    server_pending_app_refresh: u64 = count(1_000_000), "requests";
    /// How many processing requests one bundle may have pending under the profile `server`.
    server_pending_processing: u64 = count(1_000_000), "requests";

    /// How long an app-refresh task may run until it is asked to stop.
    app_refresh_time: Duration = seconds(30), "s";
    /// How long a processing task may run until it is asked to stop.
    processing_time: Duration = minutes(10), "min";
    /// How long a continued-processing task may go without an advance of its progress until it is asked to stop.
    stall_time: Duration = seconds(60), "s";
    /// How long a task may be held in place while its conditions are gone, until it is asked to stop.
    suspension_time: Duration = minutes(30), "min";
    /// How many tasks may be held in place at once; one more is asked to stop instead.
    suspended_tasks: usize = count(16), "tasks";
    /// How long a task may go on after it was asked to stop.
    grace: Duration = seconds(5), "s";

    /// How much fuel an app-refresh task may use until it is asked to stop.
    app_refresh_fuel: u64 = giga(100), "G units";
    /// How much fuel a processing task may use until it is asked to stop; one that requires external power, as much as it likes.
    processing_fuel: u64 = giga(2_000), "G units";
    /// How much fuel a continued-processing task may use until it is asked to stop.
    continued_fuel: u64 = giga(20_000), "G units";
    /// How much fuel a task may use after it was asked to stop.
    grace_fuel: u64 = giga(20), "G units";

    /// How much memory an app-refresh task may hold.
    app_refresh_memory: u64 = mebibytes(128), "MiB";
    /// How much memory a processing task may hold.
    processing_memory: u64 = mebibytes(256), "MiB";

    /// How much memory a continued-processing task may hold.
    continued_memory: u64 = mebibytes(512), "MiB";

    /// How many launches, the first included, a request may ask for when its handler fails.
    attempts: u32 = count(25), "launches";
    /// How long the idempotency key of a submission is remembered.
    key_time: Duration = hours(24), "h";
    /// How often a request comes back after its task was interrupted.
    interruptions: u32 = count(5), "times";

    /// How long the input of a request may be.
    input_bytes: usize = kibibytes(64), "KiB";
    /// How long the output of a task may be.
    output_bytes: usize = mebibytes(1), "MiB";
    /// How long the checkpoint of an identifier may be.
    checkpoint_bytes: usize = mebibytes(1), "MiB";
    /// How much of what a task writes to its standard output and error is kept.
    log_bytes: u64 = mebibytes(1), "MiB";
    /// How often the log of a running task is looked at while somebody follows it.
    log_every: Duration = milliseconds(200), "ms";

    /// How many requests over HTTP one task may have under way at once.
    http_requests: usize = count(8), "requests";
    /// How long the body of a request over HTTP may be.
    http_request_bytes: u64 = mebibytes(64), "MiB";
    /// How long the body of a response over HTTP may be.
    http_response_bytes: u64 = mebibytes(64), "MiB";
    /// How long the headers of one request or response over HTTP may be.
    http_headers_bytes: usize = kibibytes(64), "KiB";
    /// How long name look-up, connection and handshake of a request over HTTP may take together.
    http_connect_time: Duration = seconds(10), "s";
    /// How long a server may take to begin its response, once it has the request.
    http_first_byte_time: Duration = seconds(60), "s";
    /// How long a server may be silent in the middle of a response.
    http_between_bytes_time: Duration = seconds(60), "s";
    /// How much a bundle may keep in its `/data`.
    data_bytes: u64 = mebibytes(256), "MiB";
    /// How many files, folders and links a bundle may keep in its `/data`.
    data_entries: u64 = count(100_000), "entries";
    /// How much a task may keep in its `/tmp`.
    tmp_bytes: u64 = mebibytes(256), "MiB";
    /// How many files, folders and links a task may keep in its `/tmp`.
    tmp_entries: u64 = count(10_000), "entries";

    /// How many requests one launch, or one `activate`, may submit.
    submissions: u32 = count(1_000), "requests";
    /// How long a title or subtitle may be; the rest is cut.
    title_bytes: usize = count(256), "bytes";
    /// How often a task's progress is heard; of the reports in between, the last one.
    progress_every: Duration = milliseconds(100), "ms";
    /// How much one call may hand over from a guest to the host.
    call_bytes: usize = mebibytes(2), "MiB";
    /// How many files, streams and the like one task may hold open at once.
    handles: usize = count(256), "handles";
    /// How many handles of any sort one task's components may hold at once, with the calls and streams they wait for.
    component_handles: usize = count(4_096), "handles";
    /// How many listings of folders one task may hold open at once in WASI 0.2.
    listings: usize = count(32), "listings";
    /// How much stack a guest's calls may use, beside what its toolchain keeps in its memory.
    stack_bytes: usize = kibibytes(512), "KiB";
    /// How many core instances one component may have.
    core_instances: u32 = count(16), "instances";
    /// How many memories one component may have.
    memories: u32 = count(2), "memories";
    /// How many tables one component may have.
    tables: u32 = count(4), "tables";
    /// How many elements the tables of one task may have together.
    table_elements: usize = count(100_000), "elements";
    /// How much computing compiling one component may take.
    compile_time: Duration = minutes(5), "min";
    /// How long compiling one component may take by the clock, however busy the machine is.
    compile_patience: Duration = minutes(15), "min";
    /// How much memory compiling one component may take.
    compile_memory: u64 = gibibytes(2), "GiB";
    /// How long the compiled code of one component may be.
    code_bytes: u64 = mebibytes(512), "MiB";
    /// How much compiled code is kept on disk; what was not used for longest goes first.
    cache_bytes: u64 = gibibytes(1), "GiB";
    /// How much compiled code is kept in memory besides what runs; what was not used for longest goes first.
    linked_bytes: u64 = mebibytes(256), "MiB";

    /// How many ended tasks of one bundle are kept.
    history_tasks: u64 = count(10_000), "tasks";
    /// How long an ended task is kept.
    history_time: Duration = days(30), "days";
    /// How many changes of one bundle and its requests are kept.
    history_changes: u64 = count(1_000), "changes";

    /// How many schedules one bundle may have.
    schedules: usize = count(1_000), "schedules";
    /// How many missed occurrences of one schedule run under `all`.
    missed_runs: usize = count(100), "runs";
    /// From how late on an occurrence of a schedule counts as missed.
    missed_after: Duration = seconds(60), "s";
    /// From how far on a clock that was set back is taken to have been wrong, so that schedules start anew.
    clock_set_back: Duration = hours(24), "h";

    /// How often the machine's conditions are looked at while something waits for them.
    conditions_every: Duration = seconds(5), "s";
    /// At which level the battery is low.
    low_battery: u8 = count(20), "%";
    /// During how much of the last ten seconds something must wait for memory for it to be short; it ends at half of that.
    memory_pressure: u8 = count(10), "%";
    /// How far a part of the machine that was too hot must cool below its mark.
    cool_by: u8 = count(5), "°C";
    /// How long the login manager may take to answer one question about who sits at the machine.
    login_answer: Duration = milliseconds(100), "ms";
    /// How long the login manager is left alone after it did not answer.
    login_rest: Duration = seconds(60), "s";
}

/// The most identifiers one request may run after.
const RUN_AFTER: usize = 16;

impl Settings {
    /// The numbers the rules go by.
    pub fn policy(&self) -> Policy {
        let device = self.profile == Profile::Device;
        let of_profile = |device_number, server_number| if device { device_number } else { server_number };
        let allowance =
            |time, fuel, memory| Allowance { time, grace: self.grace, fuel, grace_fuel: self.grace_fuel, memory };
        let slots = self.slots;
        let processing_slots = if device { self.device_processing_slots } else { slots };
        let pending_processing = of_profile(self.device_pending_processing, self.server_pending_processing);
        Policy {
            profile: self.profile,
            slots,
            at_once: ByKind {
                app_refresh: if device { self.device_app_refresh_slots } else { slots },
                processing: processing_slots,
                health_research: processing_slots,
                continued_processing: if device { self.device_continued_slots } else { self.server_continued_slots },
            },
            pending: ByKind {
                app_refresh: of_profile(self.device_pending_app_refresh, self.server_pending_app_refresh),
                processing: pending_processing,
                health_research: pending_processing,
                continued_processing: self.pending_continued,
            },
            app_refresh: allowance(Some(self.app_refresh_time), self.app_refresh_fuel, self.app_refresh_memory),
            processing: allowance(Some(self.processing_time), self.processing_fuel, self.processing_memory),
            continued_processing: allowance(None, self.continued_fuel, self.continued_memory),
            stall: self.stall_time,
            suspension: self.suspension_time,
            suspended: self.suspended_tasks,
            attempts: self.attempts,
            spacing: if device { self.device_spacing } else { Duration::ZERO },
            daily_time: device.then_some(self.device_daily_time),
            starvation: self.starvation,
            coalescing: if device { self.device_coalescing } else { Duration::ZERO },
            keys: self.key_time,
            launches: self.interruptions + 1,
            input: self.input_bytes,
            checkpoint: self.checkpoint_bytes,
            run_after: RUN_AFTER,
            sampling: self.conditions_every,
            history_tasks: self.history_tasks,
            history_age: self.history_time,
            history_changes: self.history_changes,
            schedules: SchedulePolicy {
                schedules: self.schedules,
                missed_runs: self.missed_runs,
                missed_after: self.missed_after,
                clock_set_back: self.clock_set_back,
            },
        }
    }

    /// How the machine is looked at.
    pub fn outlook(&self) -> Outlook {
        Outlook {
            profile: self.profile,
            low_battery: self.low_battery,
            memory_pressure: self.memory_pressure,
            cool_by: self.cool_by,
            login_manager: Patience { answer: self.login_answer, rest: self.login_rest },
        }
    }
}

fn count<T>(number: T) -> T {
    number
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn milliseconds(number: u64) -> Duration {
    Duration::from_millis(number)
}

fn minutes(number: u64) -> Duration {
    seconds(number * 60)
}

fn hours(number: u64) -> Duration {
    minutes(number * 60)
}

fn days(number: u64) -> Duration {
    hours(number * 24)
}

fn kibibytes<T: std::ops::Shl<u32, Output = T>>(number: T) -> T {
    number << 10
}

fn mebibytes<T: std::ops::Shl<u32, Output = T>>(number: T) -> T {
    number << 20
}

fn gibibytes(number: u64) -> u64 {
    number << 30
}

fn giga(number: u64) -> u64 {
    number * 1_000_000_000
}

/// The environment variable that names the state folder.
pub const STATE_VARIABLE: &str = "IDLEWILD_STATE";

/// What the environment does not give.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error("this user has no home folder to keep state in; name a state folder with --state DIR or {STATE_VARIABLE}")]
    NoHome,
}

/// Where state lives unless told otherwise: `IDLEWILD_STATE`, else the folder `idlewild` in the user's XDG state folder,
/// which is `~/.local/state`.
#[expect(clippy::disallowed_methods, reason = "this is the room that reads the environment")]
pub fn default_state_folder() -> Result<PathBuf, ConfigError> {
    state_folder(std::env::var_os(STATE_VARIABLE), || Xdg::new().ok()?.state_dir())
}

/// The folder the service manager put this host's credentials in, if it gave it any.
#[expect(clippy::disallowed_methods, reason = "this is the room that reads the environment")]
pub fn credentials_folder() -> Option<PathBuf> {
    std::env::var_os("CREDENTIALS_DIRECTORY").filter(|path| !path.is_empty()).map(PathBuf::from)
}

/// An empty variable is as good as none.
fn state_folder(stated: Option<OsString>, xdg: impl Fn() -> Option<PathBuf>) -> Result<PathBuf, ConfigError> {
    match stated {
        Some(path) if !path.is_empty() => Ok(path.into()),
        Some(_) | None => xdg().map(|folder| folder.join("idlewild")).ok_or(ConfigError::NoHome),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_battery_makes_a_device() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(profile_of_machine(root.path()), Profile::Server);
        let battery = root.path().join("sys/class/power_supply/BAT0");
        fs::create_dir_all(&battery).unwrap();
        fs::write(battery.join("type"), "Battery\n").unwrap();
        assert_eq!(profile_of_machine(root.path()), Profile::Device);
    }

    #[test]
    fn profiles_have_words() {
        for profile in Profile::ALL {
            assert_eq!(Profile::parse(profile.as_str()), Some(*profile));
        }
        assert_eq!(Profile::parse("desktop"), None);
    }

    #[test]
    fn the_table_says_what_the_defaults_are() {
        let settings = Settings::new(Profile::Device);
        assert_eq!(settings.processing_time, Duration::from_secs(600));
        assert_eq!(settings.input_bytes, 65_536);
        assert_eq!(settings.processing_fuel, 2_000_000_000_000);
        assert_eq!(settings.history_time, Duration::from_secs(30 * 86_400));
        let row = Settings::TABLE.iter().find(|row| row.name == "processing_time").unwrap();
        let meaning = "How long a processing task may run until it is asked to stop.";
        assert_eq!(*row, Setting { name: "processing_time", default: "10", unit: "min", meaning });
    }

    #[test]
    fn the_environment_names_the_state_folder_before_xdg_does() {
        let xdg = || Some(PathBuf::from("/home/ada/.local/state"));
        let beside_others = Ok(PathBuf::from("/home/ada/.local/state/idlewild"));
        let cases = [
            (state_folder(Some("/srv/tasks".into()), xdg), Ok(PathBuf::from("/srv/tasks"))),
            (state_folder(Some("".into()), xdg), beside_others.clone()),
            (state_folder(None, xdg), beside_others),
            (state_folder(None, || None), Err(ConfigError::NoHome)),
        ];
        for (found, expected) in cases {
            assert_eq!(found, expected);
        }
    }
}
