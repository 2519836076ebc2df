//! WASI 0.3 for wasmtime.

mod convert;
mod lookup;
mod tcp;
mod udp;

pub use super::{WasiSockets, WasiSocketsCtxView, WasiSocketsView};
use alloc::format;
use wasi_types::WASI_0_3;
use wasmtime::component::Linker;

/// What the `bindgen!` of `wasi:sockets@0.3.0` generates. In a world of your own, map
/// `wasi:sockets` here with `with: { "wasi:sockets": wasi_sockets::p3::bindings::wasi::sockets }`.
#[allow(missing_docs)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/p3",
        world: "wasi:sockets/imports",
        with: {
            "wasi:clocks": wasi_clocks::p3::bindings::wasi::clocks,
            "wasi:sockets/types.tcp-socket": crate::DynTcpSocket,
            "wasi:sockets/types.udp-socket": crate::DynUdpSocket,
        },
        imports: {
            "wasi:sockets/types.[method]tcp-socket.bind": async | trappable,
            "wasi:sockets/types.[method]tcp-socket.listen": async | store | trappable,
            "wasi:sockets/types.[method]tcp-socket.send": store | trappable,
            "wasi:sockets/types.[method]tcp-socket.receive": store | trappable,
            "wasi:sockets/types.[method]udp-socket.bind": async | trappable,
            "wasi:sockets/types.[method]udp-socket.connect": async | trappable,
            default: trappable,
        },
        additional_derives: [PartialEq, Eq],
        require_store_data_send: true,
    });
}

/// Links both interfaces of `wasi:sockets`, `types` and `ip-name-lookup`, under each of the
/// names of [`WASI_0_3`]. `wasi:clocks` has its own.
///
/// # Errors
/// One of them is in the linker already, or its engine has no concurrency support.
pub fn add_to_linker<T: WasiSocketsView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    use bindings::wasi::sockets::{ip_name_lookup, types};
    for version in WASI_0_3 {
        let name = |interface| format!("wasi:sockets/{interface}@{version}");
        let linked = &mut linker.instance(&name("types"))?;
        types::add_to_linker_instance::<T, WasiSockets>(linked, T::sockets)?;
        let linked = &mut linker.instance(&name("ip-name-lookup"))?;
        ip_name_lookup::add_to_linker_instance::<T, WasiSockets>(linked, T::sockets)?;
    }
    Ok(())
}
