//! Peers for guests to dial, each on a port of its own.

use super::http::{Body, Head};
use super::{PATIENCE, wait_until};
use std::io::{self, BufReader, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// A server whose connections each have a thread. Dropping it stops listening.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    ended: Arc<AtomicBool>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    accepted: AtomicUsize,
    finished: AtomicUsize,
}

impl Peer {
    /// On IPv4.
    pub(crate) fn new(serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self::on(Ipv4Addr::LOCALHOST.into(), serve).expect("a port")
    }

    /// On IPv6; `None` on a machine without.
    pub(crate) fn v6(
        serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> Option<Self> {
        Self::on(Ipv6Addr::LOCALHOST.into(), serve).ok()
    }

    fn on(
        ip: IpAddr,
        serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((ip, 0))?;
        let address = listener.local_addr()?;
        let (ended, counts) = (Arc::<AtomicBool>::default(), Arc::<Counts>::default());
        thread::spawn({
            let (ended, counts, serve) = (ended.clone(), counts.clone(), Arc::new(serve));
            move || {
                for stream in listener.incoming() {
                    if ended.load(Ordering::SeqCst) {
                        return;
                    }
                    let Ok(stream) = stream else { continue };
                    let _ = stream.set_read_timeout(Some(PATIENCE));
                    counts.accepted.fetch_add(1, Ordering::SeqCst);
                    let (serve, counts) = (serve.clone(), counts.clone());
                    thread::spawn(move || {
                        // It is the guest that the tests look at, and who is gone is gone.
                        let _ = serve(stream);
                        counts.finished.fetch_add(1, Ordering::SeqCst);
                    });
                }
            }
        });
        Ok(Self {
            address,
            ended,
            counts,
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// `host=H&port=P`.
    pub(crate) fn query(&self) -> String {
        format!("host={}&port={}", self.address.ip(), self.port())
    }

    /// How many connections it has had.
    pub(crate) fn accepted(&self) -> usize {
        self.counts.accepted.load(Ordering::SeqCst)
    }

    /// Waits until it has had so many connections, and all of them have ended.
    #[track_caller]
    pub(crate) fn wait_until_finished(&self, connections: usize) {
        wait_until(
            &format!("{connections} connections to the peer have ended"),
            || self.counts.finished.load(Ordering::SeqCst) == connections,
        );
        assert_eq!(self.accepted(), connections);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        // Wakes it.
        let _ = TcpStream::connect(self.address);
    }
}

/// Reads until the other side ends, and drops what comes.
pub(crate) fn drain(mut stream: &TcpStream) -> io::Result<()> {
    io::copy(&mut stream, &mut io::sink()).map(drop)
}

/// Answers `echo:` and what it got, once it has seen the end.
pub(crate) fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut bytes = b"echo:".to_vec();
    stream.read_to_end(&mut bytes)?;
    stream.write_all(&bytes)
}

/// Closes at once.
pub(crate) fn close(stream: TcpStream) -> io::Result<()> {
    drop(stream);
    Ok(())
}

/// Never answers, and closes when the other side does.
pub(crate) fn silent(stream: TcpStream) -> io::Result<()> {
    drain(&stream)
}

/// Resets the connection once something came: what closes with unread bytes does that.
pub(crate) fn reset(stream: TcpStream) -> io::Result<()> {
    stream.peek(&mut [0])?;
    Ok(())
}

/// Answers at once with so many bytes.
pub(crate) fn pour(bytes: usize) -> impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static {
    move |mut stream| {
        stream.write_all(&vec![b'x'; bytes])?;
        stream.shutdown(std::net::Shutdown::Write)?;
        // Closing with unread bytes would reset.
        drain(&stream)
    }
}

/// Reads a request's head, then hands the stream on.
pub(crate) fn after_head(
    serve: impl Fn(TcpStream, Head) -> io::Result<()> + Send + Sync + 'static,
) -> impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static {
    move |stream| {
        let head = Head::read(&mut BufReader::new(&stream))?;
        serve(stream, head)
    }
}

/// Answers as a request's head came with `text` as it is, and closes.
pub(crate) fn says(
    text: &'static str,
) -> impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static {
    after_head(move |mut stream, _| stream.write_all(text.as_bytes()))
}

/// An HTTP server on kept connections: `answer` gives the whole response to a request.
pub(crate) fn http(
    answer: impl Fn(&Head, Vec<u8>) -> String + Send + Sync + 'static,
) -> impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static {
    move |stream| {
        let mut input = BufReader::new(&stream);
        loop {
            let head = Head::read(&mut input)?;
            let (body, end) = Body::of_request(&mut input, &head).rest();
            end?;
            (&stream).write_all(answer(&head, body).as_bytes())?;
        }
    }
}

/// A port that refuses as long as this lives: it is taken, but by a connection.
pub(crate) struct Refusing {
    pub(crate) port: u16,
    _taken: (TcpListener, TcpStream),
}

impl Refusing {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let stream = TcpStream::connect(listener.local_addr().unwrap()).expect("a connection");
        Self {
            port: stream.local_addr().unwrap().port(),
            _taken: (listener, stream),
        }
    }
}
