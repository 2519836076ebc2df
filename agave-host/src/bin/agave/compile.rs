//! `agave compile`: a program in the form that a machine without a compiler runs.

use super::{Failure, read};
use agave_host::{Target, compile};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args)]
pub(super) struct Compile {
    /// What it is for: `kernel`, the native code of x86_64, or `kernel-pulley`, that of wasmtime's
    /// interpreter
    #[arg(long, value_name = "TARGET")]
    target: Target,

    /// Where it goes; to the name of the program with `.cwasm` in place of `.wasm`, unless set
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// The program: a component, or a core module
    program: PathBuf,
}

impl Compile {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let name = self.program.display();
        let wasm = read(&self.program)?;
        let code = compile(&wasm, self.target)
            .map_err(|error| Failure::Failed(format!("{name}: {error}")))?;
        let output = match self.output {
            Some(output) => output,
            None => self.program.with_extension("cwasm"),
        };
        std::fs::write(&output, code).map_err(|error| {
            Failure::Failed(format!("can't write {}: {error}", output.display()))
        })?;
        Ok(ExitCode::SUCCESS)
    }
}
