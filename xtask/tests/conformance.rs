//! `cargo xtask conformance` as a command, on a suite of scripts for `fake-agave`.

#![cfg(unix)]

use std::fs;
use std::process::{Command, Output};
use tempfile::TempDir;

const AGAVE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake-agave");

/// Runs the command on a suite with these tests.
fn conformance(tests: &[(&str, &str)], args: &[&str]) -> Output {
    let checkout = TempDir::new().unwrap();
    let folder = checkout.path().join("tests/c/testsuite/wasm32-wasip1");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("manifest.json"), r#"{"name": "x"}"#).unwrap();
    for (file, content) in tests {
        fs::write(folder.join(file), content).unwrap();
    }
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("conformance")
        .arg(checkout.path())
        .args(["--agave", AGAVE])
        .args(args)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn succeeds_when_every_test_passes_everywhere() {
    let tests = [
        ("a.wasm", "exit 0"),
        ("b.wasm", "printf b"),
        ("b.json", r#"{"stdout": "b"}"#),
    ];
    let output = conformance(&tests, &[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        text(&output.stdout),
        "suite  wasmtime, host  wasmtime, memory  wasmi, host  wasmi, memory\n\
         c 0.1  2/2             2/2               2/2          2/2\n"
    );
}

#[test]
fn fails_when_one_test_fails_on_one_engine_and_says_which() {
    let tests = [
        ("a.wasm", "exit 0"),
        ("b.wasm", r#"[ "$engine$fs" != wasmihost ]"#),
    ];
    let output = conformance(&tests, &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        text(&output.stdout),
        "suite  wasmtime, host  wasmtime, memory  wasmi, host  wasmi, memory\n\
         c 0.1  2/2             2/2               1/2          2/2\n\
         \n\
         c 0.1/b (wasmi, host)\n  exit code: 0, got 1\n"
    );
    assert!(text(&output.stderr).contains("1 of 8 failed"), "{output:?}");
}

#[test]
fn only_what_is_chosen_is_run() {
    let tests = [("aa.wasm", "exit 0"), ("b.wasm", "exit 1")];
    let args = ["--only", "a", "--engine", "wasmi", "--fs", "host"];
    let output = conformance(&tests, &args);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(text(&output.stdout), "suite  wasmi, host\nc 0.1  1/1\n");
}

/// Runs the command on a suite with one component.
fn component(script: &str, args: &[&str]) -> Output {
    let checkout = TempDir::new().unwrap();
    let folder = checkout.path().join("tests/rust/testsuite/wasm32-wasip3");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("manifest.json"), r#"{"name": "x"}"#).unwrap();
    fs::write(folder.join("a.wasm"), script).unwrap();
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .arg("conformance")
        .arg(checkout.path())
        .args(["--agave", AGAVE])
        .args(args)
        .output()
        .unwrap()
}

#[test]
fn components_are_run_on_wasmtime_alone() {
    let output = component(r#"[ "$engine" = wasmtime ]"#, &[]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        text(&output.stdout),
        "suite     wasmtime, host  wasmtime, memory  wasmi, host  wasmi, memory\n\
         rust 0.3  1/1             1/1               -            -\n"
    );
    let output = component("exit 0", &["--engine", "wasmi"]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("all tests are components"), "{output:?}");
}

#[test]
fn fails_when_there_is_no_test() {
    let no_test: &[(&str, &str)] = &[];
    for (tests, args, expected) in [
        (no_test, &[][..], "no tests in"),
        (&[("a.wasm", "")], &["--only", "b"], "no test has \"b\""),
    ] {
        let output = conformance(tests, args);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains(expected), "{output:?}");
    }
}
