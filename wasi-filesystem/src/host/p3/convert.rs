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

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use wasi_clocks::p3::bindings::wasi::clocks::system_clock::Instant;
    use wasi_types::Datetime;

    #[test]
    fn codes_keep_their_names_and_what_has_none_says_what_it_is() {
        for code in [
            ErrorCode::Access,
            ErrorCode::BadDescriptor,
            ErrorCode::FileTooLarge,
            ErrorCode::IllegalByteSequence,
            ErrorCode::InsufficientSpace,
            ErrorCode::IsDirectory,
            ErrorCode::Loop,
            ErrorCode::NotPermitted,
            ErrorCode::ReadOnly,
            ErrorCode::CrossDevice,
        ] {
            // The bindings' own Debug ends with the case.
            let name = format!("{:?}", types::ErrorCode::from(code));
            assert!(name.ends_with(&format!("{code:?}")), "{name}");
        }
        match types::ErrorCode::from(ErrorCode::WouldBlock) {
            types::ErrorCode::Other(Some(text)) => assert_eq!(text, "the operation would block"),
            code => panic!("{code:?}"),
        }
        let unknown = types::DescriptorType::from(DescriptorType::Unknown);
        assert!(matches!(unknown, types::DescriptorType::Other(None)));
    }

    #[test]
    fn flags_are_the_same_on_both_sides() {
        for flags in [
            DescriptorFlags::empty(),
            DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
            DescriptorFlags::all(),
        ] {
            let bindings = types::DescriptorFlags::from(flags);
            assert_eq!(DescriptorFlags::from(bindings), flags);
        }
        let open = types::OpenFlags::CREATE | types::OpenFlags::TRUNCATE;
        assert_eq!(
            OpenFlags::from(open),
            OpenFlags::CREATE | OpenFlags::TRUNCATE
        );
        assert_eq!(
            PathFlags::from(types::PathFlags::empty()),
            PathFlags::empty()
        );
    }

    #[test]
    fn a_time_is_set_from_1970_on_and_an_older_one_is_an_error() {
        let at = |seconds, nanoseconds| {
            let time = Instant {
                seconds,
                nanoseconds,
            };
            NewTimestamp::try_from(types::NewTimestamp::Timestamp(time))
        };
        let is = |seconds, nanoseconds| {
            Ok(NewTimestamp::Timestamp(
                Datetime::new(seconds, nanoseconds).unwrap(),
            ))
        };
        for (set, expected) in [
            (at(0, 0), is(0, 0)),
            (at(5, 7), is(5, 7)),
            (at(i64::MAX, 999_999_999), is(i64::MAX as u64, 999_999_999)),
            (at(-1, 999_999_999), Err(ErrorCode::Overflow)),
            (at(i64::MIN, 0), Err(ErrorCode::Overflow)),
            (types::NewTimestamp::Now.try_into(), Ok(NewTimestamp::Now)),
            (
                types::NewTimestamp::NoChange.try_into(),
                Ok(NewTimestamp::NoChange),
            ),
        ] {
            assert_eq!(set, expected);
        }
    }

    #[test]
    fn what_is_not_known_of_a_file_is_none() {
        let stat = types::DescriptorStat::from(DescriptorStat {
            size: 7,
            data_access_timestamp: Datetime::new(42, 5),
            ..DescriptorStat::default()
        });
        let access = stat.data_access_timestamp.unwrap();
        assert_eq!((access.seconds, access.nanoseconds), (42, 5));
        assert_eq!(stat.size, 7);
        assert!(stat.data_modification_timestamp.is_none());
        assert!(stat.status_change_timestamp.is_none());
    }
}
