use crate::guest::TimedOut;
use crate::limits::Limiter;
use crate::{Ctx, Limits};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU32, Ordering};
use wasi_cli::p2::{WasiCliCtxView, WasiCliView};
use wasi_clocks::p2::{WasiClocksCtxView, WasiClocksView};
use wasi_clocks::{Instant, Sleep, WasiClocksCtx};
use wasi_filesystem::p2::{WasiFilesystemCtxView, WasiFilesystemView};
use wasi_http::p2::{WasiHttpCtxView, WasiHttpView};
use wasi_http::websocket::Connection;
use wasi_http::websocket::p2::{WasiWebSocketCtxView, WasiWebSocketView};
use wasi_io::BoxFuture;
use wasi_io::p2::{WasiIoCtxView, WasiIoView};
use wasi_preview1::WasiPreview1Ctx;
use wasi_preview1::wasmtime::WasiPreview1View;
use wasi_random::WasiRandomCtx;
use wasi_random::p2::WasiRandomView;
use wasi_sockets::p2::{WasiSocketsCtxView, WasiSocketsView};
use wasi_types::Duration;
use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Memory, Store, UpdateDeadline};

/// All that the host holds for one instance. Dropping it closes and frees everything that
/// the guest had open.
pub struct HostState {
    table: ResourceTable,
    ctx: Ctx,
    /// Of a core module.
    preview1: Option<Box<WasiPreview1Ctx>>,
    memory: Option<Memory>,
    limiter: Limiter,
    deadline: Option<(Instant, TimedOut)>,
    interruptions: Arc<AtomicU32>,
}

impl HostState {
    /// The state of a guest that may do what `ctx` grants.
    pub fn new(ctx: Ctx) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(ctx.limits.handles_max());
        Self {
            table,
            limiter: Limiter::new(&ctx.limits),
            ctx,
            preview1: None,
            memory: None,
            deadline: None,
            interruptions: Arc::default(),
        }
    }

    /// The guest's limits.
    pub fn limits(&self) -> &Limits {
        &self.ctx.limits
    }

    /// The memory of the core module that has the store for itself.
    pub(crate) fn set_memory(&mut self, memory: Memory) {
        self.memory = Some(memory);
    }

    /// A store with this state and its limits. A guest that computes waits for what `turn`
    /// gives at each tick of the epoch.
    pub(crate) fn into_store(
        self,
        engine: &Engine,
        turn: impl Fn() -> BoxFuture<()> + Send + Sync + 'static,
    ) -> Store<Self> {
        let call_bytes = self.ctx.limits.call_bytes_max();
        let handles = self.ctx.limits.handles_max();
        let mut store = Store::new(engine, self);
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(call_bytes);
        // A handle that is lent to a call counts twice while that lasts.
        store.set_max_component_handles(handles.saturating_mul(2));
        // Without epochs in the engine this is never called.
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |store| {
            let state = store.data();
            match state.deadline {
                Some((deadline, timed_out)) if state.ctx.clocks.now() >= deadline => {
                    Err(timed_out.into())
                }
                _ => {
                    state.interruptions.fetch_add(1, Ordering::Relaxed);
                    Ok(UpdateDeadline::YieldCustom(1, turn()))
                }
            }
        });
        store
    }

    /// Starts the time of a run: the wait for its end, and the count of ticks that found it
    /// computing.
    pub(crate) fn begin(&mut self) -> (Option<(Sleep, TimedOut)>, Arc<AtomicU32>) {
        self.interruptions.store(0, Ordering::Relaxed);
        let sleep = self.ctx.limits.timeout_after().map(|timeout| {
            let timed_out = TimedOut(timeout / 1_000_000);
            let deadline = self.ctx.clocks.now().saturating_add(timeout);
            self.deadline = Some((deadline, timed_out));
            (self.ctx.clocks.sleep_until(deadline), timed_out)
        });
        (sleep, self.interruptions.clone())
    }

    /// Starts a run whose time others keep: the clocks for that, how long it is, and the count
    /// of ticks that found it computing.
    pub(crate) fn begin_untimed(&mut self) -> (WasiClocksCtx, Option<Duration>, Arc<AtomicU32>) {
        self.interruptions.store(0, Ordering::Relaxed);
        let timeout = self.ctx.limits.timeout_after();
        (self.ctx.clocks.clone(), timeout, self.interruptions.clone())
    }

    /// Closes the WebSockets of a guest that failed, with code 1011.
    pub(crate) fn fail_connections(&mut self) {
        for entry in self.table.iter_mut() {
            if let Some(connection) = entry.downcast_mut::<Connection>() {
                connection.fail();
            }
        }
    }
}

macro_rules! views {
    ($($view:ident { $method:ident } -> $ctx_view:ident;)*) => {$(
        impl $view for HostState {
            fn $method(&mut self) -> $ctx_view<'_> {
                $ctx_view {
                    ctx: &mut self.ctx.$method,
                    table: &mut self.table,
                }
            }
        }
    )*};
}

views! {
    WasiIoView { io } -> WasiIoCtxView;
    WasiClocksView { clocks } -> WasiClocksCtxView;
    WasiSocketsView { sockets } -> WasiSocketsCtxView;
    WasiCliView { cli } -> WasiCliCtxView;
    WasiHttpView { http } -> WasiHttpCtxView;
    WasiFilesystemView { filesystem } -> WasiFilesystemCtxView;
}

impl WasiWebSocketView for HostState {
    fn websocket(&mut self) -> WasiWebSocketCtxView<'_> {
        WasiWebSocketCtxView {
            ctx: &self.ctx.websocket,
            table: &mut self.table,
        }
    }
}

impl WasiRandomView for HostState {
    fn random(&mut self) -> &WasiRandomCtx {
        &self.ctx.random
    }
}

impl WasiPreview1View for HostState {
    fn preview1(&mut self) -> &mut WasiPreview1Ctx {
        let ctx = &mut self.ctx;
        self.preview1
            .get_or_insert_with(|| Box::new(ctx.preview1()))
    }

    fn memory(&self) -> Option<Memory> {
        self.memory
    }
}
