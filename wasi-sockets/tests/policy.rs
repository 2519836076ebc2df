//! What a policy permits a guest, over networks in memory and this machine's.

mod common;

use common::{Guest, accept, join, ready};
use pollster::block_on;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use wasi_clocks::manual::ManualClock;
use wasi_sockets::{
    Action, ErrorCode, IpAddressFamily, Lookup, LoopbackNet, Network, NetworkPolicy,
    OutgoingDatagram, Refusal, ResolveAddressStream, Socket, TcpSocket, UdpSocket,
};

const SECOND: u64 = 1_000_000_000;
const A: &str = "203.0.113.7";
const B: &str = "203.0.113.8";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn at(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), port)
}

type Log = Arc<Mutex<Vec<Refusal>>>;

/// A policy that allows `rules`, and what it reports.
fn policy(rules: &[&str]) -> (NetworkPolicy, Log) {
    let log = Log::default();
    let told = log.clone();
    let policy = NetworkPolicy::new().report(move |refusal| {
        told.lock().unwrap().push(refusal.clone());
    });
    let rules = rules.iter().map(|rule| rule.parse().unwrap());
    (rules.fold(policy, NetworkPolicy::allow), log)
}

/// Takes what was reported.
fn reported(log: &Log) -> Vec<String> {
    let refusals = std::mem::take(&mut *log.lock().unwrap());
    refusals.iter().map(Refusal::to_string).collect()
}

type Answer = (Vec<IpAddr>, Option<u64>);

/// A network in memory whose resolver says one thing after another, whatever it is asked.
struct Scripted {
    net: LoopbackNet,
    answers: Mutex<VecDeque<Answer>>,
}

impl Scripted {
    fn new(answers: &[(&[&str], Option<u64>)]) -> Arc<Self> {
        let net = LoopbackNet::new()
            .with_address(ip(A))
            .with_address(ip(B))
            .with_address(ip("169.254.169.254"));
        let answers = answers.iter().map(|(addresses, lifetime)| {
            let addresses = addresses.iter().map(|address| ip(address));
            (addresses.collect(), *lifetime)
        });
        Arc::new(Self {
            net,
            answers: Mutex::new(answers.collect()),
        })
    }
}

impl Network for Scripted {
    fn tcp_socket(&self, family: IpAddressFamily) -> Result<Box<dyn TcpSocket>, ErrorCode> {
        self.net.tcp_socket(family)
    }

    fn lookup(&self, _: &str) -> Result<Box<dyn Lookup>, ErrorCode> {
        let answer = self.answers.lock().unwrap().pop_front();
        Ok(Box::new(Said(answer.ok_or(ErrorCode::NameUnresolvable)?)))
    }
}

struct Said(Answer);

impl Lookup for Said {
    fn poll_addresses(&mut self, _: &mut Context<'_>) -> Poll<Result<Vec<IpAddr>, ErrorCode>> {
        Poll::Ready(Ok(self.0.0.clone()))
    }

    fn lifetime(&self) -> Option<u64> {
        self.0.1
    }
}

/// A guest on what `policy` permits of `network`, whose time is `clock`.
fn guest(policy: &NetworkPolicy, network: &Arc<Scripted>, clock: &ManualClock) -> Guest {
    let network = policy.network(network.clone(), Arc::new(clock.clone()));
    Guest::new(network, A)
}

fn resolve(guest: &Guest, name: &str) -> Result<Option<IpAddr>, ErrorCode> {
    ResolveAddressStream::new(&guest.ctx, &guest.net, name)?.resolve_next_address()
}

/// Why no connection comes about: nobody listens, unless it is refused before.
fn connect(guest: &Guest, to: SocketAddr) -> ErrorCode {
    match block_on(guest.connect(to)) {
        Ok(_) => panic!("somebody listens on {to}"),
        Err(code) => code,
    }
}

const REACHED: ErrorCode = ErrorCode::ConnectionRefused;
const REFUSED: ErrorCode = ErrorCode::AccessDenied;

#[test]
fn a_name_grants_the_addresses_of_its_answers_and_no_others() {
    let (policy, log) = policy(&["api.example.com:443"]);
    let network = Scripted::new(&[(&[A], None)]);
    let guest = guest(&policy, &network, &ManualClock::default());
    assert_eq!(connect(&guest, at(A, 443)), REFUSED, "before the lookup");
    let told = format!("connection to {A}:443 refused: no rule allows it");
    assert_eq!(reported(&log), [told]);
    assert_eq!(resolve(&guest, "API.example.com."), Ok(Some(ip(A))));
    assert_eq!(connect(&guest, at(A, 443)), REACHED);
    assert!(reported(&log).is_empty());
    assert_eq!(connect(&guest, at(A, 80)), REFUSED);
    assert_eq!(connect(&guest, at(B, 443)), REFUSED);
    assert_eq!(reported(&log).len(), 2);
}

#[test]
fn a_name_that_no_rule_is_about_is_not_looked_up() {
    let (policy, log) = policy(&["*.example.com", "203.0.113.0/24"]);
    let policy = NetworkPolicy::deny(policy, "evil.test".parse().unwrap());
    let network = Scripted::new(&[(&[A], None)]);
    let guest = guest(&policy, &network, &ManualClock::default());
    for name in ["example.com", "localhost", "evil.test"] {
        assert_eq!(resolve(&guest, name), Err(REFUSED), "{name}");
    }
    assert_eq!(
        reported(&log),
        [
            "lookup of example.com refused: no rule allows it",
            "lookup of localhost refused: no rule allows it",
            "lookup of evil.test refused: the rule `evil.test` denies it",
        ]
    );
    assert_eq!(network.answers.lock().unwrap().len(), 1, "nobody was asked");
    // An address answers itself and is none the more granted.
    assert_eq!(resolve(&guest, "127.0.0.1"), Ok(Some(ip("127.0.0.1"))));
    assert_eq!(connect(&guest, at("127.0.0.1", 80)), REFUSED);
    assert_eq!(reported(&log).len(), 1);
}

#[test]
fn a_name_that_is_bound_to_another_address_does_not_reach_it() {
    let special = ["127.0.0.1", "169.254.169.254"];
    let network = Scripted::new(&[(&[A], None), (&special[..1], None), (&special[1..], None)]);
    let (policy, log) = policy(&["*.example.com"]);
    let guest = guest(&policy, &network, &ManualClock::default());
    for address in [A, special[0], special[1]] {
        assert_eq!(resolve(&guest, "a.example.com"), Ok(Some(ip(address))));
    }
    assert_eq!(connect(&guest, at(A, 80)), REACHED);
    for address in special {
        assert_eq!(connect(&guest, at(address, 80)), REFUSED);
        let told = format!(
            "connection to {address}:80 refused: the rule `*.example.com` does not cover this \
             kind of address; a rule for the address would"
        );
        assert_eq!(reported(&log), [told]);
    }
}

#[test]
fn an_answer_lasts_as_long_as_it_says() {
    for (said, own, lasts) in [
        (None, None, 60 * SECOND),
        (None, Some(2 * SECOND), 2 * SECOND),
        (Some(5 * SECOND), Some(2 * SECOND), 5 * SECOND),
        (Some(0), None, SECOND),
        (None, Some(0), SECOND),
    ] {
        let (mut policy, log) = policy(&["a.example.com"]);
        if let Some(own) = own {
            policy = policy.answer_lifetime(own);
        }
        let clock = ManualClock::default();
        clock.advance(7);
        let network = Scripted::new(&[(&[A], said), (&[A], said)]);
        let guest = guest(&policy, &network, &clock);
        for _ in 0..2 {
            resolve(&guest, "a.example.com").unwrap();
            clock.advance(lasts - 1);
            assert_eq!(connect(&guest, at(A, 80)), REACHED, "{said:?} {own:?}");
            clock.advance(1);
            assert_eq!(connect(&guest, at(A, 80)), REFUSED, "{said:?} {own:?}");
        }
        assert_eq!(reported(&log).len(), 2);
    }
    let (policy, _) = policy(&["a.example.com"]);
    let clock = ManualClock::default();
    clock.advance(SECOND);
    let guest = guest(&policy, &Scripted::new(&[(&[A], Some(u64::MAX))]), &clock);
    resolve(&guest, "a.example.com").unwrap();
    clock.advance(u64::MAX / 2);
    assert_eq!(connect(&guest, at(A, 80)), REACHED);
}

#[test]
fn what_one_guest_looked_up_is_granted_to_no_other() {
    let (policy, log) = policy(&["a.example.com"]);
    let network = Scripted::new(&[(&[A], None)]);
    let clock = ManualClock::default();
    let (one, other) = (
        guest(&policy, &network, &clock),
        guest(&policy, &network, &clock),
    );
    resolve(&one, "a.example.com").unwrap();
    assert_eq!(connect(&one, at(A, 80)), REACHED);
    assert_eq!(connect(&other, at(A, 80)), REFUSED);
    assert_eq!(reported(&log).len(), 1);
}

#[test]
fn a_mapped_answer_grants_the_address_in_it() {
    let (policy, log) = policy(&["*.example.com"]);
    let mapped = [&*format!("::ffff:{A}"), "::ffff:127.0.0.1"];
    let network = Scripted::new(&[(&mapped, None)]);
    let guest = guest(&policy, &network, &ManualClock::default());
    assert_eq!(resolve(&guest, "a.example.com"), Ok(Some(ip(A))));
    assert_eq!(connect(&guest, at(A, 80)), REACHED);
    assert_eq!(connect(&guest, at("127.0.0.1", 80)), REFUSED);
    assert_eq!(reported(&log).len(), 1);
}

#[test]
fn a_connection_goes_on_after_its_answer_has_ended() {
    block_on(async {
        let (policy, log) = policy(&["a.example.com"]);
        let clock = ManualClock::default();
        let network = Scripted::new(&[(&[A], None)]);
        let client = guest(&policy, &network, &clock);
        let server = Guest::new(network, A);
        let mut listener = server.listen(at(A, 80)).await.unwrap();
        listener.set_listen_backlog_size(1).unwrap();
        resolve(&client, "a.example.com").unwrap();
        let mut first = client.connect(at(A, 80)).await.unwrap();
        // The second waits for the first to be accepted, and the answer ends meanwhile.
        let mut second = client.socket();
        second.start_connect(&client.net, at(A, 80)).unwrap();
        assert_eq!(second.finish_connect().err(), Some(ErrorCode::WouldBlock));
        clock.advance(61 * SECOND);
        let (_, mut accepted) = join(ready(&mut second), accept(&mut listener)).await;
        second.finish_connect().unwrap();
        first.write(b"hello").await.unwrap();
        assert_eq!(accepted.read().await.unwrap(), b"hello");
        assert!(reported(&log).is_empty());
        assert_eq!(client.connect(at(A, 80)).await.err(), Some(REFUSED));
        assert_eq!(reported(&log).len(), 1);
    });
}

#[test]
fn who_listens_needs_a_rule_and_who_is_accepted_none() {
    block_on(async {
        let network = Scripted::new(&[]);
        let clock = ManualClock::default();
        let (server, log) = policy(&[&format!("listen:{A}:8080")]);
        let server = guest(&server, &network, &clock);
        let refused = async |local| server.listen(local).await.err();
        assert_eq!(refused(at(A, 80)).await, Some(REFUSED), "to bind");
        assert_eq!(
            refused(at("0.0.0.0", 8080)).await,
            Some(REFUSED),
            "more than it"
        );
        assert_eq!(
            refused(at(A, 0)).await,
            Some(REFUSED),
            "bound, and not to listen"
        );
        let told = reported(&log);
        assert_eq!(
            told[0],
            format!("listening on {A}:80 refused: no rule allows it")
        );
        assert_eq!(told.len(), 3);
        let mut listener = server.listen(at(A, 8080)).await.unwrap();

        let (client, client_log) = policy(&[&format!("connect:{A}:8080")]);
        let client = guest(&client, &network, &clock);
        let mut socket = client.socket();
        client.bind(&mut socket, at(A, 0)).await.unwrap();
        let mut connection = client.connect_with(socket, at(A, 8080)).await.unwrap();
        let mut accepted = accept(&mut listener).await;
        accepted.write(b"hello").await.unwrap();
        assert_eq!(connection.read().await.unwrap(), b"hello");
        let from = accepted.socket.remote_address().unwrap();
        assert_eq!(
            server.connect(from).await.err(),
            Some(REFUSED),
            "nor to call back"
        );
        let mut socket = client.socket();
        let bound = client.bind(&mut socket, at(A, 5000)).await;
        assert_eq!(bound, Err(REFUSED), "a port of its choice");
        assert_eq!((reported(&log).len(), reported(&client_log).len()), (1, 1));
    });
}

#[test]
fn refusals_say_what_was_asked_for() {
    let (policy, log) = policy(&[]);
    let guest = guest(&policy, &Scripted::new(&[]), &ManualClock::default());
    assert_eq!(connect(&guest, at(A, 80)), REFUSED);
    assert_eq!(resolve(&guest, "a.example.com"), Err(REFUSED));
    let log = log.lock().unwrap();
    assert_eq!(log[0].action, Action::Connect);
    assert_eq!(
        (&log[0].host, log[0].address, log[0].port),
        (&None, Some(ip(A)), Some(80))
    );
    assert_eq!(log[1].action, Action::Lookup);
    assert_eq!(log[1].host.as_deref(), Some("a.example.com"));
    assert_eq!((log[1].address, log[1].port), (None, None));
}

/// A UDP socket that sends to nowhere and receives what it is given.
#[derive(Default)]
struct Datagrams {
    local: Mutex<Option<SocketAddr>>,
    incoming: Mutex<VecDeque<SocketAddr>>,
    sent: Mutex<Vec<SocketAddr>>,
}

struct DatagramNet(Arc<Datagrams>, Scripted);

impl Network for DatagramNet {
    fn udp_socket(&self, _: IpAddressFamily) -> Result<Box<dyn UdpSocket>, ErrorCode> {
        Ok(Box::new(DatagramSocket(self.0.clone())))
    }

    fn lookup(&self, name: &str) -> Result<Box<dyn Lookup>, ErrorCode> {
        self.1.lookup(name)
    }
}

struct DatagramSocket(Arc<Datagrams>);

impl Socket for DatagramSocket {
    fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        self.0.local.lock().unwrap().ok_or(ErrorCode::InvalidState)
    }
}

impl UdpSocket for DatagramSocket {
    fn poll_bind(&self, _: &mut Context<'_>, mut to: SocketAddr) -> Poll<Result<(), ErrorCode>> {
        if to.port() == 0 {
            to.set_port(50_000);
        }
        *self.0.local.lock().unwrap() = Some(to);
        Poll::Ready(Ok(()))
    }

    fn connect(&self, _: SocketAddr) -> Result<(), ErrorCode> {
        Ok(())
    }

    fn disconnect(&self) -> Result<(), ErrorCode> {
        Ok(())
    }

    fn poll_send_ready(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn poll_send_to(
        &self,
        _: &mut Context<'_>,
        _: &[u8],
        remote: SocketAddr,
    ) -> Poll<Result<(), ErrorCode>> {
        self.0.sent.lock().unwrap().push(remote);
        Poll::Ready(Ok(()))
    }

    fn poll_receive_ready(&self, _: &mut Context<'_>) -> Poll<()> {
        match self.0.incoming.lock().unwrap().is_empty() {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }

    fn poll_receive_from(
        &self,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<Result<(usize, SocketAddr), ErrorCode>> {
        match self.0.incoming.lock().unwrap().pop_front() {
            Some(from) => Poll::Ready(Ok((0, from))),
            None => Poll::Pending,
        }
    }
}

/// A UDP socket under `rules`, what is below it, its network and time, and what is reported.
struct Udp {
    socket: Box<dyn UdpSocket>,
    below: Arc<Datagrams>,
    guest: Guest,
    clock: ManualClock,
    log: Log,
}

impl Udp {
    fn new(rules: &[&str]) -> Self {
        let (policy, log) = policy(rules);
        let (below, clock) = (Arc::new(Datagrams::default()), ManualClock::default());
        let answers = Arc::into_inner(Scripted::new(&[(&[A], None), (&[A], None)])).unwrap();
        let network = Arc::new(DatagramNet(below.clone(), answers));
        let network = policy.network(network, Arc::new(clock.clone()));
        Self {
            socket: network.udp_socket(IpAddressFamily::Ipv4).unwrap(),
            below,
            guest: Guest::new(network, A),
            clock,
            log,
        }
    }

    fn bind(&self, port: u16) -> Result<(), ErrorCode> {
        let mut cx = Context::from_waker(Waker::noop());
        let local = at("0.0.0.0", port);
        match self.socket.poll_bind(&mut cx, local) {
            Poll::Ready(bound) => bound,
            Poll::Pending => panic!("pending"),
        }
    }

    fn send(&self, to: SocketAddr) -> Result<(), ErrorCode> {
        let mut cx = Context::from_waker(Waker::noop());
        match self.socket.poll_send_to(&mut cx, b"x", to) {
            Poll::Ready(sent) => sent,
            Poll::Pending => panic!("pending"),
        }
    }

    /// Who sent what the guest gets, until nothing more comes.
    fn receive(&self, from: &[SocketAddr]) -> Vec<SocketAddr> {
        self.below.incoming.lock().unwrap().extend(from);
        let mut cx = Context::from_waker(Waker::noop());
        let mut got = Vec::new();
        while self.socket.poll_receive_ready(&mut cx).is_ready() {
            if let Poll::Ready(received) = self.socket.poll_receive_from(&mut cx, &mut []) {
                got.push(received.unwrap().1);
            }
        }
        got
    }
}

#[test]
fn each_datagram_is_judged_by_where_it_goes() {
    let udp = Udp::new(&[
        "a.example.com:53",
        "udp:203.0.113.8:53",
        "connect:203.0.113.9",
    ]);
    udp.bind(0).unwrap();
    let (a, b) = (at(A, 53), at(B, 53));
    assert_eq!(udp.send(a), Err(REFUSED));
    assert_eq!(udp.send(b), Ok(()));
    resolve(&udp.guest, "a.example.com").unwrap();
    assert_eq!(udp.send(a), Ok(()));
    assert_eq!(udp.send(at(A, 54)), Err(REFUSED));
    assert_eq!(udp.send(at("203.0.113.9", 53)), Err(REFUSED), "TCP only");
    udp.clock.advance(60 * SECOND);
    assert_eq!(udp.send(a), Err(REFUSED), "the answer has ended");
    assert_eq!(udp.send(b), Ok(()));
    assert_eq!(*udp.below.sent.lock().unwrap(), [b, a, b]);
    let told = reported(&udp.log);
    assert_eq!(
        told[0],
        format!("datagram to {A}:53 refused: no rule allows it")
    );
    assert_eq!(told.len(), 4);
}

#[test]
fn a_connected_udp_socket_was_judged_when_it_was_connected() {
    let udp = Udp::new(&["a.example.com:53"]);
    udp.bind(0).unwrap();
    assert_eq!(udp.socket.connect(at(A, 53)), Err(REFUSED));
    assert_eq!(udp.send(at(A, 53)), Err(REFUSED), "it is not connected");
    resolve(&udp.guest, "a.example.com").unwrap();
    udp.socket.connect(at(A, 53)).unwrap();
    udp.clock.advance(60 * SECOND);
    assert_eq!(udp.send(at(A, 53)), Ok(()), "it goes on");
    assert_eq!(udp.receive(&[at(A, 53), at(B, 53)]), [at(A, 53)]);
    assert_eq!(udp.send(at(B, 53)), Err(REFUSED));
    udp.socket.disconnect().unwrap();
    assert_eq!(udp.send(at(A, 53)), Err(REFUSED), "and has ended");
    assert_eq!(reported(&udp.log).len(), 4);
}

#[test]
fn a_udp_socket_receives_from_anybody_only_where_it_may_listen() {
    let many: Vec<_> = (1..=200).map(|port| at(B, port)).collect();
    let peers = [&[at(B, 53)][..], &many, &[at(A, 53)]].concat();

    let udp = Udp::new(&["203.0.113.7:53"]);
    assert_eq!(udp.bind(8053), Err(REFUSED));
    let told = "listening on 0.0.0.0:8053 refused: no rule allows it";
    assert_eq!(reported(&udp.log), [told]);
    udp.bind(0).unwrap();
    assert_eq!(
        udp.receive(&peers),
        [at(A, 53)],
        "from where it may send to"
    );

    let udp = Udp::new(&["listen:*:8053"]);
    udp.bind(8053).unwrap();
    assert_eq!(udp.receive(&peers), peers);
    assert_eq!(udp.send(at(A, 53)), Err(REFUSED), "to answer needs a rule");
    assert_eq!(reported(&udp.log).len(), 1);
}

#[test]
fn a_guest_s_datagrams_go_where_its_policy_lets_them() {
    let net = Arc::new(LoopbackNet::new().with_address(ip(A)).with_address(ip(B)));
    let socket = |network: Arc<dyn Network>, local| {
        let guest = Guest::new(network, A);
        let mut socket = guest.udp_socket();
        socket.start_bind(&guest.net, local)?;
        socket.finish_bind()?;
        Ok::<_, ErrorCode>(socket)
    };
    let (policy, log) = policy(&["udp:203.0.113.7:53"]);
    let network = policy.network(net.clone(), Arc::new(ManualClock::default()));
    assert_eq!(socket(network.clone(), at(B, 99)).err(), Some(REFUSED));
    let mut guest = socket(network, at(B, 0)).unwrap();
    let local = guest.local_address().unwrap();
    let peers = [at(A, 53), at(A, 54)];
    let mut peers = peers.map(|local| socket(net.clone(), local).unwrap());
    let mut peers = peers.each_mut().map(|peer| peer.stream(None).unwrap());
    let datagram = |remote| OutgoingDatagram {
        data: b"hello".to_vec(),
        remote_address: Some(remote),
    };

    let (mut incoming, mut outgoing) = guest.stream(None).unwrap();
    let mut send = |remote| {
        outgoing.check_send()?;
        outgoing.send(&[datagram(remote)]).unwrap()
    };
    assert_eq!(send(at(A, 54)), Err(REFUSED));
    assert_eq!(send(at(A, 53)), Ok(1));
    assert_eq!(peers[0].0.receive(9).unwrap()[0].remote_address, local);
    assert!(peers[1].0.receive(9).unwrap().is_empty());
    for (_, outgoing) in peers.iter_mut().rev() {
        outgoing.check_send().unwrap();
        assert_eq!(outgoing.send(&[datagram(local)]).unwrap(), Ok(1));
    }
    let received = incoming.receive(9).unwrap();
    let from: Vec<_> = received.iter().map(|one| one.remote_address).collect();
    assert_eq!(from, [at(A, 53)]);

    assert_eq!(guest.stream(Some(at(A, 54))).err(), Some(REFUSED));
    guest.stream(Some(at(A, 53))).unwrap();
    assert_eq!(reported(&log).len(), 3);
}

#[test]
fn a_drop_of_many_datagrams_lets_others_go_on() {
    struct Woken(std::sync::atomic::AtomicUsize);
    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }
    let udp = Udp::new(&[]);
    udp.bind(0).unwrap();
    let flood = (1..=1000).map(|port| at(B, port));
    udp.below.incoming.lock().unwrap().extend(flood);
    let woken = Arc::new(Woken(0.into()));
    let waker = Waker::from(woken.clone());
    let mut cx = Context::from_waker(&waker);
    assert!(udp.socket.poll_receive_from(&mut cx, &mut []).is_pending());
    assert!(udp.below.incoming.lock().unwrap().len() > 900);
    assert_eq!(woken.0.load(std::sync::atomic::Ordering::SeqCst), 1);
    assert!(reported(&udp.log).is_empty());
}

#[cfg(feature = "std")]
#[test]
fn localhost_is_reached_where_it_is_granted_by_its_name() {
    use wasi_clocks::os::SystemMonotonicClock;
    use wasi_sockets::os::OsNetwork;

    block_on(async {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let network = |rules: &[&str]| {
            let (policy, log) = policy(rules);
            let clock = Arc::new(SystemMonotonicClock::default());
            let network = policy.network(Arc::new(OsNetwork::current()), clock);
            (Guest::new(network, "127.0.0.1"), log)
        };
        let resolve = async |guest: &Guest| {
            let mut stream = ResolveAddressStream::new(&guest.ctx, &guest.net, "localhost")?;
            ready(&mut stream).await;
            let mut found = Vec::new();
            while let Some(address) = stream.resolve_next_address()? {
                found.push(address);
            }
            Ok(found)
        };
        let (guest, log) = network(&[&format!("localhost:{port}")]);
        let found = resolve(&guest).await.unwrap();
        assert!(found.contains(&ip("127.0.0.1")), "{found:?}");
        guest.connect(at("127.0.0.1", port)).await.unwrap();
        assert!(reported(&log).is_empty());

        let (guest, log) = network(&["*"]);
        resolve(&guest).await.unwrap();
        assert_eq!(
            guest.connect(at("127.0.0.1", port)).await.err(),
            Some(REFUSED)
        );
        let (other, _) = network(&["*.example.com"]);
        assert_eq!(resolve(&other).await, Err(REFUSED));
        assert_eq!(reported(&log).len(), 1);
    });
}
