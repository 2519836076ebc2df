use crate::DescriptorStat;
use core::hash::Hasher;
use siphasher::sip::SipHasher24;
use wasi_types::Datetime;

/// Tells whether a file is another one, or was changed
/// (`wasi:filesystem/types.metadata-hash-value`).
///
/// Keyed with the guest's secret, so that a guest can't find out what was hashed; another
/// guest gets other values for the same file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MetadataHashValue {
    /// Of device and inode: which file it is, for as long as it exists. C libraries give it to
    /// programs as `st_ino`, which must not change with every write.
    pub lower: u64,
    /// Of these, the size, and the times of last modification and last change.
    pub upper: u64,
}

impl MetadataHashValue {
    pub(crate) fn new(secret: &[u8; 16], stat: &DescriptorStat) -> Self {
        let mut hasher = SipHasher24::new_with_key(secret);
        hasher.write_u64(stat.device);
        hasher.write_u64(stat.inode);
        let lower = hasher.finish();
        hasher.write_u64(stat.size);
        time(&mut hasher, stat.data_modification_timestamp);
        time(&mut hasher, stat.status_change_timestamp);
        let upper = hasher.finish();
        Self { lower, upper }
    }
}

fn time(hasher: &mut SipHasher24, time: Option<Datetime>) {
    hasher.write_u8(u8::from(time.is_some()));
    let time = time.unwrap_or_default();
    hasher.write_u64(time.seconds());
    hasher.write_u32(time.nanoseconds());
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: DescriptorStat = DescriptorStat {
        descriptor_type: crate::DescriptorType::RegularFile,
        link_count: 1,
        size: 10,
        data_access_timestamp: None,
        data_modification_timestamp: Datetime::new(5, 6),
        status_change_timestamp: Datetime::new(7, 8),
        device: 1,
        inode: 2,
    };

    #[test]
    fn what_is_hashed_moves_the_half_that_it_belongs_to_and_what_is_not_moves_nothing() {
        let hash = |stat: &DescriptorStat| MetadataHashValue::new(&[7; 16], stat);
        let was = hash(&FILE);
        for (stat, lower, upper) in [
            (FILE, false, false),
            (DescriptorStat { device: 3, ..FILE }, true, true),
            (DescriptorStat { inode: 3, ..FILE }, true, true),
            (DescriptorStat { size: 11, ..FILE }, false, true),
            (
                DescriptorStat {
                    data_modification_timestamp: Datetime::new(5, 7),
                    ..FILE
                },
                false,
                true,
            ),
            (
                DescriptorStat {
                    status_change_timestamp: None,
                    ..FILE
                },
                false,
                true,
            ),
            (
                DescriptorStat {
                    data_access_timestamp: Datetime::new(1, 0),
                    ..FILE
                },
                false,
                false,
            ),
        ] {
            let is = hash(&stat);
            assert_eq!(
                (is.lower != was.lower, is.upper != was.upper),
                (lower, upper),
                "{stat:?}"
            );
        }
    }

    #[test]
    fn guests_with_other_secrets_get_other_values() {
        let [a, b] = [[1; 16], [2; 16]].map(|secret| MetadataHashValue::new(&secret, &FILE));
        assert_ne!(a.lower, b.lower);
        assert_ne!(a.upper, b.upper);
    }
}
