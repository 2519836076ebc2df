//! The randomness of this machine.

use crate::Random;
use wasi_io::Error;

/// The system's generator, for secure and insecure bytes alike.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, buf: &mut [u8]) -> Result<(), Error> {
        getrandom::fill(buf).map_err(Error::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
