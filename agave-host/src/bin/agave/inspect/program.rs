//! What a program's bytes say of its imports and exports.

use std::ops::Range;
use wasmparser::{
    ComponentExternName, ComponentTypeRef, Encoding, Parser, Payload, Result, TypeBounds,
};

/// A program's outside.
pub(super) enum Program<'a> {
    Module(Module),
    Component(Component<'a>),
}

/// The names in a core module, in its order.
#[derive(Default)]
pub(super) struct Module {
    /// Each module that it imports from, and the names of what.
    pub(super) imports: Vec<(String, Vec<String>)>,
    pub(super) exports: Vec<String>,
}

/// A component.
pub(super) struct Component<'a> {
    bytes: &'a [u8],
    /// The kind and the content of each of its own sections.
    sections: Vec<(u8, Range<usize>)>,
    pub(super) imports: Vec<Item>,
    pub(super) exports: Vec<Item>,
    /// For each import, where it ends: the number of its section, how many of that section's
    /// imports there are up to it, and their bytes.
    ends: Vec<(usize, u32, Range<usize>)>,
}

/// Something that is imported or exported.
pub(super) struct Item {
    pub(super) name: String,
    /// What follows the `@` of the name.
    pub(super) version: Option<String>,
    /// `instance`, `func` and so on.
    pub(super) kind: &'static str,
}

impl Component<'_> {
    /// Whether something of WASI 0.3 goes into it or comes out of it.
    pub(super) fn is_p3(&self) -> bool {
        self.imports.iter().chain(&self.exports).any(|item| {
            let version = item.version.as_deref();
            item.name.starts_with("wasi:") && version.is_some_and(|it| it.starts_with("0.3."))
        })
    }
}

impl Item {
    fn new(name: &ComponentExternName<'_>, kind: &'static str) -> Self {
        let (base, version) = match name.name.split_once('@') {
            Some((base, version)) => (base, Some(version)),
            None => (name.name, None),
        };
        let suffix = name.version_suffix.unwrap_or_default();
        Self {
            name: base.into(),
            version: version.map(|version| format!("{version}{suffix}")),
            kind,
        }
    }

    /// The name with its version.
    pub(super) fn whole(&self) -> String {
        match &self.version {
            Some(version) => format!("{}@{version}", self.name),
            None => self.name.clone(),
        }
    }
}

impl<'a> Program<'a> {
    /// Reads all sections of `bytes`, of which only the outermost level counts.
    ///
    /// # Errors
    /// The bytes are no WebAssembly.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self> {
        let mut depth = 0_usize;
        let mut module = Module::default();
        let mut component = Component {
            bytes,
            sections: Vec::new(),
            imports: Vec::new(),
            exports: Vec::new(),
            ends: Vec::new(),
        };
        let mut is_component = false;
        for payload in Parser::new(0).parse_all(bytes) {
            let payload = payload?;
            if depth > 0 {
                match payload {
                    Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                    Payload::End(_) => depth -= 1,
                    _ => {}
                }
                continue;
            }
            component.sections.extend(payload.as_section());
            match payload {
                Payload::Version { encoding, .. } => is_component = encoding == Encoding::Component,
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::ImportSection(imports) => {
                    for import in imports.into_imports() {
                        let import = import?;
                        module.import(import.module, import.name);
                    }
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        module.exports.push(export?.name.into());
                    }
                }
                Payload::ComponentImportSection(imports) => {
                    let section = component.sections.len() - 1;
                    let (begin, mut count) = (imports.original_position(), 0);
                    let mut items = imports.into_iter();
                    while let Some(import) = items.next() {
                        let import = import?;
                        count += 1;
                        // A name for a type that is known already.
                        if let ComponentTypeRef::Type(TypeBounds::Eq(_)) = import.ty {
                            continue;
                        }
                        let item = Item::new(&import.name, import.ty.kind().desc());
                        component.imports.push(item);
                        let end = items.original_position();
                        component.ends.push((section, count, begin..end));
                    }
                }
                Payload::ComponentExportSection(exports) => {
                    for export in exports {
                        let export = export?;
                        let item = Item::new(&export.name, export.kind.desc());
                        component.exports.push(item);
                    }
                }
                _ => {}
            }
        }
        Ok(match is_component {
            true => Self::Component(component),
            false => Self::Module(module),
        })
    }
}

impl Module {
    fn import(&mut self, from: &str, name: &str) {
        match self.imports.iter_mut().find(|(module, _)| module == from) {
            Some((_, names)) => names.push(name.into()),
            None => self.imports.push((from.into(), vec![name.into()])),
        }
    }
}

impl Component<'_> {
    /// A component that is this one up to its import number `last`, and no more.
    pub(super) fn up_to(&self, last: usize) -> Vec<u8> {
        let header = 8;
        let mut bytes: Vec<u8> = self.bytes[..header].into();
        let (section, count, imports) = &self.ends[last];
        for (kind, content) in &self.sections[..*section] {
            bytes.push(*kind);
            leb128(&mut bytes, content.len());
            bytes.extend(&self.bytes[content.clone()]);
        }
        let mut content = Vec::new();
        leb128(&mut content, *count as usize);
        content.extend(&self.bytes[imports.clone()]);
        bytes.push(self.sections[*section].0);
        leb128(&mut bytes, content.len());
        bytes.extend(content);
        bytes
    }
}

/// Writes `number` as the format's unsigned numbers are written.
fn leb128(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}
