//! Backends around others, to change what they do.

#![allow(dead_code, unreachable_pub)]

use bytes::Bytes;
use std::any::Any;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use wasi_filesystem::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, Directory, DirectoryEntries,
    DirectoryEntry, ErrorCode, File, NewTimestamp, Object, OpenFlags, PathFlags, Result,
};
use wasi_io::Op;

/// A directory of which every operation is pending before it is done.
pub struct Slow(pub Arc<dyn Directory>);

fn turn() -> impl Future<Output = ()> + Send {
    let mut waited = false;
    poll_fn(move |cx| match std::mem::replace(&mut waited, true) {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
}

fn later<T: Send + 'static>(op: Op<T>) -> Op<T> {
    Op::Pending(Box::pin(async {
        turn().await;
        op.finish().await
    }))
}

/// `new` without its own wrapper.
fn inner(new: &dyn Directory) -> &dyn Directory {
    let any: &dyn Any = new;
    any.downcast_ref::<Slow>().map_or(new, |slow| &*slow.0)
}

impl Directory for Slow {
    fn is_read_only(&self) -> bool {
        self.0.is_read_only()
    }

    fn open_at(
        &self,
        path_flags: PathFlags,
        path: &str,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Op<Result<Object>> {
        let opened = self.0.open_at(path_flags, path, open_flags, flags);
        later(opened.map(|object| {
            object.map(|object| match object {
                Object::Directory(dir) => Object::Directory(Arc::new(Slow(dir))),
                Object::File(file) => Object::File(Arc::new(SlowFile(file))),
            })
        }))
    }

    fn stat(&self) -> Op<Result<DescriptorStat>> {
        later(self.0.stat())
    }

    fn stat_at(&self, path_flags: PathFlags, path: &str) -> Op<Result<DescriptorStat>> {
        later(self.0.stat_at(path_flags, path))
    }

    fn read_directory(&self) -> Op<Result<Box<dyn DirectoryEntries>>> {
        later(
            self.0.read_directory().map(|entries| {
                entries.map(|entries| Box::new(SlowEntries(entries, false)) as Box<_>)
            }),
        )
    }

    fn readlink_at(&self, path: &str) -> Op<Result<String>> {
        later(self.0.readlink_at(path))
    }

    fn create_directory_at(&self, path: &str) -> Op<Result<()>> {
        later(self.0.create_directory_at(path))
    }

    fn symlink_at(&self, old_path: &str, new_path: &str) -> Op<Result<()>> {
        later(self.0.symlink_at(old_path, new_path))
    }

    fn link_at(
        &self,
        old_path_flags: PathFlags,
        old_path: &str,
        new: &dyn Directory,
        new_path: &str,
    ) -> Op<Result<()>> {
        later(
            self.0
                .link_at(old_path_flags, old_path, inner(new), new_path),
        )
    }

    fn rename_at(&self, old_path: &str, new: &dyn Directory, new_path: &str) -> Op<Result<()>> {
        later(self.0.rename_at(old_path, inner(new), new_path))
    }

    fn unlink_file_at(&self, path: &str) -> Op<Result<()>> {
        later(self.0.unlink_file_at(path))
    }

    fn remove_directory_at(&self, path: &str) -> Op<Result<()>> {
        later(self.0.remove_directory_at(path))
    }

    fn set_times(&self, access: NewTimestamp, modification: NewTimestamp) -> Op<Result<()>> {
        later(self.0.set_times(access, modification))
    }

    fn set_times_at(
        &self,
        path_flags: PathFlags,
        path: &str,
        access: NewTimestamp,
        modification: NewTimestamp,
    ) -> Op<Result<()>> {
        later(self.0.set_times_at(path_flags, path, access, modification))
    }

    fn sync(&self) -> Op<Result<()>> {
        later(self.0.sync())
    }
}

struct SlowEntries(Box<dyn DirectoryEntries>, bool);

impl DirectoryEntries for SlowEntries {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<DirectoryEntry>>> {
        self.1 = !self.1;
        match self.1 {
            true => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            false => self.0.poll_next(cx),
        }
    }
}

struct SlowFile(Arc<dyn File>);

impl File for SlowFile {
    fn descriptor_type(&self) -> DescriptorType {
        self.0.descriptor_type()
    }

    fn stat(&self) -> Op<Result<DescriptorStat>> {
        later(self.0.stat())
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Op<Result<usize>, Result<Bytes>> {
        let (file, length) = (self.0.clone(), buf.len());
        Op::Pending(Box::pin(async move {
            turn().await;
            let mut buf = vec![0; length];
            match file.read_at(offset, &mut buf) {
                Op::Ready(n) => {
                    buf.truncate(n?);
                    Ok(buf.into())
                }
                Op::Pending(bytes) => bytes.await,
            }
        }))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Op<Result<usize>> {
        later(self.0.write_at(offset, bytes))
    }

    fn append(&self, bytes: &[u8]) -> Op<Result<usize>> {
        later(self.0.append(bytes))
    }

    fn read_vectored_at(
        &self,
        offset: u64,
        bufs: &mut [&mut [u8]],
    ) -> Op<Result<usize>, Result<Bytes>> {
        let file = self.0.clone();
        let lengths: Vec<_> = bufs.iter().map(|buf| buf.len()).collect();
        Op::Pending(Box::pin(async move {
            turn().await;
            let mut bufs: Vec<_> = lengths.iter().map(|length| vec![0; *length]).collect();
            let mut slices: Vec<_> = bufs.iter_mut().map(|buf| &mut buf[..]).collect();
            let read = file.read_vectored_at(offset, &mut slices);
            match read {
                Op::Ready(n) => {
                    let mut bytes = bufs.concat();
                    bytes.truncate(n?);
                    Ok(bytes.into())
                }
                Op::Pending(bytes) => bytes.await,
            }
        }))
    }

    fn write_vectored_at(&self, offset: u64, bufs: &[&[u8]]) -> Op<Result<usize>> {
        later(self.0.write_vectored_at(offset, bufs))
    }

    fn append_vectored(&self, bufs: &[&[u8]]) -> Op<Result<usize>> {
        later(self.0.append_vectored(bufs))
    }

    fn allocate(&self, offset: u64, length: u64) -> Op<Result<()>> {
        later(self.0.allocate(offset, length))
    }

    fn set_size(&self, size: u64) -> Op<Result<()>> {
        later(self.0.set_size(size))
    }

    fn set_times(&self, access: NewTimestamp, modification: NewTimestamp) -> Op<Result<()>> {
        later(self.0.set_times(access, modification))
    }

    fn sync(&self) -> Op<Result<()>> {
        later(self.0.sync())
    }

    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Op<Result<()>> {
        match offset.checked_add(length) {
            Some(_) => later(self.0.advise(offset, length, advice)),
            None => Op::failed(ErrorCode::Invalid),
        }
    }
}
