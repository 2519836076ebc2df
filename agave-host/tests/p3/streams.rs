//! Bodies as streams: large ones at constant memory, and such as are given up half-way.

use crate::support::http::{Body, Content, Head, Request};
use crate::support::server::Server;
use std::io::{self, Read, Write};
use std::thread;
use std::time::{Duration, Instant};

/// What a GiB may cost the server beyond what it had before, in MiB.
const ROOM: u64 = 32;

/// Sends `chunks` chunks of 1 MiB, and gives the length of the body that comes back.
fn gibibyte(server: &Server, target: &str) -> u64 {
    const CHUNKS: usize = 1024;
    let mut connection = server.connect();
    connection.send(format!(
        "POST {target} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    ));
    let mut output = connection.stream().try_clone().unwrap();
    thread::scope(|scope| {
        scope.spawn(move || -> io::Result<()> {
            let mut chunk = b"100000\r\n".to_vec();
            chunk.resize(chunk.len() + (1 << 20), 7);
            chunk.extend(b"\r\n");
            for _ in 0..CHUNKS {
                output.write_all(&chunk)?;
            }
            output.write_all(b"0\r\n\r\n")
        });
        let head = Head::read(&mut connection.input).unwrap();
        assert_eq!(head.status(), 200, "{target}");
        let mut body = Body::of_response(&mut connection.input, &head, "POST");
        io::copy(&mut body, &mut io::sink()).expect("all of it")
    })
}

#[test]
fn a_gibibyte_passes_through_a_service_at_constant_memory() {
    let server = Server::testbed(&["--timeout", "10m"]);
    assert_eq!(server.get("/hello").told(), (200, "hello\n"));
    server.forget_peak();
    let before = server.peak();
    // Through the guest's memory, and past it.
    for target in ["/echo", "/pass"] {
        let begun = Instant::now();
        assert_eq!(gibibyte(&server, target), 1 << 30, "{target}");
        let grown = server.peak() - before;
        println!(
            "1 GiB through {target}: {:?}, {before} MiB before, {grown} MiB more",
            begun.elapsed()
        );
        assert!(grown <= ROOM, "{target}: {grown} MiB more");
    }
}

#[test]
fn a_client_that_reads_nothing_stops_the_guest() {
    let server = Server::testbed(&["--timeout", "10m"]);
    server.forget_peak();
    let before = server.peak();
    let mut connection = server.connect();
    connection.send("GET /bytes?n=1000000000 HTTP/1.1\r\nHost: x\r\n\r\n");
    let head = Head::read(&mut connection.input).unwrap();
    assert_eq!(head.status(), 200);
    thread::sleep(Duration::from_millis(1000));
    let computed = server.computed();
    thread::sleep(Duration::from_millis(1000));
    let grown = server.peak() - before;
    assert!(grown <= 64, "{grown} MiB more");
    assert!(server.computed() - computed <= 5, "it goes on");
    // And where it reads, all comes.
    let mut body = Body::of_response(&mut connection.input, &head, "GET");
    let len = io::copy(&mut (&mut body).take(2_000_000_000), &mut io::sink());
    assert_eq!(len.expect("all of it"), 1_000_000_000);
}

#[test]
fn a_guest_that_reads_nothing_stops_the_client() {
    let server = Server::testbed(&["--timeout", "10m"]);
    server.forget_peak();
    let before = server.peak();
    let mut connection = server.connect();
    // It keeps the request for a minute.
    connection
        .send("POST /sleep?ms=60000 HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n");
    let output = connection.stream();
    output
        .set_write_timeout(Some(Duration::from_millis(1500)))
        .unwrap();
    let chunk = vec![0; 1 << 20];
    let mut sent = 0;
    let mut output = output;
    while let Ok(n) = output.write(&chunk) {
        sent += n;
    }
    assert!(sent < 100 << 20, "{sent} bytes were taken");
    let grown = server.peak() - before;
    assert!(grown <= ROOM, "{grown} MiB more");
}

#[test]
fn a_body_that_is_given_up_half_way_is_answered_and_the_server_goes_on() {
    let bytes = vec![b'x'; 20 << 20];
    let server = Server::testbed(&[]);
    for n in [0, 1024, 1 << 20] {
        for content in [Content::Length(&bytes), Content::Chunks(&bytes, &[])] {
            let response = server.request(&Request {
                content,
                ..Request::new("POST", &format!("/half?n={n}"))
            });
            let (status, text) = response.told();
            let read = text
                .strip_prefix("read ")
                .and_then(|it| it.strip_suffix(" of it\n"));
            let read: usize = read.and_then(|it| it.parse().ok()).expect("a number");
            assert_eq!(status, 200, "{n}");
            // It takes its last piece whole.
            assert!((n..bytes.len() / 2).contains(&read), "{n}: {read}");
        }
    }
    assert_eq!(server.get("/hello").told(), (200, "hello\n"));
}

#[test]
fn a_write_that_is_cancelled_half_way_tells_how_much_the_client_has_to_have() {
    let server = Server::testbed(&[]);
    let mut connection = server.connect();
    connection.send("GET /cancel?ms=300 HTTP/1.1\r\nHost: x\r\nTE: trailers\r\n\r\n");
    let head = Head::read(&mut connection.input).unwrap();
    assert_eq!(head.status(), 200);
    // It has cancelled when nobody has read for 300 ms.
    thread::sleep(Duration::from_millis(2000));
    let mut body = Body::of_response(&mut connection.input, &head, "GET");
    let (bytes, end) = body.rest();
    assert!(end.is_ok(), "{end:?}");
    let taken = bytes.len().to_string();
    assert_eq!(body.trailers, [("x-taken".to_string(), taken)]);
    assert!(!bytes.is_empty() && bytes.iter().all(|byte| *byte == b'x'));
    assert_eq!(connection.get("/hello").told(), (200, "hello\n"));
}

#[test]
fn trailers_reach_the_guest_and_come_back() {
    let server = Server::testbed(&[]);
    let trailers = &[("X-Checksum", "1f"), ("X-Second", "2")];
    let request = |target| Request {
        fields: &[("TE", "trailers"), ("Trailer", "X-Checksum, X-Second")],
        content: Content::Chunks(b"content", trailers),
        ..Request::new("POST", target)
    };
    let response = server.request(&request("/read"));
    let (status, text) = response.told();
    assert_eq!(status, 200, "{text}");
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    let expected = [
        "read 7 bytes",
        "trailer x-checksum: 1f",
        "trailer x-second: 2",
    ];
    assert_eq!(lines, expected);
    for target in ["/echo", "/pass"] {
        let response = server.request(&request(target));
        assert_eq!(response.told(), (200, "content"), "{target}");
        let mut got = response.trailers;
        got.sort();
        let expected = [("x-checksum", "1f"), ("x-second", "2")];
        let expected = expected.map(|(name, value)| (name.to_string(), value.to_string()));
        assert_eq!(got, expected, "{target}");
    }
}

#[test]
fn a_request_that_is_cut_off_is_an_error_to_the_guest_that_reads_it() {
    let server = Server::testbed(&[]);
    let mut connection = server.connect();
    connection.send("POST /early HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf");
    let head = Head::read(&mut connection.input).unwrap();
    assert_eq!(head.status(), 200);
    drop(connection);
    server.wait_for_line("the guest is told", |line| {
        line.contains("testbed early read") && line.contains("bytes, Err(")
    });
    assert_eq!(server.get("/hello").told(), (200, "hello\n"));
}
