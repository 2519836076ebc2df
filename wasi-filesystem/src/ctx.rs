use crate::descriptor::Descriptor;
use crate::freshness::Generations;
use crate::{Directory, ErrorCode, Result};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

/// The directories that one guest is granted, and its limits.
///
/// Nothing is granted by default: every file is reached from a preopened directory.
pub struct WasiFilesystemCtx {
    preopens: Vec<(Arc<dyn Directory>, String)>,
    settings: Settings,
    /// Made of the settings when the guest first has a descriptor.
    guest: Option<Arc<Guest>>,
}

#[derive(Clone)]
struct Settings {
    max_descriptors: usize,
    max_listings: usize,
    max_buffered: usize,
    max_read: usize,
    inherit_mutate_directory: bool,
    secret: [u8; 16],
}

/// What all descriptors and streams of one guest share.
pub(crate) struct Guest {
    pub(crate) descriptors: Count,
    pub(crate) listings: Count,
    pub(crate) buffered: Count,
    pub(crate) max_read: usize,
    pub(crate) inherit_mutate_directory: bool,
    pub(crate) secret: [u8; 16],
    pub(crate) generations: Generations,
}

impl WasiFilesystemCtx {
    /// Without a directory. At most 1,024 open descriptors, 256 listings, 8 MiB in streams'
    /// buffers, and 1 MiB a `read`.
    ///
    /// With feature `std` the secret is drawn from the system's; without it there is none to
    /// draw: hand one over with [`WasiFilesystemCtx::secret`].
    pub fn new() -> Self {
        Self {
            preopens: Vec::new(),
            settings: Settings {
                max_descriptors: 1024,
                max_listings: 256,
                max_buffered: 8 << 20,
                max_read: 1 << 20,
                inherit_mutate_directory: false,
                secret: new_secret(),
            },
            guest: None,
        }
    }

    /// Grants `dir` and everything below it, which the guest finds under `guest_path`
    /// (`wasi:filesystem/preopens.get-directories`). It may change all of it, unless
    /// [`Directory::is_read_only`].
    pub fn preopen(mut self, dir: Arc<dyn Directory>, guest_path: impl Into<String>) -> Self {
        self.preopens.push((dir, guest_path.into()));
        self
    }

    /// The most files and directories that the guest has open at once, preopens not counted;
    /// one more is [`ErrorCode::InsufficientMemory`], the code for a system that has no handles
    /// left. A file counts until its descriptor and all of its streams are dropped.
    pub fn max_descriptors(self, descriptors: usize) -> Self {
        self.set(|settings| settings.max_descriptors = descriptors)
    }

    /// The most directories that the guest lists at once; one more is
    /// [`ErrorCode::InsufficientMemory`].
    pub fn max_listings(self, listings: usize) -> Self {
        self.set(|settings| settings.max_listings = listings)
    }

    /// The most bytes that the guest's streams hold together: what they read ahead, and what
    /// was written and is not with the backend yet. A stream that finds nothing left works
    /// with steps of 4 KiB instead.
    pub fn max_buffered(self, bytes: usize) -> Self {
        self.set(|settings| settings.max_buffered = bytes)
    }

    /// The most bytes that one `read` gives, whatever the guest asks for; at least 1.
    pub fn max_read(self, bytes: usize) -> Self {
        self.set(|settings| settings.max_read = bytes.max(1))
    }

    /// Whether a directory that is opened without mutate-directory, from one that has it, can
    /// be changed through it nevertheless; it can't, as the WIT text says.
    ///
    /// The C library of WASI 0.2 never asks for that flag when it opens a directory (nor does
    /// the adapter for modules of preview 1), and changes directories that it opened so: the
    /// `remove_dir_all` of Rust's standard library is one that needs this.
    pub fn inherit_mutate_directory(self, inherit: bool) -> Self {
        self.set(|settings| settings.inherit_mutate_directory = inherit)
    }

    /// The key of the guest's [`MetadataHashValue`](crate::MetadataHashValue)s, 16 bytes that
    /// nobody can guess.
    pub fn secret(self, secret: [u8; 16]) -> Self {
        self.set(|settings| settings.secret = secret)
    }

    /// A new descriptor of each preopened directory, and the path under which the guest finds
    /// it, in the order of the grants (`wasi:filesystem/preopens.get-directories`).
    pub fn get_directories(&mut self) -> Vec<(Descriptor, String)> {
        if self.preopens.is_empty() {
            return Vec::new();
        }
        let settings = &self.settings;
        let guest = self.guest.get_or_insert_with(|| Arc::new(settings.into()));
        let preopens = self.preopens.iter();
        preopens
            .map(|(dir, path)| (Descriptor::preopen(dir.clone(), guest), path.clone()))
            .collect()
    }

    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        set(&mut self.settings);
        // Descriptors that were made keep the settings that they were made with.
        self.guest = None;
        self
    }
}

impl Default for WasiFilesystemCtx {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WasiFilesystemCtx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths: Vec<_> = self.preopens.iter().map(|(_, path)| path).collect();
        f.debug_struct("WasiFilesystemCtx")
            .field("preopens", &paths)
            .finish_non_exhaustive()
    }
}

/// The keys of std's hash maps are the system's randomness, drawn once a thread.
#[cfg(feature = "std")]
fn new_secret() -> [u8; 16] {
    use core::hash::BuildHasher;
    let keys = std::collections::hash_map::RandomState::new();
    let halves = u128::from(keys.hash_one(0)) << 64 | u128::from(keys.hash_one(1));
    halves.to_le_bytes()
}

#[cfg(not(feature = "std"))]
fn new_secret() -> [u8; 16] {
    [0; 16]
}

impl From<&Settings> for Guest {
    fn from(settings: &Settings) -> Self {
        Self {
            descriptors: Count::new(settings.max_descriptors),
            listings: Count::new(settings.max_listings),
            buffered: Count::new(settings.max_buffered),
            max_read: settings.max_read,
            inherit_mutate_directory: settings.inherit_mutate_directory,
            secret: settings.secret,
            generations: Generations::new(),
        }
    }
}

/// How much of something a guest has, and may have.
#[derive(Debug)]
pub(crate) struct Count {
    used: AtomicUsize,
    max: usize,
}

impl Count {
    fn new(max: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            max,
        }
    }

    /// Takes `n`, where as many are left.
    pub(crate) fn take(&self, n: usize) -> bool {
        let more = |used: usize| used.checked_add(n).filter(|used| *used <= self.max);
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, more)
            .is_ok()
    }

    /// Takes one.
    ///
    /// # Errors
    /// [`ErrorCode::InsufficientMemory`]: none is left.
    pub(crate) fn take_one(&self) -> Result<()> {
        match self.take(1) {
            true => Ok(()),
            false => Err(ErrorCode::InsufficientMemory),
        }
    }

    #[cfg(all(test, feature = "p3"))]
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    pub(crate) fn give(&self, n: usize) {
        self.used.fetch_sub(n, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_never_over_its_limit_and_what_is_given_back_can_be_taken_again() {
        let count = Count::new(3);
        assert!(count.take(2) && !count.take(2) && count.take(1));
        assert_eq!(count.take_one(), Err(ErrorCode::InsufficientMemory));
        assert!(!count.take(usize::MAX));
        count.give(2);
        assert!(count.take(2));
    }

    #[cfg(feature = "std")]
    #[test]
    fn two_guests_have_two_secrets() {
        assert_ne!(new_secret(), new_secret());
    }
}
