//! `stream<u8>` of WASI 0.3 over backends, with a guest on the other end.
#![cfg(feature = "p3")]

mod backend;
mod guest;

use Status::{Blocked, Cancelled, Completed, Dropped};
use backend::{Direct, OnFire, Side, Sink, Source};
use guest::{Guest, Status, code};
use wasi_io::p3::{read_via_stream, write_via_stream};
use wasi_io::{DynInputStream, DynOutputStream, StreamError, memory};
use wasmtime::{Config, Engine, Store};

#[test]
fn a_guest_reads_to_the_end_and_is_told_success() {
    let (mut guest, outcome) = Guest::reading(memory::Input::new("hello"));
    let told = guest.told(outcome);
    assert_eq!(guest.read(3), Completed(3));
    assert_eq!(guest.bytes(3), b"hel");
    assert_eq!(told.get(), None);
    assert_eq!(guest.read(9), Completed(2));
    assert_eq!(guest.bytes(2), b"lo");
    assert_eq!(guest.read(9), Dropped(0));
    guest.settle();
    assert_eq!(told.get(), Some(Ok(())));
}

#[test]
fn a_source_that_fails_ends_the_stream_with_its_code() {
    for (end, expected) in [
        (StreamError::Closed, Ok(())),
        (StreamError::failed(OnFire), Err(2)),
    ] {
        let side = Side::default();
        let (mut guest, outcome) = Guest::reading(Source(side.clone()));
        side.bring(b"ab");
        side.end(end);
        assert_eq!(guest.read(9), Completed(2));
        assert_eq!(guest.read(9), Dropped(0));
        assert!(side.is_dropped());
        assert_eq!(guest.told(outcome).get(), Some(expected));
    }
}

#[test]
fn a_blocked_read_ends_when_bytes_come_or_the_source_fails() {
    let side = Side::default();
    let (mut guest, _) = Guest::reading(Source(side.clone()));
    assert_eq!(guest.read(9), Blocked);
    assert_eq!(guest.ended(), Blocked);
    side.bring(b"abc");
    assert_eq!(guest.ended(), Completed(3));
    assert_eq!(guest.bytes(3), b"abc");
    assert_eq!(guest.read(9), Blocked);
    side.end(StreamError::failed(OnFire));
    assert_eq!(guest.ended(), Dropped(0));
}

#[test]
fn dropping_the_reader_is_success_and_drops_the_source() {
    let side = Side::default();
    let (mut guest, outcome) = Guest::reading(Source(side.clone()));
    let told = guest.told(outcome);
    side.bring(b"never read");
    assert!(!side.is_dropped());
    guest.drop_readable();
    assert!(side.is_dropped());
    guest.settle();
    assert_eq!(told.get(), Some(Ok(())));
}

#[test]
fn a_read_of_nothing_ends_when_there_is_something_to_read() {
    let side = Side::default();
    let (mut guest, _) = Guest::reading(Source(side.clone()));
    assert_eq!(guest.read(0), Blocked);
    assert_eq!(guest.ended(), Blocked);
    side.bring(b"abc");
    assert_eq!(guest.ended(), Completed(0));
    assert_eq!(guest.read(9), Completed(3), "none was taken");
    assert_eq!(guest.read(0), Blocked);
    assert_eq!(guest.cancel_read(), Cancelled(0));
    side.end(StreamError::Closed);
    assert_eq!(guest.read(0), Completed(0), "the end is ready, too");
    assert_eq!(guest.read(9), Dropped(0));
}

#[test]
fn a_read_that_is_given_up_loses_nothing() {
    let side = Side::default();
    let (mut guest, _) = Guest::reading(Source(side.clone()));
    for _ in 0..3 {
        assert_eq!(guest.read(9), Blocked);
        assert_eq!(guest.cancel_read(), Cancelled(0));
    }
    side.bring(b"abc");
    assert_eq!(guest.read(9), Completed(3));
    assert_eq!(guest.bytes(3), b"abc");
}

#[test]
fn nothing_is_read_ahead_of_the_guest() {
    let side = Side::default();
    let (mut guest, _) = Guest::reading(Source(side.clone()));
    side.bring(b"abcdef");
    guest.settle();
    assert_eq!(guest.read(2), Completed(2));
    guest.settle();
    assert_eq!(side.bytes(), b"cdef");
}

#[test]
fn writes_complete_when_they_are_flushed() {
    let side = Side::default();
    side.room(9);
    let (mut guest, outcome) = Guest::writing(Sink(side.clone()));
    let told = guest.told(outcome);
    assert_eq!(guest.write(4), Blocked);
    assert_eq!(guest.ended(), Blocked);
    assert_eq!(side.bytes(), b"0123", "taken, and not flushed");
    side.end_flush();
    assert_eq!(guest.ended(), Completed(4));
    assert_eq!(guest.write(2), Completed(2));
    assert_eq!(side.bytes(), b"012301");
    assert_eq!(told.get(), None);
    guest.drop_writable();
    assert!(side.is_dropped());
    guest.settle();
    assert_eq!(told.get(), Some(Ok(())));
}

#[test]
fn a_sink_that_needs_no_flush_is_not_flushed() {
    let side = Side::default();
    side.room(4);
    let (mut guest, outcome) = Guest::writing(Direct(Sink(side.clone())));
    assert_eq!(guest.write(4), Completed(4));
    // It is full, or broken, afterwards: what was taken was taken.
    side.end(StreamError::Closed);
    guest.drop_writable();
    assert_eq!(guest.told(outcome).get(), Some(Ok(())));
}

#[test]
fn a_slow_sink_holds_the_guest_up() {
    let side = Side::default();
    let (mut guest, _) = Guest::writing(Direct(Sink(side.clone())));
    assert_eq!(guest.write(0), Blocked, "no room");
    assert_eq!(guest.ended(), Blocked);
    side.room(3);
    assert_eq!(guest.ended(), Completed(0));
    assert_eq!(guest.write(9), Completed(3), "as much as there is room for");
    assert_eq!(guest.write(9), Blocked);
    assert_eq!(guest.ended(), Blocked);
    side.room(1);
    assert_eq!(guest.ended(), Completed(1));
    assert_eq!(side.bytes(), b"0120");
}

#[test]
fn a_write_that_is_given_up_before_it_was_taken_is_not_written() {
    let side = Side::default();
    side.end_flush();
    let (mut guest, _) = Guest::writing(Sink(side.clone()));
    for _ in 0..3 {
        assert_eq!(guest.write(4), Blocked);
        assert_eq!(guest.cancel_write(), Cancelled(0));
    }
    side.room(9);
    guest.settle();
    assert_eq!(side.bytes(), b"");
    assert_eq!(guest.write(2), Completed(2));
    assert_eq!(side.bytes(), b"01");
}

/// A guest that gave up a write of 4 bytes which were taken, and whose flush is still on.
fn given_up(side: &Side) -> (Guest, wasi_io::p3::OutcomeReader<u32>) {
    side.room(9);
    let (mut guest, outcome) = Guest::writing(Sink(side.clone()));
    assert_eq!(guest.write(4), Blocked);
    let status = guest.cancel_write();
    assert!(matches!(status, Completed(4) | Cancelled(4)), "{status:?}");
    (guest, outcome)
}

#[test]
fn a_write_that_is_given_up_after_it_was_taken_says_how_much_that_was() {
    let side = Side::default();
    let (mut guest, outcome) = given_up(&side);
    assert_eq!(guest.write(2), Blocked, "until the last one is flushed");
    assert_eq!(side.bytes(), b"0123");
    side.end_flush();
    assert_eq!(guest.ended(), Completed(2));
    assert_eq!(side.bytes(), b"012301");
    guest.drop_writable();
    assert!(side.is_dropped());
    assert_eq!(guest.told(outcome).get(), Some(Ok(())));
}

#[test]
fn what_was_taken_is_flushed_though_the_guest_dropped_the_stream() {
    for (end, expected) in [
        (None, Ok(())),
        (Some(StreamError::Closed), Err(1)),
        (Some(StreamError::failed(OnFire)), Err(2)),
    ] {
        let side = Side::default();
        let (mut guest, outcome) = given_up(&side);
        guest.drop_writable();
        let told = guest.told(outcome);
        assert!(side.is_flushing() && !side.is_dropped());
        assert_eq!(told.get(), None);
        match end {
            None => side.end_flush(),
            Some(error) => side.end(error),
        }
        guest.settle();
        assert!(side.is_dropped());
        assert_eq!(told.get(), Some(expected));
    }
}

#[test]
fn what_was_taken_is_flushed_though_nobody_asks_how_it_ended() {
    let side = Side::default();
    let (mut guest, mut outcome) = given_up(&side);
    outcome.close(&mut guest.store).unwrap();
    guest.drop_writable();
    guest.settle();
    assert!(side.is_flushing() && !side.is_dropped());
    side.end_flush();
    guest.settle();
    assert!(side.is_dropped());
}

#[test]
fn a_sink_that_fails_drops_the_stream_with_its_code() {
    for (end, expected) in [
        (StreamError::Closed, Err(1)),
        (StreamError::failed(OnFire), Err(2)),
    ] {
        // While the write waits for room, and while it waits for the flush.
        for (room, taken) in [(0, 0), (9, 4)] {
            let side = Side::default();
            side.room(room);
            let (mut guest, outcome) = Guest::writing(Sink(side.clone()));
            assert_eq!(guest.write(4), Blocked);
            side.end(match &end {
                StreamError::Closed => StreamError::Closed,
                StreamError::LastOperationFailed(_) => StreamError::failed(OnFire),
            });
            assert_eq!(guest.ended(), Dropped(taken));
            assert!(side.is_dropped());
            assert_eq!(guest.told(outcome).get(), Some(expected));
        }
    }
}

#[test]
fn the_backends_go_with_the_store() {
    let side = Side::default();
    let (mut guest, _) = Guest::reading(Source(side.clone()));
    assert_eq!(guest.read(9), Blocked);
    drop(guest);
    assert!(side.is_dropped());

    for room in [0, 9] {
        let side = Side::default();
        side.room(room);
        let (mut guest, _) = Guest::writing(Sink(side.clone()));
        assert_eq!(guest.write(4), Blocked);
        drop(guest);
        assert!(side.is_dropped());
    }

    let side = Side::default();
    let (mut guest, _) = given_up(&side);
    guest.drop_writable();
    assert!(!side.is_dropped());
    drop(guest);
    assert!(side.is_dropped());
}

#[test]
fn a_stream_goes_from_backend_to_backend_without_a_guest() {
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
    let kept = memory::Output::new(bytes.len());
    let mut guest = Guest::new();
    let input = DynInputStream::new(memory::Input::new(bytes.clone()));
    let (data, read) = read_via_stream(&mut guest.store, input, code).unwrap();
    let output = DynOutputStream::new(kept.clone());
    let written = write_via_stream(&mut guest.store, data, output, code).unwrap();
    let (read, written) = (guest.told(read), guest.told(written));
    assert_eq!((read.get(), written.get()), (Some(Ok(())), Some(Ok(()))));
    assert!(kept.contents() == bytes);
}

#[test]
fn an_engine_without_concurrency_support_is_an_error() {
    let mut config = Config::new();
    config.concurrency_support(false);
    let engine = Engine::new(&config).unwrap();
    let mut store = Store::new(&engine, ());
    assert!(read_via_stream(&mut store, DynInputStream::closed(), code).is_err());
}
