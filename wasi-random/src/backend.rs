//! The trait an operating system implements.

use alloc::sync::Arc;
use wasi_io::Error;

/// A source of random bytes. None of its methods waits.
pub trait Random: Send + Sync + 'static {
    /// Fills all of `buf` with fresh bytes that nobody outside can predict, as good as those of
    /// a well seeded cryptographic generator (`wasi:random/random`).
    ///
    /// # Errors
    /// The source has failed or has no entropy yet; what is in `buf` is not to be used.
    fn fill(&self, buf: &mut [u8]) -> Result<(), Error>;

    /// Fills all of `buf` with evenly spread bytes, which may be predictable
    /// (`wasi:random/insecure`). The default is as good as [`Random::fill`].
    ///
    /// # Errors
    /// As [`Random::fill`].
    fn fill_insecure(&self, buf: &mut [u8]) -> Result<(), Error> {
        self.fill(buf)
    }

    /// A seed for hash maps, against flooding (`wasi:random/insecure-seed`), which
    /// [`WasiRandomCtx`](crate::WasiRandomCtx) draws for each guest. The default is 16 bytes of
    /// [`Random::fill_insecure`].
    ///
    /// # Errors
    /// As [`Random::fill`].
    fn insecure_seed(&self) -> Result<u128, Error> {
        let mut seed = [0; 16];
        self.fill_insecure(&mut seed)?;
        Ok(u128::from_le_bytes(seed))
    }
}

impl<T: Random + ?Sized> Random for Arc<T> {
    fn fill(&self, buf: &mut [u8]) -> Result<(), Error> {
        (**self).fill(buf)
    }

    fn fill_insecure(&self, buf: &mut [u8]) -> Result<(), Error> {
        (**self).fill_insecure(buf)
    }

    fn insecure_seed(&self) -> Result<u128, Error> {
        (**self).insecure_seed()
    }
}
