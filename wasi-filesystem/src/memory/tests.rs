use super::*;
use crate::backend::{Directory, File, Object};
use crate::{DescriptorFlags, OpenFlags, PathFlags, vfs};
use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;
use core::task::{Context, Poll, Waker};
use wasi_clocks::manual::ManualClock;

fn done<T>(op: Op<Result<T>>) -> Result<T> {
    match op {
        Op::Ready(result) => result,
        Op::Pending(_) => panic!("pending"),
    }
}

fn limited(limits: Limits) -> (Arc<MemFs>, Arc<dyn Directory>) {
    let fs = Arc::new(MemFs::with_limits(Arc::new(ManualClock::default()), limits));
    let root = vfs::directory(fs.clone());
    (fs, root)
}

fn mem_fs() -> (Arc<MemFs>, Arc<dyn Directory>) {
    limited(Limits::default())
}

fn create(dir: &dyn Directory, path: &str) -> Result<Arc<dyn File>> {
    let flags = DescriptorFlags::READ | DescriptorFlags::WRITE;
    match done(dir.open_at(PathFlags::empty(), path, OpenFlags::CREATE, flags))? {
        Object::File(file) => Ok(file),
        Object::Directory(_) => unreachable!(),
    }
}

fn read(file: &dyn File, offset: u64, length: usize) -> Result<Vec<u8>> {
    let mut buf = vec![0xaa; length];
    let Op::Ready(n) = file.read_at(offset, &mut buf) else {
        panic!("pending")
    };
    buf.truncate(n?);
    Ok(buf)
}

#[test]
fn a_byte_far_out_costs_one_page_and_holes_are_zeros() {
    let (fs, root) = mem_fs();
    let file = create(&*root, "sparse").unwrap();
    let before = fs.usage().bytes;
    assert_eq!(done(file.write_at(1 << 40, b"x")), Ok(1));
    assert_eq!(fs.usage().bytes - before, 4096);
    done(file.set_size(1 << 62)).unwrap();
    assert_eq!(fs.usage().bytes - before, 4096);
    assert_eq!(done(file.stat()).unwrap().size, 1 << 62);
    assert_eq!(read(&*file, (1 << 40) - 2, 4).unwrap(), b"\0\0x\0");
    assert_eq!(read(&*file, (1 << 62) - 1, 4).unwrap(), b"\0");
    assert_eq!(read(&*file, 1 << 62, 4).unwrap(), b"");
    assert_eq!(fs.read_file("sparse"), Err(ErrorCode::FileTooLarge));
}

#[test]
fn what_was_cut_off_comes_back_as_zeros() {
    for (size, cut) in [
        (10_usize, 5_usize),
        (4096, 0),
        (10_000, 4096),
        (10_000, 4097),
        (10_000, 9_999),
    ] {
        let (fs, root) = mem_fs();
        let file = create(&*root, "file").unwrap();
        let before = fs.usage();
        assert_eq!(done(file.write_at(0, &vec![1; size])), Ok(size));
        done(file.set_size(cut as u64)).unwrap();
        assert_eq!(
            fs.usage().bytes - before.bytes,
            (cut as u64).div_ceil(4096) * 4096
        );
        done(file.set_size(size as u64)).unwrap();
        let mut expected = vec![1; cut];
        expected.resize(size, 0);
        assert_eq!(read(&*file, 0, size + 1).unwrap(), expected, "{size} {cut}");
    }
}

#[test]
fn offsets_at_the_end_of_all_numbers_are_errors() {
    let (_, root) = mem_fs();
    let file = create(&*root, "file").unwrap();
    for (offset, code) in [
        (OFFSET_MAX, ErrorCode::FileTooLarge),
        (u64::MAX, ErrorCode::FileTooLarge),
    ] {
        assert_eq!(done(file.write_at(offset, b"xy")), Err(code));
        assert_eq!(done(file.write_at(offset, b"")), Ok(0));
    }
    assert_eq!(
        done(file.set_size(OFFSET_MAX + 1)),
        Err(ErrorCode::FileTooLarge)
    );
    assert_eq!(read(&*file, OFFSET_MAX, 1).unwrap(), b"");
    assert_eq!(read(&*file, u64::MAX, 1), Err(ErrorCode::Invalid));
    // Cut off at the last offset there is.
    assert_eq!(done(file.write_at(OFFSET_MAX - 1, b"xy")), Ok(1));
    assert_eq!(done(file.stat()).unwrap().size, OFFSET_MAX);
    assert_eq!(done(file.append(b"x")), Err(ErrorCode::FileTooLarge));
    assert_eq!(read(&*file, OFFSET_MAX - 1, 9).unwrap(), b"x");
}

#[test]
fn a_write_takes_the_room_that_is_left_and_then_fails() {
    let (fs, root) = limited(Limits {
        bytes: 3 * 4096 + 200,
        ..Limits::default()
    });
    let file = create(&*root, "file").unwrap();
    assert_eq!(done(file.write_at(1, &[1; 5 * 4096])), Ok(3 * 4096 - 1));
    for offset in [3 * 4096, 1 << 40] {
        let write = done(file.write_at(offset, b"x"));
        assert_eq!(write, Err(ErrorCode::InsufficientSpace));
    }
    // What is there can be written over, up to where it ends.
    assert_eq!(done(file.write_at(4095, &[2; 3 * 4096])), Ok(2 * 4096 + 1));
    let linked = done(root.symlink_at(&"x".repeat(200), "link"));
    assert_eq!(linked, Err(ErrorCode::InsufficientSpace));
    done(file.set_size(4096)).unwrap();
    assert_eq!(done(file.append(&[3; 4096])), Ok(4096));
    assert_eq!(read(&*file, 4094, 3).unwrap(), [1, 2, 3]);
    assert!(fs.usage().bytes <= 3 * 4096 + 200);
}

#[test]
fn objects_are_limited_and_so_are_names_of_one() {
    let (fs, root) = limited(Limits {
        inodes: 3,
        ..Limits::default()
    });
    let empty = fs.usage();
    done(root.create_directory_at("d")).unwrap();
    drop(create(&*root, "d/f").unwrap());
    let full = fs.usage();
    assert_eq!(full.inodes, 3);
    assert_eq!(
        create(&*root, "g").err(),
        Some(ErrorCode::InsufficientSpace)
    );
    for made in [root.create_directory_at("g"), root.symlink_at("x", "g")] {
        assert_eq!(done(made), Err(ErrorCode::InsufficientSpace));
    }
    assert_eq!(fs.usage(), full);
    let link = |n: u32| done(root.link_at(PathFlags::empty(), "d/f", &*root, &n.to_string()));
    for n in 1..tree::LINKS_MAX {
        link(n).unwrap();
    }
    assert_eq!(link(0), Err(ErrorCode::TooManyLinks));
    for n in 1..tree::LINKS_MAX {
        done(root.unlink_file_at(&n.to_string())).unwrap();
    }
    assert_eq!(fs.usage(), full);
    done(root.unlink_file_at("d/f")).unwrap();
    done(root.remove_directory_at("d")).unwrap();
    assert_eq!(fs.usage(), empty);
}

#[test]
fn a_name_without_room_changes_nothing() {
    let (fs, root) = limited(Limits {
        bytes: 2 * 64 + 3,
        ..Limits::default()
    });
    drop(create(&*root, "a").unwrap());
    drop(create(&*root, "b").unwrap());
    let full = fs.usage();
    let rename = |old: &str, new: &str| done(root.rename_at(old, &*root, new));
    // The old and the new name are there at once for a moment.
    assert_eq!(rename("a", "new"), Err(ErrorCode::InsufficientSpace));
    assert_eq!(fs.usage(), full);
    rename("a", "b").unwrap();
    assert_eq!(
        fs.usage(),
        Usage {
            bytes: 65,
            inodes: 2
        }
    );
    assert_eq!(fs.read_dir("").unwrap().len(), 1);
}

#[test]
fn what_is_open_lives_on_without_a_name_and_then_gives_its_room_back() {
    let (fs, root) = mem_fs();
    let empty = fs.usage();
    let file = create(&*root, "file").unwrap();
    done(file.write_at(0, &[7; 10_000])).unwrap();
    done(root.unlink_file_at("file")).unwrap();
    assert_eq!(done(file.stat()).unwrap().link_count, 0);
    assert_eq!(done(file.append(b"end")), Ok(3));
    assert_eq!(read(&*file, 9_999, 9).unwrap(), b"\x07end");
    assert_eq!(fs.usage().bytes - empty.bytes, 3 * 4096);
    drop(file);
    assert_eq!(fs.usage(), empty);
}

#[test]
fn a_removed_directory_is_empty_and_takes_nothing() {
    let (fs, root) = mem_fs();
    let empty = fs.usage();
    done(root.create_directory_at("d")).unwrap();
    let open = root.open_at(
        PathFlags::empty(),
        "d",
        OpenFlags::DIRECTORY,
        DescriptorFlags::READ,
    );
    let Object::Directory(dir) = done(open).unwrap() else {
        unreachable!()
    };
    done(root.remove_directory_at("d")).unwrap();
    assert_eq!(create(&*dir, "x").err(), Some(ErrorCode::NoEntry));
    let rename = done(root.rename_at("d", &*dir, "x"));
    assert_eq!(rename, Err(ErrorCode::NoEntry));
    assert!(done(dir.stat()).is_ok());
    drop(create(&*root, "f").unwrap());
    assert_eq!(
        done(root.rename_at("f", &*dir, "x")),
        Err(ErrorCode::NoEntry)
    );
    assert!(fs.read_dir("").unwrap().len() == 1, "f stayed");
    done(root.unlink_file_at("f")).unwrap();
    drop(dir);
    assert_eq!(fs.usage(), empty);
}

#[test]
fn a_tree_deeper_than_the_stack_is_dropped() {
    let (fs, root) = mem_fs();
    let mut dir = root;
    for _ in 0..50_000 {
        done(dir.create_directory_at("d")).unwrap();
        let (path, open) = (PathFlags::empty(), OpenFlags::DIRECTORY);
        let opened = done(dir.open_at(path, "d", open, DescriptorFlags::READ));
        let Ok(Object::Directory(below)) = opened else {
            unreachable!()
        };
        dir = below;
    }
    let usage = fs.usage();
    assert_eq!(usage.inodes, 50_001);
    drop((dir, fs));
}

#[test]
fn a_listing_gives_what_stays_once_whatever_comes_and_goes() {
    let (fs, root) = mem_fs();
    for n in 0..1000 {
        fs.write_file(&format!("{n:03}"), b"").unwrap();
    }
    let mut entries = done(root.read_directory()).unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    let mut names = Vec::new();
    while let Poll::Ready(Ok(Some(entry))) = entries.poll_next(&mut cx) {
        let n: usize = entry.name.parse().unwrap_or(0);
        // The one just given, one behind and one far ahead go; others come.
        if n % 10 == 5 {
            for gone in [n, n.saturating_sub(4), n + 300] {
                let _ = done(root.unlink_file_at(&format!("{gone:03}")));
            }
            fs.write_file(&format!("{n:03}-new"), b"").unwrap();
        }
        names.push(entry.name);
        assert!(names.len() < 2000, "it does not end");
    }
    assert!(matches!(entries.poll_next(&mut cx), Poll::Ready(Ok(None))));
    for n in (0..1000).filter(|n| !matches!(n % 10, 1 | 5)) {
        let times = names.iter().filter(|name| **name == format!("{n:03}"));
        assert_eq!(times.count(), 1, "{n}");
    }
}

#[test]
fn times_are_those_of_the_clock_and_change_with_what_changes() {
    let clock = ManualClock::default();
    let fs = Arc::new(MemFs::new(Arc::new(clock.clone())));
    let root = vfs::directory(fs.clone());
    let at = |seconds| Datetime::new(seconds, 0).unwrap();
    let times = |path: &str| {
        let stat = done(root.stat_at(PathFlags::empty(), path)).unwrap();
        [
            stat.data_access_timestamp,
            stat.data_modification_timestamp,
            stat.status_change_timestamp,
        ]
        .map(|time| time.unwrap().seconds())
    };
    let file = create(&*root, "file").unwrap();
    type Step<'a> = (&'static str, [u64; 3], [u64; 3], &'a dyn Fn());
    let steps: [Step<'_>; 6] = [
        ("read", [0, 0, 0], [0, 0, 0], &|| {
            read(&*file, 0, 1).map(drop).unwrap()
        }),
        ("write", [0, 2, 2], [0, 0, 0], &|| {
            done(file.write_at(0, b"x")).map(drop).unwrap()
        }),
        ("set size", [0, 3, 3], [0, 0, 0], &|| {
            done(file.set_size(9)).unwrap()
        }),
        ("link", [0, 3, 4], [0, 4, 4], &|| {
            done(root.link_at(PathFlags::empty(), "file", &*root, "l")).unwrap();
        }),
        ("set times", [5, 99, 5], [0, 4, 4], &|| {
            let modification = NewTimestamp::Timestamp(at(99));
            done(file.set_times(NewTimestamp::Now, modification)).unwrap();
        }),
        ("unlink", [5, 99, 6], [0, 6, 6], &|| {
            done(root.unlink_file_at("l")).unwrap()
        }),
    ];
    for (n, (what, file, dir, step)) in steps.into_iter().enumerate() {
        clock.set_wall(at(n as u64 + 1));
        step();
        assert_eq!((times("file"), times(".")), (file, dir), "after {what}");
    }
}

#[test]
fn the_host_fills_and_reads_it() {
    let (fs, _) = mem_fs();
    fs.create_dir_all("/usr/share/x/").unwrap();
    fs.create_dir_all("usr/share").unwrap();
    fs.create_dir_all("/").unwrap();
    let bytes: Vec<u8> = (0..100_000).map(|n| n as u8).collect();
    fs.write_file("/usr/share/data", &bytes).unwrap();
    fs.symlink("share/data", "usr/link").unwrap();
    assert_eq!(fs.read_file("usr/link").unwrap(), bytes);
    fs.write_file("usr/link", b"short").unwrap();
    assert_eq!(fs.read_file("/usr/share/data").unwrap(), b"short");
    let names: Vec<_> = fs.read_dir("usr/share").unwrap().into_iter().collect();
    assert_eq!(names.len(), 2);
    assert_eq!((&*names[0].name, &*names[1].name), ("data", "x"));
    assert_eq!(fs.write_file("usr", b""), Err(ErrorCode::IsDirectory));
    assert_eq!(
        fs.create_dir_all("usr/link/x"),
        Err(ErrorCode::NotDirectory)
    );
    assert_eq!(fs.read_dir("usr/link"), Err(ErrorCode::NotDirectory));
    assert_eq!(fs.read_file("missing"), Err(ErrorCode::NoEntry));
}

#[test]
fn what_is_allocated_takes_its_room_at_once_and_all_of_it_or_none() {
    let (fs, root) = limited(Limits {
        bytes: 5 * 4096 + 200,
        ..Limits::default()
    });
    let file = create(&*root, "file").unwrap();
    assert_eq!(done(file.write_at(4096, b"kept")), Ok(4));
    let before = fs.usage().bytes;
    for (offset, length) in [
        (0, 5 * 4096 + 1),
        (1 << 40, 5 * 4096),
        (0, OFFSET_MAX),
        (1, OFFSET_MAX - 1),
    ] {
        let none = done(file.allocate(offset, length));
        assert_eq!(none, Err(ErrorCode::InsufficientSpace), "{offset} {length}");
        assert_eq!(fs.usage().bytes, before);
        assert_eq!(done(file.stat()).unwrap().size, 4100);
    }
    for (offset, length) in [(0, OFFSET_MAX + 1), (OFFSET_MAX, 1), (1, u64::MAX)] {
        let none = done(file.allocate(offset, length));
        assert_eq!(none, Err(ErrorCode::FileTooLarge), "{offset} {length}");
    }
    // The page between is there already.
    assert_eq!(done(file.allocate(4095, 4098)), Ok(()));
    assert_eq!(fs.usage().bytes, before + 2 * 4096);
    assert_eq!(done(file.allocate(0, 8000)), Ok(()));
    assert_eq!(fs.usage().bytes, before + 2 * 4096);
    assert_eq!(done(file.stat()).unwrap().size, 8193);
    // So writes there find room whoever takes the rest.
    let other = create(&*root, "other").unwrap();
    assert_eq!(done(other.write_at(0, &[1; 5 * 4096])), Ok(2 * 4096));
    assert_eq!(done(file.write_at(0, &[2; 8193])), Ok(8193));
    done(file.set_size(0)).unwrap();
    assert_eq!(fs.usage().bytes, 2 * (64 + 4096) + 9);
}

#[test]
fn several_buffers_are_written_as_far_as_there_is_room() {
    let (_, root) = limited(Limits {
        bytes: 2 * 4096 + 200,
        ..Limits::default()
    });
    let file = create(&*root, "file").unwrap();
    let bufs = [&[1; 4096][..], &[2; 4095], &[], &[3; 2], &[4; 9]];
    assert_eq!(done(file.write_vectored_at(0, &bufs)), Ok(8192));
    assert_eq!(read(&*file, 8190, 9).unwrap(), [2, 3]);
    let more = done(file.append_vectored(&bufs));
    assert_eq!(more, Err(ErrorCode::InsufficientSpace));
    // Up to the last offset there is.
    let few = [&b"xy"[..], b"z"];
    done(file.set_size(0)).unwrap();
    assert_eq!(done(file.write_vectored_at(OFFSET_MAX - 1, &few)), Ok(1));
    assert_eq!(done(file.write_vectored_at(OFFSET_MAX - 2, &few)), Ok(2));
    let end = done(file.append_vectored(&few));
    assert_eq!(end, Err(ErrorCode::FileTooLarge));
}
