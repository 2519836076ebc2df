//! What a test gets and what is expected of it: the .json file beside it, in the forms that the
//! suite's branches have. What is not known could be an expectation, so it is an error.

use super::server::Server;
use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// All that the file says. Without one, all is as by default.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Spec {
    pub(crate) world: World,
    pub(crate) run: Run,
    /// What runs beside the test.
    pub(crate) servers: Vec<Server>,
    /// What is done while the program runs, one after another.
    pub(crate) steps: Vec<Step>,
    pub(crate) exit_code: i32,
    /// All that is written there. Without it anything may be: tests that pass do.
    pub(crate) stdout: Option<String>,
    /// Nothing by default: a test that leaves out a part says so here, and succeeds.
    pub(crate) stderr: String,
}

/// What the program exports, which decides how it is run.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
pub(crate) enum World {
    #[default]
    #[serde(rename = "wasi:cli/command")]
    Command,
    #[serde(rename = "wasi:http/service")]
    Service,
}

/// What the program is given.
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Run {
    pub(crate) args: Vec<String>,
    pub(crate) env: BTreeMap<String, String>,
    /// Folders beside the test, which it gets under the same names: `prod/testsuite-all`.
    pub(crate) dirs: Vec<PathBuf>,
    /// A folder beside the test, which it gets as `/`: `main`.
    pub(crate) root: Option<PathBuf>,
}

impl Run {
    /// The folders beside the test, each with the name that the guest has for it.
    pub(crate) fn folders(&self) -> impl Iterator<Item = (&Path, &Path)> {
        let dirs = self.dirs.iter().map(|dir| (dir.as_path(), dir.as_path()));
        let root = self.root.iter().map(|root| (root.as_path(), "/".as_ref()));
        dirs.chain(root)
    }
}

/// Something that is done, or waited for, while the program runs.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Step {
    /// The program writes this.
    Read {
        #[serde(default)]
        id: Stream,
        #[serde(default)]
        payload: String,
    },
    /// The program gets this as its standard input.
    Write {
        #[serde(rename = "id")]
        _id: Stdin,
        #[serde(default)]
        payload: String,
    },
    /// The program writes an address as a line of its standard output, which is connected to.
    Connect {
        #[serde(default = "server")]
        id: String,
        #[serde(default, rename = "protocol_type")]
        _protocol: Tcp,
    },
    Send {
        id: String,
        #[serde(default)]
        payload: String,
    },
    Recv {
        id: String,
        #[serde(default)]
        payload: String,
    },
    Request(Request),
    Kill {
        #[serde(default)]
        signal: Signal,
    },
}

fn server() -> String {
    "server".into()
}

/// What can be read.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stream {
    #[default]
    Stdout,
    Stderr,
}

/// What can be written to.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stdin {
    Stdin,
}

/// How one can connect; the suite's own runner knows no other.
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Tcp {
    #[default]
    Tcp,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq)]
pub(crate) enum Signal {
    #[serde(rename = "SIGINT")]
    Interrupt,
    #[default]
    #[serde(rename = "SIGTERM")]
    Terminate,
}

/// A request that a service gets, and the response to it.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
    pub(crate) response: Response,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            method: "GET".into(),
            path: "/".into(),
            headers: BTreeMap::new(),
            body: String::new(),
            response: Response::default(),
        }
    }
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Others may be there too.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Default for Response {
    fn default() -> Self {
        Self {
            status: 200,
            headers: BTreeMap::new(),
            body: String::new(),
        }
    }
}

/// The first form: a command is run to its end.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Whole {
    args: Vec<String>,
    env: BTreeMap<String, String>,
    dirs: Vec<PathBuf>,
    root: Option<PathBuf>,
    exit_code: i32,
    stdout: Option<String>,
    stderr: String,
}

/// The second form: step by step.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Stepwise {
    /// What a host may have to be told to provide. Agave provides all.
    #[serde(rename = "proposals")]
    _proposals: Vec<Proposal>,
    world: World,
    servers: Vec<Server>,
    operations: Option<Vec<Value>>,
}

/// What tells the second form from the first one.
#[derive(Deserialize)]
struct Form {
    proposals: Option<IgnoredAny>,
    world: Option<IgnoredAny>,
    servers: Option<IgnoredAny>,
    operations: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Proposal {
    Http,
    Sockets,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum First {
    Run(Run),
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum Last {
    Wait {
        #[serde(default)]
        exit_code: i32,
    },
}

/// What `file` says, which is beside the test; by default, if it isn't there.
///
/// Errors: it can't be read, says what is not understood, or names a folder that isn't there.
pub(crate) fn read(file: &Path) -> Result<Spec> {
    let reading = || format!("reading {}", file.display());
    if !file.try_exists().with_context(reading)? {
        return Ok(Spec::default());
    }
    let spec = parse(&fs::read(file).with_context(reading)?).with_context(reading)?;
    for (dir, _) in spec.run.folders() {
        // What is copied for a test is the suite's, not the machine's.
        let mut parts = dir.components();
        let inside = parts.all(|part| matches!(part, Component::Normal(_)));
        let dir = file.with_file_name(dir);
        if !inside || !dir.is_dir() {
            let file = file.display();
            bail!("{file}: {} is no folder beside it", dir.display());
        }
    }
    Ok(spec)
}

fn parse(text: &[u8]) -> Result<Spec> {
    let form: Form = serde_json::from_slice(text)?;
    let stepwise = form.operations.is_some()
        || form.proposals.is_some()
        || form.servers.is_some()
        || form.world.is_some();
    if stepwise {
        return Spec::stepwise(serde_json::from_slice(text)?);
    }
    let whole: Whole = serde_json::from_slice(text)?;
    Ok(Spec {
        run: Run {
            args: whole.args,
            env: whole.env,
            dirs: whole.dirs,
            root: whole.root,
        },
        exit_code: whole.exit_code,
        stdout: whole.stdout,
        stderr: whole.stderr,
        ..Spec::default()
    })
}

impl Spec {
    fn stepwise(file: Stepwise) -> Result<Self> {
        let mut names = BTreeSet::new();
        for server in &file.servers {
            let variable = server.variable();
            ensure!(!names.contains(&variable), "two servers have {variable}");
            names.insert(variable);
        }
        let mut spec = Self {
            world: file.world,
            servers: file.servers,
            ..Self::default()
        };
        let Some(mut operations) = file.operations else {
            return Ok(spec);
        };
        ensure!(operations.len() >= 2, "operations: run and wait are needed");
        let Last::Wait { exit_code } = operation(operations.pop())?;
        let mut operations = operations.into_iter();
        let First::Run(run) = operation(operations.next())?;
        (spec.run, spec.exit_code) = (run, exit_code);
        for step in operations {
            let step = operation(Some(step))?;
            spec.check(&step)?;
            if let Step::Read { id, payload } = &step {
                match id {
                    Stream::Stdout => spec.stdout.get_or_insert_default().push_str(payload),
                    Stream::Stderr => spec.stderr.push_str(payload),
                }
            }
            spec.steps.push(step);
        }
        Ok(spec)
    }

    /// Whether `step` can be done after those that are there.
    fn check(&self, step: &Step) -> Result<()> {
        let connected = |name: &str| {
            let mut steps = self.steps.iter();
            steps.any(|step| matches!(step, Step::Connect { id, .. } if id == name))
        };
        match step {
            Step::Connect { id, .. } => {
                ensure!(!connected(id), "connect: there is a {id:?} already");
                // An address comes before it, which is not known.
                ensure!(
                    self.stdout.is_none(),
                    "connect: not after a read of standard output"
                );
            }
            Step::Read {
                id: Stream::Stdout, ..
            } => {
                let mut steps = self.steps.iter();
                let connects = steps.any(|step| matches!(step, Step::Connect { .. }));
                ensure!(!connects, "read: not of standard output after connect");
            }
            Step::Send { id, .. } | Step::Recv { id, .. } => {
                ensure!(connected(id), "{id:?} is not connected");
            }
            Step::Request(_) => ensure!(
                self.world == World::Service,
                "request: only a wasi:http/service gets them"
            ),
            _ => {}
        }
        Ok(())
    }
}

fn operation<T: DeserializeOwned>(value: Option<Value>) -> Result<T> {
    let value = value.unwrap_or_default();
    serde_json::from_value(value.clone()).with_context(|| format!("operation {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_understood() {
        let run = |args: &[&str]| Run {
            args: args.iter().map(|&it| it.into()).collect(),
            ..Run::default()
        };
        let read = |id, payload: &str| Step::Read {
            id,
            payload: payload.into(),
        };
        let kill = |signal| Step::Kill { signal };
        let request = Request {
            method: "POST".into(),
            path: "/p?q".into(),
            headers: [("x-a".into(), "1".into())].into(),
            body: "b".into(),
            response: Response {
                status: 404,
                headers: [("x-b".into(), "2".into())].into(),
                body: "no".into(),
            },
        };
        let cases = [
            ("{}", Spec::default()),
            (
                r#"{"args": ["a"], "root": "r", "exit_code": 7, "stdout": ""}"#,
                Spec {
                    run: Run {
                        root: Some("r".into()),
                        ..run(&["a"])
                    },
                    exit_code: 7,
                    stdout: Some(String::new()),
                    ..Spec::default()
                },
            ),
            (r#"{"proposals": ["http", "sockets"]}"#, Spec::default()),
            (
                r#"{"operations": [
                    {"type": "run", "args": ["a"]},
                    {"type": "read", "payload": "1"},
                    {"type": "read", "id": "stderr", "payload": "2"},
                    {"type": "write", "id": "stdin", "payload": "3"},
                    {"type": "read", "id": "stdout", "payload": "4"},
                    {"type": "wait", "exit_code": 1}
                ]}"#,
                Spec {
                    run: run(&["a"]),
                    steps: vec![
                        read(Stream::Stdout, "1"),
                        read(Stream::Stderr, "2"),
                        Step::Write {
                            _id: Stdin::Stdin,
                            payload: "3".into(),
                        },
                        read(Stream::Stdout, "4"),
                    ],
                    exit_code: 1,
                    stdout: Some("14".into()),
                    stderr: "2".into(),
                    ..Spec::default()
                },
            ),
            (
                r#"{"operations": [
                    {"type": "run"},
                    {"type": "connect", "id": "s", "protocol_type": "tcp"},
                    {"type": "send", "id": "s", "payload": "1"},
                    {"type": "recv", "id": "s", "payload": "2"},
                    {"type": "wait"}
                ]}"#,
                Spec {
                    steps: vec![
                        Step::Connect {
                            id: "s".into(),
                            _protocol: Tcp::Tcp,
                        },
                        Step::Send {
                            id: "s".into(),
                            payload: "1".into(),
                        },
                        Step::Recv {
                            id: "s".into(),
                            payload: "2".into(),
                        },
                    ],
                    ..Spec::default()
                },
            ),
            (
                r#"{"world": "wasi:http/service", "operations": [
                    {"type": "run"},
                    {"type": "request", "method": "POST", "path": "/p?q",
                     "headers": {"x-a": "1"}, "body": "b",
                     "response": {"status": 404, "headers": {"x-b": "2"}, "body": "no"}},
                    {"type": "request"},
                    {"type": "kill", "signal": "SIGINT"},
                    {"type": "kill"},
                    {"type": "wait"}
                ]}"#,
                Spec {
                    world: World::Service,
                    steps: vec![
                        Step::Request(request),
                        Step::Request(Request::default()),
                        kill(Signal::Interrupt),
                        kill(Signal::Terminate),
                    ],
                    ..Spec::default()
                },
            ),
        ];
        for (json, expected) in cases {
            assert_eq!(parse(json.as_bytes()).unwrap(), expected, "{json}");
        }
        assert_eq!(Response::default().status, 200);
        assert_eq!(Request::default().path, "/");
    }

    #[test]
    fn what_can_not_be_done_is_an_error_that_tells_what() {
        let steps = |steps: &str| format!(r#"{{"operations": [{steps}]}}"#);
        let between = |step: &str| {
            let all = format!(r#"{{"type": "run"}}, {step}, {{"type": "wait"}}"#);
            format!(r#"{{"operations": [{all}]}}"#)
        };
        let servers = |servers: &str| format!(r#"{{"servers": [{servers}]}}"#);
        for (json, expected) in [
            (r#"{"exit": 1}"#.into(), "unknown field `exit`"),
            (
                r#"{"args": [], "operations": []}"#.into(),
                "unknown field `args`",
            ),
            (r#"{"world": "wasi:x/y"}"#.into(), "unknown variant"),
            (r#"{"proposals": ["x"]}"#.into(), "unknown variant `x`"),
            (steps(""), "run and wait are needed"),
            (
                steps(r#"{"type": "wait"}, {"type": "wait"}"#),
                "expected `run`",
            ),
            (
                steps(r#"{"type": "run"}, {"type": "run"}"#),
                "expected `wait`",
            ),
            (
                steps(r#"{"type": "run"}, {"type": "wait", "code": 1}"#),
                "unknown field `code`",
            ),
            (
                steps(r#"{"type": "run", "stdin": ""}, {"type": "wait"}"#),
                "unknown field `stdin`",
            ),
            (between(r#"{"type": "run"}"#), "unknown variant `run`"),
            (between(r#"{"type": "sleep"}"#), "unknown variant `sleep`"),
            (
                between(r#"{"type": "read", "id": "stdin"}"#),
                "unknown variant `stdin`",
            ),
            (
                between(r#"{"type": "write", "id": "stdout"}"#),
                "unknown variant `stdout`",
            ),
            (
                between(r#"{"type": "read", "bytes": 1}"#),
                "unknown field `bytes`",
            ),
            (
                between(r#"{"type": "connect", "protocol_type": "udp"}"#),
                "unknown variant `udp`",
            ),
            (
                between(r#"{"type": "send", "id": "x"}"#),
                "\"x\" is not connected",
            ),
            (
                between(r#"{"type": "connect"}, {"type": "connect"}"#),
                "there is a \"server\" already",
            ),
            (
                between(r#"{"type": "read"}, {"type": "connect"}"#),
                "not after a read",
            ),
            (
                between(r#"{"type": "connect"}, {"type": "read"}"#),
                "not of standard output after connect",
            ),
            (
                between(r#"{"type": "request"}"#),
                "only a wasi:http/service",
            ),
            (
                between(r#"{"type": "kill", "signal": "SIGX"}"#),
                "unknown variant `SIGX`",
            ),
            (servers(r#"{"name": "a b"}"#), "\"a b\": not a name"),
            (
                servers(r#"{"name": "a"}, {"name": "A"}"#),
                "two servers have HTTP_SERVER_A",
            ),
            (
                servers(r#"{"name": "a", "kind": "closed", "endpoints": []}"#),
                "closed, and has endpoints",
            ),
            (
                servers(r#"{"name": "a", "endpoints": [{"mode": "echo-body", "response": {}}]}"#),
                "echoes, and has a response",
            ),
            (
                servers(r#"{"name": "a", "endpoints": [{"mode": "echo"}]}"#),
                "unknown variant `echo`",
            ),
            (
                servers(
                    r#"{"name": "a", "endpoints": [{"response": {"body": "", "chunks": []}}]}"#,
                ),
                "either body or chunks",
            ),
            (
                servers(r#"{"name": "a", "endpoints": [{"response": {"trailers": {"a": "b"}}}]}"#),
                "trailers need chunks",
            ),
        ] {
            let error = format!("{:#}", parse(json.as_bytes()).unwrap_err());
            assert!(error.contains(expected), "{json}: {error}");
        }
    }
}
