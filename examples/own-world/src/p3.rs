//! A world with WASI 0.3: an `instant` of this world is that of the crate.

use wasi_clocks::manual::ManualClock;
use wasi_clocks::p3::{WasiClocksCtxView, WasiClocksView};
use wasi_clocks::{Datetime, WasiClocksCtx};
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Config, Engine, Result, Store};

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/p3",
        world: "plugin",
        with: { "wasi:clocks": wasi_clocks::p3::bindings::wasi::clocks },
        imports: { default: trappable },
        exports: { default: async },
    });
}

use bindings::Plugin;
use bindings::example::stamps::stamps;

struct State {
    table: ResourceTable,
    clocks: WasiClocksCtx,
    stamps: Vec<Datetime>,
}

impl WasiClocksView for State {
    fn clocks(&mut self) -> WasiClocksCtxView<'_> {
        WasiClocksCtxView {
            ctx: &self.clocks,
            table: &mut self.table,
        }
    }
}

impl stamps::Host for State {
    fn put(&mut self, at: stamps::Instant) -> Result<()> {
        self.stamps.push(at.try_into()?);
        Ok(())
    }
}

/// Runs `plugin` at a time of our choice; gives what it returned and what it put down.
pub(crate) fn run(plugin: &[u8], now: u64) -> Result<(i64, Vec<Datetime>)> {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    let engine = Engine::new(&config)?;
    let component = Component::new(&engine, plugin)?;
    let mut linker = Linker::<State>::new(&engine);
    wasi_clocks::p3::add_to_linker(&mut linker)?;
    stamps::add_to_linker::<_, HasSelf<State>>(&mut linker, |s| s)?;

    let clock = ManualClock::default();
    clock.advance(now);
    let state = State {
        table: ResourceTable::new(),
        clocks: WasiClocksCtx::new(clock.clone(), clock),
        stamps: Vec::new(),
    };
    let mut store = Store::new(&engine, state);
    let told = pollster::block_on(async {
        let plugin = Plugin::instantiate_async(&mut store, &component, &linker).await?;
        plugin.call_report(&mut store).await
    })?;
    Ok((told, store.into_data().stamps))
}

#[cfg(test)]
mod tests {
    use wasi_clocks::Datetime;

    #[test]
    fn the_plugin_reads_our_clock_and_puts_its_time_where_we_see_it() {
        let (told, stamps) = super::run(include_bytes!("plugin-p3.wat"), 5_000_000_001).unwrap();
        assert_eq!(
            (told, &stamps[..]),
            (5, &[Datetime::new(5, 1).unwrap()][..])
        );
    }
}
