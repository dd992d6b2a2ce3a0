//! Bundles and what becomes of them, as JSON objects.

use serde::{Deserialize, Serialize};

use super::{SecretHeader, SecretSource, Text, Verdict};
use crate::{
    host,
    rules::{self, BundleId, BundleState},
};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bundle {
    pub bundle: Text<BundleId>,
    pub version: String,
    /// The version that a rollback goes to; null when there is none.
    pub previous: Option<String>,
    pub digest: String,
    /// The key that signed it; null when none did.
    pub signer: Option<String>,
    pub state: Text<BundleState>,
    /// As the manifest permits them, wildcards included.
    pub identifiers: Vec<String>,
    pub grants: Vec<Grant>,
    /// What it asks for and was not given, and waits for.
    pub missing: Vec<Missing>,
    pub pending: u64,
    pub running: u64,
}

/// One bundle, with what takes longer to find out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BundleDetail {
    #[serde(flatten)]
    pub bundle: Bundle,
    /// All it asks for.
    pub asks: Vec<Asked>,
    /// The length of all files in its `/data`; null when that cannot be counted.
    pub data_bytes: Option<u64>,
}

/// Something a bundle asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The name it asks under; an origin is its own.
    pub name: String,
    /// As it stands behind "it asks".
    pub ask: String,
    /// What gives it, as an option of the command line.
    pub option: String,
    pub granted: bool,
}

/// Something a bundle asks for and was not given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing {
    /// As it stands behind "it asks".
    pub ask: String,
    /// What gives it, as an option of the command line.
    pub option: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Grant {
    Directory {
        name: String,
        /// `read` or `write`.
        access: String,
        /// The real folder; bytes that are not UTF-8 are shown as U+FFFD.
        path: String,
    },
    Http {
        origin: String,
        /// Whether its name may lead to an address that is not public.
        private: bool,
    },
    Config {
        name: String,
        value: String,
    },
    /// Where a secret is found. Its value is never told.
    Secret {
        name: String,
        #[serde(flatten)]
        source: SecretSource,
        /// The header it goes to, if the guest does not see it.
        #[serde(skip_serializing_if = "Option::is_none")]
        header: Option<SecretHeader>,
    },
    /// The study this machine is enrolled in.
    Study {
        name: String,
    },
}

/// The answer to an installation, an upgrade or a rollback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Installed {
    pub bundle: Text<BundleId>,
    pub version: String,
    pub digest: String,
    /// What its signature came to.
    pub signature: Verdict,
    /// False when the same digest with the same grants was installed already.
    pub changed: bool,
    /// The version whose place it took; null when there was none.
    pub before: Option<String>,
    pub state: Text<BundleState>,
    /// What it asks for and waits for.
    pub missing: Vec<Missing>,
    /// Pending requests that were cancelled, because it no longer permits them.
    pub cancelled: u64,
}

/// The answer to enabling or disabling.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switched {
    pub bundle: Text<BundleId>,
    pub state: Text<BundleState>,
    /// False when it was so already.
    pub changed: bool,
    /// What it asks for and waits for.
    pub missing: Vec<Missing>,
    /// Running tasks that were asked to stop.
    pub expired: u64,
    /// Tasks of it that run.
    pub running: u64,
}

/// The answer to a change of grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Granted {
    /// False when it was given just that already.
    pub changed: bool,
    /// Pending requests that were cancelled, because this machine was withdrawn from their study.
    pub cancelled: u64,
    /// Running tasks that were asked to stop for that.
    pub expired: u64,
    #[serde(flatten)]
    pub detail: BundleDetail,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Uninstalled {
    pub bundle: Text<BundleId>,
    /// Pending requests that were cancelled.
    pub cancelled: u64,
    /// Running tasks that were expired.
    pub expired: u64,
    /// Whether its data waits for it to be installed again.
    pub kept_data: bool,
}

pub(super) fn list_grants(grants: host::Grants) -> Vec<Grant> {
    let host::Grants { directories, http, config, secrets, study } = grants;
    let directory = |host::DirectoryGrant { name, access, path }: host::DirectoryGrant| Grant::Directory {
        name,
        access: access.as_str().to_owned(),
        path: path.to_string_lossy().into_owned(),
    };
    let secret = |host::SecretGrant { name, source, header }: host::SecretGrant| Grant::Secret {
        name,
        source: source.into(),
        header: header.map(SecretHeader::from),
    };
    let http =
        http.into_iter().map(|host::HttpGrant { origin, private }| Grant::Http { origin: origin.to_string(), private });
    let config = config.into_iter().map(|(name, value)| Grant::Config { name, value });
    let secrets = secrets.into_iter().map(secret);
    let study = study.into_iter().map(|name| Grant::Study { name });
    directories.into_iter().map(directory).chain(http).chain(config).chain(secrets).chain(study).collect()
}

fn state(enabled: bool, missing: &[rules::Missing]) -> Text<BundleState> {
    Text(
        rules::Gate { enabled, missing: missing.to_vec(), changing: false, since: rules::Timestamp::UNIX_EPOCH }
            .state(),
    )
}

impl From<rules::Missing> for Missing {
    fn from(missing: rules::Missing) -> Missing {
        let rules::Missing { ask, option } = missing;
        Missing { ask, option }
    }
}

impl From<host::BundleView> for Bundle {
    fn from(view: host::BundleView) -> Bundle {
        let host::BundleView {
            bundle,
            version,
            previous,
            digest,
            signer,
            identifiers,
            grants,
            enabled,
            missing,
            pending,
            running,
        } = view;
        Bundle {
            bundle: Text(bundle),
            version,
            previous,
            digest,
            signer,
            state: state(enabled, &missing),
            identifiers,
            grants: list_grants(grants),
            missing: missing.into_iter().map(Missing::from).collect(),
            pending,
            running,
        }
    }
}

impl From<host::BundleDetail> for BundleDetail {
    fn from(detail: host::BundleDetail) -> BundleDetail {
        let host::BundleDetail { view, asks, data_bytes } = detail;
        let asked = |host::Asked { name, ask, option, granted }: host::Asked| Asked { name, ask, option, granted };
        BundleDetail { bundle: view.into(), asks: asks.into_iter().map(asked).collect(), data_bytes }
    }
}

impl From<host::Installed> for Installed {
    fn from(installed: host::Installed) -> Installed {
        let host::Installed { bundle, version, digest, signature, changed, before, enabled, missing, cancelled } =
            installed;
        Installed {
            bundle: Text(bundle),
            version,
            digest,
            signature: signature.into(),
            changed,
            before,
            state: state(enabled, &missing),
            missing: missing.into_iter().map(Missing::from).collect(),
            cancelled,
        }
    }
}

impl From<host::Switched> for Switched {
    fn from(switched: host::Switched) -> Switched {
        let host::Switched { bundle, enabled, changed, missing, expired, running } = switched;
        Switched {
            bundle: Text(bundle),
            state: state(enabled, &missing),
            changed,
            missing: missing.into_iter().map(Missing::from).collect(),
            expired,
            running,
        }
    }
}

impl From<host::Granted> for Granted {
    fn from(granted: host::Granted) -> Granted {
        let host::Granted { changed, cancelled, expired, detail } = granted;
        Granted { changed, cancelled, expired, detail: detail.into() }
    }
}

impl From<host::Uninstalled> for Uninstalled {
    fn from(uninstalled: host::Uninstalled) -> Uninstalled {
        let host::Uninstalled { bundle, cancelled, expired, kept_data } = uninstalled;
        Uninstalled { bundle: Text(bundle), cancelled, expired, kept_data }
    }
}
