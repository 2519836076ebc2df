use super::*;
use crate::manual::ManualClock;
use crate::{TimezoneDisplay, WasiClocksCtx};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::pin::Pin;
use core::slice::from_mut;
use core::task::Poll;
use monotonic_clock::HostWithStore as _;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store};

#[test]
fn a_datetime_is_an_instant_up_to_the_end_of_instants() {
    const END: u64 = i64::MAX as u64;
    for (seconds, nanoseconds, expected) in [
        (0, 0, (0, 0)),
        (7, 999_999_999, (7, 999_999_999)),
        (END, 5, (i64::MAX, 5)),
        (END + 1, 5, (i64::MAX, 999_999_999)),
        (u64::MAX, 0, (i64::MAX, 999_999_999)),
    ] {
        let time = Datetime::new(seconds, nanoseconds).unwrap();
        let instant = system_clock::Instant::from(time);
        assert_eq!((instant.seconds, instant.nanoseconds), expected);
    }
}

#[test]
fn a_guests_instant_is_a_datetime_from_1970_on() {
    let end = i64::MAX as u64;
    for (seconds, nanoseconds, expected) in [
        (0, 0, Some((0, 0))),
        (1, 999_999_999, Some((1, 999_999_999))),
        (1, 1_000_000_000, Some((2, 0))),
        (1, u32::MAX, Some((5, 294_967_295))),
        (i64::MAX, u32::MAX, Some((end + 4, 294_967_295))),
        (-1, 999_999_999, None),
        (-1, 1_000_000_000, Some((0, 0))),
        (-4, u32::MAX, Some((0, 294_967_295))),
        (-5, u32::MAX, None),
        (i64::MIN, u32::MAX, None),
    ] {
        let instant = system_clock::Instant {
            seconds,
            nanoseconds,
        };
        let expected = expected.map(|(s, n)| Datetime::new(s, n).unwrap());
        assert_eq!(Datetime::try_from(instant).ok(), expected, "{instant:?}");
    }
}

#[test]
fn each_function_answers_from_the_guests_clocks() {
    let clock = ManualClock::new(Datetime::new(50, 1).unwrap());
    clock.advance(7);
    let zone = TimezoneDisplay::new(-3600, "Z", true).unwrap();
    let ctx = WasiClocksCtx::new(clock.clone(), clock).timezone(zone);
    let mut table = ResourceTable::new();
    let mut view = WasiClocksCtxView {
        ctx: &ctx,
        table: &mut table,
    };
    let now = system_clock::Host::now(&mut view).unwrap();
    assert_eq!((now.seconds, now.nanoseconds), (50, 8));
    assert_eq!(system_clock::Host::get_resolution(&mut view).unwrap(), 1);
    assert_eq!(monotonic_clock::Host::now(&mut view).unwrap(), 7);
    assert_eq!(monotonic_clock::Host::get_resolution(&mut view).unwrap(), 1);
    let hour = -3_600_000_000_000;
    assert_eq!(
        timezone::Host::utc_offset(&mut view, now).unwrap(),
        Some(hour)
    );
    let before = system_clock::Instant {
        seconds: -1,
        nanoseconds: 0,
    };
    assert_eq!(timezone::Host::utc_offset(&mut view, before).unwrap(), None);
    assert_eq!(timezone::Host::iana_id(&mut view).unwrap(), None);
    let shown = timezone::Host::to_debug_string(&mut view).unwrap();
    assert_eq!(shown, "Z (UTC-01:00)");
}

#[test]
fn a_resolution_is_a_duration_that_does_not_overflow() {
    for (seconds, nanoseconds, expected) in [
        (0, 1, 1),
        (2, 3, 2_000_000_003),
        (u64::MAX, 0, u64::MAX),
        (18_446_744_073, 999_999_999, u64::MAX),
    ] {
        let step = Datetime::new(seconds, nanoseconds).unwrap();
        assert_eq!(super::nanoseconds(step), expected);
    }
}

struct State {
    ctx: WasiClocksCtx,
    table: ResourceTable,
}

impl WasiClocksView for State {
    fn clocks(&mut self) -> WasiClocksCtxView<'_> {
        WasiClocksCtxView {
            ctx: &self.ctx,
            table: &mut self.table,
        }
    }
}

/// How many of `waits` are over.
async fn over(waits: &mut [Pin<Box<impl Future<Output = Result<()>>>>]) -> usize {
    poll_fn(|cx| {
        let polls = waits.iter_mut().map(|wait| wait.as_mut().poll(cx));
        Poll::Ready(polls.filter(Poll::is_ready).count())
    })
    .await
}

#[test]
fn thousands_wait_each_for_its_time_and_leave_no_timer_behind() {
    const WAITS: u64 = 3000;
    let clock = ManualClock::default();
    clock.advance(10);
    let ctx = WasiClocksCtx::new(clock.clone(), clock.clone());
    let table = ResourceTable::new();
    let mut store = Store::new(&Engine::default(), State { ctx, table });
    let all = store.run_concurrent(async |accessor| {
        let accessor = &accessor.with_getter::<WasiClocks>(State::clocks);
        WasiClocks::wait_for(accessor, 0).await.unwrap();
        WasiClocks::wait_until(accessor, 10).await.unwrap();

        let mut waits = Vec::new();
        for n in 1..=WAITS {
            waits.push(Box::pin(WasiClocks::wait_until(accessor, 10 + n)));
        }
        let mut for_ever = Box::pin(WasiClocks::wait_for(accessor, u64::MAX));
        assert_eq!(over(&mut waits).await, 0);
        assert_eq!(over(from_mut(&mut for_ever)).await, 0);
        assert_eq!(clock.next_deadline(), Some(11));
        clock.advance(WAITS / 2);
        let (early, late) = waits.split_at_mut(WAITS as usize / 2);
        assert_eq!(over(early).await, early.len());
        assert_eq!(over(late).await, 0);
        drop((waits, for_ever));
        assert_eq!(clock.next_deadline(), None, "given up");
    });
    pollster::block_on(all).unwrap();
}
