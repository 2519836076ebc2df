//! WASI 0.2 for wasmtime.

mod poll;
mod streams;

pub use poll::{DynPollable, subscribe, subscribe_owned};

use crate::WasiIoCtx;
use wasmtime::component::{HasData, Linker, ResourceTable};

/// What the `bindgen!` of `wasi:io@0.2.12` generates. In a world of your own, map
/// `wasi:io` here with `with: { "wasi:io": wasi_io::p2::bindings::wasi::io }`.
#[allow(missing_docs)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/p2",
        world: "wasi:io/imports",
        with: {
            "wasi:io/error.error": wasi_error::Error,
            "wasi:io/poll.pollable": super::DynPollable,
            "wasi:io/streams.input-stream": crate::DynInputStream,
            "wasi:io/streams.output-stream": crate::DynOutputStream,
        },
        imports: {
            "wasi:io/poll.poll": async | trappable,
            "wasi:io/poll.[method]pollable.block": async | trappable,
            "wasi:io/streams.[method]input-stream.blocking-read": async | trappable,
            "wasi:io/streams.[method]input-stream.blocking-skip": async | trappable,
            "wasi:io/streams.[method]output-stream.blocking-write-and-flush": async | trappable,
            "wasi:io/streams.[method]output-stream.blocking-flush": async | trappable,
            "wasi:io/streams.[method]output-stream.blocking-write-zeroes-and-flush": async | trappable,
            "wasi:io/streams.[method]output-stream.blocking-splice": async | trappable,
            default: trappable,
        },
    });
}

/// A store's state that has `wasi:io` in it.
pub trait WasiIoView: Send {
    /// The parts that the bindings work on.
    fn io(&mut self) -> WasiIoCtxView<'_>;
}

impl<T: WasiIoView + ?Sized> WasiIoView for &mut T {
    fn io(&mut self) -> WasiIoCtxView<'_> {
        T::io(self)
    }
}

/// The parts of a store's state that `wasi:io` works on.
pub struct WasiIoCtxView<'a> {
    /// The guest's limits.
    pub ctx: &'a WasiIoCtx,
    /// The guest's resources.
    pub table: &'a mut ResourceTable,
}

/// Names [`WasiIoCtxView`] for the generated bindings.
pub struct WasiIo;

impl HasData for WasiIo {
    type Data<'a> = WasiIoCtxView<'a>;
}

/// Links `wasi:io/error`, `wasi:io/poll` and `wasi:io/streams`.
///
/// # Errors
/// One of them is in the linker already.
pub fn add_to_linker<T: WasiIoView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    bindings::wasi::io::error::add_to_linker::<T, WasiIo>(linker, T::io)?;
    bindings::wasi::io::poll::add_to_linker::<T, WasiIo>(linker, T::io)?;
    bindings::wasi::io::streams::add_to_linker::<T, WasiIo>(linker, T::io)?;
    Ok(())
}
