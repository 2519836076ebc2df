//! How a server ends.

use crate::support::peer::{self, Peer};
use crate::support::server::Server;
use std::io::Write;
use std::sync::Mutex;
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

/// A peer that sends a byte, and the rest and the end when it is told.
fn two_steps() -> (Peer, Sender<()>) {
    let (tell, told) = channel();
    let told = Mutex::new(told);
    let peer = Peer::new(peer::after_head(move |mut stream, _| {
        stream.write_all(b"1")?;
        let _ = told.lock().unwrap().recv();
        stream.write_all(b"2")
    }));
    (peer, tell)
}

#[test]
fn a_signal_stops_accepting_finishes_what_is_in_flight_and_is_no_failure() {
    for signal in ["TERM", "INT"] {
        let (peer, tell) = two_steps();
        let server = Server::agent(&["-S", "inherit-network"]);
        let mut idle = server.connect();
        assert_eq!(idle.get("/health").told(), (200, "ok"));
        let mut connection = server.connect();
        let (_, mut body) = connection.begin(&format!("/?{}", peer.query()));
        assert_eq!(body.text(1), "1");

        server.signal(signal);
        server.wait_until_refusing();
        tell.send(()).unwrap();
        let (rest, end) = body.rest();
        assert_eq!(rest, b"2", "{signal}");
        assert!(end.is_ok(), "{signal}: {end:?}");
        let begun = Instant::now();
        let (status, log) = server.ended();
        assert_eq!(status.code(), Some(0), "{signal}: {log:?}");
        // An idle connection is nothing to wait for.
        assert!(
            begun.elapsed() < Duration::from_secs(8),
            "{signal}: {:?}",
            begun.elapsed()
        );
        assert_eq!(idle.until_closed(), b"", "{signal}");
    }
}

#[test]
fn a_guest_that_runs_on_after_its_response_may_finish_too() {
    let server = Server::guest("testbed", &[]);
    assert_eq!(server.get("/after?ms=1500").told(), (200, "answered\n"));
    let log = server.stop();
    assert!(
        log.len() == 1 && log[0].ends_with("testbed after done"),
        "{log:?}"
    );
}

#[test]
fn a_second_signal_ends_at_once() {
    for signals in [["TERM", "TERM"], ["INT", "INT"], ["INT", "TERM"]] {
        let (peer, _tell) = two_steps();
        let server = Server::agent(&["-S", "inherit-network"]);
        let mut connection = server.connect();
        let (_, mut body) = connection.begin(&format!("/?{}", peer.query()));
        assert_eq!(body.text(1), "1");
        server.signal(signals[0]);
        server.wait_until_refusing();
        let begun = Instant::now();
        server.signal(signals[1]);
        let (status, _) = server.ended();
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "{signals:?}: {:?}",
            begun.elapsed()
        );
        assert_ne!(status.code(), Some(0), "{signals:?}: something was cut off");
        assert!(body.rest().1.is_err(), "{signals:?}");
    }
}

#[test]
fn what_does_not_finish_is_waited_for_no_longer_than_10_s() {
    let peer = Peer::new(peer::silent);
    let server = Server::guest("testbed", &["-S", "inherit-network", "--timeout", "1h"]);
    let mut connection = server.connect();
    let (_, mut body) = connection.begin(&format!("/sockets?{}", peer.query()));
    assert_eq!(body.text(10), "holding 1\n");
    let begun = Instant::now();
    server.signal("TERM");
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(0), "{log:?}");
    let taken = begun.elapsed();
    assert!((9..20).contains(&taken.as_secs()), "{taken:?}");
    assert!(body.rest().1.is_err());
}
