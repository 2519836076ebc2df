//! What the command takes, and what it says to what it can't.

use crate::support::folder::{Folder, text};
use crate::support::server::{Server, assert_one_line, guest, run};
use std::net::TcpListener;

#[test]
fn what_cannot_be_served_is_one_line_that_says_why_and_code_1() {
    let folder = Folder::new("components");
    let component = |name: &str, wat: &str| folder.file(name, wat::parse_str(wat).unwrap());
    let unknown = component(
        "unknown.wasm",
        r#"(component (import "agave:nothing/here@1.0.0" (instance (export "f" (func)))))"#,
    );
    let function = component(
        "function.wasm",
        r#"(component (import "wasi:random/random@0.2.12"
            (instance (export "no-such-function" (func (result u64))))))"#,
    );
    let types = component(
        "types.wasm",
        r#"(component (import "wasi:random/random@0.2.12"
            (instance (export "get-random-u64" (func (param "a" string) (result u64))))))"#,
    );
    let empty = component("empty.wasm", "(component)");
    let module = folder.file("module.wasm", wat::parse_str("(module)").unwrap());
    let broken = folder.file("broken.wasm", b"\0asm\x0d\0\x01\0nonsense");
    let script = folder.file("script.wasm", "#!/bin/sh\n");
    let nothing = folder.file("nothing.wasm", "");
    let missing = text(&folder.0.join("missing.wasm"));
    let directory = text(&folder.0);
    for (path, told) in [
        (&missing, &["missing.wasm", "No such file"][..]),
        (&directory, &["agave-components"]),
        (&nothing, &["nothing.wasm", "not WebAssembly"]),
        (&script, &["script.wasm", "not WebAssembly"]),
        (&broken, &["broken.wasm"]),
        (&module, &["module.wasm", "core module", "`agave run`"]),
        (&empty, &["empty.wasm", "wasi:http/incoming-handler@0.2"]),
        (&unknown, &["unknown.wasm", "agave:nothing/here@1.0.0"]),
        (
            &function,
            &[
                "function.wasm",
                "wasi:random/random@0.2.12",
                "no-such-function",
            ],
        ),
        (
            &types,
            &["types.wasm", "wasi:random/random@0.2.12", "get-random-u64"],
        ),
    ] {
        assert_one_line(&["serve", "--addr", "127.0.0.1:0", path], 1, told);
    }
}

#[test]
fn a_component_that_needs_more_memory_than_allowed_is_one_line_and_code_1() {
    let path = guest("testbed");
    let arguments = [
        "serve",
        "--addr",
        "127.0.0.1:0",
        "--max-memory",
        "64K",
        &path,
    ];
    assert_one_line(&arguments, 1, &["testbed.wasm", "memory"]);
}

#[test]
fn an_address_that_cannot_be_had_is_one_line_that_names_it_and_code_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    // Not an address of this machine (RFC 5737).
    for address in [taken.as_str(), "192.0.2.1:8081"] {
        assert_one_line(&["serve", "--addr", address], 1, &[address]);
    }
    drop(taken);
}

#[test]
fn flags_that_are_wrong_are_one_line_that_names_them_and_code_2() {
    for (flags, told) in [
        (&["-S", "nn"][..], &["-S", "`nn`", "inherit-network"][..]),
        (
            &["-S", "inherit-network,inherit-netwrk"],
            &["-S", "`inherit-netwrk`"],
        ),
        (&["-S", "cli=maybe"], &["-S", "cli", "maybe"]),
        (&["-S"], &["-S"]),
        (&["-W", "fuel=1"], &["-W", "`fuel`", "timeout"]),
        (&["-W", "timeout"], &["-W", "timeout"]),
        (&["-W", "timeout=soon"], &["soon"]),
        (&["-W", "max-memory-size=much"], &["much"]),
        (&["--addr", "nowhere"], &["--addr", "nowhere"]),
        (&["--addr", "127.0.0.1"], &["--addr", "127.0.0.1"]),
        (&["--max-memory", "1X"], &["--max-memory", "1X"]),
        (&["--timeout", "0s"], &["--timeout", "0s"]),
        (&["--timeout", "-1s"], &["-1"]),
        (&["--max-concurrent", "0"], &["--max-concurrent", "0"]),
        (&["--max-concurrent", "many"], &["--max-concurrent", "many"]),
        (
            &["--max-instance-reuse-count", "0"],
            &["--max-instance-reuse-count", "0"],
        ),
        (&["--log", "loud"], &["--log", "loud"]),
        (&["--env", "=x"], &["--env", "=x"]),
        (&["--no-such-flag"], &["--no-such-flag"]),
        (&["one.wasm", "two.wasm"], &["two.wasm"]),
    ] {
        let arguments = [&["serve", "--addr", "127.0.0.1:0"], flags].concat();
        let arguments = match flags[0] {
            "--addr" => [&["serve"], flags].concat(),
            _ => arguments,
        };
        assert_one_line(&arguments, 2, told);
    }
    assert_one_line(&["no-such-command"], 2, &["no-such-command"]);
}

#[test]
fn help_and_version_are_answers() {
    let help = run(&["--help"]);
    assert_eq!(help.code, Some(0));
    assert_eq!(help.stderr, "");
    for told in ["serve", "--version", "--log"] {
        assert!(help.stdout.contains(told), "{told}: {}", help.stdout);
    }
    let help = run(&["serve", "--help"]);
    assert_eq!(help.code, Some(0));
    for told in [
        "--addr",
        "127.0.0.1:8080",
        "-S",
        "inherit-network",
        "--env",
        "--max-concurrent",
        "-W",
        "max-memory-size",
        "--max-memory",
        "--timeout",
        "60s",
        "--max-instance-reuse-count",
    ] {
        assert!(help.stdout.contains(told), "{told}: {}", help.stdout);
    }
    for arguments in [&["--version"][..], &["-V"], &["serve", "--version"]] {
        let version = run(arguments);
        assert_eq!(version.code, Some(0), "{arguments:?}");
        assert!(version.stdout.starts_with("agave"), "{}", version.stdout);
        assert!(
            version.stdout.contains(env!("CARGO_PKG_VERSION")),
            "{}",
            version.stdout
        );
    }
}

#[test]
fn a_command_line_for_wasmtime_works_with_the_name_exchanged() {
    let agent = match std::env::var_os("AGAVE_TEST_GUESTS") {
        Some(_) => guest("ai_agent_sockets"),
        None => concat!(env!("CARGO_MANIFEST_DIR"), "/assets/ai_agent_sockets.wasm").into(),
    };
    // `Server` puts the address first.
    let flags = ["-S", "cli", "-S", "inherit-network", &agent];
    let server = Server::start(&flags);
    assert_eq!(server.get("/health").told(), (200, "ok"));
    let flags = [
        "-Scli,http,inherit-network=y",
        "-Wcomponent-model,timeout=10",
        &agent,
    ];
    let server = Server::start(&flags);
    assert_eq!(server.get("/health").told(), (200, "ok"));
    assert_eq!(server.stop(), [""; 0]);
}

#[test]
fn a_guest_has_the_environment_that_it_is_given_and_no_other() {
    let arguments = |server: Server| {
        let response = server.get("/env");
        let lines = response.text().lines().map(String::from);
        let variables: Vec<_> = lines.filter(|line| line.starts_with("env ")).collect();
        variables
    };
    assert_eq!(arguments(Server::guest("testbed", &[])), [""; 0]);
    let flags = [
        "--env", "A=1", "--env", "B=x=y", "--env", "A=2", "--env", "PATH",
    ];
    let mut given = arguments(Server::guest("testbed", &flags));
    given.sort();
    let path = format!("env PATH={}", std::env::var("PATH").unwrap());
    assert_eq!(given, ["env A=2", "env B=x=y", &path]);
    let inherited = arguments(Server::guest("testbed", &["-S", "inherit-env"]));
    assert!(inherited.contains(&path), "{inherited:?}");
}

#[test]
fn a_guests_standard_input_is_empty() {
    let server = Server::guest("testbed", &[]);
    assert_eq!(server.get("/stdin").told(), (200, "stdin 0 bytes\n"));
}

#[test]
fn it_serves_on_ipv6() {
    if TcpListener::bind("[::1]:0").is_err() {
        eprintln!("this machine has no [::1]");
        return;
    }
    let server = Server::on("[::1]:0", &[]);
    assert!(server.address.is_ipv6());
    assert_eq!(server.get("/health").told(), (200, "ok"));
}
