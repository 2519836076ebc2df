use super::socket;
use crate::{ErrorCode, IpAddressFamily, Shutdown, Socket, SocketOption, TcpStream};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use core::future::poll_fn;
use core::net::SocketAddr;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use socket2::SockRef;
use std::io;
use tokio::io::ReadBuf;
use tokio::task::AbortHandle;
use wasi_io::os::Runtime;
use wasi_io::sync::Mutex;
use wasi_io::{SharedWaker, WakerSet};

/// What a writer is permitted at a time, and so the most that is kept for it.
const PERMIT: usize = 64 << 10;
/// How long bytes that are kept may take to leave after the connection was dropped.
const LINGER: Duration = Duration::from_secs(10);

pub(super) struct OsTcpStream {
    shared: Arc<Shared>,
    runtime: Runtime,
    family: IpAddressFamily,
}

/// What the task that sends kept bytes has part in.
struct Shared {
    io: tokio::net::TcpStream,
    readers: SharedWaker,
    writers: SharedWaker,
    out: Mutex<Out>,
    /// `out` is not what it was.
    changed: WakerSet,
    /// What a look for readiness found instead of bytes: the system tells it once.
    read_failed: Mutex<Option<ErrorCode>>,
}

#[derive(Default)]
struct Out {
    /// What the system did not take yet; a task sends it on.
    kept: BytesMut,
    task: Option<AbortHandle>,
    /// Sending is shut down, or will be after what is kept.
    closed: bool,
    failed: Option<ErrorCode>,
}

impl Out {
    fn open(&self) -> Result<(), ErrorCode> {
        match (self.failed, self.closed) {
            (Some(error), _) => Err(error),
            (None, true) => Err(ErrorCode::InvalidState),
            (None, false) => Ok(()),
        }
    }
}

impl OsTcpStream {
    pub(super) fn new(
        io: tokio::net::TcpStream,
        runtime: Runtime,
        family: IpAddressFamily,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                io,
                readers: SharedWaker::new(),
                writers: SharedWaker::new(),
                out: Mutex::default(),
                changed: WakerSet::new(),
                read_failed: Mutex::default(),
            }),
            runtime,
            family,
        }
    }
}

/// The code of a failed read or write.
fn lost(error: &io::Error) -> ErrorCode {
    match error.kind() {
        io::ErrorKind::BrokenPipe => ErrorCode::ConnectionBroken,
        _ => ErrorCode::from(error),
    }
}

impl Shared {
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        // A failure shows at the write.
        let writable = self.writers.poll(cx, |cx| self.io.poll_write_ready(cx));
        writable.map(drop)
    }

    /// Gives the system what it takes of `bytes` now, and that off the front.
    fn send(&self, bytes: &mut impl Buf) -> Result<(), ErrorCode> {
        while bytes.has_remaining() {
            match self.io.try_write(bytes.chunk()) {
                Ok(sent) => bytes.advance(sent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(lost(&error)),
            }
        }
        Ok(())
    }

    fn shutdown(&self, how: std::net::Shutdown) -> Result<(), ErrorCode> {
        Ok(SockRef::from(&self.io).shutdown(how)?)
    }

    /// Sends on what is kept; ready when that has ended.
    fn poll_send_kept(&self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            ready!(self.poll_writable(cx));
            let mut out = self.out.lock();
            if let Err(error) = self.send(&mut out.kept) {
                out.failed = Some(error);
                out.kept.clear();
            }
            if !out.kept.has_remaining() {
                out.kept = BytesMut::new();
                out.task = None;
                if out.closed && out.failed.is_none() {
                    // The connection may have ended: then there is nobody to tell.
                    let _ = self.shutdown(std::net::Shutdown::Write);
                }
                drop(out);
                self.changed.wake_all();
                return Poll::Ready(());
            }
        }
    }
}

impl Socket for OsTcpStream {
    fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        Ok(self.shared.io.local_addr()?)
    }

    fn option(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        socket::option(SockRef::from(&self.shared.io), self.family, option)
    }

    fn set_option(&self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        socket::set_option(SockRef::from(&self.shared.io), self.family, option, value)
    }
}

impl TcpStream for OsTcpStream {
    fn remote_address(&self) -> Result<SocketAddr, ErrorCode> {
        Ok(self.shared.io.peer_addr()?)
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        // Readiness is remembered from before the last read; a look at a byte is certain.
        let peek = self.shared.readers.poll(cx, |cx| {
            let mut byte = [0];
            self.shared.io.poll_peek(cx, &mut ReadBuf::new(&mut byte))
        });
        peek.map(|peek| {
            if let Err(error) = peek {
                *self.shared.read_failed.lock() = Some(lost(&error));
            }
        })
    }

    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize, ErrorCode>> {
        self.poll_with(cx, |io| io.try_read(buf))
    }

    fn poll_read_bytes(&self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Bytes, ErrorCode>> {
        // No look before the read: its cost is a system call, this one's is an allocation.
        let mut buf = Vec::with_capacity(max).limit(max);
        ready!(self.poll_with(cx, |io| io.try_read_buf(&mut buf)))?;
        Poll::Ready(Ok(buf.into_inner().into()))
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<Result<usize, ErrorCode>> {
        let writable = self.shared.poll_writable(cx);
        let out = self.shared.out.lock();
        out.open()?;
        if writable.is_ready() && out.kept.is_empty() {
            return Poll::Ready(Ok(PERMIT));
        }
        // Under the lock, so that no change comes between.
        self.shared.changed.register(cx.waker());
        Poll::Pending
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, ErrorCode>> {
        loop {
            {
                let mut out = self.shared.out.lock();
                out.open()?;
                if !out.kept.is_empty() {
                    // Under the lock, so that no change comes between.
                    self.shared.changed.register(cx.waker());
                    return Poll::Pending;
                }
                match self.shared.io.try_write(bytes) {
                    Ok(sent) => return Poll::Ready(Ok(sent)),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => {
                        let error = lost(&error);
                        out.failed = Some(error);
                        return Poll::Ready(Err(error));
                    }
                }
            }
            if self.shared.poll_writable(cx).is_pending() {
                // A shutdown wakes who waits.
                self.shared.changed.register(cx.waker());
                return match self.shared.out.lock().open() {
                    Ok(()) => Poll::Pending,
                    Err(error) => Poll::Ready(Err(error)),
                };
            }
        }
    }

    fn write(&self, mut bytes: &[u8]) -> Result<(), ErrorCode> {
        let mut out = self.shared.out.lock();
        out.open()?;
        if out.kept.is_empty() {
            self.shared
                .send(&mut bytes)
                .inspect_err(|error| out.failed = Some(*error))?;
        }
        if !bytes.is_empty() {
            out.kept.extend_from_slice(bytes);
            if out.task.is_none() {
                let shared = self.shared.clone();
                let send = async move { poll_fn(|cx| shared.poll_send_kept(cx)).await };
                out.task = Some(self.runtime.handle().spawn(send).abort_handle());
            }
        }
        Ok(())
    }

    fn shutdown(&self, how: Shutdown) -> Result<(), ErrorCode> {
        if how != Shutdown::Receive {
            let mut out = self.shared.out.lock();
            out.closed = true;
            if out.kept.is_empty() {
                self.shared.shutdown(std::net::Shutdown::Write)?;
            }
            drop(out);
            self.shared.changed.wake_all();
        }
        if how != Shutdown::Send {
            self.shared.shutdown(std::net::Shutdown::Read)?;
        }
        Ok(())
    }
}

impl OsTcpStream {
    fn poll_with<T>(
        &self,
        cx: &mut Context<'_>,
        mut read: impl FnMut(&tokio::net::TcpStream) -> io::Result<T>,
    ) -> Poll<Result<T, ErrorCode>> {
        let io = &self.shared.io;
        if let Some(error) = self.shared.read_failed.lock().take() {
            return Poll::Ready(Err(error));
        }
        loop {
            match read(io) {
                Ok(read) => return Poll::Ready(Ok(read)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    // A failure shows at the read.
                    let _ = ready!(self.shared.readers.poll(cx, |cx| io.poll_read_ready(cx)));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(lost(&error))),
            }
        }
    }
}

impl Drop for OsTcpStream {
    fn drop(&mut self) {
        if let Some(task) = self.shared.out.lock().task.take() {
            self.runtime.handle().spawn(async move {
                tokio::time::sleep(LINGER).await;
                task.abort();
            });
        }
    }
}
