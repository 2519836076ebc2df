use super::*;
use crate::{DATAGRAM_MAX, LoopbackNet, Network, OutgoingDatagram};
use alloc::vec;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, Ordering};
use pollster::block_on;
use wasi_io::testkit::{Task, both_are_woken};
use wasi_io::{WakerSet, sync::Mutex};

/// A network that waits for a permission wherever a backend may, and fails where it is told to.
#[derive(Clone, Default)]
struct Gated {
    net: LoopbackNet,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    closed: AtomicBool,
    opened: WakerSet,
    /// What the next calls answer, once each.
    bind: Mutex<Option<ErrorCode>>,
    connect: Mutex<Option<ErrorCode>>,
    disconnect: Mutex<Option<ErrorCode>>,
    /// After how many datagrams one fails, and how.
    send: Mutex<Option<(usize, ErrorCode)>>,
    receive: Mutex<Option<(usize, ErrorCode)>>,
    /// The socket asked in the meantime whether it may send.
    asked: AtomicBool,
}

impl Gate {
    fn set_closed(&self, closed: bool) {
        self.closed.store(closed, Ordering::Release);
        self.opened.wake_all();
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.opened.register(cx.waker());
        match self.closed.load(Ordering::Acquire) {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }
}

fn fails(answer: &Mutex<Option<ErrorCode>>) -> Result<(), ErrorCode> {
    answer.lock().take().map_or(Ok(()), Err)
}

fn fails_after(answer: &Mutex<Option<(usize, ErrorCode)>>) -> Result<(), ErrorCode> {
    let mut answer = answer.lock();
    match answer.take() {
        Some((0, error)) => Err(error),
        Some((n, error)) => {
            *answer = Some((n - 1, error));
            Ok(())
        }
        None => Ok(()),
    }
}

impl Network for Gated {
    fn udp_socket(&self, family: IpAddressFamily) -> Result<Box<dyn UdpSocket>, ErrorCode> {
        let (inner, gate) = (self.net.udp_socket(family)?, self.gate.clone());
        Ok(Box::new(GatedSocket { inner, gate }))
    }
}

struct GatedSocket {
    inner: Box<dyn UdpSocket>,
    gate: Arc<Gate>,
}

impl Socket for GatedSocket {
    fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        self.inner.local_address()
    }

    fn option(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        self.inner.option(option)
    }

    fn set_option(&self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        self.inner.set_option(option, value)
    }
}

impl UdpSocket for GatedSocket {
    fn poll_bind(&self, cx: &mut Context<'_>, local: SocketAddr) -> Poll<Result<(), ErrorCode>> {
        ready!(self.gate.poll(cx));
        fails(&self.gate.bind)?;
        self.inner.poll_bind(cx, local)
    }

    fn connect(&self, remote: SocketAddr) -> Result<(), ErrorCode> {
        fails(&self.gate.connect)?;
        self.inner.connect(remote)
    }

    fn disconnect(&self) -> Result<(), ErrorCode> {
        fails(&self.gate.disconnect)?;
        self.inner.disconnect()
    }

    fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self.gate.asked.load(Ordering::Acquire) {
            true => self.gate.poll(cx),
            false => self.inner.poll_send_ready(cx),
        }
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        remote: SocketAddr,
    ) -> Poll<Result<(), ErrorCode>> {
        self.gate.asked.store(true, Ordering::Release);
        ready!(self.gate.poll(cx));
        fails_after(&self.gate.send)?;
        self.inner.poll_send_to(cx, bytes, remote)
    }

    fn poll_receive_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.poll_receive_ready(cx)
    }

    fn poll_receive_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<(usize, SocketAddr), ErrorCode>> {
        fails_after(&self.gate.receive)?;
        self.inner.poll_receive_from(cx, buf)
    }
}

const ANY_PORT: SocketAddr =
    SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), 0);

/// A guest on a gated network, where somebody receives.
struct World {
    gate: Arc<Gate>,
    ctx: WasiSocketsCtx,
    net: DynNetwork,
    remote: SocketAddr,
    far: Far,
}

/// The other end: a socket of its own without gates.
struct Far {
    incoming: IncomingDatagramStream,
    outgoing: OutgoingDatagramStream,
    _socket: DynUdpSocket,
}

impl Far {
    fn send(&mut self, bytes: &[u8], to: SocketAddr) {
        self.outgoing.check_send().unwrap();
        let sent = self.outgoing.send(&[datagram(bytes, Some(to))]);
        assert_eq!(sent.unwrap(), Ok(1));
    }
}

impl World {
    fn new() -> Self {
        let gated = Gated::default();
        let plain = WasiSocketsCtx::new().network(Arc::new(gated.net.clone()));
        let mut far = DynUdpSocket::new(&plain, IpAddressFamily::Ipv4).unwrap();
        bind(&mut far, &plain.instance_network());
        let (incoming, outgoing) = far.stream(None).unwrap();
        let gate = gated.gate.clone();
        let ctx = WasiSocketsCtx::new().network(Arc::new(gated));
        Self {
            gate,
            net: ctx.instance_network(),
            ctx,
            remote: far.local_address().unwrap(),
            far: Far {
                incoming,
                outgoing,
                _socket: far,
            },
        }
    }

    fn socket(&self) -> DynUdpSocket {
        DynUdpSocket::new(&self.ctx, IpAddressFamily::Ipv4).unwrap()
    }

    fn bound(&self) -> DynUdpSocket {
        let mut socket = self.socket();
        bind(&mut socket, &self.net);
        socket
    }

    fn socket_in(&self, state: &str) -> DynUdpSocket {
        self.gate.set_closed(false);
        match state {
            "unbound" => self.socket(),
            "binding" => {
                let mut socket = self.socket();
                self.gate.set_closed(true);
                socket.start_bind(&self.net, ANY_PORT).unwrap();
                socket
            }
            "bound" => self.bound(),
            "streaming" => {
                let mut socket = self.bound();
                socket.stream(None).unwrap();
                socket
            }
            "connected" => {
                let mut socket = self.bound();
                socket.stream(Some(self.remote)).unwrap();
                socket
            }
            state => panic!("{state}"),
        }
    }
}

fn bind(socket: &mut DynUdpSocket, net: &DynNetwork) {
    socket.start_bind(net, ANY_PORT).unwrap();
    socket.finish_bind().unwrap();
}

fn datagram(bytes: &[u8], remote_address: Option<SocketAddr>) -> OutgoingDatagram {
    OutgoingDatagram {
        data: bytes.to_vec(),
        remote_address,
    }
}

fn is_ready(pollable: &mut impl Pollable) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    pollable.poll_ready(&mut cx).is_ready()
}

fn texts(received: Result<Vec<crate::IncomingDatagram>, ErrorCode>) -> Vec<Vec<u8>> {
    let datagrams = received.unwrap().into_iter();
    datagrams.map(|datagram| datagram.data).collect()
}

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
        &wasi_io::testkit::AtOnce,
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
        &wasi_io::testkit::AtOnce,
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
