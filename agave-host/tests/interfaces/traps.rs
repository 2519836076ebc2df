//! What the text makes a trap is one, and ends this guest only.

use crate::outcome::Outcome;
use crate::{machine, memory};
use agave_host::RunError;

const TRAPS: [&str; 20] = [
    "poll-nothing",
    "write-unchecked",
    "write-more",
    "write-twice",
    "write-flushed",
    "write-zeroes-unchecked",
    "write-zeroes-more",
    "blocking-write-more",
    "blocking-write-zeroes-more",
    "send-unchecked",
    "send-more",
    "send-twice",
    "finish-with-its-stream",
    "drop-body-with-its-stream",
    "drop-request-with-its-headers",
    "drop-response-with-its-headers",
    "drop-incoming-with-its-headers",
    "finish-incoming-with-its-stream",
    "drop-input-with-its-pollable",
    "drop-output-with-its-pollable",
];

fn all(run: fn(&[&str]) -> Outcome) {
    for name in TRAPS {
        let Outcome { exit, stderr, .. } = run(&["trap", name]);
        let trapped = matches!(&exit, Err(error @ RunError::Failed(_)) if !error.is_timeout());
        // Its own panic is a trap as well, but it says so.
        assert!(trapped && stderr.is_empty(), "{name}: {exit:?}\n{stderr}");
    }
}

#[test]
fn traps_in_memory() {
    all(memory::run);
}

#[test]
fn traps_on_this_machine() {
    all(machine::run);
}

#[test]
fn what_does_not_trap_is_seen() {
    let run = memory::run(&["trap", "none"]);
    assert!(run.stderr.starts_with("FAILED trap none"), "{}", run.stderr);
    assert!(!run.exit.unwrap().is_success());
}
