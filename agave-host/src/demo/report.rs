//! The table, as data.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::task::{Context, Poll};
use wasi_cli::{Exit, Stdout};
use wasi_io::sync::Mutex;
use wasi_io::{DynOutputStream, OutputStream, Pollable, StreamError};

/// How a run of the demo ended, and its table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// 0, or 1 where a row failed.
    pub exit: Exit,
    /// A row an API, in the order in which they were tried. Where the standard output was closed
    /// early, those up to then; where the host has none, no row.
    pub rows: Vec<Row>,
}

/// What came of an API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The API, such as `TCP echo`.
    pub name: String,
    /// What it did.
    pub outcome: Outcome,
    /// How many microseconds that took, where there is a clock to tell.
    pub micros: Option<u64>,
    /// What was found, or why it is not [`Outcome::Ok`].
    pub note: String,
}

/// What an API did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All that it should.
    Ok,
    /// Nothing: it was not granted.
    Denied,
    /// Nothing: the host lacks it, or says that it does not support it.
    Absent,
    /// Something wrong.
    Failed,
}

impl Row {
    /// Of a line of the table, where it is one of a row: two spaces or more between columns.
    fn parse(line: &str) -> Option<Self> {
        let (name, rest) = line.split_once("  ")?;
        let (outcome, rest) = rest.trim_start().split_once(' ')?;
        let (time, note) = rest.trim_start().split_once("  ")?;
        let outcome = match outcome {
            "ok" => Outcome::Ok,
            "denied" => Outcome::Denied,
            "absent" => Outcome::Absent,
            "FAILED" => Outcome::Failed,
            _ => return None,
        };
        Some(Self {
            name: name.into(),
            outcome,
            micros: time.parse().ok(),
            note: note.into(),
        })
    }
}

/// The rows in what the demo wrote.
pub(super) fn rows(text: &str) -> Vec<Row> {
    text.lines().filter_map(Row::parse).collect()
}

/// More bytes than the table ever has.
const KEPT: usize = 64 << 10;

/// A standard output of which a copy is kept.
#[derive(Clone)]
pub(super) struct Copying {
    to: Arc<dyn Stdout>,
    copy: Arc<Mutex<Vec<u8>>>,
}

impl Copying {
    pub(super) fn new(to: Arc<dyn Stdout>) -> Self {
        let copy = Arc::default();
        Self { to, copy }
    }

    /// What was written so far.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.copy.lock()).into_owned()
    }
}

impl Stdout for Copying {
    fn stream(&self) -> DynOutputStream {
        DynOutputStream::new(Stream {
            to: self.to.stream(),
            copy: self.copy.clone(),
        })
    }

    fn is_terminal(&self) -> bool {
        self.to.is_terminal()
    }
}

struct Stream {
    to: DynOutputStream,
    copy: Arc<Mutex<Vec<u8>>>,
}

impl Pollable for Stream {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.to.poll_ready(cx)
    }
}

impl OutputStream for Stream {
    fn check_write(&mut self) -> Result<usize, StreamError> {
        self.to.check_write()
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        // The permit is the one that the stream inside gave.
        self.to.write(bytes).unwrap_or(Err(StreamError::Closed))?;
        let mut copy = self.copy.lock();
        let room = KEPT - copy.len();
        copy.extend(&bytes[..bytes.len().min(room)]);
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_from_the_table_and_nothing_else() {
        let row = |name: &str, outcome, micros, note: &str| Row {
            name: name.into(),
            outcome,
            micros,
            note: note.into(),
        };
        let table = "\
            API                 result     time/us  note\n\
            TCP echo            ok            1234  1024 KiB there and back\n\
            stdin               FAILED          12  a  b: c\n\
            sleep               absent           -  the host has no wasi:io/poll\n\
            4 ok, 11 denied, 6 absent, 0 FAILED\n\
            rename and remove   ";
        assert_eq!(
            rows(table),
            [
                row(
                    "TCP echo",
                    Outcome::Ok,
                    Some(1234),
                    "1024 KiB there and back"
                ),
                row("stdin", Outcome::Failed, Some(12), "a  b: c"),
                row(
                    "sleep",
                    Outcome::Absent,
                    None,
                    "the host has no wasi:io/poll"
                ),
            ]
        );
    }
}
