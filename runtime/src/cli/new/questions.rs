//! What a new project must know: from options, else from the person at the terminal, else the usual.

use std::io::{self, IsTerminal as _};

use anyhow::{Context as _, bail};
use dialoguer::{Input, MultiSelect, Select, theme::ColorfulTheme};
use jiff::SignedDuration;

use super::{Work, human};
use crate::rules::BundleId;

/// What the options said.
pub(super) struct Known {
    pub(super) id: Option<BundleId>,
    pub(super) work: Option<Work>,
    pub(super) every: Option<SignedDuration>,
    pub(super) requires_network: bool,
    pub(super) requires_external_power: bool,
}

/// What a project is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answers {
    pub(super) id: BundleId,
    pub(super) work: Work,
    pub(super) every: SignedDuration,
    pub(super) requires_network: bool,
    pub(super) requires_external_power: bool,
}

const QUARTER: SignedDuration = SignedDuration::from_mins(15);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Who says what the work is like has answered; whoever does not is asked, if there is somebody to ask.
pub(super) fn ask(name: &str, known: Known) -> anyhow::Result<Answers> {
    let usual_id = BundleId::parse(&format!("com.example.{name}")).context("the usual bundle id")?;
    match known.work {
        Some(work) => settle(usual_id, work, known),
        None if io::stdin().is_terminal() && io::stderr().is_terminal() => interview(usual_id, known),
        None => bail!(
            "say what the work is like: --work refresh for some thirty seconds, --work long for minutes on an idle machine"
        ),
    }
}

fn settle(usual_id: BundleId, work: Work, known: Known) -> anyhow::Result<Answers> {
    let Known { id, work: _, every, requires_network, requires_external_power } = known;
    if work == Work::Refresh && (requires_network || requires_external_power) {
        bail!("only long work can wait for network or power: add --work long, or leave the requirement out");
    }
    let every = every.unwrap_or(usual_pause(work));
    Ok(Answers { id: id.unwrap_or(usual_id), work, every, requires_network, requires_external_power })
}

fn usual_pause(work: Work) -> SignedDuration {
    match work {
        Work::Refresh => QUARTER,
        Work::Long => DAY,
    }
}

fn interview(usual_id: BundleId, known: Known) -> anyhow::Result<Answers> {
    let theme = ColorfulTheme::default();
    let Known { id, work: _, every, requires_network, requires_external_power } = known;
    let id = match id {
        Some(id) => id,
        None => {
            let check = |text: &String| BundleId::parse(text).map(drop).map_err(|error| error.to_string());
            let question = Input::<String>::with_theme(&theme).with_prompt("The bundle's id, a reverse-DNS name");
            let text = question.default(usual_id.to_string()).validate_with(check).interact_text()?;
            BundleId::parse(&text)?
        }
    };
    let kinds =
        ["short: some thirty seconds, to keep something fresh", "long: some minutes, while the machine is idle"];
    let chosen = Select::with_theme(&theme).with_prompt("What is the work like?").items(kinds).default(0).interact()?;
    let work = if chosen == 0 { Work::Refresh } else { Work::Long };
    let (mut network, mut power) = (requires_network, requires_external_power);
    if work == Work::Long && !network && !power {
        let needs = ["a network", "external power"];
        let prompt = "What must it have while it runs? Space chooses, enter ends";
        let chosen = MultiSelect::with_theme(&theme).with_prompt(prompt).items(needs).interact()?;
        (network, power) = (chosen.contains(&0), chosen.contains(&1));
    }
    let every = match every {
        Some(every) => every,
        None => {
            let check = |text: &String| human::parse_length(text).map(drop);
            let usual = if work == Work::Refresh { "15m" } else { "24h" };
            let question = Input::<String>::with_theme(&theme).with_prompt("How long to pause between two runs?");
            let text = question.default(usual.to_owned()).validate_with(check).interact_text()?;
            human::parse_length(&text).map_err(anyhow::Error::msg)?
        }
    };
    settle(
        usual_id,
        work,
        Known {
            id: Some(id),
            work: None,
            every: Some(every),
            requires_network: network,
            requires_external_power: power,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known() -> Known {
        Known { id: None, work: None, every: None, requires_network: false, requires_external_power: false }
    }

    #[test]
    fn what_no_option_says_is_the_usual() {
        let answers = ask("hello", Known { work: Some(Work::Refresh), ..known() }).unwrap();
        assert_eq!((answers.id.as_str(), answers.every), ("com.example.hello", QUARTER));
        let answers = ask("hello", Known { work: Some(Work::Long), requires_network: true, ..known() }).unwrap();
        assert_eq!((answers.requires_network, answers.every), (true, DAY));
    }

    #[test]
    fn short_work_waits_for_nothing() {
        let error = ask("hello", Known { work: Some(Work::Refresh), requires_network: true, ..known() }).unwrap_err();
        assert!(error.to_string().contains("--work long"), "{error}");
    }
}
