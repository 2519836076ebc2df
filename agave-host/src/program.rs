use crate::HostState;
use crate::compiled::{self, Target};
use wasmtime::ExternType;
use wasmtime::component::{Component, ComponentExportIndex, InstancePre, Linker};

/// The exports that make a program one that runs, or one that answers requests. Those of
/// other versions of 0.2 are found by these names as well.
pub(crate) const RUN: Export = Export {
    function: "run",
    p2: "wasi:cli/run@0.2.12",
    #[cfg(feature = "p3")]
    p3: "wasi:cli/run",
    name: "wasi:cli/run@0.2` or `wasi:cli/run@0.3",
};
pub(crate) const HANDLER: Export = Export {
    function: "handle",
    p2: "wasi:http/incoming-handler@0.2.12",
    #[cfg(feature = "p3")]
    p3: "wasi:http/handler",
    name: "wasi:http/incoming-handler@0.2` or `wasi:http/handler@0.3",
};
/// The function of a core module that runs.
pub(crate) const START: &str = "_start";
pub(crate) const WEBSOCKET_HANDLER: &str = "agave:websocket/handler@0.1.0";

/// Why a program can't be loaded or has no such service; each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It is a core module, which has no interfaces, where a component is needed.
    #[error(
        "this is a core WebAssembly module, not a component: build it for wasm32-wasip2, or \
         make a component of it with `wasm-tools component new`"
    )]
    CoreModule,
    /// It is a component where a core module is needed.
    #[error("this is a component, and only core modules of WASI 0.1 can be run so")]
    Component,
    /// The bytes don't begin as WebAssembly does.
    #[error("this is not WebAssembly: it does not begin as that does")]
    NotWasm,
    /// It was compiled for a machine without a compiler, and this one has one.
    #[error("this program was compiled for `{0}`: give the WebAssembly that it was made from")]
    Compiled(Target),
    /// It is WebAssembly, where there is no compiler.
    #[error("this program is not compiled: do that with `agave compile --target {0}`")]
    NotCompiled(Target),
    /// It was compiled for another target.
    #[error(
        "this program was compiled for `{made_for}`, which this is not: compile it with \
         `agave compile --target {target}`"
    )]
    OtherTarget {
        /// What it was compiled for.
        made_for: Target,
        /// What it is wanted for.
        target: Target,
    },
    /// It was compiled with other settings than those of this version.
    #[error(
        "this program was compiled by another version of agave: compile it with this one's \
         `agave compile --target {0}`"
    )]
    OtherVersion(Target),
    /// The engine refuses the program.
    #[error("this program is not valid: {0:#}")]
    Invalid(wasmtime::Error),
    /// The program imports what the host does not provide, or with other types.
    #[error("an import can't be provided: {0:#}")]
    Import(wasmtime::Error),
    /// The export that was asked for is not there.
    #[error("the program does not export `{0}`")]
    NoExport(&'static str),
    /// The program is of WASI 0.3, and the engine was made without what that needs.
    #[error(
        "this program is of WASI 0.3, which needs an engine with `concurrency_support` and \
         `wasm_component_model_async`"
    )]
    NoConcurrency,
    /// The engine can't be made as it was asked for.
    #[error("the engine can't be made: {0:#}")]
    Engine(wasmtime::Error),
}

/// A program that is compiled and linked: instances are made from it at little cost.
#[derive(Clone)]
pub struct Program {
    pub(crate) pre: Pre,
}

/// What its instances are made from.
#[derive(Clone)]
pub(crate) enum Pre {
    Component(InstancePre<HostState>),
    Module(wasmtime::InstancePre<HostState>),
}

impl Program {
    /// Links `component` with what `linker` has.
    ///
    /// # Errors
    /// [`LoadError::Import`].
    pub(crate) fn component(
        linker: &Linker<HostState>,
        component: &Component,
    ) -> Result<Self, LoadError> {
        let pre = linker.instantiate_pre(component);
        let pre = Pre::Component(pre.map_err(LoadError::Import)?);
        Ok(Self { pre })
    }

    /// Links `module` with what `linker` has.
    ///
    /// # Errors
    /// [`LoadError::Import`].
    pub(crate) fn module(
        linker: &wasmtime::Linker<HostState>,
        module: &wasmtime::Module,
    ) -> Result<Self, LoadError> {
        let pre = linker.instantiate_pre(module);
        let pre = Pre::Module(pre.map_err(LoadError::Import)?);
        Ok(Self { pre })
    }

    /// Whether it exports `wasi:cli/run`, or, as a core module, `_start`: [`Program::run`] runs
    /// it.
    pub fn is_command(&self) -> bool {
        match &self.pre {
            Pre::Component(pre) => find(pre, RUN).is_ok(),
            Pre::Module(pre) => {
                matches!(pre.module().get_export(START), Some(ExternType::Func(_)))
            }
        }
    }

    /// Whether it exports `wasi:http/incoming-handler@0.2` or `wasi:http/handler@0.3`: a
    /// [`Service`](crate::Service) can be made of it.
    pub fn is_proxy(&self) -> bool {
        match &self.pre {
            Pre::Component(pre) => find(pre, HANDLER).is_ok(),
            Pre::Module(_) => false,
        }
    }

    /// Whether it exports `agave:websocket/handler@0.1`: a [`Service`](crate::Service) gives it
    /// the requests for WebSockets.
    pub fn is_websocket_server(&self) -> bool {
        match &self.pre {
            Pre::Component(pre) => export(pre, WEBSOCKET_HANDLER, "handle").is_ok(),
            Pre::Module(_) => false,
        }
    }

    /// Whether it is a core module, of WASI 0.1.
    pub fn is_module(&self) -> bool {
        matches!(self.pre, Pre::Module(_))
    }

    /// Whether it is a core module that imports something of this name.
    pub fn module_imports(&self, name: &str) -> bool {
        match &self.pre {
            Pre::Component(_) => false,
            Pre::Module(pre) => pre.module().imports().any(|import| import.name() == name),
        }
    }

    /// Whether it imports `interface`, such as `wasi:http/outgoing-handler`, of any version; or,
    /// as a core module, anything from the module of that name.
    pub fn imports(&self, interface: &str) -> bool {
        let pre = match &self.pre {
            Pre::Component(pre) => pre,
            Pre::Module(pre) => {
                let mut imports = pre.module().imports();
                return imports.any(|import| import.module() == interface);
            }
        };
        let ty = pre.component().component_type();
        let mut imports = ty.imports(pre.engine());
        imports.any(|(name, _)| {
            let version = name.strip_prefix(interface);
            version.is_some_and(|version| version.is_empty() || version.starts_with('@'))
        })
    }
}

/// What makes a program one that runs or answers, in each version of WASI.
pub(crate) struct Export {
    function: &'static str,
    p2: &'static str,
    /// Without its version.
    #[cfg(feature = "p3")]
    p3: &'static str,
    /// What it is called where it is missing.
    pub(crate) name: &'static str,
}

/// Where such an export is, and of which version.
#[derive(Clone, Copy)]
pub(crate) enum Found {
    P2(ComponentExportIndex),
    #[cfg(feature = "p3")]
    P3(ComponentExportIndex),
}

/// Where `wanted` is exported; that of the newest version, if there are several.
///
/// # Errors
/// [`LoadError::NoExport`].
pub(crate) fn find(pre: &InstancePre<HostState>, wanted: Export) -> Result<Found, LoadError> {
    #[cfg(feature = "p3")]
    for version in wasi_types::WASI_0_3 {
        let interface = alloc::format!("{}@{version}", wanted.p3);
        if let Some(index) = index(pre, &interface, wanted.function) {
            return Ok(Found::P3(index));
        }
    }
    let index = index(pre, wanted.p2, wanted.function);
    index.map(Found::P2).ok_or(LoadError::NoExport(wanted.name))
}

fn index(
    pre: &InstancePre<HostState>,
    interface: &str,
    function: &str,
) -> Option<ComponentExportIndex> {
    let component = pre.component();
    let index = component.get_export_index(None, interface)?;
    component.get_export_index(Some(&index), function)
}

/// Where the export `function` of the exported interface `interface` is.
///
/// # Errors
/// [`LoadError::NoExport`].
pub(crate) fn export(
    pre: &InstancePre<HostState>,
    interface: &'static str,
    function: &str,
) -> Result<ComponentExportIndex, LoadError> {
    index(pre, interface, function).ok_or(LoadError::NoExport(interface))
}

/// Whether the component in `bytes` imports or exports something of WASI 0.3; `false` where it
/// is not valid, which who compiles it will say.
#[cfg(all(feature = "std", feature = "p3"))]
pub(crate) fn is_p3(bytes: &[u8]) -> bool {
    use wasmparser::{Chunk, Parser, Payload};
    let is_p3 = |name: &str| name.starts_with("wasi:") && name.contains("@0.3.");
    let (mut parser, mut rest) = (Parser::new(0), bytes);
    loop {
        let Ok(Chunk::Parsed { consumed, payload }) = parser.parse(rest, true) else {
            return false;
        };
        rest = &rest[consumed..];
        let found = match payload {
            // What is inside of it is nobody's business.
            Payload::ModuleSection {
                unchecked_range: inside,
                ..
            }
            | Payload::ComponentSection {
                unchecked_range: inside,
                ..
            } => {
                let Some(behind) = rest.get(inside.len()..) else {
                    return false;
                };
                rest = behind;
                false
            }
            Payload::ComponentImportSection(section) => section
                .into_iter()
                .any(|it| it.is_ok_and(|it| is_p3(it.name.name))),
            Payload::ComponentExportSection(section) => section
                .into_iter()
                .any(|it| it.is_ok_and(|it| is_p3(it.name.name))),
            Payload::End(_) => return false,
            _ => false,
        };
        if found {
            return true;
        }
    }
}

/// What a program is, as its first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layer {
    Module,
    Component,
}

/// What `bytes` begin as: the magic, then the layer in the second half of the version field.
///
/// # Errors
/// [`LoadError::NotWasm`]; [`LoadError::Compiled`].
pub(crate) fn layer(bytes: &[u8]) -> Result<Layer, LoadError> {
    match bytes {
        [b'\0', b'a', b's', b'm', _, _, 0, 0, ..] => Ok(Layer::Module),
        [b'\0', b'a', b's', b'm', _, _, 1, 0, ..] => Ok(Layer::Component),
        _ => Err(match compiled::target(bytes) {
            Some(target) => LoadError::Compiled(target),
            None => LoadError::NotWasm,
        }),
    }
}

#[cfg(all(test, feature = "std"))]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_program_is_seen_from_its_first_bytes() {
        for (bytes, expected) in [
            (&b"\0asm\x0d\0\x01\0rest"[..], Some(Layer::Component)),
            (b"\0asm\x01\0\0\0", Some(Layer::Module)),
            (b"\0asm\x01\0", None),
            (b"(component)", None),
            (b"", None),
        ] {
            match layer(bytes) {
                Ok(layer) => assert_eq!(Some(layer), expected),
                Err(error) => assert!(matches!((error, expected), (LoadError::NotWasm, None))),
            }
        }
    }
}
