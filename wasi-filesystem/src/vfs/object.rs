//! [`Directory`] and [`File`] over any [`Vfs`].

use super::walk::{Goal, Name, Place, walk};
use super::{Access, Vfs};
use crate::backend::{Directory, DirectoryEntries, File, Object, Result};
use crate::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, NewTimestamp, OpenFlags,
    PathFlags,
};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use bytes::Bytes;
use core::any::Any;
use wasi_io::Op;

/// The topmost directory of `vfs`, with paths. Renames and hard links work between directories
/// of the same `Arc`.
pub fn directory<V: Vfs>(vfs: Arc<V>) -> Arc<dyn Directory> {
    let inode = vfs.root();
    Arc::new(Dir { vfs, inode })
}

struct Dir<V: Vfs> {
    vfs: Arc<V>,
    inode: V::Inode,
}

impl<V: Vfs> Clone for Dir<V> {
    fn clone(&self) -> Self {
        Self {
            vfs: self.vfs.clone(),
            inode: self.inode.clone(),
        }
    }
}

impl<V: Vfs> Dir<V> {
    fn walk(&self, path: &str, goal: Goal) -> Op<Result<Place<V::Inode>>> {
        walk(&self.vfs, &self.inode, path, goal)
    }

    /// The object that `path` stands for.
    fn object(&self, flags: PathFlags, path: &str) -> Op<Result<V::Inode>> {
        let follow = flags.contains(PathFlags::SYMLINK_FOLLOW);
        self.walk(path, Goal::Object { follow })
            .map(|place| match place? {
                Place::Object(inode) => Ok(inode),
                Place::Name(_) => Err(ErrorCode::NoEntry),
            })
    }

    /// The last step of `path` and the directory that it is in; `dots` where it is `.` or `..`.
    fn name(&self, path: &str, dots: ErrorCode) -> Op<Result<Name<V::Inode>>> {
        self.walk(path, Goal::Name).map(move |place| match place? {
            Place::Object(_) => Err(dots),
            Place::Name(name) => Ok(name),
        })
    }

    /// As [`Dir::name`], for something new that is no directory: so no `/` may come after it.
    fn free_name(&self, path: &str) -> Op<Result<Name<V::Inode>>> {
        let vfs = self.vfs.clone();
        let name = self.name(path, ErrorCode::Exist);
        name.and_then(move |name| match name.slash {
            true => lookup_type(&vfs, &name).map(|found| found.and(Err(ErrorCode::Exist))),
            false => Op::Ready(Ok(name)),
        })
    }

    /// `f` on the object that `path` stands for.
    fn with_object<T: Send + 'static>(
        &self,
        flags: PathFlags,
        path: &str,
        f: impl FnOnce(&Arc<V>, &V::Inode) -> Op<Result<T>> + Send + 'static,
    ) -> Op<Result<T>> {
        let vfs = self.vfs.clone();
        let object = self.object(flags, path);
        object.and_then(move |inode| f(&vfs, &inode))
    }

    /// `f` on the last step of `path`.
    fn with_name<T: Send + 'static>(
        &self,
        path: &str,
        dots: ErrorCode,
        f: impl FnOnce(&Arc<V>, Name<V::Inode>) -> Op<Result<T>> + Send + 'static,
    ) -> Op<Result<T>> {
        let vfs = self.vfs.clone();
        let name = self.name(path, dots);
        name.and_then(move |name| f(&vfs, name))
    }

    /// `other`, where it is a directory of the same filesystem.
    fn same_device<'a>(&self, other: &'a dyn Directory) -> Result<&'a Self> {
        let other: &dyn Any = other;
        match other.downcast_ref::<Self>() {
            Some(other) if Arc::ptr_eq(&self.vfs, &other.vfs) => Ok(other),
            _ => Err(ErrorCode::CrossDevice),
        }
    }

    fn open(self, path: String, opening: Opening) -> Op<Result<Object>> {
        let follow = opening.follow;
        let place = match opening.create {
            true => self.walk(&path, Goal::Create { follow }),
            false => self.walk(&path, Goal::Object { follow }),
        };
        place.and_then(move |place| match place {
            Place::Object(inode) => opening.open(self.vfs, inode),
            Place::Name(_) if !opening.create => Op::failed(ErrorCode::NoEntry),
            Place::Name(Name { dir, name, .. }) => self.create(path, opening, dir, name),
        })
    }

    fn create(
        self,
        path: String,
        opening: Opening,
        dir: V::Inode,
        name: String,
    ) -> Op<Result<Object>> {
        let created = self.vfs.create_file(&dir, &name);
        let created = created.map(|created| match created {
            Ok(inode) => Ok(Some(inode)),
            Err(ErrorCode::Exist) => Ok(None),
            Err(code) => Err(code),
        });
        created.and_then(move |created| match (created, opening.again()) {
            (Some(inode), _) => opening.file(self.vfs, inode),
            // Somebody else was faster: so something is there now.
            (None, Some(again)) => self.open(path, again),
            (None, None) => Op::failed(ErrorCode::Exist),
        })
    }
}

/// What [`Directory::open_at`] is to do.
#[derive(Clone, Copy)]
struct Opening {
    flags: DescriptorFlags,
    follow: bool,
    create: bool,
    exclusive: bool,
    directory: bool,
    truncate: bool,
    /// How often others may make the file first, just when this is about to.
    races: u8,
}

impl Opening {
    fn new(path_flags: PathFlags, open_flags: OpenFlags, flags: DescriptorFlags) -> Result<Self> {
        let create = open_flags.contains(OpenFlags::CREATE);
        let exclusive = create && open_flags.contains(OpenFlags::EXCLUSIVE);
        let directory = open_flags.contains(OpenFlags::DIRECTORY);
        if create && directory {
            return Err(ErrorCode::Invalid);
        }
        Ok(Self {
            flags,
            follow: path_flags.contains(PathFlags::SYMLINK_FOLLOW) && !exclusive,
            create,
            exclusive,
            directory,
            truncate: open_flags.contains(OpenFlags::TRUNCATE),
            races: 16,
        })
    }

    fn again(self) -> Option<Self> {
        let races = self.races.checked_sub(1)?;
        (!self.exclusive).then_some(Self { races, ..self })
    }

    /// Opens what exists.
    fn open<V: Vfs>(self, vfs: Arc<V>, inode: V::Inode) -> Op<Result<Object>> {
        let write = self.flags.contains(DescriptorFlags::WRITE) || self.truncate;
        Op::failed(match vfs.descriptor_type(&inode) {
            _ if self.exclusive => ErrorCode::Exist,
            DescriptorType::Directory if write || self.create => ErrorCode::IsDirectory,
            DescriptorType::Directory => {
                let dir = Dir { vfs, inode };
                return Op::Ready(Ok(Object::Directory(Arc::new(dir))));
            }
            _ if self.directory => ErrorCode::NotDirectory,
            DescriptorType::SymbolicLink => ErrorCode::Loop,
            _ => return self.file(vfs, inode),
        })
    }

    /// Opens what is neither directory nor symbolic link.
    fn file<V: Vfs>(self, vfs: Arc<V>, inode: V::Inode) -> Op<Result<Object>> {
        // Devices have nothing to cut.
        let truncate = self.truncate && vfs.descriptor_type(&inode) == DescriptorType::RegularFile;
        let access = match self.flags.contains(DescriptorFlags::WRITE) {
            _ if truncate => Access::Replace,
            true => Access::Write,
            false => Access::Read,
        };
        if access != Access::Read && vfs.is_read_only() {
            return Op::failed(ErrorCode::ReadOnly);
        }
        let flags = self.flags;
        vfs.open(&inode, access).and_then(move |inode| {
            let cut = match truncate {
                true => vfs.set_size(&inode, 0),
                false => Op::Ready(Ok(())),
            };
            cut.map(move |cut| {
                let durable = if flags.contains(DescriptorFlags::FILE_INTEGRITY_SYNC) {
                    Durable::File
                } else if flags.contains(DescriptorFlags::DATA_INTEGRITY_SYNC) {
                    Durable::Data
                } else {
                    Durable::No
                };
                cut.map(|()| {
                    Object::File(Arc::new(OpenFile {
                        vfs,
                        inode,
                        durable,
                    }) as _)
                })
            })
        })
    }
}

impl<V: Vfs> Directory for Dir<V> {
    fn is_read_only(&self) -> bool {
        self.vfs.is_read_only()
    }

    fn open_at(
        &self,
        path_flags: PathFlags,
        path: &str,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Op<Result<Object>> {
        match Opening::new(path_flags, open_flags, flags) {
            Ok(opening) => self.clone().open(path.into(), opening),
            Err(code) => Op::failed(code),
        }
    }

    fn stat(&self) -> Op<Result<DescriptorStat>> {
        self.vfs.stat(&self.inode)
    }

    fn stat_at(&self, path_flags: PathFlags, path: &str) -> Op<Result<DescriptorStat>> {
        self.with_object(path_flags, path, |vfs, inode| vfs.stat(inode))
    }

    fn read_directory(&self) -> Op<Result<Box<dyn DirectoryEntries>>> {
        self.vfs.read_directory(&self.inode)
    }

    fn readlink_at(&self, path: &str) -> Op<Result<String>> {
        self.with_object(PathFlags::empty(), path, |vfs, inode| {
            match vfs.descriptor_type(inode) {
                DescriptorType::SymbolicLink => vfs.readlink(inode),
                _ => Op::failed(ErrorCode::Invalid),
            }
        })
    }

    fn create_directory_at(&self, path: &str) -> Op<Result<()>> {
        self.with_name(path, ErrorCode::Exist, |vfs, name| {
            vfs.create_directory(&name.dir, &name.name)
        })
    }

    fn symlink_at(&self, old_path: &str, new_path: &str) -> Op<Result<()>> {
        let (vfs, target) = (self.vfs.clone(), String::from(old_path));
        let name = self.free_name(new_path);
        name.and_then(move |name| vfs.create_symlink(&name.dir, &name.name, &target))
    }

    fn link_at(
        &self,
        old_path_flags: PathFlags,
        old_path: &str,
        new: &dyn Directory,
        new_path: &str,
    ) -> Op<Result<()>> {
        let new = match self.same_device(new) {
            Ok(new) => new.clone(),
            Err(code) => return Op::failed(code),
        };
        let new_path = String::from(new_path);
        let object = self.object(old_path_flags, old_path);
        object.and_then(move |inode| {
            let name = new.free_name(&new_path);
            name.and_then(move |name| match new.vfs.descriptor_type(&inode) {
                DescriptorType::Directory => Op::failed(ErrorCode::NotPermitted),
                _ => new.vfs.link(&inode, &name.dir, &name.name),
            })
        })
    }

    fn rename_at(&self, old_path: &str, new: &dyn Directory, new_path: &str) -> Op<Result<()>> {
        let new = match self.same_device(new) {
            Ok(new) => new.clone(),
            Err(code) => return Op::failed(code),
        };
        let new_path = String::from(new_path);
        let old = self.name(old_path, ErrorCode::Busy);
        old.and_then(move |old| {
            let name = new.name(&new_path, ErrorCode::Busy);
            name.and_then(move |name| {
                let is_directory = match old.slash || name.slash {
                    true => lookup_type(&new.vfs, &old),
                    false => Op::Ready(Ok(DescriptorType::Directory)),
                };
                is_directory.and_then(move |kind| match kind {
                    DescriptorType::Directory => {
                        new.vfs.rename(&old.dir, &old.name, &name.dir, &name.name)
                    }
                    _ => Op::failed(ErrorCode::NotDirectory),
                })
            })
        })
    }

    fn unlink_file_at(&self, path: &str) -> Op<Result<()>> {
        self.with_name(path, ErrorCode::IsDirectory, |vfs, name| match name.slash {
            true => lookup_type(vfs, &name).and_then(|kind| {
                Op::failed(match kind {
                    DescriptorType::Directory => ErrorCode::IsDirectory,
                    _ => ErrorCode::NotDirectory,
                })
            }),
            false => vfs.unlink(&name.dir, &name.name),
        })
    }

    fn remove_directory_at(&self, path: &str) -> Op<Result<()>> {
        self.with_name(path, ErrorCode::Invalid, |vfs, name| {
            vfs.remove_directory(&name.dir, &name.name)
        })
    }

    fn set_times(&self, access: NewTimestamp, modification: NewTimestamp) -> Op<Result<()>> {
        self.vfs.set_times(&self.inode, access, modification)
    }

    fn set_times_at(
        &self,
        path_flags: PathFlags,
        path: &str,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> Op<Result<()>> {
        self.with_object(path_flags, path, move |vfs, inode| {
            vfs.set_times(inode, access, modification)
        })
    }

    fn sync(&self) -> Op<Result<()>> {
        self.vfs.sync(&self.inode)
    }
}

fn lookup_type<V: Vfs>(vfs: &Arc<V>, name: &Name<V::Inode>) -> Op<Result<DescriptorType>> {
    let vfs = vfs.clone();
    vfs.clone()
        .lookup(&name.dir, &name.name)
        .map(move |found| found.map(|inode| vfs.descriptor_type(&inode)))
}

/// What a write waits for.
#[derive(Clone, Copy)]
enum Durable {
    No,
    Data,
    File,
}

struct OpenFile<V: Vfs> {
    vfs: Arc<V>,
    inode: V::Inode,
    durable: Durable,
}

impl<V: Vfs> OpenFile<V> {
    fn durable<T: Send + 'static>(&self, op: Op<Result<T>>) -> Op<Result<T>> {
        let sync = match self.durable {
            Durable::No => return op,
            Durable::Data => V::sync_data,
            Durable::File => V::sync,
        };
        let (vfs, inode) = (self.vfs.clone(), self.inode.clone());
        op.and_then(move |value| sync(&vfs, &inode).map(|synced| synced.map(|()| value)))
    }
}

impl<V: Vfs> File for OpenFile<V> {
    fn descriptor_type(&self) -> DescriptorType {
        self.vfs.descriptor_type(&self.inode)
    }

    fn stat(&self) -> Op<Result<DescriptorStat>> {
        self.vfs.stat(&self.inode)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Op<Result<usize>, Result<Bytes>> {
        self.vfs.read_at(&self.inode, offset, buf)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Op<Result<usize>> {
        self.durable(self.vfs.write_at(&self.inode, offset, bytes))
    }

    fn append(&self, bytes: &[u8]) -> Op<Result<usize>> {
        self.durable(self.vfs.append(&self.inode, bytes))
    }

    fn read_vectored_at(
        &self,
        offset: u64,
        bufs: &mut [&mut [u8]],
    ) -> Op<Result<usize>, Result<Bytes>> {
        self.vfs.read_vectored_at(&self.inode, offset, bufs)
    }

    fn write_vectored_at(&self, offset: u64, bufs: &[&[u8]]) -> Op<Result<usize>> {
        self.durable(self.vfs.write_vectored_at(&self.inode, offset, bufs))
    }

    fn append_vectored(&self, bufs: &[&[u8]]) -> Op<Result<usize>> {
        self.durable(self.vfs.append_vectored(&self.inode, bufs))
    }

    fn allocate(&self, offset: u64, length: u64) -> Op<Result<()>> {
        match self.descriptor_type() {
            DescriptorType::RegularFile => {
                self.durable(self.vfs.allocate(&self.inode, offset, length))
            }
            _ => Op::failed(ErrorCode::Invalid),
        }
    }

    fn set_size(&self, size: u64) -> Op<Result<()>> {
        match self.descriptor_type() {
            DescriptorType::RegularFile => self.durable(self.vfs.set_size(&self.inode, size)),
            _ => Op::failed(ErrorCode::Invalid),
        }
    }

    fn set_times(&self, access: NewTimestamp, modification: NewTimestamp) -> Op<Result<()>> {
        self.vfs.set_times(&self.inode, access, modification)
    }

    fn sync(&self) -> Op<Result<()>> {
        self.vfs.sync(&self.inode)
    }

    fn sync_data(&self) -> Op<Result<()>> {
        self.vfs.sync_data(&self.inode)
    }

    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Op<Result<()>> {
        self.vfs.advise(&self.inode, offset, length, advice)
    }
}
