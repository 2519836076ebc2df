//! Randomness that needs no operating system: all of it follows from a seed.

use crate::Random;
use core::fmt;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use wasi_io::{Error, sync::Mutex};

/// ChaCha20 with a seed of 32 bytes: the same seed gives the same bytes in the same order.
///
/// Its bytes are as secret as the seed. A known one is for tests and for runs that are to be
/// repeated; on a system without a generator of its own, one that was read from the hardware
/// at boot makes this a secure source.
pub struct Seeded {
    secure: Mutex<ChaCha20Rng>,
    insecure: Mutex<ChaCha20Rng>,
}

impl Seeded {
    /// From `seed`. Secure and insecure bytes are two streams: how much is taken from one does
    /// not change the other.
    pub fn new(seed: [u8; 32]) -> Self {
        let stream = |number| {
            let mut generator = ChaCha20Rng::from_seed(seed);
            generator.set_stream(number);
            Mutex::new(generator)
        };
        Self {
            secure: stream(0),
            insecure: stream(1),
        }
    }
}

impl Random for Seeded {
    fn fill(&self, buf: &mut [u8]) -> Result<(), Error> {
        self.secure.lock().fill_bytes(buf);
        Ok(())
    }

    fn fill_insecure(&self, buf: &mut [u8]) -> Result<(), Error> {
        self.insecure.lock().fill_bytes(buf);
        Ok(())
    }
}

impl fmt::Debug for Seeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seeded").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(source: &Seeded) -> [u8; 32] {
        let mut buf = [0; 32];
        source.fill(&mut buf).unwrap();
        buf
    }

    #[test]
    fn a_seed_gives_the_key_stream_of_chacha20() {
        // The first block for a key, nonce and counter of zeros: RFC 8439, A.1, vector 1.
        let expected = [
            0x76, 0xb8, 0xe0, 0xad, 0xa0, 0xf1, 0x3d, 0x90, 0x40, 0x5d, 0x6a, 0xe5, 0x53, 0x86,
            0xbd, 0x28, 0xbd, 0xd2, 0x19, 0xb8, 0xa0, 0x8d, 0xed, 0x1a, 0xa8, 0x36, 0xef, 0xcc,
            0x8b, 0x77, 0x0d, 0xc7,
        ];
        assert_eq!(bytes(&Seeded::new([0; 32])), expected);
    }

    #[test]
    fn equal_seeds_give_equal_bytes_and_others_do_not() {
        let (a, b, c) = (
            Seeded::new([7; 32]),
            Seeded::new([7; 32]),
            Seeded::new([8; 32]),
        );
        let first = bytes(&a);
        assert_eq!(first, bytes(&b));
        assert_ne!(first, bytes(&c));
        assert_ne!(first, bytes(&a), "and are fresh each time");
    }

    #[test]
    fn insecure_bytes_are_a_stream_of_their_own() {
        let (a, b) = (Seeded::new([7; 32]), Seeded::new([7; 32]));
        let mut insecure = [0; 32];
        a.fill_insecure(&mut insecure).unwrap();
        let seed = a.insecure_seed().unwrap();
        assert_eq!(bytes(&a), bytes(&b), "the secure stream has not moved");
        assert_ne!(bytes(&Seeded::new([7; 32])), insecure);
        assert_ne!(seed, a.insecure_seed().unwrap());
    }
}
