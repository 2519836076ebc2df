//! Operations on files, waited for with an executor that knows nothing of tokio.
#![allow(dead_code, unreachable_pub)]

use std::future::poll_fn;
use std::sync::Arc;
use wasi_filesystem::os::Mode;
use wasi_filesystem::{
    DescriptorFlags, Directory, DirectoryEntry, File, Object, OpenFlags, PathFlags, Result,
};
use wasi_io::Op;
use wasi_io::os::Runtime;

pub const READ: DescriptorFlags = DescriptorFlags::READ;
pub const WRITE: DescriptorFlags = DescriptorFlags::WRITE;
pub const BOTH: DescriptorFlags = READ.union(WRITE);
pub const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;
pub const NO_FOLLOW: PathFlags = PathFlags::empty();
pub const CREATE: OpenFlags = OpenFlags::CREATE;
pub const EXISTING: OpenFlags = OpenFlags::empty();

/// Both modes, the second on a runtime that the test is not in.
pub fn modes() -> [Mode; 2] {
    [Mode::Inline, Mode::Offload(Runtime::current())]
}

pub fn done<T: 'static>(op: Op<T>) -> T {
    pollster::block_on(op.finish())
}

/// Reads until `length` bytes or the end: a single read may end where a disk is needed.
pub fn read(file: &dyn File, offset: u64, length: usize) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    while all.len() < length {
        let mut buf = vec![0; length - all.len()];
        let bytes = match file.read_at(offset.saturating_add(all.len() as u64), &mut buf) {
            Op::Ready(count) => buf[..count?].to_vec(),
            Op::Pending(bytes) => pollster::block_on(bytes)?.to_vec(),
        };
        if bytes.is_empty() {
            break;
        }
        all.extend(bytes);
    }
    Ok(all)
}

pub fn slices(bufs: &[Vec<u8>]) -> Vec<&[u8]> {
    bufs.iter().map(|buf| &buf[..]).collect()
}

/// What one read into buffers of these lengths gives.
pub fn read_once(file: &dyn File, offset: u64, lengths: &[usize]) -> Result<Vec<u8>> {
    let mut bufs: Vec<_> = lengths.iter().map(|length| vec![0; *length]).collect();
    let mut slices: Vec<_> = bufs.iter_mut().map(|buf| &mut buf[..]).collect();
    match file.read_vectored_at(offset, &mut slices) {
        Op::Ready(count) => {
            let count = count?;
            let mut all = bufs.concat();
            all.truncate(count);
            Ok(all)
        }
        Op::Pending(bytes) => Ok(pollster::block_on(bytes)?.to_vec()),
    }
}

/// As [`read`], into buffers of these lengths.
pub fn read_vectored(file: &dyn File, offset: u64, lengths: &[usize]) -> Result<Vec<u8>> {
    let mut all = read_once(file, offset, lengths)?;
    let left = lengths.iter().sum::<usize>() - all.len();
    if !all.is_empty() {
        all.extend(read(file, offset + all.len() as u64, left)?);
    }
    Ok(all)
}

/// Opens a file, and does not follow a link.
pub fn open(
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

pub fn open_directory(dir: &dyn Directory, path: &str) -> Result<Arc<dyn Directory>> {
    match done(dir.open_at(NO_FOLLOW, path, OpenFlags::DIRECTORY, READ))? {
        Object::Directory(dir) => Ok(dir),
        Object::File(_) => panic!("{path} is a file"),
    }
}

/// All entries, with an error for each that has one.
pub fn entries(dir: &dyn Directory) -> Result<Vec<Result<DirectoryEntry>>> {
    let mut entries = done(dir.read_directory())?;
    let mut all = Vec::new();
    pollster::block_on(async {
        loop {
            match poll_fn(|cx| entries.poll_next(cx)).await {
                Ok(Some(entry)) => all.push(Ok(entry)),
                Ok(None) => return Ok(all),
                Err(error) => all.push(Err(error)),
            }
        }
    })
}
