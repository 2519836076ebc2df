//! What is one call to a file is one call to the file behind it, through whatever wraps it.

mod wrapped;

use bytes::Bytes;
use std::sync::{Arc, Mutex};
use wasi_clocks::manual::ManualClock;
use wasi_filesystem::memory::MemFs;
use wasi_filesystem::{
    DescriptorFlags, DescriptorStat, DescriptorType, Directory, DirectoryEntries, ErrorCode, File,
    Object, OpenFlags, Overlay, PathFlags, ReadOnly, Result, vfs,
};
use wasi_io::Op;

/// A directory with one file, which takes note of how it is asked.
#[derive(Clone, Default)]
struct One(Arc<Mutex<Vec<String>>>);

impl One {
    fn called<T>(&self, call: String, gives: T) -> Op<Result<T>> {
        self.0.lock().unwrap().push(call);
        Op::Ready(Ok(gives))
    }

    fn stat_of(descriptor_type: DescriptorType, inode: u64) -> Op<Result<DescriptorStat>> {
        Op::Ready(Ok(DescriptorStat {
            descriptor_type,
            link_count: 1,
            device: 7,
            inode,
            ..DescriptorStat::default()
        }))
    }
}

impl Directory for One {
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
        Self::stat_of(DescriptorType::Directory, 1)
    }

    fn stat_at(&self, _: PathFlags, path: &str) -> Op<Result<DescriptorStat>> {
        match path {
            "file" => Self::stat_of(DescriptorType::RegularFile, 2),
            _ => Op::failed(ErrorCode::NoEntry),
        }
    }

    fn read_directory(&self) -> Op<Result<Box<dyn DirectoryEntries>>> {
        Op::failed(ErrorCode::Unsupported)
    }
}

impl File for One {
    fn stat(&self) -> Op<Result<DescriptorStat>> {
        Self::stat_of(DescriptorType::RegularFile, 2)
    }

    fn read_at(&self, _: u64, _: &mut [u8]) -> Op<Result<usize>, Result<Bytes>> {
        panic!("a part was read alone");
    }

    fn write_at(&self, _: u64, _: &[u8]) -> Op<Result<usize>> {
        panic!("a part was written alone");
    }

    fn append(&self, _: &[u8]) -> Op<Result<usize>> {
        panic!("a part was appended alone");
    }

    fn set_size(&self, _: u64) -> Op<Result<()>> {
        panic!("its size was set");
    }

    fn read_vectored_at(
        &self,
        offset: u64,
        bufs: &mut [&mut [u8]],
    ) -> Op<Result<usize>, Result<Bytes>> {
        bufs.iter_mut().for_each(|buf| buf.fill(b'r'));
        let lengths: Vec<_> = bufs.iter().map(|buf| buf.len()).collect();
        let total = lengths.iter().sum();
        match self.called(format!("read {lengths:?} at {offset}"), total) {
            Op::Ready(n) => Op::Ready(n),
            Op::Pending(_) => unreachable!(),
        }
    }

    fn write_vectored_at(&self, offset: u64, bufs: &[&[u8]]) -> Op<Result<usize>> {
        let text = bufs.join(&b'|').escape_ascii().to_string();
        self.called(format!("write {text} at {offset}"), bufs.concat().len())
    }

    fn append_vectored(&self, bufs: &[&[u8]]) -> Op<Result<usize>> {
        let text = bufs.join(&b'|').escape_ascii().to_string();
        self.called(format!("append {text}"), bufs.concat().len())
    }

    fn allocate(&self, offset: u64, length: u64) -> Op<Result<()>> {
        self.called(format!("allocate {length} at {offset}"), ())
    }

    fn sync(&self) -> Op<Result<()>> {
        self.called("sync".into(), ())
    }

    fn sync_data(&self) -> Op<Result<()>> {
        self.called("sync data".into(), ())
    }
}

fn done<T: 'static>(op: Op<T>) -> T {
    pollster::block_on(op.finish())
}

fn open(dir: &dyn Directory, flags: DescriptorFlags) -> Arc<dyn File> {
    match done(dir.open_at(PathFlags::empty(), "file", OpenFlags::empty(), flags)) {
        Ok(Object::File(file)) => file,
        _ => panic!("it is a file, and can be opened"),
    }
}

/// That the file of `dir`, which wraps `one`, asks it once for what is asked once.
fn check(one: &One, dir: Arc<dyn Directory>, changes: bool) {
    let flags = match changes {
        true => DescriptorFlags::READ | DescriptorFlags::WRITE,
        false => DescriptorFlags::READ,
    };
    let file = open(&*dir, flags);
    let (mut a, mut b) = ([0; 2], [0; 3]);
    match file.read_vectored_at(9, &mut [&mut a, &mut [], &mut b]) {
        Op::Ready(n) => {
            assert_eq!(n, Ok(5));
            assert_eq!((&a, &b), (b"rr", b"rrr"));
        }
        Op::Pending(bytes) => assert_eq!(pollster::block_on(bytes).unwrap(), &b"rrrrr"[..]),
    }
    let bufs = [&b"ab"[..], b"", b"c"];
    let answers = (
        done(file.write_vectored_at(4, &bufs)),
        done(file.append_vectored(&bufs)),
        done(file.allocate(5, 6)),
    );
    let calls = std::mem::take(&mut *one.0.lock().unwrap());
    match changes {
        true => {
            assert_eq!(answers, (Ok(3), Ok(3), Ok(())));
            let changes = ["write ab||c at 4", "append ab||c", "allocate 6 at 5"];
            assert_eq!(calls[0], "read [2, 0, 3] at 9");
            assert_eq!(calls[1..], changes);
        }
        false => {
            let refused = ErrorCode::ReadOnly;
            assert_eq!(answers, (Err(refused), Err(refused), Err(refused)));
            assert_eq!(calls, ["read [2, 0, 3] at 9"]);
        }
    }
}

fn nothing() -> Arc<dyn Directory> {
    vfs::directory(Arc::new(MemFs::new(Arc::new(ManualClock::default()))))
}

#[test]
fn what_a_file_opened_to_be_synced_writes_is_synced() {
    let file_sync = DescriptorFlags::FILE_INTEGRITY_SYNC;
    let data_sync = DescriptorFlags::DATA_INTEGRITY_SYNC;
    for (flag, sync) in [
        (DescriptorFlags::empty(), None),
        (file_sync, Some("sync")),
        (data_sync, Some("sync data")),
    ] {
        let one = One::default();
        let overlay = Overlay::new(nothing(), Arc::new(one.clone()));
        let dir = vfs::directory(Arc::new(overlay));
        let file = open(&*dir, DescriptorFlags::WRITE | flag);
        done(file.write_vectored_at(0, &[b"a", b"b"])).unwrap();
        done(file.append_vectored(&[b"c", b"d"])).unwrap();
        done(file.allocate(1, 2)).unwrap();
        let changes = ["write a|b at 0", "append c|d", "allocate 2 at 1"];
        let expected: Vec<_> = changes
            .iter()
            .flat_map(|change| [*change].into_iter().chain(sync))
            .collect();
        assert_eq!(*one.0.lock().unwrap(), expected, "{flag:?}");
    }
}

#[test]
fn several_buffers_are_one_call_through_every_wrapper() {
    let one = One::default();
    check(&one, Arc::new(one.clone()), true);
    check(&one, Arc::new(ReadOnly::new(Arc::new(one.clone()))), false);
    check(&one, Arc::new(wrapped::Slow(Arc::new(one.clone()))), true);
    let overlay = Overlay::new(nothing(), Arc::new(one.clone()));
    check(&one, vfs::directory(Arc::new(overlay)), true);
    let overlay = Overlay::new(Arc::new(one.clone()), nothing());
    let read_only = ReadOnly::new(vfs::directory(Arc::new(overlay)));
    check(&one, Arc::new(read_only), false);
}
