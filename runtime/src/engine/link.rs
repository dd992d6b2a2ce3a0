//! How wasmtime is set up, and what a component is linked to. One constructor for both, so that what was compiled once fits.

use std::num::NonZeroUsize;

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, StoreContextMut,
    component::{Component, HasSelf, Linker},
};
use wasmtime_wasi::p2::bindings::filesystem::preopens;

use super::{
    ComponentError,
    contract::{BackgroundApp, BackgroundAppPre, task},
    fault::{FRAMES, cause},
    imports::Guest,
    settings::EngineSettings,
};

/// Linear memory and stacks that a slot keeps warm between two tasks.
const MEMORY_KEPT: usize = 2 << 20;
const TABLE_KEPT: usize = 64 << 10;
const STACK_KEPT: usize = 64 << 10;

/// The exports of the world, and the functions in them.
const EXPORTS: [(&str, &[&str]); 2] = [
    ("idlewild:background-tasks/registration@0.1.0", &["register", "activate"]),
    ("idlewild:background-tasks/handler@0.1.0", &["launch"]),
];

/// wasmtime as this house runs it, with its pool; on-demand allocation where address space is too short for the pool. It has no
/// compiler: what it loads, a child compiled.
pub(super) fn engine(settings: &EngineSettings) -> wasmtime::Result<Engine> {
    Engine::new(tuned(settings).enable_compiler(false)).or_else(|error| {
        tracing::warn!(
            error = cause(&error),
            "address space is too short for {} slots; instances are made on demand, which is slower",
            settings.slots
        );
        let mut config = tuned(settings);
        Engine::new(config.enable_compiler(false).allocation_strategy(InstanceAllocationStrategy::OnDemand))
    })
}

/// wasmtime as a child has it that compiles: with the same settings and no pool, since it runs nothing.
pub(super) fn compiling_engine() -> wasmtime::Result<Engine> {
    let mut config = tuned(&EngineSettings::default());
    Engine::new(config.allocation_strategy(InstanceAllocationStrategy::OnDemand))
}

/// Metering, and a pool sized from the slots: a slot is what one task may hold at most.
pub fn tuned(settings: &EngineSettings) -> Config {
    let calls = u32::try_from(settings.slots + settings.side_calls).unwrap_or(u32::MAX);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_stacks(calls)
        .total_core_instances(calls.saturating_mul(settings.core_instances))
        .total_tables(calls.saturating_mul(settings.tables))
        .total_memories(calls.saturating_mul(settings.memories))
        .max_tables_per_module(settings.tables)
        .max_memories_per_module(settings.memories)
        .table_elements(settings.table_elements)
        .linear_memory_keep_resident(MEMORY_KEPT)
        .table_keep_resident(TABLE_KEPT)
        .async_stack_keep_resident(STACK_KEPT)
        .pagemap_scan(Enabled::Auto);
    let mut config = Config::new();
    config
        .consume_fuel(true)
        .epoch_interruption(true)
        .wasm_backtrace_max_frames(NonZeroUsize::new(FRAMES))
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// Everything a guest may import: WASI 0.2 and the contract.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    BackgroundApp::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    linker.allow_shadowing(true);
    preopens::add_to_linker::<_, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    linker.instance("idlewild:background-tasks/task@0.1.0")?.func_wrap("fuel-remaining", fuel_remaining)?;
    linker.allow_shadowing(false);
    Ok(linker)
}

/// Reads the fuel first: only the store knows it.
fn fuel_remaining(mut store: StoreContextMut<'_, Guest>, (): ()) -> wasmtime::Result<(u64,)> {
    let left = store.get_fuel()?;
    let guest = store.data_mut();
    guest.meter(left);
    Ok((task::Host::fuel_remaining(guest)?,))
}

/// Checks that a component fits the world.
pub(super) fn link(linker: &Linker<Guest>, component: &Component) -> Result<BackgroundAppPre<Guest>, ComponentError> {
    let missing = missing_exports(component);
    if !missing.is_empty() {
        return Err(ComponentError::MissingExport(missing.join(", ")));
    }
    let instance = linker.instantiate_pre(component).map_err(|error| ComponentError::UnknownImport(import(&error)))?;
    BackgroundAppPre::new(instance).map_err(|error| {
        ComponentError::MissingExport(format!("the world's functions with their types ({})", cause(&error)))
    })
}

fn missing_exports(component: &Component) -> Vec<String> {
    let mut missing = Vec::new();
    for (interface, functions) in EXPORTS {
        let Some(index) = component.get_export_index(None, interface) else {
            missing.push(format!("`{interface}`"));
            continue;
        };
        for function in functions {
            if component.get_export_index(Some(&index), function).is_none() {
                missing.push(format!("`{function}` of `{interface}`"));
            }
        }
    }
    missing
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
