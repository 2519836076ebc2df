use crate::{HostState, LoadError, Program};
use wasmtime::Engine;
use wasmtime::component::{Component, Linker};

/// An engine with everything linked: what programs are loaded into.
///
/// Every interface is there for every program; what it may do with them is up to the
/// [`Ctx`](crate::Ctx) of each run.
#[derive(Clone)]
pub struct Host {
    engine: Engine,
    linker: Linker<HostState>,
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
        Ok(Self { engine, linker })
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The linker, for interfaces of your own beside WASI's.
    pub fn linker(&mut self) -> &mut Linker<HostState> {
        &mut self.linker
    }

    /// Compiles the component in `bytes` and links it.
    ///
    /// # Errors
    /// Every [`LoadError`] but [`LoadError::NoExport`].
    #[cfg(feature = "std")]
    pub fn load(&self, bytes: &[u8]) -> Result<Program, LoadError> {
        crate::program::check_header(bytes)?;
        let component = Component::from_binary(&self.engine, bytes).map_err(LoadError::Invalid)?;
        self.link(&component)
    }

    /// Links a component that is compiled already, for this host's engine.
    ///
    /// # Errors
    /// [`LoadError::Import`].
    pub fn link(&self, component: &Component) -> Result<Program, LoadError> {
        Program::new(&self.linker, component)
    }
}
