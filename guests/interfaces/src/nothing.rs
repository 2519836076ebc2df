//! What a guest gets that was granted nothing: the refusal of each interface, and no trap.

use crate::bindings::wasi::cli::environment;
use crate::bindings::wasi::cli::stdin::get_stdin;
use crate::bindings::wasi::cli::terminal_stdin::get_terminal_stdin;
use crate::bindings::wasi::cli::terminal_stdout::get_terminal_stdout;
use crate::bindings::wasi::filesystem::preopens::get_directories;
use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types;
use crate::bindings::wasi::io::streams::StreamError;
use crate::bindings::wasi::sockets::instance_network::instance_network;
use crate::bindings::wasi::sockets::ip_name_lookup::resolve_addresses;
use crate::bindings::wasi::sockets::network::ErrorCode;
use crate::bindings::wasi::sockets::tcp_create_socket::create_tcp_socket;
use crate::bindings::wasi::sockets::udp_create_socket::create_udp_socket;
use crate::checks::Checks;
use crate::sockets::{FAMILIES, bind, connect, loopback, wait};

pub fn run(checks: &mut Checks) {
    checks.eq("get-directories: none", get_directories().len(), 0);
    checks.eq(
        "get-environment: none",
        environment::get_environment().len(),
        0,
    );
    checks.eq("initial-cwd: none", environment::initial_cwd(), None::<()>);
    let end = get_stdin().blocking_read(1);
    checks.that(
        "get-stdin: the end",
        matches!(end, Err(StreamError::Closed)),
    );
    checks.that("get-terminal-stdin: none", get_terminal_stdin().is_none());
    checks.that("get-terminal-stdout: none", get_terminal_stdout().is_none());

    let denied = Some(ErrorCode::AccessDenied);
    for family in FAMILIES {
        // At the latest when it would reach somebody.
        let bound = create_tcp_socket(family).and_then(|it| bind(&it, loopback(family, 0)));
        checks.eq("tcp: bind", bound.err(), denied);
        let connected =
            create_tcp_socket(family).and_then(|it| connect(&it, loopback(family, 9)).map(drop));
        checks.eq("tcp: connect", connected.err(), denied);
        let bound = create_udp_socket(family).and_then(|it| {
            it.start_bind(&instance_network(), loopback(family, 0))?;
            wait(|| it.subscribe(), || it.finish_bind())
        });
        checks.eq("udp: bind", bound.err(), denied);
    }
    let found = resolve_addresses(&instance_network(), "localhost")
        .and_then(|it| wait(|| it.subscribe(), || it.resolve_next_address()).map(drop));
    checks.eq("resolve-addresses", found.err(), denied);

    let request = types::OutgoingRequest::new(types::Fields::new());
    request
        .set_scheme(Some(&types::Scheme::Http))
        .expect("a scheme");
    request
        .set_authority(Some("127.0.0.1:9"))
        .expect("an authority");
    let response = outgoing_handler::handle(request, None);
    let code = response.and_then(|future| crate::http::wait(&future)).err();
    checks.eq("handle", code, Some(types::ErrorCode::HttpRequestDenied));
}
