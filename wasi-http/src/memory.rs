//! Bodies and a client that need no network.

use crate::{Body, BoxFuture, Client, ErrorCode, Frame, Request, RequestOptions, Response};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use bytes::Bytes;
use core::mem;
use core::task::{Context, Poll};

type Item = Result<Frame, ErrorCode>;

/// A body without content.
#[derive(Clone, Copy, Debug, Default)]
pub struct Empty;

impl Body for Empty {
    fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Item>> {
        Poll::Ready(None)
    }

    fn remaining(&self) -> Option<u64> {
        Some(0)
    }

    fn is_end(&self) -> bool {
        true
    }
}

/// A body whose content is all there.
#[derive(Clone, Debug, Default)]
pub struct Full(Bytes);

impl Full {
    /// With this content.
    pub fn new(content: impl Into<Bytes>) -> Self {
        Self(content.into())
    }
}

impl Body for Full {
    fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Item>> {
        Poll::Ready(match self.0.is_empty() {
            true => None,
            false => Some(Ok(Frame::Data(mem::take(&mut self.0)))),
        })
    }

    fn remaining(&self) -> Option<u64> {
        Some(self.0.len() as u64)
    }

    fn is_end(&self) -> bool {
        self.0.is_empty()
    }
}

/// A body of parts that are all there, and maybe an error.
#[derive(Default)]
pub struct Frames(VecDeque<Item>);

impl Frames {
    /// With these parts, in this order; nothing comes after an error.
    pub fn new(parts: impl IntoIterator<Item = Item>) -> Self {
        Self(parts.into_iter().collect())
    }
}

impl Body for Frames {
    fn poll_frame(&mut self, _: &mut Context<'_>) -> Poll<Option<Item>> {
        let part = self.0.pop_front();
        if let Some(Err(_)) = part {
            self.0.clear();
        }
        Poll::Ready(part)
    }

    fn is_end(&self) -> bool {
        self.0.is_empty()
    }
}

/// A client that asks a function, which answers at once. The body of its response may be
/// still under way, such as that of the request.
pub struct Service<F>(F);

impl<F> Service<F>
where
    F: Fn(Request, RequestOptions) -> Result<Response, ErrorCode> + Send + Sync + 'static,
{
    /// Answers with `answer`.
    pub fn new(answer: F) -> Self {
        Self(answer)
    }
}

impl<F> Client for Service<F>
where
    F: Fn(Request, RequestOptions) -> Result<Response, ErrorCode> + Send + Sync + 'static,
{
    fn send(
        &self,
        request: Request,
        options: RequestOptions,
    ) -> BoxFuture<Result<Response, ErrorCode>> {
        Box::pin(core::future::ready((self.0)(request, options)))
    }
}
