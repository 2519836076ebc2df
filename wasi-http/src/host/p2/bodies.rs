use super::WasiHttpCtxView;
use super::bindings::wasi::http::types::{
    ErrorCode, HostFutureIncomingResponse, HostFutureTrailers, HostIncomingBody, HostOutgoingBody,
};
use crate::{
    FutureIncomingResponse, FutureTrailers, GuestFields, IncomingBody, IncomingResponse,
    OutgoingBody,
};
use core::result::Result as Answer;
use wasi_io::p2::{DynPollable, subscribe};
use wasi_io::{DynInputStream, DynOutputStream};
use wasmtime::Result;
use wasmtime::component::Resource;

impl HostIncomingBody for WasiHttpCtxView<'_> {
    fn stream(
        &mut self,
        body: Resource<IncomingBody>,
    ) -> Result<Answer<Resource<DynInputStream>, ()>> {
        Ok(match self.table.get_mut(&body)?.stream() {
            Some(stream) => Ok(self.table.push_child(stream, &body)?),
            None => Err(()),
        })
    }

    fn finish(&mut self, body: Resource<IncomingBody>) -> Result<Resource<FutureTrailers>> {
        // With the stream still there this fails, and the guest traps.
        let body = self.table.delete(body)?;
        Ok(self.table.push(body.finish())?)
    }

    fn drop(&mut self, body: Resource<IncomingBody>) -> Result<()> {
        self.table.delete(body)?;
        Ok(())
    }
}

impl HostFutureTrailers for WasiHttpCtxView<'_> {
    fn subscribe(&mut self, future: Resource<FutureTrailers>) -> Result<Resource<DynPollable>> {
        subscribe(self.table, &future)
    }

    fn get(
        &mut self,
        future: Resource<FutureTrailers>,
    ) -> Result<Option<Answer<Answer<Option<Resource<GuestFields>>, ErrorCode>, ()>>> {
        Ok(match self.table.get_mut(&future)?.get() {
            None => None,
            Some(Err(_)) => Some(Err(())),
            Some(Ok(Err(code))) => Some(Ok(Err(code.into()))),
            Some(Ok(Ok(None))) => Some(Ok(Ok(None))),
            Some(Ok(Ok(Some(fields)))) => {
                let fields = GuestFields::immutable(fields);
                Some(Ok(Ok(Some(self.table.push_child(fields, &future)?))))
            }
        })
    }

    fn drop(&mut self, future: Resource<FutureTrailers>) -> Result<()> {
        self.table.delete(future)?;
        Ok(())
    }
}

impl HostOutgoingBody for WasiHttpCtxView<'_> {
    fn write(
        &mut self,
        body: Resource<OutgoingBody>,
    ) -> Result<Answer<Resource<DynOutputStream>, ()>> {
        Ok(match self.table.get_mut(&body)?.write() {
            Some(stream) => Ok(self.table.push_child(stream, &body)?),
            None => Err(()),
        })
    }

    fn finish(
        &mut self,
        body: Resource<OutgoingBody>,
        trailers: Option<Resource<GuestFields>>,
    ) -> Result<Answer<(), ErrorCode>> {
        let body = self.table.delete(body)?;
        let trailers = match trailers {
            Some(trailers) => Some(self.table.delete(trailers)?.into_fields()),
            None => None,
        };
        Ok(body.finish(trailers).map_err(Into::into))
    }

    fn drop(&mut self, body: Resource<OutgoingBody>) -> Result<()> {
        self.table.delete(body)?;
        Ok(())
    }
}

impl HostFutureIncomingResponse for WasiHttpCtxView<'_> {
    fn subscribe(
        &mut self,
        future: Resource<FutureIncomingResponse>,
    ) -> Result<Resource<DynPollable>> {
        subscribe(self.table, &future)
    }

    fn get(
        &mut self,
        future: Resource<FutureIncomingResponse>,
    ) -> Result<Option<Answer<Answer<Resource<IncomingResponse>, ErrorCode>, ()>>> {
        Ok(match self.table.get_mut(&future)?.get() {
            None => None,
            Some(Err(_)) => Some(Err(())),
            Some(Ok(Err(code))) => Some(Ok(Err(code.into()))),
            Some(Ok(Ok(response))) => Some(Ok(Ok(self.table.push(response)?))),
        })
    }

    fn drop(&mut self, future: Resource<FutureIncomingResponse>) -> Result<()> {
        self.table.delete(future)?;
        Ok(())
    }
}
