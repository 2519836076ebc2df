use super::bindings::wasi::http::types;
use crate::{
    DnsErrorPayload, ErrorCode, FieldSizePayload, HeaderError, Method, Scheme,
    TlsAlertReceivedPayload,
};
use alloc::string::ToString;

impl From<HeaderError> for types::HeaderError {
    fn from(error: HeaderError) -> Self {
        match error {
            HeaderError::InvalidSyntax => Self::InvalidSyntax,
            HeaderError::Forbidden => Self::Forbidden,
            HeaderError::Immutable => Self::Immutable,
            HeaderError::SizeExceeded => Self::SizeExceeded,
        }
    }
}

conversions!();
