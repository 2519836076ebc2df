//! A server as a process of its own.

use crate::Failure;
use crate::servers::{self, Column, Guest};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The first argument of a process that is a server.
pub(crate) const SERVER: &str = "server";

/// Runs the server that the arguments name, until standard input ends.
pub(crate) fn serve(mut arguments: impl Iterator<Item = String>) -> Result<(), Failure> {
    let mut next = || arguments.next().ok_or("a server needs three arguments");
    let (column, guest, timeout) = (next()?.parse()?, next()?.parse()?, next()?.parse()?);
    std::thread::spawn(|| {
        // Whatever ends it, nobody is there any more.
        let _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let timeout = (timeout > 0).then_some(Duration::from_secs(timeout));
    servers::run(column, guest, timeout)
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
    pub(crate) fn start(
        column: Column,
        guest: Guest,
        timeout: Option<Duration>,
    ) -> Result<Self, Failure> {
        let timeout = timeout.map_or(0, |timeout| timeout.as_secs());
        let mut process = Command::new(std::env::current_exe()?)
            .args([SERVER, column.name(), guest.name(), &timeout.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let output = process.stdout.take().ok_or("no standard output")?;
        let mut line = String::new();
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().parse();
        let address =
            address.map_err(|_| format!("the server {} does not start", column.name()))?;
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
