//! An executor, raw peers and bodies.

use bytes::Bytes;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use wasi_clocks::WasiClocksCtx;
use wasi_clocks::manual::ManualClock;
use wasi_error::http::ErrorCode;
use wasi_http::http1::{Http1Client, Http1ClientBuilder, Http1Server, Spawn, Stop};
use wasi_http::{
    Body, BoxFuture, Client, Fields, Frame, Method, Request, RequestOptions, Response, Scheme,
};
use wasi_sockets::{IpAddressFamily, LoopbackNet, Network, Shutdown, TcpListener, TcpStream};

pub(crate) const SECOND: u64 = 1_000_000_000;

struct Task {
    future: Mutex<Option<BoxFuture<()>>>,
    queued: AtomicBool,
    executor: Executor,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.executor.0.lock().unwrap().push_back(self.clone());
        }
    }
}

/// Runs tasks on the test's thread, as long as one of them is woken.
#[derive(Clone, Default)]
pub(crate) struct Executor(Arc<Mutex<VecDeque<Arc<Task>>>>);

impl Spawn for Executor {
    fn spawn(&self, task: BoxFuture<()>) {
        Arc::new(Task {
            future: Mutex::new(Some(task)),
            queued: AtomicBool::new(false),
            executor: self.clone(),
        })
        .wake();
    }
}

impl Executor {
    /// Until nothing moves.
    pub(crate) fn run(&self) {
        let mut polls = 0;
        loop {
            let Some(task) = self.0.lock().unwrap().pop_front() else {
                return;
            };
            polls += 1;
            assert!(polls < 1_000_000, "tasks wake each other without end");
            task.queued.store(false, Ordering::Release);
            let mut future = task.future.lock().unwrap();
            let waker = Waker::from(task.clone());
            let mut cx = Context::from_waker(&waker);
            if let Some(running) = future.as_mut()
                && running.as_mut().poll(&mut cx).is_ready()
            {
                *future = None;
            }
        }
    }

    /// Runs `future` as a task, and gives its result if it has one when nothing moves.
    pub(crate) fn start<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Started<T> {
        let result = Arc::new(Mutex::new(None));
        let sink = result.clone();
        self.spawn(Box::pin(async move {
            let value = future.await;
            *sink.lock().unwrap() = Some(value);
        }));
        self.run();
        Started { result }
    }
}

/// A task of the test's own.
pub(crate) struct Started<T> {
    result: Arc<Mutex<Option<T>>>,
}

impl<T> Started<T> {
    pub(crate) fn take(&self) -> Option<T> {
        self.result.lock().unwrap().take()
    }
}

pub(crate) struct World {
    pub(crate) net: LoopbackNet,
    pub(crate) clock: ManualClock,
    pub(crate) executor: Executor,
    pub(crate) stop: Stop,
}

impl World {
    pub(crate) fn new() -> Self {
        let address = "127.0.0.1".parse().unwrap();
        Self {
            net: LoopbackNet::new().with_name("a.example", [address]),
            clock: ManualClock::default(),
            executor: Executor::default(),
            stop: Stop::new(),
        }
    }

    pub(crate) fn clocks(&self) -> WasiClocksCtx {
        WasiClocksCtx::new(self.clock.clone(), self.clock.clone())
    }

    pub(crate) fn listen(&self) -> Arc<dyn TcpListener> {
        let mut socket = self.net.tcp_socket(IpAddressFamily::Ipv4).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(socket.poll_bind(&mut cx, ADDRESS).is_ready());
        match socket.poll_listen(&mut cx, 16) {
            Poll::Ready(Ok(listener)) => listener,
            _ => panic!("it does not listen"),
        }
    }

    /// Moves the clock and what waits for it.
    pub(crate) fn pass(&self, time: u64) {
        self.clock.advance(time);
        self.executor.run();
    }

    pub(crate) fn server(&self) -> Http1Server {
        Http1Server::new(self.clocks())
    }

    /// Serves in the background.
    pub(crate) fn serve<F>(
        &self,
        server: Http1Server,
        handler: impl Fn(Request) -> F + Send + Sync + 'static,
    ) -> Started<()>
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let executor: Arc<dyn Spawn> = Arc::new(self.executor.clone());
        let handler = Arc::new(handler);
        let stop = self.stop.clone();
        self.executor
            .start(server.run(self.listen(), executor, handler, stop))
    }

    /// A client that speaks by hand.
    pub(crate) fn connect(&self) -> Raw {
        let mut socket = self.net.tcp_socket(IpAddressFamily::Ipv4).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        let stream = match socket.poll_connect(&mut cx, ADDRESS) {
            Poll::Ready(Ok(stream)) => stream,
            _ => panic!("nobody listens"),
        };
        self.executor.run();
        Raw::new(stream, self)
    }

    pub(crate) fn builder(&self) -> Http1ClientBuilder {
        let executor: Arc<dyn Spawn> = Arc::new(self.executor.clone());
        Http1Client::builder(Arc::new(self.net.clone()), self.clocks(), executor)
    }

    pub(crate) fn send(&self, client: &Http1Client, request: Request) -> Sent {
        self.send_with(client, request, RequestOptions::default())
    }

    pub(crate) fn send_with(
        &self,
        client: &Http1Client,
        request: Request,
        options: RequestOptions,
    ) -> Sent {
        self.executor.start(client.send(request, options))
    }

    /// All of a body: its content, its trailers, and how it ended.
    pub(crate) fn read(&self, body: Box<dyn Body>) -> Started<Read> {
        self.executor.start(read(body))
    }
}

pub(crate) type Sent = Started<Result<Response, ErrorCode>>;

pub(crate) const ADDRESS: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 80);

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Read {
    pub(crate) content: Vec<u8>,
    pub(crate) trailers: Option<Fields>,
    pub(crate) error: Option<ErrorCode>,
}

impl Read {
    pub(crate) fn text(&self) -> &str {
        assert_eq!(self.error, None);
        std::str::from_utf8(&self.content).unwrap()
    }
}

pub(crate) async fn read(mut body: Box<dyn Body>) -> Read {
    let mut read = Read::default();
    loop {
        match poll_fn(|cx| body.poll_frame(cx)).await {
            Some(Ok(Frame::Data(data))) => {
                assert!(!data.is_empty());
                read.content.extend_from_slice(&data);
            }
            Some(Ok(Frame::Trailers(fields))) => read.trailers = Some(fields),
            Some(Err(code)) => {
                read.error = Some(code);
                assert!(poll_fn(|cx| body.poll_frame(cx)).await.is_none());
                return read;
            }
            None => return read,
        }
    }
}

/// One end of a connection, by hand.
pub(crate) struct Raw {
    pub(crate) stream: Arc<dyn TcpStream>,
    executor: Executor,
    ended: bool,
}

impl Raw {
    pub(crate) fn new(stream: Arc<dyn TcpStream>, world: &World) -> Self {
        Self {
            stream,
            executor: world.executor.clone(),
            ended: false,
        }
    }

    /// Accepts the next connection that is there.
    pub(crate) fn accept(listener: &Arc<dyn TcpListener>, world: &World) -> Option<Self> {
        world.executor.run();
        match listener.poll_accept(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(stream) => Some(Self::new(stream.unwrap(), world)),
            Poll::Pending => None,
        }
    }

    /// Sends what the peer takes, and says how much that was.
    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>) -> usize {
        let (mut bytes, mut sent) = (bytes.as_ref(), 0);
        let mut cx = Context::from_waker(Waker::noop());
        while !bytes.is_empty() {
            match self.stream.poll_write(&mut cx, bytes) {
                Poll::Ready(Ok(n)) => {
                    bytes = &bytes[n..];
                    sent += n;
                }
                _ => break,
            }
            self.executor.run();
        }
        self.executor.run();
        sent
    }

    /// What came, as text.
    pub(crate) fn receive(&mut self) -> String {
        String::from_utf8(self.receive_bytes(usize::MAX)).unwrap()
    }

    pub(crate) fn receive_bytes(&mut self, max: usize) -> Vec<u8> {
        let mut received = Vec::new();
        let mut cx = Context::from_waker(Waker::noop());
        self.executor.run();
        while received.len() < max {
            let mut buf = vec![0; 4096.min(max - received.len())];
            match self.stream.poll_read(&mut cx, &mut buf) {
                Poll::Ready(Ok(n)) if n > 0 => received.extend_from_slice(&buf[..n]),
                Poll::Ready(_) => {
                    self.ended = true;
                    break;
                }
                Poll::Pending => break,
            }
            self.executor.run();
        }
        received
    }

    /// The peer closed, as the last [`Raw::receive`] found.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    pub(crate) fn shut(&self) {
        self.stream.shutdown(Shutdown::Send).unwrap();
        self.executor.run();
    }

    pub(crate) fn close(self) {
        let executor = self.executor.clone();
        drop(self);
        executor.run();
    }
}

pub(crate) fn request(method: Method, path: &str, body: impl Body) -> Request {
    Request {
        method,
        scheme: Some(Scheme::Http),
        authority: Some("a.example".into()),
        path_with_query: Some(path.into()),
        headers: Fields::new(),
        body: Box::new(body),
        grant: None,
    }
}

pub(crate) fn get(path: &str) -> Request {
    request(Method::Get, path, wasi_http::memory::Empty)
}

pub(crate) fn response(body: impl Body) -> Response {
    Response {
        status: 200,
        headers: Fields::new(),
        body: Box::new(body),
    }
}

pub(crate) fn text(content: &str) -> Response {
    response(wasi_http::memory::Full::new(content.to_string()))
}

pub(crate) fn fields(list: &[(&'static str, &'static str)]) -> Fields {
    let mut fields = Fields::new();
    for (name, value) in list {
        fields.append(*name, *value).unwrap();
    }
    fields
}

pub(crate) fn data(content: &str) -> Result<Frame, ErrorCode> {
    Ok(Frame::Data(Bytes::from(content.to_string())))
}

/// A body that is moved by hand, and says whether it was dropped.
#[derive(Clone, Default)]
pub(crate) struct Hand(Arc<Mutex<HandState>>);

#[derive(Default)]
struct HandState {
    frames: VecDeque<Result<Frame, ErrorCode>>,
    ended: bool,
    waker: Option<Waker>,
    dropped: bool,
}

pub(crate) struct HandBody(Hand);

impl Hand {
    pub(crate) fn body(&self) -> HandBody {
        HandBody(self.clone())
    }

    pub(crate) fn put(&self, frame: Result<Frame, ErrorCode>, world: &World) {
        self.0.lock().unwrap().frames.push_back(frame);
        self.wake(world);
    }

    pub(crate) fn end(&self, world: &World) {
        self.0.lock().unwrap().ended = true;
        self.wake(world);
    }

    fn wake(&self, world: &World) {
        let waker = self.0.lock().unwrap().waker.take();
        waker.into_iter().for_each(Waker::wake);
        world.executor.run();
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.0.lock().unwrap().dropped
    }
}

impl Body for HandBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, ErrorCode>>> {
        let mut state = self.0.0.lock().unwrap();
        match state.frames.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None if state.ended => Poll::Ready(None),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for HandBody {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().dropped = true;
    }
}

/// Content without an end, which counts how much was taken.
pub(crate) struct Endless(pub(crate) Arc<AtomicUsize>);

impl Body for Endless {
    fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Result<Frame, ErrorCode>>> {
        self.0.fetch_add(4096, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::Data(Bytes::from(vec![b'x'; 4096])))))
    }
}

/// Pending for ever, and tells when it was dropped.
pub(crate) struct Never(pub(crate) Arc<AtomicBool>);

impl Future for Never {
    type Output = Response;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Response> {
        Poll::Pending
    }
}

impl Drop for Never {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl World {
    /// Nobody listens any more.
    pub(crate) fn net_refuses(&self) -> bool {
        let mut socket = self.net.tcp_socket(IpAddressFamily::Ipv4).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        matches!(socket.poll_connect(&mut cx, ADDRESS), Poll::Ready(Err(_)))
    }
}
