//! Expectations, each with a name.

use std::fmt::Debug;
use std::process::ExitCode;

/// Counts what held, and tells what did not.
pub struct Checks {
    held: u32,
    failed: u32,
}

impl Checks {
    pub fn new() -> Self {
        Self { held: 0, failed: 0 }
    }

    /// Expects two values that look the same: `Debug` shows all there is to the types of WASI,
    /// and asks for nothing else.
    pub fn eq(&mut self, name: impl AsRef<str>, got: impl Debug, expected: impl Debug) {
        self.compare(name.as_ref(), &got, &expected);
    }

    pub fn that(&mut self, name: impl AsRef<str>, holds: bool) {
        self.eq(name, holds, true);
    }

    // Not generic, as there are many types.
    fn compare(&mut self, name: &str, got: &dyn Debug, expected: &dyn Debug) {
        let (got, expected) = (format!("{got:?}"), format!("{expected:?}"));
        if got == expected {
            self.held += 1;
        } else {
            self.failed += 1;
            eprintln!("FAILED {name}: expected {expected}, got {got}");
        }
    }

    /// The last line, and success if there was something to hold and all of it did.
    pub fn end(self) -> ExitCode {
        eprintln!("{} held, {} failed", self.held, self.failed);
        match self.held > 0 && self.failed == 0 {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }
}
