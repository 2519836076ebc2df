//! The network of programs: over the network card, or a loopback alone where there is none.

use crate::clock::Clock;
use crate::virtio::{Card, Device, Registers};
use crate::{events, executor, heap, say};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::poll_fn;
use core::task::{Poll, Waker};
use smoltcp::phy::{Loopback, Medium};
use spin::Once;
use wasi_clocks::{Duration, WasiClocksCtx};
use wasi_io::Pollable;
use wasi_sockets::smoltcp::{SmoltcpConfig, SmoltcpLimits, SmoltcpNet};

/// How long is waited for an address, in nanoseconds.
const ADDRESS_TIMEOUT: Duration = 10_000_000_000;

/// How long connections have at the end for what they still have to send, and how often they are
/// looked at.
const END_TIMEOUT: Duration = 2_000_000_000;
const END_STEP: Duration = 5_000_000;

/// The part of the heap that buffers of sockets may take: one in this many, half of what large
/// blocks leave.
const BUFFERS: usize = 16;

/// Connections of a listener that nobody accepted yet: many may come in one turn of the driver.
const BACKLOG: usize = 64;

/// Whom interrupts are for.
static CARD: Once<Interrupts> = Once::new();

struct Interrupts {
    network: SmoltcpNet,
    driver: Waker,
    registers: Registers,
}

/// The card interrupted.
pub(crate) fn wake() {
    if let Some(card) = CARD.get() {
        card.driver.wake_by_ref();
    }
}

/// The card's link may be up, or down.
pub(crate) fn link_changed() {
    if let Some(card) = CARD.get() {
        let up = card.registers.link_is_up();
        say!("the network's link is {}", if up { "up" } else { "down" });
        card.network.link_changed(up);
    }
}

/// The network, and whether it leads anywhere.
#[derive(Clone)]
pub(crate) struct Net {
    pub(crate) network: SmoltcpNet,
    has_card: bool,
}

impl Net {
    /// Starts it on `card`, where there is one. `seed` is secret and random.
    pub(crate) fn start(card: Option<Device>, clock: &Clock, seed: u64) -> Self {
        let mut limits = SmoltcpLimits::default();
        limits.backlog = BACKLOG;
        limits.buffers = limits.buffers.min(heap::usage().total / BUFFERS);
        let config = SmoltcpConfig::new(seed).limits(limits);
        let clock = Arc::new(clock.clone());
        let card = card.and_then(|device| {
            let registers = device.registers;
            match Card::new(device, events::NETWORK, events::LINK) {
                Ok(card) => Some((card, registers)),
                Err(error) => {
                    say!("the network card is left out: {error}");
                    None
                }
            }
        });
        let has_card = card.is_some();
        let network = match card {
            None => SmoltcpNet::new(Loopback::new(Medium::Ip), config, clock),
            Some((card, registers)) => {
                let config = config.mac(card.mac()).dhcp();
                let network = SmoltcpNet::new(card, config, clock);
                CARD.call_once(|| Interrupts {
                    driver: network.notifier(),
                    network: network.clone(),
                    registers,
                });
                network
            }
        };
        let driver = network.clone();
        executor::spawn(Box::pin(async move { match driver.drive().await {} }));
        Self { network, has_card }
    }

    /// Waits for an address, and tells it; not for ever.
    pub(crate) async fn ready(&self, clocks: &WasiClocksCtx) {
        if !self.has_card {
            return;
        }
        let mut sleep = clocks.sleep(ADDRESS_TIMEOUT);
        let late = poll_fn(|cx| match self.network.poll_ready(cx) {
            Poll::Ready(()) => Poll::Ready(false),
            Poll::Pending => sleep.poll_ready(cx).map(|()| true),
        });
        if late.await {
            say!("nobody gave an address by DHCP in 10 s: the network is this machine alone");
        }
        for (address, prefix) in self.network.addresses() {
            say!("address {address}/{prefix}");
        }
    }

    /// Waits until what programs wrote before they ended has left; not for ever.
    pub(crate) async fn settle(&self, clocks: &WasiClocksCtx) {
        let end = clocks.now().saturating_add(END_TIMEOUT);
        while self.network.usage().sockets > 0 && clocks.now() < end {
            let mut sleep = clocks.sleep(END_STEP);
            poll_fn(|cx| sleep.poll_ready(cx)).await;
        }
    }
}
