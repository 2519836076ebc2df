//! Reads and writes that their caller gives up half-way.

use super::PIECE_MAX;
use crate::{
    Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, Directory, DirectoryEntries,
    ErrorCode, File, Object, OpenFlags, PathFlags, Result, WasiFilesystemCtx,
};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use std::sync::Mutex;
use wasi_io::Op;

/// A file whose operations wait until the test lets one be done, and move 4 bytes at most.
struct Slow {
    kind: DescriptorType,
    bytes: Mutex<Vec<u8>>,
    /// How many operations are let be done.
    passes: Mutex<usize>,
    /// Alive in each operation that is under way.
    under_way: Arc<()>,
}

const STEP: usize = 4;

#[derive(Clone)]
struct Handle(Arc<Slow>);

impl Handle {
    fn new(kind: DescriptorType, bytes: &[u8]) -> (Self, Descriptor) {
        let slow = Self(Arc::new(Slow {
            kind,
            bytes: Mutex::new(bytes.to_vec()),
            passes: Mutex::new(0),
            under_way: Arc::new(()),
        }));
        let mut ctx = WasiFilesystemCtx::new().preopen(Arc::new(slow.clone()), "/");
        let (root, _) = ctx.get_directories().remove(0);
        let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
        let file = root.open_at(PathFlags::empty(), "file", OpenFlags::empty(), flags);
        match file {
            Op::Ready(Ok(file)) => (slow, file),
            _ => panic!("it opens at once"),
        }
    }

    fn let_pass(&self, operations: usize) {
        *self.0.passes.lock().unwrap() += operations;
    }

    fn under_way(&self) -> usize {
        Arc::strong_count(&self.0.under_way) - 1
    }

    fn contents(&self) -> Vec<u8> {
        self.0.bytes.lock().unwrap().clone()
    }

    fn later<T: 'static, L>(
        &self,
        operation: impl Fn(&mut Vec<u8>) -> L + Send + 'static,
    ) -> Op<Result<T>, Result<L>>
    where
        L: Send + 'static,
    {
        let (slow, alive) = (self.0.clone(), self.0.under_way.clone());
        Op::Pending(Box::pin(poll_fn(move |_| {
            let _ = &alive;
            let mut passes = slow.passes.lock().unwrap();
            if *passes == 0 {
                return Poll::Pending;
            }
            *passes -= 1;
            Poll::Ready(Ok(operation(&mut slow.bytes.lock().unwrap())))
        })))
    }

    fn write(&self, offset: Option<u64>, bytes: &[u8]) -> Op<Result<usize>> {
        let bytes = bytes[..bytes.len().min(STEP)].to_vec();
        self.later(move |contents| {
            let offset = offset.map_or(contents.len(), |offset| offset as usize);
            let end = offset + bytes.len();
            contents.resize(contents.len().max(end), 0);
            contents[offset..end].copy_from_slice(&bytes);
            bytes.len()
        })
    }
}

impl File for Handle {
    fn descriptor_type(&self) -> DescriptorType {
        self.0.kind
    }

    fn stat(&self) -> Op<Result<DescriptorStat>> {
        Op::Ready(Ok(DescriptorStat::default()))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Op<Result<usize>, Result<Bytes>> {
        let (kind, len) = (self.0.kind, buf.len().min(STEP));
        self.later(move |contents| match kind {
            // What was read is gone.
            DescriptorType::Fifo => contents.drain(..len.min(contents.len())).collect(),
            _ => {
                let rest = contents.get(offset as usize..).unwrap_or_default();
                Bytes::copy_from_slice(&rest[..len.min(rest.len())])
            }
        })
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Op<Result<usize>> {
        self.write(Some(offset), bytes)
    }

    fn append(&self, bytes: &[u8]) -> Op<Result<usize>> {
        self.write(None, bytes)
    }

    fn set_size(&self, _: u64) -> Op<Result<()>> {
        Op::failed(ErrorCode::Unsupported)
    }
}

impl Directory for Handle {
    fn open_at(
        &self,
        _: PathFlags,
        _: &str,
        _: OpenFlags,
        _: DescriptorFlags,
    ) -> Op<Result<Object>> {
        Op::Ready(Ok(Object::File(Arc::new(self.clone()))))
    }

    fn stat(&self) -> Op<Result<DescriptorStat>> {
        Op::failed(ErrorCode::Unsupported)
    }

    fn stat_at(&self, _: PathFlags, _: &str) -> Op<Result<DescriptorStat>> {
        Op::failed(ErrorCode::Unsupported)
    }

    fn read_directory(&self) -> Op<Result<Box<dyn DirectoryEntries>>> {
        Op::failed(ErrorCode::Unsupported)
    }
}

fn cx() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[test]
fn a_read_of_a_file_that_is_given_up_is_no_longer_under_way_and_loses_nothing() {
    let (slow, file) = Handle::new(DescriptorType::RegularFile, b"01234567");
    let mut input = file.input(0).unwrap();
    let mut buf = [0; 100];
    let mut read = Vec::new();
    for _ in 0..2 {
        assert!(input.poll_next(&mut cx(), &mut buf).is_pending());
        assert_eq!(slow.under_way(), 1);
        input.give_up();
        assert_eq!(slow.under_way(), 0);

        slow.let_pass(1);
        match input.poll_next(&mut cx(), &mut buf) {
            Poll::Ready(Ok((n, false))) => read.extend_from_slice(&buf[..n]),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(read, b"01234567");
    slow.let_pass(1);
    let end = input.poll_next(&mut cx(), &mut buf);
    assert_eq!(end, Poll::Ready(Ok((0, true))));
}

#[test]
fn a_read_of_a_pipe_that_is_given_up_is_what_the_next_one_gets() {
    let (slow, file) = Handle::new(DescriptorType::Fifo, b"01234567");
    let mut input = file.input(0).unwrap();
    let mut buf = [0; 100];
    assert!(input.poll_next(&mut cx(), &mut buf).is_pending());
    input.give_up();
    assert_eq!(slow.under_way(), 1);
    slow.let_pass(1);
    let mut read = Vec::new();
    // In smaller pieces than were asked for first.
    for _ in 0..2 {
        match input.poll_next(&mut cx(), &mut buf[..2]) {
            Poll::Ready(Ok((2, false))) => read.extend_from_slice(&buf[..2]),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(read, b"0123");
}

#[test]
fn a_write_says_what_the_backend_took_when_it_took_it() {
    let (slow, file) = Handle::new(DescriptorType::RegularFile, b"");
    let mut writer = file.writer(Some(0)).unwrap();
    let mut rest = &b"0123456789"[..];
    for n in [4, 4, 2] {
        assert!(writer.poll_write(&mut cx(), rest).is_pending());
        slow.let_pass(1);
        assert_eq!(writer.poll_write(&mut cx(), rest), Poll::Ready(Ok(n)));
        rest = &rest[n..];
    }
    assert_eq!(slow.contents(), b"0123456789");
}

#[test]
fn a_write_that_is_given_up_is_written_whole_before_the_next() {
    for position in [Some(0), None] {
        let (slow, file) = Handle::new(DescriptorType::RegularFile, b"");
        let mut writer = file.writer(position).unwrap();
        assert_eq!(writer.keep(b"nothing is under way"), 0);
        assert!(writer.poll_write(&mut cx(), b"0123456789").is_pending());
        assert_eq!(writer.keep(b"0123456789"), 10);
        assert!(writer.is_writing());

        // The first operation, and the rest in two more.
        slow.let_pass(2);
        assert!(writer.poll_write(&mut cx(), b"ab").is_pending());
        assert_eq!(slow.contents(), b"01234567");
        slow.let_pass(1);
        assert!(writer.poll_write(&mut cx(), b"ab").is_pending());
        assert!(!writer.is_writing());
        assert_eq!(slow.contents(), b"0123456789");
        slow.let_pass(1);
        assert_eq!(writer.poll_write(&mut cx(), b"ab"), Poll::Ready(Ok(2)));
        assert_eq!(slow.contents(), b"0123456789ab");
    }
}

#[test]
fn what_waits_is_counted_and_given_back_however_it_ends() {
    let (slow, file) = Handle::new(DescriptorType::RegularFile, b"");
    let piece = alloc::vec![0; PIECE_MAX];
    let mut writer = file.writer(None).unwrap();
    assert_eq!(file.buffered(), 0);
    assert!(writer.poll_write(&mut cx(), &piece).is_pending());
    assert_eq!(file.buffered(), PIECE_MAX);
    slow.let_pass(1);
    assert!(writer.poll_write(&mut cx(), &piece).is_ready());
    assert_eq!(file.buffered(), 0);

    assert!(writer.poll_write(&mut cx(), &piece).is_pending());
    writer.keep(&piece);
    assert_eq!(file.buffered(), PIECE_MAX);
    drop(writer);
    assert_eq!(file.buffered(), 0);

    let mut input = file.input(0).unwrap();
    let mut buf = alloc::vec![0; PIECE_MAX];
    assert!(input.poll_next(&mut cx(), &mut buf).is_pending());
    assert_eq!(file.buffered(), PIECE_MAX);
    input.give_up();
    assert_eq!(file.buffered(), 0);
}
