use alloc::sync::Arc;
use core::task::{Context, Poll};
use wasi_error::http::ErrorCode;
use wasi_http::Response;
use wasi_io::WakerSet;
use wasi_io::sync::Mutex;

/// What came of a `response-outparam`.
pub(super) enum Answered {
    Response(Response),
    Error(ErrorCode),
    /// It was dropped.
    Nothing,
}

/// Where the answer of a guest is put for who waits for it.
#[derive(Default)]
pub(super) struct Answer {
    slot: Mutex<Option<Answered>>,
    set: WakerSet,
}

impl Answer {
    /// Takes the answer, once.
    pub(super) fn poll(&self, cx: &mut Context<'_>) -> Poll<Answered> {
        let mut slot = self.slot.lock();
        match slot.take() {
            Some(answered) => Poll::Ready(answered),
            None => {
                self.set.register(cx.waker());
                Poll::Pending
            }
        }
    }

    fn put(&self, answered: Answered) {
        *self.slot.lock() = Some(answered);
        self.set.wake_all();
    }
}

/// The guest's side: gives the answer, or says that there will be none.
pub(super) struct Sender(Option<Arc<Answer>>);

impl Sender {
    pub(super) fn new(answer: Arc<Answer>) -> Self {
        Self(Some(answer))
    }

    pub(super) fn send(mut self, result: Result<Response, ErrorCode>) {
        if let Some(answer) = self.0.take() {
            answer.put(match result {
                Ok(response) => Answered::Response(response),
                Err(code) => Answered::Error(code),
            });
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        if let Some(answer) = self.0.take() {
            answer.put(Answered::Nothing);
        }
    }
}
