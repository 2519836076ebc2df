//! `cargo xtask guests`: from the sources in `guests/` to the components and modules that
//! are committed, with a checksum of the sources beside each.

use crate::files;
use anyhow::{Context, Result, bail, ensure};
use sha2::{Digest, Sha256};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, plug};

/// What a guest in C needs, as Debian names it.
const C_PACKAGES: &str = "clang lld wasi-libc libclang-rt-dev-wasm32";

/// A guest and where it goes.
struct Guest {
    /// Its folder in `guests/`.
    folder: &'static str,
    /// Other folders there that it takes sources from.
    shared: &'static [&'static str],
    source: Source,
    /// The name of what is built.
    file: &'static str,
    /// The folder where it is committed.
    committed: &'static str,
    /// Its size must not exceed this, in bytes.
    max_size: u64,
}

enum Source {
    /// A member of the workspace in `guests/`, and the target that it is built for.
    Cargo(Target),
    /// One file of C for WASI 0.1, in the guest's folder.
    C(&'static str),
    /// One file of WebAssembly text, in the guest's folder.
    Wat(&'static str),
    /// Two components on WASI 0.3, by the names of what is built: what the first imports and
    /// the second exports goes from the second to the first.
    Composed(&'static str, &'static str),
}

#[derive(Clone, Copy, PartialEq)]
enum Target {
    /// A module on WASI 0.1.
    Wasip1,
    /// A component on WASI 0.2.
    Wasip2,
    /// A component on WASI 0.3, and on 0.2 for Rust's std: the target is that of 0.2. It is
    /// built apart, as its bindings have features that the others do without.
    Wasip3,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Wasip1 => "wasm32-wasip1",
            Self::Wasip2 | Self::Wasip3 => "wasm32-wasip2",
        }
    }
}

const GUESTS: [Guest; 19] = [
    Guest {
        folder: "ai-agent-sockets",
        shared: &["ai-agent"],
        source: Source::Cargo(Target::Wasip2),
        file: "ai_agent_sockets.wasm",
        committed: "agave-host/assets",
        max_size: 400 * 1024,
    },
    Guest {
        folder: "ai-agent-sockets-p3",
        shared: &["ai-agent"],
        source: Source::Cargo(Target::Wasip3),
        file: "ai_agent_sockets_p3.wasm",
        committed: "agave-host/tests/guests",
        max_size: 256 * 1024,
    },
    Guest {
        folder: "bench",
        shared: &[],
        source: Source::Cargo(Target::Wasip2),
        file: "bench.wasm",
        committed: "agave-host/benches/guests",
        max_size: 400 * 1024,
    },
    Guest {
        folder: "bench-p3",
        shared: &[],
        source: Source::Cargo(Target::Wasip3),
        file: "bench_p3.wasm",
        committed: "agave-host/benches/guests",
        max_size: 256 * 1024,
    },
    Guest {
        folder: "command",
        shared: &[],
        source: Source::Cargo(Target::Wasip2),
        file: "command.wasm",
        committed: "agave-host/tests/guests",
        max_size: 400 * 1024,
    },
    Guest {
        folder: "hello",
        shared: &[],
        source: Source::Cargo(Target::Wasip2),
        file: "hello.wasm",
        committed: "agave-host/tests/guests",
        max_size: 400 * 1024,
    },
    Guest {
        folder: "interfaces",
        shared: &[],
        source: Source::Cargo(Target::Wasip2),
        file: "interfaces.wasm",
        committed: "agave-host/tests/guests",
        max_size: 512 * 1024,
    },
    Guest {
        folder: "interfaces-p3",
        shared: &["interfaces"],
        source: Source::Cargo(Target::Wasip3),
        file: "interfaces_p3.wasm",
        committed: "agave-host/tests/guests",
        max_size: 640 * 1024,
    },
    Guest {
        folder: "kv",
        shared: &[],
        source: Source::Cargo(Target::Wasip1),
        file: "kv.wasm",
        committed: "agave-host/tests/guests",
        max_size: 256 * 1024,
    },
    Guest {
        folder: "middleware-p3",
        shared: &[],
        source: Source::Cargo(Target::Wasip3),
        file: "middleware_p3.wasm",
        committed: "agave-host/tests/guests",
        max_size: 160 * 1024,
    },
    Guest {
        folder: "middleware-p3",
        shared: &["testbed-p3"],
        source: Source::Composed("middleware_p3.wasm", "testbed_p3.wasm"),
        file: "composed_p3.wasm",
        committed: "agave-host/tests/guests",
        max_size: 400 * 1024,
    },
    Guest {
        folder: "testbed",
        shared: &[],
        source: Source::Cargo(Target::Wasip2),
        file: "testbed.wasm",
        committed: "agave-host/tests/guests",
        max_size: 400 * 1024,
    },
    Guest {
        folder: "testbed-p3",
        shared: &[],
        source: Source::Cargo(Target::Wasip3),
        file: "testbed_p3.wasm",
        committed: "agave-host/tests/guests",
        max_size: 256 * 1024,
    },
    Guest {
        folder: "wasi-demo",
        shared: &[],
        source: Source::Cargo(Target::Wasip2),
        file: "wasi_demo.wasm",
        committed: "agave-host/assets",
        max_size: 288 * 1024,
    },
    Guest {
        folder: "ws-echo",
        shared: &[],
        source: Source::Cargo(Target::Wasip2),
        file: "ws_echo.wasm",
        committed: "agave-host/tests/guests",
        max_size: 256 * 1024,
    },
    Guest {
        folder: "echo",
        shared: &[],
        source: Source::C("echo.c"),
        file: "echo.wasm",
        committed: "agave-host/tests/guests",
        max_size: 64 * 1024,
    },
    Guest {
        folder: "hello-tiny",
        shared: &[],
        source: Source::Wat("hello.wat"),
        file: "hello_tiny.wasm",
        committed: "agave-host/tests/guests",
        max_size: 16 * 1024,
    },
    Guest {
        folder: "hello-p3",
        shared: &[],
        source: Source::Wat("hello.wat"),
        file: "hello_p3.wasm",
        committed: "agave-host/tests/guests",
        max_size: 16 * 1024,
    },
    Guest {
        folder: "state-tiny",
        shared: &[],
        source: Source::Wat("state.wat"),
        file: "state_tiny.wasm",
        committed: "agave-host/tests/guests",
        max_size: 16 * 1024,
    },
];

/// Builds all guests and puts them, with their checksums, where they are committed.
pub fn build(root: &Path) -> Result<()> {
    for (guest, bytes) in build_all(root)? {
        let folder = root.join(guest.committed);
        write(&folder.join(guest.file), &bytes)?;
        write(
            &folder.join(sources_file(guest)),
            format!("{}\n", sources(root, guest)?).as_bytes(),
        )?;
        println!("{}/{}: {} bytes", guest.committed, guest.file, bytes.len());
    }
    Ok(())
}

/// Builds all guests, puts them into `out` where that is given, and compares.
///
/// Errors: a committed guest is missing, or the checksum beside it is not that of the
/// sources. Other bytes are only reported: they depend on the standard library's build, and
/// on the compiler of C.
pub fn check(root: &Path, out: Option<&Path>) -> Result<()> {
    let mut stale = Vec::new();
    for (guest, bytes) in build_all(root)? {
        let sources = sources(root, guest)?;
        if let Some(out) = out {
            write(&out.join(guest.file), &bytes)?;
        }
        let folder = root.join(guest.committed);
        let recorded = fs::read_to_string(folder.join(sources_file(guest)));
        let belongs = recorded.is_ok_and(|it| it.trim() == sources);
        let verdict = match fs::read(folder.join(guest.file)) {
            Err(error) => format!("not committed: {error}"),
            Ok(_) if !belongs => "does not belong to its sources".into(),
            Ok(committed) if committed == bytes => "same bytes".into(),
            Ok(committed) => format!(
                "same sources, other bytes: {} committed, {} rebuilt",
                committed.len(),
                bytes.len()
            ),
        };
        println!("{}/{}: {verdict}", guest.committed, guest.file);
        if !belongs {
            stale.push(guest.file);
        }
    }
    ensure!(
        stale.is_empty(),
        "run `cargo xtask guests` and commit what it writes; stale: {}",
        stale.join(", ")
    );
    Ok(())
}

fn build_all(root: &Path) -> Result<Vec<(&'static Guest, Vec<u8>)>> {
    let target_dir = env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), PathBuf::from);
    let target_dir = env::current_dir()?.join(target_dir).join("guests");
    // The quickest first: a compiler that is missing is told at once.
    let c = target_dir.join("c");
    build_c(root, &c)?;
    for target in [Target::Wasip1, Target::Wasip2, Target::Wasip3] {
        build_cargo(root, target, &target_dir)?;
    }
    let mut built = Vec::new();
    for guest in &GUESTS {
        let read =
            |path: PathBuf| fs::read(&path).with_context(|| format!("reading {}", path.display()));
        let built_by_cargo =
            |target: Target, file| read(target_dir.join(target.name()).join("release").join(file));
        let bytes = match guest.source {
            Source::Cargo(target) => built_by_cargo(target, guest.file)?,
            Source::Composed(outer, inner) => {
                let [outer, inner] = [outer, inner].map(|it| built_by_cargo(Target::Wasip3, it));
                compose(outer?, inner?).with_context(|| format!("composing {}", guest.file))?
            }
            Source::C(_) => read(c.join(guest.file))?,
            Source::Wat(file) => {
                wat::parse_file(root.join("guests").join(guest.folder).join(file))?
            }
        };
        ensure!(
            bytes.len() as u64 <= guest.max_size,
            "{} has {} bytes, and must not have more than {}",
            guest.file,
            bytes.len(),
            guest.max_size
        );
        built.push((guest, bytes));
    }
    Ok(built)
}

/// One component of two: `outer` gets what it imports and `inner` exports from there.
fn compose(outer: Vec<u8>, inner: Vec<u8>) -> Result<Vec<u8>> {
    let mut graph = CompositionGraph::new();
    let [outer, inner] = [("agave:outer", outer), ("agave:inner", inner)].map(|(name, bytes)| {
        let package = Package::from_bytes(name, None, bytes, graph.types_mut())?;
        anyhow::Ok(graph.register_package(package)?)
    });
    plug(&mut graph, vec![inner?], outer?)?;
    Ok(graph.encode(EncodeOptions::default())?)
}

/// Builds the guests in C into the folder `out`.
///
/// Other versions of the compiler and of its library give other bytes.
fn build_c(root: &Path, out: &Path) -> Result<()> {
    fs::create_dir_all(out).with_context(|| format!("making {}", out.display()))?;
    for guest in &GUESTS {
        let Source::C(file) = guest.source else {
            continue;
        };
        let status = Command::new("clang")
            .args([
                "--target=wasm32-wasi",
                "-std=gnu11",
                "-Oz",
                "-Wall",
                "-Wextra",
            ])
            .args(["-Wl,--strip-all", file, "-o"])
            .arg(out.join(guest.file))
            .current_dir(root.join("guests").join(guest.folder))
            .status();
        let needed = || {
            format!(
                "guests/{} needs clang for WebAssembly with WASI's libc: apt-get install {C_PACKAGES}",
                guest.folder
            )
        };
        let status = status.context("starting clang").with_context(needed)?;
        ensure!(
            status.success(),
            "clang does not build guests/{}/{file}; {}",
            guest.folder,
            needed()
        );
    }
    Ok(())
}

/// Builds those members of the workspace in `guests/` that are for `target`.
///
/// The same sources and toolchain give the same bytes wherever they lie: paths are
/// remapped, versions locked, and settings of the caller's environment left out.
fn build_cargo(root: &Path, target: Target, target_dir: &Path) -> Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or("cargo".into());
    let flags = [
        (root.to_path_buf(), "/agave"),
        (cargo_home()?, "/cargo"),
        (sysroot()?, "/rust"),
    ]
    .map(|(from, to)| format!("--remap-path-prefix={}={to}", from.display()));

    let mut command = Command::new(cargo);
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        let changes_the_build = [
            "CARGO_PROFILE_",
            "CARGO_BUILD_",
            "CARGO_TARGET_",
            "RUSTFLAGS",
        ]
        .iter()
        .any(|prefix| name.starts_with(prefix));
        if changes_the_build {
            command.env_remove(&*name);
        }
    }
    let members = GUESTS
        .iter()
        .filter(|guest| matches!(guest.source, Source::Cargo(it) if it == target))
        .flat_map(|guest| ["--package", guest.folder]);
    let status = command
        .args(["build", "--release", "--locked", "--target", target.name()])
        .args(members)
        .arg("--target-dir")
        .arg(target_dir)
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .current_dir(root.join("guests"))
        .status()
        .context("starting cargo")?;
    let target = target.name();
    ensure!(
        status.success(),
        "the guests do not build; the target {target} is needed: rustup target add {target}"
    );
    Ok(())
}

fn cargo_home() -> Result<PathBuf> {
    if let Some(home) = env::var_os("CARGO_HOME") {
        return Ok(home.into());
    }
    let home = env::home_dir().context("no home folder")?;
    Ok(home.join(".cargo"))
}

fn sysroot() -> Result<PathBuf> {
    let rustc = env::var_os("RUSTC").unwrap_or("rustc".into());
    let output = Command::new(rustc)
        .args(["--print", "sysroot"])
        .output()
        .context("starting rustc")?;
    ensure!(output.status.success(), "rustc does not tell its sysroot");
    Ok(String::from_utf8(output.stdout)?.trim().into())
}

fn sources_file(guest: &Guest) -> String {
    format!("{}.sources", guest.file)
}

/// The SHA-256, in hexadecimal, of all that the guest is built from.
fn sources(root: &Path, guest: &Guest) -> Result<String> {
    let guests = root.join("guests");
    let mut paths = files::below(&guests.join(guest.folder))?;
    for folder in guest.shared {
        paths.extend(files::below(&guests.join(folder))?);
    }
    let (cargo, wit) = match guest.source {
        Source::Cargo(target) => (true, target != Target::Wasip1),
        Source::Composed(..) => (true, true),
        Source::C(_) | Source::Wat(_) => (false, false),
    };
    if wit {
        paths.extend(files::below(&guests.join("wit"))?);
    }
    if cargo {
        paths.extend(["Cargo.toml", "Cargo.lock"].map(|name| guests.join(name)));
    }
    // Text for readers, and what `cargo component` leaves behind.
    paths.retain(|path| {
        path.extension().is_none_or(|it| it != "md") && !path.ends_with("src/bindings.rs")
    });
    paths.sort();
    if paths.is_empty() {
        bail!("guests/{} is empty", guest.folder);
    }
    let mut hash = Sha256::new();
    for path in paths {
        let content = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        // The lengths keep a byte from moving between a name and a content unseen.
        let name = files::relative(&guests, &path);
        hash.update(format!("{} {name} {}\n", name.len(), content.len()));
        hash.update(content);
    }
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

fn write(path: &Path, bytes: &[u8]) -> Result<()> {
    let doing = || format!("writing {}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(doing)?;
    }
    fs::write(path, bytes).with_context(doing)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository with one guest, in a folder that goes with the value.
    struct Repository(PathBuf);

    impl Repository {
        fn new(name: &str) -> Self {
            let root = env::temp_dir().join(format!("xtask-{}-{name}", std::process::id()));
            let repository = Self(root);
            for (path, content) in [
                ("guests/Cargo.toml", "a"),
                ("guests/Cargo.lock", "b"),
                ("guests/wit/io/io.wit", "c"),
                ("guests/hello/src/lib.rs", "d"),
                ("guests/kv/src/main.rs", "e"),
                ("guests/echo/echo.c", "f"),
            ] {
                repository.put(path, content);
            }
            repository
        }

        fn put(&self, path: &str, content: &str) {
            write(&self.0.join(path), content.as_bytes()).unwrap();
        }

        fn sources(&self) -> String {
            self.sources_of("hello")
        }

        fn sources_of(&self, folder: &str) -> String {
            let guest = GUESTS.iter().find(|guest| guest.folder == folder).unwrap();
            sources(&self.0, guest).unwrap()
        }
    }

    impl Drop for Repository {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_checksum_does_not_depend_on_where_the_repository_is() {
        let [a, b] = ["here", "there"].map(Repository::new);
        assert_eq!(a.sources(), b.sources());
    }

    #[test]
    fn the_checksum_changes_with_every_source() {
        let repository = Repository::new("changes");
        let mut seen = vec![repository.sources()];
        for (path, content) in [
            ("guests/Cargo.toml", "x"),
            ("guests/Cargo.lock", "x"),
            ("guests/wit/io/io.wit", "x"),
            ("guests/hello/src/lib.rs", "x"),
            ("guests/hello/src/new.rs", ""),
        ] {
            repository.put(path, content);
            let now = repository.sources();
            assert!(!seen.contains(&now), "{path}");
            seen.push(now);
        }
    }

    #[test]
    fn the_checksum_has_what_a_guest_of_its_kind_is_built_from() {
        let repository = Repository::new("kinds");
        for (path, folders) in [
            ("guests/wit/io/io.wit", &["hello"][..]),
            ("guests/Cargo.lock", &["hello", "kv"]),
            ("guests/kv/src/main.rs", &["kv"]),
            ("guests/echo/echo.c", &["echo"]),
        ] {
            for folder in ["hello", "kv", "echo"] {
                repository.put(path, "before");
                let before = repository.sources_of(folder);
                repository.put(path, "after");
                let changed = repository.sources_of(folder) != before;
                assert_eq!(changed, folders.contains(&folder), "{path} of {folder}");
            }
        }
    }

    #[test]
    fn the_checksum_leaves_out_what_is_not_built() {
        let repository = Repository::new("leaves-out");
        let before = repository.sources();
        for path in [
            "guests/hello/README.md",
            "guests/hello/src/bindings.rs",
            "guests/hello/target/x",
            "guests/testbed/src/lib.rs",
        ] {
            repository.put(path, "x");
            assert_eq!(before, repository.sources(), "{path}");
        }
    }
}
