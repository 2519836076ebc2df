//! Names, as the WIT text of `wasi:sockets/ip-name-lookup` has them, over any backend.

use crate::ctx::Slot;
use crate::{DynNetwork, ErrorCode, Lookup, WasiSocketsCtx};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv6Addr};
use core::task::{Context, Poll, Waker, ready};
use wasi_io::Pollable;

/// The most addresses that a guest gets for a name; the rest is cut off.
const ADDRESSES_MAX: usize = 256;

/// A `resolve-address-stream`.
pub struct ResolveAddressStream(State);

enum State {
    Pending(Box<dyn Lookup>, #[expect(dead_code)] Slot),
    Addresses(alloc::vec::IntoIter<IpAddr>),
    Failed(ErrorCode),
}

impl ResolveAddressStream {
    /// `resolve-addresses`: begins to look up `name` on `network`. An address answers itself.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidArgument`]: `name` is neither an address nor a host name of
    ///   ASCII letters, digits, `-`, `_` and dots.
    /// - [`ErrorCode::AccessDenied`]: the guest may not look up names.
    /// - [`ErrorCode::TemporaryResolverFailure`]: it has too many lookups under way.
    /// - those of [`Network::lookup`](crate::Network::lookup).
    pub fn new(ctx: &WasiSocketsCtx, network: &DynNetwork, name: &str) -> Result<Self, ErrorCode> {
        let name = match Host::parse(name)? {
            Host::Address(address) => return Ok(Self::found(Vec::from([address]))),
            Host::Name(name) => name,
        };
        if !ctx.allow_name_lookup {
            return Err(ErrorCode::AccessDenied);
        }
        let slot = ctx.lookups.take(ErrorCode::TemporaryResolverFailure)?;
        Ok(Self(State::Pending(network.get().lookup(&name)?, slot)))
    }

    fn found(addresses: Vec<IpAddr>) -> Self {
        Self(State::Addresses(addresses.into_iter()))
    }

    /// `resolve-next-address`: the next address, [`None`] after the last.
    ///
    /// # Errors
    /// - [`ErrorCode::WouldBlock`]: there is no answer yet.
    /// - those of [`Lookup::poll_addresses`], now and at every call after.
    pub fn resolve_next_address(&mut self) -> Result<Option<IpAddr>, ErrorCode> {
        let _ = self.poll_ready(&mut Context::from_waker(Waker::noop()));
        match &mut self.0 {
            State::Pending(..) => Err(ErrorCode::WouldBlock),
            State::Addresses(addresses) => Ok(addresses.next()),
            State::Failed(error) => Err(*error),
        }
    }

    /// `resolve-addresses` of WASI 0.3: all addresses, at least one and at most 256. Pending,
    /// it keeps the waker of `cx`.
    ///
    /// # Errors
    /// Those of [`Lookup::poll_addresses`].
    pub fn poll_addresses(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<IpAddr>, ErrorCode>> {
        ready!(self.poll_ready(cx));
        Poll::Ready(match &mut self.0 {
            State::Addresses(addresses) => Ok(addresses.collect()),
            State::Failed(error) => Err(*error),
            State::Pending(..) => return Poll::Pending,
        })
    }
}

impl Pollable for ResolveAddressStream {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let State::Pending(lookup, _) = &mut self.0 {
            *self = match ready!(lookup.poll_addresses(cx)).and_then(presentable) {
                Ok(addresses) => Self::found(addresses),
                Err(error) => Self(State::Failed(error)),
            };
        }
        Poll::Ready(())
    }
}

/// Each address once, none of them IPv4-mapped.
fn presentable(addresses: Vec<IpAddr>) -> Result<Vec<IpAddr>, ErrorCode> {
    let mut distinct = Vec::new();
    for address in addresses.iter().map(IpAddr::to_canonical) {
        if distinct.len() == ADDRESSES_MAX {
            break;
        }
        if !distinct.contains(&address) {
            distinct.push(address);
        }
    }
    match distinct.is_empty() {
        true => Err(ErrorCode::NameUnresolvable),
        false => Ok(distinct),
    }
}

/// What the name of a host says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Host {
    /// Not IPv4-mapped.
    Address(IpAddr),
    /// In lower case, without a final dot.
    Name(String),
}

impl Host {
    /// No address and no name is longer in bytes, a final dot included.
    pub(crate) const LEN_MAX: usize = 254;

    pub(crate) fn parse(name: &str) -> Result<Self, ErrorCode> {
        if name.len() > Self::LEN_MAX {
            return Err(ErrorCode::InvalidArgument);
        }
        let bracketed = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'));
        if let Some(inner) = bracketed {
            let address = inner.parse::<Ipv6Addr>();
            return match address {
                Ok(address) => Ok(Self::Address(address.to_canonical())),
                Err(_) => Err(ErrorCode::InvalidArgument),
            };
        }
        if let Ok(address) = name.parse::<IpAddr>() {
            return Ok(Self::Address(address.to_canonical()));
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        let last = name.rsplit('.').next().unwrap_or_default();
        // Resolvers take "127.1" and "0x7f000001" for addresses: no name ends in a number.
        let number = match last.strip_prefix("0x").or(last.strip_prefix("0X")) {
            Some(hex) => hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
            None => last.bytes().all(|byte| byte.is_ascii_digit()),
        };
        let labels = name.len() <= 253 && name.split('.').all(is_label);
        match labels && !number {
            true => Ok(Self::Name(name.to_ascii_lowercase())),
            false => Err(ErrorCode::InvalidArgument),
        }
    }
}

fn is_label(label: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=63).contains(&label.len())
        && label.bytes().all(known)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LoopbackNet;
    use alloc::string::ToString;
    use alloc::sync::Arc;

    #[test]
    fn what_is_an_address_is_read_and_what_is_a_name_is_looked_up() {
        let long = "a".repeat(63);
        let name = [&*long, &*long, &*long, &long[..61]].join(".");
        assert_eq!(name.len(), 253);
        for (input, address) in [
            ("0.0.0.0", "0.0.0.0"),
            ("127.0.0.1", "127.0.0.1"),
            ("::", "::"),
            ("::1", "::1"),
            ("[::1]", "::1"),
            ("DEAD:BEEF::0", "dead:beef::"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
        ] {
            let expected = Host::Address(address.parse().unwrap());
            assert_eq!(Host::parse(input), Ok(expected), "{input}");
        }
        for (input, looked_up) in [
            ("example.com", "example.com"),
            ("Example.COM.", "example.com"),
            ("localhost", "localhost"),
            ("_http._tcp.a-b.c1", "_http._tcp.a-b.c1"),
            ("1.2.3.4.in-addr.arpa", "1.2.3.4.in-addr.arpa"),
            ("xn--bcher-kva.example", "xn--bcher-kva.example"),
            (&*name, &*name),
        ] {
            assert_eq!(
                Host::parse(input),
                Ok(Host::Name(looked_up.into())),
                "{input}"
            );
        }
        let too_long = name.clone() + "a";
        let label = long + "a.example";
        for input in [
            "",
            ".",
            "..",
            " ",
            "a..b",
            ".a",
            "a b",
            "a.b<&>",
            "http://example.com/",
            "a/b",
            "a:80",
            "[::1",
            "[127.0.0.1]",
            "[]",
            "-a",
            "a-",
            "a\0b",
            "b\u{fc}cher.example",
            "127.1",
            "127.0.0.256",
            "2130706433",
            "0x7f000001",
            "a.0X7F",
            "1.2.3.4.5",
            "::1%lo",
            &too_long,
            &label,
        ] {
            assert_eq!(
                Host::parse(input),
                Err(ErrorCode::InvalidArgument),
                "{input}"
            );
        }
    }

    fn network() -> LoopbackNet {
        let addresses = ["::1", "::ffff:127.0.0.1", "127.0.0.1", "::1"];
        LoopbackNet::new().with_name("two.example", addresses.map(|a| a.parse().unwrap()))
    }

    fn ctx() -> WasiSocketsCtx {
        WasiSocketsCtx::new()
            .network(Arc::new(network()))
            .allow_name_lookup(true)
            .max_lookups(1)
    }

    #[test]
    fn addresses_come_in_order_once_each_and_unmapped() {
        let ctx = ctx();
        let mut stream =
            ResolveAddressStream::new(&ctx, &ctx.instance_network(), "Two.Example").unwrap();
        for expected in [Some("::1"), Some("127.0.0.1"), None, None] {
            let address = stream.resolve_next_address().unwrap();
            assert_eq!(address.map(|a| a.to_string()).as_deref(), expected);
        }
    }

    #[test]
    fn an_unknown_name_fails_at_every_call() {
        let ctx = ctx();
        let mut stream =
            ResolveAddressStream::new(&ctx, &ctx.instance_network(), "none.example").unwrap();
        for _ in 0..2 {
            assert_eq!(
                stream.resolve_next_address(),
                Err(ErrorCode::NameUnresolvable)
            );
        }
    }

    struct Never;

    impl Lookup for Never {
        fn poll_addresses(&mut self, _: &mut Context<'_>) -> Poll<Result<Vec<IpAddr>, ErrorCode>> {
            Poll::Pending
        }
    }

    struct Slow;

    impl crate::Network for Slow {
        fn lookup(&self, _: &str) -> Result<Box<dyn Lookup>, ErrorCode> {
            Ok(Box::new(Never))
        }
    }

    #[test]
    fn lookups_need_a_grant_and_are_limited() {
        let denied = WasiSocketsCtx::new().network(Arc::new(network()));
        let new = |ctx: &WasiSocketsCtx, name| {
            ResolveAddressStream::new(ctx, &ctx.instance_network(), name)
        };
        assert_eq!(
            new(&denied, "two.example").err(),
            Some(ErrorCode::AccessDenied)
        );
        assert!(new(&denied, "127.0.0.1").is_ok());

        let slow = WasiSocketsCtx::new()
            .network(Arc::new(Slow))
            .allow_name_lookup(true)
            .max_lookups(1);
        let mut first = new(&slow, "a.example").unwrap();
        assert_eq!(first.resolve_next_address(), Err(ErrorCode::WouldBlock));
        let second = new(&slow, "a.example").err();
        assert_eq!(second, Some(ErrorCode::TemporaryResolverFailure));
        drop(first);
        assert!(new(&slow, "a.example").is_ok());
    }
}
