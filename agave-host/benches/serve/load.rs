//! Clients on keep-alive connections: each asks again as soon as it has its answer.

use crate::Failure;
use crate::histogram::Histogram;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The load on one server for one window.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) path: &'static str,
    /// What the answer has in it.
    pub(crate) answer: &'static str,
    pub(crate) connections: usize,
}

/// What came of a load.
pub(crate) struct Outcome {
    pub(crate) latencies: Histogram,
    pub(crate) window: Duration,
}

impl Outcome {
    /// Requests a second.
    pub(crate) fn rate(&self) -> f64 {
        self.latencies.count() as f64 / self.window.as_secs_f64()
    }
}

/// Open connections, each of which has had an answer.
pub(crate) struct Clients {
    load: Load,
    connections: Vec<Connection>,
}

impl Clients {
    /// Connects, and keeps every `nth` connection of `nth` times as many: from a server that
    /// deals connections out to its cores in turn, those of one core.
    pub(crate) async fn connect(
        address: SocketAddr,
        load: Load,
        nth: usize,
    ) -> Result<Self, Failure> {
        let mut connections = Vec::new();
        for _ in 0..load.connections * nth {
            connections.push(Connection::open(address, load).await?);
        }
        for connection in &mut connections {
            connection.ask().await?;
        }
        let connections = connections.into_iter().step_by(nth).collect();
        Ok(Self { load, connections })
    }

    /// Asks until `end`, and counts what was asked after `begin`. A failed request fails all.
    pub(crate) async fn run(self, begin: Instant, end: Instant) -> Result<Outcome, Failure> {
        let mut tasks = tokio::task::JoinSet::new();
        for connection in self.connections {
            tasks.spawn(connection.run(begin, end));
        }
        let mut latencies = Histogram::new();
        while let Some(result) = tasks.join_next().await {
            latencies.merge(&result??);
        }
        match latencies.count() {
            0 => Err(format!("no answer from {} in time", self.load.path).into()),
            _ => Ok(Outcome {
                latencies,
                window: end - begin,
            }),
        }
    }
}

struct Connection {
    stream: TcpStream,
    request: String,
    answer: &'static str,
    buffer: Vec<u8>,
    /// How long the last answer was, and its body: most often the next one is like it, and
    /// need not be taken apart.
    last: (usize, Vec<u8>),
}

impl Connection {
    async fn open(address: SocketAddr, load: Load) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            request: format!("GET {} HTTP/1.1\r\nHost: localhost\r\n\r\n", load.path),
            answer: load.answer,
            buffer: Vec::with_capacity(4096),
            last: (0, Vec::new()),
        })
    }

    async fn run(mut self, begin: Instant, end: Instant) -> Result<Histogram, Failure> {
        let mut latencies = Histogram::new();
        let mut asked = Instant::now();
        while asked < end {
            self.ask().await?;
            let answered = Instant::now();
            if asked >= begin && answered <= end {
                latencies.add(answered - asked);
            }
            asked = answered;
        }
        Ok(latencies)
    }

    async fn ask(&mut self) -> Result<(), Failure> {
        self.stream.write_all(self.request.as_bytes()).await?;
        self.buffer.clear();
        while !self.is_whole()? {
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server closed a connection".into());
            }
        }
        Ok(())
    }

    /// Whether all of the answer is there.
    fn is_whole(&mut self) -> Result<bool, Failure> {
        if self.buffer.len() == self.last.0
            && self.buffer.starts_with(b"HTTP/1.1 200 ")
            && self.buffer.ends_with(&self.last.1)
        {
            return Ok(true);
        }
        let Some(end) = position(&self.buffer, b"\r\n\r\n") else {
            return Ok(false);
        };
        let (head, body) = self.buffer.split_at(end + 4);
        let head = std::str::from_utf8(head)?;
        let field = |name: &str| {
            head.split("\r\n")
                .filter_map(|line| line.split_once(':'))
                .find(|(field, _)| field.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim())
        };
        let whole = match field("content-length") {
            Some(length) => body.len() >= length.parse()?,
            None => body.ends_with(b"0\r\n\r\n"),
        };
        let right = head.starts_with("HTTP/1.1 200 ")
            && (!whole || position(body, self.answer.as_bytes()).is_some());
        if !right {
            let answer = String::from_utf8_lossy(&self.buffer);
            return Err(format!("a wrong answer: {answer:?}").into());
        }
        if whole {
            self.last = (self.buffer.len(), body.to_vec());
        }
        Ok(whole)
    }
}

fn position(within: &[u8], part: &[u8]) -> Option<usize> {
    within.windows(part.len()).position(|window| window == part)
}
