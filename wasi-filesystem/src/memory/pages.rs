//! The contents of a file: the pages that were written.

use crate::ErrorCode;
use crate::backend::Result;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use core::ops::Range;

/// Bytes of a page: what one written byte costs.
pub(super) const PAGE: u64 = 4096;
const PAGE_LEN: usize = PAGE as usize;

/// What is not in the map is zeros.
#[derive(Default)]
pub(super) struct Pages {
    map: BTreeMap<u64, Box<[u8]>>,
    size: u64,
}

impl Pages {
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// The number of pages that are kept.
    pub(super) fn kept(&self) -> u64 {
        self.map.len() as u64
    }

    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> usize {
        let left = usize::try_from(self.size.saturating_sub(offset)).unwrap_or(usize::MAX);
        let n = buf.len().min(left);
        let mut pieces = Pieces::new(offset, n);
        let mut rest = &mut buf[..n];
        while let Some((page, at, length)) = pieces.next() {
            let (piece, after) = rest.split_at_mut(length);
            match self.map.get(&page) {
                Some(bytes) => piece.copy_from_slice(&bytes[at..at + length]),
                None => piece.fill(0),
            }
            rest = after;
        }
        n
    }

    /// Writes as much of `bytes` as there is room for, up to the offset `max`. `take` gives
    /// as many new pages as it can of those it is asked for.
    ///
    /// # Errors
    /// - [`ErrorCode::FileTooLarge`]: `offset` is no less than `max`.
    /// - [`ErrorCode::InsufficientSpace`]: not one page could be had.
    pub(super) fn write(
        &mut self,
        offset: u64,
        bytes: &[u8],
        max: u64,
        take: impl FnOnce(u64) -> u64,
    ) -> Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let left = max
            .checked_sub(offset)
            .filter(|left| *left > 0)
            .ok_or(ErrorCode::FileTooLarge)?;
        let n = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let missing = self.missing(offset, offset + n as u64);
        let mut new = match missing {
            0 => 0,
            missing => take(missing),
        };
        let mut written = 0;
        let mut pieces = Pieces::new(offset, n);
        while let Some((page, at, length)) = pieces.next() {
            let piece = &bytes[written..written + length];
            match self.map.get_mut(&page) {
                Some(kept) => kept[at..at + length].copy_from_slice(piece),
                None if new == 0 => break,
                None => {
                    new -= 1;
                    self.map.insert(page, fresh(at, piece));
                }
            }
            written += length;
        }
        if written == 0 {
            return Err(ErrorCode::InsufficientSpace);
        }
        self.size = self.size.max(offset + written as u64);
        Ok(written)
    }

    /// How many pages of the bytes from `offset` up to `end` are not kept.
    pub(super) fn missing(&self, offset: u64, end: u64) -> u64 {
        let pages = pages(offset, end);
        let kept = self.map.range(pages.clone()).count() as u64;
        pages.end - pages.start - kept
    }

    /// Keeps all pages of the bytes from `offset` up to `end`, and extends to there.
    pub(super) fn allocate(&mut self, offset: u64, end: u64) {
        for page in pages(offset, end) {
            self.map.entry(page).or_insert_with(|| fresh(0, &[]));
        }
        self.size = self.size.max(end);
    }

    /// Cuts or extends, and says how many pages are not kept any more.
    pub(super) fn set_size(&mut self, size: u64) -> u64 {
        let before = self.kept();
        if size < self.size {
            self.map.split_off(&size.div_ceil(PAGE));
            // What is behind the end is zeros if the file grows again.
            if let Some(last) = self.map.get_mut(&(size / PAGE)) {
                last[(size % PAGE) as usize..].fill(0);
            }
        }
        self.size = size;
        before - self.kept()
    }
}

/// The pages that have bytes from `offset` up to `end`, which is no less.
fn pages(offset: u64, end: u64) -> Range<u64> {
    offset / PAGE..end.div_ceil(PAGE)
}

/// A page with `piece` in it, from `at` on.
fn fresh(at: usize, piece: &[u8]) -> Box<[u8]> {
    if piece.len() == PAGE_LEN {
        return piece.into();
    }
    let mut page = vec![0; PAGE_LEN].into_boxed_slice();
    page[at..at + piece.len()].copy_from_slice(piece);
    page
}

/// A range of a file, page by page: the page, where in it, and how many bytes of it.
struct Pieces {
    offset: u64,
    left: usize,
}

impl Pieces {
    /// `offset + length` is no more than 2^64 - 1.
    fn new(offset: u64, length: usize) -> Self {
        let left = length;
        Self { offset, left }
    }

    fn next(&mut self) -> Option<(u64, usize, usize)> {
        let (page, at) = (self.offset / PAGE, (self.offset % PAGE) as usize);
        let length = self.left.min(PAGE_LEN - at);
        self.offset += length as u64;
        self.left -= length;
        (length > 0).then_some((page, at, length))
    }
}
