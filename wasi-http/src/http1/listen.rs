//! A server's connections, as they come.

use super::server::Http1Server;
use super::stop::Stop;
use super::{Spawn, time};
use crate::{Request, Response};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::{Future, poll_fn};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll};
use wasi_io::WakerSet;
use wasi_sockets::TcpListener;

impl Http1Server {
    /// Accepts connections from `listener` and serves each in a task on `spawn`, see
    /// [`Http1Server::serve_connection`], until `stop` is told to. Then closes the listener,
    /// lets responses go on for the grace, cuts off what is left ([`Stop::abort`]), and
    /// returns when all tasks have ended.
    pub fn run<H, F>(
        &self,
        listener: Arc<dyn TcpListener>,
        spawn: Arc<dyn Spawn>,
        handler: Arc<H>,
        stop: Stop,
    ) -> impl Future<Output = ()> + Send + use<H, F>
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output = Response> + Send + 'static,
    {
        let server = self.clone();
        async move {
            let open = Arc::new(Open::default());
            let watch = stop.watch();
            poll_fn(|cx| {
                while watch.poll_stopping(cx).is_pending() {
                    if open.poll_below(cx, server.max_connections).is_pending() {
                        return Poll::Pending;
                    }
                    match listener.poll_accept(cx) {
                        Poll::Ready(Ok(stream)) => {
                            let counted = Counted::new(&open);
                            let served = server.serve_connection(stream, handler.clone(), &stop);
                            spawn.spawn(Box::pin(async move {
                                served.await;
                                drop(counted);
                            }));
                        }
                        // It left before it was accepted, or no socket is left: others first.
                        Poll::Ready(Err(_)) => {
                            cx.waker().wake_by_ref();
                            return Poll::Pending;
                        }
                        Poll::Pending => return Poll::Pending,
                    }
                }
                Poll::Ready(())
            })
            .await;
            drop(listener);
            let mut grace = server.clocks().sleep(server.grace);
            let ended = || poll_fn(|cx| open.poll_below(cx, 1));
            if time::until(&mut grace, ended()).await.is_none() {
                stop.abort();
                ended().await;
            }
        }
    }
}

/// How many connections there are.
#[derive(Default)]
struct Open {
    count: AtomicUsize,
    fewer: WakerSet,
}

impl Open {
    /// Ready while there are fewer than `max`.
    fn poll_below(&self, cx: &mut Context<'_>, max: usize) -> Poll<()> {
        let below = || self.count.load(Ordering::Acquire) < max;
        if below() {
            return Poll::Ready(());
        }
        self.fewer.register(cx.waker());
        // It may have come before the waker was there.
        match below() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

struct Counted(Arc<Open>);

impl Counted {
    fn new(open: &Arc<Open>) -> Self {
        open.count.fetch_add(1, Ordering::AcqRel);
        Self(open.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::AcqRel);
        self.0.fewer.wake_all();
    }
}
