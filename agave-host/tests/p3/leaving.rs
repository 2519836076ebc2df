//! Clients that go away before they have everything.

use crate::instances::count;
use crate::support::http::Head;
use crate::support::peer::{self, Peer};
use crate::support::server::Server;
use crate::support::{at_once, encode, wait_until};
use std::time::Duration;

#[test]
fn a_client_that_leaves_frees_its_place() {
    // One request at once in all: the next one is served only when this one is gone.
    let flags = ["--timeout", "1h", "--max-concurrent", "1"];
    let server = Server::testbed(&flags);
    for target in [
        "/never",
        "/sleep?ms=3600000",
        "/block?ms=3600000",
        "/spin",
        "/drip?n=1000000&ms=10",
        "/bytes?n=100000000000",
        "/wait?gate=x",
    ] {
        let mut connection = server.connect();
        connection.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
        if ["/drip", "/bytes"].iter().any(|it| target.starts_with(it)) {
            let head = Head::read(&mut connection.input).expect("a head");
            assert_eq!(head.status(), 200);
        } else {
            std::thread::sleep(Duration::from_millis(200));
        }
        drop(connection);
        assert_eq!(server.get("/hello").told(), (200, "hello\n"), "{target}");
    }
    wait_until("nobody computes", || {
        let before = server.computed();
        std::thread::sleep(Duration::from_millis(300));
        server.computed() <= before + 3
    });
}

#[test]
fn a_client_that_leaves_costs_its_siblings_nothing() {
    let server = Server::testbed(&["--timeout", "1h", "--idle-instance-timeout", "1h"]);
    std::thread::scope(|scope| {
        let siblings = scope.spawn(|| at_once(8, |_| server.get("/sleep?ms=2000").status()));
        std::thread::sleep(Duration::from_millis(300));
        for target in ["/never", "/drip?n=100000&ms=10", "/sleep?ms=3600000"] {
            let mut connection = server.connect();
            connection.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
            std::thread::sleep(Duration::from_millis(100));
            drop(connection);
        }
        assert_eq!(siblings.join().unwrap(), [200; 8]);
    });
}

#[test]
fn a_client_that_leaves_ends_the_requests_that_were_made_for_it() {
    let peer = Peer::new(peer::silent);
    let server = Server::testbed(&["--timeout", "1h", "-S", "inherit-network"]);
    let before = {
        assert_eq!(server.get("/hello").status(), 200);
        server.descriptors()
    };
    let target = format!("/proxy?url={}", encode(format!("http://{}/", peer.address)));
    let mut connection = server.connect();
    connection.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
    wait_until("the guest has dialled", || peer.accepted() == 1);
    drop(connection);
    peer.wait_until_finished(1);
    wait_until("its descriptors are closed", || {
        server.descriptors() <= before
    });
}

#[test]
fn many_clients_that_leave_leave_nothing() {
    let server = Server::testbed(&["--timeout", "1h"]);
    let leave = |target: &str| {
        let mut connection = server.connect();
        connection.send(format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n"));
        let head = Head::read(&mut connection.input).expect("a head");
        assert_eq!(head.status(), 200);
    };
    at_once(8, |_| leave("/drip?n=1000000&ms=5"));
    wait_until("the first are gone", || server.descriptors() < 100);
    let before = server.descriptors();
    server.forget_peak();
    let memory = server.peak();
    at_once(16, |_| (0..25).for_each(|_| leave("/drip?n=1000000&ms=5")));
    wait_until("their descriptors are closed", || {
        server.descriptors() <= before + 2
    });
    let grown = server.peak() - memory;
    assert!(grown <= 256, "{grown} MiB more");
    assert_eq!(count(&mut server.connect()).1.min(1), 1);
    wait_until("nobody computes", || {
        let before = server.computed();
        std::thread::sleep(Duration::from_millis(300));
        server.computed() <= before + 3
    });
}
