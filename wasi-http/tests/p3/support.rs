//! A store without a guest: what a guest would do is done through the generated traits, and
//! everything goes on by polls, in an order of the test's own. Nothing here waits.

use bytes::Bytes;
use std::collections::VecDeque;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use wasi_http::p3::bindings::wasi::http::types;
use wasi_http::p3::{Request, Response, WasiHttp, WasiHttpCtxView, WasiHttpView};
use wasi_http::{
    Body, BoxFuture, Client, ErrorCode, Fields, Frame, GuestFields, RequestOptions, WasiHttpCtx,
};
use wasmtime::component::{
    Access, Accessor, Destination, FutureConsumer, FutureReader, Lift, Resource, ResourceTable,
    Source, StreamConsumer, StreamProducer, StreamReader, StreamResult, VecBuffer,
};
use wasmtime::{AsContextMut, Config, Engine, Result, Store, StoreContextMut};

pub(crate) struct State {
    pub(crate) ctx: WasiHttpCtx,
    pub(crate) table: ResourceTable,
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            ctx: &self.ctx,
            table: &mut self.table,
        }
    }
}

pub(crate) fn engine() -> Engine {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    Engine::new(&config).unwrap()
}

pub(crate) fn store(ctx: WasiHttpCtx) -> Store<State> {
    let table = ResourceTable::new();
    Store::new(&engine(), State { ctx, table })
}

pub(crate) fn access(store: &mut Store<State>) -> Access<'_, State, WasiHttp> {
    Access::<_, WasiHttp>::new(store.as_context_mut(), State::http)
}

pub(crate) fn borrow<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// Polls as long as somebody wakes it.
fn poll_woken<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    let flag = Arc::new(Flag::default());
    let waker = Waker::from(flag.clone());
    for _ in 0..100_000 {
        flag.0.store(false, SeqCst);
        let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
        if poll.is_ready() || !flag.0.load(SeqCst) {
            return poll;
        }
    }
    panic!("it never comes to rest");
}

/// Runs the store until nothing more happens in it.
pub(crate) fn run(store: &mut Store<State>) {
    let running = pin!(store.run_concurrent(async |_| std::future::pending::<()>().await));
    assert!(poll_woken(running).is_pending());
}

/// Runs the store until `task` is done; `None` where it waits for something.
pub(crate) fn run_with<R>(
    store: &mut Store<State>,
    task: impl AsyncFnOnce(&Accessor<State, WasiHttp>) -> R,
) -> Option<R> {
    let running = pin!(store.run_concurrent(async |accessor| {
        task(&accessor.with_getter::<WasiHttp>(State::http)).await
    }));
    match poll_woken(running) {
        Poll::Ready(result) => Some(result.unwrap()),
        Poll::Pending => None,
    }
}

/// What a test gave or got, step by step.
pub(crate) struct Shared<T>(Arc<Mutex<T>>);

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Default> Default for Shared<T> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(T::default())))
    }
}

impl<T> Shared<T> {
    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        change(&mut self.0.lock().unwrap())
    }
}

impl<T: Default> Shared<T> {
    pub(crate) fn take(&self) -> T {
        self.with(std::mem::take)
    }
}

/// The writable end of a stream, which the test holds as a guest would.
#[derive(Clone, Default)]
pub(crate) struct Writer(Shared<Writing>);

#[derive(Default)]
pub(crate) struct Writing {
    queue: VecDeque<u8>,
    pub(crate) taken: usize,
    endless: bool,
    ended: bool,
    /// The other end was dropped, or nothing more is wanted.
    pub(crate) gone: bool,
    waker: Option<Waker>,
}

impl Writer {
    pub(crate) fn new(store: &mut Store<State>) -> (Self, StreamReader<u8>) {
        let this = Self::default();
        let reader = StreamReader::new(store, Feed(this.clone())).unwrap();
        (this, reader)
    }

    /// What writes for ever.
    pub(crate) fn endless(store: &mut Store<State>) -> (Self, StreamReader<u8>) {
        let (this, reader) = Self::new(store);
        this.0.with(|writing| writing.endless = true);
        (this, reader)
    }

    fn change(&self, change: impl FnOnce(&mut Writing)) {
        let waker = self.0.with(|writing| {
            change(writing);
            writing.waker.take()
        });
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn write(&self, bytes: &[u8]) {
        self.change(|writing| writing.queue.extend(bytes));
    }

    pub(crate) fn end(&self) {
        self.change(|writing| writing.ended = true);
    }

    pub(crate) fn taken(&self) -> usize {
        self.0.with(|writing| writing.taken)
    }

    pub(crate) fn gone(&self) -> bool {
        self.0.with(|writing| writing.gone)
    }
}

struct Feed(Writer);

impl Drop for Feed {
    fn drop(&mut self) {
        self.0.0.with(|writing| writing.gone = true);
    }
}

impl<D: 'static> StreamProducer<D> for Feed {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: StoreContextMut<'a, D>,
        mut destination: Destination<'a, u8, Self::Buffer>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        self.0.0.with(|writing| {
            let bytes: Vec<u8> = match writing.endless {
                true => vec![0; 1000],
                false => writing.queue.drain(..).collect(),
            };
            if !bytes.is_empty() {
                writing.taken += bytes.len();
                destination.set_buffer(bytes.into());
                return Poll::Ready(Ok(StreamResult::Completed));
            }
            if writing.ended {
                return Poll::Ready(Ok(StreamResult::Dropped));
            }
            if finish {
                return Poll::Ready(Ok(StreamResult::Cancelled));
            }
            writing.waker = Some(cx.waker().clone());
            Poll::Pending
        })
    }
}

/// What was read of a stream; at most `room` bytes more are taken.
#[derive(Clone)]
pub(crate) struct Reader(Shared<Reading>);

#[derive(Default)]
pub(crate) struct Reading {
    pub(crate) bytes: Vec<u8>,
    room: usize,
    pub(crate) ended: bool,
    waker: Option<Waker>,
}

impl Reader {
    /// Reads `room` bytes from now on.
    pub(crate) fn new(store: &mut Store<State>, stream: StreamReader<u8>, room: usize) -> Self {
        let this = Self(Shared::default());
        this.0.with(|reading| reading.room = room);
        stream.pipe(store, Sink(this.clone())).unwrap();
        this
    }

    /// Reads `room` bytes more.
    pub(crate) fn read(&self, room: usize) {
        let waker = self.0.with(|reading| {
            reading.room += room;
            reading.waker.take()
        });
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.0.with(|reading| reading.bytes.clone())
    }

    pub(crate) fn ended(&self) -> bool {
        self.0.with(|reading| reading.ended)
    }
}

struct Sink(Reader);

impl Drop for Sink {
    fn drop(&mut self) {
        self.0.0.with(|reading| reading.ended = true);
    }
}

impl<D: 'static> StreamConsumer<D> for Sink {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        let mut source = source.as_direct(store);
        self.0.0.with(|reading| {
            if reading.room == 0 {
                reading.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let bytes = source.remaining();
            let len = bytes.len().min(reading.room);
            reading.room -= len;
            reading.bytes.extend_from_slice(&bytes[..len]);
            source.mark_read(len);
            Poll::Ready(Ok(StreamResult::Completed))
        })
    }
}

/// What a future resolved to.
pub(crate) fn watch<T: Lift + Send + Sync + 'static>(
    store: &mut Store<State>,
    future: FutureReader<T>,
) -> Shared<Option<T>> {
    let shared = Shared::default();
    future.pipe(store, Watch(shared.clone())).unwrap();
    shared
}

struct Watch<T>(Shared<Option<T>>);

impl<D: 'static, T: Lift + Send + Sync + 'static> FutureConsumer<D> for Watch<T> {
    type Item = T;

    fn poll_consume(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        mut source: Source<'_, T>,
        _: bool,
    ) -> Poll<Result<()>> {
        let mut item = None;
        source.read(store, &mut item)?;
        self.0.with(|shared| *shared = item);
        Poll::Ready(Ok(()))
    }
}

/// The writable end of a future.
pub(crate) struct Promise<T>(futures_channel::oneshot::Sender<T>);

impl<T: wasmtime::component::Lower + Lift + Send + Sync + 'static> Promise<T> {
    pub(crate) fn new(store: &mut Store<State>) -> (Self, FutureReader<T>) {
        let (sender, receiver) = futures_channel::oneshot::channel();
        let future = FutureReader::new(store, async {
            match receiver.await {
                Ok(value) => Ok::<_, wasmtime::Error>(value),
                // As a guest that traps before it writes.
                Err(_) => std::future::pending().await,
            }
        });
        (Self(sender), future.unwrap())
    }

    pub(crate) fn keep(self, value: T) {
        let _ = self.0.send(value);
    }
}

pub(crate) type Trailers = core::result::Result<Option<Resource<GuestFields>>, types::ErrorCode>;
pub(crate) type Outcome = core::result::Result<(), types::ErrorCode>;
pub(crate) type TrailersReader = FutureReader<Trailers>;
pub(crate) type OutcomeReader = FutureReader<Outcome>;

/// A future that has its value already.
pub(crate) fn ready<T: wasmtime::component::Lower + Lift + Send + Sync + 'static>(
    store: &mut Store<State>,
    value: T,
) -> FutureReader<T> {
    FutureReader::new(store, async { Ok::<_, wasmtime::Error>(value) }).unwrap()
}

pub(crate) fn fields(store: &mut Store<State>, list: &[(&str, &str)]) -> Resource<GuestFields> {
    let mut fields = GuestFields::new(1 << 16);
    for (name, value) in list {
        fields.append((*name).into(), (*value).into()).unwrap();
    }
    store.data_mut().table.push(fields).unwrap()
}

/// The outcome as the host's code.
pub(crate) fn outcome(
    watched: &Shared<Option<Outcome>>,
) -> Option<core::result::Result<(), ErrorCode>> {
    let outcome = watched.with(|outcome| outcome.clone());
    outcome.map(|outcome| outcome.map_err(Into::into))
}

/// The trailers as names and values, `None` where there are none yet.
pub(crate) fn trailers(
    store: &mut Store<State>,
    watched: &Shared<Option<Trailers>>,
) -> Option<core::result::Result<Vec<(String, Bytes)>, ErrorCode>> {
    Some(match watched.take()? {
        Ok(None) => Ok(vec![]),
        Ok(Some(fields)) => {
            let fields = store.data_mut().table.delete(fields).unwrap();
            Ok(list(fields.fields()))
        }
        Err(code) => Err(code.into()),
    })
}

pub(crate) fn list(fields: &Fields) -> Vec<(String, Bytes)> {
    let list = fields.iter();
    list.map(|(name, value)| (name.into(), value.clone()))
        .collect()
}

/// A body of parts that the test gives, and that counts whom it outlives.
pub(crate) struct Parts {
    parts: Shared<Arrived>,
    live: Arc<AtomicUsize>,
}

#[derive(Default)]
pub(crate) struct Arrived {
    queue: VecDeque<core::result::Result<Frame, ErrorCode>>,
    ended: bool,
    waker: Option<Waker>,
}

/// Who feeds a body of parts.
pub(crate) struct Peer {
    parts: Shared<Arrived>,
    live: Arc<AtomicUsize>,
}

pub(crate) fn parts() -> (Peer, Box<dyn Body>) {
    let parts = Shared::<Arrived>::default();
    let live = Arc::new(AtomicUsize::new(1));
    let body = Parts {
        parts: parts.clone(),
        live: live.clone(),
    };
    (Peer { parts, live }, Box::new(body))
}

impl Peer {
    fn change(&self, change: impl FnOnce(&mut Arrived)) {
        let waker = self.parts.with(|parts| {
            change(parts);
            parts.waker.take()
        });
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn send(&self, data: &'static str) {
        self.change(|parts| parts.queue.push_back(Ok(Frame::Data(data.into()))));
    }

    pub(crate) fn fail(&self, code: ErrorCode) {
        self.change(|parts| parts.queue.push_back(Err(code)));
    }

    pub(crate) fn trailers(&self, name: &'static str, value: &'static str) {
        let mut fields = Fields::new();
        fields.append(name, value).unwrap();
        self.change(|parts| parts.queue.push_back(Ok(Frame::Trailers(fields))));
        self.end();
    }

    pub(crate) fn end(&self) {
        self.change(|parts| parts.ended = true);
    }

    /// The parts that nobody has taken.
    pub(crate) fn waiting(&self) -> usize {
        self.parts.with(|parts| parts.queue.len())
    }

    /// Whether the body is still held by somebody.
    pub(crate) fn is_held(&self) -> bool {
        self.live.load(SeqCst) == 1
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.live.fetch_sub(1, SeqCst);
    }
}

impl Body for Parts {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<core::result::Result<Frame, ErrorCode>>> {
        self.parts.with(|parts| match parts.queue.pop_front() {
            Some(part) => Poll::Ready(Some(part)),
            None if parts.ended => Poll::Ready(None),
            None => {
                parts.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        })
    }
}

/// What a body gives now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Waits,
    Data(Bytes),
    Trailers(Vec<(String, Bytes)>),
    Failed(ErrorCode),
    End,
}

pub(crate) fn next(body: &mut Box<dyn Body>) -> Part {
    match body.poll_frame(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => Part::Waits,
        Poll::Ready(Some(Ok(Frame::Data(data)))) => Part::Data(data),
        Poll::Ready(Some(Ok(Frame::Trailers(fields)))) => Part::Trailers(list(&fields)),
        Poll::Ready(Some(Err(code))) => Part::Failed(code),
        Poll::Ready(None) => Part::End,
    }
}

/// A client that keeps the requests, and answers when the test does.
#[derive(Clone, Default)]
pub(crate) struct Held(Shared<Vec<Exchange>>);

pub(crate) type Answer = core::result::Result<wasi_http::Response, ErrorCode>;

pub(crate) struct Exchange {
    pub(crate) request: wasi_http::Request,
    pub(crate) options: RequestOptions,
    pub(crate) answer: futures_channel::oneshot::Sender<Answer>,
}

impl Held {
    pub(crate) fn ctx(&self) -> WasiHttpCtx {
        WasiHttpCtx::new().client(Arc::new(self.clone()))
    }

    pub(crate) fn next(&self) -> Exchange {
        self.0.with(|exchanges| exchanges.remove(0))
    }
}

impl Client for Held {
    fn send(&self, request: wasi_http::Request, options: RequestOptions) -> BoxFuture<Answer> {
        let (answer, receiver) = futures_channel::oneshot::channel();
        let exchange = Exchange {
            request,
            options,
            answer,
        };
        self.0.with(|exchanges| exchanges.push(exchange));
        Box::pin(async {
            receiver
                .await
                .unwrap_or(Err(ErrorCode::ConnectionTerminated))
        })
    }
}

/// What `request.new` gives.
pub(crate) fn new_request(
    store: &mut Store<State>,
    headers: &[(&str, &str)],
    contents: Option<StreamReader<u8>>,
    trailers: TrailersReader,
) -> (Resource<Request>, Shared<Option<Outcome>>) {
    let headers = fields(store, headers);
    let (request, sent) = <WasiHttp as types::HostRequestWithStore<State>>::new(
        access(store),
        headers,
        contents,
        trailers,
        None,
    )
    .unwrap();
    let mut view = store.data_mut().http();
    let scheme = Some(types::Scheme::Http);
    types::HostRequest::set_scheme(&mut view, borrow(&request), scheme)
        .unwrap()
        .unwrap();
    let authority = Some("example.com".into());
    types::HostRequest::set_authority(&mut view, borrow(&request), authority)
        .unwrap()
        .unwrap();
    let sent = watch(store, sent);
    (request, sent)
}

/// What `response.new` gives.
pub(crate) fn new_response(
    store: &mut Store<State>,
    headers: &[(&str, &str)],
    contents: Option<StreamReader<u8>>,
    trailers: TrailersReader,
) -> (Resource<Response>, Shared<Option<Outcome>>) {
    let headers = fields(store, headers);
    let (response, sent) = <WasiHttp as types::HostResponseWithStore<State>>::new(
        access(store),
        headers,
        contents,
        trailers,
    )
    .unwrap();
    let sent = watch(store, sent);
    (response, sent)
}

/// An incoming request with this body.
pub(crate) fn incoming(body: Box<dyn Body>) -> wasi_http::Request {
    wasi_http::Request {
        method: wasi_http::Method::Post,
        scheme: Some(wasi_http::Scheme::Http),
        authority: Some("example.com".into()),
        path_with_query: Some("/a".into()),
        headers: Fields::new(),
        body,
        grant: None,
    }
}

/// `request.consume-body` of an incoming request.
pub(crate) fn consume(
    store: &mut Store<State>,
    body: Box<dyn Body>,
    verdict: OutcomeReader,
) -> (StreamReader<u8>, TrailersReader) {
    let request = wasi_http::p3::new_request(&mut *store, incoming(body)).unwrap();
    <WasiHttp as types::HostRequestWithStore<State>>::consume_body(access(store), request, verdict)
        .unwrap()
}
