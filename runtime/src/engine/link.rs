//! How wasmtime is set up, and what a component is linked to. One constructor for both, so that what was compiled once fits.

use std::num::NonZeroUsize;

use wasmtime::{
    Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, StoreContextMut,
    component::{HasSelf, Linker, Resource},
};
use wasmtime_wasi::{
    p2::{self, DynPollable},
    p3,
};

use super::{
    contract::{BackgroundApp, expiration, task},
    fault::{FRAMES, cause},
    imports::Guest,
    settings::EngineSettings,
};

/// Linear memory and stacks that a slot keeps warm between two tasks.
const MEMORY_KEPT: usize = 2 << 20;
const TABLE_KEPT: usize = 64 << 10;
const STACK_KEPT: usize = 64 << 10;

/// wasmtime as this house runs it, with its pool; on-demand allocation where address space is too short for the pool.
pub(super) fn engine(settings: &EngineSettings) -> wasmtime::Result<Engine> {
    Engine::new(&tuned(settings)).or_else(|error| {
        tracing::warn!(
            error = cause(&error),
            "address space is too short for {} slots; instances are made on demand, which is slower",
            settings.slots
        );
        Engine::new(tuned(settings).allocation_strategy(InstanceAllocationStrategy::OnDemand))
    })
}

/// Metering, and a pool sized from the slots: a slot is what one task may hold at most. A task needs a stack to run, and one
/// more for each of its instances that another one of them calls and that waits.
pub fn tuned(settings: &EngineSettings) -> Config {
    let calls = u32::try_from(settings.slots + settings.side_calls).unwrap_or(u32::MAX);
    let stacks = settings.core_instances.saturating_add(1);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(calls)
        .total_stacks(calls.saturating_mul(stacks))
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

/// Everything a guest may import, whatever its world: toolchains import more than a guest uses, so all of it is always there,
/// and what is not granted is denied when it is used. One function for each family of interfaces.
pub(super) fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    contract(&mut linker)?;
    wasi(&mut linker)?;
    Ok(linker)
}

fn contract(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    BackgroundApp::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    expiration::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    linker.instance("idlewild:background-tasks/expiration-poll@0.1.0")?.func_wrap("subscribe", subscribe)?;
    linker.allow_shadowing(true);
    linker.instance("idlewild:background-tasks/task@0.1.0")?.func_wrap("fuel-remaining", fuel_remaining)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// WASI 0.2 and 0.3 over one context, with preopened folders of our own in both.
fn wasi(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    p2::add_to_linker_async(linker)?;
    p3::add_to_linker(linker)?;
    linker.allow_shadowing(true);
    p2::bindings::filesystem::preopens::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    p3::bindings::filesystem::preopens::add_to_linker::<_, HasSelf<Guest>>(linker, |guest| guest)?;
    linker.allow_shadowing(false);
    Ok(())
}

/// Reads the fuel first: only the store knows it.
fn fuel_remaining(mut store: StoreContextMut<'_, Guest>, (): ()) -> wasmtime::Result<(u64,)> {
    let left = store.get_fuel()?;
    let guest = store.data_mut();
    guest.meter(left);
    Ok((task::Host::fuel_remaining(guest)?,))
}

/// No world has it, so the bindings do not know it.
fn subscribe(mut store: StoreContextMut<'_, Guest>, (): ()) -> wasmtime::Result<(Resource<DynPollable>,)> {
    Ok((store.data_mut().subscribe()?,))
}
