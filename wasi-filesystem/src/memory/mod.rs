//! A filesystem in memory.

mod host;
mod node;
mod pages;
#[cfg(test)]
mod tests;
mod tree;

use crate::backend::Result;
use crate::vfs::new_device;
use crate::{
    DescriptorStat, DescriptorType, DirectoryEntries, ErrorCode, NewTimestamp, Vfs, vectored,
};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use bytes::Bytes;
use node::{Content, Node, Space};
use tree::{Listing, Tree};
use wasi_clocks::WallClock;
use wasi_io::Op;
use wasi_io::sync::Mutex;
use wasi_types::Datetime;

/// The greatest offset that the 64-bit interfaces of other systems know.
const OFFSET_MAX: u64 = i64::MAX as u64;

/// A filesystem in memory: files, directories, hard and symbolic links, for any number of
/// guests at once. [`vfs::directory`](crate::vfs::directory) gives its topmost directory.
///
/// - Files are sparse: what was never written takes no room and reads as zeros.
/// - Room is limited in bytes and in objects; what finds none is
///   [`ErrorCode::InsufficientSpace`]. Counted are the pages of 4096 bytes that were written
///   to or allocated, the targets of symbolic links, and names with 64 bytes more each. What
///   is removed gives its room back when nobody has it open any more.
/// - A name has up to 255 bytes, an object up to 65,000 names.
/// - Times are those of the clock given to it. Reading does not change the time of last
///   access (noatime); only [`File::set_times`](crate::File::set_times) and its like do.
/// - A directory has link count 1 and size 0.
/// - Everything is done at once, and nothing is left to be synced.
///
/// ```
/// use std::sync::Arc;
/// use wasi_clocks::manual::ManualClock;
/// use wasi_filesystem::memory::MemFs;
/// use wasi_filesystem::vfs;
///
/// let fs = Arc::new(MemFs::new(Arc::new(ManualClock::default())));
/// fs.create_dir_all("etc")?;
/// fs.write_file("etc/motd", b"hello")?;
/// let preopen = vfs::directory(fs.clone());
/// # drop(preopen);
/// assert_eq!(fs.read_file("etc/motd")?, b"hello");
/// # Ok::<_, wasi_filesystem::ErrorCode>(())
/// ```
// Locks are taken in this order: tree, node, space. None is held while the clock is asked, or
// while an object is dropped that may be large.
pub struct MemFs {
    space: Arc<Space>,
    tree: Arc<Mutex<Tree>>,
    root: Arc<Node>,
}

/// What is in a [`MemFs`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes, counted as [`MemFs`] says.
    pub bytes: u64,
    /// Objects: files, directories (the topmost too) and symbolic links.
    pub inodes: u64,
}

/// What fits into a [`MemFs`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most [`Usage::bytes`].
    pub bytes: u64,
    /// The most [`Usage::inodes`].
    pub inodes: u64,
    /// The greatest size of a file, holes and all, up to 2^63 - 1.
    pub file_size: u64,
}

impl Default for Limits {
    /// 256 MiB, 65,536 objects, and files of any size.
    fn default() -> Self {
        Self {
            bytes: 256 << 20,
            inodes: 1 << 16,
            file_size: OFFSET_MAX,
        }
    }
}

impl MemFs {
    /// Empty, with the default limits.
    pub fn new(clock: Arc<dyn WallClock>) -> Self {
        Self::with_limits(clock, Limits::default())
    }

    /// Empty, with room for `limits`.
    pub fn with_limits(clock: Arc<dyn WallClock>, limits: Limits) -> Self {
        let now = clock.now();
        let space = Arc::new(Space {
            clock,
            device: new_device(),
            max: Limits {
                file_size: limits.file_size.min(OFFSET_MAX),
                ..limits
            },
            used: Mutex::default(),
        });
        let (tree, root) = Tree::new(&space, now);
        Self {
            space,
            tree: Arc::new(Mutex::new(tree)),
            root,
        }
    }

    /// What is in it now.
    pub fn usage(&self) -> Usage {
        *self.space.used.lock()
    }

    fn now(&self) -> Datetime {
        self.space.clock.now()
    }

    fn create(&self, dir: &Node, name: &str, content: Content) -> Result<Arc<Node>> {
        let now = self.now();
        self.tree.lock().create(dir, name, content, now)
    }
}

impl Vfs for MemFs {
    type Inode = Arc<Node>;

    fn root(&self) -> Arc<Node> {
        self.root.clone()
    }

    fn descriptor_type(&self, inode: &Arc<Node>) -> DescriptorType {
        inode.descriptor_type()
    }

    fn stat(&self, inode: &Arc<Node>) -> Op<Result<DescriptorStat>> {
        Op::Ready(Ok(inode.stat()))
    }

    fn lookup(&self, dir: &Arc<Node>, name: &str) -> Op<Result<Arc<Node>>> {
        Op::Ready(self.tree.lock().lookup(dir, name))
    }

    fn read_directory(&self, dir: &Arc<Node>) -> Op<Result<Box<dyn DirectoryEntries>>> {
        Op::Ready(Ok(Box::new(Listing::new(self.tree.clone(), dir))))
    }

    fn readlink(&self, link: &Arc<Node>) -> Op<Result<String>> {
        Op::Ready(match &link.content {
            Content::Symlink(target) => Ok((**target).into()),
            _ => Err(ErrorCode::Invalid),
        })
    }

    fn read_at(
        &self,
        file: &Arc<Node>,
        offset: u64,
        buf: &mut [u8],
    ) -> Op<Result<usize>, Result<Bytes>> {
        match offset > OFFSET_MAX {
            true => Op::failed(ErrorCode::Invalid),
            false => Op::Ready(Ok(file.read(offset, buf))),
        }
    }

    fn write_at(&self, file: &Arc<Node>, offset: u64, bytes: &[u8]) -> Op<Result<usize>> {
        Op::Ready(file.write(Some(offset), bytes))
    }

    fn append(&self, file: &Arc<Node>, bytes: &[u8]) -> Op<Result<usize>> {
        Op::Ready(file.write(None, bytes))
    }

    fn read_vectored_at(
        &self,
        file: &Arc<Node>,
        offset: u64,
        bufs: &mut [&mut [u8]],
    ) -> Op<Result<usize>, Result<Bytes>> {
        match offset > OFFSET_MAX {
            true if vectored::length(bufs) > 0 => Op::failed(ErrorCode::Invalid),
            _ => Op::Ready(Ok(file.read_vectored(offset, bufs))),
        }
    }

    fn write_vectored_at(
        &self,
        file: &Arc<Node>,
        offset: u64,
        bufs: &[&[u8]],
    ) -> Op<Result<usize>> {
        Op::Ready(file.write_vectored(Some(offset), bufs))
    }

    fn append_vectored(&self, file: &Arc<Node>, bufs: &[&[u8]]) -> Op<Result<usize>> {
        Op::Ready(file.write_vectored(None, bufs))
    }

    fn allocate(&self, file: &Arc<Node>, offset: u64, length: u64) -> Op<Result<()>> {
        Op::Ready(file.allocate(offset, length))
    }

    fn set_size(&self, file: &Arc<Node>, size: u64) -> Op<Result<()>> {
        Op::Ready(file.set_size(size))
    }

    fn set_times(
        &self,
        inode: &Arc<Node>,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> Op<Result<()>> {
        inode.set_times(access, modification);
        Op::Ready(Ok(()))
    }

    fn create_file(&self, dir: &Arc<Node>, name: &str) -> Op<Result<Arc<Node>>> {
        Op::Ready(self.create(dir, name, Content::File))
    }

    fn create_directory(&self, dir: &Arc<Node>, name: &str) -> Op<Result<()>> {
        Op::Ready(self.create(dir, name, Content::Directory).map(drop))
    }

    fn create_symlink(&self, dir: &Arc<Node>, name: &str, target: &str) -> Op<Result<()>> {
        let content = Content::Symlink(target.into());
        Op::Ready(self.create(dir, name, content).map(drop))
    }

    fn link(&self, inode: &Arc<Node>, dir: &Arc<Node>, name: &str) -> Op<Result<()>> {
        let now = self.now();
        Op::Ready(self.tree.lock().link(inode, dir, name, now))
    }

    fn rename(
        &self,
        dir: &Arc<Node>,
        name: &str,
        new_dir: &Arc<Node>,
        new_name: &str,
    ) -> Op<Result<()>> {
        let now = self.now();
        let replaced = self.tree.lock().rename(dir, name, new_dir, new_name, now);
        Op::Ready(replaced.map(drop))
    }

    fn unlink(&self, dir: &Arc<Node>, name: &str) -> Op<Result<()>> {
        let now = self.now();
        let removed = self.tree.lock().unlink(dir, name, now);
        Op::Ready(removed.map(drop))
    }

    fn remove_directory(&self, dir: &Arc<Node>, name: &str) -> Op<Result<()>> {
        let now = self.now();
        let removed = self.tree.lock().remove_directory(dir, name, now);
        Op::Ready(removed.map(drop))
    }
}
