//! Binds what a bundle asks for to what its operator gives: folders, origins, configuration, secrets.

use std::{
    collections::BTreeMap,
    fmt, fs, io,
    path::{self, Path, PathBuf},
};

use rustix::fs::{Access as Permission, access};

use super::{Access, BundleError, DirectoryAsk, Manifest, Origin, manifest};
use crate::spelling;

/// One thing a manifest asks for by name. An origin is its own name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    Directory(DirectoryAsk),
    Http(Origin),
    Config(String),
    Secret(String),
    /// That this machine be enrolled in the study. Only the bundle's health-research waits for that.
    Study(String),
}

/// What the operator gave a bundle of what it asks for. Never more than it asks for; what is asked for and not here is
/// missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Grants {
    pub directories: Vec<DirectoryGrant>,
    pub http: Vec<HttpGrant>,
    /// Values by name.
    pub config: BTreeMap<String, String>,
    pub secrets: Vec<SecretGrant>,
    /// The study this machine is enrolled in.
    pub study: Option<String>,
}

/// A name a bundle asked for, bound to a real folder. The guest sees it as `/NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryGrant {
    pub name: String,
    pub access: Access,
    pub path: PathBuf,
}

/// An origin the guest may speak to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpGrant {
    pub origin: Origin,
    /// Whether its name may lead to a private, loopback or link-local address.
    pub private: bool,
}

/// A secret and where its value is found, each time anew. The value itself is never kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretGrant {
    pub name: String,
    pub source: SecretSource,
    /// With it the guest never sees the value: the host adds it to requests.
    pub header: Option<SecretHeader>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A file's content, without a line break at its end.
    File(PathBuf),
    /// A credential the service manager gave the host, by name.
    Credential(String),
}

/// The one place a secret goes to: a header of every request to the origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretHeader {
    pub origin: Origin,
    /// In lower case.
    pub name: String,
}

/// Something the operator gives, not yet compared with what the bundle asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GrantOffer {
    Directory {
        name: String,
        path: PathBuf,
    },
    Http(HttpGrant),
    Config {
        name: String,
        value: String,
    },
    Secret(SecretGrant),
    /// This machine is enrolled in the study.
    Study(String),
}

impl GrantOffer {
    /// Reads `NAME=PATH`. A leading `~` is left as it is: shells replace it.
    pub fn parse_directory(text: &str) -> Result<GrantOffer, BundleError> {
        let (name, path) =
            name_and_value(text).ok_or_else(|| form(text, "NAME=PATH, such as gallery=/home/ada/Pictures"))?;
        Ok(GrantOffer::Directory { name, path: path.into() })
    }

    /// Reads an origin. With `private`, its name may lead to an address that is not public.
    pub fn parse_http(text: &str, private: bool) -> Result<GrantOffer, BundleError> {
        let origin = Origin::parse(text).map_err(|error| BundleError::GrantOrigin { error })?;
        Ok(GrantOffer::Http(HttpGrant { origin, private }))
    }

    /// Reads `NAME=VALUE`; the value may be empty.
    pub fn parse_config(text: &str) -> Result<GrantOffer, BundleError> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                Ok(GrantOffer::Config { name: name.to_owned(), value: value.to_owned() })
            }
            Some(_) | None => Err(form(text, "NAME=VALUE, such as album-title=Holidays")),
        }
    }

    /// Reads `NAME=FILE` or `NAME=credential:CREDENTIAL`, either with `,header=HEADER,origin=ORIGIN` behind it.
    pub fn parse_secret(text: &str) -> Result<GrantOffer, BundleError> {
        let wanted = "NAME=FILE or NAME=credential:CREDENTIAL, with ,header=HEADER,origin=ORIGIN behind it to keep its \
                      value from the guest";
        let bad = || form(text, wanted);
        let (name, rest) = name_and_value(text).ok_or_else(bad)?;
        let (source, header) = match rest.split_once(",header=") {
            Some((source, bound)) => {
                let (header, origin) = bound.split_once(",origin=").ok_or_else(bad)?;
                (source, Some(SecretHeader::parse(header, origin)?))
            }
            None => (rest, None),
        };
        let source = match source.strip_prefix("credential:") {
            Some(credential) if is_file_name(credential) => SecretSource::Credential(credential.to_owned()),
            Some(_) => return Err(bad()),
            None if source.is_empty() => return Err(bad()),
            None => SecretSource::File(source.into()),
        };
        Ok(GrantOffer::Secret(SecretGrant { name, source, header }))
    }

    /// Reads the name of a study.
    pub fn parse_study(text: &str) -> Result<GrantOffer, BundleError> {
        match manifest::is_study(text) {
            true => Ok(GrantOffer::Study(text.to_owned())),
            false => Err(form(text, "the name of a study, as the bundle's manifest has it under [entitlements]")),
        }
    }

    /// The same, with its path from the root. Errors: the working folder is gone.
    pub fn with_absolute_path(mut self) -> io::Result<GrantOffer> {
        match &mut self {
            GrantOffer::Directory { path, .. }
            | GrantOffer::Secret(SecretGrant { source: SecretSource::File(path), .. }) => {
                *path = path::absolute(&*path)?
            }
            GrantOffer::Secret(SecretGrant { source: SecretSource::Credential(_), .. })
            | GrantOffer::Http(_)
            | GrantOffer::Config { .. }
            | GrantOffer::Study(_) => {}
        }
        Ok(self)
    }

    /// The name it is given under: an origin is its own.
    pub fn name(&self) -> String {
        match self {
            GrantOffer::Directory { name, .. } | GrantOffer::Config { name, .. } | GrantOffer::Study(name) => {
                name.clone()
            }
            GrantOffer::Secret(SecretGrant { name, .. }) => name.clone(),
            GrantOffer::Http(HttpGrant { origin, .. }) => origin.to_string(),
        }
    }

    /// Whether `ask` is for the same sort of thing: a folder, an origin, configuration, a secret, a study.
    pub fn is_of_its_sort(&self, ask: &Ask) -> bool {
        match (self, ask) {
            (GrantOffer::Directory { .. }, Ask::Directory(_))
            | (GrantOffer::Http(_), Ask::Http(_))
            | (GrantOffer::Config { .. }, Ask::Config(_))
            | (GrantOffer::Secret(_), Ask::Secret(_))
            | (GrantOffer::Study(_), Ask::Study(_)) => true,
            (
                GrantOffer::Directory { .. }
                | GrantOffer::Http(_)
                | GrantOffer::Config { .. }
                | GrantOffer::Secret(_)
                | GrantOffer::Study(_),
                _,
            ) => false,
        }
    }

    /// Whether it is what `ask` asks for.
    pub fn answers(&self, ask: &Ask) -> bool {
        self.is_of_its_sort(ask) && self.name() == ask.name()
    }

    /// What sort of thing it is, with its article.
    pub fn noun(&self) -> &'static str {
        match self {
            GrantOffer::Directory { .. } => "a folder",
            GrantOffer::Http(_) => "an origin",
            GrantOffer::Config { .. } => "a configuration",
            GrantOffer::Secret(_) => "a secret",
            GrantOffer::Study(_) => "a study",
        }
    }
}

fn form(text: &str, wanted: &'static str) -> BundleError {
    BundleError::GrantForm { text: text.to_owned(), wanted }
}

fn name_and_value(text: &str) -> Option<(String, &str)> {
    text.split_once('=')
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
        .map(|(name, value)| (name.to_owned(), value))
}

fn is_file_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

/// Headers that say how a message is sent (RFC 9110, sections 7 and 8; RFC 9112): the host's own business.
const FRAMING_HEADERS: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl SecretHeader {
    /// Errors: a name no header can have, one that says how a message is sent, an origin that is none.
    pub fn parse(name: &str, origin: &str) -> Result<SecretHeader, BundleError> {
        let origin = Origin::parse(origin).map_err(|error| BundleError::GrantOrigin { error })?;
        let may_stand = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(may_stand) {
            return Err(form(name, "the name of a header, such as Authorization"));
        }
        let name = name.to_ascii_lowercase();
        match FRAMING_HEADERS.contains(&name.as_str()) {
            true => Err(form(&name, "a header that says nothing of how a request is sent, such as Authorization")),
            false => Ok(SecretHeader { origin, name }),
        }
    }
}

impl Ask {
    /// What gives it, as an option of the command line.
    pub fn option(&self) -> String {
        match self {
            Ask::Directory(DirectoryAsk { name, .. }) => format!("--grant {name}=PATH"),
            Ask::Http(origin) => format!("--allow {origin}"),
            Ask::Config(name) => format!("--set {name}=VALUE"),
            Ask::Secret(name) => format!("--secret {name}=FILE"),
            Ask::Study(name) => format!("--enrol {name}"),
        }
    }

    /// The name it asks under: an origin is its own.
    pub fn name(&self) -> String {
        match self {
            Ask::Directory(DirectoryAsk { name, .. }) | Ask::Config(name) | Ask::Secret(name) | Ask::Study(name) => {
                name.clone()
            }
            Ask::Http(origin) => origin.to_string(),
        }
    }

    /// Whether nothing of the bundle runs without it.
    pub fn is_needed_by_all(&self) -> bool {
        match self {
            Ask::Directory(_) | Ask::Http(_) | Ask::Config(_) | Ask::Secret(_) => true,
            Ask::Study(_) => false,
        }
    }
}

/// As it stands behind "it asks".
impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ask::Directory(DirectoryAsk { name, access }) => write!(f, "to {} the folder `{name}`", access.as_str()),
            Ask::Http(origin) => write!(f, "to speak to {origin}"),
            Ask::Config(name) => write!(f, "for the configuration `{name}`"),
            Ask::Secret(name) => write!(f, "for the secret `{name}`"),
            Ask::Study(name) => write!(f, "to enrol this machine in the study `{name}`"),
        }
    }
}

impl Manifest {
    /// All it asks for, in the order of the reference.
    pub fn asks(&self) -> Vec<Ask> {
        let directories = self.directories.iter().cloned().map(Ask::Directory);
        let http = self.http.iter().cloned().map(Ask::Http);
        let config = self.config.iter().cloned().map(Ask::Config);
        let secrets = self.secrets.iter().cloned().map(Ask::Secret);
        let study = self.entitlements.health_research.iter().cloned().map(Ask::Study);
        directories.chain(http).chain(config).chain(secrets).chain(study).collect()
    }
}

impl Grants {
    /// What the manifest asks for and has not been given, and nothing of the bundle runs without.
    pub fn missing(&self, manifest: &Manifest) -> Vec<Ask> {
        manifest.asks().into_iter().filter(|ask| ask.is_needed_by_all() && !self.has(ask)).collect()
    }

    /// Whether what is asked for was given.
    pub fn has(&self, ask: &Ask) -> bool {
        match ask {
            Ask::Directory(ask) => {
                self.directories.iter().any(|grant| grant.name == ask.name && grant.access == ask.access)
            }
            Ask::Http(origin) => self.http.iter().any(|grant| grant.origin == *origin),
            Ask::Config(name) => self.config.contains_key(name),
            Ask::Secret(name) => self.secrets.iter().any(|grant| grant.name == *name),
            Ask::Study(name) => self.study.as_ref() == Some(name),
        }
    }

    /// What is still asked for of these. A folder that was given to be read and is now to be written is a new ask.
    pub fn still_asked(&self, manifest: &Manifest) -> Grants {
        let Grants { directories, http, config, secrets, study } = self;
        let asked = |grant: &&DirectoryGrant| {
            manifest.directories.iter().any(|ask| ask.name == grant.name && ask.access == grant.access)
        };
        let bound_to_asked = |grant: &&SecretGrant| {
            manifest.secrets.contains(&grant.name)
                && grant.header.as_ref().is_none_or(|header| manifest.http.contains(&header.origin))
        };
        Grants {
            directories: directories.iter().filter(asked).cloned().collect(),
            http: http.iter().filter(|grant| manifest.http.contains(&grant.origin)).cloned().collect(),
            config: config
                .iter()
                .filter(|(name, _)| manifest.config.contains(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
            secrets: secrets.iter().filter(bound_to_asked).cloned().collect(),
            study: study.clone().filter(|study| manifest.entitlements.health_research.as_ref() == Some(study)),
        }
    }

    /// Takes back what was given under this name, or the origin of this text. Errors: nothing was.
    pub fn revoke(&mut self, name: &str) -> Result<(), BundleError> {
        let origin = Origin::parse(name).ok();
        let before = self.count();
        self.directories.retain(|grant| grant.name != name);
        self.http.retain(|grant| Some(&grant.origin) != origin.as_ref());
        self.config.remove(name);
        self.secrets.retain(|grant| grant.name != name);
        if self.count() < before {
            return Ok(());
        }
        let names = self.names();
        let mend = match spelling::nearest(name, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if names.is_empty() => "nothing is granted".to_owned(),
            None => format!("granted are {}", names.join(", ")),
        };
        Err(BundleError::NotRevocable { name: name.to_owned(), mend })
    }

    /// Ends the enrolment in a study. Errors: this machine is enrolled in none of that name.
    pub fn withdraw(&mut self, study: &str) -> Result<(), BundleError> {
        if self.study.take_if(|enrolled| enrolled == study).is_some() {
            return Ok(());
        }
        let mend = match &self.study {
            Some(enrolled) => format!("it is enrolled in `{enrolled}`"),
            None => "it is enrolled in none".to_owned(),
        };
        Err(BundleError::NotEnrolled { study: study.to_owned(), mend })
    }

    // An enrolment is withdrawn, not revoked, and stands under no name of the bundle's choice.
    fn count(&self) -> usize {
        let Grants { directories, http, config, secrets, study: _ } = self;
        directories.len() + http.len() + config.len() + secrets.len()
    }

    fn names(&self) -> Vec<String> {
        let Grants { directories, http, config, secrets, study: _ } = self;
        let directories = directories.iter().map(|grant| grant.name.clone());
        let http = http.iter().map(|grant| grant.origin.to_string());
        let secrets = secrets.iter().map(|grant| grant.name.clone());
        directories.chain(http).chain(config.keys().cloned()).chain(secrets).collect()
    }
}

/// The grants of a bundle: what it had and still asks for, and over it what is offered, in the manifest's order and with
/// absolute paths. What is missing is no error: the bundle waits for it.
///
/// Errors: something is not asked for, or offered twice; a folder's path is none that this user may use so; a secret is bound
/// to an origin that is not asked for.
pub fn bind(manifest: &Manifest, kept: &Grants, offered: &[GrantOffer]) -> Result<Grants, BundleError> {
    let asks = manifest.asks();
    for (place, offer) in offered.iter().enumerate() {
        let Some(ask) = asks.iter().find(|ask| offer.answers(ask)) else {
            return Err(not_asked(manifest, &asks, offer));
        };
        if offered[..place].iter().any(|earlier| earlier.answers(ask)) {
            return Err(BundleError::GrantedTwice { name: offer.name(), option: ask.option() });
        }
    }
    let mut grants = kept.still_asked(manifest);
    for offer in offered {
        take(&mut grants, manifest, offer)?;
    }
    let place = |name: &str| manifest.directories.iter().position(|ask| ask.name == name);
    grants.directories.sort_by_key(|grant| place(&grant.name));
    let place = |origin: &Origin| manifest.http.iter().position(|asked| asked == origin);
    grants.http.sort_by_key(|grant| place(&grant.origin));
    let place = |name: &str| manifest.secrets.iter().position(|asked| asked == name);
    grants.secrets.sort_by_key(|grant| place(&grant.name));
    Ok(grants)
}

fn take(grants: &mut Grants, manifest: &Manifest, offer: &GrantOffer) -> Result<(), BundleError> {
    match offer {
        GrantOffer::Directory { name, path } => {
            let access = manifest.directories.iter().find(|ask| ask.name == *name).map(|ask| ask.access);
            let access = access.expect("what is offered is asked for");
            let path = resolve(name, path, access)?;
            grants.directories.retain(|grant| grant.name != *name);
            grants.directories.push(DirectoryGrant { name: name.clone(), access, path });
        }
        GrantOffer::Http(offer) => {
            grants.http.retain(|grant| grant.origin != offer.origin);
            grants.http.push(offer.clone());
        }
        GrantOffer::Config { name, value } if value.contains('\0') => {
            return Err(form(&format!("{name}={value:?}"), "a value without zero bytes"));
        }
        GrantOffer::Config { name, value } => {
            grants.config.insert(name.clone(), value.clone());
        }
        GrantOffer::Secret(offer) => {
            if let Some(header) = &offer.header
                && !manifest.http.contains(&header.origin)
            {
                return Err(BundleError::SecretBoundElsewhere {
                    bundle: manifest.id.clone(),
                    name: offer.name.clone(),
                    origin: header.origin.clone(),
                });
            }
            grants.secrets.retain(|grant| grant.name != offer.name);
            if let Some(other) =
                grants.secrets.iter().find(|grant| grant.header.is_some() && grant.header == offer.header)
            {
                return Err(BundleError::SecretsShareHeader { name: offer.name.clone(), other: other.name.clone() });
            }
            grants.secrets.push(offer.clone());
        }
        GrantOffer::Study(study) => grants.study = Some(study.clone()),
    }
    Ok(())
}

fn not_asked(manifest: &Manifest, asks: &[Ask], offer: &GrantOffer) -> BundleError {
    let (name, noun) = (offer.name(), offer.noun());
    let asked: Vec<String> = asks.iter().filter(|ask| offer.is_of_its_sort(ask)).map(Ask::name).collect();
    let mend = match spelling::nearest(&name, asked.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`? it asks for {}", asked.join(", ")),
        None if asked.is_empty() => "it asks for none: leave this grant out".to_owned(),
        None => format!("it asks for {}", asked.join(", ")),
    };
    BundleError::NotAsked { bundle: manifest.id.clone(), noun, name, mend }
}

fn resolve(name: &str, path: &Path, wanted: Access) -> Result<PathBuf, BundleError> {
    let resolved = fs::canonicalize(path).map_err(|error| BundleError::GrantPath {
        name: name.to_owned(),
        path: path.to_owned(),
        error,
    })?;
    if !resolved.is_dir() {
        return Err(BundleError::GrantNoFolder { name: name.to_owned(), path: resolved });
    }
    let permission = match wanted {
        Access::Read => Permission::READ_OK | Permission::EXEC_OK,
        Access::Write => Permission::READ_OK | Permission::WRITE_OK | Permission::EXEC_OK,
    };
    match access(&resolved, permission) {
        Ok(()) => Ok(resolved),
        Err(_) => Err(BundleError::GrantNoAccess { name: name.to_owned(), path: resolved, access: wanted }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(capabilities: &str) -> Manifest {
        let text = format!(
            "[bundle]\nid = \"com.example\"\nversion = \"1.0.0\"\ncomponent = \"x.wasm\"\n\
             [scheduling]\npermitted-identifiers = [\"com.example.a\"]\n\
             [capabilities]\n{capabilities}"
        );
        Manifest::parse(&text).unwrap()
    }

    const ALL: &str = "directories = [{ name = \"gallery\", access = \"read\" }, { name = \"album\", access = \"write\" }]\n\
                       http = [\"https://photos.example.com\"]\nconfig = [\"title\"]\nsecrets = [\"token\"]\n";

    fn folder(name: &str, path: &Path) -> GrantOffer {
        GrantOffer::Directory { name: name.to_owned(), path: path.to_owned() }
    }

    fn photos() -> GrantOffer {
        GrantOffer::parse_http("https://photos.example.com", false).unwrap()
    }

    #[test]
    fn binds_what_is_asked_and_names_what_is_missing() {
        let place = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(place.path()).unwrap();
        let manifest = manifest(ALL);
        let first = bind(&manifest, &Grants::default(), &[folder("gallery", &place.path().join("."))]).unwrap();
        let gallery = DirectoryGrant { name: "gallery".to_owned(), access: Access::Read, path: real.clone() };
        assert_eq!(first, Grants { directories: vec![gallery.clone()], ..Grants::default() });
        let missing: Vec<_> = first.missing(&manifest).iter().map(|ask| format!("{ask}: {}", ask.option())).collect();
        assert_eq!(
            missing,
            [
                "to write the folder `album`: --grant album=PATH",
                "to speak to https://photos.example.com: --allow https://photos.example.com",
                "for the configuration `title`: --set title=VALUE",
                "for the secret `token`: --secret token=FILE",
            ]
        );
        let rest = [
            folder("album", place.path()),
            photos(),
            GrantOffer::parse_config("title=a=b").unwrap(),
            GrantOffer::parse_secret("token=/run/token,header=Authorization,origin=https://photos.example.com")
                .unwrap(),
        ];
        let whole = bind(&manifest, &first, &rest).unwrap();
        assert_eq!(whole.missing(&manifest), []);
        assert_eq!(whole.directories[0], gallery, "what was granted stays, in the manifest's order");
        assert_eq!(whole.config["title"], "a=b");
        let header = whole.secrets[0].header.as_ref().unwrap();
        assert_eq!(
            (header.name.as_str(), header.origin.to_string().as_str()),
            ("authorization", "https://photos.example.com")
        );
    }

    #[test]
    fn a_new_version_keeps_what_it_still_asks_for() {
        let place = tempfile::tempdir().unwrap();
        let offers = [
            folder("gallery", place.path()),
            folder("album", place.path()),
            photos(),
            GrantOffer::parse_config("title=x").unwrap(),
            GrantOffer::parse_secret("token=/run/token").unwrap(),
        ];
        let old = bind(&manifest(ALL), &Grants::default(), &offers).unwrap();
        let new = manifest(
            "directories = [{ name = \"gallery\", access = \"write\" }, { name = \"album\", access = \"write\" }]\n\
             secrets = [\"token\"]\n",
        );
        let kept = bind(&new, &old, &[]).unwrap();
        let names: Vec<_> = kept.names();
        assert_eq!(names, ["album", "token"]);
        assert_eq!(kept.missing(&new).len(), 1, "to write what could only be read is a new ask");
    }

    #[test]
    fn what_was_given_can_be_taken_back() {
        let mut grants =
            bind(&manifest(ALL), &Grants::default(), &[photos(), GrantOffer::parse_config("title=x").unwrap()])
                .unwrap();
        let error = grants.revoke("titel").unwrap_err().to_string();
        assert_eq!(error, "nothing named `titel` is granted: did you mean `title`?");
        grants.revoke("title").unwrap();
        grants.revoke("https://photos.example.com:443").unwrap();
        assert_eq!(grants, Grants::default());
        let error = grants.revoke("title").unwrap_err().to_string();
        assert_eq!(error, "nothing named `title` is granted: nothing is granted");
    }

    #[test]
    fn a_bad_grant_is_named_with_its_mend() {
        let place = tempfile::tempdir().unwrap();
        let (good, missing, file) = (place.path(), place.path().join("missing"), place.path().join("file"));
        fs::write(&file, "").unwrap();
        let shown = |path: &Path| path.display().to_string();
        let cases = [
            (
                ALL,
                vec![folder("galery", good)],
                "com.example does not ask for a folder named `galery`; did you mean `gallery`? it asks for gallery, album".to_owned(),
            ),
            (
                ALL,
                vec![folder("music", good)],
                "com.example does not ask for a folder named `music`; it asks for gallery, album".to_owned(),
            ),
            (
                "",
                vec![folder("music", good)],
                "com.example does not ask for a folder named `music`; it asks for none: leave this grant out".to_owned(),
            ),
            (
                ALL,
                vec![GrantOffer::parse_http("http://photos.example.com", false).unwrap()],
                "com.example does not ask for an origin named `http://photos.example.com`; did you mean `https://photos.example.com`? \
                 it asks for https://photos.example.com"
                    .to_owned(),
            ),
            (
                ALL,
                vec![GrantOffer::parse_config("token=x").unwrap()],
                "com.example does not ask for a configuration named `token`; it asks for title".to_owned(),
            ),
            (
                ALL,
                vec![folder("gallery", good), folder("gallery", good)],
                "`gallery` is granted twice; keep one --grant gallery=PATH".to_owned(),
            ),
            (
                ALL,
                vec![folder("gallery", &missing)],
                format!("cannot grant gallery={}: No such file or directory (os error 2); check the path", shown(&missing)),
            ),
            (
                ALL,
                vec![folder("gallery", &file)],
                format!("cannot grant gallery={}: it is no folder; name the folder that holds it", shown(&file)),
            ),
            (
                "http = [\"https://a.example\"]\nsecrets = [\"one\", \"two\"]\n",
                vec![
                    GrantOffer::parse_secret("one=/1,header=X,origin=https://a.example").unwrap(),
                    GrantOffer::parse_secret("two=/2,header=x,origin=https://a.example").unwrap(),
                ],
                "the secrets `two` and `one` are bound to the same header of the same origin; bind one of them elsewhere"
                    .to_owned(),
            ),
            (
                ALL,
                vec![GrantOffer::parse_secret("token=/t,header=x,origin=https://other.example").unwrap()],
                "the secret `token` cannot be bound to https://other.example: com.example does not ask to speak to it".to_owned(),
            ),
        ];
        for (asked, offered, message) in cases {
            assert_eq!(bind(&manifest(asked), &Grants::default(), &offered).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn reads_what_is_offered() {
        type Parse = fn(&str) -> Result<GrantOffer, BundleError>;
        let cases: [(Parse, &[&str], &[&str]); 4] = [
            (GrantOffer::parse_directory, &["gallery=/p", "gallery=a=b"], &["gallery=", "=/p", "gallery", ""]),
            (
                |text| GrantOffer::parse_http(text, true),
                &["https://a.example", "http://10.0.0.1:8080"],
                &["a.example", ""],
            ),
            (GrantOffer::parse_config, &["a=b", "a=", "a=b=c"], &["=b", "a", ""]),
            (
                GrantOffer::parse_secret,
                &["a=/f", "a=credential:b", "a=/f,header=X-Key,origin=https://a.example"],
                &[
                    "a=",
                    "a",
                    "a=credential:",
                    "a=credential:../b",
                    "a=/f,header=X",
                    "a=/f,header=,origin=https://a.example",
                    "a=/f,header=a b,origin=https://a.example",
                    "a=/f,header=x,origin=a.example",
                    "a=/f,header=Content-Length,origin=https://a.example",
                    "a=,header=x,origin=https://a.example",
                ],
            ),
        ];
        for (parse, good, bad) in cases {
            good.iter().for_each(|text| assert!(parse(text).is_ok(), "{text}"));
            bad.iter().for_each(|text| assert!(parse(text).is_err(), "{text}"));
        }
    }
}
