//! `agave inspect`: a program's imports and exports, and what agave makes of them.

mod probe;
mod program;

use super::{Failure, on_one_line, read};
use agave_host::Host;
use probe::{Provided, probe};
use program::{Component, Item, Module, Program};
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use wasi_preview1::Version;
use wasi_types::WASI_0_3;

/// The most bytes of a name that are shown.
const NAME: usize = 256;

#[derive(clap::Args)]
pub(super) struct Inspect {
    /// The program: a component, or a core module
    program: PathBuf,
}

impl Inspect {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let name = self.program.display();
        let failed = |error: &dyn std::fmt::Display| Failure::Failed(format!("{name}: {error}"));
        let bytes = read(&self.program)?;
        if !bytes.starts_with(b"\0asm") {
            return Err(failed(
                &"this is not WebAssembly: it does not begin as that does",
            ));
        }
        let program = Program::parse(&bytes).map_err(|error| failed(&error))?;
        let told = match program {
            Program::Module(module) => tell_module(&module),
            Program::Component(component) => {
                let host = Host::builder().pool(false).epochs(false).build();
                let mut host = host.map_err(|error| failed(&error))?;
                let linker = match component.is_p3() {
                    true => host.linker_p3().map_err(|error| failed(&error))?,
                    false => host.linker(),
                };
                tell_component(&component, &probe(linker, &component))
            }
        };
        // Nobody may read it to its end.
        let _ = write!(io::stdout(), "{}: {told}", self.program.display());
        Ok(ExitCode::SUCCESS)
    }
}

/// A grant, as it is asked for on the command line.
#[derive(Clone, Copy, PartialEq)]
enum Grant {
    None,
    Environment,
    Files,
    Network,
    Listeners,
}

impl Grant {
    const ALL: [Self; 4] = [
        Self::Environment,
        Self::Files,
        Self::Network,
        Self::Listeners,
    ];

    /// What decides what comes of the functions of the interface `name`.
    fn of(name: &str) -> Self {
        match name {
            "wasi:cli/environment" => Self::Environment,
            "wasi:http/outgoing-handler"
            | "wasi:http/client"
            | "wasi:http/handler"
            | "agave:websocket/client" => Self::Network,
            _ if name.starts_with("wasi:filesystem/") => Self::Files,
            _ if name.starts_with("wasi:sockets/") => Self::Network,
            _ => Self::None,
        }
    }

    /// The same of the function `name` of WASI 0.1. What is done with any descriptor needs none.
    fn of_function(name: &str) -> Self {
        match name {
            "environ_get" | "environ_sizes_get" => Self::Environment,
            "fd_prestat_get" | "fd_prestat_dir_name" | "fd_readdir" => Self::Files,
            _ if name.starts_with("path_") => Self::Files,
            _ if name.starts_with("sock_") => Self::Listeners,
            _ => Self::None,
        }
    }

    fn flag(self) -> &'static str {
        match self {
            Self::None => "(no grant)",
            Self::Environment => "--env",
            Self::Files => "--dir",
            Self::Network => "--allow-net",
            Self::Listeners => "--tcplisten",
        }
    }

    fn told(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Environment => "--env KEY=VALUE, or -S inherit-env; otherwise it is empty",
            Self::Files => "--dir HOST::GUEST, or --fs memory; otherwise there are no files",
            Self::Listeners => "--tcplisten ADDR; otherwise there are no sockets",
            Self::Network => "--allow-net RULE, or -S inherit-network; otherwise access is denied",
        }
    }
}

/// What `agave` does with the exported interface `name` of `version`.
fn use_of(name: &str, version: Option<&str>) -> &'static str {
    let is = |minor: &str| version.is_some_and(|version| version.starts_with(minor));
    let is_0_3 = is("0.3.")
        && version.is_some_and(|version| {
            // Candidates before the release, but the one whose types are the release's, had others.
            !version.contains('-') || WASI_0_3.contains(&version)
        });
    match name {
        "wasi:cli/run" if is("0.2.") || is_0_3 => "agave run",
        "wasi:http/incoming-handler" if is("0.2.") => "agave serve",
        "wasi:http/handler" if is_0_3 => "agave serve",
        "agave:websocket/handler" if is("0.1.") => "agave serve",
        "wasi:cli/run" | "wasi:http/incoming-handler" | "wasi:http/handler" => {
            "none: not of a version that is known"
        }
        _ => "-",
    }
}

fn tell_component(component: &Component<'_>, provided: &[Provided]) -> String {
    let mut imports = Table::new(["imports", "version", "provided as", "granted by"]);
    let mut missing = Vec::new();
    let mut grants = Vec::new();
    for (import, provided) in component.imports.iter().zip(provided) {
        let (served, granted) = match provided {
            Provided::As(version) => {
                let grant = Grant::of(&import.name);
                grants.push(grant);
                (version.as_deref().unwrap_or("yes"), grant.flag())
            }
            Provided::No(why) => {
                missing.push(format!("{}: {why}", import.whole()));
                ("no", "-")
            }
        };
        imports.row([&shown(import), import.version(), served, granted]);
    }
    let mut exports = Table::new(["exports", "version", "used by", ""]);
    let mut uses = Vec::new();
    for export in &component.exports {
        let used = use_of(&export.name, export.version.as_deref());
        if used.starts_with("agave ") {
            // Both of its handlers may be there.
            if !uses.contains(&used) {
                uses.push(used);
            }
        }
        exports.row([&shown(export), export.version(), used, ""]);
    }

    let runs = match (uses.is_empty(), missing.len()) {
        (_, 1) => "that can't be run: an import is not provided".into(),
        (_, 2..) => format!(
            "that can't be run: {} imports are not provided",
            missing.len()
        ),
        (true, 0) => "that exports nothing that agave could run or serve".into(),
        (false, 0) => format!("for `{}`", uses.join("` and `")),
    };
    let mut told = format!("a component {runs}\n");
    told.push_str(&imports.told());
    told.push_str(&exports.told());
    if !missing.is_empty() {
        told.push_str("\nnot provided\n");
        for why in missing {
            let _ = writeln!(told, "  {}", on_one_line(&why));
        }
    }
    told.push_str(&told_grants(&grants));
    told
}

fn tell_module(module: &Module) -> String {
    let mut imports = Table::new(["imports from", "version", "how many", "provided"]);
    let mut missing = Vec::new();
    let mut grants = Vec::new();
    for (name, functions) in &module.imports {
        let version = match name.as_str() {
            "wasi_snapshot_preview1" => Some((Version::Preview1, "0.1")),
            "wasi_unstable" => Some((Version::Preview0, "0.0")),
            _ => None,
        };
        let is_known = |function: &&String| {
            let known = version.map(|(version, _)| wasi_preview1::functions(version));
            known.is_some_and(|mut known| known.any(|known| known.name == function.as_str()))
        };
        let (known, unknown): (Vec<_>, Vec<_>) = functions.iter().partition(is_known);
        grants.extend(known.iter().map(|function| Grant::of_function(function)));
        missing.extend(unknown.iter().map(|function| format!("{name} {function}")));
        imports.row([
            &short(name),
            version.map_or("-", |(_, version)| version),
            &functions.len().to_string(),
            match unknown.len() {
                0 => "yes",
                _ if known.is_empty() => "no",
                _ => "in part",
            },
        ]);
    }
    let mut exports = Table::new(["exports", "", "", ""]);
    for name in &module.exports {
        exports.row([&short(name), "", "", ""]);
    }
    let starts = module.exports.iter().any(|name| name == "_start");
    let runs = match (starts, missing.len()) {
        (_, 1) => "that can't be run: an import is not provided".into(),
        (_, n @ 2..) => format!("that can't be run: {n} imports are not provided"),
        (true, 0) => "for `agave run`".into(),
        (false, 0) => "that does not export `_start`, which agave could run".into(),
    };
    let mut told = format!("a core module {runs}\n{}{}", imports.told(), exports.told());
    if !missing.is_empty() {
        told.push_str("\nnot provided\n");
        for name in missing {
            let _ = writeln!(told, "  {}", short(&name));
        }
    }
    told.push_str(&told_grants(&grants));
    told
}

/// The grants that what is imported may need.
fn told_grants(grants: &[Grant]) -> String {
    let used = Grant::ALL.iter().filter(|grant| grants.contains(grant));
    let mut told = String::new();
    for grant in used {
        if told.is_empty() {
            told.push_str("\ngrants, all of which it may do without\n");
        }
        let _ = writeln!(told, "  {}", grant.told());
    }
    match told.is_empty() {
        true => "\nIt needs no grant.\n".into(),
        false => told,
    }
}

impl Item {
    fn version(&self) -> &str {
        self.version.as_deref().unwrap_or("-")
    }
}

/// The name of an interface; of anything else, with what it is.
fn shown(item: &Item) -> String {
    match item.kind {
        "instance" => short(&item.name),
        kind => format!("{} ({kind})", short(&item.name)),
    }
}

/// A name is the program's: no more of it than a line.
fn short(name: &str) -> String {
    on_one_line(&name[..name.floor_char_boundary(NAME)])
}

/// Columns under headings.
struct Table(Vec<[String; 4]>);

impl Table {
    fn new(headings: [&str; 4]) -> Self {
        Self(vec![headings.map(String::from)])
    }

    fn row(&mut self, cells: [&str; 4]) {
        self.0.push(cells.map(on_one_line));
    }

    /// As text, after an empty line; without rows, only that there are none.
    fn told(&self) -> String {
        if let [headings] = &self.0[..] {
            return format!("\n{}: none\n", headings[0]);
        }
        let width = |column: usize| {
            let cells = self.0.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let widths = [width(0), width(1), width(2)];
        let mut told = String::from("\n");
        for (number, [first, rest @ ..]) in self.0.iter().enumerate() {
            // What belongs to the heading is set in.
            let (indent, first_width) = match number {
                0 => ("", widths[0] + 2),
                _ => ("  ", widths[0]),
            };
            let mut line = format!("{indent}{first:first_width$}");
            for (cell, width) in rest.iter().zip([widths[1], widths[2], 0]) {
                let _ = write!(line, "  {cell:width$}");
            }
            told.push_str(line.trim_end());
            told.push('\n');
        }
        told
    }
}
