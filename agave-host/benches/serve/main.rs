//! Requests a second through an HTTP server that answers each with a fresh instance of a
//! component, or with reused ones: ours, wasmtime's HTTP host set up in two ways, and hyper without any component.
//!
//! Each server is a process of its own, so that its memory and its CPU time are known. All of
//! them run side by side, and take turns at the same load: the machine's mood is the same for
//! all, and ratios mean something.
//!
//! ```text
//! cargo bench -p agave-host --bench serve [-- [--quick] [--only SERVER,…] [--guests GUEST,…]]
//! ```

#[path = "../common/child.rs"]
mod child;
mod fairness;
mod histogram;
mod load;
mod servers;
mod throughput;

use servers::{Column, Guest};
use std::process::ExitCode;
use std::time::Duration;

/// How long and how often to measure.
struct Plan {
    window: Duration,
    warm_up: Duration,
    rounds: usize,
    columns: Vec<Column>,
    guests: Vec<Guest>,
}

impl Plan {
    fn full() -> Self {
        Self {
            window: Duration::from_secs(2),
            warm_up: Duration::from_millis(400),
            rounds: 3,
            columns: Column::ALL.to_vec(),
            guests: Guest::ALL.to_vec(),
        }
    }

    fn quick() -> Self {
        Self {
            window: Duration::from_millis(500),
            warm_up: Duration::from_millis(200),
            rounds: 1,
            ..Self::full()
        }
    }

    /// The middle one of a round each, by `key`.
    fn median<T>(mut rounds: Vec<T>, key: impl Fn(&T) -> f64) -> T {
        rounds.sort_by(|a, b| key(a).total_cmp(&key(b)));
        let middle = rounds.len() / 2;
        rounds.swap_remove(middle)
    }
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
        arguments.next();
        return servers::serve(arguments);
    }
    let (mut bench, mut quick, mut only, mut guests) = (false, false, None, None);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            // From `cargo bench`. Without it this is a test that all of it works.
            "--bench" => bench = true,
            "--quick" => quick = true,
            "--only" => only = arguments.next(),
            "--guests" => guests = arguments.next(),
            other => {
                let known = "--quick, --only SERVER,…, --guests GUEST,…";
                return Err(format!("unknown argument `{other}`: {known}").into());
            }
        }
    }
    let mut plan = match bench && !quick {
        true => Plan::full(),
        false => Plan::quick(),
    };
    if let Some(names) = only {
        plan.columns = names.split(',').map(str::parse).collect::<Result<_, _>>()?;
    }
    if let Some(names) = guests {
        plan.guests = names.split(',').map(str::parse).collect::<Result<_, _>>()?;
    }
    throughput::run(&plan)?;
    match plan.guests.contains(&Guest::Testbed) {
        true => fairness::run(&plan),
        false => Ok(()),
    }
}
