use super::socket;
use super::stream::OsTcpStream;
use crate::{ErrorCode, IpAddressFamily, Socket, SocketOption, TcpListener, TcpSocket, TcpStream};
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::Future;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use socket2::{Protocol, SockRef, Type};
use std::io;
use tokio::time::Sleep;
use wasi_io::SharedWaker;
use wasi_io::os::Runtime;
use wasi_io::sync::Mutex;

/// How long nothing is accepted after the system had no descriptor for it: the connection is
/// still there, and who asks at once only spins.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) struct OsTcpSocket {
    runtime: Runtime,
    family: IpAddressFamily,
    stage: Stage,
    waiters: SharedWaker,
}

enum Stage {
    Idle(socket2::Socket),
    Connecting(tokio::net::TcpStream),
    /// What it held went on to a listener or a stream, or failed.
    Gone,
}

impl OsTcpSocket {
    pub(super) fn new(runtime: &Runtime, family: IpAddressFamily) -> Result<Self, ErrorCode> {
        let socket = socket::new(family, Type::STREAM, Protocol::TCP)?;
        Ok(Self {
            runtime: runtime.clone(),
            family,
            stage: Stage::Idle(socket),
            waiters: SharedWaker::new(),
        })
    }

    fn socket(&self) -> Result<SockRef<'_>, ErrorCode> {
        match &self.stage {
            Stage::Idle(socket) => Ok(SockRef::from(socket)),
            Stage::Connecting(stream) => Ok(SockRef::from(stream)),
            Stage::Gone => Err(ErrorCode::InvalidState),
        }
    }

    fn idle(&self) -> Result<&socket2::Socket, ErrorCode> {
        match &self.stage {
            Stage::Idle(socket) => Ok(socket),
            _ => Err(ErrorCode::InvalidState),
        }
    }

    fn take(&mut self) -> Result<socket2::Socket, ErrorCode> {
        match core::mem::replace(&mut self.stage, Stage::Gone) {
            Stage::Idle(socket) => Ok(socket),
            _ => Err(ErrorCode::InvalidState),
        }
    }

    fn bind(&self, local: SocketAddr) -> Result<(), ErrorCode> {
        let socket = self.idle()?;
        // So that TIME_WAIT is no obstacle. While the system chooses a port it is off, or that
        // could be one which is taken; and until the socket is used, as Linux lets two that have
        // it, and do not listen, share an address.
        #[cfg(not(windows))]
        socket.set_reuse_address(local.port() != 0)?;
        Ok(socket.bind(&local.into())?)
    }

    fn listen(&mut self, backlog: u32) -> Result<Arc<dyn TcpListener>, ErrorCode> {
        let socket = self.take()?;
        lingering_may_be_reused(&socket)?;
        socket.listen(clamp(backlog))?;
        let _guard = self.runtime.enter();
        Ok(Arc::new(OsTcpListener {
            io: tokio::net::TcpListener::from_std(socket.into())?,
            runtime: self.runtime.clone(),
            family: self.family,
            waiters: SharedWaker::new(),
            pause: Mutex::new(None),
        }))
    }

    fn start_connect(&mut self, remote: SocketAddr) -> Result<(), ErrorCode> {
        let socket = self.take()?;
        lingering_may_be_reused(&socket)?;
        match socket.connect(&remote.into()) {
            Ok(()) => {}
            Err(error) if in_progress(&error) => {}
            Err(error) => return Err(connect_error(&error)),
        }
        let _guard = self.runtime.enter();
        self.stage = Stage::Connecting(tokio::net::TcpStream::from_std(socket.into())?);
        Ok(())
    }
}

/// Linux asks the connections that linger in TIME_WAIT too whether they let others bind to their
/// address, and those of a listener have it from there.
#[cfg(not(windows))]
fn lingering_may_be_reused(socket: &socket2::Socket) -> io::Result<()> {
    socket.set_reuse_address(true)
}

/// That they may is the default there, and the option means something else.
#[cfg(windows)]
fn lingering_may_be_reused(_: &socket2::Socket) -> io::Result<()> {
    Ok(())
}

fn in_progress(error: &io::Error) -> bool {
    // EINPROGRESS has no name in std.
    #[cfg(unix)]
    if error.raw_os_error() == Some(if cfg!(target_os = "linux") { 115 } else { 36 }) {
        return true;
    }
    error.kind() == io::ErrorKind::WouldBlock
}

/// The code of the WIT text, which differs from that of other operations for some.
fn connect_error(error: &io::Error) -> ErrorCode {
    // Linux: ENONET, EHOSTDOWN.
    #[cfg(target_os = "linux")]
    if let Some(64 | 112) = error.raw_os_error() {
        return ErrorCode::RemoteUnreachable;
    }
    match ErrorCode::from(error) {
        // No port was free for the implicit bind.
        ErrorCode::AddressNotBindable => ErrorCode::AddressInUse,
        code => code,
    }
}

fn clamp(backlog: u32) -> i32 {
    i32::try_from(backlog).unwrap_or(i32::MAX)
}

impl Socket for OsTcpSocket {
    fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        socket::local_address(self.socket()?)
    }

    fn option(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        socket::option(self.socket()?, self.family, option)
    }

    fn set_option(&self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        socket::set_option(self.socket()?, self.family, option, value)
    }
}

impl TcpSocket for OsTcpSocket {
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
        if let Stage::Idle(_) = self.stage {
            self.start_connect(remote)?;
        }
        let Stage::Connecting(io) = &self.stage else {
            return Poll::Ready(Err(ErrorCode::InvalidState));
        };
        let ready = ready!(self.waiters.poll(cx, |cx| io.poll_write_ready(cx)));
        let ended = ready.and_then(|()| io.take_error());
        let stage = core::mem::replace(&mut self.stage, Stage::Gone);
        Poll::Ready(match (ended, stage) {
            (Ok(None), Stage::Connecting(io)) => {
                let stream = OsTcpStream::new(io, self.runtime.clone(), self.family);
                Ok(Arc::new(stream) as Arc<dyn TcpStream>)
            }
            (Ok(Some(error)) | Err(error), _) => Err(connect_error(&error)),
            (Ok(None), _) => Err(ErrorCode::InvalidState),
        })
    }
}

struct OsTcpListener {
    io: tokio::net::TcpListener,
    runtime: Runtime,
    family: IpAddressFamily,
    waiters: SharedWaker,
    pause: Mutex<Option<Pin<Box<Sleep>>>>,
}

impl Socket for OsTcpListener {
    fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        Ok(self.io.local_addr()?)
    }

    fn option(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        socket::option(SockRef::from(&self.io), self.family, option)
    }

    fn set_option(&self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        socket::set_option(SockRef::from(&self.io), self.family, option, value)
    }
}

impl TcpListener for OsTcpListener {
    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<Result<Arc<dyn TcpStream>, ErrorCode>> {
        // What is accepted is registered with the reactor.
        let _guard = self.runtime.enter();
        let mut pause = self.pause.lock();
        if let Some(sleep) = &mut *pause {
            ready!(self.waiters.poll(cx, |cx| sleep.as_mut().poll(cx)));
            *pause = None;
        }
        let accepted = ready!(self.waiters.poll(cx, |cx| self.io.poll_accept(cx)));
        let (io, _) = accepted.map_err(|error| match ErrorCode::from(&error) {
            code @ (ErrorCode::NewSocketLimit | ErrorCode::OutOfMemory) => {
                *pause = Some(Box::pin(tokio::time::sleep(PAUSE)));
                code
            }
            ErrorCode::AccessDenied => ErrorCode::AccessDenied,
            // What else accept reports is about that connection, not about the listener.
            _ => ErrorCode::ConnectionAborted,
        })?;
        let stream = OsTcpStream::new(io, self.runtime.clone(), self.family);
        #[cfg(not(target_os = "linux"))]
        self.inherit(&stream);
        Poll::Ready(Ok(Arc::new(stream)))
    }

    #[cfg(unix)]
    fn set_backlog(&self, backlog: u32) -> Result<(), ErrorCode> {
        Ok(SockRef::from(&self.io).listen(clamp(backlog))?)
    }
}

#[cfg(not(target_os = "linux"))]
impl OsTcpListener {
    /// Linux's accept does this itself. As far as the system has the setting.
    fn inherit(&self, stream: &OsTcpStream) {
        for option in [
            SocketOption::KeepAliveEnabled,
            SocketOption::KeepAliveIdleTime,
            SocketOption::KeepAliveInterval,
            SocketOption::KeepAliveCount,
            SocketOption::HopLimit,
            SocketOption::ReceiveBufferSize,
            SocketOption::SendBufferSize,
        ] {
            if let Ok(value) = self.option(option) {
                let _ = stream.set_option(option, value);
            }
        }
    }
}
