//! Bindings for wasmtime.

#[cfg(feature = "p2")]
pub mod p2;
#[cfg(feature = "p3")]
pub mod p3;

use crate::WasiCliCtx;
use wasmtime::Result;
use wasmtime::component::{HasData, Resource, ResourceTable};

/// A `terminal-input`: says only that there is one.
#[derive(Debug)]
pub struct TerminalInput(pub(super) ());

/// A `terminal-output`: says only that there is one.
#[derive(Debug)]
pub struct TerminalOutput(pub(super) ());

/// A store's state that has `wasi:cli` in it.
pub trait WasiCliView: Send {
    /// The parts that the bindings work on.
    fn cli(&mut self) -> WasiCliCtxView<'_>;
}

impl<T: WasiCliView + ?Sized> WasiCliView for &mut T {
    fn cli(&mut self) -> WasiCliCtxView<'_> {
        T::cli(self)
    }
}

/// The parts of a store's state that `wasi:cli` works on.
pub struct WasiCliCtxView<'a> {
    /// The guest's surroundings.
    pub ctx: &'a WasiCliCtx,
    /// The guest's resources.
    pub table: &'a mut ResourceTable,
}

/// Names [`WasiCliCtxView`] for the generated bindings.
pub struct WasiCli;

impl HasData for WasiCli {
    type Data<'a> = WasiCliCtxView<'a>;
}

/// A resource for what is a terminal, and none for what is not.
fn terminal<T: Send + 'static>(
    table: &mut ResourceTable,
    is_terminal: bool,
    resource: T,
) -> Result<Option<Resource<T>>> {
    Ok(is_terminal.then(|| table.push(resource)).transpose()?)
}
