//! Streams that say whether they are a terminal.

use wasi_cli::memory::Output;
use wasi_cli::{Stdin, Stdout, WasiCliCtx};
use wasi_io::{DynInputStream, DynOutputStream};

pub(crate) struct Maybe<T>(pub(crate) bool, pub(crate) T);

impl<T: Stdin> Stdin for Maybe<T> {
    fn stream(&self) -> DynInputStream {
        self.1.stream()
    }

    fn is_terminal(&self) -> bool {
        self.0
    }
}

impl<T: Stdout> Stdout for Maybe<T> {
    fn stream(&self) -> DynOutputStream {
        self.1.stream()
    }

    fn is_terminal(&self) -> bool {
        self.0
    }
}

/// `cli` with outputs that are kept.
pub(crate) fn outputs(cli: WasiCliCtx, are_terminals: bool) -> (WasiCliCtx, [Output; 2]) {
    let outputs = [Output::new(1 << 20), Output::new(1 << 20)];
    let [stdout, stderr] = outputs.clone();
    let cli = cli
        .stdout(Maybe(are_terminals, stdout))
        .stderr(Maybe(are_terminals, stderr));
    (cli, outputs)
}
