//! The table of descriptors, and what is known of them without asking a backend.

use super::{fdflags, rights};
use crate::WasiPreview1Ctx;
use crate::descriptor::Kind;
use crate::memory::Memory;
use crate::step::Call;
use wasi_types::preview1::{Errno, FdFlags, Fdstat, Rights, prestat_dir};

pub(crate) fn fd_close(ctx: &mut WasiPreview1Ctx, _: &mut Memory<'_>, fd: u32) -> Call {
    ctx.fds.remove(fd)?;
    Ok(())
}

pub(crate) fn fd_renumber(ctx: &mut WasiPreview1Ctx, _: &mut Memory<'_>, fd: u32, to: u32) -> Call {
    Ok(ctx.fds.renumber(fd, to)?)
}

pub(crate) fn fd_fdstat_get(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    stat: u32,
) -> Call {
    let descriptor = ctx.fds.get(fd)?;
    let fdstat = Fdstat {
        fs_filetype: descriptor.filetype(),
        fs_flags: descriptor.flags,
        fs_rights_base: descriptor.base,
        fs_rights_inheriting: descriptor.inheriting,
    };
    Ok(memory.put(stat, &fdstat.to_bytes(), 8)?)
}

pub(crate) fn fd_fdstat_set_flags(
    ctx: &mut WasiPreview1Ctx,
    _: &mut Memory<'_>,
    fd: u32,
    flags: u32,
) -> Call {
    let descriptor = ctx.fds.get_mut(fd)?;
    let flags = fdflags(flags)?;
    descriptor.may(Rights::FD_FDSTAT_SET_FLAGS)?;
    if flags.contains(FdFlags::APPEND) && !matches!(descriptor.kind, Kind::File(_)) {
        return Err(Errno::Inval.into());
    }
    // How durable writes are was settled when it was opened.
    let settled = FdFlags::DSYNC | FdFlags::RSYNC | FdFlags::SYNC;
    if (flags ^ descriptor.flags).intersects(settled) {
        return Err(Errno::Notsup.into());
    }
    descriptor.flags = flags;
    Ok(())
}

pub(crate) fn fd_fdstat_set_rights(
    ctx: &mut WasiPreview1Ctx,
    _: &mut Memory<'_>,
    fd: u32,
    fs_rights_base: u64,
    fs_rights_inheriting: u64,
) -> Call {
    let descriptor = ctx.fds.get_mut(fd)?;
    let (base, inheriting) = (rights(fs_rights_base)?, rights(fs_rights_inheriting)?);
    if !descriptor.base.contains(base) || !descriptor.inheriting.contains(inheriting) {
        return Err(Errno::Notcapable.into());
    }
    (descriptor.base, descriptor.inheriting) = (base, inheriting);
    Ok(())
}

/// The type of a preopened socket, which the witx does not have: who looks for directories
/// passes over it, where an error would end the search.
const PREOPENTYPE_SOCKET: [u8; 8] = [1, 0, 0, 0, 0, 0, 0, 0];

pub(crate) fn fd_prestat_get(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    prestat: u32,
) -> Call {
    let descriptor = ctx.fds.get(fd)?;
    let record = match &descriptor.kind {
        _ if !descriptor.preopened => return Err(Errno::Badf.into()),
        Kind::Directory(directory) => {
            prestat_dir(u32::try_from(directory.name.len()).map_err(|_| Errno::Overflow)?)
        }
        _ => PREOPENTYPE_SOCKET,
    };
    Ok(memory.put(prestat, &record, 4)?)
}

pub(crate) fn fd_prestat_dir_name(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Call {
    let descriptor = ctx.fds.get(fd)?;
    let name = match &descriptor.kind {
        Kind::Directory(directory) if descriptor.preopened => directory.name.as_bytes(),
        _ => return Err(Errno::Badf.into()),
    };
    if (path_len as usize) < name.len() {
        return Err(Errno::Nametoolong.into());
    }
    Ok(memory.put(path, name, 1)?)
}

pub(crate) fn fd_tell(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    offset: u32,
) -> Call {
    let descriptor = ctx.fds.get(fd)?;
    let file = descriptor.file(Rights::empty())?;
    // The right to seek implies this one.
    if !descriptor
        .base
        .intersects(Rights::FD_TELL | Rights::FD_SEEK)
    {
        return Err(Errno::Notcapable.into());
    }
    Ok(memory.put_u64(offset, file.position)?)
}
