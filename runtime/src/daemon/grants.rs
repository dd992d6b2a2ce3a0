//! Which of the grants given to `serve` go to which bundle: each goes to whoever asks for its name.

use std::path::{self, PathBuf};

use anyhow::Context as _;

use super::parts;

/// A bundle to install and the grants that are its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub source: PathBuf,
    pub grants: Vec<(String, PathBuf)>,
}

/// What a bundle asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    pub(super) bundle: String,
    pub(super) directories: Vec<String>,
}

/// Reads the bundles and deals out the grants, before anything is opened or changed.
/// Errors: a bundle that cannot be read, one named twice, a grant nobody asks for, one given twice.
pub fn plan(bundles: &[PathBuf], grants: &[(String, PathBuf)]) -> anyhow::Result<Vec<Plan>> {
    let read = |source: &PathBuf| {
        let source = path::absolute(source).with_context(|| format!("bundle {}", source.display()))?;
        let ask = parts::ask(&source)?;
        Ok((source, ask))
    };
    let (sources, asks): (Vec<_>, Vec<_>) =
        bundles.iter().map(read).collect::<anyhow::Result<Vec<_>>>()?.into_iter().unzip();
    let dealt = deal(&asks, grants)?;
    Ok(sources.into_iter().zip(dealt).map(|(source, grants)| Plan { source, grants }).collect())
}

/// The grants of each bundle, in the bundles' order.
fn deal(asks: &[Ask], grants: &[(String, PathBuf)]) -> anyhow::Result<Vec<Vec<(String, PathBuf)>>> {
    for (i, ask) in asks.iter().enumerate() {
        if asks[..i].iter().any(|earlier| earlier.bundle == ask.bundle) {
            anyhow::bail!("the bundle {} is given twice: leave one out", ask.bundle);
        }
    }
    for (i, (name, _)) in grants.iter().enumerate() {
        if grants[..i].iter().any(|(earlier, _)| earlier == name) {
            anyhow::bail!("`{name}` is granted twice: leave one out");
        }
        if !asks.iter().any(|ask| ask.directories.contains(name)) {
            anyhow::bail!("no bundle given here asks for a folder named `{name}`: {}", asked(asks));
        }
    }
    let own = |ask: &Ask| grants.iter().filter(|(name, _)| ask.directories.contains(name)).cloned().collect();
    Ok(asks.iter().map(own).collect())
}

fn asked(asks: &[Ask]) -> String {
    if asks.is_empty() {
        return "name the bundle to install with it".to_owned();
    }
    let one = |ask: &Ask| match ask.directories.as_slice() {
        [] => format!("{} asks for none", ask.bundle),
        names => format!("{} asks for {}", ask.bundle, names.join(", ")),
    };
    asks.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(bundle: &str, directories: &[&str]) -> Ask {
        Ask { bundle: bundle.to_owned(), directories: directories.iter().map(|name| (*name).to_owned()).collect() }
    }

    fn grant(name: &str) -> (String, PathBuf) {
        (name.to_owned(), PathBuf::from(format!("/folders/{name}")))
    }

    #[test]
    fn each_grant_goes_to_every_bundle_that_asks_for_its_name() {
        let asks = [
            ask("com.example.a", &["gallery", "album"]),
            ask("com.example.b", &["gallery"]),
            ask("com.example.c", &[]),
        ];
        let dealt = deal(&asks, &[grant("gallery"), grant("album")]).unwrap();
        assert_eq!(dealt, [vec![grant("gallery"), grant("album")], vec![grant("gallery")], vec![]]);
    }

    #[test]
    fn what_cannot_be_dealt_is_named_with_what_is_asked_for() {
        let asks = [ask("com.example.a", &["gallery", "album"]), ask("com.example.b", &[])];
        let cases = [
            (
                &asks[..],
                vec![grant("galery")],
                "no bundle given here asks for a folder named `galery`: com.example.a asks for gallery, album; \
                 com.example.b asks for none",
            ),
            (
                &[],
                vec![grant("album")],
                "no bundle given here asks for a folder named `album`: name the bundle to install with it",
            ),
            (&asks, vec![grant("album"), grant("album")], "`album` is granted twice: leave one out"),
            (&[asks[0].clone(), asks[0].clone()], vec![], "the bundle com.example.a is given twice: leave one out"),
        ];
        for (asks, grants, message) in cases {
            assert_eq!(deal(asks, &grants).unwrap_err().to_string(), message);
        }
    }
}
