//! Files, directories and descriptors as a whole: positions, sizes, times, and the table.

use crate::support::disk::Disk;
use crate::support::*;
use std::sync::Arc;
use std::time::{Duration as StdDuration, SystemTime};
use wasi_filesystem::os::{Mode, OsDirectory};
use wasi_io::os::Runtime;

const SET: u64 = 0;
const CUR: u64 = 1;
const END: u64 = 2;

/// Device, number, type, names, size, and the three times.
type Stat = [u64; 8];

fn stat(guest: &mut Guest, fd: u64) -> Stat {
    let at = guest.put(&[0xaa; 64]);
    guest.ok("fd_filestat_get", &[fd, at]);
    core::array::from_fn(|n| guest.u64(at + 8 * n as u64))
}

fn stat_at(guest: &mut Guest, flags: u64, path: &str) -> Stat {
    let [path, path_len] = guest.path(path);
    let at = guest.put(&[0xaa; 64]);
    guest.ok("path_filestat_get", &[DIR, flags, path, path_len, at]);
    core::array::from_fn(|n| guest.u64(at + 8 * n as u64))
}

fn pread(guest: &mut Guest, fd: u64, len: usize, offset: u64) -> Vec<u8> {
    let buf = guest.room(len);
    let [iovs, iovs_len] = guest.iovecs(&[(buf, len)]);
    let at = guest.room(4);
    guest.ok("fd_pread", &[fd, iovs, iovs_len, offset, at]);
    guest.bytes(buf, guest.u32(at) as usize).to_vec()
}

fn pwrite(guest: &mut Guest, fd: u64, bytes: &[u8], offset: u64) -> usize {
    let buf = guest.put(bytes);
    let [iovs, iovs_len] = guest.iovecs(&[(buf, bytes.len())]);
    let at = guest.room(4);
    guest.ok("fd_pwrite", &[fd, iovs, iovs_len, offset, at]);
    guest.u32(at) as usize
}

/// The same for each backend: [`DIR`] has `file`, opened as the next number, with
/// [`CONTENTS`].
fn on_each_backend(test: impl Fn(&mut Guest, u64)) {
    test(&mut Guest::new(), FILE);
    let later = Disk::new();
    later.add("file", CONTENTS);
    let mut guest = Guest::over(later.clone());
    later.set_later(true);
    let fd = guest.open(DIR, "file").unwrap();
    test(&mut guest, fd);
    on_this_machine(test);
}

fn on_this_machine(test: impl Fn(&mut Guest, u64)) {
    for mode in [Mode::Inline, Mode::Offload(Runtime::current())] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), CONTENTS).unwrap();
        let directory = OsDirectory::open_ambient(dir.path(), mode).unwrap();
        let mut guest = Guest::over(Arc::new(directory));
        let fd = guest.open(DIR, "file").unwrap();
        test(&mut guest, fd);
    }
}

#[test]
fn the_position_moves_by_what_is_read_written_and_sought() {
    on_each_backend(|guest, fd| {
        assert_eq!(guest.tell(fd), Ok(0));
        assert_eq!(guest.read(fd, 5).unwrap(), b"hello");
        assert_eq!(guest.tell(fd), Ok(5));
        assert_eq!(guest.seek(fd, 0, CUR), Ok(5));
        assert_eq!(guest.seek(fd, -4, CUR), Ok(1));
        assert_eq!(guest.seek(fd, -5, END), Ok(7));
        assert_eq!(guest.read(fd, 99).unwrap(), b"world");
        assert_eq!(guest.read(fd, 99).unwrap(), b"");
        assert_eq!(guest.seek(fd, 3, SET), Ok(3));
        assert_eq!(guest.write(fd, b"LO"), Ok(2));
        assert_eq!(guest.tell(fd), Ok(5));
        assert_eq!(pread(guest, fd, 5, 0), b"helLO");
        assert_eq!(pwrite(guest, fd, b"J", 0), 1);
        assert_eq!(guest.tell(fd), Ok(5), "what has an offset moves nothing");
        // Behind the end, zeros come between.
        assert_eq!(guest.seek(fd, 2, END), Ok(14));
        assert_eq!(guest.read(fd, 9).unwrap(), b"");
        assert_eq!(guest.write(fd, b"!"), Ok(1));
        assert_eq!(pread(guest, fd, 99, 0), b"JelLO, world\0\0!");
    });
}

#[test]
fn a_seek_that_fails_moves_nothing() {
    on_each_backend(|guest, fd| {
        guest.seek(fd, 5, SET).unwrap();
        for (offset, whence, errno) in [
            (-1, SET, Errno::Inval),
            (-6, CUR, Errno::Inval),
            (-13, END, Errno::Inval),
            (i64::MIN, SET, Errno::Inval),
            (i64::MIN, CUR, Errno::Inval),
            (i64::MIN, END, Errno::Inval),
            (i64::MAX, CUR, Errno::Overflow),
            (i64::MAX, END, Errno::Overflow),
            (0, 3, Errno::Inval),
            (0, 1 << 31, Errno::Inval),
        ] {
            assert_eq!(
                guest.seek(fd, offset, whence),
                Err(errno),
                "{offset} {whence}"
            );
            assert_eq!(guest.tell(fd), Ok(5));
        }
        // A result that has no place.
        for whence in [SET, CUR, END] {
            let answer = guest.call("fd_seek", &[fd, 1, whence, 0xffff_fff8]);
            assert!(matches!(answer, Err(End::Trap(_))));
            assert_eq!(guest.tell(fd), Ok(5));
        }
        assert_eq!(guest.seek(fd, i64::MAX, SET), Ok(i64::MAX as u64));
        assert_eq!(guest.seek(fd, 1, CUR), Err(Errno::Overflow));
        assert_eq!(guest.seek(fd, i64::MIN + 1, CUR), Ok(0));
    });
}

#[test]
fn each_descriptor_has_a_position_of_its_own() {
    let mut guest = Guest::new();
    let again = guest.open(DIR, "file").unwrap();
    guest.read(FILE, 5).unwrap();
    assert_eq!(guest.read(again, 2).unwrap(), b"he");
    assert_eq!((guest.tell(FILE), guest.tell(again)), (Ok(5), Ok(2)));
    // And sees what others write.
    guest.write(FILE, b"XX").unwrap();
    guest.seek(again, 5, SET).unwrap();
    assert_eq!(guest.read(again, 2).unwrap(), b"XX");
}

#[test]
fn what_appends_goes_to_the_end_wherever_that_is() {
    on_each_backend(|guest, fd| {
        guest.set_flags(fd, FdFlags::APPEND);
        assert_eq!(guest.write(fd, b""), Ok(0));
        assert_eq!(guest.tell(fd), Ok(0), "nothing was appended");
        assert_eq!(guest.write(fd, b"ab"), Ok(2));
        assert_eq!(guest.tell(fd), Ok(14));
        // Somebody else makes it longer.
        pwrite(guest, fd, b"cd", 0);
        assert_eq!(guest.tell(fd), Ok(14), "what has an offset moves nothing");
        guest.seek(fd, 1, SET).unwrap();
        assert_eq!(
            guest.read(fd, 3).unwrap(),
            b"ell",
            "reading is not at the end"
        );
        assert_eq!(guest.write(fd, b"ef"), Ok(2));
        assert_eq!(guest.tell(fd), Ok(18));
        assert_eq!(pread(guest, fd, 99, 0), b"hello, worldabcdef");
        guest.set_flags(fd, FdFlags::empty());
        guest.seek(fd, 0, SET).unwrap();
        assert_eq!(guest.write(fd, b"J"), Ok(1));
        assert_eq!(pread(guest, fd, 3, 0), b"Jel");
    });
    let mut guest = Guest::new();
    let fd = guest
        .open_with(DIR, "file", OFlags::empty(), FdFlags::APPEND)
        .unwrap();
    guest.write(fd, b"!").unwrap();
    assert_eq!(guest.fs.read_file("file").unwrap(), b"hello, world!");
    let at = guest.room(24);
    guest.ok("fd_fdstat_get", &[fd, at]);
    assert_eq!(guest.u16(at + 2), 1);
}

#[test]
fn flags_are_those_that_were_set_last() {
    let mut guest = Guest::new();
    let at = guest.room(24);
    for flags in [5, 4, 1, 0] {
        guest.ok("fd_fdstat_set_flags", &[FILE, flags]);
        guest.ok("fd_fdstat_get", &[FILE, at]);
        assert_eq!(u64::from(guest.u16(at + 2)), flags);
    }
    // How durable writes are stays as it was opened.
    let durable = FdFlags::DSYNC | FdFlags::RSYNC | FdFlags::SYNC;
    let fd = guest
        .open_with(DIR, "file", OFlags::empty(), durable)
        .unwrap();
    guest.set_flags(fd, durable | FdFlags::APPEND);
    let errno = guest.errno("fd_fdstat_set_flags", &[fd, 1]);
    assert_eq!(errno, Errno::Notsup);
    guest.ok("fd_fdstat_get", &[fd, at]);
    assert_eq!(guest.u16(at + 2), (durable | FdFlags::APPEND).bits());
}

#[test]
fn sizes_are_set_and_room_is_made() {
    sizes(&mut Guest::new(), FILE);
    on_this_machine(sizes);
}

fn sizes(guest: &mut Guest, fd: u64) {
    let size = |guest: &mut Guest| stat(guest, fd)[4];
    assert_eq!(size(guest), 12);
    guest.ok("fd_filestat_set_size", &[fd, 5]);
    assert_eq!(pread(guest, fd, 99, 0), b"hello");
    guest.ok("fd_filestat_set_size", &[fd, 7]);
    assert_eq!(pread(guest, fd, 99, 0), b"hello\0\0");
    guest.ok("fd_allocate", &[fd, 2, 3]);
    assert_eq!(size(guest), 7, "it never gets shorter");
    guest.ok("fd_allocate", &[fd, 6, 4]);
    assert_eq!(pread(guest, fd, 99, 0), b"hello\0\0\0\0\0");
    for (offset, len, errno) in [
        (0, 0, Errno::Inval),
        (u64::MAX, 0, Errno::Inval),
        (u64::MAX, 1, Errno::Fbig),
        (1, u64::MAX, Errno::Fbig),
        (0, u64::MAX, Errno::Fbig),
        (1 << 63, 1 << 63, Errno::Fbig),
    ] {
        assert_eq!(
            guest.errno("fd_allocate", &[fd, offset, len]),
            errno,
            "{offset} {len}"
        );
        assert_eq!(size(guest), 10);
    }
    for advice in 0..6 {
        for (offset, len) in [(0, 0), (u64::MAX, u64::MAX), (3, 1 << 63)] {
            guest.ok("fd_advise", &[fd, offset, len, advice]);
        }
    }
}

#[test]
fn forty_buffers_go_and_come_whole() {
    on_each_backend(|guest, fd| {
        let lengths = (0..40).map(|n| if n % 5 == 1 { 0 } else { n * 37 % 101 });
        let bufs: Vec<_> = lengths.map(|len| (guest.room(len), len)).collect();
        let total: usize = bufs.iter().map(|buf| buf.1).sum();
        for (n, &(at, len)) in bufs.iter().enumerate() {
            guest.set(at, &vec![n as u8 + 1; len]);
        }
        let all: Vec<u8> = bufs
            .iter()
            .flat_map(|&(at, len)| guest.bytes(at, len))
            .copied()
            .collect();
        let [iovs, iovs_len] = guest.iovecs(&bufs);
        let at = guest.room(4);
        guest.ok("fd_write", &[fd, iovs, iovs_len, at]);
        assert_eq!(guest.u32(at) as usize, total);
        assert_eq!(guest.tell(fd), Ok(total as u64));
        assert_eq!(pread(guest, fd, total + 9, 0), all);
        guest.ok("fd_pwrite", &[fd, iovs, iovs_len, 3, at]);
        bufs.iter()
            .for_each(|&(at, len)| guest.set(at, &vec![0; len]));
        guest.ok("fd_pread", &[fd, iovs, iovs_len, 3, at]);
        let read: Vec<u8> = bufs
            .iter()
            .flat_map(|&(at, len)| guest.bytes(at, len))
            .copied()
            .collect();
        assert!(read == all);
        guest.seek(fd, -7, END).unwrap();
        guest.ok("fd_read", &[fd, iovs, iovs_len, at]);
        assert_eq!(guest.u32(at), 7);
    });
}

#[test]
fn times_are_set_as_their_flags_say() {
    const ATIM: u64 = 1;
    const ATIM_NOW: u64 = 2;
    const MTIM: u64 = 4;
    const MTIM_NOW: u64 = 8;
    const THEN: u64 = 1_234_567_890_123_456_789;
    for (flags, times) in [
        (0, Some([WALL, WALL])),
        (ATIM, Some([THEN, WALL])),
        (ATIM_NOW, Some([WALL + 50, WALL])),
        (MTIM, Some([WALL, THEN + 1])),
        (MTIM_NOW, Some([WALL, WALL + 50])),
        (ATIM | MTIM, Some([THEN, THEN + 1])),
        (ATIM_NOW | MTIM_NOW, Some([WALL + 50, WALL + 50])),
        (ATIM | MTIM_NOW, Some([THEN, WALL + 50])),
        (ATIM_NOW | MTIM, Some([WALL + 50, THEN + 1])),
        (ATIM | ATIM_NOW, None),
        (MTIM | MTIM_NOW, None),
        (15, None),
        (16, None),
    ] {
        for by_path in [false, true] {
            let mut guest = Guest::new();
            guest.clock.advance(50);
            let [path, path_len] = guest.path("file");
            let errno = match by_path {
                true => guest.errno(
                    "path_filestat_set_times",
                    &[DIR, 0, path, path_len, THEN, THEN + 1, flags],
                ),
                false => guest.errno("fd_filestat_set_times", &[FILE, THEN, THEN + 1, flags]),
            };
            assert_eq!(
                errno == Errno::Success,
                times.is_some(),
                "{flags} {errno:?}"
            );
            let [.., atim, mtim, _] = stat(&mut guest, FILE);
            assert_eq!(
                [atim, mtim],
                times.unwrap_or([WALL, WALL]),
                "{flags} {by_path}"
            );
        }
    }
    // Of a directory, and of a link itself or what it leads to.
    let mut guest = Guest::new();
    guest.ok("fd_filestat_set_times", &[DIR2, THEN, THEN, ATIM | MTIM]);
    assert_eq!(stat(&mut guest, DIR2)[5..7], [THEN, THEN]);
    let [path, path_len] = guest.path("link");
    guest.ok(
        "path_filestat_set_times",
        &[DIR, 0, path, path_len, 1, 1, MTIM],
    );
    assert_eq!(stat_at(&mut guest, 0, "link")[6], 1);
    assert_eq!(stat_at(&mut guest, 1, "link")[6], WALL);
    guest.ok(
        "path_filestat_set_times",
        &[DIR, 1, path, path_len, 2, 2, MTIM],
    );
    assert_eq!(stat_at(&mut guest, 0, "link")[6], 1);
    assert_eq!(stat_at(&mut guest, 1, "link")[6], 2);
}

#[test]
fn filestat_tells_what_a_file_is() {
    let mut guest = Guest::new();
    let file = stat(&mut guest, FILE);
    let [_, _, filetype, names, size, times @ ..] = file;
    let regular = Filetype::RegularFile as u64;
    assert_eq!((filetype, names, size), (regular, 1, CONTENTS.len() as u64));
    assert_eq!(times, [WALL; 3]);
    assert_eq!(stat_at(&mut guest, 0, "file"), file);
    assert_eq!(stat_at(&mut guest, 1, "link"), file);
    let link = stat_at(&mut guest, 0, "link");
    assert_eq!(link[2], Filetype::SymbolicLink as u64);
    assert_eq!(link[4], 4);
    let [old, old_len] = guest.path("file");
    let [new, new_len] = guest.path("dir/other");
    guest.ok("path_link", &[DIR, 0, old, old_len, DIR, new, new_len]);
    assert_eq!(stat(&mut guest, FILE)[3], 2);
    assert_eq!(stat_at(&mut guest, 0, "dir/other")[1], file[1]);
}

#[test]
fn the_machine_s_times_are_set_and_told() {
    for mode in [Mode::Inline, Mode::Offload(Runtime::current())] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, CONTENTS).unwrap();
        let directory = OsDirectory::open_ambient(dir.path(), mode).unwrap();
        let mut guest = Guest::over(Arc::new(directory));
        let fd = guest.open(DIR, "file").unwrap();
        guest.ok(
            "fd_filestat_set_times",
            &[fd, 5_000_000_000, 6_000_000_000, 5],
        );
        let now = stat(&mut guest, fd);
        assert_eq!(now[5..7], [5_000_000_000, 6_000_000_000]);
        let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
        assert_eq!(modified, SystemTime::UNIX_EPOCH + StdDuration::from_secs(6));
        guest.ok("fd_sync", &[fd]);
        guest.ok("fd_datasync", &[fd]);
        guest.ok("fd_sync", &[DIR]);
    }
}

#[test]
fn paths_do_what_their_names_say() {
    let mut guest = Guest::new();
    let mut at = |path: &str| guest.path(path);
    let [new, new_len] = at("dir/new");
    let [moved, moved_len] = at("moved");
    let [link, link_len] = at("dir/newlink");
    let [target, target_len] = at("../moved");
    guest.ok("path_create_directory", &[DIR, new, new_len]);
    assert_eq!(
        stat_at(&mut guest, 0, "dir/new")[2],
        Filetype::Directory as u64
    );
    guest.ok("path_rename", &[DIR, new, new_len, DIR, moved, moved_len]);
    assert_eq!(guest.fs.read_dir("moved").unwrap(), []);
    guest.ok("path_symlink", &[target, target_len, DIR, link, link_len]);
    assert_eq!(
        stat_at(&mut guest, 1, "dir/newlink")[2],
        Filetype::Directory as u64
    );
    guest.ok("path_unlink_file", &[DIR, link, link_len]);
    // A slash at the end is allowed.
    let [slash, slash_len] = guest.path("moved/");
    guest.ok("path_remove_directory", &[DIR, slash, slash_len]);
    let names = guest.fs.read_dir("").unwrap();
    assert!(names.iter().all(|entry| entry.name != "moved"));
}

#[test]
fn a_link_is_read_as_far_as_there_is_room() {
    let mut guest = Guest::new();
    guest.fs.symlink("dir/inner", "long").unwrap();
    let [path, path_len] = guest.path("long");
    for len in 0..12 {
        let buf = guest.put(&[0xaa; 12]);
        let used = guest.room(4);
        guest.ok(
            "path_readlink",
            &[DIR, path, path_len, buf, len as u64, used],
        );
        let n = len.min(9);
        assert_eq!(guest.u32(used) as usize, n);
        assert_eq!(guest.bytes(buf, n), &b"dir/inner"[..n]);
        assert!(
            guest
                .bytes(buf + n as u64, 12 - n)
                .iter()
                .all(|byte| *byte == 0xaa)
        );
    }
}

#[test]
fn opening_makes_cuts_and_refuses() {
    let mut guest = Guest::new();
    let none = FdFlags::empty();
    let fd = guest.open_with(DIR, "new", OFlags::CREAT, none).unwrap();
    assert_eq!(fd, FREE);
    guest.write(fd, b"abc").unwrap();
    let fd = guest.open_with(DIR, "new", OFlags::CREAT, none).unwrap();
    assert_eq!(guest.read(fd, 9).unwrap(), b"abc");
    let exclusive = OFlags::CREAT | OFlags::EXCL;
    assert_eq!(
        guest.open_with(DIR, "new", exclusive, none),
        Err(Errno::Exist)
    );
    let fd = guest.open_with(DIR, "new", OFlags::TRUNC, none).unwrap();
    assert_eq!(guest.read(fd, 9).unwrap(), b"");
    assert_eq!(
        guest.open_with(DIR, "new", OFlags::DIRECTORY, none),
        Err(Errno::Notdir)
    );
    let fd = guest
        .open_with(DIR, "dir", OFlags::DIRECTORY, none)
        .unwrap();
    assert_eq!(stat(&mut guest, fd)[2], Filetype::Directory as u64);
}

#[test]
fn without_a_place_for_the_result_nothing_is_opened_or_made() {
    let mut guest = Guest::new();
    let [path, path_len] = guest.path("new");
    for opened in [2, 0xffff_fffc] {
        let answer = guest.call("path_open", &[DIR, 0, path, path_len, 1, 0, 0, 0, opened]);
        assert!(matches!(answer, Err(End::Trap(_))));
        assert!(guest.fs.read_file("new").is_err());
    }
    assert_eq!(guest.open(DIR, "file"), Ok(FREE));
}

#[test]
fn as_many_descriptors_as_may_be_are_open_and_no_file_is_made_for_more() {
    let mut guest = Guest::with_limits(|ctx| ctx.max_descriptors(FILE as usize + 2));
    assert_eq!(guest.open(DIR, "file"), Ok(FILE));
    assert_eq!(guest.open(DIR, "file"), Ok(FILE + 1));
    let none = FdFlags::empty();
    assert_eq!(
        guest.open_with(DIR, "new", OFlags::CREAT, none),
        Err(Errno::Mfile)
    );
    assert!(guest.fs.read_file("new").is_err());
    guest.ok("fd_close", &[STDIN]);
    assert_eq!(guest.open(DIR, "file"), Ok(STDIN));
    assert_eq!(guest.open(DIR, "file"), Err(Errno::Mfile));
    guest.ok("fd_close", &[FILE]);
    guest.ok("fd_close", &[STDOUT]);
    // The lowest first, whichever was closed last.
    assert_eq!(guest.open(DIR, "file"), Ok(STDOUT));
    assert_eq!(guest.open(DIR, "file"), Ok(FILE));
}

#[test]
fn a_number_is_given_another_descriptor_with_all_that_it_has() {
    let mut guest = Guest::new();
    guest.read(FILE, 5).unwrap();
    guest.narrow(FILE, Rights::FD_READ | Rights::FD_TELL);
    let rights = guest.rights(FILE);
    guest.ok("fd_renumber", &[FILE, STDIN]);
    assert_eq!(guest.rights(STDIN), rights);
    assert_eq!(guest.tell(STDIN), Ok(5));
    assert_eq!(guest.errno("fd_close", &[FILE]), Errno::Badf);
    assert_eq!(guest.open(DIR, "file"), Ok(FILE), "its number is free");
    // Onto itself, nothing happens.
    guest.ok("fd_renumber", &[STDIN, STDIN]);
    assert_eq!(guest.tell(STDIN), Ok(5));
    // Only onto what is open.
    assert_eq!(guest.errno("fd_renumber", &[STDIN, 99]), Errno::Badf);
    assert_eq!(guest.tell(STDIN), Ok(5));
}

#[test]
fn what_a_number_stood_for_is_closed_when_it_is_given_another() {
    let mut guest = Guest::new();
    guest.ok("fd_renumber", &[FILE, CONNECTION]);
    assert_eq!(receive(guest.peer(), 1), b"", "the peer is told");
    assert_eq!(guest.read(CONNECTION, 5).unwrap(), b"hello");
}

#[test]
fn preopens_have_names_and_can_be_closed_and_replaced() {
    let mut guest = Guest::new();
    let (prestat, name) = (guest.put(&[0xaa; 8]), guest.put(&[0xaa; 8]));
    for (fd, path) in [(DIR, &b"/"[..]), (RO, b"/ro")] {
        guest.ok("fd_prestat_get", &[fd, prestat]);
        assert_eq!(guest.bytes(prestat, 4), [0; 4]);
        assert_eq!(guest.u32(prestat + 4) as usize, path.len());
        for len in path.len()..6 {
            guest.set(name, &[0xaa; 8]);
            guest.ok("fd_prestat_dir_name", &[fd, name, len as u64]);
            assert_eq!(guest.bytes(name, path.len()), path);
            assert_eq!(guest.bytes(name + path.len() as u64, 1), [0xaa]);
        }
        let less = path.len() as u64 - 1;
        assert_eq!(
            guest.errno("fd_prestat_dir_name", &[fd, name, less]),
            Errno::Nametoolong
        );
    }
    // What is moved keeps its name; what is opened has none.
    guest.ok("fd_renumber", &[RO, DIR]);
    guest.ok("fd_prestat_dir_name", &[DIR, name, 8]);
    assert_eq!(guest.bytes(name, 3), b"/ro");
    assert_eq!(guest.errno("fd_prestat_get", &[RO, prestat]), Errno::Badf);
    guest.ok("fd_renumber", &[DIR2, DIR]);
    assert_eq!(guest.errno("fd_prestat_get", &[DIR, prestat]), Errno::Badf);
    assert_eq!(
        guest.open(DIR, "inner"),
        Ok(RO),
        "it is what the number stands for"
    );
    guest.ok("fd_close", &[DIR]);
    assert_eq!(guest.errno("fd_prestat_get", &[DIR, prestat]), Errno::Badf);
}

#[test]
fn what_is_open_lives_on_without_its_name_and_its_directory() {
    let mut guest = Guest::new();
    let [path, path_len] = guest.path("file");
    guest.ok("path_unlink_file", &[DIR, path, path_len]);
    guest.ok("fd_close", &[DIR]);
    assert_eq!(guest.read(FILE, 5).unwrap(), b"hello");
    assert_eq!(stat(&mut guest, FILE)[3], 0);
}

#[test]
fn dropping_the_guest_closes_all() {
    let guest = Guest::new();
    let (peer, fs) = (guest.peer.clone().unwrap(), guest.fs.clone());
    let used = fs.usage();
    drop(guest);
    assert_eq!(receive(&*peer, 1), b"");
    assert_eq!(fs.usage(), used);
}

#[test]
fn waits_of_a_slow_backend_finish_each_function() {
    let disk = Disk::new();
    disk.add("file", CONTENTS);
    let mut guest = Guest::over(disk.clone());
    disk.set_later(true);
    let fd = guest.open(DIR, "file").unwrap();
    let at = guest.room(64);
    for (function, args) in [
        ("fd_filestat_get", &[fd, at][..]),
        ("fd_filestat_get", &[DIR, at]),
        ("fd_filestat_set_size", &[fd, 5]),
        ("fd_seek", &[fd, 0, END, at]),
    ] {
        let wait = guest.wait(function, args);
        assert_eq!(guest.finish(wait), Ok(Errno::Success), "{function}");
    }
    assert_eq!(guest.u64(at), 5);
    // What is closed meanwhile is not moved.
    let wait = guest.wait("fd_seek", &[fd, 0, END, at]);
    guest.ok("fd_close", &[fd]);
    assert_eq!(guest.finish(wait), Ok(Errno::Badf));
}
