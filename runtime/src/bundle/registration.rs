//! Whether what a component registers is what its manifest permits.

use std::collections::BTreeSet;

use super::{BundleError, Manifest};
use crate::{
    rules::{Identifier, Pattern},
    spelling,
};

/// Every registered name must be permitted, and every permitted name registered, once each. A wildcard that is permitted
/// needs a handler registered under the same wildcard; beside it, single names below it may have handlers of their own.
pub fn check_registration(manifest: &Manifest, registered: &[Pattern]) -> Result<(), BundleError> {
    let permitted = &manifest.permitted_identifiers;
    let mut seen = BTreeSet::new();
    for pattern in registered {
        if !seen.insert(pattern) {
            return Err(BundleError::RegisteredTwice { pattern: pattern.clone() });
        }
        if !is_permitted(permitted, pattern) {
            return Err(BundleError::NotPermitted { pattern: pattern.clone(), mend: how_to_permit(manifest, pattern) });
        }
    }
    match permitted.iter().find(|pattern| !seen.contains(pattern)) {
        Some(pattern) => Err(BundleError::NoHandler { pattern: pattern.clone() }),
        None => Ok(()),
    }
}

fn is_permitted(permitted: &[Pattern], pattern: &Pattern) -> bool {
    permitted.contains(pattern)
        || Identifier::parse(&pattern.to_string())
            .is_ok_and(|identifier| permitted.iter().any(|permitted| permitted.matches(&identifier)))
}

/// What all names of a bundle have in common says nothing of how alike two of them are.
fn how_to_permit(manifest: &Manifest, pattern: &Pattern) -> String {
    let own = |pattern: &Pattern| {
        let name = pattern.to_string();
        name.strip_prefix(manifest.id.as_str()).map(str::to_owned).unwrap_or(name)
    };
    let names: Vec<String> = manifest.permitted_identifiers.iter().map(own).collect();
    let add = "add it to permitted-identifiers or remove the handler";
    match spelling::nearest(&own(pattern), names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{}{near}`? otherwise {add}", manifest.id),
        None => add.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(permitted: &[&str], registered: &[&str]) -> Result<(), String> {
        let names: Vec<String> = permitted.iter().map(|name| format!("\"com.example.{name}\"")).collect();
        let manifest = Manifest::parse(&format!(
            "[bundle]\nid = \"com.example\"\nversion = \"1.0.0\"\ncomponent = \"x.wasm\"\n\
             [scheduling]\npermitted-identifiers = [{}]",
            names.join(", ")
        ));
        let registered: Vec<Pattern> =
            registered.iter().map(|name| Pattern::parse(&format!("com.example.{name}")).unwrap()).collect();
        check_registration(&manifest.unwrap(), &registered).map_err(|error| error.to_string())
    }

    #[test]
    fn registered_and_permitted_must_agree() {
        let no_handler = |name: &str| {
            format!(
                "the manifest permits `com.example.{name}`, and the component registers no handler of that name; \
                 write the handler or remove the name from permitted-identifiers"
            )
        };
        type Case<'a> = (&'a [&'a str], &'a [&'a str], Result<(), String>);
        let cases: [Case<'_>; 9] = [
            (&["a", "b"], &["b", "a"], Ok(())),
            (&["a.*"], &["a.*"], Ok(())),
            (&["a.*"], &["a.*", "a.b"], Ok(())),
            (
                &["a"],
                &["a", "a"],
                Err("the component registers `com.example.a` twice; keep one handler of that name".to_owned()),
            ),
            (
                &["refresh"],
                &["refersh"],
                Err("the component registers `com.example.refersh`, which the manifest does not permit; \
                     did you mean `com.example.refresh`? otherwise add it to permitted-identifiers or remove the handler"
                    .to_owned()),
            ),
            (
                &["rest"],
                &["rest", "play"],
                Err("the component registers `com.example.play`, which the manifest does not permit; \
                     add it to permitted-identifiers or remove the handler"
                    .to_owned()),
            ),
            (&["a", "b"], &["a"], Err(no_handler("b"))),
            (&["a.*"], &["a.b"], Err(no_handler("a.*"))),
            (&["a"], &[], Err(no_handler("a"))),
        ];
        for (permitted, registered, expected) in cases {
            assert_eq!(check(permitted, registered), expected, "{permitted:?} {registered:?}");
        }
    }
}
