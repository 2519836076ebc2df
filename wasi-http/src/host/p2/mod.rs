//! WASI 0.2 for wasmtime.

mod bodies;
mod convert;
mod fields;
mod messages;

pub use super::{WasiHttp, WasiHttpCtxView, WasiHttpView};
use crate::{IncomingRequest, Request, ResponseOutparam};
use wasmtime::Result;
use wasmtime::component::{Linker, Resource, ResourceTable};

/// What the `bindgen!` of `wasi:http@0.2.12` generates. In a world of your own, map
/// `wasi:http` here with `with: { "wasi:http": wasi_http::p2::bindings::wasi::http }`.
#[allow(missing_docs)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/p2",
        inline: "
            package agave:http;
            world imports {
                import wasi:http/types@0.2.12;
                import wasi:http/outgoing-handler@0.2.12;
            }
        ",
        world: "agave:http/imports",
        with: {
            "wasi:io": wasi_io::p2::bindings::wasi::io,
            "wasi:clocks": wasi_clocks::p2::bindings::wasi::clocks,
            "wasi:http/types.fields": crate::GuestFields,
            "wasi:http/types.future-incoming-response": crate::FutureIncomingResponse,
            "wasi:http/types.future-trailers": crate::FutureTrailers,
            "wasi:http/types.incoming-body": crate::IncomingBody,
            "wasi:http/types.incoming-request": crate::IncomingRequest,
            "wasi:http/types.incoming-response": crate::IncomingResponse,
            "wasi:http/types.outgoing-body": crate::OutgoingBody,
            "wasi:http/types.outgoing-request": crate::OutgoingRequest,
            "wasi:http/types.outgoing-response": crate::OutgoingResponse,
            "wasi:http/types.request-options": crate::RequestOptions,
            "wasi:http/types.response-outparam": crate::ResponseOutparam,
        },
        imports: { default: trappable },
        require_store_data_send: true,
    });
}

/// Links `wasi:http/types` and `wasi:http/outgoing-handler`. They refer to `wasi:io`, which
/// [`wasi_io::p2::add_to_linker`] links.
///
/// # Errors
/// One of them is in the linker already.
pub fn add_to_linker<T: WasiHttpView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    bindings::wasi::http::types::add_to_linker::<T, WasiHttp>(linker, T::http)?;
    bindings::wasi::http::outgoing_handler::add_to_linker::<T, WasiHttp>(linker, T::http)?;
    Ok(())
}

/// A new `incoming-request`, for `incoming-handler.handle`.
///
/// # Errors
/// The table is full.
pub fn new_incoming_request(
    table: &mut ResourceTable,
    request: Request,
) -> Result<Resource<IncomingRequest>> {
    Ok(table.push(IncomingRequest::new(request))?)
}

/// A new `response-outparam`, for `incoming-handler.handle`.
///
/// # Errors
/// The table is full.
pub fn new_response_outparam(
    table: &mut ResourceTable,
    outparam: ResponseOutparam,
) -> Result<Resource<ResponseOutparam>> {
    Ok(table.push(outparam)?)
}
