//! Instances: made, given a request, and kept for the next one.

use super::answer::{Answer, Sender};
use super::{Inner, RequestNumber};
use crate::HostState;
use crate::guest::{Guest, limited};
use alloc::boxed::Box;
use alloc::sync::Arc;
use wasi_http::p2::{WasiHttpView, new_incoming_request, new_response_outparam};
use wasi_http::{IncomingRequest, Request, ResponseOutparam};
use wasmtime::component::{Resource, TypedFunc};
use wasmtime::{Result, Store};

type Handle = TypedFunc<(Resource<IncomingRequest>, Resource<ResponseOutparam>), ()>;

/// A store, with the program's instance in it from its first request on.
pub(super) struct Instance {
    store: Store<HostState>,
    handle: Option<Handle>,
    number: RequestNumber,
    uses: u32,
}

impl Instance {
    fn new(service: &Inner) -> Self {
        let number = RequestNumber::default();
        let engine = service.pre.engine();
        let state = HostState::new((service.ctx)(number.clone()));
        let executor = service.executor.clone();
        Self {
            store: state.into_store(engine, move || executor.yield_now()),
            handle: None,
            number,
            uses: 0,
        }
    }

    async fn handle(&mut self, service: &Inner) -> Result<Handle> {
        if let Some(handle) = self.handle {
            return Ok(handle);
        }
        let instance = service.pre.instantiate_async(&mut self.store).await?;
        let handle = instance.get_typed_func(&mut self.store, service.handle)?;
        self.handle = Some(handle);
        Ok(handle)
    }

    async fn answer(&mut self, service: &Inner, request: Request, sender: Sender) -> Result<()> {
        let handle = self.handle(service).await?;
        let state = self.store.data_mut();
        let request = new_incoming_request(state.http().table, request)?;
        let outparam = ResponseOutparam::new(move |result| sender.send(result));
        let outparam = new_response_outparam(state.http().table, outparam)?;
        handle
            .call_async(&mut self.store, (request, outparam))
            .await
    }
}

/// Gives `request` to an idle instance, or else to a new one.
pub(super) fn start(
    service: &Arc<Inner>,
    number: u64,
    request: Request,
    answer: &Arc<Answer>,
    hold: impl Send + 'static,
) -> Guest {
    let idle = service.idle.lock().pop();
    let mut instance = idle.unwrap_or_else(|| Instance::new(service));
    instance.number.set(number);
    instance.uses += 1;
    let (sleep, interruptions) = instance.store.data_mut().begin();
    let (sender, executor) = (Sender::new(answer.clone()), service.executor.clone());
    let service = service.clone();
    let run = async move {
        limited(instance.answer(&service, request, sender), sleep).await?;
        if instance.uses < service.reuse {
            service.idle.lock().push(instance);
        } else {
            drop(instance);
        }
        // After the instance: its place in the pool is free by now.
        drop(hold);
        Ok(())
    };
    Guest::new(Box::pin(run), interruptions, executor)
}
