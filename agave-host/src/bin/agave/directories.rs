//! `--dir` and `--fs`: which files guests have.

use clap::ValueEnum;
use std::path::PathBuf;
use std::str::FromStr;

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

#[cfg(test)]
mod tests {
    use super::*;

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
