//! `wasi:cli`: what a program is told, and its standard streams.

use crate::bindings::wasi::cli::environment::{get_arguments, get_environment};
use crate::bindings::wasi::cli::stderr::get_stderr;
use crate::bindings::wasi::cli::stdin::get_stdin;
use crate::bindings::wasi::cli::stdout::get_stdout;
use crate::bindings::wasi::cli::terminal_stderr::get_terminal_stderr;
use crate::bindings::wasi::cli::terminal_stdin::get_terminal_stdin;
use crate::bindings::wasi::cli::terminal_stdout::get_terminal_stdout;
use crate::bindings::wasi::clocks::monotonic_clock::subscribe_duration;
use crate::bindings::wasi::io::poll::poll;
use crate::outcome::{Not, Outcome, ensure};
use crate::streams;
use crate::told::{GREETING, WORDS, has};
use crate::wait::MS;

pub fn arguments() -> Outcome {
    let arguments = get_arguments();
    let Some(first) = arguments.iter().position(|it| it == WORDS[0]) else {
        return Err(Not::Denied("none of them is for this row".into()));
    };
    let words = &arguments[first..];
    ensure(words == WORDS, || format!("{words:?}, not {WORDS:?}"))?;
    Ok(format!("{} arguments", arguments.len()))
}

pub fn environment() -> Outcome {
    let variables = get_environment();
    let (name, greeting) = GREETING;
    let mut values = variables.iter().filter(|variable| variable.0 == name);
    let Some((_, value)) = values.next() else {
        return Err(Not::Denied("none of it is for this row".into()));
    };
    ensure(value == greeting, || {
        format!("{name} is {value:?}, not {greeting:?}")
    })?;
    ensure(values.next().is_none(), || format!("{name} is there twice"))?;
    Ok(format!("{} variables", variables.len()))
}

/// Reads what there is, and hardly waits for more: somebody may be typing.
pub fn stdin() -> Outcome {
    const ENOUGH: usize = 64 << 10;
    let stdin = get_stdin();
    let mut count = 0;
    while count < ENOUGH {
        let comes = stdin.subscribe();
        if has("wasi:clocks/monotonic-clock") {
            poll(&[&comes, &subscribe_duration(100 * MS)]);
        }
        if !comes.ready() {
            return Ok(format!("{count} bytes, more may come"));
        }
        match streams::read("read", &stdin, 4096)? {
            Some(bytes) => count += bytes.len(),
            None => return Ok(format!("{count} bytes, then the end")),
        }
    }
    Ok(format!("{count} bytes and more"))
}

/// The table goes there as well.
pub fn stdout() -> Outcome {
    let stdout = get_stdout();
    streams::flushed("check-write", &stdout)?;
    ensure(stdout.subscribe().ready(), || {
        "there is room and it is not ready".into()
    })?;
    streams::write_all("write", &stdout, b"")?;
    Ok("this table".into())
}

pub fn stderr() -> Outcome {
    const LINE: &str = "wasi-demo: a line on standard error\n";
    streams::write_all("write", &get_stderr(), LINE.as_bytes())?;
    Ok(format!("{} bytes", LINE.len()))
}

/// Asked twice, as the answer must not change.
pub fn terminals() -> Outcome {
    let ask = || {
        [
            ("stdin", get_terminal_stdin().is_some()),
            ("stdout", get_terminal_stdout().is_some()),
            ("stderr", get_terminal_stderr().is_some()),
        ]
    };
    let (terminals, again) = (ask(), ask());
    ensure(terminals == again, || {
        format!("{terminals:?}, then {again:?}")
    })?;
    let names: Vec<_> = terminals.iter().filter(|it| it.1).map(|it| it.0).collect();
    Ok(match names.is_empty() {
        true => "none".into(),
        false => names.join(", "),
    })
}
