//! What an identifier may look like. The host holds every name to the same rules when a bundle is installed.

use syn::{Error, LitStr};

/// The longest name, in bytes.
const LIMIT: usize = 255;

/// Errors: the literal is not a reverse-DNS name, nor one that ends in `.*`.
pub(crate) fn check(literal: &LitStr) -> Result<(), Error> {
    let name = literal.value();
    match fault(name.strip_suffix(".*").unwrap_or(&name)) {
        Some(fault) => Err(Error::new(literal.span(), format!("`{name}` {fault}"))),
        None => Ok(()),
    }
}

fn fault(name: &str) -> Option<&'static str> {
    if name.len() > LIMIT {
        Some("is longer than 255 bytes")
    } else if !name.contains('.') {
        Some("is not a reverse-DNS name of at least two parts, such as com.example.gallery.refresh")
    } else if name.split('.').any(str::is_empty) {
        Some("has an empty part between its dots")
    } else if name.contains('*') {
        Some("may have a wildcard only at its end, as `.*`")
    } else if !name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')) {
        Some("may contain only ASCII letters, digits, hyphens, underscores and dots")
    } else {
        None
    }
}
