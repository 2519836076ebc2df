//! Nothing of one request is readable by the next.

use crate::support::at_once;
use crate::support::server::Server;

#[test]
fn memory_is_fresh_for_every_request() {
    let server = Server::guest("testbed", &[]);
    // The search finds what there is.
    assert!(
        server
            .get("/memory/scan?fill=1")
            .text()
            .starts_with("leaked at 0x")
    );
    at_once(2, |_| {
        let mut connection = server.connect();
        for turn in 0..200 {
            assert_eq!(
                connection.get("/memory").told(),
                (200, "counter 0\n"),
                "{turn}"
            );
            assert_eq!(
                connection.get("/memory/scan").told(),
                (200, "clean\n"),
                "{turn}"
            );
        }
    });
}

#[test]
fn memory_that_a_guest_grew_is_gone() {
    let server = Server::guest("testbed", &["--max-memory", "128M"]);
    let mut connection = server.connect();
    for turn in 0..20 {
        // More than what stays in RAM between two guests.
        assert_eq!(
            connection.get("/grow?mib=64").told(),
            (200, "grew 67108864\n"),
            "{turn}"
        );
        assert_eq!(
            connection.get("/memory").told(),
            (200, "counter 0\n"),
            "{turn}"
        );
        assert_eq!(
            connection.get("/memory/scan").told(),
            (200, "clean\n"),
            "{turn}"
        );
    }
}

#[test]
fn globals_tables_and_segments_are_fresh_for_every_request() {
    let fresh = Server::guest("state_tiny", &[]);
    at_once(2, |_| {
        let mut connection = fresh.connect();
        for turn in 0..300 {
            assert_eq!(connection.get("/").told(), (200, "clean\n"), "{turn}");
        }
    });
}

/// One guest at once: then the next request comes when the instance of the last is free.
fn reused(guest: &str, requests: &str) -> Server {
    let flags = [
        "--max-concurrent",
        "1",
        "--max-instance-reuse-count",
        requests,
    ];
    Server::guest(guest, &flags)
}

#[test]
fn an_instance_that_is_reused_is_as_the_last_request_left_it_and_replaced_in_time() {
    let server = reused("testbed", "3");
    let counters: Vec<_> = (0..10)
        .map(|_| server.get("/memory").text().to_string())
        .collect();
    let expected: Vec<_> = (0..10).map(|i| format!("counter {}\n", i % 3)).collect();
    assert_eq!(counters, expected);

    // An instance that traps is not used again.
    let server = reused("testbed", "3");
    for _ in 0..3 {
        assert_eq!(server.get("/memory").text(), "counter 0\n");
        assert_eq!(server.get("/memory").text(), "counter 1\n");
        assert_eq!(server.get("/trap").status(), 500);
    }
}

#[test]
fn the_guest_that_looks_for_leaks_finds_them_where_an_instance_is_reused() {
    let server = reused("state_tiny", "2");
    assert_eq!(server.get("/").text(), "clean\n");
    // Its passive segment is gone, which is a trap, or what it left is told.
    let second = server.get("/");
    assert!(
        second.status() == 500 || second.text() == "leaked\n",
        "{second:?}"
    );
}
