//! Where on the web a guest may speak: scheme, host and port, as RFC 6454 tells origins apart.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// An origin such as `https://photos.example.com` or `http://[::1]:8080`. Two are equal when they are the same place:
/// the host is in lower case and the port is always known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    pub scheme: Scheme,
    /// A name, or an address without brackets.
    pub host: String,
    pub port: u16,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub const ALL: &'static [Scheme] = &[Scheme::Http, Scheme::Https];

    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    pub fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// A text that names no origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no origin: {fault}")]
pub struct OriginError {
    text: String,
    fault: &'static str,
}

impl Origin {
    /// Reads `SCHEME://HOST` or `SCHEME://HOST:PORT`. Errors: another scheme than http or https, a path or a user name behind
    /// it, a host that is neither a name in ASCII nor an address, a port that is none.
    pub fn parse(text: &str) -> Result<Origin, OriginError> {
        let fault = |fault| OriginError { text: text.to_owned(), fault };
        let begins = "it must begin with http:// or https://, as in https://photos.example.com";
        let (scheme, rest) = text.split_once("://").ok_or(fault(begins))?;
        let scheme = Scheme::ALL.iter().copied().find(|known| known.as_str().eq_ignore_ascii_case(scheme));
        let scheme = scheme.ok_or(fault(begins))?;
        if rest.contains(['/', '?', '#']) {
            return Err(fault("it may not have a path; leave out all that follows host and port"));
        }
        if rest.contains('@') {
            return Err(fault("it may not have a user name; leave it out"));
        }
        let (host, port) = match rest.strip_prefix('[') {
            Some(bracketed) => {
                bracketed.split_once(']').ok_or(fault("the bracket before its address is never closed"))?
            }
            None => rest.split_at(rest.find(':').unwrap_or(rest.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(digits) => read_port(digits).ok_or(fault("its port must be a number from 1 to 65535"))?,
            None if port.is_empty() => scheme.default_port(),
            None => return Err(fault("behind its address only a port may stand, as in http://[::1]:8080")),
        };
        let host = match rest.starts_with('[') {
            true => {
                host.parse::<Ipv6Addr>().map_err(|_| fault("what stands in brackets is no IPv6 address"))?.to_string()
            }
            false => read_host(host)
                .ok_or(fault("its host must be a name of ASCII letters, digits, hyphens and dots, or an address"))?,
        };
        Ok(Origin { scheme, host, port })
    }

    /// The address, if the host is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }
}

fn read_port(digits: &str) -> Option<u16> {
    let port = digits.parse::<u16>().ok().filter(|port| *port > 0)?;
    digits.bytes().all(|digit| digit.is_ascii_digit()).then_some(port)
}

/// A name in lower case, or an IPv4 address. What consists of numbers alone and is no such address is read differently by
/// different programs, so it is refused.
fn read_host(host: &str) -> Option<String> {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    let last = host.rsplit('.').next()?;
    let looks_like_a_number =
        last.bytes().all(|byte| byte.is_ascii_digit()) || last.to_ascii_lowercase().starts_with("0x");
    match host.parse::<Ipv4Addr>() {
        Ok(address) => Some(address.to_string()),
        Err(_) if looks_like_a_number => None,
        Err(_) => (host.len() <= 253 && host.split('.').all(is_label)).then(|| host.to_ascii_lowercase()),
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { scheme, host, port } = self;
        f.write_str(scheme.as_str())?;
        match host.contains(':') {
            true => write!(f, "://[{host}]")?,
            false => write!(f, "://{host}")?,
        }
        match *port == scheme.default_port() {
            true => Ok(()),
            false => write!(f, ":{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_place_is_the_same_origin() {
        let cases = [
            ("https://photos.example.com", "https://photos.example.com"),
            ("HTTPS://Photos.Example.com:443", "https://photos.example.com"),
            ("http://localhost:8080", "http://localhost:8080"),
            ("http://10.0.0.7:80", "http://10.0.0.7"),
            ("http://[0:0::1]:80", "http://[::1]"),
            ("https://[2001:DB8::1]:8443", "https://[2001:db8::1]:8443"),
        ];
        for (text, expected) in cases {
            let origin = Origin::parse(text).unwrap();
            assert_eq!(origin.to_string(), expected);
            assert_eq!(Origin::parse(&origin.to_string()), Ok(origin), "{text}");
        }
    }

    #[test]
    fn what_names_no_origin_is_told_why() {
        let cases = [
            ("photos.example.com", "begin with"),
            ("ftp://example.com", "begin with"),
            ("https://example.com/", "path"),
            ("https://example.com?x", "path"),
            ("https://ada@example.com", "user name"),
            ("https://", "host"),
            ("https://a..b", "host"),
            ("https://-a.b", "host"),
            ("https://bücher.example", "host"),
            ("https://*.example.com", "host"),
            ("http://127.1", "host"),
            ("http://0x7f000001", "host"),
            ("http://2130706433", "host"),
            ("https://example.com:", "port"),
            ("https://example.com:0", "port"),
            ("https://example.com:+80", "port"),
            ("https://example.com:65536", "port"),
            ("https://[::1", "closed"),
            ("https://[::1]8080", "only a port"),
            ("https://[10.0.0.1]", "IPv6"),
        ];
        for (text, part) in cases {
            let message = Origin::parse(text).unwrap_err().to_string();
            assert!(message.starts_with(&format!("`{text}` is no origin: ")), "{message}");
            assert!(message.contains(part), "{message}");
        }
    }
}
