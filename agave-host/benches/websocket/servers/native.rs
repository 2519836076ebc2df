//! hyper and tungstenite without any component, on an executor a core as ours: the most that a
//! server could reach.

use crate::Failure;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::io::{self, ErrorKind, Read, Write};
use std::num::NonZero;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime;
use tokio::sync::mpsc::{self, UnboundedSender};
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Error, Message};

/// As our server has it, with room for a frame's header. tungstenite's own choice is 128 KiB,
/// which it clears before each read.
const BUFFER: usize = (16 << 10) + 14;

/// Gives each connection to one of the cores in turn.
pub(crate) fn run() -> Result<(), Failure> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let cores = std::iter::repeat_with(start_core).take(cores);
    let cores = cores.collect::<io::Result<Vec<_>>>()?;
    let listener = std::net::TcpListener::bind(super::ANY_PORT)?;
    println!("{}", listener.local_addr()?);
    for core in cores.iter().cycle() {
        let (stream, _) = listener.accept()?;
        stream.set_nonblocking(true)?;
        core.send(stream)?;
    }
    Ok(())
}

/// A core's inbox.
fn start_core() -> io::Result<UnboundedSender<std::net::TcpStream>> {
    let (sender, mut streams) = mpsc::unbounded_channel();
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            while let Some(stream) = streams.recv().await {
                if let Ok(stream) = TcpStream::from_std(stream) {
                    tokio::spawn(serve(stream));
                }
            }
        });
    });
    Ok(sender)
}

/// Serves one connection until its client leaves.
async fn serve(stream: TcpStream) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let connection = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service_fn(upgrade))
        .with_upgrades();
    // A client that leaves is no error.
    let _ = connection.await;
}

async fn upgrade(mut request: Request<Incoming>) -> Result<Response<Empty<Bytes>>, Failure> {
    let key = request.headers().get(header::SEC_WEBSOCKET_KEY);
    let key = derive_accept_key(key.ok_or("no key")?.as_bytes());
    let upgraded = hyper::upgrade::on(&mut request);
    tokio::spawn(async {
        if let Ok(upgraded) = upgraded.await {
            echo(TokioIo::new(upgraded)).await;
        }
    });
    let mut response = Response::new(Empty::new());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, key.parse()?);
    Ok(response)
}

/// Echoes until the connection ends.
async fn echo(mut io: impl AsyncRead + AsyncWrite + Unpin) {
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER);
    let mut socket = WebSocketContext::new(Role::Server, Some(config));
    let mut blocked = false;
    let ended = poll_fn(|cx| -> Poll<Result<(), Box<Error>>> {
        let mut io = Polled { io: &mut io, cx };
        loop {
            // What the client does not take keeps the next message from being read.
            if std::mem::take(&mut blocked) && would_block(socket.flush(&mut io))? {
                blocked = true;
                return Poll::Pending;
            }
            match socket.read(&mut io) {
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => {
                    blocked = would_block(socket.write(&mut io, message))?;
                }
                Ok(_) => {}
                // All that came has its echo: it goes out in one go.
                Err(error) => {
                    would_block(Err(error))?;
                    blocked = would_block(socket.flush(&mut io))?;
                    return Poll::Pending;
                }
            }
        }
    });
    // A client that leaves is no error.
    let _ = ended.await;
}

/// Whether it has to wait for the network.
fn would_block(result: Result<(), Error>) -> Result<bool, Box<Error>> {
    match result {
        Ok(()) => Ok(false),
        Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => Ok(true),
        Err(error) => Err(Box::new(error)),
    }
}

/// A stream of tokio's as tungstenite wants it, within one poll: what is not ready is an error.
struct Polled<'a, 'b, T> {
    io: &'a mut T,
    cx: &'a mut Context<'b>,
}

fn ready<R>(poll: Poll<io::Result<R>>) -> io::Result<R> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(ErrorKind::WouldBlock.into()),
    }
}

impl<T: AsyncRead + Unpin> Read for Polled<'_, '_, T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let mut buf = ReadBuf::new(bytes);
        ready(Pin::new(&mut *self.io).poll_read(self.cx, &mut buf))?;
        Ok(buf.filled().len())
    }
}

impl<T: AsyncWrite + Unpin> Write for Polled<'_, '_, T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        ready(Pin::new(&mut *self.io).poll_write(self.cx, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        ready(Pin::new(&mut *self.io).poll_flush(self.cx))
    }
}
