//! Programs that run and end, by the library alone: memory backends, on a bare executor.

use agave_host::{Ctx, Host, Limits, LoadError, Program, RunError};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Waker};
use wasi_cli::memory::{Input, Output};
use wasi_cli::{Exit, LineOutput, WasiCliCtx};
use wasi_clocks::WasiClocksCtx;
use wasi_http::websocket::memory::{Service, pair};
use wasi_http::websocket::{CloseStatus, Connection, ErrorCode, Established, Message};
use wasi_random::WasiRandomCtx;

fn program() -> &'static Program {
    static PROGRAM: OnceLock<Program> = OnceLock::new();
    PROGRAM.get_or_init(|| load(include_bytes!("guests/command.wasm")))
}

fn load(bytes: &[u8]) -> Program {
    let host = Host::builder().pool(false).build().unwrap();
    host.load(bytes).unwrap()
}

/// Runs the guest's program `words`, and gives what it wrote to its output too.
fn run(words: &[&str], input: &'static str, limits: Limits) -> (Result<Exit, RunError>, String) {
    let stdout = Output::new(1 << 20);
    let cli = WasiCliCtx::new("command").args(words.iter().copied());
    let cli = cli.stdin(Input::new(input)).stdout(stdout.clone());
    let ctx = Ctx::builder().cli(cli).limits(limits).build();
    let result = pollster::block_on(program().run(ctx));
    (result, String::from_utf8(stdout.contents()).unwrap())
}

#[test]
fn the_result_and_each_way_to_exit_are_codes() {
    for (words, code) in [
        (&["args"][..], 0),
        (&["fail"], 1),
        (&["exit", "0"], 0),
        (&["exit", "77"], 77),
    ] {
        let (result, _) = run(words, "", Limits::new());
        assert_eq!(result.unwrap(), Exit::new(code), "{words:?}");
    }
}

#[test]
fn a_program_reads_and_writes_the_streams_it_is_given() {
    let (result, output) = run(&["cat"], "some input\n", Limits::new());
    assert_eq!(
        (result.unwrap(), output.as_str()),
        (Exit::new(0), "some input\n")
    );
}

#[test]
fn a_trap_is_an_error_with_its_cause_on_one_line_and_its_backtrace() {
    let (result, output) = run(&["trap"], "", Limits::new());
    let error = result.unwrap_err();
    assert!(!error.is_timeout());
    let told = error.to_string();
    assert!(
        told.contains("unreachable") && told.lines().count() == 1,
        "{told}"
    );
    let RunError::Failed(cause) = error else {
        panic!("{error}");
    };
    assert!(cause.is::<wasmtime::Trap>() && cause.is::<wasmtime::WasmBacktrace>());
    assert_eq!(output, "on stdout\n", "what it wrote before stays");
}

#[test]
fn a_limit_that_a_program_cannot_begin_within_is_an_error_without_a_backtrace() {
    let (result, _) = run(&["args"], "", Limits::new().memory(64 << 10));
    let Err(RunError::Failed(cause)) = result else {
        panic!("{result:?}");
    };
    assert!(!cause.is::<wasmtime::WasmBacktrace>(), "{cause:?}");
}

#[test]
fn a_program_whose_time_is_up_is_told_from_one_that_trapped() {
    for words in [&["spin"][..], &["sleep", "100000"]] {
        let (result, _) = run(words, "", Limits::new().timeout(Some(50_000_000)));
        assert!(result.unwrap_err().is_timeout(), "{words:?}");
    }
}

/// What the peer of the one connection that `ws_echo` makes gets, and how the run ended. The
/// peer says nothing, or closes the connection.
fn as_client(answers: bool) -> (Result<Exit, RunError>, Vec<Message>, ErrorCode) {
    let peer = Arc::new(Mutex::new(None));
    let held = peer.clone();
    let connector = Service::new(move |_, limits| {
        let (here, there) = pair(limits.queue);
        let mut there = Connection::new(Box::new(there), None, limits);
        if answers {
            there.close(None)?;
        }
        *held.lock().unwrap() = Some(there);
        Ok(Established {
            socket: Box::new(here),
            subprotocol: None,
        })
    });
    let program = load(include_bytes!("guests/ws_echo.wasm"));
    let ctx = Ctx::builder()
        .cli(WasiCliCtx::new("ws_echo").args(["ws://peer.test/", "hello"]))
        .websocket_connector(Arc::new(connector))
        .limits(Limits::new().timeout(Some(100_000_000)));
    let result = pollster::block_on(program.run(ctx.build()));
    let mut peer = peer.lock().unwrap().take().expect("it connected");
    let mut messages = Vec::new();
    loop {
        match peer.receive() {
            Ok(message) => messages.push(message.expect("the end is there")),
            Err(end) => return (result, messages, end),
        }
    }
}

#[test]
fn websockets_of_a_program_that_fails_close_with_1011() {
    let (result, messages, end) = as_client(false);
    assert!(result.unwrap_err().is_timeout());
    assert_eq!(messages, [Message::Text("hello".into())]);
    let (code, reason) = (1011, String::new());
    let failed = ErrorCode::ClosedByPeer(Some(CloseStatus { code, reason }));
    assert_eq!(end, failed);
    // The other way round it knows how it ended, and ends by itself.
    let (result, messages, end) = as_client(true);
    assert_eq!(result.unwrap(), Exit::new(0));
    assert_eq!((messages, end), (Vec::new(), ErrorCode::ClosedHere));
}

#[test]
fn dropping_a_run_ends_it_and_frees_what_it_held() {
    let held = Arc::new(());
    let stderr = LineOutput::new(80, {
        let held = held.clone();
        move |_| assert_eq!(*held, ())
    });
    let cli = WasiCliCtx::new("command").args(["sleep", "100000"]);
    let ctx = Ctx::with(WasiClocksCtx::default(), WasiRandomCtx::default());
    let mut run = Box::pin(program().run(ctx.cli(cli.stderr(stderr)).build()));
    let mut cx = Context::from_waker(Waker::noop());
    assert!(run.as_mut().poll(&mut cx).is_pending());
    assert_eq!(Arc::strong_count(&held), 2);
    drop(run);
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn a_program_that_answers_requests_is_not_run() {
    let proxy = load(include_bytes!("guests/hello_tiny.wasm"));
    assert!(proxy.is_proxy() && !proxy.is_command());
    assert!(program().is_command() && !program().is_proxy());
    let result = pollster::block_on(proxy.run(Ctx::builder().build()));
    assert!(
        matches!(result, Err(RunError::Load(LoadError::NoExport(name))) if name.contains("run"))
    );
}

#[test]
fn what_a_program_imports_is_known_by_name() {
    assert!(program().imports("wasi:cli/stdout"));
    for name in ["wasi:cli/std", "wasi:http/outgoing-handler", ""] {
        assert!(!program().imports(name), "{name}");
    }
}
