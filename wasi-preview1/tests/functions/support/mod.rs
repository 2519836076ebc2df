//! A guest with a descriptor of each kind, and what is needed to call functions for it.

pub(crate) mod calls;
pub(crate) mod disk;

use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
pub(crate) use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};
use wasi_cli::WasiCliCtx;
use wasi_cli::memory::{Input, Output};
use wasi_clocks::WasiClocksCtx;
use wasi_clocks::manual::ManualClock;
use wasi_filesystem::memory::{Limits, MemFs};
use wasi_filesystem::{Directory, ReadOnly, WasiFilesystemCtx, vfs};
use wasi_io::DynOutputStream;
use wasi_io::memory::{PipeReader, PipeWriter};
pub(crate) use wasi_preview1::{
    Answer, End, Errno, Outcome, Preview0, Trap, Version, Wait, WasiPreview1Ctx,
};
use wasi_random::WasiRandomCtx;
use wasi_random::seeded::Seeded;
use wasi_sockets::{IpAddressFamily::Ipv4, LoopbackNet, Network, TcpListener, TcpStream};
pub(crate) use wasi_types::Datetime;
pub(crate) use wasi_types::preview1::{EventType, FdFlags, Filetype, OFlags, Rights};

pub(crate) const STDIN: u64 = 0;
pub(crate) const STDOUT: u64 = 1;
pub(crate) const STDERR: u64 = 2;
/// The filesystem.
pub(crate) const DIR: u64 = 3;
/// The same, to read only.
pub(crate) const RO: u64 = 4;
pub(crate) const LISTENER: u64 = 5;
pub(crate) const CONNECTION: u64 = 6;
/// `file`.
pub(crate) const FILE: u64 = 7;
/// `dir`.
pub(crate) const DIR2: u64 = 8;
/// The next number that is free.
pub(crate) const FREE: u64 = 9;

/// What `file` has in it.
pub(crate) const CONTENTS: &[u8] = b"hello, world";

/// The time of day at the start: 1,000,000 s after 1970.
pub(crate) const WALL: u64 = 1_000_000_000_000_000;

/// A guest, its memory, and the other ends of what it has.
pub(crate) struct Guest {
    pub(crate) ctx: WasiPreview1Ctx,
    pub(crate) memory: Vec<u8>,
    pub(crate) version: Version,
    /// Where the next of [`Guest::room`] is.
    free: u32,
    pub(crate) clock: ManualClock,
    pub(crate) fs: Arc<MemFs>,
    pub(crate) stdin: Option<DynOutputStream>,
    pub(crate) stdout: Output,
    /// What the other end of standard error reads.
    pub(crate) stderr: Option<PipeReader>,
    pub(crate) net: LoopbackNet,
    /// Where the guest listens.
    pub(crate) address: SocketAddr,
    /// The other end of the connection.
    pub(crate) peer: Option<Arc<dyn TcpStream>>,
}

/// What standard output takes.
pub(crate) const STDOUT_MAX: usize = 100;
/// What standard error takes until somebody reads.
pub(crate) const STDERR_MAX: usize = 8;

/// Parts that a test makes its own guest of.
pub(crate) fn clocks(clock: &ManualClock) -> WasiClocksCtx {
    WasiClocksCtx::new(clock.clone(), clock.clone())
}

pub(crate) fn clock() -> ManualClock {
    ManualClock::new(Datetime::from_timestamp(WALL))
}

pub(crate) fn random() -> WasiRandomCtx {
    WasiRandomCtx::new(Seeded::new([7; 32]))
}

/// A filesystem with an object of each kind.
pub(crate) fn files(clock: &ManualClock) -> Arc<MemFs> {
    let limits = Limits {
        bytes: 1 << 20,
        inodes: 1000,
        file_size: 1 << 40,
    };
    let fs = Arc::new(MemFs::with_limits(Arc::new(clock.clone()), limits));
    fs.write_file("file", CONTENTS).unwrap();
    fs.create_dir_all("dir/sub").unwrap();
    fs.create_dir_all("empty").unwrap();
    fs.write_file("dir/inner", b"in").unwrap();
    for (target, path) in [("file", "link"), ("none", "dangling"), ("loop", "loop")] {
        fs.symlink(target, path).unwrap();
    }
    fs
}

/// A socket that listens on `net`, and where.
pub(crate) fn listen(net: &dyn Network) -> (Arc<dyn TcpListener>, SocketAddr) {
    let mut socket = net.tcp_socket(Ipv4).unwrap();
    let any = "127.0.0.1:0".parse().unwrap();
    block_on(poll_fn(|cx| socket.poll_bind(cx, any))).unwrap();
    let listener = block_on(poll_fn(|cx| socket.poll_listen(cx, 16))).unwrap();
    let address = listener.local_address().unwrap();
    (listener, address)
}

pub(crate) fn connect(net: &dyn Network, to: SocketAddr) -> Arc<dyn TcpStream> {
    let mut socket = net.tcp_socket(Ipv4).unwrap();
    block_on(poll_fn(|cx| socket.poll_connect(cx, to))).unwrap()
}

pub(crate) fn accept(listener: &dyn TcpListener) -> Arc<dyn TcpStream> {
    block_on(poll_fn(|cx| listener.poll_accept(cx))).unwrap()
}

/// Writes all of `bytes`.
pub(crate) fn send(stream: &dyn TcpStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let n = block_on(poll_fn(|cx| stream.poll_write_ready(cx))).unwrap();
        let (now, later) = bytes.split_at(n.min(bytes.len()));
        stream.write(now).unwrap();
        bytes = later;
    }
}

/// Reads `len` bytes, or up to the end.
pub(crate) fn receive(stream: &dyn TcpStream, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut done = 0;
    while done < len {
        match block_on(poll_fn(|cx| stream.poll_read(cx, &mut bytes[done..]))).unwrap() {
            0 => break,
            n => done += n,
        }
    }
    bytes.truncate(done);
    bytes
}

impl Guest {
    /// With all of [`STDIN`] to [`DIR2`].
    pub(crate) fn new() -> Self {
        let mut guest = Self::with_limits(|ctx| ctx);
        assert_eq!(guest.open(DIR, "file"), Ok(FILE));
        assert_eq!(guest.open(DIR, "dir"), Ok(DIR2));
        guest
    }

    /// With what `limit` makes of the context, and nothing opened.
    pub(crate) fn with_limits(limit: impl FnOnce(WasiPreview1Ctx) -> WasiPreview1Ctx) -> Self {
        let clock = clock();
        let fs = files(&clock);
        let (stdin_writer, stdin) = wasi_io::memory::pipe(1 << 16);
        let (stderr, stderr_reader) = wasi_io::memory::pipe(STDERR_MAX);
        let stdout = Output::new(STDOUT_MAX);
        let cli = WasiCliCtx::new("prog")
            .arg("-x")
            .arg("héllo")
            .env("A", "1")
            .env("EMPTY", "")
            .stdin(Input::from_stream(stdin))
            .stdout(stdout.clone())
            .stderr(Once(std::sync::Mutex::new(Some(stderr))));
        let net = LoopbackNet::new();
        let (listener, address) = listen(&net);
        let peer = connect(&net, address);
        let connection = accept(&*listener);
        let root: Arc<dyn Directory> = vfs::directory(fs.clone());
        let directories = WasiFilesystemCtx::new()
            .preopen(root.clone(), "/")
            .preopen(Arc::new(ReadOnly::new(root)), "/ro");
        let ctx = WasiPreview1Ctx::new(&cli, clocks(&clock), random())
            .filesystem(directories)
            .listener(listener)
            .connection(connection);
        Self {
            ctx: limit(ctx),
            memory: vec![0; 1 << 18],
            version: Version::Preview1,
            free: 64,
            clock,
            fs,
            stdin: Some(DynOutputStream::new(stdin_writer)),
            stdout,
            stderr: Some(stderr_reader),
            net,
            address,
            peer: Some(peer),
        }
    }

    /// With `directory` as its [`DIR`], and nothing else but what comes with it.
    pub(crate) fn over(directory: Arc<dyn Directory>) -> Self {
        let mut guest = Self::with_limits(|ctx| ctx);
        let files = WasiFilesystemCtx::new().preopen(directory, "/");
        let ctx = WasiPreview1Ctx::new(&WasiCliCtx::default(), clocks(&guest.clock), random());
        guest.ctx = ctx.filesystem(files);
        guest
    }

    /// Calls a function by its name.
    pub(crate) fn begin(&mut self, name: &str, args: &[u64]) -> Outcome {
        let mut functions = wasi_preview1::functions(self.version);
        let function = functions.find(|function| function.name == name);
        let function = function.unwrap_or_else(|| panic!("there is no {name}"));
        assert_eq!(args.len(), function.params.len(), "{name}");
        let (ctx, memory) = (&mut self.ctx, &mut self.memory);
        match self.version {
            Version::Preview1 => function.call(ctx, memory, args),
            Version::Preview0 => function.call(ctx, &mut Preview0(memory), args),
        }
    }

    pub(crate) fn poll(&mut self, wait: &mut Wait, waker: &Waker) -> Poll<Answer> {
        let cx = &mut Context::from_waker(waker);
        let (ctx, memory) = (&mut self.ctx, &mut self.memory);
        match self.version {
            Version::Preview1 => wait.poll(cx, ctx, memory),
            Version::Preview0 => wait.poll(cx, ctx, &mut Preview0(memory)),
        }
    }

    /// Calls a function that is to wait.
    #[track_caller]
    pub(crate) fn wait(&mut self, name: &str, args: &[u64]) -> Wait {
        match self.begin(name, args) {
            Outcome::Wait(wait) => wait,
            Outcome::Done(answer) => panic!("{name} does not wait: {answer:?}"),
        }
    }

    /// Waits until `wait` is over.
    pub(crate) fn finish(&mut self, mut wait: Wait) -> Answer {
        block_on(poll_fn(|cx| {
            let waker = cx.waker().clone();
            self.poll(&mut wait, &waker)
        }))
    }

    /// Calls a function, and waits where it does.
    pub(crate) fn call(&mut self, name: &str, args: &[u64]) -> Answer {
        match self.begin(name, args) {
            Outcome::Done(answer) => answer,
            Outcome::Wait(wait) => self.finish(wait),
        }
    }

    /// Calls a function that is not to end the guest.
    #[track_caller]
    pub(crate) fn errno(&mut self, name: &str, args: &[u64]) -> Errno {
        let answer = self.call(name, args);
        answer.unwrap_or_else(|end| panic!("{name}{args:?} ends the guest: {end}"))
    }

    /// Calls a function that is to succeed.
    #[track_caller]
    pub(crate) fn ok(&mut self, name: &str, args: &[u64]) {
        assert_eq!(self.errno(name, args), Errno::Success, "{name}{args:?}");
    }

    /// `len` bytes of its memory that nothing else has, on a multiple of 8.
    pub(crate) fn room(&mut self, len: usize) -> u64 {
        let at = self.free.next_multiple_of(8);
        self.free = at + u32::try_from(len).unwrap();
        assert!((self.free as usize) < self.memory.len());
        at.into()
    }

    /// `bytes` in its memory.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> u64 {
        let at = self.room(bytes.len());
        self.set(at, bytes);
        at
    }

    pub(crate) fn set(&mut self, at: u64, bytes: &[u8]) {
        self.memory[at as usize..][..bytes.len()].copy_from_slice(bytes);
    }

    /// The address and length of `path` in its memory.
    pub(crate) fn path(&mut self, path: impl AsRef<[u8]>) -> [u64; 2] {
        let path = path.as_ref();
        [self.put(path), path.len() as u64]
    }

    /// The address and number of records for these buffers.
    pub(crate) fn iovecs(&mut self, buffers: &[(u64, usize)]) -> [u64; 2] {
        let record = |&(at, len): &(u64, usize)| {
            let [at, len] = [at as u32, len as u32].map(u32::to_le_bytes);
            [at, len].concat()
        };
        let records: Vec<u8> = buffers.iter().flat_map(record).collect();
        [self.put(&records), buffers.len() as u64]
    }

    pub(crate) fn bytes(&self, at: u64, len: usize) -> &[u8] {
        &self.memory[at as usize..][..len]
    }

    pub(crate) fn u16(&self, at: u64) -> u16 {
        u16::from_le_bytes(self.bytes(at, 2).try_into().unwrap())
    }

    pub(crate) fn u32(&self, at: u64) -> u32 {
        u32::from_le_bytes(self.bytes(at, 4).try_into().unwrap())
    }

    pub(crate) fn u64(&self, at: u64) -> u64 {
        u64::from_le_bytes(self.bytes(at, 8).try_into().unwrap())
    }

    /// Opens what is at `path` with all of the rights that can be had.
    pub(crate) fn open(&mut self, fd: u64, path: &str) -> Result<u64, Errno> {
        self.open_with(fd, path, OFlags::empty(), FdFlags::empty())
    }

    pub(crate) fn open_with(
        &mut self,
        fd: u64,
        path: &str,
        oflags: OFlags,
        fdflags: FdFlags,
    ) -> Result<u64, Errno> {
        let [path, path_len] = self.path(path);
        let opened = self.room(4);
        let inheriting = self.rights(fd).1.bits();
        let open = |guest: &mut Self, rights: u64| {
            let (oflags, fdflags) = (oflags.bits().into(), fdflags.bits().into());
            let args = [
                fd, 1, path, path_len, oflags, rights, inheriting, fdflags, opened,
            ];
            guest.errno("path_open", &args)
        };
        let errno = match open(self, inheriting) {
            // A directory has no such rights.
            Errno::Isdir => open(self, inheriting & !WRITES.bits()),
            errno => errno,
        };
        match errno {
            Errno::Success => Ok(self.u32(opened).into()),
            errno => Err(errno),
        }
    }

    /// Its rights: base and inheriting.
    pub(crate) fn rights(&mut self, fd: u64) -> (Rights, Rights) {
        let stat = self.room(24);
        self.ok("fd_fdstat_get", &[fd, stat]);
        let rights = |at| Rights::from_bits(self.u64(at)).unwrap();
        (rights(stat + 8), rights(stat + 16))
    }

    /// Leaves it those of its rights that are in `base`.
    #[track_caller]
    pub(crate) fn narrow(&mut self, fd: u64, base: Rights) {
        let (now, inheriting) = self.rights(fd);
        let args = [fd, (now & base).bits(), inheriting.bits()];
        self.ok("fd_fdstat_set_rights", &args);
    }

    /// Sets its flags.
    pub(crate) fn set_flags(&mut self, fd: u64, flags: FdFlags) {
        self.ok("fd_fdstat_set_flags", &[fd, flags.bits().into()]);
    }

    /// `fd_read` of up to `len` bytes.
    pub(crate) fn read(&mut self, fd: u64, len: usize) -> Result<Vec<u8>, Errno> {
        let buf = self.room(len);
        let [iovs, iovs_len] = self.iovecs(&[(buf, len)]);
        let nread = self.room(4);
        match self.errno("fd_read", &[fd, iovs, iovs_len, nread]) {
            Errno::Success => Ok(self.bytes(buf, self.u32(nread) as usize).to_vec()),
            errno => Err(errno),
        }
    }

    /// `fd_write`: how many bytes it took.
    pub(crate) fn write(&mut self, fd: u64, bytes: &[u8]) -> Result<usize, Errno> {
        let buf = self.put(bytes);
        let [iovs, iovs_len] = self.iovecs(&[(buf, bytes.len())]);
        let nwritten = self.room(4);
        match self.errno("fd_write", &[fd, iovs, iovs_len, nwritten]) {
            Errno::Success => Ok(self.u32(nwritten) as usize),
            errno => Err(errno),
        }
    }

    pub(crate) fn seek(&mut self, fd: u64, offset: i64, whence: u64) -> Result<u64, Errno> {
        let at = self.room(8);
        match self.errno("fd_seek", &[fd, offset as u64, whence, at]) {
            Errno::Success => Ok(self.u64(at)),
            errno => Err(errno),
        }
    }

    pub(crate) fn tell(&mut self, fd: u64) -> Result<u64, Errno> {
        let at = self.room(8);
        match self.errno("fd_tell", &[fd, at]) {
            Errno::Success => Ok(self.u64(at)),
            errno => Err(errno),
        }
    }

    /// Lets the guest read `bytes` from its standard input.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().unwrap();
        stdin.check_write().unwrap();
        stdin.write(bytes).unwrap().unwrap();
    }

    pub(crate) fn peer(&self) -> &dyn TcpStream {
        &**self.peer.as_ref().unwrap()
    }
}

/// The rights for which a file must be open for writing, which a directory is not.
pub(crate) const WRITES: Rights = Rights::FD_WRITE
    .union(Rights::FD_ALLOCATE)
    .union(Rights::FD_FILESTAT_SET_SIZE);

/// One stream, which is asked for once.
struct Once(std::sync::Mutex<Option<PipeWriter>>);

impl wasi_cli::Stdout for Once {
    fn stream(&self) -> DynOutputStream {
        DynOutputStream::new(self.0.lock().unwrap().take().unwrap())
    }
}

/// Whether and how often a task was woken.
#[derive(Default)]
pub(crate) struct Woken(AtomicUsize);

impl Woken {
    pub(crate) fn times(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// What counts how often it is woken, and its waker.
pub(crate) fn waker() -> (Arc<Woken>, Waker) {
    let woken = Arc::<Woken>::default();
    (woken.clone(), woken.into())
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for `future`, but not for ever: nobody may come to wake it.
#[track_caller]
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut cx = Context::from_waker(&waker);
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut cx) {
            return value;
        }
        let left = until.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "nobody woke the task");
        thread::park_timeout(left);
    }
}

/// The errno of an answer; the end of the guest is a failure of the test.
#[track_caller]
pub(crate) fn errno(answer: Answer) -> Errno {
    answer.unwrap_or_else(|end: End| panic!("the guest ended: {end}"))
}
