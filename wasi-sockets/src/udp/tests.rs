use super::*;
use crate::{DATAGRAM_MAX, IncomingDatagram, LoopbackNet, Network, OutgoingDatagram};
use alloc::vec;
use alloc::vec::Vec;
use core::future::poll_fn;
use pollster::block_on;
use wasi_io::testkit::{AtOnce, Task, both_are_woken};
use world::{ANY_PORT, World, bind, datagram, is_ready, texts};

mod streams;
mod world;

const STATES: [&str; 5] = ["unbound", "binding", "bound", "streaming", "connected"];

type Call = fn(&World, &mut DynUdpSocket) -> Result<(), ErrorCode>;
/// A method, and its answer in each of the states.
type Row = (&'static str, Call, [Result<(), ErrorCode>; 5]);

#[test]
fn every_method_answers_in_every_state_as_the_wit_says() {
    let ok = Ok(());
    let inv = Err(ErrorCode::InvalidState);
    let nip = Err(ErrorCode::NotInProgress);
    let wb = Err(ErrorCode::WouldBlock);
    let cc = Err(ErrorCode::ConcurrencyConflict);
    let table: [Row; 9] = [
        (
            "start-bind",
            |w, s| s.start_bind(&w.net, ANY_PORT),
            [ok, cc, inv, inv, inv],
        ),
        (
            "finish-bind",
            |_, s| s.finish_bind(),
            [nip, wb, nip, nip, nip],
        ),
        (
            "stream to all",
            |_, s| s.stream(None).map(drop),
            [inv, cc, ok, ok, ok],
        ),
        (
            "stream to one",
            |w, s| s.stream(Some(w.remote)).map(drop),
            [inv, cc, ok, ok, ok],
        ),
        (
            "local-address",
            |_, s| s.local_address().map(drop),
            [inv, inv, ok, ok, ok],
        ),
        (
            "remote-address",
            |_, s| s.remote_address().map(drop),
            [inv, inv, inv, inv, ok],
        ),
        (
            "unicast-hop-limit",
            |_, s| s.option(SocketOption::HopLimit).map(drop),
            [ok; 5],
        ),
        (
            "set-unicast-hop-limit",
            |_, s| s.set_option(SocketOption::HopLimit, 9),
            [ok; 5],
        ),
        (
            "subscribe",
            |_, s| match is_ready(s) {
                true => Ok(()),
                false => Err(ErrorCode::WouldBlock),
            },
            [ok, wb, ok, ok, ok],
        ),
    ];
    let world = World::new();
    for (name, call, expected) in table {
        for (state, expected) in STATES.into_iter().zip(expected) {
            let mut socket = world.socket_in(state);
            assert_eq!(call(&world, &mut socket), expected, "{name} in {state}");
            assert_eq!(socket.address_family(), IpAddressFamily::Ipv4);
        }
    }
}

#[test]
fn a_pollable_wakes_when_a_bind_ends() {
    let world = World::new();
    let mut socket = world.socket_in("binding");
    both_are_woken(
        &AtOnce,
        |cx| socket.poll_ready(cx),
        || {
            world.gate.set_closed(false);
            Ok(())
        },
    )
    .unwrap();
    block_on(poll_fn(|cx| socket.poll_ready(cx)));
    assert_eq!(socket.finish_bind(), Ok(()));
}

#[test]
fn a_bind_that_failed_can_be_tried_again() {
    let world = World::new();
    let mut socket = world.socket();
    *world.gate.bind.lock() = Some(ErrorCode::AccessDenied);
    socket.start_bind(&world.net, ANY_PORT).unwrap();
    assert_eq!(socket.finish_bind(), Err(ErrorCode::AccessDenied));
    assert_eq!(socket.local_address(), Err(ErrorCode::InvalidState));
    socket.start_bind(&world.net, world.remote).unwrap();
    assert_eq!(socket.finish_bind(), Err(ErrorCode::AddressInUse));
    bind(&mut socket, &world.net);
    assert!(socket.local_address().is_ok());
}

#[test]
fn wrong_addresses_are_refused_and_change_nothing() {
    let world = World::new();
    let parse = |address: &str| address.parse::<SocketAddr>().unwrap();
    let mut socket = world.socket();
    for wrong in ["[::1]:0", "[::ffff:127.0.0.1]:0"] {
        let refused = socket.start_bind(&world.net, parse(wrong));
        assert_eq!(refused, Err(ErrorCode::InvalidArgument), "{wrong}");
    }
    bind(&mut socket, &world.net);
    let (_incoming, mut outgoing) = socket.stream(Some(world.remote)).unwrap();
    for wrong in ["[::1]:80", "0.0.0.0:80", "127.0.0.1:0"] {
        let refused = socket.stream(Some(parse(wrong))).err();
        assert_eq!(refused, Some(ErrorCode::InvalidArgument), "{wrong}");
    }
    assert_eq!(socket.remote_address(), Ok(world.remote));
    assert!(outgoing.check_send().unwrap() > 0);
}

#[test]
fn earlier_streams_end_when_stream_is_called_again() {
    let world = World::new();
    for (first, second) in [
        (None, None),
        (None, Some(world.remote)),
        (Some(world.remote), None),
        (Some(world.remote), Some(world.remote)),
    ] {
        let mut socket = world.bound();
        let (mut incoming, mut outgoing) = socket.stream(first).unwrap();
        assert!(outgoing.check_send().unwrap() > 0);
        let waits = Task::new();
        assert!(waits.poll(|cx| incoming.poll_ready(cx)).is_pending());
        let (mut incoming_2, mut outgoing_2) = socket.stream(second).unwrap();
        assert!(waits.is_woken());
        assert!(is_ready(&mut incoming) && is_ready(&mut outgoing));
        assert_eq!(incoming.receive(1), Err(ErrorCode::InvalidState));
        assert_eq!(outgoing.check_send(), Err(ErrorCode::InvalidState));
        let sent = outgoing.send(&[datagram(b"a", Some(world.remote))]);
        assert_eq!(sent.unwrap(), Err(ErrorCode::InvalidState), "and no trap");

        assert_eq!(socket.remote_address().ok(), second);
        assert_eq!(incoming_2.receive(1), Ok(vec![]));
        assert!(outgoing_2.check_send().unwrap() > 0);
        let sent = outgoing_2.send(&[datagram(b"a", Some(world.remote))]);
        assert_eq!(sent.unwrap(), Ok(1));
    }
}

#[test]
fn a_peer_that_can_not_be_had_leaves_the_socket_without_one() {
    let world = World::new();
    let mut socket = world.bound();
    let (mut incoming, _outgoing) = socket.stream(Some(world.remote)).unwrap();
    *world.gate.connect.lock() = Some(ErrorCode::AccessDenied);
    let refused = socket.stream(Some(world.remote)).err();
    assert_eq!(refused, Some(ErrorCode::AccessDenied));
    assert_eq!(socket.remote_address(), Err(ErrorCode::InvalidState));
    assert_eq!(incoming.receive(1), Err(ErrorCode::InvalidState));
    assert!(socket.stream(None).is_ok());

    // An address that was lost closes it.
    socket.stream(Some(world.remote)).unwrap();
    *world.gate.disconnect.lock() = Some(ErrorCode::AddressInUse);
    assert_eq!(socket.stream(None).err(), Some(ErrorCode::AddressInUse));
    assert_eq!(socket.stream(None).err(), Some(ErrorCode::InvalidState));
    assert_eq!(socket.local_address(), Err(ErrorCode::InvalidState));
    let option = socket.option(SocketOption::HopLimit);
    assert_eq!(option, Err(ErrorCode::InvalidState));
    let again = socket.start_bind(&world.net, ANY_PORT);
    assert_eq!(again, Err(ErrorCode::InvalidState));
}

#[test]
fn a_socket_counts_until_it_and_its_streams_are_dropped() {
    let ctx = WasiSocketsCtx::new()
        .network(Arc::new(LoopbackNet::new()))
        .max_sockets(1);
    let new = || DynUdpSocket::new(&ctx, IpAddressFamily::Ipv4);
    let mut socket = new().unwrap();
    bind(&mut socket, &ctx.instance_network());
    let (incoming, outgoing) = socket.stream(None).unwrap();
    let full = Some(ErrorCode::NewSocketLimit);
    assert_eq!(new().err(), full);
    drop(socket);
    assert_eq!(new().err(), full);
    drop(outgoing);
    assert_eq!(new().err(), full);
    drop(incoming);
    assert!(new().is_ok());
}

#[test]
fn a_network_without_udp_or_a_grant_has_no_sockets() {
    struct Nothing;
    impl Network for Nothing {}
    for (ctx, code) in [
        (
            WasiSocketsCtx::new().network(Arc::new(Nothing)),
            ErrorCode::NotSupported,
        ),
        (WasiSocketsCtx::new(), ErrorCode::AccessDenied),
    ] {
        let socket = DynUdpSocket::new(&ctx, IpAddressFamily::Ipv6);
        assert_eq!(socket.err(), Some(code));
    }
}

#[test]
fn a_bind_to_another_network_takes_the_settings_along() {
    let world = World::new();
    let other = DynNetwork::new(Arc::new(LoopbackNet::new()));
    let mut socket = world.socket();
    socket.set_option(SocketOption::HopLimit, 7).unwrap();
    // Which is taken here, and free there.
    socket.start_bind(&other, world.remote).unwrap();
    assert_eq!(socket.finish_bind(), Ok(()));
    assert_eq!(socket.option(SocketOption::HopLimit), Ok(7));
}

#[test]
fn settings_are_those_of_udp() {
    let world = World::new();
    let mut socket = world.socket();
    for (option, value, read) in [
        (SocketOption::HopLimit, 3, 3),
        (SocketOption::HopLimit, u64::MAX, 255),
        (SocketOption::ReceiveBufferSize, 5000, 5000),
        (SocketOption::SendBufferSize, 5000, 5000),
    ] {
        assert_eq!(socket.set_option(option, value), Ok(()));
        assert_eq!(socket.option(option), Ok(read));
        let zero = socket.set_option(option, 0);
        assert_eq!(zero, Err(ErrorCode::InvalidArgument));
    }
    let tcp = SocketOption::KeepAliveCount;
    assert_eq!(socket.option(tcp), Err(ErrorCode::NotSupported));
    assert_eq!(socket.set_option(tcp, 1), Err(ErrorCode::NotSupported));
}
