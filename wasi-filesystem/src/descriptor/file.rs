//! The operations on a file's contents.

use super::Descriptor;
use crate::backend::{File, Result};
use crate::stream::{FileInputStream, FileOutputStream, Writer};
use crate::{Advice, DescriptorFlags, DescriptorType, ErrorCode, Object, vectored};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use wasi_io::{InputStream, Op, OutputStream};

impl Descriptor {
    /// `read`: up to `length` bytes from `offset` on, no more than
    /// [`max_read`](crate::WasiFilesystemCtx::max_read), and whether the end of the file was
    /// reached. No bytes of a length above 0 are always the end; fewer than `length` are it
    /// where the flag says so.
    ///
    /// # Errors
    /// - [`ErrorCode::IsDirectory`]: it is one.
    /// - [`ErrorCode::BadDescriptor`]: it is not open for reading.
    pub fn read(&self, length: u64, offset: u64) -> Op<Result<(Vec<u8>, bool)>> {
        let file = match self.readable() {
            Ok(file) => file,
            Err(code) => return Op::failed(code),
        };
        let max = self.0.guest().max_read;
        let length = usize::try_from(length).map_or(max, |length| length.min(max));
        if length == 0 {
            return Op::Ready(Ok((Vec::new(), false)));
        }
        let mut buf = vec![0; length];
        match file.read_at(offset, &mut buf) {
            Op::Ready(Ok(read)) => {
                let (read, end) = fill(&**file, offset, &mut buf, read);
                buf.truncate(read);
                Op::Ready(Ok((buf, end)))
            }
            Op::Ready(Err(code)) => Op::failed(code),
            Op::Pending(future) => Op::Pending(Box::pin(async move {
                let bytes = future.await?;
                let end = bytes.is_empty();
                Ok((bytes.into(), end))
            })),
        }
    }

    /// As [`File::read_at`], for who has a buffer; an empty one is filled at once.
    ///
    /// # Errors
    /// As [`Descriptor::read`].
    pub fn read_at(&self, offset: u64, buf: &mut [u8]) -> Op<Result<usize>, Result<Bytes>> {
        match self.readable() {
            Ok(_) if buf.is_empty() => Op::Ready(Ok(0)),
            Ok(file) => file.read_at(offset, buf),
            Err(code) => Op::failed(code),
        }
    }

    /// As [`File::read_vectored_at`], for who has several buffers.
    ///
    /// # Errors
    /// As [`Descriptor::read`].
    pub fn read_vectored_at(
        &self,
        offset: u64,
        bufs: &mut [&mut [u8]],
    ) -> Op<Result<usize>, Result<Bytes>> {
        match (self.readable(), bufs) {
            (Ok(_), bufs) if vectored::length(bufs) == 0 => Op::Ready(Ok(0)),
            (Ok(file), [buf]) => file.read_at(offset, buf),
            (Ok(file), bufs) => file.read_vectored_at(offset, bufs),
            (Err(code), _) => Op::failed(code),
        }
    }

    /// `write`: writes `bytes` from `offset` on, and says how many were written: fewer where
    /// there is no room for more.
    ///
    /// # Errors
    /// - [`ErrorCode::BadDescriptor`]: it is not open for writing.
    pub fn write(&self, bytes: &[u8], offset: u64) -> Op<Result<usize>> {
        self.change(bytes.len(), |file| file.write_at(offset, bytes))
    }

    /// As [`Descriptor::write`], from several buffers, one after the other
    /// ([`File::write_vectored_at`]).
    ///
    /// # Errors
    /// As [`Descriptor::write`].
    pub fn write_vectored(&self, bufs: &[&[u8]], offset: u64) -> Op<Result<usize>> {
        self.change(vectored::length(bufs), |file| match bufs {
            [bytes] => file.write_at(offset, bytes),
            bufs => file.write_vectored_at(offset, bufs),
        })
    }

    /// As [`Descriptor::write`], at the end of the file, wherever that is then.
    ///
    /// # Errors
    /// As [`Descriptor::write`].
    pub fn append(&self, bytes: &[u8]) -> Op<Result<usize>> {
        self.change(bytes.len(), |file| file.append(bytes))
    }

    /// As [`Descriptor::append`], from several buffers, one after the other
    /// ([`File::append_vectored`]).
    ///
    /// # Errors
    /// As [`Descriptor::write`].
    pub fn append_vectored(&self, bufs: &[&[u8]]) -> Op<Result<usize>> {
        self.change(vectored::length(bufs), |file| match bufs {
            [bytes] => file.append(bytes),
            bufs => file.append_vectored(bufs),
        })
    }

    /// `set-size`: cuts the file to `size` bytes, or extends it with zeros.
    ///
    /// # Errors
    /// - [`ErrorCode::BadDescriptor`]: it is not open for writing.
    pub fn set_size(&self, size: u64) -> Op<Result<()>> {
        match self.writable() {
            Ok(file) => self.and_tell(file.set_size(size)),
            Err(code) => Op::failed(code),
        }
    }

    /// Makes sure that there is room for `length` bytes from `offset` on, and extends a shorter
    /// file with zeros to their end (preview 1's `fd_allocate`).
    ///
    /// # Errors
    /// - [`ErrorCode::BadDescriptor`]: it is not open for writing.
    /// - [`ErrorCode::Invalid`]: `length` is 0.
    /// - [`ErrorCode::FileTooLarge`]: the bytes end beyond 2^64 - 1, or beyond the size that a
    ///   file can have.
    /// - [`ErrorCode::Unsupported`]: the backend can't.
    pub fn allocate(&self, offset: u64, length: u64) -> Op<Result<()>> {
        match self.writable() {
            Ok(_) if length == 0 => Op::failed(ErrorCode::Invalid),
            Ok(_) if offset.checked_add(length).is_none() => Op::failed(ErrorCode::FileTooLarge),
            Ok(file) => self.and_tell(file.allocate(offset, length)),
            Err(code) => Op::failed(code),
        }
    }

    /// `advise`: says how `length` bytes from `offset` on will be used; 0 is up to the end.
    ///
    /// # Errors
    /// - [`ErrorCode::BadDescriptor`]: it is a directory.
    pub fn advise(&self, offset: u64, length: u64, advice: Advice) -> Op<Result<()>> {
        match &self.0.object {
            Object::File(file) => file.advise(offset, length, advice),
            Object::Directory(_) => Op::failed(ErrorCode::BadDescriptor),
        }
    }

    /// `read-via-stream`: the bytes of the file from `offset` on. The stream reads ahead, and
    /// yet gives what the guest wrote up to the moment of each read, through whatever
    /// descriptor or stream.
    ///
    /// # Errors
    /// As [`Descriptor::read`].
    pub fn read_via_stream(&self, offset: u64) -> Result<impl InputStream + use<>> {
        self.input(offset)
    }

    /// As [`Descriptor::read_via_stream`], for who knows more of it than a stream of WASI 0.2
    /// can say.
    pub(crate) fn input(&self, offset: u64) -> Result<FileInputStream> {
        let file = self.readable()?.clone();
        Ok(FileInputStream::new(self.0.clone(), file, offset))
    }

    /// `write-via-stream`: writes into the file, from `offset` on.
    ///
    /// # Errors
    /// - [`ErrorCode::BadDescriptor`]: it is not open for writing.
    pub fn write_via_stream(&self, offset: u64) -> Result<impl OutputStream + use<>> {
        self.writer(Some(offset)).map(FileOutputStream::new)
    }

    /// `append-via-stream`: writes to the end of the file, wherever that is at each write.
    ///
    /// # Errors
    /// As [`Descriptor::write_via_stream`].
    pub fn append_via_stream(&self) -> Result<impl OutputStream + use<>> {
        self.writer(None).map(FileOutputStream::new)
    }

    /// What writes from `position` on; `None` is the end, wherever that is at each write.
    pub(crate) fn writer(&self, position: Option<u64>) -> Result<Writer> {
        let file = self.writable()?.clone();
        Ok(Writer::new(self.0.clone(), file, position))
    }

    /// How many bytes the guest's streams hold.
    #[cfg(all(test, feature = "p3"))]
    pub(crate) fn buffered(&self) -> usize {
        self.0.guest().buffered.used()
    }

    fn readable(&self) -> Result<&Arc<dyn File>> {
        match &self.0.object {
            Object::File(file) if self.0.flags.contains(DescriptorFlags::READ) => Ok(file),
            Object::File(_) => Err(ErrorCode::BadDescriptor),
            Object::Directory(_) => Err(ErrorCode::IsDirectory),
        }
    }

    fn writable(&self) -> Result<&Arc<dyn File>> {
        match &self.0.object {
            Object::File(file) if self.0.flags.contains(DescriptorFlags::WRITE) => Ok(file),
            _ => Err(ErrorCode::BadDescriptor),
        }
    }

    fn change(
        &self,
        length: usize,
        write: impl FnOnce(&dyn File) -> Op<Result<usize>>,
    ) -> Op<Result<usize>> {
        match self.writable() {
            Ok(_) if length == 0 => Op::Ready(Ok(0)),
            Ok(file) => self.and_tell(write(&**file)),
            Err(code) => Op::failed(code),
        }
    }

    /// `op`, which changes the file, and the guest's streams told of it.
    fn and_tell<T: 'static>(&self, op: Op<Result<T>>) -> Op<Result<T>> {
        self.0.changed();
        match op {
            Op::Ready(done) => Op::Ready(done),
            Op::Pending(future) => {
                let open = self.0.clone();
                Op::Pending(Box::pin(async move {
                    let done = future.await;
                    open.changed();
                    done
                }))
            }
        }
    }
}

/// Goes on with a read that gave `read` bytes until `buf` is full or the end is seen, so that
/// a guest need not call once more to learn that it is there. Says how many bytes `buf` has,
/// and whether the end was seen.
pub(crate) fn fill(file: &dyn File, offset: u64, buf: &mut [u8], read: usize) -> (usize, bool) {
    let mut filled = read.min(buf.len());
    if filled == 0 {
        return (0, true);
    }
    // From a device or a pipe, to ask again may be to wait, or to take what was not asked for.
    if file.descriptor_type() != DescriptorType::RegularFile {
        return (filled, false);
    }
    while filled < buf.len() {
        let rest = &mut buf[filled..];
        match file.read_at(offset.saturating_add(filled as u64), rest) {
            Op::Ready(Ok(0)) => return (filled, true),
            Op::Ready(Ok(more)) => filled += more.min(rest.len()),
            // What was read is given; the next call meets the error or the wait.
            Op::Ready(Err(_)) | Op::Pending(_) => break,
        }
    }
    (filled, false)
}
