//! The component: a request in, bytes from a peer out.

use crate::bindings::exports::wasi::http::incoming_handler::Guest;
use crate::bindings::wasi::http::types::{self, IncomingRequest, ResponseOutparam};
use crate::bindings::wasi::sockets::instance_network::instance_network;
use crate::deadline::Deadline;
use crate::dial::{Addresses, Connection};
use crate::exchange::{Exchange, Stop};
use crate::refusal::Refusal;
use crate::response::Client;
use crate::routes::{Method, Peer, Route};
use std::time::Duration;

/// So long a peer has for its first byte, resolving and connecting included, and for
/// each byte after it.
const ANSWER: Duration = Duration::from_secs(10);

/// So long after a reply's first byte the head is held back, for the reply to end or to
/// prove too long: a status cannot be taken back.
const GRACE: Duration = Duration::from_millis(200);

/// Longer replies are refused.
const MAX_REPLY: usize = 1024 * 1024;

pub struct Agent;

impl Guest for Agent {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let method = match request.method() {
            types::Method::Get => Method::Get,
            types::Method::Head => Method::Head,
            _ => Method::Other,
        };
        let path = request.path_with_query().unwrap_or_default();
        let client = Client {
            out,
            head_only: method == Method::Head,
            notice: None,
        };
        match Route::of(method, &path) {
            Ok(Route::Health) => client.text(200, b"ok"),
            Ok(Route::Fetch(peer)) => {
                relay(client, &peer, peer.http_request().as_bytes(), false);
            }
            Ok(Route::Send(peer, message)) => relay(client, &peer, &message, true),
            Err(refusal) => client.refuse(refusal),
        }
    }
}

/// Dials the peer, sends it the message, and answers with its reply.
fn relay(mut client: Client, peer: &Peer, message: &[u8], half_close: bool) {
    let deadline = Deadline::after(ANSWER);
    let mut dial = || {
        let network = instance_network();
        let addresses = Addresses::resolve(peer, &network, &deadline)?;
        client.notice.clone_from(&addresses.notice);
        Connection::open(peer, &addresses, &network, &deadline)
    };
    let connection = match dial() {
        Ok(connection) => connection,
        Err(refusal) => return client.refuse(refusal),
    };
    let mut exchange = Exchange::new(connection, message, half_close);
    match beginning(&mut exchange, peer, &deadline) {
        Ok(Beginning { bytes, ended: true }) => client.text(200, &bytes),
        Ok(Beginning { bytes, .. }) => stream(client, &mut exchange, &bytes),
        Err(refusal) => client.refuse(refusal),
    }
}

/// What came of a reply while its head was held back.
struct Beginning {
    bytes: Vec<u8>,
    ended: bool,
}

/// Collects the reply up to the first pause after the grace: a reply that ends or grows
/// too long before it gets its true status, any other streams from there.
///
/// Errors: 504 where no byte comes before the deadline; 502 where the reply is empty,
/// too long, or cut off by an error.
fn beginning(
    exchange: &mut Exchange<'_>,
    peer: &Peer,
    deadline: &Deadline,
) -> Result<Beginning, Refusal> {
    let broken =
        |cause: &str| Refusal::bad_gateway(format!("The connection to {peer} failed: {cause}."));
    let mut bytes = match exchange.next(deadline) {
        Ok(Some(bytes)) => bytes,
        Ok(None) => {
            return Err(match exchange.send_error() {
                Some(cause) => broken(cause),
                None => {
                    Refusal::bad_gateway(format!("{peer} closed the connection without an answer."))
                }
            });
        }
        Err(Stop::Expired) => {
            return Err(Refusal::gateway_timeout(format!(
                "{peer} did not answer within {} seconds.",
                ANSWER.as_secs()
            )));
        }
        Err(Stop::Broken(cause)) => return Err(broken(&cause)),
    };
    let grace = Deadline::after(GRACE);
    loop {
        if bytes.len() > MAX_REPLY {
            return Err(Refusal::bad_gateway(format!(
                "The reply of {peer} is longer than {MAX_REPLY} bytes."
            )));
        }
        let ended = match exchange.next(&grace) {
            Ok(Some(more)) => {
                bytes.extend(more);
                continue;
            }
            Ok(None) => true,
            Err(Stop::Expired) => false,
            Err(Stop::Broken(cause)) => return Err(broken(&cause)),
        };
        return Ok(Beginning { bytes, ended });
    }
}

/// Passes a reply on as it comes. Where it turns out to be too long, breaks or stalls,
/// the body is left unfinished, so that the client does not take it for complete.
fn stream(client: Client, exchange: &mut Exchange<'_>, beginning: &[u8]) {
    let head_only = client.head_only;
    let mut body = client.start(200, None);
    if head_only {
        return body.finish();
    }
    let mut total = beginning.len();
    let mut written = body.write(beginning);
    while written.is_ok() {
        match exchange.next(&Deadline::after(ANSWER)) {
            Ok(Some(bytes)) if total + bytes.len() <= MAX_REPLY => {
                total += bytes.len();
                written = body.write(&bytes);
            }
            Ok(None) => return body.finish(),
            Ok(Some(_)) | Err(_) => return,
        }
    }
}
