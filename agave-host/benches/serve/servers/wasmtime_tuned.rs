//! wasmtime's HTTP host on our engine with our pool, and with an executor a core.

use super::wasmtime_http::{self as common, State};
use crate::Failure;
use agave_host::Host;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use wasmtime::Engine;
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::Scheme;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

pub(crate) fn run(component: &[u8], timeout: Option<Duration>) -> Result<(), Failure> {
    let host = Host::builder().build()?;
    let program = Arc::new(Program {
        pre: common::load(host.engine(), component)?,
        engine: host.engine().clone(),
        timeout,
    });
    let listener = TcpListener::bind(super::ANY_PORT)?;
    println!("{}", listener.local_addr()?);
    let mut cores = Vec::new();
    for _ in 0..thread::available_parallelism()?.get() {
        let (sender, streams) = mpsc::unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let program = program.clone();
        thread::spawn(move || runtime.block_on(core(streams, program)));
        cores.push(sender);
    }
    // In turn.
    for core in cores.iter().cycle() {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        core.send(stream)?;
    }
    Ok(())
}

async fn core(mut streams: mpsc::UnboundedReceiver<std::net::TcpStream>, program: Arc<Program>) {
    while let Some(stream) = streams.recv().await {
        let stream = TcpStream::from_std(stream).expect("a connection that was accepted");
        let program = program.clone();
        let answer = service_fn(move |request| answer(program.clone(), request));
        tokio::spawn(async move {
            // The client sees a failure as a connection that closes.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

struct Program {
    engine: Engine,
    pre: ProxyPre<State>,
    timeout: Option<Duration>,
}

async fn answer(
    program: Arc<Program>,
    request: http::Request<Incoming>,
) -> Result<http::Response<HyperOutgoingBody>, Failure> {
    let (sender, response) = oneshot::channel();
    let mut store = common::store(&program.engine, 0, true);
    let state = store.data_mut();
    let request = state
        .http()
        .new_incoming_request(Scheme::Http, common::request(request))?;
    let outparam = state.http().new_response_outparam(sender)?;
    let guest = async move {
        let call = async {
            let proxy = program.pre.instantiate_async(&mut store).await?;
            let handler = proxy.wasi_http_incoming_handler();
            handler.call_handle(&mut store, request, outparam).await
        };
        match program.timeout {
            Some(timeout) => tokio::time::timeout(timeout, call).await?,
            None => call.await,
        }
    };
    // It goes on after the head of its response.
    let guest = tokio::spawn(guest);
    match response.await {
        Ok(response) => Ok(response?),
        Err(_) => Err(match guest.await? {
            Err(error) => error.into(),
            Ok(()) => "no response".into(),
        }),
    }
}
