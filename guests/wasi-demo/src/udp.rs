//! `wasi:sockets/udp`: an echo of this program's own.

use crate::bindings::wasi::sockets::instance_network::instance_network;
use crate::bindings::wasi::sockets::network::{IpAddressFamily, IpSocketAddress};
use crate::bindings::wasi::sockets::udp::{
    IncomingDatagram, IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream, UdpSocket,
};
use crate::bindings::wasi::sockets::udp_create_socket::create_udp_socket;
use crate::outcome::{Not, Outcome, Tried, ensure};
use crate::tcp::{LOOPBACK, finished, port, same_address};
use crate::{streams, wait};

const LEN: usize = 1000;

pub fn echo() -> Outcome {
    let (client, client_address) = bound()?;
    let (server, server_address) = bound()?;
    let (answers, requests) = client.stream(None).granted("stream")?;
    let (received, _) = server.stream(None).granted("stream")?;
    let sent = streams::pattern(LEN);
    send(&requests, &sent, Some(server_address))?;
    let request = receive(&received)?;
    streams::same("what was received", &request.data, &sent)?;
    same_address("who sent it", request.remote_address, client_address)?;

    // The answer goes through streams that are connected.
    drop(received);
    let (_, replies) = server.stream(Some(client_address)).granted("stream")?;
    let remote = server.remote_address().or_failed("remote-address")?;
    same_address("the peer", remote, client_address)?;
    send(&replies, &request.data, None)?;
    let echo = receive(&answers)?;
    streams::same("the echo", &echo.data, &sent)?;
    same_address("who echoed", echo.remote_address, server_address)?;
    Ok(format!("{LEN} bytes there and back"))
}

fn bound() -> Result<(UdpSocket, IpSocketAddress), Not> {
    let socket = create_udp_socket(IpAddressFamily::Ipv4).granted("create-udp-socket")?;
    socket
        .start_bind(&instance_network(), LOOPBACK)
        .granted("start-bind")?;
    finished(
        "finish-bind",
        || socket.subscribe(),
        || socket.finish_bind(),
    )?;
    let address = socket.local_address().or_failed("local-address")?;
    ensure(port(&address) != 0, || "it is bound to port 0".into())?;
    Ok((socket, address))
}

fn send(
    stream: &OutgoingDatagramStream,
    data: &[u8],
    remote_address: Option<IpSocketAddress>,
) -> Result<(), Not> {
    while stream.check_send().or_failed("check-send")? == 0 {
        wait::one("check-send", stream.subscribe())?;
    }
    let datagram = OutgoingDatagram {
        data: data.into(),
        remote_address,
    };
    let count = stream.send(&[datagram]).granted("send")?;
    ensure(count == 1, || format!("send: {count} sent, not 1"))
}

fn receive(stream: &IncomingDatagramStream) -> Result<IncomingDatagram, Not> {
    loop {
        let mut datagrams = stream.receive(8).or_failed("receive")?;
        ensure(datagrams.len() <= 1, || {
            format!("{} datagrams, not 1", datagrams.len())
        })?;
        match datagrams.pop() {
            Some(datagram) => return Ok(datagram),
            None => wait::one("receive", stream.subscribe())?,
        }
    }
}
