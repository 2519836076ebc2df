use crate::Random;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use wasi_io::{Error, sync::Mutex};

/// The randomness of one guest and its limit; a clone has the same source, and draws a seed of
/// its own.
///
/// With feature `std` the default is the system's. Without it there is none to take: hand one
/// over.
pub struct WasiRandomCtx {
    source: Arc<dyn Random>,
    max_bytes: usize,
    /// Drawn when the guest first asks.
    seed: Mutex<Option<u128>>,
}

/// Why there were no random bytes. The WIT text has no error for it: the guest ends.
#[derive(Debug, thiserror::Error)]
pub enum RandomError {
    /// One call asked for more than the guest's limit.
    #[error("a guest asked for {len} random bytes at once, {max} are allowed")]
    TooLong {
        /// How many bytes it asked for.
        len: u64,
        /// How many it may ask for in one call.
        max: usize,
    },
    /// The source failed.
    #[error("the source of randomness failed: {0}")]
    Source(#[from] Error),
}

impl WasiRandomCtx {
    /// From `source`, up to 16 MiB a call.
    pub fn new(source: impl Random) -> Self {
        Self {
            source: Arc::new(source),
            max_bytes: 16 << 20,
            seed: Mutex::new(None),
        }
    }

    /// Takes the bytes from `source`.
    pub fn source(mut self, source: impl Random) -> Self {
        self.source = Arc::new(source);
        self
    }

    /// The most bytes that one call gives. A guest that asks for more ends, since the text of
    /// WASI 0.2 wants exactly as many as were asked for; by WASI 0.3 it gets this many (1, where
    /// this is 0), and asks again.
    ///
    /// The bytes are in the host's memory only while the call lasts, which waits for nothing:
    /// all guests together hold no more than this for each thread that runs them.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// `len` secure bytes (`wasi:random/random.get-random-bytes` of WASI 0.2).
    ///
    /// # Errors
    /// - [`RandomError::TooLong`]: `len` is over the limit; nothing was allocated.
    /// - [`RandomError::Source`]: the source failed.
    pub fn bytes(&self, len: u64) -> Result<Vec<u8>, RandomError> {
        let mut bytes = self.zeroes(len)?;
        self.source.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Up to `max_len` secure bytes: so many, or as many as the limit allows
    /// (`wasi:random/random.get-random-bytes` of WASI 0.3).
    ///
    /// # Errors
    /// [`RandomError::Source`]: the source failed.
    pub fn bytes_up_to(&self, max_len: u64) -> Result<Vec<u8>, RandomError> {
        let mut bytes = self.zeroes_up_to(max_len);
        self.source.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Fills `buf` with secure bytes, for who has a buffer already (`random_get` of WASI 0.1).
    ///
    /// # Errors
    /// [`RandomError::Source`]: the source failed; what is in `buf` is not to be used.
    pub fn fill(&self, buf: &mut [u8]) -> Result<(), RandomError> {
        Ok(self.source.fill(buf)?)
    }

    /// A secure number (`wasi:random/random.get-random-u64`).
    ///
    /// # Errors
    /// [`RandomError::Source`]: the source failed.
    pub fn u64(&self) -> Result<u64, RandomError> {
        let mut bytes = [0; 8];
        self.source.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// `len` bytes that may be predictable (`wasi:random/insecure.get-insecure-random-bytes` of
    /// WASI 0.2).
    ///
    /// # Errors
    /// As [`WasiRandomCtx::bytes`].
    pub fn insecure_bytes(&self, len: u64) -> Result<Vec<u8>, RandomError> {
        let mut bytes = self.zeroes(len)?;
        self.source.fill_insecure(&mut bytes)?;
        Ok(bytes)
    }

    /// Up to `max_len` bytes that may be predictable, as [`WasiRandomCtx::bytes_up_to`]
    /// (`wasi:random/insecure.get-insecure-random-bytes` of WASI 0.3).
    ///
    /// # Errors
    /// As [`WasiRandomCtx::bytes_up_to`].
    pub fn insecure_bytes_up_to(&self, max_len: u64) -> Result<Vec<u8>, RandomError> {
        let mut bytes = self.zeroes_up_to(max_len);
        self.source.fill_insecure(&mut bytes)?;
        Ok(bytes)
    }

    /// A number that may be predictable (`wasi:random/insecure.get-insecure-random-u64`).
    ///
    /// # Errors
    /// As [`WasiRandomCtx::u64`].
    pub fn insecure_u64(&self) -> Result<u64, RandomError> {
        let mut bytes = [0; 8];
        self.source.fill_insecure(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// A seed for hash maps, low half first (`wasi:random/insecure-seed`): the same at each
    /// call.
    ///
    /// # Errors
    /// As [`WasiRandomCtx::u64`]; the next call asks the source again.
    pub fn insecure_seed(&self) -> Result<(u64, u64), RandomError> {
        let drawn = *self.seed.lock();
        let seed = match drawn {
            Some(seed) => seed,
            None => {
                let drawn = self.source.insecure_seed()?;
                *self.seed.lock().get_or_insert(drawn)
            }
        };
        Ok((seed as u64, (seed >> 64) as u64))
    }

    fn zeroes(&self, len: u64) -> Result<Vec<u8>, RandomError> {
        match usize::try_from(len) {
            Ok(len) if len <= self.max_bytes => Ok(alloc::vec![0; len]),
            _ => Err(RandomError::TooLong {
                len,
                max: self.max_bytes,
            }),
        }
    }

    /// One at least, where any are asked for: a guest that asks in a loop is to get on.
    fn zeroes_up_to(&self, max_len: u64) -> Vec<u8> {
        let max = self.max_bytes.max(1);
        alloc::vec![0; usize::try_from(max_len).map_or(max, |len| len.min(max))]
    }
}

impl Clone for WasiRandomCtx {
    fn clone(&self) -> Self {
        Self {
            source: self.source.clone(),
            max_bytes: self.max_bytes,
            seed: Mutex::new(None),
        }
    }
}

#[cfg(feature = "std")]
impl Default for WasiRandomCtx {
    fn default() -> Self {
        Self::new(crate::os::SystemRandom)
    }
}

impl fmt::Debug for WasiRandomCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasiRandomCtx")
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seeded::Seeded;

    #[test]
    fn a_call_gives_exactly_the_length_up_to_the_limit() {
        let ctx = WasiRandomCtx::new(Seeded::new([1; 32])).max_bytes(1000);
        for (len, given) in [
            (0, true),
            (1, true),
            (1000, true),
            (1001, false),
            (100 << 20, false),
            (u64::MAX, false),
        ] {
            for answer in [ctx.bytes(len), ctx.insecure_bytes(len)] {
                match answer {
                    Ok(bytes) => assert_eq!((bytes.len() as u64, given), (len, true)),
                    Err(RandomError::TooLong { len: asked, max }) => {
                        assert_eq!((asked, max, given), (len, 1000, false));
                    }
                    Err(error) => panic!("{error}"),
                }
            }
        }
    }

    #[test]
    fn a_call_that_may_give_fewer_gives_what_the_limit_allows() {
        let ctx = |max| WasiRandomCtx::new(Seeded::new([1; 32])).max_bytes(max);
        for (max, max_len, given) in [
            (1000, 0, 0),
            (1000, 1, 1),
            (1000, 1000, 1000),
            (1000, 1001, 1000),
            (1000, u64::MAX, 1000),
            (0, 0, 0),
            (0, u64::MAX, 1),
        ] {
            let (ctx, twin) = (ctx(max), ctx(1 << 20));
            for (bytes, all) in [
                (ctx.bytes_up_to(max_len), twin.bytes(given)),
                (
                    ctx.insecure_bytes_up_to(max_len),
                    twin.insecure_bytes(given),
                ),
            ] {
                assert_eq!(bytes.unwrap(), all.unwrap(), "{max_len} of {max}");
            }
        }
    }

    #[test]
    fn a_guest_has_one_seed_and_a_clone_another() {
        let ctx = WasiRandomCtx::new(Seeded::new([1; 32]));
        let seed = ctx.insecure_seed().unwrap();
        assert_eq!(ctx.insecure_seed().unwrap(), seed);
        assert_ne!(ctx.clone().insecure_seed().unwrap(), seed);
    }

    /// Fails once.
    #[derive(Default)]
    struct Late(core::sync::atomic::AtomicBool);

    impl Random for Late {
        fn fill(&self, buf: &mut [u8]) -> Result<(), Error> {
            buf.fill(7);
            match self.0.swap(true, core::sync::atomic::Ordering::Relaxed) {
                true => Ok(()),
                false => Err(Error::new(core::fmt::Error)),
            }
        }
    }

    #[test]
    fn a_seed_that_could_not_be_drawn_is_drawn_at_the_next_call() {
        let ctx = WasiRandomCtx::new(Late::default());
        assert!(ctx.insecure_seed().is_err());
        let half = u64::from_le_bytes([7; 8]);
        assert_eq!(ctx.insecure_seed().unwrap(), (half, half));
    }

    #[test]
    fn numbers_and_seeds_come_from_their_streams() {
        let [a, b] = [(); 2].map(|()| WasiRandomCtx::new(Seeded::new([1; 32])));
        assert_eq!(a.u64().unwrap().to_le_bytes()[..], b.bytes(8).unwrap());
        assert_eq!(
            a.insecure_u64().unwrap().to_le_bytes()[..],
            b.insecure_bytes(8).unwrap()
        );
        let (low, high) = a.insecure_seed().unwrap();
        let bytes = b.insecure_bytes(16).unwrap();
        assert_eq!(low.to_le_bytes()[..], bytes[..8]);
        assert_eq!(high.to_le_bytes()[..], bytes[8..]);
    }

    struct Broken;

    impl Random for Broken {
        fn fill(&self, _: &mut [u8]) -> Result<(), Error> {
            Err(Error::new(core::fmt::Error))
        }
    }

    #[test]
    fn a_hundred_mebibytes_are_over_the_default_limit() {
        let ctx = WasiRandomCtx::new(Broken);
        for (len, over) in [(16 << 20, false), ((16 << 20) + 1, true), (100 << 20, true)] {
            let error = ctx.bytes(len).unwrap_err();
            assert_eq!(matches!(error, RandomError::TooLong { .. }), over, "{len}");
        }
    }

    #[test]
    fn a_source_that_fails_gives_nothing() {
        let ctx = WasiRandomCtx::new(Broken);
        assert!(matches!(ctx.bytes(1), Err(RandomError::Source(_))));
        assert!(matches!(ctx.u64(), Err(RandomError::Source(_))));
        assert!(matches!(ctx.insecure_bytes(1), Err(RandomError::Source(_))));
        assert!(matches!(ctx.bytes_up_to(1), Err(RandomError::Source(_))));
        assert!(matches!(
            ctx.insecure_bytes_up_to(1),
            Err(RandomError::Source(_))
        ));
        assert!(matches!(ctx.insecure_u64(), Err(RandomError::Source(_))));
        assert!(matches!(ctx.insecure_seed(), Err(RandomError::Source(_))));
    }
}
