//! `wasi:sockets/udp` and `udp-create-socket`.

use super::{FAMILIES, has, loopback, other, port, unspecified, v4, v6, wait};
use crate::bindings::wasi::sockets::instance_network::instance_network;
use crate::bindings::wasi::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use crate::bindings::wasi::sockets::udp::{
    IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream, UdpSocket,
};
use crate::bindings::wasi::sockets::udp_create_socket::create_udp_socket;
use crate::checks::Checks;
use IpAddressFamily::{Ipv4, Ipv6};

const OK: Result<(), ()> = Ok(());

pub fn run(checks: &mut Checks) {
    for family in FAMILIES.into_iter().filter(|family| has(*family)) {
        life(checks, family);
        connected(checks, family);
        states(checks, family);
        sizes(checks, family);
    }
    addresses(checks);
    destinations(checks);
    refused(checks);
    options(checks);
    limit(checks);
}

fn socket(family: IpAddressFamily) -> UdpSocket {
    create_udp_socket(family).expect("a socket")
}

fn bind(socket: &UdpSocket, address: IpSocketAddress) -> Result<(), ErrorCode> {
    socket.start_bind(&instance_network(), address)?;
    wait(|| socket.subscribe(), || socket.finish_bind())
}

fn bound(family: IpAddressFamily) -> (UdpSocket, IpSocketAddress) {
    let socket = socket(family);
    bind(&socket, loopback(family, 0)).expect("to bind");
    let address = socket.local_address().expect("an address");
    (socket, address)
}

fn datagram(data: impl Into<Vec<u8>>, to: Option<IpSocketAddress>) -> OutgoingDatagram {
    OutgoingDatagram {
        data: data.into(),
        remote_address: to,
    }
}

/// Sends as the text has it: after `check-send`, waiting where there is no permit.
fn send(
    stream: &OutgoingDatagramStream,
    datagrams: Vec<OutgoingDatagram>,
) -> Result<u64, ErrorCode> {
    while stream.check_send()? < datagrams.len() as u64 {
        stream.subscribe().block();
    }
    stream.send(&datagrams)
}

/// Waits for one datagram: what it has and who sent it.
fn receive(stream: &IncomingDatagramStream) -> Result<(Vec<u8>, IpSocketAddress), ErrorCode> {
    loop {
        match stream.receive(1)?.pop() {
            Some(datagram) => return Ok((datagram.data, datagram.remote_address)),
            None => stream.subscribe().block(),
        }
    }
}

/// Any peer.
fn life(checks: &mut Checks, family: IpAddressFamily) {
    let name = |what: &str| format!("{family:?}: {what}");
    let server = socket(family);
    checks.eq(name("address-family"), server.address_family(), family);
    checks.eq(
        name("start-bind"),
        server.start_bind(&instance_network(), loopback(family, 0)),
        OK,
    );
    checks.eq(
        name("finish-bind"),
        wait(|| server.subscribe(), || server.finish_bind()),
        OK,
    );
    let address = server.local_address().expect("an address");
    checks.that(name("local-address: a port"), port(&address) != 0);
    checks.eq(
        name("local-address"),
        address,
        loopback(family, port(&address)),
    );
    let (input, output) = server.stream(None).expect("streams");
    checks.eq(
        name("remote-address: any peer"),
        server.remote_address().err(),
        Some(ErrorCode::InvalidState),
    );
    checks.eq(
        name("receive: nothing there"),
        input.receive(9).map(|it| it.len()),
        Ok::<_, ()>(0),
    );
    checks.eq(
        name("receive: none wanted"),
        input.receive(0).map(|it| it.len()),
        Ok::<_, ()>(0),
    );
    let comes = input.subscribe();
    checks.eq(name("subscribe: nothing there"), comes.ready(), false);

    let (client, client_address) = bound(family);
    let (answers, requests) = client.stream(None).expect("streams");
    checks.that(
        name("check-send"),
        requests.check_send().is_ok_and(|permit| permit > 0),
    );
    checks.eq(name("send: nothing"), requests.send(&[]), Ok::<_, ()>(0));
    let all = ["one", "", "three"].map(|text| datagram(text, Some(address)));
    checks.eq(
        name("send: three"),
        send(&requests, all.into()),
        Ok::<_, ()>(3),
    );
    comes.block();
    checks.that(name("subscribe: something there"), comes.ready());
    drop(comes);
    checks.eq(
        name("receive: none wanted of some"),
        input.receive(0).map(|it| it.len()),
        Ok::<_, ()>(0),
    );
    for text in ["one", "", "three"] {
        let expected = (text.as_bytes(), client_address);
        checks.eq(name("receive"), receive(&input), Ok::<_, ()>(expected));
    }
    let sent = send(&output, vec![datagram("back", Some(client_address))]);
    checks.eq(name("send: back"), sent, Ok::<_, ()>(1));
    checks.eq(
        name("receive: back"),
        receive(&answers),
        Ok::<_, ()>((b"back", address)),
    );

    let many = (0..4u8).map(|n| datagram([n], Some(address))).collect();
    checks.eq(name("send: four"), send(&requests, many), Ok::<_, ()>(4));
    let mut got = Vec::new();
    while got.len() < 4 {
        input.subscribe().block();
        let some = input.receive(2).expect("datagrams");
        checks.that(name("receive: no more than wanted"), some.len() <= 2);
        got.extend(some.into_iter().map(|it| it.data));
    }
    checks.eq(name("receive: four"), got, [[0u8], [1], [2], [3]]);
}

/// One peer.
fn connected(checks: &mut Checks, family: IpAddressFamily) {
    let name = |what: &str| format!("{family:?}: connected: {what}");
    let (server, address) = bound(family);
    let (requests, answers) = server.stream(None).expect("streams");
    let (stranger, stranger_address) = bound(family);
    let (_, strange) = stranger.stream(None).expect("streams");
    let (client, client_address) = bound(family);
    // What came before from others is not for these streams either.
    let early = vec![datagram("early", Some(client_address))];
    checks.eq(name("send: before"), send(&strange, early), Ok::<_, ()>(1));
    let (input, output) = client.stream(Some(address)).expect("streams");
    checks.eq(
        name("remote-address"),
        client.remote_address(),
        Ok::<_, ()>(address),
    );

    checks.eq(
        name("send: to nobody said"),
        send(&output, vec![datagram("a", None)]),
        Ok::<_, ()>(1),
    );
    checks.eq(
        name("send: to the peer"),
        send(&output, vec![datagram("b", Some(address))]),
        Ok::<_, ()>(1),
    );
    for text in [b"a", b"b"] {
        checks.eq(
            name("receive: the peer"),
            receive(&requests),
            Ok::<_, ()>((text, client_address)),
        );
    }
    checks.eq(
        name("send: to another"),
        send(&output, vec![datagram("c", Some(stranger_address))]).err(),
        Some(ErrorCode::InvalidArgument),
    );
    let strange_one = vec![datagram("strange", Some(client_address))];
    checks.eq(
        name("send: of a stranger"),
        send(&strange, strange_one),
        Ok::<_, ()>(1),
    );
    let answer = vec![datagram("answer", Some(client_address))];
    checks.eq(
        name("send: of the peer"),
        send(&answers, answer),
        Ok::<_, ()>(1),
    );
    checks.eq(
        name("receive: only of the peer"),
        receive(&input),
        Ok::<_, ()>((b"answer", address)),
    );
    checks.eq(
        name("receive: nothing else"),
        input.receive(9).map(|it| it.len()),
        Ok::<_, ()>(0),
    );

    // Another peer, then any: only the latest streams work.
    drop((input, output));
    let (input, output) = client.stream(Some(stranger_address)).expect("streams");
    checks.eq(
        name("remote-address: changed"),
        client.remote_address(),
        Ok::<_, ()>(stranger_address),
    );
    drop((input, output));
    let (input, output) = client.stream(None).expect("streams");
    checks.eq(
        name("remote-address: no more"),
        client.remote_address().err(),
        Some(ErrorCode::InvalidState),
    );
    checks.eq(
        name("local-address: as bound"),
        client.local_address(),
        Ok::<_, ()>(client_address),
    );
    checks.eq(
        name("send: to any again"),
        send(&output, vec![datagram("d", Some(address))]),
        Ok::<_, ()>(1),
    );
    checks.eq(
        name("receive: of any again"),
        receive(&requests),
        Ok::<_, ()>((b"d", client_address)),
    );
    drop(input);
}

fn states(checks: &mut Checks, family: IpAddressFamily) {
    let network = instance_network();
    let any = loopback(family, 0);
    let wrong = Some(ErrorCode::InvalidState);
    let idle = Some(ErrorCode::NotInProgress);
    let unbound = socket(family);
    for (name, code, expected) in [
        ("finish-bind", unbound.finish_bind().err(), idle),
        ("stream", unbound.stream(None).err(), wrong),
        (
            "stream: to a peer",
            unbound.stream(Some(loopback(family, 9))).err(),
            wrong,
        ),
        ("local-address", unbound.local_address().err(), wrong),
        ("remote-address", unbound.remote_address().err(), wrong),
    ] {
        checks.eq(format!("{family:?}: unbound: {name}"), code, expected);
    }
    checks.eq("start-bind", unbound.start_bind(&network, any), OK);
    checks.eq(
        format!("{family:?}: bind-in-progress: start-bind"),
        unbound.start_bind(&network, any).err(),
        Some(ErrorCode::ConcurrencyConflict),
    );
    checks.eq(
        "finish-bind",
        wait(|| unbound.subscribe(), || unbound.finish_bind()),
        OK,
    );
    let bound = unbound;
    checks.eq(
        format!("{family:?}: bound: start-bind"),
        bound.start_bind(&network, any).err(),
        wrong,
    );
    checks.eq(
        format!("{family:?}: bound: finish-bind"),
        bound.finish_bind().err(),
        idle,
    );
}

/// `datagram-too-large`.
fn sizes(checks: &mut Checks, family: IpAddressFamily) {
    let (server, address) = bound(family);
    let (input, _replies) = server.stream(None).expect("streams");
    let (client, client_address) = bound(family);
    let (_answers, output) = client.stream(None).expect("streams");
    let large = vec![b'x'; 60_000];
    let sent = send(&output, vec![datagram(large.clone(), Some(address))]);
    checks.eq(
        format!("{family:?}: send: 60,000 bytes"),
        sent,
        Ok::<_, ()>(1),
    );
    let got = receive(&input).map(|(data, from)| (data == large, from));
    checks.eq(
        format!("{family:?}: receive: 60,000 bytes"),
        got,
        Ok::<_, ()>((true, client_address)),
    );
    for len in [65_536, 1 << 20] {
        checks.eq(
            format!("{family:?}: send: {len} bytes"),
            send(&output, vec![datagram(vec![0; len], Some(address))]).err(),
            Some(ErrorCode::DatagramTooLarge),
        );
    }
    // The first error ends it; what went before is told first.
    let three = [1, 1 << 20, 1].map(|len| datagram(vec![b'y'; len], Some(address)));
    checks.eq(
        format!("{family:?}: send: up to the error"),
        send(&output, three.into()),
        Ok::<_, ()>(1),
    );
    let got = receive(&input).map(|(data, _)| data);
    checks.eq(
        format!("{family:?}: receive: up to the error"),
        got,
        Ok::<_, ()>(b"y"),
    );
    checks.eq(
        format!("{family:?}: receive: nothing after it"),
        input.receive(9).map(|it| it.len()),
        Ok::<_, ()>(0),
    );
}

fn addresses(checks: &mut Checks) {
    let network = instance_network();
    let invalid = Some(ErrorCode::InvalidArgument);
    for family in FAMILIES.into_iter().filter(|family| has(*family)) {
        let code = socket(family)
            .start_bind(&network, loopback(other(family), 0))
            .err();
        checks.eq(
            format!("start-bind: {family:?}: the other family"),
            code,
            invalid,
        );
        let (socket, address) = bound(family);
        for remote in [
            loopback(other(family), 9),
            unspecified(family, 9),
            loopback(family, 0),
        ] {
            let code = socket.stream(Some(remote)).err();
            checks.eq(format!("stream: {family:?} {remote:?}"), code, invalid);
        }
        let second = self::socket(family);
        checks.eq(
            format!("finish-bind: {family:?}: address-in-use"),
            bind(&second, address).err(),
            Some(ErrorCode::AddressInUse),
        );
        let again = bind(&second, unspecified(family, 0));
        checks.eq("finish-bind: after one that failed", again, OK);
    }
    let nobodys = [
        (Ipv4, v4([192, 0, 2, 1], 0)),
        (Ipv6, v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 0)),
    ];
    for (family, address) in nobodys.into_iter().filter(|it| has(it.0)) {
        checks.eq(
            format!("finish-bind: {family:?}: address-not-bindable"),
            bind(&socket(family), address).err(),
            Some(ErrorCode::AddressNotBindable),
        );
    }
}

/// What `send` says of a datagram's address.
fn destinations(checks: &mut Checks) {
    for family in FAMILIES.into_iter().filter(|family| has(*family)) {
        let (socket, _) = bound(family);
        let (_input, output) = socket.stream(None).expect("streams");
        for remote in [
            None,
            Some(loopback(other(family), 9)),
            Some(unspecified(family, 9)),
            Some(loopback(family, 0)),
        ] {
            checks.eq(
                format!("send: {family:?} to {remote:?}"),
                send(&output, vec![datagram("x", remote)]).err(),
                Some(ErrorCode::InvalidArgument),
            );
        }
    }
}

/// `connection-refused`: the peer's port is nobody's, which only the next call can tell. The
/// networks tell it in their own time: on memory at once, on a machine when the answer came.
fn refused(checks: &mut Checks) {
    let (socket, _) = bound(Ipv4);
    let nobody = {
        let (_socket, address) = bound(Ipv4);
        address
    };
    let (input, output) = socket.stream(Some(nobody)).expect("streams");
    let mut told = send(&output, vec![datagram("x", None)]).err();
    if told.is_none() {
        input.subscribe().block();
        told = input.receive(1).err();
    }
    checks.eq(
        "connection-refused",
        told,
        Some(ErrorCode::ConnectionRefused),
    );
    checks.eq(
        "connection-refused: told once",
        input.receive(1).map(|it| it.len()),
        Ok::<_, ()>(0),
    );
}

fn options(checks: &mut Checks) {
    let invalid = Some(ErrorCode::InvalidArgument);
    let states = [("unbound", socket(Ipv4)), ("bound", bound(Ipv4).0)];
    for (state, socket) in &states {
        let name = |what: &str| format!("{state}: {what}");
        for (what, code) in [
            ("unicast-hop-limit", socket.set_unicast_hop_limit(0).err()),
            (
                "receive-buffer-size",
                socket.set_receive_buffer_size(0).err(),
            ),
            ("send-buffer-size", socket.set_send_buffer_size(0).err()),
        ] {
            checks.eq(name(&format!("set-{what}: 0")), code, invalid);
        }
        for value in [1, 42, 255] {
            checks.eq(
                name("set-unicast-hop-limit"),
                socket.set_unicast_hop_limit(value),
                OK,
            );
            checks.eq(
                name("unicast-hop-limit"),
                socket.unicast_hop_limit(),
                Ok::<_, ()>(value),
            );
        }
        for value in [1, 32 << 10, u64::MAX] {
            checks.eq(
                name("set-receive-buffer-size"),
                socket.set_receive_buffer_size(value),
                OK,
            );
            checks.eq(
                name("set-send-buffer-size"),
                socket.set_send_buffer_size(value),
                OK,
            );
            let sizes = [socket.receive_buffer_size(), socket.send_buffer_size()];
            checks.that(
                name("buffer sizes: not 0"),
                sizes.iter().all(|size| size.is_ok_and(|size| size > 0)),
            );
        }
    }
}

/// `new-socket-limit`: the host allows 64 sockets.
fn limit(checks: &mut Checks) {
    let mut sockets = Vec::new();
    let full = loop {
        match create_udp_socket(Ipv4) {
            Ok(socket) if sockets.len() < 64 => sockets.push(socket),
            Ok(_) => break None,
            Err(code) => break Some(code),
        }
    };
    checks.eq(
        "create-udp-socket: new-socket-limit",
        full,
        Some(ErrorCode::NewSocketLimit),
    );
}
