//! The sandbox: a guest that tries every known way out of a preopen, while another thread swaps
//! directories for links and moves them out. `escape.rs` of the guest says what is where.

use crate::machine::{self, directory, folder};
use crate::memory;
use crate::outcome::{Outcome, cli};
use crate::support::folder::Folder;
use agave_host::Ctx;
use bytes::Bytes;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use wasi_filesystem::memory::MemFs;
use wasi_filesystem::os::Mode;
use wasi_filesystem::{
    DescriptorFlags, DescriptorStat, Directory, DirectoryEntries, ErrorCode, File, Object,
    OpenFlags, PathFlags, WasiFilesystemCtx, vfs,
};
use wasi_io::Op;
use wasi_io::os::Runtime;

const ROUNDS: u32 = 10_000;
const INSIDE: &str = "inside";
const OUTSIDE: &str = "OUTSIDE, where no guest may look";

/// Links out of the preopen, for every filesystem that can have them.
const LINKS: [(&str, &str); 8] = [
    ("..", "up"),
    ("../outside", "out"),
    ("../../../../../../..", "far"),
    ("out", "chain"),
    ("../../outside", "dir/out"),
    ("/proc/self/root", "proc"),
    ("/proc/self/cwd", "cwd"),
    ("/proc/self/fd", "fd"),
];

/// `inside`, the preopen, and `outside`, beside it.
struct Tree {
    folder: Folder,
    inside: PathBuf,
    outside: PathBuf,
}

impl Tree {
    fn new() -> Self {
        let folder = folder("escape");
        let (inside, outside) = (folder.0.join("inside"), folder.0.join("outside"));
        for dir in ["dir/deep", "swap/deep", "moving/deep"] {
            fs::create_dir_all(inside.join(dir)).unwrap();
        }
        for file in [
            "file",
            "dir/file",
            "swap/file",
            "swap/canary",
            "moving/canary",
        ] {
            fs::write(inside.join(file), INSIDE).unwrap();
        }
        fs::create_dir_all(outside.join("deep")).unwrap();
        // What a way out finds: also above what is moved there, and beside the preopen.
        for file in ["canary", "secret", "file", "deep/canary"] {
            fs::write(outside.join(file), OUTSIDE).unwrap();
        }
        for file in ["canary", "secret"] {
            fs::write(folder.0.join(file), OUTSIDE).unwrap();
        }
        for (target, link) in LINKS {
            symlink(target, inside.join(link)).unwrap();
        }
        symlink(&outside, inside.join("absolute")).unwrap();
        Self {
            folder,
            inside,
            outside,
        }
    }

    /// All that is outside: paths, contents, and what else a guest could change. Not what the
    /// test's own thread moves there, and not the time of last access, which a test's look
    /// changes.
    fn seen_outside(&self) -> Vec<(PathBuf, String)> {
        let mut all = Vec::new();
        below(&self.folder.0, &self.inside, &mut all);
        all.sort();
        all
    }
}

fn below(dir: &Path, except: &Path, all: &mut Vec<(PathBuf, String)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path == except {
            continue;
        }
        let data = fs::symlink_metadata(&path).unwrap();
        let (mode, uid, links) = (data.mode(), data.uid(), data.nlink());
        if data.is_dir() {
            all.push((path.clone(), format!("{mode:o} {uid}")));
            below(&path, except, all);
        } else {
            let (s, ns) = (data.mtime(), data.mtime_nsec());
            let text = fs::read_to_string(&path).unwrap();
            all.push((path, format!("{mode:o} {uid} {links} {s}.{ns} {text}")));
        }
    }
}

/// Takes turns until it is dropped.
struct Racer {
    end: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<u64>>,
}

impl Racer {
    fn start(mut turn: impl FnMut() + Send + 'static) -> Self {
        let end = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let end = end.clone();
            move || {
                let mut turns = 0;
                while !end.load(Ordering::Relaxed) {
                    turn();
                    turns += 1;
                }
                turns
            }
        });
        let thread = Some(thread);
        Self { end, thread }
    }

    /// How many turns it took.
    fn stop(mut self) -> u64 {
        self.end.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Racer {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Swaps `swap` for a link to the outside, moves `moving/deep` there, and puts both back.
fn swap_and_move(tree: &Tree) -> impl FnMut() + Send + 'static {
    let [swap, kept, link, deep] =
        ["swap", "kept", "link", "moving/deep"].map(|name| tree.inside.join(name));
    let away = tree.outside.join("moved");
    move || {
        // A name is never free for longer than between two renames.
        symlink("../outside", &link).unwrap();
        fs::rename(&swap, &kept).unwrap();
        fs::rename(&link, &swap).unwrap();
        fs::rename(&deep, &away).unwrap();
        thread::yield_now();
        fs::rename(&swap, &link).unwrap();
        fs::rename(&kept, &swap).unwrap();
        fs::remove_file(&link).unwrap();
        fs::rename(&away, &deep).unwrap();
        thread::yield_now();
    }
}

fn escape(dir: Arc<dyn Directory>, rounds: u32) -> Outcome {
    let files = WasiFilesystemCtx::new().preopen(dir, "/");
    machine::with(
        Ctx::builder().filesystem(files),
        cli(&["escape", &rounds.to_string()]),
    )
}

fn never_out(mode: Mode, rounds: u32) {
    let tree = Tree::new();
    let before = tree.seen_outside();
    let racer = Racer::start(swap_and_move(&tree));
    let outcome = escape(directory(&tree.inside, mode), rounds);
    let turns = racer.stop();
    outcome.held();
    assert_eq!(tree.seen_outside(), before);
    raced(&outcome, turns, rounds);
}

/// Both sides of the race were seen.
fn raced(outcome: &Outcome, turns: u64, rounds: u32) {
    let told = outcome.stdout.trim_end();
    let (inside, refused) = told.split_once(" inside, ").unwrap();
    let refused = refused.strip_suffix(" refused").unwrap();
    let [inside, refused] = [inside, refused].map(|n| n.parse::<u32>().unwrap());
    assert!(
        turns > 100 && inside > rounds / 10 && refused > rounds / 10,
        "{turns} turns, {told}"
    );
}

#[test]
fn never_out_of_a_preopen_of_this_machine() {
    never_out(Mode::Inline, ROUNDS);
}

#[test]
fn never_out_of_a_preopen_of_this_machine_offloaded() {
    // Slower, and the same walk: the calls are made on other threads.
    never_out(Mode::Offload(Runtime::current()), ROUNDS / 5);
}

#[test]
fn never_out_of_a_preopen_in_memory() {
    let fs = Arc::new(MemFs::new(Arc::new(memory::clock())));
    for dir in [
        "inside/dir/deep",
        "inside/swap/deep",
        "inside/moving/deep",
        "outside/deep",
    ] {
        fs.create_dir_all(dir).unwrap();
    }
    for file in [
        "file",
        "dir/file",
        "swap/file",
        "swap/canary",
        "moving/canary",
    ] {
        fs.write_file(&format!("inside/{file}"), INSIDE.as_bytes())
            .unwrap();
    }
    let secrets = [
        "canary",
        "secret",
        "outside/canary",
        "outside/secret",
        "outside/file",
    ];
    for file in secrets {
        fs.write_file(file, OUTSIDE.as_bytes()).unwrap();
    }
    for (target, link) in LINKS {
        fs.symlink(target, &format!("inside/{link}")).unwrap();
    }
    let root = vfs::directory(fs.clone());
    let inside = root.open_at(
        PathFlags::empty(),
        "inside",
        OpenFlags::DIRECTORY,
        DescriptorFlags::READ,
    );
    let Ok(Object::Directory(inside)) = pollster::block_on(inside.finish()) else {
        panic!("no directory");
    };
    let racer = Racer::start(move || {
        let rename = |from: &str, to: &str| {
            let renamed = root.rename_at(from, &*root, to);
            pollster::block_on(renamed.finish()).unwrap();
        };
        let linked = root.symlink_at("../outside", "inside/link");
        pollster::block_on(linked.finish()).unwrap();
        rename("inside/swap", "inside/kept");
        rename("inside/link", "inside/swap");
        rename("inside/moving/deep", "outside/moved");
        thread::yield_now();
        rename("inside/swap", "inside/link");
        rename("inside/kept", "inside/swap");
        let removed = root.unlink_file_at("inside/link");
        pollster::block_on(removed.finish()).unwrap();
        rename("outside/moved", "inside/moving/deep");
        thread::yield_now();
    });
    let outcome = escape(inside, ROUNDS);
    let turns = racer.stop();
    outcome.held();
    raced(&outcome, turns, ROUNDS);
    let names = |dir| {
        fs.read_dir(dir)
            .unwrap()
            .into_iter()
            .map(|entry| entry.name)
    };
    assert!(names("").eq(["canary", "inside", "outside", "secret"]));
    assert!(names("outside").eq(["canary", "deep", "file", "secret"]));
    assert!(names("outside/deep").eq([""; 0]));
    for file in secrets {
        assert_eq!(fs.read_file(file).unwrap(), OUTSIDE.as_bytes(), "{file}");
    }
}

/// A directory that resolves paths as the system does, which leads out by every way.
struct Leaky(PathBuf);

impl Directory for Leaky {
    fn open_at(
        &self,
        _: PathFlags,
        path: &str,
        _: OpenFlags,
        _: DescriptorFlags,
    ) -> Op<wasi_filesystem::Result<Object>> {
        let path = self.0.join(path);
        let object = match fs::read(&path) {
            Ok(bytes) => Object::File(Arc::new(Contents(bytes))),
            Err(_) if path.is_dir() => Object::Directory(Arc::new(Self(path))),
            Err(_) => return Op::failed(ErrorCode::NoEntry),
        };
        Op::Ready(Ok(object))
    }

    fn stat(&self) -> Op<wasi_filesystem::Result<DescriptorStat>> {
        Op::failed(ErrorCode::Unsupported)
    }

    fn stat_at(&self, _: PathFlags, _: &str) -> Op<wasi_filesystem::Result<DescriptorStat>> {
        Op::failed(ErrorCode::Unsupported)
    }

    fn read_directory(&self) -> Op<wasi_filesystem::Result<Box<dyn DirectoryEntries>>> {
        Op::failed(ErrorCode::Unsupported)
    }
}

struct Contents(Vec<u8>);

impl File for Contents {
    fn stat(&self) -> Op<wasi_filesystem::Result<DescriptorStat>> {
        Op::failed(ErrorCode::Unsupported)
    }

    fn read_at(
        &self,
        offset: u64,
        buf: &mut [u8],
    ) -> Op<wasi_filesystem::Result<usize>, wasi_filesystem::Result<Bytes>> {
        let rest = &self.0[self.0.len().min(offset as usize)..];
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        Op::Ready(Ok(n))
    }

    fn write_at(&self, _: u64, _: &[u8]) -> Op<wasi_filesystem::Result<usize>> {
        Op::failed(ErrorCode::Unsupported)
    }

    fn append(&self, _: &[u8]) -> Op<wasi_filesystem::Result<usize>> {
        Op::failed(ErrorCode::Unsupported)
    }

    fn set_size(&self, _: u64) -> Op<wasi_filesystem::Result<()>> {
        Op::failed(ErrorCode::Unsupported)
    }
}

#[test]
fn the_guest_finds_a_way_out_where_there_is_one() {
    let tree = Tree::new();
    fs::rename(tree.inside.join("swap"), tree.inside.join("kept")).unwrap();
    symlink("../outside", tree.inside.join("swap")).unwrap();
    let outcome = escape(Arc::new(Leaky(tree.inside.clone())), 8);
    assert!(!outcome.exit.unwrap().is_success());
    for found in ["swap/canary: OUTSIDE", "open-at .."] {
        assert!(outcome.stderr.contains(found), "{}", outcome.stderr);
    }
}
