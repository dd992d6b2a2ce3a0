//! The host's rules, as far as they concern one bundle: who may submit what, what waits and why, what a task may use.

use std::time::{Duration, SystemTime};

use super::records::{Condition, Profile, Reason};
use crate::{Kind, Priority, Request, SubmitError, SubmitErrorCode, bundle};

/// How long a task may go on after it was asked to stop.
pub const GRACE: Duration = Duration::from_secs(5);

/// How often a request comes back after its task was interrupted.
pub const INTERRUPTIONS: u32 = 5;

/// How long inputs, outputs and checkpoints may be, in bytes.
pub const INPUT_BYTES: usize = 64 << 10;
pub const OUTPUT_BYTES: usize = 1 << 20;
pub const CHECKPOINT_BYTES: usize = 1 << 20;

/// The most identifiers one request may run after.
const RUN_AFTER: usize = 16;

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
    match kind {
        Kind::AppRefresh => 100_000_000_000,
        Kind::Processing(_) | Kind::HealthResearch(_) | Kind::ContinuedProcessing(_) => 2_000_000_000_000,
    }
}

/// An unfinished request.
#[derive(Debug, Clone)]
pub(super) struct Unfinished {
    pub(super) id: u64,
    pub(super) request: Request,
    pub(super) launches: u32,
    pub(super) running: bool,
    /// Identifiers it runs after that have not succeeded yet.
    pub(super) unmet: Vec<String>,
}

impl Unfinished {
    /// Whether a newer request of its identifier takes its place.
    pub(super) fn is_replaceable(&self) -> bool {
        self.launches == 0
    }
}

/// Judges a submission, in the host's order: names, permission, options, count. `unfinished` is what else is.
pub(super) fn admit(
    profile: Profile,
    permitted: &[&str],
    unfinished: &[Unfinished],
    request: &Request,
) -> Result<(), SubmitError> {
    for name in std::iter::once(&request.identifier).chain(&request.run_after) {
        check_name(name)?;
    }
    check_permission(profile, permitted, request)?;
    check_options(profile, permitted, request)?;
    let (kind, allowed) = match (profile, &request.kind) {
        (Profile::Device, Kind::AppRefresh) => ("app-refresh", 1),
        (Profile::Device, Kind::Processing(_)) => ("processing", 10),
        _ => return Ok(()),
    };
    let of_kind = |other: &&Unfinished| other.is_replaceable() && other.request.kind.as_str() == kind;
    let pending = unfinished.iter().filter(of_kind).count();
    let replaces = unfinished.iter().filter(of_kind).any(|other| other.request.identifier == request.identifier);
    if pending >= allowed && !replaces {
        return Err(SubmitError {
            code: SubmitErrorCode::TooManyPendingTaskRequests,
            message: format!(
                "{pending} {kind} requests of this bundle are pending, and profile device allows {allowed}: cancel one, or wait until one has run"
            ),
        });
    }
    Ok(())
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

fn check_permission(profile: Profile, permitted: &[&str], request: &Request) -> Result<(), SubmitError> {
    let identifier = &request.identifier;
    if !is_permitted(profile, permitted, identifier) {
        return not_permitted(if permitted.iter().any(|entry| bundle::fits(entry, identifier)) {
            format!(
                "{identifier} is permitted only by a wildcard, which serves continued work alone on profile device: name it in permitted-identifiers"
            )
        } else {
            format!("{identifier} is not among the bundle's permitted-identifiers")
        });
    }
    match request.kind {
        Kind::AppRefresh | Kind::Processing(_) => Ok(()),
        Kind::HealthResearch(_) => not_permitted("no bundle is entitled to health-research on this host".into()),
        Kind::ContinuedProcessing(_) => {
            not_permitted("continued-processing is asked for by a person, and this host has no client that does".into())
        }
    }
}

fn check_options(profile: Profile, permitted: &[&str], request: &Request) -> Result<(), SubmitError> {
    let Request { identifier, latest_begin, repeat, retry, input, run_after, .. } = request;
    let unserved = [("latest-begin", latest_begin.is_some()), ("repeat", repeat.is_some()), ("retry", retry.is_some())];
    if let Some((option, _)) = unserved.iter().find(|(_, asked)| *asked) {
        return not_permitted(format!("this host does not serve `{option}`: leave it out"));
    }
    if input.len() > INPUT_BYTES {
        return not_permitted(format!("the input has {} bytes, and {INPUT_BYTES} are allowed", input.len()));
    }
    if run_after.len() > RUN_AFTER {
        let count = run_after.len();
        return not_permitted(format!("run-after names {count} identifiers, and {RUN_AFTER} are allowed"));
    }
    for earlier in run_after {
        if earlier == identifier {
            return not_permitted(format!("{earlier} cannot run after itself"));
        }
        if !is_permitted(profile, permitted, earlier) {
            let message = format!("run-after names {earlier}, which is not among the bundle's permitted-identifiers");
            return not_permitted(message);
        }
    }
    Ok(())
}

fn is_permitted(profile: Profile, permitted: &[&str], identifier: &str) -> bool {
    let wildcards = profile == Profile::Server;
    permitted.iter().any(|entry| bundle::fits(entry, identifier) && (wildcards || !entry.ends_with('*')))
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
    let Unfinished { id, request: Request { identifier, kind, earliest_begin, .. }, unmet, .. } = request;
    let older = unfinished.iter().find(|other| other.request.identifier == *identifier && other.id < *id);
    let mut reasons: Vec<Reason> = older.map(|older| Reason::Behind(older.id)).into_iter().collect();
    reasons.extend(unmet.iter().cloned().map(Reason::RunAfter));
    reasons.extend(earliest_begin.filter(|floor| *floor > now).map(Reason::EarliestBegin));
    reasons.extend(needed(kind).filter(|condition| !holds(*condition)).map(Reason::Lacks));
    reasons
}

/// The conditions that must hold for a task of a kind to be launched.
fn needed(kind: &Kind) -> impl Iterator<Item = Condition> + use<> {
    let (network, external_power, idle) = match kind {
        Kind::AppRefresh | Kind::ContinuedProcessing(_) => (false, false, false),
        Kind::Processing(needs) => (needs.requires_network, needs.requires_external_power, true),
        Kind::HealthResearch(needs) => (needs.requires_network, needs.requires_external_power, true),
    };
    [(network, Condition::Network), (external_power, Condition::ExternalPower), (idle, Condition::Idle)]
        .into_iter()
        .filter_map(|(needed, condition)| needed.then_some(condition))
}

/// Who goes first of those that are due: short work, then higher priority, then age.
pub(super) fn turn(request: &Unfinished) -> (bool, u8, u64) {
    let priority = match request.request.priority {
        Priority::High => 0,
        Priority::Normal => 1,
        Priority::Low => 2,
    };
    (request.request.kind != Kind::AppRefresh, priority, request.id)
}
