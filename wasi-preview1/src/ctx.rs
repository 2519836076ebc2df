use crate::descriptor::Descriptor;
use crate::table::Table;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use wasi_cli::WasiCliCtx;
use wasi_clocks::WasiClocksCtx;
use wasi_filesystem::WasiFilesystemCtx;
use wasi_random::WasiRandomCtx;
use wasi_sockets::{TcpListener, TcpStream};

/// All that one guest of WASI 0.1 has: its descriptors, its surroundings, and its limits.
///
/// Nothing is granted by default but the time and random numbers: no argument but the
/// program's name, no environment, a standard input that is at its end, outputs that keep
/// nothing, no files and no sockets. Dropping it closes everything.
///
/// The functions of the ABI are its methods, one for each, by their names. Each takes the
/// guest's memory, and pointers as the guest gave them. They answer
/// - [`Errno`](crate::Errno): what the guest gets;
/// - [`End`](crate::End): the guest has ended, by `proc_exit` or by breaking a rule: a pointer
///   that leads out of its memory, or that is not aligned, is a trap, as the witx has it;
/// - [`Wait`](crate::Wait), those that may wait: the answer comes when it is polled.
///
/// Errors that they have in common, besides those of each:
/// - [`Badf`](crate::Errno::Badf): there is no such descriptor.
/// - [`Notcapable`](crate::Errno::Notcapable): the descriptor lacks the right that the witx
///   names.
/// - [`Isdir`](crate::Errno::Isdir), [`Notdir`](crate::Errno::Notdir),
///   [`Spipe`](crate::Errno::Spipe), [`Notsock`](crate::Errno::Notsock): it is not of the kind
///   that the function is for; where a function is for one kind alone, that is looked at before
///   its rights.
/// - [`Inval`](crate::Errno::Inval): a number or a flag that has no meaning; more than 2^20
///   buffers, or more than 2^32 - 1 bytes in them.
/// - [`Nametoolong`](crate::Errno::Nametoolong), [`Ilseq`](crate::Errno::Ilseq): a path of more
///   than 4,096 bytes, or one that is not UTF-8.
pub struct WasiPreview1Ctx {
    pub(crate) arguments: Strings,
    pub(crate) environment: Strings,
    pub(crate) clocks: WasiClocksCtx,
    pub(crate) random: WasiRandomCtx,
    pub(crate) fds: Table,
    pub(crate) max_subscriptions: u32,
}

impl WasiPreview1Ctx {
    /// With the arguments, the environment and the standard streams of `cli`, and these clocks
    /// and random numbers. At most 4,096 descriptors and 16,384 subscriptions at once.
    pub fn new(cli: &WasiCliCtx, clocks: WasiClocksCtx, random: WasiRandomCtx) -> Self {
        let variables = cli.get_environment().iter();
        let mut ctx = Self {
            arguments: cli.get_arguments().iter().map(String::as_bytes).collect(),
            environment: variables
                .map(|(name, value)| [name, value].map(String::as_bytes).join(&b'='))
                .collect(),
            clocks,
            random,
            fds: Table::new(4096),
            max_subscriptions: 16_384,
        };
        let (stdin, stdout, stderr) = (cli.get_stdin(), cli.get_stdout(), cli.get_stderr());
        ctx.add(Descriptor::input(stdin.stream(), stdin.is_terminal()));
        ctx.add(Descriptor::output(stdout.stream(), stdout.is_terminal()));
        ctx.add(Descriptor::output(stderr.stream(), stderr.is_terminal()));
        ctx
    }

    /// Grants the preopened directories of `filesystem`, which get the next numbers. Its limits
    /// hold besides those of this.
    ///
    /// What is below a directory that can be changed can be changed:
    /// [`WasiFilesystemCtx::inherit_mutate_directory`] is set, since preview 1 has rights for
    /// that, which the guest gives.
    pub fn filesystem(mut self, filesystem: WasiFilesystemCtx) -> Self {
        let mut filesystem = filesystem.inherit_mutate_directory(true);
        for (open, name) in filesystem.get_directories() {
            self.add(Descriptor::preopen(open, name.into()));
        }
        self
    }

    /// Grants a socket that listens, which gets the next number: 3 where it is the first.
    pub fn listener(mut self, listener: Arc<dyn TcpListener>) -> Self {
        self.add(Descriptor::listener(listener).preopened());
        self
    }

    /// Grants a connection, which gets the next number.
    pub fn connection(mut self, connection: Arc<dyn TcpStream>) -> Self {
        self.add(Descriptor::connection(connection).preopened());
        self
    }

    /// The most descriptors that the guest has open at once, those that it is granted included;
    /// one more is [`Errno::Mfile`](crate::Errno::Mfile). It is granted no fewer than it was.
    pub fn max_descriptors(mut self, descriptors: usize) -> Self {
        self.fds.set_max(descriptors);
        self
    }

    /// The most subscriptions of one `poll_oneoff`; more are
    /// [`Errno::Nomem`](crate::Errno::Nomem). The host looks at each of them whenever one may
    /// be ready.
    pub fn max_subscriptions(mut self, subscriptions: u32) -> Self {
        self.max_subscriptions = subscriptions;
        self
    }

    /// What the host grants is not limited.
    fn add(&mut self, descriptor: Descriptor) {
        self.fds.grant(descriptor);
    }
}

impl fmt::Debug for WasiPreview1Ctx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WasiPreview1Ctx").finish_non_exhaustive()
    }
}

/// Strings as the guest gets them: each with a NUL at its end, one behind the other.
pub(crate) struct Strings {
    pub(crate) bytes: Vec<u8>,
    /// Where each begins.
    pub(crate) starts: Vec<u32>,
}

impl<T: AsRef<[u8]>> FromIterator<T> for Strings {
    fn from_iter<I: IntoIterator<Item = T>>(strings: I) -> Self {
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        for string in strings {
            // What a guest of 32 bits can't hold is cut off.
            let Ok(start) = u32::try_from(bytes.len()) else {
                break;
            };
            starts.push(start);
            bytes.extend_from_slice(string.as_ref());
            bytes.push(0);
        }
        Self { bytes, starts }
    }
}
