//! What paths lead to.

use super::files::put_filestat;
use super::{fdflags, flags, rights, times};
use crate::WasiPreview1Ctx;
use crate::descriptor::Descriptor;
use crate::memory::Memory;
use crate::step::{Step, Steps};
use wasi_filesystem::{DescriptorFlags, ErrorCode, OpenFlags, PathFlags};
use wasi_types::preview1::{Errno, FdFlags, LookupFlags, OFlags, Rights};

fn lookup(raw: u32) -> Result<PathFlags, Errno> {
    let flags = flags!(LookupFlags, raw)?;
    Ok(match flags.contains(LookupFlags::SYMLINK_FOLLOW) {
        true => PathFlags::SYMLINK_FOLLOW,
        false => PathFlags::empty(),
    })
}

pub(crate) fn path_create_directory(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Steps {
    let directory = ctx.fds.get(fd)?.directory(Rights::PATH_CREATE_DIRECTORY)?;
    let op = directory
        .open
        .create_directory_at(memory.path(path, path_len)?);
    Step::done(ctx, memory, op)
}

pub(crate) fn path_filestat_get(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    flags: u32,
    path: u32,
    path_len: u32,
    stat: u32,
) -> Steps {
    let directory = ctx.fds.get(fd)?.directory(Rights::PATH_FILESTAT_GET)?;
    let path_flags = lookup(flags)?;
    let op = directory
        .open
        .stat_at(path_flags, memory.path(path, path_len)?);
    Step::after(ctx, memory, op, move |_, memory, known| {
        put_filestat(memory, stat, &(&known).into())?;
        Ok(Step::Done)
    })
}

#[allow(clippy::too_many_arguments, reason = "the ABI's")]
pub(crate) fn path_filestat_set_times(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    flags: u32,
    path: u32,
    path_len: u32,
    atim: u64,
    mtim: u64,
    fst_flags: u32,
) -> Steps {
    let directory = ctx
        .fds
        .get(fd)?
        .directory(Rights::PATH_FILESTAT_SET_TIMES)?;
    let path_flags = lookup(flags)?;
    let (access, modification) = times(atim, mtim, fst_flags)?;
    let path = memory.path(path, path_len)?;
    let op = directory
        .open
        .set_times_at(path_flags, path, access, modification);
    Step::done(ctx, memory, op)
}

#[allow(clippy::too_many_arguments, reason = "the ABI's")]
pub(crate) fn path_link(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    old_fd: u32,
    old_flags: u32,
    old_path: u32,
    old_path_len: u32,
    new_fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Steps {
    let (old, new) = ctx.fds.pair(old_fd, new_fd)?;
    let old = old.directory(Rights::PATH_LINK_SOURCE)?;
    let new = new.directory(Rights::PATH_LINK_TARGET)?;
    let path_flags = lookup(old_flags)?;
    let old_path = memory.path(old_path, old_path_len)?;
    let new_path = memory.path(new_path, new_path_len)?;
    let op = old.open.link_at(path_flags, old_path, &new.open, new_path);
    Step::done(ctx, memory, op)
}

/// What is opened for reading and for writing: those rights that the host's file must be open
/// for.
const READS: Rights = Rights::FD_READ.union(Rights::FD_READDIR);
const WRITES: Rights = Rights::FD_WRITE
    .union(Rights::FD_ALLOCATE)
    .union(Rights::FD_FILESTAT_SET_SIZE);

#[allow(clippy::too_many_arguments, reason = "the ABI's")]
pub(crate) fn path_open(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    dirflags: u32,
    path: u32,
    path_len: u32,
    oflags: u32,
    fs_rights_base: u64,
    fs_rights_inheriting: u64,
    fdflags_raw: u32,
    opened_fd: u32,
) -> Steps {
    let descriptor = ctx.fds.get(fd)?;
    let directory = descriptor.directory(Rights::PATH_OPEN)?;
    let path_flags = lookup(dirflags)?;
    let oflags = flags!(OFlags, oflags)?;
    let (base, inheriting) = (rights(fs_rights_base)?, rights(fs_rights_inheriting)?);
    let fdflags = fdflags(fdflags_raw)?;
    for (needs, right) in [
        (oflags.contains(OFlags::CREAT), Rights::PATH_CREATE_FILE),
        (
            oflags.contains(OFlags::TRUNC),
            Rights::PATH_FILESTAT_SET_SIZE,
        ),
        (fdflags.contains(FdFlags::RSYNC), Rights::FD_SYNC),
    ] {
        if needs {
            descriptor.may(right)?;
        }
    }
    let syncs = Rights::FD_DATASYNC | Rights::FD_SYNC;
    if fdflags.contains(FdFlags::DSYNC) && !descriptor.base.intersects(syncs) {
        return Err(Errno::Notcapable.into());
    }
    if !descriptor.inheriting.contains(base | inheriting) {
        return Err(Errno::Notcapable.into());
    }
    ctx.fds.room()?;
    memory.place(opened_fd, 4, 4)?;

    let mut open_flags = OpenFlags::empty();
    for (flag, open_flag) in [
        (OFlags::CREAT, OpenFlags::CREATE),
        (OFlags::DIRECTORY, OpenFlags::DIRECTORY),
        (OFlags::EXCL, OpenFlags::EXCLUSIVE),
        (OFlags::TRUNC, OpenFlags::TRUNCATE),
    ] {
        open_flags.set(open_flag, oflags.contains(flag));
    }
    let mut flags = DescriptorFlags::empty();
    flags.set(DescriptorFlags::READ, base.intersects(READS));
    flags.set(DescriptorFlags::WRITE, base.intersects(WRITES));
    for (flag, descriptor_flag) in [
        (FdFlags::DSYNC, DescriptorFlags::DATA_INTEGRITY_SYNC),
        (FdFlags::RSYNC, DescriptorFlags::REQUESTED_WRITE_SYNC),
        (FdFlags::SYNC, DescriptorFlags::FILE_INTEGRITY_SYNC),
    ] {
        flags.set(descriptor_flag, fdflags.contains(flag));
    }
    let path = memory.path(path, path_len)?;
    let op = directory.open.open_at(path_flags, path, open_flags, flags);
    let op = op.map(|opened| {
        opened.map_err(|code| match code {
            // WASI 0.2 has no name of its own for it.
            ErrorCode::InsufficientMemory => Errno::Mfile,
            code => code.into(),
        })
    });
    Step::after(ctx, memory, op, move |ctx, memory, opened| {
        let opened = Descriptor::opened(opened, fdflags, base, inheriting);
        let fd = ctx.fds.insert(opened)?;
        memory.put_u32(opened_fd, fd)?;
        Ok(Step::Done)
    })
}

#[allow(clippy::too_many_arguments, reason = "the ABI's")]
pub(crate) fn path_readlink(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
    buf: u32,
    buf_len: u32,
    bufused: u32,
) -> Steps {
    let directory = ctx.fds.get(fd)?.directory(Rights::PATH_READLINK)?;
    memory.slice(buf, buf_len)?;
    memory.place(bufused, 4, 4)?;
    let op = directory.open.readlink_at(memory.path(path, path_len)?);
    Step::after(ctx, memory, op, move |_, memory, target| {
        let target = target.as_bytes();
        let used = target.len().min(buf_len as usize);
        memory.put(buf, &target[..used], 1)?;
        memory.put_u32(bufused, used as u32)?;
        Ok(Step::Done)
    })
}

pub(crate) fn path_remove_directory(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Steps {
    let directory = ctx.fds.get(fd)?.directory(Rights::PATH_REMOVE_DIRECTORY)?;
    let op = directory
        .open
        .remove_directory_at(memory.path(path, path_len)?);
    Step::done(ctx, memory, op)
}

#[allow(clippy::too_many_arguments, reason = "the ABI's")]
pub(crate) fn path_rename(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    old_path: u32,
    old_path_len: u32,
    new_fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Steps {
    let (old, new) = ctx.fds.pair(fd, new_fd)?;
    let old = old.directory(Rights::PATH_RENAME_SOURCE)?;
    let new = new.directory(Rights::PATH_RENAME_TARGET)?;
    let old_path = memory.path(old_path, old_path_len)?;
    let new_path = memory.path(new_path, new_path_len)?;
    let op = old.open.rename_at(old_path, &new.open, new_path);
    Step::done(ctx, memory, op)
}

pub(crate) fn path_symlink(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    old_path: u32,
    old_path_len: u32,
    fd: u32,
    new_path: u32,
    new_path_len: u32,
) -> Steps {
    let directory = ctx.fds.get(fd)?.directory(Rights::PATH_SYMLINK)?;
    let old_path = memory.path(old_path, old_path_len)?;
    let new_path = memory.path(new_path, new_path_len)?;
    let op = directory.open.symlink_at(old_path, new_path);
    Step::done(ctx, memory, op)
}

pub(crate) fn path_unlink_file(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    path: u32,
    path_len: u32,
) -> Steps {
    let directory = ctx.fds.get(fd)?.directory(Rights::PATH_UNLINK_FILE)?;
    let op = directory.open.unlink_file_at(memory.path(path, path_len)?);
    Step::done(ctx, memory, op)
}
