//! Clocks and random numbers.

use crate::WasiPreview1Ctx;
use crate::memory::Memory;
use crate::step::Call;
use wasi_types::preview1::{ClockId, Errno};

pub(crate) fn clock_res_get(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    id: u32,
    resolution: u32,
) -> Call {
    let nanoseconds = match ClockId::from_raw(id) {
        Some(ClockId::Realtime) => ctx.clocks.wall_resolution().to_timestamp(),
        Some(ClockId::Monotonic) => ctx.clocks.resolution(),
        _ => return Err(Errno::Inval.into()),
    };
    Ok(memory.put_u64(resolution, nanoseconds.max(1))?)
}

pub(crate) fn clock_time_get(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    id: u32,
    _precision: u64,
    time: u32,
) -> Call {
    let nanoseconds = match ClockId::from_raw(id) {
        Some(ClockId::Realtime) => ctx.clocks.wall_now().to_timestamp(),
        Some(ClockId::Monotonic) => ctx.clocks.now(),
        _ => return Err(Errno::Inval.into()),
    };
    Ok(memory.put_u64(time, nanoseconds)?)
}

pub(crate) fn random_get(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    buf: u32,
    buf_len: u32,
) -> Call {
    let buf = memory.slice_mut(buf, buf_len)?;
    let filled = ctx.random.fill(buf);
    if filled.is_err() {
        // What is there now may be known to others.
        buf.fill(0);
    }
    Ok(filled.map_err(|_| Errno::Io)?)
}
