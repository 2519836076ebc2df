use super::*;
use crate::{LoopbackNet, Network};
use alloc::vec::Vec;
use core::future::poll_fn;
use pollster::block_on;
use wasi_io::{InputStream, OutputStream, StreamError, WakerSet};

/// A network that keeps every bind, listen and connect waiting until it is told.
#[derive(Clone)]
struct Gated {
    net: LoopbackNet,
    gate: Arc<Gate>,
}

#[derive(Default)]
struct Gate {
    /// `None` while closed; then the answer to what passes.
    answer: wasi_io::sync::Mutex<Option<Result<(), ErrorCode>>>,
    opened: WakerSet,
}

impl Gated {
    fn new() -> Self {
        Self {
            net: LoopbackNet::new(),
            gate: Arc::default(),
        }
    }

    fn set(&self, answer: Option<Result<(), ErrorCode>>) {
        *self.gate.answer.lock() = answer;
        self.gate.opened.wake_all();
    }
}

impl Gate {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<(), ErrorCode>> {
        let answer = self.answer.lock();
        if answer.is_none() {
            self.opened.register(cx.waker());
        }
        match *answer {
            Some(answer) => Poll::Ready(answer),
            None => Poll::Pending,
        }
    }
}

impl Network for Gated {
    fn tcp_socket(&self, family: IpAddressFamily) -> Result<Box<dyn TcpSocket>, ErrorCode> {
        let (inner, gate) = (self.net.tcp_socket(family)?, self.gate.clone());
        Ok(Box::new(GatedSocket { inner, gate }))
    }
}

struct GatedSocket {
    inner: Box<dyn TcpSocket>,
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

impl TcpSocket for GatedSocket {
    fn poll_bind(
        &mut self,
        cx: &mut Context<'_>,
        local: SocketAddr,
    ) -> Poll<Result<(), ErrorCode>> {
        ready!(self.gate.poll(cx))?;
        self.inner.poll_bind(cx, local)
    }

    fn poll_listen(
        &mut self,
        cx: &mut Context<'_>,
        backlog: u32,
    ) -> Poll<Result<Arc<dyn TcpListener>, ErrorCode>> {
        ready!(self.gate.poll(cx))?;
        self.inner.poll_listen(cx, backlog)
    }

    fn poll_connect(
        &mut self,
        cx: &mut Context<'_>,
        remote: SocketAddr,
    ) -> Poll<Result<Arc<dyn TcpStream>, ErrorCode>> {
        ready!(self.gate.poll(cx))?;
        self.inner.poll_connect(cx, remote)
    }
}

/// A guest on a gated network, where something listens.
struct World {
    gated: Gated,
    ctx: WasiSocketsCtx,
    net: DynNetwork,
    remote: SocketAddr,
    _server: DynTcpSocket,
}

const ANY_PORT: SocketAddr =
    SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), 0);

impl World {
    fn new() -> Self {
        let gated = Gated::new();
        gated.set(Some(Ok(())));
        let ctx = WasiSocketsCtx::new().network(Arc::new(gated.clone()));
        let net = ctx.instance_network();
        let mut server = DynTcpSocket::new(&ctx, IpAddressFamily::Ipv4).unwrap();
        bind(&mut server, &net);
        server.start_listen().unwrap();
        server.finish_listen().unwrap();
        Self {
            gated,
            net,
            remote: server.local_address().unwrap(),
            _server: server,
            ctx,
        }
    }

    fn socket(&self) -> DynTcpSocket {
        DynTcpSocket::new(&self.ctx, IpAddressFamily::Ipv4).unwrap()
    }

    /// A socket in `state`; what is in progress stays so until the gate is opened.
    fn socket_in(&self, state: &str) -> DynTcpSocket {
        let mut socket = self.socket();
        self.gated.set(Some(Ok(())));
        if !["unbound", "binding", "connecting", "connected", "closed"].contains(&state) {
            bind(&mut socket, &self.net);
        }
        match state {
            "unbound" | "bound" => {}
            "binding" => {
                self.gated.set(None);
                socket.start_bind(&self.net, ANY_PORT).unwrap();
            }
            "listen-in-progress" => {
                self.gated.set(None);
                socket.start_listen().unwrap();
            }
            "listening" => {
                socket.start_listen().unwrap();
                socket.finish_listen().unwrap();
            }
            "connecting" => {
                bind(&mut socket, &self.net);
                self.gated.set(None);
                socket.start_connect(&self.net, self.remote).unwrap();
            }
            "connected" => {
                socket.start_connect(&self.net, self.remote).unwrap();
                socket.finish_connect().unwrap();
            }
            "closed" => {
                self.gated.set(Some(Err(ErrorCode::Timeout)));
                socket.start_connect(&self.net, self.remote).unwrap();
                assert_eq!(socket.finish_connect().err(), Some(ErrorCode::Timeout));
                self.gated.set(Some(Ok(())));
            }
            state => panic!("{state}"),
        }
        socket
    }
}

fn bind(socket: &mut DynTcpSocket, net: &DynNetwork) {
    socket.start_bind(net, ANY_PORT).unwrap();
    socket.finish_bind().unwrap();
}

fn is_ready(socket: &mut DynTcpSocket) -> bool {
    socket
        .poll_ready(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

const STATES: [&str; 8] = [
    "unbound",
    "binding",
    "bound",
    "listen-in-progress",
    "listening",
    "connecting",
    "connected",
    "closed",
];

type Call = fn(&World, &mut DynTcpSocket) -> Result<(), ErrorCode>;
/// A method, and its answer in each of the states.
type Row = (&'static str, Call, [Result<(), ErrorCode>; 8]);

#[test]
fn every_method_answers_in_every_state_as_the_wit_says() {
    let ok = Ok(());
    let inv = Err(ErrorCode::InvalidState);
    let nip = Err(ErrorCode::NotInProgress);
    let wb = Err(ErrorCode::WouldBlock);
    let cc = Err(ErrorCode::ConcurrencyConflict);
    let table: [Row; 14] = [
        (
            "start-bind",
            |w, s| s.start_bind(&w.net, ANY_PORT),
            [ok, cc, inv, cc, inv, cc, inv, inv],
        ),
        (
            "finish-bind",
            |_, s| s.finish_bind(),
            [nip, wb, nip, nip, nip, nip, nip, nip],
        ),
        (
            "start-connect",
            |w, s| s.start_connect(&w.net, w.remote),
            [ok, cc, ok, cc, inv, cc, inv, inv],
        ),
        (
            "finish-connect",
            |_, s| s.finish_connect().map(drop),
            [nip, nip, nip, nip, nip, wb, nip, nip],
        ),
        (
            "start-listen",
            |_, s| s.start_listen(),
            [inv, cc, ok, cc, inv, cc, inv, inv],
        ),
        (
            "finish-listen",
            |_, s| s.finish_listen(),
            [nip, nip, nip, wb, nip, nip, nip, nip],
        ),
        (
            "accept",
            |_, s| s.accept().map(drop),
            [inv, inv, inv, inv, wb, inv, inv, inv],
        ),
        (
            "local-address",
            |_, s| s.local_address().map(drop),
            [inv, inv, ok, ok, ok, ok, ok, inv],
        ),
        (
            "remote-address",
            |_, s| s.remote_address().map(drop),
            [inv, inv, inv, inv, inv, inv, ok, inv],
        ),
        (
            "set-listen-backlog-size",
            |_, s| s.set_listen_backlog_size(7),
            [ok, ok, ok, ok, ok, inv, inv, inv],
        ),
        (
            "hop-limit",
            |_, s| s.option(SocketOption::HopLimit).map(drop),
            [ok, ok, ok, ok, ok, ok, ok, inv],
        ),
        (
            "set-hop-limit",
            |_, s| s.set_option(SocketOption::HopLimit, 9),
            [ok, ok, ok, ok, ok, ok, ok, inv],
        ),
        (
            "shutdown",
            |_, s| s.shutdown(Shutdown::Both),
            [inv, inv, inv, inv, inv, inv, ok, inv],
        ),
        // Whether its pollable is ready.
        (
            "subscribe",
            |_, s| {
                if is_ready(s) {
                    Ok(())
                } else {
                    Err(ErrorCode::WouldBlock)
                }
            },
            [ok, wb, ok, wb, wb, wb, ok, ok],
        ),
    ];
    let world = World::new();
    for (name, call, expected) in table {
        for (state, expected) in STATES.into_iter().zip(expected) {
            let mut socket = world.socket_in(state);
            assert_eq!(call(&world, &mut socket), expected, "{name} in {state}");
            assert_eq!(
                socket.is_listening(),
                state == "listening",
                "{name} in {state}"
            );
            assert_eq!(socket.address_family(), IpAddressFamily::Ipv4);
        }
    }
}

#[test]
fn a_pollable_wakes_when_what_is_in_progress_ends() {
    let world = World::new();
    for state in ["binding", "listen-in-progress", "connecting"] {
        let mut socket = world.socket_in(state);
        assert!(!is_ready(&mut socket), "{state}");
        let gated = world.gated.clone();
        // The gate opens after the first poll: without a wake there is no second one.
        let mut opened = false;
        block_on(poll_fn(|cx| {
            let poll = socket.poll_ready(cx);
            if !core::mem::replace(&mut opened, true) {
                assert!(poll.is_pending(), "{state}");
                gated.set(Some(Ok(())));
            }
            poll
        }));
        let ended = match state {
            "binding" => socket.finish_bind(),
            "listen-in-progress" => socket.finish_listen(),
            _ => socket.finish_connect().map(drop),
        };
        assert_eq!(ended, Ok(()), "{state}");
    }
}

#[test]
fn a_failed_operation_leaves_the_state_that_the_wit_says() {
    let world = World::new();
    let fail = Some(Err(ErrorCode::AddressInUse));

    let mut socket = world.socket();
    world.gated.set(fail);
    socket.start_bind(&world.net, ANY_PORT).unwrap();
    assert_eq!(socket.finish_bind(), Err(ErrorCode::AddressInUse));
    assert_eq!(socket.finish_bind(), Err(ErrorCode::NotInProgress));
    world.gated.set(Some(Ok(())));
    bind(&mut socket, &world.net);

    world.gated.set(fail);
    socket.start_listen().unwrap();
    assert_eq!(socket.finish_listen(), Err(ErrorCode::AddressInUse));
    assert_eq!(
        socket.local_address(),
        Err(ErrorCode::InvalidState),
        "closed"
    );

    // An argument that is refused closes a socket that could have connected ...
    world.gated.set(Some(Ok(())));
    for state in ["unbound", "bound"] {
        let mut socket = world.socket_in(state);
        let refused = socket.start_connect(&world.net, ANY_PORT);
        assert_eq!(refused, Err(ErrorCode::InvalidArgument), "{state}");
        let closed = socket.start_connect(&world.net, world.remote);
        assert_eq!(closed, Err(ErrorCode::InvalidState), "{state}");
    }
    // ... and nothing else.
    let mut socket = world.socket_in("listening");
    assert!(socket.start_connect(&world.net, ANY_PORT).is_err());
    assert!(socket.is_listening());
    let mut socket = world.socket();
    let broadcast = "255.255.255.255:0".parse().unwrap();
    assert_eq!(
        socket.start_bind(&world.net, broadcast),
        Err(ErrorCode::InvalidArgument)
    );
    bind(&mut socket, &world.net);
}

#[test]
fn options_are_checked_clamped_and_read_back() {
    let world = World::new();
    let mut socket = world.socket();
    for (option, set, expected) in [
        (SocketOption::KeepAliveEnabled, 0, Ok(0)),
        (SocketOption::KeepAliveEnabled, 1, Ok(1)),
        (
            SocketOption::KeepAliveIdleTime,
            0,
            Err(ErrorCode::InvalidArgument),
        ),
        (
            SocketOption::KeepAliveIdleTime,
            42_000_000_000,
            Ok(42_000_000_000),
        ),
        (
            SocketOption::KeepAliveInterval,
            0,
            Err(ErrorCode::InvalidArgument),
        ),
        (SocketOption::KeepAliveInterval, u64::MAX, Ok(u64::MAX)),
        (
            SocketOption::KeepAliveCount,
            0,
            Err(ErrorCode::InvalidArgument),
        ),
        (SocketOption::KeepAliveCount, u64::MAX, Ok(u32::MAX.into())),
        (SocketOption::HopLimit, 0, Err(ErrorCode::InvalidArgument)),
        (SocketOption::HopLimit, 1, Ok(1)),
        (SocketOption::HopLimit, 256, Ok(255)),
        (
            SocketOption::ReceiveBufferSize,
            0,
            Err(ErrorCode::InvalidArgument),
        ),
        (SocketOption::ReceiveBufferSize, 65536, Ok(65536)),
        (
            SocketOption::SendBufferSize,
            0,
            Err(ErrorCode::InvalidArgument),
        ),
        (SocketOption::SendBufferSize, 1, Ok(1)),
    ] {
        let got = socket
            .set_option(option, set)
            .and_then(|()| socket.option(option));
        assert_eq!(got, expected, "{option:?} = {set}");
    }
    for (backlog, expected) in [
        (0, Err(ErrorCode::InvalidArgument)),
        (1, Ok(())),
        (u64::MAX, Ok(())),
    ] {
        assert_eq!(
            socket.set_listen_backlog_size(backlog),
            expected,
            "{backlog}"
        );
    }
}

#[test]
fn another_network_takes_over_an_unbound_socket_only() {
    let (world, other) = (World::new(), World::new());
    let mut socket = world.socket();
    socket.set_option(SocketOption::HopLimit, 17).unwrap();
    socket.start_connect(&other.net, other.remote).unwrap();
    socket.finish_connect().unwrap();
    assert_eq!(socket.option(SocketOption::HopLimit), Ok(17));

    let mut socket = world.socket_in("bound");
    let refused = socket.start_connect(&other.net, other.remote);
    assert_eq!(refused, Err(ErrorCode::InvalidArgument));
}

#[test]
fn sockets_are_limited_and_come_back_when_all_of_a_connection_is_dropped() {
    let net = Arc::new(LoopbackNet::new());
    let ctx = WasiSocketsCtx::new().network(net).max_sockets(3);
    let handle = ctx.instance_network();
    let socket = || DynTcpSocket::new(&ctx, IpAddressFamily::Ipv4);
    let mut server = socket().unwrap();
    bind(&mut server, &handle);
    server.start_listen().unwrap();
    server.finish_listen().unwrap();
    let mut client = socket().unwrap();
    client
        .start_connect(&handle, server.local_address().unwrap())
        .unwrap();
    let (input, output) = client.finish_connect().unwrap();
    let third = socket().unwrap();
    assert_eq!(socket().err(), Some(ErrorCode::NewSocketLimit));
    assert_eq!(server.accept().err(), Some(ErrorCode::NewSocketLimit));
    assert!(is_ready(&mut server), "the connection waits");
    drop(third);
    let accepted = server.accept().unwrap();
    assert_eq!(server.accept().err(), Some(ErrorCode::WouldBlock));

    drop(client);
    drop(input);
    assert_eq!(socket().err(), Some(ErrorCode::NewSocketLimit));
    drop(output);
    let again = socket().unwrap();
    assert_eq!(socket().err(), Some(ErrorCode::NewSocketLimit));
    drop((again, accepted));
    let _both = (socket().unwrap(), socket().unwrap());
}

#[test]
fn without_a_grant_access_is_denied() {
    let ctx = WasiSocketsCtx::new();
    for family in [IpAddressFamily::Ipv4, IpAddressFamily::Ipv6] {
        let denied = DynTcpSocket::new(&ctx, family).err();
        assert_eq!(denied, Some(ErrorCode::AccessDenied));
    }
}

#[test]
fn a_full_backlog_keeps_the_next_connect_waiting() {
    let net = Arc::new(LoopbackNet::new());
    let ctx = WasiSocketsCtx::new().network(net);
    let handle = ctx.instance_network();
    let socket = || DynTcpSocket::new(&ctx, IpAddressFamily::Ipv4).unwrap();
    let mut server = socket();
    bind(&mut server, &handle);
    server.set_listen_backlog_size(1).unwrap();
    server.start_listen().unwrap();
    server.finish_listen().unwrap();
    let remote = server.local_address().unwrap();
    let mut clients: Vec<_> = (0..3).map(|_| socket()).collect();
    for client in &mut clients {
        client.start_connect(&handle, remote).unwrap();
    }
    clients[0].finish_connect().unwrap();
    for client in &mut clients[1..] {
        assert_eq!(client.finish_connect().err(), Some(ErrorCode::WouldBlock));
    }
    server.accept().unwrap();
    clients[1].finish_connect().unwrap();
    assert_eq!(
        clients[2].finish_connect().err(),
        Some(ErrorCode::WouldBlock)
    );
    drop(server);
    block_on(poll_fn(|cx| clients[2].poll_ready(cx)));
    let refused = clients[2].finish_connect().err();
    assert_eq!(refused, Some(ErrorCode::ConnectionRefused));
}

#[test]
fn a_direction_that_is_shut_is_closed_for_its_stream() {
    let world = World::new();
    let mut cx = Context::from_waker(Waker::noop());
    for (how, reads, writes) in [
        (Shutdown::Receive, false, true),
        (Shutdown::Send, true, false),
        (Shutdown::Both, false, false),
    ] {
        let mut client = world.socket();
        client.start_connect(&world.net, world.remote).unwrap();
        let (mut input, mut output) = client.finish_connect().unwrap();
        for _ in 0..2 {
            assert_eq!(client.shutdown(how), Ok(()), "{how:?}");
        }
        let read = input.poll_read_bytes(&mut cx, 1);
        let closed = matches!(read, Poll::Ready(Err(StreamError::Closed)));
        assert_eq!(closed, !reads, "input after {how:?}");
        let closed = matches!(output.check_write(), Err(StreamError::Closed));
        assert_eq!(closed, !writes, "output after {how:?}");
    }
}
