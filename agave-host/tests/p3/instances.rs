//! Instances that answer many requests: one after another and at once.

use crate::support::at_once;
use crate::support::http::{Connection, Head};
use crate::support::server::Server;
use std::time::{Duration, Instant};

/// The instance that answers, and how many requests it has had.
pub(crate) fn count(connection: &mut Connection) -> (String, u64) {
    let response = connection.get("/count");
    let (status, text) = response.told();
    assert_eq!(status, 200, "{text}");
    let words: Vec<_> = text.split_whitespace().collect();
    let ["instance", instance, "request", number] = words[..] else {
        panic!("{text}");
    };
    (instance.into(), number.parse().unwrap())
}

#[test]
fn an_instance_answers_one_request_after_another_up_to_its_count() {
    let server = Server::testbed(&["--max-instance-reuse-count", "3"]);
    // One connection stays with one core, and so with its instances.
    let mut connection = server.connect();
    let counts: Vec<_> = (0..9).map(|_| count(&mut connection)).collect();
    let numbers: Vec<_> = counts.iter().map(|it| it.1).collect();
    assert_eq!(numbers, [1, 2, 3, 1, 2, 3, 1, 2, 3], "{counts:?}");
    assert_ne!(counts[2].0, counts[3].0, "{counts:?}");
    assert_eq!(counts[3].0, counts[5].0, "{counts:?}");
}

#[test]
fn with_a_count_of_1_each_request_has_a_fresh_instance() {
    let server = Server::testbed(&["--max-instance-reuse-count", "1"]);
    let mut connection = server.connect();
    for _ in 0..5 {
        assert_eq!(count(&mut connection).1, 1);
    }
}

#[test]
fn by_default_an_instance_answers_128_requests() {
    let server = Server::testbed(&["--idle-instance-timeout", "1h"]);
    let mut connection = server.connect();
    let numbers: Vec<_> = (0..130).map(|_| count(&mut connection).1).collect();
    let expected: Vec<_> = (1..=128).chain(1..=2).collect();
    assert_eq!(numbers, expected);
}

#[test]
fn an_instance_without_requests_is_dropped_after_its_time() {
    let server = Server::testbed(&["--idle-instance-timeout", "100ms"]);
    let mut connection = server.connect();
    let first = count(&mut connection).0;
    std::thread::sleep(Duration::from_secs(2));
    assert_ne!(count(&mut connection).0, first);
}

#[test]
fn requests_of_one_instance_wait_at_the_same_time() {
    let server = Server::testbed(&["--max-instance-concurrent-reuse-count", "64"]);
    let begun = Instant::now();
    at_once(32, |_| {
        assert_eq!(server.get("/sleep?ms=1000").told(), (200, "slept\n"));
    });
    // One after the other they would take 32 s.
    assert!(
        begun.elapsed() < Duration::from_secs(20),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn no_more_requests_are_in_an_instance_at_once_than_it_may_have() {
    let flags = [
        "--max-instance-concurrent-reuse-count",
        "1",
        "--timeout",
        "2s",
    ];
    let server = Server::testbed(&flags);
    let mut waiting: Vec<_> = (0..4)
        .map(|_| {
            let mut connection = server.connect();
            connection.send("GET /wait?gate=one HTTP/1.1\r\nHost: x\r\n\r\n");
            connection
        })
        .collect();
    // Nobody else is ever where one of them waits.
    at_once(16, |_| {
        assert_eq!(server.get("/open?gate=one").told(), (200, "opened for 0\n"));
    });
    for connection in &mut waiting {
        let head = Head::read(&mut connection.input).unwrap();
        assert_eq!(head.status(), 500);
    }
}
