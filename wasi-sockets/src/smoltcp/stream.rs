use super::Shared;
use super::conn::{Conn, drain, socket_addr};
use super::options::duration;
use crate::{ErrorCode, Shutdown, Socket, SocketOption, TcpStream};
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::task::{Context, Poll};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::Socket as Tcp;

/// A TCP connection. Its bytes are in the buffers of smoltcp's socket, and nowhere else.
pub(super) struct Stream {
    shared: Arc<Shared>,
    handle: SocketHandle,
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
    /// Was bound by the end that connects.
    port: Option<SocketAddr>,
}

impl Stream {
    pub(super) fn new(
        shared: &Arc<Shared>,
        handle: SocketHandle,
        port: Option<SocketAddr>,
    ) -> Self {
        let (local, remote) = shared.with(|stack| {
            let socket = stack.tcp(handle);
            (socket.local_endpoint(), socket.remote_endpoint())
        });
        Self {
            shared: shared.clone(),
            handle,
            local: local.map(socket_addr),
            remote: remote.map(socket_addr),
            port,
        }
    }

    /// Gives `f` the socket; whether the driver has something to do is what `f` is given last.
    fn with<T>(&self, f: impl FnOnce(&mut Conn, &mut Tcp<'static>, &mut bool) -> T) -> T {
        self.shared.with(|stack| {
            let Some(conn) = stack.conns.get_mut(&self.handle) else {
                unreachable!("a connection is there while its stream is");
            };
            let socket = stack.sockets.get_mut::<Tcp>(self.handle);
            f(conn, socket, &mut stack.drive)
        })
    }

    /// As [`Stream::with`]; while `f` answers `Pending`, the waker of `cx` is kept.
    fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        f: impl FnOnce(&mut Conn, &mut Tcp<'static>, &mut bool) -> Poll<T>,
    ) -> Poll<T> {
        self.with(|conn, socket, drive| {
            let poll = f(conn, socket, drive);
            if poll.is_pending() {
                // Under the lock, so that no change comes between.
                conn.signal.changed.register(cx.waker());
            }
            poll
        })
    }
}

/// Whether there are bytes, before they are taken.
fn readable(conn: &Conn, socket: &Tcp<'_>) -> Poll<Result<bool, ErrorCode>> {
    if conn.unread {
        Poll::Ready(Ok(false))
    } else if socket.can_recv() {
        Poll::Ready(Ok(true))
    } else if let Some(lost) = conn.lost {
        Poll::Ready(Err(lost))
    } else if socket.may_recv() {
        Poll::Pending
    } else {
        Poll::Ready(Ok(false))
    }
}

fn writable(conn: &Conn, socket: &Tcp<'_>) -> Result<usize, ErrorCode> {
    if conn.shut {
        Err(ErrorCode::InvalidState)
    } else if let Some(lost) = conn.lost {
        Err(lost)
    } else if !socket.may_send() {
        Err(ErrorCode::ConnectionBroken)
    } else {
        Ok(socket.send_capacity() - socket.send_queue())
    }
}

impl Socket for Stream {
    fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        self.local.ok_or(ErrorCode::InvalidState)
    }

    fn option(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        self.with(|conn, _, _| conn.options.get_tcp(option))
    }

    fn set_option(&self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        self.with(|conn, socket, drive| {
            let buffers = (conn.options.receive, conn.options.send);
            conn.options.set_tcp(option, value)?;
            // They are what they were made.
            (conn.options.receive, conn.options.send) = buffers;
            conn.options.apply_tcp(socket);
            *drive = true;
            Ok(())
        })
    }
}

impl TcpStream for Stream {
    fn remote_address(&self) -> Result<SocketAddr, ErrorCode> {
        match self.with(|conn, _, _| conn.lost) {
            Some(_) => Err(ErrorCode::InvalidState),
            None => self.remote.ok_or(ErrorCode::InvalidState),
        }
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll(cx, |conn, socket, _| readable(conn, socket).map(drop))
    }

    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize, ErrorCode>> {
        self.poll(cx, |conn, socket, drive| {
            readable(conn, socket).map_ok(|bytes| {
                if !bytes {
                    return 0;
                }
                // A peer that has little room left to send into is to hear of more.
                *drive |= socket.recv_queue() >= socket.recv_capacity() / 2;
                socket.recv_slice(buf).unwrap_or(0)
            })
        })
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<Result<usize, ErrorCode>> {
        self.poll(cx, |conn, socket, _| match writable(conn, socket) {
            Ok(0) => Poll::Pending,
            room => Poll::Ready(room),
        })
    }

    fn write(&self, bytes: &[u8]) -> Result<(), ErrorCode> {
        let timeout = self.shared.peer_timeout;
        self.with(|conn, socket, drive| {
            writable(conn, socket)?;
            let sent = socket.send_slice(bytes);
            socket.set_timeout(Some(duration(timeout)));
            *drive = true;
            match sent {
                Ok(n) if n == bytes.len() => Ok(()),
                // More than was permitted.
                _ => Err(ErrorCode::Unknown),
            }
        })
    }

    fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, ErrorCode>> {
        let timeout = self.shared.peer_timeout;
        self.poll(cx, |conn, socket, drive| {
            if writable(conn, socket)? == 0 {
                return Poll::Pending;
            }
            let sent = socket.send_slice(bytes);
            socket.set_timeout(Some(duration(timeout)));
            *drive = true;
            Poll::Ready(sent.map_err(|_| ErrorCode::ConnectionBroken))
        })
    }

    fn shutdown(&self, how: Shutdown) -> Result<(), ErrorCode> {
        let signal = self.with(|conn, socket, drive| {
            if conn.lost.is_some() {
                return Err(ErrorCode::InvalidState);
            }
            if how != Shutdown::Receive {
                conn.shut = true;
                socket.close();
            }
            if how != Shutdown::Send {
                conn.unread = true;
                drain(socket);
            }
            *drive = true;
            Ok(conn.signal.clone())
        })?;
        signal.changed.wake_all();
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.with(|stack| {
            if let Some(port) = self.port {
                stack.tcp_ports.release(port);
            }
            stack.drop_conn(self.handle);
        });
    }
}
