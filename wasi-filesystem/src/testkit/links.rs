//! Symbolic and hard links.

use super::Check;
use super::kit::{FOLLOW, Kit, NO_FOLLOW, Seen, same};
use crate::{DescriptorType, ErrorCode};
use alloc::format;
use alloc::string::String;

pub(super) const CHECKS: &[Check] = &[
    (
        "a symbolic link gives its target back as it was made",
        symlink,
    ),
    (
        "a symbolic link is made only where nothing is",
        symlink_errors,
    ),
    ("only a symbolic link has a target, else invalid", readlink),
    ("a hard link is another name of the same file", link),
    ("a hard link is made only where nothing is", link_errors),
    (
        "a directory gets no hard link: not-permitted",
        link_directory,
    ),
    (
        "a hard link is to a symbolic link or to its target, as asked for",
        link_symlink,
    ),
    (
        "a rename of one name to another of the same file changes nothing",
        rename_same,
    ),
];

fn symlink(kit: &Kit<'_>) -> Seen {
    let long: String = ["long/"; 100].concat();
    for (n, target) in ["x", "a/../b/", "./.", "..", "ünï cödé", "a//b", &long]
        .into_iter()
        .enumerate()
    {
        let path = format!("{n}");
        kit.symlink(target, &path)?;
        same("the target", kit.readlink(&path)?, target.into())?;
        let stat = kit.stat(NO_FOLLOW, &path)?;
        same(
            "its kind",
            stat.descriptor_type,
            DescriptorType::SymbolicLink,
        )?;
        same("its size", stat.size, target.len() as u64)?;
    }
    Ok(())
}

fn symlink_errors(kit: &Kit<'_>) -> Seen {
    kit.mkdir("dir")?;
    kit.write("file", b"kept")?;
    kit.symlink("missing", "link")?;
    for path in ["dir", "dir/", "file", "link", ".", "dir/.."] {
        let op = kit.dir.symlink_at("x", path);
        kit.fails(&format!("making {path:?}"), op, &[ErrorCode::Exist])?;
    }
    let op = kit.dir.symlink_at("x", "new/");
    kit.fails("making \"new/\"", op, &[ErrorCode::NoEntry])?;
    kit.gone("new")?;
    kit.has("file", b"kept")
}

fn readlink(kit: &Kit<'_>) -> Seen {
    kit.mkdir("dir")?;
    kit.write("file", b"")?;
    for path in ["dir", "file", ".", "dir/"] {
        let op = kit.dir.readlink_at(path);
        kit.fails(&format!("reading {path:?}"), op, &[ErrorCode::Invalid])?;
    }
    kit.symlink("dir", "link")?;
    // What it leads to, which is no link.
    let op = kit.dir.readlink_at("link/");
    kit.fails("reading \"link/\"", op, &[ErrorCode::Invalid])
}

fn link(kit: &Kit<'_>) -> Seen {
    kit.mkdir("dir")?;
    kit.write("file", b"one")?;
    kit.link("file", "dir/other")?;
    let stat = kit.stat(FOLLOW, "file")?;
    same("names of the file", stat.link_count, 2)?;
    same(
        "the same by another name",
        kit.stat(FOLLOW, "dir/other")?,
        stat,
    )?;
    kit.write("dir/other", b"two")?;
    kit.has("file", b"two")?;
    kit.unlink("file")?;
    kit.has("dir/other", b"two")?;
    same(
        "names of the file",
        kit.stat(FOLLOW, "dir/other")?.link_count,
        1,
    )
}

fn link_errors(kit: &Kit<'_>) -> Seen {
    kit.mkdir("dir")?;
    kit.write("file", b"kept")?;
    kit.link("file", "other")?;
    for path in ["dir", "dir/", "file", "other", "."] {
        let op = kit.dir.link_at(NO_FOLLOW, "file", &*kit.dir, path);
        kit.fails(&format!("linking to {path:?}"), op, &[ErrorCode::Exist])?;
    }
    let op = kit.dir.link_at(NO_FOLLOW, "file", &*kit.dir, "new/");
    kit.fails("linking to \"new/\"", op, &[ErrorCode::NoEntry])?;
    let op = kit.dir.link_at(NO_FOLLOW, "file/", &*kit.dir, "new");
    kit.fails("linking \"file/\"", op, &[ErrorCode::NotDirectory])?;
    let op = kit.dir.link_at(NO_FOLLOW, "missing", &*kit.dir, "new");
    kit.fails("linking \"missing\"", op, &[ErrorCode::NoEntry])?;
    kit.gone("new")
}

fn link_directory(kit: &Kit<'_>) -> Seen {
    kit.mkdir("dir")?;
    for path in ["dir", "dir/", "."] {
        let op = kit.dir.link_at(NO_FOLLOW, path, &*kit.dir, "new");
        kit.fails(&format!("linking {path:?}"), op, &[ErrorCode::NotPermitted])?;
    }
    kit.gone("new")
}

fn link_symlink(kit: &Kit<'_>) -> Seen {
    kit.write("file", b"here")?;
    kit.symlink("file", "link")?;
    kit.link("link", "itself")?;
    kit.is(NO_FOLLOW, "itself", DescriptorType::SymbolicLink)?;
    let op = kit.dir.link_at(FOLLOW, "link", &*kit.dir, "target");
    kit.ok("linking what a symbolic link leads to", op)?;
    kit.is(NO_FOLLOW, "target", DescriptorType::RegularFile)?;
    kit.has("target", b"here")
}

fn rename_same(kit: &Kit<'_>) -> Seen {
    kit.write("file", b"kept")?;
    kit.link("file", "other")?;
    kit.rename("file", "other")?;
    kit.lists(&["file", "other"])?;
    kit.has("other", b"kept")
}
