//! What is checked of a directory that can't be changed, on what is there.

use super::kit::{BOTH, FOLLOW, Kit, NO_FOLLOW, NONE, READ, Seen, broken, same};
use crate::backend::Object;
use crate::{DescriptorType, DirectoryEntry, ErrorCode, NewTimestamp, OpenFlags};
use alloc::format;
use alloc::vec::Vec;
use wasi_io::testkit::{Miss, Report};

/// How many entries are listed.
const NAMES_MAX: usize = 10_000;
/// How many of them are looked at.
const ENTRIES_MAX: usize = 100;
/// How much of a file is read.
const READ_MAX: usize = 1 << 20;

pub(super) fn run(kit: &Kit<'_>, report: &mut Report) {
    let mut entries = Vec::new();
    report.check("a listing has every name once", || {
        entries = kit.some(NAMES_MAX)?;
        match entries.windows(2).find(|two| two[0].name == two[1].name) {
            Some(two) => broken("listed twice", &two[0].name),
            None => Ok(()),
        }
    });
    entries.truncate(ENTRIES_MAX);
    let mut each = |name, check: fn(&Kit<'_>, &DirectoryEntry) -> Seen| {
        report.check(name, || match entries.is_empty() {
            true => Err(Miss::Skipped("the directory is empty".into())),
            false => entries.iter().try_for_each(|entry| check(kit, entry)),
        });
    };
    each(
        "an entry has the kind and the number of what it stands for",
        entry,
    );
    each("an entry can be opened, and tells the same", open);
    each("nothing that is there can be changed", unchanged);
    report.check("nothing can be made", || nothing_made(kit));
    report.check("no path leads above the directory: not-permitted", || {
        for path in ["..", "../x", "./.."] {
            let op = kit.dir.stat_at(FOLLOW, path);
            kit.fails(&format!("stat of {path:?}"), op, &[ErrorCode::NotPermitted])?;
        }
        Ok::<_, Miss>(())
    });
    report.check("what does not exist is no-entry", || {
        let missing = "wasi-filesystem-testkit-missing";
        let op = kit.dir.open_at(FOLLOW, missing, NONE, READ);
        kit.fails("opening it", op, &[ErrorCode::NoEntry])?;
        kit.gone(missing)
    });
}

fn entry(kit: &Kit<'_>, entry: &DirectoryEntry) -> Seen {
    let name = &entry.name;
    let stat = kit.stat(NO_FOLLOW, name)?;
    if entry.descriptor_type != DescriptorType::Unknown {
        same(
            &format!("kind of {name:?}"),
            entry.descriptor_type,
            stat.descriptor_type,
        )?;
    }
    match entry.inode {
        0 => Ok(()),
        inode => same(&format!("number of {name:?}"), inode, stat.inode),
    }
}

fn open(kit: &Kit<'_>, entry: &DirectoryEntry) -> Seen {
    let name = &entry.name;
    let what = format!("opening {name:?}");
    let stat = kit.stat(NO_FOLLOW, name)?;
    let opened = kit.try_open(NO_FOLLOW, name, NONE, READ)?;
    match (stat.descriptor_type, opened) {
        (DescriptorType::SymbolicLink, Err(ErrorCode::Loop)) => kit.readlink(name).map(drop),
        (DescriptorType::Directory, Ok(Object::Directory(dir))) => {
            same("is_read_only", dir.is_read_only(), true)?;
            let below = Kit::new(kit.driver, dir);
            let open = kit.ok("stat of an open directory", below.dir.stat())?;
            same(&format!("what is known of {name:?}"), open, stat)?;
            below.some(NAMES_MAX).map(drop)
        }
        (DescriptorType::RegularFile, Ok(Object::File(file))) => {
            let open = kit.ok("stat of an open file", file.stat())?;
            same(&format!("what is known of {name:?}"), open, stat)?;
            let length = usize::try_from(stat.size).unwrap_or(READ_MAX).min(READ_MAX);
            let read = kit.read_at(&*file, 0, length)?;
            same(&format!("bytes read of {name:?}"), read.len(), length)?;
            let end = kit.try_read(&*file, stat.size, 1)?;
            same(
                &format!("a read at the end of {name:?}"),
                end,
                Ok(Vec::new()),
            )
        }
        // Devices may be refused.
        (kind, Ok(Object::File(file))) => same("kind", file.descriptor_type(), kind),
        (DescriptorType::Directory | DescriptorType::RegularFile, Err(code)) => broken(&what, code),
        (_, Err(_)) => Ok(()),
        (kind, Ok(Object::Directory(_))) => {
            broken(&what, format_args!("a directory, not {kind:?}"))
        }
    }
}

fn unchanged(kit: &Kit<'_>, entry: &DirectoryEntry) -> Seen {
    let (dir, name) = (&kit.dir, &*entry.name);
    let before = kit.stat(NO_FOLLOW, name)?;
    let now = NewTimestamp::Now;
    let changes = [
        (
            "renaming",
            dir.rename_at(name, &**dir, "wasi-filesystem-testkit"),
        ),
        (
            "linking",
            dir.link_at(NO_FOLLOW, name, &**dir, "wasi-filesystem-testkit"),
        ),
        ("unlinking", dir.unlink_file_at(name)),
        ("removing the directory", dir.remove_directory_at(name)),
        (
            "setting times of",
            dir.set_times_at(NO_FOLLOW, name, now, now),
        ),
        (
            "truncating",
            dir.open_at(NO_FOLLOW, name, OpenFlags::TRUNCATE, BOTH)
                .map(|opened| opened.map(drop)),
        ),
        (
            "opening to write",
            dir.open_at(NO_FOLLOW, name, NONE, BOTH)
                .map(|opened| opened.map(drop)),
        ),
    ];
    for (what, op) in changes {
        let what = format!("{what} {name:?}");
        if kit.end(&what, op)?.is_ok() {
            return broken(&what, "success");
        }
    }
    same(
        &format!("what is known of {name:?}"),
        kit.stat(NO_FOLLOW, name)?,
        before,
    )
}

fn nothing_made(kit: &Kit<'_>) -> Seen {
    let (dir, name) = (&kit.dir, "wasi-filesystem-testkit");
    let file = dir.open_at(FOLLOW, name, OpenFlags::CREATE, BOTH);
    let changes = [
        ("a file", file.map(|opened| opened.map(drop))),
        ("a directory", dir.create_directory_at(name)),
        ("a symbolic link", dir.symlink_at("x", name)),
        (
            "new times",
            dir.set_times(NewTimestamp::Now, NewTimestamp::Now),
        ),
    ];
    for (what, op) in changes {
        if kit.end(what, op)?.is_ok() {
            return broken(what, "was made");
        }
    }
    kit.gone(name)
}
