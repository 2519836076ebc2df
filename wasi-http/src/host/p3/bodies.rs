//! The two kinds of bodies that a message of 0.3 has: the host's, and those of a guest.

use super::bindings::wasi::http::types::ErrorCode;
use super::{WasiHttp, WasiHttpCtxView};
use crate::{
    Body, BodyAbort, BodyContent, BodyEnd, Delivery, Fields, GuestFields, MessageKind, OutgoingBody,
};
use alloc::boxed::Box;
use core::any::{Any, TypeId};
use core::iter;
use core::pin::Pin;
use core::result::Result as Answer;
use core::task::{Context, Poll, ready};
use futures_channel::oneshot;
use wasi_io::p3::PIECE_MAX;
use wasi_io::{DynOutputStream, Pollable};
use wasmtime::component::{
    Access, Accessor, AccessorTask, Destination, FutureConsumer, FutureProducer, FutureReader,
    Resource, Source, StreamConsumer, StreamProducer, StreamReader, StreamResult, VecBuffer,
};
use wasmtime::{AsContextMut, Result, StoreContextMut};

/// How many bytes move at once where the host itself reads a body of the host.
const HOST_PIECE: usize = 64 << 10;

/// Where a store's state has the parts that the bindings work on.
pub(super) type Getter<T> = fn(&mut T) -> WasiHttpCtxView<'_>;

pub(super) type TrailersReader = FutureReader<Answer<Option<Resource<GuestFields>>, ErrorCode>>;
pub(super) type OutcomeReader = FutureReader<Answer<(), ErrorCode>>;

/// The content and the trailers of a message.
pub(super) enum MessageBody {
    Host(Box<dyn Body>),
    Guest(GuestBody),
}

/// What a guest gave to `request.new` or `response.new`.
pub(super) struct GuestBody {
    contents: Option<StreamReader<u8>>,
    trailers: TrailersReader,
    transmission: Transmission,
}

/// What becomes of a message that a guest made.
pub(super) enum Sent {
    Done(Answer<(), crate::ErrorCode>),
    Underway(Delivery),
}

/// The other end of the future that tells a guest what became of its message. Dropped, the
/// message was not sent.
pub(super) struct Transmission(oneshot::Sender<Sent>);

impl Transmission {
    fn new<S: AsContextMut>(store: S, kind: MessageKind) -> Result<(Self, OutcomeReader)> {
        let (sender, receiver) = oneshot::channel();
        let future = FutureReader::new(store, async move {
            let outcome = match receiver.await {
                Ok(Sent::Done(outcome)) => outcome,
                Ok(Sent::Underway(delivery)) => delivery.await,
                Err(oneshot::Canceled) => Err(kind.unsent()),
            };
            Ok::<_, wasmtime::Error>(outcome.map_err(ErrorCode::from))
        })?;
        Ok((Self(sender), future))
    }

    pub(super) fn tell(self, sent: Sent) {
        // The guest may not want to know.
        let _ = self.0.send(sent);
    }
}

impl GuestBody {
    pub(super) fn new<S: AsContextMut>(
        store: S,
        kind: MessageKind,
        contents: Option<StreamReader<u8>>,
        trailers: TrailersReader,
    ) -> Result<(Self, OutcomeReader)> {
        let (transmission, future) = Transmission::new(store, kind)?;
        let body = Self {
            contents,
            trailers,
            transmission,
        };
        Ok((body, future))
    }

    pub(super) fn has_contents(&self) -> bool {
        self.contents.is_some()
    }

    /// The message is not sent, and whoever writes its body is told.
    fn close<S: AsContextMut>(mut self, mut store: S) -> Result<Transmission> {
        if let Some(mut contents) = self.contents.take() {
            contents.close(&mut store)?;
        }
        self.trailers.close(&mut store)?;
        Ok(self.transmission)
    }

    pub(super) fn refuse<S: AsContextMut>(self, store: S, code: crate::ErrorCode) -> Result<()> {
        self.close(store)?.tell(Sent::Done(Err(code)));
        Ok(())
    }

    /// A body that gives what the guest writes: `expected` bytes, where that is known, in a
    /// window of `window`.
    pub(super) fn send<S: AsContextMut>(
        self,
        mut store: S,
        getter: Getter<S::Data>,
        kind: MessageKind,
        expected: Option<u64>,
        window: usize,
    ) -> Result<(Box<dyn Body>, Transmission, Delivery)>
    where
        S::Data: 'static,
    {
        let (ended, content) = oneshot::channel();
        let (body, reader) = match self.contents {
            None => {
                let (body, reader) = boxed(OutgoingBody::new(kind, expected, window));
                body.is_absent();
                drop(ended);
                (body, reader)
            }
            Some(contents) => match contents.try_into::<Content>(&mut store) {
                // Content of the host that the guest passes on goes past the guest.
                Ok(Content(mut content)) => {
                    let source = move |cx: &mut Context<'_>| {
                        let _dropped_with_it = &ended;
                        content.poll_bytes(cx)
                    };
                    boxed(OutgoingBody::with_source(
                        kind,
                        expected,
                        window,
                        Some(source),
                    ))
                }
                Err(contents) => {
                    let (mut body, reader) = boxed(OutgoingBody::new(kind, expected, window));
                    let output = body.write();
                    let consumer = Contents {
                        output,
                        _ended: ended,
                    };
                    contents.pipe(&mut store, consumer)?;
                    (body, reader)
                }
            },
        };
        let delivery = body.delivery();
        let (sender, trailers) = oneshot::channel();
        let consumer = Trailers {
            getter,
            sender: Some(sender),
        };
        self.trailers.pipe(&mut store, consumer)?;
        store.as_context_mut().spawn(Finish {
            body,
            content,
            trailers,
        })?;
        Ok((reader, self.transmission, delivery))
    }
}

fn boxed((body, reader): (OutgoingBody, impl Body)) -> (OutgoingBody, Box<dyn Body>) {
    (body, Box::new(reader))
}

impl MessageBody {
    /// `consume-body`.
    pub(super) fn consume<T>(
        self,
        mut access: Access<'_, T, WasiHttp>,
        verdict: OutcomeReader,
    ) -> Result<(StreamReader<u8>, TrailersReader)> {
        match self {
            Self::Host(body) => {
                let (content, end) = BodyContent::new(body);
                verdict.pipe(&mut access, Verdict(Some(On::Body(end.abort()))))?;
                let getter = access.getter();
                let stream = StreamReader::new(&mut access, Content(content))?;
                let trailers = FutureReader::new(&mut access, End { end, getter })?;
                Ok((stream, trailers))
            }
            Self::Guest(body) => {
                verdict.pipe(&mut access, Verdict(Some(On::Message(body.transmission))))?;
                let stream = match body.contents {
                    Some(contents) => contents,
                    None => StreamReader::new(&mut access, iter::empty())?,
                };
                Ok((stream, body.trailers))
            }
        }
    }

    /// The message is dropped without having been sent or consumed.
    pub(super) fn close<S: AsContextMut>(self, store: S) -> Result<()> {
        match self {
            Self::Host(_) => Ok(()),
            Self::Guest(body) => body.close(store).map(drop),
        }
    }
}

/// Content of a guest, on its way out.
struct Contents {
    output: Option<DynOutputStream>,
    /// Dropped with the rest, when the guest has dropped its end.
    _ended: oneshot::Sender<()>,
}

impl<D: 'static> StreamConsumer<D> for Contents {
    type Item = u8;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        source: Source<'_, u8>,
        finish: bool,
    ) -> Poll<Result<StreamResult>> {
        let Some(output) = &mut self.output else {
            return Poll::Ready(Ok(StreamResult::Dropped));
        };
        let mut source = source.as_direct(store);
        let bytes = source.remaining();
        let len = bytes.len().min(PIECE_MAX);
        let poll = match len {
            // The guest waits until a write would be taken.
            0 => output.poll_ready(cx).map(|()| Ok(0)),
            len => output.poll_write(cx, &bytes[..len]),
        };
        Poll::Ready(Ok(match poll {
            Poll::Ready(Ok(n)) => {
                source.mark_read(n);
                StreamResult::Completed
            }
            // Nobody wants it, or it is too long: who reads the body knows.
            Poll::Ready(Err(_)) => {
                self.output = None;
                StreamResult::Dropped
            }
            Poll::Pending if finish => StreamResult::Cancelled,
            Poll::Pending => return Poll::Pending,
        }))
    }
}

/// Trailers of a guest, on their way out.
struct Trailers<T: 'static> {
    getter: Getter<T>,
    sender: Option<oneshot::Sender<Answer<Option<Fields>, crate::ErrorCode>>>,
}

impl<T: 'static> FutureConsumer<T> for Trailers<T> {
    type Item = Answer<Option<Resource<GuestFields>>, ErrorCode>;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut store: StoreContextMut<'_, T>,
        mut source: Source<'_, Self::Item>,
        _: bool,
    ) -> Poll<Result<()>> {
        let mut item = None;
        source.read(&mut store, &mut item)?;
        let trailers = match item {
            None => return Poll::Ready(Ok(())),
            Some(Ok(None)) => Ok(None),
            Some(Ok(Some(fields))) => {
                let fields = (self.getter)(store.data_mut()).table.delete(fields)?;
                Ok(Some(fields.into_fields()))
            }
            Some(Err(code)) => Err(code.into()),
        };
        if let Some(sender) = self.sender.take() {
            // The body may have been given up.
            let _ = sender.send(trailers);
        }
        Poll::Ready(Ok(()))
    }
}

/// Ends a body of a guest. It is a task of the store, so that a store which is dropped, maybe
/// after a trap, leaves a body that fails and not one that looks whole.
struct Finish {
    body: OutgoingBody,
    /// Closed when the content has ended.
    content: oneshot::Receiver<()>,
    trailers: oneshot::Receiver<Answer<Option<Fields>, crate::ErrorCode>>,
}

impl<T: 'static> AccessorTask<T> for Finish {
    async fn run(self, _: &Accessor<T>) -> Result<()> {
        match self.trailers.await {
            Ok(Ok(trailers)) => {
                let _ = self.content.await;
                // Who reads the body gets the error.
                let _ = self.body.finish(trailers);
            }
            Ok(Err(code)) => self.body.fail(code),
            Err(oneshot::Canceled) => drop(self.body),
        }
        Ok(())
    }
}

/// Content of the host, on its way to a guest.
struct Content(BodyContent);

impl<D: 'static> StreamProducer<D> for Content {
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
        let poll = match len {
            // The guest waits until there is something to read.
            0 => self.0.poll_ready(cx).map(|()| None),
            len => self.0.poll_read(cx, &mut buf[..len]).map(Some),
        };
        Poll::Ready(Ok(match poll {
            Poll::Ready(Some(0)) => StreamResult::Dropped,
            Poll::Ready(n) => {
                destination.mark_written(n.unwrap_or_default());
                StreamResult::Completed
            }
            Poll::Pending if finish => StreamResult::Cancelled,
            Poll::Pending => return Poll::Pending,
        }))
    }

    fn try_into(me: Pin<Box<Self>>, ty: TypeId) -> Answer<Box<dyn Any>, Pin<Box<Self>>> {
        match ty == TypeId::of::<Self>() {
            true => {
                let me: Box<Self> = Pin::into_inner(me);
                Ok(me)
            }
            false => Err(me),
        }
    }
}

/// The end of a body of the host, on its way to a guest.
struct End<T: 'static> {
    end: BodyEnd,
    getter: Getter<T>,
}

impl<T: 'static> FutureProducer<T> for End<T> {
    type Item = Answer<Option<Resource<GuestFields>>, ErrorCode>;

    fn poll_produce(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'_, T>,
        finish: bool,
    ) -> Poll<Result<Option<Self::Item>>> {
        let poll = self.end.poll(cx);
        if poll.is_pending() && finish {
            return Poll::Ready(Ok(None));
        }
        Poll::Ready(Ok(Some(match ready!(poll) {
            Ok(None) => Ok(None),
            Ok(Some(fields)) => {
                let table = (self.getter)(store.data_mut()).table;
                Ok(Some(table.push(GuestFields::immutable(fields))?))
            }
            Err(code) => Err(code.into()),
        })))
    }
}

/// What a guest says of a message that it consumed.
struct Verdict(Option<On>);

/// What the verdict is for.
enum On {
    /// Where the body comes from. It ends with an error of the guest.
    Body(BodyAbort),
    /// Who made the message: that is what became of it.
    Message(Transmission),
}

impl<D: 'static> FutureConsumer<D> for Verdict {
    type Item = Answer<(), ErrorCode>;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<'_, D>,
        mut source: Source<'_, Self::Item>,
        _: bool,
    ) -> Poll<Result<()>> {
        let mut item = None;
        source.read(store, &mut item)?;
        if let Some(verdict) = item {
            match (self.0.take(), verdict) {
                (Some(On::Body(abort)), Err(code)) => abort.now(code.into()),
                (Some(On::Message(transmission)), verdict) => {
                    transmission.tell(Sent::Done(verdict.map_err(Into::into)));
                }
                _ => {}
            }
        }
        Poll::Ready(Ok(()))
    }
}
