//! `wasi:sockets/ip-name-lookup`.

use crate::bindings::wasi::sockets::instance_network::instance_network;
use crate::bindings::wasi::sockets::ip_name_lookup::resolve_addresses;
use crate::bindings::wasi::sockets::network::{ErrorCode, IpAddress};
use crate::outcome::{Outcome, Tried, ensure};
use crate::wait;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A name that every machine has, for itself (RFC 6761, section 6.3).
const NAME: &str = "localhost";

pub fn lookup() -> Outcome {
    let answer = resolve_addresses(&instance_network(), NAME).granted("resolve-addresses")?;
    let mut addresses = Vec::new();
    loop {
        match answer.resolve_next_address() {
            Err(ErrorCode::WouldBlock) => wait::one(NAME, answer.subscribe())?,
            next => match next.granted("resolve-next-address")? {
                Some(address) => addresses.push(ip(address)),
                None => break,
            },
        }
    }
    ensure(!addresses.is_empty(), || format!("{NAME} has no address"))?;
    for address in &addresses {
        ensure(address.is_loopback(), || format!("{NAME} is {address}"))?;
    }
    let texts: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    Ok(format!("{NAME} is {}", texts.join(", ")))
}

fn ip(address: IpAddress) -> IpAddr {
    match address {
        IpAddress::Ipv4((a, b, c, d)) => Ipv4Addr::new(a, b, c, d).into(),
        IpAddress::Ipv6((a, b, c, d, e, f, g, h)) => Ipv6Addr::new(a, b, c, d, e, f, g, h).into(),
    }
}
