use super::bindings::wasi::http::types::ErrorCode;
use super::bindings::wasi::http::{client, handler};
use super::bodies::Sent;
use super::messages::{Request, Response};
use super::{WasiHttp, WasiHttpCtxView};
use crate::Body;
use core::future::poll_fn;
use core::mem;
use core::result::Result as Answer;
use core::task::Poll;
use wasmtime::Result;
use wasmtime::component::{Accessor, Resource};

/// One for the future to be read, one for that to be heard, and as many in reserve.
const SETTLE_TURNS: usize = 4;

impl client::Host for WasiHttpCtxView<'_> {}

impl<T: Send> client::HostWithStore<T> for WasiHttp {
    async fn send(
        accessor: &Accessor<T, Self>,
        request: Resource<Request>,
    ) -> Result<Answer<Resource<Response>, ErrorCode>> {
        send(accessor, request).await
    }
}

impl handler::Host for WasiHttpCtxView<'_> {}

impl<T: Send> handler::HostWithStore<T> for WasiHttp {
    async fn handle(
        accessor: &Accessor<T, Self>,
        request: Resource<Request>,
    ) -> Result<Answer<Resource<Response>, ErrorCode>> {
        send(accessor, request).await
    }
}

/// Gives a guest that has said already that there are no trailers the turns in which that is
/// heard: a request without a body is sent as one. Others are not waited for.
async fn settle(body: &mut dyn Body) {
    for _ in 0..SETTLE_TURNS {
        if body.is_end() {
            return;
        }
        let mut waited = false;
        poll_fn(|cx| {
            if mem::replace(&mut waited, true) {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

/// Dropped by a guest that cancels the call, it gives the request up.
async fn send<T: Send>(
    accessor: &Accessor<T, WasiHttp>,
    request: Resource<Request>,
) -> Result<Answer<Resource<Response>, ErrorCode>> {
    let prepared = accessor.with(|mut access| {
        let request = access.get().table.delete(request)?;
        request.prepare(&mut access)
    })?;
    let (mut request, options, transmission) = match prepared {
        Ok(prepared) => prepared,
        Err(code) => return Ok(Err(code.into())),
    };
    if request.body.remaining() == Some(0) {
        settle(&mut *request.body).await;
    }
    let sending = accessor.with(|mut access| access.get().ctx.send(request, options));
    let answer = match sending {
        Ok(sending) => sending.await,
        Err(code) => Err(code),
    };
    if let Some((transmission, delivery)) = transmission {
        // Who sees the request delivered may not see that nobody received it, so the answer
        // comes first.
        transmission.tell(match &answer {
            Ok(_) => Sent::Underway(delivery),
            Err(code) => Sent::Done(Err(code.clone())),
        });
    }
    match answer {
        Ok(response) => accessor.with(|mut access| {
            let response = access.get().table.push(Response::from_host(response))?;
            Ok(Ok(response))
        }),
        Err(code) => Ok(Err(code.into())),
    }
}
