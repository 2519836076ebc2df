//! `cargo xtask kernel`: the operating system in `kernel/`, built and started in QEMU.

mod bench;
mod built;
mod conformance;

use anyhow::{Context, Result, bail, ensure};
use built::Built;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};
use xtask::machine::{self, Board, Machine, quoted};

/// The usage, as `cargo xtask` tells it.
pub const USAGE: &str = "\
  kernel run PROGRAM ARGS…    start the kernel in QEMU with this component, and end as it does
  kernel serve PROGRAM        have it answer HTTP on 127.0.0.1, until Ctrl-C
  kernel demo                 have it try every major API
      --board microvm|q35     on this machine, not on microvm
      --memory MIB            with so much RAM, not 64 MiB
      --pulley                by wasmtime's interpreter, not as native code
      --dir FOLDER            with what is in this folder as `/`
      --disk IMAGE            with this FAT volume at `/disk`
      --env NAME=VALUE        with this environment variable
      --port PORT             serve: on this port, not on 8080
      --stats                 tell at the end how much of the heap was used
  kernel test ARGS…           its tests, with the arguments of `cargo test` behind `--`
  kernel conformance PATH     the tests of the official suite for WASI 0.1, as components
  kernel bench                image size, RAM, start, and requests a second beside agave serve
";

/// Does what `args` say. For `run`, the process ends with the program's exit code.
///
/// # Errors
/// `args` are not understood, something does not build, QEMU is not there, or what was run
/// failed.
pub fn run(root: &Path, args: &[&str]) -> Result<()> {
    match args {
        ["test", args @ ..] => test(root, args),
        ["conformance", args @ ..] => conformance::run(root, args),
        ["bench"] => bench::run(root),
        args => boot(root, &Options::parse(args)?),
    }
}

#[derive(Debug, PartialEq)]
enum Action {
    Run {
        program: PathBuf,
        arguments: Vec<String>,
    },
    Serve {
        program: PathBuf,
    },
    Demo,
}

#[derive(Debug, PartialEq)]
struct Options {
    board: Board,
    memory: u32,
    pulley: bool,
    folder: Option<PathBuf>,
    disk: Option<PathBuf>,
    environment: Vec<String>,
    port: u16,
    stats: bool,
    action: Action,
}

impl Options {
    fn parse(args: &[&str]) -> Result<Self> {
        let mut board = Board::Microvm;
        let (mut memory, mut port) = (64, 8080);
        let (mut pulley, mut stats) = (false, false);
        let (mut folder, mut disk, mut environment) = (None, None, Vec::new());
        let mut args = args.iter().copied();
        let action = loop {
            let arg = args
                .next()
                .context("run, serve, demo, test, conformance or bench?")?;
            let mut value = || args.next().with_context(|| format!("{arg} needs a value"));
            match arg {
                "--board" => {
                    let name = value()?;
                    board = Board::named(name)
                        .with_context(|| format!("{name} is no board: microvm or q35"))?;
                }
                "--memory" => memory = value()?.parse().context("--memory takes MiB")?,
                "--port" => port = value()?.parse().context("--port takes a port")?,
                "--pulley" => pulley = true,
                "--stats" => stats = true,
                "--dir" => folder = Some(value()?.into()),
                "--disk" => disk = Some(value()?.into()),
                "--env" => {
                    let variable = value()?;
                    ensure!(variable.find('=') > Some(0), "--env takes NAME=VALUE");
                    environment.push(variable.to_owned());
                }
                "run" => {
                    let program = args.next().context("run needs a program")?.into();
                    let arguments = args.by_ref().map(str::to_owned).collect();
                    break Action::Run { program, arguments };
                }
                "serve" => {
                    let program = args.next().context("serve needs a program")?.into();
                    break Action::Serve { program };
                }
                "demo" => break Action::Demo,
                _ => bail!("unknown: {arg}"),
            }
        };
        if let Some(more) = args.next() {
            bail!("too much: {more}");
        }
        Ok(Self {
            board,
            memory,
            pulley,
            folder,
            disk,
            environment,
            port,
            stats,
            action,
        })
    }
}

/// Starts the kernel with this process's console.
fn boot(root: &Path, options: &Options) -> Result<()> {
    let built = Built::build(root)?;
    let scratch = tempfile::tempdir()?;
    let compile = |wasm: &Path, name: &str| {
        let to = scratch.path().join(name);
        built.compile(wasm, options.pulley, &to)?;
        Ok::<_, anyhow::Error>((name.to_owned(), to))
    };
    let mut line: Vec<String> = options.environment.iter().map(|it| quoted(it)).collect();
    if options.stats {
        line.push("stats".into());
    }
    let mut forward = None;
    let file = match &options.action {
        Action::Run { program, arguments } => {
            line.extend(["run".into(), "program.cwasm".into()]);
            line.extend(arguments.iter().map(|it| quoted(it)));
            compile(program, "program.cwasm")?
        }
        Action::Serve { program } => {
            line.extend(["serve".into(), "program.cwasm".into(), ":80".into()]);
            forward = Some((options.port, 80));
            compile(program, "program.cwasm")?
        }
        Action::Demo => {
            line.push("demo".into());
            compile(&root.join(built::DEMO), "demo.cwasm")?
        }
    };
    let initrd = scratch.path().join("initrd.tar");
    machine::initrd(&initrd, &[file], options.folder.as_deref())?;
    let machine = Machine {
        kernel: built.kernel,
        board: options.board,
        cpu: "max",
        memory: options.memory,
        line: line.join(" "),
        initrd,
        network: true,
        forward,
        disk: options.disk.clone(),
        monitor: None,
    };
    if forward.is_some() {
        eprintln!(
            "http://127.0.0.1:{}/ answers once the kernel listens",
            options.port
        );
    }
    let status = machine.command().status().context(machine::NO_QEMU)?;
    drop(scratch);
    match machine::exit_code(status) {
        Some(code) => std::process::exit(code.into()),
        None => bail!("the kernel did not end as it should: {status}"),
    }
}

/// The kernel's own tests, on this machine and in QEMU.
fn test(root: &Path, args: &[&str]) -> Result<()> {
    let built = Built::build(root)?;
    let folder = tempfile::tempdir()?;
    fs::copy(&built.kernel, folder.path().join("kernel")).context("copying the kernel")?;
    for guest in built::TESTED {
        let wasm = root.join(guest);
        let name = wasm.file_stem().unwrap_or_default().to_string_lossy();
        for (pulley, target) in [(false, "native"), (true, "pulley")] {
            let to = folder.path().join(format!("{name}.{target}.cwasm"));
            built.compile(&wasm, pulley, &to)?;
        }
    }
    let cargo = env::var_os("CARGO").unwrap_or("cargo".into());
    let status = Command::new(cargo)
        .args(["test", "--locked", "--package", "xtask", "--test", "kernel"])
        .args(["--", "--include-ignored"])
        .args(args)
        .env("AGAVE_KERNEL", folder.path())
        .current_dir(root)
        .stdin(Stdio::null())
        .status()
        .context("starting cargo")?;
    ensure!(status.success(), "tests of the kernel failed");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_come_before_what_is_done_and_a_program_has_the_rest() {
        let options = Options::parse(&[
            "--board", "q35", "--memory", "32", "--env", "A=b", "--stats", "run", "a.wasm", "--x",
        ]);
        let options = options.unwrap();
        assert_eq!((options.board, options.memory), (Board::Q35, 32));
        assert_eq!(options.environment, ["A=b"]);
        let arguments = vec!["--x".to_owned()];
        let program = "a.wasm".into();
        assert_eq!(options.action, Action::Run { program, arguments });
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for args in [
            &["--board", "pc", "demo"][..],
            &["--memory", "much", "demo"],
            &["--env", "=x", "demo"],
            &["--dir"],
            &["run"],
            &["serve", "a.wasm", "more"],
            &["fly"],
            &[],
        ] {
            assert!(Options::parse(args).is_err(), "{args:?}");
        }
    }
}
