use super::bindings::wasi::http::types::{
    Host, HostRequest, HostRequestWithStore, HostResponse, HostResponseWithStore, Method, Scheme,
};
use super::bodies::{
    Getter, GuestBody, MessageBody, OutcomeReader, Sent, TrailersReader, Transmission,
};
use super::{WasiHttp, WasiHttpCtxView, WasiHttpView};
use crate::guest_fields::strip_forbidden;
use crate::message::{check_response, check_status};
use crate::{
    Delivery, Fields, GuestFields, GuestRequestOptions, Invalid, MessageKind, RequestHead,
    RequestOptions,
};
use alloc::boxed::Box;
use alloc::string::String;
use core::result::Result as Answer;
use wasmtime::component::{Access, Resource, StreamReader};
use wasmtime::{AsContextMut, Result};

/// A `request`: one that a guest made, or one of the host.
pub struct Request {
    head: RequestHead,
    options: Option<RequestOptions>,
    body: MessageBody,
}

/// A `response`: one that a guest made, or one of the host.
pub struct Response {
    status: u16,
    headers: Fields,
    body: MessageBody,
}

/// A request as it is sent, and how to tell the guest what becomes of it.
type Prepared = (
    crate::Request,
    RequestOptions,
    Option<(Transmission, Delivery)>,
);

impl Request {
    fn from_host(mut request: crate::Request) -> Self {
        strip_forbidden(&mut request.headers);
        Self {
            head: RequestHead {
                method: request.method,
                scheme: request.scheme,
                authority: request.authority,
                path_with_query: request.path_with_query,
                headers: request.headers,
            },
            options: None,
            body: MessageBody::Host(request.body),
        }
    }

    /// The request, to be sent, or why it can't be.
    pub(super) fn prepare<T>(
        self,
        access: &mut Access<'_, T, WasiHttp>,
    ) -> Result<Answer<Prepared, crate::ErrorCode>> {
        let Self {
            head,
            options,
            body,
        } = self;
        let options = options.unwrap_or_default();
        let kind = MessageKind::Request;
        let checked = head.check();
        let body = match body {
            MessageBody::Host(body) => {
                return Ok(checked.map(|_| (head.with_body(body), options, None)));
            }
            MessageBody::Guest(body) => body,
        };
        let refused = match checked {
            Ok(length) if length > 0 && !body.has_contents() => Some(kind.size_error(0)),
            Ok(_) => None,
            Err(code) => Some(code),
        };
        if let Some(code) = refused {
            body.refuse(access, code.clone())?;
            return Ok(Err(code));
        }
        let getter = access.getter();
        let (body, transmission, delivery) = send(access, getter, kind, &head.headers, body)?;
        let sent = Some((transmission, delivery));
        Ok(Ok((head.with_body(body), options, sent)))
    }
}

impl Response {
    pub(super) fn from_host(mut response: crate::Response) -> Self {
        strip_forbidden(&mut response.headers);
        Self {
            status: response.status,
            headers: response.headers,
            body: MessageBody::Host(response.body),
        }
    }
}

/// What a guest writes, as a body with these headers.
fn send<S: AsContextMut>(
    mut store: S,
    getter: Getter<S::Data>,
    kind: MessageKind,
    headers: &Fields,
    body: GuestBody,
) -> Result<(Box<dyn crate::Body>, Transmission, Delivery)>
where
    S::Data: 'static,
{
    let window = getter(store.as_context_mut().data_mut()).ctx.window();
    let expected = match headers.content_length().unwrap_or_default() {
        // Nothing, unless there are trailers to come.
        None if !body.has_contents() && !headers.contains("trailer") => Some(0),
        expected => expected,
    };
    body.send(store, getter, kind, expected, window)
}

/// A new `request`, for `handler.handle`: the guest's view of `request`, without the fields that
/// are the host's ([`GuestFields`]).
///
/// # Errors
/// The table is full.
pub fn new_request<T: WasiHttpView + 'static>(
    mut store: impl AsContextMut<Data = T>,
    request: crate::Request,
) -> Result<Resource<Request>> {
    let mut store = store.as_context_mut();
    let table = store.data_mut().http().table;
    Ok(table.push(Request::from_host(request))?)
}

/// What `handler.handle` returned, to be sent. The guest may still be writing the body: that goes
/// on while the store runs (`run_concurrent`), as far as the body is read. The guest learns that
/// the response was sent when the body was read to its end.
///
/// The inner error is the one to answer instead, and the guest is told it too:
/// [`ErrorCode::HttpProtocolError`](crate::ErrorCode::HttpProtocolError) where the status is that
/// of an informational response, or `Content-Length` is not one number.
///
/// # Errors
/// The table has no such response, or is full.
pub fn take_response<T: WasiHttpView + 'static>(
    mut store: impl AsContextMut<Data = T>,
    response: Resource<Response>,
) -> Result<Answer<crate::Response, crate::ErrorCode>> {
    let mut store = store.as_context_mut();
    let response = store.data_mut().http().table.delete(response)?;
    let Response {
        status,
        headers,
        body,
    } = response;
    let checked = check_response(status, &headers);
    let body = match (body, checked) {
        (MessageBody::Host(body), Ok(_)) => body,
        (MessageBody::Host(_), Err(code)) => return Ok(Err(code)),
        (MessageBody::Guest(body), Err(code)) => {
            body.refuse(store, code.clone())?;
            return Ok(Err(code));
        }
        (MessageBody::Guest(body), Ok(_)) => {
            let kind = MessageKind::Response;
            let (body, transmission, delivery) = send(store, T::http, kind, &headers, body)?;
            transmission.tell(Sent::Underway(delivery));
            body
        }
    };
    Ok(Ok(crate::Response {
        status,
        headers,
        body,
    }))
}

/// The guest learns no more than that.
fn bare(result: Answer<(), Invalid>) -> Answer<(), ()> {
    result.map_err(|Invalid| ())
}

impl Host for WasiHttpCtxView<'_> {}

impl<T> HostRequestWithStore<T> for WasiHttp {
    fn new(
        mut access: Access<'_, T, Self>,
        headers: Resource<GuestFields>,
        contents: Option<StreamReader<u8>>,
        trailers: TrailersReader,
        options: Option<Resource<GuestRequestOptions>>,
    ) -> Result<(Resource<Request>, OutcomeReader)> {
        let (body, sent) = GuestBody::new(&mut access, MessageKind::Request, contents, trailers)?;
        let table = access.get().table;
        let head = RequestHead::new(table.delete(headers)?.into_fields());
        let options = match options {
            Some(options) => Some(table.delete(options)?.options()),
            None => None,
        };
        let request = Request {
            head,
            options,
            body: MessageBody::Guest(body),
        };
        Ok((table.push(request)?, sent))
    }

    fn consume_body(
        mut access: Access<'_, T, Self>,
        request: Resource<Request>,
        verdict: OutcomeReader,
    ) -> Result<(StreamReader<u8>, TrailersReader)> {
        let request = access.get().table.delete(request)?;
        request.body.consume(access, verdict)
    }

    fn drop(mut access: Access<'_, T, Self>, request: Resource<Request>) -> Result<()> {
        let request = access.get().table.delete(request)?;
        request.body.close(access)
    }
}

impl HostRequest for WasiHttpCtxView<'_> {
    fn get_method(&mut self, request: Resource<Request>) -> Result<Method> {
        Ok(self.table.get(&request)?.head.method.clone().into())
    }

    fn set_method(&mut self, request: Resource<Request>, method: Method) -> Result<Answer<(), ()>> {
        let head = &mut self.table.get_mut(&request)?.head;
        Ok(bare(head.set_method(method.into())))
    }

    fn get_path_with_query(&mut self, request: Resource<Request>) -> Result<Option<String>> {
        Ok(self.table.get(&request)?.head.path_with_query.clone())
    }

    fn set_path_with_query(
        &mut self,
        request: Resource<Request>,
        path: Option<String>,
    ) -> Result<Answer<(), ()>> {
        let head = &mut self.table.get_mut(&request)?.head;
        Ok(bare(head.set_path_with_query(path)))
    }

    fn get_scheme(&mut self, request: Resource<Request>) -> Result<Option<Scheme>> {
        let scheme = self.table.get(&request)?.head.scheme.clone();
        Ok(scheme.map(Into::into))
    }

    fn set_scheme(
        &mut self,
        request: Resource<Request>,
        scheme: Option<Scheme>,
    ) -> Result<Answer<(), ()>> {
        let head = &mut self.table.get_mut(&request)?.head;
        Ok(bare(head.set_scheme(scheme.map(Into::into))))
    }

    fn get_authority(&mut self, request: Resource<Request>) -> Result<Option<String>> {
        Ok(self.table.get(&request)?.head.authority.clone())
    }

    fn set_authority(
        &mut self,
        request: Resource<Request>,
        authority: Option<String>,
    ) -> Result<Answer<(), ()>> {
        let head = &mut self.table.get_mut(&request)?.head;
        Ok(bare(head.set_authority(authority)))
    }

    fn get_options(
        &mut self,
        request: Resource<Request>,
    ) -> Result<Option<Resource<GuestRequestOptions>>> {
        Ok(match self.table.get(&request)?.options {
            Some(options) => Some(self.table.push(GuestRequestOptions::immutable(options))?),
            None => None,
        })
    }

    fn get_headers(&mut self, request: Resource<Request>) -> Result<Resource<GuestFields>> {
        let headers = self.table.get(&request)?.head.headers.clone();
        Ok(self.table.push(GuestFields::immutable(headers))?)
    }
}

impl<T> HostResponseWithStore<T> for WasiHttp {
    fn new(
        mut access: Access<'_, T, Self>,
        headers: Resource<GuestFields>,
        contents: Option<StreamReader<u8>>,
        trailers: TrailersReader,
    ) -> Result<(Resource<Response>, OutcomeReader)> {
        let (body, sent) = GuestBody::new(&mut access, MessageKind::Response, contents, trailers)?;
        let table = access.get().table;
        let response = Response {
            status: 200,
            headers: table.delete(headers)?.into_fields(),
            body: MessageBody::Guest(body),
        };
        Ok((table.push(response)?, sent))
    }

    fn consume_body(
        mut access: Access<'_, T, Self>,
        response: Resource<Response>,
        verdict: OutcomeReader,
    ) -> Result<(StreamReader<u8>, TrailersReader)> {
        let response = access.get().table.delete(response)?;
        response.body.consume(access, verdict)
    }

    fn drop(mut access: Access<'_, T, Self>, response: Resource<Response>) -> Result<()> {
        let response = access.get().table.delete(response)?;
        response.body.close(access)
    }
}

impl HostResponse for WasiHttpCtxView<'_> {
    fn get_status_code(&mut self, response: Resource<Response>) -> Result<u16> {
        Ok(self.table.get(&response)?.status)
    }

    fn set_status_code(
        &mut self,
        response: Resource<Response>,
        status: u16,
    ) -> Result<Answer<(), ()>> {
        let response = self.table.get_mut(&response)?;
        Ok(match check_status(status) {
            Ok(()) => {
                response.status = status;
                Ok(())
            }
            Err(Invalid) => Err(()),
        })
    }

    fn get_headers(&mut self, response: Resource<Response>) -> Result<Resource<GuestFields>> {
        let headers = self.table.get(&response)?.headers.clone();
        Ok(self.table.push(GuestFields::immutable(headers))?)
    }
}
