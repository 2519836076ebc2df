//! The kit passes the backends that need no operating system, and the wrappers.

mod wrapped;

use std::sync::Arc;
use std::task::{Context, Poll};
use wasi_clocks::manual::ManualClock;
use wasi_filesystem::memory::MemFs;
use wasi_filesystem::{
    DescriptorStat, DescriptorType, DirectoryEntries, DirectoryEntry, ErrorCode, Overlay, ReadOnly,
    Result, Vfs, testkit, vfs,
};
use wasi_io::Op;
use wasi_io::testkit::{AtOnce, Report};

fn mem_fs() -> Arc<MemFs> {
    Arc::new(MemFs::new(Arc::new(ManualClock::default())))
}

/// A report in which all holds and nothing was skipped.
#[track_caller]
fn assert_whole(report: &Report) {
    report.assert_ok();
    let all = report.checks().iter().all(|check| check.result.is_ok());
    assert!(all, "{report}");
}

#[test]
fn the_filesystem_in_memory_keeps_every_guarantee_and_all_its_room() {
    let fs = mem_fs();
    let empty = fs.usage();
    assert_whole(&testkit::run(&AtOnce, vfs::directory(fs.clone())));
    assert_eq!(fs.usage(), empty);
}

#[test]
fn a_read_only_directory_changes_nothing() {
    let fs = mem_fs();
    fs.create_dir_all("dir/below").unwrap();
    fs.write_file("file", &[7; 10_000]).unwrap();
    fs.symlink("dir", "link").unwrap();
    let read_only = ReadOnly::new(vfs::directory(fs.clone()));
    assert_whole(&testkit::run(&AtOnce, Arc::new(read_only)));
    assert_eq!(fs.read_dir("").unwrap().len(), 3);
}

#[test]
fn an_overlay_keeps_every_guarantee_over_any_layers() {
    let lower = mem_fs();
    lower.create_dir_all("wasi-filesystem-lower").unwrap();
    lower.write_file("file", b"kept").unwrap();
    let before = lower.usage();
    for read_only in [false, true] {
        let upper = mem_fs();
        let empty = upper.usage();
        let below = vfs::directory(lower.clone());
        let below = match read_only {
            true => Arc::new(ReadOnly::new(below)),
            false => below,
        };
        let overlay = Overlay::new(below, vfs::directory(upper.clone()));
        assert_whole(&testkit::run(&AtOnce, vfs::directory(Arc::new(overlay))));
        assert_eq!(upper.usage(), empty);
        assert_eq!(lower.usage(), before);
    }
}

#[test]
fn operations_that_are_pending_keep_every_guarantee() {
    let slow = || Arc::new(wrapped::Slow(vfs::directory(mem_fs())));
    assert_whole(&testkit::run(&AtOnce, slow()));
    let overlay = || vfs::directory(Arc::new(Overlay::new(slow(), slow())));
    assert_whole(&testkit::run(&AtOnce, overlay()));
    assert_whole(&testkit::run(&AtOnce, Arc::new(wrapped::Slow(overlay()))));
}

#[test]
fn an_overlay_over_an_overlay_keeps_every_guarantee() {
    let memory = || vfs::directory(mem_fs());
    let lower = vfs::directory(Arc::new(Overlay::new(memory(), memory())));
    let overlay = Overlay::new(lower, memory());
    assert_whole(&testkit::run(&AtOnce, vfs::directory(Arc::new(overlay))));
}

/// A directory with one file: as little as a filesystem can be.
struct OneFile;

#[derive(Clone, Copy)]
enum Inode {
    Root,
    File,
}

struct OneEntry(Option<DirectoryEntry>);

impl DirectoryEntries for OneEntry {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<DirectoryEntry>>> {
        Poll::Ready(Ok(self.0.take()))
    }
}

impl Vfs for OneFile {
    type Inode = Inode;

    fn is_read_only(&self) -> bool {
        true
    }

    fn root(&self) -> Inode {
        Inode::Root
    }

    fn descriptor_type(&self, inode: &Inode) -> DescriptorType {
        match inode {
            Inode::Root => DescriptorType::Directory,
            Inode::File => DescriptorType::RegularFile,
        }
    }

    fn stat(&self, inode: &Inode) -> Op<Result<DescriptorStat>> {
        Op::Ready(Ok(DescriptorStat {
            descriptor_type: self.descriptor_type(inode),
            link_count: 1,
            size: 5,
            inode: *inode as u64 + 1,
            ..DescriptorStat::default()
        }))
    }

    fn lookup(&self, _: &Inode, name: &str) -> Op<Result<Inode>> {
        Op::Ready(match name {
            "file" => Ok(Inode::File),
            _ => Err(ErrorCode::NoEntry),
        })
    }

    fn read_directory(&self, _: &Inode) -> Op<Result<Box<dyn DirectoryEntries>>> {
        Op::Ready(Ok(Box::new(OneEntry(Some(DirectoryEntry {
            descriptor_type: DescriptorType::RegularFile,
            name: "file".into(),
            inode: 2,
        })))))
    }

    fn read_at(
        &self,
        _: &Inode,
        offset: u64,
        buf: &mut [u8],
    ) -> Op<Result<usize>, Result<bytes::Bytes>> {
        let rest = b"hello".get(offset as usize..).unwrap_or_default();
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Op::Ready(Ok(n))
    }
}

#[test]
fn a_filesystem_that_is_only_what_it_must_be_is_read_only_and_passes() {
    assert_whole(&testkit::run(&AtOnce, vfs::directory(Arc::new(OneFile))));
}

#[cfg(feature = "std")]
#[test]
fn an_overlay_over_files_files_of_this_machine_keeps_every_guarantee() {
    use wasi_filesystem::os::{Mode, OsDirectory};
    use wasi_io::os::Runtime;
    use wasi_io::testkit::Threads;

    for mode in [Mode::Inline, Mode::Offload(Runtime::current())] {
        let temp = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let [lower, upper] = temp.each_ref().map(|dir| {
            let dir = OsDirectory::open_ambient(dir.path(), mode.clone()).unwrap();
            Arc::new(dir)
        });
        let lower = Arc::new(ReadOnly::new(lower));
        let overlay = vfs::directory(Arc::new(Overlay::new(lower, upper)));
        testkit::run(&Threads, overlay).assert_ok();
        for dir in temp {
            assert_eq!(dir.path().read_dir().unwrap().count(), 0);
        }
    }
}
