//! Which of the grants given to `serve` go to which bundle: each goes to whoever asks for it.

use std::path::{self, PathBuf};

use anyhow::Context as _;

use super::parts;
use crate::bundle::{Ask, GrantOffer};

/// What the operator allows that is refused otherwise.
#[derive(Debug, Clone, Copy, Default)]
pub struct Allowed {
    pub downgrade: bool,
    pub other_signer: bool,
}

/// A bundle to install and the grants that are its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub source: PathBuf,
    pub grants: Vec<GrantOffer>,
    /// Whether it may take a newer version's place.
    pub allow_downgrade: bool,
    pub allow_other_signer: bool,
}

/// What a bundle asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asks {
    pub(super) bundle: String,
    pub(super) asks: Vec<Ask>,
}

/// Reads the bundles and deals out the grants, before anything is opened or changed.
/// Errors: a bundle that cannot be read, one named twice, a grant nobody asks for, one given twice.
pub fn plan(bundles: &[PathBuf], grants: &[GrantOffer], allowed: Allowed) -> anyhow::Result<Vec<Plan>> {
    let Allowed { downgrade: allow_downgrade, other_signer: allow_other_signer } = allowed;
    let read = |source: &PathBuf| {
        let source = path::absolute(source).with_context(|| format!("bundle {}", source.display()))?;
        let asks = parts::asks(&source)?;
        Ok((source, asks))
    };
    let (sources, asks): (Vec<_>, Vec<_>) =
        bundles.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?.into_iter().unzip();
    let dealt = deal(&asks, grants)?;
    let plan = |(source, grants)| Plan { source, grants, allow_downgrade, allow_other_signer };
    Ok(sources.into_iter().zip(dealt).map(plan).collect())
}

/// The grants of each bundle, in the bundles' order.
fn deal(bundles: &[Asks], grants: &[GrantOffer]) -> anyhow::Result<Vec<Vec<GrantOffer>>> {
    for (i, asks) in bundles.iter().enumerate() {
        if bundles[..i].iter().any(|earlier| earlier.bundle == asks.bundle) {
            anyhow::bail!("the bundle {} is given twice: leave one out", asks.bundle);
        }
    }
    for (i, grant) in grants.iter().enumerate() {
        let name = grant.name();
        let same = |earlier: &GrantOffer| earlier.name() == name && earlier.noun() == grant.noun();
        if grants[..i].iter().any(same) {
            anyhow::bail!("`{name}` is granted twice: leave one out");
        }
        if !bundles.iter().any(|asks| asks.asks.iter().any(|ask| grant.answers(ask))) {
            anyhow::bail!("no bundle given here asks for {} named `{name}`: {}", grant.noun(), asked(bundles, grant));
        }
    }
    let own = |asks: &Asks| {
        let answers = |grant: &&GrantOffer| asks.asks.iter().any(|ask| grant.answers(ask));
        grants.iter().filter(answers).cloned().collect()
    };
    Ok(bundles.iter().map(own).collect())
}

fn asked(bundles: &[Asks], grant: &GrantOffer) -> String {
    if bundles.is_empty() {
        return "name the bundle to install with it".to_owned();
    }
    let one = |asks: &Asks| {
        let names: Vec<_> = asks.asks.iter().filter(|ask| grant.is_of_its_sort(ask)).map(|ask| ask.name()).collect();
        match names.as_slice() {
            [] => format!("{} asks for none", asks.bundle),
            names => format!("{} asks for {}", asks.bundle, names.join(", ")),
        }
    };
    bundles.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bundle::{Access, DirectoryAsk};

    fn asks(bundle: &str, directories: &[&str]) -> Asks {
        let ask = |name: &&str| Ask::Directory(DirectoryAsk { name: (*name).to_owned(), access: Access::Read });
        Asks { bundle: bundle.to_owned(), asks: directories.iter().map(ask).collect() }
    }

    fn grant(name: &str) -> GrantOffer {
        GrantOffer::Directory { name: name.to_owned(), path: PathBuf::from(format!("/folders/{name}")) }
    }

    #[test]
    fn each_grant_goes_to_every_bundle_that_asks_for_its_name() {
        let bundles = [
            asks("com.example.a", &["gallery", "album"]),
            asks("com.example.b", &["gallery"]),
            asks("com.example.c", &[]),
        ];
        let dealt = deal(&bundles, &[grant("gallery"), grant("album")]).unwrap();
        assert_eq!(dealt, [vec![grant("gallery"), grant("album")], vec![grant("gallery")], vec![]]);
    }

    #[test]
    fn what_cannot_be_dealt_is_named_with_what_is_asked_for() {
        let bundles = [asks("com.example.a", &["gallery", "album"]), asks("com.example.b", &[])];
        let origin = GrantOffer::parse_http("https://a.example", false).unwrap();
        let cases = [
            (
                &bundles[..],
                vec![grant("galery")],
                "no bundle given here asks for a folder named `galery`: com.example.a asks for gallery, album; \
                 com.example.b asks for none",
            ),
            (
                &[],
                vec![grant("album")],
                "no bundle given here asks for a folder named `album`: name the bundle to install with it",
            ),
            (
                &bundles[1..],
                vec![origin],
                "no bundle given here asks for an origin named `https://a.example`: com.example.b asks for none",
            ),
            (&bundles, vec![grant("album"), grant("album")], "`album` is granted twice: leave one out"),
            (
                &[bundles[0].clone(), bundles[0].clone()],
                vec![],
                "the bundle com.example.a is given twice: leave one out",
            ),
        ];
        for (bundles, grants, message) in cases {
            assert_eq!(deal(bundles, &grants).unwrap_err().to_string(), message);
        }
    }
}
