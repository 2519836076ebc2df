//! The traits and messages that connect the bindings with whatever speaks HTTP.

use crate::Fields;
use alloc::boxed::Box;
use alloc::string::String;
use bytes::Bytes;
use core::task::{Context, Poll};
use wasi_error::http::ErrorCode;
use wasi_io::BoxFuture;
use wasi_sockets::HttpGrant;
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

impl Method {
    /// Its name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
            Self::Options => "OPTIONS",
            Self::Trace => "TRACE",
            Self::Patch => "PATCH",
            Self::Other(name) => name,
        }
    }
}

impl From<String> for Method {
    /// The method of this name; the case matters (RFC 9110, section 9.1).
    fn from(name: String) -> Self {
        const KNOWN: [Method; 9] = [
            Method::Get,
            Method::Head,
            Method::Post,
            Method::Put,
            Method::Delete,
            Method::Connect,
            Method::Options,
            Method::Trace,
            Method::Patch,
        ];
        let known = KNOWN.into_iter().find(|method| method.as_str() == name);
        known.unwrap_or(Self::Other(name))
    }
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

impl From<String> for Scheme {
    /// The scheme of this name, in any case (RFC 3986, section 3.1).
    fn from(name: String) -> Self {
        match name {
            name if name.eq_ignore_ascii_case("http") => Self::Http,
            name if name.eq_ignore_ascii_case("https") => Self::Https,
            name => Self::Other(name),
        }
    }
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
    /// The leave of the guest's policy, where it has one: a client that looks up the host's
    /// addresses asks it which of them may be used, also when a connection is used again.
    /// `None` on the way in.
    pub grant: Option<HttpGrant>,
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
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, ErrorCode>>>;

    /// How many bytes of content are still to come, where that is certain. A body that knows
    /// of trailer fields says `None`: HTTP/1.1 sends those only after content whose length was
    /// not told.
    fn remaining(&self) -> Option<u64> {
        None
    }

    /// Whether it is certain that nothing more comes: neither content, nor trailers, nor an
    /// error.
    fn is_end(&self) -> bool {
        false
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

/// What sends requests for guests.
pub trait Client: Send + Sync + 'static {
    /// Sends `request` and gives the response once its head is there.
    ///
    /// The exchange makes progress on its own from this call on, whether the future is polled
    /// or not: a guest may write all of the request's body before it asks for the response. A
    /// client that needs a task for that spawns one; the future only waits for the head.
    /// Dropping the future before it is ready gives the request up; from then on, dropping the
    /// response's body does. The request's body may go on after the head of the response came.
    ///
    /// A future that is ready with an error at its first poll makes the guest's call fail
    /// (`outgoing-handler.handle`); a later error is one of the response.
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
