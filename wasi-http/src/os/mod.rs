//! HTTP over this machine's network: a client, and what a server needs to pass hyper's messages
//! on.

mod body;
mod client;
mod connect;
mod convert;
mod error;
mod pool;
#[cfg(feature = "tungstenite")]
pub mod websocket;

pub use body::HyperBody;
pub use client::{OsClient, OsClientBuilder};
pub use convert::{TooMany, fields, header_map, request_from_hyper, response_to_hyper};

use std::time::Duration;
use tokio::time::Instant;

/// What is too far away to be told is in thirty years.
fn after(start: Instant, wait: Duration) -> Instant {
    start
        .checked_add(wait)
        .unwrap_or_else(|| start + Duration::from_secs(30 * 365 * 86400))
}
