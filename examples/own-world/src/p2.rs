//! A world with WASI 0.2: an `output-stream` of this world is that of the crate.

use wasi_clocks::manual::ManualClock;
use wasi_clocks::p2::{WasiClocksCtxView, WasiClocksView};
use wasi_clocks::{MonotonicClock as _, WasiClocksCtx};
use wasi_io::memory::Output;
use wasi_io::p2::{WasiIoCtxView, WasiIoView};
use wasi_io::{DynOutputStream, WasiIoCtx};
use wasmtime::component::{Component, HasSelf, Linker, Resource, ResourceTable};
use wasmtime::{Config, Engine, Result, Store};

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/p2",
        world: "plugin",
        with: {
            "wasi:clocks": wasi_clocks::p2::bindings::wasi::clocks,
            "wasi:io": wasi_io::p2::bindings::wasi::io,
        },
        imports: { default: trappable },
        exports: { default: async },
    });
}

use bindings::Plugin;

struct State {
    table: ResourceTable,
    io: WasiIoCtx,
    clocks: WasiClocksCtx,
    log: Output,
}

impl WasiIoView for State {
    fn io(&mut self) -> WasiIoCtxView<'_> {
        WasiIoCtxView {
            ctx: &self.io,
            table: &mut self.table,
        }
    }
}

impl WasiClocksView for State {
    fn clocks(&mut self) -> WasiClocksCtxView<'_> {
        WasiClocksCtxView {
            ctx: &self.clocks,
            table: &mut self.table,
        }
    }
}

impl bindings::example::logger::log::Host for State {
    fn open(&mut self, _name: String) -> Result<Resource<DynOutputStream>> {
        Ok(self.table.push(DynOutputStream::new(self.log.clone()))?)
    }
}

/// Runs `plugin` at a time of our choice; gives what it returned and what it logged.
pub(crate) fn run(plugin: &[u8], now: u64) -> Result<(u64, Vec<u8>)> {
    let engine = Engine::new(&Config::new())?;
    let component = Component::new(&engine, plugin)?;
    let mut linker = Linker::<State>::new(&engine);
    wasi_io::p2::add_to_linker(&mut linker)?;
    wasi_clocks::p2::add_to_linker(&mut linker)?;
    bindings::example::logger::log::add_to_linker::<_, HasSelf<State>>(&mut linker, |s| s)?;

    let clock = ManualClock::default();
    clock.advance(now);
    assert_eq!(clock.now(), now);
    let log = Output::new(1 << 10);
    let state = State {
        table: ResourceTable::new(),
        io: WasiIoCtx::new(),
        clocks: WasiClocksCtx::new(clock.clone(), clock),
        log: log.clone(),
    };
    let mut store = Store::new(&engine, state);
    let told = pollster::block_on(async {
        let plugin = Plugin::instantiate_async(&mut store, &component, &linker).await?;
        plugin.call_report(&mut store).await
    })?;
    Ok((told, log.contents()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_plugin_reads_our_clock_and_writes_to_our_log() {
        let (told, log) = super::run(include_bytes!("plugin-p2.wat"), 1234).unwrap();
        assert_eq!((told, &log[..]), (1234, &b"tick\n"[..]));
    }
}
