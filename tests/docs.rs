//! The documents hold what they say: links and paths lead somewhere, reasons and settings are explained as the code has them,
//! and commands are commands.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use idlewild::{
    config::{Setting, Settings},
    rules::{Condition, Missing, Reason, RequestId, Timestamp},
};
use idlewild_tests::{bundle_id, id};

/// One document: where it is, its text without what is fenced, and what is fenced.
struct Document {
    path: PathBuf,
    prose: String,
    fenced: String,
}

impl Document {
    fn read(path: PathBuf) -> Document {
        let text = fs::read_to_string(&path).unwrap();
        let (mut prose, mut fenced, mut inside) = (String::new(), String::new(), false);
        for line in text.lines() {
            if line.trim_start().starts_with("```") {
                inside = !inside;
                continue;
            }
            let part = if inside { &mut fenced } else { &mut prose };
            part.push_str(line);
            part.push('\n');
        }
        Document { path, prose, fenced }
    }

    fn name(&self) -> String {
        self.path.strip_prefix(root()).unwrap().display().to_string()
    }

    /// What stands between backticks.
    fn code(&self) -> impl Iterator<Item = &str> {
        self.prose.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
    }

    /// The targets of links to files.
    fn links(&self) -> impl Iterator<Item = &str> {
        let targets = self.prose.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0));
        targets.filter(|target| !target.contains("://") && !target.starts_with('#'))
    }

    /// The lines a shell would be given.
    fn commands(&self) -> impl Iterator<Item = &str> {
        self.fenced.lines().map(|line| line.trim_start_matches("$ ").trim()).chain(self.code())
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Every document of the repository.
fn documents() -> Vec<Document> {
    let mut documents = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            if entry.file_type().unwrap().is_dir() {
                if !name.starts_with('.') && name != "target" {
                    folders.push(path);
                }
            } else if name.ends_with(".md") {
                documents.push(Document::read(path));
            }
        }
    }
    assert!(documents.len() > 5, "the documents are found");
    documents
}

fn concepts() -> String {
    fs::read_to_string(root().join("docs/concepts.md")).unwrap()
}

#[test]
fn the_readme_is_read_in_a_few_minutes() {
    let lines = fs::read_to_string(root().join("README.md")).unwrap().lines().count();
    assert!(lines <= 120, "README.md has {lines} lines, and 120 are enough");
}

#[test]
fn every_link_leads_to_a_file() {
    for document in documents() {
        for link in document.links() {
            let file = link.split('#').next().unwrap();
            assert!(document.path.parent().unwrap().join(file).exists(), "{}: {link}", document.name());
        }
    }
}

#[test]
fn every_path_named_in_backticks_exists() {
    let top = |code: &&str| {
        let first = code.split('/').next().unwrap();
        first != "target" && code.contains('/') && !code.contains(char::is_whitespace) && root().join(first).exists()
    };
    let mut checked = 0;
    for document in documents() {
        for path in document.code().filter(|code| !code.starts_with('/')).filter(top) {
            assert!(root().join(path).exists(), "{}: `{path}`", document.name());
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked} paths");
}

/// One of each reason, with the values that the table shows.
fn reasons() -> Vec<Reason> {
    let at: Timestamp = "2026-07-28T09:00:00Z".parse().unwrap();
    let lacks = |condition: &Condition| Reason::Lacks { condition: *condition, source: "from where".to_owned() };
    let mut reasons = vec![
        Reason::EarliestBegin { at },
        Reason::RunAfter {
            identifier: id("com.example.gallery.image-count"),
            stands: idlewild::rules::Awaited::Pending,
        },
        Reason::Resting { at, failures: 1 },
        Reason::Spaced { at },
        Reason::BudgetSpent { allowed: std::time::Duration::from_secs(7_200), at },
        Reason::NoSlotOfKind { kind: idlewild::rules::KindName::Processing, slots: 1 },
        Reason::Behind { request: RequestId(5) },
        Reason::NoSlot { slots: Settings::new(idlewild::rules::Profile::Server).slots },
        Reason::NotLaunching,
        Reason::BundleDisabled { bundle: bundle_id("com.example.gallery") },
        Reason::NotGranted {
            bundle: bundle_id("com.example.gallery"),
            missing: Missing { ask: "to read the folder `gallery`".to_owned(), option: String::new() },
        },
        Reason::BundleChanging { bundle: bundle_id("com.example.gallery") },
    ];
    reasons.extend(Condition::ALL.iter().map(lacks));
    // A reason that is new belongs into the list above.
    for reason in &reasons {
        match reason {
            Reason::EarliestBegin { .. } | Reason::RunAfter { .. } | Reason::Behind { .. } => {}
            Reason::BundleDisabled { .. } | Reason::NotGranted { .. } | Reason::BundleChanging { .. } => {}
            Reason::Lacks { .. } | Reason::NoSlot { .. } | Reason::NoSlotOfKind { .. } | Reason::NotLaunching => {}
            Reason::Resting { .. } | Reason::Spaced { .. } | Reason::BudgetSpent { .. } => {}
        }
    }
    reasons
}

#[test]
fn every_reason_stands_in_the_concepts_word_for_word() {
    let concepts = concepts();
    for reason in reasons() {
        let sentence = reason.to_string();
        let row = format!("| `{}` | {sentence}", reason.code());
        assert!(concepts.contains(&row), "docs/concepts.md lacks the row: {row}");
    }
}

/// The part of a document that is the code's own. `IDLEWILD_REWRITE_DOCS=1` writes it instead.
fn hold_to_the_code(document: &str, part: &str, written_by_code: &str) {
    let path = root().join(document);
    let text = fs::read_to_string(&path).unwrap();
    let (begins, ends) = (format!("<!-- {part} begins -->\n"), format!("<!-- {part} ends -->\n"));
    let (before, rest) = text.split_once(&begins).unwrap();
    let (written, after) = rest.split_once(&ends).unwrap();
    #[expect(clippy::disallowed_methods, reason = "a person asks for the document to be written")]
    if env::var_os("IDLEWILD_REWRITE_DOCS").is_some() {
        fs::write(&path, format!("{before}{begins}{written_by_code}{ends}{after}")).unwrap();
        return;
    }
    assert!(
        written == written_by_code,
        "{document} is behind the code: IDLEWILD_REWRITE_DOCS=1 cargo test --workspace --test docs"
    );
}

#[test]
fn every_setting_stands_in_the_concepts_with_its_default() {
    let row = |setting: &Setting| {
        let unit = if setting.default == "1" { setting.unit.trim_end_matches('s') } else { setting.unit };
        let (first, rest) = setting.meaning.trim_end_matches('.').split_at(1);
        let default = setting.default.replace('_', " ");
        format!("| `{}` | {default} {unit} | {}{rest} |\n", setting.name, first.to_lowercase())
    };
    let table: String = Settings::TABLE.iter().map(row).collect();
    hold_to_the_code(
        "docs/concepts.md",
        "settings",
        &format!("| setting | default | meaning |\n|---|---|---|\n{table}"),
    );
}

#[test]
fn the_reference_of_the_manifest_is_the_codes_own() {
    hold_to_the_code("docs/bundles.md", "reference", &idlewild::bundle::manifest_reference());
}

#[test]
fn manifests_shown_whole_are_manifests() {
    let text = fs::read_to_string(root().join("docs/bundles.md")).unwrap();
    let shown = text.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    idlewild::bundle::Manifest::parse(shown).unwrap();
}

/// Whether a test of that name stands in the file that `named` says, such as `contract/policy::name`.
fn is_a_test(named: &str) -> bool {
    let Some((file, name)) = named.split_once("::") else { return false };
    let places = ["tests", "runtime/src"].map(|folder| root().join(folder).join(file).with_extension("rs"));
    let source = places.iter().find_map(|place| fs::read_to_string(place).ok()).unwrap_or_default();
    source.split("#[test]\n").skip(1).any(|rest| {
        let function = rest.lines().map(str::trim).find(|line| !line.starts_with("#["));
        function.is_some_and(|line| line.starts_with(&format!("fn {name}(")))
    })
}

#[test]
fn every_rule_of_the_contract_is_held_by_a_test() {
    let contract = fs::read_to_string(root().join("docs/contract.md")).unwrap();
    let rows = contract.lines().filter(|line| line.starts_with("| ") && !line.ends_with("| held by |"));
    let mut labels = BTreeSet::new();
    let mut rules = 0;
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split(" | ").map(str::trim).collect();
        let [label, theirs, ours, differs, held_by] = cells[..] else { panic!("not of five cells: {row}") };
        assert!([label, theirs, ours, differs].iter().all(|cell| !cell.is_empty()), "says too little: {row}");
        let tests: Vec<&str> = held_by.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "names no test: {row}");
        for test in tests {
            assert!(is_a_test(test), "there is no test {test}, which is to hold: {row}");
        }
        assert!(label == "–" || labels.insert(label), "{label} stands there twice");
        rules += 1;
    }
    let checklist = [("R", 4), ("S", 10), ("E", 5), ("T", 9), ("C", 8), ("P", 4)];
    let checklist = checklist.iter().flat_map(|(part, last)| (1..=*last).map(move |number| format!("{part}{number}")));
    let missing: Vec<String> = checklist.filter(|label| !labels.contains(label.as_str())).collect();
    assert!(missing.is_empty(), "docs/contract.md lacks {missing:?}");
    assert!(rules > 80, "{rules} rules");
}

/// The commands that the binary's help lists.
fn known_commands() -> BTreeSet<String> {
    // A test lies in `deps`, beside which lies the binary, whatever the target folder and profile.
    let binary = env::current_exe().unwrap().parent().and_then(Path::parent).unwrap().join("idlewild");
    assert!(binary.exists(), "{} is not built: cargo build --package idlewild", binary.display());
    let help = Command::new(binary).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let listed = help.split("Commands:\n").nth(1).unwrap().lines().take_while(|line| line.starts_with("  "));
    listed.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
}

#[test]
fn every_command_named_is_a_command() {
    let known = known_commands();
    let mut checked = 0;
    for document in documents() {
        for line in document.commands() {
            let mut words = line.split_whitespace();
            let is_ours = words.next().is_some_and(|word| word == "idlewild" || word.ends_with("/idlewild"));
            let Some(command) =
                words.next().filter(|word| is_ours && word.starts_with(|c: char| c.is_ascii_lowercase()))
            else {
                continue;
            };
            assert!(known.contains(command), "{}: idlewild {command}", document.name());
            checked += 1;
        }
    }
    assert!(checked > 10, "{checked} commands");
}
