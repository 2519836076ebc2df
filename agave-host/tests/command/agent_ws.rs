//! The built-in agent's WebSocket and the page for it, against Python's `websockets` and against
//! Chromium.

use crate::support::http::Request;
use crate::support::peer::{self, Peer, Refusing};
use crate::support::server::{Server, ended};
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

const SUPPORT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/command/support");

fn agent() -> &'static Server {
    static AGENT: OnceLock<Server> = OnceLock::new();
    AGENT.get_or_init(|| Server::agent(&["-S", "inherit-network"]))
}

fn python(script: &str, arguments: &[&str]) -> Child {
    Command::new("python3")
        .arg(format!("{SUPPORT}/{script}.py"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 starts")
}

/// What a client prints that sends these messages and waits for so many.
#[track_caller]
fn client(server: &Server, route: &str, origin: &str, count: usize, messages: &[&str]) -> String {
    let url = format!("ws://{}{route}", server.address);
    let mut arguments = vec![&*url, origin];
    let count = count.to_string();
    arguments.push(&count);
    arguments.extend(messages);
    let output = ended(python("agent_client", &arguments));
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    output.stdout
}

/// What it gets for these messages, one for each `count`, on a connection that it then closes.
#[track_caller]
fn replies(server: &Server, count: usize, messages: &[&str]) -> Vec<String> {
    let printed = client(server, "/ws", "-", count, messages);
    let mut lines: Vec<_> = printed.lines().map(str::to_owned).collect();
    assert_eq!(lines.pop().as_deref(), Some("closed 1000 enough"));
    lines
}

/// Answers `echo:` and what it got, as bytes that are no UTF-8 where that begins with `binary`.
fn echo_or_bytes(stream: std::net::TcpStream) -> std::io::Result<()> {
    let mut begin = [0; 6];
    if stream.peek(&mut begin)? == 6 && begin == *b"binary" {
        peer::drain(&stream)?;
        return (&stream).write_all(b"\xff\0\xfe");
    }
    peer::echo(stream)
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn a_line_is_sent_half_closed_and_its_reply_is_a_message() {
    // The peer answers only after the end of what it is sent.
    let peer = Peer::new(peer::echo);
    for (message, reply) in [
        ("hello wasi", "echo:hello wasi"),
        ("  %20+ ", "echo:  %20+ "),
        ("grüße €", "echo:grüße €"),
        ("", "echo:"),
    ] {
        let line = format!("text:127.0.0.1 {} {message}", peer.port());
        let reply = format!("text:\"{reply}\"");
        assert_eq!(replies(agent(), 1, &[&line]), [reply]);
    }
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn lines_of_one_message_and_of_several_are_answered_in_order() {
    let peer = Peer::new(peer::echo);
    let line = |n: u32| format!("127.0.0.1 {} {n}", peer.port());
    let several = format!("text:{}\n{}\r\n{}\n", line(1), line(2), line(3));
    let one = format!("text:{}", line(4));
    let expected = [1, 2, 3, 4].map(|n| format!("text:\"echo:{n}\""));
    assert_eq!(replies(agent(), 4, &[&several, &one]), expected);
    peer.wait_until_finished(4);
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn a_reply_that_is_no_utf_8_is_a_binary_message() {
    let peer = Peer::new(|mut stream| {
        peer::drain(&stream)?;
        stream.write_all(b"\xff\0\xfe")
    });
    let line = format!("text:127.0.0.1 {} x", peer.port());
    assert_eq!(replies(agent(), 1, &[&line]), ["hex:ff00fe"]);
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn a_reply_up_to_1_mib_is_one_message_and_a_longer_one_a_502() {
    const MIB: usize = 1 << 20;
    for (bytes, whole) in [(MIB, true), (MIB + 1, false), (8 * MIB, false)] {
        let peer = Peer::new(peer::pour(bytes));
        let line = format!("text:127.0.0.1 {} x", peer.port());
        let reply = replies(agent(), 1, &[&line]).remove(0);
        match whole {
            true => assert!(reply == format!("text:\"{}\"", "x".repeat(bytes))),
            false => assert!(
                reply.starts_with("text:\"502 ") && reply.contains("longer than 1048576 bytes"),
                "{bytes}: {reply:.80}"
            ),
        }
    }
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn what_is_wrong_is_told_and_the_connection_goes_on() {
    let peer = Peer::new(peer::echo);
    let closing = Peer::new(peer::close);
    let refusing = Refusing::new();
    let fine = format!("127.0.0.1 {} fine", peer.port());
    for (line, told) in [
        ("nonsense".into(), "\"400 A line is `host port message`"),
        (String::new(), "\"400 A line is `host port message`"),
        ("a/b 1 x".into(), "\"400 The line's host is neither"),
        ("h 65536 x".into(), "\"400 The line's port is not a number"),
        (
            "nowhere.invalid 80 x".into(),
            "\"502 Could not resolve nowhere.invalid: ",
        ),
        (
            format!("127.0.0.1 {} x", refusing.port),
            &format!(
                "\"502 Could not connect to 127.0.0.1:{}: connection-refused.\"",
                refusing.port
            ),
        ),
        (format!("127.0.0.1 {} x", closing.port()), "\"502 "),
    ] {
        let message = format!("text:{line}\n{fine}");
        let [refusal, reply] = &replies(agent(), 2, &[&message])[..] else {
            panic!("two replies")
        };
        assert!(
            refusal.starts_with(&format!("text:{told}")),
            "{line}: {refusal}"
        );
        assert_eq!(reply, "text:\"echo:fine\"", "{line}");
    }
    let fine = format!("text:{fine}");
    let binary = replies(agent(), 2, &["hex:ff", &fine]);
    assert!(
        binary[0].starts_with("text:\"400 Lines are text"),
        "{binary:?}"
    );
    assert_eq!(binary[1], "text:\"echo:fine\"");
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn lines_reach_what_the_grants_allow_and_nothing_else() {
    let allowed = Peer::new(peer::echo);
    let other = Peer::new(peer::echo);
    let server = Server::agent(&["--allow-net", &allowed.address.to_string()]);
    let lines = [&allowed, &other].map(|peer| format!("text:127.0.0.1 {} x", peer.port()));
    let got = replies(&server, 2, &[&lines[0], &lines[1]]);
    assert_eq!(got[0], "text:\"echo:x\"");
    assert!(
        got[1].starts_with("text:\"502 ") && got[1].contains("access-denied"),
        "{got:?}"
    );
    assert_eq!(other.accepted(), 0);
    let refused = format!(
        "INFO  connection to {} refused: no rule allows it",
        other.address
    );
    assert_eq!(server.stop(), [refused]);
}

#[test]
#[ignore = "needs Python's websockets, which CI installs"]
fn other_paths_are_404_and_pages_of_other_origins_403() {
    let own = format!("http://{}", agent().address);
    for (route, origin, expected) in [
        ("/", "-", "refused 404 No such route."),
        ("/health", "-", "refused 404 No such route."),
        ("/ws/", "-", "refused 404 No such route."),
        (
            "/ws",
            "http://evil.example",
            "refused 403 The WebSocket is for pages of its own origin",
        ),
        ("/ws", "null", "refused 403 "),
        ("/ws", &own, "closed 1000"),
        ("/ws?x", "-", "closed 1000"),
    ] {
        let got = client(agent(), route, origin, 0, &[]);
        assert!(got.starts_with(expected), "{route} {origin}: {got}");
    }
}

#[test]
fn plain_http_to_the_websocket_is_400_and_other_methods_are_405() {
    let response = agent().get("/ws");
    let (status, text) = response.told();
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("WebSocket"), "{text}");
    assert_eq!(agent().request(&Request::new("POST", "/ws")).status(), 405);
}

#[test]
fn the_page_goes_to_who_prefers_it_and_runs_its_own_script_alone() {
    let nonces = [1, 2].map(|_| {
        let mut connection = agent().connect();
        let request = Request {
            fields: &[("accept", "text/html,application/xml;q=0.9,*/*;q=0.8")],
            ..Request::new("GET", "/")
        };
        let response = connection.exchange(&request);
        assert_eq!(response.status(), 200);
        assert_eq!(
            response.field("content-type"),
            Some("text/html; charset=utf-8")
        );
        assert_eq!(response.field("vary"), Some("accept"));
        let policy = response.field("content-security-policy").expect("a policy");
        assert!(policy.starts_with("default-src 'none'; "), "{policy}");
        let (_, nonce) = policy.split_once("script-src 'nonce-").expect("a nonce");
        let nonce = nonce.split('\'').next().unwrap().to_owned();
        assert_eq!(nonce.len(), 32, "{policy}");
        let script = format!("<script nonce=\"{nonce}\">");
        assert!(response.text().contains(&script));
        nonce
    });
    assert_ne!(nonces[0], nonces[1]);
}

/// `AGAVE_TEST_SCREENSHOT` names where a picture of the page is put.
#[test]
#[ignore = "needs chromium and chromedriver (Debian: chromium-driver)"]
fn lines_typed_into_the_page_in_a_browser_are_answered_and_it_reconnects() {
    let server = Server::agent(&["-S", "inherit-network"]);
    let address = server.address.to_string();
    let peer = Peer::new(echo_or_bytes);
    let refusing = Refusing::new();
    let line = |message: &str| format!("127.0.0.1 {} {message}", peer.port());
    let (first, binary) = (line("hello wasi"), line("binary"));
    let markup = line("<img src=x onerror=alert(1)>");
    let refused = format!("127.0.0.1 {} hello", refusing.port);
    let screenshot = env::var("AGAVE_TEST_SCREENSHOT").unwrap_or("-".into());
    let url = format!(
        "http://{address}/#{}",
        line("from%20the%20fragment").replace(' ', "%20")
    );
    let mut browser = python(
        "agent_browser",
        &[&url, &screenshot, &first, &refused, &binary, &markup],
    );
    let mut stdin = browser.stdin.take().expect("its input");
    let mut lines = BufReader::new(browser.stdout.take().expect("its output")).lines();
    let mut next = || lines.next().and_then(Result::ok).unwrap_or_default();

    let mut entries = Vec::new();
    loop {
        match next() {
            line if line == "typed" => break,
            line if line.is_empty() => panic!("{entries:#?}\n{}", ended(browser).stderr),
            line => entries.push(line),
        }
    }
    let entry = |kind: &str, text: &str| format!("[\"{kind}\", \"{text}\"]");
    let expected = [
        entry("sent", &line("from the fragment")),
        entry("reply", "echo:from the fragment"),
        entry("sent", &first),
        entry("reply", "echo:hello wasi"),
        entry("sent", &refused),
        entry(
            "reply",
            &format!(
                "502 Could not connect to 127.0.0.1:{}: connection-refused.",
                refusing.port
            ),
        ),
        entry("sent", &binary),
        entry("bytes", "3 bytes: ff 00 fe"),
        entry("sent", &markup),
        entry("reply", "echo:<img src=x onerror=alert(1)>"),
    ];
    assert_eq!(entries, expected);

    server.stop();
    stdin.write_all(b"\n").unwrap();
    let state = next();
    assert!(state.starts_with("disconnected (1001"), "{state}");

    let server = Server::on(&address, &["-S", "inherit-network"]);
    stdin.write_all(b"\n").unwrap();
    assert_eq!(next(), entry("reply", "echo:hello wasi"));
    let output = ended(browser);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    server.stop();
}
