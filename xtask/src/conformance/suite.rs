//! The tests of a checkout of the suite: what to run, and what is expected.

use super::spec::{self, Spec};
use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::fs;
use std::path::{Path, PathBuf};

/// A version of WASI whose tests are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    P1,
    P3,
}

impl Target {
    pub(crate) const ALL: [Self; 2] = [Self::P1, Self::P3];

    /// As the suite names it.
    fn folder(self) -> &'static str {
        match self {
            Self::P1 => "wasm32-wasip1",
            Self::P3 => "wasm32-wasip3",
        }
    }

    /// The version.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::P1 => "0.1",
            Self::P3 => "0.3",
        }
    }
}

/// A file beside the tests that is not about one of them.
const MANIFEST: &str = "manifest.json";

/// One test of the suite.
#[derive(Debug)]
pub(crate) struct Test {
    /// The language that it is written in, which is its suite's folder, and the version of WASI.
    pub(crate) suite: String,
    pub(crate) target: Target,
    /// The name of its files, without an extension.
    pub(crate) name: String,
    /// What is run.
    pub(crate) program: PathBuf,
    pub(crate) spec: Spec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(rename = "name")]
    _name: IgnoredAny,
    version: Option<String>,
}

/// The tests of the `checkout` for `targets`, sorted by suite and name.
///
/// Errors: there is none, a file is missing, or says what is not understood.
pub(crate) fn tests(checkout: &Path, targets: &[Target]) -> Result<Vec<Test>> {
    let mut tests = Vec::new();
    for folder in entries(&checkout.join("tests"))
        .context("the path must be a checkout of wasi-testsuite's branch prod/testsuite-all")?
    {
        for &target in targets {
            let built = folder.join("testsuite").join(target.folder());
            if built.is_dir() {
                tests.extend(suite(&name(&folder)?, target, &built)?);
            }
        }
    }
    let folders = targets.iter().map(|it| it.folder()).collect::<Vec<_>>();
    ensure!(
        !tests.is_empty(),
        "no tests/*/testsuite/{} in {}: only the suite's branch prod/testsuite-all has tests that \
         are built",
        folders.join(" or "),
        checkout.display()
    );
    Ok(tests)
}

fn suite(language: &str, target: Target, folder: &Path) -> Result<Vec<Test>> {
    let manifest = folder.join(MANIFEST);
    let Manifest { version, .. } = fs::read(&manifest)
        .map_err(anyhow::Error::from)
        .and_then(|text| Ok(serde_json::from_slice(&text)?))
        .with_context(|| reading(&manifest))?;
    if let Some(version) = version {
        let manifest = manifest.display();
        ensure!(version == target.folder(), "{manifest}: tests of {version}");
    }
    let mut tests = Vec::new();
    for file in entries(folder)? {
        match file.extension().and_then(|it| it.to_str()) {
            Some("wasm") => tests.push(Test {
                suite: format!("{language} {}", target.name()),
                target,
                name: name(&file.with_extension(""))?,
                spec: spec::read(&file.with_extension("json"))?,
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
    use super::super::spec::Run;
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
            ("c/testsuite/wasm32-wasip2/http.wasm", ""),
            (
                "c/testsuite/wasm32-wasip3/manifest.json",
                r#"{"name": "WASI C tests", "version": "wasm32-wasip3"}"#,
            ),
            ("c/testsuite/wasm32-wasip3/http.wasm", ""),
            ("rust/testsuite/wasm32-wasip1/manifest.json", NAMED),
            ("rust/testsuite/wasm32-wasip1/b-c.d.wasm", ""),
            ("rust/testsuite/wasm32-wasip1/a.wasm", ""),
        ]);
        let names = |targets: &[Target]| {
            let tests = tests(checkout.path(), targets).unwrap();
            let names = tests.iter().map(|it| format!("{}/{}", it.suite, it.name));
            names.collect::<Vec<_>>().join(", ")
        };
        let all = "c 0.1/lseek, c 0.3/http, rust 0.1/a, rust 0.1/b-c.d";
        assert_eq!(names(&Target::ALL), all);
        assert_eq!(names(&[Target::P3]), "c 0.3/http");
        let tests = tests(checkout.path(), &Target::ALL).unwrap();
        assert!(tests[3].program.ends_with("b-c.d.wasm"));
        assert_eq!(tests[1].target, Target::P3);
        assert_eq!(
            tests[0].spec,
            Spec {
                run: Run {
                    args: vec!["a".into(), "b".into()],
                    env: [("k".into(), "v\n".into())].into(),
                    dirs: vec!["fs-tests.dir".into()],
                    root: None,
                },
                exit_code: 33,
                stdout: Some("out".into()),
                stderr: "err".into(),
                ..Spec::default()
            }
        );
        assert_eq!(tests[2].spec, Spec::default());
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
                "wasm32-wasip1 or wasm32-wasip3",
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
                &[(C, NAMED), (test, ""), (json, r#"{"dirs": ["gone.dir"]}"#)],
                json,
                "gone.dir is no folder beside it",
            ),
            (
                &[(C, NAMED), (test, ""), (json, r#"{"dirs": ["../.."]}"#)],
                json,
                "../.. is no folder beside it",
            ),
            (
                &[(C, NAMED), (test, ""), (json, r#"{"root": "/"}"#)],
                json,
                "/ is no folder beside it",
            ),
        ];
        for (files, file, expected) in cases {
            let checkout = checkout(files);
            let error = format!("{:#}", tests(checkout.path(), &Target::ALL).unwrap_err());
            assert!(error.contains(file), "{file}: {error}");
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }
}
