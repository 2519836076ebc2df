//! What was read from the disk lately. Writes go through to it.

use crate::disk::{Disk, DiskError, REQUEST_MAX, SECTOR};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

/// Sectors of a page: a filesystem asks for one sector and then for the next.
const PAGE_SECTORS: u64 = 8;
const PAGE: usize = PAGE_SECTORS as usize * SECTOR;
/// The most pages that are kept: 256 KiB.
const PAGES_MAX: usize = 64;

/// A disk with a cache of pages. Reads of more than a page go by it: as nothing waits to be
/// written, the disk has it all.
pub(crate) struct Cache {
    disk: Box<dyn Disk>,
    pages: BTreeMap<u64, Page>,
    /// Counts uses.
    now: u64,
}

struct Page {
    bytes: Vec<u8>,
    used: u64,
}

impl Cache {
    pub(crate) fn new(disk: Box<dyn Disk>) -> Self {
        Self {
            disk,
            pages: BTreeMap::new(),
            now: 0,
        }
    }

    pub(crate) fn disk(&mut self) -> &mut dyn Disk {
        &mut *self.disk
    }

    pub(crate) fn sectors(&self) -> u64 {
        self.disk.sectors()
    }

    pub(crate) fn is_read_only(&self) -> bool {
        self.disk.is_read_only()
    }

    /// `buf` is whole sectors of the disk.
    pub(crate) fn read(&mut self, first: u64, buf: &mut [u8]) -> Result<(), DiskError> {
        if buf.len() > PAGE {
            for (n, part) in buf.chunks_mut(REQUEST_MAX).enumerate() {
                self.disk.read(first + sectors(n * REQUEST_MAX), part)?;
            }
            return Ok(());
        }
        for (sector, buf) in (first..).zip(buf.chunks_exact_mut(SECTOR)) {
            let at = offset(sector);
            match self.page(sector / PAGE_SECTORS) {
                Some(page) => buf.copy_from_slice(&page[at..at + SECTOR]),
                // A sector beside it may be bad.
                None => self.disk.read(sector, buf)?,
            }
        }
        Ok(())
    }

    /// As [`Cache::read`].
    pub(crate) fn write(&mut self, first: u64, bytes: &[u8]) -> Result<(), DiskError> {
        for (n, part) in bytes.chunks(REQUEST_MAX).enumerate() {
            let first = first + sectors(n * REQUEST_MAX);
            let written = self.disk.write(first, part);
            for (sector, bytes) in (first..).zip(part.chunks_exact(SECTOR)) {
                let number = sector / PAGE_SECTORS;
                match (&written, self.pages.get_mut(&number)) {
                    (Ok(()), Some(page)) => {
                        let at = offset(sector);
                        page.bytes[at..at + SECTOR].copy_from_slice(bytes);
                    }
                    // Old or new: only the disk knows.
                    (Err(_), Some(_)) => drop(self.pages.remove(&number)),
                    (_, None) => {}
                }
            }
            written?;
        }
        Ok(())
    }

    /// `None` where it can't be read.
    fn page(&mut self, number: u64) -> Option<&[u8]> {
        self.now += 1;
        if !self.pages.contains_key(&number) {
            let first = number * PAGE_SECTORS;
            let count = PAGE_SECTORS.min(self.disk.sectors() - first);
            let mut bytes = vec![0; count as usize * SECTOR];
            self.disk.read(first, &mut bytes).ok()?;
            let oldest = self.pages.iter().min_by_key(|(_, page)| page.used);
            if let Some(oldest) = oldest.map(|(number, _)| *number)
                && self.pages.len() >= PAGES_MAX
            {
                self.pages.remove(&oldest);
            }
            self.pages.insert(number, Page { bytes, used: 0 });
        }
        let page = self.pages.get_mut(&number)?;
        page.used = self.now;
        Some(&page.bytes)
    }
}

/// Where a sector is in its page.
fn offset(sector: u64) -> usize {
    (sector % PAGE_SECTORS) as usize * SECTOR
}

fn sectors(bytes: usize) -> u64 {
    (bytes / SECTOR) as u64
}
