//! Programs compiled beforehand, for a machine that has no compiler.
//!
//! What [`compile`] makes is a line that says what it is for, and then the code in wasmtime's
//! form. The machine that runs it reads that line first ([`Compiled::read`]): a program for
//! another target is refused with a message that names both. The settings that compiler and
//! machine must agree on are those of [`Target::config`], which both use; of a difference in
//! them, wasmtime's own message says which.

use crate::LoadError;
use crate::program::Layer;
#[cfg(feature = "compile")]
use crate::program::layer;
#[cfg(feature = "compile")]
use alloc::vec::Vec;
use core::fmt;
use wasmtime::Config;

/// The first line: this, the [`GENERATION`], the target's name, and what the program is.
const MAGIC: &[u8] = b"agave-compiled ";

/// Counts changes of [`Target::config`] that wasmtime does not see.
const GENERATION: &str = "1";

/// The length of the first line, filled up with spaces: the code begins at a multiple of it.
const HEAD: usize = 64;

/// What a program can be compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// An x86_64 machine without an operating system, and with SSE4.2 and POPCNT.
    Kernel,
    /// Such a machine by way of wasmtime's interpreter, Pulley: slower, and no code of the
    /// program is executed as it is. Any 64-bit little-endian machine can have it.
    KernelPulley,
}

impl Target {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Kernel, Self::KernelPulley];

    /// Its name, as the `agave` command takes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::KernelPulley => "kernel-pulley",
        }
    }

    /// How an engine is set up for it, where programs are compiled and where they run. Bounds
    /// are checked by code, in place of a page fault; the epoch is counted ([`Limits::timeout`]
    /// says what that is for); programs of WASI 0.3 run on the same engine as others.
    ///
    /// A machine that runs native code adds how its pages are made executable and which
    /// features it has (`Config::with_custom_code_memory`, `Config::detect_host_feature`).
    ///
    /// # Errors
    /// This wasmtime has no such target.
    ///
    /// [`Limits::timeout`]: crate::Limits::timeout
    pub fn config(self) -> wasmtime::Result<Config> {
        let mut config = Config::new();
        config
            .target(match self {
                Self::Kernel => "x86_64-unknown-none",
                Self::KernelPulley => "pulley64",
            })?
            .signals_based_traps(false)
            .memory_reservation(0)
            .memory_guard_size(0)
            .memory_reservation_for_growth(0)
            .guard_before_linear_memory(false)
            .memory_init_cow(false)
            .epoch_interruption(true)
            .concurrency_support(true)
            .gc_support(false)
            .wasm_gc(false);
        #[cfg(feature = "p3")]
        config.wasm_component_model_async(true);
        Ok(config)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl core::str::FromStr for Target {
    type Err = UnknownTarget;

    fn from_str(name: &str) -> Result<Self, UnknownTarget> {
        let target = Self::ALL.into_iter().find(|target| target.name() == name);
        target.ok_or(UnknownTarget)
    }
}

/// There is no target of that name.
#[derive(Debug, thiserror::Error)]
#[error("there is no such target: it can be `kernel` or `kernel-pulley`")]
pub struct UnknownTarget;

/// Compiles the component or core module in `bytes` for `target`.
///
/// # Errors
/// [`LoadError::NotWasm`], [`LoadError::Invalid`]; [`LoadError::Engine`] where this build has no
/// compiler for the target.
#[cfg(feature = "compile")]
pub fn compile(bytes: &[u8], target: Target) -> Result<Vec<u8>, LoadError> {
    let layer = layer(bytes)?;
    let mut config = target.config().map_err(LoadError::Engine)?;
    if target == Target::Kernel {
        use_sse4(&mut config);
    }
    let engine = wasmtime::Engine::new(&config).map_err(LoadError::Engine)?;
    let code = match layer {
        Layer::Component => engine.precompile_component(bytes),
        Layer::Module => engine.precompile_module(bytes),
    };
    let mut compiled = first_line(target, layer);
    compiled.extend(code.map_err(LoadError::Invalid)?);
    Ok(compiled)
}

/// Has the code use the machine's own rounding and bit counting. Without, it would call
/// functions for `floor` and the like, with floats in registers where a kernel's code, which
/// has no floats, looks for them elsewhere.
#[cfg(feature = "compile")]
#[allow(unsafe_code)]
fn use_sse4(config: &mut Config) {
    for feature in ["sse3", "ssse3", "sse41", "sse42", "popcnt"] {
        // SAFETY: that the machine has these is part of what the target is, and wasmtime
        // refuses the code on one where `detect_host_feature` says otherwise.
        unsafe { config.cranelift_flag_enable(&alloc::format!("has_{feature}")) };
    }
}

#[cfg(feature = "compile")]
fn first_line(target: Target, layer: Layer) -> Vec<u8> {
    let mut line = MAGIC.to_vec();
    line.extend(alloc::format!("{GENERATION} {target} {}", name(layer)).bytes());
    line.resize(HEAD - 1, b' ');
    line.push(b'\n');
    line
}

fn name(layer: Layer) -> &'static str {
    match layer {
        Layer::Component => "component",
        Layer::Module => "module",
    }
}

/// A compiled program, as a machine is given it.
#[derive(Clone, Copy, Debug)]
pub enum Compiled<'a> {
    /// For `wasmtime::component::Component::deserialize` and then [`Host::link`].
    ///
    /// [`Host::link`]: crate::Host::link
    Component(&'a [u8]),
    /// For `wasmtime::Module::deserialize` and then [`Host::link_module`].
    ///
    /// [`Host::link_module`]: crate::Host::link_module
    Module(&'a [u8]),
}

impl<'a> Compiled<'a> {
    /// Reads what [`compile`](crate::compile) made for `target`. Nothing of the code is looked
    /// at: who deserializes it vouches for where it came from.
    ///
    /// # Errors
    /// - [`LoadError::NotCompiled`]: it is WebAssembly as it is.
    /// - [`LoadError::OtherTarget`]: it was compiled for another target.
    /// - [`LoadError::OtherVersion`]: by an agave with other settings.
    /// - [`LoadError::NotWasm`]: it is neither.
    pub fn read(bytes: &'a [u8], target: Target) -> Result<Self, LoadError> {
        let Some((made_for, generation, layer)) = parse(bytes) else {
            return Err(match crate::program::layer(bytes) {
                Ok(_) => LoadError::NotCompiled(target),
                Err(error) => error,
            });
        };
        if generation != GENERATION {
            return Err(LoadError::OtherVersion(target));
        }
        if made_for != target {
            return Err(LoadError::OtherTarget { made_for, target });
        }
        let code = bytes.get(HEAD..).unwrap_or_default();
        Ok(match layer {
            Layer::Component => Self::Component(code),
            Layer::Module => Self::Module(code),
        })
    }
}

/// The target, the generation and the kind of a compiled program.
fn parse(bytes: &[u8]) -> Option<(Target, &str, Layer)> {
    let line = bytes.get(..HEAD)?.strip_prefix(MAGIC)?;
    let line = core::str::from_utf8(line).ok()?;
    let mut words = line.split_ascii_whitespace();
    let generation = words.next()?;
    let target = words.next()?.parse().ok()?;
    let word = words.next()?;
    let layers = [Layer::Component, Layer::Module];
    let layer = layers.into_iter().find(|layer| name(*layer) == word)?;
    Some((target, generation, layer))
}

/// What a compiled program was made for, if `bytes` begin as one.
pub(crate) fn target(bytes: &[u8]) -> Option<Target> {
    parse(bytes).map(|(target, ..)| target)
}

#[cfg(all(test, feature = "compile", feature = "std"))]
mod tests {
    use super::*;
    use crate::Host;
    use wasmtime::Engine;

    const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";
    const MODULE: &[u8] = b"\0asm\x01\0\0\0";

    #[test]
    fn a_program_is_read_where_it_was_compiled_for_and_nowhere_else() {
        for target in Target::ALL {
            for wasm in [COMPONENT, MODULE] {
                let compiled = compile(wasm, target).unwrap();
                assert!(Engine::detect_precompiled(&compiled[HEAD..]).is_some());
                for other in Target::ALL {
                    match Compiled::read(&compiled, other) {
                        Ok(Compiled::Component(code)) => {
                            assert_eq!((other, wasm), (target, COMPONENT));
                            assert_eq!(code, &compiled[HEAD..]);
                        }
                        Ok(Compiled::Module(_)) => assert_eq!((other, wasm), (target, MODULE)),
                        Err(error) => {
                            assert_ne!(other, target);
                            let told = alloc::format!("{error}");
                            assert!(told.contains(&alloc::format!("`{target}`")), "{told}");
                            assert!(told.contains(&alloc::format!("--target {other}")), "{told}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_no_compiled_program_is_refused_with_what_to_do() {
        let mut older = compile(MODULE, Target::Kernel).unwrap();
        older[MAGIC.len()] = b'0';
        for (bytes, told) in [
            (COMPONENT, "agave compile --target kernel"),
            (&older[..], "another version of agave"),
            (b"agave-compiled 1 kernel", "not WebAssembly"),
            (b"", "not WebAssembly"),
        ] {
            let error = Compiled::read(bytes, Target::Kernel).unwrap_err();
            assert!(alloc::format!("{error}").contains(told), "{error}");
        }
    }

    #[test]
    fn a_host_that_compiles_says_what_a_compiled_program_is_for() {
        let host = Host::builder().pool(false).epochs(false).build().unwrap();
        let compiled = compile(COMPONENT, Target::KernelPulley).unwrap();
        let Err(error) = host.load(&compiled) else {
            panic!("it was loaded");
        };
        assert!(
            alloc::format!("{error}").contains("`kernel-pulley`"),
            "{error}"
        );
    }
}
