use super::WasiHttpCtxView;
use super::bindings::wasi::http::types::{HostRequestOptions, RequestOptionsError};
use crate::{GuestRequestOptions, RequestOptions};
use wasi_types::Duration;
use wasmtime::Result;
use wasmtime::component::Resource;

/// A result as the guest gets it.
type Answer = core::result::Result<(), RequestOptionsError>;

impl WasiHttpCtxView<'_> {
    fn change(
        &mut self,
        options: &Resource<GuestRequestOptions>,
        change: impl FnOnce(&mut RequestOptions),
    ) -> Result<Answer> {
        let options = self.table.get_mut(options)?.options_mut();
        Ok(options.map(change).ok_or(RequestOptionsError::Immutable))
    }
}

impl HostRequestOptions for WasiHttpCtxView<'_> {
    fn new(&mut self) -> Result<Resource<GuestRequestOptions>> {
        Ok(self.table.push(GuestRequestOptions::default())?)
    }

    fn get_connect_timeout(
        &mut self,
        options: Resource<GuestRequestOptions>,
    ) -> Result<Option<Duration>> {
        Ok(self.table.get(&options)?.options().connect_timeout)
    }

    fn set_connect_timeout(
        &mut self,
        options: Resource<GuestRequestOptions>,
        duration: Option<Duration>,
    ) -> Result<Answer> {
        self.change(&options, |options| options.connect_timeout = duration)
    }

    fn get_first_byte_timeout(
        &mut self,
        options: Resource<GuestRequestOptions>,
    ) -> Result<Option<Duration>> {
        Ok(self.table.get(&options)?.options().first_byte_timeout)
    }

    fn set_first_byte_timeout(
        &mut self,
        options: Resource<GuestRequestOptions>,
        duration: Option<Duration>,
    ) -> Result<Answer> {
        self.change(&options, |options| options.first_byte_timeout = duration)
    }

    fn get_between_bytes_timeout(
        &mut self,
        options: Resource<GuestRequestOptions>,
    ) -> Result<Option<Duration>> {
        Ok(self.table.get(&options)?.options().between_bytes_timeout)
    }

    fn set_between_bytes_timeout(
        &mut self,
        options: Resource<GuestRequestOptions>,
        duration: Option<Duration>,
    ) -> Result<Answer> {
        self.change(&options, |options| options.between_bytes_timeout = duration)
    }

    fn clone(
        &mut self,
        options: Resource<GuestRequestOptions>,
    ) -> Result<Resource<GuestRequestOptions>> {
        let copy = self.table.get(&options)?.to_mutable();
        Ok(self.table.push(copy)?)
    }

    fn drop(&mut self, options: Resource<GuestRequestOptions>) -> Result<()> {
        self.table.delete(options)?;
        Ok(())
    }
}
