//! What goes through the streams.

use super::*;

#[test]
fn where_a_datagram_goes_is_for_the_streams_peer_or_else_for_the_datagram_to_say() {
    let world = World::new();
    let other = world.bound().local_address().unwrap();
    let parse = |address: &str| Some(address.parse().unwrap());
    let wrong = Err(ErrorCode::InvalidArgument);
    for (peer, remote, expected) in [
        (None, Some(world.remote), Ok(1)),
        (None, None, wrong),
        (None, parse("[::1]:80"), wrong),
        (None, parse("0.0.0.0:80"), wrong),
        (None, parse("127.0.0.1:0"), wrong),
        (Some(world.remote), None, Ok(1)),
        (Some(world.remote), Some(world.remote), Ok(1)),
        (Some(world.remote), Some(other), wrong),
        (Some(world.remote), parse("127.0.0.1:0"), wrong),
    ] {
        let (_incoming, mut outgoing) = world.bound().stream(peer).unwrap();
        outgoing.check_send().unwrap();
        let sent = outgoing.send(&[datagram(b"a", remote)]).unwrap();
        assert_eq!(sent, expected, "peer {peer:?}, datagram to {remote:?}");
    }
}

#[test]
fn a_send_beyond_its_permit_traps() {
    let world = World::new();
    let one = datagram(b"a", Some(world.remote));
    let (_incoming, mut outgoing) = world.bound().stream(None).unwrap();
    assert!(outgoing.send(core::slice::from_ref(&one)).is_err(), "none");
    assert_eq!(outgoing.send(&[]).unwrap(), Ok(0), "nothing needs none");

    let permit = outgoing.check_send().unwrap() as usize;
    assert!(permit > 0);
    assert!(outgoing.send(&vec![one.clone(); permit + 1]).is_err());
    assert_eq!(outgoing.send(&[]).unwrap(), Ok(0), "nothing uses none");
    let all = outgoing.send(&vec![one.clone(); permit]).unwrap();
    assert_eq!(all, Ok(permit as u64));
    assert!(outgoing.send(&[one]).is_err(), "it is used up by one call");
}

#[test]
fn a_send_stops_at_the_first_error_and_says_how_many_went() {
    let mut world = World::new();
    let good = |text: &[u8]| datagram(text, Some(world.remote));
    let (_incoming, mut outgoing) = world.bound().stream(None).unwrap();
    let list = [good(b"1"), good(b"2"), datagram(b"3", None), good(b"4")];
    outgoing.check_send().unwrap();
    assert_eq!(outgoing.send(&list).unwrap(), Ok(2));
    outgoing.check_send().unwrap();
    let rest = outgoing.send(&list[2..]).unwrap();
    assert_eq!(rest, Err(ErrorCode::InvalidArgument));
    outgoing.check_send().unwrap();
    assert_eq!(outgoing.send(&list[3..]).unwrap(), Ok(1));
    assert_eq!(texts(world.far.incoming.receive(9)), [b"1", b"2", b"4"]);
}

#[test]
fn what_the_network_said_of_earlier_datagrams_is_told_once_and_not_lost() {
    let world = World::new();
    let one = datagram(b"a", Some(world.remote));
    let (mut incoming, mut outgoing) = world.bound().stream(None).unwrap();
    *world.gate.send.lock() = Some((2, ErrorCode::ConnectionRefused));
    outgoing.check_send().unwrap();
    assert_eq!(outgoing.send(&vec![one.clone(); 5]).unwrap(), Ok(2));
    assert!(is_ready(&mut outgoing));
    for expected in [Err(ErrorCode::ConnectionRefused), Ok(1)] {
        outgoing.check_send().unwrap();
        let sent = outgoing.send(core::slice::from_ref(&one)).unwrap();
        assert_eq!(sent, expected);
    }
    // What is about the datagram itself comes again with it, and with no other.
    *world.gate.send.lock() = Some((1, ErrorCode::DatagramTooLarge));
    for expected in [1, 2] {
        outgoing.check_send().unwrap();
        let sent = outgoing.send(&[one.clone(), one.clone()]).unwrap();
        assert_eq!(sent, Ok(expected));
    }

    let mut world = world;
    let (mut own, mut socket) = (incoming, world.bound());
    drop(outgoing);
    (incoming, outgoing) = socket.stream(None).unwrap();
    assert!(!is_ready(&mut own));
    let to = socket.local_address().unwrap();
    for text in [b"1", b"2"] {
        world.far.send(text, to);
    }
    *world.gate.receive.lock() = Some((1, ErrorCode::RemoteUnreachable));
    assert_eq!(texts(incoming.receive(9)), [b"1"]);
    assert!(is_ready(&mut incoming));
    assert_eq!(incoming.receive(9), Err(ErrorCode::RemoteUnreachable));
    assert_eq!(texts(incoming.receive(9)), [b"2"]);
    drop(outgoing);
}

#[test]
fn who_is_refused_is_told_once_where_it_is_connected() {
    let world = World::new();
    let mut socket = world.bound();
    let nobody = world.bound().local_address().unwrap();
    let (mut incoming, mut outgoing) = socket.stream(Some(nobody)).unwrap();
    for _ in 0..2 {
        outgoing.check_send().unwrap();
        assert_eq!(outgoing.send(&[datagram(b"a", None)]).unwrap(), Ok(1));
        assert!(is_ready(&mut incoming));
        assert_eq!(incoming.receive(1), Err(ErrorCode::ConnectionRefused));
        assert_eq!(incoming.receive(1), Ok(vec![]));
    }
    let (mut incoming, mut outgoing) = socket.stream(None).unwrap();
    outgoing.check_send().unwrap();
    let lost = outgoing.send(&[datagram(b"a", Some(nobody))]);
    assert_eq!(lost.unwrap(), Ok(1));
    assert_eq!(incoming.receive(1), Ok(vec![]));
}

#[test]
fn a_receive_gives_no_more_than_asked_for_and_a_bounded_number_of_bytes() {
    for (size, sent, asked, given) in [
        (1, 3, 0, 0),
        (1, 3, 2, 2),
        (1, 3, u64::MAX, 3),
        (0, 3, 9, 3),
        (1, 100, u64::MAX, 64),
        (30_000, 9, u64::MAX, 3),
    ] {
        let mut world = World::new();
        let mut socket = world.bound();
        let (mut incoming, _outgoing) = socket.stream(None).unwrap();
        socket
            .set_option(SocketOption::ReceiveBufferSize, u64::MAX)
            .unwrap();
        let to = socket.local_address().unwrap();
        for _ in 0..sent {
            world.far.send(&vec![7; size], to);
        }
        let received = incoming.receive(asked).unwrap();
        assert_eq!(received.len(), given, "{sent} of {size} bytes");
        for datagram in received {
            assert_eq!(datagram.data, vec![7; size]);
            assert_eq!(datagram.remote_address, world.remote);
        }
    }
}

#[test]
fn a_peers_stream_gives_its_datagrams_only_even_of_those_that_came_before() {
    let mut world = World::new();
    let mut socket = world.bound();
    let to = socket.local_address().unwrap();
    let (_, mut stranger) = world.bound().stream(None).unwrap();
    for (from_stranger, text) in [(true, b"1"), (false, b"2"), (true, b"3")] {
        match from_stranger {
            true => {
                stranger.check_send().unwrap();
                let sent = stranger.send(&[datagram(text, Some(to))]);
                assert_eq!(sent.unwrap(), Ok(1));
            }
            false => world.far.send(text, to),
        }
    }
    let (mut incoming, _outgoing) = socket.stream(Some(world.remote)).unwrap();
    assert!(is_ready(&mut incoming));
    assert_eq!(texts(incoming.receive(9)), [b"2"]);
    assert!(!is_ready(&mut incoming));
    world.far.send(b"4", to);
    assert!(is_ready(&mut incoming) && is_ready(&mut incoming));
    assert_eq!(texts(incoming.receive(9)), [b"4"]);
}

#[test]
fn strangers_datagrams_keep_nobody_waiting_and_are_not_ready() {
    let mut world = World::new();
    let mut socket = world.bound();
    let to = socket.local_address().unwrap();
    let (_, mut stranger) = world.bound().stream(None).unwrap();
    for _ in 0..3 {
        let permit = stranger.check_send().unwrap() as usize;
        stranger
            .send(&vec![datagram(b"x", Some(to)); permit])
            .unwrap()
            .unwrap();
    }
    let (mut incoming, _outgoing) = socket.stream(Some(world.remote)).unwrap();
    // More than it looks at in one go: it asks to be polled again.
    let task = Task::new();
    assert!(task.poll(|cx| incoming.poll_ready(cx)).is_pending());
    assert!(task.is_woken());
    while !task.poll(|cx| incoming.poll_ready(cx)).is_ready() {
        if incoming.receive(9).unwrap().is_empty() {
            world.far.send(b"y", to);
        }
    }
    assert_eq!(texts(incoming.receive(9)), [b"y"]);
}

#[test]
fn a_datagram_that_waits_for_a_permission_is_not_sent_and_can_be_waited_for() {
    let mut world = World::new();
    let (_incoming, mut outgoing) = world.bound().stream(None).unwrap();
    world.gate.set_closed(true);
    assert!(outgoing.check_send().unwrap() > 0);
    let one = datagram(b"a", Some(world.remote));
    let sent = outgoing.send(core::slice::from_ref(&one)).unwrap();
    assert_eq!(sent, Ok(0));
    assert_eq!(outgoing.check_send(), Ok(0));
    assert!(outgoing.send(core::slice::from_ref(&one)).is_err());
    let gate = world.gate.clone();
    both_are_woken(
        &AtOnce,
        |cx| outgoing.poll_ready(cx),
        || {
            gate.set_closed(false);
            Ok(())
        },
    )
    .unwrap();
    assert!(outgoing.check_send().unwrap() > 0);
    assert_eq!(outgoing.send(&[one]).unwrap(), Ok(1));
    assert_eq!(texts(world.far.incoming.receive(9)), [b"a"]);
}

#[test]
fn a_datagram_longer_than_the_network_carries_is_refused_whole() {
    let world = World::new();
    let (_incoming, mut outgoing) = world.bound().stream(Some(world.remote)).unwrap();
    for (len, expected) in [
        (65_507, Ok(1)),
        (65_508, Err(ErrorCode::DatagramTooLarge)),
        (DATAGRAM_MAX, Err(ErrorCode::DatagramTooLarge)),
        (DATAGRAM_MAX + 1, Err(ErrorCode::DatagramTooLarge)),
        (1 << 20, Err(ErrorCode::DatagramTooLarge)),
    ] {
        outgoing.check_send().unwrap();
        let sent = outgoing.send(&[datagram(&vec![0; len], None)]).unwrap();
        assert_eq!(sent, expected, "{len}");
    }
}

#[test]
fn what_does_not_fit_is_lost_and_nothing_else() {
    let mut world = World::new();
    let mut socket = world.bound();
    socket
        .set_option(SocketOption::ReceiveBufferSize, 1000)
        .unwrap();
    let (mut incoming, _outgoing) = socket.stream(None).unwrap();
    let to = socket.local_address().unwrap();
    for text in 0..100u8 {
        world.far.send(&[text; 36], to);
    }
    // 100 bytes each, with what a datagram costs.
    let received = texts(incoming.receive(99));
    assert_eq!(
        received,
        (0..10).map(|text| vec![text; 36]).collect::<Vec<_>>()
    );
    world.far.send(b"again", to);
    assert_eq!(texts(incoming.receive(99)), [b"again"]);
}

/// A backend whose peer has a scope, or a flow.
struct Scoped(SocketAddr);

impl Socket for Scoped {
    fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        Ok("[fe80::1%1]:1".parse().unwrap())
    }
}

impl UdpSocket for Scoped {
    fn poll_bind(&self, _: &mut Context<'_>, _: SocketAddr) -> Poll<Result<(), ErrorCode>> {
        Poll::Ready(Ok(()))
    }

    fn connect(&self, _: SocketAddr) -> Result<(), ErrorCode> {
        Ok(())
    }

    fn disconnect(&self) -> Result<(), ErrorCode> {
        Ok(())
    }

    fn poll_send_ready(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn poll_send_to(
        &self,
        _: &mut Context<'_>,
        _: &[u8],
        _: SocketAddr,
    ) -> Poll<Result<(), ErrorCode>> {
        Poll::Ready(Ok(()))
    }

    fn poll_receive_ready(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn poll_receive_from(
        &self,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<Result<(usize, SocketAddr), ErrorCode>> {
        Poll::Ready(Ok((0, self.0)))
    }
}

impl Network for Scoped {
    fn udp_socket(&self, _: IpAddressFamily) -> Result<Box<dyn UdpSocket>, ErrorCode> {
        Ok(Box::new(Scoped(self.0)))
    }
}

#[test]
fn a_scope_tells_peers_apart_where_the_guest_named_one_and_a_flow_never() {
    let v6 = |scope, flow| {
        let ip = "fe80::2".parse().unwrap();
        SocketAddr::V6(core::net::SocketAddrV6::new(ip, 7, flow, scope))
    };
    for (from, peer, given) in [
        (v6(1, 0), v6(1, 0), true),
        (v6(1, 0), v6(0, 0), true),
        (v6(1, 0), v6(2, 0), false),
        (v6(1, 9), v6(1, 5), true),
    ] {
        let ctx = WasiSocketsCtx::new().network(Arc::new(Scoped(from)));
        let mut socket = DynUdpSocket::new(&ctx, IpAddressFamily::Ipv6).unwrap();
        let any = "[::]:0".parse().unwrap();
        socket.start_bind(&ctx.instance_network(), any).unwrap();
        socket.finish_bind().unwrap();
        let (mut incoming, _outgoing) = socket.stream(Some(peer)).unwrap();
        let received = incoming.receive(1).unwrap();
        assert_eq!(!received.is_empty(), given, "{from} for {peer}");
        for datagram in received {
            assert_eq!(datagram.remote_address, peer, "as the stream has it");
        }
    }
}
