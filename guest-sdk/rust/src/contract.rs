//! Says in the contract's types what the kit says in its own, and back.

use std::time::{Duration, SystemTime};

use crate::{
    ContinuedProcessing, DataProtection, ExpirationReason, HealthResearch, Kind, Priority, Processing, Repeat, Request,
    Retry, SubmitErrorCode, bindings::imported::idlewild::background_tasks::types,
};

impl From<Request> for types::Request {
    fn from(request: Request) -> types::Request {
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
            identifier,
            kind: kind.into(),
            earliest_begin: earliest_begin.map(to_timestamp),
            latest_begin: latest_begin.map(to_timestamp),
            input,
            priority: match priority {
                Priority::Low => types::Priority::Low,
                Priority::Normal => types::Priority::Normal,
                Priority::High => types::Priority::High,
            },
            run_after,
            repeat: repeat.map(|Repeat { every, flex }| types::Repeat {
                every: to_milliseconds(every),
                flex: to_milliseconds(flex),
            }),
            retry: retry.map(|Retry { attempts, first_delay, longest_delay }| types::Retry {
                attempts,
                first_delay: to_milliseconds(first_delay),
                longest_delay: to_milliseconds(longest_delay),
            }),
            may_suspend,
        }
    }
}

impl From<types::Request> for Request {
    fn from(request: types::Request) -> Request {
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
        Request {
            identifier,
            kind: kind.into(),
            earliest_begin: earliest_begin.map(from_timestamp),
            latest_begin: latest_begin.map(from_timestamp),
            input,
            priority: match priority {
                types::Priority::Low => Priority::Low,
                types::Priority::Normal => Priority::Normal,
                types::Priority::High => Priority::High,
            },
            run_after,
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
        }
    }
}

impl From<Kind> for types::TaskKind {
    fn from(kind: Kind) -> types::TaskKind {
        match kind {
            Kind::AppRefresh => types::TaskKind::AppRefresh,
            Kind::Processing(Processing { requires_network, requires_external_power }) => {
                types::TaskKind::Processing(types::Processing {
                    requires_network_connectivity: requires_network,
                    requires_external_power,
                })
            }
            Kind::HealthResearch(HealthResearch {
                requires_network,
                requires_external_power,
                protection_of_required_data,
            }) => types::TaskKind::HealthResearch(types::HealthResearch {
                requires_network_connectivity: requires_network,
                requires_external_power,
                protection_of_required_data: protection_of_required_data.into(),
            }),
            Kind::ContinuedProcessing(ContinuedProcessing { title, subtitle, fail_unless_immediate, requires_gpu }) => {
                types::TaskKind::ContinuedProcessing(types::ContinuedProcessing {
                    title,
                    subtitle,
                    strategy: if fail_unless_immediate {
                        types::SubmissionStrategy::Fail
                    } else {
                        types::SubmissionStrategy::Queue
                    },
                    required_resources: if requires_gpu { types::Resources::GPU } else { types::Resources::empty() },
                })
            }
        }
    }
}

impl From<types::TaskKind> for Kind {
    fn from(kind: types::TaskKind) -> Kind {
        match kind {
            types::TaskKind::AppRefresh => Kind::AppRefresh,
            types::TaskKind::Processing(types::Processing {
                requires_network_connectivity: requires_network,
                requires_external_power,
            }) => Kind::Processing(Processing { requires_network, requires_external_power }),
            types::TaskKind::HealthResearch(types::HealthResearch {
                requires_network_connectivity: requires_network,
                requires_external_power,
                protection_of_required_data,
            }) => Kind::HealthResearch(HealthResearch {
                requires_network,
                requires_external_power,
                protection_of_required_data: protection_of_required_data.into(),
            }),
            types::TaskKind::ContinuedProcessing(types::ContinuedProcessing {
                title,
                subtitle,
                strategy,
                required_resources,
            }) => Kind::ContinuedProcessing(ContinuedProcessing {
                title,
                subtitle,
                fail_unless_immediate: match strategy {
                    types::SubmissionStrategy::Queue => false,
                    types::SubmissionStrategy::Fail => true,
                },
                requires_gpu: required_resources.contains(types::Resources::GPU),
            }),
        }
    }
}

impl From<DataProtection> for types::DataProtection {
    fn from(protection: DataProtection) -> types::DataProtection {
        match protection {
            DataProtection::None => types::DataProtection::None,
            DataProtection::CompleteUntilFirstUserAuthentication => {
                types::DataProtection::CompleteUntilFirstUserAuthentication
            }
            DataProtection::CompleteUnlessOpen => types::DataProtection::CompleteUnlessOpen,
            DataProtection::Complete => types::DataProtection::Complete,
        }
    }
}

impl From<types::DataProtection> for DataProtection {
    fn from(protection: types::DataProtection) -> DataProtection {
        match protection {
            types::DataProtection::None => DataProtection::None,
            types::DataProtection::CompleteUntilFirstUserAuthentication => {
                DataProtection::CompleteUntilFirstUserAuthentication
            }
            types::DataProtection::CompleteUnlessOpen => DataProtection::CompleteUnlessOpen,
            types::DataProtection::Complete => DataProtection::Complete,
        }
    }
}

impl From<types::SubmitErrorCode> for SubmitErrorCode {
    fn from(code: types::SubmitErrorCode) -> SubmitErrorCode {
        match code {
            types::SubmitErrorCode::Unavailable => SubmitErrorCode::Unavailable,
            types::SubmitErrorCode::TooManyPendingTaskRequests => SubmitErrorCode::TooManyPendingTaskRequests,
            types::SubmitErrorCode::NotPermitted => SubmitErrorCode::NotPermitted,
            types::SubmitErrorCode::ImmediateRunIneligible => SubmitErrorCode::ImmediateRunIneligible,
        }
    }
}

/// The contract counts milliseconds since 1970; what lies before is as good as 1970, for a floor and for a ceiling.
fn to_timestamp(moment: SystemTime) -> types::Timestamp {
    to_milliseconds(moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}

/// Moments a clock cannot hold are brought down to the last it surely can.
fn from_timestamp(timestamp: types::Timestamp) -> SystemTime {
    const LAST: Duration = Duration::from_secs(u32::MAX as u64);
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(timestamp)).unwrap_or(SystemTime::UNIX_EPOCH + LAST)
}

fn to_milliseconds(span: Duration) -> types::Milliseconds {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

impl From<types::ExpirationReason> for ExpirationReason {
    fn from(reason: types::ExpirationReason) -> ExpirationReason {
        match reason {
            types::ExpirationReason::TimeLimit => ExpirationReason::TimeLimit,
            types::ExpirationReason::FuelLimit => ExpirationReason::FuelLimit,
            types::ExpirationReason::ConditionsLost => ExpirationReason::ConditionsLost,
            types::ExpirationReason::Cancelled => ExpirationReason::Cancelled,
            types::ExpirationReason::NoProgress => ExpirationReason::NoProgress,
            types::ExpirationReason::Preempted => ExpirationReason::Preempted,
            types::ExpirationReason::BundleRemoved => ExpirationReason::BundleRemoved,
            types::ExpirationReason::HostStopping => ExpirationReason::HostStopping,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back<K: Into<Kind> + Clone>(request: &Request<K>) -> Request {
        types::Request::from(request.clone().into_any()).into()
    }

    #[test]
    fn every_option_survives_the_way_through_the_contract() {
        let moment = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let request = Request::health_research("com.example.study.walks")
            .requires_network()
            .requires_external_power()
            .protection_of_required_data(DataProtection::Complete)
            .earliest_begin(moment)
            .latest_begin(moment + Duration::from_secs(60))
            .input("input")
            .priority(Priority::High)
            .run_after("com.example.study.sync")
            .run_after("com.example.study.clean")
            .repeat(Repeat { every: Duration::from_secs(3600), flex: Duration::from_secs(60) })
            .retry(Retry { attempts: 3, first_delay: Duration::from_secs(1), longest_delay: Duration::from_secs(8) })
            .may_suspend();
        let back = there_and_back(&request);
        assert_eq!(back.kind, request.kind.into());
        assert_eq!(back.earliest_begin, request.earliest_begin);
        assert_eq!(back.latest_begin, request.latest_begin);
        assert_eq!(back.input, b"input");
        assert_eq!(back.priority, Priority::High);
        assert_eq!(back.run_after, ["com.example.study.sync", "com.example.study.clean"]);
        assert_eq!(back.repeat, request.repeat);
        assert_eq!(back.retry, request.retry);
        assert!(back.may_suspend);
    }

    #[test]
    fn continued_work_keeps_what_people_see() {
        let request = Request::continued_processing("com.example.export.7", "Export", "7 of 9").fail_unless_immediate();
        let back = there_and_back(&request.requires_gpu());
        let Kind::ContinuedProcessing(kind) = back.kind else { panic!("another kind: {:?}", back.kind) };
        assert_eq!((kind.title.as_str(), kind.subtitle.as_str()), ("Export", "7 of 9"));
        assert!(kind.fail_unless_immediate && kind.requires_gpu);
    }

    #[test]
    fn a_new_request_asks_for_nothing_more() {
        let raw = types::Request::from(Request::processing("com.example.a.b").into_any());
        let types::TaskKind::Processing(needs) = raw.kind else { panic!("another kind: {:?}", raw.kind) };
        assert!(!needs.requires_network_connectivity && !needs.requires_external_power);
        assert!(raw.earliest_begin.is_none() && raw.latest_begin.is_none() && raw.input.is_empty());
        assert!(raw.run_after.is_empty() && raw.repeat.is_none() && raw.retry.is_none() && !raw.may_suspend);
    }

    #[test]
    fn moments_out_of_range_stay_in_it() {
        assert_eq!(to_timestamp(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), 0);
        let _ = from_timestamp(u64::MAX);
        assert_eq!(to_milliseconds(Duration::MAX), u64::MAX);
    }
}
