//! wasmtime's HTTP host with the settings of `wasmtime serve`: its defaults.

use super::Guest;
use super::wasmtime_http::{self as common, State};
use super::{AT_ONCE, REUSE, Settings};
use crate::Failure;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::time::Sleep;
use wasmtime::component::GuestTaskId;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, Store, StoreContextMut};
use wasmtime_wasi_http::WasiHttpView;
use wasmtime_wasi_http::handler::{
    HandlerState, Instance, ProxyHandler, ProxyPre, ShouldAccept, WorkerExpiration, WorkerState,
    WorkerStatus,
};

/// How often epochs tick, which they do only for a timeout.
const TICK: Duration = Duration::from_millis(50);

pub(crate) fn run(guest: Guest, settings: Settings) -> Result<(), Failure> {
    let Settings { timeout, reuse } = settings;
    let component = guest.component()?;
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    config.allocation_strategy(InstanceAllocationStrategy::pooling());
    config.epoch_interruption(timeout.is_some());
    let engine = Engine::new(&config)?;
    if timeout.is_some() {
        let engine = engine.clone();
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(TICK);
                engine.increment_epoch();
            }
        });
    }
    let program = match guest {
        Guest::HelloP3 => ProxyPre::P3(common::load_p3(&engine, &component)?),
        _ => ProxyPre::P2(common::load(&engine, &component)?),
    };
    let handler = ProxyHandler::new(Handler {
        engine,
        program,
        requests: AtomicU64::new(0),
        timeout,
        reuse,
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(super::accept(move |stream| {
        let handler = handler.clone();
        let answer = service_fn(move |request| {
            let handler = handler.clone();
            async move { handler.handle((), common::request(request)).await }
        });
        async move {
            // The client sees a failure as a connection that closes.
            let _ = http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        }
    }))
}

struct Handler {
    engine: Engine,
    program: ProxyPre<State>,
    requests: AtomicU64,
    timeout: Option<Duration>,
    reuse: bool,
}

impl HandlerState for Handler {
    type StoreData = State;
    type WorkerExpiration = Expiration;
    type WorkerState = Worker;

    async fn instantiate(&self) -> wasmtime::Result<Instance<State, Expiration, Worker>> {
        let id = self.requests.fetch_add(1, Ordering::Relaxed);
        let mut store = common::store(&self.engine, id, self.timeout.is_some());
        let proxy = self.program.instantiate_async(&mut store).await?;
        Ok(Instance {
            store,
            proxy,
            view: |state| state.http(),
            expiration: Expiration {
                timeout: self.timeout,
                sleep: None,
            },
            state: Worker {
                timeout: self.timeout,
                reuse: self.reuse,
            },
        })
    }
}

/// The timeout as it is seen from outside of the guest.
struct Expiration {
    timeout: Option<Duration>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl WorkerExpiration for Expiration {
    fn poll(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: WorkerStatus,
        start: Instant,
    ) -> Poll<()> {
        let Some(timeout) = self.timeout else {
            return Poll::Pending;
        };
        let deadline = (start + timeout).into();
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        sleep.as_mut().poll(cx)
    }
}

/// An instance.
struct Worker {
    timeout: Option<Duration>,
    reuse: bool,
}

impl WorkerState for Worker {
    type StoreData = State;
    type RequestData = ();

    fn should_accept_request(&self, at_once: usize, so_far: usize) -> ShouldAccept {
        match self.reuse {
            _ if so_far == 0 => ShouldAccept::Yes,
            true if so_far >= REUSE => ShouldAccept::Never,
            true if at_once >= AT_ONCE => ShouldAccept::No,
            true => ShouldAccept::Yes,
            false => ShouldAccept::Never,
        }
    }

    fn on_request_start(
        &self,
        _: StoreContextMut<'_, State>,
        (): (),
        _: GuestTaskId,
    ) -> Pin<Box<dyn Future<Output = ()> + 'static + Send + Sync>> {
        match self.timeout {
            Some(timeout) => Box::pin(tokio::time::sleep(timeout)),
            None => Box::pin(std::future::pending()),
        }
    }

    fn drop(&self, _: Store<State>, result: wasmtime::Result<()>) {
        if let Err(error) = result {
            eprintln!("{error:?}");
        }
    }
}
