//! A store as a reader sees it.
//!
//! `current` links to the folder of a generation, `000001` at first; in it lie the segments of
//! the log, `000001.log` and so on. The index is made anew from them each time. A compaction
//! writes a new generation and moves the link.

use crate::error::{Error, On, Result};
use crate::segment::{self, Span, Values};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

pub(crate) const CURRENT: &str = "current";
const SEGMENT_SUFFIX: &str = ".log";

/// A segment of the log.
pub(crate) struct Segment {
    pub(crate) number: u32,
    pub(crate) path: PathBuf,
    pub(crate) scanned: segment::Scanned,
}

/// A generation and the index of its log.
pub(crate) struct Store {
    /// 0 where nothing was ever stored.
    pub(crate) generation: u32,
    pub(crate) segments: Vec<Segment>,
    /// The segment of each key's value, as an index, and the place in it.
    index: HashMap<String, (usize, Span)>,
}

impl Store {
    /// Runs `look` on the store at `root`, again where a compaction took it away meanwhile.
    pub(crate) fn read<T>(root: &Path, look: impl Fn(&Self) -> Result<T>) -> Result<T> {
        loop {
            let generation = current(root)?;
            let result = Self::load(root, generation).and_then(|store| look(&store));
            // Of a folder that is being removed, a part may have been found without an error.
            if current(root)? == generation {
                return result;
            }
        }
    }

    pub(crate) fn load(root: &Path, generation: u32) -> Result<Self> {
        let mut store = Self {
            generation,
            segments: Vec::new(),
            index: HashMap::new(),
        };
        if generation == 0 {
            return Ok(store);
        }
        let paths = segment_paths(&generation_path(root, generation))?;
        let last = paths.len().saturating_sub(1);
        for (place, (number, path)) in paths.into_iter().enumerate() {
            let scanned = segment::scan(&path, Values::Skipped, |key, value| {
                match value {
                    Some(span) => store.index.insert(key, (place, span)),
                    None => store.index.remove(&key),
                };
            })?;
            // Only the last one may be in the middle of being written.
            if scanned.end < scanned.length && place < last {
                return Err(Error::corrupt(
                    &path,
                    scanned.end,
                    "it ends within a record",
                ));
            }
            store.segments.push(Segment {
                number,
                path,
                scanned,
            });
        }
        Ok(store)
    }

    pub(crate) fn get(&self, key: &str) -> Result<Vec<u8>> {
        let no_key = || Error::NoKey(key.into());
        let &(place, span) = self.index.get(key).ok_or_else(no_key)?;
        let path = &self.segments[place].path;
        segment::value(&mut File::open(path).on(path)?, path, span)
    }

    pub(crate) fn contains(&self, key: &str) -> bool {
        self.index.contains_key(key)
    }

    /// The keys that start with `prefix`, sorted.
    pub(crate) fn keys(&self, prefix: &str) -> Vec<String> {
        let keys = self.index.keys().filter(|key| key.starts_with(prefix));
        let mut keys: Vec<String> = keys.cloned().collect();
        keys.sort();
        keys
    }

    /// Hands over each key and value, in the order of the log.
    pub(crate) fn each(&self, mut take: impl FnMut(&str, &[u8]) -> Result<()>) -> Result<()> {
        let mut entries: Vec<_> = self.index.iter().collect();
        entries.sort_by_key(|&(_, &(place, span))| (place, span.at));
        for of_a_segment in entries.chunk_by(|(_, (a, _)), (_, (b, _))| a == b) {
            let path = &self.segments[of_a_segment[0].1.0].path;
            let mut file = File::open(path).on(path)?;
            for &(key, &(_, span)) in of_a_segment {
                take(key, &segment::value(&mut file, path, span)?)?;
            }
        }
        Ok(())
    }

    pub(crate) fn stats(&self) -> Result<Stats> {
        let mut stats = Stats {
            keys: self.index.len(),
            values: self
                .index
                .values()
                .map(|(_, span)| u64::from(span.length))
                .sum(),
            log: 0,
            modified: None,
        };
        for segment in &self.segments {
            let metadata = fs::metadata(&segment.path).on(&segment.path)?;
            stats.log += metadata.len();
            let modified = metadata.modified().on(&segment.path)?;
            stats.modified = stats.modified.max(Some(modified));
        }
        Ok(stats)
    }
}

pub(crate) struct Stats {
    pub(crate) keys: usize,
    /// Bytes of their values.
    pub(crate) values: u64,
    /// Bytes of the log.
    pub(crate) log: u64,
    /// When it was last written to.
    pub(crate) modified: Option<SystemTime>,
}

/// The generation that `current` links to, 0 where there is no link.
pub(crate) fn current(root: &Path) -> Result<u32> {
    let link = root.join(CURRENT);
    match fs::read_link(&link).on(&link) {
        Ok(target) => {
            let generation = target.to_str().and_then(number);
            generation.ok_or_else(|| Error::corrupt(&link, 0, "it links to no generation"))
        }
        Err(Error::Io(_, error)) if error.kind() == ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

pub(crate) fn generation_path(root: &Path, generation: u32) -> PathBuf {
    root.join(name(generation))
}

pub(crate) fn segment_path(generation: &Path, segment: u32) -> PathBuf {
    generation.join(name(segment) + SEGMENT_SUFFIX)
}

/// The segments of a generation, in order.
pub(crate) fn segment_paths(generation: &Path) -> Result<Vec<(u32, PathBuf)>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(generation).on(generation)? {
        let entry = entry.on(generation)?;
        let file_name = entry.file_name();
        let stem = file_name
            .to_str()
            .and_then(|it| it.strip_suffix(SEGMENT_SUFFIX));
        if let Some(number) = stem.and_then(number) {
            paths.push((number, entry.path()));
        }
    }
    paths.sort();
    Ok(paths)
}

pub(crate) fn name(number: u32) -> String {
    format!("{number:06}")
}

/// The number of a generation or segment from its name.
pub(crate) fn number(name: &str) -> Option<u32> {
    let number = name.parse().ok().filter(|&number| number > 0)?;
    (self::name(number) == name).then_some(number)
}
