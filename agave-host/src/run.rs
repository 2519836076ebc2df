//! Programs that run and end (`wasi:cli/run@0.2`).

use crate::guest::{TimedOut, causes, limited, yield_now};
use crate::program::RUN;
use crate::{Ctx, HostState, LoadError, Program};
use wasi_cli::Exit;
use wasmtime::component::TypedFunc;

/// Why a run has no exit code.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// [`LoadError::NoExport`]: the program has no `wasi:cli/run@0.2`.
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
    /// Runs the program (`wasi:cli/run.run`) in an instance of its own that may do what `ctx`
    /// grants, and gives what it exits with: 0 or 1 for what `run` returns, or for `exit`; any
    /// code for `exit-with-code`.
    ///
    /// Any executor will do, and the guest runs on the task that polls. Before the future is
    /// ready, all that the guest held is freed; so it is when the future is dropped, which ends
    /// the guest. What the guest wrote may still be on its way: who lent it a standard stream
    /// that writes by itself waits for that.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn run(&self, ctx: Ctx) -> Result<Exit, RunError> {
        let run = self.export(RUN, "run")?;
        let mut store = HostState::new(ctx).into_store(self.pre.engine(), yield_now);
        let (sleep, _) = store.data_mut().begin();
        let result = async {
            let instance = self.pre.instantiate_async(&mut store).await?;
            let run: TypedFunc<(), (Result<(), ()>,)> = instance.get_typed_func(&mut store, run)?;
            let (status,) = run.call_async(&mut store, ()).await?;
            Ok(Exit::from_status(status))
        };
        match limited(result, sleep).await {
            Ok(exit) => Ok(exit),
            Err(error) => match error.downcast_ref::<Exit>() {
                Some(exit) => Ok(*exit),
                None => Err(RunError::Failed(error)),
            },
        }
    }
}
