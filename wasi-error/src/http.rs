//! `wasi:http/types.error-code`.

use alloc::string::String;

/// Why an HTTP exchange failed (`wasi:http/types.error-code`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The DNS query timed out.
    #[error("the DNS query timed out")]
    DnsTimeout,
    /// The DNS query failed.
    #[error("the DNS query failed{}", detail(&.0.rcode))]
    DnsError(DnsErrorPayload),
    /// The destination was not found.
    #[error("the destination was not found")]
    DestinationNotFound,
    /// The destination is unavailable.
    #[error("the destination is unavailable")]
    DestinationUnavailable,
    /// The destination's address is prohibited.
    #[error("the destination's address is prohibited")]
    DestinationIpProhibited,
    /// The destination's address is unroutable.
    #[error("the destination's address is unroutable")]
    DestinationIpUnroutable,
    /// The connection was refused.
    #[error("the connection was refused")]
    ConnectionRefused,
    /// The connection was terminated.
    #[error("the connection was terminated")]
    ConnectionTerminated,
    /// The connection timed out.
    #[error("the connection timed out")]
    ConnectionTimeout,
    /// Reading from the connection timed out.
    #[error("reading from the connection timed out")]
    ConnectionReadTimeout,
    /// Writing to the connection timed out.
    #[error("writing to the connection timed out")]
    ConnectionWriteTimeout,
    /// The limit of connections is reached.
    #[error("the limit of connections is reached")]
    ConnectionLimitReached,
    /// The TLS handshake failed.
    #[error("the TLS handshake failed")]
    TlsProtocolError,
    /// The peer's TLS certificate is not valid.
    #[error("the peer's TLS certificate is not valid")]
    TlsCertificateError,
    /// The peer sent a TLS alert.
    #[error("the peer sent a TLS alert{}", detail(&.0.alert_message))]
    TlsAlertReceived(TlsAlertReceivedPayload),
    /// The request is denied.
    #[error("the request is denied")]
    HttpRequestDenied,
    /// The request needs a length.
    #[error("the request needs a length")]
    HttpRequestLengthRequired,
    /// The request's body has the wrong size; its size in bytes, where known.
    #[error("the request's body has the wrong size")]
    HttpRequestBodySize(Option<u64>),
    /// The request's method is invalid.
    #[error("the request's method is invalid")]
    HttpRequestMethodInvalid,
    /// The request's URI is invalid.
    #[error("the request's URI is invalid")]
    HttpRequestUriInvalid,
    /// The request's URI is too long.
    #[error("the request's URI is too long")]
    HttpRequestUriTooLong,
    /// The request's header section is too large; its size in bytes, where known.
    #[error("the request's header section is too large")]
    HttpRequestHeaderSectionSize(Option<u32>),
    /// A request header is too large.
    #[error("a request header is too large")]
    HttpRequestHeaderSize(Option<FieldSizePayload>),
    /// The request's trailer section is too large; its size in bytes, where known.
    #[error("the request's trailer section is too large")]
    HttpRequestTrailerSectionSize(Option<u32>),
    /// A request trailer is too large.
    #[error("a request trailer is too large")]
    HttpRequestTrailerSize(FieldSizePayload),
    /// The response ended early.
    #[error("the response ended early")]
    HttpResponseIncomplete,
    /// The response's header section is too large; its size in bytes, where known.
    #[error("the response's header section is too large")]
    HttpResponseHeaderSectionSize(Option<u32>),
    /// A response header is too large.
    #[error("a response header is too large")]
    HttpResponseHeaderSize(FieldSizePayload),
    /// The response's body has the wrong size; its size in bytes, where known.
    #[error("the response's body has the wrong size")]
    HttpResponseBodySize(Option<u64>),
    /// The response's trailer section is too large; its size in bytes, where known.
    #[error("the response's trailer section is too large")]
    HttpResponseTrailerSectionSize(Option<u32>),
    /// A response trailer is too large.
    #[error("a response trailer is too large")]
    HttpResponseTrailerSize(FieldSizePayload),
    /// The response's transfer coding is not supported; what is known of it.
    #[error("the response's transfer coding is not supported{}", detail(.0))]
    HttpResponseTransferCoding(Option<String>),
    /// The response's content coding is not supported; what is known of it.
    #[error("the response's content coding is not supported{}", detail(.0))]
    HttpResponseContentCoding(Option<String>),
    /// The response did not come in time.
    #[error("the response did not come in time")]
    HttpResponseTimeout,
    /// The upgrade failed.
    #[error("the upgrade failed")]
    HttpUpgradeFailed,
    /// The peer broke the HTTP protocol.
    #[error("the peer broke the HTTP protocol")]
    HttpProtocolError,
    /// A loop was detected.
    #[error("a loop was detected")]
    LoopDetected,
    /// The host is not configured for this.
    #[error("the host is not configured for this")]
    ConfigurationError,
    /// An internal error occurred; what is known of it.
    #[error("an internal error occurred{}", detail(.0))]
    InternalError(Option<String>),
}

/// What is known of a failed DNS query (`wasi:http/types.DNS-error-payload`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct DnsErrorPayload {
    /// The response code's name, such as `NXDOMAIN`.
    pub rcode: Option<String>,
    /// The extended error's number (RFC 8914).
    pub info_code: Option<u16>,
}

/// What is known of a TLS alert (`wasi:http/types.TLS-alert-received-payload`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsAlertReceivedPayload {
    /// The alert's number (RFC 8446, section 6).
    pub alert_id: Option<u8>,
    /// The alert in words.
    pub alert_message: Option<String>,
}

/// Which field was too large (`wasi:http/types.field-size-payload`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FieldSizePayload {
    /// Its name.
    pub field_name: Option<String>,
    /// Its size in bytes.
    pub field_size: Option<u32>,
}

/// Why fields were refused or can't be changed (`wasi:http/types.header-error`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum HeaderError {
    /// A name or value has characters that HTTP does not allow (RFC 9110, section 5).
    #[error("a field's name or value is not valid")]
    InvalidSyntax,
    /// The field is the host's to set.
    #[error("the field is forbidden")]
    Forbidden,
    /// The fields belong to something that is received or sent already.
    #[error("the fields can't be changed any more")]
    Immutable,
    /// The fields would be over their size limit (0.3; in 0.2 this is `forbidden`).
    #[error("the fields would be too large")]
    SizeExceeded,
}

pub(crate) fn detail(text: &Option<String>) -> String {
    match text {
        Some(text) => alloc::format!(": {text}"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_code_says_what_is_known_of_it() {
        let bare = ErrorCode::InternalError(None);
        assert_eq!(bare.to_string(), "an internal error occurred");
        let told = ErrorCode::InternalError(Some("out of cheese".into()));
        assert_eq!(
            told.to_string(),
            "an internal error occurred: out of cheese"
        );
    }
}
