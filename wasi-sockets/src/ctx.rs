use crate::{Denied, ErrorCode, Network};
use alloc::sync::Arc;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll};
use wasi_io::WakerSet;

/// A `network` handle: the capability to use this network.
#[derive(Clone)]
pub struct DynNetwork(Arc<dyn Network>);

impl DynNetwork {
    /// A handle of `network`.
    pub fn new(network: Arc<dyn Network>) -> Self {
        Self(network)
    }

    /// The network.
    pub fn get(&self) -> &Arc<dyn Network> {
        &self.0
    }

    /// Whether `other` is a handle of the same network.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// The network of one guest, its grants and its limits.
pub struct WasiSocketsCtx {
    pub(crate) network: DynNetwork,
    pub(crate) allow_name_lookup: bool,
    pub(crate) sockets: Slots,
    pub(crate) lookups: Slots,
}

impl WasiSocketsCtx {
    /// Without a network ([`Denied`]) and without name lookup; at most 1024 sockets and 64
    /// lookups at once.
    pub fn new() -> Self {
        Self {
            network: DynNetwork::new(Arc::new(Denied)),
            allow_name_lookup: false,
            sockets: Slots::new(1024),
            lookups: Slots::new(64),
        }
    }

    /// Gives the guest `network`, which `instance-network` hands out.
    pub fn network(mut self, network: Arc<dyn Network>) -> Self {
        self.network = DynNetwork::new(network);
        self
    }

    /// Whether the guest may look up names, on its network. Without it, `resolve-addresses`
    /// answers access-denied to everything but an address.
    pub fn allow_name_lookup(mut self, allow: bool) -> Self {
        self.allow_name_lookup = allow;
        self
    }

    /// The most sockets that the guest has at once; one more is new-socket-limit. A
    /// connection counts until its socket and both of its streams are dropped.
    pub fn max_sockets(mut self, sockets: usize) -> Self {
        self.sockets = Slots::new(sockets);
        self
    }

    /// The most name lookups that the guest has under way at once; one more is
    /// temporary-resolver-failure.
    pub fn max_lookups(mut self, lookups: usize) -> Self {
        self.lookups = Slots::new(lookups);
        self
    }

    /// A handle of the guest's network (`wasi:sockets/instance-network.instance-network`).
    pub fn instance_network(&self) -> DynNetwork {
        self.network.clone()
    }
}

impl Default for WasiSocketsCtx {
    fn default() -> Self {
        Self::new()
    }
}

/// A number of things that a guest may have at once.
#[derive(Clone, Debug)]
pub(crate) struct Slots(Arc<Count>);

#[derive(Debug)]
struct Count {
    used: AtomicUsize,
    max: usize,
    /// Who waits until one is given back.
    freed: WakerSet,
}

/// One of the things that are counted; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot(Arc<Count>);

impl Slots {
    pub(crate) fn new(max: usize) -> Self {
        Self(Arc::new(Count {
            used: AtomicUsize::new(0),
            max,
            freed: WakerSet::new(),
        }))
    }

    /// One more, or `full`.
    pub(crate) fn take(&self, full: ErrorCode) -> Result<Slot, ErrorCode> {
        let one_more = |used| (used < self.0.max).then_some(used + 1);
        match self
            .0
            .used
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more)
        {
            Ok(_) => Ok(Slot(self.0.clone())),
            Err(_) => Err(full),
        }
    }

    /// One more, as soon as there may be. Pending, it keeps the waker of `cx`.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Slot> {
        let take = || self.take(ErrorCode::NewSocketLimit);
        let taken = take().or_else(|_| {
            self.0.freed.register(cx.waker());
            // It may have come before the waker was there.
            take()
        });
        taken.map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.used.fetch_sub(1, Ordering::AcqRel);
        self.0.freed.wake_all();
    }
}
