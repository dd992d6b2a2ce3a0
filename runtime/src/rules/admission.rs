//! Who may submit what. The order of the checks is the original framework's as far as it can be told: the switch, then
//! permission, then what this machine has, then replacement, then the count, and last whether it can start at once.

use super::{policy::*, words::*};

/// What a bundle may ask for, from its manifest and its operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permits {
    /// False when a person disabled the bundle.
    pub enabled: bool,
    pub modes: Vec<BackgroundMode>,
    pub identifiers: Vec<Pattern>,
    pub entitlements: Entitlements,
    /// Whether the operator enrolled this machine in the bundle's study.
    pub enrolled: bool,
    /// Bytes of memory the bundle promised to stay below.
    pub memory: Option<u64>,
}

/// What a bundle's manifest claims beyond background modes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entitlements {
    /// The graphics processor for continued work.
    pub continued_processing_gpu: bool,
    /// The study that its health research is for.
    pub health_research: Option<String>,
}

/// What else is unfinished when a request is submitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The pending request of the same identifier that was never launched, and its kind: a newer one replaces it.
    pub replaceable: Option<(RequestId, KindName)>,
    /// Pending requests of the bundle and kind that were never launched.
    pub pending: u64,
}

impl Permits {
    /// Whether the profile lets `identifier` be of `kind`: wildcards serve continued work only, unless on a server.
    pub fn permits(&self, profile: Profile, identifier: &Identifier, kind: KindName) -> bool {
        let wildcards = profile == Profile::Server || kind == KindName::ContinuedProcessing;
        self.identifiers.iter().any(|pattern| pattern.matches(identifier) && (wildcards || !pattern.is_wildcard()))
    }

    /// Whether a request that was accepted under an earlier manifest would be permitted still.
    pub fn still_permits(&self, profile: Profile, request: &Request) -> bool {
        let kind = request.kind.name();
        self.permits(profile, &request.identifier, kind)
            && background_mode(kind).is_none_or(|mode| self.modes.contains(&mode))
            && self.lacks_entitlement(&request.kind).is_none()
    }

    /// What the bundle is not entitled to that `kind` asks for, in a sentence.
    fn lacks_entitlement(&self, kind: &Kind) -> Option<String> {
        let Entitlements { continued_processing_gpu, health_research } = &self.entitlements;
        match (kind, health_research) {
            (Kind::HealthResearch { .. }, None) => Some(
                "health-research needs the entitlement `health-research`, which names a study, in the bundle's manifest"
                    .into(),
            ),
            (Kind::HealthResearch { .. }, Some(study)) if !self.enrolled => Some(format!(
                "this machine is not enrolled in the study `{study}`: its operator enrols it with `idlewild grants BUNDLE --enrol {study}`"
            )),
            (Kind::ContinuedProcessing(Continued { requires_gpu: true, .. }), _) if !continued_processing_gpu => {
                Some("gpu needs the entitlement `continued-processing-gpu` in the bundle's manifest".into())
            }
            (
                Kind::AppRefresh | Kind::Processing(_) | Kind::HealthResearch { .. } | Kind::ContinuedProcessing(_),
                _,
            ) => None,
        }
    }
}

/// The mode a bundle must declare to have tasks of that kind, where there is one.
fn background_mode(kind: KindName) -> Option<BackgroundMode> {
    match kind {
        KindName::AppRefresh => Some(BackgroundMode::Fetch),
        KindName::Processing | KindName::HealthResearch => Some(BackgroundMode::Processing),
        KindName::ContinuedProcessing => None,
    }
}

/// Judges a submission. Accepted, it may replace the request that `Standing` names. Whether a request that insists on starting
/// at once can do so is judged by [`admit_immediate`], where it stands.
pub fn admit(
    policy: &Policy,
    permits: &Permits,
    standing: Standing,
    submitter: Submitter,
    request: &Request,
) -> Result<(), Refusal> {
    let kind = request.kind.name();
    if !permits.enabled {
        return Err(Refusal {
            code: RefusalCode::Unavailable,
            message: "the bundle is disabled: `idlewild enable` lets it run again".into(),
        });
    }
    check_permission(policy, permits, request)?;
    if kind == KindName::ContinuedProcessing && submitter == Submitter::Bundle {
        return not_permitted(
            "continued-processing is asked for by a person through a client, not by a task: submit processing instead"
                .into(),
        );
    }
    check_options(policy, permits, request)?;
    let replaces_its_like = standing.replaceable.is_some_and(|(_, replaced)| replaced == kind);
    let limit = policy.pending.of(kind);
    if !replaces_its_like && standing.pending >= limit {
        return Err(Refusal {
            code: RefusalCode::TooManyPendingTaskRequests,
            message: format!(
                "{} {kind} requests of this bundle are pending, and profile {} allows {limit}: cancel one, or wait until one has run",
                standing.pending, policy.profile
            ),
        });
    }
    Ok(())
}

/// Whether the request fails rather than waits.
pub fn insists_on_starting(request: &Request) -> bool {
    matches!(&request.kind, Kind::ContinuedProcessing(Continued { fail_unless_immediate: true, .. }))
}

/// Judges a request that fails rather than waits: `reasons` say why it cannot be launched by this very step.
pub fn admit_immediate<'a>(
    request: &Request,
    mut reasons: impl Iterator<Item = &'a super::Reason>,
) -> Result<(), Refusal> {
    match reasons.next() {
        Some(reason) if insists_on_starting(request) => Err(Refusal {
            code: RefusalCode::ImmediateRunIneligible,
            message: format!(
                "it cannot start at once: {reason}; ask with the strategy `queue`, and it starts as soon as it can"
            ),
        }),
        Some(_) | None => Ok(()),
    }
}

fn check_permission(policy: &Policy, permits: &Permits, request: &Request) -> Result<(), Refusal> {
    let kind = request.kind.name();
    if !permits.permits(policy.profile, &request.identifier, kind) {
        let only_by_wildcard = permits.identifiers.iter().any(|pattern| pattern.matches(&request.identifier));
        return not_permitted(if only_by_wildcard {
            format!(
                "{} is permitted only by a wildcard, which serves continued work alone on profile {}: name it in permitted-identifiers",
                request.identifier, policy.profile
            )
        } else {
            format!("{} is not among the bundle's permitted-identifiers", request.identifier)
        });
    }
    if let Some(mode) = background_mode(kind).filter(|mode| !permits.modes.contains(mode)) {
        return not_permitted(format!("{kind} needs `{mode}` among the bundle's background-modes"));
    }
    if let Some(lack) = permits.lacks_entitlement(&request.kind) {
        return not_permitted(lack);
    }
    match &request.kind {
        // No engine of this host offers a graphics processor to guests.
        Kind::ContinuedProcessing(Continued { requires_gpu: true, .. }) => not_permitted(
            "this host has no graphics processor for guests: see `supported-resources`, and leave `gpu` out".into(),
        ),
        Kind::ContinuedProcessing(Continued { title, .. }) if title.trim().is_empty() => {
            not_permitted("continued-processing needs a title, which is shown to who asked for it".into())
        }
        Kind::AppRefresh | Kind::Processing(_) | Kind::HealthResearch { .. } | Kind::ContinuedProcessing(_) => Ok(()),
    }
}

fn check_options(policy: &Policy, permits: &Permits, request: &Request) -> Result<(), Refusal> {
    let kind = request.kind.name();
    if request.input.len() > policy.input {
        return not_permitted(format!("the input has {} bytes, and {} are allowed", request.input.len(), policy.input));
    }
    if let Some(fault) = fault_of_times(policy, request) {
        return not_permitted(fault);
    }
    if kind == KindName::ContinuedProcessing && request.repeat.is_some() {
        return not_permitted("continued-processing does not repeat: a person asks for it each time".into());
    }
    if request.run_after.len() > policy.run_after {
        return not_permitted(format!(
            "run-after names {} identifiers, and {} are allowed",
            request.run_after.len(),
            policy.run_after
        ));
    }
    for earlier in &request.run_after {
        if *earlier == request.identifier {
            return not_permitted(format!("{earlier} cannot run after itself"));
        }
        if !permits.permits(policy.profile, earlier, kind) {
            return not_permitted(format!(
                "run-after names {earlier}, which is not among the bundle's permitted-identifiers"
            ));
        }
    }
    Ok(())
}

/// What is wrong with the times a request names.
fn fault_of_times(policy: &Policy, request: &Request) -> Option<String> {
    let Request { earliest_begin, latest_begin, repeat, retry, .. } = request;
    if let (Some(earliest), Some(latest)) = (earliest_begin, latest_begin)
        && latest < earliest
    {
        return Some(format!("latest-begin {latest:.0} lies before earliest-begin {earliest:.0}"));
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
        if *attempts > policy.attempts {
            return Some(format!("retry asks for {attempts} attempts, and {} are allowed", policy.attempts));
        }
        if longest_delay < first_delay {
            return Some("the longest-delay of retry is shorter than its first-delay".into());
        }
    }
    None
}

/// A repetition that comes oftener would only keep the host busy with its own records.
const SHORTEST_PERIOD: std::time::Duration = std::time::Duration::from_secs(1);

fn not_permitted(message: String) -> Result<(), Refusal> {
    Err(Refusal { code: RefusalCode::NotPermitted, message })
}
