//! `agave demo`: the table, over this machine's backends and those in memory.

use crate::support::folder::Folder;
use crate::support::server::{Output, agave, ended, run, wait};
use crate::support::wait_until;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// The names of the rows of the table, with what came of each.
fn rows(table: &str) -> Vec<(&str, &str)> {
    let mut lines: Vec<_> = table.lines().collect();
    assert!(lines.remove(0).starts_with("API "), "{table}");
    lines.pop();
    let cells = lines.iter().map(|line| line.split_at(20));
    cells
        .map(|(name, rest)| (name.trim_end(), rest.split(' ').next().unwrap_or_default()))
        .collect()
}

/// All of them, in order.
const NAMES: [&str; 22] = [
    "arguments",
    "environment",
    "stdin",
    "stdout",
    "stderr",
    "terminals",
    "wall clock",
    "monotonic clock",
    "sleep",
    "random",
    "insecure random",
    "insecure seed",
    "file contents",
    "file metadata",
    "file times",
    "directories",
    "rename and remove",
    "name lookup",
    "TCP echo",
    "UDP echo",
    "HTTP request",
    "WebSocket echo",
];

/// `agave demo`, with temporary files in `folder`.
fn demo(folder: &Path) -> Command {
    let mut command = agave();
    command
        .arg("demo")
        .env("TMPDIR", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn entries(folder: &Folder) -> usize {
    fs::read_dir(&folder.0).unwrap().count()
}

#[track_caller]
fn assert_all_ok(output: &Output) {
    let Output {
        code,
        stdout,
        stderr,
    } = output;
    assert_eq!(*code, Some(0), "{stdout}{stderr}");
    assert_eq!(rows(stdout), NAMES.map(|name| (name, "ok")), "{stdout}");
    let last = stdout.lines().last();
    assert_eq!(last, Some("22 ok, 0 denied, 0 absent, 0 FAILED"));
    assert_eq!(stderr, "wasi-demo: a line on standard error\n");
}

#[test]
fn everything_is_ok_on_this_machine_and_no_file_is_left() {
    let folder = Folder::new("demo-machine");
    assert_all_ok(&ended(demo(&folder.0).spawn().unwrap()));
    assert_eq!(entries(&folder), 0);
}

#[test]
fn everything_is_ok_in_memory_without_a_file_and_with_the_same_numbers_each_time() {
    let nowhere = Path::new("/nowhere/that/there/is");
    let run = || ended(demo(nowhere).arg("--memory").spawn().unwrap());
    let [a, b] = [run(), run()];
    assert_all_ok(&a);
    let random = |output: &Output| {
        let row = output
            .stdout
            .lines()
            .find(|line| line.starts_with("random "));
        row.unwrap().rsplit("  ").next().unwrap().to_owned()
    };
    assert_eq!(random(&a), random(&b));
}

#[test]
fn what_waits_on_standard_input_is_read() {
    // It does not wait for long, and a busy machine may take its time.
    wait_until("its input is read", || {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"some input").unwrap();
        drop(writer);
        let mut demo = demo(Path::new("/"));
        let output = ended(demo.arg("--memory").stdin(reader).spawn().unwrap());
        assert_all_ok(&output);
        let mut lines = output.stdout.lines();
        let row = lines.find(|line| line.starts_with("stdin ")).unwrap();
        row.ends_with("  10 bytes, then the end")
    });
}

#[test]
fn a_program_that_is_granted_nothing_is_denied_row_by_row() {
    let component = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/wasi_demo.wasm");
    let output = run(&["run", component]);
    assert_eq!(output.code, Some(0), "{output:?}");
    let granted = 2..12;
    let expected = NAMES
        .iter()
        .enumerate()
        .map(|(index, name)| match granted.contains(&index) {
            true => (*name, "ok"),
            false => (*name, "denied"),
        });
    assert_eq!(rows(&output.stdout), expected.collect::<Vec<_>>());
    let last = output.stdout.lines().last();
    assert_eq!(last, Some("10 ok, 12 denied, 0 absent, 0 FAILED"));
}

#[test]
fn no_folder_is_left_behind_a_failure() {
    let folder = Folder::new("demo-fails");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let output = ended(demo(&folder.0).stdout(full).spawn().unwrap());
    // The row of what could not be written failed.
    assert_eq!(output.code, Some(1), "{output:?}");
    assert_eq!(entries(&folder), 0);
}

#[test]
fn no_folder_is_left_behind_a_reader_that_leaves_or_a_signal() {
    let folder = Folder::new("demo-ends");
    // Its output is full from the beginning.
    let held_up = || {
        let (reader, mut writer) = io::pipe().unwrap();
        let capacity = rustix::pipe::fcntl_getpipe_size(&writer).unwrap();
        writer.write_all(&vec![b'\n'; capacity]).unwrap();
        let child = demo(&folder.0).stdout(writer).spawn().unwrap();
        wait_until("the demo has a folder", || entries(&folder) == 1);
        (child, reader)
    };
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let (mut child, reader) = held_up();
        let kill = format!("kill -{signal} {}", child.id());
        assert!(
            Command::new("sh")
                .args(["-c", &kill])
                .status()
                .unwrap()
                .success()
        );
        assert_eq!(wait(&mut child).code(), Some(code), "{signal}");
        assert_eq!(entries(&folder), 0, "{signal}");
        drop(reader);
    }

    let (mut child, reader) = held_up();
    drop(reader);
    assert_eq!(wait(&mut child).code(), Some(141));
    assert_eq!(entries(&folder), 0);
}

#[test]
fn a_folder_that_cannot_be_made_is_told_in_a_line() {
    let output = ended(demo(Path::new("/nowhere/that/there/is")).spawn().unwrap());
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""));
    let told = output.stderr;
    assert!(
        told.starts_with("agave: /nowhere/that/there/is/agave-demo-"),
        "{told}"
    );
    assert_eq!(told.lines().count(), 1);
}
