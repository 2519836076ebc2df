use super::WasiSocketsCtxView;
use super::bindings::wasi::sockets::network::{ErrorCode, IpAddress};
use super::bindings::wasi::sockets::{instance_network, ip_name_lookup, network};
use crate::{DynNetwork, ResolveAddressStream};
use alloc::string::String;
use wasi_io::Error;
use wasi_io::p2::{DynPollable, subscribe};
use wasmtime::Result;
use wasmtime::component::Resource;

/// A result as the guest gets it.
pub(super) type Answer<T> = core::result::Result<T, ErrorCode>;

impl network::Host for WasiSocketsCtxView<'_> {
    fn network_error_code(&mut self, error: Resource<Error>) -> Result<Option<ErrorCode>> {
        let code = self.table.get(&error)?.downcast_ref::<crate::ErrorCode>();
        Ok(code.copied().map(Into::into))
    }
}

impl network::HostNetwork for WasiSocketsCtxView<'_> {
    fn drop(&mut self, network: Resource<DynNetwork>) -> Result<()> {
        self.table.delete(network)?;
        Ok(())
    }
}

impl instance_network::Host for WasiSocketsCtxView<'_> {
    fn instance_network(&mut self) -> Result<Resource<DynNetwork>> {
        Ok(self.table.push(self.ctx.instance_network())?)
    }
}

impl ip_name_lookup::Host for WasiSocketsCtxView<'_> {
    fn resolve_addresses(
        &mut self,
        network: Resource<DynNetwork>,
        name: String,
    ) -> Result<Answer<Resource<ResolveAddressStream>>> {
        let network = self.table.get(&network)?;
        Ok(match ResolveAddressStream::new(self.ctx, network, &name) {
            Ok(stream) => Ok(self.table.push(stream)?),
            Err(code) => Err(code.into()),
        })
    }
}

impl ip_name_lookup::HostResolveAddressStream for WasiSocketsCtxView<'_> {
    fn resolve_next_address(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> Result<Answer<Option<IpAddress>>> {
        let next = self.table.get_mut(&stream)?.resolve_next_address();
        Ok(next.map(|next| next.map(Into::into)).map_err(Into::into))
    }

    fn subscribe(
        &mut self,
        stream: Resource<ResolveAddressStream>,
    ) -> Result<Resource<DynPollable>> {
        subscribe(self.table, &stream)
    }

    fn drop(&mut self, stream: Resource<ResolveAddressStream>) -> Result<()> {
        self.table.delete(stream)?;
        Ok(())
    }
}
