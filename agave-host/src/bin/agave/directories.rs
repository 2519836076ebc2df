//! `--dir` and `--fs`: which files guests have.

use super::Failure;
use clap::ValueEnum;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use wasi_clocks::os::SystemWallClock;
use wasi_filesystem::memory::{Limits, MemFs};
use wasi_filesystem::os::{Mode, OsDirectory};
use wasi_filesystem::{
    DescriptorFlags, Directory, ErrorCode, Object, OpenFlags, PathFlags, ReadOnly, vfs,
};
use wasi_io::Op;

/// `--dir HOST[::GUEST][:ro]`: a directory of this machine's under a guest's name for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Dir {
    pub(super) host: PathBuf,
    pub(super) guest: String,
    pub(super) read_only: bool,
}

/// `--fs WHERE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Fs {
    Host,
    Memory,
}

impl FromStr for Dir {
    type Err = String;

    /// Without `::GUEST`, the guest's name is the host's. A `:ro` at the end is never part of a
    /// name.
    fn from_str(text: &str) -> Result<Self, String> {
        let (names, read_only) = match text.strip_suffix(":ro") {
            Some(names) => (names, true),
            None => (text, false),
        };
        let (host, guest) = names.split_once("::").unwrap_or((names, names));
        match host.is_empty() || guest.is_empty() || guest.contains('\0') {
            true => Err("write HOST::GUEST, or HOST::GUEST:ro to read only".into()),
            false => Ok(Self {
                host: host.into(),
                guest: guest.into(),
                read_only,
            }),
        }
    }
}

/// A directory that guests are given, and their name for it.
pub(super) type Preopen = (Arc<dyn Directory>, String);

impl Fs {
    /// What the guests are given of `dirs`: opened, or copied. `mode` is for those of the host.
    ///
    /// # Errors
    /// [`Failure::Failed`]: one of them can't be opened or copied.
    pub(super) fn preopens(self, dirs: &[Dir], mode: Mode) -> Result<Vec<Preopen>, Failure> {
        match self {
            Self::Host => dirs.iter().map(|dir| dir.open(mode.clone())).collect(),
            Self::Memory => {
                let fs = Arc::new(MemFs::new(Arc::new(SystemWallClock)));
                if dirs.is_empty() {
                    return Ok(vec![(vfs::directory(fs), "/".into())]);
                }
                // One filesystem, so that a guest can move files from one to the other.
                let copies = dirs.iter().enumerate();
                copies.map(|(n, dir)| dir.copy(&fs, n)).collect()
            }
        }
    }
}

impl Dir {
    fn open(&self, mode: Mode) -> Result<Preopen, Failure> {
        let opened = OsDirectory::open_ambient(&self.host, mode);
        let directory = opened.map_err(|error| self.failed(&error))?;
        Ok(self.preopen(Arc::new(directory)))
    }

    fn copy(&self, fs: &Arc<MemFs>, number: usize) -> Result<Preopen, Failure> {
        let name = number.to_string();
        copy(&self.host, fs, &name).map_err(|error| self.failed(&error))?;
        let opened = vfs::directory(fs.clone()).open_at(
            PathFlags::empty(),
            &name,
            OpenFlags::DIRECTORY,
            DescriptorFlags::READ | DescriptorFlags::MUTATE_DIRECTORY,
        );
        match opened {
            Op::Ready(Ok(Object::Directory(directory))) => Ok(self.preopen(directory)),
            _ => Err(self.failed(&"the copy can't be opened")),
        }
    }

    fn preopen(&self, directory: Arc<dyn Directory>) -> Preopen {
        let directory = match self.read_only {
            true => Arc::new(ReadOnly::new(directory)),
            false => directory,
        };
        (directory, self.guest.clone())
    }

    fn failed(&self, told: &dyn Display) -> Failure {
        Failure::Failed(format!("--dir {}: {told}", self.host.display()))
    }
}

/// Copies the directory `from`, and all below it, to `to`. What is neither a file nor a
/// directory nor a link is left out, as is a link to an absolute path, which would lead nowhere.
fn copy(from: &Path, fs: &Arc<MemFs>, to: &str) -> Result<(), String> {
    fs.create_dir_all(to).map_err(|code| code.to_string())?;
    let mut todo = vec![(from.to_path_buf(), String::from(to))];
    while let Some((from, to)) = todo.pop() {
        let failed = |path: &Path, error: &dyn Display| match path == from {
            true => error.to_string(),
            false => format!("{}: {error}", path.display()),
        };
        let entries = std::fs::read_dir(&from).map_err(|error| failed(&from, &error))?;
        for entry in entries {
            let path = entry.map_err(|error| failed(&from, &error))?.path();
            let failed = |error: &dyn Display| failed(&path, error);
            let name = path.file_name().unwrap_or_default().to_str();
            let to = format!(
                "{to}/{}",
                name.ok_or_else(|| failed(&"its name is not Unicode"))?
            );
            let metadata = path.symlink_metadata().map_err(|error| failed(&error))?;
            let kind = metadata.file_type();
            let copied = if kind.is_dir() {
                todo.push((path.clone(), to.clone()));
                fs.create_dir_all(&to)
            } else if kind.is_file() {
                // Too large a file need not be read to be known as one.
                match metadata.len() > Limits::default().bytes {
                    true => Err(ErrorCode::InsufficientSpace),
                    false => {
                        let bytes = std::fs::read(&path).map_err(|error| failed(&error))?;
                        fs.write_file(&to, &bytes)
                    }
                }
            } else if kind.is_symlink() {
                let target = path.read_link().map_err(|error| failed(&error))?;
                match target.to_str() {
                    Some(target) if !target.starts_with('/') => fs.symlink(target, &to),
                    _ => continue,
                }
            } else {
                continue;
            };
            copied.map_err(|code| match code {
                ErrorCode::InsufficientSpace => failed(&"there is no room for it in memory"),
                code => failed(&code),
            })?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_no_way_to_another_one() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let dir = |name: &str| Dir {
            host: here.join(name),
            guest: "/".into(),
            read_only: false,
        };
        let dirs = [dir("assets"), dir("examples")];
        let preopens = Fs::Memory.preopens(&dirs, Mode::Inline);
        let preopens = preopens.unwrap_or_else(|_| panic!("not copied"));
        let stat = |path| preopens[0].0.stat_at(PathFlags::SYMLINK_FOLLOW, path);
        let Op::Ready(agent) = stat("ai_agent_sockets.wasm") else {
            panic!("not at once");
        };
        let size = dirs[0].host.join("ai_agent_sockets.wasm").metadata();
        assert_eq!(agent.unwrap().size, size.unwrap().len());
        for path in ["..", "../1", "./../1/one_address.rs"] {
            let outside = matches!(stat(path), Op::Ready(Err(ErrorCode::NotPermitted)));
            assert!(outside, "{path}");
        }
    }

    #[test]
    fn directories_have_a_name_of_the_guests_and_may_be_read_only() {
        for (text, host, guest, read_only) in [
            (".", ".", ".", false),
            ("data", "data", "data", false),
            ("data:ro", "data", "data", true),
            ("data::/", "data", "/", false),
            ("/srv/data::/data:ro", "/srv/data", "/data", true),
            ("a:b::c:d", "a:b", "c:d", false),
            ("a::b::c", "a", "b::c", false),
            ("a:ro::b", "a:ro", "b", false),
        ] {
            let expected = Dir {
                host: host.into(),
                guest: guest.into(),
                read_only,
            };
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        for text in ["", ":ro", "::", "a::", "::b", "a:::ro", "::/:ro"] {
            let error = text.parse::<Dir>().unwrap_err();
            assert!(error.contains("HOST::GUEST"), "{text}: {error}");
        }
    }
}
