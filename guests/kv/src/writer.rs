//! What changes a store. One at a time: a file, `lock`, is there as long as one does.

use crate::error::{Error, On, Result};
use crate::segment::{self, MAX_KEY, MAX_VALUE, Values};
use crate::store::{self, CURRENT, Store};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

const LOCK: &str = "lock";
/// A generation before it has its name.
const NEW: &str = "new";
/// A link before it is `current`.
const NEW_LINK: &str = "new-current";
const AGAIN: Duration = Duration::from_millis(10);

/// How a store is written to.
#[derive(Clone, Copy)]
pub(crate) struct Settings {
    /// A segment that has as many bytes is followed by another.
    pub(crate) segment: u64,
    /// How long to wait for another one that writes.
    pub(crate) wait: Duration,
}

struct Lock(PathBuf);

impl Lock {
    fn take(root: &Path, wait: Duration) -> Result<Self> {
        fs::create_dir_all(root).on(root)?;
        let path = root.join(LOCK);
        let start = Instant::now();
        loop {
            match File::create_new(&path) {
                Ok(_) => return Ok(Self(path)),
                Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                    return Err(Error::Io(path, error));
                }
                Err(_) if start.elapsed() >= wait => return Err(Error::Locked(path)),
                Err(_) => thread::sleep(AGAIN),
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// The end of a generation's log.
struct Log {
    generation: PathBuf,
    limit: u64,
    /// The number of the segment that is written to; 0 before the first.
    number: u32,
    path: PathBuf,
    length: u64,
    file: Option<File>,
}

impl Log {
    /// A log without a segment.
    fn new(generation: PathBuf, limit: u64) -> Self {
        Self {
            path: generation.clone(),
            generation,
            limit,
            number: 0,
            length: 0,
            file: None,
        }
    }

    fn append(&mut self, key: &str, value: Option<&[u8]>) -> Result<()> {
        if self.number == 0 || self.length >= self.limit {
            self.sync()?;
            let next = self.number.checked_add(1);
            let too_many = || Error::Input("too many segments: `kv compact`".into());
            self.number = next.ok_or_else(too_many)?;
            self.path = store::segment_path(&self.generation, self.number);
            self.length = 0;
            self.file = None;
        }
        if self.file.is_none() {
            let mut options = OpenOptions::new();
            let file = options.append(true).create(true).open(&self.path);
            self.file = Some(file.on(&self.path)?);
        }
        let file = self.file.as_mut().expect("opened above");
        self.length = segment::append(file, self.length, key, value).on(&self.path)?;
        Ok(())
    }

    fn sync(&self) -> Result<()> {
        match &self.file {
            Some(file) => file.sync_data().on(&self.path),
            None => Ok(()),
        }
    }
}

/// A store that nobody else changes.
pub(crate) struct Writer {
    root: PathBuf,
    /// As it was found.
    store: Store,
    log: Log,
    /// What was cut from a segment whose last record was not written to its end.
    cut: Option<Cut>,
    _lock: Lock,
}

/// How many bytes were cut from which file.
pub(crate) struct Cut {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

impl Writer {
    pub(crate) fn open(root: &Path, settings: Settings) -> Result<Self> {
        let lock = Lock::take(root, settings.wait)?;
        let mut generation = store::current(root)?;
        if generation == 0 {
            generation = 1;
            let path = store::generation_path(root, generation);
            fs::create_dir_all(&path).on(&path)?;
            make_current(root, generation)?;
        }
        let store = Store::load(root, generation)?;
        let path = store::generation_path(root, generation);
        let mut log = Log::new(path, settings.segment);
        let mut cut = None;
        if let Some(last) = store.segments.last() {
            log.number = last.number;
            log.path = last.path.clone();
            log.length = last.scanned.end;
            if last.scanned.end < last.scanned.length {
                cut = Some(cut_at(&last.path, last.scanned.end)?);
            }
        }
        Ok(Self {
            root: root.into(),
            store,
            log,
            cut,
            _lock: lock,
        })
    }

    pub(crate) fn cut(&self) -> Option<&Cut> {
        self.cut.as_ref()
    }

    pub(crate) fn set(&mut self, key: &str, value: &[u8]) -> Result<()> {
        check_key(key)?;
        if value.len() > MAX_VALUE {
            let what = format!("a value has at most {MAX_VALUE} bytes");
            return Err(Error::Input(what));
        }
        self.log.append(key, Some(value))
    }

    /// Deletes a key that the store had when it was opened.
    pub(crate) fn delete(&mut self, key: &str) -> Result<()> {
        if !self.store.contains(key) {
            return Err(Error::NoKey(key.into()));
        }
        self.log.append(key, None)
    }

    /// What was written survives a crash from here on.
    pub(crate) fn sync(&self) -> Result<()> {
        self.log.sync()
    }

    /// Writes a new generation of what the store had when it was opened, and removes the
    /// others. Returns the log's bytes before and after.
    pub(crate) fn compact(self) -> Result<(u64, u64)> {
        let before = self.store.stats()?;
        let too_many = || Error::Input("too many generations: `kv backup`".into());
        let next = self.store.generation.checked_add(1);
        let generation = next.ok_or_else(too_many)?;

        let new = self.root.join(NEW);
        remove(fs::remove_dir_all(&new), &new)?;
        fs::create_dir(&new).on(&new)?;
        let mut log = Log::new(new.clone(), self.log.limit);
        self.store.each(|key, value| log.append(key, Some(value)))?;
        log.sync()?;
        let mut after = 0;
        for (_, path) in store::segment_paths(&new)? {
            let file = OpenOptions::new().write(true).open(&path).on(&path)?;
            // Nothing was stored now.
            if let Some(modified) = before.modified {
                file.set_modified(modified).on(&path)?;
            }
            after += file.metadata().on(&path)?.len();
        }

        let path = store::generation_path(&self.root, generation);
        remove(fs::remove_dir_all(&path), &path)?;
        fs::rename(&new, &path).on(&path)?;
        make_current(&self.root, generation)?;
        for entry in fs::read_dir(&self.root).on(&self.root)? {
            let entry = entry.on(&self.root)?;
            let path = entry.path();
            let number = entry.file_name().to_str().and_then(store::number);
            let is_folder = entry.file_type().on(&path)?.is_dir();
            if is_folder && number.is_some_and(|it| it != generation) {
                fs::remove_dir_all(&path).on(&path)?;
            }
        }
        Ok((before.log, after))
    }

    /// Makes a store of its own at `to`, with links to the files that never change again.
    ///
    /// Returns how many files were linked and how many copied.
    pub(crate) fn backup(&self, to: &Path) -> Result<(usize, usize)> {
        let _lock = Lock::take(to, Duration::ZERO)?;
        let generation = store::generation_path(to, 1);
        fs::create_dir(&generation).on(&generation)?;
        let (mut linked, mut copied) = (0, 0);
        for (place, segment) in self.store.segments.iter().enumerate() {
            let path = store::segment_path(&generation, segment.number);
            let is_last = place + 1 == self.store.segments.len();
            // A link can't go to another file system.
            if !is_last && fs::hard_link(&segment.path, &path).is_ok() {
                linked += 1;
                continue;
            }
            fs::copy(&segment.path, &path).on(&path)?;
            let metadata = fs::metadata(&segment.path).on(&segment.path)?;
            let modified = metadata.modified().on(&segment.path)?;
            let file = OpenOptions::new().write(true).open(&path).on(&path)?;
            file.set_modified(modified).on(&path)?;
            file.sync_all().on(&path)?;
            copied += 1;
        }
        make_current(to, 1)?;
        Ok((linked, copied))
    }
}

/// Cuts each segment at its first damaged record, and ends the lock of one that died.
pub(crate) fn repair(root: &Path, settings: Settings) -> Result<Vec<Cut>> {
    let lock = root.join(LOCK);
    remove(fs::remove_file(&lock), &lock)?;
    let _lock = Lock::take(root, settings.wait)?;
    let mut cuts = Vec::new();
    let generation = store::current(root)?;
    if generation == 0 {
        return Ok(cuts);
    }
    for (_, path) in store::segment_paths(&store::generation_path(root, generation))? {
        let end = match segment::scan(&path, Values::Checked, |_, _| ()) {
            Ok(scanned) if scanned.end == scanned.length => continue,
            Ok(scanned) => scanned.end,
            Err(Error::Corrupt { at, .. }) => at,
            Err(error) => return Err(error),
        };
        cuts.push(cut_at(&path, end)?);
    }
    Ok(cuts)
}

/// `Err` where the store can't have such a key.
pub(crate) fn check_key(key: &str) -> Result<()> {
    let what = if key.is_empty() {
        "a key is not empty".into()
    } else if key.len() > MAX_KEY {
        format!("a key has at most {MAX_KEY} bytes")
    } else if key.contains(|it: char| it == '=' || it.is_control()) {
        "a key has no `=` and no control characters".into()
    } else {
        return Ok(());
    };
    Err(Error::Usage(what))
}

fn cut_at(path: &Path, end: u64) -> Result<Cut> {
    let file = OpenOptions::new().write(true).open(path).on(path)?;
    let length = file.metadata().on(path)?.len();
    file.set_len(end).on(path)?;
    file.sync_all().on(path)?;
    Ok(Cut {
        path: path.into(),
        bytes: length.saturating_sub(end),
    })
}

/// Moves the link in one step: there is never none.
fn make_current(root: &Path, generation: u32) -> Result<()> {
    let link = root.join(NEW_LINK);
    remove(fs::remove_file(&link), &link)?;
    #[expect(deprecated, reason = "the only way to make one that every system has")]
    fs::soft_link(store::name(generation), &link).on(&link)?;
    fs::rename(&link, root.join(CURRENT)).on(&link)
}

/// What need not have been there.
fn remove(result: io::Result<()>, path: &Path) -> Result<()> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result.on(path),
    }
}
