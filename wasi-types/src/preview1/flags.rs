use bitflags::bitflags;

bitflags! {
    /// What a file descriptor may be used for (`rights`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Rights: u64 {
        /// `fd_datasync`; with [`Rights::PATH_OPEN`], `path_open` with [`FdFlags::DSYNC`].
        const FD_DATASYNC = 1;
        /// `fd_read` and `sock_recv`; with [`Rights::FD_SEEK`], `fd_pread`.
        const FD_READ = 1 << 1;
        /// `fd_seek`; implies [`Rights::FD_TELL`].
        const FD_SEEK = 1 << 2;
        /// `fd_fdstat_set_flags`.
        const FD_FDSTAT_SET_FLAGS = 1 << 3;
        /// `fd_sync`; with [`Rights::PATH_OPEN`], `path_open` with [`FdFlags::RSYNC`] and
        /// [`FdFlags::DSYNC`].
        const FD_SYNC = 1 << 4;
        /// `fd_tell`, and `fd_seek` that moves nothing.
        const FD_TELL = 1 << 5;
        /// `fd_write` and `sock_send`; with [`Rights::FD_SEEK`], `fd_pwrite`.
        const FD_WRITE = 1 << 6;
        /// `fd_advise`.
        const FD_ADVISE = 1 << 7;
        /// `fd_allocate`.
        const FD_ALLOCATE = 1 << 8;
        /// `path_create_directory`.
        const PATH_CREATE_DIRECTORY = 1 << 9;
        /// With [`Rights::PATH_OPEN`], `path_open` with [`OFlags::CREAT`].
        const PATH_CREATE_FILE = 1 << 10;
        /// `path_link` from below the descriptor.
        const PATH_LINK_SOURCE = 1 << 11;
        /// `path_link` to below the descriptor.
        const PATH_LINK_TARGET = 1 << 12;
        /// `path_open`.
        const PATH_OPEN = 1 << 13;
        /// `fd_readdir`.
        const FD_READDIR = 1 << 14;
        /// `path_readlink`.
        const PATH_READLINK = 1 << 15;
        /// `path_rename` from below the descriptor.
        const PATH_RENAME_SOURCE = 1 << 16;
        /// `path_rename` to below the descriptor.
        const PATH_RENAME_TARGET = 1 << 17;
        /// `path_filestat_get`.
        const PATH_FILESTAT_GET = 1 << 18;
        /// With [`Rights::PATH_OPEN`], `path_open` with [`OFlags::TRUNC`].
        const PATH_FILESTAT_SET_SIZE = 1 << 19;
        /// `path_filestat_set_times`.
        const PATH_FILESTAT_SET_TIMES = 1 << 20;
        /// `fd_filestat_get`.
        const FD_FILESTAT_GET = 1 << 21;
        /// `fd_filestat_set_size`.
        const FD_FILESTAT_SET_SIZE = 1 << 22;
        /// `fd_filestat_set_times`.
        const FD_FILESTAT_SET_TIMES = 1 << 23;
        /// `path_symlink`.
        const PATH_SYMLINK = 1 << 24;
        /// `path_remove_directory`.
        const PATH_REMOVE_DIRECTORY = 1 << 25;
        /// `path_unlink_file`.
        const PATH_UNLINK_FILE = 1 << 26;
        /// `poll_oneoff`, for reading with [`Rights::FD_READ`], for writing with
        /// [`Rights::FD_WRITE`].
        const POLL_FD_READWRITE = 1 << 27;
        /// `sock_shutdown`.
        const SOCK_SHUTDOWN = 1 << 28;
        /// `sock_accept`.
        const SOCK_ACCEPT = 1 << 29;
    }

    /// How a file descriptor works (`fdflags`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct FdFlags: u16 {
        /// Writes go to the end of the file.
        const APPEND = 1;
        /// A write ends when its data is on the medium.
        const DSYNC = 1 << 1;
        /// What would wait is [`Errno::Again`](super::Errno::Again).
        const NONBLOCK = 1 << 2;
        /// Reads are as durable as writes.
        const RSYNC = 1 << 3;
        /// A write ends when data and metadata are on the medium.
        const SYNC = 1 << 4;
    }

    /// What `path_open` does besides opening (`oflags`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct OFlags: u16 {
        /// Makes the file where there is none.
        const CREAT = 1;
        /// Fails for what is not a directory.
        const DIRECTORY = 1 << 1;
        /// Fails where something is.
        const EXCL = 1 << 2;
        /// Cuts the file to no bytes.
        const TRUNC = 1 << 3;
    }

    /// How the last step of a path is resolved (`lookupflags`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct LookupFlags: u32 {
        /// A symbolic link is followed.
        const SYMLINK_FOLLOW = 1;
    }

    /// Which times are set, and to what (`fstflags`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct FstFlags: u16 {
        /// The time of last access, to what is given.
        const ATIM = 1;
        /// The time of last access, to now.
        const ATIM_NOW = 1 << 1;
        /// The time of last modification, to what is given.
        const MTIM = 1 << 2;
        /// The time of last modification, to now.
        const MTIM_NOW = 1 << 3;
    }

    /// How `sock_recv` receives (`riflags`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct RiFlags: u16 {
        /// The bytes stay where they are.
        const RECV_PEEK = 1;
        /// Waits until the buffers are full.
        const RECV_WAITALL = 1 << 1;
    }

    /// Which directions `sock_shutdown` closes (`sdflags`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct SdFlags: u8 {
        /// Receiving.
        const RD = 1;
        /// Sending.
        const WR = 1 << 1;
    }

    /// How the time of a clock's subscription is meant (`subclockflags`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct SubclockFlags: u16 {
        /// It is a time of that clock, not one from now.
        const SUBSCRIPTION_CLOCK_ABSTIME = 1;
    }

    /// The state of a descriptor that was waited for (`eventrwflags`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct EventRwFlags: u16 {
        /// The peer has closed the connection.
        const FD_READWRITE_HANGUP = 1;
    }
}
