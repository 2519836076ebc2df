use super::Failure;
use super::options::{Wasi, Wasm, duration, environment, size};
use agave_host::os::{Server, ServerOptions};
use agave_host::{Ctx, Host, Limits, RequestNumber, ServeError, Service};
use std::cell::OnceCell;
use std::error::Error;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{fs, process};
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use wasi_cli::{LineOutput, WasiCliCtx};
use wasi_http::Client;
use wasi_http::os::OsClient;
use wasi_io::os::Runtime;
use wasi_sockets::Network;
use wasi_sockets::os::OsNetwork;

/// The agent that is served where no component is named.
const AGENT: &[u8] = include_bytes!("../../../assets/ai_agent_sockets.wasm");

/// A request's time where no other is set: a guest that spins is not served for ever.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The longest line of a guest's output that the log shows whole, in bytes.
const LINE: usize = 8 << 10;

/// The exit code of a process that a signal ends is this and the signal's number.
const SIGNALLED: i32 = 128;

#[derive(clap::Args)]
pub(super) struct Serve {
    /// The component to serve; without one, the AI agent that is built in
    component: Option<PathBuf>,

    /// Where to listen; port 0 lets the system choose
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    addr: SocketAddr,

    /// Grant what WASI has: inherit-network (sockets, names and outgoing HTTP), inherit-env;
    /// cli, http and p3 are accepted and always on
    #[arg(short = 'S', value_name = "KEY[=y|n],…")]
    wasi: Vec<String>,

    /// Set limits: max-memory-size=BYTES, timeout=TIME
    #[arg(short = 'W', value_name = "KEY=VALUE,…")]
    wasm: Vec<String>,

    /// Give guests an environment variable; without a value, this process's own
    #[arg(long, value_name = "KEY[=VALUE]")]
    env: Vec<String>,

    /// How many requests are in guests' hands at once; the rest wait, then get a 503
    #[arg(long, value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max_concurrent: u32,

    /// How much linear memory an instance may have, such as 64M [default: 256M]
    #[arg(long, value_name = "BYTES", value_parser = size)]
    max_memory: Option<usize>,

    /// How long a request's guest may take, such as 500ms or 10s [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,

    /// How many requests an instance answers, one after another, before it is replaced
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    max_instance_reuse_count: u32,
}

impl Serve {
    pub(super) fn run(self) -> Result<(), Failure> {
        let wasi = Wasi::parse(&self.wasi).map_err(Failure::Usage)?;
        let wasm = Wasm::parse(&self.wasm).map_err(Failure::Usage)?;
        let environment = environment(&self.env, wasi.inherit_env).map_err(Failure::Usage)?;
        self.serve(wasi, wasm, environment)
            .map_err(|error| Failure::Failed(error.to_string()))
    }

    fn serve(
        self,
        wasi: Wasi,
        wasm: Wasm,
        environment: Vec<(String, String)>,
    ) -> Result<(), Box<dyn Error>> {
        let timeout = self.timeout.or(wasm.timeout).unwrap_or(TIMEOUT);
        let nanoseconds = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        let mut limits = Limits::new().timeout(Some(nanoseconds));
        let mut host = Host::builder().instances(self.max_concurrent);
        if let Some(memory) = self.max_memory.or(wasm.max_memory_size) {
            limits = limits.memory(memory);
            host = host.memory(memory);
        }
        let grants = Grants {
            environment,
            network: wasi.inherit_network,
            limits,
        };

        let program = host.build()?.load(&read(self.component.as_deref())?);
        let program = program.map_err(|error| format!("{}: {error}", self.name()))?;
        let options = ServerOptions::new().max_concurrent(self.max_concurrent);
        let server = Server::bind(self.addr, options)
            .map_err(|error| format!("can't listen on {}: {error}", self.addr))?;
        let executor = Arc::new(server.cores().clone());
        let service = Service::new(program, move |number| grants.ctx(number), executor)
            .map_err(|error| format!("{}: {error}", self.name()))?
            .reuse(self.max_instance_reuse_count)
            .report(log_failure);

        let runtime = Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let interrupt = signal(SignalKind::interrupt())?;
            let terminate = signal(SignalKind::terminate())?;
            eprintln!("Serving HTTP on http://{}/", server.address()?);
            server
                .serve(service, asked_to_end(interrupt, terminate))
                .await?;
            Ok(())
        })
    }

    fn name(&self) -> String {
        match &self.component {
            Some(path) => format!("{}", path.display()),
            None => "the built-in agent".into(),
        }
    }
}

fn read(component: Option<&Path>) -> Result<Vec<u8>, String> {
    match component {
        Some(path) => {
            fs::read(path).map_err(|error| format!("can't read {}: {error}", path.display()))
        }
        None => Ok(AGENT.into()),
    }
}

fn log_failure(number: u64, error: &ServeError) {
    log::error!("request {number}: {error}");
    if let ServeError::Failed(cause) = error {
        log::debug!("request {number}: {cause:?}");
    }
}

/// Ready at the first SIGINT or SIGTERM; from then on, the next one ends the process.
async fn asked_to_end(mut interrupt: Signal, mut terminate: Signal) {
    let mut next = async move || {
        tokio::select! {
            _ = interrupt.recv() => SignalKind::interrupt(),
            _ = terminate.recv() => SignalKind::terminate(),
        }
    };
    next().await;
    log::info!("finishing what is in flight; once more to end at once");
    tokio::spawn(async move {
        let signal = next().await;
        process::exit(SIGNALLED + signal.as_raw_value());
    });
}

/// What every guest is granted.
struct Grants {
    environment: Vec<(String, String)>,
    network: bool,
    limits: Limits,
}

/// What the guests of one core share: the sockets that wake it, and its pooled connections.
struct Shared {
    network: Arc<dyn Network>,
    client: Arc<dyn Client>,
}

thread_local! {
    static SHARED: OnceCell<Shared> = const { OnceCell::new() };
}

impl Grants {
    fn ctx(&self, number: RequestNumber) -> Ctx {
        let mut cli = WasiCliCtx::default()
            .stdout(lines("stdout", number.clone()))
            .stderr(lines("stderr", number));
        for (key, value) in &self.environment {
            cli = cli.env(key, value);
        }
        let ctx = Ctx::builder().cli(cli).limits(self.limits.clone());
        if !self.network {
            return ctx.build();
        }
        SHARED.with(|shared| {
            let shared = shared.get_or_init(|| {
                let runtime = Runtime::current();
                Shared {
                    network: Arc::new(OsNetwork::new(runtime.clone())),
                    client: Arc::new(OsClient::new(runtime)),
                }
            });
            let ctx = ctx.network(shared.network.clone());
            ctx.http_client(shared.client.clone()).build()
        })
    }
}

/// A guest's output, as lines of the log with its request's number.
fn lines(stream: &'static str, number: RequestNumber) -> LineOutput {
    LineOutput::new(LINE, move |line| {
        let line = String::from_utf8_lossy(line);
        log::info!("request {} {stream}: {line}", number.get());
    })
}
