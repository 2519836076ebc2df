//! A filesystem and who uses what of it, behind the lock.

use crate::disk::{DiskError, Sectors};
use crate::node::Node;
use crate::time::{rounded, to_disk};
use crate::volume::Shared;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use hadris_fat::sync::FatFs;
use hadris_fs::{DirCursor, ErrorKind, Name, NodeId, RenameMode, SetAttr};
use wasi_clocks::WallClock;
use wasi_filesystem::{ErrorCode, Result};
use wasi_types::Datetime;

/// The directory at the top for files without a name. It is a short name, so it takes one entry.
const HIDDEN: &str = "agave.del";
/// UTF-16 units of the longest name.
const NAME_MAX: usize = 255;
/// The most bytes of a file.
pub(crate) const FILE_MAX: u64 = u32::MAX as u64;
/// How many names for a file without one are tried.
const HIDDEN_TRIES: u32 = 16;
/// How many files without a name a mount removes. There are more only on a disk that was made so.
const LEFTOVERS_MAX: usize = 1000;

type Error = hadris_fs::Error<DiskError>;

pub(crate) struct State {
    pub(crate) fs: FatFs<Sectors>,
    clock: Arc<dyn WallClock>,
    /// What is in use, but the topmost directory. Each node has one pin in `fs`.
    held: BTreeMap<NodeId, Held>,
    /// The directory [`HIDDEN`], if it was needed.
    hidden: Option<NodeId>,
    next_hidden: u32,
}

struct Held {
    node: Weak<Node>,
    /// When it was last written to, as long as that is not on the disk.
    written: Option<Datetime>,
    /// Its name in [`HIDDEN`], when it has no other any more.
    hidden: Option<u32>,
}

impl State {
    pub(crate) fn new(fs: FatFs<Sectors>, clock: Arc<dyn WallClock>) -> Self {
        Self {
            fs,
            // Not where the last one began: what it left may not be gone.
            next_hidden: clock.now().seconds() as u32,
            clock,
            held: BTreeMap::new(),
            hidden: None,
        }
    }

    pub(crate) fn now(&self) -> Datetime {
        self.clock.now()
    }

    /// Whether `name` in `dir` is the one that guests don't see.
    pub(crate) fn is_hidden(&self, dir: NodeId, name: &str) -> bool {
        dir == self.fs.root() && name.eq_ignore_ascii_case(HIDDEN)
    }

    /// The name of something that may be there.
    pub(crate) fn existing<'a>(&self, dir: NodeId, name: &'a str) -> Result<&'a Name> {
        match self.is_hidden(dir, name) {
            true => Err(ErrorCode::NoEntry),
            false => checked(name),
        }
    }

    /// A name for something new.
    pub(crate) fn new_name<'a>(&self, dir: NodeId, name: &'a str) -> Result<&'a Name> {
        match self.is_hidden(dir, name) {
            true => Err(ErrorCode::NotPermitted),
            false => checked(name),
        }
    }

    /// `f` on what `name` in `dir` stands for.
    pub(crate) fn with_object<T>(
        &mut self,
        dir: NodeId,
        name: &Name,
        f: impl FnOnce(&mut Self, NodeId) -> Result<T>,
    ) -> Result<T> {
        let id = self.fs.lookup(dir, name).map_err(code)?;
        let result = f(self, id);
        self.fs.forget(id, 1);
        result
    }

    pub(crate) fn is_directory(&mut self, id: NodeId) -> Result<bool> {
        let stat = self.fs.stat(id).map_err(code)?;
        Ok(stat.file_type().is_dir())
    }

    /// The node of `id`, which the caller pinned.
    pub(crate) fn node(&mut self, shared: &Arc<Shared>, id: NodeId) -> Result<Arc<Node>> {
        let node = self.held.get(&id).and_then(|held| held.node.upgrade());
        if let Some(node) = node {
            self.fs.forget(id, 1);
            return Ok(node);
        }
        let is_directory = match self.is_directory(id) {
            Ok(is_directory) => is_directory,
            Err(code) => {
                self.fs.forget(id, 1);
                return Err(code);
            }
        };
        let node = Arc::new(Node {
            shared: shared.clone(),
            id,
            is_directory,
        });
        let held = self.held.entry(id).or_insert(Held {
            node: Weak::new(),
            written: None,
            hidden: None,
        });
        held.node = Arc::downgrade(&node);
        Ok(node)
    }

    /// A node of `id` is gone, and with it its pin.
    pub(crate) fn release(&mut self, id: NodeId) {
        if let Some(held) = self.held.get(&id)
            && held.node.strong_count() == 0
        {
            // What fails is left to the next mount, or to the next flush.
            let _ = match (held.hidden, self.hidden) {
                (Some(name), Some(dir)) => {
                    let name = hidden_name(name);
                    self.fs.unlink(dir, Name::new(&name)).map_err(code)
                }
                _ => self.publish(id),
            };
            self.held.remove(&id);
        }
        self.fs.forget(id, 1);
    }

    pub(crate) fn is_in_use(&self, id: NodeId) -> bool {
        let held = self.held.get(&id);
        held.is_some_and(|held| held.node.strong_count() > 0)
    }

    /// Whether its name is gone.
    pub(crate) fn is_nameless(&self, id: NodeId) -> bool {
        let held = self.held.get(&id);
        held.is_some_and(|held| held.hidden.is_some())
    }

    /// The file was written to just now.
    pub(crate) fn wrote(&mut self, id: NodeId) {
        let now = rounded(self.now());
        if let Some(held) = self.held.get_mut(&id) {
            held.written = Some(now);
        }
    }

    /// The time of the last write, where the disk does not have it.
    pub(crate) fn written(&self, id: NodeId) -> Option<Datetime> {
        self.held.get(&id).and_then(|held| held.written)
    }

    /// Writes the file's size, and the time of the last write to it.
    pub(crate) fn publish(&mut self, id: NodeId) -> Result<()> {
        match self.written(id) {
            Some(written) => self.publish_with(id, SetAttr::new().with_modified(to_disk(written))),
            None => Ok(()),
        }
    }

    /// Sets times, and writes the file's size.
    pub(crate) fn publish_with(&mut self, id: NodeId, times: SetAttr) -> Result<()> {
        self.fs.setattr(id, &times).map_err(code)?;
        if let Some(held) = self.held.get_mut(&id) {
            held.written = None;
        }
        Ok(())
    }

    /// Moves `id` from one name to another.
    pub(crate) fn move_name(
        &mut self,
        id: NodeId,
        (dir, name): (NodeId, &Name),
        (new_dir, new_name): (NodeId, &Name),
        mode: RenameMode,
    ) -> Result<()> {
        let renamed = self.fs.rename(dir, name, new_dir, new_name, mode);
        renamed.or_else(|error| {
            // A request that failed on the way may have been made again.
            match self.is_at(id, new_dir, new_name) && !self.is_at(id, dir, name) {
                true => Ok(()),
                false => Err(code(error)),
            }
        })
    }

    fn is_at(&mut self, id: NodeId, dir: NodeId, name: &Name) -> bool {
        let found = self.fs.lookup(dir, name);
        found.is_ok_and(|found| {
            self.fs.forget(found, 1);
            found == id
        })
    }

    /// Takes the name of a file away that is in use.
    pub(crate) fn hide(&mut self, id: NodeId, dir: NodeId, name: &Name) -> Result<()> {
        let hidden = self.hidden()?;
        for _ in 0..HIDDEN_TRIES {
            let number = self.next_hidden;
            self.next_hidden = number.wrapping_add(1);
            let new = hidden_name(number);
            match self.move_name(
                id,
                (dir, name),
                (hidden, Name::new(&new)),
                RenameMode::NoReplace,
            ) {
                Ok(()) => {
                    if let Some(held) = self.held.get_mut(&id) {
                        held.hidden = Some(number);
                    }
                    return Ok(());
                }
                // It is there since before the mount, and could not be removed then.
                Err(ErrorCode::Exist) => {}
                Err(code) => return Err(code),
            }
        }
        Err(ErrorCode::Busy)
    }

    /// Gives a file that was just hidden its name back.
    pub(crate) fn unhide(&mut self, id: NodeId, dir: NodeId, name: &Name) -> Result<()> {
        let number = self.held.get(&id).and_then(|held| held.hidden);
        if let (Some(number), Some(hidden)) = (number, self.hidden) {
            let old = hidden_name(number);
            let old = (hidden, Name::new(&old));
            self.move_name(id, old, (dir, name), RenameMode::NoReplace)?;
            if let Some(held) = self.held.get_mut(&id) {
                held.hidden = None;
            }
        }
        Ok(())
    }

    fn hidden(&mut self) -> Result<NodeId> {
        if let Some(hidden) = self.hidden {
            return Ok(hidden);
        }
        let (root, name) = (self.fs.root(), Name::new(HIDDEN));
        let id = match self.fs.lookup(root, name) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.fs.mkdir(root, name, &SetAttr::new())
            }
            found => found,
        };
        let id = id.map_err(code)?;
        match self.is_directory(id) {
            Ok(true) => {
                self.hidden = Some(id);
                Ok(id)
            }
            seen => {
                self.fs.forget(id, 1);
                seen.and(Err(ErrorCode::Busy))
            }
        }
    }

    /// Removes what a machine that stopped left in [`HIDDEN`]. What can't be stays.
    pub(crate) fn remove_leftovers(&mut self) {
        let (root, name) = (self.fs.root(), Name::new(HIDDEN));
        let Ok(hidden) = self.fs.lookup(root, name) else {
            return;
        };
        let (mut names, mut from) = (Vec::new(), DirCursor::START);
        while names.len() < LEFTOVERS_MAX
            && let Ok(Some(entry)) = self.fs.readdir(hidden, from)
        {
            names.push(Vec::from(entry.name().as_bytes()));
            from = entry.next_cursor();
        }
        for name in names {
            let _ = self.fs.unlink(hidden, Name::from_bytes(&name));
        }
        self.fs.forget(hidden, 1);
        let _ = self.fs.rmdir(root, name);
    }

    pub(crate) fn flush(&mut self) -> Result<()> {
        let held: Vec<_> = self.held.keys().copied().collect();
        let mut result = Ok(());
        for id in held {
            result = result.and(self.publish(id));
        }
        // Also where that failed: the others are to be durable.
        self.fs.sync().map_err(code).and(result)
    }

    /// Nothing is in use any more.
    pub(crate) fn unmount(&mut self) {
        if let Some(hidden) = self.hidden.take() {
            self.fs.forget(hidden, 1);
            let (root, name) = (self.fs.root(), Name::new(HIDDEN));
            let _ = self.fs.rmdir(root, name);
        }
        let _ = self.fs.sync();
    }
}

fn hidden_name(number: u32) -> alloc::string::String {
    format!("{number:08x}")
}

fn checked(name: &str) -> Result<&Name> {
    match name.encode_utf16().count() > NAME_MAX {
        true => Err(ErrorCode::NameTooLong),
        false => Ok(Name::new(name)),
    }
}

/// What a guest is told.
pub(crate) fn code(error: Error) -> ErrorCode {
    match error.kind() {
        ErrorKind::NotFound => ErrorCode::NoEntry,
        ErrorKind::AlreadyExists => ErrorCode::Exist,
        ErrorKind::NotADirectory => ErrorCode::NotDirectory,
        ErrorKind::IsADirectory => ErrorCode::IsDirectory,
        ErrorKind::DirectoryNotEmpty => ErrorCode::NotEmpty,
        ErrorKind::NoSpace => ErrorCode::InsufficientSpace,
        ErrorKind::ReadOnly => ErrorCode::ReadOnly,
        ErrorKind::InvalidInput => ErrorCode::Invalid,
        ErrorKind::Unsupported => ErrorCode::Unsupported,
        ErrorKind::LimitExceeded => ErrorCode::InsufficientMemory,
        ErrorKind::NameTooLong => ErrorCode::NameTooLong,
        ErrorKind::FileTooLarge => ErrorCode::FileTooLarge,
        ErrorKind::Busy => ErrorCode::Busy,
        // The disk failed, or what is on it is damaged.
        _ => ErrorCode::Io,
    }
}
