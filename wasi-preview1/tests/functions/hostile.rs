//! Random arguments over random memory: no function panics, and none writes where its
//! arguments do not let it.

use crate::support::*;
use std::collections::BTreeMap;
use std::ops::Range;
use std::thread;
use wasi_preview1::Function;

const CALLS: usize = 100_000;
const MEMORY: usize = 8 << 10;

/// xorshift64*.
struct Rng {
    state: u64,
    /// Half of the calls have arguments as a good guest's.
    tame: bool,
    preview_0: bool,
}

impl Rng {
    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 16) % n
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }

    /// Once in `n`.
    fn once_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    /// A pointer, as a rule one into the memory that is aligned.
    fn pointer(&mut self) -> u64 {
        let end = MEMORY as u64;
        match self.below(16) {
            _ if self.tame => self.below(end / 8 - 40) * 8,
            0 => self.of(&[0, 1, u32::MAX.into(), u64::from(u32::MAX) - 7, end, end - 1]),
            1 => end - self.below(80),
            2 => self.below(end),
            3 => u64::from(self.next() as u32),
            _ => self.below(end / 8) * 8,
        }
    }

    fn length(&mut self) -> u64 {
        match self.below(16) {
            _ if self.tame => self.below(24),
            0 => u64::from(self.next() as u32),
            1 => self.of(&[
                u32::MAX.into(),
                1 << 31,
                MEMORY as u64,
                1 << 29,
                (1 << 29) + 1,
            ]),
            2..4 => self.below(MEMORY as u64),
            _ => self.below(40),
        }
    }

    fn number(&mut self) -> u64 {
        match self.below(8) {
            _ if self.tame => self.below(40),
            0 => self.next(),
            1 => self.of(&[u64::MAX, 1 << 63, (1 << 63) - 1, u32::MAX.into(), 1 << 40]),
            2 => self.below(1 << 30),
            _ => self.below(40),
        }
    }

    /// A descriptor, as a rule one of those that the function is for.
    fn fd(&mut self, function: &str) -> u64 {
        match self.below(16) {
            _ if self.tame => self.of(suitable(function)),
            0 => self.number(),
            1..4 => self.below(FREE + 2),
            _ => self.of(suitable(function)),
        }
    }

    /// Ones of these bits.
    fn bits(&mut self, all: u64) -> u64 {
        match self.below(8) {
            0 if self.tame => 0,
            0 => self.next(),
            1..4 => 0,
            4 => all,
            _ => self.next() & self.next() & all,
        }
    }
}

fn suitable(function: &str) -> &'static [u64] {
    match function {
        "fd_read" => &[STDIN, CONNECTION, FILE, FILE],
        "fd_write" => &[STDOUT, CONNECTION, FILE, FILE],
        "sock_accept" => &[LISTENER],
        "sock_recv" | "sock_send" | "sock_shutdown" => &[CONNECTION],
        "fd_readdir" | "fd_prestat_dir_name" | "fd_prestat_get" => &[DIR, DIR2, RO],
        "fd_close"
        | "fd_renumber"
        | "fd_sync"
        | "fd_datasync"
        | "fd_fdstat_get"
        | "fd_fdstat_set_flags"
        | "fd_fdstat_set_rights"
        | "fd_filestat_get"
        | "poll_oneoff" => &[STDIN, STDOUT, DIR, LISTENER, CONNECTION, FILE],
        name if name.starts_with("path_") => &[DIR, DIR, DIR2, RO],
        _ => &[FILE],
    }
}

const PATHS: [&str; 14] = [
    "file",
    "dir",
    "new",
    "link",
    "dir/inner",
    "empty",
    "dangling",
    "loop",
    ".",
    "..",
    "dir/../x",
    "/",
    "dir/",
    "ro/\0",
];

/// Puts what a function may find there into the memory.
fn furnish(rng: &mut Rng, memory: &mut [u8], at: u64, name: &str, len: &mut u64) {
    let at = at as usize;
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(to) = memory.get_mut(at..at.saturating_add(bytes.len())) {
            to.copy_from_slice(bytes);
        }
    };
    match name {
        "iovs" | "ri_data" | "si_data" => {
            for n in 0..(*len).min(24) as usize {
                let buffer = [rng.pointer() as u32, rng.length() as u32].map(u32::to_le_bytes);
                put(at + 8 * n, &buffer.concat());
            }
        }
        "subscriptions" => {
            for n in 0..(*len).min(24) as usize {
                // Preview 0 has a number of the guest's own before the clock's.
                let clock = if rng.preview_0 { 24 } else { 16 };
                let mut record = vec![0; clock + 32];
                record[..8].copy_from_slice(&rng.next().to_le_bytes());
                record[8] = match rng.once_in(50) {
                    true => 3,
                    false => rng.below(3) as u8,
                };
                record[16..20].copy_from_slice(&(rng.fd("poll_oneoff") as u32).to_le_bytes());
                record[clock + 8..clock + 16].copy_from_slice(&rng.number().to_le_bytes());
                record[clock + 24] = rng.of(&[0, 0, 0, 1, 1, 2]);
                put(at + record.len() * n, &record);
            }
        }
        "path" | "old_path" | "new_path" => {
            let path = rng.of(&PATHS);
            *len = path.len() as u64;
            put(at, path.as_bytes());
        }
        _ => {}
    }
}

/// Random arguments for `function`, over memory that has some of what these would point to.
fn arguments(rng: &mut Rng, function: &Function, memory: &mut [u8]) -> Vec<u64> {
    let names: Vec<_> = function.params.iter().map(|param| param.name).collect();
    let mut args: Vec<_> = names
        .iter()
        .map(|name| argument(rng, function.name, name))
        .collect();
    if !rng.once_in(4) {
        for (n, name) in names.iter().enumerate() {
            let len = match *name {
                "subscriptions" => n + 2,
                _ => n + 1,
            };
            if let Some(mut value) = args.get(len).copied() {
                furnish(rng, memory, args[n], name, &mut value);
                args[len] = value;
            }
        }
    }
    // The upper half of what has 32 bits says nothing.
    for (arg, param) in args.iter_mut().zip(function.params) {
        if !param.is_64_bits && rng.once_in(4) {
            *arg |= rng.next() << 32;
        }
    }
    args
}

fn argument(rng: &mut Rng, function: &str, name: &str) -> u64 {
    match name {
        "fd" | "to" | "old_fd" | "new_fd" => rng.fd(function),
        "iovs_len" | "ri_data_len" | "si_data_len" | "nsubscriptions" | "path_len"
        | "old_path_len" | "new_path_len" | "buf_len" => rng.length(),
        "fs_rights_base" | "fs_rights_inheriting" => rng.bits((1 << 30) - 1),
        "flags" | "dirflags" | "old_flags" | "oflags" | "fdflags" | "fst_flags" | "ri_flags"
        | "si_flags" | "how" | "whence" | "advice" | "id" | "sig" => match rng.once_in(8) {
            true => rng.number(),
            false if name == "flags" && function == "sock_accept" => rng.of(&[0, 4]),
            false if name.ends_with("flags") && function.starts_with("path_") => {
                rng.of(&[0, 0, 1, 4])
            }
            false => rng.below(5),
        },
        "offset" if function == "fd_tell" => rng.pointer(),
        "offset" | "len" | "size" | "atim" | "mtim" | "precision" | "cookie" => rng.number(),
        "rval" => rng.number(),
        _ => rng.pointer(),
    }
}

/// Where a call may write, by its arguments and what these point to; `None` is anywhere.
///
/// Where a buffer lies over the records of the buffers, what was read says where the next is.
fn touchable(guest: &Guest, function: &Function, args: &[u64]) -> Option<Vec<Range<u64>>> {
    let arg = |name: &str| {
        let mut params = function.params.iter();
        let n = params.position(|param| param.name == name).unwrap();
        u64::from(args[n] as u32)
    };
    let at = |name: &str, len: u64| arg(name)..arg(name) + len;
    let buffers = |iovs: &str, len: &str| {
        let records = at(iovs, 8 * arg(len));
        if records.end > MEMORY as u64 {
            return Some(Vec::new());
        }
        let mut buffers = Vec::new();
        for n in 0..arg(len) {
            let record = records.start + 8 * n;
            let (start, len) = (guest.u32(record), guest.u32(record + 4));
            let buffer = u64::from(start)..u64::from(start) + u64::from(len);
            if buffer.start < records.end && records.start < buffer.end {
                return None;
            }
            buffers.push(buffer);
        }
        Some(buffers)
    };
    Some(match function.name {
        "args_get" => vec![at("argv", 4 * 3), at("argv_buf", 5 + 3 + 7)],
        "environ_get" => vec![at("environ", 4 * 2), at("environ_buf", 4 + 7)],
        "args_sizes_get" => vec![at("argc", 4), at("argv_buf_size", 4)],
        "environ_sizes_get" => vec![at("environc", 4), at("environ_buf_size", 4)],
        "clock_res_get" => vec![at("resolution", 8)],
        "clock_time_get" => vec![at("time", 8)],
        "fd_fdstat_get" => vec![at("stat", 24)],
        "fd_filestat_get" | "path_filestat_get" => match guest.version {
            Version::Preview1 => vec![at("stat", 64)],
            Version::Preview0 => vec![at("stat", 56)],
        },
        "fd_pread" | "fd_read" => {
            let mut touched = buffers("iovs", "iovs_len")?;
            touched.push(at("nread", 4));
            touched
        }
        "fd_write" | "fd_pwrite" => vec![at("nwritten", 4)],
        "fd_prestat_get" => vec![at("prestat", 8)],
        "fd_prestat_dir_name" => vec![at("path", arg("path_len"))],
        "fd_readdir" | "path_readlink" => vec![at("buf", arg("buf_len")), at("bufused", 4)],
        "fd_seek" => vec![at("newoffset", 8)],
        "fd_tell" => vec![at("offset", 8)],
        "path_open" => vec![at("opened_fd", 4)],
        "poll_oneoff" => vec![at("events", 32 * arg("nsubscriptions")), at("nevents", 4)],
        "random_get" => vec![at("buf", arg("buf_len"))],
        "sock_accept" => vec![at("new_fd", 4)],
        "sock_recv" => {
            let mut touched = buffers("ri_data", "ri_data_len")?;
            touched.extend([at("ro_datalen", 4), at("ro_flags", 2)]);
            touched
        }
        "sock_send" => vec![at("so_datalen", 4)],
        "fd_advise"
        | "fd_allocate"
        | "fd_close"
        | "fd_datasync"
        | "fd_fdstat_set_flags"
        | "fd_fdstat_set_rights"
        | "fd_filestat_set_size"
        | "fd_filestat_set_times"
        | "fd_renumber"
        | "fd_sync"
        | "path_create_directory"
        | "path_filestat_set_times"
        | "path_link"
        | "path_remove_directory"
        | "path_rename"
        | "path_symlink"
        | "path_unlink_file"
        | "proc_exit"
        | "proc_raise"
        | "sched_yield"
        | "sock_shutdown" => {
            vec![]
        }
        other => panic!("where does {other} write?"),
    })
}

/// Whether all of `now` but `touched` is as it was `before`.
fn kept(before: &[u8], now: &[u8], touched: &mut [Range<u64>]) -> bool {
    touched.sort_unstable_by_key(|range| range.start);
    let mut from = 0;
    for range in touched {
        let start = (range.start as usize).min(MEMORY);
        if from < start && before[from..start] != now[from..start] {
            return false;
        }
        from = from.max((range.end as usize).min(MEMORY));
    }
    before[from..] == now[from..]
}

/// Says which call it was that panicked.
struct Calling<'a>(&'a str, u64, &'a [u64]);

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("in {} with seed {}: {:?}", self.0, self.1, self.2);
        }
    }
}

fn guest() -> Guest {
    let mut guest = Guest::new();
    guest.memory.truncate(MEMORY);
    guest.feed(b"what is typed");
    send(guest.peer(), b"what is sent");
    guest
}

/// How many calls ended how: an errno, a trap, or a wait.
type Ends = BTreeMap<String, usize>;

fn call_often(function: &Function, version: Version) -> Ends {
    let mut ends = Ends::new();
    let mut guest = guest();
    guest.version = version;
    let mut before = vec![0; MEMORY];
    // What a descriptor is closed by, or filled with, should not last for all of the calls.
    let renewed_after = match function.name {
        "fd_close" | "fd_renumber" | "fd_fdstat_set_rights" | "sock_shutdown" => 20,
        "path_unlink_file" | "path_remove_directory" | "path_rename" | "sock_accept" => 20,
        _ => 200,
    };
    for call in 0..CALLS {
        let seed = (call as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let rng = &mut Rng {
            state: seed,
            tame: call % 2 == 0,
            preview_0: version == Version::Preview0,
        };
        if call % renewed_after == renewed_after - 1 {
            let memory = core::mem::take(&mut guest.memory);
            guest = self::guest();
            (guest.memory, guest.version) = (memory, version);
        }
        if function.name == "sock_accept" && rng.once_in(4) {
            guest.peer = Some(connect(&guest.net, guest.address));
        }
        let at = rng.below(MEMORY as u64 - 8) as usize;
        guest.memory[at..at + 8].copy_from_slice(&rng.next().to_le_bytes());
        let args = arguments(rng, function, &mut guest.memory);
        before.copy_from_slice(&guest.memory);
        let mut touched = touchable(&guest, function, &args);

        let calling = Calling(function.name, seed, &args);
        let mut outcome = guest.begin(function.name, &args);
        let (_, waker) = waker();
        if let Outcome::Wait(wait) = &mut outcome {
            if rng.once_in(2) {
                guest.clock.advance(rng.number() >> 20);
            }
            if let Poll::Ready(answer) = guest.poll(wait, &waker) {
                outcome = Outcome::Done(answer);
            }
        }
        let end = match &outcome {
            Outcome::Wait(_) => "wait".into(),
            Outcome::Done(Ok(errno)) => format!("{errno:?}"),
            Outcome::Done(Err(End::Trap(Trap::Misaligned { .. }))) => "misaligned".into(),
            Outcome::Done(Err(End::Trap(_))) => "out of bounds".into(),
            Outcome::Done(Err(End::Exit(_))) => "exit".into(),
            Outcome::Done(Err(_)) => "raised".into(),
        };
        if let Some(touched) = &mut touched {
            assert!(
                kept(&before, &guest.memory, touched),
                "writes elsewhere, {end}"
            );
            if end == "misaligned" || end == "out of bounds" {
                assert!(before == guest.memory, "writes and traps");
            }
        }
        drop(calling);
        *ends.entry(end).or_default() += 1;
    }
    ends
}

/// What random calls of a function come to at least now and then.
fn expected(function: &str) -> &'static [&'static str] {
    match function {
        "proc_exit" => &["exit"],
        "proc_raise" => &["Success", "raised", "Inval"],
        "args_get" | "environ_get" => &["Success", "misaligned", "out of bounds"],
        "clock_res_get" | "clock_time_get" => &["Success", "Inval", "misaligned", "out of bounds"],
        "random_get" => &["Success", "out of bounds"],
        "fd_read" => &[
            "Success",
            "wait",
            "Badf",
            "Isdir",
            "misaligned",
            "out of bounds",
        ],
        "fd_write" => &["Success", "Badf", "Isdir", "misaligned", "out of bounds"],
        "fd_pread" | "fd_pwrite" => &["Success", "Spipe", "misaligned", "out of bounds"],
        "poll_oneoff" => &[
            "Success",
            "wait",
            "Inval",
            "Nomem",
            "misaligned",
            "out of bounds",
        ],
        "sock_recv" => &[
            "Success",
            "wait",
            "Notsock",
            "Notconn",
            "misaligned",
            "out of bounds",
        ],
        "sock_accept" => &[
            "wait",
            "Success",
            "Notsock",
            "Inval",
            "misaligned",
            "out of bounds",
        ],
        "path_open" => &[
            "Success",
            "Noent",
            "Notcapable",
            "Perm",
            "Rofs",
            "Ilseq",
            "misaligned",
        ],
        "fd_readdir" => &["Success", "Notdir", "misaligned", "out of bounds"],
        "sched_yield" => &["wait"],
        _ => &["Success"],
    }
}

fn call_all(names: &[&str]) {
    for function in wasi_preview1::functions(Version::Preview1) {
        if names.contains(&function.name) {
            let ends = call_often(function, Version::Preview1);
            println!("{} {ends:?}", function.name);
            let succeeded = ends.get("Success").copied().unwrap_or(0);
            let never = ["proc_exit", "sched_yield"].contains(&function.name);
            assert!(
                never || succeeded > CALLS / 100,
                "{} {ends:?}",
                function.name
            );
            for end in expected(function.name) {
                assert!(
                    ends.contains_key(*end),
                    "{} never ends so: {end} {ends:?}",
                    function.name
                );
            }
        }
    }
}

#[test]
fn what_preview_0_has_of_its_own_writes_only_its_results() {
    for function in wasi_preview1::functions(Version::Preview0) {
        if [
            "fd_seek",
            "fd_filestat_get",
            "path_filestat_get",
            "poll_oneoff",
        ]
        .contains(&function.name)
        {
            let ends = call_often(function, Version::Preview0);
            assert!(ends["Success"] > CALLS / 100, "{} {ends:?}", function.name);
        }
    }
}

macro_rules! hostile {
    ($($test:ident: $($name:literal)*;)*) => {
        $(#[test]
        fn $test() {
            call_all(&[$($name),*]);
        })*

        #[test]
        fn every_function_is_called_so() {
            let mut called = vec![$($($name),*),*];
            called.sort_unstable();
            let functions = wasi_preview1::functions(Version::Preview1);
            let mut all: Vec<_> = functions.map(|function| function.name).collect();
            all.sort_unstable();
            assert_eq!(called, all);
        }
    };
}

hostile! {
    arguments_and_clocks_write_only_their_results:
        "args_get" "args_sizes_get" "environ_get" "environ_sizes_get" "clock_res_get"
        "clock_time_get" "random_get" "proc_exit" "proc_raise" "sched_yield";
    descriptors_write_only_their_results:
        "fd_close" "fd_fdstat_get" "fd_fdstat_set_flags" "fd_fdstat_set_rights" "fd_prestat_get"
        "fd_prestat_dir_name" "fd_renumber" "fd_seek" "fd_tell";
    files_write_only_their_results:
        "fd_advise" "fd_allocate" "fd_datasync" "fd_filestat_get" "fd_filestat_set_size"
        "fd_filestat_set_times" "fd_sync" "fd_readdir";
    transfers_write_only_into_their_buffers_and_results:
        "fd_read" "fd_write" "fd_pread" "fd_pwrite";
    paths_write_only_their_results:
        "path_create_directory" "path_filestat_get" "path_filestat_set_times" "path_link"
        "path_open";
    names_write_only_their_results:
        "path_readlink" "path_remove_directory" "path_rename" "path_symlink" "path_unlink_file";
    polls_and_sockets_write_only_their_results:
        "poll_oneoff" "sock_accept" "sock_recv" "sock_send" "sock_shutdown";
}
