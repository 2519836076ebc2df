//! What each state allows.

use super::{OK, socket};
use crate::bindings::wasi::sockets::instance_network::instance_network;
use crate::bindings::wasi::sockets::network::{ErrorCode, IpAddressFamily};
use crate::bindings::wasi::sockets::tcp::ShutdownType;
use crate::checks::Checks;
use crate::sockets::{bind, connect, listener, loopback, wait};

/// `invalid-state`, `not-in-progress` and `concurrency-conflict`, for each state.
pub fn wrong_states(checks: &mut Checks, family: IpAddressFamily) {
    let network = instance_network();
    let any = loopback(family, 0);
    let wrong = Some(ErrorCode::InvalidState);
    let idle = Some(ErrorCode::NotInProgress);
    let conflict = Some(ErrorCode::ConcurrencyConflict);

    let unbound = socket(family);
    for (name, code, expected) in [
        ("finish-bind", unbound.finish_bind().err(), idle),
        ("finish-listen", unbound.finish_listen().err(), idle),
        ("finish-connect", unbound.finish_connect().err(), idle),
        ("start-listen", unbound.start_listen().err(), wrong),
        ("accept", unbound.accept().err(), wrong),
        ("local-address", unbound.local_address().err(), wrong),
        ("remote-address", unbound.remote_address().err(), wrong),
        (
            "shutdown",
            unbound.shutdown(ShutdownType::Both).err(),
            wrong,
        ),
    ] {
        checks.eq(format!("{family:?}: unbound: {name}"), code, expected);
    }

    let binding = socket(family);
    checks.eq("start-bind", binding.start_bind(&network, any), OK);
    for (name, code, expected) in [
        (
            "start-bind",
            binding.start_bind(&network, any).err(),
            conflict,
        ),
        ("start-listen", binding.start_listen().err(), conflict),
        ("finish-listen", binding.finish_listen().err(), idle),
        ("finish-connect", binding.finish_connect().err(), idle),
        ("accept", binding.accept().err(), wrong),
        ("remote-address", binding.remote_address().err(), wrong),
        (
            "shutdown",
            binding.shutdown(ShutdownType::Send).err(),
            wrong,
        ),
    ] {
        checks.eq(
            format!("{family:?}: bind-in-progress: {name}"),
            code,
            expected,
        );
    }
    checks.eq(
        "finish-bind",
        wait(|| binding.subscribe(), || binding.finish_bind()),
        OK,
    );

    let bound = binding;
    for (name, code, expected) in [
        ("start-bind", bound.start_bind(&network, any).err(), wrong),
        ("finish-bind", bound.finish_bind().err(), idle),
        ("finish-listen", bound.finish_listen().err(), idle),
        ("finish-connect", bound.finish_connect().err(), idle),
        ("accept", bound.accept().err(), wrong),
        ("remote-address", bound.remote_address().err(), wrong),
        (
            "shutdown",
            bound.shutdown(ShutdownType::Receive).err(),
            wrong,
        ),
    ] {
        checks.eq(format!("{family:?}: bound: {name}"), code, expected);
    }

    let listening = listener(family);
    let address = listening.local_address().expect("an address");
    for (name, code, expected) in [
        (
            "start-bind",
            listening.start_bind(&network, any).err(),
            wrong,
        ),
        ("finish-bind", listening.finish_bind().err(), idle),
        ("start-listen", listening.start_listen().err(), wrong),
        ("finish-listen", listening.finish_listen().err(), idle),
        (
            "start-connect",
            listening.start_connect(&network, address).err(),
            wrong,
        ),
        ("finish-connect", listening.finish_connect().err(), idle),
        ("remote-address", listening.remote_address().err(), wrong),
        (
            "shutdown",
            listening.shutdown(ShutdownType::Both).err(),
            wrong,
        ),
    ] {
        checks.eq(format!("{family:?}: listening: {name}"), code, expected);
    }
    checks.that("a wrong call changes nothing", listening.is_listening());

    let connecting = socket(family);
    checks.eq(
        "start-connect",
        connecting.start_connect(&network, address),
        OK,
    );
    for (name, code, expected) in [
        ("start-listen", connecting.start_listen().err(), conflict),
        ("finish-bind", connecting.finish_bind().err(), idle),
        ("finish-listen", connecting.finish_listen().err(), idle),
        ("accept", connecting.accept().err(), wrong),
        (
            "shutdown",
            connecting.shutdown(ShutdownType::Both).err(),
            wrong,
        ),
        (
            "set-listen-backlog-size",
            connecting.set_listen_backlog_size(1).err(),
            wrong,
        ),
    ] {
        checks.eq(
            format!("{family:?}: connect-in-progress: {name}"),
            code,
            expected,
        );
    }
    let streams = wait(|| connecting.subscribe(), || connecting.finish_connect());
    checks.that("finish-connect", streams.is_ok());

    let connected = connecting;
    for (name, code, expected) in [
        (
            "start-bind",
            connected.start_bind(&network, any).err(),
            wrong,
        ),
        ("finish-bind", connected.finish_bind().err(), idle),
        ("start-listen", connected.start_listen().err(), wrong),
        ("finish-listen", connected.finish_listen().err(), idle),
        (
            "start-connect",
            connected.start_connect(&network, address).err(),
            wrong,
        ),
        ("finish-connect", connected.finish_connect().err(), idle),
        ("accept", connected.accept().err(), wrong),
        (
            "set-listen-backlog-size",
            connected.set_listen_backlog_size(1).err(),
            wrong,
        ),
    ] {
        checks.eq(format!("{family:?}: connected: {name}"), code, expected);
    }
}

/// `connection-refused`: somebody has the port, but does not listen.
pub fn refused(checks: &mut Checks, family: IpAddressFamily) {
    let idle = socket(family);
    bind(&idle, loopback(family, 0)).expect("to bind");
    let client = socket(family);
    let address = idle.local_address().expect("an address");
    checks.eq(
        format!("{family:?}: finish-connect: connection-refused"),
        connect(&client, address).err(),
        Some(ErrorCode::ConnectionRefused),
    );
    let network = instance_network();
    let closed = [
        (
            "start-bind",
            client.start_bind(&network, loopback(family, 0)).err(),
        ),
        (
            "start-connect",
            client.start_connect(&network, address).err(),
        ),
        ("start-listen", client.start_listen().err()),
        ("accept", client.accept().err()),
        ("local-address", client.local_address().err()),
        ("remote-address", client.remote_address().err()),
        ("shutdown", client.shutdown(ShutdownType::Both).err()),
    ];
    for (name, code) in closed {
        checks.eq(
            format!("{family:?}: closed: {name}"),
            code,
            Some(ErrorCode::InvalidState),
        );
    }
    checks.that("subscribe: closed", client.subscribe().ready());
    checks.eq("is-listening: closed", client.is_listening(), false);
}
