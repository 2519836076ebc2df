use super::{Failure, Subject};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use wasmtime::Store;
use wasmtime::component::{Component, Instance, Linker, Val};

/// What the guests export: functions of numbers that give one.
const EXPORTS: [&str; 3] = [
    "agave:bench/files",
    "agave:bench/sockets",
    "agave:bench-p3/streams",
];

/// The guest in a store, and the runtime that its calls run on.
pub(crate) struct Guest<T: 'static> {
    runtime: Runtime,
    state: Option<State<T>>,
}

/// What goes with a call to where it runs, and comes back.
struct State<T: 'static> {
    store: Store<T>,
    instance: Instance,
}

impl<T: Send + 'static> Guest<T> {
    /// An instance of the component in `bytes`.
    pub(crate) fn new(
        runtime: Runtime,
        linker: &Linker<T>,
        bytes: &[u8],
        mut store: Store<T>,
    ) -> Result<Self, Failure> {
        let component = Component::from_binary(linker.engine(), bytes)?;
        let instance = runtime.block_on(linker.instantiate_async(&mut store, &component))?;
        let state = Some(State { store, instance });
        Ok(Self { runtime, state })
    }
}

impl<T: Send> State<T> {
    async fn call(
        &mut self,
        function: &str,
        parameters: &[Val],
    ) -> wasmtime::Result<(u64, Duration)> {
        let store = &mut self.store;
        let mut exports = EXPORTS.into_iter();
        let function = exports.find_map(|interface| {
            let interface = self
                .instance
                .get_export_index(&mut *store, None, interface)?;
            let index = self
                .instance
                .get_export_index(&mut *store, Some(&interface), function)?;
            self.instance.get_func(&mut *store, index)
        });
        let function = function.ok_or_else(|| wasmtime::format_err!("no such export"))?;
        let mut given = [Val::U64(0)];
        let start = Instant::now();
        function
            .call_async(&mut *store, parameters, &mut given)
            .await?;
        let took = start.elapsed();
        match given {
            [Val::U64(given)] => Ok((given, took)),
            _ => wasmtime::bail!("the export gives no u64"),
        }
    }
}

impl<T: Send + 'static> Subject for Guest<T> {
    fn call(&mut self, function: &str, parameters: &[u64]) -> Result<(u64, Duration), Failure> {
        let parameters: Vec<Val> = parameters.iter().copied().map(Val::U64).collect();
        let function = function.to_owned();
        let mut state = self.state.take().ok_or("the guest trapped before")?;
        // A task, as a request is: on a runtime with threads of its own it runs on those.
        let call = self.runtime.spawn(async move {
            let called = state.call(&function, &parameters).await;
            (state, called)
        });
        let (state, called) = self.runtime.block_on(call)?;
        let called = called?;
        self.state = Some(state);
        Ok(called)
    }
}
