//! Host functions that do nothing but give the guest what it waits for: with the signatures of
//! the WIT, on our engine, and asynchronous where ours are. They take lists and strings without
//! looking at them, and give those that they have: what a call costs before any host does
//! anything.

use super::{ENTRIES, ENTRY, FILE_SIZE, Failure, Guest, Subject};
use agave_host::{Ctx, Host, HostState};
use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::runtime::Builder;
use wasi_clocks::p2::bindings::wasi::clocks::wall_clock::Datetime;
use wasi_error::Error;
use wasi_filesystem::p2::bindings::wasi::filesystem::types as files;
use wasi_filesystem::{Descriptor, DirectoryEntryStream};
use wasi_io::p2::DynPollable;
use wasi_io::p2::bindings::wasi::io::streams::StreamError;
use wasi_io::{DynInputStream, DynOutputStream};
use wasi_sockets::p2::bindings::wasi::sockets::{network, tcp};
use wasi_sockets::{DynNetwork, DynTcpSocket};
use wasmtime::component::{
    ComponentType, Linker, LinkerInstance, Lower, Resource, ResourceType, WasmList, WasmStr,
};
use wasmtime::{Result, Store};

/// What the guest reads.
static ZEROES: [u8; 64 << 10] = [0; 64 << 10];

/// How many entries are left of the only listing.
static LEFT: AtomicU32 = AtomicU32::new(0);

#[derive(ComponentType, Lower)]
#[component(record)]
struct Entry {
    #[component(name = "type")]
    kind: files::DescriptorType,
    name: &'static str,
}

type Pollable = Resource<DynPollable>;
type Input = Resource<DynInputStream>;
type Output = Resource<DynOutputStream>;
type Object = Resource<Descriptor>;
type Listing = Resource<DirectoryEntryStream>;
type Network = Resource<DynNetwork>;
type Socket = Resource<DynTcpSocket>;

type FileResult<T> = core::result::Result<T, files::ErrorCode>;
type StreamResult<T> = core::result::Result<T, StreamError>;
type SocketResult<T> = core::result::Result<T, network::ErrorCode>;

pub(crate) fn new(guest: &[u8]) -> Result<Box<dyn Subject>, Failure> {
    // Ours has what Rust's std imports, and the guest never calls.
    let mut host = Host::builder().build()?;
    let linker = host.linker().allow_shadowing(true);
    io(linker)?;
    filesystem(linker)?;
    sockets(linker)?;
    let mut store = Store::new(host.engine(), HostState::new(Ctx::builder().build()));
    store.epoch_deadline_async_yield_and_update(1);
    let runtime = Builder::new_current_thread().enable_all().build()?;
    Ok(Box::new(Guest::new(runtime, host.linker(), guest, store)?))
}

fn io(linker: &mut Linker<HostState>) -> Result<()> {
    let mut poll = linker.instance("wasi:io/poll@0.2.12")?;
    resource::<DynPollable>(&mut poll, "pollable")?;
    poll.func_wrap_async("[method]pollable.block", |_, (_,): (Pollable,)| {
        Box::new(async { Ok(()) })
    })?;

    let mut error = linker.instance("wasi:io/error@0.2.12")?;
    resource::<Error>(&mut error, "error")?;

    let mut streams = linker.instance("wasi:io/streams@0.2.12")?;
    resource::<DynInputStream>(&mut streams, "input-stream")?;
    resource::<DynOutputStream>(&mut streams, "output-stream")?;
    streams.func_wrap_async(
        "[method]input-stream.blocking-read",
        |_, (_, len): (Input, u64)| ready(StreamResult::Ok(zeroes(len))),
    )?;
    streams.func_wrap("[method]output-stream.check-write", |_, (_,): (Output,)| {
        Ok((StreamResult::Ok(ZEROES.len() as u64),))
    })?;
    streams.func_wrap(
        "[method]output-stream.write",
        |_, _: (Output, WasmList<u8>)| Ok((StreamResult::Ok(()),)),
    )?;
    streams.func_wrap_async(
        "[method]output-stream.blocking-write-and-flush",
        |_, _: (Output, WasmList<u8>)| ready(StreamResult::Ok(())),
    )?;
    streams.func_wrap_async(
        "[method]output-stream.blocking-flush",
        |_, (_,): (Output,)| ready(StreamResult::Ok(())),
    )
}

fn filesystem(linker: &mut Linker<HostState>) -> Result<()> {
    let mut preopens = linker.instance("wasi:filesystem/preopens@0.2.12")?;
    preopens.func_wrap("get-directories", |_, (): ()| {
        Ok((vec![(handle::<Descriptor>(), "/")],))
    })?;

    let mut types = linker.instance("wasi:filesystem/types@0.2.12")?;
    resource::<Descriptor>(&mut types, "descriptor")?;
    resource::<DirectoryEntryStream>(&mut types, "directory-entry-stream")?;
    types.func_wrap(
        "[method]descriptor.read-via-stream",
        |_, _: (Object, u64)| Ok((FileResult::Ok(handle::<DynInputStream>()),)),
    )?;
    types.func_wrap(
        "[method]descriptor.write-via-stream",
        |_, _: (Object, u64)| Ok((FileResult::Ok(handle::<DynOutputStream>()),)),
    )?;
    types.func_wrap_async(
        "[method]descriptor.read",
        |_, (_, len, _): (Object, u64, u64)| ready(FileResult::Ok((zeroes(len), false))),
    )?;
    types.func_wrap_async(
        "[method]descriptor.write",
        |_, (_, bytes, _): (Object, WasmList<u8>, u64)| ready(FileResult::Ok(bytes.len() as u64)),
    )?;
    types.func_wrap_async("[method]descriptor.stat", |_, (_,): (Object,)| {
        ready(FileResult::Ok(stat()))
    })?;
    types.func_wrap_async(
        "[method]descriptor.stat-at",
        |_, _: (Object, files::PathFlags, WasmStr)| ready(FileResult::Ok(stat())),
    )?;
    type OpenAt = (
        Object,
        files::PathFlags,
        WasmStr,
        files::OpenFlags,
        files::DescriptorFlags,
    );
    types.func_wrap_async("[method]descriptor.open-at", |_, _: OpenAt| {
        ready(FileResult::Ok(handle::<Descriptor>()))
    })?;
    types.func_wrap_async("[method]descriptor.read-directory", |_, (_,): (Object,)| {
        LEFT.store(ENTRIES, Ordering::Relaxed);
        ready(FileResult::Ok(handle::<DirectoryEntryStream>()))
    })?;
    types.func_wrap_async(
        "[method]directory-entry-stream.read-directory-entry",
        |_, (_,): (Listing,)| {
            let left = LEFT.load(Ordering::Relaxed);
            LEFT.store(left.saturating_sub(1), Ordering::Relaxed);
            ready(FileResult::Ok((left > 0).then_some(Entry {
                kind: files::DescriptorType::RegularFile,
                name: ENTRY,
            })))
        },
    )
}

fn sockets(linker: &mut Linker<HostState>) -> Result<()> {
    let mut network = linker.instance("wasi:sockets/network@0.2.12")?;
    resource::<DynNetwork>(&mut network, "network")?;
    let mut instance = linker.instance("wasi:sockets/instance-network@0.2.12")?;
    instance.func_wrap("instance-network", |_, (): ()| {
        Ok((handle::<DynNetwork>(),))
    })?;

    let mut tcp = linker.instance("wasi:sockets/tcp@0.2.12")?;
    resource::<DynTcpSocket>(&mut tcp, "tcp-socket")?;
    tcp.func_wrap(
        "[method]tcp-socket.start-connect",
        |_, _: (Socket, Network, network::IpSocketAddress)| Ok((SocketResult::Ok(()),)),
    )?;
    tcp.func_wrap("[method]tcp-socket.finish-connect", |_, (_,): (Socket,)| {
        Ok((SocketResult::Ok((
            handle::<DynInputStream>(),
            handle::<DynOutputStream>(),
        )),))
    })?;
    tcp.func_wrap("[method]tcp-socket.subscribe", |_, (_,): (Socket,)| {
        Ok((handle::<DynPollable>(),))
    })?;
    tcp.func_wrap(
        "[method]tcp-socket.shutdown",
        |_, _: (Socket, tcp::ShutdownType)| Ok((SocketResult::Ok(()),)),
    )?;
    let mut create = linker.instance("wasi:sockets/tcp-create-socket@0.2.12")?;
    create.func_wrap(
        "create-tcp-socket",
        |_, (_,): (network::IpAddressFamily,)| Ok((SocketResult::Ok(handle::<DynTcpSocket>()),)),
    )
}

/// What an asynchronous function gives at once.
fn ready<'a, T: Send + 'a>(value: T) -> Box<dyn Future<Output = Result<(T,)>> + Send + 'a> {
    Box::new(async { Ok((value,)) })
}

/// A resource that costs nothing to drop.
fn resource<T: 'static>(instance: &mut LinkerInstance<'_, HostState>, name: &str) -> Result<()> {
    instance.resource(name, ResourceType::host::<T>(), |_, _| Ok(()))
}

fn handle<T: 'static>() -> Resource<T> {
    Resource::new_own(0)
}

/// As many bytes as were asked for, if there are so many.
fn zeroes(len: u64) -> &'static [u8] {
    &ZEROES[..ZEROES.len().min(len as usize)]
}

fn stat() -> files::DescriptorStat {
    let time = Some(Datetime {
        seconds: 1,
        nanoseconds: 0,
    });
    files::DescriptorStat {
        type_: files::DescriptorType::RegularFile,
        link_count: 1,
        size: FILE_SIZE,
        data_access_timestamp: time,
        data_modification_timestamp: time,
        status_change_timestamp: time,
    }
}
