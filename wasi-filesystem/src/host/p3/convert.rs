//! Between the types of the bindings and ours, which have nearly the same cases.

use super::bindings::wasi::filesystem::types;
use crate::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use alloc::string::ToString as _;

cases! {
    ErrorCode => types::ErrorCode {
        Access Already BadDescriptor Busy Deadlock Quota Exist FileTooLarge IllegalByteSequence
        InProgress Interrupted Invalid Io IsDirectory Loop TooManyLinks MessageSize NameTooLong
        NoDevice NoEntry NoLock InsufficientMemory InsufficientSpace NotDirectory NotEmpty
        NotRecoverable Unsupported NoTty NoSuchDevice Overflow NotPermitted Pipe ReadOnly
        InvalidSeek TextFileBusy CrossDevice;
        WouldBlock => Self::Other(Some(ErrorCode::WouldBlock.to_string()))
    }
}

cases! {
    DescriptorType => types::DescriptorType {
        BlockDevice CharacterDevice Directory Fifo SymbolicLink RegularFile Socket;
        Unknown => Self::Other(None)
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

impl TryFrom<types::NewTimestamp> for NewTimestamp {
    /// [`ErrorCode::Overflow`]: a time before 1970. No backend can be told of one: the times of
    /// WASI 0.1 and 0.2, which have the same files, begin there.
    type Error = ErrorCode;

    fn try_from(timestamp: types::NewTimestamp) -> Result<Self, ErrorCode> {
        Ok(match timestamp {
            types::NewTimestamp::NoChange => Self::NoChange,
            types::NewTimestamp::Now => Self::Now,
            types::NewTimestamp::Timestamp(time) => {
                Self::Timestamp(time.try_into().map_err(|_| ErrorCode::Overflow)?)
            }
        })
    }
}

impl From<DescriptorStat> for types::DescriptorStat {
    fn from(stat: DescriptorStat) -> Self {
        Self {
            type_: stat.descriptor_type.into(),
            link_count: stat.link_count,
            size: stat.size,
            data_access_timestamp: stat.data_access_timestamp.map(Into::into),
            data_modification_timestamp: stat.data_modification_timestamp.map(Into::into),
            status_change_timestamp: stat.status_change_timestamp.map(Into::into),
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
