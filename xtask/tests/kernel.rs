//! The kernel in QEMU: what it runs and serves, and what it survives. `cargo xtask kernel test`
//! builds what these tests start, and runs them.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::{Shutdown, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, thread};
use tempfile::TempDir;
use xtask::client::Client;
use xtask::machine::{Board, Console, Machine, initrd};

/// From the kernel, the loopback network of this machine.
const HOST: &str = "10.0.2.2";

/// A machine to be, with its files.
struct Setup {
    _folder: TempDir,
    machine: Machine,
}

impl Setup {
    /// One with the compiled program `name.target` as `program.cwasm`.
    fn new(program: &str, line: &str) -> Self {
        Self::with(&[("program.cwasm", program)], line)
    }

    /// One with these files: their names, and those of what was built.
    fn with(files: &[(&str, &str)], line: &str) -> Self {
        let built = env::var_os("AGAVE_KERNEL").expect("run by `cargo xtask kernel test`");
        let built = Path::new(&built);
        let folder = TempDir::new().unwrap();
        let path = |name: &str| folder.path().join(name);
        let files: Vec<(String, PathBuf)> = files
            .iter()
            .map(|(name, from)| (String::from(*name), built.join(from)))
            .collect();
        initrd(&path("initrd"), &files, None).unwrap();
        let machine = Machine {
            kernel: built.join("kernel"),
            board: Board::Microvm,
            cpu: "max",
            memory: 64,
            line: line.into(),
            initrd: path("initrd"),
            network: true,
            forward: None,
            disk: None,
            monitor: Some(path("monitor")),
        };
        Self {
            _folder: folder,
            machine,
        }
    }

    fn on(mut self, board: Board) -> Self {
        self.machine.board = board;
        self
    }

    fn start(&self) -> Console {
        Console::start(&self.machine).unwrap()
    }

    /// The exit code and all that was written.
    fn ended(&self) -> (Option<u8>, String) {
        self.start().ended().unwrap()
    }

    /// The machine as it listens, and the port that leads to it.
    fn listening(mut self) -> (Self, Console, u16) {
        self.machine.forward = Some((0, 80));
        let console = self.start();
        console.wait_for("agave-kernel: listening on ").unwrap();
        let port = console.port().unwrap();
        (self, console, port)
    }
}

fn get(port: u16, target: &str) -> (u16, String) {
    Client::connect(port).unwrap().get(target).unwrap()
}

/// The lines that say what of the heap is used: now, and at most.
fn heap(console: &str) -> Vec<(u64, u64)> {
    let lines = console
        .lines()
        .filter(|line| line.starts_with("agave-kernel: heap: "));
    let numbers = lines.map(|line| {
        let words = line.split([' ', ',']).filter_map(|word| word.parse().ok());
        words.collect::<Vec<u64>>()
    });
    numbers.map(|numbers| (numbers[0], numbers[2])).collect()
}

/// A server on this machine's loopback that gives back what it gets, after `echo:`.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut message = Vec::new();
            if stream.read_to_end(&mut message).is_ok() {
                let _ = stream.write_all(&[b"echo:", &message[..]].concat());
                let _ = stream.shutdown(Shutdown::Write);
            }
        }
    });
    port
}

#[test]
#[ignore = "needs QEMU: cargo xtask kernel test"]
fn the_demo_passes() {
    for (board, target) in [
        (Board::Microvm, "native"),
        (Board::Q35, "native"),
        (Board::Microvm, "pulley"),
    ] {
        let files = [("demo.cwasm", &*format!("wasi_demo.{target}.cwasm"))];
        let (code, console) = Setup::with(&files, "demo").on(board).ended();
        assert_eq!(code, Some(0), "{board:?} {target}:\n{console}");
        let told = "22 ok, 0 denied, 0 absent, 0 FAILED\n";
        assert!(console.contains(told), "{console}");
    }
}

#[test]
#[ignore = "needs QEMU: cargo xtask kernel test"]
fn a_program_has_its_arguments_and_environment_and_the_machine_its_exit_code() {
    let line = "A=b run program.cwasm args one \"two words\"";
    let (code, console) = Setup::new("command.native.cwasm", line).ended();
    assert_eq!(code, Some(0), "{console}");
    assert!(
        console.contains("arg one\n") && console.contains("arg two words\n"),
        "{console}"
    );
    for (arguments, expected) in [("read /nothing", 1), ("exit 0", 0)] {
        let line = format!("run program.cwasm {arguments}");
        let (code, console) = Setup::new("command.native.cwasm", &line).ended();
        assert_eq!(code, Some(expected), "{console}");
    }
    let (code, console) = Setup::new("command.native.cwasm", "run program.cwasm trap").ended();
    assert_eq!(code, None, "{console}");
    assert!(console.contains("unreachable"), "{console}");
}

#[test]
#[ignore = "needs QEMU: cargo xtask kernel test"]
fn what_is_typed_is_standard_input() {
    let setup = Setup::new("command.native.cwasm", "run program.cwasm cat");
    let mut console = setup.start();
    // Before its first line, the port is still being set up.
    console.wait_for("agave-kernel: address").unwrap();
    console.type_in("typed\n\u{4}").unwrap();
    let (code, console) = console.ended().unwrap();
    assert_eq!(code, Some(0), "{console}");
    assert!(console.contains("typed\n"), "{console}");
}

#[test]
#[ignore = "needs QEMU: cargo xtask kernel test"]
fn what_can_t_be_run_is_refused_with_what_to_do() {
    for (line, told) in [
        ("run nothing.cwasm", "nothing.cwasm"),
        ("fly", "fly"),
        ("", "run PROGRAM"),
    ] {
        let (code, console) = Setup::new("command.native.cwasm", line).ended();
        assert_eq!(code, None, "{console}");
        assert!(console.contains("agave-kernel: error: "), "{console}");
        assert!(console.contains(told), "{console}");
    }
    // The kernel's own image is no program.
    let (code, console) = Setup::new("kernel", "run program.cwasm").ended();
    assert_eq!(code, None, "{console}");
    assert!(console.contains("not WebAssembly"), "{console}");
}

#[test]
#[ignore = "needs QEMU: cargo xtask kernel test"]
fn without_entropy_or_the_instructions_that_programs_need_nothing_runs() {
    for (cpu, told) in [
        ("max,rdrand=off,rdseed=off", "RDRAND"),
        ("max,sse4.1=off", "sse41"),
    ] {
        let mut setup = Setup::new("command.native.cwasm", "run program.cwasm args");
        setup.machine.cpu = cpu;
        let (code, console) = setup.ended();
        assert_eq!(code, None, "{console}");
        assert!(
            console.to_lowercase().contains(&told.to_lowercase()),
            "{console}"
        );
    }
}

#[test]
#[ignore = "needs QEMU: cargo xtask kernel test"]
fn the_agents_answer_and_reach_a_server_outside() {
    let outside = echo();
    for (program, board) in [
        ("ai_agent_sockets.native.cwasm", Board::Microvm),
        ("ai_agent_sockets.native.cwasm", Board::Q35),
        ("ai_agent_sockets.pulley.cwasm", Board::Microvm),
        ("ai_agent_sockets_p3.native.cwasm", Board::Microvm),
        ("ai_agent_sockets_p3.native.cwasm", Board::Q35),
        ("ai_agent_sockets_p3.pulley.cwasm", Board::Microvm),
    ] {
        let setup = Setup::new(program, "serve program.cwasm :80").on(board);
        let (_setup, console, port) = setup.listening();
        let of = || format!("{program} on {board:?}:\n{}", console.text());
        assert_eq!(get(port, "/health"), (200, "ok".into()), "{}", of());
        let target = format!("/tcp/send?host={HOST}&port={outside}&msg=hello+kernel");
        assert_eq!(
            get(port, &target),
            (200, "echo:hello kernel".into()),
            "{}",
            of()
        );
    }
}

#[test]
#[ignore = "needs QEMU: cargo xtask kernel test"]
fn thousands_of_requests_in_a_row_and_sixteen_at_once_leave_nothing_in_the_heap() {
    for program in [
        "hello_tiny.native.cwasm",
        "ai_agent_sockets_p3.native.cwasm",
    ] {
        let setup = Setup::new(program, "stats serve program.cwasm :80");
        let (_setup, console, port) = setup.listening();
        let target = match program {
            "hello_tiny.native.cwasm" => "/",
            _ => "/health",
        };
        // One after another at the end: a line counts what is at work as it is written.
        let round = || {
            thread::scope(|scope| {
                for _ in 0..16 {
                    scope.spawn(|| {
                        let mut client = Client::connect(port).unwrap();
                        (0..125).for_each(|_| assert_eq!(client.get(target).unwrap().0, 200));
                    });
                }
            });
            let mut client = Client::connect(port).unwrap();
            (0..2000).for_each(|_| assert_eq!(client.get(target).unwrap().0, 200));
        };
        round();
        let warm = heap(&console.text())
            .last()
            .copied()
            .expect("a line about the heap");
        round();
        let after = heap(&console.text());
        let last = after.last().copied().unwrap();
        let told = console.text();
        assert!(after.len() >= 8, "{told}");
        // By the buffers of a connection; at most, by how many of the sixteen met, up to all.
        assert!(last.0 <= warm.0 + (256 << 10), "{told}");
        assert!(last.1 <= 2 * warm.1 + (4 << 20), "{told}");
    }
}

#[test]
#[ignore = "needs QEMU: cargo xtask kernel test"]
fn a_request_that_spins_does_not_stop_the_others_and_ends_at_the_timeout() {
    for program in [
        "testbed.native.cwasm",
        "testbed_p3.native.cwasm",
        "testbed.pulley.cwasm",
    ] {
        let setup = Setup::new(program, "timeout 5000 serve program.cwasm :80");
        let (_setup, console, port) = setup.listening();
        let answers = if program.contains("p3") {
            "/hello"
        } else {
            "/status"
        };
        let mut spinning = Client::connect(port).unwrap();
        let begun = Instant::now();
        spinning.send("/spin").unwrap();
        let mut served = 0;
        while begun.elapsed() < Duration::from_secs(3) {
            assert_eq!(get(port, answers).0, 200, "{program}:\n{}", console.text());
            served += 1;
        }
        assert!(served >= 5, "{program}: {served} served beside it");
        assert_eq!(
            spinning.receive().unwrap().0,
            500,
            "{program}:\n{}",
            console.text()
        );
    }
}

#[test]
#[ignore = "needs QEMU: cargo xtask kernel test"]
fn a_guest_that_traps_or_asks_for_too_much_ends_alone() {
    let line = "memory 16 timeout 10000 serve program.cwasm :80";
    let (_setup, console, port) = Setup::new("testbed.native.cwasm", line).listening();
    for (target, status) in [
        ("/trap", 500),
        ("/panic", 500),
        ("/noresponse", 500),
        ("/error", 500),
        ("/grow?mib=1000", 200),
        ("/handles?n=1000000", 500),
        ("/biglist?mib=10", 500),
    ] {
        let answered = get(port, target).0;
        let told = console.text();
        assert_eq!(answered, status, "{target}:\n{told}");
        assert_eq!(
            get(port, "/status"),
            (200, "status\n".into()),
            "after {target}:\n{told}"
        );
    }
}

#[test]
#[ignore = "needs QEMU: cargo xtask kernel test"]
fn a_guest_for_which_there_is_no_heap_left_ends_alone() {
    // More than the machine has.
    let line = "memory 1000 timeout 10000 serve program.cwasm :80";
    let (_setup, console, port) = Setup::new("testbed.native.cwasm", line).listening();
    for _ in 0..3 {
        assert_eq!(get(port, "/grow?mib=500"), (200, "grow refused\n".into()));
        assert_eq!(get(port, "/grow?mib=4").0, 200, "{}", console.text());
    }
}

#[test]
#[ignore = "needs QEMU: cargo xtask kernel test"]
fn a_cable_that_is_pulled_and_put_back_serves_again() {
    for board in [Board::Microvm, Board::Q35] {
        let setup = Setup::new("hello_tiny.native.cwasm", "serve program.cwasm :80").on(board);
        let (_setup, console, port) = setup.listening();
        assert_eq!(get(port, "/").0, 200);
        console.monitor("set_link nic0 off").unwrap();
        // The connection is QEMU's: the kernel hears of it once the cable is back.
        let mut waiting = Client::connect(port).unwrap();
        waiting.send("/").unwrap();
        console.monitor("set_link nic0 on").unwrap();
        let answered = waiting.receive().map(|(status, _)| status);
        assert_eq!(answered.ok(), Some(200), "{board:?}:\n{}", console.text());
        assert_eq!(get(port, "/").0, 200);
    }
}

#[test]
#[ignore = "needs QEMU: cargo xtask kernel test"]
fn each_boot_has_other_random_numbers() {
    let numbers: BTreeSet<String> = (0..2)
        .map(|_| {
            let line = "serve program.cwasm :80";
            let (_setup, _console, port) = Setup::new("testbed_p3.native.cwasm", line).listening();
            let (status, told) = get(port, "/count");
            assert_eq!(status, 200);
            told
        })
        .collect();
    assert_eq!(numbers.len(), 2, "{numbers:?}");
}

/// A disk with a volume, on which is `from-here.txt`.
fn disk(path: &Path) {
    let mut image = File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)
        .unwrap();
    image.set_len(8 << 20).unwrap();
    fatfs::format_volume(&mut image, fatfs::FormatVolumeOptions::new()).unwrap();
    let volume = fatfs::FileSystem::new(&image, fatfs::FsOptions::new()).unwrap();
    let mut file = volume.root_dir().create_file("from-here.txt").unwrap();
    file.write_all(b"hello kernel\n").unwrap();
}

#[test]
#[ignore = "needs QEMU: cargo xtask kernel test"]
fn a_file_on_the_disk_is_there_after_a_reboot_and_for_other_systems() {
    for board in [Board::Microvm, Board::Q35] {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("disk");
        disk(&path);
        for (arguments, expected) in [
            ("write \"/disk/a long name.txt\" kept", ""),
            ("read \"/disk/a long name.txt\"", "kept"),
            ("read /disk/from-here.txt", "hello kernel\n"),
        ] {
            let line = format!("run program.cwasm {arguments}");
            let mut setup = Setup::new("command.native.cwasm", &line).on(board);
            setup.machine.disk = Some(path.clone());
            let (code, console) = setup.ended();
            assert_eq!(code, Some(0), "{board:?} {arguments}:\n{console}");
            assert!(
                console.contains(expected),
                "{board:?} {arguments}:\n{console}"
            );
        }
        let image = File::open(&path).unwrap();
        let volume = fatfs::FileSystem::new(Reading(image), fatfs::FsOptions::new()).unwrap();
        let mut text = String::new();
        let mut file = volume.root_dir().open_file("a long name.txt").unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "kept");
    }
}

#[test]
#[ignore = "needs QEMU: cargo xtask kernel test"]
fn a_disk_without_a_volume_is_refused_with_what_to_do() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("disk");
    File::create(&path).unwrap().set_len(1 << 20).unwrap();
    let mut setup = Setup::new("command.native.cwasm", "run program.cwasm args");
    setup.machine.disk = Some(path);
    let (code, console) = setup.ended();
    assert_eq!(code, None, "{console}");
    assert!(
        console.contains("agave-kernel: error: ") && console.contains("FAT"),
        "{console}"
    );
}

/// A file that is not written.
struct Reading(File);

impl Read for Reading {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read(buf)
    }
}

impl Write for Reading {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ReadOnlyFilesystem.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Reading {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}
