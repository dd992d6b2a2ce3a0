//! What the operator gives a bundle, as JSON. Paths are absolute: a client's working folder means nothing to the host.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::host;

/// Something given, by the name under which the bundle asks for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum GrantOffer {
    Directory {
        name: String,
        path: PathBuf,
    },
    Http {
        /// Such as `https://photos.example.com`.
        origin: String,
        /// Whether its name may lead to an address that is not public.
        #[serde(default)]
        private: bool,
    },
    Config {
        name: String,
        value: String,
    },
    Secret {
        name: String,
        #[serde(flatten)]
        source: SecretSource,
        /// Where alone it goes to, so that the guest does not see it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        header: Option<SecretHeader>,
    },
    /// This machine is enrolled in the study.
    Study {
        name: String,
    },
}

/// Where a secret's value is found: `"file"` with a path, or `"credential"` with the name of one the service manager gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SecretSource {
    File(PathBuf),
    Credential(String),
}

/// A header of every request to an origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretHeader {
    pub origin: String,
    pub name: String,
}

impl GrantOffer {
    /// Errors: a path that is not absolute, an origin or header that is none; each named.
    pub(super) fn into_offer(self) -> Result<host::GrantOffer, String> {
        let origin = |text: &str| host::Origin::parse(text).map_err(|error| error.to_string());
        Ok(match self {
            GrantOffer::Directory { name, path } => host::GrantOffer::Directory { name, path: absolute(path)? },
            GrantOffer::Http { origin: text, private } => {
                host::GrantOffer::Http(host::HttpGrant { origin: origin(&text)?, private })
            }
            GrantOffer::Config { name, value } => host::GrantOffer::Config { name, value },
            GrantOffer::Secret { name, source, header } => host::GrantOffer::Secret(host::SecretGrant {
                name,
                source: match source {
                    SecretSource::File(path) => host::SecretSource::File(absolute(path)?),
                    SecretSource::Credential(credential) => host::SecretSource::Credential(credential),
                },
                header: match header {
                    Some(SecretHeader { origin, name }) => {
                        Some(host::SecretHeader::parse(&name, &origin).map_err(|error| error.to_string())?)
                    }
                    None => None,
                },
            }),
            GrantOffer::Study { name } => host::GrantOffer::parse_study(&name).map_err(|error| error.to_string())?,
        })
    }
}

impl From<host::GrantOffer> for GrantOffer {
    fn from(offer: host::GrantOffer) -> GrantOffer {
        match offer {
            host::GrantOffer::Directory { name, path } => GrantOffer::Directory { name, path },
            host::GrantOffer::Http(host::HttpGrant { origin, private }) => {
                GrantOffer::Http { origin: origin.to_string(), private }
            }
            host::GrantOffer::Config { name, value } => GrantOffer::Config { name, value },
            host::GrantOffer::Secret(host::SecretGrant { name, source, header }) => {
                GrantOffer::Secret { name, source: source.into(), header: header.map(SecretHeader::from) }
            }
            host::GrantOffer::Study(name) => GrantOffer::Study { name },
        }
    }
}

impl From<host::SecretSource> for SecretSource {
    fn from(source: host::SecretSource) -> SecretSource {
        match source {
            host::SecretSource::File(path) => SecretSource::File(path),
            host::SecretSource::Credential(credential) => SecretSource::Credential(credential),
        }
    }
}

impl From<host::SecretHeader> for SecretHeader {
    fn from(host::SecretHeader { origin, name }: host::SecretHeader) -> SecretHeader {
        SecretHeader { origin: origin.to_string(), name }
    }
}

/// Errors: it is not.
pub(super) fn absolute(path: PathBuf) -> Result<PathBuf, String> {
    match path.is_absolute() {
        true => Ok(path),
        false => Err(format!("the path `{}` is not absolute", path.display())),
    }
}
