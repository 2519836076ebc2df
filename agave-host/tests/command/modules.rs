//! `agave run` with core modules of WASI 0.1: how they end, and what is said of those that
//! can't be run.

use crate::support::folder::Folder;
use crate::support::module::{ENGINES, file, module_from, starting};
use crate::support::program::Program;
use crate::support::server::{Output, assert_one_line, guest, run, wait};
use std::net::TcpListener;
use std::time::{Duration, Instant};

/// Runs the module at `path` on `engine` to its end.
fn run_on(engine: &str, flags: &[&str], path: &str) -> Output {
    run(&[&["run", "--engine", engine], flags, &[path]].concat())
}

#[test]
fn the_exit_code_is_the_low_byte_of_what_proc_exit_is_given_and_a_failure_stays_one() {
    let folder = Folder::new("module-codes");
    let mut codes = vec![(file(&folder, "returns.wasm", ""), 0)];
    for (given, code) in [
        (0, 0),
        (1, 1),
        (33, 33),
        (255, 255),
        (256, 255),
        (257, 1),
        (u32::MAX, 255),
    ] {
        let body = format!("(call $proc_exit (i32.const {given})) unreachable");
        codes.push((file(&folder, &format!("{given}.wasm"), &body), code));
    }
    for engine in ENGINES {
        for (path, code) in &codes {
            let output = run_on(engine, &[], path);
            assert_eq!(
                (output.code, output.stdout.as_str(), output.stderr.as_str()),
                (Some(*code), "", ""),
                "{engine} {path}"
            );
        }
    }
}

/// How a guest that is ended says so: 134, and a line that has all of `told`; of a compiled
/// one where it was follows.
#[track_caller]
fn assert_trapped(engine: &str, path: &str, told: &[&str]) {
    let output = run_on(engine, &[], path);
    assert_eq!(output.code, Some(134), "{engine} {path}: {output:?}");
    let (line, frames) = output.stderr.split_once('\n').expect("a line");
    assert!(line.starts_with("agave: "), "{engine}: {output:?}");
    for told in told.iter().chain([&path]) {
        assert!(line.contains(told), "{engine}: no {told:?} in {line}");
    }
    let frames: Vec<_> = frames.lines().collect();
    match engine {
        "wasmtime" => {
            assert!(!frames.is_empty(), "{path}: {output:?}");
            for (number, frame) in frames.iter().enumerate() {
                let begin = format!("{number}: ");
                assert!(frame.trim_start().starts_with(&begin), "{path}: {frame}");
            }
        }
        _ => assert!(frames.is_empty(), "{path}: {output:?}"),
    }
}

#[test]
fn a_guest_that_breaks_a_rule_is_ended_with_134_and_a_line_that_names_it() {
    let folder = Folder::new("module-traps");
    let at = |pointer: u32| {
        format!("(drop (call $random_get (i32.const {pointer}) (i32.const 16))) unreachable")
    };
    let misaligned = "(drop (call $fd_write (i32.const 1) (i32.const 1) (i32.const 1)
        (i32.const 8))) unreachable";
    let raise = "(drop (call $proc_raise (i32.const 6))) (call $proc_exit (i32.const 3))";
    for (name, body, told) in [
        ("unreachable", "unreachable", "`unreachable`"),
        (
            "divides",
            "(drop (i32.div_u (i32.const 1) (local.get $n)))",
            "divide by zero",
        ),
        (
            "loads",
            "(drop (i32.load (i32.const -4)))",
            "out of bounds memory access",
        ),
        (
            "outside",
            &at(u32::MAX - 7),
            "pointer 0xfffffff8 to 16 bytes leads out of its memory of 65536 bytes",
        ),
        ("at-the-end", &at(65_521), "leads out of its memory"),
        ("misaligned", misaligned, "pointer 0x1 is no multiple of 4"),
        ("raises", raise, "raised the signal Abrt"),
    ] {
        let path = file(&folder, &format!("{name}.wasm"), body);
        for engine in ENGINES {
            assert_trapped(engine, &path, &[told]);
        }
    }
}

#[test]
fn a_stack_that_overflows_ends_the_guest_and_not_agave() {
    let folder = Folder::new("module-stack");
    let module = module_from(
        "wasi_snapshot_preview1",
        r#"(func $deeper (export "_start") (call $deeper) (call $deeper))"#,
    );
    let path = folder.file("deep.wasm", module);
    for engine in ENGINES {
        let output = run_on(engine, &[], &path);
        assert_eq!(output.code, Some(134), "{engine}: {output:?}");
        assert!(output.stderr.contains("stack"), "{engine}: {output:?}");
    }
}

#[test]
fn a_signal_that_ends_no_process_ends_no_guest() {
    let folder = Folder::new("module-signal");
    // SIGCHLD and SIGCONT; there is none with the number 200, which is EINVAL (28).
    let body = "(call $proc_exit (i32.add
        (i32.add (call $proc_raise (i32.const 16)) (call $proc_raise (i32.const 17)))
        (call $proc_raise (i32.const 200))))";
    let path = file(&folder, "raises.wasm", body);
    for engine in ENGINES {
        let output = run_on(engine, &[], &path);
        assert_eq!(output.code, Some(28), "{engine}: {output:?}");
    }
}

#[test]
fn what_was_written_before_the_end_is_there_however_it_ends() {
    let folder = Folder::new("module-last-words");
    let write = |fd| {
        format!(
            "(i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 6))
            (drop (call $fd_write (i32.const {fd}) (i32.const 0) (i32.const 1) (i32.const 8)))"
        )
    };
    for (name, end, code) in [
        ("returns", "", 0),
        ("exits", "(call $proc_exit (i32.const 9))", 9),
        ("traps", "unreachable", 134),
    ] {
        let body = write(1) + &write(2) + end;
        let path = folder.file(&format!("{name}.wasm"), starting("words\\n", &body));
        for engine in ENGINES {
            let output = run_on(engine, &[], &path);
            assert_eq!(output.code, Some(code), "{engine} {name}: {output:?}");
            assert_eq!(output.stdout, "words\n", "{engine} {name}");
            assert!(output.stderr.starts_with("words\n"), "{engine}: {output:?}");
        }
    }
}

#[test]
fn a_module_that_cannot_be_run_is_one_line_that_says_why_and_code_1() {
    let folder = Folder::new("module-wrong");
    let module = |name: &str, text: &str| folder.file(name, wat::parse_str(text).unwrap());
    let memory = r#"(memory (export "memory") 1)"#;
    let cases = [
        ("empty", "(module)".into(), &["`_start`"][..]),
        (
            "start-is-a-global",
            r#"(module (global (export "_start") i32 (i32.const 0)))"#.into(),
            &["`_start`"],
        ),
        (
            "start-takes-a-parameter",
            format!(r#"(module {memory} (func (export "_start") (param i32)))"#),
            &["`_start`"],
        ),
        (
            "start-gives-a-result",
            format!(r#"(module {memory} (func (export "_start") (result i32) (i32.const 0)))"#),
            &["`_start`"],
        ),
        (
            "unknown-module",
            format!(r#"(module (import "env" "here" (func)) {memory} (func (export "_start")))"#),
            &["import", "env", "here"],
        ),
        (
            "unknown-function",
            format!(
                r#"(module (import "wasi_snapshot_preview1" "fd_write_all" (func)) {memory}
                (func (export "_start")))"#
            ),
            &["import", "wasi_snapshot_preview1", "fd_write_all"],
        ),
        (
            "another-type",
            format!(
                r#"(module (import "wasi_snapshot_preview1" "proc_exit" (func (param i64)))
                {memory} (func (export "_start")))"#
            ),
            &["import", "wasi_snapshot_preview1", "proc_exit"],
        ),
        (
            "imported-memory",
            r#"(module (import "env" "memory" (memory 1)) (func (export "_start")))"#.into(),
            &["import", "env", "memory"],
        ),
    ];
    for (name, text, told) in cases {
        let path = module(&format!("{name}.wasm"), &text);
        for engine in ENGINES {
            let told = [told, &[&path]].concat();
            assert_one_line(&["run", "--engine", engine, &path], 1, &told);
        }
    }
    let hostile = r#"(module (import "a\u{1b}[2J\u{a}agave: all is well" "f" (func)))"#;
    let path = module("hostile.wasm", hostile);
    for engine in ENGINES {
        let arguments = ["run", "--engine", engine, &path];
        assert_one_line(&arguments, 1, &["\\u{1b}[2J\\n"]);
    }
    for (name, bytes, told) in [
        ("script", &b"#!/bin/sh"[..], "not WebAssembly"),
        ("nothing", b"", "not WebAssembly"),
        ("broken", b"\0asm\x01\0\0\0nonsense", "not valid"),
        ("cut", &guest_bytes("kv")[..1000], "not valid"),
    ] {
        let path = folder.file(name, bytes);
        for engine in ENGINES {
            assert_one_line(&["run", "--engine", engine, &path], 1, &[&path, told]);
        }
    }
}

fn guest_bytes(name: &str) -> Vec<u8> {
    std::fs::read(guest(name)).unwrap()
}

#[test]
fn a_memory_that_is_not_exported_is_missed_by_the_first_call_that_needs_it() {
    let folder = Folder::new("module-memory");
    let text = r#"(memory 1)
        (func (export "_start") (drop (call $random_get (i32.const 0) (i32.const 1))))"#;
    let path = folder.file("hidden.wasm", module_from("wasi_snapshot_preview1", text));
    for engine in ENGINES {
        let output = run_on(engine, &[], &path);
        assert!(matches!(output.code, Some(1 | 134)), "{engine}: {output:?}");
        let line = output.stderr.lines().next().unwrap();
        let told = "does not export its memory as `memory`";
        assert!(line.contains(told), "{engine}: {output:?}");
    }
    // It may do without one.
    let text = r#"(func (export "_start"))"#;
    let path = folder.file("none.wasm", module_from("wasi_snapshot_preview1", text));
    for engine in ENGINES {
        assert_eq!(run_on(engine, &[], &path).code, Some(0), "{engine}");
    }
}

#[test]
fn a_start_function_runs_before_start_is_called() {
    let folder = Folder::new("module-start");
    let fields = r#"(memory (export "memory") 1)
        (func $first (drop (call $random_get (i32.const 0) (i32.const 0)))
            (i32.store (i32.const 0) (i32.const 5)))
        (start $first)
        (func (export "_start") (call $proc_exit (i32.load (i32.const 0))))"#;
    let runs = folder.file("runs.wasm", module_from("wasi_snapshot_preview1", fields));
    let fields = r#"(func $first unreachable) (start $first) (func (export "_start"))"#;
    let traps = folder.file("traps.wasm", module_from("wasi_snapshot_preview1", fields));
    for engine in ENGINES {
        let output = run_on(engine, &[], &runs);
        assert_eq!(output.code, Some(5), "{engine}: {output:?}");
        assert_trapped(engine, &traps, &["`unreachable`"]);
    }
}

/// Waits in `poll_oneoff` for so many nanoseconds.
fn sleep(nanoseconds: u64) -> String {
    format!(
        "(i32.store (i32.const 80) (i32.const 1))
        (i64.store (i32.const 88) (i64.const {nanoseconds}))
        (if (call $poll_oneoff (i32.const 64) (i32.const 256) (i32.const 1) (i32.const 8))
            (then unreachable))"
    )
}

#[test]
fn a_module_whose_time_is_up_ends_with_134_whether_it_computes_or_waits() {
    let folder = Folder::new("module-timeout");
    let read = "(i32.store (i32.const 0) (i32.const 1024))
        (i32.store (i32.const 4) (i32.const 1))
        (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))";
    // Its functions take the time, and few steps of its own.
    let draws = "(drop (memory.grow (i32.const 256)))
        (loop $forever
            (drop (call $random_get (i32.const 0) (i32.const 0x1000000)))
            (br $forever))";
    for (name, body) in [
        ("spins.wasm", "(loop $forever (br $forever))"),
        ("draws.wasm", draws),
        ("sleeps.wasm", &sleep(1_000_000_000_000)),
        ("reads.wasm", read),
    ] {
        let path = file(&folder, name, body);
        for engine in ENGINES {
            let begun = Instant::now();
            let arguments = ["--engine", engine, "--timeout", "200ms", &path];
            // Its input stays open.
            let mut program = Program::run(&arguments);
            let status = wait(program.child());
            assert!(begun.elapsed() < Duration::from_secs(20), "{engine} {name}");
            assert_eq!(status.code(), Some(134), "{engine} {name}");
            let told = program.ended().stderr;
            assert!(
                told.contains("ran out of time") && told.contains("200 ms"),
                "{engine} {name}: {told}"
            );
        }
    }
    let path = file(&folder, "naps.wasm", &sleep(1_000_000));
    for engine in ENGINES {
        for flags in [&["--timeout", "60s"][..], &[]] {
            let output = run_on(engine, flags, &path);
            assert_eq!(output.code, Some(0), "{engine} {flags:?}: {output:?}");
        }
    }
}

#[test]
fn a_sleep_is_as_long_as_it_was_asked_for() {
    let folder = Folder::new("module-sleep");
    let path = file(&folder, "sleeps.wasm", &sleep(300_000_000));
    for engine in ENGINES {
        let begun = Instant::now();
        assert_eq!(run_on(engine, &[], &path).code, Some(0), "{engine}");
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(300), "{engine}: {took:?}");
    }
}

#[test]
fn memory_beyond_the_limit_is_refused_to_a_module() {
    let folder = Folder::new("module-memory-limit");
    // By 8 MiB: -1 where that is refused.
    let body = "(call $proc_exit (i32.sub (i32.const 0) (memory.grow (i32.const 128))))";
    let grows = file(&folder, "grows.wasm", body);
    let text = r#"(memory (export "memory") 128) (func (export "_start"))"#;
    let large = folder.file("large.wasm", module_from("wasi_snapshot_preview1", text));
    for engine in ENGINES {
        for (flags, code) in [
            (&["--max-memory", "8M"][..], 1),
            (&["-W", "max-memory-size=8388608"], 1),
            // The old size is one page: 255 is -1.
            (&["--max-memory", "9M"], 255),
            (&[], 255),
        ] {
            let output = run_on(engine, flags, &grows);
            assert_eq!(output.code, Some(code), "{engine} {flags:?}: {output:?}");
        }
        let arguments = ["run", "--engine", engine, "--max-memory", "1M", &large];
        assert_one_line(&arguments, 1, &["large.wasm", "memory"]);
        assert_eq!(run_on(engine, &[], &large).code, Some(0), "{engine}");
    }
}

#[test]
fn a_module_of_wasi_unstable_runs_too() {
    let folder = Folder::new("module-unstable");
    let fields = r#"(memory (export "memory") 1)
        (data (i32.const 1024) "unstable")
        (func (export "_start")
            (i32.store (i32.const 0) (i32.const 1024)) (i32.store (i32.const 4) (i32.const 8))
            (call $proc_exit (i32.add (i32.const 20)
                (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"#;
    let path = folder.file("unstable.wasm", module_from("wasi_unstable", fields));
    for engine in ENGINES {
        let output = run_on(engine, &[], &path);
        assert_eq!(
            (output.code, output.stdout.as_str(), output.stderr.as_str()),
            (Some(20), "unstable", ""),
            "{engine}"
        );
    }
}

/// Prints all strings that `sizes` and `get` give, each with its NUL.
fn strings(sizes: &str, get: &str) -> String {
    format!(
        "(if (call ${sizes} (i32.const 0) (i32.const 4)) (then unreachable))
        (if (call ${get} (i32.const 16) (i32.const 1024)) (then unreachable))
        (i32.store (i32.const 8) (i32.const 1024))
        (i32.store (i32.const 12) (i32.load (i32.const 4)))
        (if (call $fd_write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 512))
            (then unreachable))
        (call $proc_exit (i32.load (i32.const 0)))"
    )
}

#[test]
fn a_module_has_the_arguments_and_the_environment_that_it_is_given_and_no_others() {
    let folder = Folder::new("module-strings");
    let args = file(&folder, "args.wasm", &strings("args_sizes_get", "args_get"));
    let env = file(
        &folder,
        "env.wasm",
        &strings("environ_sizes_get", "environ_get"),
    );
    for engine in ENGINES {
        for (arguments, count, expected) in [
            (&[&args[..]][..], 1, "args.wasm\0"),
            (
                &["--argv0", "me", &args, "--help", "", "--", "a b", "ä"],
                6,
                "me\0--help\0\0--\0a b\0ä\0",
            ),
            (&[&env], 0, ""),
            (
                &["--env", "A=1", "--env", "B=x=ä", "--env=A=2", &env],
                2,
                "B=x=ä\0A=2\0",
            ),
        ] {
            let output = run(&[&["run", "--engine", engine], arguments].concat());
            assert_eq!(
                output.code,
                Some(count),
                "{engine} {arguments:?}: {output:?}"
            );
            assert_eq!(output.stdout, expected, "{engine} {arguments:?}");
        }
    }
}

#[test]
fn each_kind_of_program_has_its_engine_and_its_command() {
    let (component, module) = (guest("command"), guest("kv"));
    let wasmi = ["run", "--engine", "wasmi", &component, "args"];
    assert_one_line(&wasmi, 1, &["command.wasm", "component", "--engine wasmi"]);
    let serve = ["serve", "--addr", "127.0.0.1:0", &module];
    assert_one_line(&serve, 1, &["kv.wasm", "core module", "`agave run`"]);
    let listen = ["run", "--tcplisten", "127.0.0.1:0", &component, "args"];
    assert_one_line(&listen, 2, &["--tcplisten", "core modules", "--allow-net"]);
    let engine = ["run", "--engine", "v8", &module, "help"];
    assert_one_line(&engine, 2, &["--engine", "v8"]);
}

#[test]
fn an_address_that_cannot_be_listened_on_is_one_line_that_names_it() {
    let echo = guest("echo");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    for engine in ENGINES {
        for (address, code, told) in [
            ("nonsense", 2, "nonsense"),
            ("127.0.0.1", 2, "127.0.0.1"),
            ("127.0.0.1:65536", 2, "127.0.0.1:65536"),
            ("localhost:0", 2, "localhost:0"),
            (&taken, 1, "in use"),
            // Of documentation (RFC 5737): no machine has it.
            ("192.0.2.1:0", 1, "can't be bound"),
        ] {
            let arguments = ["run", "--engine", engine, "--tcplisten", address, &echo];
            assert_one_line(&arguments, code, &["--tcplisten", address, told]);
        }
    }
}

#[test]
fn a_socket_is_the_first_descriptor_and_the_directories_follow() {
    let folder = Folder::new("module-descriptors");
    // The number of the first directory, or 255.
    let body = "(local.set $n (i32.const 3))
        (loop $next
            (if (i32.eqz (call $fd_prestat_get (local.get $n) (i32.const 0))) (then
                (if (i32.eqz (i32.load8_u (i32.const 0)))
                    (then (call $proc_exit (local.get $n))))))
            (local.set $n (i32.add (local.get $n) (i32.const 1)))
            (br_if $next (i32.lt_u (local.get $n) (i32.const 20))))
        (call $proc_exit (i32.const 255))";
    let path = file(&folder, "finds.wasm", body);
    let dir = crate::support::folder::text(&folder.0) + "::/";
    let listen = ["--tcplisten", "127.0.0.1:0"];
    for engine in ENGINES {
        for fs in ["host", "memory"] {
            for (flags, first) in [
                (vec!["--dir", &dir], 3),
                ([&["--dir", &dir], &listen[..]].concat(), 4),
                ([&["--dir", &dir], &listen[..], &listen[..]].concat(), 5),
                (vec![], if fs == "memory" { 3 } else { 255 }),
            ] {
                let flags = [&flags[..], &["--fs", fs]].concat();
                let output = run_on(engine, &flags, &path);
                assert_eq!(output.code, Some(first), "{engine} {flags:?}: {output:?}");
            }
        }
    }
}
