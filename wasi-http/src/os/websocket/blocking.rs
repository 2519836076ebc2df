//! tokio's streams as tungstenite wants them: what is not ready is an error.

use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};
use std::io::{ErrorKind, Read, Result, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(super) struct Blocking<T> {
    io: T,
    waker: Waker,
    heard: bool,
}

impl<T: AsyncRead + AsyncWrite + Unpin> Blocking<T> {
    pub(super) fn new(io: T) -> Self {
        Self {
            io,
            waker: Waker::noop().clone(),
            heard: false,
        }
    }

    /// Who is woken when what was not ready is.
    pub(super) fn wake_with(&mut self, waker: &Waker) {
        self.waker.clone_from(waker);
    }

    /// Whether any byte has come since this was asked last.
    pub(super) fn take_heard(&mut self) -> bool {
        core::mem::take(&mut self.heard)
    }

    /// Closes this side, and drops what comes until the other side is closed.
    pub(super) fn poll_drained(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if ready!(Pin::new(&mut self.io).poll_shutdown(cx)).is_err() {
            return Poll::Ready(());
        }
        let mut dropped = [0; 4096];
        loop {
            let mut buf = ReadBuf::new(&mut dropped);
            let read = ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf));
            if read.is_err() || buf.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

fn blocking<R>(poll: Poll<Result<R>>) -> Result<R> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}

impl<T: AsyncRead + Unpin> Read for Blocking<T> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize> {
        let mut buf = ReadBuf::new(bytes);
        let cx = &mut Context::from_waker(&self.waker);
        blocking(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
        self.heard |= !buf.filled().is_empty();
        Ok(buf.filled().len())
    }
}

impl<T: AsyncWrite + Unpin> Write for Blocking<T> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let cx = &mut Context::from_waker(&self.waker);
        blocking(Pin::new(&mut self.io).poll_write(cx, bytes))
    }

    fn flush(&mut self) -> Result<()> {
        let cx = &mut Context::from_waker(&self.waker);
        blocking(Pin::new(&mut self.io).poll_flush(cx))
    }
}
