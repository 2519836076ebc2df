//! Hello world, as often as the server can.

use crate::child::Server;
use crate::load::{Clients, Load};
use crate::servers::{self, Column, Guest, Settings};
use crate::{Failure, Plan};
use std::time::{Duration, Instant};

const CONNECTIONS: [usize; 3] = [1, 16, 64];

pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// One server under one load, in one window.
struct Cell {
    /// Requests a second.
    rate: f64,
    /// `rate`, divided by that of wasmtime in the same round.
    ratio: f64,
    /// Milliseconds.
    p50: f64,
    p99: f64,
    /// Microseconds a request.
    user: f64,
    system: f64,
    resident: u64,
}

/// Measures all, and prints it as a Markdown table.
pub(crate) fn run(plan: &Plan) -> Result<(), Failure> {
    println!(
        "Requests a second (and times those of `{}`), median and 99th percentile of the latency \
         in ms; CPU time a request (user + system) and RSS at 64 connections.\n",
        Column::Wasmtime.name()
    );
    println!(
        "| guest | instances | timeout | server | 1 connection | 16 connections | 64 connections | CPU µs | RSS MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for guest in [Guest::HelloTiny, Guest::Hello, Guest::HelloP3] {
        if !plan.guests.contains(&guest) {
            continue;
        }
        for timeout in [None, Some(TIMEOUT)] {
            group(plan, guest, Settings::fresh(timeout))?;
            if let Guest::HelloP3 = guest {
                let reuse = true;
                group(plan, guest, Settings { timeout, reuse })?;
            }
        }
    }
    println!();
    Ok(())
}

fn group(plan: &Plan, guest: Guest, settings: Settings) -> Result<(), Failure> {
    let columns: Vec<Column> = (plan.columns.iter().copied())
        .filter(|column| column.serves(guest))
        .collect();
    let servers = columns
        .iter()
        .map(|column| servers::start(*column, guest, settings))
        .collect::<Result<Vec<_>, _>>()?;
    // By server, then by connections, then by round.
    let mut cells: Vec<[Vec<Cell>; 3]> = columns.iter().map(|_| Default::default()).collect();
    for round in 0..plan.rounds {
        for (at, connections) in CONNECTIONS.into_iter().enumerate() {
            let mut this: Vec<Option<Cell>> = columns.iter().map(|_| None).collect();
            for turn in 0..servers.len() {
                // Another one begins each round.
                let server = (turn + round) % servers.len();
                this[server] = Some(measure(plan, &servers[server], connections)?);
            }
            let base = columns
                .iter()
                .position(|column| *column == Column::Wasmtime);
            let base = base.and_then(|base| this[base].as_ref().map(|cell| cell.rate));
            for (server, cell) in this.into_iter().flatten().enumerate() {
                let ratio = base.map_or(f64::NAN, |base| cell.rate / base);
                cells[server][at].push(Cell { ratio, ..cell });
            }
        }
    }
    for (column, by_connections) in columns.iter().zip(cells) {
        row(*column, guest, settings, by_connections);
    }
    Ok(())
}

fn row(column: Column, guest: Guest, settings: Settings, cells: [Vec<Cell>; 3]) {
    let timeout = settings.timeout;
    let timeout = timeout.map_or("none".into(), |timeout| format!("{} s", timeout.as_secs()));
    let (guest, column) = (guest.name(), column.name());
    let instances = if settings.reuse { "reused" } else { "fresh" };
    print!("| {guest} | {instances} | {timeout} | {column} |");
    let cells = cells.map(|rounds| Plan::median(rounds, |cell| cell.ratio_or_rate()));
    for cell in &cells {
        let Cell {
            rate,
            ratio,
            p50,
            p99,
            ..
        } = cell;
        print!(" {:.1}k ({ratio:.2}×) {p50:.2} / {p99:.2} |", rate / 1000.0);
    }
    let [.., last] = cells;
    let resident = last.resident >> 20;
    println!(" {:.1} + {:.1} | {resident} |", last.user, last.system);
}

impl Cell {
    /// What the median is of: the ratio, unless there is none.
    fn ratio_or_rate(&self) -> f64 {
        match self.ratio.is_nan() {
            true => self.rate,
            false => self.ratio,
        }
    }
}

fn measure(plan: &Plan, server: &Server, connections: usize) -> Result<Cell, Failure> {
    let load = Load {
        path: "/",
        answer: "hello world\n",
        connections,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (outcome, [before, after]) = runtime.block_on(async {
        let clients = Clients::connect(server.address, load, 1).await?;
        let begin = Instant::now() + plan.warm_up;
        let end = begin + plan.window;
        let usage = async {
            tokio::time::sleep_until(begin.into()).await;
            let before = server.usage();
            tokio::time::sleep_until(end.into()).await;
            [before, server.usage()]
        };
        let (outcome, usage) = tokio::join!(clients.run(begin, end), usage);
        outcome.map(|outcome| (outcome, usage))
    })?;
    let count = outcome.latencies.count() as f64;
    let micros = |time: Duration| time.as_secs_f64() * 1e6 / count;
    Ok(Cell {
        rate: outcome.rate(),
        ratio: f64::NAN,
        p50: outcome.latencies.quantile(0.5),
        p99: outcome.latencies.quantile(0.99),
        user: micros(after.user - before.user),
        system: micros(after.system - before.system),
        resident: after.resident,
    })
}
