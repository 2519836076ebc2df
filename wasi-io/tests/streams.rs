//! The stream rules of the WIT text, over memory backends, on a bare executor.

use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use wasi_io::{DynInputStream, DynOutputStream, OutputStream, Pollable, StreamError, Trap, memory};

fn ready(pollable: &mut impl Pollable) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    pollable.poll_ready(&mut cx).is_ready()
}

/// Fails the `n`th operation (0 is the next), with what was written before in between.
struct Failing(usize);

#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("broken")
    }
}

impl std::error::Error for Broken {}

impl Failing {
    fn step(&mut self) -> Result<(), StreamError> {
        match self.0.checked_sub(1) {
            Some(left) => {
                self.0 = left;
                Ok(())
            }
            None => Err(StreamError::failed(Broken)),
        }
    }
}

impl Pollable for Failing {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

impl OutputStream for Failing {
    fn check_write(&mut self) -> Result<usize, StreamError> {
        self.step().map(|()| 100)
    }

    fn write(&mut self, _: &[u8]) -> Result<(), StreamError> {
        self.step()
    }
}

#[test]
fn a_write_without_check_write_traps() {
    let (writer, _reader) = memory::pipe(8);
    let mut output = DynOutputStream::new(writer);
    assert!(matches!(output.write(b"a"), Err(Trap(_))));
    assert!(matches!(output.write_zeroes(1), Err(Trap(_))));
    assert!(output.write_bytes(b"a"[..].into()).is_err());
    output.write(b"").unwrap().unwrap();
}

#[test]
fn writes_use_up_the_permit() {
    let (writer, _reader) = memory::pipe(8);
    let mut output = DynOutputStream::new(writer);
    assert_eq!(output.check_write().unwrap(), 8);
    output.write(b"12").unwrap().unwrap();
    output.write_bytes(b"345"[..].into()).unwrap().unwrap();
    output.write_zeroes(3).unwrap().unwrap();
    assert!(output.write(b"9").is_err());
    assert_eq!(output.check_write().unwrap(), 0);
    assert!(output.write(b"9").is_err());
}

#[test]
fn lengths_no_memory_could_hold_trap_and_allocate_nothing() {
    let mut output = DynOutputStream::new(memory::Sink);
    output.check_write().unwrap();
    assert!(output.write_zeroes(u64::MAX).is_err());
}

#[test]
fn a_flush_takes_the_permit_away() {
    let (writer, _reader) = memory::pipe(8);
    let mut output = DynOutputStream::new(writer);
    output.check_write().unwrap();
    output.flush().unwrap();
    assert!(output.write(b"a").is_err());
}

#[test]
fn after_a_failure_a_stream_is_closed() {
    for steps in 0..2 {
        let mut output = DynOutputStream::new(Failing(steps));
        let failed = output
            .check_write()
            .and_then(|_| output.write(b"a").unwrap());
        let Err(StreamError::LastOperationFailed(cause)) = failed else {
            panic!("{failed:?}");
        };
        assert!(cause.downcast_ref::<Broken>().is_some());
        assert!(matches!(output.check_write(), Err(StreamError::Closed)));
        assert!(matches!(output.write(b"a"), Ok(Err(StreamError::Closed))));
        for len in [0, 1] {
            let zeroes = output.write_zeroes(len);
            assert!(matches!(zeroes, Ok(Err(StreamError::Closed))), "{len}");
        }
        let mut cx = Context::from_waker(Waker::noop());
        let nothing = output.poll_write_all(&mut cx, &mut &b""[..]);
        assert!(matches!(nothing, Poll::Ready(Err(StreamError::Closed))));
        assert!(matches!(output.flush(), Err(StreamError::Closed)));
        assert!(ready(&mut output), "a closed stream is ready");
    }
}

#[test]
fn a_closed_pipe_is_closed_after_its_last_byte() {
    let (writer, reader) = memory::pipe(8);
    let (mut output, mut input) = (DynOutputStream::new(writer), DynInputStream::new(reader));
    output.check_write().unwrap();
    output.write(b"ab").unwrap().unwrap();
    drop(output);
    assert_eq!(input.read(0).unwrap(), b""[..]);
    assert_eq!(input.read(1).unwrap(), b"a"[..]);
    assert_eq!(input.skip(9).unwrap(), 1);
    assert!(ready(&mut input));
    assert!(matches!(input.read(1), Err(StreamError::Closed)));
    assert!(matches!(input.read(0), Err(StreamError::Closed)));
    assert!(matches!(input.skip(0), Err(StreamError::Closed)));
}

#[test]
fn nothing_there_is_not_the_end() {
    let (_writer, reader) = memory::pipe(8);
    let mut input = DynInputStream::new(reader);
    assert_eq!(input.read(9).unwrap(), b""[..]);
    assert_eq!(input.skip(9).unwrap(), 0);
    assert!(!ready(&mut input));
}

#[test]
fn a_writer_without_reader_is_closed() {
    let (writer, reader) = memory::pipe(8);
    let mut output = DynOutputStream::new(writer);
    output.check_write().unwrap();
    drop(reader);
    assert!(matches!(output.write(b"a"), Ok(Err(StreamError::Closed))));
}

#[test]
fn splice_moves_the_least_of_length_permit_and_what_is_there() {
    for (there, room, len, moved) in [
        (8, 4, 9, 4),
        (2, 4, 9, 2),
        (8, 4, 1, 1),
        (0, 4, 9, 0),
        (8, 4, 0, 0),
    ] {
        let (mut from, source) = memory::pipe(16);
        let (sink, _to) = memory::pipe(room);
        from.check_write().unwrap();
        from.write(&vec![7; there]).unwrap();
        let mut input = DynInputStream::new(source);
        let n = DynOutputStream::new(sink).splice(&mut input, len).unwrap();
        assert_eq!(n, moved, "{there} bytes, room for {room}, asked for {len}");
        assert_eq!(input.read(99).unwrap().len(), there - moved);
    }
}

#[test]
fn splice_reports_the_first_error_and_loses_nothing() {
    let mut input = DynInputStream::new(memory::Input::new(&b"abc"[..]));
    let mut closed = DynOutputStream::closed();
    assert!(matches!(
        closed.splice(&mut input, 3),
        Err(StreamError::Closed)
    ));
    assert_eq!(input.read(9).unwrap(), b"abc"[..]);
}

#[test]
fn a_full_output_is_closed_and_keeps_what_it_has() {
    let kept = memory::Output::new(3);
    let mut output = DynOutputStream::new(kept.clone());
    assert_eq!(output.check_write().unwrap(), 3);
    output.write(b"abc").unwrap().unwrap();
    assert!(matches!(output.check_write(), Err(StreamError::Closed)));
    assert_eq!(kept.contents(), b"abc");
}

#[test]
fn a_blocked_writer_goes_on_when_the_reader_reads() {
    let (writer, reader) = memory::pipe(3);
    let (mut output, mut input) = (DynOutputStream::new(writer), DynInputStream::new(reader));
    let text = b"a text that is longer than the pipe";
    let writes = std::thread::spawn(move || {
        let mut left = &text[..];
        pollster::block_on(poll_fn(|cx| output.poll_write_all(cx, &mut left))).unwrap();
    });
    let mut read = Vec::new();
    while let Ok(bytes) = pollster::block_on(poll_fn(|cx| input.poll_read(cx, 2))) {
        assert!((1..=2).contains(&bytes.len()));
        read.extend_from_slice(&bytes);
    }
    writes.join().unwrap();
    assert_eq!(read, text);
}

#[test]
fn two_tasks_that_wait_on_one_stream_are_both_woken() {
    use std::sync::Mutex;
    let (mut writer, reader) = memory::pipe(3);
    let input = Mutex::new(DynInputStream::new(reader));
    let waiting = std::sync::Barrier::new(3);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut first = true;
                pollster::block_on(poll_fn(|cx| {
                    let poll = input.lock().unwrap().poll_ready(cx);
                    if std::mem::take(&mut first) {
                        assert!(poll.is_pending());
                        waiting.wait();
                    }
                    poll
                }));
            });
        }
        waiting.wait();
        writer.check_write().unwrap();
        writer.write(b"x").unwrap();
    });
}
