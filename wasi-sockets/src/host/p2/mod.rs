//! WASI 0.2 for wasmtime.

mod convert;
mod network;
mod tcp;
mod udp;

pub use super::{WasiSockets, WasiSocketsCtxView, WasiSocketsView};
use wasmtime::component::Linker;

/// What the `bindgen!` of `wasi:sockets@0.2.12` generates. In a world of your own, map
/// `wasi:sockets` here with `with: { "wasi:sockets": wasi_sockets::p2::bindings::wasi::sockets }`.
#[allow(missing_docs)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/p2",
        world: "wasi:sockets/imports",
        with: {
            "wasi:io": wasi_io::p2::bindings::wasi::io,
            "wasi:clocks": wasi_clocks::p2::bindings::wasi::clocks,
            "wasi:sockets/network.network": crate::DynNetwork,
            "wasi:sockets/tcp.tcp-socket": crate::DynTcpSocket,
            "wasi:sockets/udp.udp-socket": crate::DynUdpSocket,
            "wasi:sockets/udp.incoming-datagram-stream": crate::IncomingDatagramStream,
            "wasi:sockets/udp.outgoing-datagram-stream": crate::OutgoingDatagramStream,
            "wasi:sockets/ip-name-lookup.resolve-address-stream": crate::ResolveAddressStream,
        },
        imports: { default: trappable },
        require_store_data_send: true,
    });
}

/// Links all interfaces of `wasi:sockets`: `network`, `instance-network`, `ip-name-lookup`,
/// `tcp`, `tcp-create-socket`, `udp` and `udp-create-socket`. `wasi:io` has its own.
///
/// # Errors
/// One of them is in the linker already.
pub fn add_to_linker<T: WasiSocketsView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    use bindings::wasi::sockets;
    sockets::network::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    sockets::instance_network::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    sockets::ip_name_lookup::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    sockets::tcp::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    sockets::tcp_create_socket::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    sockets::udp::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    sockets::udp_create_socket::add_to_linker::<T, WasiSockets>(linker, T::sockets)?;
    Ok(())
}
