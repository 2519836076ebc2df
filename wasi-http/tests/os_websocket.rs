//! WebSockets over loopback: our server against peers that write frames by hand, and our
//! client against our server and against servers that answer by hand.
#![cfg(feature = "tungstenite")]

mod os_support;

use bytes::Bytes;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::future::{Future, poll_fn};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use wasi_http::os::websocket::{Server, is_upgrade};
use wasi_http::os::{HyperBody, OsClient};
use wasi_http::websocket::*;
use wasi_http::{Fields, Scheme};
use wasi_io::Pollable;
use wasi_io::os::Runtime;
use wasi_sockets::NetworkPolicy;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// No test waits longer for a thing that must come.
const PATIENCE: Duration = Duration::from_secs(20);

fn limits() -> Limits {
    Limits {
        message: 1000,
        queue: 4096,
        ping_interval: 0,
        ..Limits::default()
    }
}

/// A server whose requests go to a function.
struct Service {
    address: SocketAddr,
    server: Server,
    ctx: WasiWebSocketCtx,
}

impl Service {
    /// Answers requests as `handle` does.
    async fn new(
        limits: Limits,
        handle: impl Fn(UpgradeRequest, WasiWebSocketCtx) -> Task + Send + Sync + 'static,
    ) -> Self {
        Self::over(None, limits, handle).await
    }

    async fn over(
        tls: Option<TlsAcceptor>,
        limits: Limits,
        handle: impl Fn(UpgradeRequest, WasiWebSocketCtx) -> Task + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = Server::new();
        let ctx = WasiWebSocketCtx::new().limits(limits);
        let handle = Arc::new(handle);
        let (served, context) = (server.clone(), ctx.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (server, handle, ctx) = (served.clone(), handle.clone(), context.clone());
                let service = service_fn(move |request| {
                    let (server, handle, ctx) = (server.clone(), handle.clone(), ctx.clone());
                    async move {
                        assert!(is_upgrade(&request));
                        let (request, answer) = match server.upgrade(request, Scheme::Http) {
                            Ok(asked) => asked,
                            Err(response) => return Ok(*response),
                        };
                        tokio::spawn(handle(request, ctx));
                        let given: Option<hyper::Response<HyperBody>> = answer.await;
                        given.ok_or("no answer")
                    }
                });
                match tls.clone() {
                    None => drop(tokio::spawn(serve(stream, service))),
                    Some(tls) => drop(tokio::spawn(async move {
                        if let Ok(stream) = tls.accept(stream).await {
                            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
                            serve(stream, service).await;
                        }
                    })),
                }
            }
        });
        Self {
            address,
            server,
            ctx,
        }
    }

    /// Accepts all, and does `talk` with each connection.
    async fn talking<F>(
        limits: Limits,
        talk: impl Fn(Connection) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::new(limits, move |request, ctx| {
            let connection = request.accept(&ctx, None, Fields::new());
            let talk = talk.clone();
            Box::pin(async move { talk(connection.unwrap()).await })
        })
        .await
    }

    /// Receives until the end, and tells that.
    async fn receiving(limits: Limits) -> (Self, mpsc::UnboundedReceiver<ErrorCode>) {
        let (tell, told) = mpsc::unbounded_channel();
        let service = Self::talking(limits, move |mut connection| {
            let tell = tell.clone();
            async move {
                loop {
                    if let Err(end) = receive(&mut connection).await {
                        return tell.send(end).unwrap();
                    }
                }
            }
        });
        (service.await, told)
    }

    async fn echo(limits: Limits) -> Self {
        Self::talking(limits, |mut connection| async move {
            while let Ok(message) = receive(&mut connection).await {
                if send(&mut connection, message).await.is_err() {
                    return;
                }
            }
        })
        .await
    }
}

async fn serve<S>(io: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, service: S)
where
    S: hyper::service::HttpService<hyper::body::Incoming, ResBody = HyperBody>,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let connection = http1::Builder::new().serve_connection(TokioIo::new(io), service);
    // The client may be gone before the end.
    let _ = connection.with_upgrades().await;
}

async fn receive(connection: &mut Connection) -> Result<Message, ErrorCode> {
    poll_fn(|cx| connection.poll_receive(cx)).await
}

async fn send(connection: &mut Connection, message: Message) -> Result<(), ErrorCode> {
    let mut message = Some(message);
    poll_fn(|cx| connection.poll_send(cx, &mut message)).await
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it did not come")
}

/// A peer that writes its frames by hand.
struct Raw(TcpStream);

const HANDSHAKE: &str = "GET /x HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

impl Raw {
    fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// After the handshake.
    fn open(address: SocketAddr) -> Self {
        let mut raw = Self::new(address);
        raw.write(HANDSHAKE.as_bytes());
        let head = raw.head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        // The example of RFC 6455, section 1.3.
        assert!(
            head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            "{head}"
        );
        raw
    }

    fn write(&mut self, bytes: &[u8]) {
        // Who was told of an error early may have closed.
        let _ = self.0.write_all(bytes);
    }

    fn head(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.0.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        String::from_utf8(head).unwrap()
    }

    /// The next frame's first byte and its content, which is not masked.
    fn frame(&mut self) -> (u8, Vec<u8>) {
        let mut start = [0; 2];
        self.0.read_exact(&mut start).unwrap();
        let len = match start[1] {
            126 => {
                let mut len = [0; 2];
                self.0.read_exact(&mut len).unwrap();
                u16::from_be_bytes(len).into()
            }
            127 => {
                let mut len = [0; 8];
                self.0.read_exact(&mut len).unwrap();
                u64::from_be_bytes(len) as usize
            }
            len => usize::from(len),
        };
        let mut content = vec![0; len];
        self.0.read_exact(&mut content).unwrap();
        (start[0], content)
    }

    /// The code of the close frame that comes next, and then the end.
    fn closed(&mut self) -> Option<u16> {
        let (first, content) = self.frame();
        assert_eq!(first, 0x88, "{content:x?}");
        self.0.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(self.0.read(&mut [0]).unwrap(), 0);
        (content.len() >= 2).then(|| u16::from_be_bytes([content[0], content[1]]))
    }
}

/// A frame with this first byte, as a client sends it.
fn masked(first: u8, content: &[u8]) -> Vec<u8> {
    let mut frame = header(first, content.len(), true);
    let mask = [1, 2, 3, 4];
    frame.extend(mask);
    let content = content.iter().zip(mask.iter().cycle());
    frame.extend(content.map(|(byte, mask)| byte ^ mask));
    frame
}

fn header(first: u8, len: usize, masked: bool) -> Vec<u8> {
    let mark = if masked { 0x80 } else { 0 };
    let mut frame = vec![first];
    match len {
        0..=125 => frame.push(mark | len as u8),
        126..=0xffff => {
            frame.push(mark | 126);
            frame.extend((len as u16).to_be_bytes());
        }
        _ => {
            frame.push(mark | 127);
            frame.extend((len as u64).to_be_bytes());
        }
    }
    frame
}

/// A frame as a server sends it.
fn unmasked(first: u8, content: &[u8]) -> Vec<u8> {
    let mut frame = header(first, content.len(), false);
    frame.extend(content);
    frame
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_hostile_frame_gets_its_close_code() {
    let (service, mut told) = Service::receiving(limits()).await;
    let close = |code: u16, reason: &[u8]| masked(0x88, &[&code.to_be_bytes(), reason].concat());
    let big = vec![0; 1001];
    let mut claims = header(0x82, 1 << 40, true);
    claims.extend([0; 4]);
    let mut negative = vec![0x82, 0xff];
    negative.extend([0xff; 8]);
    negative.extend([0; 4]);
    for (name, frames, code) in [
        ("an unmasked text", vec![unmasked(0x81, b"a")], 1002),
        ("an unmasked ping", vec![unmasked(0x89, b"")], 1002),
        ("reserved bit 1", vec![masked(0xc1, b"a")], 1002),
        ("reserved bit 2", vec![masked(0xa1, b"a")], 1002),
        ("reserved bit 3", vec![masked(0x91, b"a")], 1002),
        ("a reserved bit on a ping", vec![masked(0xc9, b"")], 1002),
        ("opcode 3", vec![masked(0x83, b"a")], 1002),
        ("opcode 7", vec![masked(0x87, b"a")], 1002),
        ("opcode 11", vec![masked(0x8b, b"")], 1002),
        ("opcode 15", vec![masked(0x8f, b"")], 1002),
        ("a long ping", vec![masked(0x89, &[0; 126])], 1002),
        ("a long pong", vec![masked(0x8a, &[0; 126])], 1002),
        ("a long close", vec![close(1000, &[b'r'; 124])], 1002),
        ("a fragmented ping", vec![masked(0x09, b"")], 1002),
        ("a fragmented close", vec![masked(0x08, b"")], 1002),
        ("a continuation of nothing", vec![masked(0x80, b"a")], 1002),
        (
            "a fragment that continues nothing",
            vec![masked(0x00, b"a")],
            1002,
        ),
        (
            "a continuation after the end",
            vec![masked(0x01, b"a"), masked(0x80, b"b"), masked(0x80, b"c")],
            1002,
        ),
        (
            "a message in a message",
            vec![masked(0x01, b"a"), masked(0x81, b"b")],
            1002,
        ),
        (
            "a binary in a text",
            vec![masked(0x01, b"a"), masked(0x02, b"b")],
            1002,
        ),
        (
            "a text that is not UTF-8",
            vec![masked(0x81, b"\xff")],
            1007,
        ),
        (
            "a text that ends in a character",
            vec![masked(0x81, b"a\xc3")],
            1007,
        ),
        ("a surrogate", vec![masked(0x81, b"\xed\xa0\x80")], 1007),
        (
            "an overlong character",
            vec![masked(0x81, b"\xc0\xaf")],
            1007,
        ),
        (
            "a character that is wrong over fragments",
            vec![masked(0x01, b"\xe2\x82"), masked(0x80, b"\x28")],
            1007,
        ),
        (
            "a text that ends in a character over fragments",
            vec![masked(0x01, b"a"), masked(0x80, b"\xe2\x82")],
            1007,
        ),
        ("a close of one byte", vec![masked(0x88, b"\x03")], 1002),
        (
            "a close reason that is not UTF-8",
            vec![close(1000, b"\xff")],
            1007,
        ),
        ("close code 0", vec![close(0, b"")], 1002),
        ("close code 999", vec![close(999, b"")], 1002),
        ("close code 1004", vec![close(1004, b"")], 1002),
        ("close code 1005", vec![close(1005, b"")], 1002),
        ("close code 1006", vec![close(1006, b"")], 1002),
        ("close code 1015", vec![close(1015, b"")], 1002),
        ("close code 1016", vec![close(1016, b"")], 1002),
        ("close code 2999", vec![close(2999, b"")], 1002),
        ("close code 5000", vec![close(5000, b"")], 1002),
        ("a message that is too big", vec![masked(0x82, &big)], 1009),
        (
            "fragments that are too big",
            vec![masked(0x02, &big[..600]), masked(0x80, &big[..600])],
            1009,
        ),
        ("a claim of a terabyte", vec![claims], 1009),
        ("a length with its first bit set", vec![negative], 1009),
    ] {
        let mut raw = Raw::open(service.address);
        raw.write(&frames.concat());
        assert_eq!(raw.closed(), Some(code), "{name}");
        let end = soon(told.recv()).await.unwrap();
        let expected = matches!(
            (&end, code),
            (ErrorCode::ProtocolError(Some(_)), 1002)
                | (ErrorCode::InvalidUtf8, 1007)
                | (ErrorCode::MessageTooBig(1000), 1009)
        );
        assert!(expected, "{name}: {end}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_a_peer_may_close_is_told() {
    let (service, mut told) = Service::receiving(limits()).await;
    for (code, reason) in [
        (None, ""),
        (Some(1000), ""),
        (Some(1001), "bye"),
        (Some(1002), "you broke it"),
        (Some(1013), ""),
        (Some(3000), "é"),
        (Some(4999), "r"),
    ] {
        let mut raw = Raw::open(service.address);
        let content = code.map_or_else(Vec::new, |code: u16| {
            [&code.to_be_bytes(), reason.as_bytes()].concat()
        });
        raw.write(&masked(0x88, &content));
        assert_eq!(raw.closed(), code);
        let reason = reason.to_string();
        let status = code.map(|code| CloseStatus { code, reason });
        let end = soon(told.recv()).await.unwrap();
        assert_eq!(end, ErrorCode::ClosedByPeer(status));
    }
    drop(Raw::open(service.address));
    assert_eq!(soon(told.recv()).await, Some(ErrorCode::ConnectionLost));
    // Within a frame.
    Raw::open(service.address).write(&masked(0x81, b"abc")[..5]);
    assert_eq!(soon(told.recv()).await, Some(ErrorCode::ConnectionLost));
    // All of it is gone then.
    soon(service.server.closed()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fragments_and_pings_between_them_make_a_message() {
    let service = Service::echo(limits()).await;
    let mut raw = Raw::open(service.address);
    raw.write(&masked(0x01, b"a\xc3"));
    raw.write(&masked(0x89, b"ping"));
    assert_eq!(raw.frame(), (0x8a, b"ping".to_vec()));
    raw.write(&masked(0x00, b"\xa9"));
    raw.write(&masked(0x8a, b"a pong that nobody asked for"));
    raw.write(&masked(0x80, b""));
    assert_eq!(raw.frame(), (0x81, "aé".into()));
    // Byte by byte.
    for byte in masked(0x82, &[7; 200]) {
        raw.write(&[byte]);
    }
    assert_eq!(raw.frame(), (0x82, vec![7; 200]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_handshake_is_refused() {
    let service = Service::echo(limits()).await;
    for (from, to, expected) in [
        ("Version: 13", "Version: 8", "HTTP/1.1 426 "),
        ("Sec-WebSocket-Version: 13\r\n", "", "HTTP/1.1 426 "),
        (
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
            "",
            "HTTP/1.1 400 ",
        ),
        ("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ=", "HTTP/1.1 400 "),
        ("Host: a.example\r\n", "", "HTTP/1.1 400 "),
    ] {
        let mut raw = Raw::new(service.address);
        raw.write(HANDSHAKE.replace(from, to).as_bytes());
        let head = raw.head();
        assert!(head.starts_with(expected), "{from}: {head}");
        let told = head.contains("sec-websocket-version: 13");
        assert_eq!(told, expected.contains("426"), "{head}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_guest_that_does_not_read_stops_its_peer() {
    let (go, mut gone) = mpsc::unbounded_channel::<()>();
    let (tell, mut told) = mpsc::unbounded_channel();
    let service = Service::talking(limits(), {
        let gone = Arc::new(tokio::sync::Mutex::new(Some(())));
        let (go, tell) = (go.clone(), tell.clone());
        move |mut connection| {
            let (go, tell, gone) = (go.clone(), tell.clone(), gone.clone());
            async move {
                let _ = gone.lock().await;
                go.send(()).unwrap();
                // Until the test says so, by closing the channel that it listens on.
                go.closed().await;
                let mut messages = 0;
                while receive(&mut connection).await.is_ok() {
                    messages += 1;
                }
                tell.send(messages).unwrap();
            }
        }
    })
    .await;
    let mut raw = Raw::open(service.address);
    soon(gone.recv()).await.unwrap();
    raw.0.set_nonblocking(true).unwrap();
    let frame = masked(0x82, &[0; 1000]);
    let mut written = 0;
    let mut last = Instant::now();
    // The system's buffers take some megabytes; then nothing goes any more.
    while last.elapsed() < Duration::from_millis(500) {
        match raw.0.write(&frame[written % frame.len()..]) {
            Ok(n) => {
                written += n;
                last = Instant::now();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(error) => panic!("{error}"),
        }
        assert!(written < 64 << 20, "nothing stops it");
    }
    raw.0.set_nonblocking(false).unwrap();
    drop(gone);
    let rest = frame.len() - written % frame.len();
    raw.write(&frame[frame.len() - rest..]);
    raw.write(&masked(0x88, b""));
    let expected = (written + rest) / frame.len();
    assert_eq!(soon(told.recv()).await, Some(expected));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_does_not_read_stops_the_guest() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let service = Service::talking(limits(), move |mut connection| {
        let tell = tell.clone();
        async move {
            let message = Message::Binary(Bytes::from_static(&[7; 1000]));
            let mut sent = 0;
            let mut writable = connection.writable();
            loop {
                match connection.send(message.clone()) {
                    Ok(()) => sent += 1,
                    Err(ErrorCode::WouldBlock) => {
                        let room = poll_fn(|cx| writable.poll_ready(cx));
                        let patience = Duration::from_millis(500);
                        if tokio::time::timeout(patience, room).await.is_err() {
                            break;
                        }
                    }
                    Err(end) => panic!("{end}"),
                }
                assert!(sent < 64 << 10, "nothing stops it");
            }
            tell.send(sent).unwrap();
            // All of it goes out, and the close frame after it.
        }
    })
    .await;
    let mut raw = Raw::open(service.address);
    let sent = soon(told.recv()).await.unwrap();
    for _ in 0..sent {
        assert_eq!(raw.frame(), (0x82, vec![7; 1000]));
    }
    assert_eq!(raw.closed(), Some(1001));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_peer_is_asked_and_then_given_up() {
    let ping_interval = 500_000_000;
    let (service, mut told) = Service::receiving(Limits {
        ping_interval,
        ..limits()
    })
    .await;
    let mut raw = Raw::open(service.address);
    // As long as it answers, it stays.
    for _ in 0..3 {
        assert_eq!(raw.frame(), (0x89, Vec::new()));
        raw.write(&masked(0x8a, b""));
    }
    assert!(told.try_recv().is_err());
    assert_eq!(soon(told.recv()).await, Some(ErrorCode::PingTimeout));
    soon(service.server.closed()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_vanishes_is_missed_although_the_guest_does_not_read() {
    for reset in [false, true] {
        let (go, mut gone) = mpsc::unbounded_channel::<()>();
        let limits = Limits {
            ping_interval: 200_000_000,
            ..limits()
        };
        let service = Service::talking(limits, move |connection| {
            let go = go.clone();
            async move {
                go.send(()).unwrap();
                go.closed().await;
                drop(connection);
            }
        })
        .await;
        let mut raw = Raw::open(service.address);
        soon(gone.recv()).await.unwrap();
        raw.write(&masked(0x82, &[0; 1000]).repeat(100));
        // It is there, and the guest has taken nothing: more pings than are waited for.
        for _ in 0..4 {
            assert_eq!(raw.frame(), (0x89, Vec::new()));
        }
        assert_eq!(service.server.connections(), 1);
        if reset {
            // With a ping unread, the system resets the connection.
            raw.0.peek(&mut [0]).unwrap();
        }
        drop(raw);
        soon(service.server.closed()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_reads_nothing_does_not_hold_up_a_server_that_stops() {
    let close_timeout = 500_000_000;
    let limits = Limits {
        close_timeout,
        ..limits()
    };
    let (tell, mut told) = mpsc::unbounded_channel();
    let service = Service::talking(limits, move |mut connection| {
        let tell = tell.clone();
        async move {
            let message = Message::Binary(Bytes::from_static(&[7; 1000]));
            tell.send(None).unwrap();
            let end = loop {
                if let Err(end) = send(&mut connection, message.clone()).await {
                    break end;
                }
            };
            tell.send(Some(end)).unwrap();
        }
    })
    .await;
    let raw = Raw::open(service.address);
    assert_eq!(soon(told.recv()).await, Some(None));
    // The system's buffers are full.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let begun = Instant::now();
    service.server.close_all();
    assert_eq!(soon(told.recv()).await, Some(Some(ErrorCode::HostShutdown)));
    soon(service.server.closed()).await;
    let waited = begun.elapsed();
    assert!(waited >= Duration::from_nanos(close_timeout), "{waited:?}");
    assert!(waited < Duration::from_secs(4), "{waited:?}");
    drop(raw);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stops_closes_all_with_1001() {
    let (service, mut told) = Service::receiving(limits()).await;
    let mut raws: Vec<_> = (0..20).map(|_| Raw::open(service.address)).collect();
    assert_eq!(service.server.connections(), 20);
    service.server.close_all();
    for _ in 0..20 {
        assert_eq!(soon(told.recv()).await, Some(ErrorCode::HostShutdown));
    }
    for raw in &mut raws {
        let (first, content) = raw.frame();
        assert_eq!((first, &content[..]), (0x88, &1001u16.to_be_bytes()[..]));
        raw.write(&masked(0x88, &content));
    }
    let mut late = Raw::new(service.address);
    late.write(HANDSHAKE.as_bytes());
    assert!(late.head().starts_with("HTTP/1.1 503 "));
    for raw in &mut raws {
        assert_eq!(raw.0.read(&mut [0]).unwrap(), 0);
    }
    drop(raws);
    soon(service.server.closed()).await;
    assert_eq!(service.server.connections(), 0);
}

/// What a guest does that uses our client.
async fn connect(ctx: &WasiWebSocketCtx, url: &str) -> Result<Connection, ErrorCode> {
    connect_with(ctx, url, &[], Options::default()).await
}

async fn connect_with(
    ctx: &WasiWebSocketCtx,
    url: &str,
    subprotocols: &[&str],
    options: Options,
) -> Result<Connection, ErrorCode> {
    let subprotocols = subprotocols.iter().map(|name| name.to_string()).collect();
    let mut future = ctx.connect(url, subprotocols, Fields::new(), options)?;
    soon(poll_fn(|cx| future.poll_ready(cx))).await;
    future.get().unwrap().unwrap()
}

fn client() -> WasiWebSocketCtx {
    WasiWebSocketCtx::new().connector(Arc::new(OsClient::default()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_every_length_come_back() {
    let wide = Limits {
        message: 1 << 20,
        queue: 64 << 10,
        ping_interval: 0,
        ..Limits::default()
    };
    let service = Service::echo(wide).await;
    let ctx = client().limits(wide);
    let mut connection = connect(&ctx, &format!("ws://{}/", service.address))
        .await
        .unwrap();
    for len in [0, 1, 125, 126, 65535, 65536, 65537, 200_000, 1 << 20] {
        let bytes: Vec<u8> = (0..len).map(|at| at as u8).collect();
        let text = "é".repeat(len / 2);
        for message in [Message::Binary(bytes.into()), Message::Text(text)] {
            send(&mut connection, message.clone()).await.unwrap();
            let back = soon(receive(&mut connection)).await;
            assert!(back == Ok(message), "{len}");
        }
    }
    // As a stream, in one direction and the other.
    let mut message = connection.send_stream(MessageType::Text).unwrap();
    let mut stream = message.write().unwrap();
    let text = "aé€😀".repeat(30_000);
    let mut rest = text.as_bytes();
    soon(poll_fn(|cx| stream.poll_write_all(cx, &mut rest)))
        .await
        .unwrap();
    drop(stream);
    message.finish().unwrap();
    soon(poll_fn(|cx| connection.readable().poll_ready(cx))).await;
    let (_, mut stream) = connection.receive_stream().unwrap().unwrap();
    let mut back = Vec::new();
    while let Ok(bytes) = soon(poll_fn(|cx| stream.poll_read(cx, 5000))).await {
        back.extend_from_slice(&bytes);
    }
    drop(stream);
    assert!(back == text.as_bytes());
    connection.close(None).unwrap();
    assert_eq!(
        soon(receive(&mut connection)).await,
        Err(ErrorCode::ClosedHere)
    );
    soon(service.server.closed()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wss_is_tls_with_the_clients_roots_and_without_http2() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    let root = made.cert.der().clone();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![root.clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let service = Service::over(Some(acceptor), limits(), |request, ctx| {
        let connection = request.accept(&ctx, None, Fields::new());
        Box::pin(async move {
            send(&mut connection.unwrap(), Message::Text("hello".into()))
                .await
                .unwrap();
        })
    })
    .await;
    let url = format!("wss://localhost:{}/", service.address.port());
    let trusting = OsClient::builder(Runtime::current())
        .root(root.to_vec())
        .build();
    let ctx = WasiWebSocketCtx::new().connector(Arc::new(trusting.unwrap()));
    let mut connection = connect(&ctx, &url).await.unwrap();
    let message = soon(receive(&mut connection)).await;
    assert_eq!(message, Ok(Message::Text("hello".into())));
    let untrusted = connect(&client(), &url).await.err();
    let certificate = wasi_http::ErrorCode::TlsCertificateError;
    assert_eq!(untrusted, Some(ErrorCode::Http(certificate)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_agreed_on_is_known_on_both_sides() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let service = Service::new(limits(), move |request, ctx| {
        tell.send((
            request.subprotocols.clone(),
            request.path_with_query.clone(),
        ))
        .unwrap();
        let mut headers = Fields::new();
        headers.append("x-extra", "1").unwrap();
        let connection = request.accept(&ctx, Some("b".into()), headers).unwrap();
        assert_eq!(connection.subprotocol(), Some("b"));
        Box::pin(async {})
    })
    .await;
    let url = format!("ws://{}/p?q", service.address);
    let mut connection = connect_with(&client(), &url, &["a", "b"], Options::default())
        .await
        .unwrap();
    assert_eq!(connection.subprotocol(), Some("b"));
    let (subprotocols, path) = told.recv().await.unwrap();
    assert_eq!(
        (subprotocols, path),
        (vec!["a".into(), "b".into()], Some("/p?q".into()))
    );
    let end = soon(receive(&mut connection)).await;
    let reason = String::new();
    assert_eq!(
        end,
        Err(ErrorCode::ClosedByPeer(Some(CloseStatus {
            code: 1001,
            reason
        })))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_has_its_status() {
    let service = Service::new(limits(), |request, _| {
        match request.path_with_query.as_deref() {
            Some("/dropped") => drop(request),
            _ => request.refuse(403, Fields::new(), "no".into()).unwrap(),
        }
        Box::pin(async {})
    })
    .await;
    let refused = connect(&client(), &format!("ws://{}/", service.address)).await;
    assert_eq!(refused.err(), Some(ErrorCode::Refused(403)));
    let dropped = connect(&client(), &format!("ws://{}/dropped", service.address)).await;
    assert!(matches!(dropped.err(), Some(ErrorCode::Http(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_way_not_to_be_connected_has_its_code() {
    let switching = |more: &'static str| {
        move |mut connection: os_support::Connection, _| {
            connection.head();
            connection.send(&format!("HTTP/1.1 101 Switching Protocols\r\n{more}\r\n"));
            connection.closed();
        }
    };
    let upgraded = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: no\r\n";
    let wrong_key = os_support::Peer::new(switching(upgraded));
    let no_upgrade = os_support::Peer::new(switching(""));
    let garbage = os_support::Peer::new(|mut connection, _| {
        connection.head();
        connection.send("220 mail\r\n\r\n");
        connection.closed();
    });
    let silent = os_support::Peer::new(|mut connection, _| connection.closed());
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let code = async |authority: &str| {
        let made = connect(&client(), &format!("ws://{authority}/")).await;
        made.err().unwrap()
    };
    for peer in [&wrong_key, &no_upgrade] {
        let code = code(&peer.authority()).await;
        assert!(
            matches!(code, ErrorCode::HandshakeFailed(Some(_))),
            "{code}"
        );
    }
    let protocol = ErrorCode::Http(wasi_http::ErrorCode::HttpProtocolError);
    assert_eq!(code(&garbage.authority()).await, protocol);
    let refused = ErrorCode::Http(wasi_http::ErrorCode::ConnectionRefused);
    assert_eq!(code(&closed).await, refused);
    let url = format!("ws://{}/", silent.authority());
    let options = Options {
        connect_timeout: Some(200_000_000),
        ..Options::default()
    };
    let waited = connect_with(&client(), &url, &[], options).await;
    assert_eq!(waited.err(), Some(ErrorCode::ConnectTimeout));
    let denied = client().policy(NetworkPolicy::new());
    assert_eq!(
        connect(&denied, &url).await.err(),
        Some(ErrorCode::AccessDenied)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_tells_a_server_what_it_does_wrong() {
    for (name, frame, expected) in [
        ("a masked frame", masked(0x81, b"a"), 1002),
        ("text that is not UTF-8", unmasked(0x81, b"\xff"), 1007),
        ("too big", unmasked(0x82, &[0; 1001]), 1009),
    ] {
        let (tell, mut told) = mpsc::unbounded_channel();
        let frame = Arc::new(frame);
        let peer = os_support::Peer::new(move |mut connection, _| {
            let head = connection.head().unwrap();
            let key = head
                .iter()
                .find_map(|line| line.strip_prefix("sec-websocket-key: "))
                .unwrap();
            let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
            connection.send(&format!(
                "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
            ));
            connection.write(&frame);
            let start = connection.bytes(8);
            assert_eq!(start[..2], [0x88, 0x82]);
            let code = [start[6] ^ start[2], start[7] ^ start[3]];
            tell.send(u16::from_be_bytes(code)).unwrap();
        });
        let ctx = client().limits(limits());
        let mut connection = connect(&ctx, &format!("ws://{}/", peer.address))
            .await
            .unwrap();
        let end = soon(receive(&mut connection)).await.unwrap_err();
        assert_eq!(end.close_code(), Some(expected), "{name}: {end}");
        assert_eq!(soon(told.recv()).await, Some(expected), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_dropped_frees_its_connection_and_ends_the_servers() {
    let (service, mut told) = Service::receiving(limits()).await;
    let url = format!("ws://{}/", service.address);
    let ctx = client();
    let connection = connect(&ctx, &url).await.unwrap();
    drop(connection);
    let reason = String::new();
    let expected = ErrorCode::ClosedByPeer(Some(CloseStatus { code: 1001, reason }));
    assert_eq!(soon(told.recv()).await, Some(expected));
    soon(service.server.closed()).await;
    // One at a time, with a client that may have one.
    let one = OsClient::builder(Runtime::current())
        .max_connections(1)
        .build()
        .unwrap();
    let ctx = WasiWebSocketCtx::new().connector(Arc::new(one));
    for _ in 0..3 {
        drop(connect(&ctx, &url).await.unwrap());
    }
    drop(service.ctx);
}
