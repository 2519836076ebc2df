//! Messages there and back, as often as the server can.

use crate::child::Server;
use crate::load::{Clients, Load};
use crate::servers::{self, Column};
use crate::{Failure, Plan};
use std::time::Instant;

const CONNECTIONS: [usize; 3] = [1, 16, 64];
/// Name, length of a message in bytes, and messages that are sent at once.
const LOADS: [(&str, usize, usize); 4] = [
    ("32 B", 32, 1),
    ("16 KiB", 16 << 10, 1),
    ("16 times 32 B", 32, 16),
    ("16 times 16 KiB", 16 << 10, 16),
];

/// Of [`Column::Native`], at [`GOAL_CONNECTIONS`].
const GOAL: f64 = 0.5;
const GOAL_CONNECTIONS: usize = 16;

/// One server under one load: in one window, or the medians of several.
#[derive(Clone, Copy)]
struct Cell {
    /// Messages a second.
    rate: f64,
    /// Microseconds of CPU time a message, of the server alone.
    cpu: f64,
    /// Bytes.
    resident: f64,
}

/// Measures all, and prints it as a Markdown table.
pub(crate) fn run(plan: &Plan) -> Result<(), Failure> {
    println!(
        "Messages a second, there and back (and times those of `{}`), and the server's CPU time \
         a message; its RSS in MiB at {} connections. Medians of {}.\n",
        Column::Native.name(),
        CONNECTIONS[CONNECTIONS.len() - 1],
        plan.rounds,
    );
    print!("| messages | server |");
    for connections in CONNECTIONS {
        print!(" {connections} |");
    }
    println!(" RSS | {GOAL}× at {GOAL_CONNECTIONS} |");
    println!("|---|---|{}---|---|", "---|".repeat(CONNECTIONS.len()));
    for (name, message, at_once) in LOADS {
        if plan.loads.is_empty() || plan.loads.iter().any(|it| it == name) {
            rows(plan, name, message, at_once)?;
        }
    }
    println!();
    Ok(())
}

/// One row a server.
fn rows(plan: &Plan, name: &str, message: usize, at_once: usize) -> Result<(), Failure> {
    let columns = &plan.columns;
    let servers = columns
        .iter()
        .map(|column| servers::start(*column))
        .collect::<Result<Vec<_>, _>>()?;
    // By server, then by connections, then by round.
    let mut cells: Vec<[Vec<Cell>; 3]> = columns.iter().map(|_| Default::default()).collect();
    for round in 0..plan.rounds {
        for (at, connections) in CONNECTIONS.into_iter().enumerate() {
            for turn in 0..servers.len() {
                // Another one begins each round.
                let server = (turn + round) % servers.len();
                let load = Load {
                    connections,
                    message,
                    at_once,
                };
                cells[server][at].push(measure(plan, &servers[server], load)?);
            }
        }
    }
    let medians: Vec<[Cell; 3]> = cells.into_iter().map(|it| it.map(median)).collect();
    let native = columns.iter().position(|it| *it == Column::Native);
    let native = native.map(|native| medians[native]);
    for (column, cells) in columns.iter().zip(medians) {
        print!("| {name} | {} |", column.name());
        for (at, cell) in cells.iter().enumerate() {
            let times = native.map_or(f64::NAN, |native| cell.rate / native[at].rate);
            let (rate, cpu) = (cell.rate / 1000.0, cell.cpu);
            print!(" {rate:.1}k ({times:.2}×), {cpu:.1} µs |");
        }
        let [.., last] = cells;
        println!(
            " {:.0} | {} |",
            last.resident / f64::from(1 << 20),
            verdict(*column, &cells, native.as_ref())
        );
    }
    Ok(())
}

fn verdict(column: Column, ours: &[Cell; 3], native: Option<&[Cell; 3]>) -> String {
    let at = CONNECTIONS.iter().position(|it| *it == GOAL_CONNECTIONS);
    let (Column::Agave, Some(native), Some(at)) = (column, native, at) else {
        return String::new();
    };
    let times = ours[at].rate / native[at].rate;
    match times >= GOAL {
        true => "PASS".into(),
        false => format!("miss by {:.0} %", (1.0 - times / GOAL) * 100.0),
    }
}

fn median(rounds: Vec<Cell>) -> Cell {
    let of = |key: fn(&Cell) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(key).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    };
    Cell {
        rate: of(|cell| cell.rate),
        cpu: of(|cell| cell.cpu),
        resident: of(|cell| cell.resident),
    }
}

fn measure(plan: &Plan, server: &Server, load: Load) -> Result<Cell, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (messages, [before, after]) = runtime.block_on(async {
        let clients = Clients::connect(server.address, load).await?;
        let begin = Instant::now() + plan.warm_up;
        let end = begin + plan.window;
        let usage = async {
            tokio::time::sleep_until(begin.into()).await;
            let before = server.usage();
            tokio::time::sleep_until(end.into()).await;
            Ok([before, server.usage()])
        };
        tokio::try_join!(clients.run(begin, end), usage)
    })?;
    let used = after.user + after.system - before.user - before.system;
    Ok(Cell {
        rate: messages as f64 / plan.window.as_secs_f64(),
        cpu: used.as_secs_f64() * 1e6 / messages as f64,
        resident: after.resident as f64,
    })
}
