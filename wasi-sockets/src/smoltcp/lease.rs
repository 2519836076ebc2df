//! The addresses of the interface: those that are set, and those that DHCP gives.

use super::SmoltcpConfig;
use super::signal::{Kind, Signal};
use super::stack::Stack;
use crate::IpAddressFamily;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::task::Waker;
use smoltcp::iface::{SocketHandle, SocketSet};
use smoltcp::phy::Medium;
use smoltcp::socket::dhcpv4::{self, Event};
use smoltcp::socket::dns;
use smoltcp::time::Duration;
use smoltcp::wire::{IpAddress, IpCidr, Ipv4Cidr, Ipv6Cidr};

/// Of those that are set: with both of the loopback and one of DHCP, what smoltcp has room for.
const STATIC_MAX: usize = 4;

/// How long a link that came back may go on with the lease that it had before.
const RELINK: u64 = 60_000_000_000;

pub(super) struct Addresses {
    fixed: Vec<IpCidr>,
    gateways: Vec<IpAddr>,
    servers: Vec<IpAddr>,
    pub(super) dns: SocketHandle,
    dhcp: Option<Dhcp>,
    /// Who waits for an address.
    pub(super) status: Arc<Signal>,
}

struct Dhcp {
    socket: SocketHandle,
    waker: Waker,
    lease: Option<Lease>,
    /// When the lease from before the link went down has to have been confirmed.
    confirm: Option<u64>,
}

struct Lease {
    address: Ipv4Cidr,
    router: Option<Ipv4Addr>,
    servers: Vec<IpAddr>,
}

impl Addresses {
    pub(super) fn new(
        config: &SmoltcpConfig,
        medium: Medium,
        sockets: &mut SocketSet<'static>,
        signal: impl Fn(Kind) -> Arc<Signal>,
    ) -> Self {
        let fixed = config
            .addresses
            .iter()
            .filter_map(|(ip, prefix)| cidr(*ip, *prefix));
        let dhcp = (config.dhcp && medium == Medium::Ethernet).then(|| {
            let mut socket = dhcpv4::Socket::new();
            let mut retry = dhcpv4::RetryConfig::default();
            retry.discover_timeout = Duration::from_secs(4);
            socket.set_retry_config(retry);
            let handle = sockets.add(socket);
            let waker = Waker::from(signal(Kind::Dhcp(handle)));
            let socket = sockets.get_mut::<dhcpv4::Socket>(handle);
            socket.register_waker(&waker);
            Dhcp {
                socket: handle,
                waker,
                lease: None,
                confirm: None,
            }
        });
        Self {
            fixed: fixed.take(STATIC_MAX).collect(),
            gateways: config.gateways.clone(),
            servers: config.name_servers.clone(),
            dns: sockets.add(dns::Socket::new(&[], vec![])),
            dhcp,
            status: signal(Kind::Own),
        }
    }

    fn lease(&self) -> Option<&Lease> {
        self.dhcp.as_ref()?.lease.as_ref()
    }

    /// Those of the interface, without the loopback's.
    pub(super) fn all(&self) -> Vec<IpCidr> {
        let leased = self.lease().map(|lease| lease.address.into());
        self.fixed.iter().copied().chain(leased).collect()
    }

    /// One of `family`.
    pub(super) fn of(&self, family: IpAddressFamily) -> Option<IpAddr> {
        let all = self
            .all()
            .into_iter()
            .map(|cidr| IpAddr::from(cidr.address()));
        let v4 = family == IpAddressFamily::Ipv4;
        all.into_iter().find(|ip| ip.is_ipv4() == v4)
    }

    fn gateway(&self, v4: bool) -> Option<IpAddr> {
        let fixed = self.gateways.iter().copied().find(|ip| ip.is_ipv4() == v4);
        let leased = || self.lease().and_then(|lease| lease.router).map(IpAddr::V4);
        fixed.or_else(|| leased().filter(|_| v4))
    }

    /// Whether there is a way to `remote`, which is neither the loopback's nor an own address.
    pub(super) fn reaches(&self, remote: IpAddr) -> bool {
        let all = self.all();
        let v4 = remote.is_ipv4();
        all.iter().any(|cidr| cidr.contains_addr(&remote.into()))
            || (self.gateway(v4).is_some()
                && all
                    .iter()
                    .any(|cidr| IpAddr::from(cidr.address()).is_ipv4() == v4))
    }

    pub(super) fn name_servers(&self) -> Vec<IpAddr> {
        let leased = self.lease().map_or(&[][..], |lease| &lease.servers);
        self.servers.iter().chain(leased).copied().collect()
    }

    /// Whether addresses and servers may yet come.
    pub(super) fn may_come(&self) -> bool {
        self.dhcp.is_some()
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.dhcp.as_ref()?.confirm
    }
}

impl Stack {
    /// Has the interface do as is known now.
    pub(super) fn apply_addresses(&mut self) {
        let own = [
            cidr(Ipv4Addr::LOCALHOST.into(), 8),
            cidr(Ipv6Addr::LOCALHOST.into(), 128),
        ];
        let own = own.into_iter().flatten();
        // Last: what is in no subnet is sent from the first one.
        let own: Vec<_> = self.addresses.all().into_iter().chain(own).collect();
        let ips = own.iter().map(|cidr| IpAddr::from(cidr.address()));
        self.phy.set_own(ips.collect());
        self.iface.update_ip_addrs(|addresses| {
            addresses.clear();
            // No more than there is room for, see `STATIC_MAX`.
            addresses.extend(own.iter().copied().take(addresses.capacity()));
        });
        let routes = self.iface.routes_mut();
        routes.remove_default_ipv4_route();
        routes.remove_default_ipv6_route();
        if let Some(IpAddr::V4(gateway)) = self.addresses.gateway(true) {
            // There is room for both.
            let _ = routes.add_default_ipv4_route(gateway);
        }
        if let Some(IpAddr::V6(gateway)) = self.addresses.gateway(false) {
            let _ = routes.add_default_ipv6_route(gateway);
        }
        let servers = self.addresses.name_servers();
        let servers: Vec<_> = servers.into_iter().map(IpAddress::from).collect();
        let socket = self.sockets.get_mut::<dns::Socket>(self.addresses.dns);
        socket.update_servers(&servers);
        self.wake.push(self.addresses.status.clone());
        self.drive = true;
    }

    pub(super) fn dhcp_changed(&mut self, handle: SocketHandle) {
        let socket = self.sockets.get_mut::<dhcpv4::Socket>(handle);
        let Some(dhcp) = &mut self.addresses.dhcp else {
            return;
        };
        socket.register_waker(&dhcp.waker);
        let lease = match socket.poll() {
            None => return,
            // A link that came back: connections go on while the address is the same.
            Some(Event::Deconfigured) if dhcp.confirm.is_some() => return,
            Some(Event::Deconfigured) => None,
            // An address that is nobody's, or the loopback's, is no lease.
            Some(Event::Configured(lease)) => Some(Lease {
                address: lease.address,
                router: lease.router,
                servers: lease.dns_servers.iter().map(|ip| IpAddr::V4(*ip)).collect(),
            })
            .filter(|lease| {
                let ip = IpAddr::V4(lease.address.address());
                IpAddress::from(ip).is_unicast() && !ip.is_loopback()
            }),
        };
        dhcp.lease = lease;
        dhcp.confirm = None;
        self.apply_addresses();
    }

    pub(super) fn lease_expired(&mut self, now: u64) {
        if let Some(dhcp) = &mut self.addresses.dhcp
            && dhcp.confirm.is_some_and(|until| until <= now)
        {
            dhcp.confirm = None;
            dhcp.lease = None;
            self.apply_addresses();
        }
    }

    /// The device's link came up: it may be to another network.
    pub(super) fn link_up(&mut self) {
        let now = self.now;
        if let Some(dhcp) = &mut self.addresses.dhcp {
            dhcp.confirm = dhcp.lease.as_ref().map(|_| now.saturating_add(RELINK));
            self.sockets.get_mut::<dhcpv4::Socket>(dhcp.socket).reset();
        }
        // Forgets the neighbours.
        self.apply_addresses();
    }
}

/// Of a unicast address, with a prefix as long as there are at most.
fn cidr(ip: IpAddr, prefix: u8) -> Option<IpCidr> {
    if !IpAddress::from(ip).is_unicast() {
        return None;
    }
    Some(match ip {
        IpAddr::V4(ip) => Ipv4Cidr::new(ip, prefix.min(32)).into(),
        IpAddr::V6(ip) => Ipv6Cidr::new(ip, prefix.min(128)).into(),
    })
}
