//! Streams of files.

use super::*;
use crate::bindings::wasi::filesystem::types::filesystem_error_code;
use crate::bindings::wasi::http::types::http_error_code;
use crate::bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};
use crate::bindings::wasi::sockets::network::network_error_code;

pub fn run(checks: &mut Checks, dir: &Descriptor, small: &Descriptor) {
    reading(checks, dir);
    writing(checks, dir);
    together(checks, dir);
    large(checks, dir);
    errors(checks, dir, small);
}

/// All of a stream, and that it ended.
fn rest(input: &InputStream) -> Result<Vec<u8>, StreamError> {
    let mut all = Vec::new();
    loop {
        match input.blocking_read(1 << 16) {
            Ok(bytes) => all.extend(bytes),
            Err(StreamError::Closed) => return Ok(all),
            Err(error) => return Err(error),
        }
    }
}

fn write_all(output: &OutputStream, mut bytes: &[u8]) -> Result<(), StreamError> {
    while !bytes.is_empty() {
        let permit = output.check_write()?.min(bytes.len() as u64) as usize;
        match permit {
            0 => output.subscribe().block(),
            _ => output.write(&bytes[..permit])?,
        }
        bytes = &bytes[permit..];
    }
    output.blocking_flush()
}

fn reading(checks: &mut Checks, dir: &Descriptor) {
    let file = file(dir, "file", b"0123456789");
    for (offset, expected) in [(0, &b"0123456789"[..]), (7, b"789"), (10, b""), (99, b"")] {
        let stream = file.read_via_stream(offset).expect("a stream");
        let ready = stream.subscribe();
        ready.block();
        drop(ready);
        checks.eq(
            format!("read-via-stream: from {offset}"),
            rest(&stream),
            Ok::<_, ()>(expected),
        );
        let end = stream.read(1);
        checks.that(
            "read-via-stream: the end stays",
            matches!(end, Err(StreamError::Closed)),
        );
        checks.that(
            "read-via-stream: ready at the end",
            stream.subscribe().ready(),
        );
    }
    let stream = file.read_via_stream(0).expect("a stream");
    checks.eq(
        "read-via-stream: skip",
        stream.blocking_skip(3),
        Ok::<_, ()>(3),
    );
    checks.eq(
        "read-via-stream: after skip",
        stream.blocking_read(2),
        Ok::<_, ()>(b"34"),
    );
    checks.eq(
        "read-via-stream: skip up to the end",
        stream.blocking_skip(u64::MAX),
        Ok::<_, ()>(5),
    );
    checks.that(
        "read-via-stream: then the end",
        stream.blocking_read(1).is_err(),
    );
    // The stream keeps the file.
    let stream = file.read_via_stream(4).expect("a stream");
    drop(file);
    checks.eq(
        "read-via-stream: without its descriptor",
        rest(&stream),
        Ok::<_, ()>(b"456789"),
    );
    for offset in [u64::MAX, 1 << 63, i64::MAX as u64] {
        let file = open(dir, "file", READ).expect("a file");
        let nothing = file
            .read_via_stream(offset)
            .map(|stream| stream.blocking_read(1).is_err());
        checks.eq(
            format!("read-via-stream: at {offset}"),
            nothing,
            Ok::<_, ()>(true),
        );
    }
}

fn writing(checks: &mut Checks, dir: &Descriptor) {
    let file = file(dir, "file", b"0123456789");
    let stream = file.write_via_stream(2).expect("a stream");
    checks.that("write-via-stream: ready", stream.subscribe().ready());
    checks.that(
        "write-via-stream: check-write",
        stream.check_write().is_ok_and(|n| n >= 4096),
    );
    checks.that("write-via-stream: write", stream.write(b"ab").is_ok());
    checks.that("write-via-stream: write on", stream.write(b"cd").is_ok());
    checks.that("write-via-stream: flush", stream.blocking_flush().is_ok());
    checks.eq(
        "write-via-stream: written",
        contents(&file, 99),
        Ok::<_, ()>(b"01abcd6789"),
    );
    checks.that(
        "write-via-stream: zeroes",
        stream.blocking_write_zeroes_and_flush(2).is_ok(),
    );
    checks.eq(
        "write-via-stream: zeroes written",
        contents(&file, 99),
        Ok::<_, ()>(b"01abcd\0\x0089"),
    );
    let behind = file.write_via_stream(12).expect("a stream");
    checks.that(
        "write-via-stream: behind the end",
        behind.blocking_write_and_flush(b"!").is_ok(),
    );
    checks.eq(
        "write-via-stream: zeros between",
        contents(&file, 99),
        Ok::<_, ()>(b"01abcd\0\x0089\0\0!"),
    );

    let end = file.append_via_stream().expect("a stream");
    checks.that(
        "append-via-stream",
        end.blocking_write_and_flush(b"x").is_ok(),
    );
    file.set_size(2).expect("to cut");
    checks.that(
        "append-via-stream: where the end is then",
        end.blocking_write_and_flush(b"y").is_ok(),
    );
    checks.eq(
        "append-via-stream: written",
        contents(&file, 99),
        Ok::<_, ()>(b"01y"),
    );
    let other = open(dir, "file", WRITE)
        .expect("a file")
        .append_via_stream()
        .expect("a stream");
    for text in [b"1", b"2", b"3"] {
        end.blocking_write_and_flush(text).expect("to write");
        other.blocking_write_and_flush(text).expect("to write");
    }
    checks.eq(
        "append-via-stream: two at once",
        contents(&file, 99),
        Ok::<_, ()>(b"01y112233"),
    );
}

/// Streams on one file don't interfere, and see what was written.
fn together(checks: &mut Checks, dir: &Descriptor) {
    let file = file(dir, "together", b"0123456789");
    let one = file.read_via_stream(0).expect("a stream");
    let two = file.read_via_stream(5).expect("a stream");
    checks.eq("two readers: one", one.blocking_read(2), Ok::<_, ()>(b"01"));
    checks.eq("two readers: two", two.blocking_read(2), Ok::<_, ()>(b"56"));
    let writer = file.write_via_stream(2).expect("a stream");
    writer.blocking_write_and_flush(b"abc").expect("to write");
    checks.eq(
        "a reader sees a stream's write",
        one.blocking_read(3),
        Ok::<_, ()>(b"abc"),
    );
    let other = open(dir, "together", BOTH).expect("a file");
    other.write(b"XYZ", 7).expect("to write");
    checks.eq(
        "a reader sees another descriptor's write",
        two.blocking_read(3),
        Ok::<_, ()>(b"XYZ"),
    );
    other.set_size(6).expect("to cut");
    checks.eq("a reader sees another size", rest(&one), Ok::<_, ()>(b"5"));
    let late = file.read_via_stream(6).expect("a stream");
    other.write(b"late", 6).expect("to write");
    checks.eq(
        "a reader that has not begun sees what is added",
        rest(&late),
        Ok::<_, ()>(b"late"),
    );
}

fn large(checks: &mut Checks, dir: &Descriptor) {
    let bytes: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).collect();
    let file = create(dir, "large").expect("a file");
    let output = file.write_via_stream(0).expect("a stream");
    checks.that("write-via-stream: 3 MB", write_all(&output, &bytes).is_ok());
    let input = file.read_via_stream(0).expect("a stream");
    checks.that(
        "read-via-stream: 3 MB",
        rest(&input).is_ok_and(|all| all == bytes),
    );
    let copy = create(dir, "copy").expect("a file");
    let (from, to) = (
        file.read_via_stream(0).expect("a stream"),
        copy.write_via_stream(0).expect("a stream"),
    );
    let mut moved = 0;
    let end = loop {
        match to.blocking_splice(&from, u64::MAX) {
            Ok(n) => moved += n,
            Err(error) => break error,
        }
    };
    checks.that(
        "blocking-splice: the end of the file",
        matches!(end, StreamError::Closed),
    );
    checks.eq("blocking-splice: all of it", moved, bytes.len());
    checks.that("blocking-splice: flush", to.blocking_flush().is_ok());
    checks.that(
        "blocking-splice: the same",
        contents(&copy, 1 << 23).is_ok_and(|all| all == bytes),
    );
}

fn errors(checks: &mut Checks, dir: &Descriptor, small: &Descriptor) {
    let file = create(dir, "errors").expect("a file");
    let far = file.write_via_stream(u64::MAX - 1).expect("a stream");
    match far.blocking_write_and_flush(b"too far") {
        Err(StreamError::LastOperationFailed(error)) => checks.eq(
            "filesystem-error-code: too far",
            filesystem_error_code(&error),
            Some(ErrorCode::FileTooLarge),
        ),
        other => checks.eq("too far", other, Err::<(), _>("last-operation-failed")),
    }

    let file = create(small, "file").expect("a file");
    let output = file.append_via_stream().expect("a stream");
    let failed = write_all(&output, &vec![b'x'; 1 << 20]);
    let Err(StreamError::LastOperationFailed(error)) = failed else {
        return checks.eq(
            "a stream without room",
            failed,
            Err::<(), _>("last-operation-failed"),
        );
    };
    checks.eq(
        "filesystem-error-code: no room",
        filesystem_error_code(&error),
        Some(ErrorCode::InsufficientSpace),
    );
    checks.eq(
        "network-error-code: of another",
        network_error_code(&error),
        None::<()>,
    );
    checks.eq(
        "http-error-code: of another",
        http_error_code(&error).is_some(),
        false,
    );
    checks.that("to-debug-string", !error.to_debug_string().is_empty());
    let closed = output.check_write();
    checks.that(
        "a stream that failed is closed",
        matches!(closed, Err(StreamError::Closed)),
    );
    drop((output, file));
    small.unlink_file_at("file").expect("to remove");
}
