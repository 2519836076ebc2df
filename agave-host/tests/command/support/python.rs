//! Python's `websockets`, which has nothing in common with what it talks to.

use super::PATIENCE;
use super::server::{Output, ended};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;

const PEER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/command/support/websocket.py"
);

/// A peer that runs, and ends when it is told. Dropping it kills it.
pub(crate) struct Python {
    child: Option<Child>,
    stdout: Option<BufReader<ChildStdout>>,
}

impl Python {
    /// Starts one of the functions of `websocket.py`.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let found = Command::new("python3")
            .args(["-c", "import websockets.asyncio.client"])
            .output();
        assert!(
            found.is_ok_and(|found| found.status.success()),
            "the tests of WebSockets need Python's package websockets: python3 -m pip install \
             'websockets>=14'"
        );
        let mut child = Command::new("python3")
            .arg(PEER)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("python3 starts");
        let stdout = child.stdout.take().map(BufReader::new);
        Self {
            child: Some(child),
            stdout,
        }
    }

    /// Runs one to its end, and gives what it printed.
    #[track_caller]
    pub(crate) fn run(arguments: &[&str]) -> String {
        Self::start(arguments).finish()
    }

    /// The next line that it prints; empty at the end.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        let mut stdout = self.stdout.take().expect("its output");
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = stdout.read_line(&mut line);
            let _ = sender.send((line, stdout));
        });
        let Ok((line, stdout)) = receiver.recv_timeout(PATIENCE) else {
            panic!("the peer says nothing");
        };
        self.stdout = Some(stdout);
        line.trim_end().into()
    }

    /// Tells it to go on or to end.
    pub(crate) fn tell(&mut self) {
        let stdin = self.child.as_mut().and_then(|child| child.stdin.as_mut());
        stdin.expect("its input").write_all(b"\n").expect("told");
    }

    /// Waits for its end, and gives what it printed meanwhile.
    #[track_caller]
    pub(crate) fn finish(mut self) -> String {
        let mut child = self.child.take().expect("it runs");
        child.stdout = self.stdout.take().map(BufReader::into_inner);
        let Output {
            code,
            stdout,
            stderr,
        } = ended(child);
        assert_eq!(code, Some(0), "{stdout}{stderr}");
        stdout
    }

    pub(crate) fn kill(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        self.kill();
    }
}
