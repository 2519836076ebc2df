//! The table: a line an API.

use crate::bindings::wasi::cli::stdout::get_stdout;
use crate::bindings::wasi::clocks::monotonic_clock::now;
use crate::outcome::{Not, Outcome};
use crate::{clocks, files, http, names, process, random, tcp, told, udp, websocket};

/// An API.
struct Row {
    name: &'static str,
    /// The interfaces without which there is nothing to try.
    needs: &'static [&'static str],
    run: fn() -> Outcome,
}

const fn row(name: &'static str, needs: &'static [&'static str], run: fn() -> Outcome) -> Row {
    Row { name, needs, run }
}

const MONOTONIC: &str = "wasi:clocks/monotonic-clock";
const POLL: &str = "wasi:io/poll";
const STREAMS: &str = "wasi:io/streams";
const ENVIRONMENT: &[&str] = &["wasi:cli/environment"];
const FILES: &[&str] = &[
    "wasi:filesystem/types",
    "wasi:filesystem/preopens",
    POLL,
    STREAMS,
];

/// In the order of the table.
const ROWS: &[Row] = &[
    row("arguments", ENVIRONMENT, process::arguments),
    row("environment", ENVIRONMENT, process::environment),
    row("stdin", &["wasi:cli/stdin", POLL, STREAMS], process::stdin),
    row(
        "stdout",
        &["wasi:cli/stdout", POLL, STREAMS],
        process::stdout,
    ),
    row(
        "stderr",
        &["wasi:cli/stderr", POLL, STREAMS],
        process::stderr,
    ),
    row(
        "terminals",
        &[
            "wasi:cli/terminal-stdin",
            "wasi:cli/terminal-stdout",
            "wasi:cli/terminal-stderr",
        ],
        process::terminals,
    ),
    row("wall clock", &["wasi:clocks/wall-clock"], clocks::wall),
    row("monotonic clock", &[MONOTONIC, POLL], clocks::monotonic),
    row("sleep", &[MONOTONIC, POLL], clocks::sleep),
    row("random", &["wasi:random/random"], random::secure),
    row(
        "insecure random",
        &["wasi:random/insecure"],
        random::insecure,
    ),
    row(
        "insecure seed",
        &["wasi:random/insecure-seed"],
        random::seed,
    ),
    row("file contents", FILES, files::contents),
    row("file metadata", FILES, files::metadata),
    row("file times", FILES, files::times),
    row("directories", FILES, files::directories),
    row("rename and remove", FILES, files::renames),
    row(
        "name lookup",
        &[
            "wasi:sockets/network",
            "wasi:sockets/instance-network",
            "wasi:sockets/ip-name-lookup",
            POLL,
        ],
        names::lookup,
    ),
    row(
        "TCP echo",
        &[
            "wasi:sockets/network",
            "wasi:sockets/instance-network",
            "wasi:sockets/tcp",
            "wasi:sockets/tcp-create-socket",
            POLL,
            STREAMS,
        ],
        tcp::echo,
    ),
    row(
        "UDP echo",
        &[
            "wasi:sockets/network",
            "wasi:sockets/instance-network",
            "wasi:sockets/udp",
            "wasi:sockets/udp-create-socket",
            POLL,
        ],
        udp::echo,
    ),
    row(
        "HTTP request",
        &[
            "wasi:http/types",
            "wasi:http/outgoing-handler",
            POLL,
            STREAMS,
        ],
        http::request,
    ),
    row(
        "WebSocket echo",
        &[
            "agave:websocket/types",
            "agave:websocket/client",
            "wasi:http/types",
            POLL,
        ],
        websocket::echo,
    ),
];

/// What writes on standard error, which may be the same screen: tried before the table.
const FIRST: &str = "stderr";

/// Tries each row, and prints it. A name is there before its row is tried: the last one is what
/// a host failed at that ends this program.
///
/// Errors: one of them failed.
pub fn print() -> Result<(), ()> {
    let table = Table(told::has("wasi:cli/stdout"));
    let first = ROWS.iter().find(|row| row.name == FIRST).map(Row::result);
    table.write(&format!(
        "{:<20}{:<8}{:>10}  {}\n",
        "API", "result", "time/us", "note"
    ));
    let mut counts = [0; 4];
    for row in ROWS {
        table.write(&format!("{:<20}", row.name));
        let result = match &first {
            Some(result) if row.name == FIRST => result,
            _ => &row.result(),
        };
        let (kind, note) = match &result.outcome {
            Ok(note) => (0, note),
            Err(Not::Denied(note)) => (1, note),
            Err(Not::Absent(note)) => (2, note),
            Err(Not::Failed(note)) => (3, note),
        };
        counts[kind] += 1;
        let time = result
            .time
            .map_or("-".into(), |time| (time / 1000).to_string());
        let line = format!("{:<8}{time:>10}  {note}", KINDS[kind]);
        // A reason may come from anywhere: it stays on its line.
        let clean = line.chars().map(|c| if c.is_control() { '?' } else { c });
        table.write(&format!("{}\n", clean.collect::<String>().trim_end()));
    }
    let [ok, denied, absent, failed] = counts;
    table.write(&format!(
        "{ok} ok, {denied} denied, {absent} absent, {failed} FAILED\n"
    ));
    match failed {
        0 => Ok(()),
        _ => Err(()),
    }
}

const KINDS: [&str; 4] = ["ok", "denied", "absent", "FAILED"];

struct Tried {
    outcome: Outcome,
    /// In nanoseconds, where there is a clock.
    time: Option<u64>,
}

impl Row {
    fn result(&self) -> Tried {
        if let Some(interface) = self.needs.iter().find(|it| !told::has(it)) {
            let outcome = Err(Not::Absent(format!("the host has no {interface}")));
            return Tried {
                outcome,
                time: None,
            };
        }
        let begun = told::has(MONOTONIC).then(now);
        let outcome = (self.run)();
        let time = begun.map(|begun| now().saturating_sub(begun));
        Tried { outcome, time }
    }
}

/// Standard output, where there is one.
struct Table(bool);

impl Table {
    /// What can't be written is lost: the exit code still says how it went.
    fn write(&self, text: &str) {
        if self.0 {
            let stdout = get_stdout();
            // As much as one call may take.
            for part in text.as_bytes().chunks(4096) {
                if stdout.blocking_write_and_flush(part).is_err() {
                    return;
                }
            }
        }
    }
}
