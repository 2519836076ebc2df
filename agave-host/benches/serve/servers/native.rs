//! hyper without any component: the most that a server could reach.

use crate::Failure;
use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;

pub(crate) fn run() -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(super::accept(|stream| async move {
        let answer = service_fn(|_| async {
            let hello = Full::new(Bytes::from_static(b"hello world\n"));
            Ok::<_, Infallible>(http::Response::new(hello))
        });
        // A connection ends with its client.
        let _ = http1::Builder::new()
            .serve_connection(TokioIo::new(stream), answer)
            .await;
    }))
}
