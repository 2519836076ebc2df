//! Time: how fast the processor's counters are, and the interrupt at a time.

use crate::{apic, events};
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use spin::Once;
use wasmtime::Engine;
use x86_64::instructions::port::Port;

/// How long a program computes before another task has a turn, in nanoseconds: a tick of the
/// epoch.
const TURN: u64 = 5_000_000;

/// The frequency of the PIT, in Hz, and how long the others are measured by it.
const PIT_HZ: u64 = 1_193_182;
const PIT_WINDOW: u16 = 11_932;

/// The time stamp counter's start and what to multiply it with for nanoseconds, 32 bits of it
/// behind the point; the same of the APIC's timer for counts.
struct Rates {
    start: u64,
    nanoseconds: u64,
    counts: u64,
}

static RATES: Once<Rates> = Once::new();

/// Whose epoch is counted.
static ENGINE: Once<Engine> = Once::new();

/// Whether the processor sleeps until an interrupt: there is no turn to end.
static IDLE: AtomicBool = AtomicBool::new(true);

/// When the timer's interrupt comes; [`NEVER`] where it does not. The timer itself is asked as
/// little as can be: under an emulator its registers are slow.
static DUE: AtomicU64 = AtomicU64::new(NEVER);

const NEVER: u64 = u64::MAX;

/// The counts of a [`TURN`].
static TURN_COUNTS: AtomicU32 = AtomicU32::new(0);

fn tsc() -> u64 {
    // SAFETY: every x86_64 processor has it.
    unsafe { core::arch::x86_64::_rdtsc() }
}

/// One look at all three counters at about the same time.
#[derive(Clone, Copy)]
struct Sample {
    tsc: u64,
    apic: u32,
    pit: u16,
}

impl Sample {
    fn take() -> Self {
        let (mut command, mut data) = (Port::<u8>::new(0x43), Port::<u8>::new(0x40));
        let mut best: Option<(u64, Self)> = None;
        // An emulator may be interrupted between two reads: the quickest one counts.
        for _ in 0..8 {
            let before = tsc();
            // SAFETY: latches the PIT's channel 0 and reads that.
            let pit = unsafe {
                command.write(0);
                u16::from_le_bytes([data.read(), data.read()])
            };
            let apic = apic::timer_left();
            let took = tsc().wrapping_sub(before);
            let sample = Self {
                tsc: before.wrapping_add(took / 2),
                apic,
                pit,
            };
            if best.is_none_or(|best| took < best.0) {
                best = Some((took, sample));
            }
        }
        best.map_or(
            Self {
                tsc: 0,
                apic: 0,
                pit: 0,
            },
            |best| best.1,
        )
    }
}

/// Measures the counters, which takes some 10 ms. `false`: the PIT stands, and there is no time.
pub(crate) fn init() -> bool {
    // SAFETY: sets the PIT's channel 0 to count down from 65,536 again and again; its interrupt
    // is masked.
    unsafe {
        Port::<u8>::new(0x43).write(0x34);
        Port::<u8>::new(0x40).write(0);
        Port::<u8>::new(0x40).write(0);
    }
    apic::start_timer(u32::MAX);
    let start = Sample::take();
    let mut looks = 0_u32;
    let end = loop {
        let end = Sample::take();
        if start.pit.wrapping_sub(end.pit) >= PIT_WINDOW {
            break end;
        }
        looks += 1;
        if looks > 10_000_000 {
            return false;
        }
    };
    apic::start_timer(0);
    let pit = u128::from(start.pit.wrapping_sub(end.pit));
    let nanoseconds = pit * 1_000_000_000 / u128::from(PIT_HZ);
    let ticks = u128::from(end.tsc.wrapping_sub(start.tsc));
    let counts = u128::from(start.apic.wrapping_sub(end.apic));
    if ticks == 0 || counts == 0 {
        return false;
    }
    let rates = RATES.call_once(|| Rates {
        start: start.tsc,
        nanoseconds: u64::try_from((nanoseconds << 32) / ticks).unwrap_or(u64::MAX),
        counts: u64::try_from((counts << 32) / nanoseconds).unwrap_or(u64::MAX),
    });
    TURN_COUNTS.store(rates.counts(TURN), Ordering::Relaxed);
    true
}

impl Rates {
    /// The APIC timer's counts for this many nanoseconds, at least 1 and at most all it can.
    fn counts(&self, nanoseconds: u64) -> u32 {
        let counts = (u128::from(nanoseconds) * u128::from(self.counts)) >> 32;
        u32::try_from(counts).unwrap_or(u32::MAX).max(1)
    }

    /// Has the interrupt come at `deadline`.
    fn start(&self, deadline: u64) {
        DUE.store(deadline, Ordering::Relaxed);
        apic::start_timer(self.counts(deadline.saturating_sub(now())));
    }
}

/// Nanoseconds since [`init`].
pub(crate) fn now() -> u64 {
    let Some(rates) = RATES.get() else { return 0 };
    let ticks = u128::from(tsc().wrapping_sub(rates.start));
    ((ticks * u128::from(rates.nanoseconds)) >> 32) as u64
}

/// Counts the epoch of `engine` from now on.
pub(crate) fn count_epoch(engine: Engine) {
    ENGINE.call_once(|| engine);
}

/// The interrupt itself.
pub(crate) fn interrupted() {
    events::set(events::TIMER);
    if let Some(engine) = ENGINE.get() {
        engine.increment_epoch();
    }
    match IDLE.load(Ordering::Relaxed) {
        true => DUE.store(NEVER, Ordering::Relaxed),
        false => start_turn(now()),
    }
}

fn start_turn(now: u64) {
    apic::start_timer(TURN_COUNTS.load(Ordering::Relaxed));
    DUE.store(now.saturating_add(TURN), Ordering::Relaxed);
}

/// Tasks run from now on: there is an interrupt for each [`TURN`].
pub(crate) fn busy() {
    if IDLE.swap(false, Ordering::Relaxed) {
        let now = now();
        // One that comes before the turn's end begins the next.
        if DUE.load(Ordering::Relaxed) > now.saturating_add(TURN) {
            start_turn(now);
        }
    }
}

/// Nothing is to be done before `deadline`: the next interrupt is then, or earlier, where a turn
/// ends or the timer can't count that far. Called with interrupts off.
pub(crate) fn idle(deadline: Option<u64>) {
    IDLE.store(true, Ordering::Relaxed);
    let due = DUE.load(Ordering::Relaxed);
    let deadline = deadline.unwrap_or(NEVER);
    // Most sleeps end before a turn does: that interrupt does no harm.
    let turn = due <= now().saturating_add(TURN);
    if due == deadline || (turn && due < deadline) {
        return;
    }
    match (deadline, RATES.get()) {
        (NEVER, _) | (_, None) => {
            apic::start_timer(0);
            DUE.store(NEVER, Ordering::Relaxed);
        }
        (deadline, Some(rates)) => rates.start(deadline),
    }
}

/// A deadline that comes before the turn's end: called when tasks run.
pub(crate) fn sooner(deadline: u64) {
    if let Some(rates) = RATES.get()
        && deadline < DUE.load(Ordering::Relaxed)
    {
        rates.start(deadline);
    }
}
