use super::{RESERVED, is_reserved};
use crate::backend::{Directory, DirectoryEntries, Result};
use crate::{DescriptorStat, DirectoryEntry, ErrorCode, PathFlags};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use core::task::{Context, Poll, ready};
use wasi_io::{BoxFuture, Op};

/// What is in both parts of a directory, each name once: the upper part first, then of the
/// lower one what the upper neither has nor hides. It remembers no names but some of the
/// lower part, so what a guest makes does not make it larger.
pub(super) struct Listing {
    upper: Option<Box<dyn DirectoryEntries>>,
    lower: Option<Lower>,
    /// An entry of the upper part, while the lower one is asked whether it has it too.
    asking: Option<(DirectoryEntry, BoxFuture<Result<DescriptorStat>>)>,
}

struct Lower {
    dir: Arc<dyn Directory>,
    entries: Box<dyn DirectoryEntries>,
    /// Names that are not given.
    hidden: BTreeSet<Box<str>>,
}

impl Listing {
    pub(super) fn new(
        upper: Option<Box<dyn DirectoryEntries>>,
        lower: Option<(Arc<dyn Directory>, Box<dyn DirectoryEntries>)>,
    ) -> Self {
        Self {
            upper,
            lower: lower.map(|(dir, entries)| Lower {
                dir,
                entries,
                hidden: BTreeSet::new(),
            }),
            asking: None,
        }
    }

    /// `entry` of the upper part, as `stat` of the same name in the lower one says.
    fn entry(
        &mut self,
        mut entry: DirectoryEntry,
        stat: Result<DescriptorStat>,
    ) -> Result<Option<DirectoryEntry>> {
        match (stat, &mut self.lower) {
            (Ok(_), Some(lower)) => {
                lower.hidden.insert(entry.name.as_str().into());
                // A directory of both has that of the lower; which it is, is not known here.
                entry.inode = 0;
            }
            (Err(ErrorCode::NoEntry | ErrorCode::NameTooLong), _) | (_, None) => {}
            (Err(code), _) => return Err(code),
        }
        Ok(Some(entry))
    }

    fn poll_upper(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<DirectoryEntry>>> {
        loop {
            if let Some((_, stat)) = &mut self.asking {
                let stat = ready!(stat.as_mut().poll(cx));
                let entry = self.asking.take().map(|(entry, _)| entry);
                return Poll::Ready(entry.map_or(Ok(None), |entry| self.entry(entry, stat)));
            }
            let Some(upper) = &mut self.upper else {
                return Poll::Ready(Ok(None));
            };
            let Some(entry) = ready!(upper.poll_next(cx))? else {
                self.upper = None;
                continue;
            };
            let Some(lower) = &mut self.lower else {
                match is_reserved(&entry.name) {
                    true => continue,
                    false => return Poll::Ready(Ok(Some(entry))),
                }
            };
            if is_reserved(&entry.name) {
                lower.hidden.insert(entry.name[RESERVED.len()..].into());
                continue;
            }
            match lower.dir.stat_at(PathFlags::empty(), &entry.name) {
                Op::Ready(stat) => return Poll::Ready(self.entry(entry, stat)),
                Op::Pending(stat) => self.asking = Some((entry, stat)),
            }
        }
    }
}

impl DirectoryEntries for Listing {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<DirectoryEntry>>> {
        if let Some(entry) = ready!(self.poll_upper(cx))? {
            return Poll::Ready(Ok(Some(entry)));
        }
        let Some(lower) = &mut self.lower else {
            return Poll::Ready(Ok(None));
        };
        loop {
            match ready!(lower.entries.poll_next(cx))? {
                Some(entry) if is_reserved(&entry.name) => {}
                Some(entry) if lower.hidden.contains(&*entry.name) => {}
                entry => return Poll::Ready(Ok(entry)),
            }
        }
    }
}
