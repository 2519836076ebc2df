//! WASI 0.3 for wasmtime.

mod convert;
mod streams;
mod types;

pub use super::{WasiFilesystem, WasiFilesystemCtxView, WasiFilesystemView};
use crate::Descriptor;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use bindings::wasi::filesystem::preopens;
use wasi_types::WASI_0_3;
use wasmtime::Result;
use wasmtime::component::{Linker, Resource};

/// What the `bindgen!` of `wasi:filesystem@0.3.0` generates. In a world of your own, map
/// `wasi:filesystem` here with
/// `with: { "wasi:filesystem": wasi_filesystem::p3::bindings::wasi::filesystem }`.
#[allow(missing_docs)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/p3",
        world: "wasi:filesystem/imports",
        with: {
            "wasi:clocks": wasi_clocks::p3::bindings::wasi::clocks,
            "wasi:filesystem/types.descriptor": crate::Descriptor,
        },
        imports: {
            // What makes or takes streams. All else is async in the WIT text.
            "wasi:filesystem/types.[method]descriptor.read-via-stream": store | trappable,
            "wasi:filesystem/types.[method]descriptor.write-via-stream": store | trappable,
            "wasi:filesystem/types.[method]descriptor.append-via-stream": store | trappable,
            "wasi:filesystem/types.[method]descriptor.read-directory": store | trappable,
            default: trappable,
        },
        require_store_data_send: true,
    });
}

/// Links `wasi:filesystem/types` and `wasi:filesystem/preopens`, under each of the names of
/// [`WASI_0_3`]. They refer to `wasi:clocks`, which [`wasi_clocks::p3::add_to_linker`] links.
///
/// # Errors
/// One of them is in the linker already, or its engine has no concurrency support.
pub fn add_to_linker<T: WasiFilesystemView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    for version in WASI_0_3 {
        let name = |interface| format!("wasi:filesystem/{interface}@{version}");
        let linked = &mut linker.instance(&name("types"))?;
        bindings::wasi::filesystem::types::add_to_linker_instance::<T, WasiFilesystem>(
            linked,
            T::filesystem,
        )?;
        let linked = &mut linker.instance(&name("preopens"))?;
        preopens::add_to_linker_instance::<T, WasiFilesystem>(linked, T::filesystem)?;
    }
    Ok(())
}

impl preopens::Host for WasiFilesystemCtxView<'_> {
    fn get_directories(&mut self) -> Result<Vec<(Resource<Descriptor>, String)>> {
        self.push_directories()
    }
}
