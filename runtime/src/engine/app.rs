//! A linked component of either world, told apart by what it exports. Beyond this file a call is a call.

use wasmtime::{
    AsContextMut, Store,
    component::{Component, Linker},
};

use super::{
    ComponentError, World,
    contract::{AsyncBackgroundApp, AsyncBackgroundAppPre, BackgroundApp, BackgroundAppPre},
    fault::cause,
    imports::Guest,
};

/// What both worlds export, with the functions in it.
const REGISTRATION: (&str, &[&str]) = ("idlewild:background-tasks/registration@0.1.0", &["register", "activate"]);

/// What only one of them exports.
const HANDLER: (&str, &[&str]) = ("idlewild:background-tasks/handler@0.1.0", &["launch"]);
const ASYNC_HANDLER: (&str, &[&str]) = ("idlewild:background-tasks/async-handler@0.1.0", &["launch"]);

/// A component that fits its world, ready to be instantiated.
pub(super) enum App {
    Sync(BackgroundAppPre<Guest>),
    Async(AsyncBackgroundAppPre<Guest>),
}

/// A fresh instance of it.
pub(super) enum Instance {
    Sync(BackgroundApp),
    Async(AsyncBackgroundApp),
}

impl App {
    /// Checks that a component fits one of the worlds. Errors: what it lacks, named.
    pub(super) fn link(linker: &Linker<Guest>, component: &Component) -> Result<App, ComponentError> {
        let world = world(component)?;
        let instance =
            linker.instantiate_pre(component).map_err(|error| ComponentError::UnknownImport(import(&error)))?;
        let app = match world {
            World::Sync => BackgroundAppPre::new(instance).map(App::Sync),
            World::Async => AsyncBackgroundAppPre::new(instance).map(App::Async),
        };
        app.map_err(|error| ComponentError::MissingExport {
            names: format!("the world's functions with their types ({})", cause(&error)),
            world,
        })
    }

    pub(super) fn engine(&self) -> &wasmtime::Engine {
        match self {
            App::Sync(app) => app.engine(),
            App::Async(app) => app.engine(),
        }
    }

    pub(super) async fn instantiate(&self, store: &mut Store<Guest>) -> wasmtime::Result<Instance> {
        Ok(match self {
            App::Sync(app) => Instance::Sync(app.instantiate_async(store).await?),
            App::Async(app) => Instance::Async(app.instantiate_async(store).await?),
        })
    }
}

impl Instance {
    pub(super) async fn register(&self, store: &mut Store<Guest>) -> wasmtime::Result<Vec<String>> {
        match self {
            Instance::Sync(app) => app.idlewild_background_tasks_registration().call_register(store).await,
            Instance::Async(app) => app.idlewild_background_tasks_registration().call_register(store).await,
        }
    }

    pub(super) async fn activate(&self, store: &mut Store<Guest>) -> wasmtime::Result<Result<(), String>> {
        match self {
            Instance::Sync(app) => app.idlewild_background_tasks_registration().call_activate(store).await,
            Instance::Async(app) => app.idlewild_background_tasks_registration().call_activate(store).await,
        }
    }

    /// In the asynchronous world nothing but the guest lives inside `run_concurrent`: while a guest computes, nothing else in
    /// there makes progress, so whatever limits or stops it stands outside, at the gate.
    pub(super) async fn launch(
        &self,
        store: &mut Store<Guest>,
        identifier: String,
        input: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, String>> {
        match self {
            Instance::Sync(app) => {
                app.idlewild_background_tasks_handler().call_launch(store, &identifier, &input).await
            }
            Instance::Async(app) => {
                let handler = app.idlewild_background_tasks_async_handler();
                store
                    .as_context_mut()
                    .run_concurrent(async |accessor| handler.call_launch(accessor, identifier, input).await)
                    .await?
            }
        }
    }
}

/// The world a component is of. Errors: it exports what neither asks for, or lacks what its world asks for.
fn world(component: &Component) -> Result<World, ComponentError> {
    let exports = |(interface, _): (&str, _)| component.get_export_index(None, interface).is_some();
    let (world, handler) = match (exports(HANDLER), exports(ASYNC_HANDLER)) {
        (true, false) => (World::Sync, HANDLER),
        (false, true) => (World::Async, ASYNC_HANDLER),
        (true, true) => return Err(ComponentError::BothWorlds),
        (false, false) => return Err(ComponentError::NoWorld),
    };
    let missing = [missing(component, REGISTRATION), missing(component, handler)].concat();
    match missing.is_empty() {
        true => Ok(world),
        false => Err(ComponentError::MissingExport { names: missing.join(", "), world }),
    }
}

fn missing(component: &Component, (interface, functions): (&str, &[&str])) -> Vec<String> {
    let Some(index) = component.get_export_index(None, interface) else { return vec![format!("`{interface}`")] };
    let is_missing = |function: &&&str| component.get_export_index(Some(&index), function).is_none();
    functions.iter().filter(is_missing).map(|function| format!("`{function}` of `{interface}`")).collect()
}

/// wasmtime says "component imports instance `NAME`, but a matching implementation was not found in the linker", below that
/// "instance export `FUNCTION` has the wrong type", and at the root why.
fn import(error: &wasmtime::Error) -> String {
    let quoted = |text: &str| text.split('`').nth(1).map(str::to_owned);
    let said: Vec<String> = error.chain().map(ToString::to_string).collect();
    let Some(name) = said.first().and_then(|outer| quoted(outer)) else { return cause(error) };
    let is_missing = said.last().is_some_and(|root| root.contains("missing") || root.contains("not found"));
    match (said.get(1).and_then(|inner| quoted(inner)), is_missing) {
        (Some(function), true) => format!("`{name}` with `{function}`"),
        (Some(function), false) => format!("`{name}` with `{function}` in another form"),
        (None, true) => format!("`{name}`"),
        (None, false) => format!("`{name}` in another form"),
    }
}
