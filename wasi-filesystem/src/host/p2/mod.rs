//! WASI 0.2 for wasmtime.

mod convert;
mod types;

pub use super::{WasiFilesystem, WasiFilesystemCtxView, WasiFilesystemView};
use crate::Descriptor;
use alloc::string::String;
use alloc::vec::Vec;
use wasmtime::Result;
use wasmtime::component::{Linker, Resource};

/// What the `bindgen!` of `wasi:filesystem@0.2.12` generates. In a world of your own, map
/// `wasi:filesystem` here with
/// `with: { "wasi:filesystem": wasi_filesystem::p2::bindings::wasi::filesystem }`.
#[allow(missing_docs)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/p2",
        world: "wasi:filesystem/imports",
        with: {
            "wasi:io": wasi_io::p2::bindings::wasi::io,
            "wasi:clocks": wasi_clocks::p2::bindings::wasi::clocks,
            "wasi:filesystem/types.descriptor": crate::Descriptor,
            "wasi:filesystem/types.directory-entry-stream": crate::DirectoryEntryStream,
        },
        imports: {
            // What never asks the backend; all else may have to wait for it.
            "wasi:filesystem/preopens.get-directories": trappable,
            "wasi:filesystem/types.filesystem-error-code": trappable,
            "wasi:filesystem/types.[method]descriptor.read-via-stream": trappable,
            "wasi:filesystem/types.[method]descriptor.write-via-stream": trappable,
            "wasi:filesystem/types.[method]descriptor.append-via-stream": trappable,
            "wasi:filesystem/types.[method]descriptor.get-flags": trappable,
            "wasi:filesystem/types.[method]descriptor.get-type": trappable,
            "wasi:filesystem/types.[drop]descriptor": trappable,
            "wasi:filesystem/types.[drop]directory-entry-stream": trappable,
            default: async | trappable,
        },
        require_store_data_send: true,
    });
}

/// Links `wasi:filesystem/types` and `wasi:filesystem/preopens`. They refer to `wasi:io` and
/// `wasi:clocks/wall-clock`, which the `add_to_linker` of their crates link.
///
/// # Errors
/// One of them is in the linker already.
pub fn add_to_linker<T: WasiFilesystemView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    bindings::wasi::filesystem::types::add_to_linker::<T, WasiFilesystem>(linker, T::filesystem)?;
    bindings::wasi::filesystem::preopens::add_to_linker::<T, WasiFilesystem>(linker, T::filesystem)
}

impl bindings::wasi::filesystem::preopens::Host for WasiFilesystemCtxView<'_> {
    fn get_directories(&mut self) -> Result<Vec<(Resource<Descriptor>, String)>> {
        self.push_directories()
    }
}
