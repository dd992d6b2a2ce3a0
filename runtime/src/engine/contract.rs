//! The guest's contract as Rust: bindings to its two worlds, and its words turned into the rules' and back.

use std::time::Duration;

use super::{environment::Secrets, fault::bounded};
use crate::rules::{
    Continued, DataProtection, ExpirationReason, Identifier, Kind, Needs, Priority, Refusal, RefusalCode, Repeat,
    Request, Retry, Timestamp,
};

wasmtime::component::bindgen!({
    world: "idlewild:background-tasks/background-app",
    path: "../wit",
    imports: {
        "idlewild:background-tasks/scheduler.submit": async | trappable,
        "idlewild:background-tasks/scheduler.cancel": async | trappable,
        "idlewild:background-tasks/scheduler.cancel-all": async | trappable,
        "idlewild:background-tasks/scheduler.pending-requests": async | trappable,
        "idlewild:background-tasks/task.checkpoint": async | trappable,
        "idlewild:background-tasks/task.save-checkpoint": async | trappable,
        default: trappable,
    },
    exports: { default: async },
});

pub(super) use self::{
    asynchronous::{AsyncBackgroundApp, AsyncBackgroundAppPre, idlewild::background_tasks::expiration},
    idlewild::background_tasks::{scheduler, task, types},
};

/// The asynchronous world. It shares its words with the other, so that each is turned in one place.
mod asynchronous {
    wasmtime::component::bindgen!({
        world: "idlewild:background-tasks/async-background-app",
        path: "../wit",
        imports: { default: trappable },
        exports: { default: async },
        with: {
            "idlewild:background-tasks/scheduler": super::idlewild::background_tasks::scheduler,
            "idlewild:background-tasks/task": super::idlewild::background_tasks::task,
            "idlewild:background-tasks/types": super::idlewild::background_tasks::types,
        },
    });
}

/// How people are shown what a guest says it does.
#[derive(Clone, Default)]
pub(super) struct Titles {
    /// The most bytes of a title or subtitle; the rest is cut.
    pub(super) limit: usize,
    /// What is taken out of them.
    pub(super) secrets: Secrets,
}

impl Titles {
    /// A title or subtitle as it is shown. Cut last, so that no beginning of a secret is left at its end.
    pub(super) fn shown(&self, text: String) -> String {
        bounded(self.secrets.redact_text(text), self.limit)
    }
}

/// What a guest asked to submit. Errors: a name that is none, or a date beyond what a calendar holds.
pub(super) fn request_from_guest(request: types::Request, titles: &Titles) -> Result<Request, Refusal> {
    let types::Request {
        identifier,
        kind,
        earliest_begin,
        latest_begin,
        input,
        priority,
        run_after,
        repeat,
        retry,
        may_suspend,
    } = request;
    Ok(Request {
        identifier: identifier_from_guest(&identifier)?,
        kind: kind_from_guest(kind, titles),
        earliest_begin: timestamp_from_guest("earliest-begin", earliest_begin)?,
        latest_begin: timestamp_from_guest("latest-begin", latest_begin)?,
        input,
        priority: match priority {
            types::Priority::Low => Priority::Low,
            types::Priority::Normal => Priority::Normal,
            types::Priority::High => Priority::High,
        },
        run_after: run_after.iter().map(|name| identifier_from_guest(name)).collect::<Result<_, _>>()?,
        repeat: repeat.map(|types::Repeat { every, flex }| Repeat {
            every: Duration::from_millis(every),
            flex: Duration::from_millis(flex),
        }),
        retry: retry.map(|types::Retry { attempts, first_delay, longest_delay }| Retry {
            attempts,
            first_delay: Duration::from_millis(first_delay),
            longest_delay: Duration::from_millis(longest_delay),
        }),
        may_suspend,
    })
}

/// A pending request as its bundle sees it. Dates before 1970 read as 1970, and parts of a millisecond are left out.
pub(super) fn request_to_guest(request: Request) -> types::Request {
    let Request {
        identifier,
        kind,
        earliest_begin,
        latest_begin,
        input,
        priority,
        run_after,
        repeat,
        retry,
        may_suspend,
    } = request;
    types::Request {
        identifier: identifier.to_string(),
        kind: kind_to_guest(&kind),
        earliest_begin: earliest_begin.map(timestamp_to_guest),
        latest_begin: latest_begin.map(timestamp_to_guest),
        input,
        priority: match priority {
            Priority::Low => types::Priority::Low,
            Priority::Normal => types::Priority::Normal,
            Priority::High => types::Priority::High,
        },
        run_after: run_after.iter().map(Identifier::to_string).collect(),
        repeat: repeat
            .map(|Repeat { every, flex }| types::Repeat { every: milliseconds(every), flex: milliseconds(flex) }),
        retry: retry.map(|Retry { attempts, first_delay, longest_delay }| types::Retry {
            attempts,
            first_delay: milliseconds(first_delay),
            longest_delay: milliseconds(longest_delay),
        }),
        may_suspend,
    }
}

fn kind_from_guest(kind: types::TaskKind, titles: &Titles) -> Kind {
    match kind {
        types::TaskKind::AppRefresh => Kind::AppRefresh,
        types::TaskKind::Processing(types::Processing { requires_network_connectivity, requires_external_power }) => {
            Kind::Processing(Needs { network: requires_network_connectivity, external_power: requires_external_power })
        }
        types::TaskKind::HealthResearch(types::HealthResearch {
            requires_network_connectivity,
            requires_external_power,
            protection_of_required_data,
        }) => Kind::HealthResearch {
            needs: Needs { network: requires_network_connectivity, external_power: requires_external_power },
            protection_of_required_data: match protection_of_required_data {
                types::DataProtection::None => DataProtection::None,
                types::DataProtection::CompleteUntilFirstUserAuthentication => {
                    DataProtection::CompleteUntilFirstUserAuthentication
                }
                types::DataProtection::CompleteUnlessOpen => DataProtection::CompleteUnlessOpen,
                types::DataProtection::Complete => DataProtection::Complete,
            },
        },
        types::TaskKind::ContinuedProcessing(types::ContinuedProcessing {
            title,
            subtitle,
            strategy,
            required_resources,
        }) => Kind::ContinuedProcessing(Continued {
            title: titles.shown(title),
            subtitle: titles.shown(subtitle),
            fail_unless_immediate: match strategy {
                types::SubmissionStrategy::Queue => false,
                types::SubmissionStrategy::Fail => true,
            },
            requires_gpu: required_resources.contains(types::Resources::GPU),
        }),
    }
}

pub(super) fn kind_to_guest(kind: &Kind) -> types::TaskKind {
    match kind {
        Kind::AppRefresh => types::TaskKind::AppRefresh,
        Kind::Processing(Needs { network, external_power }) => types::TaskKind::Processing(types::Processing {
            requires_network_connectivity: *network,
            requires_external_power: *external_power,
        }),
        Kind::HealthResearch { needs: Needs { network, external_power }, protection_of_required_data } => {
            types::TaskKind::HealthResearch(types::HealthResearch {
                requires_network_connectivity: *network,
                requires_external_power: *external_power,
                protection_of_required_data: match protection_of_required_data {
                    DataProtection::None => types::DataProtection::None,
                    DataProtection::CompleteUntilFirstUserAuthentication => {
                        types::DataProtection::CompleteUntilFirstUserAuthentication
                    }
                    DataProtection::CompleteUnlessOpen => types::DataProtection::CompleteUnlessOpen,
                    DataProtection::Complete => types::DataProtection::Complete,
                },
            })
        }
        Kind::ContinuedProcessing(Continued { title, subtitle, fail_unless_immediate, requires_gpu }) => {
            types::TaskKind::ContinuedProcessing(types::ContinuedProcessing {
                title: title.clone(),
                subtitle: subtitle.clone(),
                strategy: if *fail_unless_immediate {
                    types::SubmissionStrategy::Fail
                } else {
                    types::SubmissionStrategy::Queue
                },
                required_resources: if *requires_gpu { types::Resources::GPU } else { types::Resources::empty() },
            })
        }
    }
}

pub(super) fn reason_to_guest(reason: ExpirationReason) -> types::ExpirationReason {
    match reason {
        ExpirationReason::TimeLimit => types::ExpirationReason::TimeLimit,
        ExpirationReason::FuelLimit => types::ExpirationReason::FuelLimit,
        ExpirationReason::ConditionsLost => types::ExpirationReason::ConditionsLost,
        ExpirationReason::Cancelled => types::ExpirationReason::Cancelled,
        ExpirationReason::NoProgress => types::ExpirationReason::NoProgress,
        ExpirationReason::Preempted => types::ExpirationReason::Preempted,
        ExpirationReason::BundleRemoved => types::ExpirationReason::BundleRemoved,
        ExpirationReason::HostStopping => types::ExpirationReason::HostStopping,
    }
}

pub(super) fn refusal_to_guest(Refusal { code, message }: Refusal) -> types::SubmitError {
    types::SubmitError {
        code: match code {
            RefusalCode::Unavailable => types::SubmitErrorCode::Unavailable,
            RefusalCode::TooManyPendingTaskRequests => types::SubmitErrorCode::TooManyPendingTaskRequests,
            RefusalCode::NotPermitted => types::SubmitErrorCode::NotPermitted,
            RefusalCode::ImmediateRunIneligible => types::SubmitErrorCode::ImmediateRunIneligible,
        },
        message,
    }
}

/// Whole milliseconds, as many as the contract's number holds.
pub(super) fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn identifier_from_guest(name: &str) -> Result<Identifier, Refusal> {
    Identifier::parse(name).map_err(|error| not_permitted(error.to_string()))
}

fn timestamp_from_guest(field: &str, milliseconds: Option<u64>) -> Result<Option<Timestamp>, Refusal> {
    let Some(milliseconds) = milliseconds else { return Ok(None) };
    i64::try_from(milliseconds)
        .ok()
        .and_then(|milliseconds| Timestamp::from_millisecond(milliseconds).ok())
        .map(Some)
        .ok_or_else(|| not_permitted(format!("{field} {milliseconds} is later than any date this host can keep")))
}

fn timestamp_to_guest(timestamp: Timestamp) -> u64 {
    u64::try_from(timestamp.as_millisecond()).unwrap_or(0)
}

fn not_permitted(message: String) -> Refusal {
    Refusal { code: RefusalCode::NotPermitted, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn titles() -> Titles {
        Titles { limit: 256, ..Titles::default() }
    }

    fn requests() -> Vec<Request> {
        let name = |name| Identifier::parse(name).expect("a good name");
        let needs = [(false, false), (true, false), (false, true), (true, true)];
        let mut kinds = vec![Kind::AppRefresh];
        for (network, external_power) in needs {
            let needs = Needs { network, external_power };
            kinds.push(Kind::Processing(needs));
            for protection_of_required_data in [
                DataProtection::None,
                DataProtection::CompleteUntilFirstUserAuthentication,
                DataProtection::CompleteUnlessOpen,
                DataProtection::Complete,
            ] {
                kinds.push(Kind::HealthResearch { needs, protection_of_required_data });
            }
            kinds.push(Kind::ContinuedProcessing(Continued {
                title: "Export".to_owned(),
                subtitle: "to disk".to_owned(),
                fail_unless_immediate: network,
                requires_gpu: external_power,
            }));
        }
        kinds
            .into_iter()
            .flat_map(|kind| Priority::ALL.iter().map(move |priority| (kind.clone(), *priority)))
            .map(|(kind, priority)| Request {
                earliest_begin: Some(Timestamp::from_millisecond(1_700_000_000_123).expect("a date")),
                latest_begin: Some(Timestamp::from_millisecond(0).expect("a date")),
                input: vec![0, 1, 255],
                priority,
                run_after: vec![name("com.example.a"), name("com.example.b")],
                repeat: Some(Repeat { every: Duration::from_millis(86_400_000), flex: Duration::from_millis(1) }),
                retry: Some(Retry {
                    attempts: 5,
                    first_delay: Duration::from_secs(1),
                    longest_delay: Duration::from_secs(60),
                }),
                may_suspend: true,
                ..Request::new(name("com.example.work"), kind)
            })
            .chain([Request::new(name("com.example.neutral"), Kind::AppRefresh)])
            .collect()
    }

    #[test]
    fn requests_survive_the_way_to_a_guest_and_back() {
        for request in requests() {
            assert_eq!(request_from_guest(request_to_guest(request.clone()), &titles()), Ok(request));
        }
    }

    #[test]
    fn a_date_beyond_the_calendar_is_not_permitted_and_named() {
        for milliseconds in [u64::MAX, 300_000_000_000_000] {
            let mut request = request_to_guest(Request::new(
                Identifier::parse("com.example.work").expect("a good name"),
                Kind::AppRefresh,
            ));
            request.earliest_begin = Some(milliseconds);
            let refusal = request_from_guest(request, &titles()).expect_err("no such date");
            assert_eq!(refusal.code, RefusalCode::NotPermitted);
            assert!(refusal.message.contains("earliest-begin"), "{}", refusal.message);
        }
    }

    #[test]
    fn a_long_title_is_cut() {
        let continued = types::ContinuedProcessing {
            title: "ä".repeat(1_000),
            subtitle: "to disk".to_owned(),
            strategy: types::SubmissionStrategy::Queue,
            required_resources: types::Resources::empty(),
        };
        let Kind::ContinuedProcessing(Continued { title, subtitle, .. }) =
            kind_from_guest(types::TaskKind::ContinuedProcessing(continued), &titles())
        else {
            panic!("the kind stays");
        };
        assert!(title.len() <= 256 && title.len() > 240 && title.ends_with('…'), "{title}");
        assert_eq!(subtitle, "to disk");
    }
}
