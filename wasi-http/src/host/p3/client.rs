use super::bindings::wasi::http::types::ErrorCode;
use super::bindings::wasi::http::{client, handler};
use super::bodies::Sent;
use super::messages::{Request, Response};
use super::{WasiHttp, WasiHttpCtxView};
use core::result::Result as Answer;
use wasmtime::Result;
use wasmtime::component::{Accessor, Resource};

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

/// Dropped by a guest that cancels the call, it gives the request up.
async fn send<T: Send>(
    accessor: &Accessor<T, WasiHttp>,
    request: Resource<Request>,
) -> Result<Answer<Resource<Response>, ErrorCode>> {
    let begun = accessor.with(|mut access| {
        let request = access.get().table.delete(request)?;
        let prepared = request.prepare(&mut access)?;
        Ok::<_, wasmtime::Error>(
            prepared
                .map(|(request, options, sent)| (access.get().ctx.send(request, options), sent)),
        )
    })?;
    let (sending, transmission) = match begun {
        Ok(begun) => begun,
        Err(code) => return Ok(Err(code.into())),
    };
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
