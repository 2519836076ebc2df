//! Latencies, with an error under two percent.

use std::time::Duration;

/// Each power of two nanoseconds is cut into this many steps.
const STEPS: u32 = 64;

#[derive(Clone)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self {
            counts: vec![0; (64 * STEPS) as usize],
            total: 0,
        }
    }

    pub(crate) fn add(&mut self, latency: Duration) {
        let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
        self.counts[slot(nanoseconds)] += 1;
        self.total += 1;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.total += other.total;
    }

    pub(crate) fn count(&self) -> u64 {
        self.total
    }

    /// The latency that `part` (0 to 1) of all stay within, in milliseconds; 0 without any.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        let wanted = (self.total as f64 * part).ceil().max(1.0) as u64;
        let mut seen = 0;
        let at = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        });
        at.map_or(0.0, |slot| lowest(slot) / 1e6)
    }
}

fn slot(nanoseconds: u64) -> usize {
    let power = nanoseconds.max(1).ilog2();
    let step = match power.checked_sub(STEPS.ilog2()) {
        Some(shift) => (nanoseconds >> shift) as u32 - STEPS,
        // Under 64 ns: steps of one.
        None => return nanoseconds as usize,
    };
    (power * STEPS + step) as usize
}

fn lowest(slot: usize) -> f64 {
    let (power, step) = (slot as u32 / STEPS, slot as u32 % STEPS);
    match power.checked_sub(STEPS.ilog2()) {
        Some(shift) => f64::from(STEPS + step) * (1u64 << shift) as f64,
        None => slot as f64,
    }
}
