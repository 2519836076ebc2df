//! wasmtime-wasi, on two engines.

use super::{Failure, Guest, Subject};
use agave_host::Host;
use std::path::Path;
use tokio::runtime::{Builder, Runtime};
use wasmtime::component::{Linker, ResourceTable};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, Store};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

struct State {
    table: ResourceTable,
    wasi: WasiCtx,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// On an engine with the settings of `wasmtime serve` (concurrency support is on), and tokio's
/// threads.
pub(crate) fn as_served(
    guest: &[u8],
    directory: &Path,
    blocking: bool,
) -> Result<Box<dyn Subject>, Failure> {
    let mut config = Config::new();
    config.allocation_strategy(InstanceAllocationStrategy::pooling());
    let store = store(&Engine::new(&config)?, directory, blocking)?;
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    subject(runtime, guest, store)
}

/// On our engine, and a runtime of one thread.
pub(crate) fn tuned(
    guest: &[u8],
    directory: &Path,
    blocking: bool,
) -> Result<Box<dyn Subject>, Failure> {
    let host = Host::builder().build()?;
    let mut store = store(host.engine(), directory, blocking)?;
    store.epoch_deadline_async_yield_and_update(1);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    subject(runtime, guest, store)
}

fn store(engine: &Engine, directory: &Path, blocking: bool) -> Result<Store<State>, Failure> {
    let mut wasi = WasiCtx::builder();
    // Before the directory: it keeps what this is then.
    wasi.allow_blocking_current_thread(blocking)
        .inherit_network()
        .allow_tcp(true)
        .inherit_stderr()
        .preopened_dir(directory, "/", FsPerms::ReadWrite)?;
    let state = State {
        table: ResourceTable::new(),
        wasi: wasi.build(),
    };
    Ok(Store::new(engine, state))
}

fn subject(
    runtime: Runtime,
    guest: &[u8],
    store: Store<State>,
) -> Result<Box<dyn Subject>, Failure> {
    let mut linker = Linker::new(store.engine());
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Ok(Box::new(Guest::new(runtime, &linker, guest, store)?))
}
