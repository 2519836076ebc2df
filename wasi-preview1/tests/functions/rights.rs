//! What a descriptor may be used for.

use crate::support::calls::{Call, calls};
use crate::support::*;
use std::collections::BTreeSet;

fn calls_on_descriptors() -> impl Iterator<Item = (Call, u64)> {
    calls().into_iter().filter_map(|call| {
        let fd = call.fd?;
        Some((call, fd))
    })
}

#[test]
fn each_function_is_called_with_success() {
    let called: BTreeSet<_> = calls().iter().map(|call| call.function).collect();
    for function in wasi_preview1::functions(Version::Preview1) {
        let ends = function.name == "proc_exit";
        assert_eq!(called.contains(function.name), !ends, "{}", function.name);
    }
    for call in calls() {
        let errno = call.call(&mut Guest::new());
        assert_eq!(errno, Errno::Success, "{}", call.name());
    }
}

#[test]
fn the_rights_that_a_function_needs_are_enough_for_it() {
    for (call, fd) in calls_on_descriptors() {
        for rights in call.needs {
            let mut guest = Guest::new();
            let args = (call.args)(&mut guest);
            guest.ok("fd_fdstat_set_rights", &[fd, rights.bits(), 0]);
            let errno = call.call_with(&mut guest, &args);
            // Rights that it has no more can't be given.
            assert_eq!(errno, Errno::Success, "{} with {rights:?}", call.name());
        }
    }
}

#[test]
fn without_a_right_a_descriptor_lacks_exactly_what_needs_it() {
    let mut lacked = Rights::empty();
    for right in Rights::all() {
        for (call, fd) in calls_on_descriptors() {
            let mut guest = Guest::new();
            guest.narrow(fd, !right);
            let without = |needs: &Rights| !needs.contains(right);
            let errno = match call.needs.iter().any(without) {
                true => Errno::Success,
                false => Errno::Notcapable,
            };
            if errno == Errno::Notcapable {
                lacked |= right;
            }
            assert_eq!(
                call.call(&mut guest),
                errno,
                "{} without {right:?}",
                call.name()
            );
        }
    }
    // The right to seek implies the right to tell, alone and for both of its functions.
    assert_eq!(lacked, Rights::all() - Rights::FD_TELL);
}

#[test]
fn without_any_right_nothing_is_left_but_what_needs_none() {
    for (call, fd) in calls_on_descriptors() {
        let mut guest = Guest::new();
        guest.narrow(fd, Rights::empty());
        let errno = match call.needs.iter().any(Rights::is_empty) {
            true => Errno::Success,
            false => Errno::Notcapable,
        };
        assert_eq!(call.call(&mut guest), errno, "{}", call.name());
    }
}

#[test]
fn rights_are_given_away_for_good() {
    for fd in [STDIN, STDOUT, DIR, RO, LISTENER, CONNECTION, FILE, DIR2] {
        let mut guest = Guest::new();
        let (base, inheriting) = guest.rights(fd);
        for right in Rights::all() {
            let more = |has: Rights| (has | right).bits();
            for (base_now, base_new, inheriting_now, inheriting_new) in [
                (base, more(base), inheriting, inheriting.bits()),
                (base, base.bits(), inheriting, more(inheriting)),
                (base - right, base.bits(), inheriting, inheriting.bits()),
                (base, base.bits(), inheriting - right, inheriting.bits()),
            ] {
                let mut guest = Guest::new();
                let now = [fd, base_now.bits(), inheriting_now.bits()];
                guest.ok("fd_fdstat_set_rights", &now);
                let keeps = base_new == base_now.bits() && inheriting_new == inheriting_now.bits();
                let errno = match keeps {
                    true => Errno::Success,
                    false => Errno::Notcapable,
                };
                let new = [fd, base_new, inheriting_new];
                assert_eq!(
                    guest.errno("fd_fdstat_set_rights", &new),
                    errno,
                    "{fd} {right:?}"
                );
                assert_eq!(
                    guest.rights(fd),
                    (base_now, inheriting_now),
                    "{fd} {right:?}"
                );
            }
        }
        // What there is no right for.
        for unknown in [1 << 30, 1 << 63, u64::MAX] {
            for args in [[fd, unknown, 0], [fd, 0, unknown]] {
                assert_eq!(guest.errno("fd_fdstat_set_rights", &args), Errno::Inval);
            }
        }
        assert_eq!(guest.rights(fd), (base, inheriting));
    }
}

/// `path_open` of `path` with these rights.
fn open(guest: &mut Guest, fd: u64, path: &str, base: Rights, inheriting: Rights) -> Errno {
    let [path, path_len] = guest.path(path);
    let opened = guest.room(4);
    let (base, inheriting) = (base.bits(), inheriting.bits());
    let args = [fd, 1, path, path_len, 0, base, inheriting, 0, opened];
    guest.errno("path_open", &args)
}

#[test]
fn a_directory_lets_others_have_only_what_it_can_be_inherited() {
    for right in Rights::all() {
        let mut guest = Guest::new();
        let (base, inheriting) = guest.rights(DIR);
        let less = (inheriting - right).bits();
        guest.ok("fd_fdstat_set_rights", &[DIR, base.bits(), less]);
        let none = Rights::empty();
        for (base, inheriting) in [(right, none), (none, right)] {
            let errno = open(&mut guest, DIR, "file", base, inheriting);
            assert_eq!(errno, Errno::Notcapable, "{right:?}");
        }
        assert_eq!(open(&mut guest, DIR, "file", none, none), Errno::Success);
    }
    // Whether it has them itself says nothing: files have what directories can't.
    let mut guest = Guest::new();
    let (base, inheriting) = guest.rights(DIR);
    assert!(inheriting.contains(Rights::FD_WRITE) && !base.contains(Rights::FD_WRITE));
    guest.ok(
        "fd_fdstat_set_rights",
        &[DIR, Rights::PATH_OPEN.bits(), inheriting.bits()],
    );
    assert_eq!(
        open(&mut guest, DIR, "file", inheriting, inheriting),
        Errno::Success
    );
}

#[test]
fn what_is_opened_has_those_of_the_rights_asked_for_that_its_kind_can_have() {
    let mut guest = Guest::new();
    let (_, all) = guest.rights(DIR);
    let ask = Rights::FD_READ | Rights::FD_SEEK | Rights::FD_READDIR | Rights::PATH_OPEN;
    assert_eq!(open(&mut guest, DIR, "file", ask, all), Errno::Success);
    let file = (Rights::FD_READ | Rights::FD_SEEK, Rights::empty());
    assert_eq!(guest.rights(FREE), file);
    assert_eq!(open(&mut guest, DIR, "dir", ask, ask), Errno::Success);
    let dir = (Rights::FD_READDIR | Rights::PATH_OPEN, ask);
    assert_eq!(guest.rights(FREE + 1), dir);
    // And so on below it.
    assert_eq!(
        open(&mut guest, FREE + 1, "inner", Rights::FD_TELL, all),
        Errno::Notcapable
    );
    assert_eq!(
        open(&mut guest, FREE + 1, "inner", Rights::FD_READ, ask),
        Errno::Success
    );
    assert_eq!(guest.rights(FREE + 2), (Rights::FD_READ, Rights::empty()));
}

#[test]
fn rights_that_nobody_knows_are_refused() {
    let mut guest = Guest::new();
    let unknown = Rights::from_bits_retain(1 << 30);
    for (base, inheriting) in [(unknown, Rights::empty()), (Rights::empty(), unknown)] {
        assert_eq!(
            open(&mut guest, DIR, "file", base, inheriting),
            Errno::Inval
        );
    }
}

#[test]
fn a_directory_that_is_read_only_has_all_rights_and_changes_nothing() {
    let mut guest = Guest::new();
    assert_eq!(guest.rights(RO), guest.rights(DIR));
    let [file, file_len] = guest.path("file");
    let [new, new_len] = guest.path("new");
    let [empty, empty_len] = guest.path("empty");
    let opened = guest.room(4);
    let write = Rights::FD_WRITE.bits();
    let cases: [(&str, &[u64]); 14] = [
        ("path_create_directory", &[RO, new, new_len]),
        (
            "path_filestat_set_times",
            &[RO, 0, file, file_len, 0, 0, 10],
        ),
        ("fd_filestat_set_times", &[RO, 0, 0, 10]),
        ("path_link", &[RO, 0, file, file_len, RO, new, new_len]),
        ("path_link", &[DIR, 0, file, file_len, RO, new, new_len]),
        (
            "path_open",
            &[RO, 0, file, file_len, 0, write, 0, 0, opened],
        ),
        ("path_open", &[RO, 0, new, new_len, 1, 0, 0, 0, opened]),
        ("path_open", &[RO, 0, file, file_len, 8, 0, 0, 0, opened]),
        ("path_remove_directory", &[RO, empty, empty_len]),
        ("path_rename", &[RO, file, file_len, RO, new, new_len]),
        ("path_rename", &[RO, file, file_len, DIR, new, new_len]),
        ("path_rename", &[DIR, file, file_len, RO, new, new_len]),
        ("path_symlink", &[file, file_len, RO, new, new_len]),
        ("path_unlink_file", &[RO, file, file_len]),
    ];
    for (function, args) in cases {
        assert_eq!(
            guest.errno(function, args),
            Errno::Rofs,
            "{function} {args:?}"
        );
    }
    let names = guest.fs.read_dir("").unwrap();
    let names: Vec<_> = names.iter().map(|entry| &*entry.name).collect();
    assert_eq!(names, ["dangling", "dir", "empty", "file", "link", "loop"]);
    assert_eq!(guest.fs.read_file("file").unwrap(), CONTENTS);
    // Reading is as ever.
    let reading = Rights::FD_READ | Rights::FD_FILESTAT_SET_TIMES;
    assert_eq!(
        open(&mut guest, RO, "file", reading, Rights::empty()),
        Errno::Success
    );
    assert_eq!(guest.read(FREE, 5).unwrap(), b"hello");
    assert_eq!(
        guest.errno("fd_filestat_set_times", &[FREE, 0, 0, 10]),
        Errno::Rofs
    );
}

#[test]
fn kinds_are_told_before_rights() {
    let mut guest = Guest::new();
    for fd in [STDIN, DIR, CONNECTION, FILE, LISTENER] {
        guest.narrow(fd, Rights::empty());
    }
    for (function, args, errno) in [
        ("fd_tell", &[DIR, 0][..], Errno::Isdir),
        ("fd_tell", &[CONNECTION, 0], Errno::Spipe),
        ("fd_seek", &[STDIN, 0, 0, 0], Errno::Spipe),
        ("fd_pread", &[STDIN, 0, 0, 0, 0], Errno::Spipe),
        ("fd_pwrite", &[DIR, 0, 0, 0, 0], Errno::Isdir),
        ("fd_read", &[DIR, 0, 0, 0], Errno::Isdir),
        ("fd_write", &[STDIN, 0, 0, 0], Errno::Badf),
        ("fd_read", &[LISTENER, 0, 0, 0], Errno::Notconn),
        ("fd_readdir", &[FILE, 0, 0, 0, 0], Errno::Notdir),
        ("path_unlink_file", &[FILE, 0, 0], Errno::Notdir),
        ("sock_shutdown", &[FILE, 1], Errno::Notsock),
        ("sock_accept", &[CONNECTION, 0, 0], Errno::Inval),
        ("sock_accept", &[FILE, 0, 0], Errno::Notsock),
    ] {
        assert_eq!(guest.errno(function, args), errno, "{function} {args:?}");
    }
}

#[test]
fn what_a_connection_may_follows_from_what_its_listener_lets_it_inherit() {
    let mut guest = Guest::new();
    let (base, inheriting) = guest.rights(LISTENER);
    let (connection, _) = guest.rights(CONNECTION);
    assert_eq!(inheriting, connection);
    let less = inheriting - Rights::FD_WRITE;
    guest.ok(
        "fd_fdstat_set_rights",
        &[LISTENER, base.bits(), less.bits()],
    );
    let _peer = connect(&guest.net, guest.address);
    let accepted = guest.room(4);
    guest.ok("sock_accept", &[LISTENER, 0, accepted]);
    assert_eq!(guest.rights(FREE), (less, Rights::empty()));
    assert_eq!(guest.write(FREE, b"x"), Err(Errno::Notcapable));
}

#[test]
fn a_subscription_without_the_rights_for_it_is_an_event_with_an_error() {
    for (fd, event_type, right) in [
        (CONNECTION, EventType::FdRead, Rights::FD_READ),
        (CONNECTION, EventType::FdWrite, Rights::FD_WRITE),
        (CONNECTION, EventType::FdWrite, Rights::POLL_FD_READWRITE),
        (STDIN, EventType::FdRead, Rights::POLL_FD_READWRITE),
    ] {
        let mut guest = Guest::new();
        guest.narrow(fd, !right);
        let record = calls::fd_subscription(77, event_type, fd);
        let subscription = guest.put(&record);
        let (events, nevents) = (guest.room(32), guest.room(4));
        guest.ok("poll_oneoff", &[subscription, events, 1, nevents]);
        assert_eq!(guest.u32(nevents), 1);
        assert_eq!(guest.u64(events), 77);
        assert_eq!(guest.u16(events + 8), Errno::Notcapable.raw());
        assert_eq!(guest.memory[events as usize + 10], event_type as u8);
    }
}
