//! The conformance kit of wasi-filesystem, as far as FAT can keep what it promises.

mod support;

use hadris_fat::FatKind;
use support::*;
use wasi_filesystem::testkit;
use wasi_io::testkit::{AtOnce, Miss};

/// FAT has no symbolic links. Checks of files that make one at their end have passed up to there;
/// what comes after it in them is in `volume.rs`.
const SYMBOLIC: &[&str] = &[
    "symbolic links are followed",
    "a symbolic link at the end is followed only where that is asked for",
    "a symbolic link that leads above the directory is not-permitted",
    "40 symbolic links are followed, and one more is a loop",
    "a symbolic link to itself is a loop",
    "exclusive creation fails where anything is: exist",
    "a file is made where a symbolic link to nothing leads",
    "a file can't be opened as a directory: not-directory",
    "a directory is made where nothing is, else exist",
    "what is no directory is not removed as one: not-directory",
    "a symbolic link is unlinked itself",
    "a rename puts a file in the place of another, which lives on while it is open",
    "a file and a directory don't replace each other",
    "a rename moves a symbolic link itself",
    "a symbolic link gives its target back as it was made",
    "a symbolic link is made only where nothing is",
    "only a symbolic link has a target, else invalid",
    "a hard link is to a symbolic link or to its target, as asked for",
];

/// FAT has no hard links: a name holds what the file is.
const HARD: &[&str] = &[
    "a hard link is another name of the same file",
    "a hard link is made only where nothing is",
    "a rename of one name to another of the same file changes nothing",
];

/// Times before 1980 can't be kept, and access times are days: the kit sets such ones.
const TIMES: &[&str] = &["times are set, also those of directories"];

#[test]
fn every_guarantee_is_kept_but_those_of_links_and_of_exact_times() {
    for kind in KINDS {
        let disk = RamDisk::formatted(kind);
        let volume = disk.mount();
        let report = testkit::run(&AtOnce, root(&volume));
        for check in report.checks() {
            let links = SYMBOLIC.contains(&check.name) || HARD.contains(&check.name);
            let as_expected = match &check.result {
                Ok(()) => !links && !TIMES.contains(&check.name),
                Err(Miss::Skipped(_)) => links,
                Err(Miss::Broken(_)) => TIMES.contains(&check.name),
            };
            assert!(as_expected, "{kind:?}: {:?}: {report}", check.name);
        }
        assert_eq!(names(&*root(&volume)), [""; 0]);
        drop(volume);
        assert_eq!(disk.findings(), [""; 0]);
    }
}

#[test]
fn a_disk_that_is_read_only_keeps_every_guarantee() {
    let disk = RamDisk::formatted(FatKind::Fat16);
    let volume = disk.mount();
    let dir = root(&volume);
    done(dir.create_directory_at("dir")).unwrap();
    write(&*dir, "dir/file", b"here").unwrap();
    write(&*dir, "file", &pattern(10_000)).unwrap();
    drop((dir, volume));
    disk.medium().read_only = true;
    let before = disk.medium().bytes.clone();
    let volume = disk.mount();
    let report = testkit::run(&AtOnce, root(&volume));
    report.assert_ok();
    let all = report.checks().iter().all(|check| check.result.is_ok());
    assert!(all, "{report}");
    drop(volume);
    assert!(disk.medium().bytes == before);
}
