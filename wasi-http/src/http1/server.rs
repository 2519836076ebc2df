//! A server, a connection at a time.

use super::conn::{Reader, Writer};
use super::decode::Decoder;
use super::encode::{self, Coding, Encoder};
use super::head::{self, HeadError, RequestHead, Scan};
use super::incoming::{Continue, Incoming, Parts};
use super::stop::{Stop, Watch};
use super::time;
use crate::memory::{Empty, Full};
use crate::{Body, Fields, Method, Request, Response, Scheme};
use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::{Context, Poll};
use wasi_clocks::{Duration, Sleep, WasiClocksCtx};
use wasi_io::Pollable;
use wasi_sockets::{Shutdown, TcpStream};

const SECOND: Duration = 1_000_000_000;

/// How long a connection that is closed here is read from, so that its client gets the response
/// before it finds out (RFC 9112, section 9.6).
const LINGER: Duration = 2 * SECOND;

/// How many bytes of content nobody read are read on, for the sake of the next request or of
/// the response.
const DRAIN_MAX: usize = 256 << 10;

/// Serves HTTP/1.1 and 1.0 on connections, one request of each at a time. Durations are in
/// nanoseconds.
///
/// The handler's future is dropped, or the body of its response, when the client closes its
/// connection or its sending side of it, see [`Http1Server::half_close`]. What the handler does
/// not read of a request's content is read on up to 256 KiB; after more the connection is
/// closed. A client that expects a 100 gets it when the content is read. How long it may take
/// over its content is the handler's to say.
///
/// A request that is none is answered here: 400, 408 (the head took too long), 417, 431 (it is
/// too long), 501 (`CONNECT`, or an unknown transfer coding) or 505, and the connection closed.
/// A response that can't be sent, with a status that is none of 200 to 999 or a wrong
/// `content-length`, is a 500 in its place. One whose body fails, or is not as long as told, is
/// cut off. Trailers are sent if the content has no `content-length`.
#[derive(Clone)]
pub struct Http1Server {
    clocks: WasiClocksCtx,
    pub(super) max_connections: usize,
    pub(super) grace: Duration,
    max_head: usize,
    head_timeout: Duration,
    idle_timeout: Duration,
    write_timeout: Duration,
    half_close: bool,
    date: bool,
}

impl Http1Server {
    /// With the defaults named at each method; `clocks` measure the timeouts and tell the date.
    pub fn new(clocks: WasiClocksCtx) -> Self {
        Self {
            clocks,
            max_connections: 1024,
            grace: 10 * SECOND,
            max_head: 64 << 10,
            head_timeout: 30 * SECOND,
            idle_timeout: 60 * SECOND,
            write_timeout: 60 * SECOND,
            half_close: false,
            date: true,
        }
    }

    /// How many connections [`Http1Server::run`] has at a time; 1,024, at least 1. More wait to
    /// be accepted.
    pub fn max_connections(mut self, max: usize) -> Self {
        self.max_connections = max.max(1);
        self
    }

    /// How long [`Http1Server::run`] lets responses go on after its end was asked for; 10 s.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How many bytes the head of a request, or its trailers, may have; 64 KiB, and never more
    /// than 128 fields.
    pub fn max_head(mut self, bytes: usize) -> Self {
        self.max_head = bytes;
        self
    }

    /// How long the head of a request may take from its first byte on, and that of a
    /// connection's first request to begin; 30 s.
    pub fn head_timeout(mut self, timeout: Duration) -> Self {
        self.head_timeout = timeout;
        self
    }

    /// How long a connection may be without a request; 60 s.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = timeout;
        self
    }

    /// How long a client may take nothing of what is sent to it; 60 s. Then its connection is
    /// closed.
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.write_timeout = timeout;
        self
    }

    /// Whether a client may close its sending side and still wait for the response; it has left
    /// unless this says otherwise, as TCP does not tell the one from the other.
    pub fn half_close(mut self, may: bool) -> Self {
        self.half_close = may;
        self
    }

    /// Whether responses have a `date` (RFC 9110, section 6.6.1); they do, unless this says
    /// otherwise or the wall clock stands in the first second of 1970.
    pub fn date(mut self, sent: bool) -> Self {
        self.date = sent;
        self
    }

    pub(super) fn clocks(&self) -> &WasiClocksCtx {
        &self.clocks
    }

    /// Answers the requests on `stream` with `handler`, one after another, until the client or
    /// `stop` ends it. The handler gets requests with the scheme `http`, an authority where the
    /// client named one, and without a grant.
    pub fn serve_connection<H, F>(
        &self,
        stream: Arc<dyn TcpStream>,
        handler: Arc<H>,
        stop: &Stop,
    ) -> impl Future<Output = ()> + Send + use<H, F>
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Response> + Send,
    {
        let served = Served {
            writer: Writer::new(stream.clone()),
            stream,
            server: self.clone(),
            stop: stop.watch(),
        };
        let abort = stop.watch();
        async move {
            let mut serve = pin!(served.serve(handler));
            poll_fn(|cx| match abort.poll_aborted(cx) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => serve.as_mut().poll(cx),
            })
            .await;
        }
    }
}

/// A connection that is served.
struct Served {
    stream: Arc<dyn TcpStream>,
    writer: Writer,
    server: Http1Server,
    stop: Watch,
}

/// What comes of waiting for a request.
enum Next {
    Request(RequestHead),
    /// An answer in place of the handler's, the last.
    Refuse(u16),
    Close,
}

impl Served {
    async fn serve<H, F>(mut self, handler: Arc<H>)
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Response> + Send,
    {
        let mut reader = Reader::new(self.stream.clone());
        let mut first = true;
        loop {
            let head = match self.next(&mut reader, first).await {
                Next::Request(head) => head,
                Next::Refuse(status) => return self.refuse(status, reader).await,
                Next::Close => return,
            };
            first = false;
            let (incoming, asked, request) = match self.begin(head, reader) {
                Ok(begun) => begun,
                Err((status, reader)) => return self.refuse(status, reader).await,
            };
            // Dropped before the response is sent: it may hold what the body needs.
            let response = {
                let mut response = pin!(handler(request));
                poll_fn(|cx| match response.as_mut().poll(cx) {
                    Poll::Ready(response) => Poll::Ready(Some(response)),
                    Poll::Pending => self.poll_left(&incoming, cx).map(|()| None),
                })
                .await
            };
            reader = match response {
                Some(response) => match self.respond(incoming, asked, response).await {
                    Some(reader) => reader,
                    None => return,
                },
                None => return self.cut(),
            };
        }
    }

    /// Waits for the head of a request.
    async fn next(&mut self, reader: &mut Reader, first: bool) -> Next {
        let Self { server, stop, .. } = self;
        let mut scan = Scan::new();
        let mut began = false;
        let mut sleep = server.clocks.sleep(match first {
            true => server.head_timeout,
            false => server.idle_timeout,
        });
        poll_fn(|cx| {
            loop {
                match head::take_request(reader, &mut scan, server.max_head) {
                    Ok(Some(head)) => return Poll::Ready(Next::Request(head)),
                    Ok(None) => {}
                    Err(HeadError::TooLarge) => return Poll::Ready(Next::Refuse(431)),
                    Err(HeadError::Version) => return Poll::Ready(Next::Refuse(505)),
                    Err(HeadError::Invalid) => return Poll::Ready(Next::Refuse(400)),
                }
                if !began && !reader.buf().is_empty() {
                    began = true;
                    sleep = server.clocks.sleep(server.head_timeout);
                }
                if !began && stop.poll_stopping(cx).is_ready() {
                    return Poll::Ready(Next::Close);
                }
                match reader.poll_fill(cx) {
                    Poll::Ready(Ok(true)) => {}
                    Poll::Ready(_) => return Poll::Ready(Next::Close),
                    Poll::Pending => {
                        return sleep.poll_ready(cx).map(|()| match began {
                            true => Next::Refuse(408),
                            false => Next::Close,
                        });
                    }
                }
            }
        })
        .await
    }

    /// The request of a head, or the status of its refusal.
    fn begin(
        &self,
        head: RequestHead,
        reader: Reader,
    ) -> Result<(Arc<Incoming>, Asked, Request), (u16, Reader)> {
        let judged = head::target(&head)
            .and_then(|target| Ok((target, head::request_framing(&head)?, expects(&head)?)));
        let ((authority, path), framing, expects) = match judged {
            // There are no tunnels.
            _ if head.method == Method::Connect => return Err((501, reader)),
            Ok(judged) => judged,
            Err(status) => return Err((status, reader)),
        };
        let decoder = Decoder::new(framing, self.server.max_head);
        let (incoming, body) = Incoming::new(Parts {
            expects: match decoder.is_done() {
                true => Continue::No,
                false => expects,
            },
            reader,
            decoder,
        });
        let asked = Asked {
            head_only: head.method == Method::Head,
            http_11: head.http_11,
            keep_alive: head::keeps_alive(&head.headers, head.http_11),
        };
        let request = Request {
            method: head.method,
            scheme: Some(Scheme::Http),
            authority,
            path_with_query: Some(path),
            headers: head.headers,
            body: match body {
                Some(body) => Box::new(body),
                None => Box::new(Empty),
            },
            grant: None,
        };
        Ok((incoming, asked, request))
    }

    fn poll_left(&mut self, incoming: &Incoming, cx: &mut Context<'_>) -> Poll<()> {
        incoming.poll_left(&mut self.writer, self.server.half_close, cx)
    }

    /// Sends a response, and gives the reader for the next request.
    async fn respond(
        &mut self,
        incoming: Arc<Incoming>,
        mut asked: Asked,
        response: Response,
    ) -> Option<Reader> {
        // A client that was not told to send may or may not do so.
        let told = poll_fn(|cx| {
            incoming.poll_task(cx, |parts, _| {
                let told = parts.expects == Continue::No;
                parts.expects = Continue::No;
                Poll::Ready(told)
            })
        });
        asked.keep_alive &= told.await && !self.stop.is_stopping();
        let mut encoder = self.put(&mut asked, response);
        if !self.send(&mut encoder, Some(&incoming)).await {
            self.cut();
            return None;
        }
        drop(encoder);
        // The handler may go on with the content after its response has ended.
        let mut patience = self.server.clocks.sleep(self.server.idle_timeout);
        let unused = poll_fn(|cx| match incoming.poll_unused(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending => {
                let left = self.poll_left(&incoming, cx).is_ready();
                match left || self.stop.poll_stopping(cx).is_ready() {
                    true => Poll::Ready(false),
                    false => Poll::Pending,
                }
            }
        });
        if time::until(&mut patience, unused).await != Some(true) {
            self.cut();
            return None;
        }
        let mut parts = incoming.into_parts()?;
        if asked.keep_alive && self.drain(&mut parts).await {
            return Some(parts.reader);
        }
        self.linger(parts.reader).await;
        None
    }

    /// Puts the head of `response` to what is written, and gives its body.
    fn put(&mut self, asked: &mut Asked, mut response: Response) -> Encoder {
        let length = match response.headers.content_length() {
            Ok(length) if (200..=999).contains(&response.status) => length,
            _ => {
                response = plain(500, "the response is not valid\n");
                None
            }
        };
        let body = response.body;
        let remaining = length.or_else(|| body.remaining().or(body.is_end().then_some(0)));
        // RFC 9110, section 6.4.1.
        let coding = match remaining {
            _ if asked.head_only || matches!(response.status, 204 | 304) => Coding::Nothing,
            Some(length) => Coding::Length(length),
            None if asked.http_11 => Coding::Chunked,
            None => Coding::UntilClose,
        };
        asked.keep_alive &=
            coding != Coding::UntilClose && head::keeps_alive(&response.headers, true);
        let mut head = Vec::with_capacity(256);
        let reason = encode::reason(response.status);
        head.extend_from_slice(format!("HTTP/1.1 {} {reason}\r\n", response.status).as_bytes());
        for (name, value) in response.headers.iter() {
            let unfit = response.status == 204 && name.eq_ignore_ascii_case("content-length");
            if !encode::is_framing(name) && !unfit {
                encode::field(&mut head, name, value);
            }
        }
        let now = self.server.clocks.wall_now();
        if self.server.date && now.seconds() > 0 && !response.headers.contains("date") {
            encode::field(&mut head, "date", encode::date(now).as_bytes());
        }
        encode::framing(&mut head, &response.headers, coding);
        match (asked.keep_alive, asked.http_11) {
            (false, _) => encode::field(&mut head, "connection", b"close"),
            (true, false) => encode::field(&mut head, "connection", b"keep-alive"),
            (true, true) => {}
        }
        head.extend_from_slice(b"\r\n");
        self.writer.put(&head);
        Encoder::new(body, coding)
    }

    /// Sends what was put, and `encoder`; false where the client left, or took nothing for too
    /// long, or the body failed.
    async fn send(&mut self, encoder: &mut Encoder, incoming: Option<&Incoming>) -> bool {
        // For what was written so far.
        let mut patience: Option<(u64, Sleep)> = None;
        poll_fn(|cx| {
            if let Poll::Ready(sent) = encoder.poll(&mut self.writer, cx) {
                return Poll::Ready(sent.is_ok());
            }
            if let Some(incoming) = incoming
                && self.poll_left(incoming, cx).is_ready()
            {
                return Poll::Ready(false);
            }
            if self.writer.is_empty() {
                patience = None;
                return Poll::Pending;
            }
            let written = self.writer.written();
            let fresh = || self.server.clocks.sleep(self.server.write_timeout);
            if patience.as_ref().is_none_or(|(at, _)| *at != written) {
                patience = Some((written, fresh()));
            }
            match &mut patience {
                Some((_, sleep)) => sleep.poll_ready(cx).map(|()| false),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// Reads what nobody read of the content; true where that was all.
    async fn drain(&mut self, parts: &mut Parts) -> bool {
        let mut left = DRAIN_MAX;
        let drained = poll_fn(|cx| {
            while !parts.decoder.is_over() {
                match parts.decoder.poll_frame(&mut parts.reader, cx) {
                    Poll::Ready(Some(Ok(crate::Frame::Data(data)))) => {
                        match left.checked_sub(data.len()) {
                            Some(less) => left = less,
                            None => return Poll::Ready(()),
                        }
                    }
                    Poll::Ready(_) => {}
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(())
        });
        time::until(&mut self.server.clocks.sleep(LINGER), drained).await;
        parts.decoder.is_done()
    }

    /// Answers with `status`, and closes.
    async fn refuse(mut self, status: u16, reader: Reader) {
        let mut asked = Asked {
            head_only: false,
            http_11: true,
            keep_alive: false,
        };
        let told = format!("{}\n", encode::reason(status));
        let mut encoder = self.put(&mut asked, plain(status, told));
        if self.send(&mut encoder, None).await {
            self.linger(reader).await;
        }
    }

    /// Closes the sending side, and waits until the client has closed too, or a while.
    async fn linger(&mut self, mut reader: Reader) {
        if self.stream.shutdown(Shutdown::Send).is_err() {
            return;
        }
        let mut left = DRAIN_MAX;
        let closed = poll_fn(|cx| {
            loop {
                let there = reader.buf().len();
                reader.consume(there);
                match reader.poll_fill(cx) {
                    Poll::Ready(Ok(true)) if left > reader.buf().len() => {
                        left -= reader.buf().len();
                    }
                    Poll::Ready(_) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        time::until(&mut self.server.clocks.sleep(LINGER), closed).await;
    }

    /// Ends the connection also for a body that somebody still holds.
    fn cut(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// What a request says of its response.
struct Asked {
    head_only: bool,
    http_11: bool,
    keep_alive: bool,
}

/// What `expect` says (RFC 9110, section 10.1.1), or the status of the request's refusal.
fn expects(head: &RequestHead) -> Result<Continue, u16> {
    let mut expects = Continue::No;
    for expectation in head::elements(&head.headers, "expect") {
        match expectation.eq_ignore_ascii_case(b"100-continue") {
            // A client of HTTP/1.0 would not understand the answer.
            true if head.http_11 => expects = Continue::Expected,
            true => {}
            false => return Err(417),
        }
    }
    Ok(expects)
}

fn plain(status: u16, text: impl Into<bytes::Bytes>) -> Response {
    let mut headers = Fields::new();
    headers.append_valid("content-type", "text/plain; charset=utf-8");
    let body: Box<dyn Body> = Box::new(Full::new(text));
    Response {
        status,
        headers,
        body,
    }
}
