//! `fd_readdir`.

use crate::support::disk::Disk;
use crate::support::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use wasi_filesystem::ErrorCode;
use wasi_filesystem::os::{Mode, OsDirectory};
use wasi_io::os::Runtime;

/// An entry: its name, the cookie of the next, its number and type.
#[derive(Clone, Debug, PartialEq)]
struct Entry {
    name: String,
    next: u64,
    inode: u64,
    filetype: Filetype,
}

/// A page of `len` bytes from `cookie` on: the entries that are whole, and whether it is full.
fn page(guest: &mut Guest, fd: u64, len: usize, cookie: u64) -> (Vec<Entry>, bool) {
    let (buf, used) = (0x1_0000, 0x100);
    guest.set(buf, &vec![0xaa; len + 64]);
    guest.ok("fd_readdir", &[fd, buf, len as u64, cookie, used]);
    let used = guest.u32(used) as usize;
    assert!(used <= len);
    // Nothing behind what is used is written.
    assert!(
        guest
            .bytes(buf + used as u64, len + 64 - used)
            .iter()
            .all(|byte| *byte == 0xaa)
    );
    let mut rest = guest.bytes(buf, used);
    let mut entries = Vec::new();
    while rest.len() >= 24 {
        let u64_at = |at: usize| u64::from_le_bytes(rest[at..at + 8].try_into().unwrap());
        let name_len = u64_at(16) as u32 as usize;
        let Some(name) = rest[24..].get(..name_len) else {
            break;
        };
        assert_eq!(rest[21..24], [0; 3]);
        entries.push(Entry {
            name: String::from_utf8(name.to_vec()).unwrap(),
            next: u64_at(0),
            inode: u64_at(8),
            filetype: Filetype::from_raw(rest[20].into()).unwrap(),
        });
        rest = &rest[24 + name_len..];
    }
    (entries, used == len)
}

/// The whole listing by pages of `len` bytes, which grow where an entry does not fit.
fn list(guest: &mut Guest, fd: u64, len: usize) -> Vec<Entry> {
    let (mut all, mut cookie, mut now) = (Vec::<Entry>::new(), 0, len);
    loop {
        let (entries, full) = page(guest, fd, now, cookie);
        if let Some(last) = entries.last() {
            cookie = last.next;
            now = len;
        } else if full {
            now += 7;
        }
        all.extend(entries);
        if !full {
            return all;
        }
        assert!(all.len() < 5000, "it does not end");
    }
}

fn names(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| &*entry.name).collect()
}

fn disk_of(n: usize) -> Arc<Disk> {
    let disk = Disk::new();
    for n in 0..n {
        disk.add(&format!("{n:03}{}", "x".repeat(n % 50)), b"");
    }
    disk
}

#[test]
fn dot_and_dot_dot_come_first_and_every_entry_with_its_type() {
    let mut guest = Guest::new();
    let entries = list(&mut guest, DIR, 4096);
    assert_eq!(
        names(&entries),
        [
            ".", "..", "dangling", "dir", "empty", "file", "link", "loop"
        ]
    );
    use Filetype::{Directory, RegularFile, SymbolicLink};
    let types: Vec<_> = entries.iter().map(|entry| entry.filetype).collect();
    assert_eq!(
        types,
        [
            Directory,
            Directory,
            SymbolicLink,
            Directory,
            Directory,
            RegularFile,
            SymbolicLink,
            SymbolicLink
        ]
    );
    let next: Vec<_> = entries.iter().map(|entry| entry.next).collect();
    assert_eq!(next, [1, 2, 3, 4, 5, 6, 7, 8]);
    // The numbers are those of filestat; the parent's is not told.
    let stat = guest.room(64);
    for (entry, path) in [(0, "."), (3, "dir"), (5, "file"), (6, "link")] {
        let [path, path_len] = guest.path(path);
        guest.ok("path_filestat_get", &[DIR, 0, path, path_len, stat]);
        assert_eq!(entries[entry].inode, guest.u64(stat + 8), "{entry}");
    }
    assert_eq!(entries[1].inode, 0);
    assert_eq!(list(&mut guest, DIR2, 300).len(), 4);
    assert_eq!(names(&list(&mut guest, RO, 300)), names(&entries));
}

#[test]
fn a_listing_is_whole_with_buffers_of_every_size() {
    for waits in [false, true] {
        let disk = disk_of(60);
        let mut guest = Guest::over(disk.clone());
        disk.set_later(waits);
        let all = list(&mut guest, DIR, 40_000);
        assert_eq!(all.len(), 62);
        for len in 0..=300 {
            assert_eq!(list(&mut guest, DIR, len), all, "{len} {waits}");
        }
    }
}

#[test]
fn an_entry_that_is_cut_off_fills_the_buffer_and_comes_again() {
    let disk = disk_of(2);
    let mut guest = Guest::over(disk);
    let record = |next: u64, inode: u64, name: &str, filetype: u8| {
        let len = name.len() as u32;
        let mut record = [next.to_le_bytes(), inode.to_le_bytes()].concat();
        record.extend_from_slice(&len.to_le_bytes());
        record.extend_from_slice(&[filetype, 0, 0, 0]);
        [&record, name.as_bytes()].concat()
    };
    let whole = [
        record(1, 77, ".", 3),
        record(2, 0, "..", 3),
        record(3, 3, "000", 4),
        record(4, 4, "001x", 4),
    ];
    let all = whole.concat();
    let (buf, used) = (guest.room(200), guest.room(4));
    for len in 0..=all.len() + 9 {
        guest.set(buf, &[0xaa; 200]);
        guest.ok("fd_readdir", &[DIR, buf, len as u64, 0, used]);
        let n = len.min(all.len());
        assert_eq!(guest.u32(used) as usize, n);
        assert_eq!(guest.bytes(buf, n), &all[..n], "{len}");
        assert_eq!(guest.bytes(buf + n as u64, 1), [0xaa]);
    }
    for cookie in 0..=4 {
        guest.ok("fd_readdir", &[DIR, buf, 30, cookie as u64, used]);
        let rest = whole[cookie..].concat();
        let n = rest.len().min(30);
        assert_eq!(guest.bytes(buf, n), &rest[..n]);
        assert_eq!(guest.u32(used) as usize, n);
    }
}

#[test]
fn a_cookie_of_an_earlier_page_goes_back_there() {
    let disk = disk_of(100);
    let mut guest = Guest::over(disk);
    let all = list(&mut guest, DIR, 40_000);
    // Some order of pages, each from somewhere.
    let mut cookie = 0_u64;
    for n in 0..200 {
        cookie = (cookie * 31 + 17 + n) % 103;
        let (entries, full) = page(&mut guest, DIR, 200, cookie);
        let from = cookie as usize;
        assert_eq!(entries, all[from.min(102)..][..entries.len()], "{cookie}");
        assert_eq!(
            full,
            !entries.is_empty() && cookie as usize + entries.len() < 102,
            "{cookie}"
        );
    }
}

#[test]
fn a_cookie_behind_the_end_finds_nothing() {
    let disk = disk_of(3);
    let mut guest = Guest::over(disk);
    for cookie in [5, 6, 1000, u64::MAX - 1, u64::MAX] {
        assert_eq!(
            page(&mut guest, DIR, 100, cookie),
            (vec![], false),
            "{cookie}"
        );
    }
    assert_eq!(list(&mut guest, DIR, 100).len(), 5);
}

#[test]
fn n_entries_cost_n_steps_of_the_backend() {
    for waits in [false, true] {
        let disk = disk_of(1000);
        let mut guest = Guest::over(disk.clone());
        disk.set_later(waits);
        disk.calls();
        assert_eq!(list(&mut guest, DIR, 128).len(), 1002);
        let mut calls = BTreeMap::new();
        for call in disk.calls() {
            *calls.entry(call).or_insert(0) += 1;
        }
        assert_eq!(calls["list"], 1);
        // The end is asked for by the page that has the last entry, and perhaps once more.
        assert!((1001..=1002).contains(&calls["next"]), "{calls:?}");
        assert!(calls["stat"] <= 2, "{calls:?}");
    }
}

#[test]
fn from_the_start_what_is_there_now_is_listed() {
    let disk = disk_of(3);
    let mut guest = Guest::over(disk.clone());
    for len in [30, 60, 500] {
        assert_eq!(list(&mut guest, DIR, len).len(), 5);
    }
    disk.add("zz", b"");
    assert_eq!(list(&mut guest, DIR, 60).len(), 6);
    let (first, _) = page(&mut guest, DIR, 55, 0);
    assert_eq!(names(&first), [".", ".."]);
    disk.add("0 first", b"");
    assert_eq!(list(&mut guest, DIR, 60).len(), 7);
}

#[test]
fn who_removes_what_is_listed_page_by_page_misses_nothing() {
    for size in [60, 100, 200, 4096] {
        let disk = disk_of(200);
        let mut guest = Guest::over(disk.clone());
        let (mut cookie, mut removed, mut now) = (0, 0, size);
        loop {
            let (entries, full) = page(&mut guest, DIR, now, cookie);
            for entry in &entries {
                cookie = entry.next;
                if !entry.name.starts_with('.') {
                    let [path, path_len] = guest.path(&entry.name);
                    guest.ok("path_unlink_file", &[DIR, path, path_len]);
                    removed += 1;
                }
            }
            if !full {
                break;
            }
            // One entry may be longer than the page.
            now = if entries.is_empty() { now + 50 } else { size };
        }
        assert_eq!(removed, 200, "{size}");
        assert_eq!(list(&mut guest, DIR, 4096).len(), 2);
    }
}

#[test]
fn what_has_no_name_for_the_guest_is_left_out_and_other_errors_are_told() {
    for waits in [false, true] {
        let disk = disk_of(5);
        let mut guest = Guest::over(disk.clone());
        disk.set_later(waits);
        let all = list(&mut guest, DIR, 100);
        disk.fail_listing(2, ErrorCode::IllegalByteSequence);
        for len in [40, 100, 1000] {
            assert_eq!(list(&mut guest, DIR, len), all);
        }
        disk.fail_listing(2, ErrorCode::Io);
        let (buf, used) = (guest.room(1000), guest.room(4));
        let errno = guest.errno("fd_readdir", &[DIR, buf, 1000, 0, used]);
        assert_eq!(errno, Errno::Io);
        disk.fail_listing(99, ErrorCode::Io);
        assert_eq!(list(&mut guest, DIR, 100), all);
    }
}

#[test]
fn two_descriptors_of_a_directory_are_listed_on_their_own() {
    let mut guest = Guest::new();
    let again = guest.open(DIR, "dir").unwrap();
    let all = list(&mut guest, DIR2, 500);
    let mut cookies = [0, 0];
    let mut seen = [Vec::new(), Vec::new()];
    for n in 0..8 {
        let which = n % 2;
        let fd = [DIR2, again][which];
        let (entries, _) = page(&mut guest, fd, 32, cookies[which]);
        cookies[which] = entries[0].next;
        seen[which].push(entries[0].clone());
    }
    assert_eq!(seen, [all.clone(), all]);
}

#[test]
fn a_listing_that_is_closed_or_given_up_leaves_room_for_others() {
    let mut guest = Guest::new();
    let (buf, used) = (guest.room(30), guest.room(4));
    // More than may be listed at once.
    for _ in 0..300 {
        let fd = guest.open(DIR, "dir").unwrap();
        guest.ok("fd_readdir", &[fd, buf, 30, 2, used]);
        guest.ok("fd_close", &[fd]);
    }
    let fds: Vec<_> = (0..257).map(|_| guest.open(DIR, "dir").unwrap()).collect();
    let mut answers = fds
        .iter()
        .map(|fd| guest.errno("fd_readdir", &[*fd, buf, 30, 2, used]));
    assert!(
        answers
            .by_ref()
            .take(256)
            .all(|errno| errno == Errno::Success)
    );
    assert_eq!(answers.next(), Some(Errno::Nomem));
}

#[test]
fn the_machine_s_directories_are_listed_by_pages_of_every_size() {
    let dir = tempfile::tempdir().unwrap();
    for n in 0..50 {
        std::fs::write(dir.path().join(format!("{n:02}{}", "x".repeat(n))), b"").unwrap();
    }
    #[cfg(target_os = "linux")]
    {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;
        let name = dir.path().join(OsStr::from_bytes(b"not \xff UTF-8"));
        std::fs::write(name, b"").unwrap();
    }
    for mode in [Mode::Inline, Mode::Offload(Runtime::current())] {
        let directory = OsDirectory::open_ambient(dir.path(), mode).unwrap();
        let mut guest = Guest::over(Arc::new(directory));
        let all = list(&mut guest, DIR, 10_000);
        let mut sorted = names(&all);
        sorted.sort_unstable();
        assert_eq!(sorted.len(), 52);
        sorted.dedup();
        assert_eq!(sorted.len(), 52, "each once");
        assert!(
            sorted
                .iter()
                .all(|name| name.starts_with(['.', '0', '1', '2', '3', '4']))
        );
        for len in [0, 1, 23, 24, 25, 26, 60, 100, 150, 299] {
            assert_eq!(list(&mut guest, DIR, len), all, "{len}");
        }
    }
}
