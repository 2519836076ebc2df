//! Several buffers in one call.

use crate::backend::Result;
use alloc::boxed::Box;
use bytes::Bytes;
use wasi_io::Op;

/// The default of [`File::read_vectored_at`](crate::File::read_vectored_at), by `read_at`.
pub(crate) fn read(
    offset: u64,
    bufs: &mut [&mut [u8]],
    mut read_at: impl FnMut(u64, &mut [u8]) -> Op<Result<usize>, Result<Bytes>>,
) -> Op<Result<usize>, Result<Bytes>> {
    let mut done = 0;
    for buf in bufs.iter_mut().filter(|buf| !buf.is_empty()) {
        match read_at(offset.saturating_add(done as u64), buf) {
            Op::Ready(Ok(read)) => {
                let read = read.min(buf.len());
                done += read;
                if read < buf.len() {
                    break;
                }
            }
            // What was read is given; the next call meets the error or the wait.
            _ if done > 0 => break,
            op => return op,
        }
    }
    Op::Ready(Ok(done))
}

/// The default of [`File::write_vectored_at`](crate::File::write_vectored_at) and of
/// [`File::append_vectored`](crate::File::append_vectored). `write` is told how many bytes were
/// written before.
pub(crate) fn write(
    bufs: &[&[u8]],
    mut write: impl FnMut(usize, &[u8]) -> Op<Result<usize>>,
) -> Op<Result<usize>> {
    let mut done = 0_usize;
    for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
        match write(done, buf) {
            Op::Ready(Ok(written)) => {
                let written = written.min(buf.len());
                done = done.saturating_add(written);
                if written < buf.len() {
                    break;
                }
            }
            Op::Ready(Err(_)) if done > 0 => break,
            // It is under way, so its bytes count; an error comes to who writes on.
            Op::Pending(future) if done > 0 => {
                let most = buf.len();
                return Op::Pending(Box::pin(async move {
                    let written = future.await.unwrap_or(0).min(most);
                    Ok(done.saturating_add(written))
                }));
            }
            op => return op,
        }
    }
    Op::Ready(Ok(done))
}

/// How many bytes the buffers have.
pub(crate) fn length<B: AsRef<[u8]>>(bufs: &[B]) -> usize {
    bufs.iter()
        .fold(0, |sum, buf| sum.saturating_add(buf.as_ref().len()))
}
