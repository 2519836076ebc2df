use super::{Connection, ErrorCode, Responder, WasiWebSocketCtx};
use crate::guest_fields::strip_forbidden;
use crate::{Fields, Method, Request, Response, Scheme, memory};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use bytes::Bytes;

/// An `upgrade-request` (`agave:websocket/types.upgrade-request`). Dropped without an answer,
/// the host gives its own.
pub struct UpgradeRequest {
    /// The method: `GET`, or `CONNECT` over HTTP/2.
    pub method: Method,
    /// The scheme.
    pub scheme: Option<Scheme>,
    /// Host and port.
    pub authority: Option<String>,
    /// The path with its query.
    pub path_with_query: Option<String>,
    /// The header fields, without those that are the host's
    /// ([`GuestFields`](crate::GuestFields)).
    pub headers: Fields,
    /// The subprotocols that the client speaks, the best first.
    pub subprotocols: Vec<String>,
    responder: Box<dyn Responder>,
}

impl UpgradeRequest {
    /// The guest's view of `request`, whose body is dropped; `responder` answers it.
    pub fn new(request: Request, responder: Box<dyn Responder>) -> Self {
        let mut headers = request.headers;
        strip_forbidden(&mut headers);
        let subprotocols = subprotocols(&headers);
        Self {
            method: request.method,
            scheme: request.scheme,
            authority: request.authority,
            path_with_query: request.path_with_query,
            headers,
            subprotocols,
            responder,
        }
    }

    /// `accept`: with one of the client's subprotocols or none, and more header fields in the
    /// answer.
    ///
    /// # Errors
    /// - [`ErrorCode::InvalidArgument`]: the client did not offer `subprotocol`, or one of
    ///   `headers` belongs to the handshake. The host gives its own answer.
    /// - [`ErrorCode::ConnectionLimit`]: there are as many connections as there may be. The
    ///   answer is 503.
    /// - Those of [`Responder::accept`].
    pub fn accept(
        self,
        ctx: &WasiWebSocketCtx,
        subprotocol: Option<String>,
        headers: Fields,
    ) -> Result<Connection, ErrorCode> {
        let offered = |name: &String| self.subprotocols.contains(name);
        if !subprotocol.as_ref().is_none_or(offered)
            || headers.iter().any(|(name, _)| is_handshake_field(name))
        {
            return Err(ErrorCode::InvalidArgument);
        }
        let leave = match ctx.leave() {
            Ok(leave) => leave,
            Err(code) => {
                self.responder
                    .refuse(response(503, Fields::new(), Bytes::new()));
                return Err(code);
            }
        };
        let limits = ctx.connection_limits();
        let socket = (self.responder).accept(subprotocol.clone(), headers, limits)?;
        let leave = Some(leave);
        Ok(Connection::with_leave(socket, subprotocol, limits, leave))
    }

    /// `refuse`: with an HTTP response.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidArgument`]: `status` is not 200 to 999, or `headers` say another
    /// length than that of `body`. The host gives its own answer.
    pub fn refuse(self, status: u16, headers: Fields, body: Bytes) -> Result<(), ErrorCode> {
        let told = headers.content_length();
        if !(200..=999).contains(&status)
            || !told.is_ok_and(|told| told.is_none_or(|told| told == body.len() as u64))
        {
            return Err(ErrorCode::InvalidArgument);
        }
        self.responder.refuse(response(status, headers, body));
        Ok(())
    }
}

fn response(status: u16, headers: Fields, body: Bytes) -> Response {
    Response {
        status,
        headers,
        body: Box::new(memory::Full::new(body)),
    }
}

/// What `sec-websocket-protocol` says (RFC 6455, section 11.3.4).
fn subprotocols(headers: &Fields) -> Vec<String> {
    headers
        .get_all("sec-websocket-protocol")
        .filter_map(|value| core::str::from_utf8(value).ok())
        .flat_map(|value| value.split(','))
        .map(|name| name.trim_matches([' ', '\t']))
        .filter(|name| !name.is_empty())
        .map(String::from)
        .collect()
}

/// Fields that the handshake itself has (RFC 6455, section 4), or that would change how it is
/// read.
pub(super) fn is_handshake_field(name: &str) -> bool {
    let starts = |prefix: &str| {
        (name.get(..prefix.len())).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    const OTHERS: [&str; 5] = [
        "connection",
        "upgrade",
        "host",
        "content-length",
        "transfer-encoding",
    ];
    starts("sec-websocket-") || OTHERS.iter().any(|other| name.eq_ignore_ascii_case(other))
}
