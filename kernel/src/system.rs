//! What the command line asks for, from the files of the initrd.

use crate::clock::Clock;
use crate::exit::Code;
use crate::programs::{self, Loaded};
use crate::stdio::Console;
use crate::{executor, heap, net, say};
use agave_host::demo::{self, Demo, Outcome};
use agave_host::{Ctx, CtxBuilder, Limits, LoadError, RunError};
use agave_kernel::command::{Action, Command, CommandError};
use agave_kernel::initrd::{Initrd, InitrdError};
use alloc::string::String;
use alloc::sync::Arc;
use wasi_cli::{Exit, WasiCliCtx};
use wasi_clocks::{Duration, WasiClocksCtx};
use wasi_filesystem::memory::MemFs;
use wasi_filesystem::{memory, vfs};
use wasi_http::memory::Service;
use wasi_http::websocket::memory as websocket;
use wasi_random::WasiRandomCtx;
use wasi_random::seeded::Seeded;

/// Where `demo` finds its component, compiled.
const DEMO: &str = "demo.cwasm";

/// The part of the heap that files may take beside those of the initrd: one in this many.
const FILES: u64 = 8;

/// What there is for programs.
pub(crate) struct System {
    pub(crate) clock: Clock,
    pub(crate) random: Seeded,
    pub(crate) command_line: String,
    pub(crate) initrd: &'static [u8],
}

/// Why there is no exit code.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Command(#[from] CommandError),
    #[error("{0}")]
    Initrd(#[from] InitrdError),
    #[error("there is no file `{0}` in the initrd")]
    NoFile(String),
    #[error("{0}: {1}")]
    Load(String, LoadError),
    #[error("{0}")]
    Run(#[from] RunError),
}

impl Failure {
    fn code(&self) -> Code {
        match self {
            Self::Run(RunError::Failed(_)) => Code::Failed,
            _ => Code::Command,
        }
    }
}

impl System {
    /// Does what the command line says, and tells how it ended.
    pub(crate) fn run(self) -> Code {
        let (stats, ended) = match Command::parse(&self.command_line) {
            Ok(command) => (command.stats, self.act(command)),
            Err(error) => (false, Err(error.into())),
        };
        if stats {
            let heap = heap::usage();
            say!(
                "heap: {} of {} bytes used, at most {}",
                heap.used,
                heap.total,
                heap.most
            );
        }
        match ended {
            Ok(exit) => {
                say!("exit {}", exit.code);
                Code::Program(exit.code)
            }
            Err(failure) => {
                say!("error: {failure}");
                failure.code()
            }
        }
    }

    fn act(self, command: Command) -> Result<Exit, Failure> {
        let initrd = Initrd::new(self.initrd)?;
        let clock = self.clock.clone();
        let cli = |name: &str| {
            let variables = command.environment.into_iter();
            variables.fold(WasiCliCtx::new(name), |cli, (name, value)| {
                cli.env(name, value)
            })
        };
        // In nanoseconds.
        let timeout = command.timeout.map(|ms| ms.saturating_mul(1_000_000));
        match command.action {
            Action::Run { program, arguments } => {
                let loaded = load(&initrd, &program)?;
                let linked = loaded
                    .link()
                    .map_err(|error| Failure::Load(program.clone(), error))?;
                let cli = cli(&program).args(arguments);
                let ctx = self.grants(&initrd, &program, cli, timeout)?.build();
                Ok(executor::run(&clock, async move { linked.run(ctx).await })?)
            }
            Action::Demo => {
                let failed = |error| Failure::Load(DEMO.into(), error);
                let Loaded::Component(host, component) = load(&initrd, DEMO)? else {
                    return Err(failed(LoadError::CoreModule));
                };
                let linked = Demo::link(&host, &component).map_err(failed)?;
                let ctx = self
                    .grants(&initrd, DEMO, cli("demo"), timeout)?
                    .http_client(Arc::new(Service::new(demo::answer)))
                    .websocket_connector(Arc::new(websocket::Service::new(demo::echo)))
                    .build();
                let report = executor::run(&clock, async move { linked.run(ctx).await })?;
                let rows = report.rows.iter();
                let failed = rows.filter(|row| row.outcome == Outcome::Failed).count();
                say!("demo: {} rows, {failed} failed", report.rows.len());
                Ok(report.exit)
            }
        }
    }

    /// Everything there is, for the program at `program`.
    fn grants(
        self,
        initrd: &Initrd<'_>,
        program: &str,
        cli: WasiCliCtx,
        timeout: Option<Duration>,
    ) -> Result<CtxBuilder, Failure> {
        let heap = heap::usage().total;
        let limits = memory::Limits {
            bytes: initrd.size() + heap as u64 / FILES,
            ..memory::Limits::default()
        };
        let files = Arc::new(MemFs::with_limits(Arc::new(self.clock.clone()), limits));
        initrd.unpack(&files, program)?;
        let clocks = WasiClocksCtx::new(self.clock.clone(), self.clock);
        let cli = cli.stdin(Console).stdout(Console).stderr(Console);
        Ok(Ctx::with(clocks, WasiRandomCtx::new(self.random))
            .cli(cli)
            .preopen(vfs::directory(files), "/")
            .network(net::network())
            .limits(
                Limits::new()
                    .memory(heap)
                    .timeout(timeout)
                    // In blocks that the reserve of the heap is for.
                    .call_bytes(heap::LARGE / 2),
            ))
    }
}

fn load(initrd: &Initrd<'_>, path: &str) -> Result<Loaded, Failure> {
    let bytes = initrd
        .file(path)
        .ok_or_else(|| Failure::NoFile(path.into()))?;
    programs::load(bytes).map_err(|error| Failure::Load(path.into(), error))
}
