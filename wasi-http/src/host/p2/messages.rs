use super::WasiHttpCtxView;
use super::bindings::wasi::http::{outgoing_handler, types};
use crate::{
    FutureIncomingResponse, GuestFields, IncomingBody, IncomingRequest, IncomingResponse, Invalid,
    OutgoingBody, OutgoingRequest, OutgoingResponse, RequestOptions, ResponseOutparam,
};
use alloc::string::String;
use core::result::Result as Answer;
use types::{ErrorCode, Method, Scheme};
use wasi_types::Duration;
use wasmtime::Result;
use wasmtime::component::Resource;

/// The guest learns no more than that.
fn bare(result: Answer<(), Invalid>) -> Answer<(), ()> {
    result.map_err(|Invalid| ())
}

impl types::Host for WasiHttpCtxView<'_> {
    fn http_error_code(&mut self, error: Resource<wasi_io::Error>) -> Result<Option<ErrorCode>> {
        let code = self.table.get(&error)?.downcast_ref::<crate::ErrorCode>();
        Ok(code.cloned().map(Into::into))
    }
}

impl outgoing_handler::Host for WasiHttpCtxView<'_> {
    fn handle(
        &mut self,
        request: Resource<OutgoingRequest>,
        options: Option<Resource<RequestOptions>>,
    ) -> Result<Answer<Resource<FutureIncomingResponse>, ErrorCode>> {
        let request = self.table.delete(request)?;
        let options = match options {
            Some(options) => self.table.delete(options)?,
            None => RequestOptions::default(),
        };
        Ok(match self.ctx.handle(request, options) {
            Ok(future) => Ok(self.table.push(future)?),
            Err(code) => Err(code.into()),
        })
    }
}

impl types::HostIncomingRequest for WasiHttpCtxView<'_> {
    fn method(&mut self, request: Resource<IncomingRequest>) -> Result<Method> {
        Ok(self.table.get(&request)?.method.clone().into())
    }

    fn path_with_query(&mut self, request: Resource<IncomingRequest>) -> Result<Option<String>> {
        Ok(self.table.get(&request)?.path_with_query.clone())
    }

    fn scheme(&mut self, request: Resource<IncomingRequest>) -> Result<Option<Scheme>> {
        Ok(self.table.get(&request)?.scheme.clone().map(Into::into))
    }

    fn authority(&mut self, request: Resource<IncomingRequest>) -> Result<Option<String>> {
        Ok(self.table.get(&request)?.authority.clone())
    }

    fn headers(&mut self, request: Resource<IncomingRequest>) -> Result<Resource<GuestFields>> {
        let fields = GuestFields::immutable(self.table.get(&request)?.headers.clone());
        Ok(self.table.push_child(fields, &request)?)
    }

    fn consume(
        &mut self,
        request: Resource<IncomingRequest>,
    ) -> Result<Answer<Resource<IncomingBody>, ()>> {
        Ok(match self.table.get_mut(&request)?.consume() {
            Some(body) => Ok(self.table.push(body)?),
            None => Err(()),
        })
    }

    fn drop(&mut self, request: Resource<IncomingRequest>) -> Result<()> {
        self.table.delete(request)?;
        Ok(())
    }
}

impl types::HostOutgoingRequest for WasiHttpCtxView<'_> {
    fn new(&mut self, headers: Resource<GuestFields>) -> Result<Resource<OutgoingRequest>> {
        let headers = self.table.delete(headers)?.into_fields();
        Ok(self.table.push(OutgoingRequest::new(headers))?)
    }

    fn body(
        &mut self,
        request: Resource<OutgoingRequest>,
    ) -> Result<Answer<Resource<OutgoingBody>, ()>> {
        Ok(
            match self.table.get_mut(&request)?.body(self.ctx.window()) {
                Some(body) => Ok(self.table.push(body)?),
                None => Err(()),
            },
        )
    }

    fn method(&mut self, request: Resource<OutgoingRequest>) -> Result<Method> {
        Ok(self.table.get(&request)?.head.method.clone().into())
    }

    fn set_method(
        &mut self,
        request: Resource<OutgoingRequest>,
        method: Method,
    ) -> Result<Answer<(), ()>> {
        let request = self.table.get_mut(&request)?;
        Ok(bare(request.set_method(method.into())))
    }

    fn path_with_query(&mut self, request: Resource<OutgoingRequest>) -> Result<Option<String>> {
        Ok(self.table.get(&request)?.head.path_with_query.clone())
    }

    fn set_path_with_query(
        &mut self,
        request: Resource<OutgoingRequest>,
        path: Option<String>,
    ) -> Result<Answer<(), ()>> {
        let request = self.table.get_mut(&request)?;
        Ok(bare(request.set_path_with_query(path)))
    }

    fn scheme(&mut self, request: Resource<OutgoingRequest>) -> Result<Option<Scheme>> {
        Ok(self
            .table
            .get(&request)?
            .head
            .scheme
            .clone()
            .map(Into::into))
    }

    fn set_scheme(
        &mut self,
        request: Resource<OutgoingRequest>,
        scheme: Option<Scheme>,
    ) -> Result<Answer<(), ()>> {
        let request = self.table.get_mut(&request)?;
        Ok(bare(request.set_scheme(scheme.map(Into::into))))
    }

    fn authority(&mut self, request: Resource<OutgoingRequest>) -> Result<Option<String>> {
        Ok(self.table.get(&request)?.head.authority.clone())
    }

    fn set_authority(
        &mut self,
        request: Resource<OutgoingRequest>,
        authority: Option<String>,
    ) -> Result<Answer<(), ()>> {
        let request = self.table.get_mut(&request)?;
        Ok(bare(request.set_authority(authority)))
    }

    fn headers(&mut self, request: Resource<OutgoingRequest>) -> Result<Resource<GuestFields>> {
        let fields = GuestFields::immutable(self.table.get(&request)?.head.headers.clone());
        Ok(self.table.push_child(fields, &request)?)
    }

    fn drop(&mut self, request: Resource<OutgoingRequest>) -> Result<()> {
        self.table.delete(request)?;
        Ok(())
    }
}

impl types::HostRequestOptions for WasiHttpCtxView<'_> {
    fn new(&mut self) -> Result<Resource<RequestOptions>> {
        Ok(self.table.push(RequestOptions::default())?)
    }

    fn connect_timeout(&mut self, options: Resource<RequestOptions>) -> Result<Option<Duration>> {
        Ok(self.table.get(&options)?.connect_timeout)
    }

    fn set_connect_timeout(
        &mut self,
        options: Resource<RequestOptions>,
        duration: Option<Duration>,
    ) -> Result<Answer<(), ()>> {
        self.table.get_mut(&options)?.connect_timeout = duration;
        Ok(Ok(()))
    }

    fn first_byte_timeout(
        &mut self,
        options: Resource<RequestOptions>,
    ) -> Result<Option<Duration>> {
        Ok(self.table.get(&options)?.first_byte_timeout)
    }

    fn set_first_byte_timeout(
        &mut self,
        options: Resource<RequestOptions>,
        duration: Option<Duration>,
    ) -> Result<Answer<(), ()>> {
        self.table.get_mut(&options)?.first_byte_timeout = duration;
        Ok(Ok(()))
    }

    fn between_bytes_timeout(
        &mut self,
        options: Resource<RequestOptions>,
    ) -> Result<Option<Duration>> {
        Ok(self.table.get(&options)?.between_bytes_timeout)
    }

    fn set_between_bytes_timeout(
        &mut self,
        options: Resource<RequestOptions>,
        duration: Option<Duration>,
    ) -> Result<Answer<(), ()>> {
        self.table.get_mut(&options)?.between_bytes_timeout = duration;
        Ok(Ok(()))
    }

    fn drop(&mut self, options: Resource<RequestOptions>) -> Result<()> {
        self.table.delete(options)?;
        Ok(())
    }
}

impl types::HostResponseOutparam for WasiHttpCtxView<'_> {
    fn send_informational(
        &mut self,
        param: Resource<ResponseOutparam>,
        status: u16,
        headers: Resource<GuestFields>,
    ) -> Result<Answer<(), ErrorCode>> {
        let headers = self.table.delete(headers)?.into_fields();
        let param = self.table.get_mut(&param)?;
        Ok(param
            .send_informational(status, headers)
            .map_err(Into::into))
    }

    fn set(
        &mut self,
        param: Resource<ResponseOutparam>,
        response: Answer<Resource<OutgoingResponse>, ErrorCode>,
    ) -> Result<()> {
        let response = match response {
            Ok(response) => Ok(self.table.delete(response)?),
            Err(code) => Err(code.into()),
        };
        self.table.delete(param)?.set(response);
        Ok(())
    }

    fn drop(&mut self, param: Resource<ResponseOutparam>) -> Result<()> {
        self.table.delete(param)?;
        Ok(())
    }
}

impl types::HostIncomingResponse for WasiHttpCtxView<'_> {
    fn status(&mut self, response: Resource<IncomingResponse>) -> Result<u16> {
        Ok(self.table.get(&response)?.status)
    }

    fn headers(&mut self, response: Resource<IncomingResponse>) -> Result<Resource<GuestFields>> {
        let fields = GuestFields::immutable(self.table.get(&response)?.headers.clone());
        Ok(self.table.push_child(fields, &response)?)
    }

    fn consume(
        &mut self,
        response: Resource<IncomingResponse>,
    ) -> Result<Answer<Resource<IncomingBody>, ()>> {
        Ok(match self.table.get_mut(&response)?.consume() {
            Some(body) => Ok(self.table.push(body)?),
            None => Err(()),
        })
    }

    fn drop(&mut self, response: Resource<IncomingResponse>) -> Result<()> {
        self.table.delete(response)?;
        Ok(())
    }
}

impl types::HostOutgoingResponse for WasiHttpCtxView<'_> {
    fn new(&mut self, headers: Resource<GuestFields>) -> Result<Resource<OutgoingResponse>> {
        let headers = self.table.delete(headers)?.into_fields();
        Ok(self.table.push(OutgoingResponse::new(headers))?)
    }

    fn status_code(&mut self, response: Resource<OutgoingResponse>) -> Result<u16> {
        Ok(self.table.get(&response)?.status)
    }

    fn set_status_code(
        &mut self,
        response: Resource<OutgoingResponse>,
        status: u16,
    ) -> Result<Answer<(), ()>> {
        Ok(bare(self.table.get_mut(&response)?.set_status(status)))
    }

    fn headers(&mut self, response: Resource<OutgoingResponse>) -> Result<Resource<GuestFields>> {
        let fields = GuestFields::immutable(self.table.get(&response)?.headers.clone());
        Ok(self.table.push_child(fields, &response)?)
    }

    fn body(
        &mut self,
        response: Resource<OutgoingResponse>,
    ) -> Result<Answer<Resource<OutgoingBody>, ()>> {
        Ok(
            match self.table.get_mut(&response)?.body(self.ctx.window()) {
                Some(body) => Ok(self.table.push(body)?),
                None => Err(()),
            },
        )
    }

    fn drop(&mut self, response: Resource<OutgoingResponse>) -> Result<()> {
        self.table.delete(response)?;
        Ok(())
    }
}
