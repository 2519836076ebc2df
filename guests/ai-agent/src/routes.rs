//! What a request asks for, from its method, its path and the form that it prefers.

use crate::accept::Form;
use crate::peer::{self, DEFAULT_PORT, Peer};
use crate::query::Query;
use crate::refusal::Refusal;

/// The host that is asked where the request names none.
pub const DEFAULT_HOST: &str = "example.com";

/// Where WebSockets are served.
const SOCKET: &str = "/ws";

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Whether the agent is there.
    Health,
    /// The page that speaks to the WebSocket.
    Console,
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
    /// HEAD, 400 where a parameter is missing or malformed, or where a WebSocket's path is
    /// asked for anything else; in this order.
    pub fn of(method: Method, path_with_query: &str, form: Form) -> Result<Self, Refusal> {
        let (path, query) = split(path_with_query);
        let route: fn(Query<'_>, Form) -> Result<Self, Refusal> = match path {
            "/health" => |_, _| Ok(Self::Health),
            // An empty path is `/` in HTTP.
            "/" | "" => |query, form| match (host(query)?, form) {
                (None, Form::Html) => Ok(Self::Console),
                (host, _) => {
                    let host = host.unwrap_or_else(|| DEFAULT_HOST.into());
                    let port = port(query)?.unwrap_or(DEFAULT_PORT);
                    Ok(Self::Fetch(Peer { host, port }))
                }
            },
            SOCKET => |_, _| Err(Refusal::upgrade_missing()),
            "/tcp/send" => |query, _| {
                let host = host(query)?.ok_or_else(|| missing("host"))?;
                let port = port(query)?.ok_or_else(|| missing("port"))?;
                let message = query.bytes("msg")?.ok_or_else(|| missing("msg"))?;
                Ok(Self::Send(Peer { host, port }, message))
            },
            _ => return Err(Refusal::not_found()),
        };
        match method {
            Method::Get | Method::Head => route(query, form),
            Method::Other => Err(Refusal::method_not_allowed()),
        }
    }
}

/// Whether a client that asks for a WebSocket is given one: on this path, and unless a page
/// of another origin asks, which would so read what this origin can reach. `origin` is the
/// field's value, where it has been sent.
///
/// Errors: 404, 403.
pub fn socket(
    path_with_query: &str,
    authority: Option<&str>,
    origin: Option<&[u8]>,
) -> Result<(), Refusal> {
    if split(path_with_query).0 != SOCKET {
        return Err(Refusal::not_found());
    }
    let Some(origin) = origin else {
        // No browser.
        return Ok(());
    };
    // What ends TLS before this is HTTPS to the browser and HTTP to the host: the scheme is
    // not compared.
    let asks = str::from_utf8(origin).ok().and_then(|it| {
        it.strip_prefix("http://")
            .or_else(|| it.strip_prefix("https://"))
    });
    match (asks, authority) {
        (Some(asks), Some(asked)) if asks.eq_ignore_ascii_case(asked) => Ok(()),
        _ => Err(Refusal::forbidden()),
    }
}

/// The path, and the query after it.
fn split(path_with_query: &str) -> (&str, Query<'_>) {
    let (path, query) = path_with_query
        .split_once('?')
        .unwrap_or((path_with_query, ""));
    (path, Query::new(query))
}

fn missing(name: &str) -> Refusal {
    Refusal::bad_request(format!("Parameter `{name}` is missing."))
}

fn host(query: Query<'_>) -> Result<Option<String>, Refusal> {
    let text = query.text("host")?;
    text.map(|text| peer::host("Parameter `host`", &text))
        .transpose()
}

fn port(query: Query<'_>) -> Result<Option<u16>, Refusal> {
    let text = query.text("port")?;
    text.map(|text| peer::port("Parameter `port`", &text))
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Result<Route, u16> {
        Route::of(Method::Get, path, Form::Text).map_err(|refusal| refusal.status)
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
            "/ws/",
            "/x?host=h",
        ] {
            assert_eq!(get(path), Err(404), "{path}");
            assert_eq!(
                Route::of(Method::Other, path, Form::Html),
                Err(Refusal::not_found()),
                "{path}"
            );
        }
    }

    #[test]
    fn only_get_and_head_are_allowed() {
        for path in ["/", "/health", "/ws", "/tcp/send", "/?port=bad"] {
            assert_eq!(
                Route::of(Method::Other, path, Form::Html),
                Err(Refusal::method_not_allowed()),
                "{path}"
            );
        }
        assert_eq!(
            Route::of(Method::Head, "/health", Form::Text),
            Ok(Route::Health)
        );
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
        let refusal = Route::of(Method::Get, "/tcp/send?host=h&port=1", Form::Text).unwrap_err();
        assert_eq!(refusal.message, "Parameter `msg` is missing.");
    }

    #[test]
    fn a_page_is_given_only_where_nobody_else_is_asked() {
        let fetch = |host: &str, port| Ok(Route::Fetch(peer(host, port)));
        for (path, form, expected) in [
            ("/", Form::Html, Ok(Route::Console)),
            ("", Form::Html, Ok(Route::Console)),
            ("/?port=81", Form::Html, Ok(Route::Console)),
            ("/", Form::Text, fetch("example.com", 80)),
            ("/?host=h", Form::Html, fetch("h", 80)),
            ("/health", Form::Html, Ok(Route::Health)),
            ("/?host=", Form::Html, Err(400)),
            ("/x", Form::Html, Err(404)),
        ] {
            let route = Route::of(Method::Get, path, form).map_err(|it| it.status);
            assert_eq!(route, expected, "{path} {form:?}");
        }
    }

    #[test]
    fn the_path_of_the_websocket_asked_for_otherwise_is_a_bad_request() {
        for path in ["/ws", "/ws?x"] {
            assert_eq!(get(path), Err(400), "{path}");
        }
    }

    #[test]
    fn a_websocket_is_given_on_its_path_to_its_own_origin_and_to_no_browser() {
        for (path, authority, origin, status) in [
            ("/ws", Some("a:1"), None, 200),
            ("/ws", None, None, 200),
            ("/ws?x=y", Some("a:1"), None, 200),
            ("/ws", Some("a:1"), Some("http://a:1"), 200),
            ("/ws", Some("A.example"), Some("https://a.example"), 200),
            ("/ws", Some("a:1"), Some("http://a:2"), 403),
            ("/ws", Some("a"), Some("http://a.example"), 403),
            ("/ws", Some("a"), Some("http://b@a"), 403),
            ("/ws", Some("null"), Some("null"), 403),
            ("/ws", Some("a"), Some("a"), 403),
            ("/ws", Some(""), Some(""), 403),
            ("/ws", None, Some("http://a"), 403),
            ("/ws", Some("a"), Some("\u{e9}"), 403),
            ("/ws/", Some("a"), None, 404),
            ("/", Some("a"), None, 404),
            ("/health", Some("a"), None, 404),
            ("", Some("a"), Some("http://b"), 404),
        ] {
            let given = socket(path, authority, origin.map(str::as_bytes));
            let given = given.map_or_else(|refusal| refusal.status, |()| 200);
            assert_eq!(given, status, "{path} {authority:?} {origin:?}");
        }
    }
}
