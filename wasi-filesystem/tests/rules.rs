//! What is refused before a backend is asked, and what it is asked for.

mod support;

use core::task::{Context, Waker};
use support::{Disk, now, open};
use wasi_filesystem::{
    Advice, Descriptor, DescriptorFlags, DescriptorType, ErrorCode, NewTimestamp, OpenFlags,
    PATH_MAX, PathFlags, Result,
};

const READ: DescriptorFlags = DescriptorFlags::READ;
const WRITE: DescriptorFlags = DescriptorFlags::WRITE;
const MUTATE: DescriptorFlags = DescriptorFlags::MUTATE_DIRECTORY;
const NOW: NewTimestamp = NewTimestamp::Now;
const STAY: NewTimestamp = NewTimestamp::NoChange;

fn follow() -> PathFlags {
    PathFlags::SYMLINK_FOLLOW
}

/// Each operation with a path, with its name, and whether it changes something.
type PathOperation = (&'static str, bool, fn(&Descriptor, &str) -> Result<()>);

const PATH_OPERATIONS: &[PathOperation] = &[
    ("open-at", false, |dir, path| {
        now(dir.open_at(follow(), path, OpenFlags::empty(), READ)).map(drop)
    }),
    ("open-at", true, |dir, path| {
        now(dir.open_at(follow(), path, OpenFlags::empty(), WRITE)).map(drop)
    }),
    ("open-at", true, |dir, path| {
        now(dir.open_at(follow(), path, OpenFlags::empty(), READ | MUTATE)).map(drop)
    }),
    ("open-at", true, |dir, path| {
        now(dir.open_at(follow(), path, OpenFlags::CREATE, READ)).map(drop)
    }),
    ("open-at", true, |dir, path| {
        now(dir.open_at(follow(), path, OpenFlags::TRUNCATE, READ)).map(drop)
    }),
    ("stat-at", false, |dir, path| {
        now(dir.stat_at(follow(), path)).map(drop)
    }),
    ("stat-at", false, |dir, path| {
        now(dir.metadata_hash_at(follow(), path)).map(drop)
    }),
    ("set-times-at", true, |dir, path| {
        now(dir.set_times_at(follow(), path, NOW, STAY))
    }),
    ("create-directory-at", true, |dir, path| {
        now(dir.create_directory_at(path))
    }),
    ("symlink-at", true, |dir, path| {
        now(dir.symlink_at("target", path))
    }),
    ("symlink-at", true, |dir, path| {
        now(dir.symlink_at(path, "link"))
    }),
    ("readlink-at", false, |dir, path| {
        now(dir.readlink_at(path)).map(drop)
    }),
    ("link-at", true, |dir, path| {
        now(dir.link_at(follow(), path, dir, "new"))
    }),
    ("link-at", true, |dir, path| {
        now(dir.link_at(follow(), "file", dir, path))
    }),
    ("rename-at", true, |dir, path| {
        now(dir.rename_at(path, dir, "new"))
    }),
    ("rename-at", true, |dir, path| {
        now(dir.rename_at("file", dir, path))
    }),
    ("unlink-file-at", true, |dir, path| {
        now(dir.unlink_file_at(path))
    }),
    ("remove-directory-at", true, |dir, path| {
        now(dir.remove_directory_at(path))
    }),
];

#[test]
fn no_operation_takes_what_is_no_path() {
    let disk = Disk::new();
    disk.add("file", b"");
    let dir = Disk::root(disk.ctx());
    let longer = "a/".repeat(PATH_MAX / 2) + "a";
    for (name, _, operation) in PATH_OPERATIONS {
        for (path, code) in [
            ("", ErrorCode::NoEntry),
            ("/", ErrorCode::NotPermitted),
            ("/file", ErrorCode::NotPermitted),
            ("fi\0le", ErrorCode::Invalid),
            (&longer, ErrorCode::NameTooLong),
        ] {
            assert_eq!(operation(&dir, path), Err(code), "{name} {path:.9?}");
            assert_eq!(disk.called(), [""; 0], "{name} {path:.9?}");
        }
        assert_eq!(operation(&dir, "file"), Ok(()), "{name}");
        let called = disk.called();
        assert!(called[0].starts_with(name), "{name}: {called:?}");
    }
}

#[test]
fn a_directory_without_mutate_directory_is_read_only_for_every_operation_that_changes() {
    let disk = Disk::new();
    disk.add("file", b"");
    let all = Disk::root(disk.ctx());
    let opened_so = open(&all, ".", READ);
    disk.read_only
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let granted_so = Disk::root(disk.ctx());
    disk.called();
    for dir in [&opened_so, &granted_so] {
        assert_eq!(dir.flags(), READ);
        for (name, changes, operation) in PATH_OPERATIONS {
            match changes {
                true => {
                    assert_eq!(operation(dir, "file"), Err(ErrorCode::ReadOnly), "{name}");
                    assert_eq!(disk.called(), [""; 0], "{name}");
                }
                false => assert_eq!(operation(dir, "file"), Ok(()), "{name}"),
            }
            disk.called();
        }
        assert_eq!(now(dir.set_times(NOW, NOW)), Err(ErrorCode::ReadOnly));
        let file = open(dir, "file", READ);
        assert_eq!(now(file.set_times(NOW, NOW)), Err(ErrorCode::ReadOnly));
        disk.called();
        // Not open for writing: no effect.
        assert_eq!((now(dir.sync()), now(dir.sync_data())), (Ok(()), Ok(())));
        assert_eq!(disk.called(), [""; 0]);
    }
}

#[test]
fn link_and_rename_change_both_directories() {
    let disk = Disk::new();
    disk.add("file", b"");
    let whole = Disk::root(disk.ctx());
    let part = open(&whole, ".", READ);
    let file = open(&whole, "file", READ | WRITE);
    disk.called();
    for (old, new, code) in [
        (&whole, &part, ErrorCode::ReadOnly),
        (&part, &whole, ErrorCode::ReadOnly),
        (&whole, &file, ErrorCode::NotDirectory),
        (&file, &whole, ErrorCode::NotDirectory),
    ] {
        assert_eq!(now(old.link_at(follow(), "a", new, "b")), Err(code));
        assert_eq!(now(old.rename_at("a", new, "b")), Err(code));
    }
    assert_eq!(disk.called(), [""; 0]);
}

#[test]
fn what_only_a_directory_has_a_file_refuses_with_not_directory() {
    let disk = Disk::new();
    disk.add("file", b"");
    let file = open(&Disk::root(disk.ctx()), "file", READ | WRITE);
    disk.called();
    for (name, _, operation) in PATH_OPERATIONS {
        for path in [".", "file", "z.txt"] {
            assert_eq!(
                operation(&file, path),
                Err(ErrorCode::NotDirectory),
                "{name}"
            );
        }
    }
    assert_eq!(
        now(file.read_directory()).map(drop),
        Err(ErrorCode::NotDirectory)
    );
    assert_eq!(disk.called(), [""; 0]);
}

/// Each operation on contents, and the code for who has it not open so: read-only, write-only,
/// a directory.
type FileOperation = (
    &'static str,
    [Option<ErrorCode>; 3],
    fn(&Descriptor) -> Result<()>,
);

const FILE_OPERATIONS: &[FileOperation] = {
    const BAD: Option<ErrorCode> = Some(ErrorCode::BadDescriptor);
    const READS: [Option<ErrorCode>; 3] = [None, BAD, Some(ErrorCode::IsDirectory)];
    const WRITES: [Option<ErrorCode>; 3] = [BAD, None, BAD];
    &[
        ("read", READS, |fd| now(fd.read(9, 0)).map(drop)),
        ("read of nothing", READS, |fd| now(fd.read(0, 0)).map(drop)),
        ("read-via-stream", READS, |fd| {
            fd.read_via_stream(0).map(drop)
        }),
        ("write", WRITES, |fd| now(fd.write(b"1", 0)).map(drop)),
        ("write of nothing", WRITES, |fd| {
            now(fd.write(b"", 0)).map(drop)
        }),
        ("append", WRITES, |fd| now(fd.append(b"1")).map(drop)),
        ("write-via-stream", WRITES, |fd| {
            fd.write_via_stream(0).map(drop)
        }),
        ("append-via-stream", WRITES, |fd| {
            fd.append_via_stream().map(drop)
        }),
        ("read-vectored-at", READS, |fd| {
            now(fd.read_vectored_at(0, &mut [&mut [0], &mut [0]])).map(drop)
        }),
        ("read-vectored-at of nothing", READS, |fd| {
            now(fd.read_vectored_at(0, &mut [])).map(drop)
        }),
        ("write-vectored", WRITES, |fd| {
            now(fd.write_vectored(&[b"x", b"y"], 0)).map(drop)
        }),
        ("append-vectored", WRITES, |fd| {
            now(fd.append_vectored(&[b"x", b"y"])).map(drop)
        }),
        ("append-vectored of nothing", WRITES, |fd| {
            now(fd.append_vectored(&[])).map(drop)
        }),
        ("allocate", WRITES, |fd| now(fd.allocate(0, 1))),
        ("set-size", WRITES, |fd| now(fd.set_size(1))),
        ("advise", [None, None, BAD], |fd| {
            now(fd.advise(0, 0, Advice::Normal))
        }),
    ]
};

#[test]
fn contents_are_for_what_the_file_is_open_for() {
    let disk = Disk::new();
    disk.add("file", b"");
    let dir = Disk::root(disk.ctx());
    let (reads, writes) = (open(&dir, "file", READ), open(&dir, "file", WRITE));
    for (name, codes, operation) in FILE_OPERATIONS {
        for (fd, code) in [&reads, &writes, &dir].into_iter().zip(codes) {
            assert_eq!(operation(fd).err(), *code, "{name} {fd:?}");
        }
    }
}

#[test]
fn buffers_without_a_byte_and_one_alone_are_the_calls_of_one_buffer() {
    let disk = Disk::new();
    disk.add("file", b"0123456789");
    let file = open(&Disk::root(disk.ctx()), "file", READ | WRITE);
    disk.called();
    disk.fails.lock().unwrap().replace(ErrorCode::Io);
    for bufs in [&[][..], &[&b""[..]], &[b"", b""]] {
        assert_eq!(now(file.write_vectored(bufs, u64::MAX)), Ok(0));
        assert_eq!(now(file.append_vectored(bufs)), Ok(0));
    }
    for mut bufs in [vec![], vec![&mut [][..]], vec![&mut [], &mut []]] {
        assert_eq!(now(file.read_vectored_at(u64::MAX, &mut bufs)), Ok(0));
    }
    assert_eq!(disk.called(), [""; 0], "the backend is not asked");
    disk.fails.lock().unwrap().take();

    assert_eq!(now(file.write_vectored(&[b"xy"], 3)), Ok(2));
    assert_eq!(now(file.append_vectored(&[b"z"])), Ok(1));
    assert_eq!(disk.contents("file"), b"012xy56789z");
    let mut buf = [0; 4];
    assert_eq!(now(file.read_vectored_at(2, &mut [&mut buf])), Ok(4));
    assert_eq!(&buf, b"2xy5");
}

#[test]
fn room_for_nothing_or_beyond_all_offsets_is_not_asked_for() {
    let disk = Disk::new();
    disk.add("file", b"");
    let dir = Disk::root(disk.ctx());
    let [reads, writes] = [READ, WRITE].map(|flags| open(&dir, "file", flags));
    disk.called();
    for (offset, length, code) in [
        (0, 0, ErrorCode::Invalid),
        (u64::MAX, 0, ErrorCode::Invalid),
        (u64::MAX, 1, ErrorCode::FileTooLarge),
        (1, u64::MAX, ErrorCode::FileTooLarge),
    ] {
        assert_eq!(now(writes.allocate(offset, length)), Err(code));
        let read_only = now(reads.allocate(offset, length));
        assert_eq!(read_only, Err(ErrorCode::BadDescriptor));
    }
    assert_eq!(disk.called(), [""; 0]);
    assert_eq!(now(writes.allocate(2, 3)), Ok(()));
    assert_eq!(disk.called(), ["allocate"]);
    assert_eq!(disk.contents("file"), [0; 5]);
}

#[test]
fn sync_has_an_effect_on_what_is_open_for_writing() {
    let disk = Disk::new();
    disk.add("file", b"");
    let dir = Disk::root(disk.ctx());
    for (flags, calls) in [(READ, &[][..]), (WRITE, &["sync", "sync-data"])] {
        let file = open(&dir, "file", flags);
        disk.called();
        assert_eq!((now(file.sync()), now(file.sync_data())), (Ok(()), Ok(())));
        assert_eq!(disk.called(), calls);
    }
}

#[test]
fn times_of_a_file_are_set_without_writing_it() {
    let disk = Disk::new();
    disk.add("file", b"");
    let dir = Disk::root(disk.ctx());
    let file = open(&dir, "file", READ);
    disk.called();
    assert_eq!(now(file.set_times(NOW, STAY)), Ok(()));
    assert_eq!(now(dir.set_times(NOW, STAY)), Ok(()));
    assert_eq!(disk.called(), ["set-times"; 2]);
}

#[test]
fn flags_that_say_too_little_or_too_much_are_made_whole() {
    let none = DescriptorFlags::empty();
    let sync = DescriptorFlags::FILE_INTEGRITY_SYNC;
    let disk = Disk::new();
    disk.add("file", b"");
    let dir = Disk::root(disk.ctx());
    assert_eq!(dir.flags(), READ | MUTATE);
    for (path, open_flags, asked, given) in [
        ("file", OpenFlags::empty(), none, READ),
        ("file", OpenFlags::empty(), READ, READ),
        ("file", OpenFlags::empty(), WRITE, WRITE),
        ("file", OpenFlags::empty(), READ | MUTATE, READ),
        ("file", OpenFlags::empty(), WRITE | sync, WRITE | sync),
        ("file", OpenFlags::empty(), WRITE | MUTATE, WRITE),
        ("file", OpenFlags::EXCLUSIVE, none, READ),
        ("file", OpenFlags::CREATE, none, READ | WRITE),
        ("file", OpenFlags::CREATE, READ, READ | WRITE),
        ("file", OpenFlags::CREATE, WRITE, WRITE),
        ("file", OpenFlags::TRUNCATE, READ, READ | WRITE),
        (".", OpenFlags::empty(), none, READ),
        (".", OpenFlags::DIRECTORY, READ, READ),
        (".", OpenFlags::DIRECTORY, MUTATE, READ | MUTATE),
        (".", OpenFlags::empty(), READ | MUTATE, READ | MUTATE),
        ("frozen", OpenFlags::empty(), READ, READ),
    ] {
        let opened = now(dir.open_at(follow(), path, open_flags, asked)).unwrap();
        assert_eq!(opened.flags(), given, "{path} {open_flags:?} {asked:?}");
    }
}

#[test]
fn what_can_not_be_opened_so_has_its_code() {
    let disk = Disk::new();
    disk.add("file", b"");
    let dir = Disk::root(disk.ctx());
    let both = OpenFlags::CREATE | OpenFlags::DIRECTORY;
    for (path, open_flags, flags, code) in [
        ("new", both, READ, ErrorCode::Invalid),
        (".", OpenFlags::empty(), WRITE, ErrorCode::IsDirectory),
        (".", OpenFlags::TRUNCATE, READ, ErrorCode::IsDirectory),
        ("frozen", OpenFlags::empty(), MUTATE, ErrorCode::ReadOnly),
        ("none", OpenFlags::empty(), READ, ErrorCode::NoEntry),
    ] {
        let opened = now(dir.open_at(follow(), path, open_flags, flags));
        assert_eq!(opened.err(), Some(code), "{path} {open_flags:?}");
    }
}

#[test]
fn exclusive_reaches_the_backend_with_create_alone() {
    let disk = Disk::new();
    disk.add("file", b"");
    let dir = Disk::root(disk.ctx());
    let exclusive = OpenFlags::EXCLUSIVE;
    now(dir.open_at(follow(), "file", exclusive, READ)).unwrap();
    now(dir.open_at(follow(), "new", exclusive | OpenFlags::CREATE, READ)).unwrap();
    let called = disk.called();
    assert!(!called[0].contains("EXCLUSIVE"), "{called:?}");
    assert!(called[1].contains("EXCLUSIVE"), "{called:?}");
}

#[test]
fn a_directory_opened_without_the_flag_can_be_changed_where_that_is_inherited() {
    let disk = Disk::new();
    disk.add("file", b"");
    let dir = Disk::root(disk.ctx().inherit_mutate_directory(true));
    let below = open(&dir, ".", READ);
    assert_eq!(below.flags(), READ, "as it was opened");
    assert_eq!(now(below.unlink_file_at("file")), Ok(()));
    let deeper = open(&below, ".", READ);
    assert_eq!(now(deeper.unlink_file_at("file")), Ok(()));
    // Nobody can change it, so it is not inherited.
    let frozen = open(&dir, "frozen", READ);
    assert_eq!(now(frozen.unlink_file_at("file")), Err(ErrorCode::ReadOnly));
    disk.read_only
        .store(true, std::sync::atomic::Ordering::SeqCst);
    let dir = Disk::root(disk.ctx().inherit_mutate_directory(true));
    let below = open(&dir, ".", READ);
    assert_eq!(now(below.unlink_file_at("file")), Err(ErrorCode::ReadOnly));
}

#[test]
fn a_link_to_an_absolute_path_is_not_read() {
    let disk = Disk::new();
    let dir = Disk::root(disk.ctx());
    assert_eq!(
        now(dir.readlink_at("!etc!passwd")),
        Err(ErrorCode::NotPermitted)
    );
    assert_eq!(now(dir.readlink_at("..!x")), Ok("../x".into()));
}

#[test]
fn a_descriptor_says_what_it_is() {
    let disk = Disk::new();
    disk.add("file", b"");
    disk.add_kind("tty", DescriptorType::CharacterDevice, b"");
    let dir = Disk::root(disk.ctx());
    assert_eq!(dir.descriptor_type(), DescriptorType::Directory);
    for (name, kind) in [
        ("file", DescriptorType::RegularFile),
        ("tty", DescriptorType::CharacterDevice),
    ] {
        assert_eq!(open(&dir, name, READ).descriptor_type(), kind);
    }
}

#[test]
fn objects_are_the_same_by_what_they_are_and_not_by_name() {
    let disk = Disk::new();
    disk.add("a", b"same");
    disk.add("b", b"same");
    disk.link("a", "c");
    let dir = Disk::root(disk.ctx());
    let [a, b, c] = ["a", "b", "c"].map(|name| open(&dir, name, READ));
    let same = |x: &Descriptor, y: &Descriptor| now(x.is_same_object(y)).unwrap();
    assert!(same(&a, &a) && same(&a, &c) && same(&c, &a));
    assert!(!same(&a, &b) && !same(&a, &dir) && !same(&dir, &a));
    assert!(same(&dir, &open(&dir, ".", READ)));

    let hash = |fd: &Descriptor| now(fd.metadata_hash()).unwrap();
    assert_eq!(hash(&a), hash(&c));
    assert_ne!(hash(&a), hash(&b));
    assert_eq!(
        hash(&a),
        now(dir.metadata_hash_at(follow(), "c")).unwrap(),
        "by path as by descriptor"
    );
    let before = hash(&a);
    now(open(&dir, "a", WRITE).append(b"!")).unwrap();
    assert_ne!(hash(&a), before);
    assert_eq!(hash(&a).lower, before.lower, "st_ino of C libraries stays");
}

#[test]
fn a_directory_is_listed_from_the_first_entry_by_each_stream() {
    let disk = Disk::new();
    for name in ["a", "b", "c"] {
        disk.add(name, b"");
    }
    let dir = Disk::root(disk.ctx());
    let mut cx = Context::from_waker(Waker::noop());
    let [mut one, mut other] = [(); 2].map(|()| now(dir.read_directory()).unwrap());
    let mut names = Vec::new();
    while let core::task::Poll::Ready(Ok(Some(entry))) = one.poll_next(&mut cx) {
        names.push(entry.name);
    }
    assert_eq!(names, ["a", "b", "c"]);
    assert!(matches!(
        other.poll_next(&mut cx),
        core::task::Poll::Ready(Ok(Some(entry))) if entry.name == "a"
    ));
}
