use super::WasiWebSocketCtxView;
use super::bindings::agave::websocket::client::{self, ConnectOptions, ErrorCode};
use crate::websocket::{Connection, FutureConnection, Options};
use crate::{Fields, GuestFields};
use alloc::string::String;
use alloc::vec::Vec;
use core::result::Result as Answer;
use wasi_io::p2::{DynPollable, subscribe};
use wasmtime::Result;
use wasmtime::component::Resource;

impl WasiWebSocketCtxView<'_> {
    /// The fields that the guest gives away, if any.
    pub(super) fn take_fields(&mut self, fields: Option<Resource<GuestFields>>) -> Result<Fields> {
        Ok(match fields {
            Some(fields) => self.table.delete(fields)?.into_fields(),
            None => Fields::new(),
        })
    }
}

impl client::Host for WasiWebSocketCtxView<'_> {
    fn connect(
        &mut self,
        url: String,
        subprotocols: Vec<String>,
        headers: Option<Resource<GuestFields>>,
        options: Option<ConnectOptions>,
    ) -> Result<Answer<Resource<FutureConnection>, ErrorCode>> {
        let headers = self.take_fields(headers)?;
        let options = options.map_or_else(Options::default, |options| Options {
            connect_timeout: options.connect_timeout,
            max_message_size: options.max_message_size,
            ping_interval: options.ping_interval,
        });
        Ok(
            match self.ctx.connect(&url, subprotocols, headers, options) {
                Ok(future) => Ok(self.table.push(future)?),
                Err(code) => Err(code.into()),
            },
        )
    }
}

impl client::HostFutureConnection for WasiWebSocketCtxView<'_> {
    fn subscribe(&mut self, future: Resource<FutureConnection>) -> Result<Resource<DynPollable>> {
        subscribe(self.table, &future)
    }

    fn get(
        &mut self,
        future: Resource<FutureConnection>,
    ) -> Result<Option<Answer<Answer<Resource<Connection>, ErrorCode>, ()>>> {
        Ok(match self.table.get_mut(&future)?.get() {
            None => None,
            Some(Err(_)) => Some(Err(())),
            Some(Ok(Err(code))) => Some(Ok(Err(code.into()))),
            Some(Ok(Ok(connection))) => Some(Ok(Ok(self.table.push(connection)?))),
        })
    }

    fn drop(&mut self, future: Resource<FutureConnection>) -> Result<()> {
        self.table.delete(future)?;
        Ok(())
    }
}
