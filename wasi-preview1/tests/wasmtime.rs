//! Guests on wasmtime.
#![cfg(all(feature = "wasmtime", feature = "std"))]

use std::fmt::Write as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use wasi_cli::memory::{Input, Output};
use wasi_cli::{Exit, WasiCliCtx};
use wasi_clocks::WasiClocksCtx;
use wasi_clocks::manual::ManualClock;
use wasi_io::DynOutputStream;
use wasi_io::memory::{PipeWriter, pipe};
use wasi_preview1::wasmtime::{WasiPreview1View, add_to_linker_async, add_to_linker_sync};
use wasi_preview1::{End, Function, Signal, Trap, Version, WasiPreview1Ctx};
use wasi_preview1::{functions, module_name};
use wasi_random::WasiRandomCtx;
use wasi_random::seeded::Seeded;
use wasmtime::{Engine, Error, Instance, Linker, Memory, MemoryType, Module, Store};

struct State {
    ctx: WasiPreview1Ctx,
    memory: Option<Memory>,
}

impl WasiPreview1View for State {
    fn preview1(&mut self) -> &mut WasiPreview1Ctx {
        &mut self.ctx
    }

    fn memory(&self) -> Option<Memory> {
        self.memory
    }
}

struct Guest {
    store: Store<State>,
    linker: Linker<State>,
    clock: ManualClock,
    stdin: DynOutputStream,
    stdout: Output,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Linked {
    Sync,
    Async,
}

const BOTH: [Linked; 2] = [Linked::Sync, Linked::Async];

impl Guest {
    fn new(linked: Linked) -> Self {
        let clock = ManualClock::default();
        let (writer, reader): (PipeWriter, _) = pipe(100);
        let stdout = Output::new(1000);
        let cli = WasiCliCtx::new("prog")
            .stdin(Input::from_stream(reader))
            .stdout(stdout.clone());
        let clocks = WasiClocksCtx::new(clock.clone(), clock.clone());
        let random = WasiRandomCtx::new(Seeded::new([0; 32]));
        let ctx = WasiPreview1Ctx::new(&cli, clocks, random);
        let engine = Engine::default();
        let mut linker = Linker::new(&engine);
        match linked {
            Linked::Sync => add_to_linker_sync(&mut linker).unwrap(),
            Linked::Async => add_to_linker_async(&mut linker).unwrap(),
        }
        Self {
            store: Store::new(&engine, State { ctx, memory: None }),
            linker,
            clock,
            stdin: DynOutputStream::new(writer),
            stdout,
        }
    }

    fn module(&self, text: &str) -> Module {
        let bytes = wat::parse_str(text).unwrap_or_else(|error| panic!("{error}"));
        Module::new(self.store.engine(), bytes).unwrap()
    }

    fn instantiate(&mut self, text: &str) -> Instance {
        let module = self.module(text);
        let instance = self.linker.instantiate_async(&mut self.store, &module);
        pollster::block_on(instance).unwrap()
    }

    /// Calls the export `run` as its linker wants it.
    fn run(&mut self, linked: Linked, instance: &Instance) -> Result<i32, Error> {
        let run = instance
            .get_typed_func::<(), i32>(&mut self.store, "run")
            .unwrap();
        match linked {
            Linked::Sync => run.call(&mut self.store, ()),
            Linked::Async => pollster::block_on(run.call_async(&mut self.store, ())),
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.stdin.check_write().unwrap();
        self.stdin.write(bytes).unwrap().unwrap();
    }
}

/// A module whose `run` has this body.
fn module(imports: &str, body: &str) -> String {
    format!(
        r#"(module {imports} (memory (export "memory") 1)
             (func (export "run") (result i32) {body}))"#
    )
}

fn import(version: Version, function: &Function) -> String {
    let mut text = format!("(import \"{}\" \"{}\"", module_name(version), function.name);
    let _ = write!(text, " (func ${}_{version:?} (param", function.name);
    for param in function.params {
        text += if param.is_64_bits { " i64" } else { " i32" };
    }
    text += ")";
    text += if function.returns {
        " (result i32)))"
    } else {
        "))"
    };
    text
}

fn all() -> impl Iterator<Item = (Version, &'static Function)> {
    let versions = [Version::Preview1, Version::Preview0].into_iter();
    versions.flat_map(|version| functions(version).map(move |function| (version, function)))
}

#[test]
fn every_function_of_both_versions_is_linked_with_its_types() {
    let imports: String = all()
        .map(|(version, function)| import(version, function))
        .collect();
    assert_eq!(imports.matches("(import").count(), 91);
    for linked in BOTH {
        let mut guest = Guest::new(linked);
        let instance = guest.instantiate(&module(&imports, "(i32.const 7)"));
        assert_eq!(guest.run(linked, &instance).unwrap(), 7);
        let engine = guest.store.engine().clone();
        let mut linker = Linker::<State>::new(&engine);
        add_to_linker_sync(&mut linker).unwrap();
        assert!(
            add_to_linker_async(&mut linker).is_err(),
            "each is there once"
        );
        let old = r#"(import "wasi_unstable" "sock_accept"
            (func (param i32 i32 i32) (result i32)))"#;
        let module = guest.module(&module(old, "(i32.const 0)"));
        assert!(linker.instantiate(&mut guest.store, &module).is_err());
    }
}

#[test]
fn what_never_waits_is_a_plain_function_of_an_async_store() {
    let plain = || all().filter(|(_, function)| !function.waits && function.returns);
    let imports: String = plain()
        .map(|(version, function)| import(version, function))
        .collect();
    let mut calls = String::new();
    for (version, function) in plain() {
        let _ = write!(calls, "(call ${}_{version:?}", function.name);
        for param in function.params {
            calls += if param.is_64_bits {
                " (i64.const 0)"
            } else {
                " (i32.const 0)"
            };
        }
        calls += ") (drop)";
    }
    // Exactly these, in the place that says so.
    let mut names: Vec<_> = plain().map(|(_, function)| function.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(
        names,
        [
            "args_get",
            "args_sizes_get",
            "clock_res_get",
            "clock_time_get",
            "environ_get",
            "environ_sizes_get",
            "fd_close",
            "fd_fdstat_get",
            "fd_fdstat_set_flags",
            "fd_fdstat_set_rights",
            "fd_prestat_dir_name",
            "fd_prestat_get",
            "fd_renumber",
            "fd_tell",
            "proc_raise",
            "random_get",
            "sock_shutdown",
        ]
    );
    let mut guest = Guest::new(Linked::Async);
    let module = guest.module(&module(&imports, &format!("{calls} (i32.const 1)")));
    // Without a fiber: an async function could not even be called so.
    let instance = guest.linker.instantiate(&mut guest.store, &module).unwrap();
    let run = instance
        .get_typed_func::<(), i32>(&mut guest.store, "run")
        .unwrap();
    assert_eq!(run.call(&mut guest.store, ()).unwrap(), 1);
}

const POLL: &str = r#"(import "wasi_snapshot_preview1" "poll_oneoff"
    (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))"#;

/// Waits 1,000 ns: the errno and the number of events together.
const WAIT: &str = "(i32.store (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (i64.const 1000))
    (i32.add
        (call $poll_oneoff (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))
        (i32.load (i32.const 128)))";

#[test]
fn a_sync_guest_that_waits_blocks_its_thread_and_goes_on() {
    let mut guest = Guest::new(Linked::Sync);
    let instance = guest.instantiate(&module(POLL, WAIT));
    let clock = guest.clock.clone();
    let helper = thread::spawn(move || {
        while clock.next_deadline().is_none() {
            thread::yield_now();
        }
        assert_eq!(clock.next_deadline(), Some(1000));
        clock.advance(1000);
    });
    assert_eq!(guest.run(Linked::Sync, &instance).unwrap(), 1);
    helper.join().unwrap();
}

#[test]
fn an_async_guest_that_waits_lets_others_run_and_goes_on() {
    let mut guest = Guest::new(Linked::Async);
    let instance = guest.instantiate(&module(POLL, WAIT));
    let run = instance
        .get_typed_func::<(), i32>(&mut guest.store, "run")
        .unwrap();
    let mut call = pin!(run.call_async(&mut guest.store, ()));
    // Some waker but `Waker::noop`, which is nobody's.
    struct Nobody;
    impl std::task::Wake for Nobody {
        fn wake(self: std::sync::Arc<Self>) {}
    }
    let waker = Waker::from(std::sync::Arc::new(Nobody));
    let mut cx = Context::from_waker(&waker);
    assert!(call.as_mut().poll(&mut cx).is_pending());
    assert_eq!(guest.clock.next_deadline(), Some(1000));
    guest.clock.advance(999);
    assert!(call.as_mut().poll(&mut cx).is_pending());
    guest.clock.advance(1);
    match call.as_mut().poll(&mut cx) {
        Poll::Ready(returned) => assert_eq!(returned.unwrap(), 1),
        Poll::Pending => panic!("it waits on"),
    }
}

const READ_AND_WRITE: &str = r#"
    (import "wasi_snapshot_preview1" "fd_read"
        (func $fd_read (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_write"
        (func $fd_write (param i32 i32 i32 i32) (result i32)))"#;

/// Reads up to 20 bytes to 100 and writes what is at 90, with a prefix of its own.
fn echo(prefix: &str) -> String {
    format!(
        r#"(module {READ_AND_WRITE} (memory (export "memory") 1)
             (data (i32.const 98) "{prefix}:")
             (func (export "run") (result i32)
               (i32.store (i32.const 0) (i32.const 100))
               (i32.store (i32.const 4) (i32.const 20))
               (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 16)))
               (i32.store (i32.const 0) (i32.const 98))
               (i32.store (i32.const 4)
                 (i32.add (i32.const 2) (i32.load (i32.const 16))))
               (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16))))"#
    )
}

#[test]
fn two_instances_of_a_store_have_each_its_own_memory() {
    for linked in BOTH {
        let mut guest = Guest::new(linked);
        let (a, b) = (guest.instantiate(&echo("a")), guest.instantiate(&echo("b")));
        for (instance, input) in [(&a, "one "), (&b, "two "), (&a, "three ")] {
            guest.feed(input.as_bytes());
            assert_eq!(guest.run(linked, instance).unwrap(), 0);
        }
        assert_eq!(
            guest.stdout.contents(),
            b"a:one b:two a:three ",
            "{linked:?}"
        );
    }
}

#[test]
fn a_wait_reads_into_the_memory_of_who_waits() {
    for linked in BOTH {
        let mut guest = Guest::new(linked);
        let (a, b) = (guest.instantiate(&echo("a")), guest.instantiate(&echo("b")));
        guest.feed(b"x");
        guest.run(linked, &b).unwrap();
        let (writer, reader) = pipe(100);
        let cli = WasiCliCtx::default()
            .stdin(Input::from_stream(reader))
            .stdout(guest.stdout.clone());
        let clocks = WasiClocksCtx::new(guest.clock.clone(), guest.clock.clone());
        let random = WasiRandomCtx::new(Seeded::new([0; 32]));
        guest.store.data_mut().ctx = WasiPreview1Ctx::new(&cli, clocks, random);
        let mut writer = DynOutputStream::new(writer);
        // Whether it waits yet or not: it reads what comes.
        let helper = thread::spawn(move || {
            writer.check_write().unwrap();
            writer.write(b"late").unwrap().unwrap();
        });
        assert_eq!(guest.run(linked, &a).unwrap(), 0);
        helper.join().unwrap();
        assert_eq!(guest.stdout.contents(), b"b:xa:late", "{linked:?}");
    }
}

#[test]
fn exits_signals_and_traps_are_errors_of_the_call() {
    for linked in BOTH {
        for version in [Version::Preview1, Version::Preview0] {
            let from = module_name(version);
            let exit = format!(r#"(import "{from}" "proc_exit" (func $exit (param i32)))"#);
            let raise =
                format!(r#"(import "{from}" "proc_raise" (func $raise (param i32) (result i32)))"#);
            let time = format!(
                r#"(import "{from}" "clock_time_get"
                    (func $time (param i32 i64 i32) (result i32)))"#
            );
            let read = format!(
                r#"(import "{from}" "fd_read"
                    (func $read (param i32 i32 i32 i32) (result i32)))"#
            );
            let error = |imports: &str, body: &str| {
                let mut guest = Guest::new(linked);
                let instance = guest.instantiate(&module(imports, body));
                guest.run(linked, &instance).unwrap_err()
            };
            let exited = error(&exit, "(call $exit (i32.const 3)) (unreachable)");
            assert_eq!(exited.downcast_ref::<Exit>(), Some(&Exit::new(3)));
            let exited = error(&exit, "(call $exit (i32.const 0)) (unreachable)");
            assert_eq!(exited.downcast_ref::<Exit>(), Some(&Exit::new(0)));
            let raised = error(&raise, "(call $raise (i32.const 6))");
            assert_eq!(
                raised.downcast_ref::<End>(),
                Some(&End::Raised(Signal::Abrt))
            );
            let size = 1 << 16;
            let out = End::Trap(Trap::OutOfBounds {
                at: size as u32,
                len: 8,
                size,
            });
            let trapped = error(
                &time,
                "(call $time (i32.const 0) (i64.const 0) (i32.const 65536))",
            );
            assert_eq!(trapped.downcast_ref::<End>(), Some(&out));
            // One that may wait as well.
            let out = End::Trap(Trap::Misaligned { at: 1, align: 4 });
            let trapped = error(
                &read,
                "(call $read (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 1))",
            );
            assert_eq!(trapped.downcast_ref::<End>(), Some(&out));
            assert!(format!("{trapped:?}").contains("0x1"), "{trapped:?}");
        }
    }
}

#[test]
fn each_version_has_its_layouts() {
    let body = r#"
        (i32.store (i32.const 200) (i32.const 1))
        (drop (call $stat (i32.const 0) (i32.const 0)))
        (i32.load8_u (i32.const 60))"#;
    for linked in BOTH {
        for (version, rest) in [(Version::Preview1, 0), (Version::Preview0, 0xaa)] {
            let import = format!(
                r#"(import "{}" "fd_filestat_get" (func $stat (param i32 i32) (result i32)))"#,
                module_name(version)
            );
            let body = format!("(i32.store8 (i32.const 60) (i32.const 0xaa)) {body}");
            let mut guest = Guest::new(linked);
            let instance = guest.instantiate(&module(&import, &body));
            assert_eq!(guest.run(linked, &instance).unwrap(), rest, "{version:?}");
        }
    }
}

#[test]
fn a_module_without_a_memory_is_told_what_it_lacks() {
    let text = format!(
        r#"(module {READ_AND_WRITE}
             (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
             (memory 1)
             (func (export "run") (result i32)
               (call $fd_write (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0)))
             (func (export "close") (result i32) (call $close (i32.const 0))))"#
    );
    for linked in BOTH {
        let mut guest = Guest::new(linked);
        let instance = guest.instantiate(&text);
        let error = guest.run(linked, &instance).unwrap_err();
        assert!(
            format!("{error:?}").contains("export its memory"),
            "{error:?}"
        );
        let close = instance
            .get_typed_func::<(), i32>(&mut guest.store, "close")
            .unwrap();
        assert!(pollster::block_on(close.call_async(&mut guest.store, ())).is_err());
    }
}

#[test]
fn a_memory_that_the_view_knows_is_the_one_that_is_used() {
    // It imports its memory, and exports none.
    let text = r#"(module
        (import "wasi_snapshot_preview1" "clock_time_get"
            (func $time (param i32 i64 i32) (result i32)))
        (import "env" "memory" (memory 1))
        (func (export "run") (result i32)
            (drop (call $time (i32.const 1) (i64.const 0) (i32.const 8)))
            (i32.load (i32.const 8))))"#;
    for linked in BOTH {
        let mut guest = Guest::new(linked);
        let memory = Memory::new(&mut guest.store, MemoryType::new(1, None)).unwrap();
        guest
            .linker
            .define(&guest.store, "env", "memory", memory)
            .unwrap();
        guest.store.data_mut().memory = Some(memory);
        guest.clock.advance(321);
        let instance = guest.instantiate(text);
        assert_eq!(guest.run(linked, &instance).unwrap(), 321);
    }
}

#[test]
fn an_errno_is_what_the_guest_gets() {
    for linked in BOTH {
        let body = "(call $fd_read (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0))";
        let mut guest = Guest::new(linked);
        let instance = guest.instantiate(&module(READ_AND_WRITE, body));
        assert_eq!(guest.run(linked, &instance).unwrap(), 8, "EBADF");
    }
}

#[test]
fn a_call_that_is_dropped_while_it_waits_takes_nothing() {
    let mut guest = Guest::new(Linked::Async);
    let instance = guest.instantiate(&echo("a"));
    let run = instance
        .get_typed_func::<(), i32>(&mut guest.store, "run")
        .unwrap();
    {
        let mut call = Box::pin(run.call_async(&mut guest.store, ()));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(call.as_mut().poll(&mut cx).is_pending());
    }
    guest.feed(b"kept");
    let again = guest.instantiate(&echo("b"));
    assert_eq!(guest.run(Linked::Async, &again).unwrap(), 0);
    assert_eq!(guest.stdout.contents(), b"b:kept");
}
