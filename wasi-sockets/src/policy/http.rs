//! Requests that go to a host by its name.

use super::rule::Direction;
use super::{Action, NetworkPolicy, Reason, Refusal};
use crate::ErrorCode;
use crate::lookup::Host;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// Leave to send an HTTP request to one host and port ([`NetworkPolicy::request`]). Who looks
/// up the host's addresses asks it which of them may be used.
#[derive(Clone, Debug)]
pub struct HttpGrant {
    policy: NetworkPolicy,
    host: Host,
    port: u16,
}

impl NetworkPolicy {
    /// Whether a guest may send a request to `host`, which is a name, an IPv4 address, or an
    /// IPv6 address with or without brackets, and to `port`; 0 where the scheme has none.
    ///
    /// # Errors
    /// [`ErrorCode::AccessDenied`]: it is not granted, or `host` is none of these. It was
    /// reported.
    pub fn request(&self, host: &str, port: u16) -> Result<HttpGrant, ErrorCode> {
        let judged = match Host::parse(host) {
            Ok(Host::Address(address)) => self
                .judge(Direction::Connect, address, port, core::iter::empty())
                .map(|()| Host::Address(address)),
            Ok(Host::Name(name)) => self
                .judge_name(Direction::Connect, &name, port)
                .map(|()| Host::Name(name)),
            // What is no name no rule is about.
            Err(_) => Err(Reason::NoRule),
        };
        match judged {
            Ok(host) => Ok(HttpGrant {
                policy: self.clone(),
                host,
                port,
            }),
            Err(reason) => Err(self.refuse(Refusal {
                action: Action::Request,
                host: Some(host.chars().take(Host::LEN_MAX).collect()),
                address: None,
                port: Some(port),
                reason,
            })),
        }
    }
}

impl HttpGrant {
    /// Whether the request may go to `address`. Reports nothing.
    pub fn permits(&self, address: IpAddr) -> bool {
        self.judge(address).is_ok()
    }

    /// Those of `addresses` that the request may go to.
    ///
    /// # Errors
    /// [`ErrorCode::AccessDenied`]: there were some, and none is left. It was reported.
    pub fn permitted(&self, mut addresses: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, ErrorCode> {
        let first = addresses.first().map(SocketAddr::ip);
        addresses.retain(|address| self.permits(address.ip()));
        if addresses.is_empty()
            && let Some(first) = first
            && let Err(reason) = self.judge(first)
        {
            return Err(self.policy.refuse(Refusal {
                action: Action::Request,
                host: self.name().map(String::from),
                address: Some(first.to_canonical()),
                port: Some(self.port),
                reason,
            }));
        }
        Ok(addresses)
    }

    fn name(&self) -> Option<&str> {
        match &self.host {
            Host::Name(name) => Some(name),
            Host::Address(_) => None,
        }
    }

    fn judge(&self, address: IpAddr) -> Result<(), Reason> {
        let names = self.name().into_iter();
        (self.policy).judge(Direction::Connect, address, self.port, names)
    }
}
