//! What came of the tests, as text.

use super::Setup;
use super::case::Failure;
use super::suite::Test;
use std::fmt::Write;

/// A table with a row for each suite and a column for each of `setups`, and below it every
/// failure with its reasons. `outcomes` has those of all `tests` for the first setup, then for
/// the next one.
pub(super) fn render(setups: &[Setup], tests: &[Test], outcomes: &[Option<Failure>]) -> String {
    let mut header = vec!["suite".to_owned()];
    header.extend(setups.iter().map(|it| format!("{}, {}", it.engine, it.fs)));
    let mut rows = vec![header];
    for of_suite in tests.chunk_by(|a, b| a.suite == b.suite) {
        rows.push(vec![of_suite[0].suite.clone()]);
    }
    let mut failures = String::new();
    for (setup, outcomes) in setups.iter().zip(outcomes.chunks(tests.len())) {
        let outcomes: Vec<_> = tests.iter().zip(outcomes).collect();
        let suites = outcomes.chunk_by(|(a, _), (b, _)| a.suite == b.suite);
        for (row, of_suite) in rows[1..].iter_mut().zip(suites) {
            let passed = of_suite.iter().filter(|(_, it)| it.is_none()).count();
            row.push(format!("{passed}/{}", of_suite.len()));
        }
        for (test, failure) in outcomes {
            if let Some(failure) = failure {
                describe(&mut failures, *setup, test, failure);
            }
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
    use super::super::suite::Spec;
    use super::*;

    #[test]
    fn a_row_for_each_suite_a_column_for_each_setup_and_all_failures() {
        let tests = [
            ("assemblyscript", "args"),
            ("assemblyscript", "exit"),
            ("c", "lseek"),
        ];
        let tests = tests.map(|(suite, name)| Test {
            suite: suite.into(),
            name: name.into(),
            program: "".into(),
            spec: Spec::default(),
        });
        let setups = ["wasmtime", "wasmi"].map(|engine| Setup { engine, fs: "host" });
        let failure = |reasons: &[&str], stderr: &str| {
            Some(Failure {
                reasons: reasons.iter().map(|&it| it.into()).collect(),
                stderr: stderr.into(),
            })
        };
        let outcomes = [
            None,
            failure(&["exit code: 0, got 1"], ""),
            None,
            failure(&["exit code: 0, got 134", "stdout: …"], "panicked\nhere"),
            failure(&["killed"], ""),
            None,
        ];
        let expected = "\
suite           wasmtime, host  wasmi, host
assemblyscript  1/2             0/2
c               1/1             1/1

assemblyscript/exit (wasmtime, host)
  exit code: 0, got 1

assemblyscript/args (wasmi, host)
  exit code: 0, got 134
  stdout: …
  | panicked
  | here

assemblyscript/exit (wasmi, host)
  killed
";
        assert_eq!(render(&setups, &tests, &outcomes), expected);
    }
}
