//! Drives the functions of WASI 0.3 from the host, as a guest would.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use wasi_io::WakerSet;
use wasi_sockets::p3::bindings::wasi::sockets::ip_name_lookup;
use wasi_sockets::p3::bindings::wasi::sockets::types::{
    ErrorCode, HostTcpSocket, HostTcpSocketWithStore, HostUdpSocket, HostUdpSocketWithStore,
    IpAddress, IpAddressFamily,
};
use wasi_sockets::p3::{WasiSockets, WasiSocketsCtxView, WasiSocketsView};
use wasi_sockets::{DynTcpSocket, DynUdpSocket, WasiSocketsCtx};
use wasmtime::component::{
    Access, Accessor, Destination, FutureConsumer, FutureReader, Resource, ResourceTable, Source,
    StreamConsumer, StreamProducer, StreamReader, StreamResult, VecBuffer,
};
use wasmtime::{AsContextMut, Engine, Store, StoreContextMut};

pub(crate) type Tcp = Resource<DynTcpSocket>;
pub(crate) type Udp = Resource<DynUdpSocket>;
pub(crate) type Answer<T> = Result<T, ErrorCode>;

pub(crate) struct State {
    pub(crate) ctx: WasiSocketsCtx,
    pub(crate) table: ResourceTable,
}

impl WasiSocketsView for State {
    fn sockets(&mut self) -> WasiSocketsCtxView<'_> {
        WasiSocketsCtxView {
            ctx: &self.ctx,
            table: &mut self.table,
        }
    }
}

pub(crate) fn store(ctx: WasiSocketsCtx) -> Store<State> {
    let table = ResourceTable::new();
    Store::new(&Engine::default(), State { ctx, table })
}

/// Runs what a guest does, with all that is in the store.
pub(crate) async fn run<R>(store: &mut Store<State>, guest: impl AsyncFnOnce(&Guest) -> R) -> R {
    let running = store.run_concurrent(async |accessor| {
        let guest_of = Guest(accessor.with_getter::<WasiSockets>(State::sockets));
        guest(&guest_of).await
    });
    running.await.unwrap()
}

/// The same handle once more, as a guest lends it.
pub(crate) fn lent<T: 'static>(resource: &Resource<T>) -> Resource<T> {
    Resource::new_borrow(resource.rep())
}

/// What comes of a call that must not wait.
fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

pub(crate) struct Guest(Accessor<State, WasiSockets>);

impl Guest {
    /// A call that needs no store.
    pub(crate) fn call<R>(
        &self,
        f: impl FnOnce(&mut WasiSocketsCtxView<'_>) -> wasmtime::Result<R>,
    ) -> R {
        self.0.with(|mut access| f(&mut access.get())).unwrap()
    }

    pub(crate) fn create(&self, of: SocketAddr) -> Tcp {
        self.call(|view| HostTcpSocket::create(view, family(of)))
            .unwrap()
    }

    pub(crate) fn bind(&self, socket: &Tcp, local: SocketAddr) -> Answer<()> {
        self.call(|view| at_once(HostTcpSocket::bind(view, lent(socket), local.into())))
    }

    pub(crate) fn local(&self, socket: &Tcp) -> Answer<SocketAddr> {
        let address = self.call(|view| HostTcpSocket::get_local_address(view, lent(socket)));
        address.map(Into::into)
    }

    pub(crate) fn drop(&self, socket: Tcp) {
        self.call(|view| HostTcpSocket::drop(view, socket));
    }

    pub(crate) async fn connect(&self, socket: &Tcp, remote: SocketAddr) -> Answer<()> {
        WasiSockets::connect(&self.0, lent(socket), remote.into())
            .await
            .unwrap()
    }

    /// Listens, without a look at what comes in.
    pub(crate) fn listen_blindly(&self, socket: &Tcp) -> Answer<StreamReader<Tcp>> {
        self.0.with(|mut access| {
            let own = Access::<_, WasiSockets>::new(access.as_context_mut(), State::sockets);
            at_once(WasiSockets::listen(own, lent(socket))).unwrap()
        })
    }

    /// Drops a stream that is not being read.
    pub(crate) fn close<T>(&self, mut stream: StreamReader<T>) {
        self.0.with(|access| stream.close(access)).unwrap();
    }

    /// Listens; the connections are where they can be taken.
    pub(crate) fn listen(&self, socket: &Tcp) -> Answer<Arc<Taken<Tcp>>> {
        self.0.with(|mut access| {
            let own = Access::<_, WasiSockets>::new(access.as_context_mut(), State::sockets);
            let stream = at_once(WasiSockets::listen(own, lent(socket))).unwrap()?;
            let taken = Taken::new();
            stream.pipe(&mut access, Take(taken.clone())).unwrap();
            Ok(taken)
        })
    }

    pub(crate) fn send(&self, socket: &Tcp, data: impl StreamProducer<State, Item = u8>) -> End {
        self.0.with(|mut access| {
            let data = StreamReader::new(&mut access, data).unwrap();
            let own = Access::<_, WasiSockets>::new(access.as_context_mut(), State::sockets);
            let end =
                <WasiSockets as HostTcpSocketWithStore<_>>::send(own, lent(socket), data).unwrap();
            told(&mut access, end)
        })
    }

    /// As [`Guest::send`], without a look at how it ends.
    pub(crate) fn send_blindly(
        &self,
        socket: &Tcp,
        data: impl StreamProducer<State, Item = u8>,
    ) -> FutureReader<Answer<()>> {
        self.0.with(|mut access| {
            let data = StreamReader::new(&mut access, data).unwrap();
            let own = Access::<_, WasiSockets>::new(access.as_context_mut(), State::sockets);
            <WasiSockets as HostTcpSocketWithStore<_>>::send(own, lent(socket), data).unwrap()
        })
    }

    /// Receives, without a look at it.
    pub(crate) fn receive_blindly(&self, socket: &Tcp) -> (StreamReader<u8>, End) {
        self.0.with(|mut access| {
            let own = Access::<_, WasiSockets>::new(access.as_context_mut(), State::sockets);
            let received = <WasiSockets as HostTcpSocketWithStore<_>>::receive(own, lent(socket));
            let (stream, end) = received.unwrap();
            (stream, told(&mut access, end))
        })
    }

    pub(crate) fn receive(&self, socket: &Tcp) -> (Arc<Taken<u8>>, End) {
        self.0.with(|mut access| {
            let own = Access::<_, WasiSockets>::new(access.as_context_mut(), State::sockets);
            let (stream, end) =
                <WasiSockets as HostTcpSocketWithStore<_>>::receive(own, lent(socket)).unwrap();
            let taken = Taken::new();
            stream.pipe(&mut access, Take(taken.clone())).unwrap();
            (taken, told(&mut access, end))
        })
    }

    /// A listener on any port of `local`, its connections and its address.
    pub(crate) fn listener(&self, local: SocketAddr) -> (Tcp, Arc<Taken<Tcp>>, SocketAddr) {
        let socket = self.create(local);
        self.bind(&socket, local).unwrap();
        let incoming = self.listen(&socket).unwrap();
        let address = self.local(&socket).unwrap();
        (socket, incoming, address)
    }

    /// Both ends of a connection.
    pub(crate) async fn pair(&self, local: SocketAddr) -> (Tcp, Tcp) {
        let (listener, incoming, address) = self.listener(local);
        let client = self.create(local);
        self.connect(&client, address).await.unwrap();
        let server = incoming.one().await.unwrap();
        self.drop(listener);
        (client, server)
    }

    pub(crate) fn udp(&self, of: SocketAddr) -> Udp {
        self.call(|view| HostUdpSocket::create(view, family(of)))
            .unwrap()
    }

    pub(crate) fn udp_bound(&self, local: SocketAddr) -> (Udp, SocketAddr) {
        let socket = self.udp(local);
        self.call(|view| at_once(HostUdpSocket::bind(view, lent(&socket), local.into())))
            .unwrap();
        let address = self.udp_local(&socket).unwrap();
        (socket, address)
    }

    pub(crate) fn udp_local(&self, socket: &Udp) -> Answer<SocketAddr> {
        let address = self.call(|view| HostUdpSocket::get_local_address(view, lent(socket)));
        address.map(Into::into)
    }

    pub(crate) fn udp_connect(&self, socket: &Udp, remote: SocketAddr) -> Answer<()> {
        self.call(|view| at_once(HostUdpSocket::connect(view, lent(socket), remote.into())))
    }

    pub(crate) async fn udp_send(
        &self,
        socket: &Udp,
        data: &[u8],
        remote: Option<SocketAddr>,
    ) -> Answer<()> {
        let remote = remote.map(Into::into);
        let (socket, data) = (lent(socket), data.to_vec());
        <WasiSockets as HostUdpSocketWithStore<_>>::send(&self.0, socket, data, remote)
            .await
            .unwrap()
    }

    pub(crate) async fn udp_receive(&self, socket: &Udp) -> Answer<(Vec<u8>, SocketAddr)> {
        let socket = lent(socket);
        let received = <WasiSockets as HostUdpSocketWithStore<_>>::receive(&self.0, socket).await;
        let (data, from) = received.unwrap()?;
        Ok((data, from.into()))
    }

    pub(crate) async fn resolve(
        &self,
        name: &str,
    ) -> Result<Vec<IpAddress>, ip_name_lookup::ErrorCode> {
        use ip_name_lookup::HostWithStore as _;
        WasiSockets::resolve_addresses(&self.0, name.into())
            .await
            .unwrap()
    }
}

fn family(of: SocketAddr) -> IpAddressFamily {
    match of {
        SocketAddr::V4(_) => IpAddressFamily::Ipv4,
        SocketAddr::V6(_) => IpAddressFamily::Ipv6,
    }
}

/// What a stream gave, as far as it was let.
pub(crate) struct Taken<T> {
    state: Mutex<TakenState<T>>,
    changed: WakerSet,
}

struct TakenState<T> {
    items: Vec<T>,
    /// How many more may come.
    room: usize,
    /// The stream has ended.
    ended: bool,
}

impl<T> Taken<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::new(TakenState {
                items: Vec::new(),
                room: 0,
                ended: false,
            }),
            changed: WakerSet::new(),
        })
    }

    fn change<R>(&self, f: impl FnOnce(&mut TakenState<T>) -> R) -> R {
        let result = f(&mut self.state.lock().unwrap());
        self.changed.wake_all();
        result
    }

    /// Lets `n` more come.
    pub(crate) fn allow(&self, n: usize) {
        self.change(|state| state.room = state.room.saturating_add(n));
    }

    pub(crate) fn len(&self) -> usize {
        self.state.lock().unwrap().items.len()
    }

    /// The next; none where the stream has ended.
    pub(crate) async fn one(&self) -> Option<T> {
        self.allow(1);
        self.wait(|state| match state.items.is_empty() {
            false => Poll::Ready(Some(state.items.remove(0))),
            true if state.ended => Poll::Ready(None),
            true => Poll::Pending,
        })
        .await
    }

    /// Everything to the end.
    pub(crate) async fn all(&self) -> Vec<T> {
        self.allow(usize::MAX);
        self.wait(|state| match state.ended {
            true => Poll::Ready(std::mem::take(&mut state.items)),
            false => Poll::Pending,
        })
        .await
    }

    async fn wait<R>(&self, mut f: impl FnMut(&mut TakenState<T>) -> Poll<R>) -> R {
        poll_fn(|cx| {
            self.changed.register(cx.waker());
            f(&mut self.state.lock().unwrap())
        })
        .await
    }
}

struct Take<T>(Arc<Taken<T>>);

impl<D: 'static, T> StreamConsumer<D> for Take<T>
where
    T: wasmtime::component::Lift + Send + 'static,
{
    type Item = T;

    fn poll_consume(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        mut source: Source<'_, T>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        self.0.changed.register(cx.waker());
        let n = {
            let state = self.0.state.lock().unwrap();
            match state.room {
                0 => return Poll::Pending,
                room => room.min(1 << 20),
            }
        };
        let mut items = Vec::with_capacity(n);
        source.read(store, &mut items)?;
        self.0.change(|state| {
            state.room -= items.len();
            state.items.append(&mut items);
        });
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

impl<T> Drop for Take<T> {
    fn drop(&mut self) {
        self.0.change(|state| state.ended = true);
    }
}

/// How something ended, once it has.
pub(crate) struct End(Arc<Told>);

#[derive(Default)]
struct Told {
    end: Mutex<Option<Answer<()>>>,
    changed: WakerSet,
}

impl End {
    pub(crate) async fn wait(&self) -> Answer<()> {
        poll_fn(|cx| {
            self.0.changed.register(cx.waker());
            match &*self.0.end.lock().unwrap() {
                Some(end) => Poll::Ready(end.clone()),
                None => Poll::Pending,
            }
        })
        .await
    }

    pub(crate) fn has_come(&self) -> bool {
        self.0.end.lock().unwrap().is_some()
    }
}

fn told(store: impl AsContextMut, future: FutureReader<Answer<()>>) -> End {
    let told = Arc::<Told>::default();
    future.pipe(store, Tell(told.clone())).unwrap();
    End(told)
}

struct Tell(Arc<Told>);

impl<D> FutureConsumer<D> for Tell {
    type Item = Answer<()>;

    fn poll_consume(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        mut source: Source<'_, Self::Item>,
        _: bool,
    ) -> Poll<wasmtime::Result<()>> {
        source.read(store, &mut *self.0.end.lock().unwrap())?;
        self.0.changed.wake_all();
        Poll::Ready(Ok(()))
    }
}

/// Gives `pieces`, one each time that it is asked, and ends.
pub(crate) struct Feed {
    pieces: std::vec::IntoIter<Vec<u8>>,
    given: Arc<Mutex<usize>>,
}

/// How many pieces a [`Feed`] has given.
#[derive(Clone, Default)]
pub(crate) struct Given(Arc<Mutex<usize>>);

impl Given {
    pub(crate) fn count(&self) -> usize {
        *self.0.lock().unwrap()
    }

    pub(crate) fn feed_is_dropped(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

pub(crate) fn feed(pieces: Vec<Vec<u8>>) -> (Feed, Given) {
    let given = Given::default();
    let feed = Feed {
        pieces: pieces.into_iter(),
        given: given.0.clone(),
    };
    (feed, given)
}

/// `bytes`, and the end.
pub(crate) fn all(bytes: &[u8]) -> Feed {
    feed(vec![bytes.to_vec()]).0
}

/// Nothing, and no end.
pub(crate) struct Never;

impl<D: 'static> StreamProducer<D> for Feed {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: StoreContextMut<'a, D>,
        mut destination: Destination<'a, u8, Self::Buffer>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let Some(piece) = self.pieces.next() else {
            return Poll::Ready(Ok(StreamResult::Dropped));
        };
        *self.given.lock().unwrap() += 1;
        destination.set_buffer(piece.into());
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

impl<D: 'static> StreamProducer<D> for Never {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: StoreContextMut<'a, D>,
        _: Destination<'a, u8, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        match finish {
            true => Poll::Ready(Ok(StreamResult::Cancelled)),
            false => Poll::Pending,
        }
    }
}

/// Lets everything that can go on do so.
pub(crate) async fn idle() {
    let mut turns = 0;
    poll_fn(|cx| {
        turns += 1;
        cx.waker().wake_by_ref();
        match turns < 50 {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    })
    .await
}
