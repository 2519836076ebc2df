//! `wasi:random`.

use crate::bindings::wasi::random::insecure::{get_insecure_random_bytes, get_insecure_random_u64};
use crate::bindings::wasi::random::insecure_seed::insecure_seed;
use crate::bindings::wasi::random::random::{get_random_bytes, get_random_u64};
use crate::outcome::{Outcome, ensure};

pub fn secure() -> Outcome {
    looks_random(get_random_bytes, get_random_u64)
}

pub fn insecure() -> Outcome {
    looks_random(get_insecure_random_bytes, get_insecure_random_u64)
}

/// A seed may be the same at every run, but must be one.
pub fn seed() -> Outcome {
    let seed = insecure_seed();
    ensure(seed != (0, 0), || "it is 0".into())?;
    Ok("128 bits".into())
}

/// What a working source fails once in more runs than there will ever be.
fn looks_random(bytes: fn(u64) -> Vec<u8>, number: fn() -> u64) -> Outcome {
    const LEN: usize = 4096;
    for len in [0, 1, LEN] {
        let got = bytes(len as u64).len();
        ensure(got == len, || {
            format!("{got} bytes, where {len} were asked for")
        })?;
    }
    let (a, b) = (bytes(LEN as u64), bytes(LEN as u64));
    ensure(a != b, || "the same bytes twice".into())?;
    let ones: u32 = a.iter().map(|byte| byte.count_ones()).sum();
    let fair = LEN as u32 * 8 / 2;
    ensure(ones.abs_diff(fair) < fair / 10, || {
        format!("{ones} of {} bits are 1", LEN * 8)
    })?;
    // A byte that repeats has a fair share of ones too.
    let mut seen = [false; 256];
    a.iter().for_each(|byte| seen[usize::from(*byte)] = true);
    let values = seen.iter().filter(|seen| **seen).count();
    ensure(values > 200, || {
        format!("only {values} values in {LEN} bytes")
    })?;
    let (c, d) = (number(), number());
    ensure(c != d, || format!("{c} twice"))?;
    Ok(format!("{ones} ones in {} bits", LEN * 8))
}
