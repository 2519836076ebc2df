//! The tests of a checkout of the suite: what to run, and what is expected.

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// The version of WASI whose tests are run, as the suite names it.
const TARGET: &str = "wasm32-wasip1";

/// A file beside the tests that is not about one of them.
const MANIFEST: &str = "manifest.json";

/// One test of the suite.
#[derive(Debug)]
pub(super) struct Test {
    /// The language that it is written in: its suite's folder.
    pub(super) suite: String,
    /// The name of its files, without an extension.
    pub(super) name: String,
    /// What is run.
    pub(super) program: PathBuf,
    pub(super) spec: Spec,
}

/// The .json file beside a test. Without one, all is as by default. A key that is not known
/// could be an expectation, so it is an error.
#[derive(Debug, Default, Deserialize, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Spec {
    pub(super) args: Vec<String>,
    pub(super) env: BTreeMap<String, String>,
    /// Folders beside the test, which it gets under the same names.
    pub(super) dirs: Vec<PathBuf>,
    pub(super) exit_code: i32,
    /// Without it anything may be written: tests that pass do.
    pub(super) stdout: Option<String>,
    /// Nothing by default: a test that leaves out a part says so here, and succeeds.
    pub(super) stderr: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(rename = "name")]
    _name: IgnoredAny,
    version: Option<String>,
}

/// All tests of the `checkout`, sorted by suite and name.
///
/// Errors: there is none, a file is missing, or says what is not understood.
pub(super) fn tests(checkout: &Path) -> Result<Vec<Test>> {
    let mut tests = Vec::new();
    for folder in entries(&checkout.join("tests"))
        .context("the path must be a checkout of wasi-testsuite's branch prod/testsuite-all")?
    {
        let built = folder.join("testsuite").join(TARGET);
        if built.is_dir() {
            tests.extend(suite(&name(&folder)?, &built)?);
        }
    }
    ensure!(
        !tests.is_empty(),
        "no tests/*/testsuite/{TARGET} in {}: only the suite's branch prod/testsuite-all has \
         tests that are built",
        checkout.display()
    );
    Ok(tests)
}

fn suite(suite: &str, folder: &Path) -> Result<Vec<Test>> {
    let manifest: Manifest = json(&folder.join(MANIFEST))?;
    if let Some(version) = manifest.version {
        let folder = folder.display();
        ensure!(version == TARGET, "{folder}/{MANIFEST}: tests of {version}");
    }
    let mut tests = Vec::new();
    for file in entries(folder)? {
        match file.extension().and_then(|it| it.to_str()) {
            Some("wasm") => tests.push(Test {
                suite: suite.into(),
                name: name(&file.with_extension(""))?,
                spec: spec(&file.with_extension("json"))?,
                program: file,
            }),
            Some("json") if !file.ends_with(MANIFEST) => {
                let program = file.with_extension("wasm");
                ensure!(program.is_file(), "{} is missing", program.display());
            }
            _ => {}
        }
    }
    ensure!(!tests.is_empty(), "no tests in {}", folder.display());
    Ok(tests)
}

fn spec(file: &Path) -> Result<Spec> {
    if !file.try_exists().with_context(|| reading(file))? {
        return Ok(Spec::default());
    }
    let spec: Spec = json(file)?;
    for dir in &spec.dirs {
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

fn json<T: DeserializeOwned>(file: &Path) -> Result<T> {
    let text = fs::read(file).with_context(|| reading(file))?;
    serde_json::from_slice(&text).with_context(|| reading(file))
}

/// What is in `folder`, sorted.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| reading(folder))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths: Vec<_> = paths
        .collect::<Result<_, _>>()
        .with_context(|| reading(folder))?;
    paths.sort();
    Ok(paths)
}

fn name(path: &Path) -> Result<String> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.with_context(|| format!("{} has no name in UTF-8", path.display()))?;
    Ok(name.into())
}

fn reading(path: &Path) -> String {
    format!("reading {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    /// The names and contents of files.
    type Files = [(&'static str, &'static str)];

    /// A checkout with these files below `tests`; a name that ends in a slash is a folder.
    fn checkout(files: &Files) -> TempDir {
        let checkout = TempDir::new().unwrap();
        for (file, content) in files {
            let path = checkout.path().join("tests").join(file);
            match file.ends_with('/') {
                true => fs::create_dir_all(path).unwrap(),
                false => {
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    fs::write(path, content).unwrap();
                }
            }
        }
        checkout
    }

    const C: &str = "c/testsuite/wasm32-wasip1/manifest.json";
    const NAMED: &str = r#"{"name": "x"}"#;

    #[test]
    fn every_built_test_is_found_with_what_is_expected() {
        let checkout = checkout(&[
            ("BUCK", ""),
            ("c/src/lseek.c", ""),
            (C, r#"{"name": "WASI C tests", "version": "wasm32-wasip1"}"#),
            ("c/testsuite/wasm32-wasip1/fs-tests.dir/", ""),
            ("c/testsuite/wasm32-wasip1/lseek.wasm", ""),
            (
                "c/testsuite/wasm32-wasip1/lseek.json",
                r#"{"dirs": ["fs-tests.dir"], "args": ["a", "b"], "env": {"k": "v\n"},
                    "exit_code": 33, "stdout": "out", "stderr": "err"}"#,
            ),
            ("c/testsuite/wasm32-wasip3/http.wasm", ""),
            ("rust/testsuite/wasm32-wasip1/manifest.json", NAMED),
            ("rust/testsuite/wasm32-wasip1/b-c.d.wasm", ""),
            ("rust/testsuite/wasm32-wasip1/a.wasm", ""),
        ]);
        let tests = tests(checkout.path()).unwrap();
        let names: Vec<_> = tests.iter().map(|it| (&*it.suite, &*it.name)).collect();
        assert_eq!(names, [("c", "lseek"), ("rust", "a"), ("rust", "b-c.d")]);
        assert!(tests[2].program.ends_with("b-c.d.wasm"));
        assert_eq!(
            tests[0].spec,
            Spec {
                args: vec!["a".into(), "b".into()],
                env: [("k".into(), "v\n".into())].into(),
                dirs: vec!["fs-tests.dir".into()],
                exit_code: 33,
                stdout: Some("out".into()),
                stderr: "err".into(),
            }
        );
        let by_default = Spec {
            args: vec![],
            env: BTreeMap::new(),
            dirs: vec![],
            exit_code: 0,
            stdout: None,
            stderr: String::new(),
        };
        assert_eq!(tests[1].spec, by_default);
    }

    #[test]
    fn what_is_missing_or_not_understood_is_an_error_that_names_the_file() {
        let test = "c/testsuite/wasm32-wasip1/t.wasm";
        let json = "c/testsuite/wasm32-wasip1/t.json";
        let cases: [(&Files, &str, &str); 12] = [
            (&[], "tests", "prod/testsuite-all"),
            (
                &[("c/src/t.c", "")],
                "no tests/*/testsuite",
                "wasm32-wasip1",
            ),
            (&[(C, NAMED)], "c/testsuite/wasm32-wasip1", "no tests in"),
            (&[(test, "")], C, "No such file"),
            (
                &[(test, ""), (C, r#"{"name": "x", "world": "y"}"#)],
                C,
                "unknown field `world`",
            ),
            (
                &[
                    (test, ""),
                    (C, r#"{"name": "x", "version": "wasm32-wasip3"}"#),
                ],
                C,
                "tests of wasm32-wasip3",
            ),
            (&[(C, NAMED), (json, "{}")], test, "is missing"),
            (&[(C, NAMED), (test, ""), (json, "{")], json, "EOF"),
            (
                &[(C, NAMED), (test, ""), (json, r#"{"exit_codes": 1}"#)],
                json,
                "unknown field `exit_codes`",
            ),
            (
                &[(C, NAMED), (test, ""), (json, r#"{"operations": []}"#)],
                json,
                "unknown field `operations`",
            ),
            (
                &[(C, NAMED), (test, ""), (json, r#"{"dirs": ["gone.dir"]}"#)],
                json,
                "gone.dir is no folder beside it",
            ),
            (
                &[(C, NAMED), (test, ""), (json, r#"{"dirs": ["../.."]}"#)],
                json,
                "../.. is no folder beside it",
            ),
        ];
        for (files, file, expected) in cases {
            let checkout = checkout(files);
            let error = format!("{:#}", tests(checkout.path()).unwrap_err());
            assert!(error.contains(file), "{file}: {error}");
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
