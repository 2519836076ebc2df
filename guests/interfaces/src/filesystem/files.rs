//! Files.

use super::*;
use crate::bindings::wasi::filesystem::types::Advice;

pub fn run(checks: &mut Checks, dir: &Descriptor, small: &Descriptor) {
    opening(checks, dir);
    reading_and_writing(checks, dir);
    rights(checks, dir);
    directories(checks, dir);
    sizes(checks, dir);
    unlinked(checks, dir);
    room(checks, small);
}

fn opening(checks: &mut Checks, dir: &Descriptor) {
    use ErrorCode as E;
    dir.create_directory_at("dir").expect("a directory");
    drop(file(dir, "there", b"contents"));
    let none = OpenFlags::empty();
    let new = OpenFlags::CREATE;
    let only_new = new | OpenFlags::EXCLUSIVE;
    let cut = OpenFlags::TRUNCATE;
    let folder = OpenFlags::DIRECTORY;
    for (what, path, open_flags, flags, code) in [
        ("nothing there", "nothing", none, READ, E::NoEntry),
        ("nothing to truncate", "nothing", cut, WRITE, E::NoEntry),
        ("something there already", "there", only_new, BOTH, E::Exist),
        ("a directory there already", "dir", only_new, READ, E::Exist),
        (
            "a file, for a directory",
            "there",
            folder,
            READ,
            E::NotDirectory,
        ),
        (
            "nothing, for a directory",
            "nothing",
            folder,
            READ,
            E::NoEntry,
        ),
        ("a directory, to write", "dir", none, WRITE, E::IsDirectory),
        (
            "a directory, to read and write",
            "dir",
            none,
            BOTH,
            E::IsDirectory,
        ),
        (
            "a directory, to truncate",
            "dir",
            cut,
            WRITE,
            E::IsDirectory,
        ),
        (
            "a directory, to make a file",
            "dir",
            new,
            READ,
            E::IsDirectory,
        ),
        (
            "a file with a / at the end",
            "new/",
            new,
            BOTH,
            E::IsDirectory,
        ),
        ("a new directory", "new", new | folder, READ, E::Invalid),
    ] {
        let got = dir.open_at(FOLLOW, path, open_flags, flags).err();
        checks.eq(format!("open-at: {what}"), got, Some(code));
    }
    checks.eq("open-at: errors make nothing", names(dir), ["dir", "there"]);

    let there = dir.open_at(FOLLOW, "there", new, BOTH).expect("a file");
    checks.eq(
        "open-at: create: what is there stays",
        contents(&there, 99),
        Ok::<_, ()>(b"contents"),
    );
    let fresh = dir.open_at(FOLLOW, "new", only_new, BOTH).expect("a file");
    checks.eq(
        "open-at: exclusive: new and empty",
        fresh.stat().map(|it| it.size),
        Ok::<_, ()>(0),
    );
    let cut = dir.open_at(FOLLOW, "there", cut, WRITE).expect("a file");
    checks.eq(
        "open-at: truncate",
        cut.stat().map(|it| it.size),
        Ok::<_, ()>(0),
    );
    for (what, flags) in [("read", READ), ("write", WRITE), ("both", BOTH)] {
        let file = open(dir, "new", flags).expect("a file");
        let got = file.get_flags().map(|got| got & (BOTH | MUTATE));
        checks.eq(format!("get-flags: {what}"), got, Ok::<_, ()>(flags));
        checks.eq(
            "get-type: a file",
            file.get_type(),
            Ok::<_, ()>(DescriptorType::RegularFile),
        );
    }
    let flags = open_dir(dir, "dir").expect("a directory").get_flags();
    checks.eq("get-flags: a directory", flags, Ok::<_, ()>(READ | MUTATE));
    let flags = open(dir, "dir", READ).expect("a directory").get_flags();
    checks.eq("get-flags: a directory to read", flags, Ok::<_, ()>(READ));
    // Integrity is a request: a host may not keep it, but takes it.
    for flags in [
        DescriptorFlags::FILE_INTEGRITY_SYNC,
        DescriptorFlags::DATA_INTEGRITY_SYNC,
        DescriptorFlags::FILE_INTEGRITY_SYNC | DescriptorFlags::REQUESTED_WRITE_SYNC,
    ] {
        let file = open(dir, "new", BOTH | flags);
        let written = file.as_ref().map(|file| file.write(b"kept", 0).ok());
        checks.eq(format!("open-at: {flags:?}"), written, Ok::<_, ()>(Some(4)));
    }
    for name in ["there", "new"] {
        dir.unlink_file_at(name).expect("to remove");
    }
    dir.remove_directory_at("dir").expect("to remove");
}

fn reading_and_writing(checks: &mut Checks, dir: &Descriptor) {
    let file = file(dir, "file", b"0123456789");
    for (what, length, offset, bytes, end) in [
        ("all, and the end", 100, 0, &b"0123456789"[..], true),
        ("a part", 4, 2, b"2345", false),
        ("from an offset to the end", 100, 8, b"89", true),
        ("at the end", 1, 10, b"", true),
        ("behind the end", 5, 1000, b"", true),
        ("nothing", 0, 2, b"", false),
    ] {
        let got = file.read(length, offset);
        // Whether exactly all is the end as well is left open.
        checks.eq(format!("read: {what}"), got, Ok::<_, ()>((bytes, end)));
    }
    let got = file.read(u64::MAX, 0).map(|it| it.0);
    checks.eq("read: whatever the length", got, Ok::<_, ()>(b"0123456789"));
    checks.eq("write: over", file.write(b"ab", 2), Ok::<_, ()>(2));
    checks.eq("write: over the end", file.write(b"yz", 9), Ok::<_, ()>(2));
    checks.eq("write: nothing", file.write(b"", 5), Ok::<_, ()>(0));
    checks.eq(
        "write: read back",
        contents(&file, 99),
        Ok::<_, ()>(b"01ab45678yz"),
    );
    checks.eq(
        "write: behind the end",
        file.write(b"!", 20),
        Ok::<_, ()>(1),
    );
    checks.eq(
        "write: zeros between",
        contents(&file, 99),
        Ok::<_, ()>(b"01ab45678yz\0\0\0\0\0\0\0\0\0!"),
    );
    let large: Vec<u8> = (0..1 << 20).map(|n: u32| (n % 251) as u8).collect();
    let mut done = 0;
    while done < large.len() {
        done += file.write(&large[done..], done as u64).expect("to write") as usize;
    }
    let read = contents(&file, 1 << 20);
    checks.that(
        "write and read: 1 MiB",
        read.is_ok_and(|read| read == large),
    );

    checks.eq("sync", file.sync(), OK);
    checks.eq("sync-data", file.sync_data(), OK);
    let reader = open(dir, "file", READ).expect("a file");
    checks.eq("sync: not opened for writing", reader.sync(), OK);
    checks.eq("sync-data: not opened for writing", reader.sync_data(), OK);
    for advice in [
        Advice::Normal,
        Advice::Sequential,
        Advice::Random,
        Advice::WillNeed,
        Advice::DontNeed,
        Advice::NoReuse,
    ] {
        for (offset, length) in [(0, 0), (4096, 4096), (1 << 40, 1)] {
            checks.eq(
                format!("advise: {advice:?}"),
                file.advise(offset, length, advice),
                OK,
            );
        }
    }
    drop((file, reader));
    dir.unlink_file_at("file").expect("to remove");
}

/// What a file was not opened for.
fn rights(checks: &mut Checks, dir: &Descriptor) {
    let bad = Some(ErrorCode::BadDescriptor);
    drop(file(dir, "file", b"contents"));
    let reader = open(dir, "file", READ).expect("a file");
    let writer = open(dir, "file", WRITE).expect("a file");
    for (what, code) in [
        ("read", writer.read(1, 0).err()),
        ("read-via-stream", writer.read_via_stream(0).err()),
        ("write", reader.write(b"x", 0).err()),
        ("write-via-stream", reader.write_via_stream(0).err()),
        ("append-via-stream", reader.append_via_stream().err()),
        ("set-size", reader.set_size(0).err()),
    ] {
        checks.eq(format!("{what}: not opened for it"), code, bad);
    }
    let got = contents(&reader, 99);
    checks.eq(
        "what was refused was not done",
        got,
        Ok::<_, ()>(b"contents"),
    );
    drop((reader, writer));
    dir.unlink_file_at("file").expect("to remove");
}

/// What only files have.
fn directories(checks: &mut Checks, dir: &Descriptor) {
    // A directory can be opened to read, never to write.
    let bad = ErrorCode::BadDescriptor;
    for (what, code, expected) in [
        ("read", dir.read(1, 0).err(), ErrorCode::IsDirectory),
        (
            "read-via-stream",
            dir.read_via_stream(0).err(),
            ErrorCode::IsDirectory,
        ),
        ("write", dir.write(b"x", 0).err(), bad),
        ("write-via-stream", dir.write_via_stream(0).err(), bad),
        ("append-via-stream", dir.append_via_stream().err(), bad),
        ("set-size", dir.set_size(0).err(), bad),
    ] {
        checks.eq(format!("{what}: a directory"), code, Some(expected));
    }
    checks.eq(
        "get-type: a directory",
        dir.get_type(),
        Ok::<_, ()>(DescriptorType::Directory),
    );
    checks.eq("sync: a directory", dir.sync(), OK);
    checks.eq("sync-data: a directory", dir.sync_data(), OK);
}

fn sizes(checks: &mut Checks, dir: &Descriptor) {
    let file = file(dir, "file", b"0123456789");
    checks.eq("set-size: less", file.set_size(4), OK);
    checks.eq(
        "set-size: less: contents",
        contents(&file, 99),
        Ok::<_, ()>(b"0123"),
    );
    checks.eq("set-size: more", file.set_size(8), OK);
    checks.eq(
        "set-size: more: zeros",
        contents(&file, 99),
        Ok::<_, ()>(b"0123\0\0\0\0"),
    );
    checks.eq(
        "set-size: stat",
        file.stat().map(|it| it.size),
        Ok::<_, ()>(8),
    );
    let too_large = Some(ErrorCode::FileTooLarge);
    for size in [u64::MAX, 1 << 63] {
        checks.eq(
            format!("set-size: {size}"),
            file.set_size(size).err(),
            too_large,
        );
    }
    for offset in [u64::MAX, 1 << 63] {
        checks.eq(
            format!("write: at {offset}"),
            file.write(b"x", offset).err(),
            too_large,
        );
        let got = file.read(1, offset).map(|it| it.0.len());
        checks.eq(
            format!("read: at {offset}"),
            got,
            Err::<(), _>(ErrorCode::Invalid),
        );
    }
    checks.eq(
        "too large changes nothing",
        file.stat().map(|it| it.size),
        Ok::<_, ()>(8),
    );
    drop(file);
    dir.unlink_file_at("file").expect("to remove");
}

/// A file lives on while it is open.
fn unlinked(checks: &mut Checks, dir: &Descriptor) {
    let file = file(dir, "file", b"contents");
    checks.eq("unlink-file-at", dir.unlink_file_at("file"), OK);
    checks.eq(
        "unlinked: no name",
        file.stat().map(|it| it.link_count),
        Ok::<_, ()>(0),
    );
    checks.eq(
        "unlinked: read",
        contents(&file, 99),
        Ok::<_, ()>(b"contents"),
    );
    checks.eq("unlinked: write", file.write(b"C", 0), Ok::<_, ()>(1));
    let other = create(dir, "file").expect("a file");
    checks.eq(
        "unlinked: another of that name",
        file.is_same_object(&other),
        false,
    );
    checks.eq(
        "unlinked: is not it",
        contents(&other, 99),
        Ok::<_, ()>(b""),
    );
    dir.unlink_file_at("file").expect("to remove");
}

/// No room: bytes, then names; all of it comes back.
fn room(checks: &mut Checks, small: &Descriptor) {
    let full = Some(ErrorCode::InsufficientSpace);
    for round in ["at first", "after all was removed"] {
        let file = create(small, "file").expect("a file");
        let mut size = 0;
        let code = loop {
            match file.write(&[b'x'; 4096], size) {
                Ok(n) if size < 1 << 20 => size += n,
                Ok(_) => break None,
                Err(code) => break Some(code),
            }
        };
        checks.eq(format!("write: no room {round}"), code, full);
        checks.that(format!("write: some room {round}"), size >= 4096);
        checks.eq(
            format!("write: as much as was said {round}"),
            file.stat().map(|it| it.size),
            Ok::<_, ()>(size),
        );
        drop(file);
        small.unlink_file_at("file").expect("to remove");

        let mut made = Vec::new();
        let code = loop {
            let name = format!("file-{}", made.len());
            match create(small, &name) {
                Ok(_) if made.len() < 1000 => made.push(name),
                Ok(_) => break None,
                Err(code) => break Some(code),
            }
        };
        checks.eq(format!("open-at: no room {round}"), code, full);
        let codes = [
            (
                "create-directory-at",
                small.create_directory_at("dir").err(),
            ),
            ("symlink-at", small.symlink_at("x", "link").err()),
        ];
        for (what, code) in codes {
            checks.eq(format!("{what}: no room {round}"), code, full);
        }
        for name in made {
            small.unlink_file_at(&name).expect("to remove");
        }
    }
}
