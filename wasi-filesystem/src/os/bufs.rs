//! Buffers, as calls take them.

use crate::vectored::length;
use alloc::vec::Vec;

/// The last offset that there is.
pub(super) const OFFSET_MAX: u64 = i64::MAX as u64;

/// As many of `length` bytes as have an offset when they begin at `offset`, if that is one.
pub(super) fn within(offset: u64, length: usize) -> Option<usize> {
    let left = OFFSET_MAX.checked_sub(offset)?;
    Some(length.min(usize::try_from(left).unwrap_or(usize::MAX)))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_cut_after_so_many_bytes_and_empty_ones_left_out() {
        for (max, expected) in [
            (0, &[][..]),
            (1, &["a"]),
            (3, &["abc"]),
            (4, &["abc", "d"]),
            (6, &["abc", "def"]),
            (99, &["abc", "def", "g"]),
            (usize::MAX, &["abc", "def", "g"]),
        ] {
            let bufs = ["", "abc", "", "def", "g", ""];
            let slices = bufs.map(str::as_bytes);
            let expected: Vec<_> = expected.iter().map(|piece| piece.as_bytes()).collect();
            assert_eq!(cut(&slices, max).collect::<Vec<_>>(), expected, "{max}");
            let mut owned = bufs.map(Vec::from);
            let mut to_fill = owned.each_mut().map(|buf| &mut buf[..]);
            let pieces: Vec<_> = cut_mut(&mut to_fill, max).collect();
            assert_eq!(pieces, expected, "{max}");
            assert_eq!(joined(&slices, max), expected.concat(), "{max}");
        }
    }
}
