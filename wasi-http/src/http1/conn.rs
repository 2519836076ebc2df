//! The two halves of a connection, each with its bounded buffer.

use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::{Buf, Bytes, BytesMut};
use core::mem;
use core::task::{Context, Poll, ready};
use wasi_sockets::{ErrorCode, TcpStream};

/// The most bytes that one read takes.
const READ_MAX: usize = 16 << 10;

/// Content up to this length is copied: on its way out behind its head, into one write; on its
/// way in out of the memory of its read, which it would keep as a whole.
pub(super) const SMALL: usize = 1 << 10;

/// From here on what waits is written before more is put to it.
const WRITE_FULL: usize = 8 << 10;

/// The half that comes in.
pub(super) struct Reader {
    stream: Arc<dyn TcpStream>,
    /// Read and not consumed.
    buf: Bytes,
    /// The peer sends no more.
    ended: bool,
    /// Something came in since the reader was made or [`Reader::next_message`] was called.
    touched: bool,
}

impl Reader {
    pub(super) fn new(stream: Arc<dyn TcpStream>) -> Self {
        Self {
            stream,
            buf: Bytes::new(),
            ended: false,
            touched: false,
        }
    }

    /// What was read and not consumed.
    pub(super) fn buf(&self) -> &[u8] {
        &self.buf
    }

    pub(super) fn consume(&mut self, n: usize) {
        self.buf.advance(n);
    }

    /// Consumes the first `n` bytes and gives them.
    pub(super) fn take(&mut self, n: usize) -> Bytes {
        match n <= SMALL {
            true => {
                let taken = Bytes::copy_from_slice(&self.buf[..n]);
                self.consume(n);
                taken
            }
            false => self.buf.split_to(n),
        }
    }

    pub(super) fn next_message(&mut self) {
        self.touched = false;
    }

    pub(super) fn touched(&self) -> bool {
        self.touched
    }

    /// The peer sends no more than what is in the buffer.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Ready when [`Reader::poll_fill`] would be.
    pub(super) fn poll_fill_ready(&self, cx: &mut Context<'_>) -> Poll<()> {
        match self.ended {
            true => Poll::Ready(()),
            false => self.stream.poll_read_ready(cx),
        }
    }

    /// Reads what is there, behind what was read before; false is the end. The caller bounds
    /// the buffer.
    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<bool, ErrorCode>> {
        if self.ended {
            return Poll::Ready(Ok(false));
        }
        let new = ready!(self.stream.poll_read_bytes(cx, READ_MAX))?;
        if new.is_empty() {
            self.ended = true;
            return Poll::Ready(Ok(false));
        }
        self.touched = true;
        if self.buf.is_empty() {
            self.buf = new;
        } else {
            // Grows in place where nobody shares the memory.
            let mut buf = mem::take(&mut self.buf)
                .try_into_mut()
                .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
            buf.extend_from_slice(&new);
            self.buf = buf.freeze();
        }
        Poll::Ready(Ok(true))
    }
}

/// The half that goes out.
pub(super) struct Writer {
    stream: Arc<dyn TcpStream>,
    buf: Vec<u8>,
    /// How much of `buf` was written.
    at: usize,
    /// Goes out after `buf`, without a copy.
    content: Bytes,
    /// Goes out after `content`.
    tail: &'static [u8],
    /// How many bytes were written since [`Writer::next_message`].
    written: u64,
}

impl Writer {
    pub(super) fn new(stream: Arc<dyn TcpStream>) -> Self {
        Self {
            stream,
            buf: Vec::new(),
            at: 0,
            content: Bytes::new(),
            tail: b"",
            written: 0,
        }
    }

    pub(super) fn stream(&self) -> &Arc<dyn TcpStream> {
        &self.stream
    }

    pub(super) fn next_message(&mut self) {
        self.written = 0;
    }

    /// How many bytes were written since [`Writer::next_message`].
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// All that was put was written.
    pub(super) fn is_empty(&self) -> bool {
        self.at == self.buf.len() && self.content.is_empty() && self.tail.is_empty()
    }

    /// Whether all that was put has to be written before more is.
    pub(super) fn is_full(&self) -> bool {
        !self.content.is_empty() || self.buf.len() >= WRITE_FULL
    }

    /// Puts `bytes` to what is to be written.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        debug_assert!(self.content.is_empty());
        self.buf.extend_from_slice(bytes);
    }

    /// Puts `content`, then `tail`.
    pub(super) fn put_content(&mut self, content: Bytes, tail: &'static [u8]) {
        if content.len() <= SMALL {
            self.put(&content);
            self.put(tail);
        } else {
            self.content = content;
            self.tail = tail;
        }
    }

    /// Writes all that was put.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ErrorCode>> {
        loop {
            if self.at < self.buf.len() {
                let n = ready!(self.stream.poll_write(cx, &self.buf[self.at..]))?;
                self.at += n;
                self.written += n as u64;
                continue;
            }
            self.buf.clear();
            self.at = 0;
            if !self.content.is_empty() {
                let n = ready!(self.stream.poll_write(cx, &self.content))?;
                self.content.advance(n);
                self.written += n as u64;
            } else if !self.tail.is_empty() {
                self.buf.extend_from_slice(mem::take(&mut self.tail));
            } else {
                return Poll::Ready(Ok(()));
            }
        }
    }
}
