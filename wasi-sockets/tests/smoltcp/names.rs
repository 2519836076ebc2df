use crate::world::*;
use std::future::poll_fn;
use std::net::IpAddr;
use wasi_sockets::smoltcp::{SmoltcpLimits, SmoltcpNet};
use wasi_sockets::{ErrorCode, Network, UdpSocket};

/// The answer to a question of one name, as far as these tests ask any (RFC 1035, 4.1).
fn answer(question: &[u8]) -> Option<Vec<u8>> {
    let end = 12 + question[12..].iter().position(|byte| *byte == 0)?;
    let name = &question[12..end];
    let kind = u16::from_be_bytes([question[end + 1], question[end + 2]]);
    let records: Vec<IpAddr> = match name {
        b"\x03two\x04test" => ["192.0.2.1", "192.0.2.2", "2001:db8::1"]
            .map(|ip| ip.parse().unwrap())
            .into(),
        b"\x02v4\x04test" => vec!["192.0.2.3".parse().unwrap()],
        b"\x06silent\x04test" => return None,
        _ => Vec::new(),
    };
    let missing = records.is_empty();
    let records = records.into_iter().filter(|ip| match ip {
        IpAddr::V4(_) => kind == 1,
        IpAddr::V6(_) => kind == 28,
    });
    let records: Vec<_> = records.collect();
    let mut reply = question[..end + 5].to_vec();
    // A response; and whether there is such a name.
    reply[2..4].copy_from_slice(&[0x81, if missing { 0x83 } else { 0x80 }]);
    reply[6..8].copy_from_slice(&(records.len() as u16).to_be_bytes());
    for ip in records {
        let octets = match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        // The name of the question; the class of the internet; a minute.
        reply.extend([0xc0, 12]);
        reply.extend(kind.to_be_bytes());
        reply.extend([0, 1, 0, 0, 0, 60, 0, octets.len() as u8]);
        reply.extend(octets);
    }
    Some(reply)
}

async fn serve(socket: &dyn UdpSocket) {
    loop {
        let (question, from) = receive_from(socket).await;
        if let Some(reply) = answer(&question) {
            send_to(socket, &reply, from).await.unwrap();
        }
    }
}

async fn resolve(net: &SmoltcpNet, name: &str) -> Result<Vec<IpAddr>, ErrorCode> {
    let mut lookup = net.lookup(name)?;
    poll_fn(|cx| lookup.poll_addresses(cx)).await
}

/// Until `future` is done; `service` never is.
async fn beside<T>(future: impl Future<Output = T>, service: impl Future<Output = ()>) -> T {
    let (mut future, mut service) = (std::pin::pin!(future), std::pin::pin!(service));
    poll_fn(|cx| {
        let _ = service.as_mut().poll(cx);
        future.as_mut().poll(cx)
    })
    .await
}

fn world(limits: SmoltcpLimits) -> World {
    let a = config(1).address(A.parse().unwrap(), 24);
    let a = a.name_server(B.parse().unwrap()).limits(limits);
    World::of(a, config(2).address(B.parse().unwrap(), 24))
}

#[test]
fn names_are_asked_of_the_server_in_both_families() {
    for loss in [0, 20] {
        let world = world(limits(|limits| limits.lookup_timeout = 60 * SECOND));
        let server = udp(&world.b, at(B, 53));
        world.cable.lose(loss);
        for (name, expected) in [
            (
                "two.test",
                Ok(vec!["192.0.2.1", "192.0.2.2", "2001:db8::1"]),
            ),
            ("v4.test", Ok(vec!["192.0.2.3"])),
            ("missing.test", Err(ErrorCode::NameUnresolvable)),
            ("localhost", Ok(vec!["127.0.0.1", "::1"])),
            ("any.localhost", Ok(vec!["127.0.0.1", "::1"])),
        ] {
            let expected = expected.map(|ips| {
                ips.iter()
                    .map(|ip| ip.parse().unwrap())
                    .collect::<Vec<IpAddr>>()
            });
            let found = world.run(beside(resolve(&world.a, name), serve(&*server)));
            assert_eq!(found, expected, "{name}");
        }
        assert_eq!(world.a.usage(), Default::default());
    }
}

#[test]
fn a_server_that_does_not_answer_may_later() {
    let world = world(SmoltcpLimits::default());
    let server = udp(&world.b, at(B, 53));
    let silent = world.run(beside(resolve(&world.a, "silent.test"), serve(&*server)));
    assert_eq!(silent, Err(ErrorCode::TemporaryResolverFailure));
    world.cable.plug(false);
    let unplugged = world.run(resolve(&world.a, "two.test"));
    assert_eq!(unplugged, Err(ErrorCode::TemporaryResolverFailure));
}

#[test]
fn lookups_are_bounded_and_given_up_when_they_are_dropped() {
    let world = world(limits(|limits| limits.lookups = 3));
    for _ in 0..3 {
        let held: Vec<_> = (0..3).map(|_| world.a.lookup("two.test").ok()).collect();
        assert!(held.iter().all(Option::is_some));
        let more = world.a.lookup("two.test").err();
        assert_eq!(more, Some(ErrorCode::TemporaryResolverFailure));
    }
    assert_eq!(world.a.usage(), Default::default());
}

#[test]
fn without_a_server_there_are_no_names() {
    let world = World::new();
    let lookup = world.a.lookup("two.test").err();
    assert_eq!(lookup, Some(ErrorCode::NotSupported));
    assert!(world.a.lookup("localhost").is_ok());
}
