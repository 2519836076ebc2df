//! The files of this machine, in both modes.

use std::future::poll_fn;
use std::sync::Arc;
use tempfile::TempDir;
use wasi_filesystem::os::{Mode, OsDirectory};
use wasi_filesystem::{
    DescriptorFlags, DescriptorType, Directory, DirectoryEntry, ErrorCode, File, Object, OpenFlags,
    PathFlags, Result,
};
use wasi_io::Op;
use wasi_io::os::Runtime;

const READ: DescriptorFlags = DescriptorFlags::READ;
const WRITE: DescriptorFlags = DescriptorFlags::WRITE;
const BOTH: DescriptorFlags = READ.union(WRITE);
const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;
const NO_FOLLOW: PathFlags = PathFlags::empty();
const CREATE: OpenFlags = OpenFlags::CREATE;

fn modes() -> [Mode; 2] {
    [Mode::Inline, Mode::Offload(Runtime::current())]
}

fn directory(mode: &Mode) -> (TempDir, OsDirectory) {
    let temp = tempfile::tempdir().unwrap();
    let dir = OsDirectory::open_ambient(temp.path(), mode.clone()).unwrap();
    (temp, dir)
}

/// Waits with an executor that knows nothing of tokio.
fn done<T>(op: Op<T>) -> T
where
    T: 'static,
{
    pollster::block_on(op.finish())
}

async fn read(file: &dyn File, offset: u64, length: usize) -> Result<Vec<u8>> {
    let mut buf = vec![0; length];
    match file.read_at(offset, &mut buf) {
        Op::Ready(count) => count.map(|count| buf[..count].to_vec()),
        Op::Pending(bytes) => bytes.await.map(|bytes| bytes.to_vec()),
    }
}

fn open(
    dir: &dyn Directory,
    path: &str,
    open: OpenFlags,
    flags: DescriptorFlags,
) -> Result<Arc<dyn File>> {
    match done(dir.open_at(NO_FOLLOW, path, open, flags))? {
        Object::File(file) => Ok(file),
        Object::Directory(_) => panic!("{path} is a directory"),
    }
}

fn open_directory(dir: &dyn Directory, path: &str) -> Result<Arc<dyn Directory>> {
    match done(dir.open_at(NO_FOLLOW, path, OpenFlags::DIRECTORY, READ))? {
        Object::Directory(dir) => Ok(dir),
        Object::File(_) => panic!("{path} is a file"),
    }
}

fn entries(dir: &dyn Directory) -> Vec<Result<DirectoryEntry>> {
    let mut entries = done(dir.read_directory()).unwrap();
    let mut all = Vec::new();
    pollster::block_on(async {
        loop {
            match poll_fn(|cx| entries.poll_next(cx)).await {
                Ok(Some(entry)) => all.push(Ok(entry)),
                Ok(None) => return,
                Err(error) => all.push(Err(error)),
            }
        }
    });
    all
}

#[test]
fn what_is_written_is_read_again_and_appended_at_the_end() {
    for mode in modes() {
        let (temp, dir) = directory(&mode);
        let file = open(&dir, "f", CREATE, BOTH).unwrap();
        assert_eq!(done(file.write_at(2, b"abc")), Ok(3));
        assert_eq!(done(file.append(b"de")), Ok(2));
        // O_APPEND was not asked for, so this writes where it says.
        assert_eq!(done(file.write_at(0, b"x")), Ok(1));
        assert_eq!(done(file.write_at(0, b"")), Ok(0));
        let bytes = pollster::block_on(read(&*file, 0, 100));
        assert_eq!(bytes.as_deref(), Ok(&b"x\0abcde"[..]));
        assert_eq!(std::fs::read(temp.path().join("f")).unwrap(), b"x\0abcde");
        done(file.set_size(3)).unwrap();
        assert_eq!(done(file.stat()).unwrap().size, 3);
        assert_eq!(pollster::block_on(read(&*file, 3, 1)), Ok(vec![]));
        done(file.sync()).unwrap();
        done(file.sync_data()).unwrap();
        done(dir.sync()).unwrap();
    }
}

#[test]
fn a_listing_has_every_entry_once_and_says_what_it_is() {
    for mode in modes() {
        let (temp, dir) = directory(&mode);
        let mut expected = Vec::new();
        for n in 0..3000 {
            let name = format!("file-{n}");
            std::fs::write(temp.path().join(&name), b"").unwrap();
            expected.push((name, DescriptorType::RegularFile));
        }
        std::fs::create_dir(temp.path().join("d")).unwrap();
        std::os::unix::fs::symlink("nowhere", temp.path().join("l")).unwrap();
        expected.push(("d".into(), DescriptorType::Directory));
        expected.push(("l".into(), DescriptorType::SymbolicLink));
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        for _ in 0..2 {
            let mut found: Vec<_> = entries(&dir)
                .into_iter()
                .map(|entry| {
                    entry
                        .map(|entry| (entry.name, entry.descriptor_type))
                        .unwrap()
                })
                .collect();
            found.sort_by(|a, b| a.0.cmp(&b.0));
            assert_eq!(found, expected);
        }
        let sub = open_directory(&dir, "d").unwrap();
        assert!(entries(&*sub).is_empty());
        std::fs::remove_dir(temp.path().join("d")).unwrap();
        assert!(entries(&*sub).is_empty());
    }
}

#[test]
fn a_name_that_is_not_unicode_is_an_error_of_its_entry_alone() {
    use std::os::unix::ffi::OsStrExt;
    for mode in modes() {
        let (temp, dir) = directory(&mode);
        let name = std::ffi::OsStr::from_bytes(b"\xff");
        std::fs::write(temp.path().join(name), b"").unwrap();
        std::fs::write(temp.path().join("a"), b"").unwrap();
        std::os::unix::fs::symlink(name, temp.path().join("l")).unwrap();
        let mut found: Vec<_> = entries(&dir)
            .into_iter()
            .map(|entry| entry.map(|entry| entry.name))
            .collect();
        found.sort_by_key(|entry| entry.clone().ok());
        let expected = [
            Err(ErrorCode::IllegalByteSequence),
            Ok("a".into()),
            Ok("l".into()),
        ];
        assert_eq!(found, expected);
        assert_eq!(
            done(dir.readlink_at("l")),
            Err(ErrorCode::IllegalByteSequence)
        );
        // A link may lead to what no path can name.
        assert_eq!(done(dir.stat_at(FOLLOW, "l")).unwrap().size, 0);
    }
}
