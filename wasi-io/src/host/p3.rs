//! `stream<u8>` of WASI 0.3 over this crate's streams, for wasmtime.
//!
//! WASI 0.3 has no package `wasi:io`: streams and futures are the component model's own. What
//! the other interfaces need is here: a stream that reads from an [`InputStream`], one that
//! writes to an [`OutputStream`], and the future beside each that says how it ended. Bytes move
//! straight between the guest's memory and the backend.
//!
//! [`InputStream`]: crate::InputStream
//! [`OutputStream`]: crate::OutputStream

use crate::{DynInputStream, DynOutputStream, Pollable};
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use futures_channel::oneshot;
use wasi_error::StreamError;
use wasmtime::component::{
    ComponentType, Destination, FutureReader, Lift, Lower, Source, StreamConsumer, StreamProducer,
    StreamReader, StreamResult, VecBuffer,
};
use wasmtime::{AsContextMut, Result, StoreContextMut};

/// The most bytes that move at once: others get their turn in between.
pub const PIECE_MAX: usize = 1 << 20;

/// How many bytes move at once where a host stream is read by the host itself.
const HOST_PIECE: usize = 64 << 10;

/// An `error-code` that a stream can end with.
pub trait StreamErrorCode: ComponentType + Lift + Lower + Send + Sync + 'static {}

impl<E: ComponentType + Lift + Lower + Send + Sync + 'static> StreamErrorCode for E {}

/// The other end of a `future<result<_, E>>`: dropping it is success.
pub struct Outcome<E>(oneshot::Sender<E>);

impl<E: StreamErrorCode> Outcome<E> {
    /// An outcome, and the future that tells it.
    ///
    /// # Errors
    /// The store's engine has no concurrency support, or its table is full.
    pub fn new<S: AsContextMut>(
        store: S,
    ) -> Result<(Self, FutureReader<core::result::Result<(), E>>)> {
        let (sender, receiver) = oneshot::channel();
        let future = FutureReader::new(store, async move {
            Ok::<_, wasmtime::Error>(match receiver.await {
                Ok(code) => Err(code),
                Err(oneshot::Canceled) => Ok(()),
            })
        })?;
        Ok((Self(sender), future))
    }

    /// It is `code`. Nobody may be waiting for it any more.
    pub fn fail(self, code: E) {
        let _ = self.0.send(code);
    }
}

/// What a guest reads from `input`, and how that ends: with success at its end or when the
/// guest drops the stream, with what `code` makes of a failure otherwise.
///
/// # Errors
/// The store's engine has no concurrency support, or its table is full.
pub fn read_via_stream<S: AsContextMut, E: StreamErrorCode>(
    mut store: S,
    input: DynInputStream,
    code: fn(StreamError) -> E,
) -> Result<(StreamReader<u8>, FutureReader<core::result::Result<(), E>>)> {
    let (outcome, future) = Outcome::new(&mut store)?;
    let producer = InputProducer {
        input,
        outcome: Some(outcome),
        code,
    };
    Ok((StreamReader::new(store, producer)?, future))
}

struct InputProducer<E> {
    input: DynInputStream,
    outcome: Option<Outcome<E>>,
    code: fn(StreamError) -> E,
}

impl<D: 'static, E: StreamErrorCode> StreamProducer<D> for InputProducer<E> {
    type Item = u8;
    type Buffer = VecBuffer<u8>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        destination: Destination<'a, u8, Self::Buffer>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let mut destination = destination.as_direct(store, HOST_PIECE);
        let buf = destination.remaining();
        let len = buf.len().min(PIECE_MAX);
        if len == 0 {
            // The guest waits until there is something to read.
            return match self.input.poll_ready(cx) {
                Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
                poll => poll.map(|()| Ok(StreamResult::Completed)),
            };
        }
        match self.input.poll_read_into(cx, &mut buf[..len]) {
            Poll::Ready(Ok(n)) => {
                destination.mark_written(n);
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(Err(error)) => {
                let outcome = self.outcome.take();
                if let (Some(outcome), StreamError::LastOperationFailed(_)) = (outcome, &error) {
                    outcome.fail((self.code)(error));
                }
                Poll::Ready(Ok(StreamResult::Dropped))
            }
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}

/// Writes what the guest puts into `data` to `output`, and says how that ends: with success
/// once the guest has dropped its end and everything is delivered, with what `code` makes of a
/// failure otherwise. A write of the guest completes when its bytes are flushed.
///
/// # Errors
/// The store's engine has no concurrency support, or its table is full.
pub fn write_via_stream<S: AsContextMut, E: StreamErrorCode>(
    mut store: S,
    data: StreamReader<u8>,
    output: DynOutputStream,
    code: fn(StreamError) -> E,
) -> Result<FutureReader<core::result::Result<(), E>>> {
    let (sender, receiver) = oneshot::channel();
    let consumer = OutputConsumer {
        output: Some(output),
        flushing: false,
        taken: false,
        end: Some(sender),
    };
    data.pipe(&mut store, consumer)?;
    FutureReader::new(store, async move {
        let end = match receiver.await {
            Ok(End::Failed(error)) => Err(error),
            Ok(End::Dropped(output)) => flush(output).await,
            Err(oneshot::Canceled) => Ok(()),
        };
        Ok::<_, wasmtime::Error>(end.map_err(code))
    })
}

/// How the writing of a guest's stream ended.
enum End {
    Failed(StreamError),
    /// The guest dropped its end; a flush may still be on.
    Dropped(DynOutputStream),
}

async fn flush(mut output: DynOutputStream) -> core::result::Result<(), StreamError> {
    let begun = output.flush();
    let result = match begun {
        Ok(()) => poll_fn(|cx| output.poll_flushed(cx)).await,
        Err(error) => Err(error),
    };
    match result {
        // All was delivered, and nothing more is to come.
        Err(StreamError::Closed) => Ok(()),
        result => result,
    }
}

struct OutputConsumer {
    /// `None` once it has failed.
    output: Option<DynOutputStream>,
    flushing: bool,
    /// Whether the write that is on has given its bytes, and waits for the flush.
    taken: bool,
    end: Option<oneshot::Sender<End>>,
}

impl OutputConsumer {
    fn fail(&mut self, error: StreamError) -> StreamResult {
        self.output = None;
        if let Some(end) = self.end.take() {
            // Nobody may be waiting for it any more.
            let _ = end.send(End::Failed(error));
        }
        StreamResult::Dropped
    }

    /// Waits for the flush that is on.
    fn poll_flushed(&mut self, cx: &mut Context<'_>) -> Poll<core::result::Result<(), StreamError>> {
        if let (true, Some(output)) = (self.flushing, &mut self.output) {
            let result = ready!(output.poll_flushed(cx));
            self.flushing = false;
            match result {
                // All was delivered; the next write is told.
                Ok(()) | Err(StreamError::Closed) => (),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<core::result::Result<usize, StreamError>> {
        let Some(output) = &mut self.output else {
            return Poll::Ready(Err(StreamError::Closed));
        };
        let n = ready!(output.poll_write(cx, bytes))?;
        self.flushing = true;
        match output.flush() {
            Ok(()) | Err(StreamError::Closed) => Poll::Ready(Ok(n)),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl<D: 'static> StreamConsumer<D> for OutputConsumer {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        if !self.taken {
            let mut source = source.as_direct(store);
            let bytes = source.remaining();
            let len = bytes.len().min(PIECE_MAX);
            if len == 0 {
                // The guest waits until a write would be taken.
                let poll = match &mut self.output {
                    Some(output) => output.poll_ready(cx),
                    None => Poll::Ready(()),
                };
                return match poll {
                    Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
                    poll => poll.map(|()| Ok(StreamResult::Completed)),
                };
            }
            match self.poll_write(cx, &bytes[..len]) {
                Poll::Ready(Ok(n)) => {
                    source.mark_read(n);
                    self.taken = true;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Ok(self.fail(error))),
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            }
        }
        match self.poll_flushed(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Ok(self.fail(error))),
            // Given up by the guest, but taken: the flush goes on by itself.
            Poll::Pending if !finish => Poll::Pending,
            _ => {
                self.taken = false;
                Poll::Ready(Ok(StreamResult::Completed))
            }
        }
    }
}

impl Drop for OutputConsumer {
    fn drop(&mut self) {
        if let (Some(output), Some(end)) = (self.output.take(), self.end.take()) {
            // Who does not wait for it leaves the rest to the backend.
            let _ = end.send(End::Dropped(output));
        }
    }
}
