//! Streams of files and of directories' entries: between the guest's memory and the backend.

use super::bindings::wasi::filesystem::types::{DirectoryEntry, ErrorCode};
use crate::stream::{DirectoryReader, FileInputStream, Writer};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::iter;
use core::pin::Pin;
use core::task::{Context, Poll};
use wasi_io::Op;
use wasi_io::p3::Outcome;
use wasmtime::component::{
    Destination, FutureReader, Lift, Lower, Source, StreamConsumer, StreamProducer, StreamReader,
    StreamResult, VecBuffer,
};
use wasmtime::{AsContextMut, Result, StoreContextMut};

/// How many bytes are read at once where the host itself reads the stream.
const HOST_PIECE: usize = 64 << 10;

/// How a stream ended, as the guest gets it.
pub(super) type End = core::result::Result<(), ErrorCode>;

/// What the guest reads from `source`, and how that ends.
pub(super) fn read<S: AsContextMut, T, U>(
    mut store: S,
    source: crate::Result<T>,
) -> Result<(StreamReader<U>, FutureReader<End>)>
where
    Producer<T>: StreamProducer<S::Data, Item = U>,
    U: Lift + Lower + Send + Sync + 'static,
{
    let (outcome, future) = Outcome::new(&mut store)?;
    let stream = match source {
        Ok(source) => {
            let outcome = Some(outcome);
            StreamReader::new(store, Producer { source, outcome })?
        }
        Err(code) => {
            outcome.fail(code.into());
            StreamReader::new(store, iter::empty())?
        }
    };
    Ok((stream, future))
}

/// Writes what the guest puts into `data` with `writer`, and says how that ends.
pub(super) fn write<S: AsContextMut>(
    mut store: S,
    mut data: StreamReader<u8>,
    writer: crate::Result<Writer>,
) -> Result<FutureReader<End>> {
    let (outcome, future) = Outcome::new(&mut store)?;
    match writer {
        Ok(writer) => {
            let open = Some((writer, outcome));
            data.pipe(store, Consumer { open })?;
        }
        Err(code) => {
            outcome.fail(code.into());
            data.close(store)?;
        }
    }
    Ok(future)
}

pub(super) struct Producer<T> {
    source: T,
    outcome: Option<Outcome<ErrorCode>>,
}

impl<T> Producer<T> {
    fn fail(&mut self, code: crate::ErrorCode) -> StreamResult {
        if let Some(outcome) = self.outcome.take() {
            outcome.fail(code.into());
        }
        StreamResult::Dropped
    }
}

impl<D: 'static> StreamProducer<D> for Producer<FileInputStream> {
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
        let read = match buf.is_empty() {
            true => self.source.poll_readable(cx).map(|()| Ok((0, false))),
            false => self.source.poll_next(cx, buf),
        };
        Poll::Ready(Ok(match read {
            Poll::Ready(Ok((n, end))) => {
                destination.mark_written(n);
                match end {
                    true => StreamResult::Dropped,
                    false => StreamResult::Completed,
                }
            }
            Poll::Ready(Err(code)) => self.fail(code),
            Poll::Pending if finish => {
                self.source.give_up();
                StreamResult::Cancelled
            }
            Poll::Pending => return Poll::Pending,
        }))
    }
}

impl<D: 'static> StreamProducer<D> for Producer<DirectoryReader> {
    type Item = DirectoryEntry;
    type Buffer = VecBuffer<DirectoryEntry>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, DirectoryEntry, Self::Buffer>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let max = match destination.remaining(store) {
            // Whether there is an entry is known only when it is read.
            Some(0) => return Poll::Ready(Ok(StreamResult::Completed)),
            Some(max) => max,
            None => DirectoryReader::PIECE_MAX,
        };
        let (entries, end) = match self.source.poll_next(cx, max) {
            Poll::Ready(read) => read,
            // No entry was taken from the listing.
            Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => return Poll::Pending,
        };
        let entries: Vec<_> = entries.into_iter().map(DirectoryEntry::from).collect();
        destination.set_buffer(entries.into());
        Poll::Ready(Ok(match end {
            None => StreamResult::Completed,
            Some(Ok(())) => StreamResult::Dropped,
            Some(Err(code)) => self.fail(code),
        }))
    }
}

struct Consumer {
    /// `None` once it has failed.
    open: Option<(Writer, Outcome<ErrorCode>)>,
}

impl Consumer {
    fn fail(&mut self, code: crate::ErrorCode) -> StreamResult {
        if let Some((_, outcome)) = self.open.take() {
            outcome.fail(code.into());
        }
        StreamResult::Dropped
    }
}

impl<D: 'static> StreamConsumer<D> for Consumer {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let Some((writer, _)) = &mut self.open else {
            return Poll::Ready(Ok(StreamResult::Dropped));
        };
        let mut source = source.as_direct(store);
        let bytes = source.remaining();
        let written = match bytes.is_empty() {
            // The guest waits until a write would be taken.
            true => writer.poll_written(cx).map_ok(|()| 0),
            false => writer.poll_write(cx, bytes),
        };
        Poll::Ready(Ok(match written {
            Poll::Ready(Ok(n)) => {
                source.mark_read(n);
                StreamResult::Completed
            }
            Poll::Ready(Err(code)) => self.fail(code),
            Poll::Pending if finish => match writer.keep(bytes) {
                0 => StreamResult::Cancelled,
                n => {
                    source.mark_read(n);
                    StreamResult::Completed
                }
            },
            Poll::Pending => return Poll::Pending,
        }))
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        if let Some((mut writer, outcome)) = self.open.take()
            && writer.is_writing()
        {
            outcome.end(Op::Pending(Box::pin(async move {
                poll_fn(|cx| writer.poll_written(cx)).await?;
                Ok(())
            })));
        }
    }
}
