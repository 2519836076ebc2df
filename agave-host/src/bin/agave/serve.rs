use super::grants::{GrantFlags, Grants, Network};
use super::options::duration;
use super::{Failure, read};
use agave_host::os::{Server, ServerOptions};
use agave_host::{Ctx, Host, Limits, RequestNumber, ServeError, Service};
use std::cell::OnceCell;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{self, ExitCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use wasi_cli::{LineOutput, WasiCliCtx};
use wasi_filesystem::os::Mode;
use wasi_http::os::OsClient;
use wasi_http::websocket::{ConnectionCount, WasiWebSocketCtx};
use wasi_io::os::Runtime;
use wasi_sockets::os::OsNetwork;

/// The agent that is served where no component is named.
const AGENT: &[u8] = include_bytes!("../../../assets/ai_agent_sockets.wasm");

/// A request's time where no other is set: a guest that spins is not served for ever.
const TIMEOUT: Duration = Duration::from_secs(60);

/// How many instances there may be beside those with a request, waiting for one.
const IDLE: u32 = 256;

/// The longest line of a guest's output that the log shows whole, in bytes.
const LINE: usize = 8 << 10;

/// How many WebSockets the guests have at once, those that they made and those that they
/// accepted, all together.
const WEBSOCKETS: usize = 10_000;

/// The exit code of a process that a signal ends is this and the signal's number.
const SIGNALLED: i32 = 128;

#[derive(clap::Args)]
pub(super) struct Serve {
    /// The component to serve; without one, the AI agent that is built in
    component: Option<PathBuf>,

    /// Where to listen; port 0 lets the system choose
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    addr: SocketAddr,

    /// How many requests and WebSockets are in guests' hands at once; the rest wait, then get a 503
    #[arg(long, value_name = "N", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max_concurrent: u32,

    /// How many requests an instance answers before it is replaced; 1 for WASI 0.2, 128 for 0.3
    #[arg(long, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    max_instance_reuse_count: Option<u32>,

    /// How many requests an instance of WASI 0.3 answers at once; others have one at a time
    #[arg(long, value_name = "N", default_value_t = 16)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000))]
    max_instance_concurrent_reuse_count: u32,

    /// How long an instance of WASI 0.3 is kept that has no request
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = duration)]
    idle_instance_timeout: Duration,

    // Last: what follows in the help would stand under their heading.
    #[command(flatten)]
    grants: GrantFlags,
}

impl Serve {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let files = Mode::Offload(Runtime::from(runtime.handle().clone()));
        let grants = self.grants.grants(files)?;
        let timeout = grants.timeout.unwrap_or(TIMEOUT);
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let mut limits = Limits::new().timeout(Some(nanoseconds(timeout)));
        let mut host = Host::builder().instances(self.max_concurrent + IDLE);
        if let Some(memory) = grants.max_memory {
            limits = limits.memory(memory);
            host = host.memory(memory);
        }
        let bytes = match &self.component {
            Some(path) => read(path)?,
            None => AGENT.into(),
        };
        let failed = |told: &dyn Display| Failure::Failed(format!("{}: {told}", self.name()));
        let program = grants
            .host(host)
            .build()?
            .load(&bytes)
            .map_err(|error| failed(&error))?;
        if program.is_module() {
            return Err(failed(
                &"it is a core module, and only a component can answer requests: use `agave run`",
            ));
        }
        let serves = program.is_proxy() || program.is_websocket_server();
        if program.is_command() && !serves {
            let told = "it runs and ends (it exports wasi:cli/run): use `agave run`";
            return Err(failed(&told));
        }
        let options = ServerOptions::new().max_concurrent(self.max_concurrent);
        let server = Server::bind(self.addr, options)
            .map_err(|error| Failure::Failed(format!("can't listen on {}: {error}", self.addr)))?;
        let executor = Arc::new(server.cores().clone());
        let websockets = ConnectionCount::new(WEBSOCKETS);
        let service = Service::new(
            program,
            move |number| ctx(&grants, &limits, websockets.clone(), number),
            executor,
        )
        .map_err(|error| failed(&error))?
        .concurrent_reuse(self.max_instance_concurrent_reuse_count)
        .idle_timeout(nanoseconds(self.idle_instance_timeout))
        .report(log_failure);
        let service = match self.max_instance_reuse_count {
            Some(requests) => service.reuse(requests),
            None => service,
        };

        runtime.block_on(async {
            let interrupt = signal(SignalKind::interrupt())?;
            let terminate = signal(SignalKind::terminate())?;
            eprintln!("Serving HTTP on http://{}/", server.address()?);
            server
                .serve(service, asked_to_end(interrupt, terminate))
                .await?;
            Ok(ExitCode::SUCCESS)
        })
    }

    fn name(&self) -> String {
        match &self.component {
            Some(path) => format!("{}", path.display()),
            None => "the built-in agent".into(),
        }
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

thread_local! {
    /// What the guests of one core share: the sockets that wake it, and its pooled connections.
    static SHARED: OnceCell<Network> = const { OnceCell::new() };
}

/// The state of a new guest.
fn ctx(
    grants: &Grants,
    limits: &Limits,
    websockets: ConnectionCount,
    number: RequestNumber,
) -> Ctx {
    let cli = WasiCliCtx::default()
        .stdout(lines("stdout", number.clone()))
        .stderr(lines("stderr", number));
    let network = || {
        SHARED.with(|shared| {
            let network = shared.get_or_init(|| {
                let runtime = Runtime::current();
                let client = Arc::new(OsClient::new(runtime.clone()));
                Network {
                    sockets: Arc::new(OsNetwork::new(runtime)),
                    client: client.clone(),
                    connector: client,
                }
            });
            network.clone()
        })
    };
    let websocket = WasiWebSocketCtx::new().shared_count(websockets);
    let ctx = grants.ctx(cli, websocket, network);
    ctx.limits(limits.clone()).build()
}

/// A guest's output, as lines of the log with its request's number.
fn lines(stream: &'static str, number: RequestNumber) -> LineOutput {
    LineOutput::new(LINE, move |line| {
        let line = String::from_utf8_lossy(line);
        log::info!("request {} {stream}: {line}", number.get());
    })
}
