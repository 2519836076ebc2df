//! What calls of `wasi:filesystem` cost: ours, wasmtime-wasi set up in four ways, the system
//! calls themselves, and host functions that do nothing.
//!
//! One guest, `guests/bench`, makes the calls in loops, each host in a store of its own; they
//! take turns in one process, on the same files.
//!
//! ```text
//! cargo bench -p agave-host --bench files [-- [--only COLUMN] [--rounds N] [PART-OF-A-ROW'S-NAME…]]
//! ```
//!
//! With `AGAVE_BENCH_QUICK` in the environment it does a 64th, once.

#[path = "../common/mod.rs"]
mod common;
#[path = "../components/mod.rs"]
mod components;
mod native;
mod tree;

use common::{Awake, Column, Failure, Goal, Plan, Row, Statistic, Table};
use components::{CALL, ENTRIES, FILE_SIZE, Host};
use native::Native;
use std::process::ExitCode;
use tree::Tree;

fn main() -> ExitCode {
    common::exit(run)
}

fn run() -> Result<(), Failure> {
    let plan = Plan::new()?;
    let tree = Tree::new(FILE_SIZE, ENTRIES)?;
    let native = Native::new(tree.path())?;
    let native = move |function: &str, parameters: &[u64]| native.call(function, parameters);
    let mut columns = vec![Column::measure("native", native)];
    for host in [
        Host::Floor,
        Host::Wasmtime { blocking: false },
        Host::Wasmtime { blocking: true },
        Host::Tuned { blocking: false },
        Host::Tuned { blocking: true },
        Host::Agave { inline: false },
        Host::Agave { inline: true },
    ] {
        if plan.has(host.name()) {
            columns.push(host.column(tree.path())?);
        }
    }
    let mut table = Table {
        statistic: Statistic {
            // All is work of one thread: what is more is noise.
            name: "least",
            quantile: 0.0,
        },
        rounds: 11,
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
        goal: Some(goal),
    };
    let (small, large) = (4 << 10, 64 << 10);
    vec![
        row(
            "stream, 4 KiB read",
            "read-stream",
            &[small],
            FILE_SIZE / small,
            Goal {
                times: &[("native", 1.0 / 0.95)],
                more: 0.0,
            },
        ),
        row(
            "stream, 64 KiB read",
            "read-stream",
            &[large],
            FILE_SIZE / large,
            CALL,
        ),
        row(
            "stream, 4 KiB written and flushed",
            "blocking-write",
            &[small],
            FILE_SIZE / small,
            CALL,
        ),
        row(
            "stream, 64 KiB written",
            "write-stream",
            &[large],
            FILE_SIZE / large,
            CALL,
        ),
        row("read 4 KiB anywhere", "read", &[small], 5_000, CALL),
        row("write 4 KiB anywhere", "write", &[small], 5_000, CALL),
        row("stat", "stat", &[], 5_000, CALL),
        row("stat-at", "stat-at", &[0], 5_000, CALL),
        row("stat-at, 3 directories down", "stat-at", &[3], 5_000, CALL),
        row("open-at and drop", "open-at", &[0], 5_000, CALL),
        row(
            "open-at and drop, 3 directories down",
            "open-at",
            &[3],
            5_000,
            CALL,
        ),
        row("list 10,000 entries", "read-directory", &[], 1, CALL),
    ]
}
