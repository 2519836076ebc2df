//! An object of the filesystem, and what it takes of the filesystem's room.

use super::pages::{PAGE, Pages};
use super::tree::cost;
use super::{Limits, Usage};
use crate::backend::Result;
use crate::{DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode, NewTimestamp};
use alloc::boxed::Box;
use alloc::sync::Arc;
use wasi_clocks::WallClock;
use wasi_io::sync::Mutex;
use wasi_types::Datetime;

/// What all objects of a filesystem share. Its lock is the innermost: whoever holds it takes
/// no other.
pub(super) struct Space {
    pub(super) clock: Arc<dyn WallClock>,
    pub(super) device: u64,
    pub(super) max: Limits,
    pub(super) used: Mutex<Usage>,
}

impl Space {
    fn take(&self, bytes: u64, inodes: u64) -> Result<()> {
        let mut used = self.used.lock();
        let left = self.max.bytes.saturating_sub(used.bytes);
        if bytes > left || inodes > self.max.inodes.saturating_sub(used.inodes) {
            return Err(ErrorCode::InsufficientSpace);
        }
        used.bytes += bytes;
        used.inodes += inodes;
        Ok(())
    }

    fn give(&self, bytes: u64, inodes: u64) {
        let mut used = self.used.lock();
        used.bytes -= bytes;
        used.inodes -= inodes;
    }

    /// As many pages as there is room for, up to `wanted`.
    fn take_pages(&self, wanted: u64) -> u64 {
        let mut used = self.used.lock();
        let pages = wanted.min(self.max.bytes.saturating_sub(used.bytes) / PAGE);
        used.bytes += pages * PAGE;
        pages
    }

    pub(super) fn take_name(&self, name: &str) -> Result<()> {
        self.take(cost(name), 0)
    }

    pub(super) fn give_name(&self, name: &str) {
        self.give(cost(name), 0);
    }
}

/// What an object is made of.
pub(super) enum Content {
    Directory,
    File,
    Symlink(Box<str>),
}

/// An object of a [`MemFs`](super::MemFs). With its last name and the last who has it open
/// gone, it gives back its room.
pub struct Node {
    pub(super) number: u64,
    pub(super) space: Arc<Space>,
    pub(super) content: Content,
    state: Mutex<State>,
}

struct State {
    links: u32,
    accessed: Datetime,
    modified: Datetime,
    changed: Datetime,
    /// Of a file.
    pages: Pages,
}

impl Content {
    /// The bytes that are taken as long as it exists.
    fn cost(&self) -> u64 {
        match self {
            Self::Symlink(target) => target.len() as u64,
            _ => 0,
        }
    }
}

impl Node {
    /// The topmost directory, which is there in any case.
    pub(super) fn root(space: &Arc<Space>, number: u64, now: Datetime) -> Arc<Self> {
        space.used.lock().inodes += 1;
        Self::made(space, number, Content::Directory, now)
    }

    /// With one name.
    pub(super) fn new(
        space: &Arc<Space>,
        number: u64,
        content: Content,
        now: Datetime,
    ) -> Result<Arc<Self>> {
        space.take(content.cost(), 1)?;
        Ok(Self::made(space, number, content, now))
    }

    fn made(space: &Arc<Space>, number: u64, content: Content, now: Datetime) -> Arc<Self> {
        Arc::new(Self {
            number,
            space: space.clone(),
            content,
            state: Mutex::new(State {
                links: 1,
                accessed: now,
                modified: now,
                changed: now,
                pages: Pages::default(),
            }),
        })
    }

    pub(super) fn descriptor_type(&self) -> DescriptorType {
        match self.content {
            Content::Directory => DescriptorType::Directory,
            Content::File => DescriptorType::RegularFile,
            Content::Symlink(_) => DescriptorType::SymbolicLink,
        }
    }

    pub(super) fn is_directory(&self) -> bool {
        matches!(self.content, Content::Directory)
    }

    pub(super) fn entry(&self, name: &str) -> DirectoryEntry {
        DirectoryEntry {
            descriptor_type: self.descriptor_type(),
            name: name.into(),
            inode: self.number,
        }
    }

    pub(super) fn stat(&self) -> DescriptorStat {
        let state = self.state.lock();
        DescriptorStat {
            descriptor_type: self.descriptor_type(),
            link_count: state.links.into(),
            size: match &self.content {
                Content::File => state.pages.size(),
                content => content.cost(),
            },
            data_access_timestamp: Some(state.accessed),
            data_modification_timestamp: Some(state.modified),
            status_change_timestamp: Some(state.changed),
            device: self.space.device,
            inode: self.number,
        }
    }

    pub(super) fn links(&self) -> u32 {
        self.state.lock().links
    }

    pub(super) fn linked(&self, now: Datetime) {
        let mut state = self.state.lock();
        state.links += 1;
        state.changed = now;
    }

    pub(super) fn unlinked(&self, now: Datetime) {
        let mut state = self.state.lock();
        state.links -= 1;
        state.changed = now;
    }

    pub(super) fn changed(&self, now: Datetime) {
        self.state.lock().changed = now;
    }

    pub(super) fn modified(&self, now: Datetime) {
        let mut state = self.state.lock();
        state.modified = now;
        state.changed = now;
    }

    pub(super) fn set_times(&self, access: NewTimestamp, modification: NewTimestamp) {
        let now = self.space.clock.now();
        let set = |time: &mut Datetime, new| match new {
            NewTimestamp::NoChange => {}
            NewTimestamp::Now => *time = now,
            NewTimestamp::Timestamp(new) => *time = new,
        };
        let mut state = self.state.lock();
        set(&mut state.accessed, access);
        set(&mut state.modified, modification);
        state.changed = now;
    }

    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> usize {
        self.state.lock().pages.read(offset, buf)
    }

    pub(super) fn read_vectored(&self, offset: u64, bufs: &mut [&mut [u8]]) -> usize {
        let state = self.state.lock();
        let mut done = 0;
        for buf in bufs {
            let read = state.pages.read(offset.saturating_add(done as u64), buf);
            done += read;
            if read < buf.len() {
                break;
            }
        }
        done
    }

    /// At the end where there is no `offset`.
    pub(super) fn write(&self, offset: Option<u64>, bytes: &[u8]) -> Result<usize> {
        self.modify(|pages| self.write_to(pages, offset.unwrap_or(pages.size()), bytes))
    }

    pub(super) fn write_vectored(&self, offset: Option<u64>, bufs: &[&[u8]]) -> Result<usize> {
        self.modify(|pages| {
            let offset = offset.unwrap_or(pages.size());
            let mut done = 0;
            for bytes in bufs {
                match self.write_to(pages, offset.saturating_add(done as u64), bytes) {
                    Ok(written) => {
                        done += written;
                        if written < bytes.len() {
                            break;
                        }
                    }
                    Err(_) if done > 0 => break,
                    Err(code) => return Err(code),
                }
            }
            Ok(done)
        })
    }

    fn write_to(&self, pages: &mut Pages, offset: u64, bytes: &[u8]) -> Result<usize> {
        let take = |wanted| self.space.take_pages(wanted);
        pages.write(offset, bytes, self.space.max.file_size, take)
    }

    fn modify(&self, write: impl FnOnce(&mut Pages) -> Result<usize>) -> Result<usize> {
        let now = self.space.clock.now();
        let mut state = self.state.lock();
        let written = write(&mut state.pages)?;
        if written > 0 {
            state.modified = now;
            state.changed = now;
        }
        Ok(written)
    }

    pub(super) fn allocate(&self, offset: u64, length: u64) -> Result<()> {
        let max = self.space.max.file_size;
        let end = offset.checked_add(length).filter(|end| *end <= max);
        let end = end.ok_or(ErrorCode::FileTooLarge)?;
        let now = self.space.clock.now();
        let mut state = self.state.lock();
        let bytes = state.pages.missing(offset, end).saturating_mul(PAGE);
        self.space.take(bytes, 0)?;
        state.pages.allocate(offset, end);
        state.modified = now;
        state.changed = now;
        Ok(())
    }

    pub(super) fn set_size(&self, size: u64) -> Result<()> {
        if size > self.space.max.file_size {
            return Err(ErrorCode::FileTooLarge);
        }
        let now = self.space.clock.now();
        let mut state = self.state.lock();
        let freed = state.pages.set_size(size);
        self.space.give(freed * PAGE, 0);
        state.modified = now;
        state.changed = now;
        Ok(())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let pages = self.state.lock().pages.kept();
        self.space.give(self.content.cost() + pages * PAGE, 1);
    }
}
