//! Bindings for wasmtime.

#[cfg(feature = "p2")]
pub mod p2;
#[cfg(feature = "p3")]
pub mod p3;

use crate::WasiFilesystemCtx;
use wasmtime::component::{HasData, ResourceTable};

/// A store's state that has `wasi:filesystem` in it.
pub trait WasiFilesystemView: Send {
    /// The parts that the bindings work on.
    fn filesystem(&mut self) -> WasiFilesystemCtxView<'_>;
}

impl<T: WasiFilesystemView + ?Sized> WasiFilesystemView for &mut T {
    fn filesystem(&mut self) -> WasiFilesystemCtxView<'_> {
        T::filesystem(self)
    }
}

/// The parts of a store's state that `wasi:filesystem` works on.
pub struct WasiFilesystemCtxView<'a> {
    /// The guest's directories and limits.
    pub ctx: &'a mut WasiFilesystemCtx,
    /// The guest's resources.
    pub table: &'a mut ResourceTable,
}

/// Names [`WasiFilesystemCtxView`] for the generated bindings.
pub struct WasiFilesystem;

impl HasData for WasiFilesystem {
    type Data<'a> = WasiFilesystemCtxView<'a>;
}
