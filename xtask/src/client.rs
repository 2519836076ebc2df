//! A small client of HTTP/1.1, for servers that say how long their responses are.

use anyhow::{Context, Result, bail, ensure};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long a response may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection that stays open.
pub struct Client(BufReader<TcpStream>);

impl Client {
    /// Connects to 127.0.0.1.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn connect(port: u16) -> Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).context("connecting")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request for `target`.
    ///
    /// # Errors
    /// The connection has ended.
    pub fn send(&mut self, target: &str) -> Result<()> {
        let request = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
        Ok(self.0.get_mut().write_all(request.as_bytes())?)
    }

    /// The status and the content of a response.
    ///
    /// # Errors
    /// It did not come, or is not understood.
    pub fn receive(&mut self) -> Result<(u16, Vec<u8>)> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).context("no status")?.parse()?;
        let (mut length, mut chunked) = (None, false);
        loop {
            let line = self.line()?.to_ascii_lowercase();
            match line.split_once(':') {
                None if line.is_empty() => break,
                None => bail!("no field: {line:?}"),
                Some(("content-length", value)) => length = Some(value.trim().parse()?),
                Some(("transfer-encoding", value)) => chunked = value.trim() == "chunked",
                Some(_) => {}
            }
        }
        let mut body = Vec::new();
        match length {
            Some(length) => self.read(length, &mut body)?,
            None if chunked => loop {
                let size = usize::from_str_radix(&self.line()?, 16).context("a chunk's size")?;
                self.read(size, &mut body)?;
                ensure!(self.line()?.is_empty(), "a chunk has no end");
                if size == 0 {
                    break;
                }
            },
            None => bail!("the response has no length"),
        }
        Ok((status, body))
    }

    /// The response to a request for `target`.
    ///
    /// # Errors
    /// As those of [`Client::send`] and [`Client::receive`].
    pub fn get(&mut self, target: &str) -> Result<(u16, String)> {
        self.send(target)?;
        let (status, body) = self.receive()?;
        Ok((status, String::from_utf8(body)?))
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.0.read_line(&mut line)? > 0, "the connection ended");
        Ok(line.trim_end().to_owned())
    }

    fn read(&mut self, length: usize, body: &mut Vec<u8>) -> Result<()> {
        let read = self.0.by_ref().take(length as u64).read_to_end(body)?;
        ensure!(read == length, "the connection ended in the content");
        Ok(())
    }
}
