//! Programs, compiled beforehand: how they are loaded.

use crate::code::{CodePages, Stacks};
use crate::timer;
use agave_host::{Compiled, Host, LoadError, Program, Target};
use alloc::sync::Arc;
use raw_cpuid::CpuId;
use wasmtime::component::Component;
use wasmtime::{Engine, Module};

/// Bytes of stack for a program's calls, and for those of the interfaces on top of them.
const WASM_STACK: usize = 512 << 10;
const HOST_STACK: usize = 256 << 10;

/// Which engine the program in `bytes` needs.
///
/// # Errors
/// As [`Compiled::read`]: it is for neither.
fn read(bytes: &[u8]) -> Result<(Target, Compiled<'_>), LoadError> {
    let target = match Compiled::read(bytes, Target::Kernel) {
        Err(LoadError::OtherTarget { made_for, .. }) if made_for == Target::KernelPulley => {
            made_for
        }
        compiled => return Ok((Target::Kernel, compiled?)),
    };
    Ok((target, Compiled::read(bytes, target)?))
}

fn engine(target: Target) -> Result<Engine, LoadError> {
    let mut config = target.config().map_err(LoadError::Engine)?;
    config
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(WASM_STACK + HOST_STACK)
        .with_host_stack(Arc::new(Stacks));
    if target == Target::Kernel {
        config.with_custom_code_memory(Some(Arc::new(CodePages)));
        // SAFETY: `has_feature` says what the processor says. Code for this target rounds floats
        // by itself, so that it calls no function of the kernel's with one.
        unsafe {
            config.detect_host_feature(has_feature);
            config.x86_float_abi_ok(true);
        }
    }
    Engine::new(&config).map_err(LoadError::Engine)
}

/// What code for [`Target::Kernel`] needs; of other features the kernel knows nothing, and
/// wasmtime refuses code that has them.
fn has_feature(name: &str) -> Option<bool> {
    let features = CpuId::new().get_feature_info()?;
    match name {
        "sse3" => Some(features.has_sse3()),
        "ssse3" => Some(features.has_ssse3()),
        "sse4.1" => Some(features.has_sse41()),
        "sse4.2" => Some(features.has_sse42()),
        "popcnt" => Some(features.has_popcnt()),
        "cmpxchg16b" => Some(features.has_cmpxchg16b()),
        _ => None,
    }
}

/// A program and the host that it can be linked with.
pub(crate) enum Loaded {
    Component(Host, Component),
    Module(Host, Module),
}

/// Loads the compiled program in `bytes`, and counts its engine's epoch from now on.
///
/// # Errors
/// As [`Compiled::read`]; [`LoadError::Engine`], [`LoadError::Invalid`].
pub(crate) fn load(bytes: &[u8]) -> Result<Loaded, LoadError> {
    let (target, compiled) = read(bytes)?;
    let host = Host::with_engine(engine(target)?)?;
    timer::count_epoch(host.engine().clone());
    // SAFETY: who starts the kernel vouches for what is in the initrd, which is as much a part of
    // this system as the kernel itself.
    unsafe {
        match compiled {
            Compiled::Component(code) => {
                let component = Component::deserialize(host.engine(), code);
                Ok(Loaded::Component(
                    host,
                    component.map_err(LoadError::Invalid)?,
                ))
            }
            Compiled::Module(code) => {
                let module = Module::deserialize(host.engine(), code);
                Ok(Loaded::Module(host, module.map_err(LoadError::Invalid)?))
            }
        }
    }
}

impl Loaded {
    /// Links it.
    ///
    /// # Errors
    /// [`LoadError::Import`].
    pub(crate) fn link(&self) -> Result<Program, LoadError> {
        match self {
            Self::Component(host, component) => host.link(component),
            Self::Module(host, module) => host.link_module(module),
        }
    }
}
