//! A message to a peer and its reply, with the limits that every route has.

use crate::peer::Peer;
use crate::refusal::Refusal;
use crate::routes::DEFAULT_HOST;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

/// So long a peer has for its first byte, resolving and connecting included, and for
/// each byte after it.
const ANSWER: Duration = Duration::from_secs(10);

/// So long after a reply's first byte it is held back, for it to end or to prove too long.
const GRACE: Duration = Duration::from_millis(200);

/// Longer replies are refused.
const MAX_REPLY: usize = 1024 * 1024;

/// Where `example.com` was when this was written, for machines without a resolver.
const EXAMPLE_COM: [Ipv4Addr; 2] = [
    Ipv4Addr::new(104, 18, 26, 120),
    Ipv4Addr::new(104, 18, 27, 120),
];

/// More addresses than these of one name are not tried.
pub const MAX_ADDRESSES: usize = 16;

/// At most so many bytes are taken from a peer at once.
pub const CHUNK: usize = 64 * 1024;

/// A moment on the network's clock after which nobody waits any longer, in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(pub u64);

/// The network and the clock that a component has.
///
/// The functions may block instead of waiting, where nothing else is to be done meanwhile.
#[expect(async_fn_in_trait, reason = "a component has one thread")]
pub trait Network {
    /// An open connection.
    type Connection;
    /// A message on its way, and its reply.
    type Exchange: Exchange;

    /// Nanoseconds since a moment that doesn't change.
    fn now() -> u64;

    /// The addresses of a name, at most [`MAX_ADDRESSES`].
    async fn resolve(host: &str, deadline: Deadline) -> Result<Vec<IpAddr>, Failure>;

    /// Connects to an address.
    async fn connect(address: SocketAddr, deadline: Deadline) -> Result<Self::Connection, Failure>;

    /// Begins to send the message. With `half_close` the peer sees the end of the stream after
    /// it.
    fn exchange(connection: Self::Connection, message: &[u8], half_close: bool) -> Self::Exchange;
}

/// Why there is no address or no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The deadline passed, or the system's own.
    Timeout,
    /// Anything else, by the name that WASI has for it.
    Other(String),
}

impl Failure {
    fn name(&self) -> &str {
        match self {
            Self::Timeout => "timeout",
            Self::Other(name) => name,
        }
    }
}

/// A message on its way to a peer, and its reply.
///
/// It reads while it still writes: a peer that answers before it has everything, as an
/// echo does, would else stop reading when nobody takes its answer.
#[expect(async_fn_in_trait, reason = "a component has one thread")]
pub trait Exchange {
    /// The next bytes of the reply, at most [`CHUNK`], `None` at its end. What is there
    /// already is given even when the deadline has passed.
    async fn next(&mut self, deadline: Deadline) -> Result<Option<Vec<u8>>, Stop>;

    /// Why the message could not be sent, if so. It matters only if no reply comes either.
    fn send_error(&self) -> Option<String>;
}

/// Why no more of the reply comes, other than its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The deadline passed.
    Expired,
    /// The connection broke; the cause.
    Broken(String),
}

/// `duration` from now.
fn after<N: Network>(duration: Duration) -> Deadline {
    Deadline(N::now().saturating_add(duration.as_nanos() as u64))
}

/// An earlier deadline: now, and one part of `parts` of what is left.
fn part<N: Network>(deadline: Deadline, parts: usize) -> Deadline {
    let now = N::now();
    Deadline(now + deadline.0.saturating_sub(now) / parts.max(1) as u64)
}

/// Why the addresses of a peer are not what the resolver said, where they are not.
type Notice = Option<String>;

/// The addresses of a peer, in the order in which they are tried; never none.
///
/// Errors: 502 where the name has no addresses, 504 where the resolver does not
/// answer before the deadline. `example.com` has none: it falls back.
async fn addresses<N: Network>(
    peer: &Peer,
    deadline: Deadline,
) -> Result<(Vec<IpAddr>, Notice), Refusal> {
    if let Some(address) = peer.literal() {
        return Ok((vec![address], None));
    }
    let host = &peer.host;
    let falls_back = host
        .trim_end_matches('.')
        .eq_ignore_ascii_case(DEFAULT_HOST);
    // A silent resolver must leave the fallback some time to connect.
    let share = part::<N>(deadline, if falls_back { 2 } else { 1 });
    let failure = match N::resolve(host, share).await {
        Ok(list) if list.is_empty() => Failure::Other("name-unresolvable".into()),
        Ok(list) => return Ok((list, None)),
        Err(failure) => failure,
    };
    match failure {
        _ if falls_back => Ok((
            EXAMPLE_COM.map(IpAddr::V4).to_vec(),
            Some(format!(
                "{DEFAULT_HOST} did not resolve ({}); used its known IPv4 addresses",
                failure.name()
            )),
        )),
        Failure::Timeout => Err(Refusal::gateway_timeout(format!(
            "Could not resolve {host}: no answer in time."
        ))),
        Failure::Other(name) => Err(Refusal::bad_gateway(format!(
            "Could not resolve {host}: {name}."
        ))),
    }
}

/// Tries each address in order; each gets an equal share of the time that is left.
///
/// Errors: 504 where no address answered in its time, 502 with the cause of each
/// where one gave another error.
async fn connect<N: Network>(
    peer: &Peer,
    addresses: &[IpAddr],
    deadline: Deadline,
) -> Result<N::Connection, Refusal> {
    let mut causes = Vec::<String>::new();
    let mut all_silent = true;
    for (tried, &address) in addresses.iter().enumerate() {
        let address = SocketAddr::new(address, peer.port);
        let share = part::<N>(deadline, addresses.len() - tried);
        match N::connect(address, share).await {
            Ok(connection) => return Ok(connection),
            Err(failure) => {
                all_silent &= failure == Failure::Timeout;
                // The peer's own address would be said twice.
                causes.push(match peer.literal() {
                    Some(_) => failure.name().into(),
                    None => format!("{address} {}", failure.name()),
                });
            }
        }
    }
    let message = format!("Could not connect to {peer}: {}.", causes.join(", "));
    Err(if all_silent {
        Refusal::gateway_timeout(message)
    } else {
        Refusal::bad_gateway(message)
    })
}

/// A reply that has begun.
pub struct Relay<N: Network> {
    peer: Peer,
    exchange: N::Exchange,
    /// What came of the reply while it was held back.
    pub beginning: Vec<u8>,
    /// That is the whole reply.
    pub ended: bool,
    total: usize,
}

impl<N: Network> Relay<N> {
    /// Dials the peer, sends it the message, and collects the reply up to the first pause
    /// after the grace. Why the addresses are not what the resolver said goes into `notice`.
    ///
    /// Errors: 502 where the peer can't be reached, or the reply is empty, too long, or cut
    /// off by an error; 504 where no byte comes in time.
    pub async fn begin(
        peer: &Peer,
        message: &[u8],
        half_close: bool,
        notice: &mut Option<String>,
    ) -> Result<Self, Refusal> {
        let deadline = after::<N>(ANSWER);
        let (list, fallback) = addresses::<N>(peer, deadline).await?;
        *notice = fallback;
        let connection = connect::<N>(peer, &list, deadline).await?;
        let mut relay = Self {
            peer: peer.clone(),
            exchange: N::exchange(connection, message, half_close),
            beginning: Vec::new(),
            ended: false,
            total: 0,
        };
        relay.collect(deadline).await?;
        Ok(relay)
    }

    async fn collect(&mut self, deadline: Deadline) -> Result<(), Refusal> {
        self.beginning = match self.exchange.next(deadline).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                return Err(match self.exchange.send_error() {
                    Some(cause) => self.broken(&cause),
                    None => Refusal::bad_gateway(format!(
                        "{} closed the connection without an answer.",
                        self.peer
                    )),
                });
            }
            Err(Stop::Expired) => {
                return Err(Refusal::gateway_timeout(format!(
                    "{} did not answer within {} seconds.",
                    self.peer,
                    ANSWER.as_secs()
                )));
            }
            Err(Stop::Broken(cause)) => return Err(self.broken(&cause)),
        };
        let grace = after::<N>(GRACE);
        loop {
            self.total = self.beginning.len();
            if self.total > MAX_REPLY {
                return Err(self.too_long());
            }
            match self.exchange.next(grace).await {
                Ok(Some(more)) => self.beginning.extend(more),
                Ok(None) => {
                    self.ended = true;
                    return Ok(());
                }
                Err(Stop::Expired) => return Ok(()),
                Err(Stop::Broken(cause)) => return Err(self.broken(&cause)),
            }
        }
    }

    /// The next bytes after the beginning, `None` at the end of a reply that had not ended.
    ///
    /// Errors: 502 where the reply is too long, or cut off by an error; 504 where it pauses
    /// for too long.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>, Refusal> {
        match self.exchange.next(after::<N>(ANSWER)).await {
            Ok(Some(bytes)) => {
                self.total += bytes.len();
                match self.total > MAX_REPLY {
                    true => Err(self.too_long()),
                    false => Ok(Some(bytes)),
                }
            }
            Ok(None) => Ok(None),
            Err(Stop::Expired) => Err(Refusal::gateway_timeout(format!(
                "{} paused within its reply for longer than {} seconds.",
                self.peer,
                ANSWER.as_secs()
            ))),
            Err(Stop::Broken(cause)) => Err(self.broken(&cause)),
        }
    }

    /// The whole reply.
    ///
    /// Errors: as for [`next`](Self::next).
    pub async fn whole(mut self) -> Result<Vec<u8>, Refusal> {
        let mut bytes = std::mem::take(&mut self.beginning);
        while !self.ended {
            match self.next().await? {
                Some(more) => bytes.extend(more),
                None => self.ended = true,
            }
        }
        Ok(bytes)
    }

    fn broken(&self, cause: &str) -> Refusal {
        Refusal::bad_gateway(format!("The connection to {} failed: {cause}.", self.peer))
    }

    fn too_long(&self) -> Refusal {
        Refusal::bad_gateway(format!(
            "The reply of {} is longer than {MAX_REPLY} bytes.",
            self.peer
        ))
    }
}
