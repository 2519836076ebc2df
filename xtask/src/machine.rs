//! QEMU with the kernel in it: software emulation, user networking on 127.0.0.1 alone, the
//! serial port as the console.

use anyhow::{Context, Result, bail, ensure};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long the kernel may take for what is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is told where it can't be started.
pub const NO_QEMU: &str =
    "can't start qemu-system-x86_64: install QEMU (Debian: qemu-system-x86, macOS: brew's qemu)";

/// What the kernel's own lines on the console begin with.
pub const OWN: &str = "agave-kernel: ";

/// The machines that the kernel runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Board {
    /// A small one: no PCI, virtio devices on the bus.
    Microvm,
    /// A PC with PCI.
    Q35,
}

impl Board {
    /// That of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "microvm" => Some(Self::Microvm),
            "q35" => Some(Self::Q35),
            _ => None,
        }
    }
}

/// A machine to be started.
#[derive(Clone, Debug)]
pub struct Machine {
    pub kernel: PathBuf,
    pub board: Board,
    /// QEMU's name of the processor.
    pub cpu: &'static str,
    /// MiB of RAM.
    pub memory: u32,
    /// The kernel's command line.
    pub line: String,
    /// The files it has: a tar archive.
    pub initrd: PathBuf,
    /// Whether there is a network card.
    pub network: bool,
    /// A port of 127.0.0.1, 0 for any, and that of the kernel that connections to it go to.
    pub forward: Option<(u16, u16)>,
    /// A volume on a disk.
    pub disk: Option<PathBuf>,
    /// Where QEMU takes commands: a Unix socket.
    pub monitor: Option<PathBuf>,
}

impl Machine {
    /// QEMU, whose standard input and output are the console.
    pub fn command(&self) -> Command {
        let (board, suffix) = match self.board {
            Board::Microvm => ("microvm,rtc=on,auto-kernel-cmdline=off", "device"),
            Board::Q35 => ("q35", "pci"),
        };
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-accel", "tcg", "-cpu", self.cpu, "-M", board])
            .args(["-nodefaults", "-no-user-config", "-no-reboot"])
            .args(["-display", "none", "-serial", "stdio"])
            .args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"])
            .args(["-m", &format!("{}M", self.memory)])
            .arg("-kernel")
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(&self.initrd)
            .args(["-append", &self.line]);
        let mut user = "user,id=n0".to_owned();
        if let Some((host, guest)) = self.forward {
            user += &format!(",hostfwd=tcp:127.0.0.1:{host}-:{guest}");
        }
        if self.network {
            qemu.args(["-netdev", &user])
                .args(["-device", &format!("virtio-net-{suffix},netdev=n0,id=nic0")]);
        }
        if let Some(disk) = &self.disk {
            qemu.arg("-drive")
                .arg(format!("if=none,id=d0,format=raw,file={}", disk.display()))
                .args(["-device", &format!("virtio-blk-{suffix},drive=d0")]);
        }
        if let Some(monitor) = &self.monitor {
            qemu.arg("-monitor")
                .arg(format!("unix:{},server=on,wait=off", monitor.display()));
        }
        qemu
    }
}

/// The exit code of the kernel's program; `None` where there was none, which the console tells.
pub fn exit_code(status: ExitStatus) -> Option<u8> {
    // The device that ends QEMU makes 2n + 1 of n; up to 111, n is the program's.
    let status = u8::try_from(status.code()?).ok()?;
    (status % 2 == 1 && status / 2 <= 111).then_some(status / 2)
}

/// `word` as one of the kernel's command line.
pub fn quoted(word: &str) -> String {
    let escaped = word.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

/// Makes the archive `to` of what is in `folder`, and of files and folders by their names in it.
///
/// # Errors
/// A file can't be read, or the archive not written.
pub fn initrd(to: &Path, files: &[(String, PathBuf)], folder: Option<&Path>) -> Result<()> {
    let mut archive = tar::Builder::new(File::create(to).context("making the initrd")?);
    archive.follow_symlinks(false);
    if let Some(folder) = folder {
        let put = archive.append_dir_all("", folder);
        put.with_context(|| format!("putting {} into the initrd", folder.display()))?;
    }
    for (name, path) in files {
        let put = match path.is_dir() {
            true => archive.append_dir_all(name, path),
            false => archive.append_path_with_name(path, name),
        };
        put.with_context(|| format!("putting {} into the initrd", path.display()))?;
    }
    archive.finish().context("making the initrd")
}

/// A machine that was started, and its console. Dropping it ends it.
pub struct Console {
    child: Child,
    monitor: Option<PathBuf>,
    shared: Arc<Shared>,
    reader: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    text: Mutex<(String, bool)>,
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, (String, bool)> {
        self.text.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Console {
    /// Starts `machine`.
    ///
    /// # Errors
    /// There is no QEMU.
    pub fn start(machine: &Machine) -> Result<Self> {
        let mut child = machine
            .command()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context(NO_QEMU)?;
        let mut output = child.stdout.take().context("QEMU's output")?;
        let shared = Arc::<Shared>::default();
        let kept = shared.clone();
        let reader = thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = output.read(&mut bytes) {
                kept.lock()
                    .0
                    .push_str(&String::from_utf8_lossy(&bytes[..n]));
                kept.changed.notify_all();
            }
            kept.lock().1 = true;
            kept.changed.notify_all();
        });
        Ok(Self {
            child,
            monitor: machine.monitor.clone(),
            shared,
            reader: Some(reader),
        })
    }

    /// All that was written so far.
    pub fn text(&self) -> String {
        self.shared.lock().0.clone()
    }

    /// Waits until `text` was written.
    ///
    /// # Errors
    /// It was not, for a minute or before the machine ended.
    pub fn wait_for(&self, text: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut written = self.shared.lock();
        while !written.0.contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(
                !written.1,
                "the machine ended without {text:?}:\n{}",
                written.0
            );
            ensure!(!left.is_zero(), "there was no {text:?}:\n{}", written.0);
            let waited = self.shared.changed.wait_timeout(written, left);
            written = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// Types `text`.
    ///
    /// # Errors
    /// The machine has ended.
    pub fn type_in(&mut self, text: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().context("QEMU's input")?;
        input.write_all(text.as_bytes())?;
        Ok(input.flush()?)
    }

    /// Waits for the end, and gives the exit code and all that was written.
    ///
    /// # Errors
    /// It has not ended after a minute.
    pub fn ended(mut self) -> Result<(Option<u8>, String)> {
        let deadline = Instant::now() + PATIENCE;
        let mut written = self.shared.lock();
        while !written.1 {
            let left = deadline.saturating_duration_since(Instant::now());
            ensure!(!left.is_zero(), "the machine goes on:\n{}", written.0);
            let waited = self.shared.changed.wait_timeout(written, left);
            written = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(written);
        let status = self.child.wait()?;
        Ok((exit_code(status), self.text()))
    }

    /// Has QEMU do `command`, and gives what it answers.
    ///
    /// # Errors
    /// There is no monitor.
    pub fn monitor(&self, command: &str) -> Result<String> {
        let path = self
            .monitor
            .as_ref()
            .context("the machine has no monitor")?;
        let mut monitor = BufReader::new(UnixStream::connect(path).context("QEMU's monitor")?);
        monitor.get_ref().set_read_timeout(Some(PATIENCE))?;
        until_prompt(&mut monitor)?;
        writeln!(monitor.get_mut(), "{command}")?;
        until_prompt(&mut monitor)
    }

    /// The port of 127.0.0.1 that leads to the kernel's.
    ///
    /// # Errors
    /// There is none.
    pub fn port(&self) -> Result<u16> {
        let told = self.monitor("info usernet")?;
        for line in told
            .lines()
            .filter(|line| line.contains("TCP[HOST_FORWARD]"))
        {
            let mut words = line
                .split_whitespace()
                .skip_while(|word| *word != "127.0.0.1");
            if let Some(port) = words.nth(1) {
                return port.parse().with_context(|| format!("no port: {line}"));
            }
        }
        bail!("no port is forwarded:\n{told}")
    }
}

fn until_prompt(monitor: &mut impl BufRead) -> Result<String> {
    let mut told = Vec::new();
    while !told.ends_with(b"(qemu) ") {
        ensure!(
            monitor.read_until(b' ', &mut told)? > 0,
            "QEMU closed its monitor"
        );
    }
    Ok(String::from_utf8_lossy(&told).into_owned())
}

impl Drop for Console {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}
