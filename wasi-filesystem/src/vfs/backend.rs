use crate::backend::Result;
use crate::{
    Advice, DescriptorStat, DescriptorType, DirectoryEntries, ErrorCode, NewTimestamp, vectored,
};
use alloc::boxed::Box;
use alloc::string::String;
use bytes::Bytes;
use wasi_io::Op;

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Only reading.
    Read,
    /// Reading and writing.
    Write,
    /// As [`Access::Write`], and [`Vfs::set_size`] to 0 comes next: no need to keep contents.
    Replace,
}

/// A filesystem that knows inodes and single names, not paths.
///
/// [`vfs::directory`](crate::vfs::directory) makes a [`Directory`](crate::Directory) of it:
/// paths, `..`, symbolic links, what opening means and everything else that is alike for all
/// filesystems is done there, once. So an implementer has the objects and their names only.
///
/// A **name** is one step of a path: not empty, neither `.` nor `..`, without `/` and NUL, at
/// most [`PATH_MAX`](crate::PATH_MAX) bytes. One longer than the filesystem can have is
/// [`ErrorCode::NameTooLong`]. A `dir` is an inode of a directory; one that was removed
/// meanwhile is empty, and nothing can be made in it ([`ErrorCode::NoEntry`]).
///
/// Each method is one step that others see whole or not at all. The defaults are those of a
/// filesystem that can't be changed.
pub trait Vfs: Send + Sync + 'static {
    /// An object of the filesystem, in use: it exists until its last name is gone and the
    /// last clone of this is dropped. Cloning is cheap.
    type Inode: Clone + Send + Sync + 'static;

    /// As [`Directory::is_read_only`](crate::Directory::is_read_only).
    fn is_read_only(&self) -> bool {
        false
    }

    /// The topmost directory.
    fn root(&self) -> Self::Inode;

    /// What `inode` is. Does not wait.
    fn descriptor_type(&self, inode: &Self::Inode) -> DescriptorType;

    /// What is known of `inode`.
    fn stat(&self, inode: &Self::Inode) -> Op<Result<DescriptorStat>>;

    /// The object that `name` in `dir` stands for; a symbolic link is not followed.
    ///
    /// # Errors
    /// - [`ErrorCode::NoEntry`]: there is none.
    fn lookup(&self, dir: &Self::Inode, name: &str) -> Op<Result<Self::Inode>>;

    /// The entries of `dir`, as [`Directory::read_directory`](crate::Directory::read_directory)
    /// gives them.
    fn read_directory(&self, dir: &Self::Inode) -> Op<Result<Box<dyn DirectoryEntries>>>;

    /// The target of the symbolic link `link`.
    fn readlink(&self, link: &Self::Inode) -> Op<Result<String>> {
        let _ = link;
        Op::failed(ErrorCode::Invalid)
    }

    /// Takes note that `file`, neither a directory nor a symbolic link, is opened for
    /// `access`. What it gives is what the open file works on from then on: `file` itself as
    /// a rule, and by default.
    ///
    /// # Errors
    /// - [`ErrorCode::Access`]: it can't be opened so.
    fn open(&self, file: &Self::Inode, access: Access) -> Op<Result<Self::Inode>> {
        let _ = access;
        Op::Ready(Ok(file.clone()))
    }

    /// As [`File::read_at`](crate::File::read_at).
    fn read_at(
        &self,
        file: &Self::Inode,
        offset: u64,
        buf: &mut [u8],
    ) -> Op<Result<usize>, Result<Bytes>>;

    /// As [`File::write_at`](crate::File::write_at).
    fn write_at(&self, file: &Self::Inode, offset: u64, bytes: &[u8]) -> Op<Result<usize>> {
        let _ = (file, offset, bytes);
        Op::failed(ErrorCode::ReadOnly)
    }

    /// As [`File::append`](crate::File::append).
    fn append(&self, file: &Self::Inode, bytes: &[u8]) -> Op<Result<usize>> {
        let _ = (file, bytes);
        Op::failed(ErrorCode::ReadOnly)
    }

    /// As [`File::read_vectored_at`](crate::File::read_vectored_at).
    fn read_vectored_at(
        &self,
        file: &Self::Inode,
        offset: u64,
        bufs: &mut [&mut [u8]],
    ) -> Op<Result<usize>, Result<Bytes>> {
        vectored::read(offset, bufs, |offset, buf| self.read_at(file, offset, buf))
    }

    /// As [`File::write_vectored_at`](crate::File::write_vectored_at).
    fn write_vectored_at(
        &self,
        file: &Self::Inode,
        offset: u64,
        bufs: &[&[u8]],
    ) -> Op<Result<usize>> {
        vectored::write(bufs, |done, buf| {
            self.write_at(file, offset.saturating_add(done as u64), buf)
        })
    }

    /// As [`File::append_vectored`](crate::File::append_vectored).
    fn append_vectored(&self, file: &Self::Inode, bufs: &[&[u8]]) -> Op<Result<usize>> {
        vectored::write(bufs, |_, buf| self.append(file, buf))
    }

    /// As [`File::allocate`](crate::File::allocate).
    fn allocate(&self, file: &Self::Inode, offset: u64, length: u64) -> Op<Result<()>> {
        let _ = (file, offset, length);
        Op::failed(ErrorCode::Unsupported)
    }

    /// As [`File::set_size`](crate::File::set_size).
    fn set_size(&self, file: &Self::Inode, size: u64) -> Op<Result<()>> {
        let _ = (file, size);
        Op::failed(ErrorCode::ReadOnly)
    }

    /// As [`File::set_times`](crate::File::set_times), for any object.
    fn set_times(
        &self,
        inode: &Self::Inode,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> Op<Result<()>> {
        let _ = (inode, access, modification);
        Op::failed(ErrorCode::ReadOnly)
    }

    /// Makes an empty file.
    ///
    /// # Errors
    /// - [`ErrorCode::Exist`]: `name` stands for something.
    /// - [`ErrorCode::InsufficientSpace`], [`ErrorCode::Quota`]: there is no room.
    fn create_file(&self, dir: &Self::Inode, name: &str) -> Op<Result<Self::Inode>> {
        let _ = (dir, name);
        Op::failed(ErrorCode::ReadOnly)
    }

    /// Makes an empty directory.
    ///
    /// # Errors
    /// As [`Vfs::create_file`].
    fn create_directory(&self, dir: &Self::Inode, name: &str) -> Op<Result<()>> {
        let _ = (dir, name);
        Op::failed(ErrorCode::ReadOnly)
    }

    /// Makes a symbolic link with the contents `target`.
    ///
    /// # Errors
    /// As [`Vfs::create_file`].
    fn create_symlink(&self, dir: &Self::Inode, name: &str, target: &str) -> Op<Result<()>> {
        let _ = (dir, name, target);
        Op::failed(ErrorCode::ReadOnly)
    }

    /// Gives `inode`, which is no directory, the name `name` in `dir`.
    ///
    /// # Errors
    /// As [`Vfs::create_file`], and
    /// - [`ErrorCode::TooManyLinks`]: it has as many names as it can.
    /// - [`ErrorCode::NoEntry`]: its last name is gone meanwhile.
    fn link(&self, inode: &Self::Inode, dir: &Self::Inode, name: &str) -> Op<Result<()>> {
        let _ = (inode, dir, name);
        Op::failed(ErrorCode::ReadOnly)
    }

    /// Moves what `name` in `dir` stands for to `new_name` in `new_dir`, in place of what is
    /// there. Two names of one object stay as they are.
    ///
    /// # Errors
    /// - [`ErrorCode::NoEntry`]: `name` stands for nothing.
    /// - [`ErrorCode::IsDirectory`], [`ErrorCode::NotDirectory`], [`ErrorCode::NotEmpty`],
    ///   [`ErrorCode::Invalid`]: as [`Directory::rename_at`](crate::Directory::rename_at).
    fn rename(
        &self,
        dir: &Self::Inode,
        name: &str,
        new_dir: &Self::Inode,
        new_name: &str,
    ) -> Op<Result<()>> {
        let _ = (dir, name, new_dir, new_name);
        Op::failed(ErrorCode::ReadOnly)
    }

    /// Removes a name of something that is no directory.
    ///
    /// # Errors
    /// - [`ErrorCode::NoEntry`]: `name` stands for nothing.
    /// - [`ErrorCode::IsDirectory`]: it is a directory.
    fn unlink(&self, dir: &Self::Inode, name: &str) -> Op<Result<()>> {
        let _ = (dir, name);
        Op::failed(ErrorCode::ReadOnly)
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// - [`ErrorCode::NoEntry`]: `name` stands for nothing.
    /// - [`ErrorCode::NotDirectory`]: it is no directory.
    /// - [`ErrorCode::NotEmpty`]: something is in it.
    fn remove_directory(&self, dir: &Self::Inode, name: &str) -> Op<Result<()>> {
        let _ = (dir, name);
        Op::failed(ErrorCode::ReadOnly)
    }

    /// As [`File::sync`](crate::File::sync), for any object.
    fn sync(&self, inode: &Self::Inode) -> Op<Result<()>> {
        let _ = inode;
        Op::Ready(Ok(()))
    }

    /// As [`File::sync_data`](crate::File::sync_data).
    fn sync_data(&self, file: &Self::Inode) -> Op<Result<()>> {
        self.sync(file)
    }

    /// As [`File::advise`](crate::File::advise).
    fn advise(
        &self,
        file: &Self::Inode,
        offset: u64,
        length: u64,
        advice: Advice,
    ) -> Op<Result<()>> {
        let _ = (file, offset, length, advice);
        Op::Ready(Ok(()))
    }
}
