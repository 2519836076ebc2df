//! Waiting, but not for ever.

use crate::bindings::wasi::clocks::monotonic_clock::subscribe_duration;
use crate::bindings::wasi::io::poll::{Pollable, poll};
use crate::outcome::{Not, ensure, failed};
use crate::told;

pub const MS: u64 = 1_000_000;

/// How long nothing may happen, in nanoseconds.
const PATIENCE: u64 = 10_000 * MS;

/// Waits for one of `pollables`. A host without a clock is waited for as long as it takes.
pub fn any(what: &str, pollables: &[&Pollable]) -> Result<(), Not> {
    let mut list = pollables.to_vec();
    let timer = told::has("wasi:clocks/monotonic-clock").then(|| subscribe_duration(PATIENCE));
    list.extend(&timer);
    let ready = poll(&list);
    ensure(!ready.is_empty(), || "poll: nothing was ready".into())?;
    for index in &ready {
        ensure((*index as usize) < list.len(), || {
            format!("poll: number {index} of {} is ready", list.len())
        })?;
    }
    match ready
        .iter()
        .any(|index| (*index as usize) < pollables.len())
    {
        true => Ok(()),
        false => failed(format!(
            "{what}: nothing came for {} s",
            PATIENCE / 1000 / MS
        )),
    }
}

/// Waits until one of both is ready. Whether `pollable` is: `other` may be an end of what it is
/// waited for.
pub fn unless(what: &str, pollable: &Pollable, other: &Pollable) -> Result<bool, Not> {
    any(what, &[pollable, other])?;
    Ok(pollable.ready())
}

/// Waits for `pollable`.
pub fn one(what: &str, pollable: Pollable) -> Result<(), Not> {
    any(what, &[&pollable])
}
