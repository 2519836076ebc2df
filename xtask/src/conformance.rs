//! `cargo xtask conformance`: the official test suite of WASI, run with the `agave` command on
//! each engine and over each filesystem backend. Nothing is skipped, and no failure expected.

mod case;
mod http;
mod output;
mod running;
mod server;
mod spec;
mod suite;
mod table;

use crate::cargo;
use anyhow::{Context, Result, bail, ensure};
use case::Host;
pub(crate) use spec::Spec;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;
pub(crate) use suite::{Target, Test, tests};

/// How long a test may take. The longest of the suite take well under a second.
const LIMIT: Duration = Duration::from_secs(60);

const ENGINES: [&str; 2] = ["wasmtime", "wasmi"];
const FILESYSTEMS: [&str; 2] = ["host", "memory"];

/// What `agave` is told: a column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Setup {
    /// `--engine`
    engine: &'static str,
    /// `--fs`
    fs: &'static str,
}

impl Setup {
    /// Whether `test` can be run so. Only wasmtime takes components.
    fn takes(self, test: &Test) -> bool {
        self.engine == "wasmtime" || test.target == Target::P1
    }
}

/// Runs the suite's tests and prints a table and what failed.
///
/// Errors: `args` are not understood, the suite is not what it is expected to be, there is no
/// test, `agave` can't be built or started, or a test failed.
pub fn run(root: &Path, args: &[&str]) -> Result<()> {
    let options = Options::parse(args)?;
    let mut tests = tests(&options.suite, &options.targets)?;
    if let Some(only) = &options.only {
        tests.retain(|test| test.name.contains(only));
        ensure!(!tests.is_empty(), "no test has {only:?} in its name");
    }
    let host = Host {
        agave: match options.agave {
            Some(agave) => agave,
            None => cargo::build(root, &["--package", "agave-host", "--bin", "agave"])?,
        },
        limit: LIMIT,
    };
    let mut runs = Vec::new();
    for &setup in &options.setups {
        let tests = tests.iter().filter(|test| setup.takes(test));
        runs.extend(tests.map(|test| (setup, test)));
    }
    ensure!(
        !runs.is_empty(),
        "wasmi takes only modules, and all tests are components"
    );
    let outcomes = in_parallel(runs.len(), |n| host.run(runs[n].0, runs[n].1))?;
    let runs: Vec<_> = runs.into_iter().zip(outcomes).collect();
    print!("{}", table::render(&options.setups, &tests, &runs));
    let failed = runs.iter().filter(|(_, outcome)| outcome.is_some()).count();
    ensure!(failed == 0, "{failed} of {} failed", runs.len());
    Ok(())
}

#[derive(Debug, PartialEq)]
struct Options {
    suite: PathBuf,
    agave: Option<PathBuf>,
    only: Option<String>,
    targets: Vec<Target>,
    setups: Vec<Setup>,
}

impl Options {
    fn parse(args: &[&str]) -> Result<Self> {
        let (mut suite, mut agave, mut only) = (None, None, None);
        let (mut engines, mut filesystems, mut versions) = (Vec::new(), Vec::new(), Vec::new());
        let mut args = args.iter();
        while let Some(&arg) = args.next() {
            let mut value = || {
                let value = args.next().copied();
                value.with_context(|| format!("{arg} needs a value"))
            };
            match arg {
                "--agave" => agave = Some(value()?.into()),
                "--only" => only = Some(value()?.to_owned()),
                "--engine" => add(&mut engines, ENGINES, arg, value()?)?,
                "--fs" => add(&mut filesystems, FILESYSTEMS, arg, value()?)?,
                "--wasi" => add(&mut versions, Target::ALL.map(Target::name), arg, value()?)?,
                _ if arg.starts_with('-') => bail!("unknown option: {arg}"),
                _ if suite.is_some() => bail!("more than one PATH: {arg}"),
                _ => suite = Some(arg.into()),
            }
        }
        if engines.is_empty() {
            engines.extend(ENGINES);
        }
        if filesystems.is_empty() {
            filesystems.extend(FILESYSTEMS);
        }
        let mut targets = Target::ALL.to_vec();
        targets.retain(|it| versions.is_empty() || versions.contains(&it.name()));
        let setups = engines
            .iter()
            .flat_map(|&engine| filesystems.iter().map(move |&fs| Setup { engine, fs }));
        Ok(Self {
            targets,
            setups: setups.collect(),
            suite: suite.context(
                "PATH is missing: a checkout of wasi-testsuite's branch prod/testsuite-all",
            )?,
            agave,
            only,
        })
    }
}

/// Adds `value` to what was `chosen` of `all`, once.
fn add(
    chosen: &mut Vec<&'static str>,
    all: [&'static str; 2],
    option: &str,
    value: &str,
) -> Result<()> {
    let known = all.into_iter().find(|&it| it == value);
    let known =
        known.with_context(|| format!("{option} takes {}, not {value}", all.join(" or ")))?;
    if !chosen.contains(&known) {
        chosen.push(known);
    }
    Ok(())
}

/// The results of `work(0)` to `work(count - 1)`, in this order, of as many at a time as the
/// machine has cores. The first error ends it.
pub(crate) fn in_parallel<T: Send>(
    count: usize,
    work: impl Fn(usize) -> Result<T> + Sync,
) -> Result<Vec<T>> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= count {
                return Ok(done);
            }
            match work(n) {
                Ok(outcome) => done.push((n, outcome)),
                Err(error) => {
                    next.store(count, Ordering::Relaxed);
                    return Err(error);
                }
            }
        }
    };
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let mut done = thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(worker)).collect();
        let mut all = Vec::new();
        for worker in workers {
            match worker.join() {
                Ok(done) => all.extend(done?),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok::<_, anyhow::Error>(all)
    })?;
    done.sort_by_key(|&(n, _)| n);
    Ok(done.into_iter().map(|(_, outcome)| outcome).collect())
}

#[cfg(test)]
mod tests {
    use super::case::Failure;
    use super::*;

    #[test]
    fn all_engines_and_filesystems_are_tested_unless_some_are_chosen() {
        for (args, expected) in [
            (
                "suite",
                "wasmtime host, wasmtime memory, wasmi host, wasmi memory",
            ),
            ("suite --engine wasmi", "wasmi host, wasmi memory"),
            (
                "suite --fs memory --fs memory",
                "wasmtime memory, wasmi memory",
            ),
            ("suite --fs host --engine wasmtime", "wasmtime host"),
        ] {
            let args: Vec<_> = args.split(' ').collect();
            let setups = Options::parse(&args).unwrap().setups;
            let setups = setups.iter().map(|it| format!("{} {}", it.engine, it.fs));
            assert_eq!(setups.collect::<Vec<_>>().join(", "), expected, "{args:?}");
        }
    }

    #[test]
    fn all_versions_are_tested_unless_one_is_chosen() {
        for (args, expected) in [
            (&["suite"][..], &Target::ALL[..]),
            (&["suite", "--wasi", "0.3"], &[Target::P3]),
            (&["--wasi", "0.1", "suite"], &[Target::P1]),
            (&["suite", "--wasi", "0.3", "--wasi", "0.1"], &Target::ALL),
        ] {
            assert_eq!(Options::parse(args).unwrap().targets, expected, "{args:?}");
        }
    }

    #[test]
    fn options_may_stand_before_and_after_the_path() {
        let options = Options::parse(&["--agave", "bin", "suite", "--only", "path_"]).unwrap();
        assert_eq!(options.suite, Path::new("suite"));
        assert_eq!(options.agave.as_deref(), Some(Path::new("bin")));
        assert_eq!(options.only.as_deref(), Some("path_"));
    }

    #[test]
    fn what_is_not_understood_is_an_error_that_names_it() {
        for (args, expected) in [
            (&[][..], "PATH is missing"),
            (&["suite", "--only"], "--only needs a value"),
            (&["suite", "--skip", "x"], "unknown option: --skip"),
            (&["suite", "other"], "more than one PATH: other"),
            (
                &["suite", "--engine", "v8"],
                "--engine takes wasmtime or wasmi, not v8",
            ),
            (
                &["suite", "--fs", "wasmi"],
                "--fs takes host or memory, not wasmi",
            ),
            (
                &["suite", "--wasi", "0.2"],
                "--wasi takes 0.1 or 0.3, not 0.2",
            ),
        ] {
            let error = Options::parse(args).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{args:?}: {error}");
        }
    }

    #[test]
    fn results_are_in_order_whoever_is_first() {
        let reason = |n: usize| (!n.is_multiple_of(3)).then(|| n.to_string());
        let done = in_parallel(200, |n| {
            thread::yield_now();
            Ok(reason(n).map(|reason| Failure {
                reasons: vec![reason],
                stderr: String::new(),
            }))
        });
        for (n, outcome) in done.unwrap().into_iter().enumerate() {
            assert_eq!(outcome.map(|it| it.reasons[0].clone()), reason(n));
        }
    }

    #[test]
    fn an_error_ends_the_run_before_all_is_done() {
        let started = AtomicUsize::new(0);
        let done = in_parallel(100_000, |n| {
            started.fetch_add(1, Ordering::Relaxed);
            ensure!(n != 3, "number {n}");
            thread::sleep(Duration::from_micros(100));
            Ok(None::<Failure>)
        });
        assert_eq!(done.unwrap_err().to_string(), "number 3");
        assert!(started.into_inner() < 50_000);
    }
}
