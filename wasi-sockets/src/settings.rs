//! Which values the WIT text lets an option have, whatever the backend.

use crate::{ErrorCode, SocketOption};

/// `set-*`: `value` as a backend gets it. A 0 is invalid-argument, except to disable keep-alive;
/// what is too large for the option is the most that it can be.
pub(crate) fn checked(option: SocketOption, value: u64) -> Result<u64, ErrorCode> {
    match option {
        SocketOption::KeepAliveEnabled => Ok(value.min(1)),
        _ if value == 0 => Err(ErrorCode::InvalidArgument),
        SocketOption::HopLimit => Ok(value.min(u8::MAX.into())),
        SocketOption::KeepAliveCount => Ok(value.min(u32::MAX.into())),
        _ => Ok(value),
    }
}
