//! Streams of bytes, for the rows that have some.

use crate::bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};
use crate::outcome::{Not, Tried, ensure};
use crate::wait;

/// Bytes that repeat at no power of two.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|n| (n % 251) as u8).collect()
}

/// Fails unless `got` is `expected`, and says where it is not.
pub fn same(what: &str, got: &[u8], expected: &[u8]) -> Result<(), Not> {
    let differs = got.iter().zip(expected).position(|(a, b)| a != b);
    ensure(got == expected, || match differs {
        Some(index) => format!("{what}: byte {index} is another one"),
        None => format!("{what}: {} bytes, not {}", got.len(), expected.len()),
    })
}

/// What can be read now, up to `max` bytes: nothing where that has to be waited for, `None` at
/// the end.
pub fn read(what: &str, stream: &InputStream, max: usize) -> Result<Option<Vec<u8>>, Not> {
    match stream.read(max as u64) {
        Ok(bytes) => {
            ensure(bytes.len() <= max, || {
                format!("{what}: {} bytes, where {max} were asked for", bytes.len())
            })?;
            Ok(Some(bytes))
        }
        Err(StreamError::Closed) => Ok(None),
        Err(error) => Err(error).or_failed(what),
    }
}

/// Writes what there is room for now of `bytes`, and takes that off.
pub fn write(what: &str, stream: &OutputStream, bytes: &mut &[u8]) -> Result<(), Not> {
    let permit = stream.check_write().or_failed(what)?;
    let (now, later) = bytes.split_at(
        bytes
            .len()
            .min(usize::try_from(permit).unwrap_or(usize::MAX)),
    );
    if !now.is_empty() {
        stream.write(now).or_failed(what)?;
        *bytes = later;
    }
    Ok(())
}

/// Writes all of `bytes`, and waits until they are out.
pub fn write_all(what: &str, stream: &OutputStream, mut bytes: &[u8]) -> Result<(), Not> {
    loop {
        write(what, stream, &mut bytes)?;
        if bytes.is_empty() {
            break;
        }
        wait::one(what, stream.subscribe())?;
    }
    stream.flush().or_failed(what)?;
    flushed(what, stream)
}

/// Waits until what is being flushed is out.
pub fn flushed(what: &str, stream: &OutputStream) -> Result<(), Not> {
    while stream.check_write().or_failed(what)? == 0 {
        wait::one(what, stream.subscribe())?;
    }
    Ok(())
}
