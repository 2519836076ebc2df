//! The command as a process.

use super::http::{Connection, Request, Response};
use super::{PATIENCE, wait_until};
use crate::GUESTS;
use std::io::{BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Instant;
use std::{env, fs};

/// The guests of those tests that are made for more than one version of WASI: each test binary
/// has its own in `GUESTS`.
pub(crate) struct Guests {
    /// The agent; `None` for the one that is built in.
    pub(crate) agent: Option<&'static str>,
    pub(crate) testbed: &'static str,
}

/// Where a guest lies: those that are committed, or in the folder that `AGAVE_TEST_GUESTS`
/// names.
pub(crate) fn guest(name: &str) -> String {
    let folder = env::var("AGAVE_TEST_GUESTS")
        .unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests").into());
    let path = PathBuf::from(folder).join(format!("{name}.wasm"));
    path.into_os_string()
        .into_string()
        .expect("a path in Unicode")
}

/// The command, which keeps what it compiles with what cargo builds.
pub(crate) fn agave() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_agave"));
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command
}

/// An `agave serve` that listens on a port of its own. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    /// Kills the command when this process ends, however it does: statics are never dropped.
    guard: Child,
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves the agent: the one that is built in, the rebuilt one, or that of `GUESTS`.
    pub(crate) fn agent(flags: &[&str]) -> Self {
        let rebuilt = env::var_os("AGAVE_TEST_GUESTS").map(|_| "ai_agent_sockets");
        match GUESTS.agent.or(rebuilt) {
            Some(name) => Self::guest(name, flags),
            None => Self::start(flags),
        }
    }

    /// Serves the testbed of `GUESTS`.
    pub(crate) fn testbed(flags: &[&str]) -> Self {
        Self::guest(GUESTS.testbed, flags)
    }

    /// Serves a guest of the tests.
    pub(crate) fn guest(name: &str, flags: &[&str]) -> Self {
        Self::start(&[flags, &[&guest(name)]].concat())
    }

    /// Starts `agave serve` with `arguments`, and waits until it listens.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::on("127.0.0.1:0", arguments)
    }

    /// As [`Server::start`], on an address of one's own.
    pub(crate) fn on(address: &str, arguments: &[&str]) -> Self {
        let mut child = agave()
            .args(["serve", "--addr", address])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("agave starts");
        let guard = Command::new("sh")
            .args(["-c", &format!("read _; kill -9 {}", child.id())])
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh starts");
        let log = Arc::<Mutex<Vec<String>>>::default();
        let lines = BufReader::new(child.stderr.take().expect("its stderr")).lines();
        let reader = thread::spawn({
            let log = log.clone();
            move || {
                lines
                    .map_while(Result::ok)
                    .for_each(|line| log.lock().unwrap().push(line))
            }
        });
        let mut server = Self {
            child,
            guard,
            address: ([127, 0, 0, 1], 0).into(),
            log,
            reader: Some(reader),
        };
        wait_until("agave listens", || {
            let ended = server.child.try_wait().unwrap();
            let log = server.log();
            assert!(
                ended.is_none() || !log.is_empty(),
                "{arguments:?}: {ended:?}"
            );
            !log.is_empty()
        });
        let first = server.log().remove(0);
        server.address = first
            .strip_prefix("Serving HTTP on http://")
            .and_then(|rest| rest.strip_suffix("/")?.parse().ok())
            .unwrap_or_else(|| panic!("{arguments:?}: no address in {first:?}"));
        server
    }

    pub(crate) fn connect(&self) -> Connection {
        Connection::open(self.address)
    }

    /// One request on a connection of its own.
    pub(crate) fn request(&self, request: &Request<'_>) -> Response {
        self.connect().exchange(request)
    }

    pub(crate) fn get(&self, target: &str) -> Response {
        self.request(&Request::new("GET", target))
    }

    /// The lines of standard error up to now, the address among them.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a line on standard error.
    #[track_caller]
    pub(crate) fn wait_for_line(&self, what: &str, is_it: impl Fn(&str) -> bool) -> String {
        let mut found = None;
        wait_until(what, || {
            found = self.log().into_iter().find(|line| is_it(line));
            found.is_some()
        });
        found.expect("found")
    }

    /// Sends a signal (`TERM`, `INT`).
    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &kill]).status();
        assert!(status.expect("sh runs").success(), "{kill}");
    }

    /// Waits until it refuses connections.
    pub(crate) fn wait_until_refusing(&self) {
        wait_until("connections are refused", || {
            TcpStream::connect(self.address).is_err()
        });
    }

    /// Waits until it ends by itself, and gives all of its log but the first line.
    pub(crate) fn ended(mut self) -> (ExitStatus, Vec<String>) {
        let status = wait(&mut self.child);
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the reader ends");
        }
        (status, self.log().split_off(1))
    }

    /// Ends it as Ctrl-C does, and gives what it logged in between.
    pub(crate) fn stop(self) -> Vec<String> {
        self.signal("INT");
        let (status, mut log) = self.ended();
        assert_eq!(status.code(), Some(0), "{log:#?}");
        log.retain(|line| !line.contains("finishing what is in flight"));
        log
    }

    /// How many descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        let folder = format!("/proc/{}/fd", self.child.id());
        fs::read_dir(folder).expect("its descriptors").count()
    }

    /// Begins the measuring of [`Server::peak`] anew.
    pub(crate) fn forget_peak(&self) {
        forget_peak(&self.child);
    }

    /// The most memory that it has had in RAM, in MiB.
    pub(crate) fn peak(&self) -> u64 {
        peak(&self.child)
    }

    /// The time that it has computed, in ticks.
    pub(crate) fn computed(&self) -> u64 {
        computed(&self.child)
    }
}

/// Begins the measuring of [`peak`] anew (proc_pid_clear_refs(5)).
pub(crate) fn forget_peak(child: &Child) {
    fs::write(format!("/proc/{}/clear_refs", child.id()), "5").expect("its peak is reset");
}

/// The most memory that a process has had in RAM, in MiB.
pub(crate) fn peak(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id()));
    let status = status.expect("its status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|it| it.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.expect("its peak") / 1024
}

/// The time that a process has computed, in ticks.
pub(crate) fn computed(child: &Child) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id()));
    let stat = stat.expect("its status");
    // After the name: state is the first, utime the 12th, stime the 13th.
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    let fields: Vec<_> = fields.split(' ').collect();
    fields[11..13]
        .iter()
        .map(|it| it.parse::<u64>().expect("ticks"))
        .sum()
}

impl Drop for Server {
    fn drop(&mut self) {
        // The guard first: the number of a process that was reaped may be given anew.
        for child in [&mut self.guard, &mut self.child] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) fn wait(child: &mut Child) -> ExitStatus {
    let mut status = None;
    wait_until("agave ends", || {
        status = child.try_wait().expect("its status");
        status.is_some()
    });
    status.expect("a status")
}

/// What a command that ends by itself left behind.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `agave` with `arguments` to its end.
pub(crate) fn run(arguments: &[&str]) -> Output {
    let child = agave()
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("agave starts");
    ended(child)
}

/// Waits for the end of `child`, and gives what of its output was not taken yet.
pub(crate) fn ended(mut child: Child) -> Output {
    fn collect(output: Option<impl Read + Send + 'static>) -> JoinHandle<String> {
        thread::spawn(move || {
            let mut text = String::new();
            if let Some(mut output) = output {
                output.read_to_string(&mut text).expect("text");
            }
            text
        })
    }
    let (stdout, stderr) = (collect(child.stdout.take()), collect(child.stderr.take()));
    let end = Instant::now() + PATIENCE;
    while child.try_wait().expect("its status").is_none() {
        if Instant::now() > end {
            let _ = child.kill();
        }
        thread::sleep(std::time::Duration::from_millis(5));
    }
    let code = child.wait().expect("its status").code();
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    Output {
        code,
        stdout,
        stderr,
    }
}

/// One line on standard error that has all of `told` in it, and nothing else anywhere.
#[track_caller]
pub(crate) fn assert_one_line(arguments: &[&str], code: i32, told: &[&str]) {
    let Output {
        code: got,
        stdout,
        stderr,
    } = run(arguments);
    assert_eq!(got, Some(code), "{arguments:?}: {stderr}");
    assert_eq!(stdout, "", "{arguments:?}");
    assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
    for told in told {
        assert!(
            stderr.contains(told),
            "{arguments:?}: no {told:?} in {stderr}"
        );
    }
}
