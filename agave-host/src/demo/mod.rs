//! A first program for a new host: it tries every major API of WASI 0.2, and WebSockets, checks
//! what comes back, and prints a table.
//!
//! ```no_run
//! use agave_host::{Ctx, Host, demo};
//! use wasi_cli::WasiCliCtx;
//! use wasi_cli::os::SystemStdout;
//!
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let host = Host::builder().build()?;
//! let cli = WasiCliCtx::new("demo").stdout(SystemStdout::stdout());
//! // Whatever your system has: files, a network, HTTP. What is not granted is `denied`.
//! let report = demo::run(&host, Ctx::builder().cli(cli).build()).await?;
//! for row in report.rows {
//!     assert_ne!(row.outcome, demo::Outcome::Failed, "{}: {}", row.name, row.note);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Without a compiler, as on a machine without std, compile [`COMPONENT`] elsewhere and hand
//! it to [`Demo::link`].

mod absent;
mod report;

pub use report::{Outcome, Report, Row};

use crate::{Ctx, Host, LoadError, Program, RunError};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use report::Copying;
use wasi_http::websocket::{self, Established, Handshake, Limits};
use wasi_http::{ErrorCode, Fields, Request, RequestOptions, Response};
use wasmtime::component::Component;

/// The component, in WebAssembly's binary format: `guests/wasi-demo`, whose README says what
/// each row is about.
pub const COMPONENT: &[u8] = include_bytes!("../../assets/wasi_demo.wasm");

/// What the component looks for in its environment, and its arguments.
const GREETING: (&str, &str) = ("AGAVE_DEMO", "a = b, c=d; grüße");
const WORDS: [&str; 5] = ["--agave-demo", "two words", "grüße", "", "\"quoted\""];
const ABSENT: &str = "AGAVE_DEMO_ABSENT";
const HTTP: &str = "AGAVE_DEMO_HTTP";
const WEBSOCKET: &str = "AGAVE_DEMO_WEBSOCKET";

/// What an answer to the component's request says of it.
const ASKED: &str = "x-agave-demo";

/// The subprotocol of who sends the component's messages back.
const ECHO: &str = "echo.agave-demo";

/// [`COMPONENT`], linked with what a host has. Interfaces that the host lacks are told to it,
/// and are `absent` in its table.
#[derive(Clone)]
pub struct Demo {
    program: Program,
    absent: Vec<String>,
    http: Option<String>,
    websocket: Option<String>,
}

/// Runs the demo on `host` with what `ctx` grants: [`Demo::load`], then [`Demo::run`].
///
/// # Errors
/// As theirs; the first one's is in [`RunError::Load`].
#[cfg(feature = "std")]
pub async fn run(host: &Host, ctx: Ctx) -> Result<Report, RunError> {
    Demo::load(host)?.run(ctx).await
}

impl Demo {
    /// Compiles the component for `host`, and links it.
    ///
    /// # Errors
    /// As [`Demo::link`], and [`LoadError::Invalid`]: the host's engine lacks what components
    /// need.
    #[cfg(feature = "std")]
    pub fn load(host: &Host) -> Result<Self, LoadError> {
        let component = Component::from_binary(host.engine(), COMPONENT);
        Self::link(host, &component.map_err(LoadError::Invalid)?)
    }

    /// Links `component`, which is [`COMPONENT`] compiled for this host's engine.
    ///
    /// # Errors
    /// [`LoadError::Import`]: an interface that the host has is another one than WASI's.
    pub fn link(host: &Host, component: &Component) -> Result<Self, LoadError> {
        let mut host = host.clone();
        let absent = absent::define(host.linker(), component).map_err(LoadError::Import)?;
        Ok(Self {
            program: host.link(component)?,
            absent,
            http: None,
            websocket: None,
        })
    }

    /// Sends the HTTP request to `authority`, a host and maybe a port, which answers as
    /// [`answer`] does. Without this it goes to 127.0.0.1, where the demo listens by itself: that
    /// takes a client on the same network as its sockets.
    pub fn http(mut self, authority: impl Into<String>) -> Self {
        self.http = Some(authority.into());
        self
    }

    /// Connects the WebSocket to `url`, whose server agrees on the subprotocol `echo.agave-demo`,
    /// and sends each message back, as [`echo`] does. Without this it goes to 127.0.0.1, where
    /// the demo listens by itself: that takes a connector on the same network as its sockets.
    pub fn websocket(mut self, url: impl Into<String>) -> Self {
        self.websocket = Some(url.into());
        self
    }

    /// The interfaces that the host lacks, such as `wasi:http/types`.
    pub fn absent(&self) -> impl Iterator<Item = &str> {
        self.absent.iter().map(String::as_str)
    }

    /// Runs the demo with what `ctx` grants, and arguments and variables of its own after
    /// those. Its table goes to the standard output of `ctx`, a row at a time, and is given back
    /// as well. Its exit code is 1 where a row failed, otherwise 0.
    ///
    /// What the demo makes, files among it, it removes.
    ///
    /// # Errors
    /// As [`Program::run`]. The table breaks off in the row that was being tried.
    pub async fn run(&self, mut ctx: Ctx) -> Result<Report, RunError> {
        let (name, greeting) = GREETING;
        let mut cli = ctx.cli.args(WORDS).env(name, greeting);
        if !self.absent.is_empty() {
            cli = cli.env(ABSENT, self.absent.join(" "));
        }
        if let Some(authority) = &self.http {
            cli = cli.env(HTTP, authority);
        }
        if let Some(url) = &self.websocket {
            cli = cli.env(WEBSOCKET, url);
        }
        let copy = Copying::new(cli.get_stdout().clone());
        ctx.cli = cli.stdout(copy.clone());
        let exit = self.program.run(ctx).await?;
        Ok(Report {
            exit,
            rows: report::rows(&copy.text()),
        })
    }
}

/// Answers the demo's HTTP request, as the server that [`Demo::http`] names: with what was asked
/// in a field, and the content that came.
///
/// ```
/// use agave_host::demo;
/// use wasi_http::memory::Service;
///
/// let client = Service::new(demo::answer);
/// ```
///
/// # Errors
/// [`ErrorCode::HttpRequestUriInvalid`]: the path is nothing that a field can have.
pub fn answer(request: Request, _: RequestOptions) -> Result<Response, ErrorCode> {
    let path = request.path_with_query.unwrap_or_default();
    let asked = [request.method.as_str(), &path].join(" ");
    let mut headers = Fields::new();
    headers
        .append(ASKED, asked)
        .map_err(|_| ErrorCode::HttpRequestUriInvalid)?;
    Ok(Response {
        status: 200,
        headers,
        body: request.body,
    })
}

/// Sends the messages of the demo's WebSocket back, as the server that [`Demo::websocket`] names.
///
/// ```
/// use agave_host::demo;
/// use wasi_http::websocket::memory::Service;
///
/// let connector = Service::new(demo::echo);
/// ```
///
/// # Errors
/// [`websocket::ErrorCode::Refused`] with 400: the subprotocol is not offered.
pub fn echo(handshake: Handshake, limits: Limits) -> Result<Established, websocket::ErrorCode> {
    if !handshake.subprotocols.iter().any(|name| name == ECHO) {
        return Err(websocket::ErrorCode::Refused(400));
    }
    Ok(Established {
        socket: Box::new(websocket::memory::echo(limits.queue)),
        subprotocol: Some(ECHO.into()),
    })
}
