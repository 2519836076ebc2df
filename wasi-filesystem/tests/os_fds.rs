//! Descriptors are given back at drop. Alone in its process, whose descriptors it counts.
#![cfg(target_os = "linux")]

mod os_support;

use os_support::*;
use std::fs;
use std::time::{Duration, Instant};
use wasi_filesystem::os::OsDirectory;
use wasi_filesystem::{DescriptorFlags, Directory, OpenFlags};

fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// What was given up is closed when the pool is done with it.
fn assert_falls_to(expected: usize) {
    let start = Instant::now();
    while open_descriptors() > expected {
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "{} open, more than {expected}",
            open_descriptors()
        );
        std::thread::yield_now();
    }
}

#[test]
fn every_descriptor_is_closed_when_what_held_it_is_dropped() {
    let modes = modes();
    let round = || {
        for mode in &modes {
            let temp = tempfile::tempdir().unwrap();
            let dir = OsDirectory::open_ambient(temp.path(), mode.clone()).unwrap();
            let file = open(
                &dir,
                "f",
                CREATE,
                BOTH | DescriptorFlags::DATA_INTEGRITY_SYNC,
            )
            .unwrap();
            done(file.append(b"abc")).unwrap();
            done(dir.create_directory_at("a")).unwrap();
            done(dir.create_directory_at("a/b")).unwrap();
            let deep = open_directory(&dir, "a/b").unwrap();
            assert!(done(deep.stat_at(FOLLOW, "..")).is_err());
            assert_eq!(entries(&dir).unwrap().len(), 2);
            // Given up: a write, an open, a listing.
            drop(file.append(b"abc"));
            drop(dir.open_at(FOLLOW, "g", OpenFlags::CREATE, WRITE));
            drop(done(deep.read_directory()).unwrap());
        }
    };
    // What the process keeps for itself is there after the first round; the pool may not be
    // done with that yet, which is a few and not one a round.
    round();
    let before = open_descriptors();
    for _ in 0..50 {
        round();
    }
    assert_falls_to(before);
}
