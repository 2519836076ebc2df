//! Two tasks, each with a waker of its own, wait on one object: both are woken.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};
use std::thread;
use wasi_sockets::os::OsNetwork;
use wasi_sockets::{IpAddressFamily, LoopbackNet, Network, TcpListener, TcpStream};

fn networks() -> [Arc<dyn Network>; 2] {
    [Arc::new(LoopbackNet::new()), Arc::new(OsNetwork::current())]
}

fn listener(net: &dyn Network) -> Arc<dyn TcpListener> {
    let mut socket = net.tcp_socket(IpAddressFamily::Ipv4).unwrap();
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    pollster::block_on(poll_fn(|cx| socket.poll_bind(cx, any))).unwrap();
    pollster::block_on(poll_fn(|cx| socket.poll_listen(cx, 16))).unwrap()
}

fn connect(net: &dyn Network, listener: &dyn TcpListener) -> Arc<dyn TcpStream> {
    let mut socket = net.tcp_socket(IpAddressFamily::Ipv4).unwrap();
    let remote = listener.local_address().unwrap();
    pollster::block_on(poll_fn(|cx| socket.poll_connect(cx, remote))).unwrap()
}

/// Two threads wait for `poll`; once both do, `event` happens. Returns when both are through.
fn both_wake<T>(object: &Arc<T>, poll: fn(&T, &mut Context<'_>) -> Poll<()>, event: impl FnOnce())
where
    T: Send + Sync + ?Sized + 'static,
{
    let (waits, waiting) = mpsc::channel();
    let threads = [(); 2].map(|()| {
        let (object, waits) = (object.clone(), waits.clone());
        thread::spawn(move || {
            pollster::block_on(poll_fn(|cx| {
                let poll = poll(&object, cx);
                if poll.is_pending() {
                    let _ = waits.send(());
                }
                poll
            }))
        })
    });
    drop(waits);
    // A thread says so after its waker is kept.
    waiting.recv().unwrap();
    waiting.recv().unwrap();
    event();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn on_the_input() {
    for net in networks() {
        let listener = listener(&*net);
        let client = connect(&*net, &*listener);
        let server = pollster::block_on(poll_fn(|cx| listener.poll_accept(cx))).unwrap();
        both_wake(
            &server,
            |stream, cx| stream.poll_read_ready(cx),
            || {
                pollster::block_on(poll_fn(|cx| client.poll_write_ready(cx))).unwrap();
                client.write(b"x").unwrap();
            },
        );
    }
}

#[test]
fn on_the_output() {
    for net in networks() {
        let listener = listener(&*net);
        let client = connect(&*net, &*listener);
        let server = pollster::block_on(poll_fn(|cx| listener.poll_accept(cx))).unwrap();
        let mut noop = Context::from_waker(Waker::noop());
        while let Poll::Ready(permit) = client.poll_write_ready(&mut noop) {
            client.write(&vec![0; permit.unwrap()]).unwrap();
        }
        both_wake(
            &client,
            |stream, cx| stream.poll_write_ready(cx).map(drop),
            || {
                let reader = server.clone();
                // Until nothing comes any more: the writers write nothing.
                thread::spawn(move || {
                    let mut buf = vec![0; 1 << 16];
                    while let Ok(1..) =
                        pollster::block_on(poll_fn(|cx| reader.poll_read(cx, &mut buf)))
                    {
                    }
                });
            },
        );
        client.shutdown(wasi_sockets::Shutdown::Send).unwrap();
    }
}

#[test]
fn on_a_listener() {
    for net in networks() {
        let listener = listener(&*net);
        let mut clients = Vec::new();
        both_wake(
            &listener,
            |listener, cx| listener.poll_accept(cx).map(|stream| drop(stream.unwrap())),
            || clients.extend([(); 2].map(|()| connect(&*net, &*listener))),
        );
    }
}
