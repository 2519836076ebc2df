//! WASI 0.3, driven from the host: the same scenarios in memory and on this machine.
#![cfg(feature = "p3")]

mod common;
#[path = "common/p3.rs"]
mod drive;

use common::join;
use drive::{Answer, Given, Guest, Never, State, all, feed, idle, lent, run, store};
use std::net::SocketAddr;
use std::sync::Arc;
use wasi_clocks::manual::ManualClock;
use wasi_sockets::p3::bindings::wasi::sockets::ip_name_lookup::ErrorCode as NameCode;
use wasi_sockets::p3::bindings::wasi::sockets::types::{
    ErrorCode as Code, HostTcpSocket, HostUdpSocket, IpAddress, IpAddressFamily,
};
use wasi_sockets::{DATAGRAM_MAX, LoopbackNet, Network, NetworkPolicy, WasiSocketsCtx};
use wasmtime::Engine;
use wasmtime::component::Linker;

const LOCAL: SocketAddr = SocketAddr::V4(std::net::SocketAddrV4::new(
    std::net::Ipv4Addr::LOCALHOST,
    0,
));

fn ctx(network: impl Network) -> WasiSocketsCtx {
    WasiSocketsCtx::new()
        .network(Arc::new(network))
        .allow_name_lookup(true)
}

/// A guest in memory.
fn in_memory<R>(guest: impl AsyncFnOnce(&Guest) -> R) -> R {
    let net = LoopbackNet::new().with_name("a.example", ["127.0.0.1".parse().unwrap()]);
    pollster::block_on(run(&mut store(ctx(net)), guest))
}

/// A guest on this machine.
#[cfg(feature = "std")]
fn on_machine<R>(guest: impl AsyncFnOnce(&Guest) -> R) -> R {
    let net = wasi_sockets::os::OsNetwork::current();
    pollster::block_on(run(&mut store(ctx(net)), guest))
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 7 + i) as u8).collect()
}

/// `scenario`s on each network.
macro_rules! everywhere {
    ($($scenario:ident)*) => {
        mod memory {
            $(#[test] fn $scenario() { super::in_memory(super::$scenario) })*
        }
        #[cfg(feature = "std")]
        mod machine {
            $(#[test] fn $scenario() { super::on_machine(super::$scenario) })*
        }
    };
}

everywhere! {
    bytes_go_both_ways_at_once_to_their_ends
    who_does_not_read_stops_the_peer_and_gets_all_later
    the_end_of_a_stream_ends_one_direction_though_nobody_asks_how
    streams_are_given_once_and_to_a_connection_only
    dropping_what_is_received_is_no_failure
    streams_outlive_their_sockets
    listen_binds_and_comes_once
    a_connection_has_its_addresses_and_the_listener_s_settings
    dropping_the_connections_keeps_the_listener_and_dropping_both_closes_all
    a_failed_connect_closes_the_socket
    a_thousand_connections
    datagrams_go_with_and_without_a_peer
    each_datagram_goes_to_one_of_those_who_wait
    a_socket_changes_its_peer_while_somebody_waits
    datagrams_that_can_t_be_sent
}

#[test]
fn all_interfaces_are_linked_once() {
    let mut linker = Linker::<State>::new(&Engine::default());
    wasi_sockets::p3::add_to_linker(&mut linker).unwrap();
    assert!(wasi_sockets::p3::add_to_linker(&mut linker).is_err());
}

async fn bytes_go_both_ways_at_once_to_their_ends(guest: &Guest) {
    let (client, server) = guest.pair(LOCAL).await;
    let (there, back) = (pattern(3 << 20), pattern(1 << 20));
    let (sent_there, sent_back) = (
        guest.send(&client, all(&there)),
        guest.send(&server, all(&back)),
    );
    let ((at_client, end_client), (at_server, end_server)) =
        (guest.receive(&client), guest.receive(&server));
    let (got_there, got_back) = join(at_server.all(), at_client.all()).await;
    assert!(got_there == there && got_back == back);
    for end in [sent_there, sent_back, end_client, end_server] {
        assert_eq!(end.wait().await, Ok(()));
    }
}

async fn who_does_not_read_stops_the_peer_and_gets_all_later(guest: &Guest) {
    const PIECE: usize = 64 << 10;
    const PIECES: usize = 1024;
    let (client, server) = guest.pair(LOCAL).await;
    let (data, given) = feed((0..PIECES).map(|i| vec![i as u8; PIECE]).collect());
    let sent = guest.send(&client, data);
    let (got, end) = guest.receive(&server);
    settled(&given).await;
    let stopped = given.count();
    // What the system keeps for both of them is some MiB.
    assert!((1..PIECES / 2).contains(&stopped), "{stopped} pieces");
    assert!(!sent.has_come() && !end.has_come());
    assert_eq!(got.len(), 0);
    let got = got.all().await;
    assert_eq!(got.len(), PIECES * PIECE);
    assert!(
        got.chunks(PIECE)
            .enumerate()
            .all(|(i, piece)| piece == vec![i as u8; PIECE])
    );
    assert_eq!((sent.wait().await, end.wait().await), (Ok(()), Ok(())));
}

/// Waits until no more is given.
async fn settled(given: &Given) {
    let mut before = usize::MAX;
    while before != given.count() {
        before = given.count();
        for _ in 0..20 {
            idle().await;
            std::thread::yield_now();
        }
    }
}

async fn the_end_of_a_stream_ends_one_direction_though_nobody_asks_how(guest: &Guest) {
    let (client, server) = guest.pair(LOCAL).await;
    let _unasked = guest.send_blindly(&client, all(b"question"));
    let (got, end) = guest.receive(&server);
    assert_eq!(got.all().await, b"question");
    assert_eq!(end.wait().await, Ok(()));
    // The other direction goes on.
    let sent = guest.send(&server, all(b"answer"));
    let (got, end) = guest.receive(&client);
    assert_eq!(got.all().await, b"answer");
    assert_eq!((sent.wait().await, end.wait().await), (Ok(()), Ok(())));
}

async fn streams_are_given_once_and_to_a_connection_only(guest: &Guest) {
    let refused = async |socket| {
        let (data, given) = feed(vec![vec![1]]);
        assert_eq!(
            guest.send(socket, data).wait().await,
            Err(Code::InvalidState)
        );
        idle().await;
        assert!(given.feed_is_dropped() && given.count() <= 1);
        let (got, end) = guest.receive(socket);
        assert_eq!(got.all().await, b"");
        assert_eq!(end.wait().await, Err(Code::InvalidState));
    };
    let (listener, _incoming, _) = guest.listener(LOCAL);
    refused(&listener).await;
    let fresh = guest.create(LOCAL);
    refused(&fresh).await;
    let (client, server) = guest.pair(LOCAL).await;
    let (first, got) = (guest.send(&client, all(b"a")), guest.receive(&client));
    refused(&client).await;
    let (at_server, _) = guest.receive(&server);
    assert_eq!(at_server.all().await, b"a");
    assert_eq!(first.wait().await, Ok(()));
    guest.send(&server, all(b"b")).wait().await.unwrap();
    assert_eq!(got.0.all().await, b"b");
}

async fn dropping_what_is_received_is_no_failure(guest: &Guest) {
    let (client, server) = guest.pair(LOCAL).await;
    let (got, end) = guest.receive_blindly(&client);
    idle().await;
    assert!(!end.has_come());
    guest.close(got);
    assert_eq!(end.wait().await, Ok(()));
    // What is sent still goes.
    guest.send(&client, all(b"a")).wait().await.unwrap();
    assert_eq!(guest.receive(&server).0.all().await, b"a");
}

async fn streams_outlive_their_sockets(guest: &Guest) {
    let (listener, incoming, address) = guest.listener(LOCAL);
    guest.drop(listener);
    let client = guest.create(LOCAL);
    guest.connect(&client, address).await.unwrap();
    let server = incoming.one().await.unwrap();
    let (sent, (got, end)) = (guest.send(&client, all(b"there")), guest.receive(&client));
    let (back, (at_server, _)) = (guest.send(&server, all(b"back")), guest.receive(&server));
    guest.drop(client);
    guest.drop(server);
    assert_eq!(at_server.all().await, b"there");
    assert_eq!(got.all().await, b"back");
    for end in [sent, end, back] {
        assert_eq!(end.wait().await, Ok(()));
    }
}

async fn listen_binds_and_comes_once(guest: &Guest) {
    let socket = guest.create(LOCAL);
    assert_eq!(guest.local(&socket), Err(Code::InvalidState));
    let _incoming = guest.listen(&socket).unwrap();
    assert_ne!(guest.local(&socket).unwrap().port(), 0);
    assert!(guest.call(|view| HostTcpSocket::get_is_listening(view, lent(&socket))));
    assert_eq!(guest.listen(&socket).err(), Some(Code::InvalidState));
    assert_eq!(guest.bind(&socket, LOCAL), Err(Code::InvalidState));
    let (_other, _, address) = guest.listener(LOCAL);
    assert_eq!(
        guest.connect(&socket, address).await,
        Err(Code::InvalidState)
    );
    // Bound twice.
    let socket = guest.create(LOCAL);
    assert_eq!(guest.bind(&socket, address), Err(Code::AddressInUse));
    guest.bind(&socket, LOCAL).unwrap();
    assert_eq!(guest.bind(&socket, LOCAL), Err(Code::InvalidState));
}

async fn a_connection_has_its_addresses_and_the_listener_s_settings(guest: &Guest) {
    let (listener, incoming, address) = guest.listener(LOCAL);
    guest
        .call(|view| HostTcpSocket::set_hop_limit(view, lent(&listener), 42))
        .unwrap();
    let client = guest.create(LOCAL);
    let remote = |socket| -> Answer<SocketAddr> {
        let address = guest.call(|view| HostTcpSocket::get_remote_address(view, lent(socket)));
        address.map(Into::into)
    };
    assert_eq!(remote(&client), Err(Code::InvalidState));
    guest.connect(&client, address).await.unwrap();
    let server = incoming.one().await.unwrap();
    assert_eq!(remote(&client), Ok(address));
    assert_eq!(guest.local(&server), Ok(address));
    assert_eq!(remote(&server), guest.local(&client));
    let limit = guest.call(|view| HostTcpSocket::get_hop_limit(view, lent(&server)));
    assert_eq!(limit, Ok(42));
    assert_eq!(
        guest.connect(&client, address).await,
        Err(Code::InvalidState)
    );
    assert_eq!(guest.listen(&client).err(), Some(Code::InvalidState));
}

async fn dropping_the_connections_keeps_the_listener_and_dropping_both_closes_all(guest: &Guest) {
    let listener = guest.create(LOCAL);
    let incoming = guest.listen_blindly(&listener).unwrap();
    let address = SocketAddr::new(LOCAL.ip(), guest.local(&listener).unwrap().port());
    let connect = async || {
        let client = guest.create(LOCAL);
        guest.connect(&client, address).await.map(|()| client)
    };
    let [first, second] = [connect().await.unwrap(), {
        guest.close(incoming);
        connect().await.unwrap()
    }];
    assert!(guest.call(|view| HostTcpSocket::get_is_listening(view, lent(&listener))));
    guest.drop(listener);
    for client in [first, second] {
        let (got, end) = guest.receive(&client);
        assert_eq!(got.all().await, b"");
        assert_eq!(end.wait().await, Err(Code::ConnectionReset));
    }
    assert_eq!(connect().await.err(), Some(Code::ConnectionRefused));
}

async fn a_failed_connect_closes_the_socket(guest: &Guest) {
    let gone = guest.create(LOCAL);
    guest.bind(&gone, LOCAL).unwrap();
    let address = guest.local(&gone).unwrap();
    guest.drop(gone);
    for (remote, code) in [
        (address, Code::ConnectionRefused),
        ("0.0.0.0:80".parse().unwrap(), Code::InvalidArgument),
        ("127.0.0.1:0".parse().unwrap(), Code::InvalidArgument),
        ("224.0.0.1:80".parse().unwrap(), Code::InvalidArgument),
        ("[::1]:80".parse().unwrap(), Code::InvalidArgument),
    ] {
        let socket = guest.create(LOCAL);
        assert_eq!(guest.connect(&socket, remote).await, Err(code), "{remote}");
        assert_eq!(guest.local(&socket), Err(Code::InvalidState), "{remote}");
        assert_eq!(
            guest.bind(&socket, LOCAL),
            Err(Code::InvalidState),
            "{remote}"
        );
    }
}

async fn a_thousand_connections(guest: &Guest) {
    let (_listener, incoming, address) = guest.listener(LOCAL);
    for _ in 0..10 {
        let mut open = Vec::new();
        for i in 0..100u8 {
            let client = guest.create(LOCAL);
            guest.connect(&client, address).await.unwrap();
            let server = incoming.one().await.unwrap();
            let (got, _) = guest.receive(&server);
            open.push((guest.send(&client, all(&[i])), got, client, server));
        }
        for (i, (sent, got, client, server)) in (0..).zip(open) {
            assert_eq!(got.all().await, [i]);
            assert_eq!(sent.wait().await, Ok(()));
            guest.drop(client);
            guest.drop(server);
        }
    }
}

async fn datagrams_go_with_and_without_a_peer(guest: &Guest) {
    let ((a, at_a), (b, at_b)) = (guest.udp_bound(LOCAL), guest.udp_bound(LOCAL));
    for len in [0, 1, 1500, 20_000] {
        let data = pattern(len);
        guest.udp_send(&a, &data, Some(at_b)).await.unwrap();
        assert_eq!(guest.udp_receive(&b).await, Ok((data, at_a)));
    }
    // Bound by the first that is sent, and by connect.
    let fresh = guest.udp(LOCAL);
    assert_eq!(guest.udp_local(&fresh), Err(Code::InvalidState));
    assert_eq!(guest.udp_receive(&fresh).await, Err(Code::InvalidState));
    guest
        .udp_send(&fresh, b"unbound", Some(at_b))
        .await
        .unwrap();
    let (data, from) = guest.udp_receive(&b).await.unwrap();
    assert_eq!(data, b"unbound");
    assert_eq!(from.port(), guest.udp_local(&fresh).unwrap().port());
    let connected = guest.udp(LOCAL);
    guest.udp_connect(&connected, at_b).unwrap();
    assert_eq!(guest.udp_local(&connected).unwrap().ip(), at_b.ip());
    guest.udp_send(&connected, b"peer", None).await.unwrap();
    guest
        .udp_send(&connected, b"peer", Some(at_b))
        .await
        .unwrap();
    let (_, from) = guest.udp_receive(&b).await.unwrap();
    assert_eq!(Ok(from), guest.udp_local(&connected));
    // Of a peer alone.
    guest.udp_send(&a, b"other", Some(from)).await.unwrap();
    guest
        .udp_send(&b, b"of the peer", Some(from))
        .await
        .unwrap();
    assert_eq!(
        guest.udp_receive(&connected).await,
        Ok((b"of the peer".to_vec(), at_b))
    );
}

async fn each_datagram_goes_to_one_of_those_who_wait(guest: &Guest) {
    let ((a, at_a), (b, _)) = (guest.udp_bound(LOCAL), guest.udp_bound(LOCAL));
    let two = join(guest.udp_receive(&a), guest.udp_receive(&a));
    let ((first, second), ()) = join(two, async {
        idle().await;
        guest.udp_send(&b, b"1", Some(at_a)).await.unwrap();
        idle().await;
        guest.udp_send(&b, b"2", Some(at_a)).await.unwrap();
    })
    .await;
    let mut got = [first.unwrap().0, second.unwrap().0];
    got.sort();
    assert_eq!(got, [b"1".to_vec(), b"2".to_vec()]);
}

async fn a_socket_changes_its_peer_while_somebody_waits(guest: &Guest) {
    let (a, at_a) = guest.udp_bound(LOCAL);
    let [(b, at_b), (c, at_c)] = [(); 2].map(|()| guest.udp_bound(LOCAL));
    guest.udp_connect(&a, at_b).unwrap();
    let remote = || -> Answer<SocketAddr> {
        let address = guest.call(|view| HostUdpSocket::get_remote_address(view, lent(&a)));
        address.map(Into::into)
    };
    assert_eq!(remote(), Ok(at_b));
    let (got, ()) = join(guest.udp_receive(&a), async {
        idle().await;
        guest.udp_connect(&a, at_c).unwrap();
        assert_eq!(remote(), Ok(at_c));
        guest.udp_send(&b, b"no more", Some(at_a)).await.unwrap();
        guest
            .udp_send(&c, b"from now on", Some(at_a))
            .await
            .unwrap();
    })
    .await;
    assert_eq!(got, Ok((b"from now on".to_vec(), at_c)));
    let disconnect = || guest.call(|view| HostUdpSocket::disconnect(view, lent(&a)));
    let (got, ()) = join(guest.udp_receive(&a), async {
        idle().await;
        disconnect().unwrap();
        guest.udp_send(&b, b"anybody", Some(at_a)).await.unwrap();
    })
    .await;
    assert_eq!(got, Ok((b"anybody".to_vec(), at_b)));
    assert_eq!(remote(), Err(Code::InvalidState));
    assert_eq!(disconnect(), Err(Code::InvalidState));
}

async fn datagrams_that_can_t_be_sent(guest: &Guest) {
    let (_b, at_b) = guest.udp_bound(LOCAL);
    let (fresh, connected) = (guest.udp(LOCAL), guest.udp(LOCAL));
    guest.udp_connect(&connected, at_b).unwrap();
    let to = |address: &str| Some(address.parse().unwrap());
    let long = vec![0; DATAGRAM_MAX + 1];
    for (socket, data, remote, code) in [
        (&fresh, &b"a"[..], None, Code::InvalidArgument),
        (&fresh, b"a", to("[::1]:80"), Code::InvalidArgument),
        (&fresh, b"a", to("0.0.0.0:80"), Code::InvalidArgument),
        (&fresh, b"a", to("0.0.0.0:0"), Code::InvalidArgument),
        (&fresh, b"a", to("[::1]:0"), Code::InvalidArgument),
        (&fresh, b"a", to("127.0.0.1:0"), Code::AddressNotBindable),
        (&connected, b"a", to("127.0.0.1:0"), Code::InvalidArgument),
        (&fresh, &long, Some(at_b), Code::DatagramTooLarge),
        (&connected, b"a", to("127.0.0.1:9"), Code::InvalidArgument),
        (&connected, &long, None, Code::DatagramTooLarge),
    ] {
        let sent = guest.udp_send(socket, data, remote).await;
        assert_eq!(sent, Err(code), "{remote:?}");
    }
    // Nothing was bound for that.
    assert_eq!(guest.udp_local(&fresh), Err(Code::InvalidState));
    for remote in ["[::1]:80", "0.0.0.0:80", "127.0.0.1:0"] {
        let connected = guest.udp_connect(&fresh, remote.parse().unwrap());
        assert_eq!(connected, Err(Code::InvalidArgument), "{remote}");
    }
    assert_eq!(guest.udp_local(&fresh), Err(Code::InvalidState));
}

#[test]
fn while_a_socket_connects_others_may_ask_but_not_change_it() {
    in_memory(async |guest| {
        let (listener, incoming, address) = guest.listener(LOCAL);
        guest
            .call(|view| HostTcpSocket::set_listen_backlog_size(view, lent(&listener), 1))
            .unwrap();
        // The stream has taken one ahead, another waits in the backlog.
        for _ in 0..2 {
            let client = guest.create(LOCAL);
            guest.connect(&client, address).await.unwrap();
            idle().await;
        }
        let third = guest.create(LOCAL);
        let (connected, ()) = join(guest.connect(&third, address), async {
            idle().await;
            assert_eq!(guest.local(&third).unwrap().ip(), address.ip());
            assert_eq!(guest.bind(&third, LOCAL), Err(Code::InvalidState));
            assert_eq!(guest.listen(&third).err(), Some(Code::InvalidState));
            let again = guest.connect(&third, address).await;
            assert_eq!(again, Err(Code::InvalidState));
            let sent = guest.send(&third, all(b"a")).wait().await;
            assert_eq!(sent, Err(Code::InvalidState));
            let backlog =
                guest.call(|view| HostTcpSocket::set_listen_backlog_size(view, lent(&third), 1));
            assert_eq!(backlog, Err(Code::InvalidState));
            for _ in 0..3 {
                incoming.one().await.unwrap();
            }
        })
        .await;
        assert_eq!(connected, Ok(()));
    });
}

#[test]
fn a_connection_above_the_guest_s_limit_waits_for_one_to_be_dropped() {
    let ctx = ctx(LoopbackNet::new()).max_sockets(3);
    pollster::block_on(run(&mut store(ctx), async |guest| {
        let (_listener, incoming, address) = guest.listener(LOCAL);
        let [first, second] = [(); 2].map(|()| guest.create(LOCAL));
        let over = guest.call(|view| HostTcpSocket::create(view, IpAddressFamily::Ipv4));
        assert!(matches!(over, Err(Code::Other(Some(_)))));
        guest.connect(&first, address).await.unwrap();
        let (accepted, ()) = join(incoming.one(), async {
            idle().await;
            assert_eq!(incoming.len(), 0);
            guest.drop(second);
        })
        .await;
        // It is the first, which is still there.
        let sent = guest.send(&first, all(b"a"));
        let (got, _) = guest.receive(&accepted.unwrap());
        assert_eq!(got.all().await, b"a");
        assert_eq!(sent.wait().await, Ok(()));
    }));
}

#[test]
fn a_reset_ends_what_is_received_with_its_code() {
    in_memory(async |guest| {
        let (client, server) = guest.pair(LOCAL).await;
        guest
            .send(&client, all(b"nobody will read this"))
            .wait()
            .await
            .unwrap();
        let (got, end) = guest.receive(&client);
        guest.drop(server);
        assert_eq!(got.all().await, b"");
        assert_eq!(end.wait().await, Err(Code::ConnectionReset));
    });
}

#[test]
fn a_write_to_who_has_gone_ends_with_a_code() {
    in_memory(async |guest| {
        let (client, server) = guest.pair(LOCAL).await;
        guest.drop(server);
        let (data, given) = feed(vec![vec![1; 1 << 16]; 64]);
        let sent = guest.send(&client, data).wait().await;
        assert_eq!(sent, Err(Code::ConnectionReset));
        idle().await;
        assert!(given.feed_is_dropped() && given.count() < 64);
    });
}

#[test]
fn dropping_the_store_drops_everything() {
    let net = LoopbackNet::new();
    let (mut one, mut other) = (store(ctx(net.clone())), store(ctx(net)));
    pollster::block_on(async {
        let (_listener, incoming, address) =
            run(&mut other, async |guest| guest.listener(LOCAL)).await;
        let of_one = run(&mut one, async |guest| {
            let client = guest.create(LOCAL);
            guest.connect(&client, address).await.unwrap();
            guest.send(&client, Never);
            guest.receive(&client);
            guest.listener(LOCAL).2
        })
        .await;
        drop(one);
        run(&mut other, async |guest| {
            let server = incoming.one().await.unwrap();
            guest.receive(&server).0.all().await;
            // Its listener has gone too.
            let connected = guest.connect(&guest.create(LOCAL), of_one).await;
            assert_eq!(connected, Err(Code::ConnectionRefused));
        })
        .await;
    });
}

#[test]
fn what_no_rule_grants_is_access_denied() {
    let inner = LoopbackNet::new().with_name("a.example", ["127.0.0.1".parse().unwrap()]);
    let rules = NetworkPolicy::new().allow("127.0.0.1:7".parse().unwrap());
    let network = rules.network(Arc::new(inner), Arc::new(ManualClock::default()));
    let ctx = WasiSocketsCtx::new()
        .network(network)
        .allow_name_lookup(true);
    pollster::block_on(run(&mut store(ctx), async |guest| {
        let at = |port| SocketAddr::new(LOCAL.ip(), port);
        let denied = Err(Code::AccessDenied);
        assert_eq!(guest.bind(&guest.create(LOCAL), at(9)), denied);
        assert_eq!(
            guest.listen(&guest.create(LOCAL)).err(),
            Some(Code::AccessDenied)
        );
        assert_eq!(guest.connect(&guest.create(LOCAL), at(9)).await, denied);
        let granted = guest.connect(&guest.create(LOCAL), at(7)).await;
        assert_eq!(granted, Err(Code::ConnectionRefused));
        let udp = guest.udp(LOCAL);
        assert_eq!(guest.udp_send(&udp, b"a", Some(at(9))).await, denied);
        assert_eq!(guest.udp_send(&udp, b"a", Some(at(7))).await, Ok(()));
        assert_eq!(guest.udp_connect(&udp, at(9)), denied);
        assert_eq!(
            guest.resolve("a.example").await,
            Err(NameCode::AccessDenied)
        );
    }));
}

#[test]
fn names_are_told_at_once_or_not_at_all() {
    in_memory(async |guest| {
        let home = IpAddress::Ipv4((127, 0, 0, 1));
        for (name, told) in [
            ("a.example", Ok(vec![home])),
            ("127.0.0.1", Ok(vec![home])),
            ("none.example", Err(NameCode::NameUnresolvable)),
            ("a b", Err(NameCode::InvalidArgument)),
        ] {
            assert_eq!(guest.resolve(name).await, told, "{name}");
        }
    });
}
