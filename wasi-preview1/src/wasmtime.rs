//! Linkers for wasmtime.

use crate::calls;
use crate::functions::{is_in, module_name, with_functions};
use crate::memory::Memory;
use crate::step::{Answer, End, Outcome, Wait, answer, outcome};
use crate::{Version, WasiPreview1Ctx};
use ::wasmtime::{Caller, Error, Extern, Linker, Result};
use alloc::boxed::Box;
use core::future::{self, Future, poll_fn};
use core::task::Poll;

/// What a store's state gives the functions.
pub trait WasiPreview1View: Send + 'static {
    /// The guest's context.
    fn preview1(&mut self) -> &mut WasiPreview1Ctx;

    /// The memory of the guest, where the store has one instance alone: it is then not looked
    /// up among the caller's exports, which costs some nanoseconds a call. The default has it
    /// looked up.
    fn memory(&self) -> Option<::wasmtime::Memory> {
        None
    }
}

/// Links the functions of `wasi_snapshot_preview1` and `wasi_unstable` for stores whose guests
/// are called by `Func::call`. One that waits blocks the thread, which must not be one that moves
/// the backends on: those for this machine wait on the tokio runtime that they were made in, and
/// there a guest is called in `spawn_blocking`.
///
/// A guest that exits ends with the error [`Exit`](wasi_cli::Exit), which `downcast_ref` finds;
/// other [`End`]s are errors as they are.
///
/// # Errors
/// One of the functions is in the linker already.
#[cfg(feature = "std")]
pub fn add_to_linker_sync<T: WasiPreview1View>(linker: &mut Linker<T>) -> Result<()> {
    link_sync(linker, Version::Preview1)?;
    link_sync(linker, Version::Preview0)
}

/// Links the functions of `wasi_snapshot_preview1` and `wasi_unstable` for stores whose guests
/// are called by `Func::call_async`, on any executor. Those that may wait
/// ([`Function::waits`](crate::Function)) are async, the others plain functions.
///
/// A guest that exits ends as with `add_to_linker_sync`.
///
/// # Errors
/// One of the functions is in the linker already.
pub fn add_to_linker_async<T: WasiPreview1View>(linker: &mut Linker<T>) -> Result<()> {
    link_async(linker, Version::Preview1)?;
    link_async(linker, Version::Preview0)
}

/// Calls one of the functions with the caller's memory.
macro_rules! call {
    ($caller:ident, $memory:ident, $version:ident, $name:ident($($arg:ident),*)) => {{
        let (bytes, data) = $memory.data_and_store_mut(&mut $caller);
        let memory = &mut Memory::new(bytes, $version);
        calls::$name(data.preview1(), memory $(, $arg)*)
    }};
}

macro_rules! link_plain {
    (ends $linker:ident, $version:ident, $name:ident($($arg:ident: $ty:ty),*)) => {
        $linker.func_wrap(
            module_name($version),
            stringify!($name),
            move |mut caller: Caller<'_, T> $(, $arg: $ty)*| -> Result<()> {
                let memory = exported_memory(&mut caller)?;
                returned(answer(call!(caller, memory, $version, $name($($arg),*)))).map(drop)
            },
        )?
    };
    (plain $linker:ident, $version:ident, $name:ident($($arg:ident: $ty:ty),*)) => {
        $linker.func_wrap(
            module_name($version),
            stringify!($name),
            move |mut caller: Caller<'_, T> $(, $arg: $ty)*| -> Result<u32> {
                let memory = exported_memory(&mut caller)?;
                returned(answer(call!(caller, memory, $version, $name($($arg),*))))
            },
        )?
    };
}

#[cfg(feature = "std")]
macro_rules! link_blocking {
    (waits $linker:ident, $version:ident, $name:ident($($arg:ident: $ty:ty),*)) => {
        $linker.func_wrap(
            module_name($version),
            stringify!($name),
            move |mut caller: Caller<'_, T> $(, $arg: $ty)*| -> Result<u32> {
                let memory = exported_memory(&mut caller)?;
                match outcome(call!(caller, memory, $version, $name($($arg),*))) {
                    Outcome::Done(answer) => returned(answer),
                    Outcome::Wait(wait) => {
                        pollster::block_on(waited(caller, memory, $version, wait))
                    }
                }
            },
        )?
    };
    ($($rest:tt)*) => {
        link_plain!($($rest)*)
    };
}

macro_rules! link_waiting {
    (waits $linker:ident, $version:ident, $name:ident($($arg:ident: $ty:ty),*)) => {
        $linker.func_wrap_async(
            module_name($version),
            stringify!($name),
            move |mut caller: Caller<'_, T>, ($($arg,)*): ($($ty,)*)| {
                // What is done is done before there is a future.
                let memory = match exported_memory(&mut caller) {
                    Ok(memory) => memory,
                    Err(error) => return ready(Err(error)),
                };
                match outcome(call!(caller, memory, $version, $name($($arg),*))) {
                    Outcome::Done(answer) => ready(returned(answer)),
                    Outcome::Wait(wait) => Box::new(waited(caller, memory, $version, wait)),
                }
            },
        )?
    };
    ($($rest:tt)*) => {
        link_plain!($($rest)*)
    };
}

macro_rules! link {
    (
        $(#[$meta:meta])* $link:ident, $how:ident;
        $($(#[$doc:meta])* $kind:ident $name:ident($($arg:ident: $ty:ty),*);)*
    ) => {
        $(#[$meta])*
        fn $link<T: WasiPreview1View>(linker: &mut Linker<T>, version: Version) -> Result<()> {
            $(if is_in(stringify!($name), version) {
                $how!($kind linker, version, $name($($arg: $ty),*));
            })*
            Ok(())
        }
    };
}

with_functions!(link! { #[cfg(feature = "std")] link_sync, link_blocking; });
with_functions!(link! { link_async, link_waiting; });

fn exported_memory<T: WasiPreview1View>(caller: &mut Caller<'_, T>) -> Result<::wasmtime::Memory> {
    if let Some(memory) = caller.data().memory() {
        return Ok(memory);
    }
    match caller.get_export("memory") {
        Some(Extern::Memory(memory)) => Ok(memory),
        _ => Err(Error::msg(
            "the module does not export its memory as `memory`, which WASI needs",
        )),
    }
}

/// What an async function gives that did not wait. Of success the future has no size, and is not
/// allocated.
fn ready<'a>(returned: Result<u32>) -> Box<dyn Future<Output = Result<u32>> + Send + 'a> {
    match returned {
        Ok(0) => Box::new(poll_fn(|_| Poll::Ready(Ok(0)))),
        returned => Box::new(future::ready(returned)),
    }
}

fn returned(answer: Answer) -> Result<u32> {
    match answer {
        Ok(errno) => Ok(errno.raw().into()),
        Err(End::Exit(exit)) => Err(exit.into()),
        Err(end) => Err(end.into()),
    }
}

async fn waited<T: WasiPreview1View>(
    mut caller: Caller<'_, T>,
    memory: ::wasmtime::Memory,
    version: Version,
    mut wait: Wait,
) -> Result<u32> {
    returned(
        poll_fn(|cx| {
            let (bytes, data) = memory.data_and_store_mut(&mut caller);
            wait.poll_in(cx, data.preview1(), &mut Memory::new(bytes, version))
        })
        .await,
    )
}
