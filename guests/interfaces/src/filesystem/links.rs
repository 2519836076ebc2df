//! Hard and symbolic links.

use super::*;

pub fn run(checks: &mut Checks, dir: &Descriptor, _other: &Descriptor) {
    hard(checks, dir);
    symbolic(checks, dir);
    chains(checks, dir);
}

fn hard(checks: &mut Checks, dir: &Descriptor) {
    use ErrorCode as E;
    let one = file(dir, "one", b"one");
    dir.create_directory_at("dir").expect("a directory");
    dir.symlink_at("one", "link").expect("a link");
    checks.eq("link-at", dir.link_at(NO_FOLLOW, "one", dir, "dir/two"), OK);
    checks.eq(
        "link-at: link-count",
        one.stat().map(|it| it.link_count),
        Ok::<_, ()>(2),
    );
    let two = open(dir, "dir/two", BOTH).expect("a file");
    two.write(b"two", 0).expect("to write");
    checks.eq("link-at: one file", contents(&one, 9), Ok::<_, ()>(b"two"));
    for (what, from, to, code) in [
        ("nothing there", "nothing", "new", E::NoEntry),
        ("to nowhere", "one", "nothing/new", E::NoEntry),
        ("a directory", "dir", "new", E::NotPermitted),
        ("something there", "one", "dir/two", E::Exist),
        ("a directory there", "one", "dir", E::Exist),
        ("a link there", "one", "link", E::Exist),
        ("a directory's name", "one", "new/", E::NoEntry),
    ] {
        checks.eq(
            format!("link-at: {what}"),
            dir.link_at(NO_FOLLOW, from, dir, to).err(),
            Some(code),
        );
    }
    checks.eq(
        "link-at: a link itself",
        dir.link_at(NO_FOLLOW, "link", dir, "link-2"),
        OK,
    );
    checks.eq(
        "link-at: a link itself: is one",
        dir.readlink_at("link-2"),
        Ok::<_, ()>("one"),
    );
    // What the link leads to; a host may not know how.
    let followed = dir.link_at(FOLLOW, "link", dir, "three");
    checks.eq("link-at: through a link", followed, OK);
    if followed.is_ok() {
        let three = open(dir, "three", READ).map(|it| it.is_same_object(&one));
        checks.eq(
            "link-at: through a link: the same file",
            three,
            Ok::<_, ()>(true),
        );
    }
    drop((one, two));
    for name in names(dir) {
        if name != "dir" {
            dir.unlink_file_at(&name).expect("to remove");
        }
    }
    remove_all(dir, "dir").expect("to remove");
}

fn symbolic(checks: &mut Checks, dir: &Descriptor) {
    use ErrorCode as E;
    drop(file(dir, "file", b"contents"));
    dir.create_directory_at("dir").expect("a directory");
    for (contents, link) in [
        ("file", "to-file"),
        ("dir", "to-dir"),
        ("nowhere", "to-nowhere"),
        ("../file", "dir/back"),
        ("./dir/../file", "around"),
        ("grüße", "text"),
        ("../../../x", "outside"),
    ] {
        checks.eq(
            format!("symlink-at: {link}"),
            dir.symlink_at(contents, link),
            OK,
        );
        checks.eq(
            format!("readlink-at: {link}"),
            dir.readlink_at(link),
            Ok::<_, ()>(contents),
        );
    }
    for (what, path, code) in [
        ("something there", "file", E::Exist),
        ("a link there", "to-nowhere", E::Exist),
        ("a directory's name", "new/", E::NoEntry),
    ] {
        checks.eq(
            format!("symlink-at: {what}"),
            dir.symlink_at("x", path).err(),
            Some(code),
        );
    }
    for name in ["file", "dir"] {
        checks.eq(
            format!("readlink-at: {name}: no link"),
            dir.readlink_at(name).err(),
            Some(E::Invalid),
        );
    }
    for path in [
        "to-file",
        "dir/back",
        "around",
        "to-dir/back",
        "to-dir/../file",
    ] {
        let got = open(dir, path, READ).and_then(|file| contents(&file, 99));
        checks.eq(
            format!("open-at: through {path}"),
            got,
            Ok::<_, ()>(b"contents"),
        );
    }
    let through = open_dir(dir, "to-dir").map(|it| names(&it));
    checks.eq(
        "open-at: a directory through a link",
        through,
        Ok::<_, ()>(["back"]),
    );
    let none = OpenFlags::empty();
    for path in ["to-file", "to-dir", "to-nowhere"] {
        let code = dir.open_at(NO_FOLLOW, path, none, READ).err();
        checks.eq(
            format!("open-at: {path}, not followed"),
            code,
            Some(E::Loop),
        );
    }
    for (what, path, open_flags, code) in [
        ("a link to nowhere", "to-nowhere", none, E::NoEntry),
        (
            "a link there already",
            "to-nowhere",
            OpenFlags::CREATE | OpenFlags::EXCLUSIVE,
            E::Exist,
        ),
        ("a link outside", "outside", none, E::NotPermitted),
        (
            "a link outside, to make",
            "outside",
            OpenFlags::CREATE,
            E::NotPermitted,
        ),
        (
            "a link outside, to truncate",
            "outside",
            OpenFlags::TRUNCATE,
            E::NotPermitted,
        ),
    ] {
        let got = dir.open_at(FOLLOW, path, open_flags, BOTH).err();
        checks.eq(format!("open-at: {what}"), got, Some(code));
    }
    let made = create(dir, "to-nowhere").map(drop);
    checks.eq("open-at: create through a link", made, OK);
    checks.that(
        "open-at: create through a link: there",
        dir.stat_at(NO_FOLLOW, "nowhere").is_ok(),
    );
    dir.unlink_file_at("nowhere").expect("to remove");
    for name in names(dir) {
        match name.as_str() {
            "dir" => remove_all(dir, "dir").expect("to remove"),
            name => dir.unlink_file_at(name).expect("to remove"),
        }
    }
}

/// Forty links are followed and no more.
fn chains(checks: &mut Checks, dir: &Descriptor) {
    drop(file(dir, "0", b"contents"));
    for n in 1..=50 {
        dir.symlink_at(&format!("{}", n - 1), &format!("{n}"))
            .expect("a link");
    }
    for n in [1, 10, 40] {
        let got = open(dir, &n.to_string(), READ).map(drop);
        checks.eq(format!("open-at: through {n} links"), got, OK);
    }
    for n in [41, 50] {
        let code = open(dir, &n.to_string(), READ).err();
        checks.eq(
            format!("open-at: through {n} links"),
            code,
            Some(ErrorCode::Loop),
        );
    }
    for name in names(dir) {
        dir.unlink_file_at(&name).expect("to remove");
    }
}
