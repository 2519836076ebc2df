//! A request and its parameters.

use crate::bindings::wasi::http::types::{Headers, IncomingRequest};

/// An incoming request, its path split from its query.
pub struct Request {
    pub path: String,
    query: String,
    pub inner: IncomingRequest,
}

impl Request {
    pub fn new(inner: IncomingRequest) -> Self {
        let whole = inner.path_with_query().unwrap_or_default();
        let (path, query) = whole.split_once('?').unwrap_or((&whole, ""));
        let (path, query) = (path.into(), query.into());
        Self { path, query, inner }
    }

    /// A parameter, percent-decoded.
    pub fn param(&self, name: &str) -> Option<String> {
        let mut pairs = self.query.split('&').filter_map(|p| p.split_once('='));
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

    pub fn header(&self, name: &str) -> Option<Vec<u8>> {
        self.headers().get(name).into_iter().next()
    }

    pub fn headers(&self) -> Headers {
        self.inner.headers()
    }
}
