//! Whether a source keeps what [`Random`] promises, as far as its bytes can tell: that nobody
//! can predict them can't be seen from them.
//!
//! ```
//! use wasi_random::{seeded::Seeded, testkit};
//!
//! testkit::run(&Seeded::new([7; 32])).assert_ok();
//! ```

use crate::{Error, Random};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use wasi_io::testkit::Report;

/// Fills so many times: a byte that is 0 each time is not filled, but for one chance in 2^128.
const FILLS: usize = 16;

type Fill<'a> = &'a dyn Fn(&mut [u8]) -> Result<(), Error>;

/// Checks `source`. A right one fails a check by chance less than once in 10^12 runs.
pub fn run(source: &dyn Random) -> Report {
    let mut report = Report::new("Random");
    let secure: Fill<'_> = &|buf| source.fill(buf);
    let insecure: Fill<'_> = &|buf| source.fill_insecure(buf);
    report.check("fill fills all of the buffer", || fills(secure));
    report.check("fill is fresh each time", || fresh(secure));
    report.check("fill is evenly spread", || even(secure));
    report.check("fill_insecure fills all of the buffer", || fills(insecure));
    report.check("fill_insecure is evenly spread", || even(insecure));
    report.check("a seed can be asked for more than once", || {
        for _ in 0..3 {
            source
                .insecure_seed()
                .map_err(|error| format!("insecure_seed: {error}"))?;
        }
        Ok::<(), String>(())
    });
    report
}

fn filled(fill: Fill<'_>, len: usize) -> Result<Vec<u8>, String> {
    let mut buf = vec![0; len];
    fill(&mut buf).map_err(|error| format!("{len} bytes: {error}"))?;
    Ok(buf)
}

fn fills(fill: Fill<'_>) -> Result<(), String> {
    for len in [0, 1, 3, 8, 33, 256, 257, 10_000] {
        let mut seen = vec![0; len];
        for _ in 0..FILLS {
            let bytes = filled(fill, len)?;
            seen.iter_mut()
                .zip(bytes)
                .for_each(|(seen, byte)| *seen |= byte);
        }
        if let Some(at) = seen.iter().position(|seen| *seen == 0) {
            return Err(format!("of {len} bytes, that at {at} was 0 {FILLS} times"));
        }
    }
    Ok(())
}

fn fresh(fill: Fill<'_>) -> Result<(), String> {
    let mut last = filled(fill, 32)?;
    for _ in 0..FILLS {
        let next = filled(fill, 32)?;
        // No half of it either: some sources repeat their blocks.
        if next[..16] == last[..16] || next[16..] == last[16..] || next[..16] == next[16..] {
            return Err("the same 16 bytes came twice".into());
        }
        last = next;
    }
    Ok(())
}

fn even(fill: Fill<'_>) -> Result<(), String> {
    // 256 of each on average, with a standard deviation of 16.
    let mut counts = [0_i32; 256];
    for byte in filled(fill, 256 * 256)? {
        counts[usize::from(byte)] += 1;
    }
    match counts
        .iter()
        .position(|count| (count - 256).abs() > 10 * 16)
    {
        None => Ok(()),
        Some(byte) => Err(format!(
            "of 65536 bytes, {} were {byte}, and not some 256",
            counts[byte]
        )),
    }
}
