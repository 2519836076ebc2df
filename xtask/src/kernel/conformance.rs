//! The official suite's tests of WASI 0.1, each made a component by the usual adapter and run in
//! a kernel of its own, over files in its memory.

use super::built::Built;
use crate::conformance::{self, Spec, Target, Test};
use anyhow::{Context, Result, bail, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
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
    let runs: Vec<_> = tests
        .iter()
        .flat_map(|test| [(test, Form::Component), (test, Form::Module)])
        .collect();
    let outcomes = conformance::in_parallel(runs.len(), |n| {
        let (test, form) = runs[n];
        let run = || format!("running {}/{}", test.suite, test.name);
        attempt(&built, test, form).with_context(run)
    })?;
    let runs: Vec<_> = runs.into_iter().zip(outcomes).collect();
    for suite in tests.chunk_by(|a, b| a.suite == b.suite) {
        let name = &suite[0].suite;
        let count = |form, outcome: fn(&Outcome) -> bool| {
            let of_suite = runs
                .iter()
                .filter(|((test, by), _)| test.suite == *name && *by == form);
            of_suite.filter(|(_, it)| outcome(it)).count()
        };
        println!(
            "{name}: {} of {} pass as modules, {} as components ({} more are what the adapter can't)",
            count(Form::Module, |it| matches!(it, Outcome::Passed)),
            suite.len(),
            count(Form::Component, |it| matches!(it, Outcome::Passed)),
            count(Form::Component, |it| matches!(it, Outcome::Adapter)),
        );
    }
    let mut failed = 0;
    for ((test, form), outcome) in &runs {
        let Test { suite, name, .. } = test;
        match outcome {
            Outcome::Passed => {}
            Outcome::Adapter => {
                println!("{suite}/{name}: fails under agave run as a component too")
            }
            Outcome::Failed(reason) => {
                failed += 1;
                println!("{suite}/{name} as a {}: {reason}", form.name());
            }
        }
    }
    ensure!(failed == 0, "{failed} of {} failed", runs.len());
    Ok(())
}

/// As what a test is run: its own module, or the component that the adapter makes of it.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Module,
    Component,
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Module => "module",
            Self::Component => "component",
        }
    }
}

enum Outcome {
    Passed,
    /// The component does the same on this machine.
    Adapter,
    Failed(String),
}

/// Runs `test` in a kernel.
fn attempt(built: &Built, test: &Test, form: Form) -> Result<Outcome> {
    let scratch = tempfile::tempdir()?;
    let path = |name: &str| scratch.path().join(name);
    let Spec { run, .. } = &test.spec;
    ensure!(
        test.spec.steps.is_empty() && test.spec.servers.is_empty(),
        "it needs a peer"
    );
    let wasm = match form {
        Form::Module => test.program.clone(),
        Form::Component => {
            fs::write(path("test.wasm"), component(&test.program)?)?;
            path("test.wasm")
        }
    };
    built.compile(&wasm, false, &path("test.cwasm"))?;
    let mut line: Vec<String> = run
        .env
        .iter()
        .map(|(name, value)| quoted(&format!("{name}={value}")))
        .collect();
    let mut files = vec![("test.cwasm".to_owned(), path("test.cwasm"))];
    line.push("nodir".to_owned());
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
        network: false,
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
    let judged = judge(&test.spec, form, machine::exit_code(status), &console);
    Ok(match judged {
        None => Outcome::Passed,
        Some(_) if form == Form::Component && !passes_here(built, test, &wasm, scratch.path())? => {
            Outcome::Adapter
        }
        Some(reason) => Outcome::Failed(reason),
    })
}

/// Whether the component `wasm` of `test` does what is expected under `agave run`.
fn passes_here(built: &Built, test: &Test, wasm: &Path, scratch: &Path) -> Result<bool> {
    let Spec { run, .. } = &test.spec;
    let mut agave = Command::new(&built.agave);
    agave.args(["run", "--fs", "memory", "--argv0", "test.wasm"]);
    agave.args(
        run.env
            .iter()
            .map(|(name, value)| format!("--env={name}={value}")),
    );
    for (folder, guest) in run.folders() {
        let folder = test.program.with_file_name(folder);
        agave.arg(format!("--dir={}::{}", folder.display(), guest.display()));
    }
    let output = agave
        .arg(wasm)
        .args(&run.args)
        .current_dir(scratch)
        .output()?;
    let code = output
        .status
        .code()
        .and_then(|code| u8::try_from(code).ok());
    let console = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    Ok(judge(&test.spec, Form::Component, code, &console).is_none())
}

/// What is wrong with how a test ended and with what it wrote: both outputs are one console,
/// with the kernel's own lines.
fn judge(spec: &Spec, form: Form, code: Option<u8>, console: &str) -> Option<String> {
    // The adapter knows success and failure alone.
    let expected = match form {
        Form::Module => u8::try_from(spec.exit_code).unwrap_or(u8::MAX),
        Form::Component => u8::from(spec.exit_code != 0),
    };
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
        assert_eq!(
            judge(
                &expects(Some("hello\n"), 3),
                Form::Component,
                Some(1),
                console
            ),
            None
        );
        assert_eq!(
            judge(&expects(None, 3), Form::Module, Some(3), console),
            None
        );
        for (spec, code) in [
            (expects(Some("bye\n"), 3), Some(1)),
            (expects(Some("hello\n"), 0), Some(1)),
            (expects(Some("hello\n"), 0), None),
        ] {
            assert!(
                judge(&spec, Form::Component, code, console).is_some(),
                "{spec:?}"
            );
        }
    }
}
