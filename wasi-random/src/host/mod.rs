//! Bindings for wasmtime.

#[cfg(feature = "p2")]
pub mod p2;
#[cfg(feature = "p3")]
pub mod p3;

use crate::WasiRandomCtx;
use wasmtime::component::HasData;

/// A store's state that has `wasi:random` in it.
pub trait WasiRandomView: Send {
    /// The guest's randomness.
    fn random(&mut self) -> &WasiRandomCtx;
}

impl<T: WasiRandomView + ?Sized> WasiRandomView for &mut T {
    fn random(&mut self) -> &WasiRandomCtx {
        T::random(self)
    }
}

/// Names the reference to [`WasiRandomCtx`] for the generated bindings.
pub struct WasiRandom;

impl HasData for WasiRandom {
    type Data<'a> = &'a WasiRandomCtx;
}
