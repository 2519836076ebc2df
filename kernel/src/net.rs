//! The network of programs. So far it is one in memory, on which they reach each other and
//! themselves; a network card's takes its place here.

use alloc::sync::Arc;
use wasi_sockets::{LoopbackNet, Network};

/// The network that all programs are on.
pub(crate) fn network() -> Arc<dyn Network> {
    let localhost = ["127.0.0.1", "::1"].map(|ip| ip.parse().ok());
    let addresses = localhost.into_iter().flatten();
    Arc::new(LoopbackNet::new().with_name("localhost", addresses))
}
