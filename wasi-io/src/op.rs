use alloc::boxed::Box;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

/// A boxed future that owns what it needs.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An operation that is done, or a future that will be.
///
/// `Ready` allocates nothing and needs no executor: whoever can answer at once does. Where the
/// later answer can't be the same thing (bytes that were to go into the caller's buffer), `L`
/// is what comes later.
#[must_use = "a pending operation is to be awaited"]
pub enum Op<T, L = T> {
    /// Done.
    Ready(T),
    /// Not yet.
    Pending(BoxFuture<L>),
}

impl<T: 'static> Op<T> {
    /// An operation that is done if `future` is when it is first polled: for operations of
    /// several steps, each of which may be pending.
    pub fn start(future: impl Future<Output = T> + Send + 'static) -> Self {
        let mut future = Box::pin(future);
        let mut cx = Context::from_waker(Waker::noop());
        match future.as_mut().poll(&mut cx) {
            Poll::Ready(value) => Self::Ready(value),
            Poll::Pending => Self::Pending(future),
        }
    }

    /// The same operation with `f` done to what it gives.
    pub fn map<U>(self, f: impl FnOnce(T) -> U + Send + 'static) -> Op<U> {
        match self {
            Self::Ready(value) => Op::Ready(f(value)),
            Self::Pending(future) => Op::Pending(Box::pin(async move { f(future.await) })),
        }
    }

    /// What it gives, waited for.
    pub async fn finish(self) -> T {
        match self {
            Self::Ready(value) => value,
            Self::Pending(future) => future.await,
        }
    }
}

impl<T: Send + 'static, E: Send + 'static> Op<Result<T, E>> {
    /// The operation that `f` makes of what this one gives, where it does not fail.
    pub fn and_then<U: Send + 'static>(
        self,
        f: impl FnOnce(T) -> Op<Result<U, E>> + Send + 'static,
    ) -> Op<Result<U, E>> {
        match self {
            Self::Ready(Ok(value)) => f(value),
            Self::Ready(Err(error)) => Op::failed(error),
            Self::Pending(future) => Op::Pending(Box::pin(async move {
                let next = f(future.await?);
                next.finish().await
            })),
        }
    }
}

impl<T, L, E> Op<Result<T, E>, Result<L, E>> {
    /// An operation that failed already.
    pub const fn failed(error: E) -> Self {
        Self::Ready(Err(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::future::{pending, poll_fn, ready};

    #[test]
    fn what_is_done_at_the_first_poll_is_ready_and_mapped_so() {
        let op = Op::start(ready(1)).map(|n| n + 1);
        assert!(matches!(op, Op::Ready(2)));
        assert!(matches!(Op::start(pending::<()>()), Op::Pending(_)));
    }

    #[test]
    fn the_second_operation_is_made_when_the_first_succeeded_and_only_then() {
        let then = |op: Op<Result<i32, &'static str>>| {
            op.and_then(|n| Op::Pending(Box::pin(ready(Ok(n + 1)))))
        };
        for (first, end) in [(Ok(1), Ok(2)), (Err("no"), Err("no"))] {
            assert_eq!(pollster::block_on(then(Op::Ready(first)).finish()), end);
            let pending = Op::Pending(Box::pin(ready(first)) as BoxFuture<_>);
            assert_eq!(pollster::block_on(then(pending).finish()), end);
        }
        let both_done = Op::Ready(Ok::<_, ()>(1)).and_then(|n| Op::Ready(Ok(n + 1)));
        assert!(matches!(both_done, Op::Ready(Ok(2))));
    }

    #[test]
    fn what_is_pending_ends_once_with_what_was_mapped() {
        let mut polls = 0;
        let op = Op::start(poll_fn(move |cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            if polls < 3 {
                Poll::Pending
            } else {
                Poll::Ready(polls)
            }
        }));
        assert_eq!(pollster::block_on(op.map(|n| n * 10).finish()), 30);
    }
}
