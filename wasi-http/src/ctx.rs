use crate::{
    BoxFuture, Client, ErrorCode, FutureIncomingResponse, OutgoingRequest, Request, RequestOptions,
    Response, Scheme, uri,
};
use alloc::boxed::Box;
use alloc::sync::Arc;
use wasi_sockets::{HttpGrant, NetworkPolicy};

/// One guest's HTTP: what sends its requests, and its limits.
#[derive(Clone)]
pub struct WasiHttpCtx {
    client: Arc<dyn Client>,
    policy: Option<NetworkPolicy>,
    fields_limit: usize,
    body_window: usize,
}

impl WasiHttpCtx {
    /// No requests, 128 KiB of fields, 64 KiB of a body under way.
    pub fn new() -> Self {
        Self {
            client: Arc::new(Denied),
            policy: None,
            fields_limit: 128 << 10,
            body_window: 64 << 10,
        }
    }

    /// Sends the guest's requests with `client`.
    pub fn client(mut self, client: Arc<dyn Client>) -> Self {
        self.client = client;
        self
    }

    /// Sends only what `policy` allows, each request judged as a connection to the host and
    /// port of its authority. Where the client looks up names itself, it asks
    /// [`Request::grant`] which addresses may be used.
    pub fn policy(mut self, policy: NetworkPolicy) -> Self {
        self.policy = Some(policy);
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
    /// Those of [`OutgoingRequest::into_request`]; [`ErrorCode::HttpRequestDenied`], where the
    /// policy does not allow it; and those that the client knows at once. The future has the
    /// others.
    pub fn handle(
        &self,
        request: OutgoingRequest,
        options: RequestOptions,
    ) -> Result<FutureIncomingResponse, ErrorCode> {
        FutureIncomingResponse::unless_refused(self.send(request.into_request()?, options)?)
    }

    /// `client.send` and `handler.handle` of 0.3: sends `request`, as [`Client::send`] does.
    ///
    /// # Errors
    /// [`ErrorCode::HttpRequestDenied`], where the policy does not allow it. The future has the
    /// client's.
    pub fn send(
        &self,
        mut request: Request,
        options: RequestOptions,
    ) -> Result<Sending, ErrorCode> {
        if let Some(policy) = &self.policy {
            request.grant = Some(grant(policy, &mut request)?);
        }
        Ok(self.client.send(request, options))
    }
}

/// A request under way: the response, once its head is there.
type Sending = BoxFuture<Result<Response, ErrorCode>>;

/// The leave to send `request`. What the client could choose of its target is settled with it:
/// what is judged is what is sent.
fn grant(policy: &NetworkPolicy, request: &mut Request) -> Result<HttpGrant, ErrorCode> {
    let scheme = request.scheme.get_or_insert(Scheme::Https);
    let authority = request.authority.as_deref().unwrap_or_default();
    let (host, port) = uri::host_and_port(authority);
    let port = port.unwrap_or(match scheme {
        Scheme::Http => 80,
        Scheme::Https => 443,
        Scheme::Other(_) => 0,
    });
    (policy.request(host, port)).map_err(|_| ErrorCode::HttpRequestDenied)
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
