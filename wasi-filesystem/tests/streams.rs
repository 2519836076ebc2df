//! Streams over files: nothing is lost, nothing is stale, nothing grows without bound.

mod support;

use core::task::{Context, Poll, Waker};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use support::{Disk, now, open};
use wasi_filesystem::{
    Descriptor, DescriptorFlags, DescriptorType, ErrorCode, OpenFlags, PathFlags,
    filesystem_error_code,
};
use wasi_io::{DynInputStream, DynOutputStream, Pollable, StreamError};

const READ: DescriptorFlags = DescriptorFlags::READ;
const WRITE: DescriptorFlags = DescriptorFlags::WRITE;

/// A disk with a file, and the file open for reading and writing.
fn file_of(bytes: &[u8]) -> (Arc<Disk>, Descriptor) {
    let disk = Disk::new();
    disk.add("file", bytes);
    let file = open(&Disk::root(disk.ctx()), "file", READ | WRITE);
    (disk, file)
}

fn input(file: &Descriptor, offset: u64) -> DynInputStream {
    DynInputStream::new(file.read_via_stream(offset).unwrap())
}

fn output(file: &Descriptor, offset: u64) -> DynOutputStream {
    DynOutputStream::new(file.write_via_stream(offset).unwrap())
}

fn is_ready(stream: &mut impl Pollable) -> bool {
    stream
        .poll_ready(&mut Context::from_waker(Waker::noop()))
        .is_ready()
}

/// Reads to the end, `step` bytes a time.
fn rest(stream: &mut DynInputStream, step: usize) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        match stream.read(step) {
            Ok(bytes) if bytes.is_empty() => panic!("nothing is there, and it is not the end"),
            Ok(bytes) => all.extend_from_slice(&bytes),
            Err(StreamError::Closed) => return all,
            Err(error) => panic!("{error}"),
        }
    }
}

#[track_caller]
fn code<T: core::fmt::Debug>(result: Result<T, StreamError>) -> ErrorCode {
    match result {
        Err(StreamError::LastOperationFailed(error)) => {
            filesystem_error_code(&error).expect("the code is found in the error")
        }
        other => panic!("it did not fail: {other:?}"),
    }
}

fn numbered(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i / 7 + i) as u8).collect()
}

#[test]
fn every_byte_comes_once_and_in_order_however_the_guest_and_the_backend_step() {
    let bytes = numbered(700_000);
    for guest in [1000, 4096, 10_000, 64 << 10, 1 << 20] {
        for backend in [0, 999, 5000] {
            for offset in [0, 1, 699_999, 700_000, 800_000] {
                let (disk, file) = file_of(&bytes);
                disk.step.store(backend, SeqCst);
                let read = rest(&mut input(&file, offset), guest);
                let expected = bytes.get(offset as usize..).unwrap_or_default();
                assert!(read == expected, "{guest} {backend} {offset}");
            }
        }
    }
}

#[test]
fn small_reads_in_order_ask_the_backend_less_and_less() {
    let (disk, file) = file_of(&numbered(1 << 20));
    rest(&mut input(&file, 0), 1000);
    let reads = disk.reads.load(SeqCst);
    assert!(
        reads < 15,
        "{reads} reads of the backend for 1,049 of the guest"
    );
}

#[test]
fn the_first_read_of_a_stream_reads_what_is_asked_for() {
    let (disk, file) = file_of(&numbered(1 << 20));
    for offset in [0, 5000, 70_000] {
        let read = input(&file, offset).read(10).unwrap();
        assert_eq!(read, numbered(1 << 20)[offset as usize..][..10]);
    }
    assert_eq!(disk.reads.load(SeqCst), 3);
}

#[test]
fn readiness_reads_ahead_and_loses_nothing() {
    let (disk, file) = file_of(b"0123456789");
    let mut stream = input(&file, 2);
    for _ in 0..3 {
        assert!(is_ready(&mut stream));
    }
    assert_eq!(disk.reads.load(SeqCst), 1);
    assert_eq!(stream.read(3).unwrap(), &b"234"[..]);
    assert_eq!(rest(&mut stream, 100), b"56789");
}

#[test]
fn streams_of_one_file_do_not_interfere() {
    let (_disk, file) = file_of(b"0123456789");
    let (mut a, mut b) = (input(&file, 0), input(&file, 5));
    assert_eq!(a.read(2).unwrap(), &b"01"[..]);
    assert_eq!(b.read(2).unwrap(), &b"56"[..]);
    assert_eq!(a.read(2).unwrap(), &b"23"[..]);
    drop(file);
    assert_eq!(
        b.read(9).unwrap(),
        &b"789"[..],
        "they outlive the descriptor"
    );
}

/// What a guest may do to the bytes `0123456789` after a stream at 0 read ahead of 2, and what
/// the stream has to give from there on.
type Change = (&'static str, fn(&Descriptor, &Descriptor), &'static [u8]);

#[test]
fn what_the_guest_writes_is_seen_by_a_stream_that_read_ahead() {
    const CHANGES: &[Change] = &[
        ("nothing", |_, _| {}, b"23456789"),
        (
            "write",
            |_, file| {
                now(file.write(b"xy", 4)).unwrap();
            },
            b"23xy6789",
        ),
        (
            "write through another name",
            |dir, _| {
                now(open(dir, "alias", WRITE).write(b"xy", 4)).unwrap();
            },
            b"23xy6789",
        ),
        (
            "append",
            |_, file| {
                now(file.append(b"xy")).unwrap();
            },
            b"23456789xy",
        ),
        (
            "write of several buffers",
            |_, file| {
                now(file.write_vectored(&[b"x", b"", b"y"], 4)).unwrap();
            },
            b"23xy6789",
        ),
        (
            "append of several buffers",
            |_, file| {
                now(file.append_vectored(&[b"x", b"y"])).unwrap();
            },
            b"23456789xy",
        ),
        (
            "allocate",
            |_, file| now(file.allocate(5, 7)).unwrap(),
            b"23456789\0\0",
        ),
        (
            "set-size down",
            |_, file| now(file.set_size(4)).unwrap(),
            b"23",
        ),
        (
            "set-size up",
            |_, file| now(file.set_size(11)).unwrap(),
            b"23456789\0",
        ),
        (
            "open-at with truncate",
            |dir, _| {
                let path_flags = PathFlags::empty();
                now(dir.open_at(path_flags, "alias", OpenFlags::TRUNCATE, WRITE)).unwrap();
            },
            b"",
        ),
        (
            "write-via-stream",
            |_, file| {
                let mut stream = output(file, 3);
                stream.check_write().unwrap();
                stream.write(b"xy").unwrap().unwrap();
            },
            b"2xy56789",
        ),
        (
            "append-via-stream",
            |_, file| {
                let mut stream = DynOutputStream::new(file.append_via_stream().unwrap());
                stream.check_write().unwrap();
                stream.write(b"xy").unwrap().unwrap();
            },
            b"23456789xy",
        ),
    ];
    for stat_later in [false, true] {
        for (name, change, expected) in CHANGES {
            let disk = Disk::new();
            disk.add("file", b"0123456789");
            disk.link("file", "alias");
            // A backend that does not say at once which file it is must not matter.
            disk.stat_later.store(stat_later, SeqCst);
            let dir = Disk::root(disk.ctx());
            let file = open(&dir, "file", READ | WRITE);
            let mut stream = input(&file, 0);
            assert!(is_ready(&mut stream));
            assert_eq!(stream.read(2).unwrap(), &b"01"[..]);
            change(&dir, &file);
            let read = rest(&mut stream, 100);
            assert_eq!(read, *expected, "{name}, stat later: {stat_later}");
        }
    }
}

#[test]
fn a_write_is_seen_though_only_one_side_knows_which_file_it_is() {
    for (reader_knows, writer_knows) in [(true, false), (false, true)] {
        let disk = Disk::new();
        disk.add("file", b"0123");
        disk.link("file", "alias");
        let dir = Disk::root(disk.ctx());
        let (file, alias) = (open(&dir, "file", READ), open(&dir, "alias", WRITE));
        let mut stream = input(&file, 0);
        disk.stat_later.store(!reader_knows, SeqCst);
        assert!(is_ready(&mut stream));
        disk.stat_later.store(!writer_knows, SeqCst);
        now(alias.write(b"xy", 1)).unwrap();
        assert_eq!(rest(&mut stream, 100), b"0xy3");
    }
}

/// What then is behind an end at 2, and what wrote it.
type Extension = (&'static [u8], fn(&Descriptor));

#[test]
fn an_end_that_was_seen_ahead_is_none_after_a_write() {
    const EXTENSIONS: &[Extension] = &[
        (b"23", |file| assert_eq!(now(file.append(b"23")), Ok(2))),
        (b"23", |file| {
            assert_eq!(now(file.append_vectored(&[b"2", b"3"])), Ok(2));
        }),
        (b"23", |file| {
            assert_eq!(now(file.write_vectored(&[b"2", b"3"], 2)), Ok(2));
        }),
        (b"\0\0", |file| assert_eq!(now(file.allocate(1, 3)), Ok(()))),
    ];
    for (expected, extend) in EXTENSIONS {
        let (_disk, file) = file_of(b"01");
        let mut stream = input(&file, 0);
        assert_eq!(stream.read(2).unwrap(), &b"01"[..]);
        assert!(is_ready(&mut stream));
        extend(&file);
        assert_eq!(rest(&mut stream, 100), *expected);
    }
}

#[test]
fn a_write_to_one_file_does_not_make_a_stream_of_another_read_again() {
    let disk = Disk::new();
    // The numbers that the disk gives these two share no count.
    disk.add("file", &numbered(5000));
    disk.add("other", b"");
    let dir = Disk::root(disk.ctx());
    let (file, other) = (open(&dir, "file", READ), open(&dir, "other", WRITE));
    let mut stream = input(&file, 0);
    assert!(is_ready(&mut stream));
    now(other.write(b"1", 0)).unwrap();
    assert_eq!(rest(&mut stream, 1000), numbered(5000));
    assert_eq!(disk.reads.load(SeqCst), 2, "the bytes, and the end");
}

#[test]
fn a_read_that_has_to_wait_ends_when_the_backend_has_it() {
    let (disk, file) = file_of(&numbered(100_000));
    disk.later.store(true, SeqCst);
    let mut stream = input(&file, 0);
    assert_eq!(
        stream.read(10).unwrap(),
        &b""[..],
        "not yet, and not the end"
    );
    assert!(!is_ready(&mut stream));
    assert_eq!(disk.proceed(), 1, "one read, however often it is asked for");
    assert!(is_ready(&mut stream));
    let mut all = stream.read(10).unwrap().to_vec();
    all.extend(drain(&disk, &mut stream));
    assert_eq!(all, numbered(100_000));
}

/// Reads to the end, doing what waits as often as needed.
fn drain(disk: &Disk, stream: &mut DynInputStream) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        match stream.read(1000) {
            Ok(bytes) => all.extend_from_slice(&bytes),
            Err(StreamError::Closed) => return all,
            Err(error) => panic!("{error}"),
        }
        disk.proceed();
    }
}

#[test]
fn a_read_under_way_is_given_up_for_one_that_sees_the_guest_s_write() {
    let (disk, file) = file_of(b"0123");
    let mut stream = input(&file, 0);
    disk.later.store(true, SeqCst);
    assert!(!is_ready(&mut stream));
    disk.proceed();
    disk.later.store(false, SeqCst);
    now(file.write(b"ab", 0)).unwrap();
    assert_eq!(rest(&mut stream, 100), b"ab23");
}

#[test]
fn a_write_that_had_to_wait_is_seen_once_it_has_ended() {
    let (disk, file) = file_of(b"0123");
    disk.later.store(true, SeqCst);
    let mut stream = output(&file, 0);
    stream.check_write().unwrap();
    stream.write(b"ab").unwrap().unwrap();
    disk.later.store(false, SeqCst);
    let mut reads = input(&file, 0);
    assert!(is_ready(&mut reads), "and it has the old bytes");
    disk.proceed();
    assert!(is_ready(&mut stream));
    assert_eq!(rest(&mut reads, 100), b"ab23");

    disk.later.store(true, SeqCst);
    let wasi_io::Op::Pending(write) = file.write(b"cd", 0) else {
        panic!("it waits");
    };
    disk.later.store(false, SeqCst);
    let mut reads = input(&file, 0);
    assert!(is_ready(&mut reads));
    disk.proceed();
    assert_eq!(pollster::block_on(write), Ok(2));
    assert_eq!(rest(&mut reads, 100), b"cd23");
}

#[test]
fn a_failed_read_has_its_code_in_the_stream_s_error_and_then_it_is_closed() {
    for ahead in [false, true] {
        let (disk, file) = file_of(b"0123");
        let mut stream = input(&file, 0);
        *disk.fails.lock().unwrap() = Some(ErrorCode::NoDevice);
        if ahead {
            assert!(is_ready(&mut stream));
        }
        assert_eq!(code(stream.read(1)), ErrorCode::NoDevice);
        *disk.fails.lock().unwrap() = None;
        assert!(matches!(stream.read(1), Err(StreamError::Closed)));
    }
}

#[test]
fn offsets_up_to_the_last_one_are_errors_and_never_overflow() {
    let (_disk, file) = file_of(b"0123");
    for offset in [1 << 40, i64::MAX as u64] {
        assert!(matches!(
            input(&file, offset).read(9),
            Err(StreamError::Closed)
        ));
        assert_eq!(now(file.read(9, offset)), Ok((vec![], true)));
    }
    for offset in [1 << 63, u64::MAX - 1, u64::MAX] {
        assert_eq!(code(input(&file, offset).read(9)), ErrorCode::Invalid);
        assert_eq!(code(input(&file, offset).skip(9)), ErrorCode::Invalid);
        assert_eq!(now(file.read(9, offset)), Err(ErrorCode::Invalid));
        let mut stream = output(&file, offset);
        stream.check_write().unwrap();
        assert_eq!(code(stream.write(b"12").unwrap()), ErrorCode::FileTooLarge);
        assert_eq!(now(file.write(b"12", offset)), Err(ErrorCode::FileTooLarge));
    }
}

#[test]
fn skipping_a_file_reads_nothing_and_ends_where_the_file_does() {
    let (disk, file) = file_of(&numbered(100_000));
    let mut stream = input(&file, 10);
    assert_eq!(stream.skip(50_000).unwrap(), 50_000);
    assert_eq!(stream.skip(40_000).unwrap(), 40_000);
    assert_eq!(disk.reads.load(SeqCst), 0);
    assert_eq!(stream.read(5).unwrap(), numbered(100_000)[90_010..90_015]);
    assert_eq!(stream.skip(50_000).unwrap(), 100_000 - 90_015);
    assert!(matches!(stream.skip(1), Err(StreamError::Closed)));
}

#[test]
fn skipping_what_has_no_size_or_was_read_ahead_drops_bytes() {
    let disk = Disk::new();
    disk.add_kind("device", DescriptorType::CharacterDevice, b"0123456789");
    disk.add("file", b"0123456789");
    let dir = Disk::root(disk.ctx());
    for name in ["device", "file"] {
        let mut stream = input(&open(&dir, name, READ), 0);
        assert!(is_ready(&mut stream));
        assert_eq!(stream.skip(4).unwrap(), 4);
        assert_eq!(rest(&mut stream, 100), b"456789", "{name}");
    }
    let mut stream = input(&open(&dir, "device", READ), 0);
    assert_eq!(stream.skip(100).unwrap(), 10);
}

#[test]
fn what_the_backend_does_at_once_is_done_when_write_returns() {
    for step in [0, 1, 3] {
        let (disk, file) = file_of(b"0123456789");
        disk.step.store(step, SeqCst);
        let mut stream = output(&file, 2);
        assert!(stream.check_write().unwrap() >= 64 << 10);
        stream.write(b"abcd").unwrap().unwrap();
        stream.write(b"ef").unwrap().unwrap();
        assert_eq!(disk.contents("file"), b"01abcdef89", "in steps of {step}");
        let mut stream = DynOutputStream::new(file.append_via_stream().unwrap());
        stream.check_write().unwrap();
        stream.write(b"gh").unwrap().unwrap();
        now(file.append(b"i")).unwrap();
        stream.write(b"j").unwrap().unwrap();
        assert_eq!(disk.contents("file").last(), Some(&b'j'));
    }
}

#[test]
fn a_write_that_has_to_wait_holds_back_the_permit_until_all_is_written() {
    for (step, steps) in [(0, 2), (2, 3)] {
        let (disk, file) = file_of(b"0123456789");
        disk.later.store(true, SeqCst);
        disk.step.store(step, SeqCst);
        let mut stream = output(&file, 1);
        stream.check_write().unwrap();
        stream.write_bytes("abc".into()).unwrap().unwrap();
        // Within the same permit: it must be taken, and come after.
        stream.write(b"de").unwrap().unwrap();
        stream.flush().unwrap();
        let mut proceeded = 0;
        while !is_ready(&mut stream) {
            assert_eq!(stream.check_write().unwrap(), 0);
            assert_eq!(disk.proceed(), 1);
            proceeded += 1;
        }
        assert_eq!(proceeded, steps, "in steps of {step}");
        assert_eq!(disk.contents("file"), b"0abcde6789");
        assert!(stream.check_write().unwrap() > 0);
    }
}

#[test]
fn a_write_that_waits_and_does_not_by_turns_is_whole_and_in_order() {
    let (disk, file) = file_of(b"");
    for step in [1, 2, 3] {
        disk.step.store(step, SeqCst);
        for mut stream in [
            output(&file, 0),
            DynOutputStream::new(file.append_via_stream().unwrap()),
        ] {
            disk.by_turns.store(false, SeqCst);
            disk.later.store(false, SeqCst);
            now(file.set_size(0)).unwrap();
            disk.by_turns.store(true, SeqCst);
            stream.check_write().unwrap();
            stream.write(b"0123").unwrap().unwrap();
            stream.write_bytes("45678".into()).unwrap().unwrap();
            while !is_ready(&mut stream) {
                disk.proceed();
            }
            assert_eq!(disk.contents("file"), b"012345678", "in steps of {step}");
        }
    }
}

#[test]
fn a_blocking_flush_ends_when_the_bytes_are_with_the_backend() {
    let (disk, file) = file_of(b"");
    disk.later.store(true, SeqCst);
    let mut stream = output(&file, 0);
    stream.check_write().unwrap();
    stream.write(b"abc").unwrap().unwrap();
    stream.flush().unwrap();
    let mut cx = Context::from_waker(Waker::noop());
    assert!(stream.poll_flushed(&mut cx).is_pending());
    disk.proceed();
    assert!(matches!(stream.poll_flushed(&mut cx), Poll::Ready(Ok(()))));
    assert_eq!(disk.contents("file"), b"abc");
}

#[test]
fn a_failed_write_is_told_with_its_code_at_once_or_at_the_next_call() {
    let (disk, file) = file_of(b"");
    let mut stream = output(&file, 0);
    stream.check_write().unwrap();
    *disk.fails.lock().unwrap() = Some(ErrorCode::InsufficientSpace);
    assert_eq!(
        code(stream.write(b"a").unwrap()),
        ErrorCode::InsufficientSpace
    );
    assert!(matches!(stream.check_write(), Err(StreamError::Closed)));

    *disk.fails.lock().unwrap() = None;
    for by_readiness in [false, true] {
        disk.later.store(true, SeqCst);
        // Fails only when it is done.
        let mut stream = output(&file, u64::MAX);
        stream.check_write().unwrap();
        stream.write(b"a").unwrap().unwrap();
        disk.proceed();
        if by_readiness {
            assert!(is_ready(&mut stream));
        }
        assert_eq!(code(stream.check_write()), ErrorCode::FileTooLarge);
        assert!(matches!(stream.check_write(), Err(StreamError::Closed)));
    }
}

#[test]
fn a_write_under_way_goes_on_when_its_stream_is_dropped() {
    let (disk, file) = file_of(b"");
    disk.later.store(true, SeqCst);
    let mut stream = output(&file, 0);
    stream.check_write().unwrap();
    stream.write(b"abc").unwrap().unwrap();
    drop(stream);
    assert_eq!(disk.proceed(), 1);
    assert_eq!(disk.contents("file"), b"abc");
}

#[derive(Default)]
struct Woken(std::sync::atomic::AtomicUsize);

impl std::task::Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
fn every_task_that_waits_for_a_stream_is_woken() {
    let (disk, file) = file_of(b"0123");
    disk.later.store(true, SeqCst);
    let (mut reads, mut writes) = (input(&file, 0), output(&file, 0));
    writes.check_write().unwrap();
    writes.write(b"a").unwrap().unwrap();
    let tasks = [(); 2].map(|()| Arc::new(Woken::default()));
    for task in &tasks {
        let waker = Waker::from(task.clone());
        let mut cx = Context::from_waker(&waker);
        assert!(reads.poll_ready(&mut cx).is_pending());
        assert!(writes.poll_ready(&mut cx).is_pending());
    }
    // Who only looks must not take the wake-up from who waits.
    assert_eq!(writes.check_write().unwrap(), 0);
    assert_eq!(reads.read(1).unwrap(), &b""[..]);
    disk.proceed();
    for task in &tasks {
        assert_eq!(task.0.load(SeqCst), 2);
    }
    assert!(is_ready(&mut reads) && is_ready(&mut writes));
}
