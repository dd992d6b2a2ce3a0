//! A declared bundle, and the contract's exports served from it.

use std::{fmt::Display, future::Future, marker::PhantomData, pin::Pin};

use crate::{
    Task,
    bindings::{
        asynchronous::exports::idlewild::background_tasks::async_handler,
        registered::exports::idlewild::background_tasks::registration,
        synchronous::exports::idlewild::background_tasks::handler,
    },
};

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
        let fits = |entry: &str| match entry.strip_suffix('*') {
            Some(stem) => stem.ends_with('.') && identifier.len() > stem.len() && identifier.starts_with(stem),
            None => entry == identifier,
        };
        let fitting = self.handlers.iter().filter(|(entry, _)| fits(entry));
        let best = fitting.max_by_key(|(entry, _)| (!entry.ends_with('*'), entry.len()));
        let (_, handler) = best.ok_or_else(|| format!("this component has no handler for `{identifier}`"))?;
        Ok(*handler)
    }
}

/// Ties a bundle to a type, which is what the contract's exports are written for.
pub trait Declared {
    type Handler: Copy + 'static;
    const BUNDLE: Bundle<Self::Handler>;
}

/// Serves the contract's exports from a declared bundle.
#[derive(Debug)]
pub struct Component<D>(PhantomData<D>);

impl<D: Declared> registration::Guest for Component<D> {
    fn register() -> Vec<String> {
        D::BUNDLE.identifiers().map(str::to_owned).collect()
    }

    fn activate() -> Result<(), String> {
        D::BUNDLE.activate()
    }
}

impl<D: Declared<Handler = Handler>> handler::Guest for Component<D> {
    fn launch(identifier: String, input: Vec<u8>) -> Result<Vec<u8>, String> {
        let launch = D::BUNDLE.find(&identifier)?;
        launch(&Task::new(identifier, input))
    }
}

impl<D: Declared<Handler = AsyncHandler>> async_handler::Guest for Component<D> {
    async fn launch(identifier: String, input: Vec<u8>) -> Result<Vec<u8>, String> {
        let launch = D::BUNDLE.find(&identifier)?;
        launch(Task::new(identifier, input)).await
    }
}

/// Gives the component the exports of the synchronous world.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_synchronous {
    ($bundle:expr) => {
        const _: () = {
            $crate::__component!($bundle, Handler);
    $crate::bindings::synchronous::export_synchronous!(Component with_types_in $crate::bindings::synchronous);
        };
    };
}

/// Gives the component the exports of the asynchronous world.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_asynchronous {
    ($bundle:expr) => {
        const _: () = {
            $crate::__component!($bundle, AsyncHandler);
            $crate::bindings::asynchronous::export_asynchronous!(Component with_types_in $crate::bindings::asynchronous);
        };
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __component {
    ($bundle:expr, $handler:ident) => {
        struct ThisBundle;
        type Component = $crate::__private::Component<ThisBundle>;
        impl $crate::__private::Declared for ThisBundle {
            type Handler = $crate::__private::$handler;
            const BUNDLE: $crate::Bundle<Self::Handler> = $bundle;
        }
        $crate::bindings::registered::export_registered!(Component with_types_in $crate::bindings::registered);
    };
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
