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
        }
    }
}

macro_rules! both_ways {
    ($ours:ident { $($unit:ident)* } { $($other:ident)* }) => {
        impl From<types::$ours> for $ours {
            fn from(value: types::$ours) -> Self {
                match value {
                    $(types::$ours::$unit => Self::$unit,)*
                    $(types::$ours::$other(value) => Self::$other(value.into()),)*
                }
            }
        }

        impl From<$ours> for types::$ours {
            fn from(value: $ours) -> Self {
                match value {
                    $($ours::$unit => Self::$unit,)*
                    $($ours::$other(value) => Self::$other(value.into()),)*
                }
            }
        }
    };
}

both_ways! {
    Method { Get Head Post Put Delete Connect Options Trace Patch } { Other }
}

both_ways! {
    Scheme { Http Https } { Other }
}

macro_rules! records {
    ($($name:ident { $($field:ident)* })*) => {$(
        impl From<types::$name> for $name {
            fn from(types::$name { $($field),* }: types::$name) -> Self {
                Self { $($field),* }
            }
        }

        impl From<$name> for types::$name {
            fn from($name { $($field),* }: $name) -> Self {
                Self { $($field),* }
            }
        }
    )*};
}

records! {
    DnsErrorPayload { rcode info_code }
    TlsAlertReceivedPayload { alert_id alert_message }
    FieldSizePayload { field_name field_size }
}

macro_rules! error_codes {
    ({ $($unit:ident)* } { $($payload:ident)* }) => {
        impl From<types::ErrorCode> for ErrorCode {
            fn from(code: types::ErrorCode) -> Self {
                match code {
                    $(types::ErrorCode::$unit => Self::$unit,)*
                    $(types::ErrorCode::$payload(payload) => Self::$payload(payload.into()),)*
                    types::ErrorCode::HttpRequestHeaderSize(payload) => {
                        Self::HttpRequestHeaderSize(payload.map(Into::into))
                    }
                }
            }
        }

        impl From<ErrorCode> for types::ErrorCode {
            fn from(code: ErrorCode) -> Self {
                match code {
                    $(ErrorCode::$unit => Self::$unit,)*
                    $(ErrorCode::$payload(payload) => Self::$payload(payload.into()),)*
                    ErrorCode::HttpRequestHeaderSize(payload) => {
                        Self::HttpRequestHeaderSize(payload.map(Into::into))
                    }
                    // A code that a later version of WASI has.
                    code => Self::InternalError(Some(code.to_string())),
                }
            }
        }
    };
}

error_codes! {
    {
        DnsTimeout
        DestinationNotFound
        DestinationUnavailable
        DestinationIpProhibited
        DestinationIpUnroutable
        ConnectionRefused
        ConnectionTerminated
        ConnectionTimeout
        ConnectionReadTimeout
        ConnectionWriteTimeout
        ConnectionLimitReached
        TlsProtocolError
        TlsCertificateError
        HttpRequestDenied
        HttpRequestLengthRequired
        HttpRequestMethodInvalid
        HttpRequestUriInvalid
        HttpRequestUriTooLong
        HttpResponseIncomplete
        HttpResponseTimeout
        HttpUpgradeFailed
        HttpProtocolError
        LoopDetected
        ConfigurationError
    }
    {
        DnsError
        TlsAlertReceived
        HttpRequestBodySize
        HttpRequestHeaderSectionSize
        HttpRequestTrailerSectionSize
        HttpRequestTrailerSize
        HttpResponseHeaderSectionSize
        HttpResponseHeaderSize
        HttpResponseBodySize
        HttpResponseTrailerSectionSize
        HttpResponseTrailerSize
        HttpResponseTransferCoding
        HttpResponseContentCoding
        InternalError
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back_as_it_went() {
        let field = FieldSizePayload {
            field_name: Some("a".into()),
            field_size: Some(7),
        };
        for code in [
            ErrorCode::DnsTimeout,
            ErrorCode::DnsError(DnsErrorPayload {
                rcode: Some("NXDOMAIN".into()),
                info_code: Some(3),
            }),
            ErrorCode::DestinationIpUnroutable,
            ErrorCode::TlsAlertReceived(TlsAlertReceivedPayload {
                alert_id: Some(40),
                alert_message: Some("handshake failure".into()),
            }),
            ErrorCode::HttpRequestHeaderSize(Some(field.clone())),
            ErrorCode::HttpRequestHeaderSize(None),
            ErrorCode::HttpRequestBodySize(Some(1)),
            ErrorCode::HttpResponseTrailerSize(field),
            ErrorCode::HttpResponseContentCoding(Some("br".into())),
            ErrorCode::InternalError(Some("why".into())),
        ] {
            let guest = types::ErrorCode::from(code.clone());
            assert_eq!(ErrorCode::from(guest), code);
        }
        let field = types::ErrorCode::from(ErrorCode::HttpResponseHeaderSectionSize(Some(9)));
        assert!(matches!(
            field,
            types::ErrorCode::HttpResponseHeaderSectionSize(Some(9))
        ));
    }

    #[test]
    fn methods_and_schemes_keep_their_names() {
        for method in [Method::Get, Method::Patch, Method::Other("PURGE".into())] {
            assert_eq!(Method::from(types::Method::from(method.clone())), method);
        }
        let other = types::Scheme::from(Scheme::Other("ws".into()));
        assert_eq!(Scheme::from(other), Scheme::Other("ws".into()));
    }
}
