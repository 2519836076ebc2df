//! Taking names away, and moving them.

use super::Check;
use super::kit::{FOLLOW, Kit, NO_FOLLOW, Seen, same};
use crate::backend::{Directory, DirectoryEntries, Object, Result};
use crate::{DescriptorFlags, DescriptorStat, DescriptorType, ErrorCode, OpenFlags, PathFlags};
use alloc::boxed::Box;
use alloc::format;
use wasi_io::Op;

pub(super) const CHECKS: &[Check] = &[
    (
        "an unlinked file is gone, and lives on while it is open",
        unlink,
    ),
    (
        "a directory is not unlinked: is-directory",
        unlink_directory,
    ),
    ("a symbolic link is unlinked itself", unlink_link),
    ("a rename moves files and directories", rename),
    (
        "a rename puts a file in the place of another, which lives on while it is open",
        replace,
    ),
    (
        "a rename puts a directory in the place of an empty one only",
        replace_directory,
    ),
    (
        "a file and a directory don't replace each other",
        replace_other,
    ),
    (
        "a directory does not move into itself: invalid",
        into_itself,
    ),
    ("a rename to the same name changes nothing", to_itself),
    ("a rename moves a symbolic link itself", rename_link),
    (
        "a rename with a `/` at an end is for directories",
        rename_slash,
    ),
    ("`.` and `..` are not renamed: busy", rename_dots),
    ("a rename works between open directories", between),
    (
        "renames and links to another filesystem are cross-device",
        cross_device,
    ),
];

fn unlink(kit: &Kit<'_>) -> Seen {
    let file = kit.write("file", b"here")?;
    kit.unlink("file")?;
    kit.gone("file")?;
    kit.lists(&[])?;
    kit.contents("the open file", &*file, b"here")?;
    kit.append(&*file, b" still")?;
    kit.contents("the open file", &*file, b"here still")?;
    let stat = kit.ok("stat of the open file", file.stat())?;
    same("its names", stat.link_count, 0)?;
    kit.write("file", b"another")?;
    kit.contents("the open file", &*file, b"here still")?;
    kit.has("file", b"another")
}

fn unlink_directory(kit: &Kit<'_>) -> Seen {
    kit.mkdir("dir")?;
    for path in ["dir", "dir/", ".", "dir/..", "dir/."] {
        let op = kit.dir.unlink_file_at(path);
        kit.fails(
            &format!("unlinking {path:?}"),
            op,
            &[ErrorCode::IsDirectory],
        )?;
    }
    kit.is(NO_FOLLOW, "dir", DescriptorType::Directory)
}

fn unlink_link(kit: &Kit<'_>) -> Seen {
    kit.write("file", b"kept")?;
    kit.mkdir("dir")?;
    for (target, path) in [
        ("file", "to-file"),
        ("dir", "to-dir"),
        ("missing", "dangling"),
    ] {
        kit.symlink(target, path)?;
        kit.unlink(path)?;
        kit.gone(path)?;
    }
    kit.has("file", b"kept")?;
    kit.lists(&["dir", "file"])
}

fn rename(kit: &Kit<'_>) -> Seen {
    kit.mkdir("dir")?;
    let file = kit.write("file", b"here")?;
    let number = kit.ok("stat", file.stat())?.inode;
    kit.rename("file", "dir/new")?;
    kit.gone("file")?;
    kit.has("dir/new", b"here")?;
    same(
        "the number of a moved file",
        kit.stat(FOLLOW, "dir/new")?.inode,
        number,
    )?;
    kit.append(&*file, b"!")?;
    kit.has("dir/new", b"here!")?;
    kit.mkdir("other")?;
    kit.rename("dir", "other/below")?;
    kit.gone("dir")?;
    kit.has("other/below/new", b"here!")?;
    kit.lists(&["other"])
}

fn replace(kit: &Kit<'_>) -> Seen {
    kit.write("new", b"new")?;
    let old = kit.write("old", b"old")?;
    kit.rename("new", "old")?;
    kit.gone("new")?;
    kit.has("old", b"new")?;
    kit.contents("the file that was replaced", &*old, b"old")?;
    kit.symlink("missing", "link")?;
    kit.rename("old", "link")?;
    kit.is(NO_FOLLOW, "link", DescriptorType::RegularFile)?;
    kit.has("link", b"new")
}

fn replace_directory(kit: &Kit<'_>) -> Seen {
    kit.mkdir("from")?;
    kit.write("from/file", b"here")?;
    kit.mkdir("to")?;
    kit.rename("from", "to")?;
    kit.gone("from")?;
    kit.has("to/file", b"here")?;
    kit.mkdir("more")?;
    let op = kit.dir.rename_at("more", &*kit.dir, "to");
    kit.fails(
        "renaming to a directory with a file",
        op,
        &[ErrorCode::NotEmpty],
    )?;
    kit.is(NO_FOLLOW, "more", DescriptorType::Directory)?;
    kit.has("to/file", b"here")?;
    // One that is above is not empty either.
    kit.mkdir("to/below")?;
    let op = kit.dir.rename_at("to/below", &*kit.dir, "to");
    kit.fails(
        "renaming to the directory above",
        op,
        &[ErrorCode::NotEmpty],
    )
}

fn replace_other(kit: &Kit<'_>) -> Seen {
    kit.mkdir("dir")?;
    kit.write("file", b"kept")?;
    let op = kit.dir.rename_at("file", &*kit.dir, "dir");
    kit.fails(
        "renaming a file to a directory",
        op,
        &[ErrorCode::IsDirectory],
    )?;
    let op = kit.dir.rename_at("dir", &*kit.dir, "file");
    kit.fails(
        "renaming a directory to a file",
        op,
        &[ErrorCode::NotDirectory],
    )?;
    kit.has("file", b"kept")?;
    kit.is(NO_FOLLOW, "dir", DescriptorType::Directory)?;
    kit.symlink("dir", "link")?;
    let op = kit.dir.rename_at("dir", &*kit.dir, "link");
    kit.fails(
        "renaming a directory to a link",
        op,
        &[ErrorCode::NotDirectory],
    )
}

fn into_itself(kit: &Kit<'_>) -> Seen {
    kit.mkdir("a")?;
    kit.mkdir("a/b")?;
    for path in ["a/x", "a/b/x"] {
        let op = kit.dir.rename_at("a", &*kit.dir, path);
        kit.fails(
            &format!("renaming \"a\" to {path:?}"),
            op,
            &[ErrorCode::Invalid],
        )?;
    }
    let below = kit.below("a/b")?;
    let op = kit.dir.rename_at("a", &*below.dir, "x");
    kit.fails(
        "renaming \"a\" into an open directory below",
        op,
        &[ErrorCode::Invalid],
    )?;
    kit.is(NO_FOLLOW, "a/b", DescriptorType::Directory)
}

fn to_itself(kit: &Kit<'_>) -> Seen {
    kit.write("file", b"kept")?;
    kit.mkdir("dir")?;
    kit.write("dir/file", b"kept too")?;
    kit.rename("file", "file")?;
    kit.rename("dir", "dir")?;
    kit.has("file", b"kept")?;
    kit.has("dir/file", b"kept too")
}

fn rename_link(kit: &Kit<'_>) -> Seen {
    kit.write("file", b"here")?;
    kit.symlink("file", "link")?;
    kit.rename("link", "new")?;
    kit.gone("link")?;
    kit.is(NO_FOLLOW, "new", DescriptorType::SymbolicLink)?;
    kit.has("new", b"here")
}

fn rename_slash(kit: &Kit<'_>) -> Seen {
    kit.mkdir("dir")?;
    kit.rename("dir/", "new/")?;
    kit.is(NO_FOLLOW, "new", DescriptorType::Directory)?;
    kit.write("file", b"kept")?;
    for (old, new) in [("file/", "other"), ("file", "other/"), ("file/", "other/")] {
        let op = kit.dir.rename_at(old, &*kit.dir, new);
        let what = format!("renaming {old:?} to {new:?}");
        kit.fails(&what, op, &[ErrorCode::NotDirectory])?;
    }
    kit.has("file", b"kept")
}

fn rename_dots(kit: &Kit<'_>) -> Seen {
    kit.mkdir("dir")?;
    kit.mkdir("dir/below")?;
    for (old, new) in [
        (".", "new"),
        ("dir/.", "new"),
        ("dir/below/..", "new"),
        ("dir", "."),
        ("dir/below", "dir/."),
        ("dir", "dir/below/.."),
    ] {
        let op = kit.dir.rename_at(old, &*kit.dir, new);
        kit.fails(
            &format!("renaming {old:?} to {new:?}"),
            op,
            &[ErrorCode::Busy],
        )?;
    }
    Ok(())
}

fn between(kit: &Kit<'_>) -> Seen {
    kit.mkdir("a")?;
    kit.mkdir("b")?;
    kit.write("a/file", b"here")?;
    let (a, b) = (kit.below("a")?, kit.below("b")?);
    let op = a.dir.rename_at("file", &*b.dir, "moved");
    kit.ok("renaming between open directories", op)?;
    kit.gone("a/file")?;
    kit.has("b/moved", b"here")?;
    let op = b.dir.rename_at("moved", &*kit.dir, "top");
    kit.ok("renaming to the directory above", op)?;
    kit.has("top", b"here")
}

fn cross_device(kit: &Kit<'_>) -> Seen {
    kit.write("file", b"kept")?;
    let codes = &[ErrorCode::CrossDevice];
    let op = kit.dir.rename_at("file", &Elsewhere, "new");
    kit.fails("renaming", op, codes)?;
    let op = kit.dir.link_at(NO_FOLLOW, "file", &Elsewhere, "new");
    kit.fails("linking", op, codes)?;
    kit.has("file", b"kept")
}

/// An empty directory that no other backend knows.
struct Elsewhere;

impl Directory for Elsewhere {
    fn open_at(
        &self,
        _: PathFlags,
        _: &str,
        _: OpenFlags,
        _: DescriptorFlags,
    ) -> Op<Result<Object>> {
        Op::failed(ErrorCode::NoEntry)
    }

    fn stat(&self) -> Op<Result<DescriptorStat>> {
        Op::failed(ErrorCode::Unsupported)
    }

    fn stat_at(&self, _: PathFlags, _: &str) -> Op<Result<DescriptorStat>> {
        Op::failed(ErrorCode::NoEntry)
    }

    fn read_directory(&self) -> Op<Result<Box<dyn DirectoryEntries>>> {
        Op::failed(ErrorCode::Unsupported)
    }
}
