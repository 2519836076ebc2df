//! What only sockets do.

use super::{fdflags, flags};
use crate::WasiPreview1Ctx;
use crate::descriptor::Descriptor;
use crate::memory::Memory;
use crate::step::{Call, Step, Steps};
use core::task::Poll;
use wasi_sockets::{ErrorCode, Shutdown};
use wasi_types::preview1::{Errno, FdFlags, Rights, SdFlags};

pub(crate) fn sock_accept(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    flags: u32,
    new_fd: u32,
) -> Steps {
    ctx.fds.get_mut(fd)?.listening(Rights::SOCK_ACCEPT)?;
    let flags = fdflags(flags)?;
    if !FdFlags::NONBLOCK.contains(flags) {
        return Err(Errno::Inval.into());
    }
    memory.place(new_fd, 4, 4)?;
    Step::poll(ctx, memory, move |cx, ctx, memory| {
        // Before a connection is taken that would be lost.
        ctx.fds.room()?;
        let descriptor = ctx.fds.get_mut(fd)?;
        let (nonblock, inheriting) = (descriptor.nonblock(), descriptor.inheriting);
        let listener = descriptor.listening(Rights::empty())?;
        let accepted = match listener.next.take() {
            Some(stream) => stream,
            None => match listener.listener.poll_accept(cx) {
                Poll::Ready(accepted) => accepted?,
                Poll::Pending if nonblock => return Poll::Ready(Err(Errno::Again.into())),
                Poll::Pending => return Poll::Pending,
            },
        };
        let mut connection = Descriptor::connection(accepted);
        connection.base &= inheriting;
        connection.flags = flags;
        let fd = ctx.fds.insert(connection)?;
        memory.put_u32(new_fd, fd)?;
        Poll::Ready(Ok(Step::Done))
    })
}

pub(crate) fn sock_shutdown(
    ctx: &mut WasiPreview1Ctx,
    _: &mut Memory<'_>,
    fd: u32,
    how: u32,
) -> Call {
    let connection = ctx.fds.get_mut(fd)?.connected(Rights::SOCK_SHUTDOWN)?;
    let how = flags!(SdFlags, how)?;
    if how.is_empty() {
        return Err(Errno::Inval.into());
    }
    // The backend is called once a direction.
    let receive = how.contains(SdFlags::RD) && !connection.receive_closed;
    let send = how.contains(SdFlags::WR) && !connection.send_closed;
    let shutdown = match (receive, send) {
        (true, true) => Shutdown::Both,
        (true, false) => Shutdown::Receive,
        (false, true) => Shutdown::Send,
        (false, false) => return Ok(()),
    };
    match connection.stream.shutdown(shutdown) {
        Err(ErrorCode::InvalidState) => return Err(Errno::Notconn.into()),
        done => done?,
    }
    connection.receive_closed |= receive;
    connection.send_closed |= send;
    if receive {
        connection.peeked.clear();
    }
    Ok(())
}
