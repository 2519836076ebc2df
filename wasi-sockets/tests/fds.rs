//! Descriptors are given back at drop. Alone in its process, whose descriptors it counts.
#![cfg(target_os = "linux")]

mod common;

use common::{Guest, accept, ready};
use std::sync::Arc;
use wasi_io::Pollable;
use wasi_io::testkit::Task;
use wasi_sockets::os::OsNetwork;
use wasi_sockets::{ErrorCode, OutgoingDatagram};

fn open() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn every_descriptor_is_closed_when_what_held_it_is_dropped() {
    let guest = Guest::new(Arc::new(OsNetwork::current()), "127.0.0.1");
    pollster::block_on(async {
        // What the process keeps for itself is there after the first round.
        round(&guest).await;
        let before = open();
        for _ in 0..200 {
            round(&guest).await;
            assert_eq!(open(), before);
        }
    });
}

async fn round(guest: &Guest) {
    // Fresh, bound, listening.
    let fresh = guest.socket();
    let mut bound = guest.socket();
    guest.bind(&mut bound, guest.local).await.unwrap();
    let mut server = guest.listen(guest.local).await.unwrap();
    let address = server.local_address().unwrap();
    // Connected, used and dropped in different orders.
    let mut client = guest.connect(address).await.unwrap();
    let mut accepted = accept(&mut server).await;
    client.write(b"hello").await.unwrap();
    assert_eq!(accepted.read().await.unwrap(), b"hello");
    drop((client.socket, client.input, client.output));
    drop((accepted.output, accepted.input, accepted.socket));
    // Connecting, given up; accepted by the pollable, asked for by nobody.
    let mut connecting = guest.socket();
    connecting.start_connect(&guest.net, address).unwrap();
    ready(&mut server).await;
    // Refused: closed before it is dropped.
    let nobody = bound.local_address().unwrap();
    let count = open();
    let mut refused = guest.socket();
    refused.start_connect(&guest.net, nobody).unwrap();
    ready(&mut refused).await;
    assert_eq!(
        refused.finish_connect().err(),
        Some(ErrorCode::ConnectionRefused)
    );
    assert_eq!(open(), count);
    drop((fresh, bound, server, connecting, refused));
    // Datagrams: fresh; bound; with a peer that refuses, waited for by a task.
    let datagrams = [(); 3].map(|()| guest.udp_socket());
    let [_fresh, mut bound, mut connected] = datagrams;
    bound.start_bind(&guest.net, guest.local).unwrap();
    bound.finish_bind().unwrap();
    connected.start_bind(&guest.net, guest.local).unwrap();
    connected.finish_bind().unwrap();
    let gone = bound.local_address().unwrap();
    drop(bound);
    let (mut incoming, mut outgoing) = connected.stream(Some(gone)).unwrap();
    outgoing.check_send().unwrap();
    let datagram = OutgoingDatagram {
        data: vec![1],
        remote_address: None,
    };
    assert_eq!(outgoing.send(&[datagram]).unwrap(), Ok(1));
    ready(&mut incoming).await;
    assert_eq!(incoming.receive(1), Err(ErrorCode::ConnectionRefused));
    // Pending, with all that a wait keeps.
    let task = Task::new();
    assert!(task.poll(|cx| incoming.poll_ready(cx)).is_pending());
}
