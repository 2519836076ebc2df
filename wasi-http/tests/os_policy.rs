//! What a guest's policy permits of the client on this machine, against peers on loopback.
#![cfg(feature = "std")]

mod os_support;

use os_support::*;
use std::sync::Mutex;
use std::sync::mpsc::channel;
use wasi_http::{Client, ErrorCode, Fields, Method, RequestOptions, Response, Scheme, memory};
use wasi_sockets::NetworkPolicy;

const DENIED: Result<u16, ErrorCode> = Err(ErrorCode::HttpRequestDenied);

/// Answers requests until the client closes.
fn peer() -> Peer {
    Peer::new(|mut connection, _| {
        while connection.head().is_some() {
            connection.send("HTTP/1.1 204 No Content\r\n\r\n");
        }
    })
}

fn policy(rules: &[&str]) -> NetworkPolicy {
    let rules = rules.iter().map(|rule| rule.parse().unwrap());
    rules.fold(NetworkPolicy::new(), NetworkPolicy::allow)
}

#[test]
fn a_request_goes_where_its_host_and_its_address_are_granted() {
    let peer = peer();
    let port = peer.address.port();
    let other = port ^ 1;
    for (host, rules, granted, told) in [
        ("localhost", &["localhost:P"][..], true, ""),
        ("LocalHost", &["localhost"], true, ""),
        ("localhost", &["*", "127.0.0.1:P"], true, ""),
        ("127.0.0.1", &["127.0.0.0/8"], true, ""),
        ("127.0.0.1", &["connect:127.0.0.1:P"], true, ""),
        ("localhost", &[], false, "no rule allows it"),
        ("localhost", &["localhost:Q"], false, "no rule allows it"),
        ("localhost", &["udp:localhost"], false, "no rule allows it"),
        ("localhost", &["127.0.0.1"], false, "no rule allows it"),
        ("127.0.0.1", &["localhost"], false, "no rule allows it"),
        ("127.1", &["127.0.0.1", "*"], false, "no rule allows it"),
        ("127.0.0.1", &["*"], false, "`*` does not cover"),
        // Refused when it has been looked up.
        ("localhost", &["*"], false, "`*` does not cover"),
    ] {
        let rules: Vec<_> = rules
            .iter()
            .map(|rule| rule.replace('P', &port.to_string()))
            .map(|rule| rule.replace('Q', &other.to_string()))
            .collect();
        let rules: Vec<_> = rules.iter().map(String::as_str).collect();
        let (ctx, refusals) = policed(client(), policy(&rules));
        let before = peer.accepted();
        let status = fetch(&ctx, Some(Scheme::Http), &format!("{host}:{port}"));
        let refusals = refusals.lock().unwrap();
        match granted {
            true => {
                assert_eq!(status, Ok(204), "{host} {rules:?}");
                assert!(refusals.is_empty(), "{refusals:?}");
            }
            false => {
                assert_eq!(status, DENIED, "{host} {rules:?}");
                assert_eq!(peer.accepted(), before, "{host} {rules:?}");
                let [refusal] = &refusals[..] else {
                    panic!("{host} {rules:?}: {refusals:?}");
                };
                assert!(refusal.contains(told), "{refusal}");
            }
        }
    }
}

#[test]
fn a_denied_address_is_not_dialled_by_its_name() {
    let peer = peer();
    let rules = NetworkPolicy::new()
        .deny("127.0.0.0/8".parse().unwrap())
        .deny("::1".parse().unwrap())
        .allow("localhost".parse().unwrap());
    let (ctx, refusals) = policed(client(), rules);
    let authority = format!("localhost:{}", peer.address.port());
    assert_eq!(fetch(&ctx, Some(Scheme::Http), &authority), DENIED);
    let refusals = refusals.lock().unwrap();
    assert!(
        refusals[0].starts_with(&format!("request to {authority} (")),
        "{refusals:?}"
    );
    assert_eq!((refusals.len(), peer.accepted()), (1, 0));
}

#[test]
fn a_kept_connection_is_not_for_who_may_not_go_there() {
    let peer = peer();
    let authority = format!("localhost:{}", peer.address.port());
    // With one at most, a request waits for the other's connection.
    let client = builder().max_connections(1).build().unwrap();
    let (one, _) = policed(client.clone(), policy(&["localhost"]));
    let (many, refusals) = policed(client, policy(&["*"]));
    for _ in 0..3 {
        assert_eq!(fetch(&one, Some(Scheme::Http), &authority), Ok(204));
        assert_eq!(fetch(&one, Some(Scheme::Http), &authority), Ok(204));
        assert_eq!(fetch(&many, Some(Scheme::Http), &authority), DENIED);
    }
    assert_eq!(refusals.lock().unwrap().len(), 3);
    // Who waited for nothing had it closed; two requests each went over one.
    assert_eq!(peer.accepted(), 3);
}

#[test]
fn of_a_name_s_addresses_only_those_that_are_permitted_are_dialled() {
    // Whether it has `::1` as well or not, where nobody listens.
    let peer = peer();
    let rules = NetworkPolicy::new()
        .deny("127.0.0.0/8".parse().unwrap())
        .allow("localhost".parse().unwrap());
    let (ctx, _) = policed(client(), rules);
    let authority = format!("localhost:{}", peer.address.port());
    assert!(fetch(&ctx, Some(Scheme::Http), &authority).is_err());
    assert_eq!(peer.accepted(), 0);
}

#[test]
fn a_connection_is_not_handed_to_who_waits_and_may_not_go_there() {
    let (finish, finished) = channel();
    let finished = Mutex::new(finished);
    let peer = Peer::new(move |mut connection, _| {
        connection.head();
        connection.send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nha");
        finished.lock().unwrap().recv().unwrap();
        connection.send("lf");
        while connection.head().is_some() {
            connection.send("HTTP/1.1 204 No Content\r\n\r\n");
        }
    });
    let authority = format!("localhost:{}", peer.address.port());
    let client = builder().max_connections(1).build().unwrap();
    let (one, many) = (policy(&["localhost"]), policy(&["*"]));
    let request = |policy: &NetworkPolicy| {
        let mut request = request(Method::Get, &authority, "/", Parts::none());
        let grant = policy.request("localhost", peer.address.port());
        request.grant = Some(grant.unwrap());
        request
    };
    let first = send(&client, request(&one)).unwrap();
    let waits = client.send(request(&many), RequestOptions::default());
    // Who comes later gives up first: by then the other waits.
    let soon = RequestOptions {
        connect_timeout: Some(50_000_000),
        ..RequestOptions::default()
    };
    let gave_up = pollster::block_on(client.send(request(&one), soon)).err();
    assert_eq!(gave_up, Some(ErrorCode::ConnectionLimitReached));
    finish.send(()).unwrap();
    let (content, _) = pollster::block_on(collect(first.body)).unwrap();
    assert_eq!(content, "half");
    let denied = pollster::block_on(waits).err();
    assert_eq!(denied, Some(ErrorCode::HttpRequestDenied));
    assert_eq!(peer.accepted(), 1);
}

#[test]
fn a_custom_client_gets_what_was_judged_and_nothing_else() {
    let (sender, receiver) = channel();
    let service = memory::Service::new(move |request, _| {
        let permits = |address: &str| {
            let grant = request.grant.as_ref().unwrap();
            grant.permits(address.parse().unwrap())
        };
        let permits = ["203.0.113.7", "10.0.0.1"].map(permits);
        sender.send((request.scheme.clone(), permits)).unwrap();
        Ok(Response {
            status: 200,
            headers: Fields::new(),
            body: Box::new(memory::Empty),
        })
    });
    let rules = ["*.example.com:443", "any.test"];
    let (ctx, refusals) = policed(service, policy(&rules));
    let other = |name: &str| Some(Scheme::Other(name.into()));
    for (scheme, authority, granted) in [
        (None, "a.example.com", true),
        (Some(Scheme::Https), "a.example.com:", true),
        (Some(Scheme::Http), "a.example.com", false),
        (Some(Scheme::Http), "a.example.com:443", true),
        (other("ws"), "a.example.com", false),
        (other("ws"), "a.example.com:443", true),
        (other("ws"), "any.test", true),
        (None, "example.com", false),
    ] {
        let answer = fetch(&ctx, scheme.clone(), authority);
        let told = std::mem::take(&mut *refusals.lock().unwrap()).len();
        let got = receiver.try_recv().ok();
        let whole = scheme.clone().unwrap_or(Scheme::Https);
        match granted {
            true => {
                assert_eq!((answer, told), (Ok(200), 0), "{scheme:?} {authority}");
                let one_name = authority == "any.test";
                assert_eq!(got, Some((Some(whole), [true, one_name])));
            }
            false => {
                assert_eq!((answer, told), (DENIED, 1), "{scheme:?} {authority}");
                assert_eq!(got, None);
            }
        }
    }
}

#[test]
fn a_refusal_by_name_is_the_call_s_own_error() {
    let (ctx, _) = policed(client(), policy(&[]));
    let mut request = wasi_http::OutgoingRequest::new(Fields::new());
    request.set_authority(Some("a.example.com".into())).unwrap();
    let refused = ctx.handle(request, Default::default()).err();
    assert_eq!(refused, Some(ErrorCode::HttpRequestDenied));
}
