//! Bringing what is in the lower layer into the upper one, before it changes.

use super::node::{Layers, Node, Other, Place};
use super::{Core, Key, NO_FOLLOW, RESERVED, find, key, open_dir};
use crate::backend::{Directory, File, Object, Result};
use crate::{DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, NewTimestamp, OpenFlags};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::task::Poll;
use wasi_io::Op;

/// How much is copied at once.
const CHUNK: usize = 64 << 10;
/// After how many chunks others have their turn.
const TURN: u64 = 16;

const BOTH: DescriptorFlags = DescriptorFlags::READ.union(DescriptorFlags::WRITE);

/// The upper part of `node`, made with those above it where they are not there.
pub(super) async fn upper(node: &Arc<Node>) -> Result<Arc<dyn Directory>> {
    let mut missing: Vec<(Arc<Node>, Place, Arc<dyn Directory>)> = Vec::new();
    let mut at = node.clone();
    let mut upper = loop {
        match at.layers() {
            Layers {
                upper: Some(upper), ..
            } => break upper,
            // It was removed.
            Layers { lower: None, .. } => return Err(ErrorCode::NoEntry),
            Layers {
                lower: Some(lower), ..
            } => {
                let place = at.place()?;
                let dir = place.dir.clone();
                missing.push((at, place, lower));
                at = dir;
            }
        }
    };
    while let Some((node, place, lower)) = missing.pop() {
        let before = upper.stat().finish().await;
        match upper.create_directory_at(&place.name).finish().await {
            Ok(()) | Err(ErrorCode::Exist) => {}
            Err(code) => return Err(code),
        }
        let made = open_dir(&upper, &place.name, true).await?;
        keep_times(&*made, lower.stat().finish().await).await;
        keep_times(&*upper, before).await;
        node.set_upper(made.clone());
        upper = made;
    }
    Ok(upper)
}

/// Sets the times of `dir` to those that are known, as far as it lets them be set.
async fn keep_times(dir: &dyn Directory, stat: Result<DescriptorStat>) {
    if let Ok(stat) = stat {
        let (access, modification) = times(&stat);
        let _ = dir.set_times(access, modification).finish().await;
    }
}

fn times(stat: &DescriptorStat) -> (NewTimestamp, NewTimestamp) {
    let new = |time: Option<_>| time.map_or(NewTimestamp::NoChange, NewTimestamp::Timestamp);
    (
        new(stat.data_access_timestamp),
        new(stat.data_modification_timestamp),
    )
}

/// Brings `node`, which is no directory and was just found at `place`, into the upper layer,
/// with its contents where `contents`. A new name is put in the place in one step.
pub(super) async fn copy_up(
    core: &Core,
    node: &Arc<Node>,
    place: &Place,
    contents: bool,
) -> Result<()> {
    let other = match node.other() {
        Some(other) if !other.upper => other,
        _ => return Ok(()),
    };
    let lower = place.dir.layers().lower.ok_or(ErrorCode::NoEntry)?;
    let upper = upper(&place.dir).await?;
    let before = upper.stat().finish().await;
    // Not to be taken for a whiteout: such a name has none.
    let new = format!("{RESERVED}{RESERVED}new");
    // One that is left over may still be written to by an operation that was given up.
    match upper.unlink_file_at(&new).finish().await {
        Ok(()) | Err(ErrorCode::NoEntry) => {}
        Err(code) => return Err(code),
    }
    let file = match node.kind() {
        DescriptorType::SymbolicLink => {
            let target = other.target.as_deref().unwrap_or_default();
            upper.symlink_at(target, &new).finish().await?;
            let (access, modification) = times(&other.stat);
            let set = upper.set_times_at(NO_FOLLOW, &new, access, modification);
            let _ = set.finish().await;
            None
        }
        DescriptorType::RegularFile => {
            let create = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
            let to = open_file(&*upper, &new, create, BOTH).await?;
            if contents {
                let from = match other.reader {
                    Some(reader) => reader,
                    None => {
                        let read = DescriptorFlags::READ;
                        open_file(&*lower, &place.name, OpenFlags::empty(), read).await?
                    }
                };
                copy(&*from, &*to).await?;
            }
            let (access, modification) = times(&other.stat);
            let _ = to.set_times(access, modification).finish().await;
            Some(to)
        }
        // Devices and the like stay where they are.
        _ => return Err(ErrorCode::Unsupported),
    };
    upper.rename_at(&new, &*upper, &place.name).finish().await?;
    keep_times(&*upper, before).await;
    let stat = upper.stat_at(NO_FOLLOW, &place.name).finish().await?;
    let several = other.stat.link_count > 1;
    node.with(|state| {
        // Its other names stay what they were: it is a file of its own now.
        if several {
            state.number = Some(core.number(&stat));
        }
    });
    node.update(|other: &mut Other| {
        other.upper = true;
        other.stat = stat;
        other.reader = None;
        other.writer = file;
    });
    core.table.insert(Key::Upper(key(&stat)), node);
    Ok(())
}

pub(super) async fn open_file(
    dir: &dyn Directory,
    name: &str,
    open_flags: OpenFlags,
    flags: DescriptorFlags,
) -> Result<Arc<dyn File>> {
    match dir
        .open_at(NO_FOLLOW, name, open_flags, flags)
        .finish()
        .await?
    {
        Object::File(file) => Ok(file),
        Object::Directory(_) => Err(ErrorCode::IsDirectory),
    }
}

/// Copies all there is; zeros become holes.
async fn copy(from: &dyn File, to: &dyn File) -> Result<()> {
    let mut buf = vec![0; CHUNK];
    let mut offset = 0_u64;
    for chunk in 1_u64.. {
        let n = match from.read_at(offset, &mut buf) {
            Op::Ready(n) => n?,
            Op::Pending(bytes) => {
                let bytes = bytes.await?;
                let into = buf.get_mut(..bytes.len()).ok_or(ErrorCode::Io)?;
                into.copy_from_slice(&bytes);
                bytes.len()
            }
        };
        if n == 0 {
            break;
        }
        let bytes = buf.get(..n).ok_or(ErrorCode::Io)?;
        if bytes.iter().any(|byte| *byte != 0) {
            let mut written = 0;
            while written < n {
                let at = offset + written as u64;
                match to.write_at(at, &bytes[written..]).finish().await? {
                    0 => return Err(ErrorCode::Io),
                    more => written += more,
                }
            }
        }
        offset += n as u64;
        if chunk % TURN == 0 {
            turn().await;
        }
    }
    to.set_size(offset).finish().await
}

/// Pending once, so that a large copy does not keep others from running.
async fn turn() {
    let mut waited = false;
    poll_fn(|cx| match core::mem::replace(&mut waited, true) {
        true => Poll::Ready(()),
        false => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
    })
    .await;
}

/// What is at the place of `node` now, open for `write` or else for reading.
///
/// # Errors
/// What [`Directory::open_at`] gives for what is not a file.
pub(super) async fn open(
    core: &Arc<Core>,
    node: &Arc<Node>,
    write: bool,
    contents: bool,
) -> Result<Arc<Node>> {
    let place = node.place()?;
    let node = find(core, &place.dir, &place.name).await?;
    match node.kind() {
        DescriptorType::Directory => return Err(ErrorCode::IsDirectory),
        DescriptorType::SymbolicLink => return Err(ErrorCode::Loop),
        _ if write => copy_up(core, &node, &place, contents).await?,
        _ => {}
    }
    let other = node.other().ok_or(ErrorCode::Io)?;
    if other.writer.is_some() || (other.reader.is_some() && !write) {
        return Ok(node);
    }
    let layers = place.dir.layers();
    let dir = match other.upper {
        true => layers.upper,
        false => layers.lower,
    };
    let dir = dir.ok_or(ErrorCode::NoEntry)?;
    let flags = if write { BOTH } else { DescriptorFlags::READ };
    let file = open_file(&*dir, &place.name, OpenFlags::empty(), flags).await?;
    node.update(|other| match write {
        true => (other.writer, other.reader) = (Some(file), None),
        false => other.reader = Some(file),
    });
    Ok(node)
}
