//! A request in the hands of an instance that has others as well.

use super::worker::Worker;
use super::{ServeError, has_no_content};
use crate::guest::Executor;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::poll_fn;
use core::mem;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use wasi_error::http::ErrorCode;
use wasi_http::memory::Empty;
use wasi_http::{Body, Frame, Response};
use wasi_io::sync::Mutex;

type Hold = Box<dyn Send>;

/// What a client and the instance that works for it share.
pub(super) struct Exchange {
    number: u64,
    state: Mutex<State>,
    /// The client has all that it will get, or has left.
    over: AtomicBool,
    /// It left before that.
    left: AtomicBool,
}

struct State {
    stage: Stage,
    client: Option<Waker>,
    worker: Option<Arc<Worker>>,
    hold: Option<Hold>,
}

enum Stage {
    Waiting,
    Answered(Result<Response, ServeError>),
    /// The client has the head of the response.
    Sending,
    /// There will be no more of the response.
    Failed,
}

impl Exchange {
    pub(super) fn new(number: u64, hold: impl Send + 'static) -> Arc<Self> {
        let state = State {
            stage: Stage::Waiting,
            client: None,
            worker: None,
            hold: Some(Box::new(hold)),
        };
        Arc::new(Self {
            number,
            state: Mutex::new(state),
            over: AtomicBool::new(false),
            left: AtomicBool::new(false),
        })
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Acquire)
    }

    /// It was over, and not because the client left.
    pub(super) fn is_served(&self) -> bool {
        self.is_over() && !self.has_left()
    }

    pub(super) fn has_left(&self) -> bool {
        self.left.load(Ordering::Acquire)
    }

    /// `worker` has it in hand.
    pub(super) fn taken_by(&self, worker: &Arc<Worker>) {
        self.state.lock().worker = Some(worker.clone());
    }

    /// The guest's answer.
    pub(super) fn answer(&self, answer: Result<Response, ServeError>) {
        let mut state = self.state.lock();
        if !matches!(state.stage, Stage::Waiting) {
            return;
        }
        state.stage = Stage::Answered(answer);
        let client = state.client.take();
        drop(state);
        if let Some(client) = client {
            client.wake();
        }
    }

    /// The guest can do no more for it, because of what `error` makes. Gives that back where
    /// the client has the head of its response already.
    pub(super) fn fail(&self, error: impl FnOnce() -> ServeError) -> Option<ServeError> {
        let mut state = self.state.lock();
        let told = match &state.stage {
            Stage::Waiting => {
                state.stage = Stage::Answered(Err(error()));
                None
            }
            Stage::Answered(Err(_)) | Stage::Failed => None,
            Stage::Answered(Ok(_)) | Stage::Sending if self.is_over() => None,
            // It may have all of its body already: the end of that will show.
            Stage::Answered(Ok(_)) => Some(error()),
            Stage::Sending => {
                state.stage = Stage::Failed;
                Some(error())
            }
        };
        let client = state.client.take();
        drop(state);
        if let Some(client) = client {
            client.wake();
        }
        told
    }

    fn poll_answer(&self, cx: &mut Context<'_>) -> Poll<Result<Response, ServeError>> {
        let mut state = self.state.lock();
        match mem::replace(&mut state.stage, Stage::Sending) {
            Stage::Answered(answer) => Poll::Ready(answer),
            stage => {
                state.stage = stage;
                state.client = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Waits for the guest's answer. Dropping it, or the body of the response before its end,
    /// says that the client has left.
    pub(super) async fn response(
        self: Arc<Self>,
        head_only: bool,
        executor: &Arc<dyn Executor>,
    ) -> Result<Response, ServeError> {
        let mut client = Client {
            exchange: self,
            served: false,
        };
        let answer = poll_fn(|cx| client.exchange.poll_answer(cx)).await;
        let response = answer.inspect_err(|_| client.served = true)?;
        let body = ExchangeBody {
            content: response.body,
            client,
        };
        let body: Box<dyn Body> = if has_no_content(head_only, response.status) {
            // It is dropped as it comes.
            executor.spawn(Box::pin(async move {
                let mut body = body;
                while let Some(Ok(_)) = poll_fn(|cx| body.poll_frame(cx)).await {}
            }));
            Box::new(Empty)
        } else {
            Box::new(body)
        };
        Ok(Response { body, ..response })
    }
}

/// Who waits for an exchange.
struct Client {
    exchange: Arc<Exchange>,
    served: bool,
}

impl Drop for Client {
    fn drop(&mut self) {
        let exchange = &self.exchange;
        if !self.served {
            exchange.left.store(true, Ordering::Release);
        }
        exchange.over.store(true, Ordering::Release);
        let mut state = exchange.state.lock();
        let (worker, hold) = (state.worker.take(), state.hold.take());
        drop(state);
        match worker {
            Some(worker) => worker.client_gone(hold, !self.served),
            None => drop(hold),
        }
    }
}

/// The content of a response, whose end ends the exchange.
struct ExchangeBody {
    content: Box<dyn Body>,
    client: Client,
}

impl Body for ExchangeBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame, ErrorCode>>> {
        let poll = self.content.poll_frame(cx);
        match &poll {
            Poll::Ready(None | Some(Err(_))) => self.client.served = true,
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Pending => {
                let mut state = self.client.exchange.state.lock();
                if let Stage::Failed = state.stage {
                    self.client.served = true;
                    return Poll::Ready(Some(Err(ErrorCode::HttpResponseIncomplete)));
                }
                state.client = Some(cx.waker().clone());
            }
        }
        poll
    }

    fn remaining(&self) -> Option<u64> {
        self.content.remaining()
    }

    fn is_end(&self) -> bool {
        self.client.served || self.content.is_end()
    }
}

impl Drop for ExchangeBody {
    fn drop(&mut self) {
        // A server that has sent all, or all that `content-length` says, need not ask for the end.
        self.client.served |= self.content.is_end() || self.content.remaining() == Some(0);
    }
}
