//! Drives the functions of WASI 0.3 from the host, as a guest would.

use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::{Context, Poll};
use futures_channel::oneshot;
use pollster::block_on;
use std::sync::{Arc, Mutex};
use wasi_filesystem::p3::bindings::wasi::filesystem::types::{
    DescriptorFlags, DirectoryEntry, ErrorCode, HostDescriptor as _, HostDescriptorWithStore as _,
    OpenFlags, PathFlags,
};
use wasi_filesystem::p3::{WasiFilesystem, WasiFilesystemCtxView, WasiFilesystemView};
use wasi_filesystem::{Descriptor, WasiFilesystemCtx};
use wasmtime::component::{
    Access, Accessor, Destination, FutureConsumer, FutureReader, Resource, ResourceTable, Source,
    StreamConsumer, StreamProducer, StreamReader, StreamResult, VecBuffer,
};
use wasmtime::{AsContextMut, Engine, Result, Store, StoreContextMut};

pub(crate) struct State {
    filesystem: WasiFilesystemCtx,
    table: ResourceTable,
}

impl WasiFilesystemView for State {
    fn filesystem(&mut self) -> WasiFilesystemCtxView<'_> {
        WasiFilesystemCtxView {
            ctx: &mut self.filesystem,
            table: &mut self.table,
        }
    }
}

pub(crate) fn engine() -> Engine {
    Engine::default()
}

/// The same handle once more, as a guest borrows it.
pub(crate) fn borrow(fd: &Resource<Descriptor>) -> Resource<Descriptor> {
    Resource::new_borrow(fd.rep())
}

/// A code, which can be compared.
#[derive(Clone, Debug)]
pub(crate) struct Code(pub(crate) ErrorCode);

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        core::mem::discriminant(&self.0) == core::mem::discriminant(&other.0)
    }
}

pub(crate) type Answer<T> = core::result::Result<T, Code>;

pub(crate) type End = Answer<()>;

/// What a guest has and does.
pub(crate) struct Guest {
    store: Store<State>,
    root: u32,
}

impl Guest {
    pub(crate) fn new(filesystem: WasiFilesystemCtx) -> Self {
        let table = ResourceTable::new();
        let mut state = State { filesystem, table };
        let (root, _) = state.filesystem.get_directories().remove(0);
        let root = state.table.push(root).unwrap().rep();
        let store = Store::new(&engine(), state);
        Self { store, root }
    }

    pub(crate) fn into_state(self) -> State {
        self.store.into_data()
    }

    pub(crate) fn run<R>(&mut self, guest: impl AsyncFnOnce(Fs) -> R) -> R {
        let root = self.root;
        let run = self.store.run_concurrent(async |accessor| {
            let accessor = accessor.with_getter::<WasiFilesystem>(State::filesystem);
            guest(Fs { accessor, root }).await
        });
        block_on(run).unwrap()
    }
}

pub(crate) struct Fs {
    accessor: Accessor<State, WasiFilesystem>,
    root: u32,
}

/// A stream that is being read.
pub(crate) struct Reading {
    pub(crate) bytes: Arc<Mutex<Vec<u8>>>,
    steps: Arc<Mutex<Vec<usize>>>,
    pub(crate) end: oneshot::Receiver<End>,
}

impl Reading {
    /// How many bytes came at a time.
    pub(crate) fn steps(&self) -> Vec<usize> {
        self.steps.lock().unwrap().clone()
    }
}

impl Fs {
    pub(crate) fn accessor(&self) -> &Accessor<State, WasiFilesystem> {
        &self.accessor
    }

    pub(crate) async fn open(
        &self,
        path: &str,
        open_flags: OpenFlags,
        flags: DescriptorFlags,
    ) -> Answer<Resource<Descriptor>> {
        let (root, path) = (Resource::new_borrow(self.root), path.into());
        let none = PathFlags::empty();
        WasiFilesystem::open_at(&self.accessor, root, none, path, open_flags, flags)
            .await
            .unwrap()
            .map_err(Code)
    }

    pub(crate) fn close(&self, fd: Resource<Descriptor>) {
        self.accessor
            .with(|mut access| access.get().drop(fd))
            .unwrap();
    }

    /// Reads to the end.
    pub(crate) async fn read(&self, fd: &Resource<Descriptor>, offset: u64) -> (Vec<u8>, End) {
        let reading = self.read_begin(fd, offset);
        let end = reading.end.await.unwrap();
        let bytes = reading.bytes.lock().unwrap().clone();
        (bytes, end)
    }

    pub(crate) fn read_begin(&self, fd: &Resource<Descriptor>, offset: u64) -> Reading {
        self.read_up_to(fd, offset, usize::MAX)
    }

    /// Reads until there are `max` bytes or more, and drops the stream.
    pub(crate) fn read_some(
        &self,
        fd: &Resource<Descriptor>,
        offset: u64,
        max: usize,
    ) -> impl Future<Output = (Vec<u8>, End)> + Unpin + use<> {
        let reading = self.read_up_to(fd, offset, max);
        Box::pin(async move {
            let end = reading.end.await.unwrap();
            let bytes = reading.bytes.lock().unwrap().clone();
            (bytes, end)
        })
    }

    fn read_up_to(&self, fd: &Resource<Descriptor>, offset: u64, max: usize) -> Reading {
        let (bytes, steps) = (Arc::default(), Arc::default());
        let collect = Collect {
            bytes: Arc::clone(&bytes),
            steps: Arc::clone(&steps),
            max,
        };
        let end = self.accessor.with(|mut access| {
            let fs = Access::<_, WasiFilesystem>::new(access.as_context_mut(), State::filesystem);
            let (stream, end) = WasiFilesystem::read_via_stream(fs, borrow(fd), offset).unwrap();
            stream.pipe(&mut access, collect).unwrap();
            told(&mut access, end)
        });
        Reading { bytes, steps, end }
    }

    /// Writes `data` from `position` on, or to the end.
    pub(crate) async fn write(
        &self,
        fd: &Resource<Descriptor>,
        data: Vec<u8>,
        position: Option<u64>,
    ) -> End {
        self.write_begin(fd, fed(vec![data]).0, position)
            .await
            .unwrap()
    }

    pub(crate) fn write_begin(
        &self,
        fd: &Resource<Descriptor>,
        data: Feed,
        position: Option<u64>,
    ) -> oneshot::Receiver<End> {
        self.accessor.with(|mut access| {
            let data = StreamReader::new(&mut access, data).unwrap();
            let fs = Access::<_, WasiFilesystem>::new(access.as_context_mut(), State::filesystem);
            let end = match position {
                Some(offset) => WasiFilesystem::write_via_stream(fs, borrow(fd), data, offset),
                None => WasiFilesystem::append_via_stream(fs, borrow(fd), data),
            };
            told(&mut access, end.unwrap())
        })
    }

    /// The names in the directory.
    pub(crate) async fn list(&self, fd: &Resource<Descriptor>) -> (Vec<String>, End) {
        self.list_begin(fd).await
    }

    /// Begins to list the directory now.
    pub(crate) fn list_begin(
        &self,
        fd: &Resource<Descriptor>,
    ) -> impl Future<Output = (Vec<String>, End)> + use<> {
        let names = Arc::<Mutex<Vec<String>>>::default();
        let end = self.accessor.with(|mut access| {
            let fs = Access::<_, WasiFilesystem>::new(access.as_context_mut(), State::filesystem);
            let (stream, end) = WasiFilesystem::read_directory(fs, borrow(fd)).unwrap();
            stream
                .pipe(&mut access, CollectNames(names.clone()))
                .unwrap();
            told(&mut access, end)
        });
        async move {
            let end = end.await.unwrap();
            let names = core::mem::take(&mut *names.lock().unwrap());
            (names, end)
        }
    }
}

/// What `future` gives, later.
fn told(
    store: impl AsContextMut,
    future: FutureReader<core::result::Result<(), ErrorCode>>,
) -> oneshot::Receiver<End> {
    let (sender, receiver) = oneshot::channel();
    future.pipe(store, Tell(Some(sender))).unwrap();
    receiver
}

struct Tell(Option<oneshot::Sender<End>>);

impl<D> FutureConsumer<D> for Tell {
    type Item = core::result::Result<(), ErrorCode>;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        mut source: Source<'_, Self::Item>,
        _: bool,
    ) -> Poll<Result<()>> {
        let mut end = None;
        source.read(store, &mut end)?;
        let _ = self.0.take().unwrap().send(end.unwrap().map_err(Code));
        Poll::Ready(Ok(()))
    }
}

/// Reads a stream until there are `max` bytes or more.
struct Collect {
    bytes: Arc<Mutex<Vec<u8>>>,
    steps: Arc<Mutex<Vec<usize>>>,
    max: usize,
}

impl<D: 'static> StreamConsumer<D> for Collect {
    type Item = u8;

    fn poll_consume(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        let mut source = source.as_direct(store);
        let n = source.remaining().len();
        let mut bytes = self.bytes.lock().unwrap();
        bytes.extend_from_slice(source.remaining());
        self.steps.lock().unwrap().push(n);
        source.mark_read(n);
        Poll::Ready(Ok(match bytes.len() < self.max {
            true => StreamResult::Completed,
            false => StreamResult::Dropped,
        }))
    }
}

struct CollectNames(Arc<Mutex<Vec<String>>>);

impl<D: 'static> StreamConsumer<D> for CollectNames {
    type Item = DirectoryEntry;

    fn poll_consume(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<'_, D>,
        mut source: Source<'_, DirectoryEntry>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        let mut entries = Vec::with_capacity(source.remaining(&mut store));
        source.read(store, &mut entries)?;
        let names = entries.into_iter().map(|entry: DirectoryEntry| entry.name);
        self.0.lock().unwrap().extend(names);
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// Gives `pieces`, one each time that it is asked, and ends.
pub(crate) fn fed(pieces: Vec<Vec<u8>>) -> (Feed, Fed) {
    let given = Arc::default();
    let feed = Feed {
        pieces: pieces.into_iter(),
        given: Arc::clone(&given),
    };
    (feed, Fed(given))
}

pub(crate) struct Feed {
    pieces: std::vec::IntoIter<Vec<u8>>,
    given: Arc<Mutex<usize>>,
}

/// What is known of a [`Feed`].
pub(crate) struct Fed(Arc<Mutex<usize>>);

impl Fed {
    /// How many pieces it has given.
    pub(crate) fn given(&self) -> usize {
        *self.0.lock().unwrap()
    }

    pub(crate) fn is_dropped(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }
}

impl<D: 'static> StreamProducer<D> for Feed {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: StoreContextMut<'a, D>,
        mut destination: Destination<'a, u8, Self::Buffer>,
        _: bool,
    ) -> Poll<Result<StreamResult>> {
        let Some(piece) = self.pieces.next() else {
            return Poll::Ready(Ok(StreamResult::Dropped));
        };
        *self.given.lock().unwrap() += 1;
        destination.set_buffer(piece.into());
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// `future`, with `between` done each time that it has to be waited for.
pub(crate) async fn with_turns<F: Future + Unpin>(
    mut future: F,
    mut between: impl FnMut(),
) -> F::Output {
    poll_fn(|cx| {
        let poll = Pin::new(&mut future).poll(cx);
        if poll.is_pending() {
            between();
            cx.waker().wake_by_ref();
        }
        poll
    })
    .await
}

/// Lets everything that can go on do so, which `future` can't.
pub(crate) async fn idle<F: Future + Unpin>(future: &mut F)
where
    F::Output: core::fmt::Debug,
{
    let mut turns = 0;
    poll_fn(|cx| {
        if let Poll::Ready(output) = Pin::new(&mut *future).poll(cx) {
            panic!("it is done: {output:?}");
        }
        turns += 1;
        cx.waker().wake_by_ref();
        match turns < 20 {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    })
    .await
}
