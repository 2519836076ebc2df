//! `wasi:filesystem`: each row in a directory of its own, which goes when the row is done.

use crate::bindings::wasi::clocks::wall_clock::Datetime;
use crate::bindings::wasi::filesystem::preopens::get_directories;
use crate::bindings::wasi::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorStat, DescriptorType, DirectoryEntry, ErrorCode,
    NewTimestamp, OpenFlags, PathFlags,
};
use crate::outcome::{Code, Not, Outcome, Says, Tried, ensure, failed};
use crate::streams;

const HERE: PathFlags = PathFlags::empty();
const READ: DescriptorFlags = DescriptorFlags::READ;
const BOTH: DescriptorFlags = READ.union(DescriptorFlags::WRITE);
const NEW: OpenFlags = OpenFlags::CREATE.union(OpenFlags::EXCLUSIVE);

/// Runs `row` in a new directory.
fn scratch(row: impl FnOnce(&Descriptor) -> Outcome) -> Outcome {
    let (preopen, name) = make()?;
    let outcome = directory(&preopen, &name).and_then(|dir| {
        let outcome = row(&dir);
        let cleared = clear(&dir);
        outcome.and_then(|note| cleared.map(|()| note))
    });
    let removed = preopen.remove_directory_at(&name);
    let note = outcome?;
    removed.or_failed("remove-directory-at")?;
    Ok(note)
}

/// Makes a directory of a name that is free, in the first preopen that lets it.
fn make() -> Result<(Descriptor, String), Not> {
    let preopens = get_directories();
    if preopens.is_empty() {
        return Err(Not::Denied("no preopen".into()));
    }
    'preopens: for (preopen, _) in preopens {
        for number in 0..100 {
            let name = format!("wasi-demo-{number}");
            match preopen.create_directory_at(&name) {
                Err(ErrorCode::Exist) => continue,
                Err(code) if matches!(code.says(), Says::Denied) => continue 'preopens,
                result => result.or_failed("create-directory-at")?,
            }
            return Ok((preopen, name));
        }
    }
    Err(Not::Denied("no preopen that can be written to".into()))
}

fn directory(parent: &Descriptor, name: &str) -> Result<Descriptor, Not> {
    let flags = READ | DescriptorFlags::MUTATE_DIRECTORY;
    let opened = parent.open_at(HERE, name, OpenFlags::DIRECTORY, flags);
    opened.or_failed("open-at of a directory")
}

/// Removes what a row left in `dir`: files, and directories that are empty.
fn clear(dir: &Descriptor) -> Result<(), Not> {
    for entry in list(dir)? {
        match entry.type_ {
            DescriptorType::Directory => dir.remove_directory_at(&entry.name),
            _ => dir.unlink_file_at(&entry.name),
        }
        .or_failed("clearing up")?;
    }
    Ok(())
}

fn list(dir: &Descriptor) -> Result<Vec<DirectoryEntry>, Not> {
    const MANY: usize = 1000;
    let stream = dir.read_directory().or_failed("read-directory")?;
    let mut entries = Vec::new();
    while let Some(entry) = stream
        .read_directory_entry()
        .or_failed("read-directory-entry")?
    {
        entries.push(entry);
        ensure(entries.len() < MANY, || {
            "read-directory-entry: there is no end".into()
        })?;
    }
    Ok(entries)
}

/// A new file with `content`.
fn create(dir: &Descriptor, name: &str, content: &[u8]) -> Result<Descriptor, Not> {
    let file = dir
        .open_at(HERE, name, NEW, BOTH)
        .or_failed("open-at of a new file")?;
    let mut written = 0;
    while written < content.len() {
        let count = file
            .write(&content[written..], written as u64)
            .or_failed("write")?;
        let fits = (1..=(content.len() - written) as u64).contains(&count);
        ensure(fits, || {
            format!("write: {count} of {} bytes", content.len() - written)
        })?;
        written += count as usize;
    }
    Ok(file)
}

/// What `file` has from `offset` on, by `read`.
fn read(file: &Descriptor, mut offset: u64) -> Result<Vec<u8>, Not> {
    const PART: u64 = 4000;
    const MANY: usize = 1 << 20;
    let mut content = Vec::new();
    loop {
        let (bytes, end) = file.read(PART, offset).or_failed("read")?;
        ensure(bytes.len() as u64 <= PART, || {
            format!("read: {} bytes of {PART}", bytes.len())
        })?;
        ensure(end || !bytes.is_empty(), || {
            "read: nothing, and not the end".into()
        })?;
        offset += bytes.len() as u64;
        content.extend(bytes);
        ensure(content.len() < MANY, || "read: there is no end".into())?;
        if end {
            return Ok(content);
        }
    }
}

fn stat(dir: &Descriptor, name: &str) -> Result<DescriptorStat, Not> {
    dir.stat_at(HERE, name).or_failed("stat-at")
}

/// Fails unless there is nothing of that name.
fn gone(dir: &Descriptor, name: &str) -> Result<(), Not> {
    match dir.stat_at(HERE, name) {
        Err(ErrorCode::NoEntry) => Ok(()),
        Err(code) => Err(code).or_failed("stat-at of what is gone"),
        Ok(_) => failed(format!("{name} is still there")),
    }
}

/// Fails unless `result` is this error.
fn refused<T>(what: &str, result: Result<T, ErrorCode>, expected: ErrorCode) -> Result<(), Not> {
    let told = match result {
        Err(code) if code == expected => return Ok(()),
        Err(code) => code.name(),
        Ok(_) => "done",
    };
    failed(format!("{what}: {told}, not {}", expected.name()))
}

/// Written by offset and at the end, read by offset and as a stream.
pub fn contents() -> Outcome {
    scratch(|dir| {
        let mut content = streams::pattern(10_000);
        let file = create(dir, "file", &content)?;
        let end = file.append_via_stream().or_failed("append-via-stream")?;
        streams::write_all("append-via-stream", &end, b"the end")?;
        drop(end);
        content.extend(b"the end");
        file.sync_data().or_failed("sync-data")?;
        streams::same("read", &read(&file, 0)?, &content)?;
        drop(file);

        let file = dir.open_at(HERE, "file", OpenFlags::empty(), READ);
        let file = file.or_failed("open-at of a file")?;
        streams::same("read from 5000", &read(&file, 5000)?, &content[5000..])?;
        let rest = file.read_via_stream(1234).or_failed("read-via-stream")?;
        let mut got = Vec::new();
        while got.len() < content.len() {
            match streams::read("read-via-stream", &rest, 4000)? {
                None => break,
                Some(part) if part.is_empty() => {
                    crate::wait::one("read-via-stream", rest.subscribe())?;
                }
                Some(part) => got.extend(part),
            }
        }
        streams::same("read-via-stream", &got, &content[1234..])?;
        let again = dir.open_at(HERE, "file", NEW, BOTH);
        refused("open-at of what is there", again, ErrorCode::Exist)?;
        Ok(format!("{} bytes", content.len()))
    })
}

pub fn metadata() -> Outcome {
    scratch(|dir| {
        let (file, other) = (create(dir, "file", &[1; 1234])?, create(dir, "other", &[])?);
        for size in [1234, 100, 5000] {
            file.set_size(size).or_failed("set-size")?;
            for found in [file.stat().or_failed("stat")?, stat(dir, "file")?] {
                let right = (found.type_, found.size) == (DescriptorType::RegularFile, size);
                ensure(right, || format!("a file of {size} bytes is {found:?}"))?;
            }
        }
        let content = read(&file, 0)?;
        streams::same(
            "after set-size",
            &content,
            &[&[1; 100][..], &[0; 4900]].concat(),
        )?;
        let found = stat(dir, ".")?.type_;
        ensure(found == DescriptorType::Directory, || {
            format!("`.` is a {found:?}")
        })?;
        ensure(file.is_same_object(&file), || {
            "is-same-object: not itself".into()
        })?;
        ensure(!file.is_same_object(&other), || {
            "is-same-object: another file is".into()
        })?;
        let hash =
            |hash: Result<_, ErrorCode>| Ok(format!("{:?}", hash.or_failed("metadata-hash")?));
        let by_path = hash(dir.metadata_hash_at(HERE, "file"))?;
        ensure(hash(file.metadata_hash())? == by_path, || {
            "metadata-hash: by path another".into()
        })?;
        ensure(hash(other.metadata_hash())? != by_path, || {
            "metadata-hash: the same of two".into()
        })?;
        Ok("type, size, identity".into())
    })
}

pub fn times() -> Outcome {
    scratch(|dir| {
        let file = create(dir, "file", b"content")?;
        // Even: some filesystems count two seconds at a time.
        for seconds in [1_000_000_000, 1_234_567_890] {
            let time = Datetime {
                seconds,
                nanoseconds: 0,
            };
            let set = file.set_times(NewTimestamp::NoChange, NewTimestamp::Timestamp(time));
            set.or_failed("set-times")?;
            let found = stat(dir, "file")?.data_modification_timestamp;
            let found = found.map(|time| time.seconds);
            ensure(found == Some(seconds), || {
                format!("{found:?} was set to {seconds}")
            })?;
        }
        Ok("set and found".into())
    })
}

pub fn directories() -> Outcome {
    scratch(|dir| {
        let entries = list(dir)?;
        ensure(entries.is_empty(), || {
            format!("a new directory has {entries:?}")
        })?;
        for name in ["b", "a", "grüße"] {
            create(dir, name, &[])?;
        }
        dir.create_directory_at("sub")
            .or_failed("create-directory-at")?;
        let entries = list(dir)?;
        let mut found: Vec<_> = entries
            .iter()
            .map(|it| (it.name.as_str(), it.type_))
            .collect();
        found.sort_by_key(|entry| entry.0);
        let file = DescriptorType::RegularFile;
        let expected = [
            ("a", file),
            ("b", file),
            ("grüße", file),
            ("sub", DescriptorType::Directory),
        ];
        ensure(found == expected, || format!("{found:?}, not {expected:?}"))?;
        let again = dir.create_directory_at("sub");
        refused(
            "create-directory-at of what is there",
            again,
            ErrorCode::Exist,
        )?;

        let sub = directory(dir, "sub")?;
        create(&sub, "inside", &[])?;
        stat(dir, "sub/inside")?;
        let full = dir.remove_directory_at("sub");
        refused(
            "remove-directory-at of a full one",
            full,
            ErrorCode::NotEmpty,
        )?;
        // A directory is all there is to who holds it.
        for path in ["..", "../a", "/"] {
            let outside = sub.open_at(HERE, path, OpenFlags::empty(), READ);
            refused(path, outside, ErrorCode::NotPermitted)?;
        }
        sub.unlink_file_at("inside").or_failed("unlink-file-at")?;
        drop(sub);
        dir.remove_directory_at("sub")
            .or_failed("remove-directory-at")?;
        gone(dir, "sub")?;
        Ok(format!("{} entries", expected.len()))
    })
}

pub fn renames() -> Outcome {
    scratch(|dir| {
        create(dir, "first", b"first")?;
        create(dir, "second", b"second")?;
        for name in ["new", "second"] {
            let old = match name {
                "new" => "first",
                _ => "new",
            };
            dir.rename_at(old, dir, name).or_failed("rename-at")?;
            gone(dir, old)?;
            let file = dir.open_at(HERE, name, OpenFlags::empty(), READ);
            let file = file.or_failed("open-at of what was renamed")?;
            streams::same("after rename-at", &read(&file, 0)?, b"first")?;
        }
        dir.unlink_file_at("second").or_failed("unlink-file-at")?;
        gone(dir, "second")?;
        let left = list(dir)?;
        ensure(left.is_empty(), || {
            format!("what was removed is listed: {left:?}")
        })?;
        refused(
            "unlink-file-at",
            dir.unlink_file_at("second"),
            ErrorCode::NoEntry,
        )?;
        Ok("over another as well".into())
    })
}
