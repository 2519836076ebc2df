//! Guests on wasmi.
#![cfg(feature = "wasmi")]

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use wasi_cli::memory::{Input, Output};
use wasi_cli::{Exit, Stdout, WasiCliCtx};
use wasi_clocks::WasiClocksCtx;
use wasi_clocks::manual::ManualClock;
use wasi_io::DynOutputStream;
use wasi_io::memory::{PipeWriter, pipe};
use wasi_io::sync::Mutex;
use wasi_preview1::wasmi::{WasiPreview1View, add_to_linker, call};
use wasi_preview1::{End, Signal, Trap, WasiPreview1Ctx};
use wasi_random::WasiRandomCtx;
use wasi_random::seeded::Seeded;
use wasmi::{CompilationMode, Config, Engine, Error, Func, Linker, Module, Store, TrapCode, Val};

struct State {
    ctx: WasiPreview1Ctx,
    /// How much fuel is left to be given, and how much is given at once.
    fuel: u64,
    slice: u64,
    slices: usize,
    /// Functions that did not wait. A turn has ten.
    calls: usize,
}

impl WasiPreview1View for State {
    fn preview1(&mut self) -> &mut WasiPreview1Ctx {
        &mut self.ctx
    }

    fn out_of_fuel(&mut self) -> Option<u64> {
        self.fuel = self.fuel.checked_sub(self.slice)?;
        self.slices += 1;
        Some(self.slice)
    }

    fn is_turn_over(&mut self) -> bool {
        self.calls += 1;
        self.calls.is_multiple_of(10)
    }
}

/// A guest, and the clock that it sees.
struct Guest {
    store: Store<State>,
    linker: Linker<State>,
    clock: ManualClock,
}

impl Guest {
    fn new(cli: &WasiCliCtx) -> Self {
        Self::with(cli, &Config::default())
    }

    fn with(cli: &WasiCliCtx, config: &Config) -> Self {
        let engine = Engine::new(config.clone().wasm_tail_call(false));
        let clock = ManualClock::default();
        let clocks = WasiClocksCtx::new(clock.clone(), clock.clone());
        let random = WasiRandomCtx::new(Seeded::new([0; 32]));
        let state = State {
            ctx: WasiPreview1Ctx::new(cli, clocks, random),
            fuel: 0,
            slice: 1,
            slices: 0,
            calls: 0,
        };
        let mut linker = Linker::new(&engine);
        add_to_linker(&mut linker).unwrap();
        Self {
            store: Store::new(&engine, state),
            linker,
            clock,
        }
    }

    fn instantiate(&mut self, wat: &str) -> Result<Func, Error> {
        let module = Module::new(self.store.engine(), wat::parse_str(wat).unwrap()).unwrap();
        let instance = self
            .linker
            .instantiate_and_start(&mut self.store, &module)?;
        Ok(instance.get_func(&self.store, "_start").unwrap())
    }

    async fn run(&mut self, wat: &str) -> Result<(), Error> {
        let start = self.instantiate(wat).unwrap();
        call(&mut self.store, &start, &[], &mut []).await
    }
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Woken {
    fn times(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll<F: Future>(future: Pin<&mut F>, woken: &Arc<Woken>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(woken.clone())))
}

fn cli() -> WasiCliCtx {
    WasiCliCtx::new("guest")
}

fn exit(code: u8) -> End {
    End::Exit(Exit { code })
}

/// The error must be of a guest that has ended.
fn end(result: Result<(), Error>) -> End {
    let error = result.unwrap_err();
    *error.downcast_ref().unwrap_or_else(|| panic!("{error}"))
}

/// Says that a guest waited where it can't.
fn says_what_to_do(error: &Error) -> bool {
    error
        .to_string()
        .contains("called by `wasi_preview1::wasmi::call`")
}

const HELLO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write"
        (func $fd_write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (data (i32.const 0) "\10\00\00\00\06\00\00\00")
    (data (i32.const 16) "hello\n")
    (func (export "_start")
        (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))
            (then unreachable))
        (if (i32.ne (i32.load (i32.const 8)) (i32.const 6)) (then unreachable))))"#;

/// Waits for a second, and puts how many events there are to 40.
const SLEEP: &str = r#"
    (import "wasi_snapshot_preview1" "poll_oneoff"
        (func $poll_oneoff (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    ;; The monotonic clock, and 10^9 ns from now.
    (data (i32.const 80) "\01")
    (data (i32.const 88) "\00\ca\9a\3b")
    (func $sleep (export "sleep") (result i32)
        (call $poll_oneoff (i32.const 64) (i32.const 0) (i32.const 1) (i32.const 40)))"#;

/// [`SLEEP`] and more fields.
fn sleeps(fields: &str) -> String {
    format!("(module {SLEEP} {fields})")
}

/// Traps unless the sleep did what it is for.
const SLEEP_AND_CHECK: &str = r#"
    (func (export "_start")
        (if (call $sleep) (then unreachable))
        (if (i32.ne (i32.load (i32.const 40)) (i32.const 1)) (then unreachable)))"#;

#[test]
fn hello_is_written() {
    let stdout = Output::new(64);
    let mut guest = Guest::new(&cli().stdout(stdout.clone()));
    pollster::block_on(guest.run(HELLO)).unwrap();
    assert_eq!(stdout.contents(), b"hello\n");
}

#[test]
fn functions_can_be_linked_once() {
    let mut guest = Guest::new(&cli());
    assert!(add_to_linker(&mut guest.linker).is_err());
}

#[test]
fn how_a_guest_ends_is_found_in_the_error() {
    let module = |name: &str, ty: &str, call: &str| {
        format!(
            r#"(module
                (import "wasi_snapshot_preview1" "{name}" (func $f {ty}))
                (memory (export "memory") 1)
                (func (export "_start") {call}))"#
        )
    };
    let out_of_bounds = Trap::OutOfBounds {
        at: 65_536,
        len: 4,
        size: 65_536,
    };
    let cases = [
        (
            module("proc_exit", "(param i32)", "(call $f (i32.const 42))"),
            exit(42),
        ),
        (
            module(
                "proc_raise",
                "(param i32) (result i32)",
                "(drop (call $f (i32.const 6)))",
            ),
            End::Raised(Signal::Abrt),
        ),
        (
            module(
                "random_get",
                "(param i32 i32) (result i32)",
                "(drop (call $f (i32.const 65536) (i32.const 4)))",
            ),
            End::Trap(out_of_bounds),
        ),
    ];
    for (wat, expected) in cases {
        assert_eq!(
            end(pollster::block_on(Guest::new(&cli()).run(&wat))),
            expected
        );
    }
}

#[test]
fn a_read_waits_for_bytes_that_come_later() {
    let (writer, reader) = pipe(8);
    let mut guest = Guest::new(&cli().stdin(Input::from_stream(reader)));
    // Exits with how many bytes there were, and the first of them.
    let read = r#"(module
        (import "wasi_snapshot_preview1" "fd_read"
            (func $fd_read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\10\00\00\00\08\00\00\00")
        (func (export "_start")
            (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))
                (then unreachable))
            (call $exit (i32.add (i32.load (i32.const 8)) (i32.load8_u (i32.const 16))))))"#;
    let woken = Arc::<Woken>::default();
    let mut run = pin!(guest.run(read));
    assert!(poll(run.as_mut(), &woken).is_pending());
    assert_eq!(woken.times(), 0);
    let mut writer = DynOutputStream::new(writer);
    writer.check_write().unwrap();
    writer.write(b"\x0a\x0b\x0c").unwrap().unwrap();
    assert_eq!(woken.times(), 1);
    let Poll::Ready(result) = poll(run, &woken) else {
        panic!("there are bytes to read");
    };
    assert_eq!(end(result), exit(3 + 10));
}

#[test]
fn a_trap_is_the_error() {
    let wat = r#"(module (func (export "_start") unreachable))"#;
    let error = pollster::block_on(Guest::new(&cli()).run(wat)).unwrap_err();
    assert_eq!(error.as_trap_code(), Some(TrapCode::UnreachableCodeReached));
}

#[test]
fn an_error_of_another_host_function_is_returned_as_it_is() {
    let mut guest = Guest::new(&cli());
    guest
        .linker
        .func_wrap("host", "fails", || -> Result<u32, Error> {
            Err(Error::new("mine"))
        })
        .unwrap();
    let wat = r#"(module
        (import "host" "fails" (func $fails (result i32)))
        (func (export "_start") (drop (call $fails))))"#;
    let error = pollster::block_on(guest.run(wat)).unwrap_err();
    assert_eq!(error.to_string(), "mine");
}

#[test]
fn arguments_of_another_type_are_an_error() {
    let mut guest = Guest::new(&cli());
    let start = guest.instantiate(HELLO).unwrap();
    let one = &[Val::I32(1)];
    assert!(pollster::block_on(call(&mut guest.store, &start, one, &mut [])).is_err());
}

#[test]
fn without_an_exported_memory_the_guest_ends() {
    let wat = HELLO.replace(r#"(export "memory")"#, "");
    let error = pollster::block_on(Guest::new(&cli()).run(&wat)).unwrap_err();
    assert!(error.to_string().contains("export its memory"), "{error}");
}

#[test]
fn a_sleep_ends_when_the_clock_says_so_and_not_before() {
    let mut guest = Guest::new(&cli());
    let clock = guest.clock.clone();
    let woken = Arc::<Woken>::default();
    let wat = sleeps(SLEEP_AND_CHECK);
    let mut run = pin!(guest.run(&wat));
    assert!(poll(run.as_mut(), &woken).is_pending());
    assert_eq!(clock.next_deadline(), Some(1_000_000_000));
    clock.advance(999_999_999);
    assert_eq!(woken.times(), 0);
    assert!(poll(run.as_mut(), &woken).is_pending());
    clock.advance(1);
    assert!(woken.times() > 0);
    assert!(matches!(poll(run, &woken), Poll::Ready(Ok(()))));
}

#[test]
fn results_and_arguments_get_through_a_wait() {
    let mut guest = Guest::new(&cli());
    let clock = guest.clock.clone();
    let start = guest
        .instantiate(&sleeps(
            r#"(func (export "_start") (param i32 i64) (result i64 i32)
                (local.get 1) (i32.add (local.get 0) (call $sleep)))"#,
        ))
        .unwrap();
    let mut outputs = [Val::I32(0), Val::I32(0)];
    let inputs = [Val::I32(3), Val::I64(5)];
    let mut run = Box::pin(call(&mut guest.store, &start, &inputs, &mut outputs));
    assert!(poll(run.as_mut(), &Arc::default()).is_pending());
    clock.advance(1_000_000_000);
    assert!(matches!(
        poll(run.as_mut(), &Arc::default()),
        Poll::Ready(Ok(()))
    ));
    drop(run);
    assert!(matches!(outputs, [Val::I64(5), Val::I32(3)]), "{outputs:?}");
}

#[test]
fn a_guest_of_wasi_unstable_waits_with_its_own_layouts() {
    let mut guest = Guest::new(&cli());
    let clock = guest.clock.clone();
    // Its subscription has a second user datum, and what follows lies 8 bytes further on.
    let wat = sleeps(SLEEP_AND_CHECK)
        .replace("wasi_snapshot_preview1", "wasi_unstable")
        .replace("i32.const 80", "i32.const 88")
        .replace(
            r#"(data (i32.const 88) "\00"#,
            r#"(data (i32.const 96) "\00"#,
        );
    let woken = Arc::<Woken>::default();
    let mut run = pin!(guest.run(&wat));
    assert!(poll(run.as_mut(), &woken).is_pending());
    assert_eq!(clock.next_deadline(), Some(1_000_000_000));
    clock.advance(1_000_000_000);
    assert!(matches!(poll(run, &woken), Poll::Ready(Ok(()))));
}

#[test]
fn a_dropped_call_frees_what_it_waited_for_and_is_not_resumed() {
    let mut guest = Guest::new(&cli());
    let clock = guest.clock.clone();
    let start = guest.instantiate(&sleeps(SLEEP_AND_CHECK)).unwrap();
    {
        let mut run = pin!(call(&mut guest.store, &start, &[], &mut []));
        assert!(poll(run.as_mut(), &Arc::default()).is_pending());
        assert!(clock.next_deadline().is_some());
    }
    assert_eq!(clock.next_deadline(), None);
    clock.advance(500_000_000);
    let mut run = pin!(call(&mut guest.store, &start, &[], &mut []));
    assert!(poll(run.as_mut(), &Arc::default()).is_pending());
    assert_eq!(clock.next_deadline(), Some(1_500_000_000));
}

#[test]
fn a_wait_in_another_call_says_what_to_do() {
    let mut guest = Guest::new(&cli());
    let start = guest.instantiate(&sleeps(SLEEP_AND_CHECK)).unwrap();
    let error = start.call(&mut guest.store, &[], &mut []).unwrap_err();
    assert!(says_what_to_do(&error), "{error}");
    drop(error);
    assert_eq!(guest.clock.next_deadline(), None);
    // What does not wait runs.
    let stdout = Output::new(64);
    let mut guest = Guest::new(&cli().stdout(stdout.clone()));
    let start = guest.instantiate(HELLO).unwrap();
    start.call(&mut guest.store, &[], &mut []).unwrap();
    assert_eq!(stdout.contents(), b"hello\n");
}

#[test]
fn a_wait_in_a_start_function_says_what_to_do() {
    let mut guest = Guest::new(&cli());
    let wat = sleeps("(func $start (drop (call $sleep))) (start $start)");
    let error = guest.instantiate(&wat).unwrap_err();
    assert!(says_what_to_do(&error), "{error}");
}

#[test]
fn a_wait_below_a_host_function_says_what_to_do() {
    let mut guest = Guest::new(&cli());
    guest
        .linker
        .func_wrap("host", "sleeps", |mut caller: wasmi::Caller<'_, State>| {
            let sleep = caller
                .get_export("sleep")
                .and_then(wasmi::Extern::into_func)
                .unwrap();
            sleep.call(&mut caller, &[], &mut [Val::I32(0)])?;
            Ok::<u32, Error>(0)
        })
        .unwrap();
    let wat = format!(
        r#"(module (import "host" "sleeps" (func $host (result i32))) {SLEEP}
            (func (export "_start") (drop (call $host))))"#
    );
    let error = pollster::block_on(guest.run(&wat)).unwrap_err();
    assert!(says_what_to_do(&error), "{error}");
    drop(error);
    assert_eq!(guest.clock.next_deadline(), None);
}

#[test]
fn what_a_guest_computes_with_is_there_after_a_wait() {
    let sum: String = (0..8)
        .map(|n| format!("(i32.add (local.get {n}) "))
        .collect();
    let set: String = (0..8)
        .map(|n| format!("(local.set {n} (i32.const {}))", 1 << n))
        .collect();
    let wat = sleeps(&format!(
        r#"(table funcref (elem $poll_oneoff))
        (func $inner (param i32 i32) (result i32)
            (call_indirect (param i32 i32 i32 i32) (result i32)
                (i32.const 64) (i32.const 0) (i32.const 1) (i32.const 40)
                (i32.const 0)))
        (func (export "_start") (result i32) (local i32 i32 i32 i32 i32 i32 i32 i32)
            {set} {sum} (call $inner (i32.const 5) (i32.const 6)) {})"#,
        ")".repeat(8),
    ));
    let mut guest = Guest::new(&cli());
    let clock = guest.clock.clone();
    let start = guest.instantiate(&wat).unwrap();
    let mut outputs = [Val::I32(0)];
    let mut run = Box::pin(call(&mut guest.store, &start, &[], &mut outputs));
    assert!(poll(run.as_mut(), &Arc::default()).is_pending());
    clock.advance(1_000_000_000);
    let result = poll(run.as_mut(), &Arc::default());
    drop(run);
    assert!(matches!(result, Poll::Ready(Ok(()))), "{result:?}");
    assert!(matches!(outputs, [Val::I32(255)]), "{outputs:?}");
}

#[test]
fn an_engine_with_tail_calls_is_refused() {
    let engine = Engine::default();
    let error = add_to_linker(&mut Linker::<State>::new(&engine)).unwrap_err();
    assert!(
        error.to_string().contains("wasm_tail_call(false)"),
        "{error}"
    );
}

/// Writes to a pipe.
struct Line(Mutex<Option<PipeWriter>>);

impl Line {
    fn new(writer: PipeWriter) -> Self {
        Self(Mutex::new(Some(writer)))
    }
}

impl Stdout for Line {
    fn stream(&self) -> DynOutputStream {
        let writer = self.0.lock().take();
        DynOutputStream::new(writer.expect("a guest has one standard output"))
    }
}

/// Does `first`, then adds `add` to each byte that it reads and writes it back, until it has
/// read `rounds` of them or there are no more: it exits with the last.
fn echo(first: &str, add: u8, rounds: u32) -> String {
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "fd_read"
            (func $fd_read (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write"
            (func $fd_write (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (data (i32.const 0) "\10\00\00\00\01\00\00\00")
        (func $write
            (if (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))
                (then unreachable)))
        (func $last (call $exit (i32.load8_u (i32.const 16))))
        (func (export "_start") (local $n i32)
            {first}
            (loop $more
                (if (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8))
                    (then unreachable))
                (if (i32.eqz (i32.load (i32.const 8))) (then (call $last)))
                (i32.store8 (i32.const 16)
                    (i32.add (i32.load8_u (i32.const 16)) (i32.const {add})))
                (local.set $n (i32.add (local.get $n) (i32.const 1)))
                (if (i32.eq (local.get $n) (i32.const {rounds})) (then (call $last)))
                (call $write)
                (br $more))))"#
    )
}

#[test]
fn two_guests_that_wait_for_each_other_share_one_thread() {
    // Bytes of 0, 1, 2, … go to and fro: each guest can only go on after the other has.
    let (a_out, b_in) = pipe(1);
    let (b_out, a_in) = pipe(1);
    let cli = |stdin, stdout| {
        cli()
            .stdin(Input::from_stream(stdin))
            .stdout(Line::new(stdout))
    };
    let (mut a, mut b) = (Guest::new(&cli(a_in, a_out)), Guest::new(&cli(b_in, b_out)));
    let (first, second) = (echo("(call $write)", 1, 100), echo("", 1, u32::MAX >> 1));
    // Each guest is dropped as it ends: its pipes close.
    let mut a = pin!(async move { a.run(&first).await });
    let mut b = pin!(async move { b.run(&second).await });
    let (mut ends, mut turns) = ([None, None], 0);
    pollster::block_on(poll_fn(|cx| {
        turns += 1;
        if ends[0].is_none()
            && let Poll::Ready(result) = a.as_mut().poll(cx)
        {
            ends[0] = Some(end(result));
        }
        if ends[1].is_none()
            && let Poll::Ready(result) = b.as_mut().poll(cx)
        {
            ends[1] = Some(end(result));
        }
        match ends {
            [Some(_), Some(_)] => Poll::Ready(()),
            _ => Poll::Pending,
        }
    }));
    // 100 times there and back, the last of which is not sent again.
    assert_eq!(ends, [Some(exit(200)), Some(exit(199))]);
    assert!(turns > 50, "{turns}");
}

fn metered() -> Config {
    let mut config = Config::default();
    config
        .consume_fuel(true)
        .compilation_mode(CompilationMode::Eager);
    config
}

const FOREVER: &str = r#"(module (func (export "_start") (loop $l (br $l))))"#;

/// Counts down from 1,000.
const COUNT: &str = r#"(module (func (export "_start") (local $n i32)
    (local.set $n (i32.const 1000))
    (loop $l (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"#;

#[test]
fn without_more_fuel_the_guest_ends() {
    let mut guest = Guest::with(&cli(), &metered());
    let start = guest.instantiate(FOREVER).unwrap();
    guest.store.set_fuel(1000).unwrap();
    let call = call(&mut guest.store, &start, &[], &mut []);
    let error = pollster::block_on(call).unwrap_err();
    assert_eq!(error.as_trap_code(), Some(TrapCode::OutOfFuel));
}

#[test]
fn a_guest_that_computes_lets_others_have_a_turn_at_each_slice_of_fuel() {
    let mut guest = Guest::with(&cli(), &metered());
    let start = guest.instantiate(FOREVER).unwrap();
    (guest.store.data_mut().fuel, guest.store.data_mut().slice) = (u64::MAX, 1000);
    let woken = Arc::<Woken>::default();
    {
        let mut run = pin!(call(&mut guest.store, &start, &[], &mut []));
        for turn in 1..=5 {
            assert!(poll(run.as_mut(), &woken).is_pending());
            assert_eq!(woken.times(), turn);
        }
    }
    assert_eq!(guest.store.data().slices, 5);
}

/// Calls two functions in a loop, neither of which waits.
const CALLS: &str = r#"(module
    (import "wasi_snapshot_preview1" "random_get"
        (func $random_get (param i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "fd_datasync" (func $fd_datasync (param i32) (result i32)))
    (memory (export "memory") 1)
    (func (export "_start") (loop $l
        (drop (call $fd_datasync (i32.const 99)))
        (drop (call $random_get (i32.const 0) (i32.const 65536)))
        (br $l))))"#;

#[test]
fn a_guest_whose_functions_take_the_time_lets_others_have_a_turn_too() {
    let mut guest = Guest::with(&cli(), &metered());
    let start = guest.instantiate(CALLS).unwrap();
    guest.store.set_fuel(1 << 20).unwrap();
    (guest.store.data_mut().fuel, guest.store.data_mut().slice) = (10 << 20, 1 << 20);
    let woken = Arc::<Woken>::default();
    {
        let mut run = pin!(call(&mut guest.store, &start, &[], &mut []));
        for _ in 1..=5 {
            assert!(poll(run.as_mut(), &woken).is_pending());
        }
    }
    assert_eq!(
        (guest.store.data().slices, guest.store.data().calls),
        (5, 50)
    );
}

#[test]
fn slices_of_fuel_that_are_too_small_add_up() {
    let mut guest = Guest::with(&cli(), &metered());
    let start = guest.instantiate(COUNT).unwrap();
    guest.store.data_mut().fuel = 1_000_000;
    pollster::block_on(call(&mut guest.store, &start, &[], &mut [])).unwrap();
    let used = guest.store.data().slices;
    assert!(used > 1000, "{used}");
    // As much as it needs at once.
    let mut guest = Guest::with(&cli(), &metered());
    let start = guest.instantiate(COUNT).unwrap();
    guest.store.set_fuel(1_000_000).unwrap();
    pollster::block_on(call(&mut guest.store, &start, &[], &mut [])).unwrap();
    assert_eq!(guest.store.get_fuel().unwrap(), 1_000_000 - used as u64);
}

#[test]
fn a_metered_guest_waits_as_well() {
    let mut guest = Guest::with(&cli(), &metered());
    (guest.store.data_mut().fuel, guest.store.data_mut().slice) = (1_000_000, 10);
    let clock = guest.clock.clone();
    let wat = sleeps(SLEEP_AND_CHECK);
    let woken = Arc::<Woken>::default();
    let mut run = pin!(guest.run(&wat));
    // Until it is woken by the clock alone.
    let mut turns = 0;
    while woken.times() == turns {
        assert!(poll(run.as_mut(), &woken).is_pending());
        turns += 1;
    }
    assert_eq!(clock.next_deadline(), Some(1_000_000_000));
    clock.advance(1_000_000_000);
    assert!(pollster::block_on(run).is_ok());
}

#[test]
fn a_call_can_move_between_threads() {
    fn is_send<T: Send>(_: &T) {}
    let mut guest = Guest::new(&cli());
    let start = guest.instantiate(HELLO).unwrap();
    is_send(&call(&mut guest.store, &start, &[], &mut []));
}
