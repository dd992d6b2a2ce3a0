//! What a client sends: bodies and queries, read strictly and turned into the rules' types at the door.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

use super::{Bytes, DEFAULT_LIST_LIMIT, GrantOffer, LIST_LIMIT, Text, grants::absolute};
use crate::{
    host,
    rules::{
        self, BundleId, Condition, HistoryFilter, Identifier, Kind, KindName, Needs, Priority, TaskFilter, TaskId,
        Timestamp,
    },
};

/// A request, as a client submits it and as lists show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub identifier: Text<Identifier>,
    pub kind: Text<KindName>,
    /// Only processing waits for it.
    #[serde(default)]
    pub requires_network_connectivity: bool,
    /// Only processing waits for it.
    #[serde(default)]
    pub requires_external_power: bool,
    /// A floor, never a promise. Left out or null: at once.
    #[serde(default)]
    pub earliest_begin: Option<Text<Timestamp>>,
    #[serde(default)]
    pub input: Bytes,
    /// Left out: normal.
    #[serde(default = "normal")]
    pub priority: Text<Priority>,
    /// Waits until each of these has succeeded.
    #[serde(default)]
    pub run_after: Vec<Text<Identifier>>,
}

fn normal() -> Text<Priority> {
    Text(Priority::Normal)
}

impl Request {
    /// A request with every option neutral.
    pub fn new(identifier: Identifier, kind: KindName) -> Request {
        Request {
            identifier: Text(identifier),
            kind: Text(kind),
            requires_network_connectivity: false,
            requires_external_power: false,
            earliest_begin: None,
            input: Bytes::default(),
            priority: normal(),
            run_after: Vec::new(),
        }
    }

    /// Errors: a sentence about what does not go together.
    pub fn into_rules(self) -> Result<rules::Request, String> {
        let needs = Needs { network: self.requires_network_connectivity, external_power: self.requires_external_power };
        let kind = match self.kind.0 {
            KindName::AppRefresh if needs != Needs::default() => {
                return Err(
                    "an app-refresh request waits for neither network nor power: ask for kind processing".to_owned()
                );
            }
            KindName::AppRefresh => Kind::AppRefresh,
            KindName::Processing => Kind::Processing(needs),
            kind @ (KindName::HealthResearch | KindName::ContinuedProcessing) => {
                return Err(format!("requests of kind {kind} cannot be submitted here: app-refresh or processing can"));
            }
        };
        Ok(rules::Request {
            earliest_begin: self.earliest_begin.map(|at| at.0),
            input: self.input.0,
            priority: self.priority.0,
            run_after: self.run_after.into_iter().map(|identifier| identifier.0).collect(),
            ..rules::Request::new(self.identifier.0, kind)
        })
    }
}

impl From<&rules::Request> for Request {
    fn from(request: &rules::Request) -> Request {
        let needs = request.kind.needs();
        Request {
            identifier: Text(request.identifier.clone()),
            kind: Text(request.kind.name()),
            requires_network_connectivity: needs.network,
            requires_external_power: needs.external_power,
            earliest_begin: request.earliest_begin.map(Text),
            input: Bytes(request.input.clone()),
            priority: Text(request.priority),
            run_after: request.run_after.iter().cloned().map(Text).collect(),
        }
    }
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
    #[serde(default)]
    pub grants: Vec<GrantOffer>,
}

impl ChangeGrants {
    /// What is given and what is taken back. Errors: as with an installation.
    pub(in crate::api) fn into_parts(self) -> Result<(Vec<host::GrantOffer>, Vec<String>), String> {
        let ChangeGrants { revoke, grants } = self;
        Ok((into_offers(grants)?, revoke))
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
struct Limit(usize);

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
            "priority":"high","run_after":["com.example.a.c"]}"#;
        let said: Request = serde_json::from_str(json).unwrap();
        let understood = said.clone().into_rules().unwrap();
        assert_eq!(understood.kind.needs(), Needs { network: true, external_power: true });
        assert_eq!(Request::from(&understood), said);
        let again: Request = serde_json::from_str(&serde_json::to_string(&said).unwrap()).unwrap();
        assert_eq!(again, said);
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
            (r#"{"identifier":"com.example.a","kind":"continued-processing"}"#, "cannot be submitted here"),
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
