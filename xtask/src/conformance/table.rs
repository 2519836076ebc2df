//! What came of the tests, as text.

use super::Setup;
use super::case::Failure;
use super::suite::Test;
use std::fmt::Write;

/// One test with one setup, and why it failed, if it did.
pub(super) type Run<'a> = ((Setup, &'a Test), Option<Failure>);

/// A table with a row for each suite of `tests` and a column for each of `setups`, and below it
/// every failure with its reasons, in the order of `runs`. A suite that a setup can't run has no
/// number there.
pub(super) fn render(setups: &[Setup], tests: &[Test], runs: &[Run<'_>]) -> String {
    let mut header = vec!["suite".to_owned()];
    header.extend(setups.iter().map(|it| format!("{}, {}", it.engine, it.fs)));
    let mut rows = vec![header];
    for of_suite in tests.chunk_by(|a, b| a.suite == b.suite) {
        let suite = &of_suite[0].suite;
        let mut row = vec![suite.clone()];
        for setup in setups {
            let runs = runs.iter();
            let runs = runs.filter(|((by, test), _)| by == setup && test.suite == *suite);
            let (all, passed) = runs.fold((0, 0), |(all, passed), (_, failure)| {
                (all + 1, passed + usize::from(failure.is_none()))
            });
            row.push(match all {
                0 => "-".into(),
                _ => format!("{passed}/{all}"),
            });
        }
        rows.push(row);
    }
    let mut failures = String::new();
    for ((setup, test), failure) in runs {
        if let Some(failure) = failure {
            describe(&mut failures, *setup, test, failure);
        }
    }
    format!("{}{failures}", aligned(&rows))
}

fn describe(text: &mut String, setup: Setup, test: &Test, failure: &Failure) {
    let (Setup { engine, fs }, Test { suite, name, .. }) = (setup, test);
    let lines = [format!("\n{suite}/{name} ({engine}, {fs})")]
        .into_iter()
        .chain(failure.reasons.iter().map(|it| format!("  {it}")))
        .chain(failure.stderr.lines().map(|it| format!("  | {it}")));
    for line in lines {
        // Writing to a string doesn't fail.
        let _ = writeln!(text, "{line}");
    }
}

fn aligned(rows: &[Vec<String>]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max();
    let widths: Vec<_> = (0..rows[0].len()).filter_map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths);
        let cells: Vec<_> = cells
            .map(|(cell, &width)| format!("{cell:width$}"))
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::spec::Spec;
    use super::super::suite::Target;
    use super::*;

    #[test]
    fn a_row_for_each_suite_a_column_for_each_setup_and_all_failures() {
        let tests = [
            ("c 0.1", "args"),
            ("c 0.1", "exit"),
            ("c 0.3", "http"),
            ("rust 0.1", "lseek"),
        ];
        let tests = tests.map(|(suite, name)| Test {
            suite: suite.into(),
            target: Target::P1,
            name: name.into(),
            program: "".into(),
            spec: Spec::default(),
        });
        let [wasmtime, wasmi] = ["wasmtime", "wasmi"].map(|engine| Setup { engine, fs: "host" });
        let failure = |reasons: &[&str], stderr: &str| {
            Some(Failure {
                reasons: reasons.iter().map(|&it| it.into()).collect(),
                stderr: stderr.into(),
            })
        };
        let long = failure(&["exit code: 0, got 134", "stdout: …"], "panicked\nhere");
        let runs = [
            ((wasmtime, &tests[0]), None),
            ((wasmtime, &tests[1]), failure(&["exit code: 0, got 1"], "")),
            ((wasmtime, &tests[2]), None),
            ((wasmtime, &tests[3]), None),
            ((wasmi, &tests[0]), long),
            ((wasmi, &tests[1]), failure(&["killed"], "")),
            ((wasmi, &tests[3]), None),
        ];
        let expected = "\
suite     wasmtime, host  wasmi, host
c 0.1     1/2             0/2
c 0.3     1/1             -
rust 0.1  1/1             1/1

c 0.1/exit (wasmtime, host)
  exit code: 0, got 1

c 0.1/args (wasmi, host)
  exit code: 0, got 134
  stdout: …
  | panicked
  | here

c 0.1/exit (wasmi, host)
  killed
";
        assert_eq!(render(&[wasmtime, wasmi], &tests, &runs), expected);
    }
}
