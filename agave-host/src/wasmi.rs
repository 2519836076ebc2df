//! Core modules of WASI 0.1 on the interpreter wasmi: for machines that have no compiler, or
//! must not make code at run time. The same modules run compiled on a [`Host`](crate::Host).

use crate::guest::limited;
use crate::program::START;
use crate::{Ctx, LoadError, RunError, guest::TimedOut};
use ::wasmi::{CompilationMode, Config, Engine, Error, ExternType, ImportType, Linker, Module};
use ::wasmi::{Store, StoreLimits, StoreLimitsBuilder, ValType};
use alloc::format;
use alloc::sync::Arc;
use wasi_cli::Exit;
use wasi_clocks::{Instant, WasiClocksCtx};
use wasi_preview1::wasmi::{WasiPreview1View, add_to_linker, call};
use wasi_preview1::{End, Function, Version, WasiPreview1Ctx, functions, module_name};

/// An interpreter with WASI 0.1 linked: what modules are loaded into.
#[derive(Clone)]
pub struct Host {
    engine: Engine,
    linker: Arc<Linker<State>>,
    interrupts: bool,
}

/// What a guest has, and may have.
struct State {
    preview1: WasiPreview1Ctx,
    limits: StoreLimits,
    interrupts: bool,
    clocks: WasiClocksCtx,
    /// When others get their turn, whatever fuel is left.
    turn_ends: Instant,
}

/// What a guest computes before others get their turn and its time is looked at: some
/// milliseconds.
const SLICE: u64 = 1_000_000;

/// How long it may take, in nanoseconds: what its functions do uses no fuel.
const TURN: u64 = 5_000_000;

impl State {
    fn begin_turn(&mut self) {
        self.turn_ends = self.clocks.now().saturating_add(TURN);
    }
}

impl WasiPreview1View for State {
    fn preview1(&mut self) -> &mut WasiPreview1Ctx {
        &mut self.preview1
    }

    fn out_of_fuel(&mut self) -> Option<u64> {
        self.begin_turn();
        self.interrupts.then_some(SLICE)
    }

    fn is_turn_over(&mut self) -> bool {
        self.interrupts && self.clocks.now() >= self.turn_ends
    }
}

impl Host {
    /// A host whose guests are interrupted while they compute, where it `interrupts`, so that
    /// others get their turn and a timeout is seen; that slows them down.
    ///
    /// # Errors
    /// [`LoadError::Engine`].
    pub fn new(interrupts: bool) -> Result<Self, LoadError> {
        let mut config = Config::default();
        config
            .consume_fuel(interrupts)
            .wasm_multi_memory(false)
            .wasm_tail_call(false);
        if interrupts {
            // A function that is compiled as it is called uses fuel for that, and the guest can't
            // go on where there is too little.
            config.compilation_mode(CompilationMode::Eager);
        }
        let engine = Engine::new(&config);
        let mut linker = Linker::new(&engine);
        add_to_linker(&mut linker).map_err(|error| LoadError::Engine(told(error)))?;
        Ok(Self {
            engine,
            linker: Arc::new(linker),
            interrupts,
        })
    }

    /// Checks the core module in `bytes`.
    ///
    /// # Errors
    /// - [`LoadError::NotWasm`], [`LoadError::Invalid`]: it is no such module.
    /// - [`LoadError::Component`]: it is a component.
    /// - [`LoadError::Import`]: it imports what is not in WASI 0.1, or with other types.
    pub fn load(&self, bytes: &[u8]) -> Result<Program, LoadError> {
        use crate::program::{Layer, layer};
        if layer(bytes)? == Layer::Component {
            return Err(LoadError::Component);
        }
        let module = Module::new(&self.engine, bytes);
        let module = module.map_err(|error| LoadError::Invalid(told(error)))?;
        module.imports().try_for_each(|import| provided(&import))?;
        Ok(Program {
            module,
            host: self.clone(),
        })
    }
}

/// Finds `import` among what the linker has: wasmi looks for it only where an instance is made.
///
/// # Errors
/// [`LoadError::Import`].
fn provided(import: &ImportType<'_>) -> Result<(), LoadError> {
    let name = format!("`{}::{}`", import.module(), import.name());
    let versions = [Version::Preview0, Version::Preview1];
    let found = versions
        .into_iter()
        .filter(|version| module_name(*version) == import.module())
        .flat_map(functions)
        .find(|function| function.name == import.name());
    let told = match found {
        None => format!("unknown import: {name} is not in WASI 0.1"),
        Some(function) if has_type(function, import.ty()) => return Ok(()),
        Some(_) => format!("incompatible import type for {name}"),
    };
    Err(LoadError::Import(wasmtime::Error::msg(told)))
}

fn has_type(function: &Function, ty: &ExternType) -> bool {
    let ExternType::Func(ty) = ty else {
        return false;
    };
    let params = function.params.iter().map(|param| match param.is_64_bits {
        true => ValType::I64,
        false => ValType::I32,
    });
    let results: &[ValType] = if function.returns {
        &[ValType::I32]
    } else {
        &[]
    };
    params.eq(ty.params().iter().copied()) && ty.results() == results
}

/// A core module that can be run.
#[derive(Clone)]
pub struct Program {
    module: Module,
    host: Host,
}

impl Program {
    /// Whether it exports a function `_start`: [`Program::run`] runs it.
    pub fn is_command(&self) -> bool {
        matches!(self.module.get_export(START), Some(ExternType::Func(_)))
    }

    /// Whether it imports something of this name.
    pub fn module_imports(&self, name: &str) -> bool {
        self.module.imports().any(|import| import.name() == name)
    }

    /// Runs `_start` of the module in an instance of its own, as
    /// [`Program::run`](crate::Program::run) does.
    ///
    /// # Errors
    /// [`RunError`]; the cause of [`RunError::Failed`] is wasmi's error.
    pub async fn run(&self, mut ctx: Ctx) -> Result<Exit, RunError> {
        if !self.is_command() {
            return Err(LoadError::NoExport(START).into());
        }
        // A start function can't be gone on with: its turn is all of the time.
        let mut turn_ends = Instant::MAX;
        let sleep = ctx.limits.timeout_after().map(|timeout| {
            let timed_out = TimedOut(timeout / 1_000_000);
            turn_ends = ctx.clocks.now().saturating_add(timeout);
            (ctx.clocks.sleep_until(turn_ends), timed_out)
        });
        let limits = StoreLimitsBuilder::new()
            .memory_size(ctx.limits.memory_max())
            .memories(1)
            .table_elements(ctx.limits.table_elements_max())
            .tables(16)
            .build();
        let state = State {
            preview1: ctx.preview1(),
            limits,
            interrupts: self.host.interrupts,
            clocks: ctx.clocks,
            turn_ends,
        };
        let mut store = Store::new(&self.host.engine, state);
        store.limiter(|state| &mut state.limits);
        let start = async { self.start(&mut store).await.map_err(told) };
        match limited(start, sleep).await {
            Ok(()) => Ok(Exit::from_status(Ok(()))),
            Err(error) => match error.downcast_ref::<Error>().and_then(exit) {
                Some(exit) => Ok(exit),
                None => Err(RunError::Failed(error)),
            },
        }
    }

    async fn start(&self, store: &mut Store<State>) -> Result<(), Error> {
        if self.host.interrupts {
            store.set_fuel(SLICE)?;
        }
        let linker = &self.host.linker;
        let instance = linker.instantiate_and_start(&mut *store, &self.module)?;
        let start = instance
            .get_typed_func::<(), ()>(&*store, START)
            .map_err(|_| Error::new("`_start` has parameters or a result"))?;
        store.data_mut().begin_turn();
        call(store, start.func(), &[], &mut []).await
    }
}

fn told(error: Error) -> wasmtime::Error {
    wasmtime::Error::new(error)
}

fn exit(error: &Error) -> Option<Exit> {
    match error.downcast_ref() {
        Some(End::Exit(exit)) => Some(*exit),
        _ => None,
    }
}

/// Whether `error`, the cause of a [`RunError::Failed`], is a trap of an interpreted guest.
pub fn is_trap(error: &wasmtime::Error) -> bool {
    let error = error.downcast_ref::<Error>();
    error.is_some_and(|error| {
        error.as_trap_code().is_some() || error.downcast_ref::<End>().is_some()
    })
}
