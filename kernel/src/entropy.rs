//! `wasi:random`: ChaCha20 with a seed of the processor's random numbers.

use wasi_random::seeded::Seeded;
use x86_64::instructions::random::RdRand;

/// How often the processor is asked before it counts as broken (Intel's DRNG guide, 5.2.1).
const RETRIES: usize = 10;

/// The generator. `None`: the processor has no random numbers, or gives the same ones again and
/// again, as some have done; then there is no secret, and nothing may pretend that there is.
pub(crate) fn seeded() -> Option<Seeded> {
    let source = RdRand::new()?;
    let number = || (0..RETRIES).find_map(|_| source.get_u64());
    let mut words = [0; 4];
    for word in &mut words {
        *word = number()?;
    }
    let next = number()?;
    if words.contains(&next) || words[0] == words[1] {
        return None;
    }
    let mut seed = [0; 32];
    for (bytes, word) in seed.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    Some(Seeded::new(seed))
}
