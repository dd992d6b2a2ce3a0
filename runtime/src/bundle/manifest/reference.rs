//! What a manifest may say, as one table: the reader knows the keys from it, and so do the documents.

use super::{MANIFEST_LIMIT, MANIFEST_NAME};

/// A table of a manifest.
#[derive(Debug)]
pub(super) struct SectionReference {
    /// Its name in brackets, or what its entries are called.
    pub(super) name: &'static str,
    /// Whether a manifest must have it.
    pub(super) required: bool,
    /// What it is for.
    pub(super) meaning: &'static str,
    pub(super) keys: &'static [KeyReference],
}

/// A key of a table.
#[derive(Debug)]
pub(super) struct KeyReference {
    pub(super) name: &'static str,
    /// What its value looks like.
    pub(super) form: &'static str,
    /// What it means to leave it out; none when it must be there.
    pub(super) default: Option<&'static str>,
    pub(super) meaning: &'static str,
    pub(super) example: &'static str,
}

pub(super) const ID: KeyReference = KeyReference {
    name: "id",
    form: "a reverse-DNS name of at least two parts",
    default: None,
    meaning: "what the bundle is known by; all its identifiers are at or below it",
    example: "\"com.example.gallery\"",
};

pub(super) const VERSION: KeyReference = KeyReference {
    name: "version",
    form: "three numbers, and what semantic versioning allows behind them",
    default: None,
    meaning: "tells versions of the bundle apart",
    example: "\"1.0.0\"",
};

pub(super) const COMPONENT: KeyReference = KeyReference {
    name: "component",
    form: "a path inside the bundle folder",
    default: None,
    meaning: "the component's file; a packed file holds its own component, and says here what it was called",
    example: "\"gallery.wasm\"",
};

pub(super) const BACKGROUND_MODES: KeyReference = KeyReference {
    name: "background-modes",
    form: "a list of `fetch` and `processing`",
    default: Some("both"),
    meaning: "the kinds of work it may ask for: `fetch` for app-refresh, `processing` for processing",
    example: "[\"fetch\"]",
};

pub(super) const PERMITTED_IDENTIFIERS: KeyReference = KeyReference {
    name: "permitted-identifiers",
    form: "a list of identifiers, of which each may end in `.*`",
    default: None,
    meaning: "every handler the component registers, and nothing else",
    example: "[\"com.example.gallery.refresh\"]",
};

pub(super) const DIRECTORIES: KeyReference = KeyReference {
    name: "directories",
    form: "a list of tables, see below",
    default: Some("none"),
    meaning: "folders the guest sees at its root under these names; given with `--grant NAME=PATH`",
    example: "[{ name = \"gallery\", access = \"read\" }]",
};

pub(super) const HTTP: KeyReference = KeyReference {
    name: "http",
    form: "a list of origins: scheme, host and, where it is not the scheme's own, port",
    default: Some("none"),
    meaning: "where on the web the guest may speak; allowed with `--allow ORIGIN`",
    example: "[\"https://photos.example.com\"]",
};

pub(super) const CONFIG: KeyReference = KeyReference {
    name: "config",
    form: "a list of names",
    default: Some("none"),
    meaning: "values the guest finds in its environment; given with `--set NAME=VALUE`",
    example: "[\"album-title\"]",
};

pub(super) const SECRETS: KeyReference = KeyReference {
    name: "secrets",
    form: "a list of names",
    default: Some("none"),
    meaning: "values that are kept from logs and answers; given with `--secret NAME=FILE`",
    example: "[\"upload-token\"]",
};

pub(super) const DIRECTORY_NAME: KeyReference = KeyReference {
    name: "name",
    form: "lower-case letters, digits and hyphens; neither `data` nor `tmp`",
    default: None,
    meaning: "the name it is granted by, and the guest sees it under",
    example: "\"gallery\"",
};

pub(super) const DIRECTORY_ACCESS: KeyReference = KeyReference {
    name: "access",
    form: "`read` or `write`",
    default: None,
    meaning: "what the guest may do there; who may write may read",
    example: "\"read\"",
};

pub(super) const CONTINUED_PROCESSING_GPU: KeyReference = KeyReference {
    name: "continued-processing-gpu",
    form: "`true` or `false`",
    default: Some("`false`"),
    meaning: "whether its continued work may ask for the graphics processor; no host of this version has one for guests",
    example: "true",
};

pub(super) const HEALTH_RESEARCH: KeyReference = KeyReference {
    name: "health-research",
    form: "the name of a study: at most 64 letters, digits and hyphens",
    default: Some("it has no health-research"),
    meaning: "the study that its health-research is for; the operator enrols the machine with `--enrol STUDY`, and until then such \
              requests are refused",
    example: "\"heart-2026\"",
};

pub(super) const MEMORY: KeyReference = KeyReference {
    name: "memory",
    form: "a size in quotes",
    default: Some("the host's limit"),
    meaning: "what a task may hold at most; it may only lower the host's limit",
    example: "\"64 MiB\"",
};

pub(super) const DATA: KeyReference = KeyReference {
    name: "data",
    form: "a size in quotes",
    default: Some("the host's limit"),
    meaning: "what it may keep in its `/data` at most; it may only lower the host's limit",
    example: "\"64 MiB\"",
};

pub(super) const TMP: KeyReference = KeyReference {
    name: "tmp",
    form: "a size in quotes",
    default: Some("the host's limit"),
    meaning: "what a task may keep in its `/tmp` at most; it may only lower the host's limit",
    example: "\"64 MiB\"",
};

pub(super) const BUNDLE: SectionReference =
    SectionReference { name: "bundle", required: true, meaning: "What it is.", keys: &[ID, VERSION, COMPONENT] };

pub(super) const SCHEDULING: SectionReference = SectionReference {
    name: "scheduling",
    required: true,
    meaning: "What it may ask the host to run.",
    keys: &[BACKGROUND_MODES, PERMITTED_IDENTIFIERS],
};

pub(super) const CAPABILITIES: SectionReference = SectionReference {
    name: "capabilities",
    required: false,
    meaning: "What it asks its operator for, by name. One name stands for one thing in all of these lists, and a study has none of them.",
    keys: &[DIRECTORIES, HTTP, CONFIG, SECRETS],
};

pub(super) const DIRECTORY: SectionReference = SectionReference {
    name: "an entry of `directories`",
    required: false,
    meaning: "A folder it asks for.",
    keys: &[DIRECTORY_NAME, DIRECTORY_ACCESS],
};

pub(super) const ENTITLEMENTS: SectionReference = SectionReference {
    name: "entitlements",
    required: false,
    meaning: "What it claims beyond its background modes. Without it everything else of the bundle runs all the same.",
    keys: &[CONTINUED_PROCESSING_GPU, HEALTH_RESEARCH],
};

pub(super) const LIMITS: SectionReference = SectionReference {
    name: "limits",
    required: false,
    meaning: "What it promises to stay below.",
    keys: &[MEMORY, DATA, TMP],
};

pub(super) const SCHEDULE_NAME: KeyReference = KeyReference {
    name: "name",
    form: "lower-case letters, digits and hyphens",
    default: None,
    meaning: "what it is known by, alone in its bundle",
    example: "\"nightly\"",
};

pub(super) const SCHEDULE_IDENTIFIER: KeyReference = KeyReference {
    name: "identifier",
    form: "one of its permitted identifiers",
    default: None,
    meaning: "the handler that runs",
    example: "\"com.example.gallery.refresh\"",
};

pub(super) const SCHEDULE_CALENDAR: KeyReference = KeyReference {
    name: "calendar",
    form: "minutes, hours, days of the month, months, days of the week",
    default: None,
    meaning: "when it runs, see [schedules](schedules.md)",
    example: "\"30 2 * * *\"",
};

pub(super) const SCHEDULE_ZONE: KeyReference = KeyReference {
    name: "time-zone",
    form: "the name of a time zone, or `local` for the machine's own",
    default: Some("UTC"),
    meaning: "whose clock that is",
    example: "\"Europe/Berlin\"",
};

pub(super) const SCHEDULE_KIND: KeyReference = KeyReference {
    name: "kind",
    form: "`app-refresh` or `processing`",
    default: Some("`processing` where it requires something, else `app-refresh`"),
    meaning: "what sort of work it is",
    example: "\"processing\"",
};

pub(super) const SCHEDULE_NETWORK: KeyReference = KeyReference {
    name: "requires-network",
    form: "true or false",
    default: Some("false"),
    meaning: "whether it waits for the network; processing only",
    example: "true",
};

pub(super) const SCHEDULE_POWER: KeyReference = KeyReference {
    name: "requires-external-power",
    form: "true or false",
    default: Some("false"),
    meaning: "whether it waits for external power; processing only",
    example: "true",
};

pub(super) const SCHEDULE_JITTER: KeyReference = KeyReference {
    name: "jitter",
    form: "a length of time in quotes, shorter than the time between two runs",
    default: Some("none"),
    meaning: "how much later than the calendar says a run may begin; each occurrence has a moment of its own, and keeps it",
    example: "\"10m\"",
};

pub(super) const SCHEDULE_MISSED: KeyReference = KeyReference {
    name: "missed",
    form: "`skip`, `once` or `all`",
    default: Some("`skip`"),
    meaning: "what becomes of runs that nobody was there for",
    example: "\"once\"",
};

pub(super) const SCHEDULE_INPUT: KeyReference = KeyReference {
    name: "input",
    form: "text in quotes",
    default: Some("empty"),
    meaning: "what the handler is given",
    example: "\"{}\"",
};

pub(super) const SCHEDULE_ENABLED: KeyReference = KeyReference {
    name: "enabled",
    form: "true or false",
    default: Some("true"),
    meaning: "whether it runs before an operator says otherwise",
    example: "false",
};

pub(super) const SCHEDULES: SectionReference = SectionReference {
    name: "schedules",
    required: false,
    meaning: "Work by the calendar. The section may stand there several times, once for each schedule.",
    keys: &[
        SCHEDULE_NAME,
        SCHEDULE_IDENTIFIER,
        SCHEDULE_CALENDAR,
        SCHEDULE_ZONE,
        SCHEDULE_KIND,
        SCHEDULE_NETWORK,
        SCHEDULE_POWER,
        SCHEDULE_JITTER,
        SCHEDULE_MISSED,
        SCHEDULE_INPUT,
        SCHEDULE_ENABLED,
    ],
};

/// The sections of a manifest, in the order in which they are documented.
pub(super) const SECTIONS: &[SectionReference] = &[BUNDLE, SCHEDULING, SCHEDULES, CAPABILITIES, ENTITLEMENTS, LIMITS];

/// The reference as the documents have it, in Markdown.
pub fn manifest_reference() -> String {
    let mut text = format!(
        "`{MANIFEST_NAME}` is TOML of at most {} KiB. A key that is not named here is an error.\n",
        MANIFEST_LIMIT / 1024
    );
    for section in [&BUNDLE, &SCHEDULING, &SCHEDULES, &CAPABILITIES, &DIRECTORY, &ENTITLEMENTS, &LIMITS] {
        let SectionReference { name, required, meaning, keys } = section;
        let title = match SECTIONS.iter().any(|known| known.name == *name) {
            true if *name == SCHEDULES.name => format!("`[[{name}]]`"),
            true => format!("`[{name}]`"),
            false => format!("In {name}"),
        };
        let need = if *required { " It must be there." } else { "" };
        text +=
            &format!("\n### {title}\n\n{meaning}{need}\n\n| key | value | left out | meaning |\n|---|---|---|---|\n");
        for KeyReference { name, form, default, meaning, example } in *keys {
            let default = default.unwrap_or("an error");
            text += &format!("| `{name}` | {form}, as in `{example}` | {default} | {meaning} |\n");
        }
    }
    text
}
