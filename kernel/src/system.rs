//! What the command line asks for, from the files of the initrd.

use crate::clock::Clock;
use crate::exit::Code;
use crate::programs::{self, Loaded};
use crate::serve::{self, ServeError};
use crate::world::{World, WorldError};
use crate::{heap, say};
use agave_host::demo::{self, Demo, Outcome};
use agave_host::{LoadError, RunError};
use agave_kernel::command::{Action, Command, CommandError};
use agave_kernel::initrd::{Initrd, InitrdError};
use alloc::string::String;
use alloc::sync::Arc;
use wasi_cli::Exit;
use wasi_http::memory::Service;
use wasi_http::websocket::memory as websocket;
use wasi_random::seeded::Seeded;

/// Where `demo` finds its component, compiled.
const DEMO: &str = "demo.cwasm";

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
    World(#[from] WorldError),
    #[error("{0}")]
    Serve(#[from] ServeError),
    #[error("{0}")]
    Run(#[from] RunError),
}

impl Failure {
    fn code(&self) -> Code {
        match self {
            Self::Run(RunError::Failed(_)) => Code::Failed,
            Self::World(WorldError::Volume(_)) => Code::Machine,
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
            heap::tell();
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
        let path = match &command.action {
            Action::Run { program, .. } | Action::Serve { program, .. } => program.clone(),
            Action::Demo => DEMO.into(),
        };
        let failed = |error| Failure::Load(path.clone(), error);
        let loaded = load(&initrd, &path)?;
        let mut world = World::new(self.clock, self.random, &command, &initrd, &path)?;
        match &command.action {
            Action::Run { arguments, .. } => {
                let linked = loaded.link().map_err(failed)?;
                let ctx = world.ctx(&path, arguments).build();
                Ok(world.run(async move { linked.run(ctx).await })?)
            }
            Action::Serve { address, .. } => {
                let linked = loaded.link().map_err(failed)?;
                world.default_timeout(&command, serve::TIMEOUT);
                serve::serve(world, linked, path, *address, command.stats)?;
                Ok(Exit { code: 0 })
            }
            Action::Demo => {
                let Loaded::Component(host, component) = loaded else {
                    return Err(failed(LoadError::CoreModule));
                };
                let linked = Demo::link(&host, &component).map_err(failed)?;
                let ctx = world
                    .ctx("demo", &[])
                    .http_client(Arc::new(Service::new(demo::answer)))
                    .websocket_connector(Arc::new(websocket::Service::new(demo::echo)))
                    .build();
                let report = world.run(async move { linked.run(ctx).await })?;
                let rows = report.rows.iter();
                let failed = rows.filter(|row| row.outcome == Outcome::Failed).count();
                say!("demo: {} rows, {failed} failed", report.rows.len());
                Ok(report.exit)
            }
        }
    }
}

fn load(initrd: &Initrd<'_>, path: &str) -> Result<Loaded, Failure> {
    let bytes = initrd
        .file(path)
        .ok_or_else(|| Failure::NoFile(path.into()))?;
    programs::load(bytes).map_err(|error| Failure::Load(path.into(), error))
}
