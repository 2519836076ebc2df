//! Reads and writes with several buffers, against plain bytes.

use crate::support::disk::Disk;
use crate::support::*;
use proptest::prelude::*;
use std::sync::Arc;

/// The opened file.
const OPENED: u64 = 4;

fn with_file(bytes: &[u8]) -> (Arc<Disk>, Guest) {
    let disk = Disk::new();
    disk.add("file", bytes);
    let mut guest = Guest::over(disk.clone());
    assert_eq!(guest.open(DIR, "file"), Ok(OPENED));
    disk.calls();
    (disk, guest)
}

fn numbered(len: usize) -> Vec<u8> {
    (0..len).map(|n| n as u8 ^ (n >> 8) as u8).collect()
}

/// Buffers one behind the other.
fn buffers(guest: &mut Guest, lengths: &[usize]) -> Vec<(u64, usize)> {
    lengths.iter().map(|&len| (guest.room(len), len)).collect()
}

#[test]
fn others_have_a_turn_after_64_mib_and_all_is_written() {
    const MIB: usize = 1 << 20;
    let (disk, mut guest) = with_file(b"");
    guest.memory.resize(2 * MIB, 7);
    let one = (MIB as u64, MIB);
    let [iovs, iovs_len] = guest.iovecs(&[one; 65]);
    let at = guest.room(4);
    let mut wait = guest.wait("fd_write", &[OPENED, iovs, iovs_len, at]);
    assert_eq!(disk.contents("file").len(), 64 * MIB);
    let (woken, waker) = waker();
    let answer = guest.poll(&mut wait, &waker);
    assert_eq!(answer, std::task::Poll::Pending, "a turn for others");
    assert_eq!(woken.times(), 1);
    let answer = guest.poll(&mut wait, &waker);
    assert_eq!(answer, std::task::Poll::Ready(Ok(Errno::Success)));
    assert_eq!(guest.u32(at) as usize, 65 * MIB);
    assert_eq!(guest.tell(OPENED), Ok(65 * MIB as u64));
}

#[test]
fn one_buffer_may_be_larger_than_a_step() {
    const MIB: usize = 1 << 20;
    let (disk, mut guest) = with_file(b"");
    guest.memory.resize(67 * MIB, 7);
    let [iovs, iovs_len] = guest.iovecs(&[(MIB as u64, 66 * MIB - 1)]);
    let at = guest.room(4);
    guest.ok("fd_write", &[OPENED, iovs, iovs_len, at]);
    assert_eq!(guest.u32(at) as usize, 66 * MIB - 1);
    assert_eq!(disk.calls().len(), 2);
}

#[test]
fn what_was_appended_counts_though_the_end_is_not_known() {
    let (disk, mut guest) = with_file(b"ab");
    guest.set_flags(OPENED, FdFlags::APPEND);
    disk.fail_after(1);
    assert_eq!(guest.write(OPENED, b"cd"), Ok(2));
    assert_eq!(disk.contents("file"), b"abcd");
    assert_eq!(guest.write(OPENED, b"ef"), Err(Errno::Io));
}

#[test]
fn many_empty_buffers_between_two_are_passed_over() {
    let (disk, mut guest) = with_file(b"abcdef");
    let (a, b) = (guest.room(3), guest.room(3));
    let mut bufs = vec![(0, 0); 5000];
    (bufs[0], bufs[4999]) = ((a, 3), (b, 3));
    let [iovs, iovs_len] = guest.iovecs(&bufs);
    let at = guest.room(4);
    guest.ok("fd_read", &[OPENED, iovs, iovs_len, at]);
    assert_eq!((guest.u32(at), guest.bytes(b, 3)), (6, &b"def"[..]));
    assert_eq!(disk.calls(), ["read 0 [3]", "read 3 [3]"]);
}

#[test]
fn eight_buffers_are_one_step_of_the_backend() {
    // Some lie side by side.
    let lengths = [8, 0, 5, 1, 8, 0, 7, 2, 16, 4];
    let total: usize = lengths.iter().sum();
    let full = lengths.map(|len| len.to_string());
    let full: Vec<_> = full.into_iter().filter(|len| len != "0").collect();
    let full = full.join(", ");
    for waits in [false, true] {
        let (disk, mut guest) = with_file(&numbered(200));
        disk.set_later(waits);
        let bufs = buffers(&mut guest, &lengths);
        let [iovs, iovs_len] = guest.iovecs(&bufs);
        let at = guest.room(4);
        guest.ok("fd_read", &[OPENED, iovs, iovs_len, at]);
        assert_eq!(guest.u32(at) as usize, total);
        assert_eq!(disk.calls(), [format!("read 0 [{full}]")], "waits: {waits}");
        guest.ok("fd_pread", &[OPENED, iovs, iovs_len, 9, at]);
        assert_eq!(disk.calls(), [format!("read 9 [{full}]")]);
        guest.ok("fd_pwrite", &[OPENED, iovs, iovs_len, 5, at]);
        assert_eq!(disk.calls(), [format!("write 5 [{full}]")]);
        guest.ok("fd_write", &[OPENED, iovs, iovs_len, at]);
        assert_eq!(disk.calls(), [format!("write {total} [{full}]")]);
        assert_eq!(guest.u32(at) as usize, total);
        guest.set_flags(OPENED, FdFlags::APPEND);
        guest.ok("fd_write", &[OPENED, iovs, iovs_len, at]);
        assert_eq!(disk.calls(), [format!("append 0 [{full}]"), "stat".into()]);
        assert_eq!(guest.tell(OPENED), Ok(200 + total as u64));
        guest.ok("fd_pwrite", &[OPENED, iovs, iovs_len, 5, at]);
        assert_eq!(disk.calls(), [format!("append 0 [{full}]")]);
    }
}

#[test]
fn no_bytes_ask_nothing_but_have_to_be_allowed() {
    let (disk, mut guest) = with_file(b"abc");
    let end = guest.memory.len() as u64;
    let at = guest.room(4);
    let empty = guest.iovecs(&[(u32::MAX.into(), 0), (end, 0), (0, 0)]);
    for [iovs, iovs_len] in [empty, [0xffff_fffc, 0], [0, 0]] {
        for function in ["fd_read", "fd_write"] {
            guest.set(at, &[1; 4]);
            guest.ok(function, &[OPENED, iovs, iovs_len, at]);
            assert_eq!(guest.u32(at), 0);
        }
        for function in ["fd_pread", "fd_pwrite"] {
            guest.ok(function, &[OPENED, iovs, iovs_len, u64::MAX, at]);
        }
    }
    assert_eq!(disk.calls(), [""; 0]);
    assert_eq!(guest.tell(OPENED), Ok(0));
    guest.narrow(OPENED, Rights::empty());
    assert_eq!(
        guest.errno("fd_read", &[OPENED, 0, 0, at]),
        Errno::Notcapable
    );
}

#[test]
fn a_record_or_buffer_that_is_not_in_the_memory_traps_before_anything_moves() {
    let (disk, mut guest) = with_file(b"abc");
    let end = guest.memory.len() as u64;
    let (at, good) = (guest.room(4), guest.room(8));
    let out = |at: u64, len: u64| Trap::OutOfBounds {
        at: at as u32,
        len,
        size: end,
    };
    for (bufs, at_fault, len) in [
        (&[(good, 8), (end - 7, 8)][..], end - 7, 8),
        (&[(good, 8), (end, 1)], end, 1),
        (&[(0xffff_ffff, 0xffff_ffff)], 0xffff_ffff, 0xffff_ffff),
        (&[(8, 0xffff_ffff)], 8, 0xffff_ffff),
    ] {
        let [iovs, iovs_len] = guest.iovecs(bufs);
        for function in ["fd_read", "fd_write"] {
            let answer = guest.call(function, &[OPENED, iovs, iovs_len, at]);
            assert_eq!(answer, Err(End::Trap(out(at_fault, len))), "{bufs:?}");
        }
    }
    for (iovs, iovs_len) in [
        (end - 8, 2),
        (8, 1 << 20),
        (0xffff_fff8, 1),
        (0xffff_fff8, 1 << 20),
    ] {
        let answer = guest.call("fd_read", &[OPENED, iovs, iovs_len, at]);
        assert_eq!(answer, Err(End::Trap(out(iovs, iovs_len * 8))));
    }
    // Too many for anybody.
    for iovs_len in [(1 << 20) + 1, 1 << 29, 0xffff_ffff] {
        let args = [OPENED, 8, iovs_len, at];
        assert_eq!(guest.errno("fd_read", &args), Errno::Inval);
        assert_eq!(guest.errno("fd_write", &args), Errno::Inval);
    }
    let [iovs, iovs_len] = guest.iovecs(&[(good, 8)]);
    for result in [end, end - 4 + 4, 0xffff_fffc] {
        let answer = guest.call("fd_read", &[OPENED, iovs, iovs_len, result]);
        assert_eq!(answer, Err(End::Trap(out(result, 4))));
    }
    assert_eq!(disk.calls(), [""; 0]);
    assert_eq!(guest.bytes(good, 8), [0; 8]);
}

#[test]
fn more_bytes_together_than_a_result_can_say_are_refused() {
    let (disk, mut guest) = with_file(b"abc");
    // Of zeros that nobody touches.
    guest.memory = vec![0; 64 << 20];
    let whole = guest.memory.len();
    let at = guest.room(4);
    for (n, errno) in [(63, Errno::Success), (64, Errno::Inval)] {
        let [iovs, iovs_len] = guest.iovecs(&vec![(0, whole); n]);
        disk.set_step(0);
        assert_eq!(
            guest.errno("fd_write", &[OPENED, iovs, iovs_len, at]),
            errno,
            "{n}"
        );
    }
}

#[test]
fn what_was_moved_before_an_error_counts_and_the_next_call_meets_it() {
    for waits in [false, true] {
        for (function, call) in [("fd_read", "read"), ("fd_write", "write")] {
            let (disk, mut guest) = with_file(&numbered(100));
            disk.set_later(waits);
            disk.set_step(5);
            disk.fail_after(2);
            let bufs = buffers(&mut guest, &[4, 4, 4, 4]);
            let [iovs, iovs_len] = guest.iovecs(&bufs);
            let at = guest.room(4);
            guest.ok(function, &[OPENED, iovs, iovs_len, at]);
            assert_eq!(guest.u32(at), 10);
            assert_eq!(guest.tell(OPENED), Ok(10));
            let calls = [
                format!("{call} 0 [4, 4, 4, 4]"),
                format!("{call} 5 [3, 4, 4]"),
                format!("{call} 10 [2, 4]"),
            ];
            assert_eq!(disk.calls(), calls);
            assert_eq!(
                guest.errno(function, &[OPENED, iovs, iovs_len, at]),
                Errno::Io
            );
            assert_eq!(guest.tell(OPENED), Ok(10));
        }
    }
}

#[test]
fn buffers_over_each_other_are_filled_one_after_the_other() {
    for waits in [false, true] {
        let (disk, mut guest) = with_file(b"abcdefghij");
        disk.set_later(waits);
        let buf = guest.room(16);
        let [iovs, iovs_len] = guest.iovecs(&[(buf, 4), (buf + 2, 4), (buf, 1), (buf + 8, 9)]);
        let at = guest.room(4);
        guest.ok("fd_read", &[OPENED, iovs, iovs_len, at]);
        assert_eq!(guest.u32(at), 10);
        // abcd, then efgh over its end, i over its start, and the rest apart.
        assert_eq!(guest.bytes(buf, 9), b"ibefgh\0\0j", "waits: {waits}");
    }
}

#[test]
fn records_that_a_read_overwrites_never_lead_out_of_the_memory() {
    for waits in [false, true] {
        // What is read makes each later record one that leads far out.
        let (disk, mut guest) = with_file(&[0xff; 4000]);
        disk.set_later(waits);
        disk.set_step(9);
        let at = guest.room(4);
        let records = guest.room(40 * 8);
        for n in 0..40 {
            let record = [records as u32 + 8 * n, 16].map(u32::to_le_bytes).concat();
            guest.set(records + 8 * u64::from(n), &record);
        }
        let answer = guest.call("fd_read", &[OPENED, records, 40, at]);
        assert!(
            matches!(answer, Err(End::Trap(Trap::OutOfBounds { .. }))),
            "{answer:?}"
        );
    }
}

#[test]
fn a_stream_is_written_whole_and_read_as_far_as_it_is_there() {
    let mut guest = Guest::new();
    let words = [&b"one "[..], b"", b"two ", b"three"].map(|word| (guest.put(word), word.len()));
    let [iovs, iovs_len] = guest.iovecs(&words);
    let at = guest.room(4);
    guest.ok("fd_write", &[STDOUT, iovs, iovs_len, at]);
    assert_eq!(guest.u32(at), 13);
    assert_eq!(guest.stdout.contents(), b"one two three");
    guest.feed(b"abcdefg");
    let bufs = buffers(&mut guest, &[2, 0, 3, 9]);
    let [iovs, iovs_len] = guest.iovecs(&bufs);
    guest.ok("fd_read", &[STDIN, iovs, iovs_len, at]);
    assert_eq!(guest.u32(at), 7);
    let read: Vec<_> = bufs
        .iter()
        .flat_map(|&(at, len)| guest.bytes(at, len))
        .copied()
        .collect();
    assert_eq!(read, b"abcdefg\0\0\0\0\0\0\0");
}

/// The model of a read: one buffer after the other, in the memory as it is.
fn scattered(memory: &mut [u8], bufs: &[(u64, usize)], bytes: &[u8]) -> usize {
    let mut rest = bytes;
    for &(at, len) in bufs {
        let (now, after) = rest.split_at(len.min(rest.len()));
        memory[at as usize..][..now.len()].copy_from_slice(now);
        rest = after;
    }
    bytes.len() - rest.len()
}

fn gathered(memory: &[u8], bufs: &[(u64, usize)]) -> Vec<u8> {
    let slices = bufs.iter().map(|&(at, len)| &memory[at as usize..][..len]);
    slices.collect::<Vec<_>>().concat()
}

/// Up to 40 buffers within 2,000 bytes: empty ones, in any order, over each other.
fn some_buffers() -> impl Strategy<Value = Vec<(u64, usize)>> {
    let len = prop_oneof![2 => Just(0), 5 => 0..40_usize, 1 => 0..400_usize];
    prop::collection::vec((0..1600_u64, len), 0..=40)
}

/// Up to 40 that are not.
fn apart() -> impl Strategy<Value = Vec<(u64, usize)>> {
    prop::collection::vec(0..50_usize, 0..=40).prop_flat_map(|lengths| {
        let mut at = 0;
        let place = |len| {
            let buf = (at, len);
            at += len as u64;
            buf
        };
        Just(lengths.into_iter().map(place).collect::<Vec<_>>()).prop_shuffle()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn reads_are_those_of_the_model(
        bufs in prop_oneof![some_buffers(), apart()],
        size in 0..1500_usize,
        offset in 0..200_u64,
        step in prop::option::of(1..300_usize),
        waits: bool,
        positioned: bool,
    ) {
        let contents = numbered(size);
        let (disk, mut guest) = with_file(&contents);
        guest.room(64);
        let base = guest.put(&vec![0xaa; 2000]);
        let bufs: Vec<_> = bufs.iter().map(|&(at, len)| (base + at, len)).collect();
        let [iovs, iovs_len] = guest.iovecs(&bufs);
        let nread = guest.room(4);
        disk.set_later(waits);
        step.into_iter().for_each(|step| disk.set_step(step));
        let mut model = guest.memory.clone();
        let from = contents.len().min(offset as usize);
        let n = scattered(&mut model, &bufs, &contents[from..]);
        model[nread as usize..][..4].copy_from_slice(&(n as u32).to_le_bytes());

        match positioned {
            true => guest.ok("fd_pread", &[OPENED, iovs, iovs_len, offset, nread]),
            false => {
                let at = guest.room(8);
                guest.ok("fd_seek", &[OPENED, offset, 0, at]);
                guest.set(at, &[0; 8]);
                guest.ok("fd_read", &[OPENED, iovs, iovs_len, nread]);
                prop_assert_eq!(guest.tell(OPENED), Ok(offset + n as u64));
                guest.set(at + 8, &[0; 8]);
            }
        }
        let len = base as usize + 2000;
        prop_assert_eq!(&guest.memory[..len], &model[..len]);
        prop_assert_eq!(guest.u32(nread) as usize, n);
    }

    #[test]
    fn writes_are_those_of_the_model(
        bufs in prop_oneof![some_buffers(), apart()],
        size in 0..300_usize,
        offset in 0..400_u64,
        step in prop::option::of(1..300_usize),
        waits: bool,
        how in 0..3,
    ) {
        let mut contents = numbered(size);
        let (disk, mut guest) = with_file(&contents);
        let base = guest.put(&numbered(2000));
        let bufs: Vec<_> = bufs.iter().map(|&(at, len)| (base + at, len)).collect();
        let [iovs, iovs_len] = guest.iovecs(&bufs);
        let nwritten = guest.room(4);
        disk.set_later(waits);
        step.into_iter().for_each(|step| disk.set_step(step));
        let bytes = gathered(&guest.memory, &bufs);
        let at = match how {
            0 => {
                guest.ok("fd_pwrite", &[OPENED, iovs, iovs_len, offset, nwritten]);
                offset as usize
            }
            1 => {
                prop_assert_eq!(guest.seek(OPENED, offset as i64, 0), Ok(offset));
                guest.ok("fd_write", &[OPENED, iovs, iovs_len, nwritten]);
                prop_assert_eq!(guest.tell(OPENED), Ok(offset + bytes.len() as u64));
                offset as usize
            }
            _ => {
                guest.set_flags(OPENED, FdFlags::APPEND);
                guest.ok("fd_write", &[OPENED, iovs, iovs_len, nwritten]);
                let end = match bytes.len() {
                    0 => 0,
                    n => (size + n) as u64,
                };
                prop_assert_eq!(guest.tell(OPENED), Ok(end));
                size
            }
        };
        prop_assert_eq!(guest.u32(nwritten) as usize, bytes.len());
        if !bytes.is_empty() {
            contents.resize(size.max(at + bytes.len()), 0);
            contents[at..at + bytes.len()].copy_from_slice(&bytes);
        }
        prop_assert_eq!(disk.contents("file"), contents);
    }
}
