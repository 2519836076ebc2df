//! `wasi:io`, over the streams of a TCP connection: there, what is ready and what is not is up
//! to the other end.

use crate::bindings::wasi::clocks::monotonic_clock::subscribe_duration;
use crate::bindings::wasi::io::poll::poll;
use crate::bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};
use crate::checks::Checks;
use crate::sockets::{End, pair};

const OK: Result<(), ()> = Ok(());

pub fn run(checks: &mut Checks) {
    polling(checks);
    reading(checks);
    writing(checks);
    backpressure(checks);
    splicing(checks);
    ending(checks);
}

/// Which error it is, without its handle.
fn bare<T>(result: Result<T, StreamError>) -> Result<T, &'static str> {
    result.map_err(|error| match error {
        StreamError::Closed => "closed",
        StreamError::LastOperationFailed(_) => "last-operation-failed",
    })
}

fn put(output: &OutputStream, bytes: &[u8]) {
    output.blocking_write_and_flush(bytes).expect("to write");
}

/// All of the next `len` bytes.
fn take(input: &InputStream, len: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < len {
        all.extend(
            input
                .blocking_read((len - all.len()) as u64)
                .expect("to read"),
        );
    }
    all
}

fn polling(checks: &mut Checks) {
    let (here, there) = pair();
    let reads = here.input.subscribe();
    let writes = here.output.subscribe();
    checks.eq("pollable.ready: nothing to read", reads.ready(), false);
    checks.that("pollable.ready: room to write", writes.ready());
    checks.eq("poll: one is ready", poll(&[&reads, &writes]), [1]);
    checks.eq(
        "poll: the same one twice",
        poll(&[&writes, &reads, &writes]),
        [0, 2],
    );
    let timeout = subscribe_duration(1_000_000);
    checks.eq("poll: a timeout", poll(&[&reads, &timeout]), [1]);
    put(&there.output, b"x");
    reads.block();
    checks.that("pollable.ready: something to read", reads.ready());
    checks.eq("poll: all are ready", poll(&[&reads, &writes]), [0, 1]);
    let again = here.input.subscribe();
    checks.eq("poll: two of one stream", poll(&[&reads, &again]), [0, 1]);
    checks.eq("read", bare(here.input.read(9)), Ok::<_, ()>(b"x"));
    checks.eq(
        "pollable.ready: read all",
        (reads.ready(), again.ready()),
        (false, false),
    );
    let many: Vec<_> = (0..200).map(|_| here.input.subscribe()).collect();
    let mut list: Vec<_> = many.iter().collect();
    list.push(&writes);
    checks.eq("poll: the last of many", poll(&list), [200]);
}

fn reading(checks: &mut Checks) {
    let (here, there) = pair();
    checks.eq(
        "read: nothing there",
        bare(here.input.read(9)),
        Ok::<_, ()>(b""),
    );
    checks.eq(
        "skip: nothing there",
        bare(here.input.skip(9)),
        Ok::<_, ()>(0),
    );
    checks.eq(
        "read: of length 0",
        bare(here.input.read(0)),
        Ok::<_, ()>(b""),
    );
    checks.eq(
        "blocking-read: of length 0",
        bare(here.input.blocking_read(0)),
        Ok::<_, ()>(b""),
    );
    checks.eq(
        "blocking-skip: of length 0",
        bare(here.input.blocking_skip(0)),
        Ok::<_, ()>(0),
    );
    put(&there.output, b"0123456789");
    checks.eq(
        "blocking-read: no more than wanted",
        bare(here.input.blocking_read(2)),
        Ok::<_, ()>(b"01"),
    );
    checks.eq(
        "read: no more than wanted",
        bare(here.input.read(2)),
        Ok::<_, ()>(b"23"),
    );
    checks.eq(
        "skip: no more than wanted",
        bare(here.input.skip(2)),
        Ok::<_, ()>(2),
    );
    checks.eq(
        "blocking-skip: no more than wanted",
        bare(here.input.blocking_skip(2)),
        Ok::<_, ()>(2),
    );
    checks.eq(
        "read: whatever the length",
        bare(here.input.read(u64::MAX)),
        Ok::<_, ()>(b"89"),
    );
    checks.eq(
        "read: all was read",
        bare(here.input.read(u64::MAX)),
        Ok::<_, ()>(b""),
    );
    put(&there.output, b"ab");
    let skipped = here.input.blocking_skip(u64::MAX);
    checks.that(
        "blocking-skip: whatever the length",
        skipped.is_ok_and(|n| n == 1 || n == 2),
    );
}

fn writing(checks: &mut Checks) {
    let (here, there) = pair();
    let permit = bare(here.output.check_write());
    checks.that(
        "check-write: a permit",
        permit.is_ok_and(|permit| permit >= 16),
    );
    checks.eq("write", bare(here.output.write(b"abc")), OK);
    checks.eq("write: nothing", bare(here.output.write(b"")), OK);
    checks.eq(
        "write: in parts of one permit",
        bare(here.output.write(b"def")),
        OK,
    );
    checks.eq("write-zeroes", bare(here.output.write_zeroes(2)), OK);
    checks.eq("flush", bare(here.output.flush()), OK);
    here.output.subscribe().block();
    checks.that(
        "check-write: after a flush",
        here.output.check_write().is_ok_and(|n| n > 0),
    );
    checks.eq("blocking-flush", bare(here.output.blocking_flush()), OK);
    checks.eq("written in order", take(&there.input, 8), b"abcdef\0\0");
    checks.eq(
        "blocking-write-and-flush: nothing",
        bare(here.output.blocking_write_and_flush(b"")),
        OK,
    );
    checks.eq(
        "blocking-write-and-flush: 4096 bytes",
        bare(here.output.blocking_write_and_flush(&[b'x'; 4096])),
        OK,
    );
    checks.eq(
        "blocking-write-zeroes-and-flush: 4096 bytes",
        bare(here.output.blocking_write_zeroes_and_flush(4096)),
        OK,
    );
    checks.that("4096 bytes came", take(&there.input, 4096) == [b'x'; 4096]);
    checks.that("4096 zeroes came", take(&there.input, 4096) == [0; 4096]);
}

/// A peer that does not read makes the permit 0, until it does.
fn backpressure(checks: &mut Checks) {
    const MOST: u64 = 256 << 20;
    let (here, there) = pair();
    let chunk = vec![b'z'; 64 << 10];
    let mut written = 0;
    let waits = here.output.subscribe();
    // What is on its way to the peer's buffers may make room again for a moment.
    let settles = || poll(&[&waits, &subscribe_duration(50_000_000)]);
    loop {
        match here.output.check_write().expect("a permit") {
            0 if settles() == [1] => break,
            0 => {}
            permit => {
                let len = permit.min(chunk.len() as u64);
                here.output.write(&chunk[..len as usize]).expect("to write");
                written += len;
            }
        }
        if written > MOST {
            break;
        }
    }
    checks.that("backpressure: check-write: 0", written <= MOST);
    let mut read = 0;
    while read < written {
        read += there.input.blocking_skip(u64::MAX).expect("to skip");
    }
    waits.block();
    checks.that(
        "backpressure: room again",
        here.output.check_write().is_ok_and(|n| n > 0),
    );
    checks.eq("backpressure: all came, and no more", read, written);
}

fn splicing(checks: &mut Checks) {
    let (from, mut there) = pair();
    let (to, sink) = pair();
    checks.eq(
        "splice: nothing there",
        bare(to.output.splice(&from.input, 9)),
        Ok::<_, ()>(0),
    );
    put(&there.output, b"0123456789");
    checks.eq(
        "blocking-splice",
        bare(to.output.blocking_splice(&from.input, 4)),
        Ok::<_, ()>(4),
    );
    checks.eq(
        "splice",
        bare(to.output.splice(&from.input, 3)),
        Ok::<_, ()>(3),
    );
    checks.eq(
        "splice: of length 0",
        bare(to.output.splice(&from.input, 0)),
        Ok::<_, ()>(0),
    );
    checks.eq(
        "splice: what there is",
        bare(to.output.splice(&from.input, u64::MAX)),
        Ok::<_, ()>(3),
    );
    checks.eq("splice: came", take(&sink.input, 10), b"0123456789");
    there = close_output(there);
    from.input.subscribe().block();
    checks.eq(
        "splice: the end",
        bare(to.output.splice(&from.input, 9)),
        Err::<(), _>("closed"),
    );
    checks.eq(
        "blocking-splice: the end",
        bare(to.output.blocking_splice(&from.input, 9)),
        Err::<(), _>("closed"),
    );
    checks.that(
        "splice: the end of one only",
        to.output.check_write().is_ok_and(|n| n > 0),
    );
    drop(there);
}

fn close_output(end: End) -> End {
    use crate::bindings::wasi::sockets::tcp::ShutdownType;
    end.socket
        .shutdown(ShutdownType::Send)
        .expect("to shut down");
    end
}

/// What a closed stream answers to each of its functions.
fn ending(checks: &mut Checks) {
    let (here, there) = pair();
    put(&there.output, b"last");
    let there = close_output(there);
    checks.eq(
        "the end: what came before it",
        take(&here.input, 4),
        b"last",
    );
    here.input.subscribe().block();
    let input = &here.input;
    for (name, result) in [
        ("read", bare(input.read(1)).map(drop)),
        ("read of length 0", bare(input.read(0)).map(drop)),
        ("blocking-read", bare(input.blocking_read(1)).map(drop)),
        (
            "blocking-read of length 0",
            bare(input.blocking_read(0)).map(drop),
        ),
        ("skip", bare(input.skip(1)).map(drop)),
        ("blocking-skip", bare(input.blocking_skip(1)).map(drop)),
    ] {
        checks.eq(format!("closed: {name}"), result, Err::<(), _>("closed"));
    }
    checks.that("closed: input-stream.subscribe", input.subscribe().ready());

    let here = close_output(here);
    let output = &here.output;
    for (name, result) in [
        ("check-write", bare(output.check_write()).map(drop)),
        ("write", bare(output.write(b"x"))),
        ("write-zeroes", bare(output.write_zeroes(1))),
        ("flush", bare(output.flush())),
        ("blocking-flush", bare(output.blocking_flush())),
        (
            "blocking-write-and-flush of nothing",
            bare(output.blocking_write_and_flush(b"")),
        ),
        ("write-zeroes of nothing", bare(output.write_zeroes(0))),
        (
            "blocking-write-and-flush",
            bare(output.blocking_write_and_flush(b"x")),
        ),
        (
            "blocking-write-zeroes-and-flush",
            bare(output.blocking_write_zeroes_and_flush(1)),
        ),
        ("splice", bare(output.splice(&there.input, 1)).map(drop)),
        (
            "blocking-splice",
            bare(output.blocking_splice(&there.input, 1)).map(drop),
        ),
    ] {
        checks.eq(format!("closed: {name}"), result, Err::<(), _>("closed"));
    }
    checks.that(
        "closed: output-stream.subscribe",
        output.subscribe().ready(),
    );
}
