use crate::common::Failure;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

/// The other end of each connection. Its threads end with the process.
pub(crate) struct Peer {
    /// The port that gives back what comes.
    pub(crate) echo: u16,
    /// The port that takes what comes, and answers the end with one byte.
    pub(crate) sink: u16,
    /// The port that sends as many bytes as it is asked for.
    pub(crate) source: u16,
}

impl Peer {
    pub(crate) fn start() -> Result<Self, Failure> {
        Ok(Self {
            echo: listen(echo)?,
            sink: listen(sink)?,
            source: listen(source)?,
        })
    }
}

/// Does `serve` with each connection, and says on which port.
fn listen(serve: fn(TcpStream) -> io::Result<()>) -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for connection in listener.incoming() {
            // What failed here the other end sees, too.
            let _ = connection.and_then(serve);
        }
    });
    Ok(port)
}

fn echo(mut connection: TcpStream) -> io::Result<()> {
    connection.set_nodelay(true)?;
    let mut buf = vec![0; 64 << 10];
    loop {
        match connection.read(&mut buf)? {
            0 => return Ok(()),
            n => connection.write_all(&buf[..n])?,
        }
    }
}

fn sink(mut connection: TcpStream) -> io::Result<()> {
    let mut buf = vec![0; 256 << 10];
    while connection.read(&mut buf)? > 0 {}
    connection.write_all(&[0])
}

fn source(mut connection: TcpStream) -> io::Result<()> {
    let mut count = [0; 8];
    connection.read_exact(&mut count)?;
    let mut left = u64::from_le_bytes(count);
    let buf = vec![b'r'; 256 << 10];
    while left > 0 {
        let n = left.min(buf.len() as u64);
        connection.write_all(&buf[..n as usize])?;
        left -= n;
    }
    Ok(())
}
