//! What a bundle says of itself: `idlewild.toml`. Sections of later versions are unknown keys here, so that nothing a bundle
//! asks for is silently left out.

use std::{
    cmp::Ordering,
    collections::BTreeSet,
    path::{Component, Path, PathBuf},
};

use bytesize::ByteSize;
use toml::de::DeTable;

use super::{Access, Origin};
use crate::rules::{BackgroundMode, BundleId, Entitlements, Pattern, Schedule};

mod reference;
mod schedules;
mod table;

pub use reference::manifest_reference;
use table::{Field, Section};
pub use table::{ManifestError, Place};

/// The file of a bundle folder that holds the manifest.
pub const MANIFEST_NAME: &str = "idlewild.toml";

/// The longest manifest, in bytes.
pub const MANIFEST_LIMIT: usize = 64 * 1024;

/// The longest name of a study, in bytes.
const STUDY_LIMIT: usize = 64;

/// What a bundle says of itself and asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    pub id: BundleId,
    pub version: String,
    /// The component's path inside the bundle folder.
    pub component: PathBuf,
    pub background_modes: Vec<BackgroundMode>,
    pub permitted_identifiers: Vec<Pattern>,
    /// Work by the calendar.
    pub schedules: Vec<Schedule>,
    pub directories: Vec<DirectoryAsk>,
    /// Origins it asks to speak to.
    pub http: Vec<Origin>,
    /// Names of configuration it asks for.
    pub config: Vec<String>,
    /// Names of secrets it asks for.
    pub secrets: Vec<String>,
    pub entitlements: Entitlements,
    /// Bytes of memory the bundle promises to stay below, if it lowers the host's limit.
    pub memory: Option<u64>,
    /// Bytes it promises to stay below in `/data`, if it lowers the host's limit.
    pub data: Option<u64>,
    /// Bytes a task of it promises to stay below in `/tmp`, if it lowers the host's limit.
    pub tmp: Option<u64>,
}

/// A folder a bundle asks for by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryAsk {
    pub name: String,
    pub access: Access,
}

impl Manifest {
    /// How its version stands to another's, as semantic versioning orders them.
    pub fn compare_version(&self, other: &Manifest) -> Ordering {
        let parse = |manifest: &Manifest| semver::Version::parse(&manifest.version);
        match (parse(self), parse(other)) {
            (Ok(version), Ok(other)) => version.cmp_precedence(&other),
            // Manifests are read with versions alone.
            (Ok(_) | Err(_), _) => Ordering::Equal,
        }
    }

    /// Reads a manifest's text. Errors: the first fault, with its place and mend.
    pub fn parse(text: &str) -> Result<Manifest, ManifestError> {
        if text.len() > MANIFEST_LIMIT {
            let message = format!("the manifest is {} bytes long; it may have {MANIFEST_LIMIT}", text.len());
            return Err(ManifestError { message, place: None });
        }
        let document = DeTable::parse(text).map_err(|error| syntax_error(text, &error))?;
        let root = Section::root(text, document.get_ref())?;

        let bundle = root.required_section(&reference::BUNDLE)?;
        let id = parse_id(&bundle.required(&reference::ID)?)?;
        let version = parse_version(&bundle.required(&reference::VERSION)?)?;
        let component = parse_component(&bundle.required(&reference::COMPONENT)?)?;

        let scheduling = root.required_section(&reference::SCHEDULING)?;
        let background_modes = match scheduling.field(&reference::BACKGROUND_MODES) {
            Some(field) => parse_background_modes(&field)?,
            None => BackgroundMode::ALL.to_vec(),
        };
        let permitted_identifiers =
            parse_permitted_identifiers(&scheduling.required(&reference::PERMITTED_IDENTIFIERS)?, &id)?;

        let schedules = schedules::parse(&root, &permitted_identifiers, &background_modes)?;

        let capabilities = root.section(&reference::CAPABILITIES)?;
        let asked = |key| capabilities.as_ref().and_then(|section| section.field(key));
        // One name is one thing, so that it can be granted and taken back by its name.
        let mut names = BTreeSet::new();
        let directories =
            asked(&reference::DIRECTORIES).map(|field| parse_directories(&field, &mut names)).transpose()?;
        let http = asked(&reference::HTTP).map(|field| parse_origins(&field)).transpose()?;
        let config = asked(&reference::CONFIG).map(|field| parse_names(&field, &mut names)).transpose()?;
        let secrets = asked(&reference::SECRETS).map(|field| parse_names(&field, &mut names)).transpose()?;

        let entitlements = root.section(&reference::ENTITLEMENTS)?;
        let claimed = |key| entitlements.as_ref().and_then(|section| section.field(key));
        let gpu = claimed(&reference::CONTINUED_PROCESSING_GPU).map(|field| field.boolean()).transpose()?;
        let health_research =
            claimed(&reference::HEALTH_RESEARCH).map(|field| parse_study(&field, &mut names)).transpose()?;

        let limits = root.section(&reference::LIMITS)?;
        let limit = |key| {
            let field = limits.as_ref().and_then(|section| section.field(key));
            field.map(|field| parse_size(&field)).transpose()
        };
        let (memory, data, tmp) = (limit(&reference::MEMORY)?, limit(&reference::DATA)?, limit(&reference::TMP)?);

        Ok(Manifest {
            id,
            version,
            component,
            background_modes,
            permitted_identifiers,
            schedules,
            directories: directories.unwrap_or_default(),
            http: http.unwrap_or_default(),
            config: config.unwrap_or_default(),
            secrets: secrets.unwrap_or_default(),
            entitlements: Entitlements { continued_processing_gpu: gpu.unwrap_or_default(), health_research },
            memory,
            data,
            tmp,
        })
    }
}

/// Whether a study may be called so.
pub(super) fn is_study(name: &str) -> bool {
    let may_stand = |character: char| character.is_ascii_alphanumeric() || character == '-';
    !name.is_empty() && name.len() <= STUDY_LIMIT && name.chars().all(may_stand)
}

fn syntax_error(text: &str, error: &toml::de::Error) -> ManifestError {
    let place = error.span().map(|span| Place::of(text, span.start));
    let at = place.map(|place| format!(" at {place}")).unwrap_or_default();
    ManifestError { message: format!("the manifest{at} is not TOML: {}", error.message()), place }
}

fn parse_id(field: &Field<'_>) -> Result<BundleId, ManifestError> {
    BundleId::parse(field.string()?).map_err(|error| field.fault(format_args!("is no bundle id: {error}")))
}

/// Three numbers, and what semantic versioning allows behind them.
fn parse_version(field: &Field<'_>) -> Result<String, ManifestError> {
    let version = field.string()?;
    match semver::Version::parse(version) {
        Ok(_) => Ok(version.to_owned()),
        Err(_) => Err(field.fault(format_args!("must look like 1.0.0, and is `{version}`"))),
    }
}

fn parse_component(field: &Field<'_>) -> Result<PathBuf, ManifestError> {
    let text = field.string()?;
    let path = Path::new(text);
    let stays_inside = path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !stays_inside || path.file_name().is_none() || text.contains('\0') {
        return Err(field.fault(format_args!("must be the path of a file inside the bundle folder, and is `{text}`")));
    }
    Ok(path.to_owned())
}

fn parse_background_modes(field: &Field<'_>) -> Result<Vec<BackgroundMode>, ManifestError> {
    let mut seen = BTreeSet::new();
    let parse = |entry: Field<'_>| {
        let word = entry.string()?;
        let mode = BackgroundMode::parse(word)
            .ok_or_else(|| entry.unknown_word(word, BackgroundMode::ALL.iter().map(|mode| mode.as_str())))?;
        if !seen.insert(mode) {
            return Err(entry.fault(format_args!("repeats `{mode}`")));
        }
        Ok(mode)
    };
    field.list()?.into_iter().map(parse).collect()
}

fn parse_permitted_identifiers(field: &Field<'_>, id: &BundleId) -> Result<Vec<Pattern>, ManifestError> {
    let entries = field.list()?;
    if entries.is_empty() {
        return Err(field.fault("is empty: name every handler of the component"));
    }
    let mut seen = BTreeSet::new();
    let parse = |entry: Field<'_>| {
        let pattern =
            Pattern::parse(entry.string()?).map_err(|error| entry.fault(format_args!("is no identifier: {error}")))?;
        if !pattern.is_within(id) {
            return Err(entry.fault(format_args!("must be `{id}` or begin with `{id}.`, and is `{pattern}`")));
        }
        if !seen.insert(pattern.clone()) {
            return Err(entry.fault(format_args!("repeats `{pattern}`")));
        }
        Ok(pattern)
    };
    entries.into_iter().map(parse).collect()
}

/// Names the guest sees at its root already.
const TAKEN_DIRECTORY_NAMES: [&str; 2] = ["data", "tmp"];

fn parse_directories(field: &Field<'_>, names: &mut BTreeSet<String>) -> Result<Vec<DirectoryAsk>, ManifestError> {
    let parse = |entry: Field<'_>| {
        let section = entry.section(&reference::DIRECTORY)?;
        let field = section.required(&reference::DIRECTORY_NAME)?;
        let name = parse_name(&field, names)?;
        if TAKEN_DIRECTORY_NAMES.contains(&name.as_str()) {
            return Err(field.fault(format_args!("must not be `{name}`: every guest has a /{name} of its own")));
        }
        let access = parse_access(&section.required(&reference::DIRECTORY_ACCESS)?)?;
        Ok(DirectoryAsk { name, access })
    };
    field.list()?.into_iter().map(parse).collect()
}

fn parse_names(field: &Field<'_>, names: &mut BTreeSet<String>) -> Result<Vec<String>, ManifestError> {
    field.list()?.iter().map(|entry| parse_name(entry, names)).collect()
}

fn parse_origins(field: &Field<'_>) -> Result<Vec<Origin>, ManifestError> {
    let mut seen = BTreeSet::new();
    let parse = |entry: Field<'_>| {
        let origin = Origin::parse(entry.string()?).map_err(|error| entry.fault(format_args!("is wrong: {error}")))?;
        if !seen.insert(origin.clone()) {
            return Err(entry.fault(format_args!("repeats `{origin}`")));
        }
        Ok(origin)
    };
    field.list()?.into_iter().map(parse).collect()
}

/// A name to be granted by, not among `names` yet.
fn parse_name(field: &Field<'_>, names: &mut BTreeSet<String>) -> Result<String, ManifestError> {
    let name = field.string()?;
    let may_stand = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit() || character == '-';
    if name.is_empty() || !name.chars().all(may_stand) {
        return Err(field.fault(format_args!("may hold only lower-case letters, digits and hyphens, and is `{name}`")));
    }
    if !names.insert(name.to_owned()) {
        return Err(field.fault(format_args!("repeats `{name}`")));
    }
    Ok(name.to_owned())
}

fn parse_study(field: &Field<'_>, names: &mut BTreeSet<String>) -> Result<String, ManifestError> {
    let name = field.string()?;
    if !is_study(name) {
        let fault = format_args!("must be at most {STUDY_LIMIT} letters, digits and hyphens, and is `{name}`");
        return Err(field.fault(fault));
    }
    if !names.insert(name.to_owned()) {
        return Err(field.fault(format_args!("repeats `{name}`")));
    }
    Ok(name.to_owned())
}

fn parse_access(field: &Field<'_>) -> Result<Access, ManifestError> {
    let word = field.string()?;
    Access::parse(word).ok_or_else(|| field.unknown_word(word, Access::ALL.iter().map(|access| access.as_str())))
}

fn parse_size(field: &Field<'_>) -> Result<u64, ManifestError> {
    let text = field.string()?;
    match text.parse::<ByteSize>() {
        Ok(ByteSize(bytes)) if bytes > 0 => Ok(bytes),
        Ok(_) | Err(_) => Err(field.fault(format_args!("must be a size such as \"64 MiB\", and is `{text}`"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = r#"
[bundle]
id = "com.example.gallery"
version = "1.0.0"
component = "gallery.wasm"

[scheduling]
background-modes = ["fetch", "processing"]
permitted-identifiers = ["com.example.gallery.image-count", "com.example.gallery.export.*"]

[capabilities]
directories = [{ name = "gallery", access = "read" }, { name = "album-2", access = "write" }]
http = ["https://photos.example.com"]
config = ["album-title"]
secrets = ["upload-token"]

[entitlements]
continued-processing-gpu = true
health-research = "Heart-2026"

[limits]
memory = "64 MiB"
data = "128 MiB"
tmp = "16 MB"
"#;

    #[test]
    fn reads_a_whole_manifest() {
        let expected = Manifest {
            id: BundleId::parse("com.example.gallery").unwrap(),
            version: "1.0.0".to_owned(),
            component: PathBuf::from("gallery.wasm"),
            background_modes: vec![BackgroundMode::Fetch, BackgroundMode::Processing],
            permitted_identifiers: vec![
                Pattern::parse("com.example.gallery.image-count").unwrap(),
                Pattern::parse("com.example.gallery.export.*").unwrap(),
            ],
            schedules: Vec::new(),
            directories: vec![
                DirectoryAsk { name: "gallery".to_owned(), access: Access::Read },
                DirectoryAsk { name: "album-2".to_owned(), access: Access::Write },
            ],
            http: vec![Origin::parse("https://photos.example.com").unwrap()],
            config: vec!["album-title".to_owned()],
            secrets: vec!["upload-token".to_owned()],
            entitlements: Entitlements {
                continued_processing_gpu: true,
                health_research: Some("Heart-2026".to_owned()),
            },
            memory: Some(64 << 20),
            data: Some(128 << 20),
            tmp: Some(16_000_000),
        };
        assert_eq!(Manifest::parse(WHOLE), Ok(expected));
    }

    #[test]
    fn what_is_left_out_is_neutral() {
        let start = WHOLE.find("[capabilities]").unwrap();
        let text = WHOLE[..start].replace("background-modes = [\"fetch\", \"processing\"]\n", "");
        let manifest = Manifest::parse(&text).unwrap();
        assert_eq!(manifest.background_modes, BackgroundMode::ALL);
        assert_eq!(manifest.asks(), []);
        assert_eq!(manifest.entitlements, Entitlements::default());
        assert_eq!(manifest.memory, None);
    }

    #[test]
    fn accepts_what_may_vary() {
        let cases = [
            ("\"1.0.0\"", "\"10.20.30-rc.1+build-7\""),
            ("\"1.0.0\"", "\"0.0.0\""),
            ("\"gallery.wasm\"", "\"./target/wasm32-wasip2/release/gallery.wasm\""),
            ("[\"fetch\", \"processing\"]", "[]"),
            ("\"com.example.gallery.image-count\"", "\"com.example.gallery\""),
            ("\"com.example.gallery.image-count\"", "\"com.example.gallery.*\""),
            ("\"64 MiB\"", "\"1\""),
        ];
        for (from, to) in cases {
            assert!(WHOLE.contains(from), "{from}");
            Manifest::parse(&WHOLE.replace(from, to)).unwrap_or_else(|error| panic!("{to}: {error}"));
        }
    }

    #[test]
    fn each_fault_has_its_place_and_mend() {
        let cases = [
            // Keys and sections.
            (
                "permitted-identifiers",
                "permited-identifiers",
                "unknown key `permited-identifiers` in [scheduling] at line 9, column 1; did you mean `permitted-identifiers`?",
            ),
            ("[limits]", "[limit]", "unknown key `limit` in the manifest at line 21, column 2; did you mean `limits`?"),
            (
                "[limits]",
                "[rights]\n[limits]",
                "unknown key `rights` in the manifest at line 21, column 2; known here: bundle, scheduling, schedules, capabilities, entitlements, limits",
            ),
            (
                "directories =",
                "usb = []\ndirectories =",
                "unknown key `usb` in [capabilities] at line 12, column 1; known here: directories, http, config, secrets",
            ),
            (
                "access = \"read\"",
                "acess = \"read\"",
                "unknown key `acess` in an entry of `directories` in [capabilities] at line 12, column 36; did you mean `access`?",
            ),
            ("[bundle]", "[scheduling]", "the manifest at line 7, column 2 is not TOML: duplicate key"),
            ("[bundle]", "[bundle", "the manifest at line 2, column 8 is not TOML: unclosed table, expected `]`"),
            // The bundle.
            (
                "id = \"com.example.gallery\"\n",
                "",
                "[bundle] at line 2, column 1 lacks `id`; add a line such as `id = \"com.example.gallery\"`",
            ),
            (
                "id = \"com.example.gallery\"",
                "id = 7",
                "`id` in [bundle] at line 3, column 6 must be text in quotes, and is a number",
            ),
            (
                "id = \"com.example.gallery\"",
                "id = \"gallery\"",
                "`id` in [bundle] at line 3, column 6 is no bundle id: `gallery` is not a reverse-DNS name of at least two parts, such as com.example.gallery",
            ),
            (
                "version = \"1.0.0\"\n",
                "",
                "[bundle] at line 2, column 1 lacks `version`; add a line such as `version = \"1.0.0\"`",
            ),
            ("\"1.0.0\"", "\"1.0\"", "`version` in [bundle] at line 4, column 11 must look like 1.0.0, and is `1.0`"),
            (
                "\"1.0.0\"",
                "\"v1.0.0\"",
                "`version` in [bundle] at line 4, column 11 must look like 1.0.0, and is `v1.0.0`",
            ),
            (
                "\"1.0.0\"",
                "\"1.00.0\"",
                "`version` in [bundle] at line 4, column 11 must look like 1.0.0, and is `1.00.0`",
            ),
            (
                "\"1.0.0\"",
                "\"1.0.0-\"",
                "`version` in [bundle] at line 4, column 11 must look like 1.0.0, and is `1.0.0-`",
            ),
            ("\"1.0.0\"", "1.0", "`version` in [bundle] at line 4, column 11 must be text in quotes, and is a number"),
            (
                "component = \"gallery.wasm\"\n",
                "",
                "[bundle] at line 2, column 1 lacks `component`; add a line such as `component = \"gallery.wasm\"`",
            ),
            (
                "\"gallery.wasm\"",
                "\"../gallery.wasm\"",
                "`component` in [bundle] at line 5, column 13 must be the path of a file inside the bundle folder, and is `../gallery.wasm`",
            ),
            (
                "\"gallery.wasm\"",
                "\"/gallery.wasm\"",
                "`component` in [bundle] at line 5, column 13 must be the path of a file inside the bundle folder, and is `/gallery.wasm`",
            ),
            (
                "\"gallery.wasm\"",
                "\"\"",
                "`component` in [bundle] at line 5, column 13 must be the path of a file inside the bundle folder, and is ``",
            ),
            (
                "\"gallery.wasm\"",
                "\".\"",
                "`component` in [bundle] at line 5, column 13 must be the path of a file inside the bundle folder, and is `.`",
            ),
            // Scheduling.
            (
                "\"fetch\", ",
                "\"fetsh\", ",
                "an entry of `background-modes` in [scheduling] at line 8, column 21 is unknown: `fetsh`; did you mean `fetch`?",
            ),
            (
                "\"fetch\", ",
                "\"audio\", ",
                "an entry of `background-modes` in [scheduling] at line 8, column 21 is unknown: `audio`; known here: fetch, processing",
            ),
            (
                "\"fetch\", ",
                "\"processing\", ",
                "an entry of `background-modes` in [scheduling] at line 8, column 35 repeats `processing`",
            ),
            (
                "[\"fetch\", \"processing\"]",
                "\"fetch\"",
                "`background-modes` in [scheduling] at line 8, column 20 must be a list in brackets, and is text",
            ),
            (
                "[\"com.example.gallery.image-count\", \"com.example.gallery.export.*\"]",
                "[]",
                "`permitted-identifiers` in [scheduling] at line 9, column 25 is empty: name every handler of the component",
            ),
            (
                "com.example.gallery.image-count",
                "com.example.galleryx.count",
                "an entry of `permitted-identifiers` in [scheduling] at line 9, column 26 must be `com.example.gallery` or begin with `com.example.gallery.`, and is `com.example.galleryx.count`",
            ),
            (
                "com.example.gallery.image-count",
                "com.example.gallery.export.*",
                "an entry of `permitted-identifiers` in [scheduling] at line 9, column 58 repeats `com.example.gallery.export.*`",
            ),
            (
                "com.example.gallery.export.*",
                "com.example.gallery.ex*",
                "an entry of `permitted-identifiers` in [scheduling] at line 9, column 61 is no identifier: `com.example.gallery.ex*` may contain only ASCII letters, digits, hyphens, underscores and dots",
            ),
            (
                "\"com.example.gallery.export.*\"",
                "true",
                "an entry of `permitted-identifiers` in [scheduling] at line 9, column 61 must be text in quotes, and is true or false",
            ),
            // Capabilities and limits.
            (
                "{ name = \"gallery\", access = \"read\" }",
                "\"gallery\"",
                "an entry of `directories` in [capabilities] at line 12, column 16 must be a table, and is text",
            ),
            (
                "name = \"gallery\", ",
                "",
                "an entry of `directories` in [capabilities] at line 12, column 16 lacks `name`; add a line such as `name = \"gallery\"`",
            ),
            (
                ", access = \"read\"",
                "",
                "an entry of `directories` in [capabilities] at line 12, column 16 lacks `access`; add a line such as `access = \"read\"`",
            ),
            (
                "\"read\"",
                "\"reed\"",
                "`access` in an entry of `directories` in [capabilities] at line 12, column 45 is unknown: `reed`; did you mean `read`?",
            ),
            (
                "\"gallery\", access",
                "\"Gällery\", access",
                "`name` in an entry of `directories` in [capabilities] at line 12, column 25 may hold only lower-case letters, digits and hyphens, and is `Gällery`",
            ),
            (
                "\"gallery\", access",
                "\"data\", access",
                "`name` in an entry of `directories` in [capabilities] at line 12, column 25 must not be `data`: every guest has a /data of its own",
            ),
            (
                "\"album-2\"",
                "\"gallery\"",
                "`name` in an entry of `directories` in [capabilities] at line 12, column 64 repeats `gallery`",
            ),
            (
                "[\"https://photos.example.com\"]",
                "[\"https://photos.example.com\", \"https://Photos.example.com:443\"]",
                "an entry of `http` in [capabilities] at line 13, column 39 repeats `https://photos.example.com`",
            ),
            (
                "https://photos.example.com",
                "photos.example.com",
                "an entry of `http` in [capabilities] at line 13, column 9 is wrong: `photos.example.com` is no origin: \
                 it must begin with http:// or https://, as in https://photos.example.com",
            ),
            (
                "\"upload-token\"",
                "\"album-title\"",
                "an entry of `secrets` in [capabilities] at line 15, column 12 repeats `album-title`",
            ),
            (
                "\"album-title\"",
                "\"\"",
                "an entry of `config` in [capabilities] at line 14, column 11 may hold only lower-case letters, digits and hyphens, and is ``",
            ),
            (
                "health-research =",
                "heath-research =",
                "unknown key `heath-research` in [entitlements] at line 19, column 1; did you mean `health-research`?",
            ),
            (
                "continued-processing-gpu = true",
                "continued-processing-gpu = \"yes\"",
                "`continued-processing-gpu` in [entitlements] at line 18, column 28 must be true or false, and is text",
            ),
            (
                "\"Heart-2026\"",
                "true",
                "`health-research` in [entitlements] at line 19, column 19 must be text in quotes, and is true or false",
            ),
            (
                "\"Heart-2026\"",
                "\"Heart 2026\"",
                "`health-research` in [entitlements] at line 19, column 19 must be at most 64 letters, digits and hyphens, and is `Heart 2026`",
            ),
            (
                "\"Heart-2026\"",
                "\"\"",
                "`health-research` in [entitlements] at line 19, column 19 must be at most 64 letters, digits and hyphens, and is ``",
            ),
            (
                "\"Heart-2026\"",
                "\"gallery\"",
                "`health-research` in [entitlements] at line 19, column 19 repeats `gallery`",
            ),
            (
                "\"64 MiB\"",
                "\"0\"",
                "`memory` in [limits] at line 22, column 10 must be a size such as \"64 MiB\", and is `0`",
            ),
            (
                "\"64 MiB\"",
                "\"-1\"",
                "`memory` in [limits] at line 22, column 10 must be a size such as \"64 MiB\", and is `-1`",
            ),
            (
                "\"64 MiB\"",
                "\"much\"",
                "`memory` in [limits] at line 22, column 10 must be a size such as \"64 MiB\", and is `much`",
            ),
            ("\"64 MiB\"", "64", "`memory` in [limits] at line 22, column 10 must be text in quotes, and is a number"),
        ];
        for (from, to, message) in cases {
            assert!(WHOLE.contains(from), "{from}");
            let error = Manifest::parse(&WHOLE.replacen(from, to, 1)).expect_err(message);
            assert_eq!(error.to_string(), message);
        }
    }

    #[test]
    fn a_missing_section_and_a_long_manifest_are_named() {
        let cases = [
            (String::new(), "section [bundle] is missing; add it, with id, version and component"),
            (
                WHOLE[..WHOLE.find("[scheduling]").unwrap()].to_owned(),
                "section [scheduling] is missing; add it, with permitted-identifiers",
            ),
            ("bundle = 1".to_owned(), "[bundle] at line 1, column 10 must be a table, and is a number"),
            ("#".repeat(MANIFEST_LIMIT + 1), "the manifest is 65537 bytes long; it may have 65536"),
        ];
        for (text, message) in cases {
            assert_eq!(Manifest::parse(&text).unwrap_err().to_string(), message);
        }
    }
}
