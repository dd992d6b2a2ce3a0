//! One call of an export on a fresh instance: filled with fuel, bounded, metered, and its error put into words.

use std::sync::Arc;

use wasmtime::Store;

use crate::rules::{Allowance, End};

use super::{
    app::{App, Instance},
    fault::{Fault, bounded, cause, fault, size},
    imports::Guest,
    meter::Tally,
    settings::EngineSettings,
};

/// A store that leaves its last reading of fuel behind, however it ends.
struct Metered(Store<Guest>);

impl Drop for Metered {
    fn drop(&mut self) {
        if let Ok(left) = self.0.get_fuel() {
            self.0.data().fuel.read(left);
        }
    }
}

pub(super) async fn register(settings: &EngineSettings, app: &App, guest: Guest) -> wasmtime::Result<Vec<String>> {
    let (mut store, instance) = instantiate(settings, app, guest).await?;
    instance.register(&mut store.0).await
}

pub(super) async fn activate(
    settings: &EngineSettings,
    app: &App,
    guest: Guest,
) -> wasmtime::Result<Result<(), String>> {
    let (mut store, instance) = instantiate(settings, app, guest).await?;
    instance.activate(&mut store.0).await
}

pub(super) async fn launch(
    settings: &EngineSettings,
    app: &App,
    guest: Guest,
    identifier: String,
    input: Vec<u8>,
) -> wasmtime::Result<Result<Vec<u8>, String>> {
    let (mut store, instance) = instantiate(settings, app, guest).await?;
    instance.launch(&mut store.0, identifier, input).await
}

async fn instantiate(settings: &EngineSettings, app: &App, guest: Guest) -> wasmtime::Result<(Metered, Instance)> {
    let whole = guest.fuel.whole();
    let mut store = Store::new(app.engine(), guest);
    store.limiter(|guest| &mut guest.bounds);
    store.set_hostcall_fuel(settings.hostcall_fuel);
    store.set_max_component_handles(settings.component_handles);
    store.set_fuel(whole)?;
    store.fuel_async_yield_interval(Some(settings.fuel_yield.max(1)))?;
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut store| {
        let left = store.get_fuel()?;
        Ok(store.data_mut().beat(left))
    });
    let mut store = Metered(store);
    let instance = app.instantiate(&mut store.0).await?;
    Ok((store, instance))
}

/// What a finished `launch` says.
///
/// An output beyond its limit fails the task, with a message that says so: the work may be done, but what was promised for it
/// cannot be kept.
pub(super) fn end(
    settings: &EngineSettings,
    allowance: &Allowance,
    tally: &Arc<Tally>,
    answer: wasmtime::Result<Result<Vec<u8>, String>>,
) -> End {
    match answer {
        Ok(Ok(output)) if output.len() > settings.output_limit => {
            let limit = size(settings.output_limit as u64);
            End::Returned(Err(format!("the output of {} bytes is larger than the {limit} that are kept", output.len())))
        }
        Ok(Ok(output)) => End::Returned(Ok(output)),
        Ok(Err(message)) => End::Returned(Err(bounded(message, settings.failure_limit))),
        Err(error) => match fault(&error, refused(allowance.memory, tally), settings.trap_limit) {
            Fault::OutOfFuel => End::OutOfFuel,
            Fault::NoRoom(message) => End::NotStarted(message),
            Fault::Trapped(message) => End::Trapped(message),
        },
    }
}

/// What a failed `register` or `activate` says.
pub(super) fn said(settings: &EngineSettings, memory: u64, tally: &Arc<Tally>, error: &wasmtime::Error) -> String {
    match fault(error, refused(memory, tally), settings.trap_limit) {
        Fault::OutOfFuel => format!("it used more than its {} units of fuel", tally.fuel()),
        Fault::NoRoom(message) | Fault::Trapped(message) => message,
    }
}

fn refused(memory: u64, tally: &Arc<Tally>) -> Option<u64> {
    tally.memory_was_refused().then_some(memory)
}

/// Why wasmtime could not be set up.
pub(super) fn set_up(error: wasmtime::Error) -> super::EngineError {
    super::EngineError::SetUp(cause(&error))
}
