//! The same scenarios for datagrams on every network, family and executor.

mod common;

use common::{Guest, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Waker};
use wasi_io::Pollable;
use wasi_sockets::{
    DATAGRAM_MAX, DynUdpSocket, ErrorCode, IncomingDatagramStream, IpAddressFamily, LoopbackNet,
    OutgoingDatagram, OutgoingDatagramStream, SocketOption,
};

struct Peer {
    socket: DynUdpSocket,
    incoming: IncomingDatagramStream,
    outgoing: OutgoingDatagramStream,
}

fn family(address: &SocketAddr) -> IpAddressFamily {
    match address {
        SocketAddr::V4(_) => IpAddressFamily::Ipv4,
        SocketAddr::V6(_) => IpAddressFamily::Ipv6,
    }
}

async fn bound(guest: &Guest, local: SocketAddr) -> Result<DynUdpSocket, ErrorCode> {
    let mut socket = DynUdpSocket::new(&guest.ctx, family(&local))?;
    socket.start_bind(&guest.net, local)?;
    ready(&mut socket).await;
    socket.finish_bind()?;
    Ok(socket)
}

impl Peer {
    async fn new(guest: &Guest) -> Self {
        Self::at(guest, guest.local).await
    }

    async fn at(guest: &Guest, local: SocketAddr) -> Self {
        let mut socket = bound(guest, local).await.unwrap();
        let (incoming, outgoing) = socket.stream(None).unwrap();
        Self {
            socket,
            incoming,
            outgoing,
        }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_address().unwrap()
    }

    fn stream(&mut self, remote: Option<SocketAddr>) -> Result<(), ErrorCode> {
        (self.incoming, self.outgoing) = self.socket.stream(remote)?;
        Ok(())
    }

    async fn send(&mut self, data: &[u8], remote: Option<SocketAddr>) -> Result<(), ErrorCode> {
        let datagram = OutgoingDatagram {
            data: data.to_vec(),
            remote_address: remote,
        };
        loop {
            ready(&mut self.outgoing).await;
            if self.outgoing.check_send()? > 0
                && self
                    .outgoing
                    .send(std::slice::from_ref(&datagram))
                    .unwrap()?
                    == 1
            {
                return Ok(());
            }
        }
    }

    async fn receive(&mut self) -> Result<(Vec<u8>, SocketAddr), ErrorCode> {
        loop {
            ready(&mut self.incoming).await;
            if let Some(datagram) = self.incoming.receive(1)?.pop() {
                return Ok((datagram.data, datagram.remote_address));
            }
        }
    }
}

fn is_ready(pollable: &mut impl Pollable) -> bool {
    pollable
        .poll_ready(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

async fn datagrams_arrive_whole_with_their_sender(guest: Guest) {
    let (mut a, mut b) = (Peer::new(&guest).await, Peer::new(&guest).await);
    assert_ne!(a.address().port(), 0);
    for len in [0, 1, 1500, 20_000] {
        let data: Vec<u8> = (0..len).map(|i| i as u8).collect();
        a.send(&data, Some(b.address())).await.unwrap();
        assert_eq!(b.receive().await, Ok((data, a.address())), "{len}");
    }
    b.send(b"back", Some(a.address())).await.unwrap();
    assert_eq!(a.receive().await, Ok((b"back".to_vec(), b.address())));
}

async fn a_new_socket_can_send_at_once(guest: Guest) {
    let mut far = Peer::new(&guest).await;
    let mut near = Peer::new(&guest).await;
    assert!(near.outgoing.check_send().unwrap() > 0);
    let datagram = OutgoingDatagram {
        data: b"now".to_vec(),
        remote_address: Some(far.address()),
    };
    assert_eq!(near.outgoing.send(&[datagram]).unwrap(), Ok(1));
    assert_eq!(far.receive().await.unwrap().0, b"now");
}

async fn pollables_are_ready_for_what_is_there_only(guest: Guest) {
    let (mut a, mut b) = (Peer::new(&guest).await, Peer::new(&guest).await);
    for _ in 0..3 {
        assert!(!is_ready(&mut b.incoming));
        assert_eq!(b.incoming.receive(1), Ok(vec![]));
        a.send(b"", Some(b.address())).await.unwrap();
        ready(&mut b.incoming).await;
        assert!(is_ready(&mut b.incoming));
        assert_eq!(b.incoming.receive(9).unwrap().len(), 1);
    }
}

async fn a_socket_takes_and_leaves_peers_and_keeps_its_port(guest: Guest) {
    let any: SocketAddr = match guest.local {
        SocketAddr::V4(_) => "0.0.0.0:0".parse().unwrap(),
        SocketAddr::V6(_) => "[::]:0".parse().unwrap(),
    };
    let [mut a, mut b] = [Peer::new(&guest).await, Peer::new(&guest).await];
    for local in [guest.local, any] {
        let mut own = Peer::at(&guest, local).await;
        let at = own.address();
        let reached = SocketAddr::new(guest.local.ip(), at.port());
        assert_eq!(own.socket.remote_address(), Err(ErrorCode::InvalidState));
        for _ in 0..2 {
            own.stream(Some(a.address())).unwrap();
            assert_eq!(own.socket.remote_address(), Ok(a.address()));
            assert_eq!(own.address(), reached, "as the peer sees it");
            own.send(b"1", None).await.unwrap();
            assert_eq!(a.receive().await, Ok((b"1".to_vec(), reached)));
            // The other is not heard; what it sends may tell it so.
            let _ = b.send(b"2", Some(reached)).await;
            a.send(b"3", Some(reached)).await.unwrap();
            assert_eq!(own.receive().await, Ok((b"3".to_vec(), a.address())));

            own.stream(Some(b.address())).unwrap();
            own.send(b"4", Some(b.address())).await.unwrap();
            assert_eq!(b.receive().await, Ok((b"4".to_vec(), reached)));

            own.stream(None).unwrap();
            assert_eq!(own.address(), at);
            for peer in [&mut a, &mut b] {
                peer.send(b"5", Some(reached)).await.unwrap();
                assert_eq!(own.receive().await, Ok((b"5".to_vec(), peer.address())));
                own.send(b"6", Some(peer.address())).await.unwrap();
                assert_eq!(peer.receive().await, Ok((b"6".to_vec(), reached)));
            }
        }
    }
}

async fn a_peers_refusal_wakes_who_receives_and_the_socket_goes_on(guest: Guest) {
    let gone = Peer::new(&guest).await;
    let mut own = Peer::new(&guest).await;
    let nobody = gone.address();
    own.stream(Some(nobody)).unwrap();
    drop(gone);
    for _ in 0..3 {
        own.send(b"anybody?", None).await.unwrap();
        assert_eq!(own.receive().await, Err(ErrorCode::ConnectionRefused));
        assert!(!is_ready(&mut own.incoming), "it is told once");
    }
    let mut back = Peer::at(&guest, nobody).await;
    own.send(b"now?", None).await.unwrap();
    assert_eq!(back.receive().await.unwrap().0, b"now?");
    back.send(b"now.", Some(own.address())).await.unwrap();
    assert_eq!(own.receive().await.unwrap().0, b"now.");
}

async fn a_datagram_that_is_too_large_is_refused_and_the_next_goes(guest: Guest) {
    let (mut a, mut b) = (Peer::new(&guest).await, Peer::new(&guest).await);
    let largest = match guest.local {
        SocketAddr::V4(_) => 65_507,
        SocketAddr::V6(_) => 65_527,
    };
    for (len, expected) in [
        (largest + 1, Err(ErrorCode::DatagramTooLarge)),
        (DATAGRAM_MAX, Err(ErrorCode::DatagramTooLarge)),
        (DATAGRAM_MAX + 1, Err(ErrorCode::DatagramTooLarge)),
        (largest, Ok(())),
    ] {
        let sent = a.send(&vec![7; len], Some(b.address())).await;
        assert_eq!(sent, expected, "{len}");
    }
    let (data, _) = b.receive().await.unwrap();
    assert!(data == vec![7; largest]);
}

async fn addresses_in_use_or_of_others_are_refused(guest: Guest) {
    let own = Peer::new(&guest).await;
    let taken = bound(&guest, own.address()).await.err();
    assert_eq!(taken, Some(ErrorCode::AddressInUse));
    let foreign: SocketAddr = match guest.local {
        SocketAddr::V4(_) => "192.0.2.1:0".parse().unwrap(),
        SocketAddr::V6(_) => "[2001:db8::1]:0".parse().unwrap(),
    };
    let foreign = bound(&guest, foreign).await.err();
    assert_eq!(foreign, Some(ErrorCode::AddressNotBindable));
    // The address is free as soon as its socket and streams are gone.
    let address = own.address();
    drop(own);
    bound(&guest, address).await.unwrap();
}

async fn who_can_not_be_reached_is_said(guest: Guest) {
    if guest.local.is_ipv6() {
        // Systems differ, and a datagram must not leave this machine.
        return;
    }
    let mut own = Peer::new(&guest).await;
    // From a loopback address nobody else can be.
    let remote: SocketAddr = "192.0.2.1:9".parse().unwrap();
    let sent = own.send(b"a", Some(remote)).await;
    assert_eq!(sent, Err(ErrorCode::RemoteUnreachable));
    assert_eq!(own.stream(Some(remote)), Err(ErrorCode::RemoteUnreachable));
    assert_eq!(own.stream(None), Ok(()));
    let mut far = Peer::new(&guest).await;
    own.send(b"b", Some(far.address())).await.unwrap();
    assert_eq!(far.receive().await.unwrap().0, b"b");
}

async fn ipv6_is_without_ipv4(guest: Guest) {
    if !common::has("::1") {
        return;
    }
    // Both families have a port for themselves; one that others have is passed over.
    let mut both = None;
    for _ in 0..16 {
        let v4 = Peer::at(&guest, "0.0.0.0:0".parse().unwrap()).await;
        let any = SocketAddr::new("::".parse().unwrap(), v4.address().port());
        if let Ok(v6) = bound(&guest, any).await {
            both = Some((v4, v6));
            break;
        }
    }
    let (v4, mut v6) = both.expect("a port that is free for IPv6 beside IPv4");
    let (_, mut outgoing) = v6.stream(None).unwrap();
    for remote in ["127.0.0.1", "::ffff:127.0.0.1"] {
        let datagram = OutgoingDatagram {
            data: vec![1],
            remote_address: Some(SocketAddr::new(
                remote.parse().unwrap(),
                v4.address().port(),
            )),
        };
        outgoing.check_send().unwrap();
        let sent = outgoing.send(&[datagram]).unwrap();
        assert_eq!(sent, Err(ErrorCode::InvalidArgument), "{remote}");
    }
}

async fn options_are_kept(guest: Guest) {
    let mut socket = DynUdpSocket::new(&guest.ctx, family(&guest.local)).unwrap();
    let set = [
        (SocketOption::HopLimit, 45),
        (SocketOption::ReceiveBufferSize, 1 << 16),
        (SocketOption::SendBufferSize, 1 << 16),
    ];
    for (option, value) in set {
        socket.set_option(option, value).unwrap();
        assert_eq!(socket.option(option), Ok(value), "{option:?}");
    }
    socket.start_bind(&guest.net, guest.local).unwrap();
    ready(&mut socket).await;
    socket.finish_bind().unwrap();
    for (option, value) in set {
        assert_eq!(socket.option(option), Ok(value), "{option:?}");
        for extreme in [1, u64::MAX] {
            assert_eq!(socket.set_option(option, extreme), Ok(()), "{option:?}");
            assert!(socket.option(option).unwrap() > 0);
        }
    }
}

/// Every scenario, on `$network` with the address `$local`, run by `$run`.
macro_rules! scenarios {
    ($module:ident, $network:expr, $local:expr, $run:expr) => {
        mod $module {
            scenarios! { @ $network, $local, $run,
                datagrams_arrive_whole_with_their_sender
                a_new_socket_can_send_at_once
                pollables_are_ready_for_what_is_there_only
                a_socket_takes_and_leaves_peers_and_keeps_its_port
                a_peers_refusal_wakes_who_receives_and_the_socket_goes_on
                a_datagram_that_is_too_large_is_refused_and_the_next_goes
                addresses_in_use_or_of_others_are_refused
                who_can_not_be_reached_is_said
                ipv6_is_without_ipv4
                options_are_kept
            }
        }
    };
    (@ $network:expr, $local:expr, $run:expr, $($scenario:ident)*) => {$(
        #[test]
        fn $scenario() {
            if crate::common::has($local) {
                $run(async {
                    super::$scenario(super::Guest::new($network, $local)).await
                });
            }
        }
    )*};
}

fn memory() -> Arc<LoopbackNet> {
    Arc::new(LoopbackNet::new())
}

fn os() -> Arc<wasi_sockets::os::OsNetwork> {
    Arc::new(wasi_sockets::os::OsNetwork::current())
}

scenarios!(
    memory_ipv4,
    crate::memory(),
    "127.0.0.1",
    crate::common::run::bare
);
scenarios!(
    memory_ipv6,
    crate::memory(),
    "::1",
    crate::common::run::bare
);
scenarios!(
    os_ipv4_bare,
    crate::os(),
    "127.0.0.1",
    crate::common::run::bare
);
scenarios!(os_ipv6_bare, crate::os(), "::1", crate::common::run::bare);
scenarios!(
    os_ipv4_tokio,
    crate::os(),
    "127.0.0.1",
    crate::common::run::task_of_threads
);
scenarios!(
    os_ipv4_one_thread,
    crate::os(),
    "127.0.0.1",
    crate::common::run::one_thread
);
