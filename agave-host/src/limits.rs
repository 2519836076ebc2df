use wasi_types::Duration;
use wasmtime::ResourceLimiter;

/// What one guest may make the host hold, and for how long it may run. Every number has a
/// default; running out of one ends that guest or fails its call, and is nothing to anybody
/// else.
#[derive(Clone, Debug)]
pub struct Limits {
    memory: usize,
    table_elements: usize,
    handles: usize,
    call_bytes: usize,
    timeout: Option<Duration>,
}

impl Limits {
    /// The defaults, named at each method.
    pub const fn new() -> Self {
        Self {
            memory: 256 << 20,
            table_elements: 100_000,
            handles: 10_000,
            call_bytes: (16 << 20) + (64 << 10),
            timeout: None,
        }
    }

    /// Bytes of linear memory, all memories of the instance together; 256 MiB. Growing past
    /// it fails (`memory.grow` gives -1).
    pub const fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes;
        self
    }

    /// Elements of all tables of the instance together; 100,000. Growing past it fails.
    pub const fn table_elements(mut self, elements: usize) -> Self {
        self.table_elements = elements;
        self
    }

    /// Resources (streams, sockets, fields, pollables, …) that live at once; 10,000. One more
    /// is a trap.
    pub const fn handles(mut self, handles: usize) -> Self {
        self.handles = handles;
        self
    }

    /// Bytes of lists and strings that one call hands to the host; 16 MiB and 64 KiB, so that
    /// the longest message of a WebSocket fits. More is a trap, and is not read.
    pub const fn call_bytes(mut self, bytes: usize) -> Self {
        self.call_bytes = bytes;
        self
    }

    /// Nanoseconds that a run may take, computing and waiting alike; `None`, the default, is
    /// without end. While a guest serves a WebSocket it does not count
    /// ([`Service`](crate::Service)). A guest past it is a trap. Computing is interrupted only on an engine
    /// with epochs that somebody counts up, as those of [`Host`](crate::Host) are.
    pub const fn timeout(mut self, timeout: Option<Duration>) -> Self {
        self.timeout = timeout;
        self
    }

    pub(crate) fn handles_max(&self) -> usize {
        self.handles
    }

    pub(crate) fn call_bytes_max(&self) -> usize {
        self.call_bytes
    }

    #[cfg(feature = "wasmi")]
    pub(crate) fn table_elements_max(&self) -> usize {
        self.table_elements
    }

    pub(crate) fn timeout_after(&self) -> Option<Duration> {
        self.timeout
    }

    #[cfg(any(feature = "std", feature = "wasmi"))]
    pub(crate) fn memory_max(&self) -> usize {
        self.memory
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

/// Counts what an instance's memories and tables have grown to.
pub(crate) struct Limiter {
    memory_left: usize,
    table_left: usize,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory_left: limits.memory,
            table_left: limits.table_elements,
        }
    }
}

/// Takes the growth from `current` to `desired` off `left`, unless that is less or the thing
/// has a maximum of its own that forbids it.
fn take(left: &mut usize, current: usize, desired: usize, maximum: Option<usize>) -> bool {
    let growth = desired.saturating_sub(current);
    if growth > *left || maximum.is_some_and(|maximum| desired > maximum) {
        return false;
    }
    *left -= growth;
    true
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(take(&mut self.memory_left, current, desired, maximum))
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(take(&mut self.table_left, current, desired, maximum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_share_one_limit() {
        let mut limiter = Limiter::new(&Limits::new().memory(10));
        assert!(limiter.memory_growing(0, 4, None).unwrap());
        assert!(!limiter.memory_growing(0, 7, None).unwrap());
        assert!(limiter.memory_growing(4, 10, Some(10)).unwrap());
        assert!(!limiter.memory_growing(10, 11, None).unwrap());
    }

    #[test]
    fn growth_that_its_own_maximum_forbids_takes_nothing() {
        let mut limiter = Limiter::new(&Limits::new().table_elements(10));
        assert!(!limiter.table_growing(0, 9, Some(8)).unwrap());
        assert!(limiter.table_growing(0, 10, Some(10)).unwrap());
    }
}
