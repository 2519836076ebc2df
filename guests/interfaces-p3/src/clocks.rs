//! `wasi:clocks`.

use crate::bindings::wasi::clocks::{monotonic_clock, system_clock, timezone};
use crate::checks::Checks;
use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

const MS: u64 = 1_000_000;

pub async fn run(checks: &mut Checks) {
    system(checks);
    monotonic(checks).await;
    together(checks).await;
    given_up(checks).await;
    zone(checks);
}

fn system(checks: &mut Checks) {
    let now = system_clock::now();
    checks.that(
        "system-clock.now: nanoseconds",
        now.nanoseconds < 1_000_000_000,
    );
    // 2020-01-01: the machine's clock is right, and the manual one begins later.
    checks.that("system-clock.now: seconds", now.seconds > 1_577_836_800);
    checks.that(
        "system-clock.get-resolution: not 0",
        system_clock::get_resolution() > 0,
    );
}

async fn monotonic(checks: &mut Checks) {
    let mut last = monotonic_clock::now();
    let mut grows = true;
    for _ in 0..1000 {
        let now = monotonic_clock::now();
        grows &= now >= last;
        last = now;
    }
    checks.that("monotonic-clock.now: never goes back", grows);
    checks.that(
        "monotonic-clock.get-resolution: not 0",
        monotonic_clock::get_resolution() > 0,
    );

    let start = monotonic_clock::now();
    monotonic_clock::wait_for(20 * MS).await;
    checks.that(
        "wait-for: not too early",
        monotonic_clock::now() - start >= 20 * MS,
    );
    let when = monotonic_clock::now() + 20 * MS;
    monotonic_clock::wait_until(when).await;
    checks.that("wait-until: not too early", monotonic_clock::now() >= when);
    let start = monotonic_clock::now();
    monotonic_clock::wait_until(0).await;
    monotonic_clock::wait_until(start).await;
    monotonic_clock::wait_for(0).await;
    checks.that(
        "wait-until: what is past",
        monotonic_clock::now() - start < 1000 * MS,
    );
}

/// Many wait at once, and none comes back before its time.
async fn together(checks: &mut Checks) {
    const MANY: u64 = 1000;
    let seen = Rc::new(Cell::new((0, 0)));
    let start = monotonic_clock::now();
    for number in (0..MANY).rev() {
        let seen = seen.clone();
        let when = start + 20 * MS + number / 50 * 5 * MS;
        wit_bindgen::spawn_local(async move {
            monotonic_clock::wait_until(when).await;
            let (all, early) = seen.get();
            let is_early = monotonic_clock::now() < when;
            seen.set((all + 1, early + u64::from(is_early)));
        });
    }
    while seen.get().0 < MANY {
        monotonic_clock::wait_for(5 * MS).await;
    }
    checks.eq("wait-until: a thousand at once", seen.get(), (MANY, 0));
}

/// A wait that is dropped does not hold anything up.
async fn given_up(checks: &mut Checks) {
    for (name, length) in [("an hour", 3_600_000 * MS), ("the longest", u64::MAX)] {
        let mut long = pin!(monotonic_clock::wait_for(length));
        let mut short = pin!(monotonic_clock::wait_for(MS));
        let first = poll_fn(|context| match long.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready("long"),
            Poll::Pending => short.as_mut().poll(context).map(|()| "short"),
        });
        checks.eq(format!("wait-for: {name}, given up"), first.await, "short");
    }
    let mut never = pin!(monotonic_clock::wait_until(u64::MAX));
    let ready = poll_fn(|context| Poll::Ready(never.as_mut().poll(context).is_ready()));
    checks.eq("wait-until: the last", ready.await, false);
}

/// The time zone of this machine is not told.
fn zone(checks: &mut Checks) {
    let id = timezone::iana_id();
    checks.that(
        "timezone.iana-id: none, or UTC",
        id.is_none_or(|id| ["UTC", "Etc/UTC"].contains(&id.as_str())),
    );
    for seconds in [0, i64::MIN, i64::MAX] {
        let when = system_clock::Instant {
            seconds,
            nanoseconds: 0,
        };
        checks.that(
            format!("timezone.utc-offset: none, or 0 at {seconds}"),
            timezone::utc_offset(when).is_none_or(|offset| offset == 0),
        );
    }
    let text = timezone::to_debug_string();
    checks.that("timezone.to-debug-string: some text", !text.is_empty());
}
