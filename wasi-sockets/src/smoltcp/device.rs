//! The device with a way back: what an interface sends to itself never leaves the machine, and
//! nothing comes in that claims to be of the loopback.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::net::IpAddr;
use smoltcp::iface::{Interface, PollIngressSingleResult, PollResult, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, PacketMeta, RxToken, TxToken};
use smoltcp::time::Instant;
use smoltcp::wire::{
    ArpOperation, ArpPacket, EthernetFrame, EthernetProtocol, Icmpv6Message, Icmpv6Packet,
    IpProtocol, Ipv4Packet, Ipv6Packet,
};

/// Frames on their way back. While there are more, nothing is sent.
const LOOPED_MAX: usize = 64;

/// [`Device`], for any device at all.
pub(super) trait Phy: Send {
    /// Takes one frame in; whether there was one.
    fn ingress(&mut self, now: Instant, iface: &mut Interface, sockets: &mut SocketSet) -> bool;

    /// Sends up to one packet of each socket; whether there was one.
    fn egress(&mut self, now: Instant, iface: &mut Interface, sockets: &mut SocketSet) -> bool;

    /// Whether frames are on their way back.
    fn has_looped(&self) -> bool;

    /// The interface's addresses, those of the loopback among them.
    fn set_own(&mut self, own: Vec<IpAddr>);

    fn ip_mtu(&self) -> usize;
}

pub(super) struct Hairpin<D> {
    device: D,
    path: Path,
}

struct Path {
    medium: Medium,
    mac: [u8; 6],
    own: Vec<IpAddr>,
    looped: VecDeque<Vec<u8>>,
    /// Where a frame is made before it is known where it goes.
    scratch: Vec<u8>,
}

/// Where a frame goes.
#[derive(Debug, PartialEq)]
enum Way {
    Out,
    Back,
    Nowhere,
}

impl<D: Device> Hairpin<D> {
    pub(super) fn new(device: D, mac: [u8; 6]) -> Self {
        let medium = device.capabilities().medium;
        Self {
            device,
            path: Path {
                medium,
                mac,
                own: Vec::new(),
                looped: VecDeque::new(),
                scratch: Vec::new(),
            },
        }
    }
}

impl<D: Device + Send> Phy for Hairpin<D> {
    fn ingress(&mut self, now: Instant, iface: &mut Interface, sockets: &mut SocketSet) -> bool {
        let result = iface.poll_ingress_single(now, self, sockets);
        !matches!(result, PollIngressSingleResult::None)
    }

    fn egress(&mut self, now: Instant, iface: &mut Interface, sockets: &mut SocketSet) -> bool {
        let result = iface.poll_egress(now, self, sockets);
        matches!(result, PollResult::SocketStateChanged)
    }

    fn has_looped(&self) -> bool {
        !self.path.looped.is_empty()
    }

    fn set_own(&mut self, own: Vec<IpAddr>) {
        self.path.own = own;
    }

    fn ip_mtu(&self) -> usize {
        self.device.capabilities().ip_mtu()
    }
}

impl<D: Device> Device for Hairpin<D> {
    type RxToken<'a>
        = Rx<'a, D::RxToken<'a>>
    where
        Self: 'a;
    type TxToken<'a>
        = Tx<'a, D::TxToken<'a>>
    where
        Self: 'a;

    fn receive(&mut self, now: Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        if let Some(frame) = self.path.looped.pop_front() {
            // What answers it goes back as well, so a device that is busy is no obstacle.
            let outer = self.device.transmit(now);
            let path = &mut self.path;
            return Some((Rx::Looped(frame), Tx { outer, path }));
        }
        let (inner, outer) = self.device.receive(now)?;
        let rx = Rx::Outer(inner, self.path.medium, core::marker::PhantomData);
        let outer = Some(outer);
        let path = &mut self.path;
        Some((rx, Tx { outer, path }))
    }

    fn transmit(&mut self, now: Instant) -> Option<Self::TxToken<'_>> {
        if self.path.looped.len() >= LOOPED_MAX {
            return None;
        }
        let outer = Some(self.device.transmit(now)?);
        let path = &mut self.path;
        Some(Tx { outer, path })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.device.capabilities()
    }
}

pub(super) enum Rx<'a, R> {
    Looped(Vec<u8>),
    Outer(R, Medium, core::marker::PhantomData<&'a ()>),
}

impl<R: RxToken> RxToken for Rx<'_, R> {
    fn consume<T, F: FnOnce(&[u8]) -> T>(self, f: F) -> T {
        match self {
            Self::Looped(frame) => f(&frame),
            Self::Outer(inner, medium, _) => inner.consume(|frame| {
                match claims_loopback(medium, frame) {
                    // An empty frame is passed over.
                    true => f(&[]),
                    false => f(frame),
                }
            }),
        }
    }

    fn meta(&self) -> PacketMeta {
        match self {
            Self::Looped(_) => PacketMeta::default(),
            Self::Outer(inner, ..) => inner.meta(),
        }
    }
}

pub(super) struct Tx<'a, T> {
    outer: Option<T>,
    path: &'a mut Path,
}

impl<T: TxToken> TxToken for Tx<'_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let Self { outer, path } = self;
        let mut frame = core::mem::take(&mut path.scratch);
        frame.clear();
        frame.resize(len, 0);
        let result = f(&mut frame);
        match (path.way(&frame), outer) {
            // A frame a packet that came in is all that can be above the bound.
            (Way::Back, _) => {
                // Whatever the neighbours say whose address it is.
                if let (Medium::Ethernet, Some(to)) = (path.medium, frame.get_mut(..6)) {
                    to.copy_from_slice(&path.mac);
                }
                path.looped.push_back(frame);
                return result;
            }
            (Way::Out, Some(outer)) => outer.consume(len, |out| out.copy_from_slice(&frame)),
            (Way::Out, None) | (Way::Nowhere, _) => {}
        }
        path.scratch = frame;
        result
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        if let Some(outer) = &mut self.outer {
            outer.set_meta(meta);
        }
    }
}

impl Path {
    fn way(&self, frame: &[u8]) -> Way {
        let packet = match self.medium {
            Medium::Ip => Some(frame),
            Medium::Ethernet => match EthernetFrame::new_checked(frame) {
                Err(_) => return Way::Nowhere,
                Ok(ethernet) if ethernet.dst_addr().0 == self.mac => return Way::Back,
                Ok(ethernet) => match ethernet.ethertype() {
                    EthernetProtocol::Arp => {
                        return self.way_of_target(asked_v4(ethernet.payload()));
                    }
                    _ => Some(ethernet.payload()),
                },
            },
        };
        let Some((from, to)) = packet.and_then(addresses) else {
            return Way::Out;
        };
        match to {
            to if self.own.contains(&to) => Way::Back,
            to if to.is_multicast() => self.way_of_target(packet.and_then(asked_v6)),
            to if to.is_loopback() || from.is_loopback() => Way::Nowhere,
            _ => Way::Out,
        }
    }

    /// Of a question for the hardware address of `asked`.
    fn way_of_target(&self, asked: Option<IpAddr>) -> Way {
        match asked {
            Some(ip) if self.own.contains(&ip) => Way::Back,
            Some(ip) if ip.is_loopback() => Way::Nowhere,
            _ => Way::Out,
        }
    }
}

/// Whose hardware address an ARP request asks for.
fn asked_v4(arp: &[u8]) -> Option<IpAddr> {
    let arp = ArpPacket::new_checked(arp).ok()?;
    if arp.operation() != ArpOperation::Request {
        return None;
    }
    let target: [u8; 4] = arp.target_protocol_addr().try_into().ok()?;
    Some(IpAddr::from(target))
}

/// Whose hardware address a neighbour solicitation asks for.
fn asked_v6(packet: &[u8]) -> Option<IpAddr> {
    let packet = Ipv6Packet::new_checked(packet).ok()?;
    if packet.next_header() != IpProtocol::Icmpv6 {
        return None;
    }
    let icmp = Icmpv6Packet::new_checked(packet.payload()).ok()?;
    if icmp.msg_type() != Icmpv6Message::NeighborSolicit {
        return None;
    }
    Some(IpAddr::V6(icmp.target_addr()))
}

/// Source and destination of an IP packet.
fn addresses(packet: &[u8]) -> Option<(IpAddr, IpAddr)> {
    match packet.first()? >> 4 {
        4 => {
            let packet = Ipv4Packet::new_checked(packet).ok()?;
            Some((packet.src_addr().into(), packet.dst_addr().into()))
        }
        6 => {
            let packet = Ipv6Packet::new_checked(packet).ok()?;
            Some((packet.src_addr().into(), packet.dst_addr().into()))
        }
        _ => None,
    }
}

/// Whether an address of the loopback is in it, which is never on a wire (RFC 1122, 3.2.1.3).
fn claims_loopback(medium: Medium, frame: &[u8]) -> bool {
    let packet = match medium {
        Medium::Ip => frame,
        Medium::Ethernet => match EthernetFrame::new_checked(frame) {
            Ok(ethernet) => match ethernet.ethertype() {
                EthernetProtocol::Ipv4 | EthernetProtocol::Ipv6 => ethernet.payload(),
                EthernetProtocol::Arp => return arp_of_loopback(ethernet.payload()),
                _ => return false,
            },
            Err(_) => return false,
        },
    };
    let claims = |ip: IpAddr| ip.is_loopback();
    addresses(packet).is_some_and(|(from, to)| claims(from) || claims(to))
}

fn arp_of_loopback(arp: &[u8]) -> bool {
    let Ok(arp) = ArpPacket::new_checked(arp) else {
        return false;
    };
    [arp.source_protocol_addr(), arp.target_protocol_addr()]
        .iter()
        .any(|ip| ip.first() == Some(&127))
}
