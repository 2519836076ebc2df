//! What a file descriptor stands for, and what may be done with it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use bytes::Bytes;
use core::task::{Context, Poll, ready};
use wasi_error::{StreamError, sockets};
use wasi_filesystem::{DescriptorType, DirectoryEntry, DirectoryEntryStream};
use wasi_io::{DynInputStream, DynOutputStream};
use wasi_sockets::{TcpListener, TcpStream};
use wasi_types::preview1::{Errno, FdFlags, Filetype, Rights};

/// A file descriptor.
pub(crate) struct Descriptor {
    pub(crate) kind: Kind,
    pub(crate) flags: FdFlags,
    pub(crate) base: Rights,
    pub(crate) inheriting: Rights,
    /// The host gave it to the guest, which may ask for it with `fd_prestat_get`.
    pub(crate) preopened: bool,
}

pub(crate) enum Kind {
    File(File),
    Directory(Directory),
    Stream(Stream),
    Listener(Listener),
}

pub(crate) struct File {
    pub(crate) open: wasi_filesystem::Descriptor,
    pub(crate) position: u64,
}

pub(crate) struct Directory {
    pub(crate) open: wasi_filesystem::Descriptor,
    /// How the guest knows it, where it is preopened.
    pub(crate) name: Box<str>,
    pub(crate) listing: Option<Listing>,
}

/// A listing that the guest may go on with.
pub(crate) struct Listing {
    pub(crate) entries: DirectoryEntryStream,
    /// The cookie of what comes next.
    pub(crate) cookie: u64,
    /// What comes next, where it is known.
    pub(crate) next: Option<DirectoryEntry>,
}

/// What bytes go through in order.
pub(crate) enum Stream {
    Input {
        stream: DynInputStream,
        terminal: bool,
    },
    Output {
        stream: DynOutputStream,
        terminal: bool,
    },
    Connection(Connection),
}

pub(crate) struct Connection {
    pub(crate) stream: Arc<dyn TcpStream>,
    /// What `sock_recv` has looked at and nobody has read.
    pub(crate) peeked: Bytes,
    pub(crate) receive_closed: bool,
    pub(crate) send_closed: bool,
}

pub(crate) struct Listener {
    pub(crate) listener: Arc<dyn TcpListener>,
    /// A connection that was waited for and not accepted yet.
    pub(crate) next: Option<Arc<dyn TcpStream>>,
}

/// What can be done with any of them.
const ANY: Rights = Rights::FD_FDSTAT_SET_FLAGS.union(Rights::FD_FILESTAT_GET);

/// What can be done with what bytes go through in order.
const INPUT: Rights = ANY.union(Rights::FD_READ).union(Rights::POLL_FD_READWRITE);
const OUTPUT: Rights = ANY
    .union(Rights::FD_WRITE)
    .union(Rights::FD_SYNC)
    .union(Rights::FD_DATASYNC)
    .union(Rights::POLL_FD_READWRITE);
const CONNECTION: Rights = INPUT.union(Rights::FD_WRITE).union(Rights::SOCK_SHUTDOWN);
const LISTENER: Rights = INPUT.union(Rights::SOCK_ACCEPT);

/// What can be done with a device or pipe that was opened.
const UNSEEKABLE: Rights = INPUT.union(OUTPUT).union(Rights::FD_FILESTAT_SET_TIMES);

const REGULAR_FILE: Rights = UNSEEKABLE
    .union(Rights::FD_SEEK)
    .union(Rights::FD_TELL)
    .union(Rights::FD_ADVISE)
    .union(Rights::FD_ALLOCATE)
    .union(Rights::FD_FILESTAT_SET_SIZE);

const DIRECTORY: Rights = ANY
    .union(Rights::FD_DATASYNC)
    .union(Rights::FD_SYNC)
    .union(Rights::FD_READDIR)
    .union(Rights::FD_FILESTAT_SET_TIMES)
    .union(Rights::PATH_CREATE_DIRECTORY)
    .union(Rights::PATH_CREATE_FILE)
    .union(Rights::PATH_LINK_SOURCE)
    .union(Rights::PATH_LINK_TARGET)
    .union(Rights::PATH_OPEN)
    .union(Rights::PATH_READLINK)
    .union(Rights::PATH_RENAME_SOURCE)
    .union(Rights::PATH_RENAME_TARGET)
    .union(Rights::PATH_FILESTAT_GET)
    .union(Rights::PATH_FILESTAT_SET_SIZE)
    .union(Rights::PATH_FILESTAT_SET_TIMES)
    .union(Rights::PATH_SYMLINK)
    .union(Rights::PATH_REMOVE_DIRECTORY)
    .union(Rights::PATH_UNLINK_FILE);

/// What can be done with what a path leads to.
const BELOW: Rights = DIRECTORY.union(REGULAR_FILE);

impl Descriptor {
    fn new(kind: Kind, base: Rights) -> Self {
        Self {
            kind,
            flags: FdFlags::empty(),
            base,
            inheriting: Rights::empty(),
            preopened: false,
        }
    }

    pub(crate) fn input(stream: DynInputStream, terminal: bool) -> Self {
        Self::new(Kind::Stream(Stream::Input { stream, terminal }), INPUT)
    }

    pub(crate) fn output(stream: DynOutputStream, terminal: bool) -> Self {
        Self::new(Kind::Stream(Stream::Output { stream, terminal }), OUTPUT)
    }

    pub(crate) fn connection(stream: Arc<dyn TcpStream>) -> Self {
        let connection = Connection {
            stream,
            peeked: Bytes::new(),
            receive_closed: false,
            send_closed: false,
        };
        Self::new(Kind::Stream(Stream::Connection(connection)), CONNECTION)
    }

    pub(crate) fn listener(listener: Arc<dyn TcpListener>) -> Self {
        let listener = Listener {
            listener,
            next: None,
        };
        let descriptor = Self::new(Kind::Listener(listener), LISTENER);
        descriptor.with_inheriting(CONNECTION)
    }

    pub(crate) fn preopen(open: wasi_filesystem::Descriptor, name: Box<str>) -> Self {
        let directory = Kind::Directory(Directory {
            open,
            name,
            listing: None,
        });
        let descriptor = Self::new(directory, DIRECTORY).with_inheriting(BELOW);
        descriptor.preopened()
    }

    /// What was opened by a path, with those of the rights that something of its kind can have.
    pub(crate) fn opened(
        open: wasi_filesystem::Descriptor,
        flags: FdFlags,
        base: Rights,
        inheriting: Rights,
    ) -> Self {
        let (possible, inheriting, kind) = match open.descriptor_type() {
            DescriptorType::Directory => {
                let directory = Directory {
                    open,
                    name: Box::default(),
                    listing: None,
                };
                (DIRECTORY, inheriting, Kind::Directory(directory))
            }
            descriptor_type => {
                let possible = match descriptor_type {
                    DescriptorType::RegularFile | DescriptorType::BlockDevice => REGULAR_FILE,
                    _ => UNSEEKABLE,
                };
                let file = File { open, position: 0 };
                (possible, Rights::empty(), Kind::File(file))
            }
        };
        let mut descriptor = Self::new(kind, base & possible).with_inheriting(inheriting);
        descriptor.flags = flags;
        descriptor
    }

    fn with_inheriting(mut self, inheriting: Rights) -> Self {
        self.inheriting = inheriting;
        self
    }

    pub(crate) fn preopened(mut self) -> Self {
        self.preopened = true;
        self
    }

    /// # Errors
    /// [`Errno::Notcapable`]: it lacks one of `rights`.
    pub(crate) fn may(&self, rights: Rights) -> Result<(), Errno> {
        match self.base.contains(rights) {
            true => Ok(()),
            false => Err(Errno::Notcapable),
        }
    }

    pub(crate) fn nonblock(&self) -> bool {
        self.flags.contains(FdFlags::NONBLOCK)
    }

    pub(crate) fn filetype(&self) -> Filetype {
        match &self.kind {
            Kind::File(file) => file.open.descriptor_type().into(),
            Kind::Directory(_) => Filetype::Directory,
            Kind::Stream(Stream::Input { terminal, .. } | Stream::Output { terminal, .. }) => {
                match terminal {
                    true => Filetype::CharacterDevice,
                    false => Filetype::Unknown,
                }
            }
            Kind::Stream(Stream::Connection(_)) | Kind::Listener(_) => Filetype::SocketStream,
        }
    }

    /// What has an offset.
    ///
    /// # Errors
    /// [`Errno::Isdir`]: a directory. [`Errno::Spipe`]: something else that has none.
    /// [`Errno::Notcapable`].
    pub(crate) fn file(&self, rights: Rights) -> Result<&File, Errno> {
        match &self.kind {
            Kind::File(file) => self.may(rights).map(|()| file),
            Kind::Directory(_) => Err(Errno::Isdir),
            Kind::Stream(_) | Kind::Listener(_) => Err(Errno::Spipe),
        }
    }

    /// # Errors
    /// [`Errno::Notdir`]: it is none. [`Errno::Notcapable`].
    pub(crate) fn directory(&self, rights: Rights) -> Result<&Directory, Errno> {
        match &self.kind {
            Kind::Directory(directory) => self.may(rights).map(|()| directory),
            _ => Err(Errno::Notdir),
        }
    }

    /// # Errors
    /// [`Errno::Notsock`]: it is none. [`Errno::Notconn`]: it listens. [`Errno::Notcapable`].
    pub(crate) fn connected(&mut self, rights: Rights) -> Result<&mut Connection, Errno> {
        self.may_be_socket(rights)?;
        match &mut self.kind {
            Kind::Stream(Stream::Connection(connection)) => Ok(connection),
            _ => Err(Errno::Notconn),
        }
    }

    /// # Errors
    /// [`Errno::Notsock`]: it is no socket. [`Errno::Inval`]: it does not listen.
    /// [`Errno::Notcapable`].
    pub(crate) fn listening(&mut self, rights: Rights) -> Result<&mut Listener, Errno> {
        match self.kind {
            Kind::Stream(Stream::Connection(_)) => Err(Errno::Inval),
            _ => self.may_be_socket(rights),
        }?;
        match &mut self.kind {
            Kind::Listener(listener) => Ok(listener),
            _ => Err(Errno::Inval),
        }
    }

    fn may_be_socket(&self, rights: Rights) -> Result<(), Errno> {
        match &self.kind {
            Kind::Stream(Stream::Connection(_)) => self.may(rights),
            // It may have no right to what only a connection does.
            Kind::Listener(_) => self.may(rights & LISTENER),
            _ => Err(Errno::Notsock),
        }
    }
}

impl Stream {
    /// Reads what is there; 0 bytes only at the end, or into an empty `buf`.
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, Errno>> {
        match self {
            Self::Input { stream, .. } => {
                Poll::Ready(match ready!(stream.poll_read_into(cx, buf)) {
                    Ok(n) => Ok(n),
                    Err(StreamError::Closed) => Ok(0),
                    Err(error) => Err(Errno::from(&error)),
                })
            }
            Self::Output { .. } => Poll::Ready(Err(Errno::Badf)),
            Self::Connection(connection) => connection.poll_read(cx, buf),
        }
    }

    /// Writes what it takes; 0 bytes only where `bytes` is empty.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<Result<usize, Errno>> {
        match self {
            Self::Input { .. } => Poll::Ready(Err(Errno::Badf)),
            Self::Output { stream, .. } => stream
                .poll_write(cx, bytes)
                .map_err(|error| Errno::from(&error)),
            Self::Connection(connection) => connection.poll_write(cx, bytes),
        }
    }

    /// Ready when [`Stream::poll_read`] would be; how many bytes are there at least.
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<u64> {
        match self {
            Self::Input { stream, .. } => wasi_io::Pollable::poll_ready(stream, cx).map(|()| 1),
            Self::Output { .. } => Poll::Ready(0),
            Self::Connection(connection) if !connection.peeked.is_empty() => {
                Poll::Ready(connection.peeked.len() as u64)
            }
            Self::Connection(connection) if connection.receive_closed => Poll::Ready(0),
            Self::Connection(connection) => connection.stream.poll_read_ready(cx).map(|()| 1),
        }
    }

    /// Ready when [`Stream::poll_write`] would be; how many bytes it takes at least, or why it
    /// takes none.
    pub(crate) fn poll_writable(&mut self, cx: &mut Context<'_>) -> Poll<Result<u64, Errno>> {
        match self {
            Self::Input { .. } => Poll::Ready(Ok(0)),
            Self::Output { stream, .. } => {
                wasi_io::Pollable::poll_ready(stream, cx).map(|()| Ok(1))
            }
            Self::Connection(connection) => connection.poll_permit(cx).map_ok(|n| n as u64),
        }
    }
}

impl Connection {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<Result<usize, Errno>> {
        if !self.peeked.is_empty() {
            let n = self.peeked.len().min(buf.len());
            buf[..n].copy_from_slice(&self.peeked.split_to(n));
            return Poll::Ready(Ok(n));
        }
        if self.receive_closed || buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.stream.poll_read(cx, buf).map_err(Errno::from)
    }

    /// Has more bytes in `peeked`, up to `max`, and says whether there were any.
    pub(crate) fn poll_peek(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<bool, Errno>> {
        if self.receive_closed {
            return Poll::Ready(Ok(false));
        }
        let max = max.saturating_sub(self.peeked.len()).max(1);
        let more = ready!(self.stream.poll_read_bytes(cx, max)).map_err(Errno::from)?;
        let any = !more.is_empty();
        self.peeked = match self.peeked.is_empty() {
            true => more,
            false => [&self.peeked[..], &more].concat().into(),
        };
        Poll::Ready(Ok(any))
    }

    fn poll_permit(&self, cx: &mut Context<'_>) -> Poll<Result<usize, Errno>> {
        if self.send_closed {
            return Poll::Ready(Err(Errno::Pipe));
        }
        self.stream.poll_write_ready(cx).map_err(send_errno)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, Errno>> {
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let n = ready!(self.poll_permit(cx))?.min(bytes.len());
        self.stream.write(&bytes[..n]).map_err(send_errno)?;
        Poll::Ready(Ok(n))
    }
}

/// What a send fails with: where the connection has ended, nobody reads.
fn send_errno(code: sockets::ErrorCode) -> Errno {
    match code {
        sockets::ErrorCode::InvalidState => Errno::Pipe,
        code => code.into(),
    }
}
