use super::{FdFlags, Filetype, Rights, Version};
use crate::Datetime;
use crate::filesystem::{DescriptorStat, DescriptorType};

/// Copies `bytes` to `at`.
pub(super) fn put<const N: usize>(record: &mut [u8], at: usize, bytes: [u8; N]) {
    record[at..at + N].copy_from_slice(&bytes);
}

impl From<DescriptorType> for Filetype {
    /// Preview 1 has no named pipes; a socket in the file system may be of either kind.
    fn from(descriptor_type: DescriptorType) -> Self {
        match descriptor_type {
            DescriptorType::BlockDevice => Self::BlockDevice,
            DescriptorType::CharacterDevice => Self::CharacterDevice,
            DescriptorType::Directory => Self::Directory,
            DescriptorType::RegularFile => Self::RegularFile,
            DescriptorType::SymbolicLink => Self::SymbolicLink,
            DescriptorType::Socket => Self::SocketStream,
            DescriptorType::Fifo | DescriptorType::Unknown => Self::Unknown,
        }
    }
}

/// `fdstat`: what is known of a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fdstat {
    /// What it is.
    pub fs_filetype: Filetype,
    /// How it works.
    pub fs_flags: FdFlags,
    /// What it may be used for.
    pub fs_rights_base: Rights,
    /// What descriptors that are made from it may be used for.
    pub fs_rights_inheriting: Rights,
}

impl Fdstat {
    /// The record's 24 bytes.
    pub fn to_bytes(&self) -> [u8; 24] {
        let mut record = [0; 24];
        record[0] = self.fs_filetype as u8;
        put(&mut record, 2, self.fs_flags.bits().to_le_bytes());
        put(&mut record, 8, self.fs_rights_base.bits().to_le_bytes());
        put(
            &mut record,
            16,
            self.fs_rights_inheriting.bits().to_le_bytes(),
        );
        record
    }
}

/// `filestat`: what is known of a file. Times are in nanoseconds since 1970, 0 where they are
/// not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filestat {
    /// The filesystem that it is in.
    pub dev: u64,
    /// Its number in that filesystem.
    pub ino: u64,
    /// What it is.
    pub filetype: Filetype,
    /// The number of names that it has. Preview 0 has 32 bits for it.
    pub nlink: u64,
    /// Bytes.
    pub size: u64,
    /// When it was last read.
    pub atim: u64,
    /// When its contents last changed.
    pub mtim: u64,
    /// When anything of it last changed.
    pub ctim: u64,
}

impl Filestat {
    /// Of something that has no file.
    pub const fn of_type(filetype: Filetype) -> Self {
        Self {
            dev: 0,
            ino: 0,
            filetype,
            nlink: 0,
            size: 0,
            atim: 0,
            mtim: 0,
            ctim: 0,
        }
    }

    /// How many bytes the record has.
    pub const fn size_of(version: Version) -> usize {
        match version {
            Version::Preview1 => 64,
            Version::Preview0 => 56,
        }
    }

    /// The record: the first [`Filestat::size_of`] bytes.
    pub fn to_bytes(&self, version: Version) -> [u8; 64] {
        let mut record = [0; 64];
        put(&mut record, 0, self.dev.to_le_bytes());
        put(&mut record, 8, self.ino.to_le_bytes());
        record[16] = self.filetype as u8;
        let rest = match version {
            Version::Preview1 => {
                put(&mut record, 24, self.nlink.to_le_bytes());
                32
            }
            Version::Preview0 => {
                let nlink = u32::try_from(self.nlink).unwrap_or(u32::MAX);
                put(&mut record, 20, nlink.to_le_bytes());
                24
            }
        };
        let fields = [self.size, self.atim, self.mtim, self.ctim];
        for (n, field) in fields.into_iter().enumerate() {
            put(&mut record, rest + 8 * n, field.to_le_bytes());
        }
        record
    }
}

impl From<&DescriptorStat> for Filestat {
    fn from(stat: &DescriptorStat) -> Self {
        let time = |time: Option<Datetime>| time.map_or(0, Datetime::to_timestamp);
        Self {
            dev: stat.device,
            ino: stat.inode,
            filetype: stat.descriptor_type.into(),
            nlink: stat.link_count,
            size: stat.size,
            atim: time(stat.data_access_timestamp),
            mtim: time(stat.data_modification_timestamp),
            ctim: time(stat.status_change_timestamp),
        }
    }
}

impl Datetime {
    /// The time as preview 1's `timestamp`: nanoseconds since 1970, and 2^64 - 1 for what is
    /// later than can be said so (2554).
    pub fn to_timestamp(self) -> u64 {
        self.seconds()
            .saturating_mul(1_000_000_000)
            .saturating_add(self.nanoseconds().into())
    }

    /// The time that is `timestamp` nanoseconds after 1970.
    pub fn from_timestamp(timestamp: u64) -> Self {
        let (seconds, nanoseconds) = (timestamp / 1_000_000_000, timestamp % 1_000_000_000);
        // A remainder of 10^9 is less than it.
        Self::new(seconds, nanoseconds as u32).unwrap_or_default()
    }
}

/// How many bytes a [`Dirent`] has; its name follows.
pub const DIRENT_SIZE: usize = 24;

/// `dirent`: an entry of a directory, without its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dirent {
    /// The cookie of the next entry.
    pub d_next: u64,
    /// The number of what it names in its filesystem; 0 where it is not known.
    pub d_ino: u64,
    /// The length of the name in bytes.
    pub d_namlen: u32,
    /// What it names.
    pub d_type: Filetype,
}

impl Dirent {
    /// The record.
    pub fn to_bytes(&self) -> [u8; DIRENT_SIZE] {
        let mut record = [0; DIRENT_SIZE];
        put(&mut record, 0, self.d_next.to_le_bytes());
        put(&mut record, 8, self.d_ino.to_le_bytes());
        put(&mut record, 16, self.d_namlen.to_le_bytes());
        record[20] = self.d_type as u8;
        record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_have_the_layout_of_the_witx() {
        let fdstat = Fdstat {
            fs_filetype: Filetype::RegularFile,
            fs_flags: FdFlags::APPEND | FdFlags::SYNC,
            fs_rights_base: Rights::FD_READ,
            fs_rights_inheriting: Rights::SOCK_SHUTDOWN,
        };
        let mut bytes = [0; 24];
        (bytes[0], bytes[2], bytes[8], bytes[19]) = (4, 0x11, 2, 0x10);
        assert_eq!(fdstat.to_bytes(), bytes);

        let dirent = Dirent {
            d_next: 0x0807_0605_0403_0201,
            d_ino: 9,
            d_namlen: 0x0102,
            d_type: Filetype::Directory,
        };
        let mut bytes = [
            1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0, 0, 0, 0, 0, 2, 1, 0, 0, 3, 0, 0, 0,
        ];
        assert_eq!(dirent.to_bytes(), bytes);
        bytes[0] = 0;
        assert_ne!(dirent.to_bytes(), bytes);
    }

    #[test]
    fn a_filestat_is_shorter_in_preview_0() {
        let stat = Filestat {
            dev: 1,
            ino: 2,
            filetype: Filetype::SymbolicLink,
            nlink: 0x1_0000_0003,
            size: 4,
            atim: 5,
            mtim: 6,
            ctim: 7,
        };
        let u64_at =
            |bytes: &[u8], at: usize| u64::from_le_bytes(core::array::from_fn(|n| bytes[at + n]));
        let bytes = stat.to_bytes(Version::Preview1);
        assert_eq!(
            [0, 8, 24, 32, 40, 48, 56].map(|at| u64_at(&bytes, at)),
            [1, 2, 0x1_0000_0003, 4, 5, 6, 7]
        );
        assert_eq!(u64_at(&bytes, 16), 7);
        let bytes = stat.to_bytes(Version::Preview0);
        assert_eq!(
            [0, 8, 24, 32, 40, 48].map(|at| u64_at(&bytes, at)),
            [1, 2, 4, 5, 6, 7]
        );
        assert_eq!(bytes[16..24], [7, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
    }

    #[test]
    fn timestamps_are_nanoseconds_as_far_as_these_reach() {
        for (seconds, nanoseconds, timestamp) in [
            (0, 0, 0),
            (1, 2, 1_000_000_002),
            (18_446_744_073, 709_551_615, u64::MAX),
            (18_446_744_074, 0, u64::MAX),
            (u64::MAX, 999_999_999, u64::MAX),
        ] {
            let time = Datetime::new(seconds, nanoseconds).unwrap();
            assert_eq!(time.to_timestamp(), timestamp);
        }
        for timestamp in [0, 999_999_999, 1_000_000_000, u64::MAX] {
            assert_eq!(
                Datetime::from_timestamp(timestamp).to_timestamp(),
                timestamp
            );
        }
    }
}
