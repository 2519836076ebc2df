//! Core modules of WASI 0.1 by the library alone: memory backends, on a bare executor, compiled
//! and interpreted.
#![cfg(feature = "wasmi")]

use agave_host::{BoxFuture, Ctx, CtxBuilder, Host, Limits, LoadError, RunError, wasmi};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use wasi_cli::memory::{Input, Output};
use wasi_cli::{Exit, WasiCliCtx};
use wasi_clocks::os::SystemWallClock;
use wasi_filesystem::memory::MemFs;
use wasi_filesystem::vfs;
use wasi_sockets::{IpAddressFamily, LoopbackNet, Network, TcpListener};

const KV: &[u8] = include_bytes!("guests/kv.wasm");
const ECHO: &[u8] = include_bytes!("guests/echo.wasm");

/// A module on an engine.
#[derive(Clone)]
enum Program {
    Compiled(agave_host::Program),
    Interpreted(wasmi::Program),
}

impl Program {
    fn run(&self, ctx: Ctx) -> BoxFuture<Result<Exit, RunError>> {
        match self.clone() {
            Self::Compiled(program) => Box::pin(async move { program.run(ctx).await }),
            Self::Interpreted(program) => Box::pin(async move { program.run(ctx).await }),
        }
    }
}

fn host() -> &'static Host {
    static HOST: OnceLock<Host> = OnceLock::new();
    HOST.get_or_init(|| Host::builder().pool(false).build().unwrap())
}

/// `module` on each engine.
fn programs(module: &[u8]) -> [Program; 2] {
    let interpreter = wasmi::Host::new(true).unwrap();
    [
        Program::Compiled(host().load(module).unwrap()),
        Program::Interpreted(interpreter.load(module).unwrap()),
    ]
}

/// A module with functions of WASI, whose `_start` does `body`.
fn module(imports: &str, body: &str) -> Vec<u8> {
    let text = format!(
        r#"(module {imports} (memory (export "memory") 1)
        (table 1 funcref)
        (data (i32.const 1024) "x")
        (func (export "_start") (local $n i32) {body}))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

const EXIT: &str = r#"(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))"#;

fn code(result: Result<Exit, RunError>) -> u8 {
    result.expect("it exits").code
}

/// Runs `kv`, and gives what it wrote to its output too.
fn kv(program: &Program, fs: &Arc<MemFs>, words: &[&str], input: &'static str) -> (u8, String) {
    let stdout = Output::new(1 << 20);
    let cli = WasiCliCtx::new("kv").args(words.iter().copied());
    let cli = cli.stdin(Input::new(input)).stdout(stdout.clone());
    let ctx = Ctx::builder().cli(cli);
    let ctx = ctx.preopen(vfs::directory(fs.clone()), "/").build();
    let code = code(pollster::block_on(program.run(ctx)));
    (code, String::from_utf8(stdout.contents()).unwrap())
}

#[test]
fn a_module_runs_on_backends_in_memory_and_what_it_stores_outlives_it() {
    for program in programs(KV) {
        let fs = Arc::new(MemFs::new(Arc::new(SystemWallClock)));
        for (words, input, expected) in [
            (&["set", "a", "1"][..], "", (0, "")),
            (&["import"], "b=2\nc=3\n", (0, "2 stored\n")),
            (&["get", "b"], "", (0, "2\n")),
            (&["get", "d"], "", (1, "")),
            (&["list"], "", (0, "a\nb\nc\n")),
        ] {
            let (code, output) = kv(&program, &fs, words, input);
            assert_eq!((code, output.as_str()), expected, "{words:?}");
        }
        assert!(fs.read_file("kv/000001/000001.log").unwrap().len() > 10);
        // All of it is back.
        assert_eq!(Arc::strong_count(&fs), 1);
    }
}

#[test]
fn modules_on_one_thread_take_turns_where_they_yield() {
    let imports = r#"
        (import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))
        (import "wasi_snapshot_preview1" "fd_write"
            (func $write (param i32 i32 i32 i32) (result i32)))"#;
    let said = |letter: char| {
        let body = format!(
            "(i32.store8 (i32.const 1024) (i32.const {}))
            (local.set $n (i32.const 3))
            (loop $next
                (i32.store (i32.const 0) (i32.const 1024))
                (i32.store (i32.const 4) (i32.const 1))
                (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))
                (drop (call $yield))
                (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))",
            letter as u32
        );
        programs(&module(imports, &body))
    };
    let ([a, a2], [b, b2]) = (said('a'), said('b'));
    for (one, two) in [(&a, &b), (&a2, &b2), (&a, &b2)] {
        let output = Output::new(100);
        let ctx = || {
            let cli = WasiCliCtx::new("m").stdout(output.clone());
            Ctx::builder().cli(cli).build()
        };
        let mut runs = [one.run(ctx()), two.run(ctx())];
        let mut cx = Context::from_waker(Waker::noop());
        let mut ended = [false; 2];
        while ended != [true; 2] {
            for (run, ended) in runs.iter_mut().zip(&mut ended) {
                if *ended {
                    continue;
                }
                let before = output.contents().len();
                if let Poll::Ready(result) = run.as_mut().poll(&mut cx) {
                    assert_eq!(code(result), 0);
                    *ended = true;
                }
                // A turn ends at the yield at the latest; on a slow machine its time is up before.
                assert!(output.contents().len() <= before + 1);
            }
        }
        let mut all = output.contents();
        all.sort_unstable();
        assert_eq!(all, b"aaabbb");
    }
}

#[test]
fn two_that_compute_share_a_thread() {
    let spin = programs(&module("", "(loop $forever (br $forever))"));
    let ends = programs(&module(EXIT, "(call $exit (i32.const 5))"));
    for (spin, ends) in spin.iter().zip(&ends) {
        let ctx = || Ctx::builder().build();
        let (mut spin, mut ends) = (spin.run(ctx()), pin!(ends.run(ctx())));
        let result = pollster::block_on(poll_fn(|cx| {
            assert!(spin.as_mut().poll(cx).is_pending());
            ends.as_mut().poll(cx)
        }));
        assert_eq!(code(result), 5);
    }
}

async fn listener(network: &LoopbackNet, address: SocketAddr) -> Arc<dyn TcpListener> {
    let mut socket = network.tcp_socket(IpAddressFamily::Ipv4).unwrap();
    let bound = poll_fn(|cx| socket.poll_bind(cx, address)).await;
    bound.expect("the address is free");
    poll_fn(|cx| socket.poll_listen(cx, 8)).await.unwrap()
}

#[test]
fn dropping_a_run_ends_it_and_frees_what_it_held() {
    for program in programs(ECHO) {
        let fs = Arc::new(MemFs::new(Arc::new(SystemWallClock)));
        let (network, output) = (LoopbackNet::new(), Output::new(1000));
        let address = "127.0.0.1:7".parse().unwrap();
        let listening = pollster::block_on(listener(&network, address));
        let held = Arc::downgrade(&listening);
        let cli = WasiCliCtx::new("echo").stdout(output.clone());
        let ctx = Ctx::builder().cli(cli).listener(listening);
        let ctx = ctx.preopen(vfs::directory(fs.clone()), "/").build();
        let mut run = program.run(ctx);
        let mut cx = Context::from_waker(Waker::noop());
        // It may be interrupted on its way.
        while output.contents().is_empty() {
            assert!(run.as_mut().poll(&mut cx).is_pending());
        }
        for _ in 0..10 {
            assert!(run.as_mut().poll(&mut cx).is_pending());
        }
        assert_eq!(output.contents(), b"listening on 3\n");
        assert!(held.upgrade().is_some() && Arc::strong_count(&fs) > 1);
        drop(run);
        assert!(held.upgrade().is_none());
        assert_eq!(Arc::strong_count(&fs), 1);
        // So that somebody else can listen there.
        pollster::block_on(listener(&network, address));
    }
}

const OPEN: &str = r#"(import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))"#;

/// Opens the file `x` once, and gives the errno.
const OPEN_X: &str = "(call $open (i32.const 3) (i32.const 0) (i32.const 1024) (i32.const 1)
    (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0))";

fn with_file() -> (Arc<MemFs>, CtxBuilder) {
    let fs = Arc::new(MemFs::new(Arc::new(SystemWallClock)));
    fs.write_file("x", b"content").unwrap();
    let ctx = Ctx::builder().preopen(vfs::directory(fs.clone()), "/");
    (fs, ctx)
}

#[test]
fn a_module_has_no_more_descriptors_than_its_limit() {
    const EMFILE: u32 = 33;
    // Exits with how many it could open.
    let body = format!(
        "(local $errno i32)
        (loop $next
            (local.set $errno {OPEN_X})
            (if (i32.eqz (local.get $errno)) (then
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (br $next))))
        (if (i32.ne (local.get $errno) (i32.const {EMFILE})) (then unreachable))
        (call $exit (local.get $n))"
    );
    for program in programs(&module(&format!("{EXIT}{OPEN}"), &body)) {
        for (limit, expected) in [(20, 16), (50, 46), (4, 0)] {
            let (fs, ctx) = with_file();
            let ctx = ctx.limits(Limits::new().handles(limit)).build();
            let opened = code(pollster::block_on(program.run(ctx)));
            // The standard streams and the directory are among them.
            assert_eq!(opened, expected, "{limit}");
            assert_eq!(Arc::strong_count(&fs), 1);
        }
    }
}

#[test]
fn memories_and_tables_grow_up_to_their_limits() {
    // Exits with 1 for the memory, and 2 for the table, where they can't have more.
    let body = "(call $exit (i32.add
        (i32.eq (memory.grow (i32.const 31)) (i32.const -1))
        (i32.shl (i32.eq (table.grow (ref.null func) (i32.const 999)) (i32.const -1))
            (i32.const 1))))";
    for program in programs(&module(EXIT, body)) {
        for (limits, expected) in [
            (Limits::new(), 0),
            (Limits::new().memory(2 << 20), 0),
            (Limits::new().memory((2 << 20) - 1), 1),
            (Limits::new().table_elements(1000), 0),
            (Limits::new().table_elements(999), 2),
            (Limits::new().memory(1 << 20).table_elements(10), 3),
        ] {
            let ctx = Ctx::builder().limits(limits.clone()).build();
            let refused = code(pollster::block_on(program.run(ctx)));
            assert_eq!(refused, expected, "{limits:?}");
        }
    }
}

#[test]
fn a_time_that_is_up_is_told_from_a_trap() {
    let ctx = || {
        let limits = Limits::new().timeout(Some(50_000_000));
        Ctx::builder().limits(limits).build()
    };
    for program in programs(&module("", "(loop $forever (br $forever))")) {
        let error = pollster::block_on(program.run(ctx())).unwrap_err();
        assert!(error.is_timeout(), "{error}");
    }
    for program in programs(&module("", "unreachable")) {
        let error = pollster::block_on(program.run(ctx())).unwrap_err();
        assert!(!error.is_timeout(), "{error}");
        let RunError::Failed(cause) = &error else {
            panic!("{error}");
        };
        let interpreted = matches!(program, Program::Interpreted(_));
        assert_eq!(wasmi::is_trap(cause), interpreted);
        assert_eq!(cause.is::<wasmtime::WasmBacktrace>(), !interpreted);
    }
}

#[test]
fn what_cannot_be_loaded_or_run_is_told_by_its_kind() {
    let unknown = wat::parse_str(r#"(module (import "env" "f" (func)))"#).unwrap();
    let component = wat::parse_str("(component)").unwrap();
    let interpreter = wasmi::Host::new(false).unwrap();
    for (bytes, compiled, interpreted) in [
        (&unknown[..], "an import", "an import"),
        (&component, "", "this is a component"),
        (
            b"\0asm\x01\0\0\0junk",
            "this program is not valid",
            "this program is not valid",
        ),
        (
            b"junk",
            "this is not WebAssembly",
            "this is not WebAssembly",
        ),
    ] {
        let told = |error: Option<LoadError>| error.map_or(String::new(), |it| it.to_string());
        let by_wasmtime = told(host().load(bytes).err());
        let by_wasmi = told(interpreter.load(bytes).err());
        for (told, expected) in [(by_wasmtime, compiled), (by_wasmi, interpreted)] {
            assert!(told.starts_with(expected), "{expected}: {told}");
            assert_eq!(told.is_empty(), expected.is_empty(), "{told}");
        }
    }
    for program in programs(&wat::parse_str("(module)").unwrap()) {
        let result = pollster::block_on(program.run(Ctx::builder().build()));
        let named = matches!(result, Err(RunError::Load(LoadError::NoExport("_start"))));
        assert!(named, "{result:?}");
    }
}

#[test]
fn what_a_module_is_and_imports_is_known() {
    let program = host().load(KV).unwrap();
    assert!(program.is_command() && program.is_module() && !program.is_proxy());
    assert!(program.imports("wasi_snapshot_preview1") && !program.imports("wasi_unstable"));
    assert!(program.module_imports("path_open") && !program.module_imports("sock_accept"));
    let program = wasmi::Host::new(false).unwrap().load(KV).unwrap();
    assert!(program.is_command() && program.module_imports("path_open"));
    assert!(!program.module_imports("sock_accept"));
}
