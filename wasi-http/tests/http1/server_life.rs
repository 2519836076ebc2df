//! How a server's connections end.

use crate::support::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use wasi_error::http::ErrorCode;
use wasi_http::memory::Frames;

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[test]
fn a_head_that_takes_too_long_is_a_408_and_none_is_the_end() {
    let world = World::new();
    let server = world.server();
    world.serve(
        server.head_timeout(5 * SECOND).idle_timeout(9 * SECOND),
        |_| async { text("ok") },
    );
    // Nothing comes at all.
    let mut silent = world.connect();
    world.pass(4 * SECOND);
    assert_eq!(silent.receive(), "");
    assert!(!silent.ended());
    world.pass(SECOND);
    assert_eq!(silent.receive(), "");
    assert!(silent.ended());
    // A byte at a time does not help.
    let mut slow = world.connect();
    for _ in 0..5 {
        slow.send("G");
        world.pass(SECOND);
    }
    assert!(slow.receive().starts_with("HTTP/1.1 408 "));
    assert!(slow.ended());
    // Between requests, it may take longer to begin.
    let mut idle = world.connect();
    idle.send(GET);
    assert!(idle.receive().ends_with("ok"));
    world.pass(8 * SECOND);
    assert_eq!(idle.receive(), "");
    assert!(!idle.ended());
    world.pass(SECOND);
    assert_eq!(idle.receive(), "");
    assert!(idle.ended());
}

#[test]
fn a_client_that_takes_nothing_for_too_long_is_cut_off() {
    let world = World::new();
    let taken = Arc::new(AtomicUsize::new(0));
    let alive = taken.clone();
    world.serve(world.server().write_timeout(5 * SECOND), move |_| {
        let body = Endless(alive.clone());
        async move { response(body) }
    });
    let mut client = world.connect();
    client.send(GET);
    for _ in 0..5 {
        world.pass(4 * SECOND);
        assert_eq!(client.receive_bytes(20_000).len(), 20_000);
    }
    assert_eq!(
        Arc::strong_count(&taken),
        3,
        "the test, the handler, the body"
    );
    world.pass(5 * SECOND);
    assert_eq!(Arc::strong_count(&taken), 2);
}

#[test]
fn a_client_that_leaves_drops_the_handler() {
    for (shut, half_close, dropped) in [
        (false, false, true),
        (true, false, true),
        (true, true, false),
    ] {
        let world = World::new();
        let gone = Arc::new(AtomicBool::new(false));
        let tell = gone.clone();
        world.serve(world.server().half_close(half_close), move |_| {
            Never(tell.clone())
        });
        let client = world.connect();
        client.send(GET);
        assert!(!gone.load(Ordering::Acquire));
        match shut {
            true => client.shut(),
            false => client.close(),
        }
        assert_eq!(gone.load(Ordering::Acquire), dropped, "{shut} {half_close}");
    }
}

#[test]
fn a_client_that_closed_its_sending_side_gets_its_response_where_it_may() {
    let world = World::new();
    let hand = Hand::default();
    let body = hand.clone();
    world.serve(world.server().half_close(true), move |_| {
        let body = body.body();
        async move { response(body) }
    });
    let mut client = world.connect();
    client.send(GET);
    client.shut();
    hand.put(data("abc"), &world);
    hand.end(&world);
    assert!(client.receive().ends_with("3\r\nabc\r\n0\r\n\r\n"));
    assert!(client.ended());
}

#[test]
fn a_client_that_leaves_drops_the_body_of_its_response() {
    let world = World::new();
    let hand = Hand::default();
    let body = hand.clone();
    world.serve(world.server(), move |_| {
        let body = body.body();
        async move { response(body) }
    });
    let client = world.connect();
    client.send(GET);
    assert!(!hand.is_dropped());
    // What is unread at the client's end resets the connection, otherwise it ends.
    client.close();
    assert!(hand.is_dropped());
}

#[test]
fn a_client_that_leaves_in_the_middle_of_its_request_is_an_error_of_the_body() {
    let world = World::new();
    let error: Arc<std::sync::Mutex<Option<ErrorCode>>> = Arc::default();
    let tell = error.clone();
    world.serve(world.server().half_close(true), move |request| {
        let tell = tell.clone();
        async move {
            *tell.lock().unwrap() = read(request.body).await.error;
            text("")
        }
    });
    let client = world.connect();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nab");
    assert_eq!(*error.lock().unwrap(), None);
    client.shut();
    let error = error.lock().unwrap().take();
    assert_eq!(error, Some(ErrorCode::ConnectionTerminated));
}

#[test]
fn a_handler_may_go_on_with_the_content_after_its_response() {
    let world = World::new();
    let later: Arc<std::sync::Mutex<Vec<Started<Read>>>> = Arc::default();
    let (keep, executor) = (later.clone(), world.executor.clone());
    world.serve(world.server(), move |request| {
        let (keep, executor) = (keep.clone(), executor.clone());
        async move {
            let reading = executor.start(read(request.body));
            keep.lock().unwrap().push(reading);
            text("ok")
        }
    });
    let mut client = world.connect();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab");
    assert!(client.receive().ends_with("ok"));
    client.send(["cd", GET].concat());
    // Only then comes the next request.
    assert!(client.receive().ends_with("ok"));
    let first = later.lock().unwrap()[0].take();
    assert_eq!(first.unwrap().text(), "abcd");
}

#[test]
fn the_end_lets_a_response_finish_and_closes_what_is_idle() {
    let world = World::new();
    let hand = Hand::default();
    let body = hand.clone();
    let running = world.serve(world.server().grace(5 * SECOND), move |_| {
        let body = body.body();
        async move { response(body) }
    });
    let (mut busy, mut idle) = (world.connect(), world.connect());
    busy.send(GET);
    hand.put(data("a"), &world);
    world.stop.stop();
    world.executor.run();
    assert_eq!(idle.receive(), "");
    assert!(idle.ended());
    drop(idle);
    assert!(running.take().is_none(), "a response is under way");
    assert!(world.net_refuses(), "the listener is closed");
    hand.put(data("b"), &world);
    hand.end(&world);
    let response = busy.receive();
    assert!(response.ends_with("1\r\nb\r\n0\r\n\r\n"), "{response}");
    busy.close();
    assert!(running.take().is_some());
}

#[test]
fn a_response_that_begins_after_the_end_was_asked_for_says_so() {
    let world = World::new();
    let hand = Hand::default();
    let gate = hand.clone();
    world.serve(world.server(), move |_| {
        let gate = gate.body();
        async move {
            read(Box::new(gate)).await;
            text("ok")
        }
    });
    let mut client = world.connect();
    client.send(GET);
    world.stop.stop();
    hand.end(&world);
    let response = client.receive();
    assert!(response.contains("\r\nconnection: close\r\n"), "{response}");
    assert!(client.ended());
}

#[test]
fn what_outlives_the_grace_is_cut_off() {
    let world = World::new();
    let gone = Arc::new(AtomicBool::new(false));
    let tell = gone.clone();
    let running = world.serve(world.server().grace(5 * SECOND), move |_| {
        Never(tell.clone())
    });
    let mut client = world.connect();
    client.send(GET);
    world.stop.stop();
    world.executor.run();
    world.pass(4 * SECOND);
    assert!(!gone.load(Ordering::Acquire));
    world.pass(SECOND);
    assert!(gone.load(Ordering::Acquire));
    assert!(running.take().is_some());
    assert_eq!(client.receive(), "");
    assert!(client.ended());
}

#[test]
fn a_connection_more_than_there_may_be_waits_for_another_to_end() {
    let world = World::new();
    world.serve(world.server().max_connections(2), |_| async { text("ok") });
    let (one, mut two, mut three) = (world.connect(), world.connect(), world.connect());
    two.send(GET);
    three.send(GET);
    assert!(two.receive().ends_with("ok"));
    assert_eq!(three.receive(), "");
    one.close();
    assert!(three.receive().ends_with("ok"));
}

#[test]
fn many_idle_connections_end_at_once_and_do_not_wake_each_other() {
    let world = World::new();
    let running = world.serve(world.server(), |_| async { text("ok") });
    let mut clients: Vec<_> = (0..300).map(|_| world.connect()).collect();
    for client in &mut clients {
        client.send(GET);
        assert!(client.receive().ends_with("ok"));
    }
    world.stop.stop();
    for client in &mut clients {
        client.receive();
        assert!(client.ended());
    }
    clients.into_iter().for_each(Raw::close);
    assert!(running.take().is_some());
}

#[test]
fn a_body_that_is_not_read_after_the_response_is_waited_for_a_while() {
    let world = World::new();
    let held: Arc<std::sync::Mutex<Vec<wasi_http::Request>>> = Arc::default();
    let hold = held.clone();
    world.serve(world.server().idle_timeout(5 * SECOND), move |request| {
        hold.lock().unwrap().push(request);
        async { response(Frames::new([data("ok")])) }
    });
    let mut client = world.connect();
    client.send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nab");
    client.receive();
    assert!(!client.ended());
    world.pass(5 * SECOND);
    client.receive();
    assert!(client.ended());
    let body = held.lock().unwrap().pop().unwrap().body;
    let read = world.read(body).take().unwrap();
    assert_eq!(read.error, Some(ErrorCode::ConnectionTerminated));
}
