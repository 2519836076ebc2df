//! Messages a second through a WebSocket server that echoes: ours, with an instance of a
//! component for each connection, beside a native one on the same libraries.
//!
//! Each server is a process of its own, so that its memory and its CPU time are known. They take
//! turns at the same load: the machine's mood is the same for all, and ratios mean something.
//!
//! ```text
//! cargo bench -p agave-host --bench websocket [-- [--only SERVER] [--rounds N] [MESSAGES…]]
//! ```
//!
//! With `AGAVE_BENCH_QUICK` in the environment it does a part of it, once.

#[path = "../common/child.rs"]
mod child;
mod load;
mod servers;
mod throughput;

use servers::Column;
use std::process::ExitCode;
use std::time::Duration;

/// How long and how often to measure.
struct Plan {
    window: Duration,
    warm_up: Duration,
    rounds: usize,
    /// None is all.
    loads: Vec<String>,
    columns: Vec<Column>,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.peek().is_some_and(|first| first == child::SERVER) {
        return servers::serve(arguments.skip(1));
    }
    let (mut bench, mut rounds) = (false, None);
    let (mut loads, mut columns) = (Vec::new(), Vec::new());
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // From `cargo bench`. Without it this is a test that all of it works.
            "--bench" => bench = true,
            "--rounds" => rounds = arguments.next().map(|rounds| rounds.parse()).transpose()?,
            "--only" => {
                let name = arguments.next().ok_or("--only SERVER")?;
                columns.push(name.parse::<Column>()?);
            }
            other if !other.starts_with('-') => loads.push(argument),
            other => {
                let known = "--only SERVER, --rounds N, MESSAGES…";
                return Err(format!("unknown argument `{other}`: {known}").into());
            }
        }
    }
    if columns.is_empty() {
        columns.extend(Column::ALL);
    }
    let quick = !bench || std::env::var_os("AGAVE_BENCH_QUICK").is_some();
    let (window, warm_up, usual) = match quick {
        true => (200, 50, 1),
        false => (1500, 300, 5),
    };
    throughput::run(&Plan {
        window: Duration::from_millis(window),
        warm_up: Duration::from_millis(warm_up),
        rounds: rounds.unwrap_or(usual).max(1),
        loads,
        columns,
    })
}
