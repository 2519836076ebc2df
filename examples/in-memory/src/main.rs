//! What an operating system of one's own begins with: a component runs on backends in memory,
//! and nothing of Agave's that is used needs std.

use agave_host::{Ctx, Host};
use std::sync::Arc;
use wasi_cli::memory::{Input, Output};
use wasi_cli::{Exit, WasiCliCtx};
use wasi_clocks::manual::ManualClock;
use wasi_clocks::{Datetime, WasiClocksCtx};
use wasi_filesystem::memory::MemFs;
use wasi_filesystem::vfs;
use wasi_random::WasiRandomCtx;
use wasi_random::seeded::Seeded;
use wasi_sockets::LoopbackNet;
use wasmtime::component::Component;
use wasmtime::{Config, Engine, Result};

/// What is left of a run.
struct Outcome {
    exit: Exit,
    stdout: Vec<u8>,
    /// What was `/`.
    files: Arc<MemFs>,
}

/// Runs `program` as `name` with `arguments`.
fn run(program: &[u8], name: &str, arguments: &[&str]) -> Result<Outcome> {
    // Stand-ins for a timer and for hardware that makes random numbers.
    let clock = ManualClock::new(Datetime::UNIX_EPOCH);
    let random = WasiRandomCtx::new(Seeded::new([1; 32]));

    let files = Arc::new(MemFs::new(Arc::new(clock.clone())));
    files.write_file("greeting.txt", b"hello from memory\n")?;
    let stdout = Output::new(64 << 10);
    let ctx = Ctx::with(WasiClocksCtx::new(clock.clone(), clock), random)
        .cli(
            WasiCliCtx::new(name)
                .args(arguments.iter().copied())
                .stdin(Input::new("a line to read\n"))
                .stdout(stdout.clone()),
        )
        .preopen(vfs::directory(files.clone()), "/")
        .network(Arc::new(LoopbackNet::new()))
        .build();

    // The compiler is wasmtime's; where there is none, `Component::deserialize` takes what was
    // compiled elsewhere.
    let engine = Engine::new(Config::new().concurrency_support(false))?;
    let host = Host::with_engine(engine)?;
    let program = host.link(&Component::from_binary(host.engine(), program)?)?;
    let exit = pollster::block_on(program.run(ctx))?;
    Ok(Outcome {
        exit,
        stdout: stdout.contents(),
        files,
    })
}

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let Some((name, arguments)) = arguments.split_first() else {
        eprintln!("usage: in-memory PROGRAM ARGS…: runs a command component in memory");
        std::process::exit(2);
    };
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let outcome = run(&std::fs::read(name)?, name, &arguments)?;
    print!("{}", String::from_utf8_lossy(&outcome.stdout));
    for entry in outcome.files.read_dir("/")? {
        eprintln!("in /: {}", entry.name);
    }
    std::process::exit(outcome.exit.code.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMAND: &[u8] = include_bytes!("../../../agave-host/tests/guests/command.wasm");

    fn stdout(arguments: &[&str]) -> String {
        let outcome = run(COMMAND, "command", arguments).unwrap();
        assert!(
            outcome.exit.is_success(),
            "{arguments:?}: {:?}",
            outcome.exit
        );
        String::from_utf8(outcome.stdout).unwrap()
    }

    #[test]
    fn a_guest_of_rust_s_std_reads_writes_and_lists_files_in_memory() {
        assert_eq!(stdout(&["read", "/greeting.txt"]), "hello from memory\n");
        assert_eq!(stdout(&["list", "/"]), "greeting.txt\n");
        let outcome = run(COMMAND, "command", &["write", "/made.txt", "kept"]).unwrap();
        assert_eq!(outcome.files.read_file("made.txt").unwrap(), b"kept");
    }

    #[test]
    fn standard_streams_and_arguments_are_in_memory_too() {
        assert_eq!(stdout(&["cat"]), "a line to read\n");
        assert_eq!(stdout(&["args", "x"]), "arg command\narg args\narg x\n");
    }

    #[test]
    fn a_failure_is_an_exit_code() {
        let outcome = run(COMMAND, "command", &["read", "/nothing"]).unwrap();
        assert_eq!(outcome.exit.code, 1);
    }
}
