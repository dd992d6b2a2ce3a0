//! What a client sends: bodies and queries, read strictly and turned into the rules' types at the door.

use std::{path::PathBuf, time::Duration};

use serde::{Deserialize, Deserializer, Serialize};

use super::{Bytes, DEFAULT_LIST_LIMIT, GrantOffer, LIST_LIMIT, Text, grants::absolute};
use crate::{
    host,
    rules::{
        self, BundleId, Condition, Continued, DataProtection, ExpirationReason, HistoryFilter, Identifier, Kind,
        KindName, Needs, Priority, SubmissionStrategy, TaskFilter, TaskId, Timestamp,
    },
};

/// A request, as a client submits it and as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub identifier: Text<Identifier>,
    pub kind: Text<KindName>,
    /// Only processing and health-research wait for it.
    #[serde(default)]
    pub requires_network_connectivity: bool,
    /// Only processing and health-research wait for it.
    #[serde(default)]
    pub requires_external_power: bool,
    /// How far the protection of a person's files must be lifted. Only with health-research; left out:
    /// complete-until-first-user-authentication.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protection_of_required_data: Option<Text<DataProtection>>,
    /// What is being done, for who asked. Only with continued-processing, and there it must be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtitle: Option<String>,
    /// What becomes of continued-processing that cannot start at once. Left out: queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Text<SubmissionStrategy>>,
    /// Whether continued-processing uses the graphics processor.
    #[serde(default, skip_serializing_if = "is_false")]
    pub requires_gpu: bool,
    /// A floor, never a promise. Left out or null: at once. Continued-processing ignores it.
    #[serde(default)]
    pub earliest_begin: Option<Text<Timestamp>>,
    /// From then on the host waits for no better moment, but still for what the task needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest_begin: Option<Text<Timestamp>>,
    #[serde(default)]
    pub input: Bytes,
    /// Left out: normal.
    #[serde(default = "normal")]
    pub priority: Text<Priority>,
    /// Waits until each of these has succeeded.
    #[serde(default)]
    pub run_after: Vec<Text<Identifier>>,
    /// Asks for the same again after each end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Repeat>,
    /// Launches again after a failure or a trap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<Retry>,
    /// Whether it may be held in place while its conditions are gone, instead of being asked to stop.
    #[serde(default, skip_serializing_if = "is_false")]
    pub may_suspend: bool,
}

/// A request that is pending again as soon as it has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repeat {
    /// From one due date to the next.
    pub every_ms: u64,
    /// How much before it is due it may already begin.
    #[serde(default)]
    pub flex_ms: u64,
}

/// Further launches after failures; each wait is twice the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retry {
    /// Launches in all, the first one included.
    pub attempts: u32,
    pub first_delay_ms: u64,
    pub longest_delay_ms: u64,
}

fn normal() -> Text<Priority> {
    Text(Priority::Normal)
}

fn is_false(flag: &bool) -> bool {
    !flag
}

impl Request {
    /// A request with every option neutral.
    pub fn new(identifier: Identifier, kind: KindName) -> Request {
        Request {
            identifier: Text(identifier),
            kind: Text(kind),
            requires_network_connectivity: false,
            requires_external_power: false,
            protection_of_required_data: None,
            title: None,
            subtitle: None,
            strategy: None,
            requires_gpu: false,
            earliest_begin: None,
            latest_begin: None,
            input: Bytes::default(),
            priority: normal(),
            run_after: Vec::new(),
            repeat: None,
            retry: None,
            may_suspend: false,
        }
    }

    /// Errors: a sentence about what does not go together.
    pub fn into_rules(self) -> Result<rules::Request, String> {
        let kind = self.kind()?;
        let Request { identifier, earliest_begin, latest_begin, input, priority, run_after, repeat, retry, .. } = self;
        Ok(rules::Request {
            identifier: identifier.0,
            kind,
            earliest_begin: earliest_begin.map(|at| at.0),
            latest_begin: latest_begin.map(|at| at.0),
            input: input.0,
            priority: priority.0,
            run_after: run_after.into_iter().map(|identifier| identifier.0).collect(),
            repeat: repeat.map(|Repeat { every_ms, flex_ms }| rules::Repeat {
                every: Duration::from_millis(every_ms),
                flex: Duration::from_millis(flex_ms),
            }),
            retry: retry.map(|Retry { attempts, first_delay_ms, longest_delay_ms }| rules::Retry {
                attempts,
                first_delay: Duration::from_millis(first_delay_ms),
                longest_delay: Duration::from_millis(longest_delay_ms),
            }),
            may_suspend: self.may_suspend,
        })
    }

    /// The kind with what belongs to it; what belongs to another is an error.
    fn kind(&self) -> Result<Kind, String> {
        let kind = self.kind.0;
        let long = matches!(kind, KindName::Processing | KindName::HealthResearch);
        let belongs = [
            ("requires_network_connectivity", self.requires_network_connectivity, long, "processing"),
            ("requires_external_power", self.requires_external_power, long, "processing"),
            (
                "protection_of_required_data",
                self.protection_of_required_data.is_some(),
                kind == KindName::HealthResearch,
                "health-research",
            ),
        ];
        let continued = kind == KindName::ContinuedProcessing;
        let of_continued = [
            ("title", self.title.is_some()),
            ("subtitle", self.subtitle.is_some()),
            ("strategy", self.strategy.is_some()),
            ("requires_gpu", self.requires_gpu),
        ];
        let of_continued = of_continued.map(|(name, said)| (name, said, continued, "continued-processing"));
        if let Some((name, _, _, other)) =
            belongs.into_iter().chain(of_continued).find(|(_, said, fits, _)| *said && !fits)
        {
            return Err(format!(
                "{name} does not belong to a request of kind {kind}: ask for kind {other}, or leave it out"
            ));
        }
        let needs = Needs { network: self.requires_network_connectivity, external_power: self.requires_external_power };
        Ok(match kind {
            KindName::AppRefresh => Kind::AppRefresh,
            KindName::Processing => Kind::Processing(needs),
            KindName::HealthResearch => Kind::HealthResearch {
                needs,
                protection_of_required_data: self
                    .protection_of_required_data
                    .map_or(DataProtection::CompleteUntilFirstUserAuthentication, |protection| protection.0),
            },
            KindName::ContinuedProcessing => Kind::ContinuedProcessing(Continued {
                title: cut(self.title.clone().unwrap_or_default()),
                subtitle: cut(self.subtitle.clone().unwrap_or_default()),
                fail_unless_immediate: self.strategy.is_some_and(|strategy| strategy.0 == SubmissionStrategy::Fail),
                requires_gpu: self.requires_gpu,
            }),
        })
    }
}

/// A title as long as a host keeps it, in bytes.
const TITLE_LIMIT: usize = 256;

fn cut(title: String) -> String {
    let end = title.floor_char_boundary(TITLE_LIMIT.min(title.len()));
    title[..end].to_owned()
}

impl From<&rules::Request> for Request {
    fn from(request: &rules::Request) -> Request {
        let plain = Request::new(request.identifier.clone(), request.kind.name());
        let of_kind = match &request.kind {
            Kind::AppRefresh => plain,
            Kind::Processing(Needs { network, external_power }) => {
                Request { requires_network_connectivity: *network, requires_external_power: *external_power, ..plain }
            }
            Kind::HealthResearch { needs: Needs { network, external_power }, protection_of_required_data } => Request {
                requires_network_connectivity: *network,
                requires_external_power: *external_power,
                protection_of_required_data: Some(Text(*protection_of_required_data)),
                ..plain
            },
            Kind::ContinuedProcessing(Continued { title, subtitle, fail_unless_immediate, requires_gpu }) => Request {
                title: Some(title.clone()),
                subtitle: Some(subtitle.clone()),
                strategy: Some(Text(match fail_unless_immediate {
                    true => SubmissionStrategy::Fail,
                    false => SubmissionStrategy::Queue,
                })),
                requires_gpu: *requires_gpu,
                ..plain
            },
        };
        let ms = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Request {
            earliest_begin: request.earliest_begin.map(Text),
            latest_begin: request.latest_begin.map(Text),
            input: Bytes(request.input.clone()),
            priority: Text(request.priority),
            run_after: request.run_after.iter().cloned().map(Text).collect(),
            repeat: request
                .repeat
                .map(|rules::Repeat { every, flex }| Repeat { every_ms: ms(every), flex_ms: ms(flex) }),
            retry: request.retry.map(|rules::Retry { attempts, first_delay, longest_delay }| Retry {
                attempts,
                first_delay_ms: ms(first_delay),
                longest_delay_ms: ms(longest_delay),
            }),
            may_suspend: request.may_suspend,
            ..of_kind
        }
    }
}

/// How a launch is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LaunchNow {
    /// Whatever the machine is like.
    #[serde(default)]
    pub force: bool,
}

/// How an expiration is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpireNow {
    /// What the guest is told. Left out: cancelled.
    #[serde(default = "cancelled")]
    pub reason: Text<ExpirationReason>,
}

fn cancelled() -> Text<ExpirationReason> {
    Text(ExpirationReason::Cancelled)
}

/// Asks for a bundle to be installed. Paths are absolute: a client's working folder means nothing to the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Install {
    pub path: PathBuf,
    #[serde(default)]
    pub grants: Vec<GrantOffer>,
    /// Whether an older version may take a newer one's place.
    #[serde(default)]
    pub allow_downgrade: bool,
    /// Whether it may come from another signer than what it replaces, or from none.
    #[serde(default)]
    pub allow_other_signer: bool,
    /// Whether it is an error that none of its id is installed.
    #[serde(default)]
    pub must_be_installed: bool,
}

impl Install {
    /// Errors: a path that is not absolute, an origin or header that is none; each named.
    pub(in crate::api) fn into_installation(self) -> Result<host::Installation, String> {
        let Install { path, grants, allow_downgrade, allow_other_signer, must_be_installed } = self;
        let (source, grants) = (absolute(path)?, into_offers(grants)?);
        Ok(host::Installation { source, grants, allow_downgrade, allow_other_signer, must_be_installed })
    }
}

/// Enables or disables a bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Switch {
    pub enabled: bool,
    /// Disabling: whether what runs is asked to stop.
    #[serde(default)]
    pub now: bool,
}

/// Takes back and gives, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeGrants {
    /// The names of what is taken back; an origin is its own.
    #[serde(default)]
    pub revoke: Vec<String>,
    /// The studies that this machine is withdrawn from.
    #[serde(default)]
    pub withdraw: Vec<String>,
    #[serde(default)]
    pub grants: Vec<GrantOffer>,
}

impl ChangeGrants {
    /// What is given and what is taken back. Errors: as with an installation.
    pub(in crate::api) fn into_parts(self) -> Result<(Vec<host::GrantOffer>, host::TakenBack), String> {
        let ChangeGrants { revoke, withdraw, grants } = self;
        Ok((into_offers(grants)?, host::TakenBack { revoked: revoke, withdrawn: withdraw }))
    }
}

fn into_offers(grants: Vec<GrantOffer>) -> Result<Vec<host::GrantOffer>, String> {
    grants.into_iter().map(GrantOffer::into_offer).collect()
}

/// How a bundle is uninstalled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UninstallQuery {
    /// Whether its data and checkpoints wait for it to be installed again.
    #[serde(default)]
    pub(in crate::api) keep_data: bool,
}

/// States a condition by hand; null gives it back to the machine's own reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateCondition {
    pub condition: Text<Condition>,
    /// Must be there, so that leaving it out by mistake states nothing.
    #[serde(deserialize_with = "Option::deserialize")]
    pub holds: Option<bool>,
}

/// How many pending requests to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestQuery {
    #[serde(default)]
    limit: Limit,
}

/// Which tasks to list, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PastQuery {
    identifier: Option<Text<Identifier>>,
    bundle: Option<Text<BundleId>>,
    /// Only what is older than the one of this number: the last of the page before.
    before: Option<u64>,
    #[serde(default)]
    limit: Limit,
}

/// Which part of a log to read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogQuery {
    /// The first byte, counted from 0.
    #[serde(default)]
    pub(in crate::api) from: u64,
    /// Whether to go on until the task has ended.
    #[serde(default)]
    pub(in crate::api) follow: bool,
}

impl RequestQuery {
    pub(in crate::api) fn limit(&self) -> usize {
        self.limit.0
    }
}

impl PastQuery {
    pub(in crate::api) fn into_task_filter(self) -> TaskFilter {
        let PastQuery { identifier, bundle, before, limit } = self;
        TaskFilter {
            identifier: identifier.map(|text| text.0),
            bundle: bundle.map(|text| text.0),
            before: before.map(TaskId),
            limit: limit.0,
        }
    }

    pub(in crate::api) fn into_history_filter(self) -> HistoryFilter {
        let PastQuery { identifier, bundle, before, limit } = self;
        let (identifier, bundle) = (identifier.map(|text| text.0), bundle.map(|text| text.0));
        HistoryFilter { identifier, bundle, before, limit: limit.0 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Limit(pub(super) usize);

impl Default for Limit {
    fn default() -> Limit {
        Limit(DEFAULT_LIST_LIMIT)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Limit, D::Error> {
        match usize::deserialize(deserializer)? {
            limit @ 1..=LIST_LIMIT => Ok(Limit(limit)),
            _ => Err(serde::de::Error::custom(format!("a limit lies between 1 and {LIST_LIMIT}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(json: &str) -> Result<rules::Request, String> {
        serde_json::from_str::<Request>(json).map_err(|error| error.to_string())?.into_rules()
    }

    #[test]
    fn a_request_needs_only_identifier_and_kind() {
        let request = request(r#"{"identifier":"com.example.a.b","kind":"app-refresh"}"#).unwrap();
        assert_eq!(request, rules::Request::new(Identifier::parse("com.example.a.b").unwrap(), Kind::AppRefresh));
    }

    #[test]
    fn a_full_request_comes_back_as_it_was_said() {
        let json = r#"{"identifier":"com.example.a.b","kind":"processing","requires_network_connectivity":true,
            "requires_external_power":true,"earliest_begin":"2026-07-28T09:00:00Z","input":{"base64":"/w=="},
            "priority":"high","run_after":["com.example.a.c"],"latest_begin":"2026-07-28T10:00:00Z",
            "repeat":{"every_ms":3600000,"flex_ms":60000},
            "retry":{"attempts":3,"first_delay_ms":1000,"longest_delay_ms":9000},"may_suspend":true}"#;
        let said: Request = serde_json::from_str(json).unwrap();
        let understood = said.clone().into_rules().unwrap();
        assert_eq!(understood.kind.needs(), Needs { network: true, external_power: true });
        assert_eq!(Request::from(&understood), said);
        let again: Request = serde_json::from_str(&serde_json::to_string(&said).unwrap()).unwrap();
        assert_eq!(again, said);
    }

    #[test]
    fn the_other_kinds_come_back_as_they_were_said() {
        let said = [
            r#"{"identifier":"com.example.a.b","kind":"health-research","requires_network_connectivity":true,
                "requires_external_power":false,"protection_of_required_data":"complete","earliest_begin":null,
                "input":{"text":"x"},"priority":"low","run_after":[]}"#,
            r#"{"identifier":"com.example.a.b","kind":"continued-processing","title":"Export","subtitle":"to disk",
                "strategy":"fail","requires_gpu":true,"earliest_begin":null,"input":{"text":"x"},"priority":"low",
                "run_after":[]}"#,
        ];
        for json in said {
            let said: Request = serde_json::from_str(json).unwrap();
            assert_eq!(Request::from(&said.clone().into_rules().unwrap()), said);
        }
    }

    #[test]
    fn what_cannot_be_asked_is_named() {
        let cases = [
            (r#"{"identifier":"com.example.a","kind":"app-refresh","piority":"low"}"#, "unknown field `piority`"),
            (r#"{"identifier":"com.example.a","kind":"refresh"}"#, "`refresh` is not a kind: app-refresh, processing"),
            (r#"{"identifier":"gallery","kind":"app-refresh"}"#, "`gallery` is not a reverse-DNS name"),
            (r#"{"kind":"app-refresh"}"#, "missing field `identifier`"),
            (
                r#"{"identifier":"com.example.a","kind":"app-refresh","earliest_begin":"noon"}"#,
                "`noon` is not an RFC 3339",
            ),
            (
                r#"{"identifier":"com.example.a","kind":"app-refresh","requires_external_power":true}"#,
                "kind processing",
            ),
            (
                r#"{"identifier":"com.example.a","kind":"processing","title":"Export"}"#,
                "title does not belong to a request of kind processing: ask for kind continued-processing",
            ),
            (r#"{"identifier":"com.example.a","kind":"processing","repeat":{"every":7}}"#, "unknown field `every`"),
            (
                r#"{"identifier":"com.example.a","kind":"processing","protection_of_required_data":"complete"}"#,
                "ask for kind health-research",
            ),
        ];
        for (json, message) in cases {
            let error = request(json).unwrap_err();
            assert!(error.contains(message), "{json}: {error}");
        }
    }

    #[test]
    fn stating_a_condition_must_say_what_holds() {
        let state = |json| serde_json::from_str::<StateCondition>(json);
        assert_eq!(state(r#"{"condition":"idle","holds":null}"#).unwrap().holds, None);
        assert_eq!(state(r#"{"condition":"idle","holds":true}"#).unwrap().holds, Some(true));
        assert!(state(r#"{"condition":"idle"}"#).unwrap_err().to_string().contains("missing field `holds`"));
    }

    #[test]
    fn a_relative_path_is_refused_by_name() {
        let cases = [
            r#"{"kind":"directory","name":"gallery","path":"Pictures"}"#,
            r#"{"kind":"secret","name":"token","file":"Pictures"}"#,
        ];
        for grant in cases {
            let install: Install = serde_json::from_str(&format!(r#"{{"path":"/b","grants":[{grant}]}}"#)).unwrap();
            assert_eq!(install.into_installation().unwrap_err(), "the path `Pictures` is not absolute");
        }
    }
}
