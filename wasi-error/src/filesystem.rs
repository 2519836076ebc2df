//! `wasi:filesystem/types.error-code`.

macro_rules! error_codes {
    ($($name:ident = $text:literal, $errno:literal, $posix:literal;)*) => {
        /// Why an operation on files failed (`wasi:filesystem/types.error-code`); the names
        /// are those of POSIX's errno.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
        pub enum ErrorCode {
            $(
                #[doc = $posix]
                #[error($text)]
                $name,
            )*
        }

        /// Every code with its number on Linux.
        #[cfg(all(feature = "std", target_os = "linux"))]
        const ERRNO: &[(i32, ErrorCode)] = &[$(($errno, ErrorCode::$name)),*];
    };
}

error_codes! {
    Access = "permission denied", 13, "EACCES.";
    WouldBlock = "the operation would block", 11, "EAGAIN.";
    Already = "the operation is under way already", 114, "EALREADY.";
    BadDescriptor = "the descriptor is not open for this", 9, "EBADF.";
    Busy = "it is in use", 16, "EBUSY.";
    Deadlock = "it would be a deadlock", 35, "EDEADLK.";
    Quota = "a quota is used up", 122, "EDQUOT.";
    Exist = "it exists already", 17, "EEXIST.";
    FileTooLarge = "the file would be too large", 27, "EFBIG.";
    IllegalByteSequence = "a name or link is not Unicode", 84, "EILSEQ.";
    InProgress = "the operation is in progress", 115, "EINPROGRESS.";
    Interrupted = "the operation was interrupted", 4, "EINTR.";
    Invalid = "an argument is invalid", 22, "EINVAL.";
    Io = "an input or output error", 5, "EIO, and whatever has no code of its own.";
    IsDirectory = "it is a directory", 21, "EISDIR.";
    Loop = "too many symbolic links", 40, "ELOOP.";
    TooManyLinks = "too many hard links", 31, "EMLINK.";
    MessageSize = "the message is too large", 90, "EMSGSIZE.";
    NameTooLong = "the name or path is too long", 36, "ENAMETOOLONG.";
    NoDevice = "there is no such device", 19, "ENODEV.";
    NoEntry = "there is no such file or directory", 2, "ENOENT.";
    NoLock = "no locks are left", 37, "ENOLCK.";
    InsufficientMemory = "not enough memory", 12, "ENOMEM.";
    InsufficientSpace = "no space is left", 28, "ENOSPC.";
    NotDirectory = "it is not a directory", 20, "ENOTDIR.";
    NotEmpty = "the directory is not empty", 39, "ENOTEMPTY.";
    NotRecoverable = "the state can't be recovered", 131, "ENOTRECOVERABLE.";
    Unsupported = "the operation is not supported", 95, "ENOTSUP, ENOSYS.";
    NoTty = "it is not a terminal", 25, "ENOTTY.";
    NoSuchDevice = "there is no such device or address", 6, "ENXIO.";
    Overflow = "a value is too large", 75, "EOVERFLOW.";
    NotPermitted = "the operation is not permitted", 1, "EPERM; a path that leads out of its directory.";
    Pipe = "the pipe is broken", 32, "EPIPE.";
    ReadOnly = "it can't be changed from here", 30, "EROFS; the descriptor or filesystem is read-only.";
    InvalidSeek = "it has no offsets", 29, "ESPIPE.";
    TextFileBusy = "the program is running", 26, "ETXTBSY.";
    CrossDevice = "it is on another filesystem", 18, "EXDEV.";
}

#[cfg(feature = "std")]
impl From<&std::io::Error> for ErrorCode {
    /// By the system's number where there is one and it is known here, else by its kind.
    fn from(error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        #[cfg(target_os = "linux")]
        if let Some(code) = error.raw_os_error() {
            return Self::from_errno(code);
        }
        match error.kind() {
            Kind::PermissionDenied => Self::Access,
            Kind::WouldBlock => Self::WouldBlock,
            Kind::ResourceBusy => Self::Busy,
            Kind::Deadlock => Self::Deadlock,
            Kind::QuotaExceeded => Self::Quota,
            Kind::AlreadyExists => Self::Exist,
            Kind::FileTooLarge => Self::FileTooLarge,
            Kind::InvalidData => Self::IllegalByteSequence,
            Kind::Interrupted => Self::Interrupted,
            Kind::InvalidInput => Self::Invalid,
            Kind::IsADirectory => Self::IsDirectory,
            Kind::TooManyLinks => Self::TooManyLinks,
            Kind::InvalidFilename => Self::NameTooLong,
            Kind::NotFound => Self::NoEntry,
            Kind::OutOfMemory => Self::InsufficientMemory,
            Kind::StorageFull => Self::InsufficientSpace,
            Kind::NotADirectory => Self::NotDirectory,
            Kind::DirectoryNotEmpty => Self::NotEmpty,
            Kind::Unsupported => Self::Unsupported,
            Kind::BrokenPipe => Self::Pipe,
            Kind::ReadOnlyFilesystem => Self::ReadOnly,
            Kind::NotSeekable => Self::InvalidSeek,
            Kind::ExecutableFileBusy => Self::TextFileBusy,
            Kind::CrossesDevices => Self::CrossDevice,
            _ => Self::Io,
        }
    }
}

#[cfg(feature = "std")]
impl From<std::io::Error> for ErrorCode {
    fn from(error: std::io::Error) -> Self {
        Self::from(&error)
    }
}

#[cfg(all(feature = "std", target_os = "linux"))]
impl ErrorCode {
    fn from_errno(errno: i32) -> Self {
        const ENOSYS: i32 = 38;
        // No file handle is left in the process or the system: WASI 0.2 has no name for it.
        const OUT_OF_HANDLES: [i32; 2] = [23, 24];
        if errno == ENOSYS {
            return Self::Unsupported;
        }
        if OUT_OF_HANDLES.contains(&errno) {
            return Self::InsufficientMemory;
        }
        let known = ERRNO.iter().find(|(number, _)| *number == errno);
        known.map_or(Self::Io, |(_, code)| *code)
    }
}

#[cfg(all(test, feature = "std", target_os = "linux"))]
mod tests {
    use super::ErrorCode;
    use std::io::{Error, ErrorKind};

    #[test]
    fn errno_maps_to_the_code_of_its_name() {
        for (errno, code) in [
            (2, ErrorCode::NoEntry),
            (39, ErrorCode::NotEmpty),
            (40, ErrorCode::Loop),
            (38, ErrorCode::Unsupported),
            (24, ErrorCode::InsufficientMemory),
            (9999, ErrorCode::Io),
        ] {
            assert_eq!(ErrorCode::from(Error::from_raw_os_error(errno)), code);
        }
    }

    #[test]
    fn an_error_that_std_made_maps_by_its_kind_as_the_system_s_own_does() {
        for errno in [2, 13, 17, 20, 21, 22, 39] {
            let system = Error::from_raw_os_error(errno);
            let made = Error::from(system.kind());
            assert_eq!(ErrorCode::from(&system), ErrorCode::from(&made), "{errno}");
        }
        assert_eq!(
            ErrorCode::from(Error::from(ErrorKind::Other)),
            ErrorCode::Io
        );
    }
}
