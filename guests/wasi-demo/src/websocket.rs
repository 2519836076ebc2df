//! `agave:websocket/client`: messages, and their echo. Where the host names nobody who echoes,
//! this program does itself, by a socket that listens.

use crate::bindings::agave::websocket::client::{FutureConnection, connect};
use crate::bindings::agave::websocket::types::{CloseStatus, Connection, ErrorCode, Message};
use crate::bindings::wasi::http::types::Fields;
use crate::outcome::{Not, Outcome, Tried, ensure, failed};
use crate::websocket_server::Server;
use crate::{streams, tcp, told, wait};

/// What is asked of a server of this program's own.
pub const PATH: &str = "/wasi-demo?a=b&c=%20";
pub const FIELD: (&str, &str) = ("x-agave-demo", "asks");
/// The second is the one that is agreed on.
pub const SUBPROTOCOLS: [&str; 2] = ["other.agave-demo", "echo.agave-demo"];
pub const CLOSE: (u16, &str) = (4000, "done: grüße");

pub fn echo() -> Outcome {
    let (connection, mut server, by) = match told::websocket_url() {
        Some(url) => (taken(&open(url)?)?, None, url.to_owned()),
        None => {
            let (listener, authority) = tcp::server()?;
            let future = open(&format!("ws://{authority}{PATH}"))?;
            let server = Server::accept(&listener, &future)?;
            (taken(&future)?, server, "TCP".into())
        }
    };
    let agreed = connection.subprotocol();
    ensure(agreed.as_deref() == Some(SUBPROTOCOLS[1]), || {
        format!("the subprotocol is {agreed:?}, not {:?}", SUBPROTOCOLS[1])
    })?;
    let messages = [
        Message::Text("grüße, 世界 🌵".into()),
        Message::Binary(streams::pattern(3000)),
        Message::Text(String::new()),
        // Of a length that takes 8 bytes.
        Message::Binary(streams::pattern(70_000)),
    ];
    for message in &messages {
        send(&connection, message)?;
        if let Some(server) = &mut server {
            server.echo(message)?;
        }
        same(&receive(&connection)?.or_failed("receive")?, message)?;
    }
    let (code, reason) = (CLOSE.0, CLOSE.1.into());
    let closed = connection.close(Some(&CloseStatus { code, reason }));
    closed.or_failed("close")?;
    if let Some(server) = &mut server {
        server.close()?;
    }
    match receive(&connection)? {
        Err(ErrorCode::ClosedHere) => Ok(format!(
            "{} messages there and back by {by}, and a close",
            messages.len()
        )),
        Err(code) => failed(format!("after close, the end is {code:?}")),
        Ok(_) => failed("after close, there is a message"),
    }
}

fn open(url: &str) -> Result<FutureConnection, Not> {
    let headers = Fields::new();
    let (name, value) = FIELD;
    if let Err(error) = headers.append(name, value.as_bytes()) {
        return failed(format!("fields.append of {name}: {error:?}"));
    }
    connect(url, &SUBPROTOCOLS.map(String::from), Some(headers), None).granted("connect")
}

/// The connection that `future` has, waiting for it.
fn taken(future: &FutureConnection) -> Result<Connection, Not> {
    wait::one("connection", future.subscribe())?;
    match future.get() {
        Some(Ok(result)) => result.granted("connection"),
        Some(Err(())) => failed("future-connection.get: taken before"),
        None => failed("future-connection.get: ready, and not there"),
    }
}

fn send(connection: &Connection, message: &Message) -> Result<(), Not> {
    loop {
        let room = connection.check_send().or_failed("check-send")?;
        if room > 0 {
            let len = parts(message).1.len();
            ensure(room >= len as u64, || {
                format!("check-send: room for {room} bytes of {len}")
            })?;
            return connection.send(message).or_failed("send");
        }
        wait::one("send", connection.subscribe_send())?;
    }
}

/// The next message, or how the connection ended.
fn receive(connection: &Connection) -> Result<Result<Message, ErrorCode>, Not> {
    loop {
        match connection.receive() {
            Ok(Some(message)) => return Ok(Ok(message)),
            Ok(None) => wait::one("receive", connection.subscribe_receive())?,
            Err(end) => return Ok(Err(end)),
        }
    }
}

/// Whether a message is a text, and its bytes.
pub fn parts(message: &Message) -> (bool, &[u8]) {
    match message {
        Message::Text(text) => (true, text.as_bytes()),
        Message::Binary(bytes) => (false, bytes),
    }
}

fn same(got: &Message, expected: &Message) -> Result<(), Not> {
    let ((got_text, got), (text, expected)) = (parts(got), parts(expected));
    ensure(got_text == text, || "the echo is of another type".into())?;
    streams::same("the echo", got, expected)
}
