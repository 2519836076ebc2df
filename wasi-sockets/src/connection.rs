//! A connection, as its socket and its two streams share it.

use crate::ctx::Slot;
use crate::{ErrorCode, Shutdown, TcpStream};
use alloc::sync::Arc;
use bytes::Bytes;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker, ready};
use wasi_io::{InputStream, OutputStream, Pollable, StreamError};

pub(crate) struct Connection {
    stream: Arc<dyn TcpStream>,
    receive_closed: AtomicBool,
    send_closed: AtomicBool,
    _slot: Arc<Slot>,
}

impl Connection {
    pub(crate) fn new(stream: Arc<dyn TcpStream>, slot: Arc<Slot>) -> Arc<Self> {
        Arc::new(Self {
            stream,
            receive_closed: AtomicBool::new(false),
            send_closed: AtomicBool::new(false),
            _slot: slot,
        })
    }

    /// To be called once.
    pub(crate) fn input(self: &Arc<Self>) -> TcpInputStream {
        TcpInputStream(self.clone())
    }

    /// To be called once.
    pub(crate) fn output(self: &Arc<Self>) -> TcpOutputStream {
        TcpOutputStream {
            connection: self.clone(),
            failed: false,
        }
    }

    pub(crate) fn stream(&self) -> &dyn TcpStream {
        &*self.stream
    }

    /// `shutdown`: a direction that is closed already stays so.
    pub(crate) fn shutdown(&self, how: Shutdown) -> Result<(), ErrorCode> {
        let close = |flag: &AtomicBool| !flag.swap(true, Ordering::AcqRel);
        let receive = how != Shutdown::Send && close(&self.receive_closed);
        let send = how != Shutdown::Receive && close(&self.send_closed);
        match (receive, send) {
            (true, true) => self.stream.shutdown(Shutdown::Both),
            (true, false) => self.stream.shutdown(Shutdown::Receive),
            (false, true) => self.stream.shutdown(Shutdown::Send),
            (false, false) => Ok(()),
        }
    }
}

/// The input of a connection. Dropping it closes that direction.
pub struct TcpInputStream(Arc<Connection>);

impl TcpInputStream {
    fn open(&self) -> Result<&dyn TcpStream, StreamError> {
        match self.0.receive_closed.load(Ordering::Acquire) {
            true => Err(StreamError::Closed),
            false => Ok(&*self.0.stream),
        }
    }
}

impl Pollable for TcpInputStream {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.open() {
            Ok(stream) => stream.poll_read_ready(cx),
            Err(_) => Poll::Ready(()),
        }
    }
}

impl InputStream for TcpInputStream {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, StreamError>> {
        let stream = self.open()?;
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        Poll::Ready(match ready!(stream.poll_read(cx, buf)) {
            Ok(0) => Err(StreamError::Closed),
            result => result.map_err(StreamError::failed),
        })
    }

    fn poll_read_bytes(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Bytes, StreamError>> {
        let stream = self.open()?;
        if max == 0 {
            return Poll::Ready(Ok(Bytes::new()));
        }
        Poll::Ready(match ready!(stream.poll_read_bytes(cx, max)) {
            Ok(bytes) if bytes.is_empty() => Err(StreamError::Closed),
            result => result.map_err(StreamError::failed),
        })
    }
}

impl Drop for TcpInputStream {
    fn drop(&mut self) {
        // A connection that has ended has nothing left to close.
        let _ = self.0.shutdown(Shutdown::Receive);
    }
}

/// The output of a connection. Dropping it closes that direction, after the bytes that were
/// written.
pub struct TcpOutputStream {
    connection: Arc<Connection>,
    /// A failure is told once.
    failed: bool,
}

impl TcpOutputStream {
    fn open(&self) -> Result<&dyn TcpStream, StreamError> {
        match self.failed || self.connection.send_closed.load(Ordering::Acquire) {
            true => Err(StreamError::Closed),
            false => Ok(&*self.connection.stream),
        }
    }

    fn tell<T>(&mut self, result: Result<T, ErrorCode>) -> Result<T, StreamError> {
        self.failed |= result.is_err();
        result.map_err(StreamError::failed)
    }
}

impl Pollable for TcpOutputStream {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.open() {
            Ok(stream) => stream.poll_write_ready(cx).map(drop),
            Err(_) => Poll::Ready(()),
        }
    }
}

impl OutputStream for TcpOutputStream {
    fn check_write(&mut self) -> Result<usize, StreamError> {
        let mut cx = Context::from_waker(Waker::noop());
        match self.open()?.poll_write_ready(&mut cx) {
            Poll::Ready(permit) => self.tell(permit),
            Poll::Pending => Ok(0),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        let written = self.open()?.write(bytes);
        self.tell(written)
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, StreamError>> {
        let stream = self.open()?;
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let written = ready!(stream.poll_write(cx, bytes));
        Poll::Ready(self.tell(written))
    }

    /// What was taken is on its way.
    fn waits_for_flush(&self) -> bool {
        false
    }
}

impl Drop for TcpOutputStream {
    fn drop(&mut self) {
        // The last of the three closes the connection as a whole, which resets it where bytes
        // are left unread: no orderly end before that.
        if Arc::strong_count(&self.connection) > 1 {
            // A connection that has ended has nothing left to close.
            let _ = self.connection.shutdown(Shutdown::Send);
        }
    }
}
