//! Networks, their cable and their time, in one thread.

use crate::cable::Cable;
use smoltcp::phy::Medium;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use wasi_clocks::MonotonicClock;
use wasi_clocks::manual::ManualClock;
use wasi_sockets::smoltcp::{SmoltcpConfig, SmoltcpLimits, SmoltcpNet};
use wasi_sockets::{
    ErrorCode, IpAddressFamily, Network, TcpListener, TcpSocket, TcpStream, UdpSocket,
};

pub const SECOND: u64 = 1_000_000_000;
pub const A: &str = "10.0.0.1";
pub const B: &str = "10.0.0.2";
pub const A6: &str = "fd00::1";
pub const B6: &str = "fd00::2";

pub fn at(ip: &str, port: u16) -> SocketAddr {
    SocketAddr::new(ip.parse().unwrap(), port)
}

pub fn config(side: u8) -> SmoltcpConfig {
    SmoltcpConfig::new(0x1234_5678_9abc_def0 + u64::from(side)).mac([2, 0, 0, 0, 0, side])
}

fn addressed(side: u8, v4: &str, v6: &str) -> SmoltcpConfig {
    let config = config(side).address(v4.parse().unwrap(), 24);
    config.address(v6.parse().unwrap(), 64)
}

pub fn limits(change: impl FnOnce(&mut SmoltcpLimits)) -> SmoltcpLimits {
    let mut limits = SmoltcpLimits::default();
    change(&mut limits);
    limits
}

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Who is polled when it is woken, and not before.
struct Task {
    flag: Arc<Flag>,
    waker: Waker,
}

impl Task {
    fn new() -> Self {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(flag.clone());
        Self { flag, waker }
    }

    fn is_woken(&self) -> bool {
        self.flag.0.swap(false, Ordering::Relaxed)
    }
}

pub struct World {
    pub clock: ManualClock,
    pub cable: Cable,
    pub a: SmoltcpNet,
    pub b: SmoltcpNet,
    drivers: [Task; 2],
}

impl World {
    /// Two networks with an address of each family.
    pub fn new() -> Self {
        Self::with_limits(SmoltcpLimits::default())
    }

    /// As [`World::new`]; the first has these limits.
    pub fn with_limits(limits: SmoltcpLimits) -> Self {
        Self::of(addressed(1, A, A6).limits(limits), addressed(2, B, B6))
    }

    /// As [`World::new`], of devices for IP packets.
    pub fn of_packets() -> Self {
        Self::over(Medium::Ip, addressed(1, A, A6), addressed(2, B, B6))
    }

    pub fn of(a: SmoltcpConfig, b: SmoltcpConfig) -> Self {
        Self::over(Medium::Ethernet, a, b)
    }

    fn over(medium: Medium, a: SmoltcpConfig, b: SmoltcpConfig) -> Self {
        Self::on(Cable::new(medium), a, b)
    }

    /// As [`World::new`], by a cable that damages frames.
    pub fn damaging(of_100: u64) -> Self {
        let cable = Cable::new(Medium::Ethernet).damaging(of_100);
        Self::on(cable, addressed(1, A, A6), addressed(2, B, B6))
    }

    fn on(cable: Cable, a: SmoltcpConfig, b: SmoltcpConfig) -> Self {
        let clock = ManualClock::default();
        let time: Arc<dyn MonotonicClock> = Arc::new(clock.clone());
        let a = SmoltcpNet::new(cable.end(0), a, time.clone());
        let b = SmoltcpNet::new(cable.end(1), b, time);
        cable.interrupt(0, a.notifier());
        cable.interrupt(1, b.notifier());
        let drivers = [Task::new(), Task::new()];
        Self {
            clock,
            cable,
            a,
            b,
            drivers,
        }
    }

    /// Polls the drivers that were woken until none is.
    pub fn settle(&self) {
        for turns in 0.. {
            assert!(turns < 1_000_000, "a driver is woken again and again");
            let mut moved = false;
            for (net, task) in [&self.a, &self.b].into_iter().zip(&self.drivers) {
                if task.is_woken() {
                    moved = true;
                    let _ = net.poll_drive(&mut Context::from_waker(&task.waker));
                }
            }
            if !moved {
                return;
            }
        }
    }

    /// Goes on to the next instant that somebody waits for; there is none.
    pub fn step(&self) -> bool {
        let now = MonotonicClock::now(&self.clock);
        match self.clock.next_deadline() {
            Some(next) => {
                self.clock.advance(next.saturating_sub(now));
                self.settle();
                true
            }
            None => false,
        }
    }

    /// Lets `duration` pass.
    pub fn pass(&self, duration: u64) {
        self.settle();
        let end = MonotonicClock::now(&self.clock) + duration;
        while self.clock.next_deadline().is_some_and(|next| next <= end) {
            self.step();
        }
        self.clock.advance(end - MonotonicClock::now(&self.clock));
        self.settle();
    }

    /// Runs `future` to its end, for up to an hour of the clock.
    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        let task = Task::new();
        let end = MonotonicClock::now(&self.clock) + 3600 * SECOND;
        loop {
            while task.is_woken() {
                let polled = future.as_mut().poll(&mut Context::from_waker(&task.waker));
                if let Poll::Ready(value) = polled {
                    self.settle();
                    return value;
                }
                self.settle();
            }
            assert!(self.step(), "nobody is to be woken any more");
            assert!(MonotonicClock::now(&self.clock) < end, "it takes too long");
        }
    }

    /// For the kit, which asks rather than waits to be woken.
    pub fn until(&self, done: &mut dyn FnMut() -> bool) -> bool {
        let end = MonotonicClock::now(&self.clock) + 60 * SECOND;
        loop {
            if done() {
                return true;
            }
            let carried = self.cable.carried();
            self.settle();
            if done() {
                return true;
            }
            if self.cable.carried() == carried
                && (!self.step() || MonotonicClock::now(&self.clock) > end)
            {
                // Once more for each step that a condition takes.
                return (0..1000).any(|_| {
                    self.settle();
                    done()
                });
            }
        }
    }
}

pub async fn both<T, U>(a: impl Future<Output = T>, b: impl Future<Output = U>) -> (T, U) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut x, mut y) = (None, None);
    poll_fn(move |cx| {
        if x.is_none()
            && let Poll::Ready(value) = a.as_mut().poll(cx)
        {
            x = Some(value);
        }
        if y.is_none()
            && let Poll::Ready(value) = b.as_mut().poll(cx)
        {
            y = Some(value);
        }
        match x.is_some() && y.is_some() {
            true => Poll::Ready((x.take().unwrap(), y.take().unwrap())),
            false => Poll::Pending,
        }
    })
    .await
}

pub fn family(ip: IpAddr) -> IpAddressFamily {
    match ip {
        IpAddr::V4(_) => IpAddressFamily::Ipv4,
        IpAddr::V6(_) => IpAddressFamily::Ipv6,
    }
}

pub fn tcp(net: &SmoltcpNet, local: SocketAddr) -> Box<dyn TcpSocket> {
    let mut socket = net.tcp_socket(family(local.ip())).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    match socket.poll_bind(&mut cx, local) {
        Poll::Ready(bound) => bound.unwrap(),
        Poll::Pending => unreachable!(),
    }
    socket
}

pub fn listen(net: &SmoltcpNet, local: SocketAddr, backlog: u32) -> Arc<dyn TcpListener> {
    let mut cx = Context::from_waker(Waker::noop());
    match tcp(net, local).poll_listen(&mut cx, backlog) {
        Poll::Ready(listener) => listener.unwrap(),
        Poll::Pending => unreachable!(),
    }
}

pub async fn dial(net: &SmoltcpNet, remote: SocketAddr) -> Result<Arc<dyn TcpStream>, ErrorCode> {
    let mut socket = net.tcp_socket(family(remote.ip()))?;
    poll_fn(|cx| socket.poll_connect(cx, remote)).await
}

pub async fn accept(listener: &dyn TcpListener) -> Arc<dyn TcpStream> {
    poll_fn(|cx| listener.poll_accept(cx)).await.unwrap()
}

/// The end that connects from `a`, and the one that `b` accepts.
pub async fn pair(
    a: &SmoltcpNet,
    b: &SmoltcpNet,
    ip: &str,
) -> (Arc<dyn TcpStream>, Arc<dyn TcpStream>) {
    let listener = listen(b, at(ip, 0), 4);
    let remote = listener.local_address().unwrap();
    let (client, server) = both(dial(a, remote), accept(&*listener)).await;
    (client.unwrap(), server)
}

pub async fn send(stream: &dyn TcpStream, mut bytes: &[u8]) -> Result<(), ErrorCode> {
    while !bytes.is_empty() {
        let n = poll_fn(|cx| stream.poll_write(cx, bytes)).await?;
        bytes = &bytes[n..];
    }
    Ok(())
}

pub async fn receive(stream: &dyn TcpStream) -> Result<Vec<u8>, ErrorCode> {
    let (mut all, mut buf) = (Vec::new(), vec![0; 3000]);
    loop {
        match poll_fn(|cx| stream.poll_read(cx, &mut buf)).await? {
            0 => return Ok(all),
            n => all.extend_from_slice(&buf[..n]),
        }
    }
}

pub fn udp(net: &SmoltcpNet, local: SocketAddr) -> Box<dyn UdpSocket> {
    let socket = net.udp_socket(family(local.ip())).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    match socket.poll_bind(&mut cx, local) {
        Poll::Ready(bound) => bound.unwrap(),
        Poll::Pending => unreachable!(),
    }
    socket
}

pub async fn send_to(
    socket: &dyn UdpSocket,
    bytes: &[u8],
    to: SocketAddr,
) -> Result<(), ErrorCode> {
    poll_fn(|cx| socket.poll_send_to(cx, bytes, to)).await
}

pub async fn receive_from(socket: &dyn UdpSocket) -> (Vec<u8>, SocketAddr) {
    let mut buf = vec![0; 2000];
    let (n, from) = poll_fn(|cx| socket.poll_receive_from(cx, &mut buf))
        .await
        .unwrap();
    buf.truncate(n);
    (buf, from)
}

pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}
