//! Directories: making, listing, renaming and removing.

use super::*;

pub fn run(checks: &mut Checks, dir: &Descriptor, other: &Descriptor) {
    making(checks, dir);
    listing(checks, dir);
    renaming(checks, dir);
    elsewhere(checks, dir, other);
}

fn making(checks: &mut Checks, dir: &Descriptor) {
    checks.eq("create-directory-at", dir.create_directory_at("dir"), OK);
    checks.eq(
        "create-directory-at: with a / at the end",
        dir.create_directory_at("slash/"),
        OK,
    );
    checks.eq(
        "create-directory-at: in another",
        dir.create_directory_at("dir/in"),
        OK,
    );
    drop(file(dir, "file", b""));
    dir.symlink_at("nowhere", "link").expect("a link");
    for name in ["dir", "dir/", "file", "link", "."] {
        checks.eq(
            format!("create-directory-at: exist: {name}"),
            dir.create_directory_at(name).err(),
            Some(ErrorCode::Exist),
        );
    }
    for (what, name, code) in [
        ("not empty", "dir", ErrorCode::NotEmpty),
        ("a file", "file", ErrorCode::NotDirectory),
        ("a link", "link", ErrorCode::NotDirectory),
    ] {
        checks.eq(
            format!("remove-directory-at: {what}"),
            dir.remove_directory_at(name).err(),
            Some(code),
        );
    }
    checks.eq(
        "unlink-file-at: a directory",
        dir.unlink_file_at("dir").err(),
        Some(ErrorCode::IsDirectory),
    );
    let code = dir.unlink_file_at("file/").err();
    checks.eq(
        "unlink-file-at: a file as a directory",
        code,
        Some(ErrorCode::NotDirectory),
    );
    checks.eq("unlink-file-at: a link", dir.unlink_file_at("link"), OK);
    checks.eq("unlink-file-at: a file", dir.unlink_file_at("file"), OK);
    checks.eq("remove-directory-at", dir.remove_directory_at("dir/in"), OK);
    checks.eq(
        "remove-directory-at: with a / at the end",
        dir.remove_directory_at("slash/"),
        OK,
    );
    let open_one = open_dir(dir, "dir").expect("a directory");
    checks.eq(
        "remove-directory-at: an open one",
        dir.remove_directory_at("dir"),
        OK,
    );
    checks.eq(
        "a removed directory: a file in it",
        create(&open_one, "x").err(),
        Some(ErrorCode::NoEntry),
    );
    checks.eq(
        "a removed directory: is empty",
        list(&open_one).map(|it| it.len()),
        Ok::<_, ()>(0),
    );
    checks.eq("all are gone", list(dir).map(|it| it.len()), Ok::<_, ()>(0));
}

fn listing(checks: &mut Checks, dir: &Descriptor) {
    const MANY: usize = 1000;
    dir.create_directory_at("many").expect("a directory");
    let many = open_dir(dir, "many").expect("a directory");
    checks.eq(
        "read-directory: empty",
        list(&many).map(|it| it.len()),
        Ok::<_, ()>(0),
    );
    let mut expected: Vec<_> = (0..MANY).map(|n| format!("file-{n:04}")).collect();
    for name in &expected {
        create(&many, name).expect("a file");
    }
    many.create_directory_at("sub").expect("a directory");
    many.symlink_at("sub", "to-sub").expect("a link");
    expected.extend(["sub".into(), "to-sub".into()]);
    checks.that("read-directory: each entry once", names(&many) == expected);
    let entries = list(&many).expect("to list");
    checks.eq(
        "read-directory: without . and ..",
        entries.iter().any(|it| it.name == "." || it.name == ".."),
        false,
    );
    for (name, kind) in [
        ("file-0007", DescriptorType::RegularFile),
        ("sub", DescriptorType::Directory),
        ("to-sub", DescriptorType::SymbolicLink),
    ] {
        let entry = entries.iter().find(|it| it.name == name);
        checks.eq(
            format!("read-directory: the type of {name}"),
            entry.map(|it| it.type_),
            Some(kind),
        );
    }

    let (one, two) = (
        many.read_directory().expect("a stream"),
        many.read_directory().expect("a stream"),
    );
    let next = |stream: &crate::bindings::wasi::filesystem::types::DirectoryEntryStream| {
        stream
            .read_directory_entry()
            .expect("an entry")
            .map(|it| it.name)
    };
    let first: Vec<_> = (0..10).map(|_| next(&one)).collect();
    let same: Vec<_> = (0..10).map(|_| next(&two)).collect();
    checks.eq("read-directory: two streams", same, first);
    // Entries that stay come once each, whatever happens to others.
    let mut seen = 10;
    for name in &expected[..500] {
        many.unlink_file_at(name).expect("to remove");
    }
    while let Some(name) = next(&one) {
        seen += expected[500..].contains(&name) as usize;
    }
    checks.that(
        "read-directory: while entries go",
        (502..=MANY + 2).contains(&seen),
    );
    checks.eq(
        "read-directory-entry: after the end",
        [next(&one), next(&one)],
        [None::<()>, None],
    );
    let file = open(&many, "file-0999", READ).expect("a file");
    checks.eq(
        "read-directory: a file",
        file.read_directory().err(),
        Some(ErrorCode::NotDirectory),
    );
    // A stream outlives its descriptor.
    let sub = open_dir(&many, "sub").expect("a directory");
    create(&sub, "x").expect("a file");
    let stream = sub.read_directory().expect("a stream");
    drop(sub);
    checks.eq(
        "read-directory: without its descriptor",
        next(&stream),
        Some("x"),
    );
    drop((one, two, stream, file, many));
    remove_all(dir, "many").expect("to remove");
}

fn renaming(checks: &mut Checks, dir: &Descriptor) {
    use ErrorCode as E;
    for name in ["dir", "empty", "full", "full/in"] {
        dir.create_directory_at(name).expect("a directory");
    }
    let one = file(dir, "one", b"one");
    drop(file(dir, "two", b"two"));
    dir.symlink_at("two", "link").expect("a link");
    for (what, from, to, code) in [
        ("nothing there", "nothing", "new", E::NoEntry),
        ("to nowhere", "one", "nothing/new", E::NoEntry),
        ("a file over a directory", "one", "empty", E::IsDirectory),
        ("a directory over a file", "dir", "one", E::NotDirectory),
        ("a directory over a full one", "dir", "full", E::NotEmpty),
        ("a directory into itself", "full", "full/in/x", E::Invalid),
        ("a file as a directory", "one/", "new", E::NotDirectory),
        (
            "a file to a directory's name",
            "one",
            "new/",
            E::NotDirectory,
        ),
        (".", ".", "new", E::Busy),
        ("to .", "dir", ".", E::Busy),
        ("..", "dir/..", "new", E::Busy),
    ] {
        checks.eq(
            format!("rename-at: {what}"),
            dir.rename_at(from, dir, to).err(),
            Some(code),
        );
    }
    let all = ["dir", "empty", "full", "link", "one", "two"];
    checks.eq("rename-at: errors change nothing", names(dir), all);

    checks.eq(
        "rename-at: to a new name",
        dir.rename_at("one", dir, "dir/three"),
        OK,
    );
    let moved = open(dir, "dir/three", READ).map(|it| it.is_same_object(&one));
    checks.eq("rename-at: the same object", moved, Ok::<_, ()>(true));
    checks.eq(
        "rename-at: over a file",
        dir.rename_at("dir/three", dir, "two"),
        OK,
    );
    let two = open(dir, "two", READ).expect("a file");
    checks.eq(
        "rename-at: over a file: contents",
        contents(&two, 9),
        Ok::<_, ()>(b"one"),
    );
    checks.eq("rename-at: itself", dir.rename_at("two", dir, "two"), OK);
    checks.eq(
        "rename-at: a directory over an empty one",
        dir.rename_at("full", dir, "empty"),
        OK,
    );
    checks.that(
        "rename-at: with what is in it",
        dir.stat_at(FOLLOW, "empty/in").is_ok(),
    );
    checks.eq(
        "rename-at: a link itself",
        dir.rename_at("link", dir, "moved"),
        OK,
    );
    checks.eq(
        "rename-at: a link itself: leads there",
        dir.readlink_at("moved"),
        Ok::<_, ()>("two"),
    );
    dir.link_at(NO_FOLLOW, "two", dir, "same").expect("a link");
    checks.eq(
        "rename-at: two names of one file",
        dir.rename_at("two", dir, "same"),
        OK,
    );
    checks.eq(
        "rename-at: both stay",
        names(dir),
        ["dir", "empty", "moved", "same", "two"],
    );
    // A directory that is open moves along.
    let inner = open_dir(dir, "empty/in").expect("a directory");
    checks.eq(
        "rename-at: between descriptors",
        dir.rename_at("dir", &inner, "dir"),
        OK,
    );
    checks.eq(
        "rename-at: between descriptors: came",
        names(&inner),
        ["dir"],
    );
    checks.eq(
        "rename-at: an open directory",
        dir.rename_at("empty/in", dir, "in"),
        OK,
    );
    checks.that(
        "rename-at: an open directory works",
        create(&inner, "file").is_ok(),
    );
    checks.that(
        "rename-at: an open directory is there",
        dir.stat_at(FOLLOW, "in/file").is_ok(),
    );
    drop((one, two, inner));
    for name in ["moved", "same", "two"] {
        dir.unlink_file_at(name).expect("to remove");
    }
    for name in ["in", "empty"] {
        remove_all(dir, name).expect("to remove");
    }
}

/// `cross-device`.
fn elsewhere(checks: &mut Checks, dir: &Descriptor, other: &Descriptor) {
    drop(file(dir, "file", b"here"));
    dir.create_directory_at("dir").expect("a directory");
    for (what, code) in [
        (
            "rename-at: a file",
            dir.rename_at("file", other, "file").err(),
        ),
        (
            "rename-at: a directory",
            dir.rename_at("dir", other, "dir").err(),
        ),
        (
            "link-at",
            dir.link_at(NO_FOLLOW, "file", other, "file").err(),
        ),
    ] {
        checks.eq(
            format!("{what}: to another filesystem"),
            code,
            Some(ErrorCode::CrossDevice),
        );
    }
    checks.eq("another filesystem: nothing came", names(other), [""; 0]);
    let there = file(other, "file", b"there");
    checks.eq(
        "another filesystem: a file",
        contents(&there, 9),
        Ok::<_, ()>(b"there"),
    );
    let here = open(dir, "file", READ).expect("a file");
    checks.eq(
        "is-same-object: on another filesystem",
        here.is_same_object(&there),
        false,
    );
    other.unlink_file_at("file").expect("to remove");
    dir.unlink_file_at("file").expect("to remove");
    dir.remove_directory_at("dir").expect("to remove");
}
