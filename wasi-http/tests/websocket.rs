//! What is done above any backend, on connections within this program.
#![cfg(feature = "websocket")]

use bytes::Bytes;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use wasi_error::StreamError;
use wasi_http::websocket::memory::{self, Order, Port};
use wasi_http::websocket::*;
use wasi_http::{BoxFuture, Fields, Method, Request, Response, Scheme};
use wasi_io::sync::Mutex;
use wasi_io::{DynInputStream, Pollable};
use wasi_sockets::{NetworkPolicy, Rule};

fn limits() -> Limits {
    Limits {
        message: 100,
        queue: 200,
        ping_interval: 0,
        ..Limits::default()
    }
}

fn pair() -> (Connection, Connection) {
    let (here, there) = memory::pair(limits().queue);
    let here = Connection::new(Box::new(here), None, limits());
    (here, Connection::new(Box::new(there), None, limits()))
}

/// A connection, and what moves its messages.
fn ported() -> (Connection, Port) {
    let (socket, port) = memory::link(limits().queue);
    (Connection::new(Box::new(socket), None, limits()), port)
}

fn text(text: &str) -> Message {
    Message::Text(text.into())
}

fn piece(kind: MessageType, data: &[u8], last: bool) -> Piece {
    let data = Bytes::copy_from_slice(data);
    Piece { kind, data, last }
}

fn status(code: u16, reason: &str) -> Option<CloseStatus> {
    let reason = reason.into();
    Some(CloseStatus { code, reason })
}

fn order(port: &mut Port) -> Option<Order> {
    match port.poll_order(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(order) => Some(order),
        Poll::Pending => None,
    }
}

fn is_ready(pollable: &mut impl Pollable) -> bool {
    let cx = &mut Context::from_waker(Waker::noop());
    pollable.poll_ready(cx).is_ready()
}

/// All of a stream, and the code that it failed with.
fn read(stream: &mut DynInputStream) -> (Vec<u8>, Option<ErrorCode>) {
    let mut all = Vec::new();
    loop {
        match pollster::block_on(poll_fn(|cx| stream.poll_read(cx, 7))) {
            Ok(bytes) => all.extend_from_slice(&bytes),
            Err(StreamError::Closed) => return (all, None),
            Err(StreamError::LastOperationFailed(error)) => {
                return (all, error.downcast_ref().cloned());
            }
        }
    }
}

#[test]
fn messages_come_whole_and_in_order() {
    let (mut here, mut there) = pair();
    let binary = Message::Binary(Bytes::from_static(b"\xff"));
    for message in [text("a"), binary.clone(), text("")] {
        here.send(message).unwrap();
    }
    assert_eq!(there.receive(), Ok(Some(text("a"))));
    assert_eq!(there.receive(), Ok(Some(binary)));
    assert_eq!(there.receive(), Ok(Some(text(""))));
    assert_eq!(there.receive(), Ok(None));
}

#[test]
fn who_is_not_read_from_stops_and_goes_on_when_it_is() {
    let (mut here, mut there) = pair();
    let mut sent = 0;
    while here.send(text("12345678")) == Ok(()) {
        sent += 1;
    }
    // The queue has 200 bytes, and a part counts 64 more.
    assert_eq!(sent, 3);
    assert_eq!(here.send(text("x")), Err(ErrorCode::WouldBlock));
    assert_eq!(here.check_send(), Ok(0));
    let mut writable = here.writable();
    assert!(!is_ready(&mut writable));
    let waits = std::thread::spawn(move || {
        pollster::block_on(poll_fn(|cx| writable.poll_ready(cx)));
        pollster::block_on(poll_fn(|cx| here.poll_send(cx, &mut Some(text("last"))))).unwrap();
        here
    });
    for _ in 0..3 {
        assert_eq!(there.receive(), Ok(Some(text("12345678"))));
    }
    let message = pollster::block_on(poll_fn(|cx| there.poll_receive(cx)));
    assert_eq!(message, Ok(text("last")));
    assert_eq!(waits.join().unwrap().check_send(), Ok(100));
}

#[test]
fn a_message_up_to_the_limit_fits_whenever_there_is_any_room() {
    let (mut here, mut there) = pair();
    here.send(text("12345678")).unwrap();
    let longest = "m".repeat(100);
    assert_eq!(here.check_send(), Ok(100));
    here.send(text(&longest)).unwrap();
    assert_eq!(
        here.send(text(&"m".repeat(101))),
        Err(ErrorCode::InvalidArgument)
    );
    there.receive().unwrap();
    assert_eq!(there.receive(), Ok(Some(text(&longest))));
}

#[test]
fn empty_parts_fill_a_queue_as_well() {
    let (mut here, _there) = pair();
    let sent = (0..).take_while(|_| here.send(text("")) == Ok(())).count();
    assert_eq!(sent, 4);
}

#[test]
fn parts_are_put_together_and_only_a_whole_message_is_ready() {
    let (mut connection, mut port) = ported();
    let mut readable = connection.readable();
    // A character is cut in two.
    port.put(piece(MessageType::Text, b"a\xc3", false));
    assert!(!is_ready(&mut readable));
    assert_eq!(connection.receive(), Ok(None));
    port.put(piece(MessageType::Text, b"\xa9", false));
    port.put(piece(MessageType::Text, b"", true));
    assert!(is_ready(&mut readable));
    assert_eq!(connection.receive(), Ok(Some(text("aé"))));
    assert!(!is_ready(&mut readable));
}

#[test]
fn what_the_peer_does_wrong_ends_the_connection_with_its_code() {
    use MessageType::{Binary, Text};
    let long = [b'm'; 60];
    for (name, parts, end, code) in [
        (
            "not UTF-8",
            &[piece(Text, b"\xff", true)][..],
            ErrorCode::InvalidUtf8,
            1007,
        ),
        (
            "not UTF-8 in parts",
            &[piece(Text, b"\xe2\x82", false), piece(Text, b"", true)],
            ErrorCode::InvalidUtf8,
            1007,
        ),
        (
            "too long",
            &[piece(Binary, &long, false), piece(Binary, &long, true)],
            ErrorCode::MessageTooBig(100),
            1009,
        ),
    ] {
        let (mut connection, mut port) = ported();
        parts.iter().for_each(|part| port.put(part.clone()));
        assert_eq!(connection.receive(), Err(end.clone()), "{name}");
        assert_eq!(
            order(&mut port),
            Some(Order::Close(status(code, ""), end.clone()))
        );
        // From now on, whatever is asked.
        assert_eq!(connection.receive(), Err(end.clone()));
        assert_eq!(connection.send(text("a")), Err(end.clone()));
        assert_eq!(connection.close(None), Err(end.clone()));
        assert_eq!(connection.ended(), Some(end));
    }
}

#[test]
fn a_streamed_message_is_read_in_pieces_while_it_comes() {
    let (mut connection, mut port) = ported();
    assert!(matches!(connection.receive_stream(), Ok(None)));
    port.put(piece(MessageType::Text, b"first ", false));
    let (kind, mut stream) = connection.receive_stream().unwrap().unwrap();
    assert_eq!(kind, MessageType::Text);
    assert_eq!(stream.read(3).unwrap(), "fir");
    assert_eq!(stream.read(100).unwrap(), "st ");
    assert!(stream.read(100).unwrap().is_empty());
    assert_eq!(connection.receive(), Err(ErrorCode::InvalidState));
    assert!(matches!(
        connection.receive_stream(),
        Err(ErrorCode::InvalidState)
    ));
    port.put(piece(MessageType::Text, b"last", true));
    port.put(piece(MessageType::Text, b"next", true));
    assert_eq!(read(&mut stream), (b"last".to_vec(), None));
    drop(stream);
    assert_eq!(connection.receive(), Ok(Some(text("next"))));
}

#[test]
fn a_stream_takes_over_what_was_put_together_before() {
    let (mut connection, mut port) = ported();
    port.put(piece(MessageType::Binary, b"a", false));
    assert_eq!(connection.receive(), Ok(None));
    port.put(piece(MessageType::Binary, b"b", true));
    let (_, mut stream) = connection.receive_stream().unwrap().unwrap();
    assert_eq!(read(&mut stream).0, b"ab");
    drop(stream);
    port.put(piece(MessageType::Binary, b"whole", true));
    assert!(is_ready(&mut connection.readable()));
    let (_, mut stream) = connection.receive_stream().unwrap().unwrap();
    assert_eq!(read(&mut stream).0, b"whole");
}

#[test]
fn the_rest_of_a_message_whose_stream_is_dropped_is_dropped() {
    let (mut connection, mut port) = ported();
    port.put(piece(MessageType::Binary, b"a", false));
    drop(connection.receive_stream().unwrap().unwrap());
    port.put(piece(MessageType::Binary, b"b", false));
    assert_eq!(connection.receive(), Ok(None));
    port.put(piece(MessageType::Binary, b"c", true));
    port.put(piece(MessageType::Binary, b"next", true));
    let next = Message::Binary(Bytes::from_static(b"next"));
    assert_eq!(connection.receive(), Ok(Some(next)));
}

#[test]
fn a_stream_fails_when_its_message_does() {
    for (part, end, expected) in [
        (
            Some(piece(MessageType::Text, b"\xff", true)),
            None,
            ErrorCode::InvalidUtf8,
        ),
        (
            Some(piece(MessageType::Text, b"\xe2", true)),
            None,
            ErrorCode::InvalidUtf8,
        ),
        (
            None,
            Some(ErrorCode::ConnectionLost),
            ErrorCode::ConnectionLost,
        ),
    ] {
        let (mut connection, mut port) = ported();
        port.put(piece(MessageType::Text, b"a", false));
        let (_, mut stream) = connection.receive_stream().unwrap().unwrap();
        part.into_iter().for_each(|part| port.put(part));
        end.into_iter().for_each(|end| port.end(end));
        assert_eq!(read(&mut stream).1, Some(expected.clone()));
        drop(stream);
        assert_eq!(connection.receive(), Err(expected));
    }
}

#[test]
fn a_message_is_written_as_a_stream() {
    let (mut connection, mut port) = ported();
    let mut message = connection.send_stream(MessageType::Text).unwrap();
    let mut stream = message.write().unwrap();
    assert!(message.write().is_none());
    for busy in [
        connection.send(text("a")),
        connection.close(None),
        connection.check_send().map(drop),
        connection.send_stream(MessageType::Text).map(drop),
    ] {
        assert_eq!(busy, Err(ErrorCode::InvalidState));
    }
    // Half a character, and the other half.
    let mut sent = Vec::new();
    for part in [&b"a\xc3"[..], b"\xa9b"] {
        assert_eq!(stream.check_write().unwrap(), 200);
        stream.write(part).unwrap().unwrap();
        let Some(Order::Send(piece)) = order(&mut port) else {
            panic!("nothing was sent");
        };
        assert!(!piece.last);
        sent.extend_from_slice(&piece.data);
    }
    drop(stream);
    message.finish().unwrap();
    assert_eq!(
        order(&mut port),
        Some(Order::Send(piece(MessageType::Text, b"", true)))
    );
    assert_eq!(sent, "aéb".as_bytes());
    connection.send(text("next")).unwrap();
}

#[test]
fn a_stream_is_held_up_by_a_peer_that_does_not_read() {
    let (mut connection, mut port) = ported();
    let mut message = connection.send_stream(MessageType::Binary).unwrap();
    let mut stream = message.write().unwrap();
    let room = stream.check_write().unwrap();
    stream.write(&vec![0; room]).unwrap().unwrap();
    assert_eq!(stream.check_write().unwrap(), 0);
    assert!(!is_ready(&mut stream));
    order(&mut port).unwrap();
    assert!(is_ready(&mut stream));
    assert_eq!(stream.check_write().unwrap(), room);
}

#[test]
fn a_message_that_is_given_up_ends_the_connection_if_some_of_it_was_sent() {
    let abandoned = ErrorCode::MessageAbandoned;
    for (name, parts, finish) in [
        ("dropped", &[&b"a"[..]][..], None),
        ("cut", &[b"a\xc3"], Some(ErrorCode::InvalidArgument)),
        (
            "not UTF-8",
            &[b"a", b"\xff"],
            Some(ErrorCode::InvalidArgument),
        ),
    ] {
        let (mut connection, mut port) = ported();
        let mut message = connection.send_stream(MessageType::Text).unwrap();
        let mut stream = message.write().unwrap();
        for part in parts {
            stream.check_write().unwrap();
            let _ = stream.write(part).unwrap();
        }
        drop(stream);
        match finish {
            Some(code) => assert_eq!(message.finish(), Err(code), "{name}"),
            None => drop(message),
        }
        assert!(matches!(order(&mut port), Some(Order::Send(_))), "{name}");
        let closed = Order::Close(status(1011, ""), abandoned.clone());
        assert_eq!(order(&mut port), Some(closed), "{name}");
        assert_eq!(connection.receive(), Err(abandoned.clone()), "{name}");
    }
    let (mut connection, mut port) = ported();
    drop(connection.send_stream(MessageType::Text).unwrap());
    assert_eq!(order(&mut port), None);
    connection.send(text("a")).unwrap();
}

#[test]
fn closing_tells_the_peer_after_what_was_sent() {
    let (mut here, mut there) = pair();
    here.send(text("last")).unwrap();
    there.send(text("too late")).unwrap();
    here.close(status(3000, "done")).unwrap();
    assert_eq!(here.close(None), Err(ErrorCode::InvalidState));
    assert_eq!(here.send(text("more")), Err(ErrorCode::InvalidState));
    // Until the peer has seen it, and without what it sent.
    assert_eq!((here.receive(), here.ended()), (Ok(None), None));
    assert_eq!(there.receive(), Ok(Some(text("last"))));
    let closed = ErrorCode::ClosedByPeer(status(3000, "done"));
    assert_eq!(there.receive(), Err(closed.clone()));
    assert_eq!(
        (there.ended(), there.send(text("a"))),
        (Some(closed.clone()), Err(closed))
    );
    assert_eq!(here.receive(), Err(ErrorCode::ClosedHere));
    assert_eq!(here.ended(), Some(ErrorCode::ClosedHere));
}

#[test]
fn a_connection_that_is_dropped_closes_with_1001() {
    let (mut here, there) = pair();
    drop(there);
    assert_eq!(
        here.receive(),
        Err(ErrorCode::ClosedByPeer(status(1001, "")))
    );
    let (here, mut there) = pair();
    let mut readable = here.readable();
    assert!(!is_ready(&mut readable));
    drop(here);
    assert!(is_ready(&mut readable));
    assert_eq!(
        there.receive(),
        Err(ErrorCode::ClosedByPeer(status(1001, "")))
    );
}

#[test]
fn a_user_that_fails_closes_with_1011_also_within_a_message() {
    for streams in [false, true] {
        let (mut connection, mut port) = ported();
        let mut readable = connection.readable();
        assert!(!is_ready(&mut readable));
        let message = streams.then(|| {
            let mut message = connection.send_stream(MessageType::Text).unwrap();
            let mut stream = message.write().unwrap();
            stream.check_write().unwrap();
            stream.write(b"begun").unwrap().unwrap();
            (message, stream)
        });
        connection.fail();
        assert!(is_ready(&mut readable));
        drop(message);
        drop(connection);
        if streams {
            assert!(matches!(order(&mut port), Some(Order::Send(_))));
        }
        let closed = Order::Close(status(1011, ""), ErrorCode::ClosedHere);
        assert_eq!(order(&mut port), Some(closed), "{streams}");
        assert_eq!(order(&mut port), None);
    }
    // What ended before has its own end.
    let (mut here, mut there) = pair();
    here.close(status(3000, "done")).unwrap();
    assert!(there.receive().is_err());
    there.fail();
    let closed = ErrorCode::ClosedByPeer(status(3000, "done"));
    assert_eq!(there.receive(), Err(closed));
    here.fail();
    assert_eq!(here.receive(), Err(ErrorCode::ClosedHere));
}

#[test]
fn an_echo_sends_all_back_as_far_as_there_is_room() {
    let socket = Box::new(memory::echo(limits().queue));
    let mut connection = Connection::new(socket, None, limits());
    let mut sent = 0;
    let mut writable = connection.writable();
    while connection.send(text(&sent.to_string())).is_ok() {
        sent += 1;
        assert!(sent < 100, "nothing stops it");
    }
    assert!(!is_ready(&mut writable));
    for n in 0..sent {
        assert_eq!(connection.receive(), Ok(Some(text(&n.to_string()))));
    }
    assert!(is_ready(&mut writable));
    assert_eq!(connection.receive(), Ok(None));
    connection.send(text("dropped")).unwrap();
    connection.close(status(4000, "done")).unwrap();
    assert_eq!(connection.receive(), Err(ErrorCode::ClosedHere));
}

#[test]
fn a_status_that_may_not_be_sent_is_refused() {
    let (mut here, _there) = pair();
    let long = "r".repeat(124);
    for (code, reason) in [(999, ""), (1005, ""), (1006, ""), (1015, ""), (1000, &long)] {
        let closed = here.close(status(code, reason));
        assert_eq!(closed, Err(ErrorCode::InvalidArgument), "{code}");
    }
    here.close(None).unwrap();
}

#[test]
fn messages_that_came_before_the_end_are_received_before_it() {
    let (mut connection, mut port) = ported();
    port.put(piece(MessageType::Text, b"a", true));
    port.end(ErrorCode::PingTimeout);
    assert_eq!(connection.ended(), None);
    assert_eq!(connection.send(text("b")), Err(ErrorCode::PingTimeout));
    assert_eq!(connection.receive(), Ok(Some(text("a"))));
    assert_eq!(connection.receive(), Err(ErrorCode::PingTimeout));
    let (mut connection, port) = ported();
    drop(port);
    assert_eq!(connection.receive(), Err(ErrorCode::ConnectionLost));
}

/// A connector that keeps what it was asked for.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<(Handshake, Limits)>>>);

impl Connector for Recorder {
    fn connect(
        &self,
        handshake: Handshake,
        limits: Limits,
    ) -> BoxFuture<Result<Established, ErrorCode>> {
        self.0.lock().push((handshake, limits));
        let (socket, _) = memory::pair(limits.queue);
        let socket: Box<dyn Socket> = Box::new(socket);
        let subprotocol = Some("chat".into());
        Box::pin(async {
            Ok(Established {
                socket,
                subprotocol,
            })
        })
    }
}

fn connect(ctx: &WasiWebSocketCtx, url: &str) -> Result<FutureConnection, ErrorCode> {
    ctx.connect(url, Vec::new(), Fields::new(), Options::default())
}

#[test]
fn a_url_says_where_to_connect() {
    let recorder = Recorder::default();
    let ctx = WasiWebSocketCtx::new().connector(Arc::new(recorder.clone()));
    for (url, tls, authority, path) in [
        ("ws://a.example", false, "a.example", "/"),
        (
            "WSS://a.example:8443/b/c?d=e",
            true,
            "a.example:8443",
            "/b/c?d=e",
        ),
        ("ws://[::1]:80?q", false, "[::1]:80", "/?q"),
    ] {
        connect(&ctx, url).unwrap();
        let (handshake, _) = recorder.0.lock().pop().unwrap();
        assert_eq!(handshake.tls, tls, "{url}");
        assert_eq!(
            (&*handshake.authority, &*handshake.path_with_query),
            (authority, path)
        );
    }
    for url in [
        "",
        "a.example",
        "http://a.example/",
        "ws:a.example",
        "ws:///",
        "ws://u@a.example/",
        "ws://a.example/#f",
        "ws://a.example/ b",
        "ws://a.example/\r\nX: y",
        "ws://a.example:99999/",
    ] {
        let refused = connect(&ctx, url).err();
        assert_eq!(refused, Some(ErrorCode::InvalidArgument), "{url:?}");
    }
    assert!(recorder.0.lock().is_empty());
}

#[test]
fn what_belongs_to_the_handshake_is_the_hosts() {
    let ctx = WasiWebSocketCtx::new().connector(Arc::new(Recorder::default()));
    let connect = |names: &[&str], field: &str| {
        let mut headers = Fields::new();
        headers.append(field.to_string(), "x").unwrap();
        let names = names.iter().map(|name| name.to_string()).collect();
        ctx.connect("ws://a", names, headers, Options::default())
            .err()
    };
    assert_eq!(connect(&["a", "b"], "cookie"), None);
    for (names, field) in [
        (&["a", "a"][..], "cookie"),
        (&[""], "cookie"),
        (&["a b"], "cookie"),
        (&["a,b"], "cookie"),
        (&[], "Sec-WebSocket-Key"),
        (&[], "sec-websocket-extensions"),
        (&[], "upgrade"),
        (&[], "Host"),
        (&[], "transfer-encoding"),
    ] {
        let refused = connect(names, field);
        assert_eq!(
            refused,
            Some(ErrorCode::InvalidArgument),
            "{names:?} {field}"
        );
    }
}

#[test]
fn nothing_is_granted_unless_it_is() {
    assert_eq!(
        connect(&WasiWebSocketCtx::new(), "ws://a").err(),
        Some(ErrorCode::AccessDenied)
    );
    let policy = NetworkPolicy::new().allow("connect:a.example:443".parse::<Rule>().unwrap());
    let ctx = WasiWebSocketCtx::new()
        .connector(Arc::new(Recorder::default()))
        .policy(policy);
    assert!(connect(&ctx, "wss://a.example").is_ok());
    assert!(connect(&ctx, "ws://a.example:443").is_ok());
    for url in ["ws://a.example", "wss://b.example"] {
        assert_eq!(
            connect(&ctx, url).err(),
            Some(ErrorCode::AccessDenied),
            "{url}"
        );
    }
}

#[test]
fn the_guests_options_only_lower_the_limit_on_messages() {
    let recorder = Recorder::default();
    let ctx = WasiWebSocketCtx::new()
        .connector(Arc::new(recorder.clone()))
        .limits(limits());
    for (asked, given) in [
        (None, 100),
        (Some(7), 7),
        (Some(0), 1),
        (Some(u64::MAX), 100),
    ] {
        let options = Options {
            max_message_size: asked,
            ping_interval: Some(5),
            connect_timeout: Some(6),
        };
        ctx.connect("ws://a", Vec::new(), Fields::new(), options)
            .unwrap();
        let (handshake, limits) = recorder.0.lock().pop().unwrap();
        assert_eq!((limits.message, limits.ping_interval), (given, 5));
        assert_eq!(handshake.connect_timeout, Some(6));
    }
}

#[test]
fn connections_are_counted_until_they_are_dropped() {
    let all = ConnectionCount::new(3);
    let ctx = || {
        WasiWebSocketCtx::new()
            .connector(Arc::new(Recorder::default()))
            .max_connections(2)
            .shared_count(all.clone())
    };
    let (one, other) = (ctx(), ctx());
    let mut first = connect(&one, "ws://a").unwrap();
    let connection = first.get().unwrap().unwrap().unwrap();
    assert_eq!(connection.subprotocol(), Some("chat"));
    assert!(first.get().unwrap().is_err());
    drop(first);
    let second = connect(&one, "ws://a").unwrap();
    assert_eq!(
        connect(&one, "ws://a").err(),
        Some(ErrorCode::ConnectionLimit)
    );
    let third = connect(&other, "ws://a").unwrap();
    assert_eq!(
        connect(&other, "ws://a").err(),
        Some(ErrorCode::ConnectionLimit)
    );
    assert_eq!(all.open(), 3);
    drop((connection, second));
    assert_eq!(all.open(), 1);
    connect(&other, "ws://a").unwrap();
    drop(third);
    assert_eq!(all.open(), 0);
}

/// Keeps how a request was answered.
struct Asked(Arc<Mutex<Vec<String>>>);

impl Responder for Asked {
    fn accept(
        self: Box<Self>,
        subprotocol: Option<String>,
        headers: Fields,
        limits: Limits,
    ) -> Result<Box<dyn Socket>, ErrorCode> {
        let answer = format!("accept {subprotocol:?} {}", headers.len());
        self.0.lock().push(answer);
        Ok(Box::new(memory::pair(limits.queue).0))
    }

    fn refuse(self: Box<Self>, response: Response) {
        self.0.lock().push(format!("refuse {}", response.status));
    }
}

fn upgrade(answers: &Arc<Mutex<Vec<String>>>) -> UpgradeRequest {
    let mut headers = Fields::new();
    for (name, value) in [
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-protocol", "a, b"),
        ("sec-websocket-protocol", "c"),
        ("origin", "http://a.example"),
    ] {
        headers.append(name, value).unwrap();
    }
    let request = Request {
        method: Method::Get,
        scheme: Some(Scheme::Http),
        authority: Some("a.example".into()),
        path_with_query: Some("/x".into()),
        headers,
        body: Box::new(wasi_http::memory::Empty),
        grant: None,
    };
    UpgradeRequest::new(request, Box::new(Asked(answers.clone())))
}

#[test]
fn a_request_is_answered_once_and_only_with_what_fits() {
    let answers = Arc::default();
    let ctx = WasiWebSocketCtx::new().max_connections(1);
    let request = upgrade(&answers);
    assert_eq!(request.subprotocols, ["a", "b", "c"]);
    let names: Vec<_> = request.headers.iter().map(|(name, _)| name).collect();
    assert!(names.contains(&"origin") && !names.contains(&"upgrade"));
    let mut cookie = Fields::new();
    cookie.append("set-cookie", "c").unwrap();
    let accepted = request.accept(&ctx, Some("b".into()), cookie).unwrap();
    assert_eq!(accepted.subprotocol(), Some("b"));

    let full = upgrade(&answers).accept(&ctx, None, Fields::new());
    assert_eq!(full.err(), Some(ErrorCode::ConnectionLimit));
    drop(accepted);
    upgrade(&answers)
        .refuse(403, Fields::new(), Bytes::new())
        .unwrap();
    let expected = ["accept Some(\"b\") 1", "refuse 503", "refuse 403"];
    assert_eq!(*answers.lock(), expected);

    let mut forbidden = Fields::new();
    forbidden.append("sec-websocket-accept", "x").unwrap();
    let mut length = Fields::new();
    length.append("content-length", "5").unwrap();
    for invalid in [
        upgrade(&answers)
            .accept(&ctx, Some("d".into()), Fields::new())
            .map(drop),
        upgrade(&answers).accept(&ctx, None, forbidden).map(drop),
        upgrade(&answers).refuse(101, Fields::new(), Bytes::new()),
        upgrade(&answers).refuse(1000, Fields::new(), Bytes::new()),
        upgrade(&answers).refuse(403, length, Bytes::new()),
    ] {
        assert_eq!(invalid, Err(ErrorCode::InvalidArgument));
    }
    assert_eq!(answers.lock().len(), expected.len());
}
