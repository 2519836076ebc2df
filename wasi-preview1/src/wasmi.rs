//! A linker for wasmi, and the way to call a guest that may wait.
//!
//! wasmi has no stack to leave a guest on while it waits. A function that waits therefore
//! leaves the guest through an error, which only [`call`] can take up: it waits, and has wasmi
//! go on where the guest was. So
//! - a guest is called by [`call`]. By `Func::call` it runs as well, until it waits: then it
//!   ends with an error that says so;
//! - a module's start function, which wasmi runs as it instantiates, can't wait. (This is not
//!   the export `_start`, which is called like any other.)
//! - neither can a guest that a host function calls;
//! - nor a function that is called by a tail call: wasmi 2.0 puts its result to the wrong
//!   place. [`add_to_linker`] wants an engine without them.

use crate::calls;
use crate::functions::{functions, is_in, module_name, with_functions};
use crate::memory::Memory;
use crate::step::{Answer, End, Outcome, Wait, answer, others_turn, outcome};
use crate::{Version, WasiPreview1Ctx};
use ::wasmi::errors::HostError;
use ::wasmi::{
    AsContext, AsContextMut, Caller, Error, Func, Linker, Module, ResumableCall, TrapCode, Val,
    ValType,
};
use core::fmt;
use core::future::poll_fn;
use wasi_io::sync::Mutex;

/// What a store's state gives the functions.
pub trait WasiPreview1View {
    /// The guest's context.
    fn preview1(&mut self) -> &mut WasiPreview1Ctx;

    /// Says how much fuel a guest that has used up its own gets in [`call`], which then lets
    /// others have a turn before it goes on; it is asked again where that is not enough. `None`
    /// ends the guest with [`TrapCode::OutOfFuel`], which is the default.
    ///
    /// This is how a guest that computes is interrupted: without fuel
    /// (`Config::consume_fuel`) it runs until it waits or is done, and [`call`] does not return
    /// before. With slices of it, [`call`] can be dropped between two. This needs
    /// [`CompilationMode::Eager`](::wasmi::CompilationMode::Eager): a function that is compiled
    /// when it is first called uses fuel for that, and wasmi can't go on where there is too
    /// little.
    fn out_of_fuel(&mut self) -> Option<u64> {
        None
    }

    /// Whether the guest has had its turn, which is asked after each function that did not wait:
    /// these take time, and no fuel. The guest then goes on as one that has used up its fuel. The
    /// default is that it has not.
    fn is_turn_over(&mut self) -> bool {
        false
    }
}

/// Links the functions of `wasi_snapshot_preview1` and `wasi_unstable`, for guests that are
/// called by [`call`].
///
/// A guest that exits or breaks a rule ends with the error [`End`], which wasmi's
/// `Error::downcast_ref` finds: [`End::Exit`] is what `proc_exit` asks for.
///
/// # Errors
/// - One of the functions is in the linker already.
/// - The engine allows tail calls: its `Config` needs `wasm_tail_call(false)`.
pub fn add_to_linker<T: WasiPreview1View + 'static>(linker: &mut Linker<T>) -> Result<(), Error> {
    if Module::validate(linker.engine(), TAIL_CALL).is_ok() {
        return Err(Error::new(
            "wasmi can't resume a tail call that waits: its `Config` needs `wasm_tail_call(false)`",
        ));
    }
    link(linker, Version::Preview1)?;
    link(linker, Version::Preview0)
}

/// A module with a tail call: `(module (func return_call 0))`. Nothing else tells whether an
/// engine has them.
const TAIL_CALL: &[u8] =
    b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x06\x01\x04\0\x12\0\x0b";

/// Calls a function of a guest, as `Func::call` does, on any executor: while the guest waits,
/// so does this.
///
/// Dropping it ends the call where it is; what it waited for is given up.
///
/// # Errors
/// - As with `Func::call`.
/// - [`End`], as with [`add_to_linker`].
/// - [`TrapCode::OutOfFuel`]: the guest has used up its fuel, and
///   [`WasiPreview1View::out_of_fuel`] gives no more.
pub async fn call<C>(
    mut ctx: C,
    func: &Func,
    inputs: &[Val],
    outputs: &mut [Val],
) -> Result<(), Error>
where
    C: AsContextMut<Data: WasiPreview1View>,
{
    let mut call = func.call_resumable(&mut ctx, inputs, outputs)?;
    loop {
        call = match call {
            ResumableCall::Finished => return Ok(()),
            ResumableCall::HostTrap(trap) => {
                let Some(left) = Left::take(trap.host_error()) else {
                    return Err(trap.into_host_error());
                };
                if !left.is_of(&trap.host_func(), &ctx) {
                    return Err(trap.into_host_error());
                }
                let errno = left.wait(&mut ctx).await?;
                trap.resume(&mut ctx, &[Val::from(errno)], outputs)?
            }
            ResumableCall::OutOfFuel(pause) => {
                refuel(&mut ctx, pause.required_fuel()).await?;
                pause.resume(&mut ctx, outputs)?
            }
        };
    }
}

/// A function that waits, and has left its guest for that.
struct Left {
    name: &'static str,
    version: Version,
    memory: ::wasmi::Memory,
    wait: Wait,
}

impl Left {
    fn take(error: &Error) -> Option<Self> {
        error.downcast_ref::<Waits>()?.0.lock().take()
    }

    /// Whether `func` can be the function. It is another where a host function called the
    /// guest, and hands its error on: that can't be gone on with.
    fn is_of(&self, func: &Func, ctx: impl AsContext) -> bool {
        let ty = func.ty(ctx);
        functions(self.version)
            .filter(|function| function.name == self.name)
            .any(|function| {
                let params = function.params.iter().map(|param| match param.is_64_bits {
                    true => ValType::I64,
                    false => ValType::I32,
                });
                params.eq(ty.params().iter().copied()) && ty.results() == [ValType::I32]
            })
    }

    async fn wait<C>(self, ctx: &mut C) -> Result<i32, Error>
    where
        C: AsContextMut<Data: WasiPreview1View>,
    {
        let Self {
            version,
            memory,
            mut wait,
            ..
        } = self;
        let answer = poll_fn(|cx| {
            let (bytes, data) = memory.data_and_store_mut(ctx.as_context_mut());
            wait.poll_in(cx, data.preview1(), &mut Memory::new(bytes, version))
        });
        returned(answer.await).map(u32::cast_signed)
    }
}

/// The error by which a function that waits leaves its guest.
struct Waits(Mutex<Option<Left>>);

impl HostError for Waits {}

impl fmt::Display for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the guest waits where it can't be left: it has to be called by \
             `wasi_preview1::wasmi::call`, and not by a host function, nor as a start function",
        )
    }
}

impl fmt::Debug for Waits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl HostError for End {}

/// Asks for fuel until there is `required`.
async fn refuel<C>(ctx: &mut C, required: u64) -> Result<(), Error>
where
    C: AsContextMut<Data: WasiPreview1View>,
{
    while ctx.as_context().get_fuel()? < required {
        {
            let mut ctx = ctx.as_context_mut();
            let more = ctx.data_mut().out_of_fuel().ok_or(TrapCode::OutOfFuel)?;
            let fuel = ctx.get_fuel()?.saturating_add(more);
            ctx.set_fuel(fuel)?;
        }
        others_turn().await;
    }
    Ok(())
}

/// Calls one of the functions with the caller's memory.
macro_rules! call {
    ($caller:ident, $memory:ident, $version:ident, $name:ident($($arg:ident),*)) => {{
        let (bytes, data) = $memory.data_and_store_mut(&mut $caller);
        let memory = &mut Memory::new(bytes, $version);
        calls::$name(data.preview1(), memory $(, $arg)*)
    }};
}

macro_rules! link_one {
    (ends $linker:ident, $version:ident, $name:ident($($arg:ident: $ty:ty),*)) => {
        $linker.func_wrap(
            module_name($version),
            stringify!($name),
            move |mut caller: Caller<'_, T> $(, $arg: $ty)*| -> Result<(), Error> {
                let memory = exported_memory(&caller)?;
                returned(answer(call!(caller, memory, $version, $name($($arg),*)))).map(drop)
            },
        )?
    };
    (plain $linker:ident, $version:ident, $name:ident($($arg:ident: $ty:ty),*)) => {
        $linker.func_wrap(
            module_name($version),
            stringify!($name),
            move |mut caller: Caller<'_, T> $(, $arg: $ty)*| -> Result<u32, Error> {
                let memory = exported_memory(&caller)?;
                let answer = answer(call!(caller, memory, $version, $name($($arg),*)));
                end_turn(&mut caller);
                returned(answer)
            },
        )?
    };
    (waits $linker:ident, $version:ident, $name:ident($($arg:ident: $ty:ty),*)) => {
        $linker.func_wrap(
            module_name($version),
            stringify!($name),
            move |mut caller: Caller<'_, T> $(, $arg: $ty)*| -> Result<u32, Error> {
                let memory = exported_memory(&caller)?;
                match outcome(call!(caller, memory, $version, $name($($arg),*))) {
                    Outcome::Done(answer) => {
                        end_turn(&mut caller);
                        returned(answer)
                    }
                    Outcome::Wait(wait) => Err(Error::host(Waits(Mutex::new(Some(Left {
                        name: stringify!($name),
                        version: $version,
                        memory,
                        wait,
                    }))))),
                }
            },
        )?
    };
}

macro_rules! link {
    ($($(#[$doc:meta])* $kind:ident $name:ident($($arg:ident: $ty:ty),*);)*) => {
        fn link<T: WasiPreview1View + 'static>(
            linker: &mut Linker<T>,
            version: Version,
        ) -> Result<(), Error> {
            $(if is_in(stringify!($name), version) {
                link_one!($kind linker, version, $name($($arg: $ty),*));
            })*
            Ok(())
        }
    };
}

with_functions!(link! {});

fn exported_memory<T>(caller: &Caller<'_, T>) -> Result<::wasmi::Memory, Error> {
    caller
        .get_export("memory")
        .and_then(::wasmi::Extern::into_memory)
        .ok_or_else(|| {
            Error::new("the module does not export its memory as `memory`, which WASI needs")
        })
}

/// Takes the guest's fuel where its turn is over.
fn end_turn<T: WasiPreview1View>(caller: &mut Caller<'_, T>) {
    if caller.data_mut().is_turn_over() {
        // An engine without fuel has no turns.
        let _ = caller.set_fuel(0);
    }
}

fn returned(answer: Answer) -> Result<u32, Error> {
    match answer {
        Ok(errno) => Ok(errno.raw().into()),
        Err(end) => Err(Error::host(end)),
    }
}
