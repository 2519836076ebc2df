//! The component over HTTP: a request in, bytes from a peer out.

use crate::bindings::exports::wasi::http::incoming_handler::Guest;
use crate::bindings::wasi::http::types::{self, IncomingRequest, ResponseOutparam};
use crate::bindings::wasi::random::random::get_random_bytes;
use crate::network::Wasi;
use crate::response::Client;
use crate::run;
use ai_agent::accept::Form;
use ai_agent::console;
use ai_agent::peer::Peer;
use ai_agent::relay::Relay;
use ai_agent::routes::{Method, Route};

pub struct Agent;

impl Guest for Agent {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let method = match request.method() {
            types::Method::Get => Method::Get,
            types::Method::Head => Method::Head,
            _ => Method::Other,
        };
        let path = request.path_with_query().unwrap_or_default();
        let accept = request.headers().get("accept");
        let form = Form::preferred(accept.iter().map(Vec::as_slice));
        let client = Client {
            out,
            head_only: method == Method::Head,
            notice: None,
        };
        match Route::of(method, &path, form) {
            Ok(Route::Health) => client.text(200, b"ok"),
            Ok(Route::Console) => client.page(&console::nonce(&get_random_bytes(16))),
            Ok(Route::Fetch(peer)) => {
                relay(client, &peer, peer.http_request().as_bytes(), false);
            }
            Ok(Route::Send(peer, message)) => relay(client, &peer, &message, true),
            Err(refusal) => client.refuse(&refusal),
        }
    }
}

/// Dials the peer, sends it the message, and answers with its reply.
fn relay(mut client: Client, peer: &Peer, message: &[u8], half_close: bool) {
    match run(Relay::<Wasi>::begin(
        peer,
        message,
        half_close,
        &mut client.notice,
    )) {
        Ok(relay) if relay.ended => client.text(200, &relay.beginning),
        Ok(relay) => stream(client, relay),
        Err(refusal) => client.refuse(&refusal),
    }
}

/// Passes a reply on as it comes. Where it turns out to be too long, breaks or stalls,
/// the body is left unfinished, so that the client does not take it for complete.
fn stream(client: Client, mut relay: Relay<Wasi>) {
    let head_only = client.head_only;
    let mut body = client.start(200);
    if head_only {
        return body.finish();
    }
    let mut written = body.write(&relay.beginning);
    while written.is_ok() {
        match run(relay.next()) {
            Ok(Some(bytes)) => written = body.write(&bytes),
            Ok(None) => return body.finish(),
            Err(_) => return,
        }
    }
}
