//! The ABI of WASI 0.1 (`wasi_snapshot_preview1`), and of `wasi_unstable` before it: numbers,
//! flags, and records with their exact layouts, in little endian.

mod errno;
mod flags;
mod poll;
mod records;

pub use errno::Errno;
pub use flags::{
    EventRwFlags, FdFlags, FstFlags, LookupFlags, OFlags, RiFlags, Rights, SdFlags, SubclockFlags,
};
pub use poll::{Event, EventType, Subscription, SubscriptionU};
pub use records::{DIRENT_SIZE, Dirent, Fdstat, Filestat};

/// Which of the two modules a guest imports: some of their layouts differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Version {
    /// `wasi_snapshot_preview1`.
    #[default]
    Preview1,
    /// `wasi_unstable`.
    Preview0,
}

macro_rules! numbered {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$doc])* $variant,)*
        }

        impl $name {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The one with this number; `None` where there is none.
            pub fn from_raw(raw: u32) -> Option<Self> {
                Self::ALL.get(usize::try_from(raw).ok()?).copied()
            }
        }
    };
}
use numbered;

numbered! {
    /// A clock (`clockid`).
    ClockId {
        /// The time of day.
        Realtime,
        /// One that never goes back.
        Monotonic,
        /// The time that the process has computed.
        ProcessCputimeId,
        /// The time that the thread has computed.
        ThreadCputimeId,
    }
}

numbered! {
    /// What a descriptor or file is (`filetype`).
    Filetype {
        /// Something else, or not known.
        Unknown,
        /// A block device.
        BlockDevice,
        /// A character device.
        CharacterDevice,
        /// A directory.
        Directory,
        /// A regular file.
        RegularFile,
        /// A datagram socket.
        SocketDgram,
        /// A byte-stream socket.
        SocketStream,
        /// A symbolic link.
        SymbolicLink,
    }
}

numbered! {
    /// How a range of a file will be used (`advice`).
    Advice {
        /// Nothing special.
        Normal,
        /// From lower offsets to higher ones.
        Sequential,
        /// In no order.
        Random,
        /// Soon.
        Willneed,
        /// Not soon.
        Dontneed,
        /// Once.
        Noreuse,
    }
}

/// Where an offset is counted from (`whence`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Whence {
    /// The start of the file.
    Set,
    /// The descriptor's position.
    Cur,
    /// The end of the file.
    End,
}

impl Whence {
    /// The one with this number, which differs by version; `None` where there is none.
    pub fn from_raw(raw: u32, version: Version) -> Option<Self> {
        let order = match version {
            Version::Preview1 => [Self::Set, Self::Cur, Self::End],
            Version::Preview0 => [Self::Cur, Self::End, Self::Set],
        };
        order.get(usize::try_from(raw).ok()?).copied()
    }
}

numbered! {
    /// A condition that `proc_raise` raises (`signal`).
    Signal {
        /// No signal.
        None,
        /// Hangup.
        Hup,
        /// Interrupt from a terminal.
        Int,
        /// Quit from a terminal.
        Quit,
        /// An illegal instruction.
        Ill,
        /// A breakpoint.
        Trap,
        /// Abort.
        Abrt,
        /// Memory that can't be accessed.
        Bus,
        /// A wrong arithmetic operation.
        Fpe,
        /// Kill.
        Kill,
        /// The first that is the user's.
        Usr1,
        /// A memory reference that is invalid.
        Segv,
        /// The second that is the user's.
        Usr2,
        /// A write that nobody reads.
        Pipe,
        /// An alarm.
        Alrm,
        /// Terminate.
        Term,
        /// A child process changed.
        Chld,
        /// Continue.
        Cont,
        /// Stop.
        Stop,
        /// Stop from a terminal.
        Tstp,
        /// A read in the background.
        Ttin,
        /// A write in the background.
        Ttou,
        /// Urgent data at a socket.
        Urg,
        /// Too much time computed.
        Xcpu,
        /// Too large a file.
        Xfsz,
        /// A virtual timer.
        Vtalrm,
        /// A profiling timer.
        Prof,
        /// The window changed.
        Winch,
        /// Input or output is possible.
        Poll,
        /// The power fails.
        Pwr,
        /// A wrong system call.
        Sys,
    }
}

/// What a preopened descriptor is (`preopentype`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Preopentype {
    /// A directory.
    Dir,
}

/// `prestat` of a preopened directory: the tag, and the length of its name in bytes.
pub const fn prestat_dir(name_len: u32) -> [u8; 8] {
    let [a, b, c, d] = name_len.to_le_bytes();
    [Preopentype::Dir as u8, 0, 0, 0, a, b, c, d]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_witx() {
        assert_eq!(ClockId::from_raw(3), Some(ClockId::ThreadCputimeId));
        assert_eq!(ClockId::from_raw(4), None);
        assert_eq!(Filetype::SymbolicLink as u8, 7);
        assert_eq!(Filetype::SocketStream as u8, 6);
        assert_eq!(Advice::from_raw(5), Some(Advice::Noreuse));
        assert_eq!(Advice::from_raw(6), None);
        assert_eq!((Signal::Pipe as u8, Signal::Sys as u8), (13, 30));
        assert_eq!(Signal::from_raw(31), None);
        assert_eq!(Rights::SOCK_ACCEPT.bits(), 1 << 29);
        assert_eq!(Rights::POLL_FD_READWRITE.bits(), 1 << 27);
        assert_eq!(prestat_dir(0x0102), [0, 0, 0, 0, 2, 1, 0, 0]);
    }

    #[test]
    fn preview_0_counts_whence_in_another_order() {
        let order = |version| [0, 1, 2, 3].map(|raw| Whence::from_raw(raw, version));
        let [set, cur, end] = [Whence::Set, Whence::Cur, Whence::End].map(Some);
        assert_eq!(order(Version::Preview1), [set, cur, end, None]);
        assert_eq!(order(Version::Preview0), [cur, end, set, None]);
    }
}
