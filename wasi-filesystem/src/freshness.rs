//! How streams that read ahead learn of writes.

use crate::DescriptorStat;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

const SLOTS: usize = 64;

/// Counts of the writes of one guest, by file: a stream that read ahead drops what it has when
/// the count of its file moved. Files share counts, which costs a read and never a byte.
#[derive(Debug)]
pub(crate) struct Generations {
    /// How many streams read; without any there is nothing to count.
    readers: AtomicUsize,
    counts: [AtomicU32; SLOTS],
}

/// Which of the counts is a file's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    Known(u8),
    /// The backend did not say at once which file it is: it may be any.
    Unknown,
}

impl Slot {
    pub(crate) fn of(stat: &DescriptorStat) -> Self {
        let mixed = (stat.device.rotate_left(32) ^ stat.inode).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self::Known((mixed >> (64 - SLOTS.ilog2())) as u8)
    }

    /// Never 0.
    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Self::Known(slot) => slot + 1,
            Self::Unknown => u8::MAX,
        }
    }

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            0 => None,
            u8::MAX => Some(Self::Unknown),
            slot => Some(Self::Known(slot - 1)),
        }
    }
}

impl Generations {
    pub(crate) const fn new() -> Self {
        Self {
            readers: AtomicUsize::new(0),
            counts: [const { AtomicU32::new(0) }; SLOTS],
        }
    }

    pub(crate) fn reader_came(&self) {
        self.readers.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn reader_left(&self) {
        self.readers.fetch_sub(1, Ordering::AcqRel);
    }

    pub(crate) fn has_readers(&self) -> bool {
        self.readers.load(Ordering::Acquire) > 0
    }

    /// A file of `slot` was written.
    pub(crate) fn changed(&self, slot: Slot) {
        for count in self.counts_of(slot) {
            count.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// A number that is another one after any write to a file of `slot`.
    pub(crate) fn now(&self, slot: Slot) -> u32 {
        let counts = self.counts_of(slot).iter();
        counts.fold(0, |sum, count| {
            sum.wrapping_add(count.load(Ordering::Acquire))
        })
    }

    fn counts_of(&self, slot: Slot) -> &[AtomicU32] {
        match slot {
            Slot::Known(slot) => core::slice::from_ref(&self.counts[usize::from(slot) % SLOTS]),
            Slot::Unknown => &self.counts,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_is_seen_by_who_reads_the_file_and_by_who_knows_no_file() {
        let generations = Generations::new();
        let slots = [Slot::Known(3), Slot::Known(4), Slot::Unknown];
        for (written, seen) in [
            (Slot::Known(3), [true, false, true]),
            (Slot::Known(4), [false, true, true]),
            (Slot::Unknown, [true, true, true]),
        ] {
            let before = slots.map(|slot| generations.now(slot));
            generations.changed(written);
            let after = slots.map(|slot| generations.now(slot));
            assert_eq!([0, 1, 2].map(|i| before[i] != after[i]), seen);
        }
    }

    #[test]
    fn a_slot_is_the_same_as_a_byte_and_back() {
        let slots = (0..SLOTS as u8).map(Slot::Known).chain([Slot::Unknown]);
        for slot in slots {
            assert_eq!(Slot::from_byte(slot.to_byte()), Some(slot));
        }
        assert_eq!(Slot::from_byte(0), None);
    }

    #[test]
    fn inodes_that_follow_each_other_spread_over_the_slots() {
        let mut used = [false; SLOTS];
        for inode in 0..256 {
            let stat = DescriptorStat {
                device: 2049,
                inode,
                ..DescriptorStat::default()
            };
            match Slot::of(&stat) {
                Slot::Known(slot) => used[usize::from(slot)] = true,
                Slot::Unknown => panic!("the file is known"),
            }
        }
        assert!(used.iter().filter(|used| **used).count() > SLOTS / 2);
    }
}
