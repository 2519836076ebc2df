//! A network as a policy has it, for one guest.

use super::answers::Answers;
use super::rule::Direction;
use super::udp::PolicedUdpSocket;
use super::{Action, NetworkPolicy, Reason, Refusal};
use crate::{
    ErrorCode, IpAddressFamily, Lookup, Network, Socket, SocketOption, TcpListener, TcpSocket,
    TcpStream, UdpSocket,
};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::task::{Context, Poll, ready};
use wasi_clocks::{Duration, MonotonicClock};
use wasi_io::sync::Mutex;

/// The most addresses that an answer may have; the rest is cut off.
const ADDRESSES_MAX: usize = 256;
/// An answer lasts as long as a guest needs to use it at all.
const LIFETIME_MIN: Duration = 1_000_000_000;

/// What a [`NetworkPolicy`] permits one guest of a network ([`NetworkPolicy::network`]).
/// Refusals are [`ErrorCode::AccessDenied`].
pub struct PolicedNetwork(Arc<Guest>);

/// A guest, as its sockets and lookups share it.
pub(super) struct Guest {
    policy: NetworkPolicy,
    inner: Arc<dyn Network>,
    clock: Arc<dyn MonotonicClock>,
    answers: Mutex<Answers>,
}

impl PolicedNetwork {
    pub(super) fn new(
        policy: NetworkPolicy,
        inner: Arc<dyn Network>,
        clock: Arc<dyn MonotonicClock>,
    ) -> Self {
        Self(Arc::new(Guest {
            policy,
            inner,
            clock,
            answers: Mutex::default(),
        }))
    }
}

impl Guest {
    /// Whether the guest may do `action` with `address`, without a word to anybody.
    pub(super) fn judge(&self, action: Action, address: SocketAddr) -> Result<(), Reason> {
        let direction = match action {
            Action::Listen => Direction::Listen,
            Action::Send => Direction::Udp,
            Action::Connect | Action::Request | Action::Lookup => Direction::Connect,
        };
        let (ip, port) = (address.ip(), address.port());
        let now = self.clock.now();
        let answers = self.answers.lock();
        self.policy
            .judge(direction, ip, port, answers.names(ip, now))
    }

    /// As [`Guest::judge`], and reports what is refused.
    pub(super) fn permit(&self, action: Action, address: SocketAddr) -> Result<(), ErrorCode> {
        self.judge(action, address)
            .map_err(|reason| (self.policy).refuse(Refusal::of_address(action, address, reason)))
    }

    fn remember(&self, name: &Arc<str>, addresses: &[IpAddr], lifetime: Option<Duration>) {
        let lifetime = lifetime.unwrap_or(self.policy.0.lifetime).max(LIFETIME_MIN);
        let now = self.clock.now();
        let end = now.saturating_add(lifetime);
        let mut answers = self.answers.lock();
        for address in addresses {
            answers.add(name, *address, now, end);
        }
    }
}

impl Network for PolicedNetwork {
    fn tcp_socket(&self, family: IpAddressFamily) -> Result<Box<dyn TcpSocket>, ErrorCode> {
        Ok(Box::new(PolicedTcpSocket {
            inner: self.0.inner.tcp_socket(family)?,
            guest: self.0.clone(),
            permitted: None,
        }))
    }

    fn udp_socket(&self, family: IpAddressFamily) -> Result<Box<dyn UdpSocket>, ErrorCode> {
        let inner = self.0.inner.udp_socket(family)?;
        Ok(Box::new(PolicedUdpSocket::new(self.0.clone(), inner)))
    }

    fn lookup(&self, name: &str) -> Result<Box<dyn Lookup>, ErrorCode> {
        let Guest { policy, inner, .. } = &*self.0;
        policy.judge_lookup(name).map_err(|reason| {
            policy.refuse(Refusal {
                action: Action::Lookup,
                host: Some(name.into()),
                address: None,
                port: None,
                reason,
            })
        })?;
        Ok(Box::new(PolicedLookup {
            inner: inner.lookup(name)?,
            guest: self.0.clone(),
            name: name.into(),
        }))
    }
}

struct PolicedLookup {
    guest: Arc<Guest>,
    inner: Box<dyn Lookup>,
    name: Arc<str>,
}

impl Lookup for PolicedLookup {
    fn poll_addresses(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<IpAddr>, ErrorCode>> {
        let mut addresses = ready!(self.inner.poll_addresses(cx))?;
        addresses.truncate(ADDRESSES_MAX);
        self.guest
            .remember(&self.name, &addresses, self.inner.lifetime());
        Poll::Ready(Ok(addresses))
    }

    fn lifetime(&self) -> Option<Duration> {
        self.inner.lifetime()
    }
}

struct PolicedTcpSocket {
    guest: Arc<Guest>,
    inner: Box<dyn TcpSocket>,
    /// What is in progress was judged when it began.
    permitted: Option<(Action, SocketAddr)>,
}

impl PolicedTcpSocket {
    fn permit(&mut self, action: Action, address: SocketAddr) -> Result<(), ErrorCode> {
        if self.permitted != Some((action, address)) {
            self.guest.permit(action, address)?;
            self.permitted = Some((action, address));
        }
        Ok(())
    }
}

impl Socket for PolicedTcpSocket {
    fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        self.inner.local_address()
    }

    fn option(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        self.inner.option(option)
    }

    fn set_option(&self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        self.inner.set_option(option, value)
    }
}

impl TcpSocket for PolicedTcpSocket {
    fn poll_bind(
        &mut self,
        cx: &mut Context<'_>,
        local: SocketAddr,
    ) -> Poll<Result<(), ErrorCode>> {
        if local.port() != 0 {
            self.permit(Action::Listen, local)?;
        }
        let bound = ready!(self.inner.poll_bind(cx, local));
        self.permitted = None;
        Poll::Ready(bound)
    }

    fn poll_listen(
        &mut self,
        cx: &mut Context<'_>,
        backlog: u32,
    ) -> Poll<Result<Arc<dyn TcpListener>, ErrorCode>> {
        let local = self.inner.local_address()?;
        self.permit(Action::Listen, local)?;
        self.inner.poll_listen(cx, backlog)
    }

    fn poll_connect(
        &mut self,
        cx: &mut Context<'_>,
        remote: SocketAddr,
    ) -> Poll<Result<Arc<dyn TcpStream>, ErrorCode>> {
        self.permit(Action::Connect, remote)?;
        self.inner.poll_connect(cx, remote)
    }
}
