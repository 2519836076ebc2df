//! `agave run`: what a program is told, and how it ends.

use crate::support::folder::Folder;
use crate::support::program::{Program, command};
use crate::support::server::{agave, assert_one_line, guest, run};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::Command;
use std::time::{Duration, Instant};

#[test]
fn the_exit_code_is_the_programs() {
    for (program, code) in [
        (&["print", "1"][..], 0),
        (&["fail"], 1),
        (&["exit", "0"], 0),
        (&["exit", "1"], 1),
        (&["exit", "2"], 2),
        (&["exit", "42"], 42),
        (&["exit", "255"], 255),
    ] {
        let output = command(&[], program);
        assert_eq!(output.code, Some(code), "{program:?}: {output:?}");
    }
}

#[test]
fn what_it_writes_is_all_there_in_the_end_with_or_without_a_line_feed() {
    let output = command(&[], &["both"]);
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str()),
        ("out", "err")
    );
    let output = command(&[], &["print", "1000"]);
    let expected: String = (1..=1000).map(|line| format!("{line}\n")).collect();
    assert_eq!(output.stdout, expected);
    assert_eq!(output.stderr, "");
}

#[test]
fn arguments_are_the_files_name_and_all_that_follows_the_program() {
    for (flags, program, expected) in [
        (&[][..], &["args"][..], &["command.wasm", "args"][..]),
        (
            &[],
            &["args", "--help", "-W", "", "--", "a b", "ä"],
            &["command.wasm", "args", "--help", "-W", "", "--", "a b", "ä"],
        ),
        (&["--argv0", "me"], &["args"], &["me", "args"]),
    ] {
        let output = command(flags, program);
        let expected: String = expected.iter().map(|it| format!("arg {it}\n")).collect();
        assert_eq!(output.stdout, expected, "{program:?}");
    }
}

#[test]
fn an_argument_that_is_not_unicode_is_an_error_of_use() {
    let output = agave()
        .args(["run", &guest("command"), "args"])
        .arg(OsStr::from_bytes(b"a\xffb"))
        .output()
        .unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(
        told.contains("not Unicode") && told.lines().count() == 1,
        "{told}"
    );
}

#[test]
fn the_environment_is_what_is_given_and_no_other() {
    assert_eq!(command(&[], &["env"]).stdout, "");
    let flags = [
        "--env",
        "A=1",
        "--env",
        "B=x=y",
        "--env=A=2",
        "--env",
        "PATH",
    ];
    let path = std::env::var("PATH").unwrap();
    let expected = format!("env B=x=y\nenv A=2\nenv PATH={path}\n");
    assert_eq!(command(&flags, &["env"]).stdout, expected);
    let inherited = command(&["-S", "inherit-env"], &["env"]).stdout;
    assert!(
        inherited.contains(&format!("env PATH={path}\n")),
        "{inherited}"
    );
}

#[test]
fn a_trap_is_code_134_and_one_message_with_a_backtrace_after_the_guests_own_output() {
    let output = command(&[], &["trap"]);
    assert_eq!(output.code, Some(134), "{output:?}");
    assert_eq!(output.stdout, "on stdout\n");
    let mut lines = output.stderr.lines();
    assert_eq!(lines.next(), Some("on stderr"));
    let told = lines.next().unwrap();
    for part in [
        "agave: ",
        "command.wasm: ",
        "wasm `unreachable` instruction executed",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let frames: Vec<_> = lines.collect();
    assert!(!frames.is_empty());
    for (number, frame) in frames.into_iter().enumerate() {
        assert!(
            frame.trim_start().starts_with(&format!("{number}: ")),
            "{frame}"
        );
    }
}

#[test]
fn a_panic_is_a_trap_too() {
    let output = command(&[], &["panic"]);
    assert_eq!(output.code, Some(134), "{output:?}");
    assert!(output.stderr.contains("asked to panic"), "{output:?}");
    assert_eq!(output.stderr.matches("agave: ").count(), 1, "{output:?}");
}

/// A command whose `run` calls a function of this name, which traps.
fn trapping(name: &str) -> Vec<u8> {
    let text = format!(
        r#"(component
            (core module $m
                (func $"{name}" unreachable)
                (func $outer (export "run") (result i32) call $"{name}" i32.const 0))
            (core instance $i (instantiate $m))
            (func $run (result (result)) (canon lift (core func $i "run")))
            (instance $run (export "run" (func $run)))
            (export "wasi:cli/run@0.2.0" (instance $run)))"#
    );
    wat::parse_str(text).unwrap()
}

#[test]
fn a_backtrace_has_the_names_of_the_guests_functions_without_what_they_could_do_to_a_terminal() {
    let folder = Folder::new("backtrace");
    let output = run(&["run", &folder.file("plain.wasm", trapping("inner"))]);
    assert_eq!(output.code, Some(134), "{output:?}");
    let frames: Vec<_> = output.stderr.lines().skip(1).collect();
    assert!(
        frames[0].ends_with("m!inner") && frames[1].ends_with("m!outer"),
        "{output:?}"
    );

    let hostile = trapping(r"a\u{1b}[2J\u{a}agave: all is well");
    let output = run(&["run", &folder.file("hostile.wasm", hostile)]);
    assert_eq!(output.code, Some(134), "{output:?}");
    assert!(!output.stderr.contains('\u{1b}'), "{output:?}");
    assert_eq!(output.stderr.matches("\nagave").count(), 0, "{output:?}");

    let long = trapping(&"x".repeat(100_000));
    let output = run(&["run", &folder.file("long.wasm", long)]);
    assert_eq!(output.code, Some(134), "{output:?}");
    assert!(output.stderr.len() < 5000, "{} bytes", output.stderr.len());
}

#[test]
fn a_program_whose_time_is_up_ends_with_134_whether_it_computes_or_waits() {
    for (flags, program) in [
        (["-W", "timeout=200ms"], &["spin"][..]),
        (["--timeout", "200ms"], &["sleep", "100000"]),
    ] {
        let begun = Instant::now();
        let output = command(&flags, program);
        assert!(begun.elapsed() < Duration::from_secs(20), "{program:?}");
        assert_eq!(output.code, Some(134), "{program:?}: {output:?}");
        assert!(output.stderr.contains("ran out of time"), "{output:?}");
        assert!(output.stderr.contains("200 ms"), "{output:?}");
    }
    let output = command(&["--timeout", "60s"], &["sleep", "1"]);
    assert_eq!((output.code, output.stdout.as_str()), (Some(0), "slept\n"));
}

#[test]
fn memory_beyond_the_limit_is_refused_to_the_program() {
    for (flags, told) in [
        (&["-W", "max-memory-size=8388608"][..], "refused\n"),
        (&["--max-memory", "8M"], "refused\n"),
        (&["--max-memory", "64M"], "grew\n"),
        (&[], "grew\n"),
    ] {
        assert_eq!(command(flags, &["grow", "16"]).stdout, told, "{flags:?}");
    }
    let path = guest("command");
    let arguments = ["run", "--max-memory", "64K", &path, "args"];
    assert_one_line(&arguments, 1, &["command.wasm", "memory"]);
}

#[test]
fn what_is_compiled_is_kept_unless_that_is_switched_off() {
    let folder = Folder::new("cache");
    let run = |flags: &[&str]| {
        let mut command = agave();
        command.env("XDG_CACHE_HOME", &folder.0).arg("run");
        let output = command
            .args(flags)
            .args([&guest("command"), "args"])
            .output();
        assert_eq!(output.unwrap().stdout, b"arg command.wasm\narg args\n");
    };
    let kept = || fs::read_dir(folder.0.join("agave/compiled/modules")).is_ok();
    run(&["-C", "cache=n"]);
    assert!(!kept());
    run(&[]);
    assert!(kept());
    run(&[]);
}

#[test]
fn a_signal_ends_it() {
    for (name, number) in [("INT", 2), ("TERM", 15)] {
        let mut program = Program::start(&[], &["spin"]);
        assert_eq!(program.read(9), "spinning\n");
        let kill = format!("kill -{name} {}", program.child().id());
        Command::new("sh").args(["-c", &kill]).status().unwrap();
        let status = crate::support::server::wait(program.child());
        assert_eq!(status.signal(), Some(number), "{name}");
    }
}

#[test]
fn what_is_no_command_is_one_line_that_says_what_to_do() {
    let folder = Folder::new("no-commands");
    let component = |name: &str, text: &str| folder.file(name, wat::parse_str(text).unwrap());
    let empty = component("empty.wasm", "(component)");
    let module = component("module.wasm", "(module)");
    let unknown = component(
        "unknown.wasm",
        r#"(component (import "agave:nothing/here@1.0.0" (instance (export "f" (func)))))"#,
    );
    for (path, told) in [
        (guest("hello"), &["hello.wasm", "`agave serve`"][..]),
        (empty, &["empty.wasm", "wasi:cli/run@0.2"]),
        (module, &["module.wasm", "`_start`"]),
        (unknown, &["unknown.wasm", "agave:nothing/here@1.0.0"]),
        ("no-such.wasm".into(), &["no-such.wasm", "No such file"]),
    ] {
        assert_one_line(&["run", &path], 1, told);
    }
    let path = guest("command");
    let serve = ["serve", "--addr", "127.0.0.1:0", &path];
    assert_one_line(&serve, 1, &["command.wasm", "`agave run`"]);
}

#[test]
fn flags_that_are_wrong_are_one_line_that_names_them_and_code_2() {
    for (flags, told) in [
        (&["--no-such-flag"][..], &["--no-such-flag"][..]),
        (&["--dir", "::/"], &["--dir", "HOST::GUEST"]),
        (&["--dir"], &["--dir"]),
        (&["--fs", "disk"], &["--fs", "disk"]),
        (
            &["--allow-net", "https://example.com"],
            &["--allow-net", "https://example.com"],
        ),
        (&["--deny-net", "a b"], &["--deny-net", "a b"]),
        (&["--env", "=x"], &["--env"]),
        (&["-S", "nn"], &["-S", "`nn`"]),
        (&["-W", "fuel=1"], &["-W", "`fuel`"]),
        (&["--timeout", "0"], &["--timeout"]),
        (&["--argv0"], &["--argv0"]),
        (&["-C", "opt-level=2"], &["-C", "`opt-level`"]),
    ] {
        let arguments = match flags {
            [flag] if *flag != "--no-such-flag" => [&["run"], flags].concat(),
            _ => [&["run"], flags, &["x.wasm"]].concat(),
        };
        assert_one_line(&arguments, 2, told);
    }
    assert_one_line(&["run"], 2, &["PROGRAM"]);
    assert_one_line(&["inspect"], 2, &["PROGRAM"]);
}
