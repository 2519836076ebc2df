//! What the kernel costs: its image, its RAM, its start, and its requests a second beside those of
//! `agave serve` on this machine.

use super::built::{Built, TINY};
use anyhow::{Context, Result, ensure};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};
use xtask::client::Client;
use xtask::machine::{self, Board, Console, Machine};

/// Requests that are measured, and those before.
const REQUESTS: usize = 2000;
const WARM_UP: usize = 200;

const AT_ONCE: usize = 16;

/// Measures, and prints a table.
pub(super) fn run(root: &Path) -> Result<()> {
    let built = Built::build_with(root, &["--release"])?;
    let scratch = tempfile::tempdir()?;
    let program = root.join(TINY);
    let image = fs::metadata(&built.kernel)
        .context("the kernel's image")?
        .len();
    println!("kernel image: {:.2} MB", image as f64 / 1e6);
    let mut native = AgaveServe::start(&built.agave, &program)?;
    println!(
        "| | start to first response | RAM that suffices | one after another | {AT_ONCE} at once |"
    );
    println!("|---|---|---|---|---|");
    let one = rate(native.port, 1)?;
    let many = rate(native.port, AT_ONCE)?;
    println!(
        "| agave serve | {:.0} ms | | {one:.0}/s | {many:.0}/s |",
        native.start.as_secs_f64() * 1e3
    );
    native.end();
    for (name, board, pulley) in [
        ("microvm", Board::Microvm, false),
        ("q35", Board::Q35, false),
        ("microvm, Pulley", Board::Microvm, true),
    ] {
        let initrd = scratch.path().join(name);
        let compiled = scratch.path().join("program.cwasm");
        built.compile(&program, pulley, &compiled)?;
        machine::initrd(&initrd, &[("program.cwasm".into(), compiled)], None)?;
        let with = |memory| Machine {
            kernel: built.kernel.clone(),
            board,
            cpu: "max",
            memory,
            line: "serve program.cwasm :80".into(),
            initrd: initrd.clone(),
            network: true,
            forward: Some((0, 80)),
            disk: None,
            monitor: Some(scratch.path().join("monitor")),
        };
        let begun = Instant::now();
        let console = Console::start(&with(64))?;
        console.wait_for("listening")?;
        let port = console.port()?;
        get(&mut Client::connect(port)?)?;
        let start = begun.elapsed().as_secs_f64() * 1e3;
        let rates = (rate(port, 1)?, rate(port, AT_ONCE)?);
        drop(console);
        let least = least(&with)?;
        println!(
            "| {name} | {start:.0} ms | {least} MiB | {:.0}/s ({:.3}×) | {:.0}/s ({:.3}×) |",
            rates.0,
            rates.0 / one,
            rates.1,
            rates.1 / many,
        );
    }
    Ok(())
}

/// The least MiB of RAM with which a machine answers.
fn least(with: &dyn Fn(u32) -> Machine) -> Result<u32> {
    let (mut fails, mut works) = (1, 64);
    while works - fails > 1 {
        let memory = (fails + works) / 2;
        let console = Console::start(&with(memory))?;
        let answers = console
            .wait_for("listening")
            .and_then(|()| get(&mut Client::connect(console.port()?)?));
        match answers {
            Ok(()) => works = memory,
            Err(_) => fails = memory,
        }
    }
    Ok(works)
}

struct AgaveServe {
    child: Child,
    port: u16,
    start: Duration,
}

impl AgaveServe {
    fn start(agave: &Path, program: &Path) -> Result<Self> {
        let begun = Instant::now();
        let mut child = Command::new(agave)
            .args(["serve", "--addr=127.0.0.1:0"])
            .arg(program)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting agave")?;
        let log = child.stderr.take().context("its log")?;
        let mut lines = BufReader::new(log).lines();
        let port = lines.find_map(|line| {
            let line = line.ok()?;
            let at = line.find("127.0.0.1:")? + "127.0.0.1:".len();
            let digits: String = line[at..]
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            digits.parse().ok()
        });
        thread::spawn(move || lines.for_each(drop));
        let port = port.context("agave serve did not say where it listens")?;
        get(&mut Client::connect(port)?)?;
        let start = begun.elapsed();
        Ok(Self { child, port, start })
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for AgaveServe {
    fn drop(&mut self) {
        self.end();
    }
}

/// A request, which is to succeed.
fn get(client: &mut Client) -> Result<()> {
    let (status, body) = client.get("/")?;
    ensure!(
        status == 200 && !body.is_empty(),
        "status {status}, {body:?}"
    );
    Ok(())
}

/// Requests a second over so many connections, which are there before: QEMU accepts them one by
/// one, and a burst of them waits for that.
fn rate(port: u16, connections: usize) -> Result<f64> {
    let mut clients = Vec::new();
    for _ in 0..connections {
        let mut client = Client::connect(port)?;
        get(&mut client)?;
        clients.push(client);
    }
    each(&mut clients, WARM_UP)?;
    let begun = Instant::now();
    each(&mut clients, REQUESTS)?;
    Ok(REQUESTS as f64 / begun.elapsed().as_secs_f64())
}

/// Sends so many requests over all of `clients`.
fn each(clients: &mut [Client], requests: usize) -> Result<()> {
    let share = requests / clients.len();
    thread::scope(|scope| {
        let clients: Vec<_> = clients
            .iter_mut()
            .map(|client| scope.spawn(move || (0..share).try_for_each(|_| get(client))))
            .collect();
        clients
            .into_iter()
            .try_for_each(|client| match client.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            })
    })
}
