//! What a program writes, while it runs.

use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// One of a program's outputs. It is read to its end, and its beginning is kept.
pub(super) struct Output {
    shared: Arc<Shared>,
    reader: Option<JoinHandle<io::Result<()>>>,
    /// How much of it has been taken, in bytes.
    taken: usize,
}

#[derive(Default)]
struct Shared {
    written: Mutex<Written>,
    changed: Condvar,
}

#[derive(Default)]
struct Written {
    bytes: Vec<u8>,
    /// No more will come.
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Written> {
        // Nothing can panic that holds it.
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Output {
    /// Reads `pipe` from now on, and keeps the first `keep` bytes of it.
    pub(super) fn new(pipe: impl Read + Send + 'static, keep: usize) -> Self {
        let shared = Arc::new(Shared::default());
        let reader = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let result = read(pipe, &shared, keep);
                shared.lock().ended = true;
                shared.changed.notify_all();
                result
            })
        };
        Self {
            shared,
            reader: Some(reader),
            taken: 0,
        }
    }

    /// The next `length` bytes; fewer, if no more come until `deadline`.
    pub(super) fn take(&mut self, length: usize, deadline: Instant) -> Vec<u8> {
        self.next(deadline, |rest| rest.get(..length).map(<[u8]>::len))
    }

    /// The next line, with its end; without it, if none comes until `deadline`.
    pub(super) fn line(&mut self, deadline: Instant) -> Vec<u8> {
        self.next(deadline, |rest| {
            let end = rest.iter().position(|&byte| byte == b'\n')?;
            Some(end + 1)
        })
    }

    /// Waits until `enough` says how many of the bytes that are left are wanted, and takes these.
    fn next(&mut self, deadline: Instant, enough: impl Fn(&[u8]) -> Option<usize>) -> Vec<u8> {
        let mut written = self.shared.lock();
        loop {
            let rest = &written.bytes[self.taken..];
            let now = Instant::now();
            let wanted = match enough(rest) {
                None if written.ended || now >= deadline => Some(rest.len()),
                wanted => wanted,
            };
            if let Some(wanted) = wanted {
                self.taken += wanted;
                return rest[..wanted].to_vec();
            }
            let waited = self.shared.changed.wait_timeout(written, deadline - now);
            written = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// All that is kept, after the end has come.
    pub(super) fn finish(&mut self) -> io::Result<Vec<u8>> {
        match self.reader.take().map(JoinHandle::join) {
            Some(Err(panic)) => std::panic::resume_unwind(panic),
            Some(Ok(result)) => result?,
            None => {}
        }
        Ok(std::mem::take(&mut self.shared.lock().bytes))
    }
}

fn read(mut pipe: impl Read, shared: &Shared, keep: usize) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        let read = match pipe.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let mut written = shared.lock();
        let kept = read.min(keep - written.bytes.len());
        written.bytes.extend_from_slice(&buffer[..kept]);
        drop(written);
        shared.changed.notify_all();
    }
}
