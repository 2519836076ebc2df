//! What changes the names of an overlay. All of it runs under its lock.

use super::copy_up::{copy_up, open_file, upper};
use super::listing::Listing;
use super::node::{Node, Place};
use super::{Core, NO_FOLLOW, RESERVED, find, is_reserved, optional, whiteout};
use crate::backend::{Directory, Result};
use crate::{DescriptorFlags, DirectoryEntries, ErrorCode, NewTimestamp, OpenFlags};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;

/// The upper part of `dir`, where `name` is free for something new.
async fn free(core: &Arc<Core>, dir: &Arc<Node>, name: &str) -> Result<Arc<dyn Directory>> {
    if is_reserved(name) {
        return Err(ErrorCode::NotPermitted);
    }
    match find(core, dir, name).await {
        Ok(_) => Err(ErrorCode::Exist),
        Err(ErrorCode::NoEntry) => upper(dir).await,
        Err(code) => Err(code),
    }
}

/// Hides what the lower part of `dir` has by this name, if it has something.
async fn hide(dir: &Node, upper: &dyn Directory, name: &str) -> Result<()> {
    let Some(lower) = dir.layers().lower else {
        return Ok(());
    };
    if optional(lower.stat_at(NO_FOLLOW, name)).await?.is_none() {
        return Ok(());
    }
    let create = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    let made = open_file(upper, &whiteout(name), create, DescriptorFlags::WRITE).await;
    match made {
        Ok(_) | Err(ErrorCode::Exist) => Ok(()),
        Err(code) => Err(code),
    }
}

async fn next(entries: &mut dyn DirectoryEntries) -> Result<Option<crate::DirectoryEntry>> {
    poll_fn(|cx| entries.poll_next(cx)).await
}

pub(super) async fn listing(dir: &Node) -> Result<Box<dyn DirectoryEntries>> {
    let layers = dir.layers();
    let upper = match layers.upper {
        Some(upper) => Some(upper.read_directory().finish().await?),
        None => None,
    };
    let lower = match layers.lower {
        Some(lower) => {
            let entries = lower.read_directory().finish().await?;
            Some((lower, entries))
        }
        None => None,
    };
    Ok(Box::new(Listing::new(upper, lower)))
}

async fn check_empty(dir: &Node) -> Result<()> {
    match next(&mut *listing(dir).await?).await {
        Ok(None) => Ok(()),
        Ok(Some(_)) | Err(ErrorCode::IllegalByteSequence) => Err(ErrorCode::NotEmpty),
        Err(code) => Err(code),
    }
}

/// Makes the upper part of the directory `node`, in which nothing is to be seen, empty indeed.
/// Its lower part is hidden first: without whiteouts, what is there would come back.
async fn clear(dir: &Node, in_upper: &dyn Directory, name: &str, node: &Node) -> Result<()> {
    hide(dir, in_upper, name).await?;
    node.hide_lower();
    let Some(upper) = node.layers().upper else {
        return Ok(());
    };
    let mut entries = upper.read_directory().finish().await?;
    let mut whiteouts = Vec::new();
    // As many as the lower part had names, at most.
    while let Some(entry) = next(&mut *entries).await? {
        if entry.name.starts_with(RESERVED) {
            whiteouts.push(entry.name);
        }
    }
    for name in whiteouts {
        optional(upper.unlink_file_at(&name)).await?;
    }
    Ok(())
}

pub(super) async fn create_file(
    core: &Arc<Core>,
    dir: &Arc<Node>,
    name: &str,
) -> Result<Arc<Node>> {
    let upper = free(core, dir, name).await?;
    let create = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let file = open_file(&*upper, name, create, flags).await?;
    let node = find(core, dir, name).await?;
    node.update(|other| other.writer = Some(file));
    Ok(node)
}

pub(super) async fn create_directory(core: &Arc<Core>, dir: &Arc<Node>, name: &str) -> Result<()> {
    // Where a whiteout is, it stays: so nothing shines through the new directory.
    let upper = free(core, dir, name).await?;
    upper.create_directory_at(name).finish().await
}

pub(super) async fn create_symlink(
    core: &Arc<Core>,
    dir: &Arc<Node>,
    name: &str,
    target: &str,
) -> Result<()> {
    let upper = free(core, dir, name).await?;
    upper.symlink_at(target, name).finish().await
}

pub(super) async fn link(
    core: &Arc<Core>,
    node: &Arc<Node>,
    dir: &Arc<Node>,
    name: &str,
) -> Result<()> {
    let to = free(core, dir, name).await?;
    let place = node.place()?;
    let node = find(core, &place.dir, &place.name).await?;
    if node.is_directory() {
        return Err(ErrorCode::NotPermitted);
    }
    copy_up(core, &node, &place, true).await?;
    let from = upper(&place.dir).await?;
    from.link_at(NO_FOLLOW, &place.name, &*to, name)
        .finish()
        .await
}

pub(super) async fn unlink(core: &Arc<Core>, dir: &Arc<Node>, name: &str) -> Result<()> {
    let node = find(core, dir, name).await?;
    let other = node.other().ok_or(ErrorCode::IsDirectory)?;
    let upper = upper(dir).await?;
    hide(dir, &*upper, name).await?;
    match other.upper {
        true => upper.unlink_file_at(name).finish().await,
        false => {
            node.update(|other| other.unlinked = true);
            Ok(())
        }
    }
}

pub(super) async fn remove_directory(core: &Arc<Core>, dir: &Arc<Node>, name: &str) -> Result<()> {
    let node = find(core, dir, name).await?;
    if !node.is_directory() {
        return Err(ErrorCode::NotDirectory);
    }
    check_empty(&node).await?;
    let upper = upper(dir).await?;
    clear(dir, &*upper, name, &node).await?;
    match node.layers().upper {
        Some(_) => upper.remove_directory_at(name).finish().await,
        None => Ok(()),
    }
}

pub(super) async fn rename(
    core: &Arc<Core>,
    dir: &Arc<Node>,
    name: &str,
    new_dir: &Arc<Node>,
    new_name: &str,
) -> Result<()> {
    let node = find(core, dir, name).await?;
    if is_reserved(new_name) {
        return Err(ErrorCode::NotPermitted);
    }
    if node.is_directory() && is_within(new_dir, &node) {
        return Err(ErrorCode::Invalid);
    }
    let replaced = match find(core, new_dir, new_name).await {
        Ok(replaced) => Some(replaced),
        Err(ErrorCode::NoEntry) => None,
        Err(code) => return Err(code),
    };
    if let Some(replaced) = &replaced {
        match (node.is_directory(), replaced.is_directory()) {
            _ if Arc::ptr_eq(replaced, &node) => return Ok(()),
            (true, false) => return Err(ErrorCode::NotDirectory),
            (false, true) => return Err(ErrorCode::IsDirectory),
            _ => {}
        }
    }
    if node.is_directory() && node.layers().lower.is_some() {
        // What is below has places of its own in the lower layer.
        return Err(ErrorCode::CrossDevice);
    }
    let (from, to) = (upper(dir).await?, upper(new_dir).await?);
    match &replaced {
        Some(replaced) if node.is_directory() => {
            check_empty(replaced).await?;
            // It is seen until the rename, also if that fails.
            upper(replaced).await?;
            clear(new_dir, &*to, new_name, replaced).await?;
        }
        _ => {
            let (dir, name) = (dir.clone(), name.into());
            copy_up(core, &node, &Place { dir, name }, true).await?;
        }
    }
    // What is in the upper layer is seen until the rename, whatever is hidden below.
    hide(dir, &*from, name).await?;
    from.rename_at(name, &*to, new_name).finish().await?;
    if let Some(replaced) = replaced {
        replaced.update(|other| other.unlinked = !other.upper);
    }
    let (dir, name) = (new_dir.clone(), new_name.into());
    node.set_place(Place { dir, name });
    Ok(())
}

/// Whether the directory `inner` is `outer` or somewhere below it.
fn is_within(inner: &Arc<Node>, outer: &Arc<Node>) -> bool {
    let mut at = inner.clone();
    loop {
        if Arc::ptr_eq(&at, outer) {
            return true;
        }
        match at.place() {
            Ok(place) => at = place.dir,
            Err(_) => return false,
        }
    }
}

pub(super) async fn set_times(
    core: &Arc<Core>,
    node: &Arc<Node>,
    access: NewTimestamp,
    modification: NewTimestamp,
) -> Result<()> {
    if node.is_directory() {
        let upper = upper(node).await?;
        return upper.set_times(access, modification).finish().await;
    }
    let place = node.place()?;
    let found = match find(core, &place.dir, &place.name).await {
        Ok(found) => Some(found),
        Err(ErrorCode::NoEntry) => None,
        Err(code) => return Err(code),
    };
    let open = node.reader();
    // Who has it open means it, and not what is there by now.
    match found.filter(|found| open.is_none() || Arc::ptr_eq(found, node)) {
        Some(found) => {
            copy_up(core, &found, &place, true).await?;
            let upper = upper(&place.dir).await?;
            let set = upper.set_times_at(NO_FOLLOW, &place.name, access, modification);
            set.finish().await
        }
        None => match (open, node.other()) {
            (Some(file), Some(other)) if other.upper => {
                file.set_times(access, modification).finish().await
            }
            (Some(_), _) => Err(ErrorCode::ReadOnly),
            (None, _) => Err(ErrorCode::NoEntry),
        },
    }
}
