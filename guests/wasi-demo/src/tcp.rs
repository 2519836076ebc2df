//! `wasi:sockets/tcp`: an echo of this program's own.

use crate::bindings::wasi::io::poll::Pollable;
use crate::bindings::wasi::io::streams::{InputStream, OutputStream};
use crate::bindings::wasi::sockets::instance_network::instance_network;
use crate::bindings::wasi::sockets::network::{
    ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress,
};
use crate::bindings::wasi::sockets::tcp::{ShutdownType, TcpSocket};
use crate::bindings::wasi::sockets::tcp_create_socket::create_tcp_socket;
use crate::outcome::{Not, Outcome, Tried, ensure, failed};
use crate::{streams, told, wait};

/// One end of a connection. The streams are dropped before the socket.
pub struct End {
    pub input: InputStream,
    pub output: OutputStream,
    pub socket: TcpSocket,
}

/// 127.0.0.1 at any port that is free.
pub const LOOPBACK: IpSocketAddress = IpSocketAddress::Ipv4(Ipv4SocketAddress {
    port: 0,
    address: (127, 0, 0, 1),
});

pub fn port(address: &IpSocketAddress) -> u16 {
    match address {
        IpSocketAddress::Ipv4(address) => address.port,
        IpSocketAddress::Ipv6(address) => address.port,
    }
}

/// Fails unless both are the same.
pub fn same_address(
    what: &str,
    got: IpSocketAddress,
    expected: IpSocketAddress,
) -> Result<(), Not> {
    let (got, expected) = (format!("{got:?}"), format!("{expected:?}"));
    ensure(got == expected, || {
        format!("{what} is {got}, not {expected}")
    })
}

/// Calls `finish` until it has an answer.
pub fn finished<T>(
    call: &str,
    subscribe: impl Fn() -> Pollable,
    finish: impl Fn() -> Result<T, ErrorCode>,
) -> Result<T, Not> {
    loop {
        match finish() {
            Err(ErrorCode::WouldBlock) => wait::one(call, subscribe())?,
            result => return result.granted(call),
        }
    }
}

/// A socket that listens on a port of its own.
pub fn listener() -> Result<(TcpSocket, IpSocketAddress), Not> {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4).granted("create-tcp-socket")?;
    socket
        .start_bind(&instance_network(), LOOPBACK)
        .granted("start-bind")?;
    finished(
        "finish-bind",
        || socket.subscribe(),
        || socket.finish_bind(),
    )?;
    socket.start_listen().granted("start-listen")?;
    finished(
        "finish-listen",
        || socket.subscribe(),
        || socket.finish_listen(),
    )?;
    ensure(socket.is_listening(), || "it does not listen".into())?;
    let address = socket.local_address().or_failed("local-address")?;
    ensure(port(&address) != 0, || "it listens at port 0".into())?;
    Ok((socket, address))
}

/// A socket for a server of this program's own, whom other rows ask, and its host and port.
pub fn server() -> Result<(TcpSocket, String), Not> {
    const NEEDS: [&str; 5] = [
        "wasi:io/streams",
        "wasi:sockets/network",
        "wasi:sockets/instance-network",
        "wasi:sockets/tcp",
        "wasi:sockets/tcp-create-socket",
    ];
    if let Some(name) = NEEDS.into_iter().find(|name| !told::has(name)) {
        return Err(Not::Absent(format!(
            "nobody to ask, as the host has no {name}"
        )));
    }
    let (listener, address) = listener()?;
    Ok((listener, format!("127.0.0.1:{}", port(&address))))
}

pub fn connect(address: IpSocketAddress) -> Result<End, Not> {
    let socket = create_tcp_socket(IpAddressFamily::Ipv4).granted("create-tcp-socket")?;
    socket
        .start_connect(&instance_network(), address)
        .granted("start-connect")?;
    let finish = || socket.finish_connect();
    let (input, output) = finished("finish-connect", || socket.subscribe(), finish)?;
    Ok(End {
        input,
        output,
        socket,
    })
}

pub fn accept(listener: &TcpSocket) -> Result<End, Not> {
    let accept = || listener.accept();
    let (socket, input, output) = finished("accept", || listener.subscribe(), accept)?;
    Ok(End {
        input,
        output,
        socket,
    })
}

pub fn echo() -> Outcome {
    let (listener, address) = listener()?;
    let client = connect(address)?;
    let server = accept(&listener)?;
    let remote = |end: &End| end.socket.remote_address().or_failed("remote-address");
    let local = |end: &End| end.socket.local_address().or_failed("local-address");
    same_address("who was connected to", remote(&client)?, address)?;
    same_address("who was accepted", remote(&server)?, local(&client)?)?;

    // More than many have room for on its way: each end waits for the other.
    let sent = streams::pattern(256 << 10);
    let echoed = exchange(&client, &server, &sent)?;
    streams::same("the echo", &echoed, &sent)?;
    Ok(format!("{} KiB there and back", sent.len() >> 10))
}

/// Sends `bytes` from `client`, which gives them back to itself by `server`.
fn exchange(client: &End, server: &End, bytes: &[u8]) -> Result<Vec<u8>, Not> {
    const PART: usize = 16 << 10;
    let (mut requests, mut replies) = (Sending::new(client), Sending::new(server));
    let mut to_send = bytes;
    let (mut held, mut serving) = (Vec::new(), true);
    let mut came = Vec::new();
    loop {
        let mut moved = requests.step(&mut to_send, true)?;
        if serving && held.is_empty() {
            match streams::read("serve", &server.input, PART)? {
                Some(part) => held = part,
                None => serving = false,
            }
        }
        let mut rest = &held[..];
        moved |= replies.step(&mut rest, !serving)?;
        held = rest.to_vec();
        match streams::read("receive", &client.input, PART)? {
            None if serving => return failed("the echo ended early"),
            None => return Ok(came),
            Some(part) => {
                moved |= !part.is_empty();
                came.extend(part);
            }
        }
        ensure(came.len() <= bytes.len(), || {
            "the echo is longer than what was sent".into()
        })?;
        if !moved {
            let mut waits = vec![client.input.subscribe()];
            waits.extend(requests.waits());
            match serving && held.is_empty() {
                true => waits.push(server.input.subscribe()),
                false => waits.extend(replies.waits()),
            }
            wait::any("echo", &waits.iter().collect::<Vec<_>>())?;
        }
    }
}

/// What one end sends. Nothing here waits: the other end is in the same hands.
struct Sending<'a> {
    end: &'a End,
    state: State,
}

#[derive(PartialEq)]
enum State {
    Writing,
    Flushing,
    Ended,
}

impl<'a> Sending<'a> {
    fn new(end: &'a End) -> Self {
        let state = State::Writing;
        Self { end, state }
    }

    /// Writes what there is room for of `bytes`, and takes that off; ends when they are out and
    /// were the `last`. Whether anything went on.
    fn step(&mut self, bytes: &mut &[u8], last: bool) -> Result<bool, Not> {
        let End { output, socket, .. } = self.end;
        match self.state {
            State::Writing if bytes.is_empty() && last => {
                output.flush().or_failed("flush")?;
                self.state = State::Flushing;
            }
            State::Writing => {
                let before = bytes.len();
                streams::write("send", output, bytes)?;
                return Ok(bytes.len() < before);
            }
            State::Flushing if output.check_write().or_failed("flush")? > 0 => {
                socket.shutdown(ShutdownType::Send).or_failed("shutdown")?;
                self.state = State::Ended;
            }
            State::Flushing | State::Ended => return Ok(false),
        }
        Ok(true)
    }

    /// What it waits for.
    fn waits(&self) -> Option<Pollable> {
        (self.state != State::Ended).then(|| self.end.output.subscribe())
    }
}
