//! What is behind the lock: the interface, its sockets, and what is known of each.

use super::SmoltcpLimits;
use super::conn::Conn;
use super::device::Phy;
use super::lease::Addresses;
use super::listener::Backlog;
use super::lookup::Query;
use super::ports::Ports;
use super::signal::{Fired, Kind, Phase, Signal};
use super::udp::Inbox;
use crate::ErrorCode;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use smoltcp::iface::{Interface, SocketHandle, SocketSet};
use smoltcp::time::Instant;

/// Frames and rounds of one turn of the driver, before others have theirs.
const FRAMES: usize = 256;
const ROUNDS: usize = 64;

/// How long until a device that took no frame is tried again, unless it says before.
const BUSY: u64 = 1_000_000;

pub(super) struct Stack {
    pub(super) phy: Box<dyn Phy>,
    pub(super) iface: Interface,
    pub(super) sockets: SocketSet<'static>,
    pub(super) limits: SmoltcpLimits,
    pub(super) addresses: Addresses,
    pub(super) tcp_ports: Ports,
    pub(super) udp_ports: Ports,
    /// TCP sockets of smoltcp, in whatever state.
    pub(super) conns: BTreeMap<SocketHandle, Conn>,
    pub(super) listeners: BTreeMap<u64, Backlog>,
    pub(super) udps: BTreeMap<SocketHandle, Inbox>,
    pub(super) lookups: BTreeMap<u64, Query>,
    pub(super) next_id: u64,
    /// When those that were dropped are given up.
    pub(super) closing: BTreeSet<(u64, SocketHandle)>,
    pub(super) time_wait: VecDeque<SocketHandle>,
    /// Those whose reset has yet to leave.
    pub(super) resetting: Vec<SocketHandle>,
    /// Sockets of guests that smoltcp has none for yet, and listeners.
    pub(super) objects: usize,
    /// Bytes of all buffers.
    pub(super) buffers: usize,
    /// Something was released since listeners last tried to make sockets.
    pub(super) released: bool,
    pub(super) fired: Arc<Fired>,
    /// Whose tasks are to be woken once the lock is released.
    pub(super) wake: Vec<Arc<Signal>>,
    /// The driver has something to do.
    pub(super) drive: bool,
    /// Nanoseconds, as the driver last saw it.
    pub(super) now: u64,
}

impl Stack {
    /// Makes room for one more socket with `bytes` of buffers.
    pub(super) fn room(&mut self, bytes: usize) -> Result<(), ErrorCode> {
        loop {
            let count = self.objects + self.conns.len() + self.udps.len();
            let free = self.limits.buffers.saturating_sub(self.buffers);
            if count < self.limits.sockets && bytes <= free {
                return Ok(());
            }
            match self.time_wait.front() {
                Some(oldest) => self.remove(*oldest),
                None => return Err(ErrorCode::NewSocketLimit),
            }
        }
    }

    /// A socket of a guest; [`Stack::put`] when it is gone.
    pub(super) fn take(&mut self) -> Result<(), ErrorCode> {
        self.room(0)?;
        self.objects += 1;
        Ok(())
    }

    pub(super) fn put(&mut self) {
        self.objects -= 1;
        self.released = true;
    }

    pub(super) fn id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    pub(super) fn signal(&self, kind: Kind) -> Arc<Signal> {
        Signal::new(kind, self.fired.clone())
    }

    /// Does what follows from what smoltcp changed, in `phase`.
    pub(super) fn settle(&mut self, phase: Phase) {
        loop {
            let fired = self.fired.take();
            if fired.is_empty() && !core::mem::take(&mut self.released) {
                return;
            }
            if fired.is_empty() {
                self.refill_listeners();
            }
            for signal in fired {
                match signal.kind {
                    Kind::Tcp(handle) => self.tcp_changed(handle, phase),
                    Kind::Udp(handle) => self.udp_changed(handle),
                    Kind::Lookup(id) => self.lookup_changed(id, phase),
                    Kind::Dhcp(handle) => self.dhcp_changed(handle),
                    Kind::Own => {}
                }
                self.wake.push(signal);
            }
        }
    }

    /// Moves packets until there are none, and says whether a turn was too short for that.
    pub(super) fn turn(&mut self, now: u64) -> bool {
        self.now = now;
        let at = instant(now);
        self.expire(now);
        self.iface.poll_maintenance(at);
        let mut frames = 0;
        for _ in 0..ROUNDS {
            let mut moved = false;
            while frames < FRAMES && self.phy.ingress(at, &mut self.iface, &mut self.sockets) {
                frames += 1;
                moved = true;
                self.settle(Phase::Ingress);
            }
            moved |= self.phy.egress(at, &mut self.iface, &mut self.sockets);
            self.settle(Phase::Egress);
            self.reap();
            if frames >= FRAMES {
                return true;
            }
            // A question to itself, such as for an address, is no socket's packet.
            if !moved && !self.phy.has_looped() {
                self.unblock(now);
                self.settle(Phase::Egress);
                return false;
            }
        }
        true
    }

    /// When the driver is to come again though nobody wakes it.
    pub(super) fn next(&mut self) -> Option<u64> {
        let at = self.iface.poll_at(instant(self.now), &self.sockets);
        let at = at.map(|at| {
            u64::try_from(at.total_micros())
                .unwrap_or(0)
                .saturating_mul(1000)
        });
        // All that can go was sent: the device is in the way.
        let at = at.map(|at| match at <= self.now {
            true => self.now.saturating_add(BUSY),
            false => at,
        });
        let closing = self.closing.first().map(|(at, _)| *at);
        let lookups = self.lookups.values().filter_map(Query::deadline).min();
        [at, closing, lookups, self.addresses.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    fn expire(&mut self, now: u64) {
        while let Some(&(at, handle)) = self.closing.first() {
            if at > now {
                break;
            }
            self.closing_expired(handle);
        }
        self.lookups_expired(now);
        self.lease_expired(now);
        self.settle(Phase::Local);
    }

    /// The address that what goes to `remote` comes from; none where there is no way to it.
    pub(super) fn source(&self, remote: IpAddr) -> Option<IpAddr> {
        if self.iface.has_ip_addr(remote) {
            return Some(remote);
        }
        if remote.is_loopback() || !self.addresses.reaches(remote) {
            return None;
        }
        let source = self.iface.get_source_address(&remote.into());
        let source = source.map(IpAddr::from);
        source.filter(|source| !source.is_loopback() && !source.is_unspecified())
    }

    /// Whether a socket can be bound to `ip`.
    pub(super) fn is_own(&self, ip: IpAddr) -> bool {
        ip.is_unspecified() || self.iface.has_ip_addr(ip)
    }
}

pub(super) fn instant(nanoseconds: u64) -> Instant {
    Instant::from_micros(i64::try_from(nanoseconds / 1000).unwrap_or(i64::MAX))
}
