//! Keys that are trusted, and what signatures came to, as JSON.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Text;
use crate::host::{self, SignaturePolicy};

/// What a bundle's signature came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Verdict {
    /// By a trusted key, over exactly this bundle.
    Signed {
        name: String,
        /// The number of the key.
        key: String,
    },
    Unsigned,
    /// With a key that is not trusted: nothing is proved.
    Untrusted {
        key: String,
    },
    /// The policy is `off`.
    Unchecked,
}

/// A key the operator trusts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// Its number: sixteen hexadecimal digits.
    pub id: String,
    pub name: String,
    /// The public key in one word, as minisign takes it.
    pub key: String,
}

/// Whom the operator trusts, and what they ask of signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trust {
    /// `require`, `warn` or `off`.
    pub policy: Text<SignaturePolicy>,
    pub keys: Vec<Key>,
}

/// Asks to trust a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustKey {
    pub name: String,
    /// A public key's file, or its second line.
    pub key: String,
}

/// The answer to `TrustKey`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyTrusted {
    #[serde(flatten)]
    pub key: Key,
    /// False when it was trusted already.
    pub changed: bool,
}

/// Sets what is asked of signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetPolicy {
    pub policy: Text<SignaturePolicy>,
}

impl From<host::Verdict> for Verdict {
    fn from(verdict: host::Verdict) -> Verdict {
        match verdict {
            host::Verdict::Signed(host::TrustedKey { name, key }) => Verdict::Signed { name, key: key.id() },
            host::Verdict::Unsigned => Verdict::Unsigned,
            host::Verdict::Untrusted { key } => Verdict::Untrusted { key },
            host::Verdict::Unchecked => Verdict::Unchecked,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Signed { name, key } => write!(f, "signed by {name} (key {key})"),
            Verdict::Unsigned => write!(f, "not signed"),
            Verdict::Untrusted { key } => write!(f, "signed with key {key}, which is not trusted"),
            Verdict::Unchecked => write!(f, "not checked"),
        }
    }
}

impl From<host::TrustedKey> for Key {
    fn from(host::TrustedKey { name, key }: host::TrustedKey) -> Key {
        Key { id: key.id(), name, key: key.word() }
    }
}

impl From<host::Trust> for Trust {
    fn from(host::Trust { policy, keys }: host::Trust) -> Trust {
        Trust { policy: Text(policy), keys: keys.into_iter().map(Key::from).collect() }
    }
}
