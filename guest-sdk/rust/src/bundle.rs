//! A declared bundle: its handlers, and which of them is meant.

use std::{fmt::Display, future::Future, pin::Pin};

use crate::Task;

/// What a module marked [`#[bundle]`](macro@crate::bundle) declares, as its constant `BUNDLE`: the handlers by identifier, and what activates
/// it. Tests give it to the harness.
#[derive(Debug, Clone, Copy)]
pub struct Bundle<H: 'static> {
    handlers: &'static [(&'static str, H)],
    activate: fn() -> Result<(), String>,
}

/// A handler of the synchronous world.
pub type Handler = fn(&Task) -> Result<Vec<u8>, String>;

/// A handler of the asynchronous world.
pub type AsyncHandler = fn(Task) -> Pin<Box<dyn Future<Output = Result<Vec<u8>, String>>>>;

pub const fn declare<H>(handlers: &'static [(&'static str, H)], activate: fn() -> Result<(), String>) -> Bundle<H> {
    Bundle { handlers, activate }
}

pub fn activate<E: Display>(activate: impl FnOnce() -> Result<(), E>) -> Result<(), String> {
    activate().map_err(|error| format!("{error:#}"))
}

impl<H: Copy> Bundle<H> {
    /// The identifiers as declared, wildcards included.
    pub fn identifiers(&self) -> impl Iterator<Item = &'static str> + use<H> {
        self.handlers.iter().map(|(identifier, _)| *identifier)
    }

    pub(crate) fn activate(&self) -> Result<(), String> {
        (self.activate)()
    }

    /// The handler whose identifier fits best: the longest, a whole name being longer than any wildcard it fits.
    pub(crate) fn find(&self, identifier: &str) -> Result<H, String> {
        let fitting = self.handlers.iter().filter(|(entry, _)| fits(entry, identifier));
        let best = fitting.max_by_key(|(entry, _)| (!entry.ends_with('*'), entry.len()));
        let (_, handler) = best.ok_or_else(|| format!("this component has no handler for `{identifier}`"))?;
        Ok(*handler)
    }
}

/// Whether an entry, as the manifest writes it, stands for `identifier`.
pub(crate) fn fits(entry: &str, identifier: &str) -> bool {
    match entry.strip_suffix('*') {
        Some(stem) => stem.ends_with('.') && identifier.len() > stem.len() && identifier.starts_with(stem),
        None => entry == identifier,
    }
}

#[cfg(test)]
mod tests {
    use super::declare;

    #[test]
    fn the_longest_entry_that_fits_wins() {
        let bundle = declare(&[("a.b.*", 0), ("a.b.c", 1), ("a.b.c.*", 2), ("a.x", 3)], || Ok(()));
        for (identifier, handler) in [
            ("a.b.c", Some(1)),
            ("a.b.d", Some(0)),
            ("a.b.c.d", Some(2)),
            ("a.b.c.d.e", Some(2)),
            ("a.x", Some(3)),
            ("a.b.", None),
            ("a.b", None),
            ("a.X", None),
            ("a.x.y", None),
        ] {
            assert_eq!(bundle.find(identifier).ok(), handler, "{identifier}");
        }
    }
}
