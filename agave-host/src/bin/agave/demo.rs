//! `agave demo`: every API at once.

use super::Failure;
use super::grants::{cache, log_refusal};
use super::run::ended;
use agave_host::{Ctx, CtxBuilder, Host, Limits, demo};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};
use std::sync::Arc;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use wasi_cli::WasiCliCtx;
use wasi_cli::os::{SystemStdin, SystemStdout};
use wasi_clocks::WasiClocksCtx;
use wasi_clocks::os::SystemWallClock;
use wasi_filesystem::memory::MemFs;
use wasi_filesystem::os::{Mode, OsDirectory};
use wasi_filesystem::vfs;
use wasi_http::memory::Service;
use wasi_http::os::OsClient;
use wasi_http::websocket::memory as websocket;
use wasi_io::os::Runtime;
use wasi_random::WasiRandomCtx;
use wasi_random::seeded::Seeded;
use wasi_sockets::os::OsNetwork;
use wasi_sockets::{LoopbackNet, NetworkPolicy};

/// What is granted of this machine's network.
const LOOPBACK: [&str; 5] = [
    "localhost",
    "127.0.0.1",
    "::1",
    "listen:127.0.0.1",
    "listen:[::1]",
];

/// Who is asked in memory.
const HTTP: &str = "demo.test";
const WEBSOCKET: &str = "ws://demo.test/";

/// A fixed seed: each run has the same numbers.
const SEED: [u8; 32] = *b"agave demo: the seed in memory.\n";

/// In nanoseconds. The program gives up each wait long before.
const TIMEOUT: u64 = 300_000_000_000;

/// The exit code of a process that a signal ends is this and the signal's number.
const SIGNALLED: i32 = 128;

#[derive(clap::Args)]
pub(super) struct Demo {
    /// On the backends in memory instead of this machine's: files, network, HTTP, WebSockets and
    /// random numbers of a fixed seed. Clocks and standard streams are this machine's all the
    /// same
    #[arg(long)]
    memory: bool,
}

impl Demo {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let host = Host::builder().pool(false);
        let host = match cache() {
            Some(directory) => host.cache(directory),
            None => host,
        };
        let demo = demo::Demo::load(&host.build()?)?;
        let streams =
            [SystemStdout::stdout(), SystemStdout::stderr()].map(SystemStdout::hold_broken_pipe);
        let [stdout, stderr] = streams.clone();
        let cli = WasiCliCtx::new("wasi-demo")
            .stdin(SystemStdin)
            .stdout(stdout)
            .stderr(stderr);
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let client = OsClient::new(Runtime::current());
        let ended = runtime.block_on(async {
            // From here on a signal does not leave the folder behind.
            let signals = [SignalKind::interrupt(), SignalKind::terminate()].map(signal);
            let [interrupt, terminate] = signals;
            let signalled = signalled(interrupt?, terminate?);
            let (demo, ctx, _scratch) = match self.memory {
                true => (demo.http(HTTP).websocket(WEBSOCKET), memory(), None),
                false => {
                    let scratch = Scratch::new()?;
                    (demo, machine(&scratch.0, client)?, Some(scratch))
                }
            };
            let ctx = ctx.cli(cli).limits(Limits::new().timeout(Some(TIMEOUT)));
            let run = async { Ok(demo.run(ctx.build()).await?.exit) };
            Ok::<_, Failure>(tokio::select! {
                ended = ended(run, &streams) => Ok(ended),
                signal = signalled => Err(signal),
            })
        });
        // What the program left behind, such as a name look-up, is not waited for.
        runtime.shutdown_background();
        match ended? {
            Ok(ended) => ended.code(Path::new("the demo")),
            Err(signal) => process::exit(SIGNALLED + signal.as_raw_value()),
        }
    }
}

/// Ready at the first SIGINT or SIGTERM, with that.
async fn signalled(mut interrupt: Signal, mut terminate: Signal) -> SignalKind {
    tokio::select! {
        _ = interrupt.recv() => SignalKind::interrupt(),
        _ = terminate.recv() => SignalKind::terminate(),
    }
}

/// The folder at `path` and the loopback network of this machine.
fn machine(path: &Path, client: OsClient) -> Result<CtxBuilder, Failure> {
    let directory = OsDirectory::open_ambient(path, Mode::Inline)
        .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))?;
    let mut policy = NetworkPolicy::new().report(log_refusal);
    for rule in LOOPBACK {
        policy = policy.allow(rule.parse()?);
    }
    let network = Arc::new(OsNetwork::current());
    let client = Arc::new(client);
    Ok(Ctx::builder()
        .preopen(Arc::new(directory), "/")
        .network_policy(&policy, network, client.clone())
        .websocket_connector(client))
}

/// What needs no operating system.
fn memory() -> CtxBuilder {
    let files = MemFs::new(Arc::new(SystemWallClock));
    let localhost = ["127.0.0.1", "::1"].map(|ip| ip.parse().expect("an address"));
    let network = LoopbackNet::new().with_name("localhost", localhost);
    Ctx::with(
        WasiClocksCtx::default(),
        WasiRandomCtx::new(Seeded::new(SEED)),
    )
    .preopen(vfs::directory(Arc::new(files)), "/")
    .network(Arc::new(network))
    .http_client(Arc::new(Service::new(demo::answer)))
    .websocket_connector(Arc::new(websocket::Service::new(demo::echo)))
}

/// A folder of this user's alone, which goes with this.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self, Failure> {
        use std::os::unix::fs::DirBuilderExt;
        // Somebody else may have made one of that name.
        for number in 0..100 {
            let name = format!("agave-demo-{}-{number}", process::id());
            let path = std::env::temp_dir().join(name);
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => {
                    return Err(Failure::Failed(format!("{}: {error}", path.display())));
                }
            }
        }
        Err(Failure::Failed(
            "there is no name left for a temporary folder".into(),
        ))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            log::error!("{} is left: {error}", self.0.display());
        }
    }
}
