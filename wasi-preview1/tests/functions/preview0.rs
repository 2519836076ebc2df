//! The layouts of `wasi_unstable`.

use crate::support::*;

fn guest() -> Guest {
    let mut guest = Guest::new();
    guest.version = Version::Preview0;
    guest
}

#[test]
fn it_has_all_functions_but_one() {
    let names = |version| -> Vec<_> {
        let functions = wasi_preview1::functions(version);
        functions.map(|function| function.name).collect()
    };
    let mut less = names(Version::Preview1);
    less.retain(|name| *name != "sock_accept");
    assert_eq!(names(Version::Preview0), less);
    assert_eq!(less.len(), 45);
    assert_eq!(
        wasi_preview1::module_name(Version::Preview0),
        "wasi_unstable"
    );
    assert_eq!(
        wasi_preview1::module_name(Version::Preview1),
        "wasi_snapshot_preview1"
    );
}

#[test]
fn whence_is_here_end_and_start() {
    let mut guest = guest();
    assert_eq!(guest.seek(FILE, 3, 2), Ok(3));
    assert_eq!(guest.seek(FILE, 2, 0), Ok(5));
    assert_eq!(guest.seek(FILE, -2, 1), Ok(10));
    assert_eq!(guest.seek(FILE, 0, 3), Err(Errno::Inval));
    // The one that moves nothing needs less.
    guest.narrow(FILE, Rights::FD_TELL);
    assert_eq!(guest.seek(FILE, 0, 0), Ok(10));
    assert_eq!(guest.seek(FILE, 0, 1), Err(Errno::Notcapable));
}

#[test]
fn filestat_has_56_bytes() {
    let mut guest = guest();
    let [path, path_len] = guest.path("file");
    for by_path in [false, true] {
        let at = guest.put(&[0xaa; 64]);
        match by_path {
            false => guest.ok("fd_filestat_get", &[FILE, at]),
            true => guest.ok("path_filestat_get", &[DIR, 0, path, path_len, at]),
        }
        assert_eq!(
            guest.bytes(at + 16, 8),
            [Filetype::RegularFile as u8, 0, 0, 0, 1, 0, 0, 0]
        );
        assert_eq!(guest.u64(at + 24), CONTENTS.len() as u64);
        let times = [32, 40, 48].map(|offset| guest.u64(at + offset));
        assert_eq!(times, [WALL; 3]);
        assert_eq!(guest.bytes(at + 56, 8), [0xaa; 8]);
    }
    let end = guest.memory.len() as u64;
    guest.ok("fd_filestat_get", &[STDIN, end - 56]);
    assert!(guest.call("fd_filestat_get", &[STDIN, end - 48]).is_err());
}

#[test]
fn a_subscription_has_56_bytes_and_the_clock_s_own_number() {
    let mut guest = guest();
    let clock = |userdata: u64, id: u32, timeout: u64, flags: u16| {
        let mut record = [0; 56];
        record[..8].copy_from_slice(&userdata.to_le_bytes());
        record[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
        record[24..28].copy_from_slice(&id.to_le_bytes());
        record[32..40].copy_from_slice(&timeout.to_le_bytes());
        record[48..50].copy_from_slice(&flags.to_le_bytes());
        record
    };
    let mut readable = [0; 56];
    (readable[0], readable[8], readable[16]) = (3, 1, FILE as u8);
    let records = [clock(1, 1, 1000, 0), clock(2, 0, WALL, 1), readable];
    let subscriptions = guest.put(&records.concat());
    let (events, nevents) = (guest.room(96), guest.room(4));
    guest.ok("poll_oneoff", &[subscriptions, events, 3, nevents]);
    assert_eq!(guest.u32(nevents), 2);
    assert_eq!(
        (guest.u64(events), guest.bytes(events + 10, 1)),
        (2, &[0][..])
    );
    assert_eq!(
        (guest.u64(events + 32), guest.bytes(events + 42, 1)),
        (3, &[1][..])
    );
    assert_eq!(guest.u64(events + 48), CONTENTS.len() as u64);
    let args = [subscriptions, events, 1, nevents];
    let mut wait = guest.wait("poll_oneoff", &args);
    let (_, waker) = waker();
    guest.clock.advance(999);
    assert!(guest.poll(&mut wait, &waker).is_pending());
    guest.clock.advance(1);
    assert!(guest.poll(&mut wait, &waker).is_ready());
    assert_eq!(guest.u64(events), 1);
    // The records have to be in the memory as far as they reach.
    let end = guest.memory.len() as u64;
    let answer = guest.call("poll_oneoff", &[end - 48, events, 1, nevents]);
    assert!(matches!(
        answer,
        Err(End::Trap(Trap::OutOfBounds { len: 56, .. }))
    ));
}

#[test]
fn what_is_alike_is_the_same() {
    let mut guest = guest();
    assert_eq!(guest.read(FILE, 5).unwrap(), b"hello");
    assert_eq!(guest.write(STDOUT, b"out"), Ok(3));
    assert_eq!(guest.stdout.contents(), b"out");
    assert_eq!(guest.open(DIR, "dir/inner"), Ok(FREE));
}
