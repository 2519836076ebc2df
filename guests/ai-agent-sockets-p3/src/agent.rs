//! The component over HTTP: a request in, bytes from a peer out.

use crate::bindings::exports::wasi::http::handler::Guest;
use crate::bindings::wasi::http::types::{self, ErrorCode, Request, Response};
use crate::bindings::wasi::random::random::get_random_bytes;
use crate::network::Wasi;
use crate::response::Answer;
use ai_agent::accept::Form;
use ai_agent::console;
use ai_agent::peer::Peer;
use ai_agent::relay::Relay;
use ai_agent::routes::{Method, Route};

pub struct Agent;

impl Guest for Agent {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let method = match request.get_method() {
            types::Method::Get => Method::Get,
            types::Method::Head => Method::Head,
            _ => Method::Other,
        };
        let path = request.get_path_with_query().unwrap_or_default();
        let accept = request.get_headers().get("accept");
        // Nobody reads its body: a client that sends one may go on.
        drop(request);
        let form = Form::preferred(accept.iter().map(Vec::as_slice));
        let answer = Answer {
            head_only: method == Method::Head,
            notice: None,
        };
        Ok(match Route::of(method, &path, form) {
            Ok(Route::Health) => answer.text(200, b"ok"),
            Ok(Route::Console) => answer.page(&console::nonce(&get_random_bytes(16))),
            Ok(Route::Fetch(peer)) => {
                relay(answer, &peer, peer.http_request().as_bytes(), false).await
            }
            Ok(Route::Send(peer, message)) => relay(answer, &peer, &message, true).await,
            Err(refusal) => answer.refuse(&refusal),
        })
    }
}

/// Dials the peer, sends it the message, and answers with its reply.
async fn relay(mut answer: Answer, peer: &Peer, message: &[u8], half_close: bool) -> Response {
    match Relay::<Wasi>::begin(peer, message, half_close, &mut answer.notice).await {
        Ok(relay) if relay.ended => answer.text(200, &relay.beginning),
        Ok(relay) => stream(answer, relay),
        Err(refusal) => answer.refuse(&refusal),
    }
}

/// Passes a reply on as it comes. Where it turns out to be too long, breaks or stalls,
/// the body is left unfinished, so that the client does not take it for complete.
fn stream(answer: Answer, mut relay: Relay<Wasi>) -> Response {
    let head_only = answer.head_only;
    let (response, mut body) = answer.start(200);
    wit_bindgen::spawn_local(async move {
        if head_only {
            return body.finish().await;
        }
        let mut written = body.write(std::mem::take(&mut relay.beginning)).await;
        while written.is_ok() {
            match relay.next().await {
                Ok(Some(bytes)) => written = body.write(bytes).await,
                Ok(None) => return body.finish().await,
                Err(_) => return,
            }
        }
    });
    response
}
