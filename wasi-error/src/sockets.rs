//! `wasi:sockets/network.error-code`.

/// Why a socket operation failed (`wasi:sockets/network.error-code`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorCode {
    /// No other code fits.
    #[error("an unknown error occurred")]
    Unknown,
    /// The guest has no grant for this (EACCES, EPERM).
    #[error("access denied")]
    AccessDenied,
    /// The backend cannot do this (EOPNOTSUPP).
    #[error("the operation is not supported")]
    NotSupported,
    /// An argument is out of its range (EINVAL).
    #[error("an argument is invalid")]
    InvalidArgument,
    /// Memory or buffers ran out (ENOMEM, ENOBUFS).
    #[error("out of memory")]
    OutOfMemory,
    /// It took too long.
    #[error("the operation timed out")]
    Timeout,
    /// Another operation on the same object is not finished yet (EALREADY).
    #[error("another operation is in progress")]
    ConcurrencyConflict,
    /// A `finish-*` call without its `start-*`.
    #[error("no operation is in progress")]
    NotInProgress,
    /// The operation is not finished yet (EWOULDBLOCK).
    #[error("the operation would block")]
    WouldBlock,
    /// The socket is in a state that does not allow this.
    #[error("the socket is in the wrong state for this")]
    InvalidState,
    /// The system or the guest's limit of sockets is reached (EMFILE, ENFILE).
    #[error("no more sockets can be made")]
    NewSocketLimit,
    /// The address is none of this host's (EADDRNOTAVAIL on bind).
    #[error("the address can't be bound")]
    AddressNotBindable,
    /// The address or every ephemeral port is taken (EADDRINUSE).
    #[error("the address is in use")]
    AddressInUse,
    /// No route to the peer (EHOSTUNREACH, ENETUNREACH, ENETDOWN).
    #[error("the remote address is unreachable")]
    RemoteUnreachable,
    /// The peer refused the connection (ECONNREFUSED).
    #[error("the connection was refused")]
    ConnectionRefused,
    /// The connection takes no more bytes (EPIPE). WASI 0.2 has no such code and says that it
    /// was reset.
    #[error("the connection is broken")]
    ConnectionBroken,
    /// The peer reset the connection (ECONNRESET).
    #[error("the connection was reset")]
    ConnectionReset,
    /// The connection was aborted on this side (ECONNABORTED).
    #[error("the connection was aborted")]
    ConnectionAborted,
    /// The datagram is larger than the network can carry (EMSGSIZE).
    #[error("the datagram is too large")]
    DatagramTooLarge,
    /// The name does not exist or has no address.
    #[error("the name can't be resolved")]
    NameUnresolvable,
    /// The resolver failed in a way that may pass.
    #[error("the resolver failed for now")]
    TemporaryResolverFailure,
    /// The resolver failed in a way that will not pass.
    #[error("the resolver failed for good")]
    PermanentResolverFailure,
}

#[cfg(feature = "std")]
impl From<&std::io::Error> for ErrorCode {
    fn from(error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        match error.kind() {
            Kind::PermissionDenied => Self::AccessDenied,
            Kind::Unsupported => Self::NotSupported,
            Kind::InvalidInput => Self::InvalidArgument,
            Kind::OutOfMemory => Self::OutOfMemory,
            Kind::TimedOut => Self::Timeout,
            Kind::WouldBlock => Self::WouldBlock,
            Kind::AddrNotAvailable => Self::AddressNotBindable,
            Kind::AddrInUse => Self::AddressInUse,
            Kind::HostUnreachable | Kind::NetworkUnreachable | Kind::NetworkDown => {
                Self::RemoteUnreachable
            }
            Kind::ConnectionRefused => Self::ConnectionRefused,
            Kind::ConnectionReset => Self::ConnectionReset,
            Kind::ConnectionAborted | Kind::BrokenPipe => Self::ConnectionAborted,
            Kind::NotConnected => Self::InvalidState,
            // The kinds that std has no stable name for, by their number on unix.
            _ => match error.raw_os_error() {
                #[cfg(unix)]
                Some(code) => Self::from_errno(code),
                _ => Self::Unknown,
            },
        }
    }
}

#[cfg(feature = "std")]
impl From<std::io::Error> for ErrorCode {
    fn from(error: std::io::Error) -> Self {
        Self::from(&error)
    }
}

#[cfg(all(feature = "std", unix))]
impl ErrorCode {
    /// Linux numbers; the other unixes share those that `ErrorKind` does not name already.
    fn from_errno(code: i32) -> Self {
        const EMFILE: i32 = 24;
        const ENFILE: i32 = 23;
        #[cfg(target_os = "linux")]
        const REST: [(i32, ErrorCode); 6] = [
            (90, ErrorCode::DatagramTooLarge),     // EMSGSIZE
            (92, ErrorCode::NotSupported),         // ENOPROTOOPT
            (95, ErrorCode::NotSupported),         // EOPNOTSUPP
            (97, ErrorCode::NotSupported),         // EAFNOSUPPORT
            (105, ErrorCode::OutOfMemory),         // ENOBUFS
            (114, ErrorCode::ConcurrencyConflict), // EALREADY
        ];
        #[cfg(not(target_os = "linux"))]
        const REST: [(i32, ErrorCode); 0] = [];
        match code {
            EMFILE | ENFILE => Self::NewSocketLimit,
            code => REST
                .iter()
                .find(|(errno, _)| *errno == code)
                .map_or(Self::Unknown, |(_, mapped)| *mapped),
        }
    }
}

#[cfg(all(test, feature = "std", target_os = "linux"))]
mod tests {
    use super::ErrorCode;
    use std::io::Error;

    #[test]
    fn errno_maps_to_the_code_that_the_wit_names_for_it() {
        for (errno, code) in [
            (13, ErrorCode::AccessDenied),
            (1, ErrorCode::AccessDenied),
            (22, ErrorCode::InvalidArgument),
            (12, ErrorCode::OutOfMemory),
            (105, ErrorCode::OutOfMemory),
            (110, ErrorCode::Timeout),
            (114, ErrorCode::ConcurrencyConflict),
            (11, ErrorCode::WouldBlock),
            (24, ErrorCode::NewSocketLimit),
            (23, ErrorCode::NewSocketLimit),
            (99, ErrorCode::AddressNotBindable),
            (98, ErrorCode::AddressInUse),
            (113, ErrorCode::RemoteUnreachable),
            (101, ErrorCode::RemoteUnreachable),
            (111, ErrorCode::ConnectionRefused),
            (104, ErrorCode::ConnectionReset),
            (103, ErrorCode::ConnectionAborted),
            (90, ErrorCode::DatagramTooLarge),
            (95, ErrorCode::NotSupported),
            (5, ErrorCode::Unknown),
        ] {
            assert_eq!(
                ErrorCode::from(Error::from_raw_os_error(errno)),
                code,
                "errno {errno}"
            );
        }
    }
}
