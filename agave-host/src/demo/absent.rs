//! What a host lacks of what a component imports.

use crate::HostState;
use alloc::string::String;
use alloc::vec::Vec;
use wasi_cli::p2::WasiCliView;
use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{Component, Linker, ResourceType};
use wasmtime::{Engine, Result, StoreContextMut, bail};

/// Puts into `linker` each interface that `component` imports and `linker` lacks, whose
/// functions trap, but for [`TOLD`], and gives their names, without the versions.
///
/// wasmtime's `define_unknown_imports_as_traps` does not say which they are, and takes a version
/// that another one stands in for as unknown.
///
/// # Errors
/// An import is none of an interface.
pub(super) fn define(linker: &mut Linker<HostState>, component: &Component) -> Result<Vec<String>> {
    let engine = linker.engine().clone();
    let ty = component.component_type();
    let mut present = Vec::new();
    let mut absent = Vec::new();
    for (name, import) in ty.imports(&engine) {
        let ComponentItem::ComponentInstance(interface) = import.ty else {
            bail!("`{name}` is no interface");
        };
        match has(linker, name) {
            true => present.extend(resources(&interface, &engine).map(|(_, ty)| ty)),
            false => absent.push((name, interface)),
        }
    }
    for (name, interface) in &absent {
        let mut instance = linker.instance(name)?;
        for (function, item) in interface.exports(&engine) {
            if function == TOLD {
                instance.func_wrap(TOLD, told)?;
                continue;
            }
            if let ComponentItem::ComponentFunc(_) = item.ty {
                instance.func_new(function, |_, _, _, _| bail!("the host lacks it"))?;
            }
        }
        // One that is another interface's has the type that it has there.
        for (resource, ty) in resources(interface, &engine) {
            if !present.contains(&ty) {
                instance.resource(resource, ResourceType::host::<()>(), |_, _| Ok(()))?;
            }
        }
    }
    let unversioned = |name: &str| name.split('@').next().map(String::from);
    Ok(absent
        .iter()
        .filter_map(|(name, _)| unversioned(name))
        .collect())
}

/// The function by which the demo is told what is absent: it is there in any case.
const TOLD: &str = "get-environment";

type Variables = Vec<(String, String)>;

fn told(mut store: StoreContextMut<'_, HostState>, (): ()) -> Result<(Variables,)> {
    Ok((store.data_mut().cli().ctx.get_environment().into(),))
}

fn resources<'a>(
    interface: &'a ComponentInstance,
    engine: &'a Engine,
) -> impl Iterator<Item = (&'a str, ResourceType)> {
    interface
        .exports(engine)
        .filter_map(|(name, item)| match item.ty {
            ComponentItem::Resource(ty) => Some((name, ty)),
            _ => None,
        })
}

/// Whether `linker` has `name`, or one that stands in for it: another patch of its version.
fn has(linker: &Linker<HostState>, name: &str) -> bool {
    let mut probe = linker.clone();
    probe.allow_shadowing(false);
    // A name can be defined once.
    let mut defined = |name: &str| {
        let never = |_: StoreContextMut<'_, HostState>, (): ()| Ok(());
        probe.root().func_wrap(name, never).is_err()
    };
    let Some((track, _)) = name.rsplit_once('.') else {
        return defined(name);
    };
    defined(name)
        || (0..100).any(|patch| {
            let other = alloc::format!("{track}.{patch}");
            other != name && defined(&other)
        })
}
