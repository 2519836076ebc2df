//! Bindings for wasmtime.

#[cfg(feature = "p2")]
pub mod p2;
#[cfg(feature = "p3")]
pub mod p3;

use crate::{DynTcpSocket, DynUdpSocket, ErrorCode, SocketOption, WasiSocketsCtx};
use wasmtime::component::{HasData, Resource, ResourceTable};

/// A store's state that has `wasi:sockets` in it.
pub trait WasiSocketsView: Send {
    /// The parts that the bindings work on.
    fn sockets(&mut self) -> WasiSocketsCtxView<'_>;
}

impl<T: WasiSocketsView + ?Sized> WasiSocketsView for &mut T {
    fn sockets(&mut self) -> WasiSocketsCtxView<'_> {
        T::sockets(self)
    }
}

/// The parts of a store's state that `wasi:sockets` works on.
pub struct WasiSocketsCtxView<'a> {
    /// The guest's network, grants and limits.
    pub ctx: &'a WasiSocketsCtx,
    /// The guest's resources.
    pub table: &'a mut ResourceTable,
}

/// Names [`WasiSocketsCtxView`] for the generated bindings.
pub struct WasiSockets;

impl HasData for WasiSockets {
    type Data<'a> = WasiSocketsCtxView<'a>;
}

/// What both versions do with options; `E` is the code of one of them.
impl WasiSocketsCtxView<'_> {
    /// The value of an option, at most `most`.
    fn tcp_option<T: TryFrom<u64>, E: From<ErrorCode>>(
        &self,
        socket: Resource<DynTcpSocket>,
        option: SocketOption,
        most: T,
    ) -> wasmtime::Result<Result<T, E>> {
        let value = self.table.get(&socket)?.option(option);
        Ok(narrow(value, most))
    }

    fn set_tcp_option<E: From<ErrorCode>>(
        &mut self,
        socket: Resource<DynTcpSocket>,
        option: SocketOption,
        value: u64,
    ) -> wasmtime::Result<Result<(), E>> {
        let set = self.table.get_mut(&socket)?.set_option(option, value);
        Ok(set.map_err(Into::into))
    }

    /// The value of an option, at most `most`.
    fn udp_option<T: TryFrom<u64>, E: From<ErrorCode>>(
        &self,
        socket: Resource<DynUdpSocket>,
        option: SocketOption,
        most: T,
    ) -> wasmtime::Result<Result<T, E>> {
        let value = self.table.get(&socket)?.option(option);
        Ok(narrow(value, most))
    }

    fn set_udp_option<E: From<ErrorCode>>(
        &mut self,
        socket: Resource<DynUdpSocket>,
        option: SocketOption,
        value: u64,
    ) -> wasmtime::Result<Result<(), E>> {
        let set = self.table.get_mut(&socket)?.set_option(option, value);
        Ok(set.map_err(Into::into))
    }
}

fn narrow<T: TryFrom<u64>, E: From<ErrorCode>>(
    value: Result<u64, ErrorCode>,
    most: T,
) -> Result<T, E> {
    match value {
        Ok(value) => Ok(T::try_from(value).unwrap_or(most)),
        Err(code) => Err(code.into()),
    }
}
