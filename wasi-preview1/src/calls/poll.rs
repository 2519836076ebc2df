use crate::WasiPreview1Ctx;
use crate::descriptor::{Descriptor, Kind};
use crate::memory::Memory;
use crate::step::{Error, Step, Steps};
use core::task::{Context, Poll, ready};
use wasi_clocks::Sleep;
use wasi_io::{Op, Pollable};
use wasi_types::preview1::{
    ClockId, Errno, Event, EventRwFlags, Rights, SubclockFlags, Subscription, SubscriptionU,
};

pub(crate) fn poll_oneoff(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    subscriptions: u32,
    events: u32,
    nsubscriptions: u32,
    nevents: u32,
) -> Steps {
    if nsubscriptions == 0 {
        return Err(Errno::Inval.into());
    }
    if nsubscriptions > ctx.max_subscriptions {
        return Err(Errno::Nomem.into());
    }
    let size = Subscription::size_of(memory.version) as u32;
    memory.array(subscriptions, nsubscriptions, size, 8)?;
    memory.array(events, nsubscriptions, Event::SIZE as u32, 8)?;
    memory.place(nevents, 4, 4)?;
    let mut poll = PollOneoff {
        subscriptions,
        count: nsubscriptions,
        events,
        nevents,
        begun: ctx.clocks.now(),
        sleep: None,
    };
    // Before an event may be put over one of them.
    for n in 0..nsubscriptions {
        poll.subscription(memory, n)?;
    }
    Step::poll(ctx, memory, move |cx, ctx, memory| {
        poll.poll(cx, ctx, memory)
    })
}

struct PollOneoff {
    subscriptions: u32,
    count: u32,
    events: u32,
    nevents: u32,
    /// The monotonic clock's time of the call.
    begun: u64,
    /// The wait for the first of the clocks' times.
    sleep: Option<Sleep>,
}

impl PollOneoff {
    fn subscription(&self, memory: &Memory<'_>, n: u32) -> Result<Subscription, Error> {
        let size = Subscription::size_of(memory.version) as u32;
        // All of them are in the memory.
        let record = memory.slice(self.subscriptions.wrapping_add(n * size), size)?;
        Ok(Subscription::from_bytes(record, memory.version).ok_or(Errno::Inval)?)
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        ctx: &mut WasiPreview1Ctx,
        memory: &mut Memory<'_>,
    ) -> Poll<Steps> {
        loop {
            let mut first: Option<u64> = None;
            let mut came = 0;
            for n in 0..self.count {
                let subscription = self.subscription(memory, n)?;
                let (error, nbytes, flags) = match self.look(cx, ctx, &subscription) {
                    Look::Ready(nbytes, flags) => (Errno::Success, nbytes, flags),
                    Look::Failed(errno) => (errno, 0, EventRwFlags::empty()),
                    Look::At(deadline) => {
                        first = Some(first.map_or(deadline, |first| first.min(deadline)));
                        continue;
                    }
                    Look::Pending => continue,
                };
                let event = Event {
                    userdata: subscription.userdata,
                    error,
                    event_type: subscription.event_type(),
                    nbytes,
                    flags,
                };
                let at = self.events.wrapping_add(came * Event::SIZE as u32);
                memory.put(at, &event.to_bytes(), 8)?;
                came += 1;
            }
            if came > 0 {
                memory.put_u32(self.nevents, came)?;
                return Poll::Ready(Ok(Step::Done));
            }
            let Some(deadline) = first else {
                return Poll::Pending;
            };
            if self
                .sleep
                .as_ref()
                .is_none_or(|sleep| sleep.deadline() != deadline)
            {
                self.sleep = Some(ctx.clocks.sleep_until(deadline));
            }
            if let Some(sleep) = &mut self.sleep {
                ready!(sleep.poll_ready(cx));
            }
        }
    }

    fn look(
        &self,
        cx: &mut Context<'_>,
        ctx: &mut WasiPreview1Ctx,
        subscription: &Subscription,
    ) -> Look {
        match subscription.u {
            SubscriptionU::Clock { id, timeout, flags } => {
                let Some(id @ (ClockId::Realtime | ClockId::Monotonic)) = id else {
                    return Look::Failed(Errno::Inval);
                };
                let now = ctx.clocks.now();
                let deadline = match flags {
                    SubclockFlags::SUBSCRIPTION_CLOCK_ABSTIME if id == ClockId::Monotonic => {
                        timeout
                    }
                    // As long as the clock is not set; it is looked at again then.
                    SubclockFlags::SUBSCRIPTION_CLOCK_ABSTIME => {
                        let left = timeout.saturating_sub(ctx.clocks.wall_now().to_timestamp());
                        now.saturating_add(left)
                    }
                    flags if flags.is_empty() => self.begun.saturating_add(timeout),
                    _ => return Look::Failed(Errno::Inval),
                };
                match deadline <= now {
                    true => Look::Ready(0, EventRwFlags::empty()),
                    false => Look::At(deadline),
                }
            }
            SubscriptionU::FdRead(fd) => match waitable(ctx, fd, Rights::FD_READ) {
                Ok(descriptor) => readable(cx, &mut descriptor.kind),
                Err(errno) => Look::Failed(errno),
            },
            SubscriptionU::FdWrite(fd) => match waitable(ctx, fd, Rights::FD_WRITE) {
                Ok(descriptor) => writable(cx, &mut descriptor.kind),
                Err(errno) => Look::Failed(errno),
            },
        }
    }
}

fn waitable(ctx: &mut WasiPreview1Ctx, fd: u32, right: Rights) -> Result<&mut Descriptor, Errno> {
    let descriptor = ctx.fds.get_mut(fd)?;
    descriptor.may(right | Rights::POLL_FD_READWRITE)?;
    Ok(descriptor)
}

/// What a subscription is like now.
enum Look {
    /// It has come: bytes that can be moved, and the state.
    Ready(u64, EventRwFlags),
    /// It can't come.
    Failed(Errno),
    /// It comes at this time of the monotonic clock, as far as is known now.
    At(u64),
    /// The waker is kept.
    Pending,
}

fn readable(cx: &mut Context<'_>, kind: &mut Kind) -> Look {
    let none = EventRwFlags::empty();
    match kind {
        // A backend that has to be waited for is not asked.
        Kind::File(file) => match file.open.stat() {
            Op::Ready(Ok(stat)) => Look::Ready(stat.size.saturating_sub(file.position), none),
            _ => Look::Ready(1, none),
        },
        Kind::Stream(stream) => match stream.poll_readable(cx) {
            Poll::Ready(0) => Look::Ready(0, EventRwFlags::FD_READWRITE_HANGUP),
            Poll::Ready(nbytes) => Look::Ready(nbytes, none),
            Poll::Pending => Look::Pending,
        },
        Kind::Listener(listener) => {
            if listener.next.is_none() {
                match listener.listener.poll_accept(cx) {
                    Poll::Ready(Ok(stream)) => listener.next = Some(stream),
                    Poll::Ready(Err(code)) => return Look::Failed(code.into()),
                    Poll::Pending => return Look::Pending,
                }
            }
            Look::Ready(1, none)
        }
        Kind::Directory(_) => Look::Failed(Errno::Notcapable),
    }
}

fn writable(cx: &mut Context<'_>, kind: &mut Kind) -> Look {
    let none = EventRwFlags::empty();
    match kind {
        Kind::File(_) => Look::Ready(1, none),
        Kind::Stream(stream) => match stream.poll_writable(cx) {
            Poll::Ready(Ok(nbytes)) => Look::Ready(nbytes, none),
            // The write meets the error.
            Poll::Ready(Err(_)) => Look::Ready(0, EventRwFlags::FD_READWRITE_HANGUP),
            Poll::Pending => Look::Pending,
        },
        Kind::Directory(_) | Kind::Listener(_) => Look::Failed(Errno::Notcapable),
    }
}
