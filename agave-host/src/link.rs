use crate::HostState;
use wasmtime::component::Linker;

/// Links every interface of the worlds `wasi:cli/command@0.2.12` and
/// `wasi:http/proxy@0.2.12`, granted or not.
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
    wasi_http::p2::add_to_linker(linker)
}
