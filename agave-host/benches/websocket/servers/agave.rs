//! Ours, with the limits that `agave serve` has by default.

use crate::Failure;
use agave_host::os::{Server, ServerOptions};
use agave_host::{Ctx, Host, Limits, Service};
use std::path::Path;
use std::sync::Arc;

/// Nanoseconds that a guest has until it answers.
const TIMEOUT: u64 = 60_000_000_000;

pub(crate) fn run() -> Result<(), Failure> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests/ws_echo.wasm");
    let component = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let program = Host::builder().build()?.load(&component)?;
    let server = Server::bind(super::ANY_PORT, ServerOptions::new())?;
    println!("{}", server.address()?);
    let limits = Limits::new().timeout(Some(TIMEOUT));
    let ctx = move |_| Ctx::builder().limits(limits.clone()).build();
    let service = Service::new(program, ctx, Arc::new(server.cores().clone()))?;
    let service = service.report(|number, error| eprintln!("connection {number}: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(server.serve(service, std::future::pending()))?;
    Ok(())
}
