//! What files are described with (`wasi:filesystem/types`).

use crate::Datetime;
use alloc::string::String;

/// What a filesystem object is (`wasi:filesystem/types.descriptor-type`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DescriptorType {
    /// Something else, or not known.
    #[default]
    Unknown,
    /// A block device.
    BlockDevice,
    /// A character device.
    CharacterDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A symbolic link.
    SymbolicLink,
    /// A regular file.
    RegularFile,
    /// A socket.
    Socket,
}

bitflags::bitflags! {
    /// What a descriptor may do, and how durable its writes are
    /// (`wasi:filesystem/types.descriptor-flags`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct DescriptorFlags: u8 {
        /// Data can be read.
        const READ = 1;
        /// Data can be written.
        const WRITE = 1 << 1;
        /// A write ends when data and metadata are on the medium (O_SYNC).
        const FILE_INTEGRITY_SYNC = 1 << 2;
        /// A write ends when its data is on the medium (O_DSYNC).
        const DATA_INTEGRITY_SYNC = 1 << 3;
        /// Reads are as durable as writes (O_RSYNC).
        const REQUESTED_WRITE_SYNC = 1 << 4;
        /// What is below the directory can be changed; only directories have it.
        const MUTATE_DIRECTORY = 1 << 5;
    }

    /// How the last step of a path is resolved (`wasi:filesystem/types.path-flags`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct PathFlags: u8 {
        /// A symbolic link at the end of the path is followed.
        const SYMLINK_FOLLOW = 1;
    }

    /// What `open-at` does besides opening (`wasi:filesystem/types.open-flags`).
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct OpenFlags: u8 {
        /// Makes the file where there is none (O_CREAT).
        const CREATE = 1;
        /// Fails for what is not a directory (O_DIRECTORY).
        const DIRECTORY = 1 << 1;
        /// With [`OpenFlags::CREATE`], fails where something is (O_EXCL).
        const EXCLUSIVE = 1 << 2;
        /// Cuts the file to no bytes (O_TRUNC).
        const TRUNCATE = 1 << 3;
    }
}

/// What is known of a filesystem object: `wasi:filesystem/types.descriptor-stat`, and the two
/// numbers that tell it from others, which guests of WASI 0.2 don't see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct DescriptorStat {
    /// What it is.
    pub descriptor_type: DescriptorType,
    /// The number of names that it has.
    pub link_count: u64,
    /// Bytes: of a file's contents, of a symbolic link's target; else up to the backend.
    pub size: u64,
    /// When it was last read, where that is kept.
    pub data_access_timestamp: Option<Datetime>,
    /// When its contents last changed, where that is kept.
    pub data_modification_timestamp: Option<Datetime>,
    /// When anything of it last changed, where that is kept.
    pub status_change_timestamp: Option<Datetime>,
    /// The filesystem that it is in.
    pub device: u64,
    /// Its number in that filesystem. Two objects that exist at the same time differ in this
    /// or in `device`.
    pub inode: u64,
}

/// What a timestamp is set to (`wasi:filesystem/types.new-timestamp`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NewTimestamp {
    /// What it was.
    #[default]
    NoChange,
    /// The time now, by the filesystem's clock.
    Now,
    /// This time.
    Timestamp(Datetime),
}

/// A name in a directory and what it stands for (`wasi:filesystem/types.directory-entry`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// What it is, [`DescriptorType::Unknown`] where only a look at it could tell.
    pub descriptor_type: DescriptorType,
    /// Its name, never `.` or `..`.
    pub name: String,
    /// Its number, as in [`DescriptorStat::inode`]; 0 where that is not known.
    pub inode: u64,
}

/// How a guest means to use a range of a file (`wasi:filesystem/types.advice`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Advice {
    /// Nothing special.
    Normal,
    /// From lower offsets to higher ones.
    Sequential,
    /// In no order.
    Random,
    /// Soon.
    WillNeed,
    /// Not soon.
    DontNeed,
    /// Once.
    NoReuse,
}
