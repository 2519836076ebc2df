//! The traits and messages that connect the bindings with whatever speaks HTTP.

use crate::Fields;
use alloc::boxed::Box;
use alloc::string::String;
use bytes::Bytes;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use wasi_error::http::ErrorCode;
use wasi_types::Duration;

/// A request's method (`wasi:http/types.method`, RFC 9110, section 9).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
    /// Any other token.
    Other(String),
}

/// A request's scheme (`wasi:http/types.scheme`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Scheme {
    Http,
    Https,
    /// Any other scheme.
    Other(String),
}

/// A request, on its way in or out.
pub struct Request {
    /// The method.
    pub method: Method,
    /// The scheme; `None` is for the client to choose.
    pub scheme: Option<Scheme>,
    /// Host and port (RFC 3986, section 3.2).
    pub authority: Option<String>,
    /// The path with its query; `None` is an empty one.
    pub path_with_query: Option<String>,
    /// The header fields.
    pub headers: Fields,
    /// The content and the trailer fields.
    pub body: Box<dyn Body>,
}

/// A response, on its way in or out.
pub struct Response {
    /// The status code, 100 to 999.
    pub status: u16,
    /// The header fields.
    pub headers: Fields,
    /// The content and the trailer fields.
    pub body: Box<dyn Body>,
}

/// A part of a body.
pub enum Frame {
    /// Some of the content; not empty.
    Data(Bytes),
    /// The trailer fields, after all of the content.
    Trailers(Fields),
}

/// The content of a message and its trailer fields, as they come.
///
/// Dropping it before its end says that the rest is not wanted: who produces it stops.
pub trait Body: Send + 'static {
    /// The next part; `None` after the last. After an error nothing more comes.
    ///
    /// Pending, it keeps the waker of `cx`; one task at a time polls a body.
    ///
    /// # Errors
    /// The [`ErrorCode`] says why the body ends before its end.
    fn poll_frame(&mut self, cx: &mut Context<'_>)
    -> Poll<Option<Result<Frame, ErrorCode>>>;

    /// How many bytes of content are still to come, where that is certain.
    fn remaining(&self) -> Option<u64> {
        None
    }
}

/// How long a client waits (`wasi:http/types.request-options`), each in nanoseconds; `None`
/// is the client's own limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestOptions {
    /// For the connection, TLS included.
    pub connect_timeout: Option<Duration>,
    /// From the connection to the head of the response.
    pub first_byte_timeout: Option<Duration>,
    /// Between two parts of the response's body.
    pub between_bytes_timeout: Option<Duration>,
}

/// A boxed future.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What sends requests for guests.
pub trait Client: Send + Sync + 'static {
    /// Sends `request` and gives the response once its head is there. Dropping the future
    /// gives the request up.
    ///
    /// # Errors
    /// The [`ErrorCode`] of `wasi:http/types` that names the cause; a client without a grant
    /// answers [`ErrorCode::HttpRequestDenied`].
    fn send(
        &self,
        request: Request,
        options: RequestOptions,
    ) -> BoxFuture<Result<Response, ErrorCode>>;
}
