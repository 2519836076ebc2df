//! Guests that fail, and what their clients, the others and the log are told.

use crate::support::http::{Content, Request};
use crate::support::server::Server;
use crate::support::{at_once, wait_until};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// The lines of a log that are about the request of that number.
fn of_request(log: &[String], number: usize) -> Vec<&str> {
    let number = number.to_string();
    let is_about = |line: &&str| {
        let rest = line.split_once("request ").map_or("", |(_, rest)| rest);
        rest.strip_prefix(number.as_str())
            .is_some_and(|rest| rest.starts_with([' ', ':', ',']))
    };
    log.iter().map(String::as_str).filter(is_about).collect()
}

/// Those among them that the guest did not write itself.
fn by_the_host<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let guests = |line: &&str| line.contains(" stdout: ") || line.contains(" stderr: ");
    lines.iter().copied().filter(|line| !guests(line)).collect()
}

#[test]
fn a_guest_that_fails_is_a_500_to_its_client_and_one_line_with_the_cause() {
    let server = Server::guest("testbed", &["--timeout", "1s"]);
    let cases = [
        ("/trap", "unreachable"),
        ("/panic", "unreachable"),
        ("/noresponse", "no response"),
        ("/error", "a loop was detected"),
        ("/exit?code=3", "exited with code 3"),
        ("/exit?code=1", "exited with code 1"),
        ("/exit", "exited with code 0"),
        ("/spin", "1000 ms"),
        ("/sleep?ms=60000", "1000 ms"),
        ("/handles", "resource table"),
        ("/biglist?mib=20", "random bytes"),
        ("/biglist?mib=20&kind=header", "fuel"),
    ];
    for (target, _) in cases {
        let response = server.get(target);
        assert_eq!(response.status(), 500, "{target}");
        // The cause is for the log.
        assert!(
            response.text().starts_with("the program "),
            "{target}: {response:?}"
        );
        assert_eq!(
            server.get("/status").told(),
            (200, "status\n"),
            "after {target}"
        );
    }
    let log = server.stop();
    for (index, (target, cause)) in cases.into_iter().enumerate() {
        let all = of_request(&log, 2 * index + 1);
        let lines = by_the_host(&all);
        assert_eq!(lines.len(), 1, "{target}: {log:#?}");
        assert!(lines[0].contains(cause), "{target}: {lines:?}");
        assert_eq!(of_request(&log, 2 * index + 2), [""; 0], "after {target}");
    }
    let panic = of_request(&log, 3);
    assert!(
        panic
            .iter()
            .any(|line| line.ends_with("stderr: asked to panic")),
        "{panic:?}"
    );
}

#[test]
fn a_guest_that_fails_after_its_head_cuts_the_response_off_and_is_one_line() {
    let server = Server::guest("testbed", &["--timeout", "1s"]);
    let cases = [
        "/overrun",
        "/biglist?mib=20&kind=write",
        // Its time ends.
        "/drip?n=1000&ms=50",
    ];
    for target in cases {
        let response = server.get(target);
        assert_eq!(response.status(), 200, "{target}");
        assert!(
            response.end.is_err(),
            "{target}: {} bytes",
            response.body.len()
        );
    }
    let log = server.stop();
    for (index, target) in cases.into_iter().enumerate() {
        let all = of_request(&log, index + 1);
        assert_eq!(by_the_host(&all).len(), 1, "{target}: {log:#?}");
        assert_eq!(all.len(), 1, "{target} did not trap: {log:#?}");
    }
}

#[test]
fn a_timeout_is_kept() {
    let server = Server::guest("testbed", &["-W", "timeout=300ms"]);
    for target in ["/spin", "/sleep?ms=60000"] {
        let begun = Instant::now();
        assert_eq!(server.get(target).status(), 500, "{target}");
        let taken = begun.elapsed();
        assert!(taken >= Duration::from_millis(300), "{target}: {taken:?}");
        assert!(taken < Duration::from_secs(10), "{target}: {taken:?}");
    }
    // Waiting for the client counts as well, so nobody holds a guest for ever.
    let response = server.get("/drip?n=1000&ms=20");
    assert!(
        response.end.is_err() && response.body.len() < 20,
        "{}",
        response.body.len()
    );
}

#[test]
fn guests_that_spin_leave_others_their_turn() {
    let server = Server::guest("testbed", &["--timeout", "4s"]);
    let spinning = AtomicUsize::new(6);
    let answered = AtomicUsize::new(0);
    at_once(8, |i| {
        if i < 6 {
            assert_eq!(server.get("/spin").status(), 500);
            spinning.fetch_sub(1, Ordering::SeqCst);
            return;
        }
        while spinning.load(Ordering::SeqCst) == 6 {
            assert_eq!(server.get("/status").told(), (200, "status\n"));
            answered.fetch_add(1, Ordering::SeqCst);
        }
    });
    // Behind guests that do not yield there would be a handful in 4 s.
    let answered = answered.into_inner();
    assert!(
        answered >= 40,
        "{answered} answered beside guests that spin"
    );
}

#[test]
fn many_failures_at_once_are_nothing_to_anybody_else() {
    let server = Server::guest("testbed", &["--timeout", "300ms"]);
    at_once(16, |i| {
        for turn in 0..20 {
            let target = ["/trap", "/status", "/noresponse", "/echo"][(i + turn) % 4];
            let mut connection = server.connect();
            let response = connection.get(target);
            let status = if target.len() == 7 || target == "/echo" {
                200
            } else {
                500
            };
            assert_eq!(response.status(), status, "{target}");
            // A failure is not even anything to the connection.
            assert_eq!(
                connection.get("/status").told(),
                (200, "status\n"),
                "after {target}"
            );
        }
    });
    let log = server.stop();
    assert_eq!(log.len(), 16 * 10, "{log:#?}");
}

#[test]
fn what_a_guest_prints_is_logged_with_its_requests_number() {
    let server = Server::guest("testbed", &["-S", "cli"]);
    for target in ["/status", "/stdout", "/status", "/stdout"] {
        assert_eq!(server.get(target).status(), 200);
    }
    let log = server.stop();
    for (number, prints) in [(1, false), (2, true), (3, false), (4, true)] {
        let lines = of_request(&log, number);
        let texts: &[&str] = match prints {
            true => &[
                "stdout: testbed stdout 1",
                "stderr: testbed stderr 1",
                "stdout: testbed stdout 2",
                "stderr: testbed stderr 2, no newline",
            ],
            false => &[],
        };
        assert_eq!(lines.len(), texts.len(), "{log:#?}");
        for text in texts {
            let found = lines.iter().filter(|line| line.ends_with(text)).count();
            assert_eq!(found, 1, "{text}: {lines:?}");
        }
    }
    assert_eq!(log.len(), 8, "{log:#?}");
}

#[test]
fn without_its_level_nothing_is_logged() {
    for (level, lines) in [("off", 0), ("error", 1), ("info", 5)] {
        let server = Server::guest("testbed", &["--log", level]);
        assert_eq!(server.get("/stdout").status(), 200);
        assert_eq!(server.get("/trap").status(), 500);
        let log = server.stop();
        assert_eq!(log.len(), lines, "{level}: {log:#?}");
    }
}

/// A component that writes one text to standard error and gives no response.
const PRINTER: &str = r#"
(component
  (import "wasi:io/error@0.2.12" (instance $io-error
    (export "error" (type (sub resource)))))
  (alias export $io-error "error" (type $error))
  (import "wasi:io/streams@0.2.12" (instance $streams
    (alias outer 1 $error (type $outer-error))
    (export "error" (type $error (eq $outer-error)))
    (type $stream-error-def (variant
      (case "last-operation-failed" (own $error))
      (case "closed")))
    (export "stream-error" (type $stream-error (eq $stream-error-def)))
    (export "output-stream" (type $output-stream (sub resource)))
    (export "[method]output-stream.blocking-write-and-flush" (func
      (param "self" (borrow $output-stream))
      (param "contents" (list u8))
      (result (result (error $stream-error)))))))
  (alias export $streams "output-stream" (type $output-stream))
  (import "wasi:cli/stderr@0.2.12" (instance $stderr
    (alias outer 1 $output-stream (type $outer-output-stream))
    (export "output-stream" (type $output-stream (eq $outer-output-stream)))
    (export "get-stderr" (func (result (own $output-stream))))))
  (import "wasi:http/types@0.2.12" (instance $types
    (export "incoming-request" (type (sub resource)))
    (export "response-outparam" (type (sub resource)))))
  (alias export $types "incoming-request" (type $incoming-request))
  (alias export $types "response-outparam" (type $response-outparam))

  (core module $memory-module
    (memory (export "memory") 1)
    (data (i32.const 64) "bell\07 colour\1b[31m back\0d wide\c2\9b tab\09 bad\ff\0anext\0a"))
  (core instance $memory (instantiate $memory-module))
  (alias core export $memory "memory" (core memory $mem))
  (core func $get-stderr (canon lower (func $stderr "get-stderr")))
  (core func $write (canon lower
    (func $streams "[method]output-stream.blocking-write-and-flush") (memory $mem)))
  (core module $main-module
    (import "host" "get-stderr" (func $get-stderr (result i32)))
    (import "host" "write" (func $write (param i32 i32 i32 i32)))
    (func (export "handle") (param i32 i32)
      (call $write (call $get-stderr) (i32.const 64) (i32.const LENGTH) (i32.const 0))))
  (core instance $main (instantiate $main-module
    (with "host" (instance
      (export "get-stderr" (func $get-stderr))
      (export "write" (func $write))))))
  (func $handle
    (param "request" (own $incoming-request))
    (param "response-out" (own $response-outparam))
    (canon lift (core func $main "handle")))
  (instance $handler (export "handle" (func $handle)))
  (export "wasi:http/incoming-handler@0.2.12" (instance $handler)))
"#;

#[test]
fn a_guest_cannot_forge_the_log_or_move_the_terminals_cursor() {
    let text = b"bell\x07 colour\x1b[31m back\r wide\xc2\x9b tab\t bad\xff\nnext\n";
    let path = std::env::temp_dir().join(format!("agave-printer-{}.wasm", std::process::id()));
    let wat = PRINTER.replace("LENGTH", &text.len().to_string());
    std::fs::write(&path, wat::parse_str(wat).unwrap()).unwrap();
    let server = Server::start(&[path.to_str().unwrap()]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(server.get("/").status(), 500);
    let log = server.stop();
    let lines: Vec<_> = log
        .iter()
        .filter(|line| line.contains("stderr: "))
        .collect();
    assert_eq!(lines.len(), 2, "{log:#?}");
    for line in &lines {
        assert!(line.contains("request 1 "), "{line:?}");
        assert!(
            !line.chars().any(|c| c.is_control() && c != '\t'),
            "{line:?}"
        );
    }
    for word in ["bell", "colour", "[31m", "back", "wide", "tab", "bad"] {
        assert!(lines[0].contains(word), "{word}: {lines:?}");
    }
    assert!(lines[1].ends_with("stderr: next"), "{lines:?}");
}

#[test]
fn a_guest_runs_on_after_its_response_has_ended() {
    let server = Server::guest("testbed", &[]);
    let after = |request: &Request<'_>| {
        let begun = Instant::now();
        let response = server.request(request);
        assert_eq!(response.status(), 200);
        assert!(response.end.is_ok());
        (response, begun)
    };
    let target = "/after?ms=500";
    for (number, method) in [(1, "GET"), (2, "HEAD")] {
        let (response, begun) = after(&Request::new(method, target));
        // The client left when it had everything: that does not end the guest.
        assert_eq!(response.body.is_empty(), method == "HEAD");
        let line = format!("request {number} stderr: testbed after done");
        server.wait_for_line(&line, |it| it.ends_with(&line));
        assert!(begun.elapsed() >= Duration::from_millis(500));
    }
    // The next request on the same connection does not wait for it.
    let mut connection = server.connect();
    let response = connection.get("/after?ms=60000");
    assert_eq!(response.told(), (200, "answered\n"));
    let begun = Instant::now();
    assert_eq!(connection.get("/status").told(), (200, "status\n"));
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn a_guest_that_runs_on_is_ended_by_its_timeout() {
    let server = Server::guest("testbed", &["--timeout", "300ms"]);
    assert_eq!(server.get("/after?ms=60000").told(), (200, "answered\n"));
    server.wait_for_line("the timeout is logged", |line| line.contains("300 ms"));
    let log = server.stop();
    assert_eq!(log.len(), 1, "{log:#?}");
}

#[test]
fn head_is_answered_by_any_guest_without_a_body() {
    let server = Server::guest("testbed", &[]);
    let mut connection = server.connect();
    for target in [
        "/status?code=404",
        "/bytes?n=100000",
        "/length?declare=10&send=10",
    ] {
        let response = connection.exchange(&Request::new("HEAD", target));
        assert_eq!(
            response.status(),
            if target.contains("404") { 404 } else { 200 }
        );
        assert_eq!(
            connection.get("/status").told(),
            (200, "status\n"),
            "after {target}"
        );
    }
    let response = connection.exchange(&Request::new("HEAD", "/trap"));
    assert_eq!(response.status(), 500);
    assert_eq!(connection.get("/status").told(), (200, "status\n"));
}

#[test]
fn what_is_no_http_is_refused_and_nothing_to_anybody_else() {
    let server = Server::guest("testbed", &[]);
    let long = format!(
        "GET / HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "x".repeat(1 << 20)
    );
    let many = format!(
        "GET / HTTP/1.1\r\nHost: x\r\n{}\r\n",
        "X: x\r\n".repeat(10_000)
    );
    for (bytes, status) in [
        ("garbage\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\n\r\n", "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
        (
            "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
            "400",
        ),
        (&long, "431"),
        (&many, "431"),
    ] {
        let mut connection = server.connect();
        let begin: String = bytes.chars().take(40).collect();
        let output = connection.stream().try_clone().unwrap();
        let told = std::thread::scope(|scope| {
            // It does not read all of what is too long.
            scope.spawn(move || std::io::Write::write_all(&mut &output, bytes.as_bytes()));
            let mut told = String::new();
            let _ = std::io::BufRead::read_line(&mut connection.input, &mut told);
            let _ = connection.stream().shutdown(std::net::Shutdown::Both);
            told
        });
        assert!(
            told.starts_with(&format!("HTTP/1.1 {status} ")),
            "{begin:?}: {told:?}"
        );
        assert_eq!(server.get("/status").told(), (200, "status\n"), "{begin:?}");
    }
    let log = server.stop();
    assert_eq!(log, [""; 0], "the clients' errors are none of the server's");
}

#[test]
fn a_body_that_is_cut_off_is_an_error_to_the_guest_that_reads_it() {
    let server = Server::guest("testbed", &[]);
    let mut connection = server.connect();
    connection.send("POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nnope\r\n");
    let bytes = connection.until_closed();
    assert!(
        !bytes.ends_with(b"0\r\n\r\n"),
        "a proper end: {:?}",
        bytes.escape_ascii()
    );
    let content = Content::Chunks(b"fine", &[]);
    let fine = Request {
        content,
        ..Request::new("POST", "/echo")
    };
    wait_until("others are served", || {
        server.request(&fine).told() == (200, "fine")
    });
}
