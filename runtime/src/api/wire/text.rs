//! Words, names and moments: values the rules know as types and the wire carries as text.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{
    host::SignaturePolicy,
    rules::{
        Awaited, BundleId, BundleState, Calendar, CancelCause, Condition, DataProtection, ExpirationReason,
        HistoryWord, Identifier, KindName, MissedRuns, Priority, RefusalCode, ScheduleId, ScheduleName, ScheduleOrigin,
        ScheduleState, SubmissionStrategy, TaskId, Timestamp, ZoneName,
    },
};

/// A value written as text: what it displays is what its `from_text` understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<T>(pub T);

/// The way back from text. Errors: a sentence naming what was read and what would do.
pub trait FromText: fmt::Display + Sized {
    fn from_text(text: &str) -> Result<Self, String>;
}

impl<T: fmt::Display> fmt::Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de, T: FromText> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Text<T>, D::Error> {
        T::from_text(&String::deserialize(deserializer)?).map(Text).map_err(de::Error::custom)
    }
}

impl FromText for BundleId {
    fn from_text(text: &str) -> Result<BundleId, String> {
        BundleId::parse(text).map_err(|error| error.to_string())
    }
}

impl FromText for Identifier {
    fn from_text(text: &str) -> Result<Identifier, String> {
        Identifier::parse(text).map_err(|error| error.to_string())
    }
}

impl FromText for Timestamp {
    fn from_text(text: &str) -> Result<Timestamp, String> {
        text.parse().map_err(|_| format!("`{text}` is not an RFC 3339 date and time, such as 2026-07-28T09:00:00Z"))
    }
}

impl FromText for Calendar {
    fn from_text(text: &str) -> Result<Calendar, String> {
        Calendar::parse(text).map_err(|error| error.to_string())
    }
}

impl FromText for ScheduleId {
    fn from_text(text: &str) -> Result<ScheduleId, String> {
        ScheduleId::parse(text)
    }
}

impl FromText for ScheduleName {
    fn from_text(text: &str) -> Result<ScheduleName, String> {
        ScheduleName::parse(text)
    }
}

impl FromText for ZoneName {
    fn from_text(text: &str) -> Result<ZoneName, String> {
        ZoneName::parse(text)
    }
}

impl FromText for TaskId {
    fn from_text(text: &str) -> Result<TaskId, String> {
        text.parse().map(TaskId).map_err(|_| format!("`{text}` is not a task's number"))
    }
}

macro_rules! read_words {
    ($($name:ident $noun:literal,)*) => {$(
        impl FromText for $name {
            fn from_text(text: &str) -> Result<$name, String> {
                $name::parse(text).ok_or_else(|| {
                    let known: Vec<_> = $name::ALL.iter().map(|word| word.as_str()).collect();
                    format!("`{text}` is not a {}: {}", $noun, known.join(", "))
                })
            }
        }
    )*};
}

read_words! {
    Awaited "way to stand",
    BundleState "state of a bundle",
    CancelCause "cause of cancelling",
    Condition "condition",
    DataProtection "protection of data",
    HistoryWord "sort of change",
    ExpirationReason "reason of expiration",
    KindName "kind",
    MissedRuns "policy for missed runs",
    Priority "priority",
    RefusalCode "code of refusal",
    ScheduleOrigin "origin of a schedule",
    ScheduleState "state of a schedule",
    SignaturePolicy "policy of signatures",
    SubmissionStrategy "strategy",
}

/// A name that is not known to be one.
impl FromText for String {
    fn from_text(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_comes_back_as_the_same_value() {
        let kind = Text(KindName::AppRefresh);
        assert_eq!(serde_json::to_string(&kind).unwrap(), r#""app-refresh""#);
        assert_eq!(serde_json::from_str::<Text<KindName>>(r#""app-refresh""#).unwrap(), kind);

        let at: Text<Timestamp> = serde_json::from_str(r#""2026-07-28T11:00:00+02:00""#).unwrap();
        assert_eq!(serde_json::to_string(&at).unwrap(), r#""2026-07-28T09:00:00Z""#);
    }

    #[test]
    fn an_unknown_word_is_answered_with_the_known_ones() {
        let error = serde_json::from_str::<Text<Condition>>(r#""idel""#).unwrap_err().to_string();
        assert!(error.starts_with("`idel` is not a condition: network, external-power, idle, charged"), "{error}");
    }
}
