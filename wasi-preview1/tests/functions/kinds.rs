//! What each function says to descriptors of each kind.

use crate::support::*;
use std::sync::Arc;
use wasi_cli::memory::{Input, Output};
use wasi_cli::{Stdin, Stdout, WasiCliCtx};
use wasi_io::{DynInputStream, DynOutputStream};

/// The answers of a function to a standard input, an output, a file, a directory, a socket
/// that listens, and a connection. All other arguments are 0, which is no path and no buffer.
type Answers = [Errno; 6];

const KINDS: [u64; 6] = [STDIN, STDOUT, FILE, DIR, LISTENER, CONNECTION];

fn answers(function: &str) -> Option<Answers> {
    use Errno::{
        Badf, Inval, Isdir, Nametoolong, Noent, Notcapable, Notconn, Notdir, Notsock, Spipe,
        Success,
    };
    Some(match function {
        // Input, output, file, directory, listener, connection.
        "fd_advise" | "fd_pread" | "fd_pwrite" | "fd_seek" | "fd_tell" => {
            [Spipe, Spipe, Success, Isdir, Spipe, Spipe]
        }
        "fd_allocate" => [Spipe, Spipe, Inval, Isdir, Spipe, Spipe],
        "fd_filestat_set_size" => [Inval, Inval, Success, Isdir, Inval, Inval],
        "fd_close"
        | "fd_fdstat_get"
        | "fd_fdstat_set_flags"
        | "fd_fdstat_set_rights"
        | "fd_filestat_get" => [Success; 6],
        "fd_renumber" => [Success; 6],
        "fd_datasync" | "fd_sync" => [
            Notcapable, Success, Success, Success, Notcapable, Notcapable,
        ],
        "fd_filestat_set_times" => [
            Notcapable, Notcapable, Success, Success, Notcapable, Notcapable,
        ],
        "fd_prestat_get" => [Badf, Badf, Badf, Success, Success, Success],
        "fd_prestat_dir_name" => [Badf, Badf, Badf, Nametoolong, Badf, Badf],
        "fd_read" => [Success, Badf, Success, Isdir, Notconn, Success],
        "fd_write" => [Badf, Success, Success, Isdir, Notconn, Success],
        "fd_readdir" => [Notdir, Notdir, Notdir, Success, Notdir, Notdir],
        name if name.starts_with("path_") => [Notdir, Notdir, Notdir, Noent, Notdir, Notdir],
        "sock_accept" => [Notsock, Notsock, Notsock, Notsock, Success, Inval],
        "sock_recv" | "sock_send" => [Notsock, Notsock, Notsock, Notsock, Notconn, Success],
        "sock_shutdown" => [Notsock, Notsock, Notsock, Notsock, Notconn, Inval],
        _ => return None,
    })
}

/// The numbers of the parameters that are descriptors.
fn descriptors(function: &wasi_preview1::Function) -> Vec<usize> {
    let names = ["fd", "old_fd", "new_fd", "to"];
    let params = function.params.iter().enumerate();
    let mut fds: Vec<_> = params
        .filter(|(_, param)| names.contains(&param.name))
        .map(|(n, _)| n)
        .collect();
    if function.name == "sock_accept" {
        // The other is a result.
        fds.truncate(1);
    }
    fds
}

#[test]
fn each_function_tells_kinds_apart() {
    for function in wasi_preview1::functions(Version::Preview1) {
        let fds = descriptors(function);
        let Some(answers) = answers(function.name) else {
            assert!(fds.is_empty(), "{}", function.name);
            continue;
        };
        for (fd, errno) in KINDS.into_iter().zip(answers) {
            let mut guest = Guest::new();
            let _peer = connect(&guest.net, guest.address);
            let mut args = vec![0; function.params.len()];
            fds.iter().for_each(|n| args[*n] = fd);
            assert_eq!(
                guest.errno(function.name, &args),
                errno,
                "{} {fd}",
                function.name
            );
        }
    }
}

#[test]
fn a_number_that_is_not_open_is_told_before_anything_else() {
    for function in wasi_preview1::functions(Version::Preview1) {
        let fds = descriptors(function);
        for n in &fds {
            for bad in [FREE, 4096, u64::from(u32::MAX), 1 << 31] {
                let mut guest = Guest::new();
                // Pointers out of the memory, and flags that are none.
                let mut args = vec![u64::MAX; function.params.len()];
                fds.iter().for_each(|n| args[*n] = DIR);
                args[*n] = bad;
                // The kind and rights of one are looked at when both are there.
                assert_eq!(
                    guest.errno(function.name, &args),
                    Errno::Badf,
                    "{}",
                    function.name
                );
            }
        }
    }
}

#[test]
fn a_descriptor_that_was_closed_is_not_there() {
    for fd in [STDIN, STDOUT, DIR, LISTENER, CONNECTION, FILE] {
        let mut guest = Guest::new();
        let stat = guest.room(24);
        guest.ok("fd_close", &[fd]);
        assert_eq!(guest.errno("fd_close", &[fd]), Errno::Badf);
        assert_eq!(guest.errno("fd_fdstat_get", &[fd, stat]), Errno::Badf);
        // The lowest number is given first.
        let other = if fd == DIR { RO } else { DIR };
        let opened = guest.room(4);
        let [path, path_len] = guest.path("dir");
        guest.ok("path_open", &[other, 0, path, path_len, 0, 0, 0, 0, opened]);
        assert_eq!(u64::from(guest.u32(opened)), fd);
    }
}

/// A stream at which somebody sits.
struct Terminal<T>(T);

impl Stdin for Terminal<Input> {
    fn stream(&self) -> DynInputStream {
        Stdin::stream(&self.0)
    }

    fn is_terminal(&self) -> bool {
        true
    }
}

impl Stdout for Terminal<Output> {
    fn stream(&self) -> DynOutputStream {
        Stdout::stream(&self.0)
    }

    fn is_terminal(&self) -> bool {
        true
    }
}

#[test]
fn fdstat_and_filestat_tell_what_is_open() {
    let mut guest = Guest::new();
    let (fdstat, filestat) = (guest.room(24), guest.put(&[0xaa; 64]));
    for (fd, filetype) in [
        (STDIN, Filetype::Unknown),
        (STDOUT, Filetype::Unknown),
        (DIR, Filetype::Directory),
        (LISTENER, Filetype::SocketStream),
        (CONNECTION, Filetype::SocketStream),
        (FILE, Filetype::RegularFile),
        (DIR2, Filetype::Directory),
    ] {
        guest.ok("fd_fdstat_get", &[fd, fdstat]);
        assert_eq!(guest.bytes(fdstat, 1), [filetype as u8], "{fd}");
        assert_eq!(guest.u16(fdstat + 2), 0);
        guest.ok("fd_filestat_get", &[fd, filestat]);
        assert_eq!(guest.bytes(filestat + 16, 1), [filetype as u8], "{fd}");
        if !matches!(filetype, Filetype::Directory | Filetype::RegularFile) {
            let mut record = [0; 64];
            record[16] = filetype as u8;
            assert_eq!(guest.bytes(filestat, 64), record);
        }
    }
}

#[test]
fn a_terminal_is_a_character_device_without_a_position() {
    let cli = WasiCliCtx::default()
        .stdin(Terminal(Input::new("typed")))
        .stdout(Terminal(Output::new(10)));
    let mut guest = Guest::new();
    guest.ctx = WasiPreview1Ctx::new(&cli, clocks(&guest.clock), random());
    let fdstat = guest.room(24);
    let filetypes = [
        Filetype::CharacterDevice,
        Filetype::CharacterDevice,
        Filetype::Unknown,
    ];
    for (fd, filetype) in (0..).zip(filetypes) {
        guest.ok("fd_fdstat_get", &[fd, fdstat]);
        assert_eq!(guest.bytes(fdstat, 1), [filetype as u8]);
        // As libc's isatty wants it.
        let (base, _) = guest.rights(fd);
        assert!(!base.intersects(Rights::FD_SEEK | Rights::FD_TELL));
        assert_eq!(guest.tell(fd), Err(Errno::Spipe));
    }
    assert_eq!(guest.read(STDIN, 9).unwrap(), b"typed");
    assert_eq!(guest.write(STDOUT, b"shown"), Ok(5));
}

#[test]
fn a_standard_stream_waits_unless_it_is_told_not_to() {
    let mut guest = Guest::new();
    let buf = guest.room(8);
    let [iovs, iovs_len] = guest.iovecs(&[(buf, 8)]);
    let at = guest.room(4);
    let wait = guest.wait("fd_read", &[STDIN, iovs, iovs_len, at]);
    guest.feed(b"late");
    assert_eq!(guest.finish(wait), Ok(Errno::Success));
    assert_eq!(guest.bytes(buf, guest.u32(at) as usize), b"late");
    guest.set_flags(STDIN, FdFlags::NONBLOCK);
    assert_eq!(guest.read(STDIN, 9), Err(Errno::Again));
    guest.set_flags(STDIN, FdFlags::empty());
    guest.stdin = None;
    assert_eq!(guest.read(STDIN, 9).unwrap(), b"");
    assert_eq!(guest.read(STDIN, 9).unwrap(), b"");

    let full = [b'x'; STDERR_MAX + 4];
    guest.set_flags(STDERR, FdFlags::NONBLOCK);
    assert_eq!(guest.write(STDERR, &full), Ok(STDERR_MAX));
    assert_eq!(guest.write(STDERR, &full), Err(Errno::Again));
    guest.set_flags(STDERR, FdFlags::empty());
    let data = guest.put(b"more");
    let [iovs, iovs_len] = guest.iovecs(&[(data, 4)]);
    let mut wait = guest.wait("fd_write", &[STDERR, iovs, iovs_len, at]);
    let (woken, waker) = waker();
    assert!(guest.poll(&mut wait, &waker).is_pending());
    let mut stream = DynInputStream::new(guest.stderr.take().unwrap());
    assert_eq!(stream.read(100).unwrap(), [b'x'; STDERR_MAX][..]);
    assert!(woken.times() > 0);
    assert_eq!(
        guest.poll(&mut wait, &waker),
        Poll::Ready(Ok(Errno::Success))
    );
    assert_eq!(guest.u32(at), 4);
    assert_eq!(stream.read(100).unwrap(), "more");
}

#[test]
fn an_output_that_is_closed_is_a_broken_pipe_with_what_it_took_before() {
    let mut guest = Guest::new();
    assert_eq!(guest.write(STDOUT, &[b'x'; STDOUT_MAX + 1]), Ok(STDOUT_MAX));
    assert_eq!(guest.write(STDOUT, b"x"), Err(Errno::Pipe));
    assert_eq!(guest.write(STDOUT, b""), Ok(0));
}

#[test]
fn a_wait_that_is_dropped_takes_nothing() {
    let mut guest = Guest::new();
    let buf = guest.room(8);
    let [iovs, iovs_len] = guest.iovecs(&[(buf, 8)]);
    let at = guest.room(4);
    let mut wait = guest.wait("fd_read", &[STDIN, iovs, iovs_len, at]);
    let (_, waker) = waker();
    assert!(guest.poll(&mut wait, &waker).is_pending());
    guest.feed(b"kept");
    drop(wait);
    assert_eq!(guest.read(STDIN, 9).unwrap(), b"kept");
}

#[test]
fn what_a_wait_was_for_may_be_closed_or_replaced_meanwhile() {
    let with = |change: fn(&mut Guest)| {
        let mut guest = Guest::new();
        let buf = guest.room(8);
        let [iovs, iovs_len] = guest.iovecs(&[(buf, 8)]);
        let at = guest.room(4);
        let wait = guest.wait("fd_read", &[STDIN, iovs, iovs_len, at]);
        change(&mut guest);
        errno(guest.finish(wait))
    };
    assert_eq!(with(|guest| guest.ok("fd_close", &[STDIN])), Errno::Badf);
    assert_eq!(
        with(|guest| guest.ok("fd_renumber", &[FILE, STDIN])),
        Errno::Badf
    );
    let replaced = with(|guest| {
        send(guest.peer(), b"other");
        guest.ok("fd_renumber", &[CONNECTION, STDIN]);
    });
    assert_eq!(replaced, Errno::Success);
}

#[test]
fn a_pipe_that_was_opened_has_no_position() {
    #[cfg(target_os = "linux")]
    {
        use wasi_filesystem::os::{Mode, OsDirectory};
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        let made = std::process::Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap();
        assert!(made.success());
        let directory = OsDirectory::open_ambient(dir.path(), Mode::Inline).unwrap();
        let mut guest = Guest::over(Arc::new(directory));
        let fd = guest.open(DIR, "fifo").unwrap();
        // The backends read by offsets, which it has not.
        assert_eq!(guest.read(fd, 4), Err(Errno::Spipe));
        let (base, _) = guest.rights(fd);
        assert!(!base.contains(Rights::FD_SEEK) && base.contains(Rights::FD_READ));
        assert_eq!(guest.seek(fd, 0, 0), Err(Errno::Notcapable));
        let stat = guest.room(64);
        guest.ok("fd_filestat_get", &[fd, stat]);
        assert_eq!(guest.bytes(stat + 16, 1), [Filetype::Unknown as u8]);
    }
}
