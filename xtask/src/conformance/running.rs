//! A program that is being tested, from its start to its end.

use super::case::Failure;
use super::http;
use super::output::Output;
use super::spec::{Request, Signal, Spec, Step, Stream, World};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};
use wait_timeout::ChildExt;

/// How much of an output is shown, in bytes.
pub(super) const EXCERPT: usize = 2000;

/// What `agave serve` writes first, before its address and a slash.
const SERVING: &str = "Serving HTTP on http://";

/// What it writes when it is asked to end.
const ENDING: &str = "INFO  finishing what is in flight; once more to end at once\n";

/// Killed when this is dropped.
pub(super) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Output,
    stderr: Output,
    /// What `agave serve` was seen to write to standard error for itself.
    told: String,
    /// Where it serves.
    address: Option<SocketAddr>,
    connections: BTreeMap<String, TcpStream>,
    limit: Duration,
    deadline: Instant,
}

impl Running {
    /// Starts `command`, which has `limit` to do all that `spec` says.
    ///
    /// Errors: it can't be started.
    pub(super) fn start(command: &mut Command, spec: &Spec, limit: Duration) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let stdout = spec.stdout.as_ref().map_or(0, String::len);
        Ok(Self {
            stdin: child.stdin.take(),
            stdout: output(child.stdout.take(), stdout),
            stderr: output(child.stderr.take(), spec.stderr.len()),
            child,
            told: String::new(),
            address: None,
            connections: BTreeMap::new(),
            limit,
            deadline: Instant::now() + limit,
        })
    }

    /// Does the steps of `spec`, waits for the end and compares.
    ///
    /// Errors: what was written can't be read.
    pub(super) fn finish(mut self, spec: &Spec) -> io::Result<Option<Failure>> {
        let mut reasons = Vec::new();
        if let Err(reason) = self.steps(spec) {
            reasons.push(reason);
            self.kill();
        }
        drop(self.stdin.take());
        let status = self.child.wait_timeout(self.left())?;
        if status.is_none() {
            self.kill();
        }
        let (stdout, stderr) = (self.stdout.finish()?, self.stderr.finish()?);
        match status {
            // What it wrote until then says nothing.
            _ if !reasons.is_empty() => {}
            None => reasons.push(format!("killed after {} s", self.limit.as_secs_f32())),
            Some(status) => {
                if status.code() != Some(spec.exit_code) {
                    let got = status
                        .code()
                        .map_or(status.to_string(), |it| it.to_string());
                    reasons.push(format!("exit code: {}, got {got}", spec.exit_code));
                }
                if let Some(expected) = &spec.stdout
                    && stdout != expected.as_bytes()
                {
                    reasons.push(format!("stdout: {expected:?}, got {:?}", excerpt(&stdout)));
                }
                // A zero byte tells nothing: 0.3's cli-stdio writes one, and has no .json to say so.
                let told = stderr.iter().filter(|&&byte| byte != 0);
                let expected = format!("{}{}", self.told, spec.stderr);
                if !told.eq(expected.as_bytes()) {
                    reasons.push(format!("stderr: {expected:?}, got what follows"));
                }
            }
        }
        Ok((!reasons.is_empty()).then(|| Failure {
            reasons,
            stderr: excerpt(&stderr),
        }))
    }

    /// Does all steps, or returns why one failed.
    fn steps(&mut self, spec: &Spec) -> Result<(), String> {
        if spec.world == World::Service {
            self.serving()?;
        }
        spec.steps.iter().try_for_each(|step| self.step(step))
    }

    /// Waits until `agave serve` says where it serves.
    fn serving(&mut self) -> Result<(), String> {
        let line = text(self.stderr.line(self.deadline));
        let address = line.strip_prefix(SERVING);
        let address = address.and_then(|rest| rest.strip_suffix("/\n")?.parse().ok());
        if address.is_none() {
            return Err(format!("no address that is served, but {line:?}"));
        }
        self.address = address;
        self.told.push_str(&line);
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), String> {
        let failed = |what: &str| {
            let what = what.to_owned();
            move |error: io::Error| format!("{what}: {error}")
        };
        match step {
            Step::Read { id, payload } => {
                let (name, output) = match id {
                    Stream::Stdout => ("stdout", &mut self.stdout),
                    Stream::Stderr => ("stderr", &mut self.stderr),
                };
                let read = text(output.take(payload.len(), self.deadline));
                same(&format!("read of {name}"), payload, &read)
            }
            Step::Write { payload, .. } => {
                let Some(stdin) = &mut self.stdin else {
                    return Err("write: no standard input".into());
                };
                let written = stdin.write_all(payload.as_bytes());
                written.map_err(failed("write to stdin"))
            }
            Step::Connect { id, .. } => {
                let line = text(self.stdout.line(self.deadline));
                let address = line.trim_end().parse();
                let address = address.map_err(|_| format!("no address, but {line:?}"))?;
                let connection = self.connect(&address).map_err(failed(&line))?;
                self.connections.insert(id.clone(), connection);
                Ok(())
            }
            Step::Send { id, payload } => {
                let sent = self.connection(id)?.write_all(payload.as_bytes());
                sent.map_err(failed(&format!("send to {id}")))
            }
            Step::Recv { id, payload } => {
                let mut received = Vec::new();
                let mut connection = self.connection(id)?.take(payload.len() as u64);
                let result = connection.read_to_end(&mut received);
                result.map_err(failed(&format!("recv from {id}")))?;
                same(&format!("recv from {id}"), payload, &text(received))
            }
            Step::Request(request) => self.request(request),
            Step::Kill { signal } => {
                send(&self.child, *signal).map_err(failed("kill"))?;
                if self.address.is_some() {
                    self.told.push_str(ENDING);
                }
                Ok(())
            }
        }
    }

    fn connect(&self, address: &SocketAddr) -> io::Result<TcpStream> {
        let connection = TcpStream::connect_timeout(address, self.left())?;
        connection.set_read_timeout(Some(self.left()))?;
        connection.set_write_timeout(Some(self.left()))?;
        Ok(connection)
    }

    fn connection(&self, id: &str) -> Result<&TcpStream, String> {
        let connection = self.connections.get(id);
        connection.ok_or_else(|| format!("{id} is not connected"))
    }

    /// Sends a request and compares the response.
    fn request(&self, request: &Request) -> Result<(), String> {
        let what = format!("{} {}", request.method, request.path);
        let address = self.address.ok_or_else(|| format!("{what}: not served"))?;
        let response = http::exchange(address, request, self.left());
        let response = response.map_err(|error| format!("{what}: {error}"))?;
        let (expected, got) = (request.response.status, response.first.0);
        if expected != got {
            return Err(format!("{what}: status {expected}, got {got}"));
        }
        for (name, expected) in &request.response.headers {
            let Some(value) = response.header(&name.to_ascii_lowercase()) else {
                return Err(format!("{what}: no header {name}"));
            };
            same(&format!("{what}: {name}"), expected, &text(value))?;
        }
        let body = text(response.body);
        same(&format!("{what}: body"), &request.response.body, &body)
    }

    /// The time that is left, a little in any case.
    fn left(&self) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        left.max(Duration::from_millis(1))
    }

    fn kill(&mut self) {
        // An error here means that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads `pipe`, of which `expected` bytes are looked at; what an address takes comes before.
fn output(pipe: Option<impl Read + Send + 'static>, expected: usize) -> Output {
    let pipe = pipe.map(|pipe| Box::new(pipe) as Box<dyn Read + Send>);
    Output::new(pipe.unwrap_or(Box::new(io::empty())), expected + EXCERPT)
}

fn same(what: &str, expected: &str, got: &str) -> Result<(), String> {
    match expected == got {
        true => Ok(()),
        false => Err(format!("{what}: {expected:?}, got {got:?}")),
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

fn excerpt(bytes: &[u8]) -> String {
    text(bytes[..bytes.len().min(EXCERPT)].to_vec())
}

#[cfg(unix)]
fn send(child: &Child, signal: Signal) -> io::Result<()> {
    use rustix::process;
    let signal = match signal {
        Signal::Interrupt => process::Signal::INT,
        Signal::Terminate => process::Signal::TERM,
    };
    Ok(process::kill_process(
        process::Pid::from_child(child),
        signal,
    )?)
}

#[cfg(not(unix))]
fn send(_: &Child, _: Signal) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}
