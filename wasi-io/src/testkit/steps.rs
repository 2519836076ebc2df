//! What the checks of streams do with them.

use super::{Driver, Miss, Task, wait};
use crate::{InputStream, OutputStream, Pollable, StreamError};
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::task::{Context, Poll, Waker};

/// More than this, written and not read, is taken for a sink that is never full.
const NEVER_FULL: usize = 64 << 20;

pub(super) fn noop() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

pub(super) fn poll_ready(pollable: &mut (impl Pollable + ?Sized)) -> bool {
    pollable.poll_ready(&mut noop()).is_ready()
}

pub(super) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

pub(super) fn same(got: &[u8], expected: &[u8]) -> Result<(), String> {
    if got == expected {
        return Ok(());
    }
    let same = got.iter().zip(expected).take_while(|(a, b)| a == b).count();
    let (got, expected) = (got.len(), expected.len());
    Err(format!(
        "of {expected} bytes {got} came, and the first {same} of them are right"
    ))
}

pub(super) fn read_nothing(input: &mut dyn InputStream) -> Result<(), String> {
    match input.poll_read(&mut noop(), &mut []) {
        Poll::Ready(Ok(0)) => {}
        other => return Err(format!("poll_read gave {other:?}")),
    }
    match input.poll_read_bytes(&mut noop(), 0) {
        Poll::Ready(Ok(bytes)) if bytes.is_empty() => Ok(()),
        other => Err(format!("poll_read_bytes gave {other:?}")),
    }
}

/// Waits for a read of up to `max` bytes; none at the end.
pub(super) fn get(
    driver: &dyn Driver,
    input: &mut dyn InputStream,
    max: usize,
) -> Result<Option<Vec<u8>>, String> {
    let mut buf = vec![0; max];
    match wait(driver, "poll_read", |cx| input.poll_read(cx, &mut buf))? {
        Ok(n) if n == 0 || n > max => Err(format!("a read into {max} bytes gave {n}")),
        Ok(n) => Ok(Some(buf[..n].to_vec())),
        Err(StreamError::Closed) => Ok(None),
        Err(error) => Err(format!("poll_read: {error}")),
    }
}

/// Waits until the stream permits something.
pub(super) fn wait_permit(
    driver: &dyn Driver,
    output: &mut dyn OutputStream,
) -> Result<usize, String> {
    wait(driver, "an output", |cx| output.poll_ready(cx))?;
    let mut permit = Ok(0);
    driver.until(&mut || {
        permit = output.check_write();
        !matches!(permit, Ok(0))
    });
    match permit {
        Ok(0) => Err("an output is ready, but permits nothing".into()),
        Ok(permit) => Ok(permit),
        Err(error) => Err(format!("check_write: {error}")),
    }
}

pub(super) fn put(
    driver: &dyn Driver,
    output: &mut dyn OutputStream,
    bytes: &[u8],
) -> Result<(), String> {
    let mut left = bytes;
    while !left.is_empty() {
        let n = wait_permit(driver, output)?.min(left.len());
        output
            .write(&left[..n])
            .map_err(|error| format!("a write that was permitted: {error}"))?;
        left = &left[n..];
    }
    Ok(())
}

pub(super) fn arrives(
    driver: &dyn Driver,
    arrived: &mut dyn FnMut() -> Vec<u8>,
    mut got: Vec<u8>,
    bytes: &[u8],
) -> Result<(), String> {
    driver.until(&mut || {
        got.extend(arrived());
        got.len() >= bytes.len()
    });
    same(&got, bytes)
}

/// Writes until two tasks find no room, and gives those.
pub(super) fn fill(driver: &dyn Driver, output: &mut dyn OutputStream) -> Result<[Task; 2], Miss> {
    let mut written = 0;
    while written < NEVER_FULL {
        let tasks = [Task::new(), Task::new()];
        let pending = |task: &Task, output: &mut dyn OutputStream| {
            task.poll(|cx| output.poll_ready(cx)).is_pending()
        };
        if tasks.iter().all(|task| pending(task, output)) {
            return match output.check_write() {
                Ok(0) => Ok(tasks),
                // It went on in the meantime.
                Ok(_) if !pending(&tasks[0], output) => continue,
                Ok(permit) => Err(format!("poll_ready is pending, but it permits {permit}").into()),
                Err(error) => Err(format!("full, then check_write: {error}").into()),
            };
        }
        let n = wait_permit(driver, output)?.min(64 << 10);
        output
            .write(&vec![0; n])
            .map_err(|error| format!("a write that was permitted: {error}"))?;
        written += n;
    }
    Err(Miss::Skipped(format!("{written} bytes did not fill it")))
}

/// Writes what is permitted of `all` and reads what is there, until neither goes on.
pub(super) fn step(
    all: &[u8],
    sent: &mut usize,
    output: &mut dyn OutputStream,
    got: &mut Vec<u8>,
    input: &mut dyn InputStream,
) -> Result<(), String> {
    loop {
        let n = match output.check_write() {
            Ok(permit) => permit.min(all.len() - *sent),
            Err(error) => return Err(format!("check_write: {error}")),
        };
        if n > 0 {
            let written = output.write(&all[*sent..*sent + n]);
            written.map_err(|error| format!("a write that was permitted: {error}"))?;
            *sent += n;
        }
        let mut buf = [0; 1000];
        match input.poll_read(&mut noop(), &mut buf) {
            Poll::Pending if n == 0 => return Ok(()),
            Poll::Pending => {}
            Poll::Ready(Ok(n @ 1..)) => got.extend_from_slice(&buf[..n]),
            Poll::Ready(other) => return Err(format!("poll_read gave {other:?}")),
        }
        if got.len() >= all.len() {
            return Ok(());
        }
    }
}

/// Writes until the stream fails; from then on it has to be closed.
pub(super) fn stays_closed(driver: &dyn Driver, output: &mut dyn OutputStream) -> Result<(), Miss> {
    let mut written = 0;
    let mut failed = false;
    driver.until(&mut || {
        failed = match output.check_write() {
            Ok(0) => false,
            Ok(permit) => {
                let n = permit.min(4096);
                written += n;
                output.write(&vec![0; n]).is_err()
            }
            Err(_) => true,
        };
        failed || written >= NEVER_FULL
    });
    if !failed {
        return Err(format!("{written} bytes were taken").into());
    }
    for _ in 0..3 {
        if !poll_ready(output) {
            return Err("had failed, but poll_ready was pending".into());
        }
        match output.check_write() {
            Err(StreamError::Closed) => {}
            other => return Err(format!("had failed, then check_write gave {other:?}").into()),
        }
        if output.write(b"a").is_ok() {
            return Err("had failed, but a write was taken".into());
        }
    }
    Ok(())
}
