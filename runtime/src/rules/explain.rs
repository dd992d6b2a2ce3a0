//! The smallest change that would let a waiting request run, from the reasons that hold it back.

use std::fmt;

use super::{eligibility::*, records::*, words::*};

/// One thing that would end one or more reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mend {
    /// The condition comes to hold, or a person states that it does.
    Condition { condition: Condition },
    /// Time passes.
    Wait { until: Timestamp },
    /// The operator grants something.
    Grant { bundle: BundleId, missing: Missing },
    /// A person enables the bundle.
    Enable { bundle: BundleId },
    /// The bundle's change is over, in a moment.
    Settle { bundle: BundleId },
    /// The request before it is finished or cancelled.
    Finish { request: RequestId },
    /// The named identifier succeeds.
    Succeed { identifier: Identifier },
    /// A running task ends: any, or one of that kind.
    End { kind: Option<KindName> },
    /// A host runs on the state folder.
    Serve,
}

impl Mend {
    /// The change's name for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Mend::Condition { .. } => "condition",
            Mend::Wait { .. } => "wait",
            Mend::Grant { .. } => "grant",
            Mend::Enable { .. } => "enable",
            Mend::Settle { .. } => "settle",
            Mend::Finish { .. } => "finish",
            Mend::Succeed { .. } => "succeed",
            Mend::End { .. } => "end",
            Mend::Serve => "serve",
        }
    }
}

impl fmt::Display for Mend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mend::Condition { condition } => write!(f, "{condition} comes to hold, or is stated"),
            Mend::Wait { until } => write!(f, "it becomes {until:.0}"),
            Mend::Grant { bundle, missing: Missing { ask, option: _ } } => {
                write!(f, "{bundle} is granted what it asks {ask}")
            }
            Mend::Enable { bundle } => write!(f, "{bundle} is enabled"),
            Mend::Settle { bundle } => write!(f, "the change of {bundle} is over, in a moment"),
            Mend::Finish { request } => write!(f, "request {request} is finished or cancelled"),
            Mend::Succeed { identifier } => write!(f, "{identifier} succeeds"),
            Mend::End { kind: None } => f.write_str("a running task ends"),
            Mend::End { kind: Some(kind) } => write!(f, "a running {kind} task ends"),
            Mend::Serve => f.write_str("a host runs"),
        }
    }
}

/// The fewest changes that together leave no reason; of as many, those that need no waiting. Empty: nothing holds it back.
/// `latest_begin` is the request's: from then on what is merely wished counts no longer.
pub fn smallest_change(reasons: &[Held], latest_begin: Option<Timestamp>) -> Vec<Mend> {
    let options: Vec<Vec<Mend>> = reasons.iter().map(|held| mends(&held.reason, latest_begin)).collect();
    // What only one change can end needs that change; there may be many of these.
    let mut change: Vec<Mend> = Vec::new();
    for only in options.iter().filter(|mends| mends.len() == 1).flatten() {
        if !change.iter().any(|mend| ends(mend, only)) {
            change.retain(|mend| !ends(only, mend));
            change.push(only.clone());
        }
    }
    // The rest are a few wishes, which offer a few changes in all.
    let open: Vec<&Vec<Mend>> = options.iter().filter(|mends| !is_ended(mends, change.iter())).collect();
    let mut candidates: Vec<&Mend> = Vec::new();
    for mend in open.iter().copied().flatten() {
        if !candidates.contains(&mend) {
            candidates.push(mend);
        }
    }
    let of = |set: usize| -> Vec<&Mend> {
        candidates.iter().enumerate().filter(|(place, _)| set & (1 << place) != 0).map(|(_, mend)| *mend).collect()
    };
    let enough = |set: &Vec<&Mend>| open.iter().all(|mends| is_ended(mends, set.iter().copied()));
    let cost = |set: &Vec<&Mend>| (set.len(), set.iter().filter_map(|mend| wait(mend)).max());
    let best = (0..1_usize << candidates.len()).map(of).filter(enough).min_by_key(cost);
    change.extend(best.into_iter().flatten().cloned());
    change
}

fn is_ended<'a>(mends: &[Mend], mut by: impl Iterator<Item = &'a Mend>) -> bool {
    by.any(|mend| mends.iter().any(|other| ends(mend, other)))
}

fn wait(mend: &Mend) -> Option<Timestamp> {
    match mend {
        Mend::Wait { until } => Some(*until),
        Mend::Condition { .. }
        | Mend::Grant { .. }
        | Mend::Enable { .. }
        | Mend::Settle { .. }
        | Mend::Finish { .. }
        | Mend::Succeed { .. }
        | Mend::End { .. }
        | Mend::Serve => None,
    }
}

/// What would end a reason, the plainest first.
fn mends(reason: &Reason, latest_begin: Option<Timestamp>) -> Vec<Mend> {
    let in_the_end = latest_begin.filter(|_| is_wish(reason)).map(|until| Mend::Wait { until });
    let mut mends = match reason {
        Reason::EarliestBegin { at } | Reason::Resting { at, .. } | Reason::BudgetSpent { at, .. } => {
            vec![Mend::Wait { until: *at }]
        }
        Reason::Spaced { at } => {
            vec![Mend::Condition { condition: Condition::ExternalPower }, Mend::Wait { until: *at }]
        }
        Reason::RunAfter { identifier, .. } => vec![Mend::Succeed { identifier: identifier.clone() }],
        Reason::Behind { request } => vec![Mend::Finish { request: *request }],
        Reason::Lacks { condition, .. } => {
            let power =
                is_lifted_by_power(*condition).then_some(Mend::Condition { condition: Condition::ExternalPower });
            std::iter::once(Mend::Condition { condition: *condition }).chain(power).collect()
        }
        Reason::BundleDisabled { bundle } => vec![Mend::Enable { bundle: bundle.clone() }],
        Reason::NotGranted { bundle, missing } => {
            vec![Mend::Grant { bundle: bundle.clone(), missing: missing.clone() }]
        }
        Reason::BundleChanging { bundle } => vec![Mend::Settle { bundle: bundle.clone() }],
        Reason::NoSlot { .. } => vec![Mend::End { kind: None }],
        Reason::NoSlotOfKind { kind, .. } => vec![Mend::End { kind: Some(*kind) }],
        Reason::NotLaunching => vec![Mend::Serve],
    };
    mends.extend(in_the_end);
    mends
}

/// Whether one change does what another would. Who waits for longer waits for the shorter, too.
fn ends(mend: &Mend, other: &Mend) -> bool {
    match (mend, other) {
        (Mend::Wait { until }, Mend::Wait { until: enough }) => until >= enough,
        (mend, other) => mend == other,
    }
}

/// Whether the latest begin outranks the reason: the host wishes for a better moment, and the task does not need it.
fn is_wish(reason: &Reason) -> bool {
    match reason {
        Reason::Spaced { .. } => true,
        Reason::Lacks { condition, .. } => is_lifted_by_power(*condition) || *condition == Condition::Idle,
        Reason::EarliestBegin { .. }
        | Reason::Resting { .. }
        | Reason::RunAfter { .. }
        | Reason::Behind { .. }
        | Reason::BudgetSpent { .. }
        | Reason::BundleDisabled { .. }
        | Reason::NotGranted { .. }
        | Reason::BundleChanging { .. }
        | Reason::NoSlot { .. }
        | Reason::NoSlotOfKind { .. }
        | Reason::NotLaunching => false,
    }
}
