//! Programs that answer HTTP requests (`wasi:http/incoming-handler@0.2`, or
//! `wasi:http/handler@0.3`) or requests for WebSockets (`agave:websocket/handler@0.1`).

mod answer;
mod body;
#[cfg(feature = "p3")]
mod exchange;
#[cfg(feature = "http1")]
mod http1;
mod instance;
mod websocket;
#[cfg(feature = "p3")]
mod worker;

use crate::guest::{Executor, Guest, TimedOut, causes};
use crate::program::{Found, HANDLER, Pre, WEBSOCKET_HANDLER, export, find};
use crate::{Ctx, HostState, LoadError, Program};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use answer::{Answer, Answered};
use body::GuestBody;
use core::future::poll_fn;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::Poll;
use instance::Instance;
use wasi_error::http::ErrorCode;
use wasi_http::memory::{Empty, Full};
use wasi_http::{Body, Fields, Method, Request, Response};
use wasi_io::sync::Mutex;
#[cfg(feature = "p3")]
use wasi_types::Duration;
use wasmtime::component::{ComponentExportIndex, InstancePre};
pub use websocket::Serving;

/// Why a request got no response from its guest.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The guest returned, or dropped the `response-outparam` or the `upgrade-request`, without
    /// a response.
    #[error("the guest gave no response")]
    NoResponse,
    /// The guest answered with an error code in place of a response.
    #[error("the guest answered with an error: {0}")]
    Guest(ErrorCode),
    /// The guest trapped, or ran out of a limit or of time.
    #[error("the guest failed: {}", causes(.0))]
    Failed(wasmtime::Error),
}

impl ServeError {
    /// The response of a server whose guest gave none: a 500 with a line that says why, and
    /// nothing of the guest's own words.
    pub fn response(&self) -> Response {
        let told = match self {
            Self::NoResponse => "the program gave no response\n",
            Self::Guest(_) => "the program answered with an error\n",
            Self::Failed(_) => "the program failed\n",
        };
        let mut headers = Fields::new();
        headers.append_valid("content-type", "text/plain; charset=utf-8");
        Response {
            status: 500,
            headers,
            body: Box::new(Full::new(told)),
        }
    }

    /// Whether the guest ended because its time was up.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Failed(error) if error.is::<TimedOut>())
    }
}

/// The number of the request that an instance works on, as its log lines show it.
#[derive(Clone, Debug, Default)]
pub struct RequestNumber(Arc<AtomicU64>);

impl RequestNumber {
    /// Counted from 1 over the service's life; with a reused instance, that of its newest
    /// request.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn set(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }
}

/// Answers requests with instances of one program.
///
/// With WASI 0.2, each request has an instance of its own, made for it and thrown away after
/// it, unless [`Service::reuse`] says otherwise. A guest may go on after its response has ended
/// until it returns or its time is up; if the response is dropped before its end, so is the
/// guest, with all that it holds.
///
/// With WASI 0.3, an instance answers many requests, one after another ([`Service::reuse`]) and
/// at once ([`Service::concurrent_reuse`]), as its own code can hold several. An instance that
/// computes, or waits as programs of 0.2 do, is given no other request until it has come back
/// from that. One that fails takes the requests that it has with it, and no other; one whose
/// request ran out of time, or lost its client, is given no more, and ends when it has answered
/// the rest.
///
/// A program that exports `agave:websocket/handler@0.1` is given requests for WebSockets
/// ([`Service::upgrade`]). Each has an instance of its own, which is never given another one.
/// The guest's time limit counts until it has accepted the request, and begins anew when the
/// connection has gone; in between it may take as long as it wants.
#[derive(Clone)]
pub struct Service(Arc<Inner>);

type MakeCtx = Box<dyn Fn(RequestNumber) -> Ctx + Send + Sync>;
type Report = Box<dyn Fn(u64, &ServeError) + Send + Sync>;

struct Inner {
    pre: InstancePre<HostState>,
    handle: Option<Found>,
    websocket: Option<ComponentExportIndex>,
    ctx: MakeCtx,
    executor: Arc<dyn Executor>,
    report: Report,
    requests: AtomicU64,
    /// `None` is what the version of WASI has for a default.
    reuse: Option<u32>,
    idle: Mutex<Vec<Instance>>,
    #[cfg(feature = "p3")]
    shared: worker::Shared,
}

impl Service {
    /// A service of `program`. Every new instance is given what `ctx` makes for it. A guest
    /// runs on the task that waits for its response, and goes on without it on `executor`.
    ///
    /// # Errors
    /// - [`LoadError::CoreModule`]: the program is one, and has no interfaces.
    /// - [`LoadError::NoExport`]: it has neither `wasi:http/incoming-handler@0.2` nor
    ///   `wasi:http/handler@0.3` nor `agave:websocket/handler@0.1`.
    pub fn new(
        program: Program,
        ctx: impl Fn(RequestNumber) -> Ctx + Send + Sync + 'static,
        executor: Arc<dyn Executor>,
    ) -> Result<Self, LoadError> {
        let Pre::Component(pre) = program.pre else {
            return Err(LoadError::CoreModule);
        };
        let handle = find(&pre, HANDLER);
        let websocket = export(&pre, WEBSOCKET_HANDLER, "handle").ok();
        let handle = match handle {
            Err(_) if websocket.is_some() => None,
            handle => Some(handle?),
        };
        Ok(Self(Arc::new(Inner {
            handle,
            websocket,
            pre,
            ctx: Box::new(ctx),
            executor,
            report: Box::new(|_, _| {}),
            requests: AtomicU64::new(0),
            reuse: None,
            idle: Mutex::default(),
            #[cfg(feature = "p3")]
            shared: worker::Shared::default(),
        })))
    }

    /// Calls `report` with a request's number and what went wrong, once for each request that
    /// fails, before its response or after that began.
    pub fn report(self, report: impl Fn(u64, &ServeError) + Send + Sync + 'static) -> Self {
        self.set_up(|inner| inner.report = Box::new(report))
    }

    /// Gives an instance up to `requests` requests (at least 1); 1 with WASI 0.2, 128 with 0.3.
    /// Its memory stays as the last one left it: for programs that treat all their clients
    /// alike.
    pub fn reuse(self, requests: u32) -> Self {
        self.set_up(|inner| inner.reuse = Some(requests.max(1)))
    }

    /// Gives an instance of WASI 0.3 up to `requests` requests (at least 1) at once; 16.
    #[cfg(feature = "p3")]
    pub fn concurrent_reuse(self, requests: u32) -> Self {
        self.set_up(|inner| inner.shared.at_once = requests.max(1))
    }

    /// How long an instance of WASI 0.3 that has no request is kept for the next one, in
    /// nanoseconds; a second.
    #[cfg(feature = "p3")]
    pub fn idle_timeout(self, timeout: Duration) -> Self {
        self.set_up(|inner| inner.shared.idle_timeout = timeout)
    }

    fn set_up(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            change(inner);
        }
        self
    }

    /// Whether it answers HTTP requests.
    pub fn answers_http(&self) -> bool {
        self.0.handle.is_some()
    }

    /// Whether it answers requests for WebSockets.
    pub fn answers_websocket(&self) -> bool {
        self.0.websocket.is_some()
    }

    /// Has a guest answer `request`. The response's body moves the guest on as it is polled.
    ///
    /// # Errors
    /// [`ServeError`]; it was reported already.
    pub async fn handle(&self, request: Request) -> Result<Response, ServeError> {
        self.handle_holding(request, ()).await
    }

    /// As [`Service::handle`]. `hold` is dropped when the guest has ended, which can be long
    /// after its response has: a permit, say, of a bounded number.
    ///
    /// # Errors
    /// As [`Service::handle`].
    pub async fn handle_holding(
        &self,
        request: Request,
        hold: impl Send + 'static,
    ) -> Result<Response, ServeError> {
        let number = self.0.requests.fetch_add(1, Ordering::Relaxed) + 1;
        // The head is all of a response to HEAD (RFC 9110, section 9.3.2).
        let head_only = request.method == Method::Head;
        let export = match self.0.handle {
            Some(Found::P2(export)) => export,
            #[cfg(feature = "p3")]
            Some(Found::P3(export)) => {
                let exchange = exchange::Exchange::new(number, hold);
                worker::dispatch(&self.0, export, request, exchange.clone());
                let answered = exchange.response(head_only, &self.0.executor).await;
                return answered.inspect_err(|error| (self.0.report)(number, error));
            }
            None => {
                let error = ServeError::Failed(LoadError::NoExport(HANDLER.name).into());
                (self.0.report)(number, &error);
                return Err(error);
            }
        };
        let answer = Arc::new(Answer::default());
        let mut guest = Some(instance::start(
            &self.0, export, number, request, &answer, hold,
        ));

        let answered = poll_fn(|cx| {
            let ended = match &mut guest {
                Some(running) => running.poll(cx),
                None => Poll::Ready(Ok(())),
            };
            if ended.is_ready() {
                guest = None;
            }
            match (answer.poll(cx), ended) {
                (Poll::Ready(Answered::Response(response)), ended) => {
                    // It answered and then failed: the response stands as far as it goes.
                    if let Poll::Ready(Err(error)) = ended {
                        (self.0.report)(number, &ServeError::Failed(error));
                    }
                    Poll::Ready(Ok(response))
                }
                (_, Poll::Ready(Err(error))) => Poll::Ready(Err(ServeError::Failed(error))),
                (Poll::Ready(Answered::Error(code)), _) => {
                    Poll::Ready(Err(ServeError::Guest(code)))
                }
                (Poll::Ready(Answered::Nothing), _) | (_, Poll::Ready(Ok(()))) => {
                    Poll::Ready(Err(ServeError::NoResponse))
                }
                (Poll::Pending, Poll::Pending) => Poll::Pending,
            }
        })
        .await;

        let response = match answered {
            Ok(response) => response,
            Err(error) => {
                (self.0.report)(number, &error);
                if let Some(guest) = guest {
                    self.run_on(number, guest);
                }
                return Err(error);
            }
        };
        let Response {
            status,
            headers,
            body,
        } = response;
        let body = GuestBody::new(self.clone(), number, body, guest);
        let body: Box<dyn Body> = if has_no_content(head_only, status) {
            body.discard();
            Box::new(Empty)
        } else {
            Box::new(body)
        };
        Ok(Response {
            status,
            headers,
            body,
        })
    }

    /// Lets a guest go on that nobody waits for.
    fn run_on(&self, number: u64, mut guest: Guest) {
        let service = self.clone();
        self.0.executor.spawn(Box::pin(async move {
            if let Err(error) = poll_fn(|cx| guest.poll(cx)).await {
                (service.0.report)(number, &ServeError::Failed(error));
            }
        }));
    }
}

/// Whether the head is all of a response (RFC 9110, section 6.4.1).
fn has_no_content(head_only: bool, status: u16) -> bool {
    head_only || matches!(status, 204 | 304)
}
