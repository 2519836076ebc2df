//! What an overlay shows of its layers, and what it does to them.

mod wrapped;

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use wasi_clocks::manual::ManualClock;
use wasi_filesystem::memory::{Limits, MemFs};
use wasi_filesystem::{
    DescriptorFlags, DescriptorStat, Directory, ErrorCode, File, NewTimestamp, Object, OpenFlags,
    Overlay, PathFlags, Result, vfs,
};
use wasi_io::Op;
use wasi_types::Datetime;

const READ: DescriptorFlags = DescriptorFlags::READ;
const BOTH: DescriptorFlags = READ.union(DescriptorFlags::WRITE);
const NONE: OpenFlags = OpenFlags::empty();
const CREATE: OpenFlags = OpenFlags::CREATE;
const NO_FOLLOW: PathFlags = PathFlags::empty();

struct Layers {
    lower: Arc<MemFs>,
    upper: Arc<MemFs>,
    root: Arc<dyn Directory>,
}

/// With `fill` done to what is below.
fn layers(fill: impl FnOnce(&Arc<MemFs>)) -> Layers {
    limited(Limits::default(), fill)
}

fn limited(limits: Limits, fill: impl FnOnce(&Arc<MemFs>)) -> Layers {
    let clock = ManualClock::new(Datetime::new(1_000, 0).unwrap());
    let lower = Arc::new(MemFs::new(Arc::new(clock.clone())));
    let upper = Arc::new(MemFs::with_limits(Arc::new(clock.clone()), limits));
    fill(&lower);
    clock.set_wall(Datetime::new(2_000, 0).unwrap());
    let root = overlay(&lower, &upper);
    Layers { lower, upper, root }
}

fn overlay(lower: &Arc<MemFs>, upper: &Arc<MemFs>) -> Arc<dyn Directory> {
    let [lower, upper] = [lower, upper].map(|fs| vfs::directory(fs.clone()));
    vfs::directory(Arc::new(Overlay::new(lower, upper)))
}

fn done<T: 'static>(op: Op<T>) -> T {
    pollster::block_on(op.finish())
}

fn open(dir: &dyn Directory, path: &str, flags: DescriptorFlags) -> Result<Arc<dyn File>> {
    match done(dir.open_at(NO_FOLLOW, path, NONE, flags))? {
        Object::File(file) => Ok(file),
        Object::Directory(_) => Err(ErrorCode::IsDirectory),
    }
}

fn create(dir: &dyn Directory, path: &str) -> Result<()> {
    done(dir.open_at(NO_FOLLOW, path, CREATE | OpenFlags::EXCLUSIVE, BOTH)).map(drop)
}

fn open_dir(dir: &dyn Directory, path: &str) -> Arc<dyn Directory> {
    match done(dir.open_at(NO_FOLLOW, path, OpenFlags::DIRECTORY, READ)).unwrap() {
        Object::Directory(dir) => dir,
        Object::File(_) => unreachable!(),
    }
}

fn read(file: &dyn File) -> Vec<u8> {
    let mut buf = vec![0; 1000];
    let Op::Ready(n) = file.read_at(0, &mut buf) else {
        panic!("pending")
    };
    buf.truncate(n.unwrap());
    buf
}

fn stat(dir: &dyn Directory, path: &str) -> DescriptorStat {
    done(dir.stat_at(NO_FOLLOW, path)).unwrap()
}

fn number(dir: &dyn Directory, path: &str) -> (u64, u64) {
    let stat = stat(dir, path);
    (stat.device, stat.inode)
}

fn names(dir: &dyn Directory) -> Vec<String> {
    let mut entries = done(dir.read_directory()).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let mut names = Vec::new();
    while let Poll::Ready(Some(entry)) = entries.poll_next(&mut cx).map(Result::unwrap) {
        names.push(entry.name);
    }
    names.sort();
    names
}

#[test]
fn all_who_have_a_file_open_see_the_copy_and_its_numbers_stay() {
    let it = layers(|lower| lower.write_file("file", b"below").unwrap());
    let reader = open(&*it.root, "file", READ).unwrap();
    let before = number(&*it.root, "file");
    let writer = open(&*it.root, "file", BOTH).unwrap();
    assert_eq!(done(writer.write_at(0, b"above")), Ok(5));
    assert_eq!(read(&*reader), b"above");
    assert_eq!(number(&*it.root, "file"), before);
    for file in [&reader, &writer] {
        let stat = done(file.stat()).unwrap();
        assert_eq!((stat.device, stat.inode), before);
    }
    done(it.root.rename_at("file", &*it.root, "moved")).unwrap();
    assert_eq!(number(&*it.root, "moved"), before);
    drop((reader, writer));
    assert_ne!(number(&*it.root, "moved"), before, "those of the copy");
    assert_eq!(it.lower.read_file("file").unwrap(), b"below");
    assert_eq!(it.upper.read_file("moved").unwrap(), b"above");
}

#[test]
fn a_directory_keeps_its_numbers_for_good() {
    let it = layers(|lower| lower.create_dir_all("a/b").unwrap());
    let before = ["a", "a/b", "."].map(|path| number(&*it.root, path));
    create(&*it.root, "a/b/new").unwrap();
    assert_eq!(
        before,
        ["a", "a/b", "."].map(|path| number(&*it.root, path))
    );
    let again = overlay(&it.lower, &it.upper);
    let inodes = |root: &dyn Directory| ["a", "a/b", "."].map(|path| number(root, path).1);
    assert_eq!(inodes(&*again), inodes(&*it.root));
}

#[test]
fn what_is_only_read_is_not_copied() {
    let it = layers(|lower| {
        lower.create_dir_all("a").unwrap();
        lower.write_file("a/file", b"below").unwrap();
        lower.symlink("a/file", "link").unwrap();
    });
    let empty = it.upper.usage();
    assert_eq!(read(&*open(&*it.root, "a/file", READ).unwrap()), b"below");
    assert_eq!(names(&*it.root), ["a", "link"]);
    assert_eq!(done(it.root.readlink_at("link")).unwrap(), "a/file");
    assert_eq!(it.upper.usage(), empty);
}

#[test]
fn a_copy_keeps_times_and_holes_and_a_truncated_file_is_not_copied() {
    let it = layers(|lower| {
        lower.create_dir_all("d").unwrap();
        lower.write_file("d/large", &[7; 1 << 20]).unwrap();
        lower.write_file("d/sparse", b"x").unwrap();
        let root = vfs::directory(lower.clone());
        let file = open(&*root, "d/sparse", BOTH).unwrap();
        done(file.set_size(1 << 24)).unwrap();
        done(file.write_at(1 << 23, b"y")).unwrap();
    });
    let modified = |path: &str| stat(&*it.root, path).data_modification_timestamp.unwrap();
    let empty = it.upper.usage();
    // Opened to write, it is copied, though nothing is written.
    drop(open(&*it.root, "d/sparse", BOTH).unwrap());
    assert_eq!(stat(&*it.root, "d/sparse").size, 1 << 24);
    let used = it.upper.usage().bytes - empty.bytes;
    assert!((2 * 4096..2 * (64 << 10) + 1000).contains(&used), "{used}");
    for path in ["d", "d/sparse"] {
        assert_eq!(modified(path).seconds(), 1_000, "{path}");
    }
    let cut = it
        .root
        .open_at(NO_FOLLOW, "d/large", OpenFlags::TRUNCATE, BOTH);
    drop(done(cut).unwrap());
    assert_eq!(stat(&*it.root, "d/large").size, 0);
    assert!(it.upper.usage().bytes - empty.bytes - used < 1000);
    assert_eq!(modified("d/large").seconds(), 2_000);
    assert_eq!(it.lower.read_file("d/large").unwrap(), [7; 1 << 20]);
}

#[test]
fn a_copy_without_room_leaves_the_file_as_it_was() {
    let limits = Limits {
        bytes: 100_000,
        ..Limits::default()
    };
    let it = limited(limits, |lower| {
        lower.write_file("large", &[7; 200_000]).unwrap();
        lower.write_file("small", b"below").unwrap();
    });
    let opened = open(&*it.root, "large", BOTH);
    assert_eq!(opened.err(), Some(ErrorCode::InsufficientSpace));
    assert_eq!(stat(&*it.root, "large").size, 200_000);
    assert_eq!(names(&*it.root), ["large", "small"]);
    // What was left over makes room for the next.
    open(&*it.root, "small", BOTH).unwrap();
    assert_eq!(it.upper.read_file("small").unwrap(), b"below");
    assert_eq!(it.upper.read_dir("").unwrap().len(), 1);
}

#[test]
fn a_copy_that_is_given_up_leaves_the_file_as_it_was() {
    let lower = Arc::new(MemFs::new(Arc::new(ManualClock::default())));
    let upper = Arc::new(MemFs::new(Arc::new(ManualClock::default())));
    lower.create_dir_all("d").unwrap();
    lower.write_file("d/file", &[7; 300_000]).unwrap();
    let [below, above] = [&lower, &upper].map(|fs| {
        let slow = wrapped::Slow(vfs::directory(fs.clone()));
        Arc::new(slow) as Arc<dyn Directory>
    });
    let root = vfs::directory(Arc::new(Overlay::new(below, above)));
    let mut cx = Context::from_waker(Waker::noop());
    let mut given_up = 0;
    loop {
        let Op::Pending(mut opening) = root.open_at(NO_FOLLOW, "d/file", NONE, BOTH) else {
            panic!("done at once")
        };
        given_up += 1;
        // One poll more each time.
        let polled = (0..given_up).find_map(|_| match opening.as_mut().poll(&mut cx) {
            Poll::Ready(opened) => Some(opened.map(drop)),
            Poll::Pending => None,
        });
        drop(opening);
        assert_eq!(
            stat(&*root, "d/file").size,
            300_000,
            "after {given_up} polls"
        );
        assert_eq!(done(root.stat_at(NO_FOLLOW, "d")).map(drop), Ok(()));
        if let Some(opened) = polled {
            opened.unwrap();
            break;
        }
    }
    assert!(given_up > 20, "{given_up}");
    assert_eq!(upper.read_file("d/file").unwrap(), [7; 300_000]);
    done(root.unlink_file_at("d/file")).unwrap();
    done(root.remove_directory_at("d")).unwrap();
    assert_eq!(lower.read_file("d/file").unwrap(), [7; 300_000]);
}

#[test]
fn a_large_copy_lets_others_have_their_turn() {
    let it = layers(|lower| lower.write_file("large", &[7; 8 << 20]).unwrap());
    let opening = it.root.open_at(NO_FOLLOW, "large", NONE, BOTH);
    assert!(matches!(opening, Op::Pending(_)));
    done(opening).unwrap();
    assert_eq!(it.upper.read_file("large").unwrap(), [7; 8 << 20]);
}

#[test]
fn a_file_of_several_names_below_becomes_one_of_its_own() {
    let it = layers(|lower| {
        lower.write_file("a", b"below").unwrap();
        let root = vfs::directory(lower.clone());
        done(root.link_at(NO_FOLLOW, "a", &*root, "b")).unwrap();
    });
    let before = number(&*it.root, "b");
    assert_eq!(number(&*it.root, "a"), before);
    let [a, b] = ["a", "b"].map(|path| open(&*it.root, path, READ).unwrap());
    let writer = open(&*it.root, "a", BOTH).unwrap();
    done(writer.write_at(0, b"above")).unwrap();
    assert_eq!(
        (read(&*a), read(&*b)),
        (b"above".to_vec(), b"below".to_vec())
    );
    assert_eq!(number(&*it.root, "b"), before);
    assert_ne!(number(&*it.root, "a"), before);
}

#[test]
fn a_directory_below_is_not_renamed_and_one_above_is() {
    let it = layers(|lower| {
        lower.create_dir_all("below/empty").unwrap();
        lower.write_file("below/file", b"").unwrap();
    });
    let rename = |old: &str, new: &str| done(it.root.rename_at(old, &*it.root, new));
    assert_eq!(rename("below", "new"), Err(ErrorCode::CrossDevice));
    assert_eq!(rename("below", "below/empty/x"), Err(ErrorCode::Invalid));
    create(&*it.root, "below/more").unwrap();
    assert_eq!(
        rename("below", "new"),
        Err(ErrorCode::CrossDevice),
        "in both"
    );
    done(it.root.create_directory_at("above")).unwrap();
    create(&*it.root, "above/file").unwrap();
    assert_eq!(rename("above", "below"), Err(ErrorCode::NotEmpty));
    rename("above", "below/empty").unwrap();
    assert_eq!(names(&*open_dir(&*it.root, "below/empty")), ["file"]);
    // What comes where it was shows nothing of it.
    rename("below/empty", "moved").unwrap();
    done(it.root.create_directory_at("below/empty")).unwrap();
    assert_eq!(names(&*open_dir(&*it.root, "below/empty")), [""; 0]);
}

#[test]
fn a_directory_that_was_moved_away_is_not_taken_for_one_below() {
    let it = layers(|_| {});
    for path in ["outer", "outer/inner"] {
        done(it.root.create_directory_at(path)).unwrap();
    }
    let inner = open_dir(&*it.root, "outer/inner");
    done(it.root.rename_at("outer/inner", &*it.root, "free")).unwrap();
    done(it.root.rename_at("outer", &*inner, "x")).unwrap();
    assert_eq!(names(&*it.root), ["free"]);
}

#[test]
fn what_was_removed_stays_so_for_the_next_overlay() {
    let it = layers(|lower| {
        lower.create_dir_all("dir/below").unwrap();
        for path in ["file", "other", "dir/file"] {
            lower.write_file(path, b"below").unwrap();
        }
    });
    for path in ["file", "other", "dir/file"] {
        done(it.root.unlink_file_at(path)).unwrap();
    }
    for path in ["dir/below", "dir"] {
        done(it.root.remove_directory_at(path)).unwrap();
    }
    create(&*it.root, "other").unwrap();
    done(it.root.create_directory_at("dir")).unwrap();
    for root in [it.root, overlay(&it.lower, &it.upper)] {
        assert_eq!(names(&*root), ["dir", "other"]);
        assert_eq!(names(&*open_dir(&*root, "dir")), [""; 0]);
        assert_eq!(stat(&*root, "other").size, 0);
        let gone = done(root.stat_at(NO_FOLLOW, "file"));
        assert_eq!(gone, Err(ErrorCode::NoEntry));
    }
}

#[test]
fn the_overlay_s_own_names_are_seen_and_made_by_nobody() {
    let it = layers(|lower| {
        lower.write_file("file", b"").unwrap();
        lower.write_file(".wh.below", b"").unwrap();
    });
    done(it.root.unlink_file_at("file")).unwrap();
    assert_eq!(names(&*it.root), [""; 0]);
    for name in [".wh.file", ".wh.below", ".wh..wh.new", ".wh."] {
        let seen = done(it.root.stat_at(NO_FOLLOW, name));
        assert_eq!(seen, Err(ErrorCode::NoEntry), "{name}");
        let unlinked = done(it.root.unlink_file_at(name));
        assert_eq!(unlinked, Err(ErrorCode::NoEntry), "{name}");
    }
    create(&*it.root, "mine").unwrap();
    let root = &it.root;
    for name in [".wh.x", ".WH.x", ".wh.", ".wh..wh.new"] {
        let refused = Err(ErrorCode::NotPermitted);
        assert_eq!(create(&**root, name), refused, "{name}");
        for made in [
            root.create_directory_at(name),
            root.symlink_at("x", name),
            root.link_at(NO_FOLLOW, "mine", &**root, name),
            root.rename_at("mine", &**root, name),
        ] {
            assert_eq!(done(made), refused, "{name}");
        }
    }
    create(&*it.root, ".who").unwrap();
    assert_eq!(names(&*it.root), [".who", "mine"]);
}

#[test]
fn a_name_too_long_for_a_whiteout_can_not_be_removed() {
    let long = "n".repeat(255);
    let it = layers(|lower| lower.write_file(&long, b"below").unwrap());
    let unlinked = done(it.root.unlink_file_at(&long));
    assert_eq!(unlinked, Err(ErrorCode::NameTooLong));
    let file = open(&*it.root, &long, BOTH).unwrap();
    assert_eq!(read(&*file), b"below");
}

#[test]
fn a_file_that_was_removed_below_lives_on_while_it_is_open() {
    let it = layers(|lower| lower.write_file("file", b"below").unwrap());
    let file = open(&*it.root, "file", READ).unwrap();
    done(it.root.unlink_file_at("file")).unwrap();
    create(&*it.root, "file").unwrap();
    assert_eq!(read(&*file), b"below");
    assert_eq!(done(file.stat()).unwrap().link_count, 0);
    let set = done(file.set_times(NewTimestamp::Now, NewTimestamp::Now));
    assert_eq!(set, Err(ErrorCode::ReadOnly));
    assert_eq!(stat(&*it.root, "file").size, 0);
}

#[test]
fn a_long_listing_has_each_name_of_both_layers_once() {
    let it = layers(|lower| {
        for n in 0..600 {
            lower.write_file(&format!("{n:03}"), b"").unwrap();
        }
    });
    for n in (0..600).step_by(3) {
        let path = format!("{n:03}");
        done(it.root.unlink_file_at(&path)).unwrap();
        match n % 2 {
            0 => create(&*it.root, &path).unwrap(),
            _ => create(&*it.root, &format!("{n:03}-new")).unwrap(),
        }
        drop(open(&*it.root, &format!("{:03}", n + 1), BOTH).unwrap());
    }
    let expected: Vec<_> = (0..600)
        .map(|n| match n % 6 {
            3 => format!("{n:03}-new"),
            _ => format!("{n:03}"),
        })
        .collect();
    assert_eq!(names(&*it.root), expected);
}

#[test]
fn a_link_is_resolved_in_what_both_layers_show() {
    let it = layers(|lower| {
        lower.create_dir_all("lib").unwrap();
        lower.write_file("lib/v1", b"below").unwrap();
        lower.symlink("lib/current", "link").unwrap();
        lower.symlink("../lib", "lib/again").unwrap();
        lower.symlink("../../lib", "lib/out").unwrap();
    });
    done(it.root.symlink_at("v1", "lib/current")).unwrap();
    let follow = PathFlags::SYMLINK_FOLLOW;
    assert_eq!(done(it.root.stat_at(follow, "link")).unwrap().size, 5);
    assert_eq!(stat(&*it.root, "lib/again/again/v1").size, 5);
    let out = done(it.root.stat_at(follow, "lib/out"));
    assert_eq!(out, Err(ErrorCode::NotPermitted));
}

#[test]
fn a_chain_of_directories_deeper_than_the_stack_is_copied_and_dropped() {
    let it = limited(Limits::default(), |lower| {
        let mut dir = vfs::directory(lower.clone());
        for _ in 0..20_000 {
            done(dir.create_directory_at("d")).unwrap();
            dir = open_dir(&*dir, "d");
        }
    });
    let mut dir = it.root.clone();
    for _ in 0..20_000 {
        dir = open_dir(&*dir, "d");
    }
    let before = it.upper.usage().inodes;
    create(&*dir, "file").unwrap();
    assert_eq!(it.upper.usage().inodes - before, 20_001);
    drop(dir);
    assert_eq!(names(&*open_dir(&*it.root, "d")), ["d"]);
}

#[test]
fn guests_at_once_leave_each_name_whole() {
    let it = layers(|lower| {
        lower.create_dir_all("a").unwrap();
        lower.create_dir_all("b").unwrap();
        for n in 0..8 {
            lower.write_file(&format!("a/{n}"), b"below").unwrap();
        }
    });
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let root = &it.root;
            scope.spawn(move || {
                for step in 0..400_u32 {
                    let n = (step * 7 + thread) % 8;
                    let (a, b) = (format!("a/{n}"), format!("b/{n}"));
                    // Whatever comes of it, somebody else may have been faster.
                    let _ = match step % 5 {
                        0 => open(&**root, &a, BOTH).map(drop),
                        1 => done(root.rename_at(&a, &**root, &b)),
                        2 => done(root.rename_at(&b, &**root, &a)),
                        3 => done(root.link_at(NO_FOLLOW, &a, &**root, &b)),
                        _ => done(root.unlink_file_at(&b)),
                    };
                }
            });
        }
    });
    for dir in ["a", "b"] {
        for name in names(&*open_dir(&*it.root, dir)) {
            let file = open(&*it.root, &format!("{dir}/{name}"), READ).unwrap();
            assert_eq!(read(&*file), b"below", "{dir}/{name}");
        }
    }
    assert_eq!(it.lower.read_dir("a").unwrap().len(), 8);
}
