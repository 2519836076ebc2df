//! The flags that `run` and `serve` have in common: what a guest is granted, and its limits.

use super::Failure;
use super::directories::{Dir, Fs, Preopen};
use super::network::NetworkFlags;
use super::options::{Codegen, Wasi, Wasm, duration, environment, size};
use agave_host::{Ctx, CtxBuilder, HostBuilder};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use wasi_cli::WasiCliCtx;
use wasi_filesystem::os::Mode;
use wasi_http::Client;
use wasi_http::websocket::{Connector, WasiWebSocketCtx};
use wasi_sockets::{NetworkPolicy, Refusal};

#[derive(clap::Args)]
#[command(next_help_heading = "What guests are granted, and their limits")]
pub(super) struct GrantFlags {
    /// Grant what WASI has: inherit-network (all of the network), inherit-env; cli, http and p3
    /// are accepted and always on
    #[arg(short = 'S', value_name = "KEY[=y|n],…")]
    wasi: Vec<String>,

    #[command(flatten)]
    network: NetworkFlags,

    /// Give guests an environment variable; without a value, this process's own
    #[arg(long, value_name = "KEY[=VALUE]")]
    env: Vec<String>,

    /// Give guests a directory under a name of theirs; with `:ro` they can't change it
    #[arg(long, value_name = "HOST[::GUEST][:ro]")]
    dir: Vec<Dir>,

    /// Where the files of `--dir` live: in the host's directories, or in memory, where they are
    /// copied to at the start and gone at the end (up to 256 MiB, shared by all guests of a
    /// server); without any `--dir`, an empty `/` in memory,
    /// for programs that look for directories
    #[arg(long, value_name = "WHERE", default_value = "host")]
    fs: Fs,

    /// Set limits: max-memory-size=BYTES, timeout=TIME
    #[arg(short = 'W', value_name = "KEY=VALUE,…")]
    wasm: Vec<String>,

    /// Set how programs are compiled: cache=n does not keep what is compiled
    #[arg(short = 'C', value_name = "KEY[=VALUE],…")]
    codegen: Vec<String>,

    /// How much linear memory an instance may have, such as 64M [default: run 4G, serve 256M]
    #[arg(long, value_name = "BYTES", value_parser = size)]
    max_memory: Option<usize>,

    /// How long a guest may take, such as 500ms or 10s [default: run for ever, serve 60s a
    /// request]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
}

/// What the flags say.
pub(super) struct Grants {
    environment: Vec<(String, String)>,
    network: Reach,
    preopens: Vec<Preopen>,
    /// What is preopened nobody asked for by name.
    implied: bool,
    cache: Option<PathBuf>,
    pub(super) max_memory: Option<usize>,
    pub(super) timeout: Option<Duration>,
}

/// This machine's network, to be granted.
#[derive(Clone)]
pub(super) struct Network {
    pub(super) sockets: Arc<dyn wasi_sockets::Network>,
    pub(super) client: Arc<dyn Client>,
    pub(super) connector: Arc<dyn Connector>,
}

/// What of the network is granted.
enum Reach {
    Nothing,
    All,
    Policy(NetworkPolicy),
}

impl GrantFlags {
    /// What they say; `files` is how those of the host are read and written.
    ///
    /// # Errors
    /// [`Failure::Usage`]: something that is not known, or has a wrong value.
    ///
    /// [`Failure::Failed`]: a directory that can't be given.
    pub(super) fn grants(&self, files: Mode) -> Result<Grants, Failure> {
        let wasi = Wasi::parse(&self.wasi).map_err(Failure::Usage)?;
        let wasm = Wasm::parse(&self.wasm).map_err(Failure::Usage)?;
        let codegen = Codegen::parse(&self.codegen).map_err(Failure::Usage)?;
        let network = match (self.network.policy(), wasi.inherit_network) {
            (None, false) => Reach::Nothing,
            (None, true) => Reach::All,
            (Some(policy), false) => Reach::Policy(policy.report(log_refusal)),
            (Some(policy), true) => Reach::Policy(policy.allow_all().report(log_refusal)),
        };
        Ok(Grants {
            environment: environment(&self.env, wasi.inherit_env).map_err(Failure::Usage)?,
            network,
            implied: self.dir.is_empty(),
            preopens: self.fs.preopens(&self.dir, files)?,
            cache: codegen.cache.then(cache).flatten(),
            max_memory: self.max_memory.or(wasm.max_memory_size),
            timeout: self.timeout.or(wasm.timeout),
        })
    }
}

/// The directory for what is compiled (XDG Base Directory Specification); `None` where there is
/// none or it can't be made.
pub(super) fn cache() -> Option<PathBuf> {
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|it| it.is_absolute())
    };
    let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    let cache = caches?.join("agave/compiled");
    std::fs::create_dir_all(&cache).ok()?;
    Some(cache)
}

pub(super) fn log_refusal(refusal: &Refusal) {
    log::info!("{refusal}");
}

impl Grants {
    /// `host`, with a cache where that is wanted.
    pub(super) fn host(&self, host: HostBuilder) -> HostBuilder {
        match &self.cache {
            Some(directory) => host.cache(directory),
            None => host,
        }
    }

    /// Takes back the directory of `--fs memory` without `--dir`: a program that does not look
    /// for it would have a descriptor that it does not expect.
    pub(super) fn without_implied_directory(&mut self) {
        if self.implied {
            self.preopens.clear();
        }
    }

    /// Whether any of the network is granted.
    pub(super) fn have_network(&self) -> bool {
        !matches!(self.network, Reach::Nothing)
    }

    /// The state of a guest with `cli`, the environment apart, and the limits of `websocket`.
    /// `network` is asked where any of it is granted.
    pub(super) fn ctx(
        &self,
        mut cli: WasiCliCtx,
        websocket: WasiWebSocketCtx,
        network: impl FnOnce() -> Network,
    ) -> CtxBuilder {
        for (name, value) in &self.environment {
            cli = cli.env(name, value);
        }
        let mut ctx = Ctx::builder().cli(cli).websocket(websocket);
        for (directory, name) in &self.preopens {
            ctx = ctx.preopen(directory.clone(), name);
        }
        match &self.network {
            Reach::Nothing => ctx,
            Reach::All => {
                let Network {
                    sockets,
                    client,
                    connector,
                } = network();
                ctx.network(sockets)
                    .http_client(client)
                    .websocket_connector(connector)
            }
            Reach::Policy(policy) => {
                let Network {
                    sockets,
                    client,
                    connector,
                } = network();
                ctx.network_policy(policy, sockets, client)
                    .websocket_connector(connector)
            }
        }
    }
}
