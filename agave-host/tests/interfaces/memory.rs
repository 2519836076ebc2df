//! Backends that need no operating system. No time passes but that which the guest waits for.

use crate::names::Names;
use crate::outcome::{self, Outcome, cli};
use agave_host::{Ctx, CtxBuilder, RunError};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use wasi_cli::Exit;
use wasi_clocks::manual::ManualClock;
use wasi_clocks::{Datetime, MonotonicClock, WallClock, WasiClocksCtx};
use wasi_filesystem::memory::{Limits, MemFs};
use wasi_filesystem::{ReadOnly, WasiFilesystemCtx, vfs};
use wasi_http::memory::{Frames, Service};
use wasi_http::{ErrorCode, Fields, Frame, Request, Response, Scheme};
use wasi_random::WasiRandomCtx;
use wasi_random::seeded::Seeded;
use wasi_sockets::{LoopbackNet, WasiSocketsCtx};

/// 2024-01-01.
pub(crate) fn clock() -> ManualClock {
    ManualClock::new(Datetime::new(1_704_067_200, 0).unwrap())
}

/// Everything that a guest can be granted.
pub(crate) fn ctx(clock: &ManualClock) -> CtxBuilder {
    let localhost = ["127.0.0.1", "::1"].map(|ip| ip.parse().unwrap());
    let network = LoopbackNet::new().with_name("localhost", localhost);
    Ctx::with(
        WasiClocksCtx::new(clock.clone(), clock.clone()),
        WasiRandomCtx::new(Seeded::new([7; 32])),
    )
    .sockets(sockets(Names::new(network)))
    .http_client(Arc::new(Service::new(|request, _| serve(request))))
    .filesystem(filesystem(clock))
}

/// The limit that the guest looks for.
pub(crate) fn sockets(network: Names) -> WasiSocketsCtx {
    WasiSocketsCtx::new()
        .network(Arc::new(network))
        .allow_name_lookup(true)
        .max_sockets(64)
}

/// `interfaces PART` over all of it.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let clock = clock();
    let cli = cli(arguments).env("HTTP", "localhost");
    outcome::run(ctx(&clock), cli, |run| block_on(&clock, run))
}

fn filesystem(clock: &ManualClock) -> WasiFilesystemCtx {
    let dir = || vfs::directory(Arc::new(MemFs::new(Arc::new(clock.clone()))));
    WasiFilesystemCtx::new()
        .preopen(dir(), "/")
        .preopen(dir(), "/other")
        .preopen(Arc::new(ReadOnly::new(read_only(clock))), "/read-only")
        .preopen(small(clock.clone()), "/small")
}

/// The tree that the guest expects in `/read-only`.
fn read_only(clock: &ManualClock) -> Arc<dyn wasi_filesystem::Directory> {
    let fs = Arc::new(MemFs::new(Arc::new(clock.clone())));
    fs.create_dir_all("dir").unwrap();
    fs.write_file("file", b"contents").unwrap();
    fs.write_file("dir/file", b"contents").unwrap();
    fs.symlink("file", "link").unwrap();
    vfs::directory(fs)
}

/// One with little room, which no disk has: this is for the machine's set as well.
pub(crate) fn small(clock: impl WallClock) -> Arc<dyn wasi_filesystem::Directory> {
    let limits = Limits {
        bytes: 64 << 10,
        inodes: 16,
        ..Limits::default()
    };
    vfs::directory(Arc::new(MemFs::with_limits(Arc::new(clock), limits)))
}

/// What the guest expects of the server at `HTTP`.
fn serve(request: Request) -> Result<Response, ErrorCode> {
    if !matches!(request.scheme, None | Some(Scheme::Http)) {
        return Err(ErrorCode::HttpRequestUriInvalid);
    }
    let path = request.path_with_query.unwrap_or_default();
    let mut headers = Fields::new();
    let response = |status, headers, body| {
        Ok(Response {
            status,
            headers,
            body,
        })
    };
    if let Some(status) = path.strip_prefix("/status/") {
        let body = Box::new(wasi_http::memory::Empty);
        return response(status.parse().unwrap(), headers, body);
    }
    if path == "/cut" {
        let half = Frame::Data("half".into());
        let cut = [Ok(half), Err(ErrorCode::HttpResponseIncomplete)];
        return response(200, headers, Box::new(Frames::new(cut)));
    }
    let method = request.method.as_str().to_owned();
    headers.append("x-method", method).unwrap();
    headers.append("x-path", path).unwrap();
    for value in request.headers.get_all("x-ask") {
        headers.append("x-ask", value.clone()).unwrap();
    }
    response(200, headers, request.body)
}

/// Polls `future` to its end. When everybody waits, the clock goes on to what is waited for
/// next: no run takes longer than its work.
///
/// Panics where nobody waits for a time.
pub(crate) fn block_on(
    clock: &ManualClock,
    future: impl Future<Output = Result<Exit, RunError>>,
) -> Result<Exit, RunError> {
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(woken.clone());
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(exit) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return exit;
        }
        if !woken.0.swap(false, Ordering::SeqCst) {
            let next = clock
                .next_deadline()
                .expect("a guest that waits for a time");
            clock.advance(next.saturating_sub(MonotonicClock::now(clock)));
        }
    }
}
