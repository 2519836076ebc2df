//! Whom to dial, as a client writes it.

use crate::refusal::Refusal;
use std::fmt;
use std::net::IpAddr;

/// The port that is asked where the request names none.
pub const DEFAULT_PORT: u16 = 80;

/// Whom to dial.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// A name, or an address without brackets.
    pub host: String,
    /// The port, never 0.
    pub port: u16,
}

impl Peer {
    /// The address where the host is one rather than a name.
    pub fn literal(&self) -> Option<IpAddr> {
        self.host.parse().ok()
    }

    /// The request for `/` that the peer gets.
    pub fn http_request(&self) -> String {
        let host = self.to_string();
        let host = host
            .strip_suffix(":80")
            .filter(|_| self.port == DEFAULT_PORT)
            .unwrap_or(&host);
        format!(
            "GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: ai-agent-sockets\r\n\
             Accept: */*\r\nConnection: close\r\n\r\n"
        )
    }
}

/// `host:port`, with an IPv6 address in brackets.
impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        match self.literal() {
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:{port}"),
            _ => write!(f, "{host}:{port}"),
        }
    }
}

/// Reads a host, which a refusal calls `what`: a name, or an address, of IPv6 in brackets or
/// not. Gives it without them.
///
/// Errors: 400 where it is neither.
pub fn host(what: &str, text: &str) -> Result<String, Refusal> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    // What is no address must be a name: it goes into a header, so anything beyond these
    // characters would let a client write the rest of the request.
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let is_name = |name: &str| {
        let name = name.strip_suffix('.').unwrap_or(name);
        name.len() <= 253 && name.split('.').all(label)
    };
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V6(_)) => Ok(bare.into()),
        _ if is_name(text) => Ok(text.into()),
        _ => Err(Refusal::bad_request(format!(
            "{what} is neither a host name nor an IP address."
        ))),
    }
}

/// Reads a port, which a refusal calls `what`.
///
/// Errors: 400 where it is none.
pub fn port(what: &str, text: &str) -> Result<u16, Refusal> {
    // `parse` alone would take a sign.
    match text.parse() {
        Ok(port) if port != 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(port),
        _ => Err(Refusal::bad_request(format!(
            "{what} is not a number from 1 to 65535."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_header_has_brackets_and_the_port_where_needed() {
        for ((name, port), host) in [
            (("example.com", 80), "example.com"),
            (("example.com", 8080), "example.com:8080"),
            (("::1", 80), "[::1]"),
            (("::1", 81), "[::1]:81"),
        ] {
            let peer = Peer {
                host: name.into(),
                port,
            };
            let request = peer.http_request();
            assert!(request.starts_with("GET / HTTP/1.1\r\n"), "{request}");
            assert!(
                request.contains(&format!("\r\nHost: {host}\r\n")),
                "{request}"
            );
            assert!(request.contains("\r\nConnection: close\r\n"), "{request}");
            assert!(request.ends_with("\r\n\r\n"), "{request}");
        }
    }
}
