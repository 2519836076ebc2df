//! The guest on WASI 0.3 of ours and of wasmtime-wasi.

#[path = "../components/guest.rs"]
mod guest;

use crate::common::{Column, Failure, Role, Subject};
use agave_host::{Ctx, HostState};
use guest::Guest;
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Builder;
use wasi_filesystem::os::{Mode, OsDirectory};
use wasi_io::os::Runtime;
use wasi_sockets::os::OsNetwork;
use wasmtime::component::{Linker, ResourceTable};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, Store};
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};

/// Who runs the guest.
#[derive(Clone, Copy)]
pub(crate) enum Host {
    /// wasmtime-wasi on an engine and a runtime as `wasmtime serve` has them; `blocking` is its
    /// `allow_blocking_current_thread`.
    Wasmtime { blocking: bool },
    /// Ours, as servers use it: other threads do what would wait for a disk. `inline` is for
    /// runs on the command line: this thread waits.
    Agave { inline: bool },
}

impl Host {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Wasmtime { blocking: false } => "wasmtime-wasi",
            Self::Wasmtime { blocking: true } => "wasmtime-wasi, blocking",
            Self::Agave { inline: false } => "agave",
            Self::Agave { inline: true } => "agave, inline",
        }
    }

    /// The guest on this host, with `directory` and the network granted.
    pub(crate) fn column(self, directory: &Path) -> Result<Column, Failure> {
        let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/guests/bench_p3.wasm");
        let guest =
            std::fs::read(&guest).map_err(|error| format!("{}: {error}", guest.display()))?;
        let (role, subject) = match self {
            Self::Wasmtime { blocking } => {
                (Role::Rival, wasmtime_wasi(&guest, directory, blocking)?)
            }
            Self::Agave { inline } => (Role::Ours, agave(&guest, directory, inline)?),
        };
        Ok(Column {
            name: self.name(),
            role,
            subject,
        })
    }
}

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

fn wasmtime_wasi(
    guest: &[u8],
    directory: &Path,
    blocking: bool,
) -> Result<Box<dyn Subject>, Failure> {
    let mut config = Config::new();
    config
        .wasm_component_model_async(true)
        .allocation_strategy(InstanceAllocationStrategy::pooling());
    let engine = Engine::new(&config)?;
    let mut linker = Linker::new(&engine);
    // Rust's std imports 0.2.
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
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
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    let store = Store::new(&engine, state);
    Ok(Box::new(Guest::new(runtime, &linker, guest, store)?))
}

/// With our engine, and an executor for one core.
fn agave(guest: &[u8], directory: &Path, inline: bool) -> Result<Box<dyn Subject>, Failure> {
    let mut host = agave_host::Host::builder().build()?;
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let waits_on = Runtime::from(runtime.handle().clone());
    let network = OsNetwork::new(waits_on.clone());
    let mode = match inline {
        true => Mode::Inline,
        false => Mode::Offload(waits_on),
    };
    let directory = OsDirectory::open_ambient(directory, mode)?;
    let ctx = Ctx::builder()
        .network(Arc::new(network))
        .preopen(Arc::new(directory), "/")
        .build();
    let linker = host.linker_p3()?;
    let mut store = Store::new(linker.engine(), HostState::new(ctx));
    store.epoch_deadline_async_yield_and_update(1);
    Ok(Box::new(Guest::new(runtime, linker, guest, store)?))
}
