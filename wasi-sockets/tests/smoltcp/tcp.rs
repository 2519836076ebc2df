use crate::world::*;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use wasi_sockets::{ErrorCode, Network, Shutdown, SocketOption, TcpStream};

async fn send_and_end(stream: &dyn TcpStream, bytes: &[u8]) -> Result<(), ErrorCode> {
    send(stream, bytes).await?;
    stream.shutdown(Shutdown::Send)
}

#[test]
fn bytes_come_as_they_were_sent_both_ways_however_many_frames_are_lost() {
    for (ip, loss) in [(B, 0), (B6, 0), (B, 2), (B, 15), (B6, 15)] {
        let world = World::new();
        world.cable.lose(loss);
        let (there, back) = (pattern(200_000), pattern(150_000));
        world.run(async {
            let (client, server) = pair(&world.a, &world.b, ip).await;
            let up = both(send_and_end(&*client, &there), receive(&*server));
            let down = both(send_and_end(&*server, &back), receive(&*client));
            let ((sent, got), (sent_back, got_back)) = both(up, down).await;
            assert_eq!((sent, sent_back), (Ok(()), Ok(())), "{loss}");
            assert!(got.unwrap() == there, "{ip} {loss}");
            assert!(got_back.unwrap() == back, "{ip} {loss}");
        });
        world.cable.lose(0);
        world.pass(60 * SECOND);
        assert_eq!(world.a.usage(), Default::default());
        assert_eq!(world.b.usage(), Default::default());
    }
}

#[test]
fn a_device_that_is_full_is_waited_for_and_loses_nothing() {
    // More under way than the cable takes at once.
    let big = || limits(|limits| limits.buffer = 256 << 10);
    let of = |side, ip: &str| {
        let config = config(side).address(ip.parse().unwrap(), 24);
        config.limits(big())
    };
    let world = World::of(of(1, A), of(2, B));
    let bytes = pattern(2_000_000);
    world.run(async {
        let (client, server) = pair(&world.a, &world.b, B).await;
        let (sent, got) = both(send_and_end(&*client, &bytes), receive(&*server)).await;
        assert_eq!(sent, Ok(()));
        assert!(got.unwrap() == bytes);
    });
    let (least, carried) = (bytes.len() / 1460, world.cable.carried());
    assert!(
        carried < least * 2,
        "{carried} frames for {least}: some went twice"
    );
    let passed = wasi_clocks::MonotonicClock::now(&world.clock);
    assert!(passed < SECOND, "{passed} ns");
}

#[test]
fn a_writer_that_nobody_reads_waits_within_the_buffers_and_goes_on_after() {
    let world = World::with_limits(limits(|limits| limits.buffer = 5000));
    let (client, server) = world.run(pair(&world.a, &world.b, B));
    let mut cx = Context::from_waker(Waker::noop());
    let bytes = pattern(100_000);
    let mut sent = 0;
    loop {
        match client.poll_write(&mut cx, &bytes[sent..]) {
            Poll::Ready(n) => sent += n.unwrap(),
            Poll::Pending => {
                world.pass(10 * SECOND);
                if client.poll_write_ready(&mut cx).is_pending() {
                    break;
                }
            }
        }
    }
    assert_eq!(sent, 5000 + (16 << 10), "the buffers of both ends");
    // Longer than a peer may be silent: it answers, though it takes none.
    world.pass(500 * SECOND);
    let rest = send_and_end(&*client, &bytes[sent..]);
    let (rest, got) = world.run(both(rest, receive(&*server)));
    assert_eq!(rest, Ok(()));
    assert!(got.unwrap() == bytes);
}

#[test]
fn an_end_that_was_shut_down_still_receives() {
    let world = World::new();
    world.run(async {
        let (client, server) = pair(&world.a, &world.b, B).await;
        send_and_end(&*client, b"question").await.unwrap();
        assert_eq!(receive(&*server).await.unwrap(), b"question");
        send_and_end(&*server, b"answer").await.unwrap();
        assert_eq!(receive(&*client).await.unwrap(), b"answer");
    });
}

#[test]
fn what_keeps_a_connection_from_being_made_has_its_code() {
    let world = World::new();
    for (to, code) in [
        (at(B, 9), ErrorCode::ConnectionRefused),
        (at(B6, 9), ErrorCode::ConnectionRefused),
        (at("127.0.0.1", 9), ErrorCode::ConnectionRefused),
        (at(A, 9), ErrorCode::ConnectionRefused),
        // Nobody has it.
        (at("10.0.0.99", 9), ErrorCode::Timeout),
        (at("192.0.2.1", 9), ErrorCode::RemoteUnreachable),
        (at("2001:db8::1", 9), ErrorCode::RemoteUnreachable),
        (at("127.0.0.2", 9), ErrorCode::RemoteUnreachable),
    ] {
        let dialled = world.run(dial(&world.a, to));
        assert_eq!(dialled.err(), Some(code), "{to}");
    }
    let mut socket = tcp(&world.a, at("127.0.0.1", 0));
    let out = world.run(poll_fn(|cx| socket.poll_connect(cx, at(B, 9))));
    assert_eq!(out.err(), Some(ErrorCode::RemoteUnreachable));
    drop(socket);
    world.pass(60 * SECOND);
    assert_eq!(world.a.usage(), Default::default());
}

#[test]
fn a_peer_that_is_gone_ends_the_connection_in_time() {
    let world = World::new();
    let (client, server) = world.run(pair(&world.a, &world.b, B));
    world.pass(3000 * SECOND);
    world.run(send(&*client, b"still here")).unwrap();
    world.cable.plug(false);
    world.run(send(&*client, b"lost")).unwrap();
    let ended = world.run(receive(&*client));
    assert_eq!(ended, Err(ErrorCode::Timeout));
    assert_eq!(client.remote_address(), Err(ErrorCode::InvalidState));
    // The other end has nothing to send and does not know.
    let mut buf = [0; 20];
    let read = world.run(poll_fn(|cx| server.poll_read(cx, &mut buf)));
    assert_eq!(read, Ok(10));
    drop((client, server));
    world.pass(30 * SECOND);
    assert_eq!(world.a.usage(), Default::default());
    assert_eq!(
        world.b.usage(),
        Default::default(),
        "closes though nobody answers"
    );
}

#[test]
fn a_peer_that_is_gone_in_the_middle_ends_the_connection_in_time() {
    let world = World::new();
    let (client, server) = world.run(pair(&world.a, &world.b, B));
    let bytes = pattern(100_000);
    let receives = async {
        let mut buf = vec![0; 30_000];
        let mut got = 0;
        while got < 50_000 {
            got += poll_fn(|cx| server.poll_read(cx, &mut buf)).await.unwrap();
        }
        world.cable.plug(false);
    };
    let (sent, ()) = world.run(both(send(&*client, &bytes), receives));
    assert_eq!(sent, Err(ErrorCode::Timeout));
    drop((client, server));
    world.cable.plug(true);
    // All was written, and a part of it taken.
    let small = || limits(|limits| limits.buffer = 2048);
    let a = config(1).address(A.parse().unwrap(), 24);
    let b = config(2).address(B.parse().unwrap(), 24).limits(small());
    let world = World::of(a, b);
    let (client, _server) = world.run(pair(&world.a, &world.b, B));
    world.run(send_and_end(&*client, &pattern(16_000))).unwrap();
    world.pass(SECOND);
    world.cable.plug(false);
    assert_eq!(world.run(receive(&*client)), Err(ErrorCode::Timeout));
}

#[test]
fn devices_for_packets_without_frames_serve_as_well() {
    let world = World::of_packets();
    for ip in [B, B6] {
        world.run(async {
            let (client, server) = pair(&world.a, &world.b, ip).await;
            send_and_end(&*client, b"question").await.unwrap();
            assert_eq!(receive(&*server).await.unwrap(), b"question");
        });
    }
}

#[test]
fn an_idle_connection_is_probed_if_that_is_set_and_then_its_loss_is_seen() {
    let world = World::new();
    let listener = listen(&world.b, at(B, 80), 4);
    let mut socket = tcp(&world.a, at(A, 0));
    socket
        .set_option(SocketOption::KeepAliveEnabled, 1)
        .unwrap();
    socket
        .set_option(SocketOption::KeepAliveIdleTime, 10 * SECOND)
        .unwrap();
    let connect = poll_fn(|cx| socket.poll_connect(cx, at(B, 80)));
    let (client, _server) = world.run(both(connect, accept(&*listener)));
    let client = client.unwrap();
    world.pass(1000 * SECOND);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(
        client.poll_read_ready(&mut cx).is_pending(),
        "it is answered"
    );
    world.cable.plug(false);
    world.pass(50 * SECOND);
    let read = client.poll_read(&mut cx, &mut [0; 8]);
    assert_eq!(read, Poll::Ready(Err(ErrorCode::Timeout)));
}

#[test]
fn a_listener_has_room_for_its_backlog_and_refuses_the_rest() {
    let world = World::new();
    let listener = listen(&world.b, at(B, 80), 2);
    let mut made = Vec::new();
    for expected in [true, true, false] {
        let dialled = world.run(dial(&world.a, at(B, 80)));
        match dialled {
            Ok(stream) => made.push(stream),
            Err(error) => assert_eq!(error, ErrorCode::ConnectionRefused),
        }
        assert_eq!(made.len(), if expected { made.len().max(1) } else { 2 });
    }
    let first = world.run(accept(&*listener));
    assert_eq!(first.remote_address(), made[0].local_address());
    made.push(world.run(dial(&world.a, at(B, 80))).unwrap());
    // What nobody accepted is reset with the listener.
    drop(listener);
    world.settle();
    let ended = world.run(receive(&*made[2]));
    assert_eq!(ended, Err(ErrorCode::ConnectionReset));
    let refused = world.run(dial(&world.a, at(B, 80)));
    assert_eq!(refused.err(), Some(ErrorCode::ConnectionRefused));
}

#[test]
fn listeners_of_both_families_on_one_port_get_each_their_own() {
    let world = World::new();
    let v4 = listen(&world.b, at("0.0.0.0", 80), 4);
    let v6 = listen(&world.b, at("::", 80), 4);
    for (ip, listener) in [(B, &v4), (B6, &v6), (B6, &v6), (B, &v4)] {
        let (client, server) = world.run(both(dial(&world.a, at(ip, 80)), accept(&**listener)));
        assert_eq!(client.unwrap().remote_address(), Ok(at(ip, 80)));
        assert_eq!(server.local_address(), Ok(at(ip, 80)));
    }
    drop(v6);
    let refused = world.run(dial(&world.a, at(B6, 80)));
    assert_eq!(refused.err(), Some(ErrorCode::ConnectionRefused));
    assert!(world.run(dial(&world.a, at(B, 80))).is_ok());
}

#[test]
fn many_connections_in_sequence_leave_nothing_behind() {
    let world = World::new();
    let listener = listen(&world.b, at(B, 80), 4);
    world.settle();
    let before = world.b.usage();
    let (mut most_a, mut most_b) = (0, 0);
    for round in 0..500 {
        world.run(async {
            let (client, server) = both(dial(&world.a, at(B, 80)), accept(&*listener)).await;
            let client = client.unwrap();
            send_and_end(&*client, b"GET /").await.unwrap();
            assert_eq!(receive(&*server).await.unwrap(), b"GET /");
            send(&*server, b"200").await.unwrap();
            // Which end closes first, and so has the TIME-WAIT.
            match round % 2 {
                0 => drop(server),
                _ => server.shutdown(Shutdown::Send).unwrap(),
            }
            assert_eq!(receive(&*client).await.unwrap(), b"200");
        });
        world.pass(SECOND / 100);
        most_a = most_a.max(world.a.usage().sockets);
        most_b = most_b.max(world.b.usage().sockets);
    }
    assert!(most_a <= 16 + 3 && most_b <= 16 + 4, "{most_a} {most_b}");
    world.pass(60 * SECOND);
    assert_eq!(world.a.usage(), Default::default());
    assert_eq!(world.b.usage(), before);
    drop(listener);
    world.settle();
    assert_eq!(world.b.usage(), Default::default());
    assert_eq!(world.clock.next_deadline(), None);
}

#[test]
fn what_was_written_leaves_after_the_stream_was_dropped() {
    let world = World::new();
    world.cable.lose(10);
    let (client, server) = world.run(pair(&world.a, &world.b, B));
    world.run(send(&*client, &pattern(16_000))).unwrap();
    drop(client);
    assert!(world.run(receive(&*server)).unwrap() == pattern(16_000));
}

#[test]
fn bytes_that_nobody_will_read_reset_the_connection() {
    let world = World::new();
    for written_before in [true, false] {
        let (client, server) = world.run(pair(&world.a, &world.b, B));
        if written_before {
            world.run(send(&*client, b"unread")).unwrap();
            drop(server);
        } else {
            drop(server);
            world.settle();
            world.run(send(&*client, b"unread")).unwrap();
        }
        world.settle();
        let failed = world.run(async {
            let _ = receive(&*client).await;
            poll_fn(|cx| client.poll_write_ready(cx)).await
        });
        assert_eq!(failed, Err(ErrorCode::ConnectionReset), "{written_before}");
        drop(client);
        world.pass(30 * SECOND);
        assert_eq!(world.b.usage(), Default::default());
    }
}

#[test]
fn a_peer_that_does_not_close_is_given_up() {
    let world = World::new();
    let (client, server) = world.run(pair(&world.a, &world.b, B));
    drop(client);
    world.pass(5 * SECOND);
    assert_eq!(world.a.usage().sockets, 1, "it closes");
    world.pass(20 * SECOND);
    assert_eq!(world.a.usage(), Default::default());
    // And it was told.
    let write = world.run(poll_fn(|cx| server.poll_write_ready(cx)));
    assert_eq!(write, Err(ErrorCode::ConnectionReset));
}

#[test]
fn sockets_and_their_buffers_are_bounded_and_come_back() {
    let world = World::with_limits(limits(|limits| {
        limits.sockets = 4;
        limits.buffers = 80 << 10;
    }));
    let v4 = wasi_sockets::IpAddressFamily::Ipv4;
    let full = Some(ErrorCode::NewSocketLimit);
    let held: Vec<_> = (0..4).map(|_| world.a.tcp_socket(v4).unwrap()).collect();
    assert_eq!(world.a.tcp_socket(v4).err(), full);
    assert_eq!(world.a.udp_socket(v4).err().map(drop), Some(()));
    drop(held);
    // Two connections of 32 KiB, and no third.
    let listener = listen(&world.b, at(B, 80), 16);
    let dialled: Vec<_> = (0..2)
        .map(|_| world.run(dial(&world.a, at(B, 80))).unwrap())
        .collect();
    assert_eq!(world.run(dial(&world.a, at(B, 80))).err(), full);
    drop((listener, dialled));
    world.pass(60 * SECOND);
    assert_eq!(world.a.usage(), Default::default());
    // A listener without room goes on when there is some.
    let buffers: Vec<_> = (0..2).map(|_| udp(&world.a, at(A, 0))).collect();
    let listener = listen(&world.a, at(A, 80), 4);
    let refused = world.run(dial(&world.b, at(A, 80)));
    assert_eq!(refused.err(), Some(ErrorCode::ConnectionRefused));
    drop(buffers);
    let (client, _server) = world.run(both(dial(&world.b, at(A, 80)), accept(&*listener)));
    assert!(client.is_ok());
}

#[test]
fn sizes_of_buffers_hold_from_the_connect_on_and_are_clamped() {
    let world = World::new();
    let _listener = listen(&world.b, at(B, 80), 4);
    let mut socket = tcp(&world.a, at(A, 0));
    for (set, read) in [(1, 2048), (u64::MAX, 256 << 10), (20_000, 20_000)] {
        socket
            .set_option(SocketOption::SendBufferSize, set)
            .unwrap();
        assert_eq!(socket.option(SocketOption::SendBufferSize), Ok(read));
    }
    let client: Arc<dyn TcpStream> = world
        .run(poll_fn(|cx| socket.poll_connect(cx, at(B, 80))))
        .unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    assert_eq!(client.poll_write_ready(&mut cx), Poll::Ready(Ok(20_000)));
    client
        .set_option(SocketOption::SendBufferSize, 4096)
        .unwrap();
    assert_eq!(client.option(SocketOption::SendBufferSize), Ok(20_000));
    let missing = client.option(SocketOption::KeepAliveCount);
    assert_eq!(missing, Err(ErrorCode::NotSupported));
}

#[test]
fn a_cable_that_comes_back_in_time_loses_no_byte() {
    let world = World::new();
    let bytes = pattern(300_000);
    let (client, server) = world.run(pair(&world.a, &world.b, B));
    let cable = world.cable.clone();
    let half = 100_000;
    let got = world.run(async {
        let sends = send_and_end(&*client, &bytes);
        let receives = async {
            let (mut all, mut buf) = (Vec::new(), vec![0; 2000]);
            loop {
                let before = all.len();
                match poll_fn(|cx| server.poll_read(cx, &mut buf)).await.unwrap() {
                    0 => return all,
                    n => all.extend_from_slice(&buf[..n]),
                }
                if before < half && all.len() >= half {
                    cable.plug(false);
                    let clock = Arc::new(world.clock.clone());
                    let mut outage = wasi_clocks::Sleep::lasting(clock, 30 * SECOND);
                    poll_fn(|cx| wasi_io::Pollable::poll_ready(&mut outage, cx)).await;
                    cable.plug(true);
                    world.a.link_changed(true);
                    world.b.link_changed(true);
                }
            }
        };
        both(sends, receives).await.1
    });
    assert!(got == bytes);
}

#[test]
fn frames_with_whatever_headers_do_no_harm() {
    let world = World::damaging(30);
    let mut cx = Context::from_waker(Waker::noop());
    for (round, ip) in [A, A6].into_iter().cycle().take(60).enumerate() {
        let listener = listen(&world.a, at(ip, 80), 4);
        let datagrams = udp(&world.a, at(ip, 80));
        let sender = udp(&world.b, at(if ip == A { B } else { B6 }, 0));
        let mut socket = tcp(&world.b, sender.local_address().unwrap());
        let mut ends = Vec::new();
        for step in 0..60 {
            if let Poll::Ready(Ok(stream)) = listener.poll_accept(&mut cx) {
                ends.push(stream);
            }
            if ends.len() < 2
                && let Poll::Ready(made) = socket.poll_connect(&mut cx, at(ip, 80))
            {
                ends.extend(made);
                socket = world.b.tcp_socket(family(at(ip, 80).ip())).unwrap();
            }
            for end in &ends {
                let _ = end.poll_write(&mut cx, &pattern(1000 + round + step));
                let _ = end.poll_read(&mut cx, &mut [0; 700]);
            }
            let _ = sender.poll_send_to(&mut cx, &pattern(step), at(ip, 80));
            let _ = datagrams.poll_receive_from(&mut cx, &mut [0; 100]);
            world.pass(SECOND / 20);
        }
    }
    let carried = world.cable.carried();
    assert!(carried > 5000, "{carried} frames are no test");
    world.cable.repair();
    world.pass(120 * SECOND);
    assert_eq!(world.a.usage(), Default::default());
    assert_eq!(world.b.usage(), Default::default());
    let (client, server) = world.run(pair(&world.a, &world.b, B));
    world.run(send_and_end(&*client, b"well")).unwrap();
    assert_eq!(world.run(receive(&*server)).unwrap(), b"well");
}
