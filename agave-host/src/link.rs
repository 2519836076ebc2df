use crate::HostState;
use wasmtime::component::Linker;

/// Links every interface of the worlds `wasi:cli/command@0.2.12` and
/// `wasi:http/proxy@0.2.12`, and `agave:websocket@0.1.0`, granted or not.
///
/// # Errors
/// One of them is in the linker already.
pub fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    wasi_io::p2::add_to_linker(linker)?;
    wasi_clocks::p2::add_to_linker(linker)?;
    wasi_random::p2::add_to_linker(linker)?;
    wasi_filesystem::p2::add_to_linker(linker)?;
    wasi_sockets::p2::add_to_linker(linker)?;
    wasi_cli::p2::add_to_linker(linker)?;
    wasi_http::p2::add_to_linker(linker)?;
    wasi_http::websocket::p2::add_to_linker(linker)
}

/// Links every interface of the worlds `wasi:cli/command@0.3.0`, `wasi:http/service@0.3.0` and
/// `wasi:http/middleware@0.3.0`, granted or not, under each of the names of
/// [`WASI_0_3`](wasi_types::WASI_0_3).
///
/// # Errors
/// One of them is in the linker already, or its engine has no concurrency support.
#[cfg(feature = "p3")]
pub fn add_p3_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    wasi_clocks::p3::add_to_linker(linker)?;
    wasi_random::p3::add_to_linker(linker)?;
    wasi_filesystem::p3::add_to_linker(linker)?;
    wasi_sockets::p3::add_to_linker(linker)?;
    wasi_cli::p3::add_to_linker(linker)?;
    wasi_http::p3::add_to_linker(linker)
}

/// Links `wasi_snapshot_preview1`, and `wasi_unstable` before it, for core modules.
///
/// # Errors
/// One of their functions is in the linker already.
pub fn add_to_module_linker(linker: &mut wasmtime::Linker<HostState>) -> wasmtime::Result<()> {
    wasi_preview1::wasmtime::add_to_linker_async(linker)
}
