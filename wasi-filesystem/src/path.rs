//! What a path has to be before a backend sees it.

use crate::{ErrorCode, PATH_MAX, Result};

/// `path`, if it can be one below a directory. What a symbolic link holds has the same rules.
///
/// # Errors
/// - [`ErrorCode::NoEntry`]: it is empty.
/// - [`ErrorCode::NotPermitted`]: it is absolute.
/// - [`ErrorCode::NameTooLong`]: it has more than [`PATH_MAX`] bytes.
/// - [`ErrorCode::Invalid`]: a NUL is in it.
pub(crate) fn check(path: &str) -> Result<&str> {
    match path.as_bytes() {
        [] => Err(ErrorCode::NoEntry),
        [b'/', ..] => Err(ErrorCode::NotPermitted),
        bytes if bytes.len() > PATH_MAX => Err(ErrorCode::NameTooLong),
        bytes if bytes.contains(&0) => Err(ErrorCode::Invalid),
        _ => Ok(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_relative_path_is_refused_with_its_code() {
        let longest = "a".repeat(PATH_MAX);
        let longer = "a".repeat(PATH_MAX + 1);
        for (path, code) in [
            ("", Some(ErrorCode::NoEntry)),
            ("/", Some(ErrorCode::NotPermitted)),
            ("/etc/passwd", Some(ErrorCode::NotPermitted)),
            ("a\0b", Some(ErrorCode::Invalid)),
            ("\0", Some(ErrorCode::Invalid)),
            (&longer, Some(ErrorCode::NameTooLong)),
            (&longest, None),
            (".", None),
            ("..", None),
            ("a//b/", None),
            ("ä/\u{1f980}", None),
        ] {
            assert_eq!(check(path).err(), code, "{path:?}");
        }
    }
}
