//! Names whose lookup ends as the test needs it, on any network.

use std::net::{IpAddr, Ipv4Addr};
use std::task::{Context, Poll};
use wasi_sockets::{ErrorCode, IpAddressFamily, Lookup, Network, TcpSocket, UdpSocket};

/// The network inside, and names that end in `.example`.
pub(crate) struct Names(Box<dyn Network>);

impl Names {
    pub(crate) fn new(network: impl Network) -> Self {
        Self(Box::new(network))
    }
}

impl Network for Names {
    fn tcp_socket(&self, family: IpAddressFamily) -> Result<Box<dyn TcpSocket>, ErrorCode> {
        self.0.tcp_socket(family)
    }

    fn udp_socket(&self, family: IpAddressFamily) -> Result<Box<dyn UdpSocket>, ErrorCode> {
        self.0.udp_socket(family)
    }

    fn lookup(&self, name: &str) -> Result<Box<dyn Lookup>, ErrorCode> {
        let answer = match name {
            "unresolvable.example" => Err(ErrorCode::NameUnresolvable),
            "temporary.example" => Err(ErrorCode::TemporaryResolverFailure),
            "permanent.example" => Err(ErrorCode::PermanentResolverFailure),
            "denied.example" => return Err(ErrorCode::AccessDenied),
            "slow.example" => return Ok(Box::new(Slow(false))),
            name => return self.0.lookup(name),
        };
        Ok(Box::new(Answer(answer)))
    }
}

pub(crate) struct Answer(pub(crate) Result<IpAddr, ErrorCode>);

impl Lookup for Answer {
    fn poll_addresses(&mut self, _: &mut Context<'_>) -> Poll<Result<Vec<IpAddr>, ErrorCode>> {
        Poll::Ready(self.0.map(|address| vec![address]))
    }
}

/// Has no answer when it is first asked.
struct Slow(bool);

impl Lookup for Slow {
    fn poll_addresses(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<IpAddr>, ErrorCode>> {
        match std::mem::replace(&mut self.0, true) {
            true => Poll::Ready(Ok(vec![Ipv4Addr::new(127, 0, 0, 2).into()])),
            false => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }
}
