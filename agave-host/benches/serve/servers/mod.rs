//! The servers: what is compared.

mod agave;
mod native;
mod wasmtime_http;
mod wasmtime_serve;
mod wasmtime_tuned;

use crate::Failure;
use crate::child::{Server, end_with_parent};
use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

/// A column of the comparison.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    /// hyper, answering by itself.
    Hyper,
    /// wasmtime's HTTP host, set up as `wasmtime serve` sets itself up.
    Wasmtime,
    /// wasmtime's HTTP host on our engine, our pool, and an executor a core: what our settings
    /// give without our code.
    WasmtimeTuned,
    /// Ours.
    Agave,
}

impl Column {
    pub(crate) const ALL: [Self; 4] = [
        Self::Hyper,
        Self::Wasmtime,
        Self::WasmtimeTuned,
        Self::Agave,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hyper => "hyper",
            Self::Wasmtime => "wasmtime-serve",
            Self::WasmtimeTuned => "wasmtime-tuned",
            Self::Agave => "agave",
        }
    }

    /// Whether it can serve `guest`.
    pub(crate) fn serves(self, guest: Guest) -> bool {
        self != Self::WasmtimeTuned || guest != Guest::HelloP3
    }
}

impl FromStr for Column {
    type Err = Failure;

    fn from_str(name: &str) -> Result<Self, Failure> {
        let column = Self::ALL.into_iter().find(|column| column.name() == name);
        column.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("no server `{name}`: {names}").into()
        })
    }
}

/// A component to serve.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guest {
    /// Hello world on no library at all.
    HelloTiny,
    /// Hello world on Rust's standard library.
    Hello,
    /// Hello world of WASI 0.3, on no library at all.
    HelloP3,
    /// A program with a route that computes.
    Testbed,
}

impl Guest {
    pub(crate) const ALL: [Self; 4] = [Self::HelloTiny, Self::Hello, Self::HelloP3, Self::Testbed];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::HelloTiny => "hello_tiny",
            Self::Hello => "hello",
            Self::HelloP3 => "hello_p3",
            Self::Testbed => "testbed",
        }
    }

    fn component(self) -> Result<Vec<u8>, Failure> {
        let guests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/guests");
        let path = guests.join(self.name()).with_extension("wasm");
        std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()).into())
    }
}

impl FromStr for Guest {
    type Err = Failure;

    fn from_str(name: &str) -> Result<Self, Failure> {
        let guest = Self::ALL.into_iter().find(|guest| guest.name() == name);
        guest.ok_or_else(|| format!("no guest `{name}`").into())
    }
}

/// How a server treats its guests.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) timeout: Option<Duration>,
    /// Whether an instance answers several requests, as many as wasmtime has for a default with
    /// WASI 0.3.
    pub(crate) reuse: bool,
}

impl Settings {
    /// A fresh instance a request.
    pub(crate) fn fresh(timeout: Option<Duration>) -> Self {
        Self {
            timeout,
            reuse: false,
        }
    }
}

/// How many requests an instance of WASI 0.3 has where it is reused, and how many at once.
const REUSE: usize = 128;
const AT_ONCE: usize = 16;

/// Starts a server.
pub(crate) fn start(column: Column, guest: Guest, settings: Settings) -> Result<Server, Failure> {
    let timeout = settings.timeout.map_or(0, |timeout| timeout.as_secs());
    let reuse = settings.reuse.to_string();
    Server::start(&[column.name(), guest.name(), &timeout.to_string(), &reuse])
}

/// Runs the server that the arguments name; it tells its address on standard output, and does
/// not end.
pub(crate) fn serve(mut arguments: impl Iterator<Item = String>) -> Result<(), Failure> {
    let mut next = || arguments.next().ok_or("a server needs four arguments");
    let (column, guest, timeout) = (next()?.parse()?, next()?.parse()?, next()?.parse()?);
    let reuse = next()?.parse()?;
    end_with_parent();
    let timeout = (timeout > 0).then_some(Duration::from_secs(timeout));
    run(column, guest, Settings { timeout, reuse })
}

fn run(column: Column, guest: Guest, settings: Settings) -> Result<(), Failure> {
    match column {
        Column::Hyper => native::run(),
        Column::Wasmtime => wasmtime_serve::run(guest, settings),
        Column::WasmtimeTuned => wasmtime_tuned::run(&guest.component()?, settings.timeout),
        Column::Agave => agave::run(&guest.component()?, settings),
    }
}

/// Where every server listens: on a port that the system chooses.
const ANY_PORT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Accepts connections on the multi-threaded runtime that this is called in, and spawns what
/// `serve` makes of each.
async fn accept<F>(serve: impl Fn(tokio::net::TcpStream) -> F) -> Result<(), Failure>
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = tokio::net::TcpListener::bind(ANY_PORT).await?;
    println!("{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(serve(stream));
    }
}
