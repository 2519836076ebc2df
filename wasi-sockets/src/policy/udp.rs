//! UDP as a policy has it.

use super::Action;
use super::network::Guest;
use crate::{ErrorCode, Socket, SocketOption, UdpSocket};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::task::{Context, Poll, ready};
use wasi_io::sync::Mutex;

/// How many datagrams one poll drops before it lets others go on.
const DROPS: usize = 64;

pub(super) struct PolicedUdpSocket {
    guest: Arc<Guest>,
    inner: Box<dyn UdpSocket>,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Default)]
struct State {
    /// The bind in progress was judged when it began.
    binds: Option<SocketAddr>,
    /// Its own address is granted: what comes in is the guest's.
    listens: bool,
    /// Was judged when the socket was connected to it.
    peer: Option<SocketAddr>,
}

impl PolicedUdpSocket {
    pub(super) fn new(guest: Arc<Guest>, inner: Box<dyn UdpSocket>) -> Self {
        Self {
            guest,
            inner,
            state: Mutex::default(),
        }
    }

    fn may_send(&self, remote: SocketAddr) -> Result<(), ErrorCode> {
        let peer = self.state.lock().peer;
        match peer == Some(remote) {
            true => Ok(()),
            false => self.guest.permit(Action::Send, remote),
        }
    }

    fn may_receive(&self, from: SocketAddr) -> bool {
        let state = *self.state.lock();
        state.listens || state.peer == Some(from) || self.guest.judge(Action::Send, from).is_ok()
    }
}

impl Socket for PolicedUdpSocket {
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

impl UdpSocket for PolicedUdpSocket {
    fn poll_bind(&self, cx: &mut Context<'_>, local: SocketAddr) -> Poll<Result<(), ErrorCode>> {
        let judged = self.state.lock().binds == Some(local);
        if local.port() != 0 && !judged {
            self.guest.permit(Action::Listen, local)?;
            self.state.lock().binds = Some(local);
        }
        let bound = ready!(self.inner.poll_bind(cx, local));
        let listens = match (&bound, self.inner.local_address()) {
            (Ok(()), Ok(local)) => self.guest.judge(Action::Listen, local).is_ok(),
            _ => false,
        };
        let mut state = self.state.lock();
        (state.binds, state.listens) = (None, listens);
        Poll::Ready(bound)
    }

    fn connect(&self, remote: SocketAddr) -> Result<(), ErrorCode> {
        self.guest.permit(Action::Send, remote)?;
        self.inner.connect(remote)?;
        self.state.lock().peer = Some(remote);
        Ok(())
    }

    fn disconnect(&self) -> Result<(), ErrorCode> {
        self.state.lock().peer = None;
        self.inner.disconnect()
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
        self.may_send(remote)?;
        self.inner.poll_send_to(cx, bytes, remote)
    }

    /// Ready for a datagram that is then dropped, too: whose it is shows when it is taken.
    fn poll_receive_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.inner.poll_receive_ready(cx)
    }

    fn poll_receive_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<(usize, SocketAddr), ErrorCode>> {
        for _ in 0..DROPS {
            let (length, from) = ready!(self.inner.poll_receive_from(cx, buf))?;
            if self.may_receive(from) {
                return Poll::Ready(Ok((length, from)));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
