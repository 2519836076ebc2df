//! Times, hashes and identity.

use super::*;
use crate::bindings::wasi::clocks::wall_clock::Datetime;
use crate::bindings::wasi::filesystem::types::NewTimestamp;

pub fn run(checks: &mut Checks, dir: &Descriptor) {
    times(checks, dir);
    identity(checks, dir);
}

fn times(checks: &mut Checks, dir: &Descriptor) {
    let file = file(dir, "file", b"contents");
    dir.create_directory_at("dir").expect("a directory");
    dir.symlink_at("file", "link").expect("a link");
    let folder = open_dir(dir, "dir").expect("a directory");
    let at = |seconds| Datetime {
        seconds,
        nanoseconds: 123_456_000,
    };
    let to = |seconds| NewTimestamp::Timestamp(at(seconds));
    for (what, object) in [("a file", &file), ("a directory", &folder)] {
        let times = || {
            let stat = object.stat().expect("to stat");
            (stat.data_access_timestamp, stat.data_modification_timestamp)
        };
        checks.eq(
            format!("set-times: {what}"),
            object.set_times(to(1_000_000_000), to(1_100_000_000)),
            OK,
        );
        let both = (Some(at(1_000_000_000)), Some(at(1_100_000_000)));
        checks.eq(format!("set-times: {what}: as set"), times(), both);
        let kept = object.set_times(NewTimestamp::NoChange, NewTimestamp::NoChange);
        checks.eq(
            format!("set-times: {what}: no-change"),
            (kept, times()),
            (OK, both),
        );
        checks.eq(
            format!("set-times: {what}: now"),
            object.set_times(NewTimestamp::NoChange, NewTimestamp::Now),
            OK,
        );
        let (access, modification) = times();
        checks.eq(
            format!("set-times: {what}: now: the other stays"),
            access,
            both.0,
        );
        checks.that(
            format!("set-times: {what}: now: later"),
            modification
                .is_some_and(|it| it.seconds > 1_577_836_800 && it.nanoseconds < 1_000_000_000),
        );
        let bad = NewTimestamp::Timestamp(Datetime {
            seconds: 0,
            nanoseconds: 1_000_000_000,
        });
        let code = object.set_times(bad, NewTimestamp::NoChange).err();
        checks.eq(
            format!("set-times: {what}: nanoseconds"),
            code,
            Some(ErrorCode::Invalid),
        );
    }
    let modified = |flags, path: &str| {
        let stat = dir.stat_at(flags, path).expect("to stat");
        stat.data_modification_timestamp.map(|it| it.seconds)
    };
    let set = |flags, path: &str, seconds| {
        dir.set_times_at(flags, path, NewTimestamp::NoChange, to(seconds))
    };
    checks.eq(
        "set-times-at: a file",
        set(NO_FOLLOW, "file", 1_200_000_000),
        OK,
    );
    checks.eq(
        "set-times-at: a file: as set",
        modified(NO_FOLLOW, "file"),
        Some(1_200_000_000),
    );
    checks.eq(
        "set-times-at: through a link",
        set(FOLLOW, "link", 1_300_000_000),
        OK,
    );
    checks.eq(
        "set-times-at: through a link: as set",
        modified(NO_FOLLOW, "file"),
        Some(1_300_000_000),
    );
    checks.eq(
        "set-times-at: a link itself",
        set(NO_FOLLOW, "link", 1_400_000_000),
        OK,
    );
    checks.eq(
        "set-times-at: a link itself: as set",
        modified(NO_FOLLOW, "link"),
        Some(1_400_000_000),
    );
    checks.eq(
        "set-times-at: not what it leads to",
        modified(FOLLOW, "link"),
        Some(1_300_000_000),
    );
    let bad = NewTimestamp::Timestamp(Datetime {
        seconds: 0,
        nanoseconds: u32::MAX,
    });
    let code = dir
        .set_times_at(FOLLOW, "file", bad, NewTimestamp::NoChange)
        .err();
    checks.eq("set-times-at: nanoseconds", code, Some(ErrorCode::Invalid));
    // A write is a modification.
    let before = modified(FOLLOW, "file");
    file.write(b"x", 0).expect("to write");
    checks.that("write: modifies", modified(FOLLOW, "file") > before);
    drop((file, folder));
    for name in ["file", "link"] {
        dir.unlink_file_at(name).expect("to remove");
    }
    dir.remove_directory_at("dir").expect("to remove");
}

/// `is-same-object`, `metadata-hash` and `stat`.
fn identity(checks: &mut Checks, dir: &Descriptor) {
    let one = file(dir, "one", b"contents");
    let two = file(dir, "two", b"contents");
    dir.link_at(NO_FOLLOW, "one", dir, "name").expect("a link");
    let again = open(dir, "name", READ).expect("a file");
    checks.that("is-same-object: itself", one.is_same_object(&one));
    checks.that("is-same-object: another name", one.is_same_object(&again));
    checks.eq(
        "is-same-object: another file",
        one.is_same_object(&two),
        false,
    );
    checks.eq(
        "is-same-object: a directory",
        one.is_same_object(dir),
        false,
    );

    fn hash(
        it: Result<crate::bindings::wasi::filesystem::types::MetadataHashValue, ErrorCode>,
    ) -> Option<(u64, u64)> {
        it.ok().map(|it| (it.lower, it.upper))
    }
    let first = hash(one.metadata_hash());
    checks.that("metadata-hash: there is one", first.is_some());
    checks.eq(
        "metadata-hash: the same again",
        hash(again.metadata_hash()),
        first,
    );
    checks.eq(
        "metadata-hash-at: the same",
        hash(dir.metadata_hash_at(NO_FOLLOW, "one")),
        first,
    );
    checks.that(
        "metadata-hash: another file",
        hash(two.metadata_hash()) != first,
    );
    one.write(b"longer than before", 0).expect("to write");
    checks.that(
        "metadata-hash: another size",
        hash(one.metadata_hash()) != first,
    );
    dir.symlink_at("one", "link").expect("a link");
    let one_now = hash(one.metadata_hash());
    checks.eq(
        "metadata-hash-at: through a link",
        hash(dir.metadata_hash_at(FOLLOW, "link")),
        one_now,
    );
    checks.that(
        "metadata-hash-at: the link itself",
        hash(dir.metadata_hash_at(NO_FOLLOW, "link")) != one_now,
    );
    checks.that(
        "metadata-hash: a directory",
        hash(dir.metadata_hash()).is_some(),
    );

    let stat = one.stat().expect("to stat");
    checks.eq("stat: type", stat.type_, DescriptorType::RegularFile);
    checks.eq("stat: link-count", stat.link_count, 2);
    checks.eq("stat: size", stat.size, 18);
    let at = dir.stat_at(NO_FOLLOW, "one").expect("to stat");
    checks.eq("stat-at: the same", at, stat);
    let link = dir.stat_at(NO_FOLLOW, "link").expect("to stat");
    checks.eq(
        "stat-at: a link",
        (link.type_, link.size),
        (DescriptorType::SymbolicLink, 3),
    );
    checks.eq(
        "stat-at: through a link",
        dir.stat_at(FOLLOW, "link"),
        Ok::<_, ()>(stat),
    );
    checks.eq(
        "stat: a directory",
        dir.stat().map(|it| it.type_),
        Ok::<_, ()>(DescriptorType::Directory),
    );
    for name in ["one", "two", "name", "link"] {
        dir.unlink_file_at(name).expect("to remove");
    }
}
