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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorCode;
    use alloc::vec;
    use alloc::vec::Vec;
    use core::future::ready;

    /// What comes of one operation, and when.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Answer {
        Now(Result<usize>),
        Later(Result<usize>),
    }
    use Answer::*;

    const LENGTHS: [usize; 6] = [0, 3, 0, 2, 4, 0];
    const FULL: Result<usize> = Err(ErrorCode::InsufficientSpace);

    fn answered(op: Op<Result<usize>>) -> Answer {
        match op {
            Op::Ready(result) => Now(result),
            Op::Pending(future) => Later(pollster::block_on(future)),
        }
    }

    #[test]
    fn buffers_are_written_in_order_and_every_byte_that_is_under_way_is_counted() {
        for (answers, end) in [
            (&[Now(Ok(3)), Now(Ok(2)), Now(Ok(4))][..], Now(Ok(9))),
            (&[Now(Ok(3)), Now(Ok(1))], Now(Ok(4))),
            (&[Now(Ok(0))], Now(Ok(0))),
            (&[Now(FULL)], Now(FULL)),
            (&[Now(Ok(3)), Now(FULL)], Now(Ok(3))),
            (&[Later(Ok(3))], Later(Ok(3))),
            (&[Later(FULL)], Later(FULL)),
            (&[Now(Ok(3)), Later(Ok(2))], Later(Ok(5))),
            (&[Now(Ok(3)), Now(Ok(2)), Later(Ok(1))], Later(Ok(6))),
            (&[Now(Ok(3)), Later(FULL)], Later(Ok(3))),
            // More than there was.
            (&[Now(Ok(9)), Now(Ok(9)), Later(Ok(9))], Later(Ok(9))),
        ] {
            let bytes = b"123456789";
            let mut rest = &bytes[..];
            let bufs = LENGTHS.map(|length| {
                let (buf, after) = rest.split_at(length);
                rest = after;
                buf
            });
            let mut left = answers.iter();
            let mut asked = 0;
            let op = write(&bufs, |done, buf| {
                assert_eq!(done, asked, "{answers:?}");
                assert!(!buf.is_empty() && bytes[done..].starts_with(buf));
                asked += buf.len();
                match *left.next().expect("nothing more is written") {
                    Now(result) => Op::Ready(result),
                    Later(result) => Op::Pending(Box::pin(ready(result))),
                }
            });
            assert_eq!(answered(op), end, "{answers:?}");
            assert_eq!(left.len(), 0, "{answers:?}");
        }
    }

    #[test]
    fn buffers_are_filled_in_order_until_one_is_not_whole_fails_or_has_to_wait() {
        for (answers, end) in [
            (&[Now(Ok(3)), Now(Ok(2)), Now(Ok(4))][..], Now(Ok(9))),
            (&[Now(Ok(3)), Now(Ok(1))], Now(Ok(4))),
            (&[Now(Ok(3)), Now(Ok(0))], Now(Ok(3))),
            (&[Now(Ok(0))], Now(Ok(0))),
            (&[Now(FULL)], Now(FULL)),
            (&[Now(Ok(3)), Now(FULL)], Now(Ok(3))),
            (&[Later(Ok(3))], Later(Ok(3))),
            (&[Later(FULL)], Later(FULL)),
            (&[Now(Ok(3)), Later(Ok(2))], Now(Ok(3))),
            (&[Now(Ok(9)), Now(Ok(9)), Now(Ok(9))], Now(Ok(9))),
        ] {
            let mut bufs = LENGTHS.map(|length| vec![0; length]);
            let mut slices: Vec<_> = bufs.iter_mut().map(|buf| &mut buf[..]).collect();
            let mut left = answers.iter();
            let mut at = 100;
            let op = read(100, &mut slices, |offset, buf| {
                assert_eq!(offset, at, "{answers:?}");
                assert!(!buf.is_empty());
                at += buf.len() as u64;
                match *left.next().expect("nothing more is read") {
                    Now(result) => {
                        buf.fill(result.is_ok().into());
                        Op::Ready(result)
                    }
                    Later(result) => Op::Pending(Box::pin(ready(
                        result.map(|length| Bytes::from(vec![1; length])),
                    ))),
                }
            });
            let op = match op {
                Op::Ready(result) => Op::Ready(result),
                Op::Pending(bytes) => {
                    Op::Pending(Box::pin(async { bytes.await.map(|bytes| bytes.len()) }))
                }
            };
            assert_eq!(answered(op), end, "{answers:?}");
            assert_eq!(left.len(), 0, "{answers:?}");
            if let Now(Ok(9)) = end {
                assert_eq!(bufs.concat(), [1; 9]);
            }
        }
    }

    #[test]
    fn no_byte_asks_nothing() {
        let mut asks = 0;
        for mut bufs in [vec![], vec![&mut [][..]], vec![&mut [], &mut []]] {
            let op = read(u64::MAX, &mut bufs, |_, _| {
                asks += 1;
                Op::failed(ErrorCode::Io)
            });
            assert!(matches!(op, Op::Ready(Ok(0))));
        }
        for bufs in [&[][..], &[&[][..]], &[&[], &[]]] {
            let op = write(bufs, |_, _| {
                asks += 1;
                Op::failed(ErrorCode::Io)
            });
            assert!(matches!(op, Op::Ready(Ok(0))));
        }
        assert_eq!(asks, 0);
    }
}
