use crate::common::{Failure, Subject};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Runtime};
use wasmtime::{Engine, Extern, Func, Instance, Linker, Memory, Module, Store, Val};

/// How the guest is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// By `Func::call`, outside of any runtime.
    Sync,
    /// By `Func::call_async`, as a task on a runtime of one thread.
    Async,
}

/// The module `guest.wat` in a store.
pub(crate) struct Guest<T: 'static> {
    /// Where it is called asynchronously.
    runtime: Option<Runtime>,
    state: Option<State<T>>,
}

/// What goes with a call to where it runs, and comes back.
struct State<T: 'static> {
    store: Store<T>,
    instance: Instance,
}

impl<T: Send + 'static> Guest<T> {
    /// An instance in a store with `data`, where all that `linker` lacks is what no WASI has.
    pub(crate) fn new(
        mode: Mode,
        runtime: Runtime,
        engine: &Engine,
        mut linker: Linker<T>,
        data: T,
        set_memory: impl FnOnce(&mut T, Memory),
    ) -> Result<Self, Failure> {
        let module = Module::new(engine, wat::parse_str(include_str!("guest.wat"))?)?;
        let mut store = Store::new(engine, data);
        let (instance, runtime) = match mode {
            Mode::Sync => {
                linker.func_wrap("bench", "nothing", || 0_u32)?;
                // Nobody else has to have a turn.
                store.set_epoch_deadline(u64::MAX / 2);
                (linker.instantiate(&mut store, &module)?, None)
            }
            Mode::Async => {
                linker.func_wrap_async("bench", "nothing", |_, ()| Box::new(async { 0_u32 }))?;
                store.epoch_deadline_async_yield_and_update(1);
                let instance = linker.instantiate_async(&mut store, &module);
                (runtime.block_on(instance)?, Some(runtime))
            }
        };
        if let Some(Extern::Memory(memory)) = instance.get_export(&mut store, "memory") {
            set_memory(store.data_mut(), memory);
        }
        let state = Some(State { store, instance });
        Ok(Self { runtime, state })
    }
}

/// A runtime of one thread.
pub(crate) fn runtime() -> Result<Runtime, Failure> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

impl<T> State<T> {
    fn export(&mut self, function: &str) -> Result<Func, Failure> {
        let function = self.instance.get_func(&mut self.store, function);
        Ok(function.ok_or("no such export")?)
    }
}

impl<T: Send + 'static> Subject for Guest<T> {
    fn call(&mut self, function: &str, parameters: &[u64]) -> Result<(u64, Duration), Failure> {
        let parameters = parameters.iter().map(|parameter| *parameter as i64);
        let parameters: Vec<Val> = parameters.map(Val::I64).collect();
        let mut state = self.state.take().ok_or("the guest trapped before")?;
        let export = state.export(function)?;
        let mut given = [Val::I64(0)];
        let (state, given, took) = match &self.runtime {
            None => {
                let start = Instant::now();
                export.call(&mut state.store, &parameters, &mut given)?;
                (state, given, start.elapsed())
            }
            Some(runtime) => {
                // A task, as a request is.
                let call = runtime.spawn(async move {
                    let start = Instant::now();
                    let call = export.call_async(&mut state.store, &parameters, &mut given);
                    call.await.map(|()| (state, given, start.elapsed()))
                });
                runtime.block_on(call)??
            }
        };
        self.state = Some(state);
        match given {
            [Val::I64(given)] => Ok((given as u64, took)),
            _ => Err("the export gives no i64".into()),
        }
    }
}
