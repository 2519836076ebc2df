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

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    const SECOND: u64 = 1_000_000_000;

    thread_local! {
        static NOW: Cell<u64> = const { Cell::new(0) };
        /// What the network does next, and how long that takes, in seconds.
        static NAMES: RefCell<VecDeque<(u64, Result<Vec<IpAddr>, Failure>)>> =
            const { RefCell::new(VecDeque::new()) };
        static CONNECTS: RefCell<VecDeque<(u64, Result<(), Failure>)>> =
            const { RefCell::new(VecDeque::new()) };
        static REPLY: RefCell<VecDeque<(u64, Result<Option<usize>, Stop>)>> =
            const { RefCell::new(VecDeque::new()) };
        static SEND_ERROR: RefCell<Option<String>> = const { RefCell::new(None) };
    }

    /// A network that does what it was told before, at once.
    struct Script;

    /// Takes `seconds`, or what there is until the deadline.
    fn pass(seconds: u64, deadline: Deadline) -> bool {
        let then = NOW.get() + seconds * SECOND;
        NOW.set(then.min(deadline.0).max(NOW.get()));
        then <= deadline.0
    }

    impl Network for Script {
        type Connection = ();
        type Exchange = Self;

        fn now() -> u64 {
            NOW.get()
        }

        async fn resolve(_: &str, deadline: Deadline) -> Result<Vec<IpAddr>, Failure> {
            let (seconds, result) = NAMES.with_borrow_mut(|it| it.pop_front()).unwrap();
            match pass(seconds, deadline) {
                true => result,
                false => Err(Failure::Timeout),
            }
        }

        async fn connect(_: SocketAddr, deadline: Deadline) -> Result<(), Failure> {
            let (seconds, result) = CONNECTS.with_borrow_mut(|it| it.pop_front()).unwrap();
            match pass(seconds, deadline) {
                true => result,
                false => Err(Failure::Timeout),
            }
        }

        fn exchange((): (), _: &[u8], _: bool) -> Self {
            Self
        }
    }

    impl Exchange for Script {
        async fn next(&mut self, deadline: Deadline) -> Result<Option<Vec<u8>>, Stop> {
            let next = REPLY.with_borrow_mut(|it| it.pop_front());
            let (seconds, result) = next.unwrap_or((0, Ok(None)));
            match pass(seconds, deadline) {
                true => result.map(|bytes| bytes.map(|n| vec![b'x'; n])),
                false => {
                    REPLY.with_borrow_mut(|it| it.push_front((seconds, result)));
                    Err(Stop::Expired)
                }
            }
        }

        fn send_error(&self) -> Option<String> {
            SEND_ERROR.with_borrow(Clone::clone)
        }
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => value,
            Poll::Pending => panic!("the script never waits"),
        }
    }

    fn begin(host: &str) -> (Result<Relay<Script>, (u16, String)>, Option<String>) {
        let host = host.into();
        let mut notice = None;
        let relay = run(Relay::begin(
            &Peer { host, port: 7 },
            b"",
            true,
            &mut notice,
        ));
        let relay = relay.map_err(|refusal| (refusal.status, refusal.message));
        (relay, notice)
    }

    fn other<T>(name: &str) -> Result<T, Failure> {
        Err(Failure::Other(name.into()))
    }

    #[test]
    fn a_name_without_addresses_is_refused_and_example_com_falls_back() {
        for (host, answer, status) in [
            ("a.test", (0, other("name-unresolvable")), 502),
            ("a.test", (0, Ok(vec![])), 502),
            ("a.test", (11, Ok(vec![])), 504),
            ("Example.com.", (0, other("access-denied")), 200),
            ("example.com", (11, Ok(vec![])), 200),
        ] {
            NAMES.set([answer].into());
            // A silent resolver leaves the fallback the half of the time.
            CONNECTS.set([(2, Ok(()))].into());
            REPLY.set([(0, Ok(Some(1)))].into());
            let (relay, notice) = begin(host);
            let got = relay.map_or_else(|it| it.0, |_| 200);
            assert_eq!(got, status, "{host}");
            assert_eq!(notice.is_some(), status == 200, "{host}: {notice:?}");
        }
    }

    #[test]
    fn each_address_gets_an_equal_share_of_the_time_that_is_left() {
        let addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"];
        let addresses: Vec<IpAddr> = addresses.map(|it| it.parse().unwrap()).into();
        NAMES.set([(2, Ok(addresses))].into());
        // Of 8 s, 2 each; what one leaves the others have.
        CONNECTS.set(
            [
                (99, Ok(())),
                (0, other("connection-refused")),
                (3, Ok(())),
                (99, Ok(())),
            ]
            .into(),
        );
        REPLY.set([(0, Ok(Some(5))), (0, Ok(None))].into());
        let (relay, notice) = begin("a.test");
        let relay = relay.unwrap_or_else(|told| panic!("{told:?}"));
        assert!(relay.ended && notice.is_none());
        assert_eq!(relay.beginning, b"xxxxx");
        assert_eq!(CONNECTS.with_borrow(VecDeque::len), 1);
        assert_eq!(NOW.get(), (2 + 2 + 3) * SECOND);
    }

    #[test]
    fn only_silence_everywhere_is_a_504() {
        let both: Vec<IpAddr> = ["192.0.2.1", "2001:db8::1"]
            .map(|it| it.parse().unwrap())
            .into();
        for (connects, expected) in [
            (
                [(99, Ok(())), (99, Ok(()))],
                (504, "192.0.2.1:7 timeout, [2001:db8::1]:7 timeout"),
            ),
            (
                [(99, Ok(())), (0, other("connection-refused"))],
                (
                    502,
                    "192.0.2.1:7 timeout, [2001:db8::1]:7 connection-refused",
                ),
            ),
        ] {
            NAMES.set([(0, Ok(both.clone()))].into());
            CONNECTS.set(connects.into());
            let (status, causes) = expected;
            let told = format!("Could not connect to a.test:7: {causes}.");
            assert_eq!(begin("a.test").0.err(), Some((status, told)));
        }
    }

    #[test]
    fn a_reply_is_held_up_to_its_first_pause_and_no_longer_than_a_mebibyte() {
        for (reply, send_error, expected) in [
            (vec![(9, Ok(Some(3))), (0, Ok(None))], None, Ok((3, true))),
            (vec![(9, Ok(Some(3))), (1, Ok(None))], None, Ok((3, false))),
            (
                vec![(0, Ok(Some(1))), (0, Ok(Some(MAX_REPLY - 1)))],
                None,
                Ok((MAX_REPLY, true)),
            ),
            (
                vec![(0, Ok(Some(1))), (0, Ok(Some(MAX_REPLY)))],
                None,
                Err(502),
            ),
            (vec![(0, Ok(None))], None, Err(502)),
            (vec![(0, Ok(None))], Some("connection-reset"), Err(502)),
            (vec![(11, Ok(Some(1)))], None, Err(504)),
            (vec![(0, Err(Stop::Broken("x".into())))], None, Err(502)),
            (
                vec![(0, Ok(Some(1))), (0, Err(Stop::Broken("x".into())))],
                None,
                Err(502),
            ),
        ] {
            CONNECTS.set([(0, Ok(()))].into());
            REPLY.set(reply.clone().into());
            SEND_ERROR.set(send_error.map(Into::into));
            let got = begin("192.0.2.1").0;
            let got = got
                .map(|it| (it.beginning.len(), it.ended))
                .map_err(|it| it.0);
            assert_eq!(got, expected, "{reply:?} {send_error:?}");
        }
    }

    #[test]
    fn the_rest_of_a_reply_may_pause_for_ten_seconds_and_has_the_same_bound() {
        for (rest, expected) in [
            (vec![(10, Ok(Some(2))), (10, Ok(None))], Ok(3)),
            (vec![(11, Ok(Some(2)))], Err(504)),
            (vec![(1, Ok(Some(MAX_REPLY)))], Err(502)),
            (vec![(1, Err(Stop::Broken("x".into())))], Err(502)),
        ] {
            CONNECTS.set([(0, Ok(()))].into());
            let first = (0, Ok(Some(1)));
            REPLY.set([first].into_iter().chain(rest.clone()).collect());
            let relay = begin("192.0.2.1")
                .0
                .unwrap_or_else(|told| panic!("{told:?}"));
            assert!(!relay.ended, "{rest:?}");
            let whole = run(relay.whole()).map(|it| it.len());
            assert_eq!(whole.map_err(|it| it.status), expected, "{rest:?}");
        }
    }
}
