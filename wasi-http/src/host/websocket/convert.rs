use super::bindings::agave::websocket::types;
use crate::websocket::{CloseStatus, ErrorCode, Message, MessageType};
use alloc::string::ToString;

impl From<MessageType> for types::MessageType {
    fn from(kind: MessageType) -> Self {
        match kind {
            MessageType::Text => Self::Text,
            MessageType::Binary => Self::Binary,
        }
    }
}

impl From<types::MessageType> for MessageType {
    fn from(kind: types::MessageType) -> Self {
        match kind {
            types::MessageType::Text => Self::Text,
            types::MessageType::Binary => Self::Binary,
        }
    }
}

impl From<Message> for types::Message {
    fn from(message: Message) -> Self {
        match message {
            Message::Text(text) => Self::Text(text),
            Message::Binary(bytes) => Self::Binary(bytes.into()),
        }
    }
}

impl From<types::Message> for Message {
    fn from(message: types::Message) -> Self {
        match message {
            types::Message::Text(text) => Self::Text(text),
            types::Message::Binary(bytes) => Self::Binary(bytes.into()),
        }
    }
}

impl From<CloseStatus> for types::CloseStatus {
    fn from(CloseStatus { code, reason }: CloseStatus) -> Self {
        Self { code, reason }
    }
}

impl From<types::CloseStatus> for CloseStatus {
    fn from(types::CloseStatus { code, reason }: types::CloseStatus) -> Self {
        Self { code, reason }
    }
}

impl From<ErrorCode> for types::ErrorCode {
    fn from(code: ErrorCode) -> Self {
        match code {
            ErrorCode::ClosedByPeer(status) => Self::ClosedByPeer(status.map(Into::into)),
            ErrorCode::ClosedHere => Self::ClosedHere,
            ErrorCode::HostShutdown => Self::HostShutdown,
            ErrorCode::ProtocolError(how) => Self::ProtocolError(how),
            ErrorCode::InvalidUtf8 => Self::InvalidUtf8,
            ErrorCode::MessageTooBig(limit) => Self::MessageTooBig(limit),
            ErrorCode::MessageAbandoned => Self::MessageAbandoned,
            ErrorCode::PingTimeout => Self::PingTimeout,
            ErrorCode::ConnectionLost => Self::ConnectionLost,
            ErrorCode::ConnectTimeout => Self::ConnectTimeout,
            ErrorCode::Refused(status) => Self::Refused(status),
            ErrorCode::HandshakeFailed(how) => Self::HandshakeFailed(how),
            ErrorCode::Http(code) => Self::HttpError(code.into()),
            ErrorCode::AccessDenied => Self::AccessDenied,
            ErrorCode::ConnectionLimit => Self::ConnectionLimit,
            ErrorCode::InvalidArgument => Self::InvalidArgument,
            ErrorCode::InvalidState => Self::InvalidState,
            ErrorCode::WouldBlock => Self::WouldBlock,
            ErrorCode::InternalError(why) => Self::InternalError(why),
            // A code that a later version has.
            code => Self::InternalError(Some(code.to_string())),
        }
    }
}
