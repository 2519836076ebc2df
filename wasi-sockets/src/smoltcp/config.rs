use alloc::vec::Vec;
use core::net::IpAddr;
use wasi_clocks::Duration;

const SECOND: Duration = 1_000_000_000;

/// How a [`SmoltcpNet`](super::SmoltcpNet) is set up.
#[derive(Clone, Debug)]
pub struct SmoltcpConfig {
    pub(super) seed: u64,
    pub(super) mac: Option<[u8; 6]>,
    pub(super) addresses: Vec<(IpAddr, u8)>,
    pub(super) gateways: Vec<IpAddr>,
    pub(super) name_servers: Vec<IpAddr>,
    pub(super) dhcp: bool,
    pub(super) limits: SmoltcpLimits,
}

impl SmoltcpConfig {
    /// Without an address but those of the loopback, 127.0.0.1 and `::1`.
    ///
    /// `seed` is what the sequence numbers of TCP, the ports and the identifiers of DNS come
    /// from: a secret random number, another at each start, or others can guess them.
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            mac: None,
            addresses: Vec::new(),
            gateways: Vec::new(),
            name_servers: Vec::new(),
            dhcp: false,
            limits: SmoltcpLimits::default(),
        }
    }

    /// The device's hardware address, which a device for Ethernet frames needs.
    pub fn mac(mut self, mac: [u8; 6]) -> Self {
        self.mac = Some(mac);
        self
    }

    /// An address of the interface, in a subnet of `prefix` bits. At most four count, further
    /// ones are left out.
    pub fn address(mut self, ip: IpAddr, prefix: u8) -> Self {
        self.addresses.push((ip, prefix));
        self
    }

    /// The router for what is in none of the subnets; one a family.
    pub fn gateway(mut self, ip: IpAddr) -> Self {
        self.gateways.push(ip);
        self
    }

    /// A server that is asked for names, after those that were given before; at most four.
    pub fn name_server(mut self, ip: IpAddr) -> Self {
        self.name_servers.push(ip);
        self
    }

    /// Gets an IPv4 address, its router and name servers by DHCP, beside what is given here. A
    /// device for Ethernet frames only.
    pub fn dhcp(mut self) -> Self {
        self.dhcp = true;
        self
    }

    /// The most that guests may take; [`SmoltcpLimits::default`] without.
    pub fn limits(mut self, limits: SmoltcpLimits) -> Self {
        self.limits = limits;
        self
    }
}

/// The most that the sockets of a [`SmoltcpNet`](super::SmoltcpNet) may take, all together.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SmoltcpLimits {
    /// Sockets and connections, with those that were dropped and still close. More are
    /// [`ErrorCode::NewSocketLimit`](crate::ErrorCode::NewSocketLimit). Each packet and each
    /// step of the driver looks through all of them.
    pub sockets: usize,
    /// Bytes of each of the two buffers of a socket, unless it is set otherwise.
    pub buffer: usize,
    /// The most bytes that a buffer can be set to.
    pub buffer_max: usize,
    /// Bytes of the buffers of all sockets; more are
    /// [`ErrorCode::NewSocketLimit`](crate::ErrorCode::NewSocketLimit).
    pub buffers: usize,
    /// Connections of one listener that nobody accepted yet, whatever backlog a guest asks
    /// for. Each has its buffers; further ones are refused.
    pub backlog: usize,
    /// Lookups of names at a time; more are
    /// [`ErrorCode::TemporaryResolverFailure`](crate::ErrorCode::TemporaryResolverFailure).
    pub lookups: usize,
    /// Connections in TIME-WAIT: the oldest is forgotten for a new one.
    pub time_wait: usize,
    /// Nanoseconds for a connection to be made.
    pub connect_timeout: Duration,
    /// Nanoseconds that a peer may leave bytes, or the end of them, unanswered.
    pub peer_timeout: Duration,
    /// Nanoseconds that a connection which was dropped has to send the rest and close; then it
    /// is reset.
    pub close_timeout: Duration,
    /// Nanoseconds for a lookup.
    pub lookup_timeout: Duration,
}

impl Default for SmoltcpLimits {
    /// 256 sockets, 16 KiB a buffer and up to 256 KiB, 8 MiB in all, a backlog of 16, 8
    /// lookups, 16 in TIME-WAIT; 30 s to connect, 300 s for a peer, 10 s to close, 15 s for a
    /// lookup.
    fn default() -> Self {
        Self {
            sockets: 256,
            buffer: 16 << 10,
            buffer_max: 256 << 10,
            buffers: 8 << 20,
            backlog: 16,
            lookups: 8,
            time_wait: 16,
            connect_timeout: 30 * SECOND,
            peer_timeout: 300 * SECOND,
            close_timeout: 10 * SECOND,
            lookup_timeout: 15 * SECOND,
        }
    }
}
