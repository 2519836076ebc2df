//! The files that come with the kernel: a tar archive, as `-initrd` gives it.

use alloc::string::String;
use alloc::sync::Arc;
use core::ops::Range;
use tar_no_std::{PosixHeader, TarArchiveRef, TypeFlag};
use wasi_filesystem::ErrorCode;
use wasi_filesystem::memory::MemFs;

/// The size of a block: a header is one, and contents begin at one.
const BLOCK: usize = 512;

/// An archive in the format `ustar` (`tar --format=ustar`), or an empty one.
#[derive(Clone, Copy, Debug)]
pub struct Initrd<'a> {
    bytes: &'a [u8],
}

/// Why an archive can't be used.
#[derive(Debug, thiserror::Error)]
pub enum InitrdError {
    /// It is damaged, or no tar archive.
    #[error("the initrd is no tar archive (make it with `tar --format=ustar`): {0:?}")]
    Damaged(tar_no_std::CorruptDataError),
    /// There is something in it other than files, directories and symbolic links.
    #[error(
        "the initrd has at block {0} what is no file, directory or symbolic link, or has no name \
         (make it with `tar --format=ustar`)"
    )]
    Entry(usize),
    /// A folder that is wanted is not there.
    #[error("there is no folder `{0}` in the initrd")]
    NoFolder(String),
    /// A file can't be made.
    #[error("`{0}` of the initrd can't be made: {1:?}")]
    File(String, ErrorCode),
}

enum Entry<'a> {
    File(&'a [u8]),
    Directory,
    Link(String),
}

impl<'a> Initrd<'a> {
    /// Looks through `bytes`; none are an archive without files.
    ///
    /// # Errors
    /// [`InitrdError::Damaged`], [`InitrdError::Entry`].
    pub fn new(bytes: &'a [u8]) -> Result<Self, InitrdError> {
        let given = !bytes.is_empty();
        // Some loaders fill up to a page.
        let bytes = &bytes[..bytes.len() - bytes.len() % BLOCK];
        let initrd = Self { bytes };
        if given {
            TarArchiveRef::new(bytes).map_err(InitrdError::Damaged)?;
            initrd.entries().try_for_each(|entry| entry.map(drop))?;
        }
        Ok(initrd)
    }

    /// The contents of the file at `path`.
    pub fn file(&self, path: &str) -> Option<&'a [u8]> {
        let wanted = plain(path);
        let found = self.entries().flatten().filter(|(name, _)| name == wanted);
        // As with tar itself, the last one counts.
        found.last().and_then(|(_, entry)| match entry {
            Entry::File(bytes) => Some(bytes),
            _ => None,
        })
    }

    /// The bytes of all files together.
    pub fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    /// Makes all that is below `folder`, "" for everything, in `files`, but for the file
    /// `except`: a program is in memory once already.
    ///
    /// # Errors
    /// [`InitrdError::NoFolder`], [`InitrdError::File`].
    pub fn unpack(
        &self,
        folder: &str,
        files: &Arc<MemFs>,
        except: &str,
    ) -> Result<(), InitrdError> {
        let (folder, except) = (plain(folder), plain(except));
        let mut is_there = folder.is_empty();
        for entry in self.entries() {
            let (path, entry) = entry?;
            if path == folder && matches!(entry, Entry::Directory) {
                is_there = true;
            }
            let Some(below) = below(&path, folder) else {
                continue;
            };
            is_there = true;
            if path == except {
                continue;
            }
            let path = String::from(below);
            let made = match (entry, path.rsplit_once('/')) {
                (Entry::Directory, _) => files.create_dir_all(&path),
                (entry, parent) => parent
                    .map_or(Ok(()), |(parent, _)| files.create_dir_all(parent))
                    .and_then(|()| match entry {
                        Entry::Link(target) => files.symlink(&target, &path),
                        Entry::File(bytes) => files.write_file(&path, bytes),
                        Entry::Directory => Ok(()),
                    }),
            };
            made.map_err(|code| InitrdError::File(path, code))?;
        }
        match is_there {
            true => Ok(()),
            false => Err(InitrdError::NoFolder(folder.into())),
        }
    }

    fn entries(&self) -> impl Iterator<Item = Result<(String, Entry<'a>), InitrdError>> {
        let bytes = self.bytes;
        let archive = match bytes {
            [] => None,
            bytes => TarArchiveRef::new(bytes).ok(),
        };
        let headers = archive.into_iter().flat_map(|archive| archive.headers());
        headers.map(move |(block, header)| {
            entry(bytes, block, header).ok_or(InitrdError::Entry(block))
        })
    }
}

fn entry<'a>(bytes: &'a [u8], block: usize, header: &PosixHeader) -> Option<(String, Entry<'a>)> {
    let entry = match header.typeflag.try_to_type_flag().ok()? {
        TypeFlag::REGTYPE | TypeFlag::AREGTYPE => {
            let size = header.size.as_number::<usize>().ok()?;
            let start = block.checked_add(1)?.checked_mul(BLOCK)?;
            let range: Range<usize> = start..start.checked_add(size)?;
            Entry::File(bytes.get(range)?)
        }
        TypeFlag::DIRTYPE => Entry::Directory,
        TypeFlag::SYMTYPE => Entry::Link(header.linkname.as_str().ok()?.into()),
        _ => return None,
    };
    let name = header.name.as_str().ok()?;
    let mut path = String::new();
    // What stands there in other formats is not a path.
    if header.magic.as_str() == Ok("ustar") && !header.prefix.is_empty() {
        path.push_str(header.prefix.as_str().ok()?);
        path.push('/');
    }
    path.push_str(name);
    Some((plain(&path).into(), entry))
}

/// The part of `path` that is below `folder`, which is not empty.
fn below<'a>(path: &'a str, folder: &str) -> Option<&'a str> {
    let below = match folder {
        "" => path,
        folder => path.strip_prefix(folder)?.strip_prefix('/')?,
    };
    (!below.is_empty()).then_some(below)
}

/// Without what does not change which file it is.
fn plain(path: &str) -> &str {
    let mut path = path.trim_end_matches('/');
    loop {
        let next = path.trim_start_matches('/');
        let next = next.strip_prefix("./").unwrap_or(next);
        if next == path {
            break;
        }
        path = next;
    }
    if path == "." { "" } else { path }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasi_clocks::manual::ManualClock;

    /// A header of `ustar`, and the contents after it.
    fn add(archive: &mut Vec<u8>, path: (&str, &str), kind: u8, link: &str, contents: &[u8]) {
        let mut header = [0_u8; BLOCK];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, path.1.as_bytes());
        put(100, b"0000644\0");
        put(108, b"0000000\x000000000\0");
        put(124, format!("{:011o}\0", contents.len()).as_bytes());
        put(136, b"00000000000\0");
        put(148, b"        ");
        put(156, &[kind]);
        put(157, link.as_bytes());
        put(257, b"ustar\x0000");
        put(345, path.0.as_bytes());
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.extend(header);
        archive.extend(contents);
        archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    }

    fn end(mut archive: Vec<u8>) -> Vec<u8> {
        archive.resize(archive.len() + 2 * BLOCK, 0);
        archive
    }

    fn files() -> Arc<MemFs> {
        Arc::new(MemFs::new(Arc::new(ManualClock::default())))
    }

    #[test]
    fn files_directories_and_links_are_unpacked_and_the_program_is_not() {
        let mut archive = Vec::new();
        add(&mut archive, ("", "./"), b'5', "", b"");
        add(&mut archive, ("", "./dir/"), b'5', "", b"");
        add(&mut archive, ("", "./dir/a.txt"), b'0', "", &[b'x'; 513]);
        add(&mut archive, ("very/deep", "b.txt"), b'0', "", b"deep");
        add(&mut archive, ("", "link"), b'2', "dir/a.txt", b"");
        add(&mut archive, ("", "program.cwasm"), b'0', "", b"code");
        add(&mut archive, ("", "dir/a.txt"), b'0', "", b"again");
        let archive = end(archive);
        let initrd = Initrd::new(&archive).unwrap();
        assert_eq!(initrd.file("/program.cwasm"), Some(&b"code"[..]));
        assert_eq!(initrd.file("dir/a.txt"), Some(&b"again"[..]));
        assert_eq!(initrd.file("dir"), None);
        assert_eq!(initrd.file("absent"), None);
        let files = files();
        initrd.unpack("", &files, "./program.cwasm").unwrap();
        assert_eq!(files.read_file("link").unwrap(), b"again");
        assert_eq!(files.read_file("very/deep/b.txt").unwrap(), b"deep");
        assert_eq!(files.read_file("program.cwasm"), Err(ErrorCode::NoEntry));
    }

    #[test]
    fn a_folder_is_unpacked_by_itself() {
        let mut archive = Vec::new();
        for (path, contents) in [("a/x", b"1"), ("ab/x", b"2"), ("./a/b/y", b"3")] {
            add(&mut archive, ("", path), b'0', "", contents);
        }
        add(&mut archive, ("", "empty/"), b'5', "", b"");
        let archive = end(archive);
        let initrd = Initrd::new(&archive).unwrap();
        let files = files();
        initrd.unpack("a/", &files, "a/b/y").unwrap();
        assert_eq!(files.read_file("x").unwrap(), b"1");
        assert_eq!(files.read_file("b/y"), Err(ErrorCode::NoEntry));
        assert_eq!(files.read_dir("").unwrap().len(), 1);
        initrd.unpack("empty", &files, "").unwrap();
        let missing = initrd.unpack("c", &files, "");
        assert!(matches!(missing, Err(InitrdError::NoFolder(name)) if name == "c"));
    }

    #[test]
    fn no_initrd_is_one_without_files() {
        let initrd = Initrd::new(b"").unwrap();
        assert_eq!(initrd.file("a"), None);
        initrd.unpack("", &files(), "").unwrap();
    }

    #[test]
    fn what_is_damaged_or_of_another_kind_is_refused() {
        let good = |kind| {
            let mut archive = Vec::new();
            add(&mut archive, ("", "a"), kind, "b", b"");
            end(archive)
        };
        assert!(Initrd::new(&good(b'0')).is_ok());
        let mut sum = good(b'0');
        sum[0] = b'b';
        assert!(matches!(Initrd::new(&sum), Err(InitrdError::Damaged(_))));
        for kind in [b'1', b'3', b'x', b'L'] {
            let archive = good(kind);
            assert!(Initrd::new(&archive).is_err(), "{kind}");
        }
        for len in [1, 511, 512, 600] {
            assert!(Initrd::new(&[1; 600][..len]).is_err(), "{len}");
        }
    }

    #[test]
    fn a_path_that_leaves_the_archive_is_refused() {
        let mut archive = Vec::new();
        add(&mut archive, ("", "../a"), b'0', "", b"x");
        let archive = end(archive);
        let initrd = Initrd::new(&archive).unwrap();
        assert!(matches!(
            initrd.unpack("", &files(), ""),
            Err(InitrdError::File(..))
        ));
    }
}
