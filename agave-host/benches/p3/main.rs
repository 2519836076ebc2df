//! What streams of WASI 0.3 cost: a file that is read and written, and a TCP connection to a
//! peer in this process, on a thread of its own. Ours in both modes, wasmtime-wasi in both of
//! its, and std.
//!
//! One guest, `guests/bench-p3`, moves the bytes, each host in a store of its own; they take
//! turns in one process, on the same file.
//!
//! ```text
//! cargo bench -p agave-host --bench p3 [-- [--only COLUMN] [--rounds N] [PART-OF-A-ROW'S-NAME…]]
//! ```
//!
//! With `AGAVE_BENCH_QUICK` in the environment it does a 64th, once.

#[path = "../common/mod.rs"]
mod common;
mod hosts;
mod native;
#[path = "../sockets/peer.rs"]
mod peer;
#[path = "../sockets/plain.rs"]
mod plain;
#[path = "../files/tree.rs"]
mod tree;

use common::{Awake, Column, Failure, Goal, Plan, Row, Statistic, Table};
use hosts::Host;
use peer::Peer;
use std::process::ExitCode;
use tree::Tree;

/// Bytes that are moved, and that the file has.
const BYTES: u64 = 256 << 20;

/// What a host may cost a stream.
const STREAM: Goal = Goal {
    times: &[("native", 1.0 / 0.9)],
    more: 0.0,
};

/// What it may cost a round trip, as for the sockets of 0.2.
const ROUND_TRIP: Goal = Goal {
    times: &[("native", 1.5)],
    more: 0.0,
};

fn main() -> ExitCode {
    common::exit(run)
}

fn run() -> Result<(), Failure> {
    let plan = Plan::new()?;
    let tree = Tree::new(BYTES, 0)?;
    let peer = Peer::start()?;
    let mut columns = vec![Column::measure("native", native::subject(tree.path()))];
    for host in [
        Host::Wasmtime { blocking: false },
        Host::Wasmtime { blocking: true },
        Host::Agave { inline: false },
        Host::Agave { inline: true },
    ] {
        if plan.has(host.name()) {
            columns.push(host.column(tree.path())?);
        }
    }
    let mut table = Table {
        statistic: Statistic {
            // Two threads work, and where the system puts them is a matter of luck.
            name: "median",
            quantile: 0.5,
        },
        rounds: 11,
        columns,
    };
    let _awake = Awake::new();
    table.run(&plan, &rows(&peer))
}

fn rows(peer: &Peer) -> Vec<Row> {
    let row = |name, function, parameters: &[u64], times, goal| Row {
        name,
        function,
        parameters: parameters.to_vec(),
        times,
        goal: Some(goal),
    };
    let piece = 64 << 10;
    let times = BYTES / piece;
    let [echo, sink, source] = [peer.echo, peer.sink, peer.source].map(u64::from);
    vec![
        row("file, 64 KiB read", "read-stream", &[piece], times, STREAM),
        row(
            "file, 64 KiB written",
            "write-stream",
            &[piece],
            times,
            STREAM,
        ),
        row("TCP, 64 KiB sent", "send", &[sink, piece], times, STREAM),
        row(
            "TCP, 64 KiB received",
            "receive",
            &[source, piece],
            times,
            STREAM,
        ),
        row(
            "TCP, 1 byte there and back",
            "echo",
            &[echo, 1],
            4_000,
            ROUND_TRIP,
        ),
    ]
}
