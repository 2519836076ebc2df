//! One test, run with one engine over one filesystem, and compared with what is expected.

use super::Setup;
use super::suite::Test;
use anyhow::{Context, Result, bail};
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;
use wait_timeout::ChildExt;

/// How much of an output is shown, in bytes.
const EXCERPT: usize = 2000;

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
    /// Runs `test` in fresh copies of its folders, which are gone afterwards; with an empty
    /// pipe for standard input, as the suite's own runner has it.
    ///
    /// Errors: a folder can't be copied or removed, or the command not be started.
    pub(super) fn run(&self, setup: Setup, test: &Test) -> Result<Option<Failure>> {
        let scratch = TempDir::with_prefix("agave-conformance-").context("making a folder")?;
        let mut command = Command::new(&self.agave);
        command
            .args(["run", "--engine", setup.engine, "--fs", setup.fs])
            .args(test.spec.env.iter().map(|(k, v)| format!("--env={k}={v}")));
        for guest in &test.spec.dirs {
            let host = scratch.path().join(guest);
            copy(&test.program.with_file_name(guest), &host)?;
            let mut dir = OsString::from("--dir=");
            dir.extend([host.as_os_str(), "::".as_ref(), guest.as_os_str()]);
            command.arg(dir);
        }
        command.arg(&test.program).args(&test.spec.args);
        let failure = self.compare(&mut command, test);
        scratch.close().context("removing a folder of a test")?;
        failure.with_context(|| format!("running {}", self.agave.display()))
    }

    fn compare(&self, command: &mut Command, test: &Test) -> io::Result<Option<Failure>> {
        let expected = &test.spec;
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        drop(child.stdin.take());
        let expected_stdout = expected.stdout.as_deref().unwrap_or_default();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (status, stdout, stderr) = thread::scope(|scope| {
            let stdout = scope.spawn(|| beginning(stdout, expected_stdout));
            let stderr = scope.spawn(|| beginning(stderr, &expected.stderr));
            let status = child.wait_timeout(self.limit);
            if !matches!(status, Ok(Some(_))) {
                // An error here means that it has ended by itself just now.
                let _ = child.kill();
                child.wait()?;
            }
            Ok::<_, io::Error>((status?, join(stdout)?, join(stderr)?))
        })?;

        let mut reasons = Vec::new();
        match status {
            None => reasons.push(format!("killed after {} s", self.limit.as_secs_f32())),
            Some(status) => {
                if status.code() != Some(expected.exit_code) {
                    let got = status
                        .code()
                        .map_or(status.to_string(), |it| it.to_string());
                    reasons.push(format!("exit code: {}, got {got}", expected.exit_code));
                }
                if expected.stdout.is_some() && stdout != expected_stdout.as_bytes() {
                    reasons.push(format!(
                        "stdout: {expected_stdout:?}, got {:?}",
                        excerpt(&stdout)
                    ));
                }
                if stderr != expected.stderr.as_bytes() {
                    reasons.push(format!("stderr: {:?}, got what follows", expected.stderr));
                }
            }
        }
        Ok((!reasons.is_empty()).then(|| Failure {
            reasons,
            stderr: excerpt(&stderr),
        }))
    }
}

/// Reads to the end, and keeps what it takes to compare with `expected` and to show.
fn beginning(pipe: Option<impl Read>, expected: &str) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        let kept = (expected.len() + EXCERPT) as u64;
        pipe.by_ref().take(kept).read_to_end(&mut bytes)?;
        io::copy(&mut pipe, &mut io::sink())?;
    }
    Ok(bytes)
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn excerpt(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(EXCERPT)]).into_owned()
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
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, unix))]
mod tests {
    use super::super::suite::Spec;
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
                    suite: "c".into(),
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
        let cases: [(&str, Spec, &[&str]); 14] = [
            ("", Spec::default(), &[]),
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
            args: vec!["a b".into(), "--fs".into(), String::new()],
            env: [("k".into(), "v=\nw".into())].into(),
            dirs: vec!["fs.dir".into()],
            ..stdout("wasmi\nmemory\nk=v=\nw\nfs.dir\ninside\na b\n--fs\n\n")
        };
        let fake = Fake::new(script, spec);
        fs::create_dir(fake.folder.path().join("fs.dir")).unwrap();
        fs::write(fake.folder.path().join("fs.dir/in"), "inside").unwrap();
        assert_eq!(fake.run(), None);
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
            let spec = Spec {
                dirs: vec!["fs.dir".into()],
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
