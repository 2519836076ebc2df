//! Tasks of one instance: what one does to the others.

use crate::support::http::{Connection, Head};
use crate::support::server::Server;
use crate::support::{at_once, wait_until};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Sends `n` requests, each on a connection of its own.
fn begin(server: &Server, n: usize, target: &str) -> Vec<Connection> {
    let send = |_| {
        let mut connection = server.connect();
        connection.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
        connection
    };
    (0..n).map(send).collect()
}

#[test]
fn a_request_waits_for_what_another_of_its_instance_does() {
    let server = Server::testbed(&["--timeout", "60s", "--idle-instance-timeout", "60s"]);
    let mut opener = server.connect();
    let (tell, answered) = mpsc::channel();
    let (mut waiting, mut opened, mut gate) = (Vec::new(), 0, 0);
    // A request goes where there is room: these go on until some had the same instance.
    wait_until("a gate is open", || {
        gate += 1;
        for mut connection in begin(&server, 2, &format!("/wait?gate={gate}")) {
            let tell = tell.clone();
            waiting.push(std::thread::spawn(move || {
                if let Ok(head) = Head::read(&mut connection.input) {
                    let _ = tell.send(head.status());
                }
            }));
        }
        let response = opener.get(&format!("/open?gate={gate}"));
        let (_, text) = response.told();
        opened += text
            .trim()
            .strip_prefix("opened for ")
            .unwrap()
            .parse::<usize>()
            .unwrap();
        opened > 0
    });
    for _ in 0..opened {
        assert_eq!(answered.recv().unwrap(), 200);
    }
    drop(server);
    for waiting in waiting {
        waiting.join().unwrap();
    }
}

#[test]
fn a_wait_of_0_2_for_what_a_sibling_must_do_ends_at_the_timeout() {
    let server = Server::testbed(&["--timeout", "1s"]);
    let begun = Instant::now();
    let mut waiting = begin(&server, 4, "/wait?gate=never&how=block");
    for connection in &mut waiting {
        let head = Head::read(&mut connection.input).unwrap();
        assert_eq!(head.status(), 500);
    }
    assert!(begun.elapsed() >= Duration::from_secs(1));
    assert_eq!(server.get("/hello").told(), (200, "hello\n"));
}

#[test]
fn a_wait_of_0_2_holds_up_no_new_requests() {
    let server = Server::testbed(&[]);
    let blocked = begin(&server, 4, "/block?ms=5000");
    std::thread::sleep(Duration::from_millis(200));
    // They go to other instances; how long each takes is told.
    let times = at_once(16, |_| {
        let begun = Instant::now();
        assert_eq!(server.get("/hello").told(), (200, "hello\n"));
        begun.elapsed()
    });
    let longest = times.iter().max().unwrap();
    println!("while four instances sleep in poll: {longest:?} at most for a new request");
    assert!(*longest < Duration::from_secs(3), "{times:?}");
    drop(blocked);
}

#[test]
fn a_wait_of_0_2_holds_up_the_siblings_for_as_long_as_it_takes() {
    let server = Server::testbed(&["--max-instance-concurrent-reuse-count", "100"]);
    let siblings = std::thread::scope(|scope| {
        let sleeping = scope.spawn(|| {
            at_once(16, |_| {
                let begun = Instant::now();
                assert_eq!(server.get("/sleep?ms=300").told(), (200, "slept\n"));
                begun.elapsed()
            })
        });
        // These join the instances of those that sleep.
        std::thread::sleep(Duration::from_millis(100));
        at_once(4, |_| {
            assert_eq!(server.get("/block?ms=1000").told(), (200, "blocked\n"));
        });
        sleeping.join().unwrap()
    });
    let longest = siblings.iter().max().unwrap();
    println!("300 ms beside siblings that sleep 1 s in poll: {longest:?} at most");
    // As long as one after the other of the four, and their own time.
    assert!(*longest < Duration::from_secs(15), "{siblings:?}");
}

#[test]
fn a_request_that_spins_holds_up_no_new_requests_and_ends_at_the_timeout() {
    let server = Server::testbed(&["--timeout", "3s"]);
    let mut spinning = begin(&server, 2, "/spin");
    let times = at_once(16, |_| {
        let begun = Instant::now();
        assert_eq!(server.get("/hello").told(), (200, "hello\n"));
        begun.elapsed()
    });
    let longest = times.iter().max().unwrap();
    println!("while two instances spin: {longest:?} at most for a new request");
    for connection in &mut spinning {
        let head = Head::read(&mut connection.input).unwrap();
        assert_eq!(head.status(), 500);
    }
    assert_eq!(server.get("/hello").told(), (200, "hello\n"));
}

#[test]
fn thousands_of_streams_are_open_at_once() {
    let server = Server::testbed(&[]);
    for n in [1, 1000, 4000] {
        let response = server.get(&format!("/streams?n={n}"));
        let told = format!("streams {n} right {n} ended {n} written {n}\n");
        assert_eq!(response.told(), (200, told.as_str()));
        // Those of the host, of requests that are never sent.
        let response = server.get(&format!("/requests?n={n}"));
        let told = format!("requests {n} refused {n} unsent {n}\n");
        assert_eq!(response.told(), (200, told.as_str()));
    }
}
