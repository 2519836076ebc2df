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
            // There is no code for a limit.
            HeaderError::Forbidden | HeaderError::SizeExceeded => Self::Forbidden,
            HeaderError::Immutable => Self::Immutable,
        }
    }
}

conversions!();

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
