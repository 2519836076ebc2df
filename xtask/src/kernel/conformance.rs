//! The official suite's tests of WASI 0.1, each made a component by the usual adapter and run in
//! a kernel of its own, over files in its memory.

use super::built::Built;
use crate::conformance::{self, Spec, Target, Test};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use wait_timeout::ChildExt;
use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
};
use wit_component::ComponentEncoder;
use xtask::machine::{self, Board, Machine, quoted};

/// How long a test may take, the machine's start included.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs the tests in the checkout that `args` name, and prints how many pass and what failed.
pub(super) fn run(root: &Path, args: &[&str]) -> Result<()> {
    let &[checkout, ref only @ ..] = args else {
        bail!("PATH is missing: a checkout of wasi-testsuite's branch prod/testsuite-all");
    };
    let only = match only {
        [] => None,
        ["--only", name] => Some(*name),
        _ => bail!("after PATH there may be --only NAME"),
    };
    let mut tests = conformance::tests(Path::new(checkout), &[Target::P1])?;
    tests.retain(|test| only.is_none_or(|only| test.name.contains(only)));
    ensure!(!tests.is_empty(), "there is no such test");
    let built = Built::build(root)?;
    let outcomes = conformance::in_parallel(tests.len(), |n| {
        let Test { suite, name, .. } = &tests[n];
        let reason =
            attempt(&built, &tests[n]).with_context(|| format!("running {suite}/{name}"))?;
        Ok(reason.map(|reason| format!("{suite}/{name}: {reason}")))
    })?;
    let failures: Vec<_> = outcomes.into_iter().flatten().collect();
    for suite in tests.chunk_by(|a, b| a.suite == b.suite) {
        let name = &suite[0].suite;
        let failed = failures
            .iter()
            .filter(|it| it.starts_with(&format!("{name}/")));
        println!(
            "{name}: {} of {} pass",
            suite.len() - failed.count(),
            suite.len()
        );
    }
    failures.iter().for_each(|failure| println!("{failure}"));
    ensure!(
        failures.is_empty(),
        "{} of {} failed",
        failures.len(),
        tests.len()
    );
    Ok(())
}

/// Why `test` failed, if it did.
fn attempt(built: &Built, test: &Test) -> Result<Option<String>> {
    let scratch = tempfile::tempdir()?;
    let path = |name: &str| scratch.path().join(name);
    let Spec { run, .. } = &test.spec;
    ensure!(
        test.spec.steps.is_empty() && test.spec.servers.is_empty(),
        "it needs a peer"
    );
    fs::write(path("test.wasm"), component(&test.program)?)?;
    built.compile(&path("test.wasm"), false, &path("test.cwasm"))?;
    let mut line: Vec<String> = run
        .env
        .iter()
        .map(|(name, value)| quoted(&format!("{name}={value}")))
        .collect();
    let mut files = vec![("test.cwasm".to_owned(), path("test.cwasm"))];
    for (folder, guest) in run.folders() {
        let name = guest.to_str().context("a folder's name is not UTF-8")?;
        line.extend(["dir".to_owned(), quoted(name)]);
        files.push((name.to_owned(), test.program.with_file_name(folder)));
    }
    line.extend(["run".to_owned(), "test.cwasm".to_owned()]);
    line.extend(run.args.iter().map(|word| quoted(word)));
    machine::initrd(&path("initrd"), &files, None)?;
    let machine = Machine {
        kernel: built.kernel.clone(),
        board: Board::Microvm,
        cpu: "max",
        memory: 128,
        line: line.join(" "),
        initrd: path("initrd"),
        forward: None,
        disk: None,
        monitor: None,
    };
    let console = path("console");
    let mut qemu = machine
        .command()
        .stdin(Stdio::null())
        .stdout(fs::File::create(&console)?)
        .stderr(Stdio::inherit())
        .spawn()
        .context(machine::NO_QEMU)?;
    let status = qemu.wait_timeout(LIMIT)?;
    if status.is_none() {
        qemu.kill()?;
    }
    let status = qemu.wait()?;
    let console = String::from_utf8_lossy(&fs::read(console)?).into_owned();
    Ok(judge(&test.spec, machine::exit_code(status), &console))
}

/// What is wrong with how a test ended and with what it wrote: both outputs are one console,
/// with the kernel's own lines.
fn judge(spec: &Spec, code: Option<u8>, console: &str) -> Option<String> {
    // The adapter knows success and failure alone.
    let expected = u8::from(spec.exit_code != 0);
    if code != Some(expected) {
        return Some(format!(
            "it ended with {code:?}, not {expected}:\n{console}"
        ));
    }
    let written: String = console
        .split_inclusive('\n')
        .filter(|line| !line.starts_with(machine::OWN))
        .collect();
    let expected = match &spec.stdout {
        Some(stdout) => format!("{stdout}{}", spec.stderr),
        None if spec.stderr.is_empty() => return None,
        None => spec.stderr.clone(),
    };
    (written.trim_end() != expected.trim_end())
        .then(|| format!("it wrote {written:?}, not {expected:?}"))
}

/// The component of the module at `path`.
fn component(path: &PathBuf) -> Result<Vec<u8>> {
    let module = fs::read(path)?;
    let adapter = WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER;
    ComponentEncoder::default()
        .module(&module)?
        .adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter)?
        .encode()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_console_are_what_the_test_expects() {
        let expects = |stdout: Option<&str>, exit_code| Spec {
            stdout: stdout.map(str::to_owned),
            exit_code,
            ..Spec::default()
        };
        let console = "hello\nagave-kernel: exit 1\n";
        assert_eq!(judge(&expects(Some("hello\n"), 3), Some(1), console), None);
        assert_eq!(judge(&expects(None, 3), Some(1), console), None);
        for (spec, code) in [
            (expects(Some("bye\n"), 3), Some(1)),
            (expects(Some("hello\n"), 0), Some(1)),
            (expects(Some("hello\n"), 0), None),
        ] {
            assert!(judge(&spec, code, console).is_some(), "{spec:?}");
        }
    }
}
