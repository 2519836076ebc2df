pub mod p2;
#[cfg(feature = "websocket")]
pub mod websocket;
