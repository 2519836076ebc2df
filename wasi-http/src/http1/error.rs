//! What went wrong below, as `wasi:http/types.error-code`.

use crate::{DnsErrorPayload, ErrorCode};
use alloc::string::{String, ToString};
use wasi_sockets::ErrorCode as Sockets;

/// A connection that could not be made or broke.
pub(super) fn of_sockets(error: Sockets) -> ErrorCode {
    match error {
        Sockets::ConnectionRefused => ErrorCode::ConnectionRefused,
        Sockets::ConnectionReset
        | Sockets::ConnectionAborted
        | Sockets::ConnectionBroken
        | Sockets::InvalidState => ErrorCode::ConnectionTerminated,
        Sockets::Timeout => ErrorCode::ConnectionTimeout,
        // A family that the network does not have leads nowhere.
        Sockets::RemoteUnreachable | Sockets::NotSupported => ErrorCode::DestinationIpUnroutable,
        Sockets::AccessDenied => ErrorCode::DestinationIpProhibited,
        Sockets::AddressInUse | Sockets::AddressNotBindable => ErrorCode::DestinationUnavailable,
        Sockets::NewSocketLimit => ErrorCode::ConnectionLimitReached,
        other => ErrorCode::InternalError(Some(other.to_string())),
    }
}

/// A name that could not be looked up.
pub(super) fn of_lookup(error: Sockets) -> ErrorCode {
    let rcode = match error {
        Sockets::AccessDenied => return ErrorCode::HttpRequestDenied,
        Sockets::Timeout => return ErrorCode::DnsTimeout,
        // What is no name is the name of nothing.
        Sockets::NameUnresolvable | Sockets::InvalidArgument => "NXDOMAIN",
        _ => "SERVFAIL",
    };
    ErrorCode::DnsError(DnsErrorPayload {
        rcode: Some(String::from(rcode)),
        info_code: None,
    })
}
