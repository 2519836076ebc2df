//! `agave inspect`.

use crate::support::folder::Folder;
use crate::support::server::{assert_one_line, guest, run};

/// What it says of the program at `path`, without the path.
fn inspect(path: &str) -> String {
    let output = run(&["inspect", path]);
    assert_eq!(
        (output.code, output.stderr.as_str()),
        (Some(0), ""),
        "{path}"
    );
    let told = output.stdout.strip_prefix(&format!("{path}: "));
    told.expect("the path first").into()
}

/// The words of the line about `name`.
fn words<'a>(told: &'a str, name: &str) -> Vec<&'a str> {
    let mut lines = told
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    lines
        .find(|words| words.first() == Some(&name))
        .unwrap_or_else(|| panic!("{name}: {told}"))
}

#[test]
fn each_import_and_export_has_its_version_and_what_is_made_of_it() {
    let told = inspect(&guest("command"));
    assert!(told.starts_with("a component for `agave run`\n"), "{told}");
    assert_eq!(
        words(&told, "wasi:cli/exit")[1..],
        ["0.2.12", "0.2.12", "(no", "grant)"]
    );
    // Rust's std has a version of its own.
    for (name, grant) in [
        ("wasi:cli/environment", "--env"),
        ("wasi:filesystem/preopens", "--dir"),
        ("wasi:sockets/tcp", "--allow-net"),
        ("wasi:cli/stdout", "(no"),
    ] {
        let words = words(&told, name);
        assert!(words[1].starts_with("0.2."), "{words:?}");
        assert_eq!(words[2..4], ["0.2.12", grant], "{words:?}");
    }
    let words = words(&told, "wasi:cli/run");
    assert!(words[1].starts_with("0.2."), "{words:?}");
    assert_eq!(words[2..], ["agave", "run"]);
    for grant in ["--env KEY=VALUE", "--dir HOST::GUEST", "--allow-net RULE"] {
        assert!(told.contains(grant), "{grant}: {told}");
    }
}

#[test]
fn all_guests_of_the_tests_are_provided_with_everything() {
    for (name, used) in [
        ("command", "`agave run`"),
        ("hello", "`agave serve`"),
        ("hello_tiny", "`agave serve`"),
        ("state_tiny", "`agave serve`"),
        ("testbed", "`agave serve`"),
    ] {
        let told = inspect(&guest(name));
        assert!(
            told.starts_with(&format!("a component for {used}\n")),
            "{name}: {told}"
        );
        assert!(!told.contains("not provided"), "{name}: {told}");
    }
}

#[test]
fn what_needs_no_grant_says_so() {
    let folder = Folder::new("inspect-no-grant");
    let text = r#"(component
        (import "wasi:random/random@0.2.3"
            (instance (export "get-random-u64" (func (result u64))))))"#;
    let told = inspect(&folder.file("random.wasm", wat::parse_str(text).unwrap()));
    let expected = "\
a component that exports nothing that agave could run or serve

imports               version  provided as  granted by
  wasi:random/random  0.2.3    0.2.12       (no grant)

exports: none

It needs no grant.
";
    assert_eq!(told, expected);
}

#[test]
fn an_import_that_does_not_link_is_told_with_its_cause_and_the_others_are_found_all_the_same() {
    let folder = Folder::new("inspect-missing");
    let text = r#"(component
        (import "wasi:random/random@0.2.0"
            (instance (export "get-random-u64" (func (result u64)))))
        (import "agave:nothing/here@1.0.0" (instance
            (export "r" (type $r (sub resource)))
            (export "[constructor]r" (func (result (own $r))))))
        (import "wasi:cli/stdin@0.3.0" (instance (export "get" (func))))
        (import "wasi:clocks/wall-clock@0.2.4" (instance (export "now" (func (result string)))))
        (import "wasi:random/insecure@0.2.12"
            (instance (export "get-insecure-random-u64" (func (result u64)))))
        (import "wasi:random/insecure-seed@0.2.99"
            (instance (export "insecure-seed" (func (result (tuple u64 u64))))))
        (import "a-function" (func))
        (import "wasi:cli/stdin@0.2.0"
            (instance (export "get-stdin" (func (result u32)))))
        (core module $m (func (export "f")))
        (core instance $i (instantiate $m))
        (func $run (canon lift (core func $i "f")))
        (export "run" (func $run)))"#;
    let told = inspect(&folder.file("missing.wasm", wat::parse_str(text).unwrap()));
    assert!(
        told.starts_with("a component that can't be run: 5 imports are not provided\n"),
        "{told}"
    );
    for (name, version, provided) in [
        ("wasi:random/random", "0.2.0", "0.2.12"),
        ("agave:nothing/here", "1.0.0", "no"),
        ("wasi:clocks/wall-clock", "0.2.4", "no"),
        ("wasi:random/insecure", "0.2.12", "0.2.12"),
        ("wasi:random/insecure-seed", "0.2.99", "0.2.12"),
    ] {
        assert_eq!(words(&told, name)[1..3], [version, provided], "{told}");
    }
    let (_, causes) = told.split_once("\nnot provided\n").unwrap();
    for (name, cause) in [
        ("agave:nothing/here@1.0.0: ", "`r`"),
        ("wasi:cli/stdin@0.3.0: ", "`get`"),
        ("wasi:clocks/wall-clock@0.2.4: ", "`now`"),
        ("a-function: ", "function"),
        ("wasi:cli/stdin@0.2.0: ", "`get-stdin`"),
    ] {
        let line = causes
            .lines()
            .find(|line| line.trim_start().starts_with(name));
        let line = line.unwrap_or_else(|| panic!("{name}: {told}"));
        assert!(line.contains(cause), "{cause}: {line}");
    }
}

#[test]
fn a_core_module_has_its_imports_and_exports_and_whether_it_can_be_run() {
    let folder = Folder::new("inspect-module");
    let imports = r#"(import "wasi_snapshot_preview1" "fd_write" (func))
        (import "wasi_snapshot_preview1" "proc_exit" (func))"#;
    let start = r#"(memory (export "memory") 1) (func (export "_start"))"#;
    let inspect_text = |fields: &str| {
        let module = wat::parse_str(format!("(module {fields})")).unwrap();
        inspect(&folder.file("module.wasm", module))
    };
    let expected = "\
a core module for `agave run`

imports from              version  how many  provided
  wasi_snapshot_preview1  0.1      2         yes

exports
  memory
  _start

It needs no grant.
";
    assert_eq!(inspect_text(&format!("{imports} {start}")), expected);

    let unknown = r#"(import "env" "f" (func)) (import "wasi_snapshot_preview1" "fd_open" (func))
        (import "env" "g" (func))"#;
    let expected = "\
a core module that can't be run: 3 imports are not provided

imports from              version  how many  provided
  wasi_snapshot_preview1  0.1      3         in part
  env                     -        2         no

exports
  memory
  _start

not provided
  wasi_snapshot_preview1 fd_open
  env f
  env g

It needs no grant.
";
    assert_eq!(
        inspect_text(&format!("{imports} {unknown} {start}")),
        expected
    );
    let told = inspect_text(&format!(r#"(import "env" "f" (func)) {start}"#));
    let first = "a core module that can't be run: an import is not provided\n";
    assert!(told.starts_with(first), "{told}");

    let expected = "\
a core module that does not export `_start`, which agave could run

imports from: none

exports: none

It needs no grant.
";
    assert_eq!(inspect_text(""), expected);
}

#[test]
fn a_module_of_wasi_unstable_is_told_by_its_version_and_has_its_own_functions() {
    let folder = Folder::new("inspect-unstable");
    // `sock_accept` came later.
    let text = r#"(module
        (import "wasi_unstable" "fd_read" (func))
        (import "wasi_unstable" "sock_accept" (func))
        (func (export "_start")))"#;
    let told = inspect(&folder.file("unstable.wasm", wat::parse_str(text).unwrap()));
    let words = words(&told, "wasi_unstable");
    assert_eq!(words[1..], ["0.0", "2", "in", "part"], "{told}");
    assert!(
        told.contains("\nnot provided\n  wasi_unstable sock_accept\n"),
        "{told}"
    );
}

#[test]
fn the_grants_of_a_module_are_those_of_the_functions_that_it_imports() {
    let folder = Folder::new("inspect-grants");
    const GRANTS: [&str; 4] = ["--env ", "--dir ", "--tcplisten ", "--allow-net "];
    for (function, grant) in [
        ("environ_get", Some("--env ")),
        ("environ_sizes_get", Some("--env ")),
        ("fd_prestat_get", Some("--dir ")),
        ("fd_readdir", Some("--dir ")),
        ("path_open", Some("--dir ")),
        ("sock_accept", Some("--tcplisten ")),
        ("sock_recv", Some("--tcplisten ")),
        ("args_get", None),
        ("poll_oneoff", None),
    ] {
        let text = format!(
            r#"(module (import "wasi_snapshot_preview1" "{function}" (func))
            (func (export "_start")))"#
        );
        let told = inspect(&folder.file("grants.wasm", wat::parse_str(&text).unwrap()));
        for each in GRANTS {
            assert_eq!(
                told.contains(each),
                grant == Some(each),
                "{function}: {told}"
            );
        }
        let none = told.contains("It needs no grant.");
        assert_eq!(none, grant.is_none(), "{function}: {told}");
    }
    for (name, expected) in [
        ("kv", &["--env ", "--dir "][..]),
        ("echo", &["--tcplisten "]),
    ] {
        let told = inspect(&guest(name));
        assert!(
            told.starts_with("a core module for `agave run`\n"),
            "{told}"
        );
        for each in GRANTS {
            assert_eq!(
                told.contains(each),
                expected.contains(&each),
                "{name}: {told}"
            );
        }
    }
}

#[test]
fn what_is_no_program_is_one_line_and_code_1() {
    let folder = Folder::new("inspect-nothing");
    for (name, bytes, told) in [
        ("script", &b"#!/bin/sh"[..], "not WebAssembly"),
        ("empty", b"", "not WebAssembly"),
        ("header", b"\0asm\x0d", "unexpected end"),
        ("cut", b"\0asm\x0d\0\x01\0\x0a\xff", "unexpected end"),
        ("broken", b"\0asm\x0d\0\x01\0nonsense", ""),
    ] {
        let path = folder.file(name, bytes);
        assert_one_line(&["inspect", &path], 1, &[name, told]);
    }
    assert_one_line(
        &["inspect", "no-such.wasm"],
        1,
        &["no-such.wasm", "No such file"],
    );
}

#[test]
fn names_of_a_program_move_no_cursor() {
    let folder = Folder::new("inspect-names");
    let name = r"a\u{1b}[2J\u{a}b";
    let text = format!(r#"(module (import "{name}" "f" (func)) (func (export "{name}")))"#);
    let told = inspect(&folder.file("names.wasm", wat::parse_str(text).unwrap()));
    assert!(!told.contains('\u{1b}'), "{told}");
    assert_eq!(told.lines().count(), 12, "{told}");
}
