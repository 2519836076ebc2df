use super::{WasiIoCtxView, bindings::wasi::io::poll};
use crate::{Pollable, Trap};
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::any::Any;
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use wasmtime::component::{Resource, ResourceTable};

/// A `pollable`: a wait for an event of another resource, or for one of its own.
pub struct DynPollable(Source);

enum Source {
    /// The resource with this index, which is this one's parent in the table.
    Parent(u32, fn(&mut dyn Any, &mut Context<'_>) -> Poll<()>),
    Own(Box<dyn Pollable>),
}

/// A new pollable for `resource`, as its child: the resource can't be dropped before it.
///
/// # Errors
/// The table has no such resource, or is full.
pub fn subscribe<T: Pollable>(
    table: &mut ResourceTable,
    resource: &Resource<T>,
) -> wasmtime::Result<Resource<DynPollable>> {
    fn poll<T: Pollable>(any: &mut dyn Any, cx: &mut Context<'_>) -> Poll<()> {
        match any.downcast_mut::<T>() {
            Some(resource) => resource.poll_ready(cx),
            // `subscribe` looked at the type, and a parent outlives its child.
            None => Poll::Ready(()),
        }
    }
    table.get(resource)?;
    let pollable = DynPollable(Source::Parent(resource.rep(), poll::<T>));
    Ok(table.push_child(pollable, resource)?)
}

/// A new pollable for an event that belongs to no resource, such as a time.
///
/// # Errors
/// The table is full.
pub fn subscribe_owned(
    table: &mut ResourceTable,
    event: impl Pollable,
) -> wasmtime::Result<Resource<DynPollable>> {
    Ok(table.push(DynPollable(Source::Own(Box::new(event))))?)
}

fn poll_one(
    table: &mut ResourceTable,
    pollable: &Resource<DynPollable>,
    cx: &mut Context<'_>,
) -> wasmtime::Result<Poll<()>> {
    match &mut table.get_mut(pollable)?.0 {
        Source::Own(event) => Ok(event.poll_ready(cx)),
        Source::Parent(parent, poll) => {
            let (parent, poll) = (*parent, *poll);
            Ok(poll(table.get_any_mut(parent)?, cx))
        }
    }
}

impl poll::Host for WasiIoCtxView<'_> {
    async fn poll(&mut self, pollables: Vec<Resource<DynPollable>>) -> wasmtime::Result<Vec<u32>> {
        if pollables.is_empty() {
            return Err(Trap("wasi:io/poll.poll: the list is empty").into());
        }
        poll_fn(|cx| {
            let mut ready = Vec::new();
            for (index, pollable) in (0..).zip(&pollables) {
                match poll_one(self.table, pollable, cx) {
                    Ok(Poll::Ready(())) => ready.push(index),
                    Ok(Poll::Pending) => {}
                    Err(trap) => return Poll::Ready(Err(trap)),
                }
            }
            match ready.is_empty() {
                true => Poll::Pending,
                false => Poll::Ready(Ok(ready)),
            }
        })
        .await
    }
}

impl poll::HostPollable for WasiIoCtxView<'_> {
    fn ready(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<bool> {
        let mut cx = Context::from_waker(Waker::noop());
        Ok(poll_one(self.table, &pollable, &mut cx)?.is_ready())
    }

    async fn block(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        poll_fn(|cx| match poll_one(self.table, &pollable, cx) {
            Ok(poll) => poll.map(Ok),
            Err(trap) => Poll::Ready(Err(trap)),
        })
        .await
    }

    fn drop(&mut self, pollable: Resource<DynPollable>) -> wasmtime::Result<()> {
        self.table.delete(pollable)?;
        Ok(())
    }
}
