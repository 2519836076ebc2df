//! What can go wrong, and the exit code of each.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

pub(crate) type Result<T> = std::result::Result<T, Error>;

#[derive(Debug)]
pub(crate) enum Error {
    /// The command line, a variable or a key is wrong.
    Usage(String),
    /// The store has no such key.
    NoKey(String),
    /// Input that can't be stored.
    Input(String),
    /// Another one holds the store.
    Locked(PathBuf),
    /// A call failed.
    Io(PathBuf, io::Error),
    /// A file is not what was written.
    Corrupt {
        path: PathBuf,
        at: u64,
        why: &'static str,
    },
}

impl Error {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Corrupt { .. } => 3,
            _ => 1,
        }
    }

    pub(crate) fn corrupt(path: &Path, at: u64, why: &'static str) -> Self {
        Self::Corrupt {
            path: path.into(),
            at,
            why,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) => write!(f, "{what} (`kv help` tells the commands)"),
            Self::NoKey(key) => write!(f, "no key `{key}`"),
            Self::Input(what) => f.write_str(what),
            Self::Locked(lock) => write!(
                f,
                "another one holds {}; if it has died, `kv repair`",
                lock.display()
            ),
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Corrupt { path, at, why } => write!(
                f,
                "corrupt: {} at byte {at}: {why}; `kv repair` cuts it there",
                path.display()
            ),
        }
    }
}

/// Names the path that a call failed on.
pub(crate) trait On<T> {
    fn on(self, path: &Path) -> Result<T>;
}

impl<T> On<T> for io::Result<T> {
    fn on(self, path: &Path) -> Result<T> {
        self.map_err(|error| Error::Io(path.into(), error))
    }
}
