//! What benchmarks have in common: subjects that take turns, and a table of what it took.

mod awake;
mod table;

pub(crate) use awake::Awake;
pub(crate) use table::{Goal, Row, Statistic, Table};

use std::process::ExitCode;
use std::time::{Duration, Instant};

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Runs a benchmark, and tells why it failed with all that led to it.
pub(crate) fn exit(run: impl FnOnce() -> Result<(), Failure>) -> ExitCode {
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

/// Whoever does the guest's work: the guest on one of the hosts, or this process itself.
pub(crate) trait Subject {
    /// Does what the guest's export `function` does with `parameters`, and says what that
    /// gives and how long it took.
    fn call(&mut self, function: &str, parameters: &[u64]) -> Result<(u64, Duration), Failure>;
}

/// A subject in this process, by a function that is the whole guest.
impl<F: FnMut(&str, &[u64]) -> Result<u64, Failure>> Subject for F {
    fn call(&mut self, function: &str, parameters: &[u64]) -> Result<(u64, Duration), Failure> {
        let start = Instant::now();
        let given = self(function, parameters)?;
        Ok((given, start.elapsed()))
    }
}

/// One who is compared.
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) role: Role,
    pub(crate) subject: Box<dyn Subject>,
}

impl Column {
    /// This process itself, or something else to measure the others by.
    pub(crate) fn measure(name: &'static str, subject: impl Subject + 'static) -> Self {
        Self {
            name,
            role: Role::Measure,
            subject: Box::new(subject),
        }
    }
}

/// What a column is compared for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Goals are made of it.
    Measure,
    /// Ours must not be slower.
    Rival,
    Ours,
}

/// What the command line asks for.
pub(crate) struct Plan {
    /// A small part of the work, once.
    quick: bool,
    /// How often to measure, if not as often as is usual.
    rounds: Option<usize>,
    /// Only rows whose name has one of these in it; all, if there is none.
    rows: Vec<String>,
    /// Only columns with these names, besides this process; all, if there is none.
    columns: Vec<String>,
}

impl Plan {
    /// From the command line. Without cargo's `--bench`, this is a test that all of it works.
    pub(crate) fn new() -> Result<Self, Failure> {
        let (mut bench, mut rounds) = (false, None);
        let (mut rows, mut columns) = (Vec::new(), Vec::new());
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--bench" => bench = true,
                "--rounds" => rounds = arguments.next().map(|rounds| rounds.parse()).transpose()?,
                "--only" => columns.extend(arguments.next()),
                other if other.starts_with('-') => {
                    let known = "--only COLUMN, --rounds N, PART-OF-A-ROW'S-NAME…";
                    return Err(format!("unknown argument `{other}`: {known}").into());
                }
                _ => rows.push(argument),
            }
        }
        let quick = !bench || std::env::var_os("AGAVE_BENCH_QUICK").is_some();
        let rounds = rounds.or(quick.then_some(1));
        Ok(Self {
            quick,
            rounds,
            rows,
            columns,
        })
    }

    /// Whether to measure the column `name`.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.columns.is_empty() || self.columns.iter().any(|wanted| wanted == name)
    }
}
