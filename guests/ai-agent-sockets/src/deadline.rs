//! Waiting, but not for ever.

use crate::bindings::wasi::clocks::monotonic_clock::subscribe_instant;
use crate::bindings::wasi::io::poll::{Pollable, poll};
use ai_agent::relay::Deadline;

/// The deadline passed before what was waited for came.
#[derive(Debug)]
pub struct Expired;

/// Waits until one of `pollables` is ready.
///
/// Errors: the deadline passed, and none of them is.
pub fn wait(deadline: Deadline, pollables: &[&Pollable]) -> Result<(), Expired> {
    let passed = subscribe_instant(deadline.0);
    let mut list = pollables.to_vec();
    list.push(&passed);
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
