//! `cargo xtask …`: what the repository needs done beside `cargo build`.

#![forbid(unsafe_code)]

mod cargo;
mod conformance;
mod files;
mod guests;
mod kernel;
mod wit;

use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

const USAGE: &str = "\
usage: cargo xtask COMMAND

  conformance PATH            run the official test suite, a checkout of wasi-testsuite's branch
                              prod/testsuite-all, and print a table
      --agave BIN             with this command, not with one that is built first
      --only NAME             only the tests that have this in their name
      --wasi 0.1|0.3          only the tests of this version of WASI
      --engine wasmtime|wasmi on this engine, not on both
      --fs host|memory        over this filesystem, not over both
  guests                      build all guests and put them where they are committed
  guests --check [--out DIR]  build them, put them into DIR, and fail where a committed
                              one does not belong to its sources
  wit                         fail where two copies of a WIT package differ
";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let root = root()?;
    match args[..] {
        ["guests"] => guests::build(&root),
        ["guests", "--check"] => guests::check(&root, None),
        ["guests", "--check", "--out", dir] | ["guests", "--out", dir, "--check"] => {
            guests::check(&root, Some(Path::new(dir)))
        }
        ["conformance", ref args @ ..] => conformance::run(&root, args),
        ["kernel", ref args @ ..] => kernel::run(&root, args),
        ["wit"] => wit::check(&root),
        [] | ["-h" | "--help" | "help"] => {
            print!("{USAGE}{}", kernel::USAGE);
            Ok(())
        }
        _ => bail!(
            "unknown arguments: {}\n\n{USAGE}{}",
            args.join(" "),
            kernel::USAGE
        ),
    }
}

/// The repository's top.
fn root() -> Result<PathBuf> {
    // Of this run, not of the build: a target folder may serve several clones.
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").context("to be run as `cargo xtask`")?;
    Path::new(&xtask)
        .parent()
        .context("xtask has no parent folder")?
        .canonicalize()
        .context("the repository is not where xtask is")
}
