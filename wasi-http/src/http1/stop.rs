//! The end of a server.

use super::wait::{Waiter, Waiters};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU8, Ordering};
use core::task::{Context, Poll};

/// Tells connections to end. Clones tell the same ones.
#[derive(Clone, Default)]
pub struct Stop(Arc<State>);

#[derive(Default)]
struct State {
    stage: AtomicU8,
    waiters: Waiters,
}

const STOPPING: u8 = 1;
const ABORTED: u8 = 2;

impl State {
    fn reached(&self, stage: u8) -> bool {
        self.stage.load(Ordering::Acquire) >= stage
    }
}

impl AsRef<Waiters> for State {
    fn as_ref(&self) -> &Waiters {
        &self.waiters
    }
}

impl Stop {
    /// Nothing has to end yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on no request is begun: idle connections close, and the others do after the
    /// response that they are at.
    pub fn stop(&self) {
        self.reach(STOPPING);
    }

    /// Closes all connections at once, in the middle of their responses.
    pub fn abort(&self) {
        self.reach(ABORTED);
    }

    fn reach(&self, stage: u8) {
        self.0.stage.fetch_max(stage, Ordering::AcqRel);
        self.0.waiters.wake_all();
    }

    /// [`Stop::stop`] or [`Stop::abort`] was called.
    pub fn is_stopping(&self) -> bool {
        self.0.reached(STOPPING)
    }

    pub(super) fn watch(&self) -> Watch {
        Watch(Waiter::new(self.0.clone()))
    }
}

/// Looks out for the end.
pub(super) struct Watch(Waiter<State>);

impl Watch {
    pub(super) fn is_stopping(&self) -> bool {
        self.0.of().reached(STOPPING)
    }

    pub(super) fn poll_stopping(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll(cx, STOPPING)
    }

    pub(super) fn poll_aborted(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll(cx, ABORTED)
    }

    fn poll(&self, cx: &mut Context<'_>, stage: u8) -> Poll<()> {
        self.0.poll(cx, |state| state.reached(stage).then_some(()))
    }
}
