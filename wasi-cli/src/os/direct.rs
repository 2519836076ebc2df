//! Writing at once what the system takes without waiting: a thread's hop for each line that a
//! guest prints costs many times the call.

use rustix::fd::AsFd;
use rustix::fs::{FileType, fstat};
use rustix::io::{ReadWriteFlags, pwritev2, write};
use std::io::IoSlice;
use std::sync::OnceLock;

/// Writes to `fd` as much as is taken at once, and says how much that was: 0 where it would
/// have to wait, or can't be known not to, or fails.
pub(super) fn direct(
    fd: impl AsFd + Send + Sync + 'static,
) -> impl Fn(&[u8]) -> usize + Send + Sync + 'static {
    let is_file = OnceLock::new();
    move |bytes| {
        let is_file = is_file.get_or_init(|| {
            fstat(&fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_file())
        });
        let written = match is_file {
            // Into memory, from where it gets to the disk by and by.
            true => write(&fd, bytes),
            false => {
                // At the position, where there is one.
                let here = u64::MAX;
                pwritev2(&fd, &[IoSlice::new(bytes)], here, ReadWriteFlags::NOWAIT)
            }
        };
        written.unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, vec};
    use std::env::temp_dir;
    use std::fs::{File, read, remove_file};
    use std::io::{Read, pipe};
    use std::process;

    #[test]
    fn a_pipe_takes_what_fits_and_no_more() {
        let (mut reader, writer) = pipe().unwrap();
        let direct = direct(writer);
        let mut taken = 0;
        while let n @ 1.. = direct(&[7; 10_000]) {
            taken += n;
        }
        assert!(taken >= 4096, "{taken}");
        let mut read = vec![0; taken];
        reader.read_exact(&mut read).unwrap();
        assert!(direct(b"more") > 0, "there is room again");
        drop(reader);
        assert_eq!(direct(b"x"), 0, "the thread is to meet the error");
    }

    #[test]
    fn a_file_takes_all_where_its_position_is() {
        let path = temp_dir().join(format!("wasi-cli-direct-{}", process::id()));
        let direct = direct(File::create(&path).unwrap());
        assert_eq!((direct(b"ab"), direct(b"c")), (2, 1));
        assert_eq!(read(&path).unwrap(), b"abc");
        remove_file(&path).unwrap();
    }

    #[test]
    fn a_full_device_takes_nothing() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        assert_eq!(direct(full)(b"x"), 0);
    }
}
