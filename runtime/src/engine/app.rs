//! A linked component of either world, told apart by what it exports. Beyond this file a call is a call.

use wasmtime::{
    Store,
    component::{self, Component, ComponentExportIndex, Linker, types::ComponentItem},
};

use super::{
    ComponentError, World,
    contract::{AsyncBackgroundApp, AsyncBackgroundAppPre, BackgroundApp, BackgroundAppPre},
    fault::cause,
    imports::Guest,
    signature::signature,
};

/// An interface that a world exports, with its functions and what each of them is.
struct Interface {
    name: &'static str,
    functions: &'static [(&'static str, &'static str)],
}

/// What both worlds export.
const REGISTRATION: Interface = Interface {
    name: "idlewild:background-tasks/registration@0.1.0",
    functions: &[("register", "func() -> list<string>"), ("activate", "func() -> result<_, string>")],
};

/// What only one of them exports.
const HANDLER: Interface = Interface {
    name: "idlewild:background-tasks/handler@0.1.0",
    functions: &[("launch", "func(identifier: string, input: list<u8>) -> result<list<u8>, string>")],
};
const ASYNC_HANDLER: Interface = Interface {
    name: "idlewild:background-tasks/async-handler@0.1.0",
    functions: &[("launch", "async func(identifier: string, input: list<u8>) -> result<list<u8>, string>")],
};

/// A component that fits its world, ready to be instantiated.
pub(super) enum App {
    Sync(BackgroundAppPre<Guest>),
    /// With its `launch`, which is called beside the bindings.
    Async(AsyncBackgroundAppPre<Guest>, ComponentExportIndex),
}

/// A fresh instance of it.
pub(super) enum Instance {
    Sync(BackgroundApp),
    Async(component::Instance, ComponentExportIndex),
}

impl App {
    /// Checks that a component fits one of the worlds. Errors: what it lacks, named.
    pub(super) fn link(linker: &Linker<Guest>, component: &Component) -> Result<App, ComponentError> {
        let (world, launch) = world(component)?;
        let instance =
            linker.instantiate_pre(component).map_err(|error| ComponentError::UnknownImport(import(&error)))?;
        let app = match world {
            World::Sync => BackgroundAppPre::new(instance).map(App::Sync),
            World::Async => AsyncBackgroundAppPre::new(instance).map(|app| App::Async(app, launch)),
        };
        app.map_err(|error| ComponentError::Invalid(cause(&error)))
    }

    pub(super) fn engine(&self) -> &wasmtime::Engine {
        match self {
            App::Sync(app) => app.engine(),
            App::Async(app, _) => app.engine(),
        }
    }

    /// Bytes of memory that its code takes.
    pub(super) fn code_size(&self) -> u64 {
        let image = match self {
            App::Sync(app) => app.instance_pre().component().image_range(),
            App::Async(app, _) => app.instance_pre().component().image_range(),
        };
        (image.end.addr() - image.start.addr()) as u64
    }

    pub(super) async fn instantiate(&self, store: &mut Store<Guest>) -> wasmtime::Result<Instance> {
        Ok(match self {
            App::Sync(app) => Instance::Sync(app.instantiate_async(store).await?),
            App::Async(app, launch) => Instance::Async(app.instance_pre().instantiate_async(store).await?, *launch),
        })
    }
}

impl Instance {
    pub(super) async fn register(&self, store: &mut Store<Guest>) -> wasmtime::Result<Vec<String>> {
        match self {
            Instance::Sync(app) => app.idlewild_background_tasks_registration().call_register(store).await,
            Instance::Async(instance, _) => {
                let app = AsyncBackgroundApp::new(&mut *store, instance)?;
                app.idlewild_background_tasks_registration().call_register(store).await
            }
        }
    }

    pub(super) async fn activate(&self, store: &mut Store<Guest>) -> wasmtime::Result<Result<(), String>> {
        match self {
            Instance::Sync(app) => app.idlewild_background_tasks_registration().call_activate(store).await,
            Instance::Async(instance, _) => {
                let app = AsyncBackgroundApp::new(&mut *store, instance)?;
                app.idlewild_background_tasks_registration().call_activate(store).await
            }
        }
    }

    /// Both worlds are called alike, also the one that awaits: unlike `run_concurrent`, which the bindings of an asynchronous
    /// function ask for, such a call traps once its guest awaits and nothing is left that could ever wake it.
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
            Instance::Async(instance, launch) => {
                let launch =
                    instance.get_typed_func::<(&str, &[u8]), (Result<Vec<u8>, String>,)>(&mut *store, launch)?;
                Ok(launch.call_async(store, (&identifier, &input)).await?.0)
            }
        }
    }
}

/// The world a component is of, and its `launch`. Errors: it exports what neither asks for, lacks what its world asks for, or
/// has it in another form.
fn world(component: &Component) -> Result<(World, ComponentExportIndex), ComponentError> {
    let exports = |interface: &Interface| component.get_export_index(None, interface.name).is_some();
    let (world, handler) = match (exports(&HANDLER), exports(&ASYNC_HANDLER)) {
        (true, false) => (World::Sync, HANDLER),
        (false, true) => (World::Async, ASYNC_HANDLER),
        (true, true) => return Err(ComponentError::BothWorlds),
        (false, false) => return Err(ComponentError::NoWorld),
    };
    let missing = [missing(component, &REGISTRATION), missing(component, &handler)].concat();
    if !missing.is_empty() {
        return Err(ComponentError::MissingExport { names: missing.join(", "), world });
    }
    mistyped(component, &REGISTRATION)?;
    mistyped(component, &handler)?;
    let interface = component.get_export_index(None, handler.name);
    let launch = component.get_export_index(interface.as_ref(), "launch").expect("nothing is missing");
    Ok((world, launch))
}

fn missing(component: &Component, Interface { name, functions }: &Interface) -> Vec<String> {
    let Some(index) = component.get_export_index(None, name) else { return vec![format!("`{name}`")] };
    let is_missing = |(function, _): &&(&str, &str)| component.get_export_index(Some(&index), function).is_none();
    functions.iter().filter(is_missing).map(|(function, _)| format!("`{function}` of `{name}`")).collect()
}

/// Errors: the first function that is not what it must be.
fn mistyped(component: &Component, Interface { name, functions }: &Interface) -> Result<(), ComponentError> {
    let index = component.get_export_index(None, name);
    for (function, must_be) in *functions {
        let is = match component.get_export(index.as_ref(), function) {
            Some((ComponentItem::ComponentFunc(function), _)) => Some(signature(&function)),
            Some(_) | None => None,
        };
        if is.as_deref() != Some(must_be) {
            let is = is.map_or("something that is no function".to_owned(), |is| format!("`{is}`"));
            return Err(ComponentError::MistypedExport { name: format!("`{function}` of `{name}`"), is, must_be });
        }
    }
    Ok(())
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
