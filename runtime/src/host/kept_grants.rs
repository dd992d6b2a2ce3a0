//! Grants as the database keeps them, in JSON.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::HostError;
use crate::bundle::{Access, DirectoryGrant, Grants, HttpGrant, Origin, SecretGrant, SecretHeader, SecretSource};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    directories: Vec<Directory>,
    http: Vec<Http>,
    config: BTreeMap<String, String>,
    secrets: Vec<Secret>,
    /// Rows of versions without studies lack it.
    #[serde(default)]
    study: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Directory {
    name: String,
    access: String,
    path: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Http {
    origin: String,
    private: bool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Secret {
    name: String,
    source: Source,
    header: Option<Header>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Source {
    File(PathBuf),
    Credential(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    origin: String,
    name: String,
}

/// Errors: a path that is not UTF-8.
pub(super) fn write(grants: &Grants) -> Result<String, HostError> {
    let Grants { directories, http, config, secrets, study } = grants;
    let directory = |DirectoryGrant { name, access, path }: &DirectoryGrant| Directory {
        name: name.clone(),
        access: access.as_str().to_owned(),
        path: path.clone(),
    };
    let secret = |SecretGrant { name, source, header }: &SecretGrant| Secret {
        name: name.clone(),
        source: match source {
            SecretSource::File(path) => Source::File(path.clone()),
            SecretSource::Credential(credential) => Source::Credential(credential.clone()),
        },
        header: header
            .as_ref()
            .map(|SecretHeader { origin, name }| Header { origin: origin.to_string(), name: name.clone() }),
    };
    let kept = Kept {
        directories: directories.iter().map(directory).collect(),
        http: http
            .iter()
            .map(|HttpGrant { origin, private }| Http { origin: origin.to_string(), private: *private })
            .collect(),
        config: config.clone(),
        secrets: secrets.iter().map(secret).collect(),
        study: study.clone(),
    };
    serde_json::to_string(&kept)
        .map_err(|_| HostError::Bundle("a granted path is not UTF-8; grant one whose path is".to_owned()))
}

/// Errors: the text is not one that `write` made; what is wrong with it.
pub(super) fn read(text: &str) -> Result<Grants, String> {
    let Kept { directories, http, config, secrets, study } =
        serde_json::from_str(text).map_err(|error| error.to_string())?;
    let origin = |text: &str| Origin::parse(text).map_err(|error| error.to_string());
    let directory = |Directory { name, access, path }| match Access::parse(&access) {
        Some(access) => Ok(DirectoryGrant { name, access, path }),
        None => Err(format!("access `{access}`")),
    };
    let secret = |Secret { name, source, header }| {
        let source = match source {
            Source::File(path) => SecretSource::File(path),
            Source::Credential(credential) => SecretSource::Credential(credential),
        };
        let header = match header {
            Some(Header { origin: text, name }) => Some(SecretHeader { origin: origin(&text)?, name }),
            None => None,
        };
        Ok::<_, String>(SecretGrant { name, source, header })
    };
    let http_grant =
        |Http { origin: text, private }: Http| Ok::<_, String>(HttpGrant { origin: origin(&text)?, private });
    Ok(Grants {
        directories: directories.into_iter().map(directory).collect::<Result<_, _>>()?,
        http: http.into_iter().map(http_grant).collect::<Result<_, _>>()?,
        config,
        secrets: secrets.into_iter().map(secret).collect::<Result<_, _>>()?,
        study,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_survive_the_way_through_the_database() {
        let origin = Origin::parse("https://[::1]:8443").unwrap();
        let secret = |name: &str, source, header| SecretGrant { name: name.to_owned(), source, header };
        let header = SecretHeader { origin: origin.clone(), name: "x-key".to_owned() };
        let grants = Grants {
            directories: vec![DirectoryGrant { name: "a".to_owned(), access: Access::Write, path: "/a".into() }],
            http: vec![HttpGrant { origin, private: true }],
            config: BTreeMap::from([("b".to_owned(), "=\n".to_owned())]),
            secrets: vec![
                secret("c", SecretSource::File("/c".into()), None),
                secret("d", SecretSource::Credential("d".to_owned()), Some(header)),
            ],
            study: Some("heart".to_owned()),
        };
        assert_eq!(read(&write(&grants).unwrap()), Ok(grants));
        assert_eq!(read(&write(&Grants::default()).unwrap()), Ok(Grants::default()));
        let before_studies = r#"{"directories":[],"http":[],"config":{},"secrets":[]}"#;
        assert_eq!(read(before_studies), Ok(Grants::default()));
        assert!(read("[]").is_err());
    }
}
