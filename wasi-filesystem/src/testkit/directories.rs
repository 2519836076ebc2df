//! Opening, making and removing.

use super::Check;
use super::kit::{BOTH, FOLLOW, Kit, NO_FOLLOW, NONE, READ, Seen, broken, same};
use crate::{DescriptorFlags, DescriptorType, ErrorCode, NewTimestamp, Object, OpenFlags};
use alloc::format;
use wasi_types::Datetime;

pub(super) const CHECKS: &[Check] = &[
    (
        "a file is made where nothing is, and opened where it is",
        create,
    ),
    (
        "exclusive creation fails where anything is: exist",
        exclusive,
    ),
    (
        "a file is made where a symbolic link to nothing leads",
        create_through_link,
    ),
    ("truncation cuts a file to nothing", truncate),
    (
        "a directory opens with any flags that write nothing",
        open_directory,
    ),
    (
        "a directory can't be opened as a file: is-directory",
        directory_as_file,
    ),
    (
        "a file can't be opened as a directory: not-directory",
        file_as_directory,
    ),
    (
        "making a directory by opening is invalid",
        create_directory_flag,
    ),
    (
        "a file can't be made with a `/` at its end: is-directory",
        create_slash,
    ),
    ("an open directory goes on below its new name", moved),
    (
        "a directory is made where nothing is, else exist",
        make_directory,
    ),
    (
        "only an empty directory is removed, else not-empty",
        remove_directory,
    ),
    (
        "what is no directory is not removed as one: not-directory",
        remove_others,
    ),
    (
        "`.` and `..` are not removed: invalid, or busy",
        remove_dots,
    ),
    (
        "nothing can be made in a directory that was removed: no-entry",
        removed,
    ),
    ("an open object and its path tell the same", stat),
    ("different objects have different numbers", numbers),
    ("times are set, also those of directories", times),
    ("a directory is synced", sync),
];

const WRITE: DescriptorFlags = DescriptorFlags::WRITE;
const CREATE: OpenFlags = OpenFlags::CREATE;
const EXCLUSIVE: OpenFlags = OpenFlags::CREATE.union(OpenFlags::EXCLUSIVE);

fn create(kit: &Kit<'_>) -> Seen {
    let file = kit.file("file")?;
    same(
        "kind of a new file",
        file.descriptor_type(),
        DescriptorType::RegularFile,
    )?;
    kit.has("file", b"")?;
    kit.write("file", b"kept")?;
    kit.file("file")?;
    kit.has("file", b"kept")?;
    match kit.try_open(NO_FOLLOW, "new", EXCLUSIVE, BOTH)? {
        Ok(Object::File(_)) => kit.lists(&["file", "new"]),
        Ok(Object::Directory(_)) => broken("making a file", "a directory"),
        Err(code) => broken("making a file exclusively", code),
    }
}

fn exclusive(kit: &Kit<'_>) -> Seen {
    kit.mkdir("dir")?;
    kit.write("file", b"kept")?;
    for path in ["dir", "file"] {
        let op = kit.dir.open_at(FOLLOW, path, EXCLUSIVE, READ);
        kit.fails(&format!("making {path:?}"), op, EXIST)?;
    }
    let op = kit
        .dir
        .open_at(FOLLOW, "file", EXCLUSIVE | OpenFlags::TRUNCATE, BOTH);
    kit.fails("making \"file\" and cutting it", op, EXIST)?;
    kit.has("file", b"kept")?;
    kit.symlink("missing", "dangling")?;
    let op = kit.dir.open_at(FOLLOW, "dangling", EXCLUSIVE, BOTH);
    kit.fails("making \"dangling\"", op, EXIST)?;
    kit.gone("missing")
}

fn create_through_link(kit: &Kit<'_>) -> Seen {
    kit.mkdir("dir")?;
    kit.symlink("dir/new", "link")?;
    kit.write("link", b"there")?;
    kit.has("dir/new", b"there")?;
    kit.is(NO_FOLLOW, "link", DescriptorType::SymbolicLink)?;
    kit.symlink("other", "itself")?;
    let op = kit.dir.open_at(NO_FOLLOW, "itself", CREATE, BOTH);
    kit.fails(
        "making what a link leads to, without following",
        op,
        &[ErrorCode::Loop],
    )?;
    kit.gone("other")
}

fn truncate(kit: &Kit<'_>) -> Seen {
    let before = kit.write("file", b"some bytes")?;
    let cut = kit.try_open(FOLLOW, "file", OpenFlags::TRUNCATE, BOTH)?;
    if !matches!(cut, Ok(Object::File(_))) {
        return broken("opening to truncate", cut.err());
    }
    kit.has("file", b"")?;
    kit.contents("the file that was open", &*before, b"")
}

fn open_directory(kit: &Kit<'_>) -> Seen {
    kit.mkdir("dir")?;
    let mutate = DescriptorFlags::MUTATE_DIRECTORY;
    for (open_flags, flags) in [
        (NONE, READ),
        (NONE, READ | mutate),
        (NONE, DescriptorFlags::empty()),
        (OpenFlags::DIRECTORY, READ | mutate),
        (OpenFlags::EXCLUSIVE, READ),
    ] {
        match kit.try_open(FOLLOW, "dir", open_flags, flags)? {
            Ok(Object::Directory(_)) => {}
            Ok(Object::File(_)) => return broken("opening a directory", "a file"),
            Err(code) => {
                let what = format!("opening a directory with {open_flags:?}, {flags:?}");
                return broken(&what, code);
            }
        }
    }
    Ok(())
}

fn directory_as_file(kit: &Kit<'_>) -> Seen {
    kit.mkdir("dir")?;
    for (open_flags, flags) in [
        (NONE, WRITE),
        (NONE, BOTH),
        (OpenFlags::DIRECTORY, BOTH),
        (OpenFlags::TRUNCATE, BOTH),
        (OpenFlags::TRUNCATE, READ),
        (CREATE, READ),
        (CREATE, BOTH),
    ] {
        for path in ["dir", "."] {
            let op = kit.dir.open_at(FOLLOW, path, open_flags, flags);
            let what = format!("opening {path:?} with {open_flags:?}, {flags:?}");
            kit.fails(&what, op, &[ErrorCode::IsDirectory])?;
        }
    }
    Ok(())
}

fn file_as_directory(kit: &Kit<'_>) -> Seen {
    kit.write("file", b"kept")?;
    for open_flags in [
        OpenFlags::DIRECTORY,
        OpenFlags::DIRECTORY | OpenFlags::TRUNCATE,
    ] {
        let op = kit.dir.open_at(FOLLOW, "file", open_flags, READ);
        kit.fails("opening a file", op, &[ErrorCode::NotDirectory])?;
    }
    kit.has("file", b"kept")?;
    kit.symlink("file", "link")?;
    let op = kit.dir.open_at(FOLLOW, "link", OpenFlags::DIRECTORY, READ);
    kit.fails("opening a link to a file", op, &[ErrorCode::NotDirectory])
}

fn create_directory_flag(kit: &Kit<'_>) -> Seen {
    let op = kit
        .dir
        .open_at(FOLLOW, "new", CREATE | OpenFlags::DIRECTORY, READ);
    kit.fails("opening", op, &[ErrorCode::Invalid])?;
    kit.gone("new")
}

fn create_slash(kit: &Kit<'_>) -> Seen {
    kit.write("file", b"")?;
    kit.mkdir("dir")?;
    for path in ["new/", "file/", "dir/"] {
        let op = kit.dir.open_at(FOLLOW, path, CREATE, BOTH);
        kit.fails(&format!("making {path:?}"), op, &[ErrorCode::IsDirectory])?;
    }
    kit.gone("new")
}

fn moved(kit: &Kit<'_>) -> Seen {
    kit.mkdir("from")?;
    kit.mkdir("to")?;
    kit.write("from/file", b"here")?;
    let open = kit.below("from")?;
    kit.rename("from", "to/new")?;
    open.has("file", b"here")?;
    open.write("more", b"too")?;
    kit.has("to/new/more", b"too")?;
    let op = open.dir.stat_at(FOLLOW, "..");
    open.fails("stat of \"..\"", op, &[ErrorCode::NotPermitted])
}

fn make_directory(kit: &Kit<'_>) -> Seen {
    kit.mkdir("dir")?;
    kit.mkdir("dir/slash/")?;
    kit.is(NO_FOLLOW, "dir/slash", DescriptorType::Directory)?;
    kit.below("dir")?.lists(&["slash"])?;
    kit.write("file", b"")?;
    for path in ["dir", "dir/", "file", ".", "dir/.", "dir/.."] {
        let op = kit.dir.create_directory_at(path);
        kit.fails(&format!("making the directory {path:?}"), op, EXIST)?;
    }
    kit.symlink("missing", "dangling")?;
    let op = kit.dir.create_directory_at("dangling");
    kit.fails("making the directory \"dangling\"", op, EXIST)?;
    kit.gone("missing")
}

fn remove_directory(kit: &Kit<'_>) -> Seen {
    kit.mkdir("dir")?;
    kit.mkdir("dir/below")?;
    let op = kit.dir.remove_directory_at("dir");
    kit.fails(
        "removing a directory with one in it",
        op,
        &[ErrorCode::NotEmpty],
    )?;
    kit.rmdir("dir/below/")?;
    kit.write("dir/file", b"")?;
    let op = kit.dir.remove_directory_at("dir");
    kit.fails(
        "removing a directory with a file in it",
        op,
        &[ErrorCode::NotEmpty],
    )?;
    kit.unlink("dir/file")?;
    kit.rmdir("dir")?;
    kit.gone("dir")?;
    kit.lists(&[])
}

fn remove_others(kit: &Kit<'_>) -> Seen {
    kit.write("file", b"kept")?;
    let op = kit.dir.remove_directory_at("file");
    kit.fails("removing a file", op, &[ErrorCode::NotDirectory])?;
    kit.has("file", b"kept")?;
    kit.mkdir("dir")?;
    kit.symlink("dir", "link")?;
    let op = kit.dir.remove_directory_at("link");
    kit.fails(
        "removing a link to a directory",
        op,
        &[ErrorCode::NotDirectory],
    )?;
    kit.is(FOLLOW, "link", DescriptorType::Directory)
}

fn remove_dots(kit: &Kit<'_>) -> Seen {
    kit.mkdir("dir")?;
    for path in [".", "dir/.", "dir/..", "./"] {
        let op = kit.dir.remove_directory_at(path);
        kit.fails(
            &format!("removing {path:?}"),
            op,
            &[ErrorCode::Invalid, ErrorCode::Busy],
        )?;
    }
    kit.is(NO_FOLLOW, "dir", DescriptorType::Directory)
}

fn removed(kit: &Kit<'_>) -> Seen {
    kit.mkdir("dir")?;
    kit.write("file", b"kept")?;
    let open = kit.below("dir")?;
    kit.rmdir("dir")?;
    let op = open.dir.open_at(FOLLOW, "new", CREATE, BOTH);
    open.fails("making a file", op, &[ErrorCode::NoEntry])?;
    let op = open.dir.create_directory_at("new");
    open.fails("making a directory", op, &[ErrorCode::NoEntry])?;
    let op = kit.dir.rename_at("file", &*open.dir, "new");
    kit.fails("moving a file there", op, &[ErrorCode::NoEntry])?;
    kit.has("file", b"kept")
}

fn stat(kit: &Kit<'_>) -> Seen {
    kit.mkdir("dir")?;
    let file = kit.write("dir/file", b"12345")?;
    let by_path = kit.stat(FOLLOW, "dir/file")?;
    same(
        "kind of a file",
        by_path.descriptor_type,
        DescriptorType::RegularFile,
    )?;
    same("size of a file", by_path.size, 5)?;
    same("names of a file", by_path.link_count, 1)?;
    let open = kit.ok("stat of an open file", file.stat())?;
    same("what is known of a file", open, by_path)?;
    let dir = kit.below("dir")?;
    let open = kit.ok("stat of an open directory", dir.dir.stat())?;
    same(
        "kind of a directory",
        open.descriptor_type,
        DescriptorType::Directory,
    )?;
    same(
        "what is known of a directory",
        open,
        kit.stat(FOLLOW, "dir")?,
    )?;
    same("what is known of `.`", open, dir.stat(FOLLOW, ".")?)
}

fn numbers(kit: &Kit<'_>) -> Seen {
    kit.mkdir("a")?;
    kit.write("b", b"")?;
    kit.write("c", b"")?;
    kit.write("a/c", b"")?;
    let mut seen = alloc::vec::Vec::new();
    for path in [".", "a", "b", "c", "a/c"] {
        let stat = kit.stat(FOLLOW, path)?;
        let number = (stat.device, stat.inode);
        if seen.contains(&number) {
            return broken(
                &format!("the number of {path:?} is that of another"),
                number,
            );
        }
        let again = kit.stat(FOLLOW, path)?;
        same(
            "the number, asked again",
            (again.device, again.inode),
            number,
        )?;
        seen.push(number);
    }
    Ok(())
}

fn times(kit: &Kit<'_>) -> Seen {
    let at = |seconds| Datetime::new(seconds, 0).unwrap_or_default();
    let set = |seconds| NewTimestamp::Timestamp(at(seconds));
    let file = kit.write("file", b"")?;
    kit.mkdir("dir")?;
    let dir = kit.below("dir")?;
    kit.ok(
        "setting times of a file",
        file.set_times(set(1_000_000), set(2_000_000)),
    )?;
    kit.ok(
        "setting times of a directory",
        dir.dir.set_times(set(3_000_000), set(4_000_000)),
    )?;
    let has = |path: &str, access, modification| {
        let stat = kit.stat(NO_FOLLOW, path)?;
        let seen = (stat.data_access_timestamp, stat.data_modification_timestamp);
        let expected = (Some(at(access)), Some(at(modification)));
        same(&format!("times of {path:?}"), seen, expected)
    };
    has("file", 1_000_000, 2_000_000)?;
    has("dir", 3_000_000, 4_000_000)?;
    let op = kit
        .dir
        .set_times_at(FOLLOW, "file", NewTimestamp::NoChange, set(5_000_000));
    kit.ok("setting one time by path", op)?;
    has("file", 1_000_000, 5_000_000)?;
    let op = file.set_times(set(6_000_000), NewTimestamp::NoChange);
    kit.ok("setting the other time", op)?;
    has("file", 6_000_000, 5_000_000)?;
    kit.ok(
        "setting times to now",
        file.set_times(NewTimestamp::Now, NewTimestamp::NoChange),
    )?;
    let stat = kit.stat(NO_FOLLOW, "file")?;
    if stat.data_access_timestamp == Some(at(6_000_000)) {
        return broken("set to now, the time of last access", "as before");
    }
    kit.symlink("file", "link")?;
    let op = kit
        .dir
        .set_times_at(NO_FOLLOW, "link", set(7_000_000), set(8_000_000));
    kit.ok("setting times of a symbolic link", op)?;
    has("link", 7_000_000, 8_000_000)?;
    let op = kit
        .dir
        .set_times_at(FOLLOW, "link", set(9_000_000), set(9_500_000));
    kit.ok("setting times through a symbolic link", op)?;
    has("file", 9_000_000, 9_500_000)
}

fn sync(kit: &Kit<'_>) -> Seen {
    kit.write("file", b"")?;
    kit.ok("syncing a directory", kit.dir.sync())
}

const EXIST: &[ErrorCode] = &[ErrorCode::Exist];
