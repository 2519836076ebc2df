//! Datagrams are not there yet: no socket can be made, so the resources have no values and
//! what is asked of one can't be reached.

use super::WasiSocketsCtxView;
use super::bindings::wasi::sockets::network::{ErrorCode, IpAddressFamily, IpSocketAddress};
use super::bindings::wasi::sockets::{udp, udp_create_socket};
use super::network::Answer;
use crate::DynNetwork;
use alloc::vec::Vec;
use wasi_io::p2::DynPollable;
use wasmtime::Result;
use wasmtime::component::Resource;

impl udp_create_socket::Host for WasiSocketsCtxView<'_> {
    fn create_udp_socket(
        &mut self,
        _: IpAddressFamily,
    ) -> Result<Answer<Resource<udp::UdpSocket>>> {
        Ok(Err(ErrorCode::NotSupported))
    }
}

impl udp::Host for WasiSocketsCtxView<'_> {}

impl udp::HostUdpSocket for WasiSocketsCtxView<'_> {
    fn start_bind(
        &mut self,
        this: Resource<udp::UdpSocket>,
        _: Resource<DynNetwork>,
        _: IpSocketAddress,
    ) -> Result<Answer<()>> {
        match *self.table.get(&this)? {}
    }

    fn finish_bind(&mut self, this: Resource<udp::UdpSocket>) -> Result<Answer<()>> {
        match *self.table.get(&this)? {}
    }

    fn stream(
        &mut self,
        this: Resource<udp::UdpSocket>,
        _: Option<IpSocketAddress>,
    ) -> Result<
        Answer<(
            Resource<udp::IncomingDatagramStream>,
            Resource<udp::OutgoingDatagramStream>,
        )>,
    > {
        match *self.table.get(&this)? {}
    }

    fn local_address(&mut self, this: Resource<udp::UdpSocket>) -> Result<Answer<IpSocketAddress>> {
        match *self.table.get(&this)? {}
    }

    fn remote_address(
        &mut self,
        this: Resource<udp::UdpSocket>,
    ) -> Result<Answer<IpSocketAddress>> {
        match *self.table.get(&this)? {}
    }

    fn address_family(&mut self, this: Resource<udp::UdpSocket>) -> Result<IpAddressFamily> {
        match *self.table.get(&this)? {}
    }

    fn unicast_hop_limit(&mut self, this: Resource<udp::UdpSocket>) -> Result<Answer<u8>> {
        match *self.table.get(&this)? {}
    }

    fn set_unicast_hop_limit(
        &mut self,
        this: Resource<udp::UdpSocket>,
        _: u8,
    ) -> Result<Answer<()>> {
        match *self.table.get(&this)? {}
    }

    fn receive_buffer_size(&mut self, this: Resource<udp::UdpSocket>) -> Result<Answer<u64>> {
        match *self.table.get(&this)? {}
    }

    fn set_receive_buffer_size(
        &mut self,
        this: Resource<udp::UdpSocket>,
        _: u64,
    ) -> Result<Answer<()>> {
        match *self.table.get(&this)? {}
    }

    fn send_buffer_size(&mut self, this: Resource<udp::UdpSocket>) -> Result<Answer<u64>> {
        match *self.table.get(&this)? {}
    }

    fn set_send_buffer_size(
        &mut self,
        this: Resource<udp::UdpSocket>,
        _: u64,
    ) -> Result<Answer<()>> {
        match *self.table.get(&this)? {}
    }

    fn subscribe(&mut self, this: Resource<udp::UdpSocket>) -> Result<Resource<DynPollable>> {
        match *self.table.get(&this)? {}
    }

    fn drop(&mut self, this: Resource<udp::UdpSocket>) -> Result<()> {
        match self.table.delete(this)? {}
    }
}

impl udp::HostIncomingDatagramStream for WasiSocketsCtxView<'_> {
    fn receive(
        &mut self,
        this: Resource<udp::IncomingDatagramStream>,
        _: u64,
    ) -> Result<Answer<Vec<udp::IncomingDatagram>>> {
        match *self.table.get(&this)? {}
    }

    fn subscribe(
        &mut self,
        this: Resource<udp::IncomingDatagramStream>,
    ) -> Result<Resource<DynPollable>> {
        match *self.table.get(&this)? {}
    }

    fn drop(&mut self, this: Resource<udp::IncomingDatagramStream>) -> Result<()> {
        match self.table.delete(this)? {}
    }
}

impl udp::HostOutgoingDatagramStream for WasiSocketsCtxView<'_> {
    fn check_send(&mut self, this: Resource<udp::OutgoingDatagramStream>) -> Result<Answer<u64>> {
        match *self.table.get(&this)? {}
    }

    fn send(
        &mut self,
        this: Resource<udp::OutgoingDatagramStream>,
        _: Vec<udp::OutgoingDatagram>,
    ) -> Result<Answer<u64>> {
        match *self.table.get(&this)? {}
    }

    fn subscribe(
        &mut self,
        this: Resource<udp::OutgoingDatagramStream>,
    ) -> Result<Resource<DynPollable>> {
        match *self.table.get(&this)? {}
    }

    fn drop(&mut self, this: Resource<udp::OutgoingDatagramStream>) -> Result<()> {
        match self.table.delete(this)? {}
    }
}
