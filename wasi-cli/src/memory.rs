//! Standard streams that need no operating system.

use crate::{Stdin, Stdout};
use alloc::sync::Arc;
use bytes::Bytes;
use core::task::{Context, Poll};
pub use wasi_io::memory::{Output, Sink};
use wasi_io::{DynInputStream, DynOutputStream, InputStream, Pollable, StreamError};
use wasi_io::{poll_read_held, sync::Mutex};

/// Reads from one stream: what each stream of a guest takes, the next one does not see.
#[derive(Clone)]
pub struct Input(Arc<Mutex<DynInputStream>>);

impl Input {
    /// With `bytes` to read, then closed.
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self::from_stream(wasi_io::memory::Input::new(bytes))
    }

    /// With what comes out of `stream`, such as the end of a [`wasi_io::memory::pipe`].
    pub fn from_stream(stream: impl InputStream) -> Self {
        Self::from_dyn(DynInputStream::new(stream))
    }

    fn from_dyn(stream: DynInputStream) -> Self {
        Self(Arc::new(Mutex::new(stream)))
    }
}

impl Default for Input {
    /// At its end.
    fn default() -> Self {
        Self::from_dyn(DynInputStream::closed())
    }
}

impl Stdin for Input {
    fn stream(&self) -> DynInputStream {
        DynInputStream::new(Share(self.0.clone()))
    }
}

struct Share(Arc<Mutex<DynInputStream>>);

impl Pollable for Share {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.lock().poll_ready(cx)
    }
}

impl InputStream for Share {
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
        self.0.lock().poll_read(cx, max)
    }

    fn poll_skip(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<usize, StreamError>> {
        self.0.lock().poll_skip(cx, max)
    }
}

/// Keeps what is written, up to its limit.
impl Stdout for Output {
    fn stream(&self) -> DynOutputStream {
        DynOutputStream::new(self.clone())
    }
}

/// Takes everything and keeps nothing.
impl Stdout for Sink {
    fn stream(&self) -> DynOutputStream {
        DynOutputStream::new(*self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::task::Waker;

    #[test]
    fn each_stream_reads_on_where_the_last_one_stopped() {
        let stdin = Input::new("abcdef");
        assert_eq!(stdin.stream().read(2).unwrap(), "ab");
        let (mut a, mut b) = (stdin.stream(), stdin.stream());
        assert_eq!(a.read(1).unwrap(), "c");
        assert_eq!(b.skip(1).unwrap(), 1);
        assert_eq!(a.read(9).unwrap(), "ef");
        assert!(matches!(a.read(1), Err(StreamError::Closed)));
        assert!(matches!(stdin.stream().read(1), Err(StreamError::Closed)));
    }

    #[test]
    fn a_pipe_can_be_the_input() {
        let (writer, reader) = wasi_io::memory::pipe(8);
        let stdin = Input::from_stream(reader);
        let mut stream = stdin.stream();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(stream.poll_ready(&mut cx).is_pending());
        let mut writer = DynOutputStream::new(writer);
        writer.check_write().unwrap();
        writer.write(b"hi").unwrap().unwrap();
        assert!(stream.poll_ready(&mut cx).is_ready());
        assert_eq!(stdin.stream().read(9).unwrap(), "hi");
        assert_eq!(stream.read(9).unwrap(), "");
        drop(writer);
        assert!(matches!(stream.read(1), Err(StreamError::Closed)));
    }

    #[test]
    fn all_streams_of_an_output_write_in_order_up_to_its_limit() {
        let stdout = Output::new(4);
        for part in [&b"ab"[..], b"c", b"d"] {
            let mut stream = stdout.stream();
            assert!(stream.check_write().unwrap() >= part.len());
            stream.write(part).unwrap().unwrap();
        }
        assert_eq!(stdout.contents(), b"abcd");
        assert!(matches!(
            stdout.stream().check_write(),
            Err(StreamError::Closed)
        ));
    }
}
