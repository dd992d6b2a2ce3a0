//! Who vouches for a bundle: minisign signatures over its digest, and whether the operator's policy is content with them.
//! Nothing here compiles or runs a component.

use std::{fmt, io::Cursor};

use super::{
    BundleError, Offer,
    keys::{Trust, TrustedKey},
};
use crate::rules::BundleId;

/// The file of a bundle folder that holds its signature.
pub const SIGNATURE_NAME: &str = "idlewild.minisig";

/// The longest signature, in bytes; one with ordinary comments has some three hundred.
pub const SIGNATURE_LIMIT: usize = 4 * 1024;

/// What the operator asks of signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignaturePolicy {
    /// Only bundles signed with a trusted key.
    Require,
    /// Any bundle; what is not signed with a trusted key is said.
    #[default]
    Warn,
    /// Any bundle; signatures are not looked at.
    Off,
}

impl SignaturePolicy {
    pub const ALL: &'static [SignaturePolicy] =
        &[SignaturePolicy::Require, SignaturePolicy::Warn, SignaturePolicy::Off];

    pub fn as_str(self) -> &'static str {
        match self {
            SignaturePolicy::Require => "require",
            SignaturePolicy::Warn => "warn",
            SignaturePolicy::Off => "off",
        }
    }

    pub fn parse(word: &str) -> Option<SignaturePolicy> {
        SignaturePolicy::ALL.iter().copied().find(|policy| policy.as_str() == word)
    }
}

impl fmt::Display for SignaturePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a bundle's signature came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// A trusted key signed exactly this manifest and this component.
    Signed(TrustedKey),
    Unsigned,
    /// Signed with a key that is not trusted, so that nothing is known of it but the number it gives itself.
    Untrusted {
        key: String,
    },
    /// The policy is `off`.
    Unchecked,
}

impl Verdict {
    /// Who signed, when that is proved.
    pub fn signer(&self) -> Option<&TrustedKey> {
        match self {
            Verdict::Signed(key) => Some(key),
            Verdict::Unsigned | Verdict::Untrusted { .. } | Verdict::Unchecked => None,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Signed(TrustedKey { name, key }) => write!(f, "signed by {name} (key {})", key.id()),
            Verdict::Unsigned => write!(f, "not signed"),
            Verdict::Untrusted { key } => write!(f, "signed with key {key}, which is not trusted"),
            Verdict::Unchecked => write!(f, "not checked"),
        }
    }
}

/// What is wrong with a bundle's signature, said of the bundle.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    #[error("its signature cannot be read: {fault}; sign it again: idlewild sign")]
    Unreadable { fault: &'static str },
    #[error(
        "its signature by {name} (key {key}) does not fit: manifest or component were changed after it was made, or it \
         was made for another bundle; get the bundle again from whoever signed it"
    )]
    Broken { name: String, key: String },
    #[error("it is not signed; sign it: idlewild sign FILE --key FILE")]
    Missing,
    #[error("it is signed with key {key}, which is not trusted; if you trust it: idlewild keys trust FILE.pub")]
    Untrusted { key: String },
    #[error(
        "{follows} is signed by {signer} (key {key}), and this one is {verdict}; get it from that signer, or allow the \
         change with --allow-other-signer"
    )]
    OtherSigner { follows: &'static str, signer: String, key: String, verdict: String },
}

/// Who signed what a bundle follows, and gets the data of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Follows {
    /// The installed version of its id.
    Version(TrustedKey),
    /// A version of its id that was uninstalled, whose data was kept.
    KeptData(TrustedKey),
}

impl Follows {
    pub fn signer(&self) -> &TrustedKey {
        match self {
            Follows::Version(signer) | Follows::KeptData(signer) => signer,
        }
    }

    fn named(&self) -> &'static str {
        match self {
            Follows::Version(_) => "the installed version",
            Follows::KeptData(_) => "the version whose data was kept",
        }
    }
}

/// What is signed: a line that names the digest, and so manifest and component. `minisign` verifies it as a file of its own.
pub fn statement(digest: &str) -> String {
    format!("idlewild bundle {digest}\n")
}

/// Checks a bundle's signature against what the operator asks for. `follows` is who signed what it is to follow: none where
/// there is no such version, where nobody did, or where the operator allows another.
///
/// Errors: a signature that is there and does not fit, whatever it is worth otherwise; a policy that is not met; a signer
/// other than the one it follows.
pub fn check_signature(offer: &Offer, trust: &Trust, follows: Option<&Follows>) -> Result<Verdict, BundleError> {
    let id = &offer.manifest.id;
    let verdict = match trust.policy {
        SignaturePolicy::Require | SignaturePolicy::Warn => verdict(offer, &trust.keys)?,
        SignaturePolicy::Off => return Ok(Verdict::Unchecked),
    };
    match (trust.policy, &verdict) {
        (SignaturePolicy::Require, Verdict::Unsigned) => return Err(said(id, SignatureError::Missing)),
        (SignaturePolicy::Require, Verdict::Untrusted { key }) => {
            return Err(said(id, SignatureError::Untrusted { key: key.clone() }));
        }
        (SignaturePolicy::Require | SignaturePolicy::Warn | SignaturePolicy::Off, _) => {}
    }
    match follows {
        Some(follows) if verdict.signer().is_none_or(|signer| signer.key != follows.signer().key) => {
            let TrustedKey { name, key } = follows.signer();
            let error = SignatureError::OtherSigner {
                follows: follows.named(),
                signer: name.clone(),
                key: key.id(),
                verdict: verdict.to_string(),
            };
            Err(said(id, error))
        }
        Some(_) | None => Ok(verdict),
    }
}

/// What the bundle's signature comes to with these keys, whatever the policy. Errors: it is there and does not fit.
pub fn verdict(offer: &Offer, keys: &[TrustedKey]) -> Result<Verdict, BundleError> {
    let Some(text) = &offer.signature else { return Ok(Verdict::Unsigned) };
    let fail = |error| said(&offer.manifest.id, error);
    let signature = parse(text).map_err(|fault| fail(SignatureError::Unreadable { fault }))?;
    let Some(trusted) = keys.iter().find(|trusted| trusted.key.number() == signature.keynum()) else {
        return Ok(Verdict::Untrusted { key: key_id(signature.keynum()) });
    };
    let TrustedKey { name, key } = trusted;
    let statement = Cursor::new(statement(&offer.digest));
    match minisign::verify(key.inner(), &signature, statement, true, false, false) {
        Ok(()) => Ok(Verdict::Signed(trusted.clone())),
        Err(_) => Err(fail(SignatureError::Broken { name: name.clone(), key: key.id() })),
    }
}

/// The number of a key as minisign writes it.
pub(super) fn key_id(number: &[u8]) -> String {
    number.iter().rev().map(|byte| format!("{byte:02X}")).collect()
}

/// The two encoded lines of a signature, 74 and 64 bytes in base 64: their length, and what fills up the last four digits.
const ENCODED_LINES: [(usize, usize, &str); 2] = [(1, 100, "="), (3, 88, "==")];

/// Reads a signature's four lines. Their lengths are checked here, since the library takes them for granted.
fn parse(text: &str) -> Result<minisign::SignatureBox, &'static str> {
    if text.len() > SIGNATURE_LIMIT {
        return Err("it is too long");
    }
    let lines: Vec<&str> = text.lines().collect();
    if lines.len() != 4 {
        return Err("it does not have the four lines of a minisign signature");
    }
    let is_whole = |(at, length, fill): &(usize, usize, &str)| {
        let digits = lines[*at].trim().strip_suffix(fill);
        digits.is_some_and(|digits| digits.len() + fill.len() == *length && !digits.ends_with('='))
    };
    if !ENCODED_LINES.iter().all(is_whole) {
        return Err("a line of it is not as long as it must be");
    }
    let signature =
        minisign::SignatureBox::from_string(text).map_err(|_| "it is not written as minisign writes signatures")?;
    match signature.is_prehashed() {
        true => Ok(signature),
        false => Err("it has the old form of minisign, without a hash"),
    }
}

fn said(bundle: &BundleId, error: SignatureError) -> BundleError {
    BundleError::Signature { bundle: bundle.clone(), error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{
        Manifest,
        keys::{PublicKey, SecretKey},
        offer,
    };

    const MANIFEST: &str = "[bundle]\nid = \"com.example.a\"\nversion = \"1.0.0\"\ncomponent = \"a.wasm\"\n\
                            [scheduling]\npermitted-identifiers = [\"com.example.a.work\"]\n";

    fn offered(manifest: &str, component: &[u8], signature: Option<&str>) -> Offer {
        Offer {
            manifest: Manifest::parse(manifest).unwrap(),
            manifest_text: manifest.to_owned(),
            component: component.to_vec(),
            digest: offer::digest(manifest.as_bytes(), component),
            signature: signature.map(str::to_owned),
        }
    }

    fn key(name: &str) -> (SecretKey, TrustedKey) {
        let (key, file) = SecretKey::generate_file(None).unwrap();
        (SecretKey::parse(&file, None).unwrap(), TrustedKey { name: name.to_owned(), key })
    }

    fn trust(policy: SignaturePolicy, keys: &[&TrustedKey]) -> Trust {
        Trust { policy, keys: keys.iter().map(|key| (*key).clone()).collect() }
    }

    #[test]
    fn a_signature_of_the_minisign_tool_is_read() {
        let key = PublicKey::parse("RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3").unwrap();
        let signature = "untrusted comment: signature from minisign secret key\n\
            RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=\n\
            trusted comment: timestamp:1633700835\tfile:test\tprehashed\n\
            wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==\n";
        let signature = parse(signature).unwrap();
        assert_eq!(key_id(signature.keynum()), key.id());
        minisign::verify(key.inner(), &signature, Cursor::new("test"), true, false, false).unwrap();
        assert!(minisign::verify(key.inner(), &signature, Cursor::new("Test"), true, false, false).is_err());
    }

    #[test]
    fn a_signature_stands_for_one_manifest_and_one_component_alone() {
        let (secret, ada) = key("ada");
        let bare = offered(MANIFEST, b"component", None);
        let signature = secret.sign(&bare).unwrap();
        let trust = trust(SignaturePolicy::Warn, &[&ada]);
        let check = |manifest: &str, component: &[u8], signature: &str| {
            check_signature(&offered(manifest, component, Some(signature)), &trust, None)
        };
        assert_eq!(check(MANIFEST, b"component", &signature).unwrap(), Verdict::Signed(ada.clone()));

        let broken = format!(
            "bundle com.example.a: its signature by ada (key {}) does not fit: manifest or component were changed after it \
             was made, or it was made for another bundle; get the bundle again from whoever signed it",
            ada.key.id()
        );
        let lines: Vec<&str> = signature.lines().collect();
        let with = |at: usize, line: &str| {
            let mut lines = lines.clone();
            lines[at] = line;
            lines.join("\n")
        };
        // One bit of the signature itself, behind the number of its key.
        let flipped =
            format!("{}{}{}", &lines[1][..40], if &lines[1][40..41] == "A" { "B" } else { "A" }, &lines[1][41..]);
        let unreadable = |fault: &str| {
            format!("bundle com.example.a: its signature cannot be read: {fault}; sign it again: idlewild sign")
        };
        let cut = unreadable("a line of it is not as long as it must be");
        let cases = [
            ("another component", check(MANIFEST, b"Component", &signature), broken.clone()),
            ("another manifest", check(&MANIFEST.replace("1.0.0", "1.0.1"), b"component", &signature), broken.clone()),
            ("a comment in the manifest", check(&format!("{MANIFEST}#"), b"component", &signature), broken.clone()),
            ("a changed signature", check(MANIFEST, b"component", &with(1, &flipped)), broken.clone()),
            ("a changed comment", check(MANIFEST, b"component", &with(2, "trusted comment: x")), broken),
            ("a short signature", check(MANIFEST, b"component", &with(1, &lines[1][..96])), cut.clone()),
            ("a byte too many", check(MANIFEST, b"component", &with(1, &lines[1].replace('=', "5"))), cut.clone()),
            ("a short second signature", check(MANIFEST, b"component", &with(3, "AAAA")), cut),
            (
                "no signature at all",
                check(MANIFEST, b"component", "text"),
                unreadable("it does not have the four lines of a minisign signature"),
            ),
            (
                "an empty one",
                check(MANIFEST, b"component", ""),
                unreadable("it does not have the four lines of a minisign signature"),
            ),
            (
                "no base 64",
                check(MANIFEST, b"component", &with(1, &format!("{}=", "?".repeat(99)))),
                unreadable("it is not written as minisign writes signatures"),
            ),
            (
                "a long one",
                check(MANIFEST, b"component", &"x".repeat(SIGNATURE_LIMIT + 1)),
                unreadable("it is too long"),
            ),
        ];
        for (what, checked, message) in cases {
            assert_eq!(checked.unwrap_err().to_string(), message, "{what}");
        }
    }

    #[test]
    fn the_policy_says_what_is_taken() {
        use SignaturePolicy::{Off, Require, Warn};
        let ((ada_secret, ada), (eve_secret, eve)) = (key("ada"), key("eve"));
        let bare = offered(MANIFEST, b"component", None);
        let by = |secret: &SecretKey| offered(MANIFEST, b"component", Some(&secret.sign(&bare).unwrap()));
        let (by_ada, by_eve) = (by(&ada_secret), by(&eve_secret));
        let garbage = offered(MANIFEST, b"component", Some("garbage"));
        let signed = Verdict::Signed(ada.clone());
        let untrusted = Verdict::Untrusted { key: eve.key.id() };
        let cases = [
            (Require, &by_ada, None, Ok(&signed)),
            (Require, &bare, None, Err("it is not signed; sign it")),
            (Require, &by_eve, None, Err("which is not trusted; if you trust it")),
            (Require, &garbage, None, Err("its signature cannot be read")),
            (Warn, &by_ada, None, Ok(&signed)),
            (Warn, &bare, None, Ok(&Verdict::Unsigned)),
            (Warn, &by_eve, None, Ok(&untrusted)),
            (Warn, &garbage, None, Err("its signature cannot be read")),
            (Off, &by_ada, None, Ok(&Verdict::Unchecked)),
            (Off, &bare, None, Ok(&Verdict::Unchecked)),
            (Off, &garbage, None, Ok(&Verdict::Unchecked)),
            // Upgrades.
            (Warn, &by_ada, Some(Follows::Version(ada.clone())), Ok(&signed)),
            (Warn, &bare, Some(Follows::Version(ada.clone())), Err("the installed version is signed by ada (key ")),
            (Warn, &by_eve, Some(Follows::KeptData(ada.clone())), Err("data was kept is signed by ada (key ")),
            (Require, &by_ada, Some(Follows::Version(eve.clone())), Err("is signed by eve (key ")),
            (Off, &bare, Some(Follows::Version(ada.clone())), Ok(&Verdict::Unchecked)),
        ];
        for (at, (policy, offer, follows, expected)) in cases.into_iter().enumerate() {
            let checked = check_signature(offer, &trust(policy, &[&ada]), follows.as_ref());
            match expected {
                Ok(verdict) => assert_eq!(&checked.unwrap(), verdict, "case {at}"),
                Err(says) => {
                    let message = checked.unwrap_err().to_string();
                    assert!(message.contains(says), "case {at}: {message}");
                }
            }
        }
    }
}
