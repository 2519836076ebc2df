use super::WasiSocketsCtxView;
use super::bindings::wasi::sockets::network::{IpAddressFamily, IpSocketAddress};
use super::bindings::wasi::sockets::tcp::{self, ShutdownType};
use super::bindings::wasi::sockets::tcp_create_socket;
use super::network::Answer;
use crate::{DynNetwork, DynTcpSocket, SocketOption, TcpInputStream, TcpOutputStream};
use wasi_io::p2::{DynPollable, subscribe};
use wasi_io::{DynInputStream, DynOutputStream};
use wasmtime::Result;
use wasmtime::component::{Resource, ResourceTable};

type Socket = Resource<DynTcpSocket>;
type Streams = (Resource<DynInputStream>, Resource<DynOutputStream>);

/// Puts the streams of a connection into the table.
fn push(
    table: &mut ResourceTable,
    (input, output): (TcpInputStream, TcpOutputStream),
) -> Result<Streams> {
    let input = table.push(DynInputStream::new(input))?;
    let output = table.push(DynOutputStream::new(output))?;
    Ok((input, output))
}

impl tcp_create_socket::Host for WasiSocketsCtxView<'_> {
    fn create_tcp_socket(&mut self, family: IpAddressFamily) -> Result<Answer<Socket>> {
        Ok(match DynTcpSocket::new(self.ctx, family.into()) {
            Ok(socket) => Ok(self.table.push(socket)?),
            Err(code) => Err(code.into()),
        })
    }
}

impl tcp::Host for WasiSocketsCtxView<'_> {}

impl tcp::HostTcpSocket for WasiSocketsCtxView<'_> {
    fn start_bind(
        &mut self,
        socket: Socket,
        network: Resource<DynNetwork>,
        local: IpSocketAddress,
    ) -> Result<Answer<()>> {
        let network = self.table.get(&network)?.clone();
        let started = self
            .table
            .get_mut(&socket)?
            .start_bind(&network, local.into());
        Ok(started.map_err(Into::into))
    }

    fn finish_bind(&mut self, socket: Socket) -> Result<Answer<()>> {
        let finished = self.table.get_mut(&socket)?.finish_bind();
        Ok(finished.map_err(Into::into))
    }

    fn start_connect(
        &mut self,
        socket: Socket,
        network: Resource<DynNetwork>,
        remote: IpSocketAddress,
    ) -> Result<Answer<()>> {
        let network = self.table.get(&network)?.clone();
        let started = self
            .table
            .get_mut(&socket)?
            .start_connect(&network, remote.into());
        Ok(started.map_err(Into::into))
    }

    fn finish_connect(&mut self, socket: Socket) -> Result<Answer<Streams>> {
        Ok(match self.table.get_mut(&socket)?.finish_connect() {
            Ok(streams) => Ok(push(self.table, streams)?),
            Err(code) => Err(code.into()),
        })
    }

    fn start_listen(&mut self, socket: Socket) -> Result<Answer<()>> {
        let started = self.table.get_mut(&socket)?.start_listen();
        Ok(started.map_err(Into::into))
    }

    fn finish_listen(&mut self, socket: Socket) -> Result<Answer<()>> {
        let finished = self.table.get_mut(&socket)?.finish_listen();
        Ok(finished.map_err(Into::into))
    }

    fn accept(
        &mut self,
        socket: Socket,
    ) -> Result<Answer<(Socket, Resource<DynInputStream>, Resource<DynOutputStream>)>> {
        Ok(match self.table.get_mut(&socket)?.accept() {
            Ok((socket, input, output)) => {
                let socket = self.table.push(socket)?;
                let (input, output) = push(self.table, (input, output))?;
                Ok((socket, input, output))
            }
            Err(code) => Err(code.into()),
        })
    }

    fn local_address(&mut self, socket: Socket) -> Result<Answer<IpSocketAddress>> {
        let address = self.table.get(&socket)?.local_address();
        Ok(address.map(Into::into).map_err(Into::into))
    }

    fn remote_address(&mut self, socket: Socket) -> Result<Answer<IpSocketAddress>> {
        let address = self.table.get(&socket)?.remote_address();
        Ok(address.map(Into::into).map_err(Into::into))
    }

    fn is_listening(&mut self, socket: Socket) -> Result<bool> {
        Ok(self.table.get(&socket)?.is_listening())
    }

    fn address_family(&mut self, socket: Socket) -> Result<IpAddressFamily> {
        Ok(self.table.get(&socket)?.address_family().into())
    }

    fn set_listen_backlog_size(&mut self, socket: Socket, value: u64) -> Result<Answer<()>> {
        let set = self.table.get_mut(&socket)?.set_listen_backlog_size(value);
        Ok(set.map_err(Into::into))
    }

    fn keep_alive_enabled(&mut self, socket: Socket) -> Result<Answer<bool>> {
        let value = self.tcp_option(socket, SocketOption::KeepAliveEnabled, u64::MAX)?;
        Ok(value.map(|value| value != 0))
    }

    fn set_keep_alive_enabled(&mut self, socket: Socket, value: bool) -> Result<Answer<()>> {
        self.set_tcp_option(socket, SocketOption::KeepAliveEnabled, value.into())
    }

    fn keep_alive_idle_time(&mut self, socket: Socket) -> Result<Answer<u64>> {
        self.tcp_option(socket, SocketOption::KeepAliveIdleTime, u64::MAX)
    }

    fn set_keep_alive_idle_time(&mut self, socket: Socket, value: u64) -> Result<Answer<()>> {
        self.set_tcp_option(socket, SocketOption::KeepAliveIdleTime, value)
    }

    fn keep_alive_interval(&mut self, socket: Socket) -> Result<Answer<u64>> {
        self.tcp_option(socket, SocketOption::KeepAliveInterval, u64::MAX)
    }

    fn set_keep_alive_interval(&mut self, socket: Socket, value: u64) -> Result<Answer<()>> {
        self.set_tcp_option(socket, SocketOption::KeepAliveInterval, value)
    }

    fn keep_alive_count(&mut self, socket: Socket) -> Result<Answer<u32>> {
        self.tcp_option(socket, SocketOption::KeepAliveCount, u32::MAX)
    }

    fn set_keep_alive_count(&mut self, socket: Socket, value: u32) -> Result<Answer<()>> {
        self.set_tcp_option(socket, SocketOption::KeepAliveCount, value.into())
    }

    fn hop_limit(&mut self, socket: Socket) -> Result<Answer<u8>> {
        self.tcp_option(socket, SocketOption::HopLimit, u8::MAX)
    }

    fn set_hop_limit(&mut self, socket: Socket, value: u8) -> Result<Answer<()>> {
        self.set_tcp_option(socket, SocketOption::HopLimit, value.into())
    }

    fn receive_buffer_size(&mut self, socket: Socket) -> Result<Answer<u64>> {
        self.tcp_option(socket, SocketOption::ReceiveBufferSize, u64::MAX)
    }

    fn set_receive_buffer_size(&mut self, socket: Socket, value: u64) -> Result<Answer<()>> {
        self.set_tcp_option(socket, SocketOption::ReceiveBufferSize, value)
    }

    fn send_buffer_size(&mut self, socket: Socket) -> Result<Answer<u64>> {
        self.tcp_option(socket, SocketOption::SendBufferSize, u64::MAX)
    }

    fn set_send_buffer_size(&mut self, socket: Socket, value: u64) -> Result<Answer<()>> {
        self.set_tcp_option(socket, SocketOption::SendBufferSize, value)
    }

    fn subscribe(&mut self, socket: Socket) -> Result<Resource<DynPollable>> {
        subscribe(self.table, &socket)
    }

    fn shutdown(&mut self, socket: Socket, how: ShutdownType) -> Result<Answer<()>> {
        let shut = self.table.get_mut(&socket)?.shutdown(how.into());
        Ok(shut.map_err(Into::into))
    }

    fn drop(&mut self, socket: Socket) -> Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}
