//! What both servers on wasmtime's HTTP host have in common.

use http_body_util::BodyExt;
use hyper::body::Incoming;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Engine, Store, StoreLimits};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p3::bindings::ServicePre;
use wasmtime_wasi_http::{WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// A guest's state.
pub(crate) struct State {
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    limits: StoreLimits,
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &mut self.http,
            table: &mut self.table,
            hooks: Default::default(),
        }
    }
}

/// A store as `wasmtime serve` makes it for request number `id`. With `epochs` a guest that
/// computes lets others have their turn at each tick.
pub(crate) fn store(engine: &Engine, id: u64, epochs: bool) -> Store<State> {
    let state = State {
        table: ResourceTable::new(),
        wasi: WasiCtx::builder().env("REQUEST_ID", id.to_string()).build(),
        http: WasiHttpCtx::new(),
        limits: StoreLimits::default(),
    };
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.limits);
    if epochs {
        store.epoch_deadline_async_yield_and_update(1);
    }
    store
}

/// Compiles and links a component of WASI 0.3.
pub(crate) fn load_p3(engine: &Engine, component: &[u8]) -> wasmtime::Result<ServicePre<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p3::add_to_linker(&mut linker)?;
    wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
    let component = Component::from_binary(engine, component)?;
    ServicePre::new(linker.instantiate_pre(&component)?)
}

/// Compiles and links.
pub(crate) fn load(engine: &Engine, component: &[u8]) -> wasmtime::Result<ProxyPre<State>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    let component = Component::from_binary(engine, component)?;
    ProxyPre::new(linker.instantiate_pre(&component)?)
}

/// A request as the host takes it.
pub(crate) fn request(request: http::Request<Incoming>) -> http::Request<WasiBody> {
    request.map(|body| body.map_err(wasmtime_wasi_http::Error::from).boxed_unsync())
}
