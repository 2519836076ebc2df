//! `wasi:filesystem`.
//!
//! The host grants these preopens, in this order:
//! - `/`: empty, to do anything in.
//! - `/other`: empty, on another filesystem.
//! - `/read-only`: what [`READ_ONLY`] says, and nothing can be changed.
//! - `/small`: empty, with room for some 64 KiB and 16 objects.
//! - `/special`, on a machine only: a named pipe `fifo`, a socket `socket`, a link `absolute`
//!   to `/`, and a name that is not UTF-8, before `z`.

mod directories;
mod files;
mod links;
mod metadata;
mod paths;
mod read_only;
mod special;
mod streams;

use crate::bindings::wasi::filesystem::preopens::get_directories;
use crate::bindings::wasi::filesystem::types::{
    Descriptor, DescriptorFlags, DescriptorType, DirectoryEntry, ErrorCode, OpenFlags, PathFlags,
};
use crate::checks::Checks;
pub use paths::FUNCTIONS;

const OK: Result<(), ()> = Ok(());
const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;
const NO_FOLLOW: PathFlags = PathFlags::empty();
const READ: DescriptorFlags = DescriptorFlags::READ;
const WRITE: DescriptorFlags = DescriptorFlags::WRITE;
const BOTH: DescriptorFlags = READ.union(WRITE);
const MUTATE: DescriptorFlags = DescriptorFlags::MUTATE_DIRECTORY;

/// The tree of `/read-only`: directories end in `/`, links show where they lead, and files
/// contain `contents`.
pub const READ_ONLY: [&str; 4] = ["dir/", "dir/file", "file", "link -> file"];

pub fn run(checks: &mut Checks) {
    let preopens = get_directories();
    let names: Vec<_> = preopens.iter().map(|it| it.1.as_str()).collect();
    let machine = names.contains(&"/special");
    let expected = ["/", "/other", "/read-only", "/small", "/special"];
    checks.eq(
        "get-directories: names",
        &names,
        &expected[..4 + machine as usize],
    );
    let again = get_directories();
    checks.that(
        "get-directories: the same again",
        again.len() == preopens.len()
            && again
                .iter()
                .zip(&preopens)
                .all(|(a, b)| a.1 == b.1 && a.0.is_same_object(&b.0)),
    );
    drop(again);
    let [root, other, read_only, small] =
        [0, 1, 2, 3].map(|index| &preopens.get(index).expect("a preopen").0);
    paths::run(checks, &Scratch::new(root, "paths"));
    files::run(checks, &Scratch::new(root, "files"), small);
    metadata::run(checks, &Scratch::new(root, "metadata"));
    streams::run(checks, &Scratch::new(root, "streams"), small);
    directories::run(checks, &Scratch::new(root, "directories"), other);
    links::run(checks, &Scratch::new(root, "links"), other);
    read_only::run(checks, &Scratch::new(root, "read-only"), read_only);
    if let Some((special, _)) = preopens.get(4) {
        special::run(checks, special);
    }
    let left = list(root).map(|entries| entries.len());
    checks.eq("nothing is left", left, Ok::<_, ()>(0));
}

/// A directory of its own for a part, which removes it and what is in it.
struct Scratch<'a> {
    dir: Descriptor,
    root: &'a Descriptor,
    name: &'static str,
}

impl<'a> Scratch<'a> {
    fn new(root: &'a Descriptor, name: &'static str) -> Self {
        root.create_directory_at(name).expect("to make a directory");
        let dir = open_dir(root, name).expect("to open a directory");
        Self { dir, root, name }
    }
}

impl std::ops::Deref for Scratch<'_> {
    type Target = Descriptor;

    fn deref(&self) -> &Descriptor {
        &self.dir
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        let removed = remove_all(self.root, self.name);
        if let Err(code) = removed {
            eprintln!("{} can't be removed: {code:?}", self.name);
        }
    }
}

fn remove_all(parent: &Descriptor, name: &str) -> Result<(), ErrorCode> {
    let dir = open_dir(parent, name)?;
    for entry in list(&dir)? {
        match entry.type_ {
            DescriptorType::Directory => remove_all(&dir, &entry.name)?,
            _ => dir.unlink_file_at(&entry.name)?,
        }
    }
    drop(dir);
    parent.remove_directory_at(name)
}

fn open_dir(parent: &Descriptor, path: &str) -> Result<Descriptor, ErrorCode> {
    parent.open_at(FOLLOW, path, OpenFlags::DIRECTORY, READ | MUTATE)
}

fn open(parent: &Descriptor, path: &str, flags: DescriptorFlags) -> Result<Descriptor, ErrorCode> {
    parent.open_at(FOLLOW, path, OpenFlags::empty(), flags)
}

fn create(parent: &Descriptor, path: &str) -> Result<Descriptor, ErrorCode> {
    parent.open_at(FOLLOW, path, OpenFlags::CREATE, BOTH)
}

/// A new file with these contents.
fn file(parent: &Descriptor, path: &str, contents: &[u8]) -> Descriptor {
    let file = create(parent, path).expect("to make a file");
    let mut done = 0;
    while done < contents.len() {
        done += file
            .write(&contents[done..], done as u64)
            .expect("to write") as usize;
    }
    file
}

/// The first `max` bytes of a file.
fn contents(file: &Descriptor, max: u64) -> Result<Vec<u8>, ErrorCode> {
    let mut all = Vec::new();
    loop {
        let (bytes, end) = file.read(max - all.len() as u64, all.len() as u64)?;
        all.extend(&bytes);
        if end || all.len() as u64 >= max || bytes.is_empty() {
            return Ok(all);
        }
    }
}

fn list(dir: &Descriptor) -> Result<Vec<DirectoryEntry>, ErrorCode> {
    let stream = dir.read_directory()?;
    let mut entries = Vec::new();
    while let Some(entry) = stream.read_directory_entry()? {
        entries.push(entry);
    }
    Ok(entries)
}

fn names(dir: &Descriptor) -> Vec<String> {
    let mut names: Vec<_> = list(dir)
        .expect("to list")
        .into_iter()
        .map(|it| it.name)
        .collect();
    names.sort();
    names
}
