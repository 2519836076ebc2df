//! Echoes WebSocket messages, and ends connections in every way: a component that serves
//! WebSockets and no HTTP, and as a command is a client. The README lists its routes.

#![cfg(target_arch = "wasm32")]

mod bindings {
    wit_bindgen::generate!({
        path: [
            "../wit/io",
            "../wit/clocks",
            "../wit/random",
            "../wit/filesystem",
            "../wit/sockets",
            "../wit/cli",
            "../wit/http",
            "../wit/websocket",
            "wit",
        ],
        world: "agave:ws-echo/ws-echo",
        generate_all,
    });
    export!(WsEcho);

    use super::WsEcho;
}

use bindings::agave::websocket::client::connect;
use bindings::agave::websocket::types::{
    CloseStatus, Connection, ErrorCode, Message, MessageType, OutgoingMessage, UpgradeRequest,
    websocket_error_code,
};
use bindings::exports::agave::websocket::handler;
use bindings::exports::wasi::cli::run;
use bindings::wasi::http::types::Fields;
use bindings::wasi::io::streams::{OutputStream, StreamError};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

struct WsEcho;

impl handler::Guest for WsEcho {
    fn handle(request: UpgradeRequest) {
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        match path {
            "/echo" => served(echo(&accept(request))),
            "/stream" => served(stream(&accept(request))),
            "/flood" => served(flood(&accept(request))),
            "/close" => served(close(&accept(request), query)),
            "/count" => served(count(&accept(request))),
            "/hold" => hold(&accept(request)),
            "/spin" => spin(&accept(request)),
            "/trap" => trap(&accept(request), query),
            "/return" => drop(accept(request)),
            "/relay" => relay(request, query),
            "/refuse" => refuse(request, query.parse().unwrap_or(403), "refused\n"),
            "/protocol" => match UpgradeRequest::accept(request, Some(query), None) {
                Ok(connection) => served(echo(&connection)),
                Err(code) => eprintln!("not accepted: {code:?}"),
            },
            "/noanswer" => {}
            "/trapfirst" => core::arch::wasm32::unreachable(),
            "/slow" => {
                std::thread::sleep(Duration::from_secs(3600));
                drop(accept(request));
            }
            _ => refuse(request, 404, "no such route\n"),
        }
    }
}

/// With the best of the client's subprotocols, if it has any.
fn accept(request: UpgradeRequest) -> Connection {
    let subprotocol = request.subprotocols().into_iter().next();
    let accepted = UpgradeRequest::accept(request, subprotocol.as_deref(), None);
    accepted.expect("accepted")
}

fn refuse(request: UpgradeRequest, status: u16, body: &str) {
    let headers = Fields::new();
    let _ = headers.append("x-why", b"a test");
    let body = Some(body.as_bytes());
    if let Err(code) = UpgradeRequest::refuse(request, status, Some(headers), body) {
        eprintln!("not refused: {code:?}");
    }
}

/// Tells how a connection ended.
fn served(result: Result<(), ErrorCode>) {
    match result {
        Ok(()) => eprintln!("ended by itself"),
        Err(code) => eprintln!("ended: {code:?}"),
    }
}

fn echo(connection: &Connection) -> Result<(), ErrorCode> {
    loop {
        let message = connection.blocking_receive()?;
        connection.blocking_send(&message)?;
    }
}

/// Echoes without ever holding a message.
fn stream(connection: &Connection) -> Result<(), ErrorCode> {
    loop {
        connection.subscribe_receive().block();
        let Some((kind, input)) = connection.receive_stream()? else {
            continue;
        };
        let message = connection.send_stream(kind)?;
        let output = message.write().expect("the first call");
        loop {
            match input.blocking_read(1 << 16) {
                Ok(bytes) => write_all(&output, &bytes).map_err(why)?,
                Err(StreamError::Closed) => break,
                Err(error) => return Err(why(error)),
            }
        }
        drop(output);
        OutgoingMessage::finish(message)?;
    }
}

fn write_all(output: &OutputStream, mut bytes: &[u8]) -> Result<(), StreamError> {
    while !bytes.is_empty() {
        output.subscribe().block();
        let room = output.check_write()?;
        let (now, rest) = bytes.split_at(bytes.len().min(room as usize));
        output.write(now)?;
        bytes = rest;
    }
    Ok(())
}

/// What a connection's stream failed with.
fn why(error: StreamError) -> ErrorCode {
    match error {
        StreamError::LastOperationFailed(error) => websocket_error_code(&error),
        StreamError::Closed => None,
    }
    .expect("a code of the connection")
}

/// Sends as much as the peer takes; tells how much that was, each 16 MiB.
fn flood(connection: &Connection) -> Result<(), ErrorCode> {
    let message = Message::Binary(vec![7; 1 << 16]);
    for n in 1_u32.. {
        connection.blocking_send(&message)?;
        if n.is_multiple_of(256) {
            eprintln!("sent {} MiB", n / 16);
        }
    }
    Ok(())
}

/// Closes with the code that the query is, or with none.
fn close(connection: &Connection, query: &str) -> Result<(), ErrorCode> {
    let reason = "as asked".into();
    let status = query.parse().ok().map(|code| CloseStatus { code, reason });
    connection.close(status.as_ref())?;
    connection.blocking_receive().map(drop)
}

/// Sends how many connections this instance has had.
fn count(connection: &Connection) -> Result<(), ErrorCode> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
    connection.blocking_send(&Message::Text(count.to_string()))?;
    echo(connection)
}

/// Takes no notice of its connection.
fn hold(_connection: &Connection) {
    eprintln!("holding");
    std::thread::sleep(Duration::from_secs(3600));
}

fn spin(_connection: &Connection) {
    eprintln!("spinning");
    loop {
        std::hint::black_box(());
    }
}

/// After a message; where the query is `stream`, in the middle of one that it sends.
fn trap(connection: &Connection, query: &str) {
    let _ = connection.blocking_receive();
    let _begun = (query == "stream").then(|| {
        let message = connection.send_stream(MessageType::Text).expect("begun");
        let output = message.write().expect("the first call");
        write_all(&output, b"begun").expect("written");
        (output, message)
    });
    core::arch::wasm32::unreachable()
}

/// Is a client of the URL that the query is, for its own client.
fn relay(request: UpgradeRequest, url: &str) {
    match open(url) {
        Ok(there) => {
            let here = accept(request);
            served((|| {
                loop {
                    there.blocking_send(&here.blocking_receive()?)?;
                    here.blocking_send(&there.blocking_receive()?)?;
                }
            })());
        }
        Err(code) => refuse(request, 502, &format!("{code:?}\n")),
    }
}

fn open(url: &str) -> Result<Connection, ErrorCode> {
    let future = connect(url, &["one".into(), "two".into()], None, None)?;
    future.subscribe().block();
    future.get().expect("it is ready").expect("the first call")
}

impl run::Guest for WsEcho {
    /// `URL TEXT…`: sends each text, prints each answer, closes, and tells the end.
    fn run() -> Result<(), ()> {
        let mut words = std::env::args().skip(1);
        let url = words.next().unwrap_or_default();
        let connection = match open(&url) {
            Ok(connection) => connection,
            Err(code) => {
                println!("not connected: {code:?}");
                return Err(());
            }
        };
        println!("subprotocol {:?}", connection.subprotocol());
        let talked = (|| {
            for text in words {
                connection.blocking_send(&Message::Text(text))?;
                match connection.blocking_receive()? {
                    Message::Text(text) => println!("text {text}"),
                    Message::Binary(bytes) => println!("binary {bytes:?}"),
                }
            }
            let (code, reason) = (4000, "done".into());
            connection.close(Some(&CloseStatus { code, reason }))?;
            connection.blocking_receive().map(drop)
        })();
        match talked {
            Ok(()) => Err(()),
            Err(code) => {
                println!("ended: {code:?}");
                Ok(())
            }
        }
    }
}
