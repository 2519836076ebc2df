//! A network of one's own: TCP, UDP, DNS and DHCP over a device that moves frames, by
//! smoltcp. Without an operating system.

mod config;
mod conn;
mod device;
mod lease;
mod listener;
mod lookup;
mod options;
mod ports;
mod signal;
mod stack;
mod stream;
mod tcp;
mod udp;

pub use config::{SmoltcpConfig, SmoltcpLimits};

use crate::{ErrorCode, IpAddressFamily, Lookup, Network, TcpSocket, UdpSocket};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::net::IpAddr;
use core::task::{Context, Poll, Waker};
use device::Hairpin;
use lease::Addresses;
use ports::Ports;
use signal::{Fired, Phase, Signal};
use smoltcp::iface::{Config, Interface, SocketSet};
use smoltcp::phy::{Device, Medium};
use smoltcp::wire::{EthernetAddress, HardwareAddress};
use stack::{Stack, instant};
use wasi_clocks::{Duration, MonotonicClock, Sleep};
use wasi_io::sync::Mutex;
use wasi_io::{Pollable, WakerSet};

/// A network over one device, and over itself: 127.0.0.1, `::1` and its own addresses lead
/// back without the device. Clones are the same network.
///
/// Packets move while the driver runs: a task that polls [`SmoltcpNet::drive`], which every
/// network needs once. It sleeps while there is nothing to do, until a socket or a timer of the
/// clock needs it, or the waker of [`SmoltcpNet::notifier`] is woken, which is what the
/// device's interrupt does (in the part of it that may take a lock).
///
/// ```
/// use std::sync::Arc;
/// use wasi_clocks::manual::ManualClock;
/// use wasi_sockets::smoltcp::{SmoltcpConfig, SmoltcpNet};
/// # use smoltcp::phy::{Loopback, Medium};
/// # let device = Loopback::new(Medium::Ethernet);
/// # let random = 4;
/// # let clock = ManualClock::default();
///
/// let config = SmoltcpConfig::new(random).mac([2, 0, 0, 0, 0, 1]).dhcp();
/// let net = SmoltcpNet::new(device, config, Arc::new(clock));
/// // As a task of the executor.
/// let driver = net.clone().drive();
/// // For the device's interrupt.
/// let interrupt = net.notifier();
/// interrupt.wake_by_ref();
/// // What guests are given.
/// let ctx = wasi_sockets::WasiSocketsCtx::new().network(Arc::new(net));
/// ```
///
/// # Limits
/// - [`SmoltcpLimits`] bounds what guests take.
/// - A connection beyond a listener's backlog is refused.
/// - Of the keep-alive settings there are the switch and the idle time, which is the time
///   between probes too. The buffers' sizes hold from the bind (UDP), connect or listen on.
/// - UDP: nobody is told that a datagram was refused. Datagrams longer than the device's
///   packets are too large. A port that is bound for every address is taken in both families.
/// - 127.0.0.1 is the only address of its block. IPv6 addresses are those that are set.
/// - A server that fails (SERVFAIL) and one that knows no address are told alike, as
///   [`ErrorCode::NameUnresolvable`].
#[derive(Clone)]
pub struct SmoltcpNet(Arc<Shared>);

struct Shared {
    stack: Mutex<Stack>,
    /// The tasks that drive.
    driver: Arc<WakerSet>,
    clock: Arc<dyn MonotonicClock>,
    sleep: Mutex<Option<Sleep>>,
    peer_timeout: Duration,
    ip_mtu: usize,
}

impl SmoltcpNet {
    /// Over `device`, with the time of `clock`. A device for Ethernet frames without a
    /// [`SmoltcpConfig::mac`] gets one from the seed, locally administered.
    pub fn new(
        mut device: impl Device + Send + 'static,
        config: SmoltcpConfig,
        clock: Arc<dyn MonotonicClock>,
    ) -> Self {
        let medium = device.capabilities().medium;
        let mut mac = config.mac.unwrap_or_else(|| {
            let [_, _, a, b, c, d, e, f] = config.seed.to_be_bytes();
            [(a & 0xfc) | 2, b, c, d, e, f]
        });
        // One of a group is nobody's.
        mac[0] &= !1;
        let hardware = match medium {
            Medium::Ethernet => HardwareAddress::Ethernet(EthernetAddress(mac)),
            Medium::Ip => HardwareAddress::Ip,
        };
        let now = clock.now();
        let mut settings = Config::new(hardware);
        settings.random_seed = config.seed;
        let iface = Interface::new(settings, &mut device, instant(now));
        let mut sockets = SocketSet::new(vec![]);
        let fired = Arc::<Fired>::default();
        let signal = |kind| Signal::new(kind, fired.clone());
        let addresses = Addresses::new(&config, medium, &mut sockets, signal);
        // Not to be told from the seed's other uses.
        let [port, other, ..] = config.seed.rotate_left(17).to_ne_bytes();
        let first_port = u16::from_ne_bytes([port, other]);
        let peer_timeout = config.limits.peer_timeout;
        let mut stack = Stack {
            phy: Box::new(Hairpin::new(device, mac)),
            iface,
            sockets,
            limits: config.limits,
            addresses,
            tcp_ports: Ports::new(first_port, false),
            udp_ports: Ports::new(first_port, true),
            conns: BTreeMap::new(),
            listeners: BTreeMap::new(),
            udps: BTreeMap::new(),
            lookups: BTreeMap::new(),
            next_id: 0,
            closing: BTreeSet::new(),
            time_wait: VecDeque::new(),
            resetting: Vec::new(),
            objects: 0,
            buffers: 0,
            released: false,
            fired,
            wake: Vec::new(),
            drive: false,
            now,
        };
        stack.apply_addresses();
        let ip_mtu = stack.phy.ip_mtu();
        Self(Arc::new(Shared {
            stack: Mutex::new(stack),
            driver: Arc::default(),
            clock,
            sleep: Mutex::new(None),
            peer_timeout,
            ip_mtu,
        }))
    }

    /// Drives the network, for ever.
    pub async fn drive(self) -> Infallible {
        core::future::poll_fn(|cx| self.poll_drive(cx)).await
    }

    /// Moves what packets there are, a bounded number at a time, and keeps the waker of `cx`:
    /// it is woken when there is more to do. Never ready.
    pub fn poll_drive(&self, cx: &mut Context<'_>) -> Poll<Infallible> {
        let shared = &self.0;
        // Before the look at what there is to do, so that nothing comes between.
        shared.driver.register(cx.waker());
        let (more, next) = shared.with(|stack| {
            let more = stack.turn(stack.now);
            // This is the driver.
            stack.drive = false;
            (more, stack.next())
        });
        if more {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut sleep = shared.sleep.lock();
        match next {
            None => *sleep = None,
            Some(at) => {
                if sleep.as_ref().is_none_or(|sleep| sleep.deadline() != at) {
                    *sleep = Some(Sleep::until(shared.clock.clone(), at));
                }
                if let Some(timer) = &mut *sleep
                    && timer.poll_ready(cx).is_ready()
                {
                    *sleep = None;
                    drop(sleep);
                    cx.waker().wake_by_ref();
                }
            }
        }
        Poll::Pending
    }

    /// Wakes the driver: the device has frames, or room for them again. It takes a lock, so an
    /// interrupt handler wakes it from outside of the interrupt.
    pub fn notifier(&self) -> Waker {
        Waker::from(Arc::new(Notify(self.0.driver.clone())))
    }

    /// The device's link went up or down. Up, the neighbours are asked for anew, and DHCP
    /// confirms its lease or gets another: connections go on if the address is the same.
    /// Down, nothing is given up: what is sent waits, or is lost, until the time-outs.
    pub fn link_changed(&self, up: bool) {
        if up {
            self.0.with(Stack::link_up);
        }
    }

    /// The addresses of the interface with the lengths of their prefixes, without those of the
    /// loopback.
    pub fn addresses(&self) -> Vec<(IpAddr, u8)> {
        let all = self.0.with(|stack| stack.addresses.all());
        let all = all.into_iter();
        all.map(|cidr| (cidr.address().into(), cidr.prefix_len()))
            .collect()
    }

    /// The servers that are asked for names.
    pub fn name_servers(&self) -> Vec<IpAddr> {
        self.0.with(|stack| stack.addresses.name_servers())
    }

    /// Waits until the interface has an address.
    pub async fn ready(&self) {
        core::future::poll_fn(|cx| self.poll_ready(cx)).await;
    }

    /// Ready while the interface has an address. Pending, it keeps the waker of `cx`, of any
    /// number of tasks.
    pub fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.with(|stack| {
            if !stack.addresses.all().is_empty() {
                return Poll::Ready(());
            }
            stack.addresses.status.changed.register(cx.waker());
            Poll::Pending
        })
    }

    /// What guests hold now.
    pub fn usage(&self) -> SmoltcpUsage {
        self.0.with(|stack| SmoltcpUsage {
            sockets: stack.objects + stack.conns.len() + stack.udps.len(),
            buffers: stack.buffers,
            lookups: stack.lookups.len(),
        })
    }
}

/// What the sockets of a [`SmoltcpNet`] hold, see [`SmoltcpLimits`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SmoltcpUsage {
    /// Sockets and connections, with those that were dropped and still close.
    pub sockets: usize,
    /// Bytes of their buffers.
    pub buffers: usize,
    /// Lookups under way.
    pub lookups: usize,
}

impl Shared {
    /// Gives `f` the stack, and then wakes who it is about.
    fn with<T>(&self, f: impl FnOnce(&mut Stack) -> T) -> T {
        let now = self.clock.now();
        let (value, wake, drive) = {
            let mut stack = self.stack.lock();
            stack.now = now.max(stack.now);
            let value = f(&mut stack);
            stack.settle(Phase::Local);
            let drive = core::mem::take(&mut stack.drive);
            (value, core::mem::take(&mut stack.wake), drive)
        };
        for signal in wake {
            signal.changed.wake_all();
        }
        if drive {
            self.driver.wake_all();
        }
        value
    }
}

struct Notify(Arc<WakerSet>);

impl Wake for Notify {
    fn wake(self: Arc<Self>) {
        self.0.wake_all();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake_all();
    }
}

impl Network for SmoltcpNet {
    fn tcp_socket(&self, family: IpAddressFamily) -> Result<Box<dyn TcpSocket>, ErrorCode> {
        Ok(Box::new(tcp::Unconnected::new(&self.0, family)?))
    }

    fn udp_socket(&self, family: IpAddressFamily) -> Result<Box<dyn UdpSocket>, ErrorCode> {
        Ok(Box::new(udp::Datagrams::new(&self.0, family)?))
    }

    /// `localhost` and what is below it is the loopback.
    fn lookup(&self, name: &str) -> Result<Box<dyn Lookup>, ErrorCode> {
        match lookup::is_localhost(name) {
            true => Ok(Box::new(lookup::Localhost)),
            false => Ok(Box::new(lookup::Asked::new(&self.0, name)?)),
        }
    }
}
