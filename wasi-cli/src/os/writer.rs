use crate::Stdout;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::poll_fn;
use core::task::{Context, Poll};
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use wasi_io::{DynOutputStream, OutputStream, Pollable, StreamError, WakerSet, sync::Mutex};

/// What one [`Writer`] holds and has promised to take, in bytes.
const CAPACITY: usize = 64 << 10;

/// A standard output into anything that is written by blocking, such as a file. Clones and
/// streams write in the order of their calls.
///
/// A thread of its own writes, from a buffer of 64 KiB: it starts at the first write, and ends
/// after the last byte when the last clone and stream are dropped. A flush has ended when the
/// bytes before it are written and flushed there.
#[derive(Clone)]
pub struct Writer(Arc<Queue>);

impl Writer {
    /// Into `sink`, from a thread of its own.
    pub fn new(sink: impl Write + Send + 'static) -> Self {
        Self::on(Arc::new(Thread::new(sink)))
    }

    /// With a buffer of its own, on a thread that others may use.
    pub(super) fn on(thread: Arc<Thread>) -> Self {
        Self(Arc::new(Queue {
            thread,
            state: Mutex::new(State::default()),
            changed: WakerSet::new(),
        }))
    }

    /// Has a broken pipe (its reader has left) end the guest and not be told to it: from then
    /// on, this writer's streams are never ready, and the host waits for
    /// [`Writer::broken_pipe`] to end the guest, as `SIGPIPE` ends a process.
    pub fn hold_broken_pipe(self) -> Self {
        self.0.state.lock().hold = true;
        self
    }

    /// Ready once a write has failed because the reader has left.
    pub async fn broken_pipe(&self) {
        poll_fn(|cx| self.0.poll(cx, |state| state.broken)).await;
    }

    /// Waits until all is written that was taken so far, or can't be.
    ///
    /// # Errors
    /// A write failed, and no guest was told: it is told here, once. [`StreamError::Closed`]
    /// is a broken pipe.
    pub async fn written(&self) -> Result<(), StreamError> {
        let taken = self.0.state.lock().taken;
        let written = |state: &State| state.written >= taken || state.end.is_some();
        poll_fn(|cx| self.0.poll(cx, written)).await;
        let mut state = self.0.state.lock();
        match state.end {
            Some(End::Error(_)) => state.report(),
            _ => Ok(()),
        }
    }
}

impl Stdout for Writer {
    fn stream(&self) -> DynOutputStream {
        DynOutputStream::new(Stream {
            queue: self.0.clone(),
            permit: 0,
            flush: 0,
        })
    }
}

struct Queue {
    thread: Arc<Thread>,
    state: Mutex<State>,
    changed: WakerSet,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// All that was ever taken, and how much of it is written. What lies between is in
    /// `bytes` or with the thread.
    taken: u64,
    written: u64,
    /// The sum of the streams' permits. With what is not written yet, no more than `CAPACITY`.
    permitted: usize,
    /// The thread has this queue or will get it.
    scheduled: bool,
    end: Option<End>,
    /// The end was a broken pipe, and whether streams hold still then.
    broken: bool,
    hold: bool,
}

enum End {
    Error(StreamError),
    Reported,
}

impl State {
    /// Streams are neither ready nor told why.
    fn is_held(&self) -> bool {
        self.broken && self.hold
    }

    /// What nobody has a permit for.
    fn free(&self) -> usize {
        let unwritten = (self.taken - self.written) as usize;
        CAPACITY.saturating_sub(unwritten + self.permitted)
    }

    fn check(&mut self) -> Result<(), StreamError> {
        match self.is_held() {
            true => Ok(()),
            false => self.report(),
        }
    }

    fn report(&mut self) -> Result<(), StreamError> {
        match self.end.take() {
            None => Ok(()),
            Some(end) => {
                self.end = Some(End::Reported);
                Err(match end {
                    End::Error(error) => error,
                    End::Reported => StreamError::Closed,
                })
            }
        }
    }

    fn fail(&mut self, error: io::Error) {
        self.bytes = Vec::new();
        self.broken = error.kind() == io::ErrorKind::BrokenPipe;
        self.end = Some(End::Error(error.into()));
    }
}

impl Queue {
    fn poll(&self, cx: &mut Context<'_>, ready: impl Fn(&State) -> bool) -> Poll<()> {
        if ready(&self.state.lock()) {
            return Poll::Ready(());
        }
        self.changed.register(cx.waker());
        // The change may have come before the waker was there.
        match ready(&self.state.lock()) {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

struct Stream {
    queue: Arc<Queue>,
    /// The part of the queue's `permitted` that is this one's.
    permit: usize,
    /// No more bytes until this many of the queue's are written.
    flush: u64,
}

impl Stream {
    /// Takes `permit` in place of the one it has.
    fn set_permit(&mut self, state: &mut State, permit: usize) -> bool {
        let less = permit < self.permit;
        state.permitted = state.permitted - self.permit + permit;
        self.permit = permit;
        less
    }
}

impl Pollable for Stream {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (permit, flush) = (self.permit, self.flush);
        self.queue.poll(cx, |state| {
            let room = state.written >= flush && state.free() + permit > 0;
            !state.is_held() && (room || state.end.is_some())
        })
    }
}

impl OutputStream for Stream {
    fn check_write(&mut self) -> Result<usize, StreamError> {
        let queue = self.queue.clone();
        let mut state = queue.state.lock();
        state.check()?;
        let permit = match state.written >= self.flush && !state.is_held() {
            // A permit is a promise to keep room. Not all of it, or a guest that leaves one
            // stream at that could write to no other.
            true => (state.free() + self.permit).div_ceil(2),
            false => 0,
        };
        let less = self.set_permit(&mut state, permit);
        drop(state);
        if less {
            queue.changed.wake_all();
        }
        Ok(permit)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        if bytes.is_empty() {
            return Ok(());
        }
        let queue = self.queue.clone();
        let mut state = queue.state.lock();
        state.check()?;
        let rest = self.permit.saturating_sub(bytes.len());
        self.set_permit(&mut state, rest);
        if state.is_held() {
            return Ok(());
        }
        state.taken += bytes.len() as u64;
        let mut rest = bytes;
        if !state.scheduled {
            let written = queue.thread.write_now(bytes);
            state.written += written as u64;
            rest = &bytes[written..];
        }
        if rest.is_empty() {
            return Ok(());
        }
        state.bytes.extend_from_slice(rest);
        if !state.scheduled {
            if let Err(error) = queue.thread.schedule(&queue) {
                state.fail(error);
                return state.check();
            }
            state.scheduled = true;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), StreamError> {
        let queue = self.queue.clone();
        let mut state = queue.state.lock();
        state.check()?;
        self.flush = state.taken;
        let less = self.set_permit(&mut state, 0);
        drop(state);
        if less {
            queue.changed.wake_all();
        }
        Ok(())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        let queue = self.queue.clone();
        let less = self.set_permit(&mut queue.state.lock(), 0);
        if less {
            queue.changed.wake_all();
        }
    }
}

/// The thread that writes one sink, for any number of queues.
pub(super) struct Thread {
    state: Mutex<ThreadState>,
    direct: Option<Direct>,
}

/// Writes at once what it can without waiting, and says how much that was.
type Direct = Box<dyn Fn(&[u8]) -> usize + Send + Sync>;

struct ThreadState {
    start: Start,
    /// How many queues it has or will get: only without any may others write.
    queues: usize,
}

enum Start {
    Idle(Box<dyn Write + Send>),
    Started(Sender<Arc<Queue>>),
    Failed,
}

impl Thread {
    pub(super) fn new(sink: impl Write + Send + 'static) -> Self {
        Self {
            state: Mutex::new(ThreadState {
                start: Start::Idle(Box::new(sink)),
                queues: 0,
            }),
            direct: None,
        }
    }

    /// With a way to write what need not wait, to where the sink writes, which keeps nothing
    /// back after it is flushed.
    pub(super) fn with_direct(
        self,
        direct: impl Fn(&[u8]) -> usize + Send + Sync + 'static,
    ) -> Self {
        Self {
            direct: Some(Box::new(direct)),
            ..self
        }
    }

    /// How much of `bytes` was written, now.
    fn write_now(&self, bytes: &[u8]) -> usize {
        let Some(direct) = &self.direct else {
            return 0;
        };
        let state = self.state.lock();
        match state.queues {
            0 => direct(bytes).min(bytes.len()),
            _ => 0,
        }
    }

    fn schedule(&self, queue: &Arc<Queue>) -> io::Result<()> {
        let mut state = self.state.lock();
        if let Start::Idle(_) = state.start
            && let Start::Idle(sink) = core::mem::replace(&mut state.start, Start::Failed)
        {
            let (send, queues) = mpsc::channel();
            thread::Builder::new()
                .name("wasi-cli-writer".into())
                .spawn(move || run(sink, &queues))?;
            state.start = Start::Started(send);
        }
        let sent = match &state.start {
            Start::Started(send) => send.send(queue.clone()).is_ok(),
            _ => false,
        };
        // There is no thread.
        if !sent {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        state.queues += 1;
        Ok(())
    }
}

/// Writes what the queues have, in turn.
fn run(mut sink: impl Write, queues: &Receiver<Arc<Queue>>) {
    let mut turns = VecDeque::new();
    let mut bytes = Vec::new();
    loop {
        let queue = match turns.pop_front() {
            Some(queue) => queue,
            None => match queues.recv() {
                Ok(queue) => queue,
                Err(_) => return,
            },
        };
        bytes.clear();
        core::mem::swap(&mut bytes, &mut queue.state.lock().bytes);
        let mut write = || sink.write_all(&bytes).and_then(|()| sink.flush());
        // Whoever waits for this thread would wait for ever.
        let result = catch_unwind(AssertUnwindSafe(&mut write))
            .unwrap_or_else(|_| Err(io::Error::other("the sink panicked")));
        let more = {
            let mut state = queue.state.lock();
            state.written += bytes.len() as u64;
            if let Err(error) = result {
                state.fail(error);
            }
            state.scheduled = !state.bytes.is_empty();
            if !state.scheduled {
                queue.thread.state.lock().queues -= 1;
            }
            state.scheduled
        };
        queue.changed.wake_all();
        if more {
            // Who came in the meantime is first.
            turns.extend(queues.try_iter());
            turns.push_back(queue);
        }
    }
}

#[cfg(test)]
mod tests;
