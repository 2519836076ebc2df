//! Rules and their text.

use super::range::{Range, Scope};
use crate::lookup::Host;
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::net::{IpAddr, Ipv6Addr};
use core::str::FromStr;

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
    direction: Option<Direction>,
    host: Pattern,
    first_port: u16,
    last_port: u16,
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

    fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Listen => "listen",
            Self::Udp => "udp",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Pattern {
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
    const PORTS: (u16, u16) = (0, u16::MAX);

    /// `*` in `direction`.
    pub(super) fn any(direction: Option<Direction>) -> Self {
        Self::about(direction, Pattern::Any)
    }

    /// What goes out to `range`.
    pub(super) fn addresses(range: Range) -> Self {
        Self::about(None, Pattern::Range(range))
    }

    fn about(direction: Option<Direction>, host: Pattern) -> Self {
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

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(direction) = self.direction {
            write!(f, "{}:", direction.as_str())?;
        }
        let ports = (self.first_port, self.last_port);
        match &self.host {
            Pattern::Any => f.write_str("*")?,
            // A dot tells a host from a direction.
            Pattern::Name(name) if self.direction.is_none() && direction(name).is_some() => {
                write!(f, "{name}.")?;
            }
            Pattern::Name(name) => f.write_str(name)?,
            Pattern::Below(name) => write!(f, "*.{name}")?,
            Pattern::Range(range) if range.is_ipv6() && ports != Self::PORTS => {
                write!(f, "[{range}]")?;
            }
            Pattern::Range(range) => write!(f, "{range}")?,
        }
        match ports {
            Self::PORTS => Ok(()),
            (first, last) if first == last => write!(f, ":{first}"),
            (first, last) => write!(f, ":{first}-{last}"),
        }
    }
}

/// A text that is no [`Rule`]. Its message says what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleError {
    text: String,
    advice: String,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is no rule: {}",
            self.text.escape_debug(),
            self.advice
        )
    }
}

impl core::error::Error for RuleError {}

fn direction(word: &str) -> Option<Direction> {
    Direction::ALL
        .into_iter()
        .find(|direction| direction.as_str() == word)
}

impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        parse(text).map_err(|advice| RuleError {
            text: text.chars().take(100).collect(),
            advice,
        })
    }
}

/// The rule, or what to write.
fn parse(text: &str) -> Result<Rule, String> {
    if text.contains("://") {
        return Err("write HOST or HOST:PORT, without a scheme".to_owned());
    }
    let (direction, rest) = match text.split_once(':') {
        Some((word, rest)) => match direction(word) {
            Some(direction) => (Some(direction), rest),
            None => (None, text),
        },
        None => (None, text),
    };
    if let Some(direction) = direction
        && rest
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-')
    {
        let word = direction.as_str();
        return Err(format!(
            "write `{word}:HOST:PORT`, with `*` for any host, or `{word}.:PORT` for the host of \
             that name"
        ));
    }
    let (host, ports) = split(rest)?;
    let mut rule = Rule::about(direction, pattern(host)?);
    if let Some(ports) = ports {
        (rule.first_port, rule.last_port) = range_of_ports(ports)?;
    }
    Ok(rule)
}

/// The host, without brackets, and the text of its ports.
fn split(text: &str) -> Result<(&str, Option<&str>), String> {
    if let Some(inner) = text.strip_prefix('[') {
        let Some((host, rest)) = inner.split_once(']') else {
            return Err("write `]` behind the IPv6 address".to_owned());
        };
        let address = host.split('/').next().unwrap_or(host);
        if address.parse::<Ipv6Addr>().is_err() {
            return Err("brackets are for IPv6 addresses, such as `[::1]:80`".to_owned());
        }
        return match rest.strip_prefix(':') {
            Some(ports) => Ok((host, Some(ports))),
            None if rest.is_empty() => Ok((host, None)),
            None => Err("write `[ADDRESS]:PORT` or `[ADDRESS/BITS]:PORT`".to_owned()),
        };
    }
    match text.split_once(':') {
        // More than one colon is IPv6.
        Some((_, rest)) if rest.contains(':') => Ok((text, None)),
        Some((host, ports)) => Ok((host, Some(ports))),
        None => Ok((text, None)),
    }
}

fn pattern(host: &str) -> Result<Pattern, String> {
    if host.is_empty() {
        return Err("write a name, an address, a range or `*` for the host".to_owned());
    }
    if host == "*" {
        return Ok(Pattern::Any);
    }
    if let Some((address, prefix)) = host.split_once('/') {
        return range(address, prefix).map(Pattern::Range);
    }
    if let Some(below) = host.strip_prefix("*.") {
        return match Host::parse(below) {
            Ok(Host::Name(name)) => Ok(Pattern::Below(name)),
            _ => Err("write `*.` and a host name, such as `*.example.com`".to_owned()),
        };
    }
    if host.contains('*') {
        return Err("`*` stands alone or for the first labels, as in `*.example.com`".to_owned());
    }
    match Host::parse(host) {
        Ok(Host::Address(address)) => Ok(Pattern::Range(Range::one(address))),
        Ok(Host::Name(name)) => Ok(Pattern::Name(name)),
        Err(_) if !host.is_ascii() => {
            Err("write the name in punycode, such as `xn--bcher-kva.example`".to_owned())
        }
        Err(_) if host.contains(':') => {
            Err("write an IPv6 address, in brackets where a port follows: `[::1]:80`".to_owned())
        }
        Err(_) => Err(
            "the host is a name of letters, digits, `-`, `_` and dots that does not end in a \
             number, an address such as `192.0.2.1`, a range such as `10.0.0.0/8`, or `*`"
                .to_owned(),
        ),
    }
}

fn range(address: &str, prefix: &str) -> Result<Range, String> {
    let Ok(first) = address.parse::<IpAddr>() else {
        return Err("before `/` stands an address, such as `10.0.0.0/8`".to_owned());
    };
    if prefix.contains(':') {
        return Err("write `[ADDRESS/BITS]:PORT` for a range of IPv6".to_owned());
    }
    let Some(prefix) = number::<u8>(prefix) else {
        return Err("behind `/` stands a number of bits: up to 32, for IPv6 128".to_owned());
    };
    Range::new(first, prefix).ok_or_else(|| {
        let most = if first.is_ipv4() { 32 } else { 128 };
        match prefix <= most {
            true => format!(
                "the address has bits behind the first {prefix}: write the first address of the \
                 range, or `{address}` alone"
            ),
            false => format!("this address has {most} bits"),
        }
    })
}

fn range_of_ports(text: &str) -> Result<(u16, u16), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (number(first), number(last)) {
        (Some(first), Some(last)) if 0 < first && first <= last => Ok((first, last)),
        (Some(first), Some(last)) if 0 < last && last < first => Err(format!(
            "the ports go from the lower to the higher: write {last}-{first}"
        )),
        _ => Err("behind the host stands a port or two, 1 to 65535: `443`, `8000-8080`".to_owned()),
    }
}

/// Digits only: `parse` takes a sign.
fn number<T: FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}
