//! The portable calls against Linux's own, case by case, with what each leaves behind.

use super::{linux, portable};
use crate::{DescriptorFlags, DescriptorStat, NewTimestamp, OpenFlags, PathFlags, Result};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use cap_std::ambient_authority;
use cap_std::fs::Dir;
use std::fs;
use std::os::unix::fs::symlink;
use tempfile::TempDir;
use wasi_types::Datetime;

const PATHS: &[&str] = &[
    "file",
    "file/",
    "file/.",
    "file/x",
    "new",
    "new/",
    "new/.",
    "new/..",
    "none/x",
    ".",
    "./",
    "..",
    "../",
    "../x",
    "dir",
    "dir/",
    "dir//",
    "dir/.",
    "dir/..",
    "dir/../",
    "dir/../file",
    "dir/../../x",
    "dir//file",
    "dir/sub",
    "empty",
    "empty/",
    "dir/sub/../..",
    "dir/sub/../../..",
    "link",
    "link/",
    "dlink",
    "dlink/",
    "dlink/.",
    "dlink/..",
    "dlink/file",
    "dlink/new",
    "dangling",
    "dangling/",
    "chain",
    "up",
    "up/",
    "up/x",
    "abs",
    "abs/",
    "abs/passwd",
    "loop",
    "loop/",
    "loop/x",
    "inside",
    "slash",
];

struct Tree {
    temp: TempDir,
    dir: Dir,
}

impl Tree {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        for dir in ["dir/sub", "empty"] {
            fs::create_dir_all(root.join(dir)).unwrap();
        }
        fs::write(root.join("file"), b"one").unwrap();
        fs::write(root.join("dir/file"), b"three").unwrap();
        for (target, link) in [
            ("file", "link"),
            ("dir", "dlink"),
            ("nowhere", "dangling"),
            ("link", "chain"),
            ("..", "up"),
            ("/etc", "abs"),
            ("loop", "loop"),
            ("../file", "dir/inside"),
            ("dir/inside", "inside"),
            ("dlink/", "slash"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        let dir = Dir::open_ambient_dir(root, ambient_authority()).unwrap();
        Self { temp, dir }
    }

    /// Every path with what it is.
    fn seen(&self) -> Vec<String> {
        let (mut all, mut left) = (Vec::new(), Vec::from([self.temp.path().to_path_buf()]));
        while let Some(dir) = left.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(self.temp.path()).unwrap().display();
                let metadata = fs::symlink_metadata(&path).unwrap();
                let contents = match (fs::read_link(&path), metadata.is_dir()) {
                    (Ok(target), _) => target.display().to_string(),
                    (_, true) => "/".into(),
                    _ => format!("{} bytes", metadata.len()),
                };
                all.push(format!("{name} {contents}"));
                if metadata.is_dir() {
                    left.push(path);
                }
            }
        }
        all.sort();
        all
    }
}

/// Makes the same calls on a tree of each, and on fresh ones after each that changed something.
struct Pair {
    trees: [Tree; 2],
    before: Vec<String>,
    differences: Vec<String>,
}

impl Pair {
    fn new() -> Self {
        let trees = [Tree::new(), Tree::new()];
        let before = trees[0].seen();
        Self {
            trees,
            before,
            differences: Vec::new(),
        }
    }

    fn same<T: core::fmt::Debug + PartialEq>(
        &mut self,
        what: &str,
        linux: impl FnOnce(&Dir) -> Result<T>,
        portable: impl FnOnce(&Dir) -> Result<T>,
    ) {
        let results = [linux(&self.trees[0].dir), portable(&self.trees[1].dir)];
        self.check(what, results[0] == results[1], &results);
    }

    fn dirs(&self) -> [Dir; 2] {
        self.trees
            .each_ref()
            .map(|tree| tree.dir.try_clone().unwrap())
    }

    fn check(&mut self, what: &str, same: bool, results: &impl core::fmt::Debug) {
        let seen = self.trees.each_ref().map(Tree::seen);
        if !same || seen[0] != seen[1] {
            self.differences
                .push(format!("{what}: {results:?} {seen:?}"));
        }
        if seen.iter().any(|seen| *seen != self.before) {
            self.trees = [Tree::new(), Tree::new()];
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert!(self.differences.is_empty(), "{:#?}", self.differences);
        }
    }
}

/// What of a stat is the same in another tree.
fn comparable(stat: DescriptorStat) -> (crate::DescriptorType, u64, Option<Datetime>) {
    let directory = stat.descriptor_type == crate::DescriptorType::Directory;
    let size = if directory { 0 } else { stat.size };
    let set = stat
        .data_modification_timestamp
        .filter(|time| time.seconds() == 7);
    (stat.descriptor_type, size, set)
}

#[test]
fn paths_are_looked_at_alike() {
    let mut pair = Pair::new();
    for path in PATHS.iter().copied().chain([&*"x".repeat(256), "a\0b", ""]) {
        for follow in [PathFlags::empty(), PathFlags::SYMLINK_FOLLOW] {
            pair.same(
                &format!("stat {path} {follow:?}"),
                |dir| linux::stat_at(dir, follow, path).map(comparable),
                |dir| portable::stat_at(dir, follow, path).map(comparable),
            );
            let time = Datetime::new(7, 8).unwrap();
            let times = [NewTimestamp::NoChange, NewTimestamp::Timestamp(time)];
            pair.same(
                &format!("set_times {path} {follow:?}"),
                |dir| {
                    linux::set_times_at(dir, follow, path, times[0], times[1])?;
                    linux::stat_at(dir, follow, path).map(comparable)
                },
                |dir| {
                    portable::set_times_at(dir, follow, path, times[0], times[1])?;
                    portable::stat_at(dir, follow, path).map(comparable)
                },
            );
        }
        pair.same(
            &format!("readlink {path}"),
            |dir| linux::readlink_at(dir, path),
            |dir| portable::readlink_at(dir, path),
        );
    }
}

#[test]
fn paths_are_opened_alike() {
    let mut pair = Pair::new();
    for path in PATHS {
        for follow in [PathFlags::empty(), PathFlags::SYMLINK_FOLLOW] {
            for open in (0..16).map(OpenFlags::from_bits_truncate) {
                // What is refused in any case, with one code here and another there.
                let create = open.contains(OpenFlags::CREATE);
                if create && (open.contains(OpenFlags::DIRECTORY) || path.ends_with('/')) {
                    continue;
                }
                for flags in (0..4).map(DescriptorFlags::from_bits_truncate) {
                    pair.same(
                        &format!("open {path} {follow:?} {open:?} {flags:?}"),
                        |dir| Ok(linux::open_at(dir, follow, path, open, flags)?.1),
                        |dir| Ok(portable::open_at(dir, follow, path, open, flags)?.1),
                    );
                }
            }
        }
    }
}

#[test]
fn names_are_made_and_removed_alike() {
    type Call = fn(&Dir, &str) -> Result<()>;
    let mut pair = Pair::new();
    for path in PATHS {
        let calls: [(&str, Call, Call); 4] = [
            (
                "mkdir",
                linux::create_directory_at,
                portable::create_directory_at,
            ),
            (
                "rmdir",
                linux::remove_directory_at,
                portable::remove_directory_at,
            ),
            ("unlink", linux::unlink_file_at, portable::unlink_file_at),
            (
                "symlink",
                |dir, path| linux::symlink_at(dir, "../x", path),
                |dir, path| portable::symlink_at(dir, "../x", path),
            ),
        ];
        for (what, linux, portable) in calls {
            pair.same(
                &format!("{what} {path}"),
                |dir| linux(dir, path),
                |dir| portable(dir, path),
            );
        }
    }
}

#[test]
fn names_are_linked_and_moved_alike() {
    let mut pair = Pair::new();
    let some = [
        "file",
        "file/",
        "new",
        "new/",
        "none/x",
        ".",
        "dir/..",
        "../x",
        "dir",
        "dir/",
        "dir/new",
        "dir/sub",
        "empty",
        "empty/",
        "link",
        "link/",
        "dlink",
        "dlink/",
        "dangling",
        "dangling/",
        "chain",
        "slash",
        "up/x",
        "abs",
        "abs/x",
        "loop",
        "inside",
    ];
    for old in some {
        for new in some {
            // Where both paths are wrong, either may be said.
            let exact = ["file", "link"].contains(&old) || ["new", "dir/new"].contains(&new);
            let mut same = |what: &str, results: [Result<()>; 2]| {
                let same = match exact {
                    true => results[0] == results[1],
                    false => results[0].is_ok() == results[1].is_ok(),
                };
                pair.check(&format!("{what} {old} {new}"), same, &results);
                pair.dirs()
            };
            let mut dirs = same("nothing", [Ok(()); 2]);
            for follow in [PathFlags::empty(), PathFlags::SYMLINK_FOLLOW] {
                let [linux, portable] = &dirs;
                let results = [
                    linux::link_at(linux, follow, old, linux, new),
                    portable::link_at(portable, follow, old, portable, new),
                ];
                dirs = same(&format!("link {follow:?}"), results);
            }
            let [linux, portable] = &dirs;
            let results = [
                linux::rename_at(linux, old, linux, new),
                portable::rename_at(portable, old, portable, new),
            ];
            same("rename", results);
        }
    }
}

#[test]
fn several_buffers_are_moved_alike() {
    let seen = |several: &dyn Fn(&fs::File) -> Vec<Result<usize>>| {
        let file = tempfile::tempfile().unwrap();
        let results = several(&file);
        let mut bytes = [0; 100];
        let count = portable::read_at(&file, 0, &mut bytes).unwrap();
        (results, bytes[..count].to_vec())
    };
    let bufs = [&b"abc"[..], b"", b"de", b"fghi"];
    // The ends, which no filesystem may have but the calls know.
    const MAX: u64 = i64::MAX as u64;
    macro_rules! of {
        ($sys:ident) => {
            seen(&|file| {
                let mut results = Vec::new();
                for (offset, max) in [(0, usize::MAX), (7, 4), (MAX, 9), (u64::MAX, 9)] {
                    results.push($sys::write_vectored_at(file, offset, &bufs, max));
                }
                for max in [usize::MAX, 4] {
                    results.push($sys::append_vectored(file, &bufs, max));
                }
                let mut read = Vec::new();
                for offset in [0, 3, 20, 24, 99, MAX, MAX + 1, u64::MAX] {
                    let (mut a, mut b) = ([0; 2], [0; 5]);
                    let mut bufs = [&mut a[..], &mut [], &mut b];
                    results.push($sys::read_vectored_at(file, offset, &mut bufs));
                    read.extend([&a[..], &b].concat());
                }
                assert!(read.starts_with(b"abcdefg"));
                results
            })
        };
    }
    assert_eq!(of!(portable), of!(linux));
}
