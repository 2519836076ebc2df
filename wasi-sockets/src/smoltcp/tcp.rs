use super::Shared;
use super::listener::Listener;
use super::options::Options;
use super::stack::Stack;
use super::stream::Stream;
use crate::{ErrorCode, IpAddressFamily, Socket, SocketOption, TcpListener, TcpSocket, TcpStream};
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::task::{Context, Poll};
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp::State;
use wasi_io::sync::Mutex;

/// A TCP socket that is not connected and does not listen.
pub(super) struct Unconnected {
    shared: Arc<Shared>,
    family: IpAddressFamily,
    options: Mutex<Options>,
    bound: Option<SocketAddr>,
    /// The connection on its way.
    connects: Option<SocketHandle>,
    /// Whether it counts as one of the stack's: what takes its place does so from then on.
    counts: bool,
}

impl Unconnected {
    pub(super) fn new(shared: &Arc<Shared>, family: IpAddressFamily) -> Result<Self, ErrorCode> {
        let options = shared.with(|stack| {
            stack.take()?;
            Ok::<_, ErrorCode>(Options::new(&stack.limits))
        })?;
        Ok(Self {
            shared: shared.clone(),
            family,
            options: Mutex::new(options),
            bound: None,
            connects: None,
            counts: true,
        })
    }

    fn bind(&mut self, local: SocketAddr) -> Result<(), ErrorCode> {
        let bound = self.shared.with(|stack| match stack.is_own(local.ip()) {
            true => stack.tcp_ports.bind(local),
            false => Err(ErrorCode::AddressNotBindable),
        })?;
        self.bound = Some(bound);
        Ok(())
    }

    /// Begins to connect.
    fn connect(&mut self, remote: SocketAddr) -> Result<SocketHandle, ErrorCode> {
        let (bound, options) = (&mut self.bound, self.options.lock().clone());
        let any = crate::address::any(self.family);
        self.shared.with(|stack: &mut Stack| {
            let source = stack.source(remote.ip());
            let source = source.ok_or(ErrorCode::RemoteUnreachable)?;
            let from = match *bound {
                Some(from) => from,
                None => *bound.insert(stack.tcp_ports.bind(any)?),
            };
            let ip = match from.ip() {
                ip if ip.is_unspecified() => source,
                // From the loopback there is no way out of it.
                ip if ip.is_loopback() && !source.is_loopback() => {
                    return Err(ErrorCode::RemoteUnreachable);
                }
                ip => ip,
            };
            stack.connect(&options, SocketAddr::new(ip, from.port()), remote)
        })
    }
}

impl Socket for Unconnected {
    fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        self.bound.ok_or(ErrorCode::InvalidState)
    }

    fn option(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        self.options.lock().get_tcp(option)
    }

    fn set_option(&self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        self.options.lock().set_tcp(option, value)
    }
}

impl TcpSocket for Unconnected {
    fn poll_bind(&mut self, _: &mut Context<'_>, local: SocketAddr) -> Poll<Result<(), ErrorCode>> {
        Poll::Ready(self.bind(local))
    }

    fn poll_listen(
        &mut self,
        _: &mut Context<'_>,
        backlog: u32,
    ) -> Poll<Result<Arc<dyn TcpListener>, ErrorCode>> {
        let local = self.bound.take().ok_or(ErrorCode::InvalidState)?;
        self.counts = false;
        let options = self.options.lock().clone();
        let listener = Listener::new(&self.shared, local, options, backlog);
        Poll::Ready(Ok(Arc::new(listener)))
    }

    fn poll_connect(
        &mut self,
        cx: &mut Context<'_>,
        remote: SocketAddr,
    ) -> Poll<Result<Arc<dyn TcpStream>, ErrorCode>> {
        let handle = match self.connects {
            Some(handle) => handle,
            None => {
                let handle = self.connect(remote)?;
                *self.connects.insert(handle)
            }
        };
        let made = self.shared.with(|stack| {
            let state = stack.tcp(handle).state();
            let Some(conn) = stack.conns.get(&handle) else {
                return Poll::Ready(Err(ErrorCode::InvalidState));
            };
            match (conn.lost, state) {
                (Some(lost), _) => Poll::Ready(Err(lost)),
                (None, State::SynSent | State::SynReceived) => {
                    // Under the lock, so that no answer comes between.
                    conn.signal.changed.register(cx.waker());
                    Poll::Pending
                }
                (None, State::Closed) => Poll::Ready(Err(ErrorCode::ConnectionReset)),
                (None, _) => Poll::Ready(Ok(())),
            }
        });
        made.map_ok(|()| {
            self.connects = None;
            let stream = Stream::new(&self.shared, handle, self.bound.take());
            Arc::new(stream) as Arc<dyn TcpStream>
        })
    }
}

impl Drop for Unconnected {
    fn drop(&mut self) {
        let (counts, bound, connects) = (self.counts, self.bound.take(), self.connects.take());
        self.shared.with(|stack| {
            if let Some(handle) = connects {
                stack.drop_conn(handle);
            }
            if let Some(bound) = bound {
                stack.tcp_ports.release(bound);
            }
            if counts {
                stack.put();
            }
        });
    }
}
