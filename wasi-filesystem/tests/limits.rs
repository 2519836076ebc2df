//! What a guest may make the host hold.

mod support;

use core::task::{Context, Waker};
use std::sync::atomic::Ordering::SeqCst;
use support::{Disk, now, open};
use wasi_filesystem::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};
use wasi_io::{DynInputStream, DynOutputStream, Op, Pollable};

const READ: DescriptorFlags = DescriptorFlags::READ;
const BOTH: DescriptorFlags = DescriptorFlags::READ.union(DescriptorFlags::WRITE);

fn try_open(dir: &Descriptor, name: &str) -> Result<Descriptor, ErrorCode> {
    now(dir.open_at(PathFlags::empty(), name, OpenFlags::empty(), BOTH))
}

#[test]
fn a_file_counts_until_its_descriptor_and_all_of_its_streams_are_dropped() {
    let disk = Disk::new();
    disk.add("file", b"0123");
    let dir = Disk::root(disk.ctx().max_descriptors(2));
    let a = try_open(&dir, "file").unwrap();
    let b = try_open(&dir, "file").unwrap();
    let full = || try_open(&dir, "file").map(drop);
    assert_eq!(full(), Err(ErrorCode::InsufficientMemory));
    let (reads, writes) = (
        a.read_via_stream(0).unwrap(),
        a.append_via_stream().unwrap(),
    );
    drop(a);
    assert_eq!(full(), Err(ErrorCode::InsufficientMemory));
    drop(reads);
    assert_eq!(full(), Err(ErrorCode::InsufficientMemory));
    drop(writes);
    assert_eq!(full(), Ok(()));
    drop(b);
}

#[test]
fn what_could_not_be_opened_or_is_given_up_does_not_count() {
    let disk = Disk::new();
    disk.add("file", b"");
    let dir = Disk::root(disk.ctx().max_descriptors(1));
    for _ in 0..3 {
        assert_eq!(try_open(&dir, "none").err(), Some(ErrorCode::NoEntry));
        assert_eq!(try_open(&dir, ".").err(), Some(ErrorCode::IsDirectory));
        disk.later.store(true, SeqCst);
        let opening = dir.open_at(PathFlags::empty(), "file", OpenFlags::empty(), READ);
        assert!(matches!(opening, Op::Pending(_)));
        assert_eq!(
            now(dir.open_at(PathFlags::empty(), "file", OpenFlags::empty(), READ)).err(),
            Some(ErrorCode::InsufficientMemory),
            "it counts while it is being opened"
        );
        drop(opening);
        disk.later.store(false, SeqCst);
    }
    try_open(&dir, "file").unwrap();
}

#[test]
fn preopened_directories_are_not_counted() {
    let disk = Disk::new();
    disk.add("file", b"");
    let mut ctx = disk.ctx().max_descriptors(1);
    let all: Vec<_> = (0..9).flat_map(|_| ctx.get_directories()).collect();
    let _file = try_open(&all[0].0, "file").unwrap();
    assert_eq!(
        try_open(&all[8].0, "file").err(),
        Some(ErrorCode::InsufficientMemory),
        "but they share one count"
    );
}

#[test]
fn listings_are_counted() {
    let disk = Disk::new();
    let dir = Disk::root(disk.ctx().max_listings(1));
    let listing = now(dir.read_directory()).unwrap();
    assert_eq!(
        now(dir.read_directory()).map(drop),
        Err(ErrorCode::InsufficientMemory)
    );
    drop(listing);
    now(dir.read_directory()).unwrap();
}

#[test]
fn a_read_gives_no_more_than_it_may_and_says_where_the_end_is() {
    let disk = Disk::new();
    disk.add("file", b"0123456789");
    disk.add_kind("device", wasi_filesystem::DescriptorType::Fifo, b"01");
    let dir = Disk::root(disk.ctx().max_read(4));
    let (file, device) = (open(&dir, "file", READ), open(&dir, "device", READ));
    for (length, offset, bytes, end) in [
        (u64::MAX, 0, &b"0123"[..], false),
        (3, 0, b"012", false),
        (0, 0, b"", false),
        (4, 6, b"6789", false),
        (4, 7, b"789", true),
        (4, 10, b"", true),
        (4, 99, b"", true),
    ] {
        let read = now(file.read(length, offset)).unwrap();
        assert_eq!((&read.0[..], read.1), (bytes, end), "{length} {offset}");
    }
    // Whose end is not where nothing more is there now.
    assert_eq!(now(device.read(4, 0)), Ok((b"01".to_vec(), false)));
    disk.step.store(1, SeqCst);
    assert_eq!(now(file.read(4, 7)), Ok((b"789".to_vec(), true)));
    let mut buf = [0; 4];
    let Op::Ready(read) = file.read_at(0, &mut buf) else {
        panic!("it is done at once");
    };
    assert_eq!(read, Ok(1), "as the backend steps");

    disk.later.store(true, SeqCst);
    disk.step.store(0, SeqCst);
    for (offset, bytes, end) in [(8, &b"89"[..], false), (10, b"", true)] {
        let Op::Pending(read) = file.read(4, offset) else {
            panic!("it waits");
        };
        disk.proceed();
        assert_eq!(pollster::block_on(read), Ok((bytes.to_vec(), end)));
    }
}

#[test]
fn without_room_for_buffers_streams_take_small_steps_and_work() {
    let bytes: Vec<u8> = (0..50_000).map(|i| i as u8).collect();
    for (room, permit) in [(0, 4096), (65_535, 4096), (65_536, 65_536)] {
        for later in [false, true] {
            let disk = Disk::new();
            disk.add("file", &bytes);
            disk.add("copy", b"");
            let dir = Disk::root(disk.ctx().max_buffered(room));
            let copy = open(&dir, "copy", BOTH);
            let mut writes = DynOutputStream::new(copy.append_via_stream().unwrap());
            let file = open(&dir, "file", READ);
            let mut reads = DynInputStream::new(file.read_via_stream(0).unwrap());
            disk.later.store(later, SeqCst);
            assert_eq!(writes.check_write().unwrap(), permit);
            let mut cx = Context::from_waker(Waker::noop());
            while disk.contents("copy").len() < bytes.len() {
                // Read ahead, so that it needs room.
                while reads.poll_ready(&mut cx).is_pending() {
                    disk.proceed();
                }
                writes.splice(&mut reads, 1 << 20).unwrap();
                disk.proceed();
            }
            assert!(disk.contents("copy") == bytes, "{room} {later}");
        }
    }
}

#[test]
fn the_room_that_a_stream_took_is_given_back_with_it() {
    let disk = Disk::new();
    disk.add("file", &[1; 500_000]);
    let dir = Disk::root(disk.ctx().max_buffered(64 << 10));
    let file = open(&dir, "file", BOTH);
    let permit = || {
        let mut writes = DynOutputStream::new(file.write_via_stream(0).unwrap());
        writes.check_write().unwrap()
    };
    for later in [false, true] {
        for read in [1, 100_000, 500_000] {
            let mut reads = DynInputStream::new(file.read_via_stream(0).unwrap());
            let mut cx = Context::from_waker(Waker::noop());
            let mut done = 0;
            while done < read {
                disk.later.store(later, SeqCst);
                match reads.poll_ready(&mut cx).is_ready() {
                    true => done += reads.read(5000).unwrap().len(),
                    false => assert!(disk.proceed() > 0),
                }
            }
            disk.later.store(later, SeqCst);
            let _ = reads.poll_ready(&mut cx);
            assert_eq!(permit(), 4096, "the stream has room that others lack");
            drop(reads);
            disk.proceed();
            assert_eq!(permit(), 64 << 10, "later: {later}, after {read}");
        }
    }
}
