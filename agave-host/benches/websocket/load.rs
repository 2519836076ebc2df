//! Clients that send messages and wait for their echoes. They speak no more of the protocol than
//! that takes, and each frame is made once: little of the machine goes to them.

use crate::Failure;
use bytes::BytesMut;
use std::net::SocketAddr;
use std::time::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The load on one server for one window.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    /// The length of a message in bytes.
    pub(crate) message: usize,
    /// How many messages a connection sends before it waits for the echoes of all.
    pub(crate) at_once: usize,
}

/// Open connections, each of which has echoed.
pub(crate) struct Clients {
    load: Load,
    connections: Vec<Connection>,
}

impl Clients {
    pub(crate) async fn connect(address: SocketAddr, load: Load) -> Result<Self, Failure> {
        let mut connections = Vec::new();
        for _ in 0..load.connections {
            connections.push(Connection::open(address, load).await?);
        }
        for connection in &mut connections {
            connection.echo().await?;
        }
        Ok(Self { load, connections })
    }

    /// Sends until `end`, and says how many messages came back after `begin`. A connection that
    /// fails, or an echo that is none, fails all.
    pub(crate) async fn run(self, begin: Instant, end: Instant) -> Result<u64, Failure> {
        let mut tasks = JoinSet::new();
        for connection in self.connections {
            tasks.spawn(connection.run(begin, end));
        }
        let mut rounds = 0;
        while let Some(result) = tasks.join_next().await {
            rounds += result??;
        }
        match rounds * self.load.at_once as u64 {
            0 => Err("no message came back in time".into()),
            messages => Ok(messages),
        }
    }
}

struct Connection {
    stream: TcpStream,
    /// All the frames that are sent at once.
    request: Vec<u8>,
    /// All the frames that come back.
    echoes: Vec<u8>,
    buffer: BytesMut,
}

impl Connection {
    async fn open(address: SocketAddr, load: Load) -> Result<Self, Failure> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        // The example of RFC 6455, section 1.3.
        let upgrade = "GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
                       Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                       Sec-WebSocket-Version: 13\r\n\r\n";
        stream.write_all(upgrade.as_bytes()).await?;
        let mut head = BytesMut::new();
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read_buf(&mut head).await? == 0 {
                return Err("the server closed a connection".into());
            }
        }
        if !head.starts_with(b"HTTP/1.1 101 ") {
            let head = String::from_utf8_lossy(&head);
            return Err(format!("not a WebSocket: {head:?}").into());
        }
        let content: Vec<u8> = (0..load.message).map(|at| at as u8).collect();
        let echoes = frame(&content, None)?.repeat(load.at_once);
        Ok(Self {
            stream,
            request: frame(&content, Some([0x37, 0xfa, 0x21, 0x3d]))?.repeat(load.at_once),
            // With room for more, the system need not be asked whether there is more.
            buffer: BytesMut::with_capacity(echoes.len() + 1),
            echoes,
        })
    }

    async fn run(mut self, begin: Instant, end: Instant) -> Result<u64, Failure> {
        let mut rounds = 0;
        let mut sent = Instant::now();
        while sent < end {
            self.echo().await?;
            let answered = Instant::now();
            if sent >= begin && answered <= end {
                rounds += 1;
            }
            sent = answered;
        }
        Ok(rounds)
    }

    async fn echo(&mut self) -> Result<(), Failure> {
        self.buffer.clear();
        let (mut reader, mut writer) = self.stream.split();
        let receive = async {
            while self.buffer.len() < self.echoes.len() {
                if reader.read_buf(&mut self.buffer).await? == 0 {
                    return Err("the server closed a connection".into());
                }
            }
            Ok(())
        };
        let send = async { Ok::<_, Failure>(writer.write_all(&self.request).await?) };
        tokio::try_join!(send, receive)?;
        match self.buffer == self.echoes {
            true => Ok(()),
            false => Err("what came back is not what was sent".into()),
        }
    }
}

/// A binary message in one frame (RFC 6455, section 5.2).
fn frame(content: &[u8], mask: Option<[u8; 4]>) -> Result<Vec<u8>, Failure> {
    let masked = match mask {
        Some(_) => 0x80,
        None => 0,
    };
    let mut frame = vec![0x82];
    match content.len() {
        len @ ..126 => frame.push(masked | len as u8),
        len => {
            frame.push(masked | 126);
            frame.extend(u16::try_from(len)?.to_be_bytes());
        }
    }
    frame.extend(mask.iter().flatten());
    let mask = mask.unwrap_or_default().into_iter().cycle();
    frame.extend(content.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
    Ok(frame)
}
