//! A service on a network without hyper.

use super::Service;
use crate::BoxFuture;
use alloc::sync::Arc;
use core::future::Future;
use wasi_http::http1::{Http1Server, Stop};
use wasi_sockets::TcpListener;

impl Service {
    /// Answers the requests of HTTP/1.1 that come to `listener`, as `server` is set up, until
    /// `stop` is told to: all that a system without hyper needs. Connections are tasks of the
    /// service's executor. A request that gets no response of its guest's has
    /// [`ServeError::response`](crate::ServeError::response).
    ///
    /// The guests that run at once are bounded by [`Http1Server::max_connections`], but for
    /// those that go on after their response.
    pub fn serve_http1(
        &self,
        server: &Http1Server,
        listener: Arc<dyn TcpListener>,
        stop: Stop,
    ) -> impl Future<Output = ()> + Send + use<> {
        let executor = self.0.executor.clone();
        let spawn = move |task: BoxFuture<()>| executor.spawn(task);
        let service = self.clone();
        let handler = move |request| {
            let service = service.clone();
            async move {
                let answered = service.handle(request).await;
                answered.unwrap_or_else(|error| error.response())
            }
        };
        server.run(listener, Arc::new(spawn), Arc::new(handler), stop)
    }
}
