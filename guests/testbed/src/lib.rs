//! What the host is tested against: a proxy component whose routes misbehave, each in a
//! way of its own. The README lists them.

#![cfg(target_arch = "wasm32")]

mod body;
mod hold;
mod http;
mod memory;
mod request;
mod response;

mod bindings {
    wit_bindgen::generate!({
        path: [
            "../wit/io",
            "../wit/clocks",
            "../wit/random",
            "../wit/filesystem",
            "../wit/sockets",
            "../wit/cli",
            "../wit/http",
            "wit",
        ],
        world: "agave:testbed/testbed",
        generate_all,
    });
    export!(Testbed);

    use super::Testbed;
}

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::cli::exit::{exit, exit_with_code};
use bindings::wasi::clocks::monotonic_clock::{now, subscribe_duration};
use bindings::wasi::http::types::{ErrorCode, IncomingRequest, ResponseOutparam};
use request::Request;
use response::{Reply, text};
use std::fmt::Write as _;

struct Testbed;

impl Guest for Testbed {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let request = Request::new(request);
        match request.path.as_str() {
            "/status" => status(&request, out),
            "/headers" => http::headers(&request, out),
            "/env" => env(out),
            "/stdout" => stdout(out),
            "/stdin" => body::stdin(out),
            "/exit" => exit_with(&request),
            "/spin" => spin(),
            "/trap" => core::arch::wasm32::unreachable(),
            "/panic" => panic!("asked to panic"),
            "/noresponse" => (),
            "/error" => ResponseOutparam::set(out, Err(ErrorCode::LoopDetected)),
            "/after" => after(&request, out),
            "/sleep" => sleep(&request, out),
            "/compute" => compute(&request, out),
            "/echo" => body::echo(request, out),
            "/bytes" => body::bytes(&request, out),
            "/drip" => body::drip(&request, out),
            "/truncate" => body::truncate(&request, out),
            "/length" => body::length(&request, out),
            "/overrun" => body::overrun(out),
            "/proxy" => http::proxy(request, out),
            "/hugeheaders" => http::huge_headers(&request, out),
            "/badheaders" => http::bad_headers(out),
            "/memory" => memory::fill(out),
            "/memory/scan" => memory::scan(&request, out),
            "/grow" => memory::grow(&request, out),
            "/biglist" => hold::big_list(&request, out),
            "/handles" => hold::handles(&request, out),
            "/poll" => hold::poll_many(&request, out),
            "/sockets" => hold::sockets(&request, out),
            _ => text(out, 404, "no such route\n"),
        }
    }
}

fn status(request: &Request, out: ResponseOutparam) {
    let code = request.number("code", 200) as u16;
    match Reply::new().status(code) {
        Some(reply) => reply.text(out, "status\n"),
        None => text(out, 500, "status refused\n"),
    }
}

fn env(out: ResponseOutparam) {
    let mut lines = String::new();
    for argument in std::env::args() {
        writeln!(lines, "arg {argument}").unwrap();
    }
    for (key, value) in std::env::vars() {
        writeln!(lines, "env {key}={value}").unwrap();
    }
    text(out, 200, &lines);
}

fn stdout(out: ResponseOutparam) {
    println!("testbed stdout 1");
    eprintln!("testbed stderr 1");
    println!("testbed stdout 2");
    eprint!("testbed stderr 2, no newline");
    text(out, 200, "printed\n");
}

fn exit_with(request: &Request) {
    match request.number("code", 0) {
        // The older function for the two statuses that it knows.
        0 => exit(Ok(())),
        1 => exit(Err(())),
        code => exit_with_code(code as u8),
    }
}

fn spin() {
    let mut turns = 0u64;
    loop {
        turns = std::hint::black_box(turns.wrapping_add(1));
    }
}

fn after(request: &Request, out: ResponseOutparam) {
    text(out, 200, "answered\n");
    pause(request.number("ms", 100));
    eprintln!("testbed after done");
}

fn sleep(request: &Request, out: ResponseOutparam) {
    pause(request.number("ms", 100));
    text(out, 200, "slept\n");
}

fn compute(request: &Request, out: ResponseOutparam) {
    let ms = request.number("ms", 100);
    let end = now() + ms * 1_000_000;
    let mut turns = 0u64;
    while now() < end {
        // Long enough that the time is spent here and not in asking the time.
        for _ in 0..100_000 {
            turns = std::hint::black_box(turns.wrapping_add(1));
        }
    }
    text(out, 200, "computed\n");
}

fn pause(ms: u64) {
    subscribe_duration(ms * 1_000_000).block();
}
