//! The host's rules, as far as they concern one bundle: who may submit what, what waits and why, what a task may use.

use std::time::{Duration, SystemTime};

use super::{
    moments,
    records::{Condition, Profile, Reason},
};
use crate::{
    ContinuedProcessing, DataProtection, Kind, Priority, Repeat, Request, Retry, SubmitError, SubmitErrorCode, bundle,
};

/// How long a task may go on after it was asked to stop.
pub const GRACE: Duration = Duration::from_secs(5);

/// How often a request comes back after its task was interrupted.
pub const INTERRUPTIONS: u32 = 5;

/// How long inputs, outputs and checkpoints may be, in bytes.
pub const INPUT_BYTES: usize = 64 << 10;
pub const OUTPUT_BYTES: usize = 1 << 20;
pub const CHECKPOINT_BYTES: usize = 1 << 20;

/// How many launches a request may ask for by its `retry`.
pub const ATTEMPTS: u32 = 25;

/// How long continued work may stand still until it is asked to stop.
pub const STALL: Duration = Duration::from_secs(60);

/// The most identifiers one request may run after.
const RUN_AFTER: usize = 16;

/// A repetition that comes oftener would only keep a host busy with its own records.
const SHORTEST_PERIOD: Duration = Duration::from_secs(1);

/// How long a task of a kind may run until it is asked to stop.
pub fn time_limit(kind: &Kind) -> Option<Duration> {
    match kind {
        Kind::AppRefresh => Some(Duration::from_secs(30)),
        Kind::Processing(_) | Kind::HealthResearch(_) => Some(Duration::from_secs(10 * 60)),
        Kind::ContinuedProcessing(_) => None,
    }
}

/// How much fuel a task of a kind may use until it is asked to stop. A test uses none.
pub(super) fn fuel(kind: &Kind) -> u64 {
    /// What insists on external power has as good as no limit.
    const UNMETERED: u64 = 1 << 60;
    let on_power = match kind {
        Kind::Processing(needs) => needs.requires_external_power,
        Kind::HealthResearch(needs) => needs.requires_external_power,
        Kind::AppRefresh | Kind::ContinuedProcessing(_) => false,
    };
    match kind {
        _ if on_power => UNMETERED,
        Kind::AppRefresh => 100_000_000_000,
        Kind::Processing(_) | Kind::HealthResearch(_) => 2_000_000_000_000,
        Kind::ContinuedProcessing(_) => 20_000_000_000_000,
    }
}

/// An unfinished request.
#[derive(Debug, Clone)]
pub(super) struct Unfinished {
    pub(super) id: u64,
    pub(super) request: Request,
    pub(super) submitted: SystemTime,
    /// Not to be launched before.
    pub(super) floor: Option<SystemTime>,
    pub(super) launches: u32,
    /// How often its handler has failed.
    pub(super) failures: u32,
    pub(super) running: bool,
    /// Identifiers it runs after that have not succeeded yet.
    pub(super) unmet: Vec<String>,
}

impl Unfinished {
    /// Whether a newer request of its identifier takes its place.
    pub(super) fn is_replaceable(&self) -> bool {
        self.launches == 0
    }

    /// Whether it counts against the bundle's limit.
    fn is_counted(&self) -> bool {
        self.is_replaceable() || self.request.repeat.is_some()
    }

    /// Whether its latest begin is reached.
    fn is_urgent(&self, now: SystemTime) -> bool {
        self.request.latest_begin.is_some_and(|latest| latest <= now)
    }
}

/// On whose behalf a request is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Submitter {
    Person,
    Bundle,
}

/// What the bundle may ask for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Permits<'p> {
    pub(super) profile: Profile,
    pub(super) identifiers: &'p [&'static str],
    /// Whether the manifest names a study and this machine is enrolled in it.
    pub(super) enrolled: bool,
}

/// Judges a submission, in the host's order: names, permission, who asks, options, count. `unfinished` is what else is.
pub(super) fn admit(
    permits: Permits<'_>,
    unfinished: &[Unfinished],
    submitter: Submitter,
    request: &Request,
) -> Result<(), SubmitError> {
    for name in std::iter::once(&request.identifier).chain(&request.run_after) {
        check_name(name)?;
    }
    check_permission(permits, request)?;
    let is_continued = matches!(request.kind, Kind::ContinuedProcessing(_));
    if is_continued && submitter == Submitter::Bundle {
        return not_permitted(
            "continued-processing is asked for by a person through a client, not by a task: submit processing instead"
                .into(),
        );
    }
    check_options(permits, request)?;
    let kind = request.kind.as_str();
    let Some(allowed) = pending(permits.profile, &request.kind) else { return Ok(()) };
    let of_kind = |other: &&Unfinished| other.request.kind.as_str() == kind;
    let pending = unfinished.iter().filter(of_kind).filter(|other| other.is_counted()).count();
    let replaces = unfinished
        .iter()
        .filter(of_kind)
        .any(|other| other.is_replaceable() && other.request.identifier == request.identifier);
    if pending >= allowed && !replaces {
        let profile = permits.profile.as_str();
        return Err(SubmitError {
            code: SubmitErrorCode::TooManyPendingTaskRequests,
            message: format!(
                "{pending} {kind} requests of this bundle are pending, and profile {profile} allows {allowed}: cancel one, or wait until one has run"
            ),
        });
    }
    Ok(())
}

/// How many requests of a kind a bundle may have pending; none where a test does not reach the limit.
fn pending(profile: Profile, kind: &Kind) -> Option<usize> {
    match (profile, kind) {
        (_, Kind::ContinuedProcessing(_)) => Some(100),
        (Profile::Device, Kind::AppRefresh) => Some(1),
        (Profile::Device, Kind::Processing(_) | Kind::HealthResearch(_)) => Some(10),
        (Profile::Server, Kind::AppRefresh | Kind::Processing(_) | Kind::HealthResearch(_)) => None,
    }
}

/// Judges a request that would rather fail than wait, by why it would wait.
pub(super) fn admit_immediate(request: &Request, reasons: &[Reason]) -> Result<(), SubmitError> {
    let insists =
        matches!(request.kind, Kind::ContinuedProcessing(ContinuedProcessing { fail_unless_immediate: true, .. }));
    match reasons.first() {
        Some(reason) if insists => Err(SubmitError {
            code: SubmitErrorCode::ImmediateRunIneligible,
            message: format!(
                "it cannot start at once: {reason}; ask with the strategy `queue`, and it starts as soon as it can"
            ),
        }),
        Some(_) | None => Ok(()),
    }
}

fn check_name(name: &str) -> Result<(), SubmitError> {
    /// The longest name, in bytes.
    const LIMIT: usize = 255;
    let fault = if name.len() > LIMIT {
        "is longer than 255 bytes"
    } else if !name.contains('.') {
        "is not a reverse-DNS name of at least two parts, such as com.example.gallery"
    } else if name.split('.').any(str::is_empty) {
        "has an empty part between its dots"
    } else if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) {
        "may contain only ASCII letters, digits, hyphens, underscores and dots"
    } else {
        return Ok(());
    };
    let name: String = name.chars().take(LIMIT).collect();
    not_permitted(format!("`{name}` {fault}"))
}

fn check_permission(permits: Permits<'_>, request: &Request) -> Result<(), SubmitError> {
    let (identifier, kind) = (&request.identifier, &request.kind);
    if !is_permitted(permits, identifier, kind) {
        return not_permitted(if permits.identifiers.iter().any(|entry| bundle::fits(entry, identifier)) {
            format!(
                "{identifier} is permitted only by a wildcard, which serves continued work alone on profile device: name it in permitted-identifiers"
            )
        } else {
            format!("{identifier} is not among the bundle's permitted-identifiers")
        });
    }
    match kind {
        Kind::AppRefresh | Kind::Processing(_) => Ok(()),
        Kind::HealthResearch(_) if permits.enrolled => Ok(()),
        Kind::HealthResearch(_) => not_permitted(
            "health-research needs the entitlement `health-research`, which names a study, in the bundle's manifest"
                .into(),
        ),
        Kind::ContinuedProcessing(ContinuedProcessing { requires_gpu: true, .. }) => {
            not_permitted("gpu needs the entitlement `continued-processing-gpu` in the bundle's manifest".into())
        }
        Kind::ContinuedProcessing(ContinuedProcessing { title, .. }) if title.trim().is_empty() => {
            not_permitted("continued-processing needs a title, which is shown to who asked for it".into())
        }
        Kind::ContinuedProcessing(_) => Ok(()),
    }
}

fn check_options(permits: Permits<'_>, request: &Request) -> Result<(), SubmitError> {
    let Request { identifier, kind, repeat, input, run_after, .. } = request;
    if input.len() > INPUT_BYTES {
        return not_permitted(format!("the input has {} bytes, and {INPUT_BYTES} are allowed", input.len()));
    }
    if let Some(fault) = fault_of_times(request) {
        return not_permitted(fault);
    }
    if matches!(kind, Kind::ContinuedProcessing(_)) && repeat.is_some() {
        return not_permitted("continued-processing does not repeat: a person asks for it each time".into());
    }
    if run_after.len() > RUN_AFTER {
        let count = run_after.len();
        return not_permitted(format!("run-after names {count} identifiers, and {RUN_AFTER} are allowed"));
    }
    for earlier in run_after {
        if earlier == identifier {
            return not_permitted(format!("{earlier} cannot run after itself"));
        }
        if !is_permitted(permits, earlier, kind) {
            let message = format!("run-after names {earlier}, which is not among the bundle's permitted-identifiers");
            return not_permitted(message);
        }
    }
    Ok(())
}

/// What is wrong with the times a request names.
fn fault_of_times(request: &Request) -> Option<String> {
    let Request { earliest_begin, latest_begin, repeat, retry, .. } = request;
    if let (Some(earliest), Some(latest)) = (earliest_begin, latest_begin)
        && latest < earliest
    {
        let [latest, earliest] = [latest, earliest].map(|moment| moments::utc(*moment));
        return Some(format!("latest-begin {latest} lies before earliest-begin {earliest}"));
    }
    if let Some(Repeat { every, flex }) = repeat {
        if *every < SHORTEST_PERIOD {
            return Some(format!("repeat says every {} ms, and the least is {SHORTEST_PERIOD:?}", every.as_millis()));
        }
        if flex > every {
            return Some("the flex of repeat is longer than its period".into());
        }
        if latest_begin.is_some() {
            return Some("latest-begin names one date, and repeat asks for many: leave one of them out".into());
        }
    }
    if let Some(Retry { attempts, first_delay, longest_delay }) = retry {
        if *attempts == 0 {
            return Some("retry asks for 0 attempts, and the first launch is one: say at least 1".into());
        }
        if *attempts > ATTEMPTS {
            return Some(format!("retry asks for {attempts} attempts, and {ATTEMPTS} are allowed"));
        }
        if longest_delay < first_delay {
            return Some("the longest-delay of retry is shorter than its first-delay".into());
        }
    }
    None
}

fn is_permitted(permits: Permits<'_>, identifier: &str, kind: &Kind) -> bool {
    let Permits { profile, identifiers, enrolled: _ } = permits;
    let wildcards = profile == Profile::Server || matches!(kind, Kind::ContinuedProcessing(_));
    identifiers.iter().any(|entry| bundle::fits(entry, identifier) && (wildcards || !entry.ends_with('*')))
}

fn not_permitted(message: String) -> Result<(), SubmitError> {
    Err(SubmitError { code: SubmitErrorCode::NotPermitted, message })
}

/// Every reason why a request is not running now; none means it is due.
pub(super) fn reasons(
    now: SystemTime,
    holds: impl Fn(Condition) -> bool,
    unfinished: &[Unfinished],
    request: &Unfinished,
) -> Vec<Reason> {
    let Unfinished { id, request: Request { identifier, .. }, floor, failures, unmet, .. } = request;
    let older = unfinished.iter().find(|other| other.request.identifier == *identifier && other.id < *id);
    let mut reasons: Vec<Reason> = older.map(|older| Reason::Behind(older.id)).into_iter().collect();
    reasons.extend(unmet.iter().cloned().map(Reason::RunAfter));
    reasons.extend(floor.filter(|floor| *floor > now).map(|at| match failures {
        0 => Reason::EarliestBegin(at),
        failures => Reason::Resting { until: at, failures: *failures },
    }));
    let on_power = holds(Condition::ExternalPower);
    let lifted = |condition| on_power && matches!(condition, Condition::Charged | Condition::FullPower);
    let lacks = wanted(&request.request.kind, request.is_urgent(now))
        .filter(|condition| !holds(*condition) && !lifted(*condition));
    reasons.extend(lacks.map(Reason::Lacks));
    reasons
}

/// The conditions that must hold for a task of a kind to be launched: what it needs, and what the host wishes besides.
fn wanted(kind: &Kind, is_urgent: bool) -> impl Iterator<Item = Condition> + use<> {
    let (network, external_power, protection) = match kind {
        Kind::AppRefresh | Kind::ContinuedProcessing(_) => (false, false, DataProtection::None),
        Kind::Processing(needs) => (needs.requires_network, needs.requires_external_power, DataProtection::None),
        Kind::HealthResearch(needs) => {
            (needs.requires_network, needs.requires_external_power, needs.protection_of_required_data)
        }
    };
    let long = matches!(kind, Kind::Processing(_) | Kind::HealthResearch(_));
    let of_a_person = matches!(kind, Kind::ContinuedProcessing(_));
    let (unlocked_once, unlocked) = match protection {
        DataProtection::None => (false, false),
        DataProtection::CompleteUntilFirstUserAuthentication => (true, false),
        DataProtection::CompleteUnlessOpen | DataProtection::Complete => (true, true),
    };
    [
        (network, Condition::Network),
        (external_power, Condition::ExternalPower),
        (unlocked_once, Condition::UnlockedOnce),
        (unlocked, Condition::Unlocked),
        (true, Condition::Cool),
        (true, Condition::Roomy),
        (long && !is_urgent, Condition::Idle),
        (!is_urgent && !of_a_person, Condition::Charged),
        (!is_urgent && !of_a_person, Condition::FullPower),
    ]
    .into_iter()
    .filter_map(|(wanted, condition)| wanted.then_some(condition))
}

/// Who goes first of those that are due: what became urgent, then by kind, what a person waits for before short work and that before
/// long, then higher priority, then age.
pub(super) fn turn(request: &Unfinished, now: SystemTime) -> (bool, u8, u8, u64) {
    let kind = match request.request.kind {
        Kind::ContinuedProcessing(_) => 0,
        Kind::AppRefresh => 1,
        Kind::HealthResearch(_) => 2,
        Kind::Processing(_) => 3,
    };
    let priority = match request.request.priority {
        Priority::High => 0,
        Priority::Normal => 1,
        Priority::Low => 2,
    };
    (!request.is_urgent(now), kind, priority, request.id)
}

/// The wait before a request's next launch, after `failures` of its handler: twice the one before, up to the longest, and up to a tenth
/// shorter. The same request always waits the same.
pub fn rest(retry: Retry, failures: u32, request: u64) -> Duration {
    let Retry { attempts: _, first_delay, longest_delay } = retry;
    let doubled = 2_u32.checked_pow(failures.saturating_sub(1)).and_then(|factor| first_delay.checked_mul(factor));
    let delay = doubled.map_or(longest_delay, |delay| delay.min(longest_delay));
    let spread = u32::try_from(scattered(request ^ (u64::from(failures) << 48)) % 1_000).unwrap_or(0);
    delay - delay * spread / 10_000
}

/// A number that looks like chance and is none (the finaliser of SplitMix64), as the host has it.
fn scattered(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// When a repeated request falls due the next time: whole periods after it was due before, those that have passed skipped.
pub(super) fn next_due(due: SystemTime, repeat: Repeat, now: SystemTime) -> SystemTime {
    let passed = now.duration_since(due).unwrap_or_default().as_nanos() / repeat.every.as_nanos().max(1);
    let periods = u32::try_from(passed + 1).unwrap_or(u32::MAX);
    due + repeat.every.saturating_mul(periods)
}
