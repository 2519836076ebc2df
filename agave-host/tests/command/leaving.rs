//! Clients that go away before they have everything.

use crate::support::http::{Body, Head};
use crate::support::peer::{self, Peer};
use crate::support::server::Server;
use crate::support::{at_once, wait_until};
use std::io::Write;
use std::time::{Duration, Instant};

/// Descriptors, once they are no more than `before`.
#[track_caller]
fn wait_for_descriptors(server: &Server, before: usize) {
    wait_until(
        &format!("the server is back at {before} descriptors"),
        || server.descriptors() <= before,
    );
}

#[test]
fn a_client_that_leaves_mid_reply_takes_the_guest_and_its_sockets_with_it() {
    const THREADS: usize = 50;
    const EACH: usize = 20;
    // It sends a byte, and ends only when the agent closes.
    let peer = Peer::new(peer::after_head(|mut stream, _| {
        stream.write_all(b"1")?;
        peer::drain(&stream)
    }));
    let agent = Server::agent(&["-S", "inherit-network"]);
    let leave = || {
        let mut connection = agent.connect();
        let (head, mut body) = connection.begin(&format!("/?{}", peer.query()));
        assert_eq!(head.status(), 200);
        assert_eq!(body.text(1), "1");
    };
    // What is opened once is opened by now.
    at_once(4, |_| leave());
    peer.wait_until_finished(4);
    let before = agent.descriptors();

    at_once(THREADS, |_| (0..EACH).for_each(|_| leave()));
    peer.wait_until_finished(4 + THREADS * EACH);
    wait_for_descriptors(&agent, before);
    assert_eq!(agent.get("/health").told(), (200, "ok"));
    assert_eq!(
        agent.stop(),
        Vec::<String>::new(),
        "a client that leaves is no failure"
    );
}

#[test]
fn a_client_that_leaves_before_the_head_takes_the_guest_with_it() {
    let peer = Peer::new(peer::silent);
    let agent = Server::agent(&["-S", "inherit-network"]);
    let begun = Instant::now();
    let mut connection = agent.connect();
    connection.send(format!(
        "GET /?{} HTTP/1.1\r\nHost: x\r\n\r\n",
        peer.query()
    ));
    wait_until("the agent has dialled", || peer.accepted() == 1);
    drop(connection);
    peer.wait_until_finished(1);
    // By itself it gives up after 10 s.
    assert!(
        begun.elapsed() < Duration::from_secs(9),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_client_that_leaves_while_it_sends_takes_the_guest_with_it() {
    // One guest at once: the next one runs only when this one is gone.
    let server = Server::guest("testbed", &["--timeout", "1h", "--max-concurrent", "1"]);
    let mut connection = server.connect();
    connection.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf");
    let head = Head::read(&mut connection.input).expect("a head");
    assert_eq!(
        Body::of_response(&mut connection.input, &head, "POST").text(4),
        "half"
    );
    drop(connection);
    assert_eq!(server.get("/status").told(), (200, "status\n"));
}

#[test]
fn guests_that_hold_many_sockets_give_them_all_back() {
    let peer = Peer::new(peer::silent);
    // Without its client this guest would hold them for an hour.
    let server = Server::guest("testbed", &["--timeout", "1h", "-S", "inherit-network"]);
    let target = format!("/sockets?{}&n=50", peer.query());
    let hold = || {
        let mut connection = server.connect();
        let (head, mut body) = connection.begin(&target);
        assert_eq!(head.status(), 200);
        assert_eq!(body.text(11), "holding 50\n");
        connection
    };
    drop(hold());
    peer.wait_until_finished(50);
    let before = server.descriptors();
    let held: Vec<_> = (0..10).map(|_| hold()).collect();
    assert!(server.descriptors() >= before + 10 * 50);
    drop(held);
    peer.wait_until_finished(550);
    wait_for_descriptors(&server, before);
}

#[test]
fn a_client_that_leaves_a_guest_that_spins_ends_it() {
    let server = Server::guest("testbed", &["--timeout", "1h", "--max-concurrent", "1"]);
    // One after the other they would keep both of two cores busy.
    for _ in 0..3 {
        let mut connection = server.connect();
        connection.send("GET /spin HTTP/1.1\r\nHost: x\r\n\r\n");
        let before = server.computed();
        wait_until("the guest spins", || server.computed() >= before + 10);
        drop(connection);
        assert_eq!(server.get("/status").told(), (200, "status\n"));
    }
    wait_until("nobody computes", || {
        let before = server.computed();
        std::thread::sleep(Duration::from_millis(300));
        server.computed() <= before + 3
    });
}
