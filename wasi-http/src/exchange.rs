//! The two halves of an exchange: a response that is waited for, and one that is given.

use crate::{
    AlreadyTaken, BoxFuture, ErrorCode, Fields, IncomingResponse, OutgoingResponse, Response,
};
use alloc::boxed::Box;
use alloc::string::String;
use core::task::{Context, Poll, Waker};
use wasi_io::{Pollable, SharedWaker};

/// A `future-incoming-response`: the response to a request that was sent. Dropped, the request
/// is given up, unless the response was taken.
pub struct FutureIncomingResponse {
    state: State,
    waker: SharedWaker,
}

enum State {
    Waiting(BoxFuture<Result<Response, ErrorCode>>),
    Done(Result<Response, ErrorCode>),
    Taken,
}

impl FutureIncomingResponse {
    /// The response that `future` gives.
    pub fn new(future: BoxFuture<Result<Response, ErrorCode>>) -> Self {
        Self {
            state: State::Waiting(future),
            waker: SharedWaker::new(),
        }
    }

    /// As [`FutureIncomingResponse::new`], for a client that may refuse the request at once.
    ///
    /// # Errors
    /// That of `future`, where it is ready with one.
    pub(crate) fn unless_refused(
        future: BoxFuture<Result<Response, ErrorCode>>,
    ) -> Result<Self, ErrorCode> {
        let mut this = Self::new(future);
        this.look();
        match this.state {
            State::Done(Err(code)) => Err(code),
            _ => Ok(this),
        }
    }

    /// Takes the response if it has come; those who wait are woken all the same.
    fn look(&mut self) {
        let _ = self.poll_ready(&mut Context::from_waker(Waker::noop()));
    }

    /// `get`: the response, or why there is none; `None` while it has not come.
    ///
    /// # Errors
    /// [`AlreadyTaken`]: an earlier call gave it.
    pub fn get(&mut self) -> Option<Result<Result<IncomingResponse, ErrorCode>, AlreadyTaken>> {
        self.look();
        match core::mem::replace(&mut self.state, State::Taken) {
            State::Done(result) => Some(Ok(result.map(IncomingResponse::new))),
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
        if let Self::Waiting(future) = self {
            match future.as_mut().poll(cx) {
                Poll::Ready(result) => *self = Self::Done(result),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }
}

impl Pollable for FutureIncomingResponse {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.waker.poll(cx, |cx| self.state.poll(cx))
    }
}

type SendFinal = Box<dyn FnOnce(Result<Response, ErrorCode>) + Send>;
type SendInformational = Box<dyn FnMut(u16, Fields) -> Result<(), ErrorCode> + Send>;

/// A `response-outparam`: where a guest puts the response to the request that it handles.
/// Dropped without one, the function that it was made from is dropped without a call: so the
/// host learns that there is no response.
pub struct ResponseOutparam {
    send: SendFinal,
    informational: Option<SendInformational>,
}

impl ResponseOutparam {
    /// Gives the response, or the guest's error, to `send`. The guest may still be writing the
    /// response's body, and goes on running.
    pub fn new(send: impl FnOnce(Result<Response, ErrorCode>) + Send + 'static) -> Self {
        Self {
            send: Box::new(send),
            informational: None,
        }
    }

    /// Gives informational responses, with a status of 100 or 102 to 199, to `send`.
    pub fn informational(
        mut self,
        send: impl FnMut(u16, Fields) -> Result<(), ErrorCode> + Send + 'static,
    ) -> Self {
        self.informational = Some(Box::new(send));
        self
    }

    /// `send-informational`.
    ///
    /// # Errors
    /// - [`ErrorCode::HttpProtocolError`]: `status` is not 100 to 199, or is 101, which would
    ///   leave HTTP.
    /// - [`ErrorCode::InternalError`]: the host does not send such responses.
    /// - Otherwise those of the function that sends it.
    pub fn send_informational(&mut self, status: u16, headers: Fields) -> Result<(), ErrorCode> {
        match &mut self.informational {
            _ if !matches!(status, 100 | 102..=199) => Err(ErrorCode::HttpProtocolError),
            Some(send) => send(status, headers),
            None => Err(ErrorCode::InternalError(Some(String::from(
                "informational responses are not sent",
            )))),
        }
    }

    /// `set`: the response, or why there is none. A response that can't be sent
    /// ([`OutgoingResponse::into_response`]) becomes its error.
    pub fn set(self, response: Result<OutgoingResponse, ErrorCode>) {
        (self.send)(response.and_then(OutgoingResponse::into_response));
    }
}
