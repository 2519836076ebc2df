//! Which connections the client keeps.

use crate::support::*;
use std::sync::{Arc, Mutex};
use wasi_error::http::ErrorCode;
use wasi_http::memory::{Empty, Full};
use wasi_http::{Client, Method, RequestOptions};
use wasi_sockets::NetworkPolicy;

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A request that is answered on `server`.
fn exchange(world: &World, pending: Sent, server: &mut Raw, sent: &str) {
    world.executor.run();
    assert!(server.receive().starts_with("GET "));
    server.send(sent);
    let response = pending.take().unwrap().unwrap();
    assert_eq!(world.read(response.body).take().unwrap().text(), "ok");
}

#[test]
fn a_connection_is_used_again_where_both_sides_keep_it() {
    for (sent, kept) in [
        (OK, true),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            true,
        ),
        (
            "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",
            true,
        ),
        ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", false),
        (
            "HTTP/1.1 200 OK\r\nConnection: x, Close\r\ncontent-length: 2\r\n\r\nok",
            false,
        ),
        // Nobody asked for what follows.
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n",
            false,
        ),
    ] {
        let world = World::new();
        let listener = world.listen();
        let client = world.builder().build();
        let first = world.send(&client, get("/"));
        let mut server = Raw::accept(&listener, &world).unwrap();
        exchange(&world, first, &mut server, sent);
        server.receive();
        assert_eq!(server.ended(), !kept, "{sent:?}");
        let second = world.send(&client, get("/"));
        match Raw::accept(&listener, &world) {
            None => exchange(&world, second, &mut server, OK),
            Some(mut other) => {
                assert!(!kept, "{sent:?}");
                exchange(&world, second, &mut other, OK);
            }
        }
    }
}

#[test]
fn a_kept_connection_that_ends_is_not_used_again() {
    let world = World::new();
    let listener = world.listen();
    let client = world.builder().idle_timeout(5 * SECOND).build();
    let first = world.send(&client, get("/"));
    let mut server = Raw::accept(&listener, &world).unwrap();
    exchange(&world, first, &mut server, OK);
    server.close();
    let second = world.send(&client, get("/"));
    let mut server = Raw::accept(&listener, &world).expect("a new one");
    exchange(&world, second, &mut server, OK);
    // Nor is one that was idle for too long.
    world.pass(4 * SECOND);
    server.receive();
    assert!(!server.ended());
    world.pass(SECOND);
    server.receive();
    assert!(server.ended());
}

#[test]
fn a_kept_connection_that_has_just_ended_is_not_used_for_what_can_not_be_repeated() {
    let world = World::new();
    let listener = world.listen();
    let client = world.builder().build();
    let first = world.send(&client, get("/"));
    let mut server = Raw::accept(&listener, &world).unwrap();
    exchange(&world, first, &mut server, OK);
    let post = request(Method::Post, "/", Full::new("abc"));
    let _sent = client.send(post, RequestOptions::default());
    // The request's task runs before the one that watches the connection.
    drop(server);
    let mut server = Raw::accept(&listener, &world).expect("a new one");
    assert!(server.receive().ends_with("abc"));
}

#[test]
fn a_request_on_a_kept_connection_that_ends_is_sent_once_more_where_it_may() {
    for (method, content, again) in [
        (Method::Get, false, true),
        (Method::Put, false, true),
        (Method::Post, false, false),
        (Method::Put, true, false),
    ] {
        let world = World::new();
        let listener = world.listen();
        let client = world.builder().build();
        let first = world.send(&client, get("/"));
        let mut server = Raw::accept(&listener, &world).unwrap();
        exchange(&world, first, &mut server, OK);
        let body: Full = match content {
            true => Full::new("abc"),
            false => Full::new(""),
        };
        let second = world.send(&client, request(method.clone(), "/", body));
        assert!(!server.receive().is_empty());
        server.close();
        let server = Raw::accept(&listener, &world);
        assert_eq!(server.is_some(), again, "{method:?} {content}");
        let Some(server) = server else {
            let failed = second.take().unwrap().err();
            assert_eq!(failed, Some(ErrorCode::ConnectionTerminated));
            continue;
        };
        // But not a third time.
        server.close();
        let failed = second.take().unwrap().err();
        assert_eq!(failed, Some(ErrorCode::ConnectionTerminated));
        assert!(Raw::accept(&listener, &world).is_none());
    }
}

#[test]
fn a_request_that_was_answered_in_part_is_not_sent_again() {
    let world = World::new();
    let listener = world.listen();
    let client = world.builder().build();
    let first = world.send(&client, get("/"));
    let mut server = Raw::accept(&listener, &world).unwrap();
    exchange(&world, first, &mut server, OK);
    let second = world.send(&client, get("/"));
    server.receive();
    server.send("HTTP/1.1 200");
    server.close();
    assert!(Raw::accept(&listener, &world).is_none());
    let failed = second.take().unwrap().err();
    assert_eq!(failed, Some(ErrorCode::ConnectionTerminated));
}

#[test]
fn no_more_connections_are_kept_than_may_be() {
    for (per_origin, in_all, kept) in [(2, 8, 2), (8, 3, 3), (8, 0, 0), (0, 8, 0), (8, 8, 4)] {
        let world = World::new();
        let listener = world.listen();
        let builder = world.builder().max_idle(in_all);
        let client = builder.max_idle_per_origin(per_origin).build();
        let mut servers = Vec::new();
        let pending: Vec<_> = (0..4).map(|_| world.send(&client, get("/"))).collect();
        for pending in pending {
            let mut server = Raw::accept(&listener, &world).unwrap();
            exchange(&world, pending, &mut server, OK);
            servers.push(server);
        }
        let open = |server: &mut Raw| {
            server.receive();
            !server.ended()
        };
        assert_eq!(
            servers
                .iter_mut()
                .filter_map(|s| open(s).then_some(()))
                .count(),
            kept
        );
        // With the client, they go.
        drop(client);
        world.executor.run();
        assert_eq!(
            servers
                .iter_mut()
                .filter_map(|s| open(s).then_some(()))
                .count(),
            0
        );
    }
}

#[test]
fn a_connection_more_than_there_may_be_is_waited_for() {
    let world = World::new();
    let listener = world.listen();
    let client = world.builder().max_connections(1).build();
    let options = RequestOptions {
        connect_timeout: Some(5 * SECOND),
        ..RequestOptions::default()
    };
    let first = world.send(&client, get("/"));
    let mut server = Raw::accept(&listener, &world).unwrap();
    let second = world.send(&client, get("/"));
    let third = world.send_with(&client, get("/"), options);
    assert!(Raw::accept(&listener, &world).is_none());
    world.pass(5 * SECOND);
    let failed = third.take().unwrap().err();
    assert_eq!(failed, Some(ErrorCode::ConnectionLimitReached));
    // The next one gets the connection as soon as it is free.
    exchange(&world, first, &mut server, OK);
    exchange(&world, second, &mut server, OK);
    // One that is idle makes room for one to elsewhere.
    let mut elsewhere = get("/");
    elsewhere.authority = Some("127.0.0.1".into());
    let fourth = world.send(&client, elsewhere);
    let mut other = Raw::accept(&listener, &world).unwrap();
    server.receive();
    assert!(server.ended());
    exchange(&world, fourth, &mut other, OK);
}

#[test]
fn the_grant_is_asked_for_each_address_also_of_a_kept_connection() {
    let world = World::new();
    let listener = world.listen();
    let client = world.builder().build();
    let first = world.send(&client, get("/"));
    let mut server = Raw::accept(&listener, &world).unwrap();
    exchange(&world, first, &mut server, OK);
    // Another guest may send to this name, but not to where it leads.
    let refused = Arc::new(Mutex::new(0));
    let count = refused.clone();
    let policy = NetworkPolicy::new()
        .deny("127.0.0.0/8".parse().unwrap())
        .allow("a.example:80".parse().unwrap())
        .report(move |_| *count.lock().unwrap() += 1);
    let mut denied = request(Method::Get, "/", Empty);
    denied.grant = Some(policy.request("a.example", 80).unwrap());
    let failed = world.send(&client, denied).take().unwrap().err();
    assert_eq!(failed, Some(ErrorCode::HttpRequestDenied));
    assert_eq!(*refused.lock().unwrap(), 1);
    assert_eq!(server.receive(), "");
}
