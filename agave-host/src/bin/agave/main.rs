//! The `agave` command: flags to settings, settings to a [`Host`](agave_host::Host).

#![forbid(unsafe_code)]

mod compile;
mod demo;
mod directories;
mod grants;
mod inspect;
mod listeners;
mod network;
mod options;
mod run;
mod serve;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand, ValueEnum};
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

/// Runs WebAssembly components and modules with WASI.
///
/// Nothing is granted that is not asked for: no network, no environment, no files.
#[derive(Parser)]
#[command(name = "agave", version, propagate_version = true)]
struct Agave {
    #[command(subcommand)]
    command: Command,

    /// What to log on standard error
    #[arg(long, global = true, value_name = "LEVEL", default_value = "info")]
    log: Level,
}

#[derive(Subcommand)]
enum Command {
    /// Run a wasi:cli/command component, or a core module of WASI 0.1, with this process's standard streams
    ///
    /// Exits with the program's own code; with 134 and a backtrace when it traps or its time is
    /// up, and with 141 when nobody reads its output any more.
    Run(run::Run),
    /// List what a program imports and exports, what of that agave provides, and which grants it
    /// may need
    Inspect(inspect::Inspect),
    /// Serve HTTP with a wasi:http/proxy component, and WebSockets with one that exports
    /// agave:websocket/handler
    Serve(serve::Serve),
    /// Compile a program for a machine that has no compiler
    Compile(compile::Compile),
    /// Try every major API of WASI with a program that is built in, and print a table of what it
    /// found
    ///
    /// The program has a folder of its own, which is removed, and this machine's loopback
    /// network. Exits with 1 where something failed.
    Demo(demo::Demo),
}

#[derive(Clone, Copy, ValueEnum)]
enum Level {
    Off,
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl From<Level> for log::LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Off => Self::Off,
            Level::Error => Self::Error,
            Level::Warn => Self::Warn,
            Level::Info => Self::Info,
            Level::Debug => Self::Debug,
            Level::Trace => Self::Trace,
        }
    }
}

/// What a command says when it can't go on: one line.
enum Failure {
    /// Its flags are wrong.
    Usage(String),
    /// What it was to do failed.
    Failed(String),
    /// The guest was ended; lines may follow that say where it was.
    Trapped(String),
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Failed(error.to_string())
    }
}

/// The exit code of a process that `SIGABRT` ends, as wasmtime's for a trap.
const TRAPPED: u8 = 128 + 6;

/// Exits with 0, or with the code of the program that was run; with 1 and a line on standard
/// error when the command failed; with 2 when its flags are wrong; with 134 when a guest was
/// ended.
fn main() -> ExitCode {
    let result = arguments().and_then(|agave| {
        start_log(agave.log);
        match agave.command {
            Command::Run(run) => run.run(),
            Command::Inspect(inspect) => inspect.run(),
            Command::Serve(serve) => serve.run(),
            Command::Compile(compile) => compile.run(),
            Command::Demo(demo) => demo.run(),
        }
    });
    let (told, code) = match result {
        Ok(code) => return code,
        Err(Failure::Usage(told)) => {
            let told = on_one_line(&told);
            (format!("{told} (see `agave --help`)"), 2)
        }
        Err(Failure::Failed(told)) => (on_one_line(&told), 1),
        Err(Failure::Trapped(told)) => (told, TRAPPED),
    };
    // Nobody may be there to read it.
    let _ = writeln!(io::stderr(), "agave: {told}");
    ExitCode::from(code)
}

/// The file of a program.
fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(path)
        .map_err(|error| Failure::Failed(format!("can't read {}: {error}", path.display())))
}

/// The arguments of this process. Where they ask for help or the version, that is printed and
/// all is done.
fn arguments() -> Result<Agave, Failure> {
    Agave::try_parse().map_err(|error| match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => error.exit(),
        _ => {
            // What is wrong stands in the first paragraph; advice follows.
            let text = error.to_string();
            let lines = text.lines().map(str::trim);
            let told: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            Failure::Usage(told.join(" ").trim_start_matches("error: ").into())
        }
    })
}

/// The command's own lines and the guests', none of what libraries log.
fn start_log(level: Level) {
    env_logger::Builder::new()
        .filter_module("agave", level.into())
        .format(|out, record| {
            let level = record.level().as_str();
            writeln!(
                out,
                "{level:<5} {}",
                on_one_line(&record.args().to_string())
            )
        })
        .init();
}

/// A guest's text stays on its line, and moves no cursor.
fn on_one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() && c != '\t' {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_flags_are_consistent() {
        Agave::command().debug_assert();
    }

    #[test]
    fn what_a_guest_writes_stays_on_one_line() {
        assert_eq!(on_one_line("a\tb\nc\x1b[2Jä"), "a\tb\\nc\\u{1b}[2Jä");
    }
}
