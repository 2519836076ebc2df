use crate::Stdin;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use bytes::Bytes;
use core::task::{Context, Poll};
use std::io::{self, ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use wasi_io::{DynInputStream, InputStream, Pollable, StreamError, WakerSet};
use wasi_io::{poll_read_held, sync::Mutex};

/// What one read brings at most, in bytes.
const CHUNK: usize = 16 << 10;

/// A standard input from anything that is read by blocking, such as a file. Clones and streams
/// read on where the last one stopped.
///
/// A thread of its own reads: it starts when a guest first asks for a byte, reads up to 16 KiB
/// whenever one asks and none are left, and ends with the last clone and stream.
#[derive(Clone)]
pub struct Reader(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: WakerSet,
}

struct State {
    source: Source,
    /// Read and not taken yet.
    bytes: Bytes,
    /// The thread reads.
    asked: bool,
    end: Option<End>,
}

enum Source {
    Idle(Box<dyn Read + Send>),
    Started(Sender<()>),
    Failed,
}

enum End {
    Error(StreamError),
    Reported,
}

impl Reader {
    /// From `source`, which is not touched before a guest asks.
    pub fn new(source: impl Read + Send + 'static) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                source: Source::Idle(Box::new(source)),
                bytes: Bytes::new(),
                asked: false,
                end: None,
            }),
            changed: WakerSet::new(),
        }))
    }

    /// What `take` takes of the bytes that are there; without any, sees to it that there will
    /// be.
    fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        take: impl Fn(&mut Bytes) -> T,
    ) -> Poll<Result<T, StreamError>> {
        let first = self.now(&take);
        if first.is_ready() {
            return first;
        }
        self.0.changed.register(cx.waker());
        // The bytes may have come before the waker was there.
        self.now(&take)
    }

    fn now<T>(&self, take: impl Fn(&mut Bytes) -> T) -> Poll<Result<T, StreamError>> {
        let mut state = self.0.state.lock();
        if !state.bytes.is_empty() {
            return Poll::Ready(Ok(take(&mut state.bytes)));
        }
        if state.end.is_none() && !state.asked {
            self.ask(&mut state);
        }
        match state.end.replace(End::Reported) {
            Some(End::Error(error)) => Poll::Ready(Err(error)),
            Some(End::Reported) => Poll::Ready(Err(StreamError::Closed)),
            None => {
                state.end = None;
                Poll::Pending
            }
        }
    }

    fn ask(&self, state: &mut State) {
        state.asked = true;
        if let Source::Idle(_) = state.source
            && let Source::Idle(source) = core::mem::replace(&mut state.source, Source::Failed)
        {
            let (ask, asked) = mpsc::channel();
            let shared = Arc::downgrade(&self.0);
            let started = thread::Builder::new()
                .name("wasi-cli-reader".into())
                .spawn(move || run(source, &asked, &shared));
            match started {
                Ok(_) => state.source = Source::Started(ask),
                Err(error) => state.end = Some(End::Error(StreamError::failed(error))),
            }
        }
        // The thread waits for this as long as we are there to ask.
        if let Source::Started(ask) = &state.source {
            let _ = ask.send(());
        }
    }
}

/// Reads once for each time it is asked.
fn run(mut source: impl Read, asked: &Receiver<()>, shared: &Weak<Shared>) {
    let mut buf = alloc::vec![0; CHUNK];
    while asked.recv().is_ok() {
        let read = loop {
            // Whoever waits for this thread would wait for ever.
            let read = catch_unwind(AssertUnwindSafe(|| source.read(&mut buf)))
                .unwrap_or_else(|_| Err(io::Error::other("the source panicked")));
            match read {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                read => break read,
            }
        };
        let Some(shared) = shared.upgrade() else {
            return;
        };
        {
            let mut state = shared.state.lock();
            state.asked = false;
            match read {
                Ok(0) => state.end = Some(End::Reported),
                Ok(n) => state.bytes = Bytes::copy_from_slice(&buf[..n]),
                Err(error) => state.end = Some(End::Error(StreamError::failed(error))),
            }
        }
        shared.changed.wake_all();
    }
}

impl Stdin for Reader {
    fn stream(&self) -> DynInputStream {
        DynInputStream::new(self.clone())
    }
}

impl Pollable for Reader {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        {
            // Only a look: an error stays for the operation to report.
            let state = self.0.state.lock();
            if !state.bytes.is_empty() || state.end.is_some() {
                return Poll::Ready(());
            }
        }
        self.0.changed.register(cx.waker());
        let mut state = self.0.state.lock();
        if state.bytes.is_empty() && state.end.is_none() && !state.asked {
            self.ask(&mut state);
        }
        match state.bytes.is_empty() && state.end.is_none() {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }
}

impl InputStream for Reader {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, StreamError>> {
        poll_read_held(self, cx, buf)
    }

    fn poll_read_bytes(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Bytes, StreamError>> {
        if max == 0 {
            return Poll::Ready(Ok(Bytes::new()));
        }
        self.poll(cx, |bytes| bytes.split_to(max.min(bytes.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use core::future::poll_fn;
    use core::task::Waker;
    use std::sync::mpsc::RecvTimeoutError;
    use std::time::Duration;

    type Chunk = io::Result<&'static [u8]>;

    /// Says when it is read, and gives what it is sent.
    struct Steps {
        reads: Sender<()>,
        chunks: Receiver<Chunk>,
    }

    impl Read for Steps {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.reads.send(()).unwrap();
            let chunk = self.chunks.recv().unwrap_or(Ok(b""))?;
            buf[..chunk.len()].copy_from_slice(chunk);
            Ok(chunk.len())
        }
    }

    fn steps() -> (Reader, Receiver<()>, Sender<Chunk>) {
        let ((reads, was_read), (send, chunks)) = (mpsc::channel(), mpsc::channel());
        (Reader::new(Steps { reads, chunks }), was_read, send)
    }

    fn read(stream: &mut DynInputStream, max: usize) -> Result<Bytes, StreamError> {
        pollster::block_on(poll_fn(|cx| stream.poll_read(cx, max)))
    }

    const LONG: Duration = Duration::from_secs(10);

    #[test]
    fn the_source_is_read_only_when_a_guest_asks_and_once_at_a_time() {
        let (reader, reads, chunks) = steps();
        let mut stream = reader.stream();
        assert!(reads.try_recv().is_err(), "nobody asked");

        assert_eq!(stream.read(9).unwrap(), "");
        reads.recv_timeout(LONG).unwrap();
        assert_eq!(stream.read(9).unwrap(), "", "asked again while it reads");
        chunks.send(Ok(b"abc")).unwrap();
        assert_eq!(read(&mut stream, 1).unwrap(), "a");
        assert_eq!(read(&mut stream, 1).unwrap(), "b");
        assert_eq!(read(&mut stream, 0).unwrap(), "");
        assert_eq!(
            read(&mut reader.stream(), 9).unwrap(),
            "c",
            "a stream reads on"
        );
        assert!(reads.try_recv().is_err(), "the rest was not asked for");

        assert_eq!(stream.read(9).unwrap(), "");
        reads.recv_timeout(LONG).unwrap();
        chunks.send(Ok(b"")).unwrap();
        assert!(matches!(read(&mut stream, 1), Err(StreamError::Closed)));
        assert!(matches!(reader.stream().read(1), Err(StreamError::Closed)));
        assert!(reads.try_recv().is_err(), "not read past its end");
    }

    #[test]
    fn a_failure_is_reported_once() {
        let (reader, _reads, chunks) = steps();
        chunks.send(Err(ErrorKind::Interrupted.into())).unwrap();
        chunks.send(Err(ErrorKind::TimedOut.into())).unwrap();
        let (mut a, mut b) = (reader.stream(), reader.stream());
        pollster::block_on(poll_fn(|cx| a.poll_ready(cx)));
        let Err(StreamError::LastOperationFailed(cause)) = a.read(1) else {
            panic!("not a failure");
        };
        let cause: &io::Error = cause.downcast_ref().unwrap();
        assert_eq!(cause.kind(), ErrorKind::TimedOut);
        assert!(matches!(b.read(1), Err(StreamError::Closed)));
    }

    struct Panics;

    impl Read for Panics {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            panic!("as a source should not")
        }
    }

    #[test]
    fn a_source_that_panics_has_failed() {
        let mut stream = Reader::new(Panics).stream();
        let answer = read(&mut stream, 1);
        assert!(matches!(answer, Err(StreamError::LastOperationFailed(_))));
    }

    #[test]
    fn every_task_that_waits_is_woken() {
        let (reader, _reads, chunks) = steps();
        let waits: Vec<_> = [(); 3]
            .map(|()| {
                let mut stream = reader.stream();
                thread::spawn(move || pollster::block_on(poll_fn(|cx| stream.poll_ready(cx))))
            })
            .into();
        chunks.send(Ok(b"a")).unwrap();
        waits.into_iter().for_each(|wait| wait.join().unwrap());
    }

    #[test]
    fn the_thread_ends_with_the_last_stream() {
        let (reader, reads, chunks) = steps();
        chunks.send(Ok(b"a")).unwrap();
        let mut stream = reader.stream();
        drop(reader);
        assert_eq!(read(&mut stream, 1).unwrap(), "a");
        drop(stream);
        reads.recv_timeout(LONG).unwrap();
        // The source is dropped, and its end of the channel with it.
        assert_eq!(
            reads.recv_timeout(LONG),
            Err(RecvTimeoutError::Disconnected)
        );
    }

    #[test]
    fn a_guest_that_only_looks_is_told_when_bytes_are_there() {
        let (reader, reads, chunks) = steps();
        let mut stream = reader.stream();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(stream.poll_ready(&mut cx).is_pending());
        reads.recv_timeout(LONG).unwrap();
        chunks.send(Ok(b"a")).unwrap();
        pollster::block_on(poll_fn(|cx| stream.poll_ready(cx)));
        assert_eq!(stream.read(5).unwrap(), "a");
    }
}
