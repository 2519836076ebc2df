//! The demo as somebody runs it who brings backends of their own: in memory, on a bare executor.

use agave_host::demo::{self, Demo, Outcome, Report};
use agave_host::{Ctx, CtxBuilder, Host, RunError};
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::task::{Context, Poll, Wake, Waker};
use wasi_cli::memory::{Input, Output};
use wasi_cli::{Exit, WasiCliCtx};
use wasi_clocks::manual::ManualClock;
use wasi_clocks::{Datetime, Duration, Instant, MonotonicClock, WallClock, WasiClocksCtx};
use wasi_filesystem::memory::{Limits, MemFs};
use wasi_filesystem::{
    DescriptorFlags, DescriptorStat, Directory, DirectoryEntries, ErrorCode, File, Object,
    OpenFlags, PathFlags, ReadOnly, vfs,
};
use wasi_http::memory::{Full, Service};
use wasi_http::websocket::{self, CloseStatus, Established, Handshake, Piece, Socket};
use wasi_io::{Op, Pollable};
use wasi_random::seeded::Seeded;
use wasi_random::{Random, WasiRandomCtx};
use wasi_sockets::{LoopbackNet, Network};
use wasmtime::component::Linker;

static HOST: LazyLock<Host> = LazyLock::new(|| Host::builder().pool(false).build().unwrap());
static DEMO: LazyLock<Demo> = LazyLock::new(|| told(Demo::load(&HOST).unwrap()));

/// `demo`, with those that it asks in memory.
fn told(demo: Demo) -> Demo {
    demo.http("demo.test").websocket("ws://demo.test/")
}

/// 2024-01-01.
fn clock() -> ManualClock {
    ManualClock::new(Datetime::new(1_704_067_200, 0).unwrap())
}

fn random() -> WasiRandomCtx {
    WasiRandomCtx::new(Seeded::new([7; 32]))
}

fn files(clock: &ManualClock) -> Arc<dyn Directory> {
    vfs::directory(Arc::new(MemFs::new(Arc::new(clock.clone()))))
}

fn network(localhost: &str) -> Arc<dyn Network> {
    let network = LoopbackNet::new();
    Arc::new(network.with_name("localhost", [localhost.parse().unwrap()]))
}

/// Everything that is granted apart from files.
fn without_files(clocks: WasiClocksCtx, random: WasiRandomCtx) -> CtxBuilder {
    Ctx::with(clocks, random)
        .network(network("127.0.0.1"))
        .http_client(Arc::new(Service::new(demo::answer)))
        .websocket_connector(Arc::new(websocket::memory::Service::new(demo::echo)))
}

/// Everything.
fn all(clock: &ManualClock) -> CtxBuilder {
    let clocks = WasiClocksCtx::new(clock.clone(), clock.clone());
    without_files(clocks, random()).preopen(files(clock), "/")
}

/// Runs `demo`, and gives the table as it was written too.
fn run(demo: &Demo, clock: &ManualClock, ctx: CtxBuilder) -> (Report, String) {
    let stdout = Output::new(1 << 20);
    let cli = WasiCliCtx::new("demo").stdin(Input::new("input"));
    let ctx = ctx.cli(cli.stdout(stdout.clone())).build();
    let report = block_on(clock, demo.run(ctx)).unwrap();
    (report, String::from_utf8(stdout.contents()).unwrap())
}

/// Polls `future` to its end. When everybody waits, the clock goes on to what is waited for
/// next.
fn block_on<T>(
    clock: &ManualClock,
    future: impl Future<Output = Result<T, RunError>>,
) -> Result<T, RunError> {
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
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return result;
        }
        if !woken.0.swap(false, Ordering::SeqCst) {
            let next = clock.next_deadline().expect("somebody waits for a time");
            clock.advance(next.saturating_sub(MonotonicClock::now(clock)));
        }
    }
}

/// The names of the rows that have this outcome.
fn which(report: &Report, outcome: Outcome) -> Vec<&str> {
    let rows = report.rows.iter().filter(|row| row.outcome == outcome);
    rows.map(|row| row.name.as_str()).collect()
}

const ROWS: [&str; 22] = [
    "arguments",
    "environment",
    "stdin",
    "stdout",
    "stderr",
    "terminals",
    "wall clock",
    "monotonic clock",
    "sleep",
    "random",
    "insecure random",
    "insecure seed",
    "file contents",
    "file metadata",
    "file times",
    "directories",
    "rename and remove",
    "name lookup",
    "TCP echo",
    "UDP echo",
    "HTTP request",
    "WebSocket echo",
];
const FILES: &[&str] = &[
    "file contents",
    "file metadata",
    "file times",
    "directories",
    "rename and remove",
];
const SOCKETS: &[&str] = &["name lookup", "TCP echo", "UDP echo"];

#[test]
fn all_is_ok_without_an_operating_system_and_nothing_is_left() {
    let clock = clock();
    let fs = Arc::new(MemFs::new(Arc::new(clock.clone())));
    fs.write_file("wasi-demo-0", b"somebody's").unwrap();
    let clocks = WasiClocksCtx::new(clock.clone(), clock.clone());
    let ctx = without_files(clocks, random()).preopen(vfs::directory(fs.clone()), "/");
    let (report, table) = run(&DEMO, &clock, ctx);
    assert_eq!(which(&report, Outcome::Ok), ROWS, "{table}");
    assert_eq!(report.exit, Exit::new(0));
    assert_eq!(
        table.lines().last(),
        Some("22 ok, 0 denied, 0 absent, 0 FAILED")
    );
    assert_eq!(fs.read_dir("").unwrap().len(), 1);
    assert_eq!(fs.read_file("wasi-demo-0").unwrap(), b"somebody's");

    // What it says is what this host has.
    let row = |name| report.rows.iter().find(|row| row.name == name).unwrap();
    assert_eq!(row("stdin").note, "5 bytes, then the end");
    assert_eq!(row("wall clock").note, "2024-01-01T00:00:00Z");
    assert_eq!(row("sleep").micros, Some(10_000));
    assert_eq!(row("random").micros, Some(0));
}

#[test]
fn what_is_not_granted_is_denied_and_nothing_fails() {
    let clock = clock();
    let clocks = WasiClocksCtx::new(clock.clone(), clock.clone());
    let nothing = Ctx::with(clocks, random());
    let (report, table) = run(&DEMO, &clock, nothing);
    let denied = [FILES, SOCKETS, &["HTTP request", "WebSocket echo"]].concat();
    assert_eq!(which(&report, Outcome::Denied), denied, "{table}");
    assert_eq!(which(&report, Outcome::Ok).len(), ROWS.len() - denied.len());
    assert_eq!(report.exit, Exit::new(0));
}

#[test]
fn files_that_can_only_be_read_are_denied() {
    let clock = clock();
    let clocks = WasiClocksCtx::new(clock.clone(), clock.clone());
    let read_only = Arc::new(ReadOnly::new(files(&clock)));
    let ctx = without_files(clocks, random()).preopen(read_only.clone(), "/");
    let (report, table) = run(&DEMO, &clock, ctx);
    assert_eq!(which(&report, Outcome::Denied), FILES, "{table}");

    // One that can be written to is found behind it.
    let ctx = all(&clock).preopen(read_only, "/read-only");
    let (report, table) = run(&DEMO, &clock, ctx);
    assert_eq!(which(&report, Outcome::Ok), ROWS, "{table}");
}

/// Goes back by a microsecond at each reading.
struct Backwards(AtomicU64);

impl Backwards {
    fn new() -> Self {
        Self(AtomicU64::new(1_000_000_000_000))
    }

    fn next(&self) -> u64 {
        self.0.fetch_sub(1000, Ordering::Relaxed)
    }
}

impl MonotonicClock for Backwards {
    fn now(&self) -> Instant {
        self.next()
    }

    fn resolution(&self) -> Duration {
        1
    }

    fn timer(&self, _: Instant) -> Box<dyn Pollable> {
        Box::new(Ready)
    }
}

impl WallClock for Backwards {
    fn now(&self) -> Datetime {
        Datetime::new(self.next(), 0).unwrap()
    }

    fn resolution(&self) -> Datetime {
        Datetime::new(1, 0).unwrap()
    }
}

/// Tells the time, and has timers that end at once.
struct Hasty(ManualClock);

impl MonotonicClock for Hasty {
    fn now(&self) -> Instant {
        MonotonicClock::now(&self.0)
    }

    fn resolution(&self) -> Duration {
        1
    }

    fn timer(&self, _: Instant) -> Box<dyn Pollable> {
        Box::new(Ready)
    }
}

struct Ready;

impl Pollable for Ready {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

/// Has one byte only.
struct Stuck(u8);

impl Random for Stuck {
    fn fill(&self, buf: &mut [u8]) -> Result<(), wasi_random::Error> {
        buf.fill(self.0);
        Ok(())
    }
}

/// Files of which a byte reads as another one, and no file can be removed.
struct Rotten(Arc<dyn Directory>);

impl Directory for Rotten {
    fn open_at(
        &self,
        path_flags: PathFlags,
        path: &str,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Op<Result<Object, ErrorCode>> {
        let opened = self.0.open_at(path_flags, path, open_flags, flags);
        opened.map(|object| {
            object.map(|object| match object {
                Object::Directory(dir) => Object::Directory(Arc::new(Self(dir))),
                Object::File(file) => Object::File(Arc::new(RottenFile(file))),
            })
        })
    }

    fn stat(&self) -> Op<Result<DescriptorStat, ErrorCode>> {
        self.0.stat()
    }

    fn stat_at(&self, path_flags: PathFlags, path: &str) -> Op<Result<DescriptorStat, ErrorCode>> {
        self.0.stat_at(path_flags, path)
    }

    fn read_directory(&self) -> Op<Result<Box<dyn DirectoryEntries>, ErrorCode>> {
        self.0.read_directory()
    }

    fn create_directory_at(&self, path: &str) -> Op<Result<(), ErrorCode>> {
        self.0.create_directory_at(path)
    }

    fn unlink_file_at(&self, _: &str) -> Op<Result<(), ErrorCode>> {
        Op::failed(ErrorCode::Busy)
    }

    fn remove_directory_at(&self, path: &str) -> Op<Result<(), ErrorCode>> {
        self.0.remove_directory_at(path)
    }
}

struct RottenFile(Arc<dyn File>);

impl File for RottenFile {
    fn stat(&self) -> Op<Result<DescriptorStat, ErrorCode>> {
        self.0.stat()
    }

    fn read_at(
        &self,
        offset: u64,
        buf: &mut [u8],
    ) -> Op<Result<usize, ErrorCode>, Result<bytes::Bytes, ErrorCode>> {
        let read = self.0.read_at(offset, buf);
        if let (Some(bad), true) = (7_usize.checked_sub(offset as usize), buf.len() > 7) {
            buf[bad] ^= 1;
        }
        read
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Op<Result<usize, ErrorCode>> {
        self.0.write_at(offset, bytes)
    }

    fn append(&self, bytes: &[u8]) -> Op<Result<usize, ErrorCode>> {
        self.0.append(bytes)
    }

    fn set_size(&self, size: u64) -> Op<Result<(), ErrorCode>> {
        self.0.set_size(size)
    }
}

/// Changes what comes.
struct Garbled(websocket::memory::EchoSocket, fn(&mut Piece));

impl Socket for Garbled {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Result<Piece, websocket::ErrorCode>> {
        self.0.poll_receive(cx).map_ok(|mut piece| {
            self.1(&mut piece);
            piece
        })
    }

    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, websocket::ErrorCode>> {
        self.0.poll_send(cx)
    }

    fn send(&mut self, piece: Piece) -> Result<(), websocket::ErrorCode> {
        self.0.send(piece)
    }

    fn close(&mut self, status: Option<CloseStatus>, end: websocket::ErrorCode) {
        self.0.close(status, end);
    }
}

#[test]
fn a_backend_that_is_wrong_fails_its_row_with_the_reason_and_the_run_with_1() {
    let clock = clock();
    let clocks = || WasiClocksCtx::new(clock.clone(), clock.clone());
    let with = |clocks, random| without_files(clocks, random).preopen(files(&clock), "/");
    let of = |random: Stuck| with(clocks(), WasiRandomCtx::new(random));
    let on = |directory| without_files(clocks(), random()).preopen(directory, "/");
    let client = |status, content: &'static str| {
        all(&clock).http_client(Arc::new(Service::new(move |request, options| {
            let mut response = demo::answer(request, options)?;
            response.status = status;
            if !content.is_empty() {
                response.body = Box::new(Full::new(content));
            }
            Ok(response)
        })))
    };
    let connector = |agrees: bool, change: fn(&mut Piece)| {
        let connect = move |handshake: Handshake, limits: websocket::Limits| {
            let socket = websocket::memory::echo(limits.queue);
            let subprotocol = handshake.subprotocols.into_iter().last();
            Ok(Established {
                socket: Box::new(Garbled(socket, change)),
                subprotocol: subprotocol.filter(|_| agrees),
            })
        };
        all(&clock).websocket_connector(Arc::new(websocket::memory::Service::new(connect)))
    };
    let small = Limits {
        bytes: 5000,
        ..Limits::default()
    };
    let small = MemFs::with_limits(Arc::new(clock.clone()), small);
    let rotten = || Arc::new(Rotten(files(&clock)));
    for (ctx, row, reason) in [
        (
            with(
                WasiClocksCtx::new(Backwards::new(), clock.clone()),
                random(),
            ),
            "wall clock",
            "it went back from",
        ),
        (
            with(
                WasiClocksCtx::new(clock.clone(), Backwards::new()),
                random(),
            ),
            "monotonic clock",
            "it went back from",
        ),
        (
            with(
                WasiClocksCtx::new(clock.clone(), Hasty(clock.clone())),
                random(),
            ),
            "sleep",
            "10 ms were over after 0 ns",
        ),
        (of(Stuck(0x55)), "random", "the same bytes twice"),
        (of(Stuck(0x55)), "insecure random", "the same bytes twice"),
        (of(Stuck(0)), "insecure seed", "it is 0"),
        (on(rotten()), "file contents", "read: byte 7 is another one"),
        (on(rotten()), "directories", "unlink-file-at: busy"),
        (
            on(vfs::directory(Arc::new(small))),
            "file contents",
            "write: insufficient-space",
        ),
        (
            all(&clock).network(network("192.0.2.1")),
            "name lookup",
            "localhost is 192.0.2.1",
        ),
        (
            client(404, ""),
            "HTTP request",
            "the status is 404, not 200",
        ),
        (
            client(200, "hello"),
            "HTTP request",
            "the response's content: byte 0 is another one",
        ),
        (
            connector(false, |_| {}),
            "WebSocket echo",
            "the subprotocol is None, not",
        ),
        (
            connector(true, |piece| piece.kind = websocket::MessageType::Binary),
            "WebSocket echo",
            "the echo is of another type",
        ),
        (
            connector(true, |piece| piece.data.truncate(1)),
            "WebSocket echo",
            "the echo: 1 bytes, not",
        ),
    ] {
        let (report, table) = run(&DEMO, &clock, ctx);
        let found = report.rows.iter().find(|it| it.name == row).unwrap();
        assert_eq!(found.outcome, Outcome::Failed, "{row}\n{table}");
        assert!(found.note.starts_with(reason), "{row}: {}", found.note);
        assert_eq!(report.exit, Exit::new(1), "{row}");
        assert_eq!(report.rows.len(), ROWS.len(), "{table}");
    }
}

#[test]
fn what_a_backend_does_not_support_is_absent() {
    let clock = clock();
    let clocks = WasiClocksCtx::new(clock.clone(), clock.clone());
    let rotten = Arc::new(Rotten(files(&clock)));
    let ctx = without_files(clocks, random()).preopen(rotten, "/");
    let (report, table) = run(&DEMO, &clock, ctx);
    // It has no times, and no rename.
    let absent = ["file times", "rename and remove"];
    assert_eq!(which(&report, Outcome::Absent), absent, "{table}");
}

/// An interface, or all of a package, put into a linker.
type Link = fn(&mut Linker<agave_host::HostState>) -> wasmtime::Result<()>;

#[test]
fn interfaces_that_the_host_lacks_are_absent_and_the_rest_is_tried() {
    let packages: [(Link, &[&str]); 7] = [
        (
            wasi_clocks::p2::add_to_linker,
            &["wall clock", "monotonic clock", "sleep"],
        ),
        (
            wasi_random::p2::add_to_linker,
            &["random", "insecure random", "insecure seed"],
        ),
        (wasi_filesystem::p2::add_to_linker, FILES),
        (wasi_sockets::p2::add_to_linker, SOCKETS),
        // A WebSocket is asked for with the header fields of HTTP.
        (
            wasi_http::p2::add_to_linker,
            &["HTTP request", "WebSocket echo"],
        ),
        (websocket::p2::add_to_linker, &["WebSocket echo"]),
        (wasi_cli::p2::add_to_linker, &[]),
    ];
    const HTTP: usize = 4;
    const WEBSOCKET: usize = 5;
    let (of_cli, others) = packages.split_last().unwrap();
    let lacking = |missing: &dyn Fn(usize) -> bool| {
        let mut host = HOST.clone();
        *host.linker() = Linker::new(HOST.engine());
        wasi_io::p2::add_to_linker(host.linker()).unwrap();
        of_cli.0(host.linker()).unwrap();
        for (index, (link, _)) in others.iter().enumerate() {
            let with_http = index == WEBSOCKET;
            if !(missing(index) || with_http && missing(HTTP)) {
                link(host.linker()).unwrap();
            }
        }
        told(Demo::load(&host).unwrap())
    };
    let clock = clock();
    for (index, (_, rows)) in others.iter().enumerate() {
        let demo = lacking(&|other| other == index);
        let (report, table) = run(&demo, &clock, all(&clock));
        assert_eq!(which(&report, Outcome::Absent), *rows, "{table}");
        assert_eq!(which(&report, Outcome::Ok).len(), ROWS.len() - rows.len());
        assert_eq!(report.exit, Exit::new(0));
    }

    let demo = lacking(&|_| true);
    let packages = ["clocks", "random", "filesystem", "sockets", "http"];
    let named = |name: &str| {
        packages
            .iter()
            .any(|it| name.starts_with(&format!("wasi:{it}/")))
            || name.starts_with("agave:websocket/")
    };
    assert!(demo.absent().all(named) && demo.absent().count() >= packages.len());
    let (report, table) = run(&demo, &clock, all(&clock));
    let absent = others.iter().flat_map(|(_, rows)| *rows).copied();
    let mut absent: Vec<_> = absent.collect();
    absent.dedup();
    assert_eq!(which(&report, Outcome::Absent), absent, "{table}");
    assert!(
        report.rows.iter().all(|row| row.micros.is_none()),
        "{table}"
    );
}

#[test]
fn a_host_of_another_patch_of_the_interfaces_lacks_none() {
    let mut host = HOST.clone();
    *host.linker() = Linker::new(HOST.engine());
    wasi_io::p2::add_to_linker(host.linker()).unwrap();
    let mut other = host
        .linker()
        .instance("wasi:random/insecure-seed@0.2.3")
        .unwrap();
    let seed = |_: wasmtime::StoreContextMut<'_, _>, (): ()| Ok(((1_u64, 2_u64),));
    other.func_wrap("insecure-seed", seed).unwrap();
    let demo = Demo::load(&host).unwrap();
    assert!(
        demo.absent()
            .all(|name| name != "wasi:random/insecure-seed")
    );
    assert!(demo.absent().any(|name| name == "wasi:random/random"));
}

#[test]
fn a_host_without_standard_output_has_no_table_and_an_exit_code_all_the_same() {
    let mut host = HOST.clone();
    *host.linker() = Linker::new(HOST.engine());
    wasi_io::p2::add_to_linker(host.linker()).unwrap();
    let clock = clock();
    let (report, table) = run(&Demo::load(&host).unwrap(), &clock, all(&clock));
    assert_eq!((report.exit, report.rows.len()), (Exit::new(0), 0));
    assert_eq!(table, "");
}

#[test]
fn the_machine_s_own_clocks_and_random_numbers_are_enough_to_begin_with() {
    let cli = WasiCliCtx::new("demo");
    let report = pollster::block_on(demo::run(&HOST, Ctx::builder().cli(cli).build())).unwrap();
    assert_eq!(which(&report, Outcome::Ok), ROWS[..12]);
    assert_eq!(report.exit, Exit::new(0));
}
