//! `poll_oneoff`.

use crate::support::calls::fd_subscription;
use crate::support::disk::Disk;
use crate::support::*;
use wasi_sockets::Shutdown;

const REALTIME: u32 = 0;
const MONOTONIC: u32 = 1;
const ABSOLUTE: u16 = 1;

fn clock_subscription(userdata: u64, id: u32, timeout: u64, flags: u16) -> [u8; 48] {
    let mut record = [0; 48];
    record[..8].copy_from_slice(&userdata.to_le_bytes());
    record[16..20].copy_from_slice(&id.to_le_bytes());
    record[24..32].copy_from_slice(&timeout.to_le_bytes());
    record[32..40].copy_from_slice(&u64::MAX.to_le_bytes());
    record[40..42].copy_from_slice(&flags.to_le_bytes());
    record
}

fn read(userdata: u64, fd: u64) -> [u8; 48] {
    fd_subscription(userdata, EventType::FdRead, fd)
}

fn write(userdata: u64, fd: u64) -> [u8; 48] {
    fd_subscription(userdata, EventType::FdWrite, fd)
}

/// An event: userdata, error, type, bytes, flags.
type Event = (u64, Errno, EventType, u64, u16);

fn event(record: &[u8]) -> Event {
    let u16_at = |at| u16::from_le_bytes([record[at], record[at + 1]]);
    let u64_at = |at: usize| u64::from_le_bytes(record[at..at + 8].try_into().unwrap());
    // What no field has is zero.
    for unused in [&record[11..16], &record[26..32]] {
        assert!(unused.iter().all(|byte| *byte == 0), "{record:?}");
    }
    let event_type = EventType::from_raw(record[10].into()).unwrap();
    let errno = Errno::ALL[usize::from(u16_at(8))];
    (u64_at(0), errno, event_type, u64_at(16), u16_at(24))
}

/// The arguments for `subscriptions`.
fn arguments(guest: &mut Guest, subscriptions: &[[u8; 48]]) -> [u64; 4] {
    let at = guest.put(&subscriptions.concat());
    let events = guest.put(&vec![0xaa; 32 * subscriptions.len()]);
    let nevents = guest.put(&[0xaa; 4]);
    [at, events, subscriptions.len() as u64, nevents]
}

fn events(guest: &Guest, args: &[u64; 4]) -> Vec<Event> {
    let n = guest.u32(args[3]) as usize;
    let records = guest.bytes(args[1], 32 * args[2] as usize);
    // Behind the last, nothing is written.
    assert!(records[32 * n..].iter().all(|byte| *byte == 0xaa));
    records[..32 * n].chunks(32).map(event).collect()
}

/// What is ready at once.
#[track_caller]
fn poll(guest: &mut Guest, subscriptions: &[[u8; 48]]) -> Vec<Event> {
    let args = arguments(guest, subscriptions);
    match guest.begin("poll_oneoff", &args) {
        Outcome::Done(answer) => assert_eq!(answer, Ok(Errno::Success)),
        Outcome::Wait(_) => panic!("it waits"),
    }
    events(guest, &args)
}

fn came(userdata: u64) -> Event {
    (userdata, Errno::Success, EventType::Clock, 0, 0)
}

#[test]
fn a_clock_comes_at_its_nanosecond_and_not_before() {
    const AGO: u64 = 1000;
    for (id, timeout, flags, after) in [
        (MONOTONIC, 500, 0, 500),
        (MONOTONIC, AGO + 500, ABSOLUTE, 500),
        (REALTIME, 500, 0, 500),
        (REALTIME, WALL + AGO + 500, ABSOLUTE, 500),
        (MONOTONIC, 1, 0, 1),
    ] {
        let mut guest = Guest::new();
        guest.clock.advance(AGO);
        let args = arguments(&mut guest, &[clock_subscription(9, id, timeout, flags)]);
        let mut wait = guest.wait("poll_oneoff", &args);
        let (woken, waker) = waker();
        assert!(guest.poll(&mut wait, &waker).is_pending());
        guest.clock.advance(after - 1);
        assert_eq!(woken.times(), 0, "{id} {timeout}");
        assert!(guest.poll(&mut wait, &waker).is_pending());
        assert_eq!(guest.u32(args[3]), 0xaaaa_aaaa);
        guest.clock.advance(1);
        assert_eq!(woken.times(), 1, "{id} {timeout}");
        assert_eq!(
            guest.poll(&mut wait, &waker),
            Poll::Ready(Ok(Errno::Success))
        );
        assert_eq!(events(&guest, &args), [came(9)]);
    }
}

#[test]
fn a_time_that_has_passed_is_there_at_once() {
    let mut guest = Guest::new();
    guest.clock.advance(1000);
    for (id, timeout, flags) in [
        (MONOTONIC, 0, 0),
        (REALTIME, 0, 0),
        (MONOTONIC, 1000, ABSOLUTE),
        (MONOTONIC, 0, ABSOLUTE),
        (REALTIME, WALL, ABSOLUTE),
        (REALTIME, WALL + 1000, ABSOLUTE),
    ] {
        let events = poll(
            &mut guest,
            &[clock_subscription(u64::MAX, id, timeout, flags)],
        );
        assert_eq!(events, [came(u64::MAX)], "{id} {timeout} {flags}");
    }
}

#[test]
fn a_time_that_no_clock_reaches_is_waited_for() {
    for (id, flags) in [
        (MONOTONIC, 0),
        (MONOTONIC, ABSOLUTE),
        (REALTIME, 0),
        (REALTIME, ABSOLUTE),
    ] {
        let mut guest = Guest::new();
        guest.clock.advance(1000);
        let args = arguments(&mut guest, &[clock_subscription(1, id, u64::MAX, flags)]);
        let mut wait = guest.wait("poll_oneoff", &args);
        let (_, waker) = waker();
        guest.clock.advance(1 << 60);
        assert!(guest.poll(&mut wait, &waker).is_pending());
    }
}

#[test]
fn the_time_of_day_that_is_set_is_looked_at_when_the_wait_ends() {
    let mut guest = Guest::new();
    let subscription = clock_subscription(1, REALTIME, WALL + 100, ABSOLUTE);
    let args = arguments(&mut guest, &[subscription]);
    let mut wait = guest.wait("poll_oneoff", &args);
    let (_, waker) = waker();
    assert!(guest.poll(&mut wait, &waker).is_pending());
    guest.clock.set_wall(Datetime::from_timestamp(WALL - 1000));
    guest.clock.advance(100);
    assert!(
        guest.poll(&mut wait, &waker).is_pending(),
        "it is not so late yet"
    );
    guest.clock.advance(999);
    assert!(guest.poll(&mut wait, &waker).is_pending());
    guest.clock.advance(1);
    assert!(guest.poll(&mut wait, &waker).is_ready());
}

#[test]
fn of_several_times_those_that_have_come_are_told_in_their_order() {
    let mut guest = Guest::new();
    let subscriptions = [
        clock_subscription(1, MONOTONIC, 300, 0),
        clock_subscription(2, REALTIME, WALL + 100, ABSOLUTE),
        clock_subscription(3, MONOTONIC, 100, ABSOLUTE),
        clock_subscription(4, MONOTONIC, 200, 0),
    ];
    let args = arguments(&mut guest, &subscriptions);
    let mut wait = guest.wait("poll_oneoff", &args);
    let (_, waker) = waker();
    guest.clock.advance(99);
    assert!(guest.poll(&mut wait, &waker).is_pending());
    assert_eq!(guest.clock.next_deadline(), Some(100));
    guest.clock.advance(1);
    assert!(guest.poll(&mut wait, &waker).is_ready());
    assert_eq!(events(&guest, &args), [came(2), came(3)]);
    // A wait that is late finds more.
    let args = arguments(&mut guest, &subscriptions);
    guest.clock.advance(300);
    assert_eq!(guest.errno("poll_oneoff", &args), Errno::Success);
    assert_eq!(events(&guest, &args), [came(2), came(3)]);
}

#[test]
fn a_relative_time_counts_from_the_call() {
    let mut guest = Guest::new();
    let args = arguments(&mut guest, &[clock_subscription(1, MONOTONIC, 100, 0)]);
    let mut wait = guest.wait("poll_oneoff", &args);
    let (_, waker) = waker();
    for _ in 0..99 {
        assert!(guest.poll(&mut wait, &waker).is_pending());
        guest.clock.advance(1);
    }
    assert!(guest.poll(&mut wait, &waker).is_pending());
    guest.clock.advance(1);
    assert!(guest.poll(&mut wait, &waker).is_ready());
}

#[test]
fn each_subscription_has_an_error_of_its_own() {
    let mut guest = Guest::new();
    let subscriptions = [
        clock_subscription(1, 2, 0, 0),
        clock_subscription(2, 3, 0, 0),
        clock_subscription(3, 99, 0, 0),
        clock_subscription(4, MONOTONIC, 0, 2),
        read(5, 99),
        write(6, u32::MAX.into()),
        read(7, DIR),
        write(8, DIR),
        write(9, STDIN),
        read(10, STDOUT),
        write(11, LISTENER),
        clock_subscription(12, MONOTONIC, 1 << 40, 0),
        clock_subscription(13, MONOTONIC, 0, 0),
    ];
    let failed = |userdata, errno, event_type| (userdata, errno, event_type, 0, 0);
    use EventType::{Clock, FdRead, FdWrite};
    assert_eq!(
        poll(&mut guest, &subscriptions),
        [
            failed(1, Errno::Inval, Clock),
            failed(2, Errno::Inval, Clock),
            failed(3, Errno::Inval, Clock),
            failed(4, Errno::Inval, Clock),
            failed(5, Errno::Badf, FdRead),
            failed(6, Errno::Badf, FdWrite),
            failed(7, Errno::Notcapable, FdRead),
            failed(8, Errno::Notcapable, FdWrite),
            failed(9, Errno::Notcapable, FdWrite),
            failed(10, Errno::Notcapable, FdRead),
            failed(11, Errno::Notcapable, FdWrite),
            came(13),
        ]
    );
    // An error is an event: nothing is waited for.
    let subscriptions = [clock_subscription(1, MONOTONIC, 1 << 40, 0), read(2, 99)];
    assert_eq!(
        poll(&mut guest, &subscriptions),
        [failed(2, Errno::Badf, FdRead)]
    );
}

#[test]
fn a_file_is_always_ready() {
    let mut guest = Guest::new();
    let left = |n| (1, Errno::Success, EventType::FdRead, n, 0);
    assert_eq!(poll(&mut guest, &[read(1, FILE)]), [left(12)]);
    guest.read(FILE, 5).unwrap();
    assert_eq!(poll(&mut guest, &[read(1, FILE)]), [left(7)]);
    guest.seek(FILE, 100, 0).unwrap();
    assert_eq!(poll(&mut guest, &[read(1, FILE)]), [left(0)]);
    let writable = (2, Errno::Success, EventType::FdWrite, 1, 0);
    assert_eq!(poll(&mut guest, &[write(2, FILE)]), [writable]);
    // A backend that has to be waited for is not asked.
    let disk = Disk::new();
    disk.add("file", b"abc");
    let mut guest = Guest::over(disk.clone());
    guest.open(DIR, "file").unwrap();
    disk.set_later(true);
    assert_eq!(poll(&mut guest, &[read(1, 4)]), [left(1)]);
}

#[test]
fn an_input_is_ready_when_there_is_something_to_read() {
    let mut guest = Guest::new();
    let args = arguments(&mut guest, &[read(1, STDIN)]);
    let mut wait = guest.wait("poll_oneoff", &args);
    let (woken, waker) = waker();
    assert!(guest.poll(&mut wait, &waker).is_pending());
    guest.feed(b"x");
    assert_eq!(woken.times(), 1);
    assert!(guest.poll(&mut wait, &waker).is_ready());
    let readable = (1, Errno::Success, EventType::FdRead, 1, 0);
    assert_eq!(events(&guest, &args), [readable]);
    // To look takes nothing.
    assert_eq!(poll(&mut guest, &[read(1, STDIN)]), [readable]);
    assert_eq!(guest.read(STDIN, 9).unwrap(), b"x");
    guest.wait("poll_oneoff", &args);
    // Its end can be read.
    guest.stdin = None;
    assert_eq!(poll(&mut guest, &[read(1, STDIN)]).len(), 1);
    assert_eq!(guest.read(STDIN, 9).unwrap(), b"");
}

#[test]
fn an_output_is_ready_while_it_takes_bytes() {
    let mut guest = Guest::new();
    let writable = (1, Errno::Success, EventType::FdWrite, 1, 0);
    assert_eq!(poll(&mut guest, &[write(1, STDERR)]), [writable]);
    assert_eq!(guest.write(STDERR, &[b'x'; STDERR_MAX]), Ok(STDERR_MAX));
    let args = arguments(&mut guest, &[write(1, STDERR)]);
    let mut wait = guest.wait("poll_oneoff", &args);
    let (woken, waker) = waker();
    assert!(guest.poll(&mut wait, &waker).is_pending());
    // Nobody reads any more: the write meets that.
    guest.stderr = None;
    assert_eq!(woken.times(), 1);
    assert!(guest.poll(&mut wait, &waker).is_ready());
    assert_eq!(guest.write(STDERR, b"x"), Err(Errno::Pipe));
}

#[test]
fn a_connection_is_ready_by_what_its_peer_does() {
    let mut guest = Guest::new();
    let both = [read(1, CONNECTION), write(2, CONNECTION)];
    let [writable] = poll(&mut guest, &both)[..] else {
        panic!("it can be written only");
    };
    assert_eq!(
        (writable.0, writable.1, writable.2),
        (2, Errno::Success, EventType::FdWrite)
    );
    assert!(writable.3 > 1000, "as many bytes as it takes");
    let args = arguments(&mut guest, &[read(1, CONNECTION)]);
    let mut wait = guest.wait("poll_oneoff", &args);
    let (woken, waker) = waker();
    assert!(guest.poll(&mut wait, &waker).is_pending());
    send(guest.peer(), b"abc");
    assert!(woken.times() > 0);
    assert!(guest.poll(&mut wait, &waker).is_ready());
    assert_eq!(poll(&mut guest, &both).len(), 2);
    assert_eq!(guest.read(CONNECTION, 9).unwrap(), b"abc");
    // Its end is to be read as well.
    guest.peer().shutdown(Shutdown::Send).unwrap();
    let [(1, Errno::Success, EventType::FdRead, _, _), _] = poll(&mut guest, &both)[..] else {
        panic!("its end can be read");
    };
    assert_eq!(guest.read(CONNECTION, 9).unwrap(), b"");
    // What the guest has closed hangs up.
    guest.ok("sock_shutdown", &[CONNECTION, 3]);
    assert_eq!(
        poll(&mut guest, &both),
        [
            (1, Errno::Success, EventType::FdRead, 0, 1),
            (2, Errno::Success, EventType::FdWrite, 0, 1),
        ]
    );
}

#[test]
fn a_connection_that_takes_no_more_is_not_ready_to_be_written() {
    let mut guest = Guest::new();
    guest.set_flags(CONNECTION, FdFlags::NONBLOCK);
    while guest.write(CONNECTION, &[0; 40_000]).is_ok() {}
    let args = arguments(&mut guest, &[write(1, CONNECTION)]);
    let mut wait = guest.wait("poll_oneoff", &args);
    let (woken, waker) = waker();
    assert!(guest.poll(&mut wait, &waker).is_pending());
    receive(guest.peer(), 100);
    assert!(woken.times() > 0);
    assert!(guest.poll(&mut wait, &waker).is_ready());
    assert_eq!(
        events(&guest, &args),
        [(1, Errno::Success, EventType::FdWrite, 100, 0)]
    );
}

#[test]
fn a_listener_is_ready_when_somebody_connects_and_the_connection_is_kept() {
    let mut guest = Guest::new();
    let args = arguments(&mut guest, &[read(1, LISTENER)]);
    let mut wait = guest.wait("poll_oneoff", &args);
    let (woken, waker) = waker();
    assert!(guest.poll(&mut wait, &waker).is_pending());
    let peer = connect(&guest.net, guest.address);
    assert!(woken.times() > 0);
    assert!(guest.poll(&mut wait, &waker).is_ready());
    let acceptable = (1, Errno::Success, EventType::FdRead, 1, 0);
    assert_eq!(events(&guest, &args), [acceptable]);
    assert_eq!(poll(&mut guest, &[read(1, LISTENER)]), [acceptable]);
    send(&*peer, b"hello");
    let at = guest.room(4);
    guest.ok("sock_accept", &[LISTENER, 0, at]);
    assert_eq!(guest.read(guest.u32(at).into(), 9).unwrap(), b"hello");
    guest.wait("poll_oneoff", &args);
}

#[test]
fn of_times_and_descriptors_what_comes_first_is_told() {
    let subscriptions = [
        clock_subscription(1, MONOTONIC, 100, 0),
        read(2, STDIN),
        read(3, CONNECTION),
        read(4, LISTENER),
    ];
    let mut guest = Guest::new();
    let args = arguments(&mut guest, &subscriptions);
    let (woken, waker) = waker();
    let mut wait = guest.wait("poll_oneoff", &args);
    assert!(guest.poll(&mut wait, &waker).is_pending());
    guest.clock.advance(50);
    send(guest.peer(), b"x");
    assert_eq!(woken.times(), 1);
    assert!(guest.poll(&mut wait, &waker).is_ready());
    assert_eq!(
        events(&guest, &args),
        [(3, Errno::Success, EventType::FdRead, 1, 0)]
    );
    guest.read(CONNECTION, 9).unwrap();

    let mut wait = guest.wait("poll_oneoff", &args);
    assert!(guest.poll(&mut wait, &waker).is_pending());
    guest.clock.advance(100);
    guest.feed(b"x");
    assert!(guest.poll(&mut wait, &waker).is_ready());
    let readable = (2, Errno::Success, EventType::FdRead, 1, 0);
    assert_eq!(events(&guest, &args), [came(1), readable]);
}

#[test]
fn a_descriptor_that_is_closed_while_it_is_waited_for_is_an_error() {
    let mut guest = Guest::new();
    let args = arguments(&mut guest, &[read(1, STDIN)]);
    let mut wait = guest.wait("poll_oneoff", &args);
    guest.ok("fd_close", &[STDIN]);
    let (_, waker) = waker();
    assert!(guest.poll(&mut wait, &waker).is_ready());
    assert_eq!(
        events(&guest, &args),
        [(1, Errno::Badf, EventType::FdRead, 0, 0)]
    );
}

#[test]
fn events_may_be_put_over_the_subscriptions() {
    let subscriptions: Vec<_> = (0..6)
        .map(|n| clock_subscription(n, MONOTONIC, 0, 0))
        .collect();
    let mut guest = Guest::new();
    let [at, _, n, nevents] = arguments(&mut guest, &subscriptions);
    guest.ok("poll_oneoff", &[at, at, n, nevents]);
    assert_eq!(guest.u32(nevents), 6);
    for (n, record) in (0..).zip(guest.bytes(at, 6 * 32).chunks(32)) {
        assert_eq!(event(record), came(n));
    }
    // A later record that an event overwrote may be anything, and does no harm.
    let [at, _, n, nevents] = arguments(&mut guest, &subscriptions);
    let _ = guest.call("poll_oneoff", &[at, at + 8, n, nevents]);
}

#[test]
fn what_can_not_be_polled_is_refused_as_a_whole() {
    let mut guest = Guest::new();
    let mut unknown = clock_subscription(1, MONOTONIC, 0, 0);
    unknown[8] = 3;
    let args = arguments(
        &mut guest,
        &[clock_subscription(1, MONOTONIC, 0, 0), unknown],
    );
    let [at, events, _, nevents] = args;
    assert_eq!(guest.errno("poll_oneoff", &args), Errno::Inval);
    assert_eq!(guest.u32(nevents), 0xaaaa_aaaa, "no event was put");
    assert_eq!(guest.bytes(events, 64), [0xaa; 64]);
    assert_eq!(
        guest.errno("poll_oneoff", &[at, events, 0, nevents]),
        Errno::Inval
    );
    for n in [16_385, u64::from(u32::MAX)] {
        assert_eq!(
            guest.errno("poll_oneoff", &[at, events, n, nevents]),
            Errno::Nomem
        );
    }
    let mut guest = Guest::with_limits(|ctx| ctx.max_subscriptions(2));
    for (n, errno) in [(2, Errno::Success), (3, Errno::Nomem)] {
        let args = arguments(&mut guest, &vec![clock_subscription(1, MONOTONIC, 0, 0); n]);
        assert_eq!(guest.errno("poll_oneoff", &args), errno);
    }
}

#[test]
fn what_does_not_fit_into_the_memory_traps() {
    let mut guest = Guest::new();
    let [at, events, n, nevents] =
        arguments(&mut guest, &[clock_subscription(1, MONOTONIC, 0, 0); 2]);
    let end = guest.memory.len() as u64;
    for args in [
        [end - 95, events, n, nevents],
        [end - 88, events, n, nevents],
        [at, end - 56, n, nevents],
        [at, events, n, end],
        [at, events, n, 0xffff_fffc],
        [0xffff_fff8, events, n, nevents],
        [at + 4, events, n, nevents],
        [at, events + 4, n, nevents],
        [at, events, n, nevents + 2],
    ] {
        let answer = guest.call("poll_oneoff", &args);
        assert!(matches!(answer, Err(End::Trap(_))), "{args:?}: {answer:?}");
    }
    guest.set(
        end - 96,
        &[clock_subscription(1, MONOTONIC, 0, 0); 2].concat(),
    );
    guest.ok("poll_oneoff", &[end - 96, end - 256, n, end - 4]);
}
