//! What the host provides of a component's imports, found out by linking them.

use super::program::{Component, Item};
use agave_host::HostState;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component as Compiled, Linker, LinkerInstance};
use wasmtime::{Result, bail};

/// Whether an import is provided.
pub(super) enum Provided {
    /// As this version of it, where it has one.
    As(Option<String>),
    /// Not, and why.
    No(String),
}

/// For each import, whether `linker` provides it.
pub(super) fn probe(linker: &Linker<HostState>, component: &Component<'_>) -> Vec<Provided> {
    let mut versions = Versions(linker.clone());
    let mut linker = linker.clone();
    linker.allow_shadowing(true);
    let all = component.imports.len();
    let mut provided = Vec::with_capacity(all);
    while provided.len() < all {
        let next = provided.len();
        let failed = first_failure(&linker, component, next);
        let (end, why) = failed.unwrap_or((all, String::new()));
        let served = component.imports[next..end].iter();
        provided.extend(served.map(|import| Provided::As(versions.served(import))));
        if end == all {
            break;
        }
        provided.push(Provided::No(why));
        // Others may refer to it.
        if replace(&mut linker, component, end).is_err() {
            let name = component.imports[end].whole();
            let unknown = || Provided::No(format!("not known, since `{name}` is not provided"));
            provided.resize_with(all, unknown);
        }
    }
    provided
}

/// The first import from number `next` on that does not link, and why; those before it do.
fn first_failure(
    linker: &Linker<HostState>,
    component: &Component<'_>,
    next: usize,
) -> Option<(usize, String)> {
    let links = |last| link(linker, &component.up_to(last)).map_err(|error| format!("{error:#}"));
    let (mut good, mut bad) = (next, component.imports.len());
    let mut why = links(bad.checked_sub(1)?).err()?;
    // Linked up to `good`, not up to and with `bad - 1`.
    while good + 1 < bad {
        let middle = good + (bad - good) / 2;
        match links(middle - 1) {
            Ok(()) => good = middle,
            Err(error) => (bad, why) = (middle, error),
        }
    }
    Some((bad - 1, why))
}

fn link(linker: &Linker<HostState>, bytes: &[u8]) -> Result<()> {
    linker.instantiate_pre(&Compiled::from_binary(linker.engine(), bytes)?)?;
    Ok(())
}

/// Puts something into `linker` that the import number `index` links with.
fn replace(linker: &mut Linker<HostState>, component: &Component<'_>, index: usize) -> Result<()> {
    let bytes = component.up_to(index);
    let compiled = Compiled::from_binary(linker.engine(), &bytes)?;
    // What is missing …
    linker.define_unknown_imports_as_traps(&compiled)?;
    if link(linker, &bytes).is_ok() {
        return Ok(());
    }
    // … and what has other types.
    let engine = linker.engine().clone();
    let name = component.imports[index].whole();
    let ty = compiled.component_type();
    for (_, import) in ty.imports(&engine).filter(|(import, _)| *import == name) {
        match import.ty {
            ComponentItem::ComponentFunc(_) => stub(&mut linker.root(), &name)?,
            ComponentItem::ComponentInstance(instance) => {
                let mut replaced = linker.instance(&name)?;
                for (export, item) in instance.exports(&engine) {
                    if let ComponentItem::ComponentFunc(_) = item.ty {
                        stub(&mut replaced, export)?;
                    }
                }
            }
            _ => {}
        }
    }
    link(linker, &bytes)
}

fn stub(linker: &mut LinkerInstance<'_, HostState>, name: &str) -> Result<()> {
    linker.func_new(name, |_, _, _, _| bail!("never called"))
}

/// Tells which versions of an interface the host has.
struct Versions(Linker<HostState>);

impl Versions {
    /// The version that `import`, which links, is served as: its own where the host has that,
    /// or else the newest that differs from it in the patch alone.
    fn served(&mut self, import: &Item) -> Option<String> {
        let version = import.version.as_ref()?;
        let has = |linker: &Linker<HostState>, version: &str| {
            // A name can be defined once.
            let name = format!("{}@{version}", import.name);
            stub(&mut linker.clone().root(), &name).is_err()
        };
        if has(&self.0, version) {
            return Some(version.clone());
        }
        let (minor, _) = version.rsplit_once('.')?;
        let patches = (0..100).rev().map(|patch| format!("{minor}.{patch}"));
        patches.into_iter().find(|version| has(&self.0, version))
    }
}
