//! `wasi:sockets/ip-name-lookup`.

use crate::bindings::wasi::sockets::ip_name_lookup::{ErrorCode, resolve_addresses};
use crate::bindings::wasi::sockets::types::IpAddress;
use crate::checks::Checks;

/// The host has a network of which `localhost` is a name, and answers `*.example` as here.
pub async fn run(checks: &mut Checks) {
    let v6 = |last| IpAddress::Ipv6((0, 0, 0, 0, 0, 0, 0, last));
    for (text, address) in [
        ("127.0.0.1", IpAddress::Ipv4((127, 0, 0, 1))),
        ("192.0.2.1", IpAddress::Ipv4((192, 0, 2, 1))),
        ("::", v6(0)),
        ("::1", v6(1)),
    ] {
        let got = resolve_addresses(text.into()).await;
        checks.eq(
            format!("resolve-addresses: {text}"),
            got,
            Ok::<_, ()>([address]),
        );
    }
    let found = resolve_addresses("localhost".into())
        .await
        .unwrap_or_default();
    checks.that(
        "resolve-addresses: localhost",
        !found.is_empty()
            && found.iter().all(|it| {
                matches!(it, IpAddress::Ipv4((127, ..)))
                    || matches!(it, IpAddress::Ipv6((0, 0, 0, 0, 0, 0, 0, 1)))
            }),
    );
    for (name, code) in [
        ("unresolvable.example", ErrorCode::NameUnresolvable),
        ("temporary.example", ErrorCode::TemporaryResolverFailure),
        ("permanent.example", ErrorCode::PermanentResolverFailure),
        ("denied.example", ErrorCode::AccessDenied),
        ("", ErrorCode::InvalidArgument),
        ("a b", ErrorCode::InvalidArgument),
        ("localhost:80", ErrorCode::InvalidArgument),
        ("http://localhost/", ErrorCode::InvalidArgument),
        ("a..b", ErrorCode::InvalidArgument),
    ] {
        let got = resolve_addresses(name.into()).await;
        checks.eq(format!("resolve-addresses: {name}"), got.err(), Some(code));
    }
    let slow = resolve_addresses("slow.example".into()).await;
    checks.eq(
        "resolve-addresses: slow.example",
        slow,
        Ok::<_, ()>([IpAddress::Ipv4((127, 0, 0, 2))]),
    );
}
