//! The hosts that are compared, all on one engine, with the settings that ours has.

use crate::common::{Column, Failure, Role, Subject};
use crate::guest::{Guest, Mode, runtime};
use std::path::Path;
use std::sync::Arc;
use wasi_cli::WasiCliCtx;
use wasi_cli::memory::Output;
use wasi_clocks::WasiClocksCtx;
use wasi_filesystem::WasiFilesystemCtx;
use wasi_filesystem::os::{Mode as Files, OsDirectory};
use wasi_io::os::Runtime;
use wasi_preview1::WasiPreview1Ctx;
use wasi_preview1::wasmtime::{WasiPreview1View, add_to_linker_async, add_to_linker_sync};
use wasi_random::WasiRandomCtx;
use wasmtime::{Engine, Linker, Memory};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{FsPerms, WasiCtx};

/// The most bytes that the standard output keeps.
const OUTPUT_MAX: usize = 1 << 30;

/// Who runs the guest.
#[derive(Clone, Copy)]
pub(crate) enum Host {
    /// Ours. `offload` is for servers, where other threads do what would wait for a disk.
    Agave { mode: Mode, offload: bool },
    /// wasmtime-wasi; `blocking` is its `allow_blocking_current_thread`.
    Wasmtime { mode: Mode, blocking: bool },
}

impl Host {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Agave { mode, offload } => match (mode, offload) {
                (Mode::Sync, false) => "agave, sync",
                (Mode::Sync, true) => "agave, sync, offload",
                (Mode::Async, false) => "agave, async",
                (Mode::Async, true) => "agave, async, offload",
            },
            Self::Wasmtime { mode, blocking } => match (mode, blocking) {
                (Mode::Sync, false) => "wasmtime-wasi, sync",
                (Mode::Sync, true) => "wasmtime-wasi, sync, blocking",
                (Mode::Async, false) => "wasmtime-wasi, async",
                (Mode::Async, true) => "wasmtime-wasi, async, blocking",
            },
        }
    }

    /// The guest on this host, with `directory` granted and a standard output that is kept in
    /// memory.
    pub(crate) fn column(self, engine: &Engine, directory: &Path) -> Result<Column, Failure> {
        let (role, subject): (_, Box<dyn Subject>) = match self {
            Self::Agave { mode, offload } => (Role::Ours, agave(engine, directory, mode, offload)?),
            Self::Wasmtime { mode, blocking } => (
                Role::Rival,
                wasmtime_wasi(engine, directory, mode, blocking)?,
            ),
        };
        Ok(Column {
            name: self.name(),
            role,
            subject,
        })
    }
}

struct State {
    wasi: WasiPreview1Ctx,
    memory: Option<Memory>,
}

impl WasiPreview1View for State {
    fn preview1(&mut self) -> &mut WasiPreview1Ctx {
        &mut self.wasi
    }

    fn memory(&self) -> Option<Memory> {
        self.memory
    }
}

fn agave(
    engine: &Engine,
    directory: &Path,
    mode: Mode,
    offload: bool,
) -> Result<Box<dyn Subject>, Failure> {
    let runtime = runtime()?;
    let files = match offload {
        true => Files::Offload(Runtime::from(runtime.handle().clone())),
        false => Files::Inline,
    };
    let directory = OsDirectory::open_ambient(directory, files)?;
    let files = WasiFilesystemCtx::new().preopen(Arc::new(directory), "/");
    let cli = WasiCliCtx::new("guest").stdout(Output::new(OUTPUT_MAX));
    let (clocks, random) = (WasiClocksCtx::default(), WasiRandomCtx::default());
    let wasi = WasiPreview1Ctx::new(&cli, clocks, random).filesystem(files);
    let mut linker = Linker::new(engine);
    match mode {
        Mode::Sync => add_to_linker_sync(&mut linker)?,
        Mode::Async => add_to_linker_async(&mut linker)?,
    }
    let state = State { wasi, memory: None };
    let set_memory = |state: &mut State, memory| state.memory = Some(memory);
    let guest = Guest::new(mode, runtime, engine, linker, state, set_memory)?;
    Ok(Box::new(guest))
}

fn wasmtime_wasi(
    engine: &Engine,
    directory: &Path,
    mode: Mode,
    blocking: bool,
) -> Result<Box<dyn Subject>, Failure> {
    let mut wasi = WasiCtx::builder();
    // Before the directory: it keeps what this is then.
    wasi.allow_blocking_current_thread(blocking)
        .stdout(MemoryOutputPipe::new(OUTPUT_MAX))
        .preopened_dir(directory, "/", FsPerms::ReadWrite)?;
    let mut linker: Linker<WasiP1Ctx> = Linker::new(engine);
    match mode {
        Mode::Sync => p1::add_to_linker_sync(&mut linker, |wasi| wasi)?,
        Mode::Async => p1::add_to_linker_async(&mut linker, |wasi| wasi)?,
    }
    let guest = Guest::new(mode, runtime()?, engine, linker, wasi.build_p1(), |_, _| ())?;
    Ok(Box::new(guest))
}
