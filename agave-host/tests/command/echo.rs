//! The guest `echo`, a core module in C: a server of many clients on sockets that listen when
//! it starts.

use crate::support::folder::{Folder, text};
use crate::support::module::ENGINES;
use crate::support::program::Program;
use crate::support::server::{Output, assert_one_line, forget_peak, guest, peak, run};
use crate::support::{PATIENCE, at_once};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// The server, with so many sockets.
struct Echo {
    program: Program,
    addresses: Vec<SocketAddr>,
}

impl Echo {
    fn start(engine: &str, listeners: usize, flags: &[&str], arguments: &[&str]) -> Self {
        let listen = ["--tcplisten", "127.0.0.1:0"].repeat(listeners);
        let echo = guest("echo");
        let all = [
            &["--engine", engine],
            &listen[..],
            flags,
            &[&echo],
            arguments,
        ]
        .concat();
        let mut program = Program::run(&all);
        let address = |line: String| {
            let address = line.strip_prefix("Listening on ").expect("an address");
            address.parse().expect("an address")
        };
        let addresses = (0..listeners).map(|_| address(program.message())).collect();
        for fd in 3..3 + listeners {
            assert_eq!(program.line(), format!("listening on {fd}"));
        }
        Self { program, addresses }
    }

    fn connect(&self) -> TcpStream {
        connect(self.addresses[0])
    }

    /// Waits until it ends by itself.
    #[track_caller]
    fn served(self, clients: usize, bytes: usize) {
        let Output {
            code,
            stdout,
            stderr,
        } = self.program.ended();
        let told = format!("served {clients} clients, {bytes} bytes\n");
        assert_eq!((code, stdout, stderr.as_str()), (Some(0), told, ""));
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Sends `bytes`, and gets them back.
#[track_caller]
fn echoes(mut stream: &TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).expect("it reads");
    let mut back = vec![0; bytes.len()];
    stream.read_exact(&mut back).expect("it writes");
    assert_eq!(back, bytes);
}

fn rest(mut stream: &TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("the end");
    rest
}

/// Sends until nobody takes it any more, and gives how many bytes were taken.
fn fill(mut stream: &TcpStream) -> Vec<u8> {
    stream
        .set_write_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    let block: Vec<u8> = (0..1 << 16).map(|n| (n % 251) as u8).collect();
    let mut sent = Vec::new();
    loop {
        match stream.write(&block) {
            Ok(n) => sent.extend(&block[..n]),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return sent;
            }
        }
        assert!(sent.len() < 64 << 20, "it takes all");
    }
}

#[test]
fn a_client_gets_back_what_it_sends_and_the_rest_after_its_end() {
    for engine in ENGINES {
        let server = Echo::start(engine, 1, &[], &["1"]);
        let mut client = server.connect();
        echoes(&client, b"hello");
        client.write_all(b"the rest").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(&client), b"the rest");
        server.served(1, 13);
    }
}

#[test]
fn twenty_clients_at_once_each_get_back_a_megabyte() {
    const BYTES: usize = 1 << 20;
    for engine in ENGINES {
        let server = Echo::start(engine, 1, &[], &["20", "20"]);
        at_once(20, |n| {
            let stream = server.connect();
            let bytes: Vec<u8> = (0..BYTES).map(|i| ((i * (n + 3)) >> 4) as u8).collect();
            let back = thread::scope(|scope| {
                scope.spawn(|| {
                    (&stream).write_all(&bytes).unwrap();
                    stream.shutdown(Shutdown::Write).unwrap();
                });
                rest(&stream)
            });
            assert!(back == bytes, "{engine}: client {n} got {}", back.len());
        });
        server.served(20, 20 * BYTES);
    }
}

#[test]
fn one_more_than_are_served_at_once_waits_until_another_leaves() {
    for engine in ENGINES {
        let server = Echo::start(engine, 1, &[], &["3", "2"]);
        let (one, two) = (server.connect(), server.connect());
        echoes(&one, b"1");
        echoes(&two, b"2");
        let mut three = server.connect();
        three.write_all(b"3").unwrap();
        three
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        assert_eq!(
            three.read(&mut [0]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        three.set_read_timeout(Some(PATIENCE)).unwrap();
        drop(one);
        let mut back = [0];
        three.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"3");
        drop((two, three));
        server.served(3, 3);
    }
}

#[test]
fn who_does_not_read_is_held_up_costs_no_memory_and_holds_up_nobody() {
    for engine in ENGINES {
        let mut server = Echo::start(engine, 1, &[], &["2"]);
        let lazy = server.connect();
        echoes(&lazy, b"first");
        forget_peak(server.program.child());
        let before = peak(server.program.child());
        let sent = fill(&lazy);
        let grown = peak(server.program.child()) - before;
        assert!(grown <= 4, "{engine}: {grown} MiB for {} bytes", sent.len());
        let other = server.connect();
        echoes(&other, b"x");
        drop(other);
        // It gets all of it once it reads.
        lazy.shutdown(Shutdown::Write).unwrap();
        assert!(rest(&lazy) == sent, "{engine}");
        server.served(2, 5 + sent.len() + 1);
    }
}

#[test]
fn a_client_that_resets_its_connection_counts_as_served_and_the_others_go_on() {
    for engine in ENGINES {
        let mut server = Echo::start(engine, 1, &[], &["3"]);
        let other = server.connect();
        echoes(&other, b"before");
        // Closing with unread bytes resets: once while it is full, once while it is idle.
        let full = server.connect();
        assert!(!fill(&full).is_empty());
        drop(full);
        let mut idle = server.connect();
        idle.write_all(b"yz").unwrap();
        idle.read_exact(&mut [0]).unwrap();
        drop(idle);
        echoes(&other, b"after");
        drop(other);
        let end = server.program.line();
        assert!(end.starts_with("served 3 clients, "), "{engine}: {end}");
        let output = server.program.ended();
        assert_eq!(
            (output.code, output.stderr.as_str()),
            (Some(0), ""),
            "{engine}"
        );
    }
}

#[test]
fn quit_ends_it_once_everybody_has_what_is_their_own() {
    for engine in ENGINES {
        let server = Echo::start(engine, 1, &[], &[]);
        let (one, mut two) = (server.connect(), server.connect());
        echoes(&one, b"quits\nno quit\n");
        echoes(&two, b"qu");
        two.write_all(b"it\r\n").unwrap();
        assert_eq!(rest(&two), b"it\r\n");
        assert_eq!(rest(&one), b"");
        server.served(2, 20);
    }
}

#[test]
fn who_does_not_read_holds_up_the_end_for_a_second() {
    for engine in ENGINES {
        let mut server = Echo::start(engine, 1, &[], &[]);
        let lazy = server.connect();
        fill(&lazy);
        let two = server.connect();
        let begun = Instant::now();
        echoes(&two, b"quit\n");
        let end = server.program.line();
        assert!(begun.elapsed() >= Duration::from_millis(900), "{engine}");
        assert!(end.starts_with("served 2 clients, "), "{engine}: {end}");
        assert_eq!(server.program.ended().code, Some(0), "{engine}");
    }
}

#[test]
fn two_sockets_are_served_side_by_side_with_directories_behind_them() {
    for engine in ENGINES {
        let folder = Folder::new(&format!("echo-two-{engine}"));
        let dir = text(&folder.0) + "::/";
        for flags in [&[][..], &["--dir", &dir], &["--fs", "memory"]] {
            let server = Echo::start(engine, 2, flags, &["4"]);
            assert_ne!(server.addresses[0], server.addresses[1]);
            let clients: Vec<_> = [0, 1, 1, 0].map(|n| connect(server.addresses[n])).into();
            for client in &clients {
                echoes(client, b"z");
            }
            drop(clients);
            server.served(4, 4);
        }
    }
}

#[test]
fn a_socket_of_ipv6_is_as_good() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    for engine in ENGINES {
        let arguments = [
            "--engine",
            engine,
            "--tcplisten",
            "[::1]:0",
            &guest("echo"),
            "1",
        ];
        let mut program = Program::run(&arguments);
        let line = program.message();
        let address = line.strip_prefix("Listening on ").expect("an address");
        assert!(address.starts_with("[::1]:"), "{line}");
        let client = connect(address.parse().unwrap());
        echoes(&client, b"six");
        drop(client);
        let output = program.ended();
        assert_eq!(output.stdout, "listening on 3\nserved 1 clients, 3 bytes\n");
        assert_eq!(output.code, Some(0));
    }
}

#[test]
fn without_a_socket_or_with_wrong_arguments_it_says_so_with_code_2() {
    let echo = guest("echo");
    let folder = Folder::new("echo-misuse");
    let dir = text(&folder.0) + "::/";
    for engine in ENGINES {
        for flags in [&[][..], &["--dir", &dir], &["--fs", "memory"]] {
            let arguments = [&["run", "--engine", engine], flags, &[&echo]].concat();
            assert_one_line(&arguments, 2, &["echo: no socket"]);
        }
        for arguments in [&["0"][..], &["x"], &["1", "1025"], &["1", "2", "3"], &[""]] {
            let all = [&["run", "--engine", engine, &echo], arguments].concat();
            let output = run(&all);
            assert_eq!(output.code, Some(2), "{engine} {arguments:?}: {output:?}");
            assert!(output.stderr.starts_with("usage: echo "), "{output:?}");
        }
    }
}

#[test]
fn a_timeout_ends_a_server_that_waits_and_closes_its_connections() {
    for engine in ENGINES {
        let server = Echo::start(engine, 1, &["--timeout", "1500ms"], &[]);
        let client = server.connect();
        echoes(&client, b"hello");
        assert_eq!((&client).read(&mut [0]).unwrap_or(0), 0);
        let mut program = server.program;
        let status = crate::support::server::wait(program.child());
        assert_eq!(status.code(), Some(134), "{engine}");
        assert!(
            program.ended().stderr.contains("ran out of time"),
            "{engine}"
        );
    }
}
