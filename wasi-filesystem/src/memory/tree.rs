//! The names: which directory has which, and what they stand for.

use super::node::{Content, Node, Space};
use crate::backend::Result;
use crate::{DirectoryEntries, DirectoryEntry, ErrorCode};
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::collections::vec_deque::VecDeque;
use alloc::sync::Arc;
use core::ops::Bound;
use core::task::{Context, Poll};
use wasi_io::sync::Mutex;
use wasi_types::Datetime;

/// Bytes of the longest name.
pub(super) const NAME_MAX: usize = 255;
/// The most names that an object has.
pub(super) const LINKS_MAX: u32 = 65_000;
/// What a name costs besides its bytes.
const NAME_COST: u64 = 64;
/// How many entries a listing takes at once.
const PAGE: usize = 64;

/// All names of a filesystem. Directories are flat in one map, by number: nothing owns a
/// tree, so none is too deep to be dropped.
pub(super) struct Tree {
    dirs: BTreeMap<u64, Dir>,
    next: u64,
}

struct Dir {
    parent: u64,
    names: BTreeMap<Box<str>, Arc<Node>>,
}

const ROOT: u64 = 1;

impl Tree {
    /// With its topmost directory.
    pub(super) fn new(space: &Arc<Space>, now: Datetime) -> (Self, Arc<Node>) {
        let root = Node::root(space, ROOT, now);
        let mut tree = Self {
            dirs: BTreeMap::new(),
            next: ROOT + 1,
        };
        tree.dirs.insert(ROOT, Dir::new(ROOT));
        (tree, root)
    }

    /// A directory that was removed has no names.
    pub(super) fn lookup(&self, dir: &Node, name: &str) -> Result<Arc<Node>> {
        check(name)?;
        let dir = self.dirs.get(&dir.number).ok_or(ErrorCode::NoEntry)?;
        dir.names.get(name).cloned().ok_or(ErrorCode::NoEntry)
    }

    fn dir(&mut self, dir: &Node) -> Result<&mut Dir> {
        self.dirs.get_mut(&dir.number).ok_or(ErrorCode::NoEntry)
    }

    /// The directory, in which `name` is free.
    fn free(&mut self, dir: &Node, name: &str) -> Result<&mut Dir> {
        check(name)?;
        let dir = self.dir(dir)?;
        match dir.names.contains_key(name) {
            true => Err(ErrorCode::Exist),
            false => Ok(dir),
        }
    }

    pub(super) fn create(
        &mut self,
        dir: &Node,
        name: &str,
        content: Content,
        now: Datetime,
    ) -> Result<Arc<Node>> {
        self.free(dir, name)?;
        dir.space.take_name(name)?;
        let node = match Node::new(&dir.space, self.next, content, now) {
            Ok(node) => node,
            Err(code) => {
                dir.space.give_name(name);
                return Err(code);
            }
        };
        self.next += 1;
        if node.is_directory() {
            self.dirs.insert(node.number, Dir::new(dir.number));
        }
        self.dir(dir)?.names.insert(name.into(), node.clone());
        dir.modified(now);
        Ok(node)
    }

    pub(super) fn link(
        &mut self,
        node: &Arc<Node>,
        dir: &Node,
        name: &str,
        now: Datetime,
    ) -> Result<()> {
        let into = self.free(dir, name)?;
        match node.links() {
            0 => return Err(ErrorCode::NoEntry),
            LINKS_MAX.. => return Err(ErrorCode::TooManyLinks),
            _ => dir.space.take_name(name)?,
        }
        into.names.insert(name.into(), node.clone());
        node.linked(now);
        dir.modified(now);
        Ok(())
    }

    /// Takes a name away, and gives what it stood for.
    pub(super) fn unlink(&mut self, dir: &Node, name: &str, now: Datetime) -> Result<Arc<Node>> {
        let node = self.lookup(dir, name)?;
        if node.is_directory() {
            return Err(ErrorCode::IsDirectory);
        }
        self.take(dir, name, now);
        Ok(node)
    }

    pub(super) fn remove_directory(
        &mut self,
        dir: &Node,
        name: &str,
        now: Datetime,
    ) -> Result<Arc<Node>> {
        let node = self.lookup(dir, name)?;
        if !node.is_directory() {
            return Err(ErrorCode::NotDirectory);
        }
        self.check_empty(&node)?;
        self.dirs.remove(&node.number);
        self.take(dir, name, now);
        Ok(node)
    }

    fn check_empty(&self, node: &Node) -> Result<()> {
        match self.dirs.get(&node.number) {
            Some(dir) if !dir.names.is_empty() => Err(ErrorCode::NotEmpty),
            _ => Ok(()),
        }
    }

    /// Takes the name `name` away, which is there.
    fn take(&mut self, dir: &Node, name: &str, now: Datetime) {
        let names = self.dirs.get_mut(&dir.number).map(|dir| &mut dir.names);
        if let Some(node) = names.and_then(|names| names.remove(name)) {
            dir.space.give_name(name);
            node.unlinked(now);
            dir.modified(now);
        }
    }

    /// Gives what was in the place, if anything was.
    pub(super) fn rename(
        &mut self,
        dir: &Node,
        name: &str,
        new_dir: &Node,
        new_name: &str,
        now: Datetime,
    ) -> Result<Option<Arc<Node>>> {
        let node = self.lookup(dir, name)?;
        self.dir(new_dir)?;
        if node.is_directory() && self.is_within(new_dir.number, node.number) {
            return Err(ErrorCode::Invalid);
        }
        let replaced = match self.lookup(new_dir, new_name) {
            Ok(replaced) => Some(replaced),
            Err(ErrorCode::NoEntry) => None,
            Err(code) => return Err(code),
        };
        // All that can fail comes before anything changes.
        match &replaced {
            Some(replaced) if Arc::ptr_eq(replaced, &node) => return Ok(None),
            Some(replaced) => match (node.is_directory(), replaced.is_directory()) {
                (true, false) => return Err(ErrorCode::NotDirectory),
                (false, true) => return Err(ErrorCode::IsDirectory),
                (true, true) => self.check_empty(replaced)?,
                (false, false) => {}
            },
            None => dir.space.take_name(new_name)?,
        }
        if let Some(replaced) = &replaced {
            self.dirs.remove(&replaced.number);
            replaced.unlinked(now);
        }
        if let Some(dir) = self.dirs.get_mut(&dir.number) {
            dir.names.remove(name);
        }
        dir.space.give_name(name);
        if let Some(moved) = self.dirs.get_mut(&node.number) {
            moved.parent = new_dir.number;
        }
        node.changed(now);
        self.dir(new_dir)?.names.insert(new_name.into(), node);
        dir.modified(now);
        new_dir.modified(now);
        Ok(replaced)
    }

    /// Whether the directory `inner` is `outer` or somewhere below it.
    fn is_within(&self, mut inner: u64, outer: u64) -> bool {
        while inner != outer {
            match self.dirs.get(&inner) {
                Some(dir) if inner != ROOT => inner = dir.parent,
                _ => return false,
            }
        }
        true
    }
}

impl Dir {
    fn new(parent: u64) -> Self {
        let names = BTreeMap::new();
        Self { parent, names }
    }
}

fn check(name: &str) -> Result<()> {
    match name.len() > NAME_MAX {
        true => Err(ErrorCode::NameTooLong),
        false => Ok(()),
    }
}

/// The bytes that a name is counted as.
pub(super) fn cost(name: &str) -> u64 {
    NAME_COST + name.len() as u64
}

/// A listing in the order of names. It remembers the last one, so whatever is there all the
/// time is given once, whatever else comes and goes.
pub(super) struct Listing {
    tree: Arc<Mutex<Tree>>,
    dir: u64,
    page: VecDeque<DirectoryEntry>,
    last: Option<Box<str>>,
}

impl Listing {
    pub(super) fn new(tree: Arc<Mutex<Tree>>, dir: &Node) -> Self {
        Self {
            tree,
            dir: dir.number,
            page: VecDeque::new(),
            last: None,
        }
    }
}

impl DirectoryEntries for Listing {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<DirectoryEntry>>> {
        if self.page.is_empty() {
            let tree = self.tree.lock();
            let from = match &self.last {
                Some(last) => Bound::Excluded(&**last),
                None => Bound::Unbounded,
            };
            if let Some(dir) = tree.dirs.get(&self.dir) {
                let names = dir.names.range::<str, _>((from, Bound::Unbounded));
                self.page
                    .extend(names.take(PAGE).map(|(name, node)| node.entry(name)));
            }
        }
        let entry = self.page.pop_front();
        if let Some(entry) = &entry
            && self.page.is_empty()
        {
            self.last = Some(entry.name.as_str().into());
        }
        Poll::Ready(Ok(entry))
    }
}
