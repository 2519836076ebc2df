//! A guest that does to a stream what a test tells it to, and the host's end of its outcome.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use wasi_io::p3::OutcomeReader;
use wasi_io::{DynOutputStream, InputStream, OutputStream, StreamError};
use wasmtime::component::{
    Component, ComponentNamedList, FutureConsumer, Instance, Lift, Linker, Lower, Source,
    StreamReader,
};
use wasmtime::{AsContextMut, Config, Engine, Result, Store, StoreContextMut};

/// What a failure is told as: 1 where the stream was closed, 2 where it failed.
pub(crate) fn code(error: StreamError) -> u32 {
    match error {
        StreamError::Closed => 1,
        StreamError::LastOperationFailed(_) => 2,
    }
}

/// How the guest's read or write has ended, and how many bytes were moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Status {
    Blocked,
    Completed(u32),
    Dropped(u32),
    Cancelled(u32),
}

impl From<u32> for Status {
    fn from(code: u32) -> Self {
        match (code, code & 15) {
            (u32::MAX, _) => Self::Blocked,
            (_, 0) => Self::Completed(code >> 4),
            (_, 1) => Self::Dropped(code >> 4),
            (_, 2) => Self::Cancelled(code >> 4),
            _ => panic!("{code:#x} is no status"),
        }
    }
}

/// What is told of a stream: nothing yet, or how it has ended.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Option<Result<(), u32>>>>);

impl Told {
    pub(crate) fn get(&self) -> Option<Result<(), u32>> {
        self.0.lock().unwrap().take()
    }
}

impl FutureConsumer<()> for Told {
    type Item = Result<(), u32>;

    fn poll_consume(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, ()>,
        mut source: Source<'_, Self::Item>,
        _: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut told = None;
        source.read(store, &mut told)?;
        *self.0.lock().unwrap() = told;
        Poll::Ready(Ok(()))
    }
}

pub(crate) struct Guest {
    pub(crate) store: Store<()>,
    instance: Instance,
}

impl Guest {
    pub(crate) fn new() -> Self {
        let mut config = Config::new();
        // To give up a read or write without waiting for that.
        config.wasm_component_model_more_async_builtins(true);
        let engine = Engine::new(&config).unwrap();
        let bytes = wat::parse_str(include_str!("guest.wat")).unwrap();
        let component = Component::new(&engine, bytes).unwrap();
        let mut store = Store::new(&engine, ());
        let linker = Linker::new(&engine);
        let instance = linker.instantiate_async(&mut store, &component);
        let instance = pollster::block_on(instance).unwrap();
        Self { store, instance }
    }

    /// A guest that reads `input`.
    pub(crate) fn reading(input: impl InputStream) -> (Self, OutcomeReader<u32>) {
        let mut guest = Self::new();
        let input = wasi_io::DynInputStream::new(input);
        let (data, outcome) = wasi_io::p3::read_via_stream(&mut guest.store, input, code).unwrap();
        guest.call::<_, ()>("take", (data,));
        (guest, outcome)
    }

    /// A guest that writes "0123456789" to `output`, as much of it as it is told each time.
    pub(crate) fn writing(output: impl OutputStream) -> (Self, OutcomeReader<u32>) {
        let mut guest = Self::new();
        let (data,) = guest.call::<_, (StreamReader<u8>,)>("make", ());
        for (at, byte) in (0_u32..).zip(b'0'..=b'9') {
            guest.call::<_, ()>("put", (at, byte));
        }
        let output = DynOutputStream::new(output);
        let outcome = wasi_io::p3::write_via_stream(&mut guest.store, data, output, code).unwrap();
        (guest, outcome)
    }

    /// Lets everything go on that can, for a while.
    pub(crate) fn settle(&mut self) {
        let mut turns = 0..50;
        let waited = self.store.run_concurrent(async |_| {
            poll_fn(|cx| match turns.next() {
                Some(_) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                None => Poll::Ready(()),
            })
            .await;
        });
        pollster::block_on(waited).unwrap();
    }

    /// Reads the outcome, now and from then on.
    pub(crate) fn told(&mut self, outcome: OutcomeReader<u32>) -> Told {
        let told = Told::default();
        outcome.pipe(&mut self.store, told.clone()).unwrap();
        self.settle();
        told
    }

    pub(crate) fn call<P, R>(&mut self, name: &str, params: P) -> R
    where
        P: ComponentNamedList + Lower + 'static,
        R: ComponentNamedList + Lift + Send + Sync + 'static,
    {
        let function = self.instance.get_typed_func::<P, R>(&mut self.store, name);
        let called = function.unwrap();
        let called = called.call_async(self.store.as_context_mut(), params);
        pollster::block_on(called).unwrap()
    }

    pub(crate) fn read(&mut self, len: u32) -> Status {
        self.call::<_, (u32,)>("read", (len,)).0.into()
    }

    pub(crate) fn write(&mut self, len: u32) -> Status {
        self.call::<_, (u32,)>("write", (len,)).0.into()
    }

    pub(crate) fn cancel_read(&mut self) -> Status {
        match self.call::<_, (u32,)>("cancel-read", ()).0.into() {
            Status::Blocked => self.ended(),
            status => status,
        }
    }

    pub(crate) fn cancel_write(&mut self) -> Status {
        match self.call::<_, (u32,)>("cancel-write", ()).0.into() {
            Status::Blocked => self.ended(),
            status => status,
        }
    }

    /// How what was blocked has ended.
    pub(crate) fn ended(&mut self) -> Status {
        self.settle();
        self.call::<_, (u32,)>("ended", ()).0.into()
    }

    pub(crate) fn drop_readable(&mut self) {
        self.call::<_, ()>("drop-readable", ());
    }

    pub(crate) fn drop_writable(&mut self) {
        self.call::<_, ()>("drop-writable", ());
    }

    /// The first `len` bytes of what was read last.
    pub(crate) fn bytes(&mut self, len: u32) -> Vec<u8> {
        (0..len)
            .map(|at| self.call::<_, (u8,)>("get", (at,)).0)
            .collect()
    }
}
