//! What can't be changed.

use super::*;
use crate::bindings::wasi::filesystem::types::NewTimestamp;

pub fn run(checks: &mut Checks, scratch: &Descriptor, preopen: &Descriptor) {
    checks.eq(
        "read-only: a preopen's flags",
        preopen.get_flags(),
        Ok::<_, ()>(READ),
    );
    tree(checks, "a preopen", preopen);
    refusals(checks, "a preopen", preopen, scratch);

    // The same of a directory that was opened without mutate-directory.
    for entry in READ_ONLY {
        match entry.split_once(" -> ") {
            Some((link, target)) => scratch.symlink_at(target, link).expect("a link"),
            None => match entry.strip_suffix('/') {
                Some(dir) => scratch.create_directory_at(dir).expect("a directory"),
                None => drop(file(scratch, entry, b"contents")),
            },
        }
    }
    let opened = open(scratch, ".", READ).expect("a directory");
    tree(checks, "an open directory", &opened);
    refusals(checks, "an open directory", &opened, scratch);
    let below = opened
        .open_at(FOLLOW, "dir", OpenFlags::DIRECTORY, READ)
        .expect("a directory");
    let code = create(&below, "x").err();
    checks.eq(
        "read-only: a directory below",
        code,
        Some(ErrorCode::ReadOnly),
    );
    tree(checks, "an open directory, after all", &opened);
}

fn tree(checks: &mut Checks, what: &str, dir: &Descriptor) {
    checks.eq(
        format!("{what}: its tree"),
        names(dir),
        ["dir", "file", "link"],
    );
    for path in ["file", "link", "dir/file"] {
        let got = open(dir, path, READ).and_then(|file| contents(&file, 99));
        checks.eq(format!("{what}: {path}"), got, Ok::<_, ()>(b"contents"));
    }
    checks.eq(
        format!("{what}: readlink-at"),
        dir.readlink_at("link"),
        Ok::<_, ()>("file"),
    );
}

/// `writable` is a directory where anything is allowed.
fn refusals(checks: &mut Checks, what: &str, dir: &Descriptor, writable: &Descriptor) {
    let none = OpenFlags::empty();
    let new = OpenFlags::CREATE;
    let read = |path, open_flags, flags| dir.open_at(FOLLOW, path, open_flags, flags).err();
    let now = NewTimestamp::Now;
    for (function, code) in [
        ("open-at: write", read("file", none, WRITE)),
        ("open-at: read and write", read("file", none, BOTH)),
        (
            "open-at: mutate-directory",
            read("dir", none, READ | MUTATE),
        ),
        ("open-at: create", read("new", new, READ)),
        ("open-at: create what is there", read("file", new, READ)),
        (
            "open-at: exclusive",
            read("new", new | OpenFlags::EXCLUSIVE, READ),
        ),
        ("open-at: truncate", read("file", OpenFlags::TRUNCATE, READ)),
        ("create-directory-at", dir.create_directory_at("new").err()),
        ("remove-directory-at", dir.remove_directory_at("dir").err()),
        ("unlink-file-at", dir.unlink_file_at("file").err()),
        ("symlink-at", dir.symlink_at("file", "new").err()),
        (
            "link-at: in it",
            dir.link_at(NO_FOLLOW, "file", dir, "new").err(),
        ),
        ("rename-at: in it", dir.rename_at("file", dir, "new").err()),
        (
            "rename-at: out of it",
            dir.rename_at("file", writable, "new").err(),
        ),
        ("set-times", dir.set_times(now, now).err()),
        (
            "set-times-at",
            dir.set_times_at(FOLLOW, "file", now, now).err(),
        ),
    ] {
        checks.eq(
            format!("{what}: read-only: {function}"),
            code,
            Some(ErrorCode::ReadOnly),
        );
    }
    drop(file(writable, "mine", b""));
    for (function, code) in [
        (
            "link-at: into it",
            writable.link_at(NO_FOLLOW, "mine", dir, "new").err(),
        ),
        (
            "rename-at: into it",
            writable.rename_at("mine", dir, "new").err(),
        ),
    ] {
        checks.eq(
            format!("{what}: read-only: {function}"),
            code,
            Some(ErrorCode::ReadOnly),
        );
    }
    writable.unlink_file_at("mine").expect("to remove");
}
