use crate::ctx::Guest;
use crate::{DirectoryEntries, DirectoryEntry, Result};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::task::{Context, Poll};

/// A directory that is being listed (`wasi:filesystem/types.directory-entry-stream`).
pub struct DirectoryEntryStream {
    entries: Box<dyn DirectoryEntries>,
    _listing: Listing,
}

/// A place among the listings that a guest may have.
pub(crate) struct Listing(Arc<Guest>);

impl Listing {
    pub(crate) fn of(self, entries: Box<dyn DirectoryEntries>) -> DirectoryEntryStream {
        DirectoryEntryStream {
            entries,
            _listing: self,
        }
    }
}

impl Drop for Listing {
    fn drop(&mut self) {
        self.0.listings.give(1);
    }
}

impl DirectoryEntryStream {
    pub(crate) fn reserve(guest: &Arc<Guest>) -> Result<Listing> {
        guest.listings.take_one()?;
        Ok(Listing(guest.clone()))
    }

    /// `read-directory-entry`: the next entry; `None` at the end.
    ///
    /// # Errors
    /// Those of [`DirectoryEntries::poll_next`].
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<DirectoryEntry>>> {
        self.entries.poll_next(cx)
    }
}

impl fmt::Debug for DirectoryEntryStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectoryEntryStream")
    }
}
