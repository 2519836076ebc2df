//! What is done with an open file as a whole.

use super::times;
use crate::WasiPreview1Ctx;
use crate::descriptor::{Kind, Stream};
use crate::memory::Memory;
use crate::step::{Step, Steps};
use core::task::ready;
use wasi_filesystem::Advice;
use wasi_types::preview1::{self, Errno, Filestat, Rights, Whence};

pub(crate) fn fd_advise(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    offset: u64,
    len: u64,
    advice: u32,
) -> Steps {
    let file = ctx.fds.get(fd)?.file(Rights::FD_ADVISE)?;
    let advice = match preview1::Advice::from_raw(advice).ok_or(Errno::Inval)? {
        preview1::Advice::Normal => Advice::Normal,
        preview1::Advice::Sequential => Advice::Sequential,
        preview1::Advice::Random => Advice::Random,
        preview1::Advice::Willneed => Advice::WillNeed,
        preview1::Advice::Dontneed => Advice::DontNeed,
        preview1::Advice::Noreuse => Advice::NoReuse,
    };
    let op = file.open.advise(offset, len, advice);
    Step::done(ctx, memory, op)
}

pub(crate) fn fd_allocate(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    offset: u64,
    len: u64,
) -> Steps {
    let op = ctx.fds.get(fd)?.file(Rights::FD_ALLOCATE)?;
    let op = op.open.allocate(offset, len);
    Step::done(ctx, memory, op)
}

pub(crate) fn fd_sync(ctx: &mut WasiPreview1Ctx, memory: &mut Memory<'_>, fd: u32) -> Steps {
    let descriptor = ctx.fds.get(fd)?;
    descriptor.may(Rights::FD_SYNC)?;
    let op = match &descriptor.kind {
        Kind::File(file) => file.open.sync(),
        Kind::Directory(directory) => directory.open.sync(),
        Kind::Stream(_) | Kind::Listener(_) => return flush(ctx, memory, fd),
    };
    Step::done(ctx, memory, op)
}

pub(crate) fn fd_datasync(ctx: &mut WasiPreview1Ctx, memory: &mut Memory<'_>, fd: u32) -> Steps {
    let descriptor = ctx.fds.get(fd)?;
    descriptor.may(Rights::FD_DATASYNC)?;
    let op = match &descriptor.kind {
        Kind::File(file) => file.open.sync_data(),
        Kind::Directory(directory) => directory.open.sync_data(),
        Kind::Stream(_) | Kind::Listener(_) => return flush(ctx, memory, fd),
    };
    Step::done(ctx, memory, op)
}

fn flush(ctx: &mut WasiPreview1Ctx, memory: &mut Memory<'_>, fd: u32) -> Steps {
    let mut begun = false;
    Step::poll(ctx, memory, move |cx, ctx, _| {
        let Kind::Stream(Stream::Output { stream, .. }) = &mut ctx.fds.get_mut(fd)?.kind else {
            return Err(Errno::Inval.into()).into();
        };
        let errno = |error: &_| Errno::from(error);
        if !core::mem::replace(&mut begun, true) {
            stream.flush().map_err(|error| errno(&error))?;
        }
        ready!(stream.poll_flushed(cx)).map_err(|error| errno(&error))?;
        Ok(Step::Done).into()
    })
}

pub(crate) fn fd_filestat_get(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    stat: u32,
) -> Steps {
    let descriptor = ctx.fds.get(fd)?;
    descriptor.may(Rights::FD_FILESTAT_GET)?;
    let op = match &descriptor.kind {
        Kind::File(file) => file.open.stat(),
        Kind::Directory(directory) => directory.open.stat(),
        Kind::Stream(_) | Kind::Listener(_) => {
            put_filestat(memory, stat, &Filestat::of_type(descriptor.filetype()))?;
            return Ok(Step::Done);
        }
    };
    Step::after(ctx, memory, op, move |_, memory, known| {
        put_filestat(memory, stat, &(&known).into())?;
        Ok(Step::Done)
    })
}

pub(super) fn put_filestat(
    memory: &mut Memory<'_>,
    at: u32,
    filestat: &Filestat,
) -> Result<(), crate::Trap> {
    let size = Filestat::size_of(memory.version);
    let record = filestat.to_bytes(memory.version);
    memory.put(at, &record[..size], 8)
}

pub(crate) fn fd_filestat_set_size(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    size: u64,
) -> Steps {
    let file = match ctx.fds.get(fd)?.file(Rights::FD_FILESTAT_SET_SIZE) {
        Err(Errno::Spipe) => return Err(Errno::Inval.into()),
        file => file?,
    };
    let op = file.open.set_size(size);
    Step::done(ctx, memory, op)
}

pub(crate) fn fd_filestat_set_times(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    atim: u64,
    mtim: u64,
    fst_flags: u32,
) -> Steps {
    let descriptor = ctx.fds.get(fd)?;
    let (access, modification) = times(atim, mtim, fst_flags)?;
    descriptor.may(Rights::FD_FILESTAT_SET_TIMES)?;
    let op = match &descriptor.kind {
        Kind::File(file) => file.open.set_times(access, modification),
        Kind::Directory(directory) => directory.open.set_times(access, modification),
        Kind::Stream(_) | Kind::Listener(_) => return Err(Errno::Notsup.into()),
    };
    Step::done(ctx, memory, op)
}

/// The last offset that a file can have.
const OFFSET_MAX: u64 = i64::MAX as u64;

pub(crate) fn fd_seek(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    offset: i64,
    whence: u32,
    newoffset: u32,
) -> Steps {
    let descriptor = ctx.fds.get(fd)?;
    let file = descriptor.file(Rights::empty())?;
    let whence = Whence::from_raw(whence, memory.version).ok_or(Errno::Inval)?;
    match (whence, offset) {
        // Nothing moves.
        (Whence::Cur, 0) if descriptor.base.contains(Rights::FD_TELL) => {}
        _ => descriptor.may(Rights::FD_SEEK)?,
    }
    let from = match whence {
        Whence::Set => 0,
        Whence::Cur => file.position,
        Whence::End => {
            let op = file.open.stat();
            return Step::after(ctx, memory, op, move |ctx, memory, stat| {
                seek(ctx, memory, fd, stat.size, offset, newoffset)
            });
        }
    };
    seek(ctx, memory, fd, from, offset, newoffset)
}

fn seek(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    from: u64,
    offset: i64,
    newoffset: u32,
) -> Steps {
    let position = match from.checked_add_signed(offset) {
        Some(position) if position <= OFFSET_MAX => position,
        _ if offset < 0 => return Err(Errno::Inval.into()),
        _ => return Err(Errno::Overflow.into()),
    };
    memory.put_u64(newoffset, position)?;
    if let Kind::File(file) = &mut ctx.fds.get_mut(fd)?.kind {
        file.position = position;
    }
    Ok(Step::Done)
}
