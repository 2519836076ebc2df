use super::calls::{Calls, finished};
use super::sys::Listing;
use crate::{DirectoryEntries, DirectoryEntry, Result};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

type Batch = VecDeque<Result<DirectoryEntry>>;

/// A directory of this machine that is being listed, some hundred entries at a time.
pub(super) struct OsEntries {
    batch: Batch,
    state: State,
    calls: Calls,
}

enum State {
    More(Box<Listing>),
    /// The pool has the listing.
    Pending(JoinHandle<Result<Filled>>),
    End,
}

/// The listing, where there may be more of it.
type Filled = (Option<Box<Listing>>, Batch);

impl OsEntries {
    pub(super) fn new(listing: Listing, calls: Calls) -> Self {
        let mut entries = Self {
            batch: Batch::new(),
            state: State::More(Box::new(listing)),
            calls,
        };
        entries.fill_ahead();
        entries
    }

    /// Has the pool take more of the listing while there are entries to give.
    fn fill_ahead(&mut self) {
        if self.calls.offload().is_some() {
            self.fill();
        }
    }

    /// Takes more of the listing, or has the pool do it.
    fn fill(&mut self) {
        let State::More(mut listing) = core::mem::replace(&mut self.state, State::End) else {
            return;
        };
        let mut batch = Batch::new();
        let fill = move || {
            let more = match listing.more(&mut batch) {
                Ok(more) => more,
                Err(error) => {
                    batch.push_back(Err(error));
                    false
                }
            };
            Ok((more.then_some(listing), batch))
        };
        match self.calls.offload() {
            None => self.filled(fill()),
            Some(offload) => self.state = State::Pending(offload.spawn(fill)),
        }
    }

    fn filled(&mut self, filled: Result<Filled>) {
        match filled {
            Ok((listing, batch)) => {
                self.batch = batch;
                self.state = listing.map_or(State::End, State::More);
                self.fill_ahead();
            }
            Err(error) => {
                self.batch.push_back(Err(error));
                self.state = State::End;
            }
        }
    }
}

impl DirectoryEntries for OsEntries {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<DirectoryEntry>>> {
        loop {
            if let Some(entry) = self.batch.pop_front() {
                return Poll::Ready(entry.map(Some));
            }
            match &mut self.state {
                State::More(_) => self.fill(),
                State::Pending(task) => {
                    let filled = finished(ready!(Pin::new(task).poll(cx)));
                    self.filled(filled);
                }
                State::End => return Poll::Ready(Ok(None)),
            }
        }
    }
}
