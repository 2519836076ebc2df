//! What `wasi:sockets` costs: round trips and bulk over one TCP connection to a peer in this
//! process, on a thread of its own. Ours, wasmtime-wasi set up in two ways, tokio, std, and
//! host functions that do nothing.
//!
//! ```text
//! cargo bench -p agave-host --bench sockets [-- [--only COLUMN] [--rounds N] [PART-OF-A-ROW'S-NAME…]]
//! ```
//!
//! With `AGAVE_BENCH_QUICK` in the environment it does a 64th, once.

#[path = "../common/mod.rs"]
mod common;
mod peer;
mod plain;
mod tokio_plain;

use common::{Awake, Column, Failure, Goal, Plan, Row, Statistic, Subject, Table};
use peer::Peer;
use std::path::Path;
use std::process::ExitCode;

const BULK: u64 = 256 << 20;

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
    let peer = Peer::start()?;
    let mut columns: Vec<(Column, Box<dyn Subject>)> = vec![
        (Column::Own("native"), Box::new(plain::call)),
        (Column::Own("tokio"), Box::new(tokio_plain::subject()?)),
    ];
    for column in [
        Column::Floor,
        Column::Wasmtime { blocking: false },
        Column::Tuned { blocking: false },
        Column::Agave { inline: false },
    ] {
        if plan.has(column) {
            columns.push((column, column.subject(Path::new("."))?));
        }
    }
    let mut table = Table {
        statistic: Statistic {
            // Two threads work, and where the system puts them is a matter of luck.
            name: "median",
            quantile: 0.5,
        },
        rounds: 15,
        columns,
    };
    let _awake = Awake::new();
    table.run(&plan, &rows(&peer))
}

fn rows(peer: &Peer) -> Vec<Row> {
    let row = |name, function, port: u16, piece: u64, times, goal| Row {
        name,
        function,
        parameters: vec![port.into(), piece],
        times,
        goal,
    };
    let large = 64 << 10;
    let bulk = Goal::Native(1.2);
    vec![
        row(
            "1 byte there and back",
            "echo",
            peer.echo,
            1,
            4_000,
            Goal::Call,
        ),
        row(
            "4 KiB there and back",
            "echo",
            peer.echo,
            4 << 10,
            4_000,
            Goal::Call,
        ),
        row(
            "64 KiB there and back",
            "echo",
            peer.echo,
            large,
            1_000,
            Goal::Call,
        ),
        row("send 64 KiB", "send", peer.sink, large, BULK / large, bulk),
        row(
            "receive 64 KiB",
            "receive",
            peer.source,
            large,
            BULK / large,
            bulk,
        ),
    ]
}
