use super::tcp::Listener;
use super::{Options, Port};
use crate::{ErrorCode, Shutdown, Socket, SocketOption, TcpStream};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use bytes::Buf;
use core::net::SocketAddr;
use core::task::{Context, Poll};
use wasi_io::WakerSet;
use wasi_io::sync::Mutex;

/// One end of a connection in memory.
pub(super) struct LoopbackStream {
    input: Arc<Channel>,
    output: Arc<Channel>,
    local: SocketAddr,
    remote: SocketAddr,
    options: Options,
    /// The end that connected keeps the address that it bound.
    _port: Option<Port<Listener>>,
}

/// One direction of a connection.
struct Channel {
    state: Mutex<State>,
    changed: WakerSet,
}

#[derive(Default)]
struct State {
    bytes: VecDeque<u8>,
    /// The writer has no more: the end comes after `bytes`.
    ended: bool,
    /// The reader reads no more: what comes is dropped.
    unread: bool,
    /// The reader is dropped: what comes resets the connection.
    gone: bool,
    /// The connection was reset.
    reset: bool,
}

/// A connection from the socket bound to `port` to a listener at `remote`: this end, then
/// that of the listener.
pub(super) fn connect(
    port: Port<Listener>,
    remote: SocketAddr,
    options: Options,
    listener_options: Options,
) -> (LoopbackStream, LoopbackStream) {
    let channel = || {
        Arc::new(Channel {
            state: Mutex::default(),
            changed: WakerSet::new(),
        })
    };
    let (there, back) = (channel(), channel());
    // One that is bound to every address connects from the one that it connects to.
    let local = match port.address.ip().is_unspecified() {
        true => SocketAddr::new(remote.ip(), port.address.port()),
        false => port.address,
    };
    let here = LoopbackStream {
        input: back.clone(),
        output: there.clone(),
        local,
        remote,
        options,
        _port: Some(port),
    };
    let accepted = LoopbackStream {
        input: there,
        output: back,
        local: remote,
        remote: local,
        options: listener_options,
        _port: None,
    };
    (here, accepted)
}

impl Channel {
    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock());
        self.changed.wake_all();
    }

    /// Gives `f` the state; while it answers `Pending`, the waker of `cx` is kept.
    fn poll<T>(&self, cx: &mut Context<'_>, f: impl FnOnce(&mut State) -> Poll<T>) -> Poll<T> {
        let mut state = self.state.lock();
        let poll = f(&mut state);
        if poll.is_pending() {
            // Under the lock, so that no change comes between.
            self.changed.register(cx.waker());
        }
        poll
    }
}

impl State {
    /// What a read finds, before it takes it.
    fn readable(&self) -> Poll<Result<(), ErrorCode>> {
        if !self.bytes.is_empty() {
            Poll::Ready(Ok(()))
        } else if self.reset {
            Poll::Ready(Err(ErrorCode::ConnectionReset))
        } else if self.ended || self.unread {
            Poll::Ready(Ok(()))
        } else {
            Poll::Pending
        }
    }

    /// How many bytes a write may bring, where `size` may be under way.
    fn room(&self, size: usize) -> Result<usize, ErrorCode> {
        if self.reset || self.gone {
            Err(ErrorCode::ConnectionReset)
        } else if self.ended {
            Err(ErrorCode::InvalidState)
        } else {
            Ok(size.saturating_sub(self.bytes.len()))
        }
    }
}

impl LoopbackStream {
    fn send_buffer(&self) -> usize {
        let size = self.options.get(SocketOption::SendBufferSize);
        size.map_or(1, |size| usize::try_from(size).unwrap_or(usize::MAX))
    }

    /// Ends the connection for both.
    pub(super) fn reset(&self) {
        self.input.change(|input| {
            input.bytes.clear();
            input.reset = true;
        });
        self.output.change(|output| output.reset = true);
    }
}

impl Socket for LoopbackStream {
    fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        Ok(self.local)
    }

    fn option(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        self.options.get(option)
    }

    fn set_option(&self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        self.options.set(option, value);
        self.output.changed.wake_all();
        Ok(())
    }
}

impl TcpStream for LoopbackStream {
    fn remote_address(&self) -> Result<SocketAddr, ErrorCode> {
        match self.input.state.lock().reset {
            true => Err(ErrorCode::InvalidState),
            false => Ok(self.remote),
        }
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.input.poll(cx, |input| input.readable().map(drop))
    }

    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize, ErrorCode>> {
        let read = self.input.poll(cx, |input| {
            input.readable().map_ok(|()| {
                let n = buf.len().min(input.bytes.len());
                input.bytes.copy_to_slice(&mut buf[..n]);
                n
            })
        });
        if let Poll::Ready(Ok(1..)) = read {
            self.input.changed.wake_all();
        }
        read
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<Result<usize, ErrorCode>> {
        let size = self.send_buffer();
        self.output.poll(cx, |output| match output.room(size) {
            Ok(0) => Poll::Pending,
            room => Poll::Ready(room),
        })
    }

    fn write(&self, bytes: &[u8]) -> Result<(), ErrorCode> {
        {
            let mut output = self.output.state.lock();
            output.room(0)?;
            if !output.unread {
                output.bytes.extend(bytes);
            }
        }
        self.output.changed.wake_all();
        Ok(())
    }

    fn shutdown(&self, how: Shutdown) -> Result<(), ErrorCode> {
        if self.input.state.lock().reset {
            return Err(ErrorCode::InvalidState);
        }
        if how != Shutdown::Receive {
            self.output.change(|output| output.ended = true);
        }
        if how != Shutdown::Send {
            self.input.change(|input| input.unread = true);
        }
        Ok(())
    }
}

impl Drop for LoopbackStream {
    fn drop(&mut self) {
        // As TCP has it: what nobody will read resets the connection.
        let unread = !self.input.state.lock().bytes.is_empty();
        match unread {
            true => self.reset(),
            false => {
                self.output.change(|output| output.ended = true);
                self.input.change(|input| input.gone = true);
            }
        }
    }
}
