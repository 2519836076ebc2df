//! Connections that are kept for the next request.

use super::HyperBody;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::string::String;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use std::vec::Vec;
use tokio::sync::oneshot;
use wasi_io::sync::Mutex;
use wasi_sockets::HttpGrant;

/// What a connection can be used for again.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) tls: bool,
    /// In lower case; an IPv6 address without its brackets.
    pub(super) host: String,
    pub(super) port: u16,
}

/// The sending end of a connection, and the address at its other end.
pub(super) enum Sender {
    Http1(http1::SendRequest<HyperBody>, IpAddr),
    Http2(http2::SendRequest<HyperBody>, IpAddr),
}

type Sent = Result<http::Response<Incoming>, TrySendError<http::Request<HyperBody>>>;

impl Sender {
    pub(super) async fn send(&mut self, request: http::Request<HyperBody>) -> Sent {
        match self {
            Self::Http1(sender, _) => sender.try_send_request(request).await,
            Self::Http2(sender, _) => sender.try_send_request(request).await,
        }
    }
}

/// What a request gets.
pub(super) enum Lease {
    /// A connection that served another before.
    Reused(Sender),
    /// Leave to make a connection.
    Open(Permit),
}

/// One of the connections there may be, held while it is there.
pub(super) struct Permit(Option<Arc<Pool>>);

impl Drop for Permit {
    fn drop(&mut self) {
        if let Some(pool) = self.0.take() {
            pool.release();
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Connections at a time, idle ones included.
    pub(super) connections: usize,
    pub(super) idle_per_origin: usize,
    pub(super) idle_timeout: Duration,
}

/// The connections of one client.
pub(super) struct Pool {
    limits: Limits,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    origins: HashMap<Origin, Kept>,
    /// Permits given out.
    open: usize,
    waiting: VecDeque<Waiter>,
    /// A task closes what is idle for too long.
    swept: bool,
}

#[derive(Default)]
struct Kept {
    /// HTTP/1 connections without a request; the one used last is at the end.
    idle: Vec<Link<http1::SendRequest<HyperBody>>>,
    /// The HTTP/2 connection, which any number use.
    shared: Option<Link<http2::SendRequest<HyperBody>>>,
}

/// A connection that is kept.
struct Link<T> {
    sender: T,
    peer: IpAddr,
    /// When it was last used.
    since: Instant,
}

struct Waiter {
    /// Where a reused connection would do.
    origin: Option<Origin>,
    grant: Option<HttpGrant>,
    lease: oneshot::Sender<Lease>,
}

/// Whether a request under `grant` may use a connection to `peer`, which another guest's made
/// perhaps, under other rules.
fn permits(grant: Option<&HttpGrant>, peer: IpAddr) -> bool {
    grant.is_none_or(|grant| grant.permits(peer))
}

impl Pool {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            state: Mutex::new(State::default()),
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
        let waiter = {
            let mut state = self.state.lock();
            if !fresh && let Some(sender) = state.reuse(origin, grant) {
                return Lease::Reused(sender);
            }
            if state.open < self.limits.connections {
                state.open += 1;
                return Lease::Open(Permit(Some(self.clone())));
            }
            // Its task drops the permit, which then comes to the first who waits.
            state.close_oldest();
            state.waiting.retain(|waiter| !waiter.lease.is_closed());
            let (lease, waiter) = oneshot::channel();
            state.waiting.push_back(Waiter {
                origin: (!fresh).then(|| origin.clone()),
                grant: grant.cloned(),
                lease,
            });
            waiter
        };
        match waiter.await {
            Ok(lease) => lease,
            Err(_) => unreachable!("a waiter leaves the queue with a lease only"),
        }
    }

    /// Takes back an HTTP/1 connection that is ready for another request.
    pub(super) fn put(
        self: &Arc<Self>,
        origin: Origin,
        mut sender: http1::SendRequest<HyperBody>,
        peer: IpAddr,
    ) {
        let mut state = self.state.lock();
        while let Some(at) = state.waits_for(&origin, peer) {
            let Some(waiter) = state.waiting.remove(at) else {
                break;
            };
            match (waiter.lease).send(Lease::Reused(Sender::Http1(sender, peer))) {
                Err(Lease::Reused(Sender::Http1(back, _))) => sender = back,
                _ => return,
            }
        }
        if state.waiting.iter().any(|waiter| !waiter.lease.is_closed()) {
            return; // Closed, for those who want to go elsewhere.
        }
        if self.limits.idle_per_origin == 0 {
            return;
        }
        let kept = state.origins.entry(origin).or_default();
        kept.idle.retain(|link| link.sender.is_ready());
        if kept.idle.len() < self.limits.idle_per_origin {
            kept.idle.push(Link::new(sender, peer));
        }
        self.sweep(&mut state);
    }

    /// Lets others share a new HTTP/2 connection.
    pub(super) fn share(
        self: &Arc<Self>,
        origin: &Origin,
        sender: &http2::SendRequest<HyperBody>,
        peer: IpAddr,
    ) {
        let mut state = self.state.lock();
        while let Some(at) = state.waits_for(origin, peer) {
            if let Some(waiter) = state.waiting.remove(at) {
                let _ = (waiter.lease).send(Lease::Reused(Sender::Http2(sender.clone(), peer)));
            }
        }
        let kept = state.origins.entry(origin.clone()).or_default();
        match &kept.shared {
            // Two requests met no connection that they could use and both made one: theirs
            // alone, then.
            Some(link) if !link.sender.is_closed() => {}
            _ => {
                kept.shared = Some(Link::new(sender.clone(), peer));
                self.sweep(&mut state);
            }
        }
    }

    fn release(self: Arc<Self>) {
        let mut state = self.state.lock();
        let mut permit = Permit(None);
        while let Some(waiter) = state.waiting.pop_front() {
            permit.0 = Some(self.clone());
            match waiter.lease.send(Lease::Open(permit)) {
                Ok(()) => return,
                Err(Lease::Open(back)) => permit = back,
                Err(Lease::Reused(_)) => unreachable!("a permit was sent"),
            }
            // The lock is held: its drop must not come back here.
            permit.0 = None;
        }
        state.open -= 1;
    }

    /// Sees that what stays idle is closed in time.
    fn sweep(self: &Arc<Self>, state: &mut State) {
        if core::mem::replace(&mut state.swept, true) {
            return;
        }
        let pool = Arc::downgrade(self);
        tokio::spawn(async move {
            while let Some(at) = Weak::upgrade(&pool).and_then(|pool| pool.expire()) {
                tokio::time::sleep_until(at.into()).await;
            }
        });
    }

    /// Closes what is idle for too long; the time of the next one to, if any is left.
    fn expire(&self) -> Option<Instant> {
        let mut state = self.state.lock();
        let (now, timeout) = (Instant::now(), self.limits.idle_timeout);
        let mut next: Option<Instant> = None;
        let mut stays = |open: bool, since: Instant| {
            // Too far away to be told is never.
            let end = since.checked_add(timeout);
            let stays = open && end.is_none_or(|end| end > now);
            if stays && let Some(end) = end {
                next = Some(next.map_or(end, |next| next.min(end)));
            }
            stays
        };
        state.origins.retain(|_, kept| {
            kept.idle
                .retain(|link| stays(link.sender.is_ready(), link.since));
            kept.shared =
                (kept.shared.take()).filter(|link| stays(!link.sender.is_closed(), link.since));
            !kept.idle.is_empty() || kept.shared.is_some()
        });
        state.swept = next.is_some();
        next
    }
}

impl<T> Link<T> {
    fn new(sender: T, peer: IpAddr) -> Self {
        Self {
            sender,
            peer,
            since: Instant::now(),
        }
    }
}

impl State {
    fn reuse(&mut self, origin: &Origin, grant: Option<&HttpGrant>) -> Option<Sender> {
        let kept = self.origins.get_mut(origin)?;
        kept.shared.take_if(|link| !link.sender.is_ready());
        if let Some(link) = &mut kept.shared
            && permits(grant, link.peer)
        {
            link.since = Instant::now();
            return Some(Sender::Http2(link.sender.clone(), link.peer));
        }
        kept.idle.retain(|link| link.sender.is_ready());
        let at = (kept.idle.iter()).rposition(|link| permits(grant, link.peer))?;
        let link = kept.idle.remove(at);
        Some(Sender::Http1(link.sender, link.peer))
    }

    fn waits_for(&self, origin: &Origin, peer: IpAddr) -> Option<usize> {
        self.waiting.iter().position(|waiter| {
            waiter.origin.as_ref() == Some(origin)
                && permits(waiter.grant.as_ref(), peer)
                && !waiter.lease.is_closed()
        })
    }

    /// Closes the connection that is idle for the longest time. Where there is none, gives up
    /// the shared one used last the longest time ago, which ends with its requests.
    fn close_oldest(&mut self) {
        for kept in self.origins.values_mut() {
            // Those that the peer closed hold no permit any more.
            kept.idle.retain(|link| link.sender.is_ready());
        }
        let idle = (self.origins.values_mut())
            .filter(|kept| !kept.idle.is_empty())
            .min_by_key(|kept| kept.idle[0].since);
        if let Some(kept) = idle {
            kept.idle.remove(0);
            return;
        }
        let shared = (self.origins.values_mut())
            .filter(|kept| kept.shared.is_some())
            .min_by_key(|kept| kept.shared.as_ref().map(|link| link.since));
        if let Some(kept) = shared {
            kept.shared = None;
        }
    }
}
