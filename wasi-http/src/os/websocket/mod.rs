//! WebSockets over this machine's network: [`OsClient`](super::OsClient) as a
//! [`Connector`](crate::websocket::Connector), and what a server needs to accept them from
//! hyper. tungstenite speaks the protocol.

mod blocking;
mod client;
mod driver;
mod server;

pub use server::{Answer, Server, is_upgrade};

use http::{HeaderMap, HeaderName};

/// Whether one of the values of `name`, which are lists, has `token`, in any case.
fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    let mut values = headers.get_all(name).iter();
    values.any(|value| {
        let mut tokens = value.to_str().unwrap_or_default().split(',');
        tokens.any(|it| it.trim_matches([' ', '\t']).eq_ignore_ascii_case(token))
    })
}
