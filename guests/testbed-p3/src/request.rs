//! A request and its parameters.

use crate::bindings::wasi::http::types::{self, ErrorCode, Fields, Trailers};
use crate::bindings::wit_future;
use wit_bindgen::{FutureReader, StreamReader};

/// How the trailers of a body come.
pub type TrailersReader = FutureReader<Result<Option<Trailers>, ErrorCode>>;

/// An incoming request, its path split from its query.
pub struct Request {
    pub path: String,
    pub query: Query,
    pub inner: types::Request,
}

/// The parameters of a request.
pub struct Query(String);

impl Request {
    pub fn new(inner: types::Request) -> Self {
        let whole = inner.get_path_with_query().unwrap_or_default();
        let (path, query) = whole.split_once('?').unwrap_or((&whole, ""));
        let (path, query) = (path.into(), Query(query.into()));
        Self { path, query, inner }
    }

    /// A parameter that is a number.
    pub fn number(&self, name: &str, default: u64) -> u64 {
        self.query.number(name, default)
    }

    /// A parameter, percent-decoded.
    pub fn param(&self, name: &str) -> Option<String> {
        self.query.param(name)
    }

    /// New fields with those of the request's headers whose names `keep` takes.
    pub fn fields(&self, keep: impl Fn(&str) -> bool) -> Fields {
        copy(&self.inner.get_headers(), keep)
    }

    /// The body and how its trailers come; the host hears that it was taken well.
    pub fn body(self) -> (StreamReader<u8>, TrailersReader) {
        types::Request::consume_body(self.inner, taken())
    }
}

impl Query {
    /// A parameter, percent-decoded.
    pub fn param(&self, name: &str) -> Option<String> {
        let mut pairs = self.0.split('&').filter_map(|p| p.split_once('='));
        let (_, value) = pairs.find(|(key, _)| *key == name)?;
        let mut bytes = value.bytes();
        let mut decoded = Vec::new();
        while let Some(byte) = bytes.next() {
            decoded.push(if byte == b'%' {
                let mut digit = || char::from(bytes.next()?).to_digit(16);
                (digit()? * 16 + digit()?) as u8
            } else {
                byte
            });
        }
        String::from_utf8(decoded).ok()
    }

    /// A parameter that is a number.
    pub fn number(&self, name: &str, default: u64) -> u64 {
        self.param(name)
            .and_then(|value| value.parse().ok())
            .unwrap_or(default)
    }
}

/// New fields with those whose names `keep` takes.
pub fn copy(fields: &Fields, keep: impl Fn(&str) -> bool) -> Fields {
    let copy = Fields::new();
    for (name, value) in fields.copy_all() {
        if keep(&name) {
            copy.append(&name, &value).expect("a header that was one");
        }
    }
    copy
}

/// What is said of a body that was taken well. The writer's default is written in the
/// background when it is dropped.
pub fn taken() -> FutureReader<Result<(), ErrorCode>> {
    wit_future::new(|| Ok(())).1
}
