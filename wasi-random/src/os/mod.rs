//! The randomness of this machine.

use crate::Random;
use core::cell::RefCell;
use wasi_io::Error;

/// The system's generator, for secure and insecure bytes alike.
///
/// Few bytes at once come out of a kilobyte that the thread has from the system; each is given
/// once, and is no longer there after that. A process that is copied as it runs (`fork` without
/// `exec`, a virtual machine that is resumed twice) has the rest of it in both copies.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, buf: &mut [u8]) -> Result<(), Error> {
        let taken = match buf.len() <= FEW {
            // A thread that ends has none any more.
            true => READY.try_with(|ready| ready.borrow_mut().take(buf)).ok(),
            false => None,
        };
        let filled = taken.unwrap_or_else(|| getrandom::fill(buf));
        filled.map_err(Error::new)
    }
}

/// So many bytes at once cost the system call little.
const FEW: usize = 128;

std::thread_local! {
    static READY: RefCell<Ready> = const { RefCell::new(Ready::new()) };
}

/// Bytes of the system's that nobody has had yet.
struct Ready {
    bytes: [u8; 1024],
    left: usize,
}

impl Ready {
    const fn new() -> Self {
        Self {
            bytes: [0; 1024],
            left: 0,
        }
    }

    /// Fills `buf`, which is shorter than they are all together.
    fn take(&mut self, buf: &mut [u8]) -> Result<(), getrandom::Error> {
        if self.left < buf.len() {
            self.left = 0;
            getrandom::fill(&mut self.bytes)?;
            self.left = self.bytes.len();
        }
        let from = self.left - buf.len();
        let given = &mut self.bytes[from..self.left];
        buf.copy_from_slice(given);
        given.fill(0);
        self.left = from;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use std::collections::HashSet;

    #[test]
    fn no_two_answers_are_alike() {
        let (mut a, mut b) = ([0; 32], [0; 32]);
        SystemRandom.fill(&mut a).unwrap();
        SystemRandom.fill_insecure(&mut b).unwrap();
        assert_ne!(a, b);
        assert_ne!(a, [0; 32]);
        let seeds = [(); 2].map(|()| SystemRandom.insecure_seed().unwrap());
        assert_ne!(seeds[0], seeds[1]);
    }

    #[test]
    fn what_was_given_is_gone_and_is_given_once() {
        let mut ready = Ready::new();
        let mut given = HashSet::new();
        for round in 0..1000 {
            let mut buf = vec![0; 16 + round % (FEW - 16)];
            ready.take(&mut buf).unwrap();
            assert!(given.insert(buf[..16].to_vec()), "given twice");
            assert!(ready.bytes[ready.left..].iter().all(|byte| *byte == 0));
        }
        ready.take(&mut []).unwrap();
    }

    #[test]
    fn any_length_is_filled_to_its_end() {
        for len in [0, 1, FEW, FEW + 1, 4096] {
            let mut buf = vec![0; len + 64];
            SystemRandom.fill(&mut buf[..len]).unwrap();
            assert!(buf[len..].iter().all(|byte| *byte == 0), "{len}");
            // 64 zeros in a row are not to be expected of 2^512 possibilities.
            for piece in buf[..len].chunks_exact(64) {
                assert!(piece.iter().any(|byte| *byte != 0), "{len}");
            }
        }
    }
}
