//! A client over a network without TLS.

use super::conn::{Reader, Writer};
use super::connect::{Connector, Target};
use super::decode::{Decoder, Framing};
use super::encode::{self, Coding, Encoder};
use super::exchange::{Failure, ResponseBody, Sending, response_head};
use super::head::{self, ResponseHead};
use super::pool::{Connection, Lease, Limits, Pool};
use super::{Spawn, time};
use crate::memory::Empty;
use crate::{Body, BoxFuture, Client, ErrorCode, Fields, Method, Request, RequestOptions};
use crate::{Response, uri};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{Future, poll_fn, ready};
use core::mem;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use futures_channel::oneshot;
use wasi_clocks::{Duration, WasiClocksCtx};
use wasi_sockets::{Network, Shutdown};

const SECOND: Duration = 1_000_000_000;

/// A [`Client`] over any [`Network`]: HTTP/1.1 with connections that are kept and used again,
/// and without TLS. A request to `https` fails with [`ErrorCode::ConfigurationError`]; one
/// without a scheme goes to `http`.
///
/// It goes to the addresses that a request's [`grant`](Request::grant) permits; without one it
/// sends whatever it is given to wherever it is sent. What it may look up or reach besides is
/// the network's to say. Clones share the connections.
///
/// A request whose connection was kept and turns out to be closed is sent once more over a new
/// one, where it did not leave at all, or has no content and an idempotent method (RFC 9110,
/// section 9.2.2).
///
/// Trailers are sent if the content has no `content-length`; the content of a `GET` or `HEAD`
/// is sent if its length is known, from the field or the body.
#[derive(Clone)]
pub struct Http1Client(Arc<Inner>);

struct Inner {
    spawn: Arc<dyn Spawn>,
    connector: Connector,
    pool: Arc<Pool>,
    timeouts: Timeouts,
    max_head: usize,
}

#[derive(Clone, Copy)]
struct Timeouts {
    connect: Duration,
    first_byte: Duration,
    between_bytes: Duration,
}

/// Makes an [`Http1Client`]. Durations are in nanoseconds.
#[derive(Clone)]
pub struct Http1ClientBuilder {
    network: Arc<dyn Network>,
    clocks: WasiClocksCtx,
    spawn: Arc<dyn Spawn>,
    timeouts: Timeouts,
    limits: Limits,
    max_head: usize,
}

impl Http1ClientBuilder {
    /// How long a connection may take to be made where a request does not say; 600 s unless
    /// set.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.connect = timeout;
        self
    }

    /// How long the head of a response may take where a request does not say; 600 s unless
    /// set.
    pub fn first_byte_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.first_byte = timeout;
        self
    }

    /// How long the next part of a response's body may take where a request does not say;
    /// 600 s unless set.
    pub fn between_bytes_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.between_bytes = timeout;
        self
    }

    /// How many connections there are at a time, idle ones included; 128 unless set, at
    /// least 1. A request that needs one more waits for its connect timeout, then fails with
    /// [`ErrorCode::ConnectionLimitReached`].
    pub fn max_connections(mut self, max: usize) -> Self {
        self.limits.connections = max.max(1);
        self
    }

    /// How many idle connections are kept; 32 unless set, 0 keeps none.
    pub fn max_idle(mut self, max: usize) -> Self {
        self.limits.idle = max;
        self
    }

    /// How many idle connections are kept for one host and port; 8 unless set, 0 keeps none.
    pub fn max_idle_per_origin(mut self, max: usize) -> Self {
        self.limits.idle_per_origin = max;
        self
    }

    /// How long an idle connection is kept; 90 s unless set.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.limits.idle_timeout = timeout;
        self
    }

    /// How many bytes the head of a response, or its trailers, may have; 64 KiB unless set,
    /// and never more than 128 fields. A longer head fails with
    /// [`ErrorCode::HttpResponseHeaderSectionSize`], longer trailers with
    /// [`ErrorCode::HttpResponseTrailerSectionSize`].
    pub fn max_response_head(mut self, bytes: usize) -> Self {
        self.max_head = bytes;
        self
    }

    /// The client.
    pub fn build(self) -> Http1Client {
        let lookups = self.limits.connections;
        Http1Client(Arc::new(Inner {
            spawn: self.spawn,
            connector: Connector::new(self.network, self.clocks, lookups),
            pool: Pool::new(self.limits),
            timeouts: self.timeouts,
            max_head: self.max_head,
        }))
    }
}

impl Http1Client {
    /// A client on `network` with the defaults of [`Http1ClientBuilder`]. Its exchanges are
    /// tasks on `spawn`, and `clocks` measure how long they take.
    pub fn new(network: Arc<dyn Network>, clocks: WasiClocksCtx, spawn: Arc<dyn Spawn>) -> Self {
        Self::builder(network, clocks, spawn).build()
    }

    /// A client to be set up, otherwise as [`Http1Client::new`].
    pub fn builder(
        network: Arc<dyn Network>,
        clocks: WasiClocksCtx,
        spawn: Arc<dyn Spawn>,
    ) -> Http1ClientBuilder {
        Http1ClientBuilder {
            network,
            clocks,
            spawn,
            timeouts: Timeouts {
                connect: 600 * SECOND,
                first_byte: 600 * SECOND,
                between_bytes: 600 * SECOND,
            },
            limits: Limits {
                connections: 128,
                idle: 32,
                idle_per_origin: 8,
                idle_timeout: 90 * SECOND,
            },
            max_head: 64 << 10,
        }
    }
}

impl Client for Http1Client {
    fn send(
        &self,
        request: Request,
        options: RequestOptions,
    ) -> BoxFuture<Result<Response, ErrorCode>> {
        let message = match Message::new(request) {
            Ok(message) => message,
            Err(code) => return Box::pin(ready(Err(code))),
        };
        let own = self.0.timeouts;
        let timeouts = Timeouts {
            connect: options.connect_timeout.unwrap_or(own.connect),
            first_byte: options.first_byte_timeout.unwrap_or(own.first_byte),
            between_bytes: (options.between_bytes_timeout).unwrap_or(own.between_bytes),
        };
        let (answer, answered) = oneshot::channel();
        let exchange = exchange(self.0.clone(), message, timeouts, answer);
        self.0.spawn.spawn(Box::pin(async move {
            if let Some(kept) = exchange.await {
                kept.await;
            }
        }));
        Box::pin(Sent(answered))
    }
}

type Answer = Result<Response, ErrorCode>;

/// Waits for the head of a response; dropped before, it gives the request up.
struct Sent(oneshot::Receiver<Answer>);

impl Future for Sent {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        // Without an answer, the executor dropped the task.
        let answer = Pin::new(&mut self.0).poll(cx);
        answer.map(|answer| answer.unwrap_or(Err(ErrorCode::ConnectionTerminated)))
    }
}

/// A request, ready to be sent.
struct Message {
    target: Target,
    to_head: bool,
    /// It may be sent twice, and has no content.
    repeatable: bool,
    keep_alive: bool,
    head: Vec<u8>,
    coding: Coding,
    body: Box<dyn Body>,
}

impl Message {
    fn new(mut request: Request) -> Result<Self, ErrorCode> {
        let target = Target::of(&mut request)?;
        let method = request.method;
        if method == Method::Connect || !uri::is_method(method.as_str()) {
            return Err(ErrorCode::HttpRequestMethodInvalid);
        }
        let coding = coding(&method, &request.headers, &*request.body)?;
        // RFC 9110, section 9.2.2.
        let repeats = !matches!(method, Method::Post | Method::Patch | Method::Other(_));
        let keep_alive = head::keeps_alive(&request.headers, true);
        let mut head = Vec::with_capacity(256);
        for part in [method.as_str(), " ", &target.path, " HTTP/1.1\r\n"] {
            head.extend_from_slice(part.as_bytes());
        }
        // First (RFC 9110, section 7.2), and no other.
        encode::field(&mut head, "host", target.authority.as_bytes());
        for (name, value) in request.headers.iter() {
            if !encode::is_framing(name) && !name.eq_ignore_ascii_case("host") {
                encode::field(&mut head, name, value);
            }
        }
        encode::framing(&mut head, &request.headers, coding);
        if !keep_alive {
            encode::field(&mut head, "connection", b"close");
        }
        head.extend_from_slice(b"\r\n");
        Ok(Self {
            target,
            to_head: method == Method::Head,
            repeatable: repeats && matches!(coding, Coding::Nothing | Coding::Length(0)),
            keep_alive,
            head,
            coding,
            body: request.body,
        })
    }
}

/// How the end of a request's content is told (RFC 9112, section 6.3).
fn coding(method: &Method, headers: &Fields, body: &dyn Body) -> Result<Coding, ErrorCode> {
    let told = headers.content_length();
    if let Some(length) = told.map_err(|_| ErrorCode::HttpProtocolError)? {
        return Ok(Coding::Length(length));
    }
    let without = matches!(
        method,
        Method::Get | Method::Head | Method::Delete | Method::Options | Method::Trace
    );
    let remaining = body.remaining().or(body.is_end().then_some(0));
    Ok(match (remaining, method) {
        (Some(0), _) if without => Coding::Nothing,
        (Some(length), _) => Coding::Length(length),
        // Servers reject or overlook it.
        (None, Method::Get | Method::Head) => Coding::Nothing,
        (None, _) => Coding::Chunked,
    })
}

/// What has the head of its response.
struct Answered {
    head: ResponseHead,
    framing: Framing,
    connection: Connection,
    sending: Sending,
}

/// Gives what watches over the connection, if that is kept.
async fn exchange(
    inner: Arc<Inner>,
    mut message: Message,
    timeouts: Timeouts,
    mut answer: oneshot::Sender<Answer>,
) -> Option<impl Future<Output = ()> + use<>> {
    let answered = {
        let mut head = pin!(inner.head(&mut message, timeouts));
        poll_fn(|cx| match answer.poll_canceled(cx) {
            Poll::Ready(()) => Poll::Ready(None),
            Poll::Pending => head.as_mut().poll(cx).map(Some),
        })
        .await
    };
    let answered = match answered {
        Some(Ok(answered)) => answered,
        Some(Err(code)) => {
            let _ = answer.send(Err(code));
            return None;
        }
        None => return None,
    };
    let (head, framing) = (answered.head, answered.framing);
    let keep_alive = message.keep_alive && head::keeps_alive(&head.headers, head.http_11);
    let Connection { reader, mut half } = answered.connection;
    let clocks = inner.connector.clocks().clone();
    let (back, returned) = oneshot::channel();
    let failure = Failure::default();
    let body: Box<dyn Body> = match framing {
        Framing::Length(0) => {
            let _ = back.send(reader);
            Box::new(Empty)
        }
        framing => Box::new(ResponseBody::new(
            reader,
            Decoder::new(framing, inner.max_head),
            back,
            failure.clone(),
            clocks.clone(),
            timeouts.between_bytes,
        )),
    };
    let response = Response {
        status: head.status,
        headers: head.headers,
        body,
    };
    answer.send(Ok(response)).ok()?;
    let ended = finish(&mut half.writer, answered.sending, returned, &failure).await;
    let reader = ended.filter(|reader| keep_alive && !reader.ended())?;
    let connection = Connection { reader, half };
    (inner.pool).put(message.target.origin, connection, &clocks)
}

/// Sends the rest of the request while the response is read, and gives the reader when both
/// ended well.
async fn finish(
    writer: &mut Writer,
    mut sending: Sending,
    mut returned: oneshot::Receiver<Reader>,
    failure: &Failure,
) -> Option<Reader> {
    let mut reader = None;
    poll_fn(|cx| {
        let sent = match sending.poll(writer, cx) {
            Poll::Ready(Err(code)) => {
                *failure.lock() = Some(code);
                let _ = writer.stream().shutdown(Shutdown::Both);
                return Poll::Ready(None);
            }
            sent => sent.is_ready(),
        };
        if reader.is_none() {
            match Pin::new(&mut returned).poll(cx) {
                Poll::Ready(Ok(back)) => reader = Some(back),
                Poll::Ready(Err(_)) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
        match sent {
            true => Poll::Ready(reader.take().filter(|_| sending.is_sent())),
            false => Poll::Pending,
        }
    })
    .await
}

impl Inner {
    /// Sends `message` and waits for the head of the response.
    async fn head(&self, message: &mut Message, timeouts: Timeouts) -> Result<Answered, ErrorCode> {
        let mut fresh = false;
        loop {
            let (mut connection, reused) = self
                .connection(&message.target, fresh, timeouts.connect)
                .await?;
            connection.half.writer.put(&message.head);
            let body = mem::replace(&mut message.body, Box::new(Empty));
            let mut sending = Sending::new(Encoder::new(body, message.coding));
            let mut patience = self.connector.clocks().sleep(timeouts.first_byte);
            let head = response_head(&mut connection, &mut sending, self.max_head);
            let code = match time::until(&mut patience, head).await {
                None => return Err(ErrorCode::HttpResponseTimeout),
                Some(Ok(head)) if head.status == 101 => return Err(ErrorCode::HttpUpgradeFailed),
                Some(Ok(head)) => {
                    return Ok(Answered {
                        framing: head::response_framing(&head, message.to_head)?,
                        head,
                        connection,
                        sending,
                    });
                }
                Some(Err(code)) => code,
            };
            // Only a connection that was kept may have been closed for no fault of this request.
            if !reused || code != ErrorCode::ConnectionTerminated || connection.reader.touched() {
                return Err(code);
            }
            let untouched = sending.into_encoder().into_untouched();
            message.body = match untouched.filter(|_| connection.half.writer.written() == 0) {
                Some(body) => body,
                None if message.repeatable => Box::new(Empty),
                None => return Err(code),
            };
            fresh = true;
        }
    }

    /// A connection to where `target` says, and whether it served another request before.
    async fn connection(
        &self,
        target: &Target,
        fresh: bool,
        timeout: Duration,
    ) -> Result<(Connection, bool), ErrorCode> {
        let Target { origin, grant, .. } = target;
        let grant = grant.as_ref();
        let mut deadline = self.connector.clocks().sleep(timeout);
        let lease = time::until(&mut deadline, self.pool.lease(origin, grant, fresh)).await;
        match lease.ok_or(ErrorCode::ConnectionLimitReached)? {
            Lease::Reused(mut connection) => {
                connection.reader.next_message();
                connection.half.writer.next_message();
                Ok((connection, true))
            }
            Lease::Open(permit) => {
                let connect = self.connector.connect(origin, grant, &mut deadline);
                let (stream, peer) = connect.await?;
                Ok((Connection::new(stream, peer, permit), false))
            }
        }
    }
}
