//! Backends that answer with the code that they are asked for; `codes.rs` of the guest says how.

use crate::memory::{block_on, clock};
use crate::names::Answer;
use crate::outcome::{self, cli};
use agave_host::Ctx;
use bytes::Bytes;
use std::future::{Future, poll_fn, ready};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use wasi_clocks::WasiClocksCtx;
use wasi_error::{filesystem, http, sockets};
use wasi_filesystem::{
    DescriptorFlags, DescriptorStat, DescriptorType, Directory, DirectoryEntries, File,
    NewTimestamp, Object, OpenFlags, PathFlags, WasiFilesystemCtx,
};
use wasi_http::memory::Frames;
use wasi_http::{Client, Fields, Request, RequestOptions, Response};
use wasi_io::Op;
use wasi_random::WasiRandomCtx;
use wasi_random::seeded::Seeded;
use wasi_sockets::{
    IpAddressFamily, Lookup, Network, Shutdown, Socket, TcpListener, TcpSocket, TcpStream,
    UdpSocket,
};

#[test]
fn every_code_reaches_the_guest_as_itself() {
    let clock = clock();
    let ctx = Ctx::with(
        WasiClocksCtx::new(clock.clone(), clock.clone()),
        WasiRandomCtx::new(Seeded::new([7; 32])),
    )
    .filesystem(WasiFilesystemCtx::new().preopen(Arc::new(Files), "/"))
    .network(Arc::new(Net))
    .http_client(Arc::new(Web));
    let cli = cli(&["codes"]).env("HTTP", "localhost");
    outcome::run(ctx, cli, |run| block_on(&clock, run)).held();
}

/// A directory whose paths are names of codes, and `file`.
struct Files;

/// All codes with their names, as the WIT has them.
fn files() -> [(&'static str, filesystem::ErrorCode); 37] {
    use filesystem::ErrorCode as E;
    [
        ("access", E::Access),
        ("would-block", E::WouldBlock),
        ("already", E::Already),
        ("bad-descriptor", E::BadDescriptor),
        ("busy", E::Busy),
        ("deadlock", E::Deadlock),
        ("quota", E::Quota),
        ("exist", E::Exist),
        ("file-too-large", E::FileTooLarge),
        ("illegal-byte-sequence", E::IllegalByteSequence),
        ("in-progress", E::InProgress),
        ("interrupted", E::Interrupted),
        ("invalid", E::Invalid),
        ("io", E::Io),
        ("is-directory", E::IsDirectory),
        ("loop", E::Loop),
        ("too-many-links", E::TooManyLinks),
        ("message-size", E::MessageSize),
        ("name-too-long", E::NameTooLong),
        ("no-device", E::NoDevice),
        ("no-entry", E::NoEntry),
        ("no-lock", E::NoLock),
        ("insufficient-memory", E::InsufficientMemory),
        ("insufficient-space", E::InsufficientSpace),
        ("not-directory", E::NotDirectory),
        ("not-empty", E::NotEmpty),
        ("not-recoverable", E::NotRecoverable),
        ("unsupported", E::Unsupported),
        ("no-tty", E::NoTty),
        ("no-such-device", E::NoSuchDevice),
        ("overflow", E::Overflow),
        ("not-permitted", E::NotPermitted),
        ("pipe", E::Pipe),
        ("read-only", E::ReadOnly),
        ("invalid-seek", E::InvalidSeek),
        ("text-file-busy", E::TextFileBusy),
        ("cross-device", E::CrossDevice),
    ]
}

fn of_path(path: &str) -> filesystem::ErrorCode {
    let known = files().into_iter().find(|(name, _)| *name == path);
    known.expect("the name of a code").1
}

fn of_offset(offset: u64) -> filesystem::ErrorCode {
    files()[offset as usize].1
}

fn stat(descriptor_type: DescriptorType) -> DescriptorStat {
    DescriptorStat {
        descriptor_type,
        link_count: 1,
        size: 100,
        data_access_timestamp: None,
        data_modification_timestamp: None,
        status_change_timestamp: None,
        device: 1,
        inode: 1,
    }
}

type Files_<T> = Op<Result<T, filesystem::ErrorCode>>;

impl Directory for Files {
    fn open_at(
        &self,
        _: PathFlags,
        path: &str,
        _: OpenFlags,
        _: DescriptorFlags,
    ) -> Files_<Object> {
        match path {
            "file" => Op::Ready(Ok(Object::File(Arc::new(OneFile)))),
            path => Op::failed(of_path(path)),
        }
    }

    fn stat(&self) -> Files_<DescriptorStat> {
        Op::Ready(Ok(stat(DescriptorType::Directory)))
    }

    fn stat_at(&self, _: PathFlags, path: &str) -> Files_<DescriptorStat> {
        Op::failed(of_path(path))
    }

    fn read_directory(&self) -> Files_<Box<dyn DirectoryEntries>> {
        Op::failed(filesystem::ErrorCode::Unsupported)
    }

    fn readlink_at(&self, path: &str) -> Files_<String> {
        Op::failed(of_path(path))
    }

    fn create_directory_at(&self, path: &str) -> Files_<()> {
        Op::failed(of_path(path))
    }

    fn unlink_file_at(&self, path: &str) -> Files_<()> {
        Op::failed(of_path(path))
    }
}

/// A file whose offsets are numbers of codes.
struct OneFile;

impl File for OneFile {
    fn stat(&self) -> Files_<DescriptorStat> {
        Op::Ready(Ok(stat(DescriptorType::RegularFile)))
    }

    fn read_at(
        &self,
        offset: u64,
        _: &mut [u8],
    ) -> Op<Result<usize, filesystem::ErrorCode>, Result<Bytes, filesystem::ErrorCode>> {
        Op::failed(of_offset(offset))
    }

    fn write_at(&self, offset: u64, _: &[u8]) -> Files_<usize> {
        Op::failed(of_offset(offset))
    }

    fn append(&self, _: &[u8]) -> Files_<usize> {
        Op::failed(filesystem::ErrorCode::Unsupported)
    }

    fn set_size(&self, _: u64) -> Files_<()> {
        Op::failed(filesystem::ErrorCode::Unsupported)
    }

    fn set_times(&self, _: NewTimestamp, _: NewTimestamp) -> Files_<()> {
        Op::failed(filesystem::ErrorCode::Unsupported)
    }
}

/// A network whose ports and names are codes.
struct Net;

fn codes() -> [(&'static str, sockets::ErrorCode); 19] {
    use sockets::ErrorCode as E;
    [
        ("unknown", E::Unknown),
        ("access-denied", E::AccessDenied),
        ("not-supported", E::NotSupported),
        ("invalid-argument", E::InvalidArgument),
        ("out-of-memory", E::OutOfMemory),
        ("timeout", E::Timeout),
        ("concurrency-conflict", E::ConcurrencyConflict),
        ("invalid-state", E::InvalidState),
        ("new-socket-limit", E::NewSocketLimit),
        ("address-not-bindable", E::AddressNotBindable),
        ("address-in-use", E::AddressInUse),
        ("remote-unreachable", E::RemoteUnreachable),
        ("connection-refused", E::ConnectionRefused),
        ("connection-reset", E::ConnectionReset),
        ("connection-aborted", E::ConnectionAborted),
        ("datagram-too-large", E::DatagramTooLarge),
        ("name-unresolvable", E::NameUnresolvable),
        ("temporary-resolver-failure", E::TemporaryResolverFailure),
        ("permanent-resolver-failure", E::PermanentResolverFailure),
    ]
}

/// The code of the port's place among those from `first` on, if it is one of them.
fn of_port(address: SocketAddr, first: u16) -> Result<(), sockets::ErrorCode> {
    let place = address.port().checked_sub(first).map(usize::from);
    match place.and_then(|place| codes().get(place).copied()) {
        Some((_, code)) => Err(code),
        None => Ok(()),
    }
}

impl Network for Net {
    fn tcp_socket(&self, _: IpAddressFamily) -> Result<Box<dyn TcpSocket>, sockets::ErrorCode> {
        Ok(Box::new(Tcp(None)))
    }

    fn udp_socket(&self, _: IpAddressFamily) -> Result<Box<dyn UdpSocket>, sockets::ErrorCode> {
        Ok(Box::new(Udp(Default::default())))
    }

    fn lookup(&self, name: &str) -> Result<Box<dyn Lookup>, sockets::ErrorCode> {
        let name = name.strip_suffix(".example").expect("a name of the test's");
        let (_, code) = codes().into_iter().find(|it| it.0 == name).unwrap();
        Ok(Box::new(Answer(Err::<IpAddr, _>(code))))
    }
}

type Net_<T> = Result<T, sockets::ErrorCode>;

const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9);

struct Tcp(Option<SocketAddr>);

impl Socket for Tcp {
    fn local_address(&self) -> Net_<SocketAddr> {
        self.0.ok_or(sockets::ErrorCode::InvalidState)
    }
}

impl TcpSocket for Tcp {
    fn poll_bind(&mut self, _: &mut Context<'_>, local: SocketAddr) -> Poll<Net_<()>> {
        self.0 = Some(local);
        Poll::Ready(of_port(local, 1000))
    }

    fn poll_listen(&mut self, _: &mut Context<'_>, _: u32) -> Poll<Net_<Arc<dyn TcpListener>>> {
        let local = self.local_address()?;
        of_port(local, 2000)?;
        Poll::Ready(Ok(Arc::new(Listener(local))))
    }

    fn poll_connect(
        &mut self,
        _: &mut Context<'_>,
        remote: SocketAddr,
    ) -> Poll<Net_<Arc<dyn TcpStream>>> {
        of_port(remote, 1000)?;
        Poll::Ready(Ok(Arc::new(Stream(remote))))
    }
}

struct Listener(SocketAddr);

impl Socket for Listener {
    fn local_address(&self) -> Net_<SocketAddr> {
        Ok(self.0)
    }
}

impl TcpListener for Listener {
    fn poll_accept(&self, _: &mut Context<'_>) -> Poll<Net_<Arc<dyn TcpStream>>> {
        of_port(self.0, 3000)?;
        Poll::Pending
    }
}

/// A connection to a port from 2000 on.
struct Stream(SocketAddr);

impl Socket for Stream {
    fn local_address(&self) -> Net_<SocketAddr> {
        Ok(NOBODY)
    }
}

impl TcpStream for Stream {
    fn remote_address(&self) -> Net_<SocketAddr> {
        Ok(self.0)
    }

    fn poll_read_ready(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn poll_read(&self, _: &mut Context<'_>, _: &mut [u8]) -> Poll<Net_<usize>> {
        Poll::Ready(of_port(self.0, 2000).map(|()| 0))
    }

    fn poll_write_ready(&self, _: &mut Context<'_>) -> Poll<Net_<usize>> {
        Poll::Ready(of_port(self.0, 2000).map(|()| 1))
    }

    fn write(&self, _: &[u8]) -> Net_<()> {
        of_port(self.0, 2000)
    }

    fn shutdown(&self, _: Shutdown) -> Net_<()> {
        Ok(())
    }
}

struct Udp(std::sync::OnceLock<SocketAddr>);

impl Socket for Udp {
    fn local_address(&self) -> Net_<SocketAddr> {
        let local = self.0.get().copied();
        local.ok_or(sockets::ErrorCode::InvalidState)
    }
}

impl UdpSocket for Udp {
    fn poll_bind(&self, _: &mut Context<'_>, local: SocketAddr) -> Poll<Net_<()>> {
        of_port(local, 1000)?;
        self.0.set(local).expect("bound once");
        Poll::Ready(Ok(()))
    }

    fn connect(&self, remote: SocketAddr) -> Net_<()> {
        of_port(remote, 2000)
    }

    fn disconnect(&self) -> Net_<()> {
        Ok(())
    }

    fn poll_send_ready(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn poll_send_to(&self, _: &mut Context<'_>, _: &[u8], remote: SocketAddr) -> Poll<Net_<()>> {
        Poll::Ready(of_port(remote, 1000))
    }

    fn poll_receive_ready(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn poll_receive_from(
        &self,
        _: &mut Context<'_>,
        _: &mut [u8],
    ) -> Poll<Net_<(usize, SocketAddr)>> {
        of_port(self.local_address()?, 3000)?;
        Poll::Pending
    }
}

/// A client whose paths say which code, and when.
struct Web;

fn web() -> Vec<http::ErrorCode> {
    use http::ErrorCode as E;
    let size = || http::FieldSizePayload {
        field_name: Some("x-name".into()),
        field_size: Some(7),
    };
    vec![
        E::DnsTimeout,
        E::DnsError(http::DnsErrorPayload {
            rcode: Some("SERVFAIL".into()),
            info_code: Some(2),
        }),
        E::DestinationNotFound,
        E::DestinationUnavailable,
        E::DestinationIpProhibited,
        E::DestinationIpUnroutable,
        E::ConnectionRefused,
        E::ConnectionTerminated,
        E::ConnectionTimeout,
        E::ConnectionReadTimeout,
        E::ConnectionWriteTimeout,
        E::ConnectionLimitReached,
        E::TlsProtocolError,
        E::TlsCertificateError,
        E::TlsAlertReceived(http::TlsAlertReceivedPayload {
            alert_id: Some(40),
            alert_message: Some("handshake failure".into()),
        }),
        E::HttpRequestDenied,
        E::HttpRequestLengthRequired,
        E::HttpRequestBodySize(Some(1 << 40)),
        E::HttpRequestMethodInvalid,
        E::HttpRequestUriInvalid,
        E::HttpRequestUriTooLong,
        E::HttpRequestHeaderSectionSize(Some(1)),
        E::HttpRequestHeaderSize(Some(size())),
        E::HttpRequestTrailerSectionSize(None),
        E::HttpRequestTrailerSize(size()),
        E::HttpResponseIncomplete,
        E::HttpResponseHeaderSectionSize(Some(1)),
        E::HttpResponseHeaderSize(size()),
        E::HttpResponseBodySize(None),
        E::HttpResponseTrailerSectionSize(Some(1)),
        E::HttpResponseTrailerSize(size()),
        E::HttpResponseTransferCoding(Some("x".into())),
        E::HttpResponseContentCoding(None),
        E::HttpResponseTimeout,
        E::HttpUpgradeFailed,
        E::HttpProtocolError,
        E::LoopDetected,
        E::ConfigurationError,
        E::InternalError(Some("of the test".into())),
    ]
}

type Sent = Pin<Box<dyn Future<Output = Result<Response, http::ErrorCode>> + Send>>;

impl Client for Web {
    fn send(&self, request: Request, _: RequestOptions) -> Sent {
        let path = request.path_with_query.unwrap_or_default();
        let (way, place) = path[1..].split_once('/').expect("a way and a place");
        let code = web().swap_remove(place.parse().unwrap());
        match way {
            "at-once" => Box::pin(ready(Err(code))),
            "later" => {
                let mut asked = false;
                Box::pin(poll_fn(move |cx| {
                    if std::mem::replace(&mut asked, true) {
                        return Poll::Ready(Err(code.clone()));
                    }
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }))
            }
            _ => Box::pin(ready(Ok(Response {
                status: 200,
                headers: Fields::new(),
                body: Box::new(Frames::new([Err(code)])),
            }))),
        }
    }
}
