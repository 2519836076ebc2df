//! Times, from and to those that FAT keeps.

use alloc::sync::Arc;
use hadris_fs::{Clock, DateTime};
use wasi_clocks::WallClock;
use wasi_types::Datetime;

/// Seconds that a time of last modification is a multiple of.
const STEP: u64 = 2;

/// The clock of a volume.
pub(crate) struct Stamps(pub(crate) Arc<dyn WallClock>);

impl Clock for Stamps {
    fn now(&self) -> DateTime {
        to_disk(self.0.now())
    }
}

/// The library moves a time that FAT can't have to the first or last one that it can.
pub(crate) fn to_disk(time: Datetime) -> DateTime {
    let seconds = i64::try_from(time.seconds()).unwrap_or(i64::MAX);
    DateTime::new(seconds, time.nanoseconds()).unwrap_or(DateTime::MAX)
}

/// None is before 1980.
pub(crate) fn from_disk(time: DateTime) -> Option<Datetime> {
    let seconds = u64::try_from(time.unix_seconds()).ok()?;
    Datetime::new(seconds, time.nanoseconds())
}

/// A time of last modification as it will be read from the disk.
pub(crate) fn rounded(time: Datetime) -> Datetime {
    let first = 315_532_800; // 1980-01-01
    let last = 4_354_819_198; // 2107-12-31 23:59:58
    let seconds = time.seconds().clamp(first, last);
    Datetime::new(seconds - seconds % STEP, 0).unwrap_or(Datetime::UNIX_EPOCH)
}
