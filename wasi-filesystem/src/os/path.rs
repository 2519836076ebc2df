//! What the ways to resolve a path have in common.

use crate::{ErrorCode, PATH_MAX, Result};
use alloc::format;
use alloc::string::String;
use std::io;

/// Symbolic links on the way of a path, at most.
const LINKS_MAX: usize = 40;

/// The code of what a call with a path failed with.
pub(super) fn code(error: io::Error) -> ErrorCode {
    match error.raw_os_error() {
        // What cap-std itself refuses is a path that leads outside.
        None if error.kind() == io::ErrorKind::PermissionDenied => ErrorCode::NotPermitted,
        _ => ErrorCode::from(error),
    }
}

/// The directory that the last step of `path` is in, empty for that which the path starts
/// from, and the step, with the `/` behind it if there is one. The step is never `..`: it is
/// `.` for a path that ends so.
pub(super) fn split(path: &str) -> Result<(&str, &str)> {
    if path.starts_with('/') {
        return Err(ErrorCode::NotPermitted);
    }
    let trimmed = path.trim_end_matches('/');
    let start = trimmed.rfind('/').map_or(0, |slash| slash + 1);
    match &trimmed[start..] {
        "" => Err(ErrorCode::NoEntry),
        "." => Ok((&path[..start], ".")),
        ".." => Ok((trimmed, ".")),
        _ => Ok((&path[..start], &path[start..])),
    }
}

/// The path of what `path` leads to when the symbolic links at its end are followed. It is
/// for calls that can't follow them safely, and may have been outrun when it is used: then
/// the call fails or has a link itself as its object.
pub(super) fn follow(
    path: &str,
    mut readlink: impl FnMut(&str) -> Result<String>,
) -> Result<String> {
    let mut path = String::from(path);
    for _ in 0..=LINKS_MAX {
        let target = match readlink(&path) {
            Ok(target) => target,
            Err(ErrorCode::Invalid) => return Ok(path),
            Err(error) => return Err(error),
        };
        if target.starts_with('/') {
            return Err(ErrorCode::NotPermitted);
        }
        let (parent, _) = split(&path)?;
        path = format!("{parent}{target}");
        if path.len() > PATH_MAX {
            return Err(ErrorCode::NameTooLong);
        }
    }
    Err(ErrorCode::Loop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_splits_into_a_directory_and_a_step_that_stays_in_it() {
        for (path, expected) in [
            ("a", Ok(("", "a"))),
            ("a//", Ok(("", "a//"))),
            ("a/b", Ok(("a/", "b"))),
            ("a//b/", Ok(("a//", "b/"))),
            (".", Ok(("", "."))),
            ("./", Ok(("", "."))),
            ("a/.", Ok(("a/", "."))),
            ("..", Ok(("..", "."))),
            ("../", Ok(("..", "."))),
            ("a/..//", Ok(("a/..", "."))),
            ("../a", Ok(("../", "a"))),
            ("...", Ok(("", "..."))),
            ("", Err(ErrorCode::NoEntry)),
            ("/", Err(ErrorCode::NotPermitted)),
            ("/a", Err(ErrorCode::NotPermitted)),
        ] {
            assert_eq!(split(path), expected, "{path}");
        }
    }

    #[test]
    fn links_are_followed_relative_to_where_they_are_and_no_further_than_the_limit() {
        let readlink = |path: &str| match path {
            "d/a" => Ok("../b".into()),
            "d/../b" => Ok("c".into()),
            "d/../c" => Err(ErrorCode::Invalid),
            "loop" => Ok("loop".into()),
            "out" => Ok("/etc".into()),
            "grows" => Ok("x/".repeat(PATH_MAX)),
            _ => Err(ErrorCode::NoEntry),
        };
        for (path, expected) in [
            ("d/a", Ok("d/../c".into())),
            ("loop", Err(ErrorCode::Loop)),
            ("out", Err(ErrorCode::NotPermitted)),
            ("grows", Err(ErrorCode::NameTooLong)),
            ("nothing", Err(ErrorCode::NoEntry)),
        ] {
            assert_eq!(follow(path, readlink), expected, "{path}");
        }
    }
}
