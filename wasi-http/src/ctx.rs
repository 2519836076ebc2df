use crate::{
    BoxFuture, Client, ErrorCode, FutureIncomingResponse, OutgoingRequest, Request, RequestOptions,
    Response,
};
use alloc::boxed::Box;
use alloc::sync::Arc;

/// One guest's HTTP: what sends its requests, and its limits.
#[derive(Clone)]
pub struct WasiHttpCtx {
    client: Arc<dyn Client>,
    fields_limit: usize,
    body_window: usize,
}

impl WasiHttpCtx {
    /// No requests, 128 KiB of fields, 64 KiB of a body under way.
    pub fn new() -> Self {
        Self {
            client: Arc::new(Denied),
            fields_limit: 128 << 10,
            body_window: 64 << 10,
        }
    }

    /// Sends the guest's requests with `client`.
    pub fn client(mut self, client: Arc<dyn Client>) -> Self {
        self.client = client;
        self
    }

    /// The most bytes that fields made by the guest may have, each counted as
    /// [`Fields::size`](crate::Fields::size) does: it limits their number as well.
    pub fn fields_limit(mut self, bytes: usize) -> Self {
        self.fields_limit = bytes;
        self
    }

    /// How many bytes of a body that the guest writes wait for the network, at least 1.
    pub fn body_window(mut self, bytes: usize) -> Self {
        self.body_window = bytes.max(1);
        self
    }

    /// The limit on the fields that the guest makes, in bytes.
    pub fn max_fields(&self) -> usize {
        self.fields_limit
    }

    /// How many bytes of a body wait.
    pub fn window(&self) -> usize {
        self.body_window
    }

    /// `outgoing-handler.handle`: sends `request`.
    ///
    /// # Errors
    /// Those of [`OutgoingRequest::into_request`], and those that the client knows at once,
    /// such as [`ErrorCode::HttpRequestDenied`]. The future has the others.
    pub fn handle(
        &self,
        request: OutgoingRequest,
        options: RequestOptions,
    ) -> Result<FutureIncomingResponse, ErrorCode> {
        let request = request.into_request()?;
        FutureIncomingResponse::unless_refused(self.client.send(request, options))
    }
}

impl Default for WasiHttpCtx {
    fn default() -> Self {
        Self::new()
    }
}

/// A client that sends nothing: every request is [`ErrorCode::HttpRequestDenied`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Denied;

impl Client for Denied {
    fn send(&self, _: Request, _: RequestOptions) -> BoxFuture<Result<Response, ErrorCode>> {
        Box::pin(core::future::ready(Err(ErrorCode::HttpRequestDenied)))
    }
}
