//! What there is for programs: the same for each of them, and for each instance of a service.

use crate::clock::Clock;
use crate::disk::{self, VolumeError};
use crate::net::Net;
use crate::stdio::Console;
use crate::virtio::Devices;
use crate::{executor, heap, say};
use agave_host::{Ctx, CtxBuilder, Limits};
use agave_kernel::command::Command;
use agave_kernel::initrd::{Initrd, InitrdError};
use agave_volume::FatVolume;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use wasi_cli::WasiCliCtx;
use wasi_clocks::WasiClocksCtx;
use wasi_filesystem::memory::MemFs;
use wasi_filesystem::{Directory, WasiFilesystemCtx, memory, vfs};
use wasi_http::http1::Http1Client;
use wasi_random::WasiRandomCtx;
use wasi_random::seeded::Seeded;

/// The part of the heap that files may take beside those of the initrd: one in this many.
const FILES: u64 = 8;

/// The most bytes that a call passes either way: in blocks that the reserve of the heap is for.
const CALL: usize = heap::LARGE / 2;

/// Where programs find the volume on the disk.
const DISK: &str = "/disk";

/// Why programs can't have what there is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WorldError {
    #[error("{0}")]
    Initrd(#[from] InitrdError),
    #[error("{0}")]
    Volume(#[from] VolumeError),
    #[error("there are no random numbers")]
    Random,
}

/// A folder, and the name that programs have it by.
type Preopen = (Arc<dyn Directory>, String);

/// The clocks, the network, the files and all else.
pub(crate) struct World {
    clock: Clock,
    pub(crate) clocks: WasiClocksCtx,
    random: Arc<Seeded>,
    pub(crate) net: Net,
    client: Arc<Http1Client>,
    folders: Vec<Preopen>,
    volume: Option<Arc<FatVolume>>,
    environment: Vec<(String, String)>,
    limits: Limits,
}

impl World {
    /// As `command` says, with the files of `initrd` but the program at `program`.
    ///
    /// # Errors
    /// [`WorldError`].
    pub(crate) fn new(
        clock: Clock,
        random: Seeded,
        command: &Command,
        initrd: &Initrd<'_>,
        program: &str,
    ) -> Result<Self, WorldError> {
        let random = Arc::new(random);
        let seed = WasiRandomCtx::new(random.clone()).u64();
        let devices = Devices::find();
        let clocks = WasiClocksCtx::new(clock.clone(), clock.clone());
        let mut folders = folders(&clock, command, initrd, program)?;
        let volume = match devices.block {
            None => None,
            Some(device) => Some(disk::mount(device, &clock)?),
        };
        if let Some(volume) = &volume {
            folders.push((vfs::directory(volume.clone()), DISK.into()));
        }
        let seed = seed.map_err(|_| WorldError::Random)?;
        let net = Net::start(devices.network, &clock, seed);
        let network = Arc::new(net.network.clone());
        let client = Http1Client::new(network, clocks.clone(), Arc::new(executor::spawn));
        let heap = heap::usage().total;
        let memory = command.memory.map_or(heap, |memory| memory.min(heap));
        Ok(Self {
            clock,
            clocks,
            random,
            net,
            client: Arc::new(client),
            folders,
            volume,
            environment: command.environment.clone(),
            limits: Limits::new()
                .memory(memory)
                // In nanoseconds.
                .timeout(command.timeout.map(|ms| ms.saturating_mul(1_000_000)))
                .call_bytes(CALL),
        })
    }

    /// A task's time limit where the command line has none, in nanoseconds.
    pub(crate) fn default_timeout(&mut self, command: &Command, timeout: u64) {
        if command.timeout.is_none() {
            self.limits = self.limits.clone().timeout(Some(timeout));
        }
    }

    /// Everything there is, for an instance of `program`.
    pub(crate) fn ctx(&self, program: &str, arguments: &[String]) -> CtxBuilder {
        let cli = WasiCliCtx::new(program).args(arguments.iter().cloned());
        let variables = self.environment.iter().cloned();
        let cli = variables.fold(cli, |cli, (name, value)| cli.env(name, value));
        let cli = cli.stdin(Console).stdout(Console).stderr(Console);
        let random = WasiRandomCtx::new(self.random.clone()).max_bytes(CALL);
        let files = WasiFilesystemCtx::new()
            .inherit_mutate_directory(true)
            .max_read(CALL);
        let ctx = Ctx::with(self.clocks.clone(), random)
            .cli(cli)
            .filesystem(files)
            .network(Arc::new(self.net.network.clone()))
            .http_client(self.client.clone())
            .limits(self.limits.clone());
        let folders = self.folders.iter().cloned();
        folders.fold(ctx, |ctx, (folder, name)| ctx.preopen(folder, name))
    }

    /// Runs `main` to its end, once the network has an address, and sees to it that what
    /// programs left is sent and written.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        main: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let (net, clocks) = (self.net.clone(), self.clocks.clone());
        let result = executor::run(&self.clock, async move {
            net.ready(&clocks).await;
            let result = main.await;
            net.settle(&clocks).await;
            result
        });
        if let Some(Err(code)) = self.volume.as_ref().map(|volume| volume.flush()) {
            say!("error: the disk may lack what was written last: {code:?}");
        }
        result
    }
}

/// The folders of the initrd that `command` names, or else all of it as `/`.
fn folders(
    clock: &Clock,
    command: &Command,
    initrd: &Initrd<'_>,
    program: &str,
) -> Result<Vec<Preopen>, InitrdError> {
    let wanted: Vec<_> = match &command.folders {
        None => [(String::new(), String::from("/"))].into(),
        Some(names) => names
            .iter()
            .map(|name| (name.clone(), name.clone()))
            .collect(),
    };
    let spare = heap::usage().total as u64 / FILES / wanted.len().max(1) as u64;
    let limits = memory::Limits {
        bytes: initrd.size() + spare,
        ..memory::Limits::default()
    };
    let mut folders = Vec::new();
    for (folder, name) in wanted {
        let files = Arc::new(MemFs::with_limits(Arc::new(clock.clone()), limits));
        initrd.unpack(&folder, &files, program)?;
        folders.push((vfs::directory(files), name));
    }
    Ok(folders)
}
