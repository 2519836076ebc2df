//! Serves the AI agent with a network that reaches one address and nothing else:
//!
//! ```sh
//! cargo run -p agave-host --example one_address -- 127.0.0.1:9090
//! ```
//!
//! A backend is a trait with few methods that must be written. This one wraps another network
//! and refuses what is not allowed: guests get `access-denied`.

use agave_host::os::{Server, ServerOptions};
use agave_host::{Ctx, Host, Service};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use wasi_sockets::os::OsNetwork;
use wasi_sockets::{
    ErrorCode, IpAddressFamily, Network, Socket, SocketOption, TcpListener, TcpSocket, TcpStream,
};

/// The network that it wraps, as far as it leads to one address. Names are not looked up: the
/// default of that method is `not-supported`.
struct OneAddress(SocketAddr, OsNetwork);

impl Network for OneAddress {
    fn tcp_socket(&self, family: IpAddressFamily) -> Result<Box<dyn TcpSocket>, ErrorCode> {
        Ok(Box::new(OneAddressSocket(
            self.0,
            self.1.tcp_socket(family)?,
        )))
    }
}

struct OneAddressSocket(SocketAddr, Box<dyn TcpSocket>);

impl TcpSocket for OneAddressSocket {
    fn poll_connect(
        &mut self,
        cx: &mut Context<'_>,
        remote: SocketAddr,
    ) -> Poll<Result<Arc<dyn TcpStream>, ErrorCode>> {
        match remote == self.0 {
            true => self.1.poll_connect(cx, remote),
            false => Poll::Ready(Err(ErrorCode::AccessDenied)),
        }
    }

    fn poll_bind(&mut self, _: &mut Context<'_>, _: SocketAddr) -> Poll<Result<(), ErrorCode>> {
        Poll::Ready(Err(ErrorCode::AccessDenied))
    }

    fn poll_listen(
        &mut self,
        _: &mut Context<'_>,
        _: u32,
    ) -> Poll<Result<Arc<dyn TcpListener>, ErrorCode>> {
        Poll::Ready(Err(ErrorCode::AccessDenied))
    }
}

impl Socket for OneAddressSocket {
    fn local_address(&self) -> Result<SocketAddr, ErrorCode> {
        self.1.local_address()
    }

    fn option(&self, option: SocketOption) -> Result<u64, ErrorCode> {
        self.1.option(option)
    }

    fn set_option(&self, option: SocketOption, value: u64) -> Result<(), ErrorCode> {
        self.1.set_option(option, value)
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let allowed: SocketAddr = match std::env::args().nth(1) {
        Some(address) => address.parse()?,
        None => return Err("name the address that the agent may reach, as IP:PORT".into()),
    };
    let agent = include_bytes!("../assets/ai_agent_sockets.wasm");
    let program = Host::builder().build()?.load(agent)?;
    let server = Server::bind("127.0.0.1:0".parse()?, ServerOptions::new())?;
    println!("http://{}/ reaches {allowed} only", server.address()?);
    let service = Service::new(
        program,
        move |_| {
            let network = OneAddress(allowed, OsNetwork::current());
            Ctx::builder().network(Arc::new(network)).build()
        },
        Arc::new(server.cores().clone()),
    )?;
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(server.serve(service, std::future::pending()))?;
    Ok(())
}
