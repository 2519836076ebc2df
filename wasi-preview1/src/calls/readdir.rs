use crate::WasiPreview1Ctx;
use crate::descriptor::{Directory, Kind, Listing};
use crate::memory::Memory;
use crate::step::{Error, Step, Steps};
use core::task::{Poll, ready};
use wasi_filesystem::ErrorCode;
use wasi_types::preview1::{DIRENT_SIZE, Dirent, Errno, Filetype, Rights};

/// The cookies of `.`, of `..`, and of the first entry of the listing.
const SELF: u64 = 0;
const PARENT: u64 = 1;
const FIRST: u64 = 2;

pub(crate) fn fd_readdir(
    ctx: &mut WasiPreview1Ctx,
    memory: &mut Memory<'_>,
    fd: u32,
    buf: u32,
    buf_len: u32,
    cookie: u64,
    bufused: u32,
) -> Steps {
    let directory = ctx.fds.get(fd)?.directory(Rights::FD_READDIR)?;
    memory.slice(buf, buf_len)?;
    memory.place(bufused, 4, 4)?;
    let page = Page {
        fd,
        buf,
        buf_len,
        used: 0,
        cookie,
        bufused,
    };
    if cookie > SELF {
        return page.with_parent(ctx, memory);
    }
    let op = directory.open.stat();
    Step::after(ctx, memory, op, move |ctx, memory, stat| {
        let mut page = page;
        match page.put(memory, ".", Filetype::Directory, stat.inode)? {
            true => page.with_parent(ctx, memory),
            false => page.finish(memory),
        }
    })
}

/// A part of a listing, as it is put into the guest's buffer.
#[derive(Clone, Copy)]
struct Page {
    fd: u32,
    buf: u32,
    buf_len: u32,
    used: u32,
    /// That of the next entry.
    cookie: u64,
    bufused: u32,
}

impl Page {
    /// Goes on with `..`, if that is next.
    fn with_parent(mut self, ctx: &mut WasiPreview1Ctx, memory: &mut Memory<'_>) -> Steps {
        // What the number of a preopened directory's parent is, is nothing to the guest.
        if self.cookie == PARENT && !self.put(memory, "..", Filetype::Directory, 0)? {
            return self.finish(memory);
        }
        let listed = directory(ctx, self.fd)?;
        if let Some(listing) = &listed.listing
            && listing.cookie <= self.cookie
            // From the start: what is there now.
            && self.used == 0
        {
            return self.with_entries(ctx, memory);
        }
        listed.listing = None;
        let op = listed.open.read_directory();
        Step::after(ctx, memory, op, move |ctx, memory, entries| {
            directory(ctx, self.fd)?.listing = Some(Listing {
                entries,
                cookie: FIRST,
                next: None,
            });
            self.with_entries(ctx, memory)
        })
    }

    /// Goes on with the entries of the listing, behind those that the guest has passed.
    fn with_entries(mut self, ctx: &mut WasiPreview1Ctx, memory: &mut Memory<'_>) -> Steps {
        Step::poll(ctx, memory, move |cx, ctx, memory| {
            let directory = directory(ctx, self.fd)?;
            let Some(listing) = &mut directory.listing else {
                return Poll::Ready(Err(Errno::Badf.into()));
            };
            loop {
                let entry = match listing.next.take() {
                    Some(entry) => entry,
                    None => match ready!(listing.entries.poll_next(cx)) {
                        Ok(Some(entry)) => entry,
                        Ok(None) => return self.finish(memory).into(),
                        // The guest can't name it.
                        Err(ErrorCode::IllegalByteSequence) => continue,
                        // Entries that are in the buffer come again with the next listing.
                        Err(code) => {
                            directory.listing = None;
                            return Poll::Ready(Err(code.into()));
                        }
                    },
                };
                if listing.cookie < self.cookie {
                    listing.cookie += 1;
                    continue;
                }
                let filetype = entry.descriptor_type.into();
                if !self.put(memory, &entry.name, filetype, entry.inode)? {
                    listing.next = Some(entry);
                    return self.finish(memory).into();
                }
                listing.cookie = self.cookie;
            }
        })
    }

    /// Adds an entry, as far as there is room, and says whether it is there as a whole.
    fn put(
        &mut self,
        memory: &mut Memory<'_>,
        name: &str,
        d_type: Filetype,
        d_ino: u64,
    ) -> Result<bool, Error> {
        let dirent = Dirent {
            d_next: self.cookie.saturating_add(1),
            d_ino,
            d_namlen: u32::try_from(name.len()).map_err(|_| Errno::Overflow)?,
            d_type,
        };
        let room = memory.slice_mut(self.buf, self.buf_len)?;
        let room = &mut room[self.used as usize..];
        let (record, name) = (dirent.to_bytes(), name.as_bytes());
        let whole = DIRENT_SIZE + name.len();
        for (byte, room) in record.iter().chain(name).zip(&mut *room) {
            *room = *byte;
        }
        let fits = whole <= room.len();
        self.used += whole.min(room.len()) as u32;
        if fits {
            self.cookie = dirent.d_next;
        }
        Ok(fits)
    }

    /// Ends with what is there: all of the buffer, unless the listing is at its end.
    fn finish(self, memory: &mut Memory<'_>) -> Steps {
        memory.put_u32(self.bufused, self.used)?;
        Ok(Step::Done)
    }
}

fn directory(ctx: &mut WasiPreview1Ctx, fd: u32) -> Result<&mut Directory, Errno> {
    match &mut ctx.fds.get_mut(fd)?.kind {
        Kind::Directory(directory) => Ok(directory),
        _ => Err(Errno::Notdir),
    }
}
