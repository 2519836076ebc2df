//! `wasi:clocks`.

use crate::bindings::wasi::clocks::{monotonic_clock, timezone, wall_clock};
use crate::bindings::wasi::io::poll::poll;
use crate::checks::Checks;

const MS: u64 = 1_000_000;

pub fn run(checks: &mut Checks) {
    wall(checks);
    monotonic(checks);
    zone(checks);
}

fn wall(checks: &mut Checks) {
    let now = wall_clock::now();
    checks.that(
        "wall-clock.now: nanoseconds",
        now.nanoseconds < 1_000_000_000,
    );
    // 2020-01-01: the machine's clock is right, and the manual one begins later.
    checks.that("wall-clock.now: seconds", now.seconds > 1_577_836_800);
    let step = wall_clock::resolution();
    checks.that(
        "wall-clock.resolution: nanoseconds",
        step.nanoseconds < 1_000_000_000,
    );
    checks.that(
        "wall-clock.resolution: not 0",
        step.seconds > 0 || step.nanoseconds > 0,
    );
}

fn monotonic(checks: &mut Checks) {
    let mut last = monotonic_clock::now();
    let mut grows = true;
    for _ in 0..1000 {
        let now = monotonic_clock::now();
        grows &= now >= last;
        last = now;
    }
    checks.that("monotonic-clock.now: never goes back", grows);
    checks.that(
        "monotonic-clock.resolution: not 0",
        monotonic_clock::resolution() > 0,
    );

    let start = monotonic_clock::now();
    let timer = monotonic_clock::subscribe_duration(20 * MS);
    timer.block();
    checks.that("pollable.ready: after block", timer.ready());
    checks.that(
        "subscribe-duration: not too early",
        monotonic_clock::now() - start >= 20 * MS,
    );
    timer.block();
    checks.that("pollable.block: again", timer.ready());

    let when = monotonic_clock::now() + 20 * MS;
    let timer = monotonic_clock::subscribe_instant(when);
    timer.block();
    checks.that(
        "subscribe-instant: not too early",
        monotonic_clock::now() >= when,
    );

    for (name, timer) in [
        (
            "subscribe-instant: past",
            monotonic_clock::subscribe_instant(0),
        ),
        (
            "subscribe-instant: now",
            monotonic_clock::subscribe_instant(when),
        ),
        (
            "subscribe-duration: 0",
            monotonic_clock::subscribe_duration(0),
        ),
    ] {
        timer.block();
        checks.that(name, timer.ready());
    }
    for (name, timer) in [
        (
            "subscribe-instant: in an hour",
            monotonic_clock::subscribe_instant(when + 3_600_000 * MS),
        ),
        (
            "subscribe-duration: an hour",
            monotonic_clock::subscribe_duration(3_600_000 * MS),
        ),
        (
            "subscribe-instant: the last",
            monotonic_clock::subscribe_instant(u64::MAX),
        ),
        (
            "subscribe-duration: the longest",
            monotonic_clock::subscribe_duration(u64::MAX),
        ),
    ] {
        checks.eq(name, timer.ready(), false);
    }

    let far = monotonic_clock::subscribe_duration(u64::MAX);
    let near = monotonic_clock::subscribe_duration(MS);
    checks.eq("poll: the timer that is over", poll(&[&far, &near]), [1]);
    checks.eq(
        "poll: by its places",
        poll(&[&far, &near, &far, &near]),
        [1, 3],
    );
    checks.eq("poll: one that is ready", poll(&[&near]), [0]);
}

/// Without a time zone that the guest is told, all of it is UTC.
fn zone(checks: &mut Checks) {
    for seconds in [0, wall_clock::now().seconds, u64::MAX] {
        let when = wall_clock::Datetime {
            seconds,
            nanoseconds: 0,
        };
        let display = timezone::display(when);
        checks.eq("timezone.display: utc-offset", display.utc_offset, 0);
        checks.eq("timezone.display: name", display.name, "UTC");
        checks.eq(
            "timezone.display: in-daylight-saving-time",
            display.in_daylight_saving_time,
            false,
        );
        checks.eq("timezone.utc-offset", timezone::utc_offset(when), 0);
    }
}
