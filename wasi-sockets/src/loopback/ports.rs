use crate::ErrorCode;
use crate::address::family;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::{Arc, Weak};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use wasi_io::sync::Mutex;

/// What `bind` to port 0 chooses from, in order.
const EPHEMERAL: core::ops::RangeInclusive<u16> = 49152..=65535;

/// The addresses that are taken, and who is there for what comes to them.
pub(super) struct Ports<T>(Arc<Mutex<BTreeMap<SocketAddr, Weak<T>>>>);

impl<T> Default for Ports<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(BTreeMap::new())))
    }
}

impl<T> Ports<T> {
    /// Who is there for `address`: by that, or by every address.
    pub(super) fn find(&self, address: SocketAddr) -> Option<Arc<T>> {
        let any = match address {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let ports = self.0.lock();
        [address.ip(), any]
            .into_iter()
            .filter_map(|ip| ports.get(&SocketAddr::new(ip, address.port())))
            .find_map(Weak::upgrade)
    }
}

/// An address that is taken, until this is dropped.
pub(super) struct Port<T> {
    pub(super) address: SocketAddr,
    ports: Ports<T>,
}

impl<T> Port<T> {
    pub(super) fn bind(ports: &Ports<T>, local: SocketAddr) -> Result<Self, ErrorCode> {
        let mut taken = ports.0.lock();
        let in_the_way = |other: &SocketAddr| {
            family(other) == family(&local)
                && (other.ip() == local.ip()
                    || other.ip().is_unspecified()
                    || local.ip().is_unspecified())
        };
        let others = taken.keys().filter(|other| in_the_way(other));
        let used: BTreeSet<u16> = others.map(SocketAddr::port).collect();
        let port = match local.port() {
            0 => EPHEMERAL.into_iter().find(|port| !used.contains(port)),
            port => Some(port).filter(|port| !used.contains(port)),
        };
        let address = SocketAddr::new(local.ip(), port.ok_or(ErrorCode::AddressInUse)?);
        taken.insert(address, Weak::new());
        drop(taken);
        Ok(Self {
            address,
            ports: Ports(ports.0.clone()),
        })
    }

    /// From now on `to` is there for what comes.
    pub(super) fn give(&self, to: &Arc<T>) {
        self.ports.0.lock().insert(self.address, Arc::downgrade(to));
    }
}

impl<T> Drop for Port<T> {
    fn drop(&mut self) {
        self.ports.0.lock().remove(&self.address);
    }
}
