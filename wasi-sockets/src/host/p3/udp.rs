use super::bindings::wasi::sockets::types::{
    ErrorCode, Host, HostUdpSocket, HostUdpSocketWithStore, IpAddressFamily, IpSocketAddress,
};
use super::{WasiSockets, WasiSocketsCtxView};
use crate::{DynUdpSocket, SocketOption};
use alloc::vec::Vec;
use core::future::poll_fn;
use core::task::{Poll, ready};
use wasmtime::Result;
use wasmtime::component::{Accessor, Resource};

/// A result as the guest gets it.
pub(super) type Answer<T> = core::result::Result<T, ErrorCode>;

type Socket = Resource<DynUdpSocket>;

impl Host for WasiSocketsCtxView<'_> {}

impl<T: Send + 'static> HostUdpSocketWithStore<T> for WasiSockets {
    async fn send(
        accessor: &Accessor<T, Self>,
        socket: Socket,
        data: Vec<u8>,
        remote: Option<IpSocketAddress>,
    ) -> Result<Answer<()>> {
        let remote = remote.map(Into::into);
        poll_fn(|cx| {
            accessor.with(|mut access| -> Poll<Result<_>> {
                let socket = access.get().table.get_mut(&socket)?;
                let sent = ready!(socket.poll_send(cx, &data, remote));
                Poll::Ready(Ok(sent.map_err(Into::into)))
            })
        })
        .await
    }

    async fn receive(
        accessor: &Accessor<T, Self>,
        socket: Socket,
    ) -> Result<Answer<(Vec<u8>, IpSocketAddress)>> {
        poll_fn(|cx| {
            accessor.with(|mut access| -> Poll<Result<_>> {
                let socket = access.get().table.get_mut(&socket)?;
                Poll::Ready(Ok(match ready!(socket.poll_receive(cx)) {
                    Ok(datagram) => Ok((datagram.data, datagram.remote_address.into())),
                    Err(code) => Err(code.into()),
                }))
            })
        })
        .await
    }
}

impl HostUdpSocket for WasiSocketsCtxView<'_> {
    fn create(&mut self, family: IpAddressFamily) -> Result<Answer<Socket>> {
        Ok(match DynUdpSocket::new(self.ctx, family.into()) {
            Ok(socket) => Ok(self.table.push(socket)?),
            Err(code) => Err(code.into()),
        })
    }

    async fn bind(&mut self, socket: Socket, local: IpSocketAddress) -> Result<Answer<()>> {
        let bound = self.table.get_mut(&socket)?.bind(local.into()).await;
        Ok(bound.map_err(Into::into))
    }

    async fn connect(&mut self, socket: Socket, remote: IpSocketAddress) -> Result<Answer<()>> {
        let connected = self.table.get_mut(&socket)?.connect(remote.into()).await;
        Ok(connected.map_err(Into::into))
    }

    fn disconnect(&mut self, socket: Socket) -> Result<Answer<()>> {
        let disconnected = self.table.get_mut(&socket)?.disconnect();
        Ok(disconnected.map_err(Into::into))
    }

    fn get_local_address(&mut self, socket: Socket) -> Result<Answer<IpSocketAddress>> {
        let address = self.table.get(&socket)?.local_address();
        Ok(address.map(Into::into).map_err(Into::into))
    }

    fn get_remote_address(&mut self, socket: Socket) -> Result<Answer<IpSocketAddress>> {
        let address = self.table.get(&socket)?.remote_address();
        Ok(address.map(Into::into).map_err(Into::into))
    }

    fn get_address_family(&mut self, socket: Socket) -> Result<IpAddressFamily> {
        Ok(self.table.get(&socket)?.address_family().into())
    }

    fn get_unicast_hop_limit(&mut self, socket: Socket) -> Result<Answer<u8>> {
        self.udp_option(socket, SocketOption::HopLimit, u8::MAX)
    }

    fn set_unicast_hop_limit(&mut self, socket: Socket, value: u8) -> Result<Answer<()>> {
        self.set_udp_option(socket, SocketOption::HopLimit, value.into())
    }

    fn get_receive_buffer_size(&mut self, socket: Socket) -> Result<Answer<u64>> {
        self.udp_option(socket, SocketOption::ReceiveBufferSize, u64::MAX)
    }

    fn set_receive_buffer_size(&mut self, socket: Socket, value: u64) -> Result<Answer<()>> {
        self.set_udp_option(socket, SocketOption::ReceiveBufferSize, value)
    }

    fn get_send_buffer_size(&mut self, socket: Socket) -> Result<Answer<u64>> {
        self.udp_option(socket, SocketOption::SendBufferSize, u64::MAX)
    }

    fn set_send_buffer_size(&mut self, socket: Socket, value: u64) -> Result<Answer<()>> {
        self.set_udp_option(socket, SocketOption::SendBufferSize, value)
    }

    fn drop(&mut self, socket: Socket) -> Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}
