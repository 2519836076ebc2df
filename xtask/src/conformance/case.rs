//! One test, run with one engine over one filesystem, and compared with what is expected.

use super::Setup;
use super::running::Running;
use super::server;
use super::spec::{Spec, World};
use super::suite::{Target, Test};
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// What runs the tests.
pub(super) struct Host {
    /// The command.
    pub(super) agave: PathBuf,
    /// How long a test may take.
    pub(super) limit: Duration,
}

/// Why a test failed.
#[derive(Debug, PartialEq)]
pub(super) struct Failure {
    /// Each expectation that was not met, and what was instead.
    pub(super) reasons: Vec<String>,
    /// The beginning of what was written to standard error.
    pub(super) stderr: String,
}

impl Host {
    /// Runs `test` in fresh copies of its folders, which are gone afterwards, beside the servers
    /// that it needs. Standard input is a pipe with what the test says, which stays open until
    /// the end is waited for, as the suite's own runner has it.
    ///
    /// Errors: a folder can't be copied or removed, or a server or the command not be started.
    pub(super) fn run(&self, setup: Setup, test: &Test) -> Result<Option<Failure>> {
        let Spec { world, run, .. } = &test.spec;
        let servers = server::Running::start(&test.spec.servers, self.limit)
            .context("starting a server for a test")?;
        let scratch = TempDir::with_prefix("agave-conformance-").context("making a folder")?;
        let mut command = Command::new(&self.agave);
        match world {
            World::Command => command.args(["run", "--engine", setup.engine]),
            World::Service => command.args(["serve", "--addr=127.0.0.1:0"]),
        };
        command.args(["--fs", setup.fs]);
        if test.target == Target::P3 {
            // Some tests of sockets have no .json to say that they need it.
            command.args(["-S", "inherit-network"]);
        }
        command
            .args(run.env.iter().map(|(k, v)| format!("--env={k}={v}")))
            .args(servers.variables().map(|(k, v)| format!("--env={k}={v}")));
        for (folder, guest) in run.folders() {
            let host = scratch.path().join(folder);
            copy(&test.program.with_file_name(folder), &host)?;
            let mut dir = OsString::from("--dir=");
            dir.extend([host.as_os_str(), "::".as_ref(), guest.as_os_str()]);
            command.arg(dir);
        }
        command.arg(&test.program).args(&run.args);
        let failure = Running::start(&mut command, &test.spec, self.limit)
            .and_then(|running| running.finish(&test.spec))
            .with_context(|| format!("running {}", self.agave.display()));
        scratch.close().context("removing a folder of a test")?;
        failure
    }
}

/// Copies a folder with all that is in it. Symbolic links stay links; what ends in `.cleanup`
/// was left behind by a test, and is not copied.
fn copy(from: &Path, to: &Path) -> Result<()> {
    let doing = || format!("copying {}", from.display());
    fs::create_dir_all(to).with_context(doing)?;
    for entry in fs::read_dir(from).with_context(doing)? {
        let entry = entry.with_context(doing)?;
        let name = entry.file_name();
        if name.as_encoded_bytes().ends_with(b".cleanup") {
            continue;
        }
        let (from, to) = (entry.path(), to.join(name));
        let doing = || format!("copying {}", from.display());
        let kind = entry.file_type().with_context(doing)?;
        if kind.is_dir() {
            copy(&from, &to)?;
        } else if kind.is_symlink() {
            let target = fs::read_link(&from).with_context(doing)?;
            symlink(&target, &to).with_context(doing)?;
        } else if kind.is_file() {
            fs::copy(&from, &to).with_context(doing)?;
        } else {
            bail!("{} is no file, folder or link", from.display());
        }
    }
    Ok(())
}

#[cfg(unix)]
use std::os::unix::fs::symlink;

#[cfg(not(unix))]
fn symlink(_: &Path, _: &Path) -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::running::EXCERPT;
    use super::super::spec::{Request, Response, Run, Signal, Step};
    use super::*;
    use std::process::id;
    use std::time::Instant;

    /// A test whose program is a script for the command in `tests/fake-agave`.
    struct Fake {
        folder: TempDir,
        test: Test,
        host: Host,
    }

    impl Fake {
        fn new(script: &str, spec: Spec) -> Self {
            let folder = TempDir::new().unwrap();
            let program = folder.path().join("t.wasm");
            fs::write(&program, script).unwrap();
            Self {
                folder,
                test: Test {
                    suite: "c 0.1".into(),
                    target: Target::P1,
                    name: "t".into(),
                    program,
                    spec,
                },
                host: Host {
                    agave: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fake-agave").into(),
                    limit: Duration::from_secs(60),
                },
            }
        }

        fn run(&self) -> Option<Failure> {
            let setup = Setup {
                engine: "wasmi",
                fs: "memory",
            };
            self.host.run(setup, &self.test).unwrap()
        }
    }

    fn stdout(text: &str) -> Spec {
        Spec {
            stdout: Some(text.into()),
            ..Spec::default()
        }
    }

    fn exit_code(exit_code: i32) -> Spec {
        Spec {
            exit_code,
            ..Spec::default()
        }
    }

    #[test]
    fn a_test_passes_only_with_what_is_expected_exactly() {
        let all = || Spec {
            exit_code: 33,
            stderr: "no\n".into(),
            ..stdout("hello")
        };
        let long = "x".repeat(3 * EXCERPT);
        let cases: [(&str, Spec, &[&str]); 15] = [
            ("", Spec::default(), &[]),
            ("printf '\\0' >&2", Spec::default(), &[]),
            ("printf anything", Spec::default(), &[]),
            ("printf hello; echo no >&2; exit 33", all(), &[]),
            ("printf %06000d | tr 0 x", stdout(&long), &[]),
            ("head -c 1000000 /dev/zero && exit 7", exit_code(7), &[]),
            ("exit 34", exit_code(33), &["exit code: 33, got 34"]),
            (
                "kill -9 $$",
                Spec::default(),
                &["exit code: 0, got signal: 9 (SIGKILL)"],
            ),
            ("", stdout("a"), &["stdout: \"a\", got \"\""]),
            ("echo a", stdout("a"), &["stdout: \"a\", got \"a\\n\""]),
            ("printf a", stdout("a\n"), &["stdout: \"a\\n\", got \"a\""]),
            ("printf a", stdout(""), &["stdout: \"\", got \"a\""]),
            (
                "echo skipping >&2",
                Spec::default(),
                &["stderr: \"\", got what follows"],
            ),
            (
                "printf '\\377'",
                stdout("\u{fffd}"),
                &["stdout: \"\u{fffd}\", got \"\u{fffd}\""],
            ),
            (
                "printf hell",
                all(),
                &[
                    "exit code: 33, got 0",
                    "stdout: \"hello\", got \"hell\"",
                    "stderr: \"no\\n\", got what follows",
                ],
            ),
        ];
        for (script, spec, expected) in cases {
            let reasons = Fake::new(script, spec).run().map(|it| it.reasons);
            assert_eq!(reasons.unwrap_or_default(), expected, "{script}");
        }
    }

    #[test]
    fn a_failure_has_the_beginning_of_standard_error() {
        let script = "echo panicked >&2; yes | head -c 1000000 >&2; exit 1";
        let stderr = Fake::new(script, Spec::default()).run().unwrap().stderr;
        assert_eq!(stderr.len(), EXCERPT);
        assert!(stderr.starts_with("panicked\ny\ny\n"));
    }

    #[test]
    fn the_command_gets_what_the_test_asks_for() {
        let script = r#"
            printf '%s\n' "$engine" "$fs" "$env" "$guest" "$(cat "$host/in")" "$@"
            cat
        "#;
        let spec = Spec {
            run: Run {
                args: vec!["a b".into(), "--fs".into(), String::new()],
                env: [("k".into(), "v=\nw".into())].into(),
                dirs: vec!["fs.dir".into()],
                root: None,
            },
            ..stdout("wasmi\nmemory\nk=v=\nw\nfs.dir\ninside\na b\n--fs\n\n")
        };
        let fake = Fake::new(script, spec);
        fs::create_dir(fake.folder.path().join("fs.dir")).unwrap();
        fs::write(fake.folder.path().join("fs.dir/in"), "inside").unwrap();
        assert_eq!(fake.run(), None);
    }

    /// A specification for tests of 0.3.
    fn parsed(json: &str) -> Spec {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("t.json");
        fs::write(&file, json).unwrap();
        super::super::spec::read(&file).unwrap()
    }

    #[test]
    fn tests_of_0_3_get_the_network_and_a_folder_as_their_root() {
        let script = r#"printf '%s\n' "$command" "$grants" "$guest" "$(cat "$host/in")""#;
        let run = Run {
            root: Some("fs.dir".into()),
            ..Run::default()
        };
        let spec = Spec {
            run,
            ..stdout("run\ninherit-network\n/\ninside\n")
        };
        let mut fake = Fake::new(script, spec);
        fake.test.target = Target::P3;
        fs::create_dir(fake.folder.path().join("fs.dir")).unwrap();
        fs::write(fake.folder.path().join("fs.dir/in"), "inside").unwrap();
        assert_eq!(fake.run(), None);
    }

    #[test]
    fn steps_are_done_while_the_program_runs() {
        let steps = r#"{"operations": [
            {"type": "run"},
            {"type": "read", "id": "stdout", "payload": "READY"},
            {"type": "write", "id": "stdin", "payload": "line\n"},
            {"type": "read", "id": "stderr", "payload": "got"},
            {"type": "read", "payload": "line"},
            {"type": "wait", "exit_code": 3}
        ]}"#;
        let cases: [(&str, &[&str]); 7] = [
            // Standard input stays open until the end is waited for.
            (
                "printf READY; read x; printf got >&2; printf $x; cat; exit 3",
                &[],
            ),
            ("printf REA", &["read of stdout: \"READY\", got \"REA\""]),
            (
                "printf READ_; exec cat",
                &["read of stdout: \"READY\", got \"READ_\""],
            ),
            (
                "printf READY; read x; printf got; exec cat >&2",
                &["read of stderr: \"got\", got \"\""],
            ),
            (
                "printf READY; read x; printf got >&2; printf $x; exit 4",
                &["exit code: 3, got 4"],
            ),
            (
                "printf READY; read x; printf got >&2; printf $x.; exit 3",
                &["stdout: \"READYline\", got \"READYline.\""],
            ),
            (
                "printf READY; read x; printf got.. >&2; printf $x; exit 3",
                &["stderr: \"got\", got what follows"],
            ),
        ];
        for (script, expected) in cases {
            let mut fake = Fake::new(script, parsed(steps));
            if script.ends_with("exec cat >&2") {
                fake.host.limit = Duration::from_millis(300);
            }
            let reasons = fake.run().map(|it| it.reasons);
            assert_eq!(reasons.unwrap_or_default(), expected, "{script}");
        }
    }

    #[test]
    fn an_address_that_the_program_writes_is_connected_to() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let json = |sent: &str| {
            format!(
                r#"{{"operations": [
                    {{"type": "run"}},
                    {{"type": "connect", "id": "echo"}},
                    {{"type": "send", "id": "echo", "payload": "{sent}"}},
                    {{"type": "recv", "id": "echo", "payload": "hello"}},
                    {{"type": "wait"}}
                ]}}"#
            )
        };
        let echo = std::thread::spawn(move || {
            for _ in 0..2 {
                let (mut connection, _) = listener.accept().unwrap();
                let mut received = [0; 5];
                std::io::Read::read_exact(&mut connection, &mut received).unwrap();
                std::io::Write::write_all(&mut connection, &received).unwrap();
            }
        });
        let run = |script: &str, sent| {
            let failure = Fake::new(script, parsed(&json(sent))).run();
            failure.map(|it| it.reasons).unwrap_or_default()
        };
        let says = format!("echo {address}; cat");
        assert!(run(&says, "hello").is_empty());
        assert_eq!(
            run(&says, "HELLO"),
            ["recv from echo: \"hello\", got \"HELLO\""]
        );
        assert_eq!(run("echo here", "hello"), ["no address, but \"here\\n\""]);
        echo.join().unwrap();
    }

    /// What `agave serve` does, where something else serves at `address`.
    const SERVE: &str = r#"
        trap 'echo "INFO  finishing what is in flight; once more to end at once" >&2; exit 0' INT
        echo "Serving HTTP on http://$env/" >&2
        cat
    "#;

    #[test]
    fn a_service_gets_requests_and_its_responses_are_compared() {
        let served = parsed(
            r#"{"servers": [{"name": "main", "endpoints": [
                {"path": "/a", "response": {"body": "hey", "headers": {"x-a": "1"}}},
                {"path": "/b", "response": {"status": 418}},
                {"method": "POST", "path": "/echo", "mode": "echo-body"}
            ]}]}"#,
        );
        let limit = Duration::from_secs(60);
        let server = server::Running::start(&served.servers, limit).unwrap();
        let address = server.variables().next().unwrap().1;
        let request = |path: &str, status, header: &str, body: &str| Request {
            path: path.into(),
            response: Response {
                status,
                headers: [("X-A".into(), header.into())].into(),
                body: body.into(),
            },
            ..Request::default()
        };
        let run = |script: &str, request: Request| {
            let kill = Step::Kill {
                signal: Signal::Interrupt,
            };
            let mut spec = Spec {
                world: World::Service,
                steps: vec![Step::Request(request), kill],
                ..Spec::default()
            };
            spec.run.env = [(String::new(), String::new())].into();
            let script = script.replace("$env", &address.to_string());
            let failure = Fake::new(&script, spec).run();
            failure.map(|it| it.reasons).unwrap_or_default()
        };
        let echo = Request {
            method: "POST".into(),
            path: "/echo".into(),
            body: "said".into(),
            response: Response {
                body: "said".into(),
                ..Response::default()
            },
            ..Request::default()
        };
        assert!(run(SERVE, request("/a", 200, "1", "hey")).is_empty());
        assert!(run(SERVE, echo).is_empty());
        for (request, expected) in [
            (request("/b", 200, "1", ""), "GET /b: status 200, got 418"),
            (request("/b", 418, "1", ""), "GET /b: no header X-A"),
            (
                request("/a", 200, "2", "hey"),
                "GET /a: X-A: \"2\", got \"1\"",
            ),
            (
                request("/a", 200, "1", ""),
                "GET /a: body: \"\", got \"hey\"",
            ),
        ] {
            assert_eq!(run(SERVE, request), [expected]);
        }
        let fine = || request("/a", 200, "1", "hey");
        let silent = SERVE.replace("Serving", "Listening");
        let expected =
            format!("no address that is served, but \"Listening HTTP on http://{address}/\\n\"");
        assert_eq!(run(&silent, fine()), [expected]);
        let talks = SERVE.replace("cat", "echo 'INFO  request 0 stderr: skipped' >&2; cat");
        let reasons = run(&talks, fine());
        assert!(reasons[0].ends_with("got what follows"), "{reasons:?}");
        let fails = SERVE.replace("exit 0", "exit 5");
        assert_eq!(run(&fails, fine()), ["exit code: 0, got 5"]);
    }

    #[test]
    fn a_program_is_told_of_its_servers_which_end_with_it() {
        let spec = Spec {
            stdout: Some(String::new()),
            ..parsed(r#"{"servers": [{"name": "main"}, {"name": "dead", "kind": "closed"}]}"#)
        };
        let failure = Fake::new(r#"printf '%s\n' "$envs""#, spec).run().unwrap();
        let addresses: Vec<_> = failure.reasons[0]
            .split(['=', '\\', '"', ' '])
            .filter_map(|it| it.parse::<std::net::SocketAddr>().ok())
            .collect();
        let names = ["HTTP_SERVER_MAIN=127.0.0.1:", "HTTP_SERVER_DEAD=127.0.0.1:"];
        assert!(names.iter().all(|it| failure.reasons[0].contains(it)));
        assert_eq!(addresses.len(), 2, "{failure:?}");
        for address in addresses {
            assert!(std::net::TcpStream::connect(address).is_err());
        }
    }

    #[test]
    fn a_test_that_hangs_is_killed() {
        let mut fake = Fake::new("exec sleep 1000", Spec::default());
        fake.host.limit = Duration::from_millis(100);
        let start = Instant::now();
        assert_eq!(fake.run().unwrap().reasons, ["killed after 0.1 s"]);
        assert!(start.elapsed() < Duration::from_secs(500));
    }

    #[test]
    fn a_test_changes_a_copy_that_is_gone_afterwards() {
        for end in ["exit 0", "exit 1", "kill -9 $$"] {
            let script = r#"echo x >"$host/new" && echo "$host" >"${arg%/*}/copy"; "#;
            let run = Run {
                root: Some("fs.dir".into()),
                ..Run::default()
            };
            let spec = Spec {
                run,
                ..Spec::default()
            };
            let fake = Fake::new(&format!("{script}{end}"), spec);
            let folder = fake.folder.path();
            fs::create_dir(folder.join("fs.dir")).unwrap();
            fake.run();
            let copy = fs::read_to_string(folder.join("copy")).unwrap();
            let copy = Path::new(copy.trim_end());
            assert!(copy.ends_with("fs.dir"), "{copy:?}");
            assert!(!copy.parent().unwrap().exists(), "{copy:?}");
            assert!(!folder.join("fs.dir/new").exists());
        }
    }

    #[test]
    fn a_copy_keeps_links_and_leaves_out_what_tests_left_behind() {
        let folder = TempDir::new().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("sub/old.cleanup")).unwrap();
        fs::write(from.join("sub/old.cleanup/file"), "").unwrap();
        fs::write(from.join("sub/file"), "content").unwrap();
        fs::write(from.join(".cleanup"), "").unwrap();
        symlink("nowhere", from.join("link.cleanup")).unwrap();
        symlink("/nowhere", from.join("link")).unwrap();
        symlink("sub", from.join("folder")).unwrap();
        copy(&from, &to).unwrap();
        let names = |folder: &Path| {
            let entries = fs::read_dir(folder).unwrap();
            let mut names: Vec<_> = entries.map(|it| it.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&to), ["folder", "link", "sub"]);
        assert_eq!(names(&to.join("sub")), ["file"]);
        assert_eq!(fs::read(to.join("sub/file")).unwrap(), b"content");
        assert_eq!(
            fs::read_link(to.join("link")).unwrap(),
            Path::new("/nowhere")
        );
        assert_eq!(fs::read_link(to.join("folder")).unwrap(), Path::new("sub"));
    }

    #[test]
    fn a_command_that_is_not_there_is_an_error_that_names_it() {
        let mut fake = Fake::new("", Spec::default());
        fake.host.agave = format!("/no-agave-{}", id()).into();
        let setup = Setup {
            engine: "wasmi",
            fs: "host",
        };
        let error = fake.host.run(setup, &fake.test).unwrap_err().to_string();
        assert!(error.starts_with("running /no-agave-"), "{error}");
    }
}
