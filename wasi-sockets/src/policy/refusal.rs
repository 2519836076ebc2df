use super::Rule;
use alloc::string::String;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

/// What a [`NetworkPolicy`](super::NetworkPolicy) refused a guest, for the embedder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// What the guest wanted to do.
    pub action: Action,
    /// The host as the guest named it, at most 254 bytes of ASCII: for a lookup and a request.
    pub host: Option<String>,
    /// The address: the guest's own to bind and listen, otherwise where it wanted to go. For a
    /// request to a name whose addresses were refused it is the first of them.
    pub address: Option<IpAddr>,
    /// The port, as for the address; `None` for a lookup.
    pub port: Option<u16>,
    /// Why.
    pub reason: Reason,
}

/// What a guest wanted to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Action {
    /// To look up a name.
    Lookup,
    /// To connect over TCP.
    Connect,
    /// To send an HTTP request.
    Request,
    /// To bind to a port, or to listen.
    Listen,
    /// To send a datagram, or connect a UDP socket.
    Send,
}

/// Why something is refused. A rule has its place in the policy, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// No rule is about it.
    NoRule,
    /// This rule denies it.
    Denied(usize, Rule),
    /// This rule would allow it, but names do not cover such an address: it has to be granted
    /// by a rule for addresses.
    Special(usize, Rule),
}

impl Refusal {
    pub(super) fn of_address(action: Action, address: SocketAddr, reason: Reason) -> Self {
        Self {
            action,
            host: None,
            address: Some(address.ip().to_canonical()),
            port: Some(address.port()),
            reason,
        }
    }
}

impl fmt::Display for Refusal {
    /// One line: `connection to 192.0.2.1:80 refused: no rule allows it`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.action {
            Action::Lookup => "lookup of",
            Action::Connect => "connection to",
            Action::Request => "request to",
            Action::Listen => "listening on",
            Action::Send => "datagram to",
        })?;
        match (&self.host, self.address) {
            (Some(host), _) => write!(f, " {}", host.escape_debug())?,
            (None, Some(IpAddr::V6(address))) if self.port.is_some() => write!(f, " [{address}]")?,
            (None, Some(address)) => write!(f, " {address}")?,
            (None, None) => f.write_str(" no host")?,
        }
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        if let (Some(_), Some(address)) = (&self.host, self.address) {
            write!(f, " ({address})")?;
        }
        match &self.reason {
            Reason::NoRule => f.write_str(" refused: no rule allows it"),
            Reason::Denied(_, rule) => write!(f, " refused: the rule `{rule}` denies it"),
            Reason::Special(_, rule) => write!(
                f,
                " refused: the rule `{rule}` does not cover this kind of address; a rule for the \
                 address would"
            ),
        }
    }
}
