//! The types that both versions have, case by case: `types` is what `bindgen!` made of them.

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

/// The conversions of methods, schemes and error codes, both ways.
macro_rules! conversions {
    () => {
        both_ways! {
            Method { Get Head Post Put Delete Connect Options Trace Patch } { Other }
        }

        both_ways! {
            Scheme { Http Https } { Other }
        }

        records! {
            DnsErrorPayload { rcode info_code }
            TlsAlertReceivedPayload { alert_id alert_message }
            FieldSizePayload { field_name field_size }
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
    };
}
