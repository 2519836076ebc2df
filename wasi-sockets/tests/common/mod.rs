//! A guest's view of sockets, waiting on pollables with any executor.
#![allow(dead_code, unreachable_pub)]

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use wasi_io::{DynInputStream, DynOutputStream, Pollable, StreamError};
use wasi_sockets::{
    DynNetwork, DynTcpSocket, DynUdpSocket, ErrorCode, IpAddressFamily, Network, WasiSocketsCtx,
};

/// A connection as a guest has it.
pub struct Connection {
    pub socket: DynTcpSocket,
    pub input: DynInputStream,
    pub output: DynOutputStream,
}

/// A guest on a network whose own address is `local`.
pub struct Guest {
    pub ctx: WasiSocketsCtx,
    pub net: DynNetwork,
    pub local: SocketAddr,
}

pub async fn ready(pollable: &mut impl Pollable) {
    poll_fn(|cx| pollable.poll_ready(cx)).await
}

impl Guest {
    pub fn new(network: Arc<dyn Network>, local: &str) -> Self {
        let ctx = WasiSocketsCtx::new()
            .network(network)
            .allow_name_lookup(true);
        Self {
            net: ctx.instance_network(),
            local: SocketAddr::new(local.parse().unwrap(), 0),
            ctx,
        }
    }

    pub fn family(&self) -> IpAddressFamily {
        match self.local {
            SocketAddr::V4(_) => IpAddressFamily::Ipv4,
            SocketAddr::V6(_) => IpAddressFamily::Ipv6,
        }
    }

    pub fn socket(&self) -> DynTcpSocket {
        DynTcpSocket::new(&self.ctx, self.family()).unwrap()
    }

    pub fn udp_socket(&self) -> DynUdpSocket {
        DynUdpSocket::new(&self.ctx, self.family()).unwrap()
    }

    pub async fn bind(&self, socket: &mut DynTcpSocket, to: SocketAddr) -> Result<(), ErrorCode> {
        socket.start_bind(&self.net, to)?;
        ready(socket).await;
        socket.finish_bind()
    }

    pub async fn listen(&self, to: SocketAddr) -> Result<DynTcpSocket, ErrorCode> {
        let mut socket = self.socket();
        self.bind(&mut socket, to).await?;
        socket.start_listen()?;
        ready(&mut socket).await;
        socket.finish_listen()?;
        Ok(socket)
    }

    pub async fn connect_with(
        &self,
        mut socket: DynTcpSocket,
        to: SocketAddr,
    ) -> Result<Connection, ErrorCode> {
        socket.start_connect(&self.net, to)?;
        ready(&mut socket).await;
        let (input, output) = socket.finish_connect()?;
        Ok(Connection {
            socket,
            input: DynInputStream::new(input),
            output: DynOutputStream::new(output),
        })
    }

    pub async fn connect(&self, to: SocketAddr) -> Result<Connection, ErrorCode> {
        self.connect_with(self.socket(), to).await
    }

    /// Both ends of a connection: that which connected, that which was accepted.
    pub async fn pair(&self) -> (Connection, Connection) {
        let mut server = self.listen(self.local).await.unwrap();
        let client = self.connect(server.local_address().unwrap()).await.unwrap();
        (client, accept(&mut server).await)
    }
}

pub async fn accept(server: &mut DynTcpSocket) -> Connection {
    ready(server).await;
    let (socket, input, output) = server.accept().unwrap();
    Connection {
        socket,
        input: DynInputStream::new(input),
        output: DynOutputStream::new(output),
    }
}

impl Connection {
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        let mut left = bytes;
        poll_fn(|cx| self.output.poll_write_all(cx, &mut left)).await
    }

    pub async fn read(&mut self) -> Result<Vec<u8>, StreamError> {
        poll_fn(|cx| self.input.poll_read(cx, 64 << 10))
            .await
            .map(Vec::from)
    }

    /// All until the peer's end.
    pub async fn read_to_end(&mut self) -> Result<Vec<u8>, StreamError> {
        let mut all = Vec::new();
        loop {
            match self.read().await {
                Ok(bytes) => all.extend(bytes),
                Err(StreamError::Closed) => return Ok(all),
                Err(error) => return Err(error),
            }
        }
    }
}

/// The code in a stream's error.
pub fn code(error: &StreamError) -> Option<ErrorCode> {
    match error {
        StreamError::LastOperationFailed(cause) => cause.downcast_ref().copied(),
        StreamError::Closed => None,
    }
}

/// Both at the same time, in one task.
pub async fn join<A, B>(a: impl Future<Output = A>, b: impl Future<Output = B>) -> (A, B) {
    let (mut a, mut b) = (pin!(a), pin!(b));
    let (mut a_done, mut b_done) = (None, None);
    poll_fn(|cx| {
        if a_done.is_none()
            && let Poll::Ready(done) = a.as_mut().poll(cx)
        {
            a_done = Some(done);
        }
        if b_done.is_none()
            && let Poll::Ready(done) = b.as_mut().poll(cx)
        {
            b_done = Some(done);
        }
        match (a_done.take(), b_done.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (a_done, b_done) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

/// A machine may be without IPv6.
pub fn has(local: &str) -> bool {
    let there = std::net::TcpListener::bind((local, 0)).is_ok();
    assert!(there || local == "::1", "no IPv4 loopback");
    there
}

pub mod run {
    use std::future::Future;
    use tokio::runtime::Builder;

    pub fn bare(scenario: impl Future<Output = ()>) {
        pollster::block_on(scenario);
    }

    pub fn one_thread(scenario: impl Future<Output = ()>) {
        let runtime = Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(scenario);
    }

    pub fn task_of_threads(scenario: impl Future<Output = ()> + Send + 'static) {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(runtime.spawn(scenario)).unwrap();
    }
}
