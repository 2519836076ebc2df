//! Every error code that the text lists, from backends that answer with the one they are asked
//! for: that each reaches the guest as itself, by each of its ways.

use crate::bindings::wasi::filesystem::preopens::get_directories;
use crate::bindings::wasi::filesystem::types::{
    Descriptor, DescriptorFlags, OpenFlags, PathFlags, filesystem_error_code,
};
use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    DnsErrorPayload, ErrorCode, FieldSizePayload, Fields, Method, TlsAlertReceivedPayload,
};
use crate::bindings::wasi::io::streams::StreamError;
use crate::bindings::wasi::sockets::instance_network::instance_network;
use crate::bindings::wasi::sockets::ip_name_lookup::resolve_addresses;
use crate::bindings::wasi::sockets::network::{IpAddressFamily::Ipv4, network_error_code};
use crate::bindings::wasi::sockets::tcp_create_socket::create_tcp_socket;
use crate::bindings::wasi::sockets::udp::OutgoingDatagram;
use crate::bindings::wasi::sockets::udp_create_socket::create_udp_socket;
use crate::checks::Checks;
use crate::http::{Answer, request, wait as wait_for};
use crate::sockets::{accept, bind, connect, listen, loopback, wait};

pub fn run(checks: &mut Checks) {
    filesystem(checks);
    sockets(checks);
    http(checks);
}

const FILESYSTEM: [&str; 37] = [
    "access",
    "would-block",
    "already",
    "bad-descriptor",
    "busy",
    "deadlock",
    "quota",
    "exist",
    "file-too-large",
    "illegal-byte-sequence",
    "in-progress",
    "interrupted",
    "invalid",
    "io",
    "is-directory",
    "loop",
    "too-many-links",
    "message-size",
    "name-too-long",
    "no-device",
    "no-entry",
    "no-lock",
    "insufficient-memory",
    "insufficient-space",
    "not-directory",
    "not-empty",
    "not-recoverable",
    "unsupported",
    "no-tty",
    "no-such-device",
    "overflow",
    "not-permitted",
    "pipe",
    "read-only",
    "invalid-seek",
    "text-file-busy",
    "cross-device",
];

/// The preopen answers to a path with the code of that name. `file` is there, and answers to
/// an offset that is a number of the list above with that code.
fn filesystem(checks: &mut Checks) {
    let preopens = get_directories();
    let dir = &preopens[0].0;
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let none = OpenFlags::empty();
    let file = dir
        .open_at(PathFlags::empty(), "file", none, flags)
        .expect("a file");
    for (offset, name) in (0..).zip(FILESYSTEM) {
        type Call = fn(&Descriptor, &str) -> Option<&'static str>;
        let calls: [(&str, Call); 5] = [
            ("open-at", |dir, path| {
                let opened = dir.open_at(
                    PathFlags::empty(),
                    path,
                    OpenFlags::empty(),
                    DescriptorFlags::READ,
                );
                opened.err().map(|code| code.name())
            }),
            ("stat-at", |dir, path| {
                Some(dir.stat_at(PathFlags::empty(), path).err()?.name())
            }),
            ("readlink-at", |dir, path| {
                Some(dir.readlink_at(path).err()?.name())
            }),
            ("create-directory-at", |dir, path| {
                Some(dir.create_directory_at(path).err()?.name())
            }),
            ("unlink-file-at", |dir, path| {
                Some(dir.unlink_file_at(path).err()?.name())
            }),
        ];
        for (function, call) in calls {
            checks.eq(format!("{function}: {name}"), call(dir, name), Some(name));
        }
        let code = file.read(1, offset).err().map(|code| code.name());
        checks.eq(format!("read: {name}"), code, Some(name));
        let code = file.write(b"x", offset).err().map(|code| code.name());
        checks.eq(format!("write: {name}"), code, Some(name));

        let input = file.read_via_stream(offset).expect("a stream");
        checks.eq(
            format!("input-stream: {name}"),
            of_file(input.blocking_read(1)),
            Some(name),
        );
        let output = file.write_via_stream(offset).expect("a stream");
        let written = output.blocking_write_and_flush(b"x");
        checks.eq(
            format!("output-stream: {name}"),
            of_file(written),
            Some(name),
        );
    }
}

fn of_file<T>(result: Result<T, StreamError>) -> Option<&'static str> {
    match result {
        Err(StreamError::LastOperationFailed(error)) => {
            filesystem_error_code(&error).map(|code| code.name())
        }
        _ => None,
    }
}

/// Not those that tell of the calls themselves, which no network gives: would-block and
/// not-in-progress.
const SOCKETS: [&str; 19] = [
    "unknown",
    "access-denied",
    "not-supported",
    "invalid-argument",
    "out-of-memory",
    "timeout",
    "concurrency-conflict",
    "invalid-state",
    "new-socket-limit",
    "address-not-bindable",
    "address-in-use",
    "remote-unreachable",
    "connection-refused",
    "connection-reset",
    "connection-aborted",
    "datagram-too-large",
    "name-unresolvable",
    "temporary-resolver-failure",
    "permanent-resolver-failure",
];

/// The network answers with the code of the port's place in the list above:
/// - 1000 and up: to a bind or connect,
/// - 2000 and up: to a listen, or to what is read or written once connected there,
/// - 3000 and up: to an accept, or to what is received by who is bound there,
///
/// and to a name with the code of that name.
fn sockets(checks: &mut Checks) {
    let network = instance_network();
    for (n, name) in (0..).zip(SOCKETS) {
        let at = |port: u16| loopback(Ipv4, port + n);
        let tcp = || create_tcp_socket(Ipv4).expect("a socket");
        let udp = || create_udp_socket(Ipv4).expect("a socket");
        let bind_udp = |port: u16| {
            let socket = udp();
            let started = socket.start_bind(&network, at(port));
            started.and_then(|()| wait(|| socket.subscribe(), || socket.finish_bind()))?;
            Ok(socket)
        };
        let bound = tcp();
        let listening = tcp();
        let accepting = tcp();
        let any = bind_udp(4000).expect("to bind");
        let stream = any.stream(None).expect("streams").1;
        let sends = || {
            stream.check_send()?;
            stream.send(&[OutgoingDatagram {
                data: b"x".to_vec(),
                remote_address: Some(at(1000)),
            }])
        };
        let looked_up = || {
            let found = resolve_addresses(&network, &format!("{name}.example"))?;
            wait(|| found.subscribe(), || found.resolve_next_address())
        };
        let receives = || bind_udp(3000)?.stream(None)?.0.receive(1);
        for (function, code) in [
            ("tcp: finish-bind", bind(&bound, at(1000)).err()),
            ("tcp: finish-connect", connect(&tcp(), at(1000)).err()),
            (
                "tcp: finish-listen",
                bind(&listening, at(2000))
                    .and_then(|()| listen(&listening))
                    .err(),
            ),
            (
                "tcp: accept",
                bind(&accepting, at(3000))
                    .and_then(|()| listen(&accepting))
                    .and_then(|()| accept(&accepting).map(drop))
                    .err(),
            ),
            ("udp: finish-bind", bind_udp(1000).err()),
            ("udp: send", sends().err()),
            ("udp: stream", any.stream(Some(at(2000))).err()),
            ("udp: receive", receives().err()),
            ("resolve-next-address", looked_up().err()),
        ] {
            checks.eq(
                format!("{function}: {name}"),
                code.map(|code| code.name()),
                Some(name),
            );
        }

        let socket = tcp();
        let (input, output) = connect(&socket, at(2000)).expect("to connect");
        checks.eq(
            format!("input-stream: {name}"),
            of_socket(input.blocking_read(1)),
            Some(name),
        );
        let written = output.blocking_write_and_flush(b"x");
        checks.eq(
            format!("output-stream: {name}"),
            of_socket(written),
            Some(name),
        );
    }
}

fn of_socket<T>(result: Result<T, StreamError>) -> Option<&'static str> {
    match result {
        Err(StreamError::LastOperationFailed(error)) => {
            network_error_code(&error).map(|code| code.name())
        }
        _ => None,
    }
}

/// The client answers to `/at-once/N`, `/later/N` and `/body/N` with the code of that place:
/// before `handle` returns, instead of a response, and instead of its content.
fn http(checks: &mut Checks) {
    let size = || FieldSizePayload {
        field_name: Some("x-name".into()),
        field_size: Some(7),
    };
    let codes = [
        ErrorCode::DnsTimeout,
        ErrorCode::DnsError(DnsErrorPayload {
            rcode: Some("SERVFAIL".into()),
            info_code: Some(2),
        }),
        ErrorCode::DestinationNotFound,
        ErrorCode::DestinationUnavailable,
        ErrorCode::DestinationIpProhibited,
        ErrorCode::DestinationIpUnroutable,
        ErrorCode::ConnectionRefused,
        ErrorCode::ConnectionTerminated,
        ErrorCode::ConnectionTimeout,
        ErrorCode::ConnectionReadTimeout,
        ErrorCode::ConnectionWriteTimeout,
        ErrorCode::ConnectionLimitReached,
        ErrorCode::TlsProtocolError,
        ErrorCode::TlsCertificateError,
        ErrorCode::TlsAlertReceived(TlsAlertReceivedPayload {
            alert_id: Some(40),
            alert_message: Some("handshake failure".into()),
        }),
        ErrorCode::HttpRequestDenied,
        ErrorCode::HttpRequestLengthRequired,
        ErrorCode::HttpRequestBodySize(Some(1 << 40)),
        ErrorCode::HttpRequestMethodInvalid,
        ErrorCode::HttpRequestUriInvalid,
        ErrorCode::HttpRequestUriTooLong,
        ErrorCode::HttpRequestHeaderSectionSize(Some(1)),
        ErrorCode::HttpRequestHeaderSize(Some(size())),
        ErrorCode::HttpRequestTrailerSectionSize(None),
        ErrorCode::HttpRequestTrailerSize(size()),
        ErrorCode::HttpResponseIncomplete,
        ErrorCode::HttpResponseHeaderSectionSize(Some(1)),
        ErrorCode::HttpResponseHeaderSize(size()),
        ErrorCode::HttpResponseBodySize(None),
        ErrorCode::HttpResponseTrailerSectionSize(Some(1)),
        ErrorCode::HttpResponseTrailerSize(size()),
        ErrorCode::HttpResponseTransferCoding(Some("x".into())),
        ErrorCode::HttpResponseContentCoding(None),
        ErrorCode::HttpResponseTimeout,
        ErrorCode::HttpUpgradeFailed,
        ErrorCode::HttpProtocolError,
        ErrorCode::LoopDetected,
        ErrorCode::ConfigurationError,
        ErrorCode::InternalError(Some("of the test".into())),
    ];
    for (n, code) in codes.iter().enumerate() {
        let handle = |way: &str| {
            let request = request(Method::Get, &format!("/{way}/{n}"), Fields::new());
            outgoing_handler::handle(request, None)
        };
        checks.eq("handle: at once", handle("at-once").err(), Some(code));
        let later = handle("later").expect("a response to come");
        checks.eq(
            "future-incoming-response.get",
            wait_for(&later).err(),
            Some(code),
        );
        let body = handle("body").expect("a response to come");
        let answer = Answer::read(wait_for(&body).expect("a response"));
        checks.eq("http-error-code", answer.error, Some(code));
        checks.eq("future-trailers.get", answer.trailers.err(), Some(code));
    }
}
