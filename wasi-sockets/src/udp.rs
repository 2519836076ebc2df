//! The state machine of a UDP socket, as the WIT text of `wasi:sockets/udp` has it, over any
//! backend.

use crate::address::{check_family, check_peer};
use crate::ctx::Slot;
use crate::datagrams::Association;
use crate::settings::checked;
use crate::{
    DynNetwork, ErrorCode, IncomingDatagramStream, IpAddressFamily, OutgoingDatagramStream, Socket,
    SocketOption, UdpSocket, WasiSocketsCtx,
};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::task::{Context, Poll, Waker, ready};
use wasi_io::Pollable;

/// A `udp-socket`.
pub struct DynUdpSocket {
    family: IpAddressFamily,
    network: DynNetwork,
    slot: Arc<Slot>,
    state: State,
    /// What the guest set so far, for another network's socket.
    options: BTreeMap<SocketOption, u64>,
}

enum State {
    Unbound(Box<dyn UdpSocket>),
    BindInProgress {
        backend: Box<dyn UdpSocket>,
        local: SocketAddr,
        end: Option<Result<(), ErrorCode>>,
    },
    Bound {
        backend: Arc<dyn UdpSocket>,
        /// What the streams that `stream` gave last have in common.
        streams: Option<Arc<Association>>,
    },
    /// The backend lost the address, or the state is being changed.
    Closed,
}

impl DynUdpSocket {
    /// `create-udp-socket`: a socket of the guest's network.
    ///
    /// # Errors
    /// - [`ErrorCode::NewSocketLimit`]: the guest's limit, or the system's.
    /// - those of [`Network::udp_socket`](crate::Network::udp_socket).
    pub fn new(ctx: &WasiSocketsCtx, family: IpAddressFamily) -> Result<Self, ErrorCode> {
        let slot = Arc::new(ctx.sockets.take(ErrorCode::NewSocketLimit)?);
        Ok(Self {
            family,
            network: ctx.instance_network(),
            slot,
            state: State::Unbound(ctx.network.get().udp_socket(family)?),
            options: BTreeMap::new(),
        })
    }

    /// `start-bind`. Whether the bind succeeds is said by [`DynUdpSocket::finish_bind`].
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidArgument`]: `local` is of the other family, or IPv4-mapped.
    /// - [`ErrorCode::ConcurrencyConflict`]: a bind is in progress.
    /// - [`ErrorCode::InvalidState`]: the socket is bound already.
    /// - those of [`Network::udp_socket`](crate::Network::udp_socket), when `network` is not
    ///   the one that the socket was made for.
    pub fn start_bind(&mut self, network: &DynNetwork, local: SocketAddr) -> Result<(), ErrorCode> {
        check_family(self.family, &local)?;
        match self.state {
            State::Unbound(_) => {}
            State::BindInProgress { .. } => return Err(ErrorCode::ConcurrencyConflict),
            State::Bound { .. } | State::Closed => return Err(ErrorCode::InvalidState),
        }
        if !network.is(&self.network) {
            let backend = network.get().udp_socket(self.family)?;
            for (option, value) in &self.options {
                backend.set_option(*option, *value)?;
            }
            self.state = State::Unbound(backend);
            self.network = network.clone();
        }
        if let State::Unbound(backend) = core::mem::replace(&mut self.state, State::Closed) {
            self.state = State::BindInProgress {
                backend,
                local,
                end: None,
            };
        }
        // What it comes to is for `finish-bind` to say.
        let _ = self.poll_ready(&mut Context::from_waker(Waker::noop()));
        Ok(())
    }

    /// `finish-bind`. After a failure the socket is unbound as before.
    ///
    /// # Errors
    /// - [`ErrorCode::NotInProgress`]: no bind is.
    /// - [`ErrorCode::WouldBlock`]: it is not finished.
    /// - those of [`UdpSocket::poll_bind`].
    pub fn finish_bind(&mut self) -> Result<(), ErrorCode> {
        // Without a waker: who waits does it with `subscribe`.
        let _ = self.poll_ready(&mut Context::from_waker(Waker::noop()));
        match core::mem::replace(&mut self.state, State::Closed) {
            State::BindInProgress {
                backend,
                end: Some(end),
                ..
            } => {
                self.state = match end {
                    Ok(()) => State::Bound {
                        backend: backend.into(),
                        streams: None,
                    },
                    Err(_) => State::Unbound(backend),
                };
                end
            }
            state => {
                let waits = matches!(state, State::BindInProgress { .. });
                self.state = state;
                Err(match waits {
                    true => ErrorCode::WouldBlock,
                    false => ErrorCode::NotInProgress,
                })
            }
        }
    }

    /// `stream`: a pair of streams, to and from `remote` alone if there is one. The earlier
    /// pair ends: it answers [`ErrorCode::InvalidState`] from then on.
    ///
    /// # Errors
    /// After the first three nothing has changed; after the others the socket has no peer and
    /// the earlier pair has ended.
    /// - [`ErrorCode::InvalidArgument`]: `remote` is of the other family, IPv4-mapped,
    ///   unspecified or without a port.
    /// - [`ErrorCode::ConcurrencyConflict`]: a bind is in progress.
    /// - [`ErrorCode::InvalidState`]: the socket is not bound.
    /// - those of [`UdpSocket::connect`].
    /// - those of [`UdpSocket::disconnect`]: every later call is [`ErrorCode::InvalidState`].
    pub fn stream(
        &mut self,
        remote: Option<SocketAddr>,
    ) -> Result<(IncomingDatagramStream, OutgoingDatagramStream), ErrorCode> {
        if let Some(remote) = &remote {
            check_peer(self.family, remote)?;
        }
        let association = self.associate(remote)?;
        Ok((
            IncomingDatagramStream::new(association.clone()),
            OutgoingDatagramStream::new(association),
        ))
    }

    /// Ends what is with what was the peer, and begins with `remote`, which was checked.
    fn associate(&mut self, remote: Option<SocketAddr>) -> Result<Arc<Association>, ErrorCode> {
        let (backend, streams) = match &mut self.state {
            State::Bound { backend, streams } => (backend, streams),
            State::BindInProgress { .. } => return Err(ErrorCode::ConcurrencyConflict),
            State::Unbound(_) | State::Closed => return Err(ErrorCode::InvalidState),
        };
        if let Some(earlier) = streams.take() {
            earlier.end();
            if earlier.remote().is_some()
                && let Err(lost) = backend.disconnect()
            {
                self.state = State::Closed;
                return Err(lost);
            }
        }
        if let Some(remote) = remote {
            backend.connect(remote)?;
        }
        let association = Arc::new(Association::new(
            backend.clone(),
            self.family,
            remote,
            self.slot.clone(),
        ));
        *streams = Some(association.clone());
        Ok(association)
    }

    /// `local-address`.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidState`]: the socket is not bound.
    pub fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        match &self.state {
            State::Bound { backend, .. } => backend.local_address(),
            _ => Err(ErrorCode::InvalidState),
        }
    }

    /// `remote-address`: that of the streams that `stream` gave last.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidState`]: they have no single peer, or there are none.
    pub fn remote_address(&self) -> Result<SocketAddr, ErrorCode> {
        let remote = match &self.state {
            State::Bound { streams, .. } => streams.as_ref().and_then(|streams| streams.remote()),
            _ => None,
        };
        remote.ok_or(ErrorCode::InvalidState)
    }

    /// `address-family`.
    pub fn address_family(&self) -> IpAddressFamily {
        self.family
    }

    /// `unicast-hop-limit`, `receive-buffer-size`, `send-buffer-size`.
    ///
    /// # Errors
    /// - [`ErrorCode::NotSupported`]: the network has no such setting, or UDP has none.
    pub fn option(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        self.socket(option)?.option(option)
    }

    /// `set-unicast-hop-limit` and the others, as [`DynUdpSocket::option`].
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidArgument`]: `value` is 0.
    /// - those of [`DynUdpSocket::option`].
    pub fn set_option(&mut self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        let value = checked(option, value)?;
        self.socket(option)?.set_option(option, value)?;
        self.options.insert(option, value);
        Ok(())
    }

    /// What has the setting `option` now.
    fn socket(&self, option: SocketOption) -> Result<&dyn Socket, ErrorCode> {
        match option {
            SocketOption::HopLimit
            | SocketOption::ReceiveBufferSize
            | SocketOption::SendBufferSize => {}
            _ => return Err(ErrorCode::NotSupported),
        }
        match &self.state {
            State::Unbound(backend) | State::BindInProgress { backend, .. } => Ok(&**backend),
            State::Bound { backend, .. } => Ok(&**backend),
            State::Closed => Err(ErrorCode::InvalidState),
        }
    }
}

impl Pollable for DynUdpSocket {
    /// `subscribe`: ready unless a bind is in progress.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let State::BindInProgress {
            backend,
            local,
            end: end @ None,
        } = &mut self.state
        {
            *end = Some(ready!(backend.poll_bind(cx, *local)));
        }
        Poll::Ready(())
    }
}

mod whole;

#[cfg(test)]
mod tests;
