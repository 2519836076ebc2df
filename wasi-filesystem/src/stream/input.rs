use super::{MIN_BUFFER, PIECE_MAX, Waiting};
use crate::backend::{File, Result};
use crate::descriptor::Open;
#[cfg(feature = "p3")]
use crate::descriptor::fill;
use crate::freshness::Slot;
use crate::{DescriptorType, ErrorCode};
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use bytes::Bytes;
use core::ops::Range;
use core::task::{Context, Poll, ready};
use wasi_io::{InputStream, Op, Pollable, StreamError};

/// What is read ahead at first, and at most, of a file that is read from front to back.
const WINDOW_MIN: usize = 16 << 10;
const WINDOW_MAX: usize = PIECE_MAX;

/// Reads a file from front to back, ahead of the guest where it reads in small steps.
///
/// What was read ahead is dropped when the guest has written the file meanwhile. The first
/// read of a stream reads what is asked for and no more: a guest that seeks, as C libraries do
/// it, makes a stream for each place that it goes to.
pub(crate) struct FileInputStream {
    open: Arc<Open>,
    file: Arc<dyn File>,
    /// Where the guest is.
    offset: u64,
    ahead: Ahead,
    reading: Option<Box<Waiting<Result<Bytes>>>>,
    /// Where writes to the file are counted, and the count when `ahead` or `reading` began;
    /// from the first moment that they were something.
    written: Option<(Slot, u32)>,
    buffer: Vec<u8>,
    /// How much of the file is read ahead next; nothing before the guest's second read.
    window: usize,
    /// What the guest's count of buffered bytes has of `buffer`.
    held_buffer: usize,
    /// What it has of `reading`, and of what came of it.
    held_reading: usize,
}

/// What is known of the file from `offset` on.
enum Ahead {
    Nothing,
    /// This part of the buffer.
    Buffered(Range<usize>),
    Given(Bytes),
    End,
    Failed(ErrorCode),
}

/// Bytes that are the guest's now.
enum Piece {
    Buffered(Range<usize>),
    Given(Bytes),
}

impl FileInputStream {
    pub(crate) fn new(open: Arc<Open>, file: Arc<dyn File>, offset: u64) -> Self {
        Self {
            open,
            file,
            offset,
            ahead: Ahead::Nothing,
            reading: None,
            written: None,
            buffer: Vec::new(),
            window: 0,
            held_buffer: 0,
            held_reading: 0,
        }
    }

    fn is_idle(&self) -> bool {
        matches!(self.ahead, Ahead::Nothing) && self.reading.is_none()
    }

    /// Drops what was read, or begun to be, before the last write.
    fn refresh(&mut self) {
        let Some((slot, seen)) = self.written else {
            return;
        };
        let now = self.open.guest().generations.now(slot);
        if now == seen {
            return;
        }
        self.written = Some((slot, now));
        if !self.is_idle() {
            self.ahead = Ahead::Nothing;
            self.reading = None;
            self.release_reading();
            // Who writes what it reads would have it read in vain time and again.
            self.window = self.window.min(WINDOW_MIN);
        }
    }

    /// From here on `refresh` sees writes.
    fn watch(&mut self) {
        if self.written.is_none() {
            let (slot, generations) = (self.open.slot(), &self.open.guest().generations);
            generations.reader_came();
            self.written = Some((slot, generations.now(slot)));
        }
    }

    /// Begins a read at `offset` into `buf`: what is known at once, or else `reading`.
    fn begin(&mut self, buf: &mut [u8]) -> Option<Result<usize>> {
        match self.file.read_at(self.offset, buf) {
            Op::Ready(read) => Some(read.map(|n| n.min(buf.len()))),
            Op::Pending(future) => {
                if buf.len() > MIN_BUFFER {
                    if !self.open.guest().buffered.take(buf.len()) {
                        drop(future);
                        return self.begin(&mut buf[..MIN_BUFFER]);
                    }
                    self.held_reading += buf.len();
                }
                self.watch();
                self.reading = Some(Box::new(Waiting::new(future)));
                None
            }
        }
    }

    fn release_reading(&mut self) {
        let held = core::mem::take(&mut self.held_reading);
        if held > 0 {
            self.open.guest().buffered.give(held);
        }
    }

    /// How many bytes of a read of `max` go through without being read ahead, if it does.
    fn through(&self, max: usize) -> Option<usize> {
        (self.is_idle() && max >= self.window).then(|| max.min(WINDOW_MAX))
    }

    /// Reads into `buf`, which has the length that [`Self::through`] gave.
    fn read_through(&mut self, buf: &mut [u8]) -> Option<Result<usize, StreamError>> {
        Some(match self.begin(buf)? {
            Ok(0) => Err(StreamError::Closed),
            Ok(n) => {
                self.went_on(n);
                Ok(n)
            }
            Err(code) => Err(StreamError::failed(code)),
        })
    }

    /// Ready when something is known of what comes next.
    fn poll_ahead(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.is_idle() {
            self.watch();
            let window = self.next_window();
            let mut buffer = core::mem::take(&mut self.buffer);
            let read = self.begin(&mut buffer[..window]);
            self.buffer = buffer;
            if let Some(read) = read {
                if read == Ok(window) {
                    self.window = (window * 2).min(WINDOW_MAX);
                }
                self.ahead = match read {
                    Ok(0) => Ahead::End,
                    Ok(n) => Ahead::Buffered(0..n),
                    Err(code) => Ahead::Failed(code),
                };
            }
        }
        if let Some(reading) = &mut self.reading {
            let read = ready!(reading.poll(cx));
            self.reading = None;
            self.ahead = match read {
                Ok(bytes) if bytes.is_empty() => Ahead::End,
                Ok(bytes) => {
                    if bytes.len() >= self.window {
                        self.window = (self.window * 2).clamp(WINDOW_MIN, WINDOW_MAX);
                    }
                    Ahead::Given(bytes)
                }
                Err(code) => Ahead::Failed(code),
            };
        }
        Poll::Ready(())
    }

    /// How much to read ahead, for which the buffer has room.
    fn next_window(&mut self) -> usize {
        let window = self.window.max(WINDOW_MIN);
        if self.buffer.len() < window {
            let more = window - self.held_buffer;
            if self.open.guest().buffered.take(more) {
                self.held_buffer = window;
                self.buffer = vec![0; window];
            } else if self.buffer.is_empty() {
                self.buffer = vec![0; MIN_BUFFER];
            }
        }
        window.min(self.buffer.len())
    }

    /// Takes up to `max` bytes of what is known, once [`Self::poll_ahead`] was ready; `None` is
    /// the end.
    fn take(&mut self, max: usize) -> Result<Option<Piece>> {
        let (piece, n) = match &mut self.ahead {
            Ahead::Buffered(range) => {
                let n = max.min(range.len());
                let piece = range.start..range.start + n;
                range.start += n;
                (Piece::Buffered(piece), n)
            }
            Ahead::Given(bytes) => {
                let n = max.min(bytes.len());
                (Piece::Given(bytes.split_to(n)), n)
            }
            Ahead::Failed(code) => return Err(*code),
            Ahead::End | Ahead::Nothing => return Ok(None),
        };
        self.went_on(n);
        Ok(Some(piece))
    }

    /// As [`Self::take`], for a stream of WASI 0.2.
    fn take_or_close(&mut self, max: usize) -> Result<Piece, StreamError> {
        match self.take(max) {
            Ok(piece) => piece.ok_or(StreamError::Closed),
            Err(code) => Err(StreamError::failed(code)),
        }
    }

    fn bytes<'a>(&'a self, piece: &'a Piece) -> &'a [u8] {
        match piece {
            Piece::Buffered(range) => &self.buffer[range.clone()],
            Piece::Given(bytes) => bytes,
        }
    }

    /// The guest has `n` more bytes.
    fn went_on(&mut self, n: usize) {
        self.offset = self.offset.saturating_add(n as u64);
        self.window = self.window.max(WINDOW_MIN);
        let used_up = match &self.ahead {
            Ahead::Buffered(range) => range.is_empty(),
            Ahead::Given(bytes) => bytes.is_empty(),
            _ => false,
        };
        if used_up {
            self.ahead = Ahead::Nothing;
            self.release_reading();
        }
    }

    /// Goes on by up to `max` bytes without reading them, where the backend says at once how
    /// many there are.
    fn seek(&mut self, max: usize) -> Option<usize> {
        if !self.is_idle() || self.file.descriptor_type() != DescriptorType::RegularFile {
            return None;
        }
        match self.file.stat() {
            Op::Ready(Ok(stat)) if stat.size > self.offset => {
                let left = usize::try_from(stat.size - self.offset);
                let n = left.map_or(max, |left| left.min(max));
                self.went_on(n);
                Some(n)
            }
            _ => None,
        }
    }
}

/// For `read-via-stream` of WASI 0.3, where reads may be given up, and the end comes with the
/// last bytes.
#[cfg(feature = "p3")]
impl FileInputStream {
    /// Ready where a read would be; for a regular file that is always.
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.file.descriptor_type() {
            DescriptorType::RegularFile => Poll::Ready(()),
            _ => self.poll_ready(cx),
        }
    }

    /// Reads into `buf` (at least 1 byte), and says how many bytes, and whether the end of the
    /// file was seen behind them.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<(usize, bool)>> {
        self.refresh();
        if let Some(len) = self.through(buf.len())
            && let Some(read) = self.begin(&mut buf[..len])
        {
            return Poll::Ready(read.map(|read| {
                let (read, end) = fill(&*self.file, self.offset, &mut buf[..len], read);
                self.went_on(read);
                (read, end)
            }));
        }
        ready!(self.poll_ahead(cx));
        Poll::Ready(match self.take(buf.len()) {
            Ok(Some(piece)) => {
                let bytes = self.bytes(&piece);
                buf[..bytes.len()].copy_from_slice(bytes);
                Ok((bytes.len(), false))
            }
            Ok(None) => Ok((0, true)),
            Err(code) => Err(code),
        })
    }

    /// The read that is pending has been given up. What it would have given is read again;
    /// only of what has no offsets is it kept for the next one.
    pub(crate) fn give_up(&mut self) {
        if self.file.descriptor_type() == DescriptorType::RegularFile {
            self.reading = None;
            self.release_reading();
        }
    }
}

impl Pollable for FileInputStream {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.refresh();
        self.poll_ahead(cx)
    }
}

impl InputStream for FileInputStream {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, StreamError>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.refresh();
        if let Some(len) = self.through(buf.len())
            && let Some(read) = self.read_through(&mut buf[..len])
        {
            return Poll::Ready(read);
        }
        ready!(self.poll_ahead(cx));
        let piece = self.take_or_close(buf.len())?;
        let bytes = self.bytes(&piece);
        buf[..bytes.len()].copy_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_read_bytes(
        &mut self,
        cx: &mut Context<'_>,
        max: usize,
    ) -> Poll<Result<Bytes, StreamError>> {
        if max == 0 {
            return Poll::Ready(Ok(Bytes::new()));
        }
        self.refresh();
        if let Some(len) = self.through(max) {
            let mut buf = vec![0; len];
            if let Some(read) = self.read_through(&mut buf) {
                return Poll::Ready(read.map(|n| {
                    buf.truncate(n);
                    buf.into()
                }));
            }
        }
        ready!(self.poll_ahead(cx));
        Poll::Ready(Ok(match self.take_or_close(max)? {
            Piece::Buffered(range) => Bytes::copy_from_slice(&self.buffer[range]),
            Piece::Given(bytes) => bytes,
        }))
    }

    fn poll_skip(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<usize, StreamError>> {
        if max == 0 {
            return Poll::Ready(Ok(0));
        }
        self.refresh();
        if let Some(n) = self.seek(max) {
            return Poll::Ready(Ok(n));
        }
        ready!(self.poll_ahead(cx));
        Poll::Ready(self.take_or_close(max).map(|piece| match piece {
            Piece::Buffered(range) => range.len(),
            Piece::Given(bytes) => bytes.len(),
        }))
    }
}

impl Drop for FileInputStream {
    fn drop(&mut self) {
        let guest = self.open.guest();
        guest.buffered.give(self.held_buffer + self.held_reading);
        if self.written.is_some() {
            guest.generations.reader_left();
        }
    }
}
