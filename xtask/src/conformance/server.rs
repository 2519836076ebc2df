//! The HTTP servers that run beside a test, for it to send requests to.

use super::http::{self, Fields, Message, Target};
use anyhow::{Result, ensure};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{self, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What a server is to do, as a test's .json file says it.
#[derive(Debug, Deserialize, PartialEq)]
#[serde(try_from = "File")]
pub(crate) struct Server {
    name: String,
    /// `None` for an address that nobody listens on.
    endpoints: Option<Vec<Endpoint>>,
}

impl Server {
    /// The environment variable that tells the guest the address.
    pub(crate) fn variable(&self) -> String {
        format!("HTTP_SERVER_{}", self.name.to_ascii_uppercase())
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Endpoint {
    method: String,
    /// With the query.
    path: String,
    answer: Answer,
}

#[derive(Clone, Debug, PartialEq)]
enum Answer {
    /// The same for each request.
    Static(Response),
    /// The request's body.
    EchoBody,
    /// The request's line, headers and trailers, as headers.
    EchoHeaders,
}

#[derive(Clone, Debug, PartialEq)]
struct Response {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Body,
}

#[derive(Clone, Debug, PartialEq)]
enum Body {
    Whole(Vec<u8>),
    Chunks(Vec<String>, BTreeMap<String, String>),
}

/// A server in the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: String,
    #[serde(default)]
    kind: Kind,
    endpoints: Option<Vec<EndpointFile>>,
}

#[derive(Default, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    Listening,
    Closed,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndpointFile {
    method: Option<String>,
    path: Option<String>,
    #[serde(default)]
    mode: Mode,
    response: Option<ResponseFile>,
}

#[derive(Default, Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    #[default]
    Static,
    EchoBody,
    EchoHeaders,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ResponseFile {
    status: Option<u16>,
    headers: BTreeMap<String, String>,
    body: Option<String>,
    chunks: Option<Vec<String>>,
    trailers: BTreeMap<String, String>,
}

impl TryFrom<File> for Server {
    type Error = anyhow::Error;

    fn try_from(file: File) -> Result<Self> {
        let name = file.name;
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        ensure!(
            !name.is_empty() && name.bytes().all(known),
            "server {name:?}: not a name"
        );
        let endpoints = file.endpoints;
        if file.kind == Kind::Closed {
            ensure!(
                endpoints.is_none(),
                "server {name:?}: closed, and has endpoints"
            );
            let endpoints = None;
            return Ok(Self { name, endpoints });
        }
        let endpoints = endpoints.unwrap_or_default().into_iter();
        let endpoints = endpoints.map(Endpoint::try_from).collect::<Result<_>>()?;
        let endpoints = Some(endpoints);
        Ok(Self { name, endpoints })
    }
}

impl TryFrom<EndpointFile> for Endpoint {
    type Error = anyhow::Error;

    fn try_from(file: EndpointFile) -> Result<Self> {
        let path = file.path.unwrap_or_else(|| "/".into());
        let fixed = file.mode == Mode::Static;
        ensure!(
            fixed || file.response.is_none(),
            "endpoint {path:?}: echoes, and has a response"
        );
        let answer = match file.mode {
            Mode::Static => Answer::Static(file.response.unwrap_or_default().try_into()?),
            Mode::EchoBody => Answer::EchoBody,
            Mode::EchoHeaders => Answer::EchoHeaders,
        };
        Ok(Self {
            method: file.method.unwrap_or_else(|| "GET".into()),
            path,
            answer,
        })
    }
}

impl TryFrom<ResponseFile> for Response {
    type Error = anyhow::Error;

    fn try_from(file: ResponseFile) -> Result<Self> {
        let body = match file.chunks {
            None => {
                ensure!(file.trailers.is_empty(), "trailers need chunks");
                Body::Whole(file.body.unwrap_or_default().into())
            }
            Some(chunks) => {
                ensure!(file.body.is_none(), "either body or chunks");
                ensure!(!chunks.iter().any(String::is_empty), "an empty chunk");
                Body::Chunks(chunks, file.trailers)
            }
        };
        Ok(Self {
            status: file.status.unwrap_or(200),
            headers: file.headers,
            body,
        })
    }
}

/// Servers that run until this is dropped, on 127.0.0.1.
pub(crate) struct Running {
    servers: Vec<(String, SocketAddr, Option<Listening>)>,
}

struct Listening {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Starts all of `servers`. Each read and write of theirs may take `limit`.
    ///
    /// Errors: there is no port left.
    pub(crate) fn start(servers: &[Server], limit: Duration) -> io::Result<Self> {
        let mut running = Self {
            servers: Vec::new(),
        };
        for server in servers {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let address = listener.local_addr()?;
            let listening = server.endpoints.clone().map(|endpoints| {
                let ends = Arc::new(AtomicBool::new(false));
                let thread = {
                    let ends = Arc::clone(&ends);
                    thread::spawn(move || serve(&listener, &endpoints, &ends, limit))
                };
                let thread = Some(thread);
                Listening { ends, thread }
            });
            let variable = server.variable();
            running.servers.push((variable, address, listening));
        }
        Ok(running)
    }

    /// The environment variables that tell a guest of the servers.
    pub(crate) fn variables(&self) -> impl Iterator<Item = (&str, SocketAddr)> {
        let servers = self.servers.iter();
        servers.map(|(variable, address, _)| (variable.as_str(), *address))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for (_, address, listening) in &mut self.servers {
            if let Some(Listening { ends, thread }) = listening {
                ends.store(true, Ordering::Relaxed);
                // What wakes it up. If that can't be made, it goes when the process does.
                if TcpStream::connect(*address).is_ok()
                    && let Some(thread) = thread.take()
                {
                    let _ = thread.join();
                }
            }
        }
    }
}

/// Answers each connection's request in a thread of its own, until `ends` is set and one more
/// connection comes.
fn serve(listener: &TcpListener, endpoints: &[Endpoint], ends: &AtomicBool, limit: Duration) {
    thread::scope(|scope| {
        for connection in listener.incoming() {
            if ends.load(Ordering::Relaxed) {
                return;
            }
            if let Ok(connection) = connection {
                // What goes wrong with a connection, the test at its other end tells.
                scope.spawn(move || answer(&connection, endpoints, limit));
            }
        }
    });
}

fn answer(mut connection: &TcpStream, endpoints: &[Endpoint], limit: Duration) -> io::Result<()> {
    connection.set_read_timeout(Some(limit))?;
    connection.set_write_timeout(Some(limit))?;
    let response = match http::request(&mut BufReader::new(connection)) {
        Ok(Some(request)) => text(&request, endpoints),
        Ok(None) => return Ok(()),
        Err(error) => {
            let error = error.to_string();
            framed(400, &[], Some(error.into_bytes()), "POST")
        }
    };
    connection.write_all(&response)
}

/// The response to `request`, as it is sent. It is the last one of the connection.
fn text(request: &Message<Target>, endpoints: &[Endpoint]) -> Vec<u8> {
    let Target { method, path } = &request.first;
    let mut fitting = endpoints.iter();
    let Some(endpoint) = fitting.find(|it| it.method == *method && it.path == *path) else {
        return framed(404, &[], Some(Vec::new()), method);
    };
    match &endpoint.answer {
        Answer::EchoBody => framed(200, &[], Some(request.body.clone()), method),
        Answer::EchoHeaders => framed(200, &echoed(request), Some(Vec::new()), method),
        Answer::Static(response) => {
            let headers: Fields = response.headers.iter().map(owned).collect();
            match &response.body {
                Body::Whole(body) => framed(response.status, &headers, Some(body.clone()), method),
                Body::Chunks(chunks, trailers) => {
                    let mut text = framed(response.status, &headers, None, method);
                    if method != "HEAD" {
                        chunked(&mut text, chunks, trailers);
                    }
                    text
                }
            }
        }
    }
}

fn owned((name, value): (&String, &String)) -> (String, Vec<u8>) {
    (name.clone(), value.clone().into())
}

fn echoed(request: &Message<Target>) -> Fields {
    let Target { method, path } = &request.first;
    let line = [
        ("x-request-method".into(), method.clone().into()),
        ("x-request-path".into(), path.clone().into()),
    ];
    let named = |prefix: &'static str, fields: &Fields| {
        let fields = fields.clone().into_iter();
        fields.map(move |(name, value)| (format!("{prefix}{name}"), value))
    };
    let headers = named("x-echo-", &request.headers);
    let trailers = named("x-trailer-", &request.trailers);
    line.into_iter().chain(headers).chain(trailers).collect()
}

/// A response with this body, or the head of one with chunks.
fn framed(
    status: u16,
    headers: &[(String, Vec<u8>)],
    body: Option<Vec<u8>>,
    method: &str,
) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status} \r\nconnection: close\r\n").into_bytes();
    for (name, value) in headers {
        text.extend(name.as_bytes());
        text.extend(b": ");
        text.extend(value);
        text.extend(b"\r\n");
    }
    match body {
        Some(body) => {
            text.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes());
            if method != "HEAD" {
                text.extend(body);
            }
        }
        None => text.extend(b"transfer-encoding: chunked\r\n\r\n"),
    }
    text
}

fn chunked(text: &mut Vec<u8>, chunks: &[String], trailers: &BTreeMap<String, String>) {
    for chunk in chunks {
        text.extend(format!("{:x}\r\n{chunk}\r\n", chunk.len()).into_bytes());
    }
    text.extend(b"0\r\n");
    for (name, value) in trailers {
        text.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    text.extend(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    /// What a server with this endpoint answers.
    fn answered(endpoint: &str, request: &str) -> String {
        let json = format!(r#"{{"name": "x", "endpoints": [{endpoint}]}}"#);
        let server: Server = serde_json::from_str(&json).unwrap();
        let running = Running::start(&[server], Duration::from_secs(60)).unwrap();
        let (variable, address) = running.variables().next().unwrap();
        assert_eq!(variable, "HTTP_SERVER_X");
        let mut connection = TcpStream::connect(address).unwrap();
        connection.write_all(request.as_bytes()).unwrap();
        let mut response = String::new();
        connection.read_to_string(&mut response).unwrap();
        response.replace("\r\n", "|")
    }

    #[test]
    fn each_kind_of_endpoint_answers_as_the_suite_says() {
        const GET: &str = "GET /p?q HTTP/1.1\r\nx-a: 1\r\nX-A: 2\r\n\r\n";
        const POST: &str = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n\
                            3\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n";
        let fixed = r#"{"path": "/p?q", "response":
            {"status": 201, "headers": {"x-h": "v"}, "body": "made"}}"#;
        let chunks = r#"{"path": "/p?q", "response":
            {"chunks": ["one", "two"], "trailers": {"x-t": "1"}}}"#;
        let head = "HTTP/1.1 200 |connection: close|";
        for (endpoint, request, expected) in [
            (
                fixed,
                GET,
                "HTTP/1.1 201 |connection: close|x-h: v|content-length: 4||made".into(),
            ),
            (
                chunks,
                GET,
                format!("{head}transfer-encoding: chunked||3|one|3|two|0|x-t: 1||"),
            ),
            (
                r#"{"path": "/p?q", "mode": "echo-headers"}"#,
                GET,
                format!(
                    "{head}x-request-method: GET|x-request-path: /p?q|x-echo-x-a: 1|\
                     x-echo-x-a: 2|content-length: 0||"
                ),
            ),
            (
                r#"{"method": "POST", "mode": "echo-headers"}"#,
                POST,
                format!(
                    "{head}x-request-method: POST|x-request-path: /|\
                     x-echo-transfer-encoding: chunked|x-trailer-x-sum: 9|content-length: 0||"
                ),
            ),
            (
                r#"{"method": "POST", "mode": "echo-body"}"#,
                POST,
                format!("{head}content-length: 3||abc"),
            ),
            (
                r#"{"method": "HEAD", "response": {"body": "HEAD"}}"#,
                "HEAD / HTTP/1.1\r\n\r\n",
                format!("{head}content-length: 4||"),
            ),
            (
                fixed,
                POST,
                "HTTP/1.1 404 |connection: close|content-length: 0||".into(),
            ),
        ] {
            assert_eq!(answered(endpoint, request), expected, "{endpoint}");
        }
        let malformed = answered(fixed, "what?\r\n\r\n");
        assert!(malformed.starts_with("HTTP/1.1 400 "), "{malformed}");
    }

    #[test]
    fn nobody_listens_at_a_closed_address() {
        let server: Server = serde_json::from_str(r#"{"name": "x", "kind": "closed"}"#).unwrap();
        let running = Running::start(&[server], Duration::from_secs(60)).unwrap();
        let (_, address) = running.variables().next().unwrap();
        let error = TcpStream::connect(address).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
