//! How paths lead to objects.

use super::Check;
use super::kit::{BOTH, FOLLOW, Kit, NO_FOLLOW, NONE, READ, Seen};
use crate::{DescriptorFlags, DescriptorType, ErrorCode, NewTimestamp, OpenFlags};
use DescriptorType::{Directory, RegularFile, SymbolicLink};
use alloc::format;
use alloc::string::String;

pub(super) const CHECKS: &[Check] = &[
    (
        "a path is its steps, whatever `/` and `.` stand between",
        steps,
    ),
    ("what does not exist is no-entry", missing),
    ("a file on the way is not-directory", through_a_file),
    (
        "a path with a `/` at its end is a directory, or not-directory",
        slash,
    ),
    ("`..` leads back", back),
    ("no path leads above the directory: not-permitted", above),
    ("a directory below is a border of its own", border),
    ("a name that is too long is name-too-long", long_name),
    ("symbolic links are followed", follow),
    (
        "a symbolic link at the end is followed only where that is asked for",
        at_the_end,
    ),
    (
        "a symbolic link that leads above the directory is not-permitted",
        link_above,
    ),
    (
        "40 symbolic links are followed, and one more is a loop",
        forty,
    ),
    ("a symbolic link to itself is a loop", circle),
];

fn tree(kit: &Kit<'_>) -> Seen {
    kit.mkdir("a")?;
    kit.mkdir("a/b")?;
    kit.write("a/b/file", b"here")?;
    Ok(())
}

fn steps(kit: &Kit<'_>) -> Seen {
    tree(kit)?;
    for path in ["a/b/file", "a//b///file", "./a/./b/././file"] {
        kit.has(path, b"here")?;
    }
    for path in [".", "./", "./.", "a/.", "a/b//", "a/./b/."] {
        kit.is(NO_FOLLOW, path, Directory)?;
        kit.below(path)?;
    }
    Ok(())
}

fn missing(kit: &Kit<'_>) -> Seen {
    tree(kit)?;
    for path in [
        "missing",
        "missing/x",
        "a/missing",
        "a/missing/..",
        "a/missing/",
    ] {
        kit.fails(
            &format!("stat of {path:?}"),
            kit.dir.stat_at(FOLLOW, path),
            NO_ENTRY,
        )?;
        let op = kit.dir.open_at(FOLLOW, path, NONE, READ);
        kit.fails(&format!("opening {path:?}"), op, NO_ENTRY)?;
    }
    let op = kit
        .dir
        .open_at(FOLLOW, "missing/x", OpenFlags::CREATE, BOTH);
    kit.fails("making \"missing/x\"", op, NO_ENTRY)?;
    let op = kit.dir.create_directory_at("missing/x");
    kit.fails("making the directory \"missing/x\"", op, NO_ENTRY)?;
    kit.fails(
        "unlinking \"missing\"",
        kit.dir.unlink_file_at("missing"),
        NO_ENTRY,
    )?;
    let op = kit.dir.remove_directory_at("missing");
    kit.fails("removing the directory \"missing\"", op, NO_ENTRY)?;
    let op = kit.dir.rename_at("missing", &*kit.dir, "x");
    kit.fails("renaming \"missing\"", op, NO_ENTRY)?;
    let op = kit.dir.rename_at("a", &*kit.dir, "missing/x");
    kit.fails("renaming to \"missing/x\"", op, NO_ENTRY)
}

fn through_a_file(kit: &Kit<'_>) -> Seen {
    tree(kit)?;
    for path in [
        "a/b/file/x",
        "a/b/file/.",
        "a/b/file/..",
        "a/b/file/../file",
    ] {
        let op = kit.dir.stat_at(FOLLOW, path);
        kit.fails(&format!("stat of {path:?}"), op, NOT_DIRECTORY)?;
        let op = kit.dir.open_at(FOLLOW, path, NONE, READ);
        kit.fails(&format!("opening {path:?}"), op, NOT_DIRECTORY)?;
    }
    let op = kit.dir.create_directory_at("a/b/file/x");
    kit.fails("making a directory in a file", op, NOT_DIRECTORY)?;
    let op = kit
        .dir
        .open_at(FOLLOW, "a/b/file/x", OpenFlags::CREATE, BOTH);
    kit.fails("making a file in a file", op, NOT_DIRECTORY)
}

fn slash(kit: &Kit<'_>) -> Seen {
    tree(kit)?;
    kit.is(NO_FOLLOW, "a/b/", Directory)?;
    kit.below("a/b/")?;
    for path in ["a/b/file/", "a/b/file//"] {
        let op = kit.dir.stat_at(FOLLOW, path);
        kit.fails(&format!("stat of {path:?}"), op, NOT_DIRECTORY)?;
        let op = kit.dir.open_at(FOLLOW, path, NONE, READ);
        kit.fails(&format!("opening {path:?}"), op, NOT_DIRECTORY)?;
        let op = kit.dir.unlink_file_at(path);
        kit.fails(&format!("unlinking {path:?}"), op, NOT_DIRECTORY)?;
    }
    kit.has("a/b/file", b"here")
}

fn back(kit: &Kit<'_>) -> Seen {
    tree(kit)?;
    kit.has("a/../a/b/../b/file", b"here")?;
    let top = kit.stat(NO_FOLLOW, ".")?.inode;
    for path in ["a/..", "a/b/../..", "a/../a/.."] {
        let inode = kit.stat(NO_FOLLOW, path)?.inode;
        super::kit::same(&format!("inode of {path:?}"), inode, top)?;
    }
    Ok(())
}

fn above(kit: &Kit<'_>) -> Seen {
    tree(kit)?;
    for path in [
        "..",
        "../",
        "../x",
        "a/../..",
        "a/../../a",
        "a/b/../../../x",
        "./../x",
    ] {
        let op = kit.dir.stat_at(FOLLOW, path);
        kit.fails(&format!("stat of {path:?}"), op, OUTSIDE)?;
        let op = kit.dir.open_at(FOLLOW, path, NONE, READ);
        kit.fails(&format!("opening {path:?}"), op, OUTSIDE)?;
        let dir = &kit.dir;
        let changes = [
            ("making a directory at", dir.create_directory_at(path)),
            ("unlinking", dir.unlink_file_at(path)),
            ("removing the directory", dir.remove_directory_at(path)),
            ("making a symbolic link at", dir.symlink_at("x", path)),
            ("linking from", dir.link_at(NO_FOLLOW, path, &**dir, "x")),
            (
                "linking to",
                dir.link_at(NO_FOLLOW, "a/b/file", &**dir, path),
            ),
            ("renaming from", dir.rename_at(path, &**dir, "x")),
            ("renaming to", dir.rename_at("a/b/file", &**dir, path)),
            (
                "setting times of",
                dir.set_times_at(FOLLOW, path, NewTimestamp::Now, NewTimestamp::Now),
            ),
        ];
        for (what, op) in changes {
            let what = format!("{what} {path:?}");
            match kit.end(&what, op)? {
                Err(ErrorCode::NotPermitted | ErrorCode::Unsupported) => {}
                seen => return super::kit::broken(&what, seen),
            }
        }
    }
    let op = kit.dir.open_at(FOLLOW, "../x", OpenFlags::CREATE, BOTH);
    kit.fails("making \"../x\"", op, OUTSIDE)
}

fn border(kit: &Kit<'_>) -> Seen {
    tree(kit)?;
    let below = kit.below("a/b")?;
    below.has("file", b"here")?;
    for path in ["..", "../b/file", "../../a"] {
        let op = below.dir.stat_at(FOLLOW, path);
        below.fails(&format!("stat of {path:?}"), op, OUTSIDE)?;
        let op = below.dir.open_at(FOLLOW, path, NONE, READ);
        below.fails(&format!("opening {path:?}"), op, OUTSIDE)?;
    }
    Ok(())
}

fn long_name(kit: &Kit<'_>) -> Seen {
    let long = "n".repeat(3000);
    match kit.try_open(FOLLOW, &long, OpenFlags::CREATE, BOTH)? {
        // Its names may be that long.
        Ok(_) => kit.is(NO_FOLLOW, &long, RegularFile),
        Err(ErrorCode::NameTooLong) => {
            let op = kit.dir.stat_at(FOLLOW, &long);
            kit.fails("stat of a long name", op, &[ErrorCode::NameTooLong])
        }
        Err(code) => super::kit::broken("making a file with a name of 3000 bytes", code),
    }
}

fn follow(kit: &Kit<'_>) -> Seen {
    tree(kit)?;
    kit.symlink("b/file", "a/to-file")?;
    kit.symlink("a/b", "to-dir")?;
    kit.symlink("../b/../../to-dir/", "a/b/around")?;
    kit.symlink("a/to-file", "to-link")?;
    kit.symlink("missing", "dangling")?;
    for path in ["a/to-file", "to-dir/file", "a/b/around/file", "to-link"] {
        kit.has(path, b"here")?;
        kit.is(FOLLOW, path, RegularFile)?;
    }
    for path in [
        "to-dir",
        "to-dir/",
        "to-dir/.",
        "a/b/around",
        "to-dir/around/",
    ] {
        kit.is(FOLLOW, path, Directory)?;
        kit.below(path)?;
    }
    // `..` is of where the link led to.
    kit.has("to-dir/../b/file", b"here")?;
    let op = kit.dir.stat_at(FOLLOW, "dangling");
    kit.fails("stat of a link to nothing", op, NO_ENTRY)?;
    let op = kit.dir.stat_at(FOLLOW, "to-link/");
    kit.fails("stat of \"to-link/\"", op, NOT_DIRECTORY)
}

fn at_the_end(kit: &Kit<'_>) -> Seen {
    tree(kit)?;
    kit.symlink("a/b/file", "to-file")?;
    kit.symlink("a/b", "to-dir")?;
    kit.symlink("missing", "dangling")?;
    for path in ["to-file", "to-dir", "dangling"] {
        kit.is(NO_FOLLOW, path, SymbolicLink)?;
        let op = kit.dir.open_at(NO_FOLLOW, path, NONE, READ);
        kit.fails(&format!("opening {path:?} itself"), op, &[ErrorCode::Loop])?;
    }
    // With a `/` behind it, it is not at the end.
    kit.is(NO_FOLLOW, "to-dir/", Directory)?;
    kit.has("to-dir/file", b"here")
}

fn link_above(kit: &Kit<'_>) -> Seen {
    tree(kit)?;
    kit.symlink("../..", "a/out")?;
    kit.symlink("../../..", "a/b/out")?;
    kit.symlink("a/out", "via")?;
    kit.symlink("../../x", "a/out-new")?;
    for path in ["a/out", "a/b/out", "via", "a/out/x", "via/x", "a/out/"] {
        let op = kit.dir.stat_at(FOLLOW, path);
        kit.fails(&format!("stat of {path:?}"), op, OUTSIDE)?;
        let op = kit.dir.open_at(FOLLOW, path, NONE, READ);
        kit.fails(&format!("opening {path:?}"), op, OUTSIDE)?;
    }
    let op = kit
        .dir
        .open_at(FOLLOW, "a/out-new", OpenFlags::CREATE, BOTH);
    kit.fails("making a file through a link", op, OUTSIDE)?;
    let op = kit.dir.create_directory_at("a/out/x");
    kit.fails("making a directory behind a link", op, OUTSIDE)?;
    let op = kit.dir.rename_at("a/b/file", &*kit.dir, "a/out/x");
    kit.fails("renaming to a name behind a link", op, OUTSIDE)?;
    let op = kit.dir.unlink_file_at("a/out/x");
    kit.fails("unlinking a name behind a link", op, OUTSIDE)?;
    // From further below, the same link leads above.
    kit.symlink("..", "a/up")?;
    kit.is(FOLLOW, "a/up", Directory)?;
    let below = kit.below("a")?;
    let op = below.dir.stat_at(FOLLOW, "up");
    below.fails("stat of a link to the directory above", op, OUTSIDE)
}

fn forty(kit: &Kit<'_>) -> Seen {
    kit.write("0", b"here")?;
    for n in 1..=41 {
        kit.symlink(&format!("{}", n - 1), &format!("{n}"))?;
    }
    kit.has("40", b"here")?;
    let op = kit.dir.stat_at(FOLLOW, "41");
    kit.fails("stat over 41 links", op, &[ErrorCode::Loop])?;
    kit.symlink(".", "here")?;
    let path: String = ["here/"; 41].concat();
    let op = kit.dir.stat_at(FOLLOW, &path);
    kit.fails("stat of a path with 41 links", op, &[ErrorCode::Loop])
}

fn circle(kit: &Kit<'_>) -> Seen {
    kit.symlink("b", "a")?;
    kit.symlink("a", "b")?;
    for path in ["a", "b", "a/x", "a/"] {
        let op = kit.dir.stat_at(FOLLOW, path);
        kit.fails(&format!("stat of {path:?}"), op, &[ErrorCode::Loop])?;
    }
    let op = kit
        .dir
        .open_at(FOLLOW, "a", OpenFlags::CREATE, DescriptorFlags::WRITE);
    kit.fails("making a file through it", op, &[ErrorCode::Loop])
}

const NO_ENTRY: &[ErrorCode] = &[ErrorCode::NoEntry];
const NOT_DIRECTORY: &[ErrorCode] = &[ErrorCode::NotDirectory];
const OUTSIDE: &[ErrorCode] = &[ErrorCode::NotPermitted];
