//! `wasi:cli`.

use crate::bindings::wasi::cli::types::ErrorCode;
use crate::bindings::wasi::cli::{
    environment, exit, stderr, stdin, stdout, terminal_stderr, terminal_stdin, terminal_stdout,
};
use crate::bindings::wit_stream;
use crate::checks::Checks;
use crate::next;
use wit_bindgen::{FutureReader, StreamReader};

/// The host gives these arguments and variables, `hello` on the standard input, and looks at
/// what comes out; `TERMINAL` says whether it calls its standard streams terminals.
pub async fn run(checks: &mut Checks) {
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
        "get-initial-cwd: as the host says",
        environment::get_initial_cwd(),
        value("CWD"),
    );

    standard_input(checks).await;
    type Write = fn(StreamReader<u8>) -> FutureReader<Result<(), ErrorCode>>;
    let outputs: [(&str, Write, &str); 4] = [
        ("stdout", stdout::write_via_stream, "out 1\n"),
        ("stderr", stderr::write_via_stream, "err 1\n"),
        // A stream of its own that goes to the same place, after the first.
        ("stdout, again", stdout::write_via_stream, "out 2\n"),
        ("stderr, again", stderr::write_via_stream, "err 2\n"),
    ];
    for (name, write, text) in outputs {
        let (mut writer, contents) = wit_stream::new();
        let written = write(contents);
        // In two pieces, of which the first is not empty.
        let (first, second) = text.split_at(2);
        for piece in [first, second] {
            let left = writer.write_all(piece.into()).await;
            checks.eq(format!("{name}: is taken"), left.len(), 0);
        }
        drop(writer);
        checks.eq(format!("{name}: written"), written.await, Ok::<_, ()>(()));
    }
    let (writer, contents) = wit_stream::new();
    let written = stdout::write_via_stream(contents);
    drop(writer);
    checks.eq("stdout: nothing", written.await, Ok::<_, ()>(()));

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

async fn standard_input(checks: &mut Checks) {
    let (mut first, outcome) = stdin::read_via_stream();
    checks.eq("stdin: read", next(&mut first, 2).await, b"he");
    drop(first);
    checks.eq("stdin: given up", outcome.await, Ok::<_, ()>(()));
    let (mut second, outcome) = stdin::read_via_stream();
    let mut rest = Vec::new();
    loop {
        match next(&mut second, 100).await {
            end if end.is_empty() => break,
            more => rest.extend(more),
        }
    }
    checks.eq("stdin: a second stream reads on", rest, b"llo");
    checks.eq("stdin: the end", outcome.await, Ok::<_, ()>(()));
    let (third, outcome) = stdin::read_via_stream();
    checks.eq("stdin: after the end", third.collect().await.len(), 0);
    checks.eq("stdin: the end again", outcome.await, Ok::<_, ()>(()));
}

/// Ends without a word; `run` would say how much held.
pub fn exit_with(how: &str, code: &str) {
    match how {
        "ok" => exit::exit(Ok(())),
        "error" => exit::exit(Err(())),
        _ => exit::exit_with_code(code.parse().expect("a code")),
    }
}
