//! Disks that fail, that lose power, and that somebody prepared.

mod support;

use agave_volume::FatVolume;
use hadris_fat::FatKind;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use support::*;
use wasi_filesystem::{DescriptorType, Directory, ErrorCode, Object, Result};

/// What is on the disks before anything goes wrong.
fn prepared(kind: FatKind) -> RamDisk {
    let disk = RamDisk::formatted(kind);
    let volume = disk.mount();
    let dir = root(&volume);
    done(dir.create_directory_at("old")).unwrap();
    for (name, length) in OLD {
        write(&*dir, name, &pattern(*length)).unwrap();
    }
    volume.flush().unwrap();
    drop((dir, volume));
    disk.copy()
}

/// Files that are not touched when things go wrong.
const OLD: &[(&str, usize)] = &[
    ("old/a file with a long name", 20_000),
    ("old/SHORT", 700),
    ("untouched", 5_000),
];

#[track_caller]
fn assert_old(dir: &dyn Directory, what: &str) {
    for (name, length) in OLD {
        let bytes = read(dir, name).unwrap_or_else(|code| panic!("{what}: {name}: {code:?}"));
        assert!(bytes == pattern(*length), "{what}: {name}");
    }
}

/// It is open when another is moved to its place.
const REPLACED: &str = "new/file with a long name";

/// Makes, extends, cuts, moves, replaces and removes files, and goes on after errors. Says which,
/// and whether there was a file [`REPLACED`] at first.
fn work(dir: &dyn Directory) -> (Vec<ErrorCode>, bool) {
    let mut codes = Vec::new();
    let mut tell = |result: Result<()>| codes.extend(result.err());
    tell(done(dir.create_directory_at("new")));
    let open = write(dir, REPLACED, &pattern(10_000));
    let had = open.is_ok();
    tell(open.as_ref().map(drop).map_err(|code| *code));
    if let Ok(file) = &open {
        tell(done(file.append(&pattern(3_000))).map(drop));
        tell(done(file.set_size(100)));
        tell(done(file.write_at(9_000, b"far")).map(drop));
        tell(done(file.sync()));
    }
    tell(write(dir, "other", b"other").map(drop));
    tell(done(dir.rename_at("other", dir, "new/moved")));
    tell(write(dir, "third", &pattern(5_000)).map(drop));
    // In the place of what is open.
    tell(done(dir.rename_at("third", dir, REPLACED)));
    tell(done(dir.create_directory_at("new/dir")));
    tell(done(dir.rename_at("new/dir", dir, "dir")));
    tell(done(dir.unlink_file_at("new/moved")));
    drop(open);
    tell(done(dir.remove_directory_at("dir")));
    tell(write(dir, "last", &pattern(2_000)).map(drop));
    (codes, had)
}

#[test]
fn a_request_that_fails_is_io_and_costs_nothing_that_was_there() {
    for kind in [FatKind::Fat12, FatKind::Fat16] {
        let disk = prepared(kind);
        let mut failed = 0;
        for number in 1.. {
            let disk = disk.copy();
            let volume = disk.mount();
            let dir = root(&volume);
            let begin = disk.medium().requests;
            disk.medium().fault = Fault::Request(begin + number);
            let (codes, had) = work(&*dir);
            let requests = disk.medium().requests - begin;
            disk.medium().fault = Fault::None;
            if requests < number {
                assert_eq!(codes, []);
                break;
            }
            let what = format!("{kind:?}, request {number} of {requests}: {codes:?}");
            // The error may be that of an operation whose object is not there for it.
            failed += u32::from(codes.contains(&ErrorCode::Io));
            let later = [
                ErrorCode::Io,
                ErrorCode::NoEntry,
                ErrorCode::Exist,
                ErrorCode::NotEmpty,
            ];
            assert!(codes.iter().all(|code| later.contains(code)), "{what}");
            // A rename replaces it or does not.
            assert!(!had || stat(&*dir, REPLACED).is_ok(), "{what}");
            // The same volume goes on.
            assert_old(&*dir, &what);
            write(&*dir, "after", &pattern(4_000)).unwrap();
            volume.flush().unwrap();
            drop((dir, volume));
            assert_eq!(disk.findings(), [""; 0], "{what}");
            let volume = disk.mount();
            assert_old(&*root(&volume), &what);
            assert!(
                read(&*root(&volume), "after").unwrap() == pattern(4_000),
                "{what}"
            );
        }
        assert!(failed > 50, "{failed}");
    }
}

/// What a stop leaves: room that nobody uses, a count of it that is a hint, and the mark that there
/// was a stop.
const HARMLESS: &[&str] = &[
    "allocated clusters no chain reaches",
    "chain is longer than the file size needs",
    "long name fragments without a short entry",
    "FAT copies differ",
    "volume was not unmounted cleanly",
    "FSInfo free count is wrong",
];

#[test]
fn a_power_cut_at_any_write_costs_nothing_that_was_synced() {
    for kind in KINDS {
        let disk = prepared(kind);
        for number in 1.. {
            let disk = disk.copy();
            let volume = disk.mount();
            let dir = root(&volume);
            let synced = write(&*dir, "synced", &pattern(6_000)).unwrap();
            done(synced.sync()).unwrap();
            let begin = disk.medium().writes;
            disk.medium().fault = Fault::PowerCut(begin + number);
            let (codes, _) = work(&*dir);
            let writes = disk.medium().writes - begin;
            drop((synced, dir, volume));
            if writes < number {
                assert_eq!(codes, []);
                break;
            }
            let what = format!("{kind:?}, write {number} of {writes}");
            let disk = disk.copy();
            let volume = disk.mount();
            let dir = root(&volume);
            assert_old(&*dir, &what);
            assert!(read(&*dir, "synced").unwrap() == pattern(6_000), "{what}");
            // All that is there can be changed without a harm to what is beside it.
            assert_apart(&*dir, &what);
            volume.flush().unwrap();
            let left = disk.findings();
            let harmless = |finding: &String| HARMLESS.iter().any(|what| finding.contains(what));
            assert!(left.iter().all(harmless), "{what}: {left:?}");
            remove_all(&*dir);
            write(&*dir, "after", &pattern(4_000)).unwrap();
            drop((dir, volume));
            let volume = disk.mount();
            assert!(
                read(&*root(&volume), "after").unwrap() == pattern(4_000),
                "{what}"
            );
        }
    }
}

/// Files that are written to don't change each other.
fn assert_apart(dir: &dyn Directory, what: &str) {
    let all = || {
        let top = names(dir).into_iter();
        let below = directory(dir, "new").ok().map(|new| names(&*new));
        let below = below
            .into_iter()
            .flatten()
            .map(|name| format!("new/{name}"));
        let files = top
            .chain(below)
            .filter(|path| stat(dir, path).unwrap().descriptor_type == DescriptorType::RegularFile);
        files.collect::<Vec<_>>()
    };
    let before: BTreeMap<_, _> = all()
        .into_iter()
        .map(|path| (path.clone(), read(dir, &path).unwrap()))
        .collect();
    for path in before
        .keys()
        .filter(|path| !OLD.iter().any(|(old, _)| old == path))
    {
        if path == "synced" {
            continue;
        }
        let changed = file(dir, path, EXISTING).unwrap();
        done(changed.set_size(0)).unwrap();
        write_at(&*changed, 0, &[0xee; 12_000]).unwrap();
        for (other, bytes) in before.iter().filter(|(other, _)| *other > path) {
            assert!(
                read(dir, other).unwrap() == *bytes,
                "{what}: {path} changed {other}"
            );
        }
    }
}

fn remove_all(dir: &dyn Directory) {
    for entry in list(dir).unwrap() {
        match entry.descriptor_type {
            DescriptorType::Directory => {
                remove_all(&*directory(dir, &entry.name).unwrap());
                done(dir.remove_directory_at(&entry.name)).unwrap();
            }
            _ => done(dir.unlink_file_at(&entry.name)).unwrap(),
        }
    }
}

#[test]
fn a_disk_that_comes_to_refuse_writes_is_read_only_and_can_be_read() {
    let disk = prepared(FatKind::Fat16);
    let volume = disk.mount();
    let dir = root(&volume);
    disk.medium().read_only = true;
    let code = write(&*dir, "new", b"new").err();
    assert_eq!(code, Some(ErrorCode::ReadOnly));
    assert_old(&*dir, "read-only");
    assert_eq!(volume.flush(), Err(ErrorCode::ReadOnly));
}

/// Reads and lists all that is there, down to a depth: directories can be in themselves.
fn look(dir: &dyn Directory, depth: usize, left: &mut usize) {
    let Ok(entries) = list(dir) else { return };
    for entry in entries {
        let Some(less) = left.checked_sub(1) else {
            return;
        };
        *left = less;
        assert!(!entry.name.is_empty() && !entry.name.contains(['/', '\0']));
        assert!(![".", ".."].contains(&&*entry.name));
        let _ = stat(dir, &entry.name);
        match open(dir, &entry.name, EXISTING, READ) {
            Ok(Object::Directory(below)) if depth > 0 => look(&*below, depth - 1, left),
            Ok(Object::File(file)) => {
                let mut buf = vec![0; 50_000];
                for offset in [0, 40_000, 3_000_000_000] {
                    let _ = file.read_at(offset, &mut buf);
                }
            }
            _ => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_disk_that_somebody_prepared_does_no_harm(
        kind in prop::sample::select(KINDS[..2].to_vec()),
        // Most of it where the tables and directories are.
        changes in prop::collection::vec(
            (prop_oneof![2 => 0..64usize, 6 => 512..40_000usize, 1 => 0..4_000_000usize], any::<u8>()),
            1..60,
        ),
    ) {
        let disk = prepared(kind);
        for (at, byte) in changes {
            disk.medium().bytes[at] = byte;
        }
        let Ok(volume) = FatVolume::mount(disk.clone(), Arc::new(clock())) else {
            return Ok(());
        };
        let volume = Arc::new(volume);
        let dir = root(&volume);
        look(&*dir, 3, &mut 300);
        work(&*dir);
        look(&*dir, 3, &mut 300);
        let _ = volume.flush();
    }

    #[test]
    fn directories_and_tables_of_any_bytes_do_no_harm(
        kind in prop::sample::select(KINDS[..2].to_vec()),
        tables in any::<u64>(),
        seed in any::<u64>(),
    ) {
        let disk = prepared(kind);
        // After the first sector, which says where they are.
        let mut random = seed | 1;
        for byte in &mut disk.medium().bytes[512..60_000] {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if random >> 32 & 0xffff <= tables >> 48 {
                *byte = (random >> 56) as u8;
            }
        }
        let Ok(volume) = FatVolume::mount(disk.clone(), Arc::new(clock())) else {
            return Ok(());
        };
        let volume = Arc::new(volume);
        let dir = root(&volume);
        look(&*dir, 3, &mut 300);
        work(&*dir);
        let _ = volume.flush();
    }
}

#[test]
fn each_number_of_an_object_is_one_objects() {
    let disk = prepared(FatKind::Fat16);
    let volume = disk.mount();
    let dir = root(&volume);
    let mut numbers = BTreeMap::new();
    let mut open = Vec::new();
    for n in 0..50 {
        let file = write(&*dir, "again", b"x").unwrap();
        let number = done(file.stat()).unwrap().inode;
        assert_eq!(numbers.insert(number, n), None, "{n}");
        done(dir.unlink_file_at("again")).unwrap();
        open.push(file);
    }
}
