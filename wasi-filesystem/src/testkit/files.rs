//! Reading and writing.

use super::Check;
use super::kit::{FOLLOW, Kit, NONE, READ, Seen, broken, pattern, same};
use crate::backend::{File, Object};
use crate::{Advice, DescriptorFlags, ErrorCode};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use wasi_io::Op;

pub(super) const CHECKS: &[Check] = &[
    ("what was written is read, from any offset", round_trip),
    ("the end is no bytes, and so is what comes after it", end),
    ("what was never written is zeros", holes),
    ("many bytes arrive whole and in order", many),
    (
        "what is appended goes to the end, whoever extended it",
        append,
    ),
    ("a file is cut, and extended with zeros", set_size),
    (
        "offsets and sizes beyond all files are errors: file-too-large",
        too_large,
    ),
    ("reads far out are the end, or invalid", far_out),
    ("several writes under way at once all arrive", at_once),
    ("a read that is given up changes nothing", read_given_up),
    ("a write goes on where nobody waits for it", write_given_up),
    ("a write of no bytes writes nothing", write_nothing),
    (
        "two who have a file open see each other's bytes at once",
        shared,
    ),
    ("a file is synced", sync),
    ("a file opened to be synced can be written", durable),
    ("advice changes nothing", advise),
];

fn round_trip(kit: &Kit<'_>) -> Seen {
    let file = kit.write("file", b"0123456789")?;
    for (offset, length, expected) in [
        (0, 10, "0123456789"),
        (3, 4, "3456"),
        (9, 1, "9"),
        (5, 99, "56789"),
    ] {
        let read = kit.read_at(&*file, offset, length)?;
        same(
            &format!("{length} bytes at {offset}"),
            &read[..],
            expected.as_bytes(),
        )?;
    }
    kit.write_at(&*file, 4, b"xx")?;
    kit.has("file", b"0123xx6789")?;
    kit.write_at(&*file, 8, b"longer")?;
    kit.has("file", b"0123xx67longer")
}

fn end(kit: &Kit<'_>) -> Seen {
    let file = kit.write("file", b"12345")?;
    for offset in [5, 6, 1000, 1 << 40] {
        let read = kit.try_read(&*file, offset, 10)?;
        same(&format!("a read at {offset} of 5"), read, Ok(Vec::new()))?;
    }
    let empty = kit.file("empty")?;
    same(
        "a read of an empty file",
        kit.try_read(&*empty, 0, 1)?,
        Ok(Vec::new()),
    )
}

fn holes(kit: &Kit<'_>) -> Seen {
    let file = kit.write("file", b"a")?;
    kit.write_at(&*file, 100_000, b"b")?;
    let mut expected = vec![0; 100_001];
    (expected[0], expected[100_000]) = (b'a', b'b');
    kit.contents("file", &*file, &expected)?;
    // Far more than there is room for, as a rule.
    let far = 1 << 34;
    match kit.end("writing at 2^34", file.write_at(far, b"c"))? {
        Ok(1) => {
            let read = kit.read_at(&*file, far - 3, 9)?;
            same("bytes around 2^34", &read[..], b"\0\0\0c")
        }
        Err(ErrorCode::FileTooLarge | ErrorCode::InsufficientSpace | ErrorCode::Quota) => Ok(()),
        seen => broken("writing a byte at 2^34", seen),
    }
}

fn many(kit: &Kit<'_>) -> Seen {
    let bytes = pattern(1 << 20);
    let file = kit.file("file")?;
    for (n, chunk) in bytes.chunks(300_007).enumerate() {
        kit.write_at(&*file, n as u64 * 300_007, chunk)?;
    }
    kit.has("file", &bytes)?;
    let part = kit.read_at(&*file, 123_457, 500_000)?;
    match part == bytes[123_457..623_457] {
        true => Ok(()),
        false => broken("500000 bytes at 123457", "not what was written"),
    }
}

fn append(kit: &Kit<'_>) -> Seen {
    let (one, other) = (kit.write("file", b"-")?, kit.file("file")?);
    kit.append(&*one, b"one ")?;
    kit.append(&*other, b"other ")?;
    kit.append(&*one, b"one")?;
    kit.has("file", b"-one other one")?;
    kit.set_size(&*one, 1)?;
    kit.append(&*other, b"end")?;
    kit.has("file", b"-end")
}

fn set_size(kit: &Kit<'_>) -> Seen {
    let file = kit.write("file", &[1; 10_000])?;
    for size in [9_000, 5, 0, 5, 4096, 12_000, 10_000] {
        kit.set_size(&*file, size)?;
        let stat = kit.ok("stat", file.stat())?;
        same("size", stat.size, size)?;
    }
    kit.contents("file", &*file, &[0; 10_000])?;
    kit.write_at(&*file, 0, b"0123456789")?;
    kit.set_size(&*file, 4)?;
    kit.set_size(&*file, 8)?;
    kit.has("file", b"0123\0\0\0\0")
}

fn too_large(kit: &Kit<'_>) -> Seen {
    let file = kit.write("file", b"kept")?;
    for offset in [u64::MAX, u64::MAX - 1, 1 << 63] {
        let op = file.write_at(offset, b"xy");
        kit.fails(
            &format!("writing at {offset}"),
            op,
            &[ErrorCode::FileTooLarge],
        )?;
    }
    for size in [u64::MAX, 1 << 63] {
        let op = file.set_size(size);
        kit.fails(
            &format!("setting the size to {size}"),
            op,
            &[ErrorCode::FileTooLarge],
        )?;
    }
    kit.has("file", b"kept")
}

fn far_out(kit: &Kit<'_>) -> Seen {
    let file = kit.write("file", b"kept")?;
    for offset in [i64::MAX as u64, 1 << 63, u64::MAX - 1, u64::MAX] {
        match kit.try_read(&*file, offset, 100)? {
            Ok(bytes) if bytes.is_empty() => {}
            Err(ErrorCode::Invalid) if offset > i64::MAX as u64 => {}
            seen => return broken(&format!("a read at {offset}"), seen),
        }
    }
    Ok(())
}

fn at_once(kit: &Kit<'_>) -> Seen {
    let file = kit.file("file")?;
    let bytes = pattern(8 * 5000);
    let chunks = bytes.chunks(5000);
    let writes: Vec<_> = chunks
        .enumerate()
        .map(|(n, chunk)| file.write_at(n as u64 * 5000, chunk))
        .collect();
    // Waited for in another order than they were begun in.
    for (n, write) in writes.into_iter().enumerate().rev() {
        let written = kit.ok("writing", write)?;
        let (from, to) = (n * 5000 + written, n * 5000 + 5000);
        kit.write_at(&*file, from as u64, &bytes[from..to])?;
    }
    kit.has("file", &bytes)
}

fn read_given_up(kit: &Kit<'_>) -> Seen {
    let bytes = pattern(100_000);
    let file = kit.write("file", &bytes)?;
    for offset in [0, 50_000] {
        drop(file.read_at(offset, &mut vec![0; 50_000]));
    }
    kit.contents("file", &*file, &bytes)
}

fn write_given_up(kit: &Kit<'_>) -> Seen {
    let file = kit.file("file")?;
    match file.write_at(0, b"gone on") {
        Op::Ready(Ok(7)) => {}
        Op::Ready(seen) => return broken("writing 7 bytes", seen),
        Op::Pending(future) => drop(future),
    }
    let size = || match file.stat() {
        Op::Ready(stat) => stat.ok(),
        pending => kit.end("stat", pending).ok()?.ok(),
    };
    kit.driver
        .until(&mut || size().is_some_and(|stat| stat.size == 7));
    kit.has("file", b"gone on")
}

fn write_nothing(kit: &Kit<'_>) -> Seen {
    let file = kit.write("file", b"kept")?;
    for offset in [0, 4, 1000] {
        let written = kit.end("writing nothing", file.write_at(offset, b""))?;
        same(&format!("writing nothing at {offset}"), written, Ok(0))?;
    }
    kit.append(&*file, b"")?;
    kit.has("file", b"kept")
}

fn shared(kit: &Kit<'_>) -> Seen {
    let writer = kit.write("file", b"at first")?;
    let reader: Arc<dyn File> = match kit.try_open(FOLLOW, "file", NONE, READ)? {
        Ok(Object::File(file)) => file,
        Ok(Object::Directory(_)) => return broken("opening a file", "a directory"),
        Err(code) => return broken("opening a file to read", code),
    };
    for text in ["one", "another", "and again"] {
        kit.write_at(&*writer, 0, text.as_bytes())?;
        kit.set_size(&*writer, text.len() as u64)?;
        kit.contents("file", &*reader, text.as_bytes())?;
    }
    let stats = [&writer, &reader].map(|file| kit.ok("stat", file.stat()));
    let [writer, reader] = stats;
    same("what is known of it", reader?, writer?)
}

fn sync(kit: &Kit<'_>) -> Seen {
    let file = kit.write("file", b"bytes")?;
    kit.ok("sync", file.sync())?;
    kit.ok("sync_data", file.sync_data())
}

fn durable(kit: &Kit<'_>) -> Seen {
    kit.write("file", b"")?;
    for flag in [
        DescriptorFlags::FILE_INTEGRITY_SYNC,
        DescriptorFlags::DATA_INTEGRITY_SYNC,
        DescriptorFlags::DATA_INTEGRITY_SYNC | DescriptorFlags::REQUESTED_WRITE_SYNC,
    ] {
        let flags = super::kit::BOTH | flag;
        let op = kit.dir.open_at(FOLLOW, "file", NONE, flags);
        match kit.ok(&format!("opening with {flags:?}"), op)? {
            Object::File(file) => kit.write_at(&*file, 0, b"kept")?,
            Object::Directory(_) => return broken("opening a file", "a directory"),
        }
    }
    kit.has("file", b"kept")
}

fn advise(kit: &Kit<'_>) -> Seen {
    let file = kit.write("file", b"kept")?;
    for advice in [
        Advice::Normal,
        Advice::Sequential,
        Advice::Random,
        Advice::WillNeed,
        Advice::DontNeed,
        Advice::NoReuse,
    ] {
        kit.ok(&format!("{advice:?}"), file.advise(0, 0, advice))?;
        kit.ok(&format!("{advice:?} of a part"), file.advise(1, 2, advice))?;
    }
    kit.has("file", b"kept")
}
