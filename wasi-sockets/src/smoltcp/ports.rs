use crate::ErrorCode;
use alloc::collections::BTreeSet;
use core::net::SocketAddr;

/// What a bind to port 0 chooses from (RFC 6335, 6).
const FIRST: u16 = 49152;
const COUNT: u16 = u16::MAX - FIRST + 1;

/// The addresses that sockets are bound to.
pub(super) struct Ports {
    taken: BTreeSet<SocketAddr>,
    /// Each choice goes on from the last one, so that a port rests before it comes again.
    next: u16,
    /// Whether an unspecified address stands for both families: smoltcp's UDP has it so.
    dual: bool,
}

impl Ports {
    pub(super) fn new(seed: u16, dual: bool) -> Self {
        Self {
            taken: BTreeSet::new(),
            next: seed % COUNT,
            dual,
        }
    }

    pub(super) fn bind(&mut self, local: SocketAddr) -> Result<SocketAddr, ErrorCode> {
        // Without flow and scope, which nothing here has.
        let at = |port| SocketAddr::new(local.ip(), port);
        let address = match local.port() {
            0 => (0..COUNT).find_map(|_| {
                let address = at(FIRST + self.next);
                self.next = (self.next + 1) % COUNT;
                self.is_free(address).then_some(address)
            }),
            port => Some(at(port)).filter(|address| self.is_free(*address)),
        };
        let address = address.ok_or(ErrorCode::AddressInUse)?;
        self.taken.insert(address);
        Ok(address)
    }

    fn is_free(&self, address: SocketAddr) -> bool {
        let (ip, port) = (address.ip(), address.port());
        !self.taken.iter().any(|other| {
            other.port() == port
                && (self.dual || other.is_ipv4() == address.is_ipv4())
                && (other.ip() == ip || other.ip().is_unspecified() || ip.is_unspecified())
        })
    }

    pub(super) fn release(&mut self, address: SocketAddr) {
        self.taken.remove(&address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_taken_in_its_family_and_chosen_ports_differ() {
        let mut ports = Ports::new(65_535, false);
        for (local, free) in [
            ("127.0.0.1:80", true),
            ("127.0.0.1:80", false),
            ("0.0.0.0:80", false),
            ("10.0.0.1:80", true),
            ("[::]:80", true),
            ("[::1]:80", false),
            ("[::1]:81", true),
        ] {
            assert_eq!(ports.bind(local.parse().unwrap()).is_ok(), free, "{local}");
        }
        let any = "127.0.0.1:0".parse().unwrap();
        let (a, b) = (ports.bind(any).unwrap(), ports.bind(any).unwrap());
        assert!(a != b && a.port() >= FIRST && b.port() >= FIRST);
        ports.release(a);
        assert_ne!(ports.bind(any).unwrap(), a, "it rests");
        let mut dual = Ports::new(0, true);
        dual.bind("0.0.0.0:53".parse().unwrap()).unwrap();
        assert!(dual.bind("[::]:53".parse().unwrap()).is_err());
    }
}
