//! Each errno that the docs of a function name, and those of the backends that it passes on.

use crate::support::disk::Disk;
use crate::support::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use wasi_cli::WasiCliCtx;
use wasi_filesystem::memory::{Limits, MemFs};
use wasi_filesystem::{Directory, WasiFilesystemCtx, vfs};

struct Case {
    function: &'static str,
    errno: Errno,
    how: &'static str,
    /// Makes what it needs, and the arguments.
    args: fn(&mut Guest) -> Vec<u64>,
}

fn at(g: &mut Guest, fd: u64, path: &str) -> Vec<u64> {
    let [path, path_len] = g.path(path);
    vec![fd, path, path_len]
}

fn two(g: &mut Guest, from: u64, old: &str, to: u64, new: &str) -> Vec<u64> {
    [at(g, from, old), at(g, to, new)].concat()
}

fn link(g: &mut Guest, from: u64, old: &str, to: u64, new: &str) -> Vec<u64> {
    let mut args = two(g, from, old, to, new);
    args.insert(1, 0);
    args
}

fn symlink(g: &mut Guest, old: &str, fd: u64, new: &str) -> Vec<u64> {
    two(g, 0, old, fd, new)[1..].to_vec()
}

fn stat(g: &mut Guest, flags: u64, path: &str) -> Vec<u64> {
    let [path, path_len] = g.path(path);
    vec![DIR, flags, path, path_len, g.room(64)]
}

fn times(g: &mut Guest, flags: u64, path: &str, fst_flags: u64) -> Vec<u64> {
    let [path, path_len] = g.path(path);
    vec![DIR, flags, path, path_len, 1, 2, fst_flags]
}

fn readlink(g: &mut Guest, path: &str) -> Vec<u64> {
    let [path, path_len] = g.path(path);
    vec![DIR, path, path_len, g.room(9), 9, g.room(4)]
}

/// Follows links.
fn open(g: &mut Guest, path: &str, oflags: u64, rights: Rights, fdflags: u64) -> Vec<u64> {
    let [path, path_len] = g.path(path);
    let opened = g.room(4);
    vec![
        DIR,
        1,
        path,
        path_len,
        oflags,
        rights.bits(),
        0,
        fdflags,
        opened,
    ]
}

fn transfer(g: &mut Guest, fd: u64) -> Vec<u64> {
    let buf = g.room(4);
    let [iovs, iovs_len] = g.iovecs(&[(buf, 4)]);
    vec![fd, iovs, iovs_len, g.room(4)]
}

fn transfer_at(g: &mut Guest, fd: u64, offset: u64) -> Vec<u64> {
    let mut args = transfer(g, fd);
    args.insert(3, offset);
    args
}

/// `file`, opened to write, without other rights.
fn to_write(g: &mut Guest) -> u64 {
    let args = open(g, "file", 0, Rights::FD_WRITE, 0);
    g.ok("path_open", &args);
    FREE
}

/// Fills the filesystem.
fn fill(g: &mut Guest) {
    g.fs.write_file("dir/inner", &vec![1; 1 << 20]).unwrap_err();
    for n in 0..2000 {
        let name = format!("dir/{n}{}", "x".repeat(200));
        if g.fs.create_dir_all(&name).is_err() {
            return;
        }
    }
    panic!("it is never full");
}

/// Takes all of the numbers.
fn full(g: &mut Guest) {
    g.ctx = core::mem::replace(&mut g.ctx, nothing(&g.clock)).max_descriptors(FREE as usize);
}

fn nothing(clock: &wasi_clocks::manual::ManualClock) -> WasiPreview1Ctx {
    WasiPreview1Ctx::new(&WasiCliCtx::default(), clocks(clock), random())
}

/// A filesystem whose contents fail.
fn failing(g: &mut Guest) {
    let disk = Disk::new();
    disk.add("file", b"x");
    *g = Guest::over(disk.clone());
    g.open(DIR, "file").unwrap();
    disk.fail_after(0);
}

/// Another filesystem next to the first, at [`DIR`] and `DIR + 1`.
fn two_filesystems(g: &mut Guest) {
    let other: Arc<dyn Directory> = vfs::directory(files(&g.clock));
    let directories = WasiFilesystemCtx::new()
        .preopen(vfs::directory(g.fs.clone()), "/")
        .preopen(other, "/other");
    g.ctx = nothing(&g.clock).filesystem(directories);
}

/// Files of up to 100 bytes.
fn small_files(g: &mut Guest) {
    let limits = Limits {
        file_size: 100,
        ..Limits::default()
    };
    g.fs = Arc::new(MemFs::with_limits(Arc::new(g.clock.clone()), limits));
    g.fs.write_file("file", b"x").unwrap();
    let directories = WasiFilesystemCtx::new().preopen(vfs::directory(g.fs.clone()), "/");
    g.ctx = nothing(&g.clock).filesystem(directories);
    g.open(DIR, "file").unwrap();
}

const NONE: Rights = Rights::empty();

macro_rules! cases {
    ($($function:ident, $errno:ident, $how:literal, $args:expr;)*) => {
        [$(Case {
            function: stringify!($function),
            errno: Errno::$errno,
            how: $how,
            args: $args,
        }),*]
    };
}

fn cases() -> Vec<Case> {
    let mut all = Vec::from(of_descriptors());
    all.extend(of_transfers());
    all.extend(of_paths());
    all.extend(of_opening());
    all.extend(of_others());
    all
}

fn of_descriptors() -> [Case; 49] {
    cases! {
        clock_res_get, Inval, "the time that was computed", |g| vec![2, g.room(8)];
        clock_res_get, Inval, "no clock", |g| vec![4, g.room(8)];
        clock_time_get, Inval, "the time that the thread computed", |g| vec![3, 0, g.room(8)];
        clock_time_get, Inval, "no clock", |g| vec![1 << 31, 0, g.room(8)];
        fd_advise, Inval, "no advice", |_| vec![FILE, 0, 0, 6];
        fd_advise, Isdir, "", |_| vec![DIR, 0, 0, 0];
        fd_advise, Spipe, "", |_| vec![STDIN, 0, 0, 0];
        fd_allocate, Inval, "no length", |_| vec![FILE, 0, 0];
        fd_allocate, Fbig, "beyond 64 bits", |_| vec![FILE, u64::MAX, 1];
        fd_allocate, Fbig, "beyond what a file can have", |_| vec![FILE, 1 << 40, 1];
        fd_allocate, Nospc, "", |_| vec![FILE, 0, 1 << 30];
        fd_allocate, Badf, "closed", |_| vec![99, 0, 1];
        fd_allocate, Notsup, "", |g| {
            let disk = Disk::new();
            disk.add("file", b"x");
            *g = Guest::over(disk);
            vec![g.open(DIR, "file").unwrap(), 0, 1]
        };
        fd_allocate, Isdir, "", |_| vec![DIR, 0, 1];
        fd_allocate, Spipe, "", |_| vec![STDIN, 0, 1];
        fd_allocate, Notcapable, "", |g| vec![to_write(g), 0, 1];
        fd_close, Badf, "", |_| vec![99];
        fd_datasync, Notcapable, "", |_| vec![STDIN];
        fd_sync, Notcapable, "", |_| vec![CONNECTION];
        fd_datasync, Pipe, "nobody reads", |g| {
            g.write(STDERR, b"x").unwrap();
            g.stderr = None;
            vec![STDERR]
        };
        fd_fdstat_get, Badf, "", |g| vec![99, g.room(24)];
        fd_fdstat_set_flags, Notsup, "DSYNC", |_| vec![FILE, 2];
        fd_fdstat_set_flags, Notsup, "RSYNC", |_| vec![FILE, 8];
        fd_fdstat_set_flags, Notsup, "SYNC", |_| vec![FILE, 16];
        fd_fdstat_set_flags, Notsup, "all three, on a stream", |_| vec![STDIN, 26];
        fd_fdstat_set_flags, Notsup, "SYNC that it has", |g| {
            let args = open(g, "file", 0, Rights::FD_FDSTAT_SET_FLAGS, 16);
            g.ok("path_open", &args);
            vec![FREE, 0]
        };
        fd_fdstat_set_flags, Inval, "APPEND to a directory", |_| vec![DIR, 1];
        fd_fdstat_set_flags, Inval, "APPEND to a stream", |_| vec![STDOUT, 1];
        fd_fdstat_set_flags, Inval, "APPEND to a socket", |_| vec![CONNECTION, 1];
        fd_fdstat_set_flags, Inval, "unknown ones", |_| vec![FILE, 32];
        fd_fdstat_set_flags, Inval, "unknown ones, above 16 bits", |_| vec![FILE, 1 << 16];
        fd_fdstat_set_rights, Notcapable, "", |_| vec![STDIN, 1 << 6, 0];
        fd_fdstat_set_rights, Inval, "unknown ones", |_| vec![FILE, 1 << 30, 0];
        fd_filestat_get, Badf, "", |g| vec![99, g.room(64)];
        fd_filestat_set_size, Inval, "no file", |_| vec![STDOUT, 0];
        fd_filestat_set_size, Isdir, "", |_| vec![DIR, 0];
        fd_filestat_set_size, Fbig, "", |_| vec![FILE, (1 << 40) + 1];
        fd_filestat_set_size, Badf, "closed", |_| vec![99, 0];
        fd_filestat_set_times, Inval, "both times of access", |_| vec![FILE, 1, 1, 3];
        fd_filestat_set_times, Inval, "both times of change", |_| vec![FILE, 1, 1, 12];
        fd_filestat_set_times, Inval, "unknown flags", |_| vec![FILE, 1, 1, 16];
        fd_filestat_set_times, Notcapable, "", |_| vec![STDIN, 1, 1, 1];
        fd_prestat_get, Badf, "not preopened", |g| vec![DIR2, g.room(8)];
        fd_prestat_get, Badf, "a standard stream", |g| vec![STDIN, g.room(8)];
        fd_prestat_dir_name, Badf, "not preopened", |g| vec![DIR2, g.room(8), 8];
        fd_prestat_dir_name, Badf, "a socket", |g| vec![LISTENER, g.room(8), 8];
        fd_prestat_dir_name, Nametoolong, "", |g| vec![RO, g.room(8), 2];
        fd_renumber, Badf, "from", |_| vec![99, FILE];
        fd_renumber, Badf, "to", |_| vec![FILE, 99];
    }
}

fn of_transfers() -> [Case; 29] {
    cases! {
        fd_pread, Spipe, "", |g| transfer_at(g, STDIN, 0);
        fd_pread, Isdir, "", |g| transfer_at(g, DIR, 0);
        fd_pread, Inval, "beyond any offset", |g| transfer_at(g, FILE, 1 << 63);
        fd_pread, Io, "", |g| {
            failing(g);
            transfer_at(g, 4, 0)
        };
        fd_pwrite, Spipe, "", |g| transfer_at(g, CONNECTION, 0);
        fd_pwrite, Fbig, "", |g| transfer_at(g, FILE, 1 << 40);
        fd_pwrite, Nospc, "", |g| {
            fill(g);
            transfer_at(g, FILE, 1 << 30)
        };
        fd_read, Again, "", |g| {
            g.set_flags(STDIN, FdFlags::NONBLOCK);
            transfer(g, STDIN)
        };
        fd_read, Badf, "an output", |g| transfer(g, STDOUT);
        fd_read, Isdir, "", |g| transfer(g, DIR);
        fd_read, Notconn, "", |g| transfer(g, LISTENER);
        fd_read, Inval, "too many buffers", |g| vec![FILE, 0, (1 << 20) + 1, g.room(4)];
        fd_read, Connreset, "", |g| {
            g.write(CONNECTION, b"unread").unwrap();
            g.peer = None;
            transfer(g, CONNECTION)
        };
        fd_read, Io, "", |g| {
            failing(g);
            transfer(g, 4)
        };
        fd_write, Again, "", |g| {
            g.set_flags(STDERR, FdFlags::NONBLOCK);
            g.write(STDERR, &[0; STDERR_MAX]).unwrap();
            transfer(g, STDERR)
        };
        fd_write, Pipe, "", |g| {
            g.stderr = None;
            transfer(g, STDERR)
        };
        fd_write, Badf, "an input", |g| transfer(g, STDIN);
        fd_write, Isdir, "", |g| transfer(g, DIR);
        fd_write, Fbig, "", |g| {
            small_files(g);
            g.seek(4, 100, 0).unwrap();
            transfer(g, 4)
        };
        fd_seek, Inval, "before the start", |g| vec![FILE, -1_i64 as u64, 0, g.room(8)];
        fd_seek, Inval, "before the start, from here", |g| vec![FILE, i64::MIN as u64, 1, g.room(8)];
        fd_seek, Inval, "before the start, from the end", |g| {
            vec![FILE, -13_i64 as u64, 2, g.room(8)]
        };
        fd_seek, Inval, "no whence", |g| vec![FILE, 0, 3, g.room(8)];
        fd_seek, Overflow, "from here", |g| {
            g.seek(FILE, 1, 0).unwrap();
            vec![FILE, i64::MAX as u64, 1, g.room(8)]
        };
        fd_seek, Overflow, "from the end", |g| vec![FILE, i64::MAX as u64, 2, g.room(8)];
        fd_seek, Spipe, "", |g| vec![STDOUT, 0, 1, g.room(8)];
        fd_tell, Isdir, "", |g| vec![DIR, g.room(8)];
        fd_readdir, Notdir, "", |g| vec![FILE, g.room(9), 9, 0, g.room(4)];
        fd_readdir, Badf, "", |g| vec![99, g.room(9), 9, 0, g.room(4)];
    }
}

fn of_paths() -> [Case; 49] {
    cases! {
        path_create_directory, Exist, "", |g| at(g, DIR, "file");
        path_create_directory, Exist, "a link to nothing", |g| at(g, DIR, "dangling");
        path_create_directory, Noent, "", |g| at(g, DIR, "none/new");
        path_create_directory, Notdir, "below a file", |g| at(g, DIR, "file/new");
        path_create_directory, Rofs, "", |g| at(g, RO, "new");
        path_create_directory, Nospc, "", |g| {
            fill(g);
            let long = "y".repeat(250);
            at(g, DIR, &long)
        };
        path_filestat_get, Noent, "", |g| stat(g, 0, "none");
        path_filestat_get, Noent, "a link to nothing", |g| stat(g, 1, "dangling");
        path_filestat_get, Loop, "", |g| stat(g, 1, "loop");
        path_filestat_get, Notdir, "", |g| stat(g, 0, "file/");
        path_filestat_get, Inval, "unknown flags", |g| stat(g, 2, "file");
        path_filestat_set_times, Inval, "both times of access", |g| times(g, 0, "file", 3);
        path_filestat_set_times, Inval, "both times of change", |g| times(g, 0, "file", 12);
        path_filestat_set_times, Inval, "unknown flags", |g| times(g, 2, "file", 1);
        path_filestat_set_times, Inval, "unknown times", |g| times(g, 0, "file", 1 << 16);
        path_filestat_set_times, Noent, "", |g| times(g, 0, "none", 1);
        path_filestat_set_times, Loop, "", |g| times(g, 1, "loop", 1);
        path_link, Exist, "", |g| link(g, DIR, "file", DIR, "link");
        path_link, Noent, "", |g| link(g, DIR, "none", DIR, "new");
        path_link, Perm, "a directory", |g| link(g, DIR, "dir", DIR, "new");
        path_link, Rofs, "", |g| link(g, DIR, "file", RO, "new");
        path_link, Inval, "unknown flags", |g| {
            let mut args = link(g, DIR, "file", DIR, "new");
            args[1] = 2;
            args
        };
        path_link, Xdev, "", |g| {
            two_filesystems(g);
            link(g, DIR, "file", DIR + 1, "new")
        };
        path_readlink, Inval, "no link", |g| readlink(g, "file");
        path_readlink, Noent, "", |g| readlink(g, "none");
        path_remove_directory, Notempty, "", |g| at(g, DIR, "dir");
        path_remove_directory, Notdir, "", |g| at(g, DIR, "file");
        path_remove_directory, Notdir, "a link", |g| {
            g.fs.symlink("empty", "elink").unwrap();
            at(g, DIR, "elink")
        };
        path_remove_directory, Noent, "", |g| at(g, DIR, "none");
        path_remove_directory, Inval, "itself", |g| at(g, DIR, ".");
        path_remove_directory, Rofs, "", |g| at(g, RO, "empty");
        path_rename, Isdir, "", |g| two(g, DIR, "file", DIR, "empty");
        path_rename, Notdir, "", |g| two(g, DIR, "empty", DIR, "file");
        path_rename, Notempty, "", |g| two(g, DIR, "empty", DIR, "dir");
        path_rename, Inval, "into itself", |g| two(g, DIR, "dir", DIR, "dir/sub/x");
        path_rename, Noent, "", |g| two(g, DIR, "none", DIR, "new");
        path_rename, Busy, "", |g| two(g, DIR, "dir/.", DIR, "new");
        path_rename, Rofs, "", |g| two(g, DIR, "file", RO, "new");
        path_rename, Xdev, "", |g| {
            two_filesystems(g);
            two(g, DIR, "file", DIR + 1, "new")
        };
        path_symlink, Exist, "", |g| symlink(g, "x", DIR, "dangling");
        path_symlink, Noent, "no contents", |g| symlink(g, "", DIR, "new");
        path_symlink, Perm, "an absolute one", |g| symlink(g, "/x", DIR, "new");
        path_symlink, Inval, "a NUL", |g| symlink(g, "x\0", DIR, "new");
        path_symlink, Notdir, "", |g| symlink(g, "x", DIR, "file/new");
        path_symlink, Rofs, "", |g| symlink(g, "x", RO, "new");
        path_unlink_file, Isdir, "", |g| at(g, DIR, "dir");
        path_unlink_file, Noent, "", |g| at(g, DIR, "none");
        path_unlink_file, Notdir, "", |g| at(g, DIR, "file/");
        path_unlink_file, Rofs, "", |g| at(g, RO, "file");
    }
}

fn of_opening() -> [Case; 22] {
    const ALL: Rights = Rights::all();
    cases! {
        path_open, Notcapable, "rights that can't be inherited", |g| open(g, "file", 0, ALL, 0);
        path_open, Notcapable, "to create", |g| {
            g.narrow(DIR, ALL - Rights::PATH_CREATE_FILE);
            open(g, "new", 1, NONE, 0)
        };
        path_open, Notcapable, "to truncate", |g| {
            g.narrow(DIR, ALL - Rights::PATH_FILESTAT_SET_SIZE);
            open(g, "file", 8, NONE, 0)
        };
        path_open, Notcapable, "to sync", |g| {
            g.narrow(DIR, ALL - Rights::FD_SYNC);
            open(g, "file", 0, NONE, 8)
        };
        path_open, Isdir, "to write", |g| open(g, "dir", 0, Rights::FD_WRITE, 0);
        path_open, Isdir, "to allocate", |g| open(g, "dir", 0, Rights::FD_ALLOCATE, 0);
        path_open, Isdir, "to cut", |g| open(g, "dir", 0, Rights::FD_FILESTAT_SET_SIZE, 0);
        path_open, Isdir, "to truncate", |g| open(g, "dir", 8, NONE, 0);
        path_open, Mfile, "our limit", |g| {
            full(g);
            open(g, "file", 0, NONE, 0)
        };
        path_open, Mfile, "the limit of files", |g| {
            let directory = vfs::directory(g.fs.clone());
            let files = WasiFilesystemCtx::new().max_descriptors(0).preopen(directory, "/");
            g.ctx = nothing(&g.clock).filesystem(files);
            open(g, "file", 0, NONE, 0)
        };
        path_open, Exist, "", |g| open(g, "file", 5, NONE, 0);
        path_open, Noent, "", |g| open(g, "none", 0, NONE, 0);
        path_open, Noent, "a link to nothing", |g| open(g, "dangling", 0, NONE, 0);
        path_open, Notdir, "", |g| open(g, "file", 2, NONE, 0);
        path_open, Notdir, "below a file", |g| open(g, "file/x", 0, NONE, 0);
        path_open, Loop, "", |g| open(g, "loop", 0, NONE, 0);
        path_open, Loop, "a link that is not followed", |g| {
            let mut args = open(g, "link", 0, NONE, 0);
            args[1] = 0;
            args
        };
        path_open, Inval, "both a directory and new", |g| open(g, "new", 3, NONE, 0);
        path_open, Inval, "unknown oflags", |g| open(g, "file", 16, NONE, 0);
        path_open, Inval, "unknown fdflags", |g| open(g, "file", 0, NONE, 32);
        path_open, Inval, "unknown lookup flags", |g| {
            let mut args = open(g, "file", 0, NONE, 0);
            args[1] = 2;
            args
        };
        path_open, Nospc, "", |g| {
            fill(g);
            let long = "y".repeat(250);
            open(g, &long, 1, NONE, 0)
        };
    }
}

fn of_others() -> [Case; 28] {
    cases! {
        poll_oneoff, Inval, "no subscription", |g| vec![g.room(48), g.room(32), 0, g.room(4)];
        poll_oneoff, Inval, "an unknown type", |g| {
            let subscription = g.put(&[3; 48]);
            vec![subscription, g.room(32), 1, g.room(4)]
        };
        poll_oneoff, Nomem, "", |g| vec![g.room(48), g.room(32), 16_385, g.room(4)];
        proc_raise, Inval, "", |_| vec![31];
        random_get, Io, "", |g| {
            let random = wasi_random::WasiRandomCtx::new(Broken);
            g.ctx = WasiPreview1Ctx::new(&WasiCliCtx::default(), clocks(&g.clock), random);
            vec![g.room(8), 8]
        };
        sock_accept, Again, "", |g| {
            g.set_flags(LISTENER, FdFlags::NONBLOCK);
            vec![LISTENER, 0, g.room(4)]
        };
        sock_accept, Inval, "a connection", |g| vec![CONNECTION, 0, g.room(4)];
        sock_accept, Inval, "other flags", |g| vec![LISTENER, 1, g.room(4)];
        sock_accept, Inval, "unknown flags", |g| vec![LISTENER, 32, g.room(4)];
        sock_accept, Notsock, "", |g| vec![FILE, 0, g.room(4)];
        sock_accept, Mfile, "", |g| {
            full(g);
            g.peer = Some(connect(&g.net, g.address));
            vec![LISTENER, 0, g.room(4)]
        };
        sock_recv, Again, "", |g| {
            g.set_flags(CONNECTION, FdFlags::NONBLOCK);
            receive_with(g, CONNECTION, 0)
        };
        sock_recv, Notconn, "", |g| receive_with(g, LISTENER, 0);
        sock_recv, Notsock, "", |g| receive_with(g, STDIN, 0);
        sock_recv, Inval, "unknown flags", |g| receive_with(g, CONNECTION, 4);
        sock_recv, Badf, "", |g| receive_with(g, 99, 0);
        sock_recv, Connreset, "", |g| {
            g.write(CONNECTION, b"unread").unwrap();
            g.peer = None;
            receive_with(g, CONNECTION, 0)
        };
        sock_send, Inval, "flags", |g| send_with(g, CONNECTION, 1);
        sock_send, Notconn, "", |g| send_with(g, LISTENER, 0);
        sock_send, Notsock, "", |g| send_with(g, FILE, 0);
        sock_send, Pipe, "", |g| {
            g.ok("sock_shutdown", &[CONNECTION, 2]);
            send_with(g, CONNECTION, 0)
        };
        sock_send, Again, "", |g| {
            g.set_flags(CONNECTION, FdFlags::NONBLOCK);
            while g.write(CONNECTION, &[0; 30_000]).is_ok() {}
            send_with(g, CONNECTION, 0)
        };
        sock_send, Connreset, "", |g| {
            g.write(CONNECTION, b"unread").unwrap();
            g.peer = None;
            send_with(g, CONNECTION, 0)
        };
        sock_shutdown, Inval, "neither", |_| vec![CONNECTION, 0];
        sock_shutdown, Inval, "unknown ones", |_| vec![CONNECTION, 4];
        sock_shutdown, Notconn, "it listens", |_| vec![LISTENER, 3];
        sock_shutdown, Notconn, "no peer any more", |g| {
            g.write(CONNECTION, b"unread").unwrap();
            g.peer = None;
            vec![CONNECTION, 3]
        };
        sock_shutdown, Notsock, "", |_| vec![STDIN, 3];
    }
}

struct Broken;

impl wasi_random::Random for Broken {
    fn fill(&self, _: &mut [u8]) -> Result<(), wasi_io::Error> {
        Err(wasi_io::Error::new(std::io::Error::other("broken")))
    }
}

fn receive_with(g: &mut Guest, fd: u64, flags: u64) -> Vec<u64> {
    let transfer = transfer(g, fd);
    [&transfer[..3], &[flags, transfer[3], g.room(2)]].concat()
}

fn send_with(g: &mut Guest, fd: u64, flags: u64) -> Vec<u64> {
    let mut args = transfer(g, fd);
    args.insert(3, flags);
    args
}

#[test]
fn each_errno_comes_when_it_should_and_nothing_is_written_then() {
    for case in cases() {
        let mut guest = Guest::new();
        let args = (case.args)(&mut guest);
        let before = guest.memory.clone();
        let errno = guest.errno(case.function, &args);
        assert_eq!(errno, case.errno, "{} {}", case.function, case.how);
        assert!(guest.memory == before, "{} {}", case.function, case.how);
    }
}

/// The errnos that the docs of each function name, one by one.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let source = include_str!("../../src/functions.rs");
    let known: BTreeSet<_> = Errno::ALL
        .iter()
        .map(|errno| format!("{errno:?}"))
        .collect();
    let (mut all, mut docs) = (BTreeMap::new(), BTreeSet::new());
    for line in source.lines().map(str::trim) {
        if let Some(doc) = line.strip_prefix("///") {
            let words = doc.split('`').skip(1).step_by(2);
            docs.extend(words.map(String::from).filter(|word| known.contains(word)));
            continue;
        }
        let function = ["plain ", "waits ", "ends "]
            .iter()
            .find_map(|kind| line.strip_prefix(kind));
        if let Some((name, _)) = function.and_then(|function| function.split_once('(')) {
            all.insert(name.to_owned(), core::mem::take(&mut docs));
        }
        docs.clear();
    }
    all
}

#[test]
fn no_errno_of_the_docs_is_left_out() {
    let documented = documented();
    assert_eq!(documented.len(), 46);
    let named: usize = documented.values().map(BTreeSet::len).sum();
    assert!(named > 30, "the docs are read: {documented:?}");
    for (function, errnos) in documented {
        for errno in errnos {
            let mut cases = cases().into_iter();
            let there = cases.any(|c| c.function == function && format!("{:?}", c.errno) == errno);
            assert!(there, "{function} is never {errno}");
        }
    }
}

/// The functions with a path, and the number of its pointer in each.
fn paths() -> Vec<(&'static wasi_preview1::Function, usize)> {
    let mut all = Vec::new();
    for function in wasi_preview1::functions(Version::Preview1) {
        if function.name.starts_with("path_") {
            let params = function.params.iter().enumerate();
            let paths = params.filter(|(_, param)| param.name.ends_with("path"));
            all.extend(paths.map(|(n, _)| (function, n)));
        }
    }
    assert_eq!(all.len(), 13);
    all
}

/// Arguments that are right but for the path at `n`.
fn with_path(
    guest: &mut Guest,
    function: &wasi_preview1::Function,
    n: usize,
    path: &[u8],
) -> Vec<u64> {
    let result = guest.room(64);
    let mut args = Vec::new();
    for (m, param) in function.params.iter().enumerate() {
        args.push(match param.name {
            "fd" | "old_fd" | "new_fd" => DIR,
            name if name.ends_with("path") => match (m == n, m == 0) {
                (true, _) => guest.put(path),
                (_, true) => guest.put(b"target"),
                _ if function.name == "path_symlink" => guest.put(b"new1"),
                _ => guest.put(b"file"),
            },
            "path_len" | "old_path_len" | "new_path_len" => match (m == n + 1, m == 1) {
                (true, _) => path.len() as u64,
                (_, true) => 6,
                _ => 4,
            },
            "stat" | "opened_fd" | "buf" | "bufused" => result,
            _ => 0,
        });
    }
    args
}

#[test]
fn each_path_is_looked_at() {
    let longest = [&b"x/"[..]; 2048].concat();
    let too_long = [&longest[..], b"x"].concat();
    for (function, n) in paths() {
        let contents = function.name == "path_symlink" && n == 0;
        for (path, errno) in [
            (&b"not \xff UTF-8"[..], Errno::Ilseq),
            (&too_long, Errno::Nametoolong),
            // That is told without a look at what it is.
            (&[0xff; 4097], Errno::Nametoolong),
            (b"", Errno::Noent),
            (b"/file", Errno::Perm),
            (b"a\0b", Errno::Inval),
            (b"..", Errno::Perm),
            (b"../file", Errno::Perm),
            (b"dir/../../file", Errno::Perm),
            (&longest, Errno::Noent),
        ] {
            let mut guest = Guest::new();
            let args = with_path(&mut guest, function, n, path);
            let escapes = path.windows(2).any(|two| two == b"..") || path == longest;
            // What a link holds is not walked.
            let errno = if contents && escapes {
                Errno::Success
            } else {
                errno
            };
            let answer = guest.errno(function.name, &args);
            // Nothing above a directory can be moved or removed, whatever is there.
            let above = path == b".." && answer != Errno::Success;
            let path = String::from_utf8_lossy(&path[..path.len().min(20)]).into_owned();
            assert!(
                answer == errno || (above && !contents),
                "{} {n} {path}: {answer:?}",
                function.name
            );
        }
    }
}

#[test]
fn each_path_that_is_not_in_the_memory_traps() {
    for (function, n) in paths() {
        let mut guest = Guest::new();
        let end = guest.memory.len() as u64;
        let good = with_path(&mut guest, function, n, b"file");
        for (at, len) in [
            (end, 1),
            (end - 3, 4),
            (0, end + 1),
            (0xffff_ffff, 0xffff_ffff),
        ] {
            let mut args = good.clone();
            (args[n], args[n + 1]) = (at, len);
            let trap = Trap::OutOfBounds {
                at: at as u32,
                len,
                size: end,
            };
            assert_eq!(
                guest.call(function.name, &args),
                Err(End::Trap(trap)),
                "{}",
                function.name
            );
        }
        // Of no bytes, nothing is dereferenced.
        let mut args = good.clone();
        (args[n], args[n + 1]) = (0xffff_ffff, 0);
        assert_eq!(
            guest.errno(function.name, &args),
            Errno::Noent,
            "{}",
            function.name
        );
    }
}
