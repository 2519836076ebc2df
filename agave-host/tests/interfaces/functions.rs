//! No function of WASI 0.2 is left out.

use crate::support::server::guest;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use wasmtime::Engine;
use wasmtime::component::Component;
use wasmtime::component::types::ComponentItem;

/// What a command can't call: it never has one of these resources. The guests that serve do.
const OF_HANDLERS: [&str; 2] = ["incoming-request.", "response-outparam."];

#[test]
fn the_guest_calls_every_function_of_its_worlds() {
    let called = called();
    let known = known();
    assert!(known.len() > 170, "{}", known.len());
    let of_handlers = |name: &&String| OF_HANDLERS.iter().any(|part| name.contains(part));
    let missing: Vec<_> = known.difference(&called).collect();
    let (handlers, missing): (Vec<_>, Vec<_>) = missing.into_iter().partition(of_handlers);
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(!handlers.is_empty());
}

/// What the guest imports, which is what it calls: the linker has dropped the rest. As
/// `wasi:io/poll [method]pollable.ready`.
fn called() -> BTreeSet<String> {
    let engine = Engine::default();
    let bytes = fs::read(guest(crate::INTERFACES)).unwrap();
    let component = Component::new(&engine, bytes).unwrap();
    let mut called = BTreeSet::new();
    for (interface, item) in component.component_type().imports(&engine) {
        let ComponentItem::ComponentInstance(instance) = item.ty else {
            continue;
        };
        let interface = interface.split('@').next().unwrap_or_default();
        for (name, item) in instance.exports(&engine) {
            if matches!(item.ty, ComponentItem::ComponentFunc(_)) {
                called.insert(format!("{interface} {name}"));
            }
        }
    }
    called
}

/// Every function of the packages, except those that a component exports.
fn known() -> BTreeSet<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests/wit");
    let mut known = BTreeSet::new();
    for package in fs::read_dir(folder).unwrap() {
        let package = package.unwrap();
        let name = package.file_name().into_string().unwrap();
        // What is Agave's own, and what is of WASI 0.3, has tests and guests of its own.
        if ["websocket", "p3"].contains(&&*name) {
            continue;
        }
        for file in fs::read_dir(package.path()).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            known.extend(functions(&name, &text));
        }
    }
    known.retain(|name| !name.starts_with("wasi:cli/run ") && !name.contains("/incoming-handler "));
    known
}

/// The functions in a file of WIT: enough of its grammar for files without comments.
fn functions(package: &str, text: &str) -> Vec<String> {
    let (mut interface, mut resource) = (String::new(), None);
    let mut functions = Vec::new();
    for line in text.lines().map(str::trim) {
        let word = |line: &str| line.trim_end_matches([' ', '{', ';']).to_owned();
        if let Some(name) = line.strip_prefix("interface ") {
            interface = word(name);
        } else if let Some(name) = line.strip_prefix("resource ") {
            resource = line.ends_with('{').then(|| word(name));
        } else if line == "}" {
            resource = None;
        }
        let name = match (&resource, line.split_once(':')) {
            (Some(resource), _) if line.starts_with("constructor(") => {
                format!("[constructor]{resource}")
            }
            (resource, Some((name, rest))) => {
                let name = name.trim_start_matches('%');
                let rest = rest.trim();
                match (resource, rest.strip_prefix("static ").unwrap_or(rest)) {
                    (Some(resource), func) if func.starts_with("func(") => match rest == func {
                        true => format!("[method]{resource}.{name}"),
                        false => format!("[static]{resource}.{name}"),
                    },
                    (None, func) if func.starts_with("func(") => name.into(),
                    _ => continue,
                }
            }
            _ => continue,
        };
        functions.push(format!("wasi:{package}/{interface} {name}"));
    }
    functions
}
