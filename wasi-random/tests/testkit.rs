//! Every source that is shipped passes the kit, and one that is broken does not.

use std::sync::atomic::{AtomicU64, Ordering};
use wasi_random::os::SystemRandom;
use wasi_random::seeded::Seeded;
use wasi_random::{Error, Random, testkit};

#[test]
fn the_sources_keep_every_guarantee() {
    testkit::run(&SystemRandom).assert_ok();
    for seed in 0..10 {
        testkit::run(&Seeded::new([seed; 32])).assert_ok();
    }
}

/// What is wrong with a source.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    StopsShort,
    SameEachTime,
    Ascii,
    Fails,
    InsecureCounts,
    OneSeed,
}

struct Faulty(Seeded, Fault, AtomicU64);

impl Random for Faulty {
    fn fill(&self, buf: &mut [u8]) -> Result<(), Error> {
        match self.1 {
            Fault::StopsShort => {
                let whole = buf.len() / 8 * 8;
                return self.0.fill(&mut buf[..whole]);
            }
            Fault::SameEachTime => return Seeded::new([1; 32]).fill(buf),
            Fault::Fails if buf.len() > 1000 => return Err(Error::new(std::fmt::Error)),
            _ => self.0.fill(buf)?,
        }
        if self.1 == Fault::Ascii {
            buf.iter_mut().for_each(|byte| *byte &= 0x7f);
        }
        Ok(())
    }

    fn fill_insecure(&self, buf: &mut [u8]) -> Result<(), Error> {
        match self.1 {
            Fault::InsecureCounts => buf.fill(self.2.fetch_add(1, Ordering::Relaxed) as u8),
            _ => self.0.fill_insecure(buf)?,
        }
        Ok(())
    }

    fn insecure_seed(&self) -> Result<u128, Error> {
        match self.1 == Fault::OneSeed && self.2.fetch_add(1, Ordering::Relaxed) > 0 {
            true => Err(Error::new(std::fmt::Error)),
            false => Ok(7),
        }
    }
}

#[test]
fn a_broken_promise_is_reported_by_its_name() {
    for (fault, broken) in [
        (Fault::StopsShort, &["fill fills all of the buffer"][..]),
        (
            Fault::SameEachTime,
            &["fill fills all of the buffer", "fill is fresh each time"],
        ),
        (Fault::Ascii, &["fill is evenly spread"]),
        (
            Fault::Fails,
            &["fill fills all of the buffer", "fill is evenly spread"],
        ),
        (Fault::InsecureCounts, &["fill_insecure is evenly spread"]),
        (Fault::OneSeed, &["a seed can be asked for more than once"]),
    ] {
        let faulty = Faulty(Seeded::new([9; 32]), fault, AtomicU64::new(0));
        let report = testkit::run(&faulty);
        let failures: Vec<_> = report.failures().map(|(name, _)| name).collect();
        assert_eq!(failures, broken, "{fault:?}: {report}");
    }
}
