//! `agave run`: the standard streams.

use crate::support::program::{Program, command};
use crate::support::server::{agave, computed, forget_peak, guest, peak, wait};
use crate::support::wait_until;
use std::fs::File;
use std::io::Read;
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

#[test]
fn its_input_is_this_process_s_to_the_last_byte() {
    let mut program = Program::start(&[], &["count"]);
    const MIB: usize = 64;
    for _ in 0..MIB {
        program.write(&[b'x'; 1 << 20]);
    }
    let output = program.ended();
    assert_eq!(output.stdout, format!("{} bytes\n", MIB << 20));
    assert_eq!(output.code, Some(0));
    // What is empty is at its end.
    assert_eq!(command(&[], &["count"]).stdout, "0 bytes\n");
}

#[test]
fn input_that_comes_slowly_is_given_to_the_program_as_it_comes() {
    let mut program = Program::start(&[], &["cat"]);
    for line in ["a\n", "bc\n", "def\n"] {
        program.write(line.as_bytes());
        assert_eq!(program.read(line.len()), line);
    }
    assert_eq!(program.ended().code, Some(0));
}

#[test]
fn a_program_that_reads_only_some_of_its_input_ends_all_the_same() {
    let mut program = Program::start(&[], &["head", "3"]);
    program.write(b"abcdef");
    // The input stays open.
    let stdin = program.stdin();
    let output = program.ended();
    assert_eq!((output.stdout.as_str(), output.code), ("abc", Some(0)));
    drop(stdin);
}

#[test]
fn a_reader_that_leaves_ends_it_quietly_with_141() {
    let mut program = Program::start(&[], &["yes"]);
    assert_eq!(program.read(4), "y\ny\n");
    drop(program.stdout());
    let output = program.ended();
    assert_eq!((output.code, output.stderr.as_str()), (Some(141), ""));

    // Also where the reader left before the first byte, and it succeeds by its own account.
    let mut program = Program::start(&[], &["head", "3"]);
    drop(program.stdout());
    program.write(b"abc");
    let output = program.ended();
    assert_eq!((output.code, output.stderr.as_str()), (Some(141), ""));
}

#[test]
fn a_reader_of_its_messages_that_leaves_ends_it_too() {
    let mut program = Program::start(&[], &["trap"]);
    drop(program.child().stderr.take());
    let output = program.ended();
    assert!(matches!(output.code, Some(134 | 141)), "{output:?}");
}

#[test]
fn an_output_that_nobody_reads_holds_it_up_and_nothing_piles_up() {
    let mut program = Program::start(&[], &["fill", "200"]);
    assert_eq!(program.read(3), "xxx");
    forget_peak(program.child());
    let before = peak(program.child());
    let mut last = u64::MAX;
    wait_until("it computes no more", || {
        thread::sleep(Duration::from_millis(300));
        let now = computed(program.child());
        now == std::mem::replace(&mut last, now)
    });
    let rest = (200 << 20) - 3;
    let mut read = Vec::new();
    let mut stdout = program.stdout();
    stdout
        .by_ref()
        .take(10 << 20)
        .read_to_end(&mut read)
        .unwrap();
    let grown = peak(program.child()) - before;
    assert!(grown <= 4, "{grown} MiB");
    // It goes on when somebody does.
    let copied = std::io::copy(&mut stdout, &mut std::io::sink()).unwrap();
    assert_eq!(copied + (10 << 20), rest);
    let output = program.ended();
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), "filled\n"));
}

#[test]
fn a_timeout_is_not_held_up_by_an_output_that_nobody_reads() {
    let mut program = Program::start(&["--timeout", "300ms"], &["yes"]);
    let begun = Instant::now();
    let status = wait(program.child());
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(status.code(), Some(134));
    assert!(program.ended().stderr.contains("ran out of time"));
}

#[test]
fn an_output_that_cannot_be_written_is_an_error_that_the_program_is_told() {
    let output = agave()
        .args(["run", &guest("command"), "print", "1"])
        .stdin(Stdio::null())
        .stdout(File::options().write(true).open("/dev/full").unwrap())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.starts_with("command: "), "{told}");
}

#[test]
fn pipes_are_no_terminals() {
    let expected = "stdin false\nstdout false\nstderr false\n";
    assert_eq!(command(&[], &["terminals"]).stdout, expected);
}

#[test]
fn two_processes_work_as_a_pipeline() {
    let guest = guest("command");
    let agave = |program: &[&str]| {
        let mut command = agave();
        command.args(["run", &guest]).args(program);
        command
    };
    let mut first = agave(&["fill", "8"]);
    let mut first = first
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut second = agave(&["count"]);
    let second = second.stdin(first.stdout.take().unwrap()).output().unwrap();
    assert_eq!(second.stdout, b"8388608 bytes\n");
    assert!(first.wait().unwrap().success());
}
