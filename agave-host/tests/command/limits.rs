//! What guests and clients can make the server hold.

use crate::support::at_once;
use crate::support::http::{Content, Request};
use crate::support::peer::{self, Peer};
use crate::support::server::Server;
use crate::support::wait_until;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

#[test]
fn what_a_guest_makes_the_host_hold_is_bounded() {
    let server = Server::guest("testbed", &[]);
    assert_eq!(server.get("/status").status(), 200);
    server.forget_peak();
    let before = server.peak();
    for (target, status, guests_own) in [
        // A list that it hands to the host lies in its own memory once.
        ("/biglist?kind=write&mib=100", 200, 110),
        ("/biglist?kind=header&mib=100", 500, 110),
        ("/biglist?mib=100", 500, 110),
        ("/handles?n=1000000", 500, 110),
        ("/poll?n=1000000", 500, 110),
        ("/hugeheaders?size=8192&n=100000", 200, 110),
        ("/hugeheaders?size=0&n=1000000", 200, 110),
    ] {
        let response = server.get(target);
        assert_eq!(response.status(), status, "{target}: {response:?}");
        let grown = server.peak() - before;
        assert!(grown <= guests_own + 30, "{target}: {grown} MiB");
    }
    assert_eq!(server.get("/status").told(), (200, "status\n"));
}

#[test]
fn many_guests_that_want_too_much_at_once_are_bounded_too() {
    // Of their own they have next to nothing.
    let server = Server::guest("testbed", &["--max-memory", "8M"]);
    assert_eq!(server.get("/status").status(), 200);
    server.forget_peak();
    let before = server.peak();
    let targets = [
        "/handles",
        "/hugeheaders?size=100000",
        "/poll?n=1000000",
        "/biglist",
    ];
    at_once(32, |i| {
        let response = server.get(targets[i % targets.len()]);
        assert!(matches!(response.status(), 200 | 500), "{response:?}");
    });
    let grown = server.peak() - before;
    assert!(grown <= 32 * 8 + 64, "{grown} MiB");
}

#[test]
fn header_fields_of_a_guest_have_a_limit() {
    let server = Server::guest("testbed", &[]);
    for target in [
        "/hugeheaders?size=8192",
        "/hugeheaders?size=0",
        "/hugeheaders?size=8192&send=1",
    ] {
        let response = server.get(target);
        let (status, text) = response.told();
        assert_eq!(status, 200, "{target}: {text}");
        assert!(text.contains("refused Some("), "{target}: {text}");
    }
    let (few, n) = (server.get("/hugeheaders?n=50&size=100&send=1"), 50);
    assert_eq!(few.told(), (200, "appended 50 refused None\n"));
    let sent = few
        .head
        .fields
        .iter()
        .filter(|(name, _)| name.starts_with("x-"));
    assert_eq!(sent.count(), n);
}

#[test]
fn memory_beyond_the_limit_is_refused_to_the_guest() {
    for flags in [["--max-memory", "16M"], ["-W", "max-memory-size=16777216"]] {
        let server = Server::guest("testbed", &flags);
        for (target, told) in [
            ("/grow?mib=4", "grew 4194304\n"),
            ("/grow?mib=16", "grow refused\n"),
            ("/grow?mib=1000", "grow refused\n"),
        ] {
            assert_eq!(server.get(target).told(), (200, told), "{flags:?} {target}");
        }
    }
}

#[test]
fn many_pollables_at_once_are_fine() {
    let server = Server::guest("testbed", &[]);
    for n in [1, 1000, 4900] {
        let told = format!("ready [{}] of {n}\n", n - 1);
        assert_eq!(
            server.get(&format!("/poll?n={n}&ms=10")).told(),
            (200, told.as_str())
        );
    }
}

#[test]
fn beyond_the_bound_requests_wait_and_beyond_that_they_get_503() {
    const GUESTS: usize = 2;
    const WAITING: usize = 4 * GUESTS;
    const REFUSED: usize = 20;
    let peer = Peer::new(peer::silent);
    let flags = [
        "-S",
        "inherit-network",
        "--timeout",
        "1h",
        "--max-concurrent",
        "2",
    ];
    let server = Server::guest("testbed", &flags);
    let held: Vec<_> = (0..GUESTS)
        .map(|_| {
            let mut connection = server.connect();
            let (_, mut body) = connection.begin(&format!("/sockets?{}", peer.query()));
            assert_eq!(body.text(10), "holding 1\n");
            connection
        })
        .collect();

    let (refused, served) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..WAITING + REFUSED {
            scope.spawn(|| {
                let response = server.get("/status");
                match response.told() {
                    (200, "status\n") => served.fetch_add(1, Ordering::SeqCst),
                    (503, _) => {
                        assert_eq!(response.field("retry-after"), Some("1"));
                        refused.fetch_add(1, Ordering::SeqCst)
                    }
                    other => panic!("{other:?}"),
                }
            });
        }
        wait_until("the others are refused", || {
            refused.load(Ordering::SeqCst) == REFUSED
        });
        assert_eq!(served.load(Ordering::SeqCst), 0);
        drop(held);
    });
    assert_eq!(served.into_inner(), WAITING);
    assert_eq!(refused.into_inner(), REFUSED);
    assert_eq!(server.get("/status").told(), (200, "status\n"));
}

#[test]
fn more_clients_than_guests_at_once_are_all_served_in_turn() {
    let server = Server::guest("testbed", &["--max-concurrent", "8"]);
    at_once(32, |_| {
        let mut connection = server.connect();
        for _ in 0..5 {
            assert_eq!(connection.get("/sleep?ms=5").told(), (200, "slept\n"));
        }
    });
}

#[test]
fn a_guest_whose_client_does_not_read_is_held_up_and_nothing_piles_up() {
    let server = Server::guest("testbed", &["--timeout", "1h"]);
    assert_eq!(server.get("/bytes?n=10").told(), (200, "xxxxxxxxxx"));
    server.forget_peak();
    let before = server.peak();
    let mut connection = server.connect();
    let (head, mut body) = connection.begin("/bytes?n=1000000000");
    assert_eq!(head.status(), 200);
    assert_eq!(body.text(3), "xxx");
    let mut last = u64::MAX;
    wait_until("the guest computes no more", || {
        thread::sleep(std::time::Duration::from_millis(300));
        let now = server.computed();
        // Ticks of 10 ms: next to nothing.
        now.saturating_sub(std::mem::replace(&mut last, now)) <= 1 && last != u64::MAX
    });
    let grown = server.peak() - before;
    assert!(grown <= 24, "{grown} MiB");
    // It goes on when the client does.
    assert_eq!(body.text(64 << 20).len(), 64 << 20);
    let grown = server.peak() - before;
    assert!(grown <= 24, "{grown} MiB");
}

#[test]
fn a_client_that_sends_without_reading_is_held_up_and_nothing_piles_up() {
    let server = Server::guest("testbed", &["--timeout", "1h"]);
    let ready = Request {
        content: Content::Length(b"x"),
        ..Request::new("POST", "/echo")
    };
    assert_eq!(server.request(&ready).told(), (200, "x"));
    server.forget_peak();
    let before = server.peak();
    let mut connection = server.connect();
    connection.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n");
    let pause = std::time::Duration::from_secs(2);
    connection.stream().set_write_timeout(Some(pause)).unwrap();
    let mut sent = 0;
    let chunk = vec![b'x'; 1 << 20];
    // Until it is held up.
    while sent < 1_000_000_000
        && let Ok(bytes) = std::io::Write::write(&mut connection.stream(), &chunk)
    {
        sent += bytes;
    }
    // What is under way lies in the system's buffers, both ways.
    assert!(sent < 200 << 20, "{sent} bytes were taken");
    let grown = server.peak() - before;
    assert!(grown <= 24, "{grown} MiB");
}
