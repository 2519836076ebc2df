//! Bindings for wasmtime.

#[macro_use]
mod convert;
#[cfg(feature = "p2")]
pub mod p2;
#[cfg(feature = "p3")]
pub mod p3;
#[cfg(all(feature = "websocket", feature = "p2"))]
pub mod websocket;

use crate::WasiHttpCtx;
use wasmtime::component::{HasData, ResourceTable};

/// A store's state that has `wasi:http` in it.
pub trait WasiHttpView: Send {
    /// The parts that the bindings work on.
    fn http(&mut self) -> WasiHttpCtxView<'_>;
}

impl<T: WasiHttpView + ?Sized> WasiHttpView for &mut T {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        T::http(self)
    }
}

/// The parts of a store's state that `wasi:http` works on.
pub struct WasiHttpCtxView<'a> {
    /// The guest's client and limits.
    pub ctx: &'a WasiHttpCtx,
    /// The guest's resources.
    pub table: &'a mut ResourceTable,
}

/// Names [`WasiHttpCtxView`] for the generated bindings.
pub struct WasiHttp;

impl HasData for WasiHttp {
    type Data<'a> = WasiHttpCtxView<'a>;
}
