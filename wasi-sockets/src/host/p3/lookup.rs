use super::bindings::wasi::sockets::ip_name_lookup::{ErrorCode, Host, HostWithStore};
use super::bindings::wasi::sockets::types::IpAddress;
use super::{WasiSockets, WasiSocketsCtxView};
use crate::ResolveAddressStream;
use alloc::string::String;
use alloc::vec::Vec;
use core::future::poll_fn;
use wasmtime::Result;
use wasmtime::component::Accessor;

type Answer<T> = core::result::Result<T, ErrorCode>;

impl Host for WasiSocketsCtxView<'_> {}

impl<T: Send> HostWithStore<T> for WasiSockets {
    async fn resolve_addresses(
        accessor: &Accessor<T, Self>,
        name: String,
    ) -> Result<Answer<Vec<IpAddress>>> {
        let begun = accessor.with(|mut access| {
            let ctx = access.get().ctx;
            ResolveAddressStream::new(ctx, &ctx.network, &name)
        });
        let mut answer = match begun {
            Ok(answer) => answer,
            Err(code) => return Ok(Err(code.into())),
        };
        let addresses = poll_fn(|cx| answer.poll_addresses(cx)).await;
        Ok(match addresses {
            Ok(addresses) => Ok(addresses.into_iter().map(Into::into).collect()),
            Err(code) => Err(code.into()),
        })
    }
}
