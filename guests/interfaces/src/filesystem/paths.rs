//! What every function says of a path.

use super::*;
use crate::bindings::wasi::filesystem::types::NewTimestamp;

type Function = fn(&Descriptor, &str) -> Result<(), ErrorCode>;

/// Every function that takes a path, and each of those that a function takes.
pub const FUNCTIONS: [(&str, Function); 13] = [
    ("open-at", |dir, path| open(dir, path, READ).map(drop)),
    ("stat-at", |dir, path| dir.stat_at(FOLLOW, path).map(drop)),
    ("metadata-hash-at", |dir, path| {
        dir.metadata_hash_at(FOLLOW, path).map(drop)
    }),
    ("readlink-at", |dir, path| dir.readlink_at(path).map(drop)),
    ("set-times-at", |dir, path| {
        dir.set_times_at(FOLLOW, path, NewTimestamp::NoChange, NewTimestamp::Now)
    }),
    ("link-at: old", |dir, path| {
        dir.link_at(FOLLOW, path, dir, "new")
    }),
    ("rename-at: old", |dir, path| {
        dir.rename_at(path, dir, "new")
    }),
    ("unlink-file-at", |dir, path| dir.unlink_file_at(path)),
    ("remove-directory-at", |dir, path| {
        dir.remove_directory_at(path)
    }),
    ("create-directory-at", |dir, path| {
        dir.create_directory_at(path)
    }),
    ("symlink-at: new", |dir, path| {
        dir.symlink_at("target", path)
    }),
    ("link-at: new", |dir, path| {
        dir.link_at(NO_FOLLOW, "file", dir, path)
    }),
    ("rename-at: new", |dir, path| {
        dir.rename_at("file", dir, path)
    }),
];

/// How many of [`FUNCTIONS`] are about something that is there.
const OF_OLD: usize = 9;

pub fn run(checks: &mut Checks, dir: &Descriptor) {
    drop(file(dir, "file", b"contents"));
    dir.create_directory_at("dir").expect("a directory");
    for (target, link) in [
        ("loop", "loop"),
        ("b", "a"),
        ("a", "b"),
        ("..", "up"),
        ("../..", "out"),
        ("dir/../../x", "through"),
    ] {
        dir.symlink_at(target, link).expect("a link");
    }
    let name = "n".repeat(256);
    let deep = "d/".repeat(8192);
    let long = "l".repeat(1 << 20);
    let everywhere = [
        ("empty", "", ErrorCode::NoEntry),
        ("NUL", "\0", ErrorCode::Invalid),
        ("NUL at the end", "file\0", ErrorCode::Invalid),
        ("absolute", "/", ErrorCode::NotPermitted),
        ("absolute, and there", "/file", ErrorCode::NotPermitted),
        ("above", "..", ErrorCode::NotPermitted),
        ("above, as a directory", "../", ErrorCode::NotPermitted),
        ("beside", "../paths", ErrorCode::NotPermitted),
        ("above on the way", "dir/../../x", ErrorCode::NotPermitted),
        ("above and back", "../paths/file", ErrorCode::NotPermitted),
        ("a link above", "up/x", ErrorCode::NotPermitted),
        ("a link far above", "out/x", ErrorCode::NotPermitted),
        (
            "a link through a directory",
            "through/x",
            ErrorCode::NotPermitted,
        ),
        ("a loop", "loop/x", ErrorCode::Loop),
        ("a loop of two", "a/x", ErrorCode::Loop),
        ("nothing on the way", "nothing/x", ErrorCode::NoEntry),
        ("a file on the way", "file/x", ErrorCode::NotDirectory),
        (
            "a file on the way back",
            "file/../dir/x",
            ErrorCode::NotDirectory,
        ),
        ("a name of 256 bytes", &name, ErrorCode::NameTooLong),
        ("a path of 16 KiB", &deep, ErrorCode::NameTooLong),
        ("a name of 1 MiB", &long, ErrorCode::NameTooLong),
    ];
    for (what, path, code) in everywhere {
        for (function, call) in FUNCTIONS {
            checks.eq(
                format!("{function}: {what}"),
                call(dir, path).err(),
                Some(code),
            );
        }
    }
    for (function, call) in &FUNCTIONS[..OF_OLD] {
        let code = call(dir, "nothing").err();
        checks.eq(
            format!("{function}: nothing there"),
            code,
            Some(ErrorCode::NoEntry),
        );
        let code = call(dir, "dir/nothing").err();
        checks.eq(
            format!("{function}: nothing in there"),
            code,
            Some(ErrorCode::NoEntry),
        );
    }
    checks.eq(
        "all of it changed nothing",
        names(dir),
        ["a", "b", "dir", "file", "loop", "out", "through", "up"],
    );

    for (what, path, code) in [
        ("a file as a directory", "file/", ErrorCode::NotDirectory),
        ("a link above, followed", "up", ErrorCode::NotPermitted),
        ("a loop, followed", "loop", ErrorCode::Loop),
    ] {
        for (function, call) in &FUNCTIONS[..3] {
            checks.eq(
                format!("{function}: {what}"),
                call(dir, path).err(),
                Some(code),
            );
        }
    }
    contents_of_links(checks, dir);
    same_object(checks, dir);
    bases(checks, dir);
}

fn contents_of_links(checks: &mut Checks, dir: &Descriptor) {
    let long = "l".repeat(1 << 20);
    for (what, contents, code) in [
        ("empty", "", ErrorCode::NoEntry),
        ("NUL", "a\0b", ErrorCode::Invalid),
        ("absolute", "/", ErrorCode::NotPermitted),
        ("absolute, and there", "/file", ErrorCode::NotPermitted),
        ("1 MiB", &long, ErrorCode::NameTooLong),
    ] {
        let code_got = dir.symlink_at(contents, "new").err();
        checks.eq(
            format!("symlink-at: contents: {what}"),
            code_got,
            Some(code),
        );
    }
}

/// Ways to write the same path.
fn same_object(checks: &mut Checks, dir: &Descriptor) {
    let plain = open(dir, "file", READ).expect("a file");
    for path in [
        "./file",
        "file",
        "dir/../file",
        ".//dir/.././/file",
        "./dir/./../file",
    ] {
        let same = open(dir, path, READ).map(|it| it.is_same_object(&plain));
        checks.eq(format!("open-at: {path}"), same, Ok::<_, ()>(true));
    }
    let folder = open_dir(dir, "dir").expect("a directory");
    for path in ["dir/", "dir//", "dir/.", "./dir/./"] {
        let same = open_dir(dir, path).map(|it| it.is_same_object(&folder));
        checks.eq(format!("open-at: {path}"), same, Ok::<_, ()>(true));
    }
    let itself = open_dir(dir, ".").map(|it| it.is_same_object(dir));
    checks.eq("open-at: .", itself, Ok::<_, ()>(true));
}

/// A path begins at a directory.
fn bases(checks: &mut Checks, dir: &Descriptor) {
    let base = open(dir, "file", BOTH).expect("a file");
    for (function, call) in FUNCTIONS {
        checks.eq(
            format!("{function}: from a file"),
            call(&base, "x").err(),
            Some(ErrorCode::NotDirectory),
        );
    }
    // What is opened below a directory can't leave that one either.
    let below = open_dir(dir, "dir").expect("a directory");
    drop(file(&below, "file", b"contents"));
    for (function, call) in FUNCTIONS {
        checks.eq(
            format!("{function}: above the directory that was opened"),
            call(&below, "../file").err(),
            Some(ErrorCode::NotPermitted),
        );
    }
}
