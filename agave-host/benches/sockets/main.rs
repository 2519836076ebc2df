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
#[path = "../components/mod.rs"]
mod components;
mod peer;
mod plain;
mod tokio_plain;

use common::{Awake, Column, Failure, Goal, Plan, Row, Statistic, Table};
use components::{CALL, Host};
use peer::Peer;
use std::path::Path;
use std::process::ExitCode;

const BULK: u64 = 256 << 20;

fn main() -> ExitCode {
    common::exit(run)
}

fn run() -> Result<(), Failure> {
    let plan = Plan::new()?;
    let peer = Peer::start()?;
    let mut columns = vec![
        Column::measure("native", plain::call),
        Column::measure("tokio", tokio_plain::subject()?),
    ];
    for host in [
        Host::Floor,
        Host::Wasmtime { blocking: false },
        Host::Tuned { blocking: false },
        Host::Agave { inline: false },
    ] {
        if plan.has(host.name()) {
            columns.push(host.column(Path::new("."))?);
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
        goal: Some(goal),
    };
    let large = 64 << 10;
    let bulk = Goal {
        times: &[("native", 1.2)],
        more: 0.0,
    };
    vec![
        row("1 byte there and back", "echo", peer.echo, 1, 4_000, CALL),
        row(
            "4 KiB there and back",
            "echo",
            peer.echo,
            4 << 10,
            4_000,
            CALL,
        ),
        row(
            "64 KiB there and back",
            "echo",
            peer.echo,
            large,
            1_000,
            CALL,
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
