//! A guest on a network that does as it is told.

use super::*;
use core::sync::atomic::{AtomicBool, Ordering};
use wasi_io::{WakerSet, sync::Mutex};

/// A network that waits for a permission wherever a backend may, and fails where it is told to.
#[derive(Clone, Default)]
pub(super) struct Gated {
    net: LoopbackNet,
    gate: Arc<Gate>,
}

#[derive(Default)]
pub(super) struct Gate {
    pub(super) closed: AtomicBool,
    pub(super) opened: WakerSet,
    /// What the next calls answer, once each.
    pub(super) bind: Mutex<Option<ErrorCode>>,
    pub(super) connect: Mutex<Option<ErrorCode>>,
    pub(super) disconnect: Mutex<Option<ErrorCode>>,
    /// After how many datagrams one fails, and how.
    pub(super) send: Mutex<Option<(usize, ErrorCode)>>,
    pub(super) receive: Mutex<Option<(usize, ErrorCode)>>,
    /// The socket asked in the meantime whether it may send.
    pub(super) asked: AtomicBool,
}

impl Gate {
    pub(super) fn set_closed(&self, closed: bool) {
        self.closed.store(closed, Ordering::Release);
        self.opened.wake_all();
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.opened.register(cx.waker());
        match self.closed.load(Ordering::Acquire) {
            true => Poll::Pending,
            false => Poll::Ready(()),
        }
    }
}

pub(super) fn fails(answer: &Mutex<Option<ErrorCode>>) -> Result<(), ErrorCode> {
    answer.lock().take().map_or(Ok(()), Err)
}

pub(super) fn fails_after(answer: &Mutex<Option<(usize, ErrorCode)>>) -> Result<(), ErrorCode> {
    let mut answer = answer.lock();
    match answer.take() {
        Some((0, error)) => Err(error),
        Some((n, error)) => {
            *answer = Some((n - 1, error));
            Ok(())
        }
        None => Ok(()),
    }
}

impl Network for Gated {
    fn udp_socket(&self, family: IpAddressFamily) -> Result<Box<dyn UdpSocket>, ErrorCode> {
        let (inner, gate) = (self.net.udp_socket(family)?, self.gate.clone());
        Ok(Box::new(GatedSocket { inner, gate }))
    }
}

pub(super) struct GatedSocket {
    inner: Box<dyn UdpSocket>,
    gate: Arc<Gate>,
}

impl Socket for GatedSocket {
    fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        self.inner.local_address()
    }

    fn option(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        self.inner.option(option)
    }

    fn set_option(&self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        self.inner.set_option(option, value)
    }
}

impl UdpSocket for GatedSocket {
    fn poll_bind(&self, cx: &mut Context<'_>, local: SocketAddr) -> Poll<Result<(), ErrorCode>> {
        ready!(self.gate.poll(cx));
        fails(&self.gate.bind)?;
        self.inner.poll_bind(cx, local)
    }

    fn connect(&self, remote: SocketAddr) -> Result<(), ErrorCode> {
        fails(&self.gate.connect)?;
        self.inner.connect(remote)
    }

    fn disconnect(&self) -> Result<(), ErrorCode> {
        fails(&self.gate.disconnect)?;
        self.inner.disconnect()
    }

    fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self.gate.asked.load(Ordering::Acquire) {
            true => self.gate.poll(cx),
            false => self.inner.poll_send_ready(cx),
        }
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        bytes: &[u8],
        remote: SocketAddr,
    ) -> Poll<Result<(), ErrorCode>> {
        self.gate.asked.store(true, Ordering::Release);
        ready!(self.gate.poll(cx));
        fails_after(&self.gate.send)?;
        self.inner.poll_send_to(cx, bytes, remote)
    }

    fn poll_receive_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.poll_receive_ready(cx)
    }

    fn poll_receive_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<(usize, SocketAddr), ErrorCode>> {
        fails_after(&self.gate.receive)?;
        self.inner.poll_receive_from(cx, buf)
    }
}

pub(super) const ANY_PORT: SocketAddr =
    SocketAddr::new(core::net::IpAddr::V4(core::net::Ipv4Addr::LOCALHOST), 0);

/// A guest on a gated network, where somebody receives.
pub(super) struct World {
    pub(super) gate: Arc<Gate>,
    pub(super) ctx: WasiSocketsCtx,
    pub(super) net: DynNetwork,
    pub(super) remote: SocketAddr,
    pub(super) far: Far,
}

/// The other end: a socket of its own without gates.
pub(super) struct Far {
    pub(super) incoming: IncomingDatagramStream,
    pub(super) outgoing: OutgoingDatagramStream,
    pub(super) _socket: DynUdpSocket,
}

impl Far {
    pub(super) fn send(&mut self, bytes: &[u8], to: SocketAddr) {
        self.outgoing.check_send().unwrap();
        let sent = self.outgoing.send(&[datagram(bytes, Some(to))]);
        assert_eq!(sent.unwrap(), Ok(1));
    }
}

impl World {
    pub(super) fn new() -> Self {
        let gated = Gated::default();
        let plain = WasiSocketsCtx::new().network(Arc::new(gated.net.clone()));
        let mut far = DynUdpSocket::new(&plain, IpAddressFamily::Ipv4).unwrap();
        bind(&mut far, &plain.instance_network());
        let (incoming, outgoing) = far.stream(None).unwrap();
        let gate = gated.gate.clone();
        let ctx = WasiSocketsCtx::new().network(Arc::new(gated));
        Self {
            gate,
            net: ctx.instance_network(),
            ctx,
            remote: far.local_address().unwrap(),
            far: Far {
                incoming,
                outgoing,
                _socket: far,
            },
        }
    }

    pub(super) fn socket(&self) -> DynUdpSocket {
        DynUdpSocket::new(&self.ctx, IpAddressFamily::Ipv4).unwrap()
    }

    pub(super) fn bound(&self) -> DynUdpSocket {
        let mut socket = self.socket();
        bind(&mut socket, &self.net);
        socket
    }

    pub(super) fn socket_in(&self, state: &str) -> DynUdpSocket {
        self.gate.set_closed(false);
        match state {
            "unbound" => self.socket(),
            "binding" => {
                let mut socket = self.socket();
                self.gate.set_closed(true);
                socket.start_bind(&self.net, ANY_PORT).unwrap();
                socket
            }
            "bound" => self.bound(),
            "streaming" => {
                let mut socket = self.bound();
                socket.stream(None).unwrap();
                socket
            }
            "connected" => {
                let mut socket = self.bound();
                socket.stream(Some(self.remote)).unwrap();
                socket
            }
            state => panic!("{state}"),
        }
    }
}

pub(super) fn bind(socket: &mut DynUdpSocket, net: &DynNetwork) {
    socket.start_bind(net, ANY_PORT).unwrap();
    socket.finish_bind().unwrap();
}

pub(super) fn datagram(bytes: &[u8], remote_address: Option<SocketAddr>) -> OutgoingDatagram {
    OutgoingDatagram {
        data: bytes.to_vec(),
        remote_address,
    }
}

pub(super) fn is_ready(pollable: &mut impl Pollable) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    pollable.poll_ready(&mut cx).is_ready()
}

pub(super) fn texts(received: Result<Vec<IncomingDatagram>, ErrorCode>) -> Vec<Vec<u8>> {
    let datagrams = received.unwrap().into_iter();
    datagrams.map(|datagram| datagram.data).collect()
}
