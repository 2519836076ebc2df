use crate::world::*;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, IpProtocol,
    Ipv4Address, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};
use std::task::{Context, Poll, Waker};
use wasi_sockets::{ErrorCode, UdpSocket};

fn pending(socket: &dyn UdpSocket) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    socket.poll_receive_ready(&mut cx).is_pending()
}

#[test]
fn datagrams_cross_the_cable_whole_with_their_sender() {
    let world = World::new();
    for (a, b, most) in [(A, B, 1472), (A6, B6, 1452)] {
        let (here, there) = (udp(&world.a, at(a, 0)), udp(&world.b, at(b, 0)));
        let (from, to) = (
            here.local_address().unwrap(),
            there.local_address().unwrap(),
        );
        for len in [0, 1, 512, most] {
            let bytes = pattern(len);
            let exchange = both(send_to(&*here, &bytes, to), receive_from(&*there));
            assert_eq!(world.run(exchange), (Ok(()), (bytes, from)), "{len}");
        }
        let too_long = world.run(send_to(&*here, &pattern(most + 1), to));
        assert_eq!(too_long, Err(ErrorCode::DatagramTooLarge));
    }
}

#[test]
fn a_datagram_leaves_though_its_socket_is_dropped_at_once() {
    let world = World::new();
    let there = udp(&world.b, at(B, 7));
    let here = udp(&world.a, at(A, 0));
    let mut cx = Context::from_waker(Waker::noop());
    let sent = here.poll_send_to(&mut cx, b"last", at(B, 7));
    assert_eq!(sent, Poll::Ready(Ok(())));
    drop(here);
    assert_eq!(world.run(receive_from(&*there)).0, b"last");
    assert_eq!(world.a.usage(), Default::default());
}

#[test]
fn a_neighbour_that_does_not_answer_holds_others_back_for_a_while_only() {
    let world = World::new();
    let (here, there) = (udp(&world.a, at(A, 0)), udp(&world.b, at(B, 7)));
    world
        .run(send_to(&*here, b"to nobody", at("10.0.0.99", 7)))
        .unwrap();
    world.run(send_to(&*here, b"behind it", at(B, 7))).unwrap();
    world.pass(10 * SECOND);
    let (sent, got) = world.run(both(
        send_to(&*here, b"next", at(B, 7)),
        receive_from(&*there),
    ));
    assert_eq!((sent, got.0), (Ok(()), b"next".to_vec()));
    let unreachable = world.run(send_to(&*here, b"a", at("192.0.2.1", 7)));
    assert_eq!(unreachable, Err(ErrorCode::RemoteUnreachable));
}

#[test]
fn what_nobody_receives_is_dropped_when_the_buffer_is_full() {
    let world = World::new();
    let (here, there) = (udp(&world.a, at(A, 0)), udp(&world.b, at(B, 7)));
    for _ in 0..200 {
        world
            .run(send_to(&*here, &pattern(1000), at(B, 7)))
            .unwrap();
    }
    let mut got = 0;
    while !pending(&*there) {
        world.run(receive_from(&*there));
        got += 1;
    }
    assert_eq!(got, 16, "of 16 KiB");
}

#[test]
fn a_socket_for_every_address_receives_in_its_family_only() {
    let world = World::new();
    for (any, other_from, other, from, own) in [("0.0.0.0", A6, B6, A, B), ("::", A, B, A6, B6)] {
        let there = udp(&world.b, at(any, 7));
        let (wrong, right) = (udp(&world.a, at(other_from, 0)), udp(&world.a, at(from, 0)));
        world.run(send_to(&*wrong, b"wrong", at(other, 7))).unwrap();
        world.settle();
        assert!(pending(&*there), "{any}");
        world.run(send_to(&*wrong, b"wrong", at(other, 7))).unwrap();
        world.run(send_to(&*right, b"right", at(own, 7))).unwrap();
        assert_eq!(world.run(receive_from(&*there)).0, b"right");
        assert!(pending(&*there), "{any}");
    }
}

#[test]
fn a_broadcast_reaches_the_neighbours() {
    let world = World::new();
    let (here, there) = (udp(&world.a, at(A, 0)), udp(&world.b, at("0.0.0.0", 7)));
    let all = at("255.255.255.255", 7);
    let (sent, got) = world.run(both(send_to(&*here, b"all", all), receive_from(&*there)));
    assert_eq!((sent, got.0), (Ok(()), b"all".to_vec()));
}

/// A datagram from `from` to `to`, port 7, for the first network's device.
fn frame(from: Ipv4Address, to: Ipv4Address) -> Vec<u8> {
    let udp = UdpRepr {
        src_port: 9,
        dst_port: 7,
    };
    let ip = Ipv4Repr {
        src_addr: from,
        dst_addr: to,
        next_header: IpProtocol::Udp,
        payload_len: 8 + 4,
        hop_limit: 64,
    };
    let mut frame = vec![0; 14 + 20 + 8 + 4];
    let mut ethernet = EthernetFrame::new_unchecked(&mut frame);
    ethernet.set_dst_addr(EthernetAddress([2, 0, 0, 0, 0, 1]));
    ethernet.set_src_addr(EthernetAddress([2, 0, 0, 0, 0, 2]));
    ethernet.set_ethertype(EthernetProtocol::Ipv4);
    let checksums = smoltcp::phy::ChecksumCapabilities::default();
    let mut packet = Ipv4Packet::new_unchecked(ethernet.payload_mut());
    ip.emit(&mut packet, &checksums);
    let mut datagram = UdpPacket::new_unchecked(packet.payload_mut());
    udp.emit(
        &mut datagram,
        &from.into(),
        &to.into(),
        4,
        |payload| payload.copy_from_slice(b"evil"),
        &checksums,
    );
    frame
}

#[test]
fn a_neighbour_that_claims_an_own_address_gets_nothing_of_it() {
    let world = World::new();
    let own: Ipv4Address = A.parse().unwrap();
    let arp = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Reply,
        source_hardware_addr: EthernetAddress([2, 0, 0, 0, 0, 2]),
        source_protocol_addr: own,
        target_hardware_addr: EthernetAddress([2, 0, 0, 0, 0, 1]),
        target_protocol_addr: own,
    };
    let mut frame = vec![0; 14 + arp.buffer_len()];
    let mut ethernet = EthernetFrame::new_unchecked(&mut frame);
    ethernet.set_dst_addr(EthernetAddress([2, 0, 0, 0, 0, 1]));
    ethernet.set_src_addr(EthernetAddress([2, 0, 0, 0, 0, 2]));
    ethernet.set_ethertype(EthernetProtocol::Arp);
    arp.emit(&mut ArpPacket::new_unchecked(ethernet.payload_mut()));
    world.cable.inject(0, frame);
    world.settle();
    let (here, there) = (udp(&world.a, at(A, 0)), udp(&world.a, at(A, 7)));
    let exchange = both(send_to(&*here, b"own", at(A, 7)), receive_from(&*there));
    assert_eq!(world.run(exchange).1.0, b"own");
    assert_eq!(world.cable.carried(), 0);
}

#[test]
fn nothing_comes_in_that_claims_to_be_of_the_loopback() {
    let world = World::new();
    let socket = udp(&world.a, at("0.0.0.0", 7));
    let (own, peer): (Ipv4Address, Ipv4Address) = (A.parse().unwrap(), B.parse().unwrap());
    for (from, to, comes) in [
        (peer, Ipv4Address::LOCALHOST, false),
        (Ipv4Address::LOCALHOST, own, false),
        (peer, own, true),
    ] {
        world.cable.inject(0, frame(from, to));
        world.settle();
        assert_eq!(!pending(&*socket), comes, "{from} to {to}");
    }
}
