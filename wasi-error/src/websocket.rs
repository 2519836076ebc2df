//! `agave:websocket/types.error-code`.

use crate::http;
use alloc::string::String;

/// Why a connection is closed (`agave:websocket/types.close-status`; RFC 6455, section 7.4).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CloseStatus {
    /// 1000 to 1003, 1007 to 1014, or 3000 to 4999: the codes that may be sent.
    pub code: u16,
    /// Up to 123 bytes.
    pub reason: String,
}

impl CloseStatus {
    /// The longest reason, in bytes: a control frame has up to 125, and the code two of them
    /// (RFC 6455, section 5.5).
    pub const REASON_MAX: usize = 123;

    /// Whether a close frame may have it (RFC 6455, section 7.4.2, and the codes that IANA has
    /// registered since).
    pub fn is_valid(&self) -> bool {
        matches!(self.code, 1000..=1003 | 1007..=1014 | 3000..=4999)
            && self.reason.len() <= Self::REASON_MAX
    }
}

/// Why a call on a WebSocket failed (`agave:websocket/types.error-code`). Those from
/// [`ErrorCode::ClosedByPeer`] to [`ErrorCode::ConnectionLost`] are the ways an open connection
/// ends.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorCode {
    /// The peer closed the connection, with this status or none (RFC 6455, section 7.1.5).
    #[error("the peer closed the connection{}", status(.0))]
    ClosedByPeer(Option<CloseStatus>),
    /// The guest closed the connection.
    #[error("the connection was closed here")]
    ClosedHere,
    /// The host closed the connection with code 1001: it stops.
    #[error("the host closed the connection: it stops")]
    HostShutdown,
    /// The peer broke the protocol (close code 1002); how, where known.
    #[error("the peer broke the protocol{}", http::detail(.0))]
    ProtocolError(Option<String>),
    /// A text message or a close reason of the peer is not UTF-8 (close code 1007).
    #[error("the peer sent text that is not UTF-8")]
    InvalidUtf8,
    /// A message of the peer is longer than this many bytes (close code 1009).
    #[error("a message of the peer is longer than {0} bytes")]
    MessageTooBig(u64),
    /// A message that was begun here was not finished (close code 1011).
    #[error("a message was begun and not finished")]
    MessageAbandoned,
    /// A ping was not answered in time.
    #[error("a ping was not answered in time")]
    PingTimeout,
    /// The connection ended without a close frame (close code 1006).
    #[error("the connection ended without a close frame")]
    ConnectionLost,

    /// The connection was not made in time.
    #[error("the connection was not made in time")]
    ConnectTimeout,
    /// The server answered with this HTTP status instead of an upgrade.
    #[error("the server refused with HTTP status {0}")]
    Refused(u16),
    /// The server's answer is not that of a WebSocket server; how, where known.
    #[error("the server's handshake is not valid{}", http::detail(.0))]
    HandshakeFailed(Option<String>),
    /// The connection could not be made.
    #[error("the connection could not be made: {0}")]
    Http(#[from] http::ErrorCode),
    /// The host's rules do not allow it.
    #[error("access is denied")]
    AccessDenied,
    /// The guest or the host has as many connections as it may have.
    #[error("there are as many connections as there may be")]
    ConnectionLimit,

    /// An argument is not valid.
    #[error("an argument is not valid")]
    InvalidArgument,
    /// The call is not possible now.
    #[error("the call is not possible in this state")]
    InvalidState,
    /// The connection takes no message now.
    #[error("the connection takes no message now")]
    WouldBlock,
    /// The host failed; what is known of it.
    #[error("an internal error occurred{}", http::detail(.0))]
    InternalError(Option<String>),
}

impl ErrorCode {
    /// The code that tells the peer of this end (RFC 6455, section 7.4.1); `None` for one that
    /// it is not told of: it did it, or can't be reached, or there is no connection.
    pub fn close_code(&self) -> Option<u16> {
        Some(match self {
            Self::HostShutdown => 1001,
            Self::ProtocolError(_) => 1002,
            Self::InvalidUtf8 => 1007,
            Self::MessageTooBig(_) => 1009,
            Self::MessageAbandoned => 1011,
            _ => return None,
        })
    }
}

fn status(status: &Option<CloseStatus>) -> String {
    match status {
        Some(status) if status.reason.is_empty() => alloc::format!(" with code {}", status.code),
        Some(status) => alloc::format!(" with code {}: {}", status.code, status.reason),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_may_be_sent_is_a_valid_status() {
        for (code, valid) in [
            (0, false),
            (999, false),
            (1000, true),
            (1003, true),
            (1004, false),
            (1005, false),
            (1006, false),
            (1007, true),
            (1014, true),
            (1015, false),
            (2999, false),
            (3000, true),
            (4999, true),
            (5000, false),
        ] {
            let reason = "r".repeat(123);
            assert_eq!(CloseStatus { code, reason }.is_valid(), valid, "{code}");
        }
        let reason = "r".repeat(124);
        assert!(!CloseStatus { code: 1000, reason }.is_valid());
    }
}
