//! Waiting, but not for ever.

use crate::bindings::wasi::clocks::monotonic_clock::wait_until;
use ai_agent::relay::Deadline;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

/// The deadline passed before what was waited for came.
#[derive(Debug)]
pub struct Expired;

/// Waits for `wanted`, which is not dropped where it has not come by then.
///
/// Errors: the deadline passed, and it is not there.
pub async fn wait<T>(
    deadline: Deadline,
    mut wanted: Pin<&mut (impl Future<Output = T> + ?Sized)>,
) -> Result<T, Expired> {
    let mut passed = pin!(wait_until(deadline.0));
    poll_fn(|context| match wanted.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Ok(value)),
        Poll::Pending => passed.as_mut().poll(context).map(|()| Err(Expired)),
    })
    .await
}
