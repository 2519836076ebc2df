use crate::{HostState, LoadError, Program};
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
}

impl Host {
    /// A host on an engine of your own. The engine needs the component model; epochs and
    /// their counting are yours ([`Limits::timeout`](crate::Limits::timeout)).
    ///
    /// # Errors
    /// [`LoadError::Engine`].
    pub fn with_engine(engine: Engine) -> Result<Self, LoadError> {
        let mut linker = Linker::new(&engine);
        crate::add_to_linker(&mut linker).map_err(LoadError::Engine)?;
        let mut module_linker = wasmtime::Linker::new(&engine);
        crate::add_to_module_linker(&mut module_linker).map_err(LoadError::Engine)?;
        Ok(Self {
            engine,
            linker,
            module_linker,
        })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The linker, for interfaces of your own beside WASI's.
    pub fn linker(&mut self) -> &mut Linker<HostState> {
        &mut self.linker
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
                let component = Component::from_binary(&self.engine, bytes);
                self.link(&component.map_err(LoadError::Invalid)?)
            }
            Layer::Module => {
                let module = Module::from_binary(&self.engine, bytes);
                self.link_module(&module.map_err(LoadError::Invalid)?)
            }
        }
    }

    /// Links a component that is compiled already, for this host's engine.
    ///
    /// # Errors
    /// [`LoadError::Import`].
    pub fn link(&self, component: &Component) -> Result<Program, LoadError> {
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
