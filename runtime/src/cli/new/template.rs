//! The files of a new project, filled in.

use std::path::Path;

use anyhow::bail;

use super::{Work, questions::Answers};
use crate::rules::BundleId;

const REFRESH: &str = include_str!("template/refresh.rs");
const PROCESS: &str = include_str!("template/process.rs");
const CARGO: &str = include_str!("template/Cargo.toml.template");
const MANIFEST: &str = include_str!("template/idlewild.toml");
const README: &str = include_str!("template/README.md");

/// A project as it will be written.
pub(super) struct Project {
    pub(super) id: BundleId,
    pub(super) identifier: String,
    values: Vec<(&'static str, String)>,
    handlers: &'static str,
}

impl Project {
    /// Errors: the pause between two runs is none; the kit's path is not UTF-8.
    pub(super) fn new(name: &str, answers: Answers, kit: &Path) -> anyhow::Result<Project> {
        let Answers { id, work, every, requires_network, requires_external_power } = answers;
        let seconds = every.as_secs();
        if seconds < 1 {
            bail!("the pause between two runs is less than a second; say one such as 15m");
        }
        let Some(kit) = kit.to_str() else { bail!("the path of the guest kit {} is not UTF-8", kit.display()) };
        let (verb, mode, handlers) = match work {
            Work::Refresh => ("refresh", "fetch", REFRESH),
            Work::Long => ("process", "processing", PROCESS),
        };
        let identifier = format!("{id}.{verb}");
        let mut requires = String::new();
        if requires_network {
            requires.push_str(".requires_network()");
        }
        if requires_external_power {
            requires.push_str(".requires_external_power()");
        }
        let values = vec![
            ("{{name}}", name.to_owned()),
            ("{{library}}", name.replace('-', "_")),
            ("{{id}}", id.to_string()),
            ("{{identifier}}", identifier.clone()),
            ("{{mode}}", mode.to_owned()),
            ("{{seconds}}", grouped(seconds)),
            ("{{requires}}", requires),
            ("{{kit}}", kit.replace('\\', "\\\\").replace('"', "\\\"")),
        ];
        Ok(Project { id, identifier, values, handlers })
    }

    /// Paths in the project and what stands there.
    pub(super) fn files(&self) -> [(&'static str, String); 5] {
        [
            ("Cargo.toml", self.filled(CARGO)),
            ("idlewild.toml", self.filled(MANIFEST)),
            ("src/lib.rs", self.filled(self.handlers)),
            ("README.md", self.filled(README)),
            (".gitignore", "/target\n/*.wasm\n".to_owned()),
        ]
    }

    fn filled(&self, template: &str) -> String {
        self.values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

/// A number as Rust groups it: `86_400`.
fn grouped(number: i64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 && digits.len() > 4 {
            text.push('_');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn nothing_is_left_to_fill_in() {
        for work in [Work::Refresh, Work::Long] {
            let answers = Answers {
                id: BundleId::parse("org.example.notes").unwrap(),
                work,
                every: SignedDuration::from_hours(24),
                requires_network: true,
                requires_external_power: false,
            };
            let project = Project::new("my-notes", answers, Path::new("kit/guest-sdk/rust")).unwrap();
            for (path, text) in project.files() {
                assert!(!text.contains("{{") && !text.contains("}}"), "{path}: {text}");
            }
            let [cargo, manifest, handlers, ..] = project.files();
            assert!(cargo.1.contains("name = \"my-notes\""));
            assert!(manifest.1.contains("release/my_notes.wasm"));
            assert!(handlers.1.contains("from_secs(86_400)"), "{}", handlers.1);
        }
    }
}
