//! Several buffers, as calls take them.

use crate::vectored::length;
use alloc::vec::Vec;

/// The buffers that are not empty, cut after `max` bytes.
pub(super) fn cut<'a>(bufs: &[&'a [u8]], max: usize) -> impl Iterator<Item = &'a [u8]> {
    let bufs = bufs.iter().filter(|buf| !buf.is_empty());
    bufs.scan(max, |left, buf| {
        let piece = &buf[..buf.len().min(*left)];
        *left -= piece.len();
        (!piece.is_empty()).then_some(piece)
    })
}

/// As [`cut`], to be filled.
pub(super) fn cut_mut<'a>(
    bufs: &'a mut [&mut [u8]],
    max: usize,
) -> impl Iterator<Item = &'a mut [u8]> {
    let bufs = bufs.iter_mut().filter(|buf| !buf.is_empty());
    bufs.scan(max, |left, buf| {
        let length = buf.len().min(*left);
        *left -= length;
        (length > 0).then_some(&mut buf[..length])
    })
}

/// The first `max` bytes of the buffers, as one.
pub(super) fn joined(bufs: &[&[u8]], max: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length(bufs).min(max));
    for piece in cut(bufs, max) {
        bytes.extend_from_slice(piece);
    }
    bytes
}
