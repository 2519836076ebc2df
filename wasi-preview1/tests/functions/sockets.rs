//! Sockets that the host gave: in memory, and of this machine.

use crate::support::*;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown as StdShutdown, TcpStream as StdStream};
use std::sync::Arc;
use wasi_cli::WasiCliCtx;
use wasi_sockets::os::OsNetwork;
use wasi_sockets::{Shutdown, TcpListener};

const PEEK: u64 = 1;
const WAITALL: u64 = 2;

fn accept(guest: &mut Guest, flags: u64) -> Result<u64, Errno> {
    let at = guest.room(4);
    match guest.errno("sock_accept", &[LISTENER, flags, at]) {
        Errno::Success => Ok(guest.u32(at).into()),
        errno => Err(errno),
    }
}

/// Arguments of `sock_recv` into buffers of these lengths, and these.
fn receiving(
    guest: &mut Guest,
    fd: u64,
    lens: &[usize],
    flags: u64,
) -> ([u64; 6], Vec<(u64, usize)>) {
    let bufs: Vec<_> = lens.iter().map(|len| (guest.room(*len), *len)).collect();
    let [data, data_len] = guest.iovecs(&bufs);
    let (len, ro_flags) = (guest.room(4), guest.put(&[0xaa; 2]));
    ([fd, data, data_len, flags, len, ro_flags], bufs)
}

fn received(guest: &Guest, args: &[u64; 6], bufs: &[(u64, usize)]) -> Vec<u8> {
    assert_eq!(guest.u16(args[5]), 0, "the flags");
    let all = bufs.iter().flat_map(|(at, len)| guest.bytes(*at, *len));
    all.take(guest.u32(args[4]) as usize).copied().collect()
}

fn recv(guest: &mut Guest, fd: u64, lens: &[usize], flags: u64) -> Result<Vec<u8>, Errno> {
    let (args, bufs) = receiving(guest, fd, lens, flags);
    match guest.errno("sock_recv", &args) {
        Errno::Success => Ok(received(guest, &args, &bufs)),
        errno => Err(errno),
    }
}

fn sock_send(guest: &mut Guest, fd: u64, parts: &[&[u8]]) -> Result<usize, Errno> {
    let bufs: Vec<_> = parts
        .iter()
        .map(|part| (guest.put(part), part.len()))
        .collect();
    let [data, data_len] = guest.iovecs(&bufs);
    let len = guest.room(4);
    match guest.errno("sock_send", &[fd, data, data_len, 0, len]) {
        Errno::Success => Ok(guest.u32(len) as usize),
        errno => Err(errno),
    }
}

#[test]
fn accepting_waits_for_who_connects_unless_told_not_to() {
    let mut guest = Guest::new();
    let at = guest.room(4);
    let mut wait = guest.wait("sock_accept", &[LISTENER, 0, at]);
    let (woken, waker) = waker();
    assert!(guest.poll(&mut wait, &waker).is_pending());
    let peer = connect(&guest.net, guest.address);
    assert!(woken.times() > 0);
    assert_eq!(
        guest.poll(&mut wait, &waker),
        Poll::Ready(Ok(Errno::Success))
    );
    assert_eq!(u64::from(guest.u32(at)), FREE);
    send(&*peer, b"x");
    assert_eq!(guest.read(FREE, 9).unwrap(), b"x");

    guest.set_flags(LISTENER, FdFlags::NONBLOCK);
    assert_eq!(accept(&mut guest, 0), Err(Errno::Again));
    let _peer = connect(&guest.net, guest.address);
    assert_eq!(accept(&mut guest, 0), Ok(FREE + 1));
    // What was accepted waits or not as it was asked for, not as the listener.
    let (args, _) = receiving(&mut guest, FREE + 1, &[1], 0);
    guest.wait("sock_recv", &args);
    let _peer = connect(&guest.net, guest.address);
    let nonblock = FdFlags::NONBLOCK.bits().into();
    assert_eq!(accept(&mut guest, nonblock), Ok(FREE + 2));
    assert_eq!(guest.read(FREE + 2, 9), Err(Errno::Again));
    let stat = guest.room(24);
    guest.ok("fd_fdstat_get", &[FREE + 2, stat]);
    assert_eq!(guest.u16(stat + 2), FdFlags::NONBLOCK.bits());
    assert_eq!(guest.bytes(stat, 1), [Filetype::SocketStream as u8]);
}

#[test]
fn a_connection_that_finds_no_descriptor_is_kept() {
    let mut guest = Guest::with_limits(|ctx| ctx.max_descriptors(FILE as usize));
    let peer = connect(&guest.net, guest.address);
    send(&*peer, b"still here");
    for _ in 0..3 {
        assert_eq!(accept(&mut guest, 0), Err(Errno::Mfile));
    }
    guest.ok("fd_close", &[STDERR]);
    assert_eq!(accept(&mut guest, 0), Ok(STDERR));
    assert_eq!(guest.read(STDERR, 20).unwrap(), b"still here");
}

#[test]
fn a_limit_below_what_is_granted_keeps_the_connection_too() {
    let mut guest = Guest::with_limits(|ctx| ctx.max_descriptors(2));
    let peer = connect(&guest.net, guest.address);
    send(&*peer, b"still here");
    assert_eq!(accept(&mut guest, 0), Err(Errno::Mfile));
    // Granted were seven, and no fewer may be open.
    guest.ok("fd_close", &[RO]);
    assert_eq!(accept(&mut guest, 0), Ok(RO));
    assert_eq!(guest.read(RO, 20).unwrap(), b"still here");
}

#[test]
fn a_connection_is_kept_where_the_last_number_goes_while_it_is_waited_for() {
    let mut guest = Guest::with_limits(|ctx| ctx.max_descriptors(FILE as usize + 1));
    let at = guest.room(4);
    let mut wait = guest.wait("sock_accept", &[LISTENER, 0, at]);
    assert_eq!(guest.open(DIR, "file"), Ok(FILE));
    let peer = connect(&guest.net, guest.address);
    send(&*peer, b"still here");
    let (_, waker) = waker();
    assert_eq!(guest.poll(&mut wait, &waker), Poll::Ready(Ok(Errno::Mfile)));
    guest.ok("fd_close", &[FILE]);
    assert_eq!(accept(&mut guest, 0), Ok(FILE));
    assert_eq!(guest.read(FILE, 20).unwrap(), b"still here");
}

#[test]
fn flags_and_kinds_that_accept_does_not_have_are_refused() {
    let mut guest = Guest::new();
    for flags in [1, 2, 8, 16, 5, 32, u64::from(u32::MAX)] {
        assert_eq!(accept(&mut guest, flags), Err(Errno::Inval), "{flags}");
    }
    for (fd, errno) in [
        (CONNECTION, Errno::Inval),
        (FILE, Errno::Notsock),
        (DIR, Errno::Notsock),
        (STDIN, Errno::Notsock),
        (99, Errno::Badf),
    ] {
        assert_eq!(guest.errno("sock_accept", &[fd, 0, 0]), errno);
    }
}

#[test]
fn receiving_gives_what_is_there() {
    let mut guest = Guest::new();
    let (args, bufs) = receiving(&mut guest, CONNECTION, &[2, 0, 3], 0);
    let wait = guest.wait("sock_recv", &args);
    drop(wait);
    let wait = guest.wait("sock_recv", &args);
    send(guest.peer(), b"abcd");
    assert_eq!(guest.finish(wait), Ok(Errno::Success));
    assert_eq!(received(&guest, &args, &bufs), b"abcd");
    send(guest.peer(), b"efghijk");
    assert_eq!(
        recv(&mut guest, CONNECTION, &[2, 0, 3], 0).unwrap(),
        b"efghi"
    );
    assert_eq!(recv(&mut guest, CONNECTION, &[9], 0).unwrap(), b"jk");
    guest.set_flags(CONNECTION, FdFlags::NONBLOCK);
    assert_eq!(recv(&mut guest, CONNECTION, &[9], 0), Err(Errno::Again));
    assert_eq!(recv(&mut guest, CONNECTION, &[9], PEEK), Err(Errno::Again));
    assert_eq!(
        recv(&mut guest, CONNECTION, &[9], WAITALL),
        Err(Errno::Again)
    );
    guest.peer().shutdown(Shutdown::Send).unwrap();
    for flags in 0..4 {
        assert_eq!(recv(&mut guest, CONNECTION, &[9], flags).unwrap(), b"");
    }
    for flags in [4, 1 << 16, u64::from(u32::MAX)] {
        assert_eq!(recv(&mut guest, CONNECTION, &[9], flags), Err(Errno::Inval));
    }
}

#[test]
fn what_is_peeked_at_comes_again_to_whoever_reads() {
    let mut guest = Guest::new();
    send(guest.peer(), b"abcdef");
    for lens in [&[3][..], &[1, 0, 2], &[6], &[20], &[2, 20]] {
        let n = lens.iter().sum::<usize>().min(6);
        assert_eq!(
            recv(&mut guest, CONNECTION, lens, PEEK).unwrap(),
            b"abcdef"[..n]
        );
    }
    assert_eq!(recv(&mut guest, CONNECTION, &[2], 0).unwrap(), b"ab");
    send(guest.peer(), b"gh");
    assert_eq!(recv(&mut guest, CONNECTION, &[1], PEEK).unwrap(), b"c");
    assert_eq!(guest.read(CONNECTION, 2).unwrap(), b"cd");
    assert_eq!(
        recv(&mut guest, CONNECTION, &[4], PEEK | WAITALL).unwrap(),
        b"efgh"
    );
    assert_eq!(
        recv(&mut guest, CONNECTION, &[4], WAITALL).unwrap(),
        b"efgh"
    );
    // Into no room nothing is looked at.
    assert_eq!(recv(&mut guest, CONNECTION, &[], PEEK).unwrap(), b"");
    assert_eq!(
        recv(&mut guest, CONNECTION, &[0], PEEK | WAITALL).unwrap(),
        b""
    );
}

#[test]
fn who_waits_for_all_gets_all_or_what_comes_before_the_end() {
    for flags in [WAITALL, WAITALL | PEEK] {
        let mut guest = Guest::new();
        let (args, bufs) = receiving(&mut guest, CONNECTION, &[3, 3], flags);
        let mut wait = guest.wait("sock_recv", &args);
        let (_, waker) = waker();
        for part in [&b"a"[..], b"bc", b"de"] {
            send(guest.peer(), part);
            assert!(guest.poll(&mut wait, &waker).is_pending());
        }
        send(guest.peer(), b"fg");
        assert!(guest.poll(&mut wait, &waker).is_ready());
        assert_eq!(received(&guest, &args, &bufs), b"abcdef");
        let left = if flags & PEEK == 0 {
            &b"g"[..]
        } else {
            b"abcdefg"
        };
        assert_eq!(
            recv(&mut guest, CONNECTION, &[left.len()], WAITALL).unwrap(),
            left
        );

        let mut wait = guest.wait("sock_recv", &args);
        send(guest.peer(), b"xy");
        assert!(guest.poll(&mut wait, &waker).is_pending());
        guest.peer().shutdown(Shutdown::Send).unwrap();
        assert!(guest.poll(&mut wait, &waker).is_ready());
        assert_eq!(received(&guest, &args, &bufs), b"xy");
    }
}

#[test]
fn what_does_not_wait_gives_what_it_has_of_all() {
    let mut guest = Guest::new();
    guest.set_flags(CONNECTION, FdFlags::NONBLOCK);
    send(guest.peer(), b"ab");
    assert_eq!(
        recv(&mut guest, CONNECTION, &[9], WAITALL | PEEK).unwrap(),
        b"ab"
    );
    assert_eq!(recv(&mut guest, CONNECTION, &[9], WAITALL).unwrap(), b"ab");
}

#[test]
fn no_more_than_64_kib_are_kept_to_be_looked_at() {
    let mut guest = Guest::new();
    guest.memory.resize(1 << 20, 0);
    let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n % 251) as u8).collect();
    let mut sent = 60_000;
    send(guest.peer(), &bytes[..sent]);
    let looked = recv(&mut guest, CONNECTION, &[90_000], PEEK).unwrap();
    assert_eq!(looked, bytes[..looked.len()]);
    send(guest.peer(), &bytes[sent..sent + 40_000]);
    sent += 40_000;
    let looked = recv(&mut guest, CONNECTION, &[90_000], PEEK | WAITALL).unwrap();
    assert_eq!(looked.len(), 64 << 10);
    assert_eq!(looked, bytes[..64 << 10]);
    let all = recv(&mut guest, CONNECTION, &[sent], WAITALL).unwrap();
    assert_eq!(all, bytes);
}

#[test]
fn sending_gives_all_of_the_buffers_and_waits_while_nobody_reads() {
    let mut guest = Guest::new();
    guest.memory.resize(1 << 20, 0);
    assert_eq!(
        sock_send(&mut guest, CONNECTION, &[b"ab", b"", b"cde"]),
        Ok(5)
    );
    assert_eq!(receive(guest.peer(), 5), b"abcde");
    let bytes: Vec<u8> = (0..150_000_u32).map(|n| (n % 251) as u8).collect();
    let buf = guest.put(&bytes);
    let [data, data_len] = guest.iovecs(&[(buf, 50_000), (buf + 50_000, 100_000)]);
    let len = guest.room(4);
    let mut wait = guest.wait("sock_send", &[CONNECTION, data, data_len, 0, len]);
    let (_, waker) = waker();
    assert!(guest.poll(&mut wait, &waker).is_pending());
    let mut got = Vec::new();
    while guest.poll(&mut wait, &waker).is_pending() {
        got.extend(receive(guest.peer(), 10_000));
    }
    assert_eq!(guest.u32(len), 150_000);
    got.extend(receive(guest.peer(), 150_000 - got.len()));
    assert_eq!(got, bytes);
    // What does not wait tells how many it took.
    guest.set_flags(CONNECTION, FdFlags::NONBLOCK);
    let taken = sock_send(&mut guest, CONNECTION, &[&bytes]).unwrap();
    assert!((1..150_000).contains(&taken));
    assert_eq!(
        sock_send(&mut guest, CONNECTION, &[&bytes]),
        Err(Errno::Again)
    );
    assert_eq!(
        guest.errno("sock_send", &[CONNECTION, 0, 0, 1, len]),
        Errno::Inval
    );
}

#[test]
fn each_direction_is_shut_down_on_its_own() {
    const RD: u64 = 1;
    const WR: u64 = 2;
    for (how, reads, writes) in [
        (RD, false, true),
        (WR, true, false),
        (RD | WR, false, false),
    ] {
        let mut guest = Guest::new();
        send(guest.peer(), b"before");
        if how == RD {
            recv(&mut guest, CONNECTION, &[3], PEEK).unwrap();
        }
        guest.ok("sock_shutdown", &[CONNECTION, how]);
        // Once more does nothing.
        guest.ok("sock_shutdown", &[CONNECTION, how]);
        match reads {
            true => assert_eq!(guest.read(CONNECTION, 9).unwrap(), b"before"),
            // What nobody will read is not there.
            false if how == RD => assert_eq!(guest.read(CONNECTION, 9).unwrap(), b""),
            false => assert!(recv(&mut guest, CONNECTION, &[9], PEEK).unwrap().is_empty()),
        }
        match writes {
            true => {
                assert_eq!(guest.write(CONNECTION, b"after"), Ok(5));
                assert_eq!(receive(guest.peer(), 5), b"after");
            }
            false => {
                assert_eq!(guest.write(CONNECTION, b"after"), Err(Errno::Pipe));
                assert_eq!(
                    sock_send(&mut guest, CONNECTION, &[b"after"]),
                    Err(Errno::Pipe)
                );
                assert_eq!(receive(guest.peer(), 5), b"");
            }
        }
        guest.ok("sock_shutdown", &[CONNECTION, RD | WR]);
    }
    let mut guest = Guest::new();
    for how in [0, 4, 7, u64::from(u32::MAX)] {
        assert_eq!(
            guest.errno("sock_shutdown", &[CONNECTION, how]),
            Errno::Inval
        );
    }
    assert_eq!(guest.errno("sock_shutdown", &[LISTENER, 3]), Errno::Notconn);
    assert_eq!(guest.errno("sock_shutdown", &[FILE, 3]), Errno::Notsock);
}

#[test]
fn a_half_that_is_closed_leaves_the_other() {
    let mut guest = Guest::new();
    send(guest.peer(), b"request");
    guest.peer().shutdown(Shutdown::Send).unwrap();
    assert_eq!(guest.read(CONNECTION, 20).unwrap(), b"request");
    assert_eq!(guest.read(CONNECTION, 20).unwrap(), b"");
    assert_eq!(guest.write(CONNECTION, b"answer"), Ok(6));
    guest.ok("fd_close", &[CONNECTION]);
    assert_eq!(receive(guest.peer(), 20), b"answer");
}

#[test]
fn a_peer_that_is_gone_is_told_by_each_function() {
    let mut guest = Guest::new();
    // What the peer never reads resets the connection.
    guest.write(CONNECTION, b"unread").unwrap();
    guest.peer = None;
    assert_eq!(recv(&mut guest, CONNECTION, &[9], 0), Err(Errno::Connreset));
    assert_eq!(
        recv(&mut guest, CONNECTION, &[9], PEEK),
        Err(Errno::Connreset)
    );
    assert_eq!(guest.read(CONNECTION, 9), Err(Errno::Connreset));
    assert_eq!(guest.write(CONNECTION, b"x"), Err(Errno::Connreset));
    assert_eq!(
        guest.errno("sock_shutdown", &[CONNECTION, 3]),
        Errno::Notconn
    );
}

#[test]
fn what_a_listener_can_not_do() {
    let mut guest = Guest::new();
    let at = guest.room(8);
    for (function, args) in [
        ("fd_read", &[LISTENER, 0, 0, at][..]),
        ("fd_write", &[LISTENER, 0, 0, at]),
        ("sock_recv", &[LISTENER, 0, 0, 0, at, at]),
        ("sock_send", &[LISTENER, 0, 0, 0, at]),
        ("sock_shutdown", &[LISTENER, 1]),
    ] {
        assert_eq!(guest.errno(function, args), Errno::Notconn, "{function}");
    }
}

#[test]
fn a_socket_that_the_host_gave_is_preopened_and_no_directory() {
    let mut guest = Guest::new();
    let _peer = connect(&guest.net, guest.address);
    let accepted = accept(&mut guest, 0).unwrap();
    let prestat = guest.room(8);
    for fd in [LISTENER, CONNECTION] {
        guest.ok("fd_prestat_get", &[fd, prestat]);
        assert_ne!(guest.bytes(prestat, 1), [0], "the type is no directory's");
        assert_eq!(guest.u32(prestat + 4), 0);
        assert_eq!(
            guest.errno("fd_prestat_dir_name", &[fd, prestat, 8]),
            Errno::Badf
        );
    }
    assert_eq!(
        guest.errno("fd_prestat_get", &[accepted, prestat]),
        Errno::Badf
    );
}

/// A guest with a listener of this machine, which is its number 3.
fn on_this_machine() -> (Guest, Arc<dyn TcpListener>) {
    let (listener, address) = listen(&OsNetwork::current());
    let mut guest = Guest::with_limits(|ctx| ctx);
    guest.address = address;
    let ctx = WasiPreview1Ctx::new(&WasiCliCtx::default(), clocks(&guest.clock), random());
    guest.ctx = ctx.listener(listener.clone());
    (guest, listener)
}

const OS_LISTENER: u64 = 3;

fn os_accept(guest: &mut Guest) -> u64 {
    let at = guest.room(4);
    guest.ok("sock_accept", &[OS_LISTENER, 0, at]);
    guest.u32(at).into()
}

#[test]
fn the_machine_s_sockets_serve_who_connects() {
    let (mut guest, _listener) = on_this_machine();
    let at = guest.room(4);
    let wait = guest.wait("sock_accept", &[OS_LISTENER, 0, at]);
    let mut client = StdStream::connect(guest.address).unwrap();
    assert_eq!(guest.finish(wait), Ok(Errno::Success));
    let fd = u64::from(guest.u32(at));
    client.write_all(b"hello").unwrap();
    let mut looked = Vec::new();
    while looked.len() < 5 {
        looked = recv(&mut guest, fd, &[9], PEEK).unwrap();
    }
    assert_eq!(looked, b"hello");
    assert_eq!(recv(&mut guest, fd, &[2, 3], WAITALL).unwrap(), b"hello");
    assert_eq!(sock_send(&mut guest, fd, &[b"wor", b"ld"]), Ok(5));
    let mut bytes = [0; 5];
    client.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"world");
    client.shutdown(StdShutdown::Write).unwrap();
    assert_eq!(recv(&mut guest, fd, &[9], 0).unwrap(), b"");
    assert_eq!(guest.write(fd, b"bye"), Ok(3));
    guest.ok("sock_shutdown", &[fd, 2]);
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"bye");
    assert_eq!(guest.write(fd, b"x"), Err(Errno::Pipe));
}

#[test]
fn the_machine_s_sockets_do_not_wait_where_they_are_told_so() {
    let (mut guest, _listener) = on_this_machine();
    guest.set_flags(OS_LISTENER, FdFlags::NONBLOCK);
    let at = guest.room(4);
    let again = guest.errno("sock_accept", &[OS_LISTENER, 0, at]);
    assert_eq!(again, Errno::Again);
    guest.set_flags(OS_LISTENER, FdFlags::empty());
    let _client = StdStream::connect(guest.address).unwrap();
    let fd = os_accept(&mut guest);
    guest.set_flags(fd, FdFlags::NONBLOCK);
    assert_eq!(guest.read(fd, 1), Err(Errno::Again));
    assert_eq!(recv(&mut guest, fd, &[1], PEEK), Err(Errno::Again));
}

#[test]
fn the_machine_s_listener_is_polled_and_then_accepts() {
    use crate::support::calls::fd_subscription;
    let (mut guest, _listener) = on_this_machine();
    let subscription = guest.put(&fd_subscription(5, EventType::FdRead, OS_LISTENER));
    let (events, nevents) = (guest.room(32), guest.room(4));
    let args = [subscription, events, 1, nevents];
    let wait = guest.wait("poll_oneoff", &args);
    let mut client = StdStream::connect(guest.address).unwrap();
    assert_eq!(guest.finish(wait), Ok(Errno::Success));
    assert_eq!((guest.u64(events), guest.u16(events + 8)), (5, 0));
    let fd = os_accept(&mut guest);
    let subscription = guest.put(&fd_subscription(6, EventType::FdRead, fd));
    let args = [subscription, events, 1, nevents];
    let wait = guest.wait("poll_oneoff", &args);
    client.write_all(b"x").unwrap();
    assert_eq!(guest.finish(wait), Ok(Errno::Success));
    assert_eq!(guest.u64(events), 6);
    assert_eq!(guest.read(fd, 9).unwrap(), b"x");
}

#[test]
fn a_reset_of_the_machine_s_connection_is_told() {
    let (mut guest, _listener) = on_this_machine();
    let client = StdStream::connect(guest.address).unwrap();
    let fd = os_accept(&mut guest);
    guest.write(fd, b"unread").unwrap();
    // The client closes with bytes that it has not read, once they are there.
    let mut byte = [0; 1];
    while client.peek(&mut byte).unwrap() == 0 {}
    drop(client);
    assert_eq!(guest.read(fd, 9), Err(Errno::Connreset));
}
