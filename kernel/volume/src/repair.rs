//! What a machine that stopped in the middle of a rename left: one object under two names. FAT
//! can't have that: who removed or cut one of them would break the other.

use crate::disk::{DiskError, SECTOR, Sectors};
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;
use hadris_fat::sync::FatFs;
use hadris_fs::{DirCursor, ErrorKind, Extent, NodeId};

type Error = hadris_fs::Error<DiskError>;

/// How many entries are looked at.
const OBJECTS_MAX: usize = 1 << 16;
/// The most that are repaired. A rename leaves one.
const DOUBLES_MAX: usize = 16;
/// Bytes that are copied at once.
const COPY: usize = 32 << 10;

/// A second name of an object.
pub(crate) struct Double {
    /// What has the first name.
    first: NodeId,
    second: NodeId,
    /// Where the second name's entry is on the disk, in bytes.
    entry: u64,
    size: u64,
    is_directory: bool,
}

/// All that have two names, as far as they can be read.
pub(crate) fn find(fs: &mut FatFs<Sectors>) -> Vec<Double> {
    let mut doubles = Vec::new();
    // By where their contents begin.
    let mut objects = BTreeMap::new();
    let mut directories = vec![fs.root()];
    let mut left = OBJECTS_MAX;
    if let Ok(Some(at)) = begin(fs, fs.root()) {
        objects.insert(at, fs.root());
    }
    while let Some(dir) = directories.pop() {
        let mut from = DirCursor::START;
        while left > 0
            && doubles.len() < DOUBLES_MAX
            && let Ok(Some(entry)) = fs.readdir(dir, from)
        {
            left -= 1;
            from = entry.next_cursor();
            let (node, is_directory) = (entry.node(), entry.file_type().is_dir());
            let Ok(Some(at)) = begin(fs, node) else {
                continue;
            };
            let Some(other) = objects.insert(at, node) else {
                if is_directory {
                    directories.push(node);
                }
                continue;
            };
            // A directory is where its own entry of the one above says.
            let (first, second) = match is_directory && is_above(fs, dir, node) {
                true => (node, other),
                false => (other, node),
            };
            objects.insert(at, first);
            let mut record = [Extent::new(0, 0)];
            if is_alike(fs, other, is_directory) && matches!(fs.records(second, &mut record), Ok(1))
            {
                doubles.push(Double {
                    first,
                    second,
                    entry: record[0].offset(),
                    size: entry.metadata().len(),
                    is_directory,
                });
            }
        }
    }
    doubles
}

/// Where the contents begin on the disk, in bytes; nothing where there are none.
fn begin(fs: &mut FatFs<Sectors>, node: NodeId) -> Result<Option<u64>, Error> {
    let mut extents = [Extent::new(0, 0)];
    let found = fs.extents(node, 0, &mut extents)?;
    Ok((found > 0).then(|| extents[0].offset()))
}

fn is_above(fs: &mut FatFs<Sectors>, dir: NodeId, node: NodeId) -> bool {
    match fs.parent(node) {
        Ok(above) => {
            fs.forget(above, 1);
            above == dir
        }
        Err(_) => false,
    }
}

/// Not so on a disk that somebody prepared.
fn is_alike(fs: &mut FatFs<Sectors>, node: NodeId, is_directory: bool) -> bool {
    let kind = fs.stat(node).map(|stat| stat.file_type().is_dir());
    node != fs.root() && matches!(kind, Ok(kind) if kind == is_directory)
}

/// Takes the contents away from the second names: a file is empty then, a directory is not there.
/// Nobody else may use the disk.
pub(crate) fn separate(disk: &mut Sectors, doubles: &[Double]) -> Result<(), DiskError> {
    for double in doubles {
        let (sector, at) = (double.entry / SECTOR as u64, double.entry % SECTOR as u64);
        let mut bytes = [0; SECTOR];
        disk.0.read(sector, &mut bytes)?;
        let entry = &mut bytes[at as usize..][..32];
        match double.is_directory {
            // The mark of an entry that is free.
            true => entry[0] = 0xe5,
            // The first cluster's two halves, and the size after the lower one.
            false => {
                entry[20..22].fill(0);
                entry[26..32].fill(0);
            }
        }
        disk.0.write(sector, &bytes)?;
    }
    Ok(())
}

/// Gives the files that were separated contents of their own, the same as before.
pub(crate) fn copy(fs: &mut FatFs<Sectors>, doubles: &[Double]) -> Result<(), Error> {
    let mut buf = vec![0; COPY];
    for double in doubles.iter().filter(|double| !double.is_directory) {
        let mut done = 0;
        while done < double.size {
            let read = fs.read(double.first, done, &mut buf)?;
            if read == 0 {
                break;
            }
            match fs.write(double.second, done, &buf[..read]) {
                // It has the beginning.
                Err(error) if error.kind() == ErrorKind::NoSpace => break,
                written => done += written? as u64,
            }
        }
    }
    fs.sync()
}
