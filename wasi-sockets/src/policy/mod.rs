//! What a guest may reach, whatever the backend.

mod answers;
mod http;
mod network;
mod range;
mod refusal;
mod rule;
mod text;
mod udp;

pub use http::HttpGrant;
pub use network::PolicedNetwork;
pub use refusal::{Action, Reason, Refusal};
pub use rule::Rule;
pub use text::RuleError;

use crate::{ErrorCode, Network};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use range::Range;
use rule::{Cover, Direction};
use wasi_clocks::{Duration, MonotonicClock};

/// How long an answer lasts that does not say it itself.
const LIFETIME: Duration = 60_000_000_000;

/// Who may be talked to: rules in order, of which the first that is about something decides.
/// What no rule is about is refused, so a policy without rules refuses everything. Cloning it
/// gives the same policy; any number of guests share one.
///
/// The [crate's documentation](crate) has an example, [`Rule`] what can be said.
///
/// # Names
///
/// A rule for a name covers the addresses that the guest's own lookups of it gave, for as long
/// as each answer lasts ([`Lookup::lifetime`](crate::Lookup::lifetime), at least a second). A
/// connection goes on when that is over, as does a UDP socket that is connected.
///
/// A name can be made to point anywhere by who owns it:
///
/// - A rule for many names, `*` or `*.example.com`, covers public addresses only: no loopback,
///   no private network, nothing reserved.
/// - A rule for one name trusts its owner with those, so that `localhost` and
///   `db.internal:5432` are what they say. To keep it off loopback, deny `127.0.0.0/8` and
///   `::1` before.
/// - Neither covers an address that is link-local, where clouds have their metadata services
///   (the others of these that are known are treated alike), unspecified, broadcast or
///   multicast.
/// - IPv6 that carries an IPv4 address (6to4, Teredo, NAT64, ISATAP) is what either is.
///
/// A rule for addresses covers all that are in it: `127.0.0.1:8080`, `169.254.169.254`, and
/// `0.0.0.0/0`, which has everything in IPv4.
///
/// A name that no rule could let anybody connect or send to is not looked up at all: a query
/// tells the name to its owner. Rules for addresses allow no lookups.
///
/// A rule that denies a name is about its lookup, and about addresses that the guest has from
/// it. It does not know the addresses otherwise.
///
/// # What is judged
///
/// - A TCP connection and an HTTP request where they go to: rules for `connect`.
/// - A UDP datagram, or a UDP socket when it is connected: rules for `udp`.
/// - A TCP or UDP socket that is bound to a port of its choice, and a TCP socket that begins to
///   listen: rules for `listen`, with its own address. Port 0, or a bind that is implied, is
///   anybody's. What a listener accepts is not judged again.
/// - A datagram that comes in to a socket whose own address no `listen` rule allows: from where
///   the guest may send to, or from its peer; others are dropped, and not reported.
#[derive(Clone)]
pub struct NetworkPolicy(Arc<Policy>);

#[derive(Clone)]
struct Policy {
    rules: Vec<(Verdict, Rule)>,
    lifetime: Duration,
    report: Option<Arc<Report>>,
}

type Report = dyn Fn(&Refusal) + Send + Sync;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Allow,
    Deny,
}

impl NetworkPolicy {
    /// Without rules: everything is refused.
    pub fn new() -> Self {
        Self(Arc::new(Policy {
            rules: Vec::new(),
            lifetime: LIFETIME,
            report: None,
        }))
    }

    /// Allows what `rule` is about, as far as no earlier rule denies it.
    pub fn allow(self, rule: Rule) -> Self {
        self.with(|policy| policy.rules.push((Verdict::Allow, rule)))
    }

    /// Denies what `rule` is about, as far as no earlier rule allows it.
    pub fn deny(self, rule: Rule) -> Self {
        self.with(|policy| policy.rules.push((Verdict::Deny, rule)))
    }

    /// Allows everything that no earlier rule denies, every name and address, in and out: the
    /// rules `*`, `0.0.0.0/0`, `::/0` and `listen:*`.
    pub fn allow_all(self) -> Self {
        let every = |first| Range::new(first, 0).map(Rule::addresses);
        let ranges = [
            every(Ipv4Addr::UNSPECIFIED.into()),
            every(Ipv6Addr::UNSPECIFIED.into()),
        ];
        let any = [Rule::any(None), Rule::any(Some(Direction::Listen))];
        (any.into_iter().chain(ranges.into_iter().flatten())).fold(self, Self::allow)
    }

    /// How long a name's addresses are granted where the resolver does not say, in
    /// nanoseconds; a minute unless set.
    pub fn answer_lifetime(self, lifetime: Duration) -> Self {
        self.with(|policy| policy.lifetime = lifetime)
    }

    /// Calls `report` once for each refusal, before the guest has its answer; it must not
    /// wait. A guest can bring about any number: limit what it makes of them.
    pub fn report(self, report: impl Fn(&Refusal) + Send + Sync + 'static) -> Self {
        self.with(|policy| policy.report = Some(Arc::new(report)))
    }

    /// The network of one guest: what this policy permits of `inner`. It remembers what the
    /// guest's lookups answered, up to 1024 addresses (the ones that end first are forgotten
    /// for others), and for how long by `clock`.
    pub fn network(
        &self,
        inner: Arc<dyn Network>,
        clock: Arc<dyn MonotonicClock>,
    ) -> Arc<PolicedNetwork> {
        Arc::new(PolicedNetwork::new(self.clone(), inner, clock))
    }

    fn with(mut self, change: impl FnOnce(&mut Policy)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    fn rules(&self) -> impl Iterator<Item = (usize, Verdict, &Rule)> {
        let rules = self.0.rules.iter().enumerate();
        rules.map(|(index, (verdict, rule))| (index, *verdict, rule))
    }

    /// Whether `address` and `port` are granted to who has `names` for it.
    fn judge<'a>(
        &self,
        direction: Direction,
        address: IpAddr,
        port: u16,
        names: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<(), Reason> {
        let address = address.to_canonical();
        let mut refused = Reason::NoRule;
        for (index, verdict, rule) in self.rules() {
            match verdict {
                Verdict::Deny if rule.denies(direction, address, port, names.clone()) => {
                    return Err(Reason::Denied(index, rule.clone()));
                }
                Verdict::Deny => {}
                Verdict::Allow => match rule.covers(direction, address, port, names.clone()) {
                    Cover::Yes => return Ok(()),
                    Cover::NotHere if refused == Reason::NoRule => {
                        refused = Reason::Special(index, rule.clone());
                    }
                    Cover::NotHere | Cover::No => {}
                },
            }
        }
        Err(refused)
    }

    /// Whether `name` and `port` are granted, whatever addresses the name has.
    fn judge_name(&self, direction: Direction, name: &str, port: u16) -> Result<(), Reason> {
        let mut about = self
            .rules()
            .filter(|(_, _, rule)| rule.has_name(direction, name) && rule.has_port(port));
        match about.next() {
            Some((_, Verdict::Allow, _)) => Ok(()),
            Some((index, Verdict::Deny, rule)) => Err(Reason::Denied(index, rule.clone())),
            None => Err(Reason::NoRule),
        }
    }

    /// Whether `name` is granted for anything, at any port.
    fn judge_lookup(&self, name: &str) -> Result<(), Reason> {
        let about = |direction| {
            let rules = self.rules();
            rules.filter(move |(_, _, rule)| rule.has_name(direction, name))
        };
        let granted = Direction::ALL.into_iter().any(|direction| {
            // The verdict changes only where the ports of a rule begin or have ended.
            let ports = about(direction).flat_map(|(_, _, rule)| rule.edges());
            ports.into_iter().any(|port| {
                let first = about(direction).find(|(_, _, rule)| rule.has_port(port));
                first.is_some_and(|(_, verdict, _)| verdict == Verdict::Allow)
            })
        });
        let denied = || {
            let mut rules = Direction::ALL.into_iter().flat_map(about);
            rules.find(|(_, verdict, _)| *verdict == Verdict::Deny)
        };
        match granted {
            true => Ok(()),
            false => Err(denied().map_or(Reason::NoRule, |(index, _, rule)| {
                Reason::Denied(index, rule.clone())
            })),
        }
    }

    /// What the guest is told, after the embedder was.
    fn refuse(&self, refusal: Refusal) -> ErrorCode {
        if let Some(report) = &self.0.report {
            report(&refusal);
        }
        ErrorCode::AccessDenied
    }
}

impl Default for NetworkPolicy {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for NetworkPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NetworkPolicy")
            .field("rules", &self.0.rules)
            .field("answer_lifetime", &self.0.lifetime)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
