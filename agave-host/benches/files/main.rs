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
mod native;
mod tree;

use common::{Awake, Column, FILE_SIZE, Failure, Goal, Plan, Row, Statistic, Subject, Table};
use native::Native;
use std::process::ExitCode;
use tree::Tree;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            let causes = std::iter::successors(failure.source(), |cause| cause.source());
            let told = causes.fold(failure.to_string(), |told, cause| {
                format!("{told}: {cause}")
            });
            eprintln!("{told}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let plan = Plan::new()?;
    let tree = Tree::new()?;
    let native = Native::new(tree.path())?;
    let native = move |function: &str, parameters: &[u64]| native.call(function, parameters);
    let mut columns: Vec<(Column, Box<dyn Subject>)> =
        vec![(Column::Own("native"), Box::new(native))];
    for column in [
        Column::Floor,
        Column::Wasmtime { blocking: false },
        Column::Wasmtime { blocking: true },
        Column::Tuned { blocking: false },
        Column::Tuned { blocking: true },
        Column::Agave { inline: false },
        Column::Agave { inline: true },
    ] {
        if plan.has(column) {
            columns.push((column, column.subject(tree.path())?));
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
        goal,
    };
    let (small, large) = (4 << 10, 64 << 10);
    vec![
        row(
            "stream, 4 KiB read",
            "read-stream",
            &[small],
            FILE_SIZE / small,
            Goal::Native(1.0 / 0.95),
        ),
        row(
            "stream, 64 KiB read",
            "read-stream",
            &[large],
            FILE_SIZE / large,
            Goal::Call,
        ),
        row(
            "stream, 4 KiB written and flushed",
            "blocking-write",
            &[small],
            FILE_SIZE / small,
            Goal::Call,
        ),
        row(
            "stream, 64 KiB written",
            "write-stream",
            &[large],
            FILE_SIZE / large,
            Goal::Call,
        ),
        row("read 4 KiB anywhere", "read", &[small], 5_000, Goal::Call),
        row("write 4 KiB anywhere", "write", &[small], 5_000, Goal::Call),
        row("stat", "stat", &[], 5_000, Goal::Call),
        row("stat-at", "stat-at", &[0], 5_000, Goal::Call),
        row(
            "stat-at, 3 directories down",
            "stat-at",
            &[3],
            5_000,
            Goal::Call,
        ),
        row("open-at and drop", "open-at", &[0], 5_000, Goal::Call),
        row(
            "open-at and drop, 3 directories down",
            "open-at",
            &[3],
            5_000,
            Goal::Call,
        ),
        row("list 10,000 entries", "read-directory", &[], 1, Goal::Call),
    ]
}
