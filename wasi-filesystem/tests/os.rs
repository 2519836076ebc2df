//! The files of this machine, in both modes.
#![cfg(target_os = "linux")]

mod os_support;

use os_support::*;
use std::fs;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant, SystemTime};
use tempfile::TempDir;
use wasi_clocks::manual::ManualClock;
use wasi_filesystem::memory::MemFs;
use wasi_filesystem::os::{Mode, OsDirectory};
use wasi_filesystem::{
    Advice, DescriptorFlags, DescriptorStat, DescriptorType, Directory, ErrorCode, NewTimestamp,
    Object, Result, testkit, vfs,
};
use wasi_io::Op;
use wasi_io::testkit::Threads;
use wasi_types::Datetime;

fn directory(mode: &Mode) -> (TempDir, OsDirectory) {
    let temp = tempfile::tempdir().unwrap();
    let dir = OsDirectory::open_ambient(temp.path(), mode.clone()).unwrap();
    (temp, dir)
}

#[test]
fn what_is_written_is_read_again_and_appended_at_the_end() {
    for mode in modes() {
        let (temp, dir) = directory(&mode);
        let file = open(&dir, "f", CREATE, BOTH).unwrap();
        assert_eq!(done(file.write_at(2, b"abc")), Ok(3));
        assert_eq!(done(file.append(b"de")), Ok(2));
        // O_APPEND was not asked for, so this writes where it says.
        assert_eq!(done(file.write_at(0, b"x")), Ok(1));
        assert_eq!(done(file.write_at(0, b"")), Ok(0));
        let bytes = read(&*file, 0, 100);
        assert_eq!(bytes.as_deref(), Ok(&b"x\0abcde"[..]));
        assert_eq!(fs::read(temp.path().join("f")).unwrap(), b"x\0abcde");
        done(file.set_size(3)).unwrap();
        assert_eq!(done(file.stat()).unwrap().size, 3);
        assert_eq!(read(&*file, 3, 1), Ok(vec![]));
        done(file.sync()).unwrap();
        done(file.sync_data()).unwrap();
        done(dir.sync()).unwrap();
    }
}

#[test]
fn a_listing_has_every_entry_once_and_says_what_it_is() {
    for mode in modes() {
        let (temp, dir) = directory(&mode);
        let mut expected = Vec::new();
        for n in 0..3000 {
            let name = format!("file-{n}");
            fs::write(temp.path().join(&name), b"").unwrap();
            expected.push((name, DescriptorType::RegularFile));
        }
        fs::create_dir(temp.path().join("d")).unwrap();
        std::os::unix::fs::symlink("nowhere", temp.path().join("l")).unwrap();
        expected.push(("d".into(), DescriptorType::Directory));
        expected.push(("l".into(), DescriptorType::SymbolicLink));
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        for _ in 0..2 {
            let mut found: Vec<_> = entries(&dir)
                .unwrap()
                .into_iter()
                .map(|entry| {
                    entry
                        .map(|entry| (entry.name, entry.descriptor_type))
                        .unwrap()
                })
                .collect();
            found.sort_by(|a, b| a.0.cmp(&b.0));
            assert_eq!(found, expected);
        }
        let sub = open_directory(&dir, "d").unwrap();
        assert!(entries(&*sub).unwrap().is_empty());
        fs::remove_dir(temp.path().join("d")).unwrap();
        assert!(entries(&*sub).unwrap().is_empty());
    }
}

#[test]
fn a_name_that_is_not_unicode_is_an_error_of_its_entry_alone() {
    use std::os::unix::ffi::OsStrExt;
    for mode in modes() {
        let (temp, dir) = directory(&mode);
        let name = std::ffi::OsStr::from_bytes(b"\xff");
        fs::write(temp.path().join(name), b"").unwrap();
        fs::write(temp.path().join("a"), b"").unwrap();
        std::os::unix::fs::symlink(name, temp.path().join("l")).unwrap();
        let mut found: Vec<_> = entries(&dir)
            .unwrap()
            .into_iter()
            .map(|entry| entry.map(|entry| entry.name))
            .collect();
        found.sort_by_key(|entry| entry.clone().ok());
        let expected = [
            Err(ErrorCode::IllegalByteSequence),
            Ok("a".into()),
            Ok("l".into()),
        ];
        assert_eq!(found, expected);
        assert_eq!(
            done(dir.readlink_at("l")),
            Err(ErrorCode::IllegalByteSequence)
        );
        // A link may lead to what no path can name.
        assert_eq!(done(dir.stat_at(FOLLOW, "l")).unwrap().size, 0);
    }
}

#[test]
fn every_guarantee_of_the_traits_is_kept() {
    for mode in modes() {
        let (_temp, dir) = directory(&mode);
        let report = testkit::run(&Threads, Arc::new(dir));
        report.assert_ok();
        let all = report.checks().iter().all(|check| check.result.is_ok());
        assert!(all, "nothing is skipped: {report}");
    }
}

#[test]
fn only_a_directory_can_be_granted() {
    let temp = tempfile::tempdir().unwrap();
    let file = temp.path().join("f");
    fs::write(&file, b"").unwrap();
    assert!(OsDirectory::open_ambient(&file, Mode::Inline).is_err());
    assert!(OsDirectory::open_ambient(temp.path().join("none"), Mode::Inline).is_err());
    let handle = fs::File::open(temp.path()).unwrap();
    let dir = OsDirectory::from_file(handle, Mode::Inline);
    assert!(done(dir.stat_at(NO_FOLLOW, "f")).is_ok());
    let none = OsDirectory::from_file(fs::File::open(file).unwrap(), Mode::Inline);
    let error = Err(ErrorCode::NotDirectory);
    assert_eq!(done(none.stat_at(NO_FOLLOW, "f")), error);
    assert_eq!(
        entries(&none).map(|_| ()),
        error.map(|_: DescriptorStat| ())
    );
}

#[test]
fn a_named_pipe_is_opened_without_its_peer_and_has_no_offsets() {
    for mode in modes() {
        let (temp, dir) = directory(&mode);
        let pipe = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(
            rustix::fs::CWD,
            temp.path().join("p"),
            pipe,
            0o600.into(),
            0,
        )
        .unwrap();
        assert_eq!(
            open(&dir, "p", EXISTING, WRITE).err(),
            Some(ErrorCode::NoSuchDevice),
            "nobody reads"
        );
        let reader = open(&dir, "p", EXISTING, READ).unwrap();
        assert_eq!(reader.descriptor_type(), DescriptorType::Fifo);
        assert_eq!(read(&*reader, 0, 1), Err(ErrorCode::InvalidSeek));
        let writer = open(&dir, "p", EXISTING, WRITE).unwrap();
        assert_eq!(done(writer.write_at(0, b"x")), Err(ErrorCode::InvalidSeek));
        assert_eq!(done(writer.append(b"x")), Err(ErrorCode::InvalidSeek));
        assert_eq!(done(writer.set_size(0)), Err(ErrorCode::Invalid));
        let several = read_once(&*reader, 0, &[1, 1]);
        assert_eq!(several, Err(ErrorCode::InvalidSeek));
        for several in [
            writer.write_vectored_at(0, &[b"x", b"y"]),
            writer.append_vectored(&[b"x", b"y"]),
        ] {
            assert_eq!(done(several), Err(ErrorCode::InvalidSeek));
        }
        assert_eq!(done(writer.allocate(0, 1)), Err(ErrorCode::Invalid));
        let advised = writer.advise(0, 0, Advice::WillNeed);
        assert_eq!(done(advised), Err(ErrorCode::InvalidSeek));
    }
}

#[test]
fn a_device_is_read_and_written_but_has_no_size() {
    for mode in modes() {
        let dir = OsDirectory::open_ambient("/dev", mode).unwrap();
        let zero = open(&dir, "zero", EXISTING, BOTH).unwrap();
        assert_eq!(zero.descriptor_type(), DescriptorType::CharacterDevice);
        assert_eq!(read(&*zero, 7, 3), Ok(vec![0; 3]));
        assert_eq!(done(zero.write_at(7, b"abc")), Ok(3));
        assert_eq!(done(zero.set_size(0)), Err(ErrorCode::Invalid));
        assert_eq!(read_vectored(&*zero, 7, &[1, 2]), Ok(vec![0; 3]));
        let several = zero.write_vectored_at(7, &[b"ab", b"c"]);
        assert_eq!(done(several), Ok(3));
        assert_eq!(done(zero.allocate(0, 1)), Err(ErrorCode::Invalid));
    }
}

#[test]
fn offsets_that_no_file_can_have_are_errors() {
    const MAX: u64 = i64::MAX as u64;
    for mode in modes() {
        let (_temp, dir) = directory(&mode);
        let file = open(&dir, "f", CREATE, BOTH).unwrap();
        assert_eq!(read(&*file, MAX, 10), Ok(vec![]));
        assert_eq!(read_once(&*file, MAX - 3, &[2, 9]), Ok(vec![]));
        for offset in [MAX + 1, u64::MAX] {
            assert_eq!(read(&*file, offset, 10), Err(ErrorCode::Invalid));
            let several = read_once(&*file, offset, &[5, 5]);
            assert_eq!(several, Err(ErrorCode::Invalid));
        }
        for offset in [MAX - 1, MAX, MAX + 1, u64::MAX] {
            let written = done(file.write_at(offset, b"abc"));
            assert_eq!(written, Err(ErrorCode::FileTooLarge), "{offset}");
            let written = done(file.write_vectored_at(offset, &[b"a", b"bc"]));
            assert_eq!(written, Err(ErrorCode::FileTooLarge), "{offset}");
            let room = done(file.allocate(offset, 2));
            assert_eq!(room, Err(ErrorCode::FileTooLarge), "{offset}");
            let size = done(file.set_size(offset));
            assert_eq!(size, Err(ErrorCode::FileTooLarge), "{offset}");
            for advice in [Advice::Normal, Advice::WillNeed] {
                done(file.advise(offset, offset, advice)).unwrap();
            }
        }
        assert_eq!(done(file.stat()).unwrap().size, 0);
    }
}

#[test]
fn times_are_set_and_told_as_far_as_they_can_be_said() {
    for mode in modes() {
        let (temp, dir) = directory(&mode);
        let file = open(&dir, "f", CREATE, BOTH).unwrap();
        std::os::unix::fs::symlink("f", temp.path().join("l")).unwrap();
        let time = |seconds| Datetime::new(seconds, 500).unwrap();
        let at = |seconds| NewTimestamp::Timestamp(time(seconds));
        let keep = NewTimestamp::NoChange;
        let told = |stat: Result<DescriptorStat>| {
            let stat = stat.unwrap();
            [stat.data_access_timestamp, stat.data_modification_timestamp]
        };
        let both = |a, b| [Some(time(a)), Some(time(b))];

        done(file.set_times(at(1), at(2))).unwrap();
        assert_eq!(told(done(file.stat())), both(1, 2));
        done(file.set_times(at(3), keep)).unwrap();
        assert_eq!(told(done(file.stat())), both(3, 2));
        // A link and what it leads to.
        done(dir.set_times_at(FOLLOW, "l", keep, at(4))).unwrap();
        done(dir.set_times_at(NO_FOLLOW, "l", at(5), at(6))).unwrap();
        assert_eq!(told(done(dir.stat_at(NO_FOLLOW, "l"))), both(5, 6));
        // Following it is an access.
        assert_eq!(told(done(dir.stat_at(FOLLOW, "l"))), both(3, 4));
        done(dir.set_times(at(7), at(8))).unwrap();
        assert_eq!(told(done(dir.stat())), both(7, 8));

        let now = |stat| told(stat)[1].is_some_and(|time| time.seconds() > 1_000_000_000);
        done(file.set_times(keep, NewTimestamp::Now)).unwrap();
        assert!(now(done(file.stat())));
        // What only others can set.
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(10);
        let handle = fs::File::options().write(true).open(temp.path().join("f"));
        handle.unwrap().set_modified(before).unwrap();
        assert_eq!(told(done(file.stat())), [Some(time(3)), None]);
        let end = NewTimestamp::Timestamp(Datetime::new(u64::MAX, 0).unwrap());
        assert_eq!(done(file.set_times(end, keep)), Err(ErrorCode::Overflow));
    }
}

#[test]
fn directories_granted_apart_are_one_filesystem_and_other_backends_are_not() {
    for mode in modes() {
        let (temp, dir) = directory(&mode);
        for below in ["a", "b"] {
            fs::create_dir(temp.path().join(below)).unwrap();
        }
        let [a, b] =
            ["a", "b"].map(|path| OsDirectory::open_ambient(temp.path().join(path), mode.clone()));
        let (a, b) = (a.unwrap(), b.unwrap());
        open(&a, "f", CREATE, WRITE).unwrap();
        done(a.link_at(NO_FOLLOW, "f", &b, "g")).unwrap();
        done(a.rename_at("f", &b, "h")).unwrap();
        assert_eq!(done(dir.stat_at(NO_FOLLOW, "b/h")).unwrap().link_count, 2);
        let memory = MemFs::new(Arc::new(ManualClock::default()));
        let memory = vfs::directory(Arc::new(memory));
        let linked = done(b.link_at(NO_FOLLOW, "g", &*memory, "g"));
        assert_eq!(linked, Err(ErrorCode::CrossDevice));
        let moved = done(b.rename_at("g", &*memory, "g"));
        assert_eq!(moved, Err(ErrorCode::CrossDevice));
    }
}

#[test]
fn those_who_append_at_once_don_t_overwrite_each_other() {
    for mode in modes() {
        let (temp, dir) = directory(&mode);
        thread::scope(|scope| {
            for byte in *b"ab" {
                let file = open(&dir, "f", CREATE, WRITE).unwrap();
                scope.spawn(move || {
                    for _ in 0..500 {
                        assert_eq!(done(file.append(&[byte; 10])), Ok(10));
                    }
                });
            }
        });
        let bytes = fs::read(temp.path().join("f")).unwrap();
        assert_eq!(bytes.len(), 10_000);
        for piece in bytes.chunks(10) {
            assert!(piece == [b'a'; 10] || piece == [b'b'; 10]);
        }
    }
}

#[test]
fn what_several_buffers_append_stays_together() {
    for (mode, count) in [0, 1]
        .into_iter()
        .zip([3, 40, 900])
        .chain([(0, 900), (1, 40)])
    {
        let (temp, dir) = directory(&modes()[mode]);
        thread::scope(|scope| {
            for byte in *b"ab" {
                let file = open(&dir, "f", CREATE, WRITE).unwrap();
                scope.spawn(move || {
                    let bufs = vec![[byte].repeat(7); count];
                    for _ in 0..100 {
                        let appended = done(file.append_vectored(&slices(&bufs)));
                        assert_eq!(appended, Ok(7 * count));
                    }
                });
            }
        });
        let bytes = fs::read(temp.path().join("f")).unwrap();
        assert_eq!(bytes.len(), 200 * 7 * count);
        for piece in bytes.chunks(7 * count) {
            assert!(piece.iter().all(|byte| *byte == piece[0]), "{count}");
        }
    }
}

#[test]
fn more_buffers_than_the_kernel_takes_are_moved_in_part() {
    for mode in modes() {
        let (temp, dir) = directory(&mode);
        let file = open(&dir, "f", CREATE, BOTH).unwrap();
        let bytes: Vec<_> = (0..3000).map(|n| n as u8).collect();
        // Those that are empty don't count.
        let mut bufs = vec![&[][..]; 2000];
        bufs.extend(bytes.chunks(1));
        assert_eq!(done(file.write_vectored_at(0, &bufs)), Ok(1024));
        assert_eq!(done(file.append_vectored(&bufs[2000 + 1024..])), Ok(1024));
        assert_eq!(done(file.append_vectored(&bufs[2000 + 2048..])), Ok(952));
        assert_eq!(fs::read(temp.path().join("f")).unwrap(), bytes);
        let lengths = bufs.iter().map(|buf| buf.len()).collect::<Vec<_>>();
        assert_eq!(read_once(&*file, 0, &lengths).unwrap(), bytes[..1024]);
    }
}

#[test]
fn offloaded_one_operation_moves_no_more_than_a_piece() {
    const PIECE: usize = 1 << 20;
    let bytes: Vec<u8> = (0..3 * PIECE).map(|n| (n ^ (n >> 9)) as u8).collect();
    let bufs: Vec<_> = bytes.chunks(PIECE / 4 * 3).collect();
    let lengths: Vec<_> = bufs.iter().map(|buf| buf.len()).collect();
    for (mode, flags, most) in [
        (&modes()[0], BOTH, bytes.len()),
        (&modes()[1], BOTH, PIECE),
        // Not in the page cache alone, so by the pool.
        (
            &modes()[1],
            BOTH | DescriptorFlags::DATA_INTEGRITY_SYNC,
            PIECE,
        ),
    ] {
        let (temp, dir) = directory(mode);
        let file = open(&dir, "f", CREATE, flags).unwrap();
        assert_eq!(done(file.write_vectored_at(0, &bufs)), Ok(most));
        assert_eq!(fs::read(temp.path().join("f")).unwrap(), bytes[..most]);
        assert_eq!(done(file.append_vectored(&bufs)), Ok(most));
        let appended = fs::read(temp.path().join("f")).unwrap();
        assert_eq!(appended, [&bytes[..most], &bytes[..most]].concat());
        let read = read_once(&*file, 0, &lengths).unwrap();
        assert!(!read.is_empty() && read.len() <= most);
        assert_eq!(read, appended[..read.len()]);
        assert_eq!(
            read_vectored(&*file, 0, &lengths).unwrap(),
            appended[..bytes.len().min(2 * most)]
        );
    }
}

#[test]
fn what_is_allocated_is_on_the_disk() {
    use std::os::unix::fs::MetadataExt as _;
    for mode in modes() {
        let (temp, dir) = directory(&mode);
        let file = open(&dir, "f", CREATE, WRITE).unwrap();
        done(file.set_size(1 << 20)).unwrap();
        let path = temp.path().join("f");
        assert!(fs::metadata(&path).unwrap().blocks() < 2048, "it is a hole");
        done(file.allocate(0, 1 << 20)).unwrap();
        let allocated = fs::metadata(&path).unwrap();
        assert!(allocated.blocks() >= 2048);
        assert_eq!(allocated.len(), 1 << 20);
    }
}

#[test]
fn inline_everything_is_ready() {
    let (_temp, dir) = directory(&Mode::Inline);
    let open = dir.open_at(NO_FOLLOW, "f", CREATE, BOTH);
    let Op::Ready(Ok(Object::File(file))) = open else {
        panic!("not ready");
    };
    assert!(matches!(file.append(b"abc"), Op::Ready(Ok(3))));
    assert!(matches!(file.read_at(0, &mut [0; 5]), Op::Ready(Ok(3))));
    assert!(matches!(
        file.write_vectored_at(1, &[b"x", b"yz"]),
        Op::Ready(Ok(3))
    ));
    assert!(matches!(
        file.append_vectored(&[b"u", b"v"]),
        Op::Ready(Ok(2))
    ));
    let (mut a, mut b) = ([0; 2], [0; 5]);
    let read = file.read_vectored_at(0, &mut [&mut a, &mut [], &mut b]);
    assert!(matches!(read, Op::Ready(Ok(6))));
    assert_eq!((&a, &b), (b"ax", b"yzuv\0"));
    assert!(matches!(file.allocate(0, 9), Op::Ready(Ok(()))));
    assert!(matches!(file.sync(), Op::Ready(Ok(()))));
    assert!(matches!(dir.unlink_file_at("f"), Op::Ready(Ok(()))));
    let Op::Ready(Ok(mut entries)) = dir.read_directory() else {
        panic!("not ready");
    };
    let mut cx = Context::from_waker(Waker::noop());
    assert!(matches!(entries.poll_next(&mut cx), Poll::Ready(Ok(None))));
}

#[test]
fn offloaded_what_was_looked_up_lately_is_ready_and_what_changes_the_disk_is_not() {
    let (temp, dir) = directory(&modes()[1]);
    fs::write(temp.path().join("f"), b"abc").unwrap();
    std::os::unix::fs::symlink("f", temp.path().join("l")).unwrap();
    for path in ["f", "l", "nothing"] {
        let first = done(dir.stat_at(FOLLOW, path));
        let Op::Ready(again) = dir.stat_at(FOLLOW, path) else {
            panic!("{path} is not ready");
        };
        assert_eq!(first, again);
        let opened = dir.open_at(FOLLOW, path, EXISTING, READ);
        assert!(matches!(opened, Op::Ready(_)), "{path}");
    }
    assert!(matches!(dir.create_directory_at("d"), Op::Pending(_)));
    let synced = DescriptorFlags::DATA_INTEGRITY_SYNC | WRITE;
    let file = open(&dir, "f", EXISTING, synced).unwrap();
    assert!(matches!(file.write_at(0, b"x"), Op::Pending(_)));
    let several = file.write_vectored_at(0, &[b"x", b"y"]);
    assert!(matches!(several, Op::Pending(_)));
    assert!(matches!(file.allocate(0, 9), Op::Pending(_)));
    assert!(matches!(file.sync(), Op::Pending(_)));
    // What the page cache takes or has is not waited for.
    let file = open(&dir, "f", EXISTING, BOTH).unwrap();
    let several = file.write_vectored_at(0, &[b"x", b"y"]);
    assert!(matches!(several, Op::Ready(Ok(2))));
    let several = file.append_vectored(&[b"x", b"y"]);
    assert!(matches!(several, Op::Ready(Ok(2))));
    let (mut a, mut b) = ([0; 1], [0; 1]);
    let several = file.read_vectored_at(0, &mut [&mut a, &mut b]);
    assert!(matches!(several, Op::Ready(Ok(2))));
}

#[test]
fn an_offloaded_write_goes_on_when_nobody_waits_for_it() {
    let (temp, dir) = directory(&modes()[1]);
    let synced = DescriptorFlags::FILE_INTEGRITY_SYNC | WRITE;
    let file = open(&dir, "f", CREATE, synced).unwrap();
    drop(file.write_at(0, b"abc"));
    drop(file);
    let start = Instant::now();
    while fs::read(temp.path().join("f")).unwrap() != b"abc" {
        assert!(start.elapsed() < Duration::from_secs(10), "never written");
        thread::yield_now();
    }
}

#[test]
fn offloaded_operations_work_inside_of_tokio_and_end_with_its_runtime() {
    for tokio in [
        tokio::runtime::Builder::new_current_thread().build(),
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .build(),
    ] {
        let tokio = tokio.unwrap();
        let (temp, dir) = directory(&Mode::Offload(tokio.handle().clone().into()));
        tokio.block_on(async {
            dir.create_directory_at("d").finish().await.unwrap();
            let mut entries = dir.read_directory().finish().await.unwrap();
            let entry = poll_fn(|cx| entries.poll_next(cx)).await.unwrap();
            assert_eq!(entry.unwrap().name, "d");
            let end = poll_fn(|cx| entries.poll_next(cx)).await;
            assert_eq!(end, Ok(None));
        });
        drop(tokio);
        assert_eq!(done(dir.create_directory_at("e")), Err(ErrorCode::Io));
        assert_eq!(entries(&dir).unwrap(), [Err(ErrorCode::Io)]);
        assert!(!temp.path().join("e").exists());
    }
}

#[test]
fn offloaded_what_is_on_the_disk_alone_is_read_whole_and_can_be_given_up() {
    let (_temp, dir) = directory(&modes()[1]);
    let file = open(&dir, "f", CREATE, BOTH).unwrap();
    let bytes: Vec<u8> = (0..300_000u32).map(|n| n as u8 ^ (n >> 8) as u8).collect();
    let mut written = 0;
    while written < bytes.len() {
        written += done(file.write_at(written as u64, &bytes[written..])).unwrap();
    }
    for _ in 0..20 {
        done(file.sync()).unwrap();
        done(file.advise(0, 0, Advice::DontNeed)).unwrap();
        let mut buf = vec![0; 100_000];
        drop(file.read_at(100_000, &mut buf));
        assert_eq!(read(&*file, 0, bytes.len() + 1).as_ref(), Ok(&bytes));
        done(file.advise(0, 0, Advice::DontNeed)).unwrap();
        let lengths = [0, 100_000, 5, 0, 250_000];
        assert_eq!(read_vectored(&*file, 0, &lengths).as_ref(), Ok(&bytes));
    }
}
