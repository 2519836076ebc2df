//! Settings.

use super::{OK, socket};
use crate::bindings::wasi::sockets::network::{ErrorCode, IpAddressFamily::Ipv4};
use crate::checks::Checks;
use crate::sockets::{accept, bind, connect, listen, listener, loopback, pair};

pub fn run(checks: &mut Checks) {
    options(checks);
    inherited(checks);
}

fn options(checks: &mut Checks) {
    let (here, _there) = pair();
    let states = [
        ("unbound", socket(Ipv4)),
        ("listening", listener(Ipv4)),
        ("connected", here.socket),
    ];
    for (state, socket) in &states {
        let name = |what: &str| format!("{state}: {what}");
        let invalid = Some(ErrorCode::InvalidArgument);
        for (what, code) in [
            (
                "keep-alive-idle-time",
                socket.set_keep_alive_idle_time(0).err(),
            ),
            (
                "keep-alive-interval",
                socket.set_keep_alive_interval(0).err(),
            ),
            ("keep-alive-count", socket.set_keep_alive_count(0).err()),
            ("hop-limit", socket.set_hop_limit(0).err()),
            (
                "receive-buffer-size",
                socket.set_receive_buffer_size(0).err(),
            ),
            ("send-buffer-size", socket.set_send_buffer_size(0).err()),
        ] {
            checks.eq(name(&format!("set-{what}: 0")), code, invalid);
        }
        for value in [true, false] {
            checks.eq(
                name("set-keep-alive-enabled"),
                socket.set_keep_alive_enabled(value),
                OK,
            );
            checks.eq(
                name("keep-alive-enabled"),
                socket.keep_alive_enabled(),
                Ok::<_, ()>(value),
            );
        }
        const S: u64 = 1_000_000_000;
        checks.eq(
            name("set-keep-alive-idle-time"),
            socket.set_keep_alive_idle_time(60 * S),
            OK,
        );
        checks.eq(
            name("keep-alive-idle-time"),
            socket.keep_alive_idle_time(),
            Ok::<_, ()>(60 * S),
        );
        checks.eq(
            name("set-keep-alive-interval"),
            socket.set_keep_alive_interval(30 * S),
            OK,
        );
        checks.eq(
            name("keep-alive-interval"),
            socket.keep_alive_interval(),
            Ok::<_, ()>(30 * S),
        );
        checks.eq(
            name("set-keep-alive-count"),
            socket.set_keep_alive_count(5),
            OK,
        );
        checks.eq(
            name("keep-alive-count"),
            socket.keep_alive_count(),
            Ok::<_, ()>(5),
        );
        checks.eq(name("set-hop-limit"), socket.set_hop_limit(42), OK);
        checks.eq(name("hop-limit"), socket.hop_limit(), Ok::<_, ()>(42));
        // "Any other value will never cause an error, but it might be silently clamped."
        for value in [1, u64::MAX] {
            checks.eq(
                name("set-keep-alive-idle-time: any"),
                socket.set_keep_alive_idle_time(value),
                OK,
            );
            checks.eq(
                name("set-keep-alive-interval: any"),
                socket.set_keep_alive_interval(value),
                OK,
            );
            checks.eq(
                name("set-receive-buffer-size: any"),
                socket.set_receive_buffer_size(value),
                OK,
            );
            checks.eq(
                name("set-send-buffer-size: any"),
                socket.set_send_buffer_size(value),
                OK,
            );
            for (what, got) in [
                ("keep-alive-idle-time", socket.keep_alive_idle_time()),
                ("keep-alive-interval", socket.keep_alive_interval()),
                ("receive-buffer-size", socket.receive_buffer_size()),
                ("send-buffer-size", socket.send_buffer_size()),
            ] {
                checks.that(
                    name(&format!("{what}: not 0")),
                    got.is_ok_and(|got| got > 0),
                );
            }
        }
        for value in [1, u32::MAX] {
            checks.eq(
                name("set-keep-alive-count: any"),
                socket.set_keep_alive_count(value),
                OK,
            );
            let got = socket.keep_alive_count();
            checks.that(
                name("keep-alive-count: not 0"),
                got.is_ok_and(|got| got > 0),
            );
        }
        for value in [1, 255] {
            checks.eq(name("set-hop-limit: any"), socket.set_hop_limit(value), OK);
            checks.eq(
                name("hop-limit: any"),
                socket.hop_limit(),
                Ok::<_, ()>(value),
            );
        }
    }
    for (state, socket) in &states[..2] {
        let invalid = Some(ErrorCode::InvalidArgument);
        let code = socket.set_listen_backlog_size(0).err();
        checks.eq(
            format!("{state}: set-listen-backlog-size: 0"),
            code,
            invalid,
        );
    }
    for value in [1, u64::MAX] {
        let unbound = &states[0].1;
        checks.eq(
            "set-listen-backlog-size: any",
            unbound.set_listen_backlog_size(value),
            OK,
        );
    }
    checks.eq(
        "set-listen-backlog-size: listening",
        states[1].1.set_listen_backlog_size(16),
        OK,
    );
}

/// What an accepted socket has from its listener.
fn inherited(checks: &mut Checks) {
    const S: u64 = 1_000_000_000;
    let server = socket(Ipv4);
    let set = [
        server.set_keep_alive_enabled(true),
        server.set_keep_alive_idle_time(77 * S),
        server.set_keep_alive_interval(7 * S),
        server.set_keep_alive_count(3),
        server.set_hop_limit(21),
        server.set_receive_buffer_size(16 << 10),
        server.set_send_buffer_size(16 << 10),
    ];
    checks.that(
        "an unbound socket has settings",
        set.iter().all(Result::is_ok),
    );
    bind(&server, loopback(Ipv4, 0)).expect("to bind");
    listen(&server).expect("to listen");
    let client = socket(Ipv4);
    let address = server.local_address().expect("an address");
    let streams = connect(&client, address).expect("to connect");
    let (accepted, _input, _output) = accept(&server).expect("to accept");
    checks.eq(
        "inherited: keep-alive-enabled",
        accepted.keep_alive_enabled(),
        server.keep_alive_enabled(),
    );
    checks.eq(
        "inherited: keep-alive-idle-time",
        accepted.keep_alive_idle_time(),
        Ok::<_, ()>(77 * S),
    );
    checks.eq(
        "inherited: keep-alive-interval",
        accepted.keep_alive_interval(),
        Ok::<_, ()>(7 * S),
    );
    checks.eq(
        "inherited: keep-alive-count",
        accepted.keep_alive_count(),
        Ok::<_, ()>(3),
    );
    checks.eq(
        "inherited: hop-limit",
        accepted.hop_limit(),
        Ok::<_, ()>(21),
    );
    checks.eq(
        "inherited: receive-buffer-size",
        accepted.receive_buffer_size(),
        server.receive_buffer_size(),
    );
    checks.eq(
        "inherited: send-buffer-size",
        accepted.send_buffer_size(),
        server.send_buffer_size(),
    );
    drop(streams);
}
