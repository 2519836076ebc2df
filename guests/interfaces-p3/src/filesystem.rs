//! `wasi:filesystem`.
//!
//! The host grants a preopen `/` that is empty, to do anything in, and `/read-only` with a
//! `file` that contains `contents` and can't be changed.

use crate::bindings::wasi::clocks::system_clock::Instant;
use crate::bindings::wasi::filesystem::preopens::get_directories;
use crate::bindings::wasi::filesystem::types::{
    Advice, Descriptor, DescriptorFlags, DescriptorType, ErrorCode, NewTimestamp, OpenFlags,
    PathFlags,
};
use crate::bindings::wit_stream;
use crate::checks::Checks;

pub const OK: Result<(), ()> = Ok(());
pub const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;
pub const NO_FOLLOW: PathFlags = PathFlags::empty();
pub const READ: DescriptorFlags = DescriptorFlags::READ;
pub const WRITE: DescriptorFlags = DescriptorFlags::WRITE;
pub const BOTH: DescriptorFlags = READ.union(WRITE);
const DIRECTORY: DescriptorFlags = READ.union(DescriptorFlags::MUTATE_DIRECTORY);

/// The preopen of this name.
pub fn preopen(name: &str) -> Descriptor {
    let found = get_directories().into_iter().find(|it| it.1 == name);
    found.expect("a preopen").0
}

pub async fn run(checks: &mut Checks) {
    let root = preopen("/");
    let names: Vec<_> = get_directories().into_iter().map(|it| it.1).collect();
    checks.that(
        "get-directories: names",
        names.contains(&"/".into()) && names.contains(&"/read-only".into()),
    );
    checks.that(
        "get-directories: the same again",
        root.is_same_object(&preopen("/")).await,
    );
    opening(checks, &root).await;
    reading_and_writing(checks, &root).await;
    metadata(checks, &root).await;
    directories(checks, &root).await;
    links(checks, &root).await;
    paths(checks, &root).await;
    read_only(checks, &preopen("/read-only")).await;
    checks.eq("nothing is left", names_in(&root).await.len(), 0);
}

pub async fn open(
    dir: &Descriptor,
    name: &str,
    flags: DescriptorFlags,
) -> Result<Descriptor, ErrorCode> {
    dir.open_at(FOLLOW, name.into(), OpenFlags::empty(), flags)
        .await
}

/// A new file with this content.
pub async fn file(dir: &Descriptor, name: &str, content: &[u8]) -> Descriptor {
    let new = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    let file = dir.open_at(FOLLOW, name.into(), new, BOTH).await;
    let file = file.expect("a new file");
    write(&file, content, 0).await.expect("to write");
    file
}

/// Writes all of it by a stream, and gives the outcome.
pub async fn write(file: &Descriptor, bytes: &[u8], offset: u64) -> Result<(), ErrorCode> {
    let (mut writer, contents) = wit_stream::new();
    let written = file.write_via_stream(contents, offset);
    writer.write_all(bytes.into()).await;
    drop(writer);
    written.await
}

/// All that comes of a stream from there, and its outcome.
pub async fn read(file: &Descriptor, offset: u64) -> (Vec<u8>, Result<(), ErrorCode>) {
    let (stream, outcome) = file.read_via_stream(offset);
    (stream.collect().await, outcome.await)
}

/// The names in a directory, in order.
pub async fn names_in(dir: &Descriptor) -> Vec<String> {
    let (entries, outcome) = dir.read_directory();
    let mut names: Vec<_> = entries
        .collect()
        .await
        .into_iter()
        .map(|it| it.name)
        .collect();
    outcome.await.expect("to list");
    names.sort();
    names
}

async fn opening(checks: &mut Checks, dir: &Descriptor) {
    use ErrorCode as E;
    dir.create_directory_at("dir".into())
        .await
        .expect("a directory");
    drop(file(dir, "there", b"contents").await);
    let none = OpenFlags::empty();
    let new = OpenFlags::CREATE;
    let only_new = new | OpenFlags::EXCLUSIVE;
    let cut = OpenFlags::TRUNCATE;
    let folder = OpenFlags::DIRECTORY;
    for (what, path, open_flags, flags, code) in [
        ("nothing there", "nothing", none, READ, E::NoEntry),
        ("nothing to truncate", "nothing", cut, WRITE, E::NoEntry),
        ("something there already", "there", only_new, BOTH, E::Exist),
        (
            "a file, for a directory",
            "there",
            folder,
            READ,
            E::NotDirectory,
        ),
        ("a directory, to write", "dir", none, WRITE, E::IsDirectory),
    ] {
        let got = dir.open_at(FOLLOW, path.into(), open_flags, flags).await;
        checks.eq(format!("open-at: {what}"), got.err(), Some(code));
    }
    let there = dir.open_at(FOLLOW, "there".into(), new, BOTH).await;
    let there = there.expect("a file");
    checks.eq(
        "open-at: create: what is there stays",
        read(&there, 0).await.0,
        b"contents",
    );
    let cut = dir.open_at(FOLLOW, "there".into(), cut, WRITE).await;
    let cut = cut.expect("a file");
    checks.eq(
        "open-at: truncate",
        cut.stat().await.map(|it| it.size),
        Ok::<_, ()>(0),
    );
    for (what, flags) in [("read", READ), ("write", WRITE), ("both", BOTH)] {
        let file = open(dir, "there", flags).await.expect("a file");
        let got = file.get_flags().await.map(|got| got & (BOTH | DIRECTORY));
        checks.eq(format!("get-flags: {what}"), got, Ok::<_, ()>(flags));
        let kind = file.get_type().await;
        checks.eq(
            "get-type: a file",
            kind,
            Ok::<_, ()>(DescriptorType::RegularFile),
        );
    }
    let folder = open(dir, "dir", DIRECTORY).await.expect("a directory");
    checks.eq(
        "get-type: a directory",
        folder.get_type().await,
        Ok::<_, ()>(DescriptorType::Directory),
    );
    checks.eq(
        "get-flags: a directory",
        folder.get_flags().await,
        Ok::<_, ()>(DIRECTORY),
    );
    dir.unlink_file_at("there".into()).await.expect("to remove");
    dir.remove_directory_at("dir".into())
        .await
        .expect("to remove");
}

async fn reading_and_writing(checks: &mut Checks, dir: &Descriptor) {
    let both = file(dir, "file", b"0123456789").await;
    for (offset, expected) in [(0, &b"0123456789"[..]), (7, b"789"), (10, b""), (99, b"")] {
        let got = read(&both, offset).await;
        checks.eq(
            format!("read-via-stream: from {offset}"),
            got,
            (expected, OK),
        );
    }
    checks.eq("write-via-stream", write(&both, b"abcd", 2).await, OK);
    checks.eq(
        "write-via-stream: written",
        read(&both, 0).await.0,
        b"01abcd6789",
    );
    checks.eq(
        "write-via-stream: behind the end",
        write(&both, b"!", 12).await,
        OK,
    );
    checks.eq(
        "write-via-stream: zeros between",
        read(&both, 6).await.0,
        b"6789\0\0!",
    );
    for text in ["one", "two"] {
        let (mut writer, contents) = wit_stream::new();
        let appended = both.append_via_stream(contents);
        writer.write_all(text.into()).await;
        drop(writer);
        checks.eq("append-via-stream", appended.await, OK);
    }
    checks.eq(
        "append-via-stream: at the end",
        read(&both, 12).await.0,
        b"!onetwo",
    );
    checks.eq("set-size", both.set_size(3).await, OK);
    checks.eq("set-size: cut", read(&both, 0).await.0, b"01a");
    checks.eq("set-size: longer", both.set_size(5).await, OK);
    checks.eq("set-size: with zeros", read(&both, 0).await.0, b"01a\0\0");
    checks.eq("sync", both.sync().await, OK);
    checks.eq("sync-data", both.sync_data().await, OK);
    checks.eq("advise", both.advise(0, 5, Advice::Sequential).await, OK);

    let reader = open(dir, "file", READ).await.expect("a file");
    let code = write(&reader, b"x", 0).await.err();
    checks.that(
        "write-via-stream: a file to read",
        matches!(
            code,
            Some(ErrorCode::BadDescriptor | ErrorCode::NotPermitted)
        ),
    );
    let writer = open(dir, "file", WRITE).await.expect("a file");
    let (bytes, outcome) = read(&writer, 0).await;
    checks.eq("read-via-stream: a file to write: nothing", bytes, b"");
    checks.that(
        "read-via-stream: a file to write",
        matches!(
            outcome,
            Err(ErrorCode::BadDescriptor | ErrorCode::NotPermitted)
        ),
    );
    // The streams keep the file.
    let (stream, outcome) = both.read_via_stream(0);
    drop(both);
    dir.unlink_file_at("file".into()).await.expect("to remove");
    checks.eq(
        "read-via-stream: without its descriptor or its name",
        stream.collect().await,
        b"01a\0\0",
    );
    checks.eq("read-via-stream: to the end", outcome.await, OK);
}

async fn metadata(checks: &mut Checks, dir: &Descriptor) {
    let one = file(dir, "one", b"12345").await;
    let two = file(dir, "two", b"").await;
    let stat = one.stat().await.expect("its status");
    checks.eq(
        "stat",
        (stat.type_, stat.size, stat.link_count),
        (DescriptorType::RegularFile, 5, 1),
    );
    let at = dir.stat_at(FOLLOW, "one".into()).await.expect("its status");
    checks.eq(
        "stat-at: the same",
        (at.size, at.data_modification_timestamp),
        (5, stat.data_modification_timestamp),
    );
    let moment = |seconds| Instant {
        seconds,
        nanoseconds: 5_000,
    };
    let set = one.set_times(
        NewTimestamp::Timestamp(moment(1000)),
        NewTimestamp::Timestamp(moment(2000)),
    );
    checks.eq("set-times", set.await, OK);
    let times = |stat: crate::bindings::wasi::filesystem::types::DescriptorStat| {
        (stat.data_access_timestamp, stat.data_modification_timestamp)
    };
    let got = one.stat().await.map(times);
    checks.eq(
        "set-times: set",
        got,
        Ok::<_, ()>((Some(moment(1000)), Some(moment(2000)))),
    );
    let set = dir.set_times_at(
        FOLLOW,
        "one".into(),
        NewTimestamp::NoChange,
        NewTimestamp::Timestamp(moment(3000)),
    );
    checks.eq("set-times-at", set.await, OK);
    let got = one.stat().await.map(times);
    checks.eq(
        "set-times-at: set",
        got,
        Ok::<_, ()>((Some(moment(1000)), Some(moment(3000)))),
    );
    // Backends have the times of 0.2, which begin there.
    let set = one
        .set_times(NewTimestamp::NoChange, NewTimestamp::Timestamp(moment(-1)))
        .await;
    checks.eq(
        "set-times: before 1970",
        set.err(),
        Some(ErrorCode::Overflow),
    );

    let [first, again, other] = [
        one.metadata_hash().await,
        dir.metadata_hash_at(FOLLOW, "one".into()).await,
        two.metadata_hash().await,
    ]
    .map(|hash| hash.map(|it| (it.lower, it.upper)).ok());
    checks.that("metadata-hash: one", first.is_some());
    checks.eq("metadata-hash-at: the same", again, first);
    checks.that("metadata-hash: another", other != first);
    let same = open(dir, "one", READ).await.expect("a file");
    checks.that(
        "is-same-object: itself, opened again",
        one.is_same_object(&same).await,
    );
    checks.eq(
        "is-same-object: another",
        one.is_same_object(&two).await,
        false,
    );
    for name in ["one", "two"] {
        dir.unlink_file_at(name.into()).await.expect("to remove");
    }
}

async fn directories(checks: &mut Checks, dir: &Descriptor) {
    const MANY: usize = 1000;
    let make = async |name: &str| dir.create_directory_at(name.into()).await;
    checks.eq("create-directory-at", make("many").await, OK);
    checks.eq(
        "create-directory-at: again",
        make("many").await.err(),
        Some(ErrorCode::Exist),
    );
    let many = open(dir, "many", DIRECTORY).await.expect("a directory");
    checks.eq("read-directory: empty", names_in(&many).await.len(), 0);
    let mut expected: Vec<_> = (0..MANY).map(|n| format!("file-{n:04}")).collect();
    for name in &expected {
        drop(file(&many, name, b"").await);
    }
    many.create_directory_at("sub".into())
        .await
        .expect("a directory");
    expected.push("sub".into());
    checks.that(
        "read-directory: each entry once",
        names_in(&many).await == expected,
    );
    let (entries, outcome) = many.read_directory();
    let kinds: Vec<_> = entries.collect().await;
    let kind = |name: &str| {
        kinds
            .iter()
            .find(|it| it.name == name)
            .map(|it| it.type_.clone())
    };
    checks.eq(
        "read-directory: a file",
        kind("file-0007"),
        Some(DescriptorType::RegularFile),
    );
    checks.eq(
        "read-directory: a directory",
        kind("sub"),
        Some(DescriptorType::Directory),
    );
    checks.eq("read-directory: the end", outcome.await, OK);
    let (mut entries, outcome) = many.read_directory();
    checks.that(
        "read-directory: the first alone",
        entries.next().await.is_some(),
    );
    drop(entries);
    checks.eq("read-directory: given up", outcome.await, OK);
    let one = open(&many, "file-0000", READ).await.expect("a file");
    let (entries, outcome) = one.read_directory();
    checks.eq(
        "read-directory: of a file: nothing",
        entries.collect().await.len(),
        0,
    );
    checks.eq(
        "read-directory: of a file",
        outcome.await.err(),
        Some(ErrorCode::NotDirectory),
    );

    let remove = async |name: &str| dir.remove_directory_at(name.into()).await;
    checks.eq(
        "remove-directory-at: not empty",
        remove("many").await.err(),
        Some(ErrorCode::NotEmpty),
    );
    let unlink = many.unlink_file_at("sub".into()).await;
    checks.eq(
        "unlink-file-at: a directory",
        unlink.err(),
        Some(ErrorCode::IsDirectory),
    );
    for name in &expected[..MANY] {
        many.unlink_file_at(name.clone()).await.expect("to remove");
    }
    let renamed = many.rename_at("sub".into(), dir, "moved".into()).await;
    checks.eq("rename-at: to another directory", renamed, OK);
    checks.eq(
        "rename-at: it is there",
        names_in(dir).await,
        ["many", "moved"],
    );
    let renamed = dir.rename_at("nothing".into(), dir, "x".into()).await;
    checks.eq(
        "rename-at: nothing there",
        renamed.err(),
        Some(ErrorCode::NoEntry),
    );
    for name in ["many", "moved"] {
        checks.eq("remove-directory-at", remove(name).await, OK);
    }
    checks.eq(
        "remove-directory-at: again",
        remove("many").await.err(),
        Some(ErrorCode::NoEntry),
    );
}

async fn links(checks: &mut Checks, dir: &Descriptor) {
    let one = file(dir, "file", b"content").await;
    checks.eq(
        "symlink-at",
        dir.symlink_at("file".into(), "soft".into()).await,
        OK,
    );
    checks.eq(
        "readlink-at",
        dir.readlink_at("soft".into()).await,
        Ok::<_, ()>("file"),
    );
    let not = dir.readlink_at("file".into()).await.err();
    checks.eq("readlink-at: a file", not, Some(ErrorCode::Invalid));
    for (what, flags, kind) in [
        ("followed", FOLLOW, DescriptorType::RegularFile),
        ("not followed", NO_FOLLOW, DescriptorType::SymbolicLink),
    ] {
        let got = dir.stat_at(flags, "soft".into()).await.map(|it| it.type_);
        checks.eq(format!("stat-at: a link, {what}"), got, Ok::<_, ()>(kind));
    }
    let opened = dir
        .open_at(NO_FOLLOW, "soft".into(), OpenFlags::empty(), READ)
        .await;
    checks.eq(
        "open-at: a link, not followed",
        opened.err(),
        Some(ErrorCode::Loop),
    );
    checks.eq(
        "link-at",
        dir.link_at(NO_FOLLOW, "file".into(), dir, "hard".into())
            .await,
        OK,
    );
    checks.eq(
        "link-at: counted",
        one.stat().await.map(|it| it.link_count),
        Ok::<_, ()>(2),
    );
    let hard = open(dir, "hard", READ).await.expect("a file");
    checks.that("link-at: the same file", one.is_same_object(&hard).await);
    let absolute = dir.symlink_at("/etc".into(), "absolute".into()).await;
    checks.eq(
        "symlink-at: absolute",
        absolute.err(),
        Some(ErrorCode::NotPermitted),
    );
    for name in ["file", "soft", "hard"] {
        checks.eq("unlink-file-at", dir.unlink_file_at(name.into()).await, OK);
    }
}

async fn paths(checks: &mut Checks, dir: &Descriptor) {
    use ErrorCode as E;
    drop(file(dir, "file", b"").await);
    dir.symlink_at("..".into(), "up".into())
        .await
        .expect("a link");
    dir.symlink_at("loop".into(), "loop".into())
        .await
        .expect("a link");
    let name = "n".repeat(256);
    for (what, path, code) in [
        ("empty", "", E::NoEntry),
        ("absolute", "/", E::NotPermitted),
        ("above", "..", E::NotPermitted),
        ("above on the way", "file/../../x", E::NotDirectory),
        ("a link above", "up/x", E::NotPermitted),
        ("a loop", "loop/x", E::Loop),
        ("a file on the way", "file/x", E::NotDirectory),
        ("nothing on the way", "nothing/x", E::NoEntry),
        ("a name of 256 bytes", &name, E::NameTooLong),
    ] {
        let got = [
            open(dir, path, READ).await.err(),
            dir.stat_at(FOLLOW, path.into()).await.err(),
            dir.metadata_hash_at(FOLLOW, path.into()).await.err(),
            dir.readlink_at(path.into()).await.err(),
            dir.unlink_file_at(path.into()).await.err(),
            dir.remove_directory_at(path.into()).await.err(),
            dir.create_directory_at(path.into()).await.err(),
            dir.symlink_at("file".into(), path.into()).await.err(),
            dir.link_at(NO_FOLLOW, "file".into(), dir, path.into())
                .await
                .err(),
            dir.rename_at("file".into(), dir, path.into()).await.err(),
            dir.rename_at(path.into(), dir, "x".into()).await.err(),
        ];
        checks.eq(format!("paths: {what}"), got, vec![Some(code); 11]);
    }
    checks.eq(
        "paths: nothing was changed",
        names_in(dir).await,
        ["file", "loop", "up"],
    );
    for name in ["file", "loop", "up"] {
        dir.unlink_file_at(name.into()).await.expect("to remove");
    }
}

async fn read_only(checks: &mut Checks, dir: &Descriptor) {
    let file = open(dir, "file", READ).await.expect("a file");
    checks.eq("read-only: read", read(&file, 0).await, (b"contents", OK));
    let denied = |code: Option<ErrorCode>| {
        matches!(code, Some(ErrorCode::ReadOnly | ErrorCode::NotPermitted))
    };
    let new = dir
        .open_at(FOLLOW, "new".into(), OpenFlags::CREATE, BOTH)
        .await;
    checks.that(
        "read-only: open to write",
        denied(open(dir, "file", WRITE).await.err()),
    );
    checks.that("read-only: a new file", denied(new.err()));
    checks.that(
        "read-only: a directory",
        denied(dir.create_directory_at("new".into()).await.err()),
    );
    checks.that(
        "read-only: unlink",
        denied(dir.unlink_file_at("file".into()).await.err()),
    );
    let times = file.set_times(NewTimestamp::Now, NewTimestamp::Now).await;
    checks.that("read-only: times", denied(times.err()));
}
