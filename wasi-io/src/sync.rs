//! The lock that the backends without an operating system share.

/// A mutual exclusion lock: `std`'s with feature `std`, otherwise one that spins. Held for a
/// few instructions at a time and never while a waker runs.
///
/// On bare metal, an interrupt handler must not take it (so must not wake a task directly):
/// it could interrupt the holder.
#[derive(Debug, Default)]
pub struct Mutex<T>(Inner<T>);

#[cfg(feature = "std")]
type Inner<T> = std::sync::Mutex<T>;
#[cfg(not(feature = "std"))]
type Inner<T> = spin::Mutex<T>;

impl<T> Mutex<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Self {
        Self(Inner::new(value))
    }

    /// Waits for the lock. A holder that panicked leaves the value as it was.
    #[cfg(feature = "std")]
    pub fn lock(&self) -> impl core::ops::DerefMut<Target = T> + '_ {
        self.0.lock().unwrap_or_else(|poison| poison.into_inner())
    }

    /// Waits for the lock, spinning.
    #[cfg(not(feature = "std"))]
    pub fn lock(&self) -> impl core::ops::DerefMut<Target = T> + '_ {
        self.0.lock()
    }
}
