//! `wasi:sockets/network`, `instance-network` and `ip-name-lookup`.

use super::{FAMILIES, has, loopback, wait};
use crate::bindings::wasi::io::streams::StreamError;
use crate::bindings::wasi::sockets::instance_network::instance_network;
use crate::bindings::wasi::sockets::ip_name_lookup::resolve_addresses;
use crate::bindings::wasi::sockets::network::{
    ErrorCode, IpAddress, IpAddressFamily, network_error_code,
};
use crate::bindings::wasi::sockets::tcp_create_socket::create_tcp_socket;
use crate::checks::Checks;

pub fn run(checks: &mut Checks) {
    instances(checks);
    addresses(checks);
    names(checks);
    error_codes(checks);
}

/// Every handle is of the same network: a socket bound with one connects with another.
fn instances(checks: &mut Checks) {
    let listener = super::listener(IpAddressFamily::Ipv4);
    let socket = create_tcp_socket(IpAddressFamily::Ipv4).expect("a socket");
    let (one, two) = (instance_network(), instance_network());
    let started = socket.start_bind(&one, loopback(IpAddressFamily::Ipv4, 0));
    checks.eq("instance-network: to bind", started, Ok::<_, ()>(()));
    drop(one);
    let bound = wait(|| socket.subscribe(), || socket.finish_bind());
    checks.eq(
        "instance-network: outlives its handle",
        bound,
        Ok::<_, ()>(()),
    );
    let started = socket.start_connect(&two, listener.local_address().expect("an address"));
    checks.eq(
        "instance-network: another, to connect",
        started,
        Ok::<_, ()>(()),
    );
}

/// All that a name resolves to.
fn resolve(name: &str) -> Result<Vec<IpAddress>, ErrorCode> {
    let stream = resolve_addresses(&instance_network(), name)?;
    let mut all = Vec::new();
    while let Some(address) = wait(|| stream.subscribe(), || stream.resolve_next_address())? {
        all.push(address);
    }
    Ok(all)
}

fn addresses(checks: &mut Checks) {
    let v6 = |last| IpAddress::Ipv6((0, 0, 0, 0, 0, 0, 0, last));
    for (text, address) in [
        ("127.0.0.1", IpAddress::Ipv4((127, 0, 0, 1))),
        ("0.0.0.0", IpAddress::Ipv4((0, 0, 0, 0))),
        ("192.0.2.1", IpAddress::Ipv4((192, 0, 2, 1))),
        ("::", v6(0)),
        ("::1", v6(1)),
        ("[::1]", v6(1)),
        (
            "2001:DB8::1",
            IpAddress::Ipv6((0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        ),
        // No IPv4-mapped address is ever returned.
        ("::ffff:192.0.2.1", IpAddress::Ipv4((192, 0, 2, 1))),
    ] {
        let got = resolve(text);
        checks.eq(
            format!("resolve-addresses: {text}"),
            got,
            Ok::<_, ()>([address]),
        );
    }
    let stream = resolve_addresses(&instance_network(), "127.0.0.1").expect("an address");
    let ready = stream.subscribe();
    ready.block();
    checks.that("resolve-address-stream.subscribe", ready.ready());
    drop(ready);
    let next = || stream.resolve_next_address().map(|it| it.is_some());
    checks.eq(
        "resolve-next-address: none after the last, again and again",
        [next(), next(), next()],
        [Ok::<_, ()>(true), Ok(false), Ok(false)],
    );
}

fn names(checks: &mut Checks) {
    for name in ["localhost", "LocalHost", "localhost."] {
        let found = resolve(name).unwrap_or_default();
        checks.that(
            format!("resolve-addresses: {name}"),
            !found.is_empty() && found.iter().all(is_loopback),
        );
    }
    // The host answers these, whatever the network.
    for (name, code) in [
        ("unresolvable.example", ErrorCode::NameUnresolvable),
        ("temporary.example", ErrorCode::TemporaryResolverFailure),
        ("permanent.example", ErrorCode::PermanentResolverFailure),
        ("denied.example", ErrorCode::AccessDenied),
    ] {
        checks.eq(
            format!("resolve-addresses: {name}"),
            resolve(name).err(),
            Some(code),
        );
    }
    let slow = resolve_addresses(&instance_network(), "slow.example").expect("a lookup");
    checks.eq(
        "resolve-next-address: would-block",
        slow.resolve_next_address().err(),
        Some(ErrorCode::WouldBlock),
    );
    let ready = slow.subscribe();
    ready.block();
    drop(ready);
    let next = slow.resolve_next_address();
    checks.eq(
        "resolve-next-address: after that",
        next,
        Ok::<_, ()>(Some(IpAddress::Ipv4((127, 0, 0, 2)))),
    );

    let long = "a".repeat(64);
    let longer = [
        "a".repeat(60),
        "b".repeat(60),
        "c".repeat(60),
        "d".repeat(60),
        "e".repeat(20),
    ]
    .join(".");
    let longest = "a".repeat(1 << 20);
    for name in [
        "",
        ".",
        "a..b",
        " ",
        "a b",
        "a.b<&>",
        "http://localhost/",
        "localhost:80",
        "a/b",
        "[::1",
        "[127.0.0.1]",
        "127.0.0.256",
        "1.2.3",
        "::1::",
        "a\0b",
        "-",
        &long,
        &longer,
        &longest,
    ] {
        checks.eq(
            format!("resolve-addresses: {:.20?}", name),
            resolve(name).err(),
            Some(ErrorCode::InvalidArgument),
        );
    }
}

fn is_loopback(address: &IpAddress) -> bool {
    match address {
        IpAddress::Ipv4(address) => address.0 == 127,
        IpAddress::Ipv6(address) => *address == (0, 0, 0, 0, 0, 0, 0, 1),
    }
}

/// A connection that is reset tells its stream, once.
fn error_codes(checks: &mut Checks) {
    for family in FAMILIES.into_iter().filter(|family| has(*family)) {
        let listener = super::listener(family);
        let client = create_tcp_socket(family).expect("a socket");
        let address = listener.local_address().expect("an address");
        let (input, output) = super::connect(&client, address).expect("to connect");
        output
            .blocking_write_and_flush(b"unread")
            .expect("to write");
        let (socket, theirs, their_output) = super::accept(&listener).expect("to accept");
        theirs.subscribe().block();
        // The output last: dropped before the others it would end the connection in order.
        drop((socket, theirs, their_output));
        let failed = input.blocking_read(1);
        let Err(StreamError::LastOperationFailed(error)) = failed else {
            checks.eq(
                format!("{family:?}: a reset connection"),
                failed.map_err(drop),
                Err::<(), _>("last-operation-failed"),
            );
            continue;
        };
        checks.eq(
            format!("network-error-code: {family:?}: connection-reset"),
            network_error_code(&error),
            Some(ErrorCode::ConnectionReset),
        );
        checks.that("error.to-debug-string", !error.to_debug_string().is_empty());
        let again = input.blocking_read(1);
        checks.that(
            "a stream that failed is closed",
            matches!(again, Err(StreamError::Closed)),
        );
        drop(output);
    }
}
