//! What each function does.

mod clocks;
mod fds;
mod files;
mod paths;
mod poll;
mod process;
mod readdir;
mod sockets;
mod transfer;

pub(crate) use clocks::*;
pub(crate) use fds::*;
pub(crate) use files::*;
pub(crate) use paths::*;
pub(crate) use poll::*;
pub(crate) use process::*;
pub(crate) use readdir::*;
pub(crate) use sockets::*;
pub(crate) use transfer::*;

use crate::step::Error;
use wasi_filesystem::NewTimestamp;
use wasi_types::Datetime;
use wasi_types::preview1::{Errno, FdFlags, FstFlags, Rights};

/// The flags that a guest gave as a number.
///
/// # Errors
/// [`Errno::Inval`]: there are unknown ones.
macro_rules! flags {
    ($ty:ident, $raw:expr) => {
        u64::from($raw)
            .try_into()
            .ok()
            .and_then($ty::from_bits)
            .ok_or(wasi_types::preview1::Errno::Inval)
    };
}
use flags;

fn fdflags(raw: u32) -> Result<FdFlags, Errno> {
    flags!(FdFlags, raw)
}

fn rights(raw: u64) -> Result<Rights, Errno> {
    flags!(Rights, raw)
}

/// What the times of last access and last modification are set to.
fn times(atim: u64, mtim: u64, fst_flags: u32) -> Result<(NewTimestamp, NewTimestamp), Error> {
    let flags = flags!(FstFlags, fst_flags)?;
    let new = |given, now, timestamp| match (flags.contains(given), flags.contains(now)) {
        (true, true) => Err(Errno::Inval),
        (true, false) => Ok(NewTimestamp::Timestamp(Datetime::from_timestamp(timestamp))),
        (false, true) => Ok(NewTimestamp::Now),
        (false, false) => Ok(NewTimestamp::NoChange),
    };
    Ok((
        new(FstFlags::ATIM, FstFlags::ATIM_NOW, atim)?,
        new(FstFlags::MTIM, FstFlags::MTIM_NOW, mtim)?,
    ))
}
