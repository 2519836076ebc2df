use crate::world::*;
use std::cell::Cell;
use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::pin::pin;
use wasi_sockets::UdpSocket;

const LEASE: u32 = 600;

/// The answer of a server at 10.0.0.2 that gives 10.0.0.`last` (RFC 2131, 4.3), and what was
/// asked.
fn answer(request: &[u8], last: u8) -> (u8, Vec<u8>) {
    let mut options = &request[240..];
    let mut kind = 0;
    while let [code, len, rest @ ..] = options {
        if *code == 53 {
            kind = rest[0];
        }
        if *code == 255 {
            break;
        }
        options = &rest[usize::from(*len)..];
    }
    let mut reply = request[..240].to_vec();
    reply[0] = 2;
    reply[16..20].copy_from_slice(&[10, 0, 0, last]);
    reply[20..24].copy_from_slice(&[10, 0, 0, 2]);
    // An offer for a discover, an acknowledgement for a request.
    reply.extend([53, 1, if kind == 1 { 2 } else { 5 }]);
    reply.extend([54, 4, 10, 0, 0, 2]);
    reply.extend([51, 4]);
    reply.extend(LEASE.to_be_bytes());
    reply.extend([1, 4, 255, 255, 255, 0]);
    reply.extend([3, 4, 10, 0, 0, 2]);
    reply.extend([6, 4, 10, 0, 0, 2]);
    reply.push(255);
    (kind, reply)
}

struct Server {
    socket: Box<dyn UdpSocket>,
    last: Cell<u8>,
    requests: Cell<usize>,
}

impl Server {
    fn new(world: &World) -> Self {
        Self {
            socket: udp(&world.b, at("0.0.0.0", 67)),
            last: Cell::new(77),
            requests: Cell::new(0),
        }
    }

    async fn serve(&self) {
        loop {
            let (request, from) = receive_from(&*self.socket).await;
            let (kind, reply) = answer(&request, self.last.get());
            if kind == 3 {
                self.requests.set(self.requests.get() + 1);
            }
            let to = match from.ip().is_unspecified() {
                true => at("255.255.255.255", 68),
                false => from,
            };
            send_to(&*self.socket, &reply, to).await.unwrap();
        }
    }

    /// Runs `future` while the server serves.
    fn run<T>(&self, world: &World, future: impl Future<Output = T>) -> T {
        let (mut future, mut service) = (pin!(future), pin!(self.serve()));
        world.run(poll_fn(|cx| {
            let _ = service.as_mut().poll(cx);
            future.as_mut().poll(cx)
        }))
    }

    fn pass(&self, world: &World, duration: u64) {
        let clock = std::sync::Arc::new(world.clock.clone());
        let mut sleep = wasi_clocks::Sleep::lasting(clock, duration);
        self.run(
            world,
            poll_fn(|cx| wasi_io::Pollable::poll_ready(&mut sleep, cx)),
        );
    }
}

fn world() -> World {
    World::of(config(1).dhcp(), config(2).address(B.parse().unwrap(), 24))
}

fn address(last: u8) -> Vec<(std::net::IpAddr, u8)> {
    vec![(Ipv4Addr::new(10, 0, 0, last).into(), 24)]
}

#[test]
fn an_address_comes_by_dhcp_and_stays_as_long_as_it_is_renewed() {
    let world = world();
    world.settle();
    assert!(world.a.addresses().is_empty());
    let server = Server::new(&world);
    server.run(&world, world.a.ready());
    assert_eq!(world.a.addresses(), address(77));
    assert_eq!(
        world.a.name_servers(),
        [B.parse::<std::net::IpAddr>().unwrap()]
    );
    // Beyond the router as well.
    let beyond = udp(&world.a, at("0.0.0.0", 0));
    world
        .run(send_to(&*beyond, b"a", at("192.0.2.1", 7)))
        .unwrap();
    let asked = server.requests.get();
    server.pass(&world, 3000 * SECOND);
    assert!(server.requests.get() >= asked + 5, "it was renewed");
    assert_eq!(world.a.addresses(), address(77));
    // A server that is gone: the lease ends. It comes back: another one.
    drop(server);
    world.pass(1000 * SECOND);
    assert!(world.a.addresses().is_empty());
    let server = Server::new(&world);
    server.run(&world, world.a.ready());
    assert_eq!(world.a.addresses(), address(77));
}

#[test]
fn a_link_that_comes_back_keeps_its_connections_and_confirms_its_address() {
    let world = world();
    let server = Server::new(&world);
    server.run(&world, world.a.ready());
    let (client, peer) = server.run(&world, pair(&world.a, &world.b, B));
    world.cable.plug(false);
    world.a.link_changed(false);
    server.pass(&world, 20 * SECOND);
    world.run(send(&*client, b"in between")).unwrap();
    world.cable.plug(true);
    let asked = server.requests.get();
    world.a.link_changed(true);
    server.pass(&world, 30 * SECOND);
    assert!(server.requests.get() > asked, "it was confirmed");
    let mut buf = [0; 20];
    let read = world.run(poll_fn(|cx| peer.poll_read(cx, &mut buf)));
    assert_eq!(read, Ok(10));
    assert_eq!(world.a.addresses(), address(77));
}

#[test]
fn a_link_that_comes_back_to_another_network_gets_another_address() {
    let world = world();
    let server = Server::new(&world);
    server.run(&world, world.a.ready());
    let (client, _peer) = server.run(&world, pair(&world.a, &world.b, B));
    server.last.set(78);
    world.a.link_changed(false);
    world.a.link_changed(true);
    server.pass(&world, 10 * SECOND);
    assert_eq!(world.a.addresses(), address(78));
    // A connection from the old address is none any more.
    let ended = world.run(receive(&*client));
    assert_eq!(ended, Err(wasi_sockets::ErrorCode::ConnectionAborted));
    assert!(server.run(&world, dial(&world.a, at(B, 9))).is_err());
}

#[test]
fn a_link_that_comes_back_without_a_server_gives_its_address_up() {
    let world = world();
    let server = Server::new(&world);
    server.run(&world, world.a.ready());
    drop(server);
    world.a.link_changed(true);
    world.pass(30 * SECOND);
    assert_eq!(world.a.addresses(), address(77));
    world.pass(60 * SECOND);
    assert!(world.a.addresses().is_empty());
}
