//! A stand-in for the machine of `docs/porting.md`: what a real one has as registers and
//! instructions, in the terms of the one that the tests run on.

use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::time::Instant;
use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use std::vec::Vec;

/// Ticks of [`counter`] in a second.
pub const HZ: u64 = 24_000_000;

/// A counter that goes on for ever, as the time stamp counter does.
pub fn counter() -> u64 {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let passed = START.get_or_init(std::time::Instant::now).elapsed();
    (passed.as_nanos() * u128::from(HZ) / 1_000_000_000) as u64
}

/// The time of day in seconds since 1970, as a real-time clock has it.
pub fn rtc() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(0, |passed| passed.as_secs())
}

/// A number of the hardware's generator; `None`: ask again.
pub fn random() -> Option<u64> {
    Some(RandomState::new().hash_one(counter()))
}

/// Sleeps until the counter is at `until` or an interrupt comes: here there is one each
/// millisecond.
pub fn halt(until: Option<u64>) {
    let ticks = until.map_or(HZ, |until| until.saturating_sub(counter()));
    let left = Duration::from_nanos(ticks.min(HZ / 1000) * 1_000_000_000 / HZ);
    std::thread::sleep(left);
}

/// A serial port with a FIFO each way. Clones are the same port.
#[derive(Clone, Default)]
pub struct Serial(Arc<Mutex<Line>>);

#[derive(Default)]
struct Line {
    received: VecDeque<u8>,
    sent: Vec<u8>,
    /// When the last byte of the FIFO will have left.
    idle_at: u64,
    hung_up: bool,
}

const FIFO: u64 = 16;
/// How long a byte takes.
const BYTE: u64 = HZ / 1_000_000;

impl Serial {
    /// How many bytes [`Serial::put`] takes now.
    pub fn room(&self) -> usize {
        let left = self.line().idle_at.saturating_sub(counter());
        FIFO.saturating_sub(left.div_ceil(BYTE)) as usize
    }

    /// Sends a byte.
    pub fn put(&self, byte: u8) {
        let mut line = self.line();
        line.idle_at = line.idle_at.max(counter()) + BYTE;
        line.sent.push(byte);
    }

    /// Whether [`Serial::get`] gives a byte.
    pub fn has_input(&self) -> bool {
        !self.line().received.is_empty()
    }

    /// A byte that came.
    pub fn get(&self) -> Option<u8> {
        self.line().received.pop_front()
    }

    /// Whether nothing more comes: the other end has hung up.
    pub fn hung_up(&self) -> bool {
        self.line().hung_up
    }

    /// The other end: types `bytes`, then hangs up.
    pub fn type_in(&self, bytes: &[u8]) {
        let mut line = self.line();
        line.received.extend(bytes);
        line.hung_up = true;
    }

    /// The other end: what has arrived there since the last call.
    pub fn arrived(&self) -> Vec<u8> {
        std::mem::take(&mut self.line().sent)
    }

    fn line(&self) -> impl std::ops::DerefMut<Target = Line> + '_ {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One direction of a cable, and whether a frame has come since somebody last looked.
#[derive(Default)]
struct Way {
    frames: Mutex<VecDeque<Vec<u8>>>,
    interrupt: AtomicBool,
}

impl Way {
    fn frames(&self) -> impl std::ops::DerefMut<Target = VecDeque<Vec<u8>>> + '_ {
        self.frames.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A network card at one end of a cable.
pub struct Nic {
    inbox: Arc<Way>,
    outbox: Arc<Way>,
}

impl Nic {
    /// Two cards, and the cable between them.
    pub fn pair() -> (Self, Self) {
        let (a, b) = <(Arc<Way>, Arc<Way>)>::default();
        let card = |inbox: &Arc<Way>, outbox: &Arc<Way>| Self {
            inbox: inbox.clone(),
            outbox: outbox.clone(),
        };
        (card(&a, &b), card(&b, &a))
    }

    /// What says, each time it is asked, whether the card has interrupted since.
    pub fn interrupt(&self) -> impl Fn() -> bool + Send + Sync + use<> {
        let inbox = self.inbox.clone();
        move || inbox.interrupt.swap(false, Ordering::AcqRel)
    }
}

/// A place for a frame to send.
pub struct Free<'a>(&'a Way);

/// A frame that came.
pub struct Received(Vec<u8>);

impl Device for Nic {
    type RxToken<'a> = Received;
    type TxToken<'a> = Free<'a>;

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }

    fn receive(&mut self, now: Instant) -> Option<(Received, Free<'_>)> {
        let frame = self.inbox.frames().pop_front()?;
        // A frame whose answer finds no place is lost, as on a cable.
        self.transmit(now).map(|free| (Received(frame), free))
    }

    fn transmit(&mut self, _: Instant) -> Option<Free<'_>> {
        let room = self.outbox.frames().len() < 64;
        room.then_some(Free(&self.outbox))
    }
}

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

impl TxToken for Free<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, f: F) -> R {
        let mut frame = std::vec![0; len];
        let result = f(&mut frame);
        self.0.frames().push_back(frame);
        self.0.interrupt.store(true, Ordering::Release);
        result
    }
}
