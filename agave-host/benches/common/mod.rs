//! What the benchmarks of files and of sockets have in common: one guest on several hosts,
//! which take turns, and a table of what it took.

mod agave;
mod awake;
mod floor;
mod guest;
mod table;
mod wasmtime_wasi;

pub(crate) use awake::Awake;
pub(crate) use table::{Goal, Row, Statistic, Table};

use guest::Guest;
use std::path::Path;
use std::time::{Duration, Instant};

/// The entries of the directory that is listed, and the name of each but for its number.
pub(crate) const ENTRIES: u32 = 10_000;
pub(crate) const ENTRY: &str = "entry-00000";

/// Bytes of the file that is read and written.
pub(crate) const FILE_SIZE: u64 = 256 << 20;

pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

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

/// Who is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    /// This process itself; the first is what is native.
    Own(&'static str),
    /// The guest on our engine, and host functions that do nothing.
    Floor,
    /// wasmtime-wasi on an engine and a runtime as `wasmtime serve` has them; `blocking` is its
    /// `allow_blocking_current_thread`.
    Wasmtime { blocking: bool },
    /// wasmtime-wasi on our engine and an executor for one core: what our settings give
    /// without our code.
    Tuned { blocking: bool },
    /// Ours, as servers use it: other threads do what would wait for a disk. `inline` is for
    /// runs on the command line: this thread waits.
    Agave { inline: bool },
}

impl Column {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Own(name) => name,
            Self::Floor => "floor",
            Self::Wasmtime { blocking: false } => "wasmtime-wasi",
            Self::Wasmtime { blocking: true } => "wasmtime-wasi, blocking",
            Self::Tuned { blocking: false } => "tuned",
            Self::Tuned { blocking: true } => "tuned, blocking",
            Self::Agave { inline: false } => "agave",
            Self::Agave { inline: true } => "agave, inline",
        }
    }

    /// Whether ours must not be slower.
    fn is_rival(self) -> bool {
        matches!(self, Self::Wasmtime { .. } | Self::Tuned { .. })
    }

    fn is_ours(self) -> bool {
        matches!(self, Self::Agave { .. })
    }

    /// The guest on this host, with `directory` and the network granted.
    pub(crate) fn subject(self, directory: &Path) -> Result<Box<dyn Subject>, Failure> {
        let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/guests/bench.wasm");
        let guest =
            std::fs::read(&guest).map_err(|error| format!("{}: {error}", guest.display()))?;
        match self {
            Self::Own(name) => Err(format!("{name} is not a host").into()),
            Self::Floor => floor::new(&guest),
            Self::Wasmtime { blocking } => wasmtime_wasi::as_served(&guest, directory, blocking),
            Self::Tuned { blocking } => wasmtime_wasi::tuned(&guest, directory, blocking),
            Self::Agave { inline } => agave::new(&guest, directory, inline),
        }
    }
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

    /// Whether to measure the host `column`.
    pub(crate) fn has(&self, column: Column) -> bool {
        self.columns.is_empty() || self.columns.iter().any(|name| name == column.name())
    }
}
