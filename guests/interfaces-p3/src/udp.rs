//! `wasi:sockets`: UDP.

use crate::bindings::wasi::clocks::monotonic_clock::wait_for;
use crate::bindings::wasi::sockets::types::{
    ErrorCode, IpAddressFamily, IpSocketAddress, UdpSocket,
};
use crate::checks::Checks;
use crate::filesystem::OK;
use crate::tcp::{port, v4, v6};
use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

fn socket() -> UdpSocket {
    UdpSocket::create(IpAddressFamily::Ipv4).expect("a socket")
}

fn bound() -> (UdpSocket, IpSocketAddress) {
    let socket = socket();
    socket.bind(v4([127, 0, 0, 1], 0)).expect("to bind");
    let address = socket.get_local_address().expect("an address");
    (socket, address)
}

pub async fn run(checks: &mut Checks) {
    datagrams(checks).await;
    connected(checks).await;
    states(checks).await;
    given_up(checks).await;
    options(checks);
}

async fn datagrams(checks: &mut Checks) {
    let ((one, from), (two, to)) = (bound(), bound());
    checks.that("get-local-address: a port was chosen", port(&to) != 0);
    for data in [&b"datagram"[..], b"", &[7; 1400]] {
        checks.eq("send", one.send(data.into(), Some(to)).await, OK);
        checks.eq("receive", two.receive().await, Ok::<_, ()>((data, from)));
    }
    // One that waits gets what is sent later.
    let mut receive = pin!(two.receive());
    let waits = poll_fn(|context| Poll::Ready(receive.as_mut().poll(context).is_pending())).await;
    checks.that("receive: waits", waits);
    checks.eq(
        "send: to one that waits",
        one.send(b"late".into(), Some(to)).await,
        OK,
    );
    checks.eq(
        "receive: what it waited for",
        receive.await,
        Ok::<_, ()>((b"late", from)),
    );
    let unbound = socket();
    checks.eq(
        "send: unbound",
        unbound.send(b"x".into(), Some(to)).await,
        OK,
    );
    checks.that(
        "send: binds",
        unbound.get_local_address().is_ok_and(|it| port(&it) != 0),
    );
}

async fn connected(checks: &mut Checks) {
    let ((one, from), (two, to), (stranger, _)) = (bound(), bound(), bound());
    checks.eq("connect", one.connect(to), OK);
    checks.eq(
        "get-remote-address",
        one.get_remote_address(),
        Ok::<_, ()>(to),
    );
    checks.eq("send: connected", one.send(b"a".into(), None).await, OK);
    checks.eq(
        "receive: from the connected",
        two.receive().await,
        Ok::<_, ()>((b"a", from)),
    );
    checks.eq(
        "send: to the peer by name",
        one.send(b"b".into(), Some(to)).await,
        OK,
    );
    checks.eq(
        "receive: that",
        two.receive().await,
        Ok::<_, ()>((b"b", from)),
    );
    // A stranger is not heard.
    checks.eq(
        "send: a stranger",
        stranger.send(b"c".into(), Some(from)).await,
        OK,
    );
    checks.eq(
        "send: the peer",
        two.send(b"d".into(), Some(from)).await,
        OK,
    );
    checks.eq(
        "receive: only the peer",
        one.receive().await,
        Ok::<_, ()>((b"d", to)),
    );
    checks.eq("disconnect", one.disconnect(), OK);
    checks.eq(
        "get-remote-address: disconnected",
        one.get_remote_address().err(),
        Some(ErrorCode::InvalidState),
    );
    checks.eq(
        "disconnect: again",
        one.disconnect().err(),
        Some(ErrorCode::InvalidState),
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
        "get-address-family",
        fresh.get_address_family(),
        IpAddressFamily::Ipv4,
    );
    checks.eq(
        "receive: unbound",
        fresh.receive().await.err(),
        Some(E::InvalidState),
    );
    checks.eq(
        "send: to nobody",
        fresh.send(b"x".into(), None).await.err(),
        Some(E::InvalidArgument),
    );
    checks.eq(
        "bind: the other family",
        fresh.bind(v6(0)).err(),
        Some(E::InvalidArgument),
    );
    let (bound, address) = bound();
    checks.eq(
        "bind: bound",
        bound.bind(address).err(),
        Some(E::InvalidState),
    );
    checks.eq(
        "bind: a port in use",
        socket().bind(address).err(),
        Some(E::AddressInUse),
    );
    for (what, to) in [
        ("the other family", v6(80)),
        ("port 0", v4([127, 0, 0, 1], 0)),
        ("everywhere", v4([0; 4], 80)),
    ] {
        let got = bound.send(b"x".into(), Some(to)).await;
        // The text has one code for all, and the official suite another for the port.
        let expected = match what {
            "port 0" => E::AddressNotBindable,
            _ => E::InvalidArgument,
        };
        checks.eq(format!("send: {what}"), got.err(), Some(expected));
        checks.eq(
            format!("connect: {what}"),
            bound.connect(to).err(),
            Some(E::InvalidArgument),
        );
    }
    let large = bound.send(vec![0; 70_000], Some(address)).await;
    checks.eq("send: too large", large.err(), Some(E::DatagramTooLarge));
}

/// A receive that is cancelled loses nothing.
async fn given_up(checks: &mut Checks) {
    let ((one, from), (two, to)) = (bound(), bound());
    let waits = {
        let mut receive = pin!(two.receive());
        poll_fn(|context| Poll::Ready(receive.as_mut().poll(context).is_pending())).await
    };
    checks.that("receive: given up", waits);
    wait_for(1_000_000).await;
    checks.eq(
        "send: after it",
        one.send(b"kept".into(), Some(to)).await,
        OK,
    );
    checks.eq(
        "receive: after it",
        two.receive().await,
        Ok::<_, ()>((b"kept", from)),
    );
}

fn options(checks: &mut Checks) {
    let socket = socket();
    checks.eq(
        "set-unicast-hop-limit",
        socket.set_unicast_hop_limit(42),
        OK,
    );
    checks.eq(
        "get-unicast-hop-limit",
        socket.get_unicast_hop_limit(),
        Ok::<_, ()>(42),
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
    for (what, refused) in [
        ("unicast-hop-limit", socket.set_unicast_hop_limit(0)),
        ("receive-buffer-size", socket.set_receive_buffer_size(0)),
        ("send-buffer-size", socket.set_send_buffer_size(0)),
    ] {
        checks.eq(
            format!("set-{what}: 0"),
            refused.err(),
            Some(ErrorCode::InvalidArgument),
        );
    }
}
