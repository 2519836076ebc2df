//! What a rule is about.

use super::range::{Range, Scope};
use alloc::string::String;
use core::net::IpAddr;

/// What a [`NetworkPolicy`](super::NetworkPolicy) allows or denies. Its text is
/// `[DIRECTION:]HOST[:PORT[-PORT]]`:
///
/// | `HOST` | is |
/// |---|---|
/// | `api.example.com` | this name, in any case |
/// | `*.example.com` | every name below it, at any depth, and not `example.com` itself |
/// | `*` | every name and address |
/// | `192.0.2.1`, `2001:db8::1` | this address |
/// | `10.0.0.0/8`, `2001:db8::/32` | the addresses of this range |
///
/// IPv6 stands in brackets where ports follow: `[::1]:80`, `[2001:db8::/32]:443`. Without ports
/// a rule is about each. Names are ASCII: punycode stands for others.
///
/// | `DIRECTION` | is |
/// |---|---|
/// | (none) | TCP connections, HTTP requests and UDP datagrams that go out |
/// | `connect` | TCP connections and HTTP requests that go out |
/// | `udp` | UDP datagrams that go out |
/// | `listen` | local addresses: TCP that listens, TCP or UDP that is bound to a port of its choice |
///
/// ```
/// use wasi_sockets::Rule;
///
/// let rule: Rule = "Connect.Example.com.:8000-8080".parse()?;
/// assert_eq!(rule.to_string(), "connect.example.com:8000-8080");
/// let rule: Rule = "udp:[2001:db8::/32]:53".parse()?;
/// assert_eq!(rule.to_string(), "udp:[2001:db8::/32]:53");
/// let error = "https://example.com".parse::<Rule>().unwrap_err();
/// assert!(error.to_string().contains("write HOST or HOST:PORT"));
/// # Ok::<(), wasi_sockets::RuleError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// `None` is both that go out.
    pub(super) direction: Option<Direction>,
    pub(super) host: Pattern,
    pub(super) first_port: u16,
    pub(super) last_port: u16,
}

/// What a rule can be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Direction {
    Connect,
    Listen,
    Udp,
}

impl Direction {
    pub(super) const ALL: [Self; 3] = [Self::Connect, Self::Listen, Self::Udp];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Listen => "listen",
            Self::Udp => "udp",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Pattern {
    Any,
    Name(String),
    /// What is below this name.
    Below(String),
    Range(Range),
}

impl Pattern {
    fn has_name(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Name(own) => own == name,
            Self::Below(own) => {
                let labels = name.strip_suffix(own.as_str());
                labels.is_some_and(|labels| labels.len() > 1 && labels.ends_with('.'))
            }
            Self::Range(_) => false,
        }
    }
}

/// How a rule to allow bears on an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cover {
    /// It is about something else.
    No,
    /// It would cover the address if that were public.
    NotHere,
    Yes,
}

impl Rule {
    /// What a rule that names no ports is about.
    pub(super) const PORTS: (u16, u16) = (0, u16::MAX);

    /// `*` in `direction`.
    pub(super) fn any(direction: Option<Direction>) -> Self {
        Self::about(direction, Pattern::Any)
    }

    /// What goes out to `range`.
    pub(super) fn addresses(range: Range) -> Self {
        Self::about(None, Pattern::Range(range))
    }

    pub(super) fn about(direction: Option<Direction>, host: Pattern) -> Self {
        let (first_port, last_port) = Self::PORTS;
        Self {
            direction,
            host,
            first_port,
            last_port,
        }
    }

    /// Its first port, and the one behind its last, as far as there are such.
    pub(super) fn edges(&self) -> [u16; 2] {
        [self.first_port.max(1), self.last_port.saturating_add(1)]
    }

    fn is_about(&self, direction: Direction) -> bool {
        match self.direction {
            None => direction != Direction::Listen,
            Some(own) => own == direction,
        }
    }

    /// Whether it is about `direction` and `name`, at some port. To listen anywhere takes no
    /// name.
    pub(super) fn has_name(&self, direction: Direction, name: &str) -> bool {
        let anywhere = direction == Direction::Listen && self.host == Pattern::Any;
        self.is_about(direction) && !anywhere && self.host.has_name(name)
    }

    /// Whether it is about `port`; no port is 0, which is in no rule that names ports.
    pub(super) fn has_port(&self, port: u16) -> bool {
        (self.first_port..=self.last_port).contains(&port)
    }

    /// As a rule to allow, for an address that has `names`. Those that stand for more than one
    /// name cover public addresses; one name covers more ([`Scope`]).
    pub(super) fn covers<'a>(
        &self,
        direction: Direction,
        address: IpAddr,
        port: u16,
        mut names: impl Iterator<Item = &'a str>,
    ) -> Cover {
        if !self.is_about(direction) || !self.has_port(port) {
            return Cover::No;
        }
        let (about, up_to) = match &self.host {
            // Where a guest listens is this machine in any case.
            Pattern::Any if direction == Direction::Listen => return Cover::Yes,
            Pattern::Any => (true, Scope::Public),
            Pattern::Below(_) => (names.any(|name| self.host.has_name(name)), Scope::Public),
            Pattern::Name(_) => (names.any(|name| self.host.has_name(name)), Scope::Internal),
            Pattern::Range(range) => (range.contains(address), Scope::Link),
        };
        match about {
            true if Scope::of(address) <= up_to => Cover::Yes,
            true => Cover::NotHere,
            false => Cover::No,
        }
    }

    /// As a rule to deny: by any name that the address has, by an IPv4 address that it carries,
    /// and each range of its family where it stands for all local addresses.
    pub(super) fn denies<'a>(
        &self,
        direction: Direction,
        address: IpAddr,
        port: u16,
        mut names: impl Iterator<Item = &'a str>,
    ) -> bool {
        let everywhere = direction == Direction::Listen && address.is_unspecified();
        self.is_about(direction)
            && self.has_port(port)
            && match &self.host {
                Pattern::Any => true,
                Pattern::Range(range) => {
                    range.touches(address) || (everywhere && range.same_family(address))
                }
                Pattern::Name(_) | Pattern::Below(_) => names.any(|name| self.host.has_name(name)),
            }
    }
}
