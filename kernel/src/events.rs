//! What interrupts tell the rest of the kernel: flags, which take no lock.

use core::sync::atomic::{AtomicU32, Ordering};

/// Nothing that anybody waits for.
pub(crate) const NOTHING: u32 = 0;
/// The timer's time has come.
pub(crate) const TIMER: u32 = 1;
/// Somebody typed.
pub(crate) const INPUT: u32 = 2;
/// The console has room again.
pub(crate) const OUTPUT: u32 = 4;
/// The network card has frames, or has sent some.
pub(crate) const NETWORK: u32 = 8;
/// The network card's link is up or down.
pub(crate) const LINK: u32 = 16;

static EVENTS: AtomicU32 = AtomicU32::new(0);

/// Notes `event`; for interrupt handlers.
pub(crate) fn set(event: u32) {
    EVENTS.fetch_or(event, Ordering::Release);
}

/// What has happened since the last call.
pub(crate) fn take() -> u32 {
    EVENTS.swap(0, Ordering::Acquire)
}

/// Whether nothing has.
pub(crate) fn none() -> bool {
    EVENTS.load(Ordering::Acquire) == 0
}
