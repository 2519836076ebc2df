use super::ctx::Leave;
use super::{Connection, ErrorCode, Established, Limits};
use crate::{AlreadyTaken, BoxFuture};
use core::mem;
use core::task::{Context, Poll, Waker};
use wasi_io::{Pollable, SharedWaker};

/// A `future-connection` (`agave:websocket/client.future-connection`). Dropped, the connection
/// is given up, unless it was taken.
pub struct FutureConnection {
    state: State,
    waker: SharedWaker,
}

enum State {
    Waiting(BoxFuture<Result<Established, ErrorCode>>, Leave, Limits),
    Done(Result<Connection, ErrorCode>),
    Taken,
}

impl FutureConnection {
    /// # Errors
    /// That of `made`, where it is ready with one at its first poll.
    pub(super) fn unless_refused(
        made: BoxFuture<Result<Established, ErrorCode>>,
        leave: Leave,
        limits: Limits,
    ) -> Result<Self, ErrorCode> {
        let mut this = Self {
            state: State::Waiting(made, leave, limits),
            waker: SharedWaker::new(),
        };
        this.look();
        match this.state {
            State::Done(Err(code)) => Err(code),
            _ => Ok(this),
        }
    }

    fn look(&mut self) {
        let _ = self.poll_ready(&mut Context::from_waker(Waker::noop()));
    }

    /// `get`: the connection, or why there is none; `None` while it is being made.
    ///
    /// # Errors
    /// [`AlreadyTaken`]: an earlier call gave it.
    pub fn get(&mut self) -> Option<Result<Result<Connection, ErrorCode>, AlreadyTaken>> {
        self.look();
        match mem::replace(&mut self.state, State::Taken) {
            State::Done(result) => Some(Ok(result)),
            State::Taken => Some(Err(AlreadyTaken)),
            waiting => {
                self.state = waiting;
                None
            }
        }
    }
}

impl State {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self::Waiting(future, ..) = self else {
            return Poll::Ready(());
        };
        let Poll::Ready(made) = future.as_mut().poll(cx) else {
            return Poll::Pending;
        };
        if let Self::Waiting(_, leave, limits) = mem::replace(self, Self::Taken) {
            *self = Self::Done(made.map(|made| {
                let Established {
                    socket,
                    subprotocol,
                } = made;
                Connection::with_leave(socket, subprotocol, limits, Some(leave))
            }));
        }
        Poll::Ready(())
    }
}

impl Pollable for FutureConnection {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.waker.poll(cx, |cx| self.state.poll(cx))
    }
}
