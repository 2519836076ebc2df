//! The state machine of a TCP socket, as the WIT text of `wasi:sockets/tcp` and its
//! operational semantics have it, over any backend.

use crate::address::{check_local, check_remote};
use crate::connection::Connection;
use crate::ctx::{Slot, Slots};
use crate::incoming::{Accepted, IncomingConnections};
use crate::settings::checked;
use crate::{
    DynNetwork, ErrorCode, IpAddressFamily, Shutdown, Socket, SocketOption, TcpInputStream,
    TcpListener, TcpOutputStream, TcpSocket, TcpStream, WasiSocketsCtx,
};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::task::{Context, Poll, Waker, ready};
use wasi_io::Pollable;

/// The backlog of a listener that asked for none.
const BACKLOG: u32 = 128;

/// A `tcp-socket`.
///
/// In the `closed` state every fallible method answers [`ErrorCode::InvalidState`], and what
/// the socket held is released.
pub struct DynTcpSocket {
    family: IpAddressFamily,
    network: DynNetwork,
    slots: Slots,
    slot: Arc<Slot>,
    backlog: u32,
    state: State,
}

enum State {
    /// `unbound`, `bound` and the three `*-in-progress`.
    Fresh(Fresh),
    Listening {
        listener: Arc<dyn TcpListener>,
        /// `None` once it was taken.
        incoming: Option<IncomingConnections>,
    },
    Connected(Connected),
    Closed,
}

struct Fresh {
    backend: Box<dyn TcpSocket>,
    bound: bool,
    operation: Option<Operation>,
    /// What the guest set so far, for another network's socket.
    options: BTreeMap<SocketOption, u64>,
}

struct Connected {
    connection: Arc<Connection>,
    input_taken: bool,
    output_taken: bool,
}

impl Connected {
    fn new(stream: Arc<dyn TcpStream>, slot: Arc<Slot>) -> Self {
        Self {
            connection: Connection::new(stream, slot),
            input_taken: false,
            output_taken: false,
        }
    }
}

/// What is in progress, and how it ended.
enum Operation {
    Bind(SocketAddr, End<()>),
    Listen(u32, End<Arc<dyn TcpListener>>),
    Connect(SocketAddr, End<Arc<dyn TcpStream>>),
}

type End<T> = Option<Result<T, ErrorCode>>;

impl Fresh {
    /// Goes on with what is in progress; ready when it has ended, or when nothing is.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        fn go<T>(end: &mut End<T>, poll: impl FnOnce() -> Poll<Result<T, ErrorCode>>) -> Poll<()> {
            if end.is_none() {
                *end = Some(ready!(poll()));
            }
            Poll::Ready(())
        }
        let backend = &mut self.backend;
        match &mut self.operation {
            Some(Operation::Bind(local, end)) => go(end, || backend.poll_bind(cx, *local)),
            Some(Operation::Listen(backlog, end)) => go(end, || backend.poll_listen(cx, *backlog)),
            Some(Operation::Connect(remote, end)) => go(end, || backend.poll_connect(cx, *remote)),
            None => Poll::Ready(()),
        }
    }

    /// What has the settings and the address now.
    fn socket(&self) -> &dyn Socket {
        match &self.operation {
            Some(Operation::Listen(_, Some(Ok(listener)))) => &**listener,
            Some(Operation::Connect(_, Some(Ok(stream)))) => &**stream,
            _ => &*self.backend,
        }
    }
}

impl DynTcpSocket {
    /// `create-tcp-socket`: a socket of the guest's network.
    ///
    /// # Errors
    /// - [`ErrorCode::NewSocketLimit`]: the guest's limit, or the system's.
    /// - those of [`Network::tcp_socket`](crate::Network::tcp_socket).
    pub fn new(ctx: &WasiSocketsCtx, family: IpAddressFamily) -> Result<Self, ErrorCode> {
        let slot = Arc::new(ctx.sockets.take(ErrorCode::NewSocketLimit)?);
        Ok(Self {
            family,
            network: ctx.instance_network(),
            slots: ctx.sockets.clone(),
            slot,
            backlog: BACKLOG,
            state: State::Fresh(Fresh {
                backend: ctx.network.get().tcp_socket(family)?,
                bound: false,
                operation: None,
                options: BTreeMap::new(),
            }),
        })
    }

    /// The socket of a connection that was accepted.
    pub(crate) fn connected(
        family: IpAddressFamily,
        network: DynNetwork,
        slots: Slots,
        stream: Arc<dyn TcpStream>,
        slot: Slot,
    ) -> Self {
        let slot = Arc::new(slot);
        Self {
            family,
            network,
            slots,
            slot: slot.clone(),
            backlog: BACKLOG,
            state: State::Connected(Connected::new(stream, slot)),
        }
    }

    /// `start-bind`. Whether the bind succeeds is said by [`DynTcpSocket::finish_bind`].
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidArgument`]: `local` is of the other family, multicast, broadcast
    ///   or IPv4-mapped.
    /// - [`ErrorCode::ConcurrencyConflict`]: another operation is in progress.
    /// - [`ErrorCode::InvalidState`]: the socket is bound already, or closed.
    /// - those of [`Network::tcp_socket`](crate::Network::tcp_socket), when `network` is not
    ///   the one that the socket was made for.
    pub fn start_bind(&mut self, network: &DynNetwork, local: SocketAddr) -> Result<(), ErrorCode> {
        check_local(self.family, &local)?;
        if self.idle()?.bound {
            return Err(ErrorCode::InvalidState);
        }
        self.attach(network)?;
        self.start(Operation::Bind(local, None))
    }

    /// `finish-bind`. After a failure the socket is unbound as before.
    ///
    /// # Errors
    /// - [`ErrorCode::NotInProgress`]: no bind is.
    /// - [`ErrorCode::WouldBlock`]: it is not finished.
    /// - those of [`TcpSocket::poll_bind`].
    pub fn finish_bind(&mut self) -> Result<(), ErrorCode> {
        let result = self.finish(|operation| match operation {
            Operation::Bind(_, end) => Some(end),
            _ => None,
        })?;
        if let State::Fresh(fresh) = &mut self.state {
            fresh.bound = result.is_ok();
        }
        result
    }

    /// `start-connect`. Whether it succeeds is said by [`DynTcpSocket::finish_connect`].
    ///
    /// # Errors
    /// A socket that could have begun to connect is closed after each of them.
    /// - [`ErrorCode::InvalidArgument`]: `remote` is of the other family, multicast,
    ///   broadcast, IPv4-mapped, unspecified or without a port; or `network` is not the one
    ///   that the socket was bound with.
    /// - [`ErrorCode::ConcurrencyConflict`]: another operation is in progress.
    /// - [`ErrorCode::InvalidState`]: the socket listens, is connected, or is closed.
    /// - those of [`Network::tcp_socket`](crate::Network::tcp_socket), as in
    ///   [`DynTcpSocket::start_bind`].
    pub fn start_connect(
        &mut self,
        network: &DynNetwork,
        remote: SocketAddr,
    ) -> Result<(), ErrorCode> {
        let checked = check_remote(self.family, &remote);
        let bound = match self.idle() {
            Ok(fresh) => fresh.bound,
            Err(wrong_state) => return checked.and(Err(wrong_state)),
        };
        let started = checked
            .and_then(|()| match bound {
                true if network.is(&self.network) => Ok(()),
                true => Err(ErrorCode::InvalidArgument),
                false => self.attach(network),
            })
            .and_then(|()| self.start(Operation::Connect(remote, None)));
        if started.is_err() {
            self.state = State::Closed;
        }
        started
    }

    /// `finish-connect`: the streams of the connection. After a failure the socket is closed.
    ///
    /// # Errors
    /// - [`ErrorCode::NotInProgress`]: no connect is.
    /// - [`ErrorCode::WouldBlock`]: it is not finished.
    /// - those of [`TcpSocket::poll_connect`].
    pub fn finish_connect(&mut self) -> Result<(TcpInputStream, TcpOutputStream), ErrorCode> {
        self.end_connect()?;
        Ok((self.take_input()?, self.take_output()?))
    }

    /// [`DynTcpSocket::finish_connect`] without the streams, which can be taken later.
    fn end_connect(&mut self) -> Result<(), ErrorCode> {
        let result = self.finish(|operation| match operation {
            Operation::Connect(_, end) => Some(end),
            _ => None,
        })?;
        self.state = State::Closed;
        self.state = State::Connected(Connected::new(result?, self.slot.clone()));
        Ok(())
    }

    /// The input of the connection: `receive` of WASI 0.3. Where it is never taken, the
    /// connection stays as it is until the socket and the other stream are dropped.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidState`]: the socket is not connected, or it was taken before.
    pub fn take_input(&mut self) -> Result<TcpInputStream, ErrorCode> {
        match &mut self.state {
            State::Connected(connected) if !connected.input_taken => {
                connected.input_taken = true;
                Ok(connected.connection.input())
            }
            _ => Err(ErrorCode::InvalidState),
        }
    }

    /// The output of the connection: `send` of WASI 0.3, as [`DynTcpSocket::take_input`].
    ///
    /// # Errors
    /// As [`DynTcpSocket::take_input`].
    pub fn take_output(&mut self) -> Result<TcpOutputStream, ErrorCode> {
        match &mut self.state {
            State::Connected(connected) if !connected.output_taken => {
                connected.output_taken = true;
                Ok(connected.connection.output())
            }
            _ => Err(ErrorCode::InvalidState),
        }
    }

    /// `start-listen`. Whether it succeeds is said by [`DynTcpSocket::finish_listen`].
    ///
    /// # Errors
    /// - [`ErrorCode::ConcurrencyConflict`]: another operation is in progress.
    /// - [`ErrorCode::InvalidState`]: the socket is not bound, listens already, is connected
    ///   or is closed.
    pub fn start_listen(&mut self) -> Result<(), ErrorCode> {
        match self.idle()?.bound {
            true => self.start(Operation::Listen(self.backlog, None)),
            false => Err(ErrorCode::InvalidState),
        }
    }

    /// `finish-listen`. After a failure the socket is closed.
    ///
    /// # Errors
    /// - [`ErrorCode::NotInProgress`]: no listen is.
    /// - [`ErrorCode::WouldBlock`]: it is not finished.
    /// - those of [`TcpSocket::poll_listen`].
    pub fn finish_listen(&mut self) -> Result<(), ErrorCode> {
        let result = self.finish(|operation| match operation {
            Operation::Listen(_, end) => Some(end),
            _ => None,
        })?;
        self.state = State::Closed;
        let listener = result?;
        let incoming = IncomingConnections::new(
            listener.clone(),
            self.family,
            self.network.clone(),
            self.slots.clone(),
        );
        self.state = State::Listening {
            listener,
            incoming: Some(incoming),
        };
        Ok(())
    }

    /// `accept`: the next connection.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidState`]: the socket does not listen, or its connections go to
    ///   [`DynTcpSocket::listen`]'s caller.
    /// - [`ErrorCode::WouldBlock`]: there is none yet.
    /// - [`ErrorCode::NewSocketLimit`]: the guest's limit; the connection waits.
    /// - those of [`TcpListener::poll_accept`].
    pub fn accept(&mut self) -> Result<Accepted, ErrorCode> {
        let State::Listening {
            incoming: Some(incoming),
            ..
        } = &mut self.state
        else {
            return Err(ErrorCode::InvalidState);
        };
        let mut socket = incoming.accept()?;
        let (input, output) = (socket.take_input()?, socket.take_output()?);
        Ok((socket, input, output))
    }

    /// `local-address`. A connect in progress has bound the socket.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidState`]: the socket is not bound, or closed.
    pub fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        if let State::Fresh(fresh) = &self.state
            && !fresh.bound
            && !matches!(fresh.operation, Some(Operation::Connect(..)))
        {
            return Err(ErrorCode::InvalidState);
        }
        match self.socket()?.local_address()? {
            address if address.port() == 0 => Err(ErrorCode::InvalidState),
            address => Ok(address),
        }
    }

    /// `remote-address`.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidState`]: the socket is not connected, or not any more.
    pub fn remote_address(&self) -> Result<SocketAddr, ErrorCode> {
        self.connection()?.stream().remote_address()
    }

    /// `is-listening`.
    pub fn is_listening(&self) -> bool {
        matches!(self.state, State::Listening { .. })
    }

    /// `address-family`.
    pub fn address_family(&self) -> IpAddressFamily {
        self.family
    }

    /// `set-listen-backlog-size`: about how many connections wait until they are accepted.
    /// More than 2^32 - 1 is that.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidArgument`]: `value` is 0.
    /// - [`ErrorCode::InvalidState`]: the socket connects, is connected, or is closed.
    /// - [`ErrorCode::NotSupported`]: it listens, and the network can't change it any more.
    pub fn set_listen_backlog_size(&mut self, value: u64) -> Result<(), ErrorCode> {
        let backlog = match u32::try_from(value) {
            Ok(0) => return Err(ErrorCode::InvalidArgument),
            Ok(value) => value,
            Err(_) => u32::MAX,
        };
        match &self.state {
            State::Fresh(fresh) => match &fresh.operation {
                Some(Operation::Connect(..)) => return Err(ErrorCode::InvalidState),
                Some(Operation::Listen(_, Some(Ok(listener)))) => listener.set_backlog(backlog)?,
                // Too late for this one; it is a hint.
                Some(Operation::Listen(..)) | Some(Operation::Bind(..)) | None => {}
            },
            State::Listening { listener, .. } => listener.set_backlog(backlog)?,
            State::Connected(_) | State::Closed => return Err(ErrorCode::InvalidState),
        }
        self.backlog = backlog;
        Ok(())
    }

    /// `keep-alive-enabled` (0 or 1), `keep-alive-idle-time`, `keep-alive-interval`,
    /// `keep-alive-count`, `hop-limit`, `receive-buffer-size`, `send-buffer-size`.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidState`]: the socket is closed.
    /// - [`ErrorCode::NotSupported`]: the network has no such setting.
    pub fn option(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        self.socket()?.option(option)
    }

    /// `set-keep-alive-enabled` and the others, as [`DynTcpSocket::option`].
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidArgument`]: `value` is 0, except to disable keep-alive.
    /// - those of [`DynTcpSocket::option`].
    pub fn set_option(&mut self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        let value = checked(option, value)?;
        self.socket()?.set_option(option, value)?;
        if let State::Fresh(fresh) = &mut self.state {
            fresh.options.insert(option, value);
        }
        Ok(())
    }

    /// `shutdown`: closes the input, the output, or both; the output after what was written
    /// to it. A direction that is closed already stays so.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidState`]: the socket is not connected, or not any more.
    pub fn shutdown(&mut self, how: Shutdown) -> Result<(), ErrorCode> {
        self.connection()?.shutdown(how)
    }

    fn connection(&self) -> Result<&Connection, ErrorCode> {
        match &self.state {
            State::Connected(connected) => Ok(&connected.connection),
            _ => Err(ErrorCode::InvalidState),
        }
    }

    fn socket(&self) -> Result<&dyn Socket, ErrorCode> {
        match &self.state {
            State::Fresh(fresh) => Ok(fresh.socket()),
            State::Listening { listener, .. } => Ok(&**listener),
            State::Connected(connected) => Ok(connected.connection.stream()),
            State::Closed => Err(ErrorCode::InvalidState),
        }
    }

    /// `unbound` or `bound`.
    fn idle(&mut self) -> Result<&mut Fresh, ErrorCode> {
        match &mut self.state {
            State::Fresh(fresh) if fresh.operation.is_none() => Ok(fresh),
            State::Fresh(_) => Err(ErrorCode::ConcurrencyConflict),
            _ => Err(ErrorCode::InvalidState),
        }
    }

    /// Makes an unbound socket one of `network`.
    fn attach(&mut self, network: &DynNetwork) -> Result<(), ErrorCode> {
        if network.is(&self.network) {
            return Ok(());
        }
        let family = self.family;
        let fresh = self.idle()?;
        let backend = network.get().tcp_socket(family)?;
        for (option, value) in &fresh.options {
            backend.set_option(*option, *value)?;
        }
        fresh.backend = backend;
        self.network = network.clone();
        Ok(())
    }

    fn start(&mut self, operation: Operation) -> Result<(), ErrorCode> {
        let fresh = self.idle()?;
        fresh.operation = Some(operation);
        // What it comes to is for `finish-*` to say.
        let _ = fresh.poll(&mut Context::from_waker(Waker::noop()));
        Ok(())
    }

    /// The end of the operation in progress, if `of_kind` knows it.
    fn finish<T>(
        &mut self,
        of_kind: fn(&mut Operation) -> Option<&mut End<T>>,
    ) -> Result<Result<T, ErrorCode>, ErrorCode> {
        let State::Fresh(fresh) = &mut self.state else {
            return Err(ErrorCode::NotInProgress);
        };
        if fresh.operation.as_mut().and_then(of_kind).is_none() {
            return Err(ErrorCode::NotInProgress);
        }
        // Without a waker: who waits does it with `subscribe`.
        let _ = fresh.poll(&mut Context::from_waker(Waker::noop()));
        let end = fresh.operation.as_mut().and_then(of_kind);
        let end = end.and_then(Option::take).ok_or(ErrorCode::WouldBlock)?;
        fresh.operation = None;
        Ok(end)
    }
}

impl Pollable for DynTcpSocket {
    /// `subscribe`: ready unless something is in progress, or it listens and has no connection.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.state {
            State::Fresh(fresh) => fresh.poll(cx),
            State::Listening {
                incoming: Some(incoming),
                ..
            } => incoming.poll_ready(cx),
            State::Listening { incoming: None, .. } | State::Connected(_) | State::Closed => {
                Poll::Ready(())
            }
        }
    }
}

mod whole;

#[cfg(test)]
mod tests;
