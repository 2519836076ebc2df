//! `agave run`: a program, its exit code, and what it says when it fails.

use super::grants::{GrantFlags, Grants, Network};
use super::listeners::listen;
use super::{Failure, on_one_line, read};
use agave_host::{BoxFuture, Ctx, Host, Limits, LoadError, RunError, wasmi};
use clap::ValueEnum;
use std::ffi::OsString;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use tokio::runtime::Builder;
use wasi_cli::os::{SystemStdin, SystemStdout};
use wasi_cli::{Exit, WasiCliCtx};
use wasi_filesystem::os::Mode;
use wasi_http::os::OsClient;
use wasi_http::websocket::{self, Connector, WasiWebSocketCtx};
use wasi_http::{Client, Denied};
use wasi_io::StreamError;
use wasi_io::os::Runtime;
use wasi_sockets::os::OsNetwork;
use wasmtime::WasmBacktrace;

/// What a program may have where no limit is set: all that 32 bits can address. It has the
/// process to itself, and may be a large one.
const MEMORY: usize = 1 << 32;
const TABLE_ELEMENTS: usize = 1_000_000;
const CALL_BYTES: usize = 128 << 20;

/// The exit code of a process that a broken pipe ends: 128 and `SIGPIPE`.
const BROKEN_PIPE: u8 = 128 + 13;

/// How long the output of a program whose time is up may still take to be read.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// The most lines of a backtrace that are shown, and the most bytes of one.
const FRAMES: usize = 64;
const FRAME: usize = 1 << 10;

#[derive(clap::Args)]
pub(super) struct Run {
    /// What the program is told that it is called; the name of its file, unless set
    #[arg(long, value_name = "NAME")]
    argv0: Option<String>,

    /// Give a core module a socket that listens, as descriptor 3 and so on; with port 0, one that
    /// is free, which is told
    #[arg(long, value_name = "ADDR")]
    tcplisten: Vec<SocketAddr>,

    /// What runs it: compiled by wasmtime, or interpreted by wasmi, which takes core modules alone
    #[arg(long, value_name = "ENGINE", default_value = "wasmtime")]
    engine: Engine,

    /// The component or core module to run, and its arguments
    #[arg(value_name = "PROGRAM", required = true, trailing_var_arg = true)]
    program: Vec<OsString>,

    // Last: what follows in the help would stand under their heading.
    #[command(flatten)]
    grants: GrantFlags,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Engine {
    Wasmtime,
    Wasmi,
}

/// A program on its engine.
enum Program {
    Compiled(agave_host::Program),
    Interpreted(wasmi::Program),
}

impl Program {
    fn is_module(&self) -> bool {
        match self {
            Self::Compiled(program) => program.is_module(),
            Self::Interpreted(_) => true,
        }
    }

    /// Whether it looks for directories.
    fn finds_directories(&self) -> bool {
        const FIND: &str = "fd_prestat_get";
        match self {
            Self::Compiled(program) => {
                program.imports("wasi:filesystem/preopens") || program.module_imports(FIND)
            }
            Self::Interpreted(program) => program.module_imports(FIND),
        }
    }

    /// Whether it sends HTTP requests, those for WebSockets included.
    fn sends(&self) -> bool {
        match self {
            Self::Compiled(program) => {
                ["outgoing-handler", "client", "handler"]
                    .iter()
                    .any(|it| program.imports(&format!("wasi:http/{it}")))
                    || program.imports("agave:websocket/client")
            }
            Self::Interpreted(_) => false,
        }
    }

    fn run(&self, ctx: Ctx) -> BoxFuture<Result<Exit, RunError>> {
        match self {
            Self::Compiled(program) => {
                let program = program.clone();
                Box::pin(async move { program.run(ctx).await })
            }
            Self::Interpreted(program) => {
                let program = program.clone();
                Box::pin(async move { program.run(ctx).await })
            }
        }
    }
}

impl Run {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let mut grants = self.grants.grants(Mode::Inline)?;
        let mut words = self.program.into_iter();
        let path = words.next().unwrap_or_default();
        let path = Path::new(&path);
        let program = load(path, &grants, self.engine)?;
        if !self.tcplisten.is_empty() && !program.is_module() {
            return Err(Failure::Usage(
                "--tcplisten is for core modules: a component opens its own sockets, with \
                 --allow-net listen:PORT"
                    .into(),
            ));
        }
        if !program.finds_directories() {
            grants.without_implied_directory();
        }
        let cli = cli(path, self.argv0, words)?;
        run(path, &program, cli, &grants, &self.tcplisten)
    }
}

/// The program's name and its arguments.
fn cli(
    path: &Path,
    argv0: Option<String>,
    arguments: impl Iterator<Item = OsString>,
) -> Result<WasiCliCtx, Failure> {
    // Not where it lies: that is the host's.
    let file = path.file_name().unwrap_or_default().to_string_lossy();
    let mut cli = WasiCliCtx::new(argv0.unwrap_or(file.into()));
    for argument in arguments {
        let argument = argument.into_string().map_err(|argument| {
            Failure::Usage(format!("the argument {argument:?} is not Unicode"))
        })?;
        cli = cli.arg(argument);
    }
    Ok(cli)
}

fn run(
    path: &Path,
    program: &Program,
    cli: WasiCliCtx,
    grants: &Grants,
    tcplisten: &[SocketAddr],
) -> Result<ExitCode, Failure> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Failed(error.to_string()))?;
    let streams =
        [SystemStdout::stdout(), SystemStdout::stderr()].map(SystemStdout::hold_broken_pipe);
    let [stdout, stderr] = streams.clone();
    let cli = cli.stdin(SystemStdin).stdout(stdout).stderr(stderr);
    let nanoseconds = |timeout: Duration| u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
    let limits = Limits::new()
        .memory(grants.max_memory.unwrap_or(MEMORY))
        .table_elements(TABLE_ELEMENTS)
        .call_bytes(CALL_BYTES)
        .timeout(grants.timeout.map(nanoseconds));
    // Outside of that runtime: it has a thread, so that requests go on while the guest computes.
    let sends = grants.have_network() && program.sends();
    let (client, connector): (Arc<dyn Client>, Arc<dyn Connector>) = match sends {
        true => {
            let client = Arc::new(OsClient::new(Runtime::current()));
            (client.clone(), client)
        }
        false => (Arc::new(Denied), Arc::new(websocket::Denied)),
    };
    let ended = runtime.block_on(async {
        let network = || Network {
            sockets: Arc::new(OsNetwork::current()),
            client,
            connector,
        };
        let websocket = WasiWebSocketCtx::new();
        let mut ctx = grants.ctx(cli, websocket, network).limits(limits);
        if !tcplisten.is_empty() {
            for listener in listen(&OsNetwork::current(), tcplisten).await? {
                ctx = ctx.listener(listener);
            }
        }
        Ok::<_, Failure>(ended(program.run(ctx.build()), &streams).await)
    });
    // What the program left behind, such as a name look-up, is not waited for.
    runtime.shutdown_background();
    ended?.code(path)
}

fn load(path: &Path, grants: &Grants, engine: Engine) -> Result<Program, Failure> {
    let failed =
        |error: &dyn std::fmt::Display| Failure::Failed(format!("{}: {error}", path.display()));
    let bytes = read(path)?;
    // Nobody else waits for a turn: only a timeout has to interrupt it.
    let interrupts = grants.timeout.is_some();
    if engine == Engine::Wasmi {
        let host = wasmi::Host::new(interrupts).map_err(|error| failed(&error))?;
        let program = host.load(&bytes).map_err(|error| match error {
            LoadError::Component => {
                failed(&"it is a component, which wasmi can't run: leave out --engine wasmi")
            }
            error => failed(&error),
        })?;
        return match program.is_command() {
            true => Ok(Program::Interpreted(program)),
            false => Err(failed(&NO_START)),
        };
    }
    let host = grants.host(Host::builder().pool(false).epochs(interrupts));
    let host = host.build().map_err(|error| failed(&error))?;
    let program = host.load(&bytes).map_err(|error| failed(&error))?;
    if program.is_command() {
        return Ok(Program::Compiled(program));
    }
    Err(failed(if program.is_module() {
        &NO_START
    } else if program.is_proxy() {
        &"it answers HTTP requests (it exports wasi:http/incoming-handler@0.2 or \
          wasi:http/handler@0.3): use `agave serve`"
    } else if program.is_websocket_server() {
        &"it serves WebSockets (it exports agave:websocket/handler@0.1): use `agave serve`"
    } else {
        &"it is no command: it does not export wasi:cli/run@0.2 or wasi:cli/run@0.3"
    }))
}

/// Of a core module.
const NO_START: &str = "it is no command: it does not export a function `_start`";

/// How a program ended, all of its output written.
pub(super) enum Ended {
    Exit(Exit),
    /// Nobody reads its output any more.
    BrokenPipe,
    /// It succeeded, as far as it knows.
    Output(StreamError),
    Failed(RunError),
}

impl Ended {
    /// The exit code of a program that lies at `path`, or what is said of it.
    pub(super) fn code(self, path: &Path) -> Result<ExitCode, Failure> {
        match self {
            Self::Exit(exit) => Ok(ExitCode::from(exit.code)),
            Self::BrokenPipe => Ok(ExitCode::from(BROKEN_PIPE)),
            Self::Output(error) => Err(Failure::Failed(format!(
                "{}: its output can't be written: {error}",
                path.display()
            ))),
            Self::Failed(error) => Err(failure(path, &error)),
        }
    }
}

/// Waits for the end of `run`, or of who reads its output, and until that is written.
pub(super) async fn ended(
    run: impl Future<Output = Result<Exit, RunError>>,
    streams: &[SystemStdout; 2],
) -> Ended {
    let [stdout, stderr] = streams;
    let result = {
        let mut broken = (pin!(stdout.broken_pipe()), pin!(stderr.broken_pipe()));
        let mut run = pin!(run);
        poll_fn(|cx| {
            if broken.0.as_mut().poll(cx).is_ready() || broken.1.as_mut().poll(cx).is_ready() {
                return Poll::Ready(None);
            }
            run.as_mut().poll(cx).map(Some)
        })
        .await
    };
    let Some(result) = result else {
        return Ended::BrokenPipe;
    };
    let written = async {
        let (out, err) = (stdout.written().await, stderr.written().await);
        out.and(err)
    };
    let written = match &result {
        Err(error) if error.is_timeout() => tokio::time::timeout(LAST_OUTPUT, written)
            .await
            .unwrap_or(Ok(())),
        _ => written.await,
    };
    match (result, written) {
        (_, Err(StreamError::Closed)) => Ended::BrokenPipe,
        (Ok(exit), Err(error)) if exit.is_success() => Ended::Output(error),
        (Ok(exit), _) => Ended::Exit(exit),
        (Err(error), _) => Ended::Failed(error),
    }
}

/// What is said of a guest that failed: a line, then where it was.
fn failure(path: &Path, error: &RunError) -> Failure {
    let told = format!("{}: {error}", path.display());
    let RunError::Failed(cause) = error else {
        return Failure::Failed(told);
    };
    match cause.downcast_ref::<WasmBacktrace>() {
        Some(backtrace) => Failure::Trapped(told + &frames(backtrace)),
        None if error.is_timeout() || wasmi::is_trap(cause) => Failure::Trapped(told),
        // It was never in its own code.
        None => Failure::Failed(told),
    }
}

/// The functions that were running, the innermost first, each on a new line that is set in:
/// their names are the guest's, and must not pass for what agave says.
fn frames(backtrace: &WasmBacktrace) -> String {
    let text = backtrace.to_string();
    let heading = 1;
    let mut lines = String::new();
    for line in text.lines().skip(heading).take(FRAMES) {
        lines.push_str(if line.starts_with(' ') {
            "\n"
        } else {
            "\n    "
        });
        let end = line.floor_char_boundary(FRAME);
        lines.push_str(&on_one_line(&line[..end]));
    }
    lines
}
