//! What the agent does, whatever the version of WASI that it is built for.
//!
//! What a request means ([`routes`], [`query`], [`accept`], [`lines`], [`peer`],
//! [`refusal`]), how long and in which order a peer is tried and its reply is waited for
//! ([`relay`]), and what an answer looks like ([`console`], [`head`]): plain Rust, tested
//! natively. The components bring the [`Network`](relay::Network) and the answers.

pub mod accept;
pub mod console;
pub mod head;
pub mod lines;
pub mod peer;
pub mod query;
pub mod refusal;
pub mod relay;
pub mod routes;
