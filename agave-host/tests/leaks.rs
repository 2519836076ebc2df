//! What a guest leaves open is closed when it ends. Alone in its process, whose descriptors it
//! counts.
#![cfg(all(feature = "wasmi", target_os = "linux"))]

use agave_host::{Ctx, Host, RunError, wasmi};
use std::future::poll_fn;
use std::io::Read;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;
use wasi_cli::Exit;
use wasi_filesystem::os::{Mode, OsDirectory};
use wasi_sockets::os::OsNetwork;
use wasi_sockets::{IpAddressFamily, Network, TcpListener};

const PATIENCE: Duration = Duration::from_secs(20);

/// Accepts a client, opens a file twice and a directory, closes nothing, and does `end`.
fn module(end: &str) -> Vec<u8> {
    let open = |oflags| {
        format!(
            "(if (call $open (i32.const 4) (i32.const 0) (i32.const 1024) (i32.const 1)
                (i32.const {oflags}) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 0))
                (then (call $exit (i32.const 101))))"
        )
    };
    let (file, directory) = (open(0), open(2).replace("1024", "1025"));
    let text = format!(
        r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (import "wasi_snapshot_preview1" "sock_accept"
            (func $accept (param i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "path_open"
            (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (data (i32.const 1024) "x.")
        (func (export "_start")
            (if (call $accept (i32.const 3) (i32.const 0) (i32.const 0))
                (then (call $exit (i32.const 100))))
            {file} {file} {directory}
            {end}))"#
    );
    wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

async fn listener() -> Arc<dyn TcpListener> {
    let network = OsNetwork::current();
    let mut socket = network.tcp_socket(IpAddressFamily::Ipv4).unwrap();
    let address = "127.0.0.1:0".parse().unwrap();
    poll_fn(|cx| socket.poll_bind(cx, address)).await.unwrap();
    poll_fn(|cx| socket.poll_listen(cx, 8)).await.unwrap()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

#[test]
fn a_thousand_runs_leave_no_descriptor_open_however_they_end() {
    let folder = std::env::temp_dir().join(format!("agave-leaks-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("x"), "content").unwrap();
    let host = Host::builder().pool(false).epochs(false).build().unwrap();
    let interpreter = wasmi::Host::new(false).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        for (end, expected) in [
            ("", Some(0)),
            ("(call $exit (i32.const 7))", Some(7)),
            ("unreachable", None),
        ] {
            let module = module(end);
            let compiled = host.load(&module).unwrap();
            let interpreted = interpreter.load(&module).unwrap();
            let run = async |compile: bool| {
                let directory = OsDirectory::open_ambient(&folder, Mode::Inline).unwrap();
                let listener = listener().await;
                let mut client = TcpStream::connect(listener.local_address().unwrap()).unwrap();
                client.set_read_timeout(Some(PATIENCE)).unwrap();
                let ctx = Ctx::builder().listener(listener);
                let ctx = ctx.preopen(Arc::new(directory), "/").build();
                let result: Result<Exit, RunError> = match compile {
                    true => compiled.run(ctx).await,
                    false => interpreted.run(ctx).await,
                };
                let code = result.as_ref().ok().map(|exit| i32::from(exit.code));
                assert_eq!(code, expected, "{result:?}");
                // Its connection is closed too.
                assert_eq!(client.read(&mut [0]).unwrap(), 0);
            };
            for compile in [true, false] {
                run(compile).await;
                let before = descriptors();
                for _ in 0..1000 {
                    run(compile).await;
                }
                assert_eq!(descriptors(), before, "{end:?} {compile}");
            }
        }
    });
    std::fs::remove_dir_all(&folder).unwrap();
}
