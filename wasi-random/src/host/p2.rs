//! WASI 0.2 for wasmtime.

pub use super::{WasiRandom, WasiRandomView};
use crate::WasiRandomCtx;
use alloc::vec::Vec;
use bindings::wasi::random::{insecure, insecure_seed, random};
use wasmtime::Result;
use wasmtime::component::Linker;

/// What the `bindgen!` of `wasi:random@0.2.12` generates. In a world of your own, map
/// `wasi:random` here with `with: { "wasi:random": wasi_random::p2::bindings::wasi::random }`.
#[allow(missing_docs)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/p2",
        world: "wasi:random/imports",
        imports: { default: trappable },
        require_store_data_send: true,
    });
}

/// Links `wasi:random/random`, `wasi:random/insecure` and `wasi:random/insecure-seed`.
///
/// # Errors
/// One of them is in the linker already.
pub fn add_to_linker<T: WasiRandomView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    random::add_to_linker::<T, WasiRandom>(linker, T::random)?;
    insecure::add_to_linker::<T, WasiRandom>(linker, T::random)?;
    insecure_seed::add_to_linker::<T, WasiRandom>(linker, T::random)?;
    Ok(())
}

impl random::Host for &WasiRandomCtx {
    fn get_random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        Ok(self.bytes(len)?)
    }

    fn get_random_u64(&mut self) -> Result<u64> {
        Ok(self.u64()?)
    }
}

impl insecure::Host for &WasiRandomCtx {
    fn get_insecure_random_bytes(&mut self, len: u64) -> Result<Vec<u8>> {
        Ok(self.insecure_bytes(len)?)
    }

    fn get_insecure_random_u64(&mut self) -> Result<u64> {
        Ok(self.insecure_u64()?)
    }
}

impl insecure_seed::Host for &WasiRandomCtx {
    fn insecure_seed(&mut self) -> Result<(u64, u64)> {
        Ok(WasiRandomCtx::insecure_seed(self)?)
    }
}
