//! The library without a server, on a bare executor.

use agave_host::{BoxFuture, Ctx, Executor, Host, Limits, LoadError, ServeError, Service};
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use tokio::sync::oneshot;
use wasi_clocks::WasiClocksCtx;
use wasi_clocks::manual::ManualClock;
use wasi_http::memory::Empty;
use wasi_http::websocket::{self, Connection, ErrorCode, Message, Responder, Socket};
use wasi_http::{Fields, Frame, Method, Request, Response};
use wasi_random::WasiRandomCtx;
use wasi_sockets::{LoopbackNet, NetworkPolicy};

const HELLO: &[u8] = include_bytes!("guests/hello_tiny.wasm");
const TESTBED: &[u8] = include_bytes!("guests/testbed.wasm");
const WS_ECHO: &[u8] = include_bytes!("guests/ws_echo.wasm");

/// Keeps what it is to run until the test runs it.
#[derive(Clone, Default)]
struct Later(Arc<Mutex<Vec<BoxFuture<()>>>>);

impl Executor for Later {
    fn spawn(&self, task: BoxFuture<()>) {
        self.0.lock().unwrap().push(task);
    }
}

fn get(path: &str) -> Request {
    Request {
        method: Method::Get,
        scheme: None,
        authority: Some("localhost".into()),
        path_with_query: Some(path.into()),
        headers: Fields::new(),
        body: Box::new(Empty),
        grant: None,
    }
}

#[test]
fn a_guest_that_returns_at_once_needs_no_executor() {
    let later = Later::default();
    let program = Host::builder().build().unwrap().load(HELLO).unwrap();
    let service = Service::new(program, |_| Ctx::builder().build(), Arc::new(later.clone()));
    let service = service.unwrap();
    for _ in 0..3 {
        let mut response = pollster::block_on(service.handle(get("/"))).unwrap();
        assert_eq!(response.status, 200);
        // All of it is there, so a server can send head and content in one write.
        assert_eq!(response.body.remaining(), Some(12));
        let frame = pollster::block_on(poll_fn(|cx| response.body.poll_frame(cx)));
        let Some(Ok(Frame::Data(data))) = frame else {
            panic!("no content");
        };
        assert_eq!(data, "hello world\n");
        assert!(response.body.is_end());
    }
    assert!(later.0.lock().unwrap().is_empty());
}

#[test]
fn a_failure_is_reported_once_and_given_to_who_waits() {
    let reports = Arc::new(Mutex::new(Vec::new()));
    let told = reports.clone();
    let program = Host::builder().build().unwrap().load(TESTBED).unwrap();
    let service = Service::new(
        program,
        |_| Ctx::builder().build(),
        Arc::new(Later::default()),
    )
    .unwrap()
    .report(move |number, error| told.lock().unwrap().push((number, error.to_string())));
    let trapped = pollster::block_on(service.handle(get("/trap")));
    let Err(ServeError::Failed(cause)) = trapped else {
        panic!("it did not trap");
    };
    assert_eq!(
        cause.downcast_ref(),
        Some(&wasmtime::Trap::UnreachableCodeReached)
    );
    let nothing = pollster::block_on(service.handle(get("/noresponse")));
    assert!(matches!(nothing, Err(ServeError::NoResponse)));
    let reports = reports.lock().unwrap();
    assert_eq!(reports.len(), 2, "{reports:?}");
    assert_eq!(reports[0].0, 1);
    assert!(reports[0].1.contains("unreachable"), "{reports:?}");
    assert_eq!(reports[0].1.lines().count(), 1, "{reports:?}");
}

#[test]
fn a_policy_decides_where_a_guest_sends_requests() {
    let refusals = Arc::new(Mutex::new(Vec::new()));
    let told = refusals.clone();
    let policy = NetworkPolicy::new()
        .allow("*.example.com:80".parse().unwrap())
        .report(move |refusal| told.lock().unwrap().push(refusal.to_string()));
    let client = Arc::new(wasi_http::memory::Service::new(|_, _| {
        Ok(Response {
            status: 204,
            headers: Fields::new(),
            body: Box::new(Empty),
        })
    }));
    let program = Host::builder().build().unwrap().load(TESTBED).unwrap();
    let ctx = move |_| {
        let network = Arc::new(LoopbackNet::new());
        let ctx = Ctx::builder().network_policy(&policy, network, client.clone());
        ctx.build()
    };
    let service = Service::new(program, ctx, Arc::new(Later::default())).unwrap();
    for (host, status, refused) in [
        ("a.example.com", 204, 0),
        ("example.com", 502, 1),
        ("a.example.com:81", 502, 1),
        ("b.example.com:80", 204, 0),
    ] {
        let request = get(&format!("/proxy?url=http://{host}/"));
        let response = pollster::block_on(service.handle(request)).unwrap();
        assert_eq!(response.status, status, "{host}");
        let told = std::mem::take(&mut *refusals.lock().unwrap());
        assert_eq!(told.len(), refused, "{host}: {told:?}");
    }
}

#[test]
fn what_is_no_program_is_refused_with_a_reason() {
    let host = Host::builder().build().unwrap();
    assert!(matches!(host.load(b"not wasm"), Err(LoadError::NotWasm)));
    let module = b"\0asm\x01\0\0\0";
    let program = host.load(module).unwrap();
    assert!(program.is_module() && !program.is_command() && !program.is_proxy());
    let ctx = |_| Ctx::builder().build();
    let service = Service::new(program, ctx, Arc::new(Later::default()));
    assert!(matches!(service.err(), Some(LoadError::CoreModule)));
    let empty = b"\0asm\x0d\0\x01\0";
    let program = host.load(empty).unwrap();
    let service = Service::new(
        program,
        |_| Ctx::builder().build(),
        Arc::new(Later::default()),
    );
    let error = service.err().expect("it exports nothing");
    assert!(
        error.to_string().contains("wasi:http/incoming-handler"),
        "{error}"
    );
    let broken = b"\0asm\x0d\0\x01\0\xff";
    assert!(matches!(host.load(broken), Err(LoadError::Invalid(_))));
}

/// Accepts with one end of a connection in memory.
struct Accepting(websocket::memory::PairSocket, oneshot::Sender<u16>);

impl Responder for Accepting {
    fn accept(
        self: Box<Self>,
        _: Option<String>,
        _: Fields,
        _: websocket::Limits,
    ) -> Result<Box<dyn Socket>, ErrorCode> {
        let Self(socket, answer) = *self;
        answer.send(101).unwrap();
        Ok(Box::new(socket))
    }

    fn refuse(self: Box<Self>, response: Response) {
        self.1.send(response.status).unwrap();
    }
}

#[test]
fn a_guests_time_counts_while_it_has_no_websocket() {
    const SECOND: u64 = 1_000_000_000;
    let clock = ManualClock::default();
    let clocks = WasiClocksCtx::new(clock.clone(), clock.clone());
    let ctx = move |_| {
        Ctx::with(clocks.clone(), WasiRandomCtx::default())
            .limits(Limits::new().timeout(Some(SECOND)))
            .build()
    };
    let (later, reports) = (Later::default(), Arc::new(Mutex::new(Vec::new())));
    let told = reports.clone();
    // No turn ends before the guest waits, however slow the machine.
    let host = Host::builder().epochs(false).build().unwrap();
    let program = host.load(WS_ECHO).unwrap();
    let service = Service::new(program, ctx, Arc::new(later.clone())).unwrap();
    let service = service
        .report(move |number, error| told.lock().unwrap().push((number, error.is_timeout())));
    assert!(service.answers_websocket() && !service.answers_http());

    let upgrade = |path: &str| {
        let limits = websocket::Limits::default();
        let (here, there) = websocket::memory::pair(limits.queue);
        let (answer, answered) = oneshot::channel();
        let responder = Box::new(Accepting(there, answer));
        let request = websocket::UpgradeRequest::new(get(path), responder);
        let answered = async { answered.await.ok() };
        let client = Connection::new(Box::new(here), None, limits);
        (client, Box::pin(service.upgrade(request, answered, ())))
    };
    let cx = &mut Context::from_waker(Waker::noop());

    // It takes too long to accept.
    let (_client, mut answer) = upgrade("/slow");
    assert!(answer.as_mut().poll(cx).is_pending());
    clock.advance(SECOND);
    let Poll::Ready(Err(error)) = answer.as_mut().poll(cx) else {
        panic!("it has time");
    };
    assert!(error.is_timeout(), "{error}");

    let (mut client, answer) = upgrade("/echo");
    let (status, serving) = pollster::block_on(answer).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(status, 101);
    let (leave, gone) = oneshot::channel::<()>();
    serving.connected(async { drop(gone.await) });
    let mut task = later.0.lock().unwrap().pop().expect("it goes on");
    clock.advance(10 * SECOND);
    assert!(task.as_mut().poll(cx).is_pending());
    let hello = Message::Text("hello".into());
    client.send(hello.clone()).unwrap();
    assert!(task.as_mut().poll(cx).is_pending());
    assert_eq!(client.receive(), Ok(Some(hello)));

    // The network says that it has gone before the guest is told.
    drop(leave);
    assert!(task.as_mut().poll(cx).is_pending());
    assert_eq!(reports.lock().unwrap()[..], [(1, true)]);
    clock.advance(SECOND);
    assert!(task.as_mut().poll(cx).is_ready());
    assert_eq!(reports.lock().unwrap()[..], [(1, true), (2, true)]);
}
