//! `wasi:sockets`: TCP.

use crate::bindings::wasi::sockets::types::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress, Ipv6SocketAddress, TcpSocket,
};
use crate::bindings::wit_stream;
use crate::checks::Checks;
use crate::filesystem::OK;
use crate::next;
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use wit_bindgen::{StreamReader, spawn_local};

const V4: IpAddressFamily = IpAddressFamily::Ipv4;

pub async fn run(checks: &mut Checks) {
    connection(checks).await;
    large(checks).await;
    half_closed(checks).await;
    states(checks).await;
    refused(checks).await;
    options(checks);
    many(checks).await;
    given_up(checks).await;
}

pub fn v4(address: [u8; 4], port: u16) -> IpSocketAddress {
    let [a, b, c, d] = address;
    IpSocketAddress::Ipv4(Ipv4SocketAddress {
        port,
        address: (a, b, c, d),
    })
}

pub fn v6(port: u16) -> IpSocketAddress {
    IpSocketAddress::Ipv6(Ipv6SocketAddress {
        port,
        flow_info: 0,
        address: (0, 0, 0, 0, 0, 0, 0, 1),
        scope_id: 0,
    })
}

pub fn port(address: &IpSocketAddress) -> u16 {
    match address {
        IpSocketAddress::Ipv4(address) => address.port,
        IpSocketAddress::Ipv6(address) => address.port,
    }
}

fn socket() -> TcpSocket {
    TcpSocket::create(V4).expect("a socket")
}

/// A listening socket, and what it accepts.
fn listener() -> (TcpSocket, StreamReader<TcpSocket>) {
    let listener = socket();
    listener.bind(v4([127, 0, 0, 1], 0)).expect("to bind");
    let accepted = listener.listen().expect("to listen");
    (listener, accepted)
}

/// Both ends of a connection: who connected, and who accepted.
async fn pair() -> (TcpSocket, TcpSocket) {
    let (listener, mut accepted) = listener();
    let client = socket();
    let address = listener.get_local_address().expect("an address");
    client.connect(address).await.expect("to connect");
    (client, accepted.next().await.expect("a connection"))
}

/// Sends all of it and then the end.
async fn send(socket: &TcpSocket, bytes: Vec<u8>) -> Result<(), ErrorCode> {
    let (mut writer, contents) = wit_stream::new();
    let sent = socket.send(contents);
    writer.write_all(bytes).await;
    drop(writer);
    sent.await
}

async fn connection(checks: &mut Checks) {
    let (listener, mut accepted) = listener();
    checks.that("get-is-listening: a listener", listener.get_is_listening());
    let address = listener.get_local_address().expect("an address");
    checks.that("get-local-address: a port was chosen", port(&address) != 0);
    let client = socket();
    checks.eq(
        "get-is-listening: a new one",
        client.get_is_listening(),
        false,
    );
    checks.eq("get-address-family", client.get_address_family(), V4);
    checks.eq("connect", client.connect(address).await, OK);
    let server = accepted.next().await.expect("a connection");
    checks.eq(
        "get-remote-address",
        client.get_remote_address(),
        Ok::<_, ()>(address),
    );
    checks.eq(
        "get-remote-address: of the accepted",
        server.get_remote_address().ok(),
        client.get_local_address().ok(),
    );
    let (mut writer, contents) = wit_stream::new();
    let sent = client.send(contents);
    let (mut reader, received) = server.receive();
    for text in ["one", "two", "three"] {
        writer.write_all(text.into()).await;
        checks.eq(
            "receive: what was sent",
            next(&mut reader, 100).await,
            text.as_bytes(),
        );
    }
    drop(writer);
    checks.eq("send: all", sent.await, OK);
    checks.eq("receive: the end", next(&mut reader, 100).await, b"");
    checks.eq("receive: ended", received.await, OK);
}

/// More than any buffer holds, both ways at once.
async fn large(checks: &mut Checks) {
    const LEN: usize = 4 << 20;
    let (client, server) = pair().await;
    let content: Vec<u8> = (0..LEN).map(|n| (n / 7 % 251) as u8).collect();
    let (bytes, outcome) = server.receive();
    // The echo takes what comes straight from one direction to the other.
    let echoed = server.send(bytes);
    let (back, end) = client.receive();
    let to_send = content.clone();
    let sent = async { send(&client, to_send).await };
    let mut sent = pin!(sent);
    let mut back = pin!(back.collect());
    let mut sending = None;
    let got = poll_fn(|context| {
        if sending.is_none()
            && let Poll::Ready(outcome) = sent.as_mut().poll(context)
        {
            sending = Some(outcome);
        }
        back.as_mut().poll(context)
    });
    let got = got.await;
    checks.that("4 MiB there and back", got == content);
    let sending = match sending {
        Some(sending) => sending,
        None => sent.await,
    };
    checks.eq("4 MiB: sent", sending, OK);
    checks.eq("4 MiB: the echo's receive", outcome.await, OK);
    checks.eq("4 MiB: the echo's send", echoed.await, OK);
    checks.eq("4 MiB: received", end.await, OK);
}

/// The other direction goes on.
async fn half_closed(checks: &mut Checks) {
    let (client, server) = pair().await;
    checks.eq("send: then its end", send(&client, b"ask".into()).await, OK);
    let (bytes, end) = server.receive();
    checks.eq("receive: up to the end", bytes.collect().await, b"ask");
    checks.eq("receive: the end of one direction", end.await, OK);
    checks.eq(
        "send: the other direction",
        send(&server, b"answer".into()).await,
        OK,
    );
    let (bytes, _) = client.receive();
    checks.eq(
        "receive: the other direction",
        bytes.collect().await,
        b"answer",
    );
}

async fn states(checks: &mut Checks) {
    use ErrorCode as E;
    let fresh = socket();
    checks.eq(
        "get-local-address: unbound",
        fresh.get_local_address().err(),
        Some(E::InvalidState),
    );
    checks.eq(
        "get-remote-address: unconnected",
        fresh.get_remote_address().err(),
        Some(E::InvalidState),
    );
    checks.eq(
        "bind: the other family",
        fresh.bind(v6(0)).err(),
        Some(E::InvalidArgument),
    );
    checks.eq(
        "bind: an address of nobody here",
        fresh.bind(v4([192, 0, 2, 1], 0)).err(),
        Some(E::AddressNotBindable),
    );
    checks.eq(
        "send: unconnected",
        send(&fresh, b"x".into()).await.err(),
        Some(E::InvalidState),
    );
    let (bytes, outcome) = fresh.receive();
    checks.eq("receive: unconnected: nothing", bytes.collect().await, b"");
    checks.eq(
        "receive: unconnected",
        outcome.await.err(),
        Some(E::InvalidState),
    );
    for (what, to) in [
        ("the other family", v6(80)),
        ("port 0", v4([127, 0, 0, 1], 0)),
        ("everywhere", v4([0; 4], 80)),
        ("all", v4([255; 4], 80)),
        ("a group", v4([224, 0, 0, 1], 80)),
    ] {
        let got = socket().connect(to).await;
        checks.eq(
            format!("connect: {what}"),
            got.err(),
            Some(E::InvalidArgument),
        );
    }

    let (listener, _accepted) = listener();
    let address = listener.get_local_address().expect("an address");
    checks.eq(
        "bind: bound",
        listener.bind(address).err(),
        Some(E::InvalidState),
    );
    checks.eq("listen: again", listener.listen().err().map(drop), Some(()));
    checks.eq(
        "connect: a listener",
        listener.connect(address).await.err(),
        Some(E::InvalidState),
    );
    checks.eq(
        "bind: a port in use",
        socket().bind(address).err(),
        Some(E::AddressInUse),
    );

    let (client, _server) = pair().await;
    checks.eq(
        "connect: again",
        client.connect(address).await.err(),
        Some(E::InvalidState),
    );
    checks.eq(
        "listen: connected",
        client.listen().err().map(drop),
        Some(()),
    );
    let (_bytes, _) = client.receive();
    let (bytes, outcome) = client.receive();
    checks.eq("receive: twice: nothing", bytes.collect().await, b"");
    checks.eq("receive: twice", outcome.await.err(), Some(E::InvalidState));
    checks.eq("send: once", send(&client, b"".into()).await, OK);
    checks.eq(
        "send: twice",
        send(&client, b"".into()).await.err(),
        Some(E::InvalidState),
    );
}

async fn refused(checks: &mut Checks) {
    let bound = socket();
    bound.bind(v4([127, 0, 0, 1], 0)).expect("to bind");
    let address = bound.get_local_address().expect("an address");
    // Bound, and not listening.
    let got = socket().connect(address).await;
    checks.eq(
        "connect: nobody listens",
        got.err(),
        Some(ErrorCode::ConnectionRefused),
    );
}

fn options(checks: &mut Checks) {
    let socket = socket();
    checks.eq(
        "set-keep-alive-enabled",
        socket.set_keep_alive_enabled(true),
        OK,
    );
    checks.eq(
        "get-keep-alive-enabled",
        socket.get_keep_alive_enabled(),
        Ok::<_, ()>(true),
    );
    checks.eq("set-keep-alive-count", socket.set_keep_alive_count(5), OK);
    checks.eq(
        "get-keep-alive-count",
        socket.get_keep_alive_count(),
        Ok::<_, ()>(5),
    );
    checks.eq("set-hop-limit", socket.set_hop_limit(42), OK);
    checks.eq("get-hop-limit", socket.get_hop_limit(), Ok::<_, ()>(42));
    let second = 1_000_000_000;
    checks.eq(
        "set-keep-alive-idle-time",
        socket.set_keep_alive_idle_time(20 * second),
        OK,
    );
    checks.eq(
        "get-keep-alive-idle-time",
        socket.get_keep_alive_idle_time(),
        Ok::<_, ()>(20 * second),
    );
    checks.eq(
        "set-keep-alive-interval",
        socket.set_keep_alive_interval(7 * second),
        OK,
    );
    checks.eq(
        "get-keep-alive-interval",
        socket.get_keep_alive_interval(),
        Ok::<_, ()>(7 * second),
    );
    checks.eq(
        "set-receive-buffer-size",
        socket.set_receive_buffer_size(64 << 10),
        OK,
    );
    checks.that(
        "get-receive-buffer-size",
        socket.get_receive_buffer_size().is_ok_and(|n| n > 0),
    );
    checks.eq(
        "set-send-buffer-size",
        socket.set_send_buffer_size(64 << 10),
        OK,
    );
    checks.that(
        "get-send-buffer-size",
        socket.get_send_buffer_size().is_ok_and(|n| n > 0),
    );
    checks.eq(
        "set-listen-backlog-size",
        socket.set_listen_backlog_size(16),
        OK,
    );
    for (what, refused) in [
        ("hop-limit", socket.set_hop_limit(0)),
        ("keep-alive-count", socket.set_keep_alive_count(0)),
        ("keep-alive-idle-time", socket.set_keep_alive_idle_time(0)),
        ("keep-alive-interval", socket.set_keep_alive_interval(0)),
        ("receive-buffer-size", socket.set_receive_buffer_size(0)),
        ("send-buffer-size", socket.set_send_buffer_size(0)),
        ("listen-backlog-size", socket.set_listen_backlog_size(0)),
    ] {
        checks.eq(
            format!("set-{what}: 0"),
            refused.err(),
            Some(ErrorCode::InvalidArgument),
        );
    }
}

/// Many connections at once, in tasks that all wait for each other.
async fn many(checks: &mut Checks) {
    const MANY: usize = 20;
    let (listener, mut accepted) = listener();
    let address = listener.get_local_address().expect("an address");
    for n in 0..MANY {
        spawn_local(async move {
            let client = socket();
            client.connect(address).await.expect("to connect");
            send(&client, vec![n as u8; 1000]).await.expect("to send");
            // Its answer comes when all have connected.
            let (bytes, _) = client.receive();
            assert_eq!(bytes.collect().await, vec![n as u8; 1000]);
        });
    }
    let mut servers = Vec::new();
    while servers.len() < MANY {
        servers.push(accepted.next().await.expect("a connection"));
    }
    let mut seen = Vec::new();
    for server in &servers {
        let (bytes, end) = server.receive();
        let bytes = bytes.collect().await;
        checks.eq("many: received", (bytes.len(), end.await), (1000, OK));
        seen.push(bytes[0]);
        checks.eq("many: answered", send(server, bytes).await, OK);
    }
    seen.sort();
    checks.that("many: each once", seen.iter().copied().eq(0..MANY as u8));
}

async fn given_up(checks: &mut Checks) {
    // An accept that is cancelled loses no connection.
    let (listener, mut accepted) = listener();
    let address = listener.get_local_address().expect("an address");
    let begun = {
        let mut next = pin!(accepted.next());
        poll_fn(|context| Poll::Ready(next.as_mut().poll(context).is_pending())).await
    };
    checks.that("accept: waits", begun);
    let client = socket();
    checks.eq(
        "connect: after a cancelled accept",
        client.connect(address).await,
        OK,
    );
    let server = accepted.next().await;
    checks.that("accept: after a cancelled one", server.is_some());
    // What was received is not lost by a read that is cancelled.
    let server = server.expect("a connection");
    let (mut reader, outcome) = server.receive();
    let waits = {
        let mut read = pin!(reader.read(Vec::with_capacity(10)));
        let waits = poll_fn(|context| Poll::Ready(read.as_mut().poll(context).is_pending())).await;
        let (_, bytes) = read.as_mut().cancel();
        waits && bytes.is_empty()
    };
    checks.that("receive: a cancelled read", waits);
    checks.eq("send: after it", send(&client, b"text".into()).await, OK);
    checks.eq("receive: after it", next(&mut reader, 10).await, b"text");
    drop(reader);
    checks.eq("receive: given up", outcome.await, OK);
    // Nobody accepts any longer.
    drop((accepted, listener));
    let late = socket().connect(address).await;
    checks.eq(
        "connect: nobody accepts any longer",
        late.err(),
        Some(ErrorCode::ConnectionRefused),
    );
}
