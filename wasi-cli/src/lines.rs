use crate::Stdout;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::task::{Context, Poll};
use wasi_io::{DynOutputStream, OutputStream, Pollable, StreamError, sync::Mutex};

/// What one write takes at most, in bytes.
const PERMIT: usize = 64 << 10;

/// Hands what a guest writes to a function, line by line: for a server that puts its guests'
/// output into its log. Clones and streams write to the same lines.
///
/// A line comes without its line feed. One that is longer than the limit comes in pieces. What
/// follows the last line feed comes when the last clone and the last stream are dropped.
#[derive(Clone)]
pub struct LineOutput(Arc<Mutex<Lines>>);

type Sink = Box<dyn FnMut(&[u8]) + Send>;

struct Lines {
    sink: Sink,
    /// The begin of a line; shorter than the limit.
    partial: Vec<u8>,
    max_line: usize,
}

impl LineOutput {
    /// Calls `sink` with each line of up to `max_line` bytes (at least 1).
    ///
    /// `sink` is called inside of the guest's write, which it holds up, and must not write to
    /// this output itself.
    pub fn new(max_line: usize, sink: impl FnMut(&[u8]) + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Lines {
            sink: Box::new(sink),
            partial: Vec::new(),
            max_line: max_line.max(1),
        })))
    }
}

impl Lines {
    fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            // One more than fits may still be the line feed.
            let room = self.max_line - self.partial.len();
            let window = &bytes[..bytes.len().min(room + 1)];
            let end = window.iter().position(|&byte| byte == b'\n');
            let (len, taken) = match end {
                Some(len) => (len, len + 1),
                None if window.len() > room => (room, room),
                None => {
                    self.partial.extend_from_slice(window);
                    return;
                }
            };
            match self.partial.is_empty() {
                true => (self.sink)(&bytes[..len]),
                false => {
                    self.partial.extend_from_slice(&bytes[..len]);
                    (self.sink)(&self.partial);
                    self.partial.clear();
                }
            }
            bytes = &bytes[taken..];
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.partial.is_empty() {
            (self.sink)(&self.partial);
        }
    }
}

impl Stdout for LineOutput {
    fn stream(&self) -> DynOutputStream {
        DynOutputStream::new(self.clone())
    }
}

impl Pollable for LineOutput {
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }
}

impl OutputStream for LineOutput {
    fn check_write(&mut self) -> Result<usize, StreamError> {
        Ok(PERMIT)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StreamError> {
        self.0.lock().write(bytes);
        Ok(())
    }

    fn waits_for_flush(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;

    /// The lines of up to 4 bytes that come of `writes`, while the output lives and at its end.
    fn lines(writes: &[&str]) -> (Vec<String>, Vec<String>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = seen.clone();
        let output = LineOutput::new(4, move |line: &[u8]| {
            sink.lock().push(String::from_utf8(line.to_vec()).unwrap());
        });
        for bytes in writes {
            // As Rust's standard library does: a stream for each write.
            let mut stream = output.stream();
            assert!(stream.check_write().unwrap() >= bytes.len());
            stream.write(bytes.as_bytes()).unwrap().unwrap();
            stream.flush().unwrap();
        }
        let alive = core::mem::take(&mut *seen.lock());
        drop(output);
        let at_end = core::mem::take(&mut *seen.lock());
        (alive, at_end)
    }

    #[test]
    fn complete_lines_come_at_once_and_the_rest_at_the_end() {
        for (writes, alive, at_end) in [
            (&[][..], &[][..], &[][..]),
            (&["ab\n"], &["ab"], &[]),
            (&["a", "b", "\n", "c"], &["ab"], &["c"]),
            (&["a\n\nb\n"], &["a", "", "b"], &[]),
            (&["\n"], &[""], &[]),
            (&["a\r\n"], &["a\r"], &[]),
            // Just as long as allowed: no empty line after it.
            (&["abcd\n"], &["abcd"], &[]),
            (&["abcd", "\n"], &["abcd"], &[]),
            (&["ab", "cd\ne"], &["abcd"], &["e"]),
            // Longer: in pieces.
            (&["abcde\n"], &["abcd", "e"], &[]),
            (&["abcdefghij"], &["abcd", "efgh"], &["ij"]),
            (&["abc", "defgh\n"], &["abcd", "efgh"], &[]),
            (&["abcd"], &[], &["abcd"]),
        ] {
            let expected = (
                alive.iter().map(|&line| line.into()).collect(),
                at_end.iter().map(|&line| line.into()).collect(),
            );
            assert_eq!(lines(writes), expected, "{writes:?}");
        }
    }

    #[test]
    fn a_stream_that_outlives_its_output_still_writes() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = seen.clone();
        let output = LineOutput::new(99, move |line: &[u8]| sink.lock().extend_from_slice(line));
        let mut stream = output.stream();
        drop(output);
        stream.check_write().unwrap();
        stream.write(b"last words").unwrap().unwrap();
        drop(stream);
        assert_eq!(*seen.lock(), b"last words");
    }
}
