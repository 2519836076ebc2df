//! The guest, and what a run of it comes to.

use crate::support::server::guest;
use agave_host::{Ctx, CtxBuilder, Host, Limits, Program, RunError};
use std::future::Future;
use std::sync::LazyLock;
use wasi_cli::memory::Output;
use wasi_cli::{Exit, WasiCliCtx};

/// Longer than any run takes that works.
const PATIENCE: u64 = 120_000_000_000;

/// Compiled once for all tests.
static PROGRAM: LazyLock<Program> = LazyLock::new(|| {
    let host = Host::builder().pool(false).build().unwrap();
    let bytes = std::fs::read(guest(crate::INTERFACES)).unwrap();
    host.load(&bytes).unwrap()
});

pub(crate) fn program() -> &'static Program {
    &PROGRAM
}

/// How a run ended, and what it wrote.
pub(crate) struct Outcome {
    pub(crate) exit: Result<Exit, RunError>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the guest with what `ctx` grants and with `cli`, whose output is kept. `block_on` is
/// what drives it.
pub(crate) fn run(
    ctx: CtxBuilder,
    cli: WasiCliCtx,
    block_on: impl FnOnce(RunFuture) -> Result<Exit, RunError>,
) -> Outcome {
    let (stdout, stderr) = (Output::new(1 << 20), Output::new(1 << 20));
    let cli = cli.stdout(stdout.clone()).stderr(stderr.clone());
    let limits = Limits::new().timeout(Some(PATIENCE));
    let ctx: Ctx = ctx.cli(cli).limits(limits).build();
    let exit = block_on(Box::pin(program().run(ctx)));
    let text = |output: Output| String::from_utf8_lossy(&output.contents()).into_owned();
    Outcome {
        exit,
        stdout: text(stdout),
        stderr: text(stderr),
    }
}

pub(crate) type RunFuture =
    std::pin::Pin<Box<dyn Future<Output = Result<Exit, RunError>> + Send + 'static>>;

/// `interfaces PART`, and more arguments.
pub(crate) fn cli(arguments: &[&str]) -> WasiCliCtx {
    WasiCliCtx::new("interfaces").args(arguments.iter().copied())
}

impl Outcome {
    /// Every expectation held, and there were some.
    #[track_caller]
    pub(crate) fn held(&self) {
        let Self { exit, stderr, .. } = self;
        let last = stderr.lines().last().unwrap_or_default();
        let (held, failed) = last.split_once(" held, ").unwrap_or_default();
        let held: u32 = held.parse().unwrap_or_default();
        let success = exit.as_ref().is_ok_and(|exit| exit.is_success());
        assert!(
            held > 0 && failed == "0 failed" && success,
            "{exit:?}\n{stderr}"
        );
    }
}
