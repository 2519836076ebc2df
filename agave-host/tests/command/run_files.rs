//! `--dir` and `--fs`.

use crate::support::folder::{Folder, text};
use crate::support::program::command;
use crate::support::server::assert_one_line;
use std::fs;
use std::os::unix::fs::symlink;

/// A folder with `a` and `sub/b`, links to them, and one that leads out.
fn tree(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.file("a", "in a");
    fs::create_dir(folder.0.join("sub")).unwrap();
    folder.file("sub/b", "in b");
    symlink("sub/b", folder.0.join("link")).unwrap();
    symlink("/etc/hostname", folder.0.join("absolute")).unwrap();
    symlink("../../../../../../etc/hostname", folder.0.join("out")).unwrap();
    folder
}

#[test]
fn a_guest_has_the_directories_that_it_is_given_and_no_others() {
    let (one, two) = (tree("files-one"), Folder::new("files-two"));
    let (one, two) = (text(&one.0), (text(&two.0), two));
    let flags = [
        "--dir",
        &format!("{one}::/one"),
        "--dir",
        &format!("{}::two", two.0),
    ];
    for fs in ["host", "memory"] {
        let flags = [&flags[..], &["--fs", fs]].concat();
        for (program, stdout) in [
            (&["read", "/one/a"][..], Some("in a")),
            (&["read", "/one/sub/b"], Some("in b")),
            (&["read", "/one/link"], Some("in b")),
            (&["read", "/one/sub/../a"], Some("in a")),
            (&["write", "two/c", "text"], Some("")),
            (&["list", "/one/sub"], Some("b\n")),
            (&["read", "/one/out"], None),
            (&["read", "/one/absolute"], None),
            (&["read", "/one/../../etc/hostname"], None),
            (&["read", "/etc/hostname"], None),
            (&["list", "/"], None),
        ] {
            let output = command(&flags, program);
            match stdout {
                Some(stdout) => assert_eq!(
                    (output.stdout.as_str(), output.code),
                    (stdout, Some(0)),
                    "{fs} {program:?}: {output:?}"
                ),
                None => assert_eq!(output.code, Some(1), "{fs} {program:?}: {output:?}"),
            }
        }
    }
    for program in [["read", "/one/a"], ["list", "/"], ["list", "."]] {
        let output = command(&[], &program);
        assert_eq!(output.code, Some(1), "{program:?}: {output:?}");
    }
}

#[test]
fn without_a_name_of_the_guests_it_is_the_hosts() {
    let folder = tree("files-name");
    let path = text(&folder.0);
    let output = command(&["--dir", &path], &["read", &format!("{path}/a")]);
    assert_eq!(output.stdout, "in a", "{output:?}");
    // Relative paths are relative to it.
    let output = command(&["--dir", &format!("{path}::.")], &["read", "a"]);
    assert_eq!(output.stdout, "in a", "{output:?}");
}

#[test]
fn what_a_guest_writes_is_in_the_hosts_directory_unless_that_is_in_memory_or_read_only() {
    let folder = tree("files-write");
    let path = text(&folder.0);
    let before = || fs::read_to_string(folder.0.join("a")).unwrap();
    let writable = format!("{path}::/d");
    let read_only = format!("{path}::/d:ro");
    for (flags, code) in [
        (&["--dir", &read_only][..], 1),
        (&["--dir", &read_only, "--fs", "memory"], 1),
        (&["--dir", &writable, "--fs", "memory"], 0),
    ] {
        for program in [["write", "/d/a", "changed"], ["write", "/d/new", "text"]] {
            let output = command(flags, &program);
            assert_eq!(output.code, Some(code), "{flags:?} {program:?}: {output:?}");
        }
        assert_eq!(before(), "in a", "{flags:?}");
        assert!(!folder.0.join("new").exists(), "{flags:?}");
        assert_eq!(
            command(flags, &["read", "/d/a"]).stdout,
            "in a",
            "{flags:?}"
        );
    }
    let flags = ["--dir", &writable];
    assert_eq!(command(&flags, &["write", "/d/a", "changed"]).code, Some(0));
    assert_eq!(before(), "changed");
}

#[test]
fn a_filesystem_in_memory_is_there_without_a_directory_and_empty() {
    let flags = ["--fs", "memory"];
    let output = command(&flags, &["list", "/"]);
    assert_eq!((output.stdout.as_str(), output.code), ("", Some(0)));
    assert_eq!(command(&flags, &["write", "/a", "text"]).code, Some(0));
    assert_eq!(
        command(&flags, &["read", "/a"]).code,
        Some(1),
        "it was gone"
    );
}

#[test]
fn what_cannot_be_given_is_one_line_that_names_it_and_code_1() {
    let folder = Folder::new("files-wrong");
    let file = folder.file("file", "");
    let huge = fs::File::create(folder.0.join("huge")).unwrap();
    huge.set_len(1 << 40).unwrap();
    for (dir, fs, told) in [
        ("no-such-directory", "host", "No such file"),
        ("no-such-directory", "memory", "No such file"),
        (file.as_str(), "host", "Not a directory"),
        (&file, "memory", "Not a directory"),
        (&text(&folder.0), "memory", "huge: there is no room"),
    ] {
        let arguments = ["run", "--dir", &format!("{dir}::/"), "--fs", fs, "x.wasm"];
        assert_one_line(&arguments, 1, &["--dir", dir, told]);
    }
}
