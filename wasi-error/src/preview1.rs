//! How the codes of the interfaces are told as an [`Errno`] of WASI 0.1.

use crate::{StreamError, filesystem, sockets};
use wasi_types::preview1::Errno;

impl From<filesystem::ErrorCode> for Errno {
    fn from(code: filesystem::ErrorCode) -> Self {
        use filesystem::ErrorCode as Code;
        match code {
            Code::Access => Self::Acces,
            Code::WouldBlock => Self::Again,
            Code::Already => Self::Already,
            Code::BadDescriptor => Self::Badf,
            Code::Busy => Self::Busy,
            Code::Deadlock => Self::Deadlk,
            Code::Quota => Self::Dquot,
            Code::Exist => Self::Exist,
            Code::FileTooLarge => Self::Fbig,
            Code::IllegalByteSequence => Self::Ilseq,
            Code::InProgress => Self::Inprogress,
            Code::Interrupted => Self::Intr,
            Code::Invalid => Self::Inval,
            Code::Io => Self::Io,
            Code::IsDirectory => Self::Isdir,
            Code::Loop => Self::Loop,
            Code::TooManyLinks => Self::Mlink,
            Code::MessageSize => Self::Msgsize,
            Code::NameTooLong => Self::Nametoolong,
            Code::NoDevice => Self::Nodev,
            Code::NoEntry => Self::Noent,
            Code::NoLock => Self::Nolck,
            Code::InsufficientMemory => Self::Nomem,
            Code::InsufficientSpace => Self::Nospc,
            Code::NotDirectory => Self::Notdir,
            Code::NotEmpty => Self::Notempty,
            Code::NotRecoverable => Self::Notrecoverable,
            Code::Unsupported => Self::Notsup,
            Code::NoTty => Self::Notty,
            Code::NoSuchDevice => Self::Nxio,
            Code::Overflow => Self::Overflow,
            Code::NotPermitted => Self::Perm,
            Code::Pipe => Self::Pipe,
            Code::ReadOnly => Self::Rofs,
            Code::InvalidSeek => Self::Spipe,
            Code::TextFileBusy => Self::Txtbsy,
            Code::CrossDevice => Self::Xdev,
        }
    }
}

impl From<sockets::ErrorCode> for Errno {
    /// What names and their lookup fail with has no errno: [`Errno::Io`].
    fn from(code: sockets::ErrorCode) -> Self {
        use sockets::ErrorCode as Code;
        match code {
            Code::AccessDenied => Self::Acces,
            Code::NotSupported => Self::Notsup,
            Code::InvalidArgument | Code::InvalidState | Code::NotInProgress => Self::Inval,
            Code::OutOfMemory => Self::Nomem,
            Code::Timeout => Self::Timedout,
            Code::ConcurrencyConflict => Self::Already,
            Code::WouldBlock => Self::Again,
            Code::NewSocketLimit => Self::Mfile,
            Code::AddressNotBindable => Self::Addrnotavail,
            Code::AddressInUse => Self::Addrinuse,
            Code::RemoteUnreachable => Self::Hostunreach,
            Code::ConnectionRefused => Self::Connrefused,
            Code::ConnectionBroken => Self::Pipe,
            Code::ConnectionReset => Self::Connreset,
            Code::ConnectionAborted => Self::Connaborted,
            Code::DatagramTooLarge => Self::Msgsize,
            Code::Unknown
            | Code::NameUnresolvable
            | Code::TemporaryResolverFailure
            | Code::PermanentResolverFailure => Self::Io,
        }
    }
}

impl From<&StreamError> for Errno {
    /// What a write to the stream fails with: a stream that is closed is [`Errno::Pipe`]; a
    /// cause with a code of its own is that code, and anything else [`Errno::Io`]. For a read,
    /// a stream that is closed is at its end, which is no error.
    fn from(error: &StreamError) -> Self {
        let StreamError::LastOperationFailed(cause) = error else {
            return Self::Pipe;
        };
        let code = cause.downcast_ref::<filesystem::ErrorCode>();
        let code = code.map(|code| Self::from(*code));
        let code = code.or_else(|| Some(Self::from(*cause.downcast_ref::<sockets::ErrorCode>()?)));
        #[cfg(feature = "std")]
        let code = code.or_else(|| {
            let error = cause.downcast_ref::<std::io::Error>()?;
            Some(Self::from(filesystem::ErrorCode::from(error)))
        });
        code.unwrap_or(Self::Io)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_told_by_their_posix_names() {
        use filesystem::ErrorCode as Files;
        use sockets::ErrorCode as Sockets;
        for (code, errno) in [
            (Files::NoEntry, Errno::Noent),
            (Files::NotPermitted, Errno::Perm),
            (Files::InvalidSeek, Errno::Spipe),
            (Files::ReadOnly, Errno::Rofs),
        ] {
            assert_eq!(Errno::from(code), errno);
        }
        for (code, errno) in [
            (Sockets::ConnectionReset, Errno::Connreset),
            (Sockets::NewSocketLimit, Errno::Mfile),
            (Sockets::NameUnresolvable, Errno::Io),
        ] {
            assert_eq!(Errno::from(code), errno);
        }
    }

    #[test]
    fn a_stream_that_failed_tells_its_cause() {
        let told = |error: &StreamError| Errno::from(error);
        assert_eq!(told(&StreamError::Closed), Errno::Pipe);
        let full = StreamError::failed(filesystem::ErrorCode::InsufficientSpace);
        assert_eq!(told(&full), Errno::Nospc);
        let reset = StreamError::failed(sockets::ErrorCode::ConnectionReset);
        assert_eq!(told(&reset), Errno::Connreset);
        assert_eq!(told(&StreamError::failed(core::fmt::Error)), Errno::Io);
        #[cfg(all(feature = "std", target_os = "linux"))]
        {
            let error = std::io::Error::from_raw_os_error(28);
            assert_eq!(told(&StreamError::failed(error)), Errno::Nospc);
        }
    }
}
