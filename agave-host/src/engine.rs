//! Engines for this machine.

use crate::{Host, Limits, LoadError};
use core::time::Duration;
use std::thread;
use wasmtime::PoolingAllocationConfig;
use wasmtime::{Config, Enabled, Engine, EngineWeak, InstanceAllocationStrategy};

/// How often guests that compute are interrupted: others get their turn, and a timeout is
/// seen.
const TICK: Duration = Duration::from_millis(2);

/// What of a linear memory or table stays in RAM between two guests: reset by copying what
/// was written, which costs less than giving the pages back.
const MEMORY_KEPT: usize = 1 << 20;
const TABLE_KEPT: usize = 64 << 10;

/// How many calls of one instance can be in the middle of their code at once.
const STACKS: u32 = 4;

/// Sets up a [`Host`] for this machine.
#[derive(Clone, Debug)]
pub struct HostBuilder {
    instances: u32,
    memory: usize,
    pool: bool,
    epochs: bool,
    #[cfg(feature = "cache")]
    cache: Option<std::path::PathBuf>,
}

impl HostBuilder {
    pub(crate) fn new() -> Self {
        Self {
            instances: 1000,
            memory: Limits::new().memory_max(),
            pool: true,
            epochs: true,
            #[cfg(feature = "cache")]
            cache: None,
        }
    }

    /// Keeps what is compiled in `directory`, an absolute path, where the next load of the same
    /// bytes finds it; up to 512 MiB, then the oldest goes. Who can write there can have this
    /// process run anything: it must be this user's alone. It must be the cache's alone as
    /// well, which removes what it does not know.
    #[cfg(feature = "cache")]
    pub fn cache(mut self, directory: impl Into<std::path::PathBuf>) -> Self {
        self.cache = Some(directory.into());
        self
    }

    /// Whether instances are made in a pool that is set up with the engine; they are. Without
    /// one, each takes what it needs from the system and gives it back: for a program that is
    /// run once. [`HostBuilder::instances`] and [`HostBuilder::memory`] then say nothing.
    pub fn pool(mut self, pool: bool) -> Self {
        self.pool = pool;
        self
    }

    /// Whether guests that compute are interrupted, so that others get their turn and a
    /// timeout is seen while they do; they are. Without, code is faster by some percent, and
    /// there is no thread that counts.
    pub fn epochs(mut self, epochs: bool) -> Self {
        self.epochs = epochs;
        self
    }

    /// How many instances can live at once; 1,000. One more fails to start.
    pub fn instances(mut self, instances: u32) -> Self {
        self.instances = instances.max(1);
        self
    }

    /// The most bytes of linear memory that the [`Limits`] of any of its guests will allow; as
    /// many as [`Limits::memory`] has by default. 4 GiB at most.
    pub fn memory(mut self, bytes: usize) -> Self {
        self.memory = bytes.min(1 << 32);
        self
    }

    /// Makes the engine, links every interface, and starts the thread that counts its epochs,
    /// if there are to be any, which ends with the engine. Programs of WASI 0.3 have an engine
    /// of their own, which is made when the first one is loaded.
    ///
    /// # Errors
    /// [`LoadError::Engine`]: the system has no address space or no thread for it, or the
    /// cache's directory can't be made.
    pub fn build(self) -> Result<Host, LoadError> {
        let engine = self.engine(false)?;
        #[cfg(feature = "p3")]
        let host = Host::with_builder(engine, self);
        #[cfg(not(feature = "p3"))]
        let host = Host::with_engine(engine);
        host
    }

    /// An engine, and the thread that counts its epochs.
    ///
    /// # Errors
    /// [`LoadError::Engine`].
    pub(crate) fn engine(&self, concurrency: bool) -> Result<Engine, LoadError> {
        let config = self.config(concurrency);
        let engine = config.and_then(|config| Engine::new(&config));
        let engine = engine.map_err(LoadError::Engine)?;
        if self.epochs {
            let weak = engine.weak();
            thread::Builder::new()
                .name("agave-epochs".into())
                .spawn(move || count_epochs(&weak))
                .map_err(|error| LoadError::Engine(error.into()))?;
        }
        Ok(engine)
    }

    fn config(&self, concurrency: bool) -> wasmtime::Result<Config> {
        let mut config = Config::new();
        // What is purely 0.2 runs without the task records that 0.3 needs: half the price of
        // a host call.
        config.concurrency_support(concurrency);
        #[cfg(feature = "p3")]
        config.wasm_component_model_async(concurrency);
        config.epoch_interruption(self.epochs);
        config.memory_init_cow(true);
        if self.pool {
            config.allocation_strategy(self.pooling());
        }
        #[cfg(feature = "cache")]
        if let Some(directory) = &self.cache {
            let mut cache = wasmtime::CacheConfig::new();
            cache.with_directory(directory);
            config.cache(Some(wasmtime::Cache::new(cache)?));
        }
        Ok(config)
    }

    fn pooling(&self) -> InstanceAllocationStrategy {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(self.instances)
            .total_core_instances(self.instances.saturating_mul(4))
            .total_memories(self.instances)
            .total_tables(self.instances.saturating_mul(4))
            .total_stacks(self.instances.saturating_mul(STACKS))
            .max_memory_size(self.memory)
            .linear_memory_keep_resident(MEMORY_KEPT)
            .table_keep_resident(TABLE_KEPT);
        if PoolingAllocationConfig::is_pagemap_scan_available() && !may_swap() {
            pool.pagemap_scan(Enabled::Yes);
        }
        InstanceAllocationStrategy::Pooling(pool)
    }
}

impl Host {
    /// Sets up a host for this machine: an engine that pools instances, with epochs.
    pub fn builder() -> HostBuilder {
        HostBuilder::new()
    }
}

/// Whether pages may leave RAM. The scan for what a guest has written passes over those that
/// did, and the next guest would find them as they were.
fn may_swap() -> bool {
    // A heading, then a line for each swap area.
    std::fs::read_to_string("/proc/swaps").map_or(true, |swaps| swaps.lines().count() > 1)
}

fn count_epochs(engine: &EngineWeak) {
    loop {
        thread::sleep(TICK);
        match engine.upgrade() {
            Some(engine) => engine.increment_epoch(),
            None => return,
        }
    }
}
