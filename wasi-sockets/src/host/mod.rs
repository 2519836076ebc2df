//! Bindings for wasmtime.

#[cfg(feature = "p2")]
pub mod p2;
#[cfg(feature = "p3")]
pub mod p3;

use crate::WasiSocketsCtx;
use wasmtime::component::{HasData, ResourceTable};

/// A store's state that has `wasi:sockets` in it.
pub trait WasiSocketsView: Send {
    /// The parts that the bindings work on.
    fn sockets(&mut self) -> WasiSocketsCtxView<'_>;
}

impl<T: WasiSocketsView + ?Sized> WasiSocketsView for &mut T {
    fn sockets(&mut self) -> WasiSocketsCtxView<'_> {
        T::sockets(self)
    }
}

/// The parts of a store's state that `wasi:sockets` works on.
pub struct WasiSocketsCtxView<'a> {
    /// The guest's network, grants and limits.
    pub ctx: &'a WasiSocketsCtx,
    /// The guest's resources.
    pub table: &'a mut ResourceTable,
}

/// Names [`WasiSocketsCtxView`] for the generated bindings.
pub struct WasiSockets;

impl HasData for WasiSockets {
    type Data<'a> = WasiSocketsCtxView<'a>;
}
