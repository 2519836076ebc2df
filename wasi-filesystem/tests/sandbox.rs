//! No path leads out of a directory of this machine, whatever the guest tries and whoever
//! moves things meanwhile.
#![cfg(target_os = "linux")]

mod os_support;

use os_support::*;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::collections::BTreeMap;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::{fs, thread};
use tempfile::TempDir;
use wasi_filesystem::os::{Mode, OsDirectory};
use wasi_filesystem::{Directory, ErrorCode, NewTimestamp, Object, OpenFlags, Result};

const SECRET: &[u8] = b"what nobody may read";
const ROUNDS: u64 = 10_000;
/// Names that both the directory outside and its double inside have.
const NAMES: [&str; 4] = ["canary", "x", "empty", "sub/canary"];

struct Scene {
    temp: TempDir,
    /// What is outside, by inode.
    forbidden: BTreeMap<u64, PathBuf>,
    outside: Vec<String>,
    _held: fs::File,
}

impl Scene {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let root = temp.path();
        let outside = root.join("outside");
        fill(&outside, SECRET);
        fill(&root.join("inside/swap"), b"harmless");
        fs::create_dir_all(root.join("inside/a/b/c")).unwrap();
        fs::write(root.join("inside/a/file"), b"harmless").unwrap();
        // A directory outside that this process holds open: what magic links lead to.
        let held = fs::File::open(&outside).unwrap();
        let fd = format!("/proc/self/fd/{}", held.as_raw_fd());
        let absolute = outside.to_str().unwrap();
        for (target, link) in [
            ("../outside", "out"),
            ("../outside/canary", "out-file"),
            (absolute, "abs"),
            ("..", "up"),
            ("../../..", "a/b/up"),
            ("out", "hop"),
            ("a/../hop/../outside", "hops"),
            (&*fd, "fd"),
            ("/proc/self/root", "root"),
            ("/proc/self/cwd", "cwd"),
            ("/", "slash"),
        ] {
            symlink(target, root.join("inside").join(link)).unwrap();
        }
        // What takes the place of `swap`.
        for (target, link) in [
            ("../outside", "stage-relative"),
            (absolute, "stage-absolute"),
        ] {
            symlink(target, root.join(link)).unwrap();
        }
        let mut forbidden = BTreeMap::new();
        for path in ["", "outside"].into_iter().map(PathBuf::from) {
            forbidden.insert(fs::metadata(root.join(&path)).unwrap().ino(), path);
        }
        for name in NAMES.into_iter().chain(["sub"]) {
            let metadata = fs::metadata(outside.join(name)).unwrap();
            forbidden.insert(metadata.ino(), PathBuf::from(name));
        }
        let outside = seen(&outside);
        Self {
            temp,
            forbidden,
            outside,
            _held: held,
        }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.temp.path().join(path)
    }

    fn preopen(&self, mode: &Mode) -> OsDirectory {
        OsDirectory::open_ambient(self.path("inside"), mode.clone()).unwrap()
    }

    fn assert_untouched(&self, attempt: &str) {
        assert_eq!(seen(&self.path("outside")), self.outside, "{attempt}");
    }

    /// Looks closely at what was opened.
    fn assert_inside(&self, attempt: &str, object: Object) {
        let stat = match &object {
            Object::File(file) => {
                // It may have been opened for writing alone.
                let bytes = read(&**file, 0, 100).unwrap_or_default();
                assert_ne!(bytes, SECRET, "{attempt} was read");
                done(file.stat())
            }
            Object::Directory(dir) => {
                for entry in entries(&**dir).unwrap_or_default() {
                    let entry = entry.unwrap();
                    self.assert_allowed(&format!("{attempt}, listed"), entry.inode);
                }
                for name in ["canary", "..", "../outside/canary", "sub/canary"] {
                    if let Ok(stat) = done(dir.stat_at(FOLLOW, name)) {
                        self.assert_allowed(&format!("{attempt}, {name}"), stat.inode);
                    }
                }
                done(dir.stat())
            }
        };
        self.assert_allowed(attempt, stat.unwrap().inode);
    }

    fn assert_allowed(&self, attempt: &str, inode: u64) {
        if let Some(path) = self.forbidden.get(&inode) {
            panic!("{attempt} got at {path:?}");
        }
    }
}

/// Makes the directory that is outside, or its double inside, where anything of it is missing.
/// It follows no link that a guest put there.
fn fill(dir: &Path, contents: &[u8]) {
    for name in ["sub", "empty"] {
        let _ = fs::create_dir_all(dir.join(name));
    }
    for name in ["canary", "x", "sub/canary"] {
        let path = dir.join(name);
        if fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_symlink()) {
            let _ = fs::remove_file(&path);
        }
        if let Ok(mut file) = fs::File::create_new(path) {
            let _ = file.write_all(contents);
        }
    }
}

/// Every object below `dir`, with all that a guest could change of it.
fn seen(dir: &Path) -> Vec<String> {
    let (mut all, mut left) = (Vec::new(), vec![dir.to_path_buf()]);
    while let Some(path) = left.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        let contents = match metadata.is_dir() {
            true => Vec::new(),
            false => fs::read(&path).unwrap(),
        };
        all.push(format!(
            "{path:?} {} {} {:?} {contents:?}",
            metadata.ino(),
            metadata.nlink(),
            metadata.modified().unwrap(),
        ));
        if metadata.is_dir() {
            left.extend(
                fs::read_dir(path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
    }
    all.sort();
    all
}

/// The `n`th thing that can be done with `path`.
fn attempt(scene: &Scene, dir: &dyn Directory, n: u64, path: &str) -> Result<()> {
    let what = format!("{n} {path}");
    let open = |path_flags, open_flags, flags| {
        let object = done(dir.open_at(path_flags, path, open_flags, flags))?;
        if let Object::File(file) = &object
            && flags.contains(WRITE)
        {
            done(file.write_at(0, b"overwritten"))?;
        }
        scene.assert_inside(&what, object);
        Ok(())
    };
    let stat = |path_flags| {
        let stat = done(dir.stat_at(path_flags, path))?;
        scene.assert_allowed(&what, stat.inode);
        Ok(())
    };
    let times = [NewTimestamp::Now, NewTimestamp::Now];
    match n % 17 {
        0 => open(FOLLOW, EXISTING, READ),
        1 => open(NO_FOLLOW, EXISTING, READ),
        2 => open(FOLLOW, EXISTING, BOTH),
        3 => open(FOLLOW, CREATE, WRITE),
        4 => open(FOLLOW, OpenFlags::TRUNCATE, WRITE),
        5 => open(FOLLOW, OpenFlags::DIRECTORY, READ),
        6 => stat(FOLLOW),
        7 => stat(NO_FOLLOW),
        8 => done(dir.set_times_at(FOLLOW, path, times[0], times[1])),
        9 => done(dir.create_directory_at(path)),
        10 => done(dir.remove_directory_at(path)),
        11 => done(dir.unlink_file_at(path)),
        12 => done(dir.symlink_at("../../outside/canary", path)),
        13 => {
            let _ = done(dir.unlink_file_at("taken"));
            done(dir.link_at(FOLLOW, path, dir, "taken"))?;
            stat_of(scene, dir, "taken", &what)
        }
        14 => done(dir.link_at(NO_FOLLOW, "a/file", dir, path)),
        15 => {
            done(dir.rename_at(path, dir, "moved"))?;
            let moved = stat_of(scene, dir, "moved", &what);
            // A guest that moves the way itself would end the race.
            let _ = done(dir.rename_at("moved", dir, path));
            moved
        }
        _ => {
            let file = done(dir.open_at(NO_FOLLOW, "mine", CREATE, WRITE));
            drop(file);
            done(dir.rename_at("mine", dir, path))
        }
    }
}

fn stat_of(scene: &Scene, dir: &dyn Directory, path: &str, what: &str) -> Result<()> {
    let stat = done(dir.stat_at(NO_FOLLOW, path))?;
    scene.assert_allowed(what, stat.inode);
    Ok(())
}

#[test]
fn every_known_way_out_is_refused() {
    let scene = Scene::new();
    let absolute = scene.path("outside/canary");
    let long = format!("{}../outside/canary", "a/../".repeat(500));
    let ways = [
        "..",
        "../",
        "a/../..",
        "../outside/canary",
        "./../outside/canary",
        "a/../../outside/canary",
        "a/b/c/../../../../outside/canary",
        ".//..//outside//canary",
        "out/canary",
        "out/sub/../canary",
        "hop/canary",
        "hops/canary",
        "abs/canary",
        "up/outside/canary",
        "a/b/up/outside/canary",
        "up/inside/../outside/canary",
        "a/b/up/../outside/canary",
        "fd/canary",
        "root/etc/passwd",
        "cwd/Cargo.toml",
        "slash/etc/passwd",
        "/etc/passwd",
        "//etc/passwd",
        absolute.to_str().unwrap(),
        "/proc/self/root/etc/passwd",
        &long,
    ];
    // With NUL a path ends early for whoever takes it as a C string.
    let nul = ["a\0/../../outside/canary", "../outside/canary\0", "\0"];
    let huge = ["x".repeat(256), "x".repeat(70_000), "../".repeat(30_000)];
    for mode in modes() {
        let dir = scene.preopen(&mode);
        for n in 0..17 {
            for way in ways {
                let result = attempt(&scene, &dir, n, way);
                assert_eq!(result, Err(ErrorCode::NotPermitted), "{n} {way}");
                scene.assert_untouched(way);
            }
            for way in nul {
                let result = attempt(&scene, &dir, n, way);
                let codes = [ErrorCode::Invalid, ErrorCode::NotPermitted];
                assert!(
                    result.is_err_and(|code| codes.contains(&code)),
                    "{n} {way:?}"
                );
                scene.assert_untouched(way);
            }
            for way in &huge {
                let result = attempt(&scene, &dir, n, way);
                assert_eq!(
                    result,
                    Err(ErrorCode::NameTooLong),
                    "{n} {} bytes",
                    way.len()
                );
                scene.assert_untouched("a long path");
            }
        }
    }
}

#[test]
fn a_guest_s_own_links_lead_nowhere_else() {
    for mode in modes() {
        let scene = Scene::new();
        let dir = scene.preopen(&mode);
        for target in [
            "../outside/canary",
            "..",
            "a/../../outside/canary",
            "own2",
            "out-file",
        ] {
            done(dir.symlink_at(target, "own")).unwrap();
            done(dir.symlink_at("../outside/canary", "own2")).unwrap();
            for flags in [READ, WRITE, BOTH] {
                let opened = done(dir.open_at(FOLLOW, "own", EXISTING, flags));
                assert_eq!(opened.err(), Some(ErrorCode::NotPermitted), "{target}");
            }
            let created = done(dir.open_at(FOLLOW, "own", CREATE, WRITE));
            assert_eq!(created.err(), Some(ErrorCode::NotPermitted), "{target}");
            let linked = done(dir.link_at(FOLLOW, "own", &dir, "linked"));
            assert_eq!(linked, Err(ErrorCode::NotPermitted), "{target}");
            done(dir.unlink_file_at("own")).unwrap();
            done(dir.unlink_file_at("own2")).unwrap();
            scene.assert_untouched(target);
        }
    }
}

#[test]
fn a_directory_that_becomes_a_link_on_the_way_leads_nowhere_else() {
    for mode in modes() {
        let scene = Scene::new();
        let dir = scene.preopen(&mode);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let swap = scene.path("inside/swap");
                let stages = ["stage-relative", "stage-absolute"].map(|stage| scene.path(stage));
                let exchange = |stage| renameat_with(CWD, &swap, CWD, stage, RenameFlags::EXCHANGE);
                let is_dir = |path: &Path| fs::symlink_metadata(path).is_ok_and(|it| it.is_dir());
                while !stop.load(Relaxed) {
                    for stage in &stages {
                        let _ = exchange(stage);
                        thread::yield_now();
                        let _ = exchange(stage);
                    }
                    if is_dir(&swap) {
                        fill(&swap, b"harmless");
                    } else if let Some(stage) = stages.iter().find(|stage| is_dir(stage)) {
                        // The guest moved it between the two.
                        let _ = exchange(stage);
                    }
                }
            });
            // Ended also where an assertion fails.
            struct Stop<'a>(&'a AtomicBool);
            impl Drop for Stop<'_> {
                fn drop(&mut self) {
                    self.0.store(true, Relaxed);
                }
            }
            let _stop = Stop(&stop);
            let ways = [
                "swap/canary",
                "swap/x",
                "swap/empty",
                "swap/sub/canary",
                "swap/../swap/canary",
                "swap/sub/../x",
                "a/../swap/sub/../../swap/x",
                "swap/new",
                "swap",
                "swap/",
                "swap/..",
                "swap/../outside/canary",
            ];
            let (mut there, mut refused) = (0, 0);
            let mut random: u64 = 0x9e37_79b9_7f4a_7c15;
            for round in 0..ROUNDS {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                let way = ways[(random >> 8) as usize % ways.len()];
                match attempt(&scene, &dir, random >> 32, way) {
                    Ok(()) => there += 1,
                    Err(ErrorCode::NotPermitted) => refused += 1,
                    Err(_) => {}
                }
                if round % 500 == 0 {
                    scene.assert_untouched(way);
                }
            }
            assert!(there > 100 && refused > 100, "no race: {there}, {refused}");
        });
        scene.assert_untouched("the race");
    }
}

#[test]
fn a_directory_that_is_moved_out_does_not_take_its_guest_s_paths_along() {
    for mode in modes() {
        let scene = Scene::new();
        let dir = scene.preopen(&mode);
        let deep = open_directory(&dir, "a/b").unwrap();
        fs::rename(scene.path("inside/a/b"), scene.path("outside-b")).unwrap();
        // It is still what was opened, and nothing above it.
        assert!(done(deep.stat_at(FOLLOW, "c")).is_ok());
        for path in [
            "..",
            "../outside/canary",
            "c/../../outside/canary",
            "up/outside/canary",
        ] {
            let result = done(deep.stat_at(FOLLOW, path));
            assert_eq!(result.err(), Some(ErrorCode::NotPermitted), "{path}");
        }
        let result = done(dir.stat_at(FOLLOW, "a/b/c"));
        assert_eq!(result.err(), Some(ErrorCode::NoEntry));
    }
}
