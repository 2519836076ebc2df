//! The kit passes what is right, and names what is wrong.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use wasi_io::testkit::{self, AtOnce, Report, Threads};
use wasi_io::{InputStream, OutputStream, Pollable, StreamError, memory};

#[test]
fn the_pipe_in_memory_keeps_every_guarantee() {
    for capacity in [1, 2, 16, 4096, 1 << 20] {
        for report in [
            testkit::pipe(&AtOnce, &|| pair(capacity, Fault::None)),
            testkit::pipe(&Threads, &|| pair(capacity, Fault::None)),
        ] {
            report.assert_ok();
            let skipped = |check: &testkit::Check| check.result.is_err();
            assert!(!report.checks().iter().any(skipped), "{report}");
        }
    }
}

#[test]
fn the_other_streams_in_memory_keep_theirs() {
    testkit::input(&AtOnce, &|bytes| {
        Box::new(memory::Input::new(bytes.to_vec()))
    })
    .assert_ok();
    testkit::output(&AtOnce, &|| {
        let output = memory::Output::new(1 << 20);
        let kept = output.clone();
        let mut seen = 0;
        let arrived = move || {
            let new = kept.contents().split_off(seen);
            seen += new.len();
            new
        };
        (Box::new(output), Box::new(arrived))
    })
    .assert_ok();
}

#[test]
fn a_pollable_that_keeps_its_promises_passes() {
    testkit::pollable(&AtOnce, &|| {
        let (mut writer, reader) = memory::pipe(1);
        let event = move || writer.write(b"a").unwrap();
        (Box::new(reader), Box::new(event))
    })
    .assert_ok();
}

/// What is wrong with a pair of streams.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    LastWakerOnly,
    FirstWakerOnly,
    AlwaysReady,
    NeverReady,
    EndIsNoBytes,
    OpensAgain,
    DropsAfterPending,
    WaitsForNoBytes,
    OutOfOrder,
    MoreThanAsked,
    SkipsNothing,
    PermitsTooMuch,
    NeverFull,
    LosesAtDrop,
    FlushNeverEnds,
    ForgetsItsFailure,
}

struct Faulty<T> {
    inner: Option<T>,
    fault: Fault,
    /// Of those who wait here, and of those at the other end.
    wakers: Arc<Mutex<Vec<Waker>>>,
    others: Arc<Mutex<Vec<Waker>>>,
    state: usize,
    held: Vec<u8>,
}

fn pair(capacity: usize, fault: Fault) -> (Box<dyn OutputStream>, Box<dyn InputStream>) {
    let (writer, reader) = memory::pipe(capacity);
    if fault == Fault::None {
        return (Box::new(writer), Box::new(reader));
    }
    let [a, b] = [(); 2].map(|()| Arc::new(Mutex::new(Vec::new())));
    (
        Box::new(Faulty::new(writer, fault, a.clone(), b.clone())),
        Box::new(Faulty::new(reader, fault, b, a)),
    )
}

impl<T> Faulty<T> {
    fn new(
        inner: T,
        fault: Fault,
        wakers: Arc<Mutex<Vec<Waker>>>,
        others: Arc<Mutex<Vec<Waker>>>,
    ) -> Self {
        Self {
            inner: Some(inner),
            fault,
            wakers,
            others,
            state: 0,
            held: Vec::new(),
        }
    }

    fn inner(&mut self) -> &mut T {
        self.inner.as_mut().unwrap()
    }

    fn register(&self, cx: &Context<'_>) {
        let mut wakers = self.wakers.lock().unwrap();
        if cx.waker().will_wake(Waker::noop()) {
            return;
        }
        match self.fault {
            Fault::LastWakerOnly => wakers.clear(),
            Fault::FirstWakerOnly if !wakers.is_empty() => return,
            _ => {}
        }
        wakers.push(cx.waker().clone());
    }

    fn wake(&self) {
        for waker in std::mem::take(&mut *self.others.lock().unwrap()) {
            waker.wake();
        }
    }
}

impl<T: Pollable> Pollable for Faulty<T> {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.fault {
            Fault::AlwaysReady => return Poll::Ready(()),
            Fault::NeverReady => return Poll::Pending,
            _ => {}
        }
        self.register(cx);
        let mut noop = Context::from_waker(Waker::noop());
        self.inner().poll_ready(&mut noop)
    }
}

impl InputStream for Faulty<memory::PipeReader> {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, StreamError>> {
        if buf.is_empty() {
            return match self.fault {
                Fault::WaitsForNoBytes => Poll::Pending,
                _ => Poll::Ready(Ok(0)),
            };
        }
        self.register(cx);
        let mut noop = Context::from_waker(Waker::noop());
        let read = self.inner().poll_read(&mut noop, buf);
        match (self.fault, &read) {
            (Fault::DropsAfterPending, Poll::Pending) => self.state = 1,
            (Fault::DropsAfterPending, Poll::Ready(Ok(_))) if self.state == 1 => {
                self.state = 0;
                self.wake();
                return Poll::Pending;
            }
            (Fault::EndIsNoBytes, Poll::Ready(Err(_))) => return Poll::Ready(Ok(0)),
            (Fault::OpensAgain, Poll::Ready(Err(_))) => {
                self.state += 1;
                if self.state > 1 {
                    return Poll::Pending;
                }
            }
            (Fault::OutOfOrder, Poll::Ready(Ok(n))) => buf[..*n].reverse(),
            _ => {}
        }
        self.wake();
        read
    }

    fn poll_read_bytes(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<bytes::Bytes, StreamError>> {
        let max = match self.fault {
            Fault::MoreThanAsked => max + 1,
            _ => max,
        };
        let mut buf = vec![0; max];
        self.poll_read(cx, &mut buf)
            .map_ok(|n| buf[..n].to_vec().into())
    }

    fn poll_skip(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<usize, StreamError>> {
        match self.fault {
            Fault::SkipsNothing => Poll::Ready(Ok(max)),
            _ => self.poll_read_bytes(cx, max).map_ok(|bytes| bytes.len()),
        }
    }
}

impl OutputStream for Faulty<memory::PipeWriter> {
    fn check_write(&mut self) -> Result<usize, StreamError> {
        let room = self.inner().check_write();
        match self.fault {
            Fault::PermitsTooMuch => room.map(|room| room * 2),
            Fault::NeverFull => room.map(|room| room.max(1)),
            Fault::FlushNeverEnds if self.state == 1 => Ok(0),
            Fault::ForgetsItsFailure if self.state == 1 => Ok(1),
            Fault::ForgetsItsFailure => {
                self.state = usize::from(room.is_err());
                room
            }
            _ => room,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        if self.fault == Fault::LosesAtDrop && self.state == 0 {
            self.held.extend_from_slice(bytes);
            // Sent with what comes next.
            self.state = 1;
            return Ok(());
        }
        if bytes.len() > self.inner().check_write()? {
            return Err(StreamError::Closed);
        }
        let all = [&*std::mem::take(&mut self.held), bytes].concat();
        self.inner().write(&all)?;
        self.wake();
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        if self.fault == Fault::FlushNeverEnds {
            self.state = 1;
        }
        Ok(())
    }
}

impl<T> Drop for Faulty<T> {
    fn drop(&mut self) {
        drop(self.inner.take());
        self.wake();
    }
}

#[test]
fn a_broken_promise_is_reported_by_its_name() {
    for (fault, broken) in [
        (
            Fault::LastWakerOnly,
            &[
                "every task that waits for bytes is woken",
                "every task that waits in a read is woken",
                "every task that waits for bytes is woken by the end",
                "every task that waits for room is woken",
            ][..],
        ),
        (
            Fault::FirstWakerOnly,
            &[
                "every task that waits for bytes is woken",
                "every task that waits for room is woken",
            ],
        ),
        (
            Fault::AlwaysReady,
            &[
                "nothing there is pending, and not the end",
                "it is no longer ready when all was read",
            ],
        ),
        (
            Fault::NeverReady,
            &[
                "it is ready when a read would be",
                "it is ready when it permits a byte",
            ],
        ),
        (
            Fault::EndIsNoBytes,
            &["after the last byte it is closed and ready, and stays so"],
        ),
        (
            Fault::OpensAgain,
            &["after the last byte it is closed and ready, and stays so"],
        ),
        (Fault::DropsAfterPending, &["a pending read takes no byte"]),
        (
            Fault::WaitsForNoBytes,
            &[
                "an empty buffer reads nothing and is no error",
                "an empty buffer does not wait for bytes",
            ],
        ),
        (
            Fault::OutOfOrder,
            &["bytes are read in order, as many as fit and never none"],
        ),
        (
            Fault::MoreThanAsked,
            &["poll_read_bytes gives the same, at most as many as asked for"],
        ),
        (
            Fault::SkipsNothing,
            &["poll_skip passes over what a read would have given"],
        ),
        (
            Fault::PermitsTooMuch,
            &["a permit is for all of its bytes, in one write or in many"],
        ),
        (
            Fault::NeverFull,
            &["a full output is not ready and permits nothing"],
        ),
        (
            Fault::LosesAtDrop,
            &["what was flushed arrives after the stream is dropped"],
        ),
        (Fault::FlushNeverEnds, &["a flush ends"]),
        (
            Fault::ForgetsItsFailure,
            &["without a reader a writer is closed, and stays so"],
        ),
    ] {
        let report = testkit::pipe(&AtOnce, &|| pair(16, fault));
        for name in broken {
            assert!(names(&report).contains(name), "{fault:?}: {report}");
        }
    }
}

fn names(report: &Report) -> Vec<&'static str> {
    report.failures().map(|(name, _)| name).collect()
}

#[test]
fn a_pollable_that_forgets_is_reported() {
    struct Once(bool);

    impl Pollable for Once {
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
            match std::mem::replace(&mut self.0, true) {
                true => Poll::Pending,
                false => Poll::Ready(()),
            }
        }
    }

    let report = testkit::pollable(&AtOnce, &|| (Box::new(Once(false)), Box::new(|| ())));
    assert_eq!(
        names(&report),
        [
            "it is pending until the event has come",
            "it stays ready",
            "every task that waits is woken"
        ]
    );
}
