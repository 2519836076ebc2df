//! Programs run as processes, the guest of many programs above all.

use super::PATIENCE;
use super::server::{self, Output, agave, guest, run};
use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;

/// Runs `program` of the guest to its end, with `flags` for agave.
pub(crate) fn command(flags: &[&str], program: &[&str]) -> Output {
    run(&[&["run"], flags, &[&guest("command")], program].concat())
}

/// A program that runs, its streams in the test's hands. Dropping it kills it, and
/// so does a test that waits for too long.
pub(crate) struct Program {
    child: Option<Child>,
    _watched: Sender<()>,
}

impl Program {
    pub(crate) fn start(flags: &[&str], program: &[&str]) -> Self {
        Self::run(&[flags, &[&guest("command")], program].concat())
    }

    /// Starts `agave run` with `arguments`: flags, any program, and its own arguments.
    pub(crate) fn run(arguments: &[&str]) -> Self {
        let child = agave()
            .arg("run")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("agave starts");
        let (_watched, gone) = mpsc::channel::<()>();
        let kill = format!("kill -9 {}", child.id());
        thread::spawn(move || {
            if gone.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                let _ = Command::new("sh").args(["-c", &kill]).status();
            }
        });
        Self {
            child: Some(child),
            _watched,
        }
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        self.child.as_mut().expect("it runs")
    }

    pub(crate) fn stdin(&mut self) -> ChildStdin {
        self.child().stdin.take().expect("its input")
    }

    pub(crate) fn stdout(&mut self) -> ChildStdout {
        self.child().stdout.take().expect("its output")
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let stdin = self.child().stdin.as_mut().expect("its input");
        stdin.write_all(bytes).expect("it reads");
    }

    /// The next `n` bytes of its output.
    pub(crate) fn read(&mut self, n: usize) -> String {
        let mut bytes = vec![0; n];
        let stdout = self.child().stdout.as_mut().expect("its output");
        stdout.read_exact(&mut bytes).expect("it writes");
        String::from_utf8(bytes).expect("text")
    }

    /// Its next line of standard error, without the line feed.
    pub(crate) fn message(&mut self) -> String {
        let stderr = self.child().stderr.as_mut().expect("its messages");
        line(stderr)
    }

    /// Its next line of standard output, without the line feed.
    pub(crate) fn line(&mut self) -> String {
        let stdout = self.child().stdout.as_mut().expect("its output");
        line(stdout)
    }

    /// Closes its input, and waits until it ends by itself.
    pub(crate) fn ended(mut self) -> Output {
        let mut child = self.child.take().expect("it runs");
        drop(child.stdin.take());
        server::ended(child)
    }
}

/// Takes a line and no more: the rest is for who reads next.
fn line(stream: &mut impl Read) -> String {
    let (mut line, mut byte) = (Vec::new(), [0]);
    loop {
        stream.read_exact(&mut byte).expect("it writes");
        match byte {
            [b'\n'] => break,
            [byte] => line.push(byte),
        }
    }
    String::from_utf8(line).expect("text")
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
