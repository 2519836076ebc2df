use super::socket;
use crate::{ErrorCode, IpAddressFamily, Socket, SocketOption, UdpSocket};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::Future;
use core::net::SocketAddr;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker, ready};
use core::time::Duration;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use socket2::{Protocol, SockRef, Type};
use std::io;
use tokio::io::Interest;
use wasi_io::SharedWaker;
use wasi_io::os::Runtime;
use wasi_io::sync::Mutex;

/// How long until a full socket is looked at again when its runtime can't tell.
const LOOK_AGAIN: Duration = Duration::from_millis(1);

/// A UDP socket of this machine. The system is asked first and the runtime only when there is
/// something to wait for: that hears of events late, and not of all.
pub(super) struct OsUdpSocket {
    io: Arc<tokio::net::UdpSocket>,
    runtime: Runtime,
    family: IpAddressFamily,
    receivers: SharedWaker,
    senders: SharedWaker,
    /// What was bound, which Linux forgets in part.
    bound: Mutex<Option<SocketAddr>>,
    connected: AtomicBool,
    /// The system had no room for a datagram.
    full: AtomicBool,
    /// What a look for readiness found instead of a datagram: the system tells it once.
    failed: Mutex<Option<ErrorCode>>,
    /// The wait for an answer of the network: the runtime does not wake readers for it.
    answer: Mutex<Option<Answer>>,
}

type Answer = Pin<Box<dyn Future<Output = ()> + Send>>;

impl OsUdpSocket {
    pub(super) fn new(runtime: &Runtime, family: IpAddressFamily) -> Result<Self, ErrorCode> {
        let socket = socket::new(family, Type::DGRAM, Protocol::UDP)?;
        let _guard = runtime.enter();
        Ok(Self {
            io: Arc::new(tokio::net::UdpSocket::from_std(socket.into())?),
            runtime: runtime.clone(),
            family,
            receivers: SharedWaker::new(),
            senders: SharedWaker::new(),
            bound: Mutex::new(None),
            connected: AtomicBool::new(false),
            full: AtomicBool::new(false),
            failed: Mutex::new(None),
            answer: Mutex::new(None),
        })
    }

    fn take_failure(&self) -> Result<(), ErrorCode> {
        match self.failed.lock().take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Whether there is something to receive; a failure is kept for who does.
    fn look(&self) -> Poll<Result<(), ErrorCode>> {
        if self.failed.lock().is_some() {
            return Poll::Ready(Ok(()));
        }
        match now(|| rustix::net::recv(&self.io, &mut [0; 1], RecvFlags::PEEK)) {
            // Longer than that byte: Windows makes it an error.
            Poll::Ready(Ok(_) | Err(Errno::MSGSIZE)) => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => {
                *self.failed.lock() = Some(code(error));
                // The system forgets it now, perhaps before the runtime has asked.
                self.receivers.wake_all();
                Poll::Ready(Ok(()))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn receive(&self, buf: &mut [u8]) -> Poll<Result<(usize, SocketAddr), ErrorCode>> {
        self.take_failure()?;
        let received = now(|| rustix::net::recvfrom(&self.io, &mut *buf, RecvFlags::empty()));
        let (len, _, from) = ready!(received).map_err(code)?;
        let from = from.and_then(|from| SocketAddr::try_from(from).ok());
        Poll::Ready(from.map(|from| (len, from)).ok_or(ErrorCode::Unknown))
    }

    fn send(&self, bytes: &[u8], remote: &SocketAddr) -> Poll<Result<(), ErrorCode>> {
        self.take_failure()?;
        let (io, flags) = (&self.io, SendFlags::empty());
        let sent = match self.connected.load(Ordering::Acquire) {
            true => now(|| rustix::net::send(io, bytes, flags)),
            false => now(|| rustix::net::sendto(io, bytes, flags, remote)),
        };
        self.full.store(sent.is_pending(), Ordering::Release);
        sent.map(|sent| sent.map(drop).map_err(code))
    }

    /// Whether the system has room again.
    fn room(&self) -> Poll<Result<(), ErrorCode>> {
        let mut fd = [PollFd::new(&self.io, PollFlags::OUT)];
        match rustix::event::poll(&mut fd, Some(&Timespec::default())) {
            Ok(0) => Poll::Pending,
            // A failure shows at the send.
            _ => {
                self.full.store(false, Ordering::Release);
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Ready when `attempt` is, which is made when something came in.
    fn poll_in<T>(
        &self,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut() -> Poll<Result<T, ErrorCode>>,
    ) -> Poll<Result<T, ErrorCode>> {
        let first = attempt();
        if first.is_ready() || cx.waker().will_wake(Waker::noop()) {
            return first;
        }
        self.receivers.poll(cx, |cx| {
            loop {
                if let ready @ Poll::Ready(_) = attempt() {
                    return ready;
                }
                for event in [Interest::READABLE, Interest::ERROR] {
                    if let ready @ Poll::Ready(_) = self.after(event, &mut attempt) {
                        return ready;
                    }
                }
                match self.io.poll_recv_ready(cx) {
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                    Poll::Pending if self.poll_answer(cx).is_pending() => return Poll::Pending,
                    _ => {}
                }
            }
        })
    }

    /// Ready when `attempt` is, which is made when there may be room.
    fn poll_out(
        &self,
        cx: &mut Context<'_>,
        mut attempt: impl FnMut() -> Poll<Result<(), ErrorCode>>,
    ) -> Poll<Result<(), ErrorCode>> {
        let first = attempt();
        if first.is_ready() || cx.waker().will_wake(Waker::noop()) {
            return first;
        }
        self.senders.poll(cx, |cx| {
            for _ in 0..2 {
                if let ready @ Poll::Ready(_) = attempt() {
                    return ready;
                }
                if let ready @ Poll::Ready(_) = self.after(Interest::WRITABLE, &mut attempt) {
                    return ready;
                }
                ready!(self.io.poll_send_ready(cx))?;
            }
            // After an answer of the network, tokio has the socket for closed and so for
            // writable, for ever.
            let waker = cx.waker().clone();
            self.runtime.handle().spawn(async move {
                tokio::time::sleep(LOOK_AGAIN).await;
                waker.wake();
            });
            Poll::Pending
        })
    }

    /// Makes `attempt` if the runtime knows of `event`. If it comes to nothing the event is
    /// over, unless it came again in the meantime.
    fn after<T>(&self, event: Interest, attempt: &mut impl FnMut() -> Poll<T>) -> Poll<T> {
        let mut result = Poll::Pending;
        let _ = self.io.try_io(event, || {
            result = attempt();
            match result {
                Poll::Ready(_) => Ok(()),
                Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            }
        });
        result
    }

    /// Ready when the network answered to a datagram; never without a peer.
    fn poll_answer(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.connected.load(Ordering::Acquire) {
            return Poll::Pending;
        }
        let mut answer = self.answer.lock();
        let wait = answer.get_or_insert_with(|| {
            let io = self.io.clone();
            Box::pin(async move { io.ready(Interest::ERROR).await.map_or((), drop) })
        });
        let ready = wait.as_mut().poll(cx);
        if ready.is_ready() {
            *answer = None;
        }
        ready
    }
}

/// The result of `call`, unless it would have to wait.
fn now<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Poll<Result<T, Errno>> {
    loop {
        match call() {
            Err(Errno::WOULDBLOCK) => return Poll::Pending,
            #[cfg(not(windows))]
            Err(Errno::INTR) => {}
            result => return Poll::Ready(result),
        }
    }
}

/// The code of the WIT text for what connecting, sending and receiving report.
fn code(error: Errno) -> ErrorCode {
    match error {
        #[cfg(target_os = "linux")]
        Errno::NONET => ErrorCode::RemoteUnreachable,
        // The arguments were checked: it can't be reached from the address that was bound.
        Errno::INVAL | Errno::ADDRNOTAVAIL => ErrorCode::RemoteUnreachable,
        Errno::HOSTDOWN | Errno::CONNRESET | Errno::NETRESET => ErrorCode::RemoteUnreachable,
        Errno::MSGSIZE => ErrorCode::DatagramTooLarge,
        _ => ErrorCode::from(io::Error::from(error)),
    }
}

impl Socket for OsUdpSocket {
    fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        Ok(self.io.local_addr()?)
    }

    fn option(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        socket::option(SockRef::from(&*self.io), self.family, option)
    }

    fn set_option(&self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        socket::set_option(SockRef::from(&*self.io), self.family, option, value)
    }
}

impl UdpSocket for OsUdpSocket {
    fn poll_bind(&self, _: &mut Context<'_>, local: SocketAddr) -> Poll<Result<(), ErrorCode>> {
        rustix::net::bind(&self.io, &local).map_err(io::Error::from)?;
        *self.bound.lock() = Some(self.io.local_addr()?);
        Poll::Ready(Ok(()))
    }

    fn connect(&self, remote: SocketAddr) -> Result<(), ErrorCode> {
        rustix::net::connect(&self.io, &remote).map_err(code)?;
        self.connected.store(true, Ordering::Release);
        Ok(())
    }

    fn disconnect(&self) -> Result<(), ErrorCode> {
        match rustix::net::connect_unspec(&self.io) {
            // The BSDs have done it then.
            #[cfg(not(any(target_os = "linux", windows)))]
            Err(Errno::AFNOSUPPORT | Errno::INVAL) => {}
            result => result.map_err(code)?,
        }
        self.connected.store(false, Ordering::Release);
        // What the peer of before had to say is for nobody.
        let _ = SockRef::from(&*self.io).take_error();
        *self.failed.lock() = None;
        // Linux gives a port back that it had chosen itself.
        match *self.bound.lock() {
            Some(bound) if self.io.local_addr()?.port() == 0 => {
                Ok(rustix::net::bind(&self.io, &bound).map_err(io::Error::from)?)
            }
            _ => Ok(()),
        }
    }

    fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.full.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        // A failure shows at the send.
        self.poll_out(cx, || self.room()).map(drop)
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        remote: SocketAddr,
    ) -> Poll<Result<(), ErrorCode>> {
        self.poll_out(cx, || self.send(bytes, &remote))
    }

    fn poll_receive_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        // A failure shows at the receive.
        self.poll_in(cx, || self.look()).map(drop)
    }

    fn poll_receive_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<(usize, SocketAddr), ErrorCode>> {
        self.poll_in(cx, || self.receive(buf))
    }
}

// What other systems answer, and when, differs.
#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use wasi_io::testkit::{AtOnce, both_are_woken};

    fn bound(runtime: &Runtime) -> (OsUdpSocket, SocketAddr) {
        let socket = OsUdpSocket::new(runtime, IpAddressFamily::Ipv4).unwrap();
        let local = "127.0.0.1:0".parse().unwrap();
        let mut noop = Context::from_waker(Waker::noop());
        assert_eq!(socket.poll_bind(&mut noop, local), Poll::Ready(Ok(())));
        let address = socket.local_address().unwrap();
        (socket, address)
    }

    /// A runtime that stands still unless a test runs it.
    fn standing() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    }

    #[test]
    fn who_waits_is_woken_for_an_answer_that_another_call_saw_first() {
        let tokio = standing();
        let runtime = tokio.handle().clone().into();
        let ((socket, _), (gone, nobody)) = (bound(&runtime), bound(&runtime));
        socket.connect(nobody).unwrap();
        drop(gone);
        let mut noop = Context::from_waker(Waker::noop());
        both_are_woken(
            &AtOnce,
            |cx| socket.poll_receive_ready(cx),
            || {
                let sent = socket.poll_send_to(&mut noop, b"a", nobody);
                assert_eq!(sent, Poll::Ready(Ok(())));
                assert!(socket.poll_receive_ready(&mut noop).is_ready());
                Ok(())
            },
        )
        .unwrap();
    }

    #[test]
    fn what_is_there_needs_no_runtime() {
        let tokio = standing();
        let runtime = tokio.handle().clone().into();
        let ((a, from), (b, to)) = (bound(&runtime), bound(&runtime));
        let mut noop = Context::from_waker(Waker::noop());
        assert!(a.poll_send_ready(&mut noop).is_ready());
        let sent = a.poll_send_to(&mut noop, b"abc", to);
        assert_eq!(sent, Poll::Ready(Ok(())));
        let mut buf = [0; 8];
        let received = b.poll_receive_from(&mut noop, &mut buf);
        assert_eq!(received, Poll::Ready(Ok((3, from))));
    }

    // Loopback is never full: what would find no room is an attempt that fails.
    #[test]
    fn room_is_waited_for_without_spinning_though_the_runtime_takes_the_socket_for_closed() {
        let tokio = standing();
        let runtime = tokio.handle().clone().into();
        let ((socket, _), (gone, nobody)) = (bound(&runtime), bound(&runtime));
        socket.connect(nobody).unwrap();
        drop(gone);
        let (mut polls, mut attempts) = (0, 0);
        let wait = async {
            let mut noop = Context::from_waker(Waker::noop());
            while !socket
                .io
                .ready(Interest::WRITABLE)
                .await
                .unwrap()
                .is_write_closed()
            {
                assert!(socket.poll_send_to(&mut noop, b"a", nobody).is_ready());
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            core::future::poll_fn(|cx| {
                polls += 1;
                socket.poll_out(cx, || {
                    attempts += 1;
                    match attempts > 100 {
                        true => Poll::Ready(Ok(())),
                        false => Poll::Pending,
                    }
                })
            })
            .await
        };
        let patience = Duration::from_secs(10);
        let waited = tokio.block_on(async { tokio::time::timeout(patience, wait).await });
        assert_eq!(waited.expect("it is polled again"), Ok(()));
        assert!(polls > 5, "{attempts} attempts in {polls} polls");
    }
}
