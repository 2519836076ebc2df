use crate::backend::{Directory, DirectoryEntries, File, Object, Result};
use crate::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, NewTimestamp, OpenFlags,
    PathFlags,
};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use bytes::Bytes;
use wasi_io::Op;

/// A directory of any backend of which nothing can be changed, nor of what is opened from it:
/// every attempt is [`ErrorCode::ReadOnly`]. Others may change it elsewhere.
pub struct ReadOnly(Arc<dyn Directory>);

impl ReadOnly {
    /// Of `directory` and everything below it.
    pub fn new(directory: Arc<dyn Directory>) -> Self {
        Self(directory)
    }
}

impl Directory for ReadOnly {
    fn is_read_only(&self) -> bool {
        true
    }

    fn open_at(
        &self,
        path_flags: PathFlags,
        path: &str,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Op<Result<Object>> {
        if open_flags.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE)
            || flags.contains(DescriptorFlags::WRITE)
        {
            return Op::failed(ErrorCode::ReadOnly);
        }
        let flags = flags - DescriptorFlags::MUTATE_DIRECTORY;
        let opened = self.0.open_at(path_flags, path, open_flags, flags);
        opened.map(|object| {
            object.map(|object| match object {
                Object::Directory(dir) => Object::Directory(Arc::new(Self(dir))),
                Object::File(file) => Object::File(Arc::new(ReadOnlyFile(file))),
            })
        })
    }

    fn stat(&self) -> Op<Result<DescriptorStat>> {
        self.0.stat()
    }

    fn stat_at(&self, path_flags: PathFlags, path: &str) -> Op<Result<DescriptorStat>> {
        self.0.stat_at(path_flags, path)
    }

    fn read_directory(&self) -> Op<Result<Box<dyn DirectoryEntries>>> {
        self.0.read_directory()
    }

    fn readlink_at(&self, path: &str) -> Op<Result<String>> {
        self.0.readlink_at(path)
    }

    fn create_directory_at(&self, _: &str) -> Op<Result<()>> {
        Op::failed(ErrorCode::ReadOnly)
    }

    fn symlink_at(&self, _: &str, _: &str) -> Op<Result<()>> {
        Op::failed(ErrorCode::ReadOnly)
    }

    fn link_at(&self, _: PathFlags, _: &str, _: &dyn Directory, _: &str) -> Op<Result<()>> {
        Op::failed(ErrorCode::ReadOnly)
    }

    fn rename_at(&self, _: &str, _: &dyn Directory, _: &str) -> Op<Result<()>> {
        Op::failed(ErrorCode::ReadOnly)
    }

    fn unlink_file_at(&self, _: &str) -> Op<Result<()>> {
        Op::failed(ErrorCode::ReadOnly)
    }

    fn remove_directory_at(&self, _: &str) -> Op<Result<()>> {
        Op::failed(ErrorCode::ReadOnly)
    }

    fn set_times(&self, _: NewTimestamp, _: NewTimestamp) -> Op<Result<()>> {
        Op::failed(ErrorCode::ReadOnly)
    }

    fn set_times_at(
        &self,
        _: PathFlags,
        _: &str,
        _: NewTimestamp,
        _: NewTimestamp,
    ) -> Op<Result<()>> {
        Op::failed(ErrorCode::ReadOnly)
    }
}

struct ReadOnlyFile(Arc<dyn File>);

impl File for ReadOnlyFile {
    fn descriptor_type(&self) -> DescriptorType {
        self.0.descriptor_type()
    }

    fn stat(&self) -> Op<Result<DescriptorStat>> {
        self.0.stat()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Op<Result<usize>, Result<Bytes>> {
        self.0.read_at(offset, buf)
    }

    fn write_at(&self, _: u64, _: &[u8]) -> Op<Result<usize>> {
        Op::failed(ErrorCode::ReadOnly)
    }

    fn append(&self, _: &[u8]) -> Op<Result<usize>> {
        Op::failed(ErrorCode::ReadOnly)
    }

    fn read_vectored_at(
        &self,
        offset: u64,
        bufs: &mut [&mut [u8]],
    ) -> Op<Result<usize>, Result<Bytes>> {
        self.0.read_vectored_at(offset, bufs)
    }

    fn write_vectored_at(&self, _: u64, _: &[&[u8]]) -> Op<Result<usize>> {
        Op::failed(ErrorCode::ReadOnly)
    }

    fn append_vectored(&self, _: &[&[u8]]) -> Op<Result<usize>> {
        Op::failed(ErrorCode::ReadOnly)
    }

    fn allocate(&self, _: u64, _: u64) -> Op<Result<()>> {
        Op::failed(ErrorCode::ReadOnly)
    }

    fn set_size(&self, _: u64) -> Op<Result<()>> {
        Op::failed(ErrorCode::ReadOnly)
    }

    fn set_times(&self, _: NewTimestamp, _: NewTimestamp) -> Op<Result<()>> {
        Op::failed(ErrorCode::ReadOnly)
    }

    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Op<Result<()>> {
        self.0.advise(offset, length, advice)
    }
}
