//! Keys of signers: their files, and which of them the operator of a state folder trusts.

use std::{
    fmt,
    io::{self, Read as _},
    path::Path,
};

use cap_std::{ambient_authority, fs::Dir};

use super::{
    Offer,
    signature::{SignaturePolicy, key_id, statement},
    state::{KEYS, StateFolder, absent_is_none},
};

/// The file of `keys` that holds the policy.
const POLICY_NAME: &str = "policy";
/// What the files of trusted keys end in, behind the key's number.
const KEY_SUFFIX: &str = ".pub";
/// The longest key file that is read, in bytes; ordinary ones have some two hundred.
pub const KEY_LIMIT: usize = 4 * 1024;
/// The longest name of a key, in characters.
const NAME_LIMIT: usize = 64;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("it is no public key of minisign; such a file has two lines, the second of 56 characters")]
    NotPublic,
    #[error("it is no secret key of minisign; idlewild keys new NAME makes one")]
    NotSecret,
    #[error("it is protected by a password; give it with --password-file FILE, or sign on a terminal")]
    NeedsPassword,
    #[error("the password is not that of this key; try again")]
    WrongPassword,
    #[error("it is damaged: its secret half does not fit its public one; restore it from a copy")]
    Broken,
    #[error("`{name}` cannot name a key; use 1 to {NAME_LIMIT} letters, digits and signs")]
    BadName { name: String },
    #[error("key {id} is trusted already, as {name}; remove that one first: idlewild keys remove {id}")]
    Taken { id: String, name: String },
    #[error("another key is trusted under the name {name}; choose another: idlewild keys trust FILE --name NAME")]
    NameTaken { name: String },
    #[error("no key {wanted} is trusted; idlewild keys list shows those that are")]
    Unknown { wanted: String },
    #[error("the trusted keys cannot be used: keys/{file} is damaged; remove that file, and say again what it held")]
    Damaged { file: String },
    #[error("cannot use the trusted keys: {0}")]
    Io(#[from] io::Error),
    #[error("no key could be made: {0}")]
    Make(String),
}

/// A public key.
#[derive(Clone)]
pub struct PublicKey(minisign::PublicKey);

impl PublicKey {
    /// Reads a public key's file, or its second line alone.
    pub fn parse(text: &str) -> Result<PublicKey, KeyError> {
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let encoded = match lines.as_slice() {
            [encoded] => encoded,
            [comment, encoded] if comment.starts_with(COMMENT) => encoded,
            _ => return Err(KeyError::NotPublic),
        };
        let key = minisign::PublicKey::from_base64(encoded).map_err(|_| KeyError::NotPublic)?;
        match key.to_bytes().starts_with(b"Ed") {
            true => Ok(PublicKey(key)),
            false => Err(KeyError::NotPublic),
        }
    }

    /// The number the key gives itself, as minisign writes it: sixteen hexadecimal digits.
    pub fn id(&self) -> String {
        key_id(self.number())
    }

    /// The key in one word, as minisign takes it behind `-P`.
    pub fn word(&self) -> String {
        self.0.to_base64()
    }

    /// The file minisign would write, under a comment of ours.
    pub fn file(&self, comment: &str) -> String {
        format!("{COMMENT}{comment}\n{}\n", self.word())
    }

    pub(super) fn number(&self) -> &[u8] {
        self.0.keynum()
    }

    pub(super) fn inner(&self) -> &minisign::PublicKey {
        &self.0
    }
}

/// What the first line of every file of minisign begins with.
const COMMENT: &str = "untrusted comment: ";

impl PartialEq for PublicKey {
    fn eq(&self, other: &PublicKey) -> bool {
        self.0.to_bytes() == other.0.to_bytes()
    }
}

impl Eq for PublicKey {}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.word())
    }
}

/// A secret key, ready to sign. It is never shown.
pub struct SecretKey(minisign::SecretKey);

impl SecretKey {
    /// A new key: its public half, and the file of its secret one, encrypted with the password if there is one.
    pub fn generate_file(password: Option<&str>) -> Result<(PublicKey, String), KeyError> {
        let (pair, comment) = match password {
            Some(password) => {
                let pair = minisign::KeyPair::generate_encrypted_keypair(Some(password.to_owned()));
                (pair, "minisign encrypted secret key")
            }
            None => (minisign::KeyPair::generate_unencrypted_keypair(), "minisign secret key"),
        };
        let make = |error: minisign::PError| KeyError::Make(error.to_string());
        let minisign::KeyPair { pk, sk } = pair.map_err(make)?;
        Ok((PublicKey(pk), sk.to_box(Some(comment)).map_err(make)?.into_string()))
    }

    /// Reads a secret key's file. Errors: it needs a password and there is none, or that is not its.
    pub fn parse(text: &str, password: Option<&str>) -> Result<SecretKey, KeyError> {
        let boxed = || minisign::SecretKeyBox::from(text.to_owned());
        if text.len() > KEY_LIMIT {
            return Err(KeyError::NotSecret);
        }
        match (boxed().into_unencrypted_secret_key(), password) {
            (Ok(key), _) => Ok(SecretKey(key)),
            (Err(_), None) if is_encrypted(text) => Err(KeyError::NeedsPassword),
            (Err(_), Some(password)) if is_encrypted(text) => {
                boxed().into_secret_key(Some(password.to_owned())).map(SecretKey).map_err(|_| KeyError::WrongPassword)
            }
            (Err(_), _) => without_checksum(text).ok_or(KeyError::NotSecret),
        }
    }

    pub fn public(&self) -> Result<PublicKey, KeyError> {
        minisign::PublicKey::from_secret_key(&self.0).map(PublicKey).map_err(|_| KeyError::NotSecret)
    }

    /// A signature of the bundle, as minisign writes it.
    pub fn sign(&self, offer: &Offer) -> Result<String, KeyError> {
        let (public, statement) = (self.public()?, statement(&offer.digest));
        let comment = format!("bundle:{} version:{}", offer.manifest.id, offer.manifest.version);
        let signature = minisign::sign(
            Some(public.inner()),
            &self.0,
            statement.as_bytes(),
            Some(&comment),
            Some("signature of an Idlewild bundle"),
        );
        signature.map(minisign::SignatureBox::into_string).map_err(|_| KeyError::Broken)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", key_id(self.0.keynum()))
    }
}

/// Whether the file is one whose key only a password opens: `Ed`, then `Sc`, in base 64.
fn is_encrypted(text: &str) -> bool {
    text.lines().nth(1).is_some_and(|encoded| encoded.trim().len() == 212 && encoded.trim().starts_with("RWRTY"))
}

/// The key of an unencrypted file of the minisign tool, which leaves the checksum out, and which the library refuses for it.
/// Whether its halves fit each other is seen when it signs.
fn without_checksum(text: &str) -> Option<SecretKey> {
    let bytes = base64(text.lines().nth(1)?.trim())?;
    let is_plain = bytes.len() == 158 && bytes.starts_with(b"Ed\0\0B2") && bytes[126..].iter().all(|byte| *byte == 0);
    is_plain.then(|| minisign::SecretKey::from_bytes(&bytes).ok().map(SecretKey))?
}

fn base64(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    for four in text.trim_end_matches('=').as_bytes().chunks(4) {
        let mut bits = 0_u32;
        for (at, byte) in four.iter().enumerate() {
            bits |= u32::from(digit(*byte)?) << (18 - 6 * at);
        }
        bytes.extend_from_slice(&bits.to_be_bytes()[1..four.len()]);
    }
    Some(bytes)
}

/// A key the operator trusts, under the name they gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedKey {
    pub name: String,
    pub key: PublicKey,
}

impl TrustedKey {
    /// Errors: no name that can stand in a line.
    pub fn new(name: &str, key: PublicKey) -> Result<TrustedKey, KeyError> {
        let is_name = !name.trim().is_empty()
            && name.chars().count() <= NAME_LIMIT
            && name.trim() == name
            && !name.chars().any(char::is_control);
        match is_name {
            true => Ok(TrustedKey { name: name.to_owned(), key }),
            false => Err(KeyError::BadName { name: name.chars().take(NAME_LIMIT).collect() }),
        }
    }

    /// As a file keeps it: the name is the comment.
    pub fn file(&self) -> String {
        self.key.file(&self.name)
    }

    /// What `file` wrote. Errors: it is nothing of the sort.
    pub fn parse(text: &str) -> Result<TrustedKey, KeyError> {
        let name = text.lines().next().and_then(|comment| comment.strip_prefix(COMMENT)).ok_or(KeyError::NotPublic)?;
        TrustedKey::new(name, PublicKey::parse(text)?)
    }
}

/// Whom the operator trusts, and what they ask of signatures.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trust {
    pub policy: SignaturePolicy,
    /// In the order of their numbers, each number once.
    pub keys: Vec<TrustedKey>,
}

impl Trust {
    /// What the state folder at `path` holds, without opening it for a host; nothing where there is no such folder.
    pub fn of_state(path: &Path) -> Result<Trust, KeyError> {
        match absent_is_none(Dir::open_ambient_dir(path.join(KEYS), ambient_authority()))? {
            Some(dir) => Trust::read(&dir),
            None => Ok(Trust::default()),
        }
    }

    fn read(dir: &Dir) -> Result<Trust, KeyError> {
        let damaged = |file: &str| KeyError::Damaged { file: file.to_owned() };
        let policy = match read_text(dir, POLICY_NAME)? {
            Some(word) => SignaturePolicy::parse(word.trim()).ok_or_else(|| damaged(POLICY_NAME))?,
            None => SignaturePolicy::default(),
        };
        let mut keys = Vec::new();
        for entry in dir.entries()? {
            let file = entry?.file_name().to_string_lossy().into_owned();
            let Some(id) = file.strip_suffix(KEY_SUFFIX) else { continue };
            let text = read_text(dir, &file)?.ok_or_else(|| damaged(&file))?;
            let trusted = TrustedKey::parse(&text).map_err(|_| damaged(&file))?;
            if trusted.key.id() != id {
                return Err(damaged(&file));
            }
            keys.push(trusted);
        }
        keys.sort_by_key(|trusted| trusted.key.id());
        Ok(Trust { policy, keys })
    }

    /// The trusted key of that number or name.
    fn find(&self, wanted: &str) -> Option<&TrustedKey> {
        self.keys.iter().find(|trusted| trusted.key.id().eq_ignore_ascii_case(wanted) || trusted.name == wanted)
    }
}

/// Changes are atomic: killed at any moment, a key is trusted or not.
impl StateFolder {
    /// Whom the operator trusts.
    pub fn trust(&self) -> Result<Trust, KeyError> {
        Trust::read(&self.keys)
    }

    /// Trusts a key. Again under the same name, it changes nothing; false says so.
    pub fn trust_key(&self, trusted: &TrustedKey) -> Result<bool, KeyError> {
        let trust = self.trust()?;
        let id = trusted.key.id();
        if let Some(known) = trust.find(&id) {
            return match known == trusted {
                true => Ok(false),
                false => Err(KeyError::Taken { id, name: known.name.clone() }),
            };
        }
        if trust.keys.iter().any(|known| known.name == trusted.name) {
            return Err(KeyError::NameTaken { name: trusted.name.clone() });
        }
        self.put(&self.keys, &format!("{id}{KEY_SUFFIX}"), trusted.file().as_bytes())?;
        Ok(true)
    }

    /// Trusts a key, told by number or name, no more; gives back which it was.
    pub fn distrust_key(&self, wanted: &str) -> Result<TrustedKey, KeyError> {
        let trust = self.trust()?;
        let trusted = trust.find(wanted).ok_or_else(|| KeyError::Unknown { wanted: wanted.to_owned() })?;
        self.keys.remove_file(format!("{}{KEY_SUFFIX}", trusted.key.id()))?;
        Ok(trusted.clone())
    }

    pub fn set_signature_policy(&self, policy: SignaturePolicy) -> Result<(), KeyError> {
        Ok(self.put(&self.keys, POLICY_NAME, format!("{}\n", policy.as_str()).as_bytes())?)
    }
}

fn read_text(dir: &Dir, name: &str) -> Result<Option<String>, KeyError> {
    let Some(file) = absent_is_none(dir.open(name))? else { return Ok(None) };
    let mut bytes = Vec::new();
    file.take(KEY_LIMIT as u64 + 1).read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes).ok().filter(|text| text.len() <= KEY_LIMIT);
    text.map(Some).ok_or_else(|| KeyError::Damaged { file: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> (tempfile::TempDir, StateFolder) {
        let parent = tempfile::tempdir().unwrap();
        let state = StateFolder::open(&parent.path().join("state")).unwrap();
        (parent, state)
    }

    fn trusted(name: &str) -> TrustedKey {
        TrustedKey::new(name, SecretKey::generate_file(None).unwrap().0).unwrap()
    }

    #[test]
    fn a_key_survives_its_file_with_and_without_a_password() {
        for password in [None, Some("correct horse")] {
            let (public, file) = SecretKey::generate_file(password).unwrap();
            assert_eq!(SecretKey::parse(&file, password).unwrap().public().unwrap(), public);
            assert_eq!(PublicKey::parse(&public.file("ada")).unwrap(), public);
            assert_eq!(PublicKey::parse(&public.word()).unwrap(), public);
            if password.is_some() {
                assert!(matches!(SecretKey::parse(&file, None), Err(KeyError::NeedsPassword)));
                assert!(matches!(SecretKey::parse(&file, Some("wrong")), Err(KeyError::WrongPassword)));
            }
            let torn = &file[..file.len() - 9];
            assert!(matches!(SecretKey::parse(torn, password), Err(KeyError::NotSecret)));
        }
    }

    #[test]
    fn an_unencrypted_key_of_the_minisign_tool_is_read() {
        let file = "untrusted comment: minisign encrypted secret key\n\
            RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+Y/6ioW4cJZIyObAnsDwQrKbJMs9L5QundbjWm\
            rjfagAOUhBcDqdBd6OkzWO2FIbQ9uCmZAve2/EaANsc2ru+9DC/bcKBpMVAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
        let public = SecretKey::parse(file, None).unwrap().public().unwrap();
        assert_eq!(public.id(), "9670B8858AFA8FF9");
        // Anything but zeros where the checksum would stand is a checksum that does not fit.
        let other = file.replace("AAAA=\n", "AABA=\n");
        assert!(matches!(SecretKey::parse(&other, None), Err(KeyError::NotSecret)));
        // Without a checksum, damage is seen when it signs.
        let offer = crate::bundle::read(crate::bundle::folder::tests::folder("a.wasm").path()).unwrap();
        SecretKey::parse(file, None).unwrap().sign(&offer).unwrap();
        let damaged = SecretKey::parse(&file.replace("IyObAnsDw", "IyObAnsDx"), None).unwrap();
        assert!(matches!(damaged.sign(&offer), Err(KeyError::Broken)));
    }

    #[test]
    fn what_is_no_key_is_told() {
        let (public, secret) = SecretKey::generate_file(None).unwrap();
        let word = public.word();
        let other_algorithm = format!("AA{}", &word[2..]);
        for text in ["", "text", &secret, &word[1..], &format!("comment\n{word}\n"), &other_algorithm] {
            assert!(matches!(PublicKey::parse(text), Err(KeyError::NotPublic)), "{text}");
        }
        for text in ["", "text", &word, &"x".repeat(KEY_LIMIT + 1)] {
            assert!(matches!(SecretKey::parse(text, None), Err(KeyError::NotSecret)), "{text}");
        }
    }

    #[test]
    fn what_is_trusted_is_kept_for_the_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let (parent, state) = state();
        let path = parent.path().join("state");
        assert_eq!(state.trust().unwrap(), Trust::default());
        let (ada, eve) = (trusted("Ada Lovelace"), trusted("eve"));
        assert!(state.trust_key(&ada).unwrap());
        assert!(!state.trust_key(&ada).unwrap(), "once more changes nothing");
        state.trust_key(&eve).unwrap();
        state.set_signature_policy(SignaturePolicy::Require).unwrap();
        let trust = Trust::of_state(&path).unwrap();
        assert_eq!(trust.policy, SignaturePolicy::Require);
        assert_eq!(trust.keys.len(), 2);
        let mode = std::fs::metadata(path.join("keys")).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o700);

        let renamed = TrustedKey { name: "ada".to_owned(), ..ada.clone() };
        assert!(state.trust_key(&renamed).unwrap_err().to_string().contains("is trusted already, as Ada Lovelace"));
        let impostor = trusted("eve");
        assert!(state.trust_key(&impostor).unwrap_err().to_string().contains("under the name eve"));

        assert_eq!(state.distrust_key(&ada.key.id().to_lowercase()).unwrap(), ada);
        assert_eq!(state.distrust_key("eve").unwrap(), eve);
        assert!(matches!(state.distrust_key("eve"), Err(KeyError::Unknown { .. })));
        assert_eq!(state.trust().unwrap().keys, []);
        assert_eq!(Trust::of_state(&parent.path().join("nowhere")).unwrap(), Trust::default());
    }

    #[test]
    fn damaged_files_are_named_and_nothing_is_trusted() {
        let (ada, eve) = (trusted("ada"), trusted("eve"));
        let name = format!("{}.pub", ada.key.id());
        let cases = [
            ("policy", b"maybe\n".to_vec()),
            ("policy", b"\xff".to_vec()),
            (name.as_str(), Vec::new()),
            (&name, eve.file().into_bytes()),
            (&name, vec![b'x'; KEY_LIMIT + 1]),
        ];
        for (file, bytes) in cases {
            let (_parent, state) = state();
            state.trust_key(&eve).unwrap();
            state.keys.write(file, bytes).unwrap();
            let message = state.trust().unwrap_err().to_string();
            assert!(message.contains(&format!("keys/{file} is damaged")), "{message}");
        }
    }

    #[test]
    fn a_name_is_one_that_can_stand_in_a_line() {
        let key = trusted("ada").key;
        for name in ["", " ", "ada ", "a\nb", "a\u{1b}b", &"a".repeat(NAME_LIMIT + 1)] {
            assert!(matches!(TrustedKey::new(name, key.clone()), Err(KeyError::BadName { .. })), "{name:?}");
        }
        let ada = TrustedKey::new("Ada Lovelace, 1843", key).unwrap();
        assert_eq!(TrustedKey::parse(&ada.file()).unwrap(), ada);
    }
}
