use crate::bindings::exports::agave::bench::files::Guest;
use crate::bindings::wasi::filesystem::preopens::get_directories;
use crate::bindings::wasi::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};
use crate::{Bench, write_all};

impl Guest for Bench {
    fn read_stream(piece: u64, times: u64) -> u64 {
        let file = data(DescriptorFlags::READ);
        let stream = file.read_via_stream(0).expect("read-via-stream");
        let mut bytes = 0;
        while bytes < piece * times {
            bytes += stream.blocking_read(piece).expect("blocking-read").len() as u64;
        }
        bytes
    }

    fn write_stream(piece: u64, times: u64) -> u64 {
        let file = data(DescriptorFlags::WRITE);
        let stream = file.write_via_stream(0).expect("write-via-stream");
        let bytes = vec![b'w'; piece as usize];
        for _ in 0..times {
            write_all(&stream, &bytes);
        }
        stream.blocking_flush().expect("blocking-flush");
        piece * times
    }

    fn blocking_write(piece: u64, times: u64) -> u64 {
        let file = data(DescriptorFlags::WRITE);
        let stream = file.write_via_stream(0).expect("write-via-stream");
        let bytes = vec![b'w'; piece as usize];
        for _ in 0..times {
            stream
                .blocking_write_and_flush(&bytes)
                .expect("blocking-write-and-flush");
        }
        piece * times
    }

    fn read(piece: u64, times: u64) -> u64 {
        let file = data(DescriptorFlags::READ);
        let mut offsets = Offsets::new(&file, piece);
        let read = || file.read(piece, offsets.next()).expect("read").0.len() as u64;
        repeat(times, read)
    }

    fn write(piece: u64, times: u64) -> u64 {
        let file = data(DescriptorFlags::WRITE);
        let mut offsets = Offsets::new(&file, piece);
        let bytes = vec![b'w'; piece as usize];
        repeat(times, || file.write(&bytes, offsets.next()).expect("write"))
    }

    fn stat(times: u64) -> u64 {
        let file = data(DescriptorFlags::READ);
        repeat(times, || file.stat().expect("stat").link_count)
    }

    fn stat_at(depth: u64, times: u64) -> u64 {
        let (directory, path) = (preopen(), path(depth));
        repeat(times, || {
            let stat = directory.stat_at(PathFlags::empty(), &path);
            stat.expect("stat-at").link_count
        })
    }

    fn open_at(depth: u64, times: u64) -> u64 {
        let (directory, path) = (preopen(), path(depth));
        repeat(times, || {
            let flags = DescriptorFlags::READ;
            let opened = directory.open_at(PathFlags::empty(), &path, OpenFlags::empty(), flags);
            drop(opened.expect("open-at"));
            1
        })
    }

    fn read_directory(times: u64) -> u64 {
        let (flags, open) = (DescriptorFlags::READ, OpenFlags::DIRECTORY);
        let directory = preopen().open_at(PathFlags::empty(), "many", open, flags);
        let directory = directory.expect("open-at");
        repeat(times, || {
            let entries = directory.read_directory().expect("read-directory");
            let next = || {
                entries
                    .read_directory_entry()
                    .expect("read-directory-entry")
            };
            core::iter::from_fn(next).count() as u64
        })
    }
}

fn repeat(times: u64, call: impl FnMut() -> u64) -> u64 {
    core::iter::repeat_with(call).take(times as usize).sum()
}

fn preopen() -> Descriptor {
    get_directories().pop().expect("a preopened directory").0
}

fn data(flags: DescriptorFlags) -> Descriptor {
    let opened = preopen().open_at(PathFlags::empty(), "data", OpenFlags::empty(), flags);
    opened.expect("open-at")
}

/// A file below so many directories.
fn path(depth: u64) -> String {
    "d/".repeat(depth as usize) + "file"
}

/// Places in a file, in no order.
struct Offsets {
    piece: u64,
    pieces: u64,
    state: u64,
}

impl Offsets {
    fn new(file: &Descriptor, piece: u64) -> Self {
        let pieces = file.stat().expect("stat").size / piece;
        Self {
            piece,
            pieces,
            state: 1,
        }
    }

    fn next(&mut self) -> u64 {
        // Knuth's MMIX generator; its upper half is the random one.
        self.state = self
            .state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.state >> 32) % self.pieces * self.piece
    }
}
