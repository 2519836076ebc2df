//! Waits that end.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use wasi_clocks::Sleep;
use wasi_io::Pollable;

/// What `future` gives, or `None` where `sleep` is over first.
pub(super) async fn until<T>(sleep: &mut Sleep, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => sleep.poll_ready(cx).map(|()| None),
    })
    .await
}
