//! Each interface, over the backends of this machine and over those in memory.

use crate::outcome::{Outcome, cli};
use crate::support::server::{agave, guest, run};
use crate::{INTERFACES, machine, memory, outcome, terminal};
use agave_host::Ctx;
use std::io::Write;
use std::process::Stdio;
use std::sync::Arc;
use wasi_cli::Exit;
use wasi_cli::memory::Input;
use wasi_filesystem::memory::MemFs;
use wasi_filesystem::os::Mode;
use wasi_filesystem::{ReadOnly, WasiFilesystemCtx, vfs};
use wasi_io::os::Runtime;

#[test]
fn clocks_in_memory() {
    memory::run(&["clocks"]).held();
}

#[test]
fn clocks_on_this_machine() {
    machine::run(&["clocks"]).held();
}

#[test]
fn random_numbers_in_memory_are_those_of_the_seed() {
    let runs = [(); 2].map(|()| memory::run(&["random"]));
    runs.iter().for_each(|run| run.held());
    assert_eq!(runs[0].stdout, runs[1].stdout);
}

#[test]
fn random_numbers_on_this_machine_are_new_ones() {
    let runs = [(); 2].map(|()| machine::run(&["random"]));
    runs.iter().for_each(|run| run.held());
    assert_ne!(runs[0].stdout, runs[1].stdout);
}

/// The parts about files, over files in memory.
fn in_memory(part: &str) -> Outcome {
    let clock = memory::clock();
    let fs = || Arc::new(MemFs::new(Arc::new(clock.clone())));
    let read_only = fs();
    read_only.write_file("file", b"contents").unwrap();
    let files = WasiFilesystemCtx::new()
        .preopen(vfs::directory(fs()), "/")
        .preopen(
            Arc::new(ReadOnly::new(vfs::directory(read_only))),
            "/read-only",
        );
    let ctx = memory::ctx(&clock).filesystem(files);
    outcome::run(ctx, cli(&[part]), |run| memory::block_on(&clock, run))
}

/// The same over this machine's.
fn on_this_machine(part: &str, mode: Mode) -> Outcome {
    let folder = machine::folder("interfaces-p3");
    for name in ["root", "read-only"] {
        std::fs::create_dir(folder.0.join(name)).unwrap();
    }
    std::fs::write(folder.0.join("read-only/file"), "contents").unwrap();
    let open = |name: &str| machine::directory(&folder.0.join(name), mode.clone());
    let files = WasiFilesystemCtx::new()
        .preopen(open("root"), "/")
        .preopen(Arc::new(ReadOnly::new(open("read-only"))), "/read-only");
    machine::with(Ctx::builder().filesystem(files), cli(&[part]))
}

#[test]
fn filesystem_in_memory() {
    in_memory("filesystem").held();
}

#[test]
fn filesystem_on_this_machine() {
    on_this_machine("filesystem", Mode::Inline).held();
}

#[test]
fn filesystem_on_this_machine_offloaded() {
    on_this_machine("filesystem", Mode::Offload(Runtime::current())).held();
}

#[test]
fn thousands_of_streams_and_such_as_are_given_up_in_memory() {
    in_memory("streams").held();
}

#[test]
fn thousands_of_streams_and_such_as_are_given_up_on_this_machine() {
    on_this_machine("streams", Mode::Inline).held();
}

#[test]
fn thousands_of_streams_and_such_as_are_given_up_on_this_machine_offloaded() {
    on_this_machine("streams", Mode::Offload(Runtime::current())).held();
}

#[test]
fn names_in_memory() {
    memory::run(&["names"]).held();
}

#[test]
fn names_on_this_machine() {
    machine::run(&["names"]).held();
}

#[test]
fn tcp_in_memory() {
    memory::run(&["tcp"]).held();
}

#[test]
fn tcp_on_this_machine() {
    machine::run(&["tcp"]).held();
}

#[test]
fn udp_in_memory() {
    memory::run(&["udp"]).held();
}

#[test]
fn udp_on_this_machine() {
    machine::run(&["udp"]).held();
}

#[test]
fn every_way_to_exit_is_told() {
    for (arguments, code) in [
        (&["exit", "ok"][..], 0),
        (&["exit", "error"], 1),
        (&["exit", "code", "0"], 0),
        (&["exit", "code", "7"], 7),
        (&["exit", "code", "255"], 255),
    ] {
        let run = memory::run(arguments);
        assert_eq!(run.exit.unwrap(), Exit::new(code), "{arguments:?}");
        assert_eq!(run.stderr, "");
    }
}

#[test]
fn a_program_whose_run_gives_an_error_exits_with_1() {
    let run = run(&["run", &guest(INTERFACES), "no such part"]);
    assert_eq!(run.code, Some(1), "{run:?}");
    assert!(
        run.stderr.starts_with("interfaces: no part `no such part`"),
        "{run:?}"
    );
}

/// What the guest's `cli.rs` expects.
const ARGUMENTS: [&str; 5] = ["cli", "", "two words", "grüße", "--flag=\"x\""];
const ENVIRONMENT: [(&str, &str); 3] = [("PLAIN", "value"), ("EMPTY", ""), ("TEXT", "a=b; \"ü\"")];

#[test]
fn cli_in_memory() {
    for is_terminal in [false, true] {
        let clock = memory::clock();
        let mut cli = cli(&ARGUMENTS)
            .initial_cwd("/home")
            .env("CWD", "/home")
            .stdin(terminal::Maybe(is_terminal, Input::new("hello")));
        for (name, value) in ENVIRONMENT {
            cli = cli.env(name, value);
        }
        if is_terminal {
            cli = cli.env("TERMINAL", "1");
        }
        let (cli, [stdout, stderr]) = terminal::outputs(cli, is_terminal);
        let ctx = memory::ctx(&clock).cli(cli).build();
        let run = memory::block_on(&clock, outcome::program().run(ctx));
        let [stdout, stderr] =
            [stdout, stderr].map(|output| String::from_utf8(output.contents()).unwrap());
        assert_eq!(run.unwrap(), Exit::new(0), "{stderr}");
        assert_eq!(stdout, "out 1\nout 2\n");
        assert!(stderr.starts_with("err 1\nerr 2\n"), "{stderr}");
    }
}

#[test]
fn cli_on_this_machine() {
    let mut command = agave();
    command.arg("run");
    for (name, value) in ENVIRONMENT {
        command.arg("--env").arg(format!("{name}={value}"));
    }
    let mut child = command
        .arg(guest(INTERFACES))
        .args(ARGUMENTS)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"hello").unwrap();
    let output = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{stderr}");
    assert_eq!(output.stdout, b"out 1\nout 2\n");
    assert!(stderr.starts_with("err 1\nerr 2\n"), "{stderr}");
    assert!(stderr.ends_with(" held, 0 failed\n"), "{stderr}");
}
