//! WASI 0.3 for wasmtime.

mod bodies;
mod client;
mod convert;
mod fields;
mod messages;
mod options;

pub use super::{WasiHttp, WasiHttpCtxView, WasiHttpView};
use alloc::format;
use bindings::wasi::http;
pub use messages::{Request, Response, new_request, take_response};
use wasi_types::WASI_0_3;
use wasmtime::Result;
use wasmtime::component::Linker;

/// What the `bindgen!` of `wasi:http@0.3.0` generates. In a world of your own, map
/// `wasi:http` here with `with: { "wasi:http": wasi_http::p3::bindings::wasi::http }`.
#[allow(missing_docs)]
pub mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/p3",
        inline: "
            package agave:http;
            world imports {
                import wasi:http/types@0.3.0;
                import wasi:http/client@0.3.0;
                import wasi:http/handler@0.3.0;
            }
        ",
        world: "agave:http/imports",
        with: {
            "wasi:clocks": wasi_clocks::p3::bindings::wasi::clocks,
            "wasi:http/types.fields": crate::GuestFields,
            "wasi:http/types.request": crate::p3::Request,
            "wasi:http/types.request-options": crate::GuestRequestOptions,
            "wasi:http/types.response": crate::p3::Response,
        },
        imports: {
            "wasi:http/client.send": store | trappable,
            "wasi:http/handler.handle": store | trappable,
            "wasi:http/types.[drop]request": store | trappable,
            "wasi:http/types.[drop]response": store | trappable,
            "wasi:http/types.[static]request.consume-body": store | trappable,
            "wasi:http/types.[static]request.new": store | trappable,
            "wasi:http/types.[static]response.consume-body": store | trappable,
            "wasi:http/types.[static]response.new": store | trappable,
            default: trappable,
        },
        require_store_data_send: true,
    });
}

/// Links `wasi:http/types`, `wasi:http/client` and `wasi:http/handler`, under each of the names
/// of [`WASI_0_3`].
///
/// The last is what a middleware imports. A component that was composed with the service behind
/// it has none left; in one that was not, the next handler is the network: `handler.handle` is
/// `client.send`, under the same policy.
///
/// # Errors
/// One of them is in the linker already.
pub fn add_to_linker<T: WasiHttpView + 'static>(linker: &mut Linker<T>) -> Result<()> {
    for version in WASI_0_3 {
        let name = |interface| format!("wasi:http/{interface}@{version}");
        let mut instance = linker.instance(&name("types"))?;
        http::types::add_to_linker_instance::<T, WasiHttp>(&mut instance, T::http)?;
        let mut instance = linker.instance(&name("client"))?;
        http::client::add_to_linker_instance::<T, WasiHttp>(&mut instance, T::http)?;
        let mut instance = linker.instance(&name("handler"))?;
        http::handler::add_to_linker_instance::<T, WasiHttp>(&mut instance, T::http)?;
    }
    Ok(())
}
