//! Waiting, but not for ever.

use crate::bindings::wasi::clocks::monotonic_clock::{Instant, now, subscribe_instant};
use crate::bindings::wasi::io::poll::{Pollable, poll};
use std::time::Duration;

/// A moment after which nobody waits any longer.
pub struct Deadline {
    at: Instant,
    passed: Pollable,
}

/// The deadline passed before what was waited for came.
#[derive(Debug)]
pub struct Expired;

impl Deadline {
    /// `duration` from now.
    pub fn after(duration: Duration) -> Self {
        Self::at(now().saturating_add(duration.as_nanos() as Instant))
    }

    fn at(at: Instant) -> Self {
        let passed = subscribe_instant(at);
        Self { at, passed }
    }

    /// An earlier deadline: now, and one part of `parts` of what is left.
    pub fn part(&self, parts: usize) -> Self {
        let now = now();
        Self::at(now + self.at.saturating_sub(now) / parts.max(1) as Instant)
    }

    /// Waits until one of `pollables` is ready.
    ///
    /// Errors: the deadline passed, and none of them is.
    pub fn wait(&self, pollables: &[&Pollable]) -> Result<(), Expired> {
        let mut list = pollables.to_vec();
        list.push(&self.passed);
        let ready = poll(&list);
        if ready
            .iter()
            .any(|&index| (index as usize) < pollables.len())
        {
            Ok(())
        } else {
            Err(Expired)
        }
    }
}
