//! The list of the functions: their names, parameters, and which of them may wait. Their methods
//! and the linkers are made from it.

use crate::calls;
use crate::memory::{GuestMemory, Memory};
use crate::step::{Answer, Outcome, answer, outcome};
use crate::{Version, WasiPreview1Ctx};

/// Hands the list to `$callback`, behind `$extra`.
///
/// `plain` functions never wait: no backend has a way to make them. `waits` ones wait where
/// their backend does. `ends` ones never return.
macro_rules! with_functions {
    ($callback:ident! { $($extra:tt)* }) => { $callback! { $($extra)*
        /// Puts the addresses of the arguments to `argv`, and the arguments to `argv_buf`,
        /// each with a NUL at its end. The sizes are those of `args_sizes_get`.
        plain args_get(argv: u32, argv_buf: u32);
        /// Puts the number of the arguments to `argc`, and their bytes together, with a NUL
        /// for each, to `argv_buf_size`.
        plain args_sizes_get(argc: u32, argv_buf_size: u32);
        /// Puts the addresses of the variables, each as `NAME=value` with a NUL at its end, to
        /// `environ`, and these to `environ_buf`. The sizes are those of `environ_sizes_get`.
        plain environ_get(environ: u32, environ_buf: u32);
        /// Puts the number of the variables to `environc`, and their bytes together, with a
        /// `=` and a NUL for each, to `environ_buf_size`.
        plain environ_sizes_get(environc: u32, environ_buf_size: u32);
        /// Puts the step of the clock `id`, in nanoseconds and at least 1, to `resolution`.
        ///
        /// `Inval`: `id` is not 0 (realtime) or 1 (monotonic). What the guest has computed is
        /// not counted.
        plain clock_res_get(id: u32, resolution: u32);
        /// Puts the time of the clock `id` to `time`: nanoseconds since 1970 for the real
        /// time, 2^64 - 1 from 2554 on. `precision` is how late it may be; it is never late.
        ///
        /// `Inval`: as `clock_res_get`.
        plain clock_time_get(id: u32, precision: u64, time: u32);
        /// Says how `len` bytes from `offset` on will be used; 0 is up to the end.
        ///
        /// `Inval`: `advice` is over 5.
        waits fd_advise(fd: u32, offset: u64, len: u64, advice: u32);
        /// Makes sure that there is space for `len` bytes from `offset` on; a file that is
        /// shorter grows.
        ///
        /// `Inval`: `len` is 0. `Fbig`: the sum is more than a file can have. `Notsup`: the
        /// filesystem has no such operation.
        waits fd_allocate(fd: u32, offset: u64, len: u64);
        /// Closes the descriptor.
        plain fd_close(fd: u32);
        /// Waits until the file's contents are on the medium, or all that was written to a
        /// stream is on its way.
        waits fd_datasync(fd: u32);
        /// Puts the `fdstat` of the descriptor to `stat`.
        plain fd_fdstat_get(fd: u32, stat: u32);
        /// Sets how the descriptor works.
        ///
        /// `Notsup`: another of [`DSYNC`](wasi_types::preview1::FdFlags::DSYNC), `RSYNC` and
        /// `SYNC` than it was opened with. `Inval`: `APPEND` for what is no file.
        plain fd_fdstat_set_flags(fd: u32, flags: u32);
        /// Takes rights from the descriptor: it has these from then on.
        ///
        /// `Notcapable`: it does not have all of them now. `Inval`: unknown ones.
        plain fd_fdstat_set_rights(fd: u32, fs_rights_base: u64, fs_rights_inheriting: u64);
        /// Puts the `filestat` of what is open to `stat`; of a stream or socket only its type.
        waits fd_filestat_get(fd: u32, stat: u32);
        /// Cuts the file to `size` bytes, or extends it with zeros.
        ///
        /// `Inval`: it is no file.
        waits fd_filestat_set_size(fd: u32, size: u64);
        /// Sets the times of last access and last modification, where `fst_flags` say so.
        ///
        /// `Inval`: a time is to be set both to what is given and to now.
        waits fd_filestat_set_times(fd: u32, atim: u64, mtim: u64, fst_flags: u32);
        /// Reads from `offset` on into the buffers, and puts the number of bytes to `nread`.
        /// The position stays.
        waits fd_pread(fd: u32, iovs: u32, iovs_len: u32, offset: u64, nread: u32);
        /// Puts what a preopened descriptor is to `prestat`: a directory, and the length of
        /// its name. A preopened socket has a type that is not `dir`, and no name: the witx
        /// has none for it, and who looks for directories goes on.
        ///
        /// `Badf`: it is not preopened.
        plain fd_prestat_get(fd: u32, prestat: u32);
        /// Puts the name of a preopened directory to `path`, of `path_len` bytes.
        ///
        /// `Badf`: it is no preopened directory. `Nametoolong`: `path_len` is less than the
        /// name's.
        plain fd_prestat_dir_name(fd: u32, path: u32, path_len: u32);
        /// Writes the buffers from `offset` on, and puts the number of bytes to `nwritten`.
        /// The position stays. Where the descriptor appends, as Linux has it, the offset is
        /// looked at no more.
        waits fd_pwrite(fd: u32, iovs: u32, iovs_len: u32, offset: u64, nwritten: u32);
        /// Reads from the position on, or what comes next, into the buffers, and puts the
        /// number of bytes to `nread`; 0 is the end.
        ///
        /// `Again`: nothing is there, and the descriptor does not wait. `Badf`: an output.
        waits fd_read(fd: u32, iovs: u32, iovs_len: u32, nread: u32);
        /// Puts the entries of the directory from `cookie` on, each as a `dirent` and its
        /// name, to `buf`, and their length to `bufused`: `buf_len` where there may be more,
        /// the last entry being cut off. `.` and `..` come first; the number of the latter's
        /// file is not told.
        ///
        /// A guest that goes on where it stopped costs no more than the entries that it gets.
        /// Where it goes back, the directory is listed anew and counted off.
        waits fd_readdir(fd: u32, buf: u32, buf_len: u32, cookie: u64, bufused: u32);
        /// `fd` becomes `to`, which must be open and is closed.
        plain fd_renumber(fd: u32, to: u32);
        /// Moves the position, and puts what it is then to `newoffset`. From the end, the
        /// backend is asked for that, which may wait.
        ///
        /// `Inval`: it would be less than 0, or `whence` is over 2. `Overflow`: over 2^63 - 1.
        waits fd_seek(fd: u32, offset: i64, whence: u32, newoffset: u32);
        /// As `fd_datasync`, metadata as well.
        waits fd_sync(fd: u32);
        /// Puts the position to `offset`.
        plain fd_tell(fd: u32, offset: u32);
        /// Writes the buffers at the position, or next, and puts the number of bytes to
        /// `nwritten`. A stream takes all of them, unless it does not wait.
        ///
        /// `Again`: nothing is taken now, and the descriptor does not wait. `Pipe`: nobody
        /// reads any more. `Badf`: an input.
        waits fd_write(fd: u32, iovs: u32, iovs_len: u32, nwritten: u32);
        /// Makes a directory.
        waits path_create_directory(fd: u32, path: u32, path_len: u32);
        /// Puts the `filestat` of what is at the path to `stat`.
        waits path_filestat_get(fd: u32, flags: u32, path: u32, path_len: u32, stat: u32);
        /// As `fd_filestat_set_times`, of what is at the path.
        waits path_filestat_set_times(
            fd: u32, flags: u32, path: u32, path_len: u32, atim: u64, mtim: u64, fst_flags: u32
        );
        /// Gives what is at the old path another name.
        waits path_link(
            old_fd: u32, old_flags: u32, old_path: u32, old_path_len: u32,
            new_fd: u32, new_path: u32, new_path_len: u32
        );
        /// Opens what is at the path, or makes it, and puts the new descriptor to `opened_fd`:
        /// the lowest number that is free. It has those of the rights that are asked for that
        /// something of its kind can have; a file has none to inherit.
        ///
        /// `Notcapable`: rights that `fd` does not let others inherit, or that it does not have
        /// for `oflags` and `fdflags`. `Isdir`: a directory, with rights to write.
        /// `Mfile`: too many descriptors are open.
        waits path_open(
            fd: u32, dirflags: u32, path: u32, path_len: u32, oflags: u32,
            fs_rights_base: u64, fs_rights_inheriting: u64, fdflags: u32, opened_fd: u32
        );
        /// Puts what the symbolic link holds to `buf`, as far as `buf_len` bytes have room, and
        /// how many bytes these are to `bufused`.
        waits path_readlink(
            fd: u32, path: u32, path_len: u32, buf: u32, buf_len: u32, bufused: u32
        );
        /// Removes an empty directory. A `/` at the end of the path is allowed.
        waits path_remove_directory(fd: u32, path: u32, path_len: u32);
        /// Moves what is at the old path to the new one, in place of what is there.
        waits path_rename(
            fd: u32, old_path: u32, old_path_len: u32,
            new_fd: u32, new_path: u32, new_path_len: u32
        );
        /// Makes a symbolic link at the new path that holds the old one.
        waits path_symlink(
            old_path: u32, old_path_len: u32, fd: u32, new_path: u32, new_path_len: u32
        );
        /// Removes the name of something that is no directory.
        waits path_unlink_file(fd: u32, path: u32, path_len: u32);
        /// Waits until one of the subscriptions at `subscriptions` has come, and puts an event for each
        /// that has to `events`, and their number to `nevents`. What can't be waited for is an event
        /// with an error.
        ///
        /// `Inval`: there is no subscription, or one of an unknown type. `Nomem`: there are
        /// too many.
        waits poll_oneoff(subscriptions: u32, events: u32, nsubscriptions: u32, nevents: u32);
        /// Ends the guest.
        ends proc_exit(rval: u32);
        /// Raises a signal: the guest ends ([`End::Raised`](crate::End::Raised)), unless it is
        /// one that a process ignores.
        ///
        /// `Inval`: `sig` is over 30.
        plain proc_raise(sig: u32);
        /// Lets others have a turn.
        waits sched_yield();
        /// Fills `buf` with random bytes that nobody can predict.
        ///
        /// `Io`: the source failed.
        plain random_get(buf: u32, buf_len: u32);
        /// Accepts a connection, and puts its descriptor, which works as `flags` say, to
        /// `new_fd`.
        ///
        /// `Again`: there is none, and the socket does not wait. `Inval`: the socket does not
        /// listen, or `flags` are other than `NONBLOCK`. `Mfile`: too many descriptors are
        /// open; the connection is still there.
        waits sock_accept(fd: u32, flags: u32, new_fd: u32);
        /// Receives into the buffers, and puts the number of bytes to `ro_datalen`, and 0 to
        /// `ro_flags`. With `RECV_PEEK` the bytes stay where they are: at most 64 KiB of them.
        ///
        /// `Again`: as `fd_read`. `Notconn`: the socket listens.
        waits sock_recv(
            fd: u32, ri_data: u32, ri_data_len: u32, ri_flags: u32, ro_datalen: u32, ro_flags: u32
        );
        /// Sends the buffers, and puts the number of bytes to `so_datalen`.
        ///
        /// `Inval`: `si_flags` is not 0. Others as `fd_write`.
        waits sock_send(
            fd: u32, si_data: u32, si_data_len: u32, si_flags: u32, so_datalen: u32
        );
        /// Closes one or both directions of the connection.
        ///
        /// `Inval`: `how` names none. `Notconn`: the socket listens, or has no peer any more.
        plain sock_shutdown(fd: u32, how: u32);
    }};
}
#[cfg(any(feature = "wasmtime", feature = "wasmi"))]
pub(crate) use with_functions;

macro_rules! method {
    (plain $(#[$doc:meta])* $name:ident($($arg:ident: $ty:ty),*)) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments, reason = "the ABI's")]
        pub fn $name<M: GuestMemory + ?Sized>(&mut self, memory: &mut M $(, $arg: $ty)*) -> Answer {
            answer(calls::$name(self, &mut Memory::of(memory) $(, $arg)*))
        }
    };
    (ends $($rest:tt)*) => {
        method!(plain $($rest)*);
    };
    (waits $(#[$doc:meta])* $name:ident($($arg:ident: $ty:ty),*)) => {
        $(#[$doc])*
        #[allow(clippy::too_many_arguments, reason = "the ABI's")]
        pub fn $name<M: GuestMemory + ?Sized>(&mut self, memory: &mut M $(, $arg: $ty)*) -> Outcome {
            outcome(calls::$name(self, &mut Memory::of(memory) $(, $arg)*))
        }
    };
}

macro_rules! methods {
    ($($(#[$doc:meta])* $kind:ident $name:ident($($arg:ident: $ty:ty),*);)*) => {
        /// The functions of the ABI.
        impl WasiPreview1Ctx {
            $(method!($kind $(#[$doc])* $name($($arg: $ty),*));)*
        }
    };
}

with_functions!(methods! {});

/// A function of the ABI, for engines whose imports are made from a table.
#[derive(Clone, Copy)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Its parameters.
    pub params: &'static [Param],
    /// Whether it gives an errno; the other one, `proc_exit`, never returns.
    pub returns: bool,
    /// Whether it may wait.
    pub waits: bool,
    call: fn(&mut WasiPreview1Ctx, &mut Memory<'_>, &[u64]) -> Outcome,
}

/// A parameter of a [`Function`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Whether its type is `i64`; else it is `i32`.
    pub is_64_bits: bool,
}

impl Function {
    /// Calls it. Of an argument of 32 bits the upper half says nothing; one that is missing is
    /// 0.
    pub fn call<M: GuestMemory + ?Sized>(
        &self,
        ctx: &mut WasiPreview1Ctx,
        memory: &mut M,
        args: &[u64],
    ) -> Outcome {
        (self.call)(ctx, &mut Memory::of(memory), args)
    }
}

impl core::fmt::Debug for Function {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Function")
            .field("name", &self.name)
            .field("params", &self.params)
            .field("returns", &self.returns)
            .field("waits", &self.waits)
            .finish()
    }
}

trait Arg {
    const IS_64_BITS: bool;

    fn from_raw(raw: u64) -> Self;
}

macro_rules! args {
    ($($ty:ty, $is_64_bits:literal;)*) => {$(
        impl Arg for $ty {
            const IS_64_BITS: bool = $is_64_bits;

            fn from_raw(raw: u64) -> Self {
                raw as Self
            }
        }
    )*};
}

args! {
    u32, false;
    u64, true;
    i64, true;
}

macro_rules! kind_of {
    (plain $call:expr) => {
        Outcome::Done(answer($call))
    };
    (ends $call:expr) => {
        Outcome::Done(answer($call))
    };
    (waits $call:expr) => {
        outcome($call)
    };
}

macro_rules! table {
    ($($(#[$doc:meta])* $kind:ident $name:ident($($arg:ident: $ty:ty),*);)*) => {
        const FUNCTIONS: &[Function] = &[$(Function {
            name: stringify!($name),
            params: &[$(Param {
                name: stringify!($arg),
                is_64_bits: <$ty as Arg>::IS_64_BITS,
            }),*],
            returns: !matches!(stringify!($kind).as_bytes(), b"ends"),
            waits: matches!(stringify!($kind).as_bytes(), b"waits"),
            #[allow(unused_mut, unused_variables, reason = "not all have parameters")]
            call: |ctx, memory, args| {
                let mut args = args.iter().copied();
                $(let $arg = <$ty as Arg>::from_raw(args.next().unwrap_or(0));)*
                kind_of!($kind calls::$name(ctx, memory $(, $arg)*))
            },
        }),*];
    };
}

with_functions!(table! {});

/// The functions that a guest of `version` can import, which `wasi_unstable` has one less of.
pub fn functions(version: Version) -> impl Iterator<Item = &'static Function> {
    FUNCTIONS
        .iter()
        .filter(move |function| is_in(function.name, version))
}

/// Whether `version` has the function `name`.
pub(crate) const fn is_in(name: &str, version: Version) -> bool {
    match version {
        Version::Preview1 => true,
        Version::Preview0 => !matches!(name.as_bytes(), b"sock_accept"),
    }
}

/// The module that a guest of `version` imports.
pub const fn module_name(version: Version) -> &'static str {
    match version {
        Version::Preview1 => "wasi_snapshot_preview1",
        Version::Preview0 => "wasi_unstable",
    }
}
