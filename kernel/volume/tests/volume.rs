//! What FAT has its own way of, and what is left on the disk.

mod support;

use agave_volume::{FatVolume, MountError, SECTOR};
use hadris_fat::FatKind;
use std::io::{Cursor, Read, Write};
use std::sync::Arc;
use support::*;
use wasi_filesystem::{DescriptorFlags, Directory, ErrorCode, NewTimestamp, Object, OpenFlags};
use wasi_types::Datetime;

fn mkdir(dir: &dyn Directory, path: &str) -> wasi_filesystem::Result<()> {
    done(dir.create_directory_at(path))
}

fn unlink(dir: &dyn Directory, path: &str) -> wasi_filesystem::Result<()> {
    done(dir.unlink_file_at(path))
}

fn rename(dir: &dyn Directory, old: &str, new: &str) -> wasi_filesystem::Result<()> {
    done(dir.rename_at(old, dir, new))
}

#[test]
fn all_that_was_written_is_there_after_a_mount_anew() {
    for kind in KINDS {
        let disk = RamDisk::formatted(kind);
        let volume = disk.mount();
        let dir = root(&volume);
        mkdir(&*dir, "a directory with a long name").unwrap();
        mkdir(&*dir, "a directory with a long name/below").unwrap();
        let big = pattern(300_000);
        write(&*dir, "a directory with a long name/below/big", &big).unwrap();
        let sparse = file(&*dir, "sparse", CREATE).unwrap();
        write_at(&*sparse, 100_000, b"end").unwrap();
        let cut = write(&*dir, "cut", &big).unwrap();
        done(cut.set_size(5)).unwrap();
        for n in 0..100 {
            let name = format!("many files with long names, number {n}");
            write(&*dir, &name, name.as_bytes()).unwrap();
        }
        drop((dir, sparse, cut, volume));
        assert_eq!(disk.findings(), [""; 0], "{kind:?}");

        let volume = disk.mount();
        assert!(!volume.was_in_use());
        let dir = root(&volume);
        assert_eq!(list(&*dir).unwrap().len(), 103);
        let below = directory(&*dir, "a directory with a long name/below").unwrap();
        assert!(read(&*below, "big").unwrap() == big);
        let sparse = read(&*dir, "sparse").unwrap();
        assert!(sparse[..100_000].iter().all(|byte| *byte == 0) && &sparse[100_000..] == b"end");
        assert_eq!(read(&*dir, "cut").unwrap(), big[..5]);
        for n in 0..100 {
            let name = format!("many files with long names, number {n}");
            assert_eq!(read(&*dir, &name).unwrap(), name.as_bytes());
        }
    }
}

#[test]
fn another_implementation_reads_what_this_one_wrote_and_the_other_way_round() {
    for kind in KINDS {
        let disk = RamDisk::formatted(kind);
        let volume = disk.mount();
        let dir = root(&volume);
        mkdir(&*dir, "Größe 大きさ").unwrap();
        let big = pattern(300_000);
        write(&*dir, "Größe 大きさ/A long name.text", &big).unwrap();
        write(&*dir, "SHORT.TXT", b"short").unwrap();
        write(&*dir, "lower.txt", b"lower").unwrap();
        write(&*dir, "gone", b"gone").unwrap();
        unlink(&*dir, "gone").unwrap();
        rename(&*dir, "lower.txt", "Größe 大きさ/moved.txt").unwrap();
        drop((dir, volume));

        let mut image = Cursor::new(disk.medium().bytes.clone());
        let other = fatfs::FileSystem::new(&mut image, fatfs::FsOptions::new()).unwrap();
        {
            let top = other.root_dir();
            let below = top.open_dir("Größe 大きさ").unwrap();
            let names = |dir: &fatfs::Dir<'_, _>| {
                let names = dir.iter().map(|entry| entry.unwrap().file_name());
                let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
                names.sort();
                names
            };
            assert_eq!(names(&top), ["Größe 大きさ", "SHORT.TXT"]);
            assert_eq!(names(&below), ["A long name.text", "moved.txt"]);
            let read = |dir: &fatfs::Dir<'_, _>, name| {
                let mut bytes = Vec::new();
                let mut file = dir.open_file(name).unwrap();
                file.read_to_end(&mut bytes).unwrap();
                bytes
            };
            assert!(read(&below, "A long name.text") == big);
            assert_eq!(read(&below, "moved.txt"), b"lower");
            assert_eq!(read(&top, "SHORT.TXT"), b"short");
            let new = below.create_dir("Written by the other one").unwrap();
            let mut file = new.create_file("ÄÖÜ and more.bin").unwrap();
            file.write_all(&big).unwrap();
        }
        other.unmount().unwrap();

        let disk = RamDisk::new(image.into_inner());
        let volume = disk.mount();
        let dir = directory(&*root(&volume), "Größe 大きさ").unwrap();
        assert!(read(&*dir, "Written by the other one/ÄÖÜ and more.bin").unwrap() == big);
        assert!(read(&*dir, "A long name.text").unwrap() == big);
    }
}

#[test]
fn names_differ_in_more_than_case_and_keep_theirs() {
    let disk = RamDisk::formatted(FatKind::Fat16);
    let volume = disk.mount();
    let dir = root(&volume);
    write(&*dir, "ReadMe.markdown", b"one").unwrap();
    write(&*dir, "README.MARKDOWN", b"two").unwrap();
    assert_eq!(names(&*dir), ["ReadMe.markdown"]);
    assert_eq!(read(&*dir, "readme.markdown").unwrap(), b"two");
    // Its short name.
    assert_eq!(read(&*dir, "README~1.MAR").unwrap(), b"two");
    write(&*dir, "Äpfel", b"").unwrap();
    assert!(stat(&*dir, "äPFEL").is_ok());
    let exclusive = OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
    let code = file(&*dir, "ÄPFEL", exclusive).err();
    assert_eq!(code, Some(ErrorCode::Exist));
    // A rename can change the case alone, also of what is open.
    let open = file(&*dir, "readme.markdown", EXISTING).unwrap();
    rename(&*dir, "readme.markdown", "README.markdown").unwrap();
    assert_eq!(names(&*dir), ["README.markdown", "Äpfel"]);
    assert_eq!(contents(&*open).unwrap(), b"two");
    assert_eq!(done(open.stat()).unwrap().link_count, 1);
}

#[test]
fn a_name_that_fat_can_t_have_is_invalid_or_too_long_and_makes_nothing() {
    let disk = RamDisk::formatted(FatKind::Fat12);
    let volume = disk.mount();
    let dir = root(&volume);
    write(&*dir, "file", b"kept").unwrap();
    let long = |length| "ü".repeat(length);
    let cases = [
        ("a:b", ErrorCode::Invalid),
        ("a*", ErrorCode::Invalid),
        ("a?", ErrorCode::Invalid),
        ("a\"b", ErrorCode::Invalid),
        ("<a>", ErrorCode::Invalid),
        ("a|b", ErrorCode::Invalid),
        ("a\\b", ErrorCode::Invalid),
        ("a\n", ErrorCode::Invalid),
        ("dot.", ErrorCode::Invalid),
        ("blank ", ErrorCode::Invalid),
        ("...", ErrorCode::Invalid),
        (&long(256), ErrorCode::NameTooLong),
    ];
    for (name, expected) in cases {
        let made = [
            file(&*dir, name, CREATE).map(drop),
            mkdir(&*dir, name),
            rename(&*dir, "file", name),
        ];
        assert_eq!(made, [Err(expected); 3], "{name:?}");
        let missing = match expected {
            ErrorCode::Invalid => ErrorCode::NoEntry,
            code => code,
        };
        let asked = [stat(&*dir, name).map(drop), unlink(&*dir, name)];
        assert_eq!(asked, [Err(missing); 2], "{name:?}");
    }
    for name in [
        &*long(255),
        " begins",
        ".begins",
        "a+b,c;d=[e]",
        "😀",
        "a.b.c",
    ] {
        write(&*dir, name, b"here").unwrap();
        assert_eq!(read(&*dir, name).unwrap(), b"here");
        assert!(names(&*dir).contains(&name.into()), "{name:?}");
    }
}

#[test]
fn links_are_unsupported() {
    let disk = RamDisk::formatted(FatKind::Fat12);
    let volume = disk.mount();
    let dir = root(&volume);
    write(&*dir, "file", b"").unwrap();
    let codes = [
        done(dir.symlink_at("file", "link")),
        done(dir.link_at(FOLLOW, "file", &*dir, "link")),
    ];
    assert_eq!(codes, [Err(ErrorCode::Unsupported); 2]);
    assert_eq!(done(dir.readlink_at("file")), Err(ErrorCode::Invalid));
    assert_eq!(names(&*dir), ["file"]);
}

#[test]
fn times_are_those_that_fat_can_have() {
    let at = |seconds| Datetime::new(seconds, 0).unwrap();
    let set = |seconds, nanoseconds| {
        NewTimestamp::Timestamp(Datetime::new(seconds, nanoseconds).unwrap())
    };
    let day = 86_400;
    let disk = RamDisk::formatted(FatKind::Fat16);
    let clock = clock();
    let volume = FatVolume::mount(disk.clone(), Arc::new(clock.clone())).unwrap();
    let volume = Arc::new(volume);
    let dir = root(&volume);
    let open = write(&*dir, "file", b"here").unwrap();
    mkdir(&*dir, "dir").unwrap();
    let times = |dir: &dyn Directory, path| {
        let stat = stat(dir, path).unwrap();
        assert_eq!(stat.status_change_timestamp, None);
        let access = stat.data_access_timestamp.map(|time| time.seconds());
        (access, stat.data_modification_timestamp)
    };
    // 2026-01-02 03:04:05, as two seconds and a day.
    let midnight = 1_767_323_045 / day * day;
    let made = (Some(midnight), Some(at(1_767_323_044)));
    assert_eq!(times(&*dir, "file"), made);
    assert_eq!(times(&*dir, "dir"), made);
    assert_eq!(times(&*dir, "."), (None, None));
    for (path, modification, access, expected) in [
        (
            "file",
            set(1_000_000_001, 999),
            set(1_000_086_400, 5),
            (1_000_000_000, 1_000_086_400),
        ),
        (
            "dir",
            set(1_000_000_002, 0),
            set(1_000_000_000, 0),
            (1_000_000_002, 1_000_000_000),
        ),
        ("dir", set(5, 0), set(5, 0), (315_532_800, 315_532_800)),
        (
            "file",
            set(u64::MAX, 0),
            set(u64::MAX, 0),
            (4_354_819_198, 4_354_819_198),
        ),
    ] {
        done(dir.set_times_at(FOLLOW, path, access, modification)).unwrap();
        let expected = (Some(expected.1 / day * day), Some(at(expected.0)));
        assert_eq!(times(&*dir, path), expected);
    }
    let code = done(dir.set_times(NewTimestamp::Now, NewTimestamp::Now));
    assert_eq!(code, Err(ErrorCode::Unsupported));
    // A write is when it was made, not when the file was closed.
    clock.set_wall(at(1_800_000_001));
    write_at(&*open, 0, b"there").unwrap();
    assert_eq!(times(&*dir, "file").1, Some(at(1_800_000_000)));
    clock.set_wall(at(1_900_000_000));
    drop((open, dir, volume));
    let volume = disk.mount();
    assert_eq!(times(&*root(&volume), "file").1, Some(at(1_800_000_000)));
    let expected = (Some(315_532_800), Some(at(315_532_800)));
    assert_eq!(times(&*root(&volume), "dir"), expected);
}

#[test]
fn a_file_without_a_name_lives_on_unseen_and_gives_its_room_back() {
    let disk = RamDisk::formatted(FatKind::Fat16);
    let volume = disk.mount();
    let dir = root(&volume);
    volume.flush().unwrap();
    let before = disk.medium().bytes.clone();
    let big = pattern(500_000);
    let unlinked = write(&*dir, "unlinked", &big).unwrap();
    unlink(&*dir, "unlinked").unwrap();
    let replaced = write(&*dir, "replaced", &big).unwrap();
    write(&*dir, "new", b"new").unwrap();
    rename(&*dir, "new", "replaced").unwrap();
    assert_eq!(read(&*dir, "replaced").unwrap(), b"new");
    assert_eq!(names(&*dir), ["replaced"]);
    for file in [&unlinked, &replaced] {
        assert_eq!(done(file.stat()).unwrap().link_count, 0);
        write_at(&**file, 500_000, b"more").unwrap();
        assert!(contents(&**file).unwrap() == [&big, &b"more"[..]].concat());
    }
    // Where they are is no guest's affair.
    for name in ["agave.del", "AGAVE.DEL", "agave.del/."] {
        assert_eq!(stat(&*dir, name).err(), Some(ErrorCode::NoEntry));
        let code = done(dir.remove_directory_at(name));
        assert!(matches!(code, Err(ErrorCode::NoEntry | ErrorCode::Invalid)));
        let code = done(dir.rename_at("replaced", &*dir, name)).err();
        assert!(matches!(
            code,
            Some(ErrorCode::NotPermitted | ErrorCode::Busy | ErrorCode::NoEntry)
        ));
    }
    let taken = [
        mkdir(&*dir, "Agave.del"),
        file(&*dir, "agave.del", CREATE).map(drop),
    ];
    assert_eq!(taken, [Err(ErrorCode::NotPermitted); 2]);
    // A machine that stops now has no trace of them after the next start.
    volume.flush().unwrap();
    let stopped = disk.copy();
    let after = stopped.mount();
    assert_eq!(names(&*root(&after)), ["replaced"]);
    unlink(&*root(&after), "replaced").unwrap();
    drop(after);
    drop((unlinked, replaced));
    unlink(&*dir, "replaced").unwrap();
    drop((dir, volume));
    for disk in [stopped, disk] {
        assert_eq!(disk.findings(), [""; 0]);
        // The tables of who uses what are as before.
        assert!(disk.medium().bytes[SECTOR..40 * SECTOR] == before[SECTOR..40 * SECTOR]);
    }
}

#[test]
fn a_full_disk_takes_what_fits_and_nothing_is_damaged() {
    for kind in KINDS {
        let disk = RamDisk::formatted(kind);
        let volume = disk.mount();
        let dir = root(&volume);
        mkdir(&*dir, "dir").unwrap();
        let kept = write(&*dir, "dir/kept", &pattern(50_000)).unwrap();
        let big = file(&*dir, "big", CREATE).unwrap();
        let piece = pattern(1_000_000);
        let mut size = 0u64;
        let code = loop {
            match done(big.write_at(size, &piece)) {
                Ok(n) => size += n as u64,
                Err(code) => break code,
            }
        };
        assert_eq!(code, ErrorCode::InsufficientSpace);
        assert!(
            size > 3_000_000 && !size.is_multiple_of(1_000_000),
            "{size}"
        );
        // The last cluster of another file is not full.
        assert_eq!(
            done(kept.append(&[7; 100_000])),
            Ok(50_000usize.next_multiple_of(cluster(kind)) - 50_000)
        );
        let refused = [
            done(kept.append(b"more")).map(drop),
            done(kept.write_at(10_000_000, b"more")).map(drop),
            done(kept.set_size(4_000_000_000)),
            done(kept.allocate(0, 4_000_000_000)),
            mkdir(&*dir, "dir/new"),
            write(&*dir, "dir/new file", b"x").map(drop),
        ];
        assert_eq!(refused, [Err(ErrorCode::InsufficientSpace); 6], "{kind:?}");
        assert_eq!(done(big.stat()).unwrap().size, size);
        volume.flush().unwrap();
        assert_eq!(disk.findings(), [""; 0]);
        // It goes on where there is room again.
        drop(big);
        unlink(&*dir, "big").unwrap();
        done(kept.set_size(50_000)).unwrap();
        write(&*dir, "again", &pattern(3_000_000)).unwrap();
        assert!(contents(&*kept).unwrap() == pattern(50_000));
        drop((dir, kept, volume));
        assert_eq!(disk.findings(), [""; 0]);
        let volume = disk.mount();
        assert!(read(&*root(&volume), "dir/kept").unwrap() == pattern(50_000));
        assert!(read(&*root(&volume), "again").unwrap() == pattern(3_000_000));
    }
}

fn cluster(kind: FatKind) -> usize {
    match kind {
        FatKind::Fat12 => 2048,
        FatKind::Fat16 => 1024,
        _ => 512,
    }
}

#[test]
fn a_file_has_no_more_than_four_gibibytes_less_one_byte() {
    let disk = RamDisk::formatted(FatKind::Fat12);
    let volume = disk.mount();
    let dir = root(&volume);
    let file = write(&*dir, "file", b"kept").unwrap();
    let max = u64::from(u32::MAX);
    let refused = [
        done(file.write_at(max, b"x")).map(drop),
        done(file.set_size(max + 1)),
        done(file.allocate(max, 1)),
        done(file.allocate(u64::MAX, 1)),
    ];
    assert_eq!(refused, [Err(ErrorCode::FileTooLarge); 4]);
    assert_eq!(done(file.set_size(max)), Err(ErrorCode::InsufficientSpace));
    assert_eq!(contents(&*file).unwrap(), b"kept");
}

#[test]
fn allocated_room_reads_as_zeros_and_shortens_nothing() {
    let disk = RamDisk::formatted(FatKind::Fat12);
    let volume = disk.mount();
    let dir = root(&volume);
    let file = write(&*dir, "file", b"kept").unwrap();
    done(file.allocate(1, 2)).unwrap();
    assert_eq!(contents(&*file).unwrap(), b"kept");
    done(file.allocate(2, 10_000)).unwrap();
    let expected = [&b"kept"[..], &[0; 9_998]].concat();
    assert!(contents(&*file).unwrap() == expected);
}

#[test]
fn what_was_deleted_is_not_read_again() {
    // Zeros are written where a file grows: what was there before is nobody's business.
    let disk = RamDisk::formatted(FatKind::Fat12);
    let volume = disk.mount();
    let dir = root(&volume);
    let secret = file(&*dir, "secret", CREATE).unwrap();
    let mut size = 0;
    while let Ok(n) = done(secret.write_at(size, &[0x5a; 100_000])) {
        size += n as u64;
    }
    drop(secret);
    unlink(&*dir, "secret").unwrap();
    let grown = file(&*dir, "grown", CREATE).unwrap();
    done(grown.set_size(1_000_000)).unwrap();
    write_at(&*grown, 2_000_000, b"end").unwrap();
    done(grown.set_size(5)).unwrap();
    done(grown.set_size(3_000_000)).unwrap();
    assert!(contents(&*grown).unwrap().iter().all(|byte| *byte == 0));
}

#[test]
fn a_sync_is_durable_and_a_close_is_written() {
    let disk = RamDisk::formatted(FatKind::Fat16);
    let volume = disk.mount();
    let dir = root(&volume);
    let file = write(&*dir, "file", &pattern(10_000)).unwrap();
    let flushes = || disk.medium().flushes;
    let after_stop = || read(&*root(&disk.copy().mount()), "file").unwrap().len();
    let before = flushes();
    done(file.sync()).unwrap();
    assert_eq!((flushes(), after_stop()), (before + 1, 10_000));
    done(file.append(&pattern(10_000))).unwrap();
    assert_eq!(after_stop(), 10_000);
    done(file.sync_data()).unwrap();
    assert_eq!((flushes(), after_stop()), (before + 2, 20_000));
    done(file.append(&pattern(10_000))).unwrap();
    drop(file);
    assert_eq!((flushes(), after_stop()), (before + 2, 30_000));
    let flags = BOTH | DescriptorFlags::DATA_INTEGRITY_SYNC;
    let Ok(Object::File(file)) = open(&*dir, "file", EXISTING, flags) else {
        panic!("a file")
    };
    done(file.append(b"x")).unwrap();
    assert_eq!((flushes(), after_stop()), (before + 3, 30_001));
    done(dir.sync()).unwrap();
    assert_eq!(flushes(), before + 4);
    assert!(disk.copy().mount().was_in_use());
    volume.flush().unwrap();
    assert!(!disk.copy().mount().was_in_use());
}

#[test]
fn a_file_with_the_read_only_attribute_is_not_opened_for_writing() {
    let disk = RamDisk::formatted(FatKind::Fat16);
    let volume = disk.mount();
    write(&*root(&volume), "LOCKED.TXT", b"kept").unwrap();
    drop(volume);
    {
        let bytes = &mut disk.medium().bytes;
        let name = b"LOCKED  TXT";
        let at = bytes.windows(11).position(|bytes| bytes == name).unwrap();
        bytes[at + 11] |= 1;
    }
    let volume = disk.mount();
    let dir = root(&volume);
    for (open_flags, flags) in [(EXISTING, BOTH), (OpenFlags::TRUNCATE, READ)] {
        let code = open(&*dir, "LOCKED.TXT", open_flags, flags).err();
        assert_eq!(code, Some(ErrorCode::Access));
    }
    assert_eq!(read(&*dir, "LOCKED.TXT").unwrap(), b"kept");
}

#[test]
fn a_disk_that_holds_something_else_is_said_to() {
    let mount = |disk: RamDisk| FatVolume::mount(disk, Arc::new(clock())).err();
    assert_eq!(mount(RamDisk::default()).unwrap(), MountError::NotFat);
    for bytes in [vec![0; 1 << 20], vec![0xff; 1 << 20], pattern(1 << 20)] {
        assert_eq!(mount(RamDisk::new(bytes)).unwrap(), MountError::NotFat);
    }
    // A disk with a partition table: the filesystem begins later.
    let mut bytes = vec![0; 1 << 20];
    bytes.extend_from_slice(&RamDisk::formatted(FatKind::Fat12).medium().bytes);
    (bytes[510], bytes[511]) = (0x55, 0xaa);
    assert_eq!(mount(RamDisk::new(bytes)).unwrap(), MountError::NotFat);
    // An image that was cut off.
    let disk = RamDisk::formatted(FatKind::Fat16);
    disk.medium().bytes.truncate(1 << 20);
    assert!(matches!(mount(disk), Some(MountError::Damaged(_))));
    let disk = RamDisk::formatted(FatKind::Fat16);
    disk.medium().fault = Fault::PowerCut(0);
    assert!(matches!(mount(disk), Some(MountError::Disk(_))));
}
