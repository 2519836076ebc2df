//! `wasi:clocks`, and waiting for a time.

use crate::bindings::wasi::clocks::monotonic_clock::{
    now, resolution, subscribe_duration, subscribe_instant,
};
use crate::bindings::wasi::clocks::wall_clock;
use crate::bindings::wasi::io::poll::poll;
use crate::outcome::{Outcome, ensure};
use crate::wait::MS;

const SECOND: u32 = 1_000_000_000;

pub fn wall() -> Outcome {
    let resolution = wall_clock::resolution();
    let steps =
        resolution.nanoseconds < SECOND && (resolution.seconds, resolution.nanoseconds) != (0, 0);
    ensure(steps, || format!("its resolution is {resolution:?}"))?;
    let mut last = wall_clock::now();
    for _ in 0..100 {
        let next = wall_clock::now();
        ensure(next.nanoseconds < SECOND, || {
            format!("a second has {next:?}")
        })?;
        let order = (next.seconds, next.nanoseconds) >= (last.seconds, last.nanoseconds);
        ensure(order, || format!("it went back from {last:?} to {next:?}"))?;
        last = next;
    }
    Ok(date(last.seconds))
}

pub fn monotonic() -> Outcome {
    let resolution = resolution();
    ensure(resolution > 0, || "its resolution is 0".into())?;
    let first = now();
    let mut last = first;
    for _ in 0..1000 {
        let next = now();
        ensure(next >= last, || {
            format!("it went back from {last} to {next}")
        })?;
        last = next;
    }
    ensure(subscribe_instant(first).ready(), || {
        "a time that has come is still waited for".into()
    })?;
    ensure(subscribe_duration(0).ready(), || {
        "no time at all is waited for".into()
    })?;
    Ok(format!("steps of {resolution} ns"))
}

pub fn sleep() -> Outcome {
    const SHORT: u64 = 10 * MS;
    const LONG: u64 = 10_000 * MS;
    let begun = now();
    let (short, long) = (subscribe_duration(SHORT), subscribe_duration(LONG));
    let early = |ready: bool| {
        let elapsed = now().saturating_sub(begun);
        ensure(!ready || elapsed >= SHORT, || {
            format!("10 ms were over after {elapsed} ns")
        })
    };
    early(short.ready())?;
    let ready = poll(&[&long, &short]);
    let elapsed = now().saturating_sub(begun);
    ensure(ready.contains(&1), || {
        format!("10 ms were not over after {elapsed} ns")
    })?;
    early(true)?;
    ensure(ready == [1] || elapsed >= LONG, || {
        format!("10 s were over after {elapsed} ns")
    })?;
    short.block();
    Ok(format!("10 ms, and {} us", (elapsed - SHORT) / 1000))
}

/// As ISO 8601 has it, in UTC, of seconds since 1970.
fn date(seconds: u64) -> String {
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    let (mut year, mut left) = (1970 + days / 146_097 * 400, days % 146_097);
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let in_year = |year| 365 + u64::from(leap(year));
    while left >= in_year(year) {
        left -= in_year(year);
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
    format!(
        "{year}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z",
        left + 1
    )
}
