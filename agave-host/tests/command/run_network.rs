//! `--allow-net`, `--deny-net` and `-S inherit-network`.

use crate::support::peer::Peer;
use crate::support::program::command;
use crate::support::server::Server;
use std::io::Write;

fn greeter() -> Peer {
    Peer::new(|mut stream| stream.write_all(b"hello"))
}

#[test]
fn the_first_rule_that_fits_decides() {
    let peer = greeter();
    let (address, port) = (peer.address.to_string(), peer.port());
    let name = format!("localhost:{port}");
    let other = format!("127.0.0.1:{}", port.wrapping_add(1).max(1));
    let mut connected = 0;
    for (flags, host, allowed) in [
        (&[][..], "127.0.0.1", false),
        (&["-S", "inherit-network"], "127.0.0.1", true),
        (&["-S", "inherit-network"], "localhost", true),
        (&["-S", "inherit-network=n"], "127.0.0.1", false),
        (&["--allow-net", &address], "127.0.0.1", true),
        (&["--allow-net", "127.0.0.0/8"], "127.0.0.1", true),
        (&["--allow-net", &other], "127.0.0.1", false),
        (&["--allow-net", &name], "localhost", true),
        // The address is granted to who asks for the name.
        (&["--allow-net", &name], "127.0.0.1", false),
        (&["--allow-net", "*"], "127.0.0.1", false),
        (
            &["--deny-net", &address, "--allow-net", "127.0.0.0/8"],
            "127.0.0.1",
            false,
        ),
        (
            &["--allow-net", "127.0.0.0/8", "--deny-net", &address],
            "127.0.0.1",
            true,
        ),
        (
            &["--deny-net", &address, "-S", "inherit-network"],
            "127.0.0.1",
            false,
        ),
        (
            &["-S", "inherit-network", "--deny-net", &address],
            "127.0.0.1",
            false,
        ),
        (
            &["--deny-net", &other, "-S", "inherit-network"],
            "127.0.0.1",
            true,
        ),
    ] {
        let output = command(flags, &["connect", &format!("{host}:{port}")]);
        match allowed {
            true => {
                assert_eq!(output.stdout, "hello", "{flags:?} {host}: {output:?}");
                assert_eq!(output.code, Some(0), "{flags:?} {host}: {output:?}");
                connected += 1;
            }
            false => {
                assert_eq!(output.code, Some(1), "{flags:?} {host}: {output:?}");
                assert!(output.stderr.contains("command: "), "{flags:?}: {output:?}");
            }
        }
    }
    peer.wait_until_finished(connected);
}

#[test]
fn what_a_rule_refuses_is_logged() {
    let flags = ["--allow-net", "192.0.2.1", "--log"];
    let program = ["connect", "127.0.0.1:1"];
    let output = command(&[&flags[..], &["info"]].concat(), &program);
    assert!(
        output.stderr.contains("connection to 127.0.0.1:1 refused"),
        "{output:?}"
    );
    let output = command(&[&flags[..], &["off"]].concat(), &program);
    assert!(!output.stderr.contains("refused: "), "{output:?}");
}

#[test]
fn guests_of_a_server_have_the_same_grants() {
    let peer = greeter();
    let rule = peer.address.to_string();
    let target = format!("/proxy?url=http://{rule}/");
    for (flags, denied) in [
        (&["--allow-net", &rule][..], false),
        (&["--deny-net", &rule, "-S", "inherit-network"], true),
        (&["--allow-net", "192.0.2.1"], true),
    ] {
        let server = Server::guest("testbed", flags);
        let response = server.get(&target);
        assert_eq!(response.status(), 502, "{flags:?}: {response:?}");
        let is_denied = response.text().contains("HttpRequestDenied");
        assert_eq!(is_denied, denied, "{flags:?}: {response:?}");
    }
    // It did reach the peer, which speaks no HTTP.
    assert_eq!(peer.accepted(), 1);
}
