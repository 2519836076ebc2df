//! Address ranges, and which addresses a name may stand for.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses that begin with the same bits (RFC 4632). IPv4-mapped addresses are IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Range {
    first: IpAddr,
    prefix: u8,
}

impl Range {
    /// `first` and all that share its first `prefix` bits; `None` where it has more bits than
    /// the address, or bits of `first` beyond it are set.
    pub(super) fn new(first: IpAddr, prefix: u8) -> Option<Self> {
        let (first, prefix) = match first.to_canonical() {
            unmapped if unmapped.is_ipv4() == first.is_ipv4() => (first, prefix),
            // Fewer bits than the mapping's own are more than IPv4.
            unmapped => (unmapped, prefix.checked_sub(96)?),
        };
        let range = Self { first, prefix };
        (prefix <= range.width() && masked(first, prefix) == bits(first)).then_some(range)
    }

    /// `address` alone.
    pub(super) fn one(address: IpAddr) -> Self {
        let first = address.to_canonical();
        let prefix = if first.is_ipv4() { 32 } else { 128 };
        Self { first, prefix }
    }

    /// Whether `address`, which is not IPv4-mapped, is in it.
    pub(super) fn contains(&self, address: IpAddr) -> bool {
        self.same_family(address) && masked(address, self.prefix) == bits(self.first)
    }

    /// As [`Range::contains`], or whether IPv6 carries an IPv4 address that is in it.
    pub(super) fn touches(&self, address: IpAddr) -> bool {
        self.contains(address) || carried(address).any(|address| self.contains(IpAddr::V4(address)))
    }

    /// Whether `address` is of the range's family.
    pub(super) fn same_family(&self, address: IpAddr) -> bool {
        self.first.is_ipv4() == address.is_ipv4()
    }

    /// Whether it is IPv6.
    pub(super) fn is_ipv6(&self) -> bool {
        self.first.is_ipv6()
    }

    fn width(&self) -> u8 {
        if self.is_ipv6() { 128 } else { 32 }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix == self.width() {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}/{}", self.first, self.prefix),
        }
    }
}

/// The bits of `address`, from the highest of 128.
fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn masked(address: IpAddr, prefix: u8) -> u128 {
    let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128)));
    bits(address) & mask.unwrap_or(0)
}

/// Which rules by name can cover an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    /// Anywhere in the Internet: each of them.
    Public,
    /// This machine, a private network, or what is in no use: an exact name only.
    Internal,
    /// The link, a cloud's metadata, or no single host: none, it must be granted itself.
    Link,
}

impl Scope {
    /// That of `address`, which is not IPv4-mapped.
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::of_ipv4(address),
            IpAddr::V6(ip) => {
                let carried = carried(address).map(Self::of_ipv4);
                carried.fold(Self::of_ipv6(ip), Self::max)
            }
        }
    }

    fn of_ipv4(address: Ipv4Addr) -> Self {
        match address.octets() {
            // The last is of Oracle's metadata; the two before are Alibaba's and Azure's.
            [0, ..]
            | [169, 254, ..]
            | [100, 100, 100, 200]
            | [168, 63, 129, 16]
            | [192, 0, 0, 192] => Self::Link,
            [224..=239, ..] | [255, 255, 255, 255] => Self::Link,
            [127, ..] | [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Self::Internal,
            // Shared by carriers, for protocols, for benchmarks, reserved.
            [100, 64..=127, ..] | [192, 0, 0, _] | [198, 18..=19, ..] | [240..=255, ..] => {
                Self::Internal
            }
            _ => Self::Public,
        }
    }

    fn of_ipv6(address: Ipv6Addr) -> Self {
        match address.segments() {
            // Those of Amazon and Google.
            [0xfd00, 0xec2, ..] | [0xfd20, 0xce, ..] => Self::Link,
            [0xfe80..=0xfebf, ..] | [0xff00..=0xffff, ..] | [0, 0, 0, 0, 0, 0, 0, 0] => Self::Link,
            // Global unicast so far is 2000::/3 (RFC 4291, section 2.4), and NAT64.
            [0x2000..=0x3fff, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Self::Public,
            _ => Self::Internal,
        }
    }
}

/// The IPv4 addresses that a gateway may take `address` for.
fn carried(address: IpAddr) -> impl Iterator<Item = Ipv4Addr> {
    let pair = |high: u16, low: u16| {
        let [a, b] = high.to_be_bytes();
        let [c, d] = low.to_be_bytes();
        Some(Ipv4Addr::new(a, b, c, d))
    };
    let segments = match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(address) => Some(address.segments()),
    };
    let found = match segments {
        // IPv4-compatible (RFC 4291, section 2.5.5.1), but not `::` and `::1`.
        Some([0, 0, 0, 0, 0, 0, high, low]) if high != 0 || low > 1 => [pair(high, low), None],
        // NAT64 (RFC 6052, section 2.1).
        Some([0x64, 0xff9b, 0, 0, 0, 0, high, low]) => [pair(high, low), None],
        // 6to4 (RFC 3056).
        Some([0x2002, high, low, ..]) => [pair(high, low), None],
        // Teredo: its server, and its client inverted (RFC 4380, section 4).
        Some([0x2001, 0, a, b, _, _, c, d]) => [pair(a, b), pair(!c, !d)],
        // ISATAP (RFC 5214, section 6.1).
        Some([_, _, _, _, 0 | 0x200, 0x5efe, high, low]) => [pair(high, low), None],
        _ => [None, None],
    };
    found.into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_its_addresses_and_no_others() {
        for (first, prefix, inside, outside) in [
            ("10.0.0.0", 8, "10.255.255.255", "11.0.0.0"),
            ("192.0.2.128", 25, "192.0.2.128", "192.0.2.127"),
            ("192.0.2.1", 32, "192.0.2.1", "192.0.2.0"),
            ("0.0.0.0", 0, "255.255.255.255", "::"),
            ("2001:db8::", 32, "2001:db8:ffff::1", "2001:db9::"),
            ("::", 0, "ffff::1", "0.0.0.0"),
            ("::1", 128, "::1", "::2"),
            ("::ffff:10.0.0.0", 104, "10.1.2.3", "11.0.0.0"),
        ] {
            let range = Range::new(first.parse().unwrap(), prefix).unwrap();
            assert!(range.contains(inside.parse().unwrap()), "{range} {inside}");
            assert!(
                !range.contains(outside.parse().unwrap()),
                "{range} {outside}"
            );
        }
        for (first, prefix) in [
            ("10.0.0.1", 8),
            ("10.0.0.0", 33),
            ("10.0.0.0", 255),
            ("1.0.0.0", 0),
            ("2001:db8::1", 64),
            ("::", 129),
            ("::ffff:0.0.0.0", 90),
            ("::ffff:10.0.0.0", 129),
        ] {
            assert_eq!(
                Range::new(first.parse().unwrap(), prefix),
                None,
                "{first}/{prefix}"
            );
        }
    }

    #[test]
    fn each_address_has_its_scope_however_it_is_written() {
        for (address, scope) in [
            ("93.184.215.14", Scope::Public),
            ("8.8.8.8", Scope::Public),
            ("126.255.255.255", Scope::Public),
            ("128.0.0.1", Scope::Public),
            ("100.63.255.255", Scope::Public),
            ("172.15.0.1", Scope::Public),
            ("172.32.0.1", Scope::Public),
            ("2606:2800:21f::1", Scope::Public),
            ("64:ff9b::808:808", Scope::Public),
            ("2002:808:808::1", Scope::Public),
            ("127.0.0.1", Scope::Internal),
            ("127.255.255.255", Scope::Internal),
            ("::1", Scope::Internal),
            ("10.0.0.1", Scope::Internal),
            ("172.16.0.1", Scope::Internal),
            ("172.31.255.255", Scope::Internal),
            ("192.168.1.1", Scope::Internal),
            ("100.64.0.1", Scope::Internal),
            ("198.19.0.1", Scope::Internal),
            ("240.0.0.1", Scope::Internal),
            ("fc00::1", Scope::Internal),
            ("fd12:3456::1", Scope::Internal),
            ("fec0::1", Scope::Internal),
            ("64:ff9b:1::1", Scope::Internal),
            ("::127.0.0.1", Scope::Internal),
            ("64:ff9b::127.0.0.1", Scope::Internal),
            ("2002:7f00:1::", Scope::Internal),
            // Teredo, with 127.0.0.1 as its client and 10.0.0.1 as its server.
            ("2001::808:808:0:0:80ff:fffe", Scope::Internal),
            ("2001::a00:1:0:0:f7f7:f7f7", Scope::Internal),
            ("2606::5efe:10.0.0.1", Scope::Internal),
            ("2606::200:5efe:10.0.0.1", Scope::Internal),
            ("169.254.169.254", Scope::Link),
            ("169.254.170.2", Scope::Link),
            ("100.100.100.200", Scope::Link),
            ("168.63.129.16", Scope::Link),
            ("192.0.0.192", Scope::Link),
            ("0.0.0.0", Scope::Link),
            ("0.1.2.3", Scope::Link),
            ("224.0.0.1", Scope::Link),
            ("255.255.255.255", Scope::Link),
            ("::", Scope::Link),
            ("fe80::a9fe:a9fe", Scope::Link),
            ("fd00:ec2::254", Scope::Link),
            ("fd20:ce::254", Scope::Link),
            ("ff02::1", Scope::Link),
            ("::169.254.169.254", Scope::Link),
            ("64:ff9b::169.254.169.254", Scope::Link),
            ("2002:a9fe:a9fe::1", Scope::Link),
            ("::ffff:169.254.169.254", Scope::Link),
            ("::ffff:127.0.0.1", Scope::Internal),
        ] {
            let parsed = address.parse::<IpAddr>().unwrap().to_canonical();
            assert_eq!(Scope::of(parsed), scope, "{address}");
        }
    }
}
