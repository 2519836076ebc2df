//! The network over smoltcp: two of them joined by a cable, on one thread and on a clock that
//! the test moves. A task is polled when it is woken and not before, so a wake-up that is
//! missing or that never ends fails the test.
#![allow(unreachable_pub)]

mod cable;
mod dhcp;
mod names;
mod tcp;
mod udp;
mod world;

use wasi_io::testkit::{Check, Miss};
use wasi_sockets::testkit;
use world::{A, A6, World};

#[test]
fn every_guarantee_is_kept_on_the_loopback_and_on_the_own_addresses() {
    let ips = ["127.0.0.1", "::1", A, A6];
    let worlds = [World::new, World::of_packets];
    for (ip, world) in ips
        .into_iter()
        .flat_map(|ip| worlds.map(|world| (ip, world())))
    {
        let driver = |done: &mut dyn FnMut() -> bool| world.until(done);
        let report = testkit::run(&driver, &world.a, ip.parse().unwrap());
        report.assert_ok();
        let skipped = |check: &&Check| matches!(check.result, Err(Miss::Skipped(_)));
        let skipped = report.checks().iter().filter(skipped);
        let skipped: Vec<_> = skipped.map(|check| check.name).collect();
        // Nobody tells of datagrams that were refused.
        let expected = [
            "UDP: who is refused is told once, and goes on",
            "UDP: every task that waits is woken by a refusal",
            "UDP: they are woken though another call saw it first",
        ];
        assert_eq!(skipped, expected);
        assert_eq!(world.cable.carried(), 0, "{ip}: nothing of it leaves");
        world.pass(60 * world::SECOND);
        assert_eq!(world.a.usage(), Default::default(), "{ip}");
    }
}

#[test]
fn a_network_without_anything_to_do_waits_for_nothing() {
    let world = World::new();
    world.settle();
    assert_eq!(world.clock.next_deadline(), None);
}
