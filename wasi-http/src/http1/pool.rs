//! Connections that are kept for the next request.

use super::conn::{Reader, Writer};
use super::connect::Origin;
use super::wait::{Waiter, Waiters};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::convert::Infallible;
use core::future::{Future, poll_fn};
use core::net::IpAddr;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use futures_channel::oneshot;
use wasi_clocks::{Duration, WasiClocksCtx};
use wasi_io::Pollable;
use wasi_io::sync::Mutex;
use wasi_sockets::{HttpGrant, TcpStream};

/// A connection that a request has for itself.
pub(super) struct Connection {
    pub(super) reader: Reader,
    pub(super) half: Half,
}

/// What of a connection stays with the task of its exchange.
pub(super) struct Half {
    pub(super) writer: Writer,
    peer: IpAddr,
    _permit: Permit,
}

impl Connection {
    pub(super) fn new(stream: Arc<dyn TcpStream>, peer: IpAddr, permit: Permit) -> Self {
        Self {
            reader: Reader::new(stream.clone()),
            half: Half {
                writer: Writer::new(stream),
                peer,
                _permit: permit,
            },
        }
    }

    /// Nothing came since the last response: neither an end nor what nobody asked for.
    fn is_fresh(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.reader.buf().is_empty() && self.reader.poll_fill_ready(&mut cx).is_pending()
    }
}

/// What a request gets.
pub(super) enum Lease {
    /// A connection that served another before.
    Reused(Connection),
    /// Leave to make a connection.
    Open(Permit),
}

/// One of the connections there may be, held while it is there.
pub(super) struct Permit(Weak<Pool>);

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(pool) = self.0.upgrade() {
            pool.state.lock().open -= 1;
            pool.changed.wake_all();
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at a time, idle ones included.
    pub(super) connections: usize,
    pub(super) idle: usize,
    pub(super) idle_per_origin: usize,
    pub(super) idle_timeout: Duration,
}

/// The connections of one client. What leaves the list is dropped after the lock is: its permit
/// takes that too.
pub(super) struct Pool {
    limits: Limits,
    state: Mutex<State>,
    /// A connection was put or has gone.
    changed: Waiters,
}

impl AsRef<Waiters> for Pool {
    fn as_ref(&self) -> &Waiters {
        &self.changed
    }
}

#[derive(Default)]
struct State {
    /// The one used last is at the end.
    idle: Vec<Idle>,
    /// Permits given out.
    open: usize,
    next_id: u64,
}

struct Idle {
    id: u64,
    origin: Origin,
    connection: Connection,
    /// Dropped, it ends the task that watches the connection.
    _watched: oneshot::Sender<Infallible>,
}

impl Pool {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            state: Mutex::new(State::default()),
            changed: Waiters::default(),
        })
    }

    /// Gives a connection to `origin` or leave to make one; where there are as many as there
    /// may be, waits for one to go. `fresh` asks for one that served no other request.
    pub(super) async fn lease(
        self: &Arc<Self>,
        origin: &Origin,
        grant: Option<&HttpGrant>,
        fresh: bool,
    ) -> Lease {
        let waiter = Waiter::new(self.clone());
        poll_fn(|cx| waiter.poll(cx, |pool| pool.try_lease(origin, grant, fresh))).await
    }

    fn try_lease(
        self: &Arc<Self>,
        origin: &Origin,
        grant: Option<&HttpGrant>,
        fresh: bool,
    ) -> Option<Lease> {
        if !fresh && let Some(connection) = self.reuse(origin, grant) {
            return Some(Lease::Reused(connection));
        }
        loop {
            let oldest = {
                let mut state = self.state.lock();
                if state.open < self.limits.connections {
                    state.open += 1;
                    return Some(Lease::Open(Permit(Arc::downgrade(self))));
                }
                match state.idle.is_empty() {
                    true => return None,
                    false => state.idle.remove(0),
                }
            };
            drop(oldest);
        }
    }

    fn reuse(&self, origin: &Origin, grant: Option<&HttpGrant>) -> Option<Connection> {
        // Another guest's request made it, under other rules perhaps.
        let usable = |idle: &Idle| {
            let peer = idle.connection.half.peer;
            idle.origin == *origin && grant.is_none_or(|grant| grant.permits(peer))
        };
        loop {
            let idle = {
                let mut state = self.state.lock();
                let at = state.idle.iter().rposition(usable)?;
                state.idle.remove(at)
            };
            if idle.connection.is_fresh() {
                return Some(idle.connection);
            }
        }
    }

    /// Takes back a connection that is ready for another request, and gives what closes it when
    /// the peer does or `idle_timeout` is over; `None` where it was closed.
    pub(super) fn put(
        self: &Arc<Self>,
        origin: Origin,
        connection: Connection,
        clocks: &WasiClocksCtx,
    ) -> Option<impl Future<Output = ()> + use<>> {
        let limits = &self.limits;
        if limits.idle == 0 || !connection.is_fresh() {
            return None;
        }
        let stream = Arc::downgrade(connection.half.writer.stream());
        let (watched, mut taken) = oneshot::channel::<Infallible>();
        let (id, oldest) = {
            let mut state = self.state.lock();
            let same = (state.idle.iter()).filter(|idle| idle.origin == origin);
            if same.count() >= limits.idle_per_origin {
                drop(state);
                return None;
            }
            let oldest = (state.idle.len() >= limits.idle).then(|| state.idle.remove(0));
            let id = state.next_id;
            state.next_id += 1;
            state.idle.push(Idle {
                id,
                origin,
                connection,
                _watched: watched,
            });
            (id, oldest)
        };
        drop(oldest);
        self.changed.wake_all();
        let pool = Arc::downgrade(self);
        let mut sleep = clocks.sleep(limits.idle_timeout);
        Some(async move {
            poll_fn(|cx| {
                let ended = Pin::new(&mut taken).poll(cx).is_ready()
                    || sleep.poll_ready(cx).is_ready()
                    || (stream.upgrade())
                        .is_none_or(|stream| stream.poll_read_ready(cx).is_ready());
                match ended {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            })
            .await;
            if let Some(pool) = pool.upgrade() {
                drop(pool.remove(id));
            }
        })
    }

    fn remove(&self, id: u64) -> Option<Idle> {
        let mut state = self.state.lock();
        let at = state.idle.iter().position(|idle| idle.id == id);
        at.map(|at| state.idle.remove(at))
    }
}
