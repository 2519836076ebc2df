use super::*;
use crate::memory::{Input, Output, Sink};
use crate::{Stdin, Stdout, WasiCliCtx};
use core::future::poll_fn;
use core::task::Poll;
use environment::Host as _;
use exit::Host as _;
use stdin::HostWithStore as _;
use terminal_stderr::Host as _;
use terminal_stdin::Host as _;
use terminal_stdout::Host as _;
use wasi_io::{DynInputStream, DynOutputStream};
use wasmtime::component::ResourceTable;
use wasmtime::{AsContextMut, Engine, Store};

struct State {
    ctx: WasiCliCtx,
    table: ResourceTable,
}

impl WasiCliView for State {
    fn cli(&mut self) -> WasiCliCtxView<'_> {
        WasiCliCtxView {
            ctx: &self.ctx,
            table: &mut self.table,
        }
    }
}

fn state(ctx: WasiCliCtx) -> State {
    let table = ResourceTable::new();
    State { ctx, table }
}

#[test]
fn a_failure_is_told_by_the_nearest_code() {
    use std::io::{Error, ErrorKind};
    for (error, code) in [
        (StreamError::Closed, ErrorCode::Pipe),
        (
            StreamError::failed(filesystem::ErrorCode::Pipe),
            ErrorCode::Pipe,
        ),
        (
            StreamError::failed(filesystem::ErrorCode::IllegalByteSequence),
            ErrorCode::IllegalByteSequence,
        ),
        (
            StreamError::failed(filesystem::ErrorCode::InsufficientSpace),
            ErrorCode::Io,
        ),
        (
            StreamError::failed(Error::from(ErrorKind::BrokenPipe)),
            ErrorCode::Pipe,
        ),
        (
            StreamError::failed(Error::from(ErrorKind::InvalidData)),
            ErrorCode::IllegalByteSequence,
        ),
        (
            StreamError::failed(Error::from(ErrorKind::StorageFull)),
            ErrorCode::Io,
        ),
        (StreamError::failed(core::fmt::Error), ErrorCode::Io),
    ] {
        let shown = format!("{error}");
        assert_eq!(error_code(error), code, "{shown}");
    }
}

#[test]
fn an_exit_ends_the_call_with_its_code() {
    let mut state = state(WasiCliCtx::default());
    let mut view = state.cli();
    for (answer, code) in [
        (view.exit(Ok(())), 0),
        (view.exit(Err(())), 1),
        (view.exit_with_code(42), 42),
    ] {
        let error = answer.unwrap_err();
        assert_eq!(error.downcast_ref::<Exit>().unwrap().code, code);
    }
}

#[test]
fn the_surroundings_are_as_granted() {
    let ctx = WasiCliCtx::new("p").env("K", "V").arg("a").initial_cwd("/");
    let mut granted = state(ctx);
    let mut view = granted.cli();
    assert_eq!(view.get_environment().unwrap(), [("K".into(), "V".into())]);
    assert_eq!(view.get_arguments().unwrap(), ["p", "a"]);
    assert_eq!(view.get_initial_cwd().unwrap().as_deref(), Some("/"));
    let mut default = state(WasiCliCtx::default());
    assert_eq!(default.cli().get_initial_cwd().unwrap(), None);
}

fn access(store: &mut Store<State>) -> Access<'_, State, WasiCli> {
    Access::<_, WasiCli>::new(store.as_context_mut(), State::cli)
}

/// Lets everything go on that can, for a while.
fn settle(store: &mut Store<State>) {
    let mut turns = 0..50;
    let waited = store.run_concurrent(async |_| {
        poll_fn(|cx| match turns.next() {
            Some(_) => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(()),
        })
        .await;
    });
    pollster::block_on(waited).unwrap();
}

#[test]
fn each_standard_stream_goes_where_it_should() {
    let (out, err) = (Output::new(9), Output::new(9));
    let ctx = WasiCliCtx::default()
        .stdin(Input::new("in"))
        .stdout(out.clone())
        .stderr(err.clone());
    let mut store = Store::new(&Engine::default(), state(ctx));

    // What is read from the one is written to the other.
    let (data, _) = WasiCli::read_via_stream(access(&mut store)).unwrap();
    <WasiCli as stdout::HostWithStore<_>>::write_via_stream(access(&mut store), data).unwrap();
    let data = StreamReader::new(&mut store, b"err".to_vec()).unwrap();
    <WasiCli as stderr::HostWithStore<_>>::write_via_stream(access(&mut store), data).unwrap();
    settle(&mut store);
    assert_eq!(
        (out.contents(), err.contents()),
        (b"in".into(), b"err".into())
    );
}

struct Terminal;

impl Stdin for Terminal {
    fn stream(&self) -> DynInputStream {
        DynInputStream::closed()
    }

    fn is_terminal(&self) -> bool {
        true
    }
}

impl Stdout for Terminal {
    fn stream(&self) -> DynOutputStream {
        DynOutputStream::new(Sink)
    }

    fn is_terminal(&self) -> bool {
        true
    }
}

#[test]
fn only_a_terminal_is_one() {
    let none = WasiCliCtx::default;
    for (ctx, expected) in [
        (none(), [false; 3]),
        (none().stdin(Terminal), [true, false, false]),
        (none().stdout(Terminal), [false, true, false]),
        (none().stderr(Terminal), [false, false, true]),
    ] {
        let mut state = state(ctx);
        let mut view = state.cli();
        let terminals = [
            view.get_terminal_stdin().unwrap().is_some(),
            view.get_terminal_stdout().unwrap().is_some(),
            view.get_terminal_stderr().unwrap().is_some(),
        ];
        assert_eq!(terminals, expected);
    }
}
