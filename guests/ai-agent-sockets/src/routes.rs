//! What a request asks for, from its method and path.

use crate::query::Query;
use crate::refusal::Refusal;
use std::fmt;
use std::net::IpAddr;

/// The host that is asked where the request names none.
pub const DEFAULT_HOST: &str = "example.com";

/// The port that is asked where the request names none.
pub const DEFAULT_PORT: u16 = 80;

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Whether the agent is there.
    Health,
    /// What the HTTP server at a peer answers for `/`.
    Fetch(Peer),
    /// What a peer sends in return for these bytes.
    Send(Peer, Vec<u8>),
}

/// The methods that the routes tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// GET: the whole answer.
    Get,
    /// HEAD: the same without the body.
    Head,
    /// Any other.
    Other,
}

impl Route {
    /// The route of a request.
    ///
    /// Errors: 404 where the path is no route, 405 where the method is neither GET nor
    /// HEAD, 400 where a parameter is missing or malformed; in this order.
    pub fn of(method: Method, path_with_query: &str) -> Result<Self, Refusal> {
        let (path, query) = path_with_query
            .split_once('?')
            .unwrap_or((path_with_query, ""));
        let query = Query::new(query);
        let route: fn(Query<'_>) -> Result<Self, Refusal> = match path {
            "/health" => |_| Ok(Self::Health),
            // An empty path is `/` in HTTP.
            "/" | "" => |query| {
                let host = host(query)?.unwrap_or_else(|| DEFAULT_HOST.into());
                let port = port(query)?.unwrap_or(DEFAULT_PORT);
                Ok(Self::Fetch(Peer { host, port }))
            },
            "/tcp/send" => |query| {
                let host = host(query)?.ok_or_else(|| missing("host"))?;
                let port = port(query)?.ok_or_else(|| missing("port"))?;
                let message = query.bytes("msg")?.ok_or_else(|| missing("msg"))?;
                Ok(Self::Send(Peer { host, port }, message))
            },
            _ => return Err(Refusal::not_found()),
        };
        match method {
            Method::Get | Method::Head => route(query),
            Method::Other => Err(Refusal::method_not_allowed()),
        }
    }
}

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

fn missing(name: &str) -> Refusal {
    Refusal::bad_request(format!("Parameter `{name}` is missing."))
}

fn host(query: Query<'_>) -> Result<Option<String>, Refusal> {
    let Some(text) = query.text("host")? else {
        return Ok(None);
    };
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(&text);
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
        Ok(IpAddr::V6(_)) => Ok(Some(bare.into())),
        _ if is_name(&text) => Ok(Some(text)),
        _ => Err(Refusal::bad_request(
            "Parameter `host` is neither a host name nor an IP address.",
        )),
    }
}

fn port(query: Query<'_>) -> Result<Option<u16>, Refusal> {
    let Some(text) = query.text("port")? else {
        return Ok(None);
    };
    // `parse` alone would take a sign.
    match text.parse() {
        Ok(port) if port != 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(Some(port)),
        _ => Err(Refusal::bad_request(
            "Parameter `port` is not a number from 1 to 65535.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Result<Route, u16> {
        Route::of(Method::Get, path).map_err(|refusal| refusal.status)
    }

    fn peer(host: &str, port: u16) -> Peer {
        let host = host.into();
        Peer { host, port }
    }

    #[test]
    fn paths_lead_to_their_routes() {
        let example = peer("example.com", 80);
        for (path, route) in [
            ("/health", Route::Health),
            ("/health?x=%", Route::Health),
            ("", Route::Fetch(example.clone())),
            ("/", Route::Fetch(example.clone())),
            ("/?", Route::Fetch(example)),
            (
                "/?host=127.0.0.1&port=8082",
                Route::Fetch(peer("127.0.0.1", 8082)),
            ),
            ("/?port=81", Route::Fetch(peer("example.com", 81))),
            ("/?host=a_b.c-d.", Route::Fetch(peer("a_b.c-d.", 80))),
            ("/?host=%5B::1%5D", Route::Fetch(peer("::1", 80))),
            ("/?host=::1", Route::Fetch(peer("::1", 80))),
            (
                "/tcp/send?host=h&port=9090&msg=hello%20wasi",
                Route::Send(peer("h", 9090), b"hello wasi".to_vec()),
            ),
            (
                "/tcp/send?msg=&port=1&host=h",
                Route::Send(peer("h", 1), Vec::new()),
            ),
        ] {
            assert_eq!(get(path), Ok(route), "{path}");
        }
    }

    #[test]
    fn other_paths_are_not_found_by_any_method() {
        for path in [
            "/x",
            "/health/",
            "/Health",
            "//",
            "/tcp",
            "/tcp/send/",
            "/x?host=h",
        ] {
            assert_eq!(get(path), Err(404), "{path}");
            assert_eq!(
                Route::of(Method::Other, path),
                Err(Refusal::not_found()),
                "{path}"
            );
        }
    }

    #[test]
    fn only_get_and_head_are_allowed() {
        for path in ["/", "/health", "/tcp/send", "/?port=bad"] {
            assert_eq!(
                Route::of(Method::Other, path),
                Err(Refusal::method_not_allowed()),
                "{path}"
            );
        }
        assert_eq!(Route::of(Method::Head, "/health"), Ok(Route::Health));
    }

    #[test]
    fn missing_and_malformed_parameters_are_bad_requests() {
        let long = format!("/?host={}", "a".repeat(64));
        for path in [
            "/?host=",
            "/?host=.",
            "/?host=a..b",
            "/?host=a:80",
            "/?host=[127.0.0.1]",
            "/?host=[::1",
            "/?host=::1%25eth0",
            "/?host=a%0d%0aX-Evil:1",
            "/?host=a%20b",
            "/?host=a/b",
            "/?host=%c3%a9",
            "/?host=%ff",
            &long,
            "/?port=",
            "/?port=0",
            "/?port=65536",
            "/?port=-1",
            "/?port=%2B80",
            "/?port=80x",
            "/?port=8080&port=8081",
            "/tcp/send",
            "/tcp/send?port=1&msg=a",
            "/tcp/send?host=h&msg=a",
            "/tcp/send?host=h&port=1",
            "/tcp/send?host=h&port=1&msg=%4",
        ] {
            assert_eq!(get(path), Err(400), "{path}");
        }
    }

    #[test]
    fn a_refusal_names_the_missing_parameter() {
        let refusal = Route::of(Method::Get, "/tcp/send?host=h&port=1").unwrap_err();
        assert_eq!(refusal.message, "Parameter `msg` is missing.");
    }

    #[test]
    fn the_host_header_has_brackets_and_the_port_where_needed() {
        for (peer, host) in [
            (peer("example.com", 80), "example.com"),
            (peer("example.com", 8080), "example.com:8080"),
            (peer("::1", 80), "[::1]"),
            (peer("::1", 81), "[::1]:81"),
        ] {
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
