//! What a store keeps, and what becomes of damaged files.

use crate::error::{Error, Result};
use crate::segment::{HEADER, MAX_KEY, MAX_VALUE};
use crate::store::{self, CURRENT, Store};
use crate::writer::{self, Settings, Writer};
use crate::{import, value_from};
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process;
use std::thread;
use std::time::{Duration, SystemTime};

const SETTINGS: Settings = Settings {
    segment: 100,
    wait: Duration::ZERO,
};

/// A folder that goes with the value.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let folder = env::temp_dir().join(format!("kv-{}-{test}", process::id()));
        fs::create_dir(&folder).unwrap();
        Self(folder)
    }

    fn root(&self) -> PathBuf {
        self.0.join("store")
    }

    fn write(&self) -> Result<Writer> {
        Writer::open(&self.root(), SETTINGS)
    }

    fn set(&self, entries: &[(&str, &str)]) {
        let mut writer = self.write().unwrap();
        for (key, value) in entries {
            writer.set(key, value.as_bytes()).unwrap();
        }
        writer.sync().unwrap();
    }

    fn delete(&self, key: &str) {
        self.write().unwrap().delete(key).unwrap();
    }

    /// The file of a segment.
    fn segment(&self, segment: u32) -> PathBuf {
        store::segment_path(&self.root().join(CURRENT), segment)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What the store has, read key by key.
fn entries(root: &Path) -> Result<BTreeMap<String, String>> {
    Store::read(root, |store| {
        let text = |key: String| {
            let value = String::from_utf8(store.get(&key)?).unwrap();
            Ok((key, value))
        };
        store.keys("").into_iter().map(text).collect()
    })
}

fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    let owned = |&(key, value): &(&str, &str)| (String::from(key), String::from(value));
    entries.iter().map(owned).collect()
}

#[test]
fn the_last_value_of_a_key_counts_over_many_files() {
    let folder = Folder::new("last");
    assert_eq!(entries(&folder.root()).unwrap(), map(&[]));
    for round in 0..50 {
        let round = round.to_string();
        folder.set(&[("a", &round), ("b", "same"), ("empty", "")]);
    }
    folder.delete("b");
    let expected = map(&[("a", "49"), ("empty", "")]);
    assert_eq!(entries(&folder.root()).unwrap(), expected);
    let segments = Store::read(&folder.root(), |store| Ok(store.segments.len()));
    assert!(segments.unwrap() > 20);
}

#[test]
fn keys_are_sorted_and_narrowed_by_a_prefix() {
    let folder = Folder::new("prefix");
    folder.set(&[("b", ""), ("ab", ""), ("é", ""), ("aa", "")]);
    let keys = |prefix| Store::read(&folder.root(), |store| Ok(store.keys(prefix))).unwrap();
    assert_eq!(keys(""), ["aa", "ab", "b", "é"]);
    assert_eq!(keys("a"), ["aa", "ab"]);
}

#[test]
fn what_cannot_be_stored_is_refused_and_changes_nothing() {
    let folder = Folder::new("refused");
    folder.set(&[("a", "1")]);
    let before = fs::read(folder.segment(1)).unwrap();
    let long = "k".repeat(MAX_KEY + 1);
    let mut writer = folder.write().unwrap();
    for key in ["", "a=b", "a\n", long.as_str()] {
        assert!(
            matches!(writer.set(key, b""), Err(Error::Usage(_))),
            "{key}"
        );
    }
    let large = value_from(io::repeat(0)).unwrap();
    assert_eq!(large.len(), MAX_VALUE + 1);
    assert!(matches!(writer.set("a", &large), Err(Error::Input(_))));
    assert!(matches!(writer.delete("b"), Err(Error::NoKey(_))));
    assert_eq!(fs::read(folder.segment(1)).unwrap(), before);
}

#[test]
fn the_largest_key_and_value_are_stored() {
    let folder = Folder::new("largest");
    let (key, value) = ("k".repeat(MAX_KEY), "v".repeat(MAX_VALUE));
    folder.set(&[(&key, &value)]);
    assert!(entries(&folder.root()).unwrap() == map(&[(&key, &value)]));
}

#[test]
fn a_compaction_keeps_what_is_stored_and_its_time_and_nothing_else() {
    let folder = Folder::new("compaction");
    for round in 0..20 {
        let round = round.to_string();
        folder.set(&[
            ("a", &round),
            ("b", "1"),
            ("c", "2"),
            ("d", "3"),
            ("e", "4"),
        ]);
    }
    folder.delete("b");
    // Left behind by ones that died.
    fs::create_dir_all(folder.root().join("new/000001.log")).unwrap();
    fs::create_dir_all(folder.root().join("000007/x")).unwrap();
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for (_, path) in store::segment_paths(&folder.root().join(CURRENT)).unwrap() {
        let file = fs::File::options().write(true).open(path).unwrap();
        file.set_modified(long_ago).unwrap();
    }

    let kept = entries(&folder.root()).unwrap();
    let (before, after) = folder.write().unwrap().compact().unwrap();
    assert_eq!(entries(&folder.root()).unwrap(), kept);
    assert_eq!(after, 4 * (HEADER as u64 + 1) + 5);
    assert!(before > after);
    let stats = Store::read(&folder.root(), Store::stats).unwrap();
    assert_eq!((stats.log, stats.modified), (after, Some(long_ago)));
    let left = fs::read_dir(folder.root()).unwrap();
    let mut left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["000002", CURRENT]);

    folder.set(&[("f", "5")]);
    assert_eq!(entries(&folder.root()).unwrap().len(), kept.len() + 1);
}

#[test]
fn a_backup_and_its_origin_go_ways_of_their_own() {
    let folder = Folder::new("backup");
    for round in 0..10 {
        folder.set(&[("a", &round.to_string()), ("b", "1")]);
    }
    let kept = entries(&folder.root()).unwrap();
    let copy = folder.0.join("copy");
    let (linked, copied) = folder.write().unwrap().backup(&copy).unwrap();
    assert!(linked > 1);
    assert_eq!(copied, 1);
    assert_eq!(entries(&copy).unwrap(), kept);

    folder.set(&[("a", "origin")]);
    assert_eq!(entries(&copy).unwrap(), kept);
    let mut writer = Writer::open(&copy, SETTINGS).unwrap();
    writer.set("a", b"copy").unwrap();
    assert_eq!(entries(&folder.root()).unwrap()["a"], "origin");
    drop(writer);
    assert!(folder.write().unwrap().backup(&copy).is_err());
    assert_eq!(entries(&copy).unwrap()["a"], "copy");
}

#[test]
fn a_record_that_was_not_written_to_its_end_is_cut_by_the_next_who_writes() {
    let folder = Folder::new("torn");
    folder.set(&[("a", "1")]);
    let whole = fs::read(folder.segment(1)).unwrap();
    for torn in 1..whole.len() {
        let bytes = [&whole[..], &whole[..torn]].concat();
        fs::write(folder.segment(1), bytes).unwrap();
        assert_eq!(entries(&folder.root()).unwrap(), map(&[("a", "1")]));
        let writer = folder.write().unwrap();
        assert_eq!(writer.cut().unwrap().bytes, torn as u64);
        assert_eq!(fs::read(folder.segment(1)).unwrap(), whole);
    }
    folder.set(&[("b", "2")]);
    let expected = map(&[("a", "1"), ("b", "2")]);
    assert_eq!(entries(&folder.root()).unwrap(), expected);
}

#[test]
fn every_damaged_byte_is_reported_and_repaired_up_to_its_record() {
    let folder = Folder::new("damaged");
    folder.set(&[("first", "1"), ("second", "22"), ("third", "333")]);
    let whole = fs::read(folder.segment(1)).unwrap();
    let ends = [HEADER + 6, 2 * HEADER + 14, 3 * HEADER + 22];
    assert_eq!(whole.len(), ends[2]);
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(folder.segment(1), bytes).unwrap();
        let error = entries(&folder.root()).unwrap_err();
        assert!(matches!(error, Error::Corrupt { .. }), "{at}: {error}");
        assert_eq!(error.exit_code(), 3);

        let cuts = writer::repair(&folder.root(), SETTINGS).unwrap();
        let whole_records = ends.iter().filter(|&&end| end <= at).count();
        let end = ends[..whole_records].last().map_or(0, |&end| end);
        assert_eq!(cuts.len(), 1);
        assert_eq!(cuts[0].bytes, (whole.len() - end) as u64);
        assert_eq!(entries(&folder.root()).unwrap().len(), whole_records);
        assert!(writer::repair(&folder.root(), SETTINGS).unwrap().is_empty());
    }
}

#[test]
fn a_file_that_ends_early_is_reported_unless_it_is_the_last() {
    let folder = Folder::new("early");
    for _ in 0..10 {
        folder.set(&[("a", "0123456789")]);
    }
    let bytes = fs::read(folder.segment(1)).unwrap();
    fs::write(folder.segment(1), &bytes[..bytes.len() - 1]).unwrap();
    let error = entries(&folder.root()).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn a_link_to_no_generation_is_reported() {
    let folder = Folder::new("link");
    folder.set(&[("a", "1")]);
    fs::rename(folder.root().join("000001"), folder.root().join("1")).unwrap();
    fs::remove_file(folder.root().join(CURRENT)).unwrap();
    #[expect(deprecated, reason = "as the writer makes it")]
    fs::soft_link("1", folder.root().join(CURRENT)).unwrap();
    let error = entries(&folder.root()).unwrap_err();
    assert!(matches!(error, Error::Corrupt { .. }), "{error}");
}

#[test]
fn one_at_a_time_writes_and_the_next_waits() {
    let folder = Folder::new("lock");
    let first = folder.write().unwrap();
    assert!(matches!(folder.write(), Err(Error::Locked(_))));
    let patient = Settings {
        wait: Duration::from_secs(60),
        ..SETTINGS
    };
    thread::scope(|scope| {
        let second = scope.spawn(|| Writer::open(&folder.root(), patient).map(drop));
        drop(first);
        second.join().unwrap().unwrap();
    });
    assert!(folder.write().is_ok());
}

#[test]
fn the_lock_of_one_that_died_is_repaired() {
    let folder = Folder::new("died");
    std::mem::forget(folder.write().unwrap());
    assert!(folder.write().is_err());
    writer::repair(&folder.root(), SETTINGS).unwrap();
    assert!(folder.write().is_ok());
}

#[test]
fn who_reads_sees_a_whole_store_while_it_is_compacted() {
    let folder = Folder::new("beside");
    folder.set(&[("a", "1"), ("b", "2")]);
    let expected = entries(&folder.root()).unwrap();
    thread::scope(|scope| {
        let compactions = scope.spawn(|| {
            for _ in 0..100 {
                folder.write().unwrap().compact().unwrap();
            }
        });
        while !compactions.is_finished() {
            assert_eq!(entries(&folder.root()).unwrap(), expected);
        }
        compactions.join().unwrap();
    });
}

#[test]
fn an_import_stores_the_lines_before_a_bad_one() {
    let folder = Folder::new("import");
    let endless = |start: &'static str| BufReader::new(start.as_bytes().chain(io::repeat(b'x')));
    let mut cases: [(Box<dyn BufRead>, _, _); _] = [
        (Box::new(&b"a=1\nb=2=3\r\nc="[..]), None, "3 stored\n"),
        (
            Box::new(&b"d=4\nno\ne=5\n"[..]),
            Some("no `=`"),
            "1 stored\n",
        ),
        (Box::new(&b"\n"[..]), Some("no `=`"), "0 stored\n"),
        (
            Box::new(&b"=x\n"[..]),
            Some("a key is not empty"),
            "0 stored\n",
        ),
        (
            Box::new(&b"\xff=x\n"[..]),
            Some("the key is not UTF-8"),
            "0 stored\n",
        ),
        (Box::new(endless("")), Some("no `=`"), "0 stored\n"),
        (
            Box::new(endless("d=5\nd=")),
            Some("a value has at most 16777216 bytes"),
            "1 stored\n",
        ),
    ];
    for (input, message, count) in &mut cases {
        let mut output = Vec::new();
        let result = import(&mut folder.write().unwrap(), input, &mut output);
        let line = count[..1].parse::<u32>().unwrap() + 1;
        let message = message.map(|message| format!("line {line}: {message}"));
        assert_eq!(result.err().map(|error| error.to_string()), message);
        assert_eq!(output, count.as_bytes());
    }
    let expected = map(&[("a", "1"), ("b", "2=3"), ("c", ""), ("d", "5")]);
    assert_eq!(entries(&folder.root()).unwrap(), expected);
}
