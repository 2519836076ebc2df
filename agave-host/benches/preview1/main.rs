//! What calls of WASI 0.1 cost: ours and wasmtime-wasi, each linked synchronously and
//! asynchronously, and the system calls themselves.
//!
//! One guest, `guest.wat`, makes the calls in loops, each host in a store of its own and all on
//! our engine; they take turns in one process, on the same files.
//!
//! ```text
//! cargo bench -p agave-host --bench preview1 [-- [--only COLUMN] [--rounds N] [PART-OF-A-ROW'S-NAME…]]
//! ```
//!
//! With `AGAVE_BENCH_QUICK` in the environment it does a 64th, once.

#[path = "../common/mod.rs"]
mod common;
mod guest;
mod hosts;
mod native;
#[path = "../files/tree.rs"]
mod tree;

use common::{Awake, Column, Failure, Goal, Plan, Row, Statistic, Table};
use guest::Mode;
use hosts::Host;
use native::Native;
use std::process::ExitCode;
use tree::Tree;

/// Bytes of the file that is read and written, and how many calls of 4 KiB that is.
const FILE_SIZE: u64 = 16 << 20;
const PIECES: u64 = FILE_SIZE / 4096;

/// The entries of the directory that is listed.
const ENTRIES: u32 = 1000;

/// What only looks something up.
const LOOK: Option<Goal> = Some(Goal {
    times: &[("native", 1.0)],
    more: 30.0,
});

/// What only looks something up, and takes no system call.
const NOTHING: Option<Goal> = Some(Goal {
    times: &[],
    more: 30.0,
});

/// What has the system move bytes, open something, or tell what it knows of it.
const CALL: Option<Goal> = Some(Goal {
    times: &[("native", 1.5)],
    more: 0.0,
});

const LISTING: Option<Goal> = Some(Goal {
    times: &[("native", 2.0)],
    more: 0.0,
});

fn main() -> ExitCode {
    common::exit(run)
}

fn run() -> Result<(), Failure> {
    let plan = Plan::new()?;
    let tree = Tree::new(FILE_SIZE, ENTRIES)?;
    let engine = agave_host::Host::builder().build()?.engine().clone();
    let native = Native::new(tree.path())?;
    let native = move |function: &str, parameters: &[u64]| native.call(function, parameters);
    let mut columns = vec![Column::measure("native", native)];
    let agave = |mode, offload| Host::Agave { mode, offload };
    let wasmtime = |mode, blocking| Host::Wasmtime { mode, blocking };
    for host in [
        agave(Mode::Sync, false),
        agave(Mode::Async, false),
        agave(Mode::Async, true),
        wasmtime(Mode::Sync, false),
        wasmtime(Mode::Sync, true),
        wasmtime(Mode::Async, false),
        wasmtime(Mode::Async, true),
    ] {
        if plan.has(host.name()) {
            columns.push(host.column(&engine, tree.path())?);
        }
    }
    let mut table = Table {
        statistic: Statistic {
            // All is work of one thread: what is more is noise.
            name: "least",
            quantile: 0.0,
        },
        rounds: 25,
        columns,
    };
    let _awake = Awake::new();
    table.run(&plan, &rows())
}

fn rows() -> Vec<Row> {
    let row = |name, function, parameters: &[u64], times, goal| Row {
        name,
        function,
        parameters: parameters.to_vec(),
        times,
        goal,
    };
    // Of what is no call to the system, and of what is one.
    let (many, some) = (20_000, 2_000);
    vec![
        row(
            "a host function that does nothing",
            "nothing",
            &[],
            many,
            None,
        ),
        row("clock_time_get", "clock_time_get", &[1], many, LOOK),
        row(
            "clock_time_get, realtime",
            "clock_time_get",
            &[0],
            many,
            LOOK,
        ),
        row("random_get, 32 bytes", "random_get", &[32], many, CALL),
        row("fd_tell", "fd_tell", &[], many, NOTHING),
        row("fd_seek", "fd_seek", &[], many, NOTHING),
        row("fd_fdstat_get", "fd_fdstat_get", &[], some, NOTHING),
        row("fd_filestat_get", "fd_filestat_get", &[], some, CALL),
        row("poll_oneoff, a passed time", "poll_oneoff", &[], some, LOOK),
        row("fd_write, 1 byte to memory", "stdout", &[], many, CALL),
        row("fd_read, 4 KiB", "fd_read", &[1], PIECES, CALL),
        row("fd_read, 4 KiB in 8 buffers", "fd_read", &[8], PIECES, CALL),
        row("fd_write, 4 KiB", "fd_write", &[1], PIECES, CALL),
        row(
            "fd_write, 4 KiB in 8 buffers",
            "fd_write",
            &[8],
            PIECES,
            CALL,
        ),
        row("fd_pread, 4 KiB", "fd_pread", &[], some, CALL),
        row("fd_pwrite, 4 KiB", "fd_pwrite", &[], some, CALL),
        row("path_open and fd_close", "path_open", &[1], some, CALL),
        row(
            "path_open and fd_close, 3 steps",
            "path_open",
            &[3],
            some,
            CALL,
        ),
        row(
            "path_filestat_get",
            "path_filestat_get",
            &[1, 0],
            some,
            CALL,
        ),
        row(
            "path_filestat_get, following",
            "path_filestat_get",
            &[1, 1],
            some,
            CALL,
        ),
        row(
            "path_filestat_get, 3 steps",
            "path_filestat_get",
            &[3, 0],
            some,
            CALL,
        ),
        row("fd_readdir, 1,000 entries", "fd_readdir", &[], 2, LISTING),
    ]
}
