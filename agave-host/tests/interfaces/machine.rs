//! The backends of this machine.

use crate::memory;
use crate::names::Names;
use crate::outcome::{self, Outcome, cli};
use crate::server;
use crate::support::folder::Folder;
use crate::support::peer::Refusing;
use agave_host::{Ctx, CtxBuilder};
use std::fs;
use std::net::UdpSocket;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use wasi_cli::WasiCliCtx;
use wasi_clocks::os::SystemWallClock;
use wasi_filesystem::memory::MemFs;
use wasi_filesystem::os::{Mode, OsDirectory};
use wasi_filesystem::{Directory, ReadOnly, WasiFilesystemCtx, vfs};
use wasi_http::os::OsClient;
use wasi_io::os::Runtime;
use wasi_sockets::os::OsNetwork;

/// Runs `interfaces PART` with `ctx` and on this machine.
pub(crate) fn with(ctx: CtxBuilder, cli: WasiCliCtx) -> Outcome {
    outcome::run(ctx, cli, pollster::block_on)
}

/// A machine without IPv6 is told to the guest.
fn env(cli: WasiCliCtx) -> WasiCliCtx {
    match UdpSocket::bind("[::1]:0") {
        Ok(_) => cli,
        Err(_) => cli.env("NO_IPV6", "1"),
    }
}

/// `interfaces PART` with this machine's clocks, random numbers and network.
pub(crate) fn run(arguments: &[&str]) -> Outcome {
    let (server, refusing) = (server::start(), Refusing::new());
    let cli = env(cli(arguments))
        .env("HTTP", server.address.to_string())
        .env("REFUSED", format!("127.0.0.1:{}", refusing.port));
    let ctx = Ctx::builder()
        .sockets(memory::sockets(Names::new(OsNetwork::current())))
        .http_client(Arc::new(OsClient::new(Runtime::current())));
    with(ctx, cli)
}

/// `interfaces filesystem` over this machine's files.
pub(crate) fn filesystem(mode: Mode) -> Outcome {
    let folder = folder("interfaces");
    let open = |name: &str| {
        let dir = OsDirectory::open_ambient(folder.0.join(name), mode.clone());
        Arc::new(dir.unwrap())
    };
    for name in ["root", "read-only", "read-only/dir", "special"] {
        fs::create_dir(folder.0.join(name)).unwrap();
    }
    let read_only = folder.0.join("read-only");
    fs::write(read_only.join("file"), "contents").unwrap();
    fs::write(read_only.join("dir/file"), "contents").unwrap();
    symlink("file", read_only.join("link")).unwrap();
    let socket = special(&folder.0.join("special"));

    // Another filesystem than the root's, whatever the disks of this machine.
    let other = MemFs::new(Arc::new(SystemWallClock));
    let files = WasiFilesystemCtx::new()
        .preopen(open("root"), "/")
        .preopen(vfs::directory(Arc::new(other)), "/other")
        .preopen(Arc::new(ReadOnly::new(open("read-only"))), "/read-only")
        .preopen(memory::small(SystemWallClock), "/small")
        .preopen(open("special"), "/special");
    let outcome = with(Ctx::builder().filesystem(files), cli(&["filesystem"]));
    drop(socket);
    outcome
}

/// What MemFs can't have.
fn special(path: &Path) -> UnixListener {
    let made = Command::new("mkfifo").arg(path.join("fifo")).status();
    assert!(made.unwrap().success());
    symlink("/", path.join("absolute")).unwrap();
    let not_text = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    fs::write(path.join(not_text), "").unwrap();
    fs::write(path.join("z"), "").unwrap();
    UnixListener::bind(path.join("socket")).unwrap()
}

/// A folder of its own for each test of this process.
pub(crate) fn folder(name: &str) -> Folder {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    Folder::new(&format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// A directory of this machine.
pub(crate) fn directory(path: &Path, mode: Mode) -> Arc<dyn Directory> {
    Arc::new(OsDirectory::open_ambient(path, mode).unwrap())
}
