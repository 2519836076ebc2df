//! One component, `guests/bench`, on several hosts.

mod agave;
mod floor;
mod guest;
mod wasmtime_wasi;

use crate::common::{Column, Failure, Goal, Role, Subject};
use guest::Guest;
use std::path::Path;

/// The entries of the directory that is listed, and the name of each but for its number.
pub(crate) const ENTRIES: u32 = 10_000;
pub(crate) const ENTRY: &str = "entry-00000";

/// Bytes of the file that is read and written.
pub(crate) const FILE_SIZE: u64 = 256 << 20;

/// Of one call: what no host can do without, and 1.5 times what is native.
pub(crate) const CALL: Goal = Goal {
    times: &[("floor", 1.0), ("native", 1.5)],
    more: 0.0,
};

/// Who runs the guest.
#[derive(Clone, Copy)]
pub(crate) enum Host {
    /// Our engine, and host functions that do nothing.
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

impl Host {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Floor => "floor",
            Self::Wasmtime { blocking: false } => "wasmtime-wasi",
            Self::Wasmtime { blocking: true } => "wasmtime-wasi, blocking",
            Self::Tuned { blocking: false } => "tuned",
            Self::Tuned { blocking: true } => "tuned, blocking",
            Self::Agave { inline: false } => "agave",
            Self::Agave { inline: true } => "agave, inline",
        }
    }

    /// The guest on this host, with `directory` and the network granted.
    pub(crate) fn column(self, directory: &Path) -> Result<Column, Failure> {
        let guest = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/guests/bench.wasm");
        let guest =
            std::fs::read(&guest).map_err(|error| format!("{}: {error}", guest.display()))?;
        let (role, subject) = match self {
            Self::Floor => (Role::Measure, floor::new(&guest)?),
            Self::Wasmtime { blocking } => (
                Role::Rival,
                wasmtime_wasi::as_served(&guest, directory, blocking)?,
            ),
            Self::Tuned { blocking } => (
                Role::Rival,
                wasmtime_wasi::tuned(&guest, directory, blocking)?,
            ),
            Self::Agave { inline } => (Role::Ours, agave::new(&guest, directory, inline)?),
        };
        Ok(Column {
            name: self.name(),
            role,
            subject,
        })
    }
}
