//! Ours.

use crate::Failure;
use agave_host::os::{Server, ServerOptions};
use agave_host::{Ctx, Host, Limits, Service};
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn run(component: &[u8], timeout: Option<Duration>) -> Result<(), Failure> {
    let host = Host::builder().build()?;
    let program = host.load(component)?;
    let server = Server::bind(super::ANY_PORT, ServerOptions::new())?;
    println!("{}", server.address()?);
    let limits = Limits::new().timeout(timeout.map(|timeout| timeout.as_nanos() as u64));
    let ctx = move |_| Ctx::builder().limits(limits.clone()).build();
    let service = Service::new(program, ctx, Arc::new(server.cores().clone()))?;
    let service = service.report(|number, error| eprintln!("request {number}: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(server.serve(service, std::future::pending()))?;
    Ok(())
}
