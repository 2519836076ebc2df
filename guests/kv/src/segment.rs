//! One file of the log: records, one after the other.
//!
//! A record is a header of five little-endian `u32`, the key, the value. The header: the CRC
//! of the four that follow, the key's CRC, the value's CRC, the key's length, the value's
//! length, which is `DELETED` for a key that has none any longer.

use crate::error::{Error, On, Result};
use std::fs::File;
use std::io::{self, BufReader, IoSlice, Read, Seek, SeekFrom, Write};
use std::path::Path;

/// Bytes of a record's header.
pub(crate) const HEADER: usize = 20;
/// Bytes of a key, at most; at least one.
pub(crate) const MAX_KEY: usize = 1024;
/// Bytes of a value, at most.
pub(crate) const MAX_VALUE: usize = 16 << 20;

const DELETED: u32 = u32::MAX;
const BUFFER: usize = 16 << 10;

/// Where a value lies in its segment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) at: u64,
    pub(crate) length: u32,
    crc: u32,
}

/// What a scan reads beside headers and keys.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Values {
    /// Steps over them.
    Skipped,
    /// Compares them with their CRC.
    Checked,
}

/// How far a segment was read.
#[derive(Debug, PartialEq)]
pub(crate) struct Scanned {
    /// The end of its last whole record.
    pub(crate) end: u64,
    /// The file's length. Past `end` for a record that was not written to its end.
    pub(crate) length: u64,
}

/// Reads a segment and hands over each key with its value's place, `None` where it was deleted.
pub(crate) fn scan(
    path: &Path,
    values: Values,
    mut found: impl FnMut(String, Option<Span>),
) -> Result<Scanned> {
    let mut file = File::open(path).on(path)?;
    let length = file.seek(SeekFrom::End(0)).on(path)?;
    file.rewind().on(path)?;
    let mut file = BufReader::with_capacity(BUFFER, file);
    let mut end = 0;
    while length - end >= HEADER as u64 {
        let corrupt = |why| Error::corrupt(path, end, why);
        let mut bytes = [0; HEADER];
        file.read_exact(&mut bytes).on(path)?;
        let [header_crc, key_crc, crc, key_length, value_length] = words(bytes);
        if crc32fast::hash(&bytes[4..]) != header_crc {
            return Err(corrupt("the header's checksum is another one"));
        }
        let deleted = value_length == DELETED;
        let value_length = if deleted { 0 } else { value_length };
        if !(1..=MAX_KEY).contains(&(key_length as usize)) || value_length as usize > MAX_VALUE {
            return Err(corrupt("the header has impossible lengths"));
        }
        let at = end + HEADER as u64 + u64::from(key_length);
        let next = at + u64::from(value_length);
        if next > length {
            break;
        }
        let key = read(&mut file, key_length).on(path)?;
        if crc32fast::hash(&key) != key_crc {
            return Err(corrupt("the key's checksum is another one"));
        }
        let key = String::from_utf8(key).map_err(|_| corrupt("the key is not UTF-8"))?;
        match values {
            Values::Skipped => file.seek_relative(i64::from(value_length)).on(path)?,
            Values::Checked => {
                if crc32fast::hash(&read(&mut file, value_length).on(path)?) != crc {
                    return Err(corrupt("the value's checksum is another one"));
                }
            }
        }
        let span = Span {
            at,
            length: value_length,
            crc,
        };
        found(key, (!deleted).then_some(span));
        end = next;
    }
    Ok(Scanned { end, length })
}

/// Writes a record behind the others; a key without value is deleted.
///
/// `end` is the length of `file`, which appends. Returns its new length.
pub(crate) fn append(
    file: &mut File,
    end: u64,
    key: &str,
    value: Option<&[u8]>,
) -> io::Result<u64> {
    let bytes = value.unwrap_or_default();
    let words = [
        crc32fast::hash(key.as_bytes()),
        crc32fast::hash(bytes),
        key.len() as u32,
        value.map_or(DELETED, |value| value.len() as u32),
    ];
    let mut header = [0; HEADER];
    for (bytes, word) in header[4..].chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    let header_crc = crc32fast::hash(&header[4..]);
    header[..4].copy_from_slice(&header_crc.to_le_bytes());

    let mut parts = [&header, key.as_bytes(), bytes].map(IoSlice::new);
    let mut parts = &mut parts[..];
    loop {
        match file.write_vectored(parts) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => IoSlice::advance_slices(&mut parts, written),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        if parts.is_empty() {
            return Ok(end + (HEADER + key.len() + bytes.len()) as u64);
        }
    }
}

/// The value that lies at `span`.
pub(crate) fn value(file: &mut File, path: &Path, span: Span) -> Result<Vec<u8>> {
    file.seek(SeekFrom::Start(span.at)).on(path)?;
    let value = read(file, span.length).on(path)?;
    if crc32fast::hash(&value) != span.crc {
        let why = "the value's checksum is another one";
        return Err(Error::corrupt(path, span.at, why));
    }
    Ok(value)
}

fn read(file: &mut impl Read, length: u32) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length as usize];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn words(bytes: [u8; HEADER]) -> [u32; HEADER / 4] {
    std::array::from_fn(|word| {
        let [a, b, c, d] = std::array::from_fn(|byte| bytes[4 * word + byte]);
        u32::from_le_bytes([a, b, c, d])
    })
}
