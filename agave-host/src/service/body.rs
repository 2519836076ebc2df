use super::{ServeError, Service};
use crate::guest::Guest;
use alloc::boxed::Box;
use core::future::poll_fn;
use core::task::{Context, Poll};
use wasi_error::http::ErrorCode;
use wasi_http::{Body, Frame};

/// A response's content, with the guest that still writes it: polling one moves the other on,
/// so that no task and no channel stand between a guest and its client.
pub(super) struct GuestBody {
    service: Service,
    number: u64,
    content: Box<dyn Body>,
    guest: Option<Guest>,
    ended: bool,
}

impl GuestBody {
    pub(super) fn new(
        service: Service,
        number: u64,
        content: Box<dyn Body>,
        guest: Option<Guest>,
    ) -> Self {
        Self {
            service,
            number,
            content,
            guest,
            ended: false,
        }
    }

    /// Drops the content as it comes, for a client that gets none.
    pub(super) fn discard(mut self) {
        if self.guest.is_some() {
            let executor = self.service.0.executor.clone();
            executor.spawn(Box::pin(async move {
                while let Some(Ok(_)) = poll_fn(|cx| self.poll_frame(cx)).await {}
            }));
        }
    }

    fn poll_content(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, ErrorCode>>> {
        let poll = self.content.poll_frame(cx);
        if let Poll::Ready(None | Some(Err(_))) = &poll {
            self.ended = true;
            self.release();
        }
        poll
    }

    /// The response has ended; the guest may go on.
    fn release(&mut self) {
        if let Some(guest) = self.guest.take() {
            self.service.run_on(self.number, guest);
        }
    }
}

impl Body for GuestBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, ErrorCode>>> {
        let poll = self.poll_content(cx);
        if poll.is_ready() {
            return poll;
        }
        if let Some(guest) = &mut self.guest {
            if let Poll::Ready(result) = guest.poll(cx) {
                self.guest = None;
                if let Err(error) = result {
                    (self.service.0.report)(self.number, &ServeError::Failed(error));
                }
            }
            return self.poll_content(cx);
        }
        poll
    }

    fn remaining(&self) -> Option<u64> {
        self.content.remaining()
    }

    fn is_end(&self) -> bool {
        self.ended || self.content.is_end()
    }
}

impl Drop for GuestBody {
    fn drop(&mut self) {
        // A server that has sent all, or all that `content-length` says, need not ask for the end.
        // Otherwise the client has left, and the guest is dropped with the body.
        if self.is_end() || self.content.remaining() == Some(0) {
            self.release();
        }
    }
}
