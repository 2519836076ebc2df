//! The host functions of `agave:websocket`, called as a linker calls them.
#![cfg(all(feature = "p2", feature = "websocket"))]

use std::sync::Arc;
use wasi_http::websocket::p2::bindings::agave::websocket::{client, types::*};
use wasi_http::websocket::p2::{self, WasiWebSocketCtxView, WasiWebSocketView};
use wasi_http::websocket::{self, Handshake, Limits, Socket, WasiWebSocketCtx, memory};
use wasi_http::{BoxFuture, Fields, GuestFields, Method, Request, Response, Scheme};
use wasi_io::sync::Mutex;
use wasi_io::{DynInputStream, DynOutputStream};
use wasmtime::component::{Linker, Resource, ResourceTable};

struct State {
    ctx: WasiWebSocketCtx,
    table: ResourceTable,
    there: Arc<Mutex<Vec<websocket::Connection>>>,
}

impl WasiWebSocketView for State {
    fn websocket(&mut self) -> WasiWebSocketCtxView<'_> {
        WasiWebSocketCtxView {
            ctx: &self.ctx,
            table: &mut self.table,
        }
    }
}

/// Connects to this test, which takes the other ends.
struct Here(Arc<Mutex<Vec<websocket::Connection>>>);

impl Here {
    fn connect(&self, limits: Limits) -> Box<dyn Socket> {
        let (here, there) = memory::pair(limits.queue);
        let there = websocket::Connection::new(Box::new(there), None, limits);
        self.0.lock().push(there);
        Box::new(here)
    }
}

impl websocket::Connector for Here {
    fn connect(
        &self,
        handshake: Handshake,
        limits: Limits,
    ) -> BoxFuture<Result<websocket::Established, websocket::ErrorCode>> {
        let made = websocket::Established {
            socket: self.connect(limits),
            subprotocol: handshake.subprotocols.first().cloned(),
        };
        Box::pin(core::future::ready(Ok(made)))
    }
}

impl websocket::Responder for Here {
    fn accept(
        self: Box<Self>,
        _: Option<String>,
        _: Fields,
        limits: Limits,
    ) -> Result<Box<dyn Socket>, websocket::ErrorCode> {
        Ok(self.connect(limits))
    }

    fn refuse(self: Box<Self>, _: Response) {}
}

impl State {
    fn new() -> Self {
        let there = Arc::default();
        let connector = Here(Arc::clone(&there));
        Self {
            ctx: WasiWebSocketCtx::new().connector(Arc::new(connector)),
            table: ResourceTable::new(),
            there,
        }
    }

    /// A guest's connection, and the other end of it.
    fn connected(&mut self) -> (Resource<websocket::Connection>, websocket::Connection) {
        let mut view = self.websocket();
        let names = vec!["chat".to_string()];
        let future = client::Host::connect(&mut view, "ws://a".into(), names, None, None);
        let future = future.unwrap().unwrap();
        let made = client::HostFutureConnection::get(&mut view, borrow(&future)).unwrap();
        let connection = made.unwrap().unwrap().unwrap();
        let again = client::HostFutureConnection::get(&mut view, borrow(&future)).unwrap();
        assert!(matches!(again, Some(Err(()))));
        client::HostFutureConnection::drop(&mut view, future).unwrap();
        (connection, self.there.lock().pop().unwrap())
    }
}

fn borrow<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

fn own<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_own(resource.rep())
}

#[test]
fn both_interfaces_are_linked_once() {
    let engine = wasmtime::Engine::default();
    let mut linker = Linker::<State>::new(&engine);
    p2::add_to_linker(&mut linker).unwrap();
    assert!(p2::add_to_linker(&mut linker).is_err());
}

#[test]
fn messages_go_both_ways_and_a_close_ends_them() {
    let mut state = State::new();
    let (connection, mut there) = state.connected();
    let mut view = state.websocket();
    let name = HostConnection::subprotocol(&mut view, borrow(&connection)).unwrap();
    assert_eq!(name.as_deref(), Some("chat"));
    let none = HostConnection::receive(&mut view, borrow(&connection)).unwrap();
    assert!(matches!(none, Ok(None)));
    let longest = HostConnection::check_send(&mut view, borrow(&connection)).unwrap();
    assert!(matches!(longest, Ok(len) if len == 16 << 20));
    let text = Message::Text("a".into());
    HostConnection::send(&mut view, borrow(&connection), text)
        .unwrap()
        .unwrap();
    let binary = Message::Binary(vec![1]);
    let sent = HostConnection::blocking_send(&mut view, borrow(&connection), binary);
    pollster::block_on(sent).unwrap().unwrap();
    let got = [there.receive(), there.receive()].map(|message| message.unwrap().unwrap());
    let binary = websocket::Message::Binary(vec![1].into());
    assert_eq!(got, [websocket::Message::Text("a".into()), binary]);

    there.send(websocket::Message::Text("b".into())).unwrap();
    let got = HostConnection::blocking_receive(&mut view, borrow(&connection));
    let got = pollster::block_on(got).unwrap();
    assert!(matches!(got, Ok(Message::Text(text)) if text == "b"));
    let status = CloseStatus {
        code: 3001,
        reason: "r".into(),
    };
    there.close(Some(status.into())).unwrap();
    let ended = HostConnection::ended(&mut view, borrow(&connection)).unwrap();
    let Some(ErrorCode::ClosedByPeer(Some(status))) = ended else {
        panic!("{ended:?}");
    };
    assert_eq!((status.code, &*status.reason), (3001, "r"));
    let closed = HostConnection::close(&mut view, borrow(&connection), None).unwrap();
    assert!(matches!(closed, Err(ErrorCode::ClosedByPeer(_))));
    HostConnection::drop(&mut view, connection).unwrap();
    assert!(state.table.is_empty());
}

#[test]
fn streams_and_messages_are_children_of_their_connection() {
    let mut state = State::new();
    let (connection, mut there) = state.connected();
    let mut view = state.websocket();
    let message = HostConnection::send_stream(&mut view, borrow(&connection), MessageType::Text);
    let message = message.unwrap().unwrap();
    let stream: Resource<DynOutputStream> = HostOutgoingMessage::write(&mut view, borrow(&message))
        .unwrap()
        .unwrap();
    assert!(
        HostOutgoingMessage::write(&mut view, borrow(&message))
            .unwrap()
            .is_err()
    );
    assert!(HostConnection::drop(&mut view, own(&connection)).is_err());
    assert!(HostOutgoingMessage::drop(&mut view, own(&message)).is_err());
    let output = view.table.get_mut(&stream).unwrap();
    output.check_write().unwrap();
    output.write(b"a").unwrap().unwrap();
    view.table.delete(stream).unwrap();
    HostOutgoingMessage::finish(&mut view, message)
        .unwrap()
        .unwrap();
    let got = there.receive().unwrap().unwrap();
    assert_eq!(got, websocket::Message::Text("a".into()));

    there.send(got).unwrap();
    let begun = HostConnection::receive_stream(&mut view, borrow(&connection)).unwrap();
    let (kind, stream): (_, Resource<DynInputStream>) = begun.unwrap().unwrap();
    assert!(matches!(kind, MessageType::Text));
    assert!(HostConnection::drop(&mut view, own(&connection)).is_err());
    assert_eq!(view.table.get_mut(&stream).unwrap().read(9).unwrap(), "a");
    view.table.delete(stream).unwrap();

    let pollables = [
        HostConnection::subscribe_receive(&mut view, borrow(&connection)).unwrap(),
        HostConnection::subscribe_send(&mut view, borrow(&connection)).unwrap(),
    ];
    for pollable in pollables {
        view.table.delete(pollable).unwrap();
    }
    HostConnection::drop(&mut view, connection).unwrap();
    assert!(state.table.is_empty());
}

#[test]
fn a_request_is_answered_by_the_guest() {
    let mut state = State::new();
    let there = state.there.clone();
    let request = || {
        let mut headers = Fields::new();
        headers.append("sec-websocket-protocol", "a").unwrap();
        let request = Request {
            method: Method::Get,
            scheme: Some(Scheme::Http),
            authority: Some("a.example".into()),
            path_with_query: Some("/p".into()),
            headers,
            body: Box::new(wasi_http::memory::Empty),
            grant: None,
        };
        websocket::UpgradeRequest::new(request, Box::new(Here(there.clone())))
    };
    let asked = p2::new_upgrade_request(&mut state.table, request()).unwrap();
    let mut view = state.websocket();
    let path = HostUpgradeRequest::path_with_query(&mut view, borrow(&asked)).unwrap();
    assert_eq!(path.as_deref(), Some("/p"));
    let authority = HostUpgradeRequest::authority(&mut view, borrow(&asked)).unwrap();
    assert_eq!(authority.as_deref(), Some("a.example"));
    let names = HostUpgradeRequest::subprotocols(&mut view, borrow(&asked)).unwrap();
    assert_eq!(names, ["a"]);
    let headers: Resource<GuestFields> =
        HostUpgradeRequest::headers(&mut view, borrow(&asked)).unwrap();
    view.table.delete(headers).unwrap();
    let name = Some("a".to_string());
    let accepted = HostUpgradeRequest::accept(&mut view, asked, name, None).unwrap();
    HostConnection::drop(&mut view, accepted.unwrap()).unwrap();
    let end = there.lock().pop().unwrap().receive().unwrap_err();
    assert!(matches!(end, websocket::ErrorCode::ClosedByPeer(Some(status)) if status.code == 1001));

    let asked = p2::new_upgrade_request(&mut state.table, request()).unwrap();
    let mut view = state.websocket();
    let refused = HostUpgradeRequest::refuse(&mut view, asked, 101, None, None).unwrap();
    assert!(matches!(refused, Err(ErrorCode::InvalidArgument)));
    assert!(state.table.is_empty());
}

#[test]
fn a_streams_error_has_its_code_in_it() {
    let mut state = State::new();
    let code = websocket::ErrorCode::MessageTooBig(7);
    for (error, expected) in [
        (wasi_io::Error::new(code), true),
        (wasi_io::Error::new(wasi_http::ErrorCode::DnsTimeout), false),
    ] {
        let error = state.table.push(error).unwrap();
        let code = Host::websocket_error_code(&mut state.websocket(), error).unwrap();
        assert_eq!(matches!(code, Some(ErrorCode::MessageTooBig(7))), expected);
    }
}
