//! Ours.

use super::{Failure, Guest, Subject};
use agave_host::{Ctx, Host, HostState};
use std::path::Path;
use std::sync::Arc;
use tokio::runtime::Builder;
use wasi_filesystem::os::{Mode, OsDirectory};
use wasi_io::os::Runtime;
use wasi_sockets::os::OsNetwork;
use wasmtime::Store;

/// With our engine, and an executor for one core. Unless it is to be done
/// `inline`, other threads do what would wait for a disk.
pub(crate) fn new(
    guest: &[u8],
    directory: &Path,
    inline: bool,
) -> Result<Box<dyn Subject>, Failure> {
    let mut host = Host::builder().build()?;
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
    let mut store = Store::new(host.engine(), HostState::new(ctx));
    store.epoch_deadline_async_yield_and_update(1);
    Ok(Box::new(Guest::new(runtime, host.linker(), guest, store)?))
}
