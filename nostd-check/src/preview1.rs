//! WASI 0.1 on both engines, without the host.

use crate::platform;
use wasi_cli::WasiCliCtx;
use wasi_cli::memory::{Input, Output};
use wasi_clocks::WasiClocksCtx;
use wasi_clocks::manual::ManualClock;
use wasi_preview1::WasiPreview1Ctx;
use wasi_random::WasiRandomCtx;
use wasi_random::seeded::Seeded;

struct State(WasiPreview1Ctx);

impl State {
    fn new() -> Self {
        let clock = ManualClock::default();
        let cli = WasiCliCtx::new("program")
            .stdin(Input::new(""))
            .stdout(Output::new(1 << 10));
        Self(WasiPreview1Ctx::new(
            &cli,
            WasiClocksCtx::new(clock.clone(), clock),
            WasiRandomCtx::new(Seeded::new([0; 32])),
        ))
    }
}

impl wasi_preview1::wasmtime::WasiPreview1View for State {
    fn preview1(&mut self) -> &mut WasiPreview1Ctx {
        &mut self.0
    }
}

impl wasi_preview1::wasmi::WasiPreview1View for State {
    fn preview1(&mut self) -> &mut WasiPreview1Ctx {
        &mut self.0
    }
}

/// `code` is a module compiled elsewhere.
pub(crate) fn compiled(code: &[u8]) -> wasmtime::Result<()> {
    use wasmtime::{Config, Engine, Linker, Module, Store};
    let engine = Engine::new(&Config::new())?;
    let mut linker = Linker::new(&engine);
    wasi_preview1::wasmtime::add_to_linker_async(&mut linker)?;
    let mut store = Store::new(&engine, State::new());
    // SAFETY: the program is linked, and never run.
    let module = unsafe { Module::deserialize(&engine, code)? };
    platform::block_on(async {
        let instance = linker.instantiate_async(&mut store, &module).await?;
        let start = instance.get_typed_func::<(), ()>(&mut store, "_start")?;
        start.call_async(&mut store, ()).await
    })
}

pub(crate) fn interpreted(code: &[u8]) -> Result<(), wasmi::Error> {
    use wasmi::{Config, Engine, Error, Linker, Module, Store};
    let engine = Engine::new(Config::default().wasm_tail_call(false));
    let mut linker = Linker::new(&engine);
    wasi_preview1::wasmi::add_to_linker(&mut linker)?;
    let mut store = Store::new(&engine, State::new());
    let instance = linker.instantiate_and_start(&mut store, &Module::new(&engine, code)?)?;
    let start = instance
        .get_func(&store, "_start")
        .ok_or_else(|| Error::new("there is no `_start`"))?;
    platform::block_on(wasi_preview1::wasmi::call(&mut store, &start, &[], &mut []))
}
