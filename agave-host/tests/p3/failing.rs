//! Guests that misbehave, and what their siblings and clients get.

use crate::support::at_once;
use crate::support::http::{Body, Content, Head, Request};
use crate::support::server::Server;
use crate::support::wait_until;
use std::time::{Duration, Instant};

#[test]
fn a_handler_that_never_answers_is_a_504() {
    let server = Server::testbed(&["--timeout", "500ms"]);
    for target in ["/never", "/sleep?ms=60000", "/block?ms=60000", "/spin"] {
        let begun = Instant::now();
        assert_eq!(server.get(target).status(), 500, "{target}");
        let taken = begun.elapsed();
        assert!(taken >= Duration::from_millis(500), "{target}: {taken:?}");
        assert!(taken < Duration::from_secs(20), "{target}: {taken:?}");
        assert_eq!(server.get("/hello").told(), (200, "hello\n"), "{target}");
    }
}

#[test]
fn a_failure_is_a_500_and_a_line_of_the_log() {
    let server = Server::testbed(&[]);
    for target in ["/trap", "/panic", "/error", "/trap?ms=50"] {
        assert_eq!(server.get(target).status(), 500, "{target}");
        assert_eq!(server.get("/hello").told(), (200, "hello\n"), "{target}");
    }
    let log = server.stop();
    for told in ["unreachable", "a loop was detected"] {
        assert!(
            log.iter().any(|line| line.contains(told)),
            "{told}: {log:#?}"
        );
    }
}

#[test]
fn a_trap_costs_only_the_requests_of_its_instance_and_each_gets_a_500() {
    const HELD: usize = 12;
    let server = Server::testbed(&["--max-instance-concurrent-reuse-count", "64"]);
    let results = std::thread::scope(|scope| {
        let held = scope.spawn(|| at_once(HELD, |_| server.get("/sleep?ms=2000").status()));
        std::thread::sleep(Duration::from_millis(500));
        assert_eq!(server.get("/trap").status(), 500);
        held.join().unwrap()
    });
    // They are in as many instances as there are cores; those of one have failed.
    let failed = results.iter().filter(|status| **status == 500).count();
    let fine = results.iter().filter(|status| **status == 200).count();
    assert_eq!(failed + fine, HELD, "{results:?}");
    assert_eq!(server.get("/hello").told(), (200, "hello\n"));
    let log = server.stop();
    let lines = log
        .iter()
        .filter(|line| line.starts_with("request ") || line.contains("request "));
    assert_eq!(lines.count(), failed + 1, "{log:#?}");
}

#[test]
fn a_trap_cuts_off_the_bodies_of_its_siblings() {
    let server = Server::testbed(&["--max-instance-concurrent-reuse-count", "64"]);
    let held: Vec<_> = (0..8)
        .map(|_| {
            let mut connection = server.connect();
            connection.send("GET /drip?n=200&ms=20 HTTP/1.1\r\nHost: x\r\n\r\n");
            connection
        })
        .collect();
    let ends = std::thread::scope(|scope| {
        let ends: Vec<_> = held
            .into_iter()
            .map(|mut connection| {
                scope.spawn(move || {
                    let head = Head::read(&mut connection.input).unwrap();
                    assert_eq!(head.status(), 200);
                    Body::of_response(&mut connection.input, &head, "GET").rest()
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(500));
        // One for each core at least.
        at_once(8, |_| assert_eq!(server.get("/trap").status(), 500));
        ends.into_iter()
            .map(|it| it.join().unwrap())
            .collect::<Vec<_>>()
    });
    let mut cut = 0;
    for (bytes, end) in ends {
        match end {
            Ok(()) => assert_eq!(bytes.len(), 200),
            Err(_) => {
                assert!(bytes.len() < 200);
                cut += 1;
            }
        }
    }
    assert!(cut > 0);
}

#[test]
fn what_a_guest_does_after_its_answer_goes_on_and_is_logged() {
    let server = Server::testbed(&[]);
    assert_eq!(server.get("/after?ms=100").told(), (200, "answered\n"));
    server.wait_for_line("the guest goes on", |line| {
        line.contains("testbed after done")
    });
}

#[test]
fn a_handler_that_answers_before_it_has_read_the_request_reads_on() {
    const LEN: usize = 5 << 20;
    let server = Server::testbed(&[]);
    let content = vec![b'x'; LEN];
    for content in [Content::Length(&content), Content::Chunks(&content, &[])] {
        let mut connection = server.connect();
        let request = Request {
            content,
            ..Request::new("POST", "/early")
        };
        assert_eq!(connection.exchange(&request).told(), (200, "early\n"));
        assert_eq!(connection.get("/hello").told(), (200, "hello\n"));
    }
    let told = format!("testbed early read {LEN} bytes, Ok(())");
    wait_until("both are read", || {
        server
            .log()
            .iter()
            .filter(|line| line.contains(&told))
            .count()
            == 2
    });
}

#[test]
fn how_sending_a_response_ended_is_told_to_the_guest() {
    let server = Server::testbed(&[]);
    for (target, told) in [
        ("/length?declare=10&send=10", "testbed sent: Ok(())"),
        (
            "/length?declare=10&send=5",
            "testbed sent: Err(ErrorCode::HttpResponseBodySize(Some(5)))",
        ),
        (
            "/length?declare=10&send=15",
            "testbed sent: Err(ErrorCode::HttpResponseBodySize(Some(",
        ),
    ] {
        let _ = server.get(target);
        server.wait_for_line(told, |line| line.contains(told));
    }
}
