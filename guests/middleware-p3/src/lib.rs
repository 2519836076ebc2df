//! Hands requests to the service behind it, with `x-middleware: request` added, and gives its
//! answers back with `x-middleware: response` added. Bodies and trailers go through untouched.
//! `/middleware` it answers itself.

#![cfg(target_arch = "wasm32")]

mod bindings {
    wit_bindgen::generate!({
        path: [
            "../wit/p3/clocks",
            "../wit/p3/random",
            "../wit/p3/filesystem",
            "../wit/p3/sockets",
            "../wit/p3/cli",
            "../wit/p3/http",
            "wit",
        ],
        world: "agave:middleware-p3/middleware",
        generate_all,
    });
    export!(Middleware);

    use super::Middleware;
}

use bindings::exports::wasi::http::handler::Guest;
use bindings::wasi::http::handler;
use bindings::wasi::http::types::{ErrorCode, Fields, Request, Response};
use bindings::wit_future;

struct Middleware;

impl Guest for Middleware {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let path = request.get_path_with_query();
        if path.as_deref() == Some("/middleware") {
            let headers = marked(&Fields::new(), b"own");
            let (_, none) = wit_future::new(|| Ok(None));
            return Ok(Response::new(headers, None, none).0);
        }
        let headers = marked(&request.get_headers(), b"request");
        let (method, scheme) = (request.get_method(), request.get_scheme());
        let (authority, options) = (request.get_authority(), request.get_options());
        let (body, trailers) = Request::consume_body(request, taken());
        let options = options.map(|it| it.clone());
        let (inner, _) = Request::new(headers, Some(body), trailers, options);
        let same = inner
            .set_method(&method)
            .and_then(|()| inner.set_scheme(scheme.as_ref()))
            .and_then(|()| inner.set_authority(authority.as_deref()))
            .and_then(|()| inner.set_path_with_query(path.as_deref()));
        same.map_err(|()| ErrorCode::InternalError(Some("what was valid is refused".into())))?;

        let response = handler::handle(inner).await?;
        let status = response.get_status_code();
        let headers = marked(&response.get_headers(), b"response");
        let (body, trailers) = Response::consume_body(response, taken());
        let (outer, _) = Response::new(headers, Some(body), trailers);
        outer
            .set_status_code(status)
            .expect("a status that was one");
        Ok(outer)
    }
}

/// A copy of the fields with the mark of the middleware.
fn marked(fields: &Fields, mark: &[u8]) -> Fields {
    let copy = fields.clone();
    copy.append("x-middleware", mark).expect("a valid field");
    copy
}

/// What is said of a body that was taken well. The writer's default is written in the
/// background when it is dropped.
fn taken() -> wit_bindgen::FutureReader<Result<(), ErrorCode>> {
    wit_future::new(|| Ok(())).1
}
