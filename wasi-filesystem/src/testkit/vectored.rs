//! Several buffers in one call, and room that is had beforehand.

use super::Check;
use super::kit::{Kit, Seen, broken, pattern, same};
use crate::ErrorCode;
use crate::backend::{File, Result};
use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use wasi_io::Op;
use wasi_io::testkit::wait;

pub(super) const CHECKS: &[Check] = &[
    ("several buffers are filled as one would be", read),
    (
        "several buffers are written as one would be, at any offset",
        write,
    ),
    (
        "several buffers are appended as one would be, whoever extended the file",
        append,
    ),
    ("buffers without a byte read and write nothing", nothing),
    (
        "several buffers beyond all files are an error: file-too-large",
        too_large,
    ),
    (
        "a write of several buffers goes on where nobody waits for it",
        given_up,
    ),
    (
        "allocating extends with zeros, and changes no byte and no greater size",
        allocate,
    ),
    (
        "room beyond all files is an error: file-too-large",
        allocate_too_much,
    ),
];

/// Lengths of up to 40 buffers that have `total` bytes together, some of them none; others for
/// each `seed`.
fn split(seed: usize, total: usize) -> Vec<usize> {
    let mut random = seed as u32;
    let mut left = total;
    let mut lengths: Vec<_> = (0..seed % 40)
        .map(|_| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let length = match random >> 30 {
                0 => 0,
                _ => (random >> 8) as usize % (left / 4 + 1),
            };
            left -= length;
            length
        })
        .collect();
    lengths.push(left);
    lengths
}

/// What one read into buffers of these lengths gives.
fn try_read(
    kit: &Kit<'_>,
    file: &dyn File,
    offset: u64,
    lengths: &[usize],
) -> Seen<Result<Vec<u8>>> {
    let what = format!("reading at {offset} into buffers of {lengths:?} bytes");
    let total = lengths.iter().sum();
    let mut buf = vec![0xaa; total];
    let mut rest = &mut buf[..];
    let mut bufs = Vec::new();
    for length in lengths {
        let (piece, after) = rest.split_at_mut(*length);
        bufs.push(piece);
        rest = after;
    }
    let read = match file.read_vectored_at(offset, &mut bufs) {
        Op::Ready(Ok(n)) if n > total => return broken(&what, format_args!("{n} bytes")),
        Op::Ready(n) => n.map(|n| buf[..n].to_vec()),
        Op::Pending(mut future) => {
            let bytes = wait(kit.driver, &what, |cx| future.as_mut().poll(cx))?;
            bytes.map(|bytes| bytes.to_vec())
        }
    };
    match &read {
        Ok(bytes) if bytes.len() > total => broken(&what, format_args!("{} bytes", bytes.len())),
        _ => Ok(read),
    }
}

/// Writes `bytes` in several buffers, to the end where there is no `offset`.
fn put(kit: &Kit<'_>, file: &dyn File, offset: Option<u64>, bytes: &[u8], seed: usize) -> Seen {
    let mut written = 0;
    while written < bytes.len() {
        let mut rest = &bytes[written..];
        let lengths = split(seed + written, rest.len());
        let what = format!("writing buffers of {lengths:?} bytes from {offset:?} and {written} on");
        let mut bufs = Vec::new();
        for length in lengths {
            let (piece, after) = rest.split_at(length);
            bufs.push(piece);
            rest = after;
        }
        let op = match offset {
            Some(offset) => file.write_vectored_at(offset + written as u64, &bufs),
            None => file.append_vectored(&bufs),
        };
        match kit.end(&what, op)? {
            Ok(n) if (1..=bytes.len() - written).contains(&n) => written += n,
            seen => return broken(&what, seen),
        }
    }
    Ok(())
}

fn read(kit: &Kit<'_>) -> Seen {
    let bytes = pattern(10_000);
    let file = kit.write("file", &bytes)?;
    for seed in 0..100 {
        let (offset, length) = (seed * 107, 3_000);
        let expected = bytes.get(offset..).unwrap_or_default();
        let expected = &expected[..expected.len().min(length)];
        let mut all = Vec::new();
        while all.len() < length {
            let at = (offset + all.len()) as u64;
            let lengths = split(seed + all.len(), length - all.len());
            match try_read(kit, &*file, at, &lengths)? {
                Ok(more) if more.is_empty() => break,
                Ok(more) => all.extend(more),
                Err(code) => return broken(&format!("reading at {at} into {lengths:?}"), code),
            }
        }
        if all != expected {
            let right = all.iter().zip(expected).take_while(|(a, b)| a == b).count();
            let seen = format_args!("{} bytes, the first {right} of them right", all.len());
            return broken(&format!("reading {length} bytes at {offset}"), seen);
        }
    }
    Ok(())
}

fn write(kit: &Kit<'_>) -> Seen {
    let file = kit.file("file")?;
    let mut expected = Vec::new();
    for seed in 0..60 {
        let (offset, length) = (seed * 137 % 5_000, seed * 31 % 900 + 1);
        let bytes = pattern(seed * 1_000 + length).split_off(seed * 1_000);
        put(kit, &*file, Some(offset as u64), &bytes, seed)?;
        if expected.len() < offset + length {
            expected.resize(offset + length, 0);
        }
        expected[offset..offset + length].copy_from_slice(&bytes);
    }
    kit.has("file", &expected)
}

fn append(kit: &Kit<'_>) -> Seen {
    let (one, other) = (kit.write("file", b"-")?, kit.file("file")?);
    let mut expected = Vec::from(b"-");
    for seed in 0..40 {
        let bytes = pattern(seed * 29 + 1);
        put(kit, &*one, None, &bytes, seed)?;
        kit.append(&*other, b"other")?;
        expected.extend(bytes);
        expected.extend(b"other");
    }
    kit.has("file", &expected)
}

fn nothing(kit: &Kit<'_>) -> Seen {
    let file = kit.write("file", b"kept")?;
    for lengths in [&[][..], &[0], &[0, 0, 0]] {
        let bufs = vec![&b""[..]; lengths.len()];
        for offset in [0, 4, 1000] {
            let read = try_read(kit, &*file, offset, lengths)?;
            same("reading nothing", read, Ok(Vec::new()))?;
            let written = kit.end("writing nothing", file.write_vectored_at(offset, &bufs))?;
            same("writing nothing", written, Ok(0))?;
        }
        let appended = kit.end("appending nothing", file.append_vectored(&bufs))?;
        same("appending nothing", appended, Ok(0))?;
    }
    kit.has("file", b"kept")
}

fn too_large(kit: &Kit<'_>) -> Seen {
    let file = kit.write("file", b"kept")?;
    for offset in [u64::MAX, u64::MAX - 1, 1 << 63] {
        let op = file.write_vectored_at(offset, &[b"x", b"", b"yz"]);
        let what = format!("writing at {offset}");
        kit.fails(&what, op, &[ErrorCode::FileTooLarge])?;
        match try_read(kit, &*file, offset, &[1, 2])? {
            Ok(bytes) if bytes.is_empty() => {}
            Err(ErrorCode::Invalid) => {}
            seen => return broken(&format!("a read at {offset}"), seen),
        }
    }
    kit.has("file", b"kept")
}

fn given_up(kit: &Kit<'_>) -> Seen {
    let file = kit.file("file")?;
    let bytes = b"gone on";
    drop(file.write_vectored_at(0, &[&bytes[..4], &bytes[4..]]));
    // How much of it is one write is the backend's affair.
    let size = || kit.ok("stat", file.stat()).map_or(0, |stat| stat.size);
    kit.driver.until(&mut || size() > 0);
    match kit.read_at(&*file, 0, 100)? {
        read if !read.is_empty() && bytes.starts_with(&read) => Ok(()),
        read => broken("what was written", read),
    }
}

fn allocate(kit: &Kit<'_>) -> Seen {
    let file = kit.write("file", b"0123456789")?;
    let mut expected = Vec::from(b"0123456789");
    for (offset, length, size) in [
        (0, 4, 10),
        (8, 2, 10),
        (5, 20, 25),
        (9_000, 1_000, 10_000),
        (100, 1, 10_000),
        (0, 20_000, 20_000),
    ] {
        let what = format!("allocating {length} bytes at {offset}");
        kit.ok(&what, file.allocate(offset, length))?;
        expected.resize(size, 0);
        let stat = kit.ok("stat", file.stat())?;
        same(&format!("size after {what}"), stat.size, size as u64)?;
        kit.contents("file", &*file, &expected)?;
    }
    kit.write_at(&*file, 7_000, b"written")?;
    expected[7_000..7_007].copy_from_slice(b"written");
    kit.ok("allocating", file.allocate(6_000, 2_000))?;
    kit.has("file", &expected)?;
    kit.set_size(&*file, 5)?;
    kit.ok("allocating what was cut off", file.allocate(0, 10))?;
    kit.has("file", b"01234\0\0\0\0\0")
}

fn allocate_too_much(kit: &Kit<'_>) -> Seen {
    let file = kit.write("file", b"kept")?;
    for (offset, length) in [
        (u64::MAX, 1),
        (1, u64::MAX),
        (u64::MAX, u64::MAX),
        (1 << 63, 1),
        (0, 1 << 63),
        (1 << 62, 1 << 62),
    ] {
        let what = format!("allocating {length} bytes at {offset}");
        let op = file.allocate(offset, length);
        kit.fails(&what, op, &[ErrorCode::FileTooLarge])?;
    }
    kit.has("file", b"kept")
}
