//! Reading and writing: files by offset, and what bytes go through in order.

use super::flags;
use crate::WasiPreview1Ctx;
use crate::descriptor::{Kind, Stream};
use crate::memory::{BATCH_BYTES, Batch, Iovecs, Memory};
use crate::step::{Error, Step, Steps, others_turn};
use alloc::boxed::Box;
use core::task::Poll;
use wasi_io::Op;
use wasi_types::preview1::{Errno, FdFlags, RiFlags, Rights};

pub(crate) fn fd_read(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    nread: u32,
) -> Steps {
    let descriptor = ctx.fds.get(fd)?;
    match &descriptor.kind {
        Kind::File(file) => {
            descriptor.may(Rights::FD_READ)?;
            let transfer =
                FileTransfer::new(memory, fd, Some(file.position), iovs, iovs_len, nread)?;
            transfer.moving().read(ctx, memory)
        }
        Kind::Stream(Stream::Output { .. }) => Err(Errno::Badf.into()),
        Kind::Stream(_) => {
            descriptor.may(Rights::FD_READ)?;
            StreamTransfer::new(memory, fd, iovs, iovs_len, nread)?.receive(ctx, memory, false)
        }
        Kind::Directory(_) => Err(Errno::Isdir.into()),
        Kind::Listener(_) => Err(Errno::Notconn.into()),
    }
}

pub(crate) fn fd_pread(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    nread: u32,
) -> Steps {
    ctx.fds.get(fd)?.file(Rights::FD_READ | Rights::FD_SEEK)?;
    FileTransfer::new(memory, fd, Some(offset), iovs, iovs_len, nread)?.read(ctx, memory)
}

pub(crate) fn fd_write(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    nwritten: u32,
) -> Steps {
    let descriptor = ctx.fds.get(fd)?;
    match &descriptor.kind {
        Kind::File(file) => {
            descriptor.may(Rights::FD_WRITE)?;
            let appends = descriptor.flags.contains(FdFlags::APPEND);
            let offset = (!appends).then_some(file.position);
            let transfer = FileTransfer::new(memory, fd, offset, iovs, iovs_len, nwritten)?;
            transfer.moving().write(ctx, memory)
        }
        Kind::Stream(Stream::Input { .. }) => Err(Errno::Badf.into()),
        Kind::Stream(_) => {
            descriptor.may(Rights::FD_WRITE)?;
            StreamTransfer::new(memory, fd, iovs, iovs_len, nwritten)?.send(ctx, memory)
        }
        Kind::Directory(_) => Err(Errno::Isdir.into()),
        Kind::Listener(_) => Err(Errno::Notconn.into()),
    }
}

pub(crate) fn fd_pwrite(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    iovs: u32,
    iovs_len: u32,
    offset: u64,
    nwritten: u32,
) -> Steps {
    let descriptor = ctx.fds.get(fd)?;
    descriptor.file(Rights::FD_WRITE | Rights::FD_SEEK)?;
    let appends = descriptor.flags.contains(FdFlags::APPEND);
    let offset = (!appends).then_some(offset);
    FileTransfer::new(memory, fd, offset, iovs, iovs_len, nwritten)?.write(ctx, memory)
}

/// A read or write of a file under way.
#[derive(Clone, Copy)]
struct FileTransfer {
    fd: u32,
    /// Where it began; `None` is the end of the file, wherever that is.
    offset: Option<u64>,
    /// The descriptor's position is what comes after.
    moves: bool,
    iovecs: Iovecs,
    done: u32,
    /// What was done when others last had a turn.
    turn: u32,
    /// Where the guest wants the number of bytes.
    result: u32,
}

impl FileTransfer {
    fn new(
        memory: &Memory<'_>,
        fd: u32,
        offset: Option<u64>,
        iovs: u32,
        iovs_len: u32,
        result: u32,
    ) -> Result<Self, Error> {
        memory.place(result, 4, 4)?;
        Ok(Self {
            fd,
            offset,
            moves: false,
            iovecs: memory.iovecs(iovs, iovs_len)?,
            done: 0,
            turn: 0,
            result,
        })
    }

    fn moving(mut self) -> Self {
        self.moves = true;
        self
    }

    /// Where it goes on.
    fn at(&self) -> u64 {
        self.offset.unwrap_or(0).saturating_add(self.done.into())
    }

    fn read(mut self, ctx: &mut WasiPreview1Ctx, memory: &mut Memory<'_>) -> Steps {
        loop {
            let Some(batch) = self.iovecs.batch(memory)? else {
                return self.finish(ctx, memory);
            };
            let file = ctx.fds.get(self.fd)?.file(Rights::empty())?;
            let read = memory.with_mut(&batch, |bufs| file.open.read_vectored_at(self.at(), bufs));
            match read? {
                Op::Ready(Ok(0)) => return self.finish(ctx, memory),
                Op::Ready(Ok(n)) => {
                    self.moved(memory, n)?;
                    if self.is_turn_over() {
                        let turn = Box::pin(others_turn());
                        return Step::wait(turn, move |ctx, memory, ()| self.read(ctx, memory));
                    }
                }
                Op::Ready(Err(code)) => return self.fail(ctx, memory, code.into()),
                Op::Pending(future) => {
                    return Step::wait(future, move |ctx, memory, bytes| match bytes {
                        Ok(bytes) if bytes.is_empty() => self.finish(ctx, memory),
                        Ok(bytes) => {
                            let n = scatter(memory, &batch, &bytes)?;
                            self.moved(memory, n)?;
                            self.read(ctx, memory)
                        }
                        Err(code) => self.fail(ctx, memory, code.into()),
                    });
                }
            }
        }
    }

    fn write(mut self, ctx: &mut WasiPreview1Ctx, memory: &mut Memory<'_>) -> Steps {
        loop {
            let Some(batch) = self.iovecs.batch(memory)? else {
                return self.finish(ctx, memory);
            };
            let file = ctx.fds.get(self.fd)?.file(Rights::empty())?;
            let written = memory.with(&batch, |bufs| match self.offset {
                Some(_) => file.open.write_vectored(bufs, self.at()),
                None => file.open.append_vectored(bufs),
            });
            match written? {
                Op::Ready(Ok(0)) => return self.finish(ctx, memory),
                Op::Ready(Ok(n)) => {
                    self.moved(memory, n)?;
                    if self.is_turn_over() {
                        let turn = Box::pin(others_turn());
                        return Step::wait(turn, move |ctx, memory, ()| self.write(ctx, memory));
                    }
                }
                Op::Ready(Err(code)) => return self.fail(ctx, memory, code.into()),
                Op::Pending(future) => {
                    return Step::wait(future, move |ctx, memory, written| match written {
                        Ok(0) => self.finish(ctx, memory),
                        Ok(n) => {
                            self.moved(memory, n)?;
                            self.write(ctx, memory)
                        }
                        Err(code) => self.fail(ctx, memory, code.into()),
                    });
                }
            }
        }
    }

    fn moved(&mut self, memory: &Memory<'_>, n: usize) -> Result<(), Error> {
        // No backend moves more than it was given, which fits.
        let n = n as u32;
        self.done = self.done.saturating_add(n);
        Ok(self.iovecs.advance(memory, n)?)
    }

    /// Whether so much was moved without waiting that others are to have a turn.
    fn is_turn_over(&mut self) -> bool {
        let over = self.done - self.turn >= BATCH_BYTES;
        if over {
            self.turn = self.done;
        }
        over
    }

    /// It failed: what was moved before counts, and the next call meets the error.
    fn fail(self, ctx: &mut WasiPreview1Ctx, memory: &mut Memory<'_>, errno: Errno) -> Steps {
        match self.done {
            0 => Err(errno.into()),
            _ => self.finish(ctx, memory),
        }
    }

    fn finish(self, ctx: &mut WasiPreview1Ctx, memory: &mut Memory<'_>) -> Steps {
        memory.put_u32(self.result, self.done)?;
        if !self.moves || self.done == 0 {
            return Ok(Step::Done);
        }
        let Kind::File(file) = &mut ctx.fds.get_mut(self.fd)?.kind else {
            return Ok(Step::Done);
        };
        if self.offset.is_some() {
            file.position = self.at();
            return Ok(Step::Done);
        }
        // What was appended is at the end; and is there, also where that can't be told.
        let op = file.open.stat().map(|stat| Ok::<_, Errno>(stat.ok()));
        Step::after(ctx, memory, op, move |ctx, _, stat| {
            if let (Kind::File(file), Some(stat)) = (&mut ctx.fds.get_mut(self.fd)?.kind, stat) {
                file.position = stat.size;
            }
            Ok(Step::Done)
        })
    }
}

/// Copies `bytes` into the buffers of `batch`, and says how many had room.
fn scatter(memory: &mut Memory<'_>, batch: &Batch, bytes: &[u8]) -> Result<usize, Error> {
    Ok(memory.with_mut(batch, |bufs| {
        let mut rest = bytes;
        for buf in bufs {
            let n = buf.len().min(rest.len());
            let (now, later) = rest.split_at(n);
            buf[..n].copy_from_slice(now);
            rest = later;
        }
        bytes.len() - rest.len()
    })?)
}

/// A read or write of a stream under way.
struct StreamTransfer {
    fd: u32,
    iovecs: Iovecs,
    done: u32,
    result: u32,
    /// Where the guest wants the flags of what was received. There are none, but they may lie
    /// over the records of the buffers.
    flags: Option<u32>,
}

impl StreamTransfer {
    fn new(
        memory: &Memory<'_>,
        fd: u32,
        iovs: u32,
        iovs_len: u32,
        result: u32,
    ) -> Result<Self, Error> {
        memory.place(result, 4, 4)?;
        Ok(Self {
            fd,
            iovecs: memory.iovecs(iovs, iovs_len)?,
            done: 0,
            result,
            flags: None,
        })
    }

    /// Reads what is there, at least a byte; or, where it `waits_for_all`, until the buffers
    /// are full.
    fn receive(
        mut self,
        ctx: &mut WasiPreview1Ctx,
        memory: &mut Memory<'_>,
        waits_for_all: bool,
    ) -> Steps {
        Step::poll(ctx, memory, move |cx, ctx, memory| {
            loop {
                let Some((at, len)) = self.iovecs.first(memory)? else {
                    return self.finish(memory);
                };
                let (stream, nonblock) = stream(ctx, self.fd)?;
                match stream.poll_read(cx, memory.slice_mut(at, len)?) {
                    Poll::Ready(Ok(0)) => return self.finish(memory),
                    Poll::Ready(Ok(n)) => {
                        self.moved(memory, n)?;
                        // There may be no more.
                        if n < len as usize && !waits_for_all {
                            return self.finish(memory);
                        }
                    }
                    Poll::Ready(Err(errno)) => return self.fail(memory, errno),
                    Poll::Pending if nonblock => return self.fail(memory, Errno::Again),
                    Poll::Pending if self.done > 0 && !waits_for_all => return self.finish(memory),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
    }

    fn send(mut self, ctx: &mut WasiPreview1Ctx, memory: &mut Memory<'_>) -> Steps {
        Step::poll(ctx, memory, move |cx, ctx, memory| {
            loop {
                let Some((at, len)) = self.iovecs.first(memory)? else {
                    return self.finish(memory);
                };
                let (stream, nonblock) = stream(ctx, self.fd)?;
                match stream.poll_write(cx, memory.slice(at, len)?) {
                    Poll::Ready(Ok(n)) => self.moved(memory, n)?,
                    Poll::Ready(Err(errno)) => return self.fail(memory, errno),
                    Poll::Pending if nonblock => return self.fail(memory, Errno::Again),
                    Poll::Pending => return Poll::Pending,
                }
            }
        })
    }

    fn moved(&mut self, memory: &Memory<'_>, n: usize) -> Result<(), Error> {
        self.done = self.done.saturating_add(n as u32);
        Ok(self.iovecs.advance(memory, n as u32)?)
    }

    fn fail(&self, memory: &mut Memory<'_>, errno: Errno) -> Poll<Steps> {
        match self.done {
            0 => Poll::Ready(Err(errno.into())),
            _ => self.finish(memory),
        }
    }

    fn finish(&self, memory: &mut Memory<'_>) -> Poll<Steps> {
        memory.put_u32(self.result, self.done)?;
        if let Some(flags) = self.flags {
            memory.put(flags, &[0, 0], 2)?;
        }
        Poll::Ready(Ok(Step::Done))
    }
}

fn stream(ctx: &mut WasiPreview1Ctx, fd: u32) -> Result<(&mut Stream, bool), Errno> {
    let descriptor = ctx.fds.get_mut(fd)?;
    let nonblock = descriptor.nonblock();
    match &mut descriptor.kind {
        Kind::Stream(stream) => Ok((stream, nonblock)),
        _ => Err(Errno::Badf),
    }
}

/// The most bytes that are looked at and kept.
const PEEK_MAX: usize = 64 << 10;

#[allow(clippy::too_many_arguments, reason = "the ABI's")]
pub(crate) fn sock_recv(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    ri_data: u32,
    ri_data_len: u32,
    ri_flags: u32,
    ro_datalen: u32,
    ro_flags: u32,
) -> Steps {
    ctx.fds.get_mut(fd)?.connected(Rights::FD_READ)?;
    let flags = flags!(RiFlags, ri_flags)?;
    let mut transfer = StreamTransfer::new(memory, fd, ri_data, ri_data_len, ro_datalen)?;
    memory.place(ro_flags, 2, 2)?;
    transfer.flags = Some(ro_flags);
    let waits_for_all = flags.contains(RiFlags::RECV_WAITALL);
    if !flags.contains(RiFlags::RECV_PEEK) {
        return transfer.receive(ctx, memory, waits_for_all);
    }
    let wanted = transfer.iovecs.total(memory)?.min(PEEK_MAX);
    Step::poll(ctx, memory, move |cx, ctx, memory| {
        let descriptor = ctx.fds.get_mut(fd)?;
        let nonblock = descriptor.nonblock();
        let connection = descriptor.connected(Rights::empty())?;
        loop {
            let there = connection.peeked.len();
            if there >= wanted {
                break;
            }
            match connection.poll_peek(cx, wanted) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => break,
                Poll::Ready(Err(_)) if there > 0 => break,
                Poll::Ready(Err(errno)) => return Poll::Ready(Err(errno.into())),
                Poll::Pending if there > 0 && (nonblock || !waits_for_all) => break,
                Poll::Pending if nonblock => return Poll::Ready(Err(Errno::Again.into())),
                Poll::Pending => return Poll::Pending,
            }
        }
        let mut rest = &connection.peeked[..connection.peeked.len().min(wanted)];
        while let Some((at, len)) = transfer.iovecs.first(memory)? {
            let n = rest.len().min(len as usize);
            if n == 0 {
                break;
            }
            memory.put(at, &rest[..n], 1)?;
            rest = &rest[n..];
            transfer.moved(memory, n)?;
        }
        transfer.finish(memory)
    })
}

pub(crate) fn sock_send(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    si_data: u32,
    si_data_len: u32,
    si_flags: u32,
    so_datalen: u32,
) -> Steps {
    ctx.fds.get_mut(fd)?.connected(Rights::FD_WRITE)?;
    if si_flags != 0 {
        return Err(Errno::Inval.into());
    }
    StreamTransfer::new(memory, fd, si_data, si_data_len, so_datalen)?.send(ctx, memory)
}
