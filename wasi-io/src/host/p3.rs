//! `stream<u8>` of WASI 0.3 over this crate's streams, for wasmtime.
//!
//! WASI 0.3 has no package `wasi:io`: streams and futures are the component model's own. What
//! the other interfaces need is here: a stream that reads from an [`InputStream`], one that
//! writes to an [`OutputStream`], and the future beside each that says how it ended. Bytes move
//! straight between the guest's memory and the backend.
//!
//! [`InputStream`]: crate::InputStream
//! [`OutputStream`]: crate::OutputStream

use crate::{DynInputStream, DynOutputStream, Op, Pollable};
use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use futures_channel::oneshot;
use wasi_error::StreamError;
use wasmtime::component::{
    Accessor, AccessorTask, ComponentType, Destination, FutureReader, Lift, Lower, Source,
    StreamConsumer, StreamProducer, StreamReader, StreamResult, VecBuffer,
};
use wasmtime::{AsContextMut, Result, StoreContextMut};

/// The most bytes that move at once: others get their turn in between.
pub const PIECE_MAX: usize = 1 << 20;

/// How many bytes move at once where a host stream is read by the host itself.
const HOST_PIECE: usize = 64 << 10;

/// An `error-code` that a stream can end with.
pub trait StreamErrorCode: ComponentType + Lift + Lower + Send + Sync + 'static {}

impl<E: ComponentType + Lift + Lower + Send + Sync + 'static> StreamErrorCode for E {}

/// A `future<result<_, E>>`, which says how a stream ended.
pub type OutcomeReader<E> = FutureReader<core::result::Result<(), E>>;

/// The other end of an [`OutcomeReader`]: dropping it is success.
pub struct Outcome<E>(oneshot::Sender<Op<core::result::Result<(), E>>>);

impl<E: StreamErrorCode> Outcome<E> {
    /// An outcome, and the future that tells it.
    ///
    /// # Errors
    /// The store's engine has no concurrency support, or its table is full.
    pub fn new<S: AsContextMut>(store: S) -> Result<(Self, OutcomeReader<E>)> {
        let (sender, receiver) = oneshot::channel::<Op<_>>();
        let future = FutureReader::new(store, async move {
            Ok::<_, wasmtime::Error>(match receiver.await {
                Ok(end) => end.finish().await,
                Err(oneshot::Canceled) => Ok(()),
            })
        })?;
        Ok((Self(sender), future))
    }

    /// It is `code`.
    pub fn fail(self, code: E) {
        self.end(Op::failed(code));
    }

    /// It is what `end` gives. What is pending goes on while the guest waits for the future, and
    /// is dropped with it.
    pub fn end(self, end: Op<core::result::Result<(), E>>) {
        // Nobody may be waiting for it any more.
        let _ = self.0.send(end);
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
) -> Result<(StreamReader<u8>, OutcomeReader<E>)> {
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
/// failure otherwise.
///
/// A write of the guest completes when its bytes are flushed, where they wait for that
/// ([`OutputStream::waits_for_flush`]). One that is given up before, but was taken, is delivered
/// all the same, and completes with what was taken.
///
/// [`OutputStream::waits_for_flush`]: crate::OutputStream::waits_for_flush
///
/// # Errors
/// The store's engine has no concurrency support, or its table is full.
pub fn write_via_stream<S: AsContextMut, E: StreamErrorCode>(
    mut store: S,
    data: StreamReader<u8>,
    output: DynOutputStream,
    code: fn(StreamError) -> E,
) -> Result<OutcomeReader<E>> {
    let (outcome, future) = Outcome::new(&mut store)?;
    let consumer = OutputConsumer {
        end: Some(End {
            output,
            outcome,
            code,
        }),
        flushing: false,
        taken: false,
        keeper: None,
    };
    data.pipe(&mut store, consumer)?;
    Ok(future)
}

/// Where bytes go, and whom to tell if they don't arrive.
struct End<E> {
    output: DynOutputStream,
    outcome: Outcome<E>,
    code: fn(StreamError) -> E,
}

impl<E: StreamErrorCode> End<E> {
    fn fail(self, error: StreamError) {
        self.outcome.fail((self.code)(error));
    }
}

struct OutputConsumer<E> {
    /// `None` once it has failed.
    end: Option<End<E>>,
    /// A flush was begun, and is not known to have ended.
    flushing: bool,
    /// Whether the write that is on has given its bytes, and waits for the flush.
    taken: bool,
    /// Where the end goes when the guest drops the stream while a flush is on.
    keeper: Option<oneshot::Sender<End<E>>>,
}

impl<E: StreamErrorCode> OutputConsumer<E> {
    /// Writes some of `bytes` and says how many, 0 only where there are none; those wait until
    /// one would be taken.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<core::result::Result<usize, StreamError>> {
        let Some(End { output, .. }) = &mut self.end else {
            return Poll::Ready(Err(StreamError::Closed));
        };
        if bytes.is_empty() {
            return output.poll_ready(cx).map(|()| Ok(0));
        }
        let n = ready!(output.poll_write(cx, bytes))?;
        // It takes bytes only after the last flush.
        self.flushing = false;
        Poll::Ready(Ok(n))
    }

    fn flush(&mut self) -> core::result::Result<(), StreamError> {
        match &mut self.end {
            Some(End { output, .. }) if output.waits_for_flush() => {
                self.flushing = true;
                output.flush()
            }
            _ => Ok(()),
        }
    }

    fn poll_flushed(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<core::result::Result<(), StreamError>> {
        if let (true, Some(End { output, .. })) = (self.flushing, &mut self.end) {
            ready!(output.poll_flushed(cx))?;
            self.flushing = false;
        }
        Poll::Ready(Ok(()))
    }

    fn fail(&mut self, error: StreamError) -> Poll<Result<StreamResult>> {
        if let Some(end) = self.end.take() {
            end.fail(error);
        }
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

impl<D: 'static, E: StreamErrorCode> StreamConsumer<D> for OutputConsumer<E> {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        if !self.taken {
            let mut source = source.as_direct(store.as_context_mut());
            let bytes = source.remaining();
            let len = bytes.len().min(PIECE_MAX);
            match self.poll_write(cx, &bytes[..len]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(StreamResult::Completed)),
                Poll::Ready(Ok(n)) => source.mark_read(n),
                Poll::Ready(Err(error)) => return self.fail(error),
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            }
            self.taken = true;
            if let Err(error) = self.flush() {
                return self.fail(error);
            }
        }
        match self.poll_flushed(cx) {
            Poll::Ready(Ok(())) => (),
            Poll::Ready(Err(error)) => return self.fail(error),
            Poll::Pending if !finish => return Poll::Pending,
            // The guest no longer waits for it, and may go.
            Poll::Pending if self.keeper.is_none() => {
                let (sender, receiver) = oneshot::channel();
                store.spawn(Keeper(receiver))?;
                self.keeper = Some(sender);
            }
            Poll::Pending => (),
        }
        self.taken = false;
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

impl<E> Drop for OutputConsumer<E> {
    fn drop(&mut self) {
        if let (true, Some(keeper), Some(end)) =
            (self.flushing, self.keeper.take(), self.end.take())
        {
            // The keeper is gone only where the whole store is.
            let _ = keeper.send(end);
        }
    }
}

/// A task that ends a flush for which nobody waits any more: an output that is dropped before
/// may lose bytes.
struct Keeper<E>(oneshot::Receiver<End<E>>);

impl<D: 'static, E: StreamErrorCode> AccessorTask<D> for Keeper<E> {
    async fn run(self, _: &Accessor<D>) -> Result<()> {
        // Without one, the stream was dropped with nothing to flush.
        if let Ok(mut end) = self.0.await
            && let Err(error) = poll_fn(|cx| end.output.poll_flushed(cx)).await
        {
            end.fail(error);
        }
        Ok(())
    }
}
