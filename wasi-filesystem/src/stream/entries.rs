use crate::ctx::Guest;
use crate::{DirectoryEntries, DirectoryEntry, Result};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::task::{Context, Poll};
#[cfg(feature = "p3")]
use {
    crate::ErrorCode,
    alloc::vec::Vec,
    core::task::ready,
    wasi_io::{BoxFuture, Op},
};

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

/// Reads a directory's entries in pieces (`read-directory` of WASI 0.3).
///
/// A name that WASI can't say costs itself alone: the entries behind it are read, and
/// [`ErrorCode::IllegalByteSequence`] is how the listing ends.
#[cfg(feature = "p3")]
pub(crate) struct DirectoryReader {
    listing: Listed,
    end: Result<()>,
}

#[cfg(feature = "p3")]
enum Listed {
    Later(BoxFuture<Result<DirectoryEntryStream>>),
    Now(DirectoryEntryStream),
}

/// Some entries, and how the listing ended, if it did.
#[cfg(feature = "p3")]
pub(crate) type Entries = (Vec<DirectoryEntry>, Option<Result<()>>);

#[cfg(feature = "p3")]
impl DirectoryReader {
    /// The most entries of one piece.
    pub(crate) const PIECE_MAX: usize = 128;

    /// Reads what `listing` gives.
    ///
    /// # Errors
    /// That of `listing`, if it is done already.
    pub(crate) fn new(listing: Op<Result<DirectoryEntryStream>>) -> Result<Self> {
        let listing = match listing {
            Op::Ready(listing) => Listed::Now(listing?),
            Op::Pending(future) => Listed::Later(future),
        };
        let end = Ok(());
        Ok(Self { listing, end })
    }

    /// The next entries, at least one of them or the end, and no more than `max` and
    /// [`Self::PIECE_MAX`]; fewer where the backend has to be waited for.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Entries> {
        if let Listed::Later(future) = &mut self.listing {
            match ready!(future.as_mut().poll(cx)) {
                Ok(listing) => self.listing = Listed::Now(listing),
                Err(code) => return Poll::Ready((Vec::new(), Some(Err(code)))),
            }
        }
        let Listed::Now(listing) = &mut self.listing else {
            return Poll::Pending;
        };
        let mut entries = Vec::new();
        for _ in 0..max.min(Self::PIECE_MAX) {
            match listing.poll_next(cx) {
                Poll::Ready(Ok(Some(entry))) => entries.push(entry),
                Poll::Ready(Ok(None)) => return Poll::Ready((entries, Some(self.end))),
                Poll::Ready(Err(code @ ErrorCode::IllegalByteSequence)) => self.end = Err(code),
                Poll::Ready(Err(code)) => return Poll::Ready((entries, Some(Err(code)))),
                Poll::Pending if entries.is_empty() => return Poll::Pending,
                Poll::Pending => return Poll::Ready((entries, None)),
            }
        }
        if entries.is_empty() {
            // Nothing but names that can't be said; others get their turn.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready((entries, None))
    }
}

impl fmt::Debug for DirectoryEntryStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectoryEntryStream")
    }
}
