//! Arguments, environment, and the end.

use crate::WasiPreview1Ctx;
use crate::ctx::Strings;
use crate::memory::Memory;
use crate::step::{Call, End, Step, Steps, others_turn};
use alloc::boxed::Box;
use wasi_cli::Exit;
use wasi_types::preview1::{Errno, Signal};

pub(crate) fn args_get(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    argv: u32,
    argv_buf: u32,
) -> Call {
    get(&ctx.arguments, memory, argv, argv_buf)
}

pub(crate) fn args_sizes_get(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    argc: u32,
    argv_buf_size: u32,
) -> Call {
    sizes_get(&ctx.arguments, memory, argc, argv_buf_size)
}

pub(crate) fn environ_get(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    environ: u32,
    environ_buf: u32,
) -> Call {
    get(&ctx.environment, memory, environ, environ_buf)
}

pub(crate) fn environ_sizes_get(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    environc: u32,
    environ_buf_size: u32,
) -> Call {
    sizes_get(&ctx.environment, memory, environc, environ_buf_size)
}

fn get(strings: &Strings, memory: &mut Memory<'_>, addresses: u32, buf: u32) -> Call {
    memory.array(addresses, strings.starts.len() as u32, 4, 4)?;
    memory.put(buf, &strings.bytes, 1)?;
    for (n, start) in (0..).zip(&strings.starts) {
        // Both are within the memory.
        memory.put_u32(addresses.wrapping_add(4 * n), buf.wrapping_add(*start))?;
    }
    Ok(())
}

fn sizes_get(strings: &Strings, memory: &mut Memory<'_>, count: u32, size: u32) -> Call {
    memory.place(size, 4, 4)?;
    memory.put_u32(count, strings.starts.len() as u32)?;
    let bytes = u32::try_from(strings.bytes.len()).map_err(|_| Errno::Overflow)?;
    Ok(memory.put_u32(size, bytes)?)
}

/// Of an exit code, the low byte, as POSIX has it; but one that says failure never becomes 0.
pub(crate) fn proc_exit(_: &mut WasiPreview1Ctx, _: &mut Memory<'_>, rval: u32) -> Call {
    let code = match rval.to_le_bytes() {
        [0, ..] if rval != 0 => u8::MAX,
        [low, ..] => low,
    };
    Err(End::Exit(Exit::new(code)).into())
}

pub(crate) fn proc_raise(_: &mut WasiPreview1Ctx, _: &mut Memory<'_>, sig: u32) -> Call {
    use Signal::{Chld, Cont, None, Pipe, Urg, Winch};
    match Signal::from_raw(sig).ok_or(Errno::Inval)? {
        // What the witx says is ignored, and what continues who runs anyway.
        None | Pipe | Chld | Cont | Urg | Winch => Ok(()),
        signal => Err(End::Raised(signal).into()),
    }
}

pub(crate) fn sched_yield(_: &mut WasiPreview1Ctx, _: &mut Memory<'_>) -> Steps {
    Step::wait(Box::pin(others_turn()), |_, _, ()| Ok(Step::Done))
}
