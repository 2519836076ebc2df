//! An HTTP server for this machine, and what runs guests on it.

mod cores;
mod server;
mod stream;

pub use cores::Cores;
pub use server::{Server, ServerOptions};

use crate::guest::Executor;
use wasi_io::BoxFuture;
use wasi_io::os::Runtime;

impl Executor for Runtime {
    fn spawn(&self, task: BoxFuture<()>) {
        self.handle().spawn(task);
    }

    fn yield_now(&self) -> BoxFuture<()> {
        alloc::boxed::Box::pin(tokio::task::yield_now())
    }
}
