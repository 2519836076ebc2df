//! What a function comes to: an errno, the end of the guest, or a wait.

use crate::WasiPreview1Ctx;
use crate::memory::{GuestMemory, Memory};
use alloc::boxed::Box;
use core::fmt;
use core::future::{Future, poll_fn};
use core::task::{Context, Poll, Waker, ready};
use wasi_cli::Exit;
use wasi_error::{filesystem, sockets};
use wasi_io::{BoxFuture, Op};
use wasi_types::preview1::{Errno, Signal};

/// A pointer that a guest must not give.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trap {
    /// It leads outside of the memory, and would be dereferenced.
    #[error("the guest's pointer {at:#x} to {len} bytes leads out of its memory of {size} bytes")]
    OutOfBounds {
        /// The pointer.
        at: u32,
        /// The bytes that would be read or written there.
        len: u64,
        /// The bytes that the memory has.
        size: u64,
    },
    /// It does not have the alignment of what it points to.
    #[error("the guest's pointer {at:#x} is no multiple of {align}")]
    Misaligned {
        /// The pointer.
        at: u32,
        /// The alignment.
        align: u32,
    },
}

/// Why a guest ends in a call, and must not run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum End {
    /// It asked to (`proc_exit`).
    #[error(transparent)]
    Exit(#[from] Exit),
    /// It raised a signal that terminates or stops a process (`proc_raise`).
    #[error("the guest raised the signal {0:?}")]
    Raised(Signal),
    /// It broke a rule of the ABI that makes the function trap.
    #[error(transparent)]
    Trap(#[from] Trap),
}

/// What a function answers: the guest gets the errno, or ends.
pub type Answer = Result<Errno, End>;

/// What a function that may wait comes to.
#[derive(Debug)]
#[must_use = "a wait is to be polled, and an answer given to the guest"]
pub enum Outcome {
    /// It is done.
    Done(Answer),
    /// It waits for something.
    Wait(Wait),
}

/// Why a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Error {
    Errno(Errno),
    End(End),
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl From<End> for Error {
    fn from(end: End) -> Self {
        Self::End(end)
    }
}

impl From<Trap> for Error {
    fn from(trap: Trap) -> Self {
        Self::End(trap.into())
    }
}

impl From<filesystem::ErrorCode> for Error {
    fn from(code: filesystem::ErrorCode) -> Self {
        Self::Errno(code.into())
    }
}

impl From<sockets::ErrorCode> for Error {
    fn from(code: sockets::ErrorCode) -> Self {
        Self::Errno(code.into())
    }
}

/// A call that can't wait.
pub(crate) type Call = Result<(), Error>;

/// A call that may wait.
pub(crate) type Steps = Result<Step, Error>;

pub(crate) enum Step {
    Done,
    Wait(Wait),
}

pub(crate) fn answer(call: Call) -> Answer {
    match call {
        Ok(()) => Ok(Errno::Success),
        Err(Error::Errno(errno)) => Ok(errno),
        Err(Error::End(end)) => Err(end),
    }
}

pub(crate) fn outcome(steps: Steps) -> Outcome {
    match steps {
        Ok(Step::Wait(wait)) => Outcome::Wait(wait),
        Ok(Step::Done) => Outcome::Done(Ok(Errno::Success)),
        Err(error) => Outcome::Done(answer(Err(error))),
    }
}

type Resume =
    Box<dyn FnMut(&mut Context<'_>, &mut WasiPreview1Ctx, &mut Memory<'_>) -> Poll<Steps> + Send>;

/// A call that waits: it is polled with the context and the memory that it was made with until
/// it is done. Dropping it gives up what can be given up; a write that began goes on.
pub struct Wait(Resume);

impl Wait {
    /// Goes on as far as is possible now. Pending, the waker of `cx` is woken when more is.
    pub fn poll<M: GuestMemory + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        ctx: &mut WasiPreview1Ctx,
        memory: &mut M,
    ) -> Poll<Answer> {
        self.poll_in(cx, ctx, &mut Memory::of(memory))
    }

    pub(crate) fn poll_in(
        &mut self,
        cx: &mut Context<'_>,
        ctx: &mut WasiPreview1Ctx,
        memory: &mut Memory<'_>,
    ) -> Poll<Answer> {
        loop {
            match (self.0)(cx, ctx, memory) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(Step::Wait(next))) => *self = next,
                Poll::Ready(Ok(Step::Done)) => return Poll::Ready(answer(Ok(()))),
                Poll::Ready(Err(error)) => return Poll::Ready(answer(Err(error))),
            }
        }
    }
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wait")
    }
}

/// Ready when it is polled again, which is at once, and behind all others that are ready.
pub(crate) fn others_turn() -> impl Future<Output = ()> + Send + 'static {
    let mut had_turn = false;
    poll_fn(move |cx| {
        if core::mem::replace(&mut had_turn, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
}

impl Step {
    /// Calls `poll` until it is ready. It is called once at once, with nobody to wake; what it
    /// has done by then it keeps.
    pub(crate) fn poll(
        ctx: &mut WasiPreview1Ctx,
        memory: &mut Memory<'_>,
        mut poll: impl FnMut(&mut Context<'_>, &mut WasiPreview1Ctx, &mut Memory<'_>) -> Poll<Steps>
        + Send
        + 'static,
    ) -> Steps {
        let mut cx = Context::from_waker(Waker::noop());
        match poll(&mut cx, ctx, memory) {
            Poll::Ready(steps) => steps,
            Poll::Pending => Ok(Self::Wait(Wait(Box::new(poll)))),
        }
    }

    /// Does `then` with what `op` gives, and fails where it does.
    pub(crate) fn after<T, E>(
        ctx: &mut WasiPreview1Ctx,
        memory: &mut Memory<'_>,
        op: Op<Result<T, E>>,
        then: impl FnOnce(&mut WasiPreview1Ctx, &mut Memory<'_>, T) -> Steps + Send + 'static,
    ) -> Steps
    where
        T: 'static,
        E: Into<Errno> + 'static,
    {
        match op {
            Op::Ready(result) => then(ctx, memory, result.map_err(Into::into)?),
            Op::Pending(future) => Self::wait(future, |ctx, memory, result: Result<T, E>| {
                then(ctx, memory, result.map_err(Into::into)?)
            }),
        }
    }

    /// Does `then` with what `future` gives.
    pub(crate) fn wait<T: 'static>(
        mut future: BoxFuture<T>,
        then: impl FnOnce(&mut WasiPreview1Ctx, &mut Memory<'_>, T) -> Steps + Send + 'static,
    ) -> Steps {
        let mut then = Some(then);
        Ok(Self::Wait(Wait(Box::new(move |cx, ctx, memory| {
            let value = ready!(future.as_mut().poll(cx));
            Poll::Ready(match then.take() {
                Some(then) => then(ctx, memory, value),
                // A wait is not polled after it is done.
                None => Ok(Self::Done),
            })
        }))))
    }

    /// [`Step::after`] with nothing left to do.
    pub(crate) fn done<E: Into<Errno> + 'static>(
        ctx: &mut WasiPreview1Ctx,
        memory: &mut Memory<'_>,
        op: Op<Result<(), E>>,
    ) -> Steps {
        Self::after(ctx, memory, op, |_, _, ()| Ok(Self::Done))
    }
}
