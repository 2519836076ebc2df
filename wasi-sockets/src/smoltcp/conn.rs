//! The TCP sockets of smoltcp, from their making until nothing of them is left.

use super::options::{Options, duration};
use super::signal::{Kind, Phase, Signal};
use super::stack::Stack;
use crate::ErrorCode;
use alloc::sync::Arc;
use alloc::vec;
use core::net::SocketAddr;
use core::task::Waker;
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::{CongestionControl, Socket, SocketBuffer, State};
use smoltcp::wire::{IpEndpoint, IpListenEndpoint};

/// How long a reset has to leave: the way to a neighbour may have to be asked for.
const RESET: u64 = 3_000_000_000;

/// How long an acknowledgement waits for bytes to go with. Short: what is in TIME-WAIT must
/// not be forgotten before.
const ACK_DELAY: u64 = 2_000_000;

/// What is known of a TCP socket beside its state in smoltcp.
pub(super) struct Conn {
    pub(super) role: Role,
    pub(super) signal: Arc<Signal>,
    waker: Waker,
    last: State,
    local: Option<IpEndpoint>,
    /// Why the connection ended, other than by both sides' leave.
    pub(super) lost: Option<ErrorCode>,
    /// The guest reads no more.
    pub(super) unread: bool,
    /// The guest writes no more.
    pub(super) shut: bool,
    pub(super) options: Options,
    /// Bytes of its buffers.
    bytes: usize,
    /// When it is given up, if it closes.
    deadline: u64,
}

/// Who has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A listener, and nobody asked for it yet.
    Idle(u64),
    /// A listener, and nobody accepted it yet.
    Pending(u64),
    /// A stream, or a socket that connects.
    Held,
    /// Nobody.
    Closing,
}

impl Stack {
    /// A new socket of smoltcp with the settings of `options`.
    pub(super) fn add_conn(
        &mut self,
        role: Role,
        options: &Options,
    ) -> Result<SocketHandle, ErrorCode> {
        let bytes = options.buffers();
        self.room(bytes)?;
        self.buffers += bytes;
        let buffer = |len| SocketBuffer::new(vec![0; len]);
        let mut socket = Socket::new(buffer(options.receive), buffer(options.send));
        socket.set_congestion_control(CongestionControl::Reno);
        // Guests that write little by little do not wait for answers in between; what they
        // write before the driver's turn goes in one segment anyway.
        socket.set_nagle_enabled(false);
        socket.set_ack_delay(Some(duration(ACK_DELAY)));
        socket.set_timeout(Some(duration(self.limits.connect_timeout)));
        options.apply_tcp(&mut socket);
        let handle = self.sockets.add(socket);
        let signal = self.signal(Kind::Tcp(handle));
        let conn = Conn {
            role,
            waker: Waker::from(signal.clone()),
            signal,
            last: State::Closed,
            local: None,
            lost: None,
            unread: false,
            shut: false,
            options: options.clone(),
            bytes,
            deadline: 0,
        };
        self.conns.insert(handle, conn);
        self.arm(handle);
        Ok(handle)
    }

    fn arm(&mut self, handle: SocketHandle) {
        if let Some(conn) = self.conns.get(&handle) {
            let socket = self.sockets.get_mut::<Socket>(handle);
            socket.register_recv_waker(&conn.waker);
            socket.register_send_waker(&conn.waker);
        }
    }

    pub(super) fn tcp(&mut self, handle: SocketHandle) -> &mut Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Begins to connect, from `local`.
    pub(super) fn connect(
        &mut self,
        options: &Options,
        local: SocketAddr,
        remote: SocketAddr,
    ) -> Result<SocketHandle, ErrorCode> {
        let from = endpoint(local);
        if let Some(old) = self.same(from, endpoint(remote)) {
            match self.tcp(old).state() {
                State::TimeWait => self.remove(old),
                _ => return Err(ErrorCode::AddressInUse),
            }
        }
        let handle = self.add_conn(Role::Held, options)?;
        let socket = self.sockets.get_mut::<Socket>(handle);
        let listen = IpListenEndpoint::from(from);
        if socket
            .connect(self.iface.context(), endpoint(remote), listen)
            .is_err()
        {
            self.remove(handle);
            return Err(ErrorCode::RemoteUnreachable);
        }
        self.drive = true;
        Ok(handle)
    }

    /// The connection between `local` and `remote` that there is.
    fn same(&mut self, local: IpEndpoint, remote: IpEndpoint) -> Option<SocketHandle> {
        let sockets = &self.sockets;
        self.conns.keys().copied().find(|handle| {
            let socket = sockets.get::<Socket>(*handle);
            socket.local_endpoint() == Some(local) && socket.remote_endpoint() == Some(remote)
        })
    }

    /// smoltcp did something with it.
    pub(super) fn tcp_changed(&mut self, handle: SocketHandle, phase: Phase) {
        let limits = (self.limits.peer_timeout, self.limits.connect_timeout);
        let Some(conn) = self.conns.get_mut(&handle) else {
            return;
        };
        let socket = self.sockets.get_mut::<Socket>(handle);
        let (last, state) = (conn.last, socket.state());
        conn.last = state;
        if state == State::Closed && last != State::Closed && conn.lost.is_none() {
            conn.lost = lost(last, phase);
            let gone = |local: IpEndpoint| !self.iface.has_ip_addr(local.addr);
            if conn.lost.is_some() && conn.local.is_some_and(gone) {
                conn.lost = Some(ErrorCode::ConnectionAborted);
            }
        }
        conn.local = socket.local_endpoint().or(conn.local);
        if conn.unread && socket.recv_queue() > 0 {
            drain(socket);
            self.drive = true;
        }
        // smoltcp's time-out holds for silence, whether or not an answer is due. It does not
        // begin anew with a FIN, so that one that follows a long silence must have none.
        socket.set_timeout(match state {
            State::Listen | State::SynSent | State::SynReceived => Some(duration(limits.1)),
            _ if socket.send_queue() > 0 => Some(duration(limits.0)),
            State::Established => conn.options.silence(),
            _ => None,
        });
        let role = conn.role;
        self.arm(handle);
        match role {
            Role::Idle(listener) | Role::Pending(listener) => self.refill(listener),
            Role::Closing => self.closing_changed(handle),
            Role::Held => {}
        }
    }

    /// Nobody has it any more: what was written gets some time to leave, what was not read
    /// resets the connection.
    pub(super) fn drop_conn(&mut self, handle: SocketHandle) {
        let at = self.now.saturating_add(self.limits.close_timeout);
        let Some(conn) = self.conns.get_mut(&handle) else {
            return;
        };
        conn.role = Role::Closing;
        conn.deadline = at;
        self.closing.insert((at, handle));
        let socket = self.tcp(handle);
        match socket.state() {
            State::SynSent | State::SynReceived => socket.abort(),
            _ => socket.close(),
        }
        self.closing_changed(handle);
        self.drive = true;
    }

    fn closing_changed(&mut self, handle: SocketHandle) {
        let socket = self.sockets.get_mut::<Socket>(handle);
        if socket.state() != State::Closed && socket.recv_queue() > 0 {
            socket.abort();
        }
        match socket.state() {
            State::Closed if socket.local_endpoint().is_none() => self.remove(handle),
            State::Closed if !self.resetting.contains(&handle) => self.resetting.push(handle),
            State::TimeWait if !self.time_wait.contains(&handle) => {
                self.time_wait.push_back(handle);
                // It ends by itself.
                if let Some(conn) = self.conns.get(&handle) {
                    self.closing.remove(&(conn.deadline, handle));
                }
                // The new one has yet to acknowledge the end.
                while self.time_wait.len() > self.limits.time_wait.max(1) {
                    match self.time_wait.front() {
                        Some(oldest) => self.remove(*oldest),
                        None => break,
                    }
                }
            }
            _ => {}
        }
    }

    /// Resets and removes it.
    pub(super) fn reset_conn(&mut self, handle: SocketHandle) {
        self.tcp(handle).abort();
        self.drop_conn(handle);
    }

    pub(super) fn closing_expired(&mut self, handle: SocketHandle) {
        let at = self.now.saturating_add(RESET);
        let Some(conn) = self.conns.get_mut(&handle) else {
            return;
        };
        let was = core::mem::replace(&mut conn.deadline, at);
        self.closing.remove(&(was, handle));
        if self.tcp(handle).state() == State::Closed {
            return self.remove(handle);
        }
        self.closing.insert((at, handle));
        self.tcp(handle).abort();
    }

    /// Removes those whose reset has left.
    pub(super) fn reap(&mut self) {
        let sockets = &self.sockets;
        let left = |handle: &SocketHandle| {
            let socket = sockets.get::<Socket>(*handle);
            socket.local_endpoint().is_none()
        };
        let gone: vec::Vec<_> = self.resetting.iter().copied().filter(left).collect();
        for handle in gone {
            self.remove(handle);
        }
    }

    /// Releases all that it holds.
    pub(super) fn remove(&mut self, handle: SocketHandle) {
        let Some(conn) = self.conns.remove(&handle) else {
            return;
        };
        self.sockets.remove(handle);
        self.closing.remove(&(conn.deadline, handle));
        self.time_wait.retain(|other| *other != handle);
        self.resetting.retain(|other| *other != handle);
        self.buffers -= conn.bytes;
        self.released = true;
    }
}

/// Why a connection that was in state `last` is closed since `phase`.
fn lost(last: State, phase: Phase) -> Option<ErrorCode> {
    match (last, phase) {
        // Both sides had closed.
        (State::LastAck | State::TimeWait, Phase::Ingress) | (State::TimeWait, Phase::Egress) => {
            None
        }
        (State::SynSent, Phase::Ingress) => Some(ErrorCode::ConnectionRefused),
        (_, Phase::Ingress) => Some(ErrorCode::ConnectionReset),
        (_, Phase::Egress) => Some(ErrorCode::Timeout),
        (_, Phase::Local) => Some(ErrorCode::ConnectionAborted),
    }
}

/// Passes over what came in.
pub(super) fn drain(socket: &mut Socket<'_>) {
    while socket.recv_queue() > 0 {
        if socket.recv(|bytes| (bytes.len(), ())).is_err() {
            break;
        }
    }
}

pub(super) fn endpoint(address: SocketAddr) -> IpEndpoint {
    IpEndpoint::new(address.ip().into(), address.port())
}

pub(super) fn socket_addr(endpoint: IpEndpoint) -> SocketAddr {
    SocketAddr::new(endpoint.addr.into(), endpoint.port)
}
