//! Instances: made, given a request, and kept for the next one.

use super::answer::{Answer, Sender};
use super::{Inner, RequestNumber};
use crate::guest::{Guest, Timed, limited};
use crate::program::WEBSOCKET_HANDLER;
use crate::{HostState, LoadError};
use alloc::boxed::Box;
use alloc::sync::Arc;
use wasi_http::p2::{WasiHttpView, new_incoming_request, new_response_outparam};
use wasi_http::websocket::UpgradeRequest;
use wasi_http::websocket::p2::{WasiWebSocketView, new_upgrade_request};
use wasi_http::{IncomingRequest, Request, ResponseOutparam};
use wasmtime::component::{ComponentExportIndex, Resource, TypedFunc};
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

    async fn handle(&mut self, service: &Inner, export: ComponentExportIndex) -> Result<Handle> {
        if let Some(handle) = self.handle {
            return Ok(handle);
        }
        let instance = service.pre.instantiate_async(&mut self.store).await?;
        let handle = instance.get_typed_func(&mut self.store, export)?;
        self.handle = Some(handle);
        Ok(handle)
    }

    async fn answer(
        &mut self,
        service: &Inner,
        export: ComponentExportIndex,
        request: Request,
        sender: Sender,
    ) -> Result<()> {
        let handle = self.handle(service, export).await?;
        let state = self.store.data_mut();
        let request = new_incoming_request(state.http().table, request)?;
        let outparam = ResponseOutparam::new(move |result| sender.send(result));
        let outparam = new_response_outparam(state.http().table, outparam)?;
        handle
            .call_async(&mut self.store, (request, outparam))
            .await
    }

    async fn connect(&mut self, service: &Inner, request: UpgradeRequest) -> Result<()> {
        let export = (service.websocket).ok_or(LoadError::NoExport(WEBSOCKET_HANDLER))?;
        let instance = service.pre.instantiate_async(&mut self.store).await?;
        let handle: TypedFunc<(Resource<UpgradeRequest>,), ()> =
            instance.get_typed_func(&mut self.store, export)?;
        let request = new_upgrade_request(self.store.data_mut().websocket().table, request)?;
        handle.call_async(&mut self.store, (request,)).await
    }
}

/// Gives `request` to an idle instance, or else to a new one.
pub(super) fn start(
    service: &Arc<Inner>,
    export: ComponentExportIndex,
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
        let answered = limited(instance.answer(&service, export, request, sender), sleep).await;
        if answered.is_err() {
            instance.store.data_mut().fail_connections();
            return answered;
        }
        if instance.uses < service.reuse.unwrap_or(1) {
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

/// Gives the request for a WebSocket to an instance that is made for it.
pub(super) fn connect(
    service: &Arc<Inner>,
    number: u64,
    request: UpgradeRequest,
    hold: impl Send + 'static,
) -> Timed {
    let mut instance = Instance::new(service);
    instance.number.set(number);
    let (clocks, timeout, interruptions) = instance.store.data_mut().begin_untimed();
    let (service, executor) = (service.clone(), service.executor.clone());
    let run = async move {
        let result = instance.connect(&service, request).await;
        if result.is_err() {
            instance.store.data_mut().fail_connections();
        }
        drop(instance);
        drop(hold);
        result
    };
    let guest = Guest::new(Box::pin(run), interruptions, executor);
    Timed::new(guest, clocks, timeout)
}
