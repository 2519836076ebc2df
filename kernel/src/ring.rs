//! Bytes on their way between an interrupt handler and the rest of the kernel.

/// A queue of up to `N` bytes that allocates nothing.
#[derive(Debug)]
pub struct Ring<const N: usize> {
    bytes: [u8; N],
    start: usize,
    len: usize,
}

impl<const N: usize> Ring<N> {
    /// Empty.
    pub const fn new() -> Self {
        Self {
            bytes: [0; N],
            start: 0,
            len: 0,
        }
    }

    /// How many bytes are in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many bytes more there is room for.
    pub fn room(&self) -> usize {
        N - self.len
    }

    /// Adds `byte` at the end; `false` where there is no room.
    pub fn push(&mut self, byte: u8) -> bool {
        if self.len == N {
            return false;
        }
        self.bytes[(self.start + self.len) % N] = byte;
        self.len += 1;
        true
    }

    /// Adds as many of `bytes` as there is room for, and says how many.
    pub fn extend(&mut self, bytes: &[u8]) -> usize {
        let taken = bytes.len().min(self.room());
        bytes[..taken].iter().all(|byte| self.push(*byte));
        taken
    }

    /// Takes the first byte.
    pub fn pop(&mut self) -> Option<u8> {
        if self.len == 0 {
            return None;
        }
        let byte = self.bytes[self.start];
        self.start = (self.start + 1) % N;
        self.len -= 1;
        Some(byte)
    }
}

impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_out_in_order_around_the_end() {
        let mut ring = Ring::<4>::new();
        let mut next = (0_u8, 0_u8);
        for (pushed, popped) in [(3, 2), (3, 1), (1, 4), (4, 4), (2, 1), (3, 4)] {
            for _ in 0..pushed {
                assert!(ring.push(next.0));
                next.0 += 1;
            }
            for _ in 0..popped {
                assert_eq!(ring.pop(), Some(next.1));
                next.1 += 1;
            }
        }
        assert!(ring.is_empty());
        assert_eq!(ring.pop(), None);
    }

    #[test]
    fn a_full_one_takes_no_more() {
        let mut ring = Ring::<4>::new();
        assert_eq!(ring.extend(b"abcdef"), 4);
        assert_eq!((ring.room(), ring.len()), (0, 4));
        assert!(!ring.push(b'x'));
        assert_eq!(ring.pop(), Some(b'a'));
        assert_eq!(ring.extend(b"yz"), 1);
        let rest: [_; 4] = core::array::from_fn(|_| ring.pop().unwrap());
        assert_eq!(&rest, b"bcdy");
    }
}
