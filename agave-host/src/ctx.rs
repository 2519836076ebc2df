use crate::Limits;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use wasi_cli::WasiCliCtx;
use wasi_clocks::WasiClocksCtx;
use wasi_filesystem::{Directory, WasiFilesystemCtx};
use wasi_http::websocket::{Connector, WasiWebSocketCtx};
use wasi_http::{Client, WasiHttpCtx};
use wasi_io::WasiIoCtx;
use wasi_preview1::WasiPreview1Ctx;
use wasi_random::WasiRandomCtx;
use wasi_sockets::{Network, NetworkPolicy, TcpListener, WasiSocketsCtx};

/// What one guest is granted, and its limits.
///
/// Nothing is granted by default but the time and random numbers (with feature `std`; without
/// it their sources must be handed over): no network, no environment, no files, no argument
/// but the program's name.
pub struct Ctx {
    pub(crate) io: WasiIoCtx,
    pub(crate) clocks: WasiClocksCtx,
    pub(crate) random: WasiRandomCtx,
    pub(crate) filesystem: WasiFilesystemCtx,
    pub(crate) sockets: WasiSocketsCtx,
    pub(crate) cli: WasiCliCtx,
    pub(crate) http: WasiHttpCtx,
    pub(crate) websocket: WasiWebSocketCtx,
    pub(crate) listeners: Vec<Arc<dyn TcpListener>>,
    pub(crate) limits: Limits,
}

impl Ctx {
    /// Begins with this machine's clocks and random numbers.
    #[cfg(feature = "std")]
    pub fn builder() -> CtxBuilder {
        Self::with(WasiClocksCtx::default(), WasiRandomCtx::default())
    }

    /// Begins with `clocks` and `random`.
    pub fn with(clocks: WasiClocksCtx, random: WasiRandomCtx) -> CtxBuilder {
        CtxBuilder(Self {
            io: WasiIoCtx::new(),
            clocks,
            random,
            filesystem: WasiFilesystemCtx::new().inherit_mutate_directory(true),
            sockets: WasiSocketsCtx::new(),
            cli: WasiCliCtx::default(),
            http: WasiHttpCtx::default(),
            websocket: WasiWebSocketCtx::new(),
            listeners: Vec::new(),
            limits: Limits::new(),
        })
    }

    /// What a module of WASI 0.1 has of it, which takes the directories away.
    pub(crate) fn preview1(&mut self) -> WasiPreview1Ctx {
        let ctx = WasiPreview1Ctx::new(&self.cli, self.clocks.clone(), self.random.clone());
        let listeners = self.listeners.drain(..);
        listeners
            .fold(ctx, WasiPreview1Ctx::listener)
            .filesystem(core::mem::take(&mut self.filesystem))
            .max_descriptors(self.limits.handles_max())
    }
}

/// Makes a [`Ctx`], grant by grant.
pub struct CtxBuilder(Ctx);

impl CtxBuilder {
    /// Stream limits.
    pub fn io(mut self, io: WasiIoCtx) -> Self {
        self.0.io = io;
        self
    }

    /// Environment, arguments and standard streams.
    pub fn cli(mut self, cli: WasiCliCtx) -> Self {
        self.0.cli = cli;
        self
    }

    /// The directory `dir` and everything below it, which the guest finds under `guest_path`.
    ///
    /// Directories that the guest opens from it can be changed where it can
    /// ([`WasiFilesystemCtx::inherit_mutate_directory`]): programs rely on it.
    pub fn preopen(mut self, dir: Arc<dyn Directory>, guest_path: impl Into<String>) -> Self {
        self.0.filesystem = self.0.filesystem.preopen(dir, guest_path);
        // Without std nothing else could have drawn one; with it, this one is as good. It is not
        // the guest's seed, which that is told.
        let random = &self.0.random;
        if let (Ok(a), Ok(b)) = (random.insecure_u64(), random.insecure_u64()) {
            let secret = (u128::from(a) << 64 | u128::from(b)).to_le_bytes();
            self.0.filesystem = self.0.filesystem.secret(secret);
        }
        self
    }

    /// Directories, with limits of your own.
    pub fn filesystem(mut self, filesystem: WasiFilesystemCtx) -> Self {
        self.0.filesystem = filesystem;
        self
    }

    /// Sockets and names on `network`, all of it; [`CtxBuilder::network_policy`] grants less.
    pub fn network(self, network: Arc<dyn Network>) -> Self {
        let sockets = WasiSocketsCtx::new().network(network);
        self.sockets(sockets.allow_name_lookup(true))
    }

    /// What `policy` permits: sockets and names on `network`, outgoing HTTP through `client`, and
    /// WebSockets through their connector ([`CtxBuilder::websocket_connector`]). What the guest
    /// looks up is granted to it for as long as its monotonic clock says. It takes the place of
    /// sockets and HTTP that were set before.
    ///
    /// ```
    /// use agave_host::Ctx;
    /// use std::sync::Arc;
    /// use wasi_http::os::OsClient;
    /// use wasi_sockets::{NetworkPolicy, os::OsNetwork};
    ///
    /// let policy = NetworkPolicy::new()
    ///     .allow("api.example.com:443".parse()?)
    ///     .report(|refusal| eprintln!("{refusal}"));
    /// let network = Arc::new(OsNetwork::current());
    /// let ctx = Ctx::builder()
    ///     .network_policy(&policy, network, Arc::new(OsClient::default()))
    ///     .build();
    /// # Ok::<(), wasi_sockets::RuleError>(())
    /// ```
    pub fn network_policy(
        self,
        policy: &NetworkPolicy,
        network: Arc<dyn Network>,
        client: Arc<dyn Client>,
    ) -> Self {
        let network = policy.network(network, self.0.clocks.monotonic().clone());
        let mut this = self.network(network);
        this.0.websocket = this.0.websocket.policy(policy.clone());
        this.http(WasiHttpCtx::new().client(client).policy(policy.clone()))
    }

    /// Sockets, with limits of your own.
    pub fn sockets(mut self, sockets: WasiSocketsCtx) -> Self {
        self.0.sockets = sockets;
        self
    }

    /// Outgoing HTTP through `client`.
    pub fn http_client(self, client: Arc<dyn Client>) -> Self {
        self.http(WasiHttpCtx::new().client(client))
    }

    /// Outgoing HTTP, and limits of HTTP both ways.
    pub fn http(mut self, http: WasiHttpCtx) -> Self {
        self.0.http = http;
        self
    }

    /// WebSockets to others through `connector`, such as `wasi_http::os::OsClient`; as far
    /// as the policy permits where one is set, before or after.
    pub fn websocket_connector(mut self, connector: Arc<dyn Connector>) -> Self {
        self.0.websocket = self.0.websocket.connector(connector);
        self
    }

    /// WebSockets to others, and limits of those both ways; without the policy that was set
    /// before.
    pub fn websocket(mut self, websocket: WasiWebSocketCtx) -> Self {
        self.0.websocket = websocket;
        self
    }

    /// A socket that listens, which a module of WASI 0.1 finds as a descriptor: 3 for the first,
    /// and so on, before the directories. Components have no such thing.
    pub fn listener(mut self, listener: Arc<dyn TcpListener>) -> Self {
        self.0.listeners.push(listener);
        self
    }

    /// The limits.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.0.limits = limits;
        self
    }

    /// The guest's state.
    pub fn build(self) -> Ctx {
        self.0
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;
    use wasi_clocks::manual::ManualClock;
    use wasi_filesystem::memory::MemFs;
    use wasi_filesystem::{DescriptorFlags, OpenFlags, PathFlags, vfs};

    /// How `remove_dir_all` of Rust's standard library opens a directory.
    #[test]
    fn a_guest_can_change_directories_that_it_opened_for_reading() {
        let fs = Arc::new(MemFs::new(Arc::new(ManualClock::default())));
        fs.create_dir_all("dir/below").unwrap();
        let preopen = vfs::directory(fs.clone());
        let mut ctx = Ctx::builder().preopen(preopen, "/").build();
        let (root, _) = ctx.filesystem.get_directories().remove(0);
        let (path_flags, open_flags) = (PathFlags::empty(), OpenFlags::DIRECTORY);
        let dir = root.open_at(path_flags, "dir", open_flags, DescriptorFlags::READ);
        let dir = pollster::block_on(dir.finish()).unwrap();
        pollster::block_on(dir.remove_directory_at("below").finish()).unwrap();
        assert!(fs.read_dir("dir").unwrap().is_empty());
    }
}
