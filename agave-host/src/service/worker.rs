//! Instances of WASI 0.3, each of which answers many requests, one after another and at once.
//!
//! A worker is an instance with its inbox. Its future, the *drive*, is a task of the executor:
//! inside of the store's event loop it takes requests out of the inbox and starts calls of the
//! guest's handler; around that loop it watches. The watch is outside because a guest that
//! computes, or waits in a function of WASI 0.2, keeps the loop from being polled at all: that
//! is how the watch knows it, gives what is still in the inbox to other workers, and sees to
//! the time limits.

use super::exchange::Exchange;
use super::{Inner, RequestNumber, ServeError};
use crate::HostState;
use crate::guest::{Guest, TimedOut, causes};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{Future, poll_fn};
use core::mem;
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::{Context, Poll, Waker, ready};
use futures_util::stream::{FuturesUnordered, StreamExt};
use wasi_clocks::{Instant, Sleep, WasiClocksCtx};
use wasi_http::Request;
use wasi_http::p3::{self, bindings::wasi::http::types::ErrorCode};
use wasi_io::Pollable;
use wasi_io::sync::Mutex;
use wasi_types::Duration;
use wasmtime::component::{Accessor, ComponentExportIndex, Resource, TypedFunc};
use wasmtime::{AsContextMut, Result, Store};

type Handle =
    TypedFunc<(Resource<p3::Request>,), (core::result::Result<Resource<p3::Response>, ErrorCode>,)>;

/// How many requests an instance gets, where the service does not say.
const REUSE: u32 = 128;

/// How many workers that take requests a core keeps when they have none.
const IDLE_MAX: usize = 32;

/// The workers of a service, and their limits.
pub(super) struct Shared {
    /// How many requests one has at once.
    pub(super) at_once: u32,
    /// How long one without a request is kept.
    pub(super) idle_timeout: Duration,
    /// Those that take requests, core by core.
    open: Mutex<Vec<Vec<Arc<Worker>>>>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            at_once: 16,
            idle_timeout: 1_000_000_000,
            open: Mutex::default(),
        }
    }
}

impl Shared {
    fn list(&self, worker: &Arc<Worker>) {
        let mut open = self.open.lock();
        if open.len() <= worker.core {
            open.resize_with(worker.core + 1, Vec::new);
        }
        open[worker.core].push(worker.clone());
    }

    fn unlist(&self, worker: &Arc<Worker>) {
        let mut open = self.open.lock();
        if let Some(workers) = open.get_mut(worker.core)
            && let Some(index) = workers.iter().position(|it| Arc::ptr_eq(it, worker))
        {
            workers.swap_remove(index);
        }
    }

    /// Whether `core` has more workers than it keeps for requests to come.
    fn is_crowded(&self, core: usize) -> bool {
        (self.open.lock().get(core)).is_some_and(|workers| workers.len() > IDLE_MAX)
    }

    /// Gives `job` to a worker of `core` that takes it.
    fn offer(&self, core: usize, mut job: Job) -> core::result::Result<(), Job> {
        let open = self.open.lock();
        for worker in open.get(core).into_iter().flatten() {
            match worker.offer(job, self.at_once) {
                Ok(waker) => {
                    drop(open);
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                    return Ok(());
                }
                Err(back) => job = back,
            }
        }
        Err(job)
    }
}

/// A request, and who waits for its response.
struct Job {
    request: Box<Request>,
    exchange: Arc<Exchange>,
}

/// An instance, as those see it who have requests for it.
pub(super) struct Worker {
    core: usize,
    clocks: WasiClocksCtx,
    timeout: Option<Duration>,
    idle_timeout: Duration,
    desk: Mutex<Desk>,
}

struct Desk {
    inbox: VecDeque<Job>,
    /// What the guest has in hand, oldest first.
    flights: Vec<Flight>,
    /// How many requests it was given.
    uses: u32,
    /// Whether it takes requests now. Those that do are listed.
    open: bool,
    /// Whether it will never again.
    retired: bool,
    /// Whether its event loop has begun.
    started: bool,
    /// Whether that was at work in this turn, could have called the guest, and has.
    seen: bool,
    ready: bool,
    taken: bool,
    /// Whether the guest has nothing to do.
    idle: bool,
    /// When the guest's time is up, if it goes on when all have their responses.
    limit: Option<Instant>,
    /// Of a client that was served while the guest may go on: released when that has nothing
    /// to do.
    hold: Option<Box<dyn Send>>,
    /// When it looks again by itself.
    alarm: Option<Instant>,
    waker: Option<Waker>,
}

struct Flight {
    exchange: Arc<Exchange>,
    deadline: Option<Instant>,
}

impl Worker {
    fn new(
        core: usize,
        clocks: WasiClocksCtx,
        timeout: Option<Duration>,
        idle_timeout: Duration,
    ) -> Arc<Self> {
        let desk = Desk {
            inbox: VecDeque::new(),
            flights: Vec::new(),
            uses: 0,
            open: false,
            retired: false,
            started: false,
            seen: false,
            ready: false,
            taken: false,
            idle: false,
            limit: None,
            hold: None,
            alarm: None,
            waker: None,
        };
        Arc::new(Self {
            core,
            clocks,
            timeout,
            idle_timeout,
            desk: Mutex::new(desk),
        })
    }

    /// Puts `job` into the inbox, if it takes it, and gives whom to wake.
    fn offer(&self, job: Job, at_once: u32) -> core::result::Result<Option<Waker>, Job> {
        let mut desk = self.desk.lock();
        let full = |desk: &Desk| desk.inbox.len() + desk.flights.len() >= at_once as usize;
        if full(&desk) {
            desk.flights.retain(|flight| !flight.exchange.is_served());
        }
        if !desk.open || full(&desk) {
            return Err(job);
        }
        desk.inbox.push_back(job);
        Ok(desk.waker.take())
    }

    /// The guest has `exchange` in hand; its time begins.
    fn begin(self: &Arc<Self>, desk: &mut Desk, exchange: &Arc<Exchange>) {
        let deadline = (self.timeout).map(|timeout| self.clocks.now().saturating_add(timeout));
        exchange.taken_by(self);
        desk.uses += 1;
        desk.idle = false;
        desk.limit = deadline;
        desk.flights.push(Flight {
            exchange: exchange.clone(),
            deadline,
        });
    }

    /// The next request, for an event loop that could call the guest if it is `ready`; one a
    /// turn, so that a guest that begins to compute has not got them all.
    fn take(self: &Arc<Self>, ready: bool) -> Option<Job> {
        let mut desk = self.desk.lock();
        desk.started = true;
        desk.seen = true;
        desk.ready = ready;
        if !ready || desk.taken {
            return None;
        }
        let job = desk.inbox.pop_front()?;
        desk.taken = true;
        self.begin(&mut desk, &job.exchange);
        Some(job)
    }

    /// A client has all that it wanted, or has left before.
    pub(super) fn client_gone(&self, hold: Option<Box<dyn Send>>, left: bool) {
        let mut desk = self.desk.lock();
        let released = match desk.idle || desk.retired && desk.flights.is_empty() {
            true => hold,
            false => mem::replace(&mut desk.hold, hold),
        };
        // With none in hand it ends in time, if it looks by then.
        let looks = |at: Instant| at <= self.clocks.now().saturating_add(self.idle_timeout);
        let rests = desk.idle
            && desk.inbox.is_empty()
            && desk.flights.iter().all(|it| it.exchange.is_over())
            && !desk.alarm.is_some_and(looks);
        let waker = match left || desk.retired || rests {
            true => desk.waker.take(),
            false => None,
        };
        drop(desk);
        drop(released);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The guest has nothing to do. Whether the worker is to end.
    fn rest(&self) -> bool {
        let mut desk = self.desk.lock();
        desk.idle = true;
        let released = desk.hold.take();
        desk.flights.retain(|flight| !flight.exchange.is_served());
        let ends = desk.retired && desk.flights.is_empty() && desk.inbox.is_empty();
        drop(desk);
        drop(released);
        ends
    }
}

/// Has a worker of this core answer `request`: one that is there, or a new one.
pub(super) fn dispatch(
    service: &Arc<Inner>,
    export: ComponentExportIndex,
    request: Request,
    exchange: Arc<Exchange>,
) {
    let request = Box::new(request);
    give(service, export, Job { request, exchange });
}

fn give(service: &Arc<Inner>, export: ComponentExportIndex, job: Job) {
    let core = service.executor.core();
    if let Err(job) = service.shared.offer(core, job) {
        start(service, export, core, job);
    }
}

/// A new worker, with its first request.
fn start(service: &Arc<Inner>, export: ComponentExportIndex, core: usize, first: Job) {
    let number = RequestNumber::default();
    number.set(first.exchange.number());
    let state = HostState::new((service.ctx)(number.clone()));
    let executor = service.executor.clone();
    let mut store = state.into_store(service.pre.engine(), move || executor.yield_now());
    let (clocks, timeout, interruptions) = store.data_mut().begin_untimed();
    let worker = Worker::new(core, clocks, timeout, service.shared.idle_timeout);
    worker.begin(&mut worker.desk.lock(), &first.exchange);
    let mut watch = Watch {
        service: service.clone(),
        export,
        worker: worker.clone(),
        number: number.clone(),
        interruptions: interruptions.clone(),
        idle_from: None,
        alarm: None,
        lost: false,
    };
    let inner = service.clone();
    let drive = async move {
        let result = {
            let run = run(&mut store, &inner, export, &worker, &number, first);
            let mut run = pin!(run);
            poll_fn(|cx| watch.poll(cx, run.as_mut())).await
        };
        if result.is_err() || watch.lost {
            store.data_mut().fail_connections();
        }
        // All that the guest held is freed before anybody is told.
        drop(store);
        watch.end(result);
        Ok(())
    };
    let executor = service.executor.clone();
    let mut guest = Guest::new(Box::pin(drive), interruptions, executor.clone());
    executor.spawn(Box::pin(async move {
        // It tells its errors itself.
        let _ = poll_fn(|cx| guest.poll(cx)).await;
    }));
}

/// The life of an instance: until it has had its requests, or fails.
async fn run(
    store: &mut Store<HostState>,
    service: &Inner,
    export: ComponentExportIndex,
    worker: &Arc<Worker>,
    number: &RequestNumber,
    first: Job,
) -> Result<()> {
    let instance = service.pre.instantiate_async(&mut *store).await?;
    let handle: Handle = instance.get_typed_func(&mut *store, export)?;
    store
        .run_concurrent(async |accessor| serve(accessor, handle, worker, number, first).await)
        .await?
}

/// What is done in the store's event loop.
async fn serve(
    accessor: &Accessor<HostState>,
    handle: Handle,
    worker: &Arc<Worker>,
    number: &RequestNumber,
    first: Job,
) -> Result<()> {
    let func = *handle.func();
    let mut calls = FuturesUnordered::new();
    calls.push(answer(accessor, handle, first));
    poll_fn(|cx| {
        loop {
            match calls.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(()))) => continue,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(error)),
                Poll::Ready(None) | Poll::Pending => {}
            }
            let ready = accessor.poll_ready_for_concurrent_call(func, cx);
            if let Some(job) = worker.take(ready.is_ready()) {
                number.set(job.exchange.number());
                calls.push(answer(accessor, handle, job));
                continue;
            }
            if !calls.is_empty() || accessor.poll_no_interesting_tasks(cx).is_pending() {
                return Poll::Pending;
            }
            return match worker.rest() {
                true => Poll::Ready(Ok(())),
                false => Poll::Pending,
            };
        }
    })
    .await
}

/// Calls the guest's handler, and gives the client what it returns.
async fn answer(accessor: &Accessor<HostState>, handle: Handle, job: Job) -> Result<()> {
    let call = accessor.with(|mut access| {
        let request = p3::new_request(access.as_context_mut(), *job.request)?;
        handle.start_call_concurrent(access.as_context_mut(), (request,))
    })?;
    let (result,) = handle.finish_call_concurrent(accessor, call).await?;
    let answer = match result {
        Ok(response) => {
            accessor.with(|mut access| p3::take_response(access.as_context_mut(), response))?
        }
        Err(code) => Err(code.into()),
    };
    job.exchange.answer(answer.map_err(ServeError::Guest));
    Ok(())
}

/// What is done around the store's event loop.
struct Watch {
    service: Arc<Inner>,
    export: ComponentExportIndex,
    worker: Arc<Worker>,
    /// That of the newest request.
    number: RequestNumber,
    interruptions: Arc<AtomicU32>,
    /// When the guest began to have nothing to do.
    idle_from: Option<Instant>,
    /// When something is due, or earlier.
    alarm: Option<Sleep>,
    /// The guest works for somebody who has left: it ends when it is done with the others.
    lost: bool,
}

/// What a turn of the event loop leads to.
enum Turn {
    /// Another one at once.
    Again,
    Wait,
    /// The end of the instance.
    End,
}

impl Watch {
    /// Has the event loop `run` take its turns. Ready when the instance is to be dropped.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut run: Pin<&mut impl Future<Output = Result<()>>>,
    ) -> Poll<Result<()>> {
        loop {
            {
                let mut desk = self.worker.desk.lock();
                (desk.seen, desk.taken) = (false, false);
                match &mut desk.waker {
                    Some(waker) => waker.clone_from(cx.waker()),
                    none => *none = Some(cx.waker().clone()),
                }
            }
            let before = self.interruptions.load(Ordering::Relaxed);
            if let Poll::Ready(result) = run.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            // Where it waits for more than its next turn, what it computed so far was a moment.
            let _ = (self.interruptions).compare_exchange(
                before,
                0,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            match self.turn() {
                Turn::Again => {}
                Turn::End => return Poll::Ready(Ok(())),
                Turn::Wait => match self.poll_due(cx) {
                    Poll::Ready(()) => return Poll::Ready(Ok(())),
                    Poll::Pending => return Poll::Pending,
                },
            }
        }
    }

    /// Looks at what came of a turn.
    fn turn(&mut self) -> Turn {
        let reuse = self.service.reuse.unwrap_or(REUSE);
        let mut desk = self.worker.desk.lock();
        let lost = &mut self.lost;
        desk.flights.retain(|flight| {
            *lost |= flight.exchange.has_left();
            !flight.exchange.is_over()
        });
        desk.retired |= *lost || desk.uses + desk.inbox.len() as u32 >= reuse;
        let at_work = desk.started && desk.seen && desk.ready;
        let (was_open, open) = (desk.open, at_work && !desk.retired);
        desk.open = open;
        // It does not come to them: others do.
        let jobs = match desk.started && !at_work {
            true => mem::take(&mut desk.inbox),
            false => VecDeque::new(),
        };
        let turn = match desk.inbox.is_empty() {
            true if *lost && desk.flights.is_empty() => Turn::End,
            false if desk.taken => Turn::Again,
            _ => Turn::Wait,
        };
        let idle = desk.idle && desk.flights.is_empty();
        drop(desk);
        match (was_open, open) {
            (false, true) => self.service.shared.list(&self.worker),
            (true, false) => self.service.shared.unlist(&self.worker),
            _ => {}
        }
        for job in jobs {
            give(&self.service, self.export, job);
        }
        match (idle, self.idle_from) {
            (true, None) if self.service.shared.is_crowded(self.worker.core) => Turn::End,
            (true, None) => {
                self.idle_from = Some(self.worker.clocks.now());
                turn
            }
            (false, Some(_)) => {
                self.idle_from = None;
                turn
            }
            _ => turn,
        }
    }

    /// Sees to what is due. Ready when the instance is to be dropped.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let due = {
                let desk = self.worker.desk.lock();
                match (desk.flights.first(), self.idle_from) {
                    (Some(flight), _) => flight.deadline,
                    (None, Some(from)) => Some(from.saturating_add(self.worker.idle_timeout)),
                    (None, None) => desk.limit,
                }
            };
            let Some(due) = due else {
                return Poll::Pending;
            };
            // One that rings early is only set anew.
            match &mut self.alarm {
                Some(alarm) if alarm.deadline() <= due => {
                    ready!(alarm.poll_ready(cx));
                    self.set_alarm(None);
                    if self.worker.clocks.now() < due {
                        continue;
                    }
                }
                _ => {
                    self.set_alarm(Some(due));
                    continue;
                }
            }
            if self.overdue() {
                return Poll::Ready(());
            }
        }
    }

    fn set_alarm(&mut self, at: Option<Instant>) {
        self.worker.desk.lock().alarm = at;
        self.alarm = at.map(|at| self.worker.clocks.sleep_until(at));
    }

    /// The time of something is up. Whether the instance is to be dropped.
    fn overdue(&mut self) -> bool {
        let timed_out = TimedOut(self.worker.timeout.unwrap_or_default() / 1_000_000);
        let error = || ServeError::Failed(timed_out.into());
        let mut desk = self.worker.desk.lock();
        if desk.flights.is_empty() {
            // An idle one, unless a request is on its way to it.
            let ends = self.idle_from.is_none() || desk.inbox.is_empty();
            desk.open &= !ends;
            desk.retired |= ends;
            drop(desk);
            if ends && self.idle_from.is_none() {
                (self.service.report)(self.number.get(), &error());
            }
            return ends;
        }
        let late = desk.flights.remove(0).exchange;
        desk.retired = true;
        desk.open = false;
        let ends = desk.flights.is_empty();
        // What a turn has not come to, others will.
        drop(desk);
        self.lost = true;
        self.service.shared.unlist(&self.worker);
        if let Some(error) = late.fail(error) {
            (self.service.report)(late.number(), &error);
        }
        ends
    }

    /// The instance is gone: whom it had in hand is told, and others get what it had not begun.
    fn end(&mut self, result: Result<()>) {
        let (flights, jobs, hold) = self.close();
        let told = result.as_ref().err().map(causes);
        let mut error = result.err();
        let mut failure = || match (error.take(), &told) {
            (Some(error), _) => ServeError::Failed(error),
            (None, Some(told)) => ServeError::Failed(wasmtime::format_err!(
                "what it did for one request of several ended it: {told}"
            )),
            (None, None) => ServeError::NoResponse,
        };
        for flight in flights {
            if let Some(error) = flight.exchange.fail(&mut failure) {
                (self.service.report)(flight.exchange.number(), &error);
            }
        }
        // It went on when all had their responses.
        if let Some(error) = error {
            (self.service.report)(self.number.get(), &ServeError::Failed(error));
        }
        drop(hold);
        for job in jobs {
            give(&self.service, self.export, job);
        }
    }

    fn close(&mut self) -> (Vec<Flight>, VecDeque<Job>, Option<Box<dyn Send>>) {
        let mut desk = self.worker.desk.lock();
        (desk.open, desk.retired, desk.idle) = (false, true, true);
        let left = (
            mem::take(&mut desk.flights),
            mem::take(&mut desk.inbox),
            desk.hold.take(),
        );
        drop(desk);
        self.service.shared.unlist(&self.worker);
        left
    }
}

impl Drop for Watch {
    /// Where the executor has dropped it, nobody answers any more.
    fn drop(&mut self) {
        let (flights, jobs, _hold) = self.close();
        let flights = flights.into_iter().map(|flight| flight.exchange);
        for exchange in flights.chain(jobs.into_iter().map(|job| job.exchange)) {
            let _ = exchange.fail(|| ServeError::NoResponse);
        }
    }
}
