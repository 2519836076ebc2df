//! Listeners. smoltcp has no backlog: a socket of it listens, becomes the connection that
//! somebody asks for, and another takes its place before the next packet is looked at.

use super::Shared;
use super::conn::{Role, endpoint, socket_addr};
use super::options::Options;
use super::signal::{Kind, Signal};
use super::stack::Stack;
use super::stream::Stream;
use crate::{ErrorCode, Socket, SocketOption, TcpListener, TcpStream};
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::task::{Context, Poll};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::{Socket as Tcp, State};
use smoltcp::wire::IpListenEndpoint;

/// What the stack knows of a listener.
pub(super) struct Backlog {
    local: SocketAddr,
    options: Options,
    most: usize,
    /// The one that listens.
    idle: Option<SocketHandle>,
    /// Connections on their way and those that nobody accepted.
    pending: VecDeque<SocketHandle>,
    signal: Arc<Signal>,
}

impl Stack {
    /// A listener at `local`, which is bound.
    fn listen(&mut self, local: SocketAddr, options: Options, backlog: u32) -> u64 {
        let id = self.id();
        let most = self.backlog(backlog);
        let signal = self.signal(Kind::Own);
        let backlog = Backlog {
            local,
            options,
            most,
            idle: None,
            pending: VecDeque::new(),
            signal,
        };
        self.listeners.insert(id, backlog);
        self.refill(id);
        id
    }

    fn backlog(&self, asked: u32) -> usize {
        let asked = usize::try_from(asked).unwrap_or(usize::MAX);
        asked.min(self.limits.backlog).max(1)
    }

    pub(super) fn refill_listeners(&mut self) {
        let lacks = |(_, backlog): &(&u64, &Backlog)| backlog.idle.is_none();
        let ids: alloc::vec::Vec<_> = self
            .listeners
            .iter()
            .filter(lacks)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.refill(id);
        }
    }

    /// Sees what became of a listener's sockets, and makes one that listens if there is none.
    pub(super) fn refill(&mut self, id: u64) {
        // Taken out for as long.
        let Some(mut backlog) = self.listeners.remove(&id) else {
            return;
        };
        if let Some(handle) = backlog.idle
            && self.tcp(handle).state() != State::Listen
        {
            backlog.idle = None;
            self.asked(id, &mut backlog, handle);
        }
        for handle in core::mem::take(&mut backlog.pending) {
            match self.tcp(handle).state() {
                // A reset before it was made has it listen again.
                State::Listen if backlog.idle.is_none() => {
                    self.set_role(handle, Role::Idle(id));
                    backlog.idle = Some(handle);
                }
                State::Listen | State::Closed => self.drop_conn(handle),
                _ => backlog.pending.push_back(handle),
            }
        }
        if backlog.idle.is_none() && backlog.pending.len() < backlog.most {
            // Where there is no room, what is released next is tried for.
            backlog.idle = self.idle(id, &backlog).ok();
        }
        if self.acceptable(&backlog).is_some() {
            self.wake.push(backlog.signal.clone());
        }
        self.listeners.insert(id, backlog);
    }

    fn idle(&mut self, id: u64, backlog: &Backlog) -> Result<SocketHandle, ErrorCode> {
        let handle = self.add_conn(Role::Idle(id), &backlog.options)?;
        let local = endpoint(backlog.local);
        let at = IpListenEndpoint {
            addr: Some(local.addr).filter(|addr| !addr.is_unspecified()),
            port: local.port,
        };
        if self.tcp(handle).listen(at).is_err() {
            self.remove(handle);
            return Err(ErrorCode::Unknown);
        }
        Ok(handle)
    }

    /// The socket that listened is asked for a connection. One for every address listens in
    /// both families: what is not of the listener's is for the other one, or refused.
    fn asked(&mut self, id: u64, backlog: &mut Backlog, handle: SocketHandle) {
        let Some(local) = self.tcp(handle).local_endpoint().map(socket_addr) else {
            return self.drop_conn(handle);
        };
        if local.is_ipv4() == backlog.local.is_ipv4() {
            backlog.pending.push_back(handle);
            return self.set_role(handle, Role::Pending(id));
        }
        let other = self.listeners.iter_mut().find(|(_, other)| {
            let ip = other.local.ip();
            other.local.is_ipv4() == local.is_ipv4()
                && other.local.port() == local.port()
                && (ip == local.ip() || ip.is_unspecified())
                && other.pending.len() < other.most
        });
        match other {
            Some((other, taker)) => {
                let other = *other;
                taker.pending.push_back(handle);
                self.set_role(handle, Role::Pending(other));
            }
            None => self.reset_conn(handle),
        }
    }

    fn set_role(&mut self, handle: SocketHandle, role: Role) {
        if let Some(conn) = self.conns.get_mut(&handle) {
            conn.role = role;
        }
    }

    /// Where in the queue the next connection is.
    fn acceptable(&self, backlog: &Backlog) -> Option<usize> {
        backlog.pending.iter().position(|handle| {
            let state = self.sockets.get::<Tcp>(*handle).state();
            !matches!(state, State::SynReceived | State::Closed | State::Listen)
        })
    }

    /// Takes the next connection of a listener.
    fn accept(&mut self, id: u64) -> Option<SocketHandle> {
        let next = self.acceptable(self.listeners.get(&id)?)?;
        let backlog = self.listeners.get_mut(&id)?;
        let handle = backlog.pending.remove(next)?;
        let options = backlog.options.clone();
        self.set_role(handle, Role::Held);
        if let Some(conn) = self.conns.get_mut(&handle) {
            let socket = self.sockets.get_mut::<Tcp>(handle);
            options.apply_tcp(socket);
            conn.options = options;
            // They are what they were made.
            conn.options.receive = socket.recv_capacity();
            conn.options.send = socket.send_capacity();
        }
        self.refill(id);
        Some(handle)
    }

    fn drop_listener(&mut self, id: u64) {
        let Some(backlog) = self.listeners.remove(&id) else {
            return;
        };
        for handle in backlog.pending {
            self.reset_conn(handle);
        }
        if let Some(idle) = backlog.idle {
            self.drop_conn(idle);
        }
        self.tcp_ports.release(backlog.local);
        self.put();
    }
}

/// A listening socket.
pub(super) struct Listener {
    shared: Arc<Shared>,
    id: u64,
    local: SocketAddr,
}

impl Listener {
    /// Takes over the bound address and the place of a socket.
    pub(super) fn new(
        shared: &Arc<Shared>,
        local: SocketAddr,
        options: Options,
        backlog: u32,
    ) -> Self {
        let id = shared.with(|stack| stack.listen(local, options, backlog));
        Self {
            shared: shared.clone(),
            id,
            local,
        }
    }

    fn backlog<T>(&self, f: impl FnOnce(&mut Stack, &mut Backlog) -> T) -> Result<T, ErrorCode> {
        self.shared.with(|stack| {
            let mut backlog = stack.listeners.remove(&self.id);
            let result = backlog.as_mut().map(|backlog| f(stack, backlog));
            if let Some(backlog) = backlog {
                stack.listeners.insert(self.id, backlog);
                stack.refill(self.id);
            }
            result.ok_or(ErrorCode::InvalidState)
        })
    }
}

impl Socket for Listener {
    fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        Ok(self.local)
    }

    fn option(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        self.backlog(|_, backlog| backlog.options.get_tcp(option))?
    }

    fn set_option(&self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        self.backlog(|stack, backlog| {
            backlog.options.set_tcp(option, value)?;
            // The next connection is to have it.
            if let Some(idle) = backlog.idle.take() {
                stack.remove(idle);
            }
            Ok(())
        })?
    }
}

impl TcpListener for Listener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Arc<dyn TcpStream>, ErrorCode>> {
        let next = self.shared.with(|stack| {
            let next = stack.accept(self.id);
            if next.is_none()
                && let Some(backlog) = stack.listeners.get(&self.id)
            {
                // Under the lock, so that no connection comes between.
                backlog.signal.changed.register(cx.waker());
            }
            next
        });
        match next {
            Some(handle) => Poll::Ready(Ok(Arc::new(Stream::new(&self.shared, handle, None)))),
            None => Poll::Pending,
        }
    }

    fn set_backlog(&self, backlog: u32) -> Result<(), ErrorCode> {
        self.backlog(|stack, this| this.most = stack.backlog(backlog))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shared.with(|stack| stack.drop_listener(self.id));
    }
}
