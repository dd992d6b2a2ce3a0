//! What a bundle was given by name: configuration and secrets as environment variables, and the secrets that are bound to a
//! header, which its guests never see. Secrets are read anew for each call, and kept nowhere else.

use std::{borrow::Cow, cmp::Reverse, fmt, fs::File, io::Read, mem, path::Path, sync::Arc};

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

/// The secrets that a guest's environment holds, as far as they are long enough to be found in its words. Their values are in no
/// message and no `Debug`.
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
        given.secrets = Secrets::new(visible);
        Ok(given)
    }
}

impl Secrets {
    fn new(mut values: Vec<Box<[u8]>>) -> Secrets {
        values.retain(|value| value.len() >= REDACTED_FROM);
        // One may begin as another does: the longer is looked for first.
        values.sort_by_key(|value| Reverse(value.len()));
        Secrets(values.into())
    }

    /// A whole message, with `[secret]` for each secret that stands in it.
    pub(super) fn redact_text(&self, text: String) -> String {
        if self.0.is_empty() {
            return text;
        }
        let (shown, _) = self.scan(text.as_bytes(), true);
        String::from_utf8_lossy(&shown).into_owned()
    }

    /// The next piece of a stream, as far as it can be shown, with `[secret]` for each secret. What may be the beginning of one
    /// is held back, and is always shorter than the longest secret.
    pub(super) fn redact_next<'t>(&self, held: &mut Vec<u8>, piece: &'t [u8]) -> Cow<'t, [u8]> {
        if self.0.is_empty() && held.is_empty() {
            return Cow::Borrowed(piece);
        }
        held.extend_from_slice(piece);
        let (shown, seen) = self.scan(held, false);
        held.drain(..seen);
        Cow::Owned(shown)
    }

    /// What was held back of a stream that is over.
    pub(super) fn redact_rest(&self, held: &mut Vec<u8>) -> Vec<u8> {
        self.scan(&mem::take(held), true).0
    }

    /// `text` without secrets, as far as it was looked at: unless it `is_whole`, up to where a secret may begin that goes on
    /// behind its end.
    fn scan(&self, text: &[u8], is_whole: bool) -> (Vec<u8>, usize) {
        let mut shown = Vec::with_capacity(text.len());
        let mut at = 0;
        while at < text.len() {
            let rest = &text[at..];
            if !is_whole && self.0.iter().any(|secret| secret.len() > rest.len() && secret.starts_with(rest)) {
                break;
            }
            match self.0.iter().find(|secret| rest.starts_with(secret)) {
                Some(secret) => {
                    shown.extend_from_slice(REDACTED);
                    at += secret.len();
                }
                None => {
                    shown.push(rest[0]);
                    at += 1;
                }
            }
        }
        (shown, at)
    }
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

    fn secrets(values: &[&str]) -> Secrets {
        Secrets::new(values.iter().map(|value| value.as_bytes().into()).collect())
    }

    #[test]
    fn what_stands_whole_in_a_text_is_taken_out_of_it() {
        let secrets = secrets(&["hush-hush", "short", "hush-hush-hush"]);
        let cases = [
            ("token=hush-hush, again hush-hush", "token=[secret], again [secret]"),
            ("hush-hush-hush", "[secret]"),
            ("hush-hush-hus", "[secret]-hus"),
            ("hush-hus", "hush-hus"),
            ("a short word", "a short word"),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(secrets.redact_text(text.to_owned()), expected, "{text}");
        }
    }

    #[test]
    fn a_secret_is_found_however_a_stream_is_cut_and_little_is_held_back() {
        let secrets = secrets(&["hush-hush", "hush-hush-hush"]);
        let whole = "a hush-hush b hush-hush-hush hush-hus hush-hush-hush-hush h";
        let expected = "a [secret] b [secret] hush-hus [secret]-hush h";
        for length in 1..=whole.len() {
            let (mut held, mut shown) = (Vec::new(), Vec::new());
            for piece in whole.as_bytes().chunks(length) {
                shown.extend_from_slice(&secrets.redact_next(&mut held, piece));
                assert!(held.len() < "hush-hush-hush".len());
            }
            assert_eq!(held, b"h", "what cannot be a secret is not held back");
            shown.extend(secrets.redact_rest(&mut held));
            assert_eq!(String::from_utf8(shown).unwrap(), expected, "in pieces of {length}");
        }
    }
}
