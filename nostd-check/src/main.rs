//! Links every `add_to_linker`, the backends in memory, and a run and a service on top, into one
//! program without std.

#![no_std]
#![no_main]
extern crate alloc;

mod platform;
mod preview1;

use agave_host::{BoxFuture, Ctx, Executor, Host, Service};
use alloc::boxed::Box;
use alloc::sync::Arc;
use wasi_cli::WasiCliCtx;
use wasi_cli::memory::{Input, Output};
use wasi_clocks::manual::ManualClock;
use wasi_filesystem::memory::MemFs;
use wasi_filesystem::vfs;
use wasi_random::WasiRandomCtx;
use wasi_random::seeded::Seeded;
use wasi_sockets::{LoopbackNet, NetworkPolicy};
use wasmtime::component::Component;
use wasmtime::{Config, Engine};

/// Runs what it is given at once.
struct Inline;

impl Executor for Inline {
    fn spawn(&self, task: BoxFuture<()>) {
        platform::block_on(task);
    }
}

/// Everything that there is in memory.
fn grants() -> Ctx {
    let clock = ManualClock::default();
    let clocks = wasi_clocks::WasiClocksCtx::new(clock.clone(), clock.clone());
    let files = Arc::new(MemFs::new(Arc::new(clock)));
    let policy = NetworkPolicy::new().allow_all();
    Ctx::with(clocks, WasiRandomCtx::new(Seeded::new([0; 32])))
        .cli(
            WasiCliCtx::new("program")
                .stdin(Input::new(""))
                .stdout(Output::new(1 << 10)),
        )
        .preopen(vfs::directory(files), "/")
        .network_policy(
            &policy,
            Arc::new(LoopbackNet::new()),
            Arc::new(wasi_http::memory::Service::new(|_, _| {
                Err(wasi_http::ErrorCode::DestinationNotFound)
            })),
        )
        .build()
}

/// `code` is a component compiled elsewhere: there is no compiler here.
fn serve(code: &[u8]) -> wasmtime::Result<()> {
    let mut config = Config::new();
    config
        .concurrency_support(true)
        .wasm_component_model_async(true);
    let engine = Engine::new(&config)?;
    // Every `add_to_linker` of every interface crate.
    let host = Host::with_engine(engine)?;
    // SAFETY: the program is linked, and never run.
    let component = unsafe { Component::deserialize(host.engine(), code)? };
    let program = host.link(&component)?;
    let exit = platform::block_on(program.run(grants()))?;
    core::hint::black_box(exit.code);
    let service = Service::new(program, |_| grants(), Arc::new(Inline))?;
    let response = platform::block_on(service.handle(wasi_http::Request {
        method: wasi_http::Method::Get,
        scheme: None,
        authority: None,
        path_with_query: None,
        headers: wasi_http::Fields::new(),
        body: Box::new(wasi_http::memory::Empty),
        grant: None,
    }))?;
    core::hint::black_box(response.status);
    let interpreted = agave_host::wasmi::Host::new(true)?.load(code)?;
    let exit = platform::block_on(interpreted.run(grants()))?;
    core::hint::black_box(exit.code);
    Ok(())
}

#[unsafe(no_mangle)]
extern "C" fn _start() -> ! {
    let code = core::hint::black_box(&[]);
    if let Err(error) = serve(code) {
        core::hint::black_box(&error);
    }
    if let Err(error) = preview1::compiled(code) {
        core::hint::black_box(&error);
    }
    if let Err(error) = preview1::interpreted(code) {
        core::hint::black_box(&error);
    }
    platform::halt()
}
