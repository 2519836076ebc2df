//! Ours.

use super::{AT_ONCE, REUSE, Settings};
use crate::Failure;
use agave_host::os::{Server, ServerOptions};
use agave_host::{Ctx, Host, Limits, Service};
use std::sync::Arc;

pub(crate) fn run(component: &[u8], settings: Settings) -> Result<(), Failure> {
    let host = Host::builder().build()?;
    let program = host.load(component)?;
    let server = Server::bind(super::ANY_PORT, ServerOptions::new())?;
    println!("{}", server.address()?);
    let limits = Limits::new().timeout(settings.timeout.map(|timeout| timeout.as_nanos() as u64));
    let ctx = move |_| Ctx::builder().limits(limits.clone()).build();
    let service = Service::new(program, ctx, Arc::new(server.cores().clone()))?;
    let (reuse, at_once) = match settings.reuse {
        true => (REUSE, AT_ONCE),
        false => (1, 1),
    };
    let service = service.reuse(reuse as u32).concurrent_reuse(at_once as u32);
    let service = service.report(|number, error| eprintln!("request {number}: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(server.serve(service, std::future::pending()))?;
    Ok(())
}
