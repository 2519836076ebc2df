//! A call of each function that succeeds, on each kind of descriptor that it is for, and the
//! rights that the witx names for it.

use super::*;
use wasi_types::preview1::SdFlags;

type Arguments = Box<dyn Fn(&mut Guest) -> Vec<u64>>;

/// A call that succeeds.
pub(crate) struct Call {
    pub(crate) function: &'static str,
    /// What is special about it.
    pub(crate) how: &'static str,
    /// The descriptor whose rights it needs; `None` where it has none.
    pub(crate) fd: Option<u64>,
    /// Rights that suffice: each on its own.
    pub(crate) needs: &'static [Rights],
    /// Makes what it needs, and the arguments.
    pub(crate) args: Arguments,
}

impl Call {
    /// Calls it. What an event says counts as what the call does.
    pub(crate) fn call(&self, guest: &mut Guest) -> Errno {
        let args = (self.args)(guest);
        self.call_with(guest, &args)
    }

    pub(crate) fn call_with(&self, guest: &mut Guest, args: &[u64]) -> Errno {
        match guest.errno(self.function, args) {
            Errno::Success if self.function == "poll_oneoff" => {
                assert_eq!(guest.u32(args[3]), 1);
                Errno::ALL[usize::from(guest.u16(args[1] + 8))]
            }
            errno => errno,
        }
    }

    pub(crate) fn name(&self) -> String {
        format!("{} {} on {:?}", self.function, self.how, self.fd)
    }
}

/// A subscription for a descriptor.
pub(crate) fn fd_subscription(userdata: u64, event_type: EventType, fd: u64) -> [u8; 48] {
    let mut record = [0; 48];
    record[..8].copy_from_slice(&userdata.to_le_bytes());
    record[8] = event_type as u8;
    record[16..20].copy_from_slice(&(fd as u32).to_le_bytes());
    record
}

fn poll(guest: &mut Guest, event_type: EventType, fd: u64) -> Vec<u64> {
    let subscription = guest.put(&fd_subscription(1, event_type, fd));
    vec![subscription, guest.room(32), 1, guest.room(4)]
}

fn transfer(guest: &mut Guest, fd: u64) -> Vec<u64> {
    let buf = guest.put(b"some");
    let [iovs, iovs_len] = guest.iovecs(&[(buf, 4)]);
    vec![fd, iovs, iovs_len, guest.room(4)]
}

fn transfer_at(guest: &mut Guest, fd: u64) -> Vec<u64> {
    let mut args = transfer(guest, fd);
    args.insert(3, 2);
    args
}

fn at(guest: &mut Guest, fd: u64, path: &str) -> Vec<u64> {
    let [path, path_len] = guest.path(path);
    vec![fd, path, path_len]
}

fn open(guest: &mut Guest, oflags: OFlags, fdflags: FdFlags) -> Vec<u64> {
    let [path, path_len] = guest.path("file");
    let (oflags, fdflags) = (oflags.bits().into(), fdflags.bits().into());
    let opened = guest.room(4);
    vec![DIR, 1, path, path_len, oflags, 0, 0, fdflags, opened]
}

/// From below one descriptor to below another.
fn from_to(guest: &mut Guest, from: u64, to: u64) -> Vec<u64> {
    let source = if from == DIR { "file" } else { "inner" };
    let [source, source_len] = guest.path(source);
    let [target, target_len] = guest.path("target");
    vec![from, source, source_len, to, target, target_len]
}

fn link(guest: &mut Guest, from: u64, to: u64) -> Vec<u64> {
    let mut args = from_to(guest, from, to);
    args.insert(1, 0);
    args
}

const NONE: &[Rights] = &[Rights::empty()];
const TELL: &[Rights] = &[Rights::FD_TELL, Rights::FD_SEEK];
const WAITS_TO_READ: &[Rights] = &[Rights::FD_READ.union(Rights::POLL_FD_READWRITE)];
const WAITS_TO_WRITE: &[Rights] = &[Rights::FD_WRITE.union(Rights::POLL_FD_READWRITE)];

macro_rules! calls {
    ($($function:ident, $how:literal, $fd:expr, $needs:expr, $args:expr;)*) => {
        vec![$(Call {
            function: stringify!($function),
            how: $how,
            fd: $fd,
            needs: const { $needs },
            args: Box::new($args),
        }),*]
    };
}

/// All of them.
pub(crate) fn calls() -> Vec<Call> {
    let mut all = without_descriptor();
    for fd in [STDIN, STDOUT, DIR, LISTENER, CONNECTION, FILE] {
        all.extend(of_every_kind(fd));
    }
    all.extend(of_files());
    all.extend(of_directories());
    all.extend(of_streams());
    all
}

fn without_descriptor() -> Vec<Call> {
    calls! {
        args_get, "", None, NONE, |g| vec![g.room(12), g.room(20)];
        args_sizes_get, "", None, NONE, |g| vec![g.room(4), g.room(4)];
        environ_get, "", None, NONE, |g| vec![g.room(8), g.room(20)];
        environ_sizes_get, "", None, NONE, |g| vec![g.room(4), g.room(4)];
        clock_res_get, "", None, NONE, |g| vec![0, g.room(8)];
        clock_time_get, "", None, NONE, |g| vec![1, 0, g.room(8)];
        proc_raise, "", None, NONE, |_| vec![0];
        random_get, "", None, NONE, |g| vec![g.room(8), 8];
        sched_yield, "", None, NONE, |_| vec![];
    }
}

fn of_every_kind(fd: u64) -> Vec<Call> {
    calls! {
        fd_close, "", Some(fd), NONE, move |_| vec![fd];
        fd_fdstat_get, "", Some(fd), NONE, move |g| vec![fd, g.room(24)];
        fd_fdstat_set_flags, "", Some(fd), &[Rights::FD_FDSTAT_SET_FLAGS], move |_| vec![fd, 4];
        fd_fdstat_set_rights, "", Some(fd), NONE, move |_| vec![fd, 0, 0];
        fd_filestat_get, "", Some(fd), &[Rights::FD_FILESTAT_GET], move |g| vec![fd, g.room(64)];
        fd_renumber, "", Some(fd), NONE, move |_| vec![fd, STDERR];
    }
}

fn of_files() -> Vec<Call> {
    let fd = Some(FILE);
    calls! {
        fd_advise, "", fd, &[Rights::FD_ADVISE], |_| vec![FILE, 0, 0, 0];
        fd_allocate, "", fd, &[Rights::FD_ALLOCATE], |_| vec![FILE, 0, 5];
        fd_datasync, "", fd, &[Rights::FD_DATASYNC], |_| vec![FILE];
        fd_filestat_set_size, "", fd, &[Rights::FD_FILESTAT_SET_SIZE], |_| vec![FILE, 5];
        fd_filestat_set_times, "", fd, &[Rights::FD_FILESTAT_SET_TIMES], |_| vec![FILE, 1, 2, 5];
        fd_pread, "", fd, &[Rights::FD_READ.union(Rights::FD_SEEK)], |g| transfer_at(g, FILE);
        fd_pwrite, "", fd, &[Rights::FD_WRITE.union(Rights::FD_SEEK)], |g| transfer_at(g, FILE);
        fd_read, "", fd, &[Rights::FD_READ], |g| transfer(g, FILE);
        fd_seek, "from the start", fd, &[Rights::FD_SEEK], |g| vec![FILE, 1, 0, g.room(8)];
        fd_seek, "from here", fd, &[Rights::FD_SEEK], |g| vec![FILE, 1, 1, g.room(8)];
        fd_seek, "from the end", fd, &[Rights::FD_SEEK], |g| vec![FILE, 0, 2, g.room(8)];
        fd_seek, "to where it is", fd, TELL, |g| vec![FILE, 0, 1, g.room(8)];
        fd_sync, "", fd, &[Rights::FD_SYNC], |_| vec![FILE];
        fd_tell, "", fd, TELL, |g| vec![FILE, g.room(8)];
        fd_write, "", fd, &[Rights::FD_WRITE], |g| transfer(g, FILE);
        poll_oneoff, "to read", fd, WAITS_TO_READ, |g| poll(g, EventType::FdRead, FILE);
        poll_oneoff, "to write", fd, WAITS_TO_WRITE, |g| poll(g, EventType::FdWrite, FILE);
    }
}

fn of_directories() -> Vec<Call> {
    const OPEN: Rights = Rights::PATH_OPEN;
    let fd = Some(DIR);
    let none = FdFlags::empty();
    calls! {
        fd_datasync, "", fd, &[Rights::FD_DATASYNC], |_| vec![DIR];
        fd_filestat_set_times, "", fd, &[Rights::FD_FILESTAT_SET_TIMES], |_| vec![DIR, 1, 2, 5];
        fd_prestat_get, "", fd, NONE, |g| vec![DIR, g.room(8)];
        fd_prestat_dir_name, "", fd, NONE, |g| vec![DIR, g.room(1), 1];
        fd_readdir, "", fd, &[Rights::FD_READDIR], |g| vec![DIR, g.room(99), 99, 0, g.room(4)];
        fd_sync, "", fd, &[Rights::FD_SYNC], |_| vec![DIR];
        path_create_directory, "", fd, &[Rights::PATH_CREATE_DIRECTORY], |g| at(g, DIR, "new");
        path_filestat_get, "", fd, &[Rights::PATH_FILESTAT_GET], |g| {
            let [path, path_len] = g.path("file");
            vec![DIR, 0, path, path_len, g.room(64)]
        };
        path_filestat_set_times, "", fd, &[Rights::PATH_FILESTAT_SET_TIMES], |g| {
            let [path, path_len] = g.path("file");
            vec![DIR, 0, path, path_len, 1, 2, 5]
        };
        path_link, "from", fd, &[Rights::PATH_LINK_SOURCE], |g| link(g, DIR, DIR2);
        path_link, "to", fd, &[Rights::PATH_LINK_TARGET], |g| link(g, DIR2, DIR);
        path_open, "", fd, &[OPEN], move |g| open(g, OFlags::empty(), none);
        path_open, "and create", fd, &[OPEN.union(Rights::PATH_CREATE_FILE)],
            move |g| open(g, OFlags::CREAT, none);
        path_open, "and truncate", fd, &[OPEN.union(Rights::PATH_FILESTAT_SET_SIZE)],
            move |g| open(g, OFlags::TRUNC, none);
        path_open, "with DSYNC", fd,
            &[OPEN.union(Rights::FD_DATASYNC), OPEN.union(Rights::FD_SYNC)],
            |g| open(g, OFlags::empty(), FdFlags::DSYNC);
        path_open, "with RSYNC", fd, &[OPEN.union(Rights::FD_SYNC)],
            |g| open(g, OFlags::empty(), FdFlags::RSYNC);
        // The witx names no right for it.
        path_open, "with SYNC", fd, &[OPEN],
            |g| open(g, OFlags::empty(), FdFlags::SYNC);
        path_readlink, "", fd, &[Rights::PATH_READLINK], |g| {
            let [path, path_len] = g.path("link");
            vec![DIR, path, path_len, g.room(9), 9, g.room(4)]
        };
        path_remove_directory, "", fd, &[Rights::PATH_REMOVE_DIRECTORY], |g| at(g, DIR, "empty");
        path_rename, "from", fd, &[Rights::PATH_RENAME_SOURCE], |g| from_to(g, DIR, DIR2);
        path_rename, "to", fd, &[Rights::PATH_RENAME_TARGET], |g| from_to(g, DIR2, DIR);
        path_symlink, "", fd, &[Rights::PATH_SYMLINK], |g| {
            let [old, old_len] = g.path("file");
            let [new, new_len] = g.path("new");
            vec![old, old_len, DIR, new, new_len]
        };
        path_unlink_file, "", fd, &[Rights::PATH_UNLINK_FILE], |g| at(g, DIR, "file");
    }
}

fn of_streams() -> Vec<Call> {
    let (input, output) = (Some(STDIN), Some(STDOUT));
    let (listener, connection) = (Some(LISTENER), Some(CONNECTION));
    let fed = |g: &mut Guest| g.feed(b"fed");
    let sent = |g: &mut Guest| send(g.peer(), b"sent");
    calls! {
        fd_read, "", input, &[Rights::FD_READ], move |g| {
            fed(g);
            transfer(g, STDIN)
        };
        poll_oneoff, "to read", input, WAITS_TO_READ, move |g| {
            fed(g);
            poll(g, EventType::FdRead, STDIN)
        };
        fd_write, "", output, &[Rights::FD_WRITE], |g| transfer(g, STDOUT);
        fd_sync, "", output, &[Rights::FD_SYNC], |_| vec![STDOUT];
        fd_datasync, "", output, &[Rights::FD_DATASYNC], |_| vec![STDOUT];
        poll_oneoff, "to write", output, WAITS_TO_WRITE, |g| poll(g, EventType::FdWrite, STDOUT);
        sock_accept, "", listener, &[Rights::SOCK_ACCEPT], |g| {
            g.peer = Some(connect(&g.net, g.address));
            vec![LISTENER, 0, g.room(4)]
        };
        fd_prestat_get, "", listener, NONE, |g| vec![LISTENER, g.room(8)];
        poll_oneoff, "to accept", listener, WAITS_TO_READ, |g| {
            g.peer = Some(connect(&g.net, g.address));
            poll(g, EventType::FdRead, LISTENER)
        };
        fd_prestat_get, "", connection, NONE, |g| vec![CONNECTION, g.room(8)];
        fd_read, "", connection, &[Rights::FD_READ], move |g| {
            sent(g);
            transfer(g, CONNECTION)
        };
        fd_write, "", connection, &[Rights::FD_WRITE], |g| transfer(g, CONNECTION);
        sock_recv, "", connection, &[Rights::FD_READ], move |g| {
            sent(g);
            let transfer = transfer(g, CONNECTION);
            [&transfer[..3], &[0, transfer[3], g.room(2)]].concat()
        };
        sock_send, "", connection, &[Rights::FD_WRITE], |g| {
            let mut args = transfer(g, CONNECTION);
            args.insert(3, 0);
            args
        };
        sock_shutdown, "", connection, &[Rights::SOCK_SHUTDOWN],
            |_| vec![CONNECTION, SdFlags::all().bits().into()];
        poll_oneoff, "to read", connection, WAITS_TO_READ, move |g| {
            sent(g);
            poll(g, EventType::FdRead, CONNECTION)
        };
        poll_oneoff, "to write", connection, WAITS_TO_WRITE,
            |g| poll(g, EventType::FdWrite, CONNECTION);
    }
}
