//! What the tests drive the command with: the command itself, an HTTP client that sees what is
//! on the wire, and peers that misbehave.

pub(crate) mod folder;
pub(crate) mod http;
pub(crate) mod module;
pub(crate) mod peer;
pub(crate) mod program;
pub(crate) mod python;
pub(crate) mod server;

use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything takes that works, even on a machine that does much else.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `done`.
///
/// Panics where that takes too long; `what` says for what it waited.
#[track_caller]
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "waited too long until {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Runs `one` in `n` threads at once, and gives what they gave, in order.
pub(crate) fn at_once<T: Send>(n: usize, one: impl Fn(usize) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let one = &one;
        let threads: Vec<_> = (0..n).map(|i| scope.spawn(move || one(i))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

/// Percent-encodes a parameter.
pub(crate) fn encode(text: impl AsRef<[u8]>) -> String {
    let byte = |byte: &u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(*byte).to_string(),
        byte => format!("%{byte:02x}"),
    };
    text.as_ref().iter().map(byte).collect()
}
