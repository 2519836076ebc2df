//! The guest's memory, and what lies in it. Every access is checked.

use crate::step::{Error, Trap};
use alloc::vec::Vec;
use core::ops::Range;
use wasi_filesystem::PATH_MAX;
use wasi_types::preview1::{Errno, Version};

/// The linear memory of a guest, as an engine has it.
pub trait GuestMemory {
    /// All of it.
    fn bytes(&mut self) -> &mut [u8];

    /// Which module's layouts the guest knows.
    fn version(&self) -> Version {
        Version::Preview1
    }
}

impl GuestMemory for [u8] {
    fn bytes(&mut self) -> &mut [u8] {
        self
    }
}

impl GuestMemory for Vec<u8> {
    fn bytes(&mut self) -> &mut [u8] {
        self
    }
}

/// The memory of a guest that imports `wasi_unstable`.
#[derive(Debug)]
pub struct Preview0<'a, M: ?Sized>(pub &'a mut M);

impl<M: GuestMemory + ?Sized> GuestMemory for Preview0<'_, M> {
    fn bytes(&mut self) -> &mut [u8] {
        self.0.bytes()
    }

    fn version(&self) -> Version {
        Version::Preview0
    }
}

/// The guest's memory during a call.
pub(crate) struct Memory<'a> {
    bytes: &'a mut [u8],
    pub(crate) version: Version,
}

impl<'a> Memory<'a> {
    #[cfg(any(feature = "wasmtime", feature = "wasmi"))]
    pub(crate) fn new(bytes: &'a mut [u8], version: Version) -> Self {
        Self { bytes, version }
    }

    pub(crate) fn of<M: GuestMemory + ?Sized>(memory: &'a mut M) -> Self {
        let version = memory.version();
        Self {
            bytes: memory.bytes(),
            version,
        }
    }

    fn range(&self, at: u32, len: u64) -> Result<Range<usize>, Trap> {
        let size = self.bytes.len() as u64;
        match u64::from(at).checked_add(len) {
            // Within the memory, so within usize.
            Some(end) if end <= size => Ok(at as usize..end as usize),
            // Nothing is dereferenced.
            _ if len == 0 => Ok(0..0),
            _ => Err(Trap::OutOfBounds { at, len, size }),
        }
    }

    fn aligned(&self, at: u32, align: u32) -> Result<(), Trap> {
        match at.is_multiple_of(align) {
            true => Ok(()),
            false => Err(Trap::Misaligned { at, align }),
        }
    }

    /// The `len` bytes at `at`.
    pub(crate) fn slice(&self, at: u32, len: u32) -> Result<&[u8], Trap> {
        let range = self.range(at, len.into())?;
        Ok(&self.bytes[range])
    }

    /// The `len` bytes at `at`, to be written.
    pub(crate) fn slice_mut(&mut self, at: u32, len: u32) -> Result<&mut [u8], Trap> {
        let range = self.range(at, len.into())?;
        Ok(&mut self.bytes[range])
    }

    /// Checks that an array of `count` records of `size` bytes can be at `at`.
    pub(crate) fn array(&self, at: u32, count: u32, size: u32, align: u32) -> Result<(), Trap> {
        self.aligned(at, align)?;
        self.range(at, u64::from(count) * u64::from(size)).map(drop)
    }

    /// Checks that a result of `size` bytes can be put to `at`, before anything is done for it.
    pub(crate) fn place(&self, at: u32, size: u32, align: u32) -> Result<(), Trap> {
        self.array(at, 1, size, align)
    }

    /// Puts a record to `at`.
    pub(crate) fn put(&mut self, at: u32, record: &[u8], align: u32) -> Result<(), Trap> {
        self.aligned(at, align)?;
        let range = self.range(at, record.len() as u64)?;
        self.bytes[range].copy_from_slice(record);
        Ok(())
    }

    pub(crate) fn put_u32(&mut self, at: u32, value: u32) -> Result<(), Trap> {
        self.put(at, &value.to_le_bytes(), 4)
    }

    pub(crate) fn put_u64(&mut self, at: u32, value: u64) -> Result<(), Trap> {
        self.put(at, &value.to_le_bytes(), 8)
    }

    /// The path of `len` bytes at `at`.
    pub(crate) fn path(&self, at: u32, len: u32) -> Result<&str, Error> {
        let bytes = self.slice(at, len)?;
        if bytes.len() > PATH_MAX {
            return Err(Errno::Nametoolong.into());
        }
        Ok(core::str::from_utf8(bytes).map_err(|_| Errno::Ilseq)?)
    }

    /// The `count` buffers whose addresses and lengths are at `at`; all of them are in the
    /// memory.
    pub(crate) fn iovecs(&self, at: u32, count: u32) -> Result<Iovecs, Error> {
        if count > Iovecs::MAX {
            return Err(Errno::Inval.into());
        }
        self.array(at, count, Iovecs::SIZE, 4)?;
        let iovecs = Iovecs { at, count, skip: 0 };
        let mut total: u32 = 0;
        for n in 0..count {
            let (buf, len) = iovecs.get(self, n)?;
            self.range(buf, len.into())?;
            // What was moved must fit the result.
            total = total.checked_add(len).ok_or(Errno::Inval)?;
        }
        Ok(iovecs)
    }
}

/// `iovec`s or `ciovec`s, and how far they are used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Iovecs {
    at: u32,
    count: u32,
    /// Bytes of the first buffer that are used.
    skip: u32,
}

/// Buffers that are moved in one step, their bytes, and the records that are looked at for more.
const BATCH: usize = 16;
pub(crate) const BATCH_BYTES: u32 = 64 << 20;
const BATCH_RECORDS: u32 = 1024;

/// Some buffers that are not empty, by address and length.
#[derive(Clone, Copy)]
pub(crate) struct Batch {
    ranges: [(u32, u32); BATCH],
    len: usize,
}

impl Batch {
    fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges[..self.len]
    }
}

impl Iovecs {
    const SIZE: u32 = 8;
    /// More than that is a way to keep the host busy: what takes some milliseconds to look at.
    const MAX: u32 = 1 << 20;

    fn get(&self, memory: &Memory<'_>, n: u32) -> Result<(u32, u32), Trap> {
        // In the memory, so no more than 2^32.
        let record = memory.slice(self.at.wrapping_add(n * Self::SIZE), Self::SIZE)?;
        let [a, b, c, d, e, f, g, h] = *record else {
            unreachable!("a slice has the length that was asked for");
        };
        Ok((
            u32::from_le_bytes([a, b, c, d]),
            u32::from_le_bytes([e, f, g, h]),
        ))
    }

    /// What is moved next, if anything is left.
    pub(crate) fn batch(&self, memory: &Memory<'_>) -> Result<Option<Batch>, Trap> {
        if self.count == 0 {
            return Ok(None);
        }
        let mut batch = Batch {
            ranges: [(0, 0); BATCH],
            len: 0,
        };
        let (mut skip, mut room) = (self.skip, BATCH_BYTES);
        for n in 0..self.count {
            let (buf, len) = self.get(memory, n)?;
            // The records may have been overwritten by what was read.
            let left = len.saturating_sub(skip).min(room);
            if left > 0 {
                batch.ranges[batch.len] = (buf.wrapping_add(skip), left);
                batch.len += 1;
                room -= left;
            }
            // Empty ones that follow are passed over when this is moved, and not each time.
            if batch.len == BATCH || room == 0 || (batch.len > 0 && n >= BATCH_RECORDS) {
                break;
            }
            skip = 0;
        }
        Ok((batch.len > 0).then_some(batch))
    }

    /// The first buffer that is not empty.
    pub(crate) fn first(&self, memory: &Memory<'_>) -> Result<Option<(u32, u32)>, Trap> {
        let mut skip = self.skip;
        for n in 0..self.count {
            let (buf, len) = self.get(memory, n)?;
            let left = len.saturating_sub(skip);
            if left > 0 {
                return Ok(Some((buf.wrapping_add(skip), left)));
            }
            skip = 0;
        }
        Ok(None)
    }

    /// How many bytes the buffers have.
    pub(crate) fn total(&self, memory: &Memory<'_>) -> Result<usize, Trap> {
        (0..self.count).try_fold(0_usize, |total, n| {
            Ok(total.saturating_add(self.get(memory, n)?.1 as usize))
        })
    }

    /// Takes the first `n` bytes as used.
    pub(crate) fn advance(&mut self, memory: &Memory<'_>, mut n: u32) -> Result<(), Trap> {
        while self.count > 0 {
            let (_, len) = self.get(memory, 0)?;
            let left = len.saturating_sub(self.skip);
            if n < left {
                self.skip += n;
                return Ok(());
            }
            n -= left;
            (self.at, self.count, self.skip) =
                (self.at.wrapping_add(Self::SIZE), self.count - 1, 0);
        }
        Ok(())
    }
}

impl Memory<'_> {
    /// The buffers of `batch`.
    pub(crate) fn with<R>(&self, batch: &Batch, f: impl FnOnce(&[&[u8]]) -> R) -> Result<R, Trap> {
        let mut bufs: [&[u8]; BATCH] = [&[]; BATCH];
        for (buf, &(at, len)) in bufs.iter_mut().zip(batch.ranges()) {
            *buf = self.slice(at, len)?;
        }
        Ok(f(&bufs[..batch.len]))
    }

    /// The buffers of `batch`, to be written; only the first where two of them overlap.
    pub(crate) fn with_mut<R>(
        &mut self,
        batch: &Batch,
        f: impl FnOnce(&mut [&mut [u8]]) -> R,
    ) -> Result<R, Trap> {
        let [(first, first_len), ..] = batch.ranges;
        if batch.len == 1 {
            return Ok(f(&mut [self.slice_mut(first, first_len)?]));
        }
        let mut sorted: [(usize, usize, usize); BATCH] = [(0, 0, 0); BATCH];
        for (n, &(at, len)) in batch.ranges().iter().enumerate() {
            let range = self.range(at, len.into())?;
            sorted[n] = (range.start, range.end, n);
        }
        let sorted = &mut sorted[..batch.len];
        sorted.sort_unstable();
        if sorted.windows(2).any(|pair| pair[0].1 > pair[1].0) {
            return Ok(f(&mut [self.slice_mut(first, first_len)?]));
        }
        let mut bufs: [&mut [u8]; BATCH] = core::array::from_fn(|_| &mut [][..]);
        let mut rest = &mut self.bytes[..];
        let mut base = 0;
        for &mut (start, end, n) in sorted {
            let (_, tail) = rest.split_at_mut(start - base);
            let (buf, tail) = tail.split_at_mut(end - start);
            bufs[n] = buf;
            (rest, base) = (tail, end);
        }
        Ok(f(&mut bufs[..batch.len]))
    }
}
