//! WASI 0.3, driven from the host: streams over files that answer at once, later, in small steps
//! and with errors, in memory and on disk.
#![cfg(feature = "p3")]

mod support;
mod wrapped;

#[path = "p3/drive.rs"]
mod drive;

use drive::{Answer, Code, Guest, State, fed};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use support::Disk;
use wasi_clocks::manual::ManualClock;
use wasi_clocks::p3::bindings::wasi::clocks::system_clock::Instant;
use wasi_filesystem::memory::{Limits, MemFs};
#[cfg(feature = "std")]
use wasi_filesystem::os::{Mode, OsDirectory};
use wasi_filesystem::p3::bindings::wasi::filesystem::preopens::{self, Host as _};
use wasi_filesystem::p3::bindings::wasi::filesystem::types::{
    self, Advice, DescriptorFlags, DescriptorType, ErrorCode, HostDescriptorWithStore as _,
    MetadataHashValue, NewTimestamp, OpenFlags, PathFlags,
};
use wasi_filesystem::p3::{WasiFilesystem, WasiFilesystemView as _};
use wasi_filesystem::{WasiFilesystemCtx, vfs};
use wasmtime::component::Linker;

const READ: DescriptorFlags = DescriptorFlags::READ;
const WRITE: DescriptorFlags = DescriptorFlags::WRITE;
const MUTATE: DescriptorFlags = DescriptorFlags::MUTATE_DIRECTORY;

fn numbered(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 7 + i) as u8).collect()
}

/// A guest whose directory is a disk with a file.
fn disk_of(bytes: &[u8]) -> (Arc<Disk>, Guest) {
    let disk = Disk::new();
    disk.add("file", bytes);
    let guest = Guest::new(disk.ctx());
    (disk, guest)
}

fn memory(bytes: u64) -> (Arc<MemFs>, Guest) {
    let limits = Limits {
        bytes,
        ..Limits::default()
    };
    let fs = Arc::new(MemFs::with_limits(Arc::new(ManualClock::default()), limits));
    let ctx = WasiFilesystemCtx::new().preopen(vfs::directory(fs.clone()), "/");
    (fs, Guest::new(ctx))
}

/// Guests over each of the backends of this crate, with `bytes` as `file`.
fn backends(bytes: &[u8]) -> Vec<(Guest, Option<tempfile::TempDir>)> {
    let (fs, in_memory) = memory(64 << 20);
    fs.write_file("file", bytes).unwrap();
    let mut all = vec![(in_memory, None)];
    #[cfg(feature = "std")]
    {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), bytes).unwrap();
        let dir = OsDirectory::open_ambient(folder.path(), Mode::Inline).unwrap();
        let ctx = WasiFilesystemCtx::new().preopen(Arc::new(dir), "/");
        all.push((Guest::new(ctx), Some(folder)));
    }
    all
}

#[test]
fn every_interface_is_linked_once_under_each_of_its_names() {
    let mut linker = Linker::<State>::new(&drive::engine());
    wasi_filesystem::p3::add_to_linker(&mut linker).unwrap();
    assert!(wasi_filesystem::p3::add_to_linker(&mut linker).is_err());
    for version in wasi_types::WASI_0_3 {
        let name = |interface| format!("wasi:filesystem/{interface}@{version}");
        // What is there can't be linked again.
        let mut linked = linker.instance(&name("types")).unwrap();
        let again =
            types::add_to_linker_instance::<State, WasiFilesystem>(&mut linked, State::filesystem);
        assert!(again.is_err(), "{version}");
        let mut linked = linker.instance(&name("preopens")).unwrap();
        let again = preopens::add_to_linker_instance::<State, WasiFilesystem>(
            &mut linked,
            State::filesystem,
        );
        assert!(again.is_err(), "{version}");
    }
}

#[test]
fn a_file_is_read_to_its_end_from_any_offset_on_every_backend() {
    let bytes = numbered(700_000);
    for (mut guest, _folder) in backends(&bytes) {
        for offset in [0, 1, 699_999, 700_000, 800_000] {
            let (read, end) = guest.run(async |fs| {
                let file = fs.open("file", OpenFlags::empty(), READ).await.unwrap();
                fs.read(&file, offset).await
            });
            let expected = bytes.get(offset as usize..).unwrap_or_default();
            assert!(read == expected, "{offset}");
            assert_eq!(end, Ok(()), "{offset}");
        }
    }
}

#[test]
fn what_is_written_and_appended_is_read_back_on_every_backend() {
    let piece = numbered(300_000);
    for (mut guest, _folder) in backends(b"0123456789") {
        let (piece, expected) = (piece.clone(), [b"0123", &piece[..], &piece[..]].concat());
        let read = guest.run(async |fs| {
            let flags = READ | WRITE;
            let file = fs.open("file", OpenFlags::empty(), flags).await.unwrap();
            assert_eq!(fs.write(&file, piece.clone(), Some(4)).await, Ok(()));
            assert_eq!(fs.write(&file, piece, None).await, Ok(()));
            assert_eq!(fs.write(&file, Vec::new(), Some(9)).await, Ok(()));
            fs.read(&file, 0).await
        });
        assert!(read == (expected, Ok(())));
    }
}

#[test]
fn a_small_file_and_its_end_come_in_one_step() {
    let (disk, mut guest) = disk_of(b"0123456789");
    let steps = guest.run(async |fs| {
        let file = fs.open("file", OpenFlags::empty(), READ).await.unwrap();
        let mut reading = fs.read_begin(&file, 0);
        assert_eq!((&mut reading.end).await, Ok(Ok(())));
        reading.steps()
    });
    assert_eq!(steps, [10]);
    // One for the bytes, and one that sees the end.
    assert_eq!(disk.reads.load(SeqCst), 2);
}

#[test]
fn what_can_t_be_read_written_or_listed_ends_at_once_with_its_code() {
    for (mut guest, _folder) in backends(b"0123456789") {
        guest.run(async |fs| {
            let none = OpenFlags::empty();
            let dir = fs.open(".", none, READ).await.unwrap();
            let readable = fs.open("file", none, READ).await.unwrap();
            let writable = fs.open("file", none, WRITE).await.unwrap();
            for (fd, offset, code) in [
                (&dir, 0, ErrorCode::IsDirectory),
                (&writable, 0, ErrorCode::BadDescriptor),
                (&readable, u64::MAX, ErrorCode::Invalid),
            ] {
                assert_eq!(fs.read(fd, offset).await, (vec![], Err(Code(code))));
            }
            for (fd, position, code) in [
                (&dir, Some(0), ErrorCode::BadDescriptor),
                (&readable, Some(0), ErrorCode::BadDescriptor),
                (&readable, None, ErrorCode::BadDescriptor),
                (&writable, Some(u64::MAX), ErrorCode::FileTooLarge),
            ] {
                let (data, fed) = fed(vec![b"no".to_vec(); 3]);
                let end = fs.write_begin(fd, data, position).await;
                assert_eq!(end, Ok(Err(Code(code))));
                assert!(fed.is_dropped(), "{position:?}");
            }
            let listed = fs.list(&readable).await;
            assert_eq!(listed, (vec![], Err(Code(ErrorCode::NotDirectory))));
        });
    }
}

#[test]
fn a_backend_that_waits_is_waited_for_and_asked_for_one_step_at_a_time() {
    let bytes = numbered(600_000);
    for step in [0, 999 * 64] {
        let (disk, mut guest) = disk_of(&bytes);
        disk.step.store(step, SeqCst);
        let (read, end) = guest.run(async |fs| {
            let file = fs.open("file", OpenFlags::empty(), READ).await.unwrap();
            disk.later.store(true, SeqCst);
            let reading = fs.read_begin(&file, 0);
            let end = drive::with_turns(reading.end, || {
                assert!(disk.proceed() <= 1);
            });
            let end = end.await.unwrap();
            (reading.bytes.lock().unwrap().clone(), end)
        });
        assert!(read == bytes, "{step}");
        assert_eq!(end, Ok(()));
    }
}

#[test]
fn the_writer_is_stopped_while_the_backend_waits() {
    let (disk, mut guest) = disk_of(b"");
    disk.step.store(700, SeqCst);
    guest.run(async |fs| {
        let file = fs.open("file", OpenFlags::empty(), WRITE).await.unwrap();
        disk.later.store(true, SeqCst);
        let (data, fed) = fed(vec![numbered(1000); 5]);
        let mut end = fs.write_begin(&file, data, Some(0));
        for written in [0, 700, 1000, 1700, 2000, 2700, 3000] {
            drive::idle(&mut end).await;
            assert_eq!(disk.contents("file").len(), written);
            // No piece is taken from the writer before the one in front of it is written.
            assert_eq!(fed.given(), written / 1000 + 1, "at {written}");
            assert_eq!(disk.proceed(), 1);
        }
        let end = drive::with_turns(end, || {
            disk.proceed();
        });
        assert_eq!(end.await, Ok(Ok(())));
    });
    assert!(disk.contents("file") == numbered(1000).repeat(5));
}

#[test]
fn the_bytes_of_a_write_are_on_the_backend_when_its_future_says_so() {
    let (disk, mut guest) = disk_of(b"");
    guest.run(async |fs| {
        let file = fs.open("file", OpenFlags::empty(), WRITE).await.unwrap();
        disk.later.store(true, SeqCst);
        let (data, _) = fed(vec![b"late".to_vec()]);
        let mut end = fs.write_begin(&file, data, None);
        drive::idle(&mut end).await;
        assert_eq!(disk.contents("file"), b"");
        disk.proceed();
        assert_eq!(end.await, Ok(Ok(())));
        assert_eq!(disk.contents("file"), b"late");
    });
}

#[test]
fn a_write_that_finds_no_room_ends_the_stream_with_its_code() {
    let (fs, mut guest) = memory(100_000);
    let (end, fed) = guest.run(async |fs| {
        let file = fs.open("new", OpenFlags::CREATE, WRITE).await.unwrap();
        let (data, fed) = fed(vec![vec![1; 64 << 10]; 5]);
        (fs.write_begin(&file, data, Some(0)).await.unwrap(), fed)
    });
    assert_eq!(end, Err(Code(ErrorCode::InsufficientSpace)));
    assert!(fed.is_dropped() && fed.given() < 5);
    // What found room is there.
    assert!(fs.read_file("new").unwrap().len() >= 64 << 10);
}

#[test]
fn a_failure_later_on_ends_the_stream_with_its_code_after_the_bytes_before_it() {
    let bytes = numbered(1 << 20);
    let (disk, mut guest) = disk_of(&bytes);
    let (read, end) = guest.run(async |fs| {
        let file = fs.open("file", OpenFlags::empty(), READ).await.unwrap();
        disk.later.store(true, SeqCst);
        let mut reading = fs.read_begin(&file, 0);
        drive::idle(&mut reading.end).await;
        disk.proceed();
        *disk.fails.lock().unwrap() = Some(wasi_filesystem::ErrorCode::Io);
        let end = (&mut reading.end).await.unwrap();
        (reading.bytes.lock().unwrap().clone(), end)
    });
    assert_eq!(end, Err(Code(ErrorCode::Io)));
    assert!(!read.is_empty() && bytes.starts_with(&read));
}

#[test]
fn a_stream_that_is_dropped_closes_the_file_and_a_new_one_reads_what_it_did_not() {
    let bytes = numbered(1 << 20);
    let (disk, mut guest) = disk_of(&bytes);
    let held = Arc::strong_count(&disk);
    guest.run(async |fs| {
        for later in [false, true] {
            disk.later.store(false, SeqCst);
            let file = fs.open("file", OpenFlags::empty(), READ).await.unwrap();
            disk.later.store(later, SeqCst);
            let reading = fs.read_some(&file, 0, 1000);
            fs.close(file);
            assert!(Arc::strong_count(&disk) > held, "the stream holds the file");
            let (read, end) = drive::with_turns(reading, || {
                disk.proceed();
            })
            .await;
            assert_eq!(end, Ok(()));
            disk.proceed();
            assert_eq!(Arc::strong_count(&disk), held, "later: {later}");

            disk.later.store(false, SeqCst);
            let file = fs.open("file", OpenFlags::empty(), READ).await.unwrap();
            let (rest, _) = fs.read(&file, read.len() as u64).await;
            assert!([read, rest].concat() == bytes);
            fs.close(file);
        }
    });
}

#[test]
fn a_store_that_is_dropped_in_the_middle_closes_everything() {
    let (disk, mut guest) = disk_of(&numbered(1 << 20));
    let before = Arc::strong_count(&disk);
    guest.run(async |fs| {
        let file = fs
            .open("file", OpenFlags::empty(), READ | WRITE)
            .await
            .unwrap();
        disk.later.store(true, SeqCst);
        let mut reading = fs.read_begin(&file, 0);
        let (data, _) = fed(vec![b"late".to_vec()]);
        let mut end = fs.write_begin(&file, data, None);
        drive::idle(&mut reading.end).await;
        drive::idle(&mut end).await;
        assert!(Arc::strong_count(&disk) > before);
    });
    drop(guest);
    disk.proceed();
    assert_eq!(Arc::strong_count(&disk), 1);
}

#[test]
fn thousands_of_streams_read_and_append_to_one_file_at_once() {
    const STREAMS: usize = 3000;
    let bytes = numbered(10_000);
    for (mut guest, _folder) in backends(&bytes) {
        let len = guest.run(async |fs| {
            let flags = READ | WRITE;
            let file = fs.open("file", OpenFlags::empty(), flags).await.unwrap();
            let reading: Vec<_> = (0..STREAMS)
                .map(|i| fs.read_begin(&file, i as u64))
                .collect();
            let writing: Vec<_> = (0..STREAMS)
                .map(|i| fs.write_begin(&file, fed(vec![vec![i as u8; 10]]).0, None))
                .collect();
            for (i, reading) in reading.into_iter().enumerate() {
                assert_eq!(reading.end.await, Ok(Ok(())));
                // Those who append may have been there before.
                assert!(reading.bytes.lock().unwrap().starts_with(&bytes[i..]));
            }
            for end in writing {
                assert_eq!(end.await, Ok(Ok(())));
            }
            fs.read(&file, 0).await.0.len()
        });
        assert_eq!(len, bytes.len() + STREAMS * 10);
    }
}

#[test]
fn many_streams_that_wait_lose_nothing_though_the_guest_may_hold_little() {
    const STREAMS: usize = 64;
    let bytes = numbered(200_000);
    let disk = Disk::new();
    disk.add("file", &bytes);
    let mut guest = Guest::new(disk.ctx().max_buffered(300 << 10));
    guest.run(async |fs| {
        let flags = READ | WRITE;
        let file = fs.open("file", OpenFlags::empty(), flags).await.unwrap();
        disk.later.store(true, SeqCst);
        let reading: Vec<_> = (0..STREAMS).map(|_| fs.read_begin(&file, 0)).collect();
        let writing: Vec<_> = (0..STREAMS)
            .map(|_| fs.write_begin(&file, fed(vec![bytes.clone()]).0, Some(0)))
            .collect();
        for reading in reading {
            let end = drive::with_turns(reading.end, || {
                disk.proceed();
            });
            assert_eq!(end.await, Ok(Ok(())));
            assert!(*reading.bytes.lock().unwrap() == bytes);
        }
        for end in writing {
            let end = drive::with_turns(end, || {
                disk.proceed();
            });
            assert_eq!(end.await, Ok(Ok(())));
        }
        assert!(disk.contents("file") == bytes);

        // What they held was given back: there is room for a large step.
        let (data, _) = fed(vec![bytes.clone()]);
        let mut end = fs.write_begin(&file, data, None);
        drive::idle(&mut end).await;
        disk.proceed();
        assert_eq!(disk.contents("file").len(), 2 * bytes.len());
    });
}

#[test]
fn a_directory_is_listed_whole_and_without_the_two_that_every_one_has() {
    for (mut guest, _folder) in backends(b"") {
        let (mut names, end) = guest.run(async |fs| {
            for i in 0..500 {
                let name = format!("{i:03}");
                fs.open(&name, OpenFlags::CREATE, WRITE).await.unwrap();
            }
            let dir = fs.open(".", OpenFlags::empty(), READ).await.unwrap();
            fs.list(&dir).await
        });
        names.sort();
        let mut expected: Vec<_> = (0..500).map(|i| format!("{i:03}")).collect();
        expected.push("file".into());
        assert_eq!((names, end), (expected, Ok(())));
    }
}

#[cfg(all(feature = "std", target_os = "linux"))]
#[test]
fn a_name_that_is_not_unicode_costs_itself_alone_and_is_told_at_the_end() {
    use std::os::unix::ffi::OsStrExt as _;
    let folder = tempfile::tempdir().unwrap();
    let bad = std::ffi::OsStr::from_bytes(b"\xff");
    for name in ["a".as_ref(), bad, "b".as_ref()] {
        std::fs::write(folder.path().join(name), b"").unwrap();
    }
    let dir = OsDirectory::open_ambient(folder.path(), Mode::Inline).unwrap();
    let mut guest = Guest::new(WasiFilesystemCtx::new().preopen(Arc::new(dir), "/"));
    let (mut names, end) = guest.run(async |fs| {
        let dir = fs.open(".", OpenFlags::empty(), READ).await.unwrap();
        fs.list(&dir).await
    });
    names.sort();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(end, Err(Code(ErrorCode::IllegalByteSequence)));
}

#[test]
fn no_more_directories_are_listed_at_once_than_the_guest_may() {
    let disk = Disk::new();
    disk.add("file", b"");
    let mut guest = Guest::new(disk.ctx().max_listings(1));
    guest.run(async |fs| {
        let dir = fs.open(".", OpenFlags::empty(), READ).await.unwrap();
        let open = fs.list_begin(&dir);
        let (_, end) = fs.list(&dir).await;
        assert_eq!(end, Err(Code(ErrorCode::InsufficientMemory)));
        assert_eq!(open.await.1, Ok(()));
        assert_eq!(fs.list(&dir).await.1, Ok(()));
    });
}

#[test]
fn every_function_of_a_descriptor_does_what_it_says() {
    for (mut guest, _folder) in backends(b"0123456789") {
        guest.run(async |fs| {
            let (fs, none) = (&fs, PathFlags::empty());
            let root = fs
                .open(".", OpenFlags::empty(), READ | MUTATE)
                .await
                .unwrap();
            let file = fs
                .open("file", OpenFlags::empty(), READ | WRITE)
                .await
                .unwrap();
            macro_rules! call {
                ($function:ident($fd:expr $(, $argument:expr)*)) => {
                    WasiFilesystem::$function(fs.accessor(), drive::borrow($fd) $(, $argument)*)
                        .await
                        .unwrap()
                        .map_err(Code)
                };
            }
            assert!(matches!(
                call!(get_type(&root)),
                Ok(DescriptorType::Directory)
            ));
            assert!(matches!(
                call!(get_type(&file)),
                Ok(DescriptorType::RegularFile)
            ));
            assert_eq!(call!(get_flags(&file)), Ok(READ | WRITE));
            assert_eq!(call!(advise(&file, 0, 0, Advice::Normal)), Ok(()));
            let advised = call!(advise(&root, 0, 0, Advice::Normal));
            assert_eq!(advised, Err(Code(ErrorCode::BadDescriptor)));
            assert_eq!(call!(set_size(&file, 4)), Ok(()));
            assert_eq!(call!(sync(&file)), Ok(()));
            assert_eq!(call!(sync_data(&file)), Ok(()));

            let at = |seconds, nanoseconds| {
                NewTimestamp::Timestamp(Instant {
                    seconds,
                    nanoseconds,
                })
            };
            assert_eq!(call!(set_times(&file, at(42, 0), at(69, 7))), Ok(()));
            let stat = call!(stat(&file)).unwrap();
            assert_eq!(stat.size, 4);
            let modified = stat.data_modification_timestamp.unwrap();
            assert_eq!((modified.seconds, modified.nanoseconds), (69, 7));
            let before = call!(set_times(&file, NewTimestamp::NoChange, at(-1, 0)));
            assert_eq!(before, Err(Code(ErrorCode::Overflow)));
            let path = || String::from("file");
            let set = call!(set_times_at(
                &root,
                none,
                path(),
                at(1, 0),
                NewTimestamp::NoChange
            ));
            assert_eq!(set, Ok(()));
            let stat = call!(stat_at(&root, none, path())).unwrap();
            assert_eq!(stat.data_access_timestamp.unwrap().seconds, 1);
            assert_eq!(stat.data_modification_timestamp.unwrap().seconds, 69);

            assert_eq!(call!(create_directory_at(&root, "dir".into())), Ok(()));
            let dir = fs.open("dir", OpenFlags::DIRECTORY, MUTATE).await.unwrap();
            let linked = call!(link_at(
                &root,
                none,
                path(),
                drive::borrow(&dir),
                "two".into()
            ));
            assert_eq!(linked, Ok(()));
            let two = fs.open("dir/two", OpenFlags::empty(), READ).await.unwrap();
            for (other, same) in [(&two, true), (&dir, false)] {
                let (file, other) = (drive::borrow(&file), drive::borrow(other));
                let answer = WasiFilesystem::is_same_object(fs.accessor(), file, other).await;
                assert_eq!(answer.unwrap(), same);
            }
            let hash = |hash: Answer<MetadataHashValue>| {
                let hash = hash.unwrap();
                (hash.lower, hash.upper)
            };
            assert_eq!(
                hash(call!(metadata_hash(&file))),
                hash(call!(metadata_hash_at(&root, none, "dir/two".into())))
            );
            let renamed = call!(rename_at(
                &dir,
                "two".into(),
                drive::borrow(&root),
                "three".into()
            ));
            assert_eq!(renamed, Ok(()));
            assert_eq!(
                call!(symlink_at(&root, "three".into(), "link".into())),
                Ok(())
            );
            assert_eq!(call!(readlink_at(&root, "link".into())), Ok("three".into()));
            assert_eq!(call!(unlink_file_at(&root, "link".into())), Ok(()));
            assert_eq!(call!(remove_directory_at(&root, "dir".into())), Ok(()));
            let gone = fs.open("dir", OpenFlags::empty(), READ).await;
            assert_eq!(gone.unwrap_err(), Code(ErrorCode::NoEntry));
            let outside = fs.open("../file", OpenFlags::empty(), READ).await;
            assert_eq!(outside.unwrap_err(), Code(ErrorCode::NotPermitted));
        });
    }
}

#[test]
fn what_a_link_to_outside_leads_to_is_not_removed_by_a_backend_that_waits_either() {
    let fs = Arc::new(MemFs::new(Arc::new(ManualClock::default())));
    fs.symlink("..", "up").unwrap();
    fs.create_dir_all("dir").unwrap();
    let slow = Arc::new(wrapped::Slow(vfs::directory(fs)));
    let mut guest = Guest::new(WasiFilesystemCtx::new().preopen(slow, "/"));
    guest.run(async |fs| {
        let root = fs.open(".", OpenFlags::empty(), READ | MUTATE).await;
        let root = root.unwrap();
        for (path, expected) in [
            ("up/", Err(Code(ErrorCode::NotPermitted))),
            ("up", Err(Code(ErrorCode::NotDirectory))),
            ("dir/", Ok(())),
            ("dir/", Err(Code(ErrorCode::NoEntry))),
        ] {
            let root = drive::borrow(&root);
            let removed =
                WasiFilesystem::remove_directory_at(fs.accessor(), root, path.into()).await;
            assert_eq!(removed.unwrap().map_err(Code), expected, "{path}");
        }
    });
}

#[test]
fn a_function_that_waits_lets_others_go_on() {
    let (disk, mut guest) = disk_of(b"");
    guest.run(async |fs| {
        let file = fs.open("file", OpenFlags::empty(), WRITE).await.unwrap();
        disk.later.store(true, SeqCst);
        let sync = WasiFilesystem::sync(fs.accessor(), drive::borrow(&file));
        let mut sync = std::pin::pin!(sync);
        drive::idle(&mut sync).await;
        // The store is free meanwhile.
        let flags = WasiFilesystem::get_flags(fs.accessor(), drive::borrow(&file));
        assert_eq!(flags.await.unwrap().unwrap(), WRITE);
        disk.proceed();
        sync.await.unwrap().unwrap();
    });
}

#[test]
fn preopened_directories_are_given_with_their_paths() {
    let (_, guest) = disk_of(b"");
    let mut state = guest.into_state();
    let directories = state.filesystem().get_directories().unwrap();
    let paths: Vec<_> = directories.iter().map(|(_, path)| &path[..]).collect();
    assert_eq!(paths, ["/"]);
}
