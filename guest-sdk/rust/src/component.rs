//! The contract's exports, served from a declared bundle.

use std::marker::PhantomData;

use crate::{
    Bundle, Task,
    bindings::{
        asynchronous::exports::idlewild::background_tasks::async_handler,
        registered::exports::idlewild::background_tasks::registration,
        synchronous::exports::idlewild::background_tasks::handler,
    },
    bundle::{AsyncHandler, Handler},
};

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
