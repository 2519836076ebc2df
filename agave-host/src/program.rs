use crate::HostState;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};

/// The exports that make a program one that runs, or one that answers requests. Those of
/// other versions of 0.2 are found by these names as well.
pub(crate) const RUN: &str = "wasi:cli/run@0.2.12";
pub(crate) const INCOMING_HANDLER: &str = "wasi:http/incoming-handler@0.2.12";

/// Why a program can't be loaded or has no such service; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The bytes are a core module where a component is needed.
    #[error(
        "this is a core WebAssembly module, not a component: build it for wasm32-wasip2, or \
         make a component of it with `wasm-tools component new`"
    )]
    CoreModule,
    /// The bytes don't begin as WebAssembly does.
    #[error("this is not a WebAssembly component: it does not begin as one")]
    NotWasm,
    /// The engine refuses the component.
    #[error("this component is not valid: {0:#}")]
    Invalid(wasmtime::Error),
    /// The component imports what the host does not provide, or with other types.
    #[error("an import can't be provided: {0:#}")]
    Import(wasmtime::Error),
    /// The export that was asked for is not there.
    #[error("the component does not export `{0}`")]
    NoExport(&'static str),
    /// The engine can't be made as it was asked for.
    #[error("the engine can't be made: {0:#}")]
    Engine(wasmtime::Error),
}

/// A component that is compiled and linked: instances are made from it at little cost.
#[derive(Clone)]
pub struct Program {
    pub(crate) pre: InstancePre<HostState>,
}

impl Program {
    /// Links `component` with what `linker` has.
    ///
    /// # Errors
    /// [`LoadError::Import`].
    pub(crate) fn new(
        linker: &Linker<HostState>,
        component: &Component,
    ) -> Result<Self, LoadError> {
        let pre = linker.instantiate_pre(component);
        pre.map(|pre| Self { pre }).map_err(LoadError::Import)
    }

    /// Whether it exports `wasi:cli/run@0.2`: [`Program::run`] runs it.
    pub fn is_command(&self) -> bool {
        self.export(RUN, "run").is_ok()
    }

    /// Whether it exports `wasi:http/incoming-handler@0.2`: a [`Service`](crate::Service) can
    /// be made of it.
    pub fn is_proxy(&self) -> bool {
        self.export(INCOMING_HANDLER, "handle").is_ok()
    }

    /// Whether it imports `interface`, such as `wasi:http/outgoing-handler`, of any version.
    pub fn imports(&self, interface: &str) -> bool {
        let ty = self.pre.component().component_type();
        let mut imports = ty.imports(self.pre.engine());
        imports.any(|(name, _)| {
            let version = name.strip_prefix(interface);
            version.is_some_and(|version| version.is_empty() || version.starts_with('@'))
        })
    }

    /// Where the export `function` of the exported interface `interface` is.
    ///
    /// # Errors
    /// [`LoadError::NoExport`].
    pub(crate) fn export(
        &self,
        interface: &'static str,
        function: &str,
    ) -> Result<ComponentExportIndex, LoadError> {
        let component = self.pre.component();
        component
            .get_export_index(None, interface)
            .and_then(|index| component.get_export_index(Some(&index), function))
            .ok_or(LoadError::NoExport(interface))
    }
}

/// Whether `bytes` begin as a component does: the magic, then the layer in the second half of
/// the version field.
///
/// # Errors
/// [`LoadError::CoreModule`], [`LoadError::NotWasm`].
#[cfg(feature = "std")]
pub(crate) fn check_header(bytes: &[u8]) -> Result<(), LoadError> {
    match bytes {
        [b'\0', b'a', b's', b'm', _, _, 0, 0, ..] => Err(LoadError::CoreModule),
        [b'\0', b'a', b's', b'm', _, _, 1, 0, ..] => Ok(()),
        _ => Err(LoadError::NotWasm),
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_program_is_seen_from_its_first_bytes() {
        assert!(check_header(b"\0asm\x0d\0\x01\0rest").is_ok());
        for (bytes, error) in [
            (&b"\0asm\x01\0\0\0"[..], "a core WebAssembly module"),
            (b"\0asm\x01\0", "not a WebAssembly component"),
            (b"(component)", "not a WebAssembly component"),
            (b"", "not a WebAssembly component"),
        ] {
            let told = alloc::string::ToString::to_string(&check_header(bytes).unwrap_err());
            assert!(told.contains(error), "{told}");
        }
    }
}
