//! How a change that smoltcp tells of under the lock gets to those who wait for it.

use alloc::sync::Arc;
use alloc::task::Wake;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use smoltcp::iface::SocketHandle;
use wasi_io::WakerSet;
use wasi_io::sync::Mutex;

/// Whose change it is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Tcp(SocketHandle),
    Udp(SocketHandle),
    Lookup(u64),
    Dhcp(SocketHandle),
    /// Not smoltcp's.
    Own,
}

/// What smoltcp did when something changed: it does not say why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// A packet came in.
    Ingress,
    /// It looked what to send, and at its timers.
    Egress,
    /// It did what a call asked for.
    Local,
}

/// The waker that smoltcp has of an object, and the tasks that wait for that.
pub(super) struct Signal {
    pub(super) kind: Kind,
    pub(super) changed: WakerSet,
    fired: Arc<Fired>,
    queued: AtomicBool,
}

/// Those that were woken since they were last looked at.
#[derive(Default)]
pub(super) struct Fired(Mutex<Vec<Arc<Signal>>>);

impl Signal {
    pub(super) fn new(kind: Kind, fired: Arc<Fired>) -> Arc<Self> {
        Arc::new(Self {
            kind,
            changed: WakerSet::new(),
            fired,
            queued: AtomicBool::new(false),
        })
    }
}

impl Fired {
    pub(super) fn take(&self) -> Vec<Arc<Signal>> {
        let fired = core::mem::take(&mut *self.0.lock());
        for signal in &fired {
            signal.queued.store(false, Ordering::Relaxed);
        }
        fired
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::Relaxed) {
            self.fired.0.lock().push(self.clone());
        }
    }
}
