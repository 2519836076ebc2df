//! Threads at once on one filesystem: no path gets out, nothing is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use wasi_clocks::manual::ManualClock;
use wasi_filesystem::memory::MemFs;
use wasi_filesystem::{
    DescriptorFlags, Directory, ErrorCode, Object, OpenFlags, Overlay, PathFlags, Result, vfs,
};
use wasi_io::Op;

const FOLLOW: PathFlags = PathFlags::SYMLINK_FOLLOW;
const NO_FOLLOW: PathFlags = PathFlags::empty();
const READ: DescriptorFlags = DescriptorFlags::READ;

fn mem_fs() -> Arc<MemFs> {
    Arc::new(MemFs::new(Arc::new(ManualClock::default())))
}

fn done<T: 'static>(op: Op<T>) -> T {
    pollster::block_on(op.finish())
}

fn open(dir: &dyn Directory, path: &str) -> Result<Object> {
    done(dir.open_at(FOLLOW, path, OpenFlags::empty(), READ))
}

fn contents(dir: &dyn Directory, path: &str) -> Result<Vec<u8>> {
    let Object::File(file) = open(dir, path)? else {
        return Err(ErrorCode::IsDirectory);
    };
    let mut buf = vec![0; 100];
    let Op::Ready(n) = file.read_at(0, &mut buf) else {
        panic!("pending")
    };
    buf.truncate(n?);
    Ok(buf)
}

/// `walks` on this thread, while another does `changes` over and over.
fn while_others(changes: impl Fn() + Sync, walks: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                changes();
            }
        });
        let _stop = Stop(&stop);
        walks();
    });
}

/// Walks `paths` until either end was seen often: inside, and nowhere.
fn walk_all(jail: &dyn Directory, paths: &[&str]) {
    let (mut inside, mut nowhere) = (0, 0);
    for path in paths.iter().cycle() {
        match contents(jail, path) {
            Ok(bytes) => {
                assert_eq!(bytes, b"inside", "{path}");
                inside += 1;
            }
            Err(ErrorCode::NoEntry | ErrorCode::NotPermitted) => nowhere += 1,
            Err(code) => panic!("{path}: {code:?}"),
        }
        if inside > 5_000 && nowhere > 5_000 {
            break;
        }
    }
}

struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    /// Also when the walks panic.
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_walk_never_leaves_its_directory_while_what_it_goes_through_moves() {
    let fs = mem_fs();
    fs.create_dir_all("jail/a/b/c").unwrap();
    for path in ["secret", "outside/secret", "a/secret"] {
        let (dir, _) = path.rsplit_once('/').unwrap_or(("", path));
        fs.create_dir_all(dir).unwrap();
        fs.write_file(path, b"outside").unwrap();
    }
    fs.write_file("jail/secret", b"inside").unwrap();
    fs.write_file("jail/a/secret", b"inside").unwrap();
    let root = vfs::directory(fs.clone());
    let Ok(Object::Directory(jail)) = open(&*root, "jail") else {
        panic!("no directory")
    };
    let rename = |old: &str, new: &str| done(root.rename_at(old, &*root, new));
    let changes = || {
        // Deeper and higher, out of the jail and back, and a link out in its place.
        rename("jail/a/b", "jail/b").unwrap();
        rename("jail/b", "outside/b").unwrap();
        done(root.symlink_at("../../outside", "jail/a/b")).unwrap();
        done(root.unlink_file_at("jail/a/b")).unwrap();
        rename("outside/b", "jail/a/b").unwrap();
    };
    while_others(changes, || {
        walk_all(
            &*jail,
            &[
                "a/b/../secret",
                "a/b/../../secret",
                "a/b/c/../../../secret",
                "a/b/c/../../../../secret",
                "a/b/../../../secret",
                "a/b/secret",
                "a/b/../../outside/secret",
            ],
        );
    });
}

#[test]
fn what_is_made_where_nothing_is_is_made_once() {
    for round in 0..200 {
        let fs = mem_fs();
        let root = vfs::directory(fs.clone());
        let make = |exclusive| {
            let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
            let opened =
                done(root.open_at(NO_FOLLOW, "file", OpenFlags::CREATE | exclusive, flags));
            opened.map(drop)
        };
        let (one, other, any) = std::thread::scope(|scope| {
            let threads = [
                OpenFlags::EXCLUSIVE,
                OpenFlags::EXCLUSIVE,
                OpenFlags::empty(),
            ]
            .map(|flags| scope.spawn(move || make(flags)));
            let [one, other, any] = threads.map(|thread| thread.join().unwrap());
            (one, other, any)
        });
        assert!(one.is_err() || other.is_err(), "round {round}");
        assert_eq!(any, Ok(()), "round {round}");
        assert_eq!(fs.usage().inodes, 2);
    }
}

#[test]
fn directories_that_move_at_once_stay_one_tree_and_give_all_room_back() {
    let fs = mem_fs();
    let empty = fs.usage();
    let root = vfs::directory(fs.clone());
    for path in ["a", "b", "c", "d"] {
        done(root.create_directory_at(path)).unwrap();
    }
    let made = fs.usage();
    let paths = [
        "a", "b", "c", "d", "a/b", "b/a", "c/d", "d/c", "a/c", "b/d", "a/b/c", "d/a/b",
    ];
    std::thread::scope(|scope| {
        for thread in 0..3_usize {
            let root = &root;
            scope.spawn(move || {
                for step in 0..3_000_usize {
                    let random = (step * 31 + thread * 17) ^ (step >> 3);
                    let (old, new) = (paths[random % 12], paths[(random / 12) % 12]);
                    // Mostly it is not there, or would move into itself.
                    let _ = done(root.rename_at(old, &**root, new));
                }
            });
        }
    });
    // All four can be reached: none is in itself.
    let mut found = 0;
    let mut left = vec![String::new()];
    while let Some(path) = left.pop() {
        for entry in fs.read_dir(&path).unwrap() {
            found += 1;
            left.push(format!("{path}/{}", entry.name));
        }
        assert!(found <= 4);
    }
    assert_eq!(found as u64, fs.usage().inodes - empty.inodes);
    assert!(found > 0 && fs.usage().inodes <= made.inodes);
    // What is in the topmost ones comes up, until they can all be removed.
    while fs.usage().inodes > empty.inodes {
        for dir in fs.read_dir("").unwrap() {
            for below in fs.read_dir(&dir.name).unwrap() {
                let path = format!("{}/{}", dir.name, below.name);
                done(root.rename_at(&path, &*root, &format!("up-{}", below.inode))).unwrap();
            }
            done(root.remove_directory_at(&dir.name)).unwrap();
        }
    }
    assert_eq!(fs.usage(), empty);
}

#[test]
fn a_walk_in_an_overlay_never_leaves_its_directory_either() {
    let [lower, upper] = [mem_fs(), mem_fs()];
    lower.create_dir_all("jail/low").unwrap();
    for path in ["secret", "outside-secret"] {
        lower.write_file(path, b"outside").unwrap();
    }
    lower.write_file("jail/secret", b"inside").unwrap();
    let [below, above] = [&lower, &upper].map(|fs| vfs::directory(fs.clone()));
    let root = vfs::directory(Arc::new(Overlay::new(below, above)));
    done(root.create_directory_at("jail/up")).unwrap();
    let Ok(Object::Directory(jail)) = open(&*root, "jail") else {
        panic!("no directory")
    };
    let changes = || {
        let rename = |old: &str, new: &str| done(root.rename_at(old, &*root, new)).unwrap();
        rename("jail/up", "up");
        done(root.symlink_at("../..", "jail/up")).unwrap();
        done(root.unlink_file_at("jail/up")).unwrap();
        rename("up", "jail/up");
    };
    while_others(changes, || {
        walk_all(
            &*jail,
            &[
                "up/../secret",
                "up/../../secret",
                "up/secret",
                "low/../up/../secret",
                "up/../../outside-secret",
            ],
        );
    });
}

#[test]
fn several_buffers_in_memory_are_one_step_for_others() {
    let root = vfs::directory(mem_fs());
    let open = || {
        let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
        match done(root.open_at(NO_FOLLOW, "file", OpenFlags::CREATE, flags)) {
            Ok(Object::File(file)) => file,
            _ => panic!("it is made, and a file"),
        }
    };
    let (writer, reader) = (open(), open());
    let write = |byte| {
        let buf = [byte; 9];
        assert_eq!(done(writer.write_vectored_at(0, &[&buf[..]; 50])), Ok(450));
    };
    write(b'a');
    while_others(
        || [b'a', b'b'].into_iter().for_each(write),
        || {
            for _ in 0..2000 {
                let mut bufs = [[0; 9]; 50];
                let mut slices = bufs.each_mut().map(|buf| &mut buf[..]);
                let read = reader.read_vectored_at(0, &mut slices);
                assert!(matches!(read, Op::Ready(Ok(450))));
                assert!(bufs.iter().all(|buf| *buf == bufs[0]), "a part is older");
            }
        },
    );
    let start = done(reader.stat()).unwrap().size as usize;
    std::thread::scope(|scope| {
        for byte in *b"ab" {
            let file = open();
            scope.spawn(move || {
                for _ in 0..1000 {
                    assert_eq!(done(file.append_vectored(&[&[byte; 3][..]; 10])), Ok(30));
                }
            });
        }
    });
    let mut all = vec![0; start + 60_001];
    let read = reader.read_at(0, &mut all);
    assert!(matches!(read, Op::Ready(Ok(n)) if n == start + 60_000));
    for piece in all[start..start + 60_000].chunks(30) {
        assert!(piece.iter().all(|byte| *byte == piece[0]));
    }
}
