//! Between the types of the bindings and ours, which have the same cases.

use super::bindings::wasi::clocks::wall_clock::Datetime;
use super::bindings::wasi::filesystem::types;
use crate::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};

cases! {
    ErrorCode => types::ErrorCode {
        Access WouldBlock Already BadDescriptor Busy Deadlock Quota Exist FileTooLarge
        IllegalByteSequence InProgress Interrupted Invalid Io IsDirectory Loop TooManyLinks
        MessageSize NameTooLong NoDevice NoEntry NoLock InsufficientMemory InsufficientSpace
        NotDirectory NotEmpty NotRecoverable Unsupported NoTty NoSuchDevice Overflow NotPermitted
        Pipe ReadOnly InvalidSeek TextFileBusy CrossDevice
    }
}

cases! {
    DescriptorType => types::DescriptorType {
        Unknown BlockDevice CharacterDevice Directory Fifo SymbolicLink RegularFile Socket
    }
}

cases! {
    types::Advice => Advice { Normal Sequential Random WillNeed DontNeed NoReuse }
}

flags! {
    types::DescriptorFlags => DescriptorFlags {
        READ WRITE FILE_INTEGRITY_SYNC DATA_INTEGRITY_SYNC REQUESTED_WRITE_SYNC MUTATE_DIRECTORY
    }
}

flags! {
    DescriptorFlags => types::DescriptorFlags {
        READ WRITE FILE_INTEGRITY_SYNC DATA_INTEGRITY_SYNC REQUESTED_WRITE_SYNC MUTATE_DIRECTORY
    }
}

flags! {
    types::OpenFlags => OpenFlags { CREATE DIRECTORY EXCLUSIVE TRUNCATE }
}

flags! {
    types::PathFlags => PathFlags { SYMLINK_FOLLOW }
}

fn datetime(datetime: wasi_types::Datetime) -> Datetime {
    Datetime {
        seconds: datetime.seconds(),
        nanoseconds: datetime.nanoseconds(),
    }
}

impl TryFrom<types::NewTimestamp> for NewTimestamp {
    /// [`ErrorCode::Invalid`]: 10^9 nanoseconds or more.
    type Error = ErrorCode;

    fn try_from(timestamp: types::NewTimestamp) -> Result<Self, ErrorCode> {
        Ok(match timestamp {
            types::NewTimestamp::NoChange => Self::NoChange,
            types::NewTimestamp::Now => Self::Now,
            types::NewTimestamp::Timestamp(time) => Self::Timestamp(
                wasi_types::Datetime::new(time.seconds, time.nanoseconds)
                    .ok_or(ErrorCode::Invalid)?,
            ),
        })
    }
}

impl From<DescriptorStat> for types::DescriptorStat {
    fn from(stat: DescriptorStat) -> Self {
        Self {
            type_: stat.descriptor_type.into(),
            link_count: stat.link_count,
            size: stat.size,
            data_access_timestamp: stat.data_access_timestamp.map(datetime),
            data_modification_timestamp: stat.data_modification_timestamp.map(datetime),
            status_change_timestamp: stat.status_change_timestamp.map(datetime),
        }
    }
}

impl From<DirectoryEntry> for types::DirectoryEntry {
    fn from(entry: DirectoryEntry) -> Self {
        Self {
            type_: entry.descriptor_type.into(),
            name: entry.name,
        }
    }
}

impl From<MetadataHashValue> for types::MetadataHashValue {
    fn from(hash: MetadataHashValue) -> Self {
        Self {
            lower: hash.lower,
            upper: hash.upper,
        }
    }
}
