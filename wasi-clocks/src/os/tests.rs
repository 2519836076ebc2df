use super::*;
use crate::{Sleep, WasiClocksCtx};
use alloc::sync::Arc;
use alloc::task::Wake;
use core::future::poll_fn;
use core::task::Waker;
use std::sync::mpsc;

const MILLISECOND: Duration = 1_000_000;

fn wait(mut sleep: Sleep) {
    pollster::block_on(poll_fn(|cx| sleep.poll_ready(cx)));
}

#[test]
fn a_sleep_lasts_as_long_as_asked_on_a_bare_executor() {
    let ctx = WasiClocksCtx::default();
    let start = ctx.now();
    wait(ctx.sleep(20 * MILLISECOND));
    assert!(ctx.now() - start >= 20 * MILLISECOND);
}

#[test]
fn a_sleep_lasts_as_long_as_asked_on_the_callers_runtime() {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let clock = SystemMonotonicClock::new(tokio.handle().clone().into());
    let clock: Arc<dyn MonotonicClock> = Arc::new(clock);
    let start = clock.now();
    let mut sleep = Sleep::lasting(clock.clone(), 20 * MILLISECOND);
    tokio.block_on(poll_fn(|cx| sleep.poll_ready(cx)));
    assert!(clock.now() - start >= 20 * MILLISECOND);
}

#[test]
fn a_deadline_that_has_passed_needs_no_runtime() {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let clock = SystemMonotonicClock::new(tokio.handle().clone().into());
    // Without `enable_time` any timer would panic.
    wait(Sleep::until(Arc::new(clock.clone()), 0));
    wait(Sleep::lasting(Arc::new(clock), 0));
}

struct Tell(mpsc::Sender<()>);

impl Wake for Tell {
    fn wake(self: Arc<Self>) {
        // The receiver may be gone: it counts only the first.
        let _ = self.0.send(());
    }
}

#[test]
fn every_task_that_waits_on_one_sleep_is_woken() {
    let ctx = WasiClocksCtx::default();
    let mut sleep = ctx.sleep(20 * MILLISECOND);
    let waits = [(); 2].map(|()| {
        let (tell, told) = mpsc::channel();
        let waker = Waker::from(Arc::new(Tell(tell)));
        assert!(
            sleep
                .poll_ready(&mut Context::from_waker(&waker))
                .is_pending()
        );
        told
    });
    for told in waits {
        told.recv_timeout(std::time::Duration::from_secs(10))
            .unwrap();
    }
    let mut cx = Context::from_waker(Waker::noop());
    assert!(sleep.poll_ready(&mut cx).is_ready(), "woken, not early");
}

#[test]
fn a_wait_until_the_end_of_time_only_waits() {
    let ctx = WasiClocksCtx::default();
    for mut sleep in [ctx.sleep_until(u64::MAX), ctx.sleep(u64::MAX)] {
        let (tell, _told) = mpsc::channel();
        let waker = Waker::from(Arc::new(Tell(tell)));
        let mut cx = Context::from_waker(&waker);
        assert!(sleep.poll_ready(&mut cx).is_pending());
        assert!(sleep.poll_ready(&mut cx).is_pending());
    }
}

#[test]
fn the_clocks_move_on() {
    let ctx = WasiClocksCtx::default();
    let (first, second) = (ctx.now(), ctx.now());
    assert!(first <= second);
    assert!(ctx.wall_now() > Datetime::new(1_700_000_000, 0).unwrap());
    assert!(ctx.wall_resolution() > Datetime::UNIX_EPOCH);
    assert!(ctx.resolution() > 0);
}
