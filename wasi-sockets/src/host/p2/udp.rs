use super::WasiSocketsCtxView;
use super::bindings::wasi::sockets::network::{IpAddressFamily, IpSocketAddress};
use super::bindings::wasi::sockets::{udp, udp_create_socket};
use super::network::Answer;
use crate::{
    DynNetwork, DynUdpSocket, IncomingDatagram, IncomingDatagramStream, OutgoingDatagram,
    OutgoingDatagramStream, SocketOption,
};
use alloc::vec::Vec;
use wasi_io::p2::{DynPollable, subscribe};
use wasmtime::Result;
use wasmtime::component::Resource;

type Socket = Resource<DynUdpSocket>;
type Incoming = Resource<IncomingDatagramStream>;
type Outgoing = Resource<OutgoingDatagramStream>;

impl From<IncomingDatagram> for udp::IncomingDatagram {
    fn from(datagram: IncomingDatagram) -> Self {
        Self {
            data: datagram.data,
            remote_address: datagram.remote_address.into(),
        }
    }
}

impl From<udp::OutgoingDatagram> for OutgoingDatagram {
    fn from(datagram: udp::OutgoingDatagram) -> Self {
        Self {
            data: datagram.data,
            remote_address: datagram.remote_address.map(Into::into),
        }
    }
}

impl udp_create_socket::Host for WasiSocketsCtxView<'_> {
    fn create_udp_socket(&mut self, family: IpAddressFamily) -> Result<Answer<Socket>> {
        Ok(match DynUdpSocket::new(self.ctx, family.into()) {
            Ok(socket) => Ok(self.table.push(socket)?),
            Err(code) => Err(code.into()),
        })
    }
}

impl udp::Host for WasiSocketsCtxView<'_> {}

impl udp::HostUdpSocket for WasiSocketsCtxView<'_> {
    fn start_bind(
        &mut self,
        socket: Socket,
        network: Resource<DynNetwork>,
        local: IpSocketAddress,
    ) -> Result<Answer<()>> {
        let network = self.table.get(&network)?.clone();
        let socket = self.table.get_mut(&socket)?;
        let started = socket.start_bind(&network, local.into());
        Ok(started.map_err(Into::into))
    }

    fn finish_bind(&mut self, socket: Socket) -> Result<Answer<()>> {
        let finished = self.table.get_mut(&socket)?.finish_bind();
        Ok(finished.map_err(Into::into))
    }

    fn stream(
        &mut self,
        socket: Socket,
        remote: Option<IpSocketAddress>,
    ) -> Result<Answer<(Incoming, Outgoing)>> {
        let socket = self.table.get_mut(&socket)?;
        Ok(match socket.stream(remote.map(Into::into)) {
            Ok((incoming, outgoing)) => {
                let incoming = self.table.push(incoming)?;
                let outgoing = self.table.push(outgoing)?;
                Ok((incoming, outgoing))
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

    fn address_family(&mut self, socket: Socket) -> Result<IpAddressFamily> {
        Ok(self.table.get(&socket)?.address_family().into())
    }

    fn unicast_hop_limit(&mut self, socket: Socket) -> Result<Answer<u8>> {
        self.udp_option(socket, SocketOption::HopLimit, u8::MAX)
    }

    fn set_unicast_hop_limit(&mut self, socket: Socket, value: u8) -> Result<Answer<()>> {
        self.set_udp_option(socket, SocketOption::HopLimit, value.into())
    }

    fn receive_buffer_size(&mut self, socket: Socket) -> Result<Answer<u64>> {
        self.udp_option(socket, SocketOption::ReceiveBufferSize, u64::MAX)
    }

    fn set_receive_buffer_size(&mut self, socket: Socket, value: u64) -> Result<Answer<()>> {
        self.set_udp_option(socket, SocketOption::ReceiveBufferSize, value)
    }

    fn send_buffer_size(&mut self, socket: Socket) -> Result<Answer<u64>> {
        self.udp_option(socket, SocketOption::SendBufferSize, u64::MAX)
    }

    fn set_send_buffer_size(&mut self, socket: Socket, value: u64) -> Result<Answer<()>> {
        self.set_udp_option(socket, SocketOption::SendBufferSize, value)
    }

    fn subscribe(&mut self, socket: Socket) -> Result<Resource<DynPollable>> {
        subscribe(self.table, &socket)
    }

    fn drop(&mut self, socket: Socket) -> Result<()> {
        self.table.delete(socket)?;
        Ok(())
    }
}

impl udp::HostIncomingDatagramStream for WasiSocketsCtxView<'_> {
    fn receive(
        &mut self,
        stream: Incoming,
        max_results: u64,
    ) -> Result<Answer<Vec<udp::IncomingDatagram>>> {
        let received = self.table.get_mut(&stream)?.receive(max_results);
        Ok(match received {
            Ok(datagrams) => Ok(datagrams.into_iter().map(Into::into).collect()),
            Err(code) => Err(code.into()),
        })
    }

    fn subscribe(&mut self, stream: Incoming) -> Result<Resource<DynPollable>> {
        subscribe(self.table, &stream)
    }

    fn drop(&mut self, stream: Incoming) -> Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}

impl udp::HostOutgoingDatagramStream for WasiSocketsCtxView<'_> {
    fn check_send(&mut self, stream: Outgoing) -> Result<Answer<u64>> {
        let permit = self.table.get_mut(&stream)?.check_send();
        Ok(permit.map_err(Into::into))
    }

    fn send(
        &mut self,
        stream: Outgoing,
        datagrams: Vec<udp::OutgoingDatagram>,
    ) -> Result<Answer<u64>> {
        let datagrams: Vec<_> = datagrams.into_iter().map(Into::into).collect();
        let sent = self.table.get_mut(&stream)?.send(&datagrams)?;
        Ok(sent.map_err(Into::into))
    }

    fn subscribe(&mut self, stream: Outgoing) -> Result<Resource<DynPollable>> {
        subscribe(self.table, &stream)
    }

    fn drop(&mut self, stream: Outgoing) -> Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}
