macro_rules! errnos {
    ($($name:ident = $text:literal;)*) => {
        /// What a function answers (`errno`); 0 is success. The names are those of POSIX.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u16)]
        #[non_exhaustive]
        pub enum Errno {
            $(
                #[doc = $text]
                $name,
            )*
        }

        impl Errno {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// What it means.
            pub const fn message(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }
        }
    };
}

errnos! {
    Success = "success";
    TooBig = "the argument list is too long (2BIG)";
    Acces = "permission denied";
    Addrinuse = "the address is in use";
    Addrnotavail = "the address is not available";
    Afnosupport = "the address family is not supported";
    Again = "try again: it would block";
    Already = "the connection is under way already";
    Badf = "the file descriptor is bad";
    Badmsg = "the message is bad";
    Busy = "the device or resource is busy";
    Canceled = "the operation was canceled";
    Child = "there are no child processes";
    Connaborted = "the connection was aborted";
    Connrefused = "the connection was refused";
    Connreset = "the connection was reset";
    Deadlk = "it would be a deadlock";
    Destaddrreq = "a destination address is needed";
    Dom = "an argument is outside of the function's domain";
    Dquot = "a quota is used up";
    Exist = "it exists already";
    Fault = "the address is bad";
    Fbig = "the file is too large";
    Hostunreach = "the host is unreachable";
    Idrm = "the identifier was removed";
    Ilseq = "the byte sequence is illegal";
    Inprogress = "the operation is in progress";
    Intr = "the function was interrupted";
    Inval = "an argument is invalid";
    Io = "an input or output error";
    Isconn = "the socket is connected";
    Isdir = "it is a directory";
    Loop = "too many symbolic links";
    Mfile = "too many file descriptors are open";
    Mlink = "too many hard links";
    Msgsize = "the message is too large";
    Multihop = "multihop: reserved";
    Nametoolong = "the file name is too long";
    Netdown = "the network is down";
    Netreset = "the network aborted the connection";
    Netunreach = "the network is unreachable";
    Nfile = "too many files are open in the system";
    Nobufs = "no buffer space is left";
    Nodev = "there is no such device";
    Noent = "there is no such file or directory";
    Noexec = "the executable's format is wrong";
    Nolck = "no locks are left";
    Nolink = "nolink: reserved";
    Nomem = "there is not enough memory";
    Nomsg = "there is no message of that type";
    Noprotoopt = "the protocol is not available";
    Nospc = "no space is left on the device";
    Nosys = "the function is not supported";
    Notconn = "the socket is not connected";
    Notdir = "it is not a directory";
    Notempty = "the directory is not empty";
    Notrecoverable = "the state can't be recovered";
    Notsock = "it is not a socket";
    Notsup = "it is not supported";
    Notty = "the control operation does not fit";
    Nxio = "there is no such device or address";
    Overflow = "the value is too large for its type";
    Ownerdead = "the previous owner died";
    Perm = "the operation is not permitted";
    Pipe = "the pipe is broken";
    Proto = "a protocol error";
    Protonosupport = "the protocol is not supported";
    Prototype = "the protocol is wrong for the socket";
    Range = "the result is too large";
    Rofs = "the file system is read-only";
    Spipe = "it has no offsets";
    Srch = "there is no such process";
    Stale = "stale: reserved";
    Timedout = "the connection timed out";
    Txtbsy = "the file is being executed";
    Xdev = "the link crosses devices";
    Notcapable = "the descriptor lacks a right for this";
}

impl Errno {
    /// The number that the guest gets.
    pub const fn raw(self) -> u16 {
        self as u16
    }
}

impl core::fmt::Display for Errno {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.message())
    }
}

impl core::error::Error for Errno {}

#[cfg(test)]
mod tests {
    use super::Errno;

    #[test]
    fn numbers_are_those_of_the_witx() {
        for (errno, number) in [
            (Errno::Success, 0),
            (Errno::Again, 6),
            (Errno::Badf, 8),
            (Errno::Exist, 20),
            (Errno::Inval, 28),
            (Errno::Isdir, 31),
            (Errno::Noent, 44),
            (Errno::Notdir, 54),
            (Errno::Notempty, 55),
            (Errno::Notsup, 58),
            (Errno::Perm, 63),
            (Errno::Rofs, 69),
            (Errno::Spipe, 70),
            (Errno::Notcapable, 76),
        ] {
            assert_eq!(errno.raw(), number, "{errno:?}");
            assert_eq!(Errno::ALL[usize::from(number)], errno);
        }
        assert_eq!(Errno::ALL.len(), 77);
    }
}
