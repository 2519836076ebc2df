//! `agave:websocket@0.1.0` over WASI 0.2, for wasmtime.

mod client;
mod convert;
mod types;

use crate::websocket::{UpgradeRequest, WasiWebSocketCtx};
use wasmtime::Result;
use wasmtime::component::{HasData, Linker, Resource, ResourceTable};

/// What the `bindgen!` of `agave:websocket@0.1.0` generates. In a world of your own, map
/// `agave:websocket` here with
/// `with: { "agave:websocket": wasi_http::websocket::p2::bindings::agave::websocket }`.
#[allow(missing_docs)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "websocket/wit",
        world: "agave:websocket/imports",
        with: {
            "wasi:io": wasi_io::p2::bindings::wasi::io,
            "wasi:clocks": wasi_clocks::p2::bindings::wasi::clocks,
            "wasi:http": crate::p2::bindings::wasi::http,
            "agave:websocket/types.connection": crate::websocket::Connection,
            "agave:websocket/types.outgoing-message": crate::websocket::OutgoingMessage,
            "agave:websocket/types.upgrade-request": crate::websocket::UpgradeRequest,
            "agave:websocket/client.future-connection": crate::websocket::FutureConnection,
        },
        imports: {
            "agave:websocket/types.[method]connection.blocking-receive": async | trappable,
            "agave:websocket/types.[method]connection.blocking-send": async | trappable,
            default: trappable,
        },
        require_store_data_send: true,
    });
}

/// A store's state that has `agave:websocket` in it.
pub trait WasiWebSocketView: Send {
    /// The parts that the bindings work on.
    fn websocket(&mut self) -> WasiWebSocketCtxView<'_>;
}

impl<T: WasiWebSocketView + ?Sized> WasiWebSocketView for &mut T {
    fn websocket(&mut self) -> WasiWebSocketCtxView<'_> {
        T::websocket(self)
    }
}

/// The parts of a store's state that `agave:websocket` works on.
pub struct WasiWebSocketCtxView<'a> {
    /// The guest's connector and limits.
    pub ctx: &'a WasiWebSocketCtx,
    /// The guest's resources.
    pub table: &'a mut ResourceTable,
}

/// Names [`WasiWebSocketCtxView`] for the generated bindings.
pub struct WasiWebSocket;

impl HasData for WasiWebSocket {
    type Data<'a> = WasiWebSocketCtxView<'a>;
}

/// Links `agave:websocket/types` and `agave:websocket/client`. They refer to `wasi:io` and
/// `wasi:http`, which [`wasi_io::p2::add_to_linker`] and
/// [`p2::add_to_linker`](crate::p2::add_to_linker) link.
///
/// # Errors
/// One of them is in the linker already.
pub fn add_to_linker<T: WasiWebSocketView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    use bindings::agave::websocket::{client, types};
    types::add_to_linker::<T, WasiWebSocket>(linker, T::websocket)?;
    client::add_to_linker::<T, WasiWebSocket>(linker, T::websocket)?;
    Ok(())
}

/// A new `upgrade-request`, for `handler.handle`.
///
/// # Errors
/// The table is full.
pub fn new_upgrade_request(
    table: &mut ResourceTable,
    request: UpgradeRequest,
) -> Result<Resource<UpgradeRequest>> {
    Ok(table.push(request)?)
}
