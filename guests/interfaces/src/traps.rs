//! What the text makes a trap. Each ends the instance, so each is a run of its own: what comes
//! back from it is told on standard error, and is wrong.

use crate::bindings::wasi::clocks::monotonic_clock::subscribe_duration;
use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, OutgoingResponse,
};
use crate::bindings::wasi::io::poll::poll;
use crate::bindings::wasi::sockets::instance_network::instance_network;
use crate::bindings::wasi::sockets::network::IpAddressFamily::Ipv4;
use crate::bindings::wasi::sockets::udp::{
    IncomingDatagramStream, OutgoingDatagram, OutgoingDatagramStream, UdpSocket,
};
use crate::bindings::wasi::sockets::udp_create_socket::create_udp_socket;
use crate::http::{request, wait};
use crate::sockets::{loopback, pair};

pub fn run(name: &str) {
    match name {
        // `poll` "traps if the list is empty".
        "poll-nothing" => drop(poll(&[])),
        // "Calling `write` with more bytes than this function has permitted will trap."
        "write-unchecked" => drop(pair().0.output.write(b"x")),
        "write-more" => {
            let (here, _there) = pair();
            let permit = here.output.check_write().expect("a permit");
            drop(here.output.write(&vec![0; permit as usize + 1]));
        }
        "write-twice" => {
            let (here, _there) = pair();
            let permit = here.output.check_write().expect("a permit");
            here.output
                .write(&vec![0; permit as usize])
                .expect("to write");
            drop(here.output.write(b"x"));
        }
        "write-flushed" => {
            let (here, _there) = pair();
            here.output.check_write().expect("a permit");
            here.output.flush().expect("to flush");
            drop(here.output.write(b"x"));
        }
        "write-zeroes-unchecked" => drop(pair().0.output.write_zeroes(1)),
        "write-zeroes-more" => {
            let (here, _there) = pair();
            here.output.check_write().expect("a permit");
            drop(here.output.write_zeroes(u64::MAX));
        }
        // "Perform a write of up to 4096 bytes".
        "blocking-write-more" => {
            drop(pair().0.output.blocking_write_and_flush(&[0; 4097]));
        }
        "blocking-write-zeroes-more" => {
            drop(pair().0.output.blocking_write_zeroes_and_flush(4097));
        }
        // "Each call to `send` must be permitted by a preceding `check-send`. Implementations
        // must trap if either `check-send` was not called or `datagrams` contains more items
        // than `check-send` permitted."
        "send-unchecked" => {
            let _ = udp().0.send(&[datagram()]);
        }
        "send-more" => {
            let (output, _input, _socket) = udp();
            let permit = output.check_send().expect("a permit");
            let datagrams: Vec<_> = (0..=permit).map(|_| datagram()).collect();
            let _ = output.send(&datagrams);
        }
        "send-twice" => {
            let (output, _input, _socket) = udp();
            output.check_send().expect("a permit");
            output.send(&[datagram()]).expect("to send");
            // "Each call".
            let _ = output.send(&[datagram()]);
        }
        // "... the `outgoing-body` drop or `finish` will trap."
        "finish-with-its-stream" => {
            let body = OutgoingResponse::new(Fields::new()).body().expect("a body");
            let stream = body.write().expect("a stream");
            drop(OutgoingBody::finish(body, None));
            drop(stream);
        }
        "drop-body-with-its-stream" => {
            let body = OutgoingResponse::new(Fields::new()).body().expect("a body");
            let stream = body.write().expect("a stream");
            drop(body);
            drop(stream);
        }
        // "It must be dropped before the parent."
        "drop-request-with-its-headers" => {
            let request = OutgoingRequest::new(Fields::new());
            let headers = request.headers();
            drop(request);
            drop(headers);
        }
        "drop-response-with-its-headers" => {
            let response = OutgoingResponse::new(Fields::new());
            let headers = response.headers();
            drop(response);
            drop(headers);
        }
        "drop-incoming-with-its-headers" => {
            let response = get();
            let headers = response.headers();
            drop(response);
            drop(headers);
        }
        // "This function will trap if the `input-stream` child is still alive."
        "finish-incoming-with-its-stream" => {
            let body = get().consume().expect("a body");
            let stream = body.stream().expect("a stream");
            drop(IncomingBody::finish(body));
            drop(stream);
        }
        // What the text lets a host trap on, and this one does.
        "drop-input-with-its-pollable" => {
            let (here, _there) = pair();
            let pollable = here.input.subscribe();
            drop(here.input);
            drop(pollable);
        }
        "drop-output-with-its-pollable" => {
            let (here, _there) = pair();
            let pollable = here.output.subscribe();
            drop(here.output);
            drop(pollable);
        }
        // Must not trap, so that a wrong name is seen.
        "none" => subscribe_duration(0).block(),
        other => eprintln!("interfaces: no trap `{other}`"),
    }
    eprintln!("FAILED trap {name}: expected a trap, got none");
}

fn udp() -> (OutgoingDatagramStream, IncomingDatagramStream, UdpSocket) {
    let socket = create_udp_socket(Ipv4).expect("a socket");
    let started = socket.start_bind(&instance_network(), loopback(Ipv4, 0));
    started.expect("to bind");
    crate::sockets::wait(|| socket.subscribe(), || socket.finish_bind()).expect("to bind");
    let own = socket.local_address().expect("an address");
    let (input, output) = socket.stream(Some(own)).expect("streams");
    (output, input, socket)
}

fn datagram() -> OutgoingDatagram {
    OutgoingDatagram {
        data: b"x".to_vec(),
        remote_address: None,
    }
}

fn get() -> crate::bindings::wasi::http::types::IncomingResponse {
    let request = request(Method::Get, "/echo", Fields::new());
    let future = outgoing_handler::handle(request, None).expect("a response to come");
    wait(&future).expect("a response")
}
