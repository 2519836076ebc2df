//! `wasi:cli`'s standard streams on the console.
//!
//! Input: a carriage return, which a terminal sends for Enter, is a line feed; control-D, as the
//! byte 4, ends the input for good. Output leaves as it is.

use crate::serial;
use core::task::{Context, Poll};
use spin::Mutex;
use wasi_cli::{Stdin, Stdout};
use wasi_io::{
    DynInputStream, DynOutputStream, InputStream, OutputStream, Pollable, StreamError, WakerSet,
};

const END: u8 = 4;

/// Who waits for input, and for room for output.
static READERS: WakerSet = WakerSet::new();
static WRITERS: WakerSet = WakerSet::new();

/// Whether the input has ended.
static ENDED: Mutex<bool> = Mutex::new(false);

/// Somebody typed.
pub(crate) fn wake_readers() {
    READERS.wake_all();
}

/// The console has room.
pub(crate) fn wake_writers() {
    WRITERS.wake_all();
}

/// Ready once the input has ended; what is typed until then is thrown away.
pub(crate) fn poll_end(cx: &mut Context<'_>) -> Poll<()> {
    READERS.register(cx.waker());
    let mut ended = ENDED.lock();
    while !*ended {
        match serial::get() {
            None => return Poll::Pending,
            Some(byte) => *ended = byte == END,
        }
    }
    Poll::Ready(())
}

/// All of the console.
pub(crate) struct Console;

impl Stdin for Console {
    fn stream(&self) -> DynInputStream {
        DynInputStream::new(Keyboard)
    }

    fn is_terminal(&self) -> bool {
        true
    }
}

impl Stdout for Console {
    fn stream(&self) -> DynOutputStream {
        DynOutputStream::new(Screen)
    }

    fn is_terminal(&self) -> bool {
        true
    }
}

struct Keyboard;

impl Pollable for Keyboard {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        READERS.register(cx.waker());
        match *ENDED.lock() || serial::has_input() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }
}

impl InputStream for Keyboard {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, StreamError>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        READERS.register(cx.waker());
        let mut ended = ENDED.lock();
        let mut read = 0;
        while read < buf.len() && !*ended {
            match serial::get() {
                None => break,
                Some(END) => *ended = true,
                Some(byte) => {
                    buf[read] = if byte == b'\r' { b'\n' } else { byte };
                    read += 1;
                }
            }
        }
        match (read, *ended) {
            (0, true) => Poll::Ready(Err(StreamError::Closed)),
            (0, false) => Poll::Pending,
            _ => Poll::Ready(Ok(read)),
        }
    }
}

struct Screen;

impl Pollable for Screen {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        WRITERS.register(cx.waker());
        match serial::room() {
            0 => Poll::Pending,
            _ => Poll::Ready(()),
        }
    }
}

impl OutputStream for Screen {
    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(serial::room())
    }

    /// The kernel's messages come in between: what of the permit they took, this waits for.
    fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            rest = &rest[serial::put(rest)..];
        }
        Ok(())
    }

    fn waits_for_flush(&self) -> bool {
        false
    }
}
