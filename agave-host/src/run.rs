//! Programs that run and end (`wasi:cli/run`, and `_start` of WASI 0.1).

use crate::guest::{TimedOut, causes, limited, yield_now};
use crate::program::{Found, Pre, RUN, START, find};
use crate::{Ctx, HostState, LoadError, Program};
#[cfg(feature = "p3")]
use core::future::poll_fn;
use wasi_cli::Exit;
use wasmtime::component::TypedFunc;
use wasmtime::{Extern, Store};

type Run = TypedFunc<(), (Result<(), ()>,)>;

/// Why a run has no exit code.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// [`LoadError::NoExport`]: the program has neither `wasi:cli/run` nor, as a core
    /// module, a function `_start`.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The guest trapped, ran out of a limit or of time, or could not be started within its
    /// limits. With wasmtime's feature `backtrace` the error has a `wasmtime::WasmBacktrace`
    /// where the guest's code was running.
    #[error("the guest failed: {}", causes(.0))]
    Failed(wasmtime::Error),
}

impl RunError {
    /// Whether the guest ended because its time was up.
    pub fn is_timeout(&self) -> bool {
        matches!(self, Self::Failed(error) if error.is::<TimedOut>())
    }
}

impl Program {
    /// Runs the program (`wasi:cli/run.run`, or `_start` of a core module) in an instance of its
    /// own that may do what `ctx` grants, and gives what it exits with: 0 or 1 for what `run`
    /// returns, or for `exit`; any code for `exit-with-code` and `proc_exit`; 0 where `_start`
    /// returns.
    ///
    /// Any executor will do, and the guest runs on the task that polls. Before the future is
    /// ready, all that the guest held is freed; so it is when the future is dropped, which ends
    /// the guest. What the guest wrote may still be on its way: who lent it a standard stream
    /// that writes by itself waits for that.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn run(&self, ctx: Ctx) -> Result<Exit, RunError> {
        let state = HostState::new(ctx);
        match &self.pre {
            Pre::Component(pre) => {
                let found = find(pre, RUN)?;
                let mut store = state.into_store(pre.engine(), yield_now);
                let (sleep, _) = store.data_mut().begin();
                let run = async {
                    let instance = pre.instantiate_async(&mut store).await?;
                    let (status,) = match found {
                        Found::P2(run) => {
                            let run: Run = instance.get_typed_func(&mut store, run)?;
                            run.call_async(&mut store, ()).await?
                        }
                        #[cfg(feature = "p3")]
                        Found::P3(run) => {
                            let run: Run = instance.get_typed_func(&mut store, run)?;
                            store
                                .run_concurrent(async |accessor| {
                                    let status = run.call_concurrent(accessor, ()).await?;
                                    // What it began may go on when it has returned.
                                    poll_fn(|cx| accessor.poll_no_interesting_tasks(cx)).await;
                                    Ok::<_, wasmtime::Error>(status)
                                })
                                .await??
                        }
                    };
                    Ok(Exit::from_status(status))
                };
                let ended = exit(limited(run, sleep).await);
                if ended.is_err() {
                    store.data_mut().fail_connections();
                }
                ended
            }
            Pre::Module(pre) => {
                if !self.is_command() {
                    return Err(LoadError::NoExport(START).into());
                }
                let mut store = state.into_store(pre.module().engine(), yield_now);
                let (sleep, _) = store.data_mut().begin();
                exit(limited(start(pre, &mut store), sleep).await)
            }
        }
    }
}

async fn start(
    pre: &wasmtime::InstancePre<HostState>,
    store: &mut Store<HostState>,
) -> wasmtime::Result<Exit> {
    let instance = pre.instantiate_async(&mut *store).await?;
    // It has the store to itself.
    if let Some(Extern::Memory(memory)) = instance.get_export(&mut *store, "memory") {
        store.data_mut().set_memory(memory);
    }
    let start = instance.get_typed_func::<(), ()>(&mut *store, START)?;
    start.call_async(store, ()).await?;
    Ok(Exit::from_status(Ok(())))
}

/// A guest that exits ends with an error that is none.
fn exit(result: wasmtime::Result<Exit>) -> Result<Exit, RunError> {
    result.or_else(|error| match error.downcast_ref::<Exit>() {
        Some(exit) => Ok(*exit),
        None => Err(RunError::Failed(error)),
    })
}
