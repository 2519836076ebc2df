//! The built-in agent: its routes, and all that can go wrong with its peers.

use crate::support::http::{Connection, Content, Request};
use crate::support::peer::{self, Peer, Refusing};
use crate::support::server::Server;
use crate::support::{at_once, encode};
use std::io::{Read, Write};
use std::net::{Shutdown, ToSocketAddrs};
use std::sync::mpsc::channel;
use std::sync::{Barrier, Mutex, OnceLock};
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;

fn agent() -> &'static Server {
    static AGENT: OnceLock<Server> = OnceLock::new();
    AGENT.get_or_init(|| Server::agent(&["-S", "inherit-network"]))
}

/// One that is granted nothing.
fn lonely() -> &'static Server {
    static LONELY: OnceLock<Server> = OnceLock::new();
    LONELY.get_or_init(|| Server::agent(&[]))
}

fn send(peer: &Peer, message: impl AsRef<[u8]>) -> String {
    format!("/tcp/send?{}&msg={}", peer.query(), encode(message))
}

fn fetch(peer: &Peer) -> String {
    format!("/?{}", peer.query())
}

/// A server as Python's `http.server` is: HTTP/1.0, a length, and the connection ends.
const PYTHON: &str = "HTTP/1.0 200 OK\r\nServer: SimpleHTTP/0.6 Python/3.13.5\r\n\
    Content-type: text/html; charset=utf-8\r\nContent-Length: 12\r\n\r\n<p>files</p>";

#[test]
fn health_is_ok() {
    let response = agent().get("/health");
    assert_eq!(response.told(), (200, "ok"));
    assert_eq!(response.field("content-length"), Some("2"));
    assert_eq!(
        response.field("content-type"),
        Some("text/plain; charset=utf-8")
    );
}

#[test]
fn fetch_gives_the_whole_reply_as_text_and_asks_as_a_client_should() {
    let (asked, requests) = channel();
    let peer = Peer::new(peer::after_head(move |mut stream, head| {
        asked.send(head).unwrap();
        stream.write_all(PYTHON.as_bytes())
    }));
    let response = agent().get(&fetch(&peer));
    assert_eq!(response.told(), (200, PYTHON));
    assert_eq!(
        response.field("content-type"),
        Some("text/plain; charset=utf-8")
    );
    let head = requests.recv().unwrap();
    assert_eq!(head.line, "GET / HTTP/1.1");
    assert_eq!(head.field("host"), Some(&*peer.address.to_string()));
    assert_eq!(head.field("connection"), Some("close"));
    peer.wait_until_finished(1);
}

#[test]
fn a_message_is_decoded_sent_as_it_is_and_half_closed() {
    // The peer answers only after the end of what it is sent.
    let peer = Peer::new(peer::echo);
    let every_byte: Vec<u8> = (0..=255).collect();
    let encoded: String = every_byte
        .iter()
        .map(|byte| format!("%{byte:02X}"))
        .collect();
    for (message, sent) in [
        ("hello%20wasi", &b"hello wasi"[..]),
        ("hello+wasi", b"hello wasi"),
        ("a%2Bb%2bc", b"a+b+c"),
        ("a%26b=c", b"a&b=c"),
        ("gr%C3%BC%C3%9Fe+%e2%82%ac", "grüße €".as_bytes()),
        ("line%0D%0Aline", b"line\r\nline"),
        ("", b""),
        (&encoded, &every_byte),
    ] {
        let response = agent().get(&format!("/tcp/send?{}&msg={message}", peer.query()));
        assert_eq!(response.status(), 200, "{message}");
        assert!(response.end.is_ok(), "{message}");
        assert_eq!(response.body, [b"echo:", sent].concat(), "{message}");
    }
}

#[test]
fn non_ascii_text_that_is_not_encoded_is_sent_as_it_is() {
    let peer = Peer::new(peer::echo);
    let mut connection = agent().connect();
    let response = connection.get(&format!("/tcp/send?{}&msg=grüße", peer.query()));
    assert_eq!(response.told(), (200, "echo:grüße"));
}

#[test]
fn a_peer_that_answers_while_it_is_sent_to_gets_the_whole_message() {
    // It stops reading while nobody reads what it answers.
    let peer = Peer::new(|mut stream| {
        let mut output = stream.try_clone()?;
        std::io::copy(&mut stream, &mut output)?;
        output.shutdown(Shutdown::Write)
    });
    let message = "agave ".repeat(5000);
    let response = agent().get(&format!(
        "/tcp/send?{}&msg={}",
        peer.query(),
        message.replace(' ', "+")
    ));
    assert_eq!(response.told(), (200, message.as_str()));
}

#[test]
fn missing_and_malformed_parameters_are_400_with_a_sentence() {
    let long = format!("/?host={}", "a".repeat(64));
    for (target, told) in [
        ("/tcp/send", "`host`"),
        ("/tcp/send?port=1&msg=a", "`host`"),
        ("/tcp/send?host=h&msg=a", "`port`"),
        ("/tcp/send?host=h&port=1", "`msg`"),
        ("/tcp/send?host=h&port=1&msg=%4", "`%`"),
        ("/tcp/send?host=h&port=1&msg=%zz", "`%`"),
        ("/tcp/send?host=h&port=1&msg=a&msg=b", "`msg`"),
        ("/?host=", "`host`"),
        ("/?host=a..b", "`host`"),
        ("/?host=a:80", "`host`"),
        ("/?host=a/b", "`host`"),
        ("/?host=[::1", "`host`"),
        ("/?host=a%0d%0aX-Evil:1", "`host`"),
        ("/?host=%ff", "`host`"),
        (&long, "`host`"),
        ("/?port=", "`port`"),
        ("/?port=0", "`port`"),
        ("/?port=65536", "`port`"),
        ("/?port=-1", "`port`"),
        ("/?port=%2B80", "`port`"),
        ("/?port=80x", "`port`"),
        ("/?port=1&port=2", "`port`"),
    ] {
        let response = agent().get(target);
        let (status, text) = response.told();
        assert_eq!(status, 400, "{target}: {text}");
        assert!(
            text.contains(told) && text.ends_with(".\n"),
            "{target}: {text}"
        );
    }
}

#[test]
fn other_paths_are_404_by_any_method() {
    for method in ["GET", "POST"] {
        for target in [
            "/x",
            "/health/",
            "/Health",
            "/tcp",
            "/tcp/send/",
            "/x?host=h",
        ] {
            let response = agent().request(&Request::new(method, target));
            assert_eq!(response.status(), 404, "{method} {target}");
            assert!(response.text().contains("/tcp/send?host=H&port=P&msg=TEXT"));
        }
    }
}

#[test]
fn other_methods_are_405_with_what_is_allowed() {
    for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
        for target in ["/", "/health", "/tcp/send"] {
            let response = agent().request(&Request {
                content: match method {
                    "POST" | "PUT" => Content::Length(b"content"),
                    _ => Content::None,
                },
                ..Request::new(method, target)
            });
            assert_eq!(response.status(), 405, "{method} {target}");
            assert_eq!(
                response.field("allow"),
                Some("GET, HEAD"),
                "{method} {target}"
            );
        }
    }
}

#[test]
fn head_gives_the_head_alone_and_the_connection_goes_on() {
    let peer = Peer::new(peer::says(PYTHON));
    let echo = Peer::new(peer::echo);
    let mut connection = agent().connect();
    for (target, status) in [
        ("/health".into(), 200),
        (fetch(&peer), 200),
        (send(&echo, "x"), 200),
        ("/?port=x".into(), 400),
        ("/x".into(), 404),
    ] {
        let response = connection.exchange(&Request::new("HEAD", &target));
        assert_eq!(response.status(), status, "{target}");
        assert_eq!(response.body, b"", "{target}");
        // Bytes of a body would be taken for this response's head.
        assert_eq!(connection.get("/health").told(), (200, "ok"), "{target}");
    }
}

#[test]
fn who_refuses_is_502_naming_it() {
    let refusing = Refusing::new();
    for target in [
        format!("/?host=127.0.0.1&port={}", refusing.port),
        format!("/tcp/send?host=127.0.0.1&port={}&msg=x", refusing.port),
    ] {
        let response = agent().get(&target);
        let (status, text) = response.told();
        assert_eq!(status, 502, "{target}: {text}");
        let peer = format!("127.0.0.1:{}", refusing.port);
        assert!(
            text.contains(&peer) && text.contains("connection-refused"),
            "{text}"
        );
    }
}

#[test]
fn a_name_that_does_not_resolve_is_502_naming_it() {
    // RFC 6761, section 6.4: it never does.
    let response = agent().get("/?host=nowhere.invalid&port=80");
    let (status, text) = response.told();
    assert_eq!(status, 502, "{text}");
    assert!(
        text.starts_with("Could not resolve nowhere.invalid: "),
        "{text}"
    );
}

#[test]
fn a_name_leads_to_whichever_of_its_addresses_accepts() {
    let resolved: Vec<_> = ("localhost", 0).to_socket_addrs().unwrap().collect();
    let v4 = Some(Peer::new(peer::echo)).filter(|_| resolved.iter().any(|it| it.is_ipv4()));
    let v6 = Peer::v6(peer::echo).filter(|_| resolved.iter().any(|it| it.is_ipv6()));
    assert!(v4.is_some() || v6.is_some(), "{resolved:?}");
    for peer in [v4, v6].into_iter().flatten() {
        let response = agent().get(&format!(
            "/tcp/send?host=localhost&port={}&msg=x",
            peer.port()
        ));
        assert_eq!(response.told(), (200, "echo:x"), "{}", peer.address);
    }
}

#[test]
fn ipv6_works_with_and_without_brackets() {
    let Some(peer) = Peer::v6(peer::echo) else {
        eprintln!("this machine has no [::1]");
        return;
    };
    for host in ["::1", "[::1]", "%5B::1%5D"] {
        let response = agent().get(&format!("/tcp/send?host={host}&port={}&msg=x", peer.port()));
        assert_eq!(response.told(), (200, "echo:x"), "{host}");
    }
}

#[test]
fn a_peer_that_closes_at_once_is_502_saying_so() {
    let peer = Peer::new(peer::close);
    for target in [fetch(&peer), send(&peer, "x")] {
        let response = agent().get(&target);
        let (status, text) = response.told();
        assert_eq!(status, 502, "{target}: {text}");
        assert!(text.contains(&peer.address.to_string()), "{target}: {text}");
    }
}

#[test]
fn a_peer_that_resets_is_502_naming_that() {
    let peer = Peer::new(peer::reset);
    for target in [fetch(&peer), send(&peer, "x")] {
        let response = agent().get(&target);
        let (status, text) = response.told();
        assert_eq!(status, 502, "{target}: {text}");
        assert!(text.contains("failed: "), "{target}: {text}");
    }
}

#[test]
fn a_peer_that_does_not_answer_in_10_s_is_504() {
    let (_hold, held) = channel::<()>();
    let held = Mutex::new(Some(held));
    let peer = Peer::new(move |stream| {
        peer::drain(&stream)?;
        // After a half-close the other direction stays open.
        if let Some(held) = held.lock().unwrap().take() {
            let _ = held.recv();
        }
        Ok(())
    });
    let silent = Peer::new(peer::silent);
    let targets = [fetch(&silent), send(&peer, "x")];
    at_once(2, |i| {
        let begun = Instant::now();
        let response = agent().get(&targets[i]);
        let (status, text) = response.told();
        assert_eq!(status, 504, "{text}");
        assert!(text.contains("did not answer within 10 seconds"), "{text}");
        let taken = begun.elapsed();
        assert!((10..15).contains(&taken.as_secs()), "{taken:?}");
    });
    silent.wait_until_finished(1);
}

#[test]
fn a_reply_up_to_1_mib_is_whole_and_a_longer_one_502() {
    for (bytes, status) in [(MIB, 200), (MIB + 1, 502), (8 * MIB, 502)] {
        let peer = Peer::new(peer::pour(bytes));
        let response = agent().get(&fetch(&peer));
        assert_eq!(response.status(), status, "{bytes}");
        assert!(response.end.is_ok(), "{bytes}");
        match status {
            200 => assert!(response.body == vec![b'x'; bytes], "other bytes"),
            _ => assert!(
                response.text().contains("longer than 1048576 bytes"),
                "{bytes}"
            ),
        }
        peer.wait_until_finished(1);
    }
}

/// A peer that sends `rest` when it is told that its first byte was received.
fn two_steps(rest: impl Fn(&mut dyn Write) + Send + Sync + 'static) -> (Peer, impl Fn()) {
    let (tell, told) = channel();
    let told = Mutex::new(told);
    let peer = Peer::new(peer::after_head(move |mut stream, _| {
        stream.write_all(b"1")?;
        if told.lock().unwrap().recv().is_ok() {
            rest(&mut stream);
        }
        Ok(())
    }));
    (peer, move || tell.send(()).unwrap())
}

#[test]
fn the_first_byte_arrives_before_the_last_is_sent() {
    let (tell, told) = channel();
    let told = Mutex::new(told);
    // A byte, and another each time that the client has the one before.
    let peer = Peer::new(peer::after_head(move |mut stream, _| {
        stream.write_all(b"0")?;
        for digit in told.lock().unwrap().iter() {
            stream.write_all(digit)?;
        }
        Ok(())
    }));
    let mut connection = agent().connect();
    let (head, mut body) = connection.begin(&fetch(&peer));
    assert_eq!(head.status(), 200);
    assert_eq!(body.text(1), "0");
    for digit in [b"1", b"2", b"3"] {
        tell.send(digit).unwrap();
        assert_eq!(body.text(1).as_bytes(), digit);
    }
    drop(tell);
    let (rest, end) = body.rest();
    assert_eq!(rest, b"");
    assert!(end.is_ok(), "{end:?}");
}

#[test]
fn a_peer_that_sends_one_byte_a_second_is_passed_on() {
    let peer = Peer::new(peer::after_head(|mut stream, _| {
        for byte in b"slow" {
            stream.write_all(&[*byte])?;
            std::thread::sleep(Duration::from_secs(1));
        }
        Ok(())
    }));
    let response = agent().get(&fetch(&peer));
    assert_eq!(response.told(), (200, "slow"));
}

#[test]
fn a_reply_that_streams_and_then_exceeds_1_mib_is_cut_off() {
    let (peer, go_on) = two_steps(|stream| drop(stream.write_all(&vec![b'x'; 2 * MIB])));
    let mut connection = agent().connect();
    let (head, mut body) = connection.begin(&fetch(&peer));
    assert_eq!(head.status(), 200);
    assert_eq!(body.text(1), "1");
    go_on();
    let (rest, end) = body.rest();
    assert!(end.is_err(), "{} bytes and a proper end", rest.len());
    assert!(rest.len() < MIB, "{}", rest.len());
    peer.wait_until_finished(1);
}

#[test]
fn a_reply_that_streams_and_then_breaks_is_cut_off() {
    let (tell, told) = channel::<()>();
    let told = Mutex::new(told);
    // What closes with unread bytes resets.
    let peer = Peer::new(move |mut stream| {
        stream.peek(&mut [0])?;
        stream.write_all(b"1")?;
        let _ = told.lock().unwrap().recv();
        Ok(())
    });
    let mut connection = agent().connect();
    let (head, mut body) = connection.begin(&fetch(&peer));
    assert_eq!(head.status(), 200);
    assert_eq!(body.text(1), "1");
    tell.send(()).unwrap();
    let (rest, end) = body.rest();
    assert_eq!(rest, b"");
    assert!(end.is_err());
}

#[test]
fn a_reply_that_streams_and_then_stalls_is_cut_off_after_10_s() {
    let (peer, _go_on) = two_steps(|_| {});
    let mut connection = agent().connect();
    let (head, mut body) = connection.begin(&fetch(&peer));
    assert_eq!(head.status(), 200);
    assert_eq!(body.text(1), "1");
    let begun = Instant::now();
    let (rest, end) = body.rest();
    assert_eq!(rest, b"");
    assert!(end.is_err());
    let taken = begun.elapsed();
    assert!((9..15).contains(&taken.as_secs()), "{taken:?}");
}

#[test]
fn a_head_of_a_reply_that_streams_is_not_waited_for() {
    let (peer, go_on) = two_steps(|stream| drop(stream.write_all(b"2")));
    let mut connection = agent().connect();
    let response = connection.exchange(&Request::new("HEAD", &fetch(&peer)));
    assert_eq!(response.status(), 200);
    assert_eq!(connection.get("/health").told(), (200, "ok"));
    go_on();
    peer.wait_until_finished(1);
}

#[test]
fn sixty_four_clients_at_once_each_get_their_own_reply() {
    const CLIENTS: usize = 64;
    // The peer answers none before it has heard from all.
    let all = Barrier::new(CLIENTS);
    let peer = Peer::new(move |mut stream| {
        let mut message = Vec::new();
        stream.read_to_end(&mut message)?;
        all.wait();
        stream.write_all(&message)
    });
    let together = Barrier::new(CLIENTS);
    at_once(CLIENTS, |client| {
        let message = format!("I am {client}");
        let mut connection = Connection::open(agent().address);
        together.wait();
        let response = connection.get(&send(&peer, &message));
        assert_eq!(response.told(), (200, message.as_str()));
    });
    assert_eq!(peer.accepted(), CLIENTS);
}

#[test]
fn without_the_grant_sockets_are_refused_and_all_else_works() {
    let peer = Peer::new(peer::echo);
    for target in [fetch(&peer), send(&peer, "x")] {
        let response = lonely().get(&target);
        let (status, text) = response.told();
        assert_eq!(status, 502, "{target}: {text}");
        assert!(text.contains("access-denied"), "{target}: {text}");
    }
    for target in ["/?host=localhost", "/?host=nowhere.invalid"] {
        let response = lonely().get(target);
        let (status, text) = response.told();
        assert_eq!(status, 502, "{target}: {text}");
        assert!(text.starts_with("Could not resolve"), "{target}: {text}");
    }
    assert_eq!(peer.accepted(), 0);
    assert_eq!(lonely().get("/health").told(), (200, "ok"));
    assert_eq!(lonely().get("/?port=x").status(), 400);
    assert_eq!(lonely().get("/x").status(), 404);
    assert_eq!(
        lonely().request(&Request::new("POST", "/health")).status(),
        405
    );
}

#[test]
fn what_is_not_named_is_example_com_and_80_and_the_fallback_is_told() {
    // Without a network, so that nobody out there is dialled.
    for (target, told) in [
        ("/", "Could not connect to example.com:80: "),
        ("/?port=81", "Could not connect to example.com:81: "),
        ("/?host=127.0.0.1", "Could not connect to 127.0.0.1:80: "),
    ] {
        let response = lonely().get(target);
        let (status, text) = response.told();
        assert_eq!(status, 502, "{target}: {text}");
        assert!(text.starts_with(told), "{target}: {text}");
        let fell_back = response.field("x-agent-fallback");
        assert_eq!(
            fell_back.is_some(),
            told.contains("example.com"),
            "{target}"
        );
        let notice = fell_back.unwrap_or("example.com did not resolve");
        assert!(
            notice.starts_with("example.com did not resolve"),
            "{notice}"
        );
    }
}
