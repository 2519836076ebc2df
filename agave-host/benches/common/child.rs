//! A server as a process of its own: its memory and its CPU time are known.

use crate::Failure;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The first argument of a process that is a server.
pub(crate) const SERVER: &str = "server";

/// Ends this process, a server, with the one that started it.
pub(crate) fn end_with_parent() {
    std::thread::spawn(|| {
        // Whatever ends it, nobody is there any more.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
}

/// A server that runs.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
}

/// What a server has used so far.
#[derive(Clone, Copy)]
pub(crate) struct Usage {
    /// CPU time in user space.
    pub(crate) user: Duration,
    /// CPU time in the kernel.
    pub(crate) system: Duration,
    /// Resident bytes.
    pub(crate) resident: u64,
}

impl Server {
    /// Starts this program with `arguments` after [`SERVER`]. It tells its address on standard
    /// output.
    pub(crate) fn start(arguments: &[&str]) -> Result<Self, Failure> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(SERVER)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().ok_or("no standard output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().parse();
        let address =
            address.map_err(|_| format!("the server {} does not start", arguments.join(" ")))?;
        Ok(Self { process, address })
    }

    /// What it has used; nothing where there is no `/proc`.
    pub(crate) fn usage(&self) -> Usage {
        let read = |name| {
            fs::read_to_string(format!("/proc/{}/{name}", self.process.id())).unwrap_or_default()
        };
        // After the command in parentheses, `utime` and `stime` are the 12th and 13th field.
        let stat = read("stat");
        let after = stat.rsplit_once(") ").map_or("", |(_, after)| after);
        let mut ticks = after
            .split(' ')
            .skip(11)
            .map(|ticks| Duration::from_millis(10 * ticks.parse().unwrap_or(0)));
        let status = read("status");
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|kib| kib.trim().trim_end_matches(" kB").parse().ok());
        Usage {
            user: ticks.next().unwrap_or_default(),
            system: ticks.next().unwrap_or_default(),
            resident: resident.map_or(0, |kib: u64| kib << 10),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
