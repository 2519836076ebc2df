//! What a message of a WebSocket asks for, line by line.

use crate::peer::{self, Peer};
use crate::refusal::Refusal;

/// The lines of a message, each without its end; one at least, so that each message is
/// answered. An end after the last line begins no other.
pub fn of(message: &str) -> impl Iterator<Item = &str> {
    let lines = message.strip_suffix('\n').unwrap_or(message).split('\n');
    lines.map(|line| line.strip_suffix('\r').unwrap_or(line))
}

/// A line `host port message`: whom to dial, and what to send. One space is between them; the
/// message goes to the line's end, and may be empty.
///
/// Errors: 400 where one of the three is missing or malformed.
pub fn parse(line: &str) -> Result<(Peer, &[u8]), Refusal> {
    let mut parts = line.splitn(3, ' ');
    let (Some(host), Some(port), Some(message)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(Refusal::bad_request(
            "A line is `host port message`, with one space between them.",
        ));
    };
    let host = peer::host("The line's host", host)?;
    let port = peer::port("The line's port", port)?;
    Ok((Peer { host, port }, message.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_a_message_is_one_and_no_message_has_none() {
        for (message, lines) in [
            ("", &[""][..]),
            ("a", &["a"]),
            ("a\n", &["a"]),
            ("a\r\n", &["a"]),
            ("a\nb", &["a", "b"]),
            ("a\r\nb\r\n", &["a", "b"]),
            ("a\n\nb\n\n", &["a", "", "b", ""]),
            ("\n", &[""]),
            ("a\rb", &["a\rb"]),
        ] {
            assert_eq!(of(message).collect::<Vec<_>>(), lines, "{message:?}");
        }
    }

    #[test]
    fn a_line_is_a_host_a_port_and_the_message_as_it_is() {
        for (line, host, port, message) in [
            ("h 1 m", "h", 1, "m"),
            (
                "127.0.0.1 9090 hello  wasi ",
                "127.0.0.1",
                9090,
                "hello  wasi ",
            ),
            ("[::1] 65535 %20+", "::1", 65535, "%20+"),
            ("::1 80 ü", "::1", 80, "ü"),
            ("h 1 ", "h", 1, ""),
            ("h 1  m", "h", 1, " m"),
        ] {
            let host = host.into();
            let expected = (Peer { host, port }, message.as_bytes());
            assert_eq!(parse(line), Ok(expected), "{line:?}");
        }
    }

    #[test]
    fn a_malformed_line_is_told_what_is_wrong_with_it() {
        for (line, told) in [
            ("", "`host port message`"),
            ("h", "`host port message`"),
            ("h 1", "`host port message`"),
            (" h 1 m", "host is neither"),
            ("a/b 1 m", "host is neither"),
            ("h\r\nX-Evil:1 1 m", "host is neither"),
            ("h  1 m", "port is not a number"),
            ("h 0 m", "port is not a number"),
            ("h +1 m", "port is not a number"),
            ("h 65536 m", "port is not a number"),
            ("h\t1\tm", "`host port message`"),
        ] {
            let refusal = parse(line).unwrap_err();
            assert_eq!(refusal.status, 400, "{line:?}");
            assert!(refusal.message.contains(told), "{line:?}: {refusal:?}");
        }
    }
}
