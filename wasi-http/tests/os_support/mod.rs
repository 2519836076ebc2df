//! Peers on loopback and bodies for the tests of the client.
#![allow(dead_code, unreachable_pub)]

use bytes::Bytes;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use wasi_error::http::ErrorCode;
use wasi_http::os::{OsClient, OsClientBuilder};
use wasi_http::{
    Body, Client, Fields, Frame, Method, OutgoingRequest, Request, RequestOptions, Response,
    Scheme, WasiHttpCtx,
};
use wasi_io::Pollable;
use wasi_io::os::Runtime;
use wasi_sockets::NetworkPolicy;

/// A peer that speaks by hand, a thread a connection.
pub struct Peer {
    pub address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Peer {
    /// Runs `serve` with each connection and its number, from 0.
    pub fn new(serve: impl Fn(Connection, usize) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let (count, serve) = (accepted.clone(), Arc::new(serve));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let number = count.fetch_add(1, Ordering::SeqCst);
                let (serve, stream) = (serve.clone(), stream.unwrap());
                std::thread::spawn(move || serve(Connection::new(stream), number));
            }
        });
        Self { address, accepted }
    }

    /// How many connections came so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub fn authority(&self) -> String {
        self.address.to_string()
    }

    pub fn get(&self, path: &str) -> Request {
        request(Method::Get, &self.authority(), path, Parts::none())
    }

    pub fn post(&self, path: &str, body: impl Body) -> Request {
        request(Method::Post, &self.authority(), path, body)
    }
}

pub struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self {
            reader: BufReader::new(stream),
        }
    }

    /// A line without its end; `None` when the client closed.
    pub fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(n) if n > 0 => Some(line.trim_end().to_string()),
            _ => None,
        }
    }

    /// The lines of a request's head; `None` when the client closed.
    pub fn head(&mut self) -> Option<Vec<String>> {
        let mut head = Vec::new();
        loop {
            match self.line()? {
                end if end.is_empty() => return Some(head),
                line => head.push(line),
            }
        }
    }

    pub fn bytes(&mut self, n: usize) -> Vec<u8> {
        let mut bytes = vec![0; n];
        self.reader.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// A chunk of the chunked coding; empty for the last.
    pub fn chunk(&mut self) -> Vec<u8> {
        let size = usize::from_str_radix(&self.line().unwrap(), 16).unwrap();
        let chunk = self.bytes(size);
        if size > 0 {
            assert_eq!(self.line().unwrap(), "");
        }
        chunk
    }

    pub fn write(&mut self, bytes: &[u8]) {
        let _ = self.reader.get_mut().write_all(bytes);
    }

    pub fn send(&mut self, text: &str) {
        // The client may be gone; what it then got is the test's to tell.
        let _ = self.reader.get_mut().write_all(text.as_bytes());
    }

    /// Waits until the client closed.
    pub fn closed(&mut self) {
        let _ = self.reader.read_to_end(&mut Vec::new());
    }
}

/// The value of a header.
pub fn header<'a>(head: &'a [String], name: &str) -> Option<&'a str> {
    head.iter().find_map(|line| {
        let (key, value) = line.split_once(": ")?;
        key.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// A body of frames that are there.
pub struct Parts {
    frames: VecDeque<Frame>,
    sized: bool,
}

impl Parts {
    pub fn none() -> Self {
        Self::new([], true)
    }

    /// Content whose length is known.
    pub fn of(content: &str) -> Self {
        Self::new([data(content)], true)
    }

    pub fn new(frames: impl IntoIterator<Item = Frame>, sized: bool) -> Self {
        Self {
            frames: frames.into_iter().collect(),
            sized,
        }
    }
}

impl Body for Parts {
    fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Frame, ErrorCode>>> {
        Poll::Ready(self.frames.pop_front().map(Ok))
    }

    fn remaining(&self) -> Option<u64> {
        self.sized.then(|| {
            let lengths = self.frames.iter().map(|frame| match frame {
                Frame::Data(data) => data.len() as u64,
                Frame::Trailers(_) => 0,
            });
            lengths.sum()
        })
    }

    fn is_end(&self) -> bool {
        self.sized && self.frames.is_empty()
    }
}

/// A body of what is sent into the channel.
pub struct Stream(mpsc::UnboundedReceiver<Result<Frame, ErrorCode>>);

pub fn stream() -> (mpsc::UnboundedSender<Result<Frame, ErrorCode>>, Stream) {
    let (sender, receiver) = mpsc::unbounded_channel();
    (sender, Stream(receiver))
}

impl Body for Stream {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, ErrorCode>>> {
        self.0.poll_recv(cx)
    }
}

pub fn data(content: &str) -> Frame {
    Frame::Data(Bytes::copy_from_slice(content.as_bytes()))
}

pub fn request(method: Method, authority: &str, path: &str, body: impl Body) -> Request {
    Request {
        method,
        scheme: Some(Scheme::Http),
        authority: Some(authority.into()),
        path_with_query: Some(path.into()),
        headers: Fields::default(),
        body: Box::new(body),
        grant: None,
    }
}

pub fn builder() -> OsClientBuilder {
    OsClient::builder(Runtime::current())
}

pub fn client() -> OsClient {
    builder().build().unwrap()
}

/// Sends, on an executor that knows nothing of sockets or timers.
pub fn send(client: &OsClient, request: Request) -> Result<Response, ErrorCode> {
    pollster::block_on(client.send(request, RequestOptions::default()))
}

/// The content and the trailers.
pub async fn collect(mut body: Box<dyn Body>) -> Result<(String, Option<Fields>), ErrorCode> {
    let (mut content, mut trailers) = (Vec::new(), None);
    while let Some(frame) = poll_fn(|cx| body.poll_frame(cx)).await {
        match frame? {
            Frame::Data(data) => {
                assert!(!data.is_empty() && trailers.is_none());
                content.extend_from_slice(&data);
            }
            Frame::Trailers(fields) => trailers = Some(fields),
        }
    }
    Ok((String::from_utf8(content).unwrap(), trailers))
}

/// The content of the response to `request`.
pub fn content(client: &OsClient, request: Request) -> Result<String, ErrorCode> {
    let response = send(client, request)?;
    pollster::block_on(collect(response.body)).map(|(content, _)| content)
}

/// The status of the response to a guest's `GET` of `/`.
pub fn fetch(ctx: &WasiHttpCtx, scheme: Option<Scheme>, authority: &str) -> Result<u16, ErrorCode> {
    let mut request = OutgoingRequest::new(Fields::new());
    request.set_scheme(scheme).unwrap();
    request.set_authority(Some(authority.into())).unwrap();
    let mut response = ctx.handle(request, RequestOptions::default())?;
    pollster::block_on(poll_fn(|cx| response.poll_ready(cx)));
    let response = response.get().unwrap().unwrap()?;
    Ok(response.status)
}

/// A guest that `policy` permits what it says of `client`, and what that refused.
pub fn policed(client: impl Client, policy: NetworkPolicy) -> (WasiHttpCtx, Refusals) {
    let refusals = Refusals::default();
    let told = refusals.clone();
    let policy = policy.report(move |refusal| told.lock().unwrap().push(refusal.to_string()));
    let ctx = WasiHttpCtx::new().client(Arc::new(client)).policy(policy);
    (ctx, refusals)
}

pub type Refusals = Arc<Mutex<Vec<String>>>;
