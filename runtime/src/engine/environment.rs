//! What a bundle was given by name: configuration and secrets as environment variables, and the secrets that are bound to a
//! header, which its guests never see. Secrets are read anew for each call, and kept nowhere else.

use std::{fmt, fs::File, io::Read, path::Path, sync::Arc};

use hyper::header::{HeaderName, HeaderValue};
use rustix::fs::{Mode, OFlags, open};

use crate::bundle::{Grants, SecretGrant, SecretHeader, SecretSource};

use super::{fault::size, http::BoundHeader};

/// The most bytes of a secret.
const SECRET_LIMIT: u64 = 64 << 10;

/// What stands in a log where a secret would.
const REDACTED: &[u8] = b"[secret]";

/// The shortest secret that is taken out of logs: a shorter one would be found in innocent words.
const REDACTED_FROM: usize = 8;

/// What one call is given.
#[derive(Default)]
pub(super) struct Given {
    pub(super) variables: Vec<(String, String)>,
    pub(super) headers: Vec<BoundHeader>,
    /// What the guest can see and must not be kept of what it prints.
    pub(super) secrets: Secrets,
}

/// The secrets that a guest's environment holds. Their values are in no message and no `Debug`.
#[derive(Clone, Default)]
pub(super) struct Secrets(Arc<[Box<[u8]>]>);

impl Given {
    /// Configuration alone.
    pub(super) fn configuration(grants: &Grants) -> Given {
        let variables = grants.config.iter().map(|(name, value)| (variable(name), value.clone())).collect();
        Given { variables, ..Given::default() }
    }

    /// Reads all that was granted. `credentials` is the folder the service manager put the host's credentials in.
    ///
    /// Errors: the secret that cannot be read or used, with its source and never with its value.
    pub(super) fn read(grants: &Grants, credentials: Option<&Path>) -> Result<Given, String> {
        let mut given = Given::configuration(grants);
        let mut visible = Vec::new();
        for grant in &grants.secrets {
            let SecretGrant { name, source, header } = grant;
            let wrong = |what: &str| format!("the secret `{name}`, {}, {what}", described(source));
            let value = read(source, credentials).map_err(|why| wrong(&why))?;
            match header {
                Some(header) => given.headers.push(bound(header, &value).map_err(wrong)?),
                None => {
                    let text = str::from_utf8(&value).ok().filter(|text| !text.contains('\0'));
                    let text = text.ok_or_else(|| wrong("is no text, and an environment variable holds only text"))?;
                    given.variables.push((variable(name), text.to_owned()));
                    visible.push(value.into());
                }
            }
        }
        given.secrets = Secrets(visible.into());
        Ok(given)
    }
}

impl Secrets {
    /// A message, with `[secret]` for each secret that stands whole in it.
    pub(super) fn redact_text(&self, text: String) -> String {
        match self.redact(text.as_bytes()) {
            Some(redacted) => String::from_utf8_lossy(&redacted).into_owned(),
            None => text,
        }
    }

    /// `bytes`, with `[secret]` for each secret that stands whole in them.
    pub(super) fn redact(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let mut redacted: Option<Vec<u8>> = None;
        for secret in self.0.iter().filter(|secret| secret.len() >= REDACTED_FROM) {
            let text = redacted.as_deref().unwrap_or(bytes);
            if let Some(without) = replace(text, secret) {
                redacted = Some(without);
            }
        }
        redacted
    }
}

/// None if it does not stand there.
fn replace(text: &[u8], secret: &[u8]) -> Option<Vec<u8>> {
    let mut places = Vec::new();
    let mut from = 0;
    while let Some(place) = text.get(from..)?.windows(secret.len()).position(|window| window == secret) {
        places.push(from + place);
        from += place + secret.len();
    }
    let mut without = Vec::with_capacity(text.len());
    let mut from = 0;
    for place in &places {
        without.extend_from_slice(&text[from..*place]);
        without.extend_from_slice(REDACTED);
        from = place + secret.len();
    }
    without.extend_from_slice(&text[from..]);
    (!places.is_empty()).then_some(without)
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|_| format_args!("[secret]"))).finish()
    }
}

/// `album-title` is seen as `ALBUM_TITLE`. Manifests allow no letters that would make two names one.
fn variable(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

fn described(source: &SecretSource) -> String {
    match source {
        SecretSource::File(path) => format!("the file {}", path.display()),
        SecretSource::Credential(name) => format!("the system credential `{name}`"),
    }
}

fn read(source: &SecretSource, credentials: Option<&Path>) -> Result<Vec<u8>, String> {
    match source {
        SecretSource::File(path) => read_file(path),
        SecretSource::Credential(name) => {
            let folder = credentials.ok_or(
                "cannot be read: the service manager gave this host no credentials ($CREDENTIALS_DIRECTORY is not set)",
            )?;
            read_file(&folder.join(name))
        }
    }
}

/// A regular file's content without a line break at its end. Anything else would block, or never end.
fn read_file(path: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let file = open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty());
    let file = File::from(file.map_err(|error| unreadable(error.into()))?);
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err("is not a regular file".to_owned());
    }
    let mut value = Vec::new();
    file.take(SECRET_LIMIT + 1).read_to_end(&mut value).map_err(unreadable)?;
    if value.len() as u64 > SECRET_LIMIT {
        return Err(format!("is larger than {}", size(SECRET_LIMIT)));
    }
    if value.last() == Some(&b'\n') {
        value.pop();
    }
    if value.last() == Some(&b'\r') {
        value.pop();
    }
    if value.is_empty() { Err("is empty".to_owned()) } else { Ok(value) }
}

fn bound(header: &SecretHeader, value: &[u8]) -> Result<BoundHeader, &'static str> {
    let SecretHeader { origin, name } = header;
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "is bound to a header that cannot be")?;
    let mut value = HeaderValue::from_bytes(value)
        .map_err(|_| "holds a line break or a control character, which no header can hold")?;
    value.set_sensitive(true);
    Ok(BoundHeader { origin: origin.clone(), name, value })
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs, path::PathBuf};

    use crate::bundle::Origin;

    use super::*;

    fn secret(source: SecretSource, header: Option<SecretHeader>) -> Grants {
        let grant = SecretGrant { name: "upload-token".to_owned(), source, header };
        Grants { secrets: vec![grant], ..Grants::default() }
    }

    fn header() -> Option<SecretHeader> {
        let origin = Origin::parse("https://photos.example.com").unwrap();
        Some(SecretHeader { origin, name: "authorization".to_owned() })
    }

    #[test]
    fn names_become_variables_and_values_keep_all_but_the_last_line_break() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("token"), "s3cr3t words\n").unwrap();
        let mut grants = secret(SecretSource::Credential("token".to_owned()), None);
        grants.config = BTreeMap::from([("album-title".to_owned(), "Holidays = fun".to_owned())]);
        let given = Given::read(&grants, Some(place.path())).unwrap();
        let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            given.variables,
            [variable("ALBUM_TITLE", "Holidays = fun"), variable("UPLOAD_TOKEN", "s3cr3t words")]
        );
        assert_eq!(format!("{:?}", given.secrets), "[[secret]]");
    }

    #[test]
    fn a_bound_secret_is_no_variable_and_prints_nothing() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("token");
        fs::write(&path, "Bearer s3cr3t\r\n").unwrap();
        let given = Given::read(&secret(SecretSource::File(path), header()), None).unwrap();
        assert_eq!(given.variables, []);
        assert_eq!(given.headers[0].value, "Bearer s3cr3t");
        assert!(!format!("{:?}", given.headers).contains("s3cr3t"), "{:?}", given.headers);
    }

    #[test]
    fn a_secret_that_cannot_be_used_is_named_with_its_source_and_never_shown() {
        let place = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = place.path().join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let folder = place.path().to_owned();
        let cases: [(PathBuf, Option<SecretHeader>, &str); 7] = [
            (folder.join("missing"), None, "cannot be read: No such file"),
            (folder.clone(), None, "is not a regular file"),
            ("/dev/zero".into(), None, "is not a regular file"),
            (file("large", &[b'x'; (64 << 10) + 1]), None, "is larger than 64 KiB"),
            (file("empty", b"\n"), None, "is empty"),
            (file("bytes", b"hush\xff"), None, "is no text"),
            (file("lines", b"hush\nhush"), header(), "holds a line break"),
        ];
        for (path, header, part) in cases {
            let grants = secret(SecretSource::File(path.clone()), header);
            let Err(message) = Given::read(&grants, None) else { panic!("{} is refused", path.display()) };
            let begins = format!("the secret `upload-token`, the file {}, {part}", path.display());
            assert!(message.starts_with(&begins), "{message}");
            assert!(!message.contains("hush"), "{message}");
        }
        let grants = secret(SecretSource::Credential("token".to_owned()), None);
        let message = Given::read(&grants, None).err().unwrap();
        assert!(message.contains("the system credential `token`") && message.contains("CREDENTIALS_DIRECTORY"));
    }

    #[test]
    fn what_stands_whole_in_a_text_is_taken_out_of_it() {
        let secrets = Secrets(vec![b"hush-hush".as_slice().into(), b"short".as_slice().into()].into());
        let cases = [
            ("token=hush-hush, again hush-hush", Some("token=[secret], again [secret]")),
            ("hush-hus", None),
            ("a short word", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(secrets.redact(text.as_bytes()), expected.map(|text| text.as_bytes().to_vec()), "{text}");
        }
    }
}
