//! `wasi:cli`.

use crate::bindings::wasi::cli::{
    environment, exit, stderr, stdin, stdout, terminal_stderr, terminal_stdin, terminal_stdout,
};
use crate::bindings::wasi::io::streams::{OutputStream, StreamError};
use crate::checks::Checks;

/// The host gives these arguments and variables, `hello` on the standard input, and looks at
/// what comes out; `TERMINAL` says whether it calls its standard streams terminals.
pub fn run(checks: &mut Checks) {
    let arguments = environment::get_arguments();
    checks.eq(
        "get-arguments: in order, as they are",
        &arguments[1..],
        ["cli", "", "two words", "grüße", "--flag=\"x\""],
    );
    checks.that(
        "get-arguments: the program's name",
        !arguments[0].is_empty(),
    );
    let variables = environment::get_environment();
    let value = |name: &str| {
        let known = variables.iter().find(|variable| variable.0 == name);
        known.map(|variable| variable.1.clone())
    };
    checks.eq("get-environment: a value", value("PLAIN"), Some("value"));
    checks.eq("get-environment: an empty one", value("EMPTY"), Some(""));
    checks.eq(
        "get-environment: any text",
        value("TEXT"),
        Some("a=b; \"ü\""),
    );
    checks.eq(
        "get-environment: what is not granted",
        value("PATH"),
        None::<()>,
    );
    checks.eq(
        "get-environment: the same again",
        environment::get_environment(),
        &variables,
    );
    checks.eq(
        "initial-cwd: as the host says",
        environment::initial_cwd(),
        value("CWD"),
    );

    standard_input(checks);
    write(checks, "get-stdout", stdout::get_stdout(), b"out 1\n");
    write(checks, "get-stderr", stderr::get_stderr(), b"err 1\n");
    // A stream of its own that goes to the same place, after the first.
    write(
        checks,
        "get-stdout: again",
        stdout::get_stdout(),
        b"out 2\n",
    );
    write(
        checks,
        "get-stderr: again",
        stderr::get_stderr(),
        b"err 2\n",
    );

    let terminal = value("TERMINAL").is_some();
    for (name, is_one) in [
        (
            "get-terminal-stdin",
            terminal_stdin::get_terminal_stdin().is_some(),
        ),
        (
            "get-terminal-stdout",
            terminal_stdout::get_terminal_stdout().is_some(),
        ),
        (
            "get-terminal-stderr",
            terminal_stderr::get_terminal_stderr().is_some(),
        ),
    ] {
        checks.eq(name, is_one, terminal);
    }
}

fn standard_input(checks: &mut Checks) {
    let first = stdin::get_stdin();
    checks.eq("get-stdin: read", first.blocking_read(2).ok(), Some(b"he"));
    let second = stdin::get_stdin();
    checks.eq(
        "get-stdin: a second one reads on",
        second.blocking_read(2).ok(),
        Some(b"ll"),
    );
    let ready = first.subscribe();
    ready.block();
    checks.eq(
        "get-stdin: the first one too",
        first.read(9).ok(),
        Some(b"o"),
    );
    drop(ready);
    for stream in [first, second] {
        let end = stream.blocking_read(1);
        checks.that(
            "get-stdin: the end",
            matches!(end, Err(StreamError::Closed)),
        );
    }
}

fn write(checks: &mut Checks, name: &str, stream: OutputStream, text: &[u8]) {
    let ready = stream.subscribe();
    ready.block();
    drop(ready);
    let permit = stream.check_write().unwrap_or(0);
    checks.that(format!("{name}: check-write"), permit >= text.len() as u64);
    checks.that(format!("{name}: write"), stream.write(text).is_ok());
    checks.that(format!("{name}: flush"), stream.blocking_flush().is_ok());
}

/// Ends without a word; `run` would say how much held.
pub fn exit_with(how: &str, code: &str) {
    match how {
        "ok" => exit::exit(Ok(())),
        "error" => exit::exit(Err(())),
        _ => exit::exit_with_code(code.parse().expect("a code")),
    }
}
