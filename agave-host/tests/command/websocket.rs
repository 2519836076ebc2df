//! WebSockets, against an independent peer.

use crate::support::http::Request;
use crate::support::peer::{self, Peer};
use crate::support::python::Python;
use crate::support::server::{Server, guest, run};
use crate::support::wait_until;
use std::thread;
use std::time::{Duration, Instant};

fn url(server: &Server, route: &str) -> String {
    format!("ws://{}{route}", server.address)
}

/// Serves the guest, and runs one of the peers on a route.
fn peer(name: &str, route: &str) -> Vec<String> {
    let server = Server::guest("ws_echo", &[]);
    Python::run(&[name, &url(&server, route)]);
    server.stop()
}

/// The lines of a log without what is before the guest's own text.
fn told(log: &[String]) -> Vec<&str> {
    log.iter()
        .map(|line| {
            line.split_once("stderr: ")
                .map_or(&line[..], |(_, text)| text)
        })
        .collect()
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn messages_are_echoed_and_both_sides_know_the_peers_close_code() {
    let log = peer("echo", "/echo");
    let ended =
        "ended: ErrorCode::ClosedByPeer(Some(CloseStatus { code: 4321, reason: \"enough\" }))";
    assert_eq!(told(&log), [ended]);
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn messages_are_echoed_as_streams() {
    peer("echo", "/stream");
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn a_message_of_16_mib_passes_and_a_longer_one_closes_with_1009() {
    for route in ["/echo", "/stream"] {
        let log = peer("long", route);
        let too_big = "ended: ErrorCode::MessageTooBig(16777216)";
        assert_eq!(told(&log).last(), Some(&too_big), "{log:?}");
    }
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn each_connection_has_an_instance_of_its_own() {
    peer("counted", "/count");
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn a_subprotocol_is_one_that_the_client_offered() {
    peer("subprotocols", "");
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn a_guest_refuses_with_a_status_and_one_without_an_answer_is_a_500() {
    let log = peer("refusals", "");
    let errors: Vec<_> = log
        .iter()
        .filter(|line| line.starts_with("ERROR"))
        .collect();
    assert_eq!(errors.len(), 3, "{log:#?}");
    assert!(errors[0].contains("the guest gave no response"), "{log:#?}");
    assert!(errors[1].contains("the guest gave no response"), "{log:#?}");
    assert!(errors[2].contains("unreachable"), "{log:#?}");
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn a_guest_closes_with_a_code_and_a_reason() {
    let log = peer("closes", "");
    let here = "ended: ErrorCode::ClosedHere";
    assert_eq!(told(&log), [here; 3]);
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn a_guest_that_traps_closes_with_1011_and_one_line() {
    for route in ["/trap", "/trap?stream"] {
        let log = peer("trap", route);
        assert_eq!(log.len(), 1, "{log:#?}");
        assert!(log[0].contains("request 1: the guest failed"), "{log:#?}");
    }
}

#[test]
fn plain_http_to_a_component_that_speaks_websocket_alone_is_a_426() {
    let server = Server::guest("ws_echo", &[]);
    let response = server.get("/echo");
    assert_eq!(response.status(), 426);
    assert_eq!(response.field("upgrade"), Some("websocket"));
    assert_eq!(response.field("connection"), Some("upgrade"));
    // A request of another version of WebSocket is told which is spoken.
    let old = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", "8"),
    ];
    let response = server.request(&Request {
        fields: &old,
        ..Request::new("GET", "/echo")
    });
    assert_eq!(response.status(), 426);
    assert_eq!(response.field("sec-websocket-version"), Some("13"));
    assert_eq!(server.stop(), Vec::<String>::new());
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn a_request_for_a_websocket_to_a_component_without_is_an_http_request() {
    let server = Server::guest("testbed", &[]);
    let text = Python::run(&["refused", &url(&server, "/headers"), "200"]);
    assert!(text.contains("method: Method::Get\n"), "{text}");
    assert!(
        text.contains("header sec-websocket-version: 13\n"),
        "{text}"
    );
    assert_eq!(server.get("/status").status(), 200);
}

/// A server of Python's: its URL.
fn python_server() -> (Python, String) {
    let mut python = Python::start(&["server"]);
    let url = format!("ws://127.0.0.1:{}/", python.line());
    (python, url)
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn a_command_is_a_client_where_it_is_granted() {
    let (mut python, url) = python_server();
    let guest = guest("ws_echo");
    let address = url[5..].trim_end_matches('/').to_owned();
    for flags in [&["-S", "inherit-network"][..], &["--allow-net", &address]] {
        let output = run(&[&["run"], flags, &[&guest, &url, "hello", "ä"]].concat());
        assert_eq!(output.code, Some(0), "{output:?}");
        let expected =
            "subprotocol Some(\"two\")\ntext hello\ntext ä\nended: ErrorCode::ClosedHere\n";
        assert_eq!(output.stdout, expected);
        assert_eq!(python.line(), "4000 done");
    }
    let output = run(&["run", "-S", "inherit-network", &guest, &url, "close"]);
    let expected =
        "ended: ErrorCode::ClosedByPeer(Some(CloseStatus { code: 4002, reason: \"there\" }))";
    assert_eq!(output.stdout.lines().last(), Some(expected), "{output:?}");
    let teapot = format!("{url}teapot");
    let refused = "not connected: ErrorCode::Refused(418)\n";
    let output = run(&["run", "-S", "inherit-network", &guest, &teapot]);
    assert_eq!((output.code, &output.stdout[..]), (Some(1), refused));
    let output = run(&["run", "-S", "inherit-network", &guest, "http://127.0.0.1/"]);
    let invalid = "not connected: ErrorCode::InvalidArgument\n";
    assert_eq!((output.code, &output.stdout[..]), (Some(1), invalid));

    let denied = "not connected: ErrorCode::AccessDenied\n";
    for flags in [
        &[][..],
        &["--allow-net", "127.0.0.1:1"],
        &["--deny-net", &address, "-S", "inherit-network"],
    ] {
        let output = run(&[&["run"], flags, &[&guest, &url]].concat());
        assert_eq!(
            (output.code, &output.stdout[..]),
            (Some(1), denied),
            "{flags:?}"
        );
    }
    python.tell();
    assert_eq!(
        python.finish(),
        "4002 there\n",
        "who is denied is not heard of"
    );
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn a_served_guest_is_a_client_where_it_is_granted() {
    let (mut python, there) = python_server();
    let route = format!("/relay?{there}");
    let server = Server::guest("ws_echo", &["-S", "inherit-network"]);
    Python::run(&["once", &url(&server, &route)]);
    assert_eq!(python.line(), "1001", "the guest has gone");
    let server = Server::guest("ws_echo", &["--allow-net", "127.0.0.1:1"]);
    let text = Python::run(&["refused", &url(&server, &route), "502"]);
    assert_eq!(text, "ErrorCode::AccessDenied\n");
    // A peer that never answers ends with its guest's client.
    let silent = Peer::new(peer::silent);
    let server = Server::guest("ws_echo", &["-S", "inherit-network"]);
    let waits = format!("/relay?ws://{}/", silent.address);
    let mut client = server.connect();
    client.send(upgrade(&waits));
    wait_until("the guest dials", || silent.accepted() == 1);
    drop(client);
    silent.wait_until_finished(1);
}

/// A request as it is on the wire.
fn upgrade(target: &str) -> String {
    format!(
        "GET {target} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn a_thousand_connections_echo_at_once_in_bounded_memory() {
    let server = Server::guest("ws_echo", &[]);
    Python::run(&["once", &url(&server, "/echo")]);
    server.forget_peak();
    let before = server.peak();
    let mut python = Python::start(&["many", &url(&server, "/echo"), "1000"]);
    assert_eq!(python.line(), "open");
    let grown = server.peak() - before;
    assert!(grown < 300, "{grown} MiB over {before}");
    let descriptors = server.descriptors();
    assert!(descriptors >= 1000, "{descriptors}");
    python.tell();
    assert_eq!(python.finish(), "");
    wait_until("all are closed", || {
        server.descriptors() < descriptors - 990
    });
    Python::run(&["once", &url(&server, "/echo")]);
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn one_connection_more_than_guests_waits_for_its_turn() {
    let server = Server::guest("ws_echo", &["--max-concurrent", "1"]);
    let mut first = Python::start(&["vanish", &url(&server, "/echo")]);
    assert_eq!(first.line(), "open");
    let mut second = server.connect();
    second.send(upgrade("/echo"));
    // It is not answered while the first is there.
    let mut byte = [0];
    let stream = second.input.get_ref();
    stream
        .set_read_timeout(Some(Duration::from_millis(500)))
        .unwrap();
    assert!(std::io::Read::read(&mut second.input, &mut byte).is_err());
    first.tell();
    first.finish();
    let stream = second.input.get_ref();
    stream
        .set_read_timeout(Some(crate::support::PATIENCE))
        .unwrap();
    assert_eq!(
        std::io::Read::read(&mut second.input, &mut byte).unwrap(),
        1
    );
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn a_reader_that_is_slow_stops_its_sender() {
    let server = Server::guest("ws_echo", &[]);
    Python::run(&["once", &url(&server, "/echo")]);
    server.forget_peak();
    let before = server.peak();
    let mut python = Python::start(&["unread", &url(&server, "/flood")]);
    assert_eq!(python.line(), "open");
    wait_until("the guest waits", || {
        let computed = server.computed();
        thread::sleep(Duration::from_millis(500));
        server.computed() <= computed + 1
    });
    let grown = server.peak() - before;
    assert!(grown < 32, "{grown} MiB over {before}");
    python.tell();
    python.finish();
    server.wait_for_line("the guest has ended", |line| {
        line.contains("ended: ErrorCode::")
    });
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn a_client_that_vanishes_frees_the_instance() {
    // One guest at a time: the next is served only when the last has gone.
    let flags = ["--max-concurrent", "1", "--timeout", "2s"];
    let server = Server::guest("ws_echo", &flags);
    for (route, expected) in [("/echo", 0), ("/hold", 0), ("/spin", 1)] {
        let begun = Instant::now();
        let mut python = Python::start(&["vanish", &url(&server, route)]);
        assert_eq!(python.line(), "open");
        // Longer than its time limit, which does not count now.
        thread::sleep(Duration::from_secs(3));
        let out = |server: &Server| {
            let log = server.log();
            log.iter()
                .filter(|line| line.contains("ran out of time"))
                .count()
        };
        assert_eq!(out(&server), expected, "{route}");
        python.kill();
        Python::run(&["once", &url(&server, "/echo")]);
        assert!(begun.elapsed() < Duration::from_secs(30), "{route}");
    }
    let log = server.stop();
    let out = log.iter().filter(|line| line.contains("ran out of time"));
    assert_eq!(out.count(), 2, "{log:#?}");
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn a_guest_that_does_not_answer_in_time_is_a_500() {
    let server = Server::guest("ws_echo", &["--timeout", "500ms"]);
    Python::run(&["refused", &url(&server, "/slow"), "500"]);
    let log = server.stop();
    assert!(
        log.len() == 1 && log[0].contains("ran out of time"),
        "{log:#?}"
    );
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn guests_that_compute_leave_others_their_turn() {
    let server = Server::guest("ws_echo", &[]);
    let spins: Vec<_> = (0..4)
        .map(|_| {
            let mut python = Python::start(&["until_told", &url(&server, "/spin")]);
            assert_eq!(python.line(), "open");
            python
        })
        .collect();
    for _ in 0..3 {
        Python::run(&["once", &url(&server, "/echo")]);
    }
    drop(spins);
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn a_signal_closes_all_connections_with_1001() {
    let server = Server::guest("ws_echo", &[]);
    let mut clients: Vec<_> = (0..3)
        .map(|_| Python::start(&["until_told", &url(&server, "/echo")]))
        .collect();
    for client in &mut clients {
        assert_eq!(client.line(), "open");
    }
    let begun = Instant::now();
    server.signal("TERM");
    for client in clients {
        assert_eq!(client.finish(), "1001 \n");
    }
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(0), "{log:#?}");
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    let ended = log
        .iter()
        .filter(|line| line.contains("ended: ErrorCode::HostShutdown"));
    assert_eq!(ended.count(), 3, "{log:#?}");
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn a_peer_that_reads_nothing_does_not_hold_up_the_end() {
    let server = Server::guest("ws_echo", &[]);
    let mut python = Python::start(&["unread", &url(&server, "/flood")]);
    assert_eq!(python.line(), "open");
    wait_until("the guest waits", || {
        let computed = server.computed();
        thread::sleep(Duration::from_millis(500));
        server.computed() <= computed + 1
    });
    let begun = Instant::now();
    server.signal("TERM");
    let (status, log) = server.ended();
    assert_eq!(status.code(), Some(0), "{log:#?}");
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
    python.tell();
    python.finish();
}

#[test]
fn inspect_tells_what_it_is_for() {
    let guest = guest("ws_echo");
    let output = run(&["inspect", &guest]);
    let line = |name: &str| {
        let mut lines = output.stdout.lines().map(|line| line.split_whitespace());
        let found = lines.find(|words| words.clone().next() == Some(name));
        found.map(|words| words.skip(1).collect::<Vec<_>>().join(" "))
    };
    let told = |text: &str| Some(text.to_owned());
    assert_eq!(
        line("agave:websocket/client"),
        told("0.1.0 0.1.0 --allow-net")
    );
    assert_eq!(
        line("agave:websocket/types"),
        told("0.1.0 0.1.0 (no grant)")
    );
    assert_eq!(line("agave:websocket/handler"), told("0.1.0 agave serve"));
}
