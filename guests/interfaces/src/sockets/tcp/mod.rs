//! `wasi:sockets/tcp` and `tcp-create-socket`.

mod options;
mod states;

use super::{
    FAMILIES, accept, bind, connect, has, listen, listener, loopback, other, pair, port,
    unspecified, v4, v6, wait,
};
use crate::bindings::wasi::io::streams::StreamError;
use crate::bindings::wasi::sockets::instance_network::instance_network;
use crate::bindings::wasi::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use crate::bindings::wasi::sockets::tcp::{ShutdownType, TcpSocket};
use crate::bindings::wasi::sockets::tcp_create_socket::create_tcp_socket;
use crate::checks::Checks;
use IpAddressFamily::{Ipv4, Ipv6};

const OK: Result<(), ()> = Ok(());

pub fn run(checks: &mut Checks) {
    for family in FAMILIES.into_iter().filter(|family| has(*family)) {
        life(checks, family);
        states::wrong_states(checks, family);
        states::refused(checks, family);
    }
    addresses(checks);
    taken(checks);
    options::run(checks);
    shutdown(checks);
    limit(checks);
}

fn socket(family: IpAddressFamily) -> TcpSocket {
    create_tcp_socket(family).expect("a socket")
}

/// From a socket to a connection that has carried bytes both ways.
fn life(checks: &mut Checks, family: IpAddressFamily) {
    let name = |what: &str| format!("{family:?}: {what}");
    let server = socket(family);
    checks.eq(name("address-family"), server.address_family(), family);
    checks.that(name("subscribe: unbound"), server.subscribe().ready());
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
    checks.that(name("subscribe: bound"), server.subscribe().ready());
    let address = server.local_address().expect("an address");
    checks.that(name("local-address: a port"), port(&address) != 0);
    checks.eq(
        name("local-address"),
        address,
        loopback(family, port(&address)),
    );
    checks.eq(name("is-listening: bound"), server.is_listening(), false);
    checks.eq(
        name("set-listen-backlog-size: bound"),
        server.set_listen_backlog_size(8),
        OK,
    );
    checks.eq(name("start-listen"), server.start_listen(), OK);
    checks.eq(
        name("finish-listen"),
        wait(|| server.subscribe(), || server.finish_listen()),
        OK,
    );
    checks.that(name("is-listening"), server.is_listening());
    checks.eq(
        name("accept: would-block"),
        server.accept().err(),
        Some(ErrorCode::WouldBlock),
    );
    let comes = server.subscribe();
    checks.eq(name("subscribe: nobody connected"), comes.ready(), false);

    let client = socket(family);
    checks.eq(
        name("start-connect"),
        client.start_connect(&instance_network(), address),
        OK,
    );
    comes.block();
    checks.that(name("subscribe: somebody connected"), comes.ready());
    drop(comes);
    let (input, output) =
        wait(|| client.subscribe(), || client.finish_connect()).expect("to connect");
    let (accepted, their_input, their_output) = accept(&server).expect("to accept");
    checks.that(name("subscribe: connected"), client.subscribe().ready());
    checks.eq(
        name("remote-address"),
        client.remote_address(),
        Ok::<_, ()>(address),
    );
    checks.eq(
        name("local-address: accepted"),
        accepted.local_address(),
        Ok::<_, ()>(address),
    );
    checks.eq(
        name("remote-address: accepted"),
        accepted.remote_address().map_err(drop),
        client.local_address().map_err(drop),
    );
    checks.eq(
        name("address-family: accepted"),
        accepted.address_family(),
        family,
    );
    checks.eq(
        name("is-listening: connected"),
        client.is_listening(),
        false,
    );
    checks.eq(
        name("accept: nobody else"),
        server.accept().err(),
        Some(ErrorCode::WouldBlock),
    );

    for (from, to, text) in [
        (&output, &their_input, b"ping"),
        (&their_output, &input, b"pong"),
    ] {
        checks.that(name("write"), from.blocking_write_and_flush(text).is_ok());
        checks.eq(name("read"), to.blocking_read(9).ok(), Some(text));
    }
    drop((their_input, their_output, accepted));
    let end = input.blocking_read(1);
    checks.that(
        name("the peer has closed"),
        matches!(end, Err(StreamError::Closed)),
    );
}

/// `invalid-argument`, before anything is asked of the network.
fn addresses(checks: &mut Checks) {
    let mapped = [0, 0, 0, 0, 0, 0xffff, 0x7f00, 1];
    let remote_only = [
        (Ipv4, unspecified(Ipv4, 80)),
        (Ipv4, loopback(Ipv4, 0)),
        (Ipv6, unspecified(Ipv6, 80)),
        (Ipv6, loopback(Ipv6, 0)),
    ];
    let both = [
        (Ipv4, loopback(Ipv6, 80)),
        (Ipv4, v4([224, 0, 0, 1], 80)),
        (Ipv4, v4([239, 1, 2, 3], 80)),
        (Ipv4, v4([255; 4], 80)),
        (Ipv6, loopback(Ipv4, 80)),
        (Ipv6, v6([0xff02, 0, 0, 0, 0, 0, 0, 1], 80)),
        (Ipv6, v6(mapped, 80)),
    ];
    let invalid = Some(ErrorCode::InvalidArgument);
    let network = instance_network();
    let usable = |it: &(IpAddressFamily, IpSocketAddress)| has(it.0);
    for (family, address) in both.into_iter().filter(usable) {
        let code = socket(family).start_bind(&network, address).err();
        checks.eq(format!("start-bind: {family:?} {address:?}"), code, invalid);
    }
    for (family, address) in both.into_iter().chain(remote_only).filter(usable) {
        let socket = socket(family);
        let code = socket.start_connect(&network, address).err();
        checks.eq(
            format!("start-connect: {family:?} {address:?}"),
            code,
            invalid,
        );
        let closed = socket.start_bind(&network, loopback(family, 0)).err();
        checks.eq(
            "start-connect: closed after it",
            closed,
            Some(ErrorCode::InvalidState),
        );
    }

    // Documentation's addresses: nobody has them.
    let nobodys = [
        (Ipv4, v4([192, 0, 2, 1], 0)),
        (Ipv6, v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 0)),
    ];
    for (family, address) in nobodys.into_iter().filter(usable) {
        let socket = socket(family);
        checks.eq(
            format!("finish-bind: {family:?}: address-not-bindable"),
            bind(&socket, address).err(),
            Some(ErrorCode::AddressNotBindable),
        );
        let again = bind(&socket, loopback(family, 0));
        checks.eq("finish-bind: after one that failed", again, OK);
    }
    for family in FAMILIES.into_iter().filter(|family| has(*family)) {
        let any = socket(family);
        checks.eq(
            "finish-bind: unspecified",
            bind(&any, unspecified(family, 0)),
            OK,
        );
        checks.eq("listen: unspecified", listen(&any), OK);
        let address = any.local_address().expect("an address");
        let client = socket(family);
        let connected = connect(&client, loopback(family, port(&address)));
        checks.that("connect: to one on every address", connected.is_ok());
        // The same port of the other family is another one: IPv6 sockets are for IPv6 only.
        if has(other(family)) {
            let twin = socket(other(family));
            let code = bind(&twin, unspecified(other(family), port(&address)));
            checks.eq(format!("{family:?}: only its own port"), code, OK);
        }
    }
}

/// `address-in-use`.
fn taken(checks: &mut Checks) {
    let first = listener(Ipv4);
    let address = first.local_address().expect("an address");
    let second = socket(Ipv4);
    let code = bind(&second, address).and_then(|()| listen(&second)).err();
    checks.eq(
        "finish-bind: address-in-use",
        code,
        Some(ErrorCode::AddressInUse),
    );

    // TIME_WAIT: who closes first keeps the port for a while, and it can be bound again.
    let client = socket(Ipv4);
    let (input, output) = connect(&client, address).expect("to connect");
    let (accepted, their_input, their_output) = accept(&first).expect("to accept");
    drop((their_input, their_output, accepted, first));
    checks.that("the peer has closed", input.blocking_read(1).is_err());
    drop((input, output, client));
    let again = socket(Ipv4);
    checks.eq(
        "finish-bind: after a connection there",
        bind(&again, address),
        OK,
    );
    checks.eq(
        "finish-listen: after a connection there",
        listen(&again),
        OK,
    );
}

fn shutdown(checks: &mut Checks) {
    let closed = |result: Result<Vec<u8>, StreamError>| matches!(result, Err(StreamError::Closed));

    let (here, there) = pair();
    here.output
        .blocking_write_and_flush(b"last")
        .expect("to write");
    for _ in 0..2 {
        checks.eq(
            "shutdown: send",
            here.socket.shutdown(ShutdownType::Send),
            OK,
        );
    }
    let refused = here.output.check_write();
    checks.that(
        "shutdown: send: closes the output",
        matches!(refused, Err(StreamError::Closed)),
    );
    checks.eq(
        "shutdown: send: what was written comes",
        there.input.blocking_read(9).ok(),
        Some(b"last"),
    );
    checks.that(
        "shutdown: send: then the end",
        closed(there.input.blocking_read(9)),
    );
    there
        .output
        .blocking_write_and_flush(b"answer")
        .expect("to write");
    checks.eq(
        "shutdown: send: the input goes on",
        here.input.blocking_read(9).ok(),
        Some(b"answer"),
    );

    let (here, there) = pair();
    for _ in 0..2 {
        checks.eq(
            "shutdown: receive",
            here.socket.shutdown(ShutdownType::Receive),
            OK,
        );
    }
    checks.that(
        "shutdown: receive: closes the input",
        closed(here.input.blocking_read(9)),
    );
    here.output
        .blocking_write_and_flush(b"more")
        .expect("to write");
    checks.eq(
        "shutdown: receive: the output goes on",
        there.input.blocking_read(9).ok(),
        Some(b"more"),
    );

    let (here, there) = pair();
    for _ in 0..2 {
        checks.eq(
            "shutdown: both",
            here.socket.shutdown(ShutdownType::Both),
            OK,
        );
    }
    checks.that(
        "shutdown: both: closes the input",
        closed(here.input.blocking_read(9)),
    );
    checks.that(
        "shutdown: both: closes the output",
        here.output.check_write().is_err(),
    );
    checks.that(
        "shutdown: both: the peer sees the end",
        closed(there.input.blocking_read(9)),
    );
}

/// `new-socket-limit`: the host allows 64 sockets.
fn limit(checks: &mut Checks) {
    let mut sockets = Vec::new();
    let full = loop {
        match create_tcp_socket(Ipv4) {
            Ok(socket) if sockets.len() < 64 => sockets.push(socket),
            Ok(_) => break None,
            Err(code) => break Some(code),
        }
    };
    checks.eq(
        "create-tcp-socket: new-socket-limit",
        full,
        Some(ErrorCode::NewSocketLimit),
    );
    sockets.truncate(61);
    let server = listener(Ipv4);
    let client = socket(Ipv4);
    let address = server.local_address().expect("an address");
    let streams = connect(&client, address).expect("to connect");
    let one_more = socket(Ipv4);
    server.subscribe().block();
    let full = server.accept().err();
    checks.eq(
        "accept: new-socket-limit",
        full,
        Some(ErrorCode::NewSocketLimit),
    );
    drop(one_more);
    checks.that("accept: once there is room", accept(&server).is_ok());
    drop(streams);
}
