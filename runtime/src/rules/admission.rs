//! Who may submit what. The order of the checks is the original framework's as far as it can be told: permission first,
//! then replacement, then the count.

use super::{policy::*, words::*};

/// What a bundle may ask for, from its manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permits {
    pub modes: Vec<BackgroundMode>,
    pub identifiers: Vec<Pattern>,
    /// Bytes of memory the bundle promised to stay below.
    pub memory: Option<u64>,
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
    pub fn still_permits(&self, profile: Profile, identifier: &Identifier, kind: KindName) -> bool {
        self.permits(profile, identifier, kind) && background_mode(kind).is_none_or(|mode| self.modes.contains(&mode))
    }
}

/// The mode a bundle must declare to have tasks of that kind, where there is one.
fn background_mode(kind: KindName) -> Option<BackgroundMode> {
    match kind {
        KindName::AppRefresh => Some(BackgroundMode::Fetch),
        KindName::Processing => Some(BackgroundMode::Processing),
        KindName::HealthResearch | KindName::ContinuedProcessing => None,
    }
}

/// Judges a submission. Accepted, it may replace the request that `Standing` names.
pub fn admit(policy: &Policy, permits: &Permits, standing: Standing, request: &Request) -> Result<(), Refusal> {
    let kind = request.kind.name();
    check_permission(policy, permits, request)?;
    check_options(policy, permits, request)?;
    let replaces_its_like = standing.replaceable.is_some_and(|(_, replaced)| replaced == kind);
    let limit = policy.pending_limit(kind);
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
    match background_mode(kind) {
        Some(mode) if !permits.modes.contains(&mode) => {
            not_permitted(format!("{kind} needs `{mode}` among the bundle's background-modes"))
        }
        Some(_) => Ok(()),
        None if kind == KindName::HealthResearch => {
            not_permitted("no bundle is entitled to health-research on this host".into())
        }
        None => {
            not_permitted("continued-processing is asked for by a person, and this host has no client that does".into())
        }
    }
}

fn check_options(policy: &Policy, permits: &Permits, request: &Request) -> Result<(), Refusal> {
    let kind = request.kind.name();
    let unserved = [
        ("latest-begin", request.latest_begin.is_some()),
        ("repeat", request.repeat.is_some()),
        ("retry", request.retry.is_some()),
    ];
    if let Some((option, _)) = unserved.iter().find(|(_, asked)| *asked) {
        return not_permitted(format!("this host does not serve `{option}`: leave it out"));
    }
    if request.input.len() > policy.input {
        return not_permitted(format!("the input has {} bytes, and {} are allowed", request.input.len(), policy.input));
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

fn not_permitted(message: String) -> Result<(), Refusal> {
    Err(Refusal { code: RefusalCode::NotPermitted, message })
}
