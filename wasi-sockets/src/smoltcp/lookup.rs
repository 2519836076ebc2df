//! Names, asked of the servers that are known.

use super::Shared;
use super::signal::{Kind, Phase, Signal};
use super::stack::Stack;
use crate::{ErrorCode, Lookup};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::task::{Context, Poll, Waker};
use smoltcp::socket::dns::{GetQueryResultError, QueryHandle, Socket as Dns};
use smoltcp::wire::DnsQueryType;

/// What the stack knows of a lookup.
pub(super) struct Query {
    /// For addresses of each family, while they are not answered.
    asked: Vec<QueryHandle>,
    found: Vec<IpAddr>,
    /// A server says that there is no name, or no address of the family.
    nothing: bool,
    /// No server answered in time.
    unanswered: bool,
    signal: Arc<Signal>,
    waker: Waker,
    until: u64,
}

impl Query {
    /// When it is given up.
    pub(super) fn deadline(&self) -> Option<u64> {
        (!self.asked.is_empty()).then_some(self.until)
    }
}

impl Stack {
    fn look_up(&mut self, name: &str) -> Result<u64, ErrorCode> {
        if self.addresses.name_servers().is_empty() {
            return match self.addresses.may_come() {
                true => Err(ErrorCode::TemporaryResolverFailure),
                false => Err(ErrorCode::NotSupported),
            };
        }
        if self.lookups.len() >= self.limits.lookups {
            return Err(ErrorCode::TemporaryResolverFailure);
        }
        let id = self.id();
        let signal = self.signal(Kind::Lookup(id));
        let mut query = Query {
            asked: Vec::new(),
            found: Vec::new(),
            nothing: false,
            unanswered: false,
            waker: Waker::from(signal.clone()),
            signal,
            until: self.now.saturating_add(self.limits.lookup_timeout),
        };
        let handle = self.addresses.dns;
        let socket = self.sockets.get_mut::<Dns>(handle);
        for kind in [DnsQueryType::A, DnsQueryType::Aaaa] {
            if let Ok(asked) = socket.start_query(self.iface.context(), name, kind) {
                socket.register_query_waker(asked, &query.waker);
                query.asked.push(asked);
            }
        }
        if query.asked.is_empty() {
            return Err(ErrorCode::NameUnresolvable);
        }
        self.lookups.insert(id, query);
        self.drive = true;
        Ok(id)
    }

    pub(super) fn lookup_changed(&mut self, id: u64, phase: Phase) {
        let Some(query) = self.lookups.get_mut(&id) else {
            return;
        };
        let socket = self.sockets.get_mut::<Dns>(self.addresses.dns);
        for asked in core::mem::take(&mut query.asked) {
            match socket.get_query_result(asked) {
                Ok(found) => query.found.extend(found.into_iter().map(IpAddr::from)),
                Err(GetQueryResultError::Pending) => {
                    socket.register_query_waker(asked, &query.waker);
                    query.asked.push(asked);
                }
                // smoltcp tells both by the same word, and only an answer comes in.
                Err(GetQueryResultError::Failed) if phase == Phase::Ingress => {
                    query.nothing = true;
                }
                Err(GetQueryResultError::Failed) => query.unanswered = true,
            }
        }
    }

    pub(super) fn lookups_expired(&mut self, now: u64) {
        for query in self.lookups.values_mut() {
            if query.deadline().is_some_and(|deadline| deadline <= now) {
                let socket = self.sockets.get_mut::<Dns>(self.addresses.dns);
                for asked in query.asked.drain(..) {
                    socket.cancel_query(asked);
                }
                query.unanswered = true;
                self.wake.push(query.signal.clone());
            }
        }
    }

    fn drop_lookup(&mut self, id: u64) {
        if let Some(query) = self.lookups.remove(&id) {
            let socket = self.sockets.get_mut::<Dns>(self.addresses.dns);
            for asked in query.asked {
                socket.cancel_query(asked);
            }
        }
    }

    /// Of both families, those that there is a way to first, and IPv4 before IPv6.
    fn found(&self, query: &Query) -> Result<Vec<IpAddr>, ErrorCode> {
        if query.found.is_empty() {
            return Err(match query.nothing {
                true => ErrorCode::NameUnresolvable,
                false => ErrorCode::TemporaryResolverFailure,
            });
        }
        let mut found = query.found.clone();
        found.sort_by_key(|ip| (self.source(*ip).is_none(), ip.is_ipv6()));
        Ok(found)
    }
}

/// A lookup under way.
pub(super) struct Asked {
    shared: Arc<Shared>,
    id: u64,
}

impl Asked {
    pub(super) fn new(shared: &Arc<Shared>, name: &str) -> Result<Self, ErrorCode> {
        let id = shared.with(|stack| stack.look_up(name))?;
        let shared = shared.clone();
        Ok(Self { shared, id })
    }
}

impl Lookup for Asked {
    fn poll_addresses(&mut self, cx: &mut Context<'_>) -> Poll<Result<Vec<IpAddr>, ErrorCode>> {
        self.shared.with(|stack| match stack.lookups.get(&self.id) {
            None => Poll::Ready(Err(ErrorCode::Unknown)),
            Some(query) if query.asked.is_empty() => Poll::Ready(stack.found(query)),
            Some(query) => {
                // Under the lock, so that no answer comes between.
                query.signal.changed.register(cx.waker());
                Poll::Pending
            }
        })
    }
}

impl Drop for Asked {
    fn drop(&mut self) {
        self.shared.with(|stack| stack.drop_lookup(self.id));
    }
}

/// `localhost` and the names below it, which no server is asked for (RFC 6761, 6.3).
pub(super) fn is_localhost(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

pub(super) struct Localhost;

impl Lookup for Localhost {
    fn poll_addresses(&mut self, _: &mut Context<'_>) -> Poll<Result<Vec<IpAddr>, ErrorCode>> {
        let found = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        Poll::Ready(Ok(found.into()))
    }
}
