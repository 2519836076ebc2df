use super::stream::{LoopbackStream, connect};
use super::{Net, Options, Port};
use crate::{ErrorCode, Socket, SocketOption, TcpListener, TcpSocket, TcpStream};
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use core::net::SocketAddr;
use core::task::{Context, Poll};
use wasi_io::WakerSet;
use wasi_io::sync::Mutex;

/// A TCP socket in memory.
pub(super) struct LoopbackTcpSocket {
    net: Arc<Net>,
    port: Option<Port<Listener>>,
    options: Options,
    /// A connect that found the listener's backlog full.
    waits_for: Option<Weak<Listener>>,
}

impl Socket for LoopbackTcpSocket {
    fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        let port = self.port.as_ref().ok_or(ErrorCode::InvalidState)?;
        Ok(port.address)
    }

    fn option(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        self.options.get(option)
    }

    fn set_option(&self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        self.options.set(option, value);
        Ok(())
    }
}

impl LoopbackTcpSocket {
    pub(super) fn new(net: Arc<Net>) -> Self {
        Self {
            net,
            port: None,
            options: Options::new(),
            waits_for: None,
        }
    }

    fn bind(&mut self, local: SocketAddr) -> Result<(), ErrorCode> {
        if !self.net.has(local.ip()) && !local.ip().is_unspecified() {
            return Err(ErrorCode::AddressNotBindable);
        }
        self.port = Some(Port::bind(&self.net.tcp, local)?);
        Ok(())
    }

    fn listen(&mut self, backlog: u32) -> Result<Arc<dyn TcpListener>, ErrorCode> {
        let port = self.port.take().ok_or(ErrorCode::InvalidState)?;
        let listener = Arc::new(Listener {
            port,
            options: self.options.clone(),
            queue: Mutex::new(Queue {
                waiting: VecDeque::new(),
                backlog: backlog as usize,
            }),
            changed: WakerSet::new(),
        });
        listener.port.give(&listener);
        Ok(listener)
    }

    /// The listener at `remote`.
    fn find(&self, remote: SocketAddr) -> Result<Arc<Listener>, ErrorCode> {
        if !self.net.has(remote.ip()) {
            return Err(ErrorCode::RemoteUnreachable);
        }
        let listener = self.net.tcp.find(remote);
        listener.ok_or(ErrorCode::ConnectionRefused)
    }
}

impl TcpSocket for LoopbackTcpSocket {
    fn poll_bind(&mut self, _: &mut Context<'_>, local: SocketAddr) -> Poll<Result<(), ErrorCode>> {
        Poll::Ready(self.bind(local))
    }

    fn poll_listen(
        &mut self,
        _: &mut Context<'_>,
        backlog: u32,
    ) -> Poll<Result<Arc<dyn TcpListener>, ErrorCode>> {
        Poll::Ready(self.listen(backlog))
    }

    fn poll_connect(
        &mut self,
        cx: &mut Context<'_>,
        remote: SocketAddr,
    ) -> Poll<Result<Arc<dyn TcpStream>, ErrorCode>> {
        let listener = match &self.waits_for {
            None => self.find(remote)?,
            Some(listener) => listener.upgrade().ok_or(ErrorCode::ConnectionRefused)?,
        };
        if self.port.is_none() {
            let from = SocketAddr::new(remote.ip(), 0);
            self.port = Some(Port::bind(&self.net.tcp, from)?);
        }
        let mut queue = listener.queue.lock();
        if queue.waiting.len() >= queue.backlog {
            // Under the lock, so that no accept comes between.
            listener.changed.register(cx.waker());
            drop(queue);
            self.waits_for = Some(Arc::downgrade(&listener));
            return Poll::Pending;
        }
        let Some(port) = self.port.take() else {
            return Poll::Ready(Err(ErrorCode::InvalidState));
        };
        let (here, there) = connect(port, remote, self.options.clone(), listener.options.clone());
        queue.waiting.push_back(there);
        drop(queue);
        listener.changed.wake_all();
        Poll::Ready(Ok(Arc::new(here)))
    }
}

/// A listener in memory.
pub(super) struct Listener {
    port: Port<Self>,
    options: Options,
    queue: Mutex<Queue>,
    changed: WakerSet,
}

struct Queue {
    waiting: VecDeque<LoopbackStream>,
    backlog: usize,
}

impl Socket for Listener {
    fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        Ok(self.port.address)
    }

    fn option(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        self.options.get(option)
    }

    fn set_option(&self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        self.options.set(option, value);
        Ok(())
    }
}

impl TcpListener for Listener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Arc<dyn TcpStream>, ErrorCode>> {
        let next = {
            let mut queue = self.queue.lock();
            let next = queue.waiting.pop_front();
            if next.is_none() {
                // Under the lock, so that no connection comes between.
                self.changed.register(cx.waker());
            }
            next
        };
        match next {
            Some(stream) => {
                self.changed.wake_all();
                Poll::Ready(Ok(Arc::new(stream)))
            }
            None => Poll::Pending,
        }
    }

    fn set_backlog(&self, backlog: u32) -> Result<(), ErrorCode> {
        self.queue.lock().backlog = backlog as usize;
        self.changed.wake_all();
        Ok(())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        for stream in self.queue.lock().waiting.drain(..) {
            stream.reset();
        }
        self.changed.wake_all();
    }
}
