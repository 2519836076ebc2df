//! WASI 0.3 for wasmtime.

pub use super::{WasiRandom, WasiRandomView};
use crate::WasiRandomCtx;
use alloc::format;
use alloc::vec::Vec;
use bindings::wasi::random::{insecure, insecure_seed, random};
use wasi_types::WASI_0_3;
use wasmtime::Result;
use wasmtime::component::Linker;

/// What the `bindgen!` of `wasi:random@0.3.0` generates. In a world of your own, map
/// `wasi:random` here with `with: { "wasi:random": wasi_random::p3::bindings::wasi::random }`.
#[allow(missing_docs)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/p3",
        world: "wasi:random/imports",
        imports: { default: trappable },
        require_store_data_send: true,
    });
}

/// Links `wasi:random/random`, `wasi:random/insecure` and `wasi:random/insecure-seed`, under
/// each of the names of [`WASI_0_3`].
///
/// # Errors
/// One of them is in the linker already.
pub fn add_to_linker<T: WasiRandomView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    for version in WASI_0_3 {
        let name = |interface| format!("wasi:random/{interface}@{version}");
        let linked = &mut linker.instance(&name("random"))?;
        random::add_to_linker_instance::<T, WasiRandom>(linked, T::random)?;
        let linked = &mut linker.instance(&name("insecure"))?;
        insecure::add_to_linker_instance::<T, WasiRandom>(linked, T::random)?;
        let linked = &mut linker.instance(&name("insecure-seed"))?;
        insecure_seed::add_to_linker_instance::<T, WasiRandom>(linked, T::random)?;
    }
    Ok(())
}

impl random::Host for &WasiRandomCtx {
    fn get_random_bytes(&mut self, max_len: u64) -> Result<Vec<u8>> {
        Ok(self.bytes_up_to(max_len)?)
    }

    fn get_random_u64(&mut self) -> Result<u64> {
        Ok(self.u64()?)
    }
}

impl insecure::Host for &WasiRandomCtx {
    fn get_insecure_random_bytes(&mut self, max_len: u64) -> Result<Vec<u8>> {
        Ok(self.insecure_bytes_up_to(max_len)?)
    }

    fn get_insecure_random_u64(&mut self) -> Result<u64> {
        Ok(self.insecure_u64()?)
    }
}

impl insecure_seed::Host for &WasiRandomCtx {
    fn get_insecure_seed(&mut self) -> Result<(u64, u64)> {
        Ok(self.insecure_seed()?)
    }
}
