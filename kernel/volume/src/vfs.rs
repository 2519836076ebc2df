//! What a guest does, done.

use crate::listing::Listing;
use crate::node::Node;
use crate::state::{FILE_MAX, State, code};
use crate::time::{from_disk, to_disk};
use crate::volume::FatVolume;
use alloc::boxed::Box;
use alloc::sync::Arc;
use bytes::Bytes;
use core::ops::DerefMut;
use hadris_fs::{Attributes, ErrorKind, RenameMode, SetAttr};
use wasi_filesystem::vfs::Access;
use wasi_filesystem::{
    DescriptorStat, DescriptorType, DirectoryEntries, ErrorCode, NewTimestamp, Result, Vfs,
};
use wasi_io::Op;

impl FatVolume {
    fn state(&self) -> impl DerefMut<Target = State> + '_ {
        self.shared.state.lock()
    }
}

impl State {
    fn stat(&mut self, node: &Node) -> Result<DescriptorStat> {
        let mut stat = DescriptorStat {
            descriptor_type: kind(node),
            link_count: 1,
            device: node.shared.device,
            inode: node.id.get(),
            ..DescriptorStat::default()
        };
        let metadata = match self.fs.stat(node.id) {
            Ok(metadata) => metadata,
            // A directory that was removed.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                stat.link_count = 0;
                return Ok(stat);
            }
            Err(error) => return Err(code(error)),
        };
        if self.is_nameless(node.id) {
            stat.link_count = 0;
        }
        stat.size = metadata.len();
        stat.data_access_timestamp = metadata.accessed().and_then(from_disk);
        let written = self.written(node.id);
        let modified = metadata.modified().and_then(from_disk);
        stat.data_modification_timestamp = written.or(modified);
        Ok(stat)
    }

    fn size(&mut self, file: &Node) -> Result<u64> {
        Ok(self.fs.stat(file.id).map_err(code)?.len())
    }

    /// At the end where there is no offset.
    fn write(&mut self, file: &Node, offset: Option<u64>, bytes: &[u8]) -> Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        let size = self.size(file)?;
        let offset = offset.unwrap_or(size);
        let written = match self.fs.write(file.id, offset, bytes) {
            // As much as there is room for.
            Err(error) if error.kind() == ErrorKind::NoSpace => {
                let room = self.room(size)?.saturating_sub(offset);
                let fits = usize::try_from(room).unwrap_or(usize::MAX).min(bytes.len());
                match &bytes[..fits] {
                    [] => return Err(ErrorCode::InsufficientSpace),
                    fitting => self.fs.write(file.id, offset, fitting),
                }
            }
            written => written,
        };
        let written = written.map_err(code)?;
        self.wrote(file.id);
        Ok(written)
    }

    /// The size up to which a file of `size` bytes can grow.
    fn room(&mut self, size: u64) -> Result<u64> {
        let space = self.fs.statfs().map_err(code)?;
        let cluster = u64::from(space.block_size());
        let has = size.div_ceil(cluster.max(1));
        Ok(has
            .saturating_add(space.free_blocks())
            .saturating_mul(cluster))
    }

    fn set_size(&mut self, file: &Node, size: u64) -> Result<()> {
        self.fs.truncate(file.id, size).map_err(code)?;
        self.wrote(file.id);
        Ok(())
    }

    fn set_times(
        &mut self,
        node: &Node,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> Result<()> {
        let time = |new| match new {
            NewTimestamp::NoChange => None,
            NewTimestamp::Now => Some(self.now()),
            NewTimestamp::Timestamp(time) => Some(time),
        };
        let mut times = SetAttr::new();
        if let Some(access) = time(access) {
            times = times.with_accessed(to_disk(access));
        }
        // What is still to be written goes with it.
        if let Some(modification) = time(modification).or(self.written(node.id)) {
            times = times.with_modified(to_disk(modification));
        }
        match times.is_empty() {
            true => Ok(()),
            false => self.publish_with(node.id, times),
        }
    }

    fn unlink(&mut self, dir: &Node, name: &str) -> Result<()> {
        let name = self.existing(dir.id, name)?;
        self.with_object(dir.id, name, |state, id| {
            match (state.is_directory(id)?, state.is_in_use(id)) {
                (true, _) => Err(ErrorCode::IsDirectory),
                (false, true) => state.hide(id, dir.id, name),
                (false, false) => state.fs.unlink(dir.id, name).map_err(code),
            }
        })
    }

    fn rename(&mut self, dir: &Node, name: &str, new_dir: &Node, new_name: &str) -> Result<()> {
        let name = self.existing(dir.id, name)?;
        let new_name = self.new_name(new_dir.id, new_name)?;
        self.with_object(dir.id, name, |state, id| {
            let target = match state.fs.lookup(new_dir.id, new_name) {
                Ok(target) => {
                    // It has no other pins but those of who uses it.
                    state.fs.forget(target, 1);
                    Some(target).filter(|target| *target != id && state.is_in_use(*target))
                }
                Err(error) if error.kind() == ErrorKind::NotFound => None,
                Err(error) => return Err(code(error)),
            };
            // The library takes no name away from what is in use, and would not keep it.
            let hidden = match target {
                Some(target) if !state.is_directory(id)? && !state.is_directory(target)? => {
                    state.hide(target, new_dir.id, new_name)?;
                    Some(target)
                }
                _ => None,
            };
            let (old, new) = ((dir.id, name), (new_dir.id, new_name));
            let renamed = state.move_name(id, old, new, RenameMode::Replace);
            match (&renamed, hidden) {
                (Err(_), Some(target)) => state.unhide(target, new_dir.id, new_name).and(renamed),
                _ => renamed,
            }
        })
    }

    fn sync(&mut self, node: &Node) -> Result<()> {
        self.publish(node.id)?;
        let root = self.fs.root();
        self.fs.fsync(root).map_err(code)
    }
}

impl Vfs for FatVolume {
    type Inode = Arc<Node>;

    fn is_read_only(&self) -> bool {
        self.shared.read_only
    }

    fn root(&self) -> Arc<Node> {
        self.root.clone()
    }

    fn descriptor_type(&self, inode: &Arc<Node>) -> DescriptorType {
        kind(inode)
    }

    fn stat(&self, inode: &Arc<Node>) -> Op<Result<DescriptorStat>> {
        Op::Ready(self.state().stat(inode))
    }

    fn lookup(&self, dir: &Arc<Node>, name: &str) -> Op<Result<Arc<Node>>> {
        let mut state = self.state();
        Op::Ready(state.existing(dir.id, name).and_then(|name| {
            let id = state.fs.lookup(dir.id, name).map_err(code)?;
            state.node(&self.shared, id)
        }))
    }

    fn read_directory(&self, dir: &Arc<Node>) -> Op<Result<Box<dyn DirectoryEntries>>> {
        Op::Ready(Ok(Box::new(Listing::new(dir.clone()))))
    }

    fn open(&self, file: &Arc<Node>, access: Access) -> Op<Result<Arc<Node>>> {
        let refused = access != Access::Read
            && match self.state().fs.stat(file.id) {
                Ok(stat) => stat.attributes().contains(Attributes::READ_ONLY),
                Err(error) => return Op::failed(code(error)),
            };
        match refused {
            true => Op::failed(ErrorCode::Access),
            false => Op::Ready(Ok(file.clone())),
        }
    }

    fn read_at(
        &self,
        file: &Arc<Node>,
        offset: u64,
        buf: &mut [u8],
    ) -> Op<Result<usize>, Result<Bytes>> {
        Op::Ready(self.state().fs.read(file.id, offset, buf).map_err(code))
    }

    fn write_at(&self, file: &Arc<Node>, offset: u64, bytes: &[u8]) -> Op<Result<usize>> {
        Op::Ready(self.state().write(file, Some(offset), bytes))
    }

    fn append(&self, file: &Arc<Node>, bytes: &[u8]) -> Op<Result<usize>> {
        Op::Ready(self.state().write(file, None, bytes))
    }

    fn allocate(&self, file: &Arc<Node>, offset: u64, length: u64) -> Op<Result<()>> {
        let end = offset.checked_add(length).filter(|end| *end <= FILE_MAX);
        let Some(end) = end else {
            return Op::failed(ErrorCode::FileTooLarge);
        };
        let mut state = self.state();
        // Up to its size, a file has all of its room.
        Op::Ready(state.size(file).and_then(|size| match end > size {
            true => state.set_size(file, end),
            false => Ok(()),
        }))
    }

    fn set_size(&self, file: &Arc<Node>, size: u64) -> Op<Result<()>> {
        Op::Ready(self.state().set_size(file, size))
    }

    fn set_times(
        &self,
        inode: &Arc<Node>,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> Op<Result<()>> {
        Op::Ready(self.state().set_times(inode, access, modification))
    }

    fn create_file(&self, dir: &Arc<Node>, name: &str) -> Op<Result<Arc<Node>>> {
        let mut state = self.state();
        Op::Ready(state.new_name(dir.id, name).and_then(|name| {
            let id = state.fs.create(dir.id, name, &SetAttr::new());
            state.node(&self.shared, id.map_err(code)?)
        }))
    }

    fn create_directory(&self, dir: &Arc<Node>, name: &str) -> Op<Result<()>> {
        let mut state = self.state();
        Op::Ready(state.new_name(dir.id, name).and_then(|name| {
            let id = state.fs.mkdir(dir.id, name, &SetAttr::new());
            state.fs.forget(id.map_err(code)?, 1);
            Ok(())
        }))
    }

    fn create_symlink(&self, _: &Arc<Node>, _: &str, _: &str) -> Op<Result<()>> {
        Op::failed(ErrorCode::Unsupported)
    }

    fn link(&self, _: &Arc<Node>, _: &Arc<Node>, _: &str) -> Op<Result<()>> {
        Op::failed(ErrorCode::Unsupported)
    }

    fn rename(
        &self,
        dir: &Arc<Node>,
        name: &str,
        new_dir: &Arc<Node>,
        new_name: &str,
    ) -> Op<Result<()>> {
        Op::Ready(self.state().rename(dir, name, new_dir, new_name))
    }

    fn unlink(&self, dir: &Arc<Node>, name: &str) -> Op<Result<()>> {
        Op::Ready(self.state().unlink(dir, name))
    }

    fn remove_directory(&self, dir: &Arc<Node>, name: &str) -> Op<Result<()>> {
        let mut state = self.state();
        Op::Ready(state.existing(dir.id, name).and_then(|name| {
            let removed = state.fs.rmdir(dir.id, name);
            removed.map_err(code)
        }))
    }

    fn sync(&self, inode: &Arc<Node>) -> Op<Result<()>> {
        Op::Ready(self.state().sync(inode))
    }
}

fn kind(node: &Node) -> DescriptorType {
    match node.is_directory {
        true => DescriptorType::Directory,
        false => DescriptorType::RegularFile,
    }
}
