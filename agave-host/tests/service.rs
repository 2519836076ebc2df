//! The library without a server, on a bare executor.

use agave_host::{BoxFuture, Ctx, Executor, Host, LoadError, ServeError, Service};
use std::future::poll_fn;
use std::sync::{Arc, Mutex};
use wasi_http::memory::Empty;
use wasi_http::{Fields, Frame, Method, Request, Response};
use wasi_sockets::{LoopbackNet, NetworkPolicy};

const HELLO: &[u8] = include_bytes!("guests/hello_tiny.wasm");
const TESTBED: &[u8] = include_bytes!("guests/testbed.wasm");

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
