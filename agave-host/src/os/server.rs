//! An HTTP server (HTTP/1.1 and h2c) that hands its requests, and those for WebSockets, to a
//! [`Service`].

use super::cores::{self, Cores};
use super::stream::{Gone, Stream};
use crate::{ServeError, Service};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::future::Future;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use http::{HeaderValue, StatusCode, header};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use wasi_http::memory::Full;
use wasi_http::os::websocket::{self, is_upgrade};
use wasi_http::os::{HyperBody, request_from_hyper, response_to_hyper};
use wasi_http::{Body, Scheme};

/// How a [`Server`] treats its clients.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    max_concurrent: u32,
    max_waiting: usize,
    max_wait: Duration,
    grace: Duration,
    cores: usize,
}

impl ServerOptions {
    /// The defaults, named at each method.
    pub fn new() -> Self {
        Self {
            max_concurrent: 1000,
            max_waiting: 4000,
            max_wait: Duration::from_secs(30),
            grace: Duration::from_secs(10),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    /// How many guests run at once, those with a WebSocket included; 1,000. Four times as many
    /// requests wait for their turn, 30 seconds at most; the others get a 503.
    pub fn max_concurrent(mut self, guests: u32) -> Self {
        self.max_concurrent = guests.max(1);
        self.max_waiting = (guests as usize).saturating_mul(4);
        self
    }

    /// How long what is in flight may take to finish after the end was asked for; 10 seconds.
    pub fn grace(mut self, grace: Duration) -> Self {
        self.grace = grace;
        self
    }

    /// How many cores to use; as many as the machine lends this process.
    pub fn cores(mut self, cores: usize) -> Self {
        self.cores = cores.max(1);
        self
    }
}

impl Default for ServerOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// A server that listens.
pub struct Server {
    listener: TcpListener,
    options: ServerOptions,
    cores: Arc<Cores>,
    runtimes: Vec<Runtime>,
}

impl Server {
    /// Listens on `address`; port 0 is one that the system chooses.
    ///
    /// # Errors
    /// The address is taken or none of this machine's, or descriptors ran out.
    pub fn bind(address: SocketAddr, options: ServerOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let (cores, runtimes) = Cores::new(options.cores)?;
        Ok(Self {
            listener,
            options,
            cores,
            runtimes,
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// What runs the guests: for [`Service::new`].
    pub fn cores(&self) -> &Arc<Cores> {
        &self.cores
    }

    /// Serves until `end` is ready; then stops accepting, closes all WebSockets with code 1001,
    /// lets what is in flight finish within the grace, and returns. Call it in a tokio runtime, which does the accepting only.
    ///
    /// # Errors
    /// The system has no threads left. What one connection suffers is no error.
    pub async fn serve(self, service: Service, end: impl Future<Output = ()>) -> io::Result<()> {
        let grace = self.options.grace;
        let site = Arc::new(Site {
            service,
            admission: Admission::new(&self.options),
            websockets: websocket::Server::new(),
        });
        let mut workers = Vec::new();
        let mut threads = Vec::new();
        for (index, runtime) in self.runtimes.into_iter().enumerate() {
            let (sender, receiver) = mpsc::unbounded_channel();
            let open = Arc::new(AtomicUsize::new(0));
            let main = work(receiver, open.clone(), site.clone(), grace);
            threads.push(cores::start(index, runtime, main)?);
            workers.push(Worker { sender, open });
        }
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        tokio::select! {
            () = accept(&listener, &workers) => {}
            () = end => {}
        }
        drop(listener);
        site.websockets.close_all();
        // Closed channels tell the cores to finish.
        drop(workers);
        let joined = tokio::task::spawn_blocking(move || {
            threads.into_iter().for_each(|thread| drop(thread.join()));
        });
        joined.await.map_err(io::Error::other)
    }
}

/// A core's inbox, and how many connections it has.
struct Worker {
    sender: mpsc::UnboundedSender<TcpStream>,
    open: Arc<AtomicUsize>,
}

/// Gives each connection to the core with the fewest.
async fn accept(listener: &tokio::net::TcpListener, workers: &[Worker]) {
    loop {
        let accepted = listener.accept().await;
        let stream = accepted.and_then(|(stream, _)| {
            stream.set_nodelay(true)?;
            stream.into_std()
        });
        match (
            stream,
            workers
                .iter()
                .min_by_key(|w| w.open.load(Ordering::Relaxed)),
        ) {
            (Ok(stream), Some(worker)) => {
                worker.open.fetch_add(1, Ordering::Relaxed);
                // A core ends only after this loop.
                let _ = worker.sender.send(stream);
            }
            // A client that left at once, or no descriptor left: those get free as others leave.
            _ => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

/// One core: serves the connections it is given until there will be no more.
async fn work(
    mut connections: mpsc::UnboundedReceiver<TcpStream>,
    open: Arc<AtomicUsize>,
    site: Arc<Site>,
    grace: Duration,
) {
    let graceful = GracefulShutdown::new();
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(30));
    http.http2().timer(TokioTimer::new());
    while let Some(stream) = connections.recv().await {
        let Ok(stream) = tokio::net::TcpStream::from_std(stream) else {
            open.fetch_sub(1, Ordering::Relaxed);
            continue;
        };
        let (stream, gone) = Stream::new(stream, open.clone());
        let site = site.clone();
        let answers = service_fn(move |request| {
            let (site, gone) = (site.clone(), gone.clone());
            async move { Ok::<_, Infallible>(site.answer(request, gone).await) }
        });
        let connection = http.serve_connection_with_upgrades(TokioIo::new(stream), answers);
        let connection = graceful.watch(connection.into_owned());
        tokio::spawn(async move {
            // An error is the client's: it left, or spoke no HTTP and was told so.
            let _ = connection.await;
        });
    }
    let finish = async {
        graceful.shutdown().await;
        // Guests that outlived their responses, and those with WebSockets.
        site.admission.all_ended().await;
        site.websockets.closed().await;
    };
    let _ = tokio::time::timeout(grace, finish).await;
}

/// Bounds the number of guests.
struct Admission {
    permits: Arc<Semaphore>,
    all: u32,
    waiting: AtomicUsize,
    max_waiting: usize,
    max_wait: Duration,
}

impl Admission {
    fn new(options: &ServerOptions) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(options.max_concurrent as usize)),
            all: options.max_concurrent,
            waiting: AtomicUsize::new(0),
            max_waiting: options.max_waiting,
            max_wait: options.max_wait,
        }
    }

    /// A place for a guest; `None` where too many wait, or it took too long.
    async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Some(permit);
        }
        let _waiting = Waiting::count(&self.waiting, self.max_waiting)?;
        let permit = self.permits.clone().acquire_owned();
        tokio::time::timeout(self.max_wait, permit).await.ok()?.ok()
    }

    async fn all_ended(&self) {
        let _ = self.permits.acquire_many(self.all).await;
    }
}

/// One of a bounded number that wait.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn count(waiting: &'a AtomicUsize, max: usize) -> Option<Self> {
        let counted = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < max).then_some(counted)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What answers the requests of all cores.
struct Site {
    service: Service,
    admission: Admission,
    websockets: websocket::Server,
}

impl Site {
    /// A response to every request. `gone` tells when its connection has.
    async fn answer(
        &self,
        request: http::Request<Incoming>,
        gone: Gone,
    ) -> http::Response<HyperBody> {
        if self.service.answers_websocket() && is_upgrade(&request) {
            return self.upgrade(request, gone).await;
        }
        if !self.service.answers_http() {
            return upgrade_required();
        }
        let Some(permit) = self.admission.enter().await else {
            return busy();
        };
        let request = match request_from_hyper(request, Scheme::Http) {
            Ok(request) => request,
            Err(_) => return plain(StatusCode::BAD_REQUEST, "the request is not valid\n"),
        };
        match self.service.handle_holding(request, permit).await {
            Ok(response) => response_to_hyper(response).unwrap_or_else(|_| {
                let told = "the program's response is not valid\n";
                plain(StatusCode::INTERNAL_SERVER_ERROR, told)
            }),
            Err(error) => failed(&error),
        }
    }

    /// The response to a request for a WebSocket.
    async fn upgrade(
        &self,
        request: http::Request<Incoming>,
        gone: Gone,
    ) -> http::Response<HyperBody> {
        let (request, answer) = match self.websockets.upgrade(request, Scheme::Http) {
            Ok(upgrade) => upgrade,
            Err(response) => return *response,
        };
        let Some(permit) = self.admission.enter().await else {
            return busy();
        };
        match self.service.upgrade(request, answer, permit).await {
            Ok((response, serving)) => {
                match response.status() {
                    StatusCode::SWITCHING_PROTOCOLS => serving.connected(gone.wait()),
                    _ => serving.go_on(),
                }
                response
            }
            Err(error) => failed(&error),
        }
    }
}

/// The response where too much is asked for.
fn busy() -> http::Response<HyperBody> {
    let mut busy = plain(
        StatusCode::SERVICE_UNAVAILABLE,
        "too many requests at once\n",
    );
    let soon = HeaderValue::from_static("1");
    busy.headers_mut().insert(header::RETRY_AFTER, soon);
    busy
}

/// The response of a program that speaks nothing but WebSocket (RFC 9110, section 15.5.22).
fn upgrade_required() -> http::Response<HyperBody> {
    let told = "this is a WebSocket: ask for an upgrade\n";
    let mut response = plain(StatusCode::UPGRADE_REQUIRED, told);
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    response
}

fn failed(error: &ServeError) -> http::Response<HyperBody> {
    response_to_hyper(error.response())
        .unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, "the program failed\n"))
}

fn plain(status: StatusCode, text: &'static str) -> http::Response<HyperBody> {
    let body: Box<dyn Body> = Box::new(Full::new(text));
    let mut response = http::Response::new(HyperBody::from(body));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, plain);
    response
}
