//! `wasi:random`.

use crate::bindings::wasi::random::{insecure, insecure_seed, random};
use crate::checks::Checks;

pub fn run(checks: &mut Checks) {
    type Bytes = fn(u64) -> Vec<u8>;
    let sources: [(&str, Bytes); 2] = [
        ("get-random-bytes", random::get_random_bytes),
        (
            "get-insecure-random-bytes",
            insecure::get_insecure_random_bytes,
        ),
    ];
    for (name, bytes) in sources {
        for most in [0, 1, 7, 4096, 1 << 20] {
            let len = bytes(most).len() as u64;
            // It may give less, but not nothing.
            checks.that(
                format!("{name}: {most} bytes"),
                len <= most && (most == 0 || len > 0),
            );
        }
        // By chance, once in 2^256.
        let (one, two) = (bytes(32), bytes(32));
        checks.that(format!("{name}: fresh"), one != two);
        let mut seen = [false; 256];
        bytes(1 << 16)
            .iter()
            .for_each(|byte| seen[*byte as usize] = true);
        checks.eq(format!("{name}: every byte"), seen.contains(&false), false);
    }
    let numbers = [random::get_random_u64(), random::get_random_u64()];
    checks.that("get-random-u64: fresh", numbers[0] != numbers[1]);
    let insecure_numbers = [(); 2].map(|()| insecure::get_insecure_random_u64());
    checks.that(
        "get-insecure-random-u64: fresh",
        insecure_numbers[0] != insecure_numbers[1],
    );
    let seed = insecure_seed::get_insecure_seed();
    checks.that("get-insecure-seed: not 0", seed != (0, 0));
    // For the host, which knows whether two runs have the same.
    println!("{numbers:x?} {insecure_numbers:x?} {seed:x?}");
}
