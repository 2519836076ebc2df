//! The same scenarios on every network, family and executor.

mod common;

use common::{Guest, accept, code, join, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Waker};
use wasi_io::{Pollable, StreamError};
use wasi_sockets::{ErrorCode, LoopbackNet, Shutdown, SocketOption};

async fn each_end_hears_the_other_and_half_closes(guest: Guest) {
    let (mut client, mut server) = guest.pair().await;
    let (client_address, server_address) = (
        client.socket.local_address().unwrap(),
        server.socket.local_address().unwrap(),
    );
    assert_eq!(client.socket.remote_address(), Ok(server_address));
    assert_eq!(server.socket.remote_address(), Ok(client_address));
    assert_eq!(client_address.ip(), guest.local.ip());

    client.write(b"ping").await.unwrap();
    client.socket.shutdown(Shutdown::Send).unwrap();
    client.socket.shutdown(Shutdown::Send).unwrap();
    assert!(matches!(
        client.output.check_write(),
        Err(StreamError::Closed)
    ));
    assert_eq!(server.read_to_end().await.unwrap(), b"ping");
    // The other direction is open still.
    server.write(b"pong").await.unwrap();
    drop(server.output);
    assert_eq!(client.read_to_end().await.unwrap(), b"pong");
    assert!(matches!(client.input.read(1), Err(StreamError::Closed)));
}

async fn a_dropped_socket_leaves_its_streams_alive(guest: Guest) {
    let (mut client, mut server) = guest.pair().await;
    let (mut input, socket) = (client.input, client.socket);
    drop(socket);
    let mut bytes: &[u8] = b"still here";
    std::future::poll_fn(|cx| client.output.poll_write_all(cx, &mut bytes))
        .await
        .unwrap();
    assert_eq!(server.read().await.unwrap(), b"still here");
    drop(client.output);
    assert_eq!(server.read_to_end().await.unwrap(), b"");
    server.write(b"so am I").await.unwrap();
    ready(&mut input).await;
    assert_eq!(input.read(100).unwrap(), b"so am I"[..]);
}

async fn a_refused_connection_closes_the_socket(guest: Guest) {
    let listener = guest.listen(guest.local).await.unwrap();
    let nobody = listener.local_address().unwrap();
    drop(listener);
    let mut socket = guest.socket();
    socket.start_connect(&guest.net, nobody).unwrap();
    ready(&mut socket).await;
    assert_eq!(
        socket.finish_connect().err(),
        Some(ErrorCode::ConnectionRefused)
    );
    assert_eq!(
        socket.finish_connect().err(),
        Some(ErrorCode::NotInProgress)
    );
    let again = socket.start_connect(&guest.net, nobody);
    assert_eq!(again, Err(ErrorCode::InvalidState));
    assert_eq!(socket.local_address(), Err(ErrorCode::InvalidState));
}

async fn a_reset_fails_the_streams_with_its_code(guest: Guest) {
    let (mut client, mut server) = guest.pair().await;
    client.write(b"nobody will read this").await.unwrap();
    ready(&mut server.input).await;
    // Bytes are left unread: TCP resets.
    drop((server.socket, server.input, server.output));
    let error = client.read().await.unwrap_err();
    assert_eq!(code(&error), Some(ErrorCode::ConnectionReset));
    assert!(matches!(client.input.read(1), Err(StreamError::Closed)));
    let error = client.write(&[0; 1 << 20]).await.unwrap_err();
    // Whether a reset that was told already is told again is the network's.
    assert!(matches!(
        code(&error),
        Some(ErrorCode::ConnectionReset | ErrorCode::ConnectionBroken)
    ));
    assert!(matches!(
        client.output.check_write(),
        Err(StreamError::Closed)
    ));
}

fn pattern(from: usize, len: usize) -> Vec<u8> {
    (from..from + len)
        .map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8)
        .collect()
}

async fn what_was_permitted_arrives_without_the_writer_and_before_the_end(guest: Guest) {
    let (mut client, mut server) = guest.pair().await;
    // Nobody reads: the permits must end, and what was taken is all that is kept.
    let mut sent = 0;
    loop {
        let permit = client.output.check_write().unwrap();
        if permit == 0 {
            break;
        }
        client
            .output
            .write(&pattern(sent, permit))
            .unwrap()
            .unwrap();
        sent += permit;
        assert!(sent < 64 << 20, "there is no backpressure");
    }
    client.socket.shutdown(Shutdown::Send).unwrap();
    // From here on the writer only waits for the answer.
    let reader = async {
        let all = server.read_to_end().await.unwrap();
        server.write(b"done").await.unwrap();
        all
    };
    let (all, answer) = join(reader, client.read()).await;
    assert_eq!(all.len(), sent);
    assert!(all == pattern(0, sent));
    assert_eq!(answer.unwrap(), b"done");
}

async fn bytes_outlive_the_connection_that_wrote_them(guest: Guest) {
    let (mut client, mut server) = guest.pair().await;
    let mut sent = 0;
    loop {
        match client.output.check_write().unwrap() {
            0 => break,
            permit => {
                client
                    .output
                    .write(&pattern(sent, permit))
                    .unwrap()
                    .unwrap();
                sent += permit;
            }
        }
    }
    drop(client);
    let all = server.read_to_end().await.unwrap();
    assert_eq!(all.len(), sent);
    assert!(all == pattern(0, sent));
}

async fn a_large_transfer_both_ways_at_once(guest: Guest) {
    const LEN: usize = 16 << 20;
    let (mut client, mut server) = guest.pair().await;
    let echo = async {
        while let Ok(bytes) = server.read().await {
            server.write(&bytes).await.unwrap();
        }
        server.socket.shutdown(Shutdown::Send).unwrap();
    };
    let common::Connection {
        socket,
        input,
        output,
    } = &mut client;
    let send = async {
        let all = pattern(0, LEN);
        let mut left = &all[..];
        std::future::poll_fn(|cx| output.poll_write_all(cx, &mut left))
            .await
            .unwrap();
        socket.shutdown(Shutdown::Send).unwrap();
    };
    let receive = async {
        let mut all = Vec::new();
        while let Ok(bytes) = std::future::poll_fn(|cx| input.poll_read(cx, 64 << 10)).await {
            assert!(!bytes.is_empty() && bytes.len() <= 64 << 10);
            all.extend_from_slice(&bytes);
        }
        all
    };
    let ((_, _), all) = join(join(echo, send), receive).await;
    assert!(all == pattern(0, LEN));
}

fn is_ready(pollable: &mut impl Pollable) -> bool {
    pollable
        .poll_ready(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

async fn pollables_are_ready_for_what_is_there_only(guest: Guest) {
    let mut server = guest.listen(guest.local).await.unwrap();
    assert!(!is_ready(&mut server));
    assert_eq!(server.accept().err(), Some(ErrorCode::WouldBlock));
    let mut client = guest
        .connect(server.local_address().unwrap())
        .await
        .unwrap();
    let mut accepted = accept(&mut server).await;
    assert!(!is_ready(&mut server));

    assert!(!is_ready(&mut accepted.input));
    client.write(b"1234").await.unwrap();
    ready(&mut accepted.input).await;
    // A read that leaves nothing, in a buffer that it just fills.
    assert_eq!(accepted.input.read(4).unwrap(), b"1234"[..]);
    assert!(!is_ready(&mut accepted.input));
    assert!(accepted.input.read(4).unwrap().is_empty());
    drop(client);
    ready(&mut accepted.input).await;
    assert!(matches!(accepted.input.read(4), Err(StreamError::Closed)));
}

async fn addresses_in_use_or_of_others_are_refused(guest: Guest) {
    let server = guest.listen(guest.local).await.unwrap();
    let taken = server.local_address().unwrap();
    assert_ne!(taken.port(), 0);
    let mut socket = guest.socket();
    let refused = guest.bind(&mut socket, taken).await;
    assert_eq!(refused, Err(ErrorCode::AddressInUse));
    let foreign: SocketAddr = match guest.local {
        SocketAddr::V4(_) => "192.0.2.1:0".parse().unwrap(),
        SocketAddr::V6(_) => "[2001:db8::1]:0".parse().unwrap(),
    };
    let refused = guest.bind(&mut socket, foreign).await;
    assert_eq!(refused, Err(ErrorCode::AddressNotBindable));
    // It can be tried again, and then not any more.
    guest.bind(&mut socket, guest.local).await.unwrap();
    let refused = guest.bind(&mut socket, guest.local).await;
    assert_eq!(refused, Err(ErrorCode::InvalidState));
    // One that is only bound has its address already.
    let own = socket.local_address().unwrap();
    let refused = guest.bind(&mut guest.socket(), own).await;
    assert_eq!(refused, Err(ErrorCode::AddressInUse));
    // A client's port of its own choice.
    let client = guest.connect_with(socket, taken).await.unwrap();
    assert_eq!(client.socket.local_address(), Ok(own));
}

async fn a_port_can_be_bound_again_after_connections_on_it(guest: Guest) {
    let mut server = guest.listen(guest.local).await.unwrap();
    let address = server.local_address().unwrap();
    let mut client = guest.connect(address).await.unwrap();
    let accepted = accept(&mut server).await;
    // Who closes first has the address in TIME_WAIT.
    drop(accepted);
    assert_eq!(client.read_to_end().await.unwrap(), b"");
    drop((client, server));
    guest.listen(address).await.unwrap();
}

async fn options_are_kept_and_inherited(guest: Guest) {
    const SECOND: u64 = 1_000_000_000;
    let mut server = guest.socket();
    let set = [
        (SocketOption::KeepAliveIdleTime, 42 * SECOND),
        (SocketOption::KeepAliveInterval, 43 * SECOND),
        (SocketOption::KeepAliveCount, 44),
        (SocketOption::HopLimit, 45),
        (SocketOption::ReceiveBufferSize, 1 << 16),
        (SocketOption::SendBufferSize, 1 << 16),
    ];
    for (option, value) in set {
        server.set_option(option, value).unwrap();
        assert_eq!(server.option(option), Ok(value), "{option:?}");
    }
    assert_eq!(
        server.option(SocketOption::KeepAliveEnabled),
        Ok(0),
        "not by its parameters"
    );
    server
        .set_option(SocketOption::KeepAliveEnabled, 1)
        .unwrap();
    for option in set.map(|(option, _)| option) {
        for extreme in [1, u64::MAX] {
            let mut socket = guest.socket();
            assert_eq!(
                socket.set_option(option, extreme),
                Ok(()),
                "{option:?} {extreme}"
            );
            assert!(socket.option(option).unwrap() > 0);
        }
    }

    guest.bind(&mut server, guest.local).await.unwrap();
    server.start_listen().unwrap();
    server.finish_listen().unwrap();
    assert_eq!(server.set_listen_backlog_size(7), Ok(()));
    let _client = guest
        .connect(server.local_address().unwrap())
        .await
        .unwrap();
    let accepted = accept(&mut server).await;
    for (option, value) in set.into_iter().chain([(SocketOption::KeepAliveEnabled, 1)]) {
        assert_eq!(accepted.socket.option(option), Ok(value), "{option:?}");
    }
}

/// Every scenario, on `$network` with the address `$local`, run by `$run`.
macro_rules! scenarios {
    ($module:ident, $network:expr, $local:expr, $run:expr) => {
        mod $module {
            scenarios! { @ $network, $local, $run,
                each_end_hears_the_other_and_half_closes
                a_dropped_socket_leaves_its_streams_alive
                a_refused_connection_closes_the_socket
                a_reset_fails_the_streams_with_its_code
                what_was_permitted_arrives_without_the_writer_and_before_the_end
                bytes_outlive_the_connection_that_wrote_them
                a_large_transfer_both_ways_at_once
                pollables_are_ready_for_what_is_there_only
                addresses_in_use_or_of_others_are_refused
                a_port_can_be_bound_again_after_connections_on_it
                options_are_kept_and_inherited
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
    os_ipv6_tokio,
    crate::os(),
    "::1",
    crate::common::run::task_of_threads
);
scenarios!(
    os_ipv4_one_thread,
    crate::os(),
    "127.0.0.1",
    crate::common::run::one_thread
);
