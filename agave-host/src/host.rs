use crate::{HostState, LoadError, Program};
#[cfg(all(feature = "std", feature = "p3"))]
use alloc::boxed::Box;
use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Module};

/// An engine with everything linked: what programs are loaded into.
///
/// Every interface is there for every program; what it may do with them is up to the
/// [`Ctx`](crate::Ctx) of each run.
#[derive(Clone)]
pub struct Host {
    engine: Engine,
    linker: Linker<HostState>,
    module_linker: wasmtime::Linker<HostState>,
    #[cfg(feature = "p3")]
    concurrent: Concurrent,
}

/// Where programs of WASI 0.3 are loaded, which need an engine with concurrency support.
#[cfg(feature = "p3")]
#[derive(Clone)]
enum Concurrent {
    /// Where all are.
    Same,
    /// Nowhere: the engine has none.
    Nowhere,
    /// On an engine that is made when there is one.
    #[cfg(feature = "std")]
    Own(
        crate::HostBuilder,
        std::sync::OnceLock<Box<(Engine, Linker<HostState>)>>,
    ),
}

impl Host {
    /// A host on an engine of your own. The engine needs the component model, and concurrency
    /// support for programs of WASI 0.3; epochs and their counting are yours
    /// ([`Limits::timeout`](crate::Limits::timeout)).
    ///
    /// # Errors
    /// [`LoadError::Engine`].
    pub fn with_engine(engine: Engine) -> Result<Self, LoadError> {
        let mut linker = Linker::new(&engine);
        crate::add_to_linker(&mut linker).map_err(LoadError::Engine)?;
        #[cfg(feature = "p3")]
        let concurrent = match engine.get_concurrency_support() {
            true => {
                crate::add_p3_to_linker(&mut linker).map_err(LoadError::Engine)?;
                Concurrent::Same
            }
            false => Concurrent::Nowhere,
        };
        let mut module_linker = wasmtime::Linker::new(&engine);
        crate::add_to_module_linker(&mut module_linker).map_err(LoadError::Engine)?;
        Ok(Self {
            engine,
            linker,
            module_linker,
            #[cfg(feature = "p3")]
            concurrent,
        })
    }

    /// A host on `engine`, and on another one of `builder` for programs of WASI 0.3.
    ///
    /// # Errors
    /// [`LoadError::Engine`].
    #[cfg(all(feature = "std", feature = "p3"))]
    pub(crate) fn with_builder(
        engine: Engine,
        builder: crate::HostBuilder,
    ) -> Result<Self, LoadError> {
        let mut host = Self::with_engine(engine)?;
        host.concurrent = Concurrent::Own(builder, std::sync::OnceLock::new());
        Ok(host)
    }

    /// The engine for all but programs of WASI 0.3.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The linker, for interfaces of your own beside WASI's; of programs of WASI 0.3, see
    /// [`Host::linker_p3`].
    pub fn linker(&mut self) -> &mut Linker<HostState> {
        &mut self.linker
    }

    /// The linker for components that import or export something of WASI 0.3. With an engine of
    /// your own it is the same as [`Host::linker`].
    ///
    /// # Errors
    /// [`LoadError::Engine`]: as [`HostBuilder::build`](crate::HostBuilder::build).
    /// [`LoadError::NoConcurrency`].
    #[cfg(feature = "p3")]
    pub fn linker_p3(&mut self) -> Result<&mut Linker<HostState>, LoadError> {
        self.side_p3()?;
        match &mut self.concurrent {
            #[cfg(feature = "std")]
            Concurrent::Own(_, side) => match side.get_mut() {
                Some(side) => Ok(&mut side.1),
                None => Err(LoadError::NoConcurrency),
            },
            Concurrent::Same => Ok(&mut self.linker),
            Concurrent::Nowhere => Err(LoadError::NoConcurrency),
        }
    }

    /// The engine and the linker for components of WASI 0.3.
    #[cfg(feature = "p3")]
    fn side_p3(&self) -> Result<(&Engine, &Linker<HostState>), LoadError> {
        match &self.concurrent {
            Concurrent::Same => Ok((&self.engine, &self.linker)),
            Concurrent::Nowhere => Err(LoadError::NoConcurrency),
            #[cfg(feature = "std")]
            Concurrent::Own(builder, side) => {
                if let Some(side) = side.get() {
                    return Ok((&side.0, &side.1));
                }
                let engine = builder.engine(true)?;
                let mut linker = Linker::new(&engine);
                crate::add_to_linker(&mut linker).map_err(LoadError::Engine)?;
                crate::add_p3_to_linker(&mut linker).map_err(LoadError::Engine)?;
                // Two that come at once: the first one's stays.
                let side = side.get_or_init(|| Box::new((engine, linker)));
                Ok((&side.0, &side.1))
            }
        }
    }

    /// The linker for core modules, for functions of your own beside WASI 0.1.
    pub fn module_linker(&mut self) -> &mut wasmtime::Linker<HostState> {
        &mut self.module_linker
    }

    /// Compiles the component or core module in `bytes`, and links it.
    ///
    /// # Errors
    /// Every [`LoadError`] but [`LoadError::NoExport`].
    #[cfg(feature = "std")]
    pub fn load(&self, bytes: &[u8]) -> Result<Program, LoadError> {
        use crate::program::Layer;
        match crate::program::layer(bytes)? {
            Layer::Component => {
                #[cfg(feature = "p3")]
                if crate::program::is_p3(bytes) {
                    let (engine, linker) = self.side_p3()?;
                    let component = Component::from_binary(engine, bytes);
                    let component = component.map_err(LoadError::Invalid)?;
                    return Program::component(linker, &component);
                }
                let component = Component::from_binary(&self.engine, bytes);
                self.link(&component.map_err(LoadError::Invalid)?)
            }
            Layer::Module => {
                let module = Module::from_binary(&self.engine, bytes);
                self.link_module(&module.map_err(LoadError::Invalid)?)
            }
        }
    }

    /// Links a component that is compiled already, for one of this host's engines.
    ///
    /// # Errors
    /// [`LoadError::Import`].
    pub fn link(&self, component: &Component) -> Result<Program, LoadError> {
        #[cfg(all(feature = "std", feature = "p3"))]
        if let Concurrent::Own(_, side) = &self.concurrent
            && let Some(side) = side.get()
            && Engine::same(component.engine(), &side.0)
        {
            return Program::component(&side.1, component);
        }
        Program::component(&self.linker, component)
    }

    /// Links a core module that is compiled already, for this host's engine.
    ///
    /// # Errors
    /// [`LoadError::Import`].
    pub fn link_module(&self, module: &Module) -> Result<Program, LoadError> {
        Program::module(&self.module_linker, module)
    }
}
