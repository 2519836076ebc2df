//! Bindings for wasmtime.

#[cfg(feature = "p2")]
pub mod p2;
#[cfg(feature = "p3")]
pub mod p3;

use crate::WasiClocksCtx;
use wasmtime::component::{HasData, ResourceTable};

/// A store's state that has `wasi:clocks` in it.
pub trait WasiClocksView: Send {
    /// The parts that the bindings work on.
    fn clocks(&mut self) -> WasiClocksCtxView<'_>;
}

impl<T: WasiClocksView + ?Sized> WasiClocksView for &mut T {
    fn clocks(&mut self) -> WasiClocksCtxView<'_> {
        T::clocks(self)
    }
}

/// The parts of a store's state that `wasi:clocks` works on.
pub struct WasiClocksCtxView<'a> {
    /// The guest's clocks.
    pub ctx: &'a WasiClocksCtx,
    /// The guest's resources.
    pub table: &'a mut ResourceTable,
}

/// Names [`WasiClocksCtxView`] for the generated bindings.
pub struct WasiClocks;

impl HasData for WasiClocks {
    type Data<'a> = WasiClocksCtxView<'a>;
}
