//! What went wrong below, as `wasi:http/types.error-code` (RFC 9209, section 2.3, has the
//! meaning of each).

use std::error::Error as StdError;
use std::format;
use std::io::{Error as IoError, ErrorKind};
use std::string::{String, ToString};
use wasi_error::http::{DnsErrorPayload, ErrorCode, TlsAlertReceivedPayload};

/// The first `T` among the causes of `error`.
fn cause<T: StdError + 'static>(error: &hyper::Error) -> Option<&T> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

/// An exchange that ended before the head of the response.
pub(super) fn of_exchange(error: &hyper::Error) -> ErrorCode {
    if error.is_parse_too_large() {
        ErrorCode::HttpResponseHeaderSectionSize(None)
    } else if error.is_incomplete_message() {
        ErrorCode::ConnectionTerminated
    } else {
        of_hyper(error)
    }
}

/// A response's body that ended before its end.
pub(super) fn of_response_body(error: &hyper::Error) -> ErrorCode {
    match cause::<IoError>(error) {
        Some(io) if io.kind() == ErrorKind::UnexpectedEof => ErrorCode::HttpResponseIncomplete,
        _ => of_hyper(error),
    }
}

/// A request's body that ended before its end.
pub(super) fn of_request_body(error: &hyper::Error) -> ErrorCode {
    of_hyper(error)
}

fn of_hyper(error: &hyper::Error) -> ErrorCode {
    // Our own bodies fail with a code already.
    if let Some(code) = cause::<ErrorCode>(error) {
        return code.clone();
    }
    if let Some(io) = cause::<IoError>(error) {
        return match io.kind() {
            // The chunked coding is wrong, or TLS is.
            ErrorKind::InvalidData | ErrorKind::InvalidInput => {
                tls(io).unwrap_or(ErrorCode::HttpProtocolError)
            }
            ErrorKind::TimedOut => ErrorCode::ConnectionReadTimeout,
            _ => of_io(io),
        };
    }
    if error.is_body_write_aborted() {
        // Less content than its `content-length` promised.
        ErrorCode::HttpRequestBodySize(None)
    } else if error.is_timeout() {
        ErrorCode::ConnectionReadTimeout
    } else if error.is_canceled() || error.is_closed() || error.is_incomplete_message() {
        ErrorCode::ConnectionTerminated
    } else if error.is_user() {
        ErrorCode::InternalError(Some(error.to_string()))
    } else {
        ErrorCode::HttpProtocolError
    }
}

/// A connection that could not be made or broke.
pub(super) fn of_io(error: &IoError) -> ErrorCode {
    match error.kind() {
        ErrorKind::ConnectionRefused => ErrorCode::ConnectionRefused,
        ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe
        | ErrorKind::NotConnected
        | ErrorKind::UnexpectedEof => ErrorCode::ConnectionTerminated,
        ErrorKind::TimedOut => ErrorCode::ConnectionTimeout,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            ErrorCode::DestinationIpUnroutable
        }
        // The system's own rules, such as those of its firewall.
        ErrorKind::PermissionDenied => ErrorCode::DestinationIpProhibited,
        ErrorKind::AddrNotAvailable | ErrorKind::NetworkDown => ErrorCode::DestinationUnavailable,
        _ => tls(error).unwrap_or_else(|| ErrorCode::InternalError(Some(error.to_string()))),
    }
}

/// A TLS handshake that failed.
pub(super) fn of_handshake(error: &IoError) -> ErrorCode {
    tls(error).unwrap_or_else(|| of_io(error))
}

fn tls(error: &IoError) -> Option<ErrorCode> {
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    Some(match error {
        rustls::Error::InvalidCertificate(_)
        | rustls::Error::NoCertificatesPresented
        | rustls::Error::InvalidCertRevocationList(_) => ErrorCode::TlsCertificateError,
        rustls::Error::AlertReceived(alert) => {
            ErrorCode::TlsAlertReceived(TlsAlertReceivedPayload {
                alert_id: Some(u8::from(*alert)),
                alert_message: Some(format!("{alert:?}")),
            })
        }
        _ => ErrorCode::TlsProtocolError,
    })
}

/// A name that the system could not resolve.
pub(super) fn of_resolver(error: &IoError) -> ErrorCode {
    // std gives the words of `gai_strerror` and not the code. These two are glibc's and
    // musl's for `EAI_AGAIN`: no server answered well, so it is not known that there is no
    // such name.
    let words = error.to_string();
    let again = ["Temporary failure in name resolution", "Try again"]
        .iter()
        .any(|text| words.contains(text));
    ErrorCode::DnsError(DnsErrorPayload {
        rcode: Some(String::from(if again { "SERVFAIL" } else { "NXDOMAIN" })),
        info_code: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustls::{AlertDescription, CertificateError};

    #[test]
    fn each_system_error_has_its_code() {
        for (kind, code) in [
            (ErrorKind::ConnectionRefused, ErrorCode::ConnectionRefused),
            (ErrorKind::ConnectionReset, ErrorCode::ConnectionTerminated),
            (ErrorKind::UnexpectedEof, ErrorCode::ConnectionTerminated),
            (ErrorKind::TimedOut, ErrorCode::ConnectionTimeout),
            (
                ErrorKind::HostUnreachable,
                ErrorCode::DestinationIpUnroutable,
            ),
            (
                ErrorKind::NetworkUnreachable,
                ErrorCode::DestinationIpUnroutable,
            ),
            (
                ErrorKind::PermissionDenied,
                ErrorCode::DestinationIpProhibited,
            ),
            (
                ErrorKind::AddrNotAvailable,
                ErrorCode::DestinationUnavailable,
            ),
        ] {
            assert_eq!(of_io(&kind.into()), code, "{kind:?}");
        }
    }

    #[test]
    fn each_tls_failure_has_its_code() {
        let code = |error: rustls::Error| of_io(&IoError::new(ErrorKind::InvalidData, error));
        assert_eq!(
            code(rustls::Error::InvalidCertificate(CertificateError::Expired)),
            ErrorCode::TlsCertificateError
        );
        assert_eq!(
            code(rustls::Error::AlertReceived(AlertDescription::AccessDenied)),
            ErrorCode::TlsAlertReceived(TlsAlertReceivedPayload {
                alert_id: Some(49),
                alert_message: Some("AccessDenied".into()),
            })
        );
        assert_eq!(
            code(rustls::Error::HandshakeNotComplete),
            ErrorCode::TlsProtocolError
        );
    }

    #[test]
    fn a_name_server_that_fails_is_not_a_name_that_is_not_there() {
        let rcode = |words: &str| match of_resolver(&IoError::other(words)) {
            ErrorCode::DnsError(payload) => payload.rcode,
            other => panic!("{other}"),
        };
        assert_eq!(
            rcode("x: Name or service not known").as_deref(),
            Some("NXDOMAIN")
        );
        assert_eq!(
            rcode("x: Temporary failure in name resolution").as_deref(),
            Some("SERVFAIL")
        );
    }
}
