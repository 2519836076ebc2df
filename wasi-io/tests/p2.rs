//! The host functions of WASI 0.2, called as a linker calls them.
#![cfg(feature = "p2")]

use wasi_io::p2::bindings::wasi::io::poll::{Host as _, HostPollable as _};
use wasi_io::p2::bindings::wasi::io::streams::{
    HostInputStream as _, HostOutputStream as _, StreamError,
};
use wasi_io::p2::{WasiIoCtxView, WasiIoView};
use wasi_io::{DynInputStream, DynOutputStream, Trap, WasiIoCtx, memory};
use wasmtime::component::{Linker, Resource, ResourceTable};

#[derive(Default)]
struct State {
    ctx: WasiIoCtx,
    table: ResourceTable,
}

impl WasiIoView for State {
    fn io(&mut self) -> WasiIoCtxView<'_> {
        WasiIoCtxView {
            ctx: &self.ctx,
            table: &mut self.table,
        }
    }
}

impl State {
    fn pipe(&mut self, capacity: usize) -> (Resource<DynOutputStream>, Resource<DynInputStream>) {
        let (writer, reader) = memory::pipe(capacity);
        let output = self.table.push(DynOutputStream::new(writer)).unwrap();
        (
            output,
            self.table.push(DynInputStream::new(reader)).unwrap(),
        )
    }
}

/// The same handle once more, as a guest borrows it.
fn borrow<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

#[test]
fn all_interfaces_are_linked_once() {
    let engine = wasmtime::Engine::default();
    let mut linker = Linker::<State>::new(&engine);
    wasi_io::p2::add_to_linker(&mut linker).unwrap();
    assert!(wasi_io::p2::add_to_linker(&mut linker).is_err());
}

#[test]
fn poll_of_an_empty_list_traps() {
    let mut state = State::default();
    let trap = pollster::block_on(state.io().poll(vec![])).unwrap_err();
    assert!(trap.is::<Trap>());
}

#[test]
fn poll_gives_the_indices_that_are_ready() {
    let mut state = State::default();
    let (output, input) = state.pipe(4);
    let mut io = state.io();
    let readable = wasi_io::p2::subscribe(io.table, &input).unwrap();
    let writable = wasi_io::p2::subscribe(io.table, &output).unwrap();
    let list = |list: &[&Resource<_>]| list.iter().map(|p| borrow(p)).collect::<Vec<_>>();

    let polled = pollster::block_on(io.poll(list(&[&readable, &writable, &writable]))).unwrap();
    assert_eq!(polled, [1, 2]);
    assert!(!io.ready(borrow(&readable)).unwrap());

    io.check_write(borrow(&output)).unwrap().unwrap();
    io.write(borrow(&output), b"1234".to_vec())
        .unwrap()
        .unwrap();
    let polled = pollster::block_on(io.poll(list(&[&readable, &writable]))).unwrap();
    assert_eq!(polled, [0]);
    pollster::block_on(io.block(readable)).unwrap();
}

#[test]
fn a_stream_with_a_pollable_is_not_dropped() {
    let mut state = State::default();
    let (_output, input) = state.pipe(4);
    let rep = input.rep();
    let mut io = state.io();
    let pollable = wasi_io::p2::subscribe(io.table, &input).unwrap();
    assert!(
        wasi_io::p2::bindings::wasi::io::streams::HostInputStream::drop(&mut io, input).is_err()
    );
    assert!(
        !io.ready(borrow(&pollable)).unwrap(),
        "the pollable still works"
    );
    wasi_io::p2::bindings::wasi::io::poll::HostPollable::drop(&mut io, pollable).unwrap();
    let input = Resource::new_own(rep);
    wasi_io::p2::bindings::wasi::io::streams::HostInputStream::drop(&mut io, input).unwrap();
}

#[test]
fn blocking_writes_take_4096_bytes_and_no_more() {
    let mut state = State::default();
    let (output, _input) = state.pipe(1 << 20);
    let mut io = state.io();
    for (len, ok) in [(0, true), (4096, true), (4097, false)] {
        let contents = vec![0; len];
        let wrote = pollster::block_on(io.blocking_write_and_flush(borrow(&output), contents));
        assert_eq!(wrote.is_ok(), ok, "{len} bytes");
        let zeroed =
            pollster::block_on(io.blocking_write_zeroes_and_flush(borrow(&output), len as u64));
        assert_eq!(zeroed.is_ok(), ok, "{len} zeroes");
    }
}

#[test]
fn a_read_is_bounded_whatever_the_guest_asks_for() {
    let mut state = State {
        ctx: WasiIoCtx::new().max_read(10),
        ..State::default()
    };
    let bytes = DynInputStream::new(memory::Input::new(vec![1; 99]));
    let input = state.table.push(bytes).unwrap();
    let mut io = state.io();
    assert_eq!(
        io.read(borrow(&input), u64::MAX).unwrap().unwrap().len(),
        10
    );
    assert_eq!(io.skip(borrow(&input), u64::MAX).unwrap().unwrap(), 10);
    let blocking = pollster::block_on(io.blocking_read(borrow(&input), u64::MAX));
    assert_eq!(blocking.unwrap().unwrap().len(), 10);
}

#[test]
fn blocking_splice_moves_and_both_streams_stay_usable() {
    let mut state = State::default();
    let (output, moved) = state.pipe(4);
    let source = DynInputStream::new(memory::Input::new(&b"abcdef"[..]));
    let source = state.table.push(source).unwrap();
    let mut io = state.io();
    let splice = io.blocking_splice(borrow(&output), borrow(&source), 99);
    assert_eq!(pollster::block_on(splice).unwrap().unwrap(), 4);
    assert_eq!(io.read(borrow(&moved), 99).unwrap().unwrap(), b"abcd");
    assert_eq!(
        io.splice(borrow(&output), borrow(&source), 99)
            .unwrap()
            .unwrap(),
        2
    );
    assert!(matches!(
        io.splice(borrow(&output), source, 99).unwrap(),
        Err(StreamError::Closed)
    ));
}

#[test]
fn a_full_table_is_an_error_of_that_guest() {
    let mut state = State::default();
    let (output, _input) = state.pipe(4);
    state.table.set_max_capacity(2);
    assert!(wasi_io::p2::subscribe(&mut state.table, &output).is_err());
}
