//! Every network that is shipped passes the kit, and one that is broken does not.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker, ready};
use wasi_io::testkit::{AtOnce, Check, Miss, Report, Threads};
use wasi_sockets::os::OsNetwork;
use wasi_sockets::{
    ErrorCode, IpAddressFamily, LoopbackNet, Network, Shutdown, Socket, SocketOption, TcpListener,
    TcpSocket, TcpStream, UdpSocket, testkit,
};

fn skipped(report: &Report) -> Vec<&'static str> {
    let skipped = |check: &&Check| matches!(check.result, Err(Miss::Skipped(_)));
    let checks = report.checks().iter().filter(skipped);
    checks.map(|check| check.name).collect()
}

#[test]
fn the_network_in_memory_keeps_every_guarantee() {
    let network = LoopbackNet::new().with_name("a.example", ["127.0.0.1".parse().unwrap()]);
    for ip in ["127.0.0.1", "::1"] {
        let report = testkit::run(&AtOnce, &network, ip.parse().unwrap());
        report.assert_ok();
        assert!(skipped(&report).is_empty(), "{report}");
    }
    testkit::lookup(&AtOnce, &network, "a.example").assert_ok();
}

#[test]
fn the_network_of_this_machine_keeps_every_guarantee() {
    let network = OsNetwork::current();
    for ip in ["127.0.0.1", "::1"] {
        let ip: IpAddr = ip.parse().unwrap();
        if std::net::UdpSocket::bind((ip, 0)).is_err() {
            continue;
        }
        let report = testkit::run(&Threads, &network, ip);
        report.assert_ok();
        assert!(skipped(&report).is_empty(), "{report}");
    }
    testkit::lookup(&Threads, &network, "localhost").assert_ok();
}

/// What is wrong with a network.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    LastWakerOnly,
    AlwaysReady,
    LosesTheSender,
    CutsShort,
    StaysConnected,
    TellsTwice,
    BindsForeign,
    HasAnAddressTooSoon,
    RefusalIsATimeout,
    ListenersForget,
    ShutdownIsQuiet,
    PeerIsWrong,
}

struct Faulty(LoopbackNet, Fault);

/// An object of a faulty network.
struct Of<T> {
    inner: T,
    fault: Fault,
    last: Arc<Last>,
    refused: Mutex<Option<ErrorCode>>,
}

impl<T> Of<T> {
    fn new(inner: T, fault: Fault) -> Self {
        Self {
            inner,
            fault,
            last: Arc::default(),
            refused: Mutex::new(None),
        }
    }

    /// Polls `inner` for the task of `cx`, or for the last one that did.
    fn poll<R>(&self, cx: &mut Context<'_>, poll: impl FnOnce(&mut Context<'_>) -> R) -> R {
        if self.fault != Fault::LastWakerOnly {
            return poll(cx);
        }
        *self.last.0.lock().unwrap() = Some(cx.waker().clone());
        poll(&mut Context::from_waker(&self.last.clone().into()))
    }
}

#[derive(Default)]
struct Last(Mutex<Option<Waker>>);

impl Wake for Last {
    fn wake(self: Arc<Self>) {
        if let Some(waker) = self.0.lock().unwrap().take() {
            waker.wake();
        }
    }
}

impl Network for Faulty {
    fn tcp_socket(&self, family: IpAddressFamily) -> Result<Box<dyn TcpSocket>, ErrorCode> {
        Ok(Box::new(Of::new(self.0.tcp_socket(family)?, self.1)))
    }

    fn udp_socket(&self, family: IpAddressFamily) -> Result<Box<dyn UdpSocket>, ErrorCode> {
        Ok(Box::new(Of::new(self.0.udp_socket(family)?, self.1)))
    }
}

/// The settings and the address of what is inside.
macro_rules! socket {
    ($($inner:ty),*) => {$(
        impl Socket for Of<$inner> {
            fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
                match self.inner.local_address() {
                    Err(_) if self.fault == Fault::HasAnAddressTooSoon => {
                        Ok("127.0.0.1:1".parse().unwrap())
                    }
                    address => address,
                }
            }

            fn option(&self, option: SocketOption) -> Result<u64, ErrorCode> {
                self.inner.option(option)
            }

            fn set_option(&self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
                self.inner.set_option(option, value)
            }
        }
    )*};
}

socket!(
    Box<dyn TcpSocket>,
    Box<dyn UdpSocket>,
    Arc<dyn TcpListener>,
    Arc<dyn TcpStream>
);

impl UdpSocket for Of<Box<dyn UdpSocket>> {
    fn poll_bind(&self, cx: &mut Context<'_>, local: SocketAddr) -> Poll<Result<(), ErrorCode>> {
        match self.inner.poll_bind(cx, local) {
            Poll::Ready(Err(ErrorCode::AddressNotBindable))
                if self.fault == Fault::BindsForeign =>
            {
                Poll::Ready(Ok(()))
            }
            poll => poll,
        }
    }

    fn connect(&self, remote: SocketAddr) -> Result<(), ErrorCode> {
        self.inner.connect(remote)
    }

    fn disconnect(&self) -> Result<(), ErrorCode> {
        match self.fault {
            Fault::StaysConnected => Ok(()),
            _ => self.inner.disconnect(),
        }
    }

    fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.poll_send_ready(cx)
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        remote: SocketAddr,
    ) -> Poll<Result<(), ErrorCode>> {
        let bytes = match self.fault {
            Fault::CutsShort => &bytes[..bytes.len().min(100)],
            _ => bytes,
        };
        self.inner.poll_send_to(cx, bytes, remote)
    }

    fn poll_receive_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self.fault {
            Fault::AlwaysReady => Poll::Ready(()),
            _ => self.poll(cx, |cx| self.inner.poll_receive_ready(cx)),
        }
    }

    fn poll_receive_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<(usize, SocketAddr), ErrorCode>> {
        if let Some(again) = self.refused.lock().unwrap().take() {
            return Poll::Ready(Err(again));
        }
        let received = self.poll(cx, |cx| self.inner.poll_receive_from(cx, buf));
        match (self.fault, received) {
            (Fault::TellsTwice, Poll::Ready(Err(error))) => {
                *self.refused.lock().unwrap() = Some(error);
                Poll::Ready(Err(error))
            }
            (Fault::LosesTheSender, Poll::Ready(Ok((len, _)))) => {
                Poll::Ready(Ok((len, "127.0.0.1:1".parse().unwrap())))
            }
            (_, received) => received,
        }
    }
}

impl TcpSocket for Of<Box<dyn TcpSocket>> {
    fn poll_bind(
        &mut self,
        cx: &mut Context<'_>,
        local: SocketAddr,
    ) -> Poll<Result<(), ErrorCode>> {
        match self.inner.poll_bind(cx, local) {
            Poll::Ready(Err(ErrorCode::AddressNotBindable))
                if self.fault == Fault::BindsForeign =>
            {
                Poll::Ready(Ok(()))
            }
            poll => poll,
        }
    }

    fn poll_listen(
        &mut self,
        cx: &mut Context<'_>,
        backlog: u32,
    ) -> Poll<Result<Arc<dyn TcpListener>, ErrorCode>> {
        let listener = ready!(self.inner.poll_listen(cx, backlog))?;
        Poll::Ready(Ok(Arc::new(Of::new(listener, self.fault))))
    }

    fn poll_connect(
        &mut self,
        cx: &mut Context<'_>,
        remote: SocketAddr,
    ) -> Poll<Result<Arc<dyn TcpStream>, ErrorCode>> {
        match ready!(self.inner.poll_connect(cx, remote)) {
            Ok(stream) => Poll::Ready(Ok(Arc::new(Of::new(stream, self.fault)))),
            Err(_) if self.fault == Fault::RefusalIsATimeout => {
                Poll::Ready(Err(ErrorCode::Timeout))
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl TcpListener for Of<Arc<dyn TcpListener>> {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Arc<dyn TcpStream>, ErrorCode>> {
        let stream = ready!(self.poll(cx, |cx| self.inner.poll_accept(cx)))?;
        if self.fault == Fault::ListenersForget {
            stream.set_option(SocketOption::HopLimit, 64)?;
        }
        Poll::Ready(Ok(Arc::new(Of::new(stream, self.fault))))
    }
}

impl TcpStream for Of<Arc<dyn TcpStream>> {
    fn remote_address(&self) -> Result<SocketAddr, ErrorCode> {
        match self.fault {
            Fault::PeerIsWrong => Ok("127.0.0.1:1".parse().unwrap()),
            _ => self.inner.remote_address(),
        }
    }

    fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll(cx, |cx| self.inner.poll_read_ready(cx))
    }

    fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize, ErrorCode>> {
        self.poll(cx, |cx| self.inner.poll_read(cx, buf))
    }

    fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<Result<usize, ErrorCode>> {
        self.poll(cx, |cx| self.inner.poll_write_ready(cx))
    }

    fn write(&self, bytes: &[u8]) -> Result<(), ErrorCode> {
        self.inner.write(bytes)
    }

    fn shutdown(&self, how: Shutdown) -> Result<(), ErrorCode> {
        match self.fault {
            Fault::ShutdownIsQuiet => Ok(()),
            _ => self.inner.shutdown(how),
        }
    }
}

#[test]
fn a_broken_promise_is_reported_by_its_name() {
    for (fault, broken) in [
        (
            Fault::LastWakerOnly,
            &[
                "TCP: every task that waits for a connection is woken",
                "UDP: every task that waits for a datagram is woken",
                "UDP: every task that waits in a receive is woken",
                "every task that waits for bytes is woken",
                "every task that waits for room is woken",
            ][..],
        ),
        (
            Fault::AlwaysReady,
            &["UDP: a receive waits for a datagram, and is ready for one"],
        ),
        (
            Fault::LosesTheSender,
            &["UDP: datagrams arrive whole, with their sender"],
        ),
        (
            Fault::CutsShort,
            &["UDP: datagrams arrive whole, with their sender"],
        ),
        (
            Fault::StaysConnected,
            &["UDP: a peer can be taken and left, from the same address"],
        ),
        (
            Fault::TellsTwice,
            &["UDP: who is refused is told once, and goes on"],
        ),
        (
            Fault::BindsForeign,
            &[
                "TCP: a bind that failed can be tried again",
                "UDP: a bind that failed can be tried again",
            ],
        ),
        (
            Fault::HasAnAddressTooSoon,
            &[
                "TCP: an address is chosen at the bind, not before",
                "UDP: an address is chosen at the bind, not before",
            ],
        ),
        (
            Fault::RefusalIsATimeout,
            &["TCP: nobody listens: connection-refused"],
        ),
        (
            Fault::ListenersForget,
            &["TCP: a connection has the settings of its listener"],
        ),
        (
            Fault::ShutdownIsQuiet,
            &[
                "TCP: a shutdown wakes who waits for bytes",
                "TCP: an output that was shut down ends after its bytes",
            ],
        ),
        (
            Fault::PeerIsWrong,
            &["TCP: each end has the other's address"],
        ),
    ] {
        let network = Faulty(LoopbackNet::new(), fault);
        let report = testkit::run(&AtOnce, &network, "127.0.0.1".parse().unwrap());
        let failures: Vec<_> = report.failures().map(|(name, _)| name).collect();
        for name in broken {
            assert!(failures.contains(name), "{fault:?}: {report}");
        }
        // The fault of one kind of socket is not laid at another's door.
        let udp_only = broken.iter().all(|name| name.starts_with("UDP"));
        if udp_only {
            assert!(
                failures.iter().all(|name| name.starts_with("UDP")),
                "{report}"
            );
        }
    }
}

#[test]
fn what_a_network_does_not_have_is_skipped() {
    struct Nothing;
    impl Network for Nothing {}
    let report = testkit::run(&AtOnce, &Nothing, "127.0.0.1".parse().unwrap());
    report.assert_ok();
    let expected = ["TCP: a socket can be made", "UDP: a socket can be made"];
    assert_eq!(skipped(&report), expected);
}
