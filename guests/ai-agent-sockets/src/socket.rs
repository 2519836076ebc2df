//! The WebSocket: lines in, replies out.

use crate::agent::Agent;
use crate::bindings::agave::websocket::types::{Connection, ErrorCode, Message, UpgradeRequest};
use crate::bindings::exports::agave::websocket::handler::Guest;
use crate::network::Wasi;
use crate::response::text_fields;
use crate::run;
use ai_agent::lines;
use ai_agent::refusal::Refusal;
use ai_agent::relay::Relay;
use ai_agent::routes;

impl Guest for Agent {
    fn handle(request: UpgradeRequest) {
        let path = request.path_with_query().unwrap_or_default();
        // Browsers send one; more are no origin that a page has.
        let origins = request.headers().get("origin");
        let origin = (!origins.is_empty()).then(|| origins.join(&b", "[..]));
        let authority = request.authority();
        if let Err(refusal) = routes::socket(&path, authority.as_deref(), origin.as_deref()) {
            let body = refusal.body();
            let fields = text_fields();
            // A client that has left cannot be told.
            let _ = UpgradeRequest::refuse(
                request,
                refusal.status,
                Some(fields),
                Some(body.as_bytes()),
            );
            return;
        }
        // An error of the connection is its end, whoever ended it.
        if let Ok(connection) = UpgradeRequest::accept(request, None, None) {
            let _ = serve(&connection);
        }
    }
}

/// Answers each line with a message, in their order.
///
/// Errors: the connection ended.
fn serve(connection: &Connection) -> Result<(), ErrorCode> {
    loop {
        match connection.blocking_receive()? {
            Message::Text(text) => {
                for line in lines::of(&text) {
                    answer(connection, reply(line))?;
                }
            }
            Message::Binary(_) => {
                let refusal = Refusal::bad_request("Lines are text, and this message is binary.");
                answer(connection, Err(refusal))?;
            }
        }
    }
}

/// What the line's peer answers.
fn reply(line: &str) -> Result<Vec<u8>, Refusal> {
    let (peer, message) = lines::parse(line)?;
    // A message has no room for the notice.
    run(async {
        Relay::<Wasi>::begin(&peer, message, true, &mut None)
            .await?
            .whole()
            .await
    })
}

fn answer(connection: &Connection, reply: Result<Vec<u8>, Refusal>) -> Result<(), ErrorCode> {
    let message = match reply.map(String::from_utf8) {
        Ok(Ok(text)) => Message::Text(text),
        Ok(Err(other)) => Message::Binary(other.into_bytes()),
        Err(refusal) => Message::Text(refusal.line()),
    };
    match connection.blocking_send(&message) {
        Err(ErrorCode::InvalidArgument) => {
            let refusal = Refusal::bad_gateway("The reply is longer than a message may be here.");
            connection.blocking_send(&Message::Text(refusal.line()))
        }
        sent => sent,
    }
}
