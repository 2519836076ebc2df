use super::bufs::joined;
use super::calls::{Calls, Offload, PIECE_MAX};
use super::sys;
use crate::vectored::length;
use crate::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, File, NewTimestamp, Result,
};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use wasi_io::Op;

/// An open file of this machine.
pub(super) struct OsFile {
    file: Arc<std::fs::File>,
    descriptor_type: DescriptorType,
    /// Writes end in the page cache.
    buffered: bool,
    calls: Calls,
}

impl OsFile {
    pub(super) fn new(
        file: std::fs::File,
        descriptor_type: DescriptorType,
        flags: DescriptorFlags,
        calls: Calls,
    ) -> Self {
        let synchronous =
            DescriptorFlags::FILE_INTEGRITY_SYNC | DescriptorFlags::DATA_INTEGRITY_SYNC;
        Self {
            file: Arc::new(file),
            descriptor_type,
            buffered: descriptor_type == DescriptorType::RegularFile
                && !flags.intersects(synchronous),
            calls,
        }
    }

    /// Makes a call on the file, here or on the pool.
    fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&std::fs::File) -> Result<T> + Send + 'static,
    ) -> Op<Result<T>> {
        match self.calls.offload() {
            None => Op::Ready(call(&self.file)),
            Some(offload) => {
                let file = self.file.clone();
                offload.run(move || call(&file))
            }
        }
    }

    /// Reads what no disk was asked for yet.
    fn read_later(
        &self,
        offload: &Offload,
        offset: u64,
        length: usize,
    ) -> Op<Result<usize>, Result<Bytes>> {
        let file = self.file.clone();
        offload.run_while_awaited(move || {
            let mut bytes = alloc::vec![0; length];
            let count = sys::read_at(&file, offset, &mut bytes)?;
            bytes.truncate(count);
            Ok(Bytes::from(bytes))
        })
    }

    fn write(
        &self,
        bytes: &[u8],
        write: impl FnOnce(&std::fs::File, &[u8]) -> Result<usize> + Send + 'static,
    ) -> Op<Result<usize>> {
        if bytes.is_empty() {
            return Op::Ready(Ok(0));
        }
        let Some(offload) = self.calls.offload() else {
            return Op::Ready(write(&self.file, bytes));
        };
        let bytes = &bytes[..bytes.len().min(PIECE_MAX)];
        if self.buffered && offload.writes.pass() {
            return Op::Ready(offload.writes.watch(|| write(&self.file, bytes)));
        }
        self.write_later(offload, bytes.into(), write)
    }

    /// As [`OsFile::write`] from several buffers: here by `vectored`, which is told how many
    /// bytes to write at most, on the pool by `write`.
    fn write_vectored(
        &self,
        bufs: &[&[u8]],
        vectored: impl FnOnce(&std::fs::File, usize) -> Result<usize>,
        write: impl FnOnce(&std::fs::File, &[u8]) -> Result<usize> + Send + 'static,
    ) -> Op<Result<usize>> {
        if length(bufs) == 0 {
            return Op::Ready(Ok(0));
        }
        let Some(offload) = self.calls.offload() else {
            return Op::Ready(vectored(&self.file, usize::MAX));
        };
        if self.buffered && offload.writes.pass() {
            return Op::Ready(offload.writes.watch(|| vectored(&self.file, PIECE_MAX)));
        }
        self.write_later(offload, joined(bufs, PIECE_MAX), write)
    }

    fn write_later(
        &self,
        offload: &Arc<Offload>,
        bytes: Vec<u8>,
        write: impl FnOnce(&std::fs::File, &[u8]) -> Result<usize> + Send + 'static,
    ) -> Op<Result<usize>> {
        let (file, pool) = (self.file.clone(), offload.clone());
        let watched = self.buffered;
        offload.run(move || match watched {
            true => pool.writes.watch(|| write(&file, &bytes)),
            false => write(&file, &bytes),
        })
    }
}

impl File for OsFile {
    fn descriptor_type(&self) -> DescriptorType {
        self.descriptor_type
    }

    fn stat(&self) -> Op<Result<DescriptorStat>> {
        Op::Ready(sys::stat(&self.file))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Op<Result<usize>, Result<Bytes>> {
        let Some(offload) = self.calls.offload() else {
            return Op::Ready(sys::read_at(&self.file, offset, buf));
        };
        let length = buf.len().min(PIECE_MAX);
        if let Some(result) = sys::read_at_cached(&self.file, offset, &mut buf[..length]) {
            return Op::Ready(result);
        }
        self.read_later(offload, offset, length)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Op<Result<usize>> {
        self.write(bytes, move |file, bytes| sys::write_at(file, offset, bytes))
    }

    fn append(&self, bytes: &[u8]) -> Op<Result<usize>> {
        self.write(bytes, sys::append)
    }

    fn read_vectored_at(
        &self,
        offset: u64,
        bufs: &mut [&mut [u8]],
    ) -> Op<Result<usize>, Result<Bytes>> {
        let length = length(bufs);
        if length == 0 {
            return Op::Ready(Ok(0));
        }
        let Some(offload) = self.calls.offload() else {
            return Op::Ready(sys::read_vectored_at(&self.file, offset, bufs));
        };
        let length = length.min(PIECE_MAX);
        if let Some(result) = sys::read_vectored_at_cached(&self.file, offset, bufs, length) {
            return Op::Ready(result);
        }
        self.read_later(offload, offset, length)
    }

    fn write_vectored_at(&self, offset: u64, bufs: &[&[u8]]) -> Op<Result<usize>> {
        self.write_vectored(
            bufs,
            |file, max| sys::write_vectored_at(file, offset, bufs, max),
            move |file, bytes| sys::write_at(file, offset, bytes),
        )
    }

    fn append_vectored(&self, bufs: &[&[u8]]) -> Op<Result<usize>> {
        self.write_vectored(
            bufs,
            |file, max| sys::append_vectored(file, bufs, max),
            sys::append,
        )
    }

    fn allocate(&self, offset: u64, length: u64) -> Op<Result<()>> {
        if self.descriptor_type != DescriptorType::RegularFile {
            return Op::failed(ErrorCode::Invalid);
        }
        self.call(move |file| sys::allocate(file, offset, length))
    }

    fn set_size(&self, size: u64) -> Op<Result<()>> {
        if self.descriptor_type != DescriptorType::RegularFile {
            return Op::failed(ErrorCode::Invalid);
        }
        self.call(move |file| sys::set_size(file, size))
    }

    fn set_times(&self, access: NewTimestamp, modification: NewTimestamp) -> Op<Result<()>> {
        self.call(move |file| sys::set_times(file, access, modification))
    }

    fn sync(&self) -> Op<Result<()>> {
        self.call(sys::sync)
    }

    fn sync_data(&self) -> Op<Result<()>> {
        self.call(sys::sync_data)
    }

    fn advise(&self, offset: u64, length: u64, advice: Advice) -> Op<Result<()>> {
        match advice {
            // Starts reading or writing back, which may wait.
            Advice::WillNeed | Advice::DontNeed => {
                self.call(move |file| sys::advise(file, offset, length, advice))
            }
            _ => Op::Ready(sys::advise(&self.file, offset, length, advice)),
        }
    }
}
